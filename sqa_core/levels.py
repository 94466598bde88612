"""Levels of a waveform: RMS, active speech level after ITU-T P.56, clipping, and the report that `sqa score --report` prints."""

import numpy as np
from jaxtyping import Bool, Float, Int

from .audio import Sound

# ITU-T P.56 (2011), method B
HANGOVER_S = 0.2  # a pause shorter than this counts as active
TIME_CONSTANT_S = 0.03  # of the envelope's smoothing
MARGIN_DB = 15.9  # from the threshold to the active level

CLIPPED_RUN = 3  # samples in a row at the extreme
# Quantisation steps. A parabola of which three samples lie within two steps of its top falls by at most eight to the next one, so a run
# that the sound leaves faster is no smooth peak. At full scale every run counts.
CLIPPED_STEPS = 8
FULL_SCALE = 1 - 2**-14
MAX_RUN = 1 << 20  # samples: a longer run is no clipped sound but a constant
FFT = 2048  # of the bandwidth's spectrum
BANDWIDTH_RANGE_DB = 80.0  # below the strongest band, nothing is counted as signal
SIXTEEN_BITS_DB = -101.1  # power of the rounding error of 16 bits, dBov: 2**-30 / 12, for a full scale of 1
MARGIN_TO_ROUNDING_DB = 6.0
SILENT_CHANNEL_DB = 60.0  # below the loudest channel
MIN_GAP_S = 0.05  # of exact zeros inside a sound: shorter ones are pauses between words that were gated


def level(waveform: np.ndarray) -> float:
    """RMS level in dB relative to full scale (dBov), over all channels and samples; -inf for digital silence.

    Parameters
    ----------
    waveform : Of any shape, full scale 1.

    Returns
    -------
    dBov.

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
    meter = ActiveLevel(sample_rate)
    meter.add(np.asarray(waveform).reshape(-1))
    return meter.result()


class ActiveLevel:
    """`active_level` of a sound that comes in blocks (samples,)."""

    thresholds = 2.0 ** np.arange(-15, 0)

    def __init__(self, sample_rate: int) -> None:
        self.hangover = int(np.ceil(HANGOVER_S * sample_rate))
        self.g = np.exp(-1 / (sample_rate * TIME_CONSTANT_S))
        self.state = np.zeros(2)
        self.energy, self.samples = 0.0, 0
        self.last = np.full(len(self.thresholds), -self.hangover - 1)  # sample at which the envelope was last above each threshold
        self.active = np.zeros(len(self.thresholds), int)

    def add(self, block: np.ndarray) -> None:
        """The next samples."""
        from scipy.signal import lfilter

        x = np.asarray(block, np.float64)
        self.energy += float(x @ x)
        # Two exponential averages, one after the other, as one filter.
        envelope, self.state = lfilter([(1 - self.g) ** 2], [1, -2 * self.g, self.g**2], np.abs(x), zi=self.state)
        highest = envelope.max(initial=0.0)
        end = self.samples + len(x)
        for i, threshold in enumerate(self.thresholds):
            # Runs above the threshold, and one before the block, from its first sample to the last that was above; each is active until
            # its hangover ends or the next begins.
            runs = self.samples + (runs_of(envelope >= threshold) if highest >= threshold else np.empty((0, 2), int))
            starts, ends = np.vstack([[self.samples, self.last[i] + 1], runs]).T
            active = np.minimum(np.append(starts[1:], end), ends + self.hangover) - starts
            self.active[i] += int(np.maximum(active, 0).sum())
            self.last[i] = ends[-1] - 1
        self.samples += len(x)

    def result(self) -> tuple[float, float]:
        """As `active_level`."""
        if self.energy == 0:
            return -np.inf, 0.0
        n = int(np.argmin(self.active > 0)) if not self.active.all() else len(self.active)
        levels = 10 * np.log10(self.energy / self.active[:n])
        excess = levels - 20 * np.log10(self.thresholds[:n]) - MARGIN_DB
        # The active level is the one 15.9 dB above its own threshold; the excess falls as the threshold rises.
        if not n or excess[0] < 0:
            return float(10 * np.log10(self.energy / self.samples)), 1.0
        activity = self.active[:n] / self.samples
        return float(np.interp(0.0, -excess, levels)), float(np.interp(0.0, -excess, activity))


def runs_of(true: Bool[np.ndarray, " n"]) -> Int[np.ndarray, "runs 2"]:
    """Stretches of True.

    Parameters
    ----------
    true : (n,)

    Returns
    -------
    (runs, 2): where each begins, and where it has ended.

    Examples
    --------
    >>> runs_of(np.array([True, True, False, True])).tolist()
    [[0, 2], [3, 4]]
    """
    changes = np.flatnonzero(true[1:] != true[:-1]) + 1
    edges = [0] * bool(len(true) and true[0]), changes, [len(true)] * bool(len(true) and true[-1])
    return np.concatenate(edges).astype(int).reshape(-1, 2)


def clipped_percent(waveform: Float[np.ndarray, "channels samples"]) -> float:
    """Percentage of samples in runs of at least three at a channel's own highest or lowest value, at whatever level that lies.

    A run counts if the sound leaves it by more than eight quantisation steps: a smooth peak that was rounded does not.

    Parameters
    ----------
    waveform : Full scale 1.

    Returns
    -------
    Percent of all samples.

    Examples
    --------
    >>> tone = np.round(16000 * np.sin(np.arange(8000) / 10))[None] / 32768
    >>> clipped_percent(tone), round(clipped_percent(np.clip(tone, -0.25, 0.25)), 1)
    (0.0, 65.6)
    """
    counters = [_Clipping() for _ in waveform]
    for counter, channel in zip(counters, waveform, strict=True):
        counter.add(channel)
    return 100 * float(np.mean([c.clipped() for c in counters])) / max(1, waveform.shape[1])


class _Clipping:
    """Samples in runs at the extremes of one channel that comes in blocks; a higher extreme makes what was counted before void."""

    def __init__(self) -> None:
        self.step = 0.0
        self.extremes = {1: 0.0, -1: 0.0}  # of each sign, as magnitudes
        self.counts = {1: 0, -1: 0}
        self.tail = np.zeros(0, np.float32)  # of what came last: a run that is still open, and the sample before it

    def add(self, block: np.ndarray) -> None:
        x = np.concatenate([self.tail, block])
        change = np.abs(np.diff(x))
        if not self.step and change.any():
            self.step = float(change[change > 0].min())
        for sign in self.extremes:
            highest = float((sign * x).max(initial=0.0))
            if highest > self.extremes[sign]:
                if highest > self.extremes[sign] + 1.01 * self.step:  # what was counted is no longer near the extreme
                    self.counts[sign] = 0
                self.extremes[sign] = highest
        between = np.flatnonzero(~(self._near(x, 1) | self._near(x, -1)))
        keep = int(between[-1]) if len(between) else 0
        if not any(self.extremes.values()) or len(x) - keep > MAX_RUN:
            keep = len(x)
        self._count(x[: keep + 1])
        self.tail = x[keep:]

    def _near(self, x: np.ndarray, sign: int) -> np.ndarray:
        extreme = self.extremes[sign]
        return sign * x >= extreme - 1.01 * self.step if extreme > 0 else np.zeros(len(x), bool)

    def _count(self, x: np.ndarray) -> None:
        for sign, extreme in self.extremes.items():
            near = np.concatenate([[False], self._near(x, sign), [False]])
            edges = np.flatnonzero(near[1:] != near[:-1]).reshape(-1, 2)
            for begin, end in edges[edges[:, 1] - edges[:, 0] >= CLIPPED_RUN]:
                before = sign * x[begin - 1] if begin else np.inf
                after = sign * x[end] if end < len(x) else np.inf
                if extreme >= FULL_SCALE or extreme - min(before, after) > CLIPPED_STEPS * self.step:
                    self.counts[sign] += int(end - begin)

    def clipped(self) -> int:
        """Samples in runs so far; the last run ends here."""
        self._count(self.tail)
        self.tail = np.zeros(0, np.float32)
        return sum(self.counts.values())


class _Spectrum:
    """Mean power spectrum of a mono sound that comes in blocks."""

    def __init__(self, sample_rate: int) -> None:
        self.sample_rate, self.power, self.frames = sample_rate, np.zeros(FFT // 2 + 1), 0
        self.window = np.hanning(FFT).astype(np.float32)
        self.tail = np.zeros(0, np.float32)

    def add(self, block: np.ndarray) -> None:
        from scipy.fft import rfft

        x = np.concatenate([self.tail, block]).astype(np.float32, copy=False)
        n = len(x) // FFT
        for start in range(0, n, 64):
            frames = x[start * FFT : min(n, start + 64) * FFT].reshape(-1, FFT)
            self.power += (np.abs(rfft(frames * self.window)) ** 2).sum(axis=0, dtype=np.float64)
        self.frames += n
        self.tail = x[n * FFT :]

    def bandwidth(self) -> float:
        """Highest frequency in Hz with more power than rounding to 16 bits leaves, and not 80 dB below the strongest band.

        0 for silence, NaN for less than one frame.
        """
        if not self.frames:
            return np.nan
        density = self.power / self.frames / float((self.window**2).sum())  # its mean over all bins is the sound's power
        smooth = np.convolve(density, np.ones(5) / 5, "same")
        floor = max(
            smooth.max() * 10 ** (-BANDWIDTH_RANGE_DB / 10),
            10 ** ((SIXTEEN_BITS_DB + MARGIN_TO_ROUNDING_DB) / 10),
        )
        above = np.flatnonzero(smooth > floor)
        return float(above[-1]) * self.sample_rate / FFT if len(above) else 0.0


class Report:
    """What `sqa score --report` says about a sound (channels, samples) that comes in blocks."""

    def __init__(self, sample_rate: int) -> None:
        self.sample_rate, self.samples = sample_rate, 0
        self.active, self.spectrum = ActiveLevel(sample_rate), _Spectrum(sample_rate)
        self.clipping: list[_Clipping] = []
        self.power = self.sum = self.peak = np.zeros(0)
        self.mixed_power = 0.0
        self.zeros = self.inside = self.open_zeros = 0
        self.begun = False

    def add(self, block: Float[np.ndarray, "channels samples"]) -> None:
        """The next samples, of all channels."""
        if not self.samples:
            self.clipping = [_Clipping() for _ in block]
            self.power, self.sum, self.peak = (np.zeros(len(block)) for _ in range(3))
        self.power += np.square(block, dtype=np.float64).sum(axis=1)
        self.sum += block.sum(axis=1, dtype=np.float64)
        self.peak = np.maximum(self.peak, np.abs(block).max(axis=1, initial=0.0))
        mean = block[0] if len(block) == 1 else block.mean(axis=0, dtype=np.float32)
        self.mixed_power += float(np.square(mean, dtype=np.float64).sum())
        self.active.add(mean)
        self.spectrum.add(mean)
        for counter, channel in zip(self.clipping, block, strict=True):
            counter.add(channel)
        self._silence((block == 0).all(axis=0))
        self.samples += block.shape[1]

    def _silence(self, zero: np.ndarray) -> None:
        """Runs of exact zeros between sound and sound; those at the beginning and at the end are not counted."""
        edges = np.flatnonzero(np.diff(np.concatenate([[self.open_zeros > 0], zero, [False]])))
        if self.open_zeros:  # the run that the last block ended with goes on, or ends with the first sample of this one
            edges = np.concatenate([[0], edges])
        for begin, end in edges.reshape(-1, 2):
            length = int(end - begin) + (self.open_zeros if begin == 0 else 0)
            inside = self.begun or begin > 0
            self.open_zeros = 0
            if end == len(zero):
                self.open_zeros, self.begun = length, inside
                return
            if inside and length >= MIN_GAP_S * self.sample_rate:
                self.inside += length
        self.begun |= len(zero) > 0

    def result(self) -> dict[str, float | int | str]:
        """The columns of the report, in their order (`REPORT_COLUMNS`)."""
        n, channels = max(1, self.samples), max(1, len(self.power))
        active, activity = self.active.result()
        power, peak = float(self.power.sum()) / n / channels, float(self.peak.max(initial=0.0))
        loudest = float(self.power.max(initial=0.0))
        silent = [str(i) for i, p in enumerate(self.power) if p < loudest * 10 ** (-SILENT_CHANNEL_DB / 10)]
        loss = 10 * np.log10(power / max(self.mixed_power / n, 1e-30)) if power > 0 else 0.0
        return {
            "rate_hz": self.sample_rate,
            "seconds": self.samples / self.sample_rate,
            "channels": channels,
            "level_dbov": 10 * np.log10(power) if power > 0 else -np.inf,
            "active_level_dbov": active,
            "active_percent": 100 * activity,
            "peak_dbov": 20 * np.log10(peak) if peak > 0 else -np.inf,
            "clipped_percent": 100 * float(np.mean([c.clipped() for c in self.clipping])) / n if self.clipping else 0.0,
            "dc_percent": 100 * float(np.abs(self.sum / n).max(initial=0.0)),
            "silent_channels": " ".join(silent) if loudest > 0 else "",
            "mixing_loss_db": loss,
            "silence_inside_s": self.inside / self.sample_rate,
            "bandwidth_hz": self.spectrum.bandwidth(),
        }


REPORT_COLUMNS = tuple(Report(8000).result())


def report(sound: Sound) -> dict[str, float | int | str]:
    """What can be measured of a sound with all its channels.

    Returns
    -------
    Rate in Hz, length in seconds, channels; level, active level (ITU-T P.56) and peak in dBov; active and clipped samples in percent;
    the largest channel's mean in percent of full scale (DC); channels that are silent beside the others; what mixing the channels
    costs in dB; seconds of exact zeros between sound and sound, in gaps of 50 ms or more; the effective bandwidth in Hz.
    """
    measured = Report(sound.sample_rate)
    measured.add(sound.waveform)
    return measured.result()
