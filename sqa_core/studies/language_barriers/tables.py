"""Tables of the chapter on language barriers. Numbers stay numbers; the page decides how they are shown."""

from collections.abc import Iterator
from typing import Any

import numpy as np
import pandas as pd

from ... import metrics
from ...corpora.impairments import DIMENSIONS
from ...metrics import Interval, bias_corrected
from ...results import frame, published
from ...results.records import Record
from ..listeners import SCALES
from . import selection
from .plan import SLUG
from .selection import AST, DIMENSION_TITLES, DRAWS, LANGUAGES, NISQA, OURS, PAPERS, TESTED, TITLES, Grid, Status
from .trials import METHODS, UNCUT

ORDERS = {"no mapping": 0, "first order": 1, "third order": 3}
LEAST_FILES = 20  # of a kind of impairment
CEILING = 4.6  # of the labels: PESQ of a sound and itself is 4.64
FOLDS = 5  # of the cross-fitted mapping


def grid_table(table: pd.DataFrame, of: Grid, status: Status) -> pd.DataFrame:
    """The paper's grid: one row per network, language and dimension, with PCC and its interval over items, PCC and RMSE after the mapping of
    third order, what the paper prints, and the share of labels at the ceiling."""
    printed = published.read(SLUG, "results").dropna(subset=["value"]).set_index(["model", "language", "dimension", "metric"])["value"]
    rows = []
    for cell in selection.cells(table, status):
        known = cell.known
        mapped = [metrics.calibrated(p[known], cell.label[known]) for p in cell.predicted]
        names = cell.network.split(",")[0], LANGUAGES[cell.language], DIMENSION_TITLES[cell.dimension]
        ours = cell.network in OURS
        row: dict[str, Any] = {"network": cell.network, "language": names[1], "dimension": names[2]}
        row |= bias_corrected(of[cell.network, cell.language, cell.dimension]).columns("PCC")
        row |= {"PCC mapped": np.mean([m.pcc_mapped for m in mapped]), "RMSE mapped": np.mean([m.rmse for m in mapped])}
        row |= {f"paper's {metric}": printed.get((*names, metric), np.nan) if ours else np.nan for metric in ("PCC", "RMSE")}
        row |= {"at ceiling, %": 100 * float((cell.label[known] > CEILING).mean())}
        rows.append(row | {"files": int(known.sum()), "without a label": int((~known).sum()), "seeds": len(cell.predicted)})
    found = pd.DataFrame(rows)
    return in_order(found if found.empty or found["without a label"].any() else found.drop(columns="without a label"))


def spread_table(of: Grid, languages: list[str]) -> pd.DataFrame:
    """How much PCC varies over languages: one row per network and dimension, with intervals over items. Mean and spread stand together, since
    a lower ceiling alone makes a profile flatter."""
    rows = []
    for network in dict.fromkeys(n for n, _, _ in of) if languages else ():
        for dimension in DIMENSIONS:
            if not all((network, language, dimension) in of for language in languages):
                continue
            row: dict[str, Any] = {"network": network, "dimension": DIMENSION_TITLES[dimension]}
            for statistic in ("mean", "range", "SD"):
                row |= bias_corrected(selection.over_languages(of, network, dimension, languages, statistic)).columns(f"{statistic} of PCC")  # type: ignore[arg-type]
            rows.append(row)
    return in_order(pd.DataFrame(rows))


def steadier_table(table: pd.DataFrame, status: Status, languages: list[str]) -> pd.DataFrame:
    """Is "steadier" only "lower"? Least squares of the range of PCC over languages, one point per network, dimension and seed: the difference
    between the networks alone, the same at equal mean PCC, and what a mean higher by 0.1 goes with. Intervals over items."""
    if len(languages) < 3:
        return pd.DataFrame()
    of = selection.spreads_by_seed(table, status, languages)
    ast = np.array([network == AST for network in of.networks], float)
    one = np.ones(len(ast))
    alone, equal, slope = [], [], []
    for mean, spread in zip(of.mean.T, of.range.T, strict=True):
        alone.append(np.linalg.lstsq(np.column_stack([one, ast]), spread, rcond=None)[0][1])
        fit = np.linalg.lstsq(np.column_stack([one, ast, mean]), spread, rcond=None)[0]
        equal.append(fit[1])
        slope.append(0.1 * fit[2])
    names = ("range of AST − range of NISQA", "the same at equal mean PCC", "range for a mean higher by 0.1")
    rows = []
    for name, values in zip(names, (alone, equal, slope), strict=True):
        interval = bias_corrected(metrics.Draws(float(values[0]), np.array(values[1:])))
        rows.append({"what": name} | interval.columns("PCC") | {"points": len(ast)})
    return pd.DataFrame(rows)


def listeners_table(table: pd.DataFrame) -> pd.DataFrame:
    """Agreement with P.835's listeners: one row per network, set and output, mean over seeds; the interval, over talkers and conditions, is that
    of the first seed."""
    rows = []
    for (network, which), part in table[table["status"] == "listeners"].groupby(["network", "set"], sort=False):
        for output in SCALES:
            if part.get(f"predicted {output}", pd.Series(dtype=float)).isna().all():
                continue
            by_seed = [rows_ for _, rows_ in part.groupby("seed")]
            interval = _listeners_interval(by_seed[0], output)
            row = {"network": network, "set": which, "output": DIMENSION_TITLES[output]} | interval.columns("PCC by file")
            row["mean over seeds"] = _pcc_over_seeds(part, output)
            row["by condition"] = np.mean([_by_condition(p, output) for p in by_seed])
            row["RMSE"] = np.mean([metrics.rmse(_x(p, output), p[output].to_numpy(float)) for p in by_seed])
            rows.append(row | {"seeds": len(by_seed)})
    return in_order(pd.DataFrame(rows))


def in_order(table: pd.DataFrame) -> pd.DataFrame:
    """Rows by network in the order of `TITLES`, otherwise as they are."""
    if table.empty:
        return table
    places = table["network"].map(list(TITLES.values()).index)
    return table.iloc[np.argsort(places.to_numpy(), kind="stable")].reset_index(drop=True)


def _x(part: pd.DataFrame, output: str) -> np.ndarray:
    return part[f"predicted {output}"].to_numpy(float)


def _pcc_over_seeds(part: pd.DataFrame, output: str = "mos") -> float:
    """PCC of a score with its label, the mean over seeds."""
    return float(np.mean([metrics.pcc(_x(p, output), p[output].to_numpy(float)) for _, p in part.groupby("seed")]))


def _by_condition(part: pd.DataFrame, output: str) -> float:
    means = part.groupby("condition")[[f"predicted {output}", output]].mean()
    return metrics.pcc(means[f"predicted {output}"].to_numpy(), means[output].to_numpy())


def _listeners_interval(part: pd.DataFrame, output: str) -> Interval:
    groups = part["condition"].to_numpy(), part["voice"].to_numpy()
    return metrics.two_way_bootstrap_pcc(_x(part, output), part[output].to_numpy(float), *groups)


def kinds_table(table: pd.DataFrame, status: Status) -> pd.DataFrame:
    """PCC of MOS by kind of impairment, calls with one kind alone: one row per kind, one column per network; all languages together, mean over
    seeds. Kinds with few files are left out."""
    rows = table[(table["status"] == status) & ~table["kinds"].str.contains(", ", na=True) & table["mos"].notna()]
    found: dict[str, dict[str, Any]] = {}
    for (kind, network), part in rows.groupby(["kinds", "network"]):
        files = part.drop_duplicates(["language", "source", "item"])
        if len(files) < LEAST_FILES or files["mos"].std() < 0.05:  # of clean calls all labels are the same
            continue
        found.setdefault(str(kind), {"kind": kind, "files": len(files)})[str(network)] = _pcc_over_seeds(part)
    return pd.DataFrame(found.values()).sort_values("files", ascending=False, ignore_index=True) if found else pd.DataFrame()


def mapping_table(table: pd.DataFrame, status: Status) -> pd.DataFrame:
    """RMSE of MOS under each mapping, mean over seeds: one row per network and language. Cross-fitted, a file is mapped by the fit of others.
    One mapping for all languages, of third order too, leaves the offsets between them and takes everything else."""
    rows = []
    by_network: dict[str, list[selection.Cell]] = {}
    for cell in selection.cells(table, status, ("mos",)):
        by_network.setdefault(cell.network, []).append(cell)
    for network, cells in by_network.items():
        pooled = [
            metrics.fit_mapping(np.concatenate([c.predicted[i][c.known] for c in cells]), np.concatenate([c.label[c.known] for c in cells]))
            for i in range(len(cells[0].predicted))
        ]
        for cell in cells:
            y, predicted = cell.label[cell.known], cell.predicted[:, cell.known]
            row: dict[str, Any] = {"network": network, "language": LANGUAGES[cell.language]}
            row["mean error"] = float((predicted - y).mean())
            for name, order in ORDERS.items():
                row[f"RMSE, {name}"] = np.mean([metrics.calibrated(p, y, order).rmse for p in predicted])  # type: ignore[arg-type]
            row["RMSE, third order, cross-fitted"] = np.mean([metrics.calibrated(p, y, folds=FOLDS).rmse for p in predicted])
            row["RMSE, one mapping for all languages"] = np.mean(
                [metrics.rmse(mapping(p), y) for mapping, p in zip(pooled, predicted, strict=True)]
            )
            row["SRCC"] = np.mean([metrics.srcc(p, y) for p in predicted])
            row["SRCC, third order"] = np.mean([metrics.srcc(metrics.fit_mapping(p, y)(p), y) for p in predicted])
            rows.append(row)
    return in_order(pd.DataFrame(rows))


# What the parts of a variance are called: without a second call of each item in each language, what a language does to single items cannot
# be told from the single file.
PARTS = ("language (mean offset)", "voice", "item", "language × item, and file")


def variance_table(table: pd.DataFrame) -> pd.DataFrame:
    """Where the errors of MOS come from: shares of their variance in percent between languages (their mean offsets), between the four voices, between
    items (impairments and sentences), and the rest, which holds what a language does to single items. Intervals over items. Synthetic
    voices, which speak every item in every language; one row per network, mean over seeds."""
    rows = []
    for network, part in table[table["status"] == "synthetic"].groupby("network", sort=False):
        errors = part.assign(error=part["predicted mos"] - part["mos"]).groupby(["item", "language"])["error"].mean().unstack().dropna()
        voices = part.drop_duplicates("item").set_index("item")["voice"].reindex(errors.index).to_numpy()
        if errors.shape[1] < 2 or len(errors) < 10:
            continue
        drawn = np.random.default_rng(0).integers(len(errors), size=(DRAWS, len(errors)))
        value = metrics.variance_shares(errors.to_numpy(), voices)
        samples = np.array([metrics.variance_shares(errors.to_numpy()[d], voices[d]) for d in drawn])
        low, high = np.nanquantile(samples, [0.025, 0.975], axis=0)
        row: dict[str, Any] = {"network": network}
        for i, name in enumerate(PARTS):
            sure = name != "voice"  # four voices bear no interval over items
            row |= Interval(value[i], low[i] if sure else np.nan, high[i] if sure else np.nan).columns(name)
        rows.append(row | {"SD of the error": float(errors.to_numpy().std())})
    return in_order(pd.DataFrame(rows))


def voices_table(table: pd.DataFrame) -> pd.DataFrame:
    """PCC of MOS with each synthetic voice left out: its range over voices left out, one row per network and language, beside the PCC of all."""
    rows = []
    for (network, language), part in table[(table["status"] == "synthetic") & table["mos"].notna()].groupby(
        ["network", "language"], sort=False
    ):
        without = {voice: _pcc_over_seeds(part[part["voice"] != voice]) for voice in sorted(part["voice"].unique())}
        row = {"network": network, "language": LANGUAGES[str(language)], "PCC": _pcc_over_seeds(part)}
        rows.append(row | {"least, one voice left out": min(without.values()), "greatest, one voice left out": max(without.values())})
    return pd.DataFrame(rows)


# How variants are called in a table.
VARIANTS = {
    "pretrained": "first taught to name impairments",
    "stand-in 0.5": "MOS for noise, discontinuity and coloration in half of the calls",
    "single": "a network for each dimension",
    selection.AST_FRONT: "AST's spectrogram, 128 bands",
}


def variants_table(varied: pd.DataFrame, status: Status) -> pd.DataFrame:
    """What training otherwise changes: PCC of a variant minus that of the same network trained as usual with the same seed, the mean over the
    paper's languages; one row per variant and dimension, with intervals over items.

    varied : as `selection.variants` gives it.
    """
    of = selection.grid(varied, status)
    rows = []
    for name in dict.fromkeys(n for n, _, _ in of if n not in OURS):
        base = NISQA if name == selection.AST_FRONT else AST
        for dimension in DIMENSIONS:
            languages = [x for x in PAPERS if (name, x, dimension) in of and (base, x, dimension) in of]
            if not languages:
                continue
            usual, own = (metrics.Draws.mean([of[n, x, dimension] for x in languages]) for n in (base, name))
            row: dict[str, Any] = {"network": base, "training": VARIANTS[name], "dimension": DIMENSION_TITLES[dimension]}
            row |= {"PCC as usual": usual.value, "PCC otherwise": own.value} | bias_corrected(own - usual).columns("difference")
            rows.append(row | {"languages": len(languages)})
    return pd.DataFrame(rows)


def talkers_table(table: pd.DataFrame) -> pd.DataFrame:
    """Real voices: how far the mean errors of MOS lie apart between corpora, each of one language, and between talkers of one corpus, as
    standard deviations without what the number of files would give by chance. Item k has the same impairments in every corpus, so the
    item's mean error is taken off first. One row per network; the intervals are those of `metrics.spread_interval`."""
    rows = []
    real = table[(table["status"] == "real") & table["mos"].notna()]
    for network, part in real.groupby("network", sort=False):
        files = part.assign(error=part["predicted mos"] - part["mos"]).groupby(["source", "language", "voice", "item"], as_index=False)
        errors = files["error"].mean()
        values = (errors["error"] - errors.groupby("item")["error"].transform("mean")).to_numpy()
        corpora = errors.groupby(["source", "language"]).ngroup().to_numpy()
        talkers = errors.groupby(["source", "language", "voice"]).ngroup().to_numpy()
        if corpora.max() < 2 or talkers.max() == corpora.max():
            continue
        row: dict[str, Any] = {"network": network}
        for i, name in enumerate(("SD between corpora", "SD between talkers of a corpus")):
            row |= metrics.spread_interval(values, corpora, talkers, i).columns(name)
        rows.append(row | {"corpora": corpora.max() + 1, "languages": errors["language"].nunique(), "talkers": talkers.max() + 1})
    return in_order(pd.DataFrame(rows))


def gaps_table(found: pd.DataFrame) -> pd.DataFrame:
    """How far discontinuity falls for one gap of a length: one row per network, length and language, with the interval over calls, whose three
    places count as one."""
    rows = []
    for r, items, output in _gap_changes(found):
        for (gap_s, language), part in items.groupby(["gap_s", "language"]):
            row: dict[str, Any] = {"network": selection.title_of(r), "output": output, "gap, ms": round(1000 * float(gap_s))}
            interval = metrics.confidence_t(part.groupby("item")["change"].mean())
            rows.append(row | {"language": LANGUAGES[str(language)]} | interval.columns("change"))
    return in_order(pd.DataFrame(rows))


LONG_GAP_S = 0.08  # from here on a gap takes a sound of speech


def mandarin_gaps_table(found: pd.DataFrame) -> pd.DataFrame:
    """Whether gaps in Mandarin are heard as those in other languages are: the fall of discontinuity in Mandarin minus the mean fall in the
    others, as a share of that, over gaps of `LONG_GAP_S` or more. One row per network, with the interval over items, which are the same
    sentences by the same voices in each language."""
    rows = []
    for r, items, output in _gap_changes(found):
        falls = items[items["gap_s"] >= LONG_GAP_S].groupby(["item", "language"])["change"].mean().unstack()
        if "zh" not in falls or falls.shape[1] < 3:
            continue
        others = falls.drop(columns="zh").mean(axis=1)
        share = metrics.confidence_t((falls["zh"] - others) / others.mean())
        row: dict[str, Any] = {"network": selection.title_of(r), "output": output, "mean change in the others": float(others.mean())}
        rows.append(row | share.columns("Mandarin more, share") | {"items": len(falls)})
    return in_order(pd.DataFrame(rows))


def _gap_changes(found: pd.DataFrame) -> Iterator[tuple[Record, pd.DataFrame, str]]:
    """Records of gaps with their rows of scores, whose `change` is that of discontinuity, or of MOS where there is no other output."""
    for r in frame.records(found, "gaps"):
        items = r.items()
        items = items[items["table"] == "scores"]
        output = "dis" if "change dis" in items else "mos"
        yield r, items.assign(change=items[f"change {output}"]), output


def looks_table(found: pd.DataFrame) -> pd.DataFrame:
    """How well each method's map over time tells the gap from the rest: mean area under the ROC curve, that of the same place in the uncut
    call, and the difference, with intervals over calls."""
    rows = []
    for r in frame.records(found, "gaps"):
        looks = r.items()
        looks = looks[looks["table"] == "looks"]
        for method in METHODS:
            if method in looks and looks[method].notna().any():
                cut, uncut = (looks[name].dropna().to_numpy(float) for name in (method, method + UNCUT))
                row: dict[str, Any] = {"network": selection.title_of(r), "method": method}
                for name, values in (("AUC", cut), ("AUC, uncut", uncut), ("difference", cut - uncut)):
                    row |= metrics.confidence_t(values).columns(name)
                rows.append(row | {"calls": len(cut)})
    return in_order(pd.DataFrame(rows))


def sensitivity_table(found: pd.DataFrame) -> pd.DataFrame:
    """Mean MOS of clean calls by level, bandwidth and sample rate: one row per network, axis, value and kind of voices, with the share of
    samples that are clipped."""
    rows = [
        {"axis": axis, "value": float(value), "voices": kind, "network": selection.title_of(r)}
        | {"mos": float(part["predicted mos"].mean()), "clipped, %": 100 * float(part["clipped"].mean()), "calls": len(part)}
        for r in frame.records(found, "sensitivity")
        for (axis, value, kind), part in r.items()
        .assign(kind=lambda t: np.where(t["source"] == "polyglot", "synthetic", "real"))
        .groupby(["axis", "value", "kind"])
    ]
    return pd.DataFrame(rows)


def teachers_table(found: pd.DataFrame) -> pd.DataFrame:
    """How far PESQ and ViSQOL agree on the same calls, and their means where gaps or a codec are the only impairment: one row per part."""
    rows = []
    for r in frame.records(found, "teachers"):
        part, items = r.trial["part"], r.items().dropna(subset=["mos", "visqol"])
        row = {"voices": part["source"], "language": LANGUAGES[part["language"]], "PCC": r.metrics["pcc"]}
        row["SRCC"] = metrics.srcc(items["mos"].to_numpy(float), items["visqol"].to_numpy(float))
        for kind in ("gaps", "codec"):
            alone = items[items["kinds"] == kind]
            row |= {f"PESQ, {kind} alone": alone["mos"].mean(), f"ViSQOL, {kind} alone": alone["visqol"].mean()}
        rows.append(row | {"files": r.metrics["files"], "data": r.data_status})
    return pd.DataFrame(rows)


def data_table(table: pd.DataFrame) -> pd.DataFrame:
    """What was tested: voices, languages, files, and how many files have no label."""
    first = table.drop_duplicates([c for c in ("status", "source", "language", "item", "set", "condition", "voice") if c in table])
    rows = []
    for (status, source, language), part in first.groupby(["status", "source", "language"], sort=False):
        row = {"data": status, "corpus": source, "language": LANGUAGES[str(language)], "voices": part["voice"].nunique()}
        rows.append(row | {"files": len(part), "without a label": int(part["mos"].isna().sum())})
    return pd.DataFrame(rows)


def training_table(found: pd.DataFrame) -> pd.DataFrame:
    """How our networks were trained: one row per network and seed."""
    rows = []
    for r in frame.records(found, "quality"):
        if not r.trial.get("training"):
            continue
        settings, m = r.trial["training"]["settings"], r.metrics
        name = ", ".join(part for part in (selection.title_of(r), selection.variant_of(r)) if part)
        name += f" ({DIMENSION_TITLES[settings['outputs'][0]]})" if len(settings["outputs"]) == 1 else ""
        row = {"network": name, "seed": r.trial["seed"], "parameters": m["parameters"], "calls": m["train_calls"]}
        row |= {"learning rate": settings["learning_rate"], "epochs": m["epochs"], "best epoch": m["best_epoch"] + 1}
        rows.append(row | {"validation RMSE": m["valid_rmse"], "minutes": r.wall_s / 60})
    return pd.DataFrame(rows).sort_values(["network", "seed"], ignore_index=True) if rows else pd.DataFrame()


def curves_table(found: pd.DataFrame) -> pd.DataFrame:
    """Training loss and validation RMSE: one row per network, seed and epoch."""
    rows = [
        {"network": selection.title_of(r), "seed": r.trial["seed"], "epoch": i + 1, "training loss": loss, "validation RMSE": rmse}
        for r in frame.records(found, "quality")
        if r.trial.get("training") and not selection.variant_of(r)
        for i, (loss, rmse) in enumerate(zip(r.metrics["training_loss"], r.metrics["validation_rmse"], strict=True))
    ]
    return pd.DataFrame(rows)


def tested_languages(of: Grid) -> list[str]:
    """The paper's test languages that both networks were tested on."""
    return selection.languages_of(of, TESTED)
