"""The plan of the chapter on HuMP-CAT: source, targets and shares, the variants of the network, and the grid of trials."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from functools import cache
from itertools import combinations, product
from typing import Any, ClassVar, Literal

from ...corpora import registry
from ...corpora.emotion import catalogue
from ...errors import SettingsError
from ...learning.humpcat import TrainSettings
from ...models import encoder_catalogue
from ...models.humpcat import HumpcatSettings
from ...prosody import DISVOICE, ProsodySettings
from ...results.trials import Trial
from ..emotion import usual_features
from ..shared import GridSettings
from .trials import CLASSES, AttentionTrial, Layers, MixedSourceTrial, SourceTrial, Start, TransferTrial
from .trials_controls import COMMON, PermutedTrial, ShuffledTrial, SizeMatchedTrial

SLUG = "humpcat"
CORPORA: dict[str, tuple[str, ...]] = {"demo": ("polyglot-acted",), "paper": ()}

PAPERS_SOURCE, PAPERS_ENCODER = "iemocap", "hubert-base-ls960"
PAPERS_TARGETS = ("emodb", "emovo")  # the two of seven that what is known of the paper names
SOURCES = (PAPERS_SOURCE, "ravdess")  # the first that is found
# HuBERT first, then encoders of its size, then smaller ones, with their layers: the first that is found.
ENCODERS = {
    PAPERS_ENCODER: 12, "wavlm-base-plus": 12, "wav2vec2-base": 12, "whisper-small": 12, "whisper-small-int8": 12, "whisper-base": 6,
    "whisper-tiny": 4,
}  # fmt: skip

PAPERS_WIDTH, PAPERS_EPOCHS = 252, 50
WIDTH, SOURCE_EPOCHS, EPOCHS = 64, 20, 30  # sizes with which two cores run the whole grid
# DisVoice as it is, but for the level of a frame of zeros, which would decide every mean that it enters.
PROSODY = replace(DISVOICE, silent_db=-100.0)
SEEDS = (0, 1, 2)
SHARE = 0.25
SHARES = (0.0, 0.01, 0.05, 0.1, 0.25, 0.33, 0.5, 1.0)
EACH = 60  # files of a class in size-matched targets; EmoDB has 62 of sadness
PERMUTED = (0, 2, 3, 4)  # how many of the four labels are permuted in a control

STARTS: tuple[Start, ...] = ("random", "source")

DEMO_LANGUAGES = ("de", "it")


class Settings(GridSettings):
    """The notebook's parameters. targets : names of corpora, separated by commas; all that are found where nothing is named. width : of the
    cross-attention; 252 is the paper's. epochs : of the source and of tuning; 50 is the paper's, 0 takes the book's own numbers."""

    NARROWED: ClassVar[dict[str, str]] = GridSettings.NARROWED | {"targets": "target"}

    targets: str = ""
    width: int = WIDTH
    epochs: int = 0


@dataclass(frozen=True)
class Variant:
    """What differs from the reference network and its training. layers : of the encoder, as counted in one of 12 layers."""

    network: tuple[tuple[str, Any], ...] = ()
    training: tuple[tuple[str, Any], ...] = ()
    layers: Layers = (1, 9)
    prosody: ProsodySettings = PROSODY


def _network(**changes: Any) -> Variant:
    return Variant(network=tuple(changes.items()))


def _training(cosine: bool = True, **changes: Any) -> Variant:
    return Variant(network=() if cosine else (("cosine", False),), training=tuple(changes.items()))


USUAL = "reference network"
# In the order of their importance: what the claims need comes first.
VARIANTS: dict[str, Variant] = {
    USUAL: Variant(),
    "concatenation": _network(fusion="concatenation"),
    "one stage": _network(stages=1),
    "without encoder": _network(streams=("mfcc", "prosody")),
    "without MFCCs": _network(streams=("encoder", "prosody")),
    "without prosody": _network(streams=("encoder", "mfcc")),
    "layer 1": Variant(network=(("encoder_layers", 1),), layers=(1,)),
    "layer 9": Variant(network=(("encoder_layers", 1),), layers=(9,)),
    "last layer": Variant(network=(("encoder_layers", 1),), layers=(12,)),
    "softmax": _training(cosine=False, loss="softmax"),
    "margin 0": _training(margin=0.0),
    "prosody over time": _network(contours=True),
    "gate": _network(fusion="gate"),
    "mean": _network(fusion="mean"),
    "margin 0.2": _training(margin=0.2),
    "margin 0.5": _training(margin=0.5),
    "DisVoice without its traps": Variant(prosody=ProsodySettings()),
    "trap left out: last segments dropped": Variant(prosody=replace(PROSODY, drop_last=False)),
    "trap left out: few segments give 0": Variant(prosody=replace(PROSODY, zero_few=False)),
    "trap left out: a single duration gives 0": Variant(prosody=replace(PROSODY, two_durations=False)),
    "trap left out: undefined numbers": Variant(prosody=replace(PROSODY, keep_undefined=False)),
    "trap left out: noise differs between files": Variant(prosody=replace(PROSODY, running_dither=False)),
    "trap added: silence at -1e30 dB": Variant(prosody=DISVOICE),
    "Praat's pitch": Variant(prosody=replace(PROSODY, pitch="praat")),
    "1 head": _network(heads=1),
    "8 heads": _network(heads=8),
    "depth 2": _network(depth=2),
    "width 128": _network(width=128),
    "width 252": _network(width=252),
}
# What claims are about is tried with the source too, at five times the cost; the rest on the target alone.
FROM_SOURCE = list(VARIANTS)[1 : list(VARIANTS).index("margin 0") + 1]
# Pairs of layers, for a map; the paper's own is the reference. Each is trained on the target alone, for one draw of speakers.
MAP_LAYERS = (1, 3, 5, 7, 9, 12)
LAYER_PAIRS = {f"layers {a} and {b}": Variant(layers=(a, b)) for a, b in combinations(MAP_LAYERS, 2) if (a, b) != VARIANTS[USUAL].layers}
ALL_VARIANTS = VARIANTS | LAYER_PAIRS


def layers_of(count: int, of_twelve: Sequence[int]) -> Layers:
    """Layers of an encoder with so many, at the relative depth that these have among HuBERT's 12."""
    return tuple(max(1, count * layer // 12) for layer in of_twelve)


def trials(settings: Settings) -> list[Trial]:
    """Transfers at the usual share and their counterparts on the target only; other shares; variants; controls; the source by itself.

    Raises
    ------
    SettingsError
        A width that four heads cannot divide, or a negative number of epochs.
    """
    if settings.width < 4 or settings.width % 4 or settings.epochs < 0:
        raise SettingsError(f"The width must be a multiple of 4 and epochs not negative, not {settings.width} and {settings.epochs}.")
    if settings.profile == "demo":
        return _demo()
    source, encoder, targets = found_source(), found_encoder(), found_targets()
    if not (source and encoder and targets):
        return []
    plan = Plan(source, encoder, settings)
    planned: list[Trial] = [plan.transfer(t, start, SHARE, seed) for seed in SEEDS for t in targets for start in STARTS]
    planned += [plan.attention(t) for t in targets]
    planned += [plan.transfer(t, "source", SHARE, seed, by="file") for seed in SEEDS for t in targets]
    for share in (s for s in SHARES if s != SHARE):
        starts = STARTS if share else STARTS[1:]
        planned += [plan.transfer(t, start, share, seed) for seed in SEEDS for t in targets for start in starts]
    variants: list[tuple[Start, str]] = [("random", v) for v in VARIANTS if v != USUAL] + [("source", v) for v in FROM_SOURCE]
    planned += [plan.transfer(t, start, SHARE, seed, variant) for start, variant in variants for seed in SEEDS for t in targets]
    planned += [plan.transfer(t, "random", SHARE, SEEDS[0], pair) for pair in LAYER_PAIRS for t in targets if _differs(pair, encoder)]
    matched = [t for t in targets if _has_common_classes(t)]
    planned += [plan.control(SizeMatchedTrial, t, start, SHARE, seed, each=EACH) for seed in SEEDS for t in matched for start in STARTS]
    for seed, t, share in product(SEEDS, targets, (SHARE, 0.0)):
        planned.append(plan.control(PermutedTrial, t, "source", share, seed, permuted=len(CLASSES)))
        planned.append(plan.control(ShuffledTrial, t, "source", share, seed))
    return planned + plan.sources() + _permuted_voices(settings)


@cache
def _has_common_classes(target: str) -> bool:
    """Whether a target can be cut to the common size."""
    counts = registry.load(target).table["emotion"].value_counts().reindex(COMMON, fill_value=0)
    return int(counts.min()) >= EACH


def _differs(pair: str, encoder: str) -> bool:
    """Whether a pair of layers is one of its own in an encoder with fewer layers than HuBERT, and not an earlier pair or a single layer."""
    layers = _layers_of_all(encoder)
    return len(set(layers[pair])) == 2 and next(name for name, of in layers.items() if of == layers[pair]) == pair


@cache
def _layers_of_all(encoder: str) -> dict[str, Layers]:
    """The layers of every variant that has two."""
    return {name: layers_of(ENCODERS[encoder], v.layers) for name, v in ALL_VARIANTS.items() if len(v.layers) == 2}


def found_source() -> str | None:
    return next((name for name in SOURCES if registry.find(name) is not None), None)


def found_encoder() -> str | None:
    return next((name for name in ENCODERS if encoder_catalogue.available(name)), None)


def found_targets() -> list[str]:
    """Corpora on this machine that can be targets: all but the sources, those of the paper first."""
    others = (name for name in catalogue.CORPORA if name not in (*SOURCES, *PAPERS_TARGETS))
    return [name for name in (*PAPERS_TARGETS, *others) if registry.find(name) is not None]


class Plan:
    """Trials that share a source, an encoder and the sizes of network and training."""

    def __init__(self, source: str, encoder: str, settings: Settings):
        self.source, self.encoder, self.width = source, encoder, settings.width
        self.encoder_width, self.weights_hash = encoder_catalogue.shape(encoder)[1], encoder_catalogue.weights_hash(encoder)
        self.source_training = TrainSettings(epochs=settings.epochs or SOURCE_EPOCHS)
        self.tuning = TrainSettings(epochs=settings.epochs or EPOCHS)

    def transfer(
        self,
        target: str,
        start: Start,
        share: float,
        seed: int,
        variant: str = USUAL,
        by: Literal["speaker", "file"] = "speaker",
    ) -> TransferTrial:
        chosen = ALL_VARIANTS[variant]
        tuning = replace(self.tuning, **dict(chosen.training))
        return TransferTrial(**self._common(chosen, target), **_aim(target), start=start, share=share, by=by, tuning=tuning, seed=seed)

    def attention(self, target: str, emotion: str = "anger") -> AttentionTrial:
        common = self._common(VARIANTS[USUAL], target)
        return AttentionTrial(**common, **_aim(target), start="source", share=SHARE, tuning=self.tuning, seed=0, emotion=emotion)

    def control(self, kind: type[TransferTrial], target: str, start: Start, share: float, seed: int, **fields: Any) -> TransferTrial:
        common = self._common(VARIANTS[USUAL], target)
        return kind(**common, **_aim(target), start=start, share=share, tuning=self.tuning, seed=seed, **fields)

    def sources(self) -> list[Trial]:
        """The source's speakers, each left out once; then as many files regardless of speaker."""
        speakers = sorted(registry.load(self.source).table["speaker"].unique())
        common = self._common(VARIANTS[USUAL], self.source)
        return [kind(**common, held_out=speaker, seed=0) for kind in (SourceTrial, MixedSourceTrial) for speaker in speakers]

    def _common(self, variant: Variant, tested: str) -> dict[str, Any]:
        network = HumpcatSettings(encoder_width=self.encoder_width, width=self.width, classes=len(CLASSES))
        return {
            "study": SLUG,
            "data_status": data_status([self.source, tested]),
            "model_status": self._model_status(variant),
            "source": self.source,
            "source_hash": _hash(self.source),
            "source_features": usual_features(self.source),
            "encoder": self.encoder,
            "weights_hash": self.weights_hash,
            "layers": layers_of(ENCODERS[self.encoder], variant.layers),
            "network": replace(network, **dict(variant.network)),
            "prosody": variant.prosody,
            "source_training": replace(self.source_training, **dict(variant.training)),
        }

    def _model_status(self, variant: Variant) -> Literal["paper", "other"]:
        sizes = (self.width, self.source_training.epochs, self.tuning.epochs)
        papers = variant == VARIANTS[USUAL] and self.encoder == PAPERS_ENCODER and sizes == (PAPERS_WIDTH, PAPERS_EPOCHS, PAPERS_EPOCHS)
        return "paper" if papers else "other"


def _aim(target: str) -> dict[str, Any]:
    return {"target": target, "target_hash": _hash(target), "target_features": usual_features(target)}


def data_status(corpora: Iterable[str]) -> Literal["paper", "real", "synthetic"]:
    """ "paper" if all of these corpora are the paper's own."""
    papers = (PAPERS_SOURCE, *PAPERS_TARGETS)
    statuses = {"paper" if name in papers else "synthetic" if registry.known(name).status == "synthetic" else "real" for name in corpora}
    return next(s for s in ("synthetic", "real", "paper") if s in statuses)  # type: ignore[return-value]


@cache
def _hash(corpus: str) -> str:
    return registry.load(corpus).hash


def _demo() -> list[Trial]:
    """English to German and Italian, synthetic voices and an encoder that needs no weights: does the machinery learn the built-in rules?"""
    common = _synthetic(16, 10, 10)
    return [TransferTrial(**common, target_languages=(x,), start=start, share=SHARE) for x, start in product(DEMO_LANGUAGES, STARTS[::-1])]


def _permuted_voices(settings: Settings) -> list[Trial]:
    """A control on the voices of the demo, whose emotions are acted by known rules."""
    common = _synthetic(settings.width, settings.epochs or SOURCE_EPOCHS, settings.epochs or EPOCHS)
    cells: list[tuple[int, Start, float]] = [(0, "random", SHARE), *((n, "source", x) for n in PERMUTED for x in (SHARE, 0.0))]
    return [
        PermutedTrial(**common, target_languages=(language,), start=start, share=share, seed=seed, permuted=permuted)
        for (permuted, start, share), seed, language in product(cells, SEEDS, DEMO_LANGUAGES)
    ]


def _synthetic(width: int, source_epochs: int, epochs: int) -> dict[str, Any]:
    """What trials on `polyglot-acted` have in common, English being the source."""
    mini = encoder_catalogue.MINI
    layers, encoder_width = encoder_catalogue.shape(mini)
    return {
        "study": SLUG, "data_status": "synthetic", "model_status": "random", "source": "polyglot-acted",
        "source_hash": _hash("polyglot-acted"), "source_languages": ("en",), "encoder": mini,
        "weights_hash": encoder_catalogue.weights_hash(mini), "layers": layers_of(layers, (1, 9)),
        "network": HumpcatSettings(encoder_width=encoder_width, width=width, classes=len(CLASSES)), "prosody": PROSODY,
        "source_training": TrainSettings(epochs=source_epochs), "tuning": TrainSettings(epochs=epochs), "target": "polyglot-acted",
        "target_hash": _hash("polyglot-acted"),
    }  # fmt: skip
