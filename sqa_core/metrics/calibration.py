"""Mapping predicted scores to a listening test's scale before they are compared, after ITU-T P.1401 (2020).

Listening tests differ in offset and slope, and a predictor is not blamed for that: a monotone polynomial of first or third order is fitted
for each test, and errors are counted after it. What the fit takes from the data is shown by the degrees of freedom, and by fitting and
testing on different files.
"""

from typing import Literal, NamedTuple

import numpy as np
from jaxtyping import Float
from scipy import optimize, stats

from ..errors import SettingsError
from .agreement import Vector, paired, pcc, srcc

Order = Literal[0, 1, 3]


class Mapping(NamedTuple):
    """A fitted polynomial: its order, and its coefficients from the constant to the highest power."""

    order: Order
    coefficients: tuple[float, ...]

    def __call__(self, x: Vector) -> Float[np.ndarray, " n"]:
        """Mapped scores."""
        return np.polynomial.polynomial.polyval(np.asarray(x, np.float64), self.coefficients)


def fit_mapping(predicted: Vector, target: Vector, order: Order = 3) -> Mapping:
    """The polynomial that brings predicted scores closest to the target's, in the least squares, without ever falling.

    Parameters
    ----------
    predicted, target : (n,)
    order : 0 leaves the scores as they are, 1 is a line, 3 a cubic. The slope is at least 0 at every predicted score.

    Returns
    -------
    The polynomial; call it to map scores.

    Raises
    ------
    SettingsError
        Fewer scores than coefficients, or scores that are not numbers.

    Examples
    --------
    >>> x = np.array([1.0, 2.0, 3.0, 4.0, 5.0])
    >>> fit_mapping(x, 0.5 * x + 1, order=1).coefficients
    (1.0, 0.5)
    """
    x, y = paired(predicted, target)
    if len(x) < order + 1:
        raise SettingsError(f"A mapping of order {order} needs at least {order + 1} scores, not {len(x)}.")
    if order == 0:
        return Mapping(0, (0.0, 1.0))
    if order == 1:
        slope = max(0.0, float(stats.linregress(x, y).slope)) if np.ptp(x) > 0 else 0.0
        return Mapping(1, (round(float(y.mean() - slope * x.mean()), 12), round(slope, 12)))
    return Mapping(3, _monotone_cubic(x, y))


RIDGE = 1e-9  # keeps the fit of fewer than four different scores defined
SLOPES = 201  # places between the least and the greatest score at which the slope must not be negative


def _monotone_cubic(x: np.ndarray, y: np.ndarray) -> tuple[float, ...]:
    """Least squares under a slope of at least 0 at `SLOPES` places between the least and the greatest score.

    Scores are first brought to [-1, 1], where the powers are of one size. The problem is convex and is solved in its dual, which is a
    least squares fit with non-negative coefficients. NISQA's code searches from the identity and constrains the slope at the scores
    alone, between which a cubic of few scores may still fall.
    """
    middle, half = (x.max() + x.min()) / 2, max(np.ptp(x) / 2, 1e-12)
    powers = np.vander((x - middle) / half, 4, increasing=True)
    z = np.linspace(-1, 1, SLOPES)
    slopes = np.stack([np.zeros(SLOPES), np.ones(SLOPES), 2 * z, 3 * z**2], axis=1)
    free, *_ = np.linalg.lstsq(powers, y, rcond=None)
    if (slopes @ free).min() >= 0:
        return _unscaled(free, middle, half)
    triangle = np.asarray(np.linalg.qr(np.concatenate([powers, RIDGE * np.eye(4)]), mode="r"))
    inverse = np.linalg.inv(triangle)
    weights, _ = optimize.nnls(inverse.T @ slopes.T, -triangle @ free)
    return _unscaled(free + inverse @ inverse.T @ slopes.T @ weights, middle, half)


def _unscaled(b: np.ndarray, middle: float, half: float) -> tuple[float, ...]:
    """Coefficients in x of a polynomial in (x - middle) / half."""
    polynomial = np.polynomial.Polynomial(b)(np.polynomial.Polynomial([-middle / half, 1 / half]))
    return tuple(float(c) for c in np.pad(polynomial.coef, (0, 4 - len(polynomial.coef))))


class Calibrated(NamedTuple):
    """Agreement after a mapping. rmse divides by n minus the mapping's coefficients (P.1401 eq. 7-7); rmse_low and rmse_high are its 95 %
    interval from the chi-squared distribution. rmse_star is the epsilon-insensitive RMSE*, NaN without the scores' own intervals."""

    pcc: float
    pcc_mapped: float
    srcc: float
    rmse: float
    rmse_low: float
    rmse_high: float
    rmse_star: float
    n: int


def calibrated(
    predicted: Vector, target: Vector, order: Order = 3, interval: Vector | None = None, folds: int = 0, seed: int = 0
) -> Calibrated:
    """Agreement of predicted scores with a target after a mapping of their own.

    Parameters
    ----------
    predicted, target : (n,)
    order : as in `fit_mapping`.
    interval : (n,) half widths of the target scores' 95 % intervals; then RMSE* counts only what lies outside of them.
    folds : 0 fits the mapping on all scores, as P.1401 does. With k, each k-th part is mapped by the fit of the others, drawn by `seed`:
        the difference is what the fit took from the data.

    Returns
    -------
    PCC before and after the mapping, SRCC, and the errors after it.

    Raises
    ------
    SettingsError
        Too few scores, or scores that are not numbers.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> y = rng.uniform(1, 5, 200)
    >>> found = calibrated(0.5 * y + 2 + rng.normal(0, 0.05, 200), y)
    >>> round(found.pcc_mapped, 2), round(found.rmse, 1)
    (1.0, 0.1)
    """
    x, y = paired(predicted, target)
    mapped = _cross_fitted(x, y, order, folds, seed) if folds else fit_mapping(x, y, order)(x)
    free = len(x) - (order + 1 if order and not folds else 0)
    if free < 1:
        raise SettingsError(f"{len(x)} scores leave no degrees of freedom after a mapping of order {order}.")
    error = np.abs(mapped - y)
    value = float(np.sqrt((error**2).sum() / free))
    low, high = (value * np.sqrt(free / stats.chi2.ppf(q, free)) for q in (0.975, 0.025))
    outside = float("nan") if interval is None else float(np.sqrt((np.maximum(0, error - np.asarray(interval, float)) ** 2).sum() / free))
    return Calibrated(pcc(x, y), pcc(mapped, y), srcc(x, y), value, float(low), float(high), outside, len(x))


def _cross_fitted(x: np.ndarray, y: np.ndarray, order: Order, folds: int, seed: int) -> np.ndarray:
    if not 2 <= folds <= len(x):
        raise SettingsError(f"Cross-fitting needs from 2 to {len(x)} folds, not {folds}.")
    out = np.empty(len(x))
    part = np.random.default_rng(seed).permutation(len(x)) % folds
    for k in range(folds):
        out[part == k] = fit_mapping(x[part != k], y[part != k], order)(x[part == k])
    return out
