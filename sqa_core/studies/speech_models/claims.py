"""Claims of the paper on speech models, tested by our run."""

from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import NamedTuple

import numpy as np
import pandas as pd

from ...corpora.emotion import catalogue
from ...metrics import Draws, Interval, bias_corrected, confidence_t
from ...models.heads import HEADS
from ...results.claims import Criterion, Finding, Verdict, against, all_of, decisive, judge, not_tested
from . import open_questions, tables
from .claims_printed import CLOSE, EQUIVALENT, GREEK_AND_PERSIAN, LARGE_SETS, MAJORITY_MARGIN, MULTILINGUAL_SETS, signs
from .plan import (
    ASTS,
    LARGER_WAV2VEC,
    PAPERS_CORPORA,
    PAPERS_ENCODERS,
    PAPERS_WAV2VEC,
    PAPERS_WHISPER,
    model_status,
)
from .selection import Run, difference_on, f1_draws, leads, points, title_of

WHISPERS = (*PAPERS_WHISPER, "whisper-small-int8", "whisper-base", "whisper-tiny", "whisper-base.en", "whisper-tiny.en")  # with stand-ins
ENGLISH_WAV2VEC, XLS_R = PAPERS_WAV2VEC[:2], PAPERS_WAV2VEC[2:]
ENGLISH_LOSES = ("shemo",)  # where C8 grants that XLS-R is better


def _in_order(findings: Iterable[Finding]) -> list[Finding]:
    return sorted(findings, key=lambda f: int(f.id[1:]))


def findings(run: Run) -> list[Finding]:
    """Verdicts by our run, on the paper's corpora that are here; a claim whose models are not here is not tested, with what would get
    them."""
    run = run.of_papers_corpora()
    tests = (
        *(_best_head_of_waves, _linear_is_best, _alike, _falls, _inner_layers, _layers_used, _above_the_baseline, _english_waves),
        *(_multilingual, _multilingual_is_best, _large_is_best, _both_rules, _no_better_than_constant),
    )
    tested = [f for test in tests if (f := test(run))]
    known = {f.id for f in tested}
    for claim, models in NEEDS.items():
        if claim not in known:
            tested.append(not_tested(claim, _what_to_run(run, models)))
    printed = "nothing of a run: it is arithmetic on the paper's own tables, and is tested there"
    return _in_order([*tested, not_tested("C12", printed)])


# Which models a claim is about; without their records it is not tested.
NEEDS = {
    "C1": PAPERS_WAV2VEC,
    "C2": PAPERS_WHISPER,
    "C3": LARGER_WAV2VEC,
    "C4": PAPERS_WHISPER,
    "C5": PAPERS_WAV2VEC,
    "C6": (*PAPERS_WAV2VEC, *PAPERS_WHISPER),
    "C7": PAPERS_ENCODERS,
    "C8": PAPERS_WAV2VEC,
    "C9": PAPERS_WHISPER[:2],
    "C10": PAPERS_ENCODERS,
    "C11": PAPERS_ENCODERS,
    "C13": (),
    "C14": XLS_R,
}


def _what_to_run(run: Run, models: Sequence[str]) -> str:
    """The commands that would make a claim testable."""
    lacking = [e for e in models if e not in run.models]
    fetched = f"sqa data fetch {' '.join(lacking)}, then " if lacking else ""
    return f"{fetched}sqa run speech_models --profile paper --store book/results"


def _ours(claim: str, verdict: Verdict, evidence: str, models: Iterable[str] = ()) -> Finding:
    """A verdict by our run on the paper's corpora, with the status of the models that it rests on."""
    statuses = sorted({model_status(e) for e in models}, reverse=True)
    return Finding(claim, verdict, evidence, "our run", None, "paper", " and ".join(statuses))


def _cap(verdict: Verdict, whole: bool) -> Verdict:
    """Part of what a claim is about can refute it and not carry it."""
    return "inconclusive" if verdict == "holds" and not whole else verdict


def _with_heads(run: Run, models: Iterable[str], heads: Iterable[str], protocol: str = "speaker") -> list[str]:
    """Those models that have these heads on all of the paper's corpora that are here."""
    corpora = run.papers_corpora
    return [e for e in models if corpora and all(run.cell(c, e, h, protocol) for c in corpora for h in heads)]


class HeadTest(NamedTuple):
    """A verdict, its evidence, the models behind it, and the number that decides."""

    verdict: Verdict
    evidence: str
    models: list[str]
    interval: Interval
    criterion: Criterion


def _of_heads(claim: str, judged: HeadTest | None, needed: Iterable[str]) -> Finding | None:
    """The finding on a claim about heads; to hold, it needs all of the paper's models."""
    if judged is None:
        return None
    verdict = _cap(judged.verdict, set(needed) <= set(judged.models))
    return replace(_ours(claim, verdict, judged.evidence, judged.models), interval=judged.interval, criterion=judged.criterion)


def _head_leads(run: Run, models: Sequence[str], steps: Sequence[tuple[str, str]]) -> HeadTest | None:
    """Whether one head leads another, for each model and step, by leave-one-speaker-out where all heads have it, else on the one
    speaker-independent split: t intervals over corpora."""
    protocol = "loso" if _with_heads(run, models, HEADS, "loso") else "speaker"
    here = _with_heads(run, models, HEADS, protocol)
    tested, text = [], []
    for encoder in here:
        for one, other in steps:
            interval = confidence_t(_lead_by_corpus(run, encoder, one, other, protocol))
            tested.append(against(interval, f"{HEADS[one]} over {HEADS[other]}, points of F1", low=0.0))
            text.append(f"{title_of(encoder)}, {HEADS[one]} over {HEADS[other]}: {points(interval)}")
    if not here:
        return None
    corpora = ", ".join(catalogue.title(c) for c in run.papers_corpora)
    how = "leave-one-speaker-out" if protocol == "loso" else "one speaker-independent split"
    return HeadTest(all_of([v for v, *_ in tested]), f"{how}; intervals over {corpora}: {'; '.join(text)}", here, *decisive(tested))


def linear_leads(run: Run) -> list[Interval]:
    """By how much the Linear head leads each other head on each Whisper model that has all three by leave-one-speaker-out."""
    here = _with_heads(run, WHISPERS, HEADS, "loso")
    return [
        confidence_t(_lead_by_corpus(run, encoder, "linear", other, "loso")) for encoder in here for other in HEADS if other != "linear"
    ]


def _lead_by_corpus(run: Run, encoder: str, one: str, other: str, protocol: str = "speaker") -> pd.Series:
    common = {"model": encoder, "protocol": protocol}
    return leads(run, common | {"head": one}, common | {"head": other}).groupby("corpus")["lead"].mean()


def _best_head_of_waves(run: Run) -> Finding | None:
    """C1, for each model of the family; all of them are asked for."""
    led = _head_leads(run, PAPERS_WAV2VEC, (("multi-layer", "linear"), ("multi-layer", "non-linear")))
    return _of_heads("C1", led, PAPERS_WAV2VEC)


def _linear_is_best(run: Run) -> Finding | None:
    """C2, on the available Whisper models; to hold, it needs the paper's three."""
    return _of_heads("C2", _head_leads(run, WHISPERS, (("linear", "non-linear"), ("linear", "multi-layer"))), PAPERS_WHISPER)


def _alike(run: Run) -> Finding | None:
    """C3: less than a point apart, and within two by an interval over corpora."""
    here = _with_heads(run, LARGER_WAV2VEC, ("linear", "non-linear"))
    verdicts: list[Verdict] = []
    text = []
    for encoder in here:
        apart = confidence_t(_lead_by_corpus(run, encoder, "linear", "non-linear"))
        alike = judge(apart, -EQUIVALENT, EQUIVALENT) == "holds" and abs(apart.value) < CLOSE
        verdicts.append("holds" if alike else "fails" if judge(apart, -CLOSE, CLOSE) == "fails" else "inconclusive")
        text.append(f"{title_of(encoder)}, Linear over Non-Linear: {points(apart)}")
    evidence = f"intervals over corpora: {'; '.join(text)}; below {CLOSE:g} and within {EQUIVALENT:g} points is asked for"
    return _ours("C3", _cap(all_of(verdicts), len(here) == 2), evidence, here) if here else None


def _falls(run: Run) -> Finding | None:
    """C4: both steps, for each available Whisper model; to hold, it needs the paper's three."""
    return _of_heads("C4", _head_leads(run, WHISPERS, (("linear", "non-linear"), ("non-linear", "multi-layer"))), PAPERS_WHISPER)


def _inner_layers(run: Run) -> Finding | None:
    """C5: Linear on a weighted sum reaches Multi-Layer within two points, and is more than two above Linear on the last layer."""
    here = _with_heads(run, PAPERS_WAV2VEC, ("linear", "multi-layer", "weighted-linear"))
    verdicts, text = [], []
    for encoder in here:
        short, gain = (confidence_t(_lead_by_corpus(run, encoder, "weighted-linear", head)) for head in ("multi-layer", "linear"))
        verdicts += [judge(short, low=-EQUIVALENT), judge(gain, low=EQUIVALENT)]
        text.append(f"{title_of(encoder)}, Linear on a weighted sum: {points(short)} over Multi-Layer, {points(gain)} over Linear")
    evidence = f"intervals over corpora: {'; '.join(text)}"
    return _ours("C5", _cap(all_of(verdicts), len(here) == len(PAPERS_WAV2VEC)), evidence, here) if here else None


MIN_LAYERS = 12  # with fewer, even equal weights have their centre near 0.6
MIDDLE = 0.6


def _layers_used(run: Run) -> Finding | None:
    """C6: the centre of the layer weights, below 0.6 for wav2vec 2.0 and above for Whisper, and the difference. One half can refute it
    but not confirm it. Weights that have not moved reflect the schedule and not the layers: under such training it cannot be tested."""
    text, verdicts, centres, models, all_moved = [], [], {}, [], True
    for family, names, bounds in (("wav2vec 2.0", PAPERS_WAV2VEC, {"high": MIDDLE}), ("Whisper", WHISPERS, {"low": MIDDLE})):
        of_family = []
        for encoder in _with_heads(run, names, ("multi-layer",)):
            weights = _layer_weights(run, encoder).groupby("layer")["weight"].mean()
            layers = len(weights)
            if layers < MIN_LAYERS:
                continue
            by_corpus = _centre_by_corpus(run, encoder)
            centre = confidence_t(by_corpus)
            moved = weights.max() > open_questions.MOVED / layers
            all_moved &= bool(moved)
            verdicts.append(judge(centre, **bounds) if moved else "not tested")
            of_family.append(by_corpus)
            models.append(encoder)
            text.append(
                f"{title_of(encoder)} {centre.value:.3f} [{centre.low:.3f}, {centre.high:.3f}], weights from {weights.min():.3f} to"
                f" {weights.max():.3f}; equal ones would be {1 / layers:.3f}, their centre {(layers + 1) / (2 * layers):.3f}"
            )
        if of_family:
            centres[family] = pd.concat(of_family, axis=1).mean(axis=1)
    if not verdicts:
        return None
    if len(centres) == 2:
        gap = confidence_t((centres["Whisper"] - centres["wav2vec 2.0"]).dropna())
        verdicts.append(judge(gap, low=0.0) if all_moved else "not tested")
        text.append(f"Whisper's is {gap.value:+.3f} [{gap.low:+.3f}, {gap.high:+.3f}] behind")
    half = "" if len(centres) == 2 else f"{next(iter(centres))}'s half alone, "
    evidence = f"{half}centre of the layer weights over l/L, intervals over corpora: {'; '.join(text)}"
    if "not tested" in verdicts:
        return _ours("C6", "not tested", f"not testable under this training: the weights hardly move. {evidence}", models)
    return _ours("C6", _cap(all_of(verdicts), len(centres) == 2), evidence, models)


def _layer_weights(run: Run, encoder: str) -> pd.DataFrame:
    table = tables.layer_weights(run)
    return table[table["encoder"] == encoder].copy()


def _centre_by_corpus(run: Run, encoder: str) -> pd.Series:
    """Centre of mass of the layer weights over l/L, mean over seeds."""
    table = _layer_weights(run, encoder)
    table["share"] = table["layer"] / table["layer"].max() * table["weight"]
    return table.groupby(["corpus", "seed"])["share"].sum().groupby("corpus").mean()


def _above_the_baseline(run: Run) -> Finding | None:
    """C7: each speech model that is here, with the head that the paper prints for it, over AST from scratch; an interval over test files
    for each corpus. A small AST can refute the claim and not carry it, and so can a run that lacks some corpora or models."""
    corpora = run.papers_corpora
    models = [e for e in run.models if e in (*PAPERS_WAV2VEC, *WHISPERS)]
    for network in ASTS:  # the paper's size first
        baselines = {c: records for c in corpora if (records := run.cell(c, network))}
        leads = {
            (e, c): lead
            for c, baseline in baselines.items()
            for e in models
            if (lead := difference_on(run.cell(c, e, _printed_head(e)), baseline))
        }
        if leads:
            asked_for = {(e, c) for e in PAPERS_ENCODERS for c in PAPERS_CORPORA}
            complete = network == "ast" and asked_for <= set(leads)
            text = "; ".join(f"{title_of(e)} on {catalogue.title(c)} {points(lead)}" for (e, c), lead in leads.items())
            seeds = ", ".join(f"{catalogue.title(c)} {len(records)}" for c, records in baselines.items())
            evidence = f"one speaker-independent split, over {title_of(network)} (seeds: {seeds}), intervals over test files: {text}"
            if not complete:
                small = "a small AST cannot show that the claim holds" if network != "ast" else ""
                evidence += "; " + (small or "some of the paper's corpora and models are missing")
            verdict = all_of([judge(lead, low=0.0) for lead in leads.values()])
            return _ours("C7", _cap(verdict, complete), evidence, [network, *{e for e, _ in leads}])
    return None


def _printed_head(encoder: str) -> str:
    """The head of a model's column in the paper's Table 3."""
    return "multi-layer" if encoder in PAPERS_WAV2VEC else "linear"


def _english_waves(run: Run) -> Finding | None:
    """C8: Base and Large over XLS-R on each corpus but the Persian one, intervals over test files."""
    verdicts, text, seen = [], [], set()
    for corpus in run.papers_corpora:
        cells_of = {e: run.cell(corpus, e, _printed_head(e)) for e in PAPERS_WAV2VEC}
        for encoder in ENGLISH_WAV2VEC:
            if lead := difference_on(cells_of[encoder], cells_of[XLS_R[0]]):
                verdicts.append(judge(lead, high=0.0) if corpus in ENGLISH_LOSES else judge(lead, low=0.0))
                text.append(f"{title_of(encoder)} on {catalogue.title(corpus)} {points(lead)}")
                seen.add((encoder, corpus))
    whole = {(e, c) for e in ENGLISH_WAV2VEC for c in PAPERS_CORPORA} <= seen
    evidence = f"over XLS-R, intervals over test files: {'; '.join(text)}"
    return _ours("C8", _cap(all_of(verdicts), whole), evidence, PAPERS_WAV2VEC) if text else None


def _multilingual(run: Run) -> Finding | None:
    """C9 by the twins that are here, their leads averaged on each corpus."""
    twins = [(n, f"{n}.en") for n in ("whisper-small", "whisper-base", "whisper-tiny")]
    protocol = "loso" if any(_with_heads(run, pair, ("linear",), "loso") == list(pair) for pair in twins) else "speaker"
    common = {"head": "linear", "protocol": protocol}
    tables_of = {n: leads(run, common | {"model": n}, common | {"model": en}) for n, en in twins}
    here = {n: table for n, table in tables_of.items() if len(table)}
    if not here:
        return None
    mean = pd.concat(here.values()).groupby("corpus")["lead"].mean()
    true, chance, text = signs(
        {catalogue.title(str(c)): float(lead) for c, lead in mean.items()}, {catalogue.title(c) for c in GREEK_AND_PERSIAN}
    )
    verdict: Verdict = "inconclusive" if chance != "holds" else "holds" if true else "fails"
    each = ", ".join(f"{catalogue.title(str(c))} {lead:+.1f}" for c, lead in mean.items())
    names = ", ".join(title_of(n) for n in here)
    how = "leave-one-speaker-out" if protocol == "loso" else "one speaker-independent split"
    return _ours("C9", verdict, f"{how}, mean of {names} over their English twins: {each}; {text}", here)


def _best_on(run: Run, claim: str, sets: Sequence[str], named: Sequence[str]) -> Finding | None:
    """Whether the best of the named models leads the best of the paper's others on each of these corpora; intervals over test files."""
    found: dict[str, Interval] = {}
    for corpus in [c for c in run.papers_corpora if c in sets]:
        cells_of = {e: run.cell(corpus, e, _printed_head(e)) for e in PAPERS_ENCODERS}
        if all(cells_of.values()):
            draws = {e: f1_draws(records) for e, records in cells_of.items()}
            best, other = (Draws.largest([d for e, d in draws.items() if (e in named) == wanted]) for wanted in (True, False))
            found[corpus] = bias_corrected(best - other)
    if not found:
        return None
    text = "; ".join(f"{catalogue.title(c)} {points(lead)}" for c, lead in found.items())
    evidence = f"best of {', '.join(title_of(e) for e in named)} over the best of the paper's others, intervals over test files: {text}"
    verdict = all_of([judge(lead, low=0.0) for lead in found.values()])
    return _ours(claim, _cap(verdict, set(found) == set(sets)), evidence, PAPERS_ENCODERS)


def _multilingual_is_best(run: Run) -> Finding | None:
    return _best_on(run, "C10", MULTILINGUAL_SETS, ("whisper-small", "whisper-medium"))


def _large_is_best(run: Run) -> Finding | None:
    return _best_on(run, "C11", LARGE_SETS, ("wav2vec2-large",))


MAX_SHARE_MISSED = 0.02  # of a 10 % part: further off than rounding to whole files, in every corpus here, can put it


def _both_rules(run: Run) -> Finding | None:
    """C13 by our own splits: what shares whole speakers allow, a question of feasibility. The paper's splits are not printed, so it cannot
    hold."""
    cards_of = tables.corpus_records(run)
    if not cards_of:
        return None
    text, missed = [], []
    for record in cards_of:
        split = record.items().query("protocol == 'speaker'").set_index("part")
        shares = split.loc[["train", "valid", "test"], "share"]
        missed.append(bool((shares - [0.8, 0.1, 0.1]).abs().max() > MAX_SHARE_MISSED))
        text.append(f"{catalogue.title(record.trial['corpus'])} {' / '.join(f'{100 * x:.0f}' for x in shares)}")
    evidence = f"train, validation and test in percent that whole speakers allow, one part as near as any: {', '.join(text)}"
    return _ours("C13", "inconclusive" if not any(missed) else "fails" if all(missed) else "partly", evidence)


def _no_better_than_constant(run: Run) -> Finding | None:
    """C14: both heads on XLS-R's last layer minus the majority-class baseline, intervals over corpora."""
    verdicts, text = [], []
    for head in ("linear", "non-linear"):
        if _with_heads(run, XLS_R, (head,)):
            of = {c: run.cell(c, XLS_R[0], head) for c in run.papers_corpora}
            above = pd.Series({c: np.mean([r.metrics["f1"] - r.metrics["constant_f1"] for r in records]) for c, records in of.items()})
            interval = confidence_t(above)
            verdicts.append(judge(interval, high=MAJORITY_MARGIN))
            text.append(f"{HEADS[head]} {points(interval)} over the majority-class baseline")
    evidence = f"intervals over corpora: {'; '.join(text)}; up to {MAJORITY_MARGIN:g} point is no better"
    return _ours("C14", _cap(all_of(verdicts), len(text) == 2), evidence, XLS_R) if text else None
