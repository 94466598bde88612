"""The paper "Using Large Speech Models for Feature Extraction in Cross-Lingual Speech Emotion Recognition" (CLiC-it 2024):
what it runs, and what its page says in words."""

import hashlib
from dataclasses import replace
from functools import cache
from itertools import product
from typing import Any, Literal

from .. import audio, environment
from ..baseline import BaselineSettings
from ..corpora import cards, emotion_files, emotions, polyglot, registry, splits
from ..errors import SettingsError, WeightsError
from ..features import FeatureSettings
from ..models import ast, encoders
from ..models.probes import HEADS
from ..probing import ProbeSettings
from ..records import Record
from ..trials import Trial
from . import speech_models_beyond as beyond
from . import speech_models_cells as cells
from . import speech_models_claims as verdicts
from . import speech_models_tables as tables
from .common import ChapterSettings
from .speech_models_cells import cell, measured_corpora, measured_encoders, points
from .speech_models_trials import AcrossTrial, AugmentedTrial, BaselineTrial, CardTrial, ChannelsTrial, LayersTrial, ProbeTrial, WaysTrial

SLUG = "speech_models"
CORPORA: dict[str, tuple[str, ...]] = {"demo": ("polyglot-acted",), "paper": ()}  # the page says which of the paper's are not here
SEEDS = range(cells.SEEDS)
# In the order in which they are worth waiting for.
ENCODERS = tuple(name for name in encoders.PAPER | encoders.OTHERS if name != encoders.SPEAKER)
DEMO_LANGUAGES = ("it", "de")
DEMO_EPOCHS = 10
DEMO_FRAMES = 256
FEW_SPEAKERS = 12  # of whom every way to keep them apart is tried
RUNS = 3  # of the paper


class Settings(ChapterSettings):
    """The notebook's parameters. encoders, corpora : names with commas between them, of those to run instead of all that are found; an
    encoder may be any of a family that the book knows, by its folder's or its hub's name. precision : of the encoders, for a GPU."""

    encoders: str = ""
    corpora: str = ""
    precision: Literal["fp32", "fp16", "bf16"] = "fp32"


def trials(settings: Settings) -> list[Trial]:
    """What the profile runs with what is on this machine.

    Raises
    ------
    SettingsError, WeightsError, CorpusError : something named is not known, is not here, or is named for the demo.
    """
    if settings.profile == "demo":
        if settings.encoders or settings.corpora or settings.precision != "fp32":
            raise SettingsError("The demo has an encoder and a corpus of its own; name others with the profile paper.")
        return _demo_trials()
    planned = _paper_trials(found_encoders(settings.encoders), found_corpora(settings.corpora))
    return planned if settings.precision == "fp32" else [_at(settings.precision, trial) for trial in planned]


def _at(precision: Literal["fp32", "fp16", "bf16"], trial: Trial) -> Trial:
    """The same trial on features by an encoder of this precision."""
    heard = {k: replace(v, precision=precision) for k, v in trial if isinstance(v, FeatureSettings)}
    return trial.model_copy(update=heard)


def _demo_trials() -> list[Trial]:
    """Three heads on an encoder that needs no weights, one on plain log-mel bands, a small AST: does the machinery learn what was put in?"""
    split_hash = _split_hash("polyglot-acted", "speaker", DEMO_LANGUAGES)
    common = {"languages": DEMO_LANGUAGES, "protocol": "speaker", "split_hash": split_hash}
    learnt = [*((encoders.MINI, head) for head in HEADS), (encoders.MEL, "linear")]
    small = BaselineSettings(frames=DEMO_FRAMES, epochs=DEMO_EPOCHS)
    return [
        ProbeTrial(**_fields("polyglot-acted", encoder, settings=_demo_settings(head), seed=seed, **common))
        for encoder, head in learnt
        for seed in range(2)
    ] + [_baseline("polyglot-acted", small, 0, DEMO_LANGUAGES)]


def _demo_settings(head: str) -> ProbeSettings:
    return ProbeSettings(head, epochs=DEMO_EPOCHS, standardise=True)  # type: ignore[arg-type]


def found_encoders(named: str = "") -> list[str]:
    """Those named, each of which must be here, or all that are."""
    if not named:
        return [name for name in (*ENCODERS, *cells.CONTROLS) if encoders.available(name)]
    known = {hub: name for name, hub in (encoders.PAPER | encoders.OTHERS).items()}
    names = [known.get(name, name) for name in _names(named)]
    for name in names:
        if not encoders.available(name):
            raise WeightsError(encoders.not_here(name))
    return names


def found_corpora(named: str = "") -> list[str]:
    """Those named, each of which must be here, or all that are."""
    if not named:
        return [name for name in emotions.CORPORA if registry.find(name) is not None]
    for name in (names := _names(named)):
        if name not in emotions.CORPORA:
            raise SettingsError(f"{name!r} is not a corpus of emotions; known are {', '.join(emotions.CORPORA)}.")
        registry.load(name)
    return names


def _names(text: str) -> list[str]:
    return [name for part in text.split(",") if (name := part.strip())]


@cache
def _corpus_hash(corpus: str) -> str:
    return registry.load(corpus).hash


@cache
def _split_hash(corpus: str, protocol: splits.Protocol, languages: tuple[str, ...] = ()) -> str:
    found = registry.load(corpus)
    return splits.make(found.where(language=languages) if languages else found, protocol).hash


def _heard(corpus: str) -> FeatureSettings:
    return FeatureSettings(channel=emotions.CORPORA[corpus].channel) if corpus in emotions.CORPORA else FeatureSettings()


def _fields(corpus: str, encoder: str, **more: Any) -> dict[str, Any]:
    return {
        "study": SLUG,
        "data_status": registry.known(corpus).status,
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


def _paper_trials(there: list[str], here: list[str]) -> list[Trial]:
    planned: list[Trial] = []
    for encoder in there:
        for head in cells.heads_of(encoder):
            planned += [_probe(c, encoder, ProbeSettings(head), seed) for c in here for seed in SEEDS]  # type: ignore[arg-type]
    for encoder in there:
        for corpus in here:
            planned += trials_beyond(corpus, encoder, here)
    networks = ("ast", "ast-small") if environment.device() == "cuda" else ("ast-small",)
    planned += [_baseline(c, BaselineSettings(network), seed) for network in networks for c in here for seed in SEEDS]  # type: ignore[arg-type]
    return [_card(c) for c in here] + planned + _front_end_trials(there, here) + _ways_trials(there, here)


def _ways_trials(there: list[str], here: list[str]) -> list[Trial]:
    """Every way to keep few speakers apart, by the paper's Whisper Small or what stands in for it, in as many runs as the paper has."""
    encoder = next((e for e in ("whisper-small", "whisper-small-int8") if e in there), None)
    few = [c for c in here if emotions.CORPORA[c].speakers <= FEW_SPEAKERS]
    return [WaysTrial(**_fields(c, encoder, seed=seed, fewer=c == "aesdd")) for c in few for seed in range(RUNS) if encoder]


def _card(corpus: str) -> CardTrial:
    return CardTrial(study=SLUG, data_status=registry.known(corpus).status, corpus=corpus, corpus_hash=_corpus_hash(corpus))


def _baseline(corpus: str, settings: BaselineSettings, seed: int, languages: tuple[str, ...] = ()) -> BaselineTrial:
    return BaselineTrial(
        study=SLUG,
        data_status=registry.known(corpus).status,
        model_status="paper" if settings.network == "ast" else "other",
        corpus=corpus,
        corpus_hash=_corpus_hash(corpus),
        channel=_heard(corpus).channel,
        languages=languages,
        protocol="speaker",
        split_hash=_split_hash(corpus, "speaker", languages),
        settings=settings,
        seed=seed,
    )


def _front_end_trials(there: list[str], here: list[str]) -> list[Trial]:
    """Whisper with each sound padded to 30 s, and noisy copies in training, by the smallest model, since they take many times as long;
    EMOVO's channels."""
    padded = FeatureSettings(whole_window=True)
    out: list[Trial] = [
        ProbeTrial(
            **_fields(
                c, "whisper-tiny", settings=ProbeSettings("linear"), seed=seed, protocol="speaker", split_hash=_split_hash(c, "speaker")
            )
            | {"features": padded}
        )
        for c in here
        if c == "emodb" and "whisper-tiny" in there
        for seed in SEEDS
    ]
    out += [
        AugmentedTrial(**_fields(c, "whisper-tiny", seed=seed, protocol="speaker", split_hash=_split_hash(c, "speaker")))
        for c in here
        if emotions.CORPORA[c].status == "paper" and "whisper-tiny" in there
        for seed in SEEDS
    ]
    if "emovo" in here and environment.find("data", emotions.STEREO_SAMPLE):
        sample = emotion_files.stereo_sample().hash
        listening = [e for e in there if e.startswith("whisper")]
        out += [ChannelsTrial(**_fields("emovo", encoder, seed=seed, sample_hash=sample)) for encoder in listening for seed in SEEDS]
    if "emovo" in here and _is_stereo("emovo"):  # as distributed
        split_hash = _split_hash("emovo", "speaker")
        for encoder, channel, seed in product(there, ("right", "mean"), SEEDS):
            fields = _fields("emovo", encoder, settings=ProbeSettings("linear"), seed=seed, protocol="speaker", split_hash=split_hash)
            out.append(ProbeTrial(**fields | {"features": FeatureSettings(channel=channel)}))  # type: ignore[arg-type]
    return out


def _is_stereo(corpus: str) -> bool:
    table = registry.load(corpus).table
    return "channels" in table and bool((table["channels"] == 2).mean() > 0.5)


def trials_beyond(corpus: str, encoder: str, corpora: list[str]) -> list[Trial]:
    """What the paper leaves open, with the Linear head: other splits, other settings, each layer, other corpora."""
    out: list[Trial] = []
    speaker = _split_hash(corpus, "speaker")
    for seed in SEEDS:
        out += [_probe(corpus, encoder, ProbeSettings("linear"), seed, protocol) for protocol in ("loso", "stratified")]
        several = encoder not in cells.ONE_LAYER
        out += [_probe(corpus, encoder, settings, seed) for settings in OTHER_SETTINGS if several or settings.head == "linear"]
        if several:
            out.append(LayersTrial(**_fields(corpus, encoder, seed=seed, protocol="speaker", split_hash=speaker)))
        out += [
            AcrossTrial(
                **_fields(corpus, encoder, seed=seed, target=o, target_hash=_corpus_hash(o), target_features=_heard(o), split_hash=speaker)
            )
            for o in corpora
            if o != corpus
        ]
    return out


OTHER_SETTINGS = (
    ProbeSettings("weighted-linear"),
    ProbeSettings("weighted-linear", normalise_layers=True),
    ProbeSettings("weighted-linear", normalise_layers=True, learning_rate=5e-3),
    ProbeSettings("linear", standardise=True),
    ProbeSettings("linear", epochs=100),
    ProbeSettings("linear", learning_rate=5e-3),
    ProbeSettings("linear", learning_rate=5e-5),
    ProbeSettings("linear", class_weights=False),
    ProbeSettings("linear", schedule="none"),
    ProbeSettings("linear", keep="last"),
)


def facts_in_words(found: list[Record]) -> dict[str, str]:
    """Numbers of the run that the page's prose names."""
    none = "not available"
    out = {
        "n_corpora": str(len(measured_corpora(found))),
        "n_encoders": str(len([e for e in measured_encoders(found) if e not in cells.CONTROLS and e not in cells.NETWORKS])),
    }
    out["n_paper_corpora"] = str(len({r.trial["corpus"] for r in found if r.data_status == "paper"}))
    small = "whisper-small-int8"
    for corpus in ("aesdd", "emodb", "emovo"):
        records = cell(found, corpus, small, head="linear")
        out[f"paper_{corpus}"] = f"{tables.printed_twin(corpus, small):.2f}"
        out[f"f1_{corpus}"] = f"{cells.f1_draws(records)[0]:.1f}" if records else none
        out[f"constant_{corpus}"] = f"{records[0].metrics['constant_f1']:.1f}" if records else none
    by_speaker = {c: beyond.f1_by_speaker(cell(found, c, small, head="linear", protocol="loso")) for c in ("aesdd", "emodb", "emovo")}
    for corpus, f1 in by_speaker.items():
        out[f"speakers_{corpus}"] = f"{f1.iloc[0]:.1f} to {f1.iloc[-1]:.1f}" if len(f1) else none
    out["aesdd_worst"] = _worst_speakers(found, "aesdd") or none
    out |= _ways_in_words(found, small)
    moved, usual = beyond.weights_moved(found), ProbeSettings("multi-layer")
    out |= {"weights_cells": str(len(moved)), "weights_still": str(int((~moved).sum())) if len(moved) else none}
    out["adam_factor"] = f"{beyond.largest_step(usual) / usual.learning_rate:.1f}"
    out["ast_parameters"], out["ast_papers"] = (f"{ast.count_parameters(ast.LAYOUTS[n]) / 1e6:.3g}" for n in ("ast-small", "ast"))
    tested = {c: sorted(r[0].items()["speaker"].unique()) for c in ("aesdd", "emovo") if (r := cell(found, c, small, head="linear"))}
    out |= {f"tested_{c}": ", ".join(tested.get(c, [none])) for c in ("aesdd", "emovo")}
    out["rank_emovo"] = none
    if "emovo" in tested and len(by_speaker["emovo"]):
        place = len(by_speaker["emovo"]) - int(by_speaker["emovo"].index.get_loc(tested["emovo"][0]))
        out["rank_emovo"] = f"number {place} of {len(by_speaker['emovo'])}"
    by_split = {e: [cell(found, "urdu", e, head="linear", protocol=p) for p in ("loso", "stratified")] for e in measured_encoders(found)}
    encoder, pair = next(((e, pair) for e, pair in by_split.items() if all(pair)), (none, [[], []]))
    out["urdu_encoder"] = cells.title_of(encoder)
    for key, records in zip(("urdu_speaker", "urdu_stratified"), pair, strict=True):
        out[key] = f"{cells.f1_draws(records)[0]:.1f}" if records else none
    out["urdu_told"] = none
    if pair[0]:
        whole = pair[0][0].items()
        out["urdu_told"] = f"{100 * cards.told_by(whole['emotion'], whole['speaker']):.0f} %"
    by_claim = {f.id: f.verdict for f in verdicts.findings(found)}
    out |= {f"verdict_C{i}": by_claim.get(f"C{i}", none) for i in range(1, 15)}
    lead = cells.lead_over_corpora(found, {"encoder": small, "head": "linear"}, {"encoder": small, "head": "non-linear"})
    out["n_not_here"] = (
        f"{len([e for e in encoders.PAPER if e not in measured_encoders(found)])} of the paper's {len(encoders.PAPER)} models"
    )
    nine = [c for c in emotions.CORPORA if emotions.CORPORA[c].status == "paper"]
    out["corpora_not_here"] = f"{len(nine) - len(cells.papers_corpora(found))} of its {len(nine)} corpora"
    out["lead_linear"] = points(lead) if lead else none
    missed = tables.table2_against_table3()
    within = missed[missed["within rounding"] == "yes"].to_dict("records")
    out["subset_within"] = "; ".join(f"{r['backbone']}, by {r['nearest subset of corpora']}" for r in within) or "none"
    out["n_subsets"] = str(tables.count_subsets())
    out["no_subset"] = f"{int((missed['within rounding'] == 'no').sum())} of {len(missed)} models"
    out["subsets_that_fit_all"] = str(tables.subsets_that_fit_all())
    return out


def _ways_in_words(found: list[Record], encoder: str) -> dict[str, str]:
    """Of the ways to keep speakers apart: how many give no more than the paper prints, and from where to where they go; for AESDD also with
    five of its six."""
    table, none = beyond.ways(found, encoder), "not available"
    out = {}
    for corpus in ("aesdd", "emodb", "emovo"):
        part = table[(table["corpus"] == corpus) & (table["absent"] == "")]
        below = part[part["f1"] <= tables.printed_twin(corpus, encoder)]
        told = f"{len(below)} of {len(part)} ways, which go from {part['f1'].min():.1f} to {part['f1'].max():.1f}"
        out[f"ways_{corpus}"] = told if len(part) else none
        out[f"ways_{corpus}_who"] = ", ".join(sorted(below["tested"].unique())) if len(below) else none
    five = table[(table["corpus"] == "aesdd") & (table["absent"] != "")]
    below_by = (five["f1"] <= tables.printed_twin("aesdd", encoder)).groupby(five["absent"]).agg(["sum", "size"])
    out["ways_five"] = none
    if len(below_by):
        each = ", ".join(
            f"{count.sum} without speaker {absent}" for absent, count in zip(below_by.index, below_by.itertuples(), strict=True)
        )
        out["ways_five"] = f"of {below_by['size'].iloc[0]} ways, {each}"
    return out


def _worst_speakers(found: list[Record], corpus: str) -> str:
    """Of each Whisper model: the speaker that its Linear head does worst on when tested unheard."""
    f1 = {e: beyond.f1_by_speaker(cell(found, corpus, e, head="linear", protocol="loso")) for e in verdicts.WHISPERS}
    return "; ".join(f"{cells.title_of(e)} speaker {s.index[0]} with {s.iloc[0]:.1f}" for e, s in f1.items() if len(s))


HEARD = {"it": "Italian", "de": "German", "el": "Greek", "fr": "French"}


def synthetic_examples(voice: str = "f1") -> dict[str, list[tuple[audio.Sound, str, str]]]:
    """One sentence in several languages, in the manner of each emotion, in an order that gives nothing away."""
    out = {}
    for language, name in HEARD.items():
        text = polyglot.sentences(language)[0]
        order = sorted(polyglot.MANNERS, key=lambda e: hashlib.sha256(f"{language} {e}".encode()).hexdigest())
        sounds = polyglot.synthesise([polyglot.acted_job(language, voice, text, e) for e in order])
        out[name] = [(sound, f"{name}, {i}", emotion) for i, (sound, emotion) in enumerate(zip(sounds, order, strict=True), start=1)]
    return out


def real_examples(sentence: str = "a01", speaker: str = "08") -> dict[str, list[tuple[audio.Sound, str, str]]]:
    """One sentence of EmoDB by one actor in several emotions, where the corpus is here."""
    if registry.find("emodb") is None:
        return {}
    found = registry.load("emodb").where(sentence=sentence, speaker=speaker)
    chosen = found.table.drop_duplicates("emotion").sort_values("sha256")
    heard = [
        (audio.load(found.root / row.file), f"EmoDB, speaker {speaker}, {i}", str(row.emotion))
        for i, row in enumerate(chosen.itertuples(), start=1)
    ]
    return {"German, EmoDB": heard}
