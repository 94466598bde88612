"""AST with a head for each dimension of quality, on sounds of any length up to 12 s (Gong et al., Interspeech 2021; paper 000).

Plain modules instead of transformers' `ASTModel`, which has no mask: here the patches of padding take no part, so a sound has the same
score alone and in a batch. The weights are the same, and `load_ast` takes those of a trained `ASTModel`.
"""

import json
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float, Int
from pydantic import TypeAdapter, ValidationError
from torch import Tensor, nn

from ..errors import WeightsError
from ..files import atomic
from ..spectrogram import MelSettings
from . import untrusted
from .nisqa import DIMENSIONS

PATCH = 16  # bands and frames


@dataclass(frozen=True)
class TransformerSettings:
    """Everything that fixes a network and its front end. `max_frames` : of 10 ms; longer sounds are cut."""

    outputs: tuple[str, ...] = DIMENSIONS
    width: int = 768
    blocks: int = 12
    heads: int = 12
    stride: int = 10  # from patch to patch, in bands and in frames
    max_frames: int = 1200
    mel: MelSettings = field(default_factory=lambda: MelSettings(sample_rate=48_000, n_fft=2048, win_s=0.025, n_mels=128, fmax=24_000.0))


SIZES = {"ast": TransformerSettings(), "ast-small": TransformerSettings(width=128, blocks=4, heads=4)}


class Block(nn.Module):
    """Layer norm and attention, layer norm and two layers with GELU, each added to what came in."""

    def __init__(self, width: int, heads: int):
        super().__init__()
        self.heads = heads
        self.norm1, self.norm2 = nn.LayerNorm(width, eps=1e-12), nn.LayerNorm(width, eps=1e-12)
        self.in_proj, self.out_proj = nn.Linear(width, 3 * width), nn.Linear(width, width)
        self.linear1, self.linear2 = nn.Linear(width, 4 * width), nn.Linear(4 * width, width)

    def forward(
        self, x: Float[Tensor, "batch tokens width"], valid: Bool[Tensor, "batch tokens"] | None
    ) -> Float[Tensor, "batch tokens width"]:
        q, k, v = self._projected(x)
        mask = None if valid is None else valid[:, None, None]
        attended = F.scaled_dot_product_attention(q, k, v, attn_mask=mask).transpose(1, 2).flatten(2)
        x = x + self.out_proj(attended)
        return x + self.linear2(F.gelu(self.linear1(self.norm2(x))))

    def attention(
        self, x: Float[Tensor, "batch tokens width"], valid: Bool[Tensor, "batch tokens"] | None
    ) -> Float[Tensor, "batch heads tokens tokens"]:
        """The weights with which each token takes from each other one, in explanations; `forward` never holds them."""
        q, k, _ = self._projected(x)
        weights = q @ k.transpose(-2, -1) / q.shape[-1] ** 0.5
        return (weights if valid is None else weights.masked_fill(~valid[:, None, None], -torch.inf)).softmax(dim=-1)

    def _projected(self, x: Tensor) -> Tensor:
        """Queries, keys and values: (3, batch, heads, tokens, width of a head)."""
        return self.in_proj(self.norm1(x)).unflatten(-1, (3, self.heads, -1)).permute(2, 0, 3, 1, 4)


class QualityTransformer(nn.Module):
    """Mel spectrograms (normalised) to one row of scores a sound."""

    def __init__(self, settings: TransformerSettings):
        super().__init__()
        self.settings = s = settings
        self.rows, self.columns = ((n - PATCH) // s.stride + 1 for n in (s.mel.n_mels, s.max_frames))
        self.patches = nn.Conv2d(1, s.width, PATCH, stride=s.stride)
        self.tokens = nn.Parameter(torch.zeros(1, 2, s.width))  # class and distillation token
        self.positions = nn.Parameter(torch.zeros(1, self.rows * self.columns + 2, s.width))
        self.blocks = nn.ModuleList(Block(s.width, s.heads) for _ in range(s.blocks))
        self.norm = nn.LayerNorm(s.width, eps=1e-12)
        self.heads = nn.ModuleList(nn.Linear(s.width, 1) for _ in s.outputs)
        self.mean: Tensor  # of the training material, in dB; kept with the weights
        self.std: Tensor
        self.register_buffer("mean", torch.zeros(()))
        self.register_buffer("std", torch.ones(()))
        for parameter in (self.tokens, self.positions):
            nn.init.trunc_normal_(parameter, std=0.02)

    def forward(self, mels: Float[Tensor, "batch frames mels"], lengths: Int[Tensor, " batch"]) -> Float[Tensor, "batch outputs"]:
        """`lengths` counts the true frames of each sound; frames after them are ignored. A sound shorter than a patch is one patch, filled
        with the quietest level."""
        x, valid = self.embedded(mels, lengths)
        for block in self.blocks:
            x = block(x, valid)
        pooled = self.norm(x[:, :2]).mean(dim=1)
        return torch.cat([head(pooled) for head in self.heads], dim=1)

    def embedded(
        self, mels: Float[Tensor, "batch frames mels"], lengths: Int[Tensor, " batch"]
    ) -> tuple[Float[Tensor, "batch tokens width"], Bool[Tensor, "batch tokens"] | None]:
        """What the first block gets: two tokens, then the patches row by row (low bands first), and which of them are valid."""
        s = self.settings
        if int(lengths.min()) < PATCH:
            mels = torch.stack([_one_patch(mel, int(n)) for mel, n in zip(mels, lengths, strict=True)])
        normalised = (mels[:, : s.max_frames] - self.mean) / (2 * self.std)  # AST's convention: a standard deviation of one half
        x = self.patches(normalised.transpose(1, 2)[:, None])
        rows, columns = x.shape[2:]
        x = x.flatten(2).transpose(1, 2)
        grid = self.positions[:, 2:].unflatten(1, (self.rows, self.columns))[:, :, :columns].flatten(1, 2)
        tokens = self.tokens + self.positions[:, :2]
        x = torch.cat([tokens.expand(len(x), -1, -1), x + grid], dim=1)
        return x, self.valid(lengths, rows, columns)

    def valid(self, lengths: Int[Tensor, " batch"], rows: int, columns: int) -> Bool[Tensor, "batch tokens"] | None:
        """True for the tokens and for the patches that hold frames of the sound; None where that is all of them."""
        count = (lengths.clamp(max=self.settings.max_frames) - PATCH).div(self.settings.stride, rounding_mode="floor") + 1
        columns_in = torch.arange(columns, device=lengths.device)[None] < count[:, None].clamp(min=1)
        if columns_in.all():
            return None
        patches = columns_in[:, None].expand(-1, rows, -1).flatten(1)
        return torch.cat([patches.new_ones(len(patches), 2), patches], dim=1)


FILE = "transformer.safetensors"  # of a network's weights in its folder
LARGEST_BYTES = 800_000_000  # twice the full size; more is not one


def save(network: QualityTransformer, path: Path, card: dict[str, str]) -> None:
    """Write a network's weights in half precision to a safetensors file, whole or not at all; `load` reads it.

    Parameters
    ----------
    path : of the file; its folder must exist.
    card : texts by name for the file's metadata. The network's settings are added under "settings".
    """
    from safetensors.torch import save_file

    state = {k: v.detach().cpu().half().contiguous() for k, v in network.state_dict().items()}
    with atomic(path) as partial:
        save_file(state, partial, metadata={**card, "settings": json.dumps(asdict(network.settings))})


def load(path: Path) -> QualityTransformer:
    """A network that `save` wrote, in evaluation mode.

    Parameters
    ----------
    path : A `.safetensors` file.

    Returns
    -------
    The network.

    Raises
    ------
    WeightsError
        Not found, damaged, of another network, or holding values that are not numbers.
    """
    state, card = untrusted.safetensors(path, LARGEST_BYTES)
    try:
        settings = TypeAdapter(TransformerSettings).validate_json(card["settings"])
    except (KeyError, ValidationError) as e:
        raise WeightsError(f"{path}: carries no settings of a network that predicts quality.") from e
    sane = 1 <= settings.blocks <= 48 and 1 <= settings.width <= 4096 and 1 <= settings.stride <= PATCH and settings.heads >= 1
    if not sane or settings.width % settings.heads or min(settings.mel.n_mels, settings.max_frames) < PATCH:
        raise WeightsError(f"{path}: its settings are those of no network.")
    with torch.device("meta"):  # settings are not trusted: compare shapes before any memory is taken
        untrusted.require_state(state, QualityTransformer(settings).state_dict(), path)
    network = QualityTransformer(settings)
    network.load_state_dict(state)
    return network.eval()


def _one_patch(mel: Float[Tensor, "frames mels"], length: int) -> Float[Tensor, "frames_or_patch mels"]:
    """A sound in a batch; one that is shorter than a patch is filled to a patch with its own quietest level."""
    if length < PATCH:
        mel = F.pad(mel, (0, 0, 0, max(0, PATCH - len(mel)))).clone()
        mel[length:PATCH] = mel[:length].min()
    return mel


def count_parameters(settings: TransformerSettings) -> int:
    """Parameters by arithmetic.

    Parameters
    ----------
    settings : Layout of the network.

    Returns
    -------
    Number of parameters.

    Examples
    --------
    >>> count_parameters(SIZES["ast"]), count_parameters(SIZES["ast-small"])
    (86356997, 1010181)
    """
    s = settings
    patches = ((s.mel.n_mels - PATCH) // s.stride + 1) * ((s.max_frames - PATCH) // s.stride + 1)
    embedding = PATCH * PATCH * s.width + s.width + 2 * s.width + (patches + 2) * s.width
    block = 12 * s.width**2 + 13 * s.width
    return embedding + s.blocks * block + 2 * s.width + len(s.outputs) * (s.width + 1)


# Names of transformers 4 to those of transformers 5.
_RENAMED = [
    (r"^encoder\.layer\.", "layers."),
    (r"attention\.attention\.(query|key|value)", lambda m: f"attention.{m[1][0]}_proj"),
    (r"attention\.output\.dense", "attention.o_proj"),
    (r"intermediate\.dense", "mlp.fc1"),
    (r"(layers\.\d+)\.output\.dense", r"\1.mlp.fc2"),
]
_OURS = {
    "attention.o_proj": "out_proj",
    "mlp.fc1": "linear1",
    "mlp.fc2": "linear2",
    "layernorm_before": "norm1",
    "layernorm_after": "norm2",
}


def load_ast(network: QualityTransformer, state: Mapping[str, Tensor]) -> None:
    """The weights of a trained transformers `ASTModel`, all but the heads, into `network`.

    state : its `state_dict()`. Positions are cut from the middle of a longer grid, as AST does, or stretched in time.

    Raises
    ------
    KeyError
        The state is not that of an `ASTModel` of this depth.
    """
    for pattern, new in _RENAMED:
        state = {re.sub(pattern, new, name): value for name, value in state.items()}  # type: ignore[call-overload]
    own = network.state_dict()
    patch = "embeddings.patch_embeddings.projection"
    own |= {f"patches.{kind}": state[f"{patch}.{kind}"] for kind in ("weight", "bias")}
    own |= {f"norm.{kind}": state[f"layernorm.{kind}"] for kind in ("weight", "bias")}
    own["tokens"] = torch.cat([state["embeddings.cls_token"], state["embeddings.distillation_token"]], dim=1)
    own["positions"] = _positions(state["embeddings.position_embeddings"], network.rows, network.columns)
    for i in range(network.settings.blocks):
        theirs, ours = f"layers.{i}", f"blocks.{i}"
        for kind in ("weight", "bias"):
            own[f"{ours}.in_proj.{kind}"] = torch.cat([state[f"{theirs}.attention.{part}_proj.{kind}"] for part in "qkv"])
            own |= {f"{ours}.{to}.{kind}": state[f"{theirs}.{name}.{kind}"] for name, to in _OURS.items()}
    network.load_state_dict(own)


def _positions(theirs: Float[Tensor, "1 tokens width"], rows: int, columns: int) -> Float[Tensor, "1 tokens width"]:
    width = theirs.shape[-1]
    grid = theirs[:, 2:].reshape(1, rows, -1, width)
    if grid.shape[2] > columns:  # AST cuts the middle out of a longer grid
        start = (grid.shape[2] - columns) // 2
        grid = grid[:, :, start : start + columns]
    elif grid.shape[2] < columns:
        grid = nn.functional.interpolate(grid.permute(0, 3, 1, 2), (rows, columns), mode="bilinear").permute(0, 2, 3, 1)
    return torch.cat([theirs[:, :2], grid.reshape(1, -1, width)], dim=1)
