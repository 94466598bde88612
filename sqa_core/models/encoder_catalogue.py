"""Speech encoders by name: which there are, where their weights are on this machine, how to fetch them, and the hash of what is found."""

import importlib.util
import json
from functools import lru_cache
from pathlib import Path
from typing import Any

from .. import environment
from ..errors import WeightsError
from ..files import sha256, short_hash

# Hub names. The paper on speech models names models and no checkpoints; the first six are the most likely ones.
HUB: dict[str, str | None] = {
    "wav2vec2-base": "facebook/wav2vec2-base",
    "wav2vec2-large": "facebook/wav2vec2-large",
    "wav2vec2-xls-r-300m": "facebook/wav2vec2-xls-r-300m",
    "whisper-small.en": "openai/whisper-small.en",
    "whisper-small": "openai/whisper-small",
    "whisper-medium": "openai/whisper-medium",
    "whisper-small-int8": None,  # small with its weights rounded to 8 bits and converted back: not quite the paper's column
    "whisper-base": "openai/whisper-base",
    "whisper-tiny": "openai/whisper-tiny",
    "whisper-base.en": "openai/whisper-base.en",
    "whisper-tiny.en": "openai/whisper-tiny.en",
    "hubert-base-ls960": "facebook/hubert-base-ls960",
    "wavlm-base-plus": "microsoft/wavlm-base-plus",
    "ecapa-voxceleb": "speechbrain/spkrec-ecapa-voxceleb",
}
TITLES = {
    "wav2vec2-base": "Wav2Vec 2.0 Base",
    "wav2vec2-large": "Wav2Vec 2.0 Large",
    "wav2vec2-xls-r-300m": "XLS-R",
    "whisper-small.en": "Whisper Small (EN)",
    "whisper-small": "Whisper Small",
    "whisper-medium": "Whisper Medium",
    "whisper-small-int8": "Whisper Small (int8)",
    "whisper-base": "Whisper Base",
    "whisper-tiny": "Whisper Tiny",
    "whisper-base.en": "Whisper Base (EN)",
    "whisper-tiny.en": "Whisper Tiny (EN)",
    "hubert-base-ls960": "HuBERT Base",
    "wavlm-base-plus": "WavLM Base+",
    "random-whisper-base": "control: random Whisper Base",
    "random-mini": "control: random small Whisper",
    "mel": "control: log-mel bands",
    "ecapa-voxceleb": "control: speaker network",
}
RANDOM = "random-"  # before a name: the same network with untrained weights
# Controls that need no weights: Whisper's log-mel bands as they are, and a small untrained Whisper.
MEL, MINI = "mel", "random-mini"
MINI_LAYOUT: dict[str, Any] = {"d_model": 64, "encoder_layers": 4, "encoder_attention_heads": 4, "encoder_ffn_dim": 256, "num_mel_bins": 80}
# A control for speaker identity: a speaker-verification network, 192 numbers a file.
SPEAKER, SPEAKER_FILE, SPEAKER_WIDTH = "ecapa-voxceleb", "embedding_model.ckpt", 192
_HASHED = (160, 400)  # hop and window of Whisper's front end, which the hashes of the controls include


def title(name: str) -> str:
    """How an encoder is called in tables; one that is not in this catalogue goes by its own name."""
    return TITLES.get(name, name)


def available(name: str) -> bool:
    """Whether `encoders.load` finds an encoder on this machine."""
    if name == SPEAKER and importlib.util.find_spec("speechbrain") is None:
        return False
    return name in (MEL, MINI) or find(name) is not None


def find(name: str) -> Path | None:
    """The folder of an encoder's weights: under SQA_WEIGHTS or the cache, or in the hub's cache; None if there is none."""
    name = name.removeprefix(RANDOM)
    folder = environment.find("weights", name)
    if folder is not None and (folder / (SPEAKER_FILE if name == SPEAKER else "config.json")).is_file():
        return folder
    hub = _hub_name(name)
    if hub is None:
        return None
    from huggingface_hub import try_to_load_from_cache

    known = try_to_load_from_cache(hub, SPEAKER_FILE if name == SPEAKER else "config.json")
    return Path(known).parent if isinstance(known, str) and weight_files(Path(known).parent) else None


def folder_of(name: str) -> Path:
    """As `find`, but raises WeightsError with the command that gets the encoder."""
    folder = find(name)
    if folder is None:
        raise WeightsError(missing_message(name))
    return folder


def missing_message(name: str) -> str:
    """One sentence on how to get an encoder that is not on this machine."""
    plain = name.removeprefix(RANDOM)
    hub = f"run `sqa data fetch {plain}`, or " if _hub_name(plain) else ""
    return f"The encoder {name} is not on this machine; {hub}put its folder under SQA_WEIGHTS as {plain}."


def fetch(name: str) -> Path:
    """Download an encoder from the hub into the hub's cache, and return its folder.

    Raises
    ------
    WeightsError
        The name is on no hub, is not a repository's name, or the download failed.
    """
    hub = _hub_name(name)
    if hub is None:
        raise WeightsError(f"{name} is on no hub; put its folder under SQA_WEIGHTS.")
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import HfHubHTTPError, HFValidationError, LocalEntryNotFoundError

    try:
        folder = Path(snapshot_download(hub, allow_patterns=["*.json", "*.safetensors", SPEAKER_FILE]))
        if not weight_files(folder):  # pickled weights only if there are no others; they are read as tensors alone
            folder = Path(snapshot_download(hub, allow_patterns=["*.json", "pytorch_model*.bin"]))
        return folder
    except HFValidationError as e:
        raise WeightsError(f"{name}: neither an encoder of the catalogue nor a repository's name on the hub (owner/name).") from e
    except (HfHubHTTPError, LocalEntryNotFoundError, OSError) as e:
        raise WeightsError(f"{hub}: the download failed ({type(e).__name__}); put its folder under SQA_WEIGHTS as {name}.") from e


def _hub_name(name: str) -> str | None:
    return HUB.get(name, name if "/" in name else None)


def weight_files(folder: Path) -> list[Path]:
    """Files that hold an encoder's weights, of the best format there is; empty if there are none."""
    for pattern in ("*.safetensors", "pytorch_model*.bin", SPEAKER_FILE):
        if found := sorted(folder.glob(pattern)):
            return found
    return []


def shape(name: str) -> tuple[int, int]:
    """Transformer layers of an encoder and the width of its frames, from its configuration; of one with layers only.

    Raises
    ------
    WeightsError
        It is not on this machine, or its configuration names neither.
    """
    if name == MINI:
        return MINI_LAYOUT["encoder_layers"], MINI_LAYOUT["d_model"]
    path = folder_of(name) / "config.json"
    try:
        config = json.loads(path.read_text())
        layers = config["encoder_layers"] if "encoder_layers" in config else config["num_hidden_layers"]
        return int(layers), int(config["d_model"] if "d_model" in config else config["hidden_size"])
    except (OSError, ValueError, KeyError, TypeError) as e:
        raise WeightsError(f"{path}: no layers and width of a speech encoder can be read from it ({type(e).__name__}).") from e


def weights_hash(name: str) -> str:
    """12 hexadecimal digits: hash of an encoder's weight files; of its configuration if its weights are untrained."""
    if name in (MEL, MINI):
        return short_hash(repr((name, MINI_LAYOUT, *_HASHED)))
    return _hash_of_folder(folder_of(name), name.startswith(RANDOM))


@lru_cache(maxsize=16)  # by place, so that a folder put elsewhere is hashed anew
def _hash_of_folder(folder: Path, untrained: bool) -> str:
    if untrained:
        return sha256(folder / "config.json")[:12]
    found = weight_files(folder)
    if not found:
        raise WeightsError(f"{folder}: there is a config.json but no weights (model.safetensors).")
    return sha256(found[0])[:12] if len(found) == 1 else short_hash("".join(map(sha256, found)))
