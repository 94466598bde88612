"""The trials of the chapter on explaining NISQA: what is measured, on which sounds, by which network."""

import tempfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from ... import metrics, scoring, spectrogram
from ...explain import attribution, chain, occlusion
from ...explain.attribution import Attribution, Baseline
from ...explain.chain import Variant
from ...learning import own_networks
from ...learning.nisqa import Epoch, Item, train
from ...models import weights
from ...models.nisqa import Nisqa
from ...models.weights import Network
from ...results.trials import Result, Trial
from .inputs import SEGMENTS, Corpus, TrialInput, chosen_segments, one_sound, sounds

ACTIVE = 0.01  # a feature is active in a segment where its attribution passes this share of the file's largest
TOLERANCE = 0.01  # relative completeness error above which the figures' maps take more steps
VARIANTS: tuple[Variant, ...] = ("functions", "modules", "complete")
THRESHOLDS = (0.001, 0.003, 0.01, 0.03, 0.1, 0.3)  # of a file's largest attribution: other possible definitions of "active"
# A segment has 15 frames. Between 1.5 frames of speech in a pause and 4.5 of pause in speech, at the edges of words, it is neither.
MOSTLY_SPEECH, MOSTLY_PAUSE = 0.7, 0.9
MAX_FEATURES = 20  # explained of a CNN that has hundreds


class NetworkTrial(Trial):
    """A trial of one network. `randomised` keeps its layout and puts its weights in another order."""

    network: str
    weights_hash: str
    corpus: Corpus
    corpus_hash: str
    randomised: bool = False

    def load(self) -> Network:
        network = weights.load(self.network)
        return weights.shuffled(network, self.seed) if self.randomised else network


def some_features(network: Network) -> list[int]:
    """Every output of the CNN, or of one with hundreds a draw of 20 that is always the same."""
    count = network.model.cnn.n_features
    drawn = np.random.default_rng(0).choice(count, min(count, MAX_FEATURES), replace=False)
    return sorted(drawn.tolist())


def _held(frames: np.ndarray, length: int, share: bool = False) -> np.ndarray:
    """For each segment at a hop of 1: whether it holds such a frame, or what share of it does."""
    windows = np.lib.stride_tricks.sliding_window_view(frames, length)
    return np.mean(windows, axis=1) if share else np.any(windows, axis=1)


def _pearson(a: Tensor, b: Tensor) -> np.ndarray:
    """Correlation of maps over their points, for each leading index; NaN where one of them is empty."""
    a, b = (x.double().flatten(-2) for x in (a, b))
    a, b = a - a.mean(-1, keepdim=True), b - b.mean(-1, keepdim=True)
    size = a.norm(dim=-1) * b.norm(dim=-1)
    return torch.where(size > 1e-12, (a * b).sum(-1) / size, torch.nan).cpu().numpy()


class FeaturesTrial(NetworkTrial):
    """What the CNN's outputs follow: cuts, pauses, noise; and how they go with each other. One row per file and feature.

    `auc_cut` sets segments that hold a cut against others of the same file that hold voice, `auc_pause` those without voice against
    those of voice; both are NaN where a file has not both. Sums of products of the features, file by file, are kept as `moments`.
    """

    kind: ClassVar[str] = "features"
    conditions: tuple[str, ...] = ()

    def run(self) -> Result:
        network = self.load()
        fast = scoring.folded(network)
        rows, moments, zeros = [], [], []
        for item in sounds(network, self.corpus, self.conditions):
            segments = attribution.segments_of(network, item.mel)
            values = chain.features_of(network, segments).double().cpu().numpy()
            mos = float(scoring.score_mels(fast, [item.mel])[0, 0])
            truth = self._truth(item, network.settings.segment_length, values)
            for i in range(values.shape[1]):
                found = {"feature": i, "mean": values[:, i].mean(), **{k: v[i] for k, v in truth.items()}}
                rows.append(item.facts | {"mos": mos} | found)
            with_one = np.column_stack([values, np.ones(len(values))])
            moments.append(with_one.T @ with_one)
            zeros.append((values == 0).all(axis=0))
        together = np.stack(moments)
        correlation = correlation_of(together.sum(axis=0))
        metrics_found = {
            "files": len(moments),
            "features": len(correlation),
            "varying": int((correlation.diagonal() > 0.5).sum()),
            "always_zero": int(np.all(zeros, axis=0).sum()),
        }
        return Result(metrics_found, pd.DataFrame(rows), {"moments": together})

    @staticmethod
    def _truth(item: TrialInput, length: int, values: np.ndarray) -> dict[str, list[float]]:
        if item.truth is None:
            return {}
        cut = _held(item.frames(item.truth.cut), length)
        voice, pause = (_held(item.frames(x), length, share=True) for x in (item.truth.voice, item.truth.pause))
        spoken, silent = voice > MOSTLY_SPEECH, pause > MOSTLY_PAUSE
        return {
            "auc_cut": [metrics.auc(v[spoken | cut], cut[spoken | cut]) for v in values.T],
            "auc_pause": [metrics.auc(v[spoken | silent], silent[spoken | silent]) for v in values.T],
        }


def correlation_of(moments: np.ndarray) -> np.ndarray:
    """(…, features, features): correlations from the sums of products of features and a one, (…, features + 1, features + 1); 0 where a
    feature does not vary."""

    def outer(x: np.ndarray) -> np.ndarray:
        return x[..., :, None] * x[..., None, :]

    n = moments[..., -1:, -1:]
    mean = moments[..., :-1, -1] / n[..., 0]
    covariance = moments[..., :-1, :-1] / n - outer(mean)
    variance = np.diagonal(covariance, axis1=-2, axis2=-1)
    varies = variance > 1e-9 * (1 + mean**2)
    return np.where(outer(varies), covariance / outer(np.sqrt(np.where(varies, variance, 1.0))), 0.0)


class AttributionTrial(NetworkTrial):
    """Integrated gradients and DeepLIFT in three variants, 30 segments a file and every feature. One row per file and feature."""

    kind: ClassVar[str] = "attribution"
    baseline: Baseline = "floor"
    steps: int = 50
    conditions: tuple[str, ...] = ()
    talkers: tuple[str, ...] = ()

    def run(self) -> Result:
        network = self.load()
        features = range(network.model.cnn.n_features)
        tables = [self._file(network, features, item) for item in sounds(network, self.corpus, self.conditions, self.talkers)]
        items = pd.concat(tables, ignore_index=True)
        return Result({"files": len(tables)}, items)

    def _file(self, network: Network, features: range, item: TrialInput) -> pd.DataFrame:
        every, base = attribution.segments_against(network, item.mel, self.baseline)
        index = chosen_segments(len(every))
        segments, baselines = every[index], base[index]
        found_by = {"ig": attribution.integrated_gradients(network, segments, baselines, features, self.steps)}
        found_by |= {v: attribution.deeplift(network, segments, baselines, features, v) for v in VARIANTS}
        out: dict[str, Any] = item.facts | {"feature": list(features)}
        for name, by in found_by.items():
            found, errors, size = by.maps, by.completeness, by.explained.abs()
            out[f"error_{name}"] = by.relative_error().cpu().numpy()
            out[f"within_{name}"] = (
                torch.where((size > 1e-6).any(0), (errors.abs() <= 0.01 * size).double().mean(dim=0), torch.nan).cpu().numpy()
            )
            peak = found.abs().amax(dim=(2, 3))
            out[f"active_{name}"] = (peak > ACTIVE * peak.max()).double().mean(dim=0).cpu().numpy()
            total = found.abs().sum(dim=(0, 3)).double()
            bands = torch.arange(total.shape[1], dtype=torch.double, device=total.device)
            out[f"centroid_{name}"] = torch.where(total.sum(1) > 0, (total * bands).sum(1) / total.sum(1), torch.nan).cpu().numpy()
            empty = torch.from_numpy(_held(~item.empty, segments.shape[2]) == 0)[index]
            for where, which in (("empty", empty), ("sounding", ~empty)):
                out[f"{where}_{name}"] = found[which].abs().mean(dim=(0, 2, 3)).cpu().numpy() if which.any() else np.nan
            if name != "ig":
                out[f"r_ig_{name}"] = _median(_pearson(found, found_by["ig"].maps))
        return pd.DataFrame(out)


class ActivityTrial(NetworkTrial):
    """How the count of active features depends on the definition of "active": complete DeepLIFT, one row per file, feature and threshold."""

    kind: ClassVar[str] = "activity"
    baseline: Baseline = "floor"
    thresholds: tuple[float, ...] = THRESHOLDS

    def run(self) -> Result:
        network = self.load()
        features = range(network.model.cnn.n_features)
        rows = []
        for item in sounds(network, self.corpus):
            every, base = attribution.segments_against(network, item.mel, self.baseline)
            index = chosen_segments(len(every))
            peak = attribution.deeplift(network, every[index], base[index], features).maps.abs().amax(dim=(2, 3))
            for threshold in self.thresholds:
                active = (peak > threshold * peak.max()).double().mean(dim=0).tolist()
                rows += [item.facts | {"feature": f, "threshold": threshold, "active": a} for f, a in enumerate(active)]
        items = pd.DataFrame(rows)
        return Result({"files": items["file"].nunique()}, items)


class DeadUnitsTrial(Trial):
    """Which of 20 outputs with a ReLU never fire, epoch by epoch, as a network learns from a share of its material. One row per epoch.

    Counted on the validation utterances after each epoch; before the first, the batch norms have no statistics.
    """

    kind: ClassVar[str] = "dead_units"
    recipe: str
    material_hash: str
    share: float
    epochs: int

    def run(self) -> Result:
        recipe = replace(own_networks.RECIPES[self.recipe], epochs=self.epochs)
        train_items, valid_items = own_networks.material(recipe.trained_on, share=self.share), own_networks.material(recipe.validated_on)
        settings = replace(own_networks.training_settings(recipe), seed=self.seed)
        torch.manual_seed(self.seed)
        model = Nisqa(recipe.settings)
        steps = -(-len(train_items) // settings.batch_size)
        rows: list[dict[str, float]] = []

        def after(epoch: Epoch) -> None:
            found = {
                "epoch": epoch.number,
                "steps": steps * (epoch.number + 1),
                "dead": dead_outputs(model, valid_items),
                "rmse": epoch.validation_loss,
            }
            rows.append(found)

        with tempfile.TemporaryDirectory() as folder:
            train(model, train_items, valid_items, settings, Path(folder), after)
        return Result({"utterances": len(train_items), "dead": rows[-1]["dead"]}, pd.DataFrame(rows))


@torch.inference_mode()
def dead_outputs(model: Nisqa, items: list[Item]) -> int:
    """How many of the CNN's outputs are zero in every segment of every item."""
    s, model = model.settings, model.eval()
    fires = torch.zeros(model.cnn.n_features, dtype=torch.bool, device=next(model.parameters()).device)
    for mel, _ in items:
        segments = spectrogram.segments(mel, s.segment_length, s.segment_hop)
        fires |= (model.cnn(segments.unsqueeze(1).to(fires.device)) != 0).any(dim=0)
    return int((~fires).sum())


def _median(values: np.ndarray) -> np.ndarray:
    """Over segments, one a feature; NaN where no segment has a map."""
    known = np.isfinite(values).any(axis=0)
    out = np.full(values.shape[1], np.nan)
    out[known] = np.nanmedian(values[:, known], axis=0)
    return out


class ConductanceTrial(NetworkTrial):
    """Layer conductance of some segments: do channels part the segment between them, do features oppose, are maps smooth?

    One row per segment and layer; `correlation` (rows, features, features) has that of the features' maps, NaN where one is empty.
    """

    kind: ClassVar[str] = "conductance"
    baseline: Baseline = "floor"
    segments: int = 2
    conditions: tuple[str, ...] = ()
    talkers: tuple[str, ...] = ()

    def run(self) -> Result:
        network = self.load()
        rng = np.random.default_rng(self.seed)
        rows, correlations = [], []
        features = range(network.model.cnn.n_features)
        for item in sounds(network, self.corpus, self.conditions, self.talkers):
            every, base = attribution.segments_against(network, item.mel, self.baseline)
            index = chosen_segments(len(every))[7 :: SEGMENTS // self.segments][: self.segments]
            for layer in range(1, 7):
                maps = attribution.conductance(network, every[index], base[index], features, layer).maps.transpose(0, 1).cpu()
                for i, segment in enumerate(index.tolist()):
                    of_segment = maps[:, i].numpy()
                    rows.append(item.facts | {"segment": segment, "layer": layer} | _conductance_facts(of_segment, rng))
                    with np.errstate(invalid="ignore", divide="ignore"):
                        correlations.append(np.corrcoef(of_segment.reshape(len(of_segment), -1)))
        items = pd.DataFrame(rows)
        return Result(
            {"files": items["file"].nunique(), "rows": len(items)}, items, {"correlation": np.stack(correlations).astype(np.float16)}
        )


def _conductance_facts(maps: np.ndarray, rng: np.random.Generator) -> dict[str, float]:
    """Of maps (features, channels, height, width) of one segment and layer: means over the features that have any."""
    alive = [m for m in maps if np.abs(m).max() > 0]
    if not alive:
        return dict.fromkeys(("overlap", "overlap_shuffled", "smooth", "smooth_shuffled"), np.nan)
    strewn = [rng.permuted(m.reshape(len(m), -1), axis=1).reshape(m.shape) for m in alive]
    smooth = [[metrics.morans_i(c) for m in group for c in m if np.abs(c).max() > 0] for group in (alive, strewn)]
    return {
        "overlap": float(np.nanmean([_overlap(m) for m in alive])),
        "overlap_shuffled": float(np.nanmean([_overlap(m) for m in strewn])),
        "smooth": float(np.nanmean(smooth[0])),
        "smooth_shuffled": float(np.nanmean(smooth[1])),
    }


def _overlap(maps: np.ndarray) -> float:
    """Mean share of points that the largest tenths of two channels have in common; maps (channels, height, width)."""
    sizes = np.abs(maps).reshape(len(maps), -1)
    sizes = sizes[sizes.max(axis=1) > 0]
    if len(sizes) < 2:
        return float("nan")
    count = max(1, sizes.shape[1] // 10)
    top = np.zeros(sizes.shape)
    np.put_along_axis(top, np.argpartition(-sizes, count - 1, axis=1)[:, :count], 1.0, axis=1)
    common = top @ top.T / count
    return float(common[np.triu_indices(len(common), 1)].mean())


class StabilityTrial(NetworkTrial):
    """How far maps of MOS move with what the paper leaves open: baseline, steps, mask, fill; and from one method to another."""

    kind: ClassVar[str] = "stability"
    conditions: tuple[str, ...] = ()
    talkers: tuple[str, ...] = ()

    def run(self) -> Result:
        network = self.load()
        rows: list[dict[str, Any]] = []
        for item in sounds(network, self.corpus, self.conditions, self.talkers):
            maps, errors = self._maps(network, item.mel)
            pairs = [("IG floor 50", b) for b in maps if b.startswith("IG")] + [("occlusion 24x24", b) for b in maps if b.startswith("occ")]
            pairs += [("occlusion 24x24", "IG floor 50"), ("occlusion 24x24", "CNN alone"), ("IG floor 50", "CNN alone")]
            rows += [
                item.facts | {"one": a, "other": b, "rho": metrics.rank_correlation(maps[a], maps[b]), "error": errors.get(b)}
                for a, b in pairs
                if a != b
            ]
        items = pd.DataFrame(rows)
        return Result({"files": items["file"].nunique(), "rows": len(items)}, items)

    @staticmethod
    def _maps(network: Network, mel: Tensor) -> tuple[dict[str, np.ndarray], dict[str, float]]:
        shape = (mel.shape[1], len(mel))
        maps, errors = {}, {}
        for baseline, steps in (("floor", 50), ("floor", 25), ("floor", 100), ("zero", 50), ("min", 50), ("noise", 50)):
            name = f"IG {baseline} {steps}"
            found = attribution.through_time(network, mel, attribution.baseline_of(mel, baseline), ["mos"], steps)
            maps[name], errors[name] = found.maps[0].T.cpu().numpy(), float(found.completeness[0])
        for (height, width), fill in (((24, 24), "floor"), ((24, 24), "mean"), ((12, 24), "floor"), ((12, 12), "floor")):
            name = f"occlusion {height}x{width}" + (" mean" if fill == "mean" else "")
            boxes = occlusion.mask_boxes(shape, (height, width))
            maps[name] = occlusion.occlude(network, mel, boxes, fill).change_map(shape)  # type: ignore[arg-type]
        segments, baselines = attribution.segments_against(network, mel, "floor", 4)
        alone = attribution.deeplift(network, segments, baselines, some_features(network))
        maps["CNN alone"] = attribution.overlap_mean(alone.maps.abs().sum(dim=1), len(mel), 4)
        return maps, errors


class FiguresTrial(NetworkTrial):
    """The maps of one file, for the paper's figures and beside them, each with its completeness error.

    show : features whose maps by other methods and baselines are kept; the complete DeepLIFT is kept of all.
    """

    kind: ClassVar[str] = "figures"
    file: str
    baseline: Baseline = "floor"
    show: tuple[int, ...]

    def run(self) -> Result:
        network = self.load()
        mel = scoring.mel_of(network, one_sound(self.corpus, self.file))
        segments, baselines = attribution.segments_against(network, mel, self.baseline)
        index = chosen_segments(len(segments))
        kept: dict[str, np.ndarray] = {"mel": mel.T.cpu().numpy(), "show": np.array(self.show), "segments": segments[index].cpu().numpy()}
        kept["features"] = chain.features_of(network, segments).cpu().numpy()
        every = range(network.model.cnn.n_features)
        complete = attribution.deeplift(network, segments, baselines, every)
        kept["segment_maps"], kept["deeplift_complete"] = complete.maps[index].cpu().numpy(), _averaged(complete.maps, len(mel))
        errors = {"deeplift_complete": complete.relative_error().tolist()}
        for name, other in self._others(network, mel, segments, baselines):
            kept[name], errors[name] = _averaged(other.maps, len(mel)), other.relative_error().tolist()
        ig = attribution.integrated_gradients(network, segments, baselines, self.show, tolerance=TOLERANCE)
        kept["ig"], errors["ig"] = _averaged(ig.maps, len(mel)), ig.relative_error().tolist()
        found: dict[str, Any] = {"errors": errors, "ig_steps": ig.max_steps}
        middle = int(index[len(index) // 3])
        kept["conductance_segment"] = segments[middle].cpu().numpy()
        one = slice(middle, middle + 1)
        for layer in (1, 2):
            parts = [attribution.conductance(network, segments[one], baselines[one], [f], layer, tolerance=TOLERANCE) for f in self.show]
            kept[f"conductance_{layer}"] = np.stack([part.maps[0, 0].cpu().numpy() for part in parts])
            errors[f"conductance_{layer}"] = [float(part.relative_error()[0]) for part in parts]
            found[f"conductance_{layer}_steps"] = max(part.max_steps or 0 for part in parts)
        whole = attribution.through_time(network, mel, attribution.baseline_of(mel, self.baseline), ["mos"], tolerance=TOLERANCE)
        kept["whole"] = whole.maps[0].T.cpu().numpy()
        errors["whole"] = whole.relative_error().tolist()
        shown = kept["deeplift_complete"][list(self.show)]
        found["likeness"] = {  # to the complete maps, rank correlation of sizes
            name: float(np.mean([metrics.rank_correlation(a, b) for a, b in zip(shown, kept[name], strict=True)]))
            for name in ("deeplift_functions", "deeplift_modules", "ig")
        }
        return Result(
            found | {"whole_steps": whole.max_steps},
            arrays={k: v.astype(np.float16) if v.dtype == np.float32 else v for k, v in kept.items()},
        )

    def _others(self, network: Network, mel: Tensor, segments: Tensor, baselines: Tensor) -> Iterator[tuple[str, Attribution]]:
        """DeepLIFT of the features shown, in its other variants and against each baseline."""
        for variant in ("functions", "modules"):
            yield f"deeplift_{variant}", attribution.deeplift(network, segments, baselines, self.show, variant)
        for other in attribution.BASELINES:
            _, against = attribution.segments_against(network, mel, other)
            yield f"baseline_{other}", attribution.deeplift(network, segments, against, self.show)


def _averaged(maps: Tensor, n_frames: int) -> np.ndarray:
    """(features, mels, frames) of maps (segments, features, mels, length)."""
    return np.stack([attribution.overlap_mean(maps[:, i], n_frames) for i in range(maps.shape[1])]).astype(np.float32)
