"""Sound in: any file, array or tensor becomes a float32 waveform (channels × samples) in [-1, 1].

Nothing else in the library opens sound files. The sample rate is never guessed: a file carries its own, an array needs one.
"""

import importlib
import io
import math
import sys
import threading
import types
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal, NamedTuple

import numpy as np
from jaxtyping import Float

from .errors import AudioError
from .files import atomic

MAX_KERNEL = 1_000_000  # 44100 to 48000 Hz needs 23,520
BLOCK = 1 << 20  # samples read at a time, so that a stereo file is mixed down without being held twice
MAX_SECONDS = 12 * 3600  # a header can promise anything; half a day is more than any use here
MIN_RATE = 1000  # Hz
MAX_RATE = 768_000  # Hz
MAX_PEAK = 8.0  # float files may pass full scale a little; integers that were never scaled pass it by thousands

Channel = int | Literal["mean", "all"]
ChannelName = Literal["mean", "left", "right"]


class Sound(NamedTuple):
    """A waveform (channels × samples, float32, 1.0 = full scale) and its rate in Hz."""

    waveform: Float[np.ndarray, "channels samples"]
    sample_rate: int


def load(source: Any, sample_rate: float | None = None, channel: Channel = "mean") -> Sound:
    """A sound from a file, an array or a tensor.

    Parameters
    ----------
    source : str, Path, array or tensor
        Arrays and tensors have the shape (samples,) or (channels, samples). Integers are scaled by the range of their type, floats must
        be in [-1, 1].
    sample_rate : float, Hz
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

    Examples
    --------
    >>> sound = load(np.array([[0, 16384], [0, 0]], dtype=np.int16), 16_000)
    >>> sound.waveform.tolist(), sound.sample_rate
    ([[0.0, 0.25]], 16000)
    """
    if isinstance(source, str | Path):
        if sample_rate is not None:
            raise AudioError(f"{source}: a file carries its own rate; to change it, resample after loading.")
        return _load_file(Path(source), channel)
    return _load_array(source, sample_rate, channel)


def _load_array(source: Any, sample_rate: float | None, channel: Channel) -> Sound:
    array = np.asarray(source.detach().cpu() if hasattr(source, "detach") else source)
    if sample_rate is None:
        raise AudioError("An array of samples has no rate of its own; pass sample_rate in Hz.")
    if isinstance(sample_rate, bool) or not isinstance(sample_rate, int | np.integer) or sample_rate <= 0:
        raise AudioError(f"The sample rate must be a whole number of Hz above 0, not {sample_rate!r}.")
    if array.dtype.kind not in "iuf":
        raise AudioError(f"Samples must be real numbers, not {array.dtype}.")
    if array.ndim not in (1, 2):
        raise AudioError(f"Samples must have shape (samples,) or (channels, samples), not {array.shape}.")
    array = np.atleast_2d(array)
    if array.shape[0] > array.shape[1] > 0:
        raise AudioError(f"Shape {array.shape} has more channels than samples; pass (channels, samples).")
    if array.dtype.kind == "u":
        middle = (int(np.iinfo(array.dtype).max) + 1) // 2
        array = (array.astype(np.float64) - middle) / middle
    elif array.dtype.kind == "i":
        array = array / -float(np.iinfo(array.dtype).min)
    waveform = _mix(array.astype(np.float32), channel, "The array")
    return Sound(_checked(waveform, int(sample_rate), "The array"), int(sample_rate))


def _load_file(path: Path, channel: Channel) -> Sound:
    if not path.exists():
        raise AudioError(f"{path}: no such file.")
    if not path.is_file():
        raise AudioError(f"{path}: not a file but a {'folder' if path.is_dir() else 'pipe or device'}.")
    try:
        size = path.stat().st_size
        with path.open("rb") as f:
            head = f.read(12)
    except OSError as e:
        raise AudioError(f"{path}: cannot be read ({e.strerror}).") from e
    if size == 0:
        raise AudioError(f"{path}: the file is empty.")
    _refuse_cut_riff(path, head, size)
    reader = _read_av if path.suffix.lower() in {".g722", ".722"} else _read_soundfile
    try:
        waveform, rate = reader(path, channel)
    except _NotForThisReader:
        waveform, rate = _read_av(path, channel)
    if waveform.shape[1] == 0:
        raise AudioError(f"{path}: the file holds no samples.")
    return Sound(_checked(waveform, rate, str(path)), rate)


def _refuse_cut_riff(path: Path, head: bytes, size: int) -> None:
    # Readers take what is left of a cut WAV without a word. A size of 0 or near 2**31, 2**32 means "streamed, unknown".
    promised = int.from_bytes(head[4:8], "little")
    if head[:4] == b"RIFF" and head[8:12] == b"WAVE" and size + 1 < promised + 8 < 0x7FFF0000:
        raise AudioError(f"{path}: cut short, its header promises {promised + 8} bytes and {size} are there; fetch it again.")


class _NotForThisReader(Exception):
    pass


def _read_soundfile(path: Path, channel: Channel) -> tuple[np.ndarray, int]:
    import soundfile

    try:
        f = soundfile.SoundFile(path)
    except (soundfile.LibsndfileError, RuntimeError) as e:
        raise _NotForThisReader from e
    with f:
        rate, frames = f.samplerate, f.frames
        known = frames < 0x7FFFFFFF  # streams do not say how long they are
        if known and frames / rate > MAX_SECONDS:
            raise AudioError(f"{path}: claims to be {frames / rate / 3600:.0f} hours long; cut it first.")
        try:
            blocks = (_mix(np.ascontiguousarray(b.T), channel, str(path)) for b in _blocks(f))
            waveform = _filled(blocks, frames) if known else _joined(list(blocks))
        except (soundfile.LibsndfileError, RuntimeError) as e:
            raise AudioError(f"{path}: damaged, reading stopped inside ({e}).") from e
    missing = frames - waveform.shape[1]
    if known and missing > 0:
        raise AudioError(f"{path}: cut short, {missing / rate:.2f} s that its header promises are missing; fetch it again.")
    return waveform, rate


def _filled(blocks: Iterator[np.ndarray], frames: int) -> np.ndarray:
    """Blocks into one array of the length that the header promises, so that a long file is not held twice."""
    out, filled = np.zeros((0, 0), np.float32), 0
    for block in blocks:
        if not filled:
            out = np.empty((len(block), frames), np.float32)
        room = block[:, : frames - filled]
        out[:, filled : filled + room.shape[1]] = room
        filled += room.shape[1]
    return out[:, :filled]


def _blocks(f):
    while len(block := f.read(BLOCK, dtype="float32", always_2d=True)):
        yield block


def _read_av(path: Path, channel: Channel) -> tuple[np.ndarray, int]:
    import av

    blocks: list[np.ndarray] = []
    rate = held = 0
    try:
        # A playlist or script under a sound's name could make FFmpeg open other files or addresses.
        with av.open(str(path), options={"protocol_whitelist": "file"}) as container:
            if container.format.name in {"hls", "concat", "dash", "sdp", "image2", "lavfi"}:
                raise AudioError(f"{path}: not a sound but a list of other files ({container.format.name}).")
            if not container.streams.audio:
                raise AudioError(f"{path}: holds no sound.")
            resampler = av.AudioResampler(format="fltp")
            for frame in container.decode(audio=0):
                rate = frame.sample_rate
                blocks.extend(_mix(f.to_ndarray(), channel, str(path)) for f in resampler.resample(frame))
                held += frame.samples
                if held > MAX_SECONDS * rate:
                    raise AudioError(f"{path}: longer than {MAX_SECONDS // 3600} hours; cut it first.")
    except (av.FFmpegError, ValueError) as e:
        raise AudioError(f"{path}: not a sound file that soundfile or PyAV can read ({type(e).__name__}).") from e
    return _joined(blocks), rate


def _joined(blocks: list[np.ndarray]) -> np.ndarray:
    return np.concatenate(blocks, axis=1) if blocks else np.zeros((1, 0), np.float32)


def _mix(waveform: np.ndarray, channel: Channel, name: str) -> np.ndarray:
    if channel == "all" or (channel == "mean" and len(waveform) == 1):
        return waveform
    if channel == "mean":
        return waveform.mean(axis=0, keepdims=True, dtype=np.float32)
    if not 0 <= int(channel) < len(waveform):
        raise AudioError(f"{name}: there is no channel {channel}; the sound has {len(waveform)}, counted from 0.")
    return waveform[[int(channel)]]


def mixed(sound: Sound, channel: Channel, name: str = "The sound") -> Sound:
    """One channel, or the mean of all, of a sound that was loaded with all its channels. name : of the sound, for messages.

    Raises
    ------
    AudioError
        There is no such channel.
    """
    return Sound(_mix(sound.waveform, channel, name), sound.sample_rate)


def _checked(waveform: np.ndarray, rate: int, name: str) -> np.ndarray:
    if not MIN_RATE <= rate <= MAX_RATE:
        raise AudioError(f"{name}: a rate of {rate} Hz is not one of sound ({MIN_RATE} to {MAX_RATE} are read).")
    if waveform.size == 0:
        raise AudioError(f"{name}: there are no samples.")
    peak = max(float(waveform.max()), -float(waveform.min()))
    if not np.isfinite(peak):
        raise AudioError(f"{name}: holds samples that are not numbers (NaN or infinite).")
    if peak > MAX_PEAK:
        raise AudioError(f"{name}: has samples up to {peak:g}; scale floats to [-1, 1].")
    return waveform


def import_torchaudio() -> Any:
    """torchaudio, also beside a CPU build of torch.

    The wheel on PyPI is linked against CUDA torch, so loading its compiled part beside a CPU build raises OSError.
    All that is used here is plain Python: on that error it is imported again with the compiled part said to be absent,
    a state that `torchaudio._extension` knows. transformers imports torchaudio too, so this runs before its speech models.
    """
    with _IMPORTING:  # files are read in threads: none may see a module that another has half imported
        if "torchaudio" in sys.modules:
            return sys.modules["torchaudio"]
        try:
            return importlib.import_module("torchaudio")
        except OSError:
            for name in [m for m in sys.modules if m.split(".")[0] == "torchaudio"]:
                del sys.modules[name]
        absent: Any = types.ModuleType("torchaudio._extension")
        absent._IS_TORCHAUDIO_EXT_AVAILABLE = False
        absent.fail_if_no_align = lambda function: function
        sys.modules["torchaudio._extension"] = absent
        return importlib.import_module("torchaudio")


_IMPORTING = threading.Lock()


def resample(waveform: Float[np.ndarray, "channels samples"], sample_rate: int, new_rate: int) -> np.ndarray:
    """Band-limited resampling (windowed sinc, Kaiser window, 64 zero crossings); unchanged where the rates are equal."""
    if sample_rate == new_rate:
        return waveform
    common = math.gcd(sample_rate, new_rate)
    up, down = new_rate // common, sample_rate // common
    if up * down > MAX_KERNEL:  # torchaudio's table of filters grows with their product: gigabytes at 44099 Hz
        from scipy.signal import resample_poly

        return resample_poly(waveform, up, down, axis=-1, window=("kaiser", 14.769656459379492)).astype(np.float32)
    import torch

    functional = import_torchaudio().functional
    # The parameters that torchaudio documents as equal to librosa's kaiser_best.
    settings = {"lowpass_filter_width": 64, "rolloff": 0.9475937167399596, "beta": 14.769656459379492}
    out = functional.resample(
        torch.from_numpy(np.ascontiguousarray(waveform)),
        sample_rate,
        new_rate,
        resampling_method="sinc_interp_kaiser",
        **settings,
    )
    return out.numpy()


def load_mono(path: Path, sample_rate: int, channel: ChannelName = "mean") -> Float[np.ndarray, " samples"]:
    """One channel of a file at `sample_rate` Hz, as the encoders take it; left and right of a mono file are its one channel."""
    sound = load(path, channel="all")
    sound = mixed(sound, "mean" if channel == "mean" or len(sound.waveform) == 1 else ("left", "right").index(channel))
    return resample(sound.waveform, sound.sample_rate, sample_rate)[0]


def wav_bytes(waveform: np.ndarray, sample_rate: int) -> bytes:
    """A 16-bit WAV file in memory; samples beyond full scale are clipped. What was read from 16 bits comes back bit for bit."""
    import soundfile

    buffer = io.BytesIO()
    integers = np.clip(np.round(np.atleast_2d(waveform) * 32768), -32768, 32767).astype(np.int16)
    soundfile.write(buffer, integers.T, sample_rate, subtype="PCM_16", format="WAV")
    return buffer.getvalue()


def write_wav(path: Path, waveform: np.ndarray, sample_rate: int) -> None:
    """`wav_bytes` into a file, written whole or not at all."""
    with atomic(path) as partial:
        partial.write_bytes(wav_bytes(waveform, sample_rate))
