"""Tables of the page on scoring."""

from typing import Any

import pandas as pd

from ... import audio, scoring
from ...metrics import Interval
from ...models import weights
from ...results import frame
from ..listeners import SAME_PREDICTOR
from .plan import OTHER_RATE


def rates(found: pd.DataFrame) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Scores of each file at its own rate and at 48 kHz; and one row per network: how much they differ, and their correlation with listeners."""
    files, rows = [], []
    for own in frame.records(found, "listeners", resample=None) if len(found) else []:
        network = own.trial["network"]
        if network in SAME_PREDICTOR:
            continue
        other = frame.only(found, "listeners", resample=OTHER_RATE, network=network)
        if other is None:
            continue
        both = own.items()[["file", "condition", "mos_ovrl", "mos"]].merge(other.items()[["file", "mos"]], on="file", suffixes=("", "_48k"))
        both = both[both["condition"] != "c0"]  # the six references are 48 kHz files already
        change = both["mos_48k"] - both["mos"]
        files.append(both.assign(network=network, change=change))
        row: dict[str, Any] = {"network": network, "files": len(both), "mean change": change.mean()}
        row |= {"largest change": change[change.abs().idxmax()]} | Interval(*own.metrics["mos_pcc_file"]).columns("PCC by file, own rate")
        rows.append(row | Interval(*other.metrics["mos_pcc_file"]).columns("PCC by file, 48 kHz") | {"data": own.data_status})
    return (pd.concat(files, ignore_index=True) if files else pd.DataFrame()), pd.DataFrame(rows)


def windows_table(sound: audio.Sound, length_s: float = 1.5, hop_s: float = 0.5) -> pd.DataFrame:
    """Scores of a sound in windows over time: one row per window."""
    rows = scoring.score_stream([sound.waveform], weights.load(weights.OWN), sample_rate=sound.sample_rate, windows=(length_s, hop_s))
    return pd.DataFrame(list(rows))


def report_table(row: dict) -> pd.DataFrame:
    """The input report of one scored sound: one row per fact."""
    names = {
        "mos": "predicted MOS",
        "rate_hz": "rate, Hz",
        "seconds": "length, s",
        "channels": "channels",
        "level_dbov": "level, dBov",
        "active_level_dbov": "active speech level (P.56), dBov",
        "active_percent": "time active, %",
        "peak_dbov": "peak, dBov",
        "clipped_percent": "clipped samples, %",
        "dc_percent": "DC, % of full scale",
        "silence_inside_s": "digital silence inside, s",
        "bandwidth_hz": "effective bandwidth, Hz",
        "codec": "codec",
        "advice": "is it like the training data?",
    }
    values = [f"{row[key]:.2f}".rstrip("0").rstrip(".") if isinstance(row[key], float) else str(row[key]) for key in names]
    return pd.DataFrame({"fact": list(names.values()), "value": values})
