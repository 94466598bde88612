"""What every chapter shares: the notebook's parameters, where its records are, and the published run as a table."""

from collections.abc import Sequence
from typing import Literal

import pandas as pd
from pydantic import BaseModel, ConfigDict

from .. import environment
from ..results import code, frame, records, trials
from ..results.records import Record
from ..results.trials import Trial


class ChapterSettings(BaseModel):
    """Parameters that every notebook has; a chapter may add its own."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    profile: Literal["demo", "paper"] = "demo"
    engine: Literal["local", "dask"] = "local"
    scheduler: str = ""
    store: str = ""

    def store_of(self, planned: Sequence[Trial]) -> str:
        """Where the records of these trials are: the store that was named, or a local one for the code that computes them."""
        return self.store or str(environment.results_store(code.library_version(frozenset(type(t).__module__ for t in planned))))

    def run(self, planned: Sequence[Trial]) -> list[Record]:
        """Records of trials; those without a record are run first."""
        return trials.run(planned, self.store_of(planned), self.engine, self.scheduler)


def published_run(slug: str) -> pd.DataFrame:
    """The published run of one chapter, a row a record (`results.frame`)."""
    return frame.of(records.read_all(environment.resource("book", "results", slug)))
