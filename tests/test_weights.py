"""Checkpoints are untrusted: whatever is wrong with one, nothing runs and one sentence says what."""

import json
import os
import pickle
import zipfile
from dataclasses import asdict

import pytest
import torch
from safetensors.torch import save_file

from sqa_core.errors import WeightsError
from sqa_core.models import weights
from sqa_core.models.nisqa import Nisqa
from tests.damaged import ARGS
from tests.damaged import SMALL as SETTINGS


def official_state() -> dict[str, torch.Tensor]:
    """A network's tensors under the names of the original."""
    names = {}
    for key, value in Nisqa(SETTINGS).state_dict().items():
        part, rest = key.split(".", 1)
        names[f"pool.model.{rest.removeprefix('0.')}" if part == "pool" else f"{part}.model.{rest}"] = value
    return names


class Bomb:
    """Runs a command when it is unpickled."""

    def __init__(self, marker):
        self.marker = marker

    def __reduce__(self):
        return os.system, (f"touch {self.marker}",)


def checkpoint(path, args=None, state=None):
    torch.save({"args": ARGS | (args or {}), "model_state_dict": official_state() if state is None else state}, path)


def test_an_official_checkpoint_loads_strictly(tmp_path):
    checkpoint(tmp_path / "x.tar")
    network = weights.load(tmp_path / "x.tar")
    assert network.settings == SETTINGS
    assert len(network.weights_hash) == 12


def test_safetensors_go_out_and_come_in(tmp_path):
    model = Nisqa(SETTINGS).eval()
    weights.save(model, tmp_path / "m.safetensors", {"name": "small", "licence": "MIT"})
    network = weights.load(tmp_path / "m.safetensors")
    assert (network.name, network.licence, network.settings) == ("small", "MIT", SETTINGS)
    assert all(torch.equal(a, b) for a, b in zip(model.state_dict().values(), network.model.state_dict().values(), strict=True))
    assert [p.name for p in tmp_path.iterdir()] == ["m.safetensors"]


def test_a_pickle_bomb_does_not_go_off(tmp_path):
    marker = tmp_path / "it_ran"
    torch.save({"args": ARGS, "model_state_dict": Bomb(marker)}, tmp_path / "bomb.tar")
    (tmp_path / "plain.tar").write_bytes(pickle.dumps(Bomb(marker)))
    for name in ("bomb.tar", "plain.tar"):
        with pytest.raises(WeightsError, match=name):
            weights.load(tmp_path / name)
    assert not marker.exists()


def without(key):
    return {k: v for k, v in official_state().items() if k != key}


def with_negative_variance():
    state = official_state()
    state["cnn.model.bn1.running_var"] = state["cnn.model.bn1.running_var"] - 2
    return state


def with_nan():
    state = official_state()
    state["cnn.model.conv3.weight"] = state["cnn.model.conv3.weight"] * float("nan")
    return state


STATE_FAULTS = {
    "missing key": (None, lambda: without("cnn.model.conv1.weight"), "lacks cnn.conv1.weight"),
    "unknown key": (None, lambda: official_state() | {"extra": torch.zeros(1)}, "has 'extra'"),
    "negative variance": (None, with_negative_variance, "bn1.running_var holds a negative variance"),
    "NaN weights": (None, with_nan, "conv3.weight holds values that are not numbers"),
    "wrong shape": (None, lambda: official_state() | {"cnn.model.conv1.weight": torch.zeros(3, 1, 3, 3)}, "has shape"),
    "not a tensor": (None, lambda: official_state() | {"cnn.model.conv1.bias": [1.0, 2.0]}, "is not a tensor"),
    "no tensors": (None, dict, "lacks"),
    "another layout": ({"cnn_model": "dff"}, None, "layout"),
    "double-ended": ({"double_ended": True}, None, "layout"),
    "absurd size": ({"cnn_c_out_3": 10**9}, None, "no NISQA network"),
    "text for a number": ({"ms_n_fft": "many"}, None, "n_fft"),
    "other bands": ({"ms_n_mels": 64}, None, "48 bands"),
    "a front end that hears nothing": ({"ms_fmax": 1.0}, None, "no NISQA network"),
    "a hop of a second": ({"ms_hop_length": 1.0}, None, "no NISQA network"),
    "hop of zero": ({"ms_seg_hop_length": 0}, None, "no NISQA network"),
}


@pytest.mark.parametrize("name", STATE_FAULTS)
def test_a_wrong_checkpoint_says_what(tmp_path, name):
    args, state, words = STATE_FAULTS[name]
    checkpoint(tmp_path / "x.tar", args, state() if state else None)
    with pytest.raises(WeightsError, match=words):
        weights.load(tmp_path / "x.tar")


def broken_files(tmp_path):
    checkpoint(tmp_path / "whole.tar")
    whole = (tmp_path / "whole.tar").read_bytes()
    good = {k: v.contiguous() for k, v in Nisqa(SETTINGS).state_dict().items()}
    save_file(good, tmp_path / "no_card.safetensors")
    save_file(good, tmp_path / "bad_json.safetensors", metadata={"settings": "{"})
    unknown = asdict(SETTINGS) | {"layout": "spiral"}
    save_file(good, tmp_path / "bad_settings.safetensors", metadata={"settings": json.dumps(unknown)})
    (tmp_path / "empty.tar").write_bytes(b"")
    (tmp_path / "cut.tar").write_bytes(whole[: len(whole) // 2])
    (tmp_path / "text.tar").write_bytes(b"not found")
    (tmp_path / "text.safetensors").write_bytes(b"not found at all")
    torch.save(torch.zeros(3), tmp_path / "tensor.tar")
    torch.save({"state_dict": {}}, tmp_path / "other.tar")
    names = ["no_card", "bad_json", "bad_settings", "text"]
    return [f"{n}.safetensors" for n in names] + [f"{n}.tar" for n in ("empty", "cut", "text", "tensor", "other", "absent")]


def test_broken_files_say_what(tmp_path):
    for name in broken_files(tmp_path):
        with pytest.raises(WeightsError) as raised:
            weights.load(tmp_path / name)
        assert name in str(raised.value)
        assert "\n" not in str(raised.value)


def test_an_official_name_means_the_published_file(tmp_path, monkeypatch):
    (tmp_path / "nisqa").mkdir()
    checkpoint(tmp_path / "nisqa" / "nisqa.tar")
    monkeypatch.setenv("SQA_WEIGHTS", str(tmp_path))
    with pytest.raises(WeightsError, match="not the published nisqa"):
        weights.load("nisqa")


def test_without_official_weights_ours_is_the_default(tmp_path, monkeypatch):
    monkeypatch.setenv("SQA_WEIGHTS", "")
    monkeypatch.setenv("SQA_CACHE", str(tmp_path))
    found = weights.load()
    assert found.name == weights.DEFAULT
    assert found.settings.outputs == ("mos", "noi", "dis", "col", "loud")
    with pytest.raises(WeightsError, match="sqa data fetch nisqa-weights"):
        weights.load("nisqa")


def test_a_network_in_place_of_the_official_one_says_how_far_from_it_it_is():
    said = weights.caveat(weights.DEFAULT)
    assert "listeners" in said
    assert said.count("0.") == 4, "two sets, ours and the official network"
    assert weights.caveat(weights.OWN) == weights.OWN_CAVEAT
    assert weights.caveat("nisqa") == ""


def test_the_size_limit_counts_unpacked_bytes(tmp_path, monkeypatch):
    checkpoint(tmp_path / "x.tar")
    small = tmp_path / "small.tar"
    with zipfile.ZipFile(tmp_path / "x.tar") as stored, zipfile.ZipFile(small, "w", zipfile.ZIP_DEFLATED) as packed:
        for name in stored.namelist():
            packed.writestr(name, b"\0" * len(stored.read(name)) if "/data/" in name else stored.read(name))
    monkeypatch.setattr(weights, "LARGEST_BYTES", small.stat().st_size + 1)
    assert (tmp_path / "x.tar").stat().st_size > weights.LARGEST_BYTES
    with pytest.raises(WeightsError, match="is not the size of such a network"):
        weights.load(small)


@pytest.mark.parametrize(
    "best_seconds", ["[-5, 1e400]", "[12, 1]", '["1", "12"]', "[0, 3]", "[" * 200_000, f"[1, {'9' * 400}]", "[1, NaN]"], ids=range(7)
)
def test_impossible_lengths_are_refused(tmp_path, best_seconds):
    weights.save(Nisqa(SETTINGS), tmp_path / "m.safetensors", {"name": "small", "best_seconds": best_seconds})
    with pytest.raises(WeightsError, match="best_seconds"):
        weights.load(tmp_path / "m.safetensors")


@pytest.mark.parametrize(("kind", "value"), [("running_var", 1e38), ("running_mean", 3e38), ("running_mean", -1e12)])
def test_statistics_that_no_activation_reaches_are_refused(tmp_path, kind, value):
    state = official_state()
    key = next(k for k in state if k.endswith(kind))
    checkpoint(tmp_path / "x.tar", state=state | {key: torch.full_like(state[key], value)})
    with pytest.raises(WeightsError, match="no activation reaches"):
        weights.load(tmp_path / "x.tar")


def test_a_program_and_another_protocol_are_called_what_they_are(tmp_path, recwarn):
    torch.jit.script(torch.nn.Linear(2, 2)).save(str(tmp_path / "p.pt"))
    with pytest.raises(WeightsError, match="a TorchScript program"):
        weights.load(tmp_path / "p.pt")
    recwarn.clear()
    torch.save({"args": ARGS, "model_state_dict": official_state()}, tmp_path / "x.tar", pickle_protocol=5)
    with pytest.raises(WeightsError, match="another pickle protocol"):
        weights.load(tmp_path / "x.tar")
    assert not recwarn.list, "one sentence, without torch's own before it"


def test_a_window_longer_than_its_fft_is_refused(tmp_path):
    checkpoint(tmp_path / "x.tar", {"ms_n_fft": 16})
    with pytest.raises(WeightsError, match="describe no NISQA network"):
        weights.load(tmp_path / "x.tar")
