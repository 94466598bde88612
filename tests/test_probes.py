"""Heads: the paper's layers and counts of parameters, exact pooling, learning that can be repeated and does learn."""

import itertools

import numpy as np
import pandas as pd
import pytest
import torch

from sqa_core import metrics
from sqa_core.learning import probes, probes_vmap
from sqa_core.learning.feature_bank import Bank
from sqa_core.learning.folds import Fold
from sqa_core.learning.probes import ProbeSettings
from sqa_core.models import heads
from tests.conftest import ROOT

PARAMETERS = pd.read_csv(ROOT / "book" / "published" / "speech_models" / "head_parameters.csv")


@pytest.mark.parametrize("row", PARAMETERS.to_dict("records"), ids=lambda r: f"{r['d']}-{r['classes']}")
def test_heads_have_the_papers_parameters(row):
    for head, column in (("linear", "linear"), ("non-linear", "non_linear"), ("multi-layer", "multi_layer")):
        module = heads.build(head, row["layers"], row["d"], row["classes"])
        assert sum(p.numel() for p in module.parameters()) == row[column]


def packed(layers=3, width=12):
    torch.manual_seed(0)
    lengths = torch.tensor([4, 1, 7])
    return torch.randn(layers, int(lengths.sum()), width), lengths


def test_pooling_first_is_exact_for_linear_heads():
    frames, lengths = packed()
    head = heads.build("linear", 3, 12, 5)
    ends = [0, *lengths.cumsum(0).tolist()]
    late = torch.stack([head.classify(head.project(frames[0, a:b]).mean(dim=0)) for a, b in itertools.pairwise(ends)])
    torch.testing.assert_close(head(frames[0], lengths), late)
    means = torch.stack([frames[:, a:b].mean(dim=1) for a, b in itertools.pairwise(ends)], dim=1)
    weighted = heads.build("weighted-linear", 3, 12, 5)
    torch.testing.assert_close(weighted(frames, lengths), weighted(means, torch.ones(3, dtype=torch.long)))


def test_a_file_is_not_moved_by_its_neighbours():
    frames, lengths = packed()
    for name in heads.HEADS:
        head = heads.build(name, 3, 12, 5).eval()
        x = frames if name == "multi-layer" else frames[-1]
        together = head(x, lengths)
        torch.testing.assert_close(head(x[..., 5:, :], lengths[2:]), together[2:])


def test_layer_weights_start_alike_and_sum_to_one():
    head = heads.build("multi-layer", 12, 8, 3)
    torch.testing.assert_close(head.layer_weights, torch.full((12,), 1 / 12))
    frames, lengths = packed(12, 8)
    torch.testing.assert_close(head.eval()(frames, lengths), head.head(frames.mean(dim=0), lengths), rtol=1e-4, atol=1e-5)


@pytest.fixture
def bank(tmp_path):
    """Sixty files of three classes; the second of three layers tells them apart, the others are noise, the last of great size."""
    rng = np.random.default_rng(0)
    counts = rng.integers(5, 20, 60)
    ends = np.concatenate([[0], np.cumsum(counts)])
    labels = np.arange(60) % 3
    frames = rng.normal(0, 1, (3, ends[-1], 8))
    frames[1] += np.eye(8)[labels][np.repeat(np.arange(60), counts)] * 2.0
    frames[2] *= 30
    np.save(tmp_path / "frames.npy", frames.astype(np.float16))
    np.save(tmp_path / "means.npy", np.stack([frames[:, a:b].mean(axis=1) for a, b in itertools.pairwise(ends)]).astype(np.float32))
    return Bank(tmp_path, ends, 3, 8), labels


PARTS = np.arange(40), np.arange(40, 50), np.arange(50, 60)


def fold(labels):
    return Fold(labels, 3, PARTS[0], PARTS[1])


def f1_of(bank, labels, settings, seed=0):
    learnt = probes.learn(bank, fold(labels), settings, seed)
    features = probes.FrameLoader(bank, settings, PARTS[0].tolist())
    return metrics.macro_f1(labels[PARTS[2]], probes.predict(learnt.head, features, PARTS[2]).argmax(dim=1).numpy()), learnt


@pytest.mark.parametrize("head", ["linear", "non-linear"])
def test_a_head_learns_the_layer_that_tells(head, bank):
    told, _ = f1_of(*bank, ProbeSettings(head, layer=2, epochs=40, batch_size=8, learning_rate=3e-3))
    not_told, _ = f1_of(*bank, ProbeSettings(head, layer=1, epochs=40, batch_size=8, learning_rate=3e-3))
    assert told > 90
    assert not_told < 70


def test_layer_weights_find_the_layer_that_tells(bank):
    settings = ProbeSettings("multi-layer", epochs=60, batch_size=8, learning_rate=2e-2, normalise_layers=True, keep="last", dropout=0.0)
    told, learnt = f1_of(*bank, settings)
    assert told > 90
    assert int(learnt.head.layer_weights.argmax()) == 1


def test_the_same_seed_gives_the_same_head(bank):
    settings = ProbeSettings("non-linear", epochs=2)
    one, same, other = (f1_of(*bank, settings, seed)[1].head.state_dict() for seed in (1, 1, 2))
    assert all(torch.equal(one[k], same[k]) for k in one)
    assert not torch.equal(one["frame1.weight"], other["frame1.weight"])


@pytest.mark.parametrize("head", ["linear", "non-linear", "multi-layer", "weighted-linear"])
def test_seeds_at_once_are_seeds_one_by_one(head, bank, monkeypatch):
    """On a layer of noise, where each seed's rate falls at an epoch of its own."""
    layers = {"normalise_layers": True} if head in ("multi-layer", "weighted-linear") else {"layer": 3 if head == "linear" else 1}
    rate = 2e-2 if head == "weighted-linear" else 2e-3
    settings = ProbeSettings(head, epochs=30, batch_size=16, learning_rate=rate, dropout=0.0, keep="last", **layers)
    rates = []
    real = probes_vmap._step

    def step(optimizer, state, shares):
        rates.append(shares)
        real(optimizer, state, shares)

    monkeypatch.setattr(probes_vmap, "_step", step)
    together = probes_vmap.learn(bank[0], fold(bank[1]), settings, seeds=(0, 1, 2))
    assert any(len(set(share)) > 1 for share in rates), "rates fall at different epochs, or the comparison says little"
    for seed, one in enumerate(together):
        other = probes.learn(bank[0], fold(bank[1]), settings, seed)
        answers = [probes.predict(x.head, x.loader, PARTS[2]) for x in (one, other)]
        torch.testing.assert_close(*answers, rtol=1e-2, atol=1e-3)


@pytest.mark.parametrize("other", [{"class_weights": False}, {"schedule": "none"}, {"keep": "best"}], ids=str)
def test_seeds_at_once_with_other_choices(other, bank):
    settings = ProbeSettings("linear", layer=2, epochs=6, batch_size=16, **other)
    (together,), alone = (probes_vmap.learn(bank[0], fold(bank[1]), settings, [1]), probes.learn(bank[0], fold(bank[1]), settings, 1))
    assert together.best_epoch == alone.best_epoch
    for k, v in together.head.state_dict().items():
        torch.testing.assert_close(v, alone.head.state_dict()[k], rtol=1e-3, atol=1e-4)


def test_a_bank_held_on_the_device_is_that_on_disk(bank):
    made, _ = bank
    settings = ProbeSettings("multi-layer", standardise=True)
    on_disk, held = (probes.FrameLoader(made, settings, PARTS[0].tolist()) for _ in range(2))
    held._resident = torch.from_numpy(np.array(made.frames))
    for chosen in ([3], [7, 2, 30]):
        for one, other in zip(on_disk.batch(chosen), held.batch(chosen), strict=True):
            torch.testing.assert_close(one, other)
    torch.testing.assert_close(held._moments([1, 2]), on_disk._moments([1, 2]))


def test_averages_are_means_over_files():
    frames, lengths = packed()
    table = heads.averages(lengths, frames.shape[1] + 3)
    torch.testing.assert_close(table.sum(dim=1), torch.ones(3))
    assert (table[:, -3:] == 0).all()
    torch.testing.assert_close(heads.mean_over_files(frames[0], table[:, :-3]), heads.mean_over_files(frames[0], lengths))


def test_standardised_features_have_no_mean_and_one_size(bank):
    made, _ = bank
    for head in ("non-linear", "linear"):
        features = probes.FrameLoader(made, ProbeSettings(head, standardise=True), PARTS[0].tolist())
        x, _ = features.batch(PARTS[0].tolist())
        assert x.mean().abs() < 1e-2
        assert x.std() == pytest.approx(1, abs=0.05)
    layers = probes.FrameLoader(made, ProbeSettings("multi-layer", normalise_layers=True), PARTS[0].tolist())
    x, _ = layers.batch(PARTS[0].tolist())
    torch.testing.assert_close(x.square().mean(dim=(1, 2)), torch.ones(3), rtol=0.02, atol=0)


def test_learning_goes_on_after_a_prediction_of_more_files(bank):
    made, labels = bank
    many = np.arange(10, 60)
    learnt = probes.learn(made, Fold(labels, 3, np.arange(10), many), ProbeSettings("non-linear", epochs=2), 0)
    assert len(learnt.valid_f1) == 2


def test_class_weights_sum_to_one_and_favour_the_rare():
    weights = Fold(np.array([0, 0, 0, 1]), 3, np.arange(4), np.arange(0)).class_weights()
    torch.testing.assert_close(weights, torch.tensor([0.25, 0.75, 0.0]))


def test_predictions_do_not_hang_on_what_is_predicted_together(bank, monkeypatch):
    made, labels = bank
    settings = ProbeSettings("multi-layer", epochs=1)
    _, learnt = f1_of(made, labels, settings)
    features = probes.FrameLoader(made, settings, PARTS[0].tolist())
    whole = probes.predict(learnt.head, features, PARTS[2])
    monkeypatch.setattr(probes, "CHUNK_FRAMES", 15)
    torch.testing.assert_close(probes.predict(learnt.head, features, PARTS[2]), whole)


def test_a_constant_answer_has_its_f1():
    true = np.repeat(np.arange(4), 100)
    assert metrics.majority_f1(true) == pytest.approx(10.0)
    assert metrics.macro_f1(true, true) == 100
