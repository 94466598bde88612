"""AST from scratch, the baseline of the paper on speech models: how it learns emotions, after AST's own recipe for short labelled sounds.

The paper names "the same hyperparameters" as AST's paper, which has three sets. Ours is that for ESC-50, the one for a few hundred
sounds of some seconds with one label each; its rate is the one for networks that learnt no sounds before.
"""

from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from . import audio, environment, probing
from .models import ast


@dataclass(frozen=True)
class BaselineSettings:
    """AST's recipe for ESC-50. Masks hide up to so many bands and frames of each sound while learning."""

    network: Literal["ast", "ast-small"] = "ast-small"
    frames: int = 512  # 5.12 s; sounds are cut or filled with zeros to it
    epochs: int = 25
    batch_size: int = 48
    learning_rate: float = 1e-4
    decay: float = 0.85  # of the rate, each epoch from the sixth on
    weight_decay: float = 5e-7
    betas: tuple[float, float] = (0.95, 0.999)
    masked_bands: int = 24
    masked_frames: int = 96
    class_weights: bool = True  # as the heads', which AST is compared with
    keep: Literal["best", "last"] = "best"


@dataclass(frozen=True)
class Trained:
    """A network, by what its input was normalised, the epoch that was kept, and the validation F1 of each."""

    network: torch.nn.Module
    mean: float
    deviation: float
    best_epoch: int
    valid_f1: list[float]


def learn(
    bands: Float[Tensor, "files frames bands"],
    labels: np.ndarray,
    classes: int,
    train: np.ndarray,
    valid: np.ndarray,
    settings: BaselineSettings,
    seed: int,
) -> Trained:
    """Train on the files `train`, keep the epoch with the best macro F1 on `valid`; all randomness comes from `seed`."""
    mask = audio.import_torchaudio().functional.mask_along_axis_iid
    device = environment.device()
    probing.seed_torch(seed)
    network = ast.build(ast.LAYOUTS[settings.network], settings.frames, classes).to(device)
    optimizer = torch.optim.Adam(network.parameters(), lr=settings.learning_rate, betas=settings.betas, weight_decay=settings.weight_decay)
    decay = torch.optim.lr_scheduler.MultiStepLR(optimizer, list(range(5, settings.epochs)), gamma=settings.decay)
    known = bands[torch.from_numpy(train)]
    trained = Trained(network, float(known.mean()), float(known.std()), -1, [])

    def answer(files: np.ndarray) -> Tensor:
        x = bands[torch.from_numpy(files)][:, None]
        x = mask(mask(x, settings.masked_bands, 0.0, 3), settings.masked_frames, 0.0, 2)  # 0 is also what fills short sounds
        return network(_normalised(trained, x[:, 0])).logits

    best_epoch, found = probing.fit(
        network,
        answer,
        lambda files: predict(trained, bands, files),
        optimizer,
        lambda _: decay.step(),
        labels,
        classes,
        train,
        valid,
        settings,
        seed,
    )
    return Trained(network, trained.mean, trained.deviation, best_epoch, found)


def _normalised(trained: Trained, bands: Tensor) -> Tensor:
    """Mean 0 and deviation 0.5 over the training files, as AST's input has it, on the network's device."""
    return (bands.to(next(trained.network.parameters()).device) - trained.mean) / (2 * trained.deviation)


@torch.no_grad()
def predict(trained: Trained, bands: Tensor, files: np.ndarray) -> Float[Tensor, "files classes"]:
    """Logits of files, a few at a time."""
    trained.network.eval()
    parts = np.array_split(files, max(1, -(-len(files) // 32)))
    return torch.cat([trained.network(_normalised(trained, bands[torch.from_numpy(part)])).logits.cpu() for part in parts])
