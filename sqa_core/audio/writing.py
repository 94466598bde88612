"""Sound out: 16-bit WAV, in memory or in a file."""

import io
from pathlib import Path

import numpy as np

from ..files import atomic


def wav_bytes(waveform: np.ndarray, sample_rate: int) -> bytes:
    """A 16-bit WAV file in memory; samples beyond full scale are clipped. What was read from 16 bits comes back bit for bit."""
    import soundfile

    buffer = io.BytesIO()
    integers = np.clip(np.round(np.atleast_2d(waveform) * 32768), -32768, 32767).astype(np.int16)
    soundfile.write(buffer, integers.T, sample_rate, subtype="PCM_16", format="WAV")
    return buffer.getvalue()


def write_wav(path: Path, waveform: np.ndarray, sample_rate: int) -> None:
    """`wav_bytes` into a file, written whole or not at all."""
    with atomic(path) as partial:
        partial.write_bytes(wav_bytes(waveform, sample_rate))
