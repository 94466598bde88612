"""HuMP-CAT's three streams of a corpus: layers of an encoder from its feature bank, MFCCs and prosody, computed once and kept on disk."""

import json
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import torch
from filelock import FileLock
from jaxtyping import Float
from safetensors.torch import load_file, save_file
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence

from .. import audio, environment, prosody, spectrogram
from ..audio import ChannelName
from ..corpora.manifest import Manifest
from ..corpora.workers import in_processes
from ..errors import AudioError, CorpusError, SettingsError
from ..files import atomic, short_hash
from ..models.encoders import Encoder
from ..models.humpcat import COLUMNS, FRAMES, Inputs, averaged, count_steps, in_blocks
from ..prosody import DISVOICE, ProsodySettings
from ..spectrogram import SPEECH_RATE
from .feature_bank import Bank, samples_at

FORMAT = 2  # raise it with every change to what is stored


@dataclass(frozen=True)
class Acoustics:
    """MFCCs and prosody of a corpus, files in the manifest's order.

    mfcc : frames every 20 ms, one file after the other. contours : F0, level and voicing every 10 ms. mfcc_ends, contour_ends : (files +
    1,). prosody : NaN where a number has no definition. voiced : whether a file has any voice.
    """

    mfcc: Float[Tensor, "frames 39"]
    mfcc_ends: list[int]
    contours: Float[Tensor, "tens 3"]
    contour_ends: list[int]
    prosody: Float[Tensor, "files 103"]
    voiced: list[bool]


def acoustics(corpus: Manifest, channel: ChannelName = "mean", settings: ProsodySettings = DISVOICE) -> Acoustics:
    """MFCCs and prosody of a corpus at 16 kHz, computed on the first call (by all cores if there are many files) and kept in the cache.

    Parameters
    ----------
    corpus : Its files must be on this machine.
    channel : The channel that is taken of each file, or their mean.
    settings : Which pitch tracker, and DisVoice's traps, each on or off.

    Returns
    -------
    MFCCs every 20 ms, contours every 10 ms and 103 numbers of prosody a file, in the manifest's order.

    Raises
    ------
    CorpusError
        A file is too short for prosody.
    AudioError
        A file is missing or damaged, or its channels cancel.
    SettingsError
        The pitch tracker is unknown or not installed.
    """
    files = corpus.table[["file", "sha256"]].to_csv(index=False)
    key = short_hash(json.dumps([FORMAT, corpus.name, files, channel, asdict(settings)]), 16)
    path = environment.cache_folder() / "features" / f"acoustics-{key}.safetensors"
    path.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(path.with_suffix(".lock")):
        if not path.is_file():
            # As DisVoice has it that reads the files in this order, whichever process reads them here.
            odd_before = np.cumsum([0, *samples_at(corpus, SPEECH_RATE)[:-1]]) % 2 == 1
            jobs = [(path, channel, settings, odd) for path, odd in zip(corpus.paths(), odd_before.tolist(), strict=True)]
            found = in_processes(_of_file, jobs, 16, lambda: None)
            mfcc, lines, numbers, voiced = zip(*found, strict=True)
            held = {
                "mfcc": torch.cat(mfcc).contiguous(),
                "contours": torch.from_numpy(np.concatenate(lines)),
                "mfcc_ends": torch.tensor(np.cumsum([0, *map(len, mfcc)])),
                "contour_ends": torch.tensor(np.cumsum([0, *map(len, lines)])),
                "prosody": torch.from_numpy(np.stack(numbers)).float(),
                "voiced": torch.tensor(voiced),
            }
            with atomic(path) as partial:
                save_file(held, partial)
    held = load_file(path)
    ends = {name: held[name].tolist() for name in ("mfcc_ends", "contour_ends", "voiced")}
    return Acoustics(mfcc=held["mfcc"], contours=held["contours"], prosody=held["prosody"], **ends)


def _of_file(job: tuple[Path, ChannelName, ProsodySettings, bool]) -> tuple[Tensor, np.ndarray, np.ndarray, bool]:
    path, channel, settings, odd_before = job
    torch.set_num_threads(1)
    x = audio.load_mono(path, SPEECH_RATE, channel)
    try:
        found = prosody.prosody(x, SPEECH_RATE, settings, odd_before)
        return spectrogram.mfcc(x), prosody.contours(x, SPEECH_RATE, settings.pitch), found.values, found.voiced
    except AudioError as e:
        raise CorpusError(f"{path}: {e} Leave the file out of the corpus.") from e


@dataclass(frozen=True)
class Streams:
    """The inputs of every file of a corpus, in memory.

    encoder : `models.humpcat.in_blocks` of each file, in 16 bits: rearranged once, since that takes longer than the convolution. frames : of
    the encoder in each file. mfcc : (steps, 39) a file. prosody : (103,) a file, or contours (steps, 3).
    """

    encoder: list[Tensor]
    frames: list[int]
    mfcc: list[Tensor]
    prosody: list[Tensor]

    def batch(self, files: np.ndarray) -> Inputs:
        """Inputs of files: the encoder's blocks one file after the other, the rest padded to the longest."""
        blocks = [self.encoder[i] for i in files]
        first = np.cumsum([0, *map(len, blocks[:-1])])
        prosody = [self.prosody[i] for i in files]
        together = torch.stack(prosody) if prosody[0].dim() == 1 else pad_sequence(prosody, batch_first=True)
        mfcc = pad_sequence([self.mfcc[i] for i in files], batch_first=True)
        steps = torch.tensor([len(self.mfcc[i]) for i in files])
        return Inputs(torch.cat(blocks).float(), mfcc, together, steps, torch.from_numpy(first))

    def moments(self, files: np.ndarray) -> dict[str, tuple[Tensor, Tensor]]:
        """Mean and standard deviation of each input over files, of the encoder and of MFCCs over frames; NaN takes no part."""
        total = squares = torch.zeros(())
        for i in files:
            x = self.encoder[i].double().unflatten(2, (-1, FRAMES[1], COLUMNS[1]))  # (blocks, across, layers, frames, columns)
            total, squares = total + x.sum(dim=(0, 3)), squares + x.square().sum(dim=(0, 3))  # the zeros after the last frame add nothing
        count = sum(self.frames[i] for i in files)
        mean, square = ((of / count).transpose(0, 1).flatten(1) for of in (total, squares))  # (layers, columns)
        deviation = (square - mean**2).clamp(min=0).sqrt()
        found = {"encoder": (mean.float(), deviation.float())}
        for name, parts in (("mfcc", self.mfcc), ("prosody", self.prosody)):
            x = torch.cat([parts[i].reshape(-1, parts[i].shape[-1]) for i in files]).double()
            middle = x.nanmean(dim=0).nan_to_num()
            spread = (x - middle).square().nanmean(dim=0).sqrt().nan_to_num()
            found[name] = (middle.float(), spread.float())
        return found


def of_sound(
    waveform: Float[np.ndarray, " samples"], encoder: Encoder, layers: tuple[int, ...], contours: bool, settings: ProsodySettings
) -> Streams:
    """Streams of one sound, as `streams` gives them for a corpus.

    Parameters
    ----------
    waveform : mono at 16 kHz, full scale 1.
    encoder : loaded.
    layers : of the encoder, from 1.
    contours : F0, level and voicing over time instead of 103 numbers.
    settings : of the prosodic numbers.

    Returns
    -------
    Streams of one file.

    Raises
    ------
    AudioError
        It is shorter than ten frames of the encoder.
    """
    frames = encoder.hidden_states([waveform])[0][[layer - 1 for layer in layers]].half()
    steps = count_steps(frames.shape[1])
    if steps < 1:
        raise AudioError(f"{len(waveform) / SPEECH_RATE:.3f} s are fewer than the ten frames of the encoder that the network needs.")
    if contours:
        described = averaged(torch.from_numpy(prosody.contours(waveform, SPEECH_RATE, settings.pitch)), steps)
    else:
        described = torch.from_numpy(prosody.prosody(waveform, SPEECH_RATE, settings, odd_before=False).values).float()
    return Streams([in_blocks(frames)], [frames.shape[1]], [averaged(spectrogram.mfcc(waveform), steps)], [described])


def streams(bank: Bank, found: Acoustics, names: list[str], layers: tuple[int, ...], contours: bool = False) -> Streams:
    """Streams of a corpus.

    Numbers of prosody without a definition stay NaN; the network puts the mean of its training files in their place.

    Parameters
    ----------
    bank : features of the corpus.
    found : MFCCs and prosody of the same files.
    names : of the files, for messages.
    layers : of the encoder, from 1.
    contours : F0, level and voicing over time instead of 103 numbers.

    Returns
    -------
    The streams of all files, in the order of the bank.

    Raises
    ------
    SettingsError
        The encoder has no such layer.
    CorpusError
        A file is shorter than ten frames of the encoder.
    """
    if not all(1 <= layer <= bank.layers for layer in layers):
        raise SettingsError(f"The encoder has layers 1 to {bank.layers}; {', '.join(map(str, layers))} were asked for.")
    held = bank.frames
    encoder, counts, mfcc, prosodies = [], [], [], []
    for i, name in enumerate(names):
        frames = torch.from_numpy(np.array(held[[layer - 1 for layer in layers], bank.ends[i] : bank.ends[i + 1]]))
        steps = count_steps(frames.shape[1])
        if steps < 1:
            raise CorpusError(
                f"{name}: {frames.shape[1]} frames of the encoder are fewer than the 10 that the network needs; leave it out."
            )
        encoder.append(in_blocks(frames))
        counts.append(frames.shape[1])
        mfcc.append(averaged(found.mfcc[found.mfcc_ends[i] : found.mfcc_ends[i + 1]], steps))
        lines = found.contours[found.contour_ends[i] : found.contour_ends[i + 1]]
        prosodies.append(averaged(lines, steps) if contours else found.prosody[i])
    return Streams(encoder, counts, mfcc, prosodies)
