"""Records of the chapter on JSQA: those of one start as they are planned, and differences paired over seeds."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, TypeVar

import numpy as np
import pandas as pd

from ... import metrics
from ...metrics import Interval
from ...results import frame
from ...results.records import Record
from ...results.trials import canonical
from .plan import CDPAM, ENCODER, HEAD_TUNING, LISTENERS_TUNING, PRETRAININGS, TUNING
from .trials import HeadTrial

Group = TypeVar("Group")


def arms(found: pd.DataFrame, start: str, epochs: int | None = None, labelled: int | None = None) -> list[Record]:
    """Records of one start of the published run, as planned; by seed. epochs : of pretraining, if not the planned number. labelled : calls that
    were tuned on, if not all."""
    pretraining = PRETRAININGS.get(start)
    if pretraining and epochs:
        pretraining = replace(pretraining, epochs=epochs)
    wanted = {"start": start, "tuning": TUNING, "encoder": CDPAM if start == "cdpam" else ENCODER, "pretraining": pretraining}
    return _matching(found, "arms", wanted | {"labelled": labelled})


def heads(found: pd.DataFrame, start: str) -> list[Record]:
    """Records of the head alone on one frozen encoder; by seed."""
    big = start.startswith("cdpam")
    wanted = {"start": start, "tuning": HEAD_TUNING, "encoder": CDPAM if big else ENCODER, "pretraining": PRETRAININGS.get(start)}
    usual = {name: HeadTrial.model_fields[name].default for name in ("stretches", "precision")}
    return _matching(found, "heads", wanted | usual | {"labelled": None})


def on_listeners(found: pd.DataFrame, start: str) -> list[Record]:
    """Records of one start tuned on listeners' scores; by seed."""
    wanted = {"start": start, "tuning": LISTENERS_TUNING, "encoder": ENCODER, "pretraining": PRETRAININGS.get(start)}
    return _matching(found, "listeners_arms", wanted)


def _matching(found: pd.DataFrame, kind: str, wanted: dict[str, Any]) -> list[Record]:
    """Records of a kind whose trials have these values; by seed."""
    values = {name: canonical(value) for name, value in wanted.items()}
    of = [r for r in frame.records(found, kind) if all(r.trial.get(name) == value for name, value in values.items())]
    return sorted(of, key=lambda r: r.trial["seed"])


def pairs_by_seed(found: pd.DataFrame, start: str, other: str) -> list[tuple[Record, Record]]:
    """Records of two starts with the same seed."""
    return _same_seeds(arms(found, start), arms(found, other))


def _same_seeds(of: list[Record], base: list[Record]) -> list[tuple[Record, Record]]:
    first, second = ({r.trial["seed"]: r for r in records} for records in (of, base))
    return [(first[seed], second[seed]) for seed in sorted(first.keys() & second.keys())]


def paired(found: pd.DataFrame, start: str, other: str, metric: str) -> np.ndarray:
    """Differences of a metric between two starts, seed by seed."""
    return np.array(differences(arms(found, start), arms(found, other), metric))


def differences(of: list[Record], base: list[Record], metric: str) -> list[float]:
    """A metric minus that of the base, seed by seed."""
    return [a.metrics[metric] - b.metrics[metric] for a, b in _same_seeds(of, base)]


LEAST_BASE = 0.1  # of a measure from scratch: a change is no share of what is near 0


def change(pairs: list[tuple[Record, Record]], metric: str) -> tuple[Interval, Interval | None]:
    """The mean change of a metric over pairs of records with its interval, and the same as a share of the mean of the second records; None
    where one of those is near 0 or negative."""
    own, base = np.array([[r.metrics[metric] for r in pair] for pair in pairs], float).T
    found = metrics.confidence_t(own - base)
    return found, Interval(*(v / float(base.mean()) for v in found)) if (base > LEAST_BASE).all() else None


def of_common_seeds(groups: Mapping[Group, list[Record]]) -> dict[Group, list[Record]]:
    """Groups of records, each with the seeds that all of them have, so that their means can be compared."""
    common = set.intersection(*({r.trial["seed"] for r in of} for of in groups.values())) if groups else set()
    return {group: [r for r in of if r.trial["seed"] in common] for group, of in groups.items()}


def mean_of(of: list[Record], metric: str) -> float:
    """The mean of a metric over records."""
    return float(np.mean([r.metrics[metric] for r in of]))
