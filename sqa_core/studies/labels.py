"""The labels that our own networks learn from: do intrusive measures agree with listeners, and what is a network made of them worth?"""

import pandas as pd

from .. import audio
from ..corpora import impaired, registry
from ..models import weights
from ..records import Record
from ..trials import Trial
from .common import ChapterSettings, with_interval
from .listeners import LabelTrial, listeners_trials, synthetic_trial

SLUG = "labels"
CORPORA = {"demo": (), "paper": ("p835",)}
MEASURES = {"pesq": "PESQ wide band", "visqol": "ViSQOL speech mode"}


Settings = ChapterSettings


def trials(settings: Settings) -> list[Trial]:
    """Both measures on both sets of P.835, and every network found; in the demo our network against PESQ on synthetic speech."""
    if settings.profile == "demo":
        return [synthetic_trial()]
    corpus_hash = registry.load("p835").hash
    planned: list[Trial] = [
        LabelTrial(study=SLUG, data_status="real", measure=measure, set=which, corpus_hash=corpus_hash)
        for measure in MEASURES
        for which in ("fullband", "wideband")
    ]
    return planned + list(listeners_trials(SLUG, ("fullband", "wideband")))


def table(found: list[Record]) -> pd.DataFrame:
    """One row a measure or network and set: agreement with the listeners' overall score, and their ceiling."""
    rows = []
    for r in found:
        if r.trial["kind"] not in ("label", "listeners"):
            continue
        m = r.metrics
        name = MEASURES.get(r.trial.get("measure", "")) or r.trial["network"]
        rows.append(
            {
                "measure or network": name,
                "set": r.trial["set"],
                "hears the original": "yes" if r.trial["kind"] == "label" else "no",
                **{f"PCC by {by}": with_interval(m[f"mos_pcc_{by}"]) for by in ("file", "condition")},
                **{f"ceiling by {by}": f"{m[f'mos_ceiling_{by}']:.3f}" for by in ("file", "condition")},
                "files": m["files"],
                "data": r.data_status,
            }
        )
    return pd.DataFrame(rows).sort_values(["set", "measure or network"], ignore_index=True) if rows else pd.DataFrame()


def intervals(found: list[Record], which: str) -> pd.DataFrame:
    """Long form for drawing: name, by (file or condition), value, low, high, ceiling."""
    rows = []
    for r in found:
        if r.trial["kind"] not in ("label", "listeners") or r.trial["set"] != which:
            continue
        name = MEASURES.get(r.trial.get("measure", "")) or r.trial["network"]
        for by in ("file", "condition"):
            value, low, high = r.metrics[f"mos_pcc_{by}"]
            rows.append({"name": name, "by": by, "value": value, "low": low, "high": high, "ceiling": r.metrics[f"mos_ceiling_{by}"]})
    return pd.DataFrame(rows)


def at_a_glance(found: list[Record]) -> dict[str, str]:
    """The page's first numbers: correlations by file, full band, with intervals."""
    frame = intervals(found, "fullband")
    names = {"pesq": MEASURES["pesq"], "visqol": MEASURES["visqol"], "own": weights.SYNTHETIC_ONLY, "prompts": weights.OWN}
    out = {}
    for key, name in names.items():
        row = frame[(frame["name"] == name) & (frame["by"] == "file")] if len(frame) else frame
        out[key] = "{value:.3f} [{low:.3f}, {high:.3f}]".format(**row.iloc[0]) if len(row) else "not available"
    for key in ("own", "prompts"):
        heard = [r for r in found if r.trial.get("network") == names[key] and r.trial.get("set") == "fullband"]
        items = heard[0].items() if heard else None
        out[f"{key}_condition"] = with_interval(heard[0].metrics["mos_pcc_condition"]) if heard else "not available"
        out[f"{key}_bias"] = f"{(items['mos'] - items['mos_ovrl']).mean():+.2f}" if items is not None else "not available"
        out[f"{key}_top"] = f"{items['mos'].max():.2f}" if items is not None else "not available"
    out["ceiling"] = f"{frame[frame['by'] == 'file']['ceiling'].iloc[0]:.3f}" if len(frame) else "not available"
    return out


def examples() -> list[tuple[audio.Sound, str, float]]:
    """Four impaired synthetic utterances of one voice, with what was done to them and their label."""
    made = impaired.make(4, 11, ("en",), ("f1",))
    return [(audio.Sound(i.waveform[None], impaired.RATE), describe(i.recipe), i.pesq) for i in made]


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
