"""How a head learns on frozen features: the paper's optimiser, and peft-ser's choices where the paper is silent, each a setting."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Literal, Protocol

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F

from .features import Bank
from .metrics import macro_f1
from .models import probes
from .models.probes import Head

FRAMES_AT_ONCE = 8_000  # when predicting; what more would hold in memory
RESIDENT_SHARE = 0.4  # of a GPU's free memory that a bank may take for good


@dataclass(frozen=True)
class ProbeSettings:
    """Hyper-parameters. Stated in the paper: head, epochs, learning_rate, weight_decay, betas; the rest is peft-ser's.

    layer : whose output the head hears, 1 to L; 0 is the last. Multi-Layer hears all.
    standardise : each dimension to mean 0 and variance 1 over the training files, layer by layer.
    normalise_layers : each layer to the same mean size, so that its weight says what it is worth.
    """

    head: Head
    layer: int = 0
    epochs: int = 30
    batch_size: int = 32
    learning_rate: float = 5e-4
    weight_decay: float = 1e-4
    betas: tuple[float, float] = (0.9, 0.98)
    dropout: float = 0.1
    class_weights: bool = True
    schedule: Literal["plateau", "none"] = "plateau"
    keep: Literal["best", "last"] = "best"
    standardise: bool = False
    normalise_layers: bool = False


@dataclass(frozen=True)
class Learnt:
    """A head with the features that it heard, the epoch that was kept, and the validation F1 of each."""

    head: nn.Module
    features: "Features"
    best_epoch: int
    valid_f1: list[float]


class Loop(Protocol):
    """What `fit` asks of settings."""

    @property
    def epochs(self) -> int: ...
    @property
    def batch_size(self) -> int: ...
    @property
    def class_weights(self) -> bool: ...
    @property
    def keep(self) -> Literal["best", "last"]: ...


class Features:
    """A bank as batches of packed frames: one layer or all, each file's frames or, for a Linear head, their mean alone."""

    def __init__(self, bank: Bank, settings: ProbeSettings, train: Sequence[int], device: str = "cpu"):
        self.bank, self.settings, self.device, self.ends = bank, settings, device, bank.ends
        self.all_layers = settings.head in ("multi-layer", "weighted-linear")
        self.pooled = settings.head in ("linear", "weighted-linear")
        self.layers = list(range(bank.layers)) if self.all_layers else [(settings.layer or bank.layers) - 1]
        if not 0 <= self.layers[0] < bank.layers:
            raise ValueError(f"There is no layer {settings.layer}; there are {bank.layers}.")
        self._mapped, self._room, self._resident = bank.frames, torch.empty(0), None
        if device.startswith("cuda") and not self.pooled:
            size = self._mapped[0].nbytes * len(self.layers)
            if size < RESIDENT_SHARE * torch.cuda.mem_get_info(device)[0]:
                self._resident = torch.from_numpy(np.array(self._mapped[self.layers])).to(device)
        self.means = torch.from_numpy(np.array(bank.means[:, self.layers])).to(device) if self.pooled else None
        self.shift, self.scale = self._scales(train)

    def _scales(self, train: Sequence[int]) -> tuple[Tensor, Tensor]:
        """What is taken from the features of each layer and by what they are divided, from the training files."""
        width = self.bank.width
        shift, scale = torch.zeros(len(self.layers), 1, width), torch.ones(len(self.layers), 1, width)
        if self.settings.standardise or self.settings.normalise_layers:
            mean, second = self._moments(train)
            spread = (second - mean**2).clamp(min=1e-12).sqrt()
            if self.settings.standardise:
                shift, scale = mean[:, None], spread[:, None]
            else:
                scale = second.mean(dim=1).sqrt()[:, None, None].expand(-1, 1, width)
        return shift.to(self.device), scale.to(self.device)

    def _moments(self, train: Sequence[int]) -> tuple[Tensor, Tensor]:
        """Mean and mean square of each dimension of each layer, over training frames, or over files where heads hear files' means."""
        if self.means is not None:
            found = self.means[list(train)].cpu().double()
            return found.mean(dim=0).float(), found.square().mean(dim=0).float()
        total, squares = (torch.zeros(len(self.layers), self.bank.width, dtype=torch.double) for _ in range(2))
        count = 0
        for i in train:
            x = self._frames_of([i])[0].cpu().double()
            total, squares, count = total + x.sum(dim=1), squares + x.square().sum(dim=1), count + x.shape[1]
        return (total / count).float(), (squares / count).float()

    def _frames_of(self, files: Sequence[int]) -> tuple[Float[Tensor, "layers frames width"], list[int]]:
        """Frames of files one after the other, in 32 bits; how many each has. The next call writes over them."""
        lengths = [int(self.ends[i + 1] - self.ends[i]) for i in files]
        if self._resident is not None:
            rows = np.concatenate([np.arange(self.ends[i], self.ends[i + 1]) for i in files])
            return self._resident[:, torch.from_numpy(rows).to(self.device)].float(), lengths
        shape = (len(self.layers), sum(lengths), self.bank.width)
        if self._room.numel() < np.prod(shape):  # fresh memory costs more than what is written to it
            self._room = torch.empty(int(np.prod(shape)))
        out = self._room[: int(np.prod(shape))].view(shape)
        start = 0
        for i, n in zip(files, lengths, strict=True):
            for row, layer in enumerate(self.layers):
                out[row, start : start + n].copy_(torch.from_numpy(self._mapped[layer, self.ends[i] : self.ends[i + 1]]))
            start += n
        return out, lengths

    def batch(self, files: Sequence[int]) -> tuple[Tensor, Tensor]:
        """Frames (layers, frames, width), or (frames, width) of one layer, of files one after the other; how many each has."""
        if self.means is not None:
            x, lengths = self.means[list(files)].transpose(0, 1), torch.ones(len(files), dtype=torch.long)
        else:
            x, counted = self._frames_of(files)
            lengths = torch.tensor(counted)
        x = (x.to(self.device) - self.shift) / self.scale if self._scaled else x.to(self.device)
        return (x if self.all_layers else x[0]), lengths.to(self.device)

    @property
    def _scaled(self) -> bool:
        return self.settings.standardise or self.settings.normalise_layers


def learn(
    bank: Bank,
    labels: np.ndarray,
    classes: int,
    train: np.ndarray,
    valid: np.ndarray,
    settings: ProbeSettings,
    seed: int,
    draw: Callable[[np.ndarray], np.ndarray] = lambda files: files,
) -> Learnt:
    """Train one head on the files `train`, keep the epoch with the best macro F1 on `valid` (or the last one).

    labels : class of each file of the bank (files,), from 0. draw : for files to learn from, those of the bank that are heard for them,
    such as noisy copies. All other randomness comes from `seed`.
    """
    from .environment import device as best_device

    features = Features(bank, settings, train.tolist(), best_device())
    head = start(bank, classes, settings, seed).to(features.device)
    optimizer = adam(head.parameters(), settings)
    plateau = halving(optimizer)
    best_epoch, found = fit(
        head,
        lambda files: head(*features.batch(draw(files).tolist())),
        lambda files: predict(head, features, files),
        optimizer,
        plateau.step if settings.schedule == "plateau" else lambda _: None,
        labels,
        classes,
        train,
        valid,
        settings,
        seed,
    )
    return Learnt(head, features, best_epoch, found)


def start(bank: Bank, classes: int, settings: ProbeSettings, seed: int) -> nn.Module:
    """A head with the weights that a seed gives it."""
    seed_torch(seed)
    return probes.build(settings.head, bank.layers, bank.width, classes, settings.dropout)


def seed_torch(seed: int) -> None:
    """Of what is random in torch: first weights, dropout, masks."""
    torch.manual_seed(int(np.random.SeedSequence(seed).generate_state(1)[0]))


def adam(parameters: Iterable[Tensor], settings: ProbeSettings) -> torch.optim.Adam:
    return torch.optim.Adam(parameters, lr=settings.learning_rate, betas=settings.betas, eps=1e-8, weight_decay=settings.weight_decay)


def halving(optimizer: torch.optim.Optimizer) -> torch.optim.lr_scheduler.ReduceLROnPlateau:
    """peft-ser's schedule, on the validation loss."""
    return torch.optim.lr_scheduler.ReduceLROnPlateau(optimizer, patience=5, factor=0.5, min_lr=5e-5)


def shuffled(train: np.ndarray, batch_size: int, rng: np.random.Generator) -> list[np.ndarray]:
    """One epoch's batches, as near to one size as they can be."""
    return np.array_split(rng.permutation(train), max(1, -(-len(train) // batch_size)))


def fit(
    network: nn.Module,
    answer: Callable[[np.ndarray], Tensor],
    predict: Callable[[np.ndarray], Tensor],
    optimizer: torch.optim.Optimizer,
    on_epoch: Callable[[float], None],
    labels: np.ndarray,
    classes: int,
    train: np.ndarray,
    valid: np.ndarray,
    settings: Loop,
    seed: int,
) -> tuple[int, list[float]]:
    """The loop: cross-entropy over shuffled batches; the epoch that is kept, from 0, and the validation F1 of each.

    answer, predict : logits (files, classes) of files, with and without gradients. on_epoch : hears the validation loss.
    """
    rng = np.random.default_rng(seed)
    weights = class_weights(labels[train], classes) if settings.class_weights else None
    best: tuple[float, int, dict[str, Tensor]] = (-1.0, -1, {})
    found = []
    for epoch in range(settings.epochs):
        network.train()
        for files in shuffled(train, settings.batch_size, rng):
            logits = answer(files)
            loss = F.cross_entropy(logits.cpu(), torch.from_numpy(labels[files]), weight=weights)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
        logits = predict(valid)
        f1 = macro_f1(labels[valid], logits.argmax(dim=1).numpy())
        on_epoch(float(F.cross_entropy(logits, torch.from_numpy(labels[valid]), weight=weights)))
        found.append(f1)
        if f1 > best[0] or settings.keep == "last":
            best = (f1, epoch, {k: v.detach().clone() for k, v in network.state_dict().items()})
    network.load_state_dict(best[2])
    return best[1], found


def class_weights(labels: np.ndarray, classes: int) -> Float[Tensor, " classes"]:
    """One over each class's count, so that they sum to 1; a class that is not there weighs nothing."""
    counts = np.bincount(labels, minlength=classes).astype(float)
    inverse = np.where(counts > 0, 1 / np.maximum(counts, 1), 0.0)
    return torch.tensor(inverse / inverse.sum(), dtype=torch.float32)


@torch.no_grad()  # and not inference mode: what is read here is written over when learning goes on
def predict(head: nn.Module, features: Features, files: np.ndarray) -> Float[Tensor, "files classes"]:
    """Logits of files, a few at a time."""
    head.eval()
    if features.pooled:
        return head(*features.batch(files.tolist())).cpu()
    return torch.cat([head(*features.batch(part.tolist())).cpu() for part in few_at_once(files, features.ends)])


def few_at_once(files: np.ndarray, ends: np.ndarray) -> list[np.ndarray]:
    """Files in parts of about FRAMES_AT_ONCE."""
    before = np.cumsum([ends[i + 1] - ends[i] for i in files]) // FRAMES_AT_ONCE
    return [files[before == number] for number in np.unique(before)]
