"""How much a score moves with what was drawn: the split, the speakers, the epoch that is kept. With the Linear head."""

from itertools import combinations
from typing import Any

import numpy as np
import pandas as pd
from scipy import stats

from ...corpora.emotion import catalogue
from ...metrics import bias_corrected, weighted_macro_f1
from ...results.records import Record
from .plan import CONTROLS
from .selection import Run, answers_of, f1_draws, majority, mean_and_sd, title_of

LAST = {"keep": "last"}
PROTOCOLS = {"speaker": "one split by speaker", "loso": "leave-one-speaker-out", "stratified": "stratified, 20 splits"}


def over_splits(run: Run, corpus: str, model: str, **choices: Any) -> np.ndarray:
    """(splits,) macro F1 in percent on stratified splits that were drawn anew, one head each."""
    cells = [run.cell(corpus, model, "linear", "stratified", split_seed=n, **choices) for n in run.split_seeds]
    return np.array([r.metrics["f1"] for cell in cells for r in cell])


def splits_table(run: Run) -> pd.DataFrame:
    """Leave-one-speaker-out against stratified splits: one row per corpus and model. The SD of the former is over head seeds, its interval over
    speakers and their files; that of the latter over splits, each with another head seed."""
    rows = []
    for corpus in run.corpora:
        for model in run.models:
            loso, drawn = run.cell(corpus, model, protocol="loso"), over_splits(run, corpus, model)
            if loso and len(drawn):
                row = {"corpus": catalogue.title(corpus), "model": title_of(model), **_loso_columns(loso)}
                row |= {"stratified": drawn.mean(), "stratified, SD over splits": drawn.std(ddof=1), "splits": len(drawn)}
                row |= {"lowest split": drawn.min(), "highest split": drawn.max()}
                rows.append(row | {"stratified minus LOSO": drawn.mean() - row["leave-one-speaker-out"], "majority": majority(loso)})
    return pd.DataFrame(rows)


def _loso_columns(records: list[Record]) -> dict[str, float]:
    interval = bias_corrected(f1_draws(records))
    found = mean_and_sd(records)
    name = "leave-one-speaker-out"
    return {
        name: found["F1"],
        f"{name}, SD over seeds": found["F1, SD over seeds"],
        f"{name}, low": interval.low,
        f"{name}, high": interval.high,
    }


def f1_by_speaker(records: list[Record]) -> pd.Series:
    """Macro F1 in percent over each speaker's files, mean over seeds, from the lowest to the highest."""
    if not records:
        return pd.Series(dtype=float)
    answers = answers_of(records)
    speakers, which = np.unique(answers.items["speaker"], return_inverse=True)
    of_speaker = (which == np.arange(len(speakers))[:, None]).astype(float)
    f1 = weighted_macro_f1(answers.true, answers.predicted, of_speaker, answers.classes)
    return pd.Series(f1, index=pd.Index(speakers, name="speaker")).sort_values()


def speakers_table(run: Run, papers_only: bool = True) -> pd.DataFrame:
    """Leave-one-speaker-out: one row per corpus, model and held-out speaker."""
    rows = []
    for corpus in run.papers_corpora if papers_only else run.corpora:
        for model in run.models:
            for speaker, f1 in f1_by_speaker(run.cell(corpus, model, protocol="loso")).items():
                rows.append({"corpus": catalogue.title(corpus), "model": title_of(model), "held-out speaker": speaker, "F1": f1})
    return pd.DataFrame(rows)


def epochs_table(run: Run) -> pd.DataFrame:
    """The epoch that is best on the validation files against the last one: one row per corpus and protocol, mean over models; the SD is over
    seeds (one split, leave-one-speaker-out) or splits (stratified), root mean square over models.

    "pairs that change order" : of the pairs of models, those of which another is ahead when the last epoch is kept.
    """
    rows = []
    for corpus in run.corpora:
        for protocol, title in PROTOCOLS.items():
            known = best_and_last(run, corpus, protocol)
            if not known:
                continue
            best_last = list(zip(*known.values(), strict=True))
            means = [np.array([s.mean() for s in of]) for of in best_last]
            spreads = [float(np.sqrt(np.mean([s.var(ddof=1) for s in of]))) for of in best_last]
            pairs = list(combinations(range(len(known)), 2))
            changed = sum((means[0][a] - means[0][b]) * (means[1][a] - means[1][b]) < 0 for a, b in pairs)
            row = {"corpus": catalogue.title(corpus), "protocol": title, "models": len(known)}
            row |= {"best epoch": means[0].mean(), "best epoch, SD over draws": spreads[0]}
            row |= {"last epoch": means[1].mean(), "last epoch, SD over draws": spreads[1]}
            rows.append(row | {"pairs that change order": changed, "pairs": len(pairs)})
    return pd.DataFrame(rows)


def epochs_by_model(run: Run) -> pd.DataFrame:
    """The best epoch on the validation files and the last one, for each model: one row per corpus, protocol and model; SDs as in `epochs_table`.

    "with the last epoch, overtakes" : the models that are behind with the best epoch and ahead with the last.
    """
    rows = []
    for corpus in run.corpora:
        for protocol, title in PROTOCOLS.items():
            known = best_and_last(run, corpus, protocol)
            for model, (best, last) in known.items():
                behind = [title_of(m) for m, (b, e) in known.items() if b.mean() > best.mean() and e.mean() < last.mean()]
                row = {"corpus": catalogue.title(corpus), "protocol": title, "model": title_of(model)}
                row |= {"best epoch": best.mean(), "best epoch, SD over draws": best.std(ddof=1)}
                row |= {"last epoch": last.mean(), "last epoch, SD over draws": last.std(ddof=1)}
                rows.append(row | {"with the last epoch, overtakes": ", ".join(behind)})
    return pd.DataFrame(rows)


def best_and_last(run: Run, corpus: str, protocol: str) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """Scores of each model with the best and with the last epoch, a seed or a split each; models with several of both."""
    both = {m: (_scores(run, corpus, m, protocol, {}), _scores(run, corpus, m, protocol, LAST)) for m in run.models}
    return {model: scores for model, scores in both.items() if min(map(len, scores)) > 1}


def _scores(run: Run, corpus: str, model: str, protocol: str, choices: dict[str, Any]) -> np.ndarray:
    if protocol == "stratified":
        return over_splits(run, corpus, model, **choices)
    return np.array([r.metrics["f1"] for r in run.cell(corpus, model, protocol=protocol, **choices)])


def detectable_table(run: Run, power: float = 0.8, level: float = 0.05) -> pd.DataFrame:
    """The smallest difference of two models that a paired t test over speakers can show: one row per corpus, points of accuracy.

    From the standard deviation of the difference over speakers, median over pairs of models without controls; for the corpus's own
    speakers and for 6 and 10, one test, with this power.
    """
    rows = []
    for corpus in run.corpora:
        by_model = {m: _accuracy_by_speaker(run.cell(corpus, m, protocol="loso")) for m in run.models if m not in CONTROLS}
        present = {m: series for m, series in by_model.items() if len(series)}
        spreads = [100 * (present[a] - present[b]).std(ddof=1) for a, b in combinations(present, 2)]
        if spreads:
            own = len(next(iter(present.values())))
            sd = float(np.median(spreads))
            row = {"corpus": catalogue.title(corpus), "speakers": own, "SD of a difference over speakers": sd, "pairs": len(spreads)}
            row["detectable with its speakers"] = sd * detectable(own, power, level)
            rows.append(row | {f"with {n}": sd * detectable(n, power, level) for n in (6, 10)})
    return pd.DataFrame(rows)


def detectable(count: int, power: float = 0.8, level: float = 0.05) -> float:
    """The true mean, in standard deviations, that a two-sided t test of `count` values shows with this power.

    Examples
    --------
    >>> round(detectable(10), 2), round(detectable(6), 2)
    (1.0, 1.43)
    """
    from scipy.optimize import brentq

    bound = stats.t.ppf(1 - level / 2, count - 1)
    return float(brentq(lambda d: 1 - stats.nct.cdf(bound, count - 1, d * np.sqrt(count)) - power, 1e-6, 50.0))


def _accuracy_by_speaker(records: list[Record]) -> pd.Series:
    if not records:
        return pd.Series(dtype=float)
    items = pd.concat([r.items() for r in records])
    return (items["predicted"] == items["emotion"]).groupby(items["speaker"]).mean()
