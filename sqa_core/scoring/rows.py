"""Scores of sounds: many files at once, failed files kept as rows with an error, long files in bounded memory."""

import os
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from .. import audio, levels
from ..models import weights
from ..models.nisqa import DIMENSIONS
from ..models.weights import Network
from ..threads import in_threads
from . import sounds
from .network import GROUP, folded, score_mels
from .sounds import Failure, Options

FILES = 12  # in a group: enough to fill chunks, few enough for the rows to come steadily
SHORT_FILES, SHORT_BYTES = 48, 1 << 20  # groups of short files grow to so many files, or until they hold so many bytes, to fill chunks
BURST_S = 2.0  # how long threads compute before the rows so far are handed out
COLUMNS = ["file", *DIMENSIONS, "model", "weights_hash", "note", "error"]


def score(sources: Any, network: Network | None = None, **options: Any) -> pd.DataFrame:
    """Predicted quality of one sound or of a list of sounds.

    Parameters
    ----------
    sources : whatever `audio.load` takes, or several of them
        Paths, file objects, arrays, tensors, (rate, array) pairs; several in a list, tuple, Series, array of paths or generator.
        Arrays have the shape (samples,) or (channels, samples), and need `sample_rate`.
    network : Network, optional
        As `weights.load` gives it; the best that is found on this machine if not given.
    options : see `Options`.

    Returns
    -------
    DataFrame
        One row per sound, in order, with the columns of `COLUMNS`: `file`; `mos`, `noi`, `dis`, `col` and `loud` from about 1 (bad) to 5
        (excellent), NaN where the network has no such output; `model`, `weights_hash`; `note`, what was repaired, guessed or mixed on
        the way; and `error`, a sentence where a sound could not be scored.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> noise = 0.1 * rng.standard_normal(32_000).astype(np.float32)
    >>> table = score(noise, weights.load("prompts-pesq"), sample_rate=16_000)
    >>> table[["file", "model", "error"]].to_dict("records")
    [{'file': 'array', 'model': 'prompts-pesq', 'error': None}]
    >>> bool(1 < table["mos"][0] < 2)
    True
    """
    return as_table(score_stream(audio.several(sources), network, **options))


def as_table(rows: Iterable[dict[str, Any]]) -> pd.DataFrame:
    """Rows of `score_stream` as one table, the columns of `COLUMNS` first."""
    table = pd.DataFrame(list(rows))
    extra = [c for c in table if c not in COLUMNS]
    return table.reindex(columns=[*COLUMNS, *extra])


def columns(options: Options) -> list[str]:
    """The columns of a table that is scored with these options."""
    times = ["start_s", "end_s"] if options.windows else []
    report = [*levels.REPORT_COLUMNS, "codec", "advice"] if options.report else []
    return [*COLUMNS, *times, *report]


def score_stream(sources: Iterable[Any], network: Network | None = None, **options: Any) -> Iterator[dict[str, Any]]:
    """Rows in the order of `sources`, as they are computed; parameters as in `score`.

    Files go in groups to as many threads as torch has, each thread computing alone: on a CPU that is a quarter faster than all
    threads at one operation, since none waits for the others. A single group, or a GPU, is served by this thread. torch's thread
    count is changed only while this function computes, never between rows.

    Returns
    -------
    A row for each source or, with windows, for each window: see `score`.

    Raises
    ------
    SettingsError
        An option that does not fit; raised at the first row.
    """
    chosen = Options(**options)
    network = folded(network or weights.load())
    sounds.check(network, chosen)
    groups = _groups(sources)

    def rows_of(group: list[Any]) -> list[dict[str, Any]]:
        return _score_group(network, group, chosen)

    first = list(islice(groups, 2))
    if len(first) < 2 or torch.get_num_threads() == 1 or network.device != "cpu":
        for group in first:
            yield from rows_of(group)
        for group in groups:
            yield from rows_of(group)
        return
    audio.import_torchaudio()  # here, since an import by several threads at once can meet a half-made module
    waiting = deque(first)
    while burst := _burst(rows_of, waiting, groups):
        yield from burst


def _groups(sources: Iterable[Any]) -> Iterator[list[Any]]:
    """Sources in groups that one thread scores together; the first ones are small, so that every thread has work."""
    group: list[Any] = []
    size = handed = 0
    for source in sources:
        group.append(source)
        size += _bytes(source)
        most = FILES if handed < 2 * torch.get_num_threads() else SHORT_FILES
        if len(group) >= FILES and (size >= SHORT_BYTES or len(group) >= most):
            yield group
            group, size, handed = [], 0, handed + 1
    if group:
        yield group


def _bytes(source: Any) -> int:
    """Size of a file in bytes; SHORT_BYTES for any other source, which counts as long."""
    try:
        return Path(os.fsdecode(source)).stat().st_size if isinstance(source, str | os.PathLike) else SHORT_BYTES
    except (OSError, ValueError, TypeError):  # it will be a row with this error
        return 0


def _burst(rows_of: Callable[[list[Any]], list[dict[str, Any]]], waiting: deque[list[Any]], groups: Iterator[list[Any]]) -> list[dict]:
    """Rows of the groups begun within BURST_S seconds, one group at least; none where no group is left."""
    until = time.monotonic() + BURST_S

    def taken() -> Iterator[list[Any]]:
        while (group := waiting.popleft() if waiting else next(groups, None)) is not None:
            yield group
            if time.monotonic() >= until:
                return

    return [row for rows in in_threads(rows_of, taken(), torch.get_num_threads()) for row in rows]


def _score_group(network: Network, sources: list[Any], options: Options) -> list[dict[str, Any]]:
    """Rows of a few sources; they are scored whenever `GROUP` segments have gathered, so that memory is bounded."""
    done: list[dict[str, Any]] = []
    rows: list[dict[str, Any]] = []
    mels: list[Tensor] = []
    frames = 0
    empty = dict.fromkeys(columns(options))
    for source in sources:
        name = audio.name_of(source)
        for piece, facts in sounds.safely(sounds.pieces(network, source, options), name):
            row = empty | facts
            row |= {"file": name, "model": network.name, "weights_hash": network.weights_hash}
            if isinstance(piece, Failure):
                row["error"] = piece.text
            elif isinstance(piece, Tensor):
                mels.append(piece)
                frames += piece.shape[0]
            else:
                row.update(piece)
            rows.append(row)
            if frames >= GROUP * network.settings.segment_hop:
                done += _with_scores(network, rows, mels)
                rows, mels, frames = [], [], 0
    return done + _with_scores(network, rows, mels)


def _with_scores(network: Network, rows: list[dict[str, Any]], mels: list[Tensor]) -> list[dict[str, Any]]:
    waiting = [row for row in rows if row["error"] is None and row[network.settings.outputs[0]] is None]
    try:
        scores = list(score_mels(network, mels)) if mels else []
    except Exception:  # out of memory, say: one of them is then scored alone, and what fails is that sound's row
        scores = []
        for row, mel in zip(waiting, mels, strict=True):
            try:
                scores.append(score_mels(network, [mel])[0])
            except Exception as e:
                row["error"] = sounds.unexpected(row["file"], e)
                scores.append(np.full(len(network.settings.outputs), np.nan))
    for row, score in zip(waiting, scores, strict=True):
        if row["error"] is None:
            row.update(zip(network.settings.outputs, map(float, score), strict=True))
    for row in rows:
        if row["error"] is None and not np.isfinite([row[name] for name in network.settings.outputs]).all():
            row.update(dict.fromkeys(network.settings.outputs))
            row["error"] = f"{row['file']}: {network.name} gives no number for this sound (NaN or infinite); its weights may be damaged."
    return rows
