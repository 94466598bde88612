"""Controls of the chapter on HuMP-CAT: targets whose emotions bear wrong names, and targets that are alike in size and classes."""

from dataclasses import replace
from typing import ClassVar

import numpy as np

from ...corpora import splits
from ...corpora.manifest import Manifest
from ...corpora.splits import Share
from ...errors import CorpusError
from ...learning.streams import Streams
from .trials import CLASSES, TransferTrial

COMMON = ("anger", "happiness", "sadness")  # classes that every target has


class TurnedTrial(TransferTrial):
    """A target whose emotions are acted like others of the source: of the first `turned` classes each is called by the name of the next, the
    last by that of the first. 0 changes nothing; with 2 or more, what the source teaches of these classes is wrong."""

    kind: ClassVar[str] = "turned"
    turned: int

    def of_target(self) -> tuple[Manifest, Streams, Share]:
        corpus, found, part = super().of_target()
        classes = CLASSES[: self.turned]
        names = dict(zip(classes, classes[1:] + classes[:1], strict=True))
        return replace(corpus, table=corpus.table.assign(emotion=corpus.table["emotion"].replace(names))), found, part


class EqualTrial(TransferTrial):
    """A target cut to `each` files, drawn at random, of every class that all targets have, so that targets differ in neither size nor
    classes. They still differ in speakers."""

    kind: ClassVar[str] = "equal"
    each: int

    def of_target(self) -> tuple[Manifest, Streams, Share]:
        corpus, found, _ = super().of_target()
        rng, kept = np.random.default_rng(self.seed), []
        for emotion in COMMON:
            files = np.flatnonzero(corpus.table["emotion"] == emotion)
            if len(files) < self.each:
                raise CorpusError(f"{self.target}: {len(files)} files of {emotion}, {self.each} are wanted.")
            kept.append(rng.choice(files, self.each, replace=False))
        chosen = np.sort(np.concatenate(kept))
        part = splits.share_of(replace(corpus, table=corpus.table.iloc[chosen].reset_index(drop=True)), self.share, self.seed, self.by)
        return corpus, found, Share(chosen[part.tune], chosen[part.rest], chosen[part.fixed])
