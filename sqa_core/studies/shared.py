"""What every chapter shares: the notebook's parameters, where its records are, and the published run as a table."""

from collections.abc import Sequence
from typing import Any, ClassVar, Literal

import pandas as pd
from pydantic import BaseModel, ConfigDict, field_validator

from .. import environment
from ..errors import SettingsError
from ..results import code, frame, records, trials
from ..results.records import Record
from ..results.store import check
from ..results.trials import Trial


def listed(words: Sequence[str]) -> str:
    """Words as a sentence has them: with commas, and "and" before the last.

    Examples
    --------
    >>> listed(["one", "two", "three"]), listed(["one", "two"]), listed(["one"])
    ('one, two, and three', 'one and two', 'one')
    """
    return f"{', '.join(words[:-1])}{',' * (len(words) > 2)} and {words[-1]}" if len(words) > 1 else "".join(words)


class ChapterSettings(BaseModel):
    """Parameters that every notebook has; a chapter may add its own."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    profile: Literal["demo", "paper"] = "demo"
    engine: Literal["local", "dask"] = "local"
    scheduler: str = ""
    store: str = ""

    @field_validator("store")
    @classmethod
    def _keeps(cls, value: str) -> str:
        check(value)
        return value

    def store_of(self, planned: Sequence[Trial]) -> str:
        """Where the records of these trials are: the store that was named, or a local one for the code that computes them."""
        return self.store or str(environment.results_store(code.library_version(frozenset(type(t).__module__ for t in planned))))

    def run(self, planned: Sequence[Trial]) -> list[Record]:
        """Records of trials; those without a record are run first."""
        return trials.run(planned, self.store_of(planned), self.engine, self.scheduler)


class GridSettings(ChapterSettings):
    """Of a chapter whose trials are a large grid.

    kinds, seeds : values, separated by commas, of the trials to run; all of them where nothing is named. A chapter may add others to
    `NARROWED`; a trial that has no such field is left out where one is named.
    """

    NARROWED: ClassVar[dict[str, str]] = {"kinds": "kind", "seeds": "seed"}  # parameters, and the fields of a trial they name

    kinds: str = ""
    seeds: str = ""

    def run(self, planned: Sequence[Trial]) -> list[Record]:
        """Records of the trials that are named; those without a record are run first.

        Raises
        ------
        SettingsError
            No trial of the plan is like that.
        """
        chosen = list(planned)
        for name, field in self.NARROWED.items():
            if wanted := names_in(getattr(self, name)):
                values = [_value(t, field) for t in chosen]
                if unknown := sorted(set(wanted) - set(values)):
                    there = (
                        ", ".join(sorted({v for v in values if v is not None}, key=lambda v: (len(v), v) if v.isdigit() else (0, v)))
                        or "none"
                    )
                    raise SettingsError(f"No trial of this plan has {name}={unknown[0]}; there are {there}.")
                chosen = [t for t, value in zip(chosen, values, strict=True) if value in wanted]
        return super().run(chosen)


def names_in(text: str) -> list[str]:
    """Names in a parameter, where commas separate them.

    Examples
    --------
    >>> names_in("emodb, emovo,")
    ['emodb', 'emovo']
    """
    return [name for part in text.split(",") if (name := part.strip())]


def _value(trial: Trial, field: str) -> str | None:
    found: Any = trial
    for part in field.split("."):
        found = getattr(found, part, None)
    return None if found is None else str(found)


def published_run(slug: str) -> pd.DataFrame:
    """The published run of one chapter, one row per record (`results.frame`)."""
    return frame.of(records.read_all(environment.resource("book", "results", slug)))
