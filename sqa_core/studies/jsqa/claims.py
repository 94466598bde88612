"""Claims C1 to C16 of paper 001, each by its formal test."""

import re

import numpy as np
import pandas as pd
import torch

from ... import metrics
from ...losses import nt_xent
from ...metrics import Interval
from ...models.jsqa import Encoder
from ...results import published
from ...results.claims import Finding, Test, Verdict, against, all_of, decisive, not_tested
from . import selection, tables
from .plan import PRETRAINING, SLUG

TEST = tables.DECIDES  # P.835's listeners, full band: the test that decides; others stand in the tables
MIN_SEEDS = 5
WITHOUT, HEAD, SCRATCH = "2 to 6 dB", "with head", "scratch"
SAME = 0.05  # of PCC: a smaller gap counts as none; ours, since the paper gives no bound
WAV2VEC_PARAMETERS, WAV2VEC_LARGE_PARAMETERS = 95_044_608, 317_000_000  # wav2vec 2.0 base, fairseq's released model; large, rounded
WAV2VEC_BASE_HOURS = 960  # of LibriSpeech
WITHIN = 2.0  # points around the stated share
LAWS_BY_WIDTH = ("0 to 3 dB", "2 to 6 dB", "0 to 6 dB", "0 to 12 dB")
ARMS = "trained arms of the published run, at least five seeds"


def findings(run: tables.Run) -> list[Finding]:
    """Verdicts in the order of the claims."""
    found = run.found
    return [
        _change(found, "C1", "rmse", lower=True),
        _change(found, "C2", "mae", lower=True),
        _change(found, "C3", "pcc"),
        _change(found, "C4", "srcc"),
        _without_head(found),
        _every_epoch(found),
        _loss_and_error(found),
        _head_gains_nothing(found),
        _parameters(),
        _share_of_wav2vec(),
        _inside(run),
        _threshold(run),
        wider_gaps(run),
        _one_positive(),
        _share_of_data(),
        _other_distortions(found),
    ]


def _finding(claim: str, evidence: str, *tests: Test) -> Finding:
    interval, criterion = decisive(tests)
    return Finding(claim, all_of([v for v, *_ in tests]), evidence, "our run", interval, "real", "other", criterion=criterion)


def _enough(found: pd.DataFrame, *starts: str) -> bool:
    """Whether so many seeds have been trained from each of two starts."""
    return len(selection.pairs_by_seed(found, *starts)) >= MIN_SEEDS


def _stated(measure: str) -> float:
    """The change against scratch that the paper prints, as a share."""
    printed = published.read(SLUG, "table1").set_index(["condition", "metric"])["value"]
    return float(printed["gain over scratch", f"{measure.upper()} change"].split()[0]) / 100


def _change(found: pd.DataFrame, claim: str, measure: str, lower: bool = False) -> Finding:
    """C1 to C4: the difference of a measure from scratch, paired over seeds, and as a share of it where scratch is clearly above 0."""
    if not _enough(found, WITHOUT, SCRATCH):
        return not_tested(claim, ARMS)
    pairs = selection.pairs_by_seed(found, WITHOUT, SCRATCH)
    values = np.array([[r.metrics[f"{measure}_{TEST}"] for r in pair] for pair in pairs], float)
    if np.isnan(values).any():
        undefined = int(np.isnan(values).any(axis=1).sum())
        evidence = f"{measure.upper()} is undefined for {undefined} of {len(pairs)} seeds, since a network gives one score to every file"
        return Finding(claim, "inconclusive", evidence, "our run", data_status="real", model_status="other")
    change, share = selection.change(pairs, f"{measure}_{TEST}")
    evidence = f"{measure.upper()} changes by {change.text('+.3f')} on P.835's listeners, interval over {len(pairs)} seeds"
    if share:
        stated = _stated(measure)
        agrees = "contains" if share.low <= stated <= share.high else "does not contain"
        evidence += f"; relative to the mean from scratch, {share.text('+.1%')}; this interval {agrees} the paper's {stated:+.0%}"
    bounds = {"high": 0.0} if lower else {"low": 0.0}
    return _finding(claim, evidence, against(change, f"change of {measure.upper()} against scratch", **bounds))


def _without_head(found: pd.DataFrame) -> Finding:
    """C5: PCC without a projection head minus PCC with one."""
    if not _enough(found, WITHOUT, HEAD):
        return not_tested("C5", ARMS)
    gap = metrics.confidence_t(selection.paired(found, WITHOUT, HEAD, f"pcc_{TEST}"))
    return _finding("C5", f"PCC without a head minus PCC with one: {gap.text('+.3f')}", against(gap, "PCC, without − with head", low=0.0))


def _every_epoch(found: pd.DataFrame) -> Finding:
    """C6: the validation PCC without a head is ahead in every epoch of every seed."""
    if not _enough(found, WITHOUT, HEAD):
        return not_tested("C6", ARMS)
    ahead = [
        a > b
        for first, second in selection.pairs_by_seed(found, WITHOUT, HEAD)
        for a, b in zip(first.metrics["validation_pcc"], second.metrics["validation_pcc"], strict=True)
    ]
    verdict: Verdict = "holds" if all(ahead) else "fails"
    evidence = f"without a head ahead in {sum(ahead)} of {len(ahead)} epochs, all seeds together"
    return Finding("C6", verdict, evidence, "our run", data_status="real", model_status="other")


def _loss_and_error(found: pd.DataFrame) -> Finding:
    """C7: with a head, the contrastive loss is lower and the error of MOS higher."""
    if not _enough(found, WITHOUT, HEAD):
        return not_tested("C7", ARMS)
    name = "contrastive_validation_loss"
    both = selection.pairs_by_seed(found, WITHOUT, HEAD)
    losses = [b.metrics[name][-1] - a.metrics[name][-1] for a, b in both]
    # Records of older code, which have no number of pairs, were validated on a single batch.
    pairs = min(r.metrics.get("contrastive_validation_pairs", PRETRAINING.pairs) for pair in both for r in pair)
    loss, error = metrics.confidence_t(losses), metrics.confidence_t(selection.paired(found, HEAD, WITHOUT, f"rmse_{TEST}"))
    evidence = (
        f"with a head the contrastive loss of {pairs} validation pairs changes by {loss.text('+.2f')} and RMSE by {error.text('+.3f')}"
    )
    tests = against(loss, "contrastive loss, with − without head", high=0.0), against(error, "RMSE, with − without head", low=0.0)
    return _finding("C7", evidence, *tests)


def _head_gains_nothing(found: pd.DataFrame) -> Finding:
    """C8: PCC with a head minus PCC from scratch is nothing."""
    if not _enough(found, HEAD, SCRATCH):
        return not_tested("C8", ARMS)
    gap = metrics.confidence_t(selection.paired(found, HEAD, SCRATCH, f"pcc_{TEST}"))
    holds = "contains" if gap.low <= 0 <= gap.high else "does not contain"
    evidence = (
        f"PCC with a head minus PCC from scratch: {gap.text('+.3f')}, which {holds} 0; less than {SAME:g}, a bound of ours, counts as none"
    )
    return _finding("C8", evidence, against(gap, "PCC, with head − scratch", -SAME, SAME))


def _parameters() -> Finding:
    """C9: within 2 % of 26 million."""
    count = sum(p.numel() for p in Encoder().parameters())
    verdict: Verdict = "holds" if abs(count / 26e6 - 1) < 0.02 else "fails"
    evidence = f"the encoder in CDPAM's configuration, chosen because its size is close to 26 million, has {count:,} parameters"
    return Finding("C9", verdict, evidence, "our run", model_status="paper")


def _share_of_wav2vec() -> Finding:
    """C10: only the ratio can be checked."""
    count = sum(p.numel() for p in Encoder().parameters())
    ratio, large = count / WAV2VEC_PARAMETERS, count / WAV2VEC_LARGE_PARAMETERS
    stated = _setup("share of wav2vec 2.0 parameters")
    evidence = f"the ratio of parameters is {ratio:.1%} for the base model and {large:.1%} for the large one; the paper says {stated} %"
    return not_tested("C10", "wav2vec 2.0's weights", f"{evidence}. PCC cannot be compared here")


def _setup(item: str) -> str:
    return str(published.read(SLUG, "setup").set_index("item").loc[item, "value"])


def _listeners(run: tables.Run) -> pd.Series | None:
    """The row of `Run.inside` on listeners' judgements."""
    table = run.inside
    rows = table[table["answers"] == tables.LISTENERS] if len(table) else table
    return rows.iloc[0] if len(rows) else None


def _inside(run: tables.Run) -> Finding:
    """C11: the share of pairs that an SVM calls the same, within 2 points of the paper's, by listeners' answers and by the stated function."""
    row = _listeners(run)
    if row is None:
        return not_tested("C11", "listeners' judgements of pairs")
    listeners, stated = Interval.of(row, "2 to 6 dB"), tables.stated_share()
    evidence = f"by judgements of noises at the levels that were judged, {listeners.text('.1f')} % of pairs with gaps of 2 to 6 dB are called the same"
    rows = run.inside.set_index("answers")
    if (name := "stated function, midpoint 3 dB") in rows.index:
        evidence += f"; by a function with its midpoint at 3 dB, {rows.loc[name, '2 to 6 dB']:.0f} %"
    test = against(listeners, "pairs called the same, %", stated - WITHIN, stated + WITHIN)
    return _finding("C11", f"{evidence}; interval over talkers", test)


def _threshold(run: tables.Run) -> Finding:
    """C12: the gap that an SVM calls different is 2 to 4 dB, by listeners' answers."""
    row = _listeners(run)
    if row is None:
        return not_tested("C12", "listeners' judgements of pairs")
    gap = Interval.of(row, "threshold, dB")
    without = row["levels without one"]
    every = "every level has such a gap" if without.startswith("0 ") else f"no gap is called different at {without} levels"
    evidence = f"an SVM on judgements of noises calls gaps different from {gap.text('.1f')} dB on, mean over levels; {every}"
    direct = run.thresholds
    if len(direct):
        each = ", ".join(f"{r['kind']} {r['threshold, dB']:.1f}" for _, r in direct.iterrows())
        evidence += f'; half of the answers are "different" from these gaps on: {each}'
    return _finding("C12", f"{evidence}; interval over talkers", against(gap, "least gap called different, dB", 2.0, 4.0))


def wider_gaps(run: tables.Run) -> Finding:
    """C13: the more pairs lie outside, the higher the error: Spearman's correlation over four laws, within each seed."""
    row = _listeners(run)
    of = {law: {r.trial["seed"]: r for r in selection.arms(run.found, law)} for law in LAWS_BY_WIDTH}
    seeds = sorted(set.intersection(*(set(records) for records in of.values())))
    if row is None or len(seeds) < 3:
        return not_tested("C13", "arms with narrower and wider gaps, at least three seeds")
    inside = [float(row[law]) for law in LAWS_BY_WIDTH]
    each = [metrics.srcc(np.array(inside), np.array([of[law][seed].metrics[f"rmse_{TEST}"] for law in LAWS_BY_WIDTH])) for seed in seeds]
    rho = metrics.confidence_t(each, (-1, 1))
    evidence = f"Spearman's correlation of RMSE with the share of pairs inside, over four laws: {rho.text('+.2f')}, interval over {len(seeds)} seeds"
    return _finding("C13", evidence, against(rho, "correlation of RMSE with the share inside", high=0.0))


def _one_positive() -> Finding:
    """C14: the loss of 8 pairs is that of 16 rows with 1 positive and 14 negatives each, counted out."""
    torch.manual_seed(0)
    a, b = torch.nn.functional.normalize(torch.randn(8, 4), dim=1), torch.nn.functional.normalize(torch.randn(8, 4), dim=1)
    rows, expected = torch.cat([a, b]), 0.0
    for i in range(16):
        partner = (i + 8) % 16
        negatives = [j for j in range(16) if j not in (i, partner)]
        pull, push = rows[i] @ rows[partner], rows[negatives] @ rows[i]
        expected -= float(pull - torch.logsumexp(torch.cat([pull[None], push]), dim=0)) / 16
    found = float(nt_xent(a, b, 1.0))
    verdict: Verdict = "holds" if abs(found - expected) < 1e-5 else "fails"
    evidence = f"the loss of 8 pairs, {found:.4f}, is that of 16 rows with 1 positive and {len(negatives)} negatives each, {expected:.4f}"
    return Finding("C14", verdict, evidence, "our run")


def _share_of_data() -> Finding:
    """C15: hours of the pretraining data at 16 kHz and 16 bit, and their share of those of a large model."""
    gigabytes, hours_of_others = float(_setup("pretraining data")), float(re.sub(r"k.*", "e3", _setup("wav2vec 2.0 data compared with")))
    hours = gigabytes * 1e9 / (16_000 * 2) / 3600
    share, stated = hours / hours_of_others, _setup("share of a large model's data")
    verdict: Verdict = "holds" if f"{100 * share:.1f}" == stated else "fails"
    evidence = (
        f"{gigabytes:g} GB are {hours:.0f} hours, {share:.2%} of {hours_of_others:,.0f}; the paper says {stated} %. Those are the hours of the "
        f"large model; the share of the base model's {WAV2VEC_BASE_HOURS} is {hours / WAV2VEC_BASE_HOURS:.0%}"
    )
    return Finding("C15", verdict, evidence, "the paper's printed numbers")


def _other_distortions(found: pd.DataFrame) -> Finding:
    """C16: the gain in PCC on real voices with other impairments than noise, and its difference from the gain on noise; paired over seeds."""
    if not _enough(found, WITHOUT, SCRATCH):
        return not_tested("C16", ARMS)
    gains: dict[str, list[float]] = {"noise": [], "others": []}
    for pair in selection.pairs_by_seed(found, WITHOUT, SCRATCH):
        tested = [items[items["test"] == "calls_real"] for items in (r.items() for r in pair)]
        kinds = tested[0]["kinds"]
        chosen = {"noise": (kinds == "noise").to_numpy(), "others": ~kinds.str.contains("noise|competing|clean").to_numpy()}
        for name, mask in chosen.items():
            first, second = (metrics.pcc(t["predicted"].to_numpy(float)[mask], t["mos"].to_numpy(float)[mask]) for t in tested)
            gains[name].append(first - second)
    others = metrics.confidence_t(gains["others"])
    interaction = metrics.confidence_t(np.array(gains["others"]) - np.array(gains["noise"]))
    evidence = f"gain in PCC with PESQ on other impairments {others.text('+.3f')}; minus the gain on noise, {interaction.text('+.3f')}; intervals over seeds"
    tests = against(others, "gain in PCC on other impairments", low=0.0), against(interaction, "that gain − the gain on noise", low=-SAME)
    return _finding("C16", evidence, *tests)
