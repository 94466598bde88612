"""Which files of a corpus share a part of one recording, so that they must not be on two sides of a split."""

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import lru_cache, partial
from itertools import groupby
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from .. import audio
from ..threads import in_threads
from .manifest import Manifest

COARSE_HZ, FINE_HZ = 2_000, 8_000  # rates at which all files are compared, and at which a match must prove itself
MIN_SHARED_S = 0.3
MIN_ENERGY = 1e-4  # of each file, in the part that is compared: without it rounding noise is divided by the energy of silent edges
CANDIDATE = 0.1  # correlation of whole files above which a pair is examined: about the share of the files that is common
LIKELY = 0.5  # coarse correlation of the overlap above which a pair is examined at the fine rate
MAX_CONTROLS = 1_000  # pairs with one file reversed that are searched for the threshold
FINE_CONTROLS = 20  # of these, the most alike, that are compared at the fine rate
MAX_COMPARED = 3_000  # files, each with each
SEARCHED_S = 15.0  # of each file, from its start
SIZES = 1024  # transforms are of multiples of this length, so that files of similar length share their spectra
AHEAD = 16  # files that are compared before the first of them is asked for
ROWS = 32  # that are compared at once: what they take fits into the cache of a core


class SharedAudio(NamedTuple):
    """pairs : one row per pair, with file, other, speaker, "other speaker", the seconds shared and the correlation there.
    control : the highest correlation of pairs that cannot share audio. threshold : what a pair must exceed."""

    pairs: pd.DataFrame
    control: float
    threshold: float


def search(corpus: Manifest, on_file: Callable[[], None] = lambda: None) -> SharedAudio:
    """Pairs of files that share at least 0.3 s, and about a tenth of their length, of one recording.

    The first `SEARCHED_S` seconds of the files are correlated at 2 kHz, each with each; where that correlation is high, the overlap is
    correlated at 2 kHz and then at 8 kHz, where two different recordings of one sentence have little in common. Differences of the
    waveforms are compared; otherwise shared mains hum would look like shared audio. The control is the same search with one file of each
    pair reversed: it has the same spectrum and cannot share audio. The threshold is halfway between the control and 1. A corpus of more
    than MAX_COMPARED files is searched speaker by speaker.

    Parameters
    ----------
    corpus : all its files are read.
    on_file : called when all pairs of a file have been compared.

    Returns
    -------
    The pairs above the threshold, the control and the threshold.

    Raises
    ------
    AudioError
        A file cannot be read.
    """
    paths, table = corpus.paths(), corpus.table
    with ThreadPoolExecutor() as readers:
        coarse = list(readers.map(lambda path: _read(path, COARSE_HZ), paths))
    together = [table.index] if len(table) <= MAX_COMPARED else [part.index for _, part in table.groupby("speaker")]
    likeness: dict[tuple[int, int], float] = {}
    for index in together:
        likeness |= {(index[i], index[j]): alike for (i, j), alike in _alike([coarse[i] for i in index], on_file).items()}
    pairs = sorted(likeness)

    @lru_cache(maxsize=200)
    def fine(i: int) -> np.ndarray:
        return _read(paths[i], FINE_HZ)

    control = _control(pairs, coarse, fine)
    threshold = (1 + control) / 2
    rows = []
    for one, other in pairs:
        if likeness[one, other] > LIKELY:
            alike, seconds = overlap(fine(one), fine(other), FINE_HZ)
            if alike > threshold:
                names = {"file": table["file"][one], "other": table["file"][other]}
                names |= {"speaker": table["speaker"][one], "other speaker": table["speaker"][other]}
                rows.append(names | {"seconds": seconds, "correlation": alike})
    columns = ["file", "other", "speaker", "other speaker", "seconds", "correlation"]
    return SharedAudio(pd.DataFrame(rows, columns=columns), control, threshold)


def _control(pairs: list[tuple[int, int]], coarse: list[np.ndarray], fine: Callable[[int], np.ndarray]) -> float:
    """The highest fine correlation among the pairs that are most alike at the coarse rate when one file is reversed."""
    rng = np.random.default_rng(0)
    drawn = [pairs[i] for i in rng.choice(len(pairs), min(len(pairs), MAX_CONTROLS), replace=False)]
    if not drawn:  # no two files are alike at all; any two will do
        count = len(coarse)
        drawn = [(i, (i + 1) % count) for i in range(count - 1)]
    likeness = [overlap(coarse[i], coarse[j][::-1], COARSE_HZ)[0] for i, j in drawn]
    nearest = np.argsort(likeness)[::-1][:FINE_CONTROLS]
    return max((overlap(fine(drawn[n][0]), fine(drawn[n][1])[::-1], FINE_HZ)[0] for n in nearest), default=0.0)


def _read(path: Path, rate: int) -> np.ndarray:
    """The difference of the waveform; at the coarse rate the second, since mains hum is a larger part of so narrow a band."""
    sound = audio.load(path)
    samples = audio.resample(sound.waveform, sound.sample_rate, rate)[0][: int(SEARCHED_S * rate)]
    return np.diff(samples.astype(float), n=2 if rate == COARSE_HZ else 1)


def _alike(waveforms: Sequence[np.ndarray], on_file: Callable[[], None]) -> dict[tuple[int, int], float]:
    """Pairs whose largest cross-correlation, over the size of the whole files, is more than speech has by chance; for each the highest
    correlation of the overlap (as in `overlap`, at COARSE_HZ) at the shifts where that is so."""
    import torch
    from scipy.fft import next_fast_len

    order = np.argsort([-len(x) for x in waveforms], kind="stable").tolist()  # so that short ones are compared in short transforms
    sorted_ = [torch.from_numpy(waveforms[i]).float() for i in order]
    padded = torch.nn.functional.normalize(torch.nn.utils.rnn.pad_sequence(sorted_, batch_first=True), dim=1)
    # Energy up to each sample: of file i from `starts[i]` on, a number more than it has samples.
    energy = np.concatenate(
        [np.r_[0.0, np.cumsum(np.square(x[: len(y)].numpy(), dtype=float))] for x, y in zip(padded, sorted_, strict=True)]
    )
    lengths = np.array([len(x) for x in sorted_])
    starts = np.r_[0, np.cumsum(lengths + 1)[:-1]]
    found: dict[tuple[int, int], float] = {}

    def size_for(i: int) -> int:
        return next_fast_len(-(-int(lengths[i] + lengths[i + 1] - 1) // SIZES) * SIZES, real=True)

    def compared(spectra: Any, size: int, i: int) -> dict[tuple[int, int], float]:
        """File i with all shorter ones."""
        alike: dict[tuple[int, int], float] = {}
        for first in range(i + 1, len(order), ROWS):
            products = torch.fft.irfft(spectra[first : first + ROWS] * spectra[i].conj(), size).abs_()
            rows, lags = np.divmod(np.flatnonzero(products.numpy() > CANDIDATE), size)  # a tenth of the time of torch.nonzero
            if not len(rows):
                continue
            at_shifts = _at_shifts(
                products.numpy()[rows, lags], i, rows + first, lags - size * (lags >= lengths[rows + first]), lengths, starts, energy
            )
            highest = pd.Series(at_shifts).groupby(rows).max()
            alike |= {tuple(sorted((order[i], order[first + row]))): value for row, value in highest.items()}  # type: ignore[misc]
        return alike

    for size, of_size in groupby(range(len(order) - 1), size_for):
        members = list(of_size)
        spectra = torch.fft.rfft(padded[:, : lengths[members[0]]], size)
        for alike in in_threads(partial(compared, spectra, size), members, AHEAD):
            found |= alike
            on_file()
    on_file()  # the last one, all of whose pairs are done
    return found


def _at_shifts(
    products: np.ndarray, i: int, others: np.ndarray, shifts: np.ndarray, lengths: np.ndarray, starts: np.ndarray, energy: np.ndarray
) -> np.ndarray:
    """(shifts,) correlation of the parts of file i and of others that lie over each other at a shift, as `overlap` counts it."""
    begin = np.maximum(-shifts, 0)  # of the overlap, in file i
    end = np.minimum(lengths[i], lengths[others] - shifts)
    one = energy[starts[i] + end] - energy[starts[i] + begin]
    other = energy[starts[others] + end + shifts] - energy[starts[others] + begin + shifts]
    counts = (end - begin >= MIN_SHARED_S * COARSE_HZ) & (one > MIN_ENERGY) & (other > MIN_ENERGY)
    return np.where(counts, products / np.sqrt(np.where(counts, one * other, 1.0)), 0.0)


def overlap(one: np.ndarray, other: np.ndarray, rate: int) -> tuple[float, float]:
    """The largest correlation of the overlapping parts of two sounds over all shifts.

    Parts shorter than MIN_SHARED_S, or with less than MIN_ENERGY of the energy of either sound, do not count.

    Parameters
    ----------
    one, other : (samples,)
    rate : of both, Hz.

    Returns
    -------
    The correlation, from 0 to 1, and how many seconds those parts last.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> x = rng.standard_normal(3000)
    >>> correlation, seconds = overlap(x[:2000], 0.1 * x[500:], 1000)
    >>> round(correlation, 3), seconds
    (1.0, 1.5)
    """
    from scipy.signal import correlate

    dots = correlate(one, other, mode="full", method="fft")
    shifts = np.arange(-len(other) + 1, len(one))
    starts, ends = np.maximum(shifts, 0), np.minimum(len(one), shifts + len(other))
    sums = [np.concatenate([[0.0], np.cumsum(np.square(x, dtype=float))]) for x in (one, other)]
    energies = sums[0][ends] - sums[0][starts], sums[1][ends - shifts] - sums[1][starts - shifts]
    counts = ends - starts >= MIN_SHARED_S * rate
    for energy, total in zip(energies, sums, strict=True):
        counts &= energy > MIN_ENERGY * total[-1]
    sizes = np.sqrt(np.where(counts, energies[0] * energies[1], 1.0))
    alike = np.where(counts, np.abs(dots) / sizes, 0.0)
    best = int(alike.argmax())
    return min(float(alike[best]), 1.0), int(ends[best] - starts[best]) / rate
