"""The controlled set: 54 conditions × 4 talkers with everything known that was done to them, frame by frame.

It has the shape of the paper's closed set (216 files, 54 conditions of 4), from synthetic voices or from real prompts. Every file is
two stretches of speech between digital silence, so a frame holds speech, an impairment, both or nothing.
"""

import zlib
from dataclasses import dataclass
from functools import lru_cache
from typing import Literal

import numpy as np
from scipy.ndimage import uniform_filter1d

from .. import audio, degrade
from ..errors import CorpusError
from . import impaired, polyglot, registry

RATE = 16_000
HOP_S = 0.01  # of the frames in which the truth is told: those of NISQA's front end
TALKERS = {
    "polyglot": (("en", "m6"), ("de", "steph"), ("fr", "m6"), ("it", "steph")),
    "prompts": (("en", ""), ("es", ""), ("fr", ""), ("it", "")),
}
COLOURS = ("pink", "white", "speech-shaped", "babble")
VOICE_DB, PAUSE_DB = -25.0, -45.0  # a frame against the active level: speech above, no speech below, neither between
Source = Literal["polyglot", "prompts"]


def _conditions() -> dict[str, dict]:
    noise = [{"kind": "noise", "colour": c, "snr_db": s} for c in COLOURS for s in (0, 5, 10, 15, 20, 30)]
    stretch = [{"kind": "stretch", "colour": c, "snr_db": s, "seconds": 0.8} for c in ("pink", "white") for s in (0, 10, 20)]
    cuts = [{"kind": "cut", "ms": ms, "count": n} for ms in (10, 20, 40, 80, 160, 320) for n in (1, 4)]
    clips = [{"kind": "clip", "share": share} for share in (0.01, 0.05, 0.2)]
    bands = [{"kind": "band", "low_hz": low, "high_hz": high} for low, high in ((300, 3400), (50, 4500), (50, 6000))]
    mnru = [{"kind": "mnru", "q_db": q} for q in (10, 20, 30)]
    silence = [{"kind": "silence", "seconds": s} for s in (0.5, 1.0)]
    everything: list[dict] = [{"kind": "clean"}, *noise, *stretch, *cuts, *clips, *bands, *mnru, *silence]
    return {"-".join(str(v) for v in c.values()): c for c in everything}


CONDITIONS = _conditions()


@dataclass(frozen=True)
class Controlled:
    """One file: waveform (samples,) at 16 kHz, its condition and talker, and for each frame of 10 ms what is in it."""

    condition: str
    talker: str
    waveform: np.ndarray
    voice: np.ndarray  # speech; a frame that is neither speech nor pause is False in both
    pause: np.ndarray  # no speech, with or without noise
    cut: np.ndarray  # holds samples that were cut out
    noise: np.ndarray  # noise was added here

    @property
    def recipe(self) -> dict:
        return CONDITIONS[self.condition]

    @property
    def sound(self) -> audio.Sound:
        return audio.Sound(self.waveform[None], RATE)


def make(source: Source, conditions: tuple[str, ...] = tuple(CONDITIONS), talkers: int = 4) -> list[Controlled]:
    """Every condition with every talker; the same samples for the same arguments, whatever else is asked for."""
    clean = _clean(source)[:talkers]
    babble = np.concatenate([_spoken(c) for _, c in _clean(source)])
    return [_impair(talker, speech, condition, babble) for condition in conditions for talker, speech in clean]


def corpus_hash(source: Source) -> str:
    """Hash of what the files are made from."""
    if source == "polyglot":
        return polyglot.recipe_hash()
    return registry.load("asterisk").hash


@lru_cache(maxsize=2)
def _clean(source: Source) -> list[tuple[str, np.ndarray]]:
    if source == "polyglot":
        jobs = [polyglot.job(language, voice, s) for language, voice in TALKERS[source] for s in polyglot.sentences(language)[:2]]
        parts = [audio.resample(s.waveform, s.sample_rate, RATE)[0][: int(1.8 * RATE)] for s in polyglot.synthesise(jobs)]
    else:
        corpus = registry.load("asterisk").table
        parts = []
        for language, _ in TALKERS[source]:
            long = corpus[(corpus["language"] == language) & corpus["seconds"].between(1.4, 1.8)].sort_values("file")
            if len(long) < 2:
                raise CorpusError(f"asterisk: there are no two prompts of 1.4 to 1.8 s in {language!r}; fetch it again.")
            root = registry.load("asterisk").root
            for row in long.iloc[[len(long) // 3, 2 * len(long) // 3]].itertuples():
                sound = audio.load(root / str(row.file))
                parts.append(audio.resample(sound.waveform, sound.sample_rate, RATE)[0])
    silence = np.zeros(int(0.5 * RATE), np.float32)
    out = []
    for i, (language, voice) in enumerate(TALKERS[source]):
        first, second = parts[2 * i : 2 * i + 2]
        speech = np.concatenate([silence[: len(silence) // 2], first, silence, second, silence[: len(silence) // 2]])
        out.append((f"{language}-{voice}".rstrip("-"), degrade.set_level(speech, RATE)))
    return out


def _spoken(waveform: np.ndarray) -> np.ndarray:
    return waveform[np.abs(waveform) > 1e-4]


def frames_of(samples: np.ndarray) -> np.ndarray:
    """Whether each frame of 10 ms holds any of these samples; frame t is centred on t times 10 ms, as in the front end."""
    hop = int(RATE * HOP_S)
    padded = np.pad(samples, (hop // 2, 2 * hop))
    count = 1 + len(samples) // hop
    return np.any(padded[: count * hop].reshape(count, hop), axis=1)


def _impair(talker: str, speech: np.ndarray, condition: str, babble: np.ndarray) -> Controlled:
    recipe = CONDITIONS[condition]
    rng = np.random.default_rng([zlib.crc32(f"{talker} {condition}".encode())])
    cut, noisy = np.zeros(len(speech), bool), np.zeros(len(speech), bool)
    level_db = audio.active_level(speech, RATE)[0]
    out = speech
    match recipe["kind"]:
        case "noise" | "stretch":
            made = impaired.noise_like(recipe["colour"], speech, RATE, babble, rng)
            whole = degrade.add_noise(speech, RATE, made, recipe["snr_db"])
            noisy[:] = recipe["kind"] == "noise"
            if recipe["kind"] == "stretch":
                start = int(rng.uniform(0.3, len(speech) / RATE - 0.3 - recipe["seconds"]) * RATE)
                noisy[start : start + int(recipe["seconds"] * RATE)] = True
            out = np.where(noisy, whole, speech)
        case "cut":
            length = int(recipe["ms"] * RATE / 1000)
            voiced = np.flatnonzero(_loudness_db(speech) > level_db + VOICE_DB)
            for start in rng.choice(voiced[voiced < len(speech) - length], recipe["count"], replace=False):
                cut[start : start + length] = True
            out = np.where(cut, 0, speech)
        case "clip" | "band" | "mnru":
            out = impaired.apply_recipe(speech, RATE, [recipe], rng, babble)
        case "silence":
            third = len(speech) // 3
            middle = third + int(np.argmin(_loudness_db(speech)[third : 2 * third]))
            more = np.zeros(int(recipe["seconds"] * RATE), np.float32)
            out = speech = np.concatenate([speech[:middle], more, speech[middle:]])
            cut, noisy = np.zeros(len(out), bool), np.zeros(len(out), bool)
    loudness = _loudness_db(speech)
    voice = ~frames_of(loudness < level_db + VOICE_DB)
    pause = ~frames_of(loudness > level_db + PAUSE_DB)
    waveform = np.clip(out, -1, 1).astype(np.float32)
    return Controlled(condition, talker, waveform, voice, pause, frames_of(cut), frames_of(noisy))


def _loudness_db(speech: np.ndarray) -> np.ndarray:
    """Level of 20 ms around each sample, dBov."""
    return 10 * np.log10(np.maximum(uniform_filter1d(speech.astype(np.float64) ** 2, RATE // 50), 1e-12))
