"""Frozen speech encoders: waveforms in, the outputs of every transformer layer out, at each file's true length.

wav2vec 2.0 and its relatives (XLS-R, HuBERT, WavLM) take the waveform, Whisper takes log-mel bands; both give a frame every 20 ms.
The networks are transformers'. This file adds strict loading, and masks, so that a file has the same features alone and in a batch.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional as F
from torch.nn.utils.rnn import pad_sequence

from .. import audio, spectrogram
from ..errors import AudioError, WeightsError
from ..files import from_json
from ..spectrogram import WHISPER_HOP, WHISPER_WINDOW
from . import encoder_catalogue as catalogue
from . import untrusted
from .encoder_catalogue import MEL, MINI, MINI_LAYOUT, RANDOM, SPEAKER, SPEAKER_FILE, SPEAKER_WIDTH, weights_hash

RATE = 16_000  # Hz, of every encoder in this file
SPEAKER_LARGEST_BYTES = 200_000_000  # twice the published file
MOST_LAYERS, WIDEST = 1000, 20_000  # of a configuration, heads and strides included: more describes no speech encoder
LARGEST_SETTING = 10_000_000  # of any number in it: classes, words, samples
WAVE_FAMILIES = ("wav2vec2", "hubert", "wavlm")
Waveforms = Sequence[Float[np.ndarray, " _"]]  # of any lengths
Precision = Literal["fp32", "fp16", "bf16"]


@dataclass(frozen=True)
class Encoder:
    """A frozen encoder in evaluation mode on `device`. One subclass a family says how it counts frames and computes layers."""

    name: str
    family: str
    model: Any
    weights_hash: str
    layers: int
    width: int
    zero_mean_unit_variance: bool  # applied to each waveform
    device: str = "cpu"

    @property
    def max_seconds(self) -> float:
        """The longest sound that the encoder takes."""
        return float("inf")

    def count_frames(self, samples: int, whole_window: bool = False) -> int:
        """Frames that the encoder gives for a sound of so many samples at 16 kHz."""
        raise NotImplementedError

    def _hidden_states(self, waveforms: Waveforms, whole_window: bool) -> list[Tensor]:
        raise NotImplementedError

    @torch.inference_mode()
    def hidden_states(
        self, waveforms: Waveforms, whole_window: bool = False, precision: Precision = "fp32"
    ) -> list[Float[Tensor, "layers _ width"]]:
        """Outputs of transformer layers 1 to L for each waveform (16 kHz); the last one after the final norm if there is one.

        Parameters
        ----------
        waveforms : list of (samples,)
        whole_window : bool
            Whisper with each sound padded with silence to 30 s, as in its training, which gives 1500 frames; otherwise its positions
            are cut to the sound's length.
        precision : "fp32", "fp16" or "bf16"
            Of the computation; what is returned has the encoder's own type.

        Returns
        -------
        For each waveform (layers, frames, width).

        Raises
        ------
        AudioError
            A sound is too short for one frame, or longer than the encoder's positions.
        """
        for samples in map(len, waveforms):
            if self.count_frames(samples) < 1:
                raise AudioError(f"{samples / RATE:.3f} s is too short for a frame of {self.name}.")
            if samples / RATE > self.max_seconds:
                raise AudioError(f"{samples / RATE:.1f} s is longer than the {self.max_seconds:.0f} s that {self.name} takes; cut it.")
        dtype = {"fp32": torch.float32, "fp16": torch.float16, "bf16": torch.bfloat16}[precision]
        with torch.autocast(self.device.split(":")[0], dtype, enabled=precision != "fp32"):
            return self._hidden_states(waveforms, whole_window)


class MelBands(Encoder):
    """A control: Whisper's log-mel bands, one layer."""

    def count_frames(self, samples: int, whole_window: bool = False) -> int:
        return samples // WHISPER_HOP

    def _hidden_states(self, waveforms: Waveforms, whole_window: bool) -> list[Tensor]:
        return [spectrogram.whisper_log_mel(w, self.width, device=self.device).T[None] for w in waveforms]


class SpeakerEncoder(Encoder):
    """A control: SpeechBrain's ECAPA-TDNN, one vector a file, from its log-mel bands less their mean over time."""

    def count_frames(self, samples: int, whole_window: bool = False) -> int:
        return 1 if samples > WHISPER_WINDOW else 0

    def _hidden_states(self, waveforms: Waveforms, whole_window: bool) -> list[Tensor]:
        return [self._vector(w) for w in waveforms]

    def _vector(self, waveform: np.ndarray) -> Float[Tensor, "1 1 width"]:
        from speechbrain.lobes.features import Fbank

        bands = Fbank(n_mels=80).to(self.device)(_tensor(waveform, self.device)[None])
        return self.model(bands - bands.mean(dim=1, keepdim=True))


class WhisperEncoder(Encoder):
    """Whisper's encoder: log-mel bands, two convolutions, positions, transformer layers."""

    @property
    def max_seconds(self) -> float:
        return self.model.config.max_source_positions * 2 * WHISPER_HOP / RATE

    def count_frames(self, samples: int, whole_window: bool = False) -> int:
        return self.model.config.max_source_positions if whole_window else -(-(samples // WHISPER_HOP) // 2)

    def _hidden_states(self, waveforms: Waveforms, whole_window: bool) -> list[Tensor]:
        m = self.model
        samples = int(self.max_seconds * RATE) if whole_window else None
        mels = [spectrogram.whisper_log_mel(w, m.num_mel_bins, samples, self.device).T for w in waveforms]
        inside = _inside([len(x) for x in mels], self.device)
        # Beyond a sound's end all is zero before each convolution, as it is at the end of a sound alone.
        x = F.gelu(m.conv1(pad_sequence(mels, batch_first=True).transpose(1, 2))) * inside[:, None]
        x = F.gelu(m.conv2(x)).transpose(1, 2)
        x = x + m.embed_positions.weight[: x.shape[1]]
        lengths = [-(-len(mel) // 2) for mel in mels]
        valid = _inside(lengths, self.device)
        mask = (
            None if valid.all() else torch.zeros(valid.shape, dtype=x.dtype, device=x.device).masked_fill(~valid, torch.finfo(x.dtype).min)
        )
        states = []
        # Layer by layer, since the positions of the whole forward pass are those of 30 s.
        for layer in m.layers:
            out = layer(x, attention_mask=mask if mask is None else mask[:, None, None, :])
            x = out[0] if isinstance(out, tuple) else out
            states.append(x)
        states[-1] = m.layer_norm(x)
        return _unbatch(states, lengths)


class WaveEncoder(Encoder):
    """wav2vec 2.0, XLS-R, HuBERT and WavLM: convolutions on the waveform, then transformer layers."""

    def count_frames(self, samples: int, whole_window: bool = False) -> int:
        return int(self.model._get_feat_extract_output_lengths(samples))

    def _hidden_states(self, waveforms: Waveforms, whole_window: bool) -> list[Tensor]:
        m = self.model
        # One by one: the first convolution's norm is taken over time in the base models, so padding would change it.
        parts = [m.feature_extractor(self._normalised(w)[None])[0].T for w in waveforms]
        lengths = [len(p) for p in parts]
        projected = m.feature_projection(pad_sequence(parts, batch_first=True))
        x = projected[0] if isinstance(projected, tuple) else projected
        valid = _inside(lengths, self.device)
        states: list[Tensor] = []

        def keep(_module, _inputs, output) -> None:
            states.append(output[0] if isinstance(output, tuple) else output)

        # Hooks and not output_hidden_states: transformers 5 records hidden states in the whole model's forward pass alone, and here
        # the feature extractor runs apart from the transformer.
        hooks = [layer.register_forward_hook(keep) for layer in m.encoder.layers]
        try:
            out = m.encoder(x, attention_mask=None if valid.all() else valid)
        finally:
            for hook in hooks:
                hook.remove()
        states[-1] = out.last_hidden_state
        return _unbatch(states, lengths)

    def _normalised(self, waveform: np.ndarray) -> Tensor:
        x = _tensor(waveform, self.device)
        return (x - x.mean()) / torch.sqrt(x.var(unbiased=False) + 1e-7) if self.zero_mean_unit_variance else x


def load(name: str, device: str = "cpu", seed: int = 0) -> Encoder:
    """An encoder by its name, from what is on this machine; `random-NAME` has NAME's layout and untrained weights.

    Parameters
    ----------
    name : One of `encoder_catalogue.ENCODERS` or `CONTROL_TITLES`, `random-NAME`, `owner/name` of the hub, or a folder's name below SQA_WEIGHTS.
    device : Where it computes.
    seed : Of the weights of `random-NAME`.

    Returns
    -------
    The encoder, in evaluation mode.

    Raises
    ------
    WeightsError
        Not on this machine, with the command that gets it; not a speech encoder; missing tensors or tensors of another shape.
    """
    if name == MEL:
        return MelBands(MEL, "mel", None, weights_hash(MEL), 1, 80, False, device)
    audio.import_torchaudio()  # before transformers, which imports it too
    from transformers import AutoConfig, AutoModel, WhisperConfig
    from transformers.utils import logging

    logging.disable_progress_bar()

    if name == MINI:
        torch.manual_seed(seed)
        layout = MINI_LAYOUT | {"decoder_layers": 1, "decoder_attention_heads": 4, "decoder_ffn_dim": 64, "vocab_size": 8}
        tokens: dict[str, Any] = {"pad_token_id": 0, "bos_token_id": 1, "eos_token_id": 2, "decoder_start_token_id": 1}
        return of_model(MINI, AutoModel.from_config(WhisperConfig(**layout, **tokens)), weights_hash(MINI), False, device)
    folder = catalogue.folder_of(name)
    if name == SPEAKER:
        return SpeakerEncoder(SPEAKER, "ecapa", _speaker_network(folder).to(device), weights_hash(SPEAKER), 1, SPEAKER_WIDTH, False, device)
    _require_own(folder)
    try:
        config = AutoConfig.from_pretrained(folder, trust_remote_code=False)
    except Exception as e:  # whatever a damaged or foreign file raises, the message is one
        raise WeightsError(f"{folder}: transformers does not know its config.json ({type(e).__name__}).") from e
    if config.model_type not in (*WAVE_FAMILIES, "whisper"):
        raise WeightsError(
            f"{folder}: {config.model_type} is not a supported speech encoder; supported are whisper, {', '.join(WAVE_FAMILIES)}."
        )
    if not _is_sane(config):
        raise WeightsError(f"{folder}: its config.json describes no speech encoder (layers, heads, strides or width are not those of one).")
    if name.startswith(RANDOM):
        torch.manual_seed(seed)
        try:  # float32, since the configuration may name the type that the weights are stored in
            model = AutoModel.from_config(config, dtype=torch.float32, trust_remote_code=False)
        except Exception as e:
            raise WeightsError(f"{folder}: no network can be made of its config.json ({type(e).__name__}).") from e
    else:
        model = _load_strictly(AutoModel, folder)
    return of_model(name, model, weights_hash(name), _normalises(folder), device)


def _require_own(folder: Path) -> None:
    """Raise WeightsError if loading this folder would fetch something else, adapters or a kernel for its attention, or if transformers would
    spend minutes on sizes that no encoder has."""
    if (folder / "adapter_config.json").exists():
        raise WeightsError(f"{folder}: holds an adapter (adapter_config.json), whose network is elsewhere; merge the two first.")
    try:
        config = from_json((folder / "config.json").read_text())
        attention = {config.get(key) for key in ("attn_implementation", "_attn_implementation")}
    except (OSError, ValueError, AttributeError, TypeError):
        return  # transformers says what is wrong with it
    if any(isinstance(value, int) and abs(value) > LARGEST_SETTING for value in config.values()):
        raise WeightsError(f"{folder}: its config.json holds sizes beyond those of any speech encoder.")
    if not attention <= {None, "eager", "sdpa"}:
        raise WeightsError(
            f"{folder}: its config.json asks for another implementation of attention, which would be fetched; remove the entry."
        )


def _is_sane(config: Any) -> bool:
    layers, heads = (
        ("encoder_layers", "encoder_attention_heads") if config.model_type == "whisper" else ("num_hidden_layers", "num_attention_heads")
    )
    steps = [*getattr(config, "conv_stride", ()), *getattr(config, "conv_kernel", ())]
    sizes = [getattr(config, layers), getattr(config, heads), *steps]
    inner = getattr(config, "encoder_ffn_dim" if config.model_type == "whisper" else "intermediate_size")
    small = getattr(config, "layer_norm_eps", 1e-5)
    wide = 1 <= config.hidden_size <= WIDEST and 1 <= inner <= 8 * WIDEST
    return min(sizes) >= 1 and max(sizes) <= MOST_LAYERS and wide and 0 < small < 1


def of_model(name: str, model: Any, hash_: str, zero_mean_unit_variance: bool, device: str = "cpu") -> Encoder:
    """An encoder around a network of transformers."""
    config = model.config
    if config.model_type == "whisper":
        kept = model.encoder.eval().requires_grad_(False).to(device)
        return WhisperEncoder(name, "whisper", kept, hash_, config.encoder_layers, config.d_model, False, device)
    kept = model.eval().requires_grad_(False).to(device)
    return WaveEncoder(name, config.model_type, kept, hash_, config.num_hidden_layers, config.hidden_size, zero_mean_unit_variance, device)


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
    state = untrusted.torch_checkpoint(folder / SPEAKER_FILE, SPEAKER_LARGEST_BYTES)
    untrusted.require_state(state, model.state_dict(), folder / SPEAKER_FILE)
    model.load_state_dict(state)
    return model.eval().requires_grad_(False)


def _load_strictly(auto: Any, folder: Path) -> Any:
    """Loaded with every tensor of the network present and of the right shape; tensors for other tasks may be left over.

    `trust_remote_code=False` refuses code that a folder contains; without it transformers asks on standard input.
    """
    try:
        model, loading = auto.from_pretrained(folder, output_loading_info=True, dtype=torch.float32, trust_remote_code=False)
    except Exception as e:  # whatever a damaged or foreign file raises, the message is one
        raise WeightsError(f"{folder}: the weights cannot be read ({type(e).__name__}).") from e
    missing = sorted(k for k in loading["missing_keys"] if "masked_spec_embed" not in k)  # that one serves training alone
    wrong = sorted(str(k[0] if isinstance(k, tuple) else k) for k in loading["mismatched_keys"])
    if missing or wrong:
        raise WeightsError(
            f"{folder}: the weights are not this network's: {(missing or wrong)[0]} {'is missing' if missing else 'has another shape'}."
        )
    if left := sorted(k for k in loading["unexpected_keys"] if re.search(r"(^|\.)encoder\.layers\.\d+\.", k)):
        raise WeightsError(f"{folder}: the weights have {left[0]}, which its config.json leaves out; one of the two is of another network.")
    if bad := next((key for key, value in model.named_parameters() if not torch.isfinite(value).all()), None):
        raise WeightsError(f"{folder}: {bad} holds values that are not numbers (NaN or infinite); the weights are damaged.")
    return model


def _normalises(folder: Path) -> bool:
    """Whether sounds are brought to mean 0 and variance 1 first, as wav2vec 2.0's family wants them where nothing is said."""
    path = folder / "preprocessor_config.json"
    try:
        return bool(from_json(path.read_text()).get("do_normalize", False)) if path.is_file() else True
    except (OSError, ValueError, AttributeError) as e:
        raise WeightsError(f"{path}: cannot be read ({type(e).__name__}); fetch it again, or delete it if the network needs none.") from e


def _tensor(waveform: np.ndarray, device: str) -> Tensor:
    return torch.from_numpy(np.ascontiguousarray(waveform, np.float32)).to(device)


def _inside(lengths: Sequence[int], device: str) -> Tensor:
    """(batch, longest): True up to each length."""
    return torch.arange(max(lengths), device=device)[None] < torch.tensor(lengths, device=device)[:, None]


def _unbatch(states: list[Tensor], lengths: Sequence[int]) -> list[Tensor]:
    """From one (batch, frames, width) a layer to one (layers, its own frames, width) a sound."""
    return [torch.stack([s[i, :n] for s in states]) for i, n in enumerate(lengths)]
