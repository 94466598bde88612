"""Tables of the chapter on speech models: from records to frames shaped like the paper's, with intervals."""

from functools import cache
from itertools import combinations
from typing import Any

import numpy as np
import pandas as pd
from scipy import stats

from .. import published
from ..baseline import BaselineSettings
from ..corpora import cards, emotions, registry
from ..metrics import Interval, macro_f1
from ..models import ast, encoders
from ..models.probes import HEADS, WIDTH
from ..probing import ProbeSettings
from ..records import Record
from .common import of_kind
from .speech_models_cells import (
    CONTROLS,
    CORPUS_TITLES,
    NETWORKS,
    SEEDS,
    TITLES,
    cell,
    cell_of_run,
    corpus_title,
    difference,
    difference_on,
    f1_draws,
    heads_of,
    interval_of,
    measured_corpora,
    measured_encoders,
    papers_corpora,
    probes_like,
    title_of,
)
from .speech_models_trials import AcrossTrial, CardTrial, ChannelsTrial, LayersTrial, WaysTrial

SLUG = "speech_models"
ROUNDING = 0.01  # of printed means of printed numbers with two places
LEAST_SPEAKERS = 2  # for a t test
MOVED = 1.25  # times the equal weight: what the largest of a model's layer weights must reach to tell anything
LEAST_RANKED = 6  # layers; of fewer, a rank correlation tells little
MOST_SPEAKERS = 1000


def _mean_sd(values: list[float]) -> str:
    """Over seeds; how many they are is said where they are fewer than the chapter asks for."""
    text = f"{np.mean(values):.1f} ± {np.std(values, ddof=1):.1f}" if len(values) > 1 else f"{values[0]:.1f}"
    return text if len(values) >= SEEDS else f"{text} ({len(values)} of {SEEDS} seeds)"


def _printed(name: str, **where: str | None) -> str:
    """A cell of one of the paper's tables."""
    table = published.read(SLUG, name)
    row = table[np.logical_and.reduce([table[column] == value for column, value in where.items()])]
    return f"{row['mean'].iloc[0]:.2f} ± {row['std'].iloc[0]:.2f}" if len(row) else "–"


def table1(found: list[Record]) -> pd.DataFrame:
    """The paper's corpora: as printed, as their owners describe them, in our published run, and on this machine."""
    cards_of = _cards(found)
    printed = published.read(SLUG, "table1").set_index("dataset")
    rows = []
    for name, title in CORPUS_TITLES.items():
        known = emotions.CORPORA[name]
        row: dict[str, Any] = {"corpus": title, "language": known.language}
        row["files printed"] = int(printed.loc[title, "samples"]) if title in printed.index else "not in the paper"
        row["classes printed"] = int(printed.loc[title, "n_emotions"]) if title in printed.index else ""
        row |= {
            "files its owners give": known.files,
            "speakers": known.speakers,
            "classes": "" if known.total else len(known.expected),
        }
        card = cards_of.get(name)
        row["published run"] = f"{card['files']} files, {card['speakers']} speakers, {card['emotions']} classes" if card else "–"
        row["this run"] = "not here"
        if registry.find(name):
            table = registry.load(name).table
            row["this run"] = f"{len(table)} files, {table['speaker'].nunique()} speakers, {table['emotion'].nunique()} classes"
        rows.append(row)
    return pd.DataFrame(rows)


def table2(found: list[Record], now: list[Record]) -> pd.DataFrame:
    """Backbones × heads: the paper's means over nine corpora; ours, published and of this run, over the corpora measured in each,
    mean ± deviation over seeds."""
    rows = []
    for encoder in dict.fromkeys((*measured_encoders(found), *measured_encoders(now), *TITLES)):  # what is not here comes last
        if encoder in NETWORKS:
            continue
        for head, name in heads_of(encoder).items():
            row = {"backbone": title_of(encoder), "head": name}
            row["paper, 9 corpora"] = _printed("table2", backbone=_twin(encoder), head=name)
            of_now = papers_corpora(now) or measured_corpora(now)  # one mean is never of the paper's and other data
            here = {c: records for c in of_now if (records := cell_of_run(now, c, encoder, head))}
            run = f"{_mean_over_corpora(here)} ({', '.join(corpus_title(c) for c in here)})" if here else "–"
            cells = {c: records for c in papers_corpora(found) if (records := cell(found, c, encoder, head=head))}
            if cells:
                row["published run"] = _mean_over_corpora(cells)
                row["95 % interval"] = "{1:.1f} to {2:.1f}".format(*interval_of(np.mean([f1_draws(r) for r in cells.values()], axis=0)))
                row[_this_run(now)] = run
                row["constant answer"] = _constant(*cells.values())
                row["corpora"] = ", ".join(corpus_title(c) for c in cells)
                row["model"] = next(iter(cells.values()))[0].model_status
            else:
                row |= {"published run": "not available", "95 % interval": "", _this_run(now): run, "constant answer": ""}
                row |= {"corpora": _what_is_missing(encoder), "model": ""}
            rows.append(row)
    return pd.DataFrame(rows)


def _this_run(now: list[Record]) -> str:
    """The header of this run's column, with what it was made on where that is not the paper's data."""
    statuses = {r.data_status for r in now}
    return "this run" if statuses <= {"paper"} else f"this run ({' and '.join(sorted(statuses))} data)"


def _constant(*cells: list[Record]) -> str:
    """Macro F1 of a constant answer, mean over cells."""
    return f"{np.mean([records[0].metrics['constant_f1'] for records in cells]):.1f}"


def _mean_over_corpora(cells: dict[str, list[Record]]) -> str:
    """Mean over corpora, ± deviation over the seeds that all of them have; "–" where there is no such seed."""
    by_seed = pd.DataFrame({c: {r.trial["seed"]: r.metrics["f1"] for r in records} for c, records in cells.items()}).dropna()
    return _mean_sd(by_seed.mean(axis=1).tolist()) if len(by_seed) else "–"


def _what_is_missing(encoder: str) -> str:
    return "not run yet: sqa run speech_models --profile paper" if encoders.available(encoder) else f"sqa data fetch {encoder}"


def table3(found: list[Record], now: list[Record]) -> pd.DataFrame:
    """Corpora × models with each head: paper, published run with its interval, this run, a constant answer, test files."""
    rows = []
    for corpus in dict.fromkeys((*measured_corpora(found), *measured_corpora(now))):
        for model in dict.fromkeys((*measured_encoders(found), *measured_encoders(now))):
            for head, name in heads_of(model).items():
                records, here = cell(found, corpus, model, head=head), cell_of_run(now, corpus, model, head)
                if not records and not here:
                    continue
                interval = interval_of(f1_draws(records)) if records else None
                told = (records or here)[0]
                rows.append(
                    {
                        "corpus": corpus_title(corpus),
                        "backbone": title_of(model),
                        "head": name,
                        "paper": _printed("table3", dataset=corpus_title(corpus), backbone=_twin(model), head=name),
                        "published run": _mean_sd([r.metrics["f1"] for r in records]) if records else "–",
                        "95 % interval": f"{interval.low:.1f} to {interval.high:.1f}" if interval else "–",
                        _this_run(now): _mean_sd([r.metrics["f1"] for r in here]) if here else "–",
                        "constant answer": _constant([told]),
                        "test files": told.metrics["tested"],
                        "data": told.data_status,
                        "model": told.model_status,
                    }
                )
    return pd.DataFrame(rows)


def run_table(found: list[Record]) -> pd.DataFrame:
    """One run alone, a row a corpus, model and head: what of Table 3 it has."""
    table = table3([], found)
    return table.drop(columns=["paper", "published run", "95 % interval"], errors="ignore").rename(columns={_this_run(found): "macro F1"})


TWINS = {"whisper-small-int8": "whisper-small", "ast-small": "ast"}


def _twin(model: str) -> str | None:
    """What the paper calls the model that ours is nearest to; None where it has none."""
    name = TWINS.get(model, model)
    return (TITLES | {"ast": "AST"}).get(name)


def splits_table(found: list[Record], head: str = "linear") -> pd.DataFrame:
    """The same head by three ways to split: whole speakers, each speaker once, and plainly, with what each mixes."""
    rows = []
    for corpus in measured_corpora(found):
        for encoder in measured_encoders(found):
            row = {"corpus": corpus_title(corpus), "backbone": title_of(encoder)}
            for protocol, name in (("speaker", "one split by speaker"), ("loso", "each speaker once"), ("stratified", "plain split")):
                records = cell(found, corpus, encoder, head=head, protocol=protocol)
                row[name] = f"{_mean_sd([r.metrics['f1'] for r in records])}, constant {_constant(records)}" if records else "–"
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
                row["paper"] = _printed("table3", dataset=corpus_title(corpus), backbone=_twin(encoder), head="Linear")
                row |= {"one split": _mean_sd([r.metrics["f1"] for r in one]), "constant answer there": _constant(one)}
                row["tested there"] = ", ".join(sorted(one[0].items()["speaker"].unique()))
                row["each speaker tested unheard"] = ", ".join(f"{name}: {value:.1f}" for name, value in f1.items())
                rows.append(row)
    return pd.DataFrame(rows)


def owners_cards() -> dict[str, dict[str, str]]:
    """What the corpora's owners and those who read them say, by corpus: whose it is, how to get it, what is known to be wrong."""
    return {
        f"{corpus_title(name)}, {corpus.title.split(', ', 1)[1]}": {
            "whose": corpus.citation,
            "licence": corpus.licence,
            "from": corpus.get,
            "names": f"read after {corpus.source}" + ("" if corpus.seen else "; not seen on a real copy"),
            "known": "; ".join(corpus.notes) or "nothing",
        }
        for name, corpus in emotions.CORPORA.items()
    }


def ways(found: list[Record]) -> pd.DataFrame:
    """Macro F1 of each way to keep speakers apart, mean over seeds: a row a corpus, model, absent speaker (or none), tested speaker and
    the one who chooses the epoch."""
    names = ["corpus", "encoder", "absent", "tested", "chooses"]
    parts = [r.items().assign(corpus=r.trial["corpus"], encoder=r.trial["encoder"]) for r in of_kind(found, WaysTrial)]
    return pd.concat(parts).groupby(names, as_index=False)["f1"].mean() if parts else pd.DataFrame(columns=[*names, "f1"])


def printed_twin(corpus: str, encoder: str, head: str = "Linear") -> float:
    """The paper's number for a corpus and the model that ours is nearest to; NaN where it has none."""
    table = published.read(SLUG, "table3").set_index(["dataset", "backbone", "head"])["mean"]
    return float(table.get((corpus_title(corpus), _twin(encoder), head), np.nan))


def ways_table(found: list[Record]) -> pd.DataFrame:
    """How far the ways to keep the same speakers apart lie from each other, and how many give no more than the paper prints."""
    rows = []
    table = ways(found)
    table["version"] = np.where(table["absent"] == "", "all speakers", "each speaker left out in turn")
    for (corpus, encoder, version), part in table.groupby(["corpus", "encoder", "version"]):
        paper = printed_twin(corpus, encoder)
        row = {"corpus": corpus_title(corpus), "backbone": title_of(encoder), "speakers": version, "ways": len(part)}
        quartiles = part["f1"].quantile([0, 0.25, 0.5, 0.75, 1])
        row |= {n: f"{q:.1f}" for n, q in zip(("lowest", "first quarter", "median", "third quarter", "highest"), quartiles, strict=True)}
        row |= {"paper": f"{paper:.2f}", "ways up to the paper's number": int((part["f1"] <= paper).sum())}
        row["who is tested there"] = ", ".join(sorted(part.loc[part["f1"] <= paper, "tested"].unique())) or "–"
        rows.append(row)
    return pd.DataFrame(rows)


def layer_weights(found: list[Record], head: str = "multi-layer", **wanted: Any) -> pd.DataFrame:
    """Learnt weights: a row a corpus, encoder, seed and layer."""
    rows = [
        {"corpus": r.trial["corpus"], "encoder": r.trial["encoder"], "seed": r.trial["seed"], "layer": i, "weight": w}
        for r in probes_like(found, head=head, **wanted)
        for i, w in enumerate(r.metrics["layer_weights"], start=1)
    ]
    return pd.DataFrame(rows)


def weights_moved(found: list[Record]) -> pd.Series:
    """Whether the largest weight of Multi-Layer, mean over seeds, has left where it started: by corpus and encoder."""
    table = layer_weights(found)
    if table.empty:
        return pd.Series(dtype=bool)
    mean = table.groupby(["corpus", "encoder", "layer"])["weight"].mean().groupby(["corpus", "encoder"])
    return mean.max() > MOVED / mean.size()


def split_facts(found: list[Record], protocol: str = "speaker") -> pd.DataFrame:
    """What our splits reached, from the records of corpora."""
    parts = [r.items().assign(corpus=corpus_title(r.trial["corpus"])) for r in corpus_records(found)]
    if not parts:
        return pd.DataFrame()
    table = pd.concat(parts, ignore_index=True)
    table = table[table["protocol"] == protocol].drop(columns=["fold", "protocol"])
    shares = [c for c in table if c.startswith("share")]
    table[shares] = (100 * table[shares]).round().astype("Int64").astype(str).replace("<NA>", "not told") + " %"
    return table[["corpus", *(c for c in table if c != "corpus")]].replace("not told %", "not told")


def corpus_records(found: list[Record]) -> list[Record]:
    return sorted(of_kind(found, CardTrial), key=lambda r: list(emotions.CORPORA).index(r.trial["corpus"]))


def glance(found: list[Record], encoder: str = "whisper-small-int8") -> pd.DataFrame:
    """One row a corpus and head: ours with its interval, the paper's number for the twin, the constant answer."""
    rows = []
    for corpus in measured_corpora(found):
        for head, name in HEADS.items():
            records = cell(found, corpus, encoder, head=head)
            if records:
                row = {"corpus": corpus_title(corpus), "head": name, **interval_of(f1_draws(records))._asdict()}
                rows.append(row | {"paper": printed_twin(corpus, encoder, name), "constant": records[0].metrics["constant_f1"]})
    return pd.DataFrame(rows)


def cards_table(found: list[Record]) -> pd.DataFrame:
    """Cards of the corpora of a run, side by side."""
    return cards.table_of({corpus_title(c): facts for c, facts in _cards(found).items()})


def _cards(found: list[Record]) -> dict[str, dict[str, Any]]:
    """Facts of each corpus of a run."""
    return {r.trial["corpus"]: dict(r.metrics["facts"]) for r in corpus_records(found)}


def confusions(found: list[Record]) -> dict[str, tuple[list[str], list[str]]]:
    """True and predicted emotions of all seeds, by corpus, model and head."""
    out = {}
    for corpus in measured_corpora(found):
        for encoder in measured_encoders(found):
            for head, name in heads_of(encoder).items():
                records = cell(found, corpus, encoder, head=head)
                if records:
                    items = pd.concat([r.items() for r in records])
                    key = f"{corpus_title(corpus)}, {title_of(encoder)}, {name}"
                    out[key] = (items["emotion"].tolist(), items["predicted"].tolist())
    return out


def class_table(found: list[Record]) -> pd.DataFrame:
    """F1 of each class, mean over seeds: a row a corpus, model and head."""
    rows = []
    for corpus in measured_corpora(found):
        for encoder in measured_encoders(found):
            for head, name in heads_of(encoder).items():
                records = cell(found, corpus, encoder, head=head)
                if records:
                    each = pd.DataFrame([r.metrics["class_f1"] for r in records]).mean().round(1)
                    rows.append({"corpus": corpus_title(corpus), "backbone": title_of(encoder), "head": name} | each.to_dict())
    return pd.DataFrame(rows).fillna("")


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

    They start equal. A step of Adam is at most its learning rate where 1 - beta1 <= sqrt(1 - beta2), as here (Kingma and Ba 2015,
    section 2.1), so a logit ends within updates times rate of 0, and a weight below what it has where its own logit is as high and all
    others as low as they can be.
    """
    assert 1 - settings.betas[0] <= np.sqrt(1 - settings.betas[1])
    rows = []
    for row in published.read(SLUG, "table1").itertuples():
        updates = settings.epochs * int(np.ceil(0.8 * row.samples / settings.batch_size))
        reach = updates * settings.learning_rate
        found = {"corpus": row.dataset, "files printed": row.samples, "updates": updates, "a logit moves at most": round(reach, 2)}
        for layers in (12, 24):
            found[f"largest weight of {layers}"] = round(largest_weight(reach, layers), 3)
            found[f"equal weights of {layers}"] = round(1 / layers, 3)
        rows.append(found)
    return pd.DataFrame(rows)


def largest_weight(reach: float, layers: int) -> float:
    """The most that one of so many softmax weights can be when no logit is further than `reach` from 0."""
    return float(1 / (1 + (layers - 1) * np.exp(-2 * reach)))


@cache
def _subset_misses() -> pd.DataFrame:
    """How far the mean of each subset of five to nine corpora is from Table 2: a row a subset, a column a backbone."""
    gaps, three = published.read(SLUG, "table2_vs_table3"), published.read(SLUG, "table3")
    wanted = gaps[gaps["difference"].notna()].set_index("backbone")["table2_mean"]
    cells = three.pivot(index="dataset", columns="backbone", values="mean")[list(wanted.index)]
    subsets = [s for size in range(5, len(cells) + 1) for s in combinations(cells.index, size)]
    return pd.DataFrame([(cells.loc[list(s)].mean() - wanted).abs() for s in subsets], index=[", ".join(s) for s in subsets])


def count_subsets() -> int:
    return len(_subset_misses())


def subsets_that_fit_all() -> int:
    """How many subsets of corpora bring all of Table 2's means out of Table 3, within rounding."""
    return int((_subset_misses() <= ROUNDING).all(axis=1).sum())


def table2_against_table3() -> pd.DataFrame:
    """For each column of Table 3: its mean, Table 2's, and the subset of five to nine corpora whose mean comes nearest."""
    gaps = published.read(SLUG, "table2_vs_table3")
    misses = _subset_misses()
    rows = [
        {
            "backbone": gap.backbone,
            "head": gap.head,
            "Table 2": gap.table2_mean,
            "mean of Table 3": gap.mean_of_table3_column,
            "difference": gap.difference,
            "nearest subset of corpora": misses[gap.backbone].idxmin(),
            "misses by": round(misses[gap.backbone].min(), 3),
            "within rounding": "yes" if misses[gap.backbone].min() <= ROUNDING else "no",
        }
        for gap in gaps[gaps["difference"].notna()].itertuples()
    ]
    return pd.DataFrame(rows)


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


def points(interval: Interval) -> str:
    return f"{interval.value:+.1f} points [{interval.low:+.1f}, {interval.high:+.1f}]"


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
            row["constant answer"] = _constant(*(by_head["linear"] for by_head in whole.values()))
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
                row[f"{channel}: accuracy, %"] = _mean_sd(accuracy.tolist())
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


def lead_in_deviations(dataset: str) -> tuple[str, float]:
    """The paper's best model on a corpus, and how far it leads the next, in the larger of their printed deviations."""
    three = published.read(SLUG, "table3")
    best, following = (r for _, r in three[three["dataset"] == dataset].nlargest(2, "mean").iterrows())
    return str(best["backbone"]), float((best["mean"] - following["mean"]) / max(best["std"], following["std"]))


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
            row["lead on test files"] = points(difference_on(cells[best], cells[following]))
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


def choices_made() -> pd.DataFrame:
    """What the paper states and peft-ser has, beside what is done here."""
    s = ProbeSettings("linear")
    here = {
        "epochs": s.epochs,
        "optimiser": "Adam",
        "learning rate": s.learning_rate,
        "weight decay": s.weight_decay,
        "beta 1": s.betas[0],
        "beta 2": s.betas[1],
        "epsilon": 1e-8,
        "projection size m": WIDTH,
        "runs": "5 seeds on one split",
        "input rate": f"{encoders.RATE // 1000} kHz",
        "train/validation/test": "whole speakers, as near as they allow",
        "metric": "macro F1 in percent",
        "batch size": s.batch_size,
        "learning-rate schedule": "the same" if s.schedule == "plateau" else "none",
        "loss": "the same" if s.class_weights else "cross-entropy",
        "model kept": "epoch of best validation macro F1",
        "head dropout": s.dropout,
        "longest audio": "whole sounds (Whisper: 30 s)",
        "train augmentation": "none: it changes the sound, and the features are made once; its effect stands below",
        "seed": "0 to 4",
        "layer weights": "the same",
        "checkpoints": ", ".join(encoders.PAPER.values()),
    }
    table = published.read(SLUG, "hyperparameters")
    return table.assign(here=table["item"].map(here).fillna("–").astype(str))[["item", "value", "stated_in_paper", "here", "source"]]


def baseline_choices() -> pd.DataFrame:
    """AST's recipe for ESC-50 (its code, egs/esc50) beside the small network of the published run."""
    layout, settings = ast.LAYOUTS["ast-small"], BaselineSettings("ast-small")
    seconds = settings.frames * 160 / ast.RATE
    rows = [
        ("width, blocks, heads", "768, 12, 12", f"{layout.width}, {layout.blocks}, {layout.heads}"),
        ("patches", "16 × 16, every 10 bands and frames", f"16 × 16, every {layout.stride}"),
        ("sounds", "5.12 s, cut or filled with zeros", f"{seconds:g} s, the same"),
        ("bands", "128 of Kaldi", f"{ast.BANDS}, the same"),
        ("weights at the start", "of ImageNet, or of ImageNet and AudioSet", "random, as the paper on speech models asks"),
        ("optimiser", "Adam, betas 0.95 and 0.999, weight decay 5e-7", f"Adam, {settings.betas[0]:g} and {settings.betas[1]:g}, {settings.weight_decay:g}"),
        ("learning rate", "1e-4 (1e-5 with AudioSet's weights), times 0.85 each epoch from the sixth on", f"{settings.learning_rate:g}, times {settings.decay:g}"),
        ("epochs, batch", "25, 48", f"{settings.epochs}, {settings.batch_size}"),
        ("masks", "up to 24 bands and 96 frames", f"up to {settings.masked_bands} and {settings.masked_frames}"),
        ("classes weighted, epoch kept", "no, best on the test fold", "yes, best on validation files, as the heads"),
    ]  # fmt: skip
    return pd.DataFrame(rows, columns=["item", "AST's recipe", "here"])


def _accuracy_by_speaker(records: list[Record]) -> pd.Series:
    if not records:
        return pd.Series(dtype=float)
    items = pd.concat([r.items() for r in records])
    return (items["predicted"] == items["emotion"]).groupby(items["speaker"]).mean()
