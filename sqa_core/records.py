"""Records: one JSON file a trial, named by the trial's key, with tables and arrays beside it. Written once, never edited."""

import json
import math
import os
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from .errors import SettingsError


@dataclass(frozen=True)
class Record:
    """How a number was made and what it is.

    `trial` holds everything that decides it; `metrics` what came out; data and model carry their status. Tables of single items
    and arrays lie beside the JSON file, as `KEY.parquet` and `KEY.npz`.
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
    folder: Path = field(default=Path(), compare=False)

    def items(self) -> pd.DataFrame:
        """Predictions for single items."""
        return pd.read_parquet(self.folder / f"{self.key}.parquet")

    def arrays(self) -> dict[str, np.ndarray]:
        """Maps and other arrays."""
        with np.load(self.folder / f"{self.key}.npz", allow_pickle=False) as stored:
            return dict(stored)


def write(record: Record, folder: Path, items: pd.DataFrame | None = None, arrays: dict[str, np.ndarray] | None = None) -> Record:
    """Write whole or not at all: tables and arrays first, the JSON last, each under a temporary name and then renamed."""
    folder.mkdir(parents=True, exist_ok=True)
    if items is not None:
        _replace(folder / f"{record.key}.parquet", lambda path: items.to_parquet(path, index=False))
    if arrays is not None:
        _replace(folder / f"{record.key}.npz", lambda path: np.savez_compressed(path, **arrays))  # type: ignore[arg-type]
    body = {k: v for k, v in asdict(record).items() if k != "folder"}
    text = json.dumps(_plain(body), indent=1, sort_keys=True, allow_nan=False) + "\n"
    _replace(folder / f"{record.key}.json", lambda path: path.write_text(text))
    return read(folder / f"{record.key}.json")


def _replace(path: Path, write_to) -> None:
    partial = path.with_name(f"part-{os.getpid()}-{path.name}")  # the ending stays: savers choose by it
    try:
        write_to(partial)
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


def read(path: Path) -> Record:
    try:
        return Record(**json.loads(path.read_text()), folder=path.parent)
    except (json.JSONDecodeError, TypeError, UnicodeDecodeError) as e:
        raise SettingsError(f"{path}: not a record ({type(e).__name__}); delete it to have it made again.") from e


def read_all(folder: Path) -> list[Record]:
    """Every record of a folder, by kind and key."""
    found = [read(p) for p in folder.glob("*.json") if not p.name.startswith("part-")] if folder.is_dir() else []
    return sorted(found, key=lambda r: (r.trial.get("kind", ""), r.key))


def table(records: list[Record]) -> pd.DataFrame:
    """One row a record: the trial's fields, single-number metrics, statuses, provenance."""
    rows = []
    for r in records:
        flat = {k: v for k, v in r.metrics.items() if not isinstance(v, dict | list)}
        fields = {k: v for k, v in r.trial.items() if not isinstance(v, dict | list)}
        status = {"data_status": r.data_status, "model_status": r.model_status}
        rows.append({"key": r.key, **fields, **flat, **status, "wall_s": r.wall_s, "device": r.device, "commit": r.commit})
    return pd.DataFrame(rows)
