"""Speech encoders by name: which there are, where their weights are on this machine, how to fetch them, and the hash of what is found."""

import importlib.util
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

from .. import environment
from ..errors import WeightsError
from ..files import from_json, sha256, short_hash

_BIN, _SAFE = "pytorch_model.bin", "model.safetensors"


@dataclass(frozen=True)
class CatalogueEntry:
    """An encoder of the catalogue: how tables call it, and one state of its repository on the hub, so that a repository that moves on does not
    change a run: the commit, the file that holds the weights, and that file's SHA-256, as published by projects that pin the same commit,
    where it is known."""

    title: str
    repository: str | None = None
    revision: str | None = None
    weights: str = ""
    sha256: str | None = None


# The paper on speech models names models and no checkpoints; the first six are the most likely ones.
ENCODERS = {
    "wav2vec2-base": CatalogueEntry(
        "Wav2Vec 2.0 Base",
        "facebook/wav2vec2-base",
        "0b5b8e868dd84f03fd87d01f9c4ff0f080fecfe8",
        _BIN,
        "3249fe98bfc62fcbc26067f724716a6ec49d12c4728a2af1df659013905dff21",
    ),
    "wav2vec2-large": CatalogueEntry("Wav2Vec 2.0 Large", "facebook/wav2vec2-large", "312b2410566b698c7a649068d413b2067848bd75", _BIN),
    "wav2vec2-xls-r-300m": CatalogueEntry(
        "XLS-R",
        "facebook/wav2vec2-xls-r-300m",
        "1a640f32ac3e39899438a2931f9924c02f080a54",
        _BIN,
        "d5e490574712ad0a6736923b9ed11d4cd51c78609c36205f704fc4e87b11d2e0",
    ),
    "whisper-small.en": CatalogueEntry(
        "Whisper Small (EN)",
        "openai/whisper-small.en",
        "e8727524f962ee844a7319d92be39ac1bd25655a",
        _SAFE,
        "6014ac49b506df900f66f4aca6b0801eed7245594ace97bcaf73e0ae5b863066",
    ),
    "whisper-small": CatalogueEntry(
        "Whisper Small",
        "openai/whisper-small",
        "973afd24965f72e36ca33b3055d56a652f456b4d",
        _SAFE,
        "1d7734884874f1a1513ed9aa760a4f8e97aaa02fd6d93a3a85d27b2ae9ca596b",
    ),
    "whisper-medium": CatalogueEntry(
        "Whisper Medium",
        "openai/whisper-medium",
        "abdf7c39ab9d0397620ccaea8974cc764cd0953e",
        _SAFE,
        "62f73550fa6db24b0c6f6c5962bd0dae80fa644e93cde9cd9c3792971b47fd28",
    ),
    # Small with its weights rounded to 8 bits and converted back: not quite the paper's column.
    "whisper-small-int8": CatalogueEntry("Whisper Small (int8)"),
    "whisper-base": CatalogueEntry(
        "Whisper Base",
        "openai/whisper-base",
        "e37978b90ca9030d5170a5c07aadb050351a65bb",
        _SAFE,
        "07cadb9f25677c8d50df603e66a98fbd842cce45047139baeb16e6219a1e807b",
    ),
    "whisper-tiny": CatalogueEntry(
        "Whisper Tiny",
        "openai/whisper-tiny",
        "169d4a4341b33bc18d8881c4b69c2e104e1cc0af",
        _SAFE,
        "7ebd0e69e78190ffe1438491fa05cc1f5c1aa3a4c4db3bc1723adbb551ea2395",
    ),
    "whisper-base.en": CatalogueEntry(
        "Whisper Base (EN)",
        "openai/whisper-base.en",
        "911407f4214e0e1d82085af863093ec0b66f9cd6",
        _SAFE,
        "d4dd5542fd6a1d35639e21384238f3bfe6c557c849d392b5905d33ee29e71db5",
    ),
    "whisper-tiny.en": CatalogueEntry(
        "Whisper Tiny (EN)",
        "openai/whisper-tiny.en",
        "87c7102498dcde7456f24cfd30239ca606ed9063",
        _SAFE,
        "db59695928ded6043adaef491a53ef4e12da9611184d77c53baa691a60b958ad",
    ),
    "hubert-base-ls960": CatalogueEntry(
        "HuBERT Base",
        "facebook/hubert-base-ls960",
        "dba3bb02fda4248b6e082697eee756de8fe8aa8a",
        _BIN,
        "062249fffb353eab67547a2fbc129f7c31a2f459faf641b19e8fb007cc5c48ad",
    ),
    "wavlm-base-plus": CatalogueEntry(
        "WavLM Base+",
        "microsoft/wavlm-base-plus",
        "4c66d4806a428f2e922ccfa1a962776e232d487b",
        _BIN,
        "3bb273a6ace99408b50cfc81afdbb7ef2de02da2eab0234e18db608ce692fe51",
    ),
    "ecapa-voxceleb": CatalogueEntry(
        "control: speaker network",
        "speechbrain/spkrec-ecapa-voxceleb",
        "0f99f2d0ebe89ac095bcc5903c4dd8f72b367286",
        "embedding_model.ckpt",
        "0575cb64845e6b9a10db9bcb74d5ac32b326b8dc90352671d345e2ee3d0126a2",
    ),
}
CONTROL_TITLES = {  # made from code alone
    "random-whisper-base": "control: random Whisper Base",
    "random-mini": "control: random small Whisper",
    "mel": "control: log-mel bands",
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
    return ENCODERS[name].title if name in ENCODERS else CONTROL_TITLES.get(name, name)


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
    repository, revision = _on_hub(name)
    if repository is None:
        return None
    from huggingface_hub import try_to_load_from_cache

    known = try_to_load_from_cache(repository, SPEAKER_FILE if name == SPEAKER else "config.json", revision=revision)
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
    hub = f"run `sqa data fetch {plain}`, or " if _on_hub(plain)[0] else ""
    found = ", ".join(x for x in ENCODERS if available(x))
    return f"The encoder {name} is not on this machine; {hub}put its folder under SQA_WEIGHTS as {plain}. Found here: {found or 'none'}."


def fetch(name: str) -> Path:
    """Download an encoder from the hub into the hub's cache, and return its folder: the pinned commit of one in this catalogue, the named one
    of `owner/name@commit`, the newest of `owner/name`.

    Parameters
    ----------
    name : One of the catalogue, `owner/name` or `owner/name@commit`.

    Returns
    -------
    The folder that holds it.

    Raises
    ------
    WeightsError
        The name is on no hub, is not a repository's name, the download failed, or the weights are not the pinned ones; these are removed.
    """
    repository, revision = _on_hub(name)
    if repository is None:
        raise WeightsError(f"{name} is on no hub; put its folder under SQA_WEIGHTS.")
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import HfHubHTTPError, HFValidationError, LocalEntryNotFoundError

    listed = _listed(repository)
    pin = listed if listed and listed.revision == revision else None  # another commit may hold other files
    try:
        folder = Path(
            snapshot_download(repository, revision=revision, allow_patterns=["*.json", pin.weights if pin else "model*.safetensors"])
        )
        if not pin and not weight_files(folder):  # pickled weights only if there are no others; they are read as tensors alone
            folder = Path(snapshot_download(repository, revision=revision, allow_patterns=["*.json", "pytorch_model*.bin"]))
    except HFValidationError as e:
        raise WeightsError(f"{name}: neither an encoder of the catalogue nor a repository's name on the hub (owner/name).") from e
    except (HfHubHTTPError, LocalEntryNotFoundError, OSError) as e:
        raise WeightsError(f"{repository}: the download failed ({type(e).__name__}); put its folder under SQA_WEIGHTS as {name}.") from e
    if not weight_files(folder):
        raise WeightsError(f"{repository}: holds no weights that can be read (model.safetensors, pytorch_model.bin).")
    if pin and pin.sha256 and sha256(folder / pin.weights) != pin.sha256:
        path = folder / pin.weights
        path.resolve().unlink()  # the hub's cache links to where the bytes are
        path.unlink(missing_ok=True)
        raise WeightsError(f"{repository}: {pin.weights} is not the pinned file (its SHA-256 differs); it was removed. Fetch it again.")
    return folder


def _on_hub(name: str) -> tuple[str | None, str | None]:
    """Repository and commit of an encoder; no commit for a repository of which none is named or pinned."""
    base, _, revision = name.partition("@")
    known = _listed(base)
    repository = base if "/" in base else known.repository if known else None
    return repository, revision or (known.revision if known else None)


def _listed(name: str) -> CatalogueEntry | None:
    """The catalogue's entry by the encoder's name or by its repository's."""
    return next((x for key, x in ENCODERS.items() if name in (key, x.repository)), None)


def weight_files(folder: Path) -> list[Path]:
    """Files that hold an encoder's weights, those that transformers would load; empty if there are none."""
    for pattern in ("model.safetensors", "model-*.safetensors", "pytorch_model.bin", "pytorch_model-*.bin", SPEAKER_FILE):
        if found := sorted(folder.glob(pattern)):
            return found
    return []


def shape(name: str) -> tuple[int, int]:
    """Transformer layers of an encoder and the width of its frames, from its configuration; of one with layers only.

    Returns
    -------
    Layers, and width.

    Raises
    ------
    WeightsError
        It is not on this machine, or its configuration names neither.
    """
    if name == MINI:
        return MINI_LAYOUT["encoder_layers"], MINI_LAYOUT["d_model"]
    path = folder_of(name) / "config.json"
    try:
        config = from_json(path.read_text())
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
