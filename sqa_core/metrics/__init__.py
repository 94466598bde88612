"""Metrics: arrays in, numbers out. Agreement with listeners, classification, intervals, parts of a variance, and properties of maps and features."""

from .agreement import ceiling, pcc, rmse, srcc
from .calibration import Calibrated, Mapping, calibrated, fit_mapping
from .classification import auc, macro_f1, majority_f1, scores, weighted_macro_f1
from .intervals import (
    Draws,
    Interval,
    bias_corrected,
    confidence_t,
    two_way_bootstrap_mean,
    two_way_bootstrap_pcc,
    two_way_bootstrap_ratio,
    weighted_pcc,
)
from .maps import intraclass, morans_i, participation_ratio, rank_correlation
from .variance import nested_spread, spread_interval, variance_shares

__all__ = [
    "Calibrated",
    "Draws",
    "Interval",
    "Mapping",
    "auc",
    "bias_corrected",
    "calibrated",
    "ceiling",
    "confidence_t",
    "fit_mapping",
    "intraclass",
    "macro_f1",
    "majority_f1",
    "morans_i",
    "nested_spread",
    "participation_ratio",
    "pcc",
    "rank_correlation",
    "rmse",
    "scores",
    "spread_interval",
    "srcc",
    "two_way_bootstrap_mean",
    "two_way_bootstrap_pcc",
    "two_way_bootstrap_ratio",
    "variance_shares",
    "weighted_macro_f1",
    "weighted_pcc",
]
