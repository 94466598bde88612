"""Records: what a trial was and what came out, written once and never edited.

They are kept in a store: a folder, or an fsspec address (s3://…, sftp://…). While a run is under way each is a JSON file named by
the trial's key, with `KEY.parquet` (a table of single items) and `KEY.npz` (arrays) beside it. `pack` joins those of a folder into three
files for each kind of trial: `KIND.jsonl`, a line a record in the order of their keys, `KIND.parquet` and `KIND.npz`. Reading accepts both.
"""

import errno
import io
import json
import math
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, Protocol

import fsspec
import numpy as np
import pandas as pd

from ..errors import SettingsError
from ..files import PARTIAL, atomic

Store = str | Path


class _Attachments(Protocol):
    """Where the tables and arrays of records are."""

    def items(self, key: str) -> pd.DataFrame: ...
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
    attachments: _Attachments | None = field(default=None, repr=False)

    def items(self) -> pd.DataFrame:
        """Predictions for single items, such as files."""
        assert self.attachments is not None
        return self.attachments.items(self.key)

    def arrays(self) -> dict[str, np.ndarray]:
        """Maps and other arrays."""
        assert self.attachments is not None
        return self.attachments.arrays(self.key)


@contextmanager
def _reaching(folder: Store) -> Iterator[tuple[Any, str]]:
    """The file system of a store and the path in it; a failure there becomes one sentence."""
    try:
        yield fsspec.core.url_to_fs(str(folder))
    except OSError as e:
        if e.errno in (errno.ENOSPC, errno.EDQUOT):
            raise SettingsError(f"{folder}: the disk is full; make room and run again, what is stored is kept.") from e
        if isinstance(e, FileNotFoundError):
            raise
        raise SettingsError(f"{folder}: the store cannot be reached ({e.strerror or e}); what is stored is kept.") from e
    except (ImportError, ValueError) as e:
        raise SettingsError(f"{folder}: not a store that can be opened ({e}).") from e


# ---- one file a record ----


@dataclass(frozen=True)
class _Single:
    """Attachments of a record in files of its own."""

    folder: str

    def items(self, key: str) -> pd.DataFrame:
        return pd.read_parquet(io.BytesIO(_cat(self.folder, f"{key}.parquet")))

    def arrays(self, key: str) -> dict[str, np.ndarray]:
        with np.load(io.BytesIO(_cat(self.folder, f"{key}.npz")), allow_pickle=False) as stored:
            return dict(stored)


def _cat(folder: Store, name: str) -> bytes:
    with _reaching(folder) as (files, root):
        return files.cat_file(f"{root}/{name}")


def write(record: Record, folder: Store, items: pd.DataFrame | None = None, arrays: dict[str, np.ndarray] | None = None) -> None:
    """Write a record completely or not at all: table and arrays first, the JSON file last.

    In a folder each file is written under a temporary name and then renamed; object stores take each file whole.

    Raises
    ------
    SettingsError
        The store cannot be reached, or its disk is full.
    """
    parts = {}
    if items is not None:
        parts["parquet"] = items.to_parquet(index=False)
    if arrays is not None:
        parts["npz"] = _npz(arrays)
    parts["json"] = (json.dumps(_body(record), indent=1, sort_keys=True, allow_nan=False) + "\n").encode()
    with _reaching(folder) as (files, root):
        files.makedirs(root, exist_ok=True)
        for ending, data in parts.items():
            _put(files, f"{root}/{record.key}.{ending}", data)


def _body(record: Record) -> dict[str, Any]:
    return _plain({k: v for k, v in vars(record).items() if k != "attachments"})


def _npz(arrays: dict[str, np.ndarray]) -> bytes:
    buffer = io.BytesIO()
    np.savez_compressed(buffer, **arrays)  # type: ignore[arg-type]
    return buffer.getvalue()


def _put(files: Any, path: str, data: bytes) -> None:
    if "file" not in files.protocol:
        files.pipe_file(path, data)
        return
    with atomic(Path(path)) as partial:
        partial.write_bytes(data)


def _plain(value: Any) -> Any:
    """JSON has no NaN: an undefined number is null."""
    if isinstance(value, dict):
        return {str(k): _plain(v) for k, v in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(v) for v in value]
    if isinstance(value, np.generic):
        value = value.item()
    return None if isinstance(value, float) and not math.isfinite(value) else value


# ---- packed ----

_FIRST = '{"key":"'  # how each line of a packed file starts, so that keys can be listed without parsing
KEY_DIGITS = 16
_COLUMNS = b"sqa_columns"  # in a packed Parquet file's metadata: the columns of those records that lack some


class _Packed:
    """Attachments of all records of one kind, read once when the first is asked for."""

    def __init__(self, folder: str, kind: str):
        self.folder, self.kind = folder, kind

    @cached_property
    def _table(self) -> tuple[pd.DataFrame, dict[str, slice], dict[str, list[str]]]:
        import pyarrow.parquet as pq

        table = pq.read_table(io.BytesIO(_cat(self.folder, f"{self.kind}.parquet")))
        columns = json.loads((table.schema.metadata or {}).get(_COLUMNS, b"{}"))
        frame = table.to_pandas()
        keys = frame.pop("key").to_numpy()
        # Rows of one record are adjacent: each starts where the key changes.
        starts = np.flatnonzero(np.r_[True, keys[1:] != keys[:-1]]) if len(keys) else np.zeros(0, int)
        ends = np.r_[starts[1:], len(keys)]
        return frame, {str(keys[a]): slice(int(a), int(b)) for a, b in zip(starts, ends, strict=True)}, columns

    def items(self, key: str) -> pd.DataFrame:
        frame, rows, columns = self._table
        part = frame.iloc[rows[key]].reset_index(drop=True)
        return part[columns[key]] if key in columns else part

    @cached_property
    def _arrays(self) -> Any:
        return np.load(io.BytesIO(_cat(self.folder, f"{self.kind}.npz")), allow_pickle=False)

    def arrays(self, key: str) -> dict[str, np.ndarray]:
        names = [n for n in self._arrays.files if n.startswith(f"{key}/")]
        return {n.removeprefix(f"{key}/"): self._arrays[n] for n in names}


def pack(folder: Path) -> int:
    """Join the single records of a folder into the packed files of their kinds; returns how many were joined.

    Tables and arrays are written before the lines that refer to them, and single files are deleted last, so a run that is killed at any
    point loses nothing and is repaired by the next.
    """
    from filelock import FileLock

    folder.mkdir(parents=True, exist_ok=True)
    with FileLock(folder.with_name(f".{folder.name}.lock")):
        singles = [_read_single(folder, key) for key in sorted(_single_keys(folder))]
        for kind in sorted({r.trial["kind"] for r in singles}):
            _pack_kind(folder, kind, [r for r in singles if r.trial["kind"] == kind])
        for record in singles:
            for ending in ("json", "parquet", "npz"):  # the JSON file first: what remains is then not a record
                (folder / f"{record.key}.{ending}").unlink(missing_ok=True)
    return len(singles)


def _pack_kind(folder: Path, kind: str, singles: list[Record]) -> None:
    together = {r.key: r for r in [*_read_packed(folder, kind), *singles]}
    everything = [together[key] for key in sorted(together)]
    tables = {r.key: r.items() for r in everything if _has(r, folder, "parquet")}
    if tables:
        with atomic(folder / f"{kind}.parquet") as partial:
            _write_tables(tables, partial)
    arrays = {f"{r.key}/{name}": a for r in everything if _has(r, folder, "npz") for name, a in r.arrays().items()}
    if arrays:
        with atomic(folder / f"{kind}.npz") as partial:
            partial.write_bytes(_npz(arrays))
    with atomic(folder / f"{kind}.jsonl") as partial:
        partial.write_text("".join(_line(r) for r in everything))


def _has(record: Record, folder: Path, ending: str) -> bool:
    """Whether a record has a table or arrays."""
    if isinstance(record.attachments, _Single):
        return (folder / f"{record.key}.{ending}").is_file()
    packed = record.attachments
    assert isinstance(packed, _Packed)
    if not (folder / f"{packed.kind}.{ending}").is_file():
        return False
    return record.key in packed._table[1] if ending == "parquet" else any(n.startswith(record.key) for n in packed._arrays.files)


def _write_tables(tables: dict[str, pd.DataFrame], path: Path) -> None:
    """Tables of several records one below the other, `key` in front; those that lack columns are listed in the file's metadata."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    parts = [pa.Table.from_pandas(t, preserve_index=False).replace_schema_metadata() for t in tables.values()]
    keys = [pa.array([key] * len(part)).dictionary_encode() for key, part in zip(tables, parts, strict=True)]
    whole = pa.concat_tables([p.add_column(0, "key", k) for p, k in zip(parts, keys, strict=True)], promote_options="permissive")
    lacking = {key: list(t.columns) for key, t in tables.items() if ["key", *t.columns] != whole.column_names}
    pq.write_table(whole.unify_dictionaries().replace_schema_metadata({_COLUMNS: json.dumps(lacking).encode()}), path, compression="zstd")


def _line(record: Record) -> str:
    body = _body(record)
    rest = json.dumps({k: v for k, v in body.items() if k != "key"}, sort_keys=True, separators=(",", ":"), allow_nan=False)
    return f'{_FIRST}{record.key}",{rest[1:]}\n'


# ---- reading both ----


def _names(folder: Store) -> list[str]:
    with _reaching(folder) as (files, root):
        try:
            names = [path.rsplit("/", 1)[-1] for path in files.ls(root, detail=False, refresh=True)]
        except FileNotFoundError:
            return []
    return [n for n in names if not n.startswith(PARTIAL)]


def _single_keys(folder: Store) -> set[str]:
    return {n.removesuffix(".json") for n in _names(folder) if n.endswith(".json")}


def _packed_kinds(folder: Store) -> list[str]:
    return sorted(n.removesuffix(".jsonl") for n in _names(folder) if n.endswith(".jsonl"))


def keys(folder: Store) -> set[str]:
    """Keys of the records in a folder, packed or single; empty if there is no such folder."""
    return {line[len(_FIRST) :][:KEY_DIGITS] for kind in _packed_kinds(folder) for line in _lines(folder, kind)} | _single_keys(folder)


def _lines(folder: Store, kind: str) -> list[str]:
    text = _cat(folder, f"{kind}.jsonl").decode("utf-8", errors="replace")
    lines = text.split("\n")[:-1]
    for number, line in enumerate(lines, start=1):
        if not line.startswith(_FIRST):
            raise SettingsError(f"{folder}/{kind}.jsonl, line {number}: not a record; restore the file, or delete the line.")
    return lines


def exists(folder: Store, key: str) -> bool:
    """Whether a folder has a record of this key."""
    with _reaching(folder) as (files, root):
        return files.exists(f"{root}/{key}.json") or (bool(_packed_kinds(folder)) and key in keys(folder))


def read(folder: Store, key: str) -> Record:
    """One record by its key.

    Raises
    ------
    SettingsError
        There is none, or its file is damaged.
    """
    found = read_all(folder, {key})
    if not found:
        raise SettingsError(f"{folder}: there is no record {key}.")
    return found[0]


def _read_single(folder: Store, key: str) -> Record:
    try:
        return _parsed(json.loads(_cat(folder, f"{key}.json")), _Single(str(folder)))
    except (ValueError, TypeError) as e:
        raise SettingsError(f"{folder}/{key}.json: not a record ({type(e).__name__}); delete it to have it computed again.") from e


def _read_packed(folder: Store, kind: str, wanted: set[str] | None = None) -> list[Record]:
    if f"{kind}.jsonl" not in _names(folder):
        return []
    packed = _Packed(str(folder), kind)
    out = []
    for number, line in enumerate(_lines(folder, kind), start=1):
        if wanted is None or line[len(_FIRST) :][:KEY_DIGITS] in wanted:
            try:
                out.append(_parsed(json.loads(line), packed))
            except (ValueError, TypeError) as e:
                raise SettingsError(f"{folder}/{kind}.jsonl, line {number}: not a record ({type(e).__name__}).") from e
    return out


def _parsed(body: dict[str, Any], attachments: _Attachments) -> Record:
    return Record(**body, attachments=attachments)


def read_all(folder: Store, wanted: Iterable[str] | None = None) -> list[Record]:
    """Every record of a folder, or those of some keys, by kind and key."""
    chosen = None if wanted is None else set(wanted)
    found = {r.key: r for kind in _packed_kinds(folder) for r in _read_packed(folder, kind, chosen)}
    for key in _single_keys(folder) - found.keys():
        if chosen is None or key in chosen:
            found[key] = _read_single(folder, key)
    return sorted(found.values(), key=lambda r: (r.trial.get("kind", ""), r.key))
