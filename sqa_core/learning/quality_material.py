"""Calls as a network for quality takes them: spectrograms of each front end, labels, and what the calls are.

They are kept in the cache: the labels take longer than an epoch.
"""

import json
from collections.abc import Callable, Sequence
from dataclasses import astuple, dataclass, field
from typing import NamedTuple

import pandas as pd
import torch
from safetensors import safe_open
from safetensors.torch import save_file
from torch import Tensor

from .. import audio, environment, spectrogram
from ..corpora import calls, impairments, polyglot, recordings, registry
from ..files import atomic, short_hash
from ..models.nisqa import NisqaSettings
from ..models.quality_transformer import SIZES
from ..results.trials import added_later, canonical
from ..spectrogram import MelSettings


@dataclass(frozen=True)
class Part:
    """Some calls: of polyglot's voices or of a corpus of real ones, in one language. voices : None takes all. use : no two of them share
    a sentence or a file, and tests have recorded noises of their own. extended, varied : see `calls.Made`."""

    source: str
    language: str
    count: int
    seed: int
    voices: tuple[str, ...] | None = None
    use: recordings.Use = "test"
    extended: bool = field(default=False, metadata=added_later(False))
    varied: bool = field(default=False, metadata=added_later(False))


class Material(NamedTuple):
    """Spectrograms (frames, bands) of each network's front end, labels (calls, 5), and what the calls are, one row per call."""

    mels: dict[str, list[Tensor]]
    labels: Tensor
    table: pd.DataFrame


FRONT_ENDS = {"nisqa": NisqaSettings().mel, "ast": SIZES["ast"].mel}


def material(part: Part, on_call: Callable[[], None] = lambda: None) -> Material:
    """The calls of a part, made if they are not in the cache."""
    path = environment.cache_folder() / "material" / f"calls-{part_hash(part)}.safetensors"
    if not path.is_file():
        made = make(part, on_call)
        tensors = {
            f"{kind}-{i:05d}": spectrogram.mel_db(call.waveform, impairments.RATE, mel).half()
            for i, call in enumerate(made)
            for kind, mel in FRONT_ENDS.items()
        }
        labels = torch.tensor([[call.labels[d] for d in impairments.DIMENSIONS] for call in made])
        path.parent.mkdir(parents=True, exist_ok=True)
        with atomic(path) as partial:
            save_file(tensors | {"labels": labels}, partial, {"table": json.dumps(calls.to_table(made))})
    with safe_open(path, "pt") as file:
        tensors = {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118 (not a dict)
        table = json.loads(file.metadata()["table"])
    labels = tensors.pop("labels")
    mels = {kind: [tensors[f"{kind}-{i:05d}"].float() for i in range(len(labels))] for kind in FRONT_ENDS}
    return Material(mels, labels, pd.DataFrame(table))


def part_hash(part: Part) -> str:
    """Hash of all that decides a part's spectrograms and labels: the calls, what they are made of, and the front ends.

    Returns
    -------
    16 hexadecimal digits.

    Raises
    ------
    SettingsError
        There is no corpus of the name of the part's source.
    CorpusError
        The corpus is not on this machine.
    """
    source = "" if part.source == "polyglot" else registry.load(part.source).hash
    made_of = (
        json.dumps(canonical(part), sort_keys=True),
        calls.recipe_hash(),
        source,
        recordings.hash_of(part.use),
        sorted(FRONT_ENDS.items()),
        *((calls.SPEEDS, astuple(impairments.WIDE)) if part.varied else ()),
    )
    return short_hash(repr(made_of), 16)


def parts_hash(parts: Sequence[Part]) -> str:
    """Hash of several parts in their order. Raises as `part_hash`.

    Returns
    -------
    16 hexadecimal digits.
    """
    return short_hash(" ".join(part_hash(part) for part in parts), 16)


def make(part: Part, on_call: Callable[[], None] = lambda: None, labelled: bool = True) -> list[calls.Call]:
    """The calls of a part, waveforms and all, made anew each time.

    Parameters
    ----------
    part : Which calls.
    on_call : Called for each call that is made.
    labelled : Label the calls by PESQ; without it all labels are NaN.

    Returns
    -------
    The calls in the order of their numbers, waveforms at 48 kHz.

    Raises
    ------
    SettingsError
        There is no corpus of the name of the part's source, or the package pesq is not installed.
    CorpusError
        The corpus is not on this machine or has no recordings for the part, or training calls of polyglot are not in English.
    KeyError
        Polyglot has no such voice or, for a test, no such language.
    """
    how = calls.Made(labelled, part.extended, part.varied)
    if part.source == "polyglot":
        return calls.synthetic(part.count, part.seed, part.language, part.voices or tuple(polyglot.VOICES), part.use, on_call, how)
    corpus = registry.load(part.source)
    corpus = corpus.where(speaker=part.voices) if part.voices else corpus
    if "emotion" in corpus.table:  # acted emotions are no material for quality
        corpus = corpus.where(emotion="neutral")
    return calls.real(part.count, part.seed, corpus, part.language, part.use, on_call, how)


def joined(parts: Sequence[Part], on_call: Callable[[], None] = lambda: None) -> Material:
    """Several parts as one material. Raises as `make`.

    Parameters
    ----------
    parts : At least one.
    on_call : Called for each call that is made; not for those in the cache.

    Returns
    -------
    The material, part after part; its table has a further column `source`.
    """
    found = [material(part, on_call) for part in parts]
    mels = {kind: [mel for one in found for mel in one.mels[kind]] for kind in FRONT_ENDS}
    tables = [one.table.assign(source=part.source) for part, one in zip(parts, found, strict=True)]
    return Material(mels, torch.cat([one.labels for one in found]), pd.concat(tables, ignore_index=True))


def mel_of(mel: MelSettings, sound: audio.Sound) -> Tensor:
    """The spectrogram of a sound by a network's front end, channels mixed.

    Parameters
    ----------
    mel : The front end, such as a network's `settings.mel`; it takes the sound at its own rate, or resampled to that which is set.
    sound : With any number of channels.

    Returns
    -------
    (frames, bands) in dB, a frame every 10 ms.

    Raises
    ------
    AudioError
        The sound is shorter than 10 ms, its channels cancel, or its samples or its rate cannot be used.
    """
    rate = mel.sample_rate or sound.sample_rate
    mono = audio.mixed(sound, "mean").waveform
    return spectrogram.mel_db(audio.resample(mono, sound.sample_rate, rate)[0], rate, mel)
