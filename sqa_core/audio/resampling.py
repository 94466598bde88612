"""Band-limited resampling, whole or block by block with the same result."""

import importlib
import math
import sys
import threading
import types
from collections.abc import Iterable, Iterator
from functools import lru_cache
from typing import Any

import numpy as np
from jaxtyping import Float

MAX_KERNEL = 1_000_000  # 44100 to 48000 Hz needs 23,520
ZERO_CROSSINGS = 64
ROLLOFF = 0.9475937167399596  # with this window, the parameters that torchaudio documents as equal to librosa's kaiser_best
KAISER_BETA = 14.769656459379492


def import_torchaudio() -> Any:
    """torchaudio, also beside a CPU build of torch.

    The wheel on PyPI is linked against CUDA torch, so loading its compiled part beside a CPU build raises OSError.
    All that is used here is plain Python: on that error it is imported again with the compiled part said to be absent,
    a state that `torchaudio._extension` knows. transformers imports torchaudio too, so this runs before its speech models.
    """
    with _IMPORTING:  # files are read in threads: none may see a module that another has half imported
        if "torchaudio" in sys.modules:
            return sys.modules["torchaudio"]
        try:
            return importlib.import_module("torchaudio")
        except OSError:
            for name in [m for m in sys.modules if m.split(".")[0] == "torchaudio"]:
                del sys.modules[name]
        absent: Any = types.ModuleType("torchaudio._extension")
        absent._IS_TORCHAUDIO_EXT_AVAILABLE = False
        absent.fail_if_no_align = lambda function: function
        sys.modules["torchaudio._extension"] = absent
        return importlib.import_module("torchaudio")


_IMPORTING = threading.Lock()


def resample(waveform: Float[np.ndarray, "channels samples"], sample_rate: int, new_rate: int) -> np.ndarray:
    """Band-limited resampling (windowed sinc, Kaiser window, 64 zero crossings); unchanged where the rates are equal."""
    if sample_rate == new_rate:
        return waveform
    common = math.gcd(sample_rate, new_rate)
    up, down = new_rate // common, sample_rate // common
    if up * down > MAX_KERNEL:  # torchaudio's table of filters grows with their product: gigabytes at 44099 Hz
        from scipy.signal import resample_poly

        return resample_poly(waveform, up, down, axis=-1, window=_filter(max(up, down))).astype(np.float32)
    import torch

    functional = import_torchaudio().functional
    out = functional.resample(
        torch.from_numpy(np.ascontiguousarray(waveform)),
        sample_rate,
        new_rate,
        resampling_method="sinc_interp_kaiser",
        lowpass_filter_width=ZERO_CROSSINGS,
        rolloff=ROLLOFF,
        beta=KAISER_BETA,
    )
    return out.numpy()


@lru_cache(maxsize=2)
def _filter(longest: int) -> np.ndarray:
    """What `scipy.signal.resample_poly` designs for each call; at odd rates that takes longer than the filtering."""
    from scipy.signal import firwin

    return firwin(2 * 10 * longest + 1, 1 / longest, window=("kaiser", KAISER_BETA)).astype(np.float32)


def resample_blocks(blocks: Iterable[np.ndarray], sample_rate: int, new_rate: int) -> Iterator[np.ndarray]:
    """`resample` of a sound (channels, samples) that comes in blocks; together they are what the whole would give.

    Each block is resampled with as many samples before and after it as the filter reaches, from a multiple of the step at which
    the two rates meet, so that the filter's phases are those of the whole.

    Parameters
    ----------
    blocks : (channels, n) each.
    sample_rate, new_rate : Hz.

    Returns
    -------
    Blocks at the new rate.
    """
    if sample_rate == new_rate:
        yield from blocks
        return
    common = math.gcd(sample_rate, new_rate)
    up, down = new_rate // common, sample_rate // common
    reach = math.ceil(ZERO_CROSSINGS / ROLLOFF * max(1.0, sample_rate / new_rate)) + 1
    around = -(-2 * reach // down) * down
    held: np.ndarray | None = None
    first = True
    for block in blocks:
        held = block if held is None else np.concatenate([held, block], axis=1)
        before = 0 if first else around
        ready = (held.shape[1] - before - around) // down * down
        if ready < max(around, 1 << 15):
            continue
        part = resample(held[:, : before + ready + around], sample_rate, new_rate)
        yield part[:, before // down * up : (before + ready) // down * up]
        held, first = held[:, before + ready - around :], False
    if held is not None:
        yield resample(held, sample_rate, new_rate)[:, 0 if first else around // down * up :]
