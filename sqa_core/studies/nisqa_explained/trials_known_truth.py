"""Trials on files whose impairments are known frame by frame: do maps find what is known, and do scores respond to their names?"""

from typing import ClassVar

import numpy as np
import pandas as pd
from scipy.ndimage import binary_dilation

from ... import metrics
from ...explain import attribution, occlusion
from ...explain.attribution import Baseline
from ...models import weights
from ...models.weights import Network
from ...results.trials import Result, Trial
from .inputs import Corpus, TrialInput, sounds
from .trials import NetworkTrial, some_features

NEAR = 5  # frames to each side of a cut


EMPTIED_DB = 20.0  # by how much a band limit lowers the bands that it empties


def beside(cut: np.ndarray) -> np.ndarray:
    """Frames next to a cut, which it changes by contrast."""
    return binary_dilation(cut, iterations=NEAR) & ~cut


def known_things(item: TrialInput, size: np.ndarray) -> dict[str, float]:
    """Areas under the ROC curve of sizes over time (frames,): the inside of a cut among frames of speech, the edges of a cut among
    the other frames of speech, a stretch of noise among all frames; NaN where there is none."""
    assert item.truth is not None
    cut, noise, voice = (item.frames(x) for x in (item.truth.cut, item.truth.noise, item.truth.voice))
    near, judged = beside(cut), cut | voice
    return {
        "auc_cut": metrics.auc(size[judged], cut[judged]),
        "auc_near": metrics.auc(size[judged & ~cut], near[judged & ~cut]),
        "auc_noise": metrics.auc(size, noise),
    }


class LocalisationTrial(NetworkTrial):
    """Known cuts: how well do the sizes of a map over time find them? Areas under the ROC curve over frames.

    `auc` compares frames inside a cut with those of speech, `auc_near` frames of speech beside a cut with all others.
    """

    kind: ClassVar[str] = "localisation"
    conditions: tuple[str, ...] = ("cut-80-4", "cut-320-4")
    talkers: tuple[str, ...] = ()
    baseline: Baseline = "floor"
    hop: int = 8  # of the segments explained: every frame is in two

    def run(self) -> Result:
        network, rng = self.load(), np.random.default_rng(self.seed)
        trained = weights.load(self.network)
        rows = []
        for item in sounds(network, self.corpus, self.conditions, self.talkers):
            assert item.truth is not None
            cut = item.frames(item.truth.cut)
            judged = cut | item.frames(item.truth.voice)
            maps = self._maps(network, item)
            others = self._maps(trained, item) if self.randomised else {}
            for method, found in maps.items():
                over_time = np.nan_to_num(np.abs(found)).sum(axis=0)
                known = known_things(item, over_time)
                row = {"method": method, "auc": known["auc_cut"], "auc_near": known["auc_near"]}
                row["auc_shuffled"] = metrics.auc(rng.permutation(over_time[judged]), cut[judged])
                if others:
                    row["r_trained"] = metrics.rank_correlation(found, others[method])
                rows.append(item.facts | row)
        items = pd.DataFrame(rows)
        return Result({"files": items["file"].nunique()} | dict(items.groupby("method")["auc"].mean()), items)

    def _maps(self, network: Network, item: TrialInput) -> dict[str, np.ndarray]:
        """(mels, frames) by each method."""
        mel, base = item.mel, attribution.baseline_of(item.mel, self.baseline)
        columns = occlusion.mask_boxes((mel.shape[1], len(mel)), (None, 13))
        out = {"occlusion": occlusion.occlude(network, mel, columns).change_map((mel.shape[1], len(mel)))}
        out["integrated gradients, whole network"] = attribution.through_time(network, mel, base, ["mos"]).maps[0].T.cpu().numpy()
        segments, baselines = attribution.segments_against(network, mel, self.baseline, self.hop)
        features = some_features(network)
        by_method = {
            "integrated gradients, CNN": attribution.integrated_gradients(network, segments, baselines, features),
            "DeepLIFT complete, CNN": attribution.deeplift(network, segments, baselines, features),
            "DeepLIFT as captum has it, CNN": attribution.deeplift(network, segments, baselines, features, "modules"),
        }
        return out | {k: attribution.overlap_mean(a.maps.abs().sum(dim=1), len(mel), self.hop) for k, a in by_method.items()}


class DimensionsTrial(NetworkTrial):
    """Whole scores explained, on files of which one thing is known: does each score look at what its name says?

    One row per file and output. Of the sizes of its map: `auc_cut` for the frames inside a cut among those of speech, `auc_near` for
    the frames beside one, `auc_noise` for those of a stretch of noise among all others, `emptied` for the share in bands
    which a band limit empties, in files with and without that limit. `noise_sum` is what the frames of the stretch add to the score.
    """

    kind: ClassVar[str] = "dimensions"
    conditions: tuple[str, ...]
    limit: str  # the condition whose band limit defines the emptied bands
    baseline: Baseline = "floor"

    def run(self) -> Result:
        network = self.load()
        limited = {h.facts["talker"]: h for h in sounds(network, self.corpus, (self.limit,))}
        clean = {h.facts["talker"]: h for h in sounds(network, self.corpus, ("clean",))}
        emptied = {t: (clean[t].mel.mean(dim=0) - h.mel.mean(dim=0) > EMPTIED_DB).cpu().numpy() for t, h in limited.items()}
        rows = []
        for item in sounds(network, self.corpus, self.conditions):
            base = attribution.baseline_of(item.mel, self.baseline)
            whole = attribution.through_time(network, item.mel, base, network.settings.outputs)
            of_outputs = zip(network.settings.outputs, whole.maps.cpu().numpy(), whole.completeness.tolist(), strict=True)
            for output, found, error in of_outputs:
                row = {"output": output, "error": error, "emptied": self._share(np.abs(found).sum(axis=0), emptied[item.facts["talker"]])}
                row |= known_things(item, np.abs(found).sum(axis=1))
                rows.append(item.facts | row | {"noise_sum": self._in_noise(item, found.sum(axis=1))})
        items = pd.DataFrame(rows)
        return Result({"files": items["file"].nunique()}, items)

    @staticmethod
    def _share(sizes: np.ndarray, which: np.ndarray) -> float:
        return float(sizes[which].sum() / sizes.sum()) if sizes.any() else np.nan

    @staticmethod
    def _in_noise(item: TrialInput, signed: np.ndarray) -> float:
        assert item.truth is not None
        noise = item.frames(item.truth.noise)
        return float(signed[noise].sum()) if noise.any() else np.nan


class SoundAloneTrial(Trial):
    """What a map without any network would find: how far each point of the spectrogram is from the baseline. One row per file.

    The areas under the curve are those of `DimensionsTrial`; what a score's map finds must be seen beside them, since the baseline
    alone makes loud frames large or small.
    """

    kind: ClassVar[str] = "sound_alone"
    corpus: Corpus
    corpus_hash: str
    front_end: str  # the network whose spectrogram it is
    conditions: tuple[str, ...]
    baseline: Baseline = "floor"

    def run(self) -> Result:
        network = weights.load(self.front_end)
        rows = []
        for item in sounds(network, self.corpus, self.conditions):
            distance = (item.mel - attribution.baseline_of(item.mel, self.baseline)).abs().sum(dim=1).cpu().numpy()
            rows.append(item.facts | known_things(item, distance))
        items = pd.DataFrame(rows)
        return Result({"files": len(items)}, items)
