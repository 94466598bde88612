"""NISQA (Mittag et al., Interspeech 2021, doi:10.21437/Interspeech.2021-299) as plain modules.

Two layouts: adaptive CNN, self-attention, attention pooling (v2.0); standard CNN with 20 outputs and a BiLSTM (2020, the layout
that the paper on explaining NISQA looks into). A segment is 48 mel bands × 15 frames; CNN, time dependency and pooling follow.
"""

from dataclasses import dataclass, field
from typing import Literal

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int
from torch import Tensor, nn

from ..spectrogram import MelSettings

DIMENSIONS = ("mos", "noi", "dis", "col", "loud")


@dataclass(frozen=True)
class NisqaSettings:
    """Everything that fixes a NISQA network and its front end."""

    layout: Literal["attention", "lstm"] = "attention"
    outputs: tuple[str, ...] = DIMENSIONS
    channels: tuple[int, int, int] = (16, 32, 64)
    features: int | None = None  # CNN outputs for each segment: 20 in the LSTM layout, None leaves the last map as it is
    features_relu: bool = False  # a ReLU on those outputs, as in the code of April 2020
    width: int = 64  # of the attention blocks; of each direction of the LSTM: 128
    pool_width: int = 128
    segment_length: int = 15
    segment_hop: int = 4
    mel: MelSettings = field(default_factory=MelSettings)


class SixConvolutions(nn.Module):
    """What both CNNs share: six 3×3 convolutions with batch norm and ReLU, max pools after the first, second and fourth.

    Each ReLU and each pool is a module of its own: attribution methods hook modules, and refuse one that is used twice.
    """

    n_features: int
    pool1: nn.Module
    pool2: nn.Module
    pool3: nn.Module

    def __init__(self, channels: tuple[int, int, int], last_padding: int | tuple[int, int]):
        super().__init__()
        c1, c2, c3 = channels
        for i, (n_in, n_out) in enumerate([(1, c1), (c1, c2), (c2, c3), (c3, c3), (c3, c3), (c3, c3)], start=1):
            self.add_module(f"conv{i}", nn.Conv2d(n_in, n_out, 3, padding=last_padding if i == 6 else 1))
            self.add_module(f"bn{i}", nn.BatchNorm2d(n_out))
            self.add_module(f"relu{i}", nn.ReLU())
        self.dropout = nn.Dropout2d(0.2)

    def stage(self, i: int, x: Tensor, pool: nn.Module | None = None) -> Tensor:
        """One convolution with its norm and ReLU, and the max pool that follows it, if any."""
        conv, norm, relu = (self.get_submodule(f"{name}{i}") for name in ("conv", "bn", "relu"))
        x = norm(conv(x))
        if pool is None:
            return relu(x)
        # Both keep the order of values, so either may come first; a pool before it leaves ReLU a quarter of the values. What is explained is
        # the network in evaluation, in the order of the paper.
        return relu(pool(x)) if self.training else pool(relu(x))

    def maps(self, x: Float[Tensor, "n 1 mels 15"]) -> Float[Tensor, "n channels height width"]:
        """The last convolution's output."""
        x = self.stage(1, x, self.pool1)
        x = self.stage(2, x, self.pool2)
        x = self.stage(3, self.dropout(x))
        x = self.stage(4, self.dropout(x), self.pool3)
        x = self.stage(5, self.dropout(x))
        return self.stage(6, self.dropout(x))


class AdaptiveCNN(SixConvolutions):
    """Adaptive max pools to 24×7, 12×5, 6×3; the last map is 6×1."""

    def __init__(self, channels: tuple[int, int, int]):
        super().__init__(channels, last_padding=(1, 0))
        self.pool1, self.pool2, self.pool3 = (nn.AdaptiveMaxPool2d(size) for size in ((24, 7), (12, 5), (6, 3)))
        self.n_features = 6 * channels[2]

    def forward(self, x: Float[Tensor, "n 1 mels 15"]) -> Float[Tensor, "n features"]:
        return self.maps(x).flatten(1)


class StandardCNN(SixConvolutions):
    """Max pools by 2; the last map is 6×2, and a linear layer brings it to `features` outputs."""

    def __init__(self, channels: tuple[int, int, int], features: int | None, relu: bool = False):
        super().__init__(channels, last_padding=1)
        self.pool1, self.pool2, self.pool3 = nn.MaxPool2d(2, padding=(0, 1)), nn.MaxPool2d(2), nn.MaxPool2d(2)
        self.n_features = features or 12 * channels[2]
        self.fc_out = nn.Linear(12 * channels[2], features) if features else nn.Identity()
        self.relu_out = nn.ReLU() if relu else nn.Identity()

    def forward(self, x: Float[Tensor, "n 1 48 15"]) -> Float[Tensor, "n features"]:
        return self.relu_out(self.fc_out(self.maps(x).flatten(1)))


class SelfAttention(nn.Module):
    """One-headed attention with the parameters of nn.MultiheadAttention, by a kernel that never holds the T × T matrix."""

    def __init__(self, width: int, dropout: float):
        super().__init__()
        self.in_proj_weight = nn.Parameter(torch.empty(3 * width, width))
        self.in_proj_bias = nn.Parameter(torch.zeros(3 * width))
        self.out_proj = nn.Linear(width, width)
        self.dropout = dropout
        nn.init.xavier_uniform_(self.in_proj_weight)
        nn.init.zeros_(self.out_proj.bias)

    def forward(self, x: Float[Tensor, "batch time width"], valid: Tensor | None) -> Float[Tensor, "batch time width"]:
        q, k, v = F.linear(x, self.in_proj_weight, self.in_proj_bias).unsqueeze(1).chunk(3, dim=-1)
        mask = None if valid is None else valid[:, None, None, :]
        x = F.scaled_dot_product_attention(q, k, v, attn_mask=mask, dropout_p=self.dropout if self.training else 0.0)
        return self.out_proj(x.squeeze(1))


class AttentionBlock(nn.Module):
    """Self-attention, add and norm; width-width with ReLU, add and norm (post-norm, dropout 0.1)."""

    def __init__(self, width: int, dropout: float = 0.1):
        super().__init__()
        self.self_attn = SelfAttention(width, dropout)
        self.linear1, self.linear2 = nn.Linear(width, width), nn.Linear(width, width)
        self.norm1, self.norm2 = nn.LayerNorm(width), nn.LayerNorm(width)
        self.dropout = nn.Dropout(dropout)

    def forward(self, x: Float[Tensor, "batch time width"], valid: Tensor | None) -> Float[Tensor, "batch time width"]:
        x = self.norm1(x + self.dropout(self.self_attn(x, valid)))
        return self.norm2(x + self.dropout(self.linear2(self.dropout(F.relu(self.linear1(x))))))


class AttentionOverTime(nn.Module):
    """Linear to `width`, layer norm, two attention blocks. No positional code."""

    def __init__(self, n_in: int, width: int):
        super().__init__()
        self.linear, self.norm1 = nn.Linear(n_in, width), nn.LayerNorm(width)
        self.layers = nn.ModuleList([AttentionBlock(width), AttentionBlock(width)])

    def forward(self, x: Float[Tensor, "batch time features"], lengths: Tensor) -> Float[Tensor, "batch time width"]:
        x = self.norm1(self.linear(x))
        valid = None if len(x) == 1 else _valid(lengths, x.shape[1])
        for layer in self.layers:
            x = layer(x, valid)
        return x


class LstmOverTime(nn.Module):
    """One bidirectional LSTM in which padding takes no part.

    The original packs its batch. Here each direction starts at a true end instead: the forward one with files aligned left in the
    batch, the backward one with files aligned right. The result is the same, from plain operations.
    """

    def __init__(self, n_in: int, width: int):
        super().__init__()
        self.lstm = nn.LSTM(n_in, width, batch_first=True, bidirectional=True)

    def forward(self, x: Float[Tensor, "batch time features"], lengths: Tensor) -> Float[Tensor, "batch time twice_width"]:
        left = self.lstm(x)[0]
        time, half = x.shape[1], left.shape[-1] // 2
        padding = (time - lengths.to(x.device))[:, None]
        if not padding.any():
            return left
        steps = torch.arange(time, device=x.device)
        right = self.lstm(_taken(x, (steps - padding).clamp(min=0)))[0]
        return torch.cat([left[..., :half], _taken(right[..., half:], (steps + padding).clamp(max=time - 1))], dim=-1)


class AttentionPool(nn.Module):
    """One head: weights over time from a two-layer net, weighted mean, linear to one number."""

    def __init__(self, width: int, hidden: int):
        super().__init__()
        self.linear1, self.linear2, self.linear3 = nn.Linear(width, hidden), nn.Linear(hidden, 1), nn.Linear(width, 1)

    def forward(self, x: Float[Tensor, "batch time width"], lengths: Tensor) -> Float[Tensor, "batch 1"]:
        weights = self.linear2(F.relu(self.linear1(x))).squeeze(-1)
        weights = weights.masked_fill(~_valid(lengths, x.shape[1]), -torch.inf).softmax(dim=1)
        return self.linear3((weights.unsqueeze(1) @ x).squeeze(1))


class LastStepPool(nn.Module):
    """Last true step of the forward direction and first of the backward one, linear to one number."""

    def __init__(self, width: int):
        super().__init__()
        self.linear = nn.Linear(2 * width, 1)

    def forward(self, x: Float[Tensor, "batch time twice_width"], lengths: Tensor) -> Float[Tensor, "batch 1"]:
        half = x.shape[-1] // 2
        last = x[torch.arange(len(x), device=x.device), lengths.to(x.device) - 1, :half]
        return self.linear(torch.cat([last, x[:, 0, half:]], dim=1))


def _taken(x: Float[Tensor, "batch time width"], steps: Int[Tensor, "batch time"]) -> Float[Tensor, "batch time width"]:
    """Each file's own steps of time."""
    return x.gather(1, steps[..., None].expand(-1, -1, x.shape[-1]))


def _valid(lengths: Tensor, time: int) -> Tensor:
    return torch.arange(time, device=lengths.device)[None, :] < lengths[:, None]


class Nisqa(nn.Module):
    """The whole network: segments of a batch of files to one row of scores a file.

    `pool` has one head for each of `settings.outputs`, in that order.
    """

    def __init__(self, settings: NisqaSettings):
        super().__init__()
        self.settings = settings
        s = settings
        if s.layout == "attention":
            self.cnn: SixConvolutions = AdaptiveCNN(s.channels)
            self.time_dependency: nn.Module = AttentionOverTime(self.cnn.n_features, s.width)
            self.pool = nn.ModuleList(AttentionPool(s.width, s.pool_width) for _ in s.outputs)
        else:
            self.cnn = StandardCNN(s.channels, s.features, s.features_relu)
            self.time_dependency = LstmOverTime(self.cnn.n_features, s.width)
            self.pool = nn.ModuleList(LastStepPool(s.width) for _ in s.outputs)

    def forward(self, segments: Float[Tensor, "batch time mels length"], lengths: Int[Tensor, " batch"]) -> Float[Tensor, "batch outputs"]:
        """`lengths` counts the true segments of each file; padding after them is ignored."""
        valid = _valid(lengths, segments.shape[1])
        features = self.cnn(segments[valid].unsqueeze(1))
        padded = features.new_zeros(*valid.shape, features.shape[-1])
        padded[valid] = features
        return self.head(padded, lengths)

    def head(self, features: Float[Tensor, "batch time features"], lengths: Int[Tensor, " batch"]) -> Float[Tensor, "batch outputs"]:
        """Time dependency and pooling: from the CNN's outputs to scores."""
        x = self.time_dependency(features, lengths)
        return torch.cat([pool(x, lengths) for pool in self.pool], dim=1)
