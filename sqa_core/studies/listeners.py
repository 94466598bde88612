"""Trials against listeners, used by several chapters: networks and intrusive measures on the P.835 reference conditions."""

from typing import ClassVar, Literal

import numpy as np
import pandas as pd

from .. import audio, intrusive, metrics, scoring
from ..corpora import pesq_material, registry
from ..corpora.manifest import Manifest
from ..learning import own_networks
from ..models import weights
from ..results import frame
from ..results.trials import Result, Trial

# Which scale of the listeners each output of a network is held against.
SCALES = {"mos": "ovrl", "noi": "bak"}
Set = Literal["fullband", "wideband"]

SAME_PREDICTOR = {"nisqa-mos": "nisqa"}  # the same but for an offset of MOS; never a second witness


class ListenersTrial(Trial):
    """One network's scores of one set of P.835 against its listeners."""

    kind: ClassVar[str] = "listeners"
    set: Set
    network: str
    weights_hash: str
    corpus_hash: str
    resample: int | None = None

    def run(self) -> Result:
        corpus = registry.load("p835").where(set=self.set)
        network = weights.load(self.network)
        scores = scoring.score(corpus.paths(), network, resample=self.resample)
        items = _listeners(corpus).assign(**{name: scores[name] for name in network.settings.outputs}, error=scores["error"])
        good = items[items["error"].isna()]
        found: dict[str, object] = {"files": len(items), "failed": int(items["error"].notna().sum())}
        for output in set(network.settings.outputs) & SCALES.keys():
            found |= agreement(good, output, SCALES[output])
        return Result(found, items)


class LabelTrial(Trial):
    """An intrusive measure against the listeners of P.835: is it a label worth learning from?"""

    kind: ClassVar[str] = "label"
    set: Set
    measure: Literal["pesq", "visqol"]
    corpus_hash: str

    def run(self) -> Result:
        corpus = registry.load("p835").where(set=self.set)
        measure = intrusive.pesq_mos if self.measure == "pesq" else intrusive.visqol_mos
        values = []
        for file, reference in zip(corpus.paths(), corpus.table["reference"], strict=True):
            clean, degraded = intrusive.aligned(audio.load(corpus.root / reference), audio.load(file), pesq_material.RATE)
            values.append(measure(clean, degraded))
        items = _listeners(corpus).assign(mos=values)
        return Result({"files": len(items), "failed": int(np.isnan(values).sum())} | agreement(items, "mos", "ovrl"), items)


class SyntheticTrial(Trial):
    """A network against PESQ on impaired synthetic speech: the demonstration's stand-in for listeners."""

    kind: ClassVar[str] = "synthetic"
    network: str
    weights_hash: str
    count: int = 40

    def run(self) -> Result:
        made = pesq_material.make(self.count, 3 + self.seed, own_networks.VALID_LANGUAGES, own_networks.VALID_VOICES)
        network = weights.load(self.network)
        scores = scoring.score([i.waveform for i in made], network, sample_rate=pesq_material.RATE)
        items = pd.DataFrame(pesq_material.to_table(made)).assign(mos=scores["mos"])
        x, y = items["mos"].to_numpy(), items["pesq"].to_numpy()
        interval = metrics.two_way_bootstrap_pcc(x, y, np.arange(len(x)), np.zeros(len(x)))
        return Result({"files": len(items), "mos_pcc_file": list(interval), "mos_rmse_file": metrics.rmse(x, y)}, items)


def synthetic_trial() -> SyntheticTrial:
    """Our network on synthetic speech; one record serves every chapter's demonstration."""
    name = weights.SYNTHETIC_ONLY
    return SyntheticTrial(study="labels", data_status="synthetic", model_status="other", network=name, weights_hash=weights.hash_of(name))


def _listeners(corpus: Manifest) -> pd.DataFrame:
    columns = ["file", "set", "condition", "talker", "snr_db", "mnru_q_db", "n_votes"]
    return corpus.table[columns + [c for c in corpus.table if c.startswith(("mos_", "std_"))]].copy()


def agreement(items: pd.DataFrame, output: str, scale: str) -> dict[str, object]:
    """PCC by file and by condition with intervals over talkers and conditions, SRCC, RMSE, and the listeners' own ceiling."""
    x, y = items[output].to_numpy(float), items[f"mos_{scale}"].to_numpy(float)
    rows, columns = items["condition"].to_numpy(), items["talker"].to_numpy()
    std, votes = items[f"std_{scale}"].to_numpy(float), items["n_votes"].to_numpy(float)
    found: dict[str, object] = {f"{output}_srcc_file": metrics.srcc(x, y), f"{output}_rmse_file": metrics.rmse(x, y)}
    for name, by in [("file", "item"), ("condition", "row")]:
        found[f"{output}_pcc_{name}"] = list(metrics.two_way_bootstrap_pcc(x, y, rows, columns, by))  # type: ignore[arg-type]
        found[f"{output}_ceiling_{name}"] = metrics.ceiling(y, std, votes, rows, by)  # type: ignore[arg-type]
    return found


def listeners_trials(study: str, sets: tuple[Set, ...], resample: int | None = None) -> list[ListenersTrial]:
    """A trial for each network found here and each set; networks that fix a rate of their own are not resampled."""
    corpus_hash = registry.load("p835").hash
    found = [weights.load(name) for name in weights.found_networks()]
    return [
        ListenersTrial(
            study=study,
            data_status="real",
            model_status="other",
            set=which,
            network=network.name,
            weights_hash=network.weights_hash,
            corpus_hash=corpus_hash,
            resample=resample,
        )
        for network in found
        if not (resample and network.settings.mel.sample_rate)
        for which in sets
    ]


def offset_in_words(found: pd.DataFrame) -> str:
    """How far nisqa-mos is from nisqa, which is the same in all files; from records of listeners' scores."""
    scores = {r.trial["network"]: r.items().set_index("file")["mos"] for r in frame.records(found, "listeners", set="fullband")}
    if not {"nisqa", "nisqa-mos"} <= scores.keys():
        return "not available"
    gap = scores["nisqa-mos"] - scores["nisqa"]
    return f"{gap.mean():.4f}" if gap.max() - gap.min() < 1e-4 else f"{gap.min():.4f} to {gap.max():.4f}"
