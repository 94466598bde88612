"""Pairs of one sentence in one noise at two SNRs, for contrastive pretraining (paper 001): drawn by index, mixed where they are used.

Pair k follows from the seed and k alone. Nothing is stored; `write` makes files for those who want them.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from jaxtyping import Float
from torch import Tensor

from .. import levels
from ..audio import load_mono
from ..errors import CorpusError

RATE = 16_000
SPEECH_DBOV = -26.0  # active level of the speech in every mixture
DRAWS = 20  # of a stretch, until one has speech or sound in it


@dataclass(frozen=True)
class PairLaw:
    """How the two SNRs of a pair are drawn.

    snr_db : of the first member, uniform. gap_db : between the two, uniform, with a random sign. new_noise : the second member has another
    stretch of the same noise. crops : instead of two SNRs, two stretches of one mixture, as SimCLR takes two views. shuffled : the partners
    have other speech, other noise and an SNR of their own, so that there is nothing to learn.
    """

    snr_db: tuple[float, float] = (-5.0, 30.0)
    gap_db: tuple[float, float] = (2.0, 6.0)
    seconds: float = 3.0
    new_noise: bool = False
    crops: bool = False
    shuffled: bool = False


# The paper's law ("about 2 to 6 dB"), its variants (claim C13), and controls for the question whether the gap matters at all.
LAWS = {
    "2 to 6 dB": PairLaw(),
    "0 to 3 dB": PairLaw(gap_db=(0.0, 3.0)),
    "0 to 6 dB": PairLaw(gap_db=(0.0, 6.0)),
    "0 to 12 dB": PairLaw(gap_db=(0.0, 12.0)),
    "10 to 20 dB": PairLaw(gap_db=(10.0, 20.0)),
    "equal SNR": PairLaw(gap_db=(0.0, 0.0), new_noise=True),
    "crops": PairLaw(gap_db=(0.0, 0.0), crops=True),
    "shuffled": PairLaw(shuffled=True),
}


@dataclass(frozen=True)
class Bank:
    """Sounds that pairs are made of: names and waveforms (samples,) at 16 kHz."""

    names: tuple[str, ...]
    waveforms: tuple[np.ndarray, ...]


def bank(paths: Sequence[Path], what: str) -> Bank:
    """Sounds from files, channels mixed, at 16 kHz.

    Parameters
    ----------
    paths : of the files.
    what : what they are, such as "clean speech", for messages.

    Returns
    -------
    Names of the files, and waveforms (samples,) of different lengths.

    Raises
    ------
    CorpusError
        There are none, or one is silent.
    """
    if not paths:
        raise CorpusError(f"No files of {what} were given; pairs need at least one.")
    waveforms = tuple(load_mono(path, RATE) for path in paths)
    silent = [str(path) for path, x in zip(paths, waveforms, strict=True) if levels.level(x[None]) < levels.SIXTEEN_BITS_DB]
    if silent:
        raise CorpusError(f"{len(silent)} of {len(paths)} files of {what} are silent, {silent[0]} first; leave them out.")
    return Bank(tuple("/".join(path.parts[-3:]) for path in paths), waveforms)


@dataclass(frozen=True)
class Drawn:
    """One pair before it is mixed: its stretches, (2, samples) each, or (1, samples) where both members have the same; speech at
    `SPEECH_DBOV`, noise of RMS 1, and the SNRs (2,) in dB."""

    speech: np.ndarray
    noise: np.ndarray
    snr_db: np.ndarray
    clean_name: str
    noise_name: str


def draw(clean: Bank, noise: Bank, law: PairLaw, seed: int, index: int) -> Drawn:
    """Pair `index`, not yet mixed; the same for the same arguments.

    Parameters
    ----------
    clean, noise : sounds from which one each is drawn.
    law : the length of a stretch, and how the two SNRs are drawn.

    Returns
    -------
    Stretches of speech and noise, `law.seconds` long at 16 kHz, with the two SNRs. The names are those of the first member's
    sounds.

    Raises
    ------
    CorpusError
        A sound is silent in each of `DRAWS` random stretches.
    """
    first = _member(clean, noise, law, seed, index, 0)
    if law.shuffled:
        other = _member(clean, noise, law, seed, index, 1)
        joined = [np.stack([a, b]) for a, b in zip(first[:2], other[:2], strict=True)]
    elif law.crops:
        joined = [x.reshape(2, -1) for x in first[:2]]
    else:
        joined = [x[None] for x in first[:2]]
    rng = np.random.default_rng([seed, index, 2])
    snr = rng.uniform(*law.snr_db)
    gap = rng.uniform(*law.gap_db) * rng.choice([-1.0, 1.0])
    if law.new_noise:
        j = noise.names.index(first[3])
        again, loudness = _stretch(noise.waveforms[j], joined[1].shape[1], rng, first[3], lambda x: levels.level(x[None]))
        joined[1] = np.stack([first[1], again * 10 ** (-loudness / 20)])
    second = rng.uniform(*law.snr_db) if law.shuffled else snr + gap
    return Drawn(joined[0], joined[1], np.array([snr, second]), first[2], first[3])


def _member(clean: Bank, noise: Bank, law: PairLaw, seed: int, index: int, which: int) -> tuple[np.ndarray, np.ndarray, str, str]:
    rng = np.random.default_rng([seed, index, which])
    samples = int(law.seconds * RATE) * (2 if law.crops else 1)
    i, j = int(rng.integers(len(clean.names))), int(rng.integers(len(noise.names)))
    speech, level = _stretch(clean.waveforms[i], samples, rng, clean.names[i], lambda x: levels.active_level(x, RATE)[0])
    sound, loudness = _stretch(noise.waveforms[j], samples, rng, noise.names[j], lambda x: levels.level(x[None]))
    return speech * 10 ** ((SPEECH_DBOV - level) / 20), sound * 10 ** (-loudness / 20), clean.names[i], noise.names[j]


def _stretch(x: np.ndarray, samples: int, rng: np.random.Generator, name: str, level_of) -> tuple[np.ndarray, float]:
    """A random stretch that is not silent, repeated where the sound is too short, and its level in dBov."""
    for _ in range(DRAWS):
        start = int(rng.integers(len(x) - samples + 1 if len(x) >= samples else len(x)))
        stretch = np.resize(np.roll(x, -start) if len(x) < samples else x[start : start + samples], samples).astype(np.float32)
        level = level_of(stretch)
        if level > levels.SIXTEEN_BITS_DB:
            return stretch, level
    raise CorpusError(f"{name}: {DRAWS} stretches of {samples / RATE:g} s were drawn and all were silent; leave the file out.")


def mix(
    speech: Float[Tensor, "*#pairs samples"], noise: Float[Tensor, "*#pairs samples"], snr_db: Float[Tensor, "*#pairs"]
) -> Float[Tensor, "... samples"]:
    """Speech plus noise at an SNR: active speech level (ITU-T P.56) over the noise's RMS level.

    Parameters
    ----------
    speech : at an active level of `SPEECH_DBOV`; it is not scaled.
    noise : with an RMS of 1.
    snr_db : one SNR in dB for each mixture.

    Returns
    -------
    The mixtures, on the device of the inputs; the shapes of pairs are broadcast. They are not clipped and can exceed full scale.
    """
    gain = 10 ** ((SPEECH_DBOV - snr_db) / 20)
    return torch.addcmul(speech, gain[..., None], noise)


def batch(drawn: Sequence[Drawn], device: str = "cpu") -> Float[Tensor, "pairs 2 samples"]:
    """Pairs mixed on a device.

    Parameters
    ----------
    drawn : pairs of one length.
    device : name of a torch device.

    Returns
    -------
    Both members of each pair, float32, 16 kHz.
    """
    arrays = ([d.speech for d in drawn], [d.noise for d in drawn], [d.snr_db for d in drawn])
    return mix(*(torch.from_numpy(np.stack(x).astype(np.float32, copy=False)).to(device) for x in arrays))


def reached_snr_db(drawn: Drawn) -> np.ndarray:
    """(2,) SNR of the two mixtures in dB, measured on them: what is left without the speech is the noise."""
    mixed = batch([drawn])[0].numpy()
    speech = np.broadcast_to(drawn.speech, mixed.shape)
    return np.array([levels.active_level(s, RATE)[0] - levels.level((m - s)[None]) for s, m in zip(speech, mixed, strict=True)])


def write(clean: Bank, noise: Bank, law: PairLaw, seed: int, count: int, folder: Path) -> pd.DataFrame:
    """Pairs as WAV files (float32) in a folder with `pairs.csv`: one row per pair with both files, SNRs that were reached, and what they are
    made of."""
    import soundfile

    folder.mkdir(parents=True, exist_ok=True)
    rows = []
    for index in range(count):
        drawn = draw(clean, noise, law, seed, index)
        files = [f"{index:06d}{side}.wav" for side in "ab"]
        for file, waveform in zip(files, batch([drawn])[0].numpy(), strict=True):
            soundfile.write(folder / file, waveform, RATE, subtype="FLOAT")  # 16 bits would clip what is louder than full scale
        reached = reached_snr_db(drawn)
        row = {"a": files[0], "b": files[1], "snr_a_db": reached[0], "snr_b_db": reached[1]}
        rows.append(row | {"clean": drawn.clean_name, "noise": drawn.noise_name})
    table = pd.DataFrame(rows)
    table.to_csv(folder / "pairs.csv", index=False)
    return table
