"""What every study shares: the notebook's parameters, where records lie, how an interval is written."""

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict

from .. import environment, records, trials
from ..records import Record
from ..trials import Trial


class ChapterSettings(BaseModel):
    """Parameters that every notebook has; a study may add its own."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    profile: Literal["demo", "paper"] = "demo"
    engine: Literal["local", "dask"] = "local"
    scheduler: str = ""
    store: str = ""

    @property
    def folder(self) -> str:
        """The store of this run: a folder or an fsspec address."""
        return self.store or str(environment.results_store())

    def run(self, planned: Sequence[Trial]) -> list[Record]:
        """Records of trials, those made that are not there."""
        return trials.run(planned, self.folder, self.engine, self.scheduler)


def published_run(slug: str) -> list[Record]:
    """Records of the published run of one chapter."""
    return records.read_all(environment.resource("book", "results", slug))


def of_kind(found: list[Record], kind: type[Trial], **fields: object) -> list[Record]:
    """Records of one kind of trial whose fields have these values."""

    def same(value: object, wanted: object) -> bool:
        return (tuple(value) if isinstance(value, list) else value) == wanted

    return [r for r in found if r.trial["kind"] == kind.kind and all(same(r.trial.get(k), v) for k, v in fields.items())]


def the(found: list[Record], kind: type[Trial], **fields: object) -> Record | None:
    """The one record of this kind with these values, or None."""
    return next(iter(of_kind(found, kind, **fields)), None)


def as_recorded(settings: Any) -> dict[str, Any]:
    """Settings, a dataclass, as a record holds them."""
    return {k: list(v) if isinstance(v, tuple) else v for k, v in asdict(settings).items()}


def with_interval(values: Sequence[float]) -> str:
    """A value and its interval, to three places."""
    return "{:.3f} [{:.3f}, {:.3f}]".format(*values)
