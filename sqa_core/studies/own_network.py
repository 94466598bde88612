"""`polyglot-pesq`, the book's own small NISQA: how it is trained. Synthetic voices, impairments, PESQ as label; no recording of anyone.

`sqa train polyglot-pesq` makes it anew. P.835 takes no part: it is test material.
"""

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import load_file, save_file

from .. import environment, spectrogram
from ..corpora import impaired
from ..models import weights
from ..models.nisqa import Nisqa, NisqaSettings
from ..spectrogram import MelSettings
from ..training import Epoch, Item, TrainingSettings, train

NAME = weights.OWN
# PESQ's wide band ends at 8 kHz, so nothing above it can be learnt from its labels.
NETWORK = NisqaSettings(
    outputs=("mos",),
    channels=(8, 16, 32),
    width=32,
    pool_width=64,
    segment_hop=8,  # half the segments of the original: every frame is still heard, most of them twice
    mel=MelSettings(sample_rate=impaired.RATE, n_fft=1024, fmax=8000.0),
)
TRAINING = TrainingSettings(epochs=25, batch_size=16, learning_rate=1.5e-3, schedule="cosine", patience=25, seed=1)
TRAIN_LANGUAGES = ("en", "de", "fr", "zh", "nl", "it", "es", "fa", "ar")
TRAIN_VOICES = ("m1", "m2", "m3", "m4", "m5", "m7", "f1", "f4", "anika", "belinda")
VALID_LANGUAGES, VALID_VOICES = ("sv", "el"), ("m6", "steph")  # neither heard in training
TRAIN_COUNT, VALID_COUNT = 3000, 300


def material(
    count: int, seed: int, languages: tuple[str, ...], voices: tuple[str, ...], path: Path, on_item: Callable[[], None]
) -> list[Item]:
    """Mel spectrograms and labels, as `training.train` takes them; kept at `path`, since PESQ takes longer than an epoch."""
    if not path.is_file():
        made = impaired.make(count, seed, languages, voices, on_item)
        tensors = {f"{i:05d}": spectrogram.mel_db(one.waveform, impaired.RATE, NETWORK.mel).half() for i, one in enumerate(made)}
        partial = path.with_name(path.name + ".part")
        save_file(tensors | {"labels": torch.tensor([one.pesq for one in made])}, partial)
        partial.replace(path)
    tensors = load_file(path)
    labels = tensors.pop("labels")
    return [(tensors[key].float(), label[None]) for key, label in zip(sorted(tensors), labels, strict=True)]


def train_own(
    folder: Path,
    counts: tuple[int, int] = (TRAIN_COUNT, VALID_COUNT),
    settings: TrainingSettings = TRAINING,
    on_epoch: Callable[[Epoch], None] = lambda _: None,
    on_item: Callable[[], None] = lambda: None,
) -> Path:
    """Make the material, train, and write `folder/model.safetensors` and `folder/training.json`; resumes after a kill."""
    folder.mkdir(parents=True, exist_ok=True)
    valid = material(counts[1], 2, VALID_LANGUAGES, VALID_VOICES, folder / "valid.safetensors", on_item)
    train_items = material(counts[0], 1, TRAIN_LANGUAGES, TRAIN_VOICES, folder / "train.safetensors", on_item)
    torch.manual_seed(settings.seed)
    model = Nisqa(NETWORK)
    epochs = train(model, train_items, valid, settings, folder, on_epoch)
    predicted = predict(model, valid)
    labels = np.array([float(label) for _, label in valid])
    card = {
        "name": NAME,
        "licence": "MIT",
        "trained_for": "speech up to 8 kHz with noise, MNRU, clipping, band limits, gaps; learnt from synthetic voices and PESQ",
        "best_seconds": "[3, 12]",
    }
    weights.save(model, folder / "model.safetensors", card)
    facts = {
        "utterances": [len(train_items), len(valid)],
        "epochs": len(epochs),
        "best_epoch": min(epochs, key=lambda e: e.rmse).number,
        "valid_rmse": float(np.sqrt(np.mean((predicted - labels) ** 2))),
        "valid_pcc": float(np.corrcoef(predicted, labels)[0, 1]),
        "versions": environment.versions(),
        "commit": environment.commit(),
    }
    (folder / "training.json").write_text(json.dumps(facts, indent=2) + "\n")
    return folder / "model.safetensors"


@torch.inference_mode()
def predict(model: Nisqa, items: list[Item]) -> np.ndarray:
    """The first output for each item (items,)."""
    s = model.settings
    out = []
    for mel, _ in items:
        cut = spectrogram.segments(mel, s.segment_length, s.segment_hop)
        out.append(float(model(cut[None], torch.tensor([len(cut)]))[0, 0]))
    return np.array(out)
