"""Frozen speech encoders: from a name to the outputs of every transformer layer, frame by frame, at the sound's true length.

wav2vec 2.0 and its kin (XLS-R, HuBERT, WavLM) hear the waveform, Whisper hears log-mel bands; both give a frame every 20 ms. The
networks are transformers'. What is added here: strict loading, and masks, so that a file has the same features alone and in a batch.
"""

import hashlib
import importlib.util
import json
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional as F
from torch.nn.utils.rnn import pad_sequence

from .. import audio, environment
from ..errors import AudioError, WeightsError

RATE = 16_000  # Hz, of every encoder here
# The paper names models and not checkpoints; these are the likeliest.
PAPER = {
    "wav2vec2-base": "facebook/wav2vec2-base",
    "wav2vec2-large": "facebook/wav2vec2-large",
    "wav2vec2-xls-r-300m": "facebook/wav2vec2-xls-r-300m",
    "whisper-small.en": "openai/whisper-small.en",
    "whisper-small": "openai/whisper-small",
    "whisper-medium": "openai/whisper-medium",
}
# Others that are found under SQA_WEIGHTS by these names, or fetched by their hub names.
OTHERS = {
    "whisper-small-int8": None,  # small, its weights rounded to 8 bits and turned back: not quite the paper's column
    "whisper-base": "openai/whisper-base",
    "whisper-tiny": "openai/whisper-tiny",
    "whisper-base.en": "openai/whisper-base.en",
    "whisper-tiny.en": "openai/whisper-tiny.en",
    "hubert-base-ls960": "facebook/hubert-base-ls960",
    "wavlm-base-plus": "microsoft/wavlm-base-plus",
    "ecapa-voxceleb": "speechbrain/spkrec-ecapa-voxceleb",
}
RANDOM = "random-"  # before a name: that network with weights as they are before any training
# Controls that need nothing from anywhere: Whisper's log-mel bands as they are, and a small Whisper that learnt nothing.
MEL, MINI = "mel", "random-mini"
MINI_LAYOUT: dict[str, Any] = {"d_model": 64, "encoder_layers": 4, "encoder_attention_heads": 4, "encoder_ffn_dim": 256, "num_mel_bins": 80}
# How much of an emotion score is who speaks? A network that was trained to tell speakers apart, 192 numbers a sound.
SPEAKER, SPEAKER_FILE, SPEAKER_WIDTH = "ecapa-voxceleb", "embedding_model.ckpt", 192
WAVE_FAMILIES = ("wav2vec2", "hubert", "wavlm")
MEL_HOP, MEL_FFT = 160, 400  # Whisper's front end, samples


@dataclass(frozen=True)
class Encoder:
    """A network ready to listen: in evaluation mode, frozen, on `device`."""

    name: str
    family: str
    model: Any
    weights_hash: str
    layers: int
    width: int
    normalise: bool  # each waveform to mean 0 and variance 1 before it is heard
    device: str = "cpu"

    @property
    def longest_s(self) -> float:
        """Seconds; Whisper has positions for 30."""
        return self.model.config.max_source_positions * 2 * MEL_HOP / RATE if self.family == "whisper" else float("inf")


def available(name: str) -> bool:
    """Whether `load` finds an encoder on this machine."""
    if name == SPEAKER and importlib.util.find_spec("speechbrain") is None:
        return False
    return name in (MEL, MINI) or find(name) is not None


def find(name: str) -> Path | None:
    """The folder of an encoder's weights: below SQA_WEIGHTS or the cache, or in the hub's cache; None where it is not here."""
    name = name.removeprefix(RANDOM)
    folder = environment.find("weights", name)
    if folder is not None and (folder / (SPEAKER_FILE if name == SPEAKER else "config.json")).is_file():
        return folder
    hub = _hub_name(name)
    if hub is None:
        return None
    from huggingface_hub import try_to_load_from_cache

    known = try_to_load_from_cache(hub, SPEAKER_FILE if name == SPEAKER else "config.json")
    return Path(known).parent if isinstance(known, str) and _weight_files(Path(known).parent) else None


def not_here(name: str) -> str:
    """What to do about an encoder that is not here, in a sentence."""
    plain = name.removeprefix(RANDOM)
    hub = f"run `sqa data fetch {plain}`, or " if _hub_name(plain) else ""
    return f"The encoder {name} is not on this machine; {hub}put its folder below SQA_WEIGHTS as {plain}."


def fetch(name: str) -> Path:
    """From the hub into its cache."""
    hub = _hub_name(name)
    if hub is None:
        raise WeightsError(f"{name} is on no hub; put its folder below SQA_WEIGHTS.")
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import HfHubHTTPError, HFValidationError, LocalEntryNotFoundError

    try:
        folder = Path(snapshot_download(hub, allow_patterns=["*.json", "*.safetensors", SPEAKER_FILE]))
        if not _weight_files(folder):  # pickled ones only where there are no others; they are read as tensors alone
            folder = Path(snapshot_download(hub, allow_patterns=["*.json", "pytorch_model*.bin"]))
        return folder
    except HFValidationError as e:
        raise WeightsError(f"{name}: not the name of an encoder, nor of a repository on the hub (owner/name).") from e
    except (HfHubHTTPError, LocalEntryNotFoundError, OSError) as e:
        raise WeightsError(f"{hub}: could not be fetched ({type(e).__name__}); put its folder below SQA_WEIGHTS as {name}.") from e


def _hub_name(name: str) -> str | None:
    known = PAPER | OTHERS
    return known.get(name, name if "/" in name else None)


def _weight_files(folder: Path) -> list[Path]:
    for pattern in ("*.safetensors", "pytorch_model*.bin", SPEAKER_FILE):
        if found := sorted(folder.glob(pattern)):
            return found
    return []


@lru_cache(maxsize=16)
def weights_hash(name: str) -> str:
    """Hash of an encoder's weight files; of a random one, of its configuration."""
    if name in (MEL, MINI):
        return hashlib.sha256(repr((name, MINI_LAYOUT, MEL_HOP, MEL_FFT)).encode()).hexdigest()[:12]
    folder = _folder(name)
    if name.startswith(RANDOM):
        return environment.sha256(folder / "config.json")[:12]
    files = _weight_files(folder)
    if not files:
        raise WeightsError(f"{folder}: there is a config.json and no weights (model.safetensors).")
    return environment.sha256(files[0])[:12] if len(files) == 1 else _together(files)


def _together(files: list[Path]) -> str:
    return hashlib.sha256("".join(environment.sha256(f) for f in files).encode()).hexdigest()[:12]


def _folder(name: str) -> Path:
    folder = find(name)
    if folder is None:
        raise WeightsError(not_here(name))
    return folder


def load(name: str, device: str = "cpu", seed: int = 0) -> Encoder:
    """An encoder by its name, from what is on this machine; `random-NAME` has NAME's layout and weights that learnt nothing.

    Raises
    ------
    WeightsError : not here, with the command that gets it; not an encoder of speech; tensors that miss or do not fit.
    """
    if name == MEL:
        return Encoder(MEL, "mel", None, weights_hash(MEL), 1, 80, False, device)
    audio.import_torchaudio()  # before transformers, which imports it too
    from transformers import AutoConfig, AutoModel, WhisperConfig
    from transformers.utils import logging

    logging.disable_progress_bar()

    if name == MINI:
        torch.manual_seed(seed)
        layout = MINI_LAYOUT | {"decoder_layers": 1, "decoder_attention_heads": 4, "decoder_ffn_dim": 64, "vocab_size": 8}
        tokens: dict[str, Any] = {"pad_token_id": 0, "bos_token_id": 1, "eos_token_id": 2, "decoder_start_token_id": 1}
        return of_model(MINI, AutoModel.from_config(WhisperConfig(**layout, **tokens)), weights_hash(MINI), False, device)
    folder = _folder(name)
    if name == SPEAKER:
        return Encoder(SPEAKER, "ecapa", _speaker_network(folder).to(device), weights_hash(SPEAKER), 1, SPEAKER_WIDTH, False, device)
    try:
        config = AutoConfig.from_pretrained(folder)
    except (OSError, ValueError, KeyError) as e:
        raise WeightsError(f"{folder}: its config.json is not one that transformers knows ({type(e).__name__}).") from e
    if config.model_type not in (*WAVE_FAMILIES, "whisper"):
        raise WeightsError(
            f"{folder}: {config.model_type} is not an encoder that this book knows; it knows whisper, {', '.join(WAVE_FAMILIES)}."
        )
    if name.startswith(RANDOM):
        torch.manual_seed(seed)
        model = AutoModel.from_config(config, dtype=torch.float32)  # the config may name the halves that the weights are kept in
    else:
        model = _strictly(AutoModel, folder)
    return of_model(name, model, weights_hash(name), _normalises(folder), device)


def _speaker_network(folder: Path) -> Any:
    """SpeechBrain's ECAPA-TDNN in the size of its VoxCeleb checkpoint."""
    try:
        from speechbrain.lobes.models.ECAPA_TDNN import ECAPA_TDNN
    except ImportError as e:
        raise WeightsError(f'{SPEAKER} needs SpeechBrain: pip install "sqa-core[speakers]".') from e
    model = ECAPA_TDNN(
        80,
        channels=[1024, 1024, 1024, 1024, 3072],
        kernel_sizes=[5, 3, 3, 3, 1],
        dilations=[1, 2, 3, 4, 1],
        attention_channels=128,
        lin_neurons=SPEAKER_WIDTH,
    )
    try:
        model.load_state_dict(torch.load(folder / SPEAKER_FILE, map_location="cpu", weights_only=True))
    except Exception as e:  # whatever a damaged or foreign file raises, the answer is one
        raise WeightsError(f"{folder / SPEAKER_FILE}: not the weights of this network ({type(e).__name__}).") from e
    return model.eval().requires_grad_(False)


def _strictly(auto: Any, folder: Path) -> Any:
    """Loaded with every tensor of the network found and of the right shape; tensors for other tasks may be left over."""
    try:
        model, told = auto.from_pretrained(folder, output_loading_info=True, dtype=torch.float32)
    except Exception as e:  # whatever a damaged or foreign file raises, the answer is one
        raise WeightsError(f"{folder}: the weights cannot be read ({type(e).__name__}).") from e
    missing = sorted(k for k in told["missing_keys"] if "masked_spec_embed" not in k)  # that one serves training alone
    wrong = sorted(str(k[0] if isinstance(k, tuple) else k) for k in told["mismatched_keys"])
    if missing or wrong:
        raise WeightsError(
            f"{folder}: the weights are not this network's: {(missing or wrong)[0]} {'is missing' if missing else 'has another shape'}."
        )
    return model


def _normalises(folder: Path) -> bool:
    path = folder / "preprocessor_config.json"
    return bool(json.loads(path.read_text()).get("do_normalize", False)) if path.is_file() else True


def of_model(name: str, model: Any, hash_: str, normalise: bool, device: str = "cpu") -> Encoder:
    """An encoder around a network of transformers."""
    config = model.config
    family = config.model_type
    kept = model.encoder if family == "whisper" else model
    kept = kept.eval().requires_grad_(False).to(device)
    layers = config.encoder_layers if family == "whisper" else config.num_hidden_layers
    width = config.d_model if family == "whisper" else config.hidden_size
    return Encoder(name, family, kept, hash_, layers, width, normalise and family != "whisper", device)


def count_frames(encoder: Encoder, samples: int, whole_window: bool = False) -> int:
    """Frames that an encoder gives for so many samples at 16 kHz."""
    if encoder.family == "ecapa":
        return 1 if samples > MEL_FFT else 0
    if encoder.family == "mel":
        return samples // MEL_HOP
    if encoder.family == "whisper":
        return encoder.model.config.max_source_positions if whole_window else -(-(samples // MEL_HOP) // 2)
    return int(encoder.model._get_feat_extract_output_lengths(samples))


@torch.inference_mode()
def layers_of(
    encoder: Encoder,
    waveforms: Sequence[Float[np.ndarray, " samples"]],
    whole_window: bool = False,
    precision: Literal["fp32", "fp16", "bf16"] = "fp32",
) -> list[Float[Tensor, "layers frames width"]]:
    """Outputs of transformer layers 1 to L for each waveform (16 kHz), the last one after the final norm where there is one.

    whole_window : Whisper hears each sound padded with silence to 30 s, as in its training, and gives 1500 frames; without it, its
        positions are cut to the sound's length.

    Raises
    ------
    AudioError : a sound too short for a frame, or longer than the encoder's positions.
    """
    for samples in map(len, waveforms):
        if count_frames(encoder, samples) < 1:
            raise AudioError(f"{samples / RATE:.3f} s is too short for a frame of {encoder.name}.")
        if samples / RATE > encoder.longest_s:
            raise AudioError(
                f"{samples / RATE:.1f} s is longer than the {encoder.longest_s:.0f} s that {encoder.name} has positions for; cut it."
            )
    if encoder.family == "mel":
        return [log_mel(w, encoder.width, device=encoder.device).T[None] for w in waveforms]
    if encoder.family == "ecapa":
        return [_speaker(encoder, w) for w in waveforms]
    dtype = {"fp32": torch.float32, "fp16": torch.float16, "bf16": torch.bfloat16}[precision]
    with torch.autocast(encoder.device.split(":")[0], dtype, enabled=precision != "fp32"):
        if encoder.family == "whisper":
            return _whisper(encoder, waveforms, whole_window)
        return _wave(encoder, waveforms)


def log_mel(
    waveform: Float[np.ndarray, " samples"], n_mels: int, samples: int | None = None, device: str = "cpu"
) -> Float[Tensor, "mels frames"]:
    """Whisper's input: log10 of mel power, at most 8 below the sound's maximum, scaled; `samples` pads with silence first."""
    x = torch.from_numpy(np.ascontiguousarray(waveform, np.float32)).to(device)
    if samples is not None:
        x = F.pad(x, (0, samples - len(x)))
    window = torch.hann_window(MEL_FFT, device=device)
    pad_mode = "reflect" if len(x) > MEL_FFT // 2 else "constant"
    power = torch.stft(x, MEL_FFT, MEL_HOP, window=window, return_complex=True, pad_mode=pad_mode)[:, : len(x) // MEL_HOP].abs() ** 2
    mel = (_mel_filters(n_mels).T.to(device) @ power).clamp(min=1e-10).log10()
    return (torch.maximum(mel, mel.max() - 8.0) + 4.0) / 4.0


@lru_cache(maxsize=2)
def _mel_filters(n_mels: int) -> Float[Tensor, "bins mels"]:
    functional = audio.import_torchaudio().functional
    return functional.melscale_fbanks(MEL_FFT // 2 + 1, 0.0, RATE / 2, n_mels, RATE, norm="slaney", mel_scale="slaney")


def _whisper(encoder: Encoder, waveforms: Sequence[np.ndarray], whole_window: bool) -> list[Tensor]:
    m = encoder.model
    samples = int(encoder.longest_s * RATE) if whole_window else None
    mels = [log_mel(w, m.num_mel_bins, samples, encoder.device).T for w in waveforms]
    heard = _valid([len(x) for x in mels], encoder.device)
    # What lies behind a sound's end is zero before each convolution, as it is at the end of a sound alone.
    x = F.gelu(m.conv1(pad_sequence(mels, batch_first=True).transpose(1, 2))) * heard[:, None]
    x = F.gelu(m.conv2(x)).transpose(1, 2)
    x = x + m.embed_positions.weight[: x.shape[1]]
    lengths = [-(-len(mel) // 2) for mel in mels]
    valid = _valid(lengths, encoder.device)
    mask = None if valid.all() else torch.zeros(valid.shape, dtype=x.dtype, device=x.device).masked_fill(~valid, torch.finfo(x.dtype).min)
    states = []
    for layer in m.layers:
        out = layer(x, mask if mask is None else mask[:, None, None, :])
        x = out[0] if isinstance(out, tuple) else out
        states.append(x)
    states[-1] = m.layer_norm(x)
    return _apart(states, lengths)


def _wave(encoder: Encoder, waveforms: Sequence[np.ndarray]) -> list[Tensor]:
    m = encoder.model
    # One by one: the first convolution's norm is taken over time in the base models, so padding would move it.
    parts = [m.feature_extractor(_normalised(w, encoder)[None])[0].T for w in waveforms]
    lengths = [len(p) for p in parts]
    projected = m.feature_projection(pad_sequence(parts, batch_first=True))
    x = projected[0] if isinstance(projected, tuple) else projected
    valid = _valid(lengths, encoder.device)
    states: list[Tensor] = []

    def keep(_module, _inputs, output) -> None:
        states.append(output[0] if isinstance(output, tuple) else output)

    hooks = [layer.register_forward_hook(keep) for layer in m.encoder.layers]
    try:
        out = m.encoder(x, attention_mask=None if valid.all() else valid)
    finally:
        for hook in hooks:
            hook.remove()
    states[-1] = out.last_hidden_state
    return _apart(states, lengths)


def _speaker(encoder: Encoder, waveform: np.ndarray) -> Float[Tensor, "1 1 width"]:
    """One vector a sound, from its log-mel bands less their mean over time."""
    from speechbrain.lobes.features import Fbank

    bands = Fbank(n_mels=80).to(encoder.device)(torch.from_numpy(np.ascontiguousarray(waveform, np.float32))[None].to(encoder.device))
    return encoder.model(bands - bands.mean(dim=1, keepdim=True))


def _normalised(waveform: np.ndarray, encoder: Encoder) -> Tensor:
    x = torch.from_numpy(np.ascontiguousarray(waveform, np.float32)).to(encoder.device)
    return (x - x.mean()) / torch.sqrt(x.var(unbiased=False) + 1e-7) if encoder.normalise else x


def _valid(lengths: Sequence[int], device: str) -> Tensor:
    return torch.arange(max(lengths), device=device)[None] < torch.tensor(lengths, device=device)[:, None]


def _apart(states: list[Tensor], lengths: Sequence[int]) -> list[Tensor]:
    """Of layers (batch, frames, width) each: one (layers, its frames, width) a sound."""
    return [torch.stack([s[i, :n] for s in states]) for i, n in enumerate(lengths)]
