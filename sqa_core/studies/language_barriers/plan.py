"""The plan of the chapter on language barriers: what the networks are trained on, what they are tested on, and the grid of trials.

Training is in English alone. Item k of a test part has the same impairments in every part, synthetic or real.
"""

from dataclasses import replace

from ...corpora import calls, registry
from ...learning.quality import NetworkName, Part, QualitySettings
from ...models import weights
from ...results.trials import Trial
from ..shared import ChapterSettings
from .trials import FixedNetworkTrial, QualityTrial

SLUG = "language_barriers"
CORPORA: dict[str, tuple[str, ...]] = {"demo": (), "paper": ("asterisk", "clean_voices", "p835")}
Settings = ChapterSettings

TRAIN_VOICES = ("m1", "m3", "m5", "f1", "anika", "belinda")
VALID_VOICES = ("m7", "steph")
TEST_VOICES = ("m2", "m4", "m6", "f4")
TEST_SEED = 5

TRAIN = (Part("polyglot", "en", 900, 1, TRAIN_VOICES), Part("asterisk", "en", 500, 2))
VALID = (Part("polyglot", "en", 120, 3, VALID_VOICES), Part("asterisk", "en", 100, 4))
SYNTHETIC = tuple(Part("polyglot", language, 120, TEST_SEED, TEST_VOICES) for language in calls.LANGUAGES)
REAL = (
    *(Part("clean_voices", language, 48, TEST_SEED) for language in ("en", "de", "zh", "nl")),
    *(Part("clean_voices", language, 32, TEST_SEED) for language in ("ko", "tr")),
    *(Part("asterisk", language, 48, TEST_SEED) for language in ("fr", "es", "it", "ru")),
    Part("emodb", "de", 48, TEST_SEED),
    Part("emovo", "it", 48, TEST_SEED),
)
# The paper's rate for AST, 1e-6, is for fine-tuning pretrained weights; from random ones it moves nothing. 3e-4 is a usual rate for
# transformers of this size, and was not tuned.
NETWORKS: dict[NetworkName, QualitySettings] = {
    "nisqa": QualitySettings("nisqa"),
    "ast-small": QualitySettings("ast-small", learning_rate=3e-4, epochs=20),
}
SEEDS = (0, 1, 2)

DEMO_TRAIN = (Part("polyglot", "en", 24, 1, TRAIN_VOICES),)
DEMO_VALID = (Part("polyglot", "en", 12, 3, VALID_VOICES),)
DEMO_TEST = tuple(Part("polyglot", language, 12, TEST_SEED, TEST_VOICES) for language in ("en", "de"))


def trials(settings: Settings) -> list[Trial]:
    """Each network and seed; in the published run also the fixed networks, on the same files."""
    if settings.profile == "demo":
        return [
            QualityTrial(
                study=SLUG,
                data_status="synthetic",
                model_status="other",
                train=DEMO_TRAIN,
                valid=DEMO_VALID,
                tests=DEMO_TEST,
                settings=replace(chosen, epochs=2),
            )
            for chosen in NETWORKS.values()
        ]
    hashes = tuple((name, registry.load(name).hash) for name in ("asterisk", "clean_voices", "emodb", "emovo", "p835"))
    trained = [
        QualityTrial(
            study=SLUG,
            seed=seed,
            data_status="real",
            model_status="other",
            train=TRAIN,
            valid=VALID,
            tests=(*SYNTHETIC, *REAL),
            listeners=True,
            corpus_hashes=hashes,
            settings=chosen,
        )
        for seed in SEEDS
        for chosen in NETWORKS.values()
    ]
    fixed = [
        FixedNetworkTrial(
            study=SLUG,
            data_status="real",
            model_status="other",
            network=name,
            weights_hash=weights.hash_of(name),
            tests=(*SYNTHETIC, *REAL),
            listeners=True,
            corpus_hashes=hashes,
        )
        for name in ("nisqa",)
        if name in weights.found_networks()
    ]
    return [*trained, *fixed]
