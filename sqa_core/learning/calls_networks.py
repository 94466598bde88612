"""The networks that are trained on calls (`corpora.calls`): what they are trained on and how, and their weights as files.

`calls-nisqa` has NISQA's layout with five outputs and is what `sqa score` uses where the official weights are not. It is trained on more
than the networks of the chapter on language barriers, which are to be compared with one another: on voices of many pitches and through
stronger impairments. `calls-ast-small` is that chapter's AST, at a size that two cores train.
"""

import json
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from .. import environment
from ..corpora import calls, impairments, registry
from ..errors import SettingsError
from ..files import atomic
from ..models import quality_transformer, weights
from ..models.nisqa import Nisqa
from . import quality, quality_material
from .loop import Epoch
from .quality import NetworkName, QualityNetwork, QualitySettings
from .quality_material import Part

TRAIN_VOICES = ("m1", "m3", "m5", "f1", "anika", "belinda")
VALID_VOICES = ("m7", "steph")
TRAIN = (Part("polyglot", "en", 500, 1, TRAIN_VOICES, "train", True), Part("asterisk", "en", 1000, 2, None, "train", True))
VALID = (Part("polyglot", "en", 60, 3, VALID_VOICES, "valid", True), Part("asterisk", "en", 120, 4, None, "valid", True))
WIDE_TRAIN = (
    *(Part("polyglot", "en", 500, seed, TRAIN_VOICES, "train", extended=True, varied=True) for seed in (11, 12)),
    *(Part("asterisk", "en", 1000, seed, None, "train", extended=True, varied=True) for seed in (13, 14)),
)
WIDE_VALID = (
    Part("polyglot", "en", 60, 15, VALID_VOICES, "valid", extended=True, varied=True),
    Part("asterisk", "en", 120, 16, None, "valid", extended=True, varied=True),
)
# The paper's rate for AST, 1e-6, is for fine-tuning pretrained weights; from random ones it moves nothing. 3e-4 is a usual rate for
# transformers of this size, and was not tuned.
SETTINGS: dict[NetworkName, QualitySettings] = {
    "nisqa": QualitySettings("nisqa", epochs=10, every=2),
    "ast-small": QualitySettings("ast-small", learning_rate=3e-4, epochs=7),
}
TRAINED_FOR = "calls up to 24 kHz with noise, other talkers, rooms, echo, codecs, packet loss, gaps, clipping, band limits; trained on PESQ of English"


@dataclass(frozen=True)
class Recipe:
    """How a network is trained, and on what."""

    settings: QualitySettings
    train: tuple[Part, ...]
    valid: tuple[Part, ...]


RECIPES = {
    weights.DEFAULT: Recipe(replace(SETTINGS["nisqa"], epochs=8), WIDE_TRAIN, WIDE_VALID),  # twice the calls: half an hour on one core
    "calls-ast-small": Recipe(SETTINGS["ast-small"], TRAIN, VALID),
}


def train(
    name: str,
    folder: Path,
    on_epoch: Callable[[Epoch], None] = lambda _: None,
    on_item: Callable[[], None] = lambda: None,
    seed: int = 0,
) -> Path:
    """Make the material, train, and write the weights and `training.json` below `folder/NAME`; resumes after a kill.

    Parameters
    ----------
    name : of the network, one of `RECIPES`.
    folder : its own folder is made below it.
    on_epoch : called when an epoch is done and saved.
    on_item : called for each call that is made.
    seed : of the training.

    Returns
    -------
    The file of weights.

    Raises
    ------
    SettingsError
        There is no such network.
    CorpusError
        The English prompts are not on this machine.
    """
    if name not in RECIPES:
        raise SettingsError(f"There is no network {name!r} that is trained on calls; there are {', '.join(RECIPES)}.")
    recipe = RECIPES[name]
    for source in {part.source for part in (*recipe.train, *recipe.valid)}:  # before minutes of work
        if not registry.known(source).generated:
            registry.load(source)
    train_material, valid_material = (quality_material.joined(parts, on_item) for parts in (recipe.train, recipe.valid))
    model, epochs = quality.learn(train_material, valid_material, recipe.settings, seed, folder / name, on_epoch)
    found = facts(model, epochs, train_material, valid_material)
    if isinstance(model, Nisqa):  # all calls have one rate, and a spectrogram's level depends on it, so other recordings are resampled
        model.settings = replace(model.settings, mel=replace(model.settings.mel, sample_rate=impairments.RATE))
    found |= {"material": quality_material.parts_hash((*recipe.train, *recipe.valid)), "seed": seed}
    return save(model, name, folder / name, found)


def facts(
    model: QualityNetwork,
    epochs: list[Epoch],
    train_material: quality_material.Material,
    valid_material: quality_material.Material,
) -> dict[str, Any]:
    """How a network was trained, and its agreement with the labels of the validation calls, output by output."""
    predicted = quality.predict(model, valid_material.mels[quality.front_end_of(model)])
    labels = valid_material.labels.numpy()
    known = [np.isfinite(labels[:, i]) for i in range(labels.shape[1])]
    agreement = {
        output: [
            float(np.corrcoef(predicted[k, i], labels[k, i])[0, 1]),
            float(np.sqrt(np.mean((predicted[k, i] - labels[k, i]) ** 2))),
        ]
        for i, (output, k) in enumerate(zip(impairments.DIMENSIONS, known, strict=True))
    }
    return {
        "calls": [len(train_material.labels), len(valid_material.labels)],
        "epochs": len(epochs),
        "best_epoch": max(epochs, key=lambda e: e.score).number,
        "valid_pcc_rmse": agreement,
        "versions": environment.versions(),
        "commit": environment.commit(),
    }


def save(model: QualityNetwork, name: str, folder: Path, found: dict[str, Any]) -> Path:
    """The weights and `training.json` in a folder; the path of the weights."""
    card = {"name": name, "licence": "MIT", "trained_for": TRAINED_FOR, "best_seconds": "[3, 12]"}
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / ("model.safetensors" if isinstance(model, Nisqa) else quality_transformer.FILE)
    if isinstance(model, Nisqa):
        weights.save(model, path, card)
    else:
        quality_transformer.save(model, path, card)
    with atomic(folder / "training.json") as partial:
        partial.write_text(json.dumps(found, indent=2) + "\n")
    return path


def load_transformer(name: str) -> quality_transformer.QualityTransformer:
    """One of our networks with AST's layout.

    Parameters
    ----------
    name : Of its folder below `networks`, such as "calls-ast-small".

    Returns
    -------
    The network, in evaluation mode.

    Raises
    ------
    WeightsError
        Not found, damaged, of another network, or holding values that are not numbers.
    """
    return quality_transformer.load(environment.resource("networks", name, quality_transformer.FILE))


def card(name: str, listeners: list[dict[str, Any]]) -> str:
    """The model card in Markdown. listeners : rows of agreement with P.835's listeners: set, output, network, pcc, by_condition, rmse."""
    from jinja2 import Environment, StrictUndefined

    found = json.loads((environment.resource("networks", name) / "training.json").read_text())
    recipe = RECIPES[name]
    settings, varied = recipe.settings, any(part.varied for part in recipe.train)
    template = Path(__file__).with_name("calls_card.md.jinja").read_text(encoding="utf-8")
    return Environment(undefined=StrictUndefined, keep_trailing_newline=True, autoescape=False).from_string(template).render(
        name=name,
        kind="NISQA v2 with five outputs" if settings.network == "nisqa" else "AST with five outputs, four blocks of width 128",
        nisqa=settings.network == "nisqa",
        rate=settings.learning_rate,
        varied=f"{min(calls.SPEEDS)} to {max(calls.SPEEDS)}" if varied else "",
        rate_hz=f"{impairments.RATE:,}",
        calls=found["calls"],
        best=found["best_epoch"] + 1,
        epochs=found["epochs"],
        agreement={output: (f"{pcc:.2f}", f"{rmse:.2f}") for output, (pcc, rmse) in found["valid_pcc_rmse"].items()},
        listeners=listeners,
    )  # fmt: skip
