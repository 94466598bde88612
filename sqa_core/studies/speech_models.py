"""The paper "Using Large Speech Models for Feature Extraction in Cross-Lingual Speech Emotion Recognition" (CLiC-it 2024):
trials, tables, claims."""

import hashlib
from functools import cache
from typing import Any, Literal

import numpy as np
import pandas as pd
from scipy import stats

from .. import audio, environment, published
from ..baseline import BaselineSettings
from ..claims import Finding, Verdict, judge, together
from ..corpora import cards, emotions, polyglot, registry, splits
from ..features import FeatureSettings
from ..metrics import Interval
from ..models import encoders
from ..models.probes import HEADS
from ..probing import ProbeSettings
from ..records import Record
from ..trials import Trial
from . import speech_models_cells as cells
from . import speech_models_tables as tables
from .common import ChapterSettings
from .speech_models_cells import cell, corpus_title, measured_corpora, measured_encoders
from .speech_models_tables import points
from .speech_models_trials import AcrossTrial, BaselineTrial, CardTrial, ChannelsTrial, LayersTrial, ProbeTrial

SLUG = "speech_models"
CORPORA: dict[str, tuple[str, ...]] = {"demo": ("polyglot-acted",), "paper": ()}  # the page says which of the paper's are not here
Settings = ChapterSettings
SEEDS = range(cells.SEEDS)
# In the order in which they are worth waiting for.
ENCODERS = (*encoders.PAPER, "whisper-small-int8", "whisper-base", "whisper-tiny", "whisper-base.en", "whisper-tiny.en")
ONE_LAYER = (encoders.MEL, encoders.SPEAKER)
DEMO_LANGUAGES = ("it", "de")
DEMO_EPOCHS = 10
DEMO_FRAMES = 256
CONSTANT_MARGIN = 1.0  # points of F1 within which a score is no better than a constant answer


def trials(settings: Settings) -> list[Trial]:
    """What the profile runs with what is on this machine."""
    return _paper_trials() if settings.profile == "paper" else _demo_trials()


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


def found_encoders() -> list[str]:
    return [name for name in (*ENCODERS, *cells.CONTROLS) if encoders.available(name)]


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
        for head in HEADS if encoder not in ONE_LAYER else ("linear",):
            planned += [_probe(c, encoder, ProbeSettings(head), seed) for c in here for seed in SEEDS]  # type: ignore[arg-type]
    for encoder in there:
        for corpus in here:
            planned += beyond(corpus, encoder, here)
    networks = ("ast", "ast-small") if environment.device() == "cuda" else ("ast-small",)
    planned += [_baseline(c, BaselineSettings(network), seed) for network in networks for c in here for seed in SEEDS]  # type: ignore[arg-type]
    return [_card(c) for c in here] + planned + _front_end_trials(there, here)


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
        sample = emotions.stereo_sample().hash
        listening = [e for e in there if e.startswith("whisper")]
        out += [ChannelsTrial(**_fields("emovo", encoder, seed=seed, sample_hash=sample)) for encoder in listening for seed in SEEDS]
    return out


def beyond(corpus: str, encoder: str, corpora: list[str]) -> list[Trial]:
    """What the paper leaves open, with the Linear head: other splits, other settings, each layer, other corpora."""
    out: list[Trial] = []
    speaker = _split_hash(corpus, "speaker")
    for seed in SEEDS:
        out += [_probe(corpus, encoder, ProbeSettings("linear"), seed, protocol) for protocol in ("loso", "stratified")]
        several = encoder not in ONE_LAYER
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
    ProbeSettings("linear", standardise=True),
    ProbeSettings("linear", epochs=100),
    ProbeSettings("linear", class_weights=False),
    ProbeSettings("linear", schedule="none"),
    ProbeSettings("linear", keep="last"),
)


PRINTED: Literal["the paper's printed numbers"] = "the paper's printed numbers"
EQUIVALENT = 2.0  # points of F1 within which two heads are alike


def _difference_bound(two: pd.DataFrame, backbone: str, runs: int = 3) -> float:
    """What the difference of Linear and Non-Linear is at most, with 95 %: Welch's interval from the printed means and deviations."""
    part = two[two["backbone"] == backbone].set_index("head")
    variances = part.loc[["Linear", "Non-Linear"], "std"] ** 2 / runs
    freedom = variances.sum() ** 2 / (variances**2 / (runs - 1)).sum()
    half = stats.t.ppf(0.95, freedom) * np.sqrt(variances.sum())
    return float(abs(part.loc["Linear", "mean"] - part.loc["Non-Linear", "mean"]) + half)


def printed_findings() -> list[Finding]:
    """What the paper's own printed numbers say of its claims."""
    two, three = published.read(SLUG, "table2"), published.read(SLUG, "table3")
    by_head = two.pivot(index="backbone", columns="head", values="mean")
    printed = three.pivot(index="dataset", columns="backbone", values="mean")
    waves, whispers = (["Wav2Vec 2.0 Base", "Wav2Vec 2.0 Large", "XLS-R"], ["Whisper Small (EN)", "Whisper Small", "Whisper Medium"])
    out = []

    def add(claim: str, holds: bool, evidence: str) -> None:
        out.append(Finding(claim, "holds" if holds else "fails", evidence, PRINTED))

    best = by_head.idxmax(axis=1)
    add("C1", bool((best[waves] == "Multi-Layer").all()), ", ".join(f"{b} {by_head.loc[b].max():.2f}" for b in waves))
    add("C2", bool((best[whispers] == "Linear").all()), ", ".join(f"{b} {by_head.loc[b].max():.2f}" for b in whispers))
    apart = (by_head["Linear"] - by_head["Non-Linear"]).abs()[waves[1:]]
    bounds = {b: _difference_bound(two, b) for b in waves[1:]}
    told = ", ".join(f"{b} differs by {d:.2f}, by at most {bounds[b]:.1f} with 95 % (3 runs)" for b, d in apart.items())
    verdict: Verdict = "fails" if (apart >= 1).any() else "holds" if max(bounds.values()) < EQUIVALENT else "undecided"
    out.append(Finding("C3", verdict, f"{told}; a margin of {EQUIVALENT:g} points is asked for", PRINTED))
    falls = (by_head["Linear"] > by_head["Non-Linear"]) & (by_head["Non-Linear"] > by_head["Multi-Layer"])
    add("C4", bool(falls[whispers].all()), f"{int(falls[whispers].sum())} of 3 models fall at both steps")
    lead = printed.drop(columns="AST").sub(printed["AST"], axis=0)
    below = [f"{b} on {d} ({lead.loc[d, b]:+.2f})" for d in lead.index for b in lead.columns if lead.loc[d, b] <= 0]
    add("C7", not below, f"{len(below)} of {lead.size} cells lie below AST: {', '.join(below)}")
    exceptions = {b: [d for d in printed.index if printed.loc[d, b] <= printed.loc[d, "XLS-R"]] for b in waves[:2]}
    add(
        "C8",
        all(e in ([], ["ShEMO"]) for e in exceptions.values()),
        "; ".join(f"{b} loses on {', '.join(e)}" for b, e in exceptions.items()),
    )
    out.append(Finding("C9", *_signs((printed["Whisper Small"] - printed["Whisper Small (EN)"]).to_dict()), PRINTED))
    winner = printed.idxmax(axis=1)
    for claim, sets, allowed in (
        ("C10", ["EMOVO", "DEMoS", "Oréau", "CaFE", "EmoMatch", "EmoDB"], whispers[1:]),
        ("C11", ["AESDD", "EYASE"], waves[1:2]),
    ):
        close = {d: tables.lead_in_deviations(d)[1] for d in sets}
        best_there = bool(winner[sets].isin(allowed).all())
        told = ", ".join(f"{d}: {winner[d]} {printed.loc[d].max():.2f}, a lead of {close[d]:.1f} deviations" for d in sets)
        decided = claim == "C10" or min(close.values()) > 1  # C11's test asks for the lead
        out.append(Finding(claim, "fails" if not best_there else "holds" if decided else "undecided", told, PRINTED))
    gaps = published.read(SLUG, "table2_vs_table3")
    gaps = gaps[gaps["difference"].notna()]
    add("C12", bool((gaps["difference"].abs() <= 0.01).all()), ", ".join(f"{r.backbone} {r.difference:+.2f}" for r in gaps.itertuples()))
    constant = published.read(SLUG, "emobox_counts")["macro_F1_percent_of_always_naming_the_largest_class"]
    high = by_head.loc["XLS-R", ["Linear", "Non-Linear"]].max()
    told = f"at most {high:.2f}; a constant answer gives {constant.mean():.2f} on the mean of {len(constant)} corpora"
    add("C14", bool(high <= constant.mean() + CONSTANT_MARGIN), told)
    unprinted = {"C5": "a Linear head on the weighted sum", "C6": "layer weights as numbers", "C13": "the splits themselves"}
    for claim, what in unprinted.items():
        out.append(Finding(claim, "untestable here", "", PRINTED, needs=f"what the paper does not print: {what}"))
    return sorted(out, key=lambda f: int(f.id[1:]))


def findings(found: list[Record]) -> list[Finding]:
    """Verdicts by our run, on the paper's corpora that are here; what asks for weights that are not here is untestable here."""
    found = [r for r in found if r.data_status == "paper"]
    tested = (_linear_is_best, _falls, _late_layers, _above_the_baseline, _multilingual, _both_rules)
    out = [f for test in tested if (f := test(found))]
    needs = {
        "C1": "wav2vec2-base",
        "C3": "wav2vec2-large",
        "C5": "wav2vec2-base",
        "C8": "wav2vec2-xls-r-300m",
        "C10": "whisper-medium",
        "C11": "wav2vec2-large",
        "C14": "wav2vec2-xls-r-300m",
    }
    for claim, model in needs.items():
        waits = f"a test of {model}'s records, which this edition does not have yet" if model in measured_encoders(found) else ""
        out.append(Finding(claim, "untestable here", "", "nothing yet", needs=waits or encoders.how_to_get(model)))
    printed = "nothing of a run: it is arithmetic on the paper's own tables, and is tested there"
    out.append(Finding("C12", "untestable here", "", "nothing yet", needs=printed))
    return sorted(out, key=lambda f: int(f.id[1:]))


MULTILINGUAL = ("whisper-small", "whisper-small-int8", "whisper-medium", "whisper-base", "whisper-tiny")


def _measured_whispers(found: list[Record]) -> list[str]:
    """Multilingual Whisper models with all three heads on all of the paper's corpora that are here."""
    heads = [{"head": h} for h in HEADS]
    return [e for e in MULTILINGUAL if all(len(cells.leads(found, h | {"encoder": e}, heads[0] | {"encoder": e})) for h in heads)]


def _head_leads(found: list[Record], steps: tuple[tuple[str, str], ...]) -> tuple[Verdict, str] | None:
    """Whether one head leads another, for each Whisper model and step: t intervals over corpora, and the lead on each."""
    verdicts, told = [], []
    for encoder in _measured_whispers(found):
        for one, other in steps:
            table = cells.leads(found, {"encoder": encoder, "head": one}, {"encoder": encoder, "head": other})
            by_corpus = table.groupby("corpus")["lead"].mean()
            interval = cells.over_corpora(by_corpus)
            verdicts.append(judge(interval, low=0.0))
            each = ", ".join(f"{corpus_title(str(c))} {lead:+.1f}" for c, lead in by_corpus.items())
            told.append(f"{cells.title_of(encoder)}, {HEADS[one]} over {HEADS[other]}: {points(interval)} ({each})")
    return (together(verdicts), "; ".join(told)) if verdicts else None


def _linear_is_best(found: list[Record]) -> Finding | None:
    """C2, on the Whisper models that are here."""
    led = _head_leads(found, (("linear", "non-linear"), ("linear", "multi-layer")))
    return (
        Finding("C2", led[0], f"Whisper models that are here, intervals over corpora: {led[1]}", "our run", None, "paper") if led else None
    )


def _falls(found: list[Record]) -> Finding | None:
    """C4: both steps, for each Whisper model that is here."""
    led = _head_leads(found, (("linear", "non-linear"), ("non-linear", "multi-layer")))
    return (
        Finding("C4", led[0], f"Whisper models that are here, intervals over corpora: {led[1]}", "our run", None, "paper") if led else None
    )


LEAST_LAYERS = 12  # with fewer, even equal weights have their centre near 0.6


def _late_layers(found: list[Record]) -> Finding | None:
    """C6: Whisper's half of it. It can fail by that half, and not hold without the other; weights that stay where they started, alike,
    tell of the schedule and not of layers, and decide nothing."""
    told, verdicts = [], []
    for encoder in _measured_whispers(found):
        weights = tables.layer_weights(found, encoder=encoder).groupby("layer")["weight"].mean()
        layers = len(weights)
        if layers >= LEAST_LAYERS:
            centre = _centre_of_weights(found, encoder)
            moved = weights.max() > MOVED / layers
            verdicts.append(judge(centre, low=0.6) if moved else "undecided")
            told.append(
                f"{cells.title_of(encoder)} {centre.value:.3f} [{centre.low:.3f}, {centre.high:.3f}], weights from {weights.min():.3f} to"
                f" {weights.max():.3f}; equal ones would be {1 / layers:.3f}, their centre {(layers + 1) / (2 * layers):.3f}"
            )
    if not verdicts:
        return None
    verdict: Verdict = "fails" if "fails" in verdicts else "undecided"
    evidence = f"Whisper's half alone, centre of the layer weights over l/L, interval over corpora: {'; '.join(told)}"
    return Finding("C6", verdict, evidence, "our run", None, "paper")


MOVED = 1.25  # times the equal weight: what the largest of them must reach to tell anything


def _above_the_baseline(found: list[Record]) -> Finding | None:
    """C7: each Whisper model's Linear head over AST from scratch, an interval over test files for each corpus. A small AST can refute
    the claim and not carry it, and so can a run that lacks some corpora."""
    corpora = cells.papers_corpora(found)
    whispers = [e for e in measured_encoders(found) if e.startswith("whisper")]
    for network in cells.NETWORKS:  # the paper's size first
        baselines = {c: records for c in corpora if (records := cells.cell(found, c, network))}
        leads = {
            (e, c): cells.difference_on(records, baseline)
            for c, baseline in baselines.items()
            for e in whispers
            if (records := cell(found, c, e, head="linear"))
        }
        if leads:
            whole = network == "ast" and len(leads) == len(corpora) * len(whispers)
            verdict = together([judge(lead, low=0.0) for lead in leads.values()])
            told = "; ".join(f"{cells.title_of(e)} on {corpus_title(c)} {points(lead)}" for (e, c), lead in leads.items())
            seeds = ", ".join(f"{corpus_title(c)} {len(records)}" for c, records in baselines.items())
            evidence = f"over {cells.title_of(network)} (seeds: {seeds}), intervals over test files: {told}"
            if not whole:
                evidence += "; a small AST cannot show that the claim holds" if network != "ast" else "; some corpora are missing"
            return Finding("C7", "undecided" if verdict == "holds" and not whole else verdict, evidence, "our run", None, "paper")
    return None


EXCEPTIONS = {"AESDD", "ShEMO"}  # where C9 grants that the English twin is better


def _signs(leads: dict[str, float]) -> tuple[Verdict, str]:
    """C9 by one sign a corpus: nothing is decided before a sign test of the wins over all of them tells."""
    lost = [corpus for corpus, lead in leads.items() if lead <= 0]
    p = stats.binomtest(len(leads) - len(lost), len(leads)).pvalue
    verdict: Verdict = "undecided" if p >= 0.05 else "holds" if set(lost) == EXCEPTIONS & set(leads) else "fails"
    return verdict, f"it loses on {', '.join(lost) or 'none'}; sign test over {len(leads)} sets p = {p:.2f}"


def _multilingual(found: list[Record]) -> Finding | None:
    """C9 by the twins that are here, their leads averaged on each corpus."""
    twins = [(n, f"{n}.en") for n in ("whisper-small", "whisper-base", "whisper-tiny")]
    tables_of = {n: cells.leads(found, {"encoder": n, "head": "linear"}, {"encoder": en, "head": "linear"}) for n, en in twins}
    here = {n: table for n, table in tables_of.items() if len(table)}
    if not here:
        return None
    mean = pd.concat(here.values()).groupby("corpus")["lead"].mean()
    verdict, told = _signs({corpus_title(str(c)): float(lead) for c, lead in mean.items()})
    each = ", ".join(f"{corpus_title(str(c))} {lead:+.1f}" for c, lead in mean.items())
    names = ", ".join(cells.title_of(n) for n in here)
    return Finding("C9", verdict, f"stand-ins, mean of {names} over their English twins: {each}; {told}", "our run", None, "paper")


def _centre_of_weights(found: list[Record], encoder: str) -> Interval:
    """Centre of mass of the layer weights over l/L, mean over corpora and seeds, with an interval over corpora."""
    table = tables.layer_weights(found, encoder=encoder)
    table["share"] = table["layer"] / table["layer"].max() * table["weight"]
    return cells.over_corpora(table.groupby(["corpus", "seed"])["share"].sum().groupby("corpus").mean())


def _both_rules(found: list[Record]) -> Finding | None:
    """C13 by our own splits: what shares whole speakers allow. It can fail by them, and not hold: the paper's splits are not printed."""
    cards_of = [r for r in tables.corpus_records(found) if r.data_status == "paper"]
    if not cards_of:
        return None
    told, missed = [], False
    for record in cards_of:
        split = record.items().query("protocol == 'speaker'").set_index("part")
        shares = split.loc[["train", "valid", "test"], "share"]
        missed |= bool((shares - [0.8, 0.1, 0.1]).abs().max() > SHARE_MISSED)
        told.append(f"{corpus_title(record.trial['corpus'])} {' / '.join(f'{100 * x:.0f}' for x in shares)}")
    evidence = f"train, validation and test in percent that whole speakers allow, one part as near as any: {', '.join(told)}"
    return Finding("C13", "fails" if missed else "undecided", evidence, "our run", None, "paper")


SHARE_MISSED = 0.02


def facts_in_words(found: list[Record]) -> dict[str, str]:
    """Numbers of the run that the page's prose names."""
    none = "not available"
    out = {
        "n_corpora": str(len(measured_corpora(found))),
        "n_encoders": str(len([e for e in measured_encoders(found) if e not in cells.CONTROLS and e not in cells.NETWORKS])),
    }
    out["n_paper_corpora"] = str(len({r.trial["corpus"] for r in found if r.data_status == "paper"}))
    small = "whisper-small-int8"
    printed = published.read(SLUG, "table3")
    printed = printed[printed["backbone"] == "Whisper Small"].set_index("dataset")["mean"]
    for corpus in ("aesdd", "emodb", "emovo"):
        records = cell(found, corpus, small, head="linear")
        out[f"paper_{corpus}"] = f"{printed[corpus_title(corpus)]:.2f}"
        out[f"f1_{corpus}"] = f"{cells.f1_draws(records)[0]:.1f}" if records else none
        out[f"constant_{corpus}"] = f"{records[0].metrics['constant_f1']:.1f}" if records else none
    by_speaker = {c: tables.f1_by_speaker(cell(found, c, small, head="linear", protocol="loso")) for c in ("aesdd", "emodb", "emovo")}
    for corpus, f1 in by_speaker.items():
        out[f"speakers_{corpus}"] = f"{f1.iloc[0]:.1f} to {f1.iloc[-1]:.1f}" if len(f1) else none
    out["aesdd_worst"] = _worst_speakers(found, "aesdd") or none
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
    verdicts = {f.id: f.verdict for f in findings(found)}
    out |= {f"verdict_C{i}": verdicts.get(f"C{i}", none) for i in range(1, 15)}
    lead = cells.lead_over_corpora(found, {"encoder": small, "head": "linear"}, {"encoder": small, "head": "non-linear"})
    out["n_not_here"] = (
        f"{len([e for e in encoders.PAPER if e not in measured_encoders(found)])} of the paper's {len(encoders.PAPER)} models"
    )
    nine = [c for c in emotions.CORPORA if emotions.CORPORA[c].status == "paper"]
    out["corpora_not_here"] = f"{len(nine) - len(cells.papers_corpora(found))} of its {len(nine)} corpora"
    out["lead_linear"] = points(lead) if lead else none
    missed = tables.table2_against_table3()
    out["no_subset"] = f"{int((missed['within rounding'] == 'no').sum())} of {len(missed)} models"
    out["subsets_that_fit_all"] = str(tables.subsets_that_fit_all())
    return out


def _worst_speakers(found: list[Record], corpus: str) -> str:
    """Of each Whisper model: the speaker that its Linear head does worst on when tested unheard."""
    f1 = {e: tables.f1_by_speaker(cell(found, corpus, e, head="linear", protocol="loso")) for e in MULTILINGUAL}
    return "; ".join(f"{cells.title_of(e)} speaker {s.index[0]} with {s.iloc[0]:.1f}" for e, s in f1.items() if len(s))


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
