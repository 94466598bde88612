"""From an open file to blocks of samples: libsndfile for what is coded without loss or by G.711, FFmpeg for everything else.

One codec has one decoder, whatever the container, so that the same packets give the same samples.
"""

import io
import logging
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import numpy as np

from ..errors import AudioError
from . import kinds
from .account import Account
from .layout import UNREADABLE, File, Layout, Part, Raw, read_at

BLOCK = 1 << 18  # samples of all channels read at a time: 1 MB
MAX_SECONDS = 12 * 3600  # a header can promise anything; half a day is more than any use here
UNKNOWN_LENGTH = 1 << 40  # frames: libsndfile's number for "the header does not say" is near 2**63

OWN_CODECS = {"G721_32", "G723_24", "G723_40"}  # of libsndfile: FFmpeg's G.726 reads their bits in another order
CHECKED = ("wavpack", "flac", "tta")  # FFmpeg's names of codecs whose frames carry a checksum, which it ignores unless it is told
# Of containers that say where the sound ends, to the sample, with the codecs of which FFmpeg does not get it right.
POSITIONED = {"ogg": ("vorbis", "opus", "libopus"), "caf": ("alac",), "wav": ("adpcm_ima_wav", "adpcm_ms")}
LOSSLESS = {"PCM_S8", "PCM_U8", "PCM_16", "PCM_24", "PCM_32", "FLOAT", "DOUBLE", "ULAW", "ALAW", "ALAC_16", "ALAC_20", "ALAC_24", "ALAC_32"}
# Names of FFmpeg's decoders that lose nothing; G.711 counts as telephone PCM, and is named as the codec it is.
LOSSLESS_AV = ("pcm_", "flac", "alac", "wavpack", "ape", "tta", "shorten", "mp4als", "truehd", "mlp", "tak", "dsd")
CODECS = {"mp3float": "mp3", "libopus": "opus", "amrnb": "amr-nb", "amrwb": "amr-wb", "adpcm_g722": "g722", "gsm_ms": "gsm"}


class Facts(NamedTuple):
    """What a decoder knows before the end: rate in Hz, channels, frames that the header promises (None: it does not say), codec."""

    sample_rate: int
    channels: int
    frames: int | None
    codec: str
    lossy: bool


class NotForThisReader(Exception):
    """libsndfile does not read this; FFmpeg is asked."""


def decoder(file: File, kind: kinds.Kind, layout: Layout, name: str, notes: list[str]) -> tuple[Facts, Iterator[np.ndarray]]:
    """Facts of an open file and its samples in blocks (channels, n), float32. What is noticed on the way goes into `notes`.

    Parameters
    ----------
    file : Open, at its beginning.
    kind, layout : As `kinds.kind_of` and `containers.inspect` give them.
    name : Of the sound, for messages.
    notes : A list that grows.

    Returns
    -------
    The facts, and an iterator of blocks.

    Raises
    ------
    AudioError
        No decoder reads it; or, while the blocks are read, it is damaged or shorter than it promises.
    """
    try:
        return _decoder(file, kind, layout, name, notes)
    except NotForThisReader as e:
        raise AudioError(f"{name}: its {kind.name} header gives a rate, channels or a coding that cannot be read.") from e


def _decoder(file: File, kind: kinds.Kind, layout: Layout, name: str, notes: list[str]) -> tuple[Facts, Iterator[np.ndarray]]:
    if layout.raw:
        return _soundfile(file, layout.raw, name)
    if kind.soundfile or layout.trusted:
        try:
            return _soundfile(file, None, name)
        except NotForThisReader:
            if layout.fallback:
                return _soundfile(file, layout.fallback, name)
    try:
        return _av(file, kind, layout, name, notes)
    except AudioError:
        if kind.soundfile:
            try:
                return _soundfile(file, None, name, lossy=True)
            except NotForThisReader:
                pass
        raise


def _soundfile(file: File, raw: Raw | None, name: str, *, lossy: bool = False) -> tuple[Facts, Iterator[np.ndarray]]:
    import soundfile

    file.seek(0)
    view: View | None = None
    try:
        if raw:
            view = View(file, raw.offset, raw.length)
            settings = {"format": "RAW", "subtype": raw.subtype, "endian": raw.endian}
            sound = soundfile.SoundFile(view, samplerate=raw.sample_rate, channels=raw.channels, **settings)
        else:
            # By its descriptor: libsndfile then goes by the first bytes alone, and knows no name that could mislead it.
            source = _descriptor(file)
            view = source[0] if isinstance(source[0], View) else None
            sound = soundfile.SoundFile(*source)
    except (soundfile.LibsndfileError, RuntimeError, ValueError, TypeError) as e:
        raise NotForThisReader from e
    streamed = raw is None and sound.frames >= UNKNOWN_LENGTH
    if streamed or (sound.subtype not in LOSSLESS | OWN_CODECS and not lossy):
        sound.close()
        raise NotForThisReader
    seconds = sound.frames / max(1, sound.samplerate)
    if seconds > MAX_SECONDS:
        sound.close()
        raise AudioError(f"{name}: claims to be {seconds / 3600:.0f} hours long; cut it first.")
    codec = {"ULAW": "pcm_mulaw", "ALAW": "pcm_alaw"}.get(sound.subtype, "pcm" if sound.subtype in LOSSLESS else sound.subtype.lower())
    frames = sound.frames
    facts = Facts(sound.samplerate, sound.channels, frames, codec, codec != "pcm")

    def blocks() -> Iterator[np.ndarray]:
        read = 0
        with sound:
            try:
                while len(block := sound.read(max(1, BLOCK // facts.channels), dtype="float32", always_2d=True)):
                    read += len(block)
                    yield np.ascontiguousarray(block.T)
            except (soundfile.LibsndfileError, RuntimeError) as e:
                if view:
                    view.check(name)
                where = f"at {read / facts.sample_rate:.2f} s of {frames / facts.sample_rate:.2f} s"
                raise AudioError(f"{name}: cut short or damaged, reading stopped {where}; fetch it again.") from e
        if view:
            view.check(name)
        if read < frames:
            missing = (frames - read) / facts.sample_rate
            raise AudioError(f"{name}: cut short, {missing:.2f} s that its header promises are missing; fetch it again.")

    return facts, blocks()


def _descriptor(file: File) -> tuple[Any, ...]:
    if type(file) is io.FileIO:  # opened here, without a buffer. The descriptor of another file object may have other content: gzip's.
        file.seek(0)
        return file.fileno(), "r", None, None, None, None, None, False
    return (View(file, 0, file.seek(0, 2)),)


class View(io.RawIOBase):
    """A part of a file as a file of its own."""

    def __init__(self, file: File, offset: int, length: int) -> None:
        self.file, self.offset, self.length, self.position = file, offset, length, 0
        self.error: BaseException | None = None

    def check(self, name: str) -> None:
        """Raises AudioError if a read failed."""
        if self.error:
            raise AudioError(f"{name}: cannot be read ({self.error}).") from self.error

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        return self.position

    def seek(self, position: int, whence: int = 0) -> int:
        self.position = max(0, position + (0, self.position, self.length)[whence])
        return self.position

    def read(self, size: int = -1) -> bytes:
        left = max(0, self.length - self.position)
        try:
            data = read_at(self.file, self.offset + self.position, left if size is None or size < 0 else min(size, left))
        except UNREADABLE as e:  # an exception cannot pass a decoder in C: the file ends here, and `check` tells
            self.error, data = e, b""
        self.position += len(data)
        return data

    def readinto(self, buffer: Any) -> int:
        data = self.read(len(buffer))
        buffer[: len(data)] = data
        return len(data)


def _av(file: File, kind: kinds.Kind, layout: Layout, name: str, notes: list[str]) -> tuple[Facts, Iterator[np.ndarray]]:
    parts = layout.parts or [Part(0, file.seek(0, 2))]
    found: list[Facts] = []
    blocks = _frames_of(file, kind, parts, layout.frames, name, notes, found)
    first = next(blocks, None)  # the rate is that of the decoded samples, which a header may get wrong
    if not found:
        raise AudioError(f"{name}: the file holds no samples.")

    def all_blocks() -> Iterator[np.ndarray]:
        if first is not None:
            yield first
        yield from blocks

    return found[0], all_blocks()


def _frames_of(
    file: File, kind: kinds.Kind, parts: list[Part], promised: int | None, name: str, notes: list[str], found: list[Facts]
) -> Iterator[np.ndarray]:
    """Blocks of all parts; the facts go into `found` with the first of them. promised : what the header says, as in `Layout`."""
    import av

    logging.getLogger("libav").setLevel(logging.CRITICAL)
    held: list[np.ndarray] = []
    n_held = total = 0
    for part in parts:
        for samples, rate, codec in _decoded(av, file, part, kind, promised, name, notes):
            if not found:
                lossy = not codec.startswith(LOSSLESS_AV) or codec in ("pcm_mulaw", "pcm_alaw")
                found.append(Facts(rate, len(samples), None, CODECS.get(codec, codec.removesuffix("float")), lossy))
            facts = found[0]
            if (rate, len(samples)) != (facts.sample_rate, facts.channels):
                raise AudioError(
                    f"{name}: changes from {facts.channels} channels at {facts.sample_rate} Hz to {len(samples)} at {rate} Hz "
                    f"after {total / facts.sample_rate:.2f} s; split it there."
                )
            held.append(samples)
            n_held += samples.size
            total += samples.shape[1]
            if total > MAX_SECONDS * rate:
                raise AudioError(f"{name}: longer than {MAX_SECONDS // 3600} hours; cut it first.")
            if n_held >= BLOCK:
                yield np.concatenate(held, axis=1)
                held, n_held = [], 0
    if held:
        yield np.concatenate(held, axis=1)
    if found and promised and kind is not kinds.MP3 and total != promised:
        seconds = f"{promised / found[0].sample_rate:.2f} s", f"{total / found[0].sample_rate:.2f} s"
        if total < promised:
            raise AudioError(f"{name}: cut short or damaged, {seconds[1]} of its {seconds[0]} are there; fetch it again.")
        notes.append(f"its header says {seconds[0]}, {seconds[1]} are there; all of it was read")


def _decoded(
    av: Any, file: File, part: Part, kind: kinds.Kind, promised: int | None, name: str, notes: list[str]
) -> Iterator[tuple[np.ndarray, int, str]]:
    """(samples, rate, codec) of each decoded frame of the first audio stream. FFmpeg is told the format: it does not guess."""
    view = View(file, part.begin, part.end - part.begin)
    try:
        # A playlist or script could make FFmpeg open other files or addresses; a forced format and no protocol leave it none.
        with av.open(view, format=kind.demuxer, options={"protocol_whitelist": ""}, metadata_errors="replace") as container:
            if not container.streams.audio:
                raise AudioError(f"{name}: holds no sound ({kind.name}).")
            if len(container.streams.audio) > 1:
                notes.append(f"the first of its {len(container.streams.audio)} sound tracks was read")
            stream = container.streams.audio[0]
            if stream.codec_context is None:
                raise AudioError(f"{name}: this {kind.name} file is coded in a way for which there is no decoder here.")
            codec = stream.codec_context.name
            if codec in CHECKED:
                stream.codec_context.options = {"err_detect": "crccheck+explode"}
            account = Account(container, stream, kind, promised, av.time_base)
            ends = part.length is not None and codec in POSITIONED.get(kind.demuxer, ())
            frames = _frames(av, stream, part if ends else None, notes)
            for packet in container.demux(stream):
                account.packet(packet)
                try:
                    for samples, rate in frames(packet):
                        account.seconds += samples.shape[1] / rate
                        yield samples, rate, codec
                    account.decoded(packet)
                except (av.error.InvalidDataError, av.error.PermissionError):  # FFmpeg's AAC decoder answers some damage with EPERM
                    account.failed()
    except (av.FFmpegError, ValueError, LookupError, OSError, NotImplementedError) as e:  # LookupError: a stream that appears later
        view.check(name)
        raise AudioError(f"{name}: this {kind.name} file cannot be decoded ({type(e).__name__}); it may be damaged.") from e
    view.check(name)
    notes += account.closed(name)


def _frames(av: Any, stream: Any, part: Part | None, notes: list[str]) -> Callable[[Any], Iterator[tuple[np.ndarray, int]]]:
    """From a packet to its frames: float32 (channels, n), and the rate in Hz.

    part : with Vorbis or Opus in Ogg, or ALAC in CAF. FFmpeg takes the start from the first page, gets some wrong, cuts off whatever lies
    behind the last page's position, and cuts the end of ALAC off twice; so nothing is left to it: what stands before the sound is
    dropped, and its length is the container's. A length that would cut more than two blocks off is wrong, and is not believed.
    """
    resampler, form = av.AudioResampler(format="fltp"), None
    ahead, left = (part.before or 0, max(0, part.length or 0)) if part else (0, 0)
    first_block = part is not None and part.before is None
    beyond: list[np.ndarray] = []  # samples after the end
    longest = 0  # of the blocks so far
    if part:
        stream.codec_context.flags2 |= av.codec.context.Flags2.skip_manual

    def frames(packet: Any) -> Iterator[tuple[np.ndarray, int]]:
        nonlocal resampler, form, first_block, ahead, left, longest
        for frame in packet.decode():
            if form not in (None, (frame.layout.name, frame.sample_rate)):
                resampler = av.AudioResampler(format="fltp")
            form = frame.layout.name, frame.sample_rate
            if first_block:
                first_block = False
                continue
            for planar in resampler.resample(frame):
                samples = planar.to_ndarray()
                longest = max(longest, samples.shape[1])
                samples, ahead = samples[:, ahead:], max(0, ahead - samples.shape[1])
                if part and left >= 0:
                    samples, after = samples[:, :left], samples[:, left:]
                    left -= samples.shape[1]
                    if after.shape[1]:
                        beyond.append(after)
                    if sum(one.shape[1] for one in beyond) > 2 * longest:
                        left = -1
                        samples = np.concatenate([samples, *beyond], axis=1)
                        notes.append("its header gives a wrong end; all of its sound was read")
                if samples.shape[1]:
                    yield samples, planar.sample_rate

    return frames
