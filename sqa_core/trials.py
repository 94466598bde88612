"""Trials: everything that decides a number, frozen; run once, then read."""

import hashlib
import json
import time
from abc import abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar, Literal

import numpy as np
import pandas as pd
from pydantic import BaseModel, ConfigDict
from tqdm import tqdm

from . import environment, records
from .errors import SettingsError
from .records import Record

ModelStatus = Literal["paper", "other", "random", "none"]


@dataclass(frozen=True)
class Result:
    """What `Trial.run` returns: numbers, and where they are needed, a table of single items and arrays."""

    metrics: dict[str, Any]
    items: pd.DataFrame | None = None
    arrays: dict[str, np.ndarray] | None = field(default=None)


class Trial(BaseModel):
    """Base of all trials. Subclasses add fields, set `kind`, and say in `run` how the number is made."""

    model_config = ConfigDict(frozen=True, extra="forbid")
    kind: ClassVar[str]

    study: str
    seed: int = 0
    data_status: Literal["paper", "real", "synthetic"]
    model_status: ModelStatus = "none"

    @abstractmethod
    def run(self) -> Result: ...

    @property
    def canonical(self) -> dict[str, Any]:
        """The trial as plain data, its kind among them."""
        return {"kind": self.kind, **self.model_dump(mode="json")}

    @property
    def key(self) -> str:
        """Hash of the canonical JSON."""
        text = json.dumps(self.canonical, sort_keys=True, separators=(",", ":"), allow_nan=False)
        return hashlib.sha256(text.encode()).hexdigest()[:16]


def run(trials: Sequence[Trial], store: Path, engine: str = "local") -> list[Record]:
    """Records of the trials, in their order; those that `store/STUDY` lacks are run, with a bar where there are several."""
    if engine != "local":
        raise SettingsError(f"There is one engine, local; {engine!r} is not known.")
    paths = [store / trial.study / f"{trial.key}.json" for trial in trials]
    missing = [(trial, path) for trial, path in zip(trials, paths, strict=True) if not path.is_file()]
    # To the error stream, and gone when done, so that a page that is built from the notebook does not show it.
    with tqdm(missing, unit="trial", leave=False, disable=len(missing) < 2) as bar:
        for trial, path in bar:
            bar.set_description(trial.kind)
            if not path.is_file():  # two trials may be one
                _make(trial, path.parent)
    return [records.read(path) for path in paths]


def _make(trial: Trial, folder: Path) -> Record:
    start = time.perf_counter()
    result = trial.run()
    record = Record(
        key=trial.key,
        trial=trial.canonical,
        metrics=result.metrics,
        data_status=trial.data_status,
        model_status=trial.model_status,
        wall_s=round(time.perf_counter() - start, 3),
        device=environment.device_name(environment.device()),
        versions=environment.versions(),
        commit=environment.commit(),
    )
    return records.write(record, folder, result.items, result.arrays)
