"""The records of a run as cells: which records belong to one number of a table, and how sure differences between cells are."""

import zlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from functools import cached_property, lru_cache
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from ...corpora.emotion import catalogue
from ...errors import SettingsError
from ...learning.ast_from_scratch import BaselineSettings
from ...learning.feature_bank import FeatureSettings
from ...learning.probes import ProbeSettings
from ...metrics import Draws, Interval, bias_corrected, weighted_macro_f1
from ...models import encoder_catalogue
from ...models.heads import HEADS
from ...results import frame
from ...results.records import Record
from ...results.trials import canonical
from ..emotion import usual_features
from .plan import ASTS, PAPERS_CORPORA, USUAL, USUAL_AST

FULL = "full"  # the head of AST, which is trained as a whole
HEAD_TITLES = {**HEADS, FULL: "full model, from scratch"}
AST_TITLES = {"ast": "AST", "ast-small": "AST, small"}
DRAWS = 1000  # of a bootstrap over files
Choices = frozenset[tuple[str, Any]]


class Cell(NamedTuple):
    """One number of a table. choices : what differs from the chapter's own choices (`plan.USUAL`), as (field, value)."""

    corpus: str
    model: str
    head: str
    protocol: str
    choices: Choices = frozenset()


@dataclass(frozen=True, eq=False)
class Run:
    """A run's records as one table, one row per record, and by cell, in the order of seeds."""

    frame: pd.DataFrame
    cells: dict[Cell, list[Record]]

    def cell(self, corpus: str, model: str, head: str = "", protocol: str = "speaker", **choices: Any) -> list[Record]:
        """The records of one cell, a seed each; of one copy of the corpus, one split and one set of weights.

        choices : fields of the trial's settings or features, such as standardise=True; augmented=True for noisy copies in training.
        """
        head = FULL if model in ASTS else head or "linear"
        named = frozenset((_dotted(name), value) for name, value in choices.items())
        found = self.cells.get(Cell(corpus, model, head, protocol, named), [])
        for name in ("corpus_hash", "split_hash", "weights_hash"):
            if len({r.trial.get(name) for r in found}) > 1:
                raise SettingsError(f"{corpus}, {model}: the store holds records of several {name}; remove those that are not meant.")
        return found

    @property
    def corpora(self) -> list[str]:
        """Corpora with records of a classifier, in the catalogue's order."""
        return catalogue.in_order({c.corpus for c in self.cells})

    @property
    def papers_corpora(self) -> list[str]:
        """The paper's own among them: what is compared with its means."""
        return [c for c in self.corpora if c in PAPERS_CORPORA]

    @cached_property
    def split_seeds(self) -> list[int]:
        """Of the stratified splits that were drawn anew."""
        return sorted({int(value) for c in self.cells for name, value in c.choices if name == "split_seed"})

    @property
    def models(self) -> list[str]:
        """Encoders, and networks trained from scratch, in the catalogues' order; unknown ones last."""
        present = {c.model for c in self.cells}
        encoders = [e for e in encoder_catalogue.ENCODERS if e != encoder_catalogue.SPEAKER]
        known = [*encoders, *encoder_catalogue.CONTROL_TITLES, encoder_catalogue.SPEAKER, *ASTS]
        return [m for m in known if m in present] + sorted(present.difference(known))

    def of_papers_corpora(self) -> "Run":
        """The same without other corpora."""
        return run_of(self.frame[self.frame["corpus"].isin(PAPERS_CORPORA)] if len(self.frame) else self.frame)


def run_of(found: pd.DataFrame | Sequence[Record]) -> Run:
    """A run from its records, or from their table (`results.frame`)."""
    table = found if isinstance(found, pd.DataFrame) else frame.of(found)
    cells: dict[Cell, list[Record]] = {}
    for cell, record in [*_probe_cells(table), *_baseline_cells(table), *_augmented_cells(table)]:
        cells.setdefault(cell, []).append(record)
    return Run(table, {cell: sorted(group, key=lambda r: r.trial["seed"]) for cell, group in cells.items()})


def _probe_cells(table: pd.DataFrame) -> list[tuple[Cell, Record]]:
    part = frame.select(table, "probe")
    usual = _usual(USUAL, "settings") | _usual(usual_features(""), "features") | {"languages": (), "split_seed": 0}
    del usual["settings.head"]
    channels = {c: usual_features(c).channel for c in part["corpus"].unique()} if len(part) else {}
    by_row = {"features.channel": part["corpus"].map(channels)} if len(part) else {}
    return _cells(part, usual, by_row, part.get("encoder"), part.get("settings.head"))


def _baseline_cells(table: pd.DataFrame) -> list[tuple[Cell, Record]]:
    part = frame.select(table, "baseline")
    usual = _usual(USUAL_AST, "settings") | {"languages": ()}
    del usual["settings.network"]
    return _cells(part, usual, {}, part.get("settings.network"), pd.Series(FULL, part.index))


def _augmented_cells(table: pd.DataFrame) -> list[tuple[Cell, Record]]:
    part = frame.select(table, "augmented")
    extra = frozenset({("augmented", True)})
    return [
        (Cell(r.trial["corpus"], r.trial["encoder"], r.trial["settings"]["head"], r.trial["protocol"], extra), r) for r in part["record"]
    ]


def _usual(settings: Any, prefix: str) -> dict[str, Any]:
    return {f"{prefix}.{k}": tuple(v) if isinstance(v, list) else v for k, v in canonical(settings).items()}


def _cells(
    part: pd.DataFrame, usual: Mapping[str, Any], by_row: Mapping[str, pd.Series], models: Any, heads: Any
) -> list[tuple[Cell, Record]]:
    """Each record with its cell. A field that an older record lacks counts as the usual choice."""
    if not len(part):
        return []
    differing: list[set[tuple[str, Any]]] = [set() for _ in range(len(part))]
    for column in [c for c in part if c.startswith(("settings.", "features.")) or c in ("languages", "split_seed")]:
        if column in ("settings.head", "settings.network") or part[column].isna().all():
            continue
        values = part[column].to_numpy(object)
        wanted = by_row[column].to_numpy(object) if column in by_row else np.full(len(part), None, object)
        default = usual.get(column)
        for i, value in enumerate(values):
            same = value == (wanted[i] if column in by_row else default)
            if not same and not (isinstance(value, float) and np.isnan(value)):
                differing[i].add((column, value))
    keys = zip(part["corpus"], models, heads, part["protocol"], map(frozenset, differing), strict=True)
    return [(Cell(*key), record) for key, record in zip(keys, part["record"], strict=True)]


def _dotted(name: str) -> str:
    """A choice's column: a field of the settings or of the features."""
    if name in {f.name for f in (*fields(ProbeSettings), *fields(BaselineSettings))}:
        return f"settings.{name}"
    return f"features.{name}" if name in asdict(FeatureSettings()) else name


def runs_own_cells(run: Run, corpus: str, model: str, head: str) -> list[Record]:
    """The records of one corpus, model and head in a run that may have settings of its own, such as fewer epochs: those of the choices
    with the most seeds, of the split by speaker or the user's own."""
    same = [
        group for c, group in run.cells.items() if (c.corpus, c.model, c.head) == (corpus, model, head) and c.protocol in ("speaker", "own")
    ]
    return max(same, key=len, default=[])


def title_of(model: str) -> str:
    """How an encoder or a network trained from scratch is called in tables."""
    return AST_TITLES.get(model) or encoder_catalogue.title(model)


def heads_in(run: Run, model: str) -> list[str]:
    """The heads that a run has of a model, in the paper's order."""
    present = {c.head for c in run.cells if c.model == model}
    return [h for h in (*HEADS, FULL) if h in present]


# ---- how sure a cell's F1 is ----


def f1_draws(cell: Sequence[Record]) -> Draws:
    """Macro F1 in percent of a cell, mean over seeds, with bootstrap replicates: over speakers and their files if each speaker was held out
    in turn, else over the test files.

    Records of one corpus and split are drawn alike, so differences between them are paired.
    """
    return _draws_of(tuple(cell))


class Answers(NamedTuple):
    """What a cell predicted: `items`, the test files in order; `true` (files,) and `predicted` (seeds, files) as class numbers; the number
    of classes."""

    items: pd.DataFrame
    true: np.ndarray
    predicted: np.ndarray
    classes: int


def answers_of(cell: Sequence[Record]) -> Answers:
    """The answers of the records of one cell, a row of predictions a seed."""
    tables = [r.items() for r in cell]
    order = np.lexsort((tables[0]["file"], tables[0]["fold"]))
    emotions = tables[0]["emotion"].to_numpy()[order]
    predicted = [t["predicted"].to_numpy()[_same_order(tables[0], t, order)] for t in tables]
    numbers, names = pd.factorize(np.concatenate([emotions, *predicted]), sort=True)
    true, *answers = np.split(numbers, 1 + len(predicted))
    return Answers(tables[0].iloc[order], true, np.array(answers), len(names))


@lru_cache(maxsize=4000)  # several tables need the same cells
def _draws_of(cell: tuple[Record, ...]) -> Draws:
    answers, corpus = answers_of(cell), cell[0].trial["corpus"]
    if cell[0].trial.get("protocol") == "loso":
        weights = _speaker_weights(corpus, tuple(answers.items["speaker"]))
    else:
        weights = _file_weights(corpus, len(answers.true))
    f1 = weighted_macro_f1(answers.true, answers.predicted, weights, answers.classes)
    return Draws(float(f1[0]), f1[1:])


def _same_order(first: pd.DataFrame, table: pd.DataFrame, order: np.ndarray) -> np.ndarray:
    """Row numbers of a table by fold and file; most have the rows of the first in its order."""
    if len(table) == len(first) and (table["file"].to_numpy() == first["file"].to_numpy()).all():
        return order
    return np.lexsort((table["file"], table["fold"]))


@lru_cache(maxsize=64)
def _file_weights(corpus: str, files: int) -> np.ndarray:
    """(1 + DRAWS, files): the files as they are, then how often each is drawn. One stream a corpus: draws of different corpora are
    independent, those of two cells of one corpus are the same."""
    rng = np.random.default_rng([0, zlib.crc32(corpus.encode())])
    drawn = rng.multinomial(files, np.full(files, 1 / files), size=DRAWS)
    return np.vstack([np.ones(files), drawn]).astype(np.float32)  # whole numbers: exact, and the products take half the time


@lru_cache(maxsize=64)
def _speaker_weights(corpus: str, speaker_of: tuple[str, ...]) -> np.ndarray:
    """(1 + DRAWS, files) as `_file_weights`: speakers are drawn with replacement, and then the files of each speaker that was drawn."""
    rng = np.random.default_rng([1, zlib.crc32(corpus.encode())])
    speakers, which = np.unique(speaker_of, return_inverse=True)
    times = rng.multinomial(len(speakers), np.full(len(speakers), 1 / len(speakers)), size=DRAWS)
    drawn = np.zeros((DRAWS, len(which)))
    for s in range(len(speakers)):
        files = np.flatnonzero(which == s)
        drawn[:, files] = rng.multinomial(times[:, s] * len(files), np.full(len(files), 1 / len(files)))
    return np.vstack([np.ones(len(which)), drawn]).astype(np.float32)


Pair = tuple[list[Record], list[Record]]


def _pair(one: list[Record], other: list[Record]) -> Pair:
    """The records of two cells of one corpus whose seeds both have; of one split, so that files can be paired."""
    seeds = {r.trial["seed"] for r in one} & {r.trial["seed"] for r in other}
    if len({r.trial.get("split_hash") for r in (*one, *other)}) > 1:
        raise SettingsError(f"{one[0].trial['corpus']}: records of two splits cannot be compared.")
    return [r for r in one if r.trial["seed"] in seeds], [r for r in other if r.trial["seed"] in seeds]


def _pairs(run: Run, one: dict[str, Any], other: dict[str, Any]) -> dict[str, Pair]:
    """Two cells on those of the paper's corpora that have both."""
    pairs = {c: _pair(run.cell(c, **one), run.cell(c, **other)) for c in run.papers_corpora}
    return {c: pair for c, pair in pairs.items() if pair[0]}


def difference_on(one: list[Record], other: list[Record]) -> Interval | None:
    """Difference of two cells' F1 on one corpus, paired over seeds and test files; None if they share no seed."""
    if not one or not other or not (pair := _pair(one, other))[0]:
        return None
    return bias_corrected(f1_draws(pair[0]) - f1_draws(pair[1]))


def difference(run: Run, one: dict[str, Any], other: dict[str, Any]) -> tuple[Interval, list[str]] | None:
    """Mean difference of two cells' F1, paired over test files, over those of the paper's corpora that have both; and which they are."""
    pairs = _pairs(run, one, other)
    if not pairs:
        return None
    return bias_corrected(Draws.mean([f1_draws(a) - f1_draws(b) for a, b in pairs.values()])), list(pairs)


def leads(run: Run, one: dict[str, Any], other: dict[str, Any]) -> pd.DataFrame:
    """The same difference, one row per corpus and seed; empty unless all of the paper's corpora in the run have both."""
    pairs = _pairs(run, one, other)
    rows = [
        {"corpus": c, "seed": x.trial["seed"], "lead": x.metrics["f1"] - y.metrics["f1"]}
        for c, pair in pairs.items()
        for x, y in zip(*pair, strict=True)
    ]
    return pd.DataFrame(rows if len(pairs) == len(run.papers_corpora) else [], columns=["corpus", "seed", "lead"])


# ---- how cells are shown ----


def mean_and_sd(cell: Sequence[Record]) -> dict[str, float]:
    """F1 of a cell, mean and standard deviation over seeds, and their number; that of one seed is NaN."""
    return mean_and_sd_of([r.metrics["f1"] for r in cell])


def mean_and_sd_of(values: Iterable[float]) -> dict[str, float]:
    listed = list(values)
    sd = float(np.std(listed, ddof=1)) if len(listed) > 1 else float("nan")
    return {"F1": float(np.mean(listed)), "F1, SD over seeds": sd, "seeds": len(listed)}


def majority(*cells: Sequence[Record]) -> float:
    """Macro F1 of the majority-class baseline, mean over cells."""
    return float(np.mean([cell[0].metrics["constant_f1"] for cell in cells]))


def points(interval: Interval) -> str:
    """A difference in points of F1, for sentences."""
    return f"{interval.value:+.1f} points [{interval.low:+.1f}, {interval.high:+.1f}]"
