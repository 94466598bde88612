"""What calls meet: codecs, lost packets, rooms, echoes, other talkers; and the controlled corpus that is made of them."""

import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sqa_core import degrade, intrusive, levels
from sqa_core.corpora import calls
from sqa_core.errors import CorpusError, SettingsError

RATE = 48_000


@pytest.fixture(scope="module")
def speech():
    """Two sentences of a synthetic voice at 48 kHz."""
    from sqa_core import audio
    from sqa_core.corpora import polyglot

    jobs = [polyglot.job("en", "m2", text) for text in polyglot.sentences("en")[:2]]
    x = np.concatenate([audio.resample(s.waveform, s.sample_rate, RATE)[0] for s in polyglot.synthesise(jobs)])
    return degrade.set_level(x, RATE)


# Codecs


@pytest.mark.parametrize("codec", degrade.CODECS)
def test_a_codec_keeps_length_and_time_and_is_better_with_more_bits(speech, codec):
    pytest.importorskip("pesq")
    from sqa_core import audio

    of = degrade.CODECS[codec]
    reference = audio.resample(speech[None], RATE, 16_000)[0]
    quality = []
    for bit_rate in (of.bit_rates[0], of.bit_rates[-1]):
        coded = degrade.coded(speech, RATE, codec, bit_rate)
        assert len(coded.waveform) == len(speech)
        assert coded.lost_share == 0
        assert coded.bit_rate == pytest.approx(bit_rate, rel=0.45)  # FFmpeg's AAC does not go below 22 kbit/s
        assert 0 <= coded.delay_s < 0.06
        x, y = (levels_of(z) for z in (speech, coded.waveform))
        assert abs(np.correlate(x - x.mean(), y - y.mean(), "full").argmax() - (len(x) - 1)) <= 1, "the delay is removed"
        quality.append(intrusive.pesq_mos(reference, audio.resample(coded.waveform[None], RATE, 16_000)[0]))
    assert quality[1] >= quality[0] - 0.05
    assert 1.2 < quality[1] <= 4.65


def levels_of(x: np.ndarray, block: int = 480) -> np.ndarray:
    """The envelope in blocks of 10 ms."""
    return np.sqrt(np.square(x[: len(x) // block * block]).reshape(-1, block).mean(axis=1))


@pytest.mark.parametrize("conceal", [False, True])
def test_lost_packets_are_heard_where_they_are_said_to_be(speech, conceal):
    whole = degrade.coded(speech, RATE, "g711-a")
    coded = degrade.coded(speech, RATE, "g711-a", loss=0.1, burst=2, conceal=conceal, rng=np.random.default_rng(1))
    assert coded.lost_share == pytest.approx(0.1, abs=0.07)
    assert coded.lost.mean() == pytest.approx(coded.lost_share, abs=0.01)
    core = ~(np.convolve(coded.lost, np.ones(301), "same") > 0)  # the resampling filter reaches a little beyond
    assert np.abs(coded.waveform - whole.waveform)[core].max() < 1e-3
    inside = np.convolve(~coded.lost, np.ones(301), "same") == 0
    assert (np.abs(coded.waveform[inside]).max() < 1e-3) is not conceal


def test_losses_of_a_predictive_codec_reach_beyond_the_gap(speech):
    """G.722's decoder goes on with a wrong state; that is why packets are lost before it and not after."""
    whole = degrade.coded(speech, RATE, "g722")
    coded = degrade.coded(speech, RATE, "g722", loss=0.05, burst=1.2, rng=np.random.default_rng(0))
    after = np.roll(coded.lost, 2400) & ~coded.lost
    assert np.abs(coded.waveform - whole.waveform)[after].max() > 0.005


@settings(deadline=None, max_examples=30)
@given(loss=st.floats(0.01, 0.4), burst=st.floats(1.0, 8.0), seed=st.integers(0, 100))
def test_gilberts_chain_has_its_share_and_its_bursts(loss, burst, seed):
    if loss / (burst * (1 - loss)) > 1:
        with pytest.raises(SettingsError):
            degrade.gilbert_elliott(10, loss, burst, np.random.default_rng(seed))
        return
    lost = degrade.gilbert_elliott(60_000, loss, burst, np.random.default_rng(seed))
    bursts = int(np.count_nonzero(np.diff(np.concatenate([[0], lost.astype(int)])) == 1))
    assert lost.mean() == pytest.approx(loss, rel=0.25)
    assert lost.sum() / max(1, bursts) == pytest.approx(burst, rel=0.15)


def test_mistakes_are_one_sentence(speech):
    with pytest.raises(SettingsError, match="no codec 'evs'"):
        degrade.coded(speech, RATE, "evs")
    with pytest.raises(SettingsError, match="inside the room"):
        degrade.image_sources((4, 4, 3), (5, 1, 1), (1, 1, 1), 0.3, RATE)
    with pytest.raises(SettingsError, match="does not lie within"):
        degrade.echo(speech, RATE, 100.0, 10)
    with pytest.raises(SettingsError, match="silent"):
        degrade.competing(speech, RATE, np.zeros(1000, np.float32), 10)
    with pytest.raises(SettingsError, match="silent"):
        degrade.reverberate(speech, RATE, np.zeros(100, np.float32))
    with pytest.raises(CorpusError, match="not known"):
        calls.apply(speech, [{"kind": "hum"}], (0,), speech)


# Rooms, echoes, talkers


@pytest.mark.parametrize("rt60_s", [0.2, 0.5])
def test_a_room_has_its_reverberation_time(rt60_s):
    """By Schroeder's integral from -5 to -25 dB; Eyring's formula is for diffuse fields, which a shoebox with equal walls is not quite."""
    response = degrade.image_sources((5.0, 4.0, 3.0), (1.2, 1.1, 1.5), (3.3, 2.6, 1.4), rt60_s, RATE)
    energy = np.cumsum(response[::-1].astype(float) ** 2)[::-1]
    decay = 10 * np.log10(energy / energy[0])
    found = 3 * (np.argmax(decay < -25) - np.argmax(decay < -5)) / RATE
    assert found == pytest.approx(rt60_s, rel=0.6)


def test_the_direct_sound_is_where_it_was_and_distance_costs_ratio(speech):
    ratios = []
    for distance in (0.4, 1.0, 2.0):
        response = degrade.image_sources((5.0, 4.0, 2.7), (1.5, 1.7, 1.5), (1.5 + distance, 1.7, 1.5), 0.4, RATE)
        wet, ratio = degrade.reverberate(speech, RATE, response)
        ratios.append(ratio)
        assert len(wet) == len(speech)
        assert levels.active_level(wet, RATE)[0] == pytest.approx(levels.active_level(speech, RATE)[0], abs=0.1)
        x, y = levels_of(speech), levels_of(wet)
        assert abs(np.correlate(x - x.mean(), y - y.mean(), "full").argmax() - (len(x) - 1)) <= 2
    assert ratios[0] > ratios[1] > ratios[2]
    dry, ratio = degrade.reverberate(speech, RATE, np.ones(1, np.float32))
    assert ratio == np.inf
    assert np.abs(dry - speech).max() < 1e-5


def test_an_echo_and_a_talker_have_their_strengths(speech):
    late = degrade.echo(speech, RATE, 0.2, 12.0).waveform - speech
    assert levels.level(late[None]) == pytest.approx(levels.level(speech[None, : -int(0.2 * RATE)]) - 12, abs=0.3)
    for ratio in (0.0, 15.0):
        mixed, reached = degrade.competing(speech, RATE, speech[::-1], ratio)
        assert reached == pytest.approx(ratio, abs=0.3)
        assert levels.active_level(mixed - speech, RATE)[0] == pytest.approx(levels.active_level(speech, RATE)[0] - ratio, abs=0.3)


# The corpus


def test_a_call_is_the_same_call_in_every_language():
    pytest.importorskip("pesq")
    english, german = (calls.synthetic(5, 7, language, ("m2", "f4")) for language in ("en", "de"))
    for a, b in zip(english, german, strict=True):
        assert (a.item, a.voice) == (b.item, b.voice)
        plain = [[{k: v for k, v in step.items() if not k.startswith("reached_")} for step in call.recipe] for call in (a, b)]
        assert plain[0] == plain[1]
    again = calls.synthetic(5, 7, "en", ("m2", "f4"))
    assert all(np.array_equal(a.waveform, b.waveform) and a.labels == b.labels for a, b in zip(english, again, strict=True))


def test_labels_are_those_of_their_own_impairment(speech):
    pytest.importorskip("pesq")
    level = {"kind": "level", "active_dbov": -26.0}
    noise = {"kind": "noise", "colour": "white", "snr_db": 10.0}
    gaps = {"kind": "gaps", "loss": 0.1, "gap_s": 0.04, "conceal": False}
    band = {"kind": "band", "low_hz": 300.0, "high_hz": 2500.0}

    def labels(*steps):
        chain = [*steps, level]
        degraded, _ = calls.apply(speech, chain, (0, 1), speech[::-1])
        return calls.labels_of(speech, degraded, chain, (0, 1), speech[::-1])

    clean = labels()
    assert clean == dict.fromkeys(calls.DIMENSIONS, calls.HIGHEST)
    for step, dimension in ((noise, "noi"), (gaps, "dis"), (band, "col")):
        alone = labels(step)
        assert alone[dimension] == alone["mos"] < 4.3
        assert all(alone[d] == calls.HIGHEST for d in ("noi", "dis", "col", "loud") if d != dimension)
    together, alone = labels(noise, band, gaps), labels(gaps)
    assert together["mos"] < min(together[d] for d in ("noi", "dis", "col")) + 0.1
    assert together["dis"] == pytest.approx(alone["dis"], abs=0.15), "the same gaps, with and without the others"


def test_every_drawn_recipe_can_be_applied_and_says_what_it_reached(speech):
    kinds = set()
    for seed in range(150):
        recipe = calls.draw_recipe(np.random.default_rng(seed))
        kinds |= {step["kind"] for step in recipe}
        assert recipe[-1]["kind"] == "level"
        if seed < 12:
            degraded, steps = calls.apply(speech[:RATE], recipe, (seed,), speech[::-1])
            assert degraded.shape == (RATE,)
            assert np.abs(degraded).max() <= 1
            json.dumps(steps)
            for step in steps:
                if step["kind"] in ("gaps", "loss"):
                    assert 0 <= step["reached_lost_share"] < 0.8
    assert kinds == {*calls.KINDS, "level"}
