"""The paper "Visualising and Explaining Deep Learning Models for Speech Quality Prediction" (arXiv:2112.06219)."""

from functools import lru_cache
from pathlib import Path
from typing import ClassVar, Literal

import numpy as np
import pandas as pd
from scipy import stats

from .. import attribution, audio, degrade, metrics, scoring
from ..claims import Finding, judge
from ..corpora import polyglot, registry
from ..models import weights
from ..records import Record
from ..trials import Result, Trial
from .common import ChapterSettings, with_interval
from .listeners import ListenersTrial, listeners_trials, synthetic_trial

SLUG = "nisqa_explained"
CORPORA = {"demo": ("polyglot",), "paper": ("p835",)}

# Chosen beforehand: the file whose attributions are kept as goldens, speech at 0 dB over noise, listeners' overall score near 2.
FILE = "c6_m1"
# The sentence, the voice and the impairments of the demonstration, whose places are known exactly.
PAPERS_LAYOUT = "nisqa-tts"  # standard CNN with 20 outputs and BiLSTM: the nearest to the paper's network that there is
DEMO_LANGUAGE, DEMO_VOICE, DEMO_NOISE_DB, DEMO_CUT_S = "en", "m2", 12.0, (1.30, 1.42)
SILENCE_DB = -60.0  # claim C1: frames this far below the file's maximum count as silence


Settings = ChapterSettings


def _occluded(network: weights.Network, sound: audio.Sound, fill: Literal["floor", "mean"]):
    """The mel spectrogram (frames, mels), every box of the paper's masks on it, and the scores under them."""
    mel = scoring.mel_of(network, sound)
    boxes = attribution.flat(attribution.paper_boxes((mel.shape[1], len(mel))))
    return mel, boxes, attribution.occlusion(network, mel, boxes, fill)


class OcclusionTrial(Trial):
    """All of the paper's masks on one sound: scores under each mask, and the maps."""

    kind: ClassVar[str] = "occlusion"
    corpus: Literal["p835", "polyglot"]
    corpus_hash: str
    file: str
    network: str
    weights_hash: str
    fill: Literal["floor", "mean"] = "floor"

    def run(self) -> Result:
        network = weights.load(self.network)
        sound = demo_sound()[1] if self.corpus == "polyglot" else audio.load(p835_path(self.file))
        mel, boxes, found = _occluded(network, sound, self.fill)
        arrays = {
            "mel": mel.T.cpu().numpy().astype(np.float16),
            "scores": found.scores,
            "score": found.score,
        }
        return Result(
            {"mos": float(found.score[0]), "masks": len(boxes), "share_run": found.segments_run / found.segments_whole},
            arrays=arrays,
        )


class OcclusionSurveyTrial(Trial):
    """Occlusion of every file of a set: for each mask, the change of MOS, and how much of what it hides is silence."""

    kind: ClassVar[str] = "occlusion_survey"
    set: Literal["fullband", "wideband"]
    corpus_hash: str
    network: str
    weights_hash: str
    fill: Literal["floor", "mean"] = "floor"

    def run(self) -> Result:
        corpus = registry.load("p835").where(set=self.set)
        network = weights.load(self.network)
        tables = []
        for path, row in zip(corpus.paths(), corpus.table.itertuples(), strict=True):
            mel, boxes, found = _occluded(network, audio.load(path), self.fill)
            silent = (mel.amax(dim=1) < float(mel.max()) + SILENCE_DB).cpu().numpy()
            tables.append(
                pd.DataFrame(
                    {
                        "file": row.file,
                        "condition": row.condition,
                        "talker": row.talker,
                        "mos": float(found.score[0]),
                        "mask": [f"{b.bands}x{b.frames}" for b in boxes],
                        "column": [b.bands == mel.shape[1] for b in boxes],
                        "silent": [float(silent[b.frame : b.frame + b.frames].mean()) for b in boxes],
                        "change": found.scores[:, 0] - found.score[0],
                    }
                )
            )
        items = pd.concat(tables, ignore_index=True)
        return Result({"files": len(tables), "masks": len(items), "mean_change": float(items["change"].mean())}, items)


@lru_cache(maxsize=1)
def demo_sound() -> tuple[audio.Sound, audio.Sound]:
    """Clean and impaired: one synthetic sentence in pink noise, with a cut whose place is known."""
    text = polyglot.sentences(DEMO_LANGUAGE)[0]
    (clean,) = polyglot.synthesise([polyglot.job(DEMO_LANGUAGE, DEMO_VOICE, text)])
    rate = clean.sample_rate
    speech = degrade.set_level(clean.waveform[0], rate)
    noise = degrade.coloured_noise(speech.shape, rate, "pink", np.random.default_rng(4))
    noisy = degrade.add_noise(speech, rate, noise, DEMO_NOISE_DB)
    start, stop = (round(s * rate) for s in DEMO_CUT_S)
    noisy[start:stop] = 0
    return audio.Sound(speech[None], rate), audio.Sound(noisy[None], rate)


def p835_path(stem: str) -> Path:
    """The full-band file of this name (such as c6_m1), wherever the corpus lies and whatever its ending."""
    corpus = registry.load("p835").where(set="fullband")
    return next(p for p in corpus.paths() if p.stem == stem)


def trials(settings: Settings) -> list[Trial]:
    """What the profile runs with what is on this machine."""
    if settings.profile == "demo":
        ours = weights.load(weights.OWN)
        occluded = OcclusionTrial(
            study=SLUG,
            data_status="synthetic",
            model_status="other",
            network=ours.name,
            weights_hash=ours.weights_hash,
            corpus="polyglot",
            corpus_hash=polyglot.recipe_hash(),
            file="demo",
        )
        return [synthetic_trial(), occluded]
    corpus_hash = registry.load("p835").hash
    planned: list[Trial] = list(listeners_trials(SLUG, ("fullband",)))
    for name in weights.found_networks():
        network = weights.load(name)
        common = {
            "study": SLUG,
            "data_status": "real",
            "model_status": "other",
            "network": name,
            "weights_hash": network.weights_hash,
        }
        planned.append(OcclusionTrial(**common, corpus="p835", corpus_hash=corpus_hash, file=FILE))
        planned.append(OcclusionSurveyTrial(**common, corpus_hash=corpus_hash, set="fullband"))
    return planned


def of_kind(found: list[Record], kind: type[Trial], **fields: object) -> list[Record]:
    """Records of one kind of trial whose fields have these values."""
    return [r for r in found if r.trial["kind"] == kind.kind and all(r.trial.get(k) == v for k, v in fields.items())]


def agreement_table(found: list[Record]) -> pd.DataFrame:
    """One row a network: correlation with the listeners, by file and condition, with 95 % intervals, beside the ceiling."""
    rows = []
    for r in of_kind(found, ListenersTrial):
        m = r.metrics
        rows.append(
            {
                "network": r.trial["network"],
                "PCC by file": with_interval(m["mos_pcc_file"]),
                "PCC by condition": with_interval(m["mos_pcc_condition"]),
                "ceiling by file": f"{m['mos_ceiling_file']:.3f}",
                "ceiling by condition": f"{m['mos_ceiling_condition']:.3f}",
                "RMSE by file": f"{m['mos_rmse_file']:.2f}",
                "files": m["files"],
                "data": r.data_status,
                "model": r.model_status,
            }
        )
    return pd.DataFrame(rows)


def findings(found: list[Record], network: str = PAPERS_LAYOUT) -> list[Finding]:
    """Verdicts on the claims that occlusion can test, from the survey of one network; an empty list without it."""
    surveys = of_kind(found, OcclusionSurveyTrial, network=network)
    if not surveys:
        return []
    items, status = surveys[0].items(), surveys[0].data_status
    return [_silence(items, status), _high_and_low(items, status)]


def _silence(items: pd.DataFrame, status: str) -> Finding:
    """C1 by the columns of 13 frames: those that hide silence alone against those that hide none."""
    columns = items[items["column"]]
    silent, speech = (columns[columns["silent"] == share]["change"].abs() for share in (1.0, 0.0))
    if len(silent) < 20:
        needs = f"files with pauses below {SILENCE_DB:g} dB; the noise of these leaves {len(silent)} silent masks of {len(columns)}"
        return Finding("C1", "untestable here", "", "our run", data_status=status, needs=needs)
    sizes = columns.assign(silent_n=columns["silent"] == 1.0, speech_n=columns["silent"] == 0.0, size=columns["change"].abs())
    sizes = sizes.assign(silent_sum=sizes["size"] * sizes["silent_n"], speech_sum=sizes["size"] * sizes["speech_n"])
    files = sizes.groupby(["file", "condition", "talker"], as_index=False)[["silent_sum", "silent_n", "speech_sum", "speech_n"]].sum()
    total = {name: files[name].to_numpy(float) for name in ("silent_sum", "silent_n", "speech_sum", "speech_n")}
    groups = files["condition"].to_numpy(), files["talker"].to_numpy()
    ratio = metrics.crossed_ratio(total["silent_sum"], total["silent_n"], total["speech_sum"], total["speech_n"], groups[0], groups[1])
    p = stats.mannwhitneyu(silent, speech, alternative="less").pvalue
    evidence = f"mean |change| over {len(silent)} silent masks against {len(speech)} on speech; Mann-Whitney p = {p:.1g}"
    verdict = judge(ratio, high=0.1)
    return Finding("C1", verdict if p < 0.01 or verdict != "holds" else "undecided", evidence, "our run", ratio, status)


def _high_and_low(items: pd.DataFrame, status: str) -> Finding:
    """C2 by the mean change over a file's masks: falls with MOS, negative above 4, positive below 2."""
    files = items.groupby("file").agg(
        mos=("mos", "first"), change=("change", "mean"), condition=("condition", "first"), talker=("talker", "first")
    )
    ranks = [stats.rankdata(files[c]) for c in ("mos", "change")]
    rho = metrics.crossed_pcc(ranks[0], ranks[1], files["condition"].to_numpy(), files["talker"].to_numpy())
    high, low = files[files["mos"] > 4]["change"], files[files["mos"] < 2]["change"]
    verdict = judge(rho, high=0.0)
    if min(len(high), len(low)) == 0 and verdict == "holds":
        verdict = "undecided"  # the signs cannot be seen
    signs = min(len(high), len(low)) == 0 or high.mean() < 0 < low.mean()
    groups = [(high, "above MOS 4"), (low, "below 2")]
    means = ", ".join(f"mean change {g.mean():+.2f} {name} (n = {len(g)})" if len(g) else f"no file {name}" for g, name in groups)
    evidence = f"Spearman over {len(files)} files; {means}"
    return Finding("C2", verdict if verdict != "holds" or signs else "fails", evidence, "our run", rho, status)


def claims_by_network(found: list[Record]) -> pd.DataFrame:
    """The verdicts of `findings` for every network that was surveyed."""
    rows = []
    for survey in of_kind(found, OcclusionSurveyTrial):
        for f in findings(found, survey.trial["network"]):
            rows.append(
                {
                    "network": survey.trial["network"],
                    "claim": f.id,
                    "verdict": f.verdict,
                    "value [95 %]": with_interval(list(f.interval)) if f.interval else "",
                    "evidence": f.evidence or f.needs,
                    "data": f.data_status,
                }
            )
    return pd.DataFrame(rows)
