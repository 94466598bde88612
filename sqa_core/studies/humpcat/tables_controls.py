"""Tables of the controls of HuMP-CAT's transfer: what a source with other labels is worth, and size-matched targets."""

from typing import Any

import pandas as pd

from ... import metrics
from ...metrics import Interval
from . import selection, tables
from .plan import EACH, PERMUTED, SHARE

CONTROL = "labels"
AS_THEY_ARE, SHUFFLED = "as they are", "source's shuffled over files"
CELL = ["voices", CONTROL]


def permuted(count: int) -> str:
    """How a table names labels of which so many are permuted."""
    return f"{count} of the target's permuted" if count else AS_THEY_ARE


def _by_labels(found: pd.DataFrame) -> pd.DataFrame:
    """Accuracy on the files that are tested at every share: voices, labels, target, seed, start, share, fixed_accuracy."""
    transfers = selection.transfers(found)
    usual = [r for share in (0.0, SHARE) for r in selection.chosen(transfers, share=share)["record"]]
    usual += list(selection.chosen(transfers, start="random")["record"])
    exchanged = [*selection.of_run(found, "permuted"), *selection.of_voices(found, "permuted")]
    labelled = [(AS_THEY_ARE, r) for r in usual] + [(SHUFFLED, r) for r in selection.of_run(found, "shuffled")]
    labelled += [(permuted(r.trial["permuted"]), r) for r in exchanged]
    rows = []
    for labels, r in labelled:
        about = {"voices": "synthetic" if r.data_status == "synthetic" else "real", CONTROL: labels}
        about |= {"target": " ".join([r.trial["target"], *r.trial.get("target_languages", [])])}
        about |= {name: r.trial[name] for name in ("seed", "start", "share")}
        rows.append(about | {"fixed_accuracy": r.metrics["fixed_accuracy"]})
    return pd.DataFrame(rows, columns=[*CELL, *selection.FOLD, "start", "share", "fixed_accuracy"])


def _paired(found: pd.DataFrame) -> pd.DataFrame:
    """One row per fold: each cell's accuracy of the source alone, of source + target, and of the target only; folds that every cell of the same
    voices has."""
    table = _by_labels(found)
    keys = [*CELL, *selection.FOLD]
    # From random weights labels can be permuted without an effect, so one training is for all cells.
    alone = table[table["start"] == "random"].groupby(["voices", *selection.FOLD])["fixed_accuracy"].mean().rename("target only, %")
    source = table[table["start"] == "source"]
    parts = {name: source[source["share"] == x].set_index(keys)["fixed_accuracy"] for name, x in (("source only, %", 0.0), ("both", SHARE))}
    both = pd.DataFrame(parts).dropna().rename(columns={"both": "source + target, %"}).reset_index()
    both = both.merge(alone.reset_index(), on=["voices", *selection.FOLD], validate="many_to_one")
    cells = both.groupby("voices")[CONTROL].transform("nunique")
    return both[both.groupby(["voices", *selection.FOLD])[CONTROL].transform("nunique") == cells]


def labels_table(found: pd.DataFrame) -> pd.DataFrame:
    """What is left of the source's gain if labels do not match: one row per voices and labels, means over the same folds, on the files that are
    tested at every share; gain paired over folds."""
    paired, rows = _paired(found), []
    order = [permuted(n) for n in PERMUTED] + [SHUFFLED]
    for (voices, labels), of in sorted(paired.groupby(CELL), key=lambda item: (item[0][0], order.index(item[0][1]))):
        row: dict[str, Any] = {"voices": voices, CONTROL: labels}
        row |= {name: of[name].mean() for name in ("source only, %", "source + target, %", "target only, %")}
        row |= metrics.confidence_t(of["source + target, %"] - of["target only, %"]).columns("gain, points") if len(of) > 1 else {}
        rows.append(row | {"folds": len(of)})
    return pd.DataFrame(rows) if paired[CONTROL].nunique() > 1 else pd.DataFrame()


def gain(table: pd.DataFrame, labels: str) -> Interval | None:
    """What the source adds on real recordings, by `labels_table`; None where it is not known."""
    of = table[(table["voices"] == "real") & (table[CONTROL] == labels)] if len(table) else table
    return Interval.of(of.iloc[0].to_dict(), "gain, points") if len(of) and "gain, points" in of else None


def labels_cost(found: pd.DataFrame, labels: str) -> pd.DataFrame:
    """How much lower accuracy is after tuning on real recordings than with the labels as they are, in points: target, seed, difference."""
    paired = _paired(found)
    real = paired[paired["voices"] == "real"].rename(columns={"source + target, %": "accuracy"})
    return selection.difference(real[real[CONTROL] == AS_THEY_ARE], real[real[CONTROL] == labels])


def matched(found: pd.DataFrame) -> pd.DataFrame:
    """Accuracy and gain of whole and of size-matched targets on the draws that both have: target, seed, and both numbers of each."""
    whole = selection.transfers(found)
    rows = [
        {name: r.trial[name] for name in ("target", "seed", "start")} | {"accuracy": r.metrics["accuracy"]}
        for r in selection.of_run(found, "size_matched")
        if r.trial["each"] == EACH
    ]
    cut = pd.DataFrame(rows, columns=["target", "seed", "start", "accuracy"])
    parts = []
    for name, cells in (
        ("all files", [selection.chosen(whole, start=start) for start in ("source", "random")]),
        ("size-matched", [cut[cut["start"] == start] for start in ("source", "random")]),
    ):
        added = selection.difference(*cells).rename(columns={"difference": f"gain, {name}, points"})
        accuracy = cells[0][[*selection.FOLD, "accuracy"]].rename(columns={"accuracy": f"{name}, %"})
        parts.append(accuracy.merge(added, on=selection.FOLD, validate="one_to_one"))
    return parts[0].merge(parts[1], on=selection.FOLD, validate="one_to_one")


def size_table(found: pd.DataFrame) -> pd.DataFrame:
    """Size-matched targets beside the whole ones; intervals over draws of speakers and files."""
    each, rows = matched(found), []
    for target in tables.in_order(each["target"]):
        of = each[each["target"] == target]
        row: dict[str, Any] = {"target": tables.title(target)}
        for name in ("all files", "size-matched"):
            row |= metrics.confidence_t(of[f"{name}, %"], tables.PERCENT).columns(f"{name}, %")
            row |= metrics.confidence_t(of[f"gain, {name}, points"]).columns(f"gain, {name}, points")
        rows.append(row | {"draws": len(of)})
    return pd.DataFrame(rows)


def spread(found: pd.DataFrame) -> tuple[float, float, Interval] | None:
    """Over targets, the greatest less the least accuracy: of all files, of size-matched targets, each the mean over draws, and the change with
    its interval over draws. None until every target has two draws."""
    each = matched(found)
    wanted = selection.chosen(selection.transfers(found))["target"].nunique()
    by_draw = each.groupby("seed").filter(lambda of: len(of) == wanted).groupby("seed")
    ranges = by_draw[["all files, %", "size-matched, %"]].agg(lambda x: x.max() - x.min())
    if len(ranges) < 2:
        return None
    whole, cut = ranges.mean()
    return float(whole), float(cut), metrics.confidence_t(ranges["size-matched, %"] - ranges["all files, %"])
