"""NISQA's front end against librosa's numbers."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from sqa_core import audio, spectrogram
from sqa_core.errors import AudioError
from sqa_core.spectrogram import MelSettings
from tests.conftest import GOLDEN


@pytest.mark.parametrize("stem", ["c0_f1", "c1_f2"])
def test_equals_librosa_to_a_thousandth_of_a_decibel(p835, stem):
    golden = np.load(GOLDEN / "nisqa_tts_extract.npz")[f"{stem}_melspec"]
    path = next(p for p in p835.where(set="fullband").paths() if p.stem == stem)
    waveform, rate = audio.load(path)
    mel = spectrogram.mel_db(waveform[0], rate, MelSettings(fmax=8000.0))
    assert mel.T.shape == golden.shape
    assert np.abs(mel.T.numpy() - golden).max() < 1e-3


def plain_mel(x: np.ndarray, rate: int, s: MelSettings) -> np.ndarray:
    """The definition, frame by frame in double precision."""
    hop, win = s.hop(rate), s.win(rate)
    half = s.n_fft // 2
    padded = np.pad(x.astype(np.float64), half, mode="reflect")
    window = np.zeros(s.n_fft)
    start = (s.n_fft - win) // 2
    window[start : start + win] = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(win) / win)
    frames = np.stack([padded[i * hop : i * hop + s.n_fft] * window for i in range(1 + len(x) // hop)])
    mel = np.abs(np.fft.rfft(frames)) @ spectrogram.mel_filters(s.n_fft, s.n_mels, s.fmax, rate).double().numpy()
    db = 20 * np.log10(np.maximum(mel, 1e-4))
    return np.maximum(db, db.max() - 80)


@given(rate=st.sampled_from([8000, 11_025, 16_000, 22_050, 44_100, 48_000]), hops=st.integers(15, 150), seed=st.integers(0, 99))
def test_equals_its_definition_at_any_rate_and_length(rate, hops, seed):
    s = MelSettings()
    rng = np.random.default_rng(seed)
    x = (rng.standard_normal(hops * s.hop(rate) + int(rng.integers(s.hop(rate)))) * 0.05).astype(np.float32)
    mel = spectrogram.mel_db(x, rate, s).numpy()
    assert np.abs(mel - plain_mel(x, rate, s)).max() < 2e-3


def test_chunks_do_not_show():
    x = np.random.default_rng(0).standard_normal(48_000 * 4).astype(np.float32) * 0.1
    whole = spectrogram.mel_db(x, 48_000, MelSettings())
    assert len(whole) > 3 * spectrogram.FRAMES_AT_ONCE
    assert np.abs(whole.numpy() - plain_mel(x, 48_000, MelSettings())).max() < 2e-3


def test_silence_is_the_floor():
    mel = spectrogram.mel_db(np.zeros(48_000, np.float32), 48_000, MelSettings())
    assert torch.equal(mel, torch.full_like(mel, -80.0))


def test_too_short_and_too_fast_say_so():
    with pytest.raises(AudioError, match="too few"):
        spectrogram.mel_db(np.zeros(100, np.float32), 48_000, MelSettings())
    with pytest.raises(AudioError, match="longer than the FFT"):
        spectrogram.mel_db(np.zeros(400_000, np.float32), 384_000, MelSettings())


@given(frames=st.integers(1, 200), length=st.integers(1, 20), hop=st.integers(1, 9))
def test_segments_are_as_many_as_windows_fit(frames, length, hop):
    count = len([s for s in range(0, frames, hop) if s + length <= frames])
    assert spectrogram.count_segments(frames, length, hop) == count
    if count:
        mel = torch.arange(frames * 2.0).reshape(frames, 2)
        cut = spectrogram.segments(mel, length, hop)
        assert cut.shape == (count, 2, length)
        assert torch.equal(cut[-1], mel[(count - 1) * hop : (count - 1) * hop + length].T)
