"""Properties of maps and features: how many features a set holds in effect, how smooth a map is, how alike two maps are."""

import numpy as np
from jaxtyping import Float

from .agreement import srcc


def participation_ratio(correlation: Float[np.ndarray, "features features"]) -> float:
    """Effective number of features: (sum of eigenvalues)² over the sum of their squares, of their correlation matrix.

    1 if all features are perfectly correlated, n if all n are uncorrelated. Constant features, whose own correlation is 0, are
    left out; NaN if none is left.

    Parameters
    ----------
    correlation : Correlation matrix.

    Returns
    -------
    float from 1 to the number of features.

    Examples
    --------
    >>> round(participation_ratio(np.eye(3)), 2), round(participation_ratio(np.ones((3, 3))), 2)
    (3.0, 1.0)
    """
    varying = correlation.diagonal() > 0.5
    kept = correlation[np.ix_(varying, varying)]
    # The trace is the sum of the eigenvalues, the sum of squares that of their squares.
    return float(np.trace(kept) ** 2 / np.square(kept).sum()) if len(kept) else float("nan")


def intraclass(x: Float[np.ndarray, "files features"]) -> float:
    """Share of the variance between features (columns): ICC(1) of a one-way analysis of variance.

    NaN values are left out; the result is NaN with fewer than two features of at least two values.

    Parameters
    ----------
    x : One row per file, one column per feature.

    Returns
    -------
    float, at most 1; below 0 where values of one feature differ more than features do.

    Examples
    --------
    >>> round(intraclass(np.array([[1.0, 5.0], [1.2, 5.2], [0.8, 4.8]])), 3)
    0.995
    """
    finite = np.isfinite(x)
    kept = finite.sum(axis=0) > 1
    if kept.sum() < 2:
        return float("nan")
    values, finite = np.where(finite, x, 0.0)[:, kept].astype(float), finite[:, kept]
    sizes = finite.sum(axis=0)
    count, columns = int(sizes.sum()), len(sizes)
    means = values.sum(axis=0) / sizes
    between = float((sizes * (means - values.sum() / count) ** 2).sum() / (columns - 1))
    within = float((np.where(finite, values - means, 0.0) ** 2).sum() / (count - columns))
    size = (count - (sizes**2).sum() / count) / (columns - 1)
    return float((between - within) / (between + (size - 1) * within)) if between + within > 0 else float("nan")


def morans_i(image: Float[np.ndarray, "height width"]) -> float:
    """Moran's I over neighbours that share a side: 1 for smooth maps, near 0 for values at random; NaN for a constant map.

    Parameters
    ----------
    image : Finite values.

    Returns
    -------
    float from about -1 to 1.

    Examples
    --------
    >>> round(morans_i(np.outer(np.arange(8.0), np.ones(8))), 2)
    0.86
    """
    x = np.asarray(image, np.float64) - np.mean(image)
    pairs = (x[1:] * x[:-1]).sum() + (x[:, 1:] * x[:, :-1]).sum()
    count = (x.shape[0] - 1) * x.shape[1] + x.shape[0] * (x.shape[1] - 1)
    variance = (x**2).mean()
    return float(pairs / count / variance) if count and variance > 0 else float("nan")


def rank_correlation(a: np.ndarray, b: np.ndarray) -> float:
    """Spearman's correlation of the absolute values of two maps of one shape, over the points that are finite in both.

    Parameters
    ----------
    a, b : Of one shape; NaN is left out.

    Returns
    -------
    float from -1 to 1.

    Examples
    --------
    >>> round(rank_correlation(np.array([1.0, -2.0, 3.0]), np.array([0.1, 0.2, -0.3])), 3)
    1.0
    """
    both = np.isfinite(a) & np.isfinite(b)
    return srcc(np.abs(a[both]), np.abs(b[both]))
