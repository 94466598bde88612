"""Training on calls: both networks learn, resume to the same weights, and predict what they do when they are alone."""

import json
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch

from sqa_core import audio
from sqa_core.corpora import registry
from sqa_core.errors import CorpusError, SettingsError
from sqa_core.learning import calls_networks, quality, quality_material
from sqa_core.models import quality_transformer, weights
from sqa_core.results.trials import canonical


def made(count: int, seed: int) -> quality_material.Material:
    """Noise whose level decides the labels: something that can be learned in seconds."""
    rng = np.random.default_rng(seed)
    labels = rng.uniform(1, 5, (count, 5)).astype(np.float32)
    labels[::7, 2] = np.nan  # not every call has every label
    mels: dict[str, list[torch.Tensor]] = {"nisqa": [], "ast": []}
    for y in labels:
        frames = int(rng.integers(60, 140))
        for kind, bands in (("nisqa", 48), ("ast", 128)):
            mels[kind].append(torch.from_numpy(rng.normal(-60 + 8 * y[0], 3, (frames, bands)).astype(np.float32)))
    return quality_material.Material(mels, torch.from_numpy(labels), pd.DataFrame({"item": range(count)}))


@pytest.mark.parametrize(("name", "front"), [("nisqa", "own"), ("nisqa", "ast"), ("ast-small", "own")])
def test_a_network_learns_and_a_killed_run_ends_with_the_same_weights(tmp_path, name, front):
    train, valid = made(60, 0), made(20, 1)
    settings = quality.QualitySettings(name, epochs=4, batch_size=10, learning_rate=1e-3, front=front)
    network, epochs = quality.learn(train, valid, settings, 0, tmp_path / "whole")
    assert epochs[-1].loss < epochs[0].loss
    mels = valid.mels[quality.front_end(settings)]
    assert mels is valid.mels[quality.front_end_of(network)]
    assert mels[0].shape[1] == network.settings.mel.n_mels
    predicted = quality.predict(network, mels)
    assert predicted.shape == (20, 5)
    assert np.isfinite(predicted).all()
    alone = np.concatenate([quality.predict(network, [mel]) for mel in mels])
    assert np.abs(alone - predicted).max() < 1e-4

    class Killed(Exception):
        pass

    def kill(epoch):
        if epoch.number == 1:
            raise Killed

    with pytest.raises(Killed):
        quality.learn(train, valid, settings, 0, tmp_path / "broken", kill)
    resumed, _ = quality.learn(train, valid, settings, 0, tmp_path / "broken")
    assert all(torch.equal(a, b) for a, b in zip(network.state_dict().values(), resumed.state_dict().values(), strict=True))


@pytest.mark.parametrize("name", ["nisqa", "ast-small"])
def test_mixed_precision_learns_nearly_the_same(tmp_path, name):
    train, valid = made(20, 0), made(10, 1)
    settings = quality.QualitySettings(name, epochs=2, batch_size=10)
    _, whole = quality.learn(train, valid, settings, 0, tmp_path / "exact")
    mixed, half = quality.learn(train, valid, replace(settings, mixed_precision="bf16"), 0, tmp_path / "half")
    assert [e.loss for e in half] != [e.loss for e in whole], "computed in 16 bits"
    assert [e.loss for e in half] == pytest.approx([e.loss for e in whole], rel=0.1)
    assert quality.settings_hash(settings, 0) != quality.settings_hash(replace(settings, mixed_precision="bf16"), 0)
    assert "mixed_precision" not in canonical(settings), "records that are older keep their key"
    assert {p.dtype for p in mixed.parameters()} == {torch.float32}


def test_a_single_dimension_is_a_network_of_its_own(tmp_path):
    train, valid = made(20, 0), made(10, 1)
    network, _ = quality.learn(train, valid, quality.QualitySettings("ast-small", ("dis",), 1, 10), 0, tmp_path)
    assert quality.predict(network, valid.mels["ast"]).shape == (10, 1)
    with pytest.raises(SettingsError, match="not for brightness"):
        quality.learn(train, valid, quality.QualitySettings("nisqa", ("brightness",)), 0, tmp_path / "x")


def test_an_overall_score_stands_in_for_a_share_of_the_labels():
    labels = torch.rand(40, 5)
    for share in (0.0, 0.5, 1.0):
        found = quality.with_stand_ins(labels, share, 1)
        replaced = (found[:, 1:4] == labels[:, :1]).all(dim=1)
        assert replaced.sum() == round(40 * share)
        assert torch.equal(found[~replaced], labels[~replaced])
        assert torch.equal(found[:, [0, 4]], labels[:, [0, 4]])
    with pytest.raises(SettingsError, match="share"):
        quality.with_stand_ins(labels, 2.0, 1)


def test_material_is_made_once_and_comes_back_as_it_was(tmp_path, monkeypatch):
    pytest.importorskip("pesq")
    monkeypatch.setenv("SQA_CACHE", str(tmp_path))
    part = quality_material.Part("polyglot", "en", 3, 11, ("m2",))
    first = quality_material.material(part)
    files = list(Path(tmp_path, "material").iterdir())
    monkeypatch.setattr(quality_material, "make", lambda *_: pytest.fail("made twice"))
    again = quality_material.material(part)
    assert len(files) == 1
    assert torch.equal(first.labels, again.labels)
    assert first.table.equals(again.table)
    assert all(torch.equal(a, b) for kind in first.mels for a, b in zip(first.mels[kind], again.mels[kind], strict=True))
    assert list(first.table.columns[:4]) == ["item", "language", "voice", "seconds"]


def test_material_is_void_when_anything_that_makes_it_changes(monkeypatch, tmp_path):
    (tmp_path / "another.wav").write_bytes(b"a noise")
    part = quality_material.Part("polyglot", "en", 3, 11)
    found = {
        quality_material.part_hash(part),
        quality_material.part_hash(replace(part, use="valid")),
        quality_material.part_hash(replace(part, seed=1)),
    }
    with monkeypatch.context() as m:
        m.setattr(quality_material.calls, "VERSION", -1)
        found.add(quality_material.part_hash(part))
    with monkeypatch.context() as m:
        m.setitem(quality_material.FRONT_ENDS, "nisqa", replace(quality_material.FRONT_ENDS["nisqa"], n_mels=40))
        found.add(quality_material.part_hash(part))
    with monkeypatch.context() as m:
        m.setenv("SQA_DATA", str(tmp_path))
        m.setattr(quality_material.recordings, "noises", lambda use: ("another.wav",))
        found.add(quality_material.part_hash(part))
    found.add(quality_material.part_hash(replace(part, extended=True)))
    found.add(quality_material.part_hash(replace(part, varied=True)))
    assert len(found) == 8
    assert quality_material.part_hash(part) in found


def test_a_sound_has_the_spectrogram_that_training_had(tone):
    for name, shape in (("nisqa", 48), ("ast", 128)):
        front = quality_material.FRONT_ENDS[name]
        assert quality_material.mel_of(front, audio.Sound(tone.waveform, tone.sample_rate)).shape[1] == shape


@pytest.mark.parametrize("name", calls_networks.RECIPES)
def test_a_network_of_calls_is_trained_and_kept_as_a_file(tmp_path, monkeypatch, name):
    recipe = calls_networks.RECIPES[name]
    monkeypatch.setattr(
        quality_material, "joined", lambda parts, on_call=None: made(30 if parts is recipe.train else 12, len(parts[0].source))
    )
    monkeypatch.setitem(calls_networks.RECIPES, name, replace(recipe, settings=replace(recipe.settings, epochs=1)))
    monkeypatch.setattr(quality_material, "parts_hash", lambda parts: "x")
    monkeypatch.setattr(registry, "load", lambda source: None)
    path = calls_networks.train(name, tmp_path)
    facts = json.loads((path.parent / "training.json").read_text())
    assert facts["calls"] == [30, 12]
    assert set(facts["valid_pcc_rmse"]) == {"mos", "noi", "dis", "col", "loud"}
    if recipe.settings.network == "nisqa":
        network = weights.load(path)
        assert network.settings.mel.sample_rate == 48_000, "recordings at other rates are brought to that of the calls"
        assert network.settings.outputs == ("mos", "noi", "dis", "col", "loud")
        assert "PESQ" in network.trained_for
    else:
        assert quality_transformer.load(path).settings.outputs == ("mos", "noi", "dis", "col", "loud")
    with pytest.raises(SettingsError, match="calls-nisqa"):
        calls_networks.train("gpt", tmp_path)


def test_training_without_the_prompts_is_refused_before_anything_is_made(monkeypatch, tmp_path):
    monkeypatch.setattr(registry, "find", lambda name: None)
    monkeypatch.setattr(quality_material, "joined", lambda *_: pytest.fail("material was made first"))
    registry.load.cache_clear()
    with pytest.raises(CorpusError, match="asterisk is not on this machine"):
        calls_networks.train("calls-nisqa", tmp_path)


TWO = """
import hashlib, os, sys
from pathlib import Path
import torch
from sqa_core.learning import quality
from tests.test_quality import made

torch.set_num_threads(1)
for name in ("nisqa", "ast-small"):
    settings = quality.QualitySettings(name, epochs=2, batch_size=10)
    network, epochs = quality.learn(made(25, 0), made(10, 1), settings, 0, Path(sys.argv[1]) / name)
    weights = b"".join(v.numpy().tobytes() for v in network.state_dict().values())
    said = f"ended {name} {[e.loss for e in epochs]} {hashlib.sha256(weights).hexdigest()}"
    (Path(sys.argv[1]) / f"{name}-{os.environ['RANK']}.txt").write_text(said)
"""


def test_two_processes_end_with_the_same_weights(tmp_path):
    """An odd number of batches: none waits for a step that the other does not make."""
    script = tmp_path / "two.py"
    script.write_text(TWO)
    command = [sys.executable, "-m", "torch.distributed.run", "--nproc_per_node=2", "--standalone", str(script), str(tmp_path)]
    settings = os.environ | {"ACCELERATE_USE_CPU": "1", "PYTHONPATH": str(Path(__file__).parents[1]), "OMP_NUM_THREADS": "1"}
    done = subprocess.run(command, env=settings, capture_output=True, text=True, timeout=300, check=False)
    ended = [path.read_text() for path in tmp_path.glob("*.txt")]  # on one output, lines of two processes can run into each other
    assert len(ended) == 4, done.stderr[-2000:]
    assert len(set(ended)) == 2, "both processes have the same losses and weights"
