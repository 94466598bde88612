"""The paper's claims, each tested on synthetic voices, which differ in nothing but language, or on real ones; the two are never mixed."""

from collections.abc import Callable

import numpy as np
import pandas as pd
from scipy import stats

from ... import metrics
from ...corpora.calls import DIMENSIONS
from ...metrics import Draws, Interval, bias_corrected
from ...results.claims import Finding, Test, Verdict, against, all_of, decisive
from . import selection, tables
from .selection import AST, DIMENSION_TITLES, LANGUAGES, NISQA, OURS, TESTED, Grid, Status

ORDER = ("zh", "fr", "de", "sv", "nl")  # of the paper, the easiest first
HARDEST = ("sv", "nl")
SURE = 0.95  # probability under the bootstrap
SAME = 0.05  # of PCC: a smaller gap between languages counts as none; ours, since the paper gives no bound
STATED = {NISQA: 0.72, AST: 0.70}  # English MOS, in words ("~")


def findings(table: pd.DataFrame, of: Grid, status: Status, varied: Grid | None = None) -> list[Finding]:
    """Verdicts on the claims by scores of one status.

    table, of : as `selection.scores` and `selection.grid` give them. varied : the grid of `selection.variants`, whose networks are trained
    with the first seed.
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
        "C8": lambda: _bias(of, tested),
        "C10": lambda: _shared(of, varied or {}, with_english),
        "C11": lambda: _stand_ins(of, varied or {}, with_english),
        "C12": lambda: _language_or_data(of, tested, status),
        "C13": lambda: _mapping(table, status),
    }
    found = [test() for test in tests.values()]
    found.append(_needs("C9", "AST weights from images and AudioSet, or a pretraining of the small network"))
    named = [f if f.data_status else _with_status(f, status) for f in found]
    return sorted(named, key=lambda f: int(f.id[1:]))


def _with_status(f: Finding, status: Status) -> Finding:
    return Finding(**{**f.__dict__, "data_status": status if f.verdict != "not tested" else "", "model_status": ""})


def _finding(claim: str, evidence: str, *tests: Test, also: tuple[Verdict, ...] = ()) -> Finding:
    interval, criterion = decisive(tests)
    verdict = all_of([*(v for v, *_ in tests), *also])
    return Finding(claim, verdict, f"{evidence}; intervals over items", "our run", interval, criterion=criterion)


def _needs(claim: str, needs: str) -> Finding:
    return Finding(claim, "not tested", "", "nothing yet", needs=needs)


def _steadier(of: Grid, tested: list[str]) -> Finding:
    """C1: the range of PCC over languages, AST minus NISQA."""
    gaps = {
        d: selection.over_languages(of, AST, d, tested, "range") - selection.over_languages(of, NISQA, d, tested, "range")
        for d in DIMENSIONS
    }
    smaller = [DIMENSION_TITLES[d] for d, gap in gaps.items() if gap.value < 0]
    mean = bias_corrected(Draws.mean(list(gaps.values())))
    count: Verdict = "holds" if len(smaller) >= 3 else "fails"
    evidence = f"AST's range over {_named(tested)} is smaller in {len(smaller)} of 5 dimensions ({', '.join(smaller) or 'none'})"
    return _finding("C1", evidence, against(mean, "mean difference of ranges, AST − NISQA", high=0.0), also=(count,))


def _stack(of: Grid, network: str, languages: list[str], dimension: str = "mos") -> np.ndarray:
    """(1 + draws, languages): PCC as it is, then in every draw."""
    return np.stack([np.concatenate([[of[network, x, dimension].value], of[network, x, dimension].samples]) for x in languages], axis=1)


def _by_probability(claim: str, text: dict[str, str], probability: dict[str, float], what: str) -> Finding:
    """A claim on both networks about an order, by its probability under the bootstrap."""
    verdicts: list[Verdict] = ["holds" if p >= SURE else "fails" if p <= 1 - SURE else "inconclusive" for p in probability.values()]
    evidence = "; ".join(f"{network}: {text[network]}, {what} in {probability[network]:.0%} of the draws" for network in text)
    return Finding(claim, all_of(verdicts), f"{evidence}; drawn over items", "our run")


def _highest(of: Grid, tested: list[str]) -> Finding:
    """C2: Mandarin has the highest PCC of MOS."""
    if "zh" not in tested:
        return _needs("C2", "Mandarin voices")
    values = {n: _stack(of, n, tested) for n in OURS}
    text = {n: f"highest in {LANGUAGES[tested[int(v[0].argmax())]]} ({v[0].max():.2f})" for n, v in values.items()}
    share = {n: float((v[1:].argmax(axis=1) == tested.index("zh")).mean()) for n, v in values.items()}
    return _by_probability("C2", text, share, "Mandarin is the highest")


def _lowest(of: Grid, tested: list[str]) -> Finding:
    """C3: Swedish and Dutch have the two lowest PCC of MOS."""
    if not set(HARDEST) <= set(tested):
        return _needs("C3", "Swedish and Dutch voices")
    values = {n: _stack(of, n, tested) for n in OURS}
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
        values = _stack(of, network, stated)
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
        return _needs("C6", "Mandarin voices")
    a, b = (of[network, "zh", "dis"] for network in OURS)
    evidence = f"PCC of discontinuity in Mandarin: {NISQA} {a.value:.2f}, {AST} {b.value:.2f}"
    return _finding("C6", evidence, against(bias_corrected(a - b), "PCC in Mandarin discontinuity, NISQA − AST", low=0.0))


def _english(of: Grid) -> Finding:
    """C7: English MOS within 0.05 of the stated values, and NISQA ahead by no more than 0.05."""
    if not all((network, "en", "mos") in of for network in OURS):
        return _needs("C7", "English voices")
    cells = {network: of[network, "en", "mos"] for network in OURS}
    tests = [
        against(bias_corrected(d), f"PCC of English MOS, {network}", low=STATED[network] - 0.05, high=STATED[network] + 0.05)
        for network, d in cells.items()
    ]
    tests.append(against(bias_corrected(cells[NISQA] - cells[AST]), "PCC of English MOS, NISQA − AST", low=0.0, high=0.05))
    return _finding("C7", ", ".join(f"{n} {d.value:.2f}" for n, d in cells.items()), *tests)


def _bias(of: Grid, tested: list[str]) -> Finding:
    """C8: the largest range of PCC over languages, over dimensions and both networks."""
    ranges = {(n, d): selection.over_languages(of, n, d, tested, "range") for n in OURS for d in DIMENSIONS}
    (network, dimension), _ = max(ranges.items(), key=lambda pair: pair[1].value)
    evidence = f"the largest range is that of {DIMENSION_TITLES[dimension]}, {network}"
    return _finding("C8", evidence, against(bias_corrected(Draws.largest(list(ranges.values()))), "largest range of PCC", low=0.2))


def _gain(of: Grid, varied: Grid, name: str, dimension: str, languages: list[str]) -> Draws:
    """PCC of AST as it is minus that of a variant, mean over languages."""
    return Draws.mean([of[AST, x, dimension] - varied[name, x, dimension] for x in languages])


def _shared(of: Grid, varied: Grid, languages: list[str]) -> Finding:
    """C10: one network of five heads against five networks of one, trained equally long; over all dimensions, and discontinuity alone."""
    if not all(("single", x, d) in varied for x in languages for d in DIMENSIONS):
        return _needs("C10", "networks of a single dimension")
    gains = {d: _gain(of, varied, "single", d, languages) for d in DIMENSIONS}
    mean, alone = bias_corrected(Draws.mean(list(gains.values()))), bias_corrected(gains["dis"])
    text = ", ".join(f"{DIMENSION_TITLES[d]} {g.value:+.2f}" for d, g in gains.items())
    evidence = f"AST, five heads − one head, mean over languages: {text}; discontinuity {alone.text('+.2f')}; one seed"
    return _finding("C10", evidence, against(mean, "PCC with five heads − PCC with one, mean over dimensions", low=0.0))


def _stand_ins(of: Grid, varied: Grid, languages: list[str]) -> Finding:
    """C11: where an algorithm's overall score stands in for half of the ratings, discontinuity suffers more than noise and coloration."""
    name = "stand-in 0.5"
    if not all((name, x, d) in varied for x in languages for d in ("noi", "dis", "col")):
        return _needs("C11", "networks trained on labels of which a part is the overall score")
    losses = {d: _gain(of, varied, name, d, languages) for d in ("noi", "dis", "col")}
    more = bias_corrected(losses["dis"] - Draws.mean([losses["noi"], losses["col"]]))
    text = ", ".join(f"{DIMENSION_TITLES[d]} {-g.value:+.2f}" for d, g in losses.items())
    evidence = f"change of PCC with the overall score in place of half of the labels: {text}; one seed"
    return _finding("C11", evidence, against(more, "loss of discontinuity − mean loss of noise and coloration", low=0.0))


def _language_or_data(of: Grid, tested: list[str], status: Status) -> Finding:
    """C12: with the same sentences, voices and impairments, Swedish and Dutch are as easy as the others."""
    if status != "synthetic" or not set(HARDEST) <= set(tested):
        return _needs("C12", "the same voices and sentences in all languages, which real recordings do not have")
    rest = [x for x in tested if x not in HARDEST]
    tests, text = [], []
    for network in OURS:
        gap = Draws.mean([of[network, x, "mos"] for x in HARDEST]) - Draws.mean([of[network, x, "mos"] for x in rest])
        interval = bias_corrected(gap)
        tests.append(against(interval, f"PCC of Swedish and Dutch − that of the others, {network}", low=-SAME, high=SAME))
        text.append(f"{network}: {interval.text('+.2f')}")
    return _finding("C12", f"the gap on identical data, {'; '.join(text)}", *tests)


def _mapping(table: pd.DataFrame, status: Status) -> Finding:
    """C13: a mapping for each language takes offsets that one mapping for all leaves; ranks stay, since both are monotone."""
    found = tables.mapping_table(table, status)
    found = found[found["network"].isin(OURS)]
    offsets = found.groupby("network")["mean error"].agg(np.ptp)
    before, after = found["RMSE, no mapping"].mean(), found["RMSE, third order"].mean()
    crossed, pooled = found["RMSE, third order, cross-fitted"], found["RMSE, one mapping for all languages"]
    interval = metrics.confidence_t(crossed / pooled)
    evidence = (
        f"mean errors of languages differ by up to {offsets.max():.2f} MOS; RMSE {before:.2f} before, {after:.2f} after the mapping, "
        f"{crossed.mean():.2f} if it is fitted on other files, {pooled.mean():.2f} with one mapping for all languages; ranks stay, since "
        f"the mapping is monotone; interval over {len(found)} networks and languages"
    )
    test = against(interval, "RMSE with a cross-fitted mapping for each language over that with one for all", high=1.0)
    return Finding("C13", test[0], evidence, "our run", interval, criterion=test[2])


def _named(languages: list[str]) -> str:
    return ", ".join(LANGUAGES[x] for x in languages)
