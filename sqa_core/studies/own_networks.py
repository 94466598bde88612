"""The book's own networks: their layouts, what they learn from, how they are trained. `sqa train NAME` makes one anew.

All learn PESQ from the controlled material. `polyglot-pesq` hears synthetic voices alone, so it rests on nobody's recordings; the
others hear real prompts besides. P.835 takes no part: it is test material.
"""

import json
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import load_file, save_file

from .. import environment, spectrogram
from ..corpora import impaired, registry
from ..errors import SettingsError
from ..models import weights
from ..models.nisqa import Nisqa, NisqaSettings
from ..records import Record
from ..spectrogram import MelSettings
from ..training import Epoch, Item, TrainingSettings, train
from .common import with_interval

TRAIN_LANGUAGES = ("en", "de", "fr", "zh", "nl", "it", "es", "fa", "ar")
TRAIN_VOICES = ("m1", "m2", "m3", "m4", "m5", "m7", "f1", "f4", "anika", "belinda")
VALID_LANGUAGES, VALID_VOICES = ("sv", "el"), ("m6", "steph")  # neither heard in training
TRAIN_PROMPTS, VALID_PROMPTS = ("en", "es", "fr", "it"), ("ru",)  # three talkers (one speaks two languages), and a fourth
# PESQ's wide band ends at 8 kHz, so nothing above it can be learnt from its labels.
ATTENTION = NisqaSettings(
    outputs=("mos",),
    channels=(8, 16, 32),
    width=32,
    pool_width=64,
    segment_hop=8,  # half the segments of the original: every frame is still heard, most of them twice
    mel=MelSettings(sample_rate=impaired.RATE, n_fft=1024, fmax=8000.0),
)
# The layout of the network that the paper explains, smaller: standard CNN with 20 outputs, BiLSTM, last steps.
LSTM = replace(ATTENTION, layout="lstm", features=20, width=64)


@dataclass(frozen=True)
class Recipe:
    """One network: its layout, and the parts of the material that it learns from and is chosen by, with counts of utterances."""

    settings: NisqaSettings
    learns: dict[str, int]
    chosen_by: dict[str, int]
    title: str
    epochs: int = 7  # the validation RMSE falls little after, and a network takes ten minutes on two cores


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
TRAINED_FOR = "speech up to 8 kHz with noise, MNRU, clipping, band limits, gaps; learnt from PESQ"


def training_settings(recipe: Recipe) -> TrainingSettings:
    return TrainingSettings(epochs=recipe.epochs, batch_size=16, learning_rate=1.5e-3, schedule="cosine", patience=recipe.epochs, seed=1)


def material(parts: dict[str, int], on_item: Callable[[], None] = lambda: None, share: float = 1.0) -> list[Item]:
    """Mel spectrograms and labels of the first utterances of each part, as `training.train` takes them; `share` takes fewer."""
    return [item for part, count in parts.items() for item in _part(part, count, on_item)[: round(share * count)]]


def _part(part: str, count: int, on_item: Callable[[], None]) -> list[Item]:
    """Kept in the cache, since PESQ takes longer than an epoch. All networks share the parts, since all have one front end."""
    path = environment.cache_folder() / "material" / f"{part}-{count}.safetensors"
    if not path.is_file():
        made = _make(part, count, on_item)
        tensors = {f"{i:05d}": spectrogram.mel_db(one.waveform, impaired.RATE, ATTENTION.mel).half() for i, one in enumerate(made)}
        path.parent.mkdir(parents=True, exist_ok=True)
        partial = path.with_name(path.name + ".part")
        save_file(tensors | {"labels": torch.tensor([one.pesq for one in made])}, partial)
        partial.replace(path)
    tensors = load_file(path)
    labels = tensors.pop("labels")
    return [(tensors[key].float(), label[None]) for key, label in zip(sorted(tensors), labels, strict=True)]


def _make(part: str, count: int, on_item: Callable[[], None]) -> list[impaired.Impaired]:
    match part:
        case "polyglot-train":
            return impaired.make(count, 1, TRAIN_LANGUAGES, TRAIN_VOICES, on_item)
        case "polyglot-valid":
            return impaired.make(count, 2, VALID_LANGUAGES, VALID_VOICES, on_item)
        case "prompts-train":
            return impaired.make_prompts(count, 3, registry.load("asterisk").where(language=TRAIN_PROMPTS), on_item)
        case "prompts-valid":
            return impaired.make_prompts(count, 4, registry.load("asterisk").where(language=VALID_PROMPTS), on_item)
    raise SettingsError(f"There is no part {part!r} of the material.")


def train_own(
    name: str,
    folder: Path,
    recipe: Recipe | None = None,
    on_epoch: Callable[[Epoch], None] = lambda _: None,
    on_item: Callable[[], None] = lambda: None,
) -> Path:
    """Make the material, train, and write `folder/NAME/model.safetensors` and `training.json`; resumes after a kill.

    recipe : another than `RECIPES[name]`, for trying things out.
    """
    if recipe is None:
        if name not in RECIPES:
            raise SettingsError(f"There is no recipe for {name!r}; there are {', '.join(RECIPES)}.")
        recipe = RECIPES[name]
    valid, learnt = material(recipe.chosen_by, on_item), material(recipe.learns, on_item)
    settings = training_settings(recipe)
    torch.manual_seed(settings.seed)
    model = Nisqa(recipe.settings)
    out = folder / name
    epochs = train(model, learnt, valid, settings, out, on_epoch)
    predicted = predict(model, valid)
    labels = np.array([float(label) for _, label in valid])
    weights.save(
        model,
        out / "model.safetensors",
        {"name": name, "licence": "MIT", "trained_for": f"{TRAINED_FOR}; {recipe.title}", "best_seconds": "[3, 12]"},
    )
    facts = {
        "utterances": [len(learnt), len(valid)],
        "epochs": len(epochs),
        "best_epoch": min(epochs, key=lambda e: e.rmse).number,
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
    """The model card, made from the training's facts and the records of the published run, so that it says what they say."""
    recipe, folder = RECIPES[name], environment.resource("networks", name)
    facts = json.loads((folder / "training.json").read_text())
    network = weights.load(name)
    heard = [r for r in found if r.trial["kind"] == "listeners" and r.trial["network"] == name and not r.trial["resample"]]
    sets = {"fullband": "full band", "wideband": "wide band"}
    rows = {
        r.trial["set"]: f"| P.835, {sets[r.trial['set']]} | {with_interval(r.metrics['mos_pcc_file'])} |"
        f" {with_interval(r.metrics['mos_pcc_condition'])} | {r.metrics['mos_rmse_file']:.2f} |"
        for r in heard
    }
    s = recipe.settings
    layers = (
        f"standard CNN {s.channels} with {s.features} outputs{', a ReLU on them' if s.features_relu else ''}, BiLSTM of width {s.width}, last steps"
        if s.layout == "lstm"
        else f"adaptive CNN {s.channels}, self-attention of width {s.width}, attention pooling"
    )
    learnt = " and ".join(f"{count} of {part}" for part, count in recipe.learns.items())
    chosen = " and ".join(f"{count} of {part}" for part, count in recipe.chosen_by.items())
    real = "prompts-train" in recipe.learns
    use = (
        "**For** the chapter on explanations, and for scores of speech up to 8 kHz. **Not for** judging codecs, rooms, or sound above 8 kHz."
        if real
        else "**For** demonstrations without a download, and for comparing versions of one recording. **Not for** reading the level of a\n"
        "score on a human voice: it has heard synthetic voices alone."
    )
    return f"""# {name}

A small NISQA: {layers}; one output, MOS. {sum(p.numel() for p in network.model.parameters()):,} parameters;
weights' hash {network.weights_hash}. It hears 16 kHz, 48 mel bands up to 8 kHz. MIT licence.

{use}

**Learnt from** utterances of the controlled material with noise, MNRU, clipping, band limits and gaps drawn at random
(`sqa_core/corpora/impaired.py`), labelled by PESQ wide band: {learnt}.
Chosen: epoch {facts["best_epoch"] + 1} of {facts["epochs"]}, by the RMSE on {chosen}: other voices, other languages.
polyglot is eSpeak NG; prompts are Asterisk's (CC BY-SA 3.0, Italian and Russian CC BY 3.0): three talkers to learn from, a fourth to
choose by.
`sqa train {name}` makes it anew.

**Against its teacher**, on that validation set: PCC {facts["valid_pcc"]:.3f}, RMSE {facts["valid_rmse"]:.3f}.

**Against listeners**, on real voices, which took no part in training or choosing (correlation with the overall score, 95 % intervals
over talkers and conditions):

| set | by file | by condition | RMSE by file |
|---|---|---|---|
{chr(10).join(rows[w] for w in sets if w in rows) or "| not measured yet | | | |"}
"""
