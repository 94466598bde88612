"""Tables of the chapter on explaining NISQA. Numbers stay numbers; the page decides how they are shown."""

from typing import Any

import numpy as np
import pandas as pd

from ... import metrics
from ...corpora import known_impairments
from ...metrics import Interval
from ...results import frame
from ...results.records import Record
from ..listeners import SAME_PREDICTOR
from .trials import VARIANTS


def mean_over_files(values: pd.Series, items: pd.DataFrame) -> Interval:
    return metrics.two_way_bootstrap_mean(values.to_numpy(float), items["condition"].to_numpy(), items["talker"].to_numpy())


def activity(maps: Record, method: str = "complete") -> pd.Series:
    """For each feature, the share of segments in which it is active."""
    return maps.items().groupby("feature")[f"active_{method}"].mean()


def activity_counts(rate: pd.Series) -> tuple[int, int, int]:
    return int((rate > 0.9).sum()), int(((rate > 0) & (rate <= 0.1)).sum()), int((rate == 0).sum())


def _counted(always: int, rarely: int, never: int) -> dict[str, int]:
    return {"nearly always active": always, "rarely active": rarely, "never active": never}


METHODS = {"ig": "integrated gradients"} | {v: f"DeepLIFT, {v}" for v in VARIANTS}
_BASELINES = {"zero": "0 dB", "floor": "−80 dB", "min": "the file's minimum", "noise": "noise"}


def baseline_in_words(name: str) -> str:
    """What a map compares with, for readers."""
    return _BASELINES.get(name, name)


def stripes_table(quiet: list[Record]) -> pd.DataFrame:
    """Mean absolute attribution on empty segments over that on segments with sound: one row per baseline, one column per method."""
    rows = []
    for record in quiet:
        items = record.items()
        ratios = {METHODS[m]: float(items[f"empty_{m}"].mean() / items[f"sounding_{m}"].mean()) for m in ("ig", *VARIANTS)}
        rows.append({"baseline": baseline_in_words(record.trial["baseline"]), **ratios})
    return pd.DataFrame(rows)


def long_matrices(matrices: dict[str, np.ndarray]) -> pd.DataFrame:
    """Correlation matrices as a table of network, feature, other feature, r."""
    return pd.DataFrame(
        [(n, i, j, float(r)) for n, m in matrices.items() for (i, j), r in np.ndenumerate(m)], columns=["network", "feature", "other", "r"]
    )


def agreement_table(found: pd.DataFrame) -> pd.DataFrame:
    """One row per network: correlation with the listeners, by file and condition, with 95 % intervals, beside the ceiling. A network that is
    another's but for an offset is left out."""
    rows = []
    for r in frame.records(found, "listeners"):
        if r.trial["network"] in SAME_PREDICTOR:
            continue
        m = r.metrics
        rows.append(
            {
                "network": r.trial["network"],
                **Interval(*m["mos_pcc_file"]).columns("PCC by file"),
                **Interval(*m["mos_pcc_condition"]).columns("PCC by condition"),
                "ceiling by file": m["mos_ceiling_file"],
                "ceiling by condition": m["mos_ceiling_condition"],
                "RMSE by file": m["mos_rmse_file"],
            }
        )
    return pd.DataFrame(rows)


def variants_table(found: pd.DataFrame) -> pd.DataFrame:
    """DeepLIFT in its three variants and integrated gradients: completeness, agreement, activity. Medians over files and features."""
    rows = []
    for r in frame.records(found, "attribution", corpus="p835", steps=50, randomised=False):
        items = r.items()
        for method, name in (*((v, f"DeepLIFT, {v}") for v in VARIANTS), ("ig", "integrated gradients, 50 steps")):
            rate = activity(r, method)
            always, rarely, never = activity_counts(rate)
            rows.append(
                {
                    "network": r.trial["network"],
                    "method": name,
                    "largest completeness error": items[f"error_{method}"].median(),
                    "maps within 1 %, %": 100 * items[f"within_{method}"].mean(),
                    "correlation with IG": items[f"r_ig_{method}"].median() if method != "ig" else 1.0,
                    **_counted(always, rarely, never),
                }
            )
    return pd.DataFrame(rows)


def controls_table(found: pd.DataFrame) -> pd.DataFrame:
    """What a network with shuffled weights gives for C5, C6 and C11, beside the trained one on the same files."""
    rows = []
    for control in frame.records(found, "attribution", corpus="p835", randomised=True):
        trained = frame.only(found, "attribution", network=control.trial["network"], corpus="p835", steps=50, randomised=False)
        for name, record in (("trained", trained), ("shuffled", control)):
            if record is None:
                continue
            items = record.items()
            items = items[items["file"].isin(control.items()["file"])]
            always, rarely, never = activity_counts(items.groupby("feature")["active_complete"].mean())
            centres = items.pivot(index="file", columns="feature", values="centroid_complete").to_numpy()
            rows.append(
                {
                    "network": control.trial["network"],
                    "weights": name,
                    **_counted(always, rarely, never),
                    **{f"IG and DeepLIFT {v}": items[f"r_ig_{v}"].median() for v in VARIANTS},
                    "intraclass correlation of the centres": metrics.intraclass(centres),
                }
            )
    return pd.DataFrame(rows)


def localisation_table(found: pd.DataFrame) -> pd.DataFrame:
    """How well each method finds known cuts, for each network and baseline; 0.5 is chance."""
    rows = []
    for r in frame.records(found, "localisation"):
        items = r.items()
        for method, part in items.groupby("method"):
            inside, near = (mean_over_files(part[c], part) for c in ("auc", "auc_near"))
            rows.append(
                {
                    "network": r.trial["network"] + (", shuffled weights" if r.trial["randomised"] else ""),
                    "method": method,
                    "baseline": baseline_in_words(r.trial["baseline"]),
                    **inside.columns("inside a cut"),
                    **near.columns("beside a cut"),
                    "shuffled frames": part["auc_shuffled"].mean(),
                    "similarity to the trained map": part["r_trained"].mean() if "r_trained" in part else np.nan,
                }
            )
    table = pd.DataFrame(rows)
    if table.empty:
        return table
    # The records have another name for the variant that the rest of the book calls "modules".
    table["method"] = table["method"].str.replace("DeepLIFT as captum has it", "DeepLIFT modules")
    return table.sort_values(["network", "baseline", "method"], ignore_index=True)


def stability_table(found: pd.DataFrame) -> pd.DataFrame:
    """Rank correlation of maps of MOS: one row per pair, one column per network."""
    columns = {}
    for r in frame.records(found, "stability"):
        items = r.items()
        columns[r.trial["network"]] = items.groupby(["one", "other"], sort=False)["rho"].mean()
    return pd.DataFrame(columns).reset_index().rename(columns={"one": "map", "other": "against"})


def dimensions_table(found: pd.DataFrame, network: str = "nisqa") -> pd.DataFrame:
    """Mean change of each output when a column of frames over this is set to the file's mean, controlled files: one row per thing and output."""
    record = frame.only(found, "occlusion_survey", network=network, corpus="prompts", fill="mean")
    if record is None:
        return pd.DataFrame()
    items = record.items()
    hidden = {
        "a cut": items["cut"] > 0,
        "noise without speech": (items["noise_alone"] == 1),
        "noisy speech": (items["noise"] == 1) & (items["voice"] > 0.5),
        "clean speech": (items["kind"] == "clean") & (items["voice"] > 0.5),
        "narrow-band speech": (items["condition"] == "band-300-3400") & (items["voice"] > 0.5),
    }
    outputs = [c for c in items if c.startswith("change_")]
    rows = []
    for name, which in hidden.items():
        part = items[which]
        row: dict[str, Any] = {"hidden": name, "masks": len(part)}
        for output in outputs:
            row |= mean_over_files(part[output], part).columns(output.removeprefix("change_"))
        rows.append(row)
    return pd.DataFrame(rows)


SEEN = {
    "inside a stretch of noise, AUC": "auc_noise",
    "inside a cut, AUC": "auc_cut",
    "beside a cut, AUC": "auc_near",
    "what a stretch of noise adds to the score": "noise_sum",
}


def dimension_maps_table(found: pd.DataFrame) -> pd.DataFrame:
    """Where the maps of each score are large: one row per known thing and baseline, one column per score."""
    rows = []
    for r in frame.records(found, "dimensions", randomised=False):
        items, base = r.items(), {"network": r.trial["network"], "baseline": r.trial["baseline"]}
        for name, column in SEEN.items():
            row: dict[str, Any] = {"where": name} | base
            for output, part in items[items[column].notna()].groupby("output", sort=False):
                row |= mean_over_files(part[column], part).columns(str(output))
            rows.append(row)
        rows.append(
            {"where": "in bands that a limit empties, share with the limit over share without"} | base | _emptied(items, r.trial["limit"])
        )
        error = items.groupby("output", sort=False)["error"].apply(lambda e: e.abs())
        for name, value in (
            ("median", error.groupby("output", sort=False).median()),
            ("maximum", error.groupby("output", sort=False).max()),
        ):
            rows.append({"where": f"completeness error in points of the score, {name} over files"} | base | value.to_dict())
    return pd.DataFrame(rows)


def _emptied(items: pd.DataFrame, limit: str) -> dict[str, float]:
    """By score: the share of its map in bands that a limit empties, with the limit over without; mean of the talkers, with their range."""
    shares = items[items["condition"].isin([limit, "clean"])].pivot(index=["output", "talker"], columns="condition", values="emptied")
    ratios = (shares[limit] / shares["clean"]).groupby("output", sort=False)
    return {k: v for o, r in ratios for k, v in Interval(r.mean(), r.min(), r.max()).columns(str(o)).items()}


def thresholds_table(found: pd.DataFrame) -> pd.DataFrame:
    """C5's counts of features: one row per network and threshold."""
    rows = []
    for r in frame.records(found, "activity"):
        rates = r.items().groupby(["threshold", "feature"])["active"].mean()
        rows += [
            {"network": r.trial["network"], "threshold, %": 100 * t} | _counted(*activity_counts(rates[t])) for t in r.trial["thresholds"]
        ]
    return pd.DataFrame(rows)


def dead_units(growth: list[Record]) -> pd.DataFrame:
    """One row per epoch of a run: share of the material, seed, steps so far, outputs that are zero everywhere."""
    parts = [
        r.items()
        .query("epoch >= 0")
        .assign(
            share=r.trial["share"],
            seed=r.trial["seed"],
            material=f"{r.metrics['utterances']} utterances, {r.trial['epochs']} epochs",
        )
        for r in growth
    ]
    return pd.concat(parts, ignore_index=True).sort_values(["share", "material", "seed", "epoch"], ignore_index=True)


NAMES_MEAN = (
    ("auc_noise", "noi", "a stretch of noise"),
    ("auc_cut", "dis", "the inside of a cut"),
    ("auc_near", "dis", "the edge of a cut"),
)


def name_leads(found: pd.DataFrame) -> list[dict[str, Any]]:
    """Does the matching dimension localise a known thing? One case a thing and baseline: its area under the curve, its leads over the best
    other dimension and over a network-free control (|x − x₀|, the sound's distance from the baseline), and the area with shuffled weights."""
    out = []
    for column, name, what in NAMES_MEAN:
        for r in frame.records(found, "dimensions", randomised=False):
            own = _areas(r, column)
            if own.empty:
                continue
            following = str(own.drop(columns=name).mean().idxmax())
            alone = frame.only(found, "sound_alone", baseline=r.trial["baseline"])
            shuffled = frame.only(found, "dimensions", network=r.trial["network"], baseline=r.trial["baseline"], randomised=True)
            case: dict[str, Any] = {"localised": what, "baseline": r.trial["baseline"], "score": name, "AUC": float(own[name].mean())}
            case |= {"runner-up": following, "Δ vs runner-up": _lead(own[name] - own[following])}
            if alone:
                by_file = alone.items().set_index(["condition", "talker"])[column].dropna()
                case |= {"control AUC": float(by_file.mean()), "Δ vs control": _lead((own[name] - by_file).dropna())}
            if shuffled:
                case["shuffled weights"] = float(_areas(shuffled, column)[name].mean())
            out.append(case)
    return out


def names_table(found: pd.DataFrame) -> pd.DataFrame:
    """The same as a table, one row per known thing and baseline."""
    return pd.DataFrame(
        [
            {n: v for k, x in case.items() for n, v in (x.columns(k) if isinstance(x, Interval) else {k: x}).items()}
            for case in name_leads(found)
        ]
    )


def _areas(record: Record, column: str) -> pd.DataFrame:
    """One row per file, one column per score."""
    items = record.items()
    return items[items[column].notna()].pivot(index=["condition", "talker"], columns="output", values=column)


def _lead(values: pd.Series) -> Interval:
    table = values.reset_index(name="lead")
    return mean_over_files(table["lead"], table)


def cuts_by_length(found: pd.DataFrame) -> pd.DataFrame:
    """How well `dis` localises the inside of a cut, by length and number of cuts, with each baseline, beside the network-free control."""
    columns = {}
    for r in frame.records(found, "dimensions", randomised=False):
        baseline = baseline_in_words(r.trial["baseline"])
        columns[f"dis, baseline {baseline}"] = _areas(r, "auc_cut")["dis"].groupby("condition").mean()
        alone = frame.only(found, "sound_alone", baseline=r.trial["baseline"])
        if alone:
            columns[f"control, baseline {baseline}"] = alone.items().dropna(subset="auc_cut").groupby("condition")["auc_cut"].mean()
    table = pd.DataFrame(columns)
    order = [c for c in known_impairments.CONDITIONS if c in table.index]
    table = table.reindex(order).rename_axis("cuts").reset_index() if columns else table
    return table.assign(cuts=table["cuts"].map(_cuts_in_words)) if len(table) else table


def _cuts_in_words(condition: str) -> str:
    """Number and length of the cuts of a condition, "cut-10-4" say; others as they are."""
    kind, *rest = condition.split("-")
    return f"{rest[1]} of {rest[0]} ms" if kind == "cut" and len(rest) == 2 else condition
