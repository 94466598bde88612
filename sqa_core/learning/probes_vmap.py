"""All seeds of a head in one pass (torch.func): on a GPU what `probes.learn` does one seed after another.

Each seed has its own initial weights, order of files, learning rate and best epoch. Without dropout both ways give the same heads; with
dropout the masks depend on the set of seeds, so a head is reproduced only among the same seeds.
"""

import copy
from collections.abc import Sequence

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.func import functional_call, stack_module_state, vmap
from torch.nn import functional as F

from .. import environment
from ..metrics import macro_f1
from ..models.heads import averages
from . import probes
from .feature_bank import Bank
from .folds import Fold
from .loop import Validation, fit
from .probes import FittedProbe, FrameLoader, ProbeSettings

State = dict[str, Tensor]  # (seeds, …) each


def learn(bank: Bank, fold: Fold, settings: ProbeSettings, seeds: Sequence[int]) -> list[FittedProbe]:
    """One head for each seed as `probes.learn` trains it, all in one pass.

    Parameters
    ----------
    bank : Features of all files.
    fold : Classes of the files, and which of them are trained on and validated on.
    settings : Hyper-parameters of every head.
    seeds : (seeds,)
        At least one.

    Returns
    -------
    For each seed the trained head, the epoch that was kept, and the macro F1 of each epoch in percent; all share one loader.

    Raises
    ------
    SettingsError
        The encoder has no such layer.
    WeightsError
        The training loss of a head is no longer finite.
    """
    loader = FrameLoader(bank, settings, fold.train.tolist(), environment.device())
    heads = [probes.start(bank, fold.classes, settings, seed).to(loader.device) for seed in seeds]
    state, _ = stack_module_state(heads)  # type: ignore[arg-type]
    layout = copy.deepcopy(heads[0]).to("meta")
    optimizer = probes.adam(state.values(), settings)
    rates = [torch.optim.SGD([torch.zeros(1)], lr=settings.learning_rate) for _ in seeds]  # each seed's own, on its own plateau
    plateaus = [probes.plateau_schedule(rate) for rate in rates]
    on_cpu = fold.class_weights() if settings.class_weights else None
    weights = None if on_cpu is None else on_cpu.to(loader.device)
    orders = [np.random.default_rng(seed) for seed in seeds]
    best: list[tuple[float, int, State]] = [(-1.0, -1, {}) for _ in seeds]
    f1: list[list[float]] = [[] for _ in seeds]

    def loss_of(chosen: tuple[np.ndarray, ...]) -> Tensor:
        logits = vmap(_call(layout), randomness="different")(state, *_stacked(loader, chosen))
        labels = torch.from_numpy(np.stack([fold.labels[files] for files in chosen])).to(loader.device)
        return torch.stack([F.cross_entropy(x, y, weight=weights) for x, y in zip(logits, labels, strict=True)]).sum()

    def validate() -> Validation:
        layout.eval()
        labels = fold.labels[fold.valid]
        for s, logits in enumerate(_predict(layout, state, loader, fold.valid)):
            f1[s].append(macro_f1(labels, logits.argmax(dim=1).numpy()))
            if settings.schedule == "plateau":
                plateaus[s].step(float(F.cross_entropy(logits, torch.from_numpy(labels), weight=on_cpu)))
            if f1[s][-1] > best[s][0] or settings.keep == "last":
                best[s] = (f1[s][-1], len(f1[s]) - 1, {k: v[s].detach().clone() for k, v in state.items()})
        return Validation(0.0, 0.0)  # each seed has its own, kept above

    fit(
        layout,
        optimizer,
        lambda _: list(zip(*(fold.batches(settings.batch_size, rng) for rng in orders), strict=True)),
        loss_of,
        validate,
        settings.epochs,
        step=lambda: _step(optimizer, state, [rate.param_groups[0]["lr"] / settings.learning_rate for rate in rates]),
    )
    for head, (_, _, kept) in zip(heads, best, strict=True):
        head.load_state_dict(kept)
    return [FittedProbe(head, loader, b[1], scores) for head, b, scores in zip(heads, best, f1, strict=True)]


def _call(layout: nn.Module):
    return lambda state, frames, means: functional_call(layout, state, (frames, means))


def _stacked(loader: FrameLoader, chosen: Sequence[np.ndarray]) -> tuple[Tensor, Float[Tensor, "seeds files frames"]]:
    """One batch a seed, padded with zeros to the longest, and the weights that turn its frames into the mean of each file."""
    batches = []
    for files in chosen:
        x, lengths = loader.batch(files.tolist())
        batches.append((x.clone(), lengths))  # the next batch is read into the same buffer
    longest = max(x.shape[-2] for x, _ in batches)
    frames = torch.stack([F.pad(x, (0, 0, 0, longest - x.shape[-2])) for x, _ in batches])
    return frames, torch.stack([averages(lengths, longest) for _, lengths in batches])


@torch.no_grad()
def _step(optimizer: torch.optim.Optimizer, state: State, shares: list[float]) -> None:
    """A step of Adam, of which each seed takes the share that its learning rate has of the first: Adam's step is linear in the rate."""
    before = {k: v.detach().clone() for k, v in state.items()}
    optimizer.step()
    for k, v in state.items():
        share = torch.tensor(shares, device=v.device)
        v.copy_(torch.lerp(before[k], v, share.view(-1, *[1] * (v.dim() - 1))))


@torch.no_grad()
def _predict(layout: nn.Module, state: State, loader: FrameLoader, files: np.ndarray) -> Float[Tensor, "seeds files classes"]:
    """Logits of the same files by every seed, computed in chunks."""
    logits = vmap(_call(layout), in_dims=(0, None, None))
    parts = [files] if loader.pooled else probes.chunks_of_frames(files, loader.ends)
    batches = (loader.batch(part.tolist()) for part in parts)
    return torch.cat([logits(state, x, averages(lengths, x.shape[-2])).cpu() for x, lengths in batches], dim=1)
