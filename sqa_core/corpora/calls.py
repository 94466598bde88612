"""The controlled corpus of the chapter on language barriers: the same voices, sentences and impairments in every language, labelled by PESQ.

Everything about item k (voice, sentences, pauses, impairments and their random draws) follows from k alone, so two languages differ in
nothing but the language. `impairments` draws what is done to them and labels it. Real voices pass through the same chains.

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

from .. import audio, degrade, levels
from ..errors import CorpusError
from ..files import short_hash
from . import polyglot, recordings
from .impairments import DIMENSIONS, HIGHEST, KINDS, LOUDNESS_RANGE_DB, RATE, RATE_SHARES, RATES, USUAL_DBOV, apply, draw_recipe, labels_of
from .manifest import Manifest
from .pesq_material import NOISES, babble_of, equalised, utterance
from .recordings import Use
from .workers import in_processes

VERSION = 5  # a change of how calls are made makes those made before void
LANGUAGES = ("en", "de", "fr", "zh", "sv", "nl")  # of the paper
TRAINING_SENTENCES = Path(__file__).with_name("training_sentences.csv")  # English; polyglot's own twelve are kept for tests
EXTENDED_SHARE = 0.7
SPEEDS = (0.8, 0.85, 0.9, 0.95, 1.0, 1.05, 1.1, 1.15, 1.2, 1.25)  # of voices that are varied
VALID_SHARE = 0.15  # of the files of a real corpus
RIVALS = {"train": ("m5", "f1"), "valid": ("m7", "steph"), "test": ("m6", "f4")}  # compete with real voices
FLOOR_SNR_DB = (45.0, 70.0)  # of a room's or a microphone's own noise
STRETCH_S = 4.6  # of a real talker: as long as two sentences of a synthetic one
SEARCH_S, QUIET_S, FADE_S = 0.75, 0.02, 0.01  # a real talker is cut at the quietest 20 ms near by, and faded

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
    (`extended`). varied : in each call, the talker and a competing talker are played at a speed drawn from `SPEEDS`, which moves pitch and
    formants, so that few voices sound like many; and impairments are drawn from `impairments.WIDE`."""

    labelled: bool = True
    extended: bool = False
    varied: bool = False


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


def at_speed(waveform: np.ndarray, speed: float) -> np.ndarray:
    """A waveform (samples,) at `RATE` played `speed` times as fast, as a tape would be: all frequencies are multiplied by `speed`."""
    return audio.resample(waveform[None], round(RATE * speed), RATE)[0]


def _call(seed: int, use: Use, babble: np.ndarray, made: Made, job: tuple[int, str, str, list[np.ndarray], np.ndarray]) -> Call:
    item, language, voice, parts, rival = job
    rng = np.random.default_rng([seed, item, 1])
    recipe = draw_recipe(rng, use, made.varied)
    if made.varied:
        speed, rival_speed = np.random.default_rng([seed, item, 9]).choice(SPEEDS, size=2)
        parts, rival = [at_speed(part, speed) for part in parts], at_speed(rival, rival_speed)
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
    """What the synthetic voices say: polyglot's own sentences in tests, others, in English, in training and validation.

    Returns
    -------
    Texts in a fixed order.

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
    """`count` calls of polyglot's voices in one language; for another language the same calls, item by item.

    Parameters
    ----------
    count : number of calls, at least 1.
    language : one of `polyglot.LANGUAGES`; only English for training and validation.
    voices : names from `polyglot.VOICES`, of which each call draws one.
    use : which sentences, recorded noises and rooms are drawn from.
    on_item : called as each call arrives.
    made : whether calls are labelled, whether voices get a high band, and whether they are varied.

    Returns
    -------
    The calls in the order of their items, which count from 0.

    Raises
    ------
    CorpusError
        There are no training sentences in that language, or a recording that was drawn is not on this machine.
    SettingsError
        Labels need pesq, which is not installed, or this build of FFmpeg lacks a codec that was drawn.
    KeyError
        The language or a voice is unknown.
    """
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
    """Calls of a corpus of clean recordings in one language: two stretches of one talker, `STRETCH_S` seconds in all.

    Competing talkers and babble are synthetic, so that they are the same in every corpus; in tests they speak the
    corpus's language if polyglot has it, otherwise English.

    Parameters
    ----------
    use : "train" and "valid" take different files of the corpus, "test" takes all.
    count, on_item, made : as in `synthetic`.

    Returns
    -------
    As `synthetic`.

    Raises
    ------
    AudioError
        A file cannot be read.
    CorpusError
        There are no such recordings, or a noise or room that was drawn is not on this machine.
    SettingsError
        As in `synthetic`.
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
    """One plain row per call, for a record.

    Returns
    -------
    For each call: item, language, voice, length in seconds, SNR of the noise floor in dB, recipe (JSON), and the five labels.
    """
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
