"""Tables of the chapter on speech models, shaped like the paper's. Numbers stay numbers; the page decides how they are shown."""

from functools import cache
from itertools import combinations
from typing import Any

import numpy as np
import pandas as pd

from ...corpora import cards
from ...corpora.emotion import catalogue
from ...metrics import Draws, bias_corrected
from ...models import encoder_catalogue, encoders, spectrogram_transformer
from ...models.heads import HEADS, WIDTH
from ...results import frame, published
from ...results.records import Record
from ...spectrogram import AST_BANDS, SPEECH_RATE
from .plan import ASTS, PAPERS_ENCODERS, SEEDS, SLUG, USUAL, USUAL_AST, heads_of
from .selection import (
    HEAD_TITLES,
    Run,
    f1_draws,
    heads_in,
    majority,
    mean_and_sd,
    mean_and_sd_of,
    runs_own_cells,
    title_of,
)

ROUNDING = 0.01  # of printed means of printed numbers with two places
TWINS = {"whisper-small-int8": "whisper-small", "ast-small": "ast"}
FRAME_S = 160 / SPEECH_RATE  # of AST's filter bank


def twin(model: str) -> str | None:
    """The paper's name of the model that ours is closest to; None if there is none."""
    name = TWINS.get(model, model)
    return title_of(name) if name in (*PAPERS_ENCODERS, "ast") else None


@cache
def _printed(name: str) -> pd.DataFrame:
    return published.read(SLUG, name)


def printed(name: str, **where: str | None) -> dict[str, float]:
    """Mean and standard deviation of a cell of one of the paper's tables; NaN if there is no such cell."""
    table = _printed(name)
    row = table[np.logical_and.reduce([table[column] == value for column, value in where.items()])]
    mean, std = (row["mean"].iloc[0], row["std"].iloc[0]) if len(row) else (np.nan, np.nan)
    return {"paper": float(mean), "paper, SD over runs": float(std)}


def printed_twin(corpus: str, encoder: str, head: str = "Linear") -> float:
    """The paper's number in Table 3 for a corpus and the model that ours is closest to; NaN if there is none."""
    return printed("table3", dataset=catalogue.title(corpus), backbone=twin(encoder), head=head)["paper"]


def table1(run: Run) -> pd.DataFrame:
    """The paper's corpora: as printed, as their owners describe them, and in our published run."""
    card_of = _cards(run)
    paper = _printed("table1").set_index("dataset")
    rows = []
    for name, known in catalogue.CORPORA.items():
        row: dict[str, Any] = {"corpus": known.name, "language": known.language}
        row["files, paper"], row["classes, paper"] = (
            (paper.loc[known.name, c] if known.name in paper.index else np.nan) for c in ("samples", "n_emotions")
        )
        row |= {"files, owners": known.files, "speakers, owners": known.speakers}
        row["classes, owners"] = np.nan if known.total else len(known.expected)
        card = card_of.get(name, {})
        row |= {
            f"{what}, ours": card.get(key, np.nan) for what, key in (("files", "files"), ("speakers", "speakers"), ("classes", "emotions"))
        }
        rows.append(row)
    return pd.DataFrame(rows)


def table2(run: Run) -> pd.DataFrame:
    """Encoders × heads on one speaker-independent split: the paper's means over nine corpora; ours over the corpora measured, with SD over
    seeds and a bootstrap interval over test files."""
    rows = []
    for encoder in dict.fromkeys((*run.models, *PAPERS_ENCODERS)):  # missing ones come last
        if encoder in ASTS:
            continue
        for head in heads_in(run, encoder) or heads_of(encoder):
            row: dict[str, Any] = {"encoder": title_of(encoder), "head": HEAD_TITLES[head]}
            row |= printed("table2", backbone=twin(encoder), head=HEAD_TITLES[head])
            cells = {c: records for c in run.papers_corpora if (records := run.cell(c, encoder, head))}
            if cells:
                interval = bias_corrected(Draws.mean([f1_draws(records) for records in cells.values()]))
                row |= _mean_over_corpora(cells) | {
                    "F1, low": interval.low,
                    "F1, high": interval.high,
                    "majority": majority(*cells.values()),
                }
            rows.append(row | {"corpora": ", ".join(map(catalogue.title, cells)) or "model not available"})
    return pd.DataFrame(rows)


def _mean_over_corpora(cells: dict[str, list[Record]]) -> dict[str, float]:
    """Mean over corpora, with the SD over those seeds that all corpora have; nothing if there is no such seed."""
    by_seed = pd.DataFrame({c: {r.trial["seed"]: r.metrics["f1"] for r in records} for c, records in cells.items()}).dropna()
    return mean_and_sd_of(by_seed.mean(axis=1)) if len(by_seed) else {}


def table3(run: Run) -> pd.DataFrame:
    """Corpora × models with each head on one speaker-independent split: the paper; ours with SD over seeds and a bootstrap interval over
    test files; the majority-class baseline."""
    rows = []
    for corpus in run.corpora:
        for model in run.models:
            for head in heads_in(run, model):
                if not (ours := run.cell(corpus, model, head)):
                    continue
                row: dict[str, Any] = {"corpus": catalogue.title(corpus), "model": title_of(model), "head": HEAD_TITLES[head]}
                row |= printed("table3", dataset=catalogue.title(corpus), backbone=twin(model), head=HEAD_TITLES[head])
                interval = bias_corrected(f1_draws(ours))
                row |= mean_and_sd(ours) | {"F1, low": interval.low, "F1, high": interval.high}
                rows.append(row | {"majority": majority(ours), "test files": ours[0].metrics["tested"]})
    return pd.DataFrame(rows)


def run_table(now: Run) -> pd.DataFrame:
    """One run by itself: one row per corpus, model and head."""
    rows = []
    for corpus in now.corpora:
        for model in now.models:
            for head in heads_in(now, model):
                if here := runs_own_cells(now, corpus, model, head):
                    row = {"corpus": catalogue.title(corpus), "model": title_of(model), "head": HEAD_TITLES[head]} | mean_and_sd(here)
                    rows.append(row | {"majority": majority(here), "test files": here[0].metrics["tested"]})
    return pd.DataFrame(rows)


def owners_cards() -> dict[str, dict[str, str]]:
    """What the corpora's owners and those who use them say, by corpus: citation, licence, how to get it, known problems."""
    return {
        f"{corpus.name}, {corpus.title.split(', ', 1)[1]}": {
            "citation": corpus.citation,
            "licence": corpus.licence,
            "from": corpus.obtain,
            "file names": f"read after {corpus.source}" + ("" if corpus.parser_verified else "; the parser has not met a real copy"),
            "known problems": "; ".join(corpus.notes) or "none",
        }
        for corpus in catalogue.CORPORA.values()
    }


def layer_weights(run: Run, head: str = "multi-layer", **choices: Any) -> pd.DataFrame:
    """Trained layer weights: one row per corpus, encoder, seed and layer."""
    rows = [
        {"corpus": corpus, "encoder": encoder, "seed": r.trial["seed"], "layer": i, "weight": w}
        for corpus in run.corpora
        for encoder in run.models
        for r in run.cell(corpus, encoder, head, **choices)
        for i, w in enumerate(r.metrics.get("layer_weights", []), start=1)
    ]
    return pd.DataFrame(rows, columns=["corpus", "encoder", "seed", "layer", "weight"])


def split_facts(run: Run, protocol: str = "speaker") -> pd.DataFrame:
    """What our splits achieved, from the corpora's records: one row per corpus and part; shares in percent."""
    parts = [r.items().assign(corpus=catalogue.title(r.trial["corpus"])) for r in corpus_records(run)]
    if not parts:
        return pd.DataFrame()
    table = pd.concat(parts, ignore_index=True)
    table = table[table["protocol"] == protocol].drop(columns=["fold", "protocol"])
    shares = [c for c in table if c.startswith("share")]
    table[shares] = (100 * table[shares]).round()
    names = {
        "share": "% of files",
        "least class": "smallest class (n)",
        "largest class": "largest class (n)",
        "share with a sentence of train": "% of files whose sentence occurs in training",
    }
    return table[["corpus", *(c for c in table if c != "corpus")]].rename(columns=names).reset_index(drop=True)


def corpus_records(run: Run) -> list[Record]:
    """Records of corpus cards, in the catalogue's order."""
    by_corpus = {r.trial["corpus"]: r for r in frame.records(run.frame, "card")}
    return [by_corpus[c] for c in catalogue.in_order(by_corpus)]


def glance(run: Run, encoder: str = "whisper-small-int8") -> pd.DataFrame:
    """One row per corpus and head: ours with its interval, the paper's number for the twin, the majority-class baseline."""
    rows = []
    for corpus in run.corpora:
        for head, name in HEADS.items():
            if records := run.cell(corpus, encoder, head):
                row = {"corpus": catalogue.title(corpus), "head": name, **bias_corrected(f1_draws(records))._asdict()}
                rows.append(row | {"paper": printed_twin(corpus, encoder, name), "majority_f1": majority(records)})
    return pd.DataFrame(rows)


def cards_table(run: Run) -> pd.DataFrame:
    """Corpus cards side by side: one row per fact, one column per corpus."""
    return cards.table_of({catalogue.title(c): facts for c, facts in _cards(run).items()})


def _cards(run: Run) -> dict[str, dict[str, Any]]:
    """Facts of each corpus of a run."""
    return {r.trial["corpus"]: dict(r.metrics["facts"]) for r in corpus_records(run)}


def confusions(run: Run) -> dict[str, tuple[list[str], list[str]]]:
    """True and predicted emotions of all seeds, by corpus, model and head."""
    out = {}
    for corpus in run.corpora:
        for encoder in run.models:
            for head in heads_in(run, encoder):
                if records := run.cell(corpus, encoder, head):
                    items = pd.concat([r.items() for r in records])
                    key = f"{catalogue.title(corpus)}, {title_of(encoder)}, {HEAD_TITLES[head]}"
                    out[key] = (items["emotion"].tolist(), items["predicted"].tolist())
    return out


def class_table(run: Run) -> pd.DataFrame:
    """F1 of each class in percent, mean over seeds: one row per corpus, model and head; NaN for a class that the corpus does not have."""
    rows = []
    for corpus in run.corpora:
        for encoder in run.models:
            for head in heads_in(run, encoder):
                if records := run.cell(corpus, encoder, head):
                    each = pd.DataFrame([r.metrics["class_f1"] for r in records]).mean()
                    rows.append({"corpus": catalogue.title(corpus), "model": title_of(encoder), "head": HEAD_TITLES[head]} | each.to_dict())
    return pd.DataFrame(rows)


@cache
def _subset_misses() -> pd.DataFrame:
    """How far the mean of each subset of five to nine corpora is from Table 2: one row per subset, one column per backbone."""
    gaps, three = _printed("table2_vs_table3"), _printed("table3")
    wanted = gaps[gaps["difference"].notna()].set_index("backbone")["table2_mean"]
    cells = three.pivot(index="dataset", columns="backbone", values="mean")[list(wanted.index)]
    subsets = [s for size in range(5, len(cells) + 1) for s in combinations(range(len(cells)), size)]
    held = np.zeros((len(subsets), len(cells)))
    for row, subset in zip(held, subsets, strict=True):
        row[list(subset)] = 1 / len(subset)
    names = [", ".join(cells.index[list(s)]) for s in subsets]
    return pd.DataFrame(np.abs(held @ cells.to_numpy() - wanted.to_numpy()), index=names, columns=cells.columns)


def count_subsets() -> int:
    return len(_subset_misses())


def subsets_that_fit_all() -> int:
    """How many subsets of corpora reproduce all of Table 2's means from Table 3, within rounding."""
    return int((_subset_misses() <= ROUNDING).all(axis=1).sum())


def table2_against_table3() -> pd.DataFrame:
    """For each column of Table 3: its mean, Table 2's, and the subset of five to nine corpora whose mean is closest to it."""
    gaps = _printed("table2_vs_table3")
    misses = _subset_misses()
    rows = [
        {
            "backbone": gap.backbone,
            "head": gap.head,
            "Table 2": gap.table2_mean,
            "mean of Table 3": gap.mean_of_table3_column,
            "difference": gap.difference,
            "closest subset of corpora": misses[gap.backbone].idxmin(),
            "differs by": misses[gap.backbone].min(),
            "within rounding": bool(misses[gap.backbone].min() <= ROUNDING),
        }
        for gap in gaps[gaps["difference"].notna()].itertuples()
    ]
    return pd.DataFrame(rows)


def lead_in_sds(dataset: str) -> tuple[str, float]:
    """The paper's best model on a corpus, and its lead over the runner-up in the larger of their printed standard deviations."""
    three = _printed("table3")
    best, following = (r for _, r in three[three["dataset"] == dataset].nlargest(2, "mean").iterrows())
    return str(best["backbone"]), float((best["mean"] - following["mean"]) / max(best["std"], following["std"]))


def choices_made() -> pd.DataFrame:
    """What the paper states and what peft-ser does, beside our choice."""
    s = USUAL
    ours = {
        "epochs": s.epochs,
        "optimiser": "Adam",
        "learning rate": s.learning_rate,
        "weight decay": s.weight_decay,
        "beta 1": s.betas[0],
        "beta 2": s.betas[1],
        "epsilon": 1e-8,
        "projection size m": WIDTH,
        "runs": f"{len(SEEDS)} seeds on one split",
        "input rate": f"{encoders.RATE // 1000} kHz",
        "train/validation/test": "speaker-independent, as close to 80/10/10 as the speakers allow",
        "metric": "macro F1 in percent",
        "batch size": s.batch_size,
        "learning-rate schedule": "the same" if s.schedule == "plateau" else "none",
        "loss": "the same" if s.class_weights else "cross-entropy",
        "model kept": "epoch of best validation macro F1",
        "head dropout": s.dropout,
        "longest audio": "whole files (Whisper: 30 s)",
        "train augmentation": "none: it changes the sound, and features are computed once; its effect is measured below",
        "seed": f"0 to {len(SEEDS) - 1}",
        "layer weights": "the same",
        "checkpoints": ", ".join(str(encoder_catalogue.ENCODERS[e].repository) for e in PAPERS_ENCODERS),
    }
    table = published.read(SLUG, "hyperparameters")
    ours_column = table["item"].map(ours).fillna("–").astype(str)
    names = {"stated_in_paper": "stated in paper?", "value": "paper or peft-ser"}
    return table.assign(ours=ours_column)[["item", "value", "stated_in_paper", "ours", "source"]].rename(columns=names)


def baseline_choices() -> pd.DataFrame:
    """AST's recipe for ESC-50 (its code, egs/esc50) beside the small network of the published run."""
    layout, s = spectrogram_transformer.LAYOUTS["ast-small"], USUAL_AST
    rows = [
        ("width, blocks, heads", "768, 12, 12", f"{layout.width}, {layout.blocks}, {layout.heads}"),
        ("patches", "16 × 16, every 10 bands and frames", f"16 × 16, every {layout.stride}"),
        ("sounds", "5.12 s, cut or padded with zeros", f"{s.frames * FRAME_S:g} s, the same"),
        ("bands", "128 of Kaldi", f"{AST_BANDS}, the same"),
        ("initial weights", "of ImageNet, or of ImageNet and AudioSet", "random, as in the paper on speech models"),
        ("optimiser", "Adam, betas 0.95 and 0.999, weight decay 5e-7", f"Adam, {s.betas[0]:g} and {s.betas[1]:g}, {s.weight_decay:g}"),
        ("learning rate", "1e-4 (1e-5 with AudioSet's weights), times 0.85 each epoch from the sixth on", f"{s.learning_rate:g}, times {s.decay:g}"),
        ("epochs, batch", "25, 48", f"{s.epochs}, {s.batch_size}"),
        ("masks", "up to 24 bands and 96 frames", f"up to {s.masked_bands} and {s.masked_frames}"),
        ("classes weighted, epoch kept", "no, best on the test fold", "yes, best on the validation files, as for the heads"),
    ]  # fmt: skip
    return pd.DataFrame(rows, columns=["item", "AST's recipe", "ours"])
