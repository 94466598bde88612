"""Networks tuned on listeners' scores instead of PESQ, by cross-validation in which talkers and conditions are apart."""

from copy import deepcopy
from typing import ClassVar

import numpy as np
import pandas as pd

from ...errors import SettingsError
from ...learning import jsqa
from ...learning.jsqa import Rated
from ...models.jsqa import Encoder
from ...results.trials import Result
from .trials import StartTrial, agreement, agreement_by_test, p835


class ListenersTrial(StartTrial):
    """A network from one start, tuned on P.835's overall scores. The seed halves talkers and conditions; each quarter is tested by a network
    that was tuned on the opposite one, with which it shares neither. No file is left to choose an epoch by, so the last one is kept.

    Agreement is computed within each quarter and averaged. Over all files together it would be that of four networks: if a quarter to
    train on has good files, the opposite one tends to have bad ones, and even the mean of what was trained on has a negative correlation.
    """

    kind: ClassVar[str] = "listeners_arms"

    def run(self) -> Result:
        if self.tuning.keep != "last":
            raise SettingsError('Tuning on listeners leaves no file to choose an epoch by; set keep to "last".')
        encoder, facts = self._start()
        assert isinstance(encoder, Encoder)
        sounds, about = p835(self.listeners, encoder.settings.rate)
        table = about.assign(mos=sounds.mos, predicted=np.nan, quarter=-1)
        quarters = opposite_quarters(about, self.seed)
        for i, (train, test) in enumerate(quarters):
            learnt, unseen = (Rated([sounds.waveforms[j] for j in of.tolist()], sounds.mos[of]) for of in (train, test))
            ends = [int(learnt.mos.argmin()), int(learnt.mos.argmax())]  # the loop wants sounds to validate on; these decide nothing
            valid = Rated([learnt.waveforms[j] for j in ends], learnt.mos[ends])
            network, _ = jsqa.tune(deepcopy(encoder), learnt, valid, self.tuning, self.seed, self._folder() / str(i))
            table.loc[test, ["predicted", "quarter"]] = np.stack([jsqa.predict(network, unseen.waveforms), np.full(len(test), i)], axis=1)
        facts |= {"train_sounds": [len(train) for train, _ in quarters], "parameters": sum(p.numel() for p in network.parameters())}
        facts |= {f"pooled_{name}": value for name, value in agreement_by_test(table).items()}
        return Result(facts | within_quarters(table), table)


def within_quarters(table: pd.DataFrame) -> dict[str, float]:
    """`agreement` within each quarter, the mean over quarters, by test under names such as `pcc_fullband`.

    table : one row per file, with `test`, `quarter`, `mos` and `predicted`.
    """
    means: dict[str, float] = {}
    for test, rows in table.groupby("test"):
        each = pd.DataFrame([agreement(part["predicted"], part["mos"]) for _, part in rows.groupby("quarter")])
        means |= {f"{name}_{test}": float(value) for name, value in each.mean(skipna=False).items()}
    return means


def opposite_quarters(about: pd.DataFrame, seed: int) -> list[tuple[np.ndarray, np.ndarray]]:
    """Files to train on and files to test on, four times, so that each is tested once.

    Parameters
    ----------
    about : one row per file, with `talker` and `condition`; at least two of each.
    seed : of the halves.

    Returns
    -------
    Row numbers of both. They share neither a talker nor a condition.

    Raises
    ------
    SettingsError
        There is one talker or one condition only.
    """
    rng = np.random.default_rng(seed)
    halves = []
    for column in ("talker", "condition"):
        names = rng.permutation(sorted(about[column].unique()))
        if len(names) < 2:
            raise SettingsError(f"Files of a single {column} cannot be halved; cross-validation needs two.")
        halves.append(about[column].isin(names[: len(names) // 2]).to_numpy())
    talker, condition = halves
    out = [
        (np.flatnonzero((talker != t) & (condition != c)), np.flatnonzero((talker == t) & (condition == c)))
        for t in (True, False)
        for c in (True, False)
    ]
    for train, test in out:
        for column in ("talker", "condition"):
            assert not set(about[column].iloc[train]) & set(about[column].iloc[test]), f"training and test share a {column}"
    return out
