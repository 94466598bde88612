"""The trials of the chapter on language barriers: networks trained on English calls, or elsewhere, tested on calls in other languages,
on listeners, on single gaps, and on level, bandwidth and sample rate."""

import json
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import pandas as pd
from tqdm.auto import tqdm

from ... import audio, degrade, environment, intrusive, metrics
from ...corpora import calls, impairments, polyglot, registry
from ...explain import over_time
from ...learning import quality, quality_material
from ...learning.quality import QualityNetwork, QualitySettings
from ...learning.quality_material import Part
from ...models import weights
from ...models.quality_transformer import QualityTransformer
from ...results.trials import Result, Trial
from ..emotion import require_hash


@dataclass(frozen=True)
class Training:
    """A network of the chapter's own: how it is trained, on what, and the hash of that material (`quality_material.parts_hash`)."""

    train: tuple[Part, ...]
    valid: tuple[Part, ...]
    settings: QualitySettings
    material: str


class NetworkTrial(Trial):
    """Has a network: one that it trains with its seed, or one of another's (`network`, with its hash).

    The state of a training is kept in the cache, so a killed one goes on, and trials of one network train it once.
    """

    training: Training | None = None
    network: str = ""
    weights_hash: str = ""

    def model(self) -> tuple[QualityNetwork, dict[str, Any]]:
        """The network, and the facts of its training."""
        if self.training is None:
            require_hash(self.network, weights.hash_of(self.network), self.weights_hash)
            return weights.load(self.network).model, {}
        t = self.training
        require_hash("the calls", quality_material.parts_hash((*t.train, *t.valid)), t.material)
        train, valid = quality_material.joined(t.train), quality_material.joined(t.valid)
        folder = environment.cache_folder() / "training" / f"quality-{t.material}-{quality.settings_hash(t.settings, self.seed)}"
        with tqdm(total=t.settings.epochs, desc=t.settings.network, unit="epoch", leave=False) as bar:
            model, epochs = quality.learn(train, valid, t.settings, self.seed, folder, lambda _: bar.update())
        best = max(epochs, key=lambda e: e.score)
        return model, {
            "parameters": sum(p.numel() for p in model.parameters()),
            "epochs": len(epochs),
            "best_epoch": best.number,
            "valid_rmse": best.validation_loss,
            "train_calls": len(train.labels),
            "train_labels_missing": int(train.labels.isnan().sum()),
            "training_loss": [e.loss for e in epochs],
            "validation_rmse": [e.validation_loss for e in epochs],
        }


class QualityTrial(NetworkTrial):
    """One network tested on calls, and on P.835's listeners: one row per file with what it is, its labels and the scores.

    material : hash of the tests (`quality_material.parts_hash`). listeners : hash of P.835, where that is a test too.
    """

    kind: ClassVar[str] = "quality"
    tests: tuple[Part, ...]
    material: str
    listeners: str = ""

    def run(self) -> Result:
        require_hash("the calls", quality_material.parts_hash(self.tests), self.material)
        model, facts = self.model()
        tests = quality_material.joined(self.tests)
        items = _rows(tests, quality.predict(model, tests.mels[quality.front_end_of(model)]), model.settings.outputs)
        if self.listeners:
            items = pd.concat([items, self._listeners(model)], ignore_index=True)
        return Result(facts | pcc_by_language(items), items)

    def _listeners(self, model: QualityNetwork) -> pd.DataFrame:
        """P.835's files: `mos` is the listeners' overall score, `noi` their background; the other dimensions were not asked."""
        corpus = registry.load("p835")
        require_hash("p835", corpus.hash, self.listeners)
        predicted = scores_of(model, [audio.load(path) for path in corpus.paths()])
        rows = corpus.table[["set", "condition", "talker", "mos_ovrl", "mos_bak"]]
        rows = rows.rename(columns={"talker": "voice", "mos_ovrl": "mos", "mos_bak": "noi"})
        return rows.assign(source="p835", language="en", status="listeners", **_columns(predicted, model.settings.outputs))


class TeachersTrial(Trial):
    """Two sources of labels on the same calls: PESQ, which the labels are, and ViSQOL's audio mode at 48 kHz."""

    kind: ClassVar[str] = "teachers"
    part: Part
    material: str

    def run(self) -> Result:
        require_hash("the calls", quality_material.part_hash(self.part), self.material)
        made = quality_material.make(self.part)
        rows = pd.DataFrame(calls.to_table(made))
        rows["visqol"] = [intrusive.visqol_mos(call.clean, call.waveform, impairments.RATE, "audio") for call in made]
        rows = rows.assign(kinds=rows["recipe"].map(impairments.kinds_of)).drop(columns=["recipe"])
        known = rows.dropna(subset=["mos", "visqol"])
        found = {"pcc": metrics.pcc(known["mos"].to_numpy(float), known["visqol"].to_numpy(float)), "files": len(known)}
        return Result(found, rows)


class GapTrial(NetworkTrial):
    """One gap of digital silence in clean calls: how much the scores fall with its length, and where the network looks.

    parts : calls, taken without their impairments. Positions are the loudest stretch of each third of a call, so that a cut takes
    speech. For `mapped_s`, maps over time say how well each method finds the gap; as a control, how well the map of the uncut call finds
    the same place.
    """

    kind: ClassVar[str] = "gaps"
    parts: tuple[Part, ...]
    material: str
    lengths_s: tuple[float, ...] = (0.01, 0.02, 0.04, 0.08, 0.16, 0.28, 0.4)
    mapped_s: float = 0.16

    def run(self) -> Result:
        require_hash("the calls", quality_material.parts_hash(self.parts), self.material)
        model, _ = self.model()
        outputs = model.settings.outputs
        rows, maps = [], []
        for part in self.parts:
            for call in quality_material.make(part, labelled=False):
                whole = scores_of(model, [_sound(call.clean)])[0]
                for third in range(3):
                    middle = loudest(call.clean, third)
                    cuts = [cut(call.clean, middle, s) for s in self.lengths_s]
                    found = scores_of(model, [_sound(x) for x in cuts])
                    about = {"language": call.language, "voice": call.voice, "item": call.item, "third": third}
                    rows += [
                        about | {"gap_s": s} | {f"change {o}": float(v) for o, v in zip(outputs, scores - whole, strict=True)}
                        for s, scores in zip(self.lengths_s, found, strict=True)
                    ]
                    if third == 1:
                        gap = (middle, self.mapped_s)
                        uncut = _looks(model, call.clean, *gap)
                        maps.append(about | _looks(model, cut(call.clean, *gap), *gap) | {f"{name}{UNCUT}": v for name, v in uncut.items()})
        looks = pd.DataFrame(maps)
        metrics_ = {f"auc {name}": float(looks[name].mean()) for name in looks if name in METHODS}
        items = pd.concat([pd.DataFrame(rows).assign(table="scores"), looks.assign(table="looks")], ignore_index=True)
        return Result(metrics_, items)


METHODS = ("occlusion", "integrated gradients", "attention rollout")
UNCUT = ", uncut"  # the control's columns
OCCLUDED_FRAMES = 10  # of 10 ms: a mask in time
LINE_STEPS = 16  # of integrated gradients, from 0 dB everywhere to the call


def _looks(model: QualityNetwork, waveform: np.ndarray, middle: int, gap_s: float) -> dict[str, float]:
    """Area under the ROC curve of each method's map over time: how well the size of its values tells frames in the gap from those outside.

    Gaps lie where speech is loud, so a map that follows speech does not have 0.5; the control is the map of the call without the gap. The
    output explained is discontinuity where there is one, else MOS.
    """
    mel = quality_material.mel_of(model.settings.mel, _sound(waveform))
    output = "dis" if "dis" in model.settings.outputs else "mos"
    frames = np.arange(len(mel)) * 0.01 * impairments.RATE
    inside = np.abs(frames - middle) <= gap_s / 2 * impairments.RATE
    score = quality.score_of(model, output)
    found = {
        "occlusion": over_time.occlusion(score, mel, OCCLUDED_FRAMES),
        "integrated gradients": over_time.gradients(score, mel, LINE_STEPS),
    }
    if isinstance(model, QualityTransformer):
        found["attention rollout"] = over_time.attention_rollout(model, mel)
    return {name: metrics.auc(np.abs(values), inside) for name, values in found.items()}


class SensitivityTrial(NetworkTrial):
    """Clean calls at other levels, bandwidths and sample rates: what the scores do where nothing but that changes.

    Samples beyond full scale are clipped, as in a file; `clipped` is their share.
    """

    kind: ClassVar[str] = "sensitivity"
    parts: tuple[Part, ...]
    material: str
    levels_dbov: tuple[float, ...] = (-60.0, -50.0, -44.0, -38.0, -32.0, -26.0, -20.0, -14.0, -8.0)
    bands_hz: tuple[float, ...] = (1000.0, 2000.0, 3400.0, 5000.0, 7000.0, 10_000.0, 14_000.0, 20_000.0)
    rates: tuple[int, ...] = (8000, 16_000, 22_050, 32_000, 44_100, 48_000)

    def run(self) -> Result:
        require_hash("the calls", quality_material.parts_hash(self.parts), self.material)
        model, _ = self.model()
        rows = []
        for part in self.parts:
            for call in quality_material.make(part, labelled=False):
                levelled = {v: degrade.set_level(call.clean, impairments.RATE, v) for v in self.levels_dbov}
                changed = {("level", v): _sound(np.clip(x, -1, 1)) for v, x in levelled.items()}
                changed |= {("band", v): _sound(degrade.band_limit(call.clean, impairments.RATE, 0, v)) for v in self.bands_hz}
                changed |= {("rate", v): audio.Sound(audio.resample(call.clean[None], impairments.RATE, v), v) for v in self.rates}
                found = scores_of(model, list(changed.values()))
                about = {"source": part.source, "language": part.language, "item": call.item, "voice": call.voice}
                for (axis, value), scores in zip(changed, found, strict=True):
                    clipped = float((np.abs(levelled[value]) > 1).mean()) if axis == "level" else 0.0
                    row = about | {"axis": axis, "value": value, "clipped": clipped}
                    rows.append(row | _columns(scores[None], model.settings.outputs, one=True))
        return Result({"calls": len({(r["source"], r["language"], r["item"]) for r in rows})}, pd.DataFrame(rows))


class ListeningTrial(NetworkTrial):
    """One sentence in every language through single impairments of known strength, for the page's grid to listen to: labels and scores.

    steps : names and recipes, one step each.
    """

    kind: ClassVar[str] = "listening"
    voice: str
    sentence: int
    steps: tuple[tuple[str, str], ...]
    recipe: str

    def run(self) -> Result:
        require_hash("the calls", calls.recipe_hash(), self.recipe)
        model, _ = self.model()
        rows = []
        for language in calls.LANGUAGES:
            said = clean_sentence(language, self.voice, self.sentence)
            for name, step in self.steps:
                degraded, reached, labels = impairments.impaired_once(said, json.loads(step))
                scores = scores_of(model, [_sound(degraded)])
                about = {"language": language, "name": name, "reached": json.dumps(reached)}
                rows.append(about | labels | _columns(scores, model.settings.outputs, one=True))
        return Result({"sounds": len(rows)}, pd.DataFrame(rows))


def clean_sentence(language: str, voice: str, sentence: int) -> np.ndarray:
    """One of polyglot's sentences (from 0) by one voice, (samples,) at 48 kHz and the usual level."""
    (sound,) = polyglot.synthesise([polyglot.job(language, voice, polyglot.sentences(language)[sentence])])
    return degrade.set_level(audio.resample(sound.waveform, sound.sample_rate, impairments.RATE)[0], impairments.RATE)


def scores_of(model: QualityNetwork, sounds: list[audio.Sound]) -> np.ndarray:
    """Scores (sounds, outputs) of sounds at any rate, channels mixed."""
    return quality.predict(model, [quality_material.mel_of(model.settings.mel, sound) for sound in sounds])


def _sound(waveform: np.ndarray) -> audio.Sound:
    return audio.Sound(waveform[None].astype(np.float32), impairments.RATE)


def loudest(waveform: np.ndarray, third: int, window_s: float = 0.4) -> int:
    """The middle sample of the loudest `window_s` in the first, second or last third (0, 1, 2) of a waveform."""
    n, window = len(waveform) // 3, int(window_s * impairments.RATE)
    energy = np.convolve(np.square(waveform[third * n : (third + 1) * n], dtype=np.float64), np.ones(window), "valid")
    return third * n + int(energy.argmax()) + window // 2


def cut(waveform: np.ndarray, middle: int, gap_s: float) -> np.ndarray:
    """A waveform with digital silence of `gap_s` around a sample."""
    half = int(gap_s * impairments.RATE / 2)
    return np.concatenate([waveform[: middle - half], np.zeros(2 * half, waveform.dtype), waveform[middle + half :]])


def _columns(predicted: np.ndarray, outputs: tuple[str, ...], one: bool = False) -> dict[str, Any]:
    return {f"predicted {o}": float(predicted[0, i]) if one else predicted[:, i] for i, o in enumerate(outputs)}


def _rows(material: quality_material.Material, predicted: np.ndarray, outputs: tuple[str, ...]) -> pd.DataFrame:
    """Labels as `mos`, `noi`…, scores as `predicted mos`…, and the kinds of impairment."""
    table = material.table.drop(columns=["recipe"])
    status = np.where(table["source"] == "polyglot", "synthetic", "real")
    return table.assign(kinds=material.table["recipe"].map(impairments.kinds_of), status=status, **_columns(predicted, outputs))


def pcc_by_language(items: pd.DataFrame) -> dict[str, float]:
    """PCC of MOS by status and language, before any mapping, of files that have a label: what is seen at once in a record."""
    found = {}
    for (status, language), rows in items.groupby(["status", "language"]):
        rows = rows.dropna(subset=["mos"])
        if "predicted mos" in rows and len(rows) > 2:
            found[f"pcc_mos_{status}_{language}"] = metrics.pcc(rows["predicted mos"].to_numpy(float), rows["mos"].to_numpy(float))
    return found
