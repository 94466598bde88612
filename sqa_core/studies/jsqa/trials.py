"""The trials of the chapter on JSQA: which pairs listeners tell apart, how far embeddings lie apart, and networks tuned for MOS from
different starts."""

import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pandas as pd
import torch
from pydantic import Field
from safetensors.torch import load_file, save_file

from ... import audio, environment, metrics, scoring
from ...corpora import calls, dpam_jnd, impairments, jnd_pairs, recordings, registry
from ...corpora.jnd_pairs import PairLaw
from ...errors import SettingsError, WeightsError
from ...files import atomic, short_hash
from ...learning import jnd, jsqa, loop, quality_material
from ...learning.jsqa import PretrainSettings, Rated, Sounds, TuneSettings
from ...learning.quality_material import Part
from ...models import encoder_catalogue, encoders, predictors, weights
from ...models.jsqa import RATE, Embedded, Encoder, EncoderSettings, SpeechModel, load_cdpam, untrained
from ...results.trials import Result, Trial, added_later, canonical
from ..emotion import require_hash


class JudgementTrial(Trial):
    """Listeners' same/different judgements of one kind of sound, answered by an SVM that was trained on the other kinds."""

    kind: ClassVar[str] = "judgements"
    held_out: str
    judgements: str

    def run(self) -> Result:
        found = dpam_jnd.load()
        require_hash("dpam_jnd", found.hash, self.judgements)
        answer = jnd.held_out(found.table, self.held_out)
        rows = found.table.iloc[answer.pairs].assign(value=answer.value, probability=answer.probability)
        facts = jnd.auc_and_error(answer.value, answer.probability, rows["different"].to_numpy(int))
        return Result(facts | {"pairs": len(rows), "dropped": found.dropped} | answer.settings, rows.reset_index(drop=True))


GAPS_DB = tuple(float(x) for x in np.arange(0, 20.01, 0.1).round(1))
FRESH_SEED = 1_000_000  # of pairs that no SVM was trained on


class SurfaceTrial(Trial):
    """What an SVM on (SNR, gap) calls different, where its answers come from the stated psychometric function, and what share of the
    pairs of each law lies inside. midpoint_db : of that function; 3 in the literature."""

    kind: ClassVar[str] = "surface"
    midpoint_db: float = jnd.MIDPOINT_DB
    pairs: int = 2000
    snrs_db: tuple[float, ...] = (-5.0, 0.0, 5.0, 10.0, 15.0, 20.0, 25.0, 30.0)

    def run(self) -> Result:
        table = jnd.simulated(self.pairs, self.seed, midpoint_db=self.midpoint_db)
        groups = pd.qcut(table["snr_db"], 5, labels=False).to_numpy()
        classifier = jnd.fitted(table[["snr_db", "gap_db"]].to_numpy(), table["different"].to_numpy(), groups)
        drawn = np.random.default_rng(self.seed).uniform(*PairLaw().snr_db, jnd.SHARE_PAIRS)
        found = _surface(classifier, self.snrs_db, drawn)
        return replace(found, metrics=found.metrics | self._on_fresh_pairs(table.assign(kind=groups.astype(str))))

    def _on_fresh_pairs(self, table: pd.DataFrame) -> dict[str, float]:
        """How well the SVM and its probabilities answer for pairs that were drawn anew."""
        fresh = jnd.simulated(self.pairs, FRESH_SEED + self.seed, midpoint_db=self.midpoint_db).assign(kind="fresh")
        both = pd.concat([table, fresh], ignore_index=True).rename(columns={"snr_db": jnd.FEATURES[0]})
        answer = jnd.held_out(both, "fresh")
        return jnd.auc_and_error(answer.value, answer.probability, fresh["different"].to_numpy(int))


class ListenersSurfaceTrial(Trial):
    """The same for an SVM on (level, gap) and listeners' judgements of noises, whose gap in level is a gap in SNR. Thresholds stand at the
    levels of the judged pairs, each once. seed : of the draw of talkers, with replacement; 0 takes each once."""

    kind: ClassVar[str] = "listeners_surface"
    judgements: str

    def run(self) -> Result:
        found = dpam_jnd.load()
        require_hash("dpam_jnd", found.hash, self.judgements)
        table = found.table[found.table["kind"].isin(NOISES)]
        if self.seed:
            talkers = np.random.default_rng(self.seed).choice(table["talker"].unique(), table["talker"].nunique())
            table = pd.concat([table[table["talker"] == talker] for talker in talkers], ignore_index=True)
        classifier = jnd.fitted(table[list(jnd.FEATURES)].to_numpy(), table["different"].to_numpy(), table["kind"].to_numpy())
        levels = found.table.loc[found.table["kind"].isin(NOISES), "level_db"].to_numpy()
        return _surface(classifier, tuple(np.unique(levels.round(1)).tolist()), levels)


NOISES = ("applause", "blue_noise", "brown_noise", "crickets", "pink_noise", "siren")  # whose level is an amplitude


def _surface(classifier: Any, first: tuple[float, ...], drawn: np.ndarray) -> Result:
    """drawn : values of the first feature that pairs of each law are drawn from."""
    values = jnd.surface(classifier, first, np.array(GAPS_DB))
    thresholds = jnd.threshold_db(values, np.array(GAPS_DB))
    laws = {name: law for name, law in jnd_pairs.LAWS.items() if not (law.crops or law.shuffled)}
    shares = {f"inside {name}": jnd.share_inside(classifier, law, drawn) for name, law in laws.items()}
    facts: dict[str, Any] = {"threshold_db": float(np.nanmean(thresholds)), "no_threshold": int(np.isnan(thresholds).sum())}
    rows = [
        (f, t, gap, round(v, 3)) for f, t, row in zip(first, thresholds, values, strict=True) for gap, v in zip(GAPS_DB, row, strict=True)
    ]
    return Result(facts | shares, pd.DataFrame(rows, columns=["first_db", "threshold_db", "gap_db", "value"]))


@dataclass(frozen=True)
class Material:
    """Sounds that pairs are made of: clean corpora by name and language, a use of the recorded noises, and a hash of it all."""

    clean: tuple[tuple[str, str], ...]
    use: recordings.Use
    hash: str


def material_hash(clean: tuple[tuple[str, str], ...], use: recordings.Use) -> str:
    """Hash of the sounds that `sounds_of` reads."""
    return short_hash(repr(([(name, language, registry.load(name).hash) for name, language in clean], recordings.hash_of(use))))


def sounds_of(material: Material) -> Sounds:
    """Clean speech and noises; of corpora that training and validation share, each takes its own files."""
    require_hash("the sounds of pairs", material_hash(material.clean, material.use), material.hash)
    paths = []
    for name, language in material.clean:
        corpus = registry.load(name).where(language=language)
        table = recordings.of_use(corpus.table, material.use, calls.VALID_SHARE)
        table = table[table["seconds"].between(1.0, 20.0)]
        paths += [corpus.root / file for file in table["file"]]
    noises = [path for name in recordings.noises(material.use) if (path := environment.find("data", name))]
    return Sounds(jnd_pairs.bank(paths, "clean speech"), jnd_pairs.bank(noises, "noise"))


def pretrained(settings: PretrainSettings, pairs: Material, valid_pairs: Material, seed: int) -> tuple[Encoder, list[loop.Epoch]]:
    """An encoder after pretraining, and the epochs; trials that share a pretraining share its state in the cache."""
    folder = _training_folder("pretraining", [*map(canonical, (settings, pairs, valid_pairs)), seed])
    sounds = sounds_of(pairs), sounds_of(valid_pairs)
    return jsqa.pretrain(*sounds, settings, seed, folder, on_start=lambda cost: print(cost.text(settings), flush=True))


def _training_folder(stage: str, of: Any) -> Path:
    name = f"jsqa-{stage}-{short_hash(json.dumps([of, loop.RUN_FORM], sort_keys=True), 16)}"
    return environment.cache_folder() / "training" / name


class StartTrial(Trial):
    """Base of trials that tune a network for MOS from one start.

    start : "scratch", "with head", "cdpam", or the name of a law, for a pretraining without a head. pretraining : None where there is none.
    """

    start: str
    tuning: TuneSettings
    encoder: EncoderSettings
    listeners: str = ""
    pretraining: PretrainSettings | None = None
    pairs: Material | None = None
    valid_pairs: Material | None = None

    def _folder(self) -> Path:
        """Where tuning keeps its state."""
        return _training_folder("tuning", self.canonical)

    def _start(self) -> tuple[Encoder | SpeechModel, dict[str, Any]]:
        if self.start == "cdpam":
            return load_cdpam(), {}
        if self.pretraining is None:
            torch.manual_seed(self.seed)
            return Encoder(self.encoder), {}
        assert self.pairs
        assert self.valid_pairs
        encoder, epochs = pretrained(self.pretraining, self.pairs, self.valid_pairs, self.seed)
        return encoder, {
            "contrastive_loss": [e.loss for e in epochs],
            "contrastive_validation_loss": [e.validation_loss for e in epochs],
            "contrastive_validation_pairs": jsqa.VALID_BATCHES * self.pretraining.pairs,
            "pretraining_hours": self.pretraining.hours,
        }


class ArmTrial(StartTrial):
    """One network, tuned for MOS on calls from one start, and tested on listeners and on other calls.

    train, valid, tests : calls, see `Part`. labelled : train on so many calls only, drawn with the seed and repeated, so that the number of
    steps stays the same; None takes all.
    """

    kind: ClassVar[str] = "arms"
    train: tuple[Part, ...]
    valid: tuple[Part, ...]
    tests: tuple[Part, ...]
    material: str
    labelled: int | None = Field(None, ge=1, json_schema_extra=added_later(None))

    def run(self) -> Result:
        parts = (*self.train, *self.valid, *self.tests)
        require_hash("the calls", quality_material.parts_hash(parts), self.material)
        assert_apart(self.train, self.valid, self.tests)
        if self.pairs:
            assert_noises_apart(self.pairs.use, "test")
        encoder, facts = self._start()
        rate = encoder.settings.rate
        train, valid = (self._heard(encoder, rated(of, rate)[0]) for of in (self.train, self.valid))
        train, facts["train_sounds"] = self._labelled(train)
        network, epochs = jsqa.tune(*self._tuned(encoder, train, valid), self.seed, self._folder())
        best = max(epochs, key=loop.rank)
        own = {id(p): p for p in (*encoder.parameters(), *network.parameters())}  # a network may or may not hold its encoder
        facts |= {
            "parameters": sum(p.numel() for p in own.values()),
            "best_epoch": best.number,
            "validation_rmse": [e.validation_loss for e in epochs],
            "validation_pcc": [e.score for e in epochs],
        }
        tests = [rated(self.tests, rate)] + ([p835(self.listeners, rate)] if self.listeners else [])
        items = [self._tested(network, self._heard(encoder, sounds), about) for sounds, about in tests]
        table = pd.concat(items, ignore_index=True)
        return Result(facts | agreement_by_test(table), table)

    def _heard(self, encoder: Encoder | SpeechModel, sounds: Rated) -> Rated:
        """What the tuned network takes for these sounds."""
        return sounds

    def _tuned(self, encoder: Any, train: Rated, valid: Rated) -> tuple[Any, Rated, Rated, TuneSettings]:
        """What is tuned, on what, and how."""
        return encoder, train, valid, self.tuning

    def _labelled(self, train: Rated) -> tuple[Rated, int]:
        """The calls to train on, and how many different ones they are. Fewer calls of one seed are part of more."""
        if self.labelled is None:
            return train, len(train.mos)
        if self.labelled > len(train.mos):
            raise SettingsError(f"{self.labelled} labelled calls were asked for, and there are {len(train.mos)}.")
        drawn = np.random.default_rng(self.seed).permutation(len(train.mos))[: self.labelled]
        repeated = np.resize(drawn, len(train.mos)).tolist()
        return Rated([train.waveforms[i] for i in repeated], train.mos[repeated]), self.labelled

    def _tested(self, network: jsqa.Jsqa, sounds: Rated, about: pd.DataFrame) -> pd.DataFrame:
        whole = jsqa.predict(network, sounds.waveforms)
        cut = jsqa.predict(network, sounds.waveforms, self.tuning.seconds)
        return about.assign(mos=sounds.mos, predicted=whole, predicted_windows=cut)


class SpeechModelArmTrial(ArmTrial):
    """The same head on frozen features of a pretrained speech model, whose name is the start: trained and tested as the other arms."""

    kind: ClassVar[str] = "speech_model_arms"
    weights_hash: str

    def _start(self) -> tuple[Encoder | SpeechModel, dict[str, Any]]:
        require_hash(f"the weights of {self.start}", encoder_catalogue.weights_hash(self.start), self.weights_hash, WeightsError)
        return SpeechModel(encoders.load(self.start)), {}


class HeadTrial(ArmTrial):
    """The head alone, on embeddings by a frozen encoder that are computed once, so that an encoder of 26 million parameters can be tried
    without a GPU.

    start : as in `StartTrial`, but "scratch" is an encoder with random weights whose batch norms have the statistics of some training
    calls, and "cdpam untrained" is the same in the size of CDPAM's. stretches : how many of `tuning.seconds` are taken from each sound,
    in training, validation and tests alike; their embeddings are averaged. precision : of the encoder.
    """

    kind: ClassVar[str] = "heads"
    stretches: int = 2
    precision: loop.MixedPrecision = "bf16"

    def _start(self) -> tuple[Encoder | SpeechModel, dict[str, Any]]:
        if self.start not in ("scratch", "cdpam untrained"):
            return super()._start()
        train, _ = rated(self.train, self.encoder.rate)
        rng = np.random.default_rng(self.seed)
        chosen = rng.permutation(len(train.mos))[:STATISTICS].tolist()
        samples = int(self.tuning.seconds * self.encoder.rate)
        heard = np.stack([jsqa.crop(train.waveforms[i], samples, rng) for i in chosen])
        return untrained(self.encoder, torch.from_numpy(heard), self.seed), {}

    def _heard(self, encoder: Encoder | SpeechModel, sounds: Rated) -> Rated:
        """Sounds as their embeddings, kept in the cache: of an encoder, they are the same whatever the seed of the head."""
        assert isinstance(encoder, Encoder)
        of_encoder = [canonical(encoder.settings), jsqa.hash_of([p.cpu().numpy() for p in encoder.state_dict().values()])]
        of_sounds = [jsqa.hash_of(sounds.waveforms), [len(w) for w in sounds.waveforms]]
        of_stretches = [self.tuning.seconds, self.stretches, self.precision]
        name = short_hash(json.dumps([EMBEDDINGS_FORM, of_encoder, of_sounds, of_stretches], sort_keys=True), 16)
        path = environment.cache_folder() / "material" / f"embeddings-{name}.safetensors"
        if not path.is_file():
            encoder.to(environment.device())
            found = jsqa.embeddings(encoder, sounds.waveforms, self.tuning.seconds, self.stretches, self.precision)
            path.parent.mkdir(parents=True, exist_ok=True)
            with atomic(path) as partial:
                save_file({"embeddings": torch.from_numpy(found)}, partial)
        return Rated(list(load_file(path)["embeddings"].numpy()), sounds.mos)

    def _tuned(self, encoder: Any, train: Rated, valid: Rated) -> tuple[Any, Rated, Rated, TuneSettings]:
        return Embedded(encoder.settings.size), train, valid, replace(self.tuning, seconds=1.0)  # an embedding counts as a second

    def _tested(self, network: jsqa.Jsqa, sounds: Rated, about: pd.DataFrame) -> pd.DataFrame:
        return about.assign(mos=sounds.mos, predicted=jsqa.predict(network, sounds.waveforms))


EMBEDDINGS_FORM = 1  # raise it with every change to what `_heard` computes
STATISTICS = 16  # training calls that give an untrained network's batch norms their statistics


class PredictorTrial(Trial):
    """What a user would take instead, on the tests of the arms: a published predictor as it comes, at the rate that it is made for.

    predictor : "nisqa", or one of `predictors.PREDICTORS`. version : of its package, or the hash of NISQA's weights.
    """

    kind: ClassVar[str] = "predictors"
    predictor: str
    version: str
    tests: tuple[Part, ...]
    material: str
    listeners: str

    def run(self) -> Result:
        require_hash("the calls", quality_material.parts_hash(self.tests), self.material)
        require_hash(f"the predictor {self.predictor}", version_of(self.predictor), self.version, SettingsError)
        rate = impairments.RATE if self.predictor == "nisqa" else predictors.RATE
        items = []
        for sounds, about in (rated(self.tests, rate), p835(self.listeners, rate)):
            items.append(about.assign(mos=sounds.mos, predicted=self._predicted(sounds.waveforms, rate)))
        table = pd.concat(items, ignore_index=True)
        return Result(agreement_by_test(table), table)

    def _predicted(self, waveforms: Sequence[np.ndarray], rate: int) -> np.ndarray:
        if self.predictor != "nisqa":
            return predictors.PREDICTORS[self.predictor].score(waveforms)
        sounds = [audio.Sound(w[None], rate) for w in waveforms]
        return scoring.score(sounds, weights.load("nisqa"))["mos"].to_numpy(float)


def version_of(predictor: str) -> str:
    """What decides a predictor's scores; "" if it is not on this machine."""
    if predictor == "nisqa":
        return weights.hash_of("nisqa") if "nisqa" in weights.found_networks() else ""
    return predictors.PREDICTORS[predictor].version


def agreement_by_test(table: pd.DataFrame) -> dict[str, float]:
    """`agreement` of the sounds of each test, under names such as `pcc_fullband`."""
    return {
        f"{name}_{test}": value for test, rows in table.groupby("test") for name, value in agreement(rows["predicted"], rows["mos"]).items()
    }


def agreement(predicted: Any, mos: Any) -> dict[str, float]:
    """The paper's four measures."""
    x, y = np.asarray(predicted, float), np.asarray(mos, float)
    found = {"rmse": metrics.rmse(x, y), "mae": float(np.abs(x - y).mean()), "pcc": metrics.pcc(x, y), "srcc": metrics.srcc(x, y)}
    return {name: float(value) for name, value in found.items()}


def assert_apart(*groups: tuple[Part, ...]) -> None:
    """Parts of training, validation and tests share no synthetic voice and no recorded noise, and their uses differ. Training and validation
    take different files of one corpus (`calls`), tests take all files of theirs, so a test's corpus is none of the others'.

    Raises
    ------
    SettingsError
        They do.
    """
    for i, first in enumerate(groups):
        for second in groups[:i]:
            uses = [{part.use for part in group} for group in (first, second)]
            voices = [{v for part in group if part.source == "polyglot" for v in part.voices or ()} for group in (first, second)]
            if uses[0] & uses[1]:
                raise SettingsError(f"Two groups of calls have the same use, {min(uses[0] & uses[1])!r}, and so share files.")
            real = [{part.source for part in group if part.source != "polyglot"} for group in (first, second)]
            if "test" in uses[0] | uses[1] and (both := real[0] & real[1]):
                raise SettingsError(f"Tests take all files of {min(both)}, so no other group of calls may have it.")
            if voices[0] & voices[1]:
                raise SettingsError(f"Two groups of calls share voices: {', '.join(sorted(voices[0] & voices[1]))}.")
            for one in uses[0]:
                for other in uses[1]:
                    assert_noises_apart(one, other)


def assert_noises_apart(one: recordings.Use, other: recordings.Use) -> None:
    """Two uses share no recorded noise; raises SettingsError if they do."""
    if shared := set(recordings.noises(one)) & set(recordings.noises(other)):
        raise SettingsError(f"{one} and {other} share {len(shared)} recorded noises, {min(shared)} first.")


def rated(parts: tuple[Part, ...], rate: int = RATE) -> tuple[Rated, pd.DataFrame]:
    """Calls with their label of MOS (PESQ), and a row each with what it is: `test` tells synthetic from real voices. Calls without a label
    are left out. Kept in the cache."""
    path = environment.cache_folder() / "material" / f"rated-at-{rate}-{quality_material.parts_hash(parts)}.safetensors"
    if not path.is_file():
        made = [(part, call) for part in parts for call in quality_material.make(part)]
        tensors = {
            f"{i:05d}": torch.from_numpy(audio.resample(call.waveform[None], impairments.RATE, rate)[0]).half()
            for i, (_, call) in enumerate(made)
        }
        rows = [
            {"test": CALLS[part.source == "polyglot"], "source": part.source, "language": call.language, "item": call.item}
            | {"kinds": impairments.kinds_of(json.dumps(call.recipe)), "mos": call.labels["mos"]}
            for part, call in made
        ]
        path.parent.mkdir(parents=True, exist_ok=True)
        with atomic(path) as partial:
            save_file(tensors | {"table": torch.frombuffer(bytearray(json.dumps(rows).encode()), dtype=torch.uint8)}, partial)
    tensors = load_file(path)
    table = pd.DataFrame(json.loads(bytes(tensors.pop("table").numpy())))
    known = table["mos"].notna().to_numpy()
    waveforms = [tensors[key].float().numpy() for key, has in zip(sorted(tensors), known, strict=True) if has]
    table = table[known].reset_index(drop=True)
    return Rated(waveforms, table["mos"].to_numpy(float)), table


CALLS = {True: "calls_synthetic", False: "calls_real"}


def p835(wanted_hash: str, rate: int = RATE) -> tuple[Rated, pd.DataFrame]:
    """P.835's files with the listeners' overall score, and a row each."""
    corpus = registry.load("p835")
    require_hash("p835", corpus.hash, wanted_hash)
    waveforms = [audio.load_mono(path, rate) for path in corpus.paths()]
    table = corpus.table[["set", "condition", "talker", "mos_ovrl"]].rename(columns={"mos_ovrl": "mos"})
    about = table.assign(test=table["set"], source="p835", language="en").reset_index(drop=True)
    return Rated(waveforms, table["mos"].to_numpy(float)), about
