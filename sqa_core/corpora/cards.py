"""Corpus cards: contents and known problems of a corpus, computed from any manifest."""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import pandas as pd

from .. import audio, levels
from ..files import short_hash
from ..metrics import majority_f1
from .manifest import Manifest

CLIPPED_PERCENT = 0.01  # of a file's samples in flat runs at its extreme
SILENT_EDGE_S = 0.02  # of digital silence at an end
COMPARED_HZ = 2_000  # rate at which files are searched for audio that they share
MIN_SHARED_S = 0.5
MIN_CORRELATION = 0.75  # correlation over the part that two files share
CANDIDATE = 0.15  # correlation of whole files above which a pair is examined closely: about the share of the files that is common
MAX_COMPARED = 3_000  # files, each with each
SEARCHED_S = 15.0  # of each file, from its start
ROWS = 256  # that are compared at once


def facts(corpus: Manifest, shared: pd.DataFrame | None = None) -> dict[str, Any]:
    """Numbers of a card: counts, lengths, levels, and what a reader should know before believing a score on it; `shared` is what
    `shared_audio` found."""
    table = corpus.table
    measured = pd.DataFrame([_of_file(path) for path in corpus.paths()])
    out: dict[str, Any] = {
        "files": len(table),
        "minutes": round(float(table["seconds"].sum()) / 60, 1),
        "shortest and longest, s": f"{table['seconds'].min():.2f} to {table['seconds'].max():.2f}",
        "speakers": table["speaker"].nunique(),
        "sample rates, Hz": ", ".join(map(str, sorted(table["sample_rate"].unique()))),
        "median level, dBov": round(float(measured["level_db"].median()), 1),
        "range of levels, dB": round(float(measured["level_db"].max() - measured["level_db"].min()), 1),
        "files peaking at 0 dBFS": int((measured["peak"] > 0.999).sum()),
        "clipped files (not detectable after resampling)": int((measured["clipped_percent"] > CLIPPED_PERCENT).sum()),
        "files with digital silence at an end": int(measured["silent_edge"].sum()),
        "files whose samples occur twice": int(measured["digest"].duplicated(keep=False).sum()),
    }
    if "gender" in table and table["gender"].notna().any():
        by_gender = table.drop_duplicates("speaker")["gender"].value_counts()
        out["women and men"] = f"{by_gender.get('female', 0)} and {by_gender.get('male', 0)}"
    if "emotion" in table:
        out |= _of_labels(table)
    if shared is not None:
        out["pairs of files that share audio"] = len(shared)
        across = shared[shared["speaker"] != shared["other speaker"]]
        named = sorted({" = ".join(sorted(pair)) for pair in zip(across["speaker"], across["other speaker"], strict=True)})
        out["speakers who share audio"] = ", ".join(named) or "none"
    return out


def _of_labels(table: pd.DataFrame) -> dict[str, Any]:
    counts = table["emotion"].value_counts().sort_index()
    spoken = table.groupby("speaker")["emotion"].nunique()
    labels = pd.factorize(table["emotion"])[0]
    out: dict[str, Any] = {
        "emotions": len(counts),
        "files by emotion": ", ".join(f"{name} {n}" for name, n in counts.items()),
        "macro F1 of the majority-class baseline, %": round(majority_f1(labels), 1),
        "speakers with one emotion only": f"{int((spoken == 1).sum())} of {len(spoken)}",
        "accuracy of the speaker-majority baseline, %": round(100 * group_majority_accuracy(table["emotion"], table["speaker"]), 1),
    }
    if "sentence" in table and table["sentence"].notna().any():
        shared = table.groupby("sentence")["speaker"].nunique()
        out["sentences"] = f"{len(shared)}, {int((shared > 1).sum())} of them by several speakers"
        out["accuracy of the sentence-majority baseline, %"] = round(100 * group_majority_accuracy(table["emotion"], table["sentence"]), 1)
    return out


def shared_audio(corpus: Manifest) -> pd.DataFrame:
    """Pairs of files that share a part of one recording, at least half a second and about a sixth of their length: a row a pair, with the
    seconds shared and the correlation there.

    Whole files are correlated at 2 kHz, each with each, and pairs with a high correlation are examined closely. Their second
    difference is taken first; otherwise shared mains hum would look like shared audio. A corpus of more than MAX_COMPARED files is searched
    speaker by speaker.
    """

    def read(path) -> np.ndarray:
        sound = audio.load(path)
        return np.diff(audio.resample(sound.waveform, sound.sample_rate, COMPARED_HZ)[0][: int(SEARCHED_S * COMPARED_HZ)], n=2)

    with ThreadPoolExecutor() as readers:
        waveforms = list(readers.map(read, corpus.paths()))
    table, rows = corpus.table, []
    together = [table.index] if len(table) <= MAX_COMPARED else [part.index for _, part in table.groupby("speaker")]
    for index in together:
        for i, j in _alike([waveforms[i] for i in index]):
            one, other = index[i], index[j]
            alike, samples = _best_overlap(waveforms[one], waveforms[other])
            if alike >= MIN_CORRELATION:
                row = {"file": table["file"][one], "other": table["file"][other]}
                row |= {"speaker": table["speaker"][one], "other speaker": table["speaker"][other]}
                rows.append(row | {"seconds": samples / COMPARED_HZ, "correlation": alike})
    return pd.DataFrame(rows, columns=["file", "other", "speaker", "other speaker", "seconds", "correlation"])


def _alike(waveforms: Sequence[np.ndarray]) -> list[tuple[int, int]]:
    """Pairs whose largest cross-correlation, over the size of the whole files, is more than speech has by chance."""
    import torch

    order = np.argsort([-len(x) for x in waveforms], kind="stable").tolist()  # so that short ones are compared in short transforms
    sorted_ = [torch.from_numpy(waveforms[i]) for i in order]
    padded = torch.nn.functional.normalize(torch.nn.utils.rnn.pad_sequence(sorted_, batch_first=True), dim=1)
    found, size, spectra = [], 0, padded
    for i in range(len(order) - 1):
        needed = 1 << (len(sorted_[i]) + len(sorted_[i + 1]) - 1).bit_length()
        if needed != size:
            size, spectra = needed, torch.fft.rfft(padded[:, : len(sorted_[i])], needed)
        shorter = spectra[i + 1 :].split(ROWS)
        highest = torch.cat([torch.fft.irfft(rows * spectra[i].conj(), size).abs().amax(dim=1) for rows in shorter])
        alike = torch.nonzero(highest > CANDIDATE).flatten().tolist()
        found += [tuple(sorted((order[i], order[i + 1 + j]))) for j in alike]
    return sorted(found)


def _best_overlap(one: np.ndarray, other: np.ndarray) -> tuple[float, int]:
    """Largest correlation of the overlapping parts of two sounds over all shifts, and how many samples those parts have."""
    from scipy.signal import correlate

    least = int(MIN_SHARED_S * COMPARED_HZ)
    dots = correlate(one, other, mode="full", method="fft")
    lags = np.arange(-len(other) + 1, len(one))
    starts, ends = np.maximum(lags, 0), np.minimum(len(one), lags + len(other))
    energy = [np.concatenate([[0.0], np.cumsum(np.square(x, dtype=float))]) for x in (one, other)]
    sizes = np.sqrt((energy[0][ends] - energy[0][starts]) * (energy[1][ends - lags] - energy[1][starts - lags]))
    alike = np.where(ends - starts >= least, np.abs(dots) / np.maximum(sizes, 1e-9), 0.0)
    best = int(alike.argmax())
    return float(alike[best]), int(ends[best] - starts[best])


def group_majority_accuracy(labels: pd.Series, groups: pd.Series) -> float:
    """Accuracy of predicting each group's most frequent label: what a model could reach from the group alone."""
    return float(pd.crosstab(groups, labels).max(axis=1).sum() / len(labels))


def _of_file(path) -> dict[str, Any]:
    sound = audio.load(path, channel="all")
    edge = round(SILENT_EDGE_S * sound.sample_rate)
    ends = sound.waveform[:, :edge], sound.waveform[:, -edge:]
    return {
        "level_db": levels.level(sound.waveform),
        "peak": float(abs(sound.waveform).max()),
        "clipped_percent": levels.clipped_percent(sound.waveform),
        "silent_edge": any(not np.any(e) for e in ends),
        "digest": short_hash(sound.waveform.tobytes(), 64),
    }


def table_of(cards: dict[str, dict[str, Any]]) -> pd.DataFrame:
    """The facts of several corpora, by their names, side by side: a row a fact, a column a corpus."""
    names = list(dict.fromkeys(n for card in cards.values() for n in card))
    return pd.DataFrame([{"": n} | {c: card.get(n, "") for c, card in cards.items()} for n in names]).astype(str)
