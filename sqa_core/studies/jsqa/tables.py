"""Tables of the chapter on JSQA. Numbers stay numbers; the page decides how they are shown."""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise, product
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from scipy import stats
from scipy.optimize import curve_fit

from ... import metrics
from ...corpora.jnd_pairs import LAWS
from ...learning import jnd
from ...metrics import Interval
from ...models import encoder_catalogue, predictors
from ...results import frame, published
from ...results.records import Record
from ...results.trials import canonical
from . import selection
from .plan import ENCODER, LABELLED, PRETRAINING_EPOCHS, SLUG
from .trials import NOISES
from .trials_embedding import WIDEST_ALIKE_DB

# How the page calls the starts, in its order; a law by its own name.
STARTS = {"scratch": "from scratch", "2 to 6 dB": "pretrained, without projection head", "with head": "pretrained, with projection head"}
MEASURES = ("rmse", "mae", "pcc", "srcc")
TESTS = {
    "fullband": "listeners, P.835 full band",
    "wideband": "listeners, P.835 wide band",
    "calls_real": "PESQ, calls of real voices",
    "calls_synthetic": "PESQ, calls of synthetic voices",
}
DECIDES = "fullband"  # the test that verdicts rest on
DRAWS = 250  # of talkers
BANDS_DB = (0.0, 0.01, 2.0, 3.0, 4.0, 6.0, 8.0, 10.0, 15.0, 20.0, 40.0, 100.0)


@dataclass(frozen=True, eq=False)
class Run:
    """A run's records as one table, one row per record, and its tables that take seconds, each computed once."""

    found: pd.DataFrame

    @cached_property
    def judgements(self) -> pd.DataFrame:
        return judgements_table(self.found)

    @cached_property
    def thresholds(self) -> pd.DataFrame:
        return thresholds_table(self.found)

    @cached_property
    def inside(self) -> pd.DataFrame:
        return inside_table(self.found)

    @cached_property
    def distances(self) -> pd.DataFrame:
        return distances_table(self.found)


def judgements_table(found: pd.DataFrame) -> pd.DataFrame:
    """How well an SVM that was trained on the other kinds answers for one: one row per kind; area under the ROC curve and accuracy with
    intervals over talkers, drawn with replacement. Accuracy and calibration error are of its probabilities, which an ensemble of SVMs gives."""
    rows = []
    for r in frame.records(found, "judgements"):
        items = r.items()
        row: dict[str, Any] = {"kind": r.trial["held_out"].replace("_", " "), "pairs": len(items)}
        row["different, %"] = 100 * float(items["different"].mean())
        drawn = [jnd_facts(one) for one in _talkers_drawn(items, DRAWS) if 0 < one["different"].mean() < 1]
        own = jnd_facts(items)
        for title, key in (("AUC", "auc"), ("accuracy", "accuracy")):
            low, high = np.quantile([facts[key] for facts in drawn], [0.025, 0.975])
            row |= Interval(own[key], float(low), float(high)).columns(title)
        row["calibration error"] = own["calibration_error"]  # of redrawn pairs it is larger, so their quantiles are no interval of it
        rows.append(row)
    return pd.DataFrame(rows).sort_values("kind", ignore_index=True) if rows else pd.DataFrame()


def jnd_facts(items: pd.DataFrame) -> dict[str, float]:
    """`jnd.auc_and_error` of a record's items."""
    return jnd.auc_and_error(*(items[name].to_numpy() for name in ("value", "probability", "different")))


def _talkers_drawn(items: pd.DataFrame, draws: int) -> Iterator[pd.DataFrame]:
    """Items of as many talkers as there are, drawn with replacement."""
    rng, of_talker = np.random.default_rng(0), [part for _, part in items.groupby("talker")]
    for _ in range(draws):
        yield pd.concat([of_talker[i] for i in rng.integers(len(of_talker), size=len(of_talker))], ignore_index=True)


def calibration_table(found: pd.DataFrame) -> pd.DataFrame:
    """Does the SVM's probability of "different" mean what it says? One row per tenth of the range of probabilities: their mean, the share of
    answers "different" with its interval over talkers, and the number of pairs; all kinds together, each by the SVM that had not heard it."""
    parts = [r.items() for r in frame.records(found, "judgements")]
    if not parts:
        return pd.DataFrame()
    items = pd.concat(parts, ignore_index=True)
    items["tenth"] = np.clip(items["probability"] * 10, 0, 9.999).astype(int)
    samples = pd.DataFrame([one.groupby("tenth")["different"].mean() for one in _talkers_drawn(items, DRAWS)])
    rows = []
    for tenth, part in items.groupby("tenth"):
        low, high = samples[tenth].quantile([0.025, 0.975])
        row = {"probability of different": float(part["probability"].mean())}
        row |= Interval(float(part["different"].mean()), float(low), float(high)).columns("share called different")
        rows.append(row | {"pairs": len(part)})
    return pd.DataFrame(rows)


def answers_table(found: pd.DataFrame) -> pd.DataFrame:
    """What listeners said by the gap between the two levels: share of "different", one row per band of gaps, one column per kind."""
    parts = [r.items().assign(kind=r.trial["held_out"].replace("_", " ")) for r in frame.records(found, "judgements")]
    if not parts:
        return pd.DataFrame()
    items = pd.concat(parts, ignore_index=True)
    names = ["none", *(f"{low:g} to {high:g}" for low, high in pairwise((0.0, *BANDS_DB[2:])))]
    band = pd.cut(items["gap_db"], BANDS_DB, right=False, labels=names)
    by = items.groupby([band, "kind"], observed=True)["different"].mean().unstack().rename_axis("gap, dB")
    return by.reset_index().assign(pairs=items.groupby(band, observed=True).size().to_numpy())


def thresholds_table(found: pd.DataFrame) -> pd.DataFrame:
    """The gap at which half of the answers are "different", by kind of noise: where a logistic function of the gap, with a floor and a ceiling
    for wrong answers, crosses 0.5; with its interval over talkers, drawn with replacement."""
    rows = []
    for r in frame.records(found, "judgements"):
        items = r.items()
        if r.trial["held_out"] not in NOISES:
            continue
        samples = [_half(drawn) for drawn in _talkers_drawn(items, 100)]
        interval = Interval(_half(items), *np.nanquantile(samples, [0.025, 0.975]).tolist())
        rows.append({"kind": r.trial["held_out"].replace("_", " ")} | interval.columns("threshold, dB") | {"pairs": len(items)})
    return pd.DataFrame(rows).sort_values("threshold, dB", ignore_index=True) if rows else pd.DataFrame()


def _half(items: pd.DataFrame) -> float:
    """NaN where the fit does not reach 0.5."""

    def share(gap, midpoint, slope, floor, ceiling):
        return floor + (ceiling - floor) / (1 + np.exp(-slope * (gap - midpoint)))

    gap, different = items["gap_db"].to_numpy(float), items["different"].to_numpy(float)
    bounds = ([0, 0.05, 0, 0.5], [40, 5, 0.4, 1])
    try:
        midpoint, slope, floor, ceiling = curve_fit(share, gap, different, p0=(6, 0.5, 0.05, 0.8), bounds=bounds)[0]
    except RuntimeError:
        return float("nan")
    part = (0.5 - floor) / (ceiling - floor)
    return float(midpoint + np.log(part / (1 - part)) / slope) if 0 < part < 1 else float("nan")


def boundary_table(found: pd.DataFrame) -> pd.DataFrame:
    """The decision boundaries of the SVMs: the least gap that each calls different, one row per source of answers and a level (listeners) or
    SNR (stated function); NaN where none is. With the range over draws of talkers (listeners) or seeds."""
    rows = []
    for name, of in _svms(found).items():
        of = sorted(of, key=lambda r: r.trial["seed"])
        each_of = [thresholds_of(r) for r in of]
        gaps = np.stack([t["threshold_db"].to_numpy(float) for t in each_of])
        of_all = gaps[0] if name == LISTENERS else np.array([np.nan if np.isnan(g).all() else np.nanmean(g) for g in gaps.T])
        for first, gap, each in zip(each_of[0]["first_db"], of_all, gaps.T, strict=True):
            seen = each[~np.isnan(each)]
            low, high = (float(seen.min()), float(seen.max())) if len(seen) else (np.nan, np.nan)
            rows.append(
                {"answers": name, "level or SNR, dB": float(first), "gap, dB": float(gap), "least": low, "largest": high, "draws": len(of)}
            )
    return pd.DataFrame(rows)


def thresholds_of(r: Record) -> pd.DataFrame:
    """Of an SVM the least gap that it calls different, by level or SNR: first_db, threshold_db."""
    return r.items()[["first_db", "threshold_db"]].drop_duplicates().reset_index(drop=True)


def surfaces_table(found: pd.DataFrame) -> pd.DataFrame:
    """The SVMs' decision functions over level or SNR and gap: answers, first_db, gap_db, value; above 0 a pair is called different. Listeners:
    all talkers; stated function: the first seed."""
    parts = []
    for name, of in _svms(found).items():
        items = min(of, key=lambda r: r.trial["seed"]).items()
        parts.append(items[["first_db", "gap_db", "value"]].assign(answers=name))
    return pd.concat(parts, ignore_index=True) if parts else pd.DataFrame()


def stated_share() -> float:
    """The paper's share of pairs inside, in percent."""
    return float(published.read(SLUG, "setup").set_index("item").loc["pairs inside the JND by the SVM", "value"])


def inside_table(found: pd.DataFrame) -> pd.DataFrame:
    """What share of pairs an SVM calls the same, in percent, by the distribution that gaps are drawn from: one row per source of answers, with the least gap that it calls different,
    the mean over levels or SNRs that have one."""
    rows = []
    for name, of in _svms(found).items():
        first = min(of, key=lambda r: r.trial["seed"])
        row: dict[str, Any] = {"answers": name, "data": first.data_status}
        row |= _over_draws(of, "threshold_db").columns("threshold, dB")
        row["levels without one"] = f"{first.metrics['no_threshold']} of {len(thresholds_of(first))}"
        for what, key in FRESH:
            row |= metrics.confidence_t([r.metrics[key] for r in of]).columns(f"{what}, fresh pairs") if key in first.metrics else {}
        share = Interval(*(min(max(100 * v, 0.0), 100.0) for v in _over_draws(of, "inside 2 to 6 dB")))  # t intervals pass the ends
        row |= share.columns("2 to 6 dB")
        for law in ("0 to 3 dB", "0 to 6 dB", "0 to 12 dB", "10 to 20 dB"):
            row[law] = 100 * float(np.mean([r.metrics[f"inside {law}"] for r in of if not _redrawn(r)]))
        rows.append(row | {"paper, 2 to 6 dB": stated_share(), "draws": len(of)})
    return pd.DataFrame(rows)


LISTENERS = "listeners, noises"
FRESH = (("AUC", "auc"), ("accuracy", "accuracy"), ("calibration error", "calibration_error"))  # of SVMs on the stated function


def _svms(found: pd.DataFrame) -> dict[str, list[Record]]:
    """Records of the SVMs that say which pairs are heard, by the source of their answers."""
    groups: dict[str, list[Record]] = {}
    for r in frame.records(found, "listeners_surface"):
        groups.setdefault(LISTENERS, []).append(r)
    for r in frame.records(found, "surface"):
        groups.setdefault(f"stated function, midpoint {r.trial['midpoint_db']:g} dB", []).append(r)
    return groups


def _redrawn(r: Record) -> bool:
    """Whether a record is one of the draws of talkers, which serve the interval alone."""
    return r.trial["kind"] == "listeners_surface" and r.trial["seed"] > 0


def _over_draws(of: list[Record], metric: str) -> Interval:
    """Of listeners: the value of all talkers, with the SD over draws of talkers times t; else the mean over seeds with its interval."""
    values = np.array([r.metrics[metric] for r in of], float)
    redrawn = np.array([_redrawn(r) for r in of])
    if redrawn.any():
        half = float(stats.t.ppf(0.975, redrawn.sum() - 1) * np.nanstd(values[redrawn], ddof=1)) if redrawn.sum() > 1 else np.inf
        value = float(values[~redrawn].mean())
        return Interval(value, value - half, value + half)
    return metrics.confidence_t(values)


def distances_table(found: pd.DataFrame) -> pd.DataFrame:
    """Cosine distance of two embeddings by the gap between their SNRs: one row per encoder, SNR and gap, with the interval over pairs."""
    rows = []
    for r in frame.records(found, "distances"):
        for (snr, gap), part in r.items().groupby(["snr_db", "gap_db"]):
            row: dict[str, Any] = {"encoder": ENCODERS[r.trial["encoder"]], "SNR, dB": float(snr), "gap, dB": float(gap)}
            rows.append(row | metrics.confidence_t(part["distance"]).columns("distance") | {"pairs": len(part)})
    return pd.DataFrame(rows)


ENCODERS = {"cdpam": "CDPAM, trained on judgements", "random": "the same network, random weights"}


def order_table(found: pd.DataFrame) -> pd.DataFrame:
    """Does the distance follow the gap? Spearman's correlation within each pair and SNR, its mean over pairs with interval; one row per encoder
    and SNR."""
    rows = []
    for r in frame.records(found, "distances"):
        for snr, part in r.items().groupby("snr_db"):
            each = [metrics.srcc(p["gap_db"].to_numpy(float), p["distance"].to_numpy(float)) for _, p in part.groupby("pair")]
            row: dict[str, Any] = {"encoder": ENCODERS[r.trial["encoder"]], "SNR, dB": float(snr)}
            rows.append(row | metrics.confidence_t(each).columns("SRCC of distance and gap") | {"pairs": len(each)})
    return pd.DataFrame(rows)


def table1(found: pd.DataFrame) -> pd.DataFrame:
    """The paper's Table 1: one row per start and test, mean over seeds with interval, and what the paper prints. "RMSE
    mapped" is after the best line from predicted to rated scores (P.1401), which takes out an offset between the labels of training, PESQ's,
    and listeners' scores."""
    printed = published.read(SLUG, "table1").set_index(["condition", "metric"])["value"]
    rows = []
    for start, name in STARTS.items():
        of = selection.arms(found, start)
        for test, title in TESTS.items():
            if not of or f"pcc_{test}" not in of[0].metrics:
                continue
            row: dict[str, Any] = {"start": name, "test": title}
            for measure in MEASURES:
                row |= metrics.confidence_t([r.metrics[f"{measure}_{test}"] for r in of]).columns(measure.upper())
            row |= metrics.confidence_t([_mapped_rmse(r, test) for r in of]).columns("RMSE mapped")
            rows.append(row | {"paper's PCC (NISQA corpus)": printed.get((name, "PCC"), ""), "seeds": len(of)})
    return pd.DataFrame(rows)


def gains_table(found: pd.DataFrame) -> pd.DataFrame:
    """The paper's gains: how each measure changes against scratch, as a share of its mean from scratch, paired over seeds; beside what the paper
    prints of it for pretraining without a head. One row per start and test; no share where a seed's measure from scratch is near 0."""
    printed = published.read(SLUG, "table1").set_index(["condition", "metric"])["value"]
    rows = []
    for start, test in product(list(STARTS)[1:], TESTS):
        pairs = selection.pairs_by_seed(found, start, "scratch")
        if len(pairs) < 2 or f"pcc_{test}" not in pairs[0][0].metrics:
            continue
        row: dict[str, Any] = {"start": STARTS[start], "test": TESTS[test]}
        for measure in MEASURES:
            title, (_, share) = f"{measure.upper()}, %", selection.change(pairs, f"{measure}_{test}")
            row |= (Interval(*(100 * v for v in share)) if share else Interval(np.nan, np.nan, np.nan)).columns(title)
            row[f"paper's {title}"] = str(printed["gain over scratch", f"{measure.upper()} change"]) if start == "2 to 6 dB" else ""
        rows.append(row | {"pairs of seeds": len(pairs)})
    return pd.DataFrame(rows)


def impairments_table(found: pd.DataFrame) -> pd.DataFrame:
    """Gain in PCC with PESQ from pretraining without a head, by what impairs calls by real voices: noise alone, as claim C16 has it, and other
    impairments without noise or other talkers. Paired over seeds; all seeds have the same calls, and a call can have several impairments."""
    rows = []
    both = [[r.items().query("test == 'calls_real'") for r in pair] for pair in selection.pairs_by_seed(found, "2 to 6 dB", "scratch")]
    for name, pattern in IMPAIRMENTS.items() if len(both) > 1 else ():
        chosen = [[t[t["kinds"].str.contains(pattern)] for t in pair] for pair in both]
        calls = len(chosen[0][0])
        if calls < MIN_CALLS:
            continue
        each = [[metrics.pcc(t["predicted"].to_numpy(float), t["mos"].to_numpy(float)) for t in pair] for pair in chosen]
        row: dict[str, Any] = {"impairment": name, "calls": calls, "PCC from scratch": float(np.mean([s for _, s in each]))}
        rows.append(row | metrics.confidence_t([p - s for p, s in each]).columns("gain in PCC") | {"seeds": len(each)})
    return pd.DataFrame(rows)


_QUIET = "^(?!.*(?:noise|competing)).*"  # neither noise nor another talker
IMPAIRMENTS = {
    "noise alone": "^noise$",
    "another talker alone": "^competing$",
    "codec": f"{_QUIET}codec",
    "lost packets": f"{_QUIET}(?:loss|gaps)",
    "clipping": f"{_QUIET}clip",
    "reverberation": f"{_QUIET}(?:room|echo)",
    "all but noise, talkers and none": "^(?!.*(?:noise|competing|clean)).*",
}
MIN_CALLS = 10  # a correlation of fewer says little


def table1_more(starts: pd.DataFrame) -> list[str]:
    """The columns of Table 1 that stand on the second page."""
    return [c for c in starts if c.startswith(("MAE", "SRCC", "RMSE mapped"))]


def listeners_table(found: pd.DataFrame) -> pd.DataFrame:
    """The starts tuned on listeners' scores of P.835, in cross-validation with talkers and conditions apart: PCC within a quarter of the files,
    mean over quarters, and its gain over training from scratch paired over seeds; PCC of all files together mixes the offsets of four
    networks. One row per start and test, mean over the seeds that all starts have, with interval. All seeds have the same six talkers."""
    by_start = selection.of_common_seeds({start: of for start in STARTS if (of := selection.on_listeners(found, start))})
    scratch = by_start.get("scratch", [])
    rows = []
    for start, of in by_start.items():
        name = STARTS[start]
        for test in ("fullband", "wideband") if of else ():
            metric = f"pcc_{test}"
            row: dict[str, Any] = {"start": name, "test": TESTS[test]}
            row |= metrics.confidence_t([r.metrics[metric] for r in of], (-1, 1)).columns("PCC")
            gains = selection.differences(of, scratch, metric)
            if start != "scratch" and len(gains) > 1:
                row |= metrics.confidence_t(gains).columns("gain over scratch") | {"pairs of seeds": len(gains)}
            row["PCC, all files together"] = selection.mean_of(of, f"pooled_{metric}")
            rows.append(row | {"seeds": len(of)})
    return pd.DataFrame(rows)


def lengths_table(found: pd.DataFrame) -> pd.DataFrame:
    """PCC of whole sounds and of the mean over windows as long as the crops that were trained on, one row per start and test: mean over seeds,
    and the difference with its interval, paired over seeds."""
    rows = []
    for start, name in STARTS.items():
        each: dict[str, list[tuple[float, float]]] = {}
        for r in selection.arms(found, start):
            items = r.items()
            for test, part in items.groupby("test") if "predicted_windows" in items else ():
                mos = part["mos"].to_numpy(float)
                both = [metrics.pcc(part[column].to_numpy(float), mos) for column in ("predicted", "predicted_windows")]
                each.setdefault(str(test), []).append((both[0], both[1]))
        for test, title in TESTS.items():
            if test in each:
                whole, cut = np.array(each[test]).T
                row: dict[str, Any] = {"start": name, "test": title, "whole": float(whole.mean()), "windows": float(cut.mean())}
                rows.append(row | metrics.confidence_t(cut - whole).columns("windows − whole") | {"seeds": len(whole)})
    return pd.DataFrame(rows)


def others(found: pd.DataFrame) -> list[tuple[str, list[Record]]]:
    """What a user would take instead, with its records: published predictors as they come, and the same head on frozen features of a speech
    model."""
    groups: dict[str, list[Record]] = {_predictor_title(r): [r] for r in frame.records(found, "predictors")}
    for r in frame.records(found, "speech_model_arms"):
        groups.setdefault(f"the same head on frozen {encoder_catalogue.title(r.trial['start'])}", []).append(r)
    return list(groups.items())


def alternatives_table(found: pd.DataFrame) -> pd.DataFrame:
    """What a user would take instead, and the arms beside it. One row per predictor, the best first; means over seeds where there are several,
    whose intervals stand in Table 1."""
    instead = others(found)
    if not instead:
        return pd.DataFrame()
    ours = [(f"JSQA, {name}", of) for start, name in STARTS.items() if (of := selection.arms(found, start))]
    rows = []
    for name, of in [*instead, *ours]:
        row: dict[str, Any] = {"predictor": name}
        row |= {f"PCC, {TESTS[test]}": selection.mean_of(of, f"pcc_{test}") for test in ("fullband", "wideband", "calls_real")}
        rows.append(row | {"RMSE, full band": selection.mean_of(of, "rmse_fullband"), "runs": len(of)})
    return pd.DataFrame(rows).sort_values(f"PCC, {TESTS['fullband']}", ascending=False, ignore_index=True)


def _mapped_rmse(r: Record, test: str) -> float:
    items = r.items()
    rows = items[items["test"] == test]
    return metrics.calibrated(rows["predicted"].to_numpy(float), rows["mos"].to_numpy(float), order=1).rmse


def _predictor_title(r: Record) -> str:
    name = r.trial["predictor"]
    return "NISQA (as published)" if name == "nisqa" else predictors.PREDICTORS[name].title


def epochs_table(found: pd.DataFrame) -> pd.DataFrame:
    """The course of training: one row per start, seed, stage and epoch (from 1), with the measure on validation sounds: PCC of the predicted MOS in
    tuning, the contrastive loss in pretraining."""
    rows = [
        {"start": name, "seed": r.trial["seed"], "stage": stage, "epoch": epoch, "measure": measure, "value": value}
        for start, name in STARTS.items()
        for r in selection.arms(found, start)
        for stage, measure, key in (("pretraining", "loss", "contrastive_validation_loss"), ("tuning", "PCC", "validation_pcc"))
        for epoch, value in enumerate(r.metrics.get(key, ()), start=1)
    ]
    return pd.DataFrame(rows, columns=["start", "seed", "stage", "epoch", "measure", "value"])


def controls_table(found: pd.DataFrame) -> pd.DataFrame:
    """PCC on P.835 by what was pretrained on: the paper's gaps, other gaps, and controls. One row per start, mean over seeds with interval, and
    the differences from the paper's gaps and from no pretraining, paired over seeds; none where there are only those of Table 1."""
    starts = ("scratch", *LAWS, "with head", "cdpam")
    bases = {"minus the paper's gaps": "2 to 6 dB", "minus scratch": "scratch"}
    rows = []
    for start in starts:
        if of := selection.arms(found, start):
            row = {"pretrained on": pairs_in_words(start)} | _agreement(of)
            for title, base in bases.items():
                change = selection.differences(of, selection.arms(found, base), f"pcc_{DECIDES}")
                row |= metrics.confidence_t(change).columns(title) if start != base and len(change) > 1 else {}
            rows.append(row)
    table = pd.DataFrame(rows)
    return pd.DataFrame() if table.empty or set(table["pretrained on"]) <= set(PAIRS.values()) else table


def _agreement(of: list[Record]) -> dict[str, Any]:
    """Columns with PCC on P.835 and on real voices, mean over seeds with interval."""
    out: dict[str, Any] = {}
    for test in ("fullband", "calls_real"):
        out |= metrics.confidence_t([r.metrics[f"pcc_{test}"] for r in of], (-1, 1)).columns(f"PCC, {TESTS[test]}")
    return out | {"seeds": len(of)}


HEADS = {
    "scratch": "our encoder, untrained",
    "2 to 6 dB": "our encoder, pretrained on gaps of 2 to 6 dB",
    "cdpam untrained": "CDPAM's encoder, untrained",
    "cdpam": "CDPAM's encoder, trained on listeners' judgements",
}


def heads_table(found: pd.DataFrame) -> pd.DataFrame:
    """PCC of the head alone on frozen encoders: one row per encoder, mean over seeds with interval."""
    rows = []
    for start, name in HEADS.items():
        if of := selection.heads(found, start):
            rows.append({"frozen encoder": name, "parameters": of[0].metrics["parameters"]} | _agreement(of))
    return pd.DataFrame(rows)


CURVES = {"hours": "hours of pairs", "calls": "labelled calls"}


def curves_table(found: pd.DataFrame) -> pd.DataFrame:
    """Learning curves: PCC by hours of pairs that were pretrained on, 0 of them from scratch, and by calls that were tuned on. One row per
    curve, start and amount, mean over seeds with interval, and the gain of pretraining paired over seeds; only seeds that all points of a
    curve have."""
    whole = {start: selection.arms(found, start) for start in ("scratch", "2 to 6 dB")}
    more = [selection.arms(found, "2 to 6 dB", epochs) for epochs in PRETRAINING_EPOCHS]
    hours = {("2 to 6 dB", float(of[0].metrics.get("pretraining_hours", 0.0))): of for of in (*whole.values(), *more) if of}
    calls = {
        (start, float(p[0].metrics["train_sounds"])): p
        for start, of in whole.items()
        for p in (*(selection.arms(found, start, labelled=n) for n in LABELLED), of)
        if p
    }
    rows = []
    for curve, points in (("hours", hours), ("calls", calls)):
        if len(points) <= len(whole) or (curve == "hours" and ("2 to 6 dB", 0.0) not in points):
            continue  # the usual arms alone, or no network without pretraining to start from
        common = selection.of_common_seeds(points)
        for (start, amount), kept in sorted(common.items(), key=lambda point: (list(whole).index(point[0][0]), point[0][1])):
            if kept:
                row = {"curve": CURVES[curve], "start": STARTS[start], "amount": amount} | _agreement(kept)
                if (base := common.get(("scratch", amount))) and start != "scratch" and len(kept) > 1:
                    row |= metrics.confidence_t(selection.differences(kept, base, "pcc_fullband")).columns("gain over scratch")
                rows.append(row)
    return pd.DataFrame(rows)


PAIRS = {"scratch": "nothing", "2 to 6 dB": "gaps of 2 to 6 dB, the paper's", "with head": "gaps of 2 to 6 dB, with projection head"}


def pairs_in_words(start: str) -> str:
    """What an encoder was pretrained on."""
    return PAIRS.get("scratch" if start == "untrained" else start, f"gaps of {start}" if start.endswith("dB") else start)


def embeddings(found: pd.DataFrame) -> dict[str, list[Record]]:
    """Records of encoders before and after pretraining, by what they were pretrained on."""
    of: dict[str, list[Record]] = {}
    for start in ("untrained", *LAWS, "with head"):
        for r in frame.records(found, "embedding"):
            if r.trial["start"] == start and r.trial["encoder"] == canonical(ENCODER):
                of.setdefault(pairs_in_words(start), []).append(r)
    return of


def embedding_curve(found: pd.DataFrame) -> pd.DataFrame:
    """Distance of two embeddings, and difference in PESQ of the two mixtures, by the gap between their SNRs, in percent of what they are at the
    widest gap. One row per start and gap, mean over pairs, SNRs and seeds, with the interval over seeds."""
    rows = []
    for name, of in embeddings(found).items():
        shares = [_share_by_gap(r.items()) for r in of]
        for gap in shares[0].index:
            row: dict[str, Any] = {"pretrained on": name, "gap, dB": float(gap)}
            row |= metrics.confidence_t([s["distance"][gap] for s in shares]).columns("distance, %")
            rows.append(row | {"MOS difference, %": shares[0]["mos_difference"][gap], "seeds": len(of)})
    return pd.DataFrame(rows)


def _share_by_gap(items: pd.DataFrame) -> pd.DataFrame:
    means = items.groupby("gap_db")[["distance", "mos_difference"]].mean()
    return 100 * means / means.iloc[-1]


def embedding_table(found: pd.DataFrame) -> pd.DataFrame:
    """The embedding by what was pretrained on: alignment of pairs, uniformity, distance at the paper's widest gap, and how distances follow the
    difference in PESQ at one SNR and gap. One row per start, mean over seeds with interval."""
    rows = []
    for name, of in embeddings(found).items():
        row: dict[str, Any] = {"pretrained on": name}
        items = [r.items() for r in of]
        shares = [_share_by_gap(each)["distance"][WIDEST_ALIKE_DB] for each in items]
        row |= metrics.confidence_t(shares).columns("distance at 6 dB, % of 20 dB")
        for key, title in {"alignment": "alignment (0 best)", "uniformity": "uniformity (low best)"}.items():
            row |= metrics.confidence_t([r.metrics[key] for r in of]).columns(title)
        followed = [follows_pesq(each) for each in items]
        for where, title in FOLLOWS.items():
            row |= metrics.confidence_t([f[where] for f in followed], (-1.0, 1.0)).columns(title)
        rows.append(row | {"seeds": len(of)})
    return pd.DataFrame(rows)


FOLLOWS = {"inside": "SRCC with MOS difference, to 6 dB", "beyond": "SRCC with MOS difference, beyond 6 dB"}


def follows_pesq(items: pd.DataFrame) -> dict[str, float]:
    """Spearman's correlation of distance and difference in MOS over pairs at one SNR and one gap, mean over SNRs and gaps, for gaps that count
    as alike and for wider ones. Pooled over gaps it would measure the gap, with which both grow."""
    gaps = items[items["gap_db"] > 0]
    parts = {"inside": gaps[gaps["gap_db"] <= WIDEST_ALIKE_DB], "beyond": gaps[gaps["gap_db"] > WIDEST_ALIKE_DB]}
    return {
        where: float(
            np.mean(
                [metrics.srcc(of["distance"].to_numpy(), of["mos_difference"].to_numpy()) for _, of in part.groupby(["snr_db", "gap_db"])]
            )
        )
        for where, part in parts.items()
    }


def embedding_by_noise(found: pd.DataFrame) -> pd.DataFrame:
    """Are small gaps closer in the embedding than in PESQ? For each recorded noise, before and after the paper's pretraining: distance at a gap
    of 6 dB in percent of that at 20 dB, the same of the difference in PESQ, and the ratio of the two, which is 1 for a distance in
    proportion to PESQ; mean over seeds."""
    of = embeddings(found)
    rows: list[dict[str, Any]] = []
    for title, name in (("untrained", PAIRS["scratch"]), ("pretrained", PAIRS["2 to 6 dB"])):
        items = [r.items() for r in of.get(name, [])]
        for noise, pairs in items[0].groupby("noise")["pair"].nunique().items() if items else ():
            shares = [_share_by_gap(each[each["noise"] == noise]).loc[WIDEST_ALIKE_DB] for each in items]
            mos, distance = (float(np.mean([s[column] for s in shares])) for column in ("mos_difference", "distance"))
            about = {"noise": Path(str(noise)).stem, "pairs": pairs, "encoder": title}
            rows.append(about | {"PESQ, %": mos, "distance, %": distance, "distance / PESQ": distance / mos})
    return pd.DataFrame(rows).sort_values(["noise", "encoder"], ascending=[True, False], ignore_index=True) if rows else pd.DataFrame()


def plans_table() -> pd.DataFrame:
    """Regular channel configurations of 16 layers and their parameters: which of them have 26 million?"""
    names = {"plan": "channels by layer", "parameters_with_bias_and_batchnorm": "parameters", "against_26M_percent": "against 26 M, %"}
    return published.read(SLUG, "encoder_plans")[list(names)].rename(columns=names)
