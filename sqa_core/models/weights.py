"""Weights in and out. A checkpoint is untrusted input: tensors only, every key and shape checked, no numbers that are not numbers."""

import copy
import json
import math
import os
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import torch
from pydantic import TypeAdapter, ValidationError

from .. import download, environment
from ..audio import shown
from ..errors import WeightsError
from ..files import atomic, from_json, sha256
from . import untrusted
from .nisqa import DIMENSIONS, Nisqa, NisqaSettings

LARGEST_BYTES = 200_000_000  # a hundred times the largest NISQA; more is not one


@dataclass(frozen=True)
class KnownNetwork:
    """A published network: its place below SQA_WEIGHTS, its hash and licence, and what it was trained for."""

    file: str
    sha256: str
    licence: str
    trained_for: str
    best_seconds: tuple[float, float] = (6.0, 12.0)


_OFFICIAL = "speech degraded by transmission, 48 kHz, 6 to 12 s, active level near -26 dBov"
OFFICIAL = {
    "nisqa": KnownNetwork(
        "nisqa/nisqa.tar", "7ec4cf937514dd3f8860b21e66fabd8ca87a168572675ef8d979c4c4ad2e805c", "CC BY-NC-SA 4.0", _OFFICIAL
    ),
    "nisqa-mos": KnownNetwork(
        "nisqa/nisqa_mos_only.tar",
        "16b2632bea0a481b1bba485587a8da2265f2c7797b525712ae0c072986ee783c",
        "CC BY-NC-SA 4.0",
        _OFFICIAL,
    ),
    "nisqa-tts": KnownNetwork(
        "nisqa/nisqa_tts.tar",
        "c556a954cd9536360b4fe6f524ad432816509cd22f436f345b281a7851360656",
        "CC BY-NC-SA 4.0",
        "naturalness of synthetic speech, bands up to 8 kHz",
        (1.0, 12.0),
    ),
}
# Further published networks of the same layout, used where they are found.
KNOWN = OFFICIAL | {
    "nisqa-confspeech2022": KnownNetwork(
        "nisqa_confspeech2022/nisqa_confspeech2022.tar",
        "87c7cc832bafe6bde74ef8cf30508a78ec0d834d839957759cf1ce1c85b5a418",
        "Apache-2.0",
        "speech in online conferences, rated by listeners in English and Mandarin (baseline of ConferencingSpeech 2022)",
    )
}
OWN = "prompts-pesq"  # ours with MOS alone, trained on human speech too
DEFAULT = "calls-nisqa"  # ours with five outputs, which is used where the official weights are not
OWN_CAVEAT = (
    "it predicts PESQ's MOS and nothing else, and is often low for clean speech; `sqa data fetch nisqa-weights` gets the official network"
)
SYNTHETIC_ONLY = "polyglot-pesq"
SYNTHETIC_CAVEAT = "trained on synthetic voices only: use for comparisons, absolute scores are not calibrated on human speech"
OFFICIAL_URL = "https://raw.githubusercontent.com/gabrielmittag/NISQA/master/weights/"
LICENCE_NOTICE = """\
NISQA's weights (Gabriel Mittag, TU Berlin; github.com/gabrielmittag/NISQA) are under CC BY-NC-SA 4.0:
give credit, no commercial use, share alike. https://creativecommons.org/licenses/by-nc-sa/4.0/"""


@dataclass(frozen=True)
class Network:
    """A network with its weights, ready to score: in evaluation mode, on `device`."""

    name: str
    model: Nisqa
    weights_hash: str
    licence: str
    trained_for: str
    best_seconds: tuple[float, float]
    path: Path | None = None
    device: str = "cpu"

    @property
    def settings(self) -> NisqaSettings:
        return self.model.settings


def found_networks() -> dict[str, Path]:
    """Names that `load` takes without a path, each with its file: the published ones found here, and ours."""
    found = {name: path for name, known in KNOWN.items() if (path := environment.find("weights", known.file))}
    folder = environment.resource("networks")
    ours = {p.parent.name: p for p in sorted(folder.glob("*/model.safetensors"))}
    return found | ours


def fetch_official(base_url: str = OFFICIAL_URL) -> Path:
    """The three published checkpoints into the cache, by hash. Show LICENCE_NOTICE first."""
    folder = environment.cache_folder() / "weights" / "nisqa"
    download.fetch(base_url, {Path(known.file).name: known.sha256 for known in OFFICIAL.values()}, folder)
    return folder


def default_network() -> str:
    """The official five-dimension network where it is found, else ours."""
    return next(name for name in ("nisqa", DEFAULT, OWN) if name in found_networks() or name == OWN)


def caveat(name: str) -> str:
    """What one of our networks is worth where it stands in for the official one, in words; "" for others.

    For `DEFAULT`, its correlation with P.835's listeners and that of the official network stand in its `training.json`.
    """
    if name == OWN:
        return OWN_CAVEAT
    if name != DEFAULT:
        return ""
    found = json.loads(environment.resource("networks", DEFAULT, "training.json").read_text()).get("listeners_pcc", {})
    agrees = [
        f"{words} {of[DEFAULT]:.2f}, the official network {of['nisqa']:.2f}"
        for which, words in (("fullband", "full band"), ("wideband", "wide band"))
        if (of := found.get(which))
    ]
    said = f"; PCC with P.835's listeners: {'; '.join(agrees)}" if agrees else ""
    return f"it predicts PESQ, and is often low for clean speech{said}. `sqa data fetch nisqa-weights` fetches the official network"


def load(name: str | Path | None = None, device: str | None = None) -> Network:
    """A network by name (`found_networks`) or by the path of a checkpoint (.tar of NISQA, or .safetensors of this library).

    Parameters
    ----------
    name : A name or a path; the default network if not given.
    device : "cpu", "cuda", …; the best one here if not given.

    Returns
    -------
    The network, in evaluation mode.

    Raises
    ------
    WeightsError : not found, damaged, holding more than tensors, missing keys, numbers that are not numbers.
    """
    name = default_network() if name is None else str(name)
    device = device or environment.device()
    found = found_networks()
    if name in KNOWN and name not in found:
        how = "run `sqa data fetch nisqa-weights`, or set SQA_WEIGHTS" if name in OFFICIAL else f"put {KNOWN[name].file} below SQA_WEIGHTS"
        raise WeightsError(f"The weights of {name} are not on this machine; {how}.")
    path = found.get(name, Path(name))
    if not os.path.isfile(path):  # noqa: PTH113 (Path.is_file raises for names that no file can have)
        raise WeightsError(f"{name!r:.100}: neither a network found here ({', '.join(found) or 'none'}) nor a file.")
    untrusted.require_file(path, LARGEST_BYTES)
    digest = sha256(path)  # before anything in it is read
    if name in KNOWN and digest != (expected := KNOWN[name].sha256):
        raise WeightsError(f"{path}: not the published {name} (SHA-256 {digest[:12]}… instead of {expected[:12]}…); fetch it again.")
    read = _read_safetensors if path.suffix == ".safetensors" else _read_official
    settings, state, card = read(path)
    with torch.device("meta"):  # settings are not trusted: compare shapes before any memory is taken
        untrusted.require_state(state, Nisqa(settings).state_dict(), path)
    model = Nisqa(settings)
    model.load_state_dict(state, strict=True)
    published = next((n for n, known in KNOWN.items() if known.sha256 == digest), None)
    known = KNOWN.get(published or "")
    return Network(
        name=name if name in found else published or _own_name(card.get("name", path.stem), digest, found),
        model=model.eval().to(device),
        weights_hash=digest[:12],
        licence=known.licence if known else card.get("licence", "not stated"),
        trained_for=known.trained_for if known else card.get("trained_for", "not stated"),
        best_seconds=known.best_seconds if known else _best_seconds(card, path),
        path=path,
        device=device,
    )


def _own_name(name: str, digest: str, found: dict[str, Path]) -> str:
    """How a network from a path is called: by its own name, unless that is of a network whose weights it does not have."""
    name = shown(name)[:100] or "unnamed"
    taken = name in KNOWN or (name in found and sha256(found[name]) != digest)
    return f"{name} (other weights)" if taken else name


def hash_of(name: str) -> str:
    """The hash of a network found here, as its `weights_hash`, without loading it."""
    return sha256(found_networks()[name])[:12]


def shuffled(network: Network, seed: int = 0) -> Network:
    """The same layout, each layer's weights put in another order: a control for what learning has to do with a result.

    Biases and batch norms stay, so that the signal keeps its size on the way. After Adebayo et al. (2018), arXiv:1810.03292.

    Parameters
    ----------
    network : Stays as it is.
    seed : Of the order.

    Returns
    -------
    A new network.
    """
    generator = torch.Generator().manual_seed(seed)
    model = copy.deepcopy(network.model)
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.dim() > 1:
                order = torch.randperm(parameter.numel(), generator=generator).to(parameter.device)
                parameter.copy_(parameter.flatten()[order].view_as(parameter))
    return replace(network, name=f"{network.name} with shuffled weights", model=model, weights_hash=f"shuffled {seed}")


def _best_seconds(card: dict[str, str], path: Path) -> tuple[float, float]:
    try:
        shortest, longest = (float(x + 0) for x in from_json(card.get("best_seconds", "[1, 12]")))
        if not 0 < shortest < longest < math.inf:  # "+ 0" refuses text
            raise ValueError("no range of lengths")
    except (ValueError, TypeError, OverflowError) as e:
        raise WeightsError(f"{path}: `best_seconds` in its metadata is not a pair of numbers above 0, the smaller first.") from e
    return shortest, longest


def _read_official(path: Path) -> tuple[NisqaSettings, Any, dict[str, str]]:
    checkpoint = untrusted.torch_checkpoint(path, LARGEST_BYTES)
    if not isinstance(checkpoint, dict) or not {"args", "model_state_dict"} <= checkpoint.keys():
        raise WeightsError(f"{path}: not a NISQA checkpoint; `args` and `model_state_dict` are missing.")
    state = checkpoint["model_state_dict"]
    if isinstance(state, dict):
        state = {_own_key(key): value for key, value in state.items()}
    return _official_settings(checkpoint["args"], path), state, {"name": path.stem}


def _own_key(key: Any) -> Any:
    """Our name of a tensor; the original wraps each part in a frame with one attribute, `model`, and names a lone head `pool`."""
    if not isinstance(key, str):
        return key
    return key.replace("pool_layers.", "pool.").replace("pool.model.", "pool.0.model.").replace(".model.", ".")


def _official_settings(args: Any, path: Path) -> NisqaSettings:
    if not isinstance(args, dict) or any(isinstance(value, torch.Tensor) for value in args.values()):
        raise WeightsError(f"{path}: the checkpoint's `args` are not the plain settings of a NISQA network.")
    try:
        layouts = {("adapt", "self_att"): "attention", ("standard", "lstm"): "lstm"}
        layout = layouts.get((args["cnn_model"], args["td"]))
        if layout is None or args.get("double_ended") or args.get("td_2", "skip") != "skip":
            raise WeightsError(f"{path}: the layout {args['cnn_model']} with {args['td']} is not one of the two that are known here.")
        mel = {
            "sample_rate": args["ms_sr"],
            "n_fft": args["ms_n_fft"],
            "hop_s": args["ms_hop_length"],
            "win_s": args["ms_win_length"],
            "n_mels": args["ms_n_mels"],
            "fmax": args["ms_fmax"],
        }
        settings = {
            "layout": layout,
            "outputs": DIMENSIONS if args.get("dim") else DIMENSIONS[:1],
            "channels": (args["cnn_c_out_1"], args["cnn_c_out_2"], args["cnn_c_out_3"]),
            "features": args["cnn_fc_out_h"],
            "width": args["td_sa_d_model"] if layout == "attention" else args["td_lstm_h"],
            "pool_width": args["pool_att_h"] or 128,
            "segment_length": args["ms_seg_length"],
            "segment_hop": args["ms_seg_hop_length"],
            "mel": mel,
        }
    except (KeyError, TypeError, AttributeError, IndexError) as e:
        raise WeightsError(f"{path}: the checkpoint's `args` are not those of a NISQA network ({type(e).__name__}: {e}).") from e
    return _validated(settings, path)


def _validated(settings: dict[str, Any], path: Path) -> NisqaSettings:
    try:
        checked = TypeAdapter(NisqaSettings).validate_python(settings)
    except ValidationError as e:
        first = e.errors()[0]
        raise WeightsError(
            f"{path}: the setting {'.'.join(map(str, first['loc'])) or '`settings`'} is wrong ({first['msg'].lower()})."
        ) from e
    sizes = [*checked.channels, checked.width, checked.pool_width, checked.segment_hop, checked.mel.n_fft, checked.features or 1]
    mel = checked.mel
    sane = 8000 <= (mel.sample_rate or 8000) <= 192_000 and 0.001 <= mel.hop_s <= mel.win_s <= 0.1 and 1000 <= mel.fmax <= 96_000
    named = len(set(checked.outputs)) == len(checked.outputs) > 0 and set(checked.outputs) <= set(DIMENSIONS)
    sane = sane and mel.n_fft >= mel.win_s * (mel.sample_rate or 8000)
    shaped = all(1 <= size <= 8192 for size in sizes) and (mel.n_mels, checked.segment_length) == (48, 15)
    if not (sane and named and shaped):
        raise WeightsError(f"{path}: its settings describe no NISQA network (segments are 48 bands by 15 frames).")
    return checked


def _read_safetensors(path: Path) -> tuple[NisqaSettings, dict[str, torch.Tensor], dict[str, str]]:
    state, card = untrusted.safetensors(path, LARGEST_BYTES)
    try:
        settings = from_json(card["settings"])
    except (KeyError, ValueError) as e:
        raise WeightsError(f"{path}: carries no `settings` in its metadata, so its network is not known.") from e
    return _validated(settings, path), state, card


def save(model: Nisqa, path: Path, card: dict[str, str]) -> None:
    """Write a network to a safetensors file, whole or not at all; `load` reads it.

    Parameters
    ----------
    path : of the file; its folder must exist.
    card : texts by name for the file's metadata. `load` reads "name", "licence", "trained_for" and "best_seconds", which is a pair of
        numbers in JSON. The network's settings are added under "settings".
    """
    from safetensors.torch import save_file

    state = {k: v.detach().cpu().contiguous() for k, v in model.state_dict().items()}
    with atomic(path) as partial:
        save_file(state, partial, metadata={**card, "settings": json.dumps(asdict(model.settings))})
