"""Audio Spectrogram Transformer by transformers, to be trained from scratch (Gong et al., Interspeech 2021, doi:10.21437/Interspeech.2021-698)."""

from typing import NamedTuple

from torch import nn

from .. import audio
from ..spectrogram import AST_BANDS


class Layout(NamedTuple):
    """Blocks and heads of attention, width, and the step in frames and bands between patches of 16 × 16."""

    width: int
    blocks: int
    heads: int
    stride: int


LAYOUTS = {"ast": Layout(768, 12, 12, 10), "ast-small": Layout(128, 4, 4, 16)}


def build(layout: Layout, frames: int, classes: int) -> nn.Module:
    """An Audio Spectrogram Transformer with the initial weights of transformers.

    Parameters
    ----------
    layout : size of the network, such as one of `LAYOUTS`.
    frames : of each input; they fix the number of position embeddings.
    classes : number of outputs.

    Returns
    -------
    A module from spectrograms (files, frames, 128 bands) to an output whose `logits` are (files, classes).
    """
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
        num_mel_bins=AST_BANDS,
        num_labels=classes,  # type: ignore[call-arg]  # of the base class
    )
    return ASTForAudioClassification(config)


def count_parameters(layout: Layout, frames: int = 512, classes: int = 7) -> int:
    """Parameters of the network for so many frames and classes, by arithmetic.

    Parameters
    ----------
    layout : Size of the network.
    frames : Frames of the longest sound.
    classes : Number of outputs.

    Returns
    -------
    Number of parameters.

    Examples
    --------
    >>> count_parameters(LAYOUTS["ast"], frames=1024, classes=527)
    86594063
    """
    width, patch = layout.width, 16
    patches = ((AST_BANDS - patch) // layout.stride + 1) * ((frames - patch) // layout.stride + 1)
    embedding = patch * patch * width + width + 2 * width + (patches + 2) * width  # patches, two tokens, positions
    attention = 4 * (width * width + width)
    feed_forward = 2 * 4 * width * width + 4 * width + width
    norms = 2 * width
    classifier = norms + width * classes + classes
    return embedding + layout.blocks * (attention + feed_forward + 2 * norms) + norms + classifier
