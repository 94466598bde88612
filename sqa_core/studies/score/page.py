"""What the page on scoring plays: a recording to score for a reader who has none."""

import numpy as np

from ... import audio, degrade
from ...corpora import polyglot


def example() -> audio.Sound:
    """Two synthetic sentences with half a second between them, the second one in noise."""

    first, second = polyglot.synthesise([polyglot.job("en", "f1", s) for s in polyglot.sentences("en")[1:3]])
    rate = first.sample_rate
    rng = np.random.default_rng(7)
    clean = degrade.set_level(first.waveform[0], rate)
    noisy = degrade.set_level(second.waveform[0], rate)
    noisy = degrade.add_noise(noisy, rate, degrade.coloured_noise(noisy.shape, rate, "white", rng), 15.0)
    return audio.Sound(np.concatenate([clean, np.zeros(rate // 2, np.float32), noisy])[None], rate)
