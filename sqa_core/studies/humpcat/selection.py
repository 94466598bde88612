"""Records of the chapter on HuMP-CAT as tables: which variant each is of, and differences paired over folds."""

from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd

from ... import metrics
from ...learning.humpcat import TrainSettings
from ...metrics import Interval
from ...models.humpcat import HumpcatSettings
from ...results import frame
from ...results.trials import canonical
from .plan import ENCODERS, EPOCHS, SHARE, SOURCE_EPOCHS, USUAL, VARIANTS, WIDTH, layers_of

FOLD = ["target", "seed"]


def transfers(found: pd.DataFrame) -> pd.DataFrame:
    """The book's own transfers, a row a record: record, variant, target, start, share, by, seed, and the numbers of its metrics. Those with
    other widths or epochs, which a reader may run, are left out."""
    rows = []
    for r in frame.records(found, "transfer"):
        variant = variant_of(r.trial)
        if variant is not None:
            row = {"record": r, "variant": variant} | {name: r.trial[name] for name in ("target", "start", "share", "by", "seed")}
            rows.append(row | {k: v for k, v in r.metrics.items() if isinstance(v, int | float)})
    columns = ["record", "variant", "target", "start", "share", "by", "seed", "accuracy", "fixed_accuracy"]
    return pd.DataFrame(rows, columns=None if rows else columns)


def variant_of(trial: dict[str, Any]) -> str | None:
    """The name of a transfer's variant; None if it is none of the plan's."""
    depth = ENCODERS.get(trial["encoder"])
    if depth is None:
        return None
    width = trial["network"]["encoder_width"]
    return next((name for name in VARIANTS if _fields(name, depth, width) == _of(trial)), None)


def _of(trial: dict[str, Any]) -> dict[str, Any]:
    return {name: trial[name] for name in ("network", "source_training", "tuning", "prosody")} | {"layers": list(trial["layers"])}


def _fields(variant: str, depth: int, encoder_width: int) -> dict[str, Any]:
    """What a record of a variant has in its trial."""
    v = VARIANTS[variant]
    network = replace(HumpcatSettings(encoder_width=encoder_width, width=WIDTH), **dict(v.network))
    source, tuning = (replace(TrainSettings(epochs=n), **dict(v.training)) for n in (SOURCE_EPOCHS, EPOCHS))
    named = {"network": network, "source_training": source, "tuning": tuning, "prosody": v.prosody, "layers": layers_of(depth, v.layers)}
    return {name: canonical(value) for name, value in named.items()}


def chosen(table: pd.DataFrame, variant: str = USUAL, start: str = "source", share: float = SHARE, by: str = "speaker") -> pd.DataFrame:
    """The transfers of one cell, a row a fold, in one order."""
    mask = (table["variant"] == variant) & (table["start"] == start) & (table["share"] == share) & (table["by"] == by)
    return table[mask].sort_values(FOLD, ignore_index=True)


def difference(one: pd.DataFrame, other: pd.DataFrame, metric: str = "accuracy") -> pd.DataFrame:
    """target, seed and `difference` of a metric, for folds that both have."""
    both = one[[*FOLD, metric]].merge(other[[*FOLD, metric]], on=FOLD, suffixes=("", "_other"))
    return both.assign(difference=both[metric] - both[f"{metric}_other"])[[*FOLD, "difference"]]


def over_folds(values: pd.DataFrame) -> Interval | None:
    """Mean difference over targets and draws of speakers with its interval; None if there are fewer than two folds."""
    return metrics.confidence_t(values["difference"].to_numpy(float)) if len(values) > 1 else None


def by_target(table: pd.DataFrame, metric: str) -> dict[str, np.ndarray]:
    """The metric's values of each target, one a seed."""
    return {str(target): part[metric].to_numpy(float) for target, part in table.groupby("target")}
