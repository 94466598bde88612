"""Tables of the chapter on explaining NISQA: from records to frames and sentences."""

from typing import Any

import numpy as np
import pandas as pd

from .. import metrics
from ..corpora import controlled
from ..metrics import Interval
from ..records import Record
from .common import of_kind, the, with_interval
from .listeners import ListenersTrial
from .nisqa_explained_trials import (
    VARIANTS,
    ActivityTrial,
    AttributionTrial,
    DeadUnitsTrial,
    DimensionsTrial,
    LocalisationTrial,
    OcclusionSurveyTrial,
    SoundAloneTrial,
    StabilityTrial,
)


def mean_over_files(values: pd.Series, items: pd.DataFrame) -> Interval:
    return metrics.crossed_mean(values.to_numpy(float), items["condition"].to_numpy(), items["talker"].to_numpy())


def activity(maps: Record, method: str = "complete") -> pd.Series:
    """For each feature, the share of segments in which it is active."""
    return maps.items().groupby("feature")[f"active_{method}"].mean()


def activity_counts(rate: pd.Series) -> tuple[int, int, int]:
    return int((rate > 0.9).sum()), int(((rate > 0) & (rate <= 0.1)).sum()), int((rate == 0).sum())


def stripes_table(quiet: list[Record]) -> pd.DataFrame:
    """Mean size of attributions on empty segments over that on sounding ones: a row a baseline, a column a method."""
    rows = []
    for record in quiet:
        items = record.items()
        ratios = {m: float(items[f"empty_{m}"].mean() / items[f"sounding_{m}"].mean()) for m in ("ig", *VARIANTS)}
        rows.append({"baseline": record.trial["baseline"], **{m: f"{r:.3f}" for m, r in ratios.items()}})
    return pd.DataFrame(rows)


def completeness_in_words(maps: Record | None) -> dict[str, str]:
    """For each of DeepLIFT's variants, as `error_VARIANT`: the median over files and features of a file's largest error."""
    if maps is None:
        return {f"error_{v}": "not available" for v in VARIANTS}
    medians = {v: maps.items()[f"error_{v}"].median() for v in VARIANTS}
    return {f"error_{v}": f"{100 * m:.0f} %" if m > 0.01 else f"{m:.0e}" for v, m in medians.items()}


def long_matrices(matrices: dict[str, np.ndarray]) -> pd.DataFrame:
    """Correlation matrices as a table of network, feature, other feature, r."""
    return pd.DataFrame(
        [(n, i, j, float(r)) for n, m in matrices.items() for (i, j), r in np.ndenumerate(m)], columns=["network", "feature", "other", "r"]
    )


def agreement_table(found: list[Record]) -> pd.DataFrame:
    """One row a network: correlation with the listeners, by file and condition, with 95 % intervals, beside the ceiling."""
    rows = []
    for r in of_kind(found, ListenersTrial):
        m = r.metrics
        rows.append(
            {
                "network": r.trial["network"],
                "PCC by file": with_interval(m["mos_pcc_file"]),
                "PCC by condition": with_interval(m["mos_pcc_condition"]),
                "ceiling by file": f"{m['mos_ceiling_file']:.3f}",
                "ceiling by condition": f"{m['mos_ceiling_condition']:.3f}",
                "RMSE by file": f"{m['mos_rmse_file']:.2f}",
                "files": m["files"],
                "data": r.data_status,
                "model": r.model_status,
            }
        )
    return pd.DataFrame(rows)


def variants_table(found: list[Record]) -> pd.DataFrame:
    """DeepLIFT in its three variants and integrated gradients: completeness, agreement, activity. Medians over files and features."""
    rows = []
    for r in of_kind(found, AttributionTrial, corpus="p835", steps=50, randomised=False):
        items = r.items()
        for method, name in (*((v, f"DeepLIFT, {v}") for v in VARIANTS), ("ig", "integrated gradients, 50 steps")):
            rate = activity(r, method)
            always, rarely, never = activity_counts(rate)
            rows.append(
                {
                    "network": r.trial["network"],
                    "method": name,
                    "largest completeness error": f"{items[f'error_{method}'].median():.2g}",
                    "maps within 1 %": f"{items[f'within_{method}'].mean():.0%}",
                    "correlation with IG": f"{items[f'r_ig_{method}'].median():.2f}" if method != "ig" else "1",
                    "features nearly always / rarely / never active": f"{always} / {rarely} / {never}",
                }
            )
    return pd.DataFrame(rows)


def controls_table(found: list[Record]) -> pd.DataFrame:
    """What a network with shuffled weights gives for C5, C6 and C11, beside the trained one on the same files."""
    rows = []
    for control in of_kind(found, AttributionTrial, corpus="p835", randomised=True):
        trained = the(found, AttributionTrial, network=control.trial["network"], corpus="p835", steps=50, randomised=False)
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
                    "features nearly always / rarely / never active": f"{always} / {rarely} / {never}",
                    **{f"IG and DeepLIFT {v}": f"{items[f'r_ig_{v}'].median():.2f}" for v in VARIANTS},
                    "intraclass correlation of the centres": f"{metrics.intraclass(centres):.2f}",
                }
            )
    return pd.DataFrame(rows)


def localisation_table(found: list[Record]) -> pd.DataFrame:
    """How well each method finds known cuts, for each network and baseline; 0.5 is chance."""
    rows = []
    for r in of_kind(found, LocalisationTrial):
        items = r.items()
        for method, part in items.groupby("method"):
            inside, near = (mean_over_files(part[c], part) for c in ("auc", "auc_near"))
            rows.append(
                {
                    "network": r.trial["network"] + (", shuffled weights" if r.trial["randomised"] else ""),
                    "method": method,
                    "baseline": r.trial["baseline"],
                    "inside a cut": with_interval(inside),
                    "beside a cut": with_interval(near),
                    "shuffled": f"{part['auc_shuffled'].mean():.2f}",
                    "likeness to the trained map": f"{part['r_trained'].mean():.2f}" if "r_trained" in part else "",
                }
            )
    table = pd.DataFrame(rows)
    return table.sort_values(["network", "baseline", "method"], ignore_index=True) if len(table) else table


def stability_table(found: list[Record]) -> pd.DataFrame:
    """Rank correlation of maps of MOS: a row a pair, a column a network."""
    columns = {}
    for r in of_kind(found, StabilityTrial):
        items = r.items()
        columns[r.trial["network"]] = items.groupby(["one", "other"], sort=False)["rho"].mean().round(2)
    return pd.DataFrame(columns).reset_index().rename(columns={"one": "map", "other": "against"})


def dimensions_table(found: list[Record], network: str = "nisqa") -> pd.DataFrame:
    """Mean change of each output when a column over this is set to the file's mean, controlled files: does a dimension mind its name?"""
    record = the(found, OcclusionSurveyTrial, network=network, corpus="prompts", fill="mean")
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
        rows.append(
            {"hidden": name, "masks": len(part)}
            | {o.removeprefix("change_"): with_interval(mean_over_files(part[o], part)) for o in outputs}
        )
    return pd.DataFrame(rows)


SEEN = {
    "inside a stretch of noise, AUC": "auc_noise",
    "inside a cut, AUC": "auc_cut",
    "beside a cut, AUC": "auc_near",
    "what a stretch of noise adds to the score": "noise_sum",
}


def dimension_maps_table(found: list[Record]) -> pd.DataFrame:
    """Where the maps of each score are large, a row a known thing and baseline, a column a score."""
    rows = []
    for r in of_kind(found, DimensionsTrial, randomised=False):
        items, base = r.items(), {"network": r.trial["network"], "baseline": r.trial["baseline"]}
        for name, column in SEEN.items():
            by_output = items[items[column].notna()].groupby("output", sort=False)
            rows.append({"where": name} | base | {o: with_interval(mean_over_files(part[column], part)) for o, part in by_output})
        rows.append(
            {"where": "in bands that a limit empties, share with the limit over share without"} | base | _emptied(items, r.trial["limit"])
        )
        missed = items.groupby("output", sort=False)["error"].agg(lambda e: f"{e.abs().median():.3f}, at most {e.abs().max():.2f}")
        rows.append({"where": "completeness error in points of the score, median over files"} | base | missed.to_dict())
    return pd.DataFrame(rows)


def _emptied(items: pd.DataFrame, limit: str) -> dict[str, str]:
    """By score: the share of its map in bands that a limit empties, with the limit over without; mean of the talkers, and their range."""
    shares = items[items["condition"].isin([limit, "clean"])].pivot(index=["output", "talker"], columns="condition", values="emptied")
    ratios = (shares[limit] / shares["clean"]).groupby("output", sort=False)
    return {o: f"{r.mean():.2f} ({r.min():.2f} to {r.max():.2f})" for o, r in ratios}


def thresholds_table(found: list[Record]) -> pd.DataFrame:
    """C5's counts, a row a network, a column a threshold."""
    rows = []
    for r in of_kind(found, ActivityTrial):
        rates = r.items().groupby(["threshold", "feature"])["active"].mean()
        counts = {f"{100 * t:g} %": " / ".join(map(str, activity_counts(rates[t]))) for t in r.trial["thresholds"]}
        rows.append({"network": r.trial["network"]} | counts)
    return pd.DataFrame(rows)


def dead_units(growth: list[Record]) -> pd.DataFrame:
    """One row an epoch of a run: the share of the material, seed, steps so far, outputs that never fire."""
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


def dead_units_in_words(found: list[Record]) -> str:
    """How many outputs are dead after the first and after the last epoch, by share of the material."""
    growth = of_kind(found, DeadUnitsTrial)
    if not growth:
        return "The published run is not here."
    table = dead_units(growth)
    first = table[table["epoch"] == 0].groupby(["share", "material"])["dead"]
    last = table.sort_values("epoch").groupby(["share", "material", "seed"]).tail(1).groupby(["share", "material"])["dead"]
    said = [
        f"{name}: {_from_to(early)} after the first epoch, {_from_to(late)} after the last"
        for ((_, name), early), (_, late) in zip(first, last, strict=True)
    ]
    return f"Dead of 20 outputs, from seed to seed: {'; '.join(said)}."


def _from_to(values: pd.Series) -> str:
    return f"{values.min()} to {values.max()}" if values.nunique() > 1 else str(values.iloc[0])


NAMES_MEAN = (
    ("auc_noise", "noi", "a stretch of noise"),
    ("auc_cut", "dis", "the inside of a cut"),
    ("auc_near", "dis", "the edge of a cut"),
)


def _name_leads(found: list[Record]) -> list[dict[str, Any]]:
    """Does the score whose name says so find a known thing? One a thing and baseline: its area under the curve, the intervals of its
    lead over the next score and over the sound's distance from the baseline without any network, and what shuffled weights give."""
    out = []
    for column, name, what in NAMES_MEAN:
        for r in of_kind(found, DimensionsTrial, randomised=False):
            own = _areas(r, column)
            if own.empty:
                continue
            following = str(own.drop(columns=name).mean().idxmax())
            alone = the(found, SoundAloneTrial, baseline=r.trial["baseline"])
            shuffled = the(found, DimensionsTrial, network=r.trial["network"], baseline=r.trial["baseline"], randomised=True)
            case: dict[str, Any] = {"known": what, "baseline": r.trial["baseline"], "score": name, "AUC": float(own[name].mean())}
            case |= {"next score": following, "lead over it": _lead(own[name] - own[following])}
            if alone:
                by_file = alone.items().set_index(["condition", "talker"])[column].dropna()
                case |= {"without a network": float(by_file.mean()), "lead over that": _lead((own[name] - by_file).dropna())}
            if shuffled:
                case["shuffled weights"] = float(_areas(shuffled, column)[name].mean())
            out.append(case)
    return out


def names_table(found: list[Record]) -> pd.DataFrame:
    """The same as text, a row a thing and baseline."""

    def text(value: Any) -> str:
        return with_interval(value) if isinstance(value, Interval) else f"{value:.2f}" if isinstance(value, float) else value

    return pd.DataFrame([{k: text(v) for k, v in case.items()} for case in _name_leads(found)])


def _areas(record: Record, column: str) -> pd.DataFrame:
    """A row a file, a column a score."""
    items = record.items()
    return items[items[column].notna()].pivot(index=["condition", "talker"], columns="output", values=column)


def _lead(values: pd.Series) -> Interval:
    table = values.reset_index(name="lead")
    return mean_over_files(table["lead"], table)


def dimensions_in_words(found: list[Record]) -> str:
    """In how many of the cases of `names_table` the score so named leads the others, and in how many it finds more than no network does."""
    cases = _name_leads(found)
    if not cases:
        return "The published run is not here."
    leads = sum(case["lead over it"].low > 0 for case in cases)
    said = f"In {leads} of {len(cases)} cases the score so named leads the next one with 95 % confidence"
    over_sound = [case["lead over that"] for case in cases if "lead over that" in case]
    if over_sound:
        said += f", in {sum(lead.low > 0 for lead in over_sound)} it finds more than the sound's distance from the baseline does"
    return said + "."


def cuts_by_length(found: list[Record]) -> pd.DataFrame:
    """How well `dis` finds the inside of a cut, by its length: a row a length and count, a column a baseline; beside it no network."""
    columns = {}
    for r in of_kind(found, DimensionsTrial, randomised=False):
        columns[f"dis, baseline {r.trial['baseline']}"] = _areas(r, "auc_cut")["dis"].groupby("condition").mean()
        alone = the(found, SoundAloneTrial, baseline=r.trial["baseline"])
        if alone:
            columns[f"no network, baseline {r.trial['baseline']}"] = (
                alone.items().dropna(subset="auc_cut").groupby("condition")["auc_cut"].mean()
            )
    table = pd.DataFrame(columns).round(2)
    order = [c for c in controlled.CONDITIONS if c in table.index]
    return table.reindex(order).rename_axis("cut, ms and count").reset_index() if columns else table
