"""One sound file explained: from a path and a method to arrays. Drawing and writing them is left to the caller."""

import math
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

import numpy as np
import pandas as pd
from torch import Tensor

from .. import audio, metrics, scoring, spectrogram
from ..errors import SettingsError
from ..models.weights import Network
from . import attribution, chain, occlusion
from .occlusion import Box

Method = Literal["occlusion", "ig", "deeplift", "conductance"]
MAX_FEATURES = 8  # of a network with hundreds, those that vary most over the file
MAX_SECONDS = 60.0  # by gradients: minutes of work, and about a gigabyte
TOLERANCE = 0.01  # relative completeness error above which more steps are taken
# How long each method takes, in forward passes over the same sound; measured on 1.5, 3 and 6 s of speech by the official network. Gradients
# take more where completeness asks for more steps.
PASSES = {"ig": 3100, "deeplift": 130, "conductance": 90}
MASK_COST = 0.3  # of a pass, for one of occlusion's masks
MASKS_AT_ONCE = 200


@dataclass(frozen=True)
class Map:
    """One map: values (mels, frames), or (channels, height, width) of a conductance, with its completeness error and quadrature steps
    where the method has them; of a feature, what it follows in this sound."""

    values: np.ndarray
    error: float | None = None
    steps: int | None = None
    follows: str = ""


@dataclass(frozen=True)
class Explanation:
    """Why a sound has its score.

    mel : (mels, frames) dB. hop_s : from frame to frame. band_hz : (mels,) frequencies of its bands' peaks. maps : by name. scores : for occlusion, one row per mask. segment :
    for conductance, the one explained, (mels, length), and where it starts in the file. stopped : masks that were not tried, if the user
    stopped.
    """

    method: Method
    network: str
    output: str
    start_s: float
    mel: np.ndarray
    hop_s: float
    band_hz: np.ndarray
    score: float
    maps: dict[str, Map]
    scores: pd.DataFrame | None = None
    segment: np.ndarray | None = None
    segment_start_s: float | None = None
    stopped: int = 0

    def arrays(self) -> dict[str, np.ndarray]:
        """What an NPZ file holds: `mel` (mels, frames) dB, `time_s` (frames,) of the file, `band_hz` (mels,), `score`, and each map under its
        name with `_` for spaces: (mels, frames), NaN where nothing was tried; of conductance (channels, height, width), with `segment`
        (mels, length) and `segment_start_s`. Of features, `follows` says in the order of their maps what each follows.

        Returns
        -------
        Arrays by name, ready for `numpy.savez`.
        """
        time_s = self.start_s + self.hop_s * np.arange(self.mel.shape[1])
        out = {"mel": self.mel, "time_s": time_s, "band_hz": self.band_hz, "score": np.array(self.score)}
        out |= {name.replace(", ", "_").replace(" ", "_").replace("×", "x"): m.values for name, m in self.maps.items()}
        if named := [f"{name}: {m.follows}" for name, m in self.maps.items() if m.follows]:
            out["follows"] = np.array(named)
        return out if self.segment is None else out | {"segment": self.segment, "segment_start_s": np.array(self.segment_start_s)}


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
    on_share: Callable[[float], None] = lambda share: None,
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
    on_share : told what share of the work is done: of occlusion after each chunk of masks, of conductance after each map, of ig and deeplift
        between their parts alone. A KeyboardInterrupt during occlusion ends it with the masks that were tried.

    Returns
    -------
    The spectrogram, the score and the maps, with the file's own time and frequency axes.

    Raises
    ------
    SettingsError
        An output that the network does not have, an excerpt outside the file, more than `MAX_SECONDS` by gradients, or more than
        `occlusion.MAX_MASKS` masks.
    """
    if output not in network.settings.outputs:
        raise SettingsError(f"{network.name} has no output {output!r}; its outputs are {', '.join(network.settings.outputs)}.")
    mel = scoring.mel_of(network, _excerpt(file, audio.load(file), start_s, seconds))
    if method != "occlusion" and (len(mel) - 1) * network.settings.mel.hop_s > MAX_SECONDS:
        raise SettingsError(
            f"{file}: {(len(mel) - 1) * network.settings.mel.hop_s:.1f} s is more than the {MAX_SECONDS:.0f} s that this method takes; choose an excerpt with"
            " start and seconds."
        )
    column = network.settings.outputs.index(output)
    folded = scoring.folded(network)
    score = float(scoring.score_mels(folded, [mel])[0, column])
    start = time.perf_counter()
    scoring.score_mels(folded, [mel])  # once more: the first pass prepares the network
    pass_s = time.perf_counter() - start
    front_end = network.settings.mel
    hz = spectrogram.band_hz(front_end.n_mels, front_end.fmax)
    found = Explanation(method, network.name, output, start_s, mel.T.cpu().numpy(), front_end.hop_s, hz, score, {})
    if method == "occlusion":
        return _by_occlusion(found, network, mel, fill, pass_s, on_expected, on_share)
    on_expected(PASSES[method] * pass_s)
    base = attribution.baseline_of(mel, baseline)
    if method == "conductance":
        return _by_conductance(found, network, mel, base, on_share)
    whole = _whole_network(network, mel, base, output) if method == "ig" else {}
    on_share(0.5 if whole else 0.0)
    maps = whole | _features(network, mel, hz, base, by_gradients=method == "ig")
    on_share(1.0)
    return replace(found, maps=maps)


def _excerpt(file: Path, sound: audio.Sound, start_s: float, seconds: float | None) -> audio.Sound:
    waveform, rate = sound
    if not (math.isfinite(start_s) and math.isfinite(seconds or 0.0)):
        raise SettingsError(f"{file}: an excerpt starts and ends at numbers of seconds, not at {start_s} with {seconds} s.")
    first = round(start_s * rate)
    last = waveform.shape[1] if seconds is None else first + round(seconds * rate)
    if not 0 <= first < min(last, waveform.shape[1]):
        length = f"{waveform.shape[1] / rate:.2f} s long"
        raise SettingsError(
            f"{file}: {length}; there is no excerpt of {'any length' if seconds is None else f'{seconds} s'} at {start_s} s."
        )
    return audio.Sound(waveform[:, first:last], rate)


def _by_occlusion(found: Explanation, network: Network, mel: Tensor, fill, pass_s: float, on_expected, on_share) -> Explanation:
    """A group of masks after the other, so that what is done is kept when the user stops."""
    shape = (mel.shape[1], mel.shape[0])
    groups = occlusion.paper_boxes(shape)
    occlusion.require_few(len(occlusion.flat(groups)))
    # A mask costs less than a pass, whose segments it changes only in part; the 100 ms are what a group costs however small it is.
    on_expected(sum(MASK_COST * len(boxes) * pass_s + 0.1 for boxes in groups.values()))
    rows: dict[str, list[pd.DataFrame]] = {}
    total, tried = len(occlusion.flat(groups)), 0
    try:
        for name, boxes in groups.items():
            for start in range(0, len(boxes), MASKS_AT_ONCE):
                part = occlusion.occlude(network, mel, boxes[start : start + MASKS_AT_ONCE], fill)
                rows.setdefault(name, []).append(_mask_rows(part, found))
                tried += len(part.boxes)
                on_share(tried / total)
    except KeyboardInterrupt:
        if not rows:
            raise
    maps = {}
    for name, parts in rows.items():
        change = pd.concat(parts)[found.output].to_numpy() - found.score
        maps[name] = Map(occlusion.change_map(shape, groups[name][: len(change)], change))
    table = pd.concat([part for parts in rows.values() for part in parts], ignore_index=True)
    return replace(found, maps=maps, scores=table, stopped=total - tried)


def _mask_rows(part: occlusion.Occlusion, found: Explanation) -> pd.DataFrame:
    """One row per mask: its place in bands and frames, the peaks of its lowest and highest band in Hz, its seconds in the file, and each output
    under it."""
    table = pd.DataFrame(part.boxes, columns=Box._fields)
    last = table["band"] + table["bands"] - 1
    table["low_hz"], table["high_hz"] = found.band_hz[table["band"]].round(1), found.band_hz[last].round(1)
    table["start_s"] = (found.start_s + found.hop_s * table["frame"]).round(4)
    table["end_s"] = (table["start_s"] + found.hop_s * table["frames"]).round(4)
    return table.assign(**dict(zip(part.outputs, part.scores.T, strict=True)))


def _most_varied(network: Network, segments: Tensor) -> list[int]:
    spread = chain.features_of(network, segments).std(dim=0)
    return spread.argsort(descending=True)[:MAX_FEATURES].tolist()


FOLLOWS_FROM = 0.5  # Spearman's correlation, below which a feature follows none of these
FEWEST_SEGMENTS = 20  # of fewer, which overlap besides, one of six correlations is large by chance


def _followed(network: Network, segments: Tensor, hz: np.ndarray, features: list[int]) -> list[str]:
    """What each feature follows over the segments of this sound: of six measures (the levels of the bands and how they change in a segment)
    the one with the largest rank correlation; nothing where there are fewer than `FEWEST_SEGMENTS`."""
    if len(segments) < FEWEST_SEGMENTS:
        return [""] * len(features)
    levels = segments.cpu().numpy()  # (segments, mels, length) dB
    bands = {"below 1 kHz": hz < 1000, "1 to 4 kHz": (hz >= 1000) & (hz < 4000), "above 4 kHz": hz >= 4000}
    measures = {f"the level {name}": levels[:, where].mean(axis=(1, 2)) for name, where in bands.items()}
    half = levels.shape[2] // 2
    measures["the level"] = levels.mean(axis=(1, 2))
    measures["a rise of the level in the segment"] = levels[:, :, half:].mean(axis=(1, 2)) - levels[:, :, :half].mean(axis=(1, 2))
    measures["the quietest frame of the segment"] = levels.mean(axis=1).min(axis=1)
    outputs = chain.features_of(network, segments)[:, features].cpu().numpy()
    named = []
    for values in outputs.T:
        found = {name: metrics.srcc(measure, values) for name, measure in measures.items()}
        best = max(found, key=lambda name: abs(np.nan_to_num(found[name])))
        much = abs(np.nan_to_num(found[best])) >= FOLLOWS_FROM
        named.append(f"{'follows' if found[best] > 0 else 'falls with'} {best} (SRCC {found[best]:.2f})" if much else "follows no level")
    return named


def _features(network: Network, mel: Tensor, hz: np.ndarray, base: Tensor, by_gradients: bool) -> dict[str, Map]:
    """Averaged maps of the features that vary most."""
    hop = network.settings.segment_hop
    segments, baselines = (attribution.segments_of(network, m, hop) for m in (mel, base))
    features = _most_varied(network, segments)
    if by_gradients:
        found = attribution.integrated_gradients(network, segments, baselines, features, tolerance=TOLERANCE)
    else:
        found = attribution.deeplift(network, segments, baselines, features)
    errors = found.relative_error().tolist()
    followed = _followed(network, segments, hz, features)
    return {
        f"feature {f}": Map(attribution.overlap_mean(found.maps[:, i], len(mel), hop), errors[i], found.max_steps, followed[i])
        for i, f in enumerate(features)
    }


def _whole_network(network: Network, mel: Tensor, base: Tensor, output: str) -> dict[str, Map]:
    found = attribution.through_time(network, mel, base, [output], tolerance=TOLERANCE)
    return {output: Map(found.maps[0].T.cpu().numpy(), float(found.relative_error()[0]), found.max_steps)}


def _by_conductance(found: Explanation, network: Network, mel: Tensor, base: Tensor, on_share) -> Explanation:
    segments, baselines = (attribution.segments_of(network, m) for m in (mel, base))
    loudest = int(segments.mean(dim=(1, 2)).argmax())
    one = slice(loudest, loudest + 1)
    features = _most_varied(network, segments)[:2]
    followed = _followed(network, segments, found.band_hz, features)
    maps = {}
    for layer in (1, 2):
        for feature, follows in zip(features, followed, strict=True):
            by = attribution.conductance(network, segments[one], baselines[one], [feature], layer, tolerance=TOLERANCE)
            error = float(by.relative_error()[0])
            maps[f"conv{layer}, feature {feature}"] = Map(by.maps[0, 0].cpu().numpy(), error, by.max_steps, follows)
            on_share(len(maps) / 4)
    return replace(found, maps=maps, segment=segments[loudest].cpu().numpy(), segment_start_s=found.start_s + loudest * found.hop_s)
