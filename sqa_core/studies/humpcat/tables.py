"""Tables of the chapter on HuMP-CAT. Numbers stay numbers; the page decides how they are shown."""

from itertools import product
from typing import Any

import numpy as np
import pandas as pd

from ... import metrics
from ...corpora.emotion import catalogue
from ...metrics import Interval
from ...models.humpcat import Humpcat, HumpcatSettings
from ...results import published
from . import selection
from .plan import LAYER_PAIRS, PAPERS_TARGETS, SEEDS, SHARES, SLUG, SOURCES, STARTS, USUAL, VARIANTS
from .trials import CLASSES

SHARE_COLUMN = "share tuned on, %"  # of all files of the target; 100 stands for all that are not tested at every share, about two thirds

# A coarse table of our own: how far a language is from English, and the smallest group that both are in.
GROUPS = {
    "en": ("English", 0, "English"),
    "de": ("German", 1, "Germanic"),
    "it": ("Italian", 2, "Indo-European"),
    "es": ("Spanish", 2, "Indo-European"),
    "fr": ("French", 2, "Indo-European"),
    "el": ("Greek", 2, "Indo-European"),
    "ur": ("Urdu", 2, "Indo-European"),
    "fa": ("Persian", 2, "Indo-European"),
    "ar": ("Arabic", 3, "none"),
    "zh": ("Chinese", 3, "none"),
}
PERCENT = (0.0, 100.0)  # where an interval of accuracies ends
PRINTED = {"emodb": "EMODB", "emovo": "EMOVO"}
STREAMS = ("without encoder", "without MFCCs", "without prosody")


def title(target: str) -> str:
    return catalogue.title(target)


def language(target: str) -> str:
    code = catalogue.CORPORA[target].language.split("-")[0] if target in catalogue.CORPORA else ""
    return GROUPS[code][0] if code in GROUPS else code


def in_order(targets: Any) -> list[str]:
    """Targets as the page lists them: the paper's own first."""
    present = set(targets)
    return [t for t in PAPERS_TARGETS if t in present] + [t for t in catalogue.in_order(present) if t not in PAPERS_TARGETS]


def papers_languages() -> set[str]:
    """The languages that the paper's source and targets have."""
    stated = str(published.read(SLUG, "setup").set_index("item").loc["languages", "status"])
    return set(stated.removeprefix("stated: ").split(", "))


def corpora_table() -> pd.DataFrame:
    """Source and targets that the catalogue knows: what is kept of each in four classes, and what is dropped, as distributed."""
    rows, languages = [], papers_languages()
    for name in (*SOURCES, *in_order(set(catalogue.CORPORA) - set(SOURCES))):
        c = catalogue.CORPORA[name]
        if not c.expected or sum(c.expected.values()) != c.files:
            continue  # counts by emotion are not published
        kept = {e: n for e, n in c.expected.items() if e in CLASSES or e == "excitement"}
        dropped = {e: n for e, n in c.expected.items() if e not in kept}
        role = "source" if name in SOURCES else "target"
        if name in ("iemocap", *PAPERS_TARGETS):
            role += ", the paper's"
        elif language(name) not in languages:
            role += " of ours"
        rows.append(
            {
                "corpus": c.name,
                "language": language(name),
                "role": role,
                "speakers": c.speakers,
                "files in four classes": sum(kept.values()),
                "absent": ", ".join(e for e in CLASSES if e not in kept) or "none",
                "dropped": ", ".join(f"{e} {n}" for e, n in dropped.items()) or "none",
            }
        )
    return pd.DataFrame(rows)


def printed(target: str) -> float:
    """The paper's accuracy on a target in percent; NaN where it is not known."""
    table = published.read(SLUG, "results").set_index("dataset")["value"]
    return float(table[PRINTED[target]]) if target in PRINTED else float("nan")


def accuracy_table(found: pd.DataFrame) -> pd.DataFrame:
    """One row per target at the usual share: accuracy after transfer, trained on the target only, and without tuning, with intervals over draws of
    speakers; unweighted average recall and macro F1 over the classes that the target has; the share of the most frequent class; what the
    paper prints."""
    table = selection.transfers(found)
    zero = selection.not_tuned(table)
    cells = {
        "accuracy": selection.chosen(table),
        "target only": selection.chosen(table, start="random"),
        "source only": zero.assign(accuracy=[100 * float((a["predicted"] == a["emotion"]).mean()) for a in zero["answers"]]),
    }
    rows = []
    for target in in_order(cells["accuracy"]["target"]):
        row: dict[str, Any] = {"target": title(target), "language": language(target)}
        for name, cell in cells.items():
            values = cell.loc[cell["target"] == target, "accuracy"]
            row |= metrics.confidence_t(values, PERCENT).columns(f"{name}, %") if len(values) else {}
        of = cells["accuracy"][cells["accuracy"]["target"] == target]
        items = [r.items() for r in of["record"]]
        row |= metrics.confidence_t(of["uar"], PERCENT).columns("UAR, %") | metrics.confidence_t(of["f1"], PERCENT).columns("macro F1, %")
        row["classes"] = int(np.mean([table["emotion"].nunique() for table in items]))
        row["most frequent class, %"] = np.mean([100 * table["emotion"].value_counts(normalize=True).max() for table in items])
        row |= {"paper, %": printed(target), "tuned files": of["tuned"].mean(), "classes not tuned on": _missing(of)}
        rows.append(row | {"draws": len(of)})
    return pd.DataFrame(rows)


def with_printed(accuracy: pd.DataFrame) -> pd.DataFrame:
    """`accuracy_table` with rows for what the paper prints of targets that are not known, and of its mean; those are not available here."""
    results = published.read(SLUG, "results")
    others = results[~results["dataset"].isin(PRINTED.values()) & results["status"].str.startswith("published")]
    rows = [{"target": f"the paper's {r.dataset}", "language": r.language, "paper, %": float(r.value)} for r in others.itertuples()]
    return pd.concat([accuracy, pd.DataFrame(rows)], ignore_index=True) if len(accuracy) else accuracy


def _missing(cell: pd.DataFrame) -> float:
    """How many classes of the target are absent from what was tuned on, mean over draws."""
    return float(np.mean([len(r.metrics["missing"]) for r in cell["record"]]))


def shares_table(found: pd.DataFrame) -> pd.DataFrame:
    """Accuracy on the files that are tested at every share, by target and share: source + target, target only, and the gain, paired
    over draws of speakers."""
    table = selection.transfers(found)
    rows = []
    for target in in_order(table["target"]):
        of = table[table["target"] == target]
        for share in SHARES:
            source, other = selection.chosen(of, share=share), selection.chosen(of, start="random", share=share)
            if len(source) < 2:  # one draw has no interval
                continue
            row: dict[str, Any] = {"target": title(target), SHARE_COLUMN: 100 * share, "files": source["tuned"].mean()}
            row["classes not tuned on"] = _missing(source)
            row |= metrics.confidence_t(source["fixed_accuracy"], PERCENT).columns("source + target, %")
            if len(other) > 1:
                row |= metrics.confidence_t(other["fixed_accuracy"], PERCENT).columns("target only, %")
            gain = selection.over_folds(selection.difference(source, other, "fixed_accuracy"))
            row |= gain.columns("gain, points") if gain else {}
            rows.append(row | {"draws": len(source)})
    return pd.DataFrame(rows)


def turning_points(by_share: pd.DataFrame) -> pd.DataFrame:
    """From which share on the source no longer helps: for each target the least share from which on the mean gain is never above 0, and the
    least whose gain's interval is all below 0; NaN where there is none."""
    rows = []
    for target, part in by_share.dropna(subset=["gain, points"]).groupby("target", sort=False) if "gain, points" in by_share else ():
        part = part.sort_values(SHARE_COLUMN)
        shares, gains = part[SHARE_COLUMN].to_numpy(float), part["gain, points"].to_numpy(float)
        helping = np.flatnonzero(gains > 0)
        none_left = shares[helping[-1] + 1 :] if len(helping) else shares
        below = [share for share, row in zip(shares, part.to_dict("records"), strict=True) if Interval.of(row, "gain, points").high < 0]
        rows.append(
            {"target": target, "no mean gain from, %": min(none_left, default=np.nan), "shown to hurt at, %": min(below, default=np.nan)}
        )
    return pd.DataFrame(rows)


def variants_table(found: pd.DataFrame) -> pd.DataFrame:
    """What each change of the network costs or gives: accuracy minus that of the reference network with the same start, paired over targets and
    draws of speakers; only draws that every target has, so that each row is over the same targets. Variants are trained on the target's share
    alone; those that are trained on the source too have a second row."""
    table = selection.transfers(found)
    targets = selection.chosen(table)["target"].nunique()
    rows = []
    for start, name in product(("random", "source"), VARIANTS):
        cell = selection.chosen(table, name, start)
        change = selection.difference(cell, selection.chosen(table, start=start))
        change = change[change.groupby("seed")["target"].transform("size") == targets]
        interval = selection.over_folds(change)
        if name == USUAL or interval is None:
            continue
        row: dict[str, Any] = {"variant": name, "start": selection.BEGUN[start]}
        row |= interval.columns("change, points") | {"folds": len(change)}
        row |= {title(t): change.loc[change["target"] == t, "difference"].mean() for t in in_order(change["target"])}
        rows.append(row | {"parameters": int(cell["parameters"].iloc[0])})
    return pd.DataFrame(rows)


def layers_table(found: pd.DataFrame) -> pd.DataFrame:
    """Accuracy with each pair of the encoder's layers, trained on the target's share alone: one row per pair, and one per
    single layer, whose network is smaller; mean over targets for one draw of speakers, the same for all."""
    table = selection.transfers(found)
    single = {(layer, layer): name for name, v in VARIANTS.items() if v.network and len(v.layers) == 1 for layer in v.layers}
    pairs = {v.layers: name for name, v in LAYER_PAIRS.items()} | {VARIANTS[USUAL].layers: USUAL} | single
    rows = []
    for (one, other), name in sorted(pairs.items()):
        cell = selection.chosen(table, name, start="random")
        cell = cell[cell["seed"] == SEEDS[0]]
        if len(cell):
            row: dict[str, Any] = {"lower layer": one, "upper layer": other, "accuracy, %": cell["accuracy"].mean()}
            rows.append(row | {title(t): cell.loc[cell["target"] == t, "accuracy"].mean() for t in in_order(cell["target"])})
    wanted = max((len(row) for row in rows), default=0)
    complete = [row for row in rows if len(row) == wanted]  # a mean over fewer targets is another number
    return pd.DataFrame(complete) if len(complete) > len(single) + 1 else pd.DataFrame()


def speakers_table(found: pd.DataFrame) -> pd.DataFrame:
    """Accuracy if whole speakers are tuned on or tested, and if files are drawn regardless of speaker; one row per target."""
    table = selection.transfers(found)
    apart, mixed = selection.chosen(table), selection.chosen(table, by="file")
    rows = []
    for target in in_order(mixed["target"]):
        both = [cell[cell["target"] == target] for cell in (apart, mixed)]
        row: dict[str, Any] = {"target": title(target)}
        for name, cell in zip(("speakers apart, %", "speakers mixed, %"), both, strict=True):
            row |= metrics.confidence_t(cell["accuracy"], PERCENT).columns(name)
        gap = selection.over_folds(selection.difference(both[1], both[0]))
        rows.append(row | (gap.columns("mixed − apart, points") if gap else {}) | {"draws": len(both[1])})
    return pd.DataFrame(rows)


def attention_table(found: pd.DataFrame) -> pd.DataFrame:
    """How even attention is by direction: entropy of the mean over heads of the first layer's weights, as a share of the largest possible.
    Untrained, and after training on the target only, on the source only, and on both. Means over targets and draws."""
    table = selection.transfers(found)
    rows: dict[str, dict[str, Any]] = {}
    names = {"random": ("untrained", "target only"), "source": ("source only", "source + target")}
    for variant in (USUAL, "prosody over time"):
        for start in STARTS:
            for r in selection.chosen(table, variant, start)["record"]:
                for direction, values in r.metrics["entropies"].items():
                    row = rows.setdefault(f"{variant}/{direction}", {"network": variant, "direction": direction})
                    for name, value in zip(names[start], (values[0], values[-1]), strict=True):
                        row.setdefault(name, []).append(value)
    return pd.DataFrame([{k: float(np.mean(v)) if isinstance(v, list) else v for k, v in row.items()} for row in rows.values()])


def epochs_table(found: pd.DataFrame) -> pd.DataFrame:
    """The course of training on the source, each speaker left out once, and of tuning: stage, line, measure, epoch, value. Entropy of each
    direction of attention (epoch 0 is before training), mean over speakers, or targets and draws; loss, mean over speakers, or draws of each
    target."""
    parts = []
    usual = selection.chosen(selection.transfers(found))
    stages = {"source": [(SOURCE_LINE, r) for r in selection.of_run(found, "source")]}
    stages["tuning"] = [(title(row.target), row.record) for row in usual.itertuples()]
    for stage, of in stages.items():
        for line, r in of:
            for direction, values in r.metrics.get("entropies", {}).items():
                parts.append(
                    pd.DataFrame({"stage": stage, "measure": "entropy", "line": direction, "epoch": range(len(values)), "value": values})
                )
            losses = r.metrics.get("losses", [])
            about = {"stage": stage, "measure": "loss", "line": line}
            parts.append(pd.DataFrame(about | {"epoch": range(1, len(losses) + 1), "value": losses}))
    if not parts:
        return pd.DataFrame(columns=["stage", "measure", "line", "epoch", "value"])
    return pd.concat(parts).groupby(["stage", "measure", "line", "epoch"], sort=False)["value"].mean().reset_index()


SOURCE_LINE = "the source's other speakers"


def neutral_table(found: pd.DataFrame) -> pd.DataFrame:
    """English bias: the share of answers that are "neutral" less the share of files that are, before tuning and after it, on the same files. A
    corpus without neutral files has no such balance: there every neutral answer is wrong."""
    table = selection.transfers(found)
    usual, zero = selection.chosen(table), selection.not_tuned(table)
    rows = []
    for target in in_order(zero["target"]):
        answers = {
            "source only": zero.loc[zero["target"] == target, "answers"],
            "source + target": [r.items() for r in usual.loc[usual["target"] == target, "record"]],
        }
        row: dict[str, Any] = {"target": title(target)}
        row["neutral files, %"] = np.mean([100 * (a["emotion"] == "neutral").mean() for a in answers["source only"]])
        for name, of in answers.items():
            row |= metrics.confidence_t([extra_neutral(a) for a in of]).columns(f"neutral answers − files, {name}, points")
        rows.append(row)
    return pd.DataFrame(rows)


def extra_neutral(answers: pd.DataFrame) -> float:
    """The share of answers that are "neutral" less the share of files that are, in points."""
    return 100 * float((answers["predicted"] == "neutral").mean() - (answers["emotion"] == "neutral").mean())


def languages_table(found: pd.DataFrame) -> pd.DataFrame:
    """Gain from the source by target and relation to English. Four languages are too few to assess a distance."""
    table = selection.transfers(found)
    gain = selection.gain(table)
    rows = []
    for target in in_order(gain["target"]):
        code = catalogue.CORPORA[target].language.split("-")[0] if target in catalogue.CORPORA else ""
        _, steps, relation = GROUPS.get(code, (code, np.nan, ""))
        of = selection.over_folds(gain[gain["target"] == target])
        row: dict[str, Any] = {
            "target": title(target),
            "language": language(target),
            "group shared with English": relation,
            "steps to that group": steps,
        }
        rows.append(row | (of.columns("gain, points") if of else {}))
    return pd.DataFrame(rows).sort_values("steps to that group", kind="stable", ignore_index=True) if rows else pd.DataFrame()


def source_table(found: pd.DataFrame) -> pd.DataFrame:
    """Accuracy on each speaker of the source by a network trained on the others; and by networks trained on as many files regardless of
    speaker, once every file has been tested so."""
    apart, mixed = selection.of_run(found, "source"), selection.of_run(found, "mixed_source")
    rows = [
        {"speaker": r.trial["held_out"], "accuracy, %": r.metrics["accuracy"], "UAR, %": r.metrics["uar"], "files": r.metrics["tested"]}
        for r in apart
    ]
    table = pd.DataFrame(rows).sort_values("speaker", ignore_index=True) if rows else pd.DataFrame()
    if rows and {r.trial["held_out"] for r in mixed} == set(table["speaker"]):
        each = pd.concat([r.items() for r in mixed])
        right = (each["predicted"] == each["emotion"]).groupby(each["speaker"]).mean()
        table.insert(2, MIXED_SPEAKERS, 100 * table["speaker"].map(right))
    return table


MIXED_SPEAKERS = "accuracy, speakers mixed, %"


def mixing_speakers(source: pd.DataFrame) -> metrics.Interval | None:
    """What mixing the source's speakers changes, in points, with an interval over them; None where it was not tried. source : `source_table`."""
    return metrics.confidence_t(source[MIXED_SPEAKERS] - source["accuracy, %"]) if MIXED_SPEAKERS in source else None


def answers(transfers: pd.DataFrame, **cell: Any) -> dict[str, list[pd.DataFrame]]:
    """True and predicted emotions of each target in one cell, of the files that are tested at every share: one table per draw of speakers."""
    table = selection.chosen(transfers, **cell)
    items = {target: [r.items() for r in table.loc[table["target"] == target, "record"]] for target in in_order(table["target"])}
    return {target: [one[one["fixed"]] for one in of] for target, of in items.items()}


def parts_table() -> pd.DataFrame:
    """Parameters of each part at the paper's width."""
    network = Humpcat(HumpcatSettings())
    rows = [{"part": name, "parameters": count} for name, count in network.parts().items()]
    return pd.DataFrame([*rows, {"part": "all", "parameters": sum(p.numel() for p in network.parameters())}])
