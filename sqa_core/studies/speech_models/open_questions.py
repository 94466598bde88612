"""The chapter's questions beyond the paper: splits and speakers, layers, other choices, leads against noise."""

from typing import Any

import numpy as np
import pandas as pd
from scipy import stats

from ...corpora.emotion import catalogue
from ...learning.probes import ProbeSettings
from ...metrics import Draws, bias_corrected
from ...results import frame, published
from .plan import ASTS, CONTROLS, SLUG, USUAL
from .selection import Run, difference, difference_on, f1_draws, majority, mean_and_sd_of, title_of
from .tables import layer_weights, lead_in_sds, printed_twin

MOVED = 1.25  # times the equal weight: below it, the largest weight is within what 30 epochs on a small corpus can do by chance
MIN_RANKED = 6  # layers; over fewer, a rank correlation says little
ASSIGNED = "whisper-small-int8"  # the encoder of the speaker assignments


def speaker_assignments(run: Run, encoder: str = ASSIGNED) -> pd.DataFrame:
    """Macro F1 of each assignment of speakers to test and validation, mean over seeds: one row per corpus, absent speaker ("" for none), test
    speaker (`tested`) and validation speaker (`chooses`)."""
    names = ["corpus", "absent", "tested", "chooses"]
    parts = [r.items().assign(corpus=r.trial["corpus"]) for r in frame.records(run.frame, "ways", encoder=encoder)]
    return pd.concat(parts).groupby(names, as_index=False)["f1"].mean() if parts else pd.DataFrame(columns=[*names, "f1"])


def speaker_assignments_table(run: Run, encoder: str = ASSIGNED) -> pd.DataFrame:
    """The range over all assignments of the same speakers, and how many score no more than the paper prints."""
    rows = []
    table = speaker_assignments(run, encoder)
    table["version"] = np.where(table["absent"] == "", "all speakers", "each speaker left out in turn")
    for (corpus, version), part in table.groupby(["corpus", "version"]):
        paper = printed_twin(corpus, encoder)
        row = {"corpus": catalogue.title(corpus), "model": title_of(encoder), "speakers": version, "assignments": len(part)}
        quartiles = part["f1"].quantile([0, 0.25, 0.5, 0.75, 1])
        row |= dict(zip(("lowest", "1st quartile", "median", "3rd quartile", "highest"), quartiles, strict=True))
        below = part[part["f1"] <= paper]
        row |= {"paper": paper, "at or below the paper": len(below) if np.isfinite(paper) else np.nan}
        rows.append(row | {"test speakers of those": ", ".join(sorted(below["tested"].unique()))})
    return pd.DataFrame(rows)


def weights_moved(run: Run) -> pd.Series:
    """Whether the largest weight of Multi-Layer, mean over seeds, has left its initial value: by corpus and encoder."""
    table = layer_weights(run)
    if table.empty:
        return pd.Series(dtype=bool)
    mean = table.groupby(["corpus", "encoder", "layer"])["weight"].mean().groupby(["corpus", "encoder"])
    return mean.max() > MOVED / mean.size()


def layer_probes(run: Run) -> pd.DataFrame:
    """F1 of a Linear head on each layer: one row per corpus, encoder, seed and layer."""
    names = ("corpus", "encoder", "seed")
    parts = {tuple(r.trial[n] for n in names): r.items() for r in frame.records(run.frame, "layers")}
    if not parts:
        return pd.DataFrame(columns=[*names, "layer", "f1", "valid_f1"])
    return pd.concat(parts, names=names).reset_index(level=list(range(len(names)))).reset_index(drop=True)


def layers_of_cells(run: Run) -> dict[str, tuple[pd.DataFrame, pd.DataFrame]]:
    """Trained weights and probes of each layer, by corpus and model, where there are any."""
    weights, probes = layer_weights(run), layer_probes(run)
    out = {}
    for corpus in run.corpora:
        for encoder in run.models:
            pair = tuple(t[(t["corpus"] == corpus) & (t["encoder"] == encoder)] for t in (weights, probes))
            if len(pair[0]) or len(pair[1]):
                out[f"{catalogue.title(corpus)}, {title_of(encoder)}"] = pair
    return out  # type: ignore[return-value]


def layers_table(run: Run) -> pd.DataFrame:
    """Best layer by probes, the layer of the largest weight, and the rank correlation of the two: one row per corpus and model. The layer of the
    largest weight is NaN if the weights have hardly moved."""
    variants: dict[str, tuple[str, dict[str, Any]]] = {
        "weights": ("multi-layer", {}),
        "weights, Linear on the sum": ("weighted-linear", {}),
        "the same, layers normalised": ("weighted-linear", {"normalise_layers": True}),
        "normalised, ten times the learning rate": ("weighted-linear", {"normalise_layers": True, "learning_rate": 5e-3}),
    }
    weights_of = {label: layer_weights(run, head, **choices) for label, (head, choices) in variants.items()}
    rows = []
    for name, (_, probes) in layers_of_cells(run).items():
        if not len(probes):
            continue
        f1 = probes.groupby("layer")["f1"].mean()
        corpus, encoder = probes[["corpus", "encoder"]].iloc[0]
        chosen = int(probes.groupby("layer")["valid_f1"].mean().idxmax())
        row = {"corpus and model": name, "best layer (validation)": chosen, "its F1": f1[chosen]}
        row |= {"last layer's F1": f1.iloc[-1], "layers": len(f1)}
        for label, table in weights_of.items():
            mean = table[(table["corpus"] == corpus) & (table["encoder"] == encoder)].groupby("layer")["weight"].mean()
            moved = len(mean) and mean.max() > MOVED / len(mean)
            row[f"{label}: layer of largest weight"] = mean.idxmax() if moved else np.nan
            row[f"{label}: rank correlation with F1"] = stats.spearmanr(mean, f1).statistic if moved and len(mean) >= MIN_RANKED else np.nan
        rows.append(row)
    return pd.DataFrame(rows).dropna(axis=1, how="all")


def reach_of_weights(settings: ProbeSettings | None = None) -> pd.DataFrame:
    """How far the layer weights of Multi-Layer can move in all of its training, on each of the paper's corpora at its printed size.

    They start equal. After n updates a logit is within n times `largest_step` of 0, whatever the gradients, and a weight is bounded by the
    case that its own logit is that high and all others are that low.
    """
    settings = settings or USUAL
    rows = []
    for row in published.read(SLUG, "table1").itertuples():
        updates = settings.epochs * int(np.ceil(0.8 * row.samples / settings.batch_size))
        reach = updates * largest_step(settings)
        found = {"corpus": row.dataset, "files printed": row.samples, "updates": updates, "upper bound on logit change": reach}
        for layers in (12, 24):
            found[f"largest weight of {layers}"] = largest_weight(reach, layers)
            found[f"equal weights of {layers}"] = 1 / layers
        rows.append(found)
    return pd.DataFrame(rows)


def largest_step(settings: ProbeSettings) -> float:
    """The most that one update of Adam can change a parameter: its first moment over the root of its second is at most
    (1 - b1) / sqrt((1 - b2) (1 - b1² / b2)), by the Cauchy-Schwarz inequality."""
    b1, b2 = settings.betas
    return settings.learning_rate * (1 - b1) / np.sqrt((1 - b2) * (1 - b1**2 / b2))


def largest_weight(reach: float, layers: int) -> float:
    """The largest possible softmax weight of one layer when no logit is further than `reach` from 0."""
    return float(1 / (1 + (layers - 1) * np.exp(-2 * reach)))


OTHER_CHOICES: dict[str, dict[str, Any]] = {
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


def choices_table(run: Run) -> pd.DataFrame:
    """What one other choice changes, in points of macro F1: one row per choice and model; mean over corpora, paired over test files, with a
    bootstrap interval over files."""
    rows = []
    for name, other in OTHER_CHOICES.items():
        for encoder in (m for m in run.models if not ("head" in other and m in ASTS)):  # which have one head, whatever is asked for
            common = {"model": encoder, "head": "linear"}
            changed = difference(run, common | other, common)
            if changed:
                change, corpora = changed
                row = {"other choice": name, "model": title_of(encoder), **change.columns("change")}
                rows.append(row | {"corpora": ", ".join(map(catalogue.title, corpora))})
    return pd.DataFrame(rows)


def two_by_two(run: Run) -> pd.DataFrame:
    """Last layer or a weighted sum, Linear or Non-Linear: one row per encoder and variant; mean over the corpora that have all four, with a
    bootstrap interval over test files."""
    names = {
        "linear": "last layer, Linear",
        "weighted-linear": "weighted sum, Linear",
        "non-linear": "last layer, Non-Linear",
        "multi-layer": "weighted sum, Non-Linear",
    }
    rows = []
    for encoder in (m for m in run.models if m not in ASTS):
        cells = {c: {h: run.cell(c, encoder, h) for h in names} for c in run.papers_corpora}
        complete = {c: by_head for c, by_head in cells.items() if all(by_head.values())}
        for head, name in names.items() if complete else ():
            interval = bias_corrected(Draws.mean([f1_draws(by_head[head]) for by_head in complete.values()]))
            row: dict[str, Any] = {
                "model": title_of(encoder),
                "variant": name,
                "F1": interval.value,
                "low": interval.low,
                "high": interval.high,
            }
            row |= {"majority": majority(*(by_head["linear"] for by_head in complete.values()))}
            rows.append(row | {"corpora": ", ".join(map(catalogue.title, complete))})
    return pd.DataFrame(rows)


def channels_table(run: Run) -> pd.DataFrame:
    """EMOVO's channels: accuracy in percent of a head trained on the left one, and the similarity of the features to the left one's."""
    rows = []
    for encoder in run.models:
        records = frame.records(run.frame, "channels", encoder=encoder)
        if not records:
            continue
        items = pd.concat([r.items().assign(seed=r.trial["seed"]) for r in records])
        for channel, part in items.groupby("channel", sort=False):
            accuracy = mean_and_sd_of((part["emotion"] == part["predicted"]).groupby(part["seed"]).mean() * 100)
            row = {"model": title_of(encoder), "files": records[0].metrics["files"], "channel": channel, "accuracy, %": accuracy["F1"]}
            rows.append(row | {"accuracy, %, SD over seeds": accuracy["F1, SD over seeds"], "cosine with left": part["cosine"].mean()})
    return pd.DataFrame(rows)


def across_table(run: Run) -> pd.DataFrame:
    """Cross-corpus: one row per model, training corpus and test corpus; macro F1, mean over seeds, over the classes that both have."""
    rows = []
    table = frame.select(run.frame, "across")
    for (encoder, corpus, target), part in table.groupby(["encoder", "corpus", "target"]) if len(table) else ():
        records = part["record"].tolist()
        row: dict[str, Any] = {"model": title_of(encoder), "trained on": catalogue.title(corpus), "tested on": catalogue.title(target)}
        row |= {"F1": np.mean([r.metrics["f1"] for r in records]), "classes": len(records[0].metrics["classes"])}
        rows.append(row | {"majority": majority(records)})
    return pd.DataFrame(rows)


def across_of(run: Run, model: str) -> pd.DataFrame:
    """`across_table` of one model, with how far it is above the majority-class baseline."""
    table = across_table(run)
    table = table[table["model"] == title_of(model)]
    return table.assign(**{"F1 over majority": table["F1"] - table["majority"]})


def leads_table(run: Run) -> pd.DataFrame:
    """On each corpus the model with the Linear head that is best on the validation files, and its lead over the runner-up on the test files,
    paired over files, beside the paper's best of all heads."""
    rows = []
    for corpus in run.corpora:
        cells = {e: records for e in run.models if e not in CONTROLS and (records := run.cell(corpus, e, "linear"))}
        cells = {e: records for e, records in cells.items() if "encoder" in records[0].trial}
        if len(cells) > 1:
            on_validation = {e: np.mean([r.metrics["valid_f1"] for r in records]) for e, records in cells.items()}
            best, following = sorted(cells, key=lambda e: -on_validation[e])[:2]
            row: dict[str, Any] = {
                "corpus": catalogue.title(corpus),
                "best on validation": title_of(best),
                "runner-up": title_of(following),
            }
            lead = difference_on(cells[best], cells[following])
            row |= lead.columns("lead on test") if lead else {}
            if catalogue.title(corpus) in published.read(SLUG, "table3")["dataset"].tolist():
                name, sds = lead_in_sds(catalogue.title(corpus))
                row |= {"best in the paper": name, "its lead in SDs": sds}
            rows.append(row)
    return pd.DataFrame(rows)
