"""The controlled set: 54 conditions × 4 talkers with everything known that was done to them, frame by frame.

It has the shape of the paper's closed set (216 files, 54 conditions of 4), from synthetic voices or from real prompts. Every file is
two stretches of speech with pauses in a quiet room: a noise floor 70 dB below the speech, so that a pause is not digital silence and
a cut is. A frame holds speech, an impairment, both or neither.
"""

import zlib
from dataclasses import dataclass
from functools import lru_cache
from typing import Literal

import numpy as np
from scipy.ndimage import uniform_filter1d

from .. import audio, degrade, levels
from ..errors import CorpusError
from ..files import short_hash
from . import pesq_material, polyglot, registry

RATE = 16_000
HOP_S = 0.01  # of the frames of the truth: those of NISQA's front end
TALKERS = {
    "polyglot": (("en", "m6"), ("de", "steph"), ("fr", "m6"), ("it", "steph")),
    "prompts": (("en", ""), ("fr", ""), ("it", ""), ("ru", "")),  # four people; asterisk's Spanish voice is its English one
}
COLOURS = ("pink", "white", "speech-shaped", "babble")
ROOM_DB = 70.0  # speech over the room's noise
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
    pause: np.ndarray  # no speech of the talker, with or without noise
    cut: np.ndarray  # holds samples that were cut out
    noise: np.ndarray  # noise was added here

    @property
    def recipe(self) -> dict:
        return CONDITIONS[self.condition]

    @property
    def sound(self) -> audio.Sound:
        return audio.Sound(self.waveform[None], RATE)


def make(source: Source, conditions: tuple[str, ...] = tuple(CONDITIONS), talkers: tuple[str, ...] = ()) -> list[Controlled]:
    """Every condition with every talker. The samples of a file depend on source, condition and talker alone.

    Parameters
    ----------
    source : "polyglot" for synthetic voices, "prompts" for asterisk's.
    conditions : keys of `CONDITIONS`.
    talkers : such as "en-m6" (polyglot) or "en" (prompts); all of `TALKERS` if empty. Unknown ones are ignored.

    Returns
    -------
    The files, condition by condition.

    Raises
    ------
    CorpusError
        The asterisk prompts are not on this machine, or lack suitable files in a language.
    KeyError
        A condition is unknown.
    """
    clean, babble = _material(source)
    chosen = [(name, speech) for name, speech in clean if not talkers or name in talkers]
    return [_impair(talker, speech, condition, babble) for condition in conditions for talker, speech in chosen]


def corpus_hash(source: Source) -> str:
    """Hash of what the files are made from and how.

    Returns
    -------
    12 hexadecimal digits.

    Raises
    ------
    CorpusError
        The asterisk prompts are needed and not on this machine.
    """
    spoken = polyglot.recipe_hash() if source == "polyglot" else registry.load("asterisk").hash
    made = repr((spoken, TALKERS[source], CONDITIONS, ROOM_DB, VOICE_DB, PAUSE_DB))
    return short_hash(made)


@lru_cache(maxsize=2)
def _material(source: Source) -> tuple[list[tuple[str, np.ndarray]], np.ndarray]:
    """Clean speech of each talker by its name, and the babble."""
    parts = _spoken_by_machine() if source == "polyglot" else _spoken_by_people()
    rng = np.random.default_rng(0)
    out = []
    for (language, voice), (first, second) in zip(TALKERS[source], parts, strict=True):
        pause = np.zeros(int(0.5 * RATE), np.float32)
        speech = np.concatenate([pause[: len(pause) // 2], first, pause, second, pause[: len(pause) // 2]])
        speech = degrade.set_level(speech, RATE)
        room = degrade.coloured_noise(speech.shape, RATE, "pink", rng)
        out.append((f"{language}-{voice}".rstrip("-"), degrade.add_noise(speech, RATE, room, ROOM_DB)))
    return out, pesq_material.babble_of([part for pair in parts for part in pair], rng)


def _spoken_by_machine() -> list[list[np.ndarray]]:
    jobs = [polyglot.job(language, voice, s) for language, voice in TALKERS["polyglot"] for s in polyglot.sentences(language)[:2]]
    sounds = [audio.resample(s.waveform, s.sample_rate, RATE)[0] for s in polyglot.synthesise(jobs)]
    return [sounds[i : i + 2] for i in range(0, len(sounds), 2)]


def _spoken_by_people() -> list[list[np.ndarray]]:
    corpus = registry.load("asterisk")
    out = []
    for language, _ in TALKERS["prompts"]:
        fitting = corpus.table[(corpus.table["language"] == language) & corpus.table["seconds"].between(1.4, 1.8)].sort_values("file")
        if len(fitting) < 2:
            raise CorpusError(f"asterisk: there are no two prompts of 1.4 to 1.8 s in {language!r}; fetch it again.")
        pair = [audio.load(corpus.root / file) for file in fitting["file"].iloc[[len(fitting) // 3, 2 * len(fitting) // 3]]]
        out.append([audio.resample(s.waveform, s.sample_rate, RATE)[0] for s in pair])
    return out


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
    level_db = levels.active_level(speech, RATE)[0]
    out = speech
    match recipe["kind"]:
        case "noise" | "stretch":
            made = pesq_material.noise_like(recipe["colour"], speech, RATE, babble, rng)
            whole = degrade.add_noise(speech, RATE, made, recipe["snr_db"])
            noisy[:] = recipe["kind"] == "noise"
            if recipe["kind"] == "stretch":
                start = int(rng.uniform(0.3, len(speech) / RATE - 0.3 - recipe["seconds"]) * RATE)
                noisy[start : start + int(recipe["seconds"] * RATE)] = True
            out = np.where(noisy, whole, speech)
        case "cut":
            cut = _cuts(_loudness_db(speech) > level_db + VOICE_DB, int(recipe["ms"] * RATE / 1000), recipe["count"], rng)
            out = np.where(cut, 0, speech)
        case "clip" | "band" | "mnru":
            out = pesq_material.apply_recipe(speech, RATE, [recipe], rng, babble)
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


def _cuts(voiced: np.ndarray, length: int, count: int, rng: np.random.Generator) -> np.ndarray:
    """Samples that are cut out: `count` stretches in voice alone, apart by their own length; fewer where there is no room."""
    whole = np.concatenate([[0], np.cumsum(voiced)])
    starts = np.flatnonzero(whole[length:] - whole[:-length] >= 0.9 * length)
    cut = np.zeros(len(voiced), bool)
    for _ in range(count):
        if not len(starts):
            break
        start = int(rng.choice(starts))
        cut[start : start + length] = True
        starts = starts[np.abs(starts - start) >= 2 * length]
    return cut


def _loudness_db(speech: np.ndarray) -> np.ndarray:
    """Level of 20 ms around each sample, dBov."""
    return 10 * np.log10(np.maximum(uniform_filter1d(speech.astype(np.float64) ** 2, RATE // 50), 1e-12))
