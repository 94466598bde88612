"""Controls of the chapter on HuMP-CAT: labels that no longer match, and targets that are alike in size and classes."""

from dataclasses import replace
from typing import ClassVar

import numpy as np

from ...corpora import splits
from ...corpora.manifest import Manifest
from ...corpora.splits import Share
from ...errors import CorpusError
from ...learning.streams import Streams
from .trials import CLASSES, TransferTrial

COMMON = ("anger", "happiness", "sadness")  # classes that size-matched targets have


class PermutedTrial(TransferTrial):
    """A target whose emotion labels are permuted: of the first `permuted` classes each is called by the name of the next, the last by that of
    the first. 0 changes nothing; with 2 or more, the source's labels no longer match."""

    kind: ClassVar[str] = "permuted"
    permuted: int

    def of_target(self) -> tuple[Manifest, Streams, Share]:
        corpus, found, part = super().of_target()
        classes = CLASSES[: self.permuted]
        names = dict(zip(classes, classes[1:] + classes[:1], strict=True))
        return replace(corpus, table=corpus.table.assign(emotion=corpus.table["emotion"].replace(names))), found, part


class ShuffledTrial(TransferTrial):
    """A source whose labels are shuffled over its files: the network learns from its speech, and nothing of its emotions."""

    kind: ClassVar[str] = "shuffled"

    def source_labels(self, corpus: Manifest) -> np.ndarray:
        return np.random.default_rng(self.seed).permutation(super().source_labels(corpus))


class SizeMatchedTrial(TransferTrial):
    """A target cut to `each` files, drawn at random, of each class in `COMMON`, so that targets differ in neither size nor classes. They still
    differ in speakers."""

    kind: ClassVar[str] = "size_matched"
    each: int

    def of_target(self) -> tuple[Manifest, Streams, Share]:
        corpus, found = self.loaded(self.target, self.target_hash, self.target_features, self.target_languages)
        rng, kept = np.random.default_rng(self.seed), []
        for emotion in COMMON:
            files = np.flatnonzero(corpus.table["emotion"] == emotion)
            if len(files) < self.each:
                raise CorpusError(f"{self.target}: {len(files)} files of {emotion}, {self.each} are wanted.")
            kept.append(rng.choice(files, self.each, replace=False))
        chosen = np.sort(np.concatenate(kept))
        part = splits.share_of(replace(corpus, table=corpus.table.iloc[chosen].reset_index(drop=True)), self.share, self.seed, self.by)
        return corpus, found, Share(chosen[part.tune], chosen[part.rest], chosen[part.fixed])
