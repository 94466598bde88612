"""Listeners' same/different judgements of pairs of sounds (Manocha et al., Interspeech 2020), `dpam_jnd` below SQA_DATA: tables without audio.

The levels of the two sounds stand in their file names. What a level is depends on the kind: an amplitude for noises, a bit rate for mp3,
three settings for reverberation, of which the first, the reverberance, is taken.
"""

from typing import NamedTuple

import numpy as np
import pandas as pd

from .. import environment
from ..errors import CorpusError
from ..files import sha256

FILE = "dpam_jnd/dataset_linear.txt"
NAME = r"^(?P<level>[\d.]+)(?:_-?[\d.]+)*_(?P<talker>[fm]\d+)_(?P<script>script\d+)_produced_clipped_(?P<start>[\d.]+)\.wav$"


class Judgements(NamedTuple):
    """table : one row per pair with `kind`, `talker`, `script`, `level_db` (20 log10 of the lower level), `gap_db` (between the two levels) and
    `different` (0 or 1). dropped : pairs of one file that were called different, so that the answer is wrong. hash : of the file."""

    table: pd.DataFrame
    dropped: int
    hash: str


def load() -> Judgements:
    """The 9,438 judgements of kind "linear", less those that cannot be right.

    Returns
    -------
    The judgements, how many were left out, and the hash of the file.

    Raises
    ------
    CorpusError
        The table is not on this machine, or a line is not one of it.
    """
    path = environment.find("data", FILE)
    if path is None:
        raise CorpusError(f"The judgements are not on this machine; put {FILE} (PerceptualAudio, CC BY 4.0) below SQA_DATA.")
    rows = pd.read_csv(path, sep="\t", header=None, names=["a", "b", "different", "kind"], dtype=str)
    first, second = (rows[side].str.extract(NAME) for side in "ab")
    odd = first.isna().any(axis=1) | second.isna().any(axis=1) | ~rows["different"].isin(["0", "1"]) | rows["kind"].isna()
    if odd.any():
        number = int(np.flatnonzero(odd)[0]) + 1
        raise CorpusError(f"{path}, line {number}: expected two file names, 0 or 1, and a kind, separated by tabs.")
    levels = 20 * np.log10(np.maximum([first["level"].astype(float), second["level"].astype(float)], 1e-6))
    different = rows["different"].astype(int)
    wrong = (rows["a"] == rows["b"]) & (different == 1)
    table = pd.DataFrame(
        {
            "kind": rows["kind"].str.strip(),
            "talker": first["talker"],
            "script": first["script"],
            "level_db": levels.min(axis=0),
            "gap_db": np.ptp(levels, axis=0),
            "different": different,
        }
    )
    return Judgements(table[~wrong].reset_index(drop=True), int(wrong.sum()), sha256(path))
