"""Verdicts: does a claim hold, how sure is that, and is its source the paper's printed numbers or our run?"""

from dataclasses import dataclass
from typing import Literal

import pandas as pd

from ..metrics import Interval

Verdict = Literal["holds", "fails", "undecided", "untestable here"]


@dataclass(frozen=True)
class Finding:
    """One claim's verdict, its evidence, and the status of the data and models behind it. `needs`: what would test a claim that is untestable
    here."""

    id: str
    verdict: Verdict
    evidence: str
    basis: Literal["the paper's printed numbers", "our run", "nothing yet"]
    interval: Interval | None = None
    data_status: str = ""
    model_status: str = ""
    needs: str = ""


def judge(interval: Interval, low: float = -float("inf"), high: float = float("inf")) -> Verdict:
    """ "holds" if the whole interval is in [low, high], "fails" if none of it is, "undecided" otherwise.

    Examples
    --------
    >>> judge(Interval(0.5, 0.4, 0.6), low=0.0), judge(Interval(0.5, -0.1, 1.1), low=0.0)
    ('holds', 'undecided')
    """
    if interval.low >= low and interval.high <= high:
        return "holds"
    if interval.low > high or interval.high < low:
        return "fails"
    return "undecided"


def all_of(verdicts: list[Verdict]) -> Verdict:
    """All of several conditions: holds if each does, fails if one does."""
    return "fails" if "fails" in verdicts else "undecided" if "undecided" in verdicts else "holds"


def table(claims: pd.DataFrame, findings: list[Finding]) -> pd.DataFrame:
    """The paper's claims in their order with our findings; a claim without a finding is untestable here for now.

    Columns: claim; verdict; value with the ends of its interval, NaN where a verdict rests on counts; evidence; test; source.
    """
    by_id = {f.id: f for f in findings}
    rows = []
    for claim in claims.itertuples():
        f = by_id.get(str(claim.id)) or Finding(
            str(claim.id), "untestable here", "", "nothing yet", needs="records that the published run does not have"
        )
        statuses = [f"{status} {what}" for status, what in ((f.data_status, "data"), (f.model_status, "models")) if status]
        interval = f.interval or Interval(float("nan"), float("nan"), float("nan"))
        row = {"claim": f"{claim.id}. {claim.claim}", "verdict": f.verdict, **interval.columns("value")}
        row |= {"evidence": f.evidence or f"needs {f.needs}", "test": claim.test}
        rows.append(row | {"source": f"{', '.join([f.basis, *statuses])}; {claim.source}"})
    return pd.DataFrame(rows)


def count(findings: list[Finding]) -> str:
    """Such as "9 hold, 5 fail, 3 undecided"."""
    words = {"holds": "hold", "fails": "fail", "undecided": "undecided", "untestable here": "untestable here"}
    counts = {word: sum(f.verdict == verdict for f in findings) for verdict, word in words.items()}
    return ", ".join(f"{n} {word}" for word, n in counts.items() if n) or "not available"
