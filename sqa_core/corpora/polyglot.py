"""polyglot, the built-in corpus: the same twelve sentences in eleven languages by synthetic voices. Generated, never downloaded.

eSpeak NG speaks (through the wheel espeakng-loader); what it says was written for this book. It has no Canadian French, so French
is that of France and of Belgium. Whatever shows this corpus says that it is synthetic.
"""

import csv
import json
import os
import struct
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from .. import audio, environment
from ..errors import CorpusError
from ..files import sha256, short_hash
from . import espeak
from . import manifest as manifests
from .manifest import Manifest

SENTENCES = Path(__file__).with_name("polyglot_sentences.csv")
# Language of the book to eSpeak's voice and the column of sentences. `en-gb` and `fr-fr` are not eSpeak's names.
LANGUAGES = {
    "en": ("en", "en"),
    "de": ("de", "de"),
    "fr": ("fr", "fr"),
    "fr-be": ("fr-be", "fr"),
    "zh": ("cmn", "cmn"),
    "sv": ("sv", "sv"),
    "nl": ("nl", "nl"),
    "it": ("it", "it"),
    "es": ("es", "es"),
    "el": ("el", "el"),
    "fa": ("fa", "fa"),
    "ar": ("ar", "ar"),
}
LICENCE = "CC BY 4.0"
# The languages of the chapters on emotion, and English. eSpeak has one French voice, used for Canadian French too, and standard Arabic
# for Egyptian.
ACTED_LANGUAGES = ("el", "fr", "it", "de", "es", "ar", "fa", "en")
ACTED_VOICES = ("m1", "m2", "m5", "f1", "f4", "anika")
ACTED_SENTENCES = 3


@dataclass(frozen=True)
class Voice:
    """One synthetic speaker: eSpeak's variant, words a minute, pitch and pitch range (0 to 99)."""

    variant: str
    rate: int
    pitch: int
    range: int


@dataclass(frozen=True)
class Manner:
    """How an emotion is acted: factors of rate and level, steps of eSpeak's pitch and range, the sentence's end, which sets its slope,
    and the voice: the gain in dB above BRIGHT_HZ.

    The signs follow the reviews of Murray and Arnott (JASA 93, 1993) and of Juslin and Laukka (Psychological Bulletin 129, 2003);
    the sizes are chosen to be audible.
    """

    rate: float
    pitch: int
    range: int
    level: float
    end: str
    bright: float


LOUDNESS = 44  # of 100 for a neutral voice, so that the loudest and brightest does not clip
BRIGHT_HZ = 1000.0
MANNERS = {
    "neutral": Manner(1.0, 0, 0, 1.0, ".", 0.0),
    "anger": Manner(1.12, 8, 25, 1.6, "!", 9.0),
    "happiness": Manner(1.08, 16, 30, 1.25, "!", 4.0),
    "sadness": Manner(0.8, -10, -25, 0.65, ".", -9.0),
    "fear": Manner(1.2, 22, 5, 0.9, ".", -3.0),
    "disgust": Manner(0.88, -8, 8, 1.0, ".", -5.0),
    "surprise": Manner(1.04, 20, 38, 1.2, "?", 4.0),
}


# Twelve speakers, the same in every language; variants change formants, the numbers change manner. Variants with `breath`
# (f2, f3, f5 and others) are left out: eSpeak draws their noise anew in each process, a fresh fork or not.
VOICES = {
    "m1": Voice("m1", 160, 42, 45),
    "m2": Voice("m2", 172, 50, 50),
    "m3": Voice("m3", 150, 38, 55),
    "m4": Voice("m4", 166, 46, 40),
    "m5": Voice("m5", 156, 54, 60),
    "m6": Voice("m6", 178, 44, 52),
    "m7": Voice("m7", 148, 48, 46),
    "f1": Voice("f1", 162, 50, 50),
    "f4": Voice("f4", 174, 52, 62),
    "anika": Voice("anika", 152, 46, 48),
    "belinda": Voice("belinda", 170, 56, 58),
    "steph": Voice("steph", 158, 58, 54),
}


def sentences(language: str) -> list[str]:
    """The twelve sentences in one of `LANGUAGES`.

    Returns
    -------
    The texts, in the same order in every language.

    Raises
    ------
    KeyError
        The language is unknown.
    """
    with SENTENCES.open(encoding="utf-8", newline="") as f:
        return [row[LANGUAGES[language][1]] for row in csv.DictReader(f)]


def recipe_hash() -> str:
    """Hash of all that decides what the voices say and how, for work on single utterances."""
    return short_hash(SENTENCES.read_bytes() + repr((LANGUAGES, VOICES)).encode())


def synthesise(jobs: list[dict[str, Any]]) -> list[audio.Sound]:
    """Speech by eSpeak NG; the same samples each time.

    Parameters
    ----------
    jobs : text, voice (eSpeak's name), rate, pitch and range, and if need be volume and brightness, as `job` and `acted_job` return them.

    Returns
    -------
    One sound per job, in order.

    Raises
    ------
    CorpusError
        A voice that eSpeak does not have.
    """
    if not jobs:
        return []
    if not hasattr(os, "fork"):
        return [s for job in jobs for s in _speak_all([job])]
    workers = min(len(jobs), os.cpu_count() or 1)
    with ThreadPoolExecutor(workers) as pool:
        parts = list(pool.map(_speak_all, [jobs[i::workers] for i in range(workers)]))
    sounds: list[audio.Sound] = [parts[i % workers][i // workers] for i in range(len(jobs))]
    return sounds


def _speak_all(jobs: list[dict]) -> list[audio.Sound]:
    command = [sys.executable, "-m", "sqa_core.corpora.espeak"]
    lines = "".join(json.dumps(job) + "\n" for job in jobs).encode()
    env = os.environ | {"PYTHONPATH": os.pathsep.join([str(environment.PACKAGE.parent), os.environ.get("PYTHONPATH", "")])}
    sounds = []
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=env) as process:
        stdin, stdout = process.stdin, process.stdout
        assert stdin is not None
        assert stdout is not None
        with ThreadPoolExecutor(1) as writer:
            writer.submit(lambda: (stdin.write(lines), stdin.close()))
            try:
                (rate,) = struct.unpack("<I", stdout.read(4))
                for job in jobs:
                    samples = espeak.receive_one(stdout)
                    if samples is None:
                        raise CorpusError(f"eSpeak NG has no voice {job['voice']!r}; it would have gone on with the one before.")
                    sound = audio.load(np.frombuffer(samples, "<i2"), rate)
                    sounds.append(brightened(sound, job["bright"]) if job.get("bright") else sound)
            except (RuntimeError, struct.error) as e:
                raise CorpusError("eSpeak NG stopped while it spoke; reinstall espeakng-loader.") from e
            finally:
                process.kill()
    return sounds


def job(language: str, voice: str, sentence: str) -> dict:
    """A sentence for `synthesise` to say.

    Parameters
    ----------
    language, voice : one of `LANGUAGES` and one of `VOICES`.
    sentence : the text.

    Returns
    -------
    The text, eSpeak's name of the voice, its rate in words per minute, and its pitch and pitch range (0 to 99).

    Raises
    ------
    KeyError
        The language or voice is unknown.
    """
    v = VOICES[voice]
    return {
        "text": sentence,
        "voice": f"{LANGUAGES[language][0]}+{v.variant}",
        "rate": v.rate,
        "pitch": v.pitch,
        "range": v.range,
    }


def acted_job(language: str, voice: str, sentence: str, emotion: str) -> dict:
    """`job` in the manner of an emotion; `Manner` names the studies that the manners follow.

    Parameters
    ----------
    language, voice : one of `LANGUAGES` and one of `VOICES`.
    sentence : the text; the manner replaces its final punctuation mark.
    emotion : one of `MANNERS`.

    Returns
    -------
    A job as from `job`, with volume (100 is eSpeak's normal one) and brightness (gain in dB above BRIGHT_HZ) as well.

    Raises
    ------
    KeyError
        The language, voice or emotion is unknown.
    """
    plain, manner = job(language, voice, sentence.rstrip(".!?;؟") + MANNERS[emotion].end), MANNERS[emotion]
    moved = {name: min(99, max(0, plain[name] + getattr(manner, name))) for name in ("pitch", "range")}
    return plain | moved | {"rate": round(plain["rate"] * manner.rate), "volume": round(LOUDNESS * manner.level), "bright": manner.bright}


def brightened(sound: audio.Sound, bright_db: float) -> audio.Sound:
    """A sound with a gain in dB above BRIGHT_HZ, at its original level."""
    from scipy.signal import butter, sosfilt

    high = sosfilt(butter(1, BRIGHT_HZ, "high", fs=sound.sample_rate, output="sos"), sound.waveform)
    shaped = sound.waveform + (10 ** (bright_db / 20) - 1) * high
    shaped *= np.sqrt(np.mean(sound.waveform**2) / max(float(np.mean(shaped**2)), 1e-12))
    return audio.Sound(shaped.astype(np.float32), sound.sample_rate)


def _said(folder: Path, wanted: list[tuple[str, dict[str, Any], dict[str, Any]]]) -> pd.DataFrame:
    """Say jobs into files below `folder`: of each a path, a job, and its facts; one row per file."""
    rows = []
    for (file, _, facts), sound in zip(wanted, synthesise([job for _, job, _ in wanted]), strict=True):
        (folder / file).parent.mkdir(parents=True, exist_ok=True)
        audio.write_wav(folder / file, *sound)
        seconds = sound.waveform.shape[1] / sound.sample_rate
        rows.append({"file": file, "sha256": sha256(folder / file), "sample_rate": sound.sample_rate, "seconds": seconds} | facts)
    return pd.DataFrame(rows)


def generate_acted(folder: Path, on_file=lambda _: None) -> Manifest:
    """Sentences in the manner of seven emotions, as `polyglot-acted`: it checks machinery and says nothing of emotions."""
    parts = []
    for language in ACTED_LANGUAGES:
        wanted = []
        for voice in ACTED_VOICES:  # a voice speaks every language
            for emotion in MANNERS:
                for number, text in enumerate(sentences(language)[:ACTED_SENTENCES], start=1):
                    facts = {"speaker": voice, "language": language, "licence": LICENCE, "emotion": emotion, "sentence": str(number)}
                    wanted.append((f"{language}/{voice}_{emotion}_{number:02d}.wav", acted_job(language, voice, text, emotion), facts))
        parts.append(_said(folder, wanted))
        on_file(language)
    manifests.write(Manifest("polyglot-acted", pd.concat(parts, ignore_index=True), folder, "synthetic"), folder / "manifest.csv")
    (folder / "recipe.txt").write_text(acted_hash())
    return acted(folder)


def acted_hash() -> str:
    """Hash of all that decides what `polyglot-acted` holds."""
    made = (recipe_hash(), MANNERS, LOUDNESS, BRIGHT_HZ, ACTED_LANGUAGES, ACTED_VOICES, ACTED_SENTENCES)
    return short_hash(repr(made))


def acted(folder: Path) -> Manifest:
    """`polyglot-acted` at `folder`, generated there first where it is not whole, or was made by another recipe."""
    recipe = folder / "recipe.txt"
    if not (folder / "manifest.csv").is_file() or not recipe.is_file() or recipe.read_text() != acted_hash():
        return generate_acted(folder)
    return manifests.read(folder / "manifest.csv", "polyglot-acted", "synthetic", ("sentence",))


def generate(folder: Path, languages: tuple[str, ...] = tuple(LANGUAGES), on_file=lambda _: None) -> Manifest:
    """The whole corpus as 22.05 kHz WAV files below `folder`, with its manifest; whole or not at all."""
    parts = []
    for language in languages:
        wanted = []
        for voice in VOICES:
            for number, text in enumerate(sentences(language), start=1):
                facts = {"speaker": f"{language}-{voice}", "language": language, "licence": LICENCE, "sentence": number, "text": text}
                wanted.append((f"{language}/{voice}_{number:02d}.wav", job(language, voice, text), facts))
        parts.append(_said(folder, wanted))
        on_file(language)
    table = pd.concat(parts, ignore_index=True)
    made = Manifest("polyglot", table.assign(seconds=table["seconds"].round(4)), folder, "synthetic")
    manifests.write(made, folder / "manifest.csv")
    return made


def manifest(folder: Path) -> Manifest:
    """The corpus at `folder`, generated there first where it is not whole."""
    if not (folder / "manifest.csv").is_file():
        return generate(folder)
    return manifests.read(folder / "manifest.csv", "polyglot", "synthetic")
