"""Impairments of a call: chains drawn at random, applied to a waveform, and labelled by PESQ dimension by dimension.

Nobody listened: `mos` is PESQ of the whole chain; `noi`, `dis` and `col` are PESQ of what the impairments of that kind do alone; `loud`
follows from the level.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from .. import audio, degrade, intrusive, levels
from . import recordings
from .pesq_material import NOISES, impaired, noise_like
from .recordings import Use

RATE = 48_000
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
RATES, RATE_SHARES = (16_000, 22_050, 32_000, 44_100, 48_000), (0.2, 0.03, 0.08, 0.04, 0.65)  # Hz, of calls that are trained on
USUAL_DBOV = -26.0


@dataclass(frozen=True)
class Draws:
    """Shares and ranges that `draw_recipe` draws from, where there are two: in calls that networks are compared on, and wider ones."""

    competing_share: float = 0.25  # of additive noises
    competing_db: tuple[float, float] = (5.0, 40.0)
    colorations: tuple[float, ...] = (0.45, 0.2, 0.12, 0.13, 0.1)  # shares of `COLORATIONS`
    clipped: tuple[float, float] = (-3.5, -0.8)  # share of samples, as a power of ten
    echo_s: tuple[float, float] = (0.05, 0.4)
    echo_loss_db: tuple[float, float] = (6.0, 40.0)
    lost: tuple[float, float] = (-2.3, -0.7)  # share, as a power of ten


COLORATIONS = ("codec", "band", "clip", "mnru", "echo")
USUAL = Draws()
WIDE = Draws(0.4, (5.0, 50.0), (0.36, 0.14, 0.18, 0.12, 0.2), (-3.5, -0.3), (0.02, 0.4), (2.0, 40.0), (-2.3, -0.5))
LOUDNESS_RANGE_DB = 24.0  # from the usual level to the least or greatest loudness score


def draw_recipe(rng: np.random.Generator, use: Use = "test", wide: bool = False) -> list[dict]:
    """None to three impairments with their strengths, in the order in which a call meets them, then a level.

    Ranges are those of ordinary test plans, from inaudible to disastrous. They were set by the labels of 64 English calls, so that these
    spread over the scale (PESQ is harsh where impairments add up), before any network was trained. In training, a third of the calls is
    then kept at a lower sample rate, as recordings are; that is no impairment, and PESQ hears nothing above 8 kHz.

    use : which recorded noises and rooms are drawn from, where there are any. wide : by `WIDE` in the place of `USUAL`, with more of the
    competing talkers, clipping and echo, and ranges that reach further, for a network that scores what users have.
    """
    draws = WIDE if wide else USUAL
    count = int(rng.choice([0, 1, 2, 3], p=[0.08, 0.6, 0.25, 0.07]))
    chosen = list(rng.choice(["noi", "room", "col", "dis"], size=count, replace=False, p=[0.3, 0.14, 0.3, 0.26])) if count else []
    chain: list[dict] = []
    if "room" in chosen:
        chain.append(_room(rng, recordings.rooms(use)))
    if "noi" in chosen:
        chain.append(_noise(rng, recordings.noises(use), draws))
    if "col" in chosen:
        chain.append(_coloration(rng, draws))
    if "dis" in chosen:
        chain.append(_discontinuity(rng, draws))
    chain.append({"kind": "level", "active_dbov": round(float(rng.uniform(-38, -18)), 1)})
    if use != "test" and (rate := int(rng.choice(RATES, p=RATE_SHARES))) < RATE:
        chain.insert(-1, {"kind": "rate", "rate_hz": rate})
    return chain


def _room(rng: np.random.Generator, measured: Sequence[str]) -> dict:
    size = [round(float(v), 2) for v in rng.uniform([3, 3, 2.4], [8, 6, 3.2])]
    drawn = {"size_m": size, "rt60_s": round(float(rng.uniform(0.1, 0.6)), 2), "distance_m": round(float(rng.uniform(0.3, 1.5)), 2)}
    if rng.random() < 0.3 and measured:
        drawn = {"recording": measured[int(rng.integers(len(measured)))]}
    return {"kind": "room"} | drawn


def _noise(rng: np.random.Generator, recorded: Sequence[str], draws: Draws) -> dict:
    strength = float(rng.random())
    if rng.random() < draws.competing_share:
        least, most = draws.competing_db
        return {"kind": "competing", "ratio_db": round(least + (most - least) * strength, 1)}
    step = {"kind": "noise", "colour": str(rng.choice(NOISES)), "snr_db": round(5 + 55 * strength, 1)}
    if rng.random() < 0.5 and recorded:
        step |= {"colour": "recorded", "recording": recorded[int(rng.integers(len(recorded)))]}
    return step


def _coloration(rng: np.random.Generator, draws: Draws) -> dict:
    kind = str(rng.choice(COLORATIONS, p=draws.colorations))
    if kind == "codec":
        codec = str(rng.choice(sorted(degrade.CODECS)))
        return {"kind": "codec", "codec": codec, "bit_rate": int(rng.choice(degrade.CODECS[codec].bit_rates))}
    if kind == "band":
        return {"kind": "band", "low_hz": float(rng.choice([0, 100, 300])), "high_hz": float(rng.choice([2500, 3400, 4500, 7000, 14_000]))}
    if kind == "clip":
        return {"kind": "clip", "share": round(float(10 ** rng.uniform(*draws.clipped)), 4)}
    if kind == "mnru":
        return {"kind": "mnru", "q_db": round(float(rng.uniform(10, 45)), 1)}
    delay_s, loss_db = float(rng.uniform(*draws.echo_s)), float(rng.uniform(*draws.echo_loss_db))
    return {"kind": "echo", "delay_s": round(delay_s, 3), "loss_db": round(loss_db, 1)}


def _discontinuity(rng: np.random.Generator, draws: Draws) -> dict:
    share = round(float(10 ** rng.uniform(*draws.lost)), 3)
    if rng.random() < 0.5:
        codec = str(rng.choice(["opus", "amr-nb", "g722", "g711-a"]))
        return {"kind": "loss", "codec": codec, "loss": share, "burst": float(rng.choice([1.5, 3, 6])), "conceal": bool(rng.random() < 0.5)}
    return {"kind": "gaps", "loss": share, "gap_s": float(rng.choice([0.01, 0.02, 0.04, 0.08, 0.16])), "conceal": bool(rng.random() < 0.5)}


def apply(
    waveform: np.ndarray, recipe: Sequence[dict], seed: Sequence[int], babble: np.ndarray, rival: np.ndarray
) -> tuple[np.ndarray, list[dict]]:
    """A waveform at `RATE` through a chain of impairments.

    Parameters
    ----------
    waveform : (samples,), full scale 1.
    recipe : the steps, as `draw_recipe` returns them.
    seed : each step draws from its own generator, so that a step alone is the step in the chain.
    babble : (samples,) speech of several talkers, for noise of that name and spectrum.
    rival : (samples,) speech of the competing talker.

    Returns
    -------
    The waveform (samples,), and the steps with the strength that each one reached.

    Raises
    ------
    CorpusError
        The recipe names an unknown impairment, or a recording that is not on this machine.
    """
    steps = []
    for step in recipe:
        waveform, reached = _impaired(waveform, step, np.random.default_rng([*seed, *step["kind"].encode()]), babble, rival)
        steps.append(step | {f"reached_{name}": round(float(value), 4) for name, value in reached.items()})
    return np.clip(waveform, -1, 1), steps


def _impaired(
    waveform: np.ndarray, step: dict, rng: np.random.Generator, babble: np.ndarray, rival: np.ndarray
) -> tuple[np.ndarray, dict[str, float]]:
    match step["kind"]:
        case "room":
            out, drr_db = degrade.reverberate(waveform, RATE, _response(step))
            return out, {"drr_db": drr_db}
        case "noise":
            out = degrade.add_noise(waveform, RATE, _noise_of(step, waveform, babble, rng), step["snr_db"])
            return out, {"snr_db": levels.active_level(waveform, RATE)[0] - levels.level((out - waveform)[None])}
        case "competing":
            out, ratio_db = degrade.competing(waveform, RATE, np.roll(rival, int(rng.integers(len(rival)))), step["ratio_db"])
            return out, {"ratio_db": ratio_db}
        case "codec" | "loss":
            loss = {"loss": step["loss"], "burst": step["burst"], "conceal": step["conceal"]} if step["kind"] == "loss" else {}
            coded = degrade.coded(waveform, RATE, step["codec"], step.get("bit_rate"), rng=rng, **loss)
            return coded.waveform, {"bit_rate": coded.bit_rate, "lost_share": coded.lost_share}
        case "echo":
            out, loss_db = degrade.echo(waveform, RATE, step["delay_s"], step["loss_db"])
            return out, {"loss_db": loss_db}
        case "gaps":
            out, lost = degrade.gaps(waveform, RATE, step["loss"], step["gap_s"], rng, step["conceal"])
            return out, {"lost_share": lost.mean()}
        case "rate":
            return audio.resample(audio.resample(waveform[None], RATE, step["rate_hz"]), step["rate_hz"], RATE)[0, : len(waveform)], {}
        case "level":
            # Clipping would be an impairment without a label, so a call is as loud as its peaks allow.
            out = degrade.set_level(waveform, RATE, step["active_dbov"])
            out /= max(1.0, float(np.abs(out).max()))
            return out, {"active_dbov": levels.active_level(out, RATE)[0]}
        case _:
            return impaired(waveform, RATE, step, rng, babble), {}


def _response(step: dict) -> np.ndarray:
    """The impulse response of a room: measured, or that of a talker in the room's middle and a microphone at some distance."""
    if "recording" in step:
        return recordings.load(step["recording"], RATE)
    size = np.array(step["size_m"])
    talker = size * (0.45, 0.4, 0.5)
    microphone = talker + np.array([np.cos(0.6), np.sin(0.6), 0.0]) * step["distance_m"]
    return degrade.image_sources(tuple(size), tuple(talker), tuple(microphone), step["rt60_s"], RATE)


def _noise_of(step: dict, speech: np.ndarray, babble: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    if step["colour"] != "recorded":
        return noise_like(step["colour"], speech, RATE, babble, rng)
    noise = recordings.load(step["recording"], RATE)
    return np.resize(np.roll(noise, -int(rng.integers(len(noise)))), len(speech))


def labels_of(
    clean: np.ndarray, degraded: np.ndarray, recipe: Sequence[dict], seed: Sequence[int], babble: np.ndarray, rival: np.ndarray
) -> dict[str, float]:
    """The five labels of a chain, MOS-LQO from 1 to 4.64; NaN where PESQ finds no speech.

    recipe : the steps that `apply` returned, whose level is the one that was reached.

    A codec whose packets are lost is two things: `col` hears the codec without a loss, and `dis` compares the codec with losses to the
    codec without.
    """

    def through(steps: Sequence[dict]) -> np.ndarray:
        return apply(clean, steps, seed, babble, rival)[0] if steps else clean

    of_kind = {kind: [step for step in recipe if KINDS.get(step["kind"]) == kind] for kind in ("noi", "dis", "col")}
    lossless = [{"kind": "codec", "codec": step["codec"]} for step in recipe if step["kind"] == "loss"]
    only = [kind for kind, steps in of_kind.items() if steps]
    labels = dict.fromkeys(DIMENSIONS, HIGHEST)
    if only:
        labels["mos"] = _pesq(clean, degraded)
    if len(only) == 1 and not lossless:  # the chain is that kind alone, but for the level, which PESQ takes no notice of
        labels[only[0]] = labels["mos"]
    else:
        if of_kind["noi"]:
            labels["noi"] = _pesq(clean, through(of_kind["noi"]))
        if of_kind["dis"]:
            labels["dis"] = _pesq(through(lossless), through(of_kind["dis"]))
        if of_kind["col"] or lossless:
            labels["col"] = _pesq(clean, through([*of_kind["col"], *lossless]))
    labels["loud"] = loudness(next(step["reached_active_dbov"] for step in recipe if step["kind"] == "level"))
    return labels


def _pesq(reference: np.ndarray, degraded: np.ndarray) -> float:
    return intrusive.pesq_mos(*(audio.resample(x[None], RATE, intrusive.RATE)[0] for x in (reference, degraded)))


def loudness(active_dbov: float) -> float:
    """The label for loudness: the highest at the usual level of -26 dBov, falling in proportion to the distance in dB.

    Returns
    -------
    From 4.64 down to 1, which is reached 24 dB away from the usual level.

    Examples
    --------
    >>> loudness(-26.0), round(loudness(-38.0), 2), loudness(-60.0)
    (4.64, 2.82, 1.0)
    """
    return HIGHEST - (HIGHEST - 1) * min(1.0, abs(active_dbov - USUAL_DBOV) / LOUDNESS_RANGE_DB)


def impaired_once(clean: np.ndarray, step: dict) -> tuple[np.ndarray, dict, dict[str, float]]:
    """A clean waveform through one step at the usual level. Babble and a competing talker are the waveform itself, reversed.

    Parameters
    ----------
    clean : (samples,) at `RATE`.
    step : one impairment, as `draw_recipe` returns them.

    Returns
    -------
    The degraded waveform (samples,) in [-1, 1], the step with the strength that it reached, and the five labels as in `labels_of`.

    Raises
    ------
    CorpusError
        The impairment is unknown, or its recording is not on this machine.
    SettingsError
        The step cannot be applied (silent speech, an unknown codec, a strength out of range), or pesq is not installed.
    """
    recipe, other = [step, {"kind": "level", "active_dbov": USUAL_DBOV}], clean[::-1].copy()
    degraded, steps = apply(clean, recipe, (0,), other, other)
    return degraded, steps[0], labels_of(clean, degraded, steps, (0,), other, other)


def kinds_of(recipe: str) -> str:
    """The kinds of impairment in a table's recipe.

    Returns
    -------
    Their names, joined by commas; "clean" for none.

    Examples
    --------
    >>> kinds_of('[{"kind": "noise"}, {"kind": "level"}]'), kinds_of('[{"kind": "level"}]')
    ('noise', 'clean')
    """
    return ", ".join(step["kind"] for step in json.loads(recipe) if step["kind"] in KINDS) or "clean"
