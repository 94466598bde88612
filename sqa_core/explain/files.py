"""One sound file explained: from a path and a method to arrays. Drawing and writing them is left to the caller."""

import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pandas as pd
from torch import Tensor

from .. import audio, scoring
from ..errors import SettingsError
from ..models.weights import Network
from . import attribution, occlusion
from .occlusion import Box

Method = Literal["occlusion", "ig", "deeplift", "conductance"]
MAX_FEATURES = 8  # of a network with hundreds, those that vary most over the file
MAX_SECONDS = 60.0  # by gradients: minutes of work, and about a gigabyte
TOLERANCE = 0.01  # relative completeness error above which more steps are taken
HOP_S = 0.01
# How long each method takes, in forward passes over the same sound; measured on 1.5, 3 and 6 s of speech by the official network. Gradients
# take more where completeness asks for more steps.
PASSES = {"occlusion": 40, "ig": 3100, "deeplift": 130, "conductance": 90}


@dataclass(frozen=True)
class Map:
    """One map: values (mels, frames), or (channels, height, width) of a conductance, with its completeness error and quadrature steps
    where the method has them."""

    values: np.ndarray
    error: float | None = None
    steps: int | None = None


@dataclass(frozen=True)
class Explanation:
    """Why a sound has its score.

    mel : (mels, frames) dB. maps : by name. scores : for occlusion, a row a mask. segment : for conductance, the one explained, (mels,
    length), and its number.
    """

    method: Method
    network: str
    output: str
    start_s: float
    mel: np.ndarray
    score: float
    maps: dict[str, Map]
    scores: pd.DataFrame | None = None
    segment: np.ndarray | None = None
    segment_number: int | None = None

    def arrays(self) -> dict[str, np.ndarray]:
        """What an NPZ file holds: `mel`, `start_s`, `score`, each map under its name, and for conductance `segment_number`."""
        out = {"mel": self.mel, "start_s": np.array(self.start_s), "score": np.array(self.score)}
        out |= {name.replace(", ", "_").replace(" ", "_"): m.values for name, m in self.maps.items()}
        return out | ({} if self.segment_number is None else {"segment_number": np.array(self.segment_number)})


def explain(
    file: Path,
    network: Network,
    method: Method = "occlusion",
    output: str = "mos",
    fill: Literal["floor", "mean"] = "floor",
    baseline: str = "floor",
    start_s: float = 0.0,
    seconds: float | None = None,
    on_expected: Callable[[float], None] = lambda seconds: None,
) -> Explanation:
    """Explain one sound file, or an excerpt of it.

    Parameters
    ----------
    method : "occlusion" hides parts of the spectrogram; "ig" follows gradients from `output` through the whole network, and from the
        CNN's features; "deeplift" explains the CNN's features, by the complete variant; "conductance" the first two convolutions, at the
        loudest segment, for the two features that vary most.
    output : the score to explain, by occlusion or ig.
    fill : what an occlusion's mask is filled with, the file's minimum or its mean.
    baseline : what the other methods compare with, see `attribution.baseline_of`.
    start_s, seconds : the excerpt.
    on_expected : told, before the work starts, how many seconds it is expected to take; may raise to prevent it.

    Raises
    ------
    SettingsError
        An output that the network does not have, an excerpt outside the file, or more than `MAX_SECONDS` by gradients.
    """
    if output not in network.settings.outputs:
        raise SettingsError(f"{network.name} has no output {output!r}; its outputs are {', '.join(network.settings.outputs)}.")
    mel = scoring.mel_of(network, _excerpt(file, audio.load(file), start_s, seconds))
    if method != "occlusion" and (len(mel) - 1) * HOP_S > MAX_SECONDS:
        raise SettingsError(
            f"{file}: {(len(mel) - 1) * HOP_S:.1f} s is more than the {MAX_SECONDS:.0f} s that this method takes; choose an excerpt with"
            " start and seconds."
        )
    column = network.settings.outputs.index(output)
    folded = scoring.folded(network)
    score = float(scoring.score_mels(folded, [mel])[0, column])
    start = time.perf_counter()
    scoring.score_mels(folded, [mel])  # once more: the first pass prepares the network
    on_expected(PASSES[method] * (time.perf_counter() - start))
    found = Explanation(method, network.name, output, start_s, mel.T.cpu().numpy(), score, {})
    if method == "occlusion":
        maps, scores = _by_occlusion(network, mel, output, fill)
        return replace(found, maps=maps, scores=scores)
    base = attribution.baseline_of(mel, baseline)
    if method == "conductance":
        return replace(found, **_by_conductance(network, mel, base))
    whole = _whole_network(network, mel, base, output) if method == "ig" else {}
    return replace(found, maps=whole | _features(network, mel, base, by_gradients=method == "ig"))


def _excerpt(file: Path, sound: audio.Sound, start_s: float, seconds: float | None) -> audio.Sound:
    waveform, rate = sound
    first = round(start_s * rate)
    last = waveform.shape[1] if seconds is None else first + round(seconds * rate)
    if not 0 <= first < min(last, waveform.shape[1]):
        length = f"{waveform.shape[1] / rate:.2f} s long"
        raise SettingsError(
            f"{file}: {length}; there is no excerpt of {'any length' if seconds is None else f'{seconds} s'} at {start_s} s."
        )
    return audio.Sound(waveform[:, first:last], rate)


def _by_occlusion(network: Network, mel: Tensor, output: str, fill: Literal["floor", "mean"]) -> tuple[dict[str, Map], pd.DataFrame]:
    shape = (mel.shape[1], mel.shape[0])
    boxes = occlusion.paper_boxes(shape)
    found = occlusion.occlude(network, mel, occlusion.flat(boxes), fill)
    maps = {name: Map(part.change_map(shape, output)) for name, part in occlusion.split_by_mask(found, boxes).items()}
    table = pd.DataFrame(found.boxes, columns=Box._fields).assign(**dict(zip(found.outputs, found.scores.T, strict=True)))
    return maps, table


def _most_varied(network: Network, segments: Tensor) -> list[int]:
    spread = attribution.features_of(network, segments).std(dim=0)
    return spread.argsort(descending=True)[:MAX_FEATURES].tolist()


def _features(network: Network, mel: Tensor, base: Tensor, by_gradients: bool) -> dict[str, Map]:
    """Averaged maps of the features that vary most."""
    hop = network.settings.segment_hop
    segments, baselines = (attribution.segments_of(network, m, hop) for m in (mel, base))
    features = _most_varied(network, segments)
    if by_gradients:
        found = attribution.integrated_gradients(network, segments, baselines, features, tolerance=TOLERANCE)
    else:
        found = attribution.deeplift(network, segments, baselines, features)
    errors = found.relative_error().tolist()
    return {
        f"feature {f}": Map(attribution.overlap_mean(found.maps[:, i], len(mel), hop), errors[i], found.max_steps)
        for i, f in enumerate(features)
    }


def _whole_network(network: Network, mel: Tensor, base: Tensor, output: str) -> dict[str, Map]:
    found = attribution.through_time(network, mel, base, [output], tolerance=TOLERANCE)
    return {output: Map(found.maps[0].T.cpu().numpy(), float(found.relative_error()[0]), found.max_steps)}


def _by_conductance(network: Network, mel: Tensor, base: Tensor) -> dict[str, Any]:
    segments, baselines = (attribution.segments_of(network, m) for m in (mel, base))
    loudest = int(segments.mean(dim=(1, 2)).argmax())
    one = slice(loudest, loudest + 1)
    maps = {}
    for layer in (1, 2):
        for feature in _most_varied(network, segments)[:2]:
            found = attribution.conductance(network, segments[one], baselines[one], [feature], layer, tolerance=TOLERANCE)
            error = float(found.relative_error()[0])
            maps[f"conv{layer}, feature {feature}"] = Map(found.maps[0, 0].cpu().numpy(), error, found.max_steps)
    return {"maps": maps, "segment": segments[loudest].cpu().numpy(), "segment_number": loudest}
