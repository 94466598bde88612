"""Impairments: arrays in, arrays out, of the same shape. Any leading axes; time is the last one. Randomness comes from `rng`.

Each function names the standard or formula it follows; levels are in dB relative to full scale (dBov), ratios in dB.
"""

import numpy as np
from jaxtyping import Float
from scipy import signal

from ..errors import SettingsError
from ..levels import active_level

Waveform = Float[np.ndarray, "*batch samples"]

# Passbands in Hz: ITU-T G.712 (narrow band), P.341 (wide band), G.722.1 Annex C (super-wide band).
BANDS = {"narrowband": (300.0, 3400.0), "wideband": (50.0, 7000.0), "super-wideband": (50.0, 14_000.0)}
NOISE_SLOPES = {"white": 0.0, "pink": -1.0, "brown": -2.0}  # power ~ frequency ** slope


def set_level(waveform: Waveform, sample_rate: int, active_dbov: float = -26.0) -> Waveform:
    """Gain that brings each waveform to an active speech level (ITU-T P.56); silence stays silence."""
    levels = _each(waveform, lambda x: active_level(x, sample_rate)[0])
    gains = np.where(np.isfinite(levels), 10 ** ((active_dbov - np.where(np.isfinite(levels), levels, 0.0)) / 20), 1.0)
    return (waveform * gains[..., None]).astype(np.float32)


def add_noise(
    waveform: Waveform, sample_rate: int, noise: Float[np.ndarray, "*batch_of_noise samples_of_noise"], snr_db: float
) -> Waveform:
    """Noise at a signal-to-noise ratio: active speech level (P.56) over the noise's RMS level, as in ITU-T P.835 practice.

    noise : the same number of samples; longer noise is cut, shorter noise repeated.

    Returns
    -------
    The speech, unscaled, plus the noise; the shape of `waveform`.

    Raises
    ------
    SettingsError
        Speech or noise is silent.
    """
    n = waveform.shape[-1]
    noise = np.resize(noise, n) if noise.ndim == 1 and noise.shape[-1] < n else noise[..., :n]
    power = np.mean(np.square(noise, dtype=np.float64), axis=-1, keepdims=True)
    if not np.all(power > 0):
        raise SettingsError("The noise is silent, so no gain can bring it to a signal-to-noise ratio.")
    speech_dbov = _each(waveform, lambda x: active_level(x, sample_rate)[0])[..., None]
    if not np.all(np.isfinite(speech_dbov)):
        raise SettingsError("The speech is silent, so a signal-to-noise ratio has no meaning.")
    gain = np.sqrt(10 ** ((speech_dbov - snr_db) / 10) / power)
    return (waveform + gain * noise).astype(np.float32)


def coloured_noise(shape: tuple[int, ...], sample_rate: int, colour: str, rng: np.random.Generator, low_hz: float = 50.0) -> Waveform:
    """Gaussian noise of RMS 1 whose power falls as frequency ** 0 (white), -1 (pink) or -2 (brown) above `low_hz`; nothing below.

    Without a lower limit most of the power of brown noise would be infrasonic, and its SNR would say little about the audible part.

    Returns
    -------
    `shape`, float32, RMS 1.

    Raises
    ------
    SettingsError
        An unknown colour.
    """
    if colour not in NOISE_SLOPES:
        raise SettingsError(f"Noise is {', '.join(NOISE_SLOPES)}, not {colour!r}.")
    spectrum = np.fft.rfft(rng.standard_normal(shape))
    frequency = np.fft.rfftfreq(shape[-1], 1 / sample_rate)
    audible = frequency >= max(low_hz, frequency[1])
    spectrum[..., audible] *= frequency[audible] ** (NOISE_SLOPES[colour] / 2)
    spectrum[..., ~audible] = 0
    noise = np.fft.irfft(spectrum, shape[-1])
    return (noise / np.sqrt(np.mean(noise**2, axis=-1, keepdims=True))).astype(np.float32)


def speech_shaped_noise(speech: Float[np.ndarray, "samples"], n_samples: int, rng: np.random.Generator) -> Float[np.ndarray, "n"]:
    """Gaussian noise of RMS 1 with the long-term spectrum of `speech` (Welch's estimate, 512 bands)."""
    _, power = signal.welch(speech, nperseg=1024)
    spectrum = np.fft.rfft(rng.standard_normal(n_samples))
    position = np.linspace(0, len(power) - 1, len(spectrum))
    noise = np.fft.irfft(spectrum * np.sqrt(np.interp(position, np.arange(len(power)), power)), n_samples)
    return (noise / np.sqrt(np.mean(noise**2))).astype(np.float32)


def mnru(waveform: Waveform, q_db: float, rng: np.random.Generator) -> Waveform:
    """Modulated noise reference unit, ITU-T P.810 eq. 1: y = x (1 + 10^(-Q/20) N), N Gaussian of variance 1."""
    noise = rng.standard_normal(waveform.shape)
    return (waveform * (1 + 10 ** (-q_db / 20) * noise)).astype(np.float32)


def gaps(
    waveform: Waveform, sample_rate: int, loss: float, gap_s: float, rng: np.random.Generator, conceal: bool = False
) -> tuple[Waveform, np.ndarray]:
    """Lost frames of `gap_s` seconds, each with probability `loss`; also the mask of lost samples.

    Without concealment a gap is silence. With it, the frame before the gap is repeated, 6 dB weaker for each further lost frame:
    the simplest form of ITU-T G.711 Appendix I, without its search for the pitch. 2 ms of cosine soften the edges when concealed.

    Returns
    -------
    The waveform, and (samples,) of bool: which samples were lost.

    Raises
    ------
    SettingsError
        `loss` is not a share, or a gap is shorter than a sample.
    """
    if not 0 <= loss <= 1:
        raise SettingsError(f"loss is a share from 0 to 1, not {loss}.")
    frame = round(gap_s * sample_rate)
    if frame < 1:
        raise SettingsError(f"A gap of {gap_s} s is shorter than one sample at {sample_rate} Hz.")
    n = waveform.shape[-1]
    count = -(-n // frame)
    lost = rng.random((*waveform.shape[:-1], count)) < loss
    lost[..., 0] = False
    mask = np.repeat(lost, frame, axis=-1)[..., :n]
    if not conceal:
        return np.where(mask, 0, waveform).astype(np.float32), mask
    padded = np.concatenate([waveform, np.zeros((*waveform.shape[:-1], count * frame - n), waveform.dtype)], axis=-1)
    frames = padded.reshape(*waveform.shape[:-1], count, frame)
    index = np.arange(count)
    source = np.maximum.accumulate(np.where(lost, 0, index), axis=-1)
    repeated = np.take_along_axis(frames, source[..., None], axis=-2)
    weaker = 0.5 ** np.maximum(index - source - 1, 0)[..., None] * _soft_edges(frame, sample_rate)
    out = np.where(lost[..., None], repeated * weaker, frames)
    return out.reshape(*waveform.shape[:-1], count * frame)[..., :n].astype(np.float32), mask


def _soft_edges(frame: int, sample_rate: int) -> np.ndarray:
    edge = min(frame // 2, round(0.002 * sample_rate))
    ramp = np.sin(np.linspace(0, np.pi / 2, edge, endpoint=False)) ** 2
    return np.concatenate([ramp, np.ones(frame - 2 * edge), ramp[::-1]])


def band_limit(waveform: Waveform, sample_rate: int, low_hz: float, high_hz: float) -> Waveform:
    """Linear-phase band pass (Hamming window, transitions of 100 Hz), its delay removed. `BANDS` has the telephone bands.

    A band edge at 0 or at half the rate and above is left open.

    Returns
    -------
    The shape of `waveform`.

    Raises
    ------
    SettingsError
        The band is empty or does not fit below half the rate.
    """
    nyquist = sample_rate / 2
    if not 0 <= low_hz < high_hz or low_hz >= nyquist:
        raise SettingsError(f"A band from {low_hz} to {high_hz} Hz does not fit below {nyquist:g} Hz.")
    if low_hz == 0 and high_hz >= nyquist:
        return waveform
    taps = int(3.3 * sample_rate / 100) | 1
    if high_hz >= nyquist:
        kernel = signal.firwin(taps, low_hz, fs=sample_rate, pass_zero=False)
    else:
        kernel = signal.firwin(taps, [low_hz, high_hz] if low_hz > 0 else high_hz, fs=sample_rate, pass_zero=low_hz == 0)
    kernel = kernel.reshape((1,) * (waveform.ndim - 1) + (-1,))
    return signal.oaconvolve(waveform, kernel, mode="full", axes=-1)[..., taps // 2 : taps // 2 + waveform.shape[-1]].astype(np.float32)


def clip(waveform: Waveform, share: float) -> Waveform:
    """Hard clipping at the magnitude that `share` (0 to 1) of the samples exceed.

    Returns
    -------
    The shape of `waveform`.

    Raises
    ------
    SettingsError
        `share` is not in [0, 1).

    Examples
    --------
    >>> clip(np.array([0.1, -0.2, 0.3, -0.4], np.float32), 0.25).round(3)
    array([ 0.1  , -0.2  ,  0.3  , -0.325], dtype=float32)
    """
    if not 0 <= share < 1:
        raise SettingsError(f"share is from 0 to below 1, not {share}.")
    limit = np.quantile(np.abs(waveform), 1 - share, axis=-1, keepdims=True)
    return np.clip(waveform, -limit, limit).astype(np.float32)


def _each(waveform: np.ndarray, function) -> np.ndarray:
    flat = waveform.reshape(-1, waveform.shape[-1])
    return np.array([function(x) for x in flat]).reshape(waveform.shape[:-1])


# peft-ser's augmentation of training files
TRAINING_SNR_DB = (10.0, 30.0)
MASKED_SHARE = (0.10, 0.15)
MASK_FADE_S = 0.01  # at both ends of a mask


def noise_and_mask(waveform: Float[np.ndarray, " samples"], sample_rate: int, rng: np.random.Generator) -> Float[np.ndarray, " samples"]:
    """Gaussian noise and a time mask, as peft-ser augments its training files.

    The signal-to-noise ratio (RMS over RMS) is drawn from TRAINING_SNR_DB; then a stretch is silenced whose share of the sound is
    drawn from MASKED_SHARE, with soft edges. A silent sound stays silent.

    Parameters
    ----------
    waveform : (samples,)
    sample_rate : Hz
    rng : Draws ratio, noise and place.

    Returns
    -------
    The shape of `waveform`.
    """
    noise_rms = float(np.sqrt(np.mean(np.square(waveform, dtype=float)))) * 10 ** (-rng.uniform(*TRAINING_SNR_DB) / 20)
    noisy = waveform + noise_rms * rng.standard_normal(len(waveform))
    masked = round(len(noisy) * rng.uniform(*MASKED_SHARE))
    start = rng.integers(0, len(noisy) - masked + 1)
    edge = min(round(MASK_FADE_S * sample_rate), masked // 2)
    gain = np.zeros(masked)
    gain[:edge], gain[masked - edge :] = np.linspace(1, 0, edge, endpoint=False), np.linspace(0, 1, edge, endpoint=False)
    noisy[start : start + masked] *= gain
    return noisy.astype(np.float32)
