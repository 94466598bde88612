"""The plan of the chapter on explaining NISQA (Tilkorn et al., DAGA 2021): its parameters, networks, materials, and trials."""

from functools import cache
from typing import Any

import pandas as pd

from ...corpora import known_impairments, registry
from ...explain.attribution import BASELINES
from ...learning import own_networks
from ...models import weights
from ...results import frame
from ...results.trials import Trial
from ..listeners import listeners_trials, synthetic_trial
from ..shared import ChapterSettings
from .inputs import FILE
from .roles import roles
from .trials import (
    ActivityTrial,
    AttributionTrial,
    ConductanceTrial,
    DeadUnitsTrial,
    FeaturesTrial,
    FiguresTrial,
    StabilityTrial,
)
from .trials_known_truth import DimensionsTrial, LocalisationTrial, SoundAloneTrial
from .trials_occlusion import OcclusionSurveyTrial, OcclusionTrial, PaddedOcclusionTrial

SLUG = "nisqa_explained"
CORPORA = {"demo": ("polyglot",), "paper": ("p835",)}  # the page says what also needs the asterisk prompts

PAPERS_LAYOUT = "nisqa-tts"  # standard CNN with 20 outputs and BiLSTM: the network closest to the paper's
CNN20_NETWORKS = (PAPERS_LAYOUT, "prompts-pesq-20", "prompts-pesq-20-relu")  # every network with the paper's 20 outputs
ATTENTION_NETWORKS = ("nisqa", weights.OWN)  # with self-attention; some of their hundreds of outputs are explained
BOTH = (False, True)  # trained, and with shuffled weights
DEMO_NETWORK = "prompts-pesq-20"
LOCALISATION_CUTS = ("cut-80-4", "cut-320-4")  # conditions whose cuts the maps should localise
ONE_TALKER = ("m1",)
FIVE_CONDITIONS = ("c0", "c3", "c6", "c9", "c12")
TWO_TALKERS = ("en", "fr")  # of the controlled set, where four would take most of an hour
QUIET = ("clean", "clip-0.01", "mnru-30")  # of the controlled set: their pauses hold the quiet room and nothing else
CUTS = ("cut-80-1", "cut-80-4", "cut-320-1")
BAND_LIMIT = "band-300-3400"
LOCALISED = (
    "clean",
    BAND_LIMIT,
    *(c for c, r in known_impairments.CONDITIONS.items() if r["kind"] in ("stretch", "cut")),
)
# Share of the training material and epochs of a network with the ReLU: less material, and less material with as many steps.
MATERIAL_SHARES = ((1 / 16, 7), (1 / 16, 28), (1 / 4, 7), (1.0, 7))
DEMO_CONDITIONS = ("clean", "cut-80-4", "noise-pink-0", "noise-pink-20")  # what identifies the features' roles in the demonstration

Settings = ChapterSettings


def trials(settings: Settings) -> list[Trial]:
    """What the profile runs with what is on this machine."""
    return _demo_trials() if settings.profile == "demo" else _paper_trials()


def _fields(network: str, corpus: str, **more: Any) -> dict[str, Any]:
    return {
        "study": SLUG,
        "data_status": "synthetic" if corpus == "polyglot" else "real",
        "model_status": "random" if more.get("randomised") else "other",
        "network": network,
        "weights_hash": weights.hash_of(network),
        "corpus": corpus,
        "corpus_hash": _corpus_hash(corpus),
        **more,
    }


@cache
def _corpus_hash(corpus: str) -> str:
    return registry.load("p835").hash if corpus == "p835" else known_impairments.corpus_hash(corpus)  # type: ignore[arg-type]


def _demo_trials() -> list[Trial]:
    return [
        synthetic_trial(),
        OcclusionTrial(**_fields(DEMO_NETWORK, "polyglot", file="demo")),
        FeaturesTrial(**_fields(DEMO_NETWORK, "polyglot", conditions=DEMO_CONDITIONS)),
        AttributionTrial(**_fields(DEMO_NETWORK, "polyglot", conditions=("clean", "cut-80-4"), talkers=("en-m6",))),
    ]


def figure_trials(settings: Settings, found: pd.DataFrame) -> list[Trial]:
    """The maps of one file by the paper's layout and by ours; which features are shown, the record of `FeaturesTrial` says."""
    corpus, file, roles_from = ("polyglot", "demo", "polyglot") if settings.profile == "demo" else ("p835", FILE, "prompts")
    return [
        FiguresTrial(**_fields(r.trial["network"], corpus, file=file, show=tuple(dict.fromkeys(roles(r).values()))))
        for r in frame.records(found, "features", corpus=roles_from, randomised=False)
        if r.trial["network"] in (PAPERS_LAYOUT, DEMO_NETWORK)
    ]


def _paper_trials() -> list[Trial]:
    """What P.835 allows, and with the asterisk prompts what the controlled set allows."""
    planned: list[Trial] = list(listeners_trials(SLUG, ("fullband",)))
    explained = [n for n in weights.found_networks() if n in weights.OFFICIAL or n in own_networks.RECIPES]
    found, prompts = dict.fromkeys(explained), registry.find("asterisk") is not None
    for name in found:
        planned.append(OcclusionTrial(**_fields(name, "p835", file=FILE)))
        planned.append(OcclusionSurveyTrial(**_fields(name, "p835")))
    planned += [PaddedOcclusionTrial(**_fields(n, "p835", file=FILE)) for n in (PAPERS_LAYOUT,) if n in found]
    for name in [n for n in (*ATTENTION_NETWORKS, *CNN20_NETWORKS) if n in found]:
        planned.append(StabilityTrial(**_fields(name, "p835", talkers=ONE_TALKER, conditions=FIVE_CONDITIONS)))
    for name in [n for n in CNN20_NETWORKS if n in found]:
        planned += _attribution_trials(name)
    if prompts:
        planned += _dead_units_trials()
        for name in [n for n in ("nisqa",) if n in found]:
            known = {"conditions": LOCALISED, "limit": BAND_LIMIT}
            planned += [
                DimensionsTrial(**_fields(name, "prompts", **known, baseline=b, randomised=r)) for r in BOTH for b in ("floor", "zero")
            ]
        planned += [SoundAloneTrial(**_sound_alone(b)) for b in ("floor", "zero")]
        for name in [n for n in ATTENTION_NETWORKS if n in found]:
            planned += [LocalisationTrial(**_fields(name, "prompts"))]
            planned += [LocalisationTrial(**_fields(name, "prompts", baseline="zero", talkers=TWO_TALKERS))]
            planned += [LocalisationTrial(**_fields(name, "prompts", randomised=True, talkers=TWO_TALKERS))]
        planned += [OcclusionSurveyTrial(**_fields(n, "prompts")) for n in (*CNN20_NETWORKS, "nisqa") if n in found]
        planned += [OcclusionSurveyTrial(**_fields(n, "prompts", fill="mean")) for n in ("nisqa",) if n in found]
        planned += [t for n in CNN20_NETWORKS if n in found for t in _controlled_trials(n)]
    return planned


def _attribution_trials(name: str) -> list[Trial]:
    """Trials on the 20 outputs, on real recordings."""
    some = {"talkers": ONE_TALKER, "conditions": FIVE_CONDITIONS}
    return [
        AttributionTrial(**_fields(name, "p835")),
        ActivityTrial(**_fields(name, "p835")),
        AttributionTrial(**_fields(name, "p835", steps=200, **some)),
        AttributionTrial(**_fields(name, "p835", randomised=True, **some)),
        AttributionTrial(**_fields(name, "p835", steps=200, randomised=True, **some)),
        OcclusionSurveyTrial(**_fields(name, "p835", randomised=True)),
        ConductanceTrial(**_fields(name, "p835", talkers=ONE_TALKER)),
        ConductanceTrial(**_fields(name, "p835", talkers=ONE_TALKER, conditions=FIVE_CONDITIONS, randomised=True)),
    ]


def _sound_alone(baseline: str) -> dict[str, Any]:
    fields = {"study": SLUG, "data_status": "real", "corpus": "prompts", "corpus_hash": _corpus_hash("prompts")}
    return fields | {"front_end": "nisqa", "conditions": LOCALISED, "baseline": baseline}


def _dead_units_trials() -> list[Trial]:
    fields: dict[str, Any] = {
        "study": SLUG,
        "data_status": "real",
        "model_status": "other",
        "recipe": "prompts-pesq-20-relu",
        "material_hash": _corpus_hash("prompts"),
    }
    return [
        DeadUnitsTrial(**fields, share=share, epochs=epochs, seed=seed)
        for share, epochs in MATERIAL_SHARES
        for seed in ((1, 2) if share < 1 else (1,))
    ]


def _controlled_trials(name: str) -> list[Trial]:
    """Trials on the 20 outputs that need known truth."""
    two: dict[str, Any] = {"talkers": TWO_TALKERS}
    return [
        FeaturesTrial(**_fields(name, "prompts")),
        FeaturesTrial(**_fields(name, "prompts", randomised=True)),
        OcclusionSurveyTrial(**_fields(name, "prompts", randomised=True)),
        *(AttributionTrial(**_fields(name, "prompts", conditions=QUIET, baseline=b, randomised=r, **two)) for r in BOTH for b in BASELINES),
        *(AttributionTrial(**_fields(name, "prompts", conditions=CUTS, randomised=r, **two)) for r in BOTH),
        LocalisationTrial(**_fields(name, "prompts")),
        LocalisationTrial(**_fields(name, "prompts", baseline="zero", **two)),
        LocalisationTrial(**_fields(name, "prompts", randomised=True, **two)),
    ]
