"""Noisy copies of a corpus, as peft-ser augments its training files (`degrade.noise_and_mask`).

The sound changes and not the features, so each copy goes through an encoder as a file of its own.
"""

import json
from pathlib import Path

import numpy as np
import pandas as pd
from filelock import FileLock

from .. import audio, degrade, environment
from ..audio import ChannelName
from ..files import sha256, short_hash
from . import manifest as manifests
from .manifest import Manifest

RATE = 16_000  # Hz, of the encoders


def noisy_copies(corpus: Manifest, copies: int, channel: ChannelName = "mean") -> Manifest:
    """A corpus with noisy copies of all its files (`degrade.noise_and_mask`), kept in the cache. Each copy has noise of its own.

    Parameters
    ----------
    copies : noisy copies of each file.
    channel : taken of files with several channels.

    Returns
    -------
    A manifest with 1 + `copies` rows per file: all files without noise, then the first copies of all, and so on. They are WAV files with
    one channel at 16 kHz, as the encoders take them. Labels stay as they are.

    Raises
    ------
    AudioError
        A file cannot be read.
    """
    what = json.dumps([corpus.hash, copies, channel, degrade.TRAINING_SNR_DB, degrade.MASKED_SHARE, degrade.MASK_FADE_S])
    folder = environment.cache_folder() / "noisy" / f"{corpus.name}-{short_hash(what)}"
    folder.mkdir(parents=True, exist_ok=True)
    name = f"{corpus.name}-noisy"
    text = tuple(c for c in corpus.table if corpus.table[c].dtype == object or pd.api.types.is_string_dtype(corpus.table[c]))
    with FileLock(folder.with_suffix(".lock")):
        if not (folder / "manifest.csv").is_file():
            parts = [_copy(corpus, number, channel, folder) for number in range(copies + 1)]
            manifests.write(Manifest(name, pd.concat(parts, ignore_index=True), folder, corpus.status), folder / "manifest.csv")
    return manifests.read(folder / "manifest.csv", name, corpus.status, text)


def _copy(corpus: Manifest, number: int, channel: ChannelName, folder: Path) -> pd.DataFrame:
    rows = []
    for i, path in enumerate(corpus.paths()):
        waveform = audio.load_mono(path, RATE, channel)
        if number:
            waveform = degrade.noise_and_mask(waveform, RATE, np.random.default_rng([number, i]))
        file = f"{number}/{i:05d}.wav"
        (folder / file).parent.mkdir(exist_ok=True)
        audio.write_wav(folder / file, waveform[None], RATE)
        rows.append({"file": file, "sha256": sha256(folder / file), "sample_rate": RATE, "seconds": len(waveform) / RATE})
    facts = pd.DataFrame(rows)
    return corpus.table.assign(**{column: facts[column] for column in facts})
