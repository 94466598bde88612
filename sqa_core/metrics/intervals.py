"""Intervals: how sure a number is. Each function says what its interval covers: talkers and conditions, files, or corpora."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Literal, NamedTuple

import numpy as np
import pandas as pd
from jaxtyping import Float, Real
from scipy import stats

from .agreement import paired

Vector = Real[np.ndarray, " n"]


class Interval(NamedTuple):
    """A value with its 95 % interval."""

    value: float
    low: float
    high: float

    def columns(self, name: str) -> dict[str, float]:
        """For a table: the value under `name`, its ends under "name, low" and "name, high".

        Returns
        -------
        Three columns by name.

        Examples
        --------
        >>> Interval(0.5, 0.25, 0.75).columns("PCC")
        {'PCC': 0.5, 'PCC, low': 0.25, 'PCC, high': 0.75}
        """
        return {name: self.value, f"{name}, low": self.low, f"{name}, high": self.high}

    @classmethod
    def of(cls, row: Mapping[str, Any] | pd.Series, name: str) -> "Interval":
        """What `columns` put into a row of a table.

        Returns
        -------
        The interval under `name`.

        Examples
        --------
        >>> Interval.of({"PCC": 0.5, "PCC, low": 0.25, "PCC, high": 0.75}, "PCC")
        Interval(value=0.5, low=0.25, high=0.75)
        """
        return cls(*(float(row[column]) for column in (name, f"{name}, low", f"{name}, high")))

    def text(self, form: str = ".3f") -> str:
        """Such as "0.912 [0.880, 0.934]".

        Parameters
        ----------
        form : A format for each of the three numbers.

        Returns
        -------
        The value with its interval in brackets.

        Examples
        --------
        >>> Interval(0.5, 0.25, 0.75).text(".2f")
        '0.50 [0.25, 0.75]'
        """
        return f"{self.value:{form}} [{self.low:{form}}, {self.high:{form}}]"


@dataclass(frozen=True)
class Draws:
    """An estimate and its bootstrap replicates (draws,). Differences and means are taken draw by draw, so they stay paired."""

    value: float
    samples: np.ndarray

    def __sub__(self, other: "Draws") -> "Draws":
        return Draws(self.value - other.value, self.samples - other.samples)

    @staticmethod
    def mean(parts: Sequence["Draws"]) -> "Draws":
        return Draws(float(np.mean([p.value for p in parts])), np.mean([p.samples for p in parts], axis=0))

    @staticmethod
    def largest(parts: Sequence["Draws"]) -> "Draws":
        return Draws(max(p.value for p in parts), np.max([p.samples for p in parts], axis=0))


def bias_corrected(draws: Draws) -> Interval:
    """95 % interval from bootstrap percentiles with Efron's (1981) correction for median bias, without acceleration.

    The correction matters for macro F1, which is lower on files drawn with replacement than on the files themselves.

    Parameters
    ----------
    draws : The value, and its bootstrap draws.

    Returns
    -------
    The value with its 95 % interval.

    Examples
    --------
    >>> bias_corrected(Draws(0.0, np.linspace(-1, 1, 1001))).text(".2f")
    '0.00 [-0.95, 0.95]'
    """
    samples = draws.samples
    below = np.mean(samples < draws.value) + np.mean(samples == draws.value) / 2
    below = np.clip(below, 1 / len(samples), 1 - 1 / len(samples))
    levels = stats.norm.cdf(2 * stats.norm.ppf(below) + stats.norm.ppf([0.025, 0.975]))
    return Interval(draws.value, *np.quantile(samples, levels).tolist())


def confidence_t(values: Sequence[float] | np.ndarray | pd.Series, bounds: tuple[float, float] = (-np.inf, np.inf)) -> Interval:
    """Mean of independent values, such as one a corpus, with the 95 % interval of a t distribution; unbounded for one value.

    Parameters
    ----------
    values : (n,) independent values; NaN is not left out.
    bounds : range of values that are possible, such as (-1, 1) for correlations; the interval ends there.

    Returns
    -------
    The mean with its 95 % interval.

    Examples
    --------
    >>> confidence_t([1.0, 2.0, 3.0]).text(".2f")
    '2.00 [-0.48, 4.48]'
    """
    values = np.asarray(values, float)
    mean = float(values.mean())
    if len(values) < 2:
        return Interval(mean, *bounds)
    half = stats.t.ppf(0.975, len(values) - 1) * values.std(ddof=1) / np.sqrt(len(values))
    return Interval(mean, max(bounds[0], float(mean - half)), min(bounds[1], float(mean + half)))


def two_way_bootstrap_pcc(
    x: Vector,
    y: Vector,
    rows: np.ndarray,
    columns: np.ndarray,
    by: Literal["item", "row"] = "item",
    draws: int = 2000,
    seed: int = 0,
) -> Interval:
    """Pearson's correlation with a 95 % interval from a two-way bootstrap: rows and columns are drawn with replacement.

    Items of one group are not independent, and the number should hold for new talkers and new conditions.

    Parameters
    ----------
    x, y : (items,)
    rows, columns : (items,)
        The two groupings of each item, such as its condition and its talker.
    by : "item" or "row"
        Whether items or the means over each row are correlated.
    draws, seed : How many bootstrap draws, and their seed.

    Returns
    -------
    The correlation with its 95 % interval.

    Examples
    --------
    >>> x = np.array([1.0, 2.0, 3.0, 4.0, 5.0, 6.0])
    >>> condition, talker = np.array([0, 0, 1, 1, 2, 2]), np.array([0, 1, 0, 1, 0, 1])
    >>> two_way_bootstrap_pcc(x, x**2, condition, talker).text(".2f")
    '0.98 [0.98, 1.00]'
    """
    x, y = paired(x, y)
    draw_rows, draw_columns = _multiplicities(rows, columns, draws, seed)
    r_index, c_index = (np.unique(g, return_inverse=True)[1] for g in (rows, columns))
    if by == "item":
        weights = draw_rows[:, r_index] * draw_columns[:, c_index]
        values = weighted_pcc(x, y, weights)
    else:
        in_row = (r_index == np.arange(r_index.max() + 1)[:, None]).astype(float)
        within = draw_columns[:, c_index] @ in_row.T
        with np.errstate(invalid="ignore", divide="ignore"):
            means = [np.where(within > 0, (draw_columns[:, c_index] * v) @ in_row.T / within, 0.0) for v in (x, y)]
        values = weighted_pcc(means[0], means[1], draw_rows * (within > 0))
    return _percentiles(values)


def two_way_bootstrap_mean(values: Vector, rows: np.ndarray, columns: np.ndarray, draws: int = 2000, seed: int = 0) -> Interval:
    """Mean with a 95 % interval over rows and columns, as in `two_way_bootstrap_pcc`; NaN values are left out."""
    known = np.isfinite(values)
    one = np.ones(int(known.sum()))
    return two_way_bootstrap_ratio(
        np.asarray(values)[known], one, one, one, np.asarray(rows)[known], np.asarray(columns)[known], draws, seed
    )


def two_way_bootstrap_ratio(
    sum_a: Vector, count_a: Vector, sum_b: Vector, count_b: Vector, rows: np.ndarray, columns: np.ndarray, draws: int = 2000, seed: int = 0
) -> Interval:
    """Ratio of the mean of a to the mean of b, with a 95 % interval over rows and columns as in `two_way_bootstrap_pcc`.

    Parameters
    ----------
    sum_a, count_a, sum_b, count_b : (items,)
        For each item, such as a file, the sum and the number of the values of a and of b that it holds.
    rows, columns : (items,) the two groupings of each item.
    draws, seed : How many bootstrap draws, and their seed.

    Returns
    -------
    The ratio with its 95 % interval.
    """
    draw_rows, draw_columns = _multiplicities(rows, columns, draws, seed)
    r_index, c_index = (np.unique(g, return_inverse=True)[1] for g in (rows, columns))
    # Items of one row and column are always drawn together, so their sums are enough.
    pairs, pair_of = np.unique(np.stack([r_index, c_index]), axis=1, return_inverse=True)
    weights = draw_rows[:, pairs[0]] * draw_columns[:, pairs[1]]
    sums = [np.bincount(pair_of.reshape(-1), x, pairs.shape[1]) for x in (sum_a, count_a, sum_b, count_b)]
    with np.errstate(invalid="ignore", divide="ignore"):
        values = (weights @ sums[0] / (weights @ sums[1])) / (weights @ sums[2] / (weights @ sums[3]))
    return _percentiles(np.where(np.isfinite(values), values, np.nan))


def weighted_pcc(x: np.ndarray, y: np.ndarray, weights: Float[np.ndarray, "draws n"]) -> Float[np.ndarray, " draws"]:
    """Pearson's correlation for each row of weights; x and y (n,) or (draws, n)."""
    total = weights.sum(axis=1, keepdims=True)
    with np.errstate(invalid="ignore", divide="ignore"):
        x = x - (weights * x).sum(axis=1, keepdims=True) / total
        y = y - (weights * y).sum(axis=1, keepdims=True) / total
        xx, yy = (weights * x * x).sum(axis=1), (weights * y * y).sum(axis=1)
        tiny = 1e-20 * (1 + np.abs(xx) + np.abs(yy))
        r = (weights * x * y).sum(axis=1) / np.sqrt(xx * yy)
        return np.where((xx > tiny) & (yy > tiny), np.clip(r, -1, 1), np.nan)


def _multiplicities(rows: np.ndarray, columns: np.ndarray, draws: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """How often each row and each column is drawn, (1 + draws, groups) each; the first draw is the data as they are."""
    return _drawn(len(np.unique(rows)), len(np.unique(columns)), draws, seed)


@lru_cache(maxsize=32)  # one corpus has many intervals; these arrays are never changed
def _drawn(n_rows: int, n_columns: int, draws: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    rows, columns = (np.vstack([np.ones(n), rng.multinomial(n, np.full(n, 1 / n), size=draws)]) for n in (n_rows, n_columns))
    return rows, columns


def _percentiles(values: np.ndarray) -> Interval:
    """The first value with the percentiles of the others; all NaN where no draw has a value."""
    if not np.isfinite(values[1:]).any():
        return Interval(float(values[0]), float("nan"), float("nan"))
    return Interval(float(values[0]), *np.nanquantile(values[1:], [0.025, 0.975]).tolist())
