"""What the chapters on emotion share: trials on an encoder's features of a corpus, folds, and what a record keeps of a fold."""

from typing import Any

import numpy as np

from ..corpora import registry
from ..corpora.emotion import catalogue
from ..corpora.manifest import Manifest
from ..corpora.splits import Split
from ..errors import CorpusError, SqaError, WeightsError
from ..learning import feature_bank
from ..learning.feature_bank import Bank, FeatureSettings
from ..learning.folds import Fold
from ..learning.probes import FittedProbe
from ..metrics import scores
from ..models import encoder_catalogue
from ..models.heads import WeightedLayers
from ..results import trials
from ..results.trials import Result, Trial


class EncoderTrial(Trial):
    """A trial on one encoder's features of one corpus. languages : of a corpus that has several; all if empty."""

    corpus: str
    corpus_hash: str
    encoder: str
    weights_hash: str
    features: FeatureSettings = FeatureSettings()
    languages: tuple[str, ...] = ()

    def files(self) -> Manifest:
        """The corpus that the trial was planned on, after checking its hash and that of the weights."""
        require_hash(f"the weights of {self.encoder}", encoder_catalogue.weights_hash(self.encoder), self.weights_hash, WeightsError)
        corpus = load_corpus(self.corpus, self.corpus_hash)
        return corpus.where(language=self.languages) if self.languages else corpus

    def load(self) -> tuple[Manifest, Bank]:
        """The corpus and its feature bank, which is computed if it is missing."""
        corpus = self.files()
        return corpus, bank_with_progress(corpus, self.encoder, self.features)


def bank_with_progress(corpus: Manifest, encoder: str, settings: FeatureSettings) -> Bank:
    """`feature_bank.bank` with a progress bar in seconds of audio."""
    seconds = float(corpus.table["seconds"].sum())
    shape = "{desc}: {percentage:3.0f} %|{bar}| {n:.0f}/{total:.0f} s of audio, {rate_noinv_fmt}"
    text = f"{corpus.name} through {encoder}"
    with trials.bar(total=seconds, unit=" s", desc=text, delay=2, bar_format=shape) as bar:

        def on_audio(done: float) -> None:
            bar.update(min(done, seconds - bar.n))

        return feature_bank.bank(
            corpus,
            encoder,
            settings,
            on_start=lambda size: bar.set_description(f"{text} ({size / 1e9:.1f} GB)", refresh=False),
            on_audio=on_audio,
        )


def usual_features(corpus: str) -> FeatureSettings:
    """The features that the chapters on emotion use of a corpus: the whole file, the channel that the catalogue names, 32 bits."""
    channel = catalogue.CORPORA[corpus].channel if corpus in catalogue.CORPORA else "mean"
    return FeatureSettings(whole_window=False, channel=channel, precision="fp32")


def load_corpus(name: str, corpus_hash: str) -> Manifest:
    """A corpus of this hash; raises CorpusError if the one on this machine differs."""
    corpus = registry.load(name)
    require_hash(name, corpus.hash, corpus_hash)
    return corpus


def require_hash(what: str, found: str, named: str, error: type[SqaError] = CorpusError) -> None:
    """Raise unless a trial meets the data that it was planned on."""
    if found != named:
        raise error(f"{what}: the version on this machine ({found}) is not the one that the trial names ({named}).")


def fold_of(corpus: Manifest, split: Split, number: int) -> tuple[Fold, np.ndarray]:
    """One fold of a split with the corpus's labels, and the indices of its test files."""
    parts = split.parts(number, corpus.table["file"].tolist())
    classes = corpus.classes()
    return Fold(corpus.labels(classes), len(classes), parts["train"], parts["valid"]), parts["test"]


def head_facts(fitted: FittedProbe) -> dict[str, Any]:
    """What a record keeps of a trained head."""
    layer_weights = fitted.head.layer_weights.detach().cpu().numpy() if isinstance(fitted.head, WeightedLayers) else None
    return {
        "best_epoch": fitted.best_epoch,
        "valid_f1": fitted.valid_f1[fitted.best_epoch],
        "parameters": sum(p.numel() for p in fitted.head.parameters()),
        "layer_weights": layer_weights,
    }


def result_of_folds(corpus: Manifest, folds: list[dict[str, Any]]) -> Result:
    """Scores over the test files of all folds; layer weights are the mean over folds. One row per test file.

    folds : for each its number `fold`, test `files`, `predicted` classes, and the `head_facts`.
    """
    classes = corpus.classes()
    files, predicted = (np.concatenate([f[name] for f in folds]) for name in ("files", "predicted"))
    found = scores(corpus.labels(classes)[files], predicted, classes)
    found |= {"best_epoch": [f["best_epoch"] for f in folds], "valid_f1": float(np.mean([f["valid_f1"] for f in folds]))}
    found["parameters"] = folds[-1]["parameters"]
    if folds[0].get("layer_weights") is not None:
        found["layer_weights"] = np.mean([f["layer_weights"] for f in folds], axis=0).round(6).tolist()
    table = corpus.table.loc[files, ["file", "speaker", "emotion"]].reset_index(drop=True)
    fold = np.repeat([f["fold"] for f in folds], [len(f["files"]) for f in folds])
    return Result(found, table.assign(predicted=np.array(classes)[predicted], fold=fold))
