"""HuMP-CAT (arXiv 2501.10408, paper 002): features of an encoder, MFCCs and prosody, fused in two stages of cross-attention.

The summary of the paper names the parts; sizes follow from a width of 252, what a convolution of 15 columns with a stride of 3 leaves of
HuBERT's 768. Every file has the same output alone and in a batch.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal, NamedTuple

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn
from torch.nn import functional as F

from ..errors import SettingsError

FRAMES, COLUMNS = (10, 4), (15, 3)  # kernel and stride of the convolution over an encoder's frames, and over their width
MFCC_WIDTH, PROSODY_WIDTH, CONTOURS = 39, 103, 3
STREAMS = ("encoder", "mfcc", "prosody")

Stream = Literal["encoder", "mfcc", "prosody"]
Fusion = Literal["cross-attention", "concatenation", "gate", "mean"]


@dataclass(frozen=True)
class HumpcatSettings:
    """Everything that fixes a network.

    Parameters
    ----------
    encoder_width : numbers in a frame of the encoder; 768 in HuBERT base.
    encoder_layers : how many of its layers are channels of the convolution.
    width, heads, depth : of the cross-attention; a width other than the convolution's columns adds a linear layer behind it.
    streams : which kinds of features there are.
    fusion : "cross-attention", or frame by frame a network with as many parameters on both streams joined ("concatenation"), on a gated
        sum of them ("gate") or on their mean ("mean").
    stages : 2 fuses prosody and MFCCs first, then the result and the encoder; 1 lets each stream attend to the other two at once.
    contours : F0, level and voicing frame by frame instead of 103 numbers a file, so that attention to prosody has something to choose from.
    cosine : unit weights and inputs in the last layer, as AM-Softmax needs; else a linear layer with a bias.
    """

    encoder_width: int = 768
    encoder_layers: int = 2
    width: int = 252
    heads: int = 4
    depth: int = 1
    classes: int = 4
    streams: tuple[Stream, ...] = ("encoder", "mfcc", "prosody")
    fusion: Fusion = "cross-attention"
    stages: Literal[1, 2] = 2
    contours: bool = False
    cosine: bool = True

    @property
    def columns(self) -> int:
        """What the convolution leaves of the encoder's width."""
        return (self.encoder_width - COLUMNS[0]) // COLUMNS[1] + 1


class Inputs(NamedTuple):
    """A batch of files.

    encoder : blocks of all files one after the other (`in_blocks`), so that no window of the convolution is computed for padding alone.
    mfcc : averaged to the files' steps (`averaged`). prosody : one vector per file, or contours averaged to the files' steps. steps : how
    many steps each file has, by `count_steps`. first : the first of them among those of the convolution.
    """

    encoder: Float[Tensor, "blocks across inputs"]
    mfcc: Float[Tensor, "files steps 39"]
    prosody: Float[Tensor, "files 103"] | Float[Tensor, "files steps 3"]
    steps: Int[Tensor, " files"]
    first: Int[Tensor, " files"]


def count_steps(frames: int) -> int:
    """Steps that the convolution makes of an encoder's frames; 0 if there are fewer than 10."""
    return max(0, (frames - FRAMES[0]) // FRAMES[1] + 1)


def in_blocks(layers: Float[Tensor, "layers frames width"]) -> Float[Tensor, "blocks across inputs"]:
    """An encoder's frames as the convolution takes them: cut into blocks of its stride, 4 frames by 3 columns.

    Parameters
    ----------
    layers : of one file.

    Returns
    -------
    (ceil(frames / 4), width // 3, layers * 4 * 3): the numbers of each block, with zeros after the last frame.
    """
    down, across = -(-layers.shape[1] // FRAMES[1]), layers.shape[2] // COLUMNS[1]
    filled = F.pad(layers[:, :, : across * COLUMNS[1]], (0, 0, 0, down * FRAMES[1] - layers.shape[1]))
    return filled.unflatten(2, (across, COLUMNS[1])).unflatten(1, (down, FRAMES[1])).permute(1, 3, 0, 2, 4).flatten(2).contiguous()


def averaged(frames: Float[Tensor, "frames width"], steps: int) -> Float[Tensor, "steps width"]:
    """Adaptive mean over time: divides the frames into as many stretches as there are steps, and averages each.

    Stretches are equally long up to rounding. Neighbours share a frame where a border falls inside it.

    Parameters
    ----------
    frames : at least one.
    steps : number of stretches, at least 1; may exceed the number of frames.

    Returns
    -------
    (steps, width), in the unit of `frames`.
    """
    return F.adaptive_avg_pool1d(frames.T[None], steps)[0].T


class EncoderStream(nn.Module):
    """Layers of an encoder as channels, one convolution over frames and width: (layers, frames, 768) of several files to (files, steps, 252)."""

    def __init__(self, settings: HumpcatSettings):
        super().__init__()
        self.convolution = nn.Conv2d(settings.encoder_layers, 1, (FRAMES[0], COLUMNS[0]), stride=(FRAMES[1], COLUMNS[1]))
        same = settings.columns == settings.width
        self.to_width = nn.Identity() if same else nn.Linear(settings.columns, settings.width)

    def forward(self, blocks: Float[Tensor, "blocks across inputs"], first: Int[Tensor, " files"], steps: int) -> Tensor:
        """first : of each file, its first step among all; steps : of the longest file. Steps beyond a file's end are of no meaning."""
        found = self.convolved(blocks)
        rows = first[:, None] + torch.arange(steps, device=first.device)
        return self.to_width(found[rows.clamp(max=len(found) - 1)])

    def convolved(self, blocks: Float[Tensor, "blocks across inputs"]) -> Float[Tensor, "steps columns"]:
        """What the convolution gives, as one product of matrices and a sum. On a CPU conv2d takes several times as long for a single
        channel of output (`benchmarks/humpcat.py`).

        A kernel of 10 frames by 15 columns covers 3 by 5 blocks (`in_blocks`), if it is filled up with zeros to 12 frames. Every block is
        multiplied with each of these 15 parts of the kernel. An output is the sum of its 15 products, so all outputs are the sum of 15
        shifted arrays.
        """
        high, wide = -(-FRAMES[0] // FRAMES[1]), COLUMNS[0] // COLUMNS[1]
        assert self.convolution.bias is not None
        kernel = F.pad(self.convolution.weight[0], (0, 0, 0, high * FRAMES[1] - FRAMES[0]))
        parts = kernel.unflatten(2, (wide, COLUMNS[1])).unflatten(1, (high, FRAMES[1])).permute(1, 3, 0, 2, 4).flatten(0, 1).flatten(1)
        steps, count = len(blocks) - high + 1, blocks.shape[1]
        products = (parts @ blocks.flatten(0, 1).T).unbind()
        length = steps * count - wide + 1  # up to the last block that a kernel begins with
        shifts = [row * count + column for row in range(high) for column in range(wide)]
        total = sum(product[shift : shift + length] for product, shift in zip(products, shifts, strict=True))
        return F.pad(total, (0, wide - 1)).view(steps, count)[:, : count - wide + 1] + self.convolution.bias


class MfccStream(nn.Module):
    """A bidirectional LSTM over averaged MFCCs: (files, steps, 39) to (files, steps, width). Steps beyond a file's end are of no meaning.

    Each direction is an LSTM of its own, the second on files turned round within their length: on a CPU that is several times as fast as
    torch's bidirectional one on packed sequences (`benchmarks/humpcat.py`), with as many parameters.
    """

    def __init__(self, width: int):
        super().__init__()
        self.forwards, self.backwards = (nn.LSTM(MFCC_WIDTH, width // 2, batch_first=True) for _ in range(2))

    def forward(self, mfcc: Float[Tensor, "files steps 39"], steps: Int[Tensor, " files"]) -> Float[Tensor, "files steps width"]:
        turned = (steps[:, None] - 1 - torch.arange(mfcc.shape[1], device=steps.device)).clamp(min=0)[:, :, None]

        def turn(x: Tensor) -> Tensor:
            return x.gather(1, turned.expand(-1, -1, x.shape[2]))

        return torch.cat([self.forwards(mfcc)[0], turn(self.backwards(turn(mfcc))[0])], dim=2)


class ProsodyStream(nn.Module):
    """Two layers on a file's prosody, repeated at each step, or on contours step by step."""

    def __init__(self, inputs: int, width: int):
        super().__init__()
        self.first, self.second = nn.Linear(inputs, width), nn.Linear(width, width)

    def forward(self, prosody: Tensor, steps: int) -> Float[Tensor, "files steps width"]:
        x = torch.sigmoid(self.second(F.relu(self.first(prosody))))
        return x if x.dim() == 3 else x[:, None].expand(-1, steps, -1)


class CrossAttention(nn.Module):
    """One direction: a stream's steps as queries, another's as keys and values; add and norm; two layers; add and norm. `depth` times."""

    def __init__(self, width: int, heads: int, depth: int = 1):
        super().__init__()
        self.attention = nn.ModuleList(nn.MultiheadAttention(width, heads, batch_first=True) for _ in range(depth))
        self.feed = nn.ModuleList(nn.Sequential(nn.Linear(width, 4 * width), nn.ReLU(), nn.Linear(4 * width, width)) for _ in range(depth))
        self.norms = nn.ModuleList(nn.LayerNorm(width) for _ in range(2 * depth))

    def forward(
        self, query: Float[Tensor, "files queries width"], key: Float[Tensor, "files keys width"], outside: Bool[Tensor, "files keys"]
    ) -> tuple[Float[Tensor, "files queries width"], Float[Tensor, "files queries keys"] | None]:
        """outside : keys beyond a file's end. Returns the result, and in evaluation the first layer's weights, their mean over heads."""
        weights = None
        for i, (attention, feed) in enumerate(zip(self.attention, self.feed, strict=True)):
            found, of_layer = attention(query, key, key, key_padding_mask=outside, need_weights=not self.training)
            weights = of_layer if i == 0 else weights
            query = self.norms[2 * i](query + found)
            query = self.norms[2 * i + 1](query + feed(query))
        return query, weights


class Fused(nn.Module):
    """Two streams into one. By cross-attention: each attends to the other, both results joined, a linear layer."""

    def __init__(self, settings: HumpcatSettings):
        super().__init__()
        width = settings.width
        self.fusion = settings.fusion
        if settings.fusion == "cross-attention":
            self.one = CrossAttention(width, settings.heads, settings.depth)
            self.other = CrossAttention(width, settings.heads, settings.depth)
            self.join = nn.Linear(2 * width, width)
            return
        inputs = 2 * width if settings.fusion == "concatenation" else width
        self.gate = nn.Linear(2 * width, width) if settings.fusion == "gate" else None
        wanted = fused_parameters(settings) - (2 * width * width + width if self.gate else 0)
        hidden = round((wanted - width) / (inputs + width + 1))
        self.layers = nn.Sequential(nn.Linear(inputs, hidden), nn.ReLU(), nn.Linear(hidden, width))

    def forward(
        self, a: Float[Tensor, "files steps width"], b: Float[Tensor, "files steps width"], outside: Bool[Tensor, "files steps"]
    ) -> tuple[Float[Tensor, "files steps width"], list[Tensor]]:
        """The fused stream, and the weights of a looking at b and of b looking at a, where there is attention and the network evaluates."""
        if self.fusion == "cross-attention":
            (x, first), (y, second) = self.one(a, b, outside), self.other(b, a, outside)
            return self.join(torch.cat([x, y], dim=2)), [w for w in (first, second) if w is not None]
        both = torch.cat([a, b], dim=2)
        if self.fusion == "gate":
            assert self.gate is not None
            share = torch.sigmoid(self.gate(both))
            both = share * a + (1 - share) * b
        elif self.fusion == "mean":
            both = (a + b) / 2
        return self.layers(both), []


def fused_parameters(settings: HumpcatSettings) -> int:
    """Parameters of one stage of cross-attention: what the other fusions are given too."""
    d = settings.width
    direction = settings.depth * ((4 * d * d + 4 * d) + (8 * d * d + 5 * d) + 4 * d)
    return 2 * direction + 2 * d * d + d


class OneStage(nn.Module):
    """Three streams into one: each attends to the other two, one after the other in time, all results joined, a linear layer."""

    def __init__(self, settings: HumpcatSettings):
        super().__init__()
        self.directions = nn.ModuleList(CrossAttention(settings.width, settings.heads, settings.depth) for _ in settings.streams)
        self.join = nn.Linear(len(settings.streams) * settings.width, settings.width)

    def forward(self, streams: list[Tensor], outside: Bool[Tensor, "files steps"]) -> tuple[Tensor, list[Tensor]]:
        found, weights = [], []
        for i, direction in enumerate(self.directions):
            others = [x for j, x in enumerate(streams) if j != i]
            x, w = direction(streams[i], torch.cat(others, dim=1), outside.repeat(1, len(others)))
            found.append(x)
            weights += [w] if w is not None else []
        return self.join(torch.cat(found, dim=2)), weights


class CosineHead(nn.Module):
    """Cosines between a file's vector and one trained vector per class, without a bias: what AM-Softmax takes."""

    def __init__(self, inputs: int, classes: int):
        super().__init__()
        self.weight = nn.Parameter(nn.init.xavier_normal_(torch.empty(classes, inputs)))

    def forward(self, x: Float[Tensor, "files inputs"]) -> Float[Tensor, "files classes"]:
        return F.normalize(x, dim=1) @ F.normalize(self.weight, dim=1).T


class Humpcat(nn.Module):
    """The whole network: features of a batch of files to cosines (or logits) of the classes."""

    def __init__(self, settings: HumpcatSettings = HumpcatSettings()):
        super().__init__()
        self.settings = s = settings
        if not s.streams or not set(s.streams) <= set(STREAMS) or len(set(s.streams)) < len(s.streams):
            raise SettingsError(f"Streams are {', '.join(STREAMS)}, each once at most; {', '.join(s.streams) or 'none'} cannot be used.")
        self.encoder = EncoderStream(s) if "encoder" in s.streams else None
        self.mfcc = MfccStream(s.width) if "mfcc" in s.streams else None
        self.prosody = ProsodyStream(CONTOURS if s.contours else PROSODY_WIDTH, s.width) if "prosody" in s.streams else None
        self.fuse: nn.ModuleList = nn.ModuleList()
        if s.stages == 1 and len(s.streams) > 2:
            if s.fusion != "cross-attention":
                raise SettingsError(f"One stage is defined for cross-attention, not for {s.fusion}.")
            self.fuse.append(OneStage(s))
        else:
            self.fuse.extend(Fused(s) for _ in range(len(s.streams) - 1))
        self.classify = CosineHead(2 * s.width, s.classes) if s.cosine else nn.Linear(2 * s.width, s.classes)
        # What is subtracted from the inputs and what they are divided by; a network takes them along when it is moved to another corpus.
        prosody = CONTOURS if s.contours else PROSODY_WIDTH
        for name, shape in (("encoder", (s.encoder_layers, 1, s.encoder_width)), ("mfcc", (MFCC_WIDTH,)), ("prosody", (prosody,))):
            self.register_buffer(f"{name}_shift", torch.zeros(shape))
            self.register_buffer(f"{name}_scale", torch.ones(shape))

    def scale_inputs(self, **moments: tuple[Tensor, Tensor]) -> None:
        """Set mean and standard deviation of inputs, by the names of streams; where the deviation is 0 an input is only shifted."""
        for name, (mean, deviation) in moments.items():
            shift, scale = self.get_buffer(f"{name}_shift"), self.get_buffer(f"{name}_scale")
            mean, deviation = (F.pad(x, (0, shift.shape[-1] - x.shape[-1])) for x in (mean, deviation))  # columns that no kernel reaches
            shift.copy_(mean.view(shift.shape))
            scale.copy_(torch.where(deviation > 0, deviation, 1.0).view(scale.shape))

    def _scaled(self, name: str, x: Tensor) -> Tensor:
        """Scaled inputs; what is not a number becomes 0, the mean."""
        return ((x - self.get_buffer(f"{name}_shift")) / self.get_buffer(f"{name}_scale")).nan_to_num(nan=0.0)

    def forward(self, inputs: Inputs) -> Float[Tensor, "files classes"]:
        return self.looked_at(inputs)[0]

    def looked_at(self, inputs: Inputs) -> tuple[Float[Tensor, "files classes"], dict[str, Float[Tensor, "files queries keys"]]]:
        """As `forward`, with the weights of each direction of attention by its name, such as "prosody on mfcc" (queries first); none while
        the network trains."""
        length = inputs.mfcc.shape[1]
        outside = torch.arange(length, device=inputs.steps.device)[None] >= inputs.steps[:, None]
        streams: dict[str, Tensor] = {}
        if self.prosody is not None:
            streams["prosody"] = self.prosody(self._scaled("prosody", inputs.prosody), length)
        if self.mfcc is not None:
            streams["mfcc"] = self.mfcc(self._scaled("mfcc", inputs.mfcc), inputs.steps)
        if self.encoder is not None:
            moments = (self.get_buffer(f"encoder_{name}") for name in ("shift", "scale"))
            shift, scale = (in_blocks(x.expand(-1, FRAMES[1], -1)) for x in moments)
            streams["encoder"] = self.encoder((inputs.encoder - shift).div_(scale), inputs.first, length)
        fused, weights = self._fused(streams, outside)
        return self.classify(mean_and_variance(fused, ~outside)), weights

    def _fused(self, streams: dict[str, Tensor], outside: Tensor) -> tuple[Tensor, dict[str, Tensor]]:
        names, values = list(streams), list(streams.values())
        if len(self.fuse) == 1 and isinstance(self.fuse[0], OneStage):
            x, weights = self.fuse[0](values, outside)
            return x, dict(zip((f"{name} on the others" for name in names), weights, strict=False))
        x, said = values[0], names[0]
        found: dict[str, Tensor] = {}
        for fuse, name, other in zip(self.fuse, names[1:], values[1:], strict=True):
            x, weights = fuse(x, other, outside)
            found |= dict(zip((f"{said} on {name}", f"{name} on {said}"), weights, strict=False))
            said = f"{said} with {name}"
        return x, found

    def parts(self) -> dict[str, int]:
        """Parameters of each part, by its name; parts that are not there are left out."""
        named: Iterable[tuple[str, nn.Module | None]] = [
            ("encoder: convolution", self.encoder),
            ("MFCCs: LSTM", self.mfcc),
            ("prosody: two layers", self.prosody),
            *((f"fusion {i + 1}", module) for i, module in enumerate(self.fuse)),
            ("classes", self.classify),
        ]
        return {name: sum(p.numel() for p in module.parameters()) for name, module in named if module is not None}


def mean_and_variance(x: Float[Tensor, "files steps width"], inside: Bool[Tensor, "files steps"]) -> Float[Tensor, "files both"]:
    """Mean and variance of each file's true steps, one after the other: (files, 2 * width)."""
    weight = (inside / inside.sum(dim=1, keepdim=True))[:, :, None]
    mean = (x * weight).sum(dim=1)
    return torch.cat([mean, ((x - mean[:, None]).square() * weight).sum(dim=1)], dim=1)


def entropy(weights: Float[Tensor, "files queries keys"], steps: Int[Tensor, " files"]) -> Float[Tensor, " files"]:
    """Mean entropy of each file's attention over its true queries, as a share of the largest possible.

    Parameters
    ----------
    weights : of attention; over the keys they sum to 1 for each query, and are 0 for keys of padding. There are as many keys as queries,
        or a whole multiple where several streams are keys one after the other.
    steps : true steps of each file; queries beyond them do not count.

    Returns
    -------
    (files,) from 0, where one key has all the weight, to 1 for uniform weights; NaN if the file has only one key.
    """
    repeats = weights.shape[2] // weights.shape[1]
    of_query = -torch.special.xlogy(weights, weights).sum(dim=2)
    inside = torch.arange(weights.shape[1], device=steps.device)[None] < steps[:, None]
    mean = (of_query * inside).sum(dim=1) / steps
    return torch.where(steps * repeats > 1, mean / torch.log((steps * repeats).float()), torch.nan)
