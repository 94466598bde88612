"""Tables of what the chapter on speech models asks beyond the paper: splits and speakers, layers, other choices, leads against noise."""

from typing import Any

import numpy as np
import pandas as pd
from scipy import stats

from .. import published
from ..metrics import macro_f1
from ..probing import ProbeSettings
from ..records import Record
from .common import of_kind
from .speech_models_cells import (
    CONTROLS,
    cell,
    constant,
    corpus_title,
    difference,
    difference_on,
    f1_draws,
    interval_of,
    mean_sd,
    measured_corpora,
    measured_encoders,
    papers_corpora,
    points,
    title_of,
)
from .speech_models_tables import SLUG, layer_weights, lead_in_deviations, printed_cell, printed_twin, twin
from .speech_models_trials import AcrossTrial, ChannelsTrial, LayersTrial, WaysTrial

LEAST_SPEAKERS, MOST_SPEAKERS = 2, 1000  # of a t test; what is looked for
MOVED = 1.25  # times the equal weight: what the largest of a model's layer weights must reach to tell anything
LEAST_RANKED = 6  # layers; of fewer, a rank correlation tells little


def splits_table(found: list[Record], head: str = "linear") -> pd.DataFrame:
    """The same head by three ways to split: whole speakers, each speaker once, and plainly, with what each mixes."""
    rows = []
    for corpus in measured_corpora(found):
        for encoder in measured_encoders(found):
            row = {"corpus": corpus_title(corpus), "backbone": title_of(encoder)}
            for protocol, name in (("speaker", "one split by speaker"), ("loso", "each speaker once"), ("stratified", "plain split")):
                records = cell(found, corpus, encoder, head=head, protocol=protocol)
                row[name] = f"{mean_sd([r.metrics['f1'] for r in records])}, constant {constant(records)}" if records else "–"
            if set(row.values()) - {row["corpus"], row["backbone"], "–"}:
                rows.append(row)
    return pd.DataFrame(rows)


def f1_by_speaker(records: list[Record]) -> pd.Series:
    """Macro F1 in percent over each speaker's files, mean over seeds, from the lowest to the highest."""
    parts = [
        {"speaker": speaker, "f1": macro_f1(part["emotion"].to_numpy(), part["predicted"].to_numpy())}
        for r in records
        for speaker, part in r.items().groupby("speaker")
    ]
    return pd.DataFrame(parts, columns=["speaker", "f1"]).groupby("speaker")["f1"].mean().sort_values()


def by_speaker_table(found: list[Record]) -> pd.DataFrame:
    """Each speaker of the paper's corpora tested unheard, Linear head, from the worst to the best, beside the one split and the paper."""
    rows = []
    for corpus in papers_corpora(found):
        for encoder in measured_encoders(found):
            f1 = f1_by_speaker(cell(found, corpus, encoder, head="linear", protocol="loso"))
            one = cell(found, corpus, encoder, head="linear")
            if len(f1) and one:
                row = {"corpus": corpus_title(corpus), "backbone": title_of(encoder)}
                row["paper"] = printed_cell("table3", dataset=corpus_title(corpus), backbone=twin(encoder), head="Linear")
                row |= {"one split": mean_sd([r.metrics["f1"] for r in one]), "constant answer there": constant(one)}
                row["tested there"] = ", ".join(sorted(one[0].items()["speaker"].unique()))
                row["each speaker tested unheard"] = ", ".join(f"{name}: {value:.1f}" for name, value in f1.items())
                rows.append(row)
    return pd.DataFrame(rows)


def ways(found: list[Record], encoder: str = "whisper-small-int8") -> pd.DataFrame:
    """Macro F1 of each way to keep speakers apart, mean over seeds: a row a corpus, absent speaker (or none), tested speaker and the one
    who chooses the epoch."""
    names = ["corpus", "absent", "tested", "chooses"]
    parts = [r.items().assign(corpus=r.trial["corpus"]) for r in of_kind(found, WaysTrial, encoder=encoder)]
    return pd.concat(parts).groupby(names, as_index=False)["f1"].mean() if parts else pd.DataFrame(columns=[*names, "f1"])


def ways_table(found: list[Record], encoder: str = "whisper-small-int8") -> pd.DataFrame:
    """How far the ways to keep the same speakers apart lie from each other, and how many give no more than the paper prints."""
    rows = []
    table = ways(found, encoder)
    table["version"] = np.where(table["absent"] == "", "all speakers", "each speaker left out in turn")
    for (corpus, version), part in table.groupby(["corpus", "version"]):
        paper = printed_twin(corpus, encoder)
        row = {"corpus": corpus_title(corpus), "backbone": title_of(encoder), "speakers": version, "ways": len(part)}
        quartiles = part["f1"].quantile([0, 0.25, 0.5, 0.75, 1])
        row |= {n: f"{q:.1f}" for n, q in zip(("lowest", "first quarter", "median", "third quarter", "highest"), quartiles, strict=True)}
        below = part[part["f1"] <= paper]
        row |= {"paper": f"{paper:.2f}", "ways up to the paper's number": len(below)} if np.isfinite(paper) else {"paper": "–"}
        row["who is tested there"] = ", ".join(sorted(below["tested"].unique())) or "–"
        rows.append(row)
    return pd.DataFrame(rows).fillna("–")


def weights_moved(found: list[Record]) -> pd.Series:
    """Whether the largest weight of Multi-Layer, mean over seeds, has left where it started: by corpus and encoder."""
    table = layer_weights(found)
    if table.empty:
        return pd.Series(dtype=bool)
    mean = table.groupby(["corpus", "encoder", "layer"])["weight"].mean().groupby(["corpus", "encoder"])
    return mean.max() > MOVED / mean.size()


def layer_probes(found: list[Record]) -> pd.DataFrame:
    """F1 of a Linear head on each layer: a row a corpus, encoder, seed and layer."""
    parts = [
        r.items().assign(corpus=r.trial["corpus"], encoder=r.trial["encoder"], seed=r.trial["seed"]) for r in of_kind(found, LayersTrial)
    ]
    return pd.concat(parts, ignore_index=True) if parts else pd.DataFrame(columns=["layer", "f1", "valid_f1", "corpus", "encoder", "seed"])


def layers_of_cells(found: list[Record]) -> dict[str, tuple[pd.DataFrame, pd.DataFrame]]:
    """Learnt weights and probes of each layer, by corpus and model, where there are any."""
    weights, probes = layer_weights(found), layer_probes(found)
    out = {}
    for corpus in measured_corpora(found):
        for encoder in measured_encoders(found):
            pair = tuple(t[(t["corpus"] == corpus) & (t["encoder"] == encoder)] if len(t) else t for t in (weights, probes))
            if len(pair[0]) or len(pair[1]):
                out[f"{corpus_title(corpus)}, {title_of(encoder)}"] = pair
    return out  # type: ignore[return-value]


def layers_table(found: list[Record]) -> pd.DataFrame:
    """Best layer by probes, where the learnt weights lie, and how the two go together: a row a corpus and model."""
    rows = []
    for name, (weights, probes) in layers_of_cells(found).items():
        if not len(probes):
            continue
        f1 = probes.groupby("layer")["f1"].mean()
        corpus, encoder = probes[["corpus", "encoder"]].iloc[0]
        chosen = int(probes.groupby("layer")["valid_f1"].mean().idxmax())
        row = {"corpus and model": name, "layer chosen on the validation files": chosen, "its F1": round(f1[chosen], 1)}
        row |= {"last layer's F1": round(f1.iloc[-1], 1), "layers": len(f1)}
        for label, table in (
            ("weights", weights),
            ("weights, Linear on the sum", layer_weights(found, "weighted-linear", corpus=corpus, encoder=encoder)),
            ("the same, layers normalised", layer_weights(found, "weighted-linear", corpus=corpus, encoder=encoder, normalise_layers=True)),
            (
                "the same, ten times the rate",
                layer_weights(found, "weighted-linear", corpus=corpus, encoder=encoder, normalise_layers=True, learning_rate=5e-3),
            ),
        ):
            if len(table):
                mean = table.groupby("layer")["weight"].mean()
                moved = mean.max() > MOVED / len(mean)
                row[f"{label}: largest at"] = str(mean.idxmax()) if moved else "nearly equal"
                if moved and len(mean) >= LEAST_RANKED:
                    row[f"{label}: rank correlation with F1"] = f"{stats.spearmanr(mean, f1).statistic:.2f}"
        rows.append(row)
    return pd.DataFrame(rows).fillna("")


def reach_of_weights(settings: ProbeSettings = ProbeSettings("multi-layer")) -> pd.DataFrame:
    """How far the layer weights of Multi-Layer can move in all of its training, on each of the paper's corpora as it prints their sizes.

    They start equal. A logit ends within updates times `largest_step` of 0, whatever the gradients, and a weight below what it has where
    its own logit is as high and all others as low as they can be.
    """
    rows = []
    for row in published.read(SLUG, "table1").itertuples():
        updates = settings.epochs * int(np.ceil(0.8 * row.samples / settings.batch_size))
        reach = updates * largest_step(settings)
        found = {"corpus": row.dataset, "files printed": row.samples, "updates": updates, "a logit moves at most": round(reach, 2)}
        for layers in (12, 24):
            found[f"largest weight of {layers}"] = round(largest_weight(reach, layers), 3)
            found[f"equal weights of {layers}"] = round(1 / layers, 3)
        rows.append(found)
    return pd.DataFrame(rows)


def largest_step(settings: ProbeSettings) -> float:
    """The most that one update of Adam can move a number: its first moment over the root of its second is at most
    (1 - b1) / sqrt((1 - b2) (1 - b1^2 / b2)), by Cauchy and Schwarz."""
    b1, b2 = settings.betas
    return settings.learning_rate * (1 - b1) / np.sqrt((1 - b2) * (1 - b1**2 / b2))


def largest_weight(reach: float, layers: int) -> float:
    """The most that one of so many softmax weights can be when no logit is further than `reach` from 0."""
    return float(1 / (1 + (layers - 1) * np.exp(-2 * reach)))


def choices_table(found: list[Record]) -> pd.DataFrame:
    """What one other choice changes, in points of macro F1, paired over test files, mean over corpora: a row a choice, a column a model."""
    choices: dict[str, dict[str, Any]] = {
        "sounds padded to 30 s": {"whole_window": True},
        "features standardised": {"standardise": True},
        "100 epochs": {"epochs": 100},
        "ten times the learning rate": {"learning_rate": 5e-3},
        "a tenth of the learning rate": {"learning_rate": 5e-5},
        "no class weights": {"class_weights": False},
        "no schedule": {"schedule": "none"},
        "last epoch instead of best": {"keep": "last"},
        "Linear on a weighted sum of layers": {"head": "weighted-linear"},
        "noise and time masks in training": {"augmented": True},
    }
    rows = []
    for name, other in choices.items():
        row: dict[str, Any] = {"other choice": name}
        for encoder in measured_encoders(found):
            common = {"encoder": encoder, "head": "linear"}
            changed = difference(found, common | other, common)
            if changed:
                change, corpora = changed
                row[title_of(encoder)] = points(change)
                if len(corpora) < len(papers_corpora(found)):
                    row[title_of(encoder)] += f" ({', '.join(corpus_title(c) for c in corpora)} alone)"
        if len(row) > 1:
            rows.append(row)
    return pd.DataFrame(rows).fillna("–")


def two_by_two(found: list[Record]) -> pd.DataFrame:
    """Last layer or a weighted sum, Linear or Non-Linear: mean over the corpora that have all four."""
    names = {
        "linear": "last layer, Linear",
        "weighted-linear": "weighted sum, Linear",
        "non-linear": "last layer, Non-Linear",
        "multi-layer": "weighted sum, Non-Linear",
    }
    rows = []
    for encoder in measured_encoders(found):
        cells = {c: {h: cell(found, c, encoder, head=h) for h in names} for c in papers_corpora(found)}
        whole = {c: by_head for c, by_head in cells.items() if all(by_head.values())}
        if whole:
            row: dict[str, Any] = {"backbone": title_of(encoder), "corpora": ", ".join(corpus_title(c) for c in whole)}
            for head, name in names.items():
                draws = np.mean([f1_draws(by_head[head]) for by_head in whole.values()], axis=0)
                row[name] = "{:.1f} [{:.1f}, {:.1f}]".format(*interval_of(draws))
            row["constant answer"] = constant(*(by_head["linear"] for by_head in whole.values()))
            rows.append(row)
    return pd.DataFrame(rows)


def channels_table(found: list[Record]) -> pd.DataFrame:
    """EMOVO's channels: accuracy of a head that learnt the left one, and how like the features are to the left one's."""
    rows = []
    for encoder in measured_encoders(found):
        records = of_kind(found, ChannelsTrial, encoder=encoder)
        if records:
            items = pd.concat([r.items().assign(seed=r.trial["seed"]) for r in records])
            row: dict[str, Any] = {"backbone": title_of(encoder), "files": records[0].metrics["files"]}
            for channel, part in items.groupby("channel", sort=False):
                accuracy = (part["emotion"] == part["predicted"]).groupby(part["seed"]).mean() * 100
                row[f"{channel}: accuracy, %"] = mean_sd(accuracy.tolist())
                row[f"{channel}: cosine with left"] = f"{part['cosine'].mean():.3f}"
            rows.append(row)
    return pd.DataFrame(rows)


def across_table(found: list[Record]) -> pd.DataFrame:
    """Learnt on the row's corpus, tested on the column's: mean over seeds; each model its own rows."""
    records = of_kind(found, AcrossTrial)
    targets = sorted({r.trial["target"] for r in records})
    rows = []
    for encoder in measured_encoders(records):
        for corpus in measured_corpora(records):
            row: dict[str, Any] = {"backbone": title_of(encoder), "learnt on": corpus_title(corpus)}
            for target in targets:
                group = of_kind(records, AcrossTrial, encoder=encoder, corpus=corpus, target=target)
                text = "–"
                if group:
                    m = group[0].metrics
                    text = f"{np.mean([r.metrics['f1'] for r in group]):.1f} ({len(m['classes'])} classes, constant {m['constant_f1']:.1f})"
                row[f"tested on {corpus_title(target)}"] = text
            if set(row.values()) - {row["backbone"], row["learnt on"], "–"}:
                rows.append(row)
    return pd.DataFrame(rows)


def leads_table(found: list[Record]) -> pd.DataFrame:
    """On each corpus the model with the Linear head that is best on validation files over the next, paired over test files, beside the
    paper's best of all heads."""
    rows = []
    for corpus in measured_corpora(found):
        models = [e for e in measured_encoders(found) if e not in CONTROLS]
        cells = {e: records for e in models if (records := cell(found, corpus, e, head="linear"))}
        if len(cells) > 1:
            on_validation = {e: np.mean([r.metrics["valid_f1"] for r in records]) for e, records in cells.items()}
            best, following = sorted(cells, key=lambda e: -on_validation[e])[:2]
            row = {"corpus": corpus_title(corpus), "best on validation files": title_of(best), "next": title_of(following)}
            over_next = difference_on(cells[best], cells[following])
            row["lead on test files"] = points(over_next) if over_next else "–"
            row |= {"best, as printed": "–", "its lead in deviations": "–"}
            if corpus_title(corpus) in published.read(SLUG, "table3")["dataset"].tolist():
                name, lead = lead_in_deviations(corpus_title(corpus))
                row |= {"best, as printed": name, "its lead in deviations": f"{lead:.1f}"}
            rows.append(row)
    return pd.DataFrame(rows)


def speakers_needed(found: list[Record], power: float = 0.8, level: float = 0.05) -> pd.DataFrame:
    """Pairs of models, controls left out, each speaker tested once: the difference by speaker, what a paired t test says of it, and how
    many speakers such a test of one pair alone would need, with this power; p values after Holm, over all pairs of a corpus."""
    rows = []
    for corpus in measured_corpora(found):
        models = [e for e in measured_encoders(found) if e not in CONTROLS]
        by_encoder = {e: _accuracy_by_speaker(cell(found, corpus, e, head="linear", protocol="loso")) for e in models}
        there = [e for e, series in by_encoder.items() if len(series)]
        gaps = {(a, b): 100 * (by_encoder[a] - by_encoder[b]) for i, a in enumerate(there) for b in there[i + 1 :]}
        p = _holm([float(stats.ttest_1samp(gap, 0.0).pvalue) if gap.std() else float(not gap.any()) for gap in gaps.values()])
        for ((one, other), gap), value in zip(gaps.items(), p, strict=True):
            rows.append(
                {
                    "corpus": corpus_title(corpus),
                    "models": f"{title_of(one)} over {title_of(other)}",
                    "difference, points of accuracy": f"{gap.mean():+.1f} ± {gap.std(ddof=1):.1f}",
                    "speakers": len(gap),
                    "speakers needed": _needed(gap.mean(), gap.std(ddof=1), power, level),
                    "p (paired t, Holm)": f"{value:.2g}",
                }
            )
    return pd.DataFrame(rows)


def _needed(mean: float, deviation: float, power: float, level: float) -> str:
    """Speakers for a paired t test of this power, were mean and deviation the true ones."""
    if not mean or not np.isfinite(deviation):
        return "no number would do"
    for n in range(LEAST_SPEAKERS, MOST_SPEAKERS):
        bound = stats.t.ppf(1 - level / 2, n - 1)
        if not deviation or 1 - stats.nct.cdf(bound, n - 1, abs(mean) / deviation * np.sqrt(n)) >= power:
            return str(n)
    return f"over {MOST_SPEAKERS}"


def _holm(p: list[float]) -> list[float]:
    """Holm's adjusted p values, in their order."""
    out, highest = [0.0] * len(p), 0.0
    for rank, i in enumerate(np.argsort(p)):
        highest = max(highest, min(1.0, (len(p) - rank) * p[i]))
        out[i] = highest
    return out


def _accuracy_by_speaker(records: list[Record]) -> pd.Series:
    if not records:
        return pd.Series(dtype=float)
    items = pd.concat([r.items() for r in records])
    return (items["predicted"] == items["emotion"]).groupby(items["speaker"]).mean()
