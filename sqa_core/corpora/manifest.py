"""The manifest: one row per utterance, the same columns for every corpus, checked before anything is computed from it."""

import csv
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path, PurePosixPath, PureWindowsPath

import numpy as np
import pandas as pd

from .. import audio
from ..errors import AudioError, CorpusError
from ..files import atomic, sha256, short_hash

# Labels follow these columns: a corpus has those it needs.
REQUIRED = ["file", "sha256", "sample_rate", "seconds", "speaker", "language", "licence"]
TEXT = ["file", "sha256", "speaker", "language", "licence"]
LABELS = ("emotion", "gender", "sentence", "take")  # of a corpus of emotional speech: text, also where it looks like a number


@dataclass(frozen=True, eq=False)  # two are the same where their hashes are; as keys of caches, where they are one object
class Manifest:
    """A corpus as found: `table` (one row per utterance), the folder its `file` column starts from, and its data status."""

    name: str
    table: pd.DataFrame
    root: Path
    status: str

    @cached_property
    def hash(self) -> str:
        """Hash of the table: files, their hashes and labels. The table does not change after it was read."""
        return short_hash(self.table.to_csv(index=False, float_format="%.9g"))

    def paths(self) -> list[Path]:
        return [self.root / f for f in self.table["file"]]

    def classes(self) -> list[str]:
        """The emotions of the corpus, sorted."""
        return sorted(self.table["emotion"].unique())

    def labels(self, classes: list[str]) -> np.ndarray:
        """(files,) index of each file's emotion in `classes`; -1 where it is none of them."""
        return self.table["emotion"].map({name: i for i, name in enumerate(classes)}).fillna(-1).to_numpy(np.int64)

    def given(self, column: str) -> pd.Series:
        """A column of labels, NaN where a file's cell is blank or where the corpus has no such column."""
        if column not in self.table:
            return pd.Series(np.nan, self.table.index, dtype=object)
        return self.table[column].replace(r"^\s*$", np.nan, regex=True)

    def where(self, **labels) -> "Manifest":
        """The rows whose columns have these values, or one of several in a tuple.

        Returns
        -------
        A manifest with these rows in their order.

        Raises
        ------
        CorpusError
            No row has them.
        """
        table = self.table
        for column, value in labels.items():
            table = table[table[column].isin(value if isinstance(value, tuple) else [value])]
        if table.empty:
            raise CorpusError(f"{self.name}: no rows with {labels}.")
        return Manifest(self.name, table.reset_index(drop=True), self.root, self.status)


def read(path: Path, name: str, status: str, text: tuple[str, ...] = ()) -> Manifest:
    """A manifest from its CSV file, checked; the files are looked for beside it.

    Parameters
    ----------
    path : of the CSV file.
    name, status : of the corpus; "real" or "synthetic".
    text : further columns that hold text.

    Returns
    -------
    The manifest, its folder that of the CSV file.

    Raises
    ------
    CorpusError
        No such file, not a CSV table, or a table that `check` refuses.
    """
    table = read_table(path, text)
    check(table, str(path))
    return Manifest(name, table.reset_index(drop=True), path.parent, status)


def read_table(path: Path, text: tuple[str, ...] = ()) -> pd.DataFrame:
    """The table of a manifest as it is, unchecked.

    Parameters
    ----------
    path : of the CSV file.
    text : further columns that hold text.

    Returns
    -------
    One row per file, indexed so that the first line below the header is 0; names of files with forward slashes, text without blanks around
    it, blank cells of text columns as "".

    Raises
    ------
    CorpusError
        No such file, or not a CSV table.
    """
    try:
        table = _read_csv(path, {*TEXT, *text})
    except FileNotFoundError as e:
        raise CorpusError(f"{path}: no such manifest.") from e
    except UnicodeDecodeError as e:
        raise CorpusError(f"{path}: its text is not in UTF-8; save it as UTF-8.") from e
    except (pd.errors.ParserError, pd.errors.EmptyDataError, csv.Error) as e:
        raise CorpusError(f"{path}: not a CSV table ({' '.join(str(e).split())[:100]}).") from e
    if "file" in table:
        table["file"] = [PureWindowsPath(f).as_posix() if isinstance(f, str) else f for f in table["file"]]
    return table


def is_in(folder: Path) -> bool:
    """Whether a folder holds a `manifest.csv` with the required columns that can be read."""
    path = folder / "manifest.csv"
    try:
        return path.is_file() and set(REQUIRED) <= set(header(path)[0])
    except (OSError, csv.Error):
        return False


SEPARATORS = (",", ";", "\t")
MAX_HEADER = 65_536  # characters: a longer first line is no header
ABSENT = ("", "NA", "N/A", "nan", "NaN", "None", "null")  # in columns of numbers; in columns of text they are names


def header(path: Path) -> tuple[list[str], str]:
    """The columns of a CSV file, and what separates them: R quotes its headers, other languages write semicolons."""
    with path.open(encoding="utf-8-sig", errors="replace", newline="") as f:  # lines that are not text are reported by the parser
        line = f.readline(MAX_HEADER)
    found = [([c.strip() for c in next(csv.reader([line], delimiter=separator), [])], separator) for separator in SEPARATORS]
    return max(found, key=lambda pair: len(set(REQUIRED) & set(pair[0])))


def _read_csv(path: Path, text: set[str]) -> pd.DataFrame:
    """Columns of text as they are, also where they say `NA`; numbers with a point, or with a comma where semicolons separate."""
    columns, separator = header(path)
    named = columns[: max((i for i, c in enumerate(columns, start=1) if c), default=0)]  # spreadsheets write empty columns at the end
    if twice := sorted({c for c in named if named.count(c) > 1}):
        raise CorpusError(f"{path}: the column {twice[0]!r} is there {named.count(twice[0])} times; name each column once.")
    columns = named + [f"empty {i}" for i in range(len(columns) - len(named))]
    lines = []  # where each row that is not blank begins
    with path.open(encoding="utf-8-sig", errors="replace", newline="") as f:  # pandas would leave out what is too much
        reader, begins = csv.reader(f, delimiter=separator, skipinitialspace=True), 1
        for row in reader:
            if any(cell.strip() for cell in row[len(columns) :]):
                raise CorpusError(
                    f"{path}, row {begins}: there are {len(row)} cells and {len(columns)} columns; quote cells that hold {separator!r}."
                )
            if row:
                lines.append(begins)
            begins = reader.line_num + 1
    options = {
        "sep": separator,
        "dtype": dict.fromkeys(text, str),
        "encoding": "utf-8-sig",
        "keep_default_na": False,
        "header": 0,
        "index_col": False,
        "usecols": range(len(columns)),
        "skipinitialspace": True,
    }
    options |= {"names": columns, "na_values": {c: ABSENT for c in columns if c not in text}}
    table = pd.read_csv(path, **options)
    if separator == ";" and "seconds" in table and not pd.api.types.is_numeric_dtype(table["seconds"]):
        table = pd.read_csv(path, **options, decimal=",")
    if len(lines) == len(table) + 1:  # a row is known by its line, of which the first has the names
        table.index = pd.Index(np.array(lines[1:]) - 2)
    table = table[named]
    table = table[~(table.isna() | (table == "")).all(axis=1)].copy()  # spreadsheets write rows of separators at the end
    for column in (c for c in named if c in text):  # "s1 " is no other speaker than "s1"
        table[column] = table[column].str.strip()
    if "sha256" in table:
        table["sha256"] = table["sha256"].str.lower()
    return table


def write(manifest: Manifest, path: Path) -> None:
    check(manifest.table, manifest.name)
    with atomic(path) as partial:
        manifest.table.to_csv(partial, index=False, float_format="%.9g")


def check(table: pd.DataFrame, name: str, without: tuple[str, ...] = ()) -> None:
    """The schema: required columns, no empty table, no double or climbing names, hashes, rates and lengths that can be.

    without : columns that may be missing.

    Raises
    ------
    CorpusError
        Something of it is not so; the message names the row and column.
    """
    missing = [c for c in REQUIRED if c not in table.columns and c not in without]
    if missing:
        there = f"; it has {', '.join(map(str, table.columns))}"
        raise CorpusError(f"{name}: the manifest lacks the column{'s' * (len(missing) > 1)} {', '.join(missing)}{there:.200}.")
    if table.empty:
        raise CorpusError(f"{name}: the manifest has no rows.")
    for column in (c for c in TEXT if c in table):
        if bad := [i for i, v in table[column].items() if not isinstance(v, str) or not v]:
            raise CorpusError(f"{name}, row {bad[0] + 2}: `{column}` is empty or not text.")
    for column in (c for c in (*TEXT, "emotion") if c in table and c != "file"):
        if bad := [i for i, v in table[column].items() if isinstance(v, str) and not v.replace("\xa0", " ").isprintable()]:
            raise CorpusError(f"{name}, row {bad[0] + 2}: `{column}` {table[column][bad[0]]!r:.60} holds control characters.")
    if "emotion" in table and (bad := [i for i, v in table["emotion"].items() if not isinstance(v, str) or not v.strip()]):
        raise CorpusError(f"{name}, row {bad[0] + 2}: `emotion` is empty.")
    for i, file in table["file"].items():
        if PurePosixPath(file).is_absolute() or PureWindowsPath(file).is_absolute() or ".." in PureWindowsPath(file).parts:
            raise CorpusError(f"{name}, row {i + 2}: `file` {file!r} must stay below the manifest's folder.")
    if table["file"].duplicated().any():
        row = table.index[table["file"].duplicated()][0]
        first = table.index[table["file"] == table["file"][row]][0]
        raise CorpusError(f"{name}, rows {first + 2} and {row + 2}: {table['file'][row]} is named twice.")
    if "sha256" in table and not (right := table["sha256"].str.fullmatch("[0-9a-f]{64}")).all():
        raise CorpusError(f"{name}, row {table.index[~right][0] + 2}: `sha256` is not 64 hexadecimal digits.")
    for column, most in [("sample_rate", audio.MAX_RATE), ("seconds", audio.MAX_SECONDS)]:
        if column not in table:
            continue
        values = pd.to_numeric(table[column], errors="coerce")
        if not ((values > 0) & (values <= most) & np.isfinite(values)).all():
            row = table.index[~((values > 0) & (values <= most))][0]
            cell = "empty" if pd.isna(table[column][row]) else repr(table[column][row]).removeprefix("np.float64(").removesuffix(")")
            raise CorpusError(f"{name}, row {row + 2}: `{column}` is {cell}, not a number above 0 and up to {most}.")


def describe(root: Path, files: list[str], on_file: Callable[[str], None] = lambda _: None) -> pd.DataFrame:
    """What a manifest says of files and can be measured, by reading them.

    Parameters
    ----------
    root : folder of the files.
    files : paths below it.
    on_file : called with each file when it is done.

    Returns
    -------
    One row per file: `file`, `sha256`, `sample_rate` in Hz, `seconds`.

    Raises
    ------
    CorpusError
        A file cannot be read.
    """
    rows = []
    for file in files:
        try:
            waveform, rate = audio.load(root / file)
        except AudioError as e:
            raise CorpusError(str(e)) from e
        rows.append((file, sha256(root / file), rate, waveform.shape[1] / rate))
        on_file(file)
    return pd.DataFrame(rows, columns=REQUIRED[:4])


def verify(manifest: Manifest) -> list[str]:
    """One line for each file that is missing or is not what the manifest says."""
    problems = []
    for path, digest in zip(manifest.paths(), manifest.table["sha256"], strict=True):
        if not path.is_file():
            problems.append(f"{path}: missing")
        elif sha256(path) != digest:
            problems.append(f"{path}: not the file of the manifest (its hash differs)")
    return problems
