"""AST from scratch, the baseline of the paper on speech models, with AST's own recipe for short labelled sounds.

The paper names "the same hyperparameters" as AST's paper, which has three sets. Ours is that for ESC-50, which has a few hundred sounds of
some seconds with one label each; its rate is the one for networks without pre-training on audio.
"""

from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from .. import audio, environment
from ..models import spectrogram_transformer
from .folds import Fold, seed_torch
from .loop import Keep
from .probes import fit_classifier

CHUNK_FILES = 32  # when predicting


@dataclass(frozen=True)
class BaselineSettings:
    """AST's recipe for ESC-50. In training, masks hide up to so many bands and frames of each sound."""

    network: Literal["ast", "ast-small"] = "ast-small"
    frames: int = 512  # 5.12 s; sounds are cut or padded with zeros to it
    epochs: int = 25
    batch_size: int = 48
    learning_rate: float = 1e-4
    decay: float = 0.85  # of the rate, each epoch from the sixth on
    weight_decay: float = 5e-7
    betas: tuple[float, float] = (0.95, 0.999)
    masked_bands: int = 24
    masked_frames: int = 96
    class_weights: bool = True  # as in the heads that AST is compared with
    keep: Keep = "best"


@dataclass(frozen=True)
class FittedTransformer:
    """A trained network, the mean and standard deviation that its input is normalised by, the epoch that was kept (from 0), and the
    validation macro F1 of each epoch in percent."""

    network: torch.nn.Module
    mean: float
    std: float
    best_epoch: int
    valid_f1: list[float]


def learn(bands: Float[Tensor, "files frames bands"], fold: Fold, settings: BaselineSettings, seed: int) -> FittedTransformer:
    """Train on the fold's training files and keep the epoch with the best macro F1 on its validation files (or the last one).

    Parameters
    ----------
    bands : (files, settings.frames, 128)
        Log filter-bank energies of all files, not normalised, as `spectrogram.ast_filter_bank` gives them.
    fold : Classes of the files, and which of them are trained on and validated on.
    settings : The recipe; `settings.keep` decides between the best and the last epoch.
    seed : Of all randomness: initial weights, masks, order of files.

    Returns
    -------
    The network in evaluation mode on `environment.device()`, the moments that its input is normalised by, the epoch that was kept, and the
    macro F1 of each epoch in percent.

    Raises
    ------
    WeightsError
        The training loss is no longer finite.
    """
    mask = audio.import_torchaudio().functional.mask_along_axis_iid
    device = environment.device()
    seed_torch(seed)
    layout = spectrogram_transformer.LAYOUTS[settings.network]
    network = spectrogram_transformer.build(layout, settings.frames, fold.classes).to(device)
    optimizer = torch.optim.Adam(network.parameters(), lr=settings.learning_rate, betas=settings.betas, weight_decay=settings.weight_decay)
    decay = torch.optim.lr_scheduler.MultiStepLR(optimizer, list(range(5, settings.epochs)), gamma=settings.decay)
    known = bands[torch.from_numpy(fold.train)]
    fitted = FittedTransformer(network, float(known.mean()), float(known.std()), -1, [])

    def logits_of(files: np.ndarray) -> Tensor:
        x = bands[torch.from_numpy(files)][:, None]
        x = mask(mask(x, settings.masked_bands, 0.0, 3), settings.masked_frames, 0.0, 2)  # 0 is also what short sounds are padded with
        return network(_normalised(fitted, x[:, 0])).logits

    f1, best_epoch = fit_classifier(
        network, optimizer, logits_of, lambda files: predict(fitted, bands, files), fold, settings, seed, lambda _: decay.step()
    )
    return FittedTransformer(network, fitted.mean, fitted.std, best_epoch, f1)


def _normalised(fitted: FittedTransformer, bands: Tensor) -> Tensor:
    """Mean 0 and standard deviation 0.5 over the training files, as AST expects, on the network's device."""
    return (bands.to(next(fitted.network.parameters()).device) - fitted.mean) / (2 * fitted.std)


@torch.no_grad()
def predict(fitted: FittedTransformer, bands: Tensor, files: np.ndarray) -> Float[Tensor, "files classes"]:
    """Logits of files, computed in chunks of 32 files at most.

    Parameters
    ----------
    fitted : From `learn`. Its network is put into evaluation mode.
    bands : (files, frames, 128)
        As in `learn`.
    files : (n,)
        Indices into `bands`.

    Returns
    -------
    (n, classes), on the CPU, in the order of `files`.
    """
    fitted.network.eval()
    parts = np.array_split(files, max(1, -(-len(files) // CHUNK_FILES)))
    return torch.cat([fitted.network(_normalised(fitted, bands[torch.from_numpy(part)])).logits.cpu() for part in parts])
