"""Probes: a classifier head trained on frozen features, with the paper's optimiser and peft-ser's choices where the paper is silent."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Literal, Protocol, runtime_checkable

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F

from .. import environment
from ..errors import SettingsError
from ..metrics import macro_f1
from ..models import heads
from ..models.heads import Head
from .feature_bank import Bank
from .folds import Fold, seed_torch
from .loop import Keep, Validation, fit

CHUNK_FRAMES = 8_000  # when predicting; more would only take memory
RESIDENT_SHARE = 0.4  # of a GPU's free memory that a bank may occupy: the rest is for activations of the largest batch


@dataclass(frozen=True)
class ProbeSettings:
    """Hyper-parameters. Stated in the paper: head, epochs, learning_rate, weight_decay, betas; the others are peft-ser's.

    layer : whose output the head receives, 1 to L; 0 is the last. Multi-Layer receives all.
    standardise : each dimension to mean 0 and variance 1 over the training files, layer by layer.
    normalise_layers : each layer to the same root mean square, so that its weight measures its importance.
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
    keep: Keep = "best"
    standardise: bool = False
    normalise_layers: bool = False


@dataclass(frozen=True)
class FittedProbe:
    """A trained head with its loader, the epoch that was kept (from 0), and the validation macro F1 of each epoch in percent."""

    head: nn.Module
    loader: "FrameLoader"
    best_epoch: int
    valid_f1: list[float]


class FrameLoader:
    """A feature bank as batches of packed frames: one layer or all, each file's frames or, for a Linear head, their mean alone."""

    def __init__(self, bank: Bank, settings: ProbeSettings, train: Sequence[int], device: str = "cpu"):
        self.bank, self.settings, self.device, self.ends = bank, settings, device, bank.ends
        self.all_layers = settings.head in ("multi-layer", "weighted-linear")
        self.pooled = settings.head in ("linear", "weighted-linear")
        self.layers = list(range(bank.layers)) if self.all_layers else [(settings.layer or bank.layers) - 1]
        if not 0 <= self.layers[0] < bank.layers:
            raise SettingsError(f"There is no layer {settings.layer}; the encoder has {bank.layers}.")
        self._mapped, self._buffer, self._resident = bank.frames, torch.empty(0), None
        if device.startswith("cuda") and not self.pooled:
            size = self._mapped[0].nbytes * len(self.layers)
            if size < RESIDENT_SHARE * torch.cuda.mem_get_info(device)[0]:
                self._resident = torch.from_numpy(np.array(self._mapped[self.layers])).to(device)
        self.means = torch.from_numpy(np.array(bank.means[:, self.layers])).to(device) if self.pooled else None
        self.shift, self.scale = self._scales(train)

    def _scales(self, train: Sequence[int]) -> tuple[Tensor, Tensor]:
        """What is subtracted from the features of each layer, and what they are divided by, from the training files."""
        width = self.bank.width
        shift, scale = torch.zeros(len(self.layers), 1, width), torch.ones(len(self.layers), 1, width)
        if self._scaled:
            mean, second = self._moments(train)
            spread = (second - mean**2).clamp(min=1e-12).sqrt()
            if self.settings.standardise:
                shift, scale = mean[:, None], spread[:, None]
            else:
                scale = second.mean(dim=1).sqrt()[:, None, None].expand(-1, 1, width)
        return shift.to(self.device), scale.to(self.device)

    def _moments(self, train: Sequence[int]) -> tuple[Tensor, Tensor]:
        """Mean and mean square of each dimension of each layer, over training frames, or over files if the head receives files' means."""
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
        """Frames of files one after the other, in 32 bits, and the number of each. The next call overwrites them."""
        lengths = [int(self.ends[i + 1] - self.ends[i]) for i in files]
        if self._resident is not None:
            rows = np.concatenate([np.arange(self.ends[i], self.ends[i + 1]) for i in files])
            return self._resident[:, torch.from_numpy(rows).to(self.device)].float(), lengths
        shape = (len(self.layers), sum(lengths), self.bank.width)
        if self._buffer.numel() < np.prod(shape):  # fresh memory costs more than what is written to it
            self._buffer = torch.empty(int(np.prod(shape)))
        out = self._buffer[: int(np.prod(shape))].view(shape)
        start = 0
        for i, n in zip(files, lengths, strict=True):
            for row, layer in enumerate(self.layers):
                out[row, start : start + n].copy_(torch.from_numpy(self._mapped[layer, self.ends[i] : self.ends[i + 1]]))
            start += n
        return out, lengths

    def batch(self, files: Sequence[int]) -> tuple[Tensor, Tensor]:
        """Frames (layers, frames, width), or (frames, width) of one layer, of files one after the other; and the number of each."""
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
    fold: Fold,
    settings: ProbeSettings,
    seed: int,
    draw: Callable[[np.ndarray], np.ndarray] = lambda files: files,
) -> FittedProbe:
    """Train one head on the fold's training files and keep the epoch with the best macro F1 on its validation files (or the last one).

    Parameters
    ----------
    bank : Features of all files.
    fold : Classes of the files, and which of them are trained on and validated on.
    settings : Hyper-parameters; `settings.keep` decides between the best and the last epoch.
    seed : Of the initial weights, dropout, and the order of files.
    draw : Replaces training files (n,) by as many other files of the bank, such as noisy copies, each time they are used; labels stay. It
        brings its own randomness.

    Returns
    -------
    The head in evaluation mode with its loader, the epoch that was kept, and the macro F1 of each epoch in percent.

    Raises
    ------
    SettingsError
        The encoder has no such layer.
    WeightsError
        The training loss is no longer finite.
    """
    loader = FrameLoader(bank, settings, fold.train.tolist(), environment.device())
    head = start(bank, fold.classes, settings, seed).to(loader.device)
    optimizer = adam(head.parameters(), settings)
    plateau = plateau_schedule(optimizer)
    f1, best_epoch = fit_classifier(
        head,
        optimizer,
        lambda files: head(*loader.batch(draw(files).tolist())),
        lambda files: predict(head, loader, files),
        fold,
        settings,
        seed,
        plateau.step if settings.schedule == "plateau" else lambda _: None,
    )
    return FittedProbe(head, loader, best_epoch, f1)


@runtime_checkable
class FitSettings(Protocol):
    """What `fit_classifier` needs of settings."""

    @property
    def epochs(self) -> int: ...
    @property
    def batch_size(self) -> int: ...
    @property
    def class_weights(self) -> bool: ...
    @property
    def keep(self) -> Keep: ...


def fit_classifier(
    network: nn.Module,
    optimizer: torch.optim.Optimizer,
    logits_of: Callable[[np.ndarray], Tensor],
    predict: Callable[[np.ndarray], Tensor],
    fold: Fold,
    settings: FitSettings,
    seed: int,
    schedule: Callable[[float], None],
) -> tuple[list[float], int]:
    """`loop.fit` with cross-entropy over shuffled batches; returns the validation macro F1 of each epoch and the epoch that was kept.

    logits_of, predict : logits (files, classes) of files, with and without gradients. schedule : takes each epoch's validation loss.
    """
    rng = np.random.default_rng(seed)
    weights = fold.class_weights() if settings.class_weights else None

    def loss_of(files: np.ndarray) -> Tensor:
        return F.cross_entropy(logits_of(files).cpu(), torch.from_numpy(fold.labels[files]), weight=weights)

    def validate() -> Validation:
        logits, labels = predict(fold.valid), fold.labels[fold.valid]
        loss = F.cross_entropy(logits, torch.from_numpy(labels), weight=weights)
        return Validation(macro_f1(labels, logits.argmax(dim=1).numpy()), float(loss))

    epochs = fit(
        network,
        optimizer,
        lambda _: fold.batches(settings.batch_size, rng),
        loss_of,
        validate,
        settings.epochs,
        step_schedule=lambda epoch: schedule(epoch.validation_loss),
        keep=settings.keep,
    )
    f1 = [e.score for e in epochs]
    return f1, len(f1) - 1 if settings.keep == "last" else int(np.argmax(f1))


def start(bank: Bank, classes: int, settings: ProbeSettings, seed: int) -> nn.Module:
    """A head with the initial weights of a seed."""
    seed_torch(seed)
    return heads.build(settings.head, bank.layers, bank.width, classes, settings.dropout)


def adam(parameters: Iterable[Tensor], settings: ProbeSettings) -> torch.optim.Adam:
    return torch.optim.Adam(parameters, lr=settings.learning_rate, betas=settings.betas, eps=1e-8, weight_decay=settings.weight_decay)


def plateau_schedule(optimizer: torch.optim.Optimizer) -> torch.optim.lr_scheduler.ReduceLROnPlateau:
    """Halve the rate after 5 epochs without a lower validation loss, to 5e-5 at least (peft-ser)."""
    return torch.optim.lr_scheduler.ReduceLROnPlateau(optimizer, patience=5, factor=0.5, min_lr=5e-5)


@torch.no_grad()  # not inference_mode: training reuses the buffer that is filled here
def predict(head: nn.Module, loader: FrameLoader, files: np.ndarray) -> Float[Tensor, "files classes"]:
    """Logits of files, computed in chunks.

    Parameters
    ----------
    head : Trained. It is put into evaluation mode.
    loader : The loader of its training, or one of another bank with the same settings.
    files : (n,)
        Indices into the loader's bank.

    Returns
    -------
    (n, classes), on the CPU, in the order of `files`.
    """
    head.eval()
    if loader.pooled:
        return head(*loader.batch(files.tolist())).cpu()
    return torch.cat([head(*loader.batch(part.tolist())).cpu() for part in chunks_of_frames(files, loader.ends)])


def chunks_of_frames(files: np.ndarray, ends: np.ndarray) -> list[np.ndarray]:
    """Files in parts of about CHUNK_FRAMES frames each."""
    before = np.cumsum([ends[i + 1] - ends[i] for i in files]) // CHUNK_FRAMES
    return [files[before == number] for number in np.unique(before)]
