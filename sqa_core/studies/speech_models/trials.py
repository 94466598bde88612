"""The trials of the chapter on speech models: which head, on which encoder's features of which corpus, trained and tested on which split."""

import json
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from itertools import permutations
from typing import Any, ClassVar, Literal

import numpy as np
import pandas as pd
from pydantic import Field

from ... import audio, metrics, spectrogram
from ...audio import ChannelName
from ...corpora import cards, noisy_copies, shared_audio, splits
from ...corpora.emotion import reader
from ...corpora.splits import PROTOCOLS, Protocol
from ...errors import CorpusError
from ...learning import ast_from_scratch, feature_bank, probes, probes_vmap
from ...learning.ast_from_scratch import BaselineSettings
from ...learning.feature_bank import FeatureSettings
from ...learning.folds import Fold
from ...learning.probes import FrameLoader, ProbeSettings
from ...models import encoders
from ...results.trials import Result, Trial, added_later
from ..emotion import EncoderTrial, bank_with_progress, fold_of, head_facts, load_corpus, require_hash, result_of_folds


class ProbeTrial(EncoderTrial):
    """One head, one seed, every fold of a split: macro F1 in percent over all test files. One row per test file.

    split_seed : which of the splits by one protocol; those other than 0 show how much the draw of the split matters.
    """

    kind: ClassVar[str] = "probe"
    protocol: Protocol
    split_hash: str
    split_seed: int = Field(0, json_schema_extra=added_later(0))
    settings: ProbeSettings

    def run(self) -> Result:
        return self.run_together([self])[0]

    @property
    def cell(self) -> str:
        return json.dumps(self.canonical | {"seed": None}, sort_keys=True)

    @classmethod
    def run_together(cls, trials: Sequence["ProbeTrial"]) -> list[Result]:
        """Trials that differ by their seeds alone; several of them train in one pass."""
        first = trials[0]
        corpus, bank = first.load()
        split = splits.of(corpus, first.protocol, first.split_hash, first.split_seed)
        folds: list[list[dict[str, Any]]] = [[] for _ in trials]
        for number in split.folds:
            fold, test = fold_of(corpus, split, number)
            if len(trials) > 1:
                fitted = probes_vmap.learn(bank, fold, first.settings, [t.seed for t in trials])
            else:
                fitted = [probes.learn(bank, fold, first.settings, first.seed)]
            for one, of_trial in zip(fitted, folds, strict=True):
                predicted = probes.predict(one.head, one.loader, test).argmax(dim=1).numpy()
                of_trial.append({"fold": number, "files": test, "predicted": predicted} | head_facts(one))
        return [result_of_folds(corpus, of_trial) for of_trial in folds]


class CardTrial(Trial):
    """A corpus card: what the corpus holds and what is wrong with it. One row per part, fold and protocol of its splits.

    search : for shared audio. The first one, "overlap", had no control and found too much.
    """

    kind: ClassVar[str] = "card"
    corpus: str
    corpus_hash: str
    search: Literal["controlled"] = Field("controlled", json_schema_extra=added_later("overlap"))

    def run(self) -> Result:
        corpus = load_corpus(self.corpus, self.corpus_hash)
        shared = shared_audio.search(corpus)
        achieved = [splits.facts(splits.of(corpus, p), corpus, shared.pairs).assign(protocol=p) for p in PROTOCOLS]
        facts = [list(fact) for fact in cards.facts(corpus, shared).items()]  # a list, since a record sorts its names
        return Result({"facts": facts}, pd.concat(achieved, ignore_index=True))


class BaselineTrial(Trial):
    """AST from scratch on one corpus, one seed, one fold: macro F1 in percent over the test files. One row per test file."""

    kind: ClassVar[str] = "baseline"
    corpus: str
    corpus_hash: str
    channel: ChannelName = "mean"
    languages: tuple[str, ...] = ()
    protocol: Literal["speaker", "stratified", "own"]
    split_hash: str
    settings: BaselineSettings

    def run(self) -> Result:
        corpus = load_corpus(self.corpus, self.corpus_hash)
        if self.languages:
            corpus = corpus.where(language=self.languages)
        with ThreadPoolExecutor() as readers:
            waveforms = list(readers.map(lambda path: audio.load_mono(path, encoders.RATE, self.channel), corpus.paths()))
        bands = spectrogram.ast_filter_bank(waveforms, self.settings.frames)
        fold, test = fold_of(corpus, splits.of(corpus, self.protocol, self.split_hash), 0)
        fitted = ast_from_scratch.learn(bands, fold, self.settings, self.seed)
        predicted = ast_from_scratch.predict(fitted, bands, test).argmax(dim=1).numpy()
        facts = {"fold": 0, "files": test, "predicted": predicted, "best_epoch": fitted.best_epoch}
        facts |= {"valid_f1": fitted.valid_f1[fitted.best_epoch], "parameters": sum(p.numel() for p in fitted.network.parameters())}
        return result_of_folds(corpus, [facts])


class LayersTrial(EncoderTrial):
    """A Linear head on each layer by itself, one seed. One row per layer."""

    kind: ClassVar[str] = "layers"
    protocol: Protocol
    split_hash: str

    def run(self) -> Result:
        layers = self.load()[1].layers
        fields = {name: getattr(self, name) for name in type(self).model_fields}  # and not what is cached beside them
        rows = []
        for layer in range(1, layers + 1):
            result = ProbeTrial(**fields, settings=ProbeSettings("linear", layer=layer)).run()
            rows.append({"layer": layer, "f1": result.metrics["f1"], "valid_f1": result.metrics["valid_f1"]})
        items = pd.DataFrame(rows)
        chosen = items.loc[items["valid_f1"].idxmax()]  # on the validation files
        return Result({"chosen_layer": int(chosen["layer"]), "f1_of_chosen": float(chosen["f1"])}, items)


class AugmentedTrial(EncoderTrial):
    """A Linear head trained on noisy copies: each time a training file is used, one of several copies takes its place. Validation and
    test files stay as they are; one seed, one fold. One row per test file."""

    kind: ClassVar[str] = "augmented"
    protocol: Literal["speaker", "stratified", "own"]
    split_hash: str
    copies: int = 5
    settings: ProbeSettings = ProbeSettings("linear")

    def run(self) -> Result:
        corpus = self.files()
        copies = noisy_copies.noisy_copies(corpus, self.copies, self.features.channel)
        bank = feature_bank.bank(copies, self.encoder, replace(self.features, channel="mean"))  # the copies are mono
        fold, test = fold_of(corpus, splits.of(corpus, self.protocol, self.split_hash), 0)
        rng = np.random.default_rng([self.seed, 1])  # which copy is used, independent of the order of files

        def draw(files: np.ndarray) -> np.ndarray:
            return files + len(corpus.table) * rng.integers(1, self.copies + 1, size=len(files))

        fitted = probes.learn(bank, fold, self.settings, self.seed, draw)
        predicted = probes.predict(fitted.head, fitted.loader, test).argmax(dim=1).numpy()
        return result_of_folds(corpus, [{"fold": 0, "files": test, "predicted": predicted} | head_facts(fitted)])


class SpeakerAssignmentTrial(EncoderTrial):
    """All (test, validation) pairs of speakers, the others in training: a Linear head for each pair, one seed. One row per pair.

    fewer : also without each speaker in turn, for a corpus that once had one speaker fewer and does not say which.
    """

    kind: ClassVar[str] = "ways"
    fewer: bool = False
    settings: ProbeSettings = ProbeSettings("linear")

    def run(self) -> Result:
        corpus, bank = self.load()
        classes = corpus.classes()
        labels, speaker_of = corpus.labels(classes), splits.speakers_merged(corpus).to_numpy()
        speakers = sorted(set(speaker_of))
        rows = []
        for absent in ("", *speakers) if self.fewer else ("",):
            for tested, validating in permutations([s for s in speakers if s != absent], 2):
                test, valid = np.flatnonzero(speaker_of == tested), np.flatnonzero(speaker_of == validating)
                train = np.flatnonzero(~np.isin(speaker_of, [absent, tested, validating]))
                fitted = probes.learn(bank, Fold(labels, len(classes), train, valid), self.settings, self.seed)
                predicted = probes.predict(fitted.head, fitted.loader, test).argmax(dim=1).numpy()
                pair = {"absent": absent, "tested": tested, "chooses": validating, "files": len(test)}
                rows.append(pair | {"f1": metrics.macro_f1(labels[test], predicted)})
        items = pd.DataFrame(rows)
        return Result({"ways": len(items), "lowest_f1": float(items["f1"].min()), "highest_f1": float(items["f1"].max())}, items)


class AcrossTrial(EncoderTrial):
    """Cross-corpus: a Linear head trained on one corpus and tested on another, over the emotions that both have. One row per test file."""

    kind: ClassVar[str] = "across"
    target: str
    target_hash: str
    target_features: FeatureSettings = FeatureSettings()
    split_hash: str
    settings: ProbeSettings = ProbeSettings("linear", standardise=True)

    def run(self) -> Result:
        corpus, bank = self.load()
        target = load_corpus(self.target, self.target_hash)
        target_bank = bank_with_progress(target, self.encoder, self.target_features)
        classes = sorted(set(corpus.classes()) & set(target.classes()))
        labels, true = corpus.labels(classes), target.labels(classes)
        test = np.flatnonzero(true >= 0)
        parts = splits.of(corpus, "speaker", self.split_hash).parts(0, corpus.table["file"].tolist())
        # Nothing of this corpus is tested, so its test part trains too.
        train, valid = (np.array([i for i in files if labels[i] >= 0]) for files in ([*parts["train"], *parts["test"]], parts["valid"]))
        fitted = probes.learn(bank, Fold(labels, len(classes), train, valid), self.settings, self.seed)
        # Each corpus is standardised by its own mean and spread: rooms and microphones differ more than emotions do.
        loader = FrameLoader(target_bank, self.settings, test.tolist(), fitted.loader.device)
        predicted = probes.predict(fitted.head, loader, test).argmax(dim=1).numpy()
        table = target.table.iloc[test][["file", "speaker", "emotion"]].reset_index(drop=True)
        found = metrics.scores(true[test], predicted, classes) | {"classes": classes}
        return Result(found, table.assign(predicted=np.array(classes)[predicted]))


class ChannelsTrial(EncoderTrial):
    """EMOVO's two microphones: a Linear head trained on the left channel is tested on the left, right and mean channel of the few files
    that are on this machine as recorded. One row per file and channel.

    No speaker of those files takes part in training. `cosine` is the similarity of the file's mean features to those of its left channel.
    """

    kind: ClassVar[str] = "channels"
    sample_hash: str
    settings: ProbeSettings = ProbeSettings("linear")

    def run(self) -> Result:
        corpus, bank = self.load()
        sample = reader.stereo_sample()
        require_hash(sample.name, sample.hash, self.sample_hash)
        classes = corpus.classes()
        others = ~corpus.table["speaker"].isin(sample.table["speaker"]).to_numpy()
        if not others.any():
            raise CorpusError(f"{sample.name} holds every speaker of {self.corpus}; leave two of them out, to train on.")
        validating = (corpus.table["speaker"] == corpus.table["speaker"][others].max()).to_numpy()
        train, valid = np.flatnonzero(others & ~validating), np.flatnonzero(validating)
        fitted = probes.learn(bank, Fold(corpus.labels(classes), len(classes), train, valid), self.settings, self.seed)
        rows, left = [], None
        for channel in ("left", "right", "mean"):
            of_channel = feature_bank.bank(sample, self.encoder, replace(self.features, channel=channel))
            loader = FrameLoader(of_channel, self.settings, train.tolist(), fitted.loader.device)
            predicted = probes.predict(fitted.head, loader, np.arange(len(sample.table))).argmax(dim=1).numpy()
            vectors = np.array(of_channel.means[:, -1])
            left = vectors if left is None else left
            cosine = (vectors * left).sum(axis=1) / np.linalg.norm(vectors, axis=1) / np.linalg.norm(left, axis=1)
            table = sample.table[["file", "speaker", "emotion"]]
            rows.append(table.assign(channel=channel, predicted=np.array(classes)[predicted], cosine=cosine))
        items = pd.concat(rows, ignore_index=True)
        correct = (items["emotion"] == items["predicted"]).groupby(items["channel"]).mean()
        return Result({"files": len(sample.table)} | {f"accuracy_{c}": 100 * float(a) for c, a in correct.items()}, items)
