"""The paper's claims, each tested on synthetic voices, which differ in nothing but language, or on real ones; the two are never mixed."""

from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np
import pandas as pd
from scipy import stats

from ... import metrics
from ...corpora.impairments import DIMENSIONS
from ...metrics import Draws, Interval, bias_corrected
from ...results.claims import WORDS, Finding, Test, Verdict, against, all_of, decisive, not_tested
from . import selection, tables
from .selection import AST, DIMENSION_TITLES, LANGUAGES, NISQA, OURS, TESTED, Grid, Status

ORDER = ("zh", "fr", "de", "sv", "nl")  # of the paper, the easiest first
HARDEST = ("sv", "nl")
SURE = 0.95  # probability under the bootstrap
MIN_SEEDS = 3  # trainings of each network; with fewer, chance in training may decide, and a verdict is left open
OF_VARIANTS = ("C9", "C10", "C11")  # each variant is trained once
LEAST_SINGLE = 3  # dimensions with a network of their own, discontinuity among them, for C10
SAME = 0.05  # of PCC: a smaller gap between languages counts as none; ours, since the paper gives no bound
STATED = {NISQA: 0.72, AST: 0.70}  # English MOS, in words ("~")


def findings(table: pd.DataFrame, of: Grid, status: Status, varied: Grid | None = None) -> list[Finding]:
    """Verdicts on the claims by scores of one status.

    table, of : as `selection.scores` and `selection.grid` give them. varied : the grid of `selection.variants`, whose networks are trained
    with the first seed, AST itself among them.
    """
    tested = selection.languages_of(of, TESTED)
    with_english = selection.languages_of(of, selection.PAPERS)
    if len(tested) < 3:
        return []
    tests: dict[str, Callable[[], Finding]] = {
        "C1": lambda: _steadier(of, tested),
        "C2": lambda: _highest(of, tested),
        "C3": lambda: _lowest(of, tested),
        "C4": lambda: _order(of, tested),
        "C5": lambda: _weakest_dimension(of, with_english),
        "C6": lambda: _mandarin(of),
        "C7": lambda: _english(of),
        "C8": lambda: _bias(table, of, tested, status),
        "C9": lambda: _pretrained(varied or {}, with_english),
        "C10": lambda: _shared(varied or {}, with_english),
        "C11": lambda: _stand_ins(varied or {}, with_english),
        "C12": lambda: _language_or_data(of, tested, status),
        "C13": lambda: _mapping(table, status),
    }
    found = [test() for test in tests.values()]
    ours = table[(table["status"] == status) & table["network"].isin(OURS)]
    seeds = int(ours.groupby("network")["seed"].nunique().min())
    named = [
        f if f.verdict == "not tested" else _of_trainings(replace(f, data_status=status), 1 if f.id in OF_VARIANTS else seeds)
        for f in found
    ]
    return sorted(named, key=lambda f: int(f.id[1:]))


def _of_trainings(f: Finding, seeds: int) -> Finding:
    """A verdict on few trainings is left open; the evidence says what the one that is there would say."""
    if seeds >= MIN_SEEDS or f.verdict == "inconclusive":
        return f
    told = f"{seeds} training{'s' * (seeds > 1)} of each network, so the verdict is left open (alone: {WORDS[f.verdict]})"
    return replace(f, verdict="inconclusive", evidence=f"{f.evidence}; {told}")


def _finding(claim: str, evidence: str, *tests: Test, also: tuple[Verdict, ...] = ()) -> Finding:
    interval, criterion = decisive(tests)
    verdict = all_of([*(v for v, *_ in tests), *also])
    return Finding(claim, verdict, f"{evidence}; intervals over items", "our run", interval, criterion=criterion)


def _steadier(of: Grid, tested: list[str]) -> Finding:
    """C1: the range of PCC over languages, AST minus NISQA."""
    gaps = {
        d: selection.over_languages(of, AST, d, tested, "range") - selection.over_languages(of, NISQA, d, tested, "range")
        for d in DIMENSIONS
    }
    smaller = [DIMENSION_TITLES[d] for d, gap in gaps.items() if gap.value < 0]
    mean = bias_corrected(Draws.mean(list(gaps.values())))
    open_ = mean.low <= 0 <= mean.high  # a count of dimensions has no interval, and decides nothing where the mean does not
    count: Verdict = "inconclusive" if open_ else "holds" if len(smaller) >= 3 else "fails"
    evidence = f"AST's range over {_named(tested)} is smaller in {len(smaller)} of 5 dimensions ({', '.join(smaller) or 'none'})"
    return _finding("C1", evidence, against(mean, "mean difference of ranges, AST − NISQA", high=0.0), also=(count,))


def _by_probability(claim: str, text: dict[str, str], probability: dict[str, float], what: str) -> Finding:
    """A claim on both networks about an order, by its probability under the bootstrap."""
    verdicts: list[Verdict] = ["holds" if p >= SURE else "fails" if p <= 1 - SURE else "inconclusive" for p in probability.values()]
    evidence = "; ".join(f"{network}: {text[network]}, {what} in {probability[network]:.0%} of the draws" for network in text)
    return Finding(claim, all_of(verdicts), f"{evidence}; drawn over items", "our run")


def _highest(of: Grid, tested: list[str]) -> Finding:
    """C2: Mandarin has the highest PCC of MOS."""
    if "zh" not in tested:
        return not_tested("C2", "Mandarin voices")
    values = {n: selection.stacked(of, n, "mos", tested) for n in OURS}
    text = {n: f"highest in {LANGUAGES[tested[int(v[0].argmax())]]} ({v[0].max():.2f})" for n, v in values.items()}
    share = {n: float((v[1:].argmax(axis=1) == tested.index("zh")).mean()) for n, v in values.items()}
    return _by_probability("C2", text, share, "Mandarin is the highest")


def _lowest(of: Grid, tested: list[str]) -> Finding:
    """C3: Swedish and Dutch have the two lowest PCC of MOS."""
    if not set(HARDEST) <= set(tested):
        return not_tested("C3", "Swedish and Dutch voices")
    values = {n: selection.stacked(of, n, "mos", tested) for n in OURS}
    lowest = {n: {tested[i] for i in np.argsort(v[0])[:2]} for n, v in values.items()}
    text = {n: f"lowest in {_named(sorted(x))}" for n, x in lowest.items()}
    wanted = sorted(tested.index(x) for x in HARDEST)
    share = {n: float((np.sort(np.argsort(v[1:], axis=1)[:, :2], axis=1) == wanted).all(axis=1).mean()) for n, v in values.items()}
    return _by_probability("C3", text, share, "these two are Swedish and Dutch")


def _order(of: Grid, tested: list[str]) -> Finding:
    """C4: Kendall's tau of the order of languages with the stated one; of those that are here."""
    stated = [x for x in ORDER if x in tested]
    ranks = -np.arange(len(stated))
    tests, text = [], []
    for network in OURS:
        values = selection.stacked(of, network, "mos", stated)
        tau = np.array([stats.kendalltau(v, ranks).statistic for v in values])
        interval = Interval(float(tau[0]), *np.nanquantile(tau[1:], [0.025, 0.975]).tolist())
        order = " > ".join(LANGUAGES[stated[i]] for i in np.argsort(-values[0]))
        tests.append(against(interval, f"Kendall's tau with the stated order, {network}", low=1 - 1e-9))
        text.append(f"{network}: {order}")
    return _finding("C4", "; ".join(text), *tests)


def _weakest_dimension(of: Grid, languages: list[str]) -> Finding:
    """C5: discontinuity has the least PCC of the five dimensions in every language and network."""
    tests, least = [], 0
    for network in OURS:
        for language in languages:
            others = [of[network, language, d] for d in DIMENSIONS if d != "dis"]
            gap = Draws(min(o.value for o in others), np.min([o.samples for o in others], axis=0)) - of[network, language, "dis"]
            least += gap.value > 0
            tests.append(
                against(
                    bias_corrected(gap), f"PCC of the next dimension − that of discontinuity, {network}, {LANGUAGES[language]}", low=0.0
                )
            )
    return _finding("C5", f"discontinuity is the weakest dimension in {least} of {len(tests)} cells", *tests)


def _mandarin(of: Grid) -> Finding:
    """C6: discontinuity in Mandarin, NISQA minus AST."""
    if not all((network, "zh", "dis") in of for network in OURS):
        return not_tested("C6", "Mandarin voices")
    a, b = (of[network, "zh", "dis"] for network in OURS)
    others = [(of[NISQA, x, "dis"] - of[AST, x, "dis"]).value for x in LANGUAGES if x != "zh" and all((n, x, "dis") in of for n in OURS)]
    evidence = f"PCC of discontinuity in Mandarin: {NISQA} {a.value:.2f}, {AST} {b.value:.2f}; a difference of {(a - b).value:.2f}"
    if others:
        evidence += f", against {min(others):.2f} to {max(others):.2f} in the other languages"
    return _finding("C6", evidence, against(bias_corrected(a - b), "PCC in Mandarin discontinuity, NISQA − AST", low=0.0))


def _english(of: Grid) -> Finding:
    """C7: English MOS within 0.05 of the stated values, and NISQA ahead by no more than 0.05."""
    if not all((network, "en", "mos") in of for network in OURS):
        return not_tested("C7", "English voices")
    cells = {network: of[network, "en", "mos"] for network in OURS}
    tests = [
        against(bias_corrected(d), f"PCC of English MOS, {network}", low=STATED[network] - 0.05, high=STATED[network] + 0.05)
        for network, d in cells.items()
    ]
    tests.append(against(bias_corrected(cells[NISQA] - cells[AST]), "PCC of English MOS, NISQA − AST", low=0.0, high=0.05))
    return _finding("C7", ", ".join(f"{n} {d.value:.2f}" for n, d in cells.items()), *tests)


def _bias(table: pd.DataFrame, of: Grid, tested: list[str], status: Status) -> Finding:
    """C8: the largest range of PCC over languages, over dimensions and both networks, beside what chance alone gives: a range of several
    numbers is never 0, and the largest of ten ranges less so."""
    ranges = {(n, d): selection.over_languages(of, n, d, tested, "range") for n in OURS for d in DIMENSIONS}
    (network, dimension), _ = max(ranges.items(), key=lambda pair: pair[1].value)
    largest = Draws.largest(list(ranges.values()))
    chance = selection.largest_range_by_chance(table, status, tested)
    evidence = (
        f"the largest range is that of {DIMENSION_TITLES[dimension]}, {network}; where items change languages at random, the largest is up to "
        f"{chance:.2f} (95th percentile)"
    )
    beyond: Verdict = "holds" if largest.value > chance else "inconclusive"
    return _finding("C8", evidence, against(bias_corrected(largest), "largest range of PCC", low=0.2), also=(beyond,))


def _gain(varied: Grid, name: str, dimension: str, language: str) -> Draws:
    """PCC of a variant of AST minus that of AST with the same seed."""
    return varied[name, language, dimension] - varied[AST, language, dimension]


def _mean_gain(varied: Grid, name: str, dimension: str, languages: list[str]) -> Draws:
    return Draws.mean([_gain(varied, name, dimension, x) for x in languages])


def _has(varied: Grid, name: str, dimensions: Sequence[str], languages: list[str]) -> bool:
    return all((network, x, d) in varied for network in (name, AST) for x in languages for d in dimensions)


def _pretrained(varied: Grid, languages: list[str]) -> Finding:
    """C9: a pretrained start against a random one, MOS. AudioSet's weights were not at hand; a stand-in has learnt to name impairments."""
    if not _has(varied, "pretrained", ("mos",), languages):
        return not_tested("C9", "AST weights from images and AudioSet, or a pretraining of the small network")
    gains = {x: _gain(varied, "pretrained", "mos", x) for x in languages}
    text = ", ".join(f"{LANGUAGES[x]} {g.value:+.2f}" for x, g in gains.items())
    evidence = f"not the paper's weights: small AST, pretrained for half as many epochs more on naming the impairments of the same calls; PCC of MOS against training from scratch: {text}; one seed"
    mean = bias_corrected(Draws.mean(list(gains.values())))
    return _finding("C9", evidence, against(mean, "PCC of MOS, pretrained − from scratch, mean over languages", low=0.0))


def _shared(varied: Grid, languages: list[str]) -> Finding:
    """C10: one network of five heads against five networks of one, trained equally long; over the dimensions that have one, and
    discontinuity alone."""
    alone_too = [d for d in DIMENSIONS if _has(varied, "single", (d,), languages)]
    if "dis" not in alone_too or len(alone_too) < LEAST_SINGLE:
        return not_tested("C10", "networks of a single dimension")
    gains = {d: Draws.mean([varied[AST, x, d] - varied["single", x, d] for x in languages]) for d in alone_too}
    mean, alone = bias_corrected(Draws.mean(list(gains.values()))), bias_corrected(gains["dis"])
    text = ", ".join(f"{DIMENSION_TITLES[d]} {g.value:+.2f}" for d, g in gains.items())
    evidence = f"AST, five heads − one head, mean over languages: {text}; discontinuity {alone.text('+.2f')}; one seed"
    if missing := [DIMENSION_TITLES[d] for d in DIMENSIONS if d not in alone_too]:
        evidence += f"; without {' and '.join(missing)}, which {'has' if len(missing) == 1 else 'have'} no network of {'its' if len(missing) == 1 else 'their'} own yet"
    return _finding("C10", evidence, against(mean, "PCC with five heads − PCC with one, mean over dimensions", low=0.0))


def _stand_ins(varied: Grid, languages: list[str]) -> Finding:
    """C11: where an algorithm's overall score stands in for half of the ratings, discontinuity suffers more than noise and coloration."""
    name = "stand-in 0.5"
    if not _has(varied, name, ("noi", "dis", "col"), languages):
        return not_tested("C11", "networks trained on labels of which a part is the overall score")
    gains = {d: _mean_gain(varied, name, d, languages) for d in ("noi", "dis", "col")}
    more = bias_corrected(Draws.mean([gains["noi"], gains["col"]]) - gains["dis"])
    text = ", ".join(f"{DIMENSION_TITLES[d]} {g.value:+.2f}" for d, g in gains.items())
    evidence = f"change of PCC with the overall score in place of half of the labels: {text}; one seed"
    return _finding("C11", evidence, against(more, "loss of discontinuity − mean loss of noise and coloration", low=0.0))


def _language_or_data(of: Grid, tested: list[str], status: Status) -> Finding:
    """C12: with the same sentences, voices and impairments, Swedish and Dutch are as easy as the others."""
    if status != "synthetic" or not set(HARDEST) <= set(tested):
        return not_tested("C12", "the same voices and sentences in all languages, which real recordings do not have")
    rest = [x for x in tested if x not in HARDEST]
    tests, text = [], []
    for network in OURS:
        gap = Draws.mean([of[network, x, "mos"] for x in HARDEST]) - Draws.mean([of[network, x, "mos"] for x in rest])
        interval = bias_corrected(gap)
        tests.append(against(interval, f"PCC of Swedish and Dutch − that of the others, {network}", low=-SAME, high=SAME))
        text.append(f"{network}: {interval.text('+.2f')}")
    return _finding("C12", f"the gap on identical data, {'; '.join(text)}", *tests)


LEAST_OFFSET = 0.2  # MOS between the mean errors of languages: with less, a mapping has nothing to remove


def _mapping(table: pd.DataFrame, status: Status) -> Finding:
    """C13: RMSE falls with a mapping for each language, below that with one mapping for all, and ranks stay."""
    found = tables.mapping_table(table, status)
    found = found[found["network"].isin(OURS)]
    offsets = found.groupby("network")["mean error"].agg(np.ptp)
    means = {name: found[f"RMSE, {name}"].mean() for name in ("no mapping", "third order", "third order, cross-fitted")}
    pooled, moved = found["RMSE, one mapping for all languages"], float((found["SRCC"] - found["SRCC, third order"]).abs().max())
    crossed = found["RMSE, third order, cross-fitted"]
    evidence = (
        f"mean errors of languages differ by up to {offsets.max():.2f} MOS; RMSE {means['no mapping']:.2f} before, {means['third order']:.2f} "
        f"after the mapping, {means['third order, cross-fitted']:.2f} if it is fitted on other files, {pooled.mean():.2f} with one mapping "
        f"for all languages; SRCC moves by at most {moved:.3f}; intervals over {len(found)} networks and languages, which share their items"
    )
    tests = [
        against(
            metrics.confidence_t(crossed / found["RMSE, no mapping"]), "RMSE after the cross-fitted mapping over that before", high=1.0
        ),
        against(metrics.confidence_t(crossed / pooled), "RMSE with a mapping for each language over that with one for all", high=1.0),
    ]
    interval, criterion = decisive(tests)
    verdict = all_of([v for v, *_ in tests] + ["fails"] * (moved > 0.01))
    small = offsets.max() < LEAST_OFFSET
    if small:
        evidence += f"; with less than {LEAST_OFFSET} MOS between languages a mapping has nothing to remove, so the claim stays open"
    return Finding("C13", "inconclusive" if small else verdict, evidence, "our run", interval, criterion=criterion)


def _named(languages: list[str]) -> str:
    return ", ".join(LANGUAGES[x] for x in languages)
