"""Tables of the chapter on speech models: from records to frames shaped like the paper's, with intervals."""

from functools import cache
from itertools import combinations
from typing import Any

import numpy as np
import pandas as pd

from .. import published
from ..baseline import BaselineSettings
from ..corpora import cards, emotions, registry
from ..models import ast, encoders
from ..models.probes import HEADS, WIDTH
from ..probing import ProbeSettings
from ..records import Record
from .common import of_kind
from .speech_models_cells import (
    CORPUS_TITLES,
    NETWORKS,
    TITLES,
    cell,
    cell_of_run,
    constant,
    corpus_title,
    f1_draws,
    heads_of,
    interval_of,
    mean_sd,
    measured_corpora,
    measured_encoders,
    papers_corpora,
    probes_like,
    title_of,
)
from .speech_models_trials import CardTrial

SLUG = "speech_models"
ROUNDING = 0.01  # of printed means of printed numbers with two places


def printed_cell(name: str, **where: str | None) -> str:
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
    of_now = papers_corpora(now) or measured_corpora(now)  # one mean is never of the paper's and other data
    this_run = _this_run(now, of_now)
    for encoder in dict.fromkeys((*measured_encoders(found), *measured_encoders(now), *TITLES)):  # what is not here comes last
        if encoder in NETWORKS:
            continue
        for head, name in heads_of(encoder).items():
            row = {"backbone": title_of(encoder), "head": name}
            row["paper, 9 corpora"] = printed_cell("table2", backbone=twin(encoder), head=name)
            here = {c: records for c in of_now if (records := cell_of_run(now, c, encoder, head))}
            run = f"{_mean_over_corpora(here)} ({', '.join(corpus_title(c) for c in here)})" if here else "–"
            cells = {c: records for c in papers_corpora(found) if (records := cell(found, c, encoder, head=head))}
            if cells:
                row["published run"] = _mean_over_corpora(cells)
                row["95 % interval"] = "{1:.1f} to {2:.1f}".format(*interval_of(np.mean([f1_draws(r) for r in cells.values()], axis=0)))
                row[this_run] = run
                row["constant answer"] = constant(*cells.values())
                row["corpora"] = ", ".join(corpus_title(c) for c in cells)
                row["model"] = next(iter(cells.values()))[0].model_status
            else:
                row |= {"published run": "not available", "95 % interval": "", this_run: run, "constant answer": ""}
                row |= {"corpora": _what_is_missing(encoder), "model": ""}
            rows.append(row)
    return pd.DataFrame(rows)


def _this_run(now: list[Record], corpora: list[str] | None = None) -> str:
    """The header of this run's column, with what it was made on where that is not the paper's data; of all corpora, or of those named."""
    statuses = {r.data_status for r in now if corpora is None or r.trial.get("corpus") in corpora}
    return "this run" if statuses <= {"paper"} else f"this run ({' and '.join(sorted(statuses))} data)"


def _mean_over_corpora(cells: dict[str, list[Record]]) -> str:
    """Mean over corpora, ± deviation over the seeds that all of them have; "–" where there is no such seed."""
    by_seed = pd.DataFrame({c: {r.trial["seed"]: r.metrics["f1"] for r in records} for c, records in cells.items()}).dropna()
    return mean_sd(by_seed.mean(axis=1).tolist()) if len(by_seed) else "–"


def _what_is_missing(encoder: str) -> str:
    return "not run yet: sqa run speech_models --profile paper" if encoders.available(encoder) else encoders.not_here(encoder)


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
                        "paper": printed_cell("table3", dataset=corpus_title(corpus), backbone=twin(model), head=name),
                        "published run": mean_sd([r.metrics["f1"] for r in records]) if records else "–",
                        "95 % interval": f"{interval.low:.1f} to {interval.high:.1f}" if interval else "–",
                        _this_run(now): mean_sd([r.metrics["f1"] for r in here]) if here else "–",
                        "constant answer": constant([told]),
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


def twin(model: str) -> str | None:
    """What the paper calls the model that ours is nearest to; None where it has none."""
    name = TWINS.get(model, model)
    return (TITLES | {"ast": "AST"}).get(name)


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


def printed_twin(corpus: str, encoder: str, head: str = "Linear") -> float:
    """The paper's number for a corpus and the model that ours is nearest to; NaN where it has none."""
    table = published.read(SLUG, "table3").set_index(["dataset", "backbone", "head"])["mean"]
    return float(table.get((corpus_title(corpus), twin(encoder), head), np.nan))


def layer_weights(found: list[Record], head: str = "multi-layer", **wanted: Any) -> pd.DataFrame:
    """Learnt weights: a row a corpus, encoder, seed and layer."""
    rows = [
        {"corpus": r.trial["corpus"], "encoder": r.trial["encoder"], "seed": r.trial["seed"], "layer": i, "weight": w}
        for r in probes_like(found, head=head, **wanted)
        for i, w in enumerate(r.metrics["layer_weights"], start=1)
    ]
    return pd.DataFrame(rows)


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


def lead_in_deviations(dataset: str) -> tuple[str, float]:
    """The paper's best model on a corpus, and how far it leads the next, in the larger of their printed deviations."""
    three = published.read(SLUG, "table3")
    best, following = (r for _, r in three[three["dataset"] == dataset].nlargest(2, "mean").iterrows())
    return str(best["backbone"]), float((best["mean"] - following["mean"]) / max(best["std"], following["std"]))


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
