"""Which pairs sound alike: support vector machines on judgements by level and gap, and a stated psychometric function in SNR (paper 001)."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from jaxtyping import Float
from sklearn.calibration import CalibratedClassifierCV
from sklearn.metrics import roc_auc_score
from sklearn.model_selection import GridSearchCV, LeaveOneGroupOut
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVC

from ..corpora.jnd_pairs import PairLaw

FEATURES = ("level_db", "gap_db")
GRID = {"svc__C": [1.0, 10.0], "svc__gamma": [0.5, 2.0]}
MIDPOINT_DB = 3.0  # just-noticeable difference of SNR, McShefferty et al., Trends in Hearing 2015
SLOPE_PER_DB = 1.0  # of the logistic function at its midpoint, times 4; ours, since only the midpoint is taken from there


def svm() -> Pipeline:
    """A support vector machine with a radial kernel on standardised features."""
    return make_pipeline(StandardScaler(), SVC(kernel="rbf"))


def fitted(
    features: Float[np.ndarray, "pairs features"], different: np.ndarray, groups: np.ndarray, grid: dict | None = None
) -> GridSearchCV:
    """The SVM with the greatest area under the ROC curve over groups left out, one at a time, refitted on all pairs.

    Parameters
    ----------
    features : (pairs, features)
        Level or SNR, and gap, in dB.
    different : (pairs,)
        1 where the two sounds were called different, else 0.
    groups : (pairs,)
        The group of each pair, such as its kind of sound.
    grid : Values to choose among, by the names of the settings of `svm`; `GRID` if not given.

    Returns
    -------
    The fitted search; it predicts by the refitted SVM.

    Raises
    ------
    ValueError
        There are fewer than two groups, or all pairs have the same answer.
    """
    search = GridSearchCV(svm(), grid or GRID, scoring="roc_auc", cv=LeaveOneGroupOut())
    return search.fit(features, different, groups=groups)


@dataclass(frozen=True)
class HeldOut:
    """Answers on a kind that was not trained on: which pairs (positions in the table), the SVM's value for each, higher for
    "different", its probability of "different", and the settings that were chosen."""

    kind: str
    pairs: np.ndarray
    value: np.ndarray
    probability: np.ndarray
    settings: dict


def held_out(table: pd.DataFrame, kind: str, grid: dict | None = None) -> HeldOut:
    """Train on the other kinds of a table of judgements, settings chosen among them, and answer for this one.

    Parameters
    ----------
    table : One row per pair with `kind`, `level_db`, `gap_db` and `different` (0 or 1), such as the table of `dpam_jnd.load`.
    kind : The kind that is not trained on.
    grid : As in `fitted`.

    Returns
    -------
    The answers for the pairs of this kind. `value` is the decision function of the SVM that was refitted on all other kinds.
    `probability` is the mean over SVMs that were each fitted without one of those kinds and calibrated on it by a sigmoid.

    Raises
    ------
    ValueError
        No pair is of this kind, the others are of fewer than two kinds, or all of them have the same answer.
    """
    here = (table["kind"] == kind).to_numpy()
    features, different = table[list(FEATURES)].to_numpy(float), table["different"].to_numpy(int)
    search = fitted(features[~here], different[~here], table["kind"].to_numpy()[~here], grid)
    groups = pd.factorize(table["kind"][~here])[0]
    folds = list(LeaveOneGroupOut().split(features[~here], different[~here], groups))
    calibrated = CalibratedClassifierCV(svm().set_params(**search.best_params_), method="sigmoid", cv=folds)
    calibrated.fit(features[~here], different[~here])
    value = search.decision_function(features[here])
    return HeldOut(kind, np.flatnonzero(here), value, calibrated.predict_proba(features[here])[:, 1], search.best_params_)


def auc_and_error(value: np.ndarray, probability: np.ndarray, different: np.ndarray, bins: int = 10) -> dict[str, float]:
    """Area under the ROC curve, accuracy, and expected calibration error of answers "different".

    The calibration error is the mean distance between the mean probability in a bin and the share in it that was different, weighted by the
    number of pairs in the bin.

    Parameters
    ----------
    value : (pairs,)
        Higher for "different"; only the order counts.
    probability : (pairs,)
        Of "different", in [0, 1].
    different : (pairs,)
        The true answers, 0 or 1; both must occur.
    bins : Number of bins of equal width.

    Returns
    -------
    "auc" from `value`, "accuracy" (answers by a probability above 0.5) and "calibration_error" from `probability`, all in [0, 1].
    """
    edges = np.linspace(0, 1, bins + 1)[1:-1]
    bin_of = np.digitize(probability, edges)
    error = sum(
        (bin_of == b).mean() * abs(probability[bin_of == b].mean() - different[bin_of == b].mean())
        for b in range(bins)
        if (bin_of == b).any()
    )
    right = (probability > 0.5) == (different == 1)
    return {"auc": float(roc_auc_score(different, value)), "accuracy": float(right.mean()), "calibration_error": float(error)}


def told_apart(gap_db: np.ndarray, midpoint_db: float = MIDPOINT_DB) -> np.ndarray:
    """The stated psychometric function: the probability that a gap of SNR is noticed, logistic, 0.5 at its midpoint.

    Parameters
    ----------
    gap_db : any shape, dB.
    midpoint_db : dB; the default is that of McShefferty et al. (2015).

    Returns
    -------
    Probabilities of the shape of `gap_db`.

    Examples
    --------
    >>> told_apart(np.array([0.0, 3.0, 6.0])).round(2)
    array([0.05, 0.5 , 0.95])
    """
    return 1 / (1 + np.exp(-SLOPE_PER_DB * (np.abs(gap_db) - midpoint_db)))


def simulated(count: int, seed: int, widest_db: float = 12.0, midpoint_db: float = MIDPOINT_DB) -> pd.DataFrame:
    """Pairs whose answers are drawn from the psychometric function `told_apart`: no listener gave them.

    Parameters
    ----------
    count : Number of pairs.
    seed : Of the draws.
    widest_db : Upper end of the gaps.
    midpoint_db : The gap that is noticed with a probability of 0.5; the default is that of McShefferty et al. (2015).

    Returns
    -------
    One row per pair with `snr_db` (uniform over the range of `PairLaw`), `gap_db` (uniform from 0 to `widest_db`) and `different` (0 or 1).
    """
    rng = np.random.default_rng(seed)
    snr, gap = rng.uniform(*PairLaw().snr_db, count), rng.uniform(0, widest_db, count)
    return pd.DataFrame({"snr_db": snr, "gap_db": gap, "different": (rng.random(count) < told_apart(gap, midpoint_db)).astype(int)})


def surface(
    classifier: Pipeline | GridSearchCV, first: Sequence[float], gaps: Float[np.ndarray, " gaps"]
) -> Float[np.ndarray, "values gaps"]:
    """The decision function over a grid: above 0 a pair is called different.

    Parameters
    ----------
    classifier : Fitted on the first feature (level or SNR) and the gap, both in dB.
    first : (values,)
        In dB.
    gaps : (gaps,)
        In dB.

    Returns
    -------
    (values, gaps).
    """
    grid = np.stack(np.meshgrid(first, gaps, indexing="ij"), axis=-1)
    return classifier.decision_function(grid.reshape(-1, 2)).reshape(len(first), len(gaps))


def threshold_db(values: Float[np.ndarray, "values gaps"], gaps: Float[np.ndarray, " gaps"]) -> Float[np.ndarray, " values"]:
    """For each value of the first feature (level or SNR), the least gap that is called different.

    Parameters
    ----------
    values : (values, gaps)
        As from `surface`.
    gaps : (gaps,)
        In dB, in rising order.

    Returns
    -------
    (values,), in dB; NaN where no gap is called different.
    """
    called = values > 0
    return np.where(called.any(axis=1), gaps[called.argmax(axis=1)], np.nan)


SHARE_PAIRS = 4000


def share_inside(classifier: Pipeline | GridSearchCV, law: PairLaw, first: np.ndarray) -> float:
    """The share of pairs with gaps drawn by a law that an SVM calls the same; 96.73 % in the paper.

    Parameters
    ----------
    classifier : Fitted on the first feature (level or SNR) and the gap, both in dB.
    law : Only its `gap_db` counts.
    first : (values,)
        Values of the first feature in dB; one of them is drawn for each of the `SHARE_PAIRS` pairs.

    Returns
    -------
    float in [0, 1], the same for the same arguments.
    """
    rng = np.random.default_rng(0)
    features = np.column_stack([rng.choice(first, SHARE_PAIRS), rng.uniform(*law.gap_db, SHARE_PAIRS)])
    return float((classifier.predict(features) == 0).mean())
