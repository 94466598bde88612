"""Correlations, intervals, ceilings, losses."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy import stats

from sqa_core import metrics
from sqa_core.errors import SettingsError
from sqa_core.losses import summed_mse
from sqa_core.metrics import agreement, intervals

numbers = st.floats(-100, 100, width=32)


@given(x=arrays(float, 12, elements=numbers, unique=True), y=arrays(float, 12, elements=numbers, unique=True))
def test_correlations_are_scipys(x, y):
    assert metrics.srcc(x, y) == pytest.approx(stats.spearmanr(x, y).statistic, abs=1e-9)
    if min(x.std(), y.std()) > 1e-3:
        assert metrics.pcc(x, y) == pytest.approx(stats.pearsonr(x, y).statistic, abs=1e-6)


@given(x=arrays(float, 10, elements=numbers, unique=True), a=st.floats(0.1, 10), b=st.floats(-10, 10))
def test_a_line_is_a_perfect_correlation(x, a, b):
    if x.std() > 1e-2:
        assert metrics.pcc(x, a * x + b) == pytest.approx(1, abs=1e-6)
        assert metrics.pcc(x, -a * x + b) == pytest.approx(-1, abs=1e-6)
    assert metrics.rmse(x, x) == 0


def test_what_does_not_vary_has_no_correlation():
    assert np.isnan(metrics.pcc(np.ones(5), np.arange(5.0)))


def test_unequal_or_undefined_series_are_refused():
    for x, y in [(np.zeros(3), np.zeros(4)), (np.zeros(1), np.zeros(1)), (np.array([1.0, np.nan]), np.zeros(2))]:
        with pytest.raises(SettingsError):
            agreement.paired(x, y)


def crossed(seed, talker_sd=0.3, rows=13, columns=6):
    rng = np.random.default_rng(seed)
    row, column = (g.ravel() for g in np.meshgrid(np.arange(rows), np.arange(columns), indexing="ij"))
    truth = rng.normal(size=rows)[row] + 0.3 * rng.normal(size=rows * columns)
    predicted = truth + talker_sd * rng.normal(size=columns)[column] + 0.4 * rng.normal(size=rows * columns)
    return predicted, truth, row, column


def test_the_interval_holds_its_value_and_is_repeatable():
    x, y, rows, columns = crossed(0)
    for by in ("item", "row"):
        found = metrics.two_way_bootstrap_pcc(x, y, rows, columns, by)
        assert found.low < found.value < found.high
        assert found == metrics.two_way_bootstrap_pcc(x, y, rows, columns, by)
    assert metrics.two_way_bootstrap_pcc(x, y, rows, columns).value == pytest.approx(stats.pearsonr(x, y).statistic)
    means = [[v[rows == r].mean() for r in range(13)] for v in (x, y)]
    assert metrics.two_way_bootstrap_pcc(x, y, rows, columns, "row").value == pytest.approx(stats.pearsonr(*means).statistic)


def test_weights_are_the_same_as_repeating_items():
    """One bootstrap draw by weights equals the correlation of the items written out as often as they were drawn."""
    x, y, rows, columns = crossed(1, rows=5, columns=4)
    draw_rows, draw_columns = intervals._multiplicities(rows, columns, 20, 3)
    for r, c in zip(draw_rows[1:], draw_columns[1:], strict=True):
        repeats = (r[rows] * c[columns]).astype(int)
        weighted = intervals.weighted_pcc(x, y, repeats[None].astype(float))[0]
        assert weighted == pytest.approx(stats.pearsonr(np.repeat(x, repeats), np.repeat(y, repeats)).statistic, abs=1e-9)


def test_resampling_talkers_widens_the_interval():
    """Taking items as independent claims to be surer than talkers and conditions allow."""
    wider = 0
    for seed in range(10):
        x, y, rows, columns = crossed(seed, talker_sd=0.8)
        two_way = metrics.two_way_bootstrap_pcc(x, y, rows, columns, draws=500)
        naive = metrics.two_way_bootstrap_pcc(x, y, np.arange(len(x)), np.zeros(len(x)), draws=500)
        wider += two_way.high - two_way.low > naive.high - naive.low
    assert wider >= 8


def test_the_ceiling_is_what_a_perfect_predictor_reaches():
    rng = np.random.default_rng(0)
    n, votes = 4000, 7
    truth = rng.normal(3, 0.9, n)
    scores = truth[:, None] + rng.normal(0, 0.8, (n, votes))
    mos, std = scores.mean(axis=1), scores.std(axis=1, ddof=1)
    ceiling = metrics.ceiling(mos, std, np.full(n, votes), np.arange(n))
    assert ceiling == pytest.approx(stats.pearsonr(truth, mos).statistic, abs=0.01)
    by_row = metrics.ceiling(mos, std, np.full(n, votes), np.repeat(np.arange(n // 4), 4), "row")
    means = [v.reshape(-1, 4).mean(axis=1) for v in (truth, mos)]
    assert by_row == pytest.approx(stats.pearsonr(*means).statistic, abs=0.02)


def test_votes_that_say_nothing_leave_no_ceiling():
    assert metrics.ceiling(np.array([3.0, 3.1, 2.9]), np.full(3, 5.0), np.full(3, 2), np.arange(3)) == 0


@given(arrays(np.float32, (6, 3), elements=st.floats(-5, 5, width=32)), st.lists(st.booleans(), min_size=18, max_size=18))
def test_missing_labels_take_no_part(values, missing):
    predicted = torch.zeros(6, 3, requires_grad=True)
    target = torch.tensor(values)
    mask = torch.tensor(missing).reshape(6, 3)
    loss = summed_mse(predicted, torch.where(mask, torch.nan, target))
    expected = sum((target[~mask[:, i], i] ** 2).mean() for i in range(3) if (~mask[:, i]).any())
    assert float(loss) == pytest.approx(float(expected), rel=1e-5)
    loss.backward()
    assert torch.isfinite(predicted.grad).all()
    assert (predicted.grad[mask] == 0).all()


def test_a_ratio_of_means_and_its_interval():
    rng = np.random.default_rng(0)
    rows, columns = (g.ravel() for g in np.meshgrid(np.arange(10), np.arange(6), indexing="ij"))
    a, b = rng.uniform(1, 2, 60), rng.uniform(3, 5, 60)
    found = metrics.two_way_bootstrap_ratio(a, np.ones(60), b, np.ones(60), rows, columns)
    assert found.value == pytest.approx(a.mean() / b.mean())
    assert found.low < found.value < found.high
    rare = np.zeros(60)
    rare[0] = 1  # present in one item alone: many draws hold none of it
    assert np.isfinite(metrics.two_way_bootstrap_ratio(a * rare, rare, b, np.ones(60), rows, columns).high)


@given(n=st.integers(2, 40), seed=st.integers(0, 20))
def test_auc_is_the_share_of_pairs_in_order(n, seed):
    rng = np.random.default_rng(seed)
    scores, positive = rng.integers(0, 6, n).astype(float), np.arange(n) % 2 == 0
    pairs = [(a > b) + 0.5 * (a == b) for a in scores[positive] for b in scores[~positive]]
    assert metrics.auc(scores, positive) == pytest.approx(np.mean(pairs))
    assert metrics.auc(-scores, positive) == pytest.approx(1 - np.mean(pairs))


def test_auc_of_one_side_is_not_a_number():
    assert np.isnan(metrics.auc(np.arange(4.0), np.ones(4, bool)))


def test_a_mean_over_groups_is_wider_than_over_items():
    rng = np.random.default_rng(0)
    rows, columns = np.repeat(np.arange(8), 8), np.tile(np.arange(8), 8)
    values = rng.normal(0, 1, 8)[rows] + rng.normal(0, 0.1, 64)
    value, low, high = metrics.two_way_bootstrap_mean(values, rows, columns)
    assert value == pytest.approx(values.mean())
    assert high - low > 2 * 1.96 * values.std() / 8
    values[3] = np.nan
    assert metrics.two_way_bootstrap_mean(values, rows, columns).value == pytest.approx(np.nanmean(values))


def test_effective_number_of_features():
    rng = np.random.default_rng(0)
    x = rng.standard_normal((5000, 4))
    assert metrics.participation_ratio(np.corrcoef(x.T)) == pytest.approx(4, abs=0.05)
    assert metrics.participation_ratio(np.ones((5, 5))) == pytest.approx(1)
    pairs = np.kron(np.eye(2), [[1.0, -1.0], [-1.0, 1.0]])
    assert metrics.participation_ratio(pairs) == pytest.approx(2)
    assert metrics.participation_ratio(np.pad(pairs, (0, 1))) == pytest.approx(2), "one that never varies"
    assert np.isnan(metrics.participation_ratio(np.zeros((3, 3))))


def test_intraclass_correlation():
    rng = np.random.default_rng(0)
    centres = np.array([5.0, 15, 25, 35])
    assert metrics.intraclass(centres + rng.normal(0, 0.1, (50, 4))) > 0.99
    assert abs(metrics.intraclass(rng.normal(0, 1, (400, 4)))) < 0.02
    # Two variances that are equal make one half.
    assert metrics.intraclass(rng.normal(0, 1, 300) + rng.normal(0, 1, (300, 300))) == pytest.approx(0.5, abs=0.05)


def test_morans_i():
    rng = np.random.default_rng(0)
    smooth = np.add.outer(np.arange(30.0), np.arange(20.0))
    assert metrics.morans_i(smooth) > 0.9
    assert abs(metrics.morans_i(rng.standard_normal((60, 60)))) < 0.05
    assert metrics.morans_i(np.indices((20, 20)).sum(0) % 2.0) == pytest.approx(-1)
    assert np.isnan(metrics.morans_i(np.ones((4, 4))))


@pytest.mark.parametrize("part", range(4))
def test_variance_goes_where_it_was_put(part):
    rng = np.random.default_rng(1)
    voices = np.repeat(["a", "b", "c", "d", "e", "f", "g", "h"], 25)
    sizes = np.full(4, 0.05)
    sizes[part] = 2.0
    errors = sizes[0] * rng.normal(size=6)[None] + sizes[1] * np.repeat(rng.normal(size=8), 25)[:, None]
    errors = errors + sizes[2] * rng.normal(size=200)[:, None] + sizes[3] * rng.normal(size=(200, 6))
    shares = metrics.variance_shares(errors, voices)
    assert shares[part] > 95
    assert shares.sum() == pytest.approx(100)


def test_shares_add_up_as_their_variances():
    """Of equal parts, each has a quarter, on average over many draws."""
    rng = np.random.default_rng(2)
    voices = np.repeat(np.arange(20), 10)
    found = []
    for _ in range(60):
        errors = rng.normal(size=12)[None] + np.repeat(rng.normal(size=20), 10)[:, None]
        found.append(metrics.variance_shares(errors + rng.normal(size=200)[:, None] + rng.normal(size=(200, 12)), voices))
    assert np.mean(found, axis=0) == pytest.approx([25, 25, 25, 25], abs=4)
