"""JSQA's networks (Fan and Williamson, WASPAA 2025; paper 001): a 1-D CNN on the waveform, its projection head, and a head for MOS.

The summary of the paper gives 16 convolutions, a kernel of 15, 512 numbers and 26 million parameters. The encoder of CDPAM (Manocha et
al., ICASSP 2021) is such a network, so its plan is taken, and its public weights load.
"""

import pickle
from collections import OrderedDict
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any, Literal

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from .. import environment
from ..errors import SettingsError, WeightsError
from ..files import sha256
from . import encoders

RATE = 16_000
CDPAM_RATE = 22_050
FULL_SCALE = 32_768  # CDPAM takes 16-bit integers as they are
LAYERS = 16
KEPT_HALF = (3, 7, 11, 15)  # layers, from 0, after which every second sample is dropped
HIDDEN = (256, 64, 16)  # of the head for MOS
PROJECTED = 256
CDPAM_FILE = "cdpam/scratchJNDdefault_best_model.pth"
CDPAM_SHA256 = "453c8b6edee1a94f0120236156436ff28fe4d8d884485e4a67695c8e8570bdfe"

Plan = Literal["doubled", "plain"]
Embedding = Literal["half", "all"]


@dataclass(frozen=True)
class EncoderSettings:
    """Everything that fixes an encoder.

    Parameters
    ----------
    width : channels of the first layer; 64 in CDPAM (26,065,920 parameters), 8 for two cores (0.41 million).
    plan : "doubled" doubles the channels at every fourth layer, as CDPAM does; "plain" ends at 8 times the width after 5, 5 and 6 layers
        (26,065,536 parameters at width 64).
    embedding : "half" takes the first half of the last channels, as CDPAM does, "all" takes them all. At width 64 these are 512 and 1,024
        numbers of the doubled plan, and "all" of the plain one are 512.
    kept_only : compute a layer that drops every second sample only where samples are kept. In evaluation the result is the same; in
        training, batch norm then sees the kept samples alone.
    rate : Hz of the waveforms; CDPAM's weights are for 22,050.
    recompute : keep no activations for the backward pass but each layer's input, and compute them again; saves memory.
    """

    width: int = 64
    plan: Plan = "doubled"
    embedding: Embedding = "half"
    kernel: int = 15
    slope: float = 0.1
    kept_only: bool = True
    rate: int = RATE
    recompute: bool = False

    @property
    def channels(self) -> tuple[int, ...]:
        """Channels after each layer."""
        if self.plan == "plain":
            return (self.width,) * 5 + (4 * self.width,) * 5 + (8 * self.width,) * 6
        return tuple(self.width * 2 ** ((i + 1) // 4) for i in range(LAYERS))

    @property
    def size(self) -> int:
        """Numbers in an embedding."""
        return self.channels[-1] // 2 if self.embedding == "half" else self.channels[-1]


class Encoder(nn.Module):
    """Waveforms at the settings' rate, full scale 1, to embeddings: 16 convolutions, each with batch norm and leaky ReLU, and the mean over time."""

    def __init__(self, settings: EncoderSettings = EncoderSettings()):
        super().__init__()
        self.settings = settings
        channels = (1, *settings.channels)
        self.encoder = nn.ModuleList(
            nn.Conv1d(channels[i], channels[i + 1], settings.kernel, padding=settings.kernel // 2) for i in range(LAYERS)
        )
        self.ebatch = nn.ModuleList(nn.BatchNorm2d(n) for n in channels[1:])

    def forward(self, waveforms: Float[Tensor, "batch samples"]) -> Float[Tensor, "batch size"]:
        """Embeddings of waveforms of one length, 16 samples or more."""
        # As pictures of one line with the channels last, convolutions of few channels are up to four times as fast on a CPU.
        last = torch.channels_last if waveforms.device.type == "cpu" else torch.contiguous_format
        x = waveforms[:, None, None].contiguous(memory_format=last)
        for i in range(LAYERS):
            if self.settings.recompute and self.training:
                x = checkpoint(self._layer, i, x, use_reentrant=False, context_fn=partial(_contexts, self.ebatch[i]))
            else:
                x = self._layer(i, x)
        return x.mean(dim=(2, 3))[:, : self.settings.size]

    def _layer(self, i: int, x: Tensor) -> Tensor:
        convolution = self.encoder[i]
        assert isinstance(convolution, nn.Conv1d)
        stride = 2 if i in KEPT_HALF and self.settings.kept_only else 1
        x = F.conv2d(x, convolution.weight[:, :, None], convolution.bias, (1, stride), (0, self.settings.kernel // 2))
        x = F.leaky_relu(self.ebatch[i](x), self.settings.slope, inplace=True)
        return x[..., ::2] if i in KEPT_HALF and not self.settings.kept_only else x


def _contexts(norm: nn.Module) -> tuple[AbstractContextManager[None], AbstractContextManager[None]]:
    """Of a layer's first computation, and of its second."""
    return nullcontext(), _still(norm)


@contextmanager
def _still(norm: nn.Module) -> Iterator[None]:
    """Batch norm leaves its statistics as they are: a layer that is recomputed has counted its batch before."""
    assert isinstance(norm, nn.BatchNorm2d)
    held = {name: x.clone() for name, x in norm.named_buffers()}
    try:
        yield
    finally:  # torch leaves a recomputation by an exception as soon as it has what it needs
        for name, x in held.items():
            norm.get_buffer(name).copy_(x)


def projection_head(size: int = 512, dropout: float = 0.25) -> nn.Sequential:
    """CDPAM's projection head, which the variant with a head has: two linear layers, with batch norm, leaky ReLU and dropout between them.

    Parameters
    ----------
    size : numbers in an embedding.
    dropout : probability.

    Returns
    -------
    A module from (batch, size) to (batch, 256).
    """
    return nn.Sequential(
        nn.Linear(size, size), nn.BatchNorm1d(size), nn.LeakyReLU(), nn.Dropout(dropout), nn.Linear(size, PROJECTED)
    )  # fmt: skip


class QualityHead(nn.Module):
    """Four layers with leaky ReLU between them; the output is 1 + 4 times a sigmoid, so a MOS from 1 to 5."""

    def __init__(self, size: int = 512):
        super().__init__()
        sizes = (size, *HIDDEN, 1)
        self.layers = nn.ModuleList(nn.Linear(sizes[i], sizes[i + 1]) for i in range(len(sizes) - 1))

    def forward(self, embeddings: Float[Tensor, "batch size"]) -> Float[Tensor, "batch"]:
        x = embeddings
        for layer in self.layers[:-1]:
            x = F.leaky_relu(layer(x))
        return 1 + 4 * torch.sigmoid(self.layers[-1](x)[:, 0])


@dataclass(frozen=True)
class SpeechModelSettings:
    """What the head needs to know of a speech model: its rate in Hz, and the width of its frames."""

    rate: int
    size: int


class SpeechModel(nn.Module):
    """A pretrained speech model in the place of JSQA's encoder: waveforms (batch, samples) to the mean over time of its last layer."""

    def __init__(self, encoder: encoders.Encoder):
        super().__init__()
        self.of, self.model = encoder, encoder.model
        self.settings = SpeechModelSettings(encoders.RATE, encoder.width)

    def forward(self, waveforms: Float[Tensor, "batch samples"]) -> Float[Tensor, "batch size"]:
        here = replace(self.of, model=self.model, device=str(waveforms.device))  # the module may have been moved
        states = here.hidden_states(list(waveforms.cpu().numpy()))
        return torch.stack([layers[-1].mean(dim=0) for layers in states]).float().to(waveforms.device)


class Embedded(nn.Module):
    """In the place of an encoder, for embeddings (batch, size) that were computed before: it returns them. A "sound" is an embedding, a second
    long at `size` samples a second."""

    def __init__(self, size: int):
        super().__init__()
        self.settings = SpeechModelSettings(rate=size, size=size)

    def forward(self, embeddings: Float[Tensor, "batch size"]) -> Float[Tensor, "batch size"]:
        return embeddings


class Jsqa(nn.Module):
    """Encoder and head: waveforms (batch, samples) at the encoder's rate to MOS (batch,)."""

    def __init__(self, encoder: Encoder | SpeechModel | Embedded, frozen: bool = False):
        super().__init__()
        self.encoder, self.frozen = encoder, frozen
        self.head = QualityHead(encoder.settings.size)
        if frozen:
            encoder.requires_grad_(False)

    def train(self, mode: bool = True) -> "Jsqa":
        """Like `nn.Module.train`, except that a frozen encoder stays in evaluation mode, so its batch statistics do not change."""
        super().train(mode)
        if self.frozen:
            self.encoder.eval()
        return self

    def forward(self, waveforms: Float[Tensor, "batch samples"]) -> Float[Tensor, "batch"]:
        return self.head(self.encoder(waveforms))


def memory_bytes(settings: EncoderSettings, batch: int, samples: int, activation_bytes: int = 4) -> int:
    """Estimate the memory that a training step of an encoder needs.

    It counts the activations that the backward pass keeps, and weights with gradients and Adam's two moments, these in float32.

    Parameters
    ----------
    batch : number of waveforms in a step.
    samples : of each waveform.
    activation_bytes : 4 in float32, 2 in mixed precision.

    Returns
    -------
    Bytes.
    """
    length, kept, largest = samples, 0, 0
    for i, channels in enumerate(settings.channels):
        out = -(-length // 2) if i in KEPT_HALF and settings.kept_only else length
        layer = channels * out
        kept += layer if settings.recompute else 2 * layer  # the outputs of convolution and norm; the ReLU is in place
        largest = max(largest, 2 * layer)
        length = -(-length // 2) if i in KEPT_HALF else length
    with torch.device("meta"):  # takes no memory and no random numbers
        weights = sum(p.numel() for p in Encoder(settings).parameters())
    return activation_bytes * batch * (kept + largest * settings.recompute) + 16 * weights


def check_memory(settings: EncoderSettings, batch: int, samples: int, available: int, activation_bytes: int = 4) -> None:
    """Refuse a training step that does not fit. `memory_bytes` has the parameters.

    Raises
    ------
    SettingsError
        It needs more bytes than `available`; names the greatest width that fits.
    """
    needed = memory_bytes(settings, batch, samples, activation_bytes)
    if needed <= available:
        return
    fits = [
        w for w in (4, 8, 12, 16, 24, 32, 48, 64) if memory_bytes(replace(settings, width=w), batch, samples, activation_bytes) <= available
    ]
    advice = f"width {max(fits)} fits" if fits else "a smaller batch or shorter sounds may fit"
    raise SettingsError(
        f"A training step of width {settings.width} with {batch} sounds of {samples / settings.rate:g} s needs about {needed / 2**30:.1f} GiB, and "
        f"{available / 2**30:.1f} GiB are free; {advice}."
    )


# CDPAM's weights. The file is a pickle of PyTorch's old format, which torch's safe reader refuses for an opcode, so it is read by a pickle
# that knows no names but those of tensors, and only if its hash is the published file's.

_ALLOWED = {
    ("collections", "OrderedDict"): OrderedDict,
    ("torch._utils", "_rebuild_tensor_v2"): torch._utils._rebuild_tensor_v2,
    ("torch", "FloatStorage"): torch.FloatStorage,
    ("torch", "LongStorage"): torch.LongStorage,
}


class _Tensors(pickle.Unpickler):
    def find_class(self, module: str, name: str) -> Any:
        if (module, name) not in _ALLOWED:
            raise pickle.UnpicklingError(f"it names {module}.{name}")
        return _ALLOWED[module, name]


def _load(file: Any, **options: Any) -> Any:
    return _Tensors(file, **options).load()


def load_cdpam(path: Path | None = None) -> Encoder:
    """The encoder with CDPAM's public weights, trained on listeners' same/different judgements, in evaluation mode.

    It takes waveforms at 22,050 Hz with a full scale of 1: what its own code multiplies the samples by is part of the first layer here.

    Parameters
    ----------
    path : Of the checkpoint; `cdpam/` below SQA_WEIGHTS if not given.

    Returns
    -------
    The encoder.

    Raises
    ------
    WeightsError
        It is not on this machine, or is not the published file.
    """
    path = path or environment.find("weights", CDPAM_FILE)
    if path is None:
        raise WeightsError(f"CDPAM's weights are not on this machine; put {CDPAM_FILE} (PyPI: cdpam) below SQA_WEIGHTS.")
    if (found := sha256(path)) != CDPAM_SHA256:
        raise WeightsError(f"{path}: not CDPAM's published weights (SHA-256 {found[:12]}…, expected {CDPAM_SHA256[:12]}…).")
    restricted = SimpleNamespace(Unpickler=_Tensors, load=_load, __name__="restricted pickle")
    state = torch.load(path, map_location="cpu", pickle_module=restricted, weights_only=False)["state"]
    encoder = Encoder(EncoderSettings(rate=CDPAM_RATE))
    own = {key.removeprefix("base_encoder."): value for key, value in state.items() if key.startswith("base_encoder.")}
    encoder.load_state_dict(own, strict=True)
    with torch.no_grad():
        encoder.encoder[0].weight.mul_(FULL_SCALE)  # type: ignore[operator, union-attr]
    return encoder.eval()


@torch.no_grad()
def untrained(settings: EncoderSettings, sounds: Float[Tensor, "batch samples"], seed: int) -> Encoder:
    """An encoder with random weights whose batch norms have the statistics of some sounds.

    With a mean of 0 and a variance of 1, the initial values of batch norms, the biases would decide, and every sound would have the same
    embedding.

    Parameters
    ----------
    sounds : waveforms at the settings' rate with full scale 1, longer than 16 samples.
    seed : of the weights; it becomes the global seed of torch.

    Returns
    -------
    The encoder, in evaluation mode.
    """
    torch.manual_seed(seed)
    encoder = Encoder(settings).train()
    for norm in encoder.ebatch:
        norm.momentum = None  # type: ignore[assignment]  # the plain mean over what is seen
    encoder(sounds)
    return encoder.eval()
