"""What calls meet: codecs, lost packets, rooms, echoes, other talkers; and the controlled corpus that is made of them."""

import json
from pathlib import Path

import numpy as np
import pytest
import soundfile
from hypothesis import given, settings
from hypothesis import strategies as st

from sqa_core import degrade, intrusive, levels
from sqa_core.corpora import calls, impairments, recordings, registry
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

    def error_after(codec: str) -> float:
        """Relative error 5 to 30 ms after a loss, away from the next one."""
        whole = degrade.coded(speech, RATE, codec)
        coded = degrade.coded(speech, RATE, codec, loss=0.05, burst=1.2, rng=np.random.default_rng(0))
        near = np.convolve(coded.lost, np.ones(481), "same") > 0
        after = (np.convolve(coded.lost, np.ones(1440), "full")[: len(near)] > 0) & ~near
        return np.square(coded.waveform - whole.waveform)[after].mean() / np.square(whole.waveform)[after].mean()

    assert error_after("g711-a") < 1e-6 < 1e-3 < error_after("g722")


@pytest.mark.parametrize("codec", degrade.CODECS)
def test_the_end_of_a_sound_comes_out_of_the_codec(codec):
    """A tone that lasts to the last sample: nothing of it stays in the encoder."""
    tone = (0.3 * np.sin(2 * np.pi * 500 * np.arange(RATE) / RATE)).astype(np.float32)
    coded = degrade.coded(tone, RATE, codec)
    end = slice(-480, -120)  # the resampling filter fades at the very end
    assert levels.level(coded.waveform[end]) == pytest.approx(levels.level(tone[end]), abs=3)


def test_the_delay_belongs_to_the_codec_and_not_to_the_sound(speech):
    from sqa_core.degrade.codecs import codec_delay

    for codec, samples in (("opus", 0), ("aac", 1024), ("mp3", 1105), ("amr-nb", 40), ("g722", 22), ("g711-a", 0), ("sbc", 73)):
        assert codec_delay(codec, degrade.CODECS[codec].bit_rates[-1]) == pytest.approx(samples, abs=1)
    quiet = degrade.coded(speech * 1e-3, RATE, "amr-nb")
    assert quiet.delay_s == degrade.coded(speech, RATE, "amr-nb").delay_s


def test_a_longer_call_begins_with_the_same_losses():
    short, long = (degrade.gilbert_elliott(n, 0.2, 2, np.random.default_rng(3)) for n in (50, 500))
    assert np.array_equal(short, long[:50])


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
        impairments.apply(speech, [{"kind": "hum"}], (0,), speech, speech)
    with pytest.raises(SettingsError, match="before the direct sound arrives"):
        degrade.image_sources((8, 4, 3), (1, 1, 1), (7, 1, 1), 0.01, RATE)
    with pytest.raises(CorpusError, match="not on this machine"):
        impairments.apply(
            speech, [{"kind": "noise", "colour": "recorded", "recording": "noise/none.wav", "snr_db": 3}], (0,), speech, speech
        )


# Rooms, echoes, talkers


@pytest.mark.parametrize("rt60_s", [0.2, 0.5])
def test_a_room_has_its_reverberation_time(rt60_s):
    """By Schroeder's integral from -5 to -25 dB. Eyring's formula is for diffuse fields; in a shoebox, where paths along the longest side
    meet fewer walls, the sound decays more slowly."""
    response = degrade.image_sources((5.0, 4.0, 3.0), (1.2, 1.1, 1.5), (3.3, 2.6, 1.4), rt60_s, RATE)
    energy = np.cumsum(response[::-1].astype(float) ** 2)[::-1]
    decay = 10 * np.log10(energy / energy[0])
    found = 3 * (np.argmax(decay < -25) - np.argmax(decay < -5)) / RATE
    assert rt60_s * 0.95 < found < rt60_s * 1.2
    spectrum = np.abs(np.fft.rfft(response, RATE))
    assert spectrum[0] < 0.02 * np.median(spectrum), "no rise towards 0 Hz"


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
    heard, weaker = degrade.echo(speech, RATE, 0.2, 12.0)
    assert weaker == pytest.approx(12, abs=0.3)
    late = heard - speech
    assert levels.level(late[None]) == pytest.approx(levels.level(speech[None, : -int(0.2 * RATE)]) - 12, abs=0.3)
    for ratio in (0.0, 15.0):
        mixed, reached = degrade.competing(speech, RATE, speech[::-1], ratio)
        assert reached == pytest.approx(ratio, abs=0.3)
        assert levels.active_level(mixed - speech, RATE)[0] == pytest.approx(levels.active_level(speech, RATE)[0] - ratio, abs=0.3)


# The corpus


def plain(recipe: list[dict]) -> list[dict]:
    return [{k: v for k, v in step.items() if not k.startswith("reached_")} for step in recipe]


def test_a_call_is_the_same_call_in_every_language():
    pytest.importorskip("pesq")
    english, german = (calls.synthetic(5, 7, language, ("m2", "f4")) for language in ("en", "de"))
    for a, b in zip(english, german, strict=True):
        assert (a.item, a.voice, a.floor_snr_db) == (b.item, b.voice, b.floor_snr_db)
        assert plain(a.recipe) == plain(b.recipe)
    again = calls.synthetic(5, 7, "en", ("m2", "f4"))
    assert all(np.array_equal(a.waveform, b.waveform) and a.labels == b.labels for a, b in zip(english, again, strict=True))
    more = calls.synthetic(6, 7, "en", ("m2", "f4"))
    assert [plain(c.recipe) for c in more[:5]] == [plain(c.recipe) for c in english]


def test_training_validation_and_test_share_nothing():
    said = [set(calls.sentences(use, "en")) for use in ("train", "valid", "test")]
    assert [len(s) for s in said] == [24, 6, 12]
    assert len(set.union(*said)) == 42
    with pytest.raises(CorpusError, match="in English"):
        calls.sentences("train", "de")
    digests = [f"{i * 0x9E3779B1 % 2**32:08x}" for i in range(2000)]
    assert np.mean([recordings.for_validation(d, calls.VALID_SHARE) for d in digests]) == pytest.approx(calls.VALID_SHARE, abs=0.01)
    assert not set(recordings.NOISE_COLLECTIONS["train"]) & set(recordings.NOISE_COLLECTIONS["test"])
    assert not set(recordings.noises("train")) & set(recordings.noises("valid"))
    assert not recordings.rooms("train")


def test_real_files_are_trained_on_or_validated_on(monkeypatch):
    """Whatever a part takes, it takes from its own files."""
    if registry.find("asterisk") is None:
        pytest.skip("the asterisk prompts are not here (sqa data fetch asterisk)")
    corpus = registry.load("asterisk")
    seen: dict[str, set] = {"train": set(), "valid": set()}
    load = calls.audio.load
    for use in seen:
        monkeypatch.setattr(
            calls.audio, "load", lambda path, rate=None, use=use: (isinstance(path, Path) and seen[use].add(path), load(path, rate))[1]
        )
        monkeypatch.setattr(calls, "in_processes", lambda function, jobs, chunk, on_item: [])
        calls.real(40, 1, corpus, "en", use)
    assert len(seen["train"]) > 60
    assert len(seen["valid"]) > 20
    assert not seen["train"] & seen["valid"]


def test_nobody_competes_with_himself(monkeypatch):
    found = []
    monkeypatch.setattr(calls, "in_processes", lambda function, jobs, chunk, on_item: found.extend(jobs) or [])
    calls.synthetic(12, 3, "en", ("m2", "f4"))
    own: dict[str, list] = {"m2": [], "f4": []}
    for _, _, voice, parts, _ in found:
        own[voice].append(np.concatenate(parts))
    for _, _, voice, _, rival in found:
        assert not any(np.array_equal(rival, x) for x in own[voice])
        assert any(np.array_equal(rival, x) for x in own[{"m2": "f4", "f4": "m2"}[voice]])
    found.clear()
    calls.synthetic(3, 3, "en", ("m6",))  # alone, and one of those who compete with voices that are alone
    assert len(found) == 3


def test_labels_are_those_of_their_own_impairment(speech):
    pytest.importorskip("pesq")
    level = {"kind": "level", "active_dbov": -26.0}
    noise = {"kind": "noise", "colour": "white", "snr_db": 10.0}
    gaps = {"kind": "gaps", "loss": 0.1, "gap_s": 0.04, "conceal": False}
    band = {"kind": "band", "low_hz": 300.0, "high_hz": 2500.0}
    loss = {"kind": "loss", "codec": "amr-nb", "loss": 0.1, "burst": 2.0, "conceal": False}

    def labels(*steps):
        chain = [*steps, level]
        degraded, reached = impairments.apply(speech, chain, (0, 1), speech[::-1], speech[::-1])
        return impairments.labels_of(speech, degraded, reached, (0, 1), speech[::-1], speech[::-1])

    clean = labels()
    assert clean == pytest.approx(dict.fromkeys(impairments.DIMENSIONS, impairments.HIGHEST), abs=1e-3)
    for step, dimension in ((noise, "noi"), (gaps, "dis"), (band, "col")):
        alone = labels(step)
        assert alone[dimension] == alone["mos"] < 4.3
        assert all(alone[d] == pytest.approx(impairments.HIGHEST, abs=1e-3) for d in ("noi", "dis", "col", "loud") if d != dimension)
    together, alone = labels(noise, band, gaps), labels(gaps)
    assert together["mos"] < min(together[d] for d in ("noi", "dis", "col")) + 0.1
    assert together["dis"] == pytest.approx(alone["dis"], abs=0.15), "the same gaps, with and without the others"
    # A codec whose packets are lost: the codec is coloration, the losses are discontinuity.
    lossy, codec = labels(loss), labels({"kind": "codec", "codec": "amr-nb"})
    assert lossy["dis"] < 3.5
    assert lossy["noi"] == impairments.HIGHEST
    assert lossy["col"] == pytest.approx(codec["col"], abs=1e-4)
    assert lossy["mos"] < lossy["col"]
    hardly = labels(loss | {"loss": 1e-9})
    assert hardly["dis"] == pytest.approx(impairments.HIGHEST, abs=0.01)
    assert hardly["mos"] == pytest.approx(codec["mos"], abs=1e-4)


def test_a_call_is_never_clipped_by_its_level(speech):
    """Where the peaks do not allow a level, the call is quieter, says so, and its label follows."""
    chain = [{"kind": "level", "active_dbov": -8.0}]
    loud, (step,) = impairments.apply(speech, chain, (0,), speech, speech)
    assert np.abs(loud).max() == pytest.approx(1, abs=1e-4)
    assert np.corrcoef(loud, speech)[0, 1] == pytest.approx(1, abs=1e-9), "nothing but a gain"
    assert step["active_dbov"] == -8
    assert step["reached_active_dbov"] == pytest.approx(levels.active_level(loud, RATE)[0], abs=1e-3)
    assert step["reached_active_dbov"] < -9
    label = impairments.labels_of(speech, loud, [step], (0,), speech, speech)["loud"]
    assert label == pytest.approx(impairments.loudness(step["reached_active_dbov"]))


def test_real_talkers_are_cut_between_words(tmp_path):
    """Words of 0.5 s with pauses of 0.1 s: every end of a part is silent, and nothing is lost but what a fade takes."""
    word = np.sin(2 * np.pi * 300 * np.arange(RATE // 2) / RATE)
    said = np.concatenate([word, np.zeros(RATE // 10)] * 14).astype(np.float32)
    assert abs(said[calls.quietest(said, 3 * RATE)]) < 1e-6
    assert abs(calls.quietest(said, 3 * RATE) - 3 * RATE) <= calls.SEARCH_S * RATE
    soundfile.write(tmp_path / "words.wav", said, RATE)
    first, second = calls._two_stretches([tmp_path / "words.wav"], np.random.default_rng(0))
    assert len(first) + len(second) == pytest.approx(calls.STRETCH_S * RATE, abs=calls.SEARCH_S * RATE)
    for part in (first, second):
        assert np.abs(part[[0, -1]]).max() < 0.01
    assert np.abs(first[-240:]).max() == 0, "cut in a pause"
    assert np.abs(second[-240:]).max() == 0
    # A tone without a pause has no quiet place; it is faded, so that nothing clicks.
    soundfile.write(tmp_path / "tone.wav", np.tile(word, 20), RATE)
    for part in calls._two_stretches([tmp_path / "tone.wav"], np.random.default_rng(0)):
        assert np.abs(np.diff(part)).max() < 0.05


def test_a_recorded_noise_starts_anywhere(monkeypatch):
    """Of a long recording not only the first seconds are heard."""
    ramp = np.arange(10 * RATE, dtype=np.float32)
    monkeypatch.setattr(recordings, "load", lambda name, rate: ramp)
    step = {"colour": "recorded", "recording": "noise/long.flac"}
    starts = [impairments._noise_of(step, np.zeros(RATE), ramp, np.random.default_rng(i))[0] / RATE for i in range(200)]
    assert min(starts) < 1
    assert max(starts) > 9


def test_an_extended_voice_has_a_high_band_that_follows_it(speech):
    """What ends at 11 kHz (eSpeak) or 8 kHz (a prompt) gets more, and keeps what it has; a full-band sound is left alone."""
    rng = np.random.default_rng(0)
    for narrow in (speech, degrade.band_limit(speech, RATE, 0, 7800)):
        edge = levels.report(calls.audio.Sound(narrow[None], RATE))["bandwidth_hz"]
        wide = calls.extended(narrow, rng)
        assert levels.report(calls.audio.Sound(wide[None], RATE))["bandwidth_hz"] > edge + 2000
        below = degrade.band_limit(wide - narrow, RATE, 0, edge - 400)
        assert levels.level(below[None]) < levels.level(narrow[None]) - 40
        high, octave = (
            levels_of(degrade.band_limit(x, RATE, *band)) for x, band in ((wide, (edge + 200, 24_000)), (narrow, (edge / 2, edge)))
        )
        assert np.corrcoef(high, octave)[0, 1] > 0.6, "it rises and falls with the octave below"
        assert np.mean(high**2) < np.mean(octave**2)
    full = (0.05 * rng.standard_normal(RATE)).astype(np.float32)
    assert np.array_equal(calls.extended(full, rng), full)


def test_a_voice_at_another_speed_has_other_frequencies_and_another_length():
    t = np.arange(2 * RATE) / RATE
    for speed in (calls.SPEEDS[0], calls.SPEEDS[-1]):
        played = calls.at_speed(np.sin(2 * np.pi * 1000 * t).astype(np.float32), speed)
        assert len(played) == pytest.approx(2 * RATE / speed, abs=1)
        peak = np.abs(np.fft.rfft(played * np.hanning(len(played)))).argmax() * RATE / len(played)
        assert peak == pytest.approx(1000 * speed, abs=1)


def test_varied_calls_have_voices_at_other_speeds_and_reach_further():
    usual, varied = (calls.synthetic(8, 7, "en", ("m2", "f4"), "test", made=calls.Made(False, False, v)) for v in (False, True))
    assert [c.voice for c in usual] == [c.voice for c in varied]
    assert len({round(len(b.clean) / len(a.clean), 1) for a, b in zip(usual, varied, strict=True)}) > 2
    again = calls.synthetic(8, 7, "en", ("m2", "f4"), "test", made=calls.Made(False, False, True))
    assert all(np.array_equal(a.waveform, b.waveform) for a, b in zip(varied, again, strict=True))
    for kind, strength, least, most in (("clip", "share", 0.2, 0.51), ("competing", "ratio_db", 40.1, 50.1), ("gaps", "loss", 0.21, 0.32)):
        reached = [
            max(
                step[strength]
                for seed in range(600)
                for step in impairments.draw_recipe(np.random.default_rng(seed), "train", wide)
                if step["kind"] == kind
            )
            for wide in (False, True)
        ]
        assert reached[0] < least < reached[1] < most, kind


def test_a_call_without_a_label_stays_in_its_place(monkeypatch):
    """Languages are compared item by item, so an item that PESQ cannot rate is kept, without a label."""
    monkeypatch.setattr(impairments.intrusive, "pesq_mos", lambda *_: float("nan"))
    made = calls.synthetic(4, 7, "en", ("m2", "f4"))
    assert [call.item for call in made] == [0, 1, 2, 3]
    assert any(np.isnan(call.labels["mos"]) for call in made)


def test_every_drawn_recipe_can_be_applied_and_says_what_it_reached(speech):
    kinds = set()
    for seed in range(150):
        recipe = impairments.draw_recipe(np.random.default_rng(seed))
        kinds |= {step["kind"] for step in recipe}
        assert recipe[-1]["kind"] == "level"
        if seed < 12:
            degraded, steps = impairments.apply(speech[:RATE], recipe, (seed,), speech[::-1], speech[::-1])
            assert degraded.shape == (RATE,)
            assert np.abs(degraded).max() <= 1
            json.dumps(steps)
            for step in steps:
                if step["kind"] in ("gaps", "loss"):
                    assert 0 <= step["reached_lost_share"] < 0.8
                if step["kind"] == "noise":
                    assert step["reached_snr_db"] == pytest.approx(step["snr_db"], abs=0.1)
                if step["kind"] == "competing":
                    assert step["reached_ratio_db"] == pytest.approx(step["ratio_db"], abs=0.3)
    assert kinds == {*impairments.KINDS, "level"}


def test_a_third_of_the_training_calls_is_kept_at_a_lower_rate(speech):
    """Which takes what lies above half of the rate, whatever added it, and is no impairment."""
    rates = []
    for seed in range(300):
        recipe = impairments.draw_recipe(np.random.default_rng(seed), "train")
        assert recipe[-1]["kind"] == "level"
        rates += [step["rate_hz"] for step in recipe if step["kind"] == "rate"]
        assert not any(step["kind"] == "rate" for step in impairments.draw_recipe(np.random.default_rng(seed), "test"))
    assert len(rates) / 300 == pytest.approx(0.35, abs=0.08)
    assert set(rates) == set(impairments.RATES) - {RATE}
    chain = [
        {"kind": "noise", "colour": "white", "snr_db": 10.0},
        {"kind": "rate", "rate_hz": 16_000},
        {"kind": "level", "active_dbov": -26.0},
    ]
    low, steps = impairments.apply(speech, chain, (0,), speech, speech)
    high, others = impairments.apply(speech, [chain[0], chain[2]], (0,), speech, speech)
    assert low.shape == high.shape == speech.shape
    assert (
        levels.level(degrade.band_limit(low, RATE, 8200, 24_000)[None])
        < levels.level(degrade.band_limit(high, RATE, 8200, 24_000)[None]) - 40
    )
    labels = [impairments.labels_of(speech, x, s, (0,), speech, speech) for x, s in ((low, steps), (high, others))]
    assert labels[0]["mos"] == pytest.approx(labels[1]["mos"], abs=0.1)
    assert impairments.kinds_of(json.dumps(steps)) == "noise"
