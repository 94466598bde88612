"""Claims C1 to C13 of paper 002, each by its formal test. A fold is one target and one draw of its speakers."""

from dataclasses import replace

import pandas as pd

from ... import metrics
from ...metrics import Interval
from ...results.claims import Finding, Test, Verdict, against, all_of, decisive, judge, not_tested
from . import selection, tables, tables_controls
from .plan import SHARE
from .trials import Start

WITHIN = 3.0  # points around a printed accuracy
ENOUGH = 0.9  # of the accuracy at the whole share
MIN_DRAWS = 3
EVEN = 0.99  # of the largest entropy: ours, since the summary says uniform and gives no bound
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
        _source_helps(found),
        _small_share(table),
        _beats(table, "C11", ["softmax", "margin 0"]),
        _speakers_apart(found),
        not_tested("C13", "the baselines' numbers, which the summary does not give"),
    ]


def _finding(table: pd.DataFrame, claim: str, evidence: str, tests: list[Test]) -> Finding:
    """table : the transfers that the tests rest on."""
    interval, criterion = decisive(tests)
    data, models = ({getattr(r, name) for r in table["record"]} for name in ("data_status", "model_status"))
    data_status = next(s for s in ("synthetic", "real", "paper") if s in data)
    model_status = "paper" if models == {"paper"} else "other"
    return Finding(claim, all_of([v for v, *_ in tests]), evidence, "our run", interval, data_status, model_status, criterion=criterion)


def _covers(change: pd.DataFrame) -> str:
    """What an interval over folds covers, and the one that a new target would need."""
    wider = selection.over_targets(change)
    draws = f"intervals over {len(change)} folds of these {change['target'].nunique()} targets"
    return f"{draws}; over the targets' means {wider.text('+.1f')}" if wider else draws


def _complete(cell: pd.DataFrame, table: pd.DataFrame) -> bool:
    """Whether every target that the reference network has been moved to has enough draws in a cell of the table."""
    targets = selection.chosen(table)["target"].unique()
    return len(targets) > 0 and bool((cell.groupby("target").size().reindex(targets, fill_value=0) >= MIN_DRAWS).all())


def _mean(table: pd.DataFrame) -> Finding:
    """C1: not decided by other targets; their mean stands as evidence."""
    cell = selection.chosen(table)
    evidence = ""
    if _complete(cell, table):
        each = cell.groupby("target")["accuracy"].mean()
        evidence = f"the mean over {len(each)} targets here is {each.mean():.1f} %"
    return not_tested("C1", "the paper's seven targets, of which two are named", evidence)


def _best_target(table: pd.DataFrame) -> Finding:
    """C2: EmoDB is ahead of every other target, and near the printed value."""
    cell = selection.chosen(table)
    if not _complete(cell, table) or "emodb" not in set(cell["target"]) or cell["target"].nunique() < 2:
        return not_tested("C2", RUN)
    by_seed = cell.pivot(index="seed", columns="target", values="accuracy").dropna()
    lead = metrics.confidence_t(by_seed["emodb"] - by_seed.drop(columns="emodb").max(axis=1))
    value, printed = metrics.confidence_t(by_seed["emodb"], tables.PERCENT), tables.printed("emodb")
    evidence = f"EmoDB {value.text('.1f')} %, printed {printed:g}; ahead of the best other target by {lead.text('+.1f')} points; intervals over draws of speakers"
    tests = [
        against(lead, "EmoDB − the best other target, points", low=0.0),
        against(value, "accuracy on EmoDB, %", printed - WITHIN, printed + WITHIN),
    ]
    return _finding(cell, "C2", evidence, tests)


def _near_printed(table: pd.DataFrame, claim: str, target: str) -> Finding:
    cell = selection.chosen(table)
    values = cell.loc[cell["target"] == target, "accuracy"]
    if len(values) < MIN_DRAWS:
        return not_tested(claim, RUN)
    value, printed = metrics.confidence_t(values, tables.PERCENT), tables.printed(target)
    name = tables.title(target)
    evidence = f"{name} {value.text('.1f')} %, printed {printed:g}; interval over draws of speakers"
    return _finding(cell, claim, evidence, [against(value, f"accuracy on {name}, %", printed - WITHIN, printed + WITHIN)])


def _beats(table: pd.DataFrame, claim: str, variants: list[str]) -> Finding:
    """The reference network minus each variant, paired over folds: every difference is above 0. With the source where all of these variants have
    been trained on it, else on the target only."""
    start = start_of(table, variants)
    if start is None:
        return not_tested(claim, f"{' and '.join(variants)}, at least three draws of speakers for each target")
    usual, tests, parts = selection.chosen(table, start=start), [], []
    for variant in variants:
        change = selection.difference(usual, selection.chosen(table, variant, start))
        gap = selection.over_folds(change)
        assert gap is not None
        tests.append(against(gap, f"accuracy, reference network − {variant}, points", low=0.0))
        sizes = [of["parameters"].iloc[0] for of in (usual, selection.chosen(table, variant, start))]
        smaller = f" (with {100 * (1 - sizes[1] / sizes[0]):.0f} % fewer parameters)" if sizes[1] < 0.95 * sizes[0] else ""
        wider = selection.over_targets(change)
        parts.append(
            f"reference network minus {variant}{smaller}: {gap.text('+.1f')} points"
            + (f" (over the targets' means {wider.text('+.1f')})" if wider else "")
        )
    folds = f"intervals over folds of these {change['target'].nunique()} targets"
    return _finding(usual, claim, f"{'; '.join(parts)}; {selection.BEGUN[start]}, {folds}", tests)


def start_of(table: pd.DataFrame, variants: list[str]) -> Start | None:
    """From the source if all of these variants have been trained on it, else from random weights; None where neither is complete."""
    starts: tuple[Start, ...] = ("source", "random")
    return next((s for s in starts if all(_complete(selection.chosen(table, v, s), table) for v in variants)), None)


def _source_helps(found: pd.DataFrame) -> Finding:
    """C9: source + target minus target only at the usual share; other shares between 10 and 33 %, and folds that tune on every class, beside."""
    table = selection.transfers(found)
    source, other = selection.chosen(table), selection.chosen(table, start="random")
    if not (_complete(source, table) and _complete(other, table)):
        return not_tested("C9", RUN)
    change = selection.difference(source, other)
    gain = selection.over_folds(change)
    assert gain is not None
    parts = [f"source + target minus target only at {100 * SHARE:g} %: {gain.text('+.1f')} points, {_covers(change)}"]
    whole = source[[not r.metrics["missing"] for r in source["record"]]]
    if (without := selection.over_folds(selection.difference(whole, other))) and len(whole) < len(source):
        parts.append(f"in the {len(whole)} folds that tune on every class {without.text('+.1f')}")
    for share in SHARES_MEANT:
        cells = selection.chosen(table, share=share), selection.chosen(table, start="random", share=share)
        if (
            share != SHARE
            and all(_complete(cell, table) for cell in cells)
            and (beside := selection.over_folds(selection.difference(*cells)))
        ):
            parts.append(f"at {100 * share:g} % {beside.text('+.1f')}")
    if shuffled := tables_controls.gain(tables_controls.labels_table(found), tables_controls.SHUFFLED):
        parts.append(f"from a source with shuffled labels {shuffled.text('+.1f')}, on the files that are tested at every share")
    tests = [against(gain, "accuracy, source + target − target only, points", low=0.0)]
    finding = _finding(source, "C9", "; ".join(parts), tests)
    # Of folds that share a target, or speakers, the interval speaks for these targets; read strictly, the claim is about targets.
    wider = selection.over_targets(change)
    return replace(finding, strict=judge(wider, low=0.0)) if wider else finding


def _small_share(table: pd.DataFrame) -> Finding:
    """C10: accuracy at 25 % as a share of that at 100 %, on the same test files."""
    small, whole = selection.chosen(table), selection.chosen(table, share=1.0)
    if not (_complete(small, table) and _complete(whole, table)):
        return not_tested("C10", "shares of 25 and 100 %, at least three draws of speakers")
    both = small.merge(whole, on=selection.FOLD, suffixes=("", "_whole"))
    ratio = metrics.confidence_t(both["fixed_accuracy"] / both["fixed_accuracy_whole"])
    files = (both["tuned_whole"] / both["tuned"]).mean()
    evidence = (
        f"accuracy at 25 % over that with all other speakers, which are {files:.1f} times as many files and not four times: "
        f"{ratio.text('.2f')}, interval over {len(both)} folds"
    )
    return _finding(small, "C10", evidence, [against(ratio, "accuracy at 25 % / with all other speakers", low=ENOUGH)])


def _speakers_apart(found: pd.DataFrame) -> Finding:
    """C12: what the paper's own folds are is not known; what mixing speakers would give is."""
    table = selection.transfers(found)
    mixed = selection.chosen(table, by="file")
    gap = selection.over_folds(selection.difference(mixed, selection.chosen(table))) if len(mixed) else None
    parts = []
    if gap:
        parts.append(
            f"drawing {100 * SHARE:g} % of the files regardless of speaker changes accuracy by {gap.text('+.1f')} points, interval over folds"
        )
    if change := tables.mixing_speakers(tables.source_table(found)):
        parts.append(
            f"on the source, training on files regardless of speaker changes accuracy by {change.text('+.1f')} points, interval over speakers"
        )
    return not_tested("C12", "the paper's lists of files; of targets it says only which share is tuned on", "; ".join(parts))


def broken(found: pd.DataFrame) -> pd.DataFrame:
    """The conditions under which, by the summary, the method breaks: condition, number, interval, and whether it is met."""
    table = selection.transfers(found)
    cell, rows = selection.chosen(table), []
    if not _complete(cell, table):
        return pd.DataFrame()

    def row(condition: str, what: str, interval: Interval, met: Verdict) -> None:
        words = {"holds": "yes", "fails": "no"}.get(met, "not decided")
        rows.append({"condition": condition, "number": what} | interval.columns("value") | {"met": words})

    even = [r.metrics["entropies"] for r in cell["record"]]
    for direction in even[0]:
        value = metrics.confidence_t([e[direction][-1] for e in even])
        # The mean over heads can be even where heads are not, so a high value decides nothing; keys that are all the same do.
        met: Verdict = (
            "holds" if direction == "mfcc on prosody" and value.low > 1 - 1e-4 else "fails" if value.high < EVEN else "inconclusive"
        )
        row("attention is uniform", f"entropy of {direction}, mean over heads, share of the largest", value, met)
    zero = [a for a in selection.not_tuned(table)["answers"] if (a["emotion"] == "neutral").any()]
    if len(zero) > 1:
        extra = metrics.confidence_t([tables.extra_neutral(a) for a in zero])
        row("bias towards neutral before tuning", "neutral answers − neutral files, points", extra, judge(extra, low=0.0))
    change = selection.gain(table)
    for target in tables.in_order(cell["target"]):
        gain = selection.over_folds(change[change["target"] == target])
        if gain:
            row("negative transfer", f"{tables.title(target)}: source + target − target only, points", gain, judge(gain, high=0.0))
    return pd.DataFrame(rows)
