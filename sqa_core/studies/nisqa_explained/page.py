"""What the page on explaining NISQA takes from its records: values for its prose, by key."""

import pandas as pd

from ...metrics import Interval
from ...results import frame
from ...results.claims import Finding, count
from ...results.records import Record
from .plan import LOCALISATION_CUTS, PAPERS_LAYOUT, TWO_TALKERS
from .tables import activity, activity_counts, controls_table, dead_units, mean_over_files, name_leads
from .trials import VARIANTS

MISSING = "not available"


def glue_values(found: pd.DataFrame, findings: list[Finding]) -> dict[str, str]:
    """Values for the page's `{glue}` roles, by key. findings : verdicts on the paper's claims."""
    verdicts = {f.id: f.verdict for f in findings}
    maps = frame.only(found, "attribution", network=PAPERS_LAYOUT, corpus="p835", steps=50, randomised=False)
    return {
        "verdicts": count(findings),
        **{f"verdict_C{i}": verdicts.get(f"C{i}", MISSING) for i in range(1, 18)},
        **_agreement(found),
        **completeness_in_words(maps),
        **_features_and_maps(found),
    }


def _agreement(found: pd.DataFrame) -> dict[str, str]:
    """Correlation with the listeners by file and condition, of the networks that the page names."""
    metrics = {r.trial["network"]: r.metrics for r in frame.records(found, "listeners")}
    names = {"nisqa": "official", "nisqa-tts": "tts", "prompts-pesq": "own", "prompts-pesq-20": "own20"}
    out = {
        f"{short}_{by}": f"{metrics[name][f'mos_pcc_{by}'][0]:.3f}" if name in metrics else MISSING
        for name, short in names.items()
        for by in ("file", "condition")
    }
    return out | {"ceiling_file": f"{metrics['nisqa']['mos_ceiling_file']:.3f}" if "nisqa" in metrics else MISSING}


def demo_values(this_run: list[Record]) -> dict[str, str]:
    """The demonstration's network against PESQ."""
    synthetic = next((r for r in this_run if r.trial["kind"] == "synthetic"), None)
    if synthetic is None:
        return {"demo_pcc": "not run in this profile", "demo_files": "none"}
    return {"demo_pcc": Interval(*synthetic.metrics["mos_pcc_file"]).text(".2f"), "demo_files": str(synthetic.metrics["files"])}


def _features_and_maps(found: pd.DataFrame) -> dict[str, str]:
    """Dead and inactive features of our two networks with 20 outputs, the map that localises cuts best, and how similar maps are."""
    out = {}
    for key, name in (("plain", "prompts-pesq-20"), ("relu", "prompts-pesq-20-relu")):
        features = frame.only(found, "features", network=name, corpus="prompts", randomised=False)
        maps = frame.only(found, "attribution", network=name, corpus="p835", steps=50, randomised=False)
        out[f"dead_{key}"] = str(features.metrics["always_zero"]) if features else MISSING
        out[f"never_{key}"] = str(activity_counts(activity(maps))[2]) if maps else MISSING
    alone = frame.only(found, "sound_alone", baseline="zero")
    out["cut_alone"] = MISSING
    if alone:
        items = alone.items()
        same = items[items["condition"].isin(LOCALISATION_CUTS) & items["talker"].isin(TWO_TALKERS)]
        out["cut_alone"] = f"{same['auc_cut'].mean():.2f}"
    located = [
        (mean_over_files(part["auc"], part), f"({method}, baseline {r.trial['baseline']})")
        for r in frame.records(found, "localisation", network=PAPERS_LAYOUT, randomised=False)
        for method, part in r.items().groupby("method")
    ]
    best = max(located, default=None)
    out["best_cut"] = f"{best[0].text()} {best[1]}" if best else MISSING
    drawn = frame.only(found, "figures", network=PAPERS_LAYOUT)
    trained, control = ([r for r in controls_table(found).to_dict("records") if r["weights"] == w] for w in ("trained", "shuffled"))
    for key, rows in (("trained", trained), ("shuffled", control)):
        row: dict = next((r for r in rows if r["network"] == PAPERS_LAYOUT), {})
        for v in ("modules", "complete"):
            out[f"agree_{v}_{key}"] = f"{row[f'IG and DeepLIFT {v}']:.2f}" if row else MISSING
    for key, name in (("like_functions", "deeplift_functions"), ("like_modules", "deeplift_modules"), ("like_ig", "ig")):
        out[key] = f"{drawn.metrics['likeness'][name]:.2f}" if drawn else MISSING
    padded = frame.only(found, "occlusion_padded")
    for key in ("masks", "masks_on_padding"):
        out[f"padded_{key}"] = str(padded.metrics[key]) if padded else MISSING
    for key in ("mos", "mos_unpadded", "largest_change_on_padding", "largest_change_on_sound"):
        out[f"padded_{key}"] = f"{padded.metrics[key]:.2f}" if padded else MISSING
    return out | {"dead_growth": dead_units_in_words(found), "dimensions_said": dimensions_in_words(found)}


def completeness_in_words(maps: Record | None) -> dict[str, str]:
    """For each of DeepLIFT's variants, as `error_VARIANT`: the median over files and features of a file's largest error."""
    if maps is None:
        return {f"error_{v}": MISSING for v in VARIANTS}
    medians = {v: maps.items()[f"error_{v}"].median() for v in VARIANTS}
    return {f"error_{v}": f"{100 * m:.0f} %" if m > 0.01 else f"{m:.0e}" for v, m in medians.items()}


def dead_units_in_words(found: pd.DataFrame) -> str:
    """How many outputs are dead after the first and after the last epoch, by share of the material."""
    growth = frame.records(found, "dead_units")
    if not growth:
        return "The published run is not available."
    table = dead_units(growth)
    first = table[table["epoch"] == 0].groupby(["share", "material"])["dead"]
    last = table.sort_values("epoch").groupby(["share", "material", "seed"]).tail(1).groupby(["share", "material"])["dead"]
    said = [
        f"{name}: {_from_to(early)} after the first epoch, {_from_to(late)} after the last"
        for ((_, name), early), (_, late) in zip(first, last, strict=True)
    ]
    return f"Dead outputs of 20, range over seeds: {'; '.join(said)}."


def _from_to(values: pd.Series) -> str:
    return f"{values.min()} to {values.max()}" if values.nunique() > 1 else str(values.iloc[0])


def dimensions_in_words(found: pd.DataFrame) -> str:
    """In how many of the cases of `names_table` the matching dimension leads the others, and in how many it beats the control."""
    cases = name_leads(found)
    if not cases:
        return "The published run is not available."
    leads = sum(case["Δ vs runner-up"].low > 0 for case in cases)
    said = f"In {leads} of {len(cases)} settings the matching dimension localises the degradation better than any other (95 % confidence)"
    over_sound = [case["Δ vs control"] for case in cases if "Δ vs control" in case]
    if over_sound:
        said += f"; in {sum(lead.low > 0 for lead in over_sound)} it beats the input-minus-baseline control"
    return said + "."
