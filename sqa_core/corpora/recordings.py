"""Recorded noises and measured room responses, for the impairment of speech: folders `noise` and `rooms` below SQA_DATA.

They are optional. Training and tests use different collections of noises, training and validation different files, and measured rooms
are kept for tests.
"""

from functools import lru_cache
from pathlib import Path
from typing import Literal

import numpy as np
import pandas as pd

from .. import audio, environment
from ..errors import CorpusError
from ..files import sha256, short_hash

Use = Literal["train", "valid", "test"]
NOISE_COLLECTIONS: dict[Use, tuple[str, ...]] = {
    "train": ("hu100", "freesound_ibm"),
    "valid": ("hu100", "freesound_ibm"),
    "test": ("esc10", "speech_commands", "noisereduce"),
}
VALID_SHARE = 0.2  # of the files that training and validation share
LEAST_S = 2.0  # of a noise: shorter ones would be repeated so often that they sound like a rhythm


def noises(use: Use) -> tuple[str, ...]:
    """Recorded noises of `LEAST_S` seconds or more for a use.

    Returns
    -------
    Paths such as "noise/esc10/a.flac", as `load` takes them, in alphabetical order; empty if there is no folder of noises.
    """
    folder = environment.find("data", "noise")
    if folder is None:
        return ()
    table = pd.read_csv(folder / "manifest.csv")
    collection = table["file"].str.split("/").str[0]
    chosen = table[collection.isin(NOISE_COLLECTIONS[use]) & (table["seconds"] >= LEAST_S)]
    chosen = of_use(chosen, use, VALID_SHARE)
    return tuple(f"noise/{file}" for file in sorted(chosen["file"]))


def of_use(table: pd.DataFrame, use: Use, valid_share: float) -> pd.DataFrame:
    """The files of a table that are for a use: training and validation divide them by their hashes, tests take all.

    Parameters
    ----------
    table : with the column `sha256`.
    valid_share : probability in [0, 1] that a file is for validation.

    Returns
    -------
    The rows for this use, with the table's index.
    """
    if use == "test":
        return table
    return table[table["sha256"].map(lambda digest: for_validation(digest, valid_share)) == (use == "valid")]


def for_validation(digest: str, share: float) -> bool:
    """Whether a file with this SHA-256 is one of the `share` that are validated on."""
    return int(digest[:8], 16) / 16**8 < share


def rooms(use: Use) -> tuple[str, ...]:
    """Paths of measured room responses; none for training."""
    folder = environment.find("data", "rooms")
    return tuple(f"rooms/{p.name}" for p in sorted(folder.glob("*.flac"))) if folder and use == "test" else ()


@lru_cache(maxsize=256)
def load(name: str, rate: int) -> np.ndarray:
    """A recorded noise or room response, channels mixed.

    Parameters
    ----------
    name : as `noises` and `rooms` list them.
    rate : Hz, to which it is resampled.

    Returns
    -------
    (samples,), full scale 1.

    Raises
    ------
    CorpusError
        It is not on this machine.
    """
    path = environment.find("data", name)
    if path is None:
        raise CorpusError(f"The recording {name} is not on this machine; set SQA_DATA to the folder that has it.")
    sound = audio.mixed(audio.load(path), "mean")
    return audio.resample(sound.waveform, sound.sample_rate, rate)[0]


def hash_of(use: Use) -> str:
    """Hash of all recorded noises and rooms for a use, names and content.

    Returns
    -------
    12 hexadecimal digits; the hash of an empty list if there are no recordings.
    """
    paths = [(name, environment.find("data", name)) for name in (*noises(use), *rooms(use))]
    return short_hash(repr([(name, _digest(path, path.stat().st_mtime_ns)) for name, path in paths if path]))


@lru_cache(maxsize=1024)
def _digest(path: Path, _mtime_ns: int) -> str:
    return sha256(path)
