"""Corpus cards: what a corpus holds and what is wrong with it, found by code that runs on any manifest."""

import hashlib
from typing import Any

import numpy as np
import pandas as pd

from .. import audio
from ..metrics import constant_f1
from .manifest import Manifest

CLIPPED_PERCENT = 0.01  # of a file's samples in flat runs at its extreme
SILENT_EDGE_S = 0.02  # of digital silence at an end


def facts(corpus: Manifest) -> dict[str, Any]:
    """Numbers of a card: counts, lengths, levels, and what a reader should know before believing a score on it."""
    table = corpus.table
    heard = pd.DataFrame([_of_file(path) for path in corpus.paths()])
    out: dict[str, Any] = {
        "files": len(table),
        "minutes": round(float(table["seconds"].sum()) / 60, 1),
        "shortest and longest, s": f"{table['seconds'].min():.2f} to {table['seconds'].max():.2f}",
        "speakers": table["speaker"].nunique(),
        "sample rates, Hz": ", ".join(map(str, sorted(table["sample_rate"].unique()))),
        "median level, dBov": round(float(heard["level_db"].median()), 1),
        "range of levels, dB": round(float(heard["level_db"].max() - heard["level_db"].min()), 1),
        "files that reach full scale": int((heard["peak"] > 0.999).sum()),
        "files that clip": int((heard["clipped_percent"] > CLIPPED_PERCENT).sum()),
        "files with digital silence at an end": int(heard["silent_edge"].sum()),
        "files whose samples occur twice": int(heard["digest"].duplicated(keep=False).sum()),
    }
    if "gender" in table and table["gender"].notna().any():
        by_gender = table.drop_duplicates("speaker")["gender"].value_counts()
        out["women and men"] = f"{by_gender.get('female', 0)} and {by_gender.get('male', 0)}"
    if "emotion" in table:
        out |= _of_labels(table)
    return out


def _of_labels(table: pd.DataFrame) -> dict[str, Any]:
    counts = table["emotion"].value_counts().sort_index()
    spoken = table.groupby("speaker")["emotion"].nunique()
    labels = pd.factorize(table["emotion"])[0]
    out: dict[str, Any] = {
        "emotions": len(counts),
        "files by emotion": ", ".join(f"{name} {n}" for name, n in counts.items()),
        "macro F1 of a constant answer, %": round(constant_f1(labels), 1),
        "speakers with one emotion only": f"{int((spoken == 1).sum())} of {len(spoken)}",
        "emotion told by who speaks, %": round(100 * told_by(table["emotion"], table["speaker"]), 1),
    }
    if "sentence" in table and table["sentence"].notna().any():
        shared = table.groupby("sentence")["speaker"].nunique()
        out["sentences"] = f"{len(shared)}, {int((shared > 1).sum())} of them by several speakers"
        out["emotion told by the sentence, %"] = round(100 * told_by(table["emotion"], table["sentence"]), 1)
    return out


def told_by(labels: pd.Series, groups: pd.Series) -> float:
    """Accuracy of naming each group's commonest label: what a model could get that knows the group alone."""
    return float(pd.crosstab(groups, labels).max(axis=1).sum() / len(labels))


def _of_file(path) -> dict[str, Any]:
    sound = audio.load(path, channel="all")
    edge = round(SILENT_EDGE_S * sound.sample_rate)
    ends = sound.waveform[:, :edge], sound.waveform[:, -edge:]
    return {
        "level_db": audio.level(sound.waveform),
        "peak": float(abs(sound.waveform).max()),
        "clipped_percent": audio.clipped_percent(sound.waveform),
        "silent_edge": any(not np.any(e) for e in ends),
        "digest": hashlib.sha256(sound.waveform.tobytes()).hexdigest(),
    }


def table_of(cards: dict[str, dict[str, Any]]) -> pd.DataFrame:
    """The facts of several corpora, by their names, side by side: a row a fact, a column a corpus."""
    names = list(dict.fromkeys(n for card in cards.values() for n in card))
    return pd.DataFrame([{"": n} | {c: card.get(n, "") for c, card in cards.items()} for n in names]).astype(str)
