"""Tables of the controls of HuMP-CAT's transfer: what a source with wrong names is worth, and targets of one size."""

from typing import Any

import pandas as pd

from ... import metrics
from ...metrics import Interval
from ...results import frame
from ...results.records import Record
from . import selection, tables
from .plan import EPOCHS, SHARE, SOURCE_EPOCHS, USUAL, WIDTH

NAMES = "names exchanged"


def _exchanged(found: pd.DataFrame) -> pd.DataFrame:
    """Transfers to targets with exchanged names, of the published run's sizes: voices, exchanged, target, start, share, seed, fixed_accuracy."""
    rows = []
    for r in [*_of_voices(found), *selection.of_run(found, "turned")]:
        t = r.trial
        voices = "synthetic" if r.data_status == "synthetic" else "real"
        about = {"voices": voices, "exchanged": t["turned"], "target": " ".join([t["target"], *t.get("target_languages", [])])}
        about |= {name: t[name] for name in ("start", "share", "seed")}
        rows.append(about | {"fixed_accuracy": r.metrics["fixed_accuracy"]})
    return pd.DataFrame(rows, columns=["voices", "exchanged", "target", "start", "share", "seed", "fixed_accuracy"])


def _of_voices(found: pd.DataFrame) -> list[Record]:
    """Those of synthetic voices."""
    sizes = (WIDTH, SOURCE_EPOCHS, EPOCHS)
    of = [r for r in frame.records(found, "turned") if r.data_status == "synthetic"]
    return [r for r in of if (r.trial["network"]["width"], r.trial["source_training"]["epochs"], r.trial["tuning"]["epochs"]) == sizes]


def names_table(found: pd.DataFrame) -> pd.DataFrame:
    """What is left of the source's gain where emotions of the target bear the names of others: one row per voices and number of names that
    are exchanged; on the files that are tested at every share, gain paired over folds."""
    usual = selection.transfers(found)
    usual = usual[usual["variant"].eq(USUAL) & usual["by"].eq("speaker")].assign(voices="real", exchanged=0)
    made = _exchanged(found)
    all_ = pd.concat([made, usual[made.columns]])
    rows = []
    for (voices, exchanged), of in all_.groupby(["voices", "exchanged"], sort=True):
        # From random weights the names do not matter.
        alone = all_[(all_["voices"] == voices) & (all_["start"] == "random") & (all_["share"] == SHARE)]
        source = of[of["start"] == "source"]
        both = source[source["share"] == SHARE].merge(alone, on=selection.FOLD, suffixes=("", "_alone"))
        if len(both) < 2:
            continue
        row: dict[str, Any] = {"voices": voices, NAMES: exchanged}
        row["source only, %"] = source.loc[source["share"] == 0, "fixed_accuracy"].mean()
        row |= {"source + target, %": both["fixed_accuracy"].mean(), "target only, %": both["fixed_accuracy_alone"].mean()}
        row |= metrics.confidence_t(both["fixed_accuracy"] - both["fixed_accuracy_alone"]).columns("gain, points")
        rows.append(row | {"folds": len(both)})
    return pd.DataFrame(rows) if made["exchanged"].any() else pd.DataFrame()


def names_cost(found: pd.DataFrame) -> Interval | None:
    """What exchanging all names costs after tuning on real recordings, in points, paired over folds; None where it was not tried."""
    made = _exchanged(found)
    wrong = made[(made["voices"] == "real") & (made["share"] == SHARE)]
    right = selection.chosen(selection.transfers(found))
    return selection.over_folds(selection.difference(right, wrong, "fixed_accuracy"))


def equal_table(found: pd.DataFrame) -> pd.DataFrame:
    """Targets of one size in the three classes that all have, beside the whole targets: accuracy after transfer, and the gain, paired over
    draws of speakers and files."""
    whole = selection.transfers(found)
    rows = [{name: r.trial[name] for name in ("target", "seed", "start")} | r.metrics for r in selection.of_run(found, "equal")]
    equal = pd.DataFrame(rows, columns=["target", "seed", "start", "accuracy"])
    runs = {
        "whole": [selection.chosen(whole, start=start) for start in ("source", "random")],
        "one size": [equal[equal["start"] == start] for start in ("source", "random")],
    }
    rows = []
    for target in tables.in_order(equal["target"]):
        row: dict[str, Any] = {"target": tables.title(target)}
        for name, (source, alone) in runs.items():
            of = source[source["target"] == target]
            gain = selection.over_folds(selection.difference(of, alone))
            if gain:
                row |= metrics.confidence_t(of["accuracy"]).columns(f"{name}, %") | gain.columns(f"gain, {name}, points")
        rows.append(row)
    return pd.DataFrame(rows)
