"""Classification: macro F1 beside its majority-class baseline, scores of each class, area under the ROC curve."""

from typing import Any

import numpy as np
from jaxtyping import Float, Real

from ..errors import SettingsError

Vector = Real[np.ndarray, " n"]


def macro_f1(true: np.ndarray, predicted: np.ndarray) -> float:
    """Macro-averaged F1 in percent, over the classes that occur in either series.

    Parameters
    ----------
    true, predicted : (items,) class numbers or names.

    Returns
    -------
    float, in percent.

    Examples
    --------
    >>> round(macro_f1(np.array([0, 0, 1, 1]), np.array([0, 0, 1, 0])), 2)
    73.33
    """
    from sklearn.metrics import f1_score

    return 100 * float(f1_score(true, predicted, average="macro", zero_division=0))


def majority_f1(true: np.ndarray) -> float:
    """Macro F1 in percent of the majority-class baseline, which predicts the most frequent class for every item.

    Parameters
    ----------
    true : (items,) class numbers from 0.

    Returns
    -------
    float, in percent.

    Examples
    --------
    >>> round(majority_f1(np.array([0, 0, 1, 2])), 1)
    22.2
    """
    return macro_f1(true, np.full(len(true), np.bincount(true).argmax()))


def auc(scores: Vector, positive: np.ndarray) -> float:
    """Area under the ROC curve: how often a positive item has the higher score, ties counted half.

    Returns
    -------
    float in [0, 1]; NaN if there are no positive or no negative items.

    Examples
    --------
    >>> auc(np.array([0.1, 0.4, 0.35, 0.8]), np.array([False, False, True, True]))
    0.75
    """
    from sklearn.metrics import roc_auc_score

    positive = np.asarray(positive, bool)
    return float(roc_auc_score(positive, scores)) if positive.any() and not positive.all() else float("nan")


def scores(true: np.ndarray, predicted: np.ndarray, classes: list[str]) -> dict[str, Any]:
    """What a record keeps of a test: macro F1, accuracy and F1 of each class in percent, the majority-class baseline
    (`constant_f1`, the name that stored records have), and the number of tested files.

    Parameters
    ----------
    true, predicted : (files,) indices into `classes`.
    classes : Their names.

    Returns
    -------
    Numbers by the names that records have.
    """
    from sklearn.metrics import f1_score

    each = f1_score(true, predicted, labels=range(len(classes)), average=None, zero_division=0)
    return {
        "f1": macro_f1(true, predicted),
        "constant_f1": majority_f1(true),
        "accuracy": 100 * float(np.mean(true == predicted)),
        "tested": len(true),
        "class_f1": {name: 100 * float(f) for name, f in zip(classes, each, strict=True)},
    }


def weighted_macro_f1(
    true: np.ndarray, predicted: np.ndarray, weights: Float[np.ndarray, "draws files"], classes: int
) -> Float[np.ndarray, " draws"]:
    """Macro F1 in percent for each row of file weights, over the classes that occur in that row: the bootstrap's inner step.

    Parameters
    ----------
    true : (files,)
        Class numbers from 0.
    predicted : (runs, files)
        Predictions of several runs, such as seeds; the result is the mean over runs.
    weights : (draws, files)
        How often each draw holds each file; counts of files are exact in single precision, too.

    Returns
    -------
    (draws,), in percent.

    Raises
    ------
    SettingsError
        Shapes that do not match.

    Examples
    --------
    >>> weighted_macro_f1(np.array([0, 0, 1, 1]), np.array([[0, 0, 1, 0]]), np.ones((1, 4)), 2).round(2)
    array([73.33])
    """
    if predicted.ndim != 2 or predicted.shape[1] != len(true) or weights.shape[1] != len(true):
        raise SettingsError(f"Labels {true.shape}, predictions {predicted.shape} and weights {weights.shape} do not belong together.")
    one_hot = np.eye(classes, dtype=weights.dtype)
    truths, answers = one_hot[true], one_hot[predicted]  # (files, classes), (runs, files, classes)
    true_count = weights @ truths
    # One product for all runs: hits and answers side by side.
    stacked = np.concatenate([answers * truths, answers], axis=2).transpose(1, 0, 2).reshape(len(true), -1)
    counted = (weights @ stacked).reshape(len(weights), len(predicted), 2 * classes).astype(float)
    hits, answer_count = counted[..., :classes], counted[..., classes:]
    total = answer_count + true_count.astype(float)[:, None]
    occurs = total > 0
    f1 = np.where(occurs, 2 * hits / np.maximum(total, 1), 0.0).sum(axis=2) / occurs.sum(axis=2)
    return 100 * f1.mean(axis=1)
