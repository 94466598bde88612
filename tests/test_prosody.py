"""DisVoice's 103 numbers: equal to its own code where asked for, repaired otherwise; contours; MFCCs."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import soundfile
import torch

from sqa_core import audio, environment, prosody, spectrogram
from sqa_core.corpora import manifest
from sqa_core.corpora.manifest import Manifest
from sqa_core.errors import AudioError, SettingsError
from sqa_core.learning import streams
from sqa_core.prosody import DISVOICE, NAMES, ProsodySettings
from sqa_core.results import published
from tests.conftest import GOLDEN

pytest.importorskip("pysptk")
RATE = 16_000


def voiced(seconds: float, hz: float = 120.0, glide: float = 20.0) -> np.ndarray:
    """A buzz whose pitch rises."""
    t = np.arange(int(seconds * RATE)) / RATE
    phase = 2 * np.pi * (hz * t + glide * t**2 / 2)
    return sum(np.sin(k * phase) / k for k in range(1, 12)) * (0.5 + 0.3 * np.sin(2 * np.pi * 3 * t))


def noise(seconds: float, level: float = 0.02, seed: int = 0) -> np.ndarray:
    return level * np.random.default_rng(seed).normal(size=int(seconds * RATE))


def made(*parts: np.ndarray) -> np.ndarray:
    return (np.concatenate(parts) / 8).astype(np.float32)


def of(name: str, found: prosody.Prosody) -> float:
    return float(found.values[NAMES.index(name)])


def test_names_are_those_of_the_code_in_its_order():
    assert tuple(published.read("humpcat", "prosody")["name"]) == NAMES


def test_equal_to_disvoice_on_real_speech():
    golden = pd.read_csv(GOLDEN / "disvoice_prosody.csv")
    here = [row for _, row in golden.iterrows() if environment.find("data", f"{row['corpus']}/{row['path']}")]
    if not here:
        pytest.skip("the corpora are not here (SQA_DATA)")
    prosody.f0_contour(made(voiced(0.2)), RATE)  # an even number of samples: now the noise is that of a process that has read nothing yet
    for row in here:
        path = environment.find("data", f"{row['corpus']}/{row['path']}")
        found = prosody.prosody(audio.load_mono(path, RATE, "mean"), RATE, DISVOICE)
        np.testing.assert_allclose(found.values, row[list(NAMES)].to_numpy(float), rtol=1e-4, atol=1e-7, err_msg=row["path"])
        assert found.voiced


def test_documented_numbers_are_the_same_in_another_order():
    table = published.read("humpcat", "prosody")
    x = made(voiced(0.4), noise(0.3), voiced(0.5, 150), noise(0.1), voiced(0.4))
    plain = prosody.prosody(x, RATE).values
    documented = prosody.prosody(x, RATE, ProsodySettings(documented_order=True)).values
    np.testing.assert_array_equal(documented[table["number_in_documentation"].to_numpy() - 1], plain)


def test_two_voiced_stretches_lose_most_numbers_in_disvoice():
    x = made(voiced(0.5), noise(0.08), voiced(0.5, 150))
    theirs, ours = prosody.prosody(x, RATE, DISVOICE), prosody.prosody(x, RATE)
    assert (theirs.values == 0).sum() >= 60, "the specification counts 73 on its own signal"
    assert of("avgEvoiced", theirs) == 0, "its one segment that is left is too few"
    assert of("avgEvoiced", ours) < 0
    assert ours.segments[0] == theirs.segments[0] + 1
    assert np.isfinite(ours.values).all()


def test_each_trap_can_be_set_alone():
    x = made(noise(0.05), voiced(0.5), noise(0.08), voiced(0.5, 150), noise(0.3), voiced(0.4))
    plain = prosody.prosody(x, RATE)
    assert plain.segments == (3, 3, 1)
    dropped = prosody.prosody(x, RATE, ProsodySettings(drop_last=True))
    assert dropped.segments == tuple(n - k for n, k in zip(plain.segments, (1, 1, 0), strict=True))
    assert of("Vrate", dropped) < of("Vrate", plain)
    one_pause = made(voiced(0.5), noise(0.3), voiced(0.5))
    assert of("avgdurpause", prosody.prosody(one_pause, RATE)) == pytest.approx(0.3, abs=0.05)
    assert of("avgdurpause", prosody.prosody(one_pause, RATE, ProsodySettings(two_durations=True))) == 0
    without_end = ProsodySettings(drop_last=True)
    assert of("VP", prosody.prosody(one_pause, RATE, without_end)) > 1
    assert of("VP", prosody.prosody(one_pause, RATE, replace(without_end, zero_few=True))) == 0, "no unvoiced segment is left"


def test_a_frame_of_zeros_does_not_decide_a_mean():
    half = made(voiced(0.4), noise(0.06), voiced(0.4), np.zeros(int(0.12 * RATE)), voiced(0.4), noise(0.06), voiced(0.3))
    x = np.concatenate([half, -half])  # its mean is 0, so that zeros stay zeros
    theirs, ours = (prosody.prosody(x, RATE, replace(ProsodySettings(), silent_db=db)) for db in (-1e30, -100.0))
    assert of("avgEunvoiced", theirs) < -1e20
    assert -110 < of("avgEunvoiced", ours) < 0


def test_quiet_after_loud_has_its_own_level():
    x = np.concatenate([voiced(1.0), np.full(RATE // 2, 1e-8), -np.full(RATE // 2, 1e-8)])
    level = prosody._levels(x, np.array([RATE + 100, 0]), np.array([RATE + 420, 320]), -1e30)
    assert level[0] == pytest.approx(-160, abs=0.01)


@pytest.mark.parametrize("x", [np.zeros(RATE, np.float32), np.full(RATE, 0.25, np.float32), made(noise(1.0))], ids=["zeros", "DC", "noise"])
@pytest.mark.parametrize("settings", [ProsodySettings(), DISVOICE], ids=["repaired", "disvoice"])
def test_without_voice_there_are_numbers_and_a_flag(x, settings):
    found = prosody.prosody(x, RATE, settings)
    assert found.values.shape == (103,)
    assert not found.voiced
    assert (found.values[:30] == 0).all()
    assert np.isfinite(prosody.contours(x, RATE)).all()


def test_what_has_no_definition_is_counted():
    x = made(voiced(0.5), noise(0.08), voiced(0.5, 150), noise(0.3), voiced(0.4))
    theirs = prosody.prosody(x, RATE, replace(DISVOICE, drop_last=False, two_durations=False, zero_few=False))
    assert np.isnan(theirs.values).sum() == theirs.undefined > 0
    ours = prosody.prosody(x, RATE)
    assert ours.undefined == theirs.undefined
    assert np.isfinite(ours.values).all()


def test_pitch_is_that_of_the_buzz_by_both_trackers():
    x = made(noise(0.2), voiced(1.0, 150, 0.0), noise(0.2))
    found = prosody.f0_contour(x, RATE)
    assert np.median(found[found > 0]) == pytest.approx(150, abs=2)
    pytest.importorskip("parselmouth")
    praat = prosody.f0_contour(x, RATE, "praat")
    assert np.median(praat[praat > 0]) == pytest.approx(150, abs=2)
    assert len(praat) == len(found)
    with pytest.raises(SettingsError, match='"rapt" or "praat"'):
        prosody.f0_contour(x, RATE, "yin")


def test_a_file_has_the_same_numbers_whatever_was_read_before():
    x, odd = made(voiced(0.4), noise(0.1), voiced(0.5, 150)), made(voiced(0.3), noise(0.0001))[:4801]
    assert len(odd) % 2
    first = [prosody.prosody(x, RATE).values, prosody.prosody(odd, RATE).values]
    again = [prosody.prosody(x, RATE).values, prosody.prosody(odd, RATE).values, prosody.prosody(x, RATE).values]
    for one, other in zip([*first, first[0]], again, strict=True):
        np.testing.assert_array_equal(one, other)
    theirs = [
        prosody.prosody(x, RATE, DISVOICE).values,
        prosody.prosody(odd, RATE, DISVOICE).values,
        prosody.prosody(x, RATE, DISVOICE).values,
    ]
    assert not np.array_equal(theirs[0], theirs[2], equal_nan=True), "DisVoice's numbers depend on the file before"
    told = [prosody.prosody(x, RATE, DISVOICE, odd_before).values for odd_before in (True, False, True)]
    np.testing.assert_array_equal(told[0], told[2])
    np.testing.assert_array_equal(told[1], theirs[0])
    np.testing.assert_allclose(told[0], theirs[2], rtol=1e-4, atol=1e-7)
    assert not np.allclose(told[0], told[1], rtol=1e-4, atol=1e-7, equal_nan=True)


def test_a_corpus_has_the_same_numbers_whichever_process_reads_its_files(tmp_path, monkeypatch):
    sounds = [made(voiced(0.4), noise(0.1), voiced(0.5, 150 + k)) for k in range(4)]
    sounds[1] = sounds[1][:-1]
    for k, x in enumerate(sounds):
        soundfile.write(tmp_path / f"{k}.wav", x, RATE, subtype="FLOAT")
    corpus = Manifest("made", manifest.describe(tmp_path, [f"{k}.wav" for k in range(4)]), tmp_path, "synthetic")
    running = [prosody.prosody(x, RATE, DISVOICE, k > 1).values for k, x in enumerate(sounds)]
    plain = prosody.prosody(sounds[2], RATE, DISVOICE, False).values
    assert not np.array_equal(running[2], plain, equal_nan=True)
    for order in (slice(None), slice(None, None, -1)):  # workers that read the files from the first, and from the last
        monkeypatch.setenv("SQA_CACHE", str(tmp_path / f"cache{order.step}"))
        monkeypatch.setattr(streams, "in_processes", lambda f, jobs, *_, order=order: [f(job) for job in jobs[order]][order])
        np.testing.assert_array_equal(streams.acoustics(corpus).prosody.numpy(), np.float32(running))


def test_contours_have_octaves_level_and_voicing():
    found = prosody.contours(made(np.zeros(4000), voiced(1.0, 200, 0.0)), RATE)
    spoken = found[:, 2] == 1
    assert np.median(found[spoken, 0]) == pytest.approx(1.0, abs=0.03), "200 Hz is an octave above 100"
    assert (found[~spoken, 0] == 0).all()
    assert found[:20, 1].max() <= found[spoken, 1].min()
    assert (found[:, 1] <= 0).all()


def test_too_short_is_one_sentence():
    with pytest.raises(AudioError, match=r"0\.050 s is too short for prosody; 0\.1 s"):
        prosody.prosody(np.ones(800, np.float32), RATE)


def test_differences_of_mfccs_follow_the_formula():
    found = spectrogram.mfcc(made(voiced(0.6), noise(0.2)))
    assert found.shape == (1 + int(0.8 * RATE) // 320, 39)
    padded = torch.cat([found[:1, :26]] * 2 + [found[:, :26]] + [found[-1:, :26]] * 2)
    n = len(found)
    slope = (padded[3 : 3 + n] - padded[1 : 1 + n] + 2 * (padded[4 : 4 + n] - padded[:n])) / 10
    torch.testing.assert_close(found[:, 13:], slope, atol=1e-4, rtol=1e-4)


def test_first_mfcc_is_the_level():
    x = made(voiced(0.6))
    louder, softer = spectrogram.mfcc(x), spectrogram.mfcc(x / 10)
    torch.testing.assert_close(louder[5:20, 1:13], softer[5:20, 1:13], atol=1e-2, rtol=0)
    assert (louder[5:20, 0] - softer[5:20, 0]).mean() == pytest.approx(20 * 40**0.5, rel=0.01), "20 dB in each of 40 bands"
    with pytest.raises(AudioError, match="too short for MFCCs"):
        spectrogram.mfcc(np.zeros(320, np.float32))
