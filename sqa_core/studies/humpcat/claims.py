"""Claims C1 to C13 of paper 002, each by its formal test. A fold is one target and one draw of its speakers."""

import numpy as np
import pandas as pd

from ... import metrics
from ...metrics import Interval
from ...results import published
from ...results.claims import Finding, Test, Verdict, against, all_of, decisive, not_tested
from . import selection, tables
from .plan import SHARE, SLUG

WITHIN = 3.0  # points around a printed accuracy
ENOUGH = 0.9  # of the accuracy at the whole share
MIN_DRAWS = 3
SHARES_MEANT = (0.1, 0.25, 0.33)  # "10 to 33 %"
RUN = "the transfers of the published run, at least three draws of speakers"


def findings(found: pd.DataFrame) -> list[Finding]:
    """Verdicts in the order of the claims."""
    table = selection.transfers(found)
    return [
        _mean(table),
        _best_target(table),
        _near_printed(table, "C3", "emovo"),
        not_tested("C4", "a Chinese corpus of emotional speech; which one the paper took is not known"),
        _beats(table, "C5", ["concatenation"]),
        _beats(table, "C6", ["one stage"]),
        _beats(table, "C7", ["layer 1", "layer 9", "last layer"]),
        _beats(table, "C8", ["without MFCCs", "without prosody"]),
        _source_helps(table),
        _small_share(table),
        _beats(table, "C11", ["softmax", "margin 0"]),
        _speakers_apart(table),
        not_tested("C13", "the baselines' numbers, which are in nothing that is known of the paper"),
    ]


def _finding(claim: str, evidence: str, tests: list[Test]) -> Finding:
    interval, criterion = decisive(tests)
    return Finding(claim, all_of([v for v, *_ in tests]), evidence, "our run", interval, "real", "other", criterion=criterion)


def _complete(cell: pd.DataFrame) -> bool:
    """Whether every target has enough draws."""
    return len(cell) > 0 and bool((cell.groupby("target").size() >= MIN_DRAWS).all())


def _printed(dataset: str) -> float:
    return float(published.read(SLUG, "results").set_index("dataset")["value"][dataset])


def _mean(table: pd.DataFrame) -> Finding:
    """C1: not decided by other targets; their mean stands as evidence."""
    cell = selection.chosen(table)
    evidence = ""
    if _complete(cell):
        each = cell.groupby("target")["accuracy"].mean()
        evidence = f"the mean over {len(each)} targets here is {each.mean():.1f} %, in four languages and with other networks"
    return not_tested("C1", "the paper's seven targets, of which two are named", evidence)


def _best_target(table: pd.DataFrame) -> Finding:
    """C2: EmoDB is ahead of every other target, and near the printed value."""
    cell = selection.chosen(table)
    if not _complete(cell) or "emodb" not in set(cell["target"]) or cell["target"].nunique() < 2:
        return not_tested("C2", RUN)
    by_seed = cell.pivot(index="seed", columns="target", values="accuracy").dropna()
    lead = metrics.confidence_t(by_seed["emodb"] - by_seed.drop(columns="emodb").max(axis=1))
    value, printed = metrics.confidence_t(by_seed["emodb"]), _printed("EMODB")
    evidence = f"EmoDB {value.text('.1f')} %, printed {printed:g}; ahead of the best other target by {lead.text('+.1f')} points; intervals over draws of speakers"
    tests = [
        against(lead, "EmoDB − the best other target, points", low=0.0),
        against(value, "accuracy on EmoDB, %", printed - WITHIN, printed + WITHIN),
    ]
    return _finding("C2", evidence, tests)


def _near_printed(table: pd.DataFrame, claim: str, target: str) -> Finding:
    cell = selection.chosen(table)
    values = cell.loc[cell["target"] == target, "accuracy"]
    if len(values) < MIN_DRAWS:
        return not_tested(claim, RUN)
    value, printed = metrics.confidence_t(values), _printed(tables.PRINTED[target])
    name = tables.title(target)
    evidence = f"{name} {value.text('.1f')} %, printed {printed:g}; interval over draws of speakers"
    return _finding(claim, evidence, [against(value, f"accuracy on {name}, %", printed - WITHIN, printed + WITHIN)])


def _beats(table: pd.DataFrame, claim: str, variants: list[str]) -> Finding:
    """The usual network minus each variant, paired over folds: every difference is above 0. With the source where all of these variants have
    been trained on it, else from random weights."""
    start = next((s for s in ("source", "random") if all(_complete(selection.chosen(table, v, s)) for v in variants)), None)
    if start is None:
        return not_tested(claim, f"{' and '.join(variants)}, at least three draws of speakers for each target")
    usual, tests, parts = selection.chosen(table, start=start), [], []
    for variant in variants:
        change = selection.difference(usual, selection.chosen(table, variant, start))
        gap = selection.over_folds(change)
        assert gap is not None
        tests.append(against(gap, f"accuracy, usual − {variant}, points", low=0.0))
        parts.append(f"usual minus {variant}: {gap.text('+.1f')} points")
    begun = "with the source" if start == "source" else "from random weights"
    return _finding(claim, f"{'; '.join(parts)}; {begun}, intervals over {len(change)} folds", tests)


def _source_helps(table: pd.DataFrame) -> Finding:
    """C9: the source minus a random start, at each share between 10 and 33 %."""
    tests, parts = [], []
    for share in SHARES_MEANT:
        source, other = selection.chosen(table, share=share), selection.chosen(table, start="random", share=share)
        if _complete(source) and _complete(other):
            gain = selection.over_folds(selection.difference(source, other))
            assert gain is not None
            tests.append(against(gain, f"source − random start at {100 * share:g} %, points", low=0.0))
            parts.append(f"{100 * share:g} %: {gain.text('+.1f')} points")
    if not tests:
        return not_tested("C9", RUN)
    return _finding("C9", f"source minus random start at {'; '.join(parts)}; intervals over folds", tests)


def _small_share(table: pd.DataFrame) -> Finding:
    """C10: accuracy at 25 % as a share of that at 100 %, on the same test files."""
    small, whole = selection.chosen(table), selection.chosen(table, share=1.0)
    if not (_complete(small) and _complete(whole)):
        return not_tested("C10", "shares of 25 and 100 %, at least three draws of speakers")
    both = small.merge(whole, on=selection.FOLD, suffixes=("", "_whole"))
    ratio = metrics.confidence_t(both["fixed_accuracy"] / both["fixed_accuracy_whole"])
    evidence = f"accuracy at 25 % over that at 100 %: {ratio.text('.2f')}, interval over {len(both)} folds"
    return _finding("C10", evidence, [against(ratio, "accuracy at 25 % / at 100 %", low=ENOUGH)])


def _speakers_apart(table: pd.DataFrame) -> Finding:
    """C12: what the paper's own folds are is not known; what mixing speakers would give is."""
    mixed = selection.chosen(table, by="file")
    gap = selection.over_folds(selection.difference(mixed, selection.chosen(table))) if len(mixed) else None
    evidence = (
        f"drawing {100 * SHARE:g} % of the files whoever speaks changes accuracy by {gap.text('+.1f')} points, interval over folds"
        if gap
        else ""
    )
    return not_tested("C12", "the paper's lists of files; of targets it says only which share is tuned on", evidence)


def broken(found: pd.DataFrame) -> pd.DataFrame:
    """The conditions under which, by the summary, the method breaks: condition, number, interval, and whether it is met."""
    table = selection.transfers(found)
    cell, rows = selection.chosen(table), []
    if not _complete(cell):
        return pd.DataFrame()

    def row(condition: str, what: str, interval: Interval, low: float = -np.inf, high: float = np.inf) -> None:
        verdict: Verdict
        verdict, *_ = against(interval, what, low, high)
        words = {"holds": "yes", "fails": "no"}.get(verdict, "not decided")
        rows.append({"condition": condition, "number": what} | interval.columns("value") | {"met": words})

    even = [r.metrics["entropies"] for r in cell["record"]]
    for direction in even[0]:
        row(
            "attention is uniform",
            f"entropy of {direction}, share of the largest",
            metrics.confidence_t([e[direction][-1] for e in even]),
            low=0.99,
        )
    zero = selection.chosen(table, share=0.0)
    if len(zero):
        files = [100 * float((r.items()["emotion"] == "neutral").mean()) for r in zero["record"]]
        extra = metrics.confidence_t(zero["neutral_of_wrong"].to_numpy(float) - np.array(files))
        row("bias towards neutral before tuning", "neutral among wrong answers − among files, points", extra, low=0.0)
    for target in tables.in_order(cell["target"]):
        change = selection.difference(cell, selection.chosen(table, start="random"))
        gain = selection.over_folds(change[change["target"] == target])
        if gain:
            row("negative transfer", f"{tables.title(target)}: source − random start, points", gain, high=0.0)
    return pd.DataFrame(rows)
