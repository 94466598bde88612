"""A table that grows on disk row by row, so that what was computed is kept, whatever happens next."""

import csv
import io
import os
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from ..errors import SettingsError
from ..files import PARTIAL


def line(values: Iterable[Any], digits: int) -> str:
    """One line of CSV; floats with so many digits, nothing for None and NaN; text that a spreadsheet would compute is `guarded`."""
    text = io.StringIO()
    shown = [("" if v != v else f"{v:.{digits}g}") if isinstance(v, float) else guarded(v) if isinstance(v, str) else v for v in values]
    csv.writer(text, lineterminator="\r\n").writerow(shown)  # so that a name with either character is quoted
    return text.getvalue()[:-2] + "\n"


FORMULA = "=+-@\t\r'"  # how text begins that a spreadsheet takes for a formula, and the sign that says it is none


def guarded(text: str) -> str:
    """Text with an apostrophe before it where a spreadsheet would take it for a formula; numbers as they are.

    Examples
    --------
    >>> guarded("=1+1.wav"), guarded("-26.1"), guarded("a.wav"), unguarded(guarded("@a"))
    ("'=1+1.wav", '-26.1', 'a.wav', '@a')
    """
    if not text.startswith(tuple(FORMULA)):
        return text
    try:
        float(text)
    except ValueError:
        return f"'{text}"
    return text


def unguarded(text: str) -> str:
    """Text from a table as it was before `guarded`."""
    return text[1:] if text[:1] == "'" and text[1:].startswith(tuple(FORMULA)) else text


class Printed:
    """A table on standard output."""

    where = "standard output"

    def __init__(self, columns: list[str]) -> None:
        self.columns, self.count = columns, 0

    def add(self, *rows: dict[str, Any]) -> None:
        """Prints rows, after the first one's header."""
        for row in rows:
            text = line((row.get(c) for c in self.columns), 4)
            print(text if self.count else line(self.columns, 4) + text, end="", flush=True)
            self.count += 1


class Written:
    """A table in a CSV file. A file that is there is replaced by the first row, not before; `replaces` says whether there is one.

    Raises
    ------
    SettingsError
        The file cannot be written there, or, later, not to its end; what was written stays.
    """

    def __init__(self, path: Path, columns: list[str]) -> None:
        self.where, self.columns, self.count, self.size = str(path), columns, 0, 0
        if path.is_dir():
            raise SettingsError(f"{path}: a folder; name a file in it.")
        self.regular = not path.exists() or path.is_file()  # and not /dev/stdout or a pipe
        self.path = Path(os.path.realpath(path)) if self.regular else path
        self.replaces = self.regular and self.path.is_file() and self.path.stat().st_size > 0
        if not self.path.parent.is_dir():
            raise SettingsError(f"{path}: the folder to write to does not exist.")
        self.partial = self.path.with_name(f"{PARTIAL}{os.getpid()}-{self.path.name}") if self.regular else self.path
        try:
            if self.regular and self.path.exists() and not _is_table(self.path, columns[0]):
                raise SettingsError(f"{path}: exists and is no table of scores; choose another name, or delete it.")
            self.file = self.partial.open("wb", buffering=0)
        except OSError as e:
            raise SettingsError(f"{path}: cannot be written ({e.strerror}).") from e

    def add(self, *rows: dict[str, Any]) -> None:
        """Writes a row, after the first one's header; several rows together, so that none of them is lost if this is where a run ends."""
        if not rows:
            return
        text = "".join(line((row.get(c) for c in self.columns), 6) for row in rows)
        self._write(text if self.count else line(self.columns, 6) + text)
        if not self.count and self.regular:
            self.partial.replace(self.path)
        self.count += len(rows)

    def _write(self, text: str) -> None:
        data = text.encode("utf-8", "backslashreplace")
        try:
            written = 0
            while written < len(data):
                written += self.file.write(data[written:])
            self.size += len(data)
        except OSError as e:
            if self.regular:
                self.file.truncate(self.size)  # no half a row
            kept = f"; {self.count} rows are there, --resume goes on after them" if self.count else ""
            raise SettingsError(f"{self.where}: cannot be written ({e.strerror}){kept}.") from e

    def close(self) -> None:
        """Ends the file; without a row, nothing is left behind and a former file is as it was."""
        self.file.close()
        if self.regular:
            self.partial.unlink(missing_ok=True)

    def __enter__(self) -> "Written":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def _is_table(path: Path, first: str) -> bool:
    """Whether a file is empty or begins like a table of ours: anything else, a recording say, is not overwritten."""
    with path.open("rb") as file:
        return file.read(len(first) + 1) in (b"", first.encode() + b",")


def resumed(path: Path, columns: list[str], fixed: dict[str, str], *, last_may_be_broken_off: bool) -> list[dict[str, str]]:
    """Rows of a broken-off run that need not be computed again: those without an error.

    fixed : columns with their values of this run. last_may_be_broken_off : a file has several rows, so its last one may be missing.

    Raises
    ------
    SettingsError
        The table was made otherwise: by another network, or with other columns.
    """
    try:
        text = path.read_bytes().decode("utf-8", "backslashreplace")
    except FileNotFoundError:
        return []
    except OSError as e:
        raise SettingsError(f"{path}: cannot be read ({e.strerror}).") from e
    whole = text[: text.rfind("\n") + 1]  # a last line that was not finished is computed again
    try:
        rows = [
            {k: unguarded(v) if isinstance(v, str) else v for k, v in row.items()} for row in csv.DictReader(io.StringIO(whole, newline=""))
        ]
    except csv.Error as e:
        raise SettingsError(f"{path}: is no table that can be gone on with ({e}).") from e
    if not rows:
        return []
    if list(rows[0]) != columns:
        raise SettingsError(f"{path}: was made with other options (its columns are others); choose another file, or leave out --resume.")
    for column, value in fixed.items():
        if other := next((row[column] for row in rows if row[column] != value), None):
            raise SettingsError(f"{path}: was made with {column} {other}, not {value}; choose another file, or leave out --resume.")
    last = rows[-1]["file"] if last_may_be_broken_off else None
    failed = {row["file"] for row in rows if row["error"]}  # of whose windows some may be good: they are all scored again
    return [row for row in rows if row["file"] not in failed and row["file"] != last]


def write_anywhere() -> None:
    """Whatever names look like, and whatever encoding a terminal or pipe has: what it cannot show appears as \\xNN."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")
