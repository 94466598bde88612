"""The trials of the chapter on language barriers: a network trained on English calls, or a fixed one, tested on calls in other languages."""

from typing import Any, ClassVar

import numpy as np
import pandas as pd
from tqdm.auto import tqdm

from ... import audio, environment, metrics, scoring
from ...corpora import calls, registry
from ...learning import quality
from ...learning.quality import Part, QualitySettings
from ...models import weights
from ...results.trials import Result, Trial
from ..emotion import require_hash


class TestedTrial(Trial):
    """What both kinds are tested on. listeners : also on P.835's files. One row a file: what it is, its labels, and the scores."""

    tests: tuple[Part, ...]
    listeners: bool = False
    corpus_hashes: tuple[tuple[str, str], ...] = ()

    def check(self) -> None:
        """The corpora are those of the plan."""
        for name, planned in self.corpus_hashes:
            require_hash(name, registry.load(name).hash, planned)

    def rows(self, material: quality.Material, predicted: np.ndarray, outputs: tuple[str, ...]) -> pd.DataFrame:
        """Labels as `mos`, `noi`…, scores as `predicted mos`…"""
        table = material.table.drop(columns=["recipe"])
        kinds = material.table["recipe"].map(calls.kinds_of)
        status = np.where(table["source"] == "polyglot", "synthetic", "real")
        scores = {f"predicted {output}": predicted[:, i] for i, output in enumerate(outputs)}
        return table.assign(kinds=kinds, status=status, **scores)


class QualityTrial(TestedTrial):
    """One network, trained with one seed. `settings` has how; the training state is kept in the cache, so a killed trial goes on."""

    kind: ClassVar[str] = "quality"
    train: tuple[Part, ...]
    valid: tuple[Part, ...]
    settings: QualitySettings

    def run(self) -> Result:
        self.check()
        total = sum(part.count for part in (*self.train, *self.valid, *self.tests))
        with tqdm(total=total, desc="calls", unit="call", leave=False) as bar:
            train, valid, tests = (quality.joined(parts, lambda: bar.update()) for parts in (self.train, self.valid, self.tests))
        folder = environment.cache_folder() / "training" / f"{self.study}-{self.key}"
        with tqdm(total=self.settings.epochs, desc=self.settings.network, unit="epoch", leave=False) as bar:
            network, epochs = quality.learn(train, valid, self.settings, self.seed, folder, lambda _: bar.update())
        outputs = self.settings.outputs
        kind = quality.front_end(self.settings.network)
        items = self.rows(tests, quality.predict(network, tests.mels[kind]), outputs)
        if self.listeners:
            items = pd.concat([items, self._listeners(network)], ignore_index=True)
        best = max(epochs, key=lambda e: e.score)
        facts: dict[str, Any] = {
            "parameters": sum(p.numel() for p in network.parameters()),
            "epochs": len(epochs),
            "best_epoch": best.number,
            "valid_rmse": best.validation_loss,
            "train_calls": len(train.labels),
            "training_loss": [e.loss for e in epochs],
            "validation_rmse": [e.validation_loss for e in epochs],
        }
        return Result(facts | pcc_by_language(items), items)

    def _listeners(self, network) -> pd.DataFrame:
        corpus = registry.load("p835")
        mels = [quality.mel_of(self.settings.network, audio.load(path)) for path in corpus.paths()]
        predicted = quality.predict(network, mels)
        return _p835_rows(corpus.table, {output: predicted[:, i] for i, output in enumerate(self.settings.outputs)})


class FixedNetworkTrial(TestedTrial):
    """A network that was trained elsewhere, on the same files."""

    kind: ClassVar[str] = "fixed"
    network: str
    weights_hash: str

    def run(self) -> Result:
        self.check()
        tests = quality.joined(self.tests)
        network = weights.load(self.network)
        predicted = scoring.score_mels(scoring.folded(network), tests.mels["nisqa"])
        items = self.rows(tests, predicted, network.settings.outputs)
        if self.listeners:
            corpus = registry.load("p835")
            scores = scoring.score(corpus.paths(), network)
            rows = _p835_rows(corpus.table, {output: scores[output].to_numpy(float) for output in network.settings.outputs})
            items = pd.concat([items, rows], ignore_index=True)
        return Result(pcc_by_language(items), items)


def _p835_rows(table: pd.DataFrame, scores: dict[str, np.ndarray]) -> pd.DataFrame:
    """P.835's files as rows: `mos` is the listeners' overall score, `noi` their background; the other dimensions were not asked."""
    rows = table[["set", "condition", "talker"]].rename(columns={"talker": "voice"})
    rows = rows.assign(source="p835", language="en", status="listeners", mos=table["mos_ovrl"], noi=table["mos_bak"])
    return rows.assign(**{f"predicted {output}": values for output, values in scores.items()})


def pcc_by_language(items: pd.DataFrame) -> dict[str, float]:
    """PCC of MOS by status and language, before any mapping: what is seen at once in a record."""
    found = {}
    for (status, language), rows in items.groupby(["status", "language"]):
        if "predicted mos" in rows and len(rows) > 2:
            found[f"pcc_mos_{status}_{language}"] = metrics.pcc(rows["predicted mos"].to_numpy(float), rows["mos"].to_numpy(float))
    return found
