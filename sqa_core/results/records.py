"""Records: what a trial was and what came out, written once and never edited.

While a run is under way each is a JSON file named by the trial's key, with `KEY.parquet` (a table of single items) and `KEY.npz` (arrays)
beside it. `pack` joins those of a folder into three files for each kind of trial: `KIND.jsonl`, one line per record in the order of their
keys, `KIND.parquet` and `KIND.npz`. Reading accepts both.
"""

import io
import json
import math
import re
from collections.abc import Iterable
from dataclasses import dataclass, field, fields
from functools import lru_cache
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import pandas as pd

from ..errors import SettingsError
from ..files import PARTIAL, atomic, from_json
from . import packed, store
from .store import Store


class Attachments(Protocol):
    """Where the tables and arrays of records are."""

    def items(self, key: str) -> pd.DataFrame: ...
    def has_items(self, key: str) -> bool: ...
    def arrays(self, key: str) -> dict[str, np.ndarray]: ...


@dataclass(frozen=True, eq=False)  # a record is the one with its key; two copies need not be compared
class Record:
    """How a number was made and what it is.

    trial : everything that decides the number. metrics : what came out. data_status, model_status : "paper", "real", … of the trial.
    wall_s : seconds. versions : of the libraries. commit : of this library.
    """

    key: str
    trial: dict[str, Any]
    metrics: dict[str, Any]
    data_status: str
    model_status: str
    wall_s: float
    device: str
    versions: dict[str, str]
    commit: str
    attachments: Attachments | None = field(default=None, repr=False)

    def items(self) -> pd.DataFrame:
        """Predictions for single items, such as files.

        Returns
        -------
        One row per item.

        Raises
        ------
        SettingsError
            The trial keeps none, or its file is missing.
        """
        assert self.attachments is not None
        try:
            return self.attachments.items(self.key)
        except FileNotFoundError as e:
            raise SettingsError(f"The record {self.key} ({self.trial['kind']}) has no table; {_ABSENT}.") from e

    def arrays(self) -> dict[str, np.ndarray]:
        """Maps and other arrays by name; none if the trial keeps none. To ask for one that is not there raises SettingsError."""
        assert self.attachments is not None
        return _Arrays(self.key, self.attachments.arrays(self.key))


_ABSENT = "if its trial keeps one, restore the file, or delete the record to have it computed again"


class _Arrays(dict[str, np.ndarray]):
    def __init__(self, key: str, arrays: dict[str, np.ndarray]):
        super().__init__(arrays)
        self.key = key

    def __missing__(self, name: str) -> np.ndarray:
        raise SettingsError(f"The record {self.key} has no array {name!r}; {_ABSENT}.")


# ---- one file per record ----


@dataclass(frozen=True)
class _Single:
    """Attachments of a record in files of its own, or in the packed files if it has been packed since."""

    folder: str
    kind: str

    def items(self, key: str) -> pd.DataFrame:
        try:
            data = store.read_bytes(self.folder, f"{key}.parquet")
        except FileNotFoundError:
            return packed.Attachments(self.folder, self.kind).items(key)
        with packed.readable(f"{self.folder}/{key}.parquet"):
            return pd.read_parquet(io.BytesIO(data))

    def has_items(self, key: str) -> bool:
        return store.exists(self.folder, f"{key}.parquet")

    def arrays(self, key: str) -> dict[str, np.ndarray]:
        try:
            data = store.read_bytes(self.folder, f"{key}.npz")
        except FileNotFoundError:
            return packed.Attachments(self.folder, self.kind).arrays(key)
        with packed.readable(f"{self.folder}/{key}.npz"), np.load(io.BytesIO(data), allow_pickle=False) as stored:
            return dict(stored)


def write(record: Record, folder: Store, items: pd.DataFrame | None = None, arrays: dict[str, np.ndarray] | None = None) -> None:
    """Write a record completely or not at all: table and arrays first, the JSON file last.

    Raises
    ------
    SettingsError
        The store cannot be reached, or its disk is full.
    """
    parts = {}
    if items is not None:
        parts["parquet"] = items.to_parquet(index=False)
    if arrays:
        parts["npz"] = packed.npz(arrays)
    parts["json"] = (json.dumps(_body(record), indent=1, sort_keys=True, allow_nan=False) + "\n").encode()
    for ending, data in parts.items():
        store.write_bytes(folder, f"{record.key}.{ending}", data)


def _body(record: Record) -> dict[str, Any]:
    return _plain({k: v for k, v in vars(record).items() if k != "attachments"})


def _plain(value: Any) -> Any:
    """JSON has no NaN: an undefined number is null."""
    if isinstance(value, dict):
        return {str(k): _plain(v) for k, v in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(v) for v in value]
    if isinstance(value, np.generic):
        value = value.item()
    return None if isinstance(value, float) and not math.isfinite(value) else value


def _read_single(folder: Store, key: str) -> Record:
    place = f"{folder}/{key}.json"
    body = _checked(store.read_bytes(folder, f"{key}.json"), place, "delete it to have it computed again")
    if body["key"] != key:
        raise SettingsError(f"{place}: it holds another record, {body['key']!r}; delete it to have its own computed again.")
    return Record(**body, attachments=_Single(str(folder), body["trial"]["kind"]))


_TYPES: dict[str, type | tuple[type, ...]] = {f.name: str for f in fields(Record) if f.name != "attachments"}
_TYPES |= {"trial": dict, "metrics": dict, "versions": dict, "wall_s": (int, float)}


def _checked(text: bytes | str, place: str, what_to_do: str) -> dict[str, Any]:
    """The body of a record from its JSON, with the fields that a record has, of their types.

    Raises
    ------
    SettingsError
        It is not so; place and what_to_do are part of the sentence.
    """
    try:
        body = from_json(text)
    except ValueError as e:
        raise SettingsError(f"{place}: not a record (not JSON); {what_to_do}.") from e
    if not isinstance(body, dict) or body.keys() != _TYPES.keys():
        raise SettingsError(f"{place}: not a record (other fields); {what_to_do}.")
    if wrong := [name for name, kinds in _TYPES.items() if not isinstance(body[name], kinds)]:
        raise SettingsError(f"{place}: not a record (`{wrong[0]}` is {body[wrong[0]]!r:.40}); {what_to_do}.")
    if not isinstance(body["trial"].get("kind"), str):
        raise SettingsError(f"{place}: not a record (its trial has no kind); {what_to_do}.")
    return body


def _single_keys(folder: Store) -> set[str]:
    return {n.removesuffix(".json") for n in store.names(folder) if n.endswith(".json")}


# ---- packed ----

_FIRST = '{"key":"'  # how each line of a packed file starts, so that keys can be listed without parsing
KEY_DIGITS = 16


def pack(folder: Path) -> tuple[int, int]:
    """Join the single records of a folder into the packed files of their kinds.

    Tables and arrays are written before the lines that refer to them, and single files are deleted last, so a run that is killed at any
    point loses nothing and is repaired by the next. A record whose table would not come back exactly stays in files of its own.

    Returns
    -------
    joined, left
        How many records were joined, and how many stay single.
    """
    from filelock import FileLock

    folder.mkdir(parents=True, exist_ok=True)
    with FileLock(folder.with_name(f".{folder.name}.lock")):
        singles = [_read_single(folder, key) for key in sorted(_single_keys(folder))]
        joined: set[str] = set()
        for kind in sorted({r.trial["kind"] for r in singles}):
            joined |= _pack_kind(folder, kind, [r for r in singles if r.trial["kind"] == kind])
        left = {r.key for r in singles} - joined
        for key in joined:
            (folder / f"{key}.json").unlink(missing_ok=True)  # first: what remains is then not a record
        done = keys(folder) - left
        for path in list(folder.iterdir()):  # of these and of a run that was killed here
            if re.fullmatch(rf"[0-9a-f]{{{KEY_DIGITS}}}\.(parquet|npz)", path.name) and path.stem in done:
                path.unlink()
    return len(joined), len(left)


def _pack_kind(folder: Path, kind: str, singles: list[Record]) -> set[str]:
    """The keys of those that were joined; none if tables that are packed already would not come back exactly among the new ones."""
    before = {r.key: r for r in _read_packed(folder, kind)}
    together = before | {r.key: r for r in singles}
    tables = {key: together[key].items() for key in sorted(together) if _attached(together[key]).has_items(key)}
    data, exact = packed.join(tables)
    if not (before.keys() & tables.keys()) <= exact:
        return set()
    everything = [together[key] for key in sorted(together) if key in exact or key not in tables]
    arrays = {f"{r.key}/{name}": a for r in everything for name, a in r.arrays().items()}
    if tables:
        store.write_bytes(folder, f"{kind}.parquet", data)
    if arrays:
        store.write_bytes(folder, f"{kind}.npz", packed.npz(arrays))
    with atomic(folder / f"{kind}.jsonl") as partial:
        partial.write_text("".join(_line(r) for r in everything))
    return {r.key for r in everything} & {r.key for r in singles}


def _attached(record: Record) -> Attachments:
    assert record.attachments is not None
    return record.attachments


def _line(record: Record) -> str:
    body = _body(record)
    rest = json.dumps({k: v for k, v in body.items() if k != "key"}, sort_keys=True, separators=(",", ":"), allow_nan=False)
    return f'{_FIRST}{record.key}",{rest[1:]}\n'


def _packed_kinds(folder: Store) -> list[str]:
    """The kinds of packed records; SettingsError if there are tables or arrays of a kind whose records are missing. Beside single records they
    may be what packing writes first."""
    names = set(store.names(folder))
    of_kinds = {name.rpartition(".")[0] for name in names if name.endswith((".parquet", ".npz"))}
    packed_only = {kind for kind in of_kinds if not re.fullmatch(f"[0-9a-f]{{{KEY_DIGITS}}}", kind) and not kind.startswith(PARTIAL)}
    lost = sorted(kind for kind in packed_only if f"{kind}.jsonl" not in names)
    if lost and not any(name.endswith(".json") for name in names):
        raise SettingsError(f"{folder}/{lost[0]}.jsonl: missing, but tables or arrays of its records are there; restore the file.")
    return sorted(n.removesuffix(".jsonl") for n in names if n.endswith(".jsonl"))


def _lines(folder: Store, kind: str) -> list[str]:
    text = store.read_bytes(folder, f"{kind}.jsonl").decode("utf-8", errors="replace")
    lines = text.split("\n")
    if lines.pop():
        raise SettingsError(f"{folder}/{kind}.jsonl, line {len(lines) + 1}: cut short; restore the file.")
    for number, line in enumerate(lines, start=1):
        if not line.startswith(_FIRST):
            raise SettingsError(f"{folder}/{kind}.jsonl, line {number}: not a record; restore the file, or delete the line.")
    return lines


@lru_cache(maxsize=64)  # a worker asks for each of its trials
def _packed_keys(folder: Store, kind: str, version: str) -> frozenset[str]:
    return frozenset(line[len(_FIRST) :][:KEY_DIGITS] for line in _lines(folder, kind))


def _read_packed(folder: Store, kind: str, wanted: set[str] | None = None) -> list[Record]:
    if not store.exists(folder, f"{kind}.jsonl"):
        return []
    attachments = packed.Attachments(str(folder), kind)
    out = []
    for number, line in enumerate(_lines(folder, kind), start=1):
        if wanted is None or line[len(_FIRST) :][:KEY_DIGITS] in wanted:
            body = _checked(line, f"{folder}/{kind}.jsonl, line {number}", "restore the file, or delete the line")
            out.append(Record(**body, attachments=attachments))
    if wanted is None and not out:
        raise SettingsError(f"{folder}/{kind}.jsonl: holds no record; restore the file, or delete what is packed beside it.")
    return out


# ---- reading both ----


def keys(folder: Store) -> set[str]:
    """Keys of the records in a folder, packed or single.

    Returns
    -------
    The keys; none if there is no such folder.

    Raises
    ------
    SettingsError
        The store cannot be reached, a packed file is damaged, or the records of packed tables or arrays are missing.
    """
    single = _single_keys(folder)  # before the packed ones: a record that is packed meanwhile is then seen there
    of_kinds = [_packed_keys(folder, kind, store.version(folder, f"{kind}.jsonl")) for kind in _packed_kinds(folder)]
    return single.union(*of_kinds)


def exists(folder: Store, key: str) -> bool:
    """Whether a folder has a record of this key."""
    return store.exists(folder, f"{key}.json") or key in keys(folder)


def read(folder: Store, key: str) -> Record:
    """One record by its key.

    Returns
    -------
    The record; its own files count if it is packed too.

    Raises
    ------
    SettingsError
        There is none, or its file is damaged.
    """
    found = read_all(folder, {key})
    if not found:
        raise SettingsError(f"{folder}: there is no record {key}.")
    return found[0]


def read_all(folder: Store, wanted: Iterable[str] | None = None) -> list[Record]:
    """Every record of a folder, or those with some keys.

    Parameters
    ----------
    folder : a folder or an fsspec address; one that does not exist has no records.
    wanted : keys; those without a record are ignored. Every record is read if not given.

    Returns
    -------
    Records ordered by kind and key. If a record is both packed and in files of its own, its own files count.

    Raises
    ------
    SettingsError
        The store cannot be reached, a record is damaged, or the records of packed tables or arrays are missing.
    """
    chosen = None if wanted is None else set(wanted)
    single = _single_keys(folder)  # before the packed ones: a record that is packed meanwhile is then found there
    found = {r.key: r for kind in _packed_kinds(folder) for r in _read_packed(folder, kind, chosen)}
    for key in single if chosen is None else single & chosen:
        try:
            found[key] = _read_single(folder, key)
        except FileNotFoundError:
            if key not in found:  # packed after the packed files were read
                return read_all(folder, chosen)
    return sorted(found.values(), key=lambda r: (r.trial.get("kind", ""), r.key))
