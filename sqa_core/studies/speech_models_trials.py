"""The trials of the chapter on speech models: which head, on which encoder's features of which corpus, learnt and tested on which split."""

import json
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from itertools import permutations
from typing import Any, ClassVar, Literal, get_args

import numpy as np
import pandas as pd

from .. import augmentation, baseline, batched, features, metrics, probing, trials
from ..baseline import BaselineSettings
from ..corpora import cards, emotion_files, registry, splits
from ..corpora.manifest import Manifest
from ..corpora.splits import Protocol, Split
from ..errors import CorpusError, SqaError, WeightsError
from ..features import Bank, FeatureSettings
from ..models import ast, encoders
from ..models.probes import WeightedLayers
from ..probing import ProbeSettings
from ..trials import Result, Trial


class EncoderTrial(Trial):
    """A trial on one encoder's features of one corpus."""

    corpus: str
    corpus_hash: str
    encoder: str
    weights_hash: str
    features: FeatureSettings = FeatureSettings()
    languages: tuple[str, ...] = ()  # of a corpus that has several; all, if none is named

    def files(self) -> Manifest:
        """The corpus that was planned on, once the weights are known to be those, too."""
        expect(f"the weights of {self.encoder}", encoders.weights_hash(self.encoder), self.weights_hash, WeightsError)
        corpus = load_corpus(self.corpus, self.corpus_hash)
        return corpus.where(language=self.languages) if self.languages else corpus

    def load(self) -> tuple[Manifest, Bank]:
        corpus = self.files()
        seconds = float(corpus.table["seconds"].sum())
        shape = "{desc}: {percentage:3.0f} %|{bar}| {n:.0f}/{total:.0f} s of sound, {rate_noinv_fmt}"
        told = f"{self.encoder} hears {self.corpus}"
        with trials.bar(total=seconds, unit=" s", desc=told, delay=2, bar_format=shape) as bar:
            return corpus, features.bank(
                corpus,
                self.encoder,
                self.features,
                on_start=lambda size: bar.set_description(f"{told} ({size / 1e9:.1f} GB)", refresh=False),
                on_audio=lambda s: bar.update(min(s, seconds - bar.n)) and None,
            )


def load_corpus(name: str, corpus_hash: str) -> Manifest:
    corpus = registry.load(name)
    expect(name, corpus.hash, corpus_hash)
    return corpus


def expect(what: str, here: str, named: str, error: type[SqaError] = CorpusError) -> None:
    """That a trial meets the data that it was planned on."""
    if here != named:
        raise error(f"{what}: what is here ({here}) is not what the trial names ({named}).")


def the_split(corpus: Manifest, protocol: Protocol, split_hash: str) -> Split:
    split = splits.make(corpus, protocol)
    expect(f"the split {split.name}", split.hash, split_hash)
    return split


def classes_of(corpus: Manifest) -> list[str]:
    return sorted(corpus.table["emotion"].unique())


def labels_of(corpus: Manifest, classes: list[str]) -> np.ndarray:
    """Class of each file, from 0; -1 where it is none of these."""
    return corpus.table["emotion"].map({name: i for i, name in enumerate(classes)}).fillna(-1).to_numpy(np.int64)


class ProbeTrial(EncoderTrial):
    """One head, one seed, every fold of a split: macro F1 in percent over all files that are tested. One row a tested file."""

    kind: ClassVar[str] = "probe"
    protocol: Protocol
    split_hash: str
    settings: ProbeSettings

    def run(self) -> Result:
        return self.run_together([self])[0]

    @property
    def cell(self) -> str:
        return json.dumps(self.canonical | {"seed": None}, sort_keys=True)

    @classmethod
    def run_together(cls, trials: Sequence["ProbeTrial"]) -> list[Result]:
        """Trials that differ by their seeds alone, on batched parameters where there are several."""
        first = trials[0]
        corpus, bank = first.load()
        split = the_split(corpus, first.protocol, first.split_hash)
        classes = classes_of(corpus)
        labels = labels_of(corpus, classes)
        folds: list[list[dict[str, Any]]] = [[] for _ in trials]
        for fold in split.folds:
            parts = split.parts(fold, corpus.table["file"].tolist())
            known = (bank, labels, len(classes), parts["train"], parts["valid"], first.settings)
            heads = batched.learn(*known, [t.seed for t in trials]) if len(trials) > 1 else [probing.learn(*known, first.seed)]
            for learnt, of_trial in zip(heads, folds, strict=True):
                predicted = probing.predict(learnt.head, learnt.features, parts["test"]).argmax(dim=1).numpy()
                of_trial.append({"fold": fold, "files": parts["test"], "predicted": predicted} | facts_of(learnt))
        return [tested(corpus, labels, classes, of_trial) for of_trial in folds]


def facts_of(learnt: probing.Learnt) -> dict[str, Any]:
    """What a record keeps of a head."""
    mix = learnt.head.layer_weights.detach().cpu().numpy() if isinstance(learnt.head, WeightedLayers) else None
    return {
        "best_epoch": learnt.best_epoch,
        "valid_f1": learnt.valid_f1[learnt.best_epoch],
        "parameters": sum(p.numel() for p in learnt.head.parameters()),
        "layer_weights": mix,
    }


def tested(corpus: Manifest, labels: np.ndarray, classes: list[str], folds: list[dict[str, Any]]) -> Result:
    """Scores over the tested files of all folds; layer weights are their mean."""
    files, predicted = (np.concatenate([f[name] for f in folds]) for name in ("files", "predicted"))
    found = scores(labels[files], predicted, classes)
    found |= {"best_epoch": [f["best_epoch"] for f in folds], "valid_f1": float(np.mean([f["valid_f1"] for f in folds]))}
    found["parameters"] = folds[-1]["parameters"]
    if folds[0].get("layer_weights") is not None:
        found["layer_weights"] = np.mean([f["layer_weights"] for f in folds], axis=0).round(6).tolist()
    table = corpus.table.loc[files, ["file", "speaker", "emotion"]].reset_index(drop=True)
    fold = np.repeat([f["fold"] for f in folds], [len(f["files"]) for f in folds])
    return Result(found, table.assign(predicted=np.array(classes)[predicted], fold=fold))


def scores(true: np.ndarray, predicted: np.ndarray, classes: list[str]) -> dict[str, Any]:
    """Macro F1, accuracy and F1 of each class in percent, beside the F1 of a constant answer and how many files were tested."""
    from sklearn.metrics import f1_score

    each = f1_score(true, predicted, labels=range(len(classes)), average=None, zero_division=0)
    return {
        "f1": metrics.macro_f1(true, predicted),
        "constant_f1": metrics.constant_f1(true),
        "accuracy": 100 * float(np.mean(true == predicted)),
        "tested": len(true),
        "class_f1": {name: 100 * float(f) for name, f in zip(classes, each, strict=True)},
    }


class CardTrial(Trial):
    """A corpus card: what the corpus holds and what is wrong with it, found by code. One row a part, fold and protocol of its splits."""

    kind: ClassVar[str] = "card"
    corpus: str
    corpus_hash: str

    def run(self) -> Result:
        corpus = load_corpus(self.corpus, self.corpus_hash)
        shared = cards.shared_audio(corpus)
        reached = [splits.facts(splits.make(corpus, p), corpus, shared).assign(protocol=p) for p in get_args(Protocol)]
        facts = [list(fact) for fact in cards.facts(corpus, shared).items()]  # a list, since a record's own order is that of the alphabet
        return Result({"facts": facts}, pd.concat(reached, ignore_index=True))


class BaselineTrial(Trial):
    """AST from scratch on one corpus, one seed, one fold: macro F1 in percent over the files that are tested. One row a tested file."""

    kind: ClassVar[str] = "baseline"
    corpus: str
    corpus_hash: str
    channel: Literal["mean", "left", "right"] = "mean"
    languages: tuple[str, ...] = ()
    protocol: Literal["speaker", "stratified"]
    split_hash: str
    settings: BaselineSettings

    def run(self) -> Result:
        corpus = load_corpus(self.corpus, self.corpus_hash)
        if self.languages:
            corpus = corpus.where(language=self.languages)
        classes = classes_of(corpus)
        labels = labels_of(corpus, classes)
        with ThreadPoolExecutor() as readers:
            waveforms = list(readers.map(lambda path: features.waveform_of(path, self.channel), corpus.paths()))
        bands = ast.log_mel(waveforms, self.settings.frames)
        parts = the_split(corpus, self.protocol, self.split_hash).parts(0, corpus.table["file"].tolist())
        trained = baseline.learn(bands, labels, len(classes), parts["train"], parts["valid"], self.settings, self.seed)
        predicted = baseline.predict(trained, bands, parts["test"]).argmax(dim=1).numpy()
        fold = {"fold": 0, "files": parts["test"], "predicted": predicted, "best_epoch": trained.best_epoch}
        fold |= {"valid_f1": trained.valid_f1[trained.best_epoch], "parameters": sum(p.numel() for p in trained.network.parameters())}
        return tested(corpus, labels, classes, [fold])


class LayersTrial(EncoderTrial):
    """A Linear head on each layer apart, one seed: what each layer is worth. One row a layer."""

    kind: ClassVar[str] = "layers"
    protocol: Protocol
    split_hash: str

    def run(self) -> Result:
        found = self.load()[1]
        common = {k: v for k, v in self.model_dump().items() if k not in ("features",)} | {"features": self.features}
        rows = []
        for layer in range(1, found.layers + 1):
            result = ProbeTrial(**common, settings=ProbeSettings("linear", layer=layer)).run()
            rows.append({"layer": layer, "f1": result.metrics["f1"], "valid_f1": result.metrics["valid_f1"]})
        items = pd.DataFrame(rows)
        chosen = items.loc[items["valid_f1"].idxmax()]  # by files that do not test
        return Result({"chosen_layer": int(chosen["layer"]), "f1_of_chosen": float(chosen["f1"])}, items)


class AugmentedTrial(EncoderTrial):
    """A Linear head that hears, each time it learns from a file, one of several noisy copies of it, and chooses and is tested on files as
    they are; one seed, one fold. One row a tested file."""

    kind: ClassVar[str] = "augmented"
    protocol: Literal["speaker", "stratified"]
    split_hash: str
    copies: int = 5
    settings: ProbeSettings = ProbeSettings("linear")

    def run(self) -> Result:
        corpus = self.files()
        copies = augmentation.noisy_copies(corpus, self.copies, self.features.channel)
        bank = features.bank(copies, self.encoder, replace(self.features, channel="mean"))  # the copies have one channel
        classes, files = classes_of(corpus), len(corpus.table)
        labels = labels_of(corpus, classes)
        parts = the_split(corpus, self.protocol, self.split_hash).parts(0, corpus.table["file"].tolist())
        rng = np.random.default_rng([self.seed, 1])  # which copy is heard, apart from the order of files

        def draw(chosen: np.ndarray) -> np.ndarray:
            return chosen + files * rng.integers(1, self.copies + 1, size=len(chosen))

        learnt = probing.learn(bank, labels, len(classes), parts["train"], parts["valid"], self.settings, self.seed, draw)
        predicted = probing.predict(learnt.head, learnt.features, parts["test"]).argmax(dim=1).numpy()
        return tested(corpus, labels, classes, [{"fold": 0, "files": parts["test"], "predicted": predicted} | facts_of(learnt)])


class WaysTrial(EncoderTrial):
    """Every way to keep speakers apart with one to test on, one to choose by and the others to learn: a Linear head for each, one seed.
    One row a way.

    fewer : also without each speaker in turn, for a corpus that once had one speaker fewer, where nobody says which.
    """

    kind: ClassVar[str] = "ways"
    fewer: bool = False
    settings: ProbeSettings = ProbeSettings("linear")

    def run(self) -> Result:
        corpus, bank = self.load()
        classes = classes_of(corpus)
        labels, who = labels_of(corpus, classes), splits.talkers(corpus).to_numpy()
        speakers = sorted(set(who))
        rows = []
        for absent in ("", *speakers) if self.fewer else ("",):
            for tested_, choosing in permutations([s for s in speakers if s != absent], 2):
                test, choose = np.flatnonzero(who == tested_), np.flatnonzero(who == choosing)
                learn = np.flatnonzero(~np.isin(who, [absent, tested_, choosing]))
                learnt = probing.learn(bank, labels, len(classes), learn, choose, self.settings, self.seed)
                predicted = probing.predict(learnt.head, learnt.features, test).argmax(dim=1).numpy()
                way = {"absent": absent, "tested": tested_, "chooses": choosing, "files": len(test)}
                rows.append(way | {"f1": metrics.macro_f1(labels[test], predicted)})
        items = pd.DataFrame(rows)
        return Result({"ways": len(items), "lowest_f1": float(items["f1"].min()), "highest_f1": float(items["f1"].max())}, items)


class AcrossTrial(EncoderTrial):
    """A Linear head learns one corpus and is tested on another, over the emotions that both have. One row a tested file."""

    kind: ClassVar[str] = "across"
    target: str
    target_hash: str
    target_features: FeatureSettings = FeatureSettings()
    split_hash: str
    settings: ProbeSettings = ProbeSettings("linear", standardise=True)

    def run(self) -> Result:
        corpus, bank = self.load()
        target = load_corpus(self.target, self.target_hash)
        heard = features.bank(target, self.encoder, self.target_features)
        classes = sorted(set(classes_of(corpus)) & set(classes_of(target)))
        labels, true = labels_of(corpus, classes), labels_of(target, classes)
        known, chosen = labels >= 0, np.flatnonzero(true >= 0)
        parts = the_split(corpus, "speaker", self.split_hash).parts(0, corpus.table["file"].tolist())
        learn = [np.array([i for i in [*parts["train"], *parts["test"]] if known[i]]), np.array([i for i in parts["valid"] if known[i]])]
        learnt = probing.learn(bank, labels, len(classes), learn[0], learn[1], self.settings, self.seed)
        # Each corpus by its own mean and spread: rooms and microphones differ more than emotions do.
        seen = probing.Features(heard, self.settings, chosen.tolist(), learnt.features.device)
        predicted = probing.predict(learnt.head, seen, chosen).argmax(dim=1).numpy()
        table = target.table.iloc[chosen][["file", "speaker", "emotion"]].reset_index(drop=True)
        return Result(scores(true[chosen], predicted, classes) | {"classes": classes}, table.assign(predicted=np.array(classes)[predicted]))


class ChannelsTrial(EncoderTrial):
    """EMOVO's two microphones: a Linear head that learnt the left channel hears the few files that are here as recorded, by left, right
    and mean. One row a file and channel.

    No speaker of those files takes part in learning. `cosine` is that of the file's mean features with those of its left channel.
    """

    kind: ClassVar[str] = "channels"
    sample_hash: str
    settings: ProbeSettings = ProbeSettings("linear")

    def run(self) -> Result:
        corpus, bank = self.load()
        sample = emotion_files.stereo_sample()
        expect(sample.name, sample.hash, self.sample_hash)
        classes = classes_of(corpus)
        labels = labels_of(corpus, classes)
        apart = ~corpus.table["speaker"].isin(sample.table["speaker"]).to_numpy()
        if not apart.any():
            raise CorpusError(f"{sample.name} holds every speaker of {self.corpus}; leave two of them out, to learn from.")
        choosing = (corpus.table["speaker"] == corpus.table["speaker"][apart].max()).to_numpy()
        learn, choose = np.flatnonzero(apart & ~choosing), np.flatnonzero(choosing)
        learnt = probing.learn(bank, labels, len(classes), learn, choose, self.settings, self.seed)
        rows, left = [], None
        for channel in ("left", "right", "mean"):
            heard = features.bank(sample, self.encoder, replace(self.features, channel=channel))
            every = np.arange(len(sample.table))
            predicted = probing.predict(
                learnt.head, probing.Features(heard, self.settings, learn.tolist(), learnt.features.device), every
            ).argmax(dim=1)
            vectors = np.array(heard.means[:, -1])
            left = vectors if left is None else left
            cosine = (vectors * left).sum(axis=1) / np.linalg.norm(vectors, axis=1) / np.linalg.norm(left, axis=1)
            table = sample.table[["file", "speaker", "emotion"]]
            rows.append(table.assign(channel=channel, predicted=np.array(classes)[predicted.numpy()], cosine=cosine))
        items = pd.concat(rows, ignore_index=True)
        right = (items["emotion"] == items["predicted"]).groupby(items["channel"]).mean()
        return Result({"files": len(sample.table)} | {f"accuracy_{c}": 100 * float(a) for c, a in right.items()}, items)
