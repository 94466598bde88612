"""Mapping after P.1401: worked numbers, a brute-force fit, and what the fit may not do."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sqa_core.errors import SettingsError
from sqa_core.metrics import Mapping, calibrated, fit_mapping, pcc, srcc


def test_worked_numbers():
    """Five points, by hand: the line through them is y = 0.6 x + 1.2, its residuals -0.8, 0.6, 1.0, -0.6, -0.2."""
    x, y = np.array([1.0, 2.0, 3.0, 4.0, 5.0]), np.array([1.0, 3.0, 4.0, 3.0, 4.0])
    assert fit_mapping(x, y, 1).coefficients == pytest.approx((1.2, 0.6))
    found = calibrated(x, y, 1)
    assert found.rmse == pytest.approx(np.sqrt((0.64 + 0.36 + 1.0 + 0.36 + 0.04) / 3))
    assert found.pcc == pytest.approx(6 / np.sqrt(10 * 6))
    assert found.rmse_low < found.rmse < found.rmse_high
    assert (found.rmse_low, found.rmse_high) == pytest.approx(
        (found.rmse * np.sqrt(3 / 9.3484), found.rmse * np.sqrt(3 / 0.21580)), rel=1e-3
    )
    star = calibrated(x, y, 1, interval=np.full(5, 0.5))
    assert star.rmse_star == pytest.approx(np.sqrt((0.3**2 + 0.1**2 + 0.5**2 + 0.1**2) / 3))


@settings(deadline=None, max_examples=40)
@given(seed=st.integers(0, 10_000), noise=st.floats(0, 2), slope=st.floats(-1, 2), n=st.integers(6, 60))
def test_the_cubic_never_falls_and_none_that_rises_is_closer(seed, noise, slope, n):
    """Against many random monotone cubics around it, and against the constant and the line, which are cubics too."""
    rng = np.random.default_rng(seed)
    x = np.sort(rng.uniform(1, 5, n))
    y = np.clip(slope * (x - 3) + 3 + 0.4 * np.sin(2 * x) + rng.normal(0, noise, n), 1, 5)
    mapping = fit_mapping(x, y)
    grid = mapping(np.linspace(x[0], x[-1], 500))
    assert np.diff(grid).min() > -1e-5
    error = np.mean((mapping(x) - y) ** 2)
    assert error <= np.mean((fit_mapping(x, y, 1)(x) - y) ** 2) + 1e-6
    assert error <= y.var() + 1e-6
    for scale in (0.01, 0.1):
        for _ in range(60):
            nearby = Mapping(3, tuple(np.asarray(mapping.coefficients) + rng.normal(0, scale, 4) / 4.0 ** np.arange(4)))
            slope = np.polynomial.polynomial.polyval(np.linspace(x[0], x[-1], 500), np.polynomial.polynomial.polyder(nearby.coefficients))
            if slope.min() >= 0:
                assert error <= np.mean((nearby(x) - y) ** 2) + 1e-6


def test_offsets_go_and_ranks_stay():
    rng = np.random.default_rng(0)
    y = rng.uniform(1, 5, 300)
    x = y + rng.normal(0, 0.3, 300)
    for order in (1, 3):
        here, there = calibrated(x, y, order), calibrated(0.5 * x + 2, y, order)
        assert here.rmse == pytest.approx(there.rmse, abs=2e-3)
        assert (here.srcc, here.pcc) == pytest.approx((there.srcc, there.pcc))
    assert calibrated(x + 1, y, 0).rmse > 1
    mapped = fit_mapping(x, y)(x)
    assert srcc(mapped, y) == pytest.approx(srcc(x, y), abs=0.01)


def test_cross_fitting_shows_what_the_fit_took():
    rng = np.random.default_rng(1)
    own, crossed = [], []
    for _ in range(30):
        x, y = rng.normal(size=14), rng.normal(size=14)  # nothing to be predicted
        own.append(pcc(fit_mapping(x, y)(x), y) if np.ptp(fit_mapping(x, y)(x)) > 1e-6 else 0.0)
        crossed.append(np.corrcoef(_crossed(x, y), y)[0, 1])
    assert np.mean(own) > np.nanmean(crossed) + 0.2
    assert calibrated(x, y, folds=7).rmse > calibrated(x, y).rmse * np.sqrt(10 / 14)


def _crossed(x, y):
    from sqa_core.metrics.calibration import _cross_fitted

    return _cross_fitted(x, y, 3, 7, 0)


def test_the_original_finds_the_same_cubic():
    """NISQA's code constrains the slope at the scores and starts from the identity (SLSQP); rebuilt here in its own words' formula."""
    from scipy.optimize import minimize

    rng = np.random.default_rng(3)
    y = rng.uniform(1, 5, 80)
    x = 5 - 4 / (0.4 + y) + rng.normal(0, 0.2, 80)
    powers = np.vander(x, 4, increasing=True)
    slopes = np.stack([np.zeros(80), np.ones(80), 2 * x, 3 * x**2], axis=1)
    theirs = minimize(
        lambda p: np.mean((powers @ p - y) ** 2),
        np.array([0.0, 1.0, 0.0, 0.0]),
        method="SLSQP",
        constraints={"type": "ineq", "fun": lambda p: slopes @ p},
        options={"maxiter": 2000, "ftol": 1e-12},
    )
    assert np.mean((fit_mapping(x, y)(x) - y) ** 2) == pytest.approx(theirs.fun, rel=0.01)


def test_mistakes_are_one_sentence():
    for bad in (lambda: fit_mapping(np.arange(3.0), np.arange(3.0)), lambda: calibrated(np.arange(4.0), np.arange(4.0))):
        with pytest.raises(SettingsError):
            bad()
    with pytest.raises(SettingsError, match="folds"):
        calibrated(np.arange(9.0), np.arange(9.0), folds=1)
    constant = calibrated(np.ones(9), np.arange(9.0), 1)
    assert np.isnan(constant.pcc)
    assert constant.rmse == pytest.approx(np.arange(9.0).std(ddof=2))
