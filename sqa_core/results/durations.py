"""How long trials take, from the records of earlier ones: to run the quick ones first, and to say when a run will end."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from .. import environment
from ..errors import SettingsError
from . import records
from .frame import flattened
from .records import Record

if TYPE_CHECKING:
    from .trials import Trial

UNKNOWN_S = 60.0  # of a kind that has no record
# What decides the time of a trial beside its kind; fields that a kind does not have do not count.
DECISIVE = ("corpus", "encoder", "network", "start", "protocol", "share", "settings.head", "settings.network", "settings.epochs")


def expected_s(trials: Sequence[Trial], past: Sequence[Record] | None = None) -> np.ndarray:
    """(trials,) seconds that each is expected to take.

    The median of records of the same kind with the same `DECISIVE` fields, else of all records of its kind, else UNKNOWN_S.
    past : the records to go by; those of the published run if None.
    """
    if past is None:
        folder = environment.resource("book", "results")
        try:
            past = [r for study in sorted({t.study for t in trials}) for r in records.read_all(folder / study)]
        except SettingsError:  # a damaged record is told where its number is shown; here it only helps to guess
            past = []
    known: dict[Any, list[float]] = {}
    for r in past:
        for group in (_group(r.trial), r.trial["kind"]):
            known.setdefault(group, []).append(r.wall_s)
    medians = {group: float(np.median(seconds)) for group, seconds in known.items()}

    def of(trial: Trial) -> float:
        return medians.get(_group(trial.canonical), medians.get(trial.kind, UNKNOWN_S))

    return np.array([of(t) for t in trials], float)


def _group(trial: dict[str, Any]) -> tuple[Any, ...]:
    fields = flattened(trial)
    return (trial["kind"], *(repr(fields.get(name)) for name in DECISIVE))


def in_words(seconds: float) -> str:
    """A length of time for people.

    Returns
    -------
    The time in minutes or hours, with its unit.

    Examples
    --------
    >>> in_words(40), in_words(170), in_words(9000)
    ('1 min', '3 min', '2.5 h')
    """
    return f"{seconds / 3600:.1f} h" if seconds > 5400 else f"{max(1, round(seconds / 60))} min"
