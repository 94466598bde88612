"""The plan of the chapter on speech models (D'Asaro et al., CLiC-it 2024): its parameters, its own choices, and the grid of its trials."""

from dataclasses import replace
from functools import cache
from itertools import product
from pathlib import Path
from typing import Any, Literal

from ... import environment
from ...corpora import registry, splits
from ...corpora.emotion import catalogue, reader
from ...errors import SettingsError, WeightsError
from ...learning.ast_from_scratch import BaselineSettings
from ...learning.feature_bank import FeatureSettings
from ...learning.probes import ProbeSettings
from ...models import encoder_catalogue
from ...models.heads import HEADS, Head
from ...results.trials import Trial
from ..emotion import usual_features
from ..shared import GridSettings, names_in
from .trials import (
    AcrossTrial,
    AugmentedTrial,
    BaselineTrial,
    CardTrial,
    ChannelsTrial,
    LayersTrial,
    ProbeTrial,
    SpeakerAssignmentTrial,
)

SLUG = "speech_models"
CORPORA: dict[str, tuple[str, ...]] = {"demo": ("polyglot-acted",), "paper": ()}  # the page names the paper's corpora that are missing

# What is the paper's own. In a chapter on another paper the same corpus or encoder may be a stand-in.
PAPERS_CORPORA = ("aesdd", "cafe", "demos", "emodb", "emomatch", "emovo", "eyase", "oreau", "shemo")
LARGER_WAV2VEC = ("wav2vec2-large", "wav2vec2-xls-r-300m")
PAPERS_WAV2VEC = ("wav2vec2-base", *LARGER_WAV2VEC)
PAPERS_WHISPER = ("whisper-small.en", "whisper-small", "whisper-medium")
PAPERS_ENCODERS = (*PAPERS_WAV2VEC, *PAPERS_WHISPER)
PAPERS_RUNS = 3

# The chapter's own choices, written out: what published tables select must not change with the library's defaults.
USUAL = ProbeSettings(
    head="linear",
    layer=0,
    epochs=30,
    batch_size=32,
    learning_rate=5e-4,
    weight_decay=1e-4,
    betas=(0.9, 0.98),
    dropout=0.1,
    class_weights=True,
    schedule="plateau",
    keep="best",
    standardise=False,
    normalise_layers=False,
)
USUAL_AST = BaselineSettings(
    network="ast-small",
    frames=512,
    epochs=25,
    batch_size=48,
    learning_rate=1e-4,
    decay=0.85,
    weight_decay=5e-7,
    betas=(0.95, 0.999),
    masked_bands=24,
    masked_frames=96,
    class_weights=True,
    keep="best",
)
SEEDS = range(5)  # of a cell
ASTS = ("ast", "ast-small")
CONTROLS = (encoder_catalogue.MEL, "random-whisper-base", encoder_catalogue.SPEAKER)
ONE_LAYER = (encoder_catalogue.MEL, encoder_catalogue.SPEAKER)  # bands, or one vector a file: only a Linear head is trained on them
# In the order of their importance.
ENCODERS = tuple(name for name in encoder_catalogue.ENCODERS if name != encoder_catalogue.SPEAKER)
HEADS_BY_SPEAKER = ("whisper-small", "whisper-small-int8", "whisper-base")
MAX_ASSIGNED_SPEAKERS = 12  # up to which all pairs of test and validation speakers are tried

DEMO_LANGUAGES = ("it", "de")
DEMO_EPOCHS = 10
DEMO_FRAMES = 256

SPLIT_SEEDS = 20  # draws of a stratified split
LAST_EPOCH = replace(USUAL, keep="last")
OTHER_SETTINGS = (
    replace(USUAL, head="weighted-linear"),
    replace(USUAL, head="weighted-linear", normalise_layers=True),
    replace(USUAL, head="weighted-linear", normalise_layers=True, learning_rate=5e-3),
    replace(USUAL, standardise=True),
    replace(USUAL, epochs=100),
    replace(USUAL, learning_rate=5e-3),
    replace(USUAL, learning_rate=5e-5),
    replace(USUAL, class_weights=False),
    replace(USUAL, schedule="none"),
    LAST_EPOCH,
)


class Settings(GridSettings):
    """The notebook's parameters.

    encoders, corpora : names, separated by commas, to run instead of all that are found; an encoder may be any of a known family, by the
    name of its folder or on the hub. precision : of the encoders, for a GPU. split : path of a split of one's own (`sqa data split`),
    which then replaces the one by speaker; name one corpus with it. heads, protocols : those to run, separated by commas.
    """

    NARROWED = GridSettings.NARROWED | {"heads": "settings.head", "protocols": "protocol"}

    heads: str = ""
    protocols: str = ""

    encoders: str = ""
    corpora: str = ""
    precision: Literal["fp32", "fp16", "bf16"] = "fp32"
    split: str = ""


def trials(settings: Settings) -> list[Trial]:
    """What the profile runs with what is on this machine.

    Raises
    ------
    SettingsError, WeightsError, CorpusError
        Something named is unknown, is not on this machine, or is named for the demo.
    """
    if settings.profile == "demo":
        if settings.encoders or settings.corpora or settings.precision != "fp32" or settings.split:
            raise SettingsError("The demo has its own encoder and corpus; to name others, use the profile paper.")
        return _demo_trials()
    encoders, corpora = found_encoders(settings.encoders), found_corpora(settings.corpora)
    planned = _own_split_trials(encoders, corpora, settings.split) if settings.split else _paper_trials(encoders, corpora)
    return planned if settings.precision == "fp32" else [_at(settings.precision, trial) for trial in planned]


def data_status(corpus: str) -> Literal["paper", "real", "synthetic"]:
    """Of a corpus in this chapter: "paper" if it is the paper's own."""
    return "paper" if corpus in PAPERS_CORPORA else "synthetic" if registry.known(corpus).status == "synthetic" else "real"


def model_status(model: str) -> Literal["paper", "other", "random"]:
    """Of an encoder, or of AST, in this chapter."""
    if model in PAPERS_ENCODERS or model == "ast":
        return "paper"
    return "random" if model.startswith(encoder_catalogue.RANDOM) else "other"


def heads_of(model: str) -> tuple[Head, ...]:
    """The heads that are trained on an encoder: the paper's, or a Linear one alone if it has one layer."""
    return ("linear",) if model in ONE_LAYER else tuple(HEADS)  # type: ignore[arg-type]


def found_encoders(named: str = "") -> list[str]:
    """Those named, each of which must be on this machine, or all that are found."""
    if not named:
        return [name for name in (*ENCODERS, *CONTROLS) if encoder_catalogue.available(name)]
    by_hub = {x.repository: name for name, x in encoder_catalogue.ENCODERS.items() if x.repository}
    names = [by_hub.get(name, name) for name in names_in(named)]
    for name in names:
        if not encoder_catalogue.available(name):
            raise WeightsError(encoder_catalogue.missing_message(name))
    return names


def found_corpora(named: str = "") -> list[str]:
    """Those named, each of which must be on this machine, or all that are found."""
    if not named:
        return [name for name in catalogue.CORPORA if registry.find(name) is not None]
    for name in (names := names_in(named)):
        if "emotion" not in registry.load(name).table:
            raise SettingsError(f"{name!r} is not a corpus of emotional speech: its files have no emotion.")
    return names


def _at(precision: Literal["fp32", "fp16", "bf16"], trial: Trial) -> Trial:
    """The same trial on features that the encoder computes in this precision."""
    return trial.model_copy(update={k: replace(v, precision=precision) for k, v in trial if isinstance(v, FeatureSettings)})


@cache
def _corpus_hash(corpus: str) -> str:
    return registry.load(corpus).hash


@cache
def _split_hash(corpus: str, protocol: splits.Protocol, languages: tuple[str, ...] = (), seed: int = 0) -> str:
    found = registry.load(corpus)
    return splits.of(found.where(language=languages) if languages else found, protocol, seed=seed).hash


def _fields(corpus: str, encoder: str, **more: Any) -> dict[str, Any]:
    return {
        "study": SLUG,
        "data_status": data_status(corpus),
        "model_status": model_status(encoder),
        "corpus": corpus,
        "corpus_hash": _corpus_hash(corpus),
        "encoder": encoder,
        "weights_hash": encoder_catalogue.weights_hash(encoder),
        "features": usual_features(corpus),
        **more,
    }


def _probe(
    corpus: str, encoder: str, settings: ProbeSettings, seed: int, protocol: splits.Protocol = "speaker", split_seed: int = 0
) -> ProbeTrial:
    split = {"protocol": protocol, "split_seed": split_seed, "split_hash": _split_hash(corpus, protocol, seed=split_seed)}
    return ProbeTrial(**_fields(corpus, encoder, settings=settings, seed=seed, **split))


def _demo_trials() -> list[Trial]:
    """Three heads on an encoder that needs no weights, one on log-mel bands, a small AST: does the machinery learn the built-in rules?"""
    split_hash = _split_hash("polyglot-acted", "speaker", DEMO_LANGUAGES)
    common: dict[str, Any] = {"languages": DEMO_LANGUAGES, "protocol": "speaker", "split_hash": split_hash}
    pairs: list[tuple[str, Head]] = [*((encoder_catalogue.MINI, head) for head in HEADS), (encoder_catalogue.MEL, "linear")]  # type: ignore[list-item]
    settings = replace(USUAL, epochs=DEMO_EPOCHS, standardise=True)
    small = replace(USUAL_AST, frames=DEMO_FRAMES, epochs=DEMO_EPOCHS)
    return [
        ProbeTrial(**_fields("polyglot-acted", encoder, settings=replace(settings, head=head), seed=seed, **common))
        for encoder, head in pairs
        for seed in range(2)
    ] + [_baseline("polyglot-acted", small, 0, DEMO_LANGUAGES)]


def _paper_trials(encoders: list[str], corpora: list[str]) -> list[Trial]:
    planned: list[Trial] = [
        _probe(corpus, encoder, replace(USUAL, head=head), seed)
        for encoder in encoders
        for head in heads_of(encoder)
        for corpus in corpora
        for seed in SEEDS
    ]
    planned += _heads_by_speaker_trials(encoders, corpora)
    for encoder, corpus in product(encoders, corpora):
        planned += open_question_trials(corpus, encoder, corpora)
    networks = ASTS if environment.device() == "cuda" else ("ast-small",)
    planned += [_baseline(c, replace(USUAL_AST, network=n), seed) for n in networks for c in corpora for seed in SEEDS]  # type: ignore[arg-type]
    return [_card(c) for c in corpora] + planned + _front_end_trials(encoders, corpora) + _speaker_assignment_trials(encoders, corpora)


def _heads_by_speaker_trials(encoders: list[str], corpora: list[str]) -> list[Trial]:
    """The heads but Linear, which has more trials, by leave-one-speaker-out: on the paper's corpora, with the encoders nearest to the
    paper's Whisper models and as many runs as the paper has."""
    chosen = [e for e in HEADS_BY_SPEAKER if e in encoders]
    others: tuple[Head, ...] = ("non-linear", "multi-layer")
    return [
        _probe(corpus, encoder, replace(USUAL, head=head), seed, "loso")
        for seed in range(PAPERS_RUNS)
        for corpus in corpora
        if corpus in PAPERS_CORPORA
        for head in others
        for encoder in chosen
    ]


def _own_split_trials(encoders: list[str], corpora: list[str], path: str) -> list[Trial]:
    """The paper's heads on a split of the user's own."""
    if len(corpora) != 1:
        raise SettingsError(f"A split is of one corpus; name it with -p corpora=…, instead of {', '.join(corpora) or 'none'}.")
    split = splits.adopt(Path(path).expanduser())
    corpus = corpora[0]
    split.parts(split.folds[0], registry.load(corpus).table["file"].tolist())  # raises if the files are not the corpus's
    return [
        ProbeTrial(**_fields(corpus, e, settings=replace(USUAL, head=head), seed=seed, protocol="own", split_hash=split.hash))
        for e in encoders
        for head in heads_of(e)
        for seed in SEEDS
    ]


def _speaker_assignment_trials(encoders: list[str], corpora: list[str]) -> list[Trial]:
    """All pairs of test and validation speakers, with the paper's Whisper Small or its stand-in, in as many runs as the paper has."""
    encoder = next((e for e in ("whisper-small", "whisper-small-int8") if e in encoders), None)
    few = [c for c in corpora if registry.load(c).table["speaker"].nunique() <= MAX_ASSIGNED_SPEAKERS]
    return [
        SpeakerAssignmentTrial(**_fields(c, encoder, seed=seed, fewer=c == "aesdd", settings=USUAL))
        for c in few
        for seed in range(PAPERS_RUNS)
        if encoder
    ]


def _card(corpus: str) -> CardTrial:
    return CardTrial(study=SLUG, data_status=data_status(corpus), corpus=corpus, corpus_hash=_corpus_hash(corpus))


def _baseline(corpus: str, settings: BaselineSettings, seed: int, languages: tuple[str, ...] = ()) -> BaselineTrial:
    return BaselineTrial(
        study=SLUG,
        data_status=data_status(corpus),
        model_status=model_status(settings.network),  # type: ignore[arg-type]
        corpus=corpus,
        corpus_hash=_corpus_hash(corpus),
        channel=usual_features(corpus).channel,
        languages=languages,
        protocol="speaker",
        split_hash=_split_hash(corpus, "speaker", languages),
        settings=settings,
        seed=seed,
    )


def _front_end_trials(encoders: list[str], corpora: list[str]) -> list[Trial]:
    """Padding to 30 s and noisy copies in training, both with the smallest Whisper, since they take many times as long; EMOVO's channels."""
    padded = FeatureSettings(whole_window=True)
    out: list[Trial] = []
    if "whisper-tiny" in encoders:
        for corpus, seed in product([c for c in corpora if c == "emodb"], SEEDS):
            fields = _fields(
                corpus, "whisper-tiny", settings=USUAL, seed=seed, protocol="speaker", split_hash=_split_hash(corpus, "speaker")
            )
            out.append(ProbeTrial(**fields | {"features": padded}))
        for corpus, seed in product([c for c in corpora if c in PAPERS_CORPORA], SEEDS):
            fields = _fields(
                corpus, "whisper-tiny", settings=USUAL, seed=seed, protocol="speaker", split_hash=_split_hash(corpus, "speaker")
            )
            out.append(AugmentedTrial(**fields))
    if "emovo" in corpora and environment.find("data", catalogue.STEREO_SAMPLE):
        sample = reader.stereo_sample().hash
        whispers = [e for e in encoders if e.startswith("whisper")]
        out += [ChannelsTrial(**_fields("emovo", e, seed=seed, sample_hash=sample, settings=USUAL)) for e in whispers for seed in SEEDS]
    if "emovo" in corpora and _is_stereo("emovo"):  # as distributed
        split_hash = _split_hash("emovo", "speaker")
        for encoder, channel, seed in product(encoders, ("right", "mean"), SEEDS):
            fields = _fields("emovo", encoder, settings=USUAL, seed=seed, protocol="speaker", split_hash=split_hash)
            out.append(ProbeTrial(**fields | {"features": FeatureSettings(channel=channel)}))  # type: ignore[arg-type]
    return out


def _is_stereo(corpus: str) -> bool:
    table = registry.load(corpus).table
    return "channels" in table and bool((table["channels"] == 2).mean() > 0.5)


def open_question_trials(corpus: str, encoder: str, corpora: list[str]) -> list[Trial]:
    """What the paper leaves open, with the Linear head: other splits, other settings, each layer, other corpora."""
    # Of a stratified split every draw is as good as another; head and split change together, so that their spread is that of a rerun.
    out: list[Trial] = [_probe(corpus, encoder, s, n, "stratified", n) for n in range(1, 1 + SPLIT_SEEDS) for s in (USUAL, LAST_EPOCH)]
    speaker = _split_hash(corpus, "speaker")
    several = encoder not in ONE_LAYER
    for seed in SEEDS:
        out += [_probe(corpus, encoder, s, seed, protocol) for protocol in ("loso", "stratified") for s in (USUAL, LAST_EPOCH)]
        out += [_probe(corpus, encoder, settings, seed) for settings in OTHER_SETTINGS if several or settings.head == "linear"]
        if several:
            out.append(LayersTrial(**_fields(corpus, encoder, seed=seed, protocol="speaker", split_hash=speaker)))
        for other in (c for c in corpora if c != corpus):
            target = {"target": other, "target_hash": _corpus_hash(other), "target_features": usual_features(other)}
            settings = replace(USUAL, standardise=True)
            out.append(AcrossTrial(**_fields(corpus, encoder, seed=seed, split_hash=speaker, settings=settings, **target)))
    return out
