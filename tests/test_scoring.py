"""NISQA: parity with the original, and what the original fails on."""

import copy
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch

from sqa_core import audio, scoring, spectrogram
from sqa_core.errors import SettingsError
from sqa_core.models import nisqa_long
from sqa_core.models.nisqa import DIMENSIONS
from tests.conftest import GOLDEN, ROOT

CHECKPOINTS = {"nisqa": "nisqa", "nisqa-mos": "nisqa_mos_only", "nisqa-tts": "nisqa_tts"}
# Sums of reference/nisqa_layers.csv, checked there against the weights.
PARAMETERS = {"nisqa": 252_458, "nisqa-mos": 218_402, "nisqa-tts": 303_925}


@pytest.mark.parametrize("name", CHECKPOINTS)
def test_scores_equal_the_original_on_78_real_files(p835, official, name):
    golden = pd.read_csv(GOLDEN / f"{CHECKPOINTS[name]}_p835_fullband.csv")
    paths = {p.stem: p for p in p835.where(set="fullband").paths()}
    scores = scoring.score([paths[d.removesuffix(".wav")] for d in golden["deg"]], official(name))
    assert scores["error"].isna().all()
    columns = [c for c in DIMENSIONS if f"{c}_pred" in golden]
    assert columns == list(official(name).settings.outputs)
    assert np.abs(scores[columns].to_numpy(float) - golden[[f"{c}_pred" for c in columns]].to_numpy()).max() < 1e-4


@pytest.mark.parametrize("name", CHECKPOINTS)
def test_networks_have_the_parameters_of_the_paper(official, name):
    assert sum(p.numel() for p in official(name).model.parameters()) == PARAMETERS[name]


def test_cnn_features_equal_the_original(p835, official):
    golden = np.load(GOLDEN / "nisqa_tts_extract.npz")["c1_f2_cnn"]
    network = official("nisqa-tts")
    path = next(p for p in p835.where(set="fullband").paths() if p.stem == "c1_f2")
    features = scoring.cnn_features(network, [scoring.mel_of(network, audio.load(path))])[0]
    assert np.abs(features.numpy() - golden).max() < 1e-3


def noise(seconds: float, rate: int = 16_000, seed: int = 0) -> np.ndarray:
    return (np.random.default_rng(seed).standard_normal(int(seconds * rate)) * 0.05).astype(np.float32)


def test_folded_network_equals_the_plain_one(own):
    mel = scoring.mel_of(own, audio.Sound(noise(2)[None], 16_000))
    s = own.settings
    cut = spectrogram.segments(mel, s.segment_length, s.segment_hop)
    with torch.inference_mode():
        plain = own.model(cut[None], torch.tensor([len(cut)])).numpy()
    assert scoring.score_mels(scoring.folded(own), [mel]) == pytest.approx(plain, abs=1e-5)


def test_a_file_scores_the_same_alone_and_in_any_batch(own):
    sounds = [noise(s, seed=i) for i, s in enumerate([0.3, 5.0, 1.1, 0.2, 9.7, 2.0])]
    alone = [scoring.score(s, own, sample_rate=16_000)["mos"][0] for s in sounds]
    together = scoring.score(sounds, own, sample_rate=16_000)["mos"]
    backwards = scoring.score(sounds[::-1], own, sample_rate=16_000)["mos"][::-1]
    assert np.abs(np.array(alone) - together.to_numpy()).max() < 1e-5
    assert np.abs(together.to_numpy() - backwards.to_numpy()).max() < 1e-5


@pytest.mark.parametrize("name", ["nisqa", "nisqa-tts"])
def test_official_batches_of_unequal_length(official, name):
    sounds = [noise(s, 48_000, i) for i, s in enumerate([0.4, 3.0, 1.3])]
    alone = [scoring.score(s, official(name), sample_rate=48_000)["mos"][0] for s in sounds]
    assert scoring.score(sounds, official(name), sample_rate=48_000)["mos"].to_numpy() == pytest.approx(alone, abs=1e-5)


def test_too_short_is_a_row_with_a_reason(own):
    table = scoring.score([noise(0.1), noise(1)], own, sample_rate=16_000)
    assert "too short" in table["error"][0]
    assert np.isnan(table["mos"][0])
    assert table["error"].isna()[1]


def test_fifteen_frames_are_enough(own):
    least = noise(0.14)
    assert scoring.score(least, own, sample_rate=16_000)["error"].isna().all()
    assert scoring.score(least[:-1], own, sample_rate=16_000)["error"].notna().all()


def test_silence_and_any_rate_have_a_score(own):
    rates = (8000, 11_025, 22_050, 44_100, 96_000)
    sounds = [0.5 * np.sin(2 * np.pi * 440 * np.arange(rate) / rate) for rate in rates]
    tones = [scoring.score(x, own, sample_rate=r)["mos"][0] for x, r in zip(sounds, rates, strict=True)]
    assert np.ptp(tones) < 0.05, "one tone at any rate, which the network brings to its own"
    assert 1 < scoring.score(np.zeros(16_000), own, sample_rate=16_000)["mos"][0] < 5


def test_rate_of_the_file_or_another(official):
    x = noise(3)
    own_rate = scoring.score(x, official("nisqa"), sample_rate=16_000)["mos"][0]
    resampled = scoring.score(x, official("nisqa"), sample_rate=16_000, resample=48_000)["mos"][0]
    by_hand = scoring.score(audio.resample(x[None], 16_000, 48_000), official("nisqa"), sample_rate=48_000)["mos"][0]
    assert resampled == pytest.approx(by_hand, abs=1e-6)
    assert own_rate != resampled


def test_windows_have_bounds(own):
    with pytest.raises(SettingsError, match="A window and its hop"):
        next(scoring.score_stream([noise(1)], own, sample_rate=16_000, windows=(1.0, 1e-6)))


def test_resample_has_bounds_and_a_reason(own):
    for rate in (48_000, 10):
        with pytest.raises(SettingsError):
            scoring.score(noise(1), own, sample_rate=16_000, resample=rate)


def test_windows_cover_the_sound_and_equal_their_own_score(own):
    sound = noise(4.3)
    rows = list(scoring.score_stream([sound], own, sample_rate=16_000, windows=(1.0, 0.5)))
    assert rows[0]["start_s"] == 0
    assert rows[-1]["end_s"] == pytest.approx(4.3)
    middle = rows[3]
    cut = sound[round(middle["start_s"] * 16_000) : round(middle["end_s"] * 16_000)]
    assert middle["mos"] == pytest.approx(scoring.score(cut, own, sample_rate=16_000)["mos"][0], abs=1e-5)
    assert len(list(scoring.score_stream([noise(0.5)], own, sample_rate=16_000, windows=(1.0, 0.5)))) == 1


def test_report_says_what_the_network_was_not_trained_for(own):
    loud = np.clip(noise(1) * 60, -1, 1)
    (row,) = scoring.score_stream([np.stack([loud, loud])], own, sample_rate=8000, report=True)
    for words in ("long, trained on", "nothing above 4 kHz", "active level", "clipped", "2 channels"):
        assert words in row["advice"]
    (fine,) = scoring.score_stream([noise(6) * 1.0], own, sample_rate=16_000, report=True)
    assert fine["advice"] == "fits"


def test_report_and_channel_go_together(own):
    both = np.stack([noise(2), noise(2, seed=1) * 0.01])
    plain = next(scoring.score_stream([both], own, sample_rate=16_000, channel=1))
    reported = next(scoring.score_stream([both], own, sample_rate=16_000, channel=1, report=True))
    assert reported["mos"] == pytest.approx(plain["mos"], abs=1e-6)
    assert reported["channels"] == 2
    assert "no channel 5" in next(scoring.score_stream([both], own, sample_rate=16_000, channel=5, report=True))["error"]


def test_a_channel_that_a_mono_sound_does_not_have_is_an_error_with_and_without_report(own):
    plain, reported = (next(scoring.score_stream([noise(1)], own, sample_rate=16_000, channel=1, report=r)) for r in (False, True))
    assert plain["error"] == reported["error"] is not None
    assert "no channel 1" in plain["error"]


def test_short_files_go_into_larger_groups(tmp_path, monkeypatch):
    """Long ones and arrays do not, nor do the first groups, so that no thread waits."""
    monkeypatch.setattr(torch, "get_num_threads", lambda: 1)
    short, long = tmp_path / "short.wav", tmp_path / "long.wav"
    short.write_bytes(bytes(8_000))
    long.write_bytes(bytes(200_000))

    def sizes(sources):
        return [len(group) for group in scoring.rows._groups(sources)]

    assert sizes([short] * 100) == [12, 12, 48, 28]
    assert sizes([long] * 40) == [12, 12, 12, 4]
    assert sizes([noise(1)] * 30) == [12, 12, 6]
    assert sizes([tmp_path / "absent.wav", b"\0", 3, None] * 3) == [12]


def test_streams_leave_torchs_threads_as_they_were(own, monkeypatch):
    """Two interleaved streams, one of them abandoned, one that raises, and two in threads of their own."""
    monkeypatch.setattr(scoring.rows, "FILES", 1)
    monkeypatch.setattr(scoring.rows, "SHORT_FILES", 1)
    monkeypatch.setattr(scoring.rows, "BURST_S", 0.0001)
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    try:
        sounds = [noise(0.5, seed=i) for i in range(6)]
        one, other = (scoring.score_stream(sounds, own, sample_rate=16_000) for _ in range(2))
        next(one), next(other), next(one)
        assert torch.get_num_threads() == 2, "between rows"
        one.close()
        rest = list(other)
        assert torch.get_num_threads() == 2
        assert len(rest) == 5

        def broken():
            yield from sounds[:3]
            raise OSError("the source ends")

        with pytest.raises(OSError, match="the source ends"):
            list(scoring.score_stream(broken(), own, sample_rate=16_000))
        assert torch.get_num_threads() == 2
        with ThreadPoolExecutor(2) as pool:
            tables = list(pool.map(lambda _: list(scoring.score_stream(sounds, own, sample_rate=16_000)), range(2)))
        assert torch.get_num_threads() == 2
        assert [r["mos"] for r in tables[0]] == pytest.approx([r["mos"] for r in tables[1]], abs=1e-6)
    finally:
        torch.set_num_threads(before)


@pytest.mark.slow
def test_a_long_sound_takes_bounded_memory():
    """An hour at 48 kHz with a report, in a process of its own: under 1 GB."""
    if not Path("/proc/self/status").exists():
        pytest.skip("the most memory that a process held is read from /proc")
    code = """
import re, soundfile, sys, tempfile
import numpy as np
from sqa_core import scoring
from sqa_core.models import weights
rng = np.random.default_rng(0)
with tempfile.NamedTemporaryFile(suffix=".wav") as f:
    with soundfile.SoundFile(f.name, "w", 48_000, 1, format="WAV") as sound:
        for _ in range(60):
            sound.write(rng.standard_normal(48_000 * 60) * 0.05)
    row = next(scoring.score_stream([f.name], weights.load("polyglot-pesq"), report=True))
assert np.isfinite(row["mos"]), row
print(re.search(r"VmHWM:\\s+(\\d+) kB", open("/proc/self/status").read())[1])
"""
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert int(done.stdout.split()[-1]) * 1024 < 1e9


def test_chunk_size_does_not_show(own, monkeypatch):
    sound = noise(20)
    usual = scoring.score(sound, own, sample_rate=16_000)["mos"][0]
    monkeypatch.setattr(scoring.network, "CHUNK", 32)
    assert scoring.score(sound, own, sample_rate=16_000)["mos"][0] == pytest.approx(usual, abs=1e-5)


@pytest.mark.parametrize("name", ["own", "nisqa", "nisqa-tts"])
@pytest.mark.parametrize("report", [False, True])
def test_a_sound_in_blocks_has_the_score_of_the_whole(own, request, monkeypatch, name, report):
    """What is done above `LONG_SAMPLES`: decoded, resampled, transformed and attended to piece by piece."""
    network = own if name == "own" else request.getfixturevalue("official")(name)
    sound = np.stack([noise(70, 44_100), noise(70, 44_100, 1)]) * np.linspace(0.1, 1, 70 * 44_100, dtype=np.float32)
    options = {"sample_rate": 44_100, "report": report} | ({} if name == "own" else {"resample": 48_000})
    whole = next(scoring.score_stream([sound], network, **options))
    monkeypatch.setattr(scoring.sounds, "LONG_SAMPLES", 20 * 16_000)
    monkeypatch.setattr(scoring.network, "SPOOLED", 100_000)
    monkeypatch.setattr(nisqa_long, "STEPS", 100)
    blocks = next(scoring.score_stream([sound], network, **options))
    assert blocks.keys() == whole.keys()
    assert blocks["note"] == whole["note"] != None  # noqa: E711
    for key, value in whole.items():
        if isinstance(value, float):
            assert blocks[key] == pytest.approx(value, abs=1e-4, rel=1e-4, nan_ok=True), key
        else:
            assert blocks[key] == value, key


def test_windows_of_a_long_sound_are_cut_from_blocks(own, monkeypatch):
    sound = noise(95)
    monkeypatch.setattr(audio.decoding, "BLOCK", 50_000)
    rows = list(scoring.score_stream([sound], own, sample_rate=16_000, windows=(10.0, 7.0)))
    assert [r["start_s"] for r in rows] == [0, 7, 14, 21, 28, 35, 42, 49, 56, 63, 70, 77, 84, 85]
    for row in rows[::5]:
        cut = sound[round(row["start_s"] * 16_000) : round(row["end_s"] * 16_000)]
        assert row["mos"] == pytest.approx(scoring.score(cut, own, sample_rate=16_000)["mos"][0], abs=1e-5)


def test_whatever_fails_is_one_row(own, monkeypatch):
    """A decoder that crashes, and a network that runs out of memory, at one sound of several."""
    sounds = [noise(1), noise(2), noise(3)]
    right = scoring.score(sounds, own, sample_rate=16_000)["mos"].tolist()
    load = scoring.sounds.mel_of

    def crashes(network, sound, *more):
        if sound.waveform.shape[1] == 2 * 16_000:
            raise ZeroDivisionError("in a\ndecoder")
        return load(network, sound, *more)

    monkeypatch.setattr(scoring.sounds, "mel_of", crashes)
    table = scoring.score(sounds, own, sample_rate=16_000)
    assert table["error"][1] == "array: could not be scored (ZeroDivisionError: in a decoder)."
    monkeypatch.setattr(scoring.sounds, "mel_of", load)
    together = scoring.rows.score_mels

    def full(network, mels):
        if any(len(m) > 250 for m in mels):
            raise RuntimeError("out of memory")
        return together(network, mels)

    monkeypatch.setattr(scoring.rows, "score_mels", full)
    table = scoring.score([*sounds, None], own, sample_rate=16_000)
    assert table["mos"][:2].tolist() == pytest.approx(right[:2], abs=1e-5)
    assert "out of memory" in table["error"][2]
    assert "NoneType" in table["error"][3]


def test_what_was_mixed_is_in_the_row(own):
    both = np.stack([noise(1), noise(1, seed=1)])
    table = scoring.score([both, noise(1)], own, sample_rate=16_000)
    assert table["note"].fillna("").tolist() == ["2 channels mixed to one", ""]
    assert scoring.score(both, own, sample_rate=16_000, channel=1)["note"][0] == "channel 1 of 2"


def test_folders_are_searched_for_sounds(tmp_path, tone):
    """By their first bytes; links are followed, once; what is left out is counted."""
    deep = tmp_path / "a" / "deep"
    deep.mkdir(parents=True)
    audio.write_wav(deep / "a.wav", *tone)
    audio.write_wav(deep / "no ending", *tone)
    (deep / "._a.wav").write_bytes(bytes.fromhex("0005160700020000") + bytes(1000))
    (deep / "broken.wav").write_bytes(b"<html>404</html>")
    (deep / "notes.txt").write_text("no sound")
    (deep / "loop").symlink_to(tmp_path / "a")
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    audio.write_wav(elsewhere / "b.oga", *tone)
    (tmp_path / "a" / "link").symlink_to(elsewhere)
    found, left_out = audio.sound_files([tmp_path / "a"])
    assert [p.name for p in found] == ["a.wav", "broken.wav", "no ending", "b.oga"]
    assert left_out == {"text": 1, "a Mac's resource fork (AppleDouble)": 1}
    (tmp_path / "empty").mkdir()
    with pytest.raises(SettingsError, match="no sound files"):
        audio.sound_files([tmp_path / "empty"])


def test_a_source_that_is_none_is_its_own_row(own):
    good = np.random.default_rng(0).normal(0, 0.1, 16_000).astype(np.float32)
    found = scoring.score([{"path": 5}, {"bytes": None, "path": None}, good], own, sample_rate=16_000)
    assert found["error"].notna().tolist() == [True, True, False]


def test_many_channels_are_a_long_sound(own, monkeypatch):
    """Memory is bounded by samples over all channels: eight channels of 20 s are as much as one of 160 s."""
    rng = np.random.default_rng(0)
    sound = audio.Sound(rng.normal(0, 0.05, (8, 5 * 16_000)).astype(np.float32), 16_000)
    whole = scoring.score([(16_000, sound.waveform)], own)
    seen = []
    long = scoring.sounds._long
    monkeypatch.setattr(scoring.sounds, "_long", lambda *a: seen.append(1) or long(*a))
    monkeypatch.setattr(scoring.sounds, "LONG_SAMPLES", 10 * 16_000)
    monkeypatch.setattr(scoring.sounds.audio.decoding, "BLOCK", 8000, raising=False)
    again = scoring.score([(16_000, sound.waveform)], own)
    assert seen
    assert again["mos"][0] == pytest.approx(whole["mos"][0], abs=1e-4)


def test_a_score_that_is_no_number_is_an_error(own):
    """Weights can be finite and so large that scores are not."""
    network = replace(own, model=copy.deepcopy(own.model))
    with torch.no_grad():
        network.model.pool[0].linear3.weight.mul_(1e38).mul_(1e38)
    found = scoring.score(np.random.default_rng(0).normal(0, 0.1, 16_000).astype(np.float32), network, sample_rate=16_000)
    assert "gives no number" in found["error"][0]
    assert pd.isna(found["mos"][0])
