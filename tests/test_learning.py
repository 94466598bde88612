"""The training loop: it learns, it stops, and a run that was killed ends with the weights of one that was not."""

import os
import signal
import subprocess
import sys
from dataclasses import replace

import pytest
import torch

from sqa_core.errors import SettingsError, WeightsError
from sqa_core.learning import loop, nisqa
from sqa_core.learning.nisqa import TrainingSettings
from sqa_core.models.nisqa import Nisqa, NisqaSettings, SixConvolutions
from tests.conftest import ROOT

SMALL = NisqaSettings(outputs=("mos",), channels=(2, 2, 4), width=4, pool_width=4, segment_hop=8)
QUICK = TrainingSettings(epochs=4, batch_size=4, learning_rate=1e-2, seed=3)


def items(count: int, seed: int = 0) -> list[nisqa.Item]:
    """Spectrograms whose loudness is their label."""
    g = torch.Generator().manual_seed(seed)
    levels = torch.rand(count, generator=g)
    return [(torch.randn(40, 48, generator=g) + 20 * level, 1 + 4 * level[None]) for level in levels]


def fresh() -> Nisqa:
    torch.manual_seed(0)
    return Nisqa(SMALL)


def test_it_learns(tmp_path):
    epochs = nisqa.train(fresh(), items(48), items(16, 1), replace(QUICK, epochs=12), tmp_path)
    assert min(e.loss for e in epochs) < epochs[0].loss / 2
    assert min(e.validation_loss for e in epochs) < 1.2


def test_the_best_epoch_is_kept(tmp_path):
    model = fresh()
    valid = items(8, 1)
    epochs = nisqa.train(model, items(16), valid, replace(QUICK, learning_rate=5e-2), tmp_path)
    with torch.inference_mode():
        segments, lengths, labels = nisqa.collate(valid, 15, 8)
        rmse = (model(segments, lengths) - labels).square().mean().sqrt()
    assert float(rmse) == pytest.approx(min(e.validation_loss for e in epochs), abs=1e-4)


def test_patience_ends_it(tmp_path):
    epochs = nisqa.train(fresh(), items(8), items(8, 1), replace(QUICK, epochs=50, learning_rate=0.0, patience=2), tmp_path)
    best = min(epochs, key=lambda e: e.validation_loss).number
    assert epochs[-1].number - best == 2
    assert len(epochs) < 50


SCRIPT = """
import sys, time
from pathlib import Path
from tests.test_learning import QUICK, fresh, items
from sqa_core.learning import nisqa
slow = float(sys.argv[2])
report = lambda e: (print(e.number, flush=True), time.sleep(slow))
nisqa.train(fresh(), items(16), items(8, 1), QUICK, Path(sys.argv[1]), on_epoch=report)
"""


def test_a_killed_run_goes_on_to_the_same_weights(tmp_path):
    unbroken = fresh()
    nisqa.train(unbroken, items(16), items(8, 1), QUICK, tmp_path / "whole")
    command = [sys.executable, "-c", SCRIPT, str(tmp_path / "killed"), "60"]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout.readline().strip() == "0"
        os.kill(process.pid, signal.SIGKILL)
    seen = []
    resumed = fresh()
    nisqa.train(resumed, items(16), items(8, 1), QUICK, tmp_path / "killed", on_epoch=lambda e: seen.append(e.number))
    assert seen == [1, 2, 3]
    for key, value in unbroken.state_dict().items():
        assert torch.equal(value, resumed.state_dict()[key]), key


def test_a_finished_run_is_not_run_again(tmp_path):
    model, seen = fresh(), []
    nisqa.train(model, items(8), items(8, 1), QUICK, tmp_path)
    again = fresh()
    nisqa.train(again, items(8), items(8, 1), QUICK, tmp_path, on_epoch=seen.append)
    assert seen == []
    assert all(torch.equal(a, b) for a, b in zip(model.state_dict().values(), again.state_dict().values(), strict=True))


def test_another_run_and_a_damaged_checkpoint_are_refused(tmp_path):
    nisqa.train(fresh(), items(8), items(8, 1), QUICK, tmp_path)
    with pytest.raises(SettingsError, match="other settings"):
        nisqa.train(fresh(), items(8), items(8, 1), replace(QUICK, seed=9), tmp_path)
    with pytest.raises(SettingsError, match="other material"):
        nisqa.train(fresh(), items(9), items(8, 1), QUICK, tmp_path)
    with pytest.raises(SettingsError, match="other material"):
        nisqa.train(fresh(), items(8, 2), items(8, 1), QUICK, tmp_path)
    with pytest.raises(SettingsError, match="another network"):
        nisqa.train(Nisqa(replace(SMALL, segment_hop=4)), items(8), items(8, 1), QUICK, tmp_path)
    (tmp_path / "last.pt").write_bytes(b"damaged")
    with pytest.raises(WeightsError, match=r"last\.pt"):
        nisqa.train(fresh(), items(8), items(8, 1), QUICK, tmp_path)


def test_divergence_says_so(tmp_path):
    broken = [(mel * float("inf"), label) for mel, label in items(8)]
    with pytest.raises(WeightsError, match="diverged"):
        nisqa.train(fresh(), broken, items(8, 1), QUICK, tmp_path)


def test_mixed_precision_runs(tmp_path):
    half = fresh()
    epochs = nisqa.train(half, items(48), items(16, 1), replace(QUICK, epochs=3, mixed_precision="bf16"), tmp_path / "half")
    exact = fresh()
    whole = nisqa.train(exact, items(48), items(16, 1), replace(QUICK, epochs=3), tmp_path / "whole")
    assert {p.dtype for p in half.parameters()} == {torch.float32}, "kept in 32 bits"
    again = fresh()
    again.load_state_dict(half.state_dict())
    batch = nisqa.collate(items(2), half.settings.segment_length, half.settings.segment_hop)[:2]
    with torch.no_grad():
        assert torch.allclose(half(*batch), again.eval()(*batch), atol=1e-6, rtol=0), "computes in 32 bits, as after loading"
    assert [e.loss for e in epochs] != [e.loss for e in whole], "computed in 16 bits"
    assert [e.loss for e in epochs] == pytest.approx([e.loss for e in whole], rel=0.1)


# ---- the loop itself, on one weight ----


def weight(value: float = 0.0) -> torch.nn.Module:
    line = torch.nn.Linear(1, 1, bias=False)
    torch.nn.init.constant_(line.weight, value)
    return line


def run(scores, *, losses=lambda line, batch: line.weight.sum() * batch, batches=(1.0,), **options) -> tuple[float, list[loop.Epoch]]:
    """The weight after training by plain descent at rate 1, and the epochs; `scores` are those of validation."""
    line, given = weight(), iter(scores)
    optimizer = torch.optim.SGD(line.parameters(), lr=1.0)
    validate = lambda: loop.Validation(next(given), 0.0)  # noqa: E731
    epochs = loop.fit(line, optimizer, lambda _: list(batches), lambda b: losses(line, b), validate, len(scores), **options)
    return float(line.weight.detach()), epochs


def test_the_best_or_the_last_epoch_is_kept():
    scores = [0.1, 0.9, 0.9, 0.2]
    assert run(scores)[0] == -2.0, "the first of the best"
    assert run(scores, keep="last")[0] == -4.0


def test_patience_also_ends_a_run_that_keeps_its_last_epoch():
    value, epochs = run([0.5, 0.4, 0.3, 0.2, 0.1], keep="last", patience=2)
    assert (value, len(epochs)) == (-3.0, 3)


def test_an_epoch_without_a_score_is_not_the_best():
    assert run([float("nan"), 0.1, float("nan")])[0] == -2.0


def test_gradients_are_clipped_and_accumulated():
    assert run([0.0], batches=(5.0,), clip_norm=0.5)[0] == pytest.approx(-0.5)
    assert run([0.0], batches=(1.0, 3.0, 7.0), accumulate=2)[0] == pytest.approx(-(1.0 + 3.0) / 2 - 7.0)


def test_an_epoch_without_batches_says_so():
    with pytest.raises(SettingsError, match="no batches"):
        run([0.0], batches=())


def test_a_scaler_resumes_with_the_run(tmp_path):
    class Scaler:
        value = 1.0

        def state_dict(self):
            return {"value": self.value}

        def load_state_dict(self, state):
            self.value = state["value"]

    saved, empty = Scaler(), Scaler()
    saved.value = 512.0
    place = loop.Checkpoint(tmp_path, {"seed": 0})
    place.save(weight(), {"scaler": saved, "schedule": None}, [loop.Epoch(0, 0.0, 0.0, 0.0, 1.0)], None)
    assert len(place.load(weight(), {"scaler": empty, "schedule": None})) == 1
    assert empty.value == 512.0


def test_half_of_the_segments_are_trained_on_from_random_starts(tmp_path, monkeypatch):
    seen: list[int] = []
    collate = nisqa.collate
    monkeypatch.setattr(nisqa, "collate", lambda chosen, length, hop: seen.append(hop) or collate(chosen, length, hop))
    nisqa.train(fresh(), items(16), items(8, 1), replace(QUICK, epochs=2, every=2), tmp_path / "half")
    assert set(seen) == {SMALL.segment_hop, 2 * SMALL.segment_hop}
    seen.clear()
    nisqa.train(fresh(), items(16), items(8, 1), replace(QUICK, epochs=1), tmp_path / "all")
    assert set(seen) == {SMALL.segment_hop}


@pytest.mark.parametrize("layout", ["attention", "lstm"])
def test_a_pool_before_relu_in_training_changes_nothing(layout, monkeypatch):
    """Scores and gradients are those of a pool after ReLU."""

    def step():
        torch.manual_seed(0)
        model = Nisqa(NisqaSettings(layout=layout, features=20 if layout == "lstm" else None)).train()
        scores = model(torch.randn(2, 6, 48, 15), torch.tensor([6, 4]))
        scores.square().sum().backward()
        return [scores.detach(), *(p.grad for p in model.parameters())]

    def after(self, i, x, pool=None):
        x = self.get_submodule(f"relu{i}")(self.get_submodule(f"bn{i}")(self.get_submodule(f"conv{i}")(x)))
        return x if pool is None else pool(x)

    ours = step()
    monkeypatch.setattr(SixConvolutions, "stage", after)
    for a, b in zip(ours, step(), strict=True):
        assert torch.equal(a, b)
