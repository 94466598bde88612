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
    """The SVM with the greatest area under the ROC curve over groups left out, one at a time, refitted on all pairs. grid : of its settings; `GRID` if not
    given."""
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
    """Train on the other kinds of a table of judgements (`dpam_jnd.load`), settings chosen among them, and answer for this one."""
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
    """Area under the ROC curve, accuracy, and the expected calibration error: the mean distance between the probability of a bin and the
    share in it that was different, weighted by the pairs in it."""
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
    """The stated psychometric function: the probability that a gap of SNR in dB is noticed, logistic, 0.5 at its midpoint.

    Examples
    --------
    >>> told_apart(np.array([0.0, 3.0, 6.0])).round(2)
    array([0.05, 0.5 , 0.95])
    """
    return 1 / (1 + np.exp(-SLOPE_PER_DB * (np.abs(gap_db) - midpoint_db)))


def simulated(count: int, seed: int, widest_db: float = 12.0, midpoint_db: float = MIDPOINT_DB) -> pd.DataFrame:
    """Pairs with `snr_db` uniform as in `PairLaw`, `gap_db` uniform up to `widest_db`, and `different` drawn from the psychometric function:
    no listener said so."""
    rng = np.random.default_rng(seed)
    snr, gap = rng.uniform(*PairLaw().snr_db, count), rng.uniform(0, widest_db, count)
    return pd.DataFrame({"snr_db": snr, "gap_db": gap, "different": (rng.random(count) < told_apart(gap, midpoint_db)).astype(int)})


def threshold_db(classifier: Pipeline | GridSearchCV, first: Sequence[float], gaps: np.ndarray) -> np.ndarray:
    """For each value of the first feature (level or SNR), the least gap in dB that is called different; NaN where none is."""
    out = []
    for value in first:
        called = classifier.predict(np.column_stack([np.full(len(gaps), value), gaps])) == 1
        out.append(gaps[called.argmax()] if called.any() else np.nan)
    return np.array(out)


SHARE_PAIRS = 4000


def share_inside(classifier: Pipeline | GridSearchCV, law: PairLaw, first: np.ndarray) -> float:
    """The share of pairs with gaps drawn by a law that an SVM calls the same; 96.73 % in the paper. first : values of the SVM's first
    feature, level or SNR, one of which is drawn for each pair."""
    rng = np.random.default_rng(0)
    features = np.column_stack([rng.choice(first, SHARE_PAIRS), rng.uniform(*law.gap_db, SHARE_PAIRS)])
    return float((classifier.predict(features) == 0).mean())
