"""Noisy copies of a corpus, as peft-ser hears its training files: Gaussian noise at 10 to 30 dB and a time mask of 10 to 15 %, each always.

The sound changes and not the features, so each copy goes through an encoder as a file of its own.
"""

import hashlib
import json
from typing import Literal

import numpy as np
import pandas as pd
from filelock import FileLock
from jaxtyping import Float

from . import audio, degrade, environment
from .corpora import manifest as manifests
from .corpora.manifest import Manifest
from .features import waveform_of
from .models.encoders import RATE

SNR_DB, MASKED = (10.0, 30.0), (0.10, 0.15)


def noisy_copies(corpus: Manifest, copies: int, channel: Literal["mean", "left", "right"] = "mean", seed: int = 0) -> Manifest:
    """A corpus of 1 + `copies` times as many files, kept in the cache: first all as encoders hear them, then all once more with noise of
    their own, and so on; labels as they were."""
    what = json.dumps([corpus.hash, copies, channel, seed, SNR_DB, MASKED])
    folder = environment.cache_folder() / "noisy" / f"{corpus.name}-{hashlib.sha256(what.encode()).hexdigest()[:12]}"
    folder.mkdir(parents=True, exist_ok=True)
    name = f"{corpus.name}-noisy"
    text = tuple(c for c in corpus.table if corpus.table[c].dtype == object or pd.api.types.is_string_dtype(corpus.table[c]))
    with FileLock(folder.with_suffix(".lock")):
        if not (folder / "manifest.csv").is_file():
            parts = [_copy(corpus, number, channel, seed, folder) for number in range(copies + 1)]
            manifests.write(Manifest(name, pd.concat(parts, ignore_index=True), folder, corpus.status), folder / "manifest.csv")
    return manifests.read(folder / "manifest.csv", name, corpus.status, text)


def _copy(corpus: Manifest, number: int, channel, seed: int, folder) -> pd.DataFrame:
    rows = []
    for i, path in enumerate(corpus.paths()):
        waveform = waveform_of(path, channel)
        if number:
            waveform = noisy_and_masked(waveform, np.random.default_rng([seed, number, i]))
        file = f"{number}/{i:05d}.wav"
        (folder / file).parent.mkdir(exist_ok=True)
        audio.write_wav(folder / file, waveform[None], RATE)
        rows.append({"file": file, "sha256": environment.sha256(folder / file), "sample_rate": RATE, "seconds": len(waveform) / RATE})
    facts = pd.DataFrame(rows)
    return corpus.table.assign(**{column: facts[column] for column in facts})


def noisy_and_masked(waveform: Float[np.ndarray, " samples"], rng: np.random.Generator) -> Float[np.ndarray, " samples"]:
    """Gaussian noise at a signal-to-noise ratio drawn from SNR_DB, then silence over a share of the sound drawn from MASKED."""
    out = degrade.add_noise(waveform, RATE, rng.standard_normal(len(waveform)), rng.uniform(*SNR_DB))
    masked = round(len(out) * rng.uniform(*MASKED))
    start = rng.integers(0, len(out) - masked + 1)
    out[start : start + masked] = 0.0
    return out
