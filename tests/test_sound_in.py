"""Sounds as recorders, encoders, phones and broken downloads leave them: the right samples, a note, or one sentence."""

import io
import struct
import tempfile
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
import soundfile

from sqa_core import audio
from sqa_core.errors import AudioError

RATE = 16_000
INTEGERS = np.round(12_000 * np.sin(np.arange(3 * RATE) / 9) * np.hanning(3 * RATE)).astype("<i2")
SAMPLES = INTEGERS / np.float32(32768)


def read(path):
    """(waveform of all channels, notes) of a file or file object."""
    with audio.opened(path) as sound:
        waveform = sound.read("all").waveform
        return waveform, sound.repairs + sound.remarks, sound


def wav(
    data=INTEGERS.tobytes(), *, data_size=None, riff_size=None, before=b"", after=b"", bits=16, channels=1, kind=1, rate=RATE, magic=b"RIFF"
):
    block = channels * bits // 8
    form = struct.pack("<HHIIHH", kind, channels, rate, rate * block, block, bits)
    body = b"WAVE" + before + b"fmt " + struct.pack("<I", 16) + form
    body += b"data" + struct.pack("<I", len(data) if data_size is None else data_size) + data + after
    return magic + struct.pack("<I", len(body) if riff_size is None else riff_size) + body


def chunk(name, content):
    return name + struct.pack("<I", len(content)) + content


ALL = len(INTEGERS) * 2
WRONG_HEADERS = {
    "RIFF size is the file's size": (wav(riff_size=44 + ALL), "RIFF header"),
    "sizes of zero": (wav(data_size=0, riff_size=0), "its header says 0.00 s"),
    "a recorder was killed, with a JUNK chunk": (wav(data_size=0, riff_size=4088, before=chunk(b"JUNK", bytes(4040))), "says 0.00 s"),
    "a size that was written once and never again": (wav(data_size=RATE), "its header says 0.50 s, 3.00 s are there"),
    "a stream: 0xFFFFFFFF": (wav(data_size=0xFFFFFFFF, riff_size=0xFFFFFFFF), "no length (a stream)"),
    "a stream: 0x7FFFFFFF": (wav(data_size=0x7FFFFFFF - 36, riff_size=0x7FFFFFFF), "no length (a stream)"),
    "a stream: 0x80000000": (wav(data_size=0x80000000, riff_size=0x80000024), "no length (a stream)"),
    "the data's size counts the header": (wav(data_size=ALL + 44, riff_size=ALL + 44), "counts itself"),
    "the data's size counts 36 bytes": (wav(data_size=ALL + 36), "counts itself"),
}


@pytest.mark.parametrize("name", WRONG_HEADERS)
def test_samples_are_believed_and_not_the_header(tmp_path, name):
    content, note = WRONG_HEADERS[name]
    (tmp_path / "a.wav").write_bytes(content)
    waveform, notes, _ = read(tmp_path / "a.wav")
    assert np.array_equal(waveform[0], SAMPLES)
    assert any(note in n for n in notes)
    with pytest.warns(audio.AudioWarning, match="a.wav"):
        audio.load(tmp_path / "a.wav")


RIGHT_HEADERS = {
    "chunks before and after": wav(before=chunk(b"bext", bytes(602)), after=chunk(b"LIST", b"INFOISFT" + bytes(20))),
    "an odd chunk without its padding byte": wav(before=b"note" + struct.pack("<I", 3) + b"abc"),
    "an ID3 tag at the end": wav(after=b"ID3\x04\0\0\0\0\0\x10" + bytes(16)),
    "a last chunk that was cut": wav(after=b"LIST" + struct.pack("<I", 4000) + b"INFO"),
    "a size of 64 bits": wav(
        magic=b"RF64", riff_size=0xFFFFFFFF, data_size=0xFFFFFFFF, before=chunk(b"ds64", struct.pack("<QQQI", ALL + 72, ALL, ALL // 2, 0))
    ),
}


@pytest.mark.parametrize("name", RIGHT_HEADERS)
def test_a_right_header_is_no_matter_for_a_note(tmp_path, name):
    (tmp_path / "a.wav").write_bytes(RIGHT_HEADERS[name])
    waveform, notes, _ = read(tmp_path / "a.wav")
    assert np.array_equal(waveform[0], SAMPLES)
    assert notes == []


def test_sizes_that_wrapped_at_four_gib(tmp_path):
    """41 minutes of 6 channels at 24 bits and 96 kHz, in a sparse file; its header says two seconds."""
    channels, rate = 6, 96_000
    block = channels * 3
    total = (1 << 32) + 2 * rate * block
    header = wav(b"", data_size=total & 0xFFFFFFFF, riff_size=(total + 36) & 0xFFFFFFFF, bits=24, channels=channels, rate=rate)
    with (tmp_path / "long.wav").open("wb") as f:
        f.write(header)
        f.truncate(len(header) + total)
    with audio.opened(tmp_path / "long.wav") as sound:
        assert sound.frames == total // block
        assert next(sound.blocks).shape[0] == channels
        assert any("4 GiB" in note for note in sound.repairs)


def encoded(codec, container, samples=SAMPLES, rate=RATE, channels=1, options=None):
    """A file as FFmpeg writes it."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "x")
        _encode(path, codec, container, samples, rate, channels, options or {})
        return path.read_bytes()


def _encode(path, codec, container, samples, rate, channels, options):
    with av.open(str(path), "w", format=container, options=options) as out:
        stream = out.add_stream(codec, rate=rate)
        stream.layout = "mono" if channels == 1 else "stereo"
        if codec == "wmav2":
            stream.bit_rate = 64_000
        frame = av.AudioFrame.from_ndarray(
            (np.tile(samples, (channels, 1)).T.reshape(1, -1) * 32767).astype(np.int16), format="s16", layout=stream.layout.name
        )
        frame.sample_rate = rate
        frame.time_base = Fraction(1, rate)
        resampler = av.AudioResampler(
            format=stream.format, layout=stream.layout.name, rate=rate, frame_size=stream.codec_context.frame_size or 0
        )
        for part in [*resampler.resample(frame), *resampler.resample(None)]:
            out.mux([packet for packet in stream.encode(part) if packet.size])
        out.mux([packet for packet in stream.encode(None) if packet.size])


def soundfile_bytes(format, subtype, samples=SAMPLES, rate=RATE):
    buffer = io.BytesIO()
    soundfile.write(buffer, samples, rate, format=format, subtype=subtype)
    return buffer.getvalue()


def remuxed(content, container):
    """The same packets in another container."""
    out = io.BytesIO()
    with av.open(io.BytesIO(content)) as source, av.open(out, "w", format=container) as target:
        stream = target.add_stream_from_template(source.streams.audio[0])
        for packet in source.demux(source.streams.audio[0]):
            if packet.dts is not None:
                packet.stream = stream
                target.mux(packet)
    return out.getvalue()


WHOLE = {
    "wav": wav(),
    "aiff": soundfile_bytes("AIFF", "PCM_16"),
    "au": soundfile_bytes("AU", "PCM_16"),
    "caf": soundfile_bytes("CAF", "PCM_16"),
    "w64": soundfile_bytes("W64", "PCM_16"),
    "flac": soundfile_bytes("FLAC", "PCM_16", np.random.default_rng(0).uniform(-0.5, 0.5, 3 * RATE)),
    "ogg": soundfile_bytes("OGG", "VORBIS"),
    "opus": soundfile_bytes("OGG", "OPUS"),
    "m4a": encoded("aac", "mp4"),
    "fast.m4a": encoded("aac", "mp4", options={"movflags": "faststart"}),
    "mka": encoded("flac", "matroska"),
    "webm": encoded("libopus", "webm", rate=48_000),
    "wma": encoded("wmav2", "asf"),
}


@pytest.mark.parametrize("ending", WHOLE)
@pytest.mark.parametrize("share", [0.3, 0.5, 0.95])
def test_a_file_that_broke_off_is_refused_in_every_container(tmp_path, ending, share):
    content = WHOLE[ending]
    path = tmp_path / f"a.{ending}"
    path.write_bytes(content)
    assert abs(read(path)[0].shape[1] / read(path)[2].sample_rate - 3) < 0.15 or ending == "webm"
    path.write_bytes(content[: int(share * len(content))])
    with pytest.raises(AudioError, match="cut short") as raised:
        audio.load(path)
    assert path.name in str(raised.value)


def test_an_mp3_whose_header_counts_more_is_cut(tmp_path):
    content = soundfile_bytes("MP3", "MPEG_LAYER_III")
    path = tmp_path / "a.mp3"
    path.write_bytes(content)
    assert read(path)[0].shape[1] >= 3 * RATE
    path.write_bytes(content[: len(content) // 2])
    with pytest.raises(AudioError, match="cut short"):
        audio.load(path)


def test_an_mp3_from_which_a_tag_was_taken_off_is_whole(tmp_path):
    """Its header counts the tag among its bytes, and all of its frames are there."""
    content = bytearray(soundfile_bytes("MP3", "MPEG_LAYER_III"))
    whole = read(io.BytesIO(content))[0]
    at = content.index(b"Xing" if b"Xing" in content else b"Info")
    assert content[at + 7] & 3 == 3
    (count,) = struct.unpack(">I", content[at + 12 : at + 16])
    content[at + 12 : at + 16] = struct.pack(">I", count + 128)
    assert np.array_equal(read(io.BytesIO(content))[0], whole)
    content[at + 12 : at + 16] = struct.pack(">I", count + 2000)
    with pytest.raises(AudioError, match="cut short"):
        read(io.BytesIO(content))


def mp3_frames(content):
    """Frames of an MP3 without its Xing header, as an encoder writes them to a pipe."""
    from sqa_core.audio import kinds

    position = kinds.id3_length(content)
    position += kinds.frames_start(content[position:], kinds.MPEG)
    first = position + kinds.mpeg_length(content[position : position + 4])
    assert b"Xing" in content[position:first] or b"Info" in content[position:first]
    return content[first:]


def test_an_mp3_from_a_pipe_is_read_to_its_end(tmp_path):
    """Without a Xing header, and with frames of unequal size."""
    loud = np.random.default_rng(0).uniform(-0.5, 0.5, RATE)
    content = mp3_frames(soundfile_bytes("MP3", "MPEG_LAYER_III", np.concatenate([np.zeros(RATE), loud, np.zeros(RATE)])))
    path = tmp_path / "a.mp3"
    path.write_bytes(content)
    assert read(path)[0].shape[1] / RATE == pytest.approx(3, abs=0.15)
    path.write_bytes(content[:-20])
    assert "ends inside a frame" in " ".join(read(path)[1])
    path.write_bytes(content[77:])
    assert "begins inside a frame" in " ".join(read(path)[1])


@pytest.mark.parametrize("subtype", ["VORBIS", "OPUS"])
def test_streams_one_after_another_are_all_read(tmp_path, subtype):
    parts = [soundfile_bytes("OGG", subtype, SAMPLES[i * RATE : (i + 1) * RATE]) for i in range(3)]
    path = tmp_path / "chained.ogg"
    path.write_bytes(b"".join(parts))
    waveform, notes, sound = read(path)
    assert waveform.shape[1] == 3 * sound.sample_rate
    assert "3 streams" in notes[0]
    alone = np.concatenate([read(io.BytesIO(part))[0] for part in parts], axis=1)
    assert np.array_equal(waveform, alone)
    path.write_bytes(parts[0] + soundfile_bytes("OGG", "VORBIS", SAMPLES, 8000 if subtype == "VORBIS" else 22_050))
    with pytest.raises(AudioError, match="changes from"):
        audio.load(path)


def test_vorbis_has_the_length_that_its_last_page_says():
    for n in (1000, RATE, 3 * RATE):
        ours = read(io.BytesIO(soundfile_bytes("OGG", "VORBIS", SAMPLES[:n])))[0]
        theirs = soundfile.read(io.BytesIO(soundfile_bytes("OGG", "VORBIS", SAMPLES[:n])), dtype="float32")[0]
        assert np.abs(ours[0] - theirs).max() < 1e-5


@pytest.mark.parametrize(
    ("codec", "containers"), [("libopus", ["ogg", "webm", "mp4"]), ("aac", ["mp4", "matroska"]), ("flac", ["flac", "ogg", "matroska"])]
)
def test_the_same_packets_give_the_same_sound_in_every_container(codec, containers):
    first = encoded(codec, containers[0], rate=48_000)
    sounds = [read(io.BytesIO(first))[0], *(read(io.BytesIO(remuxed(first, c)))[0] for c in containers[1:])]
    for other in sounds[1:]:
        n = min(sounds[0].shape[1], other.shape[1])
        assert abs(sounds[0].shape[1] - other.shape[1]) <= 2112  # the priming of an encoder, where a container cannot say it
        best = min(
            np.abs(sounds[0][0, : n - 2112] - other[0, shift : shift + n - 2112]).max()
            for shift in (0, 312, 1024, 2112)
            if shift + n - 2112 <= other.shape[1]
        )
        assert best < 1e-6


def test_opus_is_decoded_at_48_khz_whatever_its_header_says(tmp_path):
    content = bytearray(soundfile_bytes("OGG", "OPUS"))
    head = content.index(b"OpusHead")
    before = read(io.BytesIO(bytes(content)))
    content[head + 12 : head + 16] = struct.pack("<I", 8000)  # informational, RFC 7845
    page = content.index(b"OggS", 1)
    content[22:26] = bytes(4)
    content[22:26] = struct.pack("<I", ogg_checksum(content[:page]))
    after = read(io.BytesIO(bytes(content)))
    assert before[2].sample_rate == after[2].sample_rate == 48_000
    assert np.array_equal(before[0], after[0])


def ogg_checksum(page):
    """CRC-32 as RFC 3533 has it: polynomial 0x04c11db7, neither reflected nor inverted."""
    crc = 0
    for byte in page:
        crc ^= byte << 24
        for _ in range(8):
            crc = crc << 1 & 0xFFFFFFFF ^ (0x04C11DB7 if crc & 0x80000000 else 0)
    return crc


NO_SOUND = {
    "page.au": (b"<!DOCTYPE html><html><body>404</body></html>" * 300, "an HTML page"),
    "page.gsm": (b"\n\n  <html><head><title>Not found</title></head></html>" * 300, "an HTML page"),
    "error.g722": (b'{"error": "not found"}' * 100, "text"),
    "._a.wav": (bytes.fromhex("00051607000200004d6163204f532058") + bytes(4080), "resource fork"),
    "._a.au": (bytes.fromhex("0005160700020000") + bytes(4088), "resource fork"),
    "headerless.raw": (INTEGERS.tobytes(), "pass its samples as an array"),
    "archive.mp3": (b"PK\x03\x04" + np.random.default_rng(0).bytes(20_000), "ZIP"),
    "list.m3u8.wav": (b"#EXTM3U\nhttp://example.org/a.mp3\n", "list of other files"),
    "random.gsm": (np.random.default_rng(0).bytes(33 * 100), "no signature"),
    "random.aac": (np.random.default_rng(1).bytes(200_000), "no signature"),
}


@pytest.mark.parametrize("name", NO_SOUND)
def test_the_first_bytes_decide_and_not_the_ending(tmp_path, name):
    content, words = NO_SOUND[name]
    (tmp_path / name).write_bytes(content)
    with pytest.raises(AudioError, match=words):
        audio.load(tmp_path / name)


@pytest.mark.parametrize("ending", sorted(set(WHOLE) - {"fast.m4a"}))
def test_a_wrong_ending_does_not_matter(tmp_path, ending):
    right, wrong = tmp_path / f"a.{ending}", tmp_path / "b.txt"
    for path in (right, wrong):
        path.write_bytes(WHOLE[ending])
    assert np.array_equal(read(right)[0], read(wrong)[0])


def test_sound_without_a_signature_is_read_by_its_ending_and_says_so(tmp_path):
    (tmp_path / "x.g722").write_bytes(encoded("g722", "g722"))
    (tmp_path / "x.bin").write_bytes(encoded("g722", "g722"))
    assert "no signature, read as G.722" in read(tmp_path / "x.g722")[1][0]
    with pytest.raises(AudioError, match="no signature"):
        audio.load(tmp_path / "x.bin")


@pytest.mark.parametrize("name", ["2024-11-28T09:15:00.m4a", "file:x.m4a", "concat:a|b.m4a", "Col\udce8re.m4a", "a\nb.m4a", "😀.m4a"])
def test_names_are_names_and_nothing_else(tmp_path, name, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "x.m4a").write_bytes(encoded("aac", "mp4", SAMPLES[:RATE]))
    (tmp_path / name).write_bytes(WHOLE["m4a"])
    assert read(name)[0].shape[1] / RATE == pytest.approx(3, abs=0.1)
    assert audio.shown(name).encode()


def test_channels_that_cancel_are_refused(tmp_path):
    path = tmp_path / "s.wav"
    soundfile.write(path, np.stack([SAMPLES, -SAMPLES], axis=1), RATE)
    with pytest.raises(AudioError, match="channels cancel"):
        audio.load(path)
    assert np.abs(audio.load(path, channel=1).waveform[0] + SAMPLES).max() < 1e-4
    cases = {
        "one of two is silent": ([SAMPLES, 0 * SAMPLES], []),
        "one of eight is not silent": ([SAMPLES, *[0 * SAMPLES] * 7], []),
        "two that have nothing to do with each other": ([SAMPLES, np.random.default_rng(0).normal(0, 0.1, len(SAMPLES))], []),
        "one is inverted and quieter": ([SAMPLES, -0.6 * SAMPLES], ["the channels partly cancel"]),
    }
    for name, (channels, notes) in cases.items():
        soundfile.write(path, np.stack(channels, axis=1), RATE, subtype="FLOAT")
        with audio.opened(path) as sound:
            sound.read("mean")
            assert sound.remarks[1:] == notes, name


def test_a_float_wav_beyond_full_scale_and_digital_silence_are_noted(tmp_path):
    for factor, note in ((5, "times full scale"), (0, "digital silence")):
        soundfile.write(tmp_path / "a.wav", factor * SAMPLES, RATE, subtype="FLOAT")
        assert any(note in n for n in read(tmp_path / "a.wav")[1])


def test_two_sound_tracks_are_noted():
    buffer = io.BytesIO()
    with av.open(buffer, "w", format="matroska") as out:
        streams = [out.add_stream("flac", rate=RATE) for _ in range(2)]
        for stream in streams:
            stream.layout = "mono"
        for stream in streams:
            frame = av.AudioFrame.from_ndarray(INTEGERS[None, :4096], format="s16", layout="mono")
            frame.sample_rate, frame.time_base = RATE, Fraction(1, RATE)
            out.mux([packet for packet in [*stream.encode(frame), *stream.encode(None)] if packet.size])
    assert "the first of its 2 sound tracks" in read(io.BytesIO(buffer.getvalue()))[1][0]


# Arrays


class Pipe(io.RawIOBase):
    """A file object that cannot be searched."""

    def __init__(self, content):
        self.content = io.BytesIO(content)

    def readable(self):
        return True

    def seekable(self):
        return False

    def read(self, size=-1):
        return self.content.read(size)


def test_sounds_as_people_hold_them(tmp_path):
    import array

    import pandas as pd
    import torch

    path = tmp_path / "a.wav"
    path.write_bytes(wav())
    content = path.read_bytes()
    same = {
        "str": (str(path), None),
        "Path": (path, None),
        "file": (path.open("rb"), None),
        "BytesIO": (io.BytesIO(content), None),
        "a pipe": (Pipe(content), None),
        "int16": (INTEGERS, RATE),
        "big endian": (INTEGERS.astype(">i2"), RATE),
        "array.array": (array.array("h", INTEGERS.tolist()), RATE),
        "float64": (SAMPLES.astype(float), RATE),
        "a list of numbers": (SAMPLES.tolist(), RATE),
        "a Series of numbers": (pd.Series(SAMPLES), RATE),
        "a tensor with a gradient": (torch.tensor(SAMPLES).requires_grad_(), RATE),
        "a rate that is a float": (SAMPLES, 16_000.0),
        "a rate of NumPy": (SAMPLES, np.int64(16_000)),
        "a rate of torch": (SAMPLES, torch.tensor(16_000)),
        "(rate, array)": ((RATE, INTEGERS), None),
        "(array, rate)": ((SAMPLES, RATE), None),
        "a mapping": ({"array": SAMPLES, "sampling_rate": RATE, "path": None}, None),
        "a mapping with a path": ({"path": str(path), "bytes": None}, None),
        "int32, scaled": (INTEGERS.astype(np.int32) << 16, RATE),
        "uint16": ((INTEGERS.astype(np.int32) + 32768).astype(np.uint16), RATE),
        "nothing masked": (np.ma.masked_array(SAMPLES, np.zeros(len(SAMPLES), bool)), RATE),
    }
    for name, (source, rate) in same.items():
        found = audio.load(source, rate)
        assert found.sample_rate == RATE, name
        assert np.array_equal(found.waveform[0], SAMPLES), name
    for dtype in (torch.float16, torch.bfloat16):
        assert np.abs(audio.load(torch.tensor(SAMPLES).to(dtype), RATE).waveform[0] - SAMPLES).max() < 4e-3


def test_samples_whose_scale_is_unknown_are_refused():
    import torch

    refused = {
        "int64": INTEGERS.astype(np.int64),
        "int64 of torch": torch.tensor(INTEGERS.tolist()),
        "uint64": INTEGERS.astype(np.uint64),
        "int32 of 16-bit values": INTEGERS.astype(np.int32),
        "bool": INTEGERS > 0,
        "a batch": np.zeros((9, 1000), np.float32),
        "masked": np.ma.masked_array(SAMPLES, SAMPLES > 0.1),
        "bytes": INTEGERS.tobytes(),
        "None": None,
        "a set": {1, 2},
        "a text file": io.StringIO("RIFF"),
    }
    for name, source in refused.items():
        with pytest.raises(AudioError) as raised:
            audio.load(source, RATE if name != "a text file" else None)
        assert "\n" not in str(raised.value), name
    with audio.opened(INTEGERS.astype(np.int32) << 7, RATE) as sound:
        assert "24-bit" in sound.repairs[0]


def test_one_sound_or_several():
    import pandas as pd

    paths = ["a.wav", "b.wav"]
    for several in (paths, tuple(paths), pd.Series(paths), np.array(paths), np.array(paths, object), [SAMPLES, SAMPLES], iter(paths)):
        assert len(list(audio.several(several))) == 2
    for one in (
        "a.wav",
        SAMPLES,
        SAMPLES.tolist(),
        (RATE, SAMPLES),
        np.stack([SAMPLES, SAMPLES]),
        io.BytesIO(b""),
        b"a.wav",
        pd.Series(SAMPLES),
    ):
        assert len(list(audio.several(one))) == 1
    with pytest.raises(AudioError, match="nothing that holds sounds"):
        audio.several(3)


# What was once read wrongly


def aiff(frames, ssnd_size, data):
    """A 16-bit mono AIFF; sizes as given."""
    comm = struct.pack(">hIh", 1, frames, 16) + bytes.fromhex("400cfa00000000000000")
    body = b"AIFFCOMM" + struct.pack(">I", len(comm)) + comm + b"SSND" + struct.pack(">III", ssnd_size + 8, 0, 0) + data
    return b"FORM" + struct.pack(">I", len(body)) + body


def bw64(data):
    ds64 = struct.pack("<QQQI", len(data) + 72, len(data), len(data) // 2, 0)
    return wav(data, magic=b"BW64", riff_size=0xFFFFFFFF, data_size=0xFFFFFFFF, before=chunk(b"ds64", ds64))


SILENT = bytes(2 * 70_000)
ZIP = b"PK\x03\x04" + np.random.default_rng(0).bytes(20_000)
BYTES = INTEGERS.tobytes()
AS_IT_IS = {
    "BW64": (bw64(BYTES), BYTES, None),
    "sound after a long pause that the header does not count": (
        wav(BYTES + SILENT + BYTES, data_size=ALL),
        BYTES + SILENT + BYTES,
        "all of it",
    ),
    "zeros of a file system": (wav(after=SILENT), BYTES, "padding"),
    "erased memory": (wav(after=b"\xff" * 5000), BYTES, "padding"),
    "an archive after the sound": (wav(after=ZIP), BYTES, "a ZIP archive"),
    "a LIST chunk after a stream": (
        wav(data_size=0xFFFFFFFF, riff_size=0xFFFFFFFF, after=chunk(b"LIST", b"INFOISFT" + bytes(20))),
        BYTES,
        "a stream",
    ),
    "a LIST chunk after a size of zero": (wav(data_size=0, after=chunk(b"LIST", b"INFOISFT" + bytes(20))), BYTES, "0.00 s"),
    "a size that counts the chunk's own header": (wav(data_size=ALL + 8), BYTES, "counts itself"),
    "an AIFF whose chunk is too small": (aiff(len(INTEGERS), ALL // 2, INTEGERS.byteswap().tobytes()), BYTES, None),
    "an ID3 tag in front of a WAV": (b"ID3\x04\0\0\0\0\x01\0" + bytes(128) + wav(), BYTES, None),
}


@pytest.mark.parametrize("name", AS_IT_IS)
def test_a_path_and_its_bytes_are_the_same_right_sound(tmp_path, name):
    content, expected, note = AS_IT_IS[name]
    (tmp_path / "a.bin").write_bytes(content)
    for source in (tmp_path / "a.bin", io.BytesIO(content), (tmp_path / "a.bin").open("rb")):
        waveform, notes, _ = read(source)
        assert np.array_equal(waveform[0], np.frombuffer(expected, "<i2") / np.float32(32768))
        assert (note is None and notes == []) or any(note in n for n in notes)


SEVERAL = {
    "two data chunks": wav(after=chunk(b"data", BYTES)),
    "two WAVs": wav() + wav(),
    "four WAVs": wav() * 4,
}


@pytest.mark.parametrize("name", SEVERAL)
def test_several_sounds_in_one_file_are_refused(tmp_path, name):
    (tmp_path / "a.wav").write_bytes(SEVERAL[name])
    with pytest.raises(AudioError, match="several sounds"):
        audio.load(tmp_path / "a.wav")


def test_a_flac_is_read_to_its_end_whatever_its_header_counts(tmp_path):
    content = bytearray(soundfile_bytes("FLAC", "PCM_16"))
    right = read(io.BytesIO(bytes(content)))[0]
    assert np.array_equal(right[0], SAMPLES)
    content[22:26] = struct.pack(">I", len(SAMPLES) // 2)
    waveform, notes, _ = read(io.BytesIO(bytes(content)))
    assert np.array_equal(waveform, right)
    assert "1.50 s" in notes[0]
    content[22:26] = struct.pack(">I", 2 * len(SAMPLES))
    with pytest.raises(AudioError, match="cut short"):
        read(io.BytesIO(bytes(content)))
    tagged = b"ID3\x04\0\0\0\0\x01\0" + bytes(128) + soundfile_bytes("FLAC", "PCM_16")
    assert np.array_equal(read(io.BytesIO(tagged))[0], right)


def test_file_objects_whose_descriptor_has_other_content(tmp_path):
    import bz2
    import gzip
    import lzma
    import tarfile

    for module, name in ((gzip, "a.gz"), (bz2, "a.bz2"), (lzma, "a.xz")):
        with module.open(tmp_path / name, "wb") as f:
            f.write(wav())
        with module.open(tmp_path / name, "rb") as f:
            assert np.array_equal(read(f)[0][0], SAMPLES)
    (tmp_path / "a.wav").write_bytes(wav())
    with tarfile.open(tmp_path / "a.tar", "w") as tar:
        tar.add(tmp_path / "a.wav", "a.wav")
    with tarfile.open(tmp_path / "a.tar") as tar:
        assert np.array_equal(read(tar.extractfile("a.wav"))[0][0], SAMPLES)


def test_a_mapping_with_bytes_is_its_bytes(tmp_path, monkeypatch):
    """As the datasets library holds a sound that is not decoded; the path beside the bytes is a name and no more."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "x.wav").write_bytes(wav(bytes(ALL)))
    for path in ("x.wav", "nowhere.wav", None):
        assert np.array_equal(read({"bytes": wav(), "path": path})[0][0], SAMPLES)


def ogg_pages(content):
    position, pages = 0, []
    while position < len(content):
        table = content[position + 27 : position + 27 + content[position + 26]]
        length = 27 + len(table) + sum(table)
        pages.append(content[position : position + length])
        position += length
    return pages


@pytest.mark.parametrize("subtype", ["VORBIS", "OPUS"])
def test_a_page_that_is_lost_or_changed_is_not_passed_over(subtype):
    long = np.tile(SAMPLES, 12)
    pages = ogg_pages(soundfile_bytes("OGG", subtype, long))
    middle = len(pages) // 2
    changed = bytearray(pages[middle])
    changed[-5] ^= 0xFF
    assert len(pages) > 10
    for damaged in ([*pages[:middle], *pages[middle + 1 :]], [*pages[:middle], bytes(changed), *pages[middle + 1 :]]):
        try:
            notes = read(io.BytesIO(b"".join(damaged)))[1]
        except AudioError as e:
            notes = [str(e)]
        assert any("missing or" in n for n in notes)
    between = [*pages[:middle], b"garbage" * 100, *pages[middle:]]
    waveform, notes, sound = read(io.BytesIO(b"".join(between)))
    assert waveform.shape[1] / sound.sample_rate == pytest.approx(36, abs=0.1)
    assert "700 bytes between its pages" in " ".join(notes)


def with_last_position(content, position):
    """An Ogg stream whose last page says that it ends elsewhere."""
    *pages, last = ogg_pages(content)
    last = last[:6] + struct.pack("<q", position) + last[14:22] + bytes(4) + last[26:]
    return b"".join([*pages, last[:22] + struct.pack("<I", ogg_checksum(last)) + last[26:]])


@pytest.mark.parametrize(("subtype", "rate", "before"), [("VORBIS", RATE, 0), ("OPUS", 48_000, 312)])
@pytest.mark.parametrize("share", [0.0, 0.02, 1 / 3])
def test_a_wrong_position_cuts_no_sound_off(subtype, rate, before, share):
    content = soundfile_bytes("OGG", subtype)
    assert with_last_position(content, 3 * rate + before) == content, "the control: a right position is no change"
    waveform, notes, _ = read(io.BytesIO(content))
    assert waveform.shape[1] == 3 * rate
    assert notes == []
    waveform, notes, _ = read(io.BytesIO(with_last_position(content, round(share * 3 * rate))))
    assert 3 * rate <= waveform.shape[1] < 3.2 * rate
    assert "wrong end" in " ".join(notes)


@pytest.mark.parametrize(
    ("codec", "container"), [("libopus", "matroska"), ("mp2", "matroska"), ("mp3", "avi"), ("wmav2", "asf"), ("aac", "flv")]
)
def test_a_hole_in_a_container_that_states_its_length_is_noted(codec, container):
    rng = np.random.default_rng(0)
    content = encoded(codec, container, np.tile(SAMPLES, 4) + rng.normal(0, 0.05, 12 * RATE).astype(np.float32))
    assert [n for n in read(io.BytesIO(content))[1] if "its header says" in n] == [], "nothing is missing"
    third = len(content) // 3
    waveform, notes, sound = read(io.BytesIO(content[:third] + bytes(third) + content[2 * third :]))
    assert waveform.shape[1] / sound.sample_rate < 11
    assert "its header says 1" in " ".join(notes)


NOISY = np.tile(SAMPLES, 4) + np.random.default_rng(0).normal(0, 0.05, 12 * RATE).astype(np.float32)
STREAMS = {  # of frames without an index; what is said of one whose middle was overwritten by zeros, and of one that broke off
    "ac3": (encoded("ac3", "ac3", NOISY, rate=48_000), "damaged", "ends inside a frame"),
    "eac3": (encoded("eac3", "eac3", NOISY, rate=48_000), "damaged", "ends inside a frame"),
    "latm": (encoded("aac", "latm", NOISY, rate=48_000), "bytes between its frames", "ends inside a frame"),
    "amr": (encoded("libopencore_amrnb", "amr", NOISY, rate=8000), "frames are marked as damaged", "packets are damaged"),
    "ts": (encoded("aac", "mpegts", NOISY, rate=48_000), "packets are damaged", "ends inside a packet"),
    "m2ts": (
        encoded("ac3", "mpegts", NOISY, rate=48_000, options={"mpegts_m2ts_mode": "1"}),
        "packets are damaged",
        "ends inside a packet",
    ),
    "mpg": (encoded("mp2", "mpeg", NOISY, rate=48_000), "packets' times run over", None),
    "rm": (encoded("ac3", "rm", NOISY, rate=48_000), "its header says 4.00 s", "its header says 4.00 s"),
}


@pytest.mark.parametrize("ending", STREAMS)
def test_a_stream_of_frames_with_a_hole_or_without_its_end_says_so(ending):
    content, hole, end = STREAMS[ending]
    waveform, notes, sound = read(io.BytesIO(content))
    assert waveform.shape[1] / sound.sample_rate == pytest.approx(12 * RATE / sound.sample_rate, abs=0.1)
    assert notes == []
    third = len(content) // 3
    assert hole in said_of(content[:third] + bytes(third) + content[2 * third :])
    if end:
        assert end in said_of(content[: len(content) // 2 + 7])


def said_of(content):
    """Notes on a sound, or what it is refused for."""
    try:
        return " ".join(read(io.BytesIO(content))[1])
    except AudioError as e:
        return str(e)


def test_a_stream_that_appears_later_is_one_sentence():
    """Half of this FLV looks like a new kind of stream to FFmpeg, which PyAV answers with an IndexError."""
    content = encoded("nellymoser", "flv", NOISY, rate=8000)
    assert len(read(io.BytesIO(content))[0][0]) >= len(NOISY)
    assert "FLV" in said_of(content[: len(content) // 2])


@pytest.mark.parametrize("low", [0x20, 0x40, 0x7E, 0x84])
def test_an_odd_chunk_without_padding_before_any_length_of_data(low):
    """Where the size's first byte is a letter, "ata" and that letter look like a chunk's name."""
    n = 0x2000 + low // 2
    content = wav(INTEGERS[:n].tobytes(), before=b"LIST" + struct.pack("<I", 9) + b"INFOabcde")
    waveform, notes, _ = read(io.BytesIO(content))
    assert np.array_equal(waveform[0], SAMPLES[:n])
    assert notes == []


def test_a_flac_that_counts_nothing_still_misses_a_damaged_frame():
    content = bytearray(soundfile_bytes("FLAC", "PCM_16", np.random.default_rng(0).uniform(-0.5, 0.5, 3 * RATE)))
    content[21], content[22:26] = content[21] & 0xF0, bytes(4)  # samples in all: unknown
    waveform, notes, _ = read(io.BytesIO(content))
    assert waveform.shape[1] == 3 * RATE
    assert notes == []
    content[len(content) // 2] ^= 0xFF
    assert "cut short or damaged" in said_of(bytes(content))


@pytest.mark.parametrize("rate", [RATE, 44_100])
def test_alac_in_caf_keeps_its_last_samples(rate):
    """FFmpeg takes what the table of packets leaves out of the last one off twice."""
    samples = NOISY[: 3 * RATE + 17]
    waveform, notes, _ = read(io.BytesIO(encoded("alac", "caf", samples, rate=rate)))
    assert waveform.shape[1] == len(samples)
    assert notes == []
    assert np.abs(waveform[0] - samples).max() < 1e-4


def test_an_8svx_that_broke_off_is_refused():
    content = soundfile_bytes("SVX", "PCM_16")
    assert read(io.BytesIO(content))[0].shape[1] == 3 * RATE
    assert "cut short" in said_of(content[: len(content) // 2])


@pytest.mark.parametrize("subtype", ["VORBIS", "OPUS"])
def test_of_streams_in_a_row_one_without_its_end_mark_is_noted(subtype):
    *pages, last = ogg_pages(soundfile_bytes("OGG", subtype))
    last = last[:5] + bytes([last[5] & ~4]) + last[6:22] + bytes(4) + last[26:]
    unended = b"".join([*pages, last[:22] + struct.pack("<I", ogg_checksum(last)) + last[26:]])
    following = bytearray(soundfile_bytes("OGG", subtype))
    with pytest.raises(AudioError, match="not marked as the end"):
        read(io.BytesIO(unended))
    waveform, notes, sound = read(io.BytesIO(unended + following))
    assert waveform.shape[1] == pytest.approx(6 * sound.sample_rate, abs=0.1 * sound.sample_rate)
    assert "stream 1 is not marked as ended" in " ".join(notes)
    with pytest.raises(AudioError, match="not marked as the end"):
        read(io.BytesIO(following + unended))


def test_what_lies_between_the_frames_of_an_mp3_is_counted():
    """Zeros or a tag between frames; a hole where frames were; none of it where there is none."""
    content = mp3_frames(soundfile_bytes("MP3", "MPEG_LAYER_III", np.tile(SAMPLES, 4)))
    whole, notes, _ = read(io.BytesIO(content))
    assert notes == []
    middle = len(content) // 2
    middle += content[middle:].index(content[:2])
    for between in (bytes(20_000), b"ID3\x03\0\0\0\x03\x00\x00" + b"x" * 49_152):
        waveform, notes, _ = read(io.BytesIO(content[:middle] + between + content[middle:]))
        assert abs(waveform.shape[1] - whole.shape[1]) < 3 * 1152
        assert "bytes between its frames were left out" in " ".join(notes)
    third = len(content) // 3
    waveform, notes, _ = read(io.BytesIO(content[:third] + bytes(third) + content[2 * third :]))
    assert waveform.shape[1] < 0.7 * whole.shape[1]
    assert "bytes between its frames were left out" in " ".join(notes)


def test_several_tags_and_zeros_before_an_mp3():
    content = soundfile_bytes("MP3", "MPEG_LAYER_III")
    whole = read(io.BytesIO(content))[0]
    cover = b"ID3\x03\0\0\0\x06\x00\x00" + b"\xff" * (6 << 14)
    for before in (cover + cover, cover + bytes(100_000)):
        waveform, notes, sound = read(io.BytesIO(before + content))
        assert sound.codec == "mp3"
        assert np.array_equal(waveform, whole)
        assert notes == []


def test_garbage_and_zeros_between_the_frames_of_an_aac_are_counted():
    content = encoded("aac", "adts", np.tile(SAMPLES, 4))
    whole, notes, _ = read(io.BytesIO(content))
    assert notes == []
    middle = len(content) // 2 + content[len(content) // 2 :].index(content[:2])
    for between in (b"garbage" * 3, bytes(100_000)):
        waveform, notes, _ = read(io.BytesIO(content[:middle] + between + content[middle:]))
        assert abs(waveform.shape[1] - whole.shape[1]) <= 3 * 1024
        assert f"{len(between)} bytes between its frames" in " ".join(notes)


def test_more_ways_to_hold_a_sound(tmp_path):
    import mmap

    import torch

    path = tmp_path / "a.wav"
    path.write_bytes(wav())
    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as mapped:
        assert np.array_equal(audio.load(mapped).waveform[0], SAMPLES)
    assert audio.load({"array": SAMPLES, "sampling_rate": None}, RATE).sample_rate == RATE
    negative = torch.complex(torch.zeros(RATE), torch.full((RATE,), 0.1)).conj().imag
    assert negative.is_neg()
    assert np.allclose(audio.load(negative, RATE).waveform, -0.1)


def test_wavpack_with_its_tags_and_cut():
    content = encoded("wavpack", "wv", np.tile(SAMPLES, 12))
    whole, notes, _ = read(io.BytesIO(content))
    assert (whole.shape[1], notes) == (36 * RATE, [])
    for after in (b"APETAGEX" + bytes(200), b"TAG" + bytes(125), bytes(4096)):
        assert np.array_equal(read(io.BytesIO(content + after))[0], whole)
    with pytest.raises(AudioError, match="cut short"):
        read(io.BytesIO(content[: len(content) // 2]))
    changed = bytearray(content)
    changed[len(content) // 3] ^= 1
    with pytest.raises(AudioError, match="damaged"):
        read(io.BytesIO(changed))
    second = content.index(b"wvpk", 4)
    with pytest.raises(AudioError, match=r"cut short or damaged, .* of its 36\.00 s"):
        read(io.BytesIO(content[:second]))


def test_24_bits_in_32_of_an_extensible_header():
    data = (INTEGERS.astype("<i4") << 16).tobytes()
    form = (
        struct.pack("<HHIIHHHHI", 0xFFFE, 1, RATE, 4 * RATE, 4, 24, 22, 24, 4)
        + struct.pack("<H", 1)
        + bytes.fromhex("000000001000800000aa00389b71")
    )
    body = b"WAVE" + chunk(b"fmt ", form) + chunk(b"data", data)
    waveform, notes, _ = read(io.BytesIO(b"RIFF" + struct.pack("<I", len(body)) + body))
    assert np.array_equal(waveform[0], SAMPLES)
    assert notes == []


@pytest.mark.parametrize(("format", "subtype"), [("AU", "G721_32"), ("AU", "G723_40"), ("WAV", "G721_32")])
def test_g721_is_decoded_as_it_was_coded(format, subtype):
    waveform, _, sound = read(io.BytesIO(soundfile_bytes(format, subtype)))
    assert np.corrcoef(waveform[0, : 3 * RATE], SAMPLES)[0, 1] > 0.999
    assert sound.lossy


def test_a_voc_of_several_blocks():
    waveform, notes, _ = read(io.BytesIO(encoded("pcm_s16le", "voc")))
    assert waveform.shape[1] == 3 * RATE
    assert np.abs(waveform[0] - SAMPLES).max() < 2 / 32768
    assert notes == []


def test_tags_and_padding_after_the_last_box_or_element_are_no_cut(tmp_path):
    for ending in ("m4a", "webm"):
        right = read(io.BytesIO(WHOLE[ending]))[0]
        for after in (b"TAG" + b"Title".ljust(125, b"\0"), bytes(3000), b"\xff" * 100):
            assert read(io.BytesIO(WHOLE[ending] + after))[0].shape == right.shape, ending


@pytest.mark.parametrize("ending", ["avi", "tta", "voc", "caf", "nist"])
def test_more_containers_that_broke_off(tmp_path, ending):
    if ending in ("avi", "tta", "voc"):
        content = encoded({"avi": "pcm_s16le", "tta": "tta", "voc": "pcm_s16le"}[ending], ending)
    else:
        content = soundfile_bytes(ending.upper(), "PCM_16")
    path = tmp_path / f"a.{ending}"
    path.write_bytes(content)
    assert read(path)[0].shape[1] == pytest.approx(len(SAMPLES), abs=1)
    path.write_bytes(content[: int(0.6 * len(content))])
    with pytest.raises(AudioError, match="cut short"):
        audio.load(path)


def test_large_sizes_are_sizes_and_not_unknown(tmp_path):
    """3 GiB that were cut to one; and whole. Sparse files."""
    header = wav(b"", data_size=3 << 30, riff_size=(3 << 30) + 36, bits=24, channels=6, rate=96_000)
    for length, cut in ((1 << 30, True), (3 << 30, False)):
        with (tmp_path / "a.wav").open("wb") as f:
            f.write(header)
            f.truncate(len(header) + length)
        if cut:
            with pytest.raises(AudioError, match="cut short"), audio.opened(tmp_path / "a.wav"):
                pass
        else:
            with audio.opened(tmp_path / "a.wav") as sound:
                assert sound.frames == (3 << 30) // 18
                assert sound.repairs == []


def test_aac_from_the_middle_of_a_stream(tmp_path):
    content = encoded("aac", "adts")
    assert read(io.BytesIO(content))[1] == []
    notes = read(io.BytesIO(content[100:]))[1]
    assert "begins inside a frame" in notes[0]


def test_wavpack_has_its_signature():
    from sqa_core.audio import kinds

    assert kinds.kind_of(b"wvpk" + bytes(100)).name == "WavPack"


def test_a_right_flac_may_be_read_by_libsndfile_and_a_wrong_one_may_not():
    """The last frame's number against the header's count; block sizes fixed, from both encoders."""
    from sqa_core.audio import flac

    def trusted(content):
        return flac.inspect(io.BytesIO(content), len(content)).trusted

    noise = np.random.default_rng(0).uniform(-0.5, 0.5, 50_001)
    for content in (
        soundfile_bytes("FLAC", "PCM_16"),
        soundfile_bytes("FLAC", "PCM_24", noise),
        soundfile_bytes("FLAC", "PCM_16", noise[:1]),
    ):
        assert trusted(content)
        for count in (0, 1000, 60_000):
            wrong = bytearray(content)
            wrong[22:26] = struct.pack(">I", count)
            assert not trusted(bytes(wrong))
        assert not trusted(content[: len(content) * 2 // 3]) or len(content) < 200
        assert not trusted(content + content)


@pytest.mark.parametrize(
    "text",
    [
        "The free software foundation publishes this text, and nothing of it is sound.\n" * 30,
        "Get wide shots of the square first, then of the people who cross it.\n",
        "caffeine is a stimulant\n" * 3,
        "MAC address, vendor, first seen\n00:11:22, unknown, yesterday\n",
        "MP+ is a suffix of some names\n" * 4,
        ".snd files hold sound, this one does not\n",
        "TTA1 and TTA2 are two rooms on the first floor\n",
        "wvpk, OggS and fLaC are signatures\n",
    ],
)
def test_a_text_that_begins_like_a_signature_is_a_text(tmp_path, text):
    path = tmp_path / "notes.wav"
    path.write_text(text)
    with pytest.raises(AudioError, match="text"):
        audio.load(path)


@pytest.mark.parametrize("first", ["vorbis", "opus"])
def test_of_two_streams_in_one_ogg_the_first_is_read_whole(tmp_path, first):
    """Pages of two sounds that alternate, as a recorder of two tracks writes them."""
    vorbis, opus = soundfile_bytes("OGG", "VORBIS"), soundfile_bytes("OGG", "OPUS")
    a, b = (ogg_pages(x) for x in ((vorbis, opus) if first == "vorbis" else (opus, vorbis)))
    mixed = [a[0], b[0]]
    for i in range(1, max(len(a), len(b))):
        mixed += [*a[i : i + 1], *b[i : i + 1]]
    path = tmp_path / "two.ogg"
    path.write_bytes(b"".join(mixed))
    alone = tmp_path / "one.ogg"
    alone.write_bytes(b"".join(a))
    found, notes, _ = read(path)
    expected, *_ = read(alone)
    assert found.shape == expected.shape
    assert np.abs(found - expected).max() < 1e-6
    assert "the first of its 2 sound tracks was read" in notes


def test_a_header_with_thousands_of_channels_is_one_sentence(tmp_path):
    path = tmp_path / "many.wav"
    path.write_bytes(wav(b"\0" * 8000, channels=2000))
    with pytest.raises(AudioError) as e:
        read(path)
    assert "\n" not in str(e.value)
