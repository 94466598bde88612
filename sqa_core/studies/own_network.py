"""`polyglot-pesq`, the book's own small NISQA: how it is trained. Synthetic voices, impairments, PESQ as label; no recording of anyone.

`sqa train polyglot-pesq` makes it anew. P.835 takes no part: it is test material.
"""

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch

from .. import environment, spectrogram
from ..corpora import impaired
from ..corpora.impaired import Impaired
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
    mel=MelSettings(sample_rate=impaired.RATE, n_fft=1024, fmax=8000.0),
)
TRAINING = TrainingSettings(epochs=30, batch_size=32, learning_rate=2e-3, schedule="cosine", patience=30, seed=1)
TRAIN_LANGUAGES = ("en", "de", "fr", "zh", "nl", "it", "es", "fa", "ar")
TRAIN_VOICES = ("m1", "m2", "m3", "m4", "m5", "m7", "f1", "f4", "anika", "belinda")
VALID_LANGUAGES, VALID_VOICES = ("sv", "el"), ("m6", "steph")  # neither heard in training
TRAIN_COUNT, VALID_COUNT = 5000, 400


def items(made: list[Impaired]) -> list[Item]:
    """Mel spectrograms and labels, as `training.train` takes them."""
    mels = [spectrogram.mel_db(i.waveform, impaired.RATE, NETWORK.mel).clone() for i in made]
    return [(mel, torch.tensor([i.pesq])) for mel, i in zip(mels, made, strict=True)]


def train_own(
    folder: Path, counts: tuple[int, int] = (TRAIN_COUNT, VALID_COUNT), settings: TrainingSettings = TRAINING,
    on_epoch: Callable[[Epoch], None] = lambda _: None, on_item: Callable[[], None] = lambda: None,
) -> Path:
    """Make the material, train, and write `folder/model.safetensors` and `folder/training.json`; resumes after a kill."""
    valid = impaired.make(counts[1], 2, VALID_LANGUAGES, VALID_VOICES, on_item)
    material = impaired.make(counts[0], 1, TRAIN_LANGUAGES, TRAIN_VOICES, on_item)
    torch.manual_seed(settings.seed)
    model = Nisqa(NETWORK)
    valid_items = items(valid)
    epochs = train(model, items(material), valid_items, settings, folder, on_epoch)
    predicted = predict(model, valid_items)
    labels = np.array([i.pesq for i in valid])
    card = {
        "name": NAME,
        "licence": "MIT",
        "trained_for": "speech up to 8 kHz with noise, MNRU, clipping, band limits, gaps; learnt from synthetic voices and PESQ",
        "best_seconds": "[3, 12]",
    }
    weights.save(model, folder / "model.safetensors", card)
    facts = {
        "utterances": [len(material), len(valid)],
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
