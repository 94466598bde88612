"""Splits of a corpus into parts to learn from, to choose by and to test on. They are data: a table with a hash, written to a file.

A split holds folds; in each fold every file has a part. One fold for 80/10/10, one a speaker for leave-one-speaker-out.
"""

import hashlib
from dataclasses import dataclass
from functools import lru_cache
from itertools import combinations
from pathlib import Path
from typing import Literal

import numpy as np
import pandas as pd

from ..errors import CorpusError, SettingsError
from . import emotions
from .manifest import Manifest

PARTS = ("train", "valid", "test")
SHARES = (0.8, 0.1, 0.1)
Protocol = Literal["speaker", "loso", "stratified"]
LEAST_OF_A_CLASS = 10  # for a tenth of it in each small part
MOST_TRIED = 20_000  # divisions of speakers that are compared where there are too many to try all


@dataclass(frozen=True)
class Split:
    """`table` has a row a file and fold: fold, file, part."""

    name: str
    table: pd.DataFrame

    @property
    def hash(self) -> str:
        return hashlib.sha256(self.table.to_csv(index=False).encode()).hexdigest()[:12]

    @property
    def folds(self) -> list[int]:
        return sorted(self.table["fold"].unique().tolist())

    def parts(self, fold: int, files: list[str]) -> dict[str, np.ndarray]:
        """Indices into `files` of each part of a fold.

        Raises
        ------
        CorpusError : the split is of other files.
        """
        part = self.table[self.table["fold"] == fold].set_index("file")["part"]
        if set(part.index) != set(files):
            raise CorpusError(f"{self.name}: the split is of other files than the corpus has; make it anew.")
        of_files = part.loc[files].to_numpy()
        return {name: np.flatnonzero(of_files == name) for name in PARTS}


@lru_cache(maxsize=64)
def make(corpus: Manifest, protocol: Protocol, seed: int = 0) -> Split:
    """A split by one of the protocols; the same for the same corpus and seed."""
    match protocol:
        case "speaker":
            folds = [_by_speaker(corpus.table, talkers(corpus), seed)]
        case "loso":
            folds = _leave_one_out(corpus.table, talkers(corpus))
        case "stratified":
            folds = [_stratified(corpus.table, seed)]
        case _:
            raise SettingsError(f"A split is by speaker, loso or stratified, not by {protocol!r}.")
    parts = [pd.DataFrame({"fold": i, "file": corpus.table["file"], "part": part}) for i, part in enumerate(folds)]
    split = Split(f"{corpus.name}-{protocol}-{seed}", pd.concat(parts, ignore_index=True))
    if protocol != "stratified":
        assert_apart(split, corpus.table.assign(speaker=talkers(corpus)))
    return split


def talkers(corpus: Manifest) -> pd.Series:
    """Who speaks in each file: the owners' speakers, of whom those that are one person have one name."""
    known = emotions.CORPORA.get(corpus.name)
    return corpus.table["speaker"].replace(known.same_talker if known else {})


def assert_apart(split: Split, table: pd.DataFrame) -> None:
    """No speaker in two parts of a fold."""
    who = split.table.merge(table[["file", "speaker"]], on="file").groupby(["fold", "speaker"])["part"].nunique()
    if (who > 1).any():
        fold, speaker = who[who > 1].index[0]
        raise CorpusError(f"{split.name}, fold {fold}: speaker {speaker} stands in several parts.")


def _by_speaker(table: pd.DataFrame, who: pd.Series, seed: int) -> np.ndarray:
    """Whole speakers to a part, one at least to each: the division whose shares of files, and of each class, are nearest to 80/10/10;
    with over 12 speakers, the nearest of MOST_TRIED that are drawn. `who` tells which speakers are one person."""
    counts = pd.crosstab(table["speaker"], table["emotion"])
    speakers = counts.index.to_numpy()
    if len(speakers) < 3:
        raise CorpusError(f"{len(speakers)} speakers cannot be told apart into three parts.")
    matrix = np.column_stack([counts.sum(axis=1), counts]).astype(float)  # (speakers, 1 + classes); the first column counts all
    rng = np.random.default_rng(seed)
    order = rng.permutation(len(speakers))  # which of equally good divisions is taken hangs on the seed
    person_of = dict(zip(table["speaker"], who, strict=True))
    persons = np.array([person_of[s] for s in speakers])[order]
    allowed = [d for d in _divisions(len(speakers), rng) if not _parted(persons, *d)]
    best = min(allowed, key=lambda division: _distance(matrix[order], *division))
    part = np.full(len(speakers), "train", dtype=object)
    for name, chosen in zip(("valid", "test"), best, strict=True):
        part[order[list(chosen)]] = name
    return table["speaker"].map(dict(zip(speakers, part, strict=True))).to_numpy()


def _parted(persons: np.ndarray, *parts: tuple[int, ...]) -> bool:
    """Whether one person stands in several parts."""
    part = np.zeros(len(persons), int)
    for number, chosen in enumerate(parts, start=1):
        part[list(chosen)] = number
    return len(set(zip(persons, part, strict=True))) > len(set(persons))


def _divisions(count: int, rng: np.random.Generator) -> list[tuple[tuple[int, ...], tuple[int, ...]]]:
    """Speakers to choose by and to test on: all pairs of small groups, or a draw of them."""
    most = max(1, round(count * 0.25))
    groups = _groups(count, rng) if count <= 12 else []
    if groups and len(groups) ** 2 <= MOST_TRIED:
        return [(a, b) for a in groups for b in groups if not set(a) & set(b)]
    out = []
    for _ in range(MOST_TRIED):
        drawn = rng.permutation(count)
        a, b = rng.integers(1, most + 1, size=2)
        out.append((tuple(drawn[:a].tolist()), tuple(drawn[a : a + b].tolist())))
    return out


def _distance(matrix: np.ndarray, *parts: tuple[int, ...]) -> float:
    """How far the shares of small parts are from a tenth: of all files, and half as much the mean over classes."""
    total = matrix.sum(axis=0)
    shares = np.array([matrix[list(part)].sum(axis=0) / total for part in parts]) - SHARES[1]
    return float(np.abs(shares[:, 0]).sum() + 0.5 * np.abs(shares[:, 1:]).mean(axis=1).sum())


def _leave_one_out(table: pd.DataFrame, who: pd.Series) -> list[np.ndarray]:
    """Each person tests once. Of the others, those choose whose files and classes are nearest to a tenth of the rest: one speaker alone
    may have a single class, by which nothing can be chosen."""
    counts = pd.crosstab(who, table["emotion"])
    speakers = counts.index.to_numpy()
    if len(speakers) < 3:
        raise CorpusError(f"{len(speakers)} speakers are too few to leave one out and choose by another.")
    who = who.to_numpy()
    matrix = np.column_stack([counts.sum(axis=1), counts]).astype(float)
    folds = []
    for i, speaker in enumerate(speakers):
        rest = np.delete(np.arange(len(speakers)), i)
        groups = _groups(len(rest), np.random.default_rng(i))
        best = min(groups, key=lambda group: _distance(matrix[rest], group))
        choosing = np.isin(who, speakers[rest[list(best)]])
        folds.append(np.where(who == speaker, "test", np.where(choosing, "valid", "train")))
    return folds


def _groups(count: int, rng: np.random.Generator) -> list[tuple[int, ...]]:
    """Small groups of speakers: all of them, or a draw."""
    most = max(1, round(count * 0.25))
    if count <= 12:
        return [g for size in range(1, most + 1) for g in combinations(range(count), size)]
    return [tuple(rng.permutation(count)[: rng.integers(1, most + 1)].tolist()) for _ in range(MOST_TRIED // 10)]


def _stratified(table: pd.DataFrame, seed: int) -> np.ndarray:
    """80/10/10 with the class shares kept and speakers mixed."""
    from sklearn.model_selection import train_test_split

    rarest = table["emotion"].value_counts()
    if rarest.min() < LEAST_OF_A_CLASS:
        raise CorpusError(
            f"{rarest.idxmin()} has {rarest.min()} files; a plain split needs {LEAST_OF_A_CLASS} of each emotion, so as to have it in each part."
        )
    index = np.arange(len(table))
    learn, rest = train_test_split(index, test_size=SHARES[1] + SHARES[2], stratify=table["emotion"], random_state=seed)
    valid, test = train_test_split(rest, test_size=0.5, stratify=table["emotion"].to_numpy()[rest], random_state=seed)
    part = np.full(len(table), "train", dtype=object)
    part[valid], part[test] = "valid", "test"
    assert len(learn) == (part == "train").sum()
    return part


def facts(split: Split, corpus: Manifest, shared: pd.DataFrame | None = None) -> pd.DataFrame:
    """What a split reached: a row a part and fold, with files, their share, speakers, least and largest class, how many of its
    sentences the training part has too (where the corpus tells sentences), and how many files share audio with one of the training part
    (`shared`, what cards.shared_audio found)."""
    joined = split.table.merge(corpus.table, on="file")
    rows = []
    for fold, of_fold in joined.groupby("fold"):
        learnt = of_fold[of_fold["part"] == "train"]
        for name in PARTS:
            part = of_fold[of_fold["part"] == name]
            classes = part["emotion"].value_counts().reindex(sorted(joined["emotion"].unique()), fill_value=0)
            row = {"fold": fold, "part": name, "files": len(part), "share": len(part) / len(of_fold), "speakers": part["speaker"].nunique()}
            row |= {"least class": int(classes.min()), "largest class": int(classes.max())}
            row["speakers in train too"] = len(set(part["speaker"]) & set(learnt["speaker"])) if name != "train" else 0
            if "sentence" in part and part["sentence"].notna().any() and name != "train":
                row["share with a sentence of train"] = float(part["sentence"].isin(learnt["sentence"]).mean())
            if shared is not None and name != "train":
                row["files that share audio with train"] = _share_audio(shared, set(part["file"]), set(learnt["file"]))
            rows.append(row)
    return pd.DataFrame(rows)


def _share_audio(shared: pd.DataFrame, files: set[str], others: set[str]) -> int:
    """Files that share audio with one of the others."""
    pairs = [*zip(shared["file"], shared["other"], strict=True), *zip(shared["other"], shared["file"], strict=True)]
    return len({one for one, other in pairs if one in files and other in others})


def write(split: Split, path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(path.name + ".part")
    split.table.to_csv(partial, index=False)
    partial.replace(path)


def read(path: Path) -> Split:
    """A split from its file, every part and fold checked."""
    try:
        table = pd.read_csv(path, dtype={"file": str, "part": str})
    except (OSError, pd.errors.ParserError, pd.errors.EmptyDataError, UnicodeDecodeError) as e:
        raise CorpusError(f"{path}: not a split that can be read ({type(e).__name__}).") from e
    if list(table.columns) != ["fold", "file", "part"] or not table["part"].isin(PARTS).all() or table.duplicated(["fold", "file"]).any():
        raise CorpusError(f"{path}: a split has the columns fold, file, part, each file once a fold, and the parts {', '.join(PARTS)}.")
    return Split(path.stem, table)
