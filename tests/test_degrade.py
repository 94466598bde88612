"""Impairments: each does what its formula says, for one waveform or many."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sqa_core import degrade, levels
from sqa_core.errors import SettingsError

RATE = 16_000


def speech(seed: int = 0, seconds: float = 1.0) -> np.ndarray:
    t = np.arange(int(RATE * seconds)) / RATE
    rng = np.random.default_rng(seed)
    x = sum(np.sin(2 * np.pi * f * t + rng.uniform(0, 6)) / f for f in (200, 400, 800, 1600, 3200))
    return (x * (0.6 + 0.4 * np.sin(2 * np.pi * 4 * t)) * 50).astype(np.float32) / 4


@given(snr=st.floats(-10, 40), colour=st.sampled_from(list(degrade.NOISE_SLOPES)))
def test_noise_has_the_asked_ratio(snr, colour):
    x = speech()
    noise = degrade.coloured_noise(x.shape, RATE, colour, np.random.default_rng(1))
    added = degrade.add_noise(x, RATE, noise, snr).astype(np.float64) - x
    assert levels.active_level(x, RATE)[0] - levels.level(added) == pytest.approx(snr, abs=0.05)


@pytest.mark.parametrize(("colour", "slope"), degrade.NOISE_SLOPES.items())
def test_noise_has_its_colour(colour, slope):
    noise = degrade.coloured_noise((RATE * 20,), RATE, colour, np.random.default_rng(0))
    power = np.abs(np.fft.rfft(noise)) ** 2
    f = np.fft.rfftfreq(len(noise), 1 / RATE)
    low, high = (power[(f > a) & (f < 2 * a)].mean() for a in (200, 3200))
    assert np.log2(high / low) / 4 == pytest.approx(slope, abs=0.15)
    assert power[f < 49].sum() < 1e-6 * power.sum(), "power below hearing"
    assert np.sqrt(np.mean(noise.astype(np.float64) ** 2)) == pytest.approx(1, abs=1e-3)


@given(q=st.floats(0, 40))
def test_mnru_has_the_asked_ratio(q):
    x = speech(seconds=4)
    y = degrade.mnru(x, q, np.random.default_rng(0)).astype(np.float64)
    assert levels.level(x) - levels.level(y - x) == pytest.approx(q, abs=0.3)
    assert degrade.mnru(np.zeros(100), q, np.random.default_rng(0)).any() == False  # noqa: E712


@given(level=st.floats(-45, -10))
def test_level_is_set(level):
    y = degrade.set_level(speech(), RATE, level)
    assert levels.active_level(y, RATE)[0] == pytest.approx(level, abs=0.3)


@given(share=st.floats(0.001, 0.5))
def test_clipping_flattens_the_asked_share(share):
    x = speech()
    y = degrade.clip(x, share)
    assert np.mean(np.abs(x) > np.abs(y).max() * (1 + 1e-6)) == pytest.approx(share, abs=0.01)
    assert np.all(np.sign(y) == np.sign(x))


@pytest.mark.parametrize("name", ["narrowband", "wideband"])
def test_bands_pass_and_stop(name):
    low, high = degrade.BANDS[name]
    t = np.arange(RATE) / RATE

    def gain_db(f):
        x = np.sin(2 * np.pi * f * t)
        y = degrade.band_limit(x, RATE, low, high)
        return levels.level(y[2000:-2000]) - levels.level(x[2000:-2000])

    assert gain_db(np.sqrt(low * high)) == pytest.approx(0, abs=0.1)
    assert gain_db(min(high + 400, 7900)) < -30
    x = np.random.default_rng(0).standard_normal(RATE).astype(np.float32)
    lag = np.correlate(degrade.band_limit(x, RATE, low, high), x[400:-400]).argmax() - 400
    assert lag == 0  # the filter's delay is taken out


def test_bands_that_cannot_be():
    for low, high in [(3000, 300), (9000, 10_000), (-5, 100)]:
        with pytest.raises(SettingsError):
            degrade.band_limit(speech(), RATE, low, high)
    assert np.array_equal(degrade.band_limit(speech(), RATE, 0, 8000), speech())


@given(loss=st.floats(0, 0.9), gap_ms=st.sampled_from([5, 10, 20, 60]), conceal=st.booleans())
def test_gaps_lie_where_the_mask_says(loss, gap_ms, conceal):
    x = speech()
    y, mask = degrade.gaps(x, RATE, loss, gap_ms / 1000, np.random.default_rng(3), conceal)
    assert np.array_equal(y[~mask], x[~mask])
    assert not mask[: RATE * gap_ms // 1000].any()
    if not conceal:
        assert not y[mask].any()
    assert np.isfinite(y).all()


def test_concealment_repeats_and_fades():
    x = speech()
    rng = np.random.default_rng(0)
    y, mask = degrade.gaps(x, RATE, 0.5, 0.02, rng, conceal=True)
    silent, _ = degrade.gaps(x, RATE, 0.5, 0.02, np.random.default_rng(0))
    assert np.abs(y[mask]).max() > 0
    assert np.mean((y - x) ** 2) != np.mean((silent - x) ** 2)
    starts = np.flatnonzero(np.diff(mask.astype(int)) == 1) + 1
    frame = RATE // 50
    first = y[starts[0] : starts[0] + frame]
    before = x[starts[0] - frame : starts[0]]
    middle = slice(40, -40)
    assert first[middle] == pytest.approx(before[middle], abs=1e-6)


def test_many_at_once_equal_one_by_one():
    batch = np.stack([speech(i) for i in range(3)])
    noise = degrade.coloured_noise(batch.shape, RATE, "pink", np.random.default_rng(0))
    together = degrade.add_noise(batch, RATE, noise, 10.0)
    assert np.allclose(together, [degrade.add_noise(x, RATE, n, 10.0) for x, n in zip(batch, noise, strict=True)], atol=1e-6)
    for function in (
        lambda x: degrade.set_level(x, RATE),
        lambda x: degrade.clip(x, 0.1),
        lambda x: degrade.band_limit(x, RATE, 300, 3400),
    ):
        assert np.allclose(function(batch), [function(x) for x in batch], atol=1e-6)


def test_what_has_no_meaning_is_refused():
    x, rng = speech(), np.random.default_rng(0)
    refused = [
        lambda: degrade.add_noise(x, RATE, np.zeros_like(x), 10.0),
        lambda: degrade.add_noise(np.zeros_like(x), RATE, x, 10.0),
        lambda: degrade.coloured_noise((100,), RATE, "beige", rng),
        lambda: degrade.gaps(x, RATE, 1.5, 0.02, rng),
        lambda: degrade.gaps(x, RATE, 0.5, 1e-9, rng),
        lambda: degrade.clip(x, 1.0),
    ]
    for call in refused:
        with pytest.raises(SettingsError):
            call()


def test_silence_stays_silence():
    assert not degrade.set_level(np.zeros(RATE), RATE).any()
