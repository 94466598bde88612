"""The book's own networks: layouts, training material, training. `sqa train NAME` trains one again.

All predict PESQ and are trained on the controlled material. `polyglot-pesq` uses synthetic voices only, so it depends on no recordings;
the others use real prompts too. P.835 is test material and takes no part.
"""

import json
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import load_file, save_file

from .. import environment, spectrogram
from ..corpora import pesq_material, registry
from ..errors import SettingsError
from ..files import atomic, short_hash
from ..metrics import Interval
from ..models import weights
from ..models.nisqa import Nisqa, NisqaSettings
from ..results.code import code_hash, library_version
from ..results.records import Record
from ..spectrogram import MelSettings
from . import calls_networks
from .nisqa import Epoch, Item, TrainingSettings, train

TRAIN_LANGUAGES = ("en", "de", "fr", "zh", "nl", "it", "es", "fa", "ar")
TRAIN_VOICES = ("m1", "m2", "m3", "m4", "m5", "m7", "f1", "f4", "anika", "belinda")
VALID_LANGUAGES, VALID_VOICES = ("sv", "el"), ("m6", "steph")  # neither in the training material
TRAIN_PROMPTS, VALID_PROMPTS = ("en", "es", "fr", "it"), ("ru",)  # three talkers (one speaks two languages), and a fourth
# Wideband PESQ ends at 8 kHz, so its labels carry nothing about higher frequencies.
ATTENTION = NisqaSettings(
    outputs=("mos",),
    channels=(8, 16, 32),
    width=32,
    pool_width=64,
    segment_hop=8,  # half the segments of the original: every frame is still covered, most of them twice
    mel=MelSettings(sample_rate=pesq_material.RATE, n_fft=1024, fmax=8000.0),
)
# The layout of the network that the paper explains, smaller: standard CNN with 20 outputs, BiLSTM, last steps.
LSTM = replace(ATTENTION, layout="lstm", features=20, width=64)


@dataclass(frozen=True)
class Recipe:
    """One network: its layout, and the parts of the material for training and validation, with counts of utterances."""

    settings: NisqaSettings
    trained_on: dict[str, int]
    validated_on: dict[str, int]
    title: str
    epochs: int = 7  # the validation RMSE falls little afterwards; a network takes ten minutes on two cores


_SYNTHETIC = {"polyglot-train": 2000}, {"polyglot-valid": 150}
_BOTH = {"polyglot-train": 2000, "prompts-train": 1500}, {"polyglot-valid": 150, "prompts-valid": 150}
RECIPES = {
    "polyglot-pesq": Recipe(ATTENTION, *_SYNTHETIC, title="self-attention, synthetic voices alone", epochs=12),
    "prompts-pesq": Recipe(ATTENTION, *_BOTH, title="self-attention, synthetic voices and real prompts"),
    "prompts-pesq-20": Recipe(LSTM, *_BOTH, title="20 outputs and BiLSTM, synthetic voices and real prompts"),
    "prompts-pesq-20-relu": Recipe(
        replace(LSTM, features_relu=True), *_BOTH, title="the same with a ReLU on the 20 outputs, as in NISQA's code of 2020"
    ),
}
TRAINED_FOR = "speech up to 8 kHz with noise, MNRU, clipping, band limits, gaps; trained on PESQ"


def training_settings(recipe: Recipe) -> TrainingSettings:
    """Settings that a recipe is trained with: a cosine schedule over all its epochs, without early stopping.

    Returns
    -------
    Settings for `nisqa.train`.
    """
    return TrainingSettings(epochs=recipe.epochs, batch_size=16, learning_rate=1.5e-3, schedule="cosine", patience=recipe.epochs, seed=1)


def material(parts: dict[str, int], on_item: Callable[[], None] = lambda: None, share: float = 1.0) -> list[Item]:
    """Mel spectrograms and labels of the first utterances of each part, as `nisqa.train` takes them.

    Parts are kept in the cache. Utterances for which PESQ has no value are left out.

    Parameters
    ----------
    parts : Number of utterances of each part: "polyglot-train", "polyglot-valid", "prompts-train", "prompts-valid".
    on_item : Called for each utterance that is made; not for those in the cache.
    share : Share of each part that is returned, in [0, 1]; the whole part is made all the same.

    Returns
    -------
    For each utterance its mel spectrogram (frames, 48) in dB up to 8 kHz, and (1,) its PESQ MOS-LQO.

    Raises
    ------
    SettingsError
        There is no such part, or the package pesq is not installed.
    CorpusError
        The prompts are not on this machine.
    """
    return [item for part, count in parts.items() for item in _part(part, count, on_item)[: round(share * count)]]


def _part(part: str, count: int, on_item: Callable[[], None]) -> list[Item]:
    """Made once and kept in the cache under a hash of the code and recordings that make it, since PESQ takes longer than an epoch. All
    networks share the parts, since all have one front end."""
    version = library_version(frozenset({pesq_material.__name__, spectrogram.__name__})) + code_hash([Path(__file__)])
    source = registry.load("asterisk").hash if part.startswith("prompts") else ""
    path = environment.cache_folder() / "material" / f"{part}-{count}-{short_hash(version + source)}.safetensors"
    if not path.is_file():
        made = _make(part, count, on_item)
        tensors = {f"{i:05d}": spectrogram.mel_db(one.waveform, pesq_material.RATE, ATTENTION.mel).half() for i, one in enumerate(made)}
        path.parent.mkdir(parents=True, exist_ok=True)
        with atomic(path) as partial:
            save_file(tensors | {"labels": torch.tensor([one.pesq for one in made])}, partial)
    tensors = load_file(path)
    labels = tensors.pop("labels")
    return [(tensors[key].float(), label[None]) for key, label in zip(sorted(tensors), labels, strict=True)]


def _make(part: str, count: int, on_item: Callable[[], None]) -> list[pesq_material.Impaired]:
    match part:
        case "polyglot-train":
            return pesq_material.make(count, 1, TRAIN_LANGUAGES, TRAIN_VOICES, on_item)
        case "polyglot-valid":
            return pesq_material.make(count, 2, VALID_LANGUAGES, VALID_VOICES, on_item)
        case "prompts-train":
            return pesq_material.make_prompts(count, 3, registry.load("asterisk").where(language=TRAIN_PROMPTS), on_item)
        case "prompts-valid":
            return pesq_material.make_prompts(count, 4, registry.load("asterisk").where(language=VALID_PROMPTS), on_item)
    raise SettingsError(f"There is no part {part!r} of the material.")


def train_own(
    name: str,
    folder: Path,
    recipe: Recipe | None = None,
    on_epoch: Callable[[Epoch], None] = lambda _: None,
    on_item: Callable[[], None] = lambda: None,
) -> Path:
    """Make the material, train, and write `folder/NAME/model.safetensors` and `training.json`; resumes after a kill.

    Parameters
    ----------
    name : of the network.
    folder : its own folder is made below it.
    recipe : another than `RECIPES[name]`, for trying things out.
    on_epoch : called when an epoch is done and saved.
    on_item : called for each utterance that is made.

    Returns
    -------
    The file of weights.

    Raises
    ------
    SettingsError
        No recipe of this name.
    """
    if recipe is None:
        if name not in RECIPES:
            raise SettingsError(f"There is no recipe for {name!r}; there are {', '.join([*RECIPES, *calls_networks.RECIPES])}.")
        recipe = RECIPES[name]
    valid_items, train_items = material(recipe.validated_on, on_item), material(recipe.trained_on, on_item)
    settings = training_settings(recipe)
    torch.manual_seed(settings.seed)
    model = Nisqa(recipe.settings)
    out = folder / name
    epochs = train(model, train_items, valid_items, settings, out, on_epoch)
    predicted = predict(model, valid_items)
    labels = np.array([float(label) for _, label in valid_items])
    weights.save(
        model,
        out / "model.safetensors",
        {"name": name, "licence": "MIT", "trained_for": f"{TRAINED_FOR}; {recipe.title}", "best_seconds": "[3, 12]"},
    )
    facts = {
        "utterances": [len(train_items), len(valid_items)],
        "epochs": len(epochs),
        "best_epoch": max(epochs, key=lambda e: e.score).number,
        "valid_rmse": float(np.sqrt(np.mean((predicted - labels) ** 2))),
        "valid_pcc": float(np.corrcoef(predicted, labels)[0, 1]),
        "versions": environment.versions(),
        "commit": environment.commit(),
    }
    (out / "training.json").write_text(json.dumps(facts, indent=2) + "\n")
    return out / "model.safetensors"


@torch.inference_mode()
def predict(model: Nisqa, items: list[Item]) -> np.ndarray:
    """The first output for each item (items,)."""
    s = model.settings
    out = []
    for mel, _ in items:
        cut = spectrogram.segments(mel, s.segment_length, s.segment_hop)
        out.append(float(model(cut[None], torch.tensor([len(cut)]))[0, 0]))
    return np.array(out)


def card(name: str, found: list[Record]) -> str:
    """The model card in Markdown, from the training's facts and the records of the published run."""
    from jinja2 import Environment, StrictUndefined

    recipe, folder = RECIPES[name], environment.resource("networks", name)
    facts = json.loads((folder / "training.json").read_text())
    network, s = weights.load(name), recipe.settings
    if s.layout == "lstm":
        relu = ", a ReLU on them" if s.features_relu else ""
        layers = f"standard CNN {s.channels} with {s.features} outputs{relu}, BiLSTM of width {s.width}, last steps"
    else:
        layers = f"adaptive CNN {s.channels}, self-attention of width {s.width}, attention pooling"
    template = Path(__file__).with_name("model_card.md.jinja").read_text(encoding="utf-8")
    return Environment(undefined=StrictUndefined, keep_trailing_newline=True, autoescape=False).from_string(template).render(
        name=name,
        layers=layers,
        parameters=f"{sum(p.numel() for p in network.model.parameters()):,}",
        weights_hash=network.weights_hash,
        real="prompts-train" in recipe.trained_on,
        train=_counted(recipe.trained_on),
        valid=_counted(recipe.validated_on),
        best=facts["best_epoch"] + 1,
        epochs=facts["epochs"],
        pcc=f"{facts['valid_pcc']:.3f}",
        rmse=f"{facts['valid_rmse']:.3f}",
        rows=_agreement(name, found),
    )  # fmt: skip


def _counted(parts: dict[str, int]) -> str:
    return " and ".join(f"{count} of {part}" for part, count in parts.items())


def _agreement(name: str, found: list[Record]) -> list[dict[str, str]]:
    """Agreement with the P.835 listeners, one row per set."""
    own = {r.trial["set"]: r for r in found if r.trial["kind"] == "listeners" and r.trial["network"] == name and not r.trial["resample"]}
    return [
        {
            "set": title,
            "by_file": Interval(*own[key].metrics["mos_pcc_file"]).text(),
            "by_condition": Interval(*own[key].metrics["mos_pcc_condition"]).text(),
            "rmse": f"{own[key].metrics['mos_rmse_file']:.2f}",
        }
        for key, title in (("fullband", "full band"), ("wideband", "wide band"))
        if key in own
    ]
