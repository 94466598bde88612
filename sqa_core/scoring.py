"""Scores of sounds: many files at once, failed files kept as rows with an error, long files in bounded memory.

Files are cut into segments, the segments of many files go through the CNN in chunks of one size, and time dependency and pooling
take each file at its own length, so a file has the same score in any batch.
"""

import copy
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pandas as pd
import torch
from torch import Tensor
from torch.nn.utils.fusion import fuse_conv_bn_eval

from . import audio, levels, spectrogram
from .errors import AudioError, SettingsError
from .models import weights
from .models.nisqa import DIMENSIONS, Nisqa, SixConvolutions
from .models.weights import Network

CHUNK = 64  # segments through the CNN at once; the maps of more leave the cache
GROUP = 16_384  # segments of whole files gathered before time dependency and pooling
FILES = 6  # in a group: enough to fill chunks, few enough for the rows to come steadily
BURST_S = 2.0  # how long threads compute before the rows so far are handed out
MIN_WINDOW_S = 0.1
SOUNDS = frozenset(
    f".{e}" for e in ["wav", "flac", "mp3", "ogg", "opus", "m4a", "aac", "aif", "aiff", "g722", "webm", "mp4", "wma", "au", "caf"]
)
COLUMNS = ["file", *DIMENSIONS, "model", "weights_hash", "error"]


def folded(network: Network) -> Network:
    """A copy that scores faster: batch norms folded into the convolutions, maps kept with channels last."""
    if isinstance(network.model.cnn.get_submodule("bn1"), torch.nn.Identity):
        return network
    model: Nisqa = copy.deepcopy(network.model).eval()
    model.cnn = cnn = fused_convolutions(network)
    for i in range(1, 7):
        setattr(cnn, f"bn{i}", torch.nn.Identity())
        setattr(cnn, f"relu{i}", torch.nn.ReLU(inplace=True))
    for i, pool in ((1, "pool1"), (2, "pool2"), (4, "pool3")):  # ReLU and max commute, and after the pool there is less to do
        relu = getattr(cnn, f"relu{i}")
        setattr(cnn, f"relu{i}", torch.nn.Identity())
        setattr(cnn, pool, torch.nn.Sequential(getattr(cnn, pool), relu))
    cnn.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    return replace(network, model=model)


def fused_convolutions(network: Network) -> SixConvolutions:
    """A copy of the CNN with batch norms folded into its convolutions; its norm modules are still there, and must not be applied."""
    cnn = copy.deepcopy(network.model.cnn).eval()
    for i in range(1, 7):
        setattr(cnn, f"conv{i}", fuse_conv_bn_eval(getattr(cnn, f"conv{i}"), getattr(cnn, f"bn{i}")))
    return cnn


def mel_of(network: Network, sound: audio.Sound, resample: int | None = None) -> Tensor:
    """Mel spectrogram (frames, mels) of a sound, the mean of its channels, by the network's own front end.

    resample : rate in Hz to convert to first; None keeps the sound's own rate unless the network needs a fixed one.

    Raises
    ------
    AudioError
        The sound is shorter than one segment.
    """
    waveform, rate = audio.mixed(sound, "mean")
    wanted = network.settings.mel.sample_rate or resample
    if wanted:
        waveform, rate = audio.resample(waveform, rate, wanted), wanted
    mel = network.settings.mel
    least = (network.settings.segment_length - 1) * mel.hop(rate)
    if waveform.shape[1] < least:
        raise AudioError(f"{waveform.shape[1] / rate:.3f} s is too short: the network needs at least {least / rate:.2f} s.")
    return spectrogram.mel_db(waveform[0], rate, mel, network.device)


@torch.inference_mode()
def cnn_features(network: Network, mels: list[Tensor]) -> list[Tensor]:
    """The CNN's outputs (segments, features) of each mel spectrogram."""
    s = network.settings
    views = [spectrogram.segments(m, s.segment_length, s.segment_hop) for m in mels]
    return list(run_cnn(network, views, sum(map(len, views))).split([len(v) for v in views]))


@torch.inference_mode()
def run_cnn(network: Network, views: Iterable[Tensor], total: int) -> Tensor:
    """CNN outputs (total, features) of segments that come as several (n, mels, length) views, in chunks of one size.

    One size, because convolution kernels are made anew for each new shape.
    """
    s = network.settings
    size = min(CHUNK, -(-total // 32) * 32)
    chunk = torch.zeros(size, 1, s.mel.n_mels, s.segment_length, device=network.device)
    out, filled = [], 0
    for view in views:
        while len(view):
            part, view = view[: size - filled], view[size - filled :]
            chunk[filled : filled + len(part), 0] = part
            filled += len(part)
            if filled == size:
                out.append(network.model.cnn(chunk))
                filled = 0
    if filled:
        out.append(network.model.cnn(chunk)[:filled])
    return torch.cat(out) if out else chunk.new_empty(0, network.model.cnn.n_features)


@torch.inference_mode()
def score_mels(network: Network, mels: list[Tensor]) -> np.ndarray:
    """(files, outputs) of mel spectrograms (frames, mels)."""
    features = cnn_features(network, mels)
    scores = np.empty((len(mels), len(network.settings.outputs)), np.float32)
    # Neighbours in length share a batch, so that little of it is padding.
    order = sorted(range(len(mels)), key=lambda i: len(features[i]))
    while order:
        longest = len(features[order[-1]])
        batch, order = order[-max(1, GROUP // longest) :], order[: -max(1, GROUP // longest)]
        lengths = torch.tensor([len(features[i]) for i in batch], device=network.device)
        padded = torch.nn.utils.rnn.pad_sequence([features[i] for i in batch], batch_first=True)
        scores[batch] = network.model.head(padded, lengths).float().cpu().numpy()
    return scores


def score(sources: Any, network: Network | None = None, **options: Any) -> pd.DataFrame:
    """Predicted quality of one sound or of a list of sounds.

    Parameters
    ----------
    sources : path, array or tensor, or a list of them
        Arrays have the shape (samples,) or (channels, samples), and need `sample_rate`.
    network : Network, optional
        As `weights.load` gives it; the best that is found on this machine if not given.
    options : see `Options`.

    Returns
    -------
    DataFrame
        A row a sound, in order, with the columns of `COLUMNS`: `file`; `mos`, `noi`, `dis`, `col` and `loud` from 1 (bad) to 5
        (excellent), NaN where the network has no such output; `model`, `weights_hash`; and `error`, a sentence where a sound could not
        be scored.

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
    one = isinstance(sources, str | Path) or hasattr(sources, "ndim")
    return as_table(score_stream([sources] if one else sources, network, **options))


def as_table(rows: Iterable[dict[str, Any]]) -> pd.DataFrame:
    """Rows of `score_stream` as one table, the columns of `COLUMNS` first."""
    table = pd.DataFrame(list(rows))
    extra = [c for c in table if c not in COLUMNS]
    return table.reindex(columns=[*COLUMNS, *extra])


@dataclass(frozen=True)
class Options:
    """How sounds are scored.

    sample_rate : Hz, of arrays and tensors.
    resample : Hz to convert to before scoring; None keeps each sound's own rate.
    channel : one channel, from 0, or "mean".
    windows : length and hop in seconds; then a row a window, with `start_s` and `end_s`.
    report : adds the columns of `levels.report`, and `advice`: whether the sound is like those the network was trained on.
    """

    sample_rate: int | None = None
    resample: int | None = None
    channel: int | Literal["mean"] = "mean"
    windows: tuple[float, float] | None = None
    report: bool = False


@dataclass(frozen=True)
class Failure:
    """A sound that cannot be scored, and why, in a sentence."""

    text: str


def score_stream(sources: Iterable[Any], network: Network | None = None, **options: Any) -> Iterator[dict[str, Any]]:
    """Rows in the order of `sources`, as they are computed; parameters as in `score`.

    Files go in groups to as many threads as torch has, each thread computing alone: on a CPU that is a quarter faster than all
    threads at one operation, since none waits for the others. A single group, or a GPU, is served by this thread. torch's thread
    count is changed only while this function computes, never between rows.

    Raises
    ------
    SettingsError
        An option that does not fit; raised at the first row.
    """
    chosen = Options(**options)
    network = folded(network or weights.load())
    _check_options(network, chosen)
    remaining = iter(sources)
    groups = iter(lambda: list(islice(remaining, FILES)), [])

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


def _burst(rows_of: Callable[[list[Any]], list[dict[str, Any]]], waiting: deque[list[Any]], groups: Iterator[list[Any]]) -> list[dict]:
    """Rows of the groups begun within BURST_S seconds, one group at least; none where no group is left."""
    until = time.monotonic() + BURST_S

    def taken() -> Iterator[list[Any]]:
        while (group := waiting.popleft() if waiting else next(groups, None)) is not None:
            yield group
            if time.monotonic() >= until:
                return

    return [row for rows in in_threads(rows_of, taken(), torch.get_num_threads()) for row in rows]


def in_threads(function: Callable[[Any], Any], items: Iterable[Any], ahead: int) -> Iterator[Any]:
    """`function` of each item, in order, in as many threads as torch has; `ahead` items more than are used are in flight."""
    remaining = iter(items)
    with each_alone() as pool:
        waiting = deque(pool.submit(function, item) for item in islice(remaining, ahead))
        while waiting:
            result = waiting.popleft().result()
            waiting.extend(pool.submit(function, item) for item in islice(remaining, 1))
            yield result


@contextmanager
def each_alone() -> Iterator[ThreadPoolExecutor]:
    """As many threads as torch has, each computing alone until the end of the block."""
    threads = _SINGLE.enter()
    try:
        with ThreadPoolExecutor(threads) as pool:
            yield pool
    finally:
        _SINGLE.leave()


class _SingleThreaded:
    """torch's thread count belongs to the process, so blocks that set it to 1 at the same time must agree: the first one sets it, the
    last one to leave restores it."""

    def __init__(self) -> None:
        self.lock, self.blocks, self.threads = threading.Lock(), 0, 1

    def enter(self) -> int:
        with self.lock:
            if not self.blocks:
                self.threads = torch.get_num_threads()
                torch.set_num_threads(1)
            self.blocks += 1
            return self.threads

    def leave(self) -> None:
        with self.lock:
            self.blocks -= 1
            if not self.blocks:
                torch.set_num_threads(self.threads)


_SINGLE = _SingleThreaded()


def _score_group(network: Network, sources: list[Any], options: Options) -> list[dict[str, Any]]:
    """Rows of a few sources; they are scored whenever `GROUP` segments have gathered, so that memory is bounded."""
    done: list[dict[str, Any]] = []
    rows: list[dict[str, Any]] = []
    mels: list[Tensor] = []
    for source in sources:
        for piece, facts in _pieces(network, source, options):
            row = dict.fromkeys(COLUMNS) | facts
            row |= {"file": _name(source), "model": network.name, "weights_hash": network.weights_hash}
            if isinstance(piece, Failure):
                row["error"] = piece.text
            else:
                mels.append(piece)
            rows.append(row)
            if sum(map(len, mels)) >= GROUP * network.settings.segment_hop:
                done += _with_scores(network, rows, mels)
                rows, mels = [], []
    return done + _with_scores(network, rows, mels)


def _with_scores(network: Network, rows: list[dict[str, Any]], mels: list[Tensor]) -> list[dict[str, Any]]:
    scores = iter(score_mels(network, mels)) if mels else iter(())
    for row in rows:
        if row["error"] is None:
            row.update(zip(network.settings.outputs, map(float, next(scores)), strict=True))
    return rows


def _pieces(network: Network, source: Any, options: Options) -> Iterator[tuple[Tensor | Failure, dict[str, Any]]]:
    """The mel spectrogram of a sound or of each of its windows, or why there is none; with what the row says besides."""
    rate = None if isinstance(source, str | Path) else options.sample_rate
    try:
        sound = audio.load(source, rate, "all" if options.report else options.channel)
        if options.report:  # a channel that is not there
            audio.mixed(sound, options.channel, str(source) if rate is None else "The array")
    except AudioError as e:
        yield Failure(str(e)), {}
        return
    for part, facts in _cut(sound, options.windows):
        if options.report:
            report = levels.report(part)
            facts = facts | report | {"advice": advice(network, report, options.channel)}
        try:
            yield mel_of(network, audio.mixed(part, options.channel) if options.report else part, options.resample), facts
        except AudioError as e:
            yield Failure(str(e)), facts


def _check_options(network: Network, options: Options) -> None:
    resample, windows = options.resample, options.windows
    if resample is not None and not 8000 <= resample <= 192_000:
        raise SettingsError(f"Sounds can be resampled to rates from 8000 to 192000 Hz, not to {resample}.")
    if resample and network.settings.mel.sample_rate:
        raise SettingsError(f"{network.name} works at {network.settings.mel.sample_rate} Hz only; leave out the resampling rate.")
    if windows is not None and not min(windows) >= MIN_WINDOW_S:
        raise SettingsError(f"A window and its hop must be at least {MIN_WINDOW_S} s, not {windows[0]} and {windows[1]}.")


def _name(source: Any) -> str:
    return str(source) if isinstance(source, str | Path) else "array"


def _cut(sound: audio.Sound, windows: tuple[float, float] | None) -> Iterator[tuple[audio.Sound, dict[str, Any]]]:
    """Windows of a sound; the last one is moved back to end with it. A sound shorter than one window is one."""
    if windows is None:
        yield sound, {}
        return
    waveform, rate = sound
    length, hop = (round(seconds * rate) for seconds in windows)
    total = waveform.shape[1]
    starts = [*range(0, max(1, total - length), hop), max(0, total - length)]
    for start in sorted(set(starts)):
        stop = min(total, start + length)
        yield audio.Sound(waveform[:, start:stop], rate), {"start_s": start / rate, "end_s": stop / rate}


def advice(network: Network, report: dict[str, float | int], channel: int | Literal["mean"] = "mean") -> str:
    """Whether a sound is like those the network was trained on: "fits", or what speaks against it, one phrase each.

    report : as `levels.report` gives it. channel : the one that is scored.
    """
    shortest, longest = network.best_seconds
    bandwidth_hz = min(network.settings.mel.fmax, (network.settings.mel.sample_rate or 1e9) / 2)
    used = "mixed to one" if channel == "mean" else f"channel {channel} is scored"
    checks = [
        (report["level_dbov"] == -np.inf, "digital silence"),
        (not shortest <= report["seconds"] <= longest, f"{report['seconds']:.1f} s long, trained on {shortest:g} to {longest:g} s"),
        (
            report["rate_hz"] / 2 < bandwidth_hz,
            f"nothing above {report['rate_hz'] / 2000:g} kHz, the network uses up to {bandwidth_hz / 1000:g}",
        ),
        (abs(report["active_level_dbov"] + 26) > 10, f"active level {report['active_level_dbov']:.0f} dBov, usual is -26"),
        (report["clipped_percent"] > 0.1, f"{report['clipped_percent']:.1f} % of samples clipped"),
        (report["channels"] > 1, f"{report['channels']} channels, {used}"),
    ]
    return "; ".join(text for failed, text in checks if failed) or "fits"


def sound_files(paths: Iterable[Path]) -> list[Path]:
    """Files as they are, folders as the sound files in them and below, sorted by name.

    Raises
    ------
    SettingsError
        A folder holds no sound files.
    """
    found: list[Path] = []
    for path in paths:
        if path.is_dir():
            below = sorted(p for p in path.rglob("*") if p.suffix.lower() in SOUNDS)
            if not below:
                raise SettingsError(f"{path}: no sound files in this folder.")
            found.extend(below)
        else:
            found.append(path)
    return found
