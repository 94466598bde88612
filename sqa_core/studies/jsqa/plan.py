"""The plan of the chapter on JSQA: pairs and judgements, the starts that are compared, and the grid of trials."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any, Literal

import torch

from ... import environment
from ...corpora import dpam_jnd, jnd_pairs, registry
from ...learning import quality_material
from ...learning.calls_networks import TRAIN_VOICES, VALID_VOICES
from ...learning.jsqa import PretrainSettings, TuneSettings
from ...learning.quality_material import Part
from ...models import encoder_catalogue, predictors
from ...models.jsqa import CDPAM_FILE, CDPAM_RATE, EncoderSettings
from ...results.trials import Trial
from ..shared import GridSettings
from .trials import (
    ArmTrial,
    HeadTrial,
    JudgementTrial,
    ListenersSurfaceTrial,
    Material,
    PredictorTrial,
    SpeechModelArmTrial,
    SurfaceTrial,
    material_hash,
    version_of,
)
from .trials_embedding import DistanceTrial, EmbeddingTrial
from .trials_listeners import ListenersTrial

SLUG = "jsqa"
CORPORA: dict[str, tuple[str, ...]] = {"demo": (), "paper": ("asterisk", "clean_voices", "p835")}


class Settings(GridSettings):
    """The notebook's parameters. size : "paper" trains the arms at the size of the paper (26 million parameters, 64 pairs of 3 s a step), in
    bfloat16, for a GPU; "book" has what two cores train in hours, and all other trials."""

    size: Literal["book", "paper"] = "book"


KINDS = ("applause", "blue_noise", "brown_noise", "crickets", "mp3", "pink_noise", "reverb_noise", "siren")
MIDPOINTS_DB = (2.0, 3.0, 4.0, 6.0, 8.0)  # of the psychometric function: 3 in the literature, the others to see what 96.73 % would need

# The paper's networks have base width 64; two cores train width 4 (0.10 million parameters) in hours.
ENCODER = EncoderSettings(width=4)
# 8 pairs a step give the paper's one positive and 14 negatives. Its number of steps is not known; 400 take seven minutes on two cores.
PRETRAINING = PretrainSettings(ENCODER, replace(jnd_pairs.PairLaw(), seconds=1.0), pairs=8, steps=100, epochs=4, learning_rate=1e-3)
TUNING = TuneSettings(seconds=1.0, batch_size=16, epochs=8, learning_rate=1e-3)
HEAD_TUNING = replace(TUNING, epochs=100)  # on embeddings that are computed once, an epoch takes a fraction of a second
# A quarter of P.835 has about forty files, so batches are smaller and epochs more.
LISTENERS_TUNING = TuneSettings(seconds=1.0, batch_size=8, epochs=30, learning_rate=1e-3, keep="last")
PAPERS_PRETRAINING = PretrainSettings(mixed_precision="bf16")
PAPERS_TUNING = TuneSettings(mixed_precision="bf16")
CDPAM = EncoderSettings(rate=CDPAM_RATE)
SEEDS = (0, 1, 2, 3, 4)
CONTROL_SEEDS = (0, 1, 2)
TALKER_DRAWS = 6  # of listeners' judgements: all of them, and five draws of talkers for an interval
CONTROLS = ("0 to 3 dB", "0 to 6 dB", "0 to 12 dB", "10 to 20 dB", "equal SNR", "crops", "shuffled")

# What encoders are pretrained on, by the name of their start.
PRETRAININGS = {"2 to 6 dB": PRETRAINING, "with head": replace(PRETRAINING, head=True)}
PRETRAININGS |= {n: replace(PRETRAINING, law=replace(jnd_pairs.LAWS[n], seconds=PRETRAINING.law.seconds)) for n in CONTROLS}

# Learning curves, beside the arms above: epochs of pretraining, and labelled calls of the 400 that are tuned on.
PRETRAINING_EPOCHS = (1, 2, 8)
LABELLED = (50, 100, 200)

CLEAN = tuple(("asterisk", language) for language in ("en", "es", "fr", "it", "ru"))
TEST_VOICES = ("m2", "m4", "m6", "f4")
TRAIN = (Part("polyglot", "en", 150, 21, TRAIN_VOICES, "train", True), Part("asterisk", "en", 250, 22, None, "train", True))
VALID = (Part("polyglot", "en", 20, 23, VALID_VOICES, "valid", True), Part("asterisk", "en", 40, 24, None, "valid", True))
TESTS = (
    Part("polyglot", "en", 60, 25, TEST_VOICES),
    *(Part("clean_voices", language, 40, 25) for language in ("en", "de", "zh", "nl")),
)

DEMO_TUNING = TuneSettings(seconds=1.0, batch_size=4, epochs=2, learning_rate=1e-3)
DEMO_ENCODER = EncoderSettings(width=2)
DEMO_TRAIN = (Part("polyglot", "en", 12, 21, TRAIN_VOICES, "train"),)
DEMO_VALID = (Part("polyglot", "en", 6, 23, VALID_VOICES, "valid"),)
DEMO_TESTS = (Part("polyglot", "en", 8, 25, TEST_VOICES),)


def trials(settings: Settings) -> list[Trial]:
    """Judgements, surfaces and distances; arms from each start with their seeds. What a machine lacks is left out."""
    surfaces: list[Trial] = [SurfaceTrial(**_about("synthetic"), midpoint_db=m, seed=s) for m in MIDPOINTS_DB for s in CONTROL_SEEDS]
    if settings.profile == "demo":
        arm = _arm("scratch", DEMO_ENCODER, DEMO_TUNING, DEMO_TRAIN, DEMO_VALID, DEMO_TESTS)
        return [SurfaceTrial(**_about("synthetic"), pairs=600), ArmTrial(**_about("synthetic"), **arm)]
    if settings.size == "paper":
        return at_papers_size()
    planned = surfaces
    if judgements := _judgements():
        planned += [JudgementTrial(**_about("real"), held_out=kind, judgements=judgements) for kind in KINDS]
        planned += [ListenersSurfaceTrial(**_about("real"), judgements=judgements, seed=seed) for seed in range(TALKER_DRAWS)]
    test_sounds = _material(tuple(("clean_voices", language) for language in ("en", "de", "zh", "nl")), "test")
    encoders = ("random", "cdpam") if _has_cdpam() else ("random",)
    planned += [DistanceTrial(**_about("real"), encoder=encoder, sounds=test_sounds) for encoder in encoders]
    return planned + _predictors() + _speech_model_arms() + arms() + embeddings(test_sounds) + curves() + heads() + on_listeners()


def _predictors() -> list[Trial]:
    """What a user would take instead, as far as it is on this machine."""
    common = {"tests": TESTS, "material": quality_material.parts_hash(TESTS), "listeners": registry.load("p835").hash}
    return [
        PredictorTrial(**_about("real"), predictor=name, version=version, **common)
        for name in ("nisqa", *predictors.PREDICTORS)
        if (version := version_of(name))
    ]


SPEECH_MODELS = ("whisper-base", "whisper-tiny")


def _speech_model_arms() -> list[Trial]:
    """The same head on frozen Whisper features, with the larger one that is found."""
    name = next((n for n in SPEECH_MODELS if encoder_catalogue.available(n)), None)
    if name is None:
        return []
    fields = _arm(name, ENCODER, replace(TUNING, frozen=True), TRAIN, VALID, TESTS)
    about = _about("real") | {"listeners": registry.load("p835").hash, "weights_hash": encoder_catalogue.weights_hash(name)}
    return [SpeechModelArmTrial(**about, **fields, seed=seed) for seed in CONTROL_SEEDS]


def arms() -> list[Trial]:
    """Networks from each start, in the order in which they matter."""
    arm = _arms()
    planned: list[Trial] = []
    for seed in SEEDS:
        planned += [arm(start, seed) for start in ("scratch", "2 to 6 dB", "with head")]
    for seed in CONTROL_SEEDS:
        planned += [arm(name, seed) for name in CONTROLS]
    if _has_cdpam() and torch.accelerator.is_available():  # 26 million parameters: days on a CPU
        planned += [arm("cdpam", seed, encoder=CDPAM) for seed in CONTROL_SEEDS]
    return planned


def at_papers_size() -> list[Trial]:
    """The first three arms and the controls with the paper's network. Batch, steps and epochs are ours, since the paper does not state them."""
    arm, planned = _arms(), []
    for seed in SEEDS:
        for start in ("scratch", "2 to 6 dB", "with head", *(CONTROLS if seed in CONTROL_SEEDS else ())):
            fields: dict[str, Any] = {"encoder": EncoderSettings(), "tuning": PAPERS_TUNING}
            if usual := PRETRAININGS.get(start):
                law = replace(usual.law, seconds=PAPERS_PRETRAINING.law.seconds)
                fields["pretraining"] = replace(PAPERS_PRETRAINING, law=law, head=usual.head)
            planned.append(arm(start, seed, **fields))
    return planned


def heads() -> list[Trial]:
    """The head alone on each frozen encoder: untrained and pretrained, ours and CDPAM's."""
    arm = _arms(HeadTrial)
    big = ("cdpam", "cdpam untrained") if _has_cdpam() else ()
    planned = []
    for seed in CONTROL_SEEDS:
        planned += [arm(start, seed, tuning=HEAD_TUNING) for start in ("scratch", "2 to 6 dB")]
        planned += [arm(start, seed, tuning=HEAD_TUNING, encoder=CDPAM) for start in big]
    return planned


def curves() -> list[Trial]:
    """Learning curves: more and less pretraining, and fewer labelled calls with and without it."""
    arm, paper = _arms(), "2 to 6 dB"
    planned = []
    for seed in CONTROL_SEEDS:
        planned += [arm(start, seed, labelled=calls) for calls in LABELLED for start in ("scratch", paper)]
        planned += [arm(paper, seed, pretraining=replace(PRETRAINING, epochs=epochs)) for epochs in PRETRAINING_EPOCHS]
    return planned


def on_listeners() -> list[Trial]:
    """The first three arms, tuned on listeners' scores."""
    common = {"encoder": ENCODER, "tuning": LISTENERS_TUNING, "listeners": registry.load("p835").hash}
    pairs, starts = _pairs(), ("scratch", "2 to 6 dB", "with head")
    return [ListenersTrial(**_about("real"), **common | _start(start, pairs), seed=seed) for seed in CONTROL_SEEDS for start in starts]


def _arms(kind: type[ArmTrial] = ArmTrial) -> Callable[..., Trial]:
    """What makes an arm of the published run from its start, its seed, and the fields in which it differs from the others."""
    common = _arm("scratch", ENCODER, TUNING, TRAIN, VALID, TESTS) | {"listeners": registry.load("p835").hash}
    pairs = _pairs()

    def arm(start: str, seed: int, **other: Any) -> Trial:
        return kind(**_about("real"), seed=seed, **(common | _start(start, pairs) | other))

    return arm


def _start(start: str, pairs: dict[str, Material]) -> dict[str, Any]:
    """The fields of a start; pairs : what `_pairs` gives, for those that are pretrained."""
    return {"start": start} | ({"pretraining": PRETRAININGS[start]} | pairs if start in PRETRAININGS else {})


def embeddings(sounds: Material) -> list[Trial]:
    """Encoders before and after pretraining, from each start."""
    common, pairs = _about("real") | {"encoder": ENCODER, "sounds": sounds}, _pairs()
    planned: list[Trial] = []
    for seed in CONTROL_SEEDS:
        planned.append(EmbeddingTrial(**common, start="untrained", seed=seed))
        planned += [EmbeddingTrial(**common, **pairs, start=name, seed=seed, pretraining=of) for name, of in PRETRAININGS.items()]
    return planned


def _arm(
    start: str,
    encoder: EncoderSettings,
    tuning: TuneSettings,
    train: tuple[Part, ...],
    valid: tuple[Part, ...],
    tests: tuple[Part, ...],
) -> dict[str, Any]:
    found = {"start": start, "encoder": encoder, "tuning": tuning, "train": train, "valid": valid, "tests": tests}
    return found | {"material": quality_material.parts_hash((*train, *valid, *tests))}


def _about(status: str) -> dict[str, Any]:
    return {"study": SLUG, "data_status": status, "model_status": "other"}


def _material(clean: tuple[tuple[str, str], ...], use: Any) -> Material:
    return Material(clean, use, material_hash(clean, use))


def _pairs() -> dict[str, Material]:
    """What pairs are made of, to train and to validate on."""
    return {"pairs": _material(CLEAN, "train"), "valid_pairs": _material(CLEAN, "valid")}


def _judgements() -> str:
    return dpam_jnd.load().hash if environment.find("data", dpam_jnd.FILE) else ""


def _has_cdpam() -> bool:
    return environment.find("weights", CDPAM_FILE) is not None
