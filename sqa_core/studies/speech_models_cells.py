"""Cells of the chapter on speech models: which records belong to one number of a table, and how sure differences between them are."""

import zlib
from functools import lru_cache
from typing import Any

import numpy as np
import pandas as pd
from scipy import stats

from .. import records
from ..baseline import BaselineSettings
from ..corpora import emotions
from ..errors import SettingsError
from ..metrics import Interval
from ..models import encoders
from ..models.probes import HEADS
from ..probing import ProbeSettings
from ..records import Record
from .common import as_recorded, of_kind
from .speech_models_trials import AugmentedTrial, BaselineTrial, ProbeTrial

# As the paper's tables name them, and which twin stands in where the paper's own is not here.
TITLES = {
    "wav2vec2-base": "Wav2Vec 2.0 Base",
    "wav2vec2-large": "Wav2Vec 2.0 Large",
    "wav2vec2-xls-r-300m": "XLS-R",
    "whisper-small.en": "Whisper Small (EN)",
    "whisper-small": "Whisper Small",
    "whisper-medium": "Whisper Medium",
}
OURS = {
    "whisper-small-int8": "Whisper Small (int8)",
    "whisper-base": "Whisper Base",
    "whisper-tiny": "Whisper Tiny",
    "whisper-base.en": "Whisper Base (EN)",
    "whisper-tiny.en": "Whisper Tiny (EN)",
    "hubert-base-ls960": "HuBERT Base",
    "wavlm-base-plus": "WavLM Base+",
    "random-whisper-base": "control: random Whisper Base",
    "random-mini": "control: random small Whisper",
    "mel": "control: log-mel bands",
    "ecapa-voxceleb": "control: speaker network",
}
NETWORKS = {"ast": "AST", "ast-small": "AST, small"}
CONTROLS = (encoders.MEL, "random-whisper-base", encoders.SPEAKER)
ONE_LAYER = (encoders.MEL, encoders.SPEAKER)  # bands, or one vector a sound: a Linear head alone is put on them
FULL = "full"
BASELINE_HEAD = {FULL: "full model, from scratch"}
CORPUS_TITLES = {
    "aesdd": "AESDD",
    "cafe": "CaFE",
    "demos": "DEMoS",
    "emodb": "EmoDB",
    "emomatch": "EmoMatch",
    "emovo": "EMOVO",
    "eyase": "EYASE",
    "oreau": "Oréau",
    "shemo": "ShEMO",
    "urdu": "URDU",
    "ravdess": "RAVDESS",
    "savee": "SAVEE",
}


SEEDS = 5  # that a cell is to have


def corpus_title(name: str) -> str:
    return CORPUS_TITLES.get(name, name)


def title_of(encoder: str) -> str:
    return (TITLES | OURS | NETWORKS).get(encoder, encoder)


def heads_of(model: str) -> dict[str, str]:
    """The paper's heads; for AST, and for what has one layer, the one that it has."""
    return BASELINE_HEAD if model in NETWORKS else {"linear": HEADS["linear"]} if model in ONE_LAYER else HEADS


def model_of(record: Record) -> str | None:
    """The encoder of a record, or the network that was trained from scratch."""
    return record.trial.get("encoder") or record.trial.get("settings", {}).get("network")


def probes_like(found: list[Record], **wanted: Any) -> list[Record]:
    """Probe records with the chapter's own choices but for those named: fields of the trial, or of its settings."""
    usual = as_recorded(ProbeSettings("linear")) | {"protocol": "speaker", "whole_window": False}

    def fits(record: Record) -> bool:
        known = emotions.CORPORA.get(record.trial["corpus"])
        channel = {"channel": known.channel if known else "mean"}
        held = {"whole_window": False} | channel | record.trial | record.trial["settings"] | record.trial.get("features", {})
        return all(held[k] == v for k, v in (usual | channel | wanted).items() if k != "head" or "head" in wanted)

    return [r for r in of_kind(found, ProbeTrial) if fits(r)]


def _baselines(found: list[Record], corpus: str, network: str, head: str = FULL, protocol: str = "speaker") -> list[Record]:
    """AST from scratch with the chapter's own choices; it has one head, and no other choice was tried."""
    usual = as_recorded(BaselineSettings(network))  # type: ignore[arg-type]
    same = of_kind(found, BaselineTrial, corpus=corpus, protocol=protocol)
    return [r for r in same if head == FULL and r.trial["settings"] == usual]


def cell(found: list[Record], corpus: str, encoder: str, **wanted: Any) -> list[Record]:
    """The seeds of one cell, in order; of one copy of the corpus, one split and one set of weights. augmented : with noisy copies."""
    if wanted.get("augmented"):
        same = of_kind(found, AugmentedTrial, corpus=corpus, encoder=encoder)
    elif encoder in NETWORKS:
        same = _baselines(found, corpus, encoder, **{k: v for k, v in wanted.items() if k in ("head", "protocol")})
    else:
        same = probes_like(found, corpus=corpus, encoder=encoder, **wanted)
    of_cell = sorted(same, key=lambda r: r.trial["seed"])
    for name in ("corpus_hash", "split_hash", "weights_hash", "features"):
        if len({str(r.trial.get(name)) for r in of_cell}) > 1:
            raise SettingsError(f"{corpus}, {encoder}: the store holds records of several {name}; remove those that are not meant.")
    return of_cell


def cell_of_run(found: list[Record], corpus: str, model: str, head: str) -> list[Record]:
    """The same of one run that may have settings of its own, such as fewer epochs: those of its first such trial."""
    same = [
        r
        for r in (*of_kind(found, ProbeTrial), *of_kind(found, BaselineTrial))
        if (r.trial["corpus"], model_of(r), r.trial["protocol"]) == (corpus, model, "speaker")
        and r.trial["settings"].get("head", FULL) == head
    ]
    return [r for r in same if all(r.trial.get(k) == same[0].trial.get(k) for k in ("settings", "features"))]


def _answers(records: list[Record]) -> tuple[np.ndarray, np.ndarray, list[str]]:
    """True classes (files,), predicted ones (seeds, files), their names; files in one order."""
    tables = [r.items().sort_values(["fold", "file"], ignore_index=True) for r in records]
    names = sorted(set(tables[0]["emotion"]) | {c for t in tables for c in t["predicted"]})
    number = {name: i for i, name in enumerate(names)}
    predicted = np.array([t["predicted"].map(number).to_numpy() for t in tables])
    return tables[0]["emotion"].map(number).to_numpy(), predicted, names


def f1_draws(found: list[Record]) -> np.ndarray:
    """Mean over seeds of the macro F1, of the tested files as they are and of DRAWS draws of them with replacement (1 + DRAWS,).

    Records of one split are drawn alike, so that differences between them are paired.
    """
    return _draws_of(tuple((r.folder, r.key) for r in found))


DRAWS = 1000


@lru_cache(maxsize=2000)  # several tables ask for the same cells
def _draws_of(places: tuple[tuple[str, str], ...]) -> np.ndarray:
    found = [records.read(*place) for place in places]
    true, predicted, names = _answers(found)
    # One stream a corpus: draws of different corpora are independent, those of two cells of one corpus are the same.
    rng = np.random.default_rng([0, zlib.crc32(found[0].trial["corpus"].encode())])
    weights = np.vstack([np.ones(len(true)), rng.multinomial(len(true), np.full(len(true), 1 / len(true)), size=DRAWS)])
    return np.mean([_weighted_f1(true, p, weights, len(names)) for p in predicted], axis=0)


def _weighted_f1(true: np.ndarray, predicted: np.ndarray, weights: np.ndarray, classes: int) -> np.ndarray:
    """Macro F1 in percent for each row of weights, over the classes that occur in that row."""
    answers, truths = np.eye(classes)[predicted], np.eye(classes)[true]
    hits, named, there = (weights @ x for x in (answers * truths, answers, truths))
    occurs = named + there > 0
    f1 = np.where(occurs, 2 * hits / np.maximum(named + there, 1), 0.0)
    return 100 * f1.sum(axis=1) / occurs.sum(axis=1)


def interval_of(draws: np.ndarray) -> Interval:
    """The first draw is the value, the others tell its 95 % interval: percentiles corrected for bias (Efron 1987), since a macro F1 of
    files drawn with replacement lies below that of the files."""
    value, others = float(draws[0]), draws[1:]
    below = np.clip(np.mean(others < value) + np.mean(others == value) / 2, 1 / len(others), 1 - 1 / len(others))
    return Interval(value, *np.quantile(others, stats.norm.cdf(2 * stats.norm.ppf(below) + stats.norm.ppf([0.025, 0.975]))).tolist())


def over_corpora(values: pd.Series) -> Interval:
    """Mean of one value a corpus, with the 95 % interval of a t distribution; of a single corpus nothing is known of others."""
    if len(values) < 2:
        return Interval(float(values.mean()), -np.inf, np.inf)
    half = stats.t.ppf(0.975, len(values) - 1) * values.std(ddof=1) / np.sqrt(len(values))
    return Interval(float(values.mean()), float(values.mean() - half), float(values.mean() + half))


def papers_corpora(found: list[Record]) -> list[str]:
    """The paper's own among the corpora measured: what is compared with its means."""
    own = {r.trial["corpus"] for r in found if r.data_status == "paper"}
    return [c for c in measured_corpora(found) if c in own]


Pair = tuple[list[Record], list[Record]]


def _pair(one: list[Record], other: list[Record]) -> Pair:
    """The records of two cells of one corpus whose seeds both have, in the order of seeds; of one split, so that files can be paired."""
    seeds = {r.trial["seed"] for r in one} & {r.trial["seed"] for r in other}
    if len({r.trial.get("split_hash") for r in (*one, *other)}) > 1:
        raise SettingsError(f"{one[0].trial['corpus']}: records of two splits cannot be set against each other.")
    return [r for r in one if r.trial["seed"] in seeds], [r for r in other if r.trial["seed"] in seeds]


def _pairs(found: list[Record], one: dict[str, Any], other: dict[str, Any]) -> dict[str, Pair]:
    """Two cells on those of the paper's corpora that have both."""
    pairs = {c: _pair(cell(found, c, **one), cell(found, c, **other)) for c in papers_corpora(found)}
    return {c: pair for c, pair in pairs.items() if pair[0]}


def paired(one: list[Record], other: list[Record]) -> np.ndarray:
    """Draws of the difference of two cells' F1 on one corpus, paired over seeds and test files."""
    pair = _pair(one, other)
    return f1_draws(pair[0]) - f1_draws(pair[1])


def difference_on(one: list[Record], other: list[Record]) -> Interval | None:
    """How far one cell's F1 lies above another's on the same test files; None where no seed has both."""
    return interval_of(paired(one, other)) if one and other and _pair(one, other)[0] else None


def difference(found: list[Record], one: dict[str, Any], other: dict[str, Any]) -> tuple[Interval, list[str]] | None:
    """Mean of the difference of two cells' F1, paired over test files, over those of the paper's corpora that have both; and which."""
    pairs = _pairs(found, one, other)
    return (interval_of(np.mean([paired(*pair) for pair in pairs.values()], axis=0)), list(pairs)) if pairs else None


def leads(found: list[Record], one: dict[str, Any], other: dict[str, Any]) -> pd.DataFrame:
    """The same difference, a row a corpus and seed; nothing unless all of the paper's corpora that are here have both."""
    pairs = _pairs(found, one, other)
    rows = [
        {"corpus": c, "seed": x.trial["seed"], "lead": x.metrics["f1"] - y.metrics["f1"]}
        for c, pair in pairs.items()
        for x, y in zip(*pair, strict=True)
    ]
    return pd.DataFrame(rows if len(pairs) == len(papers_corpora(found)) else [], columns=["corpus", "seed", "lead"])


def lead_over_corpora(found: list[Record], one: dict[str, Any], other: dict[str, Any]) -> Interval | None:
    """Mean over the paper's corpora of one cell's lead over another, with an interval over corpora."""
    table = leads(found, one, other)
    return over_corpora(table.groupby("corpus")["lead"].mean()) if len(table) else None


def measured_corpora(found: list[Record]) -> list[str]:
    there = {r.trial["corpus"] for r in found if model_of(r)}
    return [c for c in (*CORPUS_TITLES, "polyglot-acted") if c in there]


def measured_encoders(found: list[Record]) -> list[str]:
    there = {model for r in found if (model := model_of(r))}
    known = (*TITLES, *OURS, *NETWORKS)
    return [e for e in known if e in there] + sorted(there.difference(known))


def mean_sd(values: list[float]) -> str:
    """Over seeds; how many they are is said where they are fewer than the chapter asks for."""
    text = f"{np.mean(values):.1f} ± {np.std(values, ddof=1):.1f}" if len(values) > 1 else f"{values[0]:.1f}"
    return text if len(values) >= SEEDS else f"{text} ({len(values)} of {SEEDS} seeds)"


def constant(*cells: list[Record]) -> str:
    """Macro F1 of a constant answer, mean over cells."""
    return f"{np.mean([records[0].metrics['constant_f1'] for records in cells]):.1f}"


def points(interval: Interval) -> str:
    return f"{interval.value:+.1f} points [{interval.low:+.1f}, {interval.high:+.1f}]"
