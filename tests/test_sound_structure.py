"""What containers promise: holes, lost fragments, a second file inside, sizes that were never written, samples narrower than their bytes."""

import gzip
import io
import struct

import av
import numpy as np
import pytest
import torch

from sqa_core import audio
from sqa_core.errors import AudioError

from .test_sound_in import (
    INTEGERS,
    NOISY,
    RATE,
    SAMPLES,
    encoded,
    mp3_frames,
    ogg_pages,
    read,
    said_of,
    soundfile_bytes,
    wav,
    with_last_position,
)

LONG = np.tile(NOISY, 4)
FRAGMENTS = {"movflags": "frag_keyframe+empty_moov+default_base_moof", "frag_duration": "500000"}


def notes_of(content):
    return " ".join(read(io.BytesIO(content))[1])


def holed(content, start=0.5, end=1.0):
    """A file whose bytes from one share of it to another are zeros, as a download leaves them that was cut or resumed wrongly."""
    a, b = (round(share * len(content)) for share in (start, end))
    return content[:a] + bytes(b - a) + content[b:]


HOLES = {
    "webm without a duration": (encoded("libopus", "webm", LONG, 48_000, options={"live": "1"}), 0.5, 1.0),
    "webm without a duration, a small hole": (encoded("libopus", "webm", LONG, 48_000, options={"live": "1"}), 0.3, 0.35),
    "opus in mp4": (encoded("libopus", "mp4", LONG, 48_000, options={"movflags": "faststart"}), 0.5, 1.0),
    "amr in 3gp": (encoded("libopencore_amrnb", "3gp", LONG, 8000, options={"movflags": "faststart"}), 0.5, 1.0),
    "opus in fragments": (encoded("libopus", "mp4", LONG, 48_000, options=FRAGMENTS), 0.5, 1.0),
    "tta": (encoded("tta", "tta", NOISY), 0.5, 0.52),
    "a little of much webm": (encoded("libopus", "webm", np.tile(LONG, 4), 48_000), 0.4, 0.41),
}


@pytest.mark.parametrize("name", HOLES)
def test_a_hole_is_never_passed_over(name):
    content, start, end = HOLES[name]
    assert notes_of(content) == "", "the control: a whole file has no note"
    assert any(
        word in said_of(holed(content, start, end)) for word in ("damaged", "cut short", "left out", "are there", "marked as damaged")
    )


def boxes(content):
    position, found = 0, []
    while position < len(content):
        length = int.from_bytes(content[position : position + 4], "big")
        found.append(content[position : position + length])
        position += length
    return found


def test_fragments_that_are_lost_leave_a_note():
    content = encoded("aac", "mp4", NOISY, 48_000, options=FRAGMENTS)
    parts = boxes(content)
    assert [part[4:8] for part in parts[2:6]] == [b"moof", b"mdat"] * 2
    assert notes_of(content) == ""
    assert "fragments' numbers jump" in notes_of(b"".join(parts[:6] + parts[8:]))
    assert "fragments' numbers jump" in notes_of(b"".join(parts[:6] + parts[4:6] + parts[2:4] + parts[6:]))


class Pipe(io.RawIOBase):
    """A place to write to where nothing can be gone back to."""

    def __init__(self):
        self.content = bytearray()

    def writable(self):
        return True

    def write(self, data):
        self.content += data
        return len(data)


def piped(codec, container, samples=NOISY, rate=48_000):
    """As a recorder writes that was killed, or wrote into a pipe: no size in its header was ever filled in."""
    pipe = Pipe()
    with av.open(pipe, "w", format=container) as out:
        stream = out.add_stream(codec, rate=rate, layout="mono")
        size = stream.codec_context.frame_size or 1024
        for start in range(0, len(samples) - size, size):
            part = np.ascontiguousarray(samples[None, start : start + size])
            form = stream.format.name
            if form.startswith("s16"):
                part = np.round(part * 32767).astype(np.int16)
            frame = av.AudioFrame.from_ndarray(part, format=form, layout="mono")
            frame.sample_rate, frame.pts = rate, start
            out.mux(stream.encode(frame))
        out.mux(stream.encode(None))
    return bytes(pipe.content)


@pytest.mark.parametrize(("codec", "container"), [("aac", "flv"), ("pcm_s16le", "avi"), ("pcm_s16le", "w64"), ("adpcm_ima_wav", "wav")])
def test_what_was_written_to_a_pipe_is_read_and_its_cut_seen(codec, container):
    content = piped(codec, container)
    waveform, notes, _ = read(io.BytesIO(content))
    assert waveform.shape[1] == pytest.approx(len(NOISY), abs=5000)
    if container in ("flv", "avi"):
        assert "cut short" in said_of(content[: int(0.62 * len(content)) | 1])
    else:
        assert "(a stream)" in " ".join(notes)


def test_a_programme_stream_that_ends_inside_a_packet_says_so():
    content = encoded("mp2", "mpeg", NOISY, 48_000)
    assert "ends inside a packet" in said_of(content[: len(content) // 2])


TWICE = {
    "aiff": soundfile_bytes("AIFF", "PCM_16"),
    "w64": soundfile_bytes("W64", "PCM_16"),
    "nist": soundfile_bytes("NIST", "PCM_16"),
    "caf": soundfile_bytes("CAF", "PCM_16"),
    "svx": soundfile_bytes("SVX", "PCM_16"),
    "mp4": encoded("aac", "mp4"),
    "fragments": encoded("aac", "mp4", options=FRAGMENTS),
    "mka": encoded("flac", "matroska"),
    "webm": encoded("libopus", "webm", rate=48_000),
    "wavpack": encoded("wavpack", "wv"),
    "flv": encoded("aac", "flv", rate=44_100),
    "wma": encoded("wmav2", "asf"),
    "avi": encoded("pcm_s16le", "avi"),
}


@pytest.mark.parametrize("kind", TWICE)
@pytest.mark.parametrize("second", ["itself", "wav"])
def test_a_second_file_behind_the_first_is_refused(kind, second):
    content = TWICE[kind]
    assert read(io.BytesIO(content))[0].shape[1] > 0, "the control: one file"
    assert "several sounds" in said_of(content + (content if second == "itself" else wav()))


def test_a_second_file_behind_a_wav_is_refused():
    for after in (soundfile_bytes("FLAC", "PCM_16"), encoded("aac", "mp4")):
        assert "several sounds" in said_of(wav() + after)


NARROW = {  # bits, and bytes of a sample whose upper part holds them
    (24, 4): INTEGERS.astype("<i4") << 16,
    (20, 4): INTEGERS.astype("<i4") << 16,
    (12, 2): INTEGERS >> 4 << 4,
}


@pytest.mark.parametrize(("bits", "width"), NARROW)
def test_samples_of_fewer_bits_than_their_bytes(bits, width):
    samples = NARROW[bits, width]
    content = bytearray(wav(samples.tobytes(), bits=8 * width))
    content[34:36] = struct.pack("<H", bits)
    waveform, notes, _ = read(io.BytesIO(content))
    assert np.array_equal(waveform[0], samples / np.float32(2 ** (8 * width - 1)))
    assert ("the upper bits were read" in " ".join(notes)) == (bits <= 8 * (width - 1))
    caf = b"caff\0\1\0\0" + caf_chunk(b"desc", struct.pack(">d4s5I", float(RATE), b"lpcm", 2, width, 1, 1, bits))
    waveform, *_ = read(io.BytesIO(caf + caf_chunk(b"data", bytes(4) + samples.tobytes())))
    assert np.array_equal(waveform[0], samples / np.float32(2 ** (8 * width - 1)))


def test_a_wrong_block_size_is_outvoted():
    """Bits and bytes a second agree, and so the size of a block is wrong."""
    content = bytearray(wav())
    content[32:34] = struct.pack("<H", 4)
    waveform, notes, _ = read(io.BytesIO(content))
    assert np.array_equal(waveform[0], SAMPLES)
    assert notes == []


def caf_chunk(name, content, size=None):
    return name + struct.pack(">q", len(content) if size is None else size) + content


@pytest.mark.parametrize("promised", [0, 4, 4 + 2 * 2000, 4 + 2 * 20_000, -1])
def test_a_caf_whose_size_was_never_written_is_read_to_its_end(promised):
    head = b"caff\0\1\0\0" + caf_chunk(b"desc", struct.pack(">d4s5I", float(RATE), b"lpcm", 2, 2, 1, 1, 16))
    waveform, notes, _ = read(io.BytesIO(head + caf_chunk(b"data", bytes(4) + INTEGERS.tobytes(), promised)))
    assert np.array_equal(waveform[0], SAMPLES)
    assert (promised == -1) == (notes == [])
    with_more = head + caf_chunk(b"data", bytes(4) + INTEGERS.tobytes()) + caf_chunk(b"free", bytes(100))
    assert read(io.BytesIO(with_more))[1] == []


def test_an_aiff_goes_by_its_coding_and_not_by_its_bits():
    content = bytearray(soundfile_bytes("AIFF", "PCM_24"))
    whole = read(io.BytesIO(content))[0]
    common = content.index(b"COMM")
    form = content[common + 8 : common + 26]
    form[6:8] = struct.pack(">h", 16)
    body = b"COMM" + struct.pack(">I", 24) + form + b"in24\0\0" + content[content.index(b"SSND") :]
    waveform, *_ = read(io.BytesIO(b"FORM" + struct.pack(">I", len(body) + 4) + b"AIFC" + body))
    assert np.array_equal(waveform, whole)


def test_wav_headers_that_contradict_themselves():
    form = struct.pack("<IHHIIHH", 16, 1, 1, 8000, 16_000, 2, 16)
    assert "twice, and differently" in said_of(wav(before=b"fmt " + form))
    for content in (wav(after=b"data" + bytes(4)), wav()[:36] + b"data" + bytes(4) + wav()[36:]):
        assert np.array_equal(read(io.BytesIO(content))[0][0], SAMPLES), "an empty chunk of samples is none"
    short = bytearray(wav())
    short[40:44] = struct.pack("<I", 2 * len(SAMPLES) - 1)
    assert read(io.BytesIO(short))[0].shape[1] == len(SAMPLES)


@pytest.mark.parametrize("subtype", ["MS_ADPCM"])
def test_blocks_of_adpcm_end_where_the_header_says(subtype):
    """The last block is filled up."""
    assert read(io.BytesIO(soundfile_bytes("WAV", subtype)))[0].shape[1] == len(SAMPLES)


@pytest.mark.parametrize(("subtype", "rate", "before"), [("VORBIS", RATE, 0), ("OPUS", 48_000, 312)])
def test_a_position_wrong_by_less_than_half_a_second_is_seen(subtype, rate, before):
    content = with_last_position(soundfile_bytes("OGG", subtype), 3 * rate + before - 7000)
    waveform, notes, _ = read(io.BytesIO(content))
    assert waveform.shape[1] >= 3 * rate
    assert "wrong end" in " ".join(notes)


def test_pages_that_are_repeated_are_counted():
    pages = ogg_pages(soundfile_bytes("OGG", "OPUS", np.tile(SAMPLES, 4)))
    assert "repeated or out of order (1)" in notes_of(b"".join([*pages[:4], pages[3], *pages[4:]]))


def test_channels_that_cancel_beside_a_constant_or_for_a_while():
    with pytest.raises(AudioError, match="cancel"):
        audio.load(np.stack([SAMPLES + 0.2, 0.2 - SAMPLES]), RATE)
    half = np.where(np.arange(len(SAMPLES)) < len(SAMPLES) // 2, -1, 1) * SAMPLES
    with audio.opened(np.stack([SAMPLES, half]), RATE) as sound:
        sound.read("mean")
        assert "the channels cancel for 1." in " ".join(sound.remarks)
    with audio.opened(np.stack([SAMPLES, SAMPLES]), RATE) as sound:
        sound.read("mean")
        assert sound.remarks == ["2 channels mixed to one"], "the control"


def test_a_constant_and_near_silence_are_named():
    for samples, words in ((np.full(RATE, 0.3), "one constant value"), (1e-6 * SAMPLES, "nearly silent"), (SAMPLES, "")):
        with audio.opened(samples, RATE) as sound:
            sound.read("mean")
            assert words in " ".join(sound.remarks)
            assert bool(words) == bool(sound.remarks)


class Pieces(io.BytesIO):
    """A file object that hands out a thousand bytes at most."""

    def read(self, size=-1):
        return super().read(min(size, 1000) if size and size > 0 else 1000)


class OneWay(Pieces):
    def seekable(self):
        return False


@pytest.mark.parametrize(
    "content", [wav(), soundfile_bytes("OGG", "VORBIS"), soundfile_bytes("FLAC", "PCM_16")], ids=["wav", "ogg", "flac"]
)
def test_file_objects_that_read_in_pieces(content):
    whole = read(io.BytesIO(content))[0]
    assert np.array_equal(read(Pieces(content))[0], whole)
    assert np.array_equal(read(OneWay(content))[0], whole)


class Failing(io.BytesIO):
    def read(self, size=-1):
        if self.tell() > 5000:
            raise OSError("the connection is gone")
        return super().read(size)


class Endless(io.RawIOBase):
    """A text stream that cannot be gone back in, at its end."""

    def read(self, size=-1):
        return ""

    def seekable(self):
        return False


@pytest.mark.parametrize(
    "source",
    [
        torch.from_numpy(SAMPLES).to_sparse(),
        torch.empty(9, device="meta"),
        {"bytes": "abc"},
        {"bytes": np.zeros(9, np.uint8)},
        gzip.GzipFile(fileobj=io.BytesIO(gzip.compress(wav())[:9000])),
        Failing(wav()),
        Failing(soundfile_bytes("OGG", "VORBIS", LONG)),
        Failing(mp3_frames(soundfile_bytes("MP3", "MPEG_LAYER_III", LONG))),
        Endless(),
        np.zeros((0, 5)),
    ],
    ids=["sparse", "meta", "text", "array", "gzip", "failing wav", "failing ogg", "failing mp3", "text stream", "no channels"],
)
def test_what_cannot_be_read_is_one_sentence(source):
    with pytest.raises(AudioError) as e:
        audio.load(source, RATE if isinstance(source, torch.Tensor | np.ndarray) else None)
    assert str(e.value).endswith(".")
    assert "\n" not in str(e.value)
    if isinstance(source, Failing):
        assert "the connection is gone" in str(e.value)


def test_what_is_no_rate():
    for rate in (10**400, "x"):
        with pytest.raises(AudioError, match="rate"):
            audio.load((SAMPLES, RATE), rate)
    for rate in (10**400, np.array([1, 2]), "16000", True):
        with pytest.raises(AudioError, match="rate"):
            audio.load((rate, SAMPLES) if isinstance(rate, np.ndarray) else SAMPLES, rate)


HARMLESS = {  # whole files with what writers and phones put after their sound
    "mp4 with vendor boxes": encoded("aac", "mp4") + struct.pack(">I", 1000) + b"sefd" + bytes(992),
    "mp4 with a free box": encoded("aac", "mp4") + struct.pack(">I", 100) + b"free" + bytes(92),
    "mp4 with a last box without a size": encoded("aac", "mp4") + bytes(4) + b"free" + bytes(500),
    "flv without its last length": encoded("aac", "flv", rate=44_100)[:-4],
    "flv with zeros": encoded("aac", "flv", rate=44_100) + bytes(64),
    "mpeg with zeros": encoded("mp2", "mpeg", rate=48_000) + bytes(2048),
    "ac3 with a tag": encoded("ac3", "ac3", rate=48_000) + b"TAG" + bytes(125),
    "stereo adpcm": soundfile_bytes("WAV", "IMA_ADPCM", np.stack([SAMPLES, SAMPLES], axis=1)),
}


@pytest.mark.parametrize("name", HARMLESS)
def test_what_follows_a_whole_sound_is_no_matter(name):
    waveform, notes, _ = read(io.BytesIO(HARMLESS[name]))
    assert waveform.shape[1] >= 0.97 * 3 * RATE
    assert notes == []
