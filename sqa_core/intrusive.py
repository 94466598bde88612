"""Full-reference quality measures: PESQ and ViSQOL on a pair of clean and degraded waveforms, and the alignment that they need."""

from functools import cache

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


def visqol_mos(reference: np.ndarray, degraded: np.ndarray, rate: int = RATE) -> float:
    """ViSQOL's speech mode with its lattice model, MOS-LQO from 1 to 5. reference, degraded : (samples,) at 16 kHz."""
    return float(_visqol().measure_from_arrays(reference.astype(np.float64), degraded.astype(np.float64), rate).moslqo)


@cache
def _visqol():
    from visqol import VisqolApi

    api = VisqolApi()
    api.create(mode="speech")
    return api


def aligned(reference: audio.Sound, degraded: audio.Sound, rate: int, max_lag_s: float = 0.1) -> tuple[np.ndarray, np.ndarray]:
    """Reference and degraded sound at one rate, the degraded one shifted by the lag of the largest cross-correlation.

    P.835's degraded files are filtered, changed in level, and the wide-band ones are late by some 275 samples, so a full-reference
    measure without this step measures the delay. Level and spectrum are left alone: they are part of what is measured.

    Returns
    -------
    Two arrays (samples,) of one length, at `rate` Hz.
    """
    from scipy.signal import correlate

    x, y = (audio.resample(s.waveform, s.sample_rate, rate)[0] for s in (reference, degraded))
    n = min(len(x), len(y))
    correlation = correlate(y[:n], x[:n], method="fft")
    lags = np.arange(-n + 1, n)
    near = np.abs(lags) <= max_lag_s * rate
    lag = int(lags[near][np.abs(correlation[near]).argmax()])
    x, y = (x, y[lag:]) if lag >= 0 else (x[-lag:], y)
    n = min(len(x), len(y))
    return x[:n], y[:n]
