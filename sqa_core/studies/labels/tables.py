"""Tables of the page on labels: agreement of measures and networks with the listeners of P.835."""

from typing import Any

import pandas as pd

from ...metrics import Interval
from ...results.records import Record
from ..listeners import SAME_PREDICTOR
from .plan import MEASURES


def name_of(record: Record) -> str:
    """The measure or network of a record."""
    return MEASURES.get(record.trial.get("measure", "")) or record.trial["network"]


def _agreement_records(found: pd.DataFrame) -> list[Record]:
    """Without networks that are another's but for an offset."""
    if not len(found):
        return []
    records = found[found["kind"].isin(["label", "listeners"])]["record"].tolist()
    return [r for r in records if r.trial.get("network") not in SAME_PREDICTOR]


def table(found: pd.DataFrame) -> pd.DataFrame:
    """One row per measure or network and set: correlation with the listeners' overall score, and their ceiling."""
    rows = []
    for r in _agreement_records(found):
        row: dict[str, Any] = {"measure or network": name_of(r), "set": r.trial["set"], "full-reference": r.trial["kind"] == "label"}
        for by in ("file", "condition"):
            row |= Interval(*r.metrics[f"mos_pcc_{by}"]).columns(f"PCC by {by}")
        row |= {f"ceiling by {by}": r.metrics[f"mos_ceiling_{by}"] for by in ("file", "condition")}
        rows.append(row | {"files": r.metrics["files"], "data": r.data_status})
    return pd.DataFrame(rows).sort_values(["set", "measure or network"], ignore_index=True) if rows else pd.DataFrame()


def intervals(found: pd.DataFrame, which: str) -> pd.DataFrame:
    """Long form for drawing: name, by (file or condition), value, low, high, ceiling."""
    rows = []
    for r in _agreement_records(found):
        for by in ("file", "condition") if r.trial["set"] == which else ():
            interval = Interval(*r.metrics[f"mos_pcc_{by}"])
            rows.append({"name": name_of(r), "by": by, **interval._asdict(), "ceiling": r.metrics[f"mos_ceiling_{by}"]})
    return pd.DataFrame(rows)
