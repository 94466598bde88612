"""What every study shares: the notebook's parameters, where records lie, how an interval is written."""

from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict

from .. import environment, records
from ..records import Record


class ChapterSettings(BaseModel):
    """Parameters that every notebook has; a study may add its own."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    profile: Literal["demo", "paper"] = "demo"
    engine: Literal["local"] = "local"
    store: str = ""

    @property
    def folder(self) -> Path:
        return Path(self.store) if self.store else environment.results_store()


def published_run(slug: str) -> list[Record]:
    """Records of the published run of one chapter."""
    return records.read_all(environment.resource("book", "results", slug))


def with_interval(values: list[float]) -> str:
    """A value and its interval, to three places."""
    return "{:.3f} [{:.3f}, {:.3f}]".format(*values)
