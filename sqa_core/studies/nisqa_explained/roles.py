"""Which of the CNN's features plays which role. Feature numbers are arbitrary, so features are matched by their behaviour: they are selected
on one half of the talkers and evaluated on the other."""

from functools import lru_cache

import numpy as np
import pandas as pd

from ... import metrics
from ...results.records import Record
from .trials import correlation_of

CHOOSING, JUDGING = ("en", "it", "en-m6", "de-steph"), ("fr", "ru", "fr-m6", "it-steph")


@lru_cache(maxsize=32)
def roles(features: Record) -> dict[str, int]:
    """The feature that follows cuts, the one that follows pauses, its opposite, and the one that follows noise."""
    items = features.items()
    items = items[items["talker"].isin(CHOOSING)]
    by_feature = items.groupby("feature")
    cut, pause = (by_feature[c].mean() for c in ("auc_cut", "auc_pause"))
    pause_feature = int((pause - 0.5).abs().idxmax())
    return {
        "cut": int((cut - 0.5).abs().idxmax()),
        "pause": pause_feature,
        "voice": int(correlation(features, CHOOSING)[pause_feature].argmin()),
        "noise": (*_by_noise(items), 0)[0],
    }


def shown_roles(features: Record) -> dict[str, int]:
    """The same, and, where the feature that follows noise has another role too, the next one that follows noise."""
    chosen, items = roles(features), features.items()
    others = [f for f in _by_noise(items[items["talker"].isin(CHOOSING)]) if f not in chosen.values()]
    twice = list(chosen.values()).count(chosen["noise"]) > 1
    return chosen | {"noise, second best": others[0]} if twice and others else chosen


def _by_noise(items: pd.DataFrame) -> list[int]:
    """Features, the one first whose mean follows the SNR best."""
    noisy = items[items["kind"] == "noise"]
    follows = {
        int(f): metrics.srcc(g["mean"].to_numpy(float), g["snr_db"].to_numpy(float))
        for f, g in noisy.groupby("feature")
        if g["mean"].std() > 0
    }
    return sorted(follows, key=lambda f: -abs(follows[f]))


def moments_of(features: Record, talkers: tuple[str, ...]) -> np.ndarray:
    """Sums of products of the files of some talkers; all files if none is named."""
    of_files = features.items().drop_duplicates("file")["talker"]
    moments = features.arrays()["moments"]
    return moments[of_files.isin(talkers).to_numpy()] if talkers else moments


def correlation(features: Record, talkers: tuple[str, ...] = ()) -> np.ndarray:
    """Correlation of the features over all segments."""
    return correlation_of(moments_of(features, talkers).sum(axis=0))
