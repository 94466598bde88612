"""The controlled material: clean speech through a chain of impairments, labelled by an intrusive measure (PESQ).

Every utterance carries its recipe, so what was done to it is known exactly. Used to train our networks and to check tools; the
labels are validated on listeners' scores before anything is built on them.
"""

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np

from .. import audio, degrade, intrusive
from ..errors import CorpusError
from . import polyglot
from .manifest import Manifest
from .workers import in_processes

RATE = 16_000  # PESQ's wide band
MIN_S, MAX_S = 0.4, 6.0  # of a prompt that is used
PROMPT_S = 2.2  # of prompts on each side of the pause: as long as two sentences in all
NOISES = ("white", "pink", "brown", "speech-shaped", "babble")


@dataclass(frozen=True)
class Impaired:
    """One utterance: degraded waveform (samples,) at 16 kHz, what was done to it, and its PESQ MOS-LQO."""

    waveform: np.ndarray
    reference: np.ndarray
    recipe: list[dict]
    pesq: float
    language: str
    voice: str


def draw_recipe(rng: np.random.Generator) -> list[dict]:
    """None to three impairments, each with its strength, in the order in which a call meets them; then a level.

    Ranges are those of ordinary test plans (inaudible to disastrous) and were fixed before any score was seen.
    """
    chain: list[dict] = []
    count = rng.choice([0, 1, 2, 3], p=[0.06, 0.44, 0.35, 0.15])
    kinds = {"noise", "mnru", "band", "gaps", "clip"}
    chosen = set(rng.choice(sorted(kinds), size=count, replace=False, p=[0.22, 0.3, 0.14, 0.2, 0.14]).tolist())
    if "noise" in chosen:
        chain.append({"kind": "noise", "colour": str(rng.choice(NOISES)), "snr_db": round(float(rng.uniform(-3, 45)), 1)})
    if "clip" in chosen:
        chain.append({"kind": "clip", "share": round(float(10 ** rng.uniform(-3, -0.5)), 4)})
    if "band" in chosen:
        chain.append({"kind": "band", "low_hz": float(rng.choice([50, 100, 300])), "high_hz": float(rng.choice([2500, 3400, 4500, 6000]))})
    if "mnru" in chosen:
        chain.append({"kind": "mnru", "q_db": round(float(rng.uniform(4, 45)), 1)})
    if "gaps" in chosen:
        gap = {"loss": round(float(10 ** rng.uniform(-2, -0.6)), 3), "gap_s": float(rng.choice([0.01, 0.02, 0.04, 0.06, 0.1]))}
        chain.append({"kind": "gaps", **gap, "conceal": bool(rng.random() < 0.5)})
    chain.append({"kind": "level", "active_dbov": round(float(rng.uniform(-36, -18)), 1)})
    return chain


def apply_recipe(waveform: np.ndarray, rate: int, recipe: list[dict], rng: np.random.Generator, babble: np.ndarray) -> np.ndarray:
    """A waveform through a chain of impairments.

    Parameters
    ----------
    waveform : (samples,), full scale 1.
    rate : Hz.
    recipe : the steps.
    rng : of what each step draws.
    babble : (samples,) speech of other voices, for the noise of that name.

    Returns
    -------
    (samples,)

    Raises
    ------
    CorpusError
        The recipe names an unknown impairment.
    """
    for step in recipe:
        waveform = impaired(waveform, rate, step, rng, babble)
    return np.clip(waveform, -1, 1)


def impaired(waveform: np.ndarray, rate: int, step: dict, rng: np.random.Generator, babble: np.ndarray) -> np.ndarray:
    """`waveform` (samples,) through one step; raises as `apply_recipe`."""
    match step["kind"]:
        case "noise":
            return degrade.add_noise(waveform, rate, noise_like(step["colour"], waveform, rate, babble, rng), step["snr_db"])
        case "clip":
            return degrade.clip(waveform, step["share"])
        case "band":
            return degrade.band_limit(waveform, rate, step["low_hz"], step["high_hz"])
        case "mnru":
            return degrade.mnru(waveform, step["q_db"], rng)
        case "gaps":
            return degrade.gaps(waveform, rate, step["loss"], step["gap_s"], rng, step["conceal"])[0]
        case "level":
            return degrade.set_level(waveform, rate, step["active_dbov"])
        case kind:
            raise CorpusError(f"The recipe names an impairment that is not known: {kind!r}.")


def noise_like(colour: str, speech: np.ndarray, rate: int, babble: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Noise of one of `NOISES`, at least as long as `speech`."""
    if colour == "babble":
        return np.roll(babble, int(rng.integers(len(babble))))
    if colour == "speech-shaped":
        return degrade.speech_shaped_noise(babble, len(speech), rng)
    return degrade.coloured_noise(speech.shape, rate, colour, rng)


def utterance(rng: np.random.Generator, language: str, voice: str, texts: Sequence[str] = ()) -> list[dict]:
    """Jobs for two sentences in one jittered manner of speaking. texts : what they are drawn from; polyglot's own if not given."""
    said = rng.choice(texts or polyglot.sentences(language), size=2, replace=False)
    shift = {"rate": rng.integers(-25, 30), "pitch": rng.integers(-15, 16), "range": rng.integers(-20, 21)}
    jobs = [polyglot.job(language, voice, str(t)) for t in said]
    return [j | {k: int(j[k] + v) for k, v in shift.items()} for j in jobs]


def equalised(waveform: np.ndarray, rate: int, rng: np.random.Generator) -> np.ndarray:
    """A smooth random equalisation of the clean voice, within ±9 dB: recordings differ, synthetic voices hardly."""
    gains_db = rng.uniform(-9, 9, size=7)
    spectrum = np.fft.rfft(waveform)
    octave = np.log2(np.maximum(np.fft.rfftfreq(len(waveform), 1 / rate), 60) / 60)
    return np.fft.irfft(spectrum * 10 ** (np.interp(octave, np.linspace(0, 7, 7), gains_db) / 20), len(waveform)).astype(np.float32)


def _make(seed: int, item: tuple[int, str, str, list[np.ndarray], np.ndarray]) -> Impaired:
    index, language, voice, parts, babble = item
    rng = np.random.default_rng([seed, index, 1])
    pause = [np.zeros(int(RATE * s), np.float32) for s in rng.uniform([0.1, 0.2, 0.1], [0.4, 0.7, 0.5])]
    clean = equalised(np.concatenate([pause[0], parts[0], pause[1], parts[1], pause[2]]), RATE, rng)
    if rng.random() < 0.7:  # a room is never digitally silent
        clean = degrade.add_noise(clean, RATE, degrade.coloured_noise(clean.shape, RATE, "pink", rng), float(rng.uniform(45, 70)))
    clean = degrade.set_level(clean, RATE)
    recipe = draw_recipe(rng)
    degraded = apply_recipe(clean, RATE, recipe, rng, babble)
    return Impaired(degraded, clean, recipe, intrusive.pesq_mos(clean, degraded), language, voice)


def make(count: int, seed: int, languages: tuple[str, ...], voices: tuple[str, ...], on_item=lambda: None) -> list[Impaired]:
    """Impaired polyglot utterances (two sentences and pauses, some 6 s) with labels; the same for the same arguments.

    Parameters
    ----------
    count : number of utterances that are made.
    languages, voices : names from `polyglot.LANGUAGES` and `polyglot.VOICES`, of which each utterance draws one.
    on_item : called as each utterance arrives.

    Returns
    -------
    The utterances at 16 kHz. Those in which PESQ finds no speech are left out, so there can be fewer than `count`.

    Raises
    ------
    SettingsError
        The package pesq is not installed.
    KeyError
        A language or voice is unknown.
    """
    rng = np.random.default_rng([seed, 0])
    plan = [(str(rng.choice(languages)), str(rng.choice(voices))) for _ in range(count)]
    jobs = [j for language, voice in plan for j in utterance(rng, language, voice)]
    sounds = [audio.resample(s.waveform, s.sample_rate, RATE)[0] for s in polyglot.synthesise(jobs)]
    return _make_all(seed, plan, [sounds[2 * i : 2 * i + 2] for i in range(count)], babble_of(sounds, rng), on_item)


def make_prompts(count: int, seed: int, prompts: Manifest, on_item=lambda: None) -> list[Impaired]:
    """Impaired utterances of real prompts with labels: two stretches of `PROMPT_S` seconds or more in one language.

    Parameters
    ----------
    prompts : clean recordings such as asterisk's, with one talker per language. Those from 0.4 to 6 s are used; each language needs enough
        of them for two stretches.
    count, on_item : as in `make`.

    Returns
    -------
    As `make`.

    Raises
    ------
    AudioError
        A prompt cannot be read.
    CorpusError
        A language has too few prompts, or none is as long as needed.
    SettingsError
        As in `make`.
    """
    rng = np.random.default_rng([seed, 0])
    plan, parts = [], []
    spoken = prompts.table[prompts.table["seconds"].between(MIN_S, MAX_S)]
    by_language = {str(name): group for name, group in spoken.groupby("language")}
    if not by_language:
        raise CorpusError(f"{prompts.name}: no prompt lasts from {MIN_S:g} to {MAX_S:g} s.")
    needed = 2 * PROMPT_S + MAX_S  # two stretches, the first of which may end with the longest prompt
    for name, rows in by_language.items():
        if (there := rows["seconds"].sum()) < needed:
            raise CorpusError(
                f"{prompts.name}: the prompts from {MIN_S:g} to {MAX_S:g} s in {name} last {there:.1f} s; {needed:g} s are needed."
            )
    for _ in range(count):
        language = str(rng.choice(sorted(by_language)))
        rows = by_language[language]
        chosen = iter(rows.iloc[rng.permutation(len(rows))].itertuples())
        parts.append([_stretch(prompts, chosen), _stretch(prompts, chosen)])
        plan.append((language, str(rows["speaker"].iloc[0])))
    return _make_all(seed, plan, parts, babble_of([p for pair in parts for p in pair], rng), on_item)


def _stretch(prompts: Manifest, rows: Iterator) -> np.ndarray:
    """Prompts one after another until `PROMPT_S` seconds are full."""
    pieces: list[np.ndarray] = []
    while sum(map(len, pieces)) < PROMPT_S * RATE:
        sound = audio.load(prompts.root / next(rows).file)
        pieces.append(audio.resample(sound.waveform, sound.sample_rate, RATE)[0])
    return np.concatenate(pieces)


def _make_all(seed: int, plan: list[tuple[str, str]], parts: list[list[np.ndarray]], babble: np.ndarray, on_item) -> list[Impaired]:
    items = [(i, *who, said, babble) for i, (who, said) in enumerate(zip(plan, parts, strict=True))]
    made = in_processes(partial(_make, seed), items, 16, on_item)
    return [one for one in made if np.isfinite(one.pesq)]


def babble_of(
    sounds: list[np.ndarray], rng: np.random.Generator, rate: int = RATE, seconds: int = 20, stretches: int = 20, talkers: int = 6
) -> np.ndarray:
    """Several talkers at once, (samples,) at `rate` Hz: each of them says up to so many of the stretches of speech, in random order."""
    total = np.zeros(seconds * rate, np.float32)
    for _ in range(talkers):
        order = rng.permutation(len(sounds))[:stretches]
        total += np.resize(np.concatenate([sounds[i] for i in order]), len(total))
    return total / np.abs(total).max()


def to_table(items: list[Impaired]) -> list[dict]:
    """One plain row per utterance, for a record.

    Returns
    -------
    For each utterance: language, voice, recipe (JSON), and PESQ's MOS-LQO.
    """
    return [{"language": i.language, "voice": i.voice, "recipe": json.dumps(i.recipe), "pesq": i.pesq} for i in items]
