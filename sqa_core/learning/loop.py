"""The training loop of every network in the book: epochs over batches, the best epoch kept, early stopping, resumed after a kill.

What differs is handed in: the batches of an epoch, the loss of a batch, the validation after an epoch, the schedule.
"""

import json
import math
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass
from itertools import islice
from pathlib import Path
from typing import Any, Literal, NamedTuple, TypeVar

import numpy as np
import torch
from torch import Tensor, nn

from ..errors import SettingsError, WeightsError
from ..files import atomic

Batch = TypeVar("Batch")
RUN_FORM = 2  # of what checkpoints know of their run; folders in the cache are named by it too, so that those of older code are left alone
Keep = Literal["best", "last"]
MixedPrecision = Literal["no", "fp16", "bf16"]  # accelerate's names


class Validation(NamedTuple):
    """What one validation gives: `score` chooses the epoch (higher is better), `loss` steers the schedule."""

    score: float
    loss: float


@dataclass(frozen=True)
class Epoch:
    """One epoch: its number from 0, the mean training loss, the validation, and the learning rate it was trained with."""

    number: int
    loss: float
    score: float
    validation_loss: float
    learning_rate: float


def fit(
    network: nn.Module,
    optimizer: torch.optim.Optimizer,
    batches: Callable[[int], Iterable[Batch]],
    loss_of: Callable[[Batch], Tensor],
    validate: Callable[[], Validation],
    epochs: int,
    *,
    step_schedule: Callable[[Epoch], None] = lambda _: None,
    on_epoch: Callable[[Epoch], None] = lambda _: None,
    schedule: Any = None,
    step: Callable[[], None] | None = None,
    clip_norm: float | None = None,
    accumulate: int = 1,
    keep: Keep = "best",
    patience: int | None = None,
    checkpoint: "Checkpoint | None" = None,
    accelerator: Any = None,
) -> list[Epoch]:
    """Train `network` in place and leave the weights of the kept epoch in it.

    Parameters
    ----------
    batches : the batches of epoch n, from 0. For runs that can be resumed their order must depend on n alone.
    loss_of : the loss of one batch, with gradients.
    validate : called after each epoch, without gradients and in whatever mode it sets.
    step_schedule : called after validation, to step the learning rate's schedule.
    on_epoch : called when an epoch is done and saved, for reports.
    schedule : an object with state_dict and load_state_dict that a checkpoint keeps.
    step : what to do instead of `optimizer.step()`.
    clip_norm : the largest norm of the gradient, over all parameters.
    accumulate : batches whose mean gradient makes one step.
    keep : "best" keeps the first epoch with the highest score, "last" the last one. A score that is not finite counts as the lowest.
    patience : stop after so many epochs without a better score; None never stops early.
    checkpoint : saves the state after each epoch, and continues from it.
    accelerator : accelerate's, for mixed precision and several GPUs; network, optimiser and batches are prepared by it. Mixed precision ends
        with the training.

    Returns
    -------
    Every epoch, those of a resumed run included.

    Raises
    ------
    WeightsError
        The training loss is no longer finite, or the checkpoint is damaged.
    SettingsError
        The checkpoint belongs to another run, or an epoch has no batches.
    """
    plain = accelerator.unwrap_model(network) if accelerator else network
    resumed = {"optimizer": optimizer, "schedule": schedule, "scaler": getattr(accelerator, "scaler", None)}
    done = checkpoint.load(plain, resumed) if checkpoint else []
    kept: dict[str, Tensor] | None = None
    best = max(done, key=rank, default=None)
    for number in range(len(done), epochs):
        if patience is not None and best is not None and number - best.number > patience:
            break
        loss = _train_epoch(network, optimizer, batches(number), loss_of, step, clip_norm, accumulate, accelerator)
        if not math.isfinite(loss):
            raise WeightsError(f"Training diverged in epoch {number}: the loss is {loss}; use a lower learning rate.")
        rate = optimizer.param_groups[0]["lr"]
        with torch.no_grad():
            found = validate()
        epoch = Epoch(number, loss, found.score, found.loss, rate)
        done.append(epoch)
        improved = best is None or rank(epoch) > rank(best)
        best = epoch if improved else best
        if improved or keep == "last":
            kept = {k: v.detach().clone() for k, v in plain.state_dict().items()}
        step_schedule(epoch)
        if checkpoint and (accelerator is None or accelerator.is_main_process):
            checkpoint.save(plain, resumed, done, kept if improved or keep == "last" else None)
        on_epoch(epoch)
    if accelerator:
        accelerator.wait_for_everyone()
        # A trained network computes in its own precision, as it will when it is loaded.
        accelerator.unwrap_model(network, keep_fp32_wrapper=False)
    if kept is None and checkpoint:
        kept = checkpoint.best()
    if kept is not None:
        plain.load_state_dict(kept)
    return done


def accelerator_of(mixed_precision: MixedPrecision) -> Any:
    """accelerate's object for one training.

    accelerate keeps one precision for a whole process and refuses another. Where a training wants another one, the state is set anew, and
    an accelerator that was made before then reports that precision too; the connection of several GPUs stays.

    Parameters
    ----------
    mixed_precision : of this training.

    Returns
    -------
    accelerate's `Accelerator`.
    """
    from accelerate import Accelerator
    from accelerate.state import AcceleratorState

    try:
        return Accelerator(mixed_precision=mixed_precision)
    except ValueError:
        AcceleratorState._reset_state()
        return Accelerator(mixed_precision=mixed_precision)


def share_of(drawn: np.ndarray, accelerator: Any) -> np.ndarray:
    """What one process takes of sounds or batches that were drawn for all.

    Each process takes as many, so that none waits for a step that another does not make; where they do not come out even, the first are
    drawn again.

    Parameters
    ----------
    drawn : their numbers, in the order in which they were drawn.
    accelerator : accelerate's, which knows the processes.

    Returns
    -------
    The numbers for this process; all of them if it is the only one.
    """
    processes = accelerator.num_processes
    return np.resize(drawn, -(-len(drawn) // processes) * processes)[accelerator.process_index :: processes]


def _in_groups(batches: Iterable[Batch], size: int) -> Iterator[list[Batch]]:
    waiting = iter(batches)
    while group := list(islice(waiting, size)):
        yield group


def rank(epoch: Epoch) -> float:
    """The score by which an epoch is compared with others; one that is not finite counts as the lowest.

    Returns
    -------
    The score, or -inf.
    """
    return epoch.score if math.isfinite(epoch.score) else -math.inf


def _train_epoch(
    network: nn.Module,
    optimizer: torch.optim.Optimizer,
    batches: Iterable[Batch],
    loss_of: Callable[[Batch], Tensor],
    step: Callable[[], None] | None,
    clip_norm: float | None,
    accumulate: int,
    accelerator: Any,
) -> float:
    """One epoch; returns the mean loss over batches, on several GPUs over those of all."""
    network.train()
    optimizer.zero_grad()
    losses: list[Tensor] = []
    for group in _in_groups(batches, accumulate):
        for batch in group:
            loss = loss_of(batch)
            share = loss / len(group) if len(group) > 1 else loss
            accelerator.backward(share) if accelerator else share.backward()
            losses.append(loss.detach())
        if clip_norm is not None:
            clip = accelerator.clip_grad_norm_ if accelerator else nn.utils.clip_grad_norm_
            clip(network.parameters(), clip_norm)
        step() if step else optimizer.step()
        optimizer.zero_grad()
    if not losses:
        raise SettingsError("An epoch has no batches; there is nothing to train on.")
    mean = torch.stack(losses).mean()
    # Every process raises or none does: one that goes on alone would wait for the others for ever.
    return float(accelerator.gather(mean).mean() if accelerator else mean)


@dataclass(frozen=True)
class Checkpoint:
    """The state of a run on disk: `last.pt` after each epoch, `best.safetensors` of the best one so far.

    run : everything that must be the same for a run to be continued, as plain data.
    """

    folder: Path
    run: dict[str, Any]

    def save(self, network: nn.Module, parts: Mapping[str, Any], epochs: list[Epoch], best: dict[str, Tensor] | None) -> None:
        """parts : what has a state beside the network, such as the optimiser, by name; None is left out."""
        from safetensors.torch import save_file

        if best is not None:
            with atomic(self.folder / "best.safetensors") as partial:
                save_file({k: v.cpu().contiguous() for k, v in best.items()}, partial)
        state = {"run": json.dumps(self.run), "model": network.state_dict(), "epochs": [asdict(e) for e in epochs]}
        state |= {name: part.state_dict() for name, part in parts.items() if part is not None}
        with atomic(self.folder / "last.pt") as partial:
            torch.save(state, partial)

    def load(self, network: nn.Module, parts: Mapping[str, Any]) -> list[Epoch]:
        """The epochs done so far, with the state they left in `network` and `parts`; none if there is no checkpoint yet. Raises as `fit`."""
        self.folder.mkdir(parents=True, exist_ok=True)
        path = self.folder / "last.pt"
        if not path.is_file():
            return []
        try:
            state = torch.load(path, map_location="cpu", weights_only=True)
            same = json.loads(state["run"]) == json.loads(json.dumps(self.run))
            epochs = [Epoch(**e) for e in state["epochs"]]
        except Exception as e:  # whatever a damaged or foreign file raises, the message is one
            raise WeightsError(f"{path}: the checkpoint cannot be read ({type(e).__name__}); delete it to train from the start.") from e
        if not same:
            raise SettingsError(
                f"{self.folder}: holds a run with other settings, another network or other material; choose another folder or delete it."
            )
        network.load_state_dict(state["model"])
        for name, part in parts.items():
            if part is not None and state.get(name):
                part.load_state_dict(state[name])
        return epochs

    def best(self) -> dict[str, Tensor]:
        from safetensors.torch import load_file

        return load_file(self.folder / "best.safetensors")
