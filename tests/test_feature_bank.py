"""The feature bank: each file's features are the encoder's own, a killed run goes on, a full disk is told before anything is made."""

import shutil
from collections import namedtuple

import numpy as np
import pytest

from sqa_core import audio
from sqa_core.corpora import manifest
from sqa_core.corpora.manifest import Manifest
from sqa_core.errors import CorpusError, SettingsError
from sqa_core.learning import feature_bank
from sqa_core.models import encoders
from tests.test_emotions import put
from tests.test_encoders import saved, small


@pytest.fixture
def here(tmp_path, monkeypatch) -> Manifest:
    """Five sounds of several lengths and rates, and one small encoder under SQA_WEIGHTS."""
    monkeypatch.setenv("SQA_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("SQA_WEIGHTS", str(tmp_path / "weights"))
    monkeypatch.setenv("SQA_DEVICE", "cpu")
    saved(tmp_path / "weights" / "little", small("wav2vec2-large"))
    lengths = [0.31, 1.1, 0.5, 0.313, 0.9]
    for i, seconds in enumerate(lengths):
        put(tmp_path / "data", f"{i}.wav", seconds=seconds, seed=i, rate=44_100 if i == 1 else 16_000)
    table = manifest.describe(tmp_path / "data", [f"{i}.wav" for i in range(len(lengths))])
    table = table.assign(speaker="a", language="el", licence="none", emotion=["anger", "sadness", "anger", "sadness", "anger"])
    return Manifest("made", table, tmp_path / "data", "real")


def test_each_file_has_the_features_of_the_file_alone(here):
    heard, told = [], []
    bank = feature_bank.bank(here, "little", on_start=told.append, on_audio=heard.append)
    assert told == [bank.frames.nbytes + bank.means.nbytes], "its size is known before it starts"
    assert sum(heard) == pytest.approx(here.table["seconds"].sum(), abs=1e-3)
    encoder = encoders.load("little")
    for i, path in enumerate(here.paths()):
        (alone,) = encoder.hidden_states([audio.load_mono(path, encoders.RATE)])
        kept = bank.frames[:, bank.ends[i] : bank.ends[i + 1]]
        assert kept.shape == alone.shape
        np.testing.assert_allclose(kept, alone, atol=2e-3)
        np.testing.assert_allclose(bank.means[i], alone.mean(dim=1), atol=1e-4)


def test_a_killed_run_goes_on(here, monkeypatch):
    calls = []
    real = encoders.Encoder.hidden_states

    def dying(encoder, waveforms, *more):
        if len(calls) == 2:
            raise KeyboardInterrupt
        calls.append(len(waveforms))
        return real(encoder, waveforms, *more)

    monkeypatch.setitem(feature_bank.BATCH_S, "cpu", 0.6)
    monkeypatch.setattr(encoders.Encoder, "hidden_states", dying)
    with pytest.raises(KeyboardInterrupt):
        feature_bank.bank(here, "little")
    monkeypatch.setattr(encoders.Encoder, "hidden_states", real)
    heard = []
    bank = feature_bank.bank(here, "little", on_audio=heard.append)
    assert 0 < sum(heard) < here.table["seconds"].sum() - 1, "what was heard is not heard again"
    resumed = np.array(bank.frames)
    assert feature_bank.bank(here, "little", on_audio=pytest.fail).ends.tolist() == bank.ends.tolist()
    shutil.rmtree(bank.folder)
    assert np.array_equal(feature_bank.bank(here, "little").frames, resumed)


def test_of_two_that_want_a_bank_one_fills_it(here):
    from concurrent.futures import ThreadPoolExecutor

    heard = []
    with ThreadPoolExecutor(2) as pool:
        one, other = pool.map(lambda _: feature_bank.bank(here, "little", on_audio=heard.append), range(2))
    assert sum(heard) == pytest.approx(here.table["seconds"].sum(), abs=1e-3), "each sound once"
    assert np.array_equal(one.means, other.means)


def test_a_full_disk_is_told_before_anything_is_made(here, monkeypatch):
    Usage = namedtuple("Usage", "total used free")
    monkeypatch.setattr(shutil, "disk_usage", lambda _: Usage(10, 10, 1000))
    with pytest.raises(SettingsError, match="GB are free; set SQA_CACHE to a larger disk"):
        feature_bank.bank(here, "little")


def test_the_key_tells_files_weights_and_settings_apart(here):
    key = feature_bank.key(here, "little", feature_bank.FeatureSettings())
    assert key != feature_bank.key(here, "little", feature_bank.FeatureSettings(channel="left"))
    assert key != feature_bank.key(here, "random-little", feature_bank.FeatureSettings())
    fewer = Manifest("made", here.table.iloc[:4], here.root, "real")
    assert key != feature_bank.key(fewer, "little", feature_bank.FeatureSettings())
    relabelled = Manifest("made", here.table.assign(emotion="fear"), here.root, "real")
    assert key == feature_bank.key(relabelled, "little", feature_bank.FeatureSettings())


def test_two_channels_are_told_apart(tmp_path):
    rng = np.random.default_rng(0)
    both = rng.normal(0, 0.1, (2, 8000)).astype(np.float32)
    audio.write_wav(tmp_path / "two.wav", both, 16_000)
    left, right, mean = (audio.load_mono(tmp_path / "two.wav", encoders.RATE, c) for c in ("left", "right", "mean"))
    np.testing.assert_allclose(left, both[0], atol=1e-4)
    np.testing.assert_allclose(right, both[1], atol=1e-4)
    np.testing.assert_allclose(mean, both.mean(axis=0), atol=1e-4)


def flip(path, at=-3):
    """One byte is another."""
    data = bytearray(path.read_bytes())
    data[at] ^= 1
    path.write_bytes(data)


DAMAGE = {
    "an empty file": lambda path: path.write_bytes(b""),
    "a file cut in half": lambda path: path.write_bytes(path.read_bytes()[: path.stat().st_size // 2]),
    "a file cut and filled with zeros": lambda path: path.write_bytes(
        path.read_bytes()[: path.stat().st_size // 2].ljust(path.stat().st_size, b"\0")
    ),
    "another kind of file": lambda path: path.write_bytes(b"hello, world" * 100),
    "no file": lambda path: path.unlink(),
    "a flipped byte": flip,
    "a flipped byte in the header": lambda path: flip(path, 30),
}


@pytest.mark.parametrize("state", ["whole", "broken off"])
@pytest.mark.parametrize("name", ["whole.json", "frames.npy", "means.npy", "sums.npy"])
@pytest.mark.parametrize("damage", DAMAGE)
def test_a_damaged_bank_is_noticed_and_made_again(here, damage, name, state, capsys):
    bank = feature_bank.bank(here, "little")
    frames, means = np.array(bank.frames), np.array(bank.means)
    if state == "broken off":
        if name == "whole.json":
            pytest.skip("a run that broke off has none")
        (bank.folder / "whole.json").unlink()
    DAMAGE[damage](bank.folder / name)
    heard = []
    again = feature_bank.bank(here, "little", on_audio=heard.append)
    np.testing.assert_allclose(again.frames, frames, atol=2e-3)  # files beside others in a batch are padded, so rounded, otherwise
    np.testing.assert_allclose(again.means, means, atol=1e-3)
    if state == "whole" and not (name == "whole.json" and damage.startswith(("no file", "a flipped byte"))):
        assert "the features of made are computed again" in capsys.readouterr().err
    assert feature_bank.bank(here, "little", on_audio=pytest.fail).ends.tolist() == bank.ends.tolist()


def test_a_file_that_changed_under_its_manifest_stops_the_bank(here):
    (here.root / "2.wav").write_bytes((here.root / "0.wav").read_bytes())
    with pytest.raises(CorpusError, match=r"2\.wav: missing, or not the file of the manifest .*sqa data check made"):
        feature_bank.bank(here, "little")
