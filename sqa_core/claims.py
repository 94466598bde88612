"""Verdicts: does a claim hold, how sure is that, and does it rest on the paper's printed numbers or on a run of ours?"""

from dataclasses import dataclass
from typing import Literal

import pandas as pd

from .metrics import Interval

Verdict = Literal["holds", "fails", "undecided", "untestable here"]


@dataclass(frozen=True)
class Finding:
    """One claim's verdict, with the status of the data and of the models that it rests on. `needs` says what would test a claim that is
    untestable here."""

    id: str
    verdict: Verdict
    evidence: str
    basis: Literal["the paper's printed numbers", "our run", "nothing yet"]
    interval: Interval | None = None
    data_status: str = ""
    model_status: str = ""
    needs: str = ""


def judge(interval: Interval, low: float = -float("inf"), high: float = float("inf")) -> Verdict:
    """holds where the whole interval lies in [low, high], fails where none of it does, undecided where it has both."""
    if interval.low >= low and interval.high <= high:
        return "holds"
    if interval.low > high or interval.high < low:
        return "fails"
    return "undecided"


def together(verdicts: list[Verdict]) -> Verdict:
    """All of several conditions: holds if each does, fails if one does."""
    return "fails" if "fails" in verdicts else "undecided" if "undecided" in verdicts else "holds"


def table(claims: pd.DataFrame, findings: list[Finding]) -> pd.DataFrame:
    """The paper's claims in their order with our findings; a claim without one is untestable here for now."""
    by_id = {f.id: f for f in findings}
    rows = []
    for claim in claims.itertuples():
        f = by_id.get(str(claim.id)) or Finding(
            str(claim.id), "untestable here", "", "nothing yet", needs="records that the published run does not hold"
        )
        value = f": {f.interval.value:.2f} [{f.interval.low:.2f}, {f.interval.high:.2f}]" if f.interval else ""
        statuses = [f"{status} {what}" for status, what in ((f.data_status, "data"), (f.model_status, "models")) if status]
        rows.append(
            {
                "claim": f"{claim.id}. {claim.claim}",
                "verdict": f.verdict + value,
                "evidence": f.evidence or f"needs {f.needs}",
                "test": claim.test,
                "rests on": f"{', '.join([f.basis, *statuses])}; {claim.source}",
            }
        )
    return pd.DataFrame(rows)


def count(findings: list[Finding]) -> str:
    """Such as "9 hold, 5 fail, 3 undecided"."""
    words = {"holds": "hold", "fails": "fail", "undecided": "undecided", "untestable here": "untestable here"}
    counts = {word: sum(f.verdict == verdict for f in findings) for verdict, word in words.items()}
    return ", ".join(f"{n} {word}" for word, n in counts.items() if n) or "not available"
