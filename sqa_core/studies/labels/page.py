"""What the page on labels takes from its records: values for its prose, by key, and sounds."""

import pandas as pd

from ... import audio
from ...corpora import pesq_material
from ...metrics import Interval
from ...models import weights
from ...results import frame
from ..listeners import offset_in_words
from .plan import MEASURES
from .tables import intervals

MISSING = "not available"


def glue_values(found: pd.DataFrame) -> dict[str, str]:
    """Values for the page's `{glue}` roles, by key: correlations by file, full band, with intervals."""
    table = intervals(found, "fullband")
    names = {"pesq": MEASURES["pesq"], "visqol": MEASURES["visqol"], "own": weights.SYNTHETIC_ONLY, "prompts": weights.OWN}
    out = {"mos_offset": offset_in_words(found)}
    for key, name in names.items():
        row = table[(table["name"] == name) & (table["by"] == "file")] if len(table) else table
        out[key] = Interval(*row.iloc[0][["value", "low", "high"]]).text() if len(row) else MISSING
    for key in ("own", "prompts"):
        one = frame.records(found, "listeners", network=names[key], set="fullband") if len(found) else []
        items = one[0].items() if one else None
        out[f"{key}_condition"] = Interval(*one[0].metrics["mos_pcc_condition"]).text() if one else MISSING
        out[f"{key}_bias"] = f"{(items['mos'] - items['mos_ovrl']).mean():+.2f}" if items is not None else MISSING
        out[f"{key}_top"] = f"{items['mos'].max():.2f}" if items is not None else MISSING
    out["ceiling"] = f"{table[table['by'] == 'file']['ceiling'].iloc[0]:.3f}" if len(table) else MISSING
    return out


def examples() -> list[tuple[audio.Sound, str, float]]:
    """Four degraded synthetic utterances of one voice: (sound, description, PESQ)."""
    made = pesq_material.make(4, 11, ("en",), ("f1",))
    return [(audio.Sound(i.waveform[None], pesq_material.RATE), describe(i.recipe), i.pesq) for i in made]


def describe(recipe: list[dict]) -> str:
    """A recipe in words."""
    words = {
        "noise": "{colour} noise at {snr_db:g} dB",
        "clip": "clipping of {share:.1%} of the samples",
        "band": "band {low_hz:g} to {high_hz:g} Hz",
        "mnru": "MNRU at {q_db:g} dB",
        "gaps": "gaps of {gap_s:g} s, {loss:.0%} lost",
    }
    done = [words[step["kind"]].format(**step) for step in recipe if step["kind"] in words]
    return ", ".join(done) or "no impairment"
