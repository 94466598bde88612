"""Scoring one's own recording: what sample rate does to a score, shown on real files."""

import pandas as pd

from .. import audio, scoring
from ..corpora import polyglot
from ..models import weights
from ..records import Record
from ..trials import Trial
from .common import ChapterSettings, with_interval
from .listeners import ListenersTrial, listeners_trials

SLUG = "score"
CORPORA = {"demo": (), "paper": ("p835",)}
OTHER_RATE = 48_000


class Settings(ChapterSettings):
    """The notebook's parameters; `recording` is a sound file of the reader's own."""

    recording: str = ""


def trials(settings: Settings) -> list[Trial]:
    """The wide-band files at their own 16 kHz and brought to 48 kHz; nothing to store in the demo."""
    if settings.profile == "demo":
        return []
    return [*listeners_trials(SLUG, ("wideband",)), *listeners_trials(SLUG, ("wideband",), resample=OTHER_RATE)]


def rates(found: list[Record]) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Scores of each file at its own rate and at 48 kHz, and one row a network: how far apart they are, what listeners say."""
    files, rows = [], []
    for own in [r for r in found if r.trial["kind"] == ListenersTrial.kind and r.trial["resample"] is None]:
        network = own.trial["network"]
        other = [r for r in found if r.trial.get("resample") == OTHER_RATE and r.trial["network"] == network]
        if not other:
            continue
        both = own.items()[["file", "condition", "mos_ovrl", "mos"]].merge(
            other[0].items()[["file", "mos"]], on="file", suffixes=("", "_48k")
        )
        both = both[both["condition"] != "c0"]  # the six references are 48 kHz files already
        change = both["mos_48k"] - both["mos"]
        files.append(both.assign(network=network, change=change))
        rows.append(
            {
                "network": network,
                "files": len(both),
                "mean change": f"{change.mean():+.2f}",
                "largest change": f"{change[change.abs().idxmax()]:+.2f}",
                "PCC by file, own rate": with_interval(own.metrics["mos_pcc_file"]),
                "PCC by file, 48 kHz": with_interval(other[0].metrics["mos_pcc_file"]),
                "data": own.data_status,
            }
        )
    return (pd.concat(files, ignore_index=True) if files else pd.DataFrame()), pd.DataFrame(rows)


def example() -> audio.Sound:
    """Two synthetic sentences with a second of noise between: a recording to score where there is none of one's own."""
    import numpy as np

    from .. import degrade

    first, second = polyglot.synthesise([polyglot.job("en", "f1", s) for s in polyglot.sentences("en")[1:3]])
    rate = first.sample_rate
    rng = np.random.default_rng(7)
    clean = degrade.set_level(first.waveform[0], rate)
    noisy = degrade.set_level(second.waveform[0], rate)
    noisy = degrade.add_noise(noisy, rate, degrade.coloured_noise(noisy.shape, rate, "white", rng), 15.0)
    return audio.Sound(np.concatenate([clean, np.zeros(rate // 2, np.float32), noisy])[None], rate)


def windows_table(sound: audio.Sound, length_s: float = 1.5, hop_s: float = 0.5) -> pd.DataFrame:
    """Scores of a sound in windows over time."""
    rows = scoring.score_stream([sound.waveform], weights.load(weights.OWN), sample_rate=sound.sample_rate, windows=(length_s, hop_s))
    return pd.DataFrame(list(rows))


def report_table(row: dict) -> pd.DataFrame:
    """The input report of one scored sound, one line a fact."""
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
        "advice": "is it what the network was trained for?",
    }
    values = [f"{row[key]:.2f}".rstrip("0").rstrip(".") if isinstance(row[key], float) else str(row[key]) for key in names]
    return pd.DataFrame({"fact": list(names.values()), "value": values})
