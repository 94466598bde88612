"""The controlled set: the paper's shape, and a truth that is true."""

import numpy as np
import pytest

from sqa_core import levels
from sqa_core.corpora import known_impairments


@pytest.fixture(scope="module")
def files():
    chosen = ("clean", "noise-pink-10", "stretch-white-0-0.8", "cut-80-4", "silence-0.5", "band-300-3400", "mnru-10", "clip-0.05")
    return {f.condition: f for f in known_impairments.make("polyglot", chosen, talkers=("en-m6",))}


def test_it_has_the_papers_shape():
    assert len(known_impairments.CONDITIONS) == 54
    assert all(len(talkers) == 4 for talkers in known_impairments.TALKERS.values())


def test_it_is_the_same_each_time(files):
    (again,) = known_impairments.make("polyglot", ("cut-80-4",), talkers=("en-m6",))
    assert np.array_equal(again.waveform, files["cut-80-4"].waveform)


def test_cuts_are_where_it_says(files):
    clean, cut = files["clean"], files["cut-80-4"]
    gone = (clean.waveform != 0) & (cut.waveform == 0)
    assert known_impairments.frames_of(gone)[cut.cut].all()
    assert not known_impairments.frames_of(gone)[~cut.cut].any()
    assert 4 * 8 <= cut.cut.sum() <= 4 * 9, "four cuts of 80 ms, apart"
    assert cut.voice[cut.cut].mean() > 0.8, "cuts are made in speech"
    assert not clean.cut.any()


def test_noise_is_where_it_says(files):
    stretch = files["stretch-white-0-0.8"]
    changed = known_impairments.frames_of(stretch.waveform != files["clean"].waveform)
    assert np.array_equal(changed, stretch.noise)
    assert stretch.noise.sum() == pytest.approx(80, abs=2)
    assert files["noise-pink-10"].noise.all()


def test_voice_and_pause_are_told_apart(files):
    for file in files.values():
        assert not (file.voice & file.pause).any()
        assert 0.4 < file.voice.mean() < 0.85
        assert 0.1 < file.pause.mean() < 0.5
    hop = int(known_impairments.RATE * known_impairments.HOP_S)
    clean = files["clean"]
    frames = clean.waveform[: len(clean.waveform) // hop * hop].reshape(-1, hop)
    found = np.array([levels.level(f) for f in frames])
    quiet, loud = found[clean.pause[: len(found)]], found[clean.voice[: len(found)]]
    assert 40 < np.median(loud) - np.median(quiet) < 80


def test_silence_put_in_makes_it_longer(files):
    more = len(files["silence-0.5"].waveform) - len(files["clean"].waveform)
    assert more == known_impairments.RATE // 2
    assert files["silence-0.5"].pause.sum() == pytest.approx(files["clean"].pause.sum() + 50, abs=3)


def test_real_prompts():
    from sqa_core.corpora import registry

    if registry.find("asterisk") is None:
        pytest.skip("the asterisk prompts are not here (sqa data fetch asterisk)")
    (file,) = known_impairments.make("prompts", ("noise-babble-0",), talkers=("en",))
    assert file.talker == "en"
    assert 3 < len(file.waveform) / known_impairments.RATE < 5
    assert file.noise.all()
