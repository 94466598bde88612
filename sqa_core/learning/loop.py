"""The training loop of every network in the book: epochs over batches, the best epoch kept, early stopping, resumed after a kill.

What differs is handed in: the batches of an epoch, the loss of a batch, the validation after an epoch, the schedule.
"""

import json
import math
from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal, NamedTuple, TypeVar

import torch
from torch import Tensor, nn

from ..errors import SettingsError, WeightsError
from ..files import atomic

Batch = TypeVar("Batch")
Keep = Literal["best", "last"]


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
    keep : "best" keeps the first epoch with the highest score, "last" the last one.
    patience : stop after so many epochs without a better score; None never stops early.
    checkpoint : saves the state after each epoch, and continues from it.
    accelerator : accelerate's, for mixed precision and several GPUs; network, optimiser and batches are prepared by it.

    Raises
    ------
    WeightsError
        The training loss is no longer finite, or the checkpoint is damaged.
    SettingsError
        The checkpoint belongs to another run.
    """
    plain = accelerator.unwrap_model(network) if accelerator else network
    done = checkpoint.load(plain, optimizer, schedule) if checkpoint else []
    kept: dict[str, Tensor] | None = None
    best = max(done, key=lambda e: e.score, default=None)
    for number in range(len(done), epochs):
        if patience is not None and best is not None and number - best.number > patience:
            break
        network.train()
        losses = []
        for batch in batches(number):
            loss = loss_of(batch)
            optimizer.zero_grad()
            accelerator.backward(loss) if accelerator else loss.backward()
            step() if step else optimizer.step()
            losses.append(loss.detach())
        mean = float(torch.stack(losses).mean())
        if not math.isfinite(mean):
            raise WeightsError(f"Training diverged in epoch {number}: the loss is {mean}; use a lower learning rate.")
        rate = optimizer.param_groups[0]["lr"]
        with torch.no_grad():
            found = validate()
        epoch = Epoch(number, mean, found.score, found.loss, rate)
        done.append(epoch)
        if keep == "last" or best is None or epoch.score > best.score:
            best = epoch
            kept = {k: v.detach().clone() for k, v in plain.state_dict().items()}
        step_schedule(epoch)
        if checkpoint and (accelerator is None or accelerator.is_main_process):
            checkpoint.save(plain, optimizer, schedule, done, kept if best is epoch else None)
        on_epoch(epoch)
    if accelerator:
        accelerator.wait_for_everyone()
    if kept is None and checkpoint:
        kept = checkpoint.best()
    if kept is not None:
        plain.load_state_dict(kept)
    return done


@dataclass(frozen=True)
class Checkpoint:
    """The state of a run on disk: `last.pt` after each epoch, `best.safetensors` of the best one so far.

    run : everything that must be the same for a run to be continued, as plain data.
    """

    folder: Path
    run: dict[str, Any]

    def save(self, network: nn.Module, optimizer: Any, schedule: Any, epochs: list[Epoch], best: dict[str, Tensor] | None) -> None:
        from safetensors.torch import save_file

        if best is not None:
            with atomic(self.folder / "best.safetensors") as partial:
                save_file({k: v.cpu().contiguous() for k, v in best.items()}, partial)
        state = {
            "run": json.dumps(self.run),
            "model": network.state_dict(),
            "optimizer": optimizer.state_dict(),
            "schedule": schedule.state_dict() if schedule is not None else {},
            "epochs": [asdict(e) for e in epochs],
        }
        with atomic(self.folder / "last.pt") as partial:
            torch.save(state, partial)

    def load(self, network: nn.Module, optimizer: Any, schedule: Any) -> list[Epoch]:
        """The epochs done so far, with the state they left; none if there is no checkpoint yet. Raises as `fit`."""
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
        optimizer.load_state_dict(state["optimizer"])
        if schedule is not None:
            schedule.load_state_dict(state["schedule"])
        return epochs

    def best(self) -> dict[str, Tensor]:
        from safetensors.torch import load_file

        return load_file(self.folder / "best.safetensors")
