"""Claims C1 to C16 of paper 001, each by its formal test."""

import numpy as np
import pandas as pd
import torch
from scipy import stats

from ... import metrics
from ...metrics import Interval
from ...models.jsqa import Encoder
from ...results.claims import Finding, Verdict, against, all_of, decisive
from . import tables

TEST = "fullband"  # P.835's listeners, full band: the test that decides; others stand in the tables
MIN_SEEDS = 5
WITHOUT, HEAD, SCRATCH = "2 to 6 dB", "with head", "scratch"
STATED = {"rmse": -0.18, "mae": -0.19, "pcc": 0.15, "srcc": 0.17}  # changes against scratch
WAV2VEC_PARAMETERS = 95_044_608  # wav2vec 2.0 base, fairseq's released model
LAWS_BY_WIDTH = ("0 to 3 dB", "2 to 6 dB", "0 to 6 dB", "0 to 12 dB")
ARMS = "trained arms of the published run, at least five seeds"


def findings(found: pd.DataFrame) -> list[Finding]:
    """Verdicts in the order of the claims."""
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
        _inside(found),
        _threshold(found),
        _wider_gaps(found),
        _one_positive(),
        _share_of_data(),
        _other_distortions(found),
    ]


def _needs(claim: str, needs: str = ARMS, evidence: str = "") -> Finding:
    return Finding(claim, "not tested", evidence, "nothing yet", needs=needs)


def _finding(claim: str, evidence: str, *tests, also: tuple[Verdict, ...] = (), status: str = "real") -> Finding:
    interval, criterion = decisive(tests)
    verdict = all_of([*(v for v, *_ in tests), *also])
    return Finding(claim, verdict, evidence, "our run", interval, status, "other", criterion=criterion)


def _enough(found: pd.DataFrame, *starts: str) -> bool:
    return all(len(tables.arms(found, start)) >= MIN_SEEDS for start in starts)


def _change(found: pd.DataFrame, claim: str, measure: str, lower: bool = False) -> Finding:
    """C1 to C4: change of a measure against scratch, as a share, paired over seeds."""
    if not _enough(found, WITHOUT, SCRATCH):
        return _needs(claim)
    change = metrics.confidence_t(tables.paired(found, WITHOUT, SCRATCH, f"{measure}_{TEST}", relative=True))
    stated = STATED[measure]
    agrees = "holds" if change.low <= stated <= change.high else "does not hold"
    evidence = f"{measure.upper()} changes by {change.text('+.1%')} on P.835; the interval over seeds {agrees} the paper's {stated:+.0%}"
    bounds = {"high": 0.0} if lower else {"low": 0.0}
    return _finding(claim, evidence, against(change, f"change of {measure.upper()} against scratch", **bounds))


def _without_head(found: pd.DataFrame) -> Finding:
    """C5: PCC without a projection head minus PCC with one."""
    if not _enough(found, WITHOUT, HEAD):
        return _needs("C5")
    gap = metrics.confidence_t(tables.paired(found, WITHOUT, HEAD, f"pcc_{TEST}"))
    return _finding("C5", f"PCC without a head minus PCC with one: {gap.text('+.3f')}", against(gap, "PCC, without − with head", low=0.0))


def _every_epoch(found: pd.DataFrame) -> Finding:
    """C6: share of epochs in which the validation PCC without a head is ahead, mean over seeds."""
    if not _enough(found, WITHOUT, HEAD):
        return _needs("C6")
    pairs = zip(tables.arms(found, WITHOUT), tables.arms(found, HEAD), strict=False)
    shares = [np.mean(np.array(a.metrics["validation_pcc"]) > np.array(b.metrics["validation_pcc"])) for a, b in pairs]
    share = metrics.confidence_t(shares)
    return _finding(
        "C6", f"without a head ahead in {share.text('.0%')} of the epochs", against(share, "share of epochs ahead", low=1 - 1e-9)
    )


def _loss_and_error(found: pd.DataFrame) -> Finding:
    """C7: with a head, the contrastive loss is lower and the error of MOS higher."""
    if not _enough(found, WITHOUT, HEAD):
        return _needs("C7")
    losses = [
        b.metrics["contrastive_validation_loss"][-1] - a.metrics["contrastive_validation_loss"][-1]
        for a, b in zip(tables.arms(found, WITHOUT), tables.arms(found, HEAD), strict=False)
    ]
    loss, error = metrics.confidence_t(losses), metrics.confidence_t(tables.paired(found, HEAD, WITHOUT, f"rmse_{TEST}"))
    evidence = f"with a head the contrastive loss changes by {loss.text('+.2f')} and RMSE by {error.text('+.3f')}"
    tests = against(loss, "contrastive loss, with − without head", high=0.0), against(error, "RMSE, with − without head", low=0.0)
    return _finding("C7", evidence, *tests)


def _head_gains_nothing(found: pd.DataFrame) -> Finding:
    """C8: PCC with a head minus PCC from scratch; a gap of less than 0.05 counts as none."""
    if not _enough(found, HEAD, SCRATCH):
        return _needs("C8")
    gap = metrics.confidence_t(tables.paired(found, HEAD, SCRATCH, f"pcc_{TEST}"))
    return _finding("C8", f"PCC with a head minus PCC from scratch: {gap.text('+.3f')}", against(gap, "PCC, head − scratch", -0.05, 0.05))


def _parameters() -> Finding:
    """C9: within 2 % of 26 million."""
    count = sum(p.numel() for p in Encoder().parameters())
    verdict: Verdict = "holds" if abs(count / 26e6 - 1) < 0.02 else "fails"
    return Finding("C9", verdict, f"the encoder in CDPAM's plan has {count:,} parameters", "our run", model_status="paper")


def _share_of_wav2vec() -> Finding:
    """C10: only the ratio can be checked."""
    ratio = sum(p.numel() for p in Encoder().parameters()) / WAV2VEC_PARAMETERS
    return _needs(
        "C10", "wav2vec 2.0's weights", f"the ratio of parameters is {ratio:.1%}, as printed; the match in PCC cannot be tested here"
    )


def _inside(found: pd.DataFrame) -> Finding:
    """C11: the share of pairs that a machine calls the same, within 2 points of 96.73 %, by listeners' answers and by the stated function."""
    table = tables.inside_table(found)
    if table.empty or not (table["answers"] == "listeners, noises").any():
        return _needs("C11", "listeners' judgements of pairs")
    rows = table.set_index("answers")
    columns = ["2 to 6 dB", "2 to 6 dB, low", "2 to 6 dB, high"]
    listeners = Interval(*rows.loc["listeners, noises", columns].astype(float))
    evidence = f"by listeners' judgements of noises, {listeners.text('.1f')} % of pairs with gaps of 2 to 6 dB are called the same"
    if (name := "stated function, midpoint 3 dB") in rows.index:
        evidence += f"; by a function with its midpoint at 3 dB, {rows.loc[name, '2 to 6 dB']:.0f} %"
    return _finding("C11", f"{evidence}; interval over talkers", against(listeners, "pairs called the same, %", 94.73, 98.73))


def _threshold(found: pd.DataFrame) -> Finding:
    """C12: the gap that a machine calls different is 2 to 4 dB, by listeners' answers."""
    table = tables.thresholds_table(found)
    if table.empty:
        return _needs("C12", "listeners' judgements of pairs")
    mean = metrics.confidence_t(table["threshold, dB"])
    each = ", ".join(f"{r.kind} {r[2]:.1f}" for r in table.itertuples())
    evidence = (
        f"half of the listeners hear a difference from {mean.text('.1f')} dB on, mean over kinds of noise ({each}); interval over kinds"
    )
    return _finding("C12", evidence, against(mean, "gap that half of the listeners hear, dB", 2.0, 4.0))


def _wider_gaps(found: pd.DataFrame) -> Finding:
    """C13: the more pairs lie outside, the higher the error: Spearman's correlation over arms with different laws."""
    of = {law: tables.arms(found, law) for law in LAWS_BY_WIDTH}
    inside = tables.inside_table(found)
    if not all(len(records) >= 3 for records in of.values()) or inside.empty:
        return _needs("C13", "arms with narrower and wider gaps, at least three seeds")
    listeners = inside.set_index("answers").loc["listeners, noises"]
    x = [listeners[law] for law, records in of.items() for _ in records]
    y = [r.metrics[f"rmse_{TEST}"] for records in of.values() for r in records]
    rho, p = stats.spearmanr(x, y)
    half = 1.96 / np.sqrt(len(x) - 3)
    interval = Interval(float(rho), *(float(np.tanh(np.arctanh(rho) + side * half)) for side in (-1, 1)))
    evidence = f"Spearman's correlation of RMSE with the share of pairs inside, {len(x)} arms: {interval.text('+.2f')}, p = {p:.2g}"
    return _finding("C13", evidence, against(interval, "correlation of RMSE with the share inside", high=0.0))


def _one_positive() -> Finding:
    """C14: by the gradient of the loss with respect to the similarities of 16 rows."""
    torch.manual_seed(0)
    similarity = torch.randn(16, 16, requires_grad=True)
    masked = similarity.masked_fill(torch.eye(16, dtype=torch.bool), -torch.inf)
    torch.nn.functional.cross_entropy(masked, torch.arange(16).roll(8)).backward()
    assert similarity.grad is not None
    pulled, pushed = (similarity.grad < 0).sum(dim=1), (similarity.grad > 0).sum(dim=1)
    verdict: Verdict = "holds" if (pulled == 1).all() and (pushed == 14).all() else "fails"
    return Finding("C14", verdict, "of 8 pairs, each of 16 rows has 1 positive and 14 negatives", "our run")


def _share_of_data() -> Finding:
    """C15: hours of 33 GB at 16 kHz and 16 bit, and their share of 60,000 hours."""
    hours = 33e9 / (16_000 * 2) / 3600
    share = hours / 60_000
    verdict: Verdict = "holds" if round(100 * share, 1) == 0.5 else "fails"
    return Finding("C15", verdict, f"33 GB are {hours:.0f} hours, {share:.2%} of 60,000", "the paper's printed numbers")


def _other_distortions(found: pd.DataFrame) -> Finding:
    """C16: the gain in PCC on calls with other impairments than noise, and its difference from the gain on noise; paired over seeds."""
    if not _enough(found, WITHOUT, SCRATCH):
        return _needs("C16")
    gains: dict[str, list[float]] = {"noise": [], "others": []}
    for a, b in zip(tables.arms(found, WITHOUT), tables.arms(found, SCRATCH), strict=False):
        tested = [r.items().query("test == 'calls'") for r in (a, b)]
        noisy = tested[0]["kinds"].isin(["noise", "competing"]).to_numpy()
        other = ~tested[0]["kinds"].str.contains("noise|competing|clean").to_numpy()
        for name, chosen in (("noise", noisy), ("others", other)):
            first, second = (metrics.pcc(t["predicted"].to_numpy(float)[chosen], t["mos"].to_numpy(float)[chosen]) for t in tested)
            gains[name].append(first - second)
    others = metrics.confidence_t(gains["others"])
    interaction = metrics.confidence_t(np.array(gains["others"]) - np.array(gains["noise"]))
    evidence = f"gain in PCC on other impairments {others.text('+.3f')}, that on noise minus it {(-np.array(interaction)[0]):+.3f}"
    return _finding("C16", evidence, against(others, "gain in PCC on impairments other than noise", low=0.0))
