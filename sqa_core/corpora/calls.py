"""The controlled corpus of the chapter on language barriers: the same voices, sentences and impairments in every language, labelled by PESQ.

Everything about item k (voice, sentences, pauses, impairments and their random draws) follows from k alone, so two languages differ in
nothing but the language. Nobody listened: `mos` is PESQ of the whole chain; `noi`, `dis` and `col` are PESQ of what the impairments of
that kind do alone; `loud` follows from the level. Real voices pass through the same chains.

Training, validation and test share no sentence of the synthetic voices and no file of the real ones; tests have recorded noises and rooms
of their own.
"""

import csv
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
from scipy import fft, signal

from .. import audio, degrade, intrusive, levels
from ..errors import CorpusError
from ..files import short_hash
from . import polyglot, recordings
from .manifest import Manifest
from .pesq_material import NOISES, babble_of, equalised, impaired, noise_like, utterance
from .recordings import Use
from .workers import in_processes

VERSION = 5  # a change of how calls are made makes those made before void
RATE = 48_000
LANGUAGES = ("en", "de", "fr", "zh", "sv", "nl")  # of the paper
DIMENSIONS = ("mos", "noi", "dis", "col", "loud")  # in the order of NISQA's heads
HIGHEST = 4.64  # PESQ wide band of a sound and itself, MOS-LQO
TRAINING_SENTENCES = Path(__file__).with_name("training_sentences.csv")  # English; polyglot's own twelve are kept for tests
EXTENDED_SHARE = 0.7
VALID_SHARE = 0.15  # of the files of a real corpus
RIVALS = {"train": ("m5", "f1"), "valid": ("m7", "steph"), "test": ("m6", "f4")}  # compete with real voices

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
FLOOR_SNR_DB = (45.0, 70.0)  # of a room's or a microphone's own noise
USUAL_DBOV = -26.0
STRETCH_S = 4.6  # of a real talker: as long as two sentences of a synthetic one
SEARCH_S, QUIET_S, FADE_S = 0.75, 0.02, 0.01  # a real talker is cut at the quietest 20 ms near by, and faded
LOUDNESS_RANGE_DB = 24.0  # from the usual level to the least or greatest loudness score


Spoken = tuple[list[str], list[list[np.ndarray]]]  # the voice of each item, and its two parts, (samples,) at `RATE`


@dataclass(frozen=True)
class Call:
    """One item: the degraded waveform and the clean one, (samples,) at 48 kHz; what was done to it, with the strengths that were reached;
    its five labels."""

    waveform: np.ndarray
    clean: np.ndarray
    recipe: list[dict]
    labels: dict[str, float]
    item: int
    language: str
    voice: str
    floor_snr_db: float


@dataclass(frozen=True)
class Made:
    """How calls are made. labelled : with PESQ; without it all labels are NaN. extended : `EXTENDED_SHARE` of the voices get a high band
    (`extended`)."""

    labelled: bool = True
    extended: bool = False


def draw_recipe(rng: np.random.Generator, use: Use = "test") -> list[dict]:
    """None to three impairments with their strengths, in the order in which a call meets them, then a level.

    Ranges are those of ordinary test plans, from inaudible to disastrous. They were set by the labels of 64 English calls, so that these
    spread over the scale (PESQ is harsh where impairments add up), before any network was trained. In training, a third of the calls is
    then kept at a lower sample rate, as recordings are; that is no impairment, and PESQ hears nothing above 8 kHz.

    use : which recorded noises and rooms are drawn from, where there are any.
    """
    count = int(rng.choice([0, 1, 2, 3], p=[0.08, 0.6, 0.25, 0.07]))
    chosen = list(rng.choice(["noi", "room", "col", "dis"], size=count, replace=False, p=[0.3, 0.14, 0.3, 0.26])) if count else []
    chain: list[dict] = []
    if "room" in chosen:
        chain.append(_room(rng, recordings.rooms(use)))
    if "noi" in chosen:
        chain.append(_noise(rng, recordings.noises(use)))
    if "col" in chosen:
        chain.append(_coloration(rng))
    if "dis" in chosen:
        chain.append(_discontinuity(rng))
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


def _noise(rng: np.random.Generator, recorded: Sequence[str]) -> dict:
    strength = float(rng.random())
    if rng.random() < 0.25:
        return {"kind": "competing", "ratio_db": round(5 + 35 * strength, 1)}
    step = {"kind": "noise", "colour": str(rng.choice(NOISES)), "snr_db": round(5 + 55 * strength, 1)}
    if rng.random() < 0.5 and recorded:
        step |= {"colour": "recorded", "recording": recorded[int(rng.integers(len(recorded)))]}
    return step


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


def apply(
    waveform: np.ndarray, recipe: Sequence[dict], seed: Sequence[int], babble: np.ndarray, rival: np.ndarray
) -> tuple[np.ndarray, list[dict]]:
    """A waveform (samples,) at `RATE` through a chain; and the steps with the strength that each one reached.

    seed : each step draws from its own generator, so that a step alone is the step in the chain. babble : speech of several talkers, for
    noise of that name and spectrum. rival : speech of the competing talker.

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
    """The label for loudness: the highest at the usual level of -26 dBov, falling in proportion to the distance in dB, 1 from 24 dB on.

    Examples
    --------
    >>> loudness(-26.0), round(loudness(-38.0), 2), loudness(-60.0)
    (4.64, 2.82, 1.0)
    """
    return HIGHEST - (HIGHEST - 1) * min(1.0, abs(active_dbov - USUAL_DBOV) / LOUDNESS_RANGE_DB)


def extended(waveform: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Speech (samples,) at `RATE` with something above its own band: noise that follows the envelope of its highest octave.

    The training voices end at 8 or 11 kHz, so that whatever a network hears above that is an impairment, and it takes a full-band voice for
    a noisy one. Real voices have fricatives and breath there, which rise and fall with the octave below. The slope is drawn from 6 to 24 dB
    an octave. A full-band sound stays as it is.
    """
    edge = float(levels.report(audio.Sound(waveform[None], RATE))["bandwidth_hz"])
    if edge > 0.45 * RATE:
        return waveform
    octave = degrade.band_limit(waveform, RATE, edge / 2, edge)
    smooth = np.hanning(int(0.01 * RATE))
    envelope = np.sqrt(np.maximum(signal.oaconvolve(np.square(octave), smooth / smooth.sum(), "same"), 0))
    spectrum = np.fft.rfft(rng.standard_normal(len(waveform)))
    frequency = np.fft.rfftfreq(len(waveform), 1 / RATE)
    slope = rng.uniform(6, 24) / 6.02  # as a power of the frequency
    spectrum *= np.where(frequency > edge, (np.maximum(frequency, edge) / edge) ** -slope, 0)
    noise = np.fft.irfft(spectrum, len(waveform))
    # White noise of variance 1 has a density of 2 / RATE; in the octave, the speech has its power over half of the edge.
    density = np.sqrt(RATE / 2 / (edge / 2))
    tilt = 2**-slope  # from the middle of the octave to the edge, about as much again as to the next octave
    return (waveform + envelope * noise * density * tilt).astype(np.float32)


def impaired_once(clean: np.ndarray, step: dict) -> tuple[np.ndarray, dict, dict[str, float]]:
    """A clean waveform (samples,) at `RATE` through one step at the usual level: the degraded one, the step with the strength that it
    reached, and the labels. Babble and a competing talker are the sound itself, backwards."""
    recipe, other = [step, {"kind": "level", "active_dbov": USUAL_DBOV}], clean[::-1].copy()
    degraded, steps = apply(clean, recipe, (0,), other, other)
    return degraded, steps[0], labels_of(clean, degraded, steps, (0,), other, other)


def _call(seed: int, use: Use, babble: np.ndarray, made: Made, job: tuple[int, str, str, list[np.ndarray], np.ndarray]) -> Call:
    item, language, voice, parts, rival = job
    rng = np.random.default_rng([seed, item, 1])
    recipe = draw_recipe(rng, use)
    before, between, after = (np.zeros(int(RATE * s), np.float32) for s in rng.uniform([0.1, 0.2, 0.2], [0.4, 0.7, 1.0]))
    floor_snr_db = round(float(rng.uniform(*FLOOR_SNR_DB)), 1)
    clean = np.concatenate([before, parts[0], between, parts[1], after])
    clean = np.pad(clean, (0, fft.next_fast_len(len(clean), real=True) - len(clean)))  # of other lengths, transforms take most of the time
    if use != "test":  # few voices are trained on, and recordings of one voice differ
        clean = equalised(clean, RATE, np.random.default_rng([seed, item, 2]))
    if made.extended:
        own = np.random.default_rng([seed, item, 8])
        clean = extended(clean, own) if own.random() < EXTENDED_SHARE else clean
    floor = degrade.coloured_noise(clean.shape, RATE, "pink", np.random.default_rng([seed, item, 3]))
    clean = degrade.set_level(degrade.add_noise(clean, RATE, floor, floor_snr_db), RATE)
    degraded, steps = apply(clean, recipe, (seed, item), babble, rival)
    labels = dict.fromkeys(DIMENSIONS, float("nan"))
    if made.labelled:
        labels = labels_of(clean, degraded, steps, (seed, item), babble, rival)
    return Call(degraded, clean, steps, labels, item, language, voice, floor_snr_db)


def sentences(use: Use, language: str) -> list[str]:
    """What the synthetic voices say: polyglot's own sentences in tests, others, in English, before.

    Raises
    ------
    CorpusError
        There are no training sentences in that language.
    """
    if use == "test":
        return polyglot.sentences(language)
    if language != "en":
        raise CorpusError(f"Sentences for training are in English, not in {language!r}.")
    with TRAINING_SENTENCES.open(encoding="utf-8", newline="") as f:
        return [row["text"] for row in csv.DictReader(f) if row["use"] == use]


def synthetic(
    count: int,
    seed: int,
    language: str,
    voices: Sequence[str] = tuple(polyglot.VOICES),
    use: Use = "test",
    on_item: Callable[[], None] = lambda: None,
    made: Made = Made(),
) -> list[Call]:
    """`count` calls of polyglot's voices in one language; for another language the same calls, item by item."""
    plan, parts = _spoken(count, np.random.default_rng([seed, 0]), language, voices, use)
    others = (plan, parts) if len(set(plan)) > 1 else _rivals(seed, language, use, plan[0])  # a voice does not compete with itself
    return _all(seed, use, language, plan, parts, others, on_item, made)


def _rivals(seed: int, language: str, use: Use, but: str = "") -> Spoken:
    """What the voices of `RIVALS` say, all but one of them; in English where training forbids the language or they do not speak it."""
    language = language if language in polyglot.LANGUAGES and use == "test" else "en"
    return _spoken(12, np.random.default_rng([seed, 4]), language, [voice for voice in RIVALS[use] if voice != but], use)


def _spoken(count: int, rng: np.random.Generator, language: str, voices: Sequence[str], use: Use) -> Spoken:
    """The voice of each item, and its two sentences at 48 kHz."""
    plan: list[str] = []
    jobs: list[dict] = []
    for _ in range(count):
        plan.append(str(rng.choice(list(voices))))
        jobs += utterance(rng, language, plan[-1], sentences(use, language))
    sounds = [audio.resample(s.waveform, s.sample_rate, RATE)[0] for s in polyglot.synthesise(jobs)]
    return plan, [sounds[2 * i : 2 * i + 2] for i in range(count)]


def real(
    count: int,
    seed: int,
    corpus: Manifest,
    language: str,
    use: Use = "test",
    on_item: Callable[[], None] = lambda: None,
    made: Made = Made(),
) -> list[Call]:
    """`count` calls of a corpus of clean recordings in one language: two stretches of one talker, `STRETCH_S` seconds in all.

    use : "train" and "valid" take different files of the corpus, "test" takes all. Those who compete with real talkers, and their babble,
    are synthetic, so that it is the same in every corpus; in the same language if they speak it.

    Raises
    ------
    CorpusError
        There are no such recordings.
    """
    rng = np.random.default_rng([seed, 0])
    table = corpus.table[(corpus.table["language"] == language) & corpus.table["seconds"].between(0.4, 20)]
    table = recordings.of_use(table, use, VALID_SHARE)
    if table.empty:
        raise CorpusError(f"{corpus.name}: no recordings in {language!r} between 0.4 and 20 s.")
    talkers = {str(name): rows for name, rows in table.groupby("speaker")}
    plan, parts = [], []
    for _ in range(count):
        voice = str(rng.choice(sorted(talkers)))
        files = [corpus.root / str(f) for f in talkers[voice]["file"]]
        parts.append(_two_stretches(files, rng))
        plan.append(voice)
    return _all(seed, use, language, plan, parts, _rivals(seed, language, use), on_item, made)


def _two_stretches(files: list[Path], rng: np.random.Generator) -> list[np.ndarray]:
    """Files of one talker in random order until some `STRETCH_S` seconds are full, in two parts, each cut between words and faded; a talker
    with little speech gives what there is."""
    pieces: list[np.ndarray] = []
    for i in rng.permutation(len(files)):
        sound = audio.load(files[i])
        pieces.append(_faded(audio.resample(sound.waveform, sound.sample_rate, RATE)[0]))
        if sum(map(len, pieces)) > STRETCH_S * RATE:
            break
    speech = np.concatenate(pieces)
    end = quietest(speech, int(STRETCH_S * RATE)) if len(speech) > STRETCH_S * RATE else len(speech)
    middle = quietest(speech[:end], end // 2, end // 4)
    return [_faded(speech[:middle]), _faded(speech[middle:end])]


def quietest(speech: np.ndarray, near: int, farthest: int | None = None) -> int:
    """The middle sample of the quietest `QUIET_S` of a waveform (samples,) at `RATE`, at most `SEARCH_S` from a sample, or `farthest` samples
    if that is less: between two words."""
    width, reach = int(QUIET_S * RATE), int(SEARCH_S * RATE)
    reach = reach if farthest is None else max(width, min(reach, farthest))
    start = max(0, near - reach)
    power = np.square(speech[start : near + reach], dtype=np.float64)
    sums = np.concatenate([[0.0], np.cumsum(power)])
    return start + int(np.argmin(sums[width:] - sums[:-width])) + width // 2


def _faded(waveform: np.ndarray) -> np.ndarray:
    """With both ends faded, so that a cut does not click."""
    gain = np.minimum(1, np.arange(1, len(waveform) + 1) / (FADE_S * RATE))
    return (waveform * gain * gain[::-1]).astype(np.float32)


def _all(
    seed: int,
    use: Use,
    language: str,
    plan: list[str],
    parts: list[list[np.ndarray]],
    others: Spoken,
    on_item: Callable[[], None],
    made: Made,
) -> list[Call]:
    """others : voices, and what they say, of competing talkers and of babble."""
    babble = babble_of([sound for pair in others[1] for sound in pair], np.random.default_rng([seed, 5]), RATE, seconds=10, stretches=12)
    jobs = [
        (i, language, voice, said, _rival(voice, *others, np.random.default_rng([seed, i, 6])))
        for i, (voice, said) in enumerate(zip(plan, parts, strict=True))
    ]
    return in_processes(partial(_call, seed, use, babble, made), jobs, 8, on_item)


def _rival(voice: str, voices: Sequence[str], parts: Sequence[list[np.ndarray]], rng: np.random.Generator) -> np.ndarray:
    """What another talker says."""
    chosen = int(rng.choice([i for i, other in enumerate(voices) if other != voice]))
    return np.concatenate(parts[chosen])


def recipe_hash() -> str:
    """Hash of how calls are made, but for the recordings they are made of."""
    constants = (
        RATE,
        HIGHEST,
        EXTENDED_SHARE,
        VALID_SHARE,
        RIVALS,
        KINDS,
        NOISES,
        RATES,
        RATE_SHARES,
        FLOOR_SNR_DB,
        USUAL_DBOV,
        LOUDNESS_RANGE_DB,
    )
    cuts = (STRETCH_S, SEARCH_S, QUIET_S, FADE_S)
    codecs = sorted(degrade.CODECS.items())
    return short_hash(repr((VERSION, polyglot.recipe_hash(), TRAINING_SENTENCES.read_bytes(), constants, cuts, codecs)))


def to_table(calls: Sequence[Call]) -> list[dict]:
    """One plain row a call, for a record."""
    return [
        {
            "item": c.item,
            "language": c.language,
            "voice": c.voice,
            "seconds": len(c.waveform) / RATE,
            "floor_snr_db": c.floor_snr_db,
            "recipe": json.dumps(c.recipe),
        }
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
