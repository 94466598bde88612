"""The paper's claims against its own printed numbers. Two questions for each: is it true of them, and is it more than chance?"""

from collections.abc import Callable

import numpy as np
import pandas as pd
from scipy import stats

from ...corpora.emotion import catalogue
from ...metrics import Interval
from ...results import published
from ...results.claims import Criterion, Finding, Verdict, against, all_of, decisive, judge
from . import tables
from .plan import PAPERS_RUNS, PAPERS_WAV2VEC, PAPERS_WHISPER, SLUG
from .selection import title_of

EQUIVALENT = 2.0  # points of F1 within which two heads are alike
CLOSE = 1.0  # points that the difference of such heads may be, as the ledger's test has it
MAJORITY_MARGIN = 1.0  # points of F1 within which a score counts as no better than the majority-class baseline
MULTILINGUAL_SETS = ("emovo", "demos", "oreau", "cafe", "emomatch", "emodb")  # where C10 has a multilingual Whisper best
LARGE_SETS = ("aesdd", "eyase")  # where C11 has Wav2Vec 2.0 Large best
GREEK_AND_PERSIAN = ("aesdd", "shemo")  # where C9 grants that the English twin is better
PERSIAN = "ShEMO"  # where C8 calls the models comparable
SIGNIFICANT = 0.05

WAVES = [title_of(e) for e in PAPERS_WAV2VEC]
WHISPERS = [title_of(e) for e in PAPERS_WHISPER]


def findings() -> list[Finding]:
    """A finding for each claim; those on numbers that the paper does not print are not tested."""
    tests: tuple[Callable[[], Finding], ...] = (
        *(_best_head_of_waves, _linear_is_best, _alike, _falls, _above_the_baseline, _english_waves, _multilingual),
        *(_multilingual_is_best, _large_is_best, _table2_is_the_mean, _no_better_than_the_majority),
    )
    unprinted = {"C5": "a Linear head on the weighted sum", "C6": "layer weights as numbers", "C13": "the splits themselves"}
    out = [test() for test in tests]
    out += [_printed(claim, "not tested", "", needs=f"what the paper does not print: {what}") for claim, what in unprinted.items()]
    return sorted(out, key=lambda f: int(f.id[1:]))


def _printed(claim: str, verdict: Verdict | bool, evidence: str, **more) -> Finding:
    said: Verdict = verdict if isinstance(verdict, str) else "holds" if verdict else "fails"
    return Finding(claim, said, evidence, "the paper's printed numbers", **more)


def _table2() -> pd.DataFrame:
    return published.read(SLUG, "table2")


def _table3() -> pd.DataFrame:
    """Corpora by rows, models by columns."""
    return published.read(SLUG, "table3").pivot(index="dataset", columns="backbone", values="mean")


def difference(backbone: str, one: str, other: str) -> Interval:
    """One head less another in Table 2, with Welch's 95 % interval from the printed standard deviations; it covers runs alone."""
    part = _table2().set_index(["backbone", "head"]).loc[backbone]
    return _welch(part.loc[one], part.loc[other])


def _welch(one: pd.Series, other: pd.Series) -> Interval:
    """The difference of two printed cells, each a mean and standard deviation over the paper's runs, with Welch's 95 % interval."""
    variances = np.array([one["std"], other["std"]], float) ** 2 / PAPERS_RUNS
    freedom = variances.sum() ** 2 / (variances**2 / (PAPERS_RUNS - 1)).sum()
    half = float(stats.t.ppf(0.975, freedom) * np.sqrt(variances.sum()))
    mean = float(one["mean"] - other["mean"])
    return Interval(mean, mean - half, mean + half)


def _heads(claim: str, models: list[str], steps: list[tuple[str, str]]) -> Finding:
    """Whether each head of `steps` is above the next, for every model."""
    apart = {f"{m}, {a} over {b}": difference(m, a, b) for m in models for a, b in steps}
    text = "; ".join(f"{name} {d.text('+.2f')}" for name, d in apart.items())
    tested = [against(d, f"{name}, points of F1", low=0.0) for name, d in apart.items()]
    chance = all_of([v for v, *_ in tested])
    least, criterion = decisive(tested)
    evidence = f"intervals over the {PAPERS_RUNS} runs: {text}"
    return _printed(claim, all(d.value > 0 for d in apart.values()), evidence, chance=chance, interval=least, criterion=criterion)


def _best_head_of_waves() -> Finding:
    return _heads("C1", WAVES, [("Multi-Layer", "Linear"), ("Multi-Layer", "Non-Linear")])


def _linear_is_best() -> Finding:
    return _heads("C2", WHISPERS, [("Linear", "Non-Linear"), ("Linear", "Multi-Layer")])


def _falls() -> Finding:
    return _heads("C4", WHISPERS, [("Linear", "Non-Linear"), ("Non-Linear", "Multi-Layer")])


def _alike() -> Finding:
    """Less than a point apart; more than chance if the whole interval is within two points."""
    apart = {m: difference(m, "Linear", "Non-Linear") for m in WAVES[1:]}
    chance = all_of([judge(d, -EQUIVALENT, EQUIVALENT) for d in apart.values()])
    widest = max(apart.values(), key=lambda d: d.high - d.low)
    text = "; ".join(f"{m}, Linear over Non-Linear {d.text('+.2f')}" for m, d in apart.items())
    base = difference(WAVES[0], "Linear", "Non-Linear")
    evidence = f"{text} over {PAPERS_RUNS} runs; below {CLOSE:g} point is asked for, and an interval within ±{EQUIVALENT:g}"
    evidence += f". Read strictly, of all three models: {WAVES[0]} {base.text('+.2f')}"
    strict: Verdict = "holds" if abs(base.value) < CLOSE else "fails"
    criterion = Criterion("Linear over Non-Linear, points of F1", -EQUIVALENT, EQUIVALENT)
    true = all(abs(d.value) < CLOSE for d in apart.values())
    return _printed("C3", true, evidence, strict=strict, chance=chance, interval=widest, criterion=criterion)


def sign_test(wins: int, of: int) -> float:
    """Two-sided p value of a sign test."""
    return float(stats.binomtest(wins, of).pvalue)


def chance_of(wins: int, of: int) -> Verdict:
    """Whether so many wins are more than chance, or fewer."""
    if sign_test(wins, of) >= SIGNIFICANT:
        return "inconclusive"
    return "holds" if wins > of / 2 else "fails"


def _above_the_baseline() -> Finding:
    """As it stands: on every corpus the mean of the six models is above AST. Every model on every corpus is the strict reading."""
    table = _table3()
    lead = table.drop(columns="AST").sub(table["AST"], axis=0)
    below = [f"{m} on {d} ({lead.loc[d, m]:+.2f})" for d in lead.index for m in lead.columns if lead.loc[d, m] <= 0]
    mean = lead.mean(axis=1)
    wins = int((mean > 0).sum())
    evidence = (
        f"the mean of the six models is above AST on {wins} of {len(mean)} corpora, by {mean.min():.2f} to {mean.max():.2f} "
        f"(sign test p = {sign_test(wins, len(mean)):.3f}); of all {lead.size} cells, {len(below)} are below: {', '.join(below)}"
    )
    strict: Verdict = "fails" if below else "holds"
    return _printed("C7", wins == len(mean), evidence, strict=strict, chance=chance_of(wins, len(mean)))


def _english_waves() -> Finding:
    """ "Generally": on most corpora but the Persian one; "comparable" there: within the larger standard deviation. Strictly: on each."""
    table, spread = _table3(), published.read(SLUG, "table3").pivot(index="dataset", columns="backbone", values="std")
    others = [d for d in table.index if d != PERSIAN]
    text, wins, comparable = [], [], []
    for model in WAVES[:2]:
        lost = [d for d in others if table.loc[d, model] <= table.loc[d, "XLS-R"]]
        wins.append(len(others) - len(lost))
        apart = table.loc[PERSIAN, model] - table.loc[PERSIAN, "XLS-R"]
        comparable.append(abs(apart) < spread.loc[PERSIAN, [model, "XLS-R"]].max())
        p = sign_test(wins[-1], len(others))
        text.append(
            f"{model} is ahead on {wins[-1]} of {len(others)} corpora (sign test p = {p:.2f})"
            + (f", not on {', '.join(lost)}" if lost else "")
            + f", and {apart:+.2f} in Persian"
        )
    generally = all(w > len(others) / 2 for w in wins) and all(comparable)
    strict: Verdict = "holds" if min(wins) == len(others) and all(comparable) else "fails"
    chance = all_of([chance_of(w, len(others)) for w in wins])
    return _printed("C8", generally, "; ".join(text), strict=strict, chance=chance)


def signs(leads: dict[str, float], granted: set[str]) -> tuple[bool, Verdict, str]:
    """Whether the corpora that are lost are the granted ones; whether the wins are more than chance; and a sentence."""
    lost = {corpus for corpus, lead in leads.items() if lead <= 0}
    p = sign_test(len(leads) - len(lost), len(leads))
    evidence = f"it loses on {', '.join(sorted(lost)) or 'none'}; sign test over {len(leads)} corpora p = {p:.2f}"
    of_claim = sign_test(len(leads) - len(granted & set(leads)), len(leads))
    if of_claim >= SIGNIFICANT:
        evidence += f" (with {len(leads)} corpora it cannot reach p < .05 even if exactly the stated exceptions occur)"
    return lost == granted & set(leads), chance_of(len(leads) - len(lost), len(leads)), evidence


def _multilingual() -> Finding:
    table = _table3()
    true, chance, evidence = signs(
        (table["Whisper Small"] - table["Whisper Small (EN)"]).to_dict(), {catalogue.title(c) for c in GREEK_AND_PERSIAN}
    )
    return _printed("C9", true, evidence, chance=chance)


def lead_on(dataset: str) -> tuple[str, str, Interval]:
    """The best model of Table 3 on a corpus, the runner-up, and the lead with Welch's 95 % interval over runs."""
    three = published.read(SLUG, "table3")
    best, following = (r for _, r in three[three["dataset"] == dataset].nlargest(2, "mean").iterrows())
    return str(best["backbone"]), str(following["backbone"]), _welch(best, following)


def _best_on(claim: str, corpora: tuple[str, ...], allowed: list[str]) -> Finding:
    """One rule for C10 and C11: true if one of the models is best on each corpus, more than chance if it leads the best other model by
    more than its runs vary."""
    leads = {catalogue.title(c): lead_on(catalogue.title(c)) for c in corpora}
    text = ", ".join(f"{d}: {best} over {other} {lead.text('+.2f')}" for d, (best, other, lead) in leads.items())
    # Two of the named models may lead each other; between them nothing has to be decided.
    open_ = {d: lead for d, (_, other, lead) in leads.items() if other not in allowed}
    tested = [against(lead, f"lead on {d}, points of F1", low=0.0) for d, lead in open_.items()]
    interval, criterion = decisive(tested) if tested else (None, None)
    chance = all_of([v for v, *_ in tested]) if tested else "inconclusive"
    true = all(best in allowed for best, *_ in leads.values())
    return _printed(claim, true, f"intervals over {PAPERS_RUNS} runs: {text}", chance=chance, interval=interval, criterion=criterion)


def _multilingual_is_best() -> Finding:
    return _best_on("C10", MULTILINGUAL_SETS, WHISPERS[1:])


def _large_is_best() -> Finding:
    return _best_on("C11", LARGE_SETS, WAVES[1:2])


def _table2_is_the_mean() -> Finding:
    gaps = published.read(SLUG, "table2_vs_table3")
    gaps = gaps[gaps["difference"].notna()]
    text = ", ".join(f"{r.backbone} {r.difference:+.2f}" for r in gaps.itertuples())
    return _printed("C12", bool((gaps["difference"].abs() <= tables.ROUNDING).all()), f"Mean of Table 3 less Table 2: {text}")


def _no_better_than_the_majority() -> Finding:
    counts = published.read(SLUG, "emobox_counts")
    own = counts["dataset"].str.split(" (", regex=False).str[0].isin(_table3().index)  # URDU's counts are there too
    constant = counts.loc[own, "macro_F1_percent_of_always_naming_the_largest_class"]
    high = _table2().set_index(["backbone", "head"])["mean"].loc["XLS-R"].loc[["Linear", "Non-Linear"]].max()
    text = (
        f"at most {high:.2f}; the majority-class baseline has {constant.mean():.2f} on the mean of the {len(constant)} of the paper's "
        f"corpora whose class sizes are known; up to {MAJORITY_MARGIN:g} point above counts as no better"
    )
    return _printed("C14", bool(high <= constant.mean() + MAJORITY_MARGIN), text)
