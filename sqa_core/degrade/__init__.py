"""Impairments of calls and recordings: arrays in, arrays out. `basic` has noise, bands, gaps, clipping and level, `codecs` real codecs with
packet loss, `rooms` reverberation, echo and other talkers."""

from .basic import (
    BANDS,
    MASK_FADE_S,
    MASKED_SHARE,
    NOISE_SLOPES,
    TRAINING_SNR_DB,
    add_noise,
    band_limit,
    clip,
    coloured_noise,
    gaps,
    mnru,
    noise_and_mask,
    set_level,
    speech_shaped_noise,
)
from .codecs import CODECS, Coded, coded, gilbert_elliott
from .rooms import Reached, competing, echo, image_sources, reverberate

__all__ = [
    "BANDS",
    "CODECS",
    "MASKED_SHARE",
    "MASK_FADE_S",
    "NOISE_SLOPES",
    "TRAINING_SNR_DB",
    "Coded",
    "Reached",
    "add_noise",
    "band_limit",
    "clip",
    "coded",
    "coloured_noise",
    "competing",
    "echo",
    "gaps",
    "gilbert_elliott",
    "image_sources",
    "mnru",
    "noise_and_mask",
    "reverberate",
    "set_level",
    "speech_shaped_noise",
]
