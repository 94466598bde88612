"""Splits of a corpus into training, validation and test parts. They are data: tables with a hash, kept in `book/splits`.

A split has folds; in each fold every file has a part. One fold for 80/10/10, one a speaker for leave-one-speaker-out (LOSO).
"""

import warnings
from dataclasses import dataclass
from functools import lru_cache
from itertools import combinations
from pathlib import Path
from typing import Literal

import numpy as np
import pandas as pd

from .. import environment
from ..errors import CorpusError, SettingsError
from ..files import atomic, short_hash
from .emotion import catalogue
from .manifest import Manifest

PARTS = ("train", "valid", "test")
SHARES = (0.8, 0.1, 0.1)
Protocol = Literal["speaker", "loso", "stratified", "own"]  # "own" is a split file that the user names
PROTOCOLS: tuple[Protocol, ...] = ("speaker", "loso", "stratified")  # of `make`
MIN_CLASS_FILES = 10  # so that a tenth of a class is at least one file
MAX_TRIED = 20_000  # divisions of speakers that are compared if there are too many to try all


@dataclass(frozen=True)
class Split:
    """table : one row per file and fold, with the columns fold, file, part."""

    name: str
    table: pd.DataFrame

    @property
    def hash(self) -> str:
        return short_hash(self.table.to_csv(index=False))

    @property
    def folds(self) -> list[int]:
        return sorted(self.table["fold"].unique().tolist())

    def parts(self, fold: int, files: list[str]) -> dict[str, np.ndarray]:
        """Indices into `files` of each part of a fold.

        Parameters
        ----------
        fold : number of the fold, from 0.
        files : of the corpus, in its order.

        Returns
        -------
        For "train", "valid" and "test" the indices (n,).

        Raises
        ------
        CorpusError
            The split is of other files.
        """
        part = self.table[self.table["fold"] == fold].set_index("file")["part"]
        if set(part.index) != set(files):
            raise CorpusError(f"{self.name}: the split lists other files than the corpus has; make a new one with `sqa data split`.")
        of_files = part.loc[files].to_numpy()
        return {name: np.flatnonzero(of_files == name) for name in PARTS}


@lru_cache(maxsize=64)
def make(corpus: Manifest, protocol: Protocol, seed: int = 0) -> Split:
    """A split by one of the protocols; the same for the same corpus and seed.

    Parameters
    ----------
    corpus : with the columns speaker and emotion.
    protocol : "speaker", no speaker in two parts; "loso", leave-one-speaker-out; "stratified", classes balanced and speakers mixed.
    seed : of what is drawn.

    Returns
    -------
    A split with one fold; with "loso", one for each speaker.

    Raises
    ------
    CorpusError
        Too few speakers, or too few files of a class.
    SettingsError
        There is no such protocol.
    """
    match protocol:
        case "speaker":
            folds = [_by_speaker(corpus.table, speakers_merged(corpus), seed)]
        case "loso":
            folds = _leave_one_out(corpus.table, speakers_merged(corpus))
        case "stratified":
            folds = [_stratified(corpus.table, seed)]
        case _:
            raise SettingsError(f"A split is by {', '.join(PROTOCOLS)}, not by {protocol!r}.")
    parts = [pd.DataFrame({"fold": i, "file": corpus.table["file"], "part": part}) for i, part in enumerate(folds)]
    split = Split(f"{corpus.name}-{protocol}-{seed}", pd.concat(parts, ignore_index=True))
    if protocol != "stratified":
        assert_speaker_independent(split, corpus.table.assign(speaker=speakers_merged(corpus)))
    return split


def of(corpus: Manifest, protocol: Protocol, split_hash: str = "", seed: int = 0) -> Split:
    """The split of a corpus that trials use: the one in `book/splits` if its files are the corpus's, else a new one by the same rules.

    Parameters
    ----------
    corpus : whose files are divided.
    protocol : as in `make`, or "own" for a split that the user adopted.
    split_hash : that the split must have, as a trial names it; any if empty.
    seed : of a split that is drawn.

    Returns
    -------
    The split.

    Raises
    ------
    CorpusError
        The split on this machine has another hash, no such split was adopted, or a new one needs more speakers or files.
    SettingsError
        There is no such protocol.
    """
    if protocol == "own":
        return read(_own_folder() / f"{split_hash}.csv")
    stored = environment.resource("book", "splits", f"{corpus.name}-{protocol}-{seed}.csv")
    split = read(stored) if stored.is_file() else None
    if split is None or set(split.table["file"]) != set(corpus.table["file"]):
        if split is not None and not split_hash:  # a trial that names its split fails below if this is another
            warnings.warn(
                f"{corpus.name}: this copy holds other files than the split in {stored.name}; a new split by the same rules is used.",
                stacklevel=2,
            )
        split = make(corpus, protocol, seed)
    if split_hash and split.hash != split_hash:
        raise CorpusError(f"{split.name}: the split on this machine ({split.hash}) is not the one that the trial names ({split_hash}).")
    return split


def adopt(path: Path) -> Split:
    """A user's own split, copied into the cache under its hash, so that trials find it by that.

    Parameters
    ----------
    path : CSV file with the columns fold, file and part.

    Returns
    -------
    As `read`, which also says what it raises.
    """
    split = read(path)
    _own_folder().mkdir(parents=True, exist_ok=True)
    write(split, _own_folder() / f"{split.hash}.csv")
    return split


def _own_folder() -> Path:
    return environment.cache_folder() / "splits"


def speakers_merged(corpus: Manifest) -> pd.Series:
    """The speaker of each file, aliases of one person merged.

    Returns
    -------
    (files,) names of speakers, with the index of the corpus's table.
    """
    known = catalogue.CORPORA.get(corpus.name)
    return corpus.table["speaker"].replace(known.same_talker if known else {})


def assert_speaker_independent(split: Split, table: pd.DataFrame) -> None:
    """Raise CorpusError if a speaker is in two parts of a fold."""
    who = split.table.merge(table[["file", "speaker"]], on="file").groupby(["fold", "speaker"])["part"].nunique()
    if (who > 1).any():
        fold, speaker = who[who > 1].index[0]
        raise CorpusError(f"{split.name}, fold {fold}: speaker {speaker} is in several parts.")


_BY_FILES = "`sqa data split NAME --protocol stratified --out split.csv` divides the files, and `-p split=split.csv` runs on that"


def _by_speaker(table: pd.DataFrame, persons_of: pd.Series, seed: int) -> np.ndarray:
    """Speakers divided into parts, at least one in each: the division whose shares of files and of each class are nearest to 80/10/10;
    with more than 12 speakers, the nearest of MAX_TRIED drawn at random. `persons_of`: the speaker of each file, aliases merged."""
    counts = pd.crosstab(table["speaker"], table["emotion"])
    speakers = counts.index.to_numpy()
    if len(speakers) < 3:
        raise CorpusError(f"{len(speakers)} speakers cannot be divided into three parts; {_BY_FILES}.")
    matrix = np.column_stack([counts.sum(axis=1), counts]).astype(float)  # (speakers, 1 + classes); the first column counts all
    rng = np.random.default_rng(seed)
    order = rng.permutation(len(speakers))  # the seed decides between equally good divisions
    person_of = dict(zip(table["speaker"], persons_of, strict=True))
    persons = np.array([person_of[s] for s in speakers])[order]
    allowed = [d for d in _divisions(len(speakers), rng) if not _splits_a_person(persons, *d)]
    best = min(allowed, key=lambda division: _distance(matrix[order], *division))
    part = np.full(len(speakers), "train", dtype=object)
    for name, chosen in zip(("valid", "test"), best, strict=True):
        part[order[list(chosen)]] = name
    return table["speaker"].map(dict(zip(speakers, part, strict=True))).to_numpy()


def _splits_a_person(persons: np.ndarray, *parts: tuple[int, ...]) -> bool:
    """Whether one person is in several parts."""
    part = np.zeros(len(persons), int)
    for number, chosen in enumerate(parts, start=1):
        part[list(chosen)] = number
    return len(set(zip(persons, part, strict=True))) > len(set(persons))


def _divisions(count: int, rng: np.random.Generator) -> list[tuple[tuple[int, ...], tuple[int, ...]]]:
    """Pairs of validation and test speakers: all pairs of small groups, or a random draw of them."""
    most = max(1, round(count * 0.25))
    groups = _groups(count, rng) if count <= 12 else []
    if groups and len(groups) ** 2 <= MAX_TRIED:
        return [(a, b) for a in groups for b in groups if not set(a) & set(b)]
    out = []
    for _ in range(MAX_TRIED):
        drawn = rng.permutation(count)
        a, b = rng.integers(1, most + 1, size=2)
        out.append((tuple(drawn[:a].tolist()), tuple(drawn[a : a + b].tolist())))
    return out


def _distance(matrix: np.ndarray, *parts: tuple[int, ...]) -> float:
    """How far the shares of small parts are from a tenth: of all files, and half as much the mean over classes."""
    total = matrix.sum(axis=0)
    shares = np.array([matrix[list(part)].sum(axis=0) / total for part in parts]) - SHARES[1]
    return float(np.abs(shares[:, 0]).sum() + 0.5 * np.abs(shares[:, 1:]).mean(axis=1).sum())


def _leave_one_out(table: pd.DataFrame, persons_of: pd.Series) -> list[np.ndarray]:
    """Each speaker is the test part of one fold. Of the others, those validate whose files and classes are nearest to a tenth of the rest:
    a single speaker may have a single class, by which no epoch can be chosen."""
    counts = pd.crosstab(persons_of, table["emotion"])
    speakers = counts.index.to_numpy()
    if len(speakers) < 3:
        raise CorpusError(f"{len(speakers)} speakers are too few to test on one and validate on another; {_BY_FILES}.")
    persons = persons_of.to_numpy()
    matrix = np.column_stack([counts.sum(axis=1), counts]).astype(float)
    folds = []
    for i, speaker in enumerate(speakers):
        rest = np.delete(np.arange(len(speakers)), i)
        groups = _groups(len(rest), np.random.default_rng(i))
        best = min(groups, key=lambda group: _distance(matrix[rest], group))
        validating = np.isin(persons, speakers[rest[list(best)]])
        folds.append(np.where(persons == speaker, "test", np.where(validating, "valid", "train")))
    return folds


def _groups(count: int, rng: np.random.Generator) -> list[tuple[int, ...]]:
    """Small groups of speakers: all of them, or a random draw."""
    most = max(1, round(count * 0.25))
    if count <= 12:
        return [g for size in range(1, most + 1) for g in combinations(range(count), size)]
    return [tuple(rng.permutation(count)[: rng.integers(1, most + 1)].tolist()) for _ in range(MAX_TRIED // 10)]


def _stratified(table: pd.DataFrame, seed: int) -> np.ndarray:
    """80/10/10 with the classes balanced and speakers mixed."""
    from sklearn.model_selection import train_test_split

    rarest = table["emotion"].value_counts()
    if rarest.min() < MIN_CLASS_FILES:
        raise CorpusError(
            f"{rarest.idxmin()} has {rarest.min()} files; a stratified split needs {MIN_CLASS_FILES} of each emotion, to have one in each part."
        )
    index = np.arange(len(table))
    learn, rest = train_test_split(index, test_size=SHARES[1] + SHARES[2], stratify=table["emotion"], random_state=seed)
    valid, test = train_test_split(rest, test_size=0.5, stratify=table["emotion"].to_numpy()[rest], random_state=seed)
    part = np.full(len(table), "train", dtype=object)
    part[valid], part[test] = "valid", "test"
    assert len(learn) == (part == "train").sum()
    return part


@dataclass(frozen=True)
class Share:
    """A part of a corpus to tune on, as indices of files. rest : files to test on. fixed : those of them that are the same for every share
    of one seed."""

    tune: np.ndarray
    rest: np.ndarray
    fixed: np.ndarray


HELD_OUT = 1 / 3  # of the speakers (or files): tested at every share, tuned on at none


def share_of(corpus: Manifest, share: float, seed: int, by: Literal["speaker", "file"] = "speaker") -> Share:
    """A share of a corpus's files to tune on, and the rest.

    The last third of the speakers (or files) is never tuned on, so a share of 1 means all of the other two thirds.

    Parameters
    ----------
    corpus : whose files are divided.
    share : of all files, from 0 to 1.
    seed : of the order in which speakers or files are taken.
    by : "speaker" takes speakers in random order, aliases merged, and all files of each, of the last one as many as are wanted; the rest
        are the files of speakers of whom none was taken, so no speaker is on both sides. "file" takes files at random, and the rest are all
        others.

    Returns
    -------
    Indices of the files to tune on, of the rest, and of those of the rest that are the same for every share.

    Raises
    ------
    SettingsError
        The share is not between 0 and 1.
    CorpusError
        Fewer than two speakers.
    """
    if not 0 <= share <= 1:
        raise SettingsError(f"A share is between 0 and 1, not {share:g}.")
    rng = np.random.default_rng(seed)
    count = len(corpus.table)
    owner = speakers_merged(corpus).to_numpy() if by == "speaker" else np.arange(count)
    order = rng.permutation(np.unique(owner))
    if len(order) < 2:
        raise CorpusError(f"{corpus.name}: one speaker cannot be both tuned and tested on.")
    held = order[len(order) - max(1, round(HELD_OUT * len(order))) :]
    pool = np.concatenate([rng.permutation(np.flatnonzero(owner == one)) for one in order if one not in set(held)])
    tune = pool[: max(1, round(share * count))] if share else pool[:0]
    rest = np.flatnonzero(~np.isin(owner, np.unique(owner[tune])))
    return Share(np.sort(tune), rest, np.flatnonzero(np.isin(owner, held)))


def facts(split: Split, corpus: Manifest, shared: pd.DataFrame | None = None) -> pd.DataFrame:
    """What a split achieved: sizes, class balance and leakage of each part.

    Parameters
    ----------
    corpus : with the column `emotion`; files of the split that it lacks are not counted.
    shared : the pairs that `shared_audio.search` found.

    Returns
    -------
    One row per fold and part. Columns: files, their share of the fold, speakers, smallest and largest class (files), and speakers that the
    training part has too, aliases of one person merged; if the corpus names sentences, the share of files whose sentence occurs in
    training, of those that name one; with `shared`, how many files share audio with a training file. The last two are NaN for the
    training part.
    """
    named = corpus.given("sentence")
    labels = corpus.table[["file", "emotion"]].assign(speaker=speakers_merged(corpus), sentence=named)
    joined = split.table.merge(labels, on="file")
    rows = []
    for fold, of_fold in joined.groupby("fold"):
        train_files = of_fold[of_fold["part"] == "train"]
        for name in PARTS:
            part = of_fold[of_fold["part"] == name]
            classes = part["emotion"].value_counts().reindex(sorted(joined["emotion"].unique()), fill_value=0)
            row = {"fold": fold, "part": name, "files": len(part), "share": len(part) / len(of_fold), "speakers": part["speaker"].nunique()}
            row |= {"least class": int(classes.min()), "largest class": int(classes.max())}
            row["speakers in train too"] = len(set(part["speaker"]) & set(train_files["speaker"])) if name != "train" else 0
            if named.notna().any() and name != "train":
                known = part["sentence"].dropna()
                row["share with a sentence of train"] = float(known.isin(train_files["sentence"]).mean()) if len(known) else float("nan")
            if shared is not None and name != "train":
                row["files that share audio with train"] = _share_audio(shared, set(part["file"]), set(train_files["file"]))
            rows.append(row)
    return pd.DataFrame(rows)


def _share_audio(shared: pd.DataFrame, files: set[str], others: set[str]) -> int:
    """How many files share audio with one of the others."""
    pairs = [*zip(shared["file"], shared["other"], strict=True), *zip(shared["other"], shared["file"], strict=True)]
    return len({one for one, other in pairs if one in files and other in others})


def write(split: Split, path: Path) -> None:
    """Write a split as a CSV file, whole or not at all.

    Parameters
    ----------
    path : the file; folders that do not exist are made.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    with atomic(path) as partial:
        split.table.to_csv(partial, index=False)


def read(path: Path) -> Split:
    """A split from its CSV file.

    Returns
    -------
    The split, named after the file.

    Raises
    ------
    CorpusError
        Not a table with the columns fold, file and part, or a file that is twice in a fold.
    """
    try:
        table = pd.read_csv(path, dtype={"file": str, "part": str})
    except (OSError, pd.errors.ParserError, pd.errors.EmptyDataError, UnicodeDecodeError) as e:
        raise CorpusError(f"{path}: not a readable split ({type(e).__name__}).") from e
    if list(table.columns) != ["fold", "file", "part"] or not table["part"].isin(PARTS).all() or table.duplicated(["fold", "file"]).any():
        raise CorpusError(
            f"{path}: a split has the columns fold, file and part, each file once in a fold, and the parts {', '.join(PARTS)}."
        )
    return Split(path.stem, table)
