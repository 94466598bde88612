"""What the chapter's records hold, as one table of scores, and correlations drawn again and again over its items."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache, partial
from typing import Any, Literal

import numpy as np
import pandas as pd

from ...corpora.impairments import DIMENSIONS
from ...metrics import Draws, weighted_pcc
from ...models import weights
from ...results import frame
from ...results.records import Record

Status = Literal["synthetic", "real"]
DRAWS = 1000
ABOUT = ("network", "seed", "status", "language", "source", "item", "voice", "kinds", "set", "condition")
NISQA, AST = "NISQA", "AST, small"
TITLES = {
    "training nisqa": NISQA,
    "training ast-small": AST,
    "training ast": "AST, full size",
    "nisqa": "NISQA, official weights",
    "nisqa-confspeech2022": "NISQA, ConferencingSpeech 2022",
    weights.DEFAULT: "NISQA of sqa score",
}
OURS = (NISQA, AST)  # the two that the paper compares, trained on English here
AST_FRONT = "NISQA on AST's spectrogram"  # a variant of NISQA; the others are of AST
LANGUAGES = {
    "en": "English",
    "de": "German",
    "fr": "French",
    "zh": "Mandarin",
    "sv": "Swedish",
    "nl": "Dutch",
    "it": "Italian",
    "ru": "Russian",
    "ko": "Korean",
    "tr": "Turkish",
}
PAPERS = ("en", "de", "fr", "zh", "sv", "nl")
TESTED = PAPERS[1:]  # the paper's test languages
DIMENSION_TITLES = {"mos": "MOS", "noi": "noise", "dis": "discontinuity", "col": "coloration", "loud": "loudness"}


def title_of(record: Record) -> str:
    """The network of a record, as the pages call it."""
    training = record.trial.get("training")
    return TITLES[f"training {training['settings']['network']}" if training else record.trial["network"]]


def scores(found: pd.DataFrame) -> pd.DataFrame:
    """One row per file, network and seed: `network`, `seed`, what the file is, its labels, and its scores as `predicted …`."""
    tables = [r.items().assign(network=title_of(r), seed=r.trial["seed"]) for r in frame.records(found, "quality") if variant_of(r) == ""]
    return pd.concat(tables, ignore_index=True) if tables else pd.DataFrame(columns=[*ABOUT, *DIMENSIONS])


def variant_of(record: Record) -> str:
    """What a record's training varies: "" for nothing, "single" dimension, "pretrained", `AST_FRONT`, or "stand-in 0.5" and so on."""
    settings = (record.trial.get("training") or {}).get("settings", {})
    if settings.get("front", "own") != "own":
        return AST_FRONT
    if len(settings.get("outputs", ())) == 1:
        return "single"
    if settings.get("start", "random") != "random":
        return "pretrained"
    return f"stand-in {settings['stand_in']:g}" if settings.get("stand_in") else ""


def variants(found: pd.DataFrame) -> pd.DataFrame:
    """Scores of networks trained otherwise, as in `scores`, and of both our networks with the same, first seed: `network` is the variant, and
    the single dimensions are one network."""
    tables: dict[str, list[pd.DataFrame]] = {}
    for r in frame.records(found, "quality"):
        name = variant_of(r) or title_of(r)
        if r.trial["seed"] == 0 and (variant_of(r) or name in OURS):
            tables.setdefault(name, []).append(r.items())
    if set(tables) <= set(OURS):
        return pd.DataFrame(columns=[*ABOUT, *DIMENSIONS])
    out = []
    for name, parts in tables.items():
        whole, files = parts[0], ["source", "language", "item"]
        for part in parts[1:]:  # each has the same files, and a dimension of its own
            own = [c for c in part if c.startswith("predicted ")]
            whole = whole.merge(part[[*files, *own]], on=files, validate="one_to_one")
        out.append(whole.assign(network=name, seed=0))
    return pd.concat(out, ignore_index=True)


@dataclass(frozen=True)
class Cell:
    """One network, language and dimension: labels (items,), scores (seeds, items), and the item's number, which is the same for one recipe
    in every language. NaN where a file has no label."""

    network: str
    language: str
    dimension: str
    label: np.ndarray
    predicted: np.ndarray
    items: np.ndarray

    @property
    def known(self) -> np.ndarray:
        """(items,) of bool: which have a label."""
        return np.isfinite(self.label)


def cells(table: pd.DataFrame, status: Status, dimensions: Sequence[str] = DIMENSIONS) -> Iterator[Cell]:
    """Cells of synthetic or of real voices."""
    rows = table[table["status"] == status]
    if rows.empty:
        return
    rows = rows.astype({"item": int})  # P.835's files, in the same table, have none
    for (network, language), part in rows.groupby(["network", "language"], sort=False):
        files = part.set_index(["source", "item"])
        for dimension in dimensions:
            if f"predicted {dimension}" not in part or part[f"predicted {dimension}"].isna().all():
                continue
            by_seed = files.pivot(columns="seed", values=f"predicted {dimension}").sort_index(level="item")
            label = files[files["seed"] == files["seed"].iloc[0]][dimension].reindex(by_seed.index)
            items = by_seed.index.get_level_values("item").to_numpy(int)
            yield Cell(str(network), str(language), dimension, label.to_numpy(float), by_seed.to_numpy(float).T, items)


@lru_cache(maxsize=8)
def _multiplicities(count: int) -> np.ndarray:
    """(1 + DRAWS, items): how often each item is drawn; the first row is the data as they are."""
    drawn = np.random.default_rng(0).multinomial(count, np.full(count, 1 / count), size=DRAWS)
    return np.vstack([np.ones(count), drawn]).astype(float)


def pcc_by_seed(cell: Cell, items: int) -> np.ndarray:
    """(seeds, 1 + DRAWS) PCC of a cell, as it is and over items drawn with replacement; the same draws in every cell of `items` items."""
    weights, known = _multiplicities(items)[:, cell.items], cell.known
    return np.array([weighted_pcc(p[known], cell.label[known], weights[:, known]) for p in cell.predicted])


def pcc_draws(cell: Cell, items: int) -> Draws:
    """`pcc_by_seed`, the mean over seeds."""
    values = pcc_by_seed(cell, items).mean(axis=0)
    return Draws(float(values[0]), values[1:])


Grid = dict[tuple[str, str, str], Draws]  # by network, language, dimension


def grid(table: pd.DataFrame, status: Status) -> Grid:
    """PCC of every cell with draws over items, paired over networks, languages and dimensions."""
    found = list(cells(table, status))
    return {(c.network, c.language, c.dimension): pcc_draws(c, _count(found)) for c in found}


def _count(found: Sequence[Cell]) -> int:
    return 1 + max((int(c.items.max()) for c in found), default=0)


@dataclass(frozen=True)
class Spreads:
    """Mean and range of PCC over languages: one point per network, dimension and seed, (points, 1 + DRAWS), as they are and in every draw."""

    networks: tuple[str, ...]
    mean: np.ndarray
    range: np.ndarray


def spreads_by_seed(table: pd.DataFrame, status: Status, languages: Sequence[str]) -> Spreads:
    """Of both our networks, each seed on its own."""
    found = list(cells(table[table["network"].isin(OURS)], status))
    by_cell = {(c.network, c.dimension, c.language): pcc_by_seed(c, _count(found)) for c in found}
    pairs = dict.fromkeys((c.network, c.dimension) for c in found)
    stacks = {pair: np.stack([by_cell[*pair, x] for x in languages]) for pair in pairs}  # (languages, seeds, 1 + DRAWS)
    names = tuple(pair[0] for pair, stack in stacks.items() for _ in range(stack.shape[1]))
    return Spreads(
        names,
        np.concatenate([s.mean(axis=0) for s in stacks.values()]),
        np.concatenate([np.ptp(s, axis=0) for s in stacks.values()]),
    )


PERMUTATIONS = 200


def largest_range_by_chance(table: pd.DataFrame, status: Status, languages: Sequence[str]) -> float:
    """95th percentile of the largest range of PCC over languages, networks and dimensions, where each item's files change languages at
    random: what the claim of a bias has to exceed. First seed; of several corpora in a language, the first."""
    rng = np.random.default_rng(0)
    largest = np.zeros(PERMUTATIONS)
    by_cell = {(c.network, c.language, c.dimension): c for c in cells(table[table["network"].isin(OURS)], status)}
    for network in OURS:
        for dimension in DIMENSIONS:
            chosen = [by_cell[network, language, dimension] for language in languages]
            firsts = [dict(zip(c.items[::-1], zip(c.predicted[0][::-1], c.label[::-1], strict=True), strict=True)) for c in chosen]
            shared = sorted(set.intersection(*(set(f) for f in firsts)))
            pairs = np.array([[f[item] for item in shared] for f in firsts])  # (languages, items, 2)
            pairs = pairs[:, np.isfinite(pairs).all(axis=(0, 2))]
            one = np.ones((1, pairs.shape[1]))
            for i in range(PERMUTATIONS):
                order = rng.permuted(np.tile(np.arange(len(languages))[:, None], pairs.shape[1]), axis=0)
                moved = np.take_along_axis(pairs, order[..., None], axis=0)
                found = [weighted_pcc(x, y, one)[0] for x, y in moved.transpose(0, 2, 1)]
                largest[i] = max(largest[i], np.ptp(found))
    return float(np.quantile(largest, 0.95))


Statistic = Literal["range", "SD", "mean"]
_STATISTICS: dict[Statistic, Callable[..., Any]] = {"range": np.ptp, "SD": partial(np.std, ddof=1), "mean": np.mean}


def stacked(of: Grid, network: str, dimension: str, languages: Sequence[str]) -> np.ndarray:
    """(1 + draws, languages): PCC as it is, then in every draw."""
    parts = [of[network, language, dimension] for language in languages]
    return np.stack([np.concatenate([[p.value], p.samples]) for p in parts], axis=1)


def over_languages(of: Grid, network: str, dimension: str, languages: Sequence[str], statistic: Statistic) -> Draws:
    """Range, standard deviation or mean of PCC over languages."""
    values = _STATISTICS[statistic](stacked(of, network, dimension, languages), axis=1)
    return Draws(float(values[0]), values[1:])


def languages_of(of: Grid, wanted: Sequence[str]) -> list[str]:
    """Those of the wanted languages for which both of our networks have cells."""
    return [language for language in wanted if all((network, language, "mos") in of for network in OURS)]
