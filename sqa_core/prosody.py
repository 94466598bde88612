"""Prosody: DisVoice's 103 static numbers of a sound, and the contours of F0, level and voicing behind them.

DisVoice (J. C. Vásquez-Correa, github.com/jcvasquezc/DisVoice, 0.1.10) describes F0, the energy of voiced and unvoiced segments, and
durations. `DISVOICE` gives its numbers; the default leaves out what its code loses.
"""

import threading
import warnings
from dataclasses import dataclass, field
from typing import Any, Literal, NamedTuple

import numpy as np
from jaxtyping import Float, Int

from . import levels
from .errors import AudioError, SettingsError

STEP_S, FRAME_S = 0.01, 0.02
MIN_HZ, MAX_HZ = 60.0, 350.0
VOICE_BIAS = -0.2  # of RAPT; below 0 it calls fewer frames voiced
PAUSE_S = 0.14  # an unvoiced stretch that is longer is a pause
MIN_S = 0.1  # RAPT needs a few windows

_LINES = tuple(f"F0{what}{name}" for name in ("avg", "std", "max", "min", "skw", "ku") for what in ("tilt", "mse"))
_F0 = (
    *("F0avg", "F0std", "F0max", "F0min", "F0skew", "F0kurt"), *_LINES,
    *("1F0mean", "1F0std", "1F0max", "1F0min", "1F0skw", "1F0ku"),
    *("lastF0avg", "lastF0std", "lastF0max", "lastF0min", "lastF0skw", "lastF0ku"),
)  # fmt: skip
_ENERGY = (
    *("avgE", "stdE", "skwE", "kurtosisE"), *(f"{name}{what}E" for what in ("tilt", "mse") for name in ("avg", "std", "skw", "kurtosis")),
    *("avg1E", "std1E", "max1E", "min1E", "skw1E", "kurtosis1E"),
    *("avglastE", "stdlastE", "maxlastE", "minlastE", "skwlastE", "kurtosislastE"),
)  # fmt: skip
_DURATIONS = tuple(f"{n}dur{kind}" for kind in ("voiced", "unvoiced", "pause") for n in ("avg", "std", "skw", "kurtosis", "max", "min"))
NAMES = (
    *_F0, *(f"{name}{kind}" for kind in ("voiced", "unvoiced") for name in _ENERGY), "Vrate", *_DURATIONS,
    *("PVU", "PU", "UVU", "VVU", "VP", "UP"),
)  # fmt: skip


@dataclass(frozen=True)
class ProsodySettings:
    """Pitch tracker, and the traps of DisVoice's code, all of which are off by default.

    Parameters
    ----------
    pitch : "rapt" (pysptk), which DisVoice's code uses, or "praat" (praat-parselmouth), which its README names.
    documented_order : F0 lines and durations in the order of DisVoice's documentation, which is not that of its code.
    drop_last : the last voiced and the last unvoiced segment do not count, nor does the last frame of a voice that lasts to the end.
    zero_few : energies are 0 where there are fewer than two segments of a kind; ratios of durations are 0 unless there are segments of
        all three kinds.
    two_durations : statistics of durations are 0 for a single segment.
    silent_db : the level of a frame of zeros, in a sound whose mean is 0; DisVoice's -1e30 decides every mean that it enters.
    keep_undefined : skewness and kurtosis of a contour that does not change are NaN, as in DisVoice with a recent SciPy, and not 0.
    running_dither : RAPT adds noise, and pysptk's generator of it has one bit of memory: after a sound with an odd number of samples the next
        one gets other noise, so the numbers of a file depend on the files before it (`prosody`'s `odd_before`). Off, every sound gets the
        same noise.
    """

    pitch: Literal["rapt", "praat"] = "rapt"
    documented_order: bool = False
    drop_last: bool = False
    zero_few: bool = False
    two_durations: bool = False
    silent_db: float = -100.0
    keep_undefined: bool = False
    running_dither: bool = field(default=False, metadata={"absent_means": True})  # records before this field had it


DISVOICE = ProsodySettings(drop_last=True, zero_few=True, two_durations=True, silent_db=-1e30, keep_undefined=True, running_dither=True)


class Prosody(NamedTuple):
    """values : (103,), in the order of `NAMES`. voiced : whether any voice was found; without it F0 is 0. segments : how many voiced
    segments, unvoiced ones, and pauses. undefined : how many values have no definition for this sound (a skewness of a constant)."""

    values: Float[np.ndarray, "103"]
    voiced: bool
    segments: tuple[int, int, int]
    undefined: int


def prosody(
    waveform: Float[np.ndarray, " samples"],
    sample_rate: int,
    settings: ProsodySettings = ProsodySettings(),
    odd_before: bool | None = None,
) -> Prosody:
    """The 103 numbers of one sound: Hz, dB against the sound's peak, and seconds. A sound without voice, and one of silence, has numbers too.

    Parameters
    ----------
    waveform : Mono, full scale 1.
    sample_rate : Hz.
    settings : Which pitch tracker, and the tool's traps, each on or off.
    odd_before : With `running_dither`, whether the sounds that DisVoice would have read before this one have an odd number of samples
        together; if it is not given, those that this process has read.

    Returns
    -------
    The numbers in the order of `NAMES`, or of DisVoice's documentation if the settings say so; and what the sound lacks.

    Raises
    ------
    AudioError
        Shorter than 0.1 s.
    """
    x = _prepared(waveform, sample_rate)
    f0 = _tracked(x, sample_rate, settings.pitch, odd_before if settings.running_dither else False)
    step = STEP_S * sample_rate
    voiced = _segments(f0 != 0, step, len(x), settings.drop_last)
    unvoiced = _segments(f0 == 0, step, len(x), settings.drop_last)
    pause = unvoiced[:, 1] - unvoiced[:, 0] > PAUSE_S * sample_rate
    kinds = (voiced, unvoiced[~pause], unvoiced[pause])
    energies = [_energy(x, segments, sample_rate, settings) for segments in kinds[:2]]
    values = np.concatenate([_of_f0(f0, settings), *energies, _durations(kinds, len(x), sample_rate, settings)])
    undefined = int(np.isnan(values).sum())
    if not settings.keep_undefined:
        values = np.nan_to_num(values, nan=0.0)
    if settings.documented_order:
        values = values[DOCUMENTED]
    return Prosody(values, bool((f0 != 0).any()), (len(kinds[0]), len(kinds[1]), len(kinds[2])), undefined)


def contours(
    waveform: Float[np.ndarray, " samples"], sample_rate: int, pitch: Literal["rapt", "praat"] = "rapt"
) -> Float[np.ndarray, "frames 3"]:
    """F0 in octaves above 100 Hz (0 without voice), level in dB against the peak (at least -100), and voicing (0 or 1), every 10 ms.
    Raises as `prosody`.

    Parameters
    ----------
    waveform : Mono, full scale 1.
    sample_rate : Hz.
    pitch : The pitch tracker.

    Returns
    -------
    (frames, 3).
    """
    x = _prepared(waveform, sample_rate)
    f0 = _tracked(x, sample_rate, pitch)
    starts = (np.arange(len(f0)) * STEP_S * sample_rate).astype(int)
    level = _levels(x, starts, np.minimum(starts + int(FRAME_S * sample_rate), len(x)), -100.0)
    octaves = np.log2(np.where(f0 > 0, f0, 100.0) / 100.0)
    return np.column_stack([octaves, np.maximum(level, -100.0), f0 > 0]).astype(np.float32)


def f0_contour(waveform: Float[np.ndarray, " samples"], sample_rate: int, pitch: str = "rapt") -> Float[np.ndarray, " frames"]:
    """F0 in Hz every 10 ms, 0 where there is no voice, between 60 and 350 Hz. Raises as `prosody`."""
    return _tracked(_prepared(waveform, sample_rate), sample_rate, pitch)


def _tracked(x: np.ndarray, sample_rate: int, pitch: str, odd_before: bool | None = False) -> np.ndarray:
    if not x.any():
        return np.zeros(-(-len(x) // int(STEP_S * sample_rate)), np.float32)
    if pitch == "rapt":
        return _RAPT((x * 2**15).astype(np.float32), sample_rate, odd_before)
    if pitch != "praat":
        raise SettingsError(f'Pitch is tracked by "rapt" or "praat", not by {pitch!r}.')
    try:
        import parselmouth
    except ImportError as e:
        raise SettingsError('Praat\'s pitch needs praat-parselmouth: pip install "sqa-core[prosody]".') from e
    found = parselmouth.Sound(x, sample_rate).to_pitch_ac(time_step=STEP_S, pitch_floor=MIN_HZ, pitch_ceiling=MAX_HZ)
    out = np.zeros(-(-len(x) // int(STEP_S * sample_rate)), np.float32)
    frames = np.round(found.xs() / STEP_S).astype(int)  # Praat's first frame starts where its window fits
    inside = (frames >= 0) & (frames < len(out))
    out[frames[inside]] = found.selected_array["frequency"][inside]
    return out


class _Rapt:
    """pysptk's RAPT, one sound at a time, since its C code keeps its state between calls: whether an odd number of samples has gone by."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.odd = False

    def __call__(self, x: np.ndarray, sample_rate: int, odd_before: bool | None) -> Float[np.ndarray, " frames"]:
        with self.lock:
            if odd_before is not None and self.odd:
                self._track(_ODD_NOISE, 16_000)
            if odd_before:  # what is kept of the noise is then that of this sound, whatever was read before it
                self._track(_ODD_NOISE, 16_000)
            return self._track(x, sample_rate)

    def _track(self, x: np.ndarray, sample_rate: int) -> np.ndarray:
        self.odd ^= bool(len(x) % 2)
        hop = int(STEP_S * sample_rate)
        return _rapt()(x, sample_rate, hop, min=MIN_HZ, max=MAX_HZ, voice_bias=VOICE_BIAS, otype="f0")


_RAPT = _Rapt()
_ODD_NOISE = np.random.default_rng(0).normal(size=1601).astype(np.float32)


def _rapt() -> Any:
    try:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", "pkg_resources is deprecated")
            from pysptk.sptk import rapt
    except ImportError as e:
        raise SettingsError('RAPT needs pysptk, and that a setuptools below 81: pip install "sqa-core[prosody]".') from e
    return rapt


def _prepared(waveform: np.ndarray, sample_rate: int) -> Float[np.ndarray, " samples"]:
    """Without its mean, at a peak of 1; silence stays as it is."""
    if len(waveform) < MIN_S * sample_rate:
        raise AudioError(f"{len(waveform) / sample_rate:.3f} s is too short for prosody; {MIN_S} s are needed.")
    x = waveform.astype(float) - np.mean(waveform, dtype=float)
    peak = np.abs(x).max()
    return x / peak if peak else x


def _segments(chosen: np.ndarray, step: float, samples: int, drop_last: bool) -> Int[np.ndarray, "segments 2"]:
    """First and last sample of each run of chosen frames. As in DisVoice a run of frames a to b is sample (a + 1) * step to (b + 1) * step."""
    runs = levels.runs_of(chosen) - [0, 1]
    if drop_last:
        runs = runs[:-1]
    return np.minimum(((runs + 1) * step).astype(int), samples)


def _levels(x: np.ndarray, starts: np.ndarray, ends: np.ndarray, silent_db: float) -> np.ndarray:
    """Mean power in dB of stretches of a sound."""
    # Not a difference of cumulative sums, which loses what is quiet after what is loud.
    squares = np.concatenate([x**2, [0.0]])
    sums = np.add.reduceat(squares, np.column_stack([starts, np.maximum(ends, starts)]).ravel())[::2] if len(starts) else np.zeros(0)
    mean = np.where(ends > starts, sums / np.maximum(ends - starts, 1), 0.0)
    return np.where(mean > 0, 10 * np.log10(np.where(mean > 0, mean, 1.0)), silent_db)


def _over_segments(values: np.ndarray, counts: np.ndarray) -> Float[np.ndarray, "segments 6"]:
    """mean, standard deviation, skewness, excess kurtosis of each segment of contours that stand one after the other; slope of the line
    fitted to it, in units a second, and the mean squared error of that line. Every segment has two values at least."""
    starts = np.concatenate([[0], np.cumsum(counts)[:-1]])

    def mean(x: np.ndarray) -> np.ndarray:
        return np.add.reduceat(x, starts) / counts

    average = mean(values)
    y = values - np.repeat(average, counts)
    m2, m3, m4 = mean(y**2), mean(y**3), mean(y**4)
    t = (np.arange(len(values)) - np.repeat(starts + (counts - 1) / 2, counts)) * STEP_S
    slope = mean(t * y) / mean(t * t)
    error = mean((y - np.repeat(slope, counts) * t) ** 2)
    return np.column_stack([average, np.sqrt(m2), *_shape(average, m2, m3, m4), slope, error])


def _shape(mean: Any, m2: Any, m3: Any, m4: Any) -> tuple[Any, Any]:
    """Skewness and excess kurtosis from central moments; NaN for a constant, by SciPy's limit for one."""
    constant = m2 <= (np.finfo(np.asarray(m2).dtype).resolution * mean) ** 2
    safe = np.where(constant, 1.0, m2)
    return np.where(constant, np.nan, m3 / safe**1.5), np.where(constant, np.nan, m4 / safe**2 - 3)


def _moments(values: np.ndarray) -> list[float]:
    """mean, standard deviation, skewness, excess kurtosis."""
    if len(values) == 0:
        return [np.nan] * 4
    y = values - values.mean()
    m2 = (y**2).mean()
    skewness, kurtosis = _shape(values.mean(), m2, (y**3).mean(), (y**4).mean())
    return [float(values.mean()), float(np.sqrt(m2)), float(skewness), float(kurtosis)]


def _six(values: np.ndarray) -> list[float]:
    """mean, standard deviation, largest, least, skewness, excess kurtosis."""
    mean, deviation, skewness, kurtosis = _moments(values)
    return [mean, deviation, float(values.max()), float(values.min()), skewness, kurtosis]


def _of_f0(f0: np.ndarray, settings: ProsodySettings) -> np.ndarray:
    """The 30 numbers of F0."""
    voiced = f0[f0 != 0]
    if len(voiced) == 0:
        return np.zeros(30)
    runs = [f0[a : b - (settings.drop_last and b == len(f0))] for a, b in levels.runs_of(f0 != 0)]
    runs = [run for run in runs if len(run)]
    longer = [run for run in runs if len(run) > 1]
    lines = _over_segments(np.concatenate(longer).astype(float), np.array([len(r) for r in longer]))[:, 4:] if longer else np.zeros((1, 2))
    slopes, errors = (_six(column) for column in lines.T)
    both = [value for pair in zip(slopes, errors, strict=True) for value in pair]
    ends = [*_six(runs[0]), *_six(runs[-1])] if runs else [0.0] * 12
    return np.array([*_six(voiced), *both, *ends])


def _energy(x: np.ndarray, segments: np.ndarray, sample_rate: int, settings: ProsodySettings) -> np.ndarray:
    """The 24 numbers of the energy of segments of one kind."""
    if len(segments) < 2 and (settings.zero_few or len(segments) == 0):
        return np.zeros(24)
    step, frame = STEP_S * sample_rate, FRAME_S * sample_rate
    counts = np.maximum(((segments[:, 1] - segments[:, 0]) / frame / (step / frame)).astype(int) - 1, 0)
    within = np.concatenate([np.arange(n) for n in counts])
    first, last = (np.repeat(column, counts) for column in segments.T)
    starts = first + (within * step).astype(int)
    level = _levels(x, starts, np.minimum(first + (within * step + frame).astype(int), last), settings.silent_db)
    several = counts > 1
    ends = _ends(level, counts, settings)
    if not several.any():
        return np.concatenate([np.full(12, np.nan if settings.zero_few else 0.0), ends])
    found = _over_segments(level[np.repeat(several, counts)], counts[several])
    return np.concatenate([found[:, :4].mean(axis=0), _moments(found[:, 4]), _moments(found[:, 5]), ends])


def _ends(level: np.ndarray, counts: np.ndarray, settings: ProsodySettings) -> np.ndarray:
    """Statistics of the first and of the last segment that have a frame. DisVoice looks past one empty last segment and no further."""
    filled = np.flatnonzero(counts)
    if len(filled) == 0:
        return np.zeros(12)
    first, last = filled[0], filled[-1]
    lost = settings.zero_few and (last == 0 or last < len(counts) - 2)
    return np.array([*_six(level[: counts[first]]), *([0.0] * 6 if lost else _six(level[len(level) - counts[last] :]))])


def _durations(kinds: tuple[np.ndarray, ...], samples: int, sample_rate: int, settings: ProsodySettings) -> np.ndarray:
    """Voiced segments a second, six statistics of the durations of each kind, six ratios of their means."""
    out, means = [sample_rate * len(kinds[0]) / samples], []
    for segments in kinds:
        seconds = (segments[:, 1] - segments[:, 0]) / sample_rate
        if len(seconds) < 2 and (settings.two_durations or len(seconds) == 0):
            out += [0.0] * 6
            means.append(0.0)
        else:
            out += [*_moments(seconds), seconds.max(), seconds.min()]
            means.append(float(seconds.mean()))
    v, u, p = means
    if settings.zero_few and not (v and u and p):
        return np.array([*out, *[0.0] * 6])
    pairs = ((p, v + u), (p, u), (u, v + u), (v, v + u), (v, p), (u, p))
    return np.array([*out, *(a / b if b else 0.0 for a, b in pairs)])


def _documented() -> np.ndarray:
    """Places in `NAMES` in the order of the documentation: lines as slopes, then errors; durations with skewness and kurtosis last."""
    order = list(range(len(NAMES)))
    order[6:18] = [*range(6, 18, 2), *range(7, 18, 2)]
    for first in (79, 85, 91):
        order[first : first + 6] = [first, first + 1, first + 4, first + 5, first + 2, first + 3]
    return np.array(order)


DOCUMENTED = _documented()
