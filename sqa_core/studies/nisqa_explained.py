"""The paper "Visualising and Explaining Deep Learning Models for Speech Quality Prediction" (arXiv:2112.06219): trials, tables, claims."""

from collections.abc import Callable
from functools import cache
from typing import Any

import numpy as np
import pandas as pd
from scipy import stats

from .. import metrics
from ..attribution import BASELINES
from ..claims import Finding, Verdict, judge, together
from ..corpora import controlled, registry
from ..metrics import Interval
from ..models import weights
from ..records import Record
from ..trials import Trial
from .common import ChapterSettings, of_kind, the, with_interval
from .listeners import listeners_trials, synthetic_trial
from .nisqa_explained_tables import activity, activity_counts, controls_table, dead_units_in_words, dimensions_in_words, mean_over_files
from .nisqa_explained_trials import (
    FILE,
    VARIANTS,
    ActivityTrial,
    AttributionTrial,
    ConductanceTrial,
    DeadUnitsTrial,
    DimensionsTrial,
    FeaturesTrial,
    FiguresTrial,
    LocalisationTrial,
    OcclusionSurveyTrial,
    OcclusionTrial,
    PaddedOcclusionTrial,
    SoundAloneTrial,
    StabilityTrial,
    correlation_of,
)

SLUG = "nisqa_explained"
CORPORA = {"demo": ("polyglot",), "paper": ("p835",)}  # what needs the asterisk prompts besides says so on the page

PAPERS_LAYOUT = "nisqa-tts"  # standard CNN with 20 outputs and BiLSTM: the nearest to the paper's network that there is
TWENTY = (PAPERS_LAYOUT, "prompts-pesq-20", "prompts-pesq-20-relu")  # every network here with the paper's 20 outputs
ATTENTIVE = ("nisqa", weights.OWN)  # with self-attention, of whose hundreds of outputs some are explained
DEMO_NETWORK = "prompts-pesq-20"
LOCATED = ("cut-80-4", "cut-320-4")  # of the cuts that maps are to find
SOME_TALKER = ("m1",)
SOME_CONDITIONS = ("c0", "c3", "c6", "c9", "c12")
TWO_TALKERS = ("en", "fr")  # of the controlled set, where four would take the better part of an hour
QUIET = ("clean", "clip-0.01", "mnru-30")  # of the controlled set: pauses hold the quiet room and no more
CUTS = ("cut-80-1", "cut-80-4", "cut-320-1")
LIMIT = "band-300-3400"
KNOWN = ("clean", LIMIT, *(c for c, r in controlled.CONDITIONS.items() if r["kind"] in ("stretch", "cut")))
# Share of the material and epochs of a network with the ReLU: less material, and less material with as many steps.
GROWTH = ((1 / 16, 7), (1 / 16, 28), (1 / 4, 7), (1.0, 7))
BRIEF = ("clean", "cut-80-4", "noise-pink-0", "noise-pink-20")  # what tells the features' roles in a demonstration

Settings = ChapterSettings


def trials(settings: Settings) -> list[Trial]:
    """What the profile runs with what is on this machine."""
    return _demo_trials() if settings.profile == "demo" else _paper_trials()


def _fields(network: str, corpus: str, **more: Any) -> dict[str, Any]:
    return {
        "study": SLUG,
        "data_status": "synthetic" if corpus == "polyglot" else "real",
        "model_status": "random" if more.get("randomised") else "other",
        "network": network,
        "weights_hash": weights.hash_of(network),
        "corpus": corpus,
        "corpus_hash": _corpus_hash(corpus),
        **more,
    }


@cache
def _corpus_hash(corpus: str) -> str:
    return registry.load("p835").hash if corpus == "p835" else controlled.corpus_hash(corpus)  # type: ignore[arg-type]


def _demo_trials() -> list[Trial]:
    return [
        synthetic_trial(),
        OcclusionTrial(**_fields(DEMO_NETWORK, "polyglot", file="demo")),
        FeaturesTrial(**_fields(DEMO_NETWORK, "polyglot", conditions=BRIEF)),
        AttributionTrial(**_fields(DEMO_NETWORK, "polyglot", conditions=("clean", "cut-80-4"), talkers=("en-m6",))),
    ]


def figure_trials(settings: Settings, found: list[Record]) -> list[Trial]:
    """The maps of one file by the paper's layout and by ours; which features are shown, the record of `FeaturesTrial` says."""
    corpus, file, told = ("polyglot", "demo", "polyglot") if settings.profile == "demo" else ("p835", FILE, "prompts")
    return [
        FiguresTrial(**_fields(r.trial["network"], corpus, file=file, show=tuple(dict.fromkeys(roles(r).values()))))
        for r in of_kind(found, FeaturesTrial, corpus=told, randomised=False)
        if r.trial["network"] in (PAPERS_LAYOUT, DEMO_NETWORK)
    ]


def _paper_trials() -> list[Trial]:
    """What P.835 allows, and with the asterisk prompts what the controlled set allows."""
    planned: list[Trial] = list(listeners_trials(SLUG, ("fullband",)))
    found, prompts = weights.found_networks(), registry.find("asterisk") is not None
    for name in found:
        planned.append(OcclusionTrial(**_fields(name, "p835", file=FILE)))
        planned.append(OcclusionSurveyTrial(**_fields(name, "p835")))
    planned += [PaddedOcclusionTrial(**_fields(n, "p835", file=FILE)) for n in (PAPERS_LAYOUT,) if n in found]
    for name in [n for n in (*ATTENTIVE, *TWENTY) if n in found]:
        planned.append(StabilityTrial(**_fields(name, "p835", talkers=SOME_TALKER, conditions=SOME_CONDITIONS)))
    for name in [n for n in TWENTY if n in found]:
        planned += _attribution_trials(name)
    if prompts:
        planned += _dead_units_trials()
        for name in [n for n in ("nisqa",) if n in found]:
            known = {"conditions": KNOWN, "limit": LIMIT}
            planned += [
                DimensionsTrial(**_fields(name, "prompts", **known, baseline=b, randomised=r))
                for r in (False, True)
                for b in ("floor", "zero")
            ]
        planned += [SoundAloneTrial(**_sound_alone(b)) for b in ("floor", "zero")]
        for name in [n for n in ATTENTIVE if n in found]:
            planned += [LocalisationTrial(**_fields(name, "prompts"))]
            planned += [LocalisationTrial(**_fields(name, "prompts", baseline="zero", talkers=TWO_TALKERS))]
            planned += [LocalisationTrial(**_fields(name, "prompts", randomised=True, talkers=TWO_TALKERS))]
        planned += [OcclusionSurveyTrial(**_fields(n, "prompts")) for n in TWENTY if n in found]
        planned += [OcclusionSurveyTrial(**_fields(n, "prompts", fill="mean")) for n in ("nisqa",) if n in found]
        planned += [t for n in TWENTY if n in found for t in _controlled_trials(n)]
    return planned


def _attribution_trials(name: str) -> list[Trial]:
    """What asks for the 20 outputs on real recordings."""
    some = {"talkers": SOME_TALKER, "conditions": SOME_CONDITIONS}
    return [
        AttributionTrial(**_fields(name, "p835")),
        ActivityTrial(**_fields(name, "p835")),
        AttributionTrial(**_fields(name, "p835", steps=200, **some)),
        AttributionTrial(**_fields(name, "p835", randomised=True, **some)),
        ConductanceTrial(**_fields(name, "p835", talkers=SOME_TALKER)),
        ConductanceTrial(**_fields(name, "p835", talkers=SOME_TALKER, conditions=SOME_CONDITIONS, randomised=True)),
    ]


def _sound_alone(baseline: str) -> dict[str, Any]:
    fields = {"study": SLUG, "data_status": "real", "corpus": "prompts", "corpus_hash": _corpus_hash("prompts")}
    return fields | {"front_end": "nisqa", "conditions": KNOWN, "baseline": baseline}


def _dead_units_trials() -> list[Trial]:
    fields: dict[str, Any] = {
        "study": SLUG,
        "data_status": "real",
        "model_status": "other",
        "recipe": "prompts-pesq-20-relu",
        "material_hash": _corpus_hash("prompts"),
    }
    return [
        DeadUnitsTrial(**fields, share=share, epochs=epochs, seed=seed)
        for share, epochs in GROWTH
        for seed in ((1, 2) if share < 1 else (1,))
    ]


def _controlled_trials(name: str) -> list[Trial]:
    """What asks for the 20 outputs and for known truth."""
    two: dict[str, Any] = {"talkers": TWO_TALKERS}
    return [
        FeaturesTrial(**_fields(name, "prompts")),
        FeaturesTrial(**_fields(name, "prompts", randomised=True)),
        OcclusionSurveyTrial(**_fields(name, "prompts", randomised=True)),
        *(AttributionTrial(**_fields(name, "prompts", conditions=QUIET, baseline=b, **two)) for b in BASELINES),
        AttributionTrial(**_fields(name, "prompts", conditions=CUTS, **two)),
        LocalisationTrial(**_fields(name, "prompts")),
        LocalisationTrial(**_fields(name, "prompts", baseline="zero", **two)),
        LocalisationTrial(**_fields(name, "prompts", randomised=True, **two)),
    ]


# Features are known by what they do, never by their number. Two talkers choose, the two others judge.
CHOOSING, JUDGING = ("en", "it", "en-m6", "de-steph"), ("fr", "ru", "fr-m6", "it-steph")


def roles(features: Record) -> dict[str, int]:
    """The feature that follows cuts, the one that follows pauses, its opposite, and the one that follows noise."""
    items = features.items()
    items = items[items["talker"].isin(CHOOSING)]
    by_feature = items.groupby("feature")
    cut, pause = (by_feature[c].mean() for c in ("auc_cut", "auc_pause"))
    pause_feature = int((pause - 0.5).abs().idxmax())
    noisy = items[items["kind"] == "noise"]
    follows = {
        f: metrics.srcc(g["mean"].to_numpy(float), g["snr_db"].to_numpy(float)) for f, g in noisy.groupby("feature") if g["mean"].std() > 0
    }
    return {
        "cut": int((cut - 0.5).abs().idxmax()),
        "pause": pause_feature,
        "voice": int(correlation(features, CHOOSING)[pause_feature].argmin()),
        "noise": int(max(follows, key=lambda f: abs(follows[f]))) if follows else 0,
    }


def _moments(features: Record, talkers: tuple[str, ...]) -> np.ndarray:
    """Sums of products of the files of some talkers; all files, if none is named."""
    of_files = features.items().drop_duplicates("file")["talker"]
    moments = features.arrays()["moments"]
    return moments[of_files.isin(talkers).to_numpy()] if talkers else moments


def correlation(features: Record, talkers: tuple[str, ...] = ()) -> np.ndarray:
    """Correlation of the features over all segments."""
    return correlation_of(_moments(features, talkers).sum(axis=0))


def _over_files(moments: np.ndarray, statistic: Callable[[np.ndarray], float], draws: int = 500) -> Interval:
    """A statistic of correlations, with its 95 % interval over files."""
    rng, n = np.random.default_rng(0), len(moments)
    drawn = [
        statistic(correlation_of(np.tensordot(rng.multinomial(n, np.full(n, 1 / n)).astype(float), moments, axes=1))) for _ in range(draws)
    ]
    return Interval(statistic(correlation_of(moments.sum(axis=0))), *np.nanquantile(drawn, [0.025, 0.975]).tolist())


def _judged(features: Record, feature: int) -> pd.DataFrame:
    items = features.items()
    return items[items["talker"].isin(JUDGING) & (items["feature"] == feature)]


def _rises_with(features: Record, feature: int, column: str) -> bool:
    """Whether a feature rises with what `column` asks for, by the talkers that choose."""
    items = features.items()
    return bool(items[items["talker"].isin(CHOOSING) & (items["feature"] == feature)][column].mean() > 0.5)


def findings(found: list[Record], network: str = PAPERS_LAYOUT, randomised: bool = False) -> list[Finding]:
    """Verdicts on the claims by one network, or by its shuffled control; claims whose records are not there are left out."""
    common = {"network": network, "randomised": randomised}
    get = {
        "p835 masks": the(found, OcclusionSurveyTrial, corpus="p835", **common),
        "masks": the(found, OcclusionSurveyTrial, corpus="prompts", fill="floor", **common),
        "features": the(found, FeaturesTrial, corpus="prompts", **common),
        "maps": the(found, AttributionTrial, corpus="p835", steps=50, **common),
        "maps 200": the(found, AttributionTrial, corpus="p835", steps=200, **common),
        "maps of cuts": the(found, AttributionTrial, corpus="prompts", conditions=CUTS, **common),
        "conductance": the(found, ConductanceTrial, **common),
    }
    tests = {
        _silence: ("masks",),
        _high_and_low: ("p835 masks",),
        _hidden_noise: ("masks",),
        _hidden_disturbance: ("masks",),
        _activity: ("maps",),
        _agreement: ("maps",),
        _cut_feature: ("features", "maps of cuts"),
        _pause_feature: ("features",),
        _opposite: ("features",),
        _redundancy: ("features",),
        _vertical: ("maps",),
        _regions: ("conductance",),
        _inverted: ("conductance",),
        _depth: ("conductance",),
        _completeness: ("maps", "maps 200"),
        _noise_feature: ("features",),
    }
    out = [test(*(get[n] for n in needs)) for test, needs in tests.items() if all(get[n] for n in needs)]  # type: ignore[operator]
    quiet = of_kind(found, AttributionTrial, corpus="prompts", conditions=QUIET, **common)
    if {r.trial["baseline"] for r in quiet} == set(BASELINES):
        out.append(_stripes(quiet))
    return sorted(out, key=lambda f: int(f.id[1:]))


def _finding(claim: str, verdict: Verdict, evidence: str, record: Record, interval: Interval | None = None) -> Finding:
    return Finding(claim, verdict, evidence, "our run", interval, record.data_status)


def _silence(masks: Record) -> Finding:
    """C1: mean size of the change under columns that hide a quiet room alone, over that under columns on speech."""
    items = masks.items()
    items = items[items["condition"].isin(QUIET)].assign(size=lambda t: t["change_mos"].abs())
    silent, speech = items[items["silent"] == 1], items[items["voice"] > 0.5]
    if len(silent) < 20:
        return Finding("C1", "untestable here", "", "our run", data_status=masks.data_status, needs="more masks that hide silence alone")
    files = sorted(set(items["file"]))
    per_file = [part.groupby("file", observed=True)["size"].agg(["sum", "count"]).reindex(files, fill_value=0) for part in (silent, speech)]
    sums, counts = ([table[c].to_numpy(float) for table in per_file] for c in ("sum", "count"))
    who = items.drop_duplicates("file").set_index("file").loc[files]
    ratio = metrics.crossed_ratio(sums[0], counts[0], sums[1], counts[1], who["condition"].to_numpy(), who["talker"].to_numpy())
    p = stats.mannwhitneyu(silent["size"], speech["size"], alternative="less").pvalue
    verdict = together([judge(ratio, high=0.1), "holds" if p < 0.01 else "undecided"])
    evidence = f"mean |change| over {len(silent)} masks on a quiet room against {len(speech)} on speech; Mann-Whitney p = {p:.1g}"
    return _finding("C1", verdict, evidence, masks, ratio)


def _high_and_low(masks: Record) -> Finding:
    """C2 by the mean change over a file's masks: falls with MOS, negative above 4, positive below 2."""
    files = (
        masks.items()
        .groupby("file", observed=True)
        .agg(mos=("mos", "first"), change=("change_mos", "mean"), condition=("condition", "first"), talker=("talker", "first"))
    )
    ranks = [stats.rankdata(files[c]) for c in ("mos", "change")]
    rho = metrics.crossed_pcc(ranks[0], ranks[1], files["condition"].to_numpy(), files["talker"].to_numpy())
    p = stats.spearmanr(files["mos"], files["change"]).pvalue
    high, low = files[files["mos"] > 4]["change"], files[files["mos"] < 2]["change"]
    seen = min(len(high), len(low)) > 0
    signs: Verdict = "undecided" if not seen else "holds" if high.mean() < 0 < low.mean() else "fails"
    groups = [(high, "above MOS 4"), (low, "below 2")]
    means = ", ".join(f"mean change {g.mean():+.2f} {name} (n = {len(g)})" if len(g) else f"no file {name}" for g, name in groups)
    evidence = f"Spearman over {len(files)} files, p = {p:.1g}; {means}"
    return _finding("C2", together([judge(rho, high=0.0), "holds" if p < 0.01 else "undecided", signs]), evidence, masks, rho)


RISE = 0.01  # of MOS: less counts as no change


def _hidden_noise(masks: Record) -> Finding:
    """C3: masks that hide noise alone raise the score sometimes, and to take all of the noise away raises it more."""
    items = masks.items()
    alone = items[(items["noise_alone"] == 1) & (items["kind"] == "noise")]
    raised = alone["change_mos"] > RISE
    rises = mean_over_files(raised.astype(float), alone)
    by_rise = alone[raised]["change_mos"].mean() if raised.any() else 0.0
    files = items.drop_duplicates("file")
    clean = files[files["condition"] == "clean"].set_index("talker")["mos"]
    noisy = files[files["kind"] == "noise"]
    gain = mean_over_files(noisy["talker"].map(clean).astype(float) - noisy["mos"], noisy)
    verdict = together([judge(rises, low=0.01), judge(gain, low=max(by_rise, 0.0))])
    evidence = (
        f"share of {len(alone)} masks that raise MOS by over {RISE}; by {by_rise:+.2f} on average, all noise away {with_interval(gain)}"
    )
    return _finding("C3", verdict, evidence, masks, rises)


def _hidden_disturbance(masks: Record) -> Finding:
    """C4: masks wholly inside a known stretch of strong noise over speech do not always raise the score.

    Cuts are left out here: they are silence, and silence is what a mask puts in.
    """
    items = masks.items()
    hit = items[(items["kind"] == "stretch") & (items["snr_db"] <= 10) & (items["noise"] == 1) & (items["voice"] > 0.5)]
    if not len(hit):
        return Finding("C4", "untestable here", "", "our run", data_status=masks.data_status, needs="masks inside known noise")
    rises = mean_over_files((hit["change_mos"] > RISE).astype(float), hit)
    evidence = f"share of {len(hit)} masks inside stretches of noise at 0 and 10 dB that raise MOS by over {RISE}"
    return _finding("C4", judge(rises, high=0.99), evidence, masks, rises)


def _activity(maps: Record) -> Finding:
    """C5: of the 20 features, how many are active in over 90 % of segments, in some up to 10 %, in none."""
    counts = {name: activity_counts(activity(maps, m)) for name, m in (("DeepLIFT", "complete"), ("IG", "ig"))}
    texts = [f"{name}: {a} nearly always, {r} rarely, {n} never" for name, (a, r, n) in counts.items()]
    sizes = maps.items().groupby("feature")["sounding_complete"].mean()
    texts.append(f"the weakest feature's maps have {sizes.min() / sizes.max():.0%} of the size of the strongest's")
    verdicts: list[Verdict] = ["holds" if min(c) > 0 else "fails" for c in counts.values()]
    return _finding("C5", verdicts[0] if len(set(verdicts)) == 1 else "undecided", "; ".join(texts), maps)


def _agreement(maps: Record) -> Finding:
    """C6: median correlation of complete DeepLIFT's maps with those of integrated gradients, above 0.8; the variants beside it."""
    items = maps.items()
    columns = {f"r_ig_{v}": "median" for v in VARIANTS} | {"condition": "first", "talker": "first"}
    files = items.groupby("file", as_index=False).agg(columns)
    found = {v: mean_over_files(files[f"r_ig_{v}"], files) for v in VARIANTS}
    evidence = "mean over files of the median correlation, " + "; ".join(f"{v} {with_interval(i)}" for v, i in found.items())
    return _finding("C6", judge(found["complete"], low=0.8), evidence, maps, found["complete"])


def _cut_feature(features: Record, maps: Record) -> Finding:
    """C7: one rarely active feature that tells cuts and falls with MOS."""
    feature = roles(features)["cut"]
    items = _judged(features, feature)
    sign = 1.0 if _rises_with(features, feature, "auc_cut") else -1.0
    area = mean_over_files(items["auc_cut"] if sign > 0 else 1 - items["auc_cut"], items)
    rate = float(activity(maps)[feature])
    heard = items[items["kind"].isin(["cut", "clean"])]
    who = heard["condition"].to_numpy(), heard["talker"].to_numpy()
    rho = metrics.crossed_pcc(sign * heard["mean"].to_numpy(float), heard["mos"].to_numpy(float), *who)
    verdict = together([judge(area, low=0.9), judge(rho, high=-0.5), "holds" if rate < 0.1 else "fails"])
    evidence = (
        f"feature {feature}, chosen on other talkers: AUC for segments with a cut; active in {rate:.0%} of the segments of files with cuts; "
        f"correlation of its mean with MOS {with_interval(rho)}"
    )
    return _finding("C7", verdict, evidence, features, area)


def _pause_feature(features: Record) -> Finding:
    """C8: one feature that tells pauses from voice, whatever the noise."""
    feature = roles(features)["pause"]
    items = _judged(features, feature)
    if not _rises_with(features, feature, "auc_pause"):
        items = items.assign(auc_pause=1 - items["auc_pause"])
    area = mean_over_files(items["auc_pause"], items)
    noise = items[items["kind"] == "noise"]
    quiet, loud = (mean_over_files(part["auc_pause"], part) for part in (noise[noise["snr_db"] >= 20], noise[noise["snr_db"] <= 5]))
    change = Interval(quiet.value - loud.value, quiet.low - loud.high, quiet.high - loud.low)
    verdict = together([judge(area, low=0.9), judge(change, low=-0.05, high=0.05)])
    evidence = f"feature {feature}, chosen on other talkers: AUC for segments without voice; from 5 dB SNR and less to 20 and more it changes by {with_interval(change)}"
    return _finding("C8", verdict, evidence, features, area)


def _opposite(features: Record) -> Finding:
    """C9: a feature that falls where that of C8 rises."""
    chosen = roles(features)
    r = _over_files(_moments(features, JUDGING), lambda c: float(c[chosen["pause"], chosen["voice"]]))
    evidence = (
        f"features {chosen['pause']} and {chosen['voice']}, chosen on other talkers: correlation over all segments, interval over files"
    )
    return _finding("C9", judge(r, high=-0.7), evidence, features, r)


def _redundancy(features: Record) -> Finding:
    """C10: fewer than half as many features in effect as there are that vary, and some that are nearly one."""
    whole, varying = correlation(features), features.metrics["varying"]
    pairs = int((np.abs(np.triu(whole, 1)) > 0.9).sum())
    effective = _over_files(_moments(features, ()), metrics.participation_ratio)
    verdict = together([judge(effective, high=varying / 2), "holds" if pairs else "fails"])
    dead = f"; {features.metrics['always_zero']} are zero throughout" if features.metrics["always_zero"] else ""
    evidence = f"effective number of the {varying} features that vary{dead}; {pairs} pairs at |r| above 0.9; interval over files"
    return _finding("C10", verdict, evidence, features, effective)


def _vertical(maps: Record) -> Finding:
    """C11: share of variance of the maps' centre of mass over mel bands that lies between features, above one half."""
    table = maps.items().pivot(index="file", columns="feature", values="centroid_complete").to_numpy()
    rng = np.random.default_rng(0)
    drawn = [metrics.intraclass(table[rng.integers(len(table), size=len(table))]) for _ in range(500)]
    interval = Interval(metrics.intraclass(table), *np.nanquantile(drawn, [0.025, 0.975]).tolist())
    centres = np.nanmean(table[:, np.isfinite(table).any(axis=0)], axis=0)
    evidence = f"intraclass correlation over {len(table)} files; mean centres from band {centres.min():.1f} to {centres.max():.1f} of 48"
    return _finding("C11", judge(interval, low=0.5), evidence, maps, interval)


def _regions(conductance: Record) -> Finding:
    """C12: channels of the first convolution have less of their largest tenths in common than shuffled maps have."""
    items = conductance.items()
    first = items[items["layer"] == 1]
    means = first["overlap"].mean(), first["overlap_shuffled"].mean()
    interval = mean_over_files(first["overlap"] - first["overlap_shuffled"], first)
    evidence = f"overlap of the largest tenths less that of shuffled maps ({means[0]:.3f} and {means[1]:.3f})"
    return _finding("C12", judge(interval, high=0.0), evidence, conductance, interval)


def _inverted(conductance: Record) -> Finding:
    """C13: two features whose conductance in the second convolution is opposite; every other file chooses them, the rest judge."""
    items = conductance.items()
    second = items[items["layer"] == 2]
    maps = conductance.arrays()["correlation"].astype(float)[second.index]
    chooses = second["file"].isin(sorted(set(second["file"]))[::2]).to_numpy()
    known = np.where(np.isfinite(maps[chooses]).any(axis=0), np.nan_to_num(maps[chooses]).mean(axis=0), 1.0)
    one, other = np.unravel_index(known.argmin(), known.shape)
    judging = second[~chooses]
    interval = mean_over_files(pd.Series(maps[~chooses, one, other]), judging)
    evidence = f"correlation of the maps of features {one} and {other}, which the other half of the files chose"
    return _finding("C13", judge(interval, high=-0.7), evidence, conductance, interval)


def _depth(conductance: Record) -> Finding:
    """C14: conductance of the third and later convolutions is no smoother than shuffled maps."""
    items = conductance.items().assign(more=lambda t: t["smooth"] - t["smooth_shuffled"])
    by_layer = {int(n): mean_over_files(part["more"], part) for n, part in items.groupby("layer")}
    verdict: Verdict = "fails" if any(i.low > 0 for n, i in by_layer.items() if n >= 3) else "holds"
    evidence = "Moran's I over that of shuffled maps, by convolution: " + "; ".join(f"{n} {with_interval(i)}" for n, i in by_layer.items())
    return _finding("C14", verdict, evidence, conductance)


def _stripes(quiet: list[Record]) -> Finding:
    """C15: one of the baselines brings attributions on empty segments below 1 % of those on sounding ones."""
    ratios = {}
    for record in quiet:
        files = (
            record.items()
            .groupby("file", as_index=False)
            .agg({"empty_complete": "mean", "sounding_complete": "mean", "condition": "first", "talker": "first"})
        )
        files = files[files["empty_complete"].notna()]
        one = np.ones(len(files))
        sums = files["empty_complete"].to_numpy(float), files["sounding_complete"].to_numpy(float)
        ratios[record.trial["baseline"]] = metrics.crossed_ratio(
            sums[0], one, sums[1], one, files["condition"].to_numpy(), files["talker"].to_numpy()
        )
    best = min(ratios, key=lambda b: ratios[b].value)
    sizes = ", ".join(f"{b} {r.value:.2f}" for b, r in ratios.items())
    return _finding(
        "C15",
        judge(ratios[best], high=0.01),
        f"size on empty over sounding segments, DeepLIFT complete: {sizes}; the interval is of {best}",
        quiet[0],
        ratios[best],
    )


def _completeness(maps: Record, finer: Record) -> Finding:
    """C16: share of maps that miss the difference by less than 1 %, above 95 % for every method."""
    items, fine = maps.items(), finer.items()
    shares = {f"DeepLIFT {v}": mean_over_files(items[f"within_{v}"], items) for v in VARIANTS}
    shares |= {"IG 50 steps": mean_over_files(items["within_ig"], items), "IG 200 steps": mean_over_files(fine["within_ig"], fine)}
    evidence = "share of maps within 1 %: " + "; ".join(f"{name} {with_interval(i)}" for name, i in shares.items())
    return _finding("C16", together([judge(i, low=0.95) for i in shares.values()]), evidence, maps)


def _noise_feature(features: Record) -> Finding:
    """C17: a feature that follows the ratio of speech to noise."""
    feature = roles(features)["noise"]
    items = _judged(features, feature)
    items = items[items["kind"] == "noise"]
    ranks = [stats.rankdata(items[c]) for c in ("mean", "snr_db")]
    rho = metrics.crossed_pcc(ranks[0], ranks[1], items["condition"].to_numpy(), items["talker"].to_numpy())
    size = rho if rho.value > 0 else Interval(-rho.value, -rho.high, -rho.low)
    evidence = f"feature {feature}, chosen on other talkers: size of Spearman's correlation of its mean with SNR over {len(items)} files"
    return _finding("C17", judge(size, low=0.7), evidence, features, size)


def facts_in_words(found: list[Record]) -> dict[str, str]:
    """Dead and inactive features of our two networks with 20 outputs, the map that finds cuts best, and how like maps are."""
    out = {}
    for key, name in (("plain", "prompts-pesq-20"), ("relu", "prompts-pesq-20-relu")):
        features = the(found, FeaturesTrial, network=name, corpus="prompts", randomised=False)
        maps = the(found, AttributionTrial, network=name, corpus="p835", steps=50, randomised=False)
        out[f"dead_{key}"] = str(features.metrics["always_zero"]) if features else "not available"
        out[f"never_{key}"] = str(activity_counts(activity(maps))[2]) if maps else "not available"
    alone = the(found, SoundAloneTrial, baseline="zero")
    same = alone.items().query("condition in @LOCATED and talker in @TWO_TALKERS")["auc_cut"] if alone else None
    out["cut_alone"] = f"{same.mean():.2f}" if same is not None else "not available"
    located = [
        (mean_over_files(part["auc"], part), f"({method}, baseline {r.trial['baseline']})")
        for r in of_kind(found, LocalisationTrial, network=PAPERS_LAYOUT, randomised=False)
        for method, part in r.items().groupby("method")
    ]
    best = max(located, default=None)
    out["best_cut"] = f"{with_interval(best[0])} {best[1]}" if best else "not available"
    drawn = the(found, FiguresTrial, network=PAPERS_LAYOUT)
    trained, control = ([r for r in controls_table(found).to_dict("records") if r["weights"] == w] for w in ("trained", "shuffled"))
    for key, rows in (("trained", trained), ("shuffled", control)):
        row: dict[str, str] = next((r for r in rows if r["network"] == PAPERS_LAYOUT), {})
        for v in ("modules", "complete"):
            out[f"agree_{v}_{key}"] = row.get(f"IG and DeepLIFT {v}", "not available")
    for key, name in (("like_functions", "deeplift_functions"), ("like_modules", "deeplift_modules"), ("like_ig", "ig")):
        out[key] = f"{drawn.metrics['likeness'][name]:.2f}" if drawn else "not available"
    padded = the(found, PaddedOcclusionTrial)
    for key in ("masks", "masks_on_padding"):
        out[f"padded_{key}"] = str(padded.metrics[key]) if padded else "not available"
    for key in ("mos", "mos_unpadded", "largest_change_on_padding", "largest_change_on_sound"):
        out[f"padded_{key}"] = f"{padded.metrics[key]:.2f}" if padded else "not available"
    return out | {"dead_growth": dead_units_in_words(found), "dimensions_said": dimensions_in_words(found)}


def claims_by_network(found: list[Record]) -> pd.DataFrame:
    """One row a claim, one column a network or its shuffled control: the verdict, with its value and interval."""
    columns = {}
    surveyed = {r.trial["network"] for r in of_kind(found, OcclusionSurveyTrial)}
    for name in [*(n for n in TWENTY if n in surveyed), *sorted(surveyed - set(TWENTY))]:
        for control in (False, True):
            judged = findings(found, name, control)
            if judged:
                columns[name + (", shuffled weights" if control else "")] = {
                    f.id: f.verdict + (f" {f.interval.value:.2f} [{f.interval.low:.2f}, {f.interval.high:.2f}]" if f.interval else "")
                    for f in judged
                }
    table = pd.DataFrame(columns).reindex([f"C{i}" for i in range(1, 18)]).fillna("–")
    return table.rename_axis("claim").reset_index()
