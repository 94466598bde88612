"""AST with five heads: parameters, parity with transformers' network, and what padding does."""

import json
from dataclasses import asdict, replace

import pytest
import torch

from sqa_core import audio
from sqa_core.errors import WeightsError
from sqa_core.models import quality_transformer as qt


@pytest.fixture(scope="module")
def small():
    torch.manual_seed(0)
    return qt.QualityTransformer(replace(qt.SIZES["ast-small"], width=64, blocks=2)).eval()


@pytest.mark.parametrize(("name", "parameters"), [("ast", 86_356_997), ("ast-small", 1_010_181)])
def test_parameters_are_those_of_the_specification(name, parameters):
    assert qt.count_parameters(qt.SIZES[name]) == parameters
    with torch.device("meta"):
        network = qt.QualityTransformer(qt.SIZES[name])
    assert sum(p.numel() for p in network.parameters()) == parameters
    assert network.rows * network.columns == 1428


def test_a_sound_has_the_same_score_alone_and_in_a_padded_batch(small):
    lengths = torch.tensor([1200, 480, 33, 16])
    sounds = [torch.randn(int(n), 128) for n in lengths]
    batch = torch.nn.utils.rnn.pad_sequence(sounds, batch_first=True, padding_value=7.0)
    with torch.inference_mode():
        together = small(batch, lengths)
        alone = torch.cat([small(x[None], torch.tensor([len(x)])) for x in sounds])
    assert together == pytest.approx(alone.numpy(), abs=1e-5)
    with torch.inference_mode():
        unmasked = small(batch, torch.full((4,), 1200))
    assert (unmasked - alone)[1:].abs().max() > 1e-3, "without the mask padding would show"


def test_longer_sounds_are_cut_at_twelve_seconds(small):
    x = torch.randn(1, 1500, 128)
    with torch.inference_mode():
        assert torch.equal(small(x, torch.tensor([1500])), small(x[:, :1200], torch.tensor([1200])))


@pytest.mark.parametrize("old_names", [False, True])
def test_it_is_transformers_network(small, old_names):
    """The same weights give the same hidden state; checked on a whole sound, since transformers' network has no mask."""
    audio.import_torchaudio()
    from transformers import ASTConfig, ASTModel

    torch.manual_seed(1)
    config = ASTConfig(hidden_size=64, num_hidden_layers=2, num_attention_heads=4, intermediate_size=256, max_length=1200)
    theirs = ASTModel(config).eval()
    state = dict(theirs.state_dict())
    if old_names:
        if not any(name.startswith("layers.") for name in state):
            pytest.skip("this transformers has the old names already")
        for new, old in [
            ("attention.q_proj", "attention.attention.query"),
            ("attention.k_proj", "attention.attention.key"),
            ("attention.v_proj", "attention.attention.value"),
            ("attention.o_proj", "attention.output.dense"),
            ("mlp.fc1", "intermediate.dense"),
            ("mlp.fc2", "output.dense"),
        ]:
            state = {name.replace(new, old): value for name, value in state.items()}
        state = {f"encoder.layer.{name.removeprefix('layers.')}" if name.startswith("layers.") else name: v for name, v in state.items()}
    network = qt.QualityTransformer(replace(small.settings))
    qt.load_ast(network, state)
    network.eval()
    x = torch.randn(2, 1200, 128)
    with torch.inference_mode():
        pooled = theirs(x / 2).pooler_output
        expected = torch.cat([head(pooled) for head in network.heads], dim=1)
        found = network(x, torch.tensor([1200, 1200]))
    assert found == pytest.approx(expected.numpy(), abs=1e-5)


def test_positions_of_a_shorter_grid_are_stretched_and_of_a_longer_one_cut(small):
    for columns, check in ((60, "stretched"), (150, "cut")):
        theirs = torch.randn(1, 2 + 12 * columns, 8)
        ours = qt._positions(theirs, 12, 119)
        assert ours.shape == (1, 2 + 12 * 119, 8), check
        assert torch.equal(ours[:, :2], theirs[:, :2])


def test_weights_come_back_from_their_file(tmp_path):
    settings = qt.TransformerSettings(outputs=("mos", "dis"), width=16, blocks=2, heads=2, max_frames=100)
    network = qt.QualityTransformer(settings).eval()
    network.std.fill_(2.0)
    path = tmp_path / qt.FILE
    qt.save(network, path, {"name": "small"})
    again = qt.load(path)
    assert again.settings == settings
    for key, value in network.state_dict().items():
        assert torch.equal(again.state_dict()[key], value.half().float()), key


@pytest.mark.parametrize("damage", ["cut", "other", "nan", "shape", "settings", "none"])
def test_a_damaged_or_foreign_file_of_weights_is_one_sentence(tmp_path, damage):
    from safetensors.torch import load_file, save_file

    path = tmp_path / qt.FILE
    network = qt.QualityTransformer(qt.TransformerSettings(outputs=("mos",), width=16, blocks=1, heads=2, max_frames=100))
    qt.save(network, path, {})
    state, meta = load_file(path), {"settings": json.dumps(asdict(network.settings))}
    if damage == "cut":
        path.write_bytes(path.read_bytes()[:100])
    elif damage == "other":
        path.write_bytes(b"#" * 1000)
    elif damage == "nan":
        save_file(state | {"norm.bias": torch.full((16,), torch.nan)}, path, meta)
    elif damage == "shape":
        save_file(state | {"norm.bias": torch.zeros(15)}, path, meta)
    elif damage == "settings":
        save_file(state, path, {"settings": '{"width": 1e12}'})
    else:
        path.unlink()
    with pytest.raises(WeightsError) as e:
        qt.load(path)
    assert str(path) in str(e.value)
    assert "\n" not in str(e.value)


def test_a_sound_shorter_than_a_patch_has_a_score():
    network = qt.QualityTransformer(qt.TransformerSettings(outputs=("mos",), width=16, blocks=1, heads=2, max_frames=100)).eval()
    with torch.no_grad():
        assert torch.isfinite(network(torch.randn(1, 5, 128), torch.tensor([5]))).all()
