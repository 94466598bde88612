"""Networks tuned on listeners' scores instead of PESQ, by cross-validation in which talkers and conditions are apart."""

from copy import deepcopy
from typing import ClassVar

import numpy as np
import pandas as pd

from ...learning import jsqa
from ...learning.jsqa import Rated
from ...learning.quality_material import Part
from ...models.jsqa import Encoder
from ...results.trials import Result
from .trials import ArmTrial, agreement_by_test, p835


class ListenersTrial(ArmTrial):
    """A network from one start, tuned on P.835's overall scores. The seed halves talkers and conditions; each quarter is tested by a network
    that was tuned on the opposite one, with which it shares neither. No file is left to choose an epoch by, so the last one is kept."""

    kind: ClassVar[str] = "listeners_arms"
    train: tuple[Part, ...] = ()
    valid: tuple[Part, ...] = ()
    tests: tuple[Part, ...] = ()
    material: str = ""

    def run(self) -> Result:
        encoder, facts = self._start()
        assert isinstance(encoder, Encoder)
        sounds, about = p835(self.listeners, encoder.settings.rate)
        predicted = np.full(len(about), np.nan)
        for i, (train, test) in enumerate(opposite_quarters(about, self.seed)):
            learnt, unseen = (Rated([sounds.waveforms[j] for j in of.tolist()], sounds.mos[of]) for of in (train, test))
            ends = [int(learnt.mos.argmin()), int(learnt.mos.argmax())]  # the loop wants sounds to validate on; these decide nothing
            valid = Rated([learnt.waveforms[j] for j in ends], learnt.mos[ends])
            network, _ = jsqa.tune(deepcopy(encoder), learnt, valid, self.tuning, self.seed, self._folder() / str(i))
            predicted[test] = jsqa.predict(network, unseen.waveforms)
        table = about.assign(mos=sounds.mos, predicted=predicted)
        facts |= {"train_sounds": len(about) / 4, "parameters": sum(p.numel() for p in network.parameters())}
        return Result(facts | agreement_by_test(table), table)


def opposite_quarters(about: pd.DataFrame, seed: int) -> list[tuple[np.ndarray, np.ndarray]]:
    """Files to train on and files to test on, four times, so that each is tested once.

    Parameters
    ----------
    about : one row per file, with `talker` and `condition`.
    seed : of the halves.

    Returns
    -------
    Row numbers of both. They share neither a talker nor a condition.
    """
    rng = np.random.default_rng(seed)
    halves = []
    for column in ("talker", "condition"):
        names = rng.permutation(sorted(about[column].unique()))
        halves.append(about[column].isin(names[: len(names) // 2]).to_numpy())
    talker, condition = halves
    return [
        (np.flatnonzero((talker != t) & (condition != c)), np.flatnonzero((talker == t) & (condition == c)))
        for t in (True, False)
        for c in (True, False)
    ]
