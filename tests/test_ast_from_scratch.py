"""AST: the published network's size, its input, and that it learns what is there to be learnt, twice alike."""

import dataclasses

import numpy as np
import pytest
import torch

from sqa_core import audio, metrics, spectrogram
from sqa_core.corpora import registry, splits
from sqa_core.learning import ast_from_scratch
from sqa_core.learning.ast_from_scratch import BaselineSettings
from sqa_core.learning.folds import Fold
from sqa_core.models import spectrogram_transformer
from sqa_core.models.spectrogram_transformer import LAYOUTS, Layout
from sqa_core.studies.speech_models import plan as study
from sqa_core.studies.speech_models.trials import BaselineTrial


@pytest.mark.parametrize(
    ("layout", "frames", "parameters"),
    [(LAYOUTS["ast"], 1024, 86_187_264), (LAYOUTS["ast"], 1204, 86_353_152), (Layout(128, 4, 4, 10), 1204, 1_009_536)],
    ids=["10.24 s", "12 s", "small"],
)
def test_the_network_has_the_published_size(layout, frames, parameters):
    """86,191,109 with five linear heads of 769 for 10.24 s, as published weights have it; 86,356,997 for 12 s."""
    audio.import_torchaudio()  # which makes a tensor as it is imported: not on meta
    with torch.device("meta"):
        network = spectrogram_transformer.build(layout, frames, 7)
    assert sum(p.numel() for p in network.audio_spectrogram_transformer.parameters()) == parameters


def test_sounds_are_cut_and_filled_with_zeros():
    rng = np.random.default_rng(0)
    short, long = 0.1 * rng.standard_normal(8_000).astype(np.float32), 0.1 * rng.standard_normal(40_000).astype(np.float32)
    bands = spectrogram.ast_filter_bank([short, long], 100)
    assert bands.shape == (2, 100, 128)
    assert (bands[0, 48:] == 0).all(), "half a second gives 48 frames of 25 ms"
    assert (bands[0, :48] != 0).all()
    torch.testing.assert_close(spectrogram.ast_filter_bank([long[: 100 * 160 + 240]], 100)[0, :90], bands[1, :90], atol=0.05, rtol=0)
    heard = bands[0, :48] > -15  # the lowest bands are too narrow for a line of the spectrum, and lie at the floor
    louder = (spectrogram.ast_filter_bank([2 * short], 100)[0, :48] - bands[0, :48])[heard]
    torch.testing.assert_close(louder, torch.full_like(louder, 2 * np.log(2)), atol=1e-3, rtol=0)


def test_a_trial_learns_one_fold_and_keeps_its_answers():
    (trial,) = [t for t in study.trials(study.Settings()) if isinstance(t, BaselineTrial)]
    brief = dataclasses.replace(trial.settings, frames=64, epochs=1)
    result = trial.model_copy(update={"settings": brief, "languages": ("it",), "split_hash": split_of("it").hash}).run()
    assert len(result.items) == result.metrics["tested"] == (split_of("it").table["part"] == "test").sum()
    assert {"f1", "constant_f1", "class_f1", "valid_f1", "best_epoch", "parameters"} <= set(result.metrics)


def split_of(language):
    return splits.make(registry.load("polyglot-acted").where(language=(language,)), "speaker")


@pytest.fixture(scope="module")
def striped():
    """Noise, plain, with louder bands, or with louder frames: features (files, frames, bands), labels."""
    generator = torch.Generator().manual_seed(0)
    labels = np.arange(60) % 3
    bands = torch.randn(60, 64, spectrogram.AST_BANDS, generator=generator) - 6
    bands[labels == 1, :, ::4] += 4
    bands[labels == 2, ::4] += 4
    return bands, labels


def test_it_learns_what_is_there_and_the_same_again(striped):
    bands, labels = striped
    parts = np.split(np.random.default_rng(0).permutation(60), [40, 50])
    settings = BaselineSettings(frames=64, epochs=8, batch_size=4, learning_rate=1e-3, decay=1.0, masked_bands=8, masked_frames=8)
    one, other = (ast_from_scratch.learn(bands, Fold(labels, 3, parts[0], parts[1]), settings, seed=1) for _ in range(2))
    answers = ast_from_scratch.predict(one, bands, parts[2])
    assert metrics.macro_f1(labels[parts[2]], answers.argmax(dim=1).numpy()) > 80
    torch.testing.assert_close(answers, ast_from_scratch.predict(other, bands, parts[2]))
    assert one.valid_f1[one.best_epoch] == max(one.valid_f1)
    another = ast_from_scratch.learn(bands, Fold(labels, 3, parts[0], parts[1]), settings, seed=2)
    assert not torch.equal(ast_from_scratch.predict(another, bands, parts[2]), answers)
