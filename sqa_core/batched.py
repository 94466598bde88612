"""All seeds of a head at once on batched parameters, as a GPU likes it: what `probing.learn` does one seed after another.

Each seed keeps its own first weights, order of files, learning rate and best epoch. Without dropout both ways give the same heads;
with it, what is dropped hangs on which seeds learn together, so a head comes out again only among the same seeds.
"""

import copy
from collections.abc import Sequence

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.func import functional_call, stack_module_state, vmap
from torch.nn import functional as F

from . import environment, probing
from .features import Bank
from .metrics import macro_f1
from .models.probes import averages
from .probing import Features, Learnt, ProbeSettings

State = dict[str, Tensor]  # (seeds, …) each


def learn(
    bank: Bank, labels: np.ndarray, classes: int, train: np.ndarray, valid: np.ndarray, settings: ProbeSettings, seeds: Sequence[int]
) -> list[Learnt]:
    """One head a seed; arguments as `probing.learn` has them."""
    features = Features(bank, settings, train.tolist(), environment.device())
    heads = [probing.start(bank, classes, settings, seed).to(features.device) for seed in seeds]
    state, _ = stack_module_state(heads)  # type: ignore[arg-type]
    layout = copy.deepcopy(heads[0]).to("meta")
    optimizer = probing.adam(state.values(), settings)
    rates = [torch.optim.SGD([torch.zeros(1)], lr=settings.learning_rate) for _ in seeds]  # each seed's own, halved on its own plateau
    plateaus = [probing.halving(rate) for rate in rates]
    weights = probing.class_weights(labels[train], classes).to(features.device) if settings.class_weights else None
    orders = [np.random.default_rng(seed) for seed in seeds]
    best: list[tuple[float, int, State]] = [(-1.0, -1, {}) for _ in seeds]
    found: list[list[float]] = [[] for _ in seeds]
    for epoch in range(settings.epochs):
        layout.train()
        share = torch.tensor([rate.param_groups[0]["lr"] / settings.learning_rate for rate in rates], device=features.device)
        for chosen in zip(*(probing.shuffled(train, settings.batch_size, rng) for rng in orders), strict=True):
            logits = vmap(_answer(layout), randomness="different")(state, *_stacked(features, chosen))
            wanted = torch.from_numpy(np.stack([labels[files] for files in chosen])).to(features.device)
            loss = torch.stack([F.cross_entropy(x, y, weight=weights) for x, y in zip(logits, wanted, strict=True)]).sum()
            optimizer.zero_grad()
            loss.backward()
            _step(optimizer, state, share)
        layout.eval()
        for s, logits in enumerate(_predict(layout, state, features, valid)):
            f1 = macro_f1(labels[valid], logits.argmax(dim=1).numpy())
            if settings.schedule == "plateau":
                cpu = None if weights is None else weights.cpu()
                plateaus[s].step(float(F.cross_entropy(logits, torch.from_numpy(labels[valid]), weight=cpu)))
            found[s].append(f1)
            if f1 > best[s][0] or settings.keep == "last":
                best[s] = (f1, epoch, {k: v[s].detach().clone() for k, v in state.items()})
    for head, (_, _, kept) in zip(heads, best, strict=True):
        head.load_state_dict(kept)
    return [Learnt(head, features, b[1], f1) for head, b, f1 in zip(heads, best, found, strict=True)]


def _answer(layout: nn.Module):
    return lambda state, frames, means: functional_call(layout, state, (frames, means))


def _stacked(features: Features, chosen: Sequence[np.ndarray]) -> tuple[Tensor, Float[Tensor, "seeds files frames"]]:
    """A batch of each seed, filled with zeros to the longest; what to multiply its frames by to have each file's mean."""
    batches = []
    for files in chosen:
        x, lengths = features.batch(files.tolist())
        batches.append((x.clone(), lengths))  # the next batch is read into the same place
    longest = max(x.shape[-2] for x, _ in batches)
    frames = torch.stack([F.pad(x, (0, 0, 0, longest - x.shape[-2])) for x, _ in batches])
    return frames, torch.stack([averages(lengths, longest) for _, lengths in batches])


@torch.no_grad()
def _step(optimizer: torch.optim.Optimizer, state: State, share: Float[Tensor, " seeds"]) -> None:
    """A step of Adam, of which each seed takes the share that its learning rate is of the first: Adam's step is linear in it."""
    before = {k: v.detach().clone() for k, v in state.items()}
    optimizer.step()
    for k, v in state.items():
        v.copy_(torch.lerp(before[k], v, share.view(-1, *[1] * (v.dim() - 1))))


@torch.no_grad()
def _predict(layout: nn.Module, state: State, features: Features, files: np.ndarray) -> Float[Tensor, "seeds files classes"]:
    """Logits of the same files by every seed, a few at a time."""
    answer = vmap(_answer(layout), in_dims=(0, None, None))
    parts = [files] if features.pooled else probing.few_at_once(files, features.ends)
    batches = (features.batch(part.tolist()) for part in parts)
    return torch.cat([answer(state, x, averages(lengths, x.shape[-2])).cpu() for x, lengths in batches], dim=1)
