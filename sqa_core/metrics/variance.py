"""Where a variance comes from: shares of what rows, columns and groups of rows add, and standard deviations between nested groups."""

import numpy as np
from jaxtyping import Float, Shaped

from .intervals import Interval

SIMULATED, CANDIDATES = 400, 25  # sets of values for each of so many standard deviations


def variance_shares(values: Shaped[np.ndarray, "rows columns"], groups: Shaped[np.ndarray, " rows"]) -> Float[np.ndarray, " 4"]:
    """The parts of the variance of a table with one value per row and column, by the mean squares of a two-way analysis of variance without
    replication. A negative estimate counts as 0, and so do the groups if there is one only.

    Parameters
    ----------
    values : (rows, columns)
        Such as errors by item and language.
    groups : (rows,)
        Names of what splits the rows, such as voices.

    Returns
    -------
    (4,) in percent: between columns, between groups, between the rows of a group, and the rest.

    Examples
    --------
    >>> values = np.array([[0.0, 1.0], [0.0, 1.0], [0.0, 1.0], [0.0, 1.0]])
    >>> variance_shares(values, np.array(["a", "a", "b", "b"])).round()
    array([100.,   0.,   0.,   0.])
    """
    rows, columns = values.shape
    mean = values.mean()
    of_column, of_row = values.mean(axis=0) - mean, values.mean(axis=1) - mean
    rest = ((values - mean - of_column - of_row[:, None]) ** 2).sum() / ((rows - 1) * (columns - 1))
    column = (of_column**2).sum() / (columns - 1) - rest / rows
    names, index = np.unique(groups, return_inverse=True)
    sizes = np.bincount(index)
    means = np.bincount(index, of_row) / sizes
    within = ((of_row - means[index]) ** 2).sum() / max(1, rows - len(names))
    usual = (rows - (sizes**2).sum() / rows) / max(1, len(names) - 1)  # rows of a group, as an analysis with unequal groups counts them
    group = ((sizes * means**2).sum() / max(1, len(names) - 1) - within) / usual if len(names) > 1 else 0.0
    parts = np.maximum([column, group, within - rest / columns, rest], 0.0)
    return 100 * parts / max(parts.sum(), 1e-12)


def nested_spread(
    values: Shaped[np.ndarray, "*sets n"], groups: Shaped[np.ndarray, " n"], subgroups: Shaped[np.ndarray, " n"]
) -> Float[np.ndarray, "*sets 3"]:
    """Standard deviations between groups, between the subgroups of a group, and within these, by the mean squares of a nested analysis of
    variance with unequal numbers (Searle, Casella and McCulloch, Variance Components, 1992). A negative estimate counts as 0.

    Parameters
    ----------
    values : (…, n)
    groups, subgroups : (n,)
        Numbers from 0. A subgroup belongs to one group.

        At least two groups and, in one of them, two subgroups.

    Returns
    -------
    (…, 3): between groups, between the subgroups of a group, within a subgroup.

    Examples
    --------
    >>> nested_spread(np.array([0, 0, 2, 2, 0, 0, 2, 2.0]), np.array([0, 0, 0, 0, 1, 1, 1, 1]), np.array([0, 0, 1, 1, 2, 2, 3, 3])).round(3)
    array([0.   , 1.414, 0.   ])
    """
    in_sub, in_group = np.eye(subgroups.max() + 1)[subgroups], np.eye(groups.max() + 1)[groups]
    per_sub, per_group = in_sub.sum(axis=0), in_group.sum(axis=0)
    total, subs, count = len(groups), len(per_sub), len(per_group)

    of_sub, of_group = ((values @ x) ** 2 / n for x, n in ((in_sub, per_sub), (in_group, per_group)))
    within = ((values**2).sum(axis=-1) - of_sub.sum(axis=-1)) / (total - subs)
    between_sub = (of_sub.sum(axis=-1) - of_group.sum(axis=-1)) / (subs - count)
    between = (of_group.sum(axis=-1) - values.sum(axis=-1) ** 2 / total) / (count - 1)

    squares = in_group.T @ (in_sub @ per_sub)  # sum of the squared sizes of a group's subgroups
    sub = np.maximum(0, (between_sub - within) * (subs - count) / (total - (squares / per_group).sum()))
    from_sub = ((squares / per_group).sum() - squares.sum() / total) / (count - 1)
    group = np.maximum(0, (between - within - from_sub * sub) * (count - 1) / (total - (per_group**2).sum() / total))
    return np.sqrt(np.stack([group, sub, np.maximum(0, within)], axis=-1))


def spread_interval(
    values: Shaped[np.ndarray, " n"], groups: Shaped[np.ndarray, " n"], subgroups: Shaped[np.ndarray, " n"], which: int
) -> Interval:
    """One of the standard deviations of `nested_spread` with its 95 % interval: the values under which simulated normal data give an
    estimate as low, and one as high, as the estimate here in at least 2.5 % of the cases; of 25 values up to three times the estimate.

    Parameters
    ----------
    values, groups, subgroups : (n,)
        As for `nested_spread`.
    which : 0 for that between groups, 1 for that between the subgroups of a group.

    Returns
    -------
    Estimate and interval, whose ends are NaN where no candidate fits.
    """
    found = nested_spread(values, groups, subgroups)
    rng = np.random.default_rng(0)
    parts = (
        rng.standard_normal((SIMULATED, groups.max() + 1))[:, groups],
        rng.standard_normal((SIMULATED, subgroups.max() + 1))[:, subgroups],
        rng.standard_normal((SIMULATED, len(values))),
    )
    inside = []
    for candidate in np.linspace(0, 3 * max(found[which], values.std() / 3), CANDIDATES):
        sizes = [candidate if i == which else size for i, size in enumerate(found)]
        simulated = nested_spread(sum(size * part for size, part in zip(sizes, parts, strict=True)), groups, subgroups)[:, which]
        if min((simulated >= found[which]).mean(), (simulated <= found[which]).mean()) >= 0.025:
            inside.append(float(candidate))
    return Interval(float(found[which]), min(inside, default=np.nan), max(inside, default=np.nan))
