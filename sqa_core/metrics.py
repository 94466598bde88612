"""Numbers from numbers: agreement between predictions and listeners, how sure it is, and how good it could be at best."""

from typing import Literal, NamedTuple

import numpy as np
from jaxtyping import Float, Real
from scipy import stats

from .errors import SettingsError

Vector = Real[np.ndarray, " n"]


class Interval(NamedTuple):
    """A value with its 95 % interval."""

    value: float
    low: float
    high: float


def pcc(x: Vector, y: Vector) -> float:
    """Pearson's correlation; NaN where one side does not vary."""
    x, y = _paired(x, y)
    return float(_weighted_pcc(x, y, np.ones((1, len(x))))[0])


def srcc(x: Vector, y: Vector) -> float:
    """Spearman's rank correlation, ties by their mean rank."""
    x, y = _paired(x, y)
    return pcc(stats.rankdata(x), stats.rankdata(y))


def rmse(x: Vector, y: Vector) -> float:
    """Root of the mean squared difference."""
    x, y = _paired(x, y)
    return float(np.sqrt(np.mean((x - y) ** 2)))


def _paired(x: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    x, y = np.asarray(x, np.float64), np.asarray(y, np.float64)
    if x.shape != y.shape or x.ndim != 1 or len(x) < 2:
        raise SettingsError(f"Two series of one length, at least 2, are compared; these have shapes {x.shape} and {y.shape}.")
    if not (np.isfinite(x).all() and np.isfinite(y).all()):
        raise SettingsError("A series holds values that are not numbers; leave failed files out first, and say how many.")
    return x, y


def _weighted_pcc(x: np.ndarray, y: np.ndarray, weights: Float[np.ndarray, "draws n"]) -> Float[np.ndarray, " draws"]:
    """Pearson's correlation for each row of weights; x and y (n,) or (draws, n)."""
    total = weights.sum(axis=1, keepdims=True)
    with np.errstate(invalid="ignore", divide="ignore"):
        x = x - (weights * x).sum(axis=1, keepdims=True) / total
        y = y - (weights * y).sum(axis=1, keepdims=True) / total
        xx, yy = (weights * x * x).sum(axis=1), (weights * y * y).sum(axis=1)
        tiny = 1e-20 * (1 + np.abs(xx) + np.abs(yy))
        r = (weights * x * y).sum(axis=1) / np.sqrt(xx * yy)
        return np.where((xx > tiny) & (yy > tiny), np.clip(r, -1, 1), np.nan)


def crossed_pcc(
    x: Vector,
    y: Vector,
    rows: np.ndarray,
    columns: np.ndarray,
    by: Literal["item", "row"] = "item",
    draws: int = 2000,
    seed: int = 0,
) -> Interval:
    """Pearson's correlation with an interval that resamples rows and columns, both with replacement (two-way bootstrap).

    Parameters
    ----------
    rows, columns : the two groupings of each item, such as its condition and its talker. Items of one group are not
        independent, and new talkers and new conditions are what the number should hold for.
    by : "item" correlates items, "row" the means over each row.
    """
    x, y = _paired(x, y)
    draw_rows, draw_columns = _multiplicities(rows, columns, draws, seed)
    r_index, c_index = (np.unique(g, return_inverse=True)[1] for g in (rows, columns))
    if by == "item":
        weights = draw_rows[:, r_index] * draw_columns[:, c_index]
        values = _weighted_pcc(x, y, weights)
    else:
        in_row = (r_index == np.arange(r_index.max() + 1)[:, None]).astype(float)
        within = draw_columns[:, c_index] @ in_row.T
        with np.errstate(invalid="ignore", divide="ignore"):
            means = [np.where(within > 0, (draw_columns[:, c_index] * v) @ in_row.T / within, 0.0) for v in (x, y)]
        values = _weighted_pcc(means[0], means[1], draw_rows * (within > 0))
    return Interval(float(values[0]), *np.nanquantile(values[1:], [0.025, 0.975]).tolist())


def auc(scores: Vector, positive: np.ndarray) -> float:
    """Area under the ROC curve: how often a positive has the higher score, ties counted half; NaN where one side is empty."""
    positive = np.asarray(positive, bool)
    n, m = int(positive.sum()), int((~positive).sum())
    if not n or not m:
        return float("nan")
    ranks = stats.rankdata(scores)
    return float((ranks[positive].sum() - n * (n + 1) / 2) / (n * m))


def crossed_mean(values: Vector, rows: np.ndarray, columns: np.ndarray, draws: int = 2000, seed: int = 0) -> Interval:
    """Mean with an interval that resamples rows and columns, as in `crossed_pcc`; values that are NaN are left out."""
    known = np.isfinite(values)
    one = np.ones(int(known.sum()))
    return crossed_ratio(np.asarray(values)[known], one, one, one, np.asarray(rows)[known], np.asarray(columns)[known], draws, seed)


def participation_ratio(correlation: Float[np.ndarray, "features features"]) -> float:
    """Effective number of features: (sum of eigenvalues)² over the sum of their squares, of their correlation matrix.

    From 1, where all are one, to the number of features, where none goes with another. Features that never vary, whose own
    correlation is 0, are left out.
    """
    varying = correlation.diagonal() > 0.5
    values = np.linalg.eigvalsh(correlation[np.ix_(varying, varying)])
    return float(values.sum() ** 2 / (values**2).sum()) if len(values) else float("nan")


def intraclass(x: Float[np.ndarray, "files features"]) -> float:
    """Share of variance that lies between the features (columns), ICC(1) of a one-way analysis; NaN values are left out."""
    columns = [c[np.isfinite(c)] for c in x.T]
    columns = [c for c in columns if len(c) > 1]
    if len(columns) < 2:
        return float("nan")
    sizes = np.array([len(c) for c in columns])
    means, total = np.array([c.mean() for c in columns]), np.concatenate(columns)
    between = float((sizes * (means - total.mean()) ** 2).sum() / (len(columns) - 1))
    within = float(sum(((c - c.mean()) ** 2).sum() for c in columns) / (len(total) - len(columns)))
    size = (len(total) - (sizes**2).sum() / len(total)) / (len(columns) - 1)
    return float((between - within) / (between + (size - 1) * within)) if between + within > 0 else float("nan")


def morans_i(image: Float[np.ndarray, "height width"]) -> float:
    """Moran's I over neighbours that share a side: 1 for smooth maps, near 0 for values strewn at random; NaN if nothing varies."""
    x = np.asarray(image, np.float64) - np.mean(image)
    pairs = (x[1:] * x[:-1]).sum() + (x[:, 1:] * x[:, :-1]).sum()
    count = (x.shape[0] - 1) * x.shape[1] + x.shape[0] * (x.shape[1] - 1)
    variance = (x**2).mean()
    return float(pairs / count / variance) if count and variance > 0 else float("nan")


def crossed_ratio(
    sum_a: Vector, count_a: Vector, sum_b: Vector, count_b: Vector, rows: np.ndarray, columns: np.ndarray, draws: int = 2000, seed: int = 0
) -> Interval:
    """Mean of a over mean of b, each given as sums and counts of every item, resampled as in `crossed_pcc`."""
    draw_rows, draw_columns = _multiplicities(rows, columns, draws, seed)
    r_index, c_index = (np.unique(g, return_inverse=True)[1] for g in (rows, columns))
    weights = draw_rows[:, r_index] * draw_columns[:, c_index]
    with np.errstate(invalid="ignore", divide="ignore"):
        values = (weights @ sum_a / (weights @ count_a)) / (weights @ sum_b / (weights @ count_b))
    values = np.where(np.isfinite(values), values, np.nan)
    return Interval(float(values[0]), *np.nanquantile(values[1:], [0.025, 0.975]).tolist())


def _multiplicities(rows: np.ndarray, columns: np.ndarray, draws: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """How often each row and each column is drawn; the first draw is the data as they are."""
    rng = np.random.default_rng(seed)
    out = []
    for groups in (rows, columns):
        n = len(np.unique(groups))
        out.append(np.vstack([np.ones(n), rng.multinomial(n, np.full(n, 1 / n), size=draws)]))
    return out[0], out[1]


def ceiling(mos: Vector, std: Vector, votes: Vector, rows: np.ndarray, by: Literal["item", "row"] = "item") -> float:
    """The correlation with these listeners' means that a perfect predictor of the true means would reach.

    A mean of n votes with standard deviation s has the error variance s²/n. Reliability is 1 - error variance / variance of the
    means (classical test theory), and the ceiling its root. std : sample standard deviations (n - 1); by : as in `crossed_pcc`.
    """
    mos, std = _paired(mos, std)
    error = std**2 / np.asarray(votes, np.float64)
    if by == "row":
        index = np.unique(rows, return_inverse=True)[1]
        count = np.bincount(index)
        mos, error = np.bincount(index, mos) / count, np.bincount(index, error) / count**2
    variance = mos.var(ddof=1)
    return float(np.sqrt(max(0.0, 1 - error.mean() / variance))) if variance > 0 else float("nan")


def macro_f1(true: np.ndarray, predicted: np.ndarray) -> float:
    """Macro F1 in percent, over the classes that occur in either."""
    from sklearn.metrics import f1_score

    return 100 * float(f1_score(true, predicted, average="macro", zero_division=0))


def constant_f1(true: np.ndarray) -> float:
    """Macro F1 in percent of always naming the largest class."""
    return macro_f1(true, np.full(len(true), np.bincount(true).argmax()))
