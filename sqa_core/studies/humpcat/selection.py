"""Records of the chapter on HuMP-CAT as tables: which variant each is of, and differences paired over folds."""

from collections import Counter
from dataclasses import replace
from functools import cache
from typing import Any

import pandas as pd

from ... import metrics
from ...learning.humpcat import TrainSettings
from ...metrics import Interval
from ...models.humpcat import HumpcatSettings
from ...results import frame
from ...results.records import Record
from ...results.trials import canonical
from .plan import ALL_VARIANTS, ENCODERS, EPOCHS, SHARE, SOURCE_EPOCHS, USUAL, WIDTH, layers_of

FOLD = ["target", "seed"]
ONE_RUN = ("encoder", "weights_hash", "source", "source_hash", "merge_excitement")  # what must be the same in one table


def transfers(found: pd.DataFrame) -> pd.DataFrame:
    """The book's own transfers, one row per record: record, variant, target, start, share, by, seed, and the numbers of its metrics. Those with
    other widths or epochs, which a reader may run, are left out. Of several encoders or sources, or versions of them, the one with most
    records is taken: numbers of two must not stand in one cell."""
    rows = []
    for r in frame.records(found, "transfer"):
        variant = variant_of(r.trial)
        if variant is not None:
            row: dict[str, Any] = {"run": " ".join(str(r.trial[name]) for name in ONE_RUN), "version": r.trial["target_hash"]}
            row |= {"record": r, "variant": variant} | {name: r.trial[name] for name in ("target", "start", "share", "by", "seed")}
            rows.append(row | {k: v for k, v in r.metrics.items() if isinstance(v, int | float)})
    columns = ["record", "variant", "target", "start", "share", "by", "seed", "accuracy", "fixed_accuracy"]
    if not rows:
        return pd.DataFrame(columns=columns)
    table = pd.DataFrame(rows)
    table = table[table["run"] == table["run"].mode()[0]]
    versions = table.groupby("target")["version"].transform(lambda of: of.mode()[0])
    return table[table["version"] == versions].drop(columns=["run", "version"]).reset_index(drop=True)


def variant_of(trial: dict[str, Any]) -> str | None:
    """The name of a transfer's variant; None if it is none of the plan's."""
    depth = ENCODERS.get(trial["encoder"])
    if depth is None:
        return None
    width = trial["network"]["encoder_width"]
    return next((name for name in ALL_VARIANTS if _fields(name, depth, width) == _of(trial)), None)


def _of(trial: dict[str, Any]) -> dict[str, Any]:
    return {name: trial[name] for name in ("network", "source_training", "tuning", "prosody")} | {"layers": list(trial["layers"])}


@cache
def _fields(variant: str, depth: int, encoder_width: int) -> dict[str, Any]:
    """What a record of a variant has in its trial."""
    v = ALL_VARIANTS[variant]
    network = replace(HumpcatSettings(encoder_width=encoder_width, width=WIDTH), **dict(v.network))
    source, tuning = (replace(TrainSettings(epochs=n), **dict(v.training)) for n in (SOURCE_EPOCHS, EPOCHS))
    named = {"network": network, "source_training": source, "tuning": tuning, "prosody": v.prosody, "layers": layers_of(depth, v.layers)}
    return {name: canonical(value) for name, value in named.items()}


def of_run(found: pd.DataFrame, kind: str) -> list[Record]:
    """Records of another kind that belong to the run of the transfers: same data, encoder, network and training on the source; of targets the
    same tuning and version too."""
    table = transfers(found)
    usual = chosen(table)
    if usual.empty:
        return []
    same = (*ONE_RUN, "layers", "network", "prosody", "source_training")
    run = usual["record"].iloc[0].trial
    versions = {r.trial["target"]: r.trial["target_hash"] for r in table["record"]}
    return [
        r
        for r in frame.records(found, kind)
        if all(r.trial[name] == run[name] for name in same)
        and ("target" not in r.trial or (r.trial["tuning"] == run["tuning"] and r.trial["target_hash"] == versions.get(r.trial["target"])))
    ]


def of_voices(found: pd.DataFrame, kind: str) -> list[Record]:
    """Records of a kind on synthetic voices, of the published run's sizes; of several versions of the voices the one with most records."""
    sizes = (WIDTH, SOURCE_EPOCHS, EPOCHS)
    of = [r for r in frame.records(found, kind) if r.data_status == "synthetic"]
    of = [r for r in of if (r.trial["network"]["width"], r.trial["source_training"]["epochs"], r.trial["tuning"]["epochs"]) == sizes]
    versions = Counter(r.trial["target_hash"] for r in of)
    return [r for r in of if r.trial["target_hash"] == versions.most_common(1)[0][0]]


BEGUN = {"source": "source + target", "random": "target only"}  # how pages name the two starts


def chosen(table: pd.DataFrame, variant: str = USUAL, start: str = "source", share: float = SHARE, by: str = "speaker") -> pd.DataFrame:
    """The transfers of one cell, one row per fold, in one order."""
    mask = (table["variant"] == variant) & (table["start"] == start) & (table["share"] == share) & (table["by"] == by)
    return table[mask].sort_values(FOLD, ignore_index=True)


def difference(one: pd.DataFrame, other: pd.DataFrame, metric: str = "accuracy") -> pd.DataFrame:
    """target, seed and `difference` of a metric, for folds that both have."""
    both = one[[*FOLD, metric]].merge(other[[*FOLD, metric]], on=FOLD, suffixes=("", "_other"), validate="one_to_one")
    return both.assign(difference=both[metric] - both[f"{metric}_other"])[[*FOLD, "difference"]]


def over_folds(values: pd.DataFrame) -> Interval | None:
    """Mean difference over targets and draws of speakers with its interval; None if there are fewer than two folds."""
    return metrics.confidence_t(values["difference"].to_numpy(float)) if len(values) > 1 else None


def gain(table: pd.DataFrame) -> pd.DataFrame:
    """`difference` of source + target and target only at the usual share."""
    return difference(chosen(table), chosen(table, start="random"))


def over_targets(values: pd.DataFrame) -> Interval | None:
    """The same with an interval over the means of targets, which is what a new target would need; None for a single target."""
    means = values.groupby("target")["difference"].mean() if len(values) else values
    return metrics.confidence_t(means.to_numpy(float)) if len(means) > 1 else None


def not_tuned(table: pd.DataFrame) -> pd.DataFrame:
    """The source's network as it is, on the files that the usual transfer of the same seed is tested on: target, seed, answers."""
    both = chosen(table, share=0.0).merge(chosen(table), on=FOLD, suffixes=("", "_usual"), validate="one_to_one")
    rows = []
    for row in both.itertuples():
        answers, tested = row.record.items(), set(row.record_usual.items()["file"])
        rows.append({"target": row.target, "seed": row.seed, "answers": answers[answers["file"].isin(tested)]})
    return pd.DataFrame(rows, columns=["target", "seed", "answers"])
