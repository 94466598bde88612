"""The sounds of the chapter on explaining NISQA: recordings, the controlled set with its ground truth, and the demonstration."""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Literal

import numpy as np
import torch
from torch import Tensor

from ... import audio, degrade, scoring
from ...corpora import known_impairments, polyglot, registry
from ...errors import SettingsError
from ...models.weights import Network

FILE = "c8_m1"  # the recording that figures show: of middling quality, where a mask can raise the score and lower it
DEMO_LANGUAGE, DEMO_VOICE, DEMO_NOISE_DB, DEMO_CUT_S = "en", "m2", 30.0, (1.30, 1.42)
SILENCE_DB = -60.0  # claim C1: frames this far below the file's maximum count as silence

SEGMENTS = 30  # looked at one by one, as in the paper


Corpus = Literal["p835", "prompts", "polyglot"]


@dataclass(frozen=True)
class TrialInput:
    """One sound of a trial: mel spectrogram (frames, mels), origin, and frame-level ground truth if it is known."""

    mel: Tensor
    facts: dict[str, Any]
    truth: known_impairments.Controlled | None = None

    def frames(self, which: np.ndarray) -> np.ndarray:
        """Ground truth (frames,) cut or padded with False to the spectrogram's length."""
        length = len(self.mel)
        return np.pad(which, (0, max(0, length - len(which))))[:length]

    @property
    def empty(self) -> np.ndarray:
        """Frames in which every band is more than 60 dB below the file's maximum."""
        return (self.mel.amax(dim=1) < float(self.mel.max()) + SILENCE_DB).cpu().numpy()


def sounds(network: Network, corpus: Corpus, conditions: tuple[str, ...] = (), talkers: tuple[str, ...] = ()) -> Iterator[TrialInput]:
    """The files of a corpus, or those of some conditions and talkers."""
    if corpus == "p835":
        chosen = registry.load("p835").where(set="fullband")
        for path, row in zip(chosen.paths(), chosen.table.itertuples(), strict=True):
            if (not conditions or row.condition in conditions) and (not talkers or row.talker in talkers):
                facts = {"file": path.stem, "condition": row.condition, "talker": row.talker, "listeners": row.mos_ovrl}
                yield TrialInput(scoring.mel_of(network, audio.load(path)), facts)
        return
    for made in known_impairments.make(corpus, conditions or tuple(known_impairments.CONDITIONS), talkers):
        facts = {"file": f"{made.talker} {made.condition}", "condition": made.condition, "talker": made.talker}
        facts |= {"kind": made.recipe["kind"], "snr_db": made.recipe.get("snr_db", np.nan)}
        yield TrialInput(scoring.mel_of(network, made.sound), facts, made)


def chosen_segments(count: int) -> Tensor:
    """Indices of 30 segments, evenly spread over a file's."""
    return torch.linspace(0, count - 1, min(SEGMENTS, count)).round().long()


@lru_cache(maxsize=1)
def demo_sound() -> tuple[audio.Sound, audio.Sound]:
    """Clean and impaired: one synthetic sentence in pink noise, with a cut whose place is known."""
    text = polyglot.sentences(DEMO_LANGUAGE)[0]
    (clean,) = polyglot.synthesise([polyglot.job(DEMO_LANGUAGE, DEMO_VOICE, text)])
    rate = clean.sample_rate
    speech = degrade.set_level(clean.waveform[0], rate)
    noise = degrade.coloured_noise(speech.shape, rate, "pink", np.random.default_rng(4))
    noisy = degrade.add_noise(speech, rate, noise, DEMO_NOISE_DB)
    start, stop = (round(s * rate) for s in DEMO_CUT_S)
    noisy[start:stop] = 0
    return audio.Sound(speech[None], rate), audio.Sound(noisy[None], rate)


def p835_path(stem: str):
    """The full-band file of this name (such as c8_m1), wherever the corpus is and whatever its file format."""
    corpus = registry.load("p835").where(set="fullband")
    return next(p for p in corpus.paths() if p.stem == stem)


def shown_file() -> str:
    """The recording that the figures show, for captions."""
    condition, talker = FILE.split("_")
    return f"P.835, condition {condition}, talker {talker}"


def one_sound(corpus: Corpus, file: str) -> audio.Sound:
    """A file of P.835 by its name, or the demonstration."""
    if corpus == "p835":
        return audio.load(p835_path(file))
    if file == "demo":
        return demo_sound()[1]
    raise SettingsError(f"There is no single sound {file!r} of {corpus}; there is demo.")
