"""Spectrograms: NISQA's mel spectrogram in dB and its segments, Whisper's log-mel, MFCCs, and AST's filter bank.

The arithmetic of NISQA's front end is librosa's (`melspectrogram` with power 1, then `amplitude_to_db` with ref 1, amin 1e-4, top_db 80), without
librosa: where the window is shorter than the FFT, frames are taken at the window's length and only then padded with zeros.
"""

import threading
import warnings
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import torch
from jaxtyping import Float

from . import audio
from .errors import AudioError

FLOOR = 1e-4  # amplitude; -80 dB
RANGE_DB = 80.0
FRAMES_AT_ONCE = 64  # 1 MB of frames, 1 MB of spectrum: more leaves the cores' caches and takes twice as long

SPEECH_RATE = 16_000  # Hz, of Whisper and AST
WHISPER_WINDOW = 400  # samples, 25 ms; also the FFT's length
WHISPER_HOP = 160  # samples, 10 ms
WHISPER_RANGE = 8.0  # in log10 of power, below a sound's maximum
MFCC_WINDOW, MFCC_HOP, MFCC_BANDS = 640, 320, 40  # samples at 16 kHz: 40 ms, 20 ms
AST_BANDS = 128  # Kaldi's mel bands, windows of 25 ms every 10 ms


@dataclass(frozen=True)
class MelSettings:
    """One front end. `sample_rate` None means the file's own; lengths in seconds, frequencies in Hz."""

    sample_rate: int | None = None
    n_fft: int = 4096
    hop_s: float = 0.01
    win_s: float = 0.02
    n_mels: int = 48
    fmax: float = 20_000.0

    def hop(self, sample_rate: int) -> int:
        return int(sample_rate * self.hop_s)

    def win(self, sample_rate: int) -> int:
        return int(sample_rate * self.win_s)


def mel_filters(n_fft: int, n_mels: int, fmax: float, sample_rate: int) -> Float[torch.Tensor, "bins mels"]:
    """Triangular filters on Slaney's mel scale with Slaney's area norm; bands above half the rate are empty, as in librosa."""
    with _FILTERS:  # Python's list of warning filters belongs to all threads: one at a time may change it
        return _mel_filters(n_fft, n_mels, fmax, sample_rate)


def band_hz(n_mels: int, fmax: float) -> np.ndarray:
    """Frequencies of the bands' peaks, (n_mels,) Hz.

    Parameters
    ----------
    n_mels : Number of bands.
    fmax : Upper edge of the highest band, Hz.

    Returns
    -------
    (n_mels,), in Hz.

    Examples
    --------
    >>> band_hz(48, 20_000.0)[[0, 20, 47]].round(-1)
    array([   80.,  2000., 18420.])
    """
    bins, rate = 16_384, int(max(48_000, 2 * fmax))
    return mel_filters(bins, n_mels, fmax, rate).argmax(dim=0).numpy() * rate / bins


@lru_cache(maxsize=16)
def _used_filters(n_fft: int, n_mels: int, fmax: float, sample_rate: int) -> torch.Tensor:
    """The filters without the bins above the highest one."""
    filters = mel_filters(n_fft, n_mels, fmax, sample_rate)
    return filters[: int(filters.any(dim=1).nonzero().max()) + 1]


@lru_cache(maxsize=16)
def _hann(length: int, device: str) -> torch.Tensor:
    return torch.hann_window(length, device=device)


_SCRATCH = threading.local()


def _zeros(n_fft: int, win: int, device: str) -> torch.Tensor:
    """Room for frames that are padded with zeros from `win` to `n_fft`, the same for all sounds of a thread: making it anew takes longer
    than a short sound's spectrum."""
    kept = vars(_SCRATCH)
    if kept.get("key") != (n_fft, win, device):
        kept.update(key=(n_fft, win, device), room=torch.zeros(FRAMES_AT_ONCE, n_fft, device=device))
    return kept["room"]


_FILTERS = threading.Lock()


@lru_cache(maxsize=16)
def _mel_filters(n_fft: int, n_mels: int, fmax: float, sample_rate: int) -> torch.Tensor:
    functional = audio.import_torchaudio().functional
    with warnings.catch_warnings():  # torchaudio warns of empty bands, which are meant
        warnings.simplefilter("ignore", UserWarning)
        return functional.melscale_fbanks(n_fft // 2 + 1, 0.0, fmax, n_mels, sample_rate, norm="slaney", mel_scale="slaney")


@torch.inference_mode()
def mel_db(
    waveform: Float[np.ndarray, "samples"], sample_rate: int, settings: MelSettings, device: str = "cpu"
) -> Float[torch.Tensor, "frames mels"]:
    """Mel spectrogram in dB re full scale, clamped to 80 dB below its maximum; 1 + samples // hop frames.

    Memory is bounded: beside the result, `FRAMES_AT_ONCE` spectra are held at a time.

    Parameters
    ----------
    waveform : Mono, full scale 1.
    sample_rate : Hz.
    settings : Window, hop, bands.
    device : Where it is computed.

    Returns
    -------
    (frames, mels) in dB, on `device`.

    Raises
    ------
    AudioError : fewer samples than one hop.
    """
    return clamp_range_(torch.cat(list(mel_db_blocks([waveform], sample_rate, settings, device))))


@torch.inference_mode()
def mel_db_blocks(
    blocks: Iterable[Float[np.ndarray, "samples"]], sample_rate: int, settings: MelSettings, device: str = "cpu"
) -> Iterator[Float[torch.Tensor, "frames mels"]]:
    """The frames of `mel_db`, not yet clamped, of a sound that comes in blocks; errors as there."""
    hop, win, n_fft = settings.hop(sample_rate), settings.win(sample_rate), settings.n_fft
    if win > n_fft:
        raise AudioError(f"At {sample_rate} Hz a window of {win} samples is longer than the FFT of {n_fft}; resample to 48000.")
    window = _hann(win, device)
    filters = _used_filters(n_fft, settings.n_mels, float(settings.fmax), sample_rate).to(device)
    bins = len(filters)
    chunk = _zeros(n_fft, win, device)
    for frames in _framed(blocks, hop, win, n_fft):
        out = torch.empty(len(frames), settings.n_mels, device=device)
        for start in range(0, len(frames), FRAMES_AT_ONCE):
            part = frames[start : start + FRAMES_AT_ONCE].to(device)
            chunk[: len(part), :win] = part * window
            spectrum = torch.fft.rfft(chunk[: len(part)])[:, :bins]
            torch.mm(_magnitude(spectrum), filters, out=out[start : start + len(part)])
        yield out.clamp_(min=FLOOR).log10_().mul_(20)


def _framed(blocks: Iterable[np.ndarray], hop: int, win: int, n_fft: int) -> Iterator[torch.Tensor]:
    """Frames (n, win) of blocks of samples. Frame t is centred on sample t * hop; reflection at both ends of the sound."""
    before = n_fft // 2 - (n_fft - win) // 2
    held = np.zeros(0, np.float32)
    total = framed = 0
    begun = False
    for block, last in _with_last(blocks):
        total += len(block)
        held = np.concatenate([held, block]) if len(held) else block
        if not begun and len(held) > 2 * max(before, win):  # else it may end before its beginning can be reflected
            held, begun = np.concatenate([held[before:0:-1], held]), True
        n = (len(held) - 2 * win) // hop  # the last `win` samples stay: the end is reflected from them
        if begun and n > 0 and not last:
            yield torch.from_numpy(held[: (n - 1) * hop + win]).unfold(0, win, hop)
            framed += n
            held = held[n * hop :]
    if total < max(hop, 2):
        raise AudioError(f"{total} samples are too few for a spectrum with a hop of {hop}.")
    padded = np.concatenate([held, held[-2 : -2 - win : -1]]) if begun else _reflect(held, before, win)
    yield torch.from_numpy(padded).unfold(0, win, hop)[: 1 + total // hop - framed]


def _with_last(blocks: Iterable[np.ndarray]) -> Iterator[tuple[np.ndarray, bool]]:
    """Each block, and whether it is the last."""
    held = None
    for block in blocks:
        if held is not None:
            yield held, False
        held = block
    if held is not None:
        yield held, True


def _magnitude(spectrum: torch.Tensor) -> torch.Tensor:
    # numpy's complex abs is seven times faster than torch's on a CPU.
    return torch.from_numpy(np.abs(spectrum.numpy())) if spectrum.device.type == "cpu" else spectrum.abs()


def _reflect(waveform: np.ndarray, before: int, after: int) -> np.ndarray:
    period = 2 * (len(waveform) - 1)
    index = np.abs(np.arange(-before, len(waveform) + after)) % period
    return waveform[np.where(index < len(waveform), index, period - index)]


def clamp_range_(mel: torch.Tensor) -> torch.Tensor:
    """In place: nothing more than 80 dB below the maximum."""
    return mel.clamp_(min=float(mel.max()) - RANGE_DB)


def count_segments(n_frames: int, length: int, hop: int) -> int:
    """Segments of `length` frames every `hop` frames: ceil((frames - length + 1) / hop), at least 0."""
    return max(0, -(-(n_frames - length + 1) // hop))


def segments(mel: Float[torch.Tensor, "frames mels"], length: int, hop: int) -> Float[torch.Tensor, "segments mels length"]:
    """Overlapping segments, as a view."""
    return mel.unfold(0, length, hop)[: count_segments(len(mel), length, hop)]


def whisper_log_mel(
    waveform: Float[np.ndarray, " samples"], n_mels: int, samples: int | None = None, device: str = "cpu"
) -> Float[torch.Tensor, "mels frames"]:
    """Whisper's input: log10 of mel power, limited to 8 below the sound's maximum, shifted and scaled.

    Parameters
    ----------
    waveform : Mono at 16 kHz, full scale 1.
    n_mels : 80, or 128 for Whisper large v3.
    samples : Padded with silence or cut to this length first.
    device : Where it is computed.

    Returns
    -------
    (mels, frames), a frame every 10 ms, on `device`.
    """
    x = torch.from_numpy(np.ascontiguousarray(waveform, np.float32)).to(device)
    if samples is not None:
        x = torch.nn.functional.pad(x, (0, samples - len(x)))
    window = torch.hann_window(WHISPER_WINDOW, device=device)
    pad_mode = "reflect" if len(x) > WHISPER_WINDOW // 2 else "constant"
    spectrum = torch.stft(x, WHISPER_WINDOW, WHISPER_HOP, window=window, return_complex=True, pad_mode=pad_mode)
    power = spectrum[:, : len(x) // WHISPER_HOP].abs() ** 2
    filters = mel_filters(WHISPER_WINDOW, n_mels, SPEECH_RATE / 2, SPEECH_RATE)
    mel = (filters.T.to(device) @ power).clamp(min=1e-10).log10()
    return (torch.maximum(mel, mel.max() - WHISPER_RANGE) + 4.0) / 4.0


def mfcc(waveform: Float[np.ndarray, " samples"]) -> Float[torch.Tensor, "frames 39"]:
    """13 mel-frequency cepstral coefficients of a sound at 16 kHz with their first and second differences: Hamming windows of 40 ms every
    20 ms, 40 mel bands in dB (the number of bands is our choice), differences over five frames with the first and last repeated.

    Parameters
    ----------
    waveform : Mono at 16 kHz, full scale 1.

    Returns
    -------
    (frames, 39).

    Raises
    ------
    AudioError
        Shorter than half a window.
    """
    if len(waveform) <= MFCC_WINDOW // 2:
        raise AudioError(f"{len(waveform) / SPEECH_RATE:.3f} s is too short for MFCCs; half a window of 40 ms is needed.")
    transform = _mfcc_transform()
    from torchaudio.functional import compute_deltas

    found = transform(torch.from_numpy(np.ascontiguousarray(waveform, np.float32)))
    first = compute_deltas(found)
    return torch.cat([found, first, compute_deltas(first)]).T


@lru_cache(maxsize=1)
def _mfcc_transform() -> torch.nn.Module:
    audio.import_torchaudio()
    from torchaudio.transforms import MFCC

    bands = {"n_fft": MFCC_WINDOW, "hop_length": MFCC_HOP, "n_mels": MFCC_BANDS, "window_fn": torch.hamming_window}
    return MFCC(SPEECH_RATE, 13, melkwargs=bands)


def ast_filter_bank(waveforms: Sequence[Float[np.ndarray, " _"]], frames: int) -> Float[torch.Tensor, "files frames bands"]:
    """AST's input: Kaldi's log filter-bank energies of sounds at 16 kHz, cut or filled with zeros to `frames`, not normalised."""
    audio.import_torchaudio()  # before transformers, which imports it too
    from transformers import ASTFeatureExtractor

    extract = ASTFeatureExtractor(max_length=frames, num_mel_bins=AST_BANDS, do_normalize=False)
    return extract([w - w.mean() for w in waveforms], sampling_rate=SPEECH_RATE, return_tensors="pt").input_values
