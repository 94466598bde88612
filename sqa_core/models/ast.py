"""Audio Spectrogram Transformer by transformers, to be trained from scratch (Gong et al., Interspeech 2021, doi:10.21437/Interspeech.2021-698)."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor, nn

from .. import audio

RATE = 16_000
BANDS = 128  # Kaldi's mel bands, windows of 25 ms every 10 ms


class Layout(NamedTuple):
    """Blocks and heads of attention, width, and the step in frames and bands between patches of 16 × 16."""

    width: int
    blocks: int
    heads: int
    stride: int


LAYOUTS = {"ast": Layout(768, 12, 12, 10), "ast-small": Layout(128, 4, 4, 16)}


def build(layout: Layout, frames: int, classes: int) -> nn.Module:
    """The network with weights as transformers starts them: (files, frames, BANDS) to `.logits` (files, classes)."""
    audio.import_torchaudio()  # before transformers, which imports it too
    from transformers import ASTConfig, ASTForAudioClassification

    config = ASTConfig(
        hidden_size=layout.width,
        num_hidden_layers=layout.blocks,
        num_attention_heads=layout.heads,
        intermediate_size=4 * layout.width,
        frequency_stride=layout.stride,
        time_stride=layout.stride,
        max_length=frames,
        num_mel_bins=BANDS,
        num_labels=classes,  # type: ignore[call-arg]  # of the base class
    )
    return ASTForAudioClassification(config)


def count_parameters(layout: Layout, frames: int = 512, classes: int = 7) -> int:
    """Of the network for so many frames and classes, without making its weights."""
    audio.import_torchaudio()  # which makes a tensor as it is imported: not on meta
    with torch.device("meta"):
        return sum(p.numel() for p in build(layout, frames, classes).parameters())


def log_mel(waveforms: Sequence[Float[np.ndarray, " samples"]], frames: int) -> Float[Tensor, "files frames bands"]:
    """Log energies of sounds at 16 kHz, cut or filled with zeros to `frames`, as AST's code does it."""
    audio.import_torchaudio()
    from transformers import ASTFeatureExtractor

    extract = ASTFeatureExtractor(max_length=frames, num_mel_bins=BANDS, do_normalize=False)
    return extract([w - w.mean() for w in waveforms], sampling_rate=RATE, return_tensors="pt").input_values
