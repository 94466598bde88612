"""Full-reference quality measures: PESQ and ViSQOL on a pair of clean and degraded waveforms, and the alignment that they need."""

from functools import cache
from typing import Literal

import numpy as np

from . import audio
from .errors import SettingsError

RATE = 16_000  # Hz, of PESQ wide band and of ViSQOL's speech mode


def pesq_mos(reference: np.ndarray, degraded: np.ndarray, rate: int = RATE) -> float:
    """PESQ wide band (ITU-T P.862.2).

    Parameters
    ----------
    reference, degraded : (samples,)
        At 16 kHz, aligned to within what PESQ aligns by itself.

    Returns
    -------
    MOS-LQO from 1.02 to 4.64; NaN where PESQ finds no utterance.

    Raises
    ------
    SettingsError
        Another rate, or the package pesq is not installed.
    """
    if rate != RATE:
        raise SettingsError(f"PESQ wide band needs {RATE} Hz, not {rate}.")
    try:
        from pesq import NoUtterancesError, pesq
    except ImportError as e:
        raise SettingsError('pesq is not installed; run `pip install "sqa-core[labels]"` (it needs a C compiler).') from e
    try:
        return float(pesq(rate, reference, degraded, "wb"))
    except NoUtterancesError:
        return float("nan")


VisqolMode = Literal["speech", "audio"]


def visqol_mos(reference: np.ndarray, degraded: np.ndarray, rate: int = RATE, mode: VisqolMode = "speech") -> float:
    """ViSQOL, MOS-LQO from 1 to 5: speech mode with its lattice model at 16 kHz, or audio mode at 48 kHz.

    Parameters
    ----------
    reference, degraded : (samples,) at `rate` Hz.
    rate : Must be the mode's own.
    mode : "speech" or "audio".

    Returns
    -------
    MOS-LQO.
    """
    return float(_visqol(mode).measure_from_arrays(reference.astype(np.float64), degraded.astype(np.float64), rate).moslqo)


@cache
def _visqol(mode: VisqolMode):
    from visqol import VisqolApi

    api = VisqolApi()
    api.create(mode=mode)
    return api


def correlation_by_lag(x: np.ndarray, y: np.ndarray, most: int) -> tuple[np.ndarray, np.ndarray]:
    """Lags from -most to most in samples, and the cross-correlation of two series of one length at each; y is late at positive lags."""
    from scipy.signal import correlate

    lags = np.arange(-len(x) + 1, len(x))
    near = np.abs(lags) <= most
    return lags[near], correlate(y, x, method="fft")[near]


def aligned(reference: audio.Sound, degraded: audio.Sound, rate: int, max_lag_s: float = 0.1) -> tuple[np.ndarray, np.ndarray]:
    """Reference and degraded sound at one rate, the degraded one shifted by the lag of the largest cross-correlation.

    P.835's degraded files are filtered, changed in level, and the wide-band ones are late by some 275 samples, so a full-reference
    measure without this step measures the delay. Level and spectrum are left alone: they are part of what is measured.

    Returns
    -------
    Two arrays (samples,) of one length, at `rate` Hz.
    """
    x, y = (audio.resample(s.waveform, s.sample_rate, rate)[0] for s in (reference, degraded))
    n = min(len(x), len(y))
    lags, correlation = correlation_by_lag(x[:n], y[:n], int(max_lag_s * rate))
    lag = int(lags[np.abs(correlation).argmax()])
    x, y = (x, y[lag:]) if lag >= 0 else (x[-lag:], y)
    n = min(len(x), len(y))
    return x[:n], y[:n]
