"""From one source to what is scored: the spectrogram of a sound or of each of its windows, with notes, or the reason why there is none."""

import os
from collections import deque
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import chain
from typing import Any, Literal

import numpy as np
from torch import Tensor

from .. import audio, levels
from ..audio.arrays import is_number
from ..errors import AudioError, SettingsError
from ..models.weights import Network
from .advice import advice
from .network import mel_of, score_blocks

LONG_SAMPLES = 14_400_000  # over all channels: five minutes of mono at 48 kHz; sounds from here on are never held whole
MIN_WINDOW_S = 0.1
MAX_WINDOW_S = 1e6  # more is a mistake


@dataclass(frozen=True)
class Options:
    """How sounds are scored.

    sample_rate : Hz, of arrays and tensors.
    resample : Hz to convert to before scoring; None keeps each sound's own rate.
    channel : one channel, from 0, or "mean".
    windows : length and hop in seconds; then one row per window, with `start_s` and `end_s`.
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


def check(network: Network, options: Options) -> None:
    """Whether the options mean something, and to this network.

    Raises
    ------
    SettingsError
        One does not, with its name.
    """
    resample, windows, channel = options.resample, options.windows, options.channel
    if resample is not None and not (is_number(resample) and 8000 <= resample <= 192_000 and resample == int(resample)):
        raise SettingsError(f"Sounds can be resampled to whole rates from 8000 to 192000 Hz, not to {resample}.")
    if resample and network.settings.mel.sample_rate:
        raise SettingsError(f"{network.name} works at {network.settings.mel.sample_rate} Hz only; leave out the resampling rate.")
    if not (channel == "mean" or (is_number(channel) and not isinstance(channel, float))):
        raise SettingsError(f'The channel is "mean" or a number from 0, not {channel!r}.')
    if windows is None:
        return
    if not (isinstance(windows, tuple | list) and len(windows) == 2 and all(map(is_number, windows))):
        raise SettingsError(f"Windows are two numbers, their length and their hop in seconds, not {windows!r}.")
    if not all(MIN_WINDOW_S <= seconds <= MAX_WINDOW_S for seconds in windows):  # not a number is neither
        raise SettingsError(f"A window and its hop must be at least {MIN_WINDOW_S} s and finite, not {windows[0]} and {windows[1]}.")


Piece = tuple[Tensor | dict[str, float] | Failure, dict[str, Any]]


def safely(found: Iterator[Piece], name: str) -> Iterator[Piece]:
    """Whatever goes wrong with a sound is its own row: the others are scored."""
    try:
        yield from found
    except AudioError as e:
        yield Failure(str(e)), {}
    except Exception as e:
        yield Failure(unexpected(name, e)), {}


def unexpected(name: str, e: Exception) -> str:
    return f"{name}: could not be scored ({type(e).__name__}: {' '.join(str(e).split())[:200]})."


def pieces(network: Network, source: Any, options: Options) -> Iterator[Piece]:
    """The mel spectrogram of a sound or of each of its windows, the scores of a long sound, or why there are none; with what the row
    says besides.

    Parameters
    ----------
    source : As in `scoring.score`: a path, bytes, an array, …
    options : What to score of it.

    Returns
    -------
    One piece for a sound, or one for each window.
    """
    file = isinstance(source, str | os.PathLike) or hasattr(source, "read") or (isinstance(source, Mapping) and "array" not in source)
    with audio.opened(source, None if file else options.sample_rate) as sound:
        if options.windows:
            yield from _windows(network, sound, options)
            return
        beginning: deque[np.ndarray] = deque()
        blocks = sound.stream("all")
        for block in blocks:
            beginning.append(block)
            if sum(b.size for b in beginning) > LONG_SAMPLES:
                yield _long(network, sound, chain(_handed_over(beginning), blocks), options)
                return
        whole = audio.Sound(np.concatenate(beginning, axis=1), sound.sample_rate)
        yield _piece(network, sound, whole, options)


def _handed_over(blocks: deque[np.ndarray]) -> Iterator[np.ndarray]:
    """Blocks one after the other, none of which is kept."""
    while blocks:
        yield blocks.popleft()


def _piece(network: Network, opened: audio.Opened, sound: audio.Sound, options: Options) -> Piece:
    """A whole sound with all its channels, or one window of it."""
    facts: dict[str, Any] = {}
    mixer = audio.Mixer(options.channel, sound.sample_rate, opened.name)
    notes = opened.repairs + opened.remarks
    try:
        if options.report:
            measured = levels.report(sound)
            facts = measured | {"codec": opened.codec, "advice": advice(network, measured, options.channel, opened)}
        mixed = audio.Sound(mixer(sound.waveform), sound.sample_rate)
        notes += mixer.finish()
        return mel_of(network, mixed, options.resample, opened.name), facts | {"note": _note(notes, network, sound.sample_rate, options)}
    except AudioError as e:
        return Failure(str(e)), facts | {"note": _note(notes, network, sound.sample_rate, options)}


def _note(notes: list[str], network: Network, sample_rate: int, options: Options) -> str | None:
    rate = network.settings.mel.sample_rate or options.resample
    if options.resample and rate != sample_rate:
        notes = [*notes, f"resampled from {sample_rate} to {rate} Hz"]
    return "; ".join(dict.fromkeys(notes)) or None


def _long(network: Network, opened: audio.Opened, blocks: Iterable[np.ndarray], options: Options) -> Piece:
    """A long sound, scored block by block: the same as `score_mels` of the whole."""
    rate = opened.sample_rate
    measured = levels.Report(rate) if options.report else None
    mixer = audio.Mixer(options.channel, rate, opened.name)

    def mono() -> Iterator[np.ndarray]:
        for block in blocks:
            if measured:
                measured.add(block)
            yield mixer(block)

    wanted = int(network.settings.mel.sample_rate or options.resample or rate)
    resampled = (block[0] for block in audio.resample_blocks(mono(), rate, wanted))
    score = dict(zip(network.settings.outputs, score_blocks(network, resampled, wanted), strict=True))
    notes = [*opened.repairs, *opened.remarks, *mixer.finish()]
    facts: dict[str, Any] = {"note": _note(notes, network, rate, options)}
    if measured:
        found = measured.result()
        facts = found | {"codec": opened.codec, "advice": advice(network, found, options.channel, opened)} | facts
    return score, facts


def _windows(network: Network, opened: audio.Opened, options: Options) -> Iterator[Piece]:
    """Windows of a sound; the last one is moved back to end with it. A sound shorter than one window is one."""
    assert options.windows
    rate = opened.sample_rate
    length, hop = (round(seconds * rate) for seconds in options.windows)
    held, begin, last = np.zeros((0, 0), np.float32), 0, -1  # samples from `begin` on; where the last window began

    def window(start: int, stop: int) -> Piece:
        piece, facts = _piece(network, opened, audio.Sound(held[:, start - begin : stop - begin], rate), options)
        return piece, {"start_s": start / rate, "end_s": stop / rate} | facts

    start = 0
    for block in opened.stream("all"):
        held = np.concatenate([held, block], axis=1) if held.size else block
        while begin + held.shape[1] > start + length:
            yield window(start, start + length)
            last, start = start, start + hop
        drop = min(start, begin + held.shape[1] - length) - begin
        if drop > 0:
            held, begin = held[:, drop:].copy(), begin + drop
    total = begin + held.shape[1]
    final = max(0, total - length)
    if final > last:
        yield window(final, total)
