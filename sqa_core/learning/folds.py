"""A fold: which files a classifier is trained on, which choose its epoch, and their classes."""

from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor


@dataclass(frozen=True)
class Fold:
    """labels : (files,) class of each file of a corpus, from 0; -1 for none. classes : how many there are. train, valid : indices of
    files."""

    labels: np.ndarray
    classes: int
    train: np.ndarray
    valid: np.ndarray

    def class_weights(self) -> Float[Tensor, " classes"]:
        """The reciprocal of each class's number of training files, normalised to sum 1.

        Returns
        -------
        (classes,), 0 for a class without any.

        Examples
        --------
        >>> Fold(np.array([0, 0, 0, 1]), 3, np.arange(4), np.arange(0)).class_weights()
        tensor([0.2500, 0.7500, 0.0000])
        """
        counts = np.bincount(self.labels[self.train], minlength=self.classes).astype(float)
        inverse = np.where(counts > 0, 1 / np.maximum(counts, 1), 0.0)
        return torch.tensor(inverse / inverse.sum(), dtype=torch.float32)

    def batches(self, size: int, rng: np.random.Generator) -> list[np.ndarray]:
        """The training files of one epoch in random order, in batches as equal in size as possible."""
        return np.array_split(rng.permutation(self.train), max(1, -(-len(self.train) // size)))


def seed_torch(seed: int) -> None:
    """Seed torch's global generator (weight initialisation, dropout, masks)."""
    torch.manual_seed(int(np.random.SeedSequence(seed).generate_state(1)[0]))
