"""Scores of sounds: many files at once, broken ones kept as failures, long ones in bounded memory.

Files are cut into segments, the segments of many files go through the CNN in chunks of one size, and time dependency and pooling
see each file with its own length, so a file has the same score in any batch.
"""

import copy
from collections import deque
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, replace
from itertools import chain, islice
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from torch import Tensor
from torch.nn.utils.fusion import fuse_conv_bn_eval

from . import audio, spectrogram
from .errors import AudioError, SettingsError
from .models import weights
from .models.nisqa import DIMENSIONS, Nisqa, SixConvolutions
from .models.weights import Network

CHUNK = 64  # segments through the CNN at once; the maps of more leave the cache
GROUP = 16_384  # segments of whole files gathered before time dependency and pooling
FILES = 6  # in a group: enough to fill chunks, few enough for the rows to come steadily
LEAST_WINDOW_S = 0.1
SOUNDS = {
    ".wav",
    ".flac",
    ".mp3",
    ".ogg",
    ".opus",
    ".m4a",
    ".aac",
    ".aif",
    ".aiff",
    ".g722",
    ".webm",
    ".mp4",
    ".wma",
    ".au",
    ".caf",
}
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
    """A copy of the CNN whose convolutions hold their batch norms; the norms stand there still, and are to be left out."""
    cnn = copy.deepcopy(network.model.cnn).eval()
    for i in range(1, 7):
        setattr(cnn, f"conv{i}", fuse_conv_bn_eval(getattr(cnn, f"conv{i}"), getattr(cnn, f"bn{i}")))
    return cnn


def mel_of(network: Network, sound: audio.Sound, resample: int | None = None) -> Tensor:
    """(frames, mels) of a sound (its channels' mean) by the network's own front end.

    resample : Hz to bring the sound to first; None keeps the file's own rate unless the network fixes one.
    """
    waveform, rate = audio.mixed(sound, "mean")
    wanted = network.settings.mel.sample_rate or resample
    if wanted:
        waveform, rate = audio.resample(waveform, rate, wanted), wanted
    mel = network.settings.mel
    least = (network.settings.segment_length - 1) * mel.hop(rate)
    if waveform.shape[1] < least:
        raise AudioError(f"{waveform.shape[1] / rate:.3f} s is too short: {least / rate:.2f} s is the least the network can score.")
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


def score(sources: Any, network: Network | None = None, sample_rate: int | None = None, resample: int | None = None) -> pd.DataFrame:
    """Scores of one sound or a list of sounds: paths, arrays or tensors; a row each, columns as in `COLUMNS`.

    A source that cannot be scored stays as a row with `error`. `sample_rate` is required for arrays and tensors.
    """
    one = isinstance(sources, str | Path) or hasattr(sources, "ndim")
    rows = score_stream([sources] if one else sources, network, sample_rate=sample_rate, resample=resample)
    return pd.DataFrame(list(rows), columns=COLUMNS)


@dataclass(frozen=True)
class Options:
    """How sounds are scored; see `score_stream`."""

    sample_rate: int | None = None
    resample: int | None = None
    channel: audio.Channel = "mean"
    windows: tuple[float, float] | None = None
    report: bool = False


def score_stream(sources: Iterable[Any], network: Network | None = None, **options: Any) -> Iterator[dict[str, Any]]:
    """Rows in the order of `sources`, as they come; see `score`. Keywords are those of `Options`:

    windows : (length, hop) in seconds; then a row a window, with `start_s` and `end_s`.
    report : adds what `audio.report` says, and `advice`: whether the sound is what the network was trained for.
    channel : one channel from 0, or "mean".

    Files go in groups to as many threads as torch has, each thread computing alone: on a CPU that is a quarter faster than all
    threads at one operation, since none waits for the others. One group, or a GPU, is done in this thread.
    """
    chosen = Options(**options)
    network = folded(network or weights.load())
    _check_options(network, chosen)
    groups = _groups(sources)
    ahead = list(islice(groups, 2))
    threads = torch.get_num_threads()
    if len(ahead) < 2 or threads == 1 or network.device != "cpu":
        for group in chain(ahead, groups):
            yield from _score_group(network, group, chosen)
        return
    audio.import_torchaudio()  # here, since an import by several threads at once can meet a half-made module
    with each_alone() as pool:
        waiting = deque(pool.submit(_score_group, network, group, chosen) for group in ahead)
        while waiting:
            waiting.extend(pool.submit(_score_group, network, group, chosen) for group in islice(groups, 1))
            yield from waiting.popleft().result()


@contextmanager
def each_alone() -> Iterator[ThreadPoolExecutor]:
    """As many threads as torch has, each computing alone until the end of the block."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        with ThreadPoolExecutor(threads) as pool:
            yield pool
    finally:
        torch.set_num_threads(threads)


def _groups(sources: Iterable[Any]) -> Iterator[list[Any]]:
    remaining = iter(sources)
    while group := list(islice(remaining, FILES)):
        yield group


def _score_group(network: Network, sources: list[Any], options: Options) -> list[dict[str, Any]]:
    """Rows of a few sources; scores are taken whenever `GROUP` segments have gathered, so that memory is bounded."""
    done: list[dict[str, Any]] = []
    rows: list[dict[str, Any]] = []
    mels: list[Tensor] = []
    for source in sources:
        for piece, extra in _pieces(source, options):
            row = dict.fromkeys(COLUMNS) | extra
            row |= {"file": _name(source), "model": network.name, "weights_hash": network.weights_hash}
            try:
                if isinstance(piece, AudioError):
                    raise piece
                mels.append(mel_of(network, audio.mixed(piece, options.channel), options.resample))
            except AudioError as e:
                row["error"] = str(e)
            if options.report and isinstance(piece, audio.Sound):
                facts = audio.report(piece)
                row |= facts | {"advice": advice(network, facts)}
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


def _pieces(source: Any, options: Options) -> Iterator[tuple[audio.Sound | AudioError, dict[str, float]]]:
    """The sound or its windows, or why there is none."""
    try:
        rate = None if isinstance(source, str | Path) else options.sample_rate
        sound = audio.load(source, rate, "all" if options.report else options.channel)
    except AudioError as e:
        yield e, {}
        return
    yield from _cut(sound, options.windows)


def _check_options(network: Network, options: Options) -> None:
    resample, windows = options.resample, options.windows
    if resample is not None and not 8000 <= resample <= 192_000:
        raise SettingsError(f"--resample takes a rate from 8000 to 192000 Hz, not {resample}.")
    if resample and network.settings.mel.sample_rate:
        raise SettingsError(f"{network.name} hears everything at {network.settings.mel.sample_rate} Hz; --resample is not for it.")
    if windows is not None and not min(windows) >= LEAST_WINDOW_S:
        raise SettingsError(f"A window and its hop are at least {LEAST_WINDOW_S} s, not {windows[0]} and {windows[1]}.")


def _name(source: Any) -> str:
    return str(source) if isinstance(source, str | Path) else "array"


def _cut(sound: audio.Sound, windows: tuple[float, float] | None) -> Iterator[tuple[audio.Sound, dict[str, float]]]:
    """Windows of a sound; the last is moved back to end with it. A sound shorter than one window is one."""
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


def advice(network: Network, facts: dict[str, float | int]) -> str:
    """Whether a sound is what the network was trained for: "fits", or what speaks against it, one phrase each."""
    shortest, longest = network.best_seconds
    heard_hz = min(network.settings.mel.fmax, (network.settings.mel.sample_rate or 1e9) / 2)
    checks = [
        (facts["level_dbov"] == -np.inf, "digital silence"),
        (not shortest <= facts["seconds"] <= longest, f"{facts['seconds']:.1f} s long, trained on {shortest:g} to {longest:g} s"),
        (
            facts["rate_hz"] / 2 < heard_hz,
            f"holds nothing above {facts['rate_hz'] / 2000:g} kHz, the network hears up to {heard_hz / 1000:g}",
        ),
        (abs(facts["active_level_dbov"] + 26) > 10, f"active level {facts['active_level_dbov']:.0f} dBov, usual is -26"),
        (facts["clipped_percent"] > 0.1, f"{facts['clipped_percent']:.1f} % of samples clipped"),
        (facts["channels"] > 1, f"{facts['channels']} channels, mixed to one"),
    ]
    return "; ".join(text for failed, text in checks if failed) or "fits"


def sound_files(paths: Iterable[Path]) -> list[Path]:
    """Files as they are, folders as the sound files below them, sorted by name."""
    found: list[Path] = []
    for path in paths:
        if path.is_dir():
            below = sorted(p for p in path.rglob("*") if p.suffix.lower() in SOUNDS)
            if not below:
                raise SettingsError(f"{path}: no sound files below this folder.")
            found.extend(below)
        else:
            found.append(path)
    return found
