"""What the page on explaining NISQA takes from its records: values for its prose, by key."""

from collections import Counter
from typing import Any, NamedTuple

import pandas as pd

from ...figures import maps as drawn
from ...figures import verdicts
from ...figures.verdicts import Bar
from ...metrics import Interval
from ...results import frame, published
from ...results.claims import WORDS, Finding, Verdict, tally
from ...results.records import Record
from ..listeners import offset_in_words
from ..shared import published_run
from .claims import of_networks
from .plan import LOCALISATION_CUTS, PAPERS_LAYOUT, SLUG, TWO_TALKERS
from .tables import baseline_in_words, controls_table, dead_units, dimensions_table, mean_over_files, name_leads
from .trials import VARIANTS

MISSING = "not available"


QUESTION = "What has a network that predicts speech quality learnt, seen through occlusion and attribution maps?"


def first_screen(found: pd.DataFrame, by_network: dict[str, list[Finding]]) -> dict[str, Any]:
    """Arguments of `figures.answer`."""
    ours, maps = by_network["our_run"], frame.only(found, "attribution", network=PAPERS_LAYOUT, corpus="p835", steps=50, randomised=False)
    held, also, needing, undecided = controlled(by_network)
    ledger = published.claims(SLUG).set_index("id")["claim"]
    errors = completeness_in_words(maps)
    numbers = [
        (
            f"{len(also)} of {len(held)}",
            f"claims that hold also hold with shuffled weights; for {len(undecided)} the control decides nothing.",
        ),
        (
            errors["error_modules"],
            "is the completeness error of captum's DeepLIFT on this network with ReLUs as modules; "
            f"a copy between two modules makes it {errors['error_complete']}.",
        ),
        (_cut_alone(found), "is the AUC with which the distance to the baseline finds cuts, without any network."),
    ]
    return {
        "question": QUESTION,
        "reply": (
            f"Of the {len(held)} claims that hold for the trained network, {len(also)} also hold with shuffled weights."
            + "".join(f" Trained weights are needed for this one: {_lowered(ledger[c])}" for c in needing)
        ),
        "faithful": {
            "network": "the paper's layout, other weights",
            "recordings": "78 rated, 216 controlled (paper: 216)",
            "figures": "all six, on other recordings",
            "claims": "numbers instead of inspection by eye",
        },
        "verdicts": [
            Bar("nisqa-tts", tally(ours)),
            Bar("with shuffled weights", _all_counted(tally(by_network["shuffled_weights"]), len(ledger))),
        ],
        "found": numbers,
        "links": verdicts.links(SLUG, details="All maps and tables", cite="https://arxiv.org/abs/2112.06219"),
    }


def _all_counted(counts: Counter[Verdict], claims: int) -> Counter[Verdict]:
    """Verdicts on all claims: those without a control are not tested."""
    return counts + Counter({"not tested": claims - counts.total()})


def card() -> dict[str, Any]:
    """What the start page says of the chapter."""
    found = published_run(SLUG)
    screen = first_screen(found, of_networks(found))
    return {
        "title": "What has NISQA learnt?",
        "paper": "Tilkorn, Mittag, Möller: Visualising and Explaining Deep Learning Models for Speech Quality Prediction, DAGA 2021",
        "reply": screen["reply"],
        "verdicts": screen["verdicts"],
    }


class Controlled(NamedTuple):
    """Claims that hold for the trained network, and of these those that hold with shuffled weights too, those that fail there, and those on
    which that control decides nothing or was not run."""

    held: list[str]
    also: list[str]
    needing: list[str]
    undecided: list[str]


def controlled(by_network: dict[str, list[Finding]]) -> Controlled:
    """What the claims that hold owe to training."""
    shuffled = {f.id: f.verdict for f in by_network["shuffled_weights"]}
    held = [f.id for f in by_network["our_run"] if f.verdict == "holds"]
    also, needing = ([c for c in held if shuffled.get(c) == verdict] for verdict in ("holds", "fails"))
    return Controlled(held, also, needing, [c for c in held if c not in (*also, *needing)])


def deviations_table(found: pd.DataFrame) -> pd.DataFrame:
    """How this rerun differs from the paper, with the measured effect of each difference where there is one."""
    padded = frame.only(found, "occlusion_padded")
    pad = f"MOS {padded.metrics['mos']:.2f} instead of {padded.metrics['mos_unpadded']:.2f} for one recording" if padded else MISSING
    values = _agreement(found)
    rows = [
        ("network", "NISQA of 2019, weights not published", "nisqa-tts: the same layout, trained on synthetic speech", "not measured"),
        ("what it was trained for", "transmitted speech", "naturalness of synthetic speech", f"PCC with listeners {values['tts_file']}; nisqa {values['official_file']}"),
        ("recordings", "216 of a closed POLQA set", "78 of P.835, 216 controlled", "not measured"),
        ("padding", "to 1300 frames", "none", pad),
        ("ReLU on the 20 outputs", "in the code of 2020", "none in nisqa-tts", "own networks, one training run each: see the second page"),
        ("baseline", '"an empty spectrogram"', "−80 dB; others beside it", "maps differ: claim C15"),
    ]  # fmt: skip
    return pd.DataFrame(rows, columns=["what", "the paper", "here", "measured effect"])


def _cut_alone(found: pd.DataFrame) -> str:
    alone = frame.only(found, "sound_alone", baseline="zero")
    if alone is None:
        return MISSING
    items = alone.items()
    return f"{items[items['condition'].isin(LOCALISATION_CUTS) & items['talker'].isin(TWO_TALKERS)]['auc_cut'].mean():.2f}"


def _dimensions(found: pd.DataFrame) -> dict[str, str]:
    table = dimensions_table(found)
    if table.empty:
        return {"largest_dimension_change": MISSING, "dis_on_cut": MISSING}
    outputs = [c for c in table if c in ("mos", "noi", "dis", "col", "loud")]
    cut = table.set_index("hidden").loc["a cut"]
    return {
        "largest_dimension_change": f"{table[outputs].to_numpy().max():+.3f}",
        "dis_on_cut": f"{cut['dis']:+.3f} [{cut['dis, low']:+.3f}, {cut['dis, high']:+.3f}]",
    }


def glue_values(found: pd.DataFrame, by_network: dict[str, list[Finding]]) -> dict[str, str]:
    """Values for the page's `{glue}` roles, by key. by_network : what `claims.of_networks` found."""
    maps = frame.only(found, "attribution", network=PAPERS_LAYOUT, corpus="p835", steps=50, randomised=False)
    return {
        **_agreement(found),
        **completeness_in_words(maps),
        **_features_and_maps(found),
        **_dimensions(found),
        "mos_offset": offset_in_words(found),
        **_controls_in_words(by_network),
    }


def _lowered(sentence: str) -> str:
    return sentence[0].lower() + sentence[1:]


def _controls_in_words(by_network: dict[str, list[Finding]]) -> dict[str, str]:
    held, also, needing, undecided = controlled(by_network)
    of_nisqa = {f.id: f.verdict for f in by_network["nisqa"]}
    parts = [f"Of the {len(held)} claims that hold, {len(also)} also hold with shuffled weights ({', '.join(also)})"]
    parts += [
        f"{', '.join(needing)} {'fails' if len(needing) == 1 else 'fail'} with them, and so {'needs' if len(needing) == 1 else 'need'} training"
    ] * bool(needing)
    parts += [f"for {', '.join(undecided)} that control decides nothing"] * bool(undecided)
    sentence = "; ".join(parts) + "."
    return {"control_sentence": sentence, "nisqa_C2": WORDS[of_nisqa["C2"]] if "C2" in of_nisqa else MISSING}


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
    """Dead features of our two networks with 20 outputs, the map that localises cuts best, and how similar maps are."""
    out = {}
    for key, name in (("plain", "prompts-pesq-20"), ("relu", "prompts-pesq-20-relu")):
        features = frame.only(found, "features", network=name, corpus="prompts", randomised=False)
        out[f"dead_{key}"] = str(features.metrics["always_zero"]) if features else MISSING
    out["cut_alone"] = _cut_alone(found)
    located = [
        (mean_over_files(part["auc"], part), f"({method}, baseline {baseline_in_words(r.trial['baseline'])})")
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
        out[f"focus_{key}"] = f"{row['intraclass correlation of the centres']:.2f}" if row else MISSING
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
    return {f"error_{v}": f"{100 * m:.0f} %" if m > 0.01 else drawn.powers(m) for v, m in medians.items()}


def dead_units_in_words(found: pd.DataFrame) -> str:
    """How many outputs are dead after the first and after the last epoch, by share of the material."""
    growth = frame.records(found, "dead_units")
    if not growth:
        return "The published run is not available."
    table = dead_units(growth)
    first = table[table["epoch"] == 0].groupby(["share", "material"])["dead"]
    last = table.sort_values("epoch").groupby(["share", "material", "seed"]).tail(1).groupby(["share", "material"])["dead"]
    said = [
        f"with {name.replace(', ', ' and ')}, {_from_to(early)} of the 20 outputs are dead after the first epoch and {_from_to(late)} after the last"
        for ((_, name), early), (_, late) in zip(first, last, strict=True)
    ]
    text = "; ".join(said)
    return f"{text[:1].upper()}{text[1:]} (ranges over seeds)."


def _from_to(values: pd.Series) -> str:
    return f"{values.min()} to {values.max()}" if values.nunique() > 1 else str(values.iloc[0])


def dimensions_in_words(found: pd.DataFrame) -> str:
    """In how many of the cases of `names_table` the matching dimension leads the others, and in how many it beats chance and the control."""
    cases = name_leads(found)
    if not cases:
        return "The published run is not available."
    leads = [case for case in cases if case["Δ vs runner-up"].low > 0]
    both = [case for case in leads if case["AUC"] > 0.5 and "Δ vs control" in case and case["Δ vs control"].low > 0]
    said = (
        f"In {len(leads)} of {len(cases)} settings the matching dimension localises the degradation better than any other (95 % confidence)"
    )
    return f"{said}; in {len(both)} of these it is also better than chance and than the input-minus-baseline control."
