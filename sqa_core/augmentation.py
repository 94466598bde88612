"""Noisy copies of a corpus, as peft-ser hears its training files: Gaussian noise 10 to 30 dB below the sound's own level, and 10 to 15 % of
it silenced, each always.

The sound changes and not the features, so each copy goes through an encoder as a file of its own.
"""

import hashlib
import json
from pathlib import Path
from typing import Literal

import numpy as np
import pandas as pd
from filelock import FileLock
from jaxtyping import Float

from . import audio, environment
from .corpora import manifest as manifests
from .corpora.manifest import Manifest
from .features import waveform_of
from .models.encoders import RATE

SNR_DB, MASKED = (10.0, 30.0), (0.10, 0.15)
FADE_S = 0.01  # at both ends of a mask
Channel = Literal["mean", "left", "right"]


def noisy_copies(corpus: Manifest, copies: int, channel: Channel = "mean") -> Manifest:
    """A corpus of 1 + `copies` times as many files, kept in the cache: first all as encoders hear them, then all once more with noise of
    their own, and so on; labels as they were."""
    what = json.dumps([corpus.hash, copies, channel, SNR_DB, MASKED, FADE_S])
    folder = environment.cache_folder() / "noisy" / f"{corpus.name}-{hashlib.sha256(what.encode()).hexdigest()[:12]}"
    folder.mkdir(parents=True, exist_ok=True)
    name = f"{corpus.name}-noisy"
    text = tuple(c for c in corpus.table if corpus.table[c].dtype == object or pd.api.types.is_string_dtype(corpus.table[c]))
    with FileLock(folder.with_suffix(".lock")):
        if not (folder / "manifest.csv").is_file():
            parts = [_copy(corpus, number, channel, folder) for number in range(copies + 1)]
            manifests.write(Manifest(name, pd.concat(parts, ignore_index=True), folder, corpus.status), folder / "manifest.csv")
    return manifests.read(folder / "manifest.csv", name, corpus.status, text)


def _copy(corpus: Manifest, number: int, channel: Channel, folder: Path) -> pd.DataFrame:
    rows = []
    for i, path in enumerate(corpus.paths()):
        waveform = waveform_of(path, channel)
        if number:
            waveform = noisy_and_masked(waveform, np.random.default_rng([number, i]))
        file = f"{number}/{i:05d}.wav"
        (folder / file).parent.mkdir(exist_ok=True)
        audio.write_wav(folder / file, waveform[None], RATE)
        rows.append({"file": file, "sha256": environment.sha256(folder / file), "sample_rate": RATE, "seconds": len(waveform) / RATE})
    facts = pd.DataFrame(rows)
    return corpus.table.assign(**{column: facts[column] for column in facts})


def noisy_and_masked(waveform: Float[np.ndarray, " samples"], rng: np.random.Generator) -> Float[np.ndarray, " samples"]:
    """Gaussian noise at a signal-to-noise ratio drawn from SNR_DB, RMS over RMS; then silence over a share of the sound drawn from MASKED,
    with soft edges. A silent sound stays silent."""
    size = float(np.sqrt(np.mean(np.square(waveform, dtype=float)))) * 10 ** (-rng.uniform(*SNR_DB) / 20)
    noisy = waveform + size * rng.standard_normal(len(waveform))
    masked = round(len(noisy) * rng.uniform(*MASKED))
    start = rng.integers(0, len(noisy) - masked + 1)
    edge = min(round(FADE_S * RATE), masked // 2)
    gain = np.zeros(masked)
    gain[:edge], gain[masked - edge :] = np.linspace(1, 0, edge, endpoint=False), np.linspace(0, 1, edge, endpoint=False)
    noisy[start : start + masked] *= gain
    return noisy.astype(np.float32)
