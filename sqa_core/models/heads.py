"""The paper's three heads on frozen features, as in peft-ser: Linear, Non-Linear, Multi-Layer; and Linear on a weighted sum of layers.

Frames of a batch of files come packed, one file after the other; each file's frames are averaged over its own true length.
"""

from typing import Literal

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn
from torch.nn import functional as F

Head = Literal["linear", "non-linear", "multi-layer", "weighted-linear"]
HEADS: dict[str, str] = {"linear": "Linear", "non-linear": "Non-Linear", "multi-layer": "Multi-Layer"}  # the paper's
WIDTH = 256  # m in the paper


def averages(lengths: Int[Tensor, " files"], frames: int) -> Float[Tensor, "files frames"]:
    """Weights that average packed frames over each file: `averages(lengths, len(x)) @ x` is (files, width) for x (frames, width).

    Parameters
    ----------
    lengths : frames of each file, at least 1.
    frames : number of packed frames, padding after the last file included.

    Returns
    -------
    (files, frames): 1 / length at a file's own frames, 0 elsewhere.
    """
    ends = lengths.cumsum(0)[:, None]
    places = torch.arange(frames, device=lengths.device)
    return ((places >= ends - lengths[:, None]) & (places < ends)) / lengths[:, None]


def mean_over_files(frames: Float[Tensor, "frames width"], lengths: Tensor) -> Float[Tensor, "files width"]:
    """Mean of each file's frames; `lengths` (files,) counts them, or is what `averages` makes of such counts."""
    if lengths.dim() == 2:
        return lengths @ frames
    if frames.is_cuda:  # where sums by index come out differently from run to run
        return averages(lengths, len(frames)) @ frames
    which = torch.repeat_interleave(torch.arange(len(lengths), device=frames.device), lengths)
    total = frames.new_zeros(len(lengths), frames.shape[1]).index_add_(0, which, frames)
    return total / lengths[:, None]


class LinearHead(nn.Module):
    """linear to 256 for each frame, mean over frames, linear to classes (section 3.1)."""

    def __init__(self, width: int, classes: int):
        super().__init__()
        self.project, self.classify = nn.Linear(width, WIDTH), nn.Linear(WIDTH, classes)

    def forward(self, frames: Float[Tensor, "frames width"], lengths: Tensor) -> Float[Tensor, "files classes"]:
        # The mean first, which is the same for linear layers and many times less to do.
        return self.classify(self.project(mean_over_files(frames, lengths)))


class NonLinearHead(nn.Module):
    """For each frame linear, ReLU, dropout, twice, and linear; mean over frames; linear, ReLU, linear to classes (section 3.2)."""

    def __init__(self, width: int, classes: int, dropout: float = 0.1):
        super().__init__()
        self.frame1, self.frame2, self.frame3 = nn.Linear(width, WIDTH), nn.Linear(WIDTH, WIDTH), nn.Linear(WIDTH, WIDTH)
        self.file, self.classify, self.dropout = nn.Linear(WIDTH, WIDTH), nn.Linear(WIDTH, classes), nn.Dropout(dropout)

    def forward(self, frames: Float[Tensor, "frames width"], lengths: Tensor) -> Float[Tensor, "files classes"]:
        x = self.dropout(F.relu(self.frame1(frames)))
        x = self.frame3(self.dropout(F.relu(self.frame2(x))))
        return self.classify(F.relu(self.file(mean_over_files(x, lengths))))


class WeightedLayers(nn.Module):
    """A sum of the layers' outputs, weighted by a softmax over L trained numbers that start at 0, then a head (section 3.3)."""

    def __init__(self, layers: int, head: nn.Module):
        super().__init__()
        self.mix = nn.Parameter(torch.zeros(layers))
        self.head = head

    @property
    def layer_weights(self) -> Float[Tensor, " layers"]:
        return self.mix.softmax(dim=0)

    def forward(self, frames: Float[Tensor, "layers frames width"], lengths: Tensor) -> Float[Tensor, "files classes"]:
        mixed = (self.layer_weights @ frames.flatten(1)).view(frames.shape[1:])
        return self.head(mixed, lengths)


def build(head: Head, layers: int, width: int, classes: int, dropout: float = 0.1) -> nn.Module:
    """A head by its name, with torch's initial weights.

    Parameters
    ----------
    layers : layers of the encoder; used by "multi-layer" and "weighted-linear".
    width : numbers in a frame.
    classes : number of outputs.
    dropout : probability, used by "non-linear" and "multi-layer".

    Returns
    -------
    A module from packed frames and `lengths` to logits (files, classes). "multi-layer" and "weighted-linear" take frames of the shape
    (layers, frames, width), the others (frames, width). Lengths are frames of each file (files,), or the result of `averages`.
    """
    match head:
        case "linear":
            return LinearHead(width, classes)
        case "non-linear":
            return NonLinearHead(width, classes, dropout)
        case "multi-layer":
            return WeightedLayers(layers, NonLinearHead(width, classes, dropout))
        case "weighted-linear":
            return WeightedLayers(layers, LinearHead(width, classes))
