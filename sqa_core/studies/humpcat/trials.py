"""The trials of the chapter on HuMP-CAT: networks trained on the source, and moved to targets with a share of their files."""

import json
from dataclasses import asdict, replace
from functools import lru_cache
from typing import Any, ClassVar, Literal

import numpy as np
import pandas as pd
from filelock import FileLock
from sklearn.metrics import f1_score, recall_score
from torch import Tensor

from ... import audio, environment, prosody, spectrogram
from ...corpora import splits
from ...corpora.manifest import Manifest
from ...corpora.splits import Share
from ...errors import CorpusError, WeightsError
from ...files import short_hash
from ...learning import feature_bank, humpcat
from ...learning import streams as streams_module
from ...learning.feature_bank import FeatureSettings
from ...learning.humpcat import Trained, TrainSettings
from ...learning.loop import RUN_FORM, Checkpoint
from ...learning.streams import Streams, acoustics, streams
from ...metrics import scores
from ...models import encoder_catalogue
from ...models.humpcat import HumpcatSettings
from ...prosody import ProsodySettings
from ...results.trials import Result, Trial, canonical
from ...spectrogram import SPEECH_RATE, MelSettings
from ..emotion import bank_with_progress, load_corpus, require_hash

CLASSES = ("anger", "happiness", "neutral", "sadness")
WATCHED = 8  # files whose attention is measured after each epoch

DRAWN = MelSettings(n_fft=1024, fmax=8000.0)  # of the spectrogram that attention is drawn with

Layers = tuple[int, ...]
Start = Literal["source", "random"]


def four(corpus: Manifest, merge_excitement: bool = True) -> Manifest:
    """The files of a corpus in the four classes; excitement is happiness, as is usual for IEMOCAP, if it is merged.

    Raises
    ------
    CorpusError
        No file is in one of them.
    """
    table = corpus.table
    if merge_excitement:
        table = table.assign(emotion=table["emotion"].replace("excitement", "happiness"))
    chosen = table["emotion"].isin(CLASSES)
    if not chosen.any():
        raise CorpusError(f"{corpus.name}: no file is angry, happy, neutral or sad.")
    return Manifest(corpus.name, table[chosen].reset_index(drop=True), corpus.root, corpus.status)


class HumpcatTrial(Trial):
    """What the trials of this chapter have in common.

    source : the corpus that the network learns first. layers : of the encoder, from 1. source_training : of the source. source_languages :
    of a source that has several; all if empty.
    """

    source: str
    source_hash: str
    encoder: str
    weights_hash: str
    layers: Layers
    source_features: FeatureSettings = FeatureSettings()
    source_languages: tuple[str, ...] = ()
    network: HumpcatSettings
    prosody: ProsodySettings
    source_training: TrainSettings
    merge_excitement: bool = True

    def loaded(self, corpus: str, corpus_hash: str, features: FeatureSettings, languages: tuple[str, ...]) -> tuple[Manifest, Streams]:
        """A corpus in four classes with its streams."""
        require_hash(f"the weights of {self.encoder}", encoder_catalogue.weights_hash(self.encoder), self.weights_hash, WeightsError)
        layers, contours = self.layers, self.network.contours
        return _loaded(corpus, corpus_hash, self.encoder, features, languages, layers, self.prosody, contours, self.merge_excitement)

    def of_source(self) -> tuple[Manifest, Streams]:
        return self.loaded(self.source, self.source_hash, self.source_features, self.source_languages)

    def source_weights(self) -> dict[str, Tensor]:
        """Weights of the network that was trained on the whole source, now where this machine has none of these settings."""
        fields = [self.source, self.source_hash, self.source_languages, self.encoder, self.weights_hash, self.layers, self.seed]
        settings = [canonical(x) for x in (self.source_features, self.network, self.prosody, self.source_training)]
        formats = [streams_module.FORMAT, feature_bank.FORMAT, RUN_FORM]  # features of another format make another network
        corpus, found = self.of_source()
        labels, files = self.source_labels(corpus), np.arange(len(corpus.table))
        run = {"fields": fields, "settings": settings, "labels": short_hash(labels.tobytes()), "formats": formats}
        folder = environment.cache_folder() / "training" / f"humpcat-{short_hash(json.dumps(run, default=asdict), 16)}"
        checkpoint = Checkpoint(folder, run)
        folder.mkdir(parents=True, exist_ok=True)
        with FileLock(folder / ".lock"):
            trained = humpcat.learn(found, labels, files, self.network, self.source_training, self.seed, checkpoint=checkpoint)
        return trained.network.state_dict()

    def source_labels(self, corpus: Manifest) -> np.ndarray:
        """(files,) class numbers that the source's network learns."""
        return corpus.labels(list(CLASSES))


@lru_cache(maxsize=8)
def _loaded(
    corpus: str,
    corpus_hash: str,
    encoder: str,
    features: FeatureSettings,
    languages: tuple[str, ...],
    layers: Layers,
    prosody: ProsodySettings,
    contours: bool,
    merge_excitement: bool,
) -> tuple[Manifest, Streams]:
    found = load_corpus(corpus, corpus_hash)
    found = four(found.where(language=languages) if languages else found, merge_excitement)
    held = acoustics(found, features.channel, prosody)
    return found, streams(bank_with_progress(found, encoder, features), held, found.table["file"].tolist(), layers, contours)


class SourceTrial(HumpcatTrial):
    """The source with speakers apart: a network trained on all speakers but one is tested on that one."""

    kind: ClassVar[str] = "source"
    held_out: str

    def run(self) -> Result:
        corpus, found = self.of_source()
        person = splits.speakers_merged(corpus).to_numpy()
        if self.held_out not in person:
            raise CorpusError(f"{self.source} has no speaker {self.held_out}.")
        out = self.tested_files(person)
        test, train = np.flatnonzero(out), np.flatnonzero(~out)
        labels = corpus.labels(list(CLASSES))
        trained = humpcat.learn(found, labels, train, self.network, self.source_training, self.seed, watched=few(test))
        predicted = humpcat.predict(trained.network, found, test).argmax(axis=1)
        return Result(tested(labels[test], predicted) | training_facts(trained), answers(corpus, test, predicted))

    def tested_files(self, person: np.ndarray) -> np.ndarray:
        """person : of each file. Returns whether each is tested; the rest is trained on."""
        return person == self.held_out


class MixedSourceTrial(SourceTrial):
    """The rule broken on purpose: as many files are tested as the speaker `held_out` has, but drawn from all speakers, who are all trained on.
    Over the trials of all speakers each file is tested once."""

    kind: ClassVar[str] = "mixed_source"

    def tested_files(self, person: np.ndarray) -> np.ndarray:
        shuffled = np.random.default_rng(self.seed).permutation(person)
        return shuffled == self.held_out


class TargetTrial(HumpcatTrial):
    """A target corpus, and a network that was tuned on a share of its files, from the source's network or from random weights.

    share : of the target's files; 0 keeps the source's network as it is. by : speakers are drawn with all of their files, or files at random. tuning :
    of the target.
    """

    target: str
    target_hash: str
    target_features: FeatureSettings = FeatureSettings()
    target_languages: tuple[str, ...] = ()
    start: Start
    share: float
    by: Literal["speaker", "file"] = "speaker"
    tuning: TrainSettings

    def of_target(self) -> tuple[Manifest, Streams, Share]:
        """The target with its streams, and which of its files are tuned on."""
        corpus, found = self.loaded(self.target, self.target_hash, self.target_features, self.target_languages)
        return corpus, found, splits.share_of(corpus, self.share, self.seed, self.by)

    def tuned(self, corpus: Manifest, found: Streams, part: Share) -> Trained:
        """The network, whose attention was measured on some of the files to test while it was tuned."""
        start = self.source_weights() if self.start == "source" else None
        tuning = self.tuning if len(part.tune) else replace(self.tuning, epochs=0)  # there is nothing to learn from
        labels = corpus.labels(list(CLASSES))
        return humpcat.learn(found, labels, part.tune, self.network, tuning, self.seed, start, few(part.rest))


class TransferTrial(TargetTrial):
    """Answers for the rest of the target (`splits.share_of`); `fixed` marks the files that are tested at every share."""

    kind: ClassVar[str] = "transfer"

    def run(self) -> Result:
        corpus, found, part = self.of_target()
        trained = self.tuned(corpus, found, part)
        labels = corpus.labels(list(CLASSES))
        predicted = humpcat.predict(trained.network, found, part.rest).argmax(axis=1)
        fixed = np.isin(part.rest, part.fixed)
        facts: dict[str, Any] = tested(labels[part.rest], predicted) | {"tuned": len(part.tune)}
        facts |= {f"fixed_{k}": v for k, v in tested(labels[part.fixed], predicted[fixed]).items() if not isinstance(v, dict)}
        present = labels[np.concatenate([part.tune, part.rest])]
        facts["missing"] = [c for i, c in enumerate(CLASSES) if i in present and i not in labels[part.tune]]
        facts["speakers"] = int(splits.speakers_merged(corpus).iloc[part.tune].nunique())
        facts |= training_facts(trained)
        return Result(facts, answers(corpus, part.rest, predicted).assign(fixed=fixed))


class AttentionTrial(TargetTrial):
    """Where a tuned network looks in one file: the first, by name, of an emotion among those that are tested at every share.

    Arrays: `weights` (directions, steps), the attention that each step receives, mean over heads and over the steps that look, times the
    number of steps, so 1 is uniform; `mel` (frames, bands) in dB; `contours` (tens of ms, 3) as `prosody.contours` gives them.
    """

    kind: ClassVar[str] = "attention"
    emotion: str

    def run(self) -> Result:
        corpus, found, part = self.of_target()
        trained = self.tuned(corpus, found, part)
        table = corpus.table.iloc[part.fixed]
        of_emotion = table[table["emotion"] == self.emotion].sort_values("file")
        if of_emotion.empty:
            raise CorpusError(f"{self.target}: no file with the emotion {self.emotion} is tested at every share.")
        file = of_emotion.index[:1].to_numpy()
        predicted, weights = humpcat.attention(trained.network, found, int(file[0]))
        x = audio.load_mono(corpus.root / of_emotion["file"].iloc[0], SPEECH_RATE, self.target_features.channel)
        arrays = {
            "weights": np.stack(list(weights.values())),
            "mel": spectrogram.mel_db(x, SPEECH_RATE, DRAWN).numpy().astype(np.float16),
            "contours": prosody.contours(x, SPEECH_RATE, self.prosody.pitch),
        }
        facts = {"file": of_emotion["file"].iloc[0], "predicted": CLASSES[predicted], "directions": list(weights)}
        return Result(facts, arrays=arrays)


def few(files: np.ndarray) -> np.ndarray:
    """Files whose attention is watched, evenly spread over these."""
    return files[np.linspace(0, len(files) - 1, min(WATCHED, len(files))).round().astype(int)]


def tested(true: np.ndarray, predicted: np.ndarray) -> dict[str, Any]:
    """Accuracy, and over the classes that occur in `true` unweighted average recall and macro F1, in percent; and the share of wrong answers
    that are "neutral"."""
    occurring = np.unique(true)
    recall = recall_score(true, predicted, labels=occurring, average="macro", zero_division=0)
    neutral = CLASSES.index("neutral")
    wrong = predicted != true
    found = scores(true, predicted, list(CLASSES)) | {"uar": 100 * float(recall)}
    found["f1"] = 100 * float(f1_score(true, predicted, labels=occurring, average="macro", zero_division=0))
    found["neutral_of_wrong"] = 100 * float(np.mean(predicted[wrong] == neutral)) if wrong.any() else 0.0
    return found


def training_facts(trained: Trained) -> dict[str, Any]:
    """What a record keeps of a training: parameters, the loss of each epoch, and how even attention was before and after each."""
    return {
        "parameters": sum(p.numel() for p in trained.network.parameters()),
        "losses": [round(e.loss, 4) for e in trained.epochs],
        "entropies": {name: [round(x, 5) for x in values] for name, values in trained.entropies.items()},
    }


def answers(corpus: Manifest, files: np.ndarray, predicted: np.ndarray) -> pd.DataFrame:
    """One row per tested file."""
    table = corpus.table.loc[files, ["file", "speaker", "emotion"]].reset_index(drop=True)
    return table.assign(predicted=np.array(CLASSES)[predicted])
