"""The paper "Using Large Speech Models for Feature Extraction in Cross-Lingual Speech Emotion Recognition" (CLiC-it 2024):
trials, tables, claims."""

import hashlib
from functools import cache
from typing import Any

import numpy as np
from scipy import stats

from .. import audio, environment, published
from ..claims import Finding, Verdict, judge
from ..corpora import cards, emotions, polyglot, registry, splits
from ..features import FeatureSettings
from ..metrics import Interval
from ..models import encoders
from ..models.probes import HEADS
from ..probing import ProbeSettings
from ..records import Record
from ..trials import Trial
from . import speech_models_tables as tables
from .common import ChapterSettings
from .speech_models_tables import cell, difference, measured_corpora, measured_encoders, points
from .speech_models_trials import AcrossTrial, ChannelsTrial, LayersTrial, ProbeTrial

SLUG = "speech_models"
CORPORA: dict[str, tuple[str, ...]] = {"demo": ("polyglot-acted",), "paper": ()}  # the page says which of the paper's are not here
Settings = ChapterSettings
SEEDS = range(5)
# In the order in which they are worth waiting for.
ENCODERS = (*encoders.PAPER, "whisper-small-int8", "whisper-base", "whisper-tiny", "whisper-base.en", "whisper-tiny.en")
CONTROLS = ("mel", "random-whisper-base", "ecapa-voxceleb")
DEMO_LANGUAGES = ("it", "de")
DEMO_EPOCHS = 10
CONSTANT_MARGIN = 1.0  # points of F1 within which a score is no better than a constant answer


def trials(settings: Settings) -> list[Trial]:
    """What the profile runs with what is on this machine."""
    return _paper_trials() if settings.profile == "paper" else _demo_trials()


def _demo_trials() -> list[Trial]:
    """Three heads on an encoder that needs no weights, and one on plain log-mel bands: does the machinery learn what was put in?"""
    split_hash = _split_hash("polyglot-acted", "speaker", DEMO_LANGUAGES)
    common = {"languages": DEMO_LANGUAGES, "protocol": "speaker", "split_hash": split_hash}
    cells = [*((encoders.MINI, head) for head in HEADS), (encoders.MEL, "linear")]
    return [
        ProbeTrial(**_fields("polyglot-acted", encoder, settings=_demo_settings(head), seed=seed, **common))
        for encoder, head in cells
        for seed in range(2)
    ]


def _demo_settings(head: str) -> ProbeSettings:
    return ProbeSettings(head, epochs=DEMO_EPOCHS, standardise=True)  # type: ignore[arg-type]


def found_encoders() -> list[str]:
    return [name for name in (*ENCODERS, *CONTROLS) if encoders.available(name)]


def found_corpora() -> list[str]:
    return [name for name in emotions.CORPORA if registry.find(name) is not None]


@cache
def _corpus_hash(corpus: str) -> str:
    return registry.load(corpus).hash


@cache
def _split_hash(corpus: str, protocol: splits.Protocol, languages: tuple[str, ...] = ()) -> str:
    found = registry.load(corpus)
    return splits.make(found.where(language=languages) if languages else found, protocol).hash


def _heard(corpus: str) -> FeatureSettings:
    # EMOVO's two channels are two microphones; their mean is comb-filtered.
    return FeatureSettings(channel="left") if corpus == "emovo" else FeatureSettings()


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


def _paper_trials() -> list[Trial]:
    there, here = found_encoders(), found_corpora()
    planned: list[Trial] = []
    for encoder in there:
        for head in HEADS if encoder not in (encoders.MEL, encoders.SPEAKER) else ("linear",):  # of those, one layer
            planned += [_probe(c, encoder, ProbeSettings(head), seed) for c in here for seed in SEEDS]  # type: ignore[arg-type]
    for encoder in there:
        for corpus in here:
            planned += beyond(corpus, encoder, here)
    return planned + _front_end_trials(there, here)


def _front_end_trials(there: list[str], here: list[str]) -> list[Trial]:
    """Whisper with each sound padded to 30 s, by the smallest model, since it takes ten times as long; EMOVO's channels."""
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
    if "emovo" in here and environment.find("data", emotions.STEREO_SAMPLE):
        listening = [e for e in there if e.startswith("whisper")]
        out += [ChannelsTrial(**_fields("emovo", encoder, seed=seed)) for encoder in listening for seed in SEEDS]
    return out


def beyond(corpus: str, encoder: str, corpora: list[str]) -> list[Trial]:
    """What the paper leaves open, with the Linear head: other splits, other settings, each layer, other corpora."""
    out: list[Trial] = []
    for seed in SEEDS:
        out += [_probe(corpus, encoder, ProbeSettings("linear"), seed, protocol) for protocol in ("loso", "stratified")]
        out += [_probe(corpus, encoder, settings, seed) for settings in OTHER_SETTINGS]
        out.append(LayersTrial(**_fields(corpus, encoder, seed=seed, protocol="speaker", split_hash=_split_hash(corpus, "speaker"))))
        out += [
            AcrossTrial(**_fields(corpus, encoder, seed=seed, target=o, target_hash=_corpus_hash(o), target_features=_heard(o)))
            for o in corpora
            if o != corpus
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


def printed_findings() -> list[Finding]:
    """What the paper's own printed numbers say of its claims."""
    two, three = published.read(SLUG, "table2"), published.read(SLUG, "table3")
    by_head = two.pivot(index="backbone", columns="head", values="mean")
    cells = three.pivot(index="dataset", columns="backbone", values="mean")
    waves, whispers = (["Wav2Vec 2.0 Base", "Wav2Vec 2.0 Large", "XLS-R"], ["Whisper Small (EN)", "Whisper Small", "Whisper Medium"])
    out = []

    def add(claim: str, holds: bool, evidence: str) -> None:
        out.append(Finding(claim, "holds" if holds else "fails", evidence, "the paper's printed numbers"))

    best = by_head.idxmax(axis=1)
    add("C1", bool((best[waves] == "Multi-Layer").all()), ", ".join(f"{b} {by_head.loc[b].max():.2f}" for b in waves))
    add("C2", bool((best[whispers] == "Linear").all()), ", ".join(f"{b} {by_head.loc[b].max():.2f}" for b in whispers))
    apart = (by_head["Linear"] - by_head["Non-Linear"]).abs()[waves[1:]]
    add("C3", bool((apart < 1).all()), ", ".join(f"{b} differs by {d:.2f}" for b, d in apart.items()))
    falls = (by_head["Linear"] > by_head["Non-Linear"]) & (by_head["Non-Linear"] > by_head["Multi-Layer"])
    add("C4", bool(falls[whispers].all()), f"{int(falls[whispers].sum())} of 3 models fall at both steps")
    lead = cells.drop(columns="AST").sub(cells["AST"], axis=0)
    below = [f"{b} on {d} ({lead.loc[d, b]:+.2f})" for d in lead.index for b in lead.columns if lead.loc[d, b] <= 0]
    add("C7", not below, f"{len(below)} of {lead.size} cells lie below AST: {', '.join(below)}")
    exceptions = {b: [d for d in cells.index if cells.loc[d, b] <= cells.loc[d, "XLS-R"]] for b in waves[:2]}
    add(
        "C8",
        all(e in ([], ["ShEMO"]) for e in exceptions.values()),
        "; ".join(f"{b} loses on {', '.join(e)}" for b, e in exceptions.items()),
    )
    loses = [d for d in cells.index if cells.loc[d, "Whisper Small"] <= cells.loc[d, "Whisper Small (EN)"]]
    p = stats.binomtest(len(cells) - len(loses), len(cells)).pvalue
    add("C9", set(loses) == {"AESDD", "ShEMO"}, f"it loses on {', '.join(loses)}; sign test over {len(cells)} sets p = {p:.2f}")
    winner = cells.idxmax(axis=1)
    for claim, sets, allowed in (
        ("C10", ["EMOVO", "DEMoS", "Oréau", "CaFE", "EmoMatch", "EmoDB"], whispers[1:]),
        ("C11", ["AESDD", "EYASE"], waves[1:2]),
    ):
        add(claim, bool(winner[sets].isin(allowed).all()), ", ".join(f"{d}: {winner[d]} {cells.loc[d].max():.2f}" for d in sets))
    gaps = published.read(SLUG, "table2_vs_table3")
    gaps = gaps[gaps["difference"].notna()]
    add("C12", bool((gaps["difference"].abs() <= 0.01).all()), ", ".join(f"{r.backbone} {r.difference:+.2f}" for r in gaps.itertuples()))
    constant = published.read(SLUG, "emobox_counts")["macro_F1_percent_of_always_naming_the_largest_class"]
    high = by_head.loc["XLS-R", ["Linear", "Non-Linear"]].max()
    told = f"at most {high:.2f}; a constant answer gives {constant.mean():.2f} on the mean of {len(constant)} corpora"
    add("C14", bool(high <= constant.mean() + CONSTANT_MARGIN), told)
    unprinted = {"C5": "a Linear head on the weighted sum", "C6": "layer weights as numbers", "C13": "the splits themselves"}
    for claim, what in unprinted.items():
        out.append(Finding(claim, "untestable here", "", "the paper's printed numbers", needs=f"what the paper does not print: {what}"))
    return sorted(out, key=lambda f: int(f.id[1:]))


def findings(found: list[Record]) -> list[Finding]:
    """Verdicts by our run; what asks for weights that are not here is untestable here."""
    out: list[Finding] = []
    whispers = [e for e in ("whisper-small-int8", "whisper-base", "whisper-tiny") if any(r.trial["encoder"] == e for r in found)]
    pairs = {
        "Linear over Non-Linear": ({"head": "linear"}, {"head": "non-linear"}),
        "Non-Linear over Multi-Layer": ({"head": "non-linear"}, {"head": "multi-layer"}),
        "Linear over Multi-Layer": ({"head": "linear"}, {"head": "multi-layer"}),
    }
    leads = {(e, n): difference(found, one | {"encoder": e}, other | {"encoder": e}) for e in whispers for n, (one, other) in pairs.items()}
    known = {key: lead for key, lead in leads.items() if lead is not None}
    status = found[0].data_status if found else ""
    for claim, names in (
        ("C2", ("Linear over Non-Linear", "Linear over Multi-Layer")),
        ("C4", ("Linear over Non-Linear", "Non-Linear over Multi-Layer")),
    ):
        asked = {k: v for k, v in known.items() if k[1] in names}
        if len(asked) == len(names) * len(whispers):
            verdicts = [judge(v, low=0.0) for v in asked.values()]
            evidence = "; ".join(f"{e}: {n} {points(v)}" for (e, n), v in asked.items())
            out.append(Finding(claim, _together(verdicts), f"Whisper models that are here: {evidence}", "our run", None, status))
    centres = {e: _centre_of_weights(found, e) for e in whispers}
    told = {e: c for e, c in centres.items() if c is not None}
    if told:
        verdict = _together([judge(c, low=0.6) for c in told.values()])
        evidence = "; ".join(f"{e} {c.value:.2f} [{c.low:.2f}, {c.high:.2f}]" for e, c in told.items())
        out.append(
            Finding(
                "C6", verdict, f"Whisper's half of the claim; centre of the layer weights over l/L: {evidence}", "our run", None, status
            )
        )
    twins = [(m, f"{m}.en") for m in ("whisper-base", "whisper-tiny")]
    leads_of_twins = {m: difference(found, {"encoder": m, "head": "linear"}, {"encoder": en, "head": "linear"}) for m, en in twins}
    asked_twins = {m: lead for m, lead in leads_of_twins.items() if lead is not None}
    if asked_twins:
        evidence = "; ".join(f"{m} over its English twin {points(v)}" for m, v in asked_twins.items())
        out.append(
            Finding(
                "C9",
                _together([judge(v, low=0.0) for v in asked_twins.values()]),
                f"stand-ins, mean over corpora: {evidence}",
                "our run",
                None,
                status,
            )
        )
    out += _splits_finding(found)
    needs = {
        "C1": "wav2vec2-base",
        "C3": "wav2vec2-large",
        "C5": "wav2vec2-base",
        "C7": "a GPU for AST from scratch",
        "C8": "wav2vec2-xls-r-300m",
        "C10": "whisper-medium",
        "C11": "wav2vec2-large",
        "C14": "wav2vec2-xls-r-300m",
    }
    out += [
        Finding(claim, "untestable here", "", "nothing yet", needs=encoders.how_to_get(what) if what in encoders.PAPER else what)
        for claim, what in needs.items()
    ]
    return sorted(out, key=lambda f: int(f.id[1:]))


def _together(verdicts: list[Verdict]) -> Verdict:
    return "fails" if "fails" in verdicts else "undecided" if "undecided" in verdicts else "holds"


def _centre_of_weights(found: list[Record], encoder: str) -> Interval | None:
    """Centre of mass of the layer weights over l/L, mean over corpora and seeds, with an interval over corpora (t)."""
    table = tables.layer_weights(found, encoder=encoder)
    if table.empty:
        return None
    table["share"] = table["layer"] / table["layer"].max() * table["weight"]
    by_corpus = table.groupby(["corpus", "seed"])["share"].sum().groupby("corpus").mean()
    if len(by_corpus) < 2:
        return None
    half = stats.t.ppf(0.975, len(by_corpus) - 1) * by_corpus.std(ddof=1) / np.sqrt(len(by_corpus))
    return Interval(float(by_corpus.mean()), float(by_corpus.mean() - half), float(by_corpus.mean() + half))


def _splits_finding(found: list[Record]) -> list[Finding]:
    """C13 on the predictions themselves: which share of a corpus the tested speakers are."""
    shares = {}
    for corpus in measured_corpora(found):
        records = cell(found, corpus, measured_encoders(found)[0], head="linear")
        whole = cell(found, corpus, measured_encoders(found)[0], head="linear", protocol="loso")
        if records and whole:
            shares[tables.CORPUS_TITLES.get(corpus, corpus)] = records[0].metrics["tested"] / whole[0].metrics["tested"]
    if not shares:
        return []
    missed = {c: s for c, s in shares.items() if abs(s - 0.1) > 0.02}
    evidence = "share that is tested when whole speakers are kept apart: " + ", ".join(f"{c} {100 * s:.0f} %" for c, s in shares.items())
    return [Finding("C13", "fails" if missed else "holds", evidence, "our run", None, found[0].data_status)]


def facts_in_words(found: list[Record]) -> dict[str, str]:
    """Numbers of the run that the page's prose names."""
    none = "not available"
    out = {
        "n_corpora": str(len(measured_corpora(found))),
        "n_encoders": str(len([e for e in measured_encoders(found) if e not in CONTROLS])),
    }
    out["n_paper_corpora"] = str(len({r.trial["corpus"] for r in found if r.data_status == "paper"}))
    small = "whisper-small-int8"
    printed = published.read(SLUG, "table3")
    printed = printed[printed["backbone"] == "Whisper Small"].set_index("dataset")["mean"]
    for corpus in ("aesdd", "emodb", "emovo"):
        records = cell(found, corpus, small, head="linear")
        out[f"paper_{corpus}"] = f"{printed[tables.CORPUS_TITLES[corpus]]:.2f}"
        out[f"f1_{corpus}"] = f"{tables.f1_draws(records)[0]:.1f}" if records else none
        out[f"constant_{corpus}"] = f"{records[0].metrics['constant_f1']:.1f}" if records else none
    for key, protocol in (("urdu_speaker", "loso"), ("urdu_stratified", "stratified")):
        records = next((r for e in measured_encoders(found) if (r := cell(found, "urdu", e, head="linear", protocol=protocol))), [])
        out[key] = f"{tables.f1_draws(records)[0]:.1f}" if records else none
    told = next((r for r in found if r.trial["corpus"] == "urdu"), None)
    if told is not None:
        whole = next((r for r in found if r.trial["corpus"] == "urdu" and r.trial.get("protocol") == "loso"), told).items()
        out["urdu_told"] = f"{100 * cards.told_by(whole['emotion'], whole['speaker']):.0f} %"
    else:
        out["urdu_told"] = none
    verdicts = {f.id: f.verdict for f in findings(found)}
    out |= {f"verdict_C{i}": verdicts.get(f"C{i}", none) for i in range(1, 15)}
    lead = difference(found, {"encoder": small, "head": "linear"}, {"encoder": small, "head": "non-linear"})
    out["lead_linear"] = points(lead) if lead else none
    missed = tables.table2_against_table3()
    out["no_subset"] = f"{int((missed['within rounding'] == 'no').sum())} of {len(missed)} models"
    out["subsets_that_fit_all"] = str(tables.subsets_that_fit_all())
    return out


def synthetic_examples(language: str = "it", voice: str = "f1") -> list[tuple[audio.Sound, str, str]]:
    """One sentence in the manner of each emotion, in an order that gives nothing away."""
    text = polyglot.sentences(language)[0]
    order = sorted(polyglot.MANNERS, key=lambda e: hashlib.sha256(e.encode()).hexdigest())
    sounds = polyglot.synthesise([polyglot.acted_job(language, voice, text, e) for e in order])
    return [(sound, f"Sentence {i}, {language}", emotion) for i, (sound, emotion) in enumerate(zip(sounds, order, strict=True), start=1)]


def real_examples(sentence: str = "a01", speaker: str = "08") -> list[tuple[audio.Sound, str, str]]:
    """One sentence of EmoDB by one actor in several emotions, where the corpus is here."""
    if registry.find("emodb") is None:
        return []
    found = registry.load("emodb").where(sentence=sentence, speaker=speaker)
    chosen = found.table.drop_duplicates("emotion").sort_values("sha256")
    return [
        (audio.load(found.root / row.file), f"Sentence {i}, EmoDB, speaker {speaker}", str(row.emotion))
        for i, row in enumerate(chosen.itertuples(), start=1)
    ]
