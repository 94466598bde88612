"""The paper "Using Large Speech Models for Feature Extraction in Cross-Lingual Speech Emotion Recognition" (CLiC-it 2024)."""

from functools import cache
from typing import Any

from ..corpora import emotions, registry, splits
from ..features import FeatureSettings
from ..models import encoders
from ..models.probes import HEADS
from ..probing import ProbeSettings
from ..trials import Trial
from .common import ChapterSettings
from .speech_models_trials import AcrossTrial, LayersTrial, ProbeTrial

SLUG = "speech_models"
CORPORA: dict[str, tuple[str, ...]] = {"demo": (), "paper": ()}  # each corpus that is found takes part; the page says which are not
Settings = ChapterSettings
SEEDS = range(5)
# In the order in which they are worth waiting for.
ENCODERS = (*encoders.PAPER, "whisper-small-int8", "whisper-base", "whisper-tiny", "whisper-base.en", "whisper-tiny.en")
CONTROLS = ("random-whisper-base",)


def trials(settings: Settings) -> list[Trial]:
    """What the profile runs with what is on this machine."""
    return _paper_trials() if settings.profile == "paper" else []


def found_encoders() -> list[str]:
    return [name for name in (*ENCODERS, *CONTROLS) if encoders.find(name) is not None]


def found_corpora() -> list[str]:
    return [name for name in emotions.CORPORA if registry.find(name) is not None]


@cache
def _corpus_hash(corpus: str) -> str:
    return registry.load(corpus).hash


@cache
def _split_hash(corpus: str, protocol: splits.Protocol) -> str:
    return splits.make(registry.load(corpus), protocol).hash


def _heard(corpus: str) -> FeatureSettings:
    # EMOVO's two channels are two microphones; their mean is comb-filtered.
    return FeatureSettings(channel="left") if corpus == "emovo" else FeatureSettings()


def _fields(corpus: str, encoder: str, **more: Any) -> dict[str, Any]:
    return {
        "study": SLUG,
        "data_status": emotions.CORPORA[corpus].status,
        "model_status": "paper" if encoder in encoders.PAPER else "random" if encoder.startswith(encoders.RANDOM) else "other",
        "corpus": corpus,
        "corpus_hash": _corpus_hash(corpus),
        "encoder": encoder,
        "weights_hash": encoders.weights_hash(encoder),
        "features": _heard(corpus),
        **more,
    }


def _probe(corpus: str, encoder: str, settings: ProbeSettings, seed: int, protocol: splits.Protocol = "speaker") -> ProbeTrial:
    return ProbeTrial(**_fields(corpus, encoder, settings=settings, seed=seed, protocol=protocol, split_hash=_split_hash(corpus, protocol)))


def _paper_trials() -> list[Trial]:
    planned: list[Trial] = []
    for encoder in found_encoders():
        for head in HEADS:
            planned += [_probe(c, encoder, ProbeSettings(head), seed) for c in found_corpora() for seed in SEEDS]  # type: ignore[arg-type]
    for encoder in found_encoders():
        for corpus in found_corpora():
            planned += beyond(corpus, encoder)
    return planned


def beyond(corpus: str, encoder: str) -> list[Trial]:
    """What the paper leaves open, with the Linear head: other splits, other settings, each layer, other corpora."""
    out: list[Trial] = []
    for seed in SEEDS:
        out += [_probe(corpus, encoder, ProbeSettings("linear"), seed, protocol) for protocol in ("loso", "stratified")]
        out += [_probe(corpus, encoder, settings, seed) for settings in OTHER_SETTINGS]
        out.append(LayersTrial(**_fields(corpus, encoder, seed=seed, protocol="speaker", split_hash=_split_hash(corpus, "speaker"))))
        others = [other for other in found_corpora() if other != corpus]
        out += [
            AcrossTrial(**_fields(corpus, encoder, seed=seed, target=o, target_hash=_corpus_hash(o), target_features=_heard(o)))
            for o in others
        ]
    return out


OTHER_SETTINGS = (
    ProbeSettings("weighted-linear"),
    ProbeSettings("weighted-linear", normalise_layers=True),
    ProbeSettings("linear", standardise=True),
    ProbeSettings("linear", epochs=100),
    ProbeSettings("linear", class_weights=False),
    ProbeSettings("linear", schedule="none"),
    ProbeSettings("linear", keep="last"),
)
