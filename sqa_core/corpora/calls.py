"""The controlled corpus of the chapter on language barriers: the same voices, sentences and impairments in every language, labelled by PESQ.

Everything about item k (voice, sentences, pauses, impairments and their random draws) follows from k alone, so two languages differ in
nothing but the language. Nobody listened: `mos` is PESQ of the whole chain, `noi`, `dis` and `col` are PESQ of the same speech with the
impairments of that kind alone, and `loud` follows from the level. Real voices pass through the same chains.
"""

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np

from .. import audio, degrade, intrusive
from ..errors import CorpusError
from . import polyglot
from .manifest import Manifest
from .pesq_material import NOISES, babble_of, noise_like, utterance
from .workers import in_processes

RATE = 48_000
LANGUAGES = ("en", "de", "fr", "zh", "sv", "nl")  # of the paper
DIMENSIONS = ("mos", "noi", "dis", "col", "loud")  # in the order of NISQA's heads
HIGHEST = 4.64  # PESQ wide band of a sound and itself, MOS-LQO

# Which dimension an impairment belongs to. Speech-correlated noise (MNRU) counts as coloration: it sounds like a bad codec.
KINDS = {
    "noise": "noi",
    "competing": "noi",
    "loss": "dis",
    "gaps": "dis",
    "codec": "col",
    "band": "col",
    "room": "col",
    "echo": "col",
    "clip": "col",
    "mnru": "col",
}
USUAL_DBOV = -26.0
STRETCH_S = 4.6  # of a real talker: as long as two sentences of a synthetic one
LOUDNESS_RANGE_DB = 24.0  # from the usual level to the least or greatest loudness score


@dataclass(frozen=True)
class Call:
    """One item: the degraded waveform (samples,) at 48 kHz, what was done to it, the strengths that were reached, and its five labels."""

    waveform: np.ndarray
    recipe: list[dict]
    labels: dict[str, float]
    item: int
    language: str
    voice: str


def draw_recipe(rng: np.random.Generator) -> list[dict]:
    """None to three impairments with their strengths, in the order in which a call meets them, then a level.

    Ranges are those of ordinary test plans, from inaudible to disastrous. They were set by the labels of 64 English calls, so that these
    spread over the scale (PESQ is harsh where impairments add up), before any network was trained.
    """
    count = int(rng.choice([0, 1, 2, 3], p=[0.08, 0.6, 0.25, 0.07]))
    chosen = list(rng.choice(["noi", "room", "col", "dis"], size=count, replace=False, p=[0.3, 0.14, 0.3, 0.26])) if count else []
    chain: list[dict] = []
    if "room" in chosen:
        rt60_s, distance_m = float(rng.uniform(0.1, 0.6)), float(rng.uniform(0.3, 1.5))
        chain.append({"kind": "room", "rt60_s": round(rt60_s, 2), "distance_m": round(distance_m, 2)})
    if "noi" in chosen:
        if rng.random() < 0.2:
            chain.append({"kind": "competing", "ratio_db": round(float(rng.uniform(5, 40)), 1)})
        else:
            chain.append({"kind": "noise", "colour": str(rng.choice(NOISES)), "snr_db": round(float(rng.uniform(5, 60)), 1)})
    if "col" in chosen:
        chain.append(_coloration(rng))
    if "dis" in chosen:
        chain.append(_discontinuity(rng))
    chain.append({"kind": "level", "active_dbov": round(float(rng.uniform(-38, -18)), 1)})
    return chain


def _coloration(rng: np.random.Generator) -> dict:
    kind = str(rng.choice(["codec", "band", "clip", "mnru", "echo"], p=[0.45, 0.2, 0.12, 0.13, 0.1]))
    if kind == "codec":
        codec = str(rng.choice(sorted(degrade.CODECS)))
        return {"kind": "codec", "codec": codec, "bit_rate": int(rng.choice(degrade.CODECS[codec].bit_rates))}
    if kind == "band":
        return {"kind": "band", "low_hz": float(rng.choice([0, 100, 300])), "high_hz": float(rng.choice([2500, 3400, 4500, 7000, 14_000]))}
    if kind == "clip":
        return {"kind": "clip", "share": round(float(10 ** rng.uniform(-3.5, -0.8)), 4)}
    if kind == "mnru":
        return {"kind": "mnru", "q_db": round(float(rng.uniform(10, 45)), 1)}
    return {"kind": "echo", "delay_s": round(float(rng.uniform(0.05, 0.4)), 3), "loss_db": round(float(rng.uniform(6, 40)), 1)}


def _discontinuity(rng: np.random.Generator) -> dict:
    share = round(float(10 ** rng.uniform(-2.3, -0.7)), 3)
    if rng.random() < 0.5:
        codec = str(rng.choice(["opus", "amr-nb", "g722", "g711-a"]))
        return {"kind": "loss", "codec": codec, "loss": share, "burst": float(rng.choice([1.5, 3, 6])), "conceal": bool(rng.random() < 0.5)}
    return {"kind": "gaps", "loss": share, "gap_s": float(rng.choice([0.01, 0.02, 0.04, 0.08, 0.16])), "conceal": bool(rng.random() < 0.5)}


def apply(waveform: np.ndarray, recipe: Sequence[dict], seed: Sequence[int], other: np.ndarray) -> tuple[np.ndarray, list[dict]]:
    """A waveform (samples,) at `RATE` through a chain; and the steps with the strength that each one reached.

    seed : each step draws from its own generator, so that a step alone is the step in the chain. other : speech of other talkers.

    Raises
    ------
    CorpusError
        The recipe names an unknown impairment.
    """
    steps = []
    for step in recipe:
        rng = np.random.default_rng([*seed, *step["kind"].encode()])
        reached: dict = {}
        match step["kind"]:
            case "room":
                size = np.array([5.0, 4.0, 2.7])
                talker = np.array([1.5, 1.7, 1.5])
                microphone = talker + np.array([np.cos(0.6), np.sin(0.6), 0.0]) * step["distance_m"]
                response = degrade.image_sources(tuple(size), tuple(talker), tuple(microphone), step["rt60_s"], RATE)
                waveform, reached["drr_db"] = degrade.reverberate(waveform, RATE, response)
            case "noise":
                waveform = degrade.add_noise(waveform, RATE, noise_like(step["colour"], waveform, RATE, other, rng), step["snr_db"])
            case "competing":
                waveform, reached["ratio_db"] = degrade.competing(
                    waveform, RATE, np.roll(other, int(rng.integers(len(other)))), step["ratio_db"]
                )
            case "codec" | "loss":
                loss = {"loss": step["loss"], "burst": step["burst"], "conceal": step["conceal"]} if step["kind"] == "loss" else {}
                coded = degrade.coded(waveform, RATE, step["codec"], step.get("bit_rate"), rng=rng, **loss)
                waveform = coded.waveform
                reached = {"bit_rate": round(coded.bit_rate), "lost_share": round(coded.lost_share, 4)}
            case "band":
                waveform = degrade.band_limit(waveform, RATE, step["low_hz"], step["high_hz"])
            case "clip":
                waveform = degrade.clip(waveform, step["share"])
            case "mnru":
                waveform = degrade.mnru(waveform, step["q_db"], rng)
            case "echo":
                waveform, _ = degrade.echo(waveform, RATE, step["delay_s"], step["loss_db"])
            case "gaps":
                waveform, lost = degrade.gaps(waveform, RATE, step["loss"], step["gap_s"], rng, step["conceal"])
                reached["lost_share"] = round(float(lost.mean()), 4)
            case "level":
                waveform = degrade.set_level(waveform, RATE, step["active_dbov"])
            case kind:
                raise CorpusError(f"The recipe names an impairment that is not known: {kind!r}.")
        steps.append(step | {f"reached_{name}": round(float(value), 4) for name, value in reached.items()})
    return np.clip(waveform, -1, 1), steps


def labels_of(clean: np.ndarray, degraded: np.ndarray, recipe: Sequence[dict], seed: Sequence[int], other: np.ndarray) -> dict[str, float]:
    """The five labels of a chain, MOS-LQO from 1 to 4.64; NaN where PESQ finds no speech."""
    reference = audio.resample(clean[None], RATE, intrusive.RATE)[0]

    def quality(waveform: np.ndarray) -> float:
        return intrusive.pesq_mos(reference, audio.resample(waveform[None], RATE, intrusive.RATE)[0])

    labels = {}
    kinds = {KINDS[step["kind"]] for step in recipe if step["kind"] in KINDS}
    for dimension in ("noi", "dis", "col"):
        alone = [step for step in recipe if KINDS.get(step["kind"]) == dimension]
        labels[dimension] = quality(apply(clean, alone, seed, other)[0]) if alone and len(kinds) > 1 else HIGHEST
    labels["mos"] = quality(degraded) if kinds else HIGHEST
    if len(kinds) == 1:  # the chain is that kind alone, but for the level, which PESQ takes no notice of
        labels[next(iter(kinds))] = labels["mos"]
    level = next(step["active_dbov"] for step in recipe if step["kind"] == "level")
    labels["loud"] = loudness(level)
    return {dimension: labels[dimension] for dimension in DIMENSIONS}


def loudness(active_dbov: float) -> float:
    """The label for loudness: the highest at the usual level of -26 dBov, falling in proportion to the distance in dB, 1 from 24 dB on.

    Examples
    --------
    >>> loudness(-26.0), round(loudness(-38.0), 2), loudness(-60.0)
    (4.64, 2.82, 1.0)
    """
    return HIGHEST - (HIGHEST - 1) * min(1.0, abs(active_dbov - USUAL_DBOV) / LOUDNESS_RANGE_DB)


def _call(seed: int, job: tuple[int, str, str, list[np.ndarray], np.ndarray]) -> Call:
    item, language, voice, parts, other = job
    rng = np.random.default_rng([seed, item, 1])
    recipe = draw_recipe(rng)
    pauses = [np.zeros(int(RATE * s), np.float32) for s in rng.uniform([0.1, 0.2, 0.1], [0.4, 0.7, 0.5])]
    clean = np.concatenate([pauses[0], parts[0], pauses[1], parts[1], pauses[2], pauses[2]])
    floor = degrade.coloured_noise(clean.shape, RATE, "pink", rng)  # a room is never digitally silent
    clean = degrade.set_level(degrade.add_noise(clean, RATE, floor, float(rng.uniform(45, 70))), RATE)
    degraded, steps = apply(clean, recipe, (seed, item), other)
    return Call(degraded, steps, labels_of(clean, degraded, recipe, (seed, item), other), item, language, voice)


def synthetic(count: int, seed: int, language: str, voices: Sequence[str] = tuple(polyglot.VOICES), on_item=lambda: None) -> list[Call]:
    """`count` calls of polyglot's voices in one language; for another language the same calls, item by item."""
    rng = np.random.default_rng([seed, 0])
    plan: list[str] = []
    jobs: list[dict] = []
    for _ in range(count):
        plan.append(str(rng.choice(list(voices))))
        jobs += utterance(rng, language, plan[-1])
    sounds = [audio.resample(s.waveform, s.sample_rate, RATE)[0] for s in polyglot.synthesise(jobs)]
    parts = [sounds[2 * i : 2 * i + 2] for i in range(count)]
    return _all(seed, language, plan, parts, on_item)


def real(count: int, seed: int, corpus: Manifest, language: str, on_item=lambda: None) -> list[Call]:
    """`count` calls of a corpus of clean recordings in one language: two stretches of one talker, `STRETCH_S` seconds in all.

    Raises
    ------
    CorpusError
        There are no such recordings.
    """
    rng = np.random.default_rng([seed, 0])
    table = corpus.table[(corpus.table["language"] == language) & corpus.table["seconds"].between(0.4, 20)]
    if table.empty:
        raise CorpusError(f"{corpus.name}: no recordings in {language!r} between 0.4 and 20 s.")
    talkers = {str(name): rows for name, rows in table.groupby("speaker")}
    plan, parts = [], []
    for _ in range(count):
        voice = str(rng.choice(sorted(talkers)))
        files = [corpus.root / str(f) for f in talkers[voice]["file"]]
        parts.append(_two_stretches(files, rng))
        plan.append(voice)
    return _all(seed, language, plan, parts, on_item)


def _two_stretches(files: list[Path], rng: np.random.Generator) -> list[np.ndarray]:
    """Files of one talker in random order until `STRETCH_S` seconds are full, cut in two; a talker with little speech gives what there is."""
    pieces: list[np.ndarray] = []
    for i in rng.permutation(len(files)):
        sound = audio.load(files[i])
        pieces.append(audio.resample(sound.waveform, sound.sample_rate, RATE)[0])
        if sum(map(len, pieces)) > STRETCH_S * RATE:
            break
    speech = np.concatenate(pieces)[: int(STRETCH_S * RATE)]
    return [speech[: len(speech) // 2], speech[len(speech) // 2 :]]


def _all(seed: int, language: str, plan: list[str], parts: list[list[np.ndarray]], on_item: Callable[[], None]) -> list[Call]:
    other = babble_of([p for pair in parts for p in pair], np.random.default_rng([seed, 2]), RATE, seconds=10, stretches=12)
    jobs = [(i, language, voice, said, other) for i, (voice, said) in enumerate(zip(plan, parts, strict=True))]
    made = in_processes(partial(_call, seed), jobs, 8, on_item)
    return [call for call in made if np.isfinite(list(call.labels.values())).all()]


def to_table(calls: Sequence[Call]) -> list[dict]:
    """One plain row a call, for a record."""
    return [
        {"item": c.item, "language": c.language, "voice": c.voice, "seconds": len(c.waveform) / RATE, "recipe": json.dumps(c.recipe)}
        | c.labels
        for c in calls
    ]


def kinds_of(recipe: str) -> str:
    """The kinds of impairment in a table's recipe, such as "noise, codec"; "clean" for none.

    Examples
    --------
    >>> kinds_of('[{"kind": "noise"}, {"kind": "level"}]'), kinds_of('[{"kind": "level"}]')
    ('noise', 'clean')
    """
    return ", ".join(step["kind"] for step in json.loads(recipe) if step["kind"] in KINDS) or "clean"
