"""Quality predictors of others, as their packages publish them: what a user would take instead of a network trained here."""

import importlib.metadata
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
import torch
from jaxtyping import Float

from .. import audio
from ..errors import SettingsError

RATE = 16_000  # Hz, of all of them


@dataclass(frozen=True)
class Predictor:
    """Its title in tables, its package on PyPI, and the function from waveforms (samples,) at 16 kHz to MOS."""

    title: str
    package: str
    score: Callable[[Sequence[np.ndarray]], np.ndarray]

    @property
    def version(self) -> str:
        """Of the package, with which the weights come; "" if it is not installed."""
        try:
            return importlib.metadata.version(self.package)
        except importlib.metadata.PackageNotFoundError:
            return ""


def distillmos(waveforms: Sequence[np.ndarray]) -> Float[np.ndarray, " sounds"]:
    """Distill-MOS (Stahl and Gamper 2025, arXiv:2502.05356): MOS from 1 to 5 of waveforms (samples,) at 16 kHz.

    Parameters
    ----------
    waveforms : (samples,) each at 16 kHz, full scale 1.

    Returns
    -------
    A score for each sound.

    Raises
    ------
    SettingsError
        Its package is not installed.
    """
    model = _distillmos()
    with torch.no_grad():
        return np.array([float(model(torch.from_numpy(np.asarray(w, np.float32))[None])) for w in waveforms])


@cache
def _distillmos() -> Any:
    audio.import_torchaudio()  # before the package, which imports it too
    try:
        import distillmos
    except ImportError as e:
        raise SettingsError(_missing("distillmos")) from e
    model = distillmos.ConvTransformerSQAModel(load_weights=False)
    place = importlib.metadata.distribution("distillmos").locate_file("distillmos/weights/distill_mos_v7.pt")
    model.load_state_dict(torch.load(str(place), map_location="cpu", weights_only=True)["model"])
    return model.eval()


def dnsmos(waveforms: Sequence[np.ndarray]) -> Float[np.ndarray, " sounds"]:
    """DNSMOS P.835 (Reddy, Gopal and Cutler 2022, arXiv:2110.01763): overall quality of waveforms (samples,) at 16 kHz, the mean over its
    windows of 9.01 s; it repeats shorter sounds. Samples beyond full scale are clipped, since it takes none. Parameters, what is returned and
    what is raised are as in `distillmos`.
    """
    try:
        from speechmos import dnsmos
    except ImportError as e:
        raise SettingsError(_missing("speechmos")) from e
    return np.array([float(dnsmos.run(np.clip(w, -1, 1).astype(np.float32), RATE)["ovrl_mos"]) for w in waveforms])


def _missing(package: str) -> str:
    return f'{package} is not installed; run `pip install "sqa-core[predictors]"`.'


PREDICTORS = {
    "distillmos": Predictor("Distill-MOS (as published)", "distillmos", distillmos),
    "dnsmos": Predictor("DNSMOS P.835 (as published)", "speechmos", dnsmos),
}
