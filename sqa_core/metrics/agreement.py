"""Agreement between predicted and subjective scores, and the best agreement that the listeners' own spread allows."""

from typing import Literal

import numpy as np
from jaxtyping import Real
from scipy import stats

from ..errors import SettingsError

Vector = Real[np.ndarray, " n"]


def pcc(x: Vector, y: Vector) -> float:
    """Pearson's correlation coefficient.

    Returns
    -------
    float in [-1, 1]; NaN if one of the series is constant.

    Raises
    ------
    SettingsError
        The series differ in length, have fewer than two values, or hold NaN.

    Examples
    --------
    >>> round(pcc(np.array([1.0, 2.0, 3.0]), np.array([1.0, 3.0, 2.0])), 3)
    0.5
    """
    x, y = paired(x, y)
    if not (_varies(x) and _varies(y)):
        return float("nan")
    return float(stats.pearsonr(x, y).statistic)


def srcc(x: Vector, y: Vector) -> float:
    """Spearman's rank correlation coefficient; ties share their mean rank. Returns and raises as `pcc`.

    Parameters
    ----------
    x, y : (n,)

    Returns
    -------
    float in [-1, 1]; NaN if one of the series is constant.

    Examples
    --------
    >>> round(srcc(np.array([1.0, 2.0, 3.0]), np.array([10.0, 100.0, 1000.0])), 3)
    1.0
    """
    x, y = paired(x, y)
    return pcc(stats.rankdata(x), stats.rankdata(y))


def rmse(x: Vector, y: Vector) -> float:
    """Root mean squared difference, in the unit of x and y. Raises as `pcc`.

    Parameters
    ----------
    x, y : (n,)

    Returns
    -------
    float, in the unit of x and y.

    Examples
    --------
    >>> rmse(np.array([1.0, 2.0]), np.array([2.0, 3.0]))
    1.0
    """
    x, y = paired(x, y)
    return float(np.sqrt(np.mean((x - y) ** 2)))


def paired(x: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Both series in double precision, after checking that they can be compared; raises as `pcc`."""
    x, y = np.asarray(x, np.float64), np.asarray(y, np.float64)
    if x.shape != y.shape or x.ndim != 1 or len(x) < 2:
        raise SettingsError(f"The two series must have one length of at least 2; they have the shapes {x.shape} and {y.shape}.")
    if not (np.isfinite(x).all() and np.isfinite(y).all()):
        raise SettingsError("A series holds NaN or infinite values; leave failed files out first, and report how many.")
    return x, y


def _varies(x: np.ndarray) -> bool:
    """Whether the spread of a series is more than rounding."""
    sum_of_squares = float(np.sum((x - x.mean()) ** 2))
    return sum_of_squares > 1e-20 * (1 + sum_of_squares) and sum_of_squares > 1e-28 * float(np.sum(x**2))


def ceiling(mos: Vector, std: Vector, votes: Vector, rows: np.ndarray, by: Literal["item", "row"] = "item") -> float:
    """The correlation with these listeners' means that a perfect predictor of the true means would reach.

    A mean of n votes with standard deviation s has the error variance s²/n. Reliability is 1 - error variance / variance of the
    means (classical test theory), and the ceiling is its square root.

    Parameters
    ----------
    mos, std, votes : (items,)
        Mean opinion scores, their sample standard deviations (n - 1), and numbers of votes.
    rows : (items,)
        The group of each item, such as its condition.
    by : "item" or "row"
        Whether items or the means of the groups are correlated.

    Returns
    -------
    float in [0, 1]; NaN if the means do not vary.

    Examples
    --------
    >>> mos, std, votes = np.array([1.0, 2.0, 3.0, 4.0]), np.full(4, 1.0), np.full(4, 10)
    >>> round(ceiling(mos, std, votes, rows=np.arange(4)), 3)
    0.97
    """
    mos, std = paired(mos, std)
    error = std**2 / np.asarray(votes, np.float64)
    if by == "row":
        index = np.unique(rows, return_inverse=True)[1]
        count = np.bincount(index)
        mos, error = np.bincount(index, mos) / count, np.bincount(index, error) / count**2
    variance = mos.var(ddof=1)
    return float(np.sqrt(max(0.0, 1 - error.mean() / variance))) if variance > 0 else float("nan")
