"""Records: one JSON file a trial, named by the trial's key, with tables and arrays beside it. Written once, never edited.

They lie in a store: a folder, or an address that fsspec knows (s3://…, sftp://…).
"""

import errno
import io
import json
import math
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import fsspec
import numpy as np
import pandas as pd

from .errors import SettingsError

Store = str | Path


@dataclass(frozen=True)
class Record:
    """How a number was made and what it is.

    `trial` holds everything that decides it; `metrics` what came out; data and model carry their status. Tables of single items
    and arrays lie beside the JSON file, as `KEY.parquet` and `KEY.npz`, in `folder`.
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
    folder: str = field(default="", compare=False)

    def items(self) -> pd.DataFrame:
        """Predictions for single items."""
        return pd.read_parquet(io.BytesIO(self._read("parquet")))

    def arrays(self) -> dict[str, np.ndarray]:
        """Maps and other arrays."""
        with np.load(io.BytesIO(self._read("npz")), allow_pickle=False) as stored:
            return dict(stored)

    def _read(self, ending: str) -> bytes:
        with _reaching(self.folder) as (files, root):
            return files.cat_file(f"{root}/{self.key}.{ending}")


@contextmanager
def _reaching(folder: Store) -> Iterator[tuple[Any, str]]:
    """The file system of a store and the path in it; what goes wrong there becomes one sentence."""
    try:
        yield fsspec.core.url_to_fs(str(folder))
    except OSError as e:
        if e.errno in (errno.ENOSPC, errno.EDQUOT):
            raise SettingsError(f"{folder}: there is no room left to write to; make some and run again, what is stored is kept.") from e
        if isinstance(e, FileNotFoundError):
            raise
        raise SettingsError(f"{folder}: the store cannot be reached ({e.strerror or e}); what is stored is kept.") from e
    except (ImportError, ValueError) as e:
        raise SettingsError(f"{folder}: not a store that can be opened ({e}).") from e


def write(record: Record, folder: Store, items: pd.DataFrame | None = None, arrays: dict[str, np.ndarray] | None = None) -> Record:
    """Write whole or not at all: tables and arrays first, the JSON last.

    In a folder each under a temporary name and then renamed; object stores take each file whole.
    """
    body = {k: v for k, v in asdict(record).items() if k != "folder"}
    parts = {}
    if items is not None:
        parts["parquet"] = items.to_parquet(index=False)
    if arrays is not None:
        buffer = io.BytesIO()
        np.savez_compressed(buffer, **arrays)  # type: ignore[arg-type]
        parts["npz"] = buffer.getvalue()
    parts["json"] = (json.dumps(_plain(body), indent=1, sort_keys=True, allow_nan=False) + "\n").encode()
    with _reaching(folder) as (files, root):
        files.makedirs(root, exist_ok=True)
        for ending, data in parts.items():
            _put(files, f"{root}/{record.key}.{ending}", data)
    return read(folder, record.key)


def _put(files: Any, path: str, data: bytes) -> None:
    if "file" not in files.protocol:
        files.pipe_file(path, data)
        return
    partial = Path(path).with_name(f"part-{os.getpid()}-{Path(path).name}")
    try:
        partial.write_bytes(data)
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)


def _plain(value: Any) -> Any:
    """JSON knows no NaN: an undefined number is null."""
    if isinstance(value, dict):
        return {str(k): _plain(v) for k, v in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(v) for v in value]
    if isinstance(value, np.generic):
        value = value.item()
    return None if isinstance(value, float) and not math.isfinite(value) else value


def keys(folder: Store) -> set[str]:
    """Keys of the records in a folder; none where the folder is not there yet."""
    with _reaching(folder) as (files, root):
        try:
            names = [path.rsplit("/", 1)[-1] for path in files.ls(root, detail=False, refresh=True)]
        except FileNotFoundError:
            return set()
    return {name.removesuffix(".json") for name in names if name.endswith(".json") and not name.startswith("part-")}


def exists(folder: Store, key: str) -> bool:
    with _reaching(folder) as (files, root):
        return files.exists(f"{root}/{key}.json")


def read(folder: Store, key: str) -> Record:
    with _reaching(folder) as (files, root):
        text = files.cat_file(f"{root}/{key}.json")
    try:
        return Record(**json.loads(text), folder=str(folder))
    except (json.JSONDecodeError, TypeError, UnicodeDecodeError) as e:
        raise SettingsError(f"{folder}/{key}.json: not a record ({type(e).__name__}); delete it to have it made again.") from e


def read_all(folder: Store) -> list[Record]:
    """Every record of a folder, by kind and key."""
    return sorted((read(folder, key) for key in keys(folder)), key=lambda r: (r.trial.get("kind", ""), r.key))


def table(records: list[Record]) -> pd.DataFrame:
    """One row a record: the trial's fields, single-number metrics, statuses, provenance."""
    rows = []
    for r in records:
        flat = {k: v for k, v in r.metrics.items() if not isinstance(v, dict | list)}
        fields = {k: v for k, v in r.trial.items() if not isinstance(v, dict | list)}
        status = {"data_status": r.data_status, "model_status": r.model_status}
        rows.append({"key": r.key, **fields, **flat, **status, "wall_s": r.wall_s, "device": r.device, "commit": r.commit})
    return pd.DataFrame(rows)
