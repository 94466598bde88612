"""Sound in: formats, faults, levels."""

import io
import os
import struct
import zipfile

import numpy as np
import pytest
import soundfile
from hypothesis import given
from hypothesis import strategies as st

from sqa_core import audio, levels
from sqa_core.errors import AudioError


def wav_bytes(samples=None, rate=16_000, subtype="PCM_16", format="WAV") -> bytes:
    samples = np.sin(np.arange(8000) / 10) * 0.5 if samples is None else samples
    buffer = io.BytesIO()
    soundfile.write(buffer, samples, rate, subtype=subtype, format=format)
    return buffer.getvalue()


def riff(rate=16_000, channels=1, bits=16, data=b"\0\0" * 8000, kind=1) -> bytes:
    block = channels * bits // 8
    head = struct.pack("<HHIIHH", kind, channels, rate, rate * block & 0xFFFFFFFF, block & 0xFFFF, bits)
    body = b"WAVEfmt " + struct.pack("<I", len(head)) + head + b"data" + struct.pack("<I", len(data)) + data
    return b"RIFF" + struct.pack("<I", len(body)) + body


def with_value(value: float) -> bytes:
    samples = np.zeros(8000, np.float32)
    samples[4000] = value
    return wav_bytes(samples, subtype="FLOAT")


def zipped() -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as z:
        z.writestr("a.wav", wav_bytes())
    return buffer.getvalue()


FILE_FAULTS = {
    "empty.wav": b"",
    "header_only.wav": wav_bytes()[:36],
    "no_samples.wav": wav_bytes(np.zeros(0)),
    "cut_wav.wav": wav_bytes()[:-4000],
    "cut_flac.flac": wav_bytes(np.random.default_rng(0).uniform(-1, 1, 80_000), format="FLAC")[:60_000],
    "flac_of_zero_bytes.flac": wav_bytes(format="FLAC")[:2000] + b"\0" * 4000,
    "flac_header_only.flac": wav_bytes(format="FLAC")[:42],
    "text.wav": b"this is not a sound\n" * 100,
    "random.wav": np.random.default_rng(1).bytes(20_000),
    "random.mp3": np.random.default_rng(2).bytes(20_000),
    "zip.wav": zipped(),
    "png.wav": b"\x89PNG\r\n\x1a\n" + b"\0" * 1000,
    "html.wav": b"<!DOCTYPE html><html><body>404</body></html>",
    "pickle.wav": b"\x80\x04\x95\x0a\x00\x00\x00\x00\x00\x00\x00]\x94(K\x01K\x02e.",
    "zero_channels.wav": riff(channels=0),
    "zero_rate.wav": riff(rate=0),
    "zero_bits.wav": riff(bits=0),
    "fifty_hertz.wav": riff(rate=50),
    "playlist.wav": b"#EXTM3U\n#EXT-X-VERSION:3\n#EXTINF:10,\nfile:///etc/hostname\n#EXT-X-ENDLIST\n",
    "concat.wav": b"ffconcat version 1.0\nfile /etc/hostname\n",
    "unknown_codec.wav": riff(kind=0x7777),
    "nan.wav": with_value(np.nan),
    "infinite.wav": with_value(np.inf),
    "unscaled.wav": with_value(20_000.0),
    "riff_without_wave.wav": b"RIFF" + struct.pack("<I", 100) + b"AVI " + b"\0" * 96,
    "ogg_head.ogg": b"OggS" + b"\0" * 200,
    "lfs_pointer.wav": b"version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 12345\n",
}


@pytest.mark.parametrize("name", FILE_FAULTS)
def test_a_broken_file_gets_one_sentence_with_its_name(tmp_path, name):
    path = tmp_path / name
    path.write_bytes(FILE_FAULTS[name])
    with pytest.raises(AudioError) as raised:
        audio.load(path)
    assert name in str(raised.value)
    assert "\n" not in str(raised.value)


def test_places_that_are_no_files(tmp_path):
    os.mkfifo(tmp_path / "pipe.wav")
    (tmp_path / "broken_link.wav").symlink_to(tmp_path / "nowhere.wav")
    for name, words in [("missing.wav", "no such file"), (".", "folder"), ("pipe.wav", "pipe"), ("broken_link.wav", "no such file")]:
        with pytest.raises(AudioError, match=words):
            audio.load(tmp_path / name)


ARRAY_FAULTS = {
    "no rate": (np.zeros(100), None),
    "rate zero": (np.zeros(100), 0),
    "rate negative": (np.zeros(100), -16_000),
    "rate not whole": (np.zeros(100), 16_000.5),
    "rate a bool": (np.zeros(100), True),
    "complex": (np.zeros(100, complex), 16_000),
    "text": (np.array(["a", "b"]), 16_000),
    "objects": (np.array([None, 1]), 16_000),
    "three axes": (np.zeros((2, 3, 100)), 16_000),
    "transposed": (np.zeros((16_000, 2)), 16_000),
    "empty": (np.zeros(0), 16_000),
    "nan": (np.full(100, np.nan), 16_000),
    "unscaled": (np.full(100, 3000.0), 16_000),
}


@pytest.mark.parametrize("name", ARRAY_FAULTS)
def test_a_wrong_array_gets_one_sentence(name):
    samples, rate = ARRAY_FAULTS[name]
    with pytest.raises(AudioError):
        audio.load(samples, rate)


def test_a_file_refuses_a_rate_and_a_channel_that_is_not_there(tmp_path):
    path = tmp_path / "a.wav"
    path.write_bytes(wav_bytes())
    with pytest.raises(AudioError, match="its own rate"):
        audio.load(path, 16_000)
    with pytest.raises(AudioError, match="no channel 1"):
        audio.load(path, channel=1)


@pytest.mark.parametrize(
    ("format", "subtype"),
    [("WAV", s) for s in ("PCM_U8", "PCM_16", "PCM_24", "PCM_32", "FLOAT", "DOUBLE", "ULAW", "ALAW")]
    + [
        ("FLAC", "PCM_16"),
        ("FLAC", "PCM_24"),
        ("OGG", "VORBIS"),
        ("OGG", "OPUS"),
        ("MP3", "MPEG_LAYER_III"),
        ("AIFF", "PCM_16"),
        ("AU", "PCM_16"),
        ("CAF", "PCM_16"),
        ("W64", "PCM_16"),
    ],
)
@pytest.mark.parametrize("channels", [1, 2])
def test_every_format_gives_the_same_sound(tmp_path, format, subtype, channels):
    rate = 48_000
    x = 0.4 * np.sin(2 * np.pi * 440 * np.arange(rate) / rate)
    path = tmp_path / f"x.{format.lower()}"
    soundfile.write(path, np.stack([x] * channels, axis=1), rate, format=format, subtype=subtype)
    waveform, found_rate = audio.load(path)
    assert (found_rate, waveform.shape[0], waveform.dtype) == (rate, 1, np.float32)
    assert abs(waveform.shape[1] - rate) < 3000  # codecs add their frames
    assert levels.level(waveform) == pytest.approx(levels.level(x), abs=0.7)


@pytest.mark.parametrize("container", ["mp4", "matroska", "g722"])
def test_pyav_opens_what_soundfile_does_not(tmp_path, container):
    import av

    codec, ending, rate = {"mp4": ("aac", "m4a", 48_000), "matroska": ("libopus", "webm", 48_000), "g722": ("g722", "g722", 16_000)}[
        container
    ]
    path = tmp_path / f"x.{ending}"
    x = (0.4 * np.sin(2 * np.pi * 440 * np.arange(rate) / rate)).astype(np.float32)
    with av.open(str(path), "w", format=container) as out:
        stream = out.add_stream(codec, rate=rate)
        stream.layout = "mono"
        frame = av.AudioFrame.from_ndarray((x[None] * 32767).astype(np.int16), format="s16", layout="mono")
        frame.sample_rate = rate
        for packet in [*stream.encode(frame), *stream.encode(None)]:
            out.mux(packet)
    waveform, found = audio.load(path)
    assert found == rate
    assert levels.level(waveform) == pytest.approx(levels.level(x), abs=1.0)


def test_channels_are_mixed_or_taken(tmp_path):
    left, right = np.full(1000, 0.5), np.full(1000, -0.25)
    soundfile.write(tmp_path / "s.wav", np.stack([left, right], axis=1), 8000, subtype="FLOAT")
    assert audio.load(tmp_path / "s.wav").waveform[0, 0] == pytest.approx(0.125)
    assert audio.load(tmp_path / "s.wav", channel=1).waveform[0, 0] == pytest.approx(-0.25)
    assert audio.load(tmp_path / "s.wav", channel="all").waveform.shape == (2, 1000)


def test_a_path_an_array_and_a_tensor_are_one_sound(tmp_path, tone):
    import torch

    audio.write_wav(tmp_path / "t.wav", *tone)
    file = audio.load(tmp_path / "t.wav").waveform
    integers = np.round(np.clip(tone.waveform, -1, 1) * 32767).astype(np.int16)
    assert np.abs(audio.load(integers, 16_000).waveform - file).max() < 2 / 32768
    assert np.array_equal(audio.load(torch.from_numpy(tone.waveform), 16_000).waveform, tone.waveform)


def test_unsigned_bytes_are_centred():
    assert audio.load(np.full(100, 128, np.uint8), 8000).waveform.max() == 0


def test_emovo_microphones_are_not_mixed_by_mistake():
    """Two microphones: their mean is comb-filtered. The corpus copy holds the left channel, the sample both."""
    from sqa_core import environment

    folder = environment.find("data", "emovo_stereo_sample")
    if folder is None:
        pytest.skip("the stereo sample of EMOVO is not here (SQA_DATA)")
    path = folder / "pau-m1-b1.flac"
    both = audio.load(path, channel="all")
    assert len(both.waveform) == 2
    left, mean = (np.abs(np.fft.rfft(audio.load(path, channel=c).waveform[0])) for c in (0, "mean"))
    frequency = np.fft.rfftfreq(both.waveform.shape[1], 1 / both.sample_rate)
    notch, below = (frequency > 1000) & (frequency < 1400), (frequency > 200) & (frequency < 600)
    loss_db = [20 * np.log10(np.sqrt((mean[b] ** 2).mean() / (left[b] ** 2).mean())) for b in (notch, below)]
    assert loss_db[0] < loss_db[1] - 2
    assert len(audio.load(folder / "rab-f1-b1.flac", channel="all").waveform) == 1


@given(gain_db=st.floats(-40, 0), rate=st.sampled_from([8000, 16_000, 48_000]))
def test_active_level_follows_gain(gain_db, rate):
    t = np.arange(rate) / rate
    x = 0.9 * np.sin(2 * np.pi * 300 * t)
    base, share = levels.active_level(x, rate)
    assert levels.active_level(x * 10 ** (gain_db / 20), rate)[0] == pytest.approx(base + gain_db, abs=0.35)
    assert 0.9 < share <= 1


def test_active_level_ignores_pauses():
    rate = 16_000
    speech = 0.3 * np.sin(2 * np.pi * 300 * np.arange(2 * rate) / rate)
    paused = np.concatenate([speech, np.zeros(6 * rate)])
    assert levels.active_level(paused, rate)[0] == pytest.approx(levels.active_level(speech, rate)[0], abs=0.8)
    assert levels.level(paused) < levels.level(speech) - 5
    assert levels.active_level(np.zeros(100), rate) == (-np.inf, 0.0)


def test_report_counts_clipping(tone):
    clean = levels.report(tone)
    clipped = levels.report(audio.Sound(np.clip(tone.waveform * 8, -1, 1), tone.sample_rate))
    assert clean["clipped_percent"] == 0
    assert clipped["clipped_percent"] > 20
    assert (clean["channels"], clean["seconds"]) == (1, 1.0)


def speech_like(rate: int, seconds: float = 4, seed: int = 0) -> np.ndarray:
    """Noise with a falling spectrum whose level rises and falls as that of speech does."""
    rng = np.random.default_rng(seed)
    n = int(rate * seconds)
    spectrum = np.fft.rfft(rng.standard_normal(n)) / (1 + (np.fft.rfftfreq(n, 1 / rate) / 500) ** 2)
    x = np.fft.irfft(spectrum, n) * (0.2 + np.abs(np.sin(np.arange(n) / rate * 2 * np.pi * 2)))
    return (x / np.abs(x).max()).astype(np.float32)


@pytest.mark.parametrize("level_db", [0, -6, -20, -40])
@pytest.mark.parametrize("bits", [16, 24, 32])
def test_clipping_is_seen_at_any_level_and_not_where_there_is_none(level_db, bits):
    """A sound that was clipped and then turned down; made with a known share of clipped samples."""
    x = speech_like(16_000)
    step = 2.0 ** (1 - bits)
    for limit in (1.0, 0.5, 0.2):
        y = np.clip(x, -limit, limit) / limit * 10 ** (level_db / 20)
        y = (np.round(y / step) * step).astype(np.float32)
        true = 100 * np.mean(np.abs(x) >= limit - step) if limit < 1 else 0.0
        found = levels.clipped_percent(y[None])
        assert found == pytest.approx(true, abs=0.1 + 0.15 * true), (limit, true)


def test_clipping_of_one_side_or_one_channel_and_smooth_peaks():
    x = speech_like(16_000)
    one_side = np.minimum(x, 0.3)
    assert levels.clipped_percent(one_side[None]) == pytest.approx(100 * np.mean(x >= 0.3), rel=0.2)
    both = np.stack([np.clip(x, -0.3, 0.3) / 4, x])
    assert levels.clipped_percent(both) == pytest.approx(50 * np.mean(np.abs(x) >= 0.3), rel=0.2)
    slow = np.round(0.5 * np.sin(2 * np.pi * 50 * np.arange(48_000) / 48_000) * 32768) / 32768  # rounding makes its peaks flat
    assert levels.clipped_percent(slow[None].astype(np.float32)) == 0
    assert levels.clipped_percent(np.zeros((1, 1000), np.float32)) == 0


def test_clipping_in_blocks_is_seen_beside_a_single_higher_extreme():
    """One sample a step above the limit, in a later block, is no reason to see no clipping."""
    step = 2.0**-15
    x = np.clip(speech_like(48_000), -0.3, 0.3)
    x = (np.round(x / step) * step).astype(np.float32)
    limit = x.max()
    x[40_000] = limit + step
    whole = levels.clipped_percent(x[None])
    assert whole > 1
    report = levels.Report(16_000)
    for start in range(0, len(x), 7000):
        report.add(x[None, start : start + 7000])
    assert report.result()["clipped_percent"] == pytest.approx(whole, rel=0.02)


def test_a_report_in_blocks_is_that_of_the_whole():
    x = np.stack([np.clip(speech_like(16_000), -0.4, 0.4), 0.1 * speech_like(16_000, seed=1) + 0.02])
    x[:, 20_000:24_000] = 0
    x = (np.round(x * 32768) / 32768).astype(np.float32)
    whole = levels.report(audio.Sound(x, 16_000))
    for size in (1000, 7777, 30_001):
        meter = levels.Report(16_000)
        for start in range(0, x.shape[1], size):
            meter.add(x[:, start : start + size])
        for key, value in meter.result().items():
            assert value == (pytest.approx(whole[key], rel=1e-4) if isinstance(value, float) else whole[key]), (key, size)


@pytest.mark.parametrize("rate", [16_000, 44_100, 48_000])
@pytest.mark.parametrize("cutoff", [3400, 4000, 7000, 15_000, None])
def test_bandwidth_is_that_of_the_filter(rate, cutoff):
    from scipy.signal import firwin, oaconvolve

    if cutoff is not None and cutoff > 0.45 * rate:
        pytest.skip("above half the rate")
    x = np.random.default_rng(0).standard_normal(4 * rate).astype(np.float32) * 0.05
    if cutoff:
        x = oaconvolve(x, firwin(801, cutoff, window=("kaiser", 9), fs=rate), "same").astype(np.float32)
    x = np.round(x * 32768) / 32768
    found = levels.report(audio.Sound(x[None].astype(np.float32), rate))["bandwidth_hz"]
    assert found == pytest.approx(cutoff or rate / 2, abs=250)


def test_report_names_what_is_wrong_with_channels_and_gaps():
    x = speech_like(16_000)
    gap = x.copy()
    gap[20_000:28_000] = 0
    gap[:500] = gap[-500:] = 0  # before and after the sound: nothing is missing
    measured = levels.report(audio.Sound(gap[None], 16_000))
    assert measured["silence_inside_s"] == pytest.approx(0.5)
    assert levels.report(audio.Sound(x[None] + 0.1, 16_000))["dc_percent"] == pytest.approx(10, abs=1)
    assert levels.report(audio.Sound(np.stack([x, 0 * x, x]), 16_000))["silent_channels"] == "1"
    assert levels.report(audio.Sound(np.stack([x, -x]), 16_000))["mixing_loss_db"] > 60
    assert levels.report(audio.Sound(np.stack([x, x]), 16_000))["mixing_loss_db"] == pytest.approx(0, abs=0.01)
    silent = levels.report(audio.Sound(np.zeros((2, 16_000), np.float32), 16_000))
    assert (silent["level_dbov"], silent["silent_channels"], silent["bandwidth_hz"]) == (-np.inf, "", 0.0)


@given(
    gains=st.lists(st.floats(-30, 0), min_size=1, max_size=3),
    cuts=st.lists(st.integers(1, 15_999), max_size=5),
)
def test_active_level_in_blocks_is_that_of_the_whole(gains, cuts):
    x = np.concatenate([speech_like(16_000, 1) * 10 ** (g / 20) for g in gains] + [np.zeros(8000, np.float32)])
    meter = levels.ActiveLevel(16_000)
    for part in np.split(x, sorted(set(cuts))):
        meter.add(part)
    assert meter.result() == pytest.approx(levels.active_level(x, 16_000), rel=1e-9)


@given(
    rates=st.tuples(st.sampled_from([8000, 11_025, 16_000, 22_050, 44_100, 48_000]), st.sampled_from([8000, 16_000, 44_100, 48_000])),
    size=st.integers(100, 60_000),
)
def test_resampling_in_blocks_is_that_of_the_whole(rates, size):
    old, new = rates
    x = np.random.default_rng(0).standard_normal((2, 3 * old + 37)).astype(np.float32) * 0.1
    blocks = [x[:, i : i + size] for i in range(0, x.shape[1], size)]
    whole, pieces = audio.resample(x, old, new), np.concatenate(list(audio.resample_blocks(blocks, old, new)), axis=1)
    assert pieces.shape == whole.shape
    assert np.abs(pieces - whole).max() < 1e-6


@given(rates=st.tuples(st.sampled_from([8000, 11_025, 16_000, 22_050, 44_100, 48_000]), st.sampled_from([8000, 16_000, 48_000])))
def test_resampling_keeps_level_and_length(rates):
    old, new = rates
    x = (0.5 * np.sin(2 * np.pi * 440 * np.arange(old) / old)).astype(np.float32)[None]
    y = audio.resample(x, old, new)
    assert y.shape == (1, new)
    assert levels.level(y[:, new // 10 : -new // 10]) == pytest.approx(levels.level(x), abs=0.1)


@pytest.mark.parametrize("rate", [16_001, 44_099])
def test_resampling_from_odd_rates_takes_little_memory(rate):
    x = (0.5 * np.sin(2 * np.pi * 440 * np.arange(rate) / rate)).astype(np.float32)[None]
    y = audio.resample(x, rate, 16_000)
    assert y.shape == (1, 16_000)
    assert y.dtype == np.float32
    assert levels.level(y[:, 2000:-2000]) == pytest.approx(levels.level(x), abs=0.1)


def test_sixteen_bits_come_back_bit_for_bit(tmp_path):
    integers = np.random.default_rng(0).integers(-32768, 32768, 5000).astype(np.int16)
    audio.write_wav(tmp_path / "x.wav", audio.load(integers, 16_000).waveform, 16_000)
    assert np.array_equal(soundfile.read(tmp_path / "x.wav", dtype="int16")[0], integers)


def test_torchaudio_is_there_beside_a_cpu_build_of_torch():
    assert audio.import_torchaudio().functional.melscale_fbanks(201, 0.0, 8000.0, 40, 16_000).shape == (201, 40)


def test_a_wav_is_written_whole(tmp_path, tone):
    audio.write_wav(tmp_path / "o.wav", tone.waveform * 10, tone.sample_rate)
    assert [p.name for p in tmp_path.iterdir()] == ["o.wav"]
    assert np.abs(audio.load(tmp_path / "o.wav").waveform).max() <= 1
