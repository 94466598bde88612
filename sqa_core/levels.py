"""Levels of a waveform: RMS, active speech level after ITU-T P.56, clipping, and the report that `sqa score --report` prints."""

import numpy as np
from jaxtyping import Float

from .audio import Sound

# ITU-T P.56 (2011), method B
HANGOVER_S = 0.2  # a pause shorter than this counts as active
TIME_CONSTANT_S = 0.03  # of the envelope's smoothing
MARGIN_DB = 15.9  # from the threshold to the active level

CLIPPING_PEAK = 0.5  # quieter sounds are not searched for clipping: a few equal samples at a low peak are rounding
CLIPPED_RUN = 3  # samples in a row at the extreme


def level(waveform: np.ndarray) -> float:
    """RMS level in dB relative to full scale (dBov), over all channels and samples; -inf for digital silence.

    Examples
    --------
    >>> round(level(np.full((1, 100), 0.5)), 2)
    -6.02
    """
    power = float(np.mean(np.square(waveform, dtype=np.float64)))
    return float(10 * np.log10(power)) if power > 0 else -np.inf


def active_level(waveform: np.ndarray, sample_rate: int) -> tuple[float, float]:
    """Active speech level, ITU-T P.56 (2011) method B.

    Parameters
    ----------
    waveform : (samples,) or (1, samples)
    sample_rate : int, Hz

    Returns
    -------
    The level in dBov and the share of time that is active, in [0, 1]; (-inf, 0) for silence.

    Examples
    --------
    >>> t = np.arange(16_000) / 16_000
    >>> level_dbov, activity = active_level(0.5 * np.sin(2 * np.pi * 440 * t), 16_000)
    >>> round(level_dbov, 1), round(activity, 2)
    (-8.9, 0.98)
    """
    from scipy.signal import lfilter

    x = np.asarray(waveform, np.float64).reshape(-1)
    energy = float(x @ x)
    if energy == 0:
        return -np.inf, 0.0
    g = np.exp(-1 / (sample_rate * TIME_CONSTANT_S))
    envelope = lfilter([1 - g], [1, -g], lfilter([1 - g], [1, -g], np.abs(x)))
    hangover = int(np.ceil(HANGOVER_S * sample_rate))
    thresholds = 2.0 ** np.arange(-15, 0)
    index = np.arange(len(x))
    excess, levels, activity = [], [], []
    for threshold in thresholds:
        last = np.maximum.accumulate(np.where(envelope >= threshold, index, -hangover - 1))
        active = np.count_nonzero(index - last <= hangover)
        if active == 0:
            break
        levels.append(10 * np.log10(energy / active))
        activity.append(active / len(x))
        excess.append(levels[-1] - 20 * np.log10(threshold) - MARGIN_DB)
    # The active level is the one 15.9 dB above its own threshold; the excess falls as the threshold rises.
    if not excess or excess[0] < 0:
        return level(x), 1.0
    falling = -np.asarray(excess)
    return float(np.interp(0.0, falling, levels)), float(np.interp(0.0, falling, activity))


def clipped_percent(waveform: Float[np.ndarray, "channels samples"]) -> float:
    """Percentage of samples in runs of at least three at the sound's own extreme, if that is near full scale."""
    peak = float(np.abs(waveform).max())
    flat = np.abs(waveform) >= min(peak, 1.0) * (1 - 2**-15) if peak > CLIPPING_PEAK else np.zeros_like(waveform, bool)
    starts = flat[:, 2:] & flat[:, 1:-1] & flat[:, :-2]
    clipped = np.zeros_like(flat)
    for shift in range(CLIPPED_RUN):
        clipped[:, shift : clipped.shape[1] - 2 + shift] |= starts
    return 100 * float(clipped.mean())


def report(sound: Sound) -> dict[str, float | int]:
    """Rate in Hz, length in seconds, channels, levels in dBov, active and clipped samples in percent, of a sound with all channels."""
    waveform, sample_rate = sound
    active, activity = active_level(waveform.mean(axis=0), sample_rate)
    peak = float(np.abs(waveform).max())
    return {
        "rate_hz": sample_rate,
        "seconds": waveform.shape[1] / sample_rate,
        "channels": len(waveform),
        "level_dbov": level(waveform),
        "active_level_dbov": active,
        "active_percent": 100 * activity,
        "peak_dbov": 20 * np.log10(peak) if peak > 0 else -np.inf,
        "clipped_percent": clipped_percent(waveform),
    }
