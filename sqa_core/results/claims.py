"""Verdicts: does a claim hold, how sure is that, and is its source the paper's printed numbers or our run?"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import pandas as pd

from ..metrics import Interval

Verdict = Literal["holds", "partly", "fails", "inconclusive", "not tested"]
WORDS: dict[Verdict, str] = {  # on the pages
    "holds": "reproduced",
    "partly": "partly reproduced",
    "fails": "not reproduced",
    "inconclusive": "inconclusive",
    "not tested": "not tested",
}


@dataclass(frozen=True)
class Criterion:
    """What a number must satisfy: `what` it is, and the range [low, high] in which the claim holds."""

    what: str
    low: float = -float("inf")
    high: float = float("inf")


@dataclass(frozen=True)
class Finding:
    """One claim's verdict and its evidence.

    interval, criterion : of the number that decides; both None where a verdict rests on counts. strict : the verdict on the claim without
    its hedges, such as "generally", if that is another. chance : of a claim on printed numbers, whether it is more than chance. needs :
    what would test a claim that is not tested. data_status, model_status : of the data and models behind it.
    """

    id: str
    verdict: Verdict
    evidence: str
    basis: Literal["the paper's printed numbers", "our run", "nothing yet"]
    interval: Interval | None = None
    data_status: str = ""
    model_status: str = ""
    needs: str = ""
    criterion: Criterion | None = None
    strict: Verdict | None = None
    chance: Verdict | None = None


@dataclass(frozen=True)
class Judged:
    """A claim with its quotation and the verdicts on it, for a page.

    kind : "claim"; "check" of the paper's consistency or of what is built here, which is ours; or "question" that the paper leaves open. quotation : the paper's words. verdicts : by
    the name of what was tested, such as "our run"; the first that has an interval is drawn.
    """

    id: str
    kind: Literal["claim", "check", "question"]
    claim: str
    quotation: str
    test: str
    source: str
    verdicts: dict[str, Finding]


def not_tested(claim: str, needs: str, evidence: str = "") -> Finding:
    """A finding for a claim that nothing here tests yet.

    Parameters
    ----------
    claim : id of the claim.
    needs : what would test it.
    evidence : what is known nevertheless.

    Returns
    -------
    A finding with the verdict "not tested", on the basis "nothing yet".
    """
    return Finding(claim, "not tested", evidence, "nothing yet", needs=needs)


def judge(interval: Interval, low: float = -float("inf"), high: float = float("inf")) -> Verdict:
    """Judge an interval against the range [low, high].

    Returns
    -------
    "holds" if the whole interval is in the range, "fails" if none of it is, "inconclusive" otherwise.

    Examples
    --------
    >>> judge(Interval(0.5, 0.4, 0.6), low=0.0), judge(Interval(0.5, -0.1, 1.1), low=0.0)
    ('holds', 'inconclusive')
    """
    if interval.low >= low and interval.high <= high:
        return "holds"
    if interval.low > high or interval.high < low:
        return "fails"
    return "inconclusive"


Test = tuple[Verdict, Interval, Criterion]


def against(interval: Interval, what: str, low: float = -float("inf"), high: float = float("inf")) -> Test:
    """Judge a number against the range [low, high] in which its claim holds.

    Parameters
    ----------
    interval : the number with its 95 % interval.
    what : what the number is, as pages name it.
    low, high : ends of the range, in the unit of the number; infinite if not given.

    Returns
    -------
    The verdict of `judge`, the interval, and the criterion, as `decisive` takes them.
    """
    return judge(interval, low, high), interval, Criterion(what, low, high)


def all_of(verdicts: Sequence[Verdict]) -> Verdict:
    """The verdict on a claim that demands all of several conditions.

    Returns
    -------
    "holds" if each condition holds, "not tested" without conditions; otherwise the first of "fails", "not tested", "inconclusive" and
    "partly" that a condition has.

    Examples
    --------
    >>> all_of(["holds", "holds"]), all_of(["holds", "inconclusive"]), all_of(["inconclusive", "fails"]), all_of([])
    ('holds', 'inconclusive', 'fails', 'not tested')
    """
    order: tuple[Verdict, ...] = ("fails", "not tested", "inconclusive", "partly")
    return next((verdict for verdict in order if verdict in verdicts), "holds" if verdicts else "not tested")


def parts_of(verdicts: Sequence[Verdict]) -> Verdict:
    """The verdict on a claim whose parts stand for themselves.

    Returns
    -------
    "partly" if some parts hold, at least in part, and others fail, at least in part; otherwise the verdict of `all_of`.
    """
    some = bool({"holds", "partly"} & set(verdicts))
    return "partly" if some and {"fails", "partly"} & set(verdicts) else all_of(verdicts)


def decisive(tests: Sequence[Test]) -> tuple[Interval, Criterion]:
    """The interval and the criterion that decide a verdict on several tests.

    Tests with the worst verdict come first: "fails", then "inconclusive", then all others. Among these, the interval with the smallest
    margin to the ends of its criterion decides, measured in widths of the interval.

    Parameters
    ----------
    tests : results of `against`, at least one.

    Returns
    -------
    The interval and its criterion.

    Raises
    ------
    ValueError
        There are no tests.
    """
    order = {"fails": 0, "inconclusive": 1}

    def margin(interval: Interval, criterion: Criterion) -> float:
        distance = min(interval.low - criterion.low, criterion.high - interval.high)
        return distance / max(interval.high - interval.low, 1e-12)

    _, interval, criterion = min(tests, key=lambda t: (order.get(t[0], 2), margin(t[1], t[2])))
    return interval, criterion


def judged(ledger: pd.DataFrame, quotations: pd.DataFrame, **findings: Sequence[Finding]) -> list[Judged]:
    """The paper's claims in their order, each with its quotation and the findings on it.

    Parameters
    ----------
    ledger : columns id, claim, test, source; one row per claim.
    quotations : columns id, kind, quotation; a row for each id of the ledger.
    findings : lists of findings by the name under which a page shows them, with underscores for spaces.

    Returns
    -------
    One entry per row of the ledger. A claim without a finding under a name is "not tested" there.

    Raises
    ------
    KeyError
        A claim of the ledger has no row in `quotations`.
    """
    by_name = {name.replace("_", " "): {f.id: f for f in found} for name, found in findings.items()}
    quoted = quotations.set_index("id")
    return [
        Judged(
            row.id,
            quoted.loc[row.id, "kind"],
            row.claim,
            quoted["quotation"].fillna("")[row.id],
            row.test,
            row.source,
            {name: found.get(row.id) or _nothing_on(row.id) for name, found in by_name.items()},
        )
        for row in ledger.itertuples()
    ]


def _nothing_on(claim: str) -> Finding:
    return not_tested(claim, "records that the published run does not have")


def table(claims: pd.DataFrame, findings: Sequence[Finding]) -> pd.DataFrame:
    """The claims in their order with our findings, for a CSV.

    Columns: claim; verdict; value with the ends of its interval, NaN where a verdict rests on counts; criterion; evidence; test; source.
    """
    by_id = {f.id: f for f in findings}
    rows = []
    for claim in claims.itertuples():
        f = by_id.get(str(claim.id)) or _nothing_on(str(claim.id))
        statuses = [f"{status} {what}" for status, what in ((f.data_status, "data"), (f.model_status, "models")) if status]
        interval = f.interval or Interval(float("nan"), float("nan"), float("nan"))
        row = {"claim": f"{claim.id}. {claim.claim}", "verdict": f.verdict, **interval.columns("value")}
        row |= {"criterion": f.criterion.what if f.criterion else "", "evidence": f.evidence or f"needs {f.needs}", "test": claim.test}
        rows.append(row | {"source": f"{', '.join([f.basis, *statuses])}; {claim.source}"})
    return pd.DataFrame(rows)


def on_claims(findings: Sequence[Finding], quotations: pd.DataFrame) -> list[Finding]:
    """The findings on what a paper claims, without those on our own checks and on questions that the paper leaves open.

    Parameters
    ----------
    quotations : columns id and kind; a row for each finding.

    Returns
    -------
    The findings whose kind is "claim", in their order.

    Raises
    ------
    KeyError
        A finding has no row in `quotations`.
    """
    kinds = quotations.set_index("id")["kind"]
    return [f for f in findings if kinds[f.id] == "claim"]


def tally(findings: Sequence[Finding]) -> Counter[Verdict]:
    """Count the findings by verdict.

    Returns
    -------
    Number of findings by verdict; 0 for a verdict that none has.
    """
    return Counter(f.verdict for f in findings)


def count(findings: Sequence[Finding]) -> str:
    """Such as "9 reproduced, 5 not reproduced, 3 inconclusive"."""
    counts = tally(findings)
    return ", ".join(f"{counts[verdict]} {word}" for verdict, word in WORDS.items() if counts[verdict]) or "not available"
