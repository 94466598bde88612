"""Encoders: strict loading, true lengths, the same features alone and in a batch. Small random networks of each family."""

import hashlib
import json
import os
import re
import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest
import torch

from sqa_core import audio, spectrogram
from sqa_core.errors import AudioError, WeightsError
from sqa_core.files import sha256
from sqa_core.models import encoder_catalogue, encoders

audio.import_torchaudio()

SMALL = {"hidden_size": 32, "num_hidden_layers": 3, "num_attention_heads": 4, "intermediate_size": 48}
CONVOLUTIONS = {"conv_dim": (16,) * 7, "num_conv_pos_embeddings": 16, "num_conv_pos_embedding_groups": 4}


def small(family: str):
    """A network of a family with the paper's layout and few channels."""
    import transformers

    torch.manual_seed(1)
    match family:
        case "whisper":
            config = transformers.WhisperConfig(
                d_model=32, encoder_layers=3, encoder_attention_heads=4, encoder_ffn_dim=48, decoder_layers=1, decoder_attention_heads=4,
                decoder_ffn_dim=48, vocab_size=100, pad_token_id=0, bos_token_id=1, eos_token_id=2, decoder_start_token_id=1,
            )  # fmt: skip
            return transformers.WhisperModel(config)
        case "wav2vec2-base":  # group norm over time in the first convolution, norm after each block
            return transformers.Wav2Vec2Model(transformers.Wav2Vec2Config(**SMALL, **CONVOLUTIONS))
        case "wav2vec2-large":  # XLS-R's layout: layer norm in each convolution, norm before each block
            more = {"feat_extract_norm": "layer", "do_stable_layer_norm": True, "conv_bias": True}
            return transformers.Wav2Vec2Model(transformers.Wav2Vec2Config(**SMALL, **CONVOLUTIONS, **more))
        case "hubert":
            return transformers.HubertModel(transformers.HubertConfig(**SMALL, **CONVOLUTIONS))
        case "wavlm":
            return transformers.WavLMModel(transformers.WavLMConfig(**SMALL, **CONVOLUTIONS))
    raise AssertionError(family)


FAMILIES = ("whisper", "wav2vec2-base", "wav2vec2-large", "hubert", "wavlm")


def sounds(*seconds: float) -> list[np.ndarray]:
    rng = np.random.default_rng(0)
    return [(0.1 * rng.standard_normal(int(s * encoders.RATE))).astype(np.float32) for s in seconds]


@pytest.mark.parametrize("family", FAMILIES)
def test_alone_and_in_a_padded_batch_are_the_same(family):
    encoder = encoders.of_model(family, small(family), "x", True)
    heard = sounds(1.0, 0.613, 0.3707)
    together = encoder.hidden_states(heard)
    for waveform, found in zip(heard, together, strict=True):
        (alone,) = encoder.hidden_states([waveform])
        assert found.shape == alone.shape == (3, encoder.count_frames(len(waveform)), 32)
        torch.testing.assert_close(found, alone, rtol=0, atol=1e-4)


@pytest.mark.parametrize("precision", ["fp16", "bf16"])
@pytest.mark.parametrize("family", FAMILIES)
def test_half_precision_hears_nearly_the_same(family, precision):
    """bf16 has 8 bits for a number's digits, fp16 has 11; random convolutions, which learnt no scale, lose more than trained ones."""
    encoder = encoders.of_model(family, small(family), "x", True)
    heard = sounds(0.7, 0.4)
    whole, halves = encoder.hidden_states(heard), encoder.hidden_states(heard, precision=precision)
    for one, other in zip(whole, halves, strict=True):
        assert one.shape == other.shape
        assert not torch.equal(one, other.float()), "halves were asked for"
        assert torch.nn.functional.cosine_similarity(one, other.float(), dim=-1).min() > {"fp16": 0.99, "bf16": 0.9}[precision]


@pytest.mark.parametrize("family", [f for f in FAMILIES if f != "whisper"])
def test_layers_are_those_of_transformers(family):
    model = small(family).eval()
    encoder = encoders.of_model(family, model, "x", False)
    (waveform,) = sounds(0.5)
    (found,) = encoder.hidden_states([waveform])
    with torch.inference_mode():
        told = model(torch.from_numpy(waveform)[None], output_hidden_states=True)
    assert len(told.hidden_states) == 4
    torch.testing.assert_close(found[:2], torch.cat(told.hidden_states[1:3]), rtol=0, atol=1e-5)
    torch.testing.assert_close(found[2], told.last_hidden_state[0], rtol=0, atol=1e-5)


def test_whisper_in_its_whole_window_is_that_of_transformers():
    from transformers import WhisperFeatureExtractor

    model = small("whisper").eval()
    encoder = encoders.of_model("whisper", model, "x", False)
    (waveform,) = sounds(1.2)
    features = WhisperFeatureExtractor()(waveform, sampling_rate=16_000, return_tensors="pt").input_features
    mel = spectrogram.whisper_log_mel(waveform, 80, 30 * 16_000)
    torch.testing.assert_close(mel, features[0], rtol=0, atol=1e-4)
    (found,) = encoder.hidden_states([waveform], whole_window=True)
    with torch.inference_mode():
        told = model.encoder(features, output_hidden_states=True)
    assert found.shape == (3, 1500, 32)
    torch.testing.assert_close(found[2], told.last_hidden_state[0], rtol=0, atol=1e-4)
    torch.testing.assert_close(found[0], told.hidden_states[1][0], rtol=0, atol=1e-4)


def test_lengths_that_cannot_be_heard_are_refused():
    encoder = encoders.of_model("whisper", small("whisper"), "x", False)
    with pytest.raises(AudioError, match="too short for a frame"):
        encoder.hidden_states(sounds(0.005))
    with pytest.raises(AudioError, match="longer than the 30 s"):
        encoder.hidden_states(sounds(30.1))


def saved(folder, model):
    model.save_pretrained(folder)
    (folder / "preprocessor_config.json").write_text(json.dumps({"do_normalize": True}))


def test_found_loaded_strictly_and_hashed(tmp_path, monkeypatch):
    saved(tmp_path / "mine", small("wav2vec2-base"))
    monkeypatch.setenv("SQA_WEIGHTS", str(tmp_path))
    encoder = encoders.load("mine")
    assert (encoder.layers, encoder.width, encoder.zero_mean_unit_variance) == (3, 32, True)
    assert not any(p.requires_grad for p in encoder.model.parameters())
    assert encoder.weights_hash == encoder_catalogue.weights_hash("mine")
    control = encoders.load("random-mine")
    assert control.weights_hash != encoder.weights_hash
    one, other = (e.model.encoder.layers[0].feed_forward.output_dense.weight for e in (encoder, control))
    assert not torch.equal(one, other)


@pytest.mark.parametrize("kind", ["whisper", "unknown-to-transformers"])
def test_code_in_a_model_folder_never_runs(tmp_path, kind):
    """transformers would ask on standard input whether to run it; the answer here is y."""
    folder, proof = tmp_path / "mine", tmp_path / "it-ran"
    saved(folder, small("whisper"))
    config = json.loads((folder / "config.json").read_text())
    names = {"AutoConfig": "code.Config", "AutoModel": "code.Model", "AutoModelForSpeechSeq2Seq": "code.Model"}
    (folder / "config.json").write_text(json.dumps(config | {"auto_map": names, "model_type": kind}))
    (folder / "preprocessor_config.json").write_text(json.dumps({"auto_map": {"AutoFeatureExtractor": "code.Extractor"}}))
    (folder / "code.py").write_text(f"open({str(proof)!r}, 'w').write('x')\nclass Config: pass\nclass Model: pass\nclass Extractor: pass\n")
    code = (
        "from sqa_core.models import encoders\n"
        "try:\n    encoders.load('mine')\nexcept Exception as e:\n    print(type(e).__name__, e)\nelse:\n    print('loaded')"
    )
    env = os.environ | {"SQA_WEIGHTS": str(tmp_path), "HF_HOME": str(tmp_path / "hf"), "HF_HUB_OFFLINE": "1"}
    done = subprocess.run([sys.executable, "-c", code], input="y\ny\ny\n", capture_output=True, text=True, env=env, cwd=tmp_path)
    assert not proof.exists()
    assert done.stdout.startswith("loaded" if kind == "whisper" else "WeightsError"), done.stdout + done.stderr


def test_a_config_of_halves_still_gives_floats(tmp_path, monkeypatch):
    saved(tmp_path / "mine", small("whisper").half())
    monkeypatch.setenv("SQA_WEIGHTS", str(tmp_path))
    assert '"float16"' in (tmp_path / "mine" / "config.json").read_text()
    for name in ("mine", "random-mine"):
        (heard,) = encoders.load(name).hidden_states(sounds(0.5))
        assert heard.dtype == torch.float32


def test_a_missing_tensor_and_a_foreign_network_are_refused(tmp_path, monkeypatch):
    from safetensors.torch import load_file, save_file
    from transformers import BertConfig, BertModel

    saved(tmp_path / "holed", small("wav2vec2-base"))
    tensors = load_file(tmp_path / "holed" / "model.safetensors")
    tensors.pop("encoder.layers.1.attention.k_proj.weight")
    save_file(tensors, tmp_path / "holed" / "model.safetensors", {"format": "pt"})
    BertModel(BertConfig(hidden_size=32, num_hidden_layers=1, num_attention_heads=2, intermediate_size=32)).save_pretrained(
        tmp_path / "bert"
    )
    (tmp_path / "cut").mkdir()
    (tmp_path / "cut" / "config.json").write_bytes((tmp_path / "holed" / "config.json").read_bytes())
    (tmp_path / "cut" / "model.safetensors").write_bytes(b"\x08\0\0\0\0\0\0\0{}      junk")
    monkeypatch.setenv("SQA_WEIGHTS", str(tmp_path))
    with pytest.raises(WeightsError, match=r"layers\.1\.attention\.k_proj\.weight is missing"):
        encoders.load("holed")
    with pytest.raises(WeightsError, match="bert is not a supported speech encoder"):
        encoders.load("bert")
    with pytest.raises(WeightsError, match="cannot be read"):
        encoders.load("cut")
    with pytest.raises(WeightsError, match="sqa data fetch whisper-medium"):
        encoders.load("whisper-medium")


def test_the_speaker_control_has_one_vector_a_sound():
    """In a process of its own: SpeechBrain leaves modules in `sys.modules` that fail when other libraries look at them."""
    import subprocess
    import sys

    if not encoder_catalogue.available(encoder_catalogue.SPEAKER):
        pytest.skip("the speaker network is not here (SQA_WEIGHTS)")
    code = (
        "import numpy as np; from sqa_core.models import encoders as e; n = e.load(e.SPEAKER); r = np.random.default_rng(0)\n"
        "heard = [r.normal(0, 0.1, k).astype('float32') for k in (16000, 11200)]\n"
        "one, other = n.hidden_states(heard); print(tuple(one.shape), tuple(other.shape), bool((one != other).any()))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.stdout.strip() == "(1, 1, 192) (1, 1, 192) True", done.stderr[-500:]


def test_controls_need_nothing():
    for name, layers, width in ((encoder_catalogue.MEL, 1, 80), (encoder_catalogue.MINI, 4, 64)):
        assert encoder_catalogue.available(name)
        encoder = encoders.load(name)
        (found,) = encoder.hidden_states(sounds(0.5))
        assert found.shape == (layers, encoder.count_frames(8000), width)
    same = [encoders.load(encoder_catalogue.MINI).model.conv1.weight for _ in range(2)]
    assert torch.equal(*same)


@pytest.mark.parametrize(
    ("name", "body", "problem"),
    [("whisper-base", b"right", None), ("whisper-base", b"other", "not the pinned file"), ("someone/network@abc123", b"any", None)],
)
def test_the_hub_is_asked_for_a_pinned_commit_and_its_weights_are_compared(tmp_path, monkeypatch, name, body, problem):
    import huggingface_hub

    asked = []

    def snapshot_download(repository, revision, allow_patterns):
        asked.append((repository, revision, allow_patterns))
        (tmp_path / "blob").write_bytes(body)
        (tmp_path / "model.safetensors").symlink_to(tmp_path / "blob")
        return str(tmp_path)

    monkeypatch.setattr(huggingface_hub, "snapshot_download", snapshot_download)
    pinned = replace(encoder_catalogue.ENCODERS["whisper-base"], sha256=hashlib.sha256(b"right").hexdigest())
    monkeypatch.setitem(encoder_catalogue.ENCODERS, "whisper-base", pinned)
    if problem:
        with pytest.raises(WeightsError, match=problem):
            encoder_catalogue.fetch(name)
        assert list(tmp_path.iterdir()) == [], "no weights that are not the pinned ones stay"
    else:
        assert encoder_catalogue.fetch(name) == tmp_path
    expected = (
        ("someone/network", "abc123", "model*.safetensors")
        if "@" in name
        else ("openai/whisper-base", pinned.revision, "model.safetensors")
    )
    assert asked == [(*expected[:2], ["*.json", expected[2]])]


def test_every_encoder_of_the_hub_is_pinned():
    on_hub = [listed for listed in encoder_catalogue.ENCODERS.values() if listed.repository]
    assert len(on_hub) > 10
    for listed in on_hub:
        assert re.fullmatch("[0-9a-f]{40}", listed.revision)
        assert listed.weights
        assert listed.sha256 is None or re.fullmatch("[0-9a-f]{64}", listed.sha256)
    if (found := encoder_catalogue.find(encoder_catalogue.SPEAKER)) is not None:
        assert sha256(found / encoder_catalogue.SPEAKER_FILE) == encoder_catalogue.ENCODERS[encoder_catalogue.SPEAKER].sha256


def test_weights_of_a_deeper_network_are_refused(tmp_path, monkeypatch):
    """Also where they are those of a network for recognition, whose names start with its family."""
    import transformers

    torch.manual_seed(1)
    model = transformers.Wav2Vec2ForCTC(transformers.Wav2Vec2Config(**SMALL, **CONVOLUTIONS, vocab_size=8))
    saved(tmp_path / "mine", model)
    config = json.loads((tmp_path / "mine" / "config.json").read_text())
    monkeypatch.setenv("SQA_WEIGHTS", str(tmp_path))
    assert encoders.load("mine").layers == 3
    (tmp_path / "mine" / "config.json").write_text(json.dumps(config | {"num_hidden_layers": 2}))
    with pytest.raises(WeightsError, match=r"the weights have wav2vec2\.encoder\.layers\.2"):
        encoders.load("mine")


@pytest.mark.parametrize(
    ("file", "text", "problem"),
    [("config.json", {"attn_implementation": "someone/kernel"}, "another implementation"), ("adapter_config.json", {}, "holds an adapter")],
)
def test_a_folder_that_would_fetch_something_else_is_refused(tmp_path, monkeypatch, file, text, problem):
    saved(tmp_path / "mine", small("wav2vec2-base"))
    path = tmp_path / "mine" / file
    path.write_text(json.dumps((json.loads(path.read_text()) if path.exists() else {}) | text))
    monkeypatch.setenv("SQA_WEIGHTS", str(tmp_path))
    with pytest.raises(WeightsError, match=problem):
        encoders.load("mine")
