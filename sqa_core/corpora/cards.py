"""Corpus cards: contents and known problems of a corpus, computed from any manifest."""

from typing import Any

import numpy as np
import pandas as pd

from .. import audio, levels
from ..files import short_hash
from ..metrics import majority_f1
from .manifest import Manifest
from .shared_audio import SharedAudio

CLIPPED_PERCENT = 0.01  # of a file's samples in flat runs at its extreme
SILENT_EDGE_S = 0.02  # of digital silence at an end


def facts(corpus: Manifest, shared: SharedAudio | None = None) -> dict[str, Any]:
    """Numbers of a card: counts, lengths, levels, and what a reader should know before believing a score on it.

    Parameters
    ----------
    corpus : all its files are read.
    shared : what `shared_audio.search` found in it; without it the card says nothing of shared audio.

    Returns
    -------
    Numbers and texts by the fact's name, which gives the unit if there is one, in the order of the card. Facts about gender, emotions and
    sentences are there only if the corpus names them for some files; files that name no sentence do not count towards the facts about them.

    Raises
    ------
    AudioError
        A file cannot be read.
    """
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
    by_gender = corpus.given("gender").groupby(table["speaker"]).first().value_counts()
    if len(by_gender):
        unknown = table["speaker"].nunique() - by_gender.sum()
        out["women and men"] = f"{by_gender.get('female', 0)} and {by_gender.get('male', 0)}" + (f", {unknown} unknown" if unknown else "")
    if "emotion" in table:
        out |= _of_labels(corpus)
    if shared is not None:
        out["pairs of files that share audio"] = len(shared.pairs)
        across = shared.pairs[shared.pairs["speaker"] != shared.pairs["other speaker"]]
        named = sorted({" and ".join(sorted(pair)) for pair in zip(across["speaker"], across["other speaker"], strict=True)})
        out["speakers who share audio"] = ", ".join(named) or "none"
        lowest = f"{shared.pairs['correlation'].min():.2f}" if len(shared.pairs) else "none"
        out["lowest correlation of a shared part; threshold; highest of pairs that cannot share audio"] = (
            f"{lowest}; {shared.threshold:.2f}; {shared.control:.2f}"
        )
    return out


def _of_labels(corpus: Manifest) -> dict[str, Any]:
    table = corpus.table
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
    sentence = corpus.given("sentence").dropna()
    if len(sentence):
        shared = table["speaker"].groupby(sentence).nunique()
        unnamed = len(table) - len(sentence)
        out["sentences"] = f"{len(shared)}, {int((shared > 1).sum())} of them by several speakers"
        out["sentences"] += f"; {unnamed} without one" if unnamed else ""
        by_sentence = group_majority_accuracy(table["emotion"].loc[sentence.index], sentence)
        out["accuracy of the sentence-majority baseline, %"] = round(100 * by_sentence, 1)
    return out


def group_majority_accuracy(labels: pd.Series, groups: pd.Series) -> float:
    """Accuracy of predicting each group's most frequent label: what a model could reach from the group alone.

    Parameters
    ----------
    labels, groups : (items,) with the same index.

    Returns
    -------
    A share in [0, 1]. An item whose label or group is missing (NaN) counts as wrong.
    """
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
    """The facts of several corpora side by side.

    Parameters
    ----------
    cards : what `facts` returned, by the corpus's name.

    Returns
    -------
    A table of text with one row per fact and one column per corpus. The first column, whose name is empty, holds the facts' names; a cell
    is empty if the corpus lacks the fact.
    """
    names = list(dict.fromkeys(n for card in cards.values() for n in card))
    return pd.DataFrame([{"": n} | {c: card.get(n, "") for c, card in cards.items()} for n in names]).astype(str)
