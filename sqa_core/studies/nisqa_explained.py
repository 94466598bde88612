"""The paper "Visualising and Explaining Deep Learning Models for Speech Quality Prediction" (arXiv:2112.06219): trials, tables, claims."""

from typing import Any

import numpy as np
import pandas as pd
from scipy import stats

from .. import metrics
from ..attribution import BASELINES
from ..claims import Finding, Verdict, judge
from ..corpora import controlled, registry
from ..metrics import Interval
from ..models import weights
from ..records import Record
from ..trials import Trial
from .common import ChapterSettings, with_interval
from .listeners import ListenersTrial, listeners_trials, synthetic_trial
from .nisqa_explained_trials import (
    FILE,
    VARIANTS,
    AttributionTrial,
    ConductanceTrial,
    FeaturesTrial,
    FiguresTrial,
    LocalisationTrial,
    OcclusionSurveyTrial,
    OcclusionTrial,
    StabilityTrial,
)

SLUG = "nisqa_explained"
CORPORA = {"demo": ("polyglot",), "paper": ("p835",)}

PAPERS_LAYOUT = "nisqa-tts"  # standard CNN with 20 outputs and BiLSTM: the nearest to the paper's network that there is
TWENTY = (PAPERS_LAYOUT, "prompts-pesq-20", "prompts-pesq-20-relu")  # every network here with the paper's 20 outputs
DEMO_NETWORK = "prompts-pesq-20"
SOME_TALKER = ("m1",)
SOME_CONDITIONS = ("c0", "c3", "c6", "c9", "c12")
TWO_TALKERS = ("en", "fr")  # of the controlled set, where four would take the better part of an hour
QUIET = ("clean", "silence-0.5", "silence-1.0")  # of the controlled set: files with empty segments
BRIEF = (*QUIET, "cut-80-1", "cut-80-4", "cut-320-4", "noise-pink-0", "noise-pink-20")

Settings = ChapterSettings


def trials(settings: Settings) -> list[Trial]:
    """What the profile runs with what is on this machine."""
    return _demo_trials() if settings.profile == "demo" else _paper_trials()


def _fields(network: str, corpus: str, **more: Any) -> dict[str, Any]:
    corpus_hash = registry.load("p835").hash if corpus == "p835" else controlled.corpus_hash(corpus)  # type: ignore[arg-type]
    return {
        "study": SLUG,
        "data_status": "synthetic" if corpus == "polyglot" else "real",
        "model_status": "random" if more.get("randomised") else "other",
        "network": network,
        "weights_hash": weights.hash_of(network),
        "corpus": corpus,
        "corpus_hash": corpus_hash,
        **more,
    }


def _demo_trials() -> list[Trial]:
    return [
        synthetic_trial(),
        OcclusionTrial(**_fields(DEMO_NETWORK, "polyglot", file="demo")),
        FeaturesTrial(**_fields(DEMO_NETWORK, "polyglot", conditions=BRIEF)),
        AttributionTrial(**_fields(DEMO_NETWORK, "polyglot", conditions=("clean", "cut-80-4"), talkers=("en-m6",))),
    ]


def figure_trials(settings: Settings, found: list[Record]) -> list[Trial]:
    """The maps of one file by each network with 20 outputs; which of them are shown, its record of `FeaturesTrial` says."""
    corpus, file, told = ("polyglot", "demo", "polyglot") if settings.profile == "demo" else ("p835", FILE, "prompts")
    return [
        FiguresTrial(**_fields(r.trial["network"], corpus, file=file, show=tuple(dict.fromkeys(roles(r).values()))))
        for r in of_kind(found, FeaturesTrial, corpus=told)
    ]


def _paper_trials() -> list[Trial]:
    """What P.835 allows, and with the asterisk prompts what the controlled set allows."""
    planned: list[Trial] = list(listeners_trials(SLUG, ("fullband",)))
    found, prompts = weights.found_networks(), registry.find("asterisk") is not None
    for name in found:
        planned.append(OcclusionTrial(**_fields(name, "p835", file=FILE)))
        planned.append(OcclusionSurveyTrial(**_fields(name, "p835")))
    for name in [n for n in ("nisqa", "prompts-pesq", *TWENTY) if n in found]:
        planned.append(StabilityTrial(**_fields(name, "p835", talkers=SOME_TALKER, conditions=SOME_CONDITIONS)))
    for name in [n for n in TWENTY if n in found]:
        planned += _attribution_trials(name)
    if prompts:
        planned += [OcclusionSurveyTrial(**_fields(n, "prompts")) for n in ("nisqa", *TWENTY) if n in found]
        planned += [t for n in TWENTY if n in found for t in _controlled_trials(n)]
    return planned


def _attribution_trials(name: str) -> list[Trial]:
    """What asks for the 20 outputs on real recordings."""
    some = {"talkers": SOME_TALKER, "conditions": SOME_CONDITIONS}
    return [
        FeaturesTrial(**_fields(name, "p835")),
        AttributionTrial(**_fields(name, "p835")),
        AttributionTrial(**_fields(name, "p835", steps=200, **some)),
        AttributionTrial(**_fields(name, "p835", randomised=True, **some)),
        ConductanceTrial(**_fields(name, "p835", talkers=SOME_TALKER)),
    ]


def _controlled_trials(name: str) -> list[Trial]:
    """What asks for the 20 outputs and for known truth."""
    return [
        FeaturesTrial(**_fields(name, "prompts")),
        *(AttributionTrial(**_fields(name, "prompts", conditions=QUIET, talkers=TWO_TALKERS, baseline=b)) for b in BASELINES),
        LocalisationTrial(**_fields(name, "prompts")),
        LocalisationTrial(**_fields(name, "prompts", talkers=TWO_TALKERS, baseline="zero")),
        LocalisationTrial(**_fields(name, "prompts", talkers=TWO_TALKERS, randomised=True)),
    ]


def of_kind(found: list[Record], kind: type[Trial], **fields: object) -> list[Record]:
    """Records of one kind of trial whose fields have these values."""

    def same(value: object, wanted: object) -> bool:
        return (tuple(value) if isinstance(value, list) else value) == wanted

    return [r for r in found if r.trial["kind"] == kind.kind and all(same(r.trial.get(k), v) for k, v in fields.items())]


def the(found: list[Record], kind: type[Trial], **fields: object) -> Record | None:
    """The one record of this kind with these values, or None."""
    return next(iter(of_kind(found, kind, **fields)), None)


# Features are known by what they do, never by their number. Talkers of the first half choose, those of the second judge.
CHOOSING, JUDGING = ("en", "es", "en-m6", "de-steph"), ("fr", "it", "fr-m6", "it-steph")


def roles(features: Record) -> dict[str, int]:
    """The feature that follows cuts, the one that follows pauses, its opposite, and the one that follows noise."""
    items = features.items()
    items = items[items["talker"].isin(CHOOSING)]
    by_feature = items.groupby("feature")
    cut, pause = (by_feature[c].mean() for c in ("auc_cut", "auc_pause"))
    correlation = features.arrays()["correlation"]
    pause_feature = int((pause - 0.5).abs().idxmax())
    noisy = items[items["kind"] == "noise"]
    follows = {
        f: metrics.srcc(g["mean"].to_numpy(float), g["snr_db"].to_numpy(float)) for f, g in noisy.groupby("feature") if g["mean"].std() > 0
    }
    return {
        "cut": int((cut - 0.5).abs().idxmax()),
        "pause": pause_feature,
        "voice": int(correlation[pause_feature].argmin()),
        "noise": int(max(follows, key=lambda f: abs(follows[f]))) if follows else 0,
    }


def _judged(features: Record, feature: int) -> pd.DataFrame:
    items = features.items()
    return items[items["talker"].isin(JUDGING) & (items["feature"] == feature)]


def _mean(values: pd.Series, items: pd.DataFrame) -> Interval:
    return metrics.crossed_mean(values.to_numpy(float), items["condition"].to_numpy(), items["talker"].to_numpy())


def _shares(text: str, values: dict[str, float]) -> str:
    return text + ": " + ", ".join(f"{name} {value:.2f}" for name, value in values.items())


def findings(found: list[Record], network: str = PAPERS_LAYOUT) -> list[Finding]:
    """Verdicts on the claims by one network; claims whose records are not there are left out."""
    get = {
        "p835 masks": the(found, OcclusionSurveyTrial, network=network, corpus="p835"),
        "masks": the(found, OcclusionSurveyTrial, network=network, corpus="prompts"),
        "features": the(found, FeaturesTrial, network=network, corpus="prompts"),
        "p835 features": the(found, FeaturesTrial, network=network, corpus="p835"),
        "maps": the(found, AttributionTrial, network=network, corpus="p835", steps=50, randomised=False),
        "maps 200": the(found, AttributionTrial, network=network, corpus="p835", steps=200),
        "conductance": the(found, ConductanceTrial, network=network),
    }
    quiet = [r for r in of_kind(found, AttributionTrial, network=network, corpus="prompts") if not r.trial["randomised"]]
    tests = {
        _silence: ("masks",),
        _high_and_low: ("p835 masks",),
        _hidden_noise: ("masks",),
        _hidden_cuts: ("masks",),
        _activity: ("maps",),
        _agreement: ("maps",),
        _cut_feature: ("features", "p835 features", "maps"),
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
    if len(quiet) == len(BASELINES):
        out.append(_stripes(quiet))
    return sorted(out, key=lambda f: int(f.id[1:]))


def _finding(claim: str, verdict: Verdict, evidence: str, record: Record, interval: Interval | None = None) -> Finding:
    return Finding(claim, verdict, evidence, "our run", interval, record.data_status)


def _silence(masks: Record) -> Finding:
    """C1: mean size of the change under columns that hide silence alone, over that under columns on speech."""
    items = masks.items()
    items = items[items["condition"].isin(QUIET)].assign(size=lambda t: t["change_mos"].abs())
    silent, speech = items[items["silent"] == 1], items[items["voice"] > 0.5]
    files = sorted(set(items["file"]))
    per_file = [part.groupby("file", observed=True)["size"].agg(["sum", "count"]).reindex(files, fill_value=0) for part in (silent, speech)]
    sums, counts = ([table[c].to_numpy(float) for table in per_file] for c in ("sum", "count"))
    who = items.drop_duplicates("file").set_index("file").loc[files]
    ratio = metrics.crossed_ratio(sums[0], counts[0], sums[1], counts[1], who["condition"].to_numpy(), who["talker"].to_numpy())
    p = stats.mannwhitneyu(silent["size"], speech["size"], alternative="less").pvalue
    verdict = judge(ratio, high=0.1)
    evidence = f"mean |change| over {len(silent)} silent masks against {len(speech)} on speech; Mann-Whitney p = {p:.1g}"
    return _finding("C1", verdict if p < 0.01 or verdict != "holds" else "undecided", evidence, masks, ratio)


def _high_and_low(masks: Record) -> Finding:
    """C2 by the mean change over a file's masks: falls with MOS, negative above 4, positive below 2."""
    files = (
        masks.items()
        .groupby("file", observed=True)
        .agg(mos=("mos", "first"), change=("change_mos", "mean"), condition=("condition", "first"), talker=("talker", "first"))
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
    return _finding("C2", verdict if verdict != "holds" or signs else "fails", evidence, masks, rho)


def _hidden_noise(masks: Record) -> Finding:
    """C3: masks that hide noise alone raise the score sometimes, and to take all of the noise away raises it more."""
    items = masks.items()
    alone = items[items["noise_alone"] == 1]
    rises = _mean((alone["change_mos"] > 0).astype(float), alone)
    files = items.drop_duplicates("file")
    clean = files[files["condition"] == "clean"].set_index("talker")["mos"]
    noisy = files[files["kind"] == "noise"]
    gain = _mean(noisy["talker"].map(clean).astype(float) - noisy["mos"], noisy)
    evidence = f"share of {len(alone)} masks that raise MOS; mean change {alone['change_mos'].mean():+.3f}, all noise away {with_interval(list(gain))}"
    verdict = judge(rises, low=0.0001) if gain.low > alone["change_mos"].mean() else "fails"
    return _finding("C3", verdict, evidence, masks, rises)


def _hidden_cuts(masks: Record) -> Finding:
    """C4: masks on cuts whose place is known do not always raise the score."""
    items = masks.items()
    hit = items[items["cut"] > 0]
    rises = _mean((hit["change_mos"] > 0).astype(float), hit)
    return _finding("C4", judge(rises, high=0.999), f"share of {len(hit)} masks on known cuts that raise MOS", masks, rises)


def activity(maps: Record, method: str = "complete") -> pd.Series:
    """For each feature, the share of segments in which it is active."""
    return maps.items().groupby("feature")[f"active_{method}"].mean()


def _activity(maps: Record) -> Finding:
    """C5: of the 20 features, how many are active in over 90 % of segments, in some up to 10 %, in none."""
    counts = [_activity_counts(activity(maps, m)) for m in ("complete", "ig")]
    texts = [f"{name}: {a} nearly always, {r} rarely, {n} never" for name, (a, r, n) in zip(("DeepLIFT", "IG"), counts, strict=True)]
    return _finding("C5", "holds" if min(counts[0]) > 0 else "fails", "; ".join(texts), maps)


def _activity_counts(rate: pd.Series) -> tuple[int, int, int]:
    return int((rate > 0.9).sum()), int(((rate > 0) & (rate <= 0.1)).sum()), int((rate == 0).sum())


def _agreement(maps: Record) -> Finding:
    """C6: median correlation of DeepLIFT's maps with those of integrated gradients, above 0.8."""
    items = maps.items()
    medians = {
        v: items.groupby("file", as_index=False).agg({f"r_ig_{v}": "median", "condition": "first", "talker": "first"}) for v in VARIANTS
    }
    found = {v: _mean(m[f"r_ig_{v}"], m) for v, m in medians.items()}
    evidence = _shares("median correlation by DeepLIFT's variant", {v: i.value for v, i in found.items()})
    verdicts = {judge(i, low=0.8) for i in found.values()}
    return _finding("C6", verdicts.pop() if len(verdicts) == 1 else "undecided", evidence, maps, found["complete"])


def _cut_feature(features: Record, p835: Record, maps: Record) -> Finding:
    """C7: one rarely active feature that tells cuts and falls with MOS."""
    feature = roles(features)["cut"]
    items = _judged(features, feature)
    side = 1.0 if roles_sign(features, feature, "auc_cut") else -1.0
    area = _mean(items["auc_cut"] if side > 0 else 1 - items["auc_cut"], items)
    rate = float(activity(maps)[feature])
    real = p835.items()
    real = real[real["feature"] == feature]
    rho = metrics.crossed_pcc(
        side * real["mean"].to_numpy(float), real["mos"].to_numpy(float), real["condition"].to_numpy(), real["talker"].to_numpy()
    )
    verdicts = [judge(area, low=0.9), judge(rho, high=-0.5), "holds" if rate < 0.1 else "fails"]
    verdict: Verdict = "fails" if "fails" in verdicts else "undecided" if "undecided" in verdicts else "holds"
    evidence = f"feature {feature}, chosen on other talkers: AUC for segments with a cut; active in {rate:.0%} of real segments; correlation with MOS {with_interval(list(rho))}"
    return _finding("C7", verdict, evidence, features, area)


def roles_sign(features: Record, feature: int, column: str) -> bool:
    """Whether a feature rises with what `column` asks for, by the talkers that choose."""
    items = features.items()
    return bool(items[items["talker"].isin(CHOOSING) & (items["feature"] == feature)][column].mean() > 0.5)


def _pause_feature(features: Record) -> Finding:
    """C8: one feature that tells pauses from voice, whatever the noise."""
    feature = roles(features)["pause"]
    items = _judged(features, feature)
    if not roles_sign(features, feature, "auc_pause"):
        items = items.assign(auc_pause=1 - items["auc_pause"])
    area = _mean(items["auc_pause"], items)
    noise = items[items["kind"] == "noise"]
    quiet, loud = (noise[noise["snr_db"].between(*r)]["auc_pause"].mean() for r in ((20, 99), (-99, 5)))
    verdict = judge(area, low=0.9)
    if verdict == "holds" and abs(quiet - loud) >= 0.05:
        verdict = "fails"
    evidence = f"feature {feature}, chosen on other talkers: AUC for segments without voice; {quiet:.2f} at 20 dB SNR and more, {loud:.2f} at 5 dB and less"
    return _finding("C8", verdict, evidence, features, area)


def _opposite(features: Record) -> Finding:
    """C9: a feature that falls where that of C8 rises."""
    chosen = roles(features)
    r = float(features.arrays()["correlation"][chosen["pause"], chosen["voice"]])
    items = features.items().pivot(index="file", columns="feature", values="mean")
    who = features.items().drop_duplicates("file").set_index("file").loc[items.index]
    spread = metrics.crossed_pcc(
        items[chosen["pause"]].to_numpy(float),
        items[chosen["voice"]].to_numpy(float),
        who["condition"].to_numpy(),
        who["talker"].to_numpy(),
    )
    verdict: Verdict = "holds" if r < -0.7 else "fails"
    evidence = f"features {chosen['pause']} and {chosen['voice']}: correlation {r:.2f} over all segments; of the files' means in brackets"
    return _finding("C9", verdict, evidence, features, spread)


def _redundancy(features: Record) -> Finding:
    """C10: fewer than half as many features in effect as there are, and some that are nearly one."""
    interval, pairs = Interval(*features.metrics["participation"]), features.metrics["pairs_above_0.9"]
    verdict = judge(interval, high=features.metrics["features"] / 2)
    evidence = f"effective number of {features.metrics['features']} features; {pairs} pairs at |r| above 0.9"
    return _finding("C10", verdict if verdict != "holds" or pairs else "fails", evidence, features, interval)


def _vertical(maps: Record) -> Finding:
    """C11: share of variance of the maps' centre of mass over mel bands that lies between features, above one half."""
    table = maps.items().pivot(index="file", columns="feature", values="centroid_complete").to_numpy()
    rng = np.random.default_rng(0)
    drawn = [metrics.intraclass(table[rng.integers(len(table), size=len(table))]) for _ in range(500)]
    interval = Interval(metrics.intraclass(table), *np.nanquantile(drawn, [0.025, 0.975]).tolist())
    centres = np.nanmean(table, axis=0)
    evidence = (
        f"intraclass correlation over {len(table)} files; mean centres from band {np.nanmin(centres):.1f} to {np.nanmax(centres):.1f} of 48"
    )
    return _finding("C11", judge(interval, low=0.5), evidence, maps, interval)


def _regions(conductance: Record) -> Finding:
    """C12: channels of the first convolution have less of their largest tenths in common than shuffled maps have."""
    items = conductance.items()
    first = items[items["layer"] == 1]
    evidence = f"overlap of the largest tenths {first['overlap'].mean():.3f}, shuffled {first['overlap_shuffled'].mean():.3f}; the difference in brackets"
    interval = _mean(first["overlap"] - first["overlap_shuffled"], first)
    return _finding("C12", judge(interval, high=0.0), evidence, conductance, interval)


def _inverted(conductance: Record) -> Finding:
    """C13: two features whose conductance in the second convolution is opposite."""
    items = conductance.items()
    second = items[items["layer"] == 2]
    interval = _mean(second["least_correlation"], second)
    return _finding("C13", judge(interval, high=-0.7), "least correlation between two features' maps", conductance, interval)


def _depth(conductance: Record) -> Finding:
    """C14: conductance of the third and later convolutions is no smoother than shuffled maps."""
    items = conductance.items().assign(more=lambda t: t["smooth"] - t["smooth_shuffled"])
    deep = items[items["layer"] >= 3]
    interval = _mean(deep["more"], deep)
    evidence = _shares("Moran's I over that of shuffled maps, by convolution", dict(items.groupby("layer")["more"].mean()))
    return _finding("C14", judge(interval, high=0.05), evidence, conductance, interval)


def stripes_table(quiet: list[Record]) -> pd.DataFrame:
    """Mean size of attributions on empty segments over that on sounding ones: a row a baseline, a column a method."""
    rows = []
    for record in quiet:
        items = record.items()
        items = items[items["condition"].isin(QUIET)]
        ratios = {m: float(items[f"empty_{m}"].mean() / items[f"sounding_{m}"].mean()) for m in ("ig", *VARIANTS)}
        rows.append({"baseline": record.trial["baseline"], **ratios})
    return pd.DataFrame(rows)


def _stripes(quiet: list[Record]) -> Finding:
    """C15: one of the baselines brings attributions on empty segments to nothing."""
    table = stripes_table(quiet).set_index("baseline")
    evidence = _shares("size on empty over sounding segments, DeepLIFT complete", dict(table["complete"]))
    return _finding("C15", "holds" if table["complete"].min() < 1e-3 else "fails", evidence, quiet[0])


def _completeness(maps: Record, finer: Record) -> Finding:
    """C16: share of maps that miss the difference by less than 1 %, for each method."""
    items = maps.items()
    shares = {f"DeepLIFT {v}": items[f"within_{v}"].mean() for v in VARIANTS}
    shares |= {"IG 50 steps": items["within_ig"].mean(), "IG 200": finer.items()["within_ig"].mean()}
    verdict: Verdict = "holds" if min(shares.values()) > 0.95 else "fails"
    return _finding("C16", verdict, _shares("share of maps within 1 %", shares), maps, _mean(items["within_modules"], items))


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


def count_verdicts(found: list[Finding]) -> str:
    """Such as "9 hold, 5 fail, 3 undecided"."""
    words = {"holds": "hold", "fails": "fail", "undecided": "undecided", "untestable here": "untestable here"}
    counts = {word: sum(f.verdict == verdict for f in found) for verdict, word in words.items()}
    return ", ".join(f"{n} {word}" for word, n in counts.items() if n) or "not available"


def completeness_in_words(maps: Record | None) -> dict[str, str]:
    """Median completeness error of DeepLIFT's variants, as `error_VARIANT`."""
    if maps is None:
        return {f"error_{v}": "not available" for v in VARIANTS}
    items = maps.items()
    return {
        f"error_{v}": f"{items[f'error_{v}'].median():.2g} times" if v != "complete" else f"{items[f'error_{v}'].median():.0e}"
        for v in VARIANTS
    }


def claims_by_network(found: list[Record]) -> pd.DataFrame:
    """One row a claim, one column a network: the verdict, with its value and interval."""
    columns = {}
    for name in dict.fromkeys(r.trial["network"] for r in of_kind(found, OcclusionSurveyTrial)):
        columns[name] = {
            f.id: f.verdict + (f" {f.interval.value:.2f} [{f.interval.low:.2f}, {f.interval.high:.2f}]" if f.interval else "")
            for f in findings(found, name)
        }
    table = pd.DataFrame(columns).reindex([f"C{i}" for i in range(1, 18)]).fillna("–")
    return table.rename_axis("claim").reset_index()


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


def variants_table(found: list[Record]) -> pd.DataFrame:
    """DeepLIFT in its three variants and integrated gradients: completeness, agreement, activity. Medians over files and features."""
    rows = []
    for r in of_kind(found, AttributionTrial, corpus="p835", steps=50, randomised=False):
        items = r.items()
        for method, name in (*((v, f"DeepLIFT, {v}") for v in VARIANTS), ("ig", "integrated gradients, 50 steps")):
            rate = activity(r, method)
            always, rarely, never = _activity_counts(rate)
            rows.append(
                {
                    "network": r.trial["network"],
                    "method": name,
                    "completeness error": f"{items[f'error_{method}'].median():.2g}",
                    "maps within 1 %": f"{items[f'within_{method}'].mean():.0%}",
                    "correlation with IG": f"{items[f'r_ig_{method}'].median():.2f}" if method != "ig" else "1",
                    "features nearly always / rarely / never active": f"{always} / {rarely} / {never}",
                }
            )
    return pd.DataFrame(rows)


def controls_table(found: list[Record]) -> pd.DataFrame:
    """What a network with random weights gives for C5, C6 and C11, beside the trained one on the same files."""
    rows = []
    for control in of_kind(found, AttributionTrial, randomised=True):
        trained = the(found, AttributionTrial, network=control.trial["network"], corpus="p835", steps=50, randomised=False)
        for name, record in (("trained", trained), ("random", control)):
            if record is None:
                continue
            items = record.items()
            items = items[items["talker"].isin(SOME_TALKER) & items["condition"].isin(SOME_CONDITIONS)]
            always, rarely, never = _activity_counts(items.groupby("feature")["active_complete"].mean())
            centres = items.pivot(index="file", columns="feature", values="centroid_complete").to_numpy()
            rows.append(
                {
                    "network": control.trial["network"],
                    "weights": name,
                    "features nearly always / rarely / never active": f"{always} / {rarely} / {never}",
                    "DeepLIFT's correlation with IG": f"{items['r_ig_complete'].median():.2f}",
                    "intraclass correlation of the centres": f"{metrics.intraclass(centres):.2f}",
                }
            )
    return pd.DataFrame(rows)


def localisation_table(found: list[Record]) -> pd.DataFrame:
    """How well each method finds known cuts, for each network and baseline; 0.5 is chance."""
    rows = []
    for r in of_kind(found, LocalisationTrial):
        items = r.items()
        for method, part in items.groupby("method"):
            inside, near = (_mean(part[c], part) for c in ("auc", "auc_near"))
            rows.append(
                {
                    "network": r.trial["network"] + (", random weights" if r.trial["randomised"] else ""),
                    "method": method,
                    "baseline": r.trial["baseline"],
                    "inside a cut": with_interval(list(inside)),
                    "beside a cut": with_interval(list(near)),
                    "shuffled": f"{part['auc_shuffled'].mean():.2f}",
                    "likeness to the trained map": f"{part['r_trained'].mean():.2f}" if "r_trained" in part else "",
                }
            )
    return pd.DataFrame(rows)


def stability_table(found: list[Record]) -> pd.DataFrame:
    """Rank correlation of maps of MOS: a row a pair, a column a network."""
    columns = {}
    for r in of_kind(found, StabilityTrial):
        items = r.items()
        columns[r.trial["network"]] = items.groupby(["one", "other"], sort=False)["rho"].mean().round(2)
    return pd.DataFrame(columns).reset_index().rename(columns={"one": "map", "other": "against"})


def dimensions_table(found: list[Record], network: str = "nisqa") -> pd.DataFrame:
    """Mean change of each output when a column hides this, controlled files from real prompts: does a dimension mind its name?"""
    record = the(found, OcclusionSurveyTrial, network=network, corpus="prompts")
    if record is None:
        return pd.DataFrame()
    items = record.items()
    hidden = {
        "a cut": items["cut"] > 0,
        "noise without speech": (items["noise_alone"] == 1),
        "noisy speech": (items["noise"] == 1) & (items["voice"] > 0.5),
        "clean speech": (items["kind"] == "clean") & (items["voice"] > 0.5),
        "narrow-band speech": (items["condition"] == "band-300-3400") & (items["voice"] > 0.5),
    }
    outputs = [c for c in items if c.startswith("change_")]
    rows = []
    for name, which in hidden.items():
        part = items[which]
        rows.append(
            {"hidden": name, "masks": len(part)} | {o.removeprefix("change_"): with_interval(list(_mean(part[o], part))) for o in outputs}
        )
    return pd.DataFrame(rows)
