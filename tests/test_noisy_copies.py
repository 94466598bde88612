"""Noisy copies: what is added and hidden, and that a head learns from them and is tested on files as they are."""

import numpy as np
import pytest

from sqa_core import audio, degrade, levels
from sqa_core.corpora import noisy_copies, registry, splits
from sqa_core.learning import probes
from sqa_core.learning.probes import ProbeSettings
from sqa_core.models import encoder_catalogue, encoders
from sqa_core.studies.speech_models import plan as study
from sqa_core.studies.speech_models.trials import AugmentedTrial


def test_noise_and_mask_are_as_large_as_drawn(tone):
    waveform = audio.resample(tone.waveform, tone.sample_rate, encoders.RATE)[0]
    shares, ratios, edge = [], [], round(degrade.MASK_FADE_S * encoders.RATE)
    for seed in range(20):
        heard = degrade.noise_and_mask(waveform, 16_000, np.random.default_rng(seed))
        hidden = np.flatnonzero(heard == 0)
        shares.append((np.ptp(hidden) + 2 * edge) / len(heard))
        assert np.diff(hidden).max() == 1, "one stretch"
        kept = np.r_[0 : max(0, hidden[0] - edge), hidden[-1] + edge : len(heard)]
        ratios.append(levels.level(waveform[None]) - levels.level((heard - waveform)[None, kept]))
    assert min(shares) >= 0.099
    assert max(shares) <= 0.152
    assert min(ratios) >= 9.5
    assert max(ratios) <= 30.5
    silent = degrade.noise_and_mask(np.zeros(8000, np.float32), 16_000, np.random.default_rng(0))
    assert (silent == 0).all()
    assert np.ptp(ratios) > 5


def test_copies_keep_labels_and_the_first_is_the_sound_itself(tmp_path, monkeypatch):
    corpus = registry.load("polyglot-acted").where(language="it", speaker="m1", sentence="1")
    monkeypatch.setenv("SQA_CACHE", str(tmp_path))
    made = noisy_copies.noisy_copies(corpus, 2)
    n = len(corpus.table)
    assert len(made.table) == 3 * n
    assert made.table["emotion"].tolist() == 3 * corpus.table["emotion"].tolist()
    assert made.table["sentence"].tolist() == 3 * corpus.table["sentence"].tolist()
    one, same, noisy = (audio.load_mono(p, encoders.RATE) for p in (corpus.paths()[0], made.paths()[0], made.paths()[n]))
    np.testing.assert_allclose(one, same, atol=2**-15)
    assert np.abs(noisy - one).max() > 0.01
    assert noisy_copies.noisy_copies(corpus, 2).hash == made.hash


def test_a_head_learns_from_copies_and_is_tested_on_files(monkeypatch):
    corpus = registry.load("polyglot-acted").where(language="it")
    used, learn = [], probes.learn

    def recording(bank, fold, settings, seed, draw):
        def drawn(files):
            used.append(draw(files))
            return used[-1]

        return learn(bank, fold, settings, seed, drawn)

    monkeypatch.setattr(probes, "learn", recording)
    fields = study._fields("polyglot-acted", encoder_catalogue.MEL, protocol="speaker", split_hash=splits.make(corpus, "speaker").hash)
    result = AugmentedTrial(**fields, languages=("it",), copies=1, settings=ProbeSettings("linear", epochs=2)).run()
    n = len(corpus.table)
    assert np.concatenate(used).min() >= n, "what is learnt from is never a file as it is"
    assert set(result.items["file"]) <= set(corpus.table["file"])
    assert result.metrics["tested"] == len(result.items) == pytest.approx(n / 6, abs=1)
