"""The one way in for sound: `opened` takes whatever holds a sound and hands it out block by block; `load` takes it whole."""

import io
import os
import re
import stat
import warnings
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from ..errors import AudioError
from . import arrays, containers, decoding, kinds
from .layout import UNREADABLE, File, read_at
from .resampling import resample
from .sound import Channel, ChannelName, Mixer, Sound, mixed


class AudioWarning(UserWarning):
    """Something about a sound was repaired or guessed."""


@dataclass
class Opened:
    """A sound that is open for reading, once, from beginning to end.

    name : of the file, as messages and tables show it. sample_rate : Hz. frames : samples of a channel, None where only the end will
    tell. codec : "pcm", "mp3" and so on. repairs : what was wrong with the file, or guessed about it. remarks : what else a reader should
    know, such as what became of the channels. Both are complete when the sound is read.
    """

    name: str
    sample_rate: int
    channels: int
    frames: int | None
    codec: str
    lossy: bool
    blocks: Iterator[np.ndarray]
    repairs: list[str] = field(default_factory=list)
    remarks: list[str] = field(default_factory=list)

    def stream(self, channel: Channel = "all") -> Iterator[np.ndarray]:
        """Blocks (channels, n) of the chosen channel, the mean, or all.

        Parameters
        ----------
        channel : "all", "mean", or a number from 0.

        Returns
        -------
        Blocks of any length, float32 with full scale 1.

        Raises
        ------
        AudioError
            The sound is damaged, shorter than it promises, silent by cancellation, not scaled, or has no such channel.
        """
        mixer = Mixer(channel, self.sample_rate, self.name)
        for block in self.blocks:
            yield mixer(block)
        self.remarks += mixer.finish()

    def read(self, channel: Channel = "all") -> Sound:
        """The whole sound; errors as in `stream`."""
        blocks = list(self.stream(channel))
        return Sound(blocks[0] if len(blocks) == 1 else np.concatenate(blocks, axis=1), self.sample_rate)


def load(source: Any, sample_rate: Any = None, channel: Channel = "mean") -> Sound:
    """A sound from a file, an array or a tensor.

    Parameters
    ----------
    source : path, file object, array, tensor or list of numbers
        Arrays and tensors have the shape (samples,) or (channels, samples). Integers are scaled by the range of their type, floats must
        be in [-1, 1]. A pair (rate, array) or (array, rate) brings its rate, and so does a mapping with "array" and "sampling_rate".
    sample_rate : any whole number, Hz
        Required for arrays and refused for files, which have their own.
    channel : int, "mean" or "all"
        "mean" mixes down, an integer takes one channel (from 0), "all" keeps all.

    Returns
    -------
    Sound
        Its waveform (channels, samples), float32 in [-1, 1], and its rate in Hz.

    Raises
    ------
    AudioError
        One sentence with the file's name, for whatever is wrong with it.

    Warns
    -----
    AudioWarning
        A header was wrong and the samples were believed, or something else was repaired or guessed.

    Examples
    --------
    >>> sound = load(np.array([[0, 16384], [0, 0]], dtype=np.int16), 16_000)
    >>> sound.waveform.tolist(), sound.sample_rate
    ([[0.0, 0.25]], 16000)
    """
    with opened(source, sample_rate) as sound:
        loaded = sound.read(channel)
        for note in sound.repairs:
            warnings.warn(f"{sound.name}: {note}", AudioWarning, stacklevel=2)
        return loaded


@contextmanager
def opened(source: Any, sample_rate: Any = None) -> Iterator[Opened]:
    """A sound open for reading; parameters as in `load`.

    Returns
    -------
    An `Opened` that yields its samples once; it is closed when the block ends.

    Raises
    ------
    AudioError
        It is no sound, cannot be read, was cut, or its scale or rate is unknown.
    """
    source, sample_rate = arrays.with_rate(source, sample_rate)
    name = name_of(source)
    if isinstance(source, Mapping):  # as the datasets library holds a sound that is not decoded yet
        content, path = source.get("bytes"), source.get("path")
        if content is not None and not isinstance(content, bytes | bytearray | memoryview):
            raise AudioError(f'{name}: "bytes" holds a {type(content).__name__}, not the bytes of a file.')
        source = io.BytesIO(content) if content else path or source
    if isinstance(source, str | os.PathLike):
        if sample_rate is not None:
            raise AudioError(f"{shown(source)}: a file carries its own rate; to change it, resample after loading.")
        if not os.fspath(source):
            raise AudioError("An empty name is the name of no file.")
        with _open_path(source) as file:
            yield _from_file(file, shown(source), os.fstat(file.fileno()).st_size, Path(os.fspath(source)).suffix.lower())
    elif hasattr(source, "read"):
        if sample_rate is not None:
            raise AudioError(f"{name}: a file carries its own rate; to change it, resample after loading.")
        held, size = _seekable(source)
        yield _from_file(held, name, size, Path(name).suffix.lower())
    elif isinstance(source, bytes | bytearray | memoryview):
        raise AudioError("Bytes are neither a path nor samples; pass os.fsdecode(path), or io.BytesIO(content) for a file's content.")
    elif arrays.is_array(source) or hasattr(source, "ndim"):
        samples, notes = arrays.samples_of(source)
        rate = arrays.whole_rate(sample_rate)
        pieces = (samples[:, i : i + decoding.BLOCK] for i in range(0, samples.shape[1], decoding.BLOCK))
        yield Opened("array", rate, len(samples), samples.shape[1], "pcm", False, pieces, notes)
    else:
        raise AudioError(f"{type(source).__name__} is nothing that holds a sound; pass a path, a file object, or samples with their rate.")


def several(sources: Any) -> Iterable[Any]:
    """One source or several, as an iterable of sources: a list of numbers is one sound, a Series or array of paths is several."""
    if isinstance(sources, list | tuple | range) or (hasattr(sources, "__array__") and hasattr(sources, "__len__")):
        first = next(iter(sources), None) if len(sources) else None
        if arrays.is_number(first) and not (isinstance(sources, tuple) and len(sources) == 2):
            return [sources]  # numbers, whatever else is among them: one sound
    single = isinstance(sources, str | os.PathLike | bytes | bytearray | memoryview | Mapping) or hasattr(sources, "read")
    if single or arrays.is_array(sources) or arrays.with_rate(sources, None)[0] is not sources:
        return [sources]
    if not isinstance(sources, Iterable):
        raise AudioError(f"{type(sources).__name__} is nothing that holds sounds; pass a path, a sound, or a list of them.")
    return sources


def shown(path: str | os.PathLike) -> str:
    """A path as text that can be written anywhere: bytes of its name that are not UTF-8, and control characters, by which a name could
    command a terminal, appear as \\xNN.

    Returns
    -------
    The path as text.
    """
    return re.sub(r"[\x00-\x1f\x7f-\x9f]", lambda c: f"\\x{ord(c[0]):02x}", os.fsencode(path).decode("utf-8", "backslashreplace"))


def name_of(source: Any) -> str:
    """What messages and tables call a source: its path, or "file object" or "array"."""
    if isinstance(source, str | os.PathLike):
        return shown(source)
    if isinstance(source, Mapping) and isinstance(source.get("path"), str | os.PathLike) and source["path"]:
        return shown(source["path"])
    if hasattr(source, "read"):
        name = getattr(source, "name", None)
        return shown(name) if isinstance(name, str) else "file object"
    return "array" if arrays.is_array(source) or hasattr(source, "ndim") or isinstance(source, tuple | Mapping) else type(source).__name__


def _open_path(path: str | os.PathLike) -> BinaryIO:
    name = shown(path)
    try:
        found = Path(path).stat()
        if not stat.S_ISREG(found.st_mode):  # before it is opened: a pipe would wait for a writer
            raise AudioError(f"{name}: not a file but a {'folder' if stat.S_ISDIR(found.st_mode) else 'pipe or device'}.")
        return Path(path).open("rb", buffering=0)  # two readers of one descriptor must not have a buffer between them
    except FileNotFoundError as e:
        where = "; addresses are not fetched" if "://" in name else ""
        raise AudioError(f"{name}: no such file{where}.") from e
    except OSError as e:
        raise AudioError(f"{name[:200]}: cannot be read ({e.strerror}).") from e
    except ValueError as e:  # a NUL in the name
        raise AudioError(f"{name!r}: not the name of a file ({e}).") from e


TEXT = 'opened as text; open it with mode "rb"'


def _seekable(source: Any) -> tuple[File, int]:
    try:
        if not (hasattr(source, "seek") and hasattr(source, "seekable") and source.seekable()):  # a memory map does not say where it is
            pieces = []  # it may hand its bytes out in pieces
            while piece := source.read():
                if isinstance(piece, str):
                    raise AudioError(f"{name_of(source)}: {TEXT}.")
                pieces.append(piece)
            source = io.BytesIO(b"".join(pieces))
        source.seek(0, 2)
        size = source.tell()
        source.seek(0)
        content = source.read(0)
    except (*UNREADABLE, ValueError, TypeError, AttributeError) as e:
        raise AudioError(f"{name_of(source)}: cannot be read ({e}).") from e
    if isinstance(content, str):
        raise AudioError(f"{name_of(source)}: {TEXT}.")
    return source, size


def _from_file(file: File, name: str, size: int, ending: str) -> Opened:
    if size == 0:
        raise AudioError(f"{name}: the file is empty.")
    try:
        head = read_at(file, 0, kinds.HEAD)
        kind = kinds.kind_of(head, partial(read_at, file))
        tag = kinds.id3_end(head, partial(read_at, file))
    except UNREADABLE as e:
        raise AudioError(f"{name}: cannot be read ({e}).") from e
    remarks: list[str] = []
    known = kind in (kinds.MP3, kinds.AAC) and tag == kinds.id3_length(head)  # their decoders know one tag
    if tag and isinstance(kind, kinds.Kind) and not known:
        file, size = decoding.View(file, tag, size - tag), size - tag
    if isinstance(kind, str):
        headerless = kinds.HEADERLESS.get(ending)
        if headerless is None or kinds.is_known(kind):
            advice = "; pass its samples as an array with their rate" if ending in (".raw", ".pcm", ".sln", ".ul", ".al") else ""
            raise AudioError(f"{name}: this is {kind}{advice}.")
        kind = headerless
        remarks.append(f"no signature, read as {kind.name} by the ending of its name")
    layout = containers.inspect(file, size, kind, name)
    facts, blocks = decoding.decoder(file, kind, layout, name, layout.notes)
    return Opened(name, facts.sample_rate, facts.channels, facts.frames, facts.codec, facts.lossy, blocks, layout.notes, remarks)


def load_mono(path: Path, sample_rate: int, channel: ChannelName = "mean") -> np.ndarray:
    """One channel (samples,) of a file at `sample_rate` Hz, as the encoders take it; left and right of a mono file are its one channel."""
    sound = load(path, channel="all")
    sound = mixed(sound, "mean" if channel == "mean" or len(sound.waveform) == 1 else ("left", "right").index(channel), shown(path))
    return resample(sound.waveform, sound.sample_rate, sample_rate)[0]
