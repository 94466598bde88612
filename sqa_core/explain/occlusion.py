"""Explanations of a score: which part of the spectrogram moves it. Occlusion, after Zeiler and Fergus (arXiv:1311.2901)."""

from dataclasses import dataclass, replace
from typing import Literal, NamedTuple

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from .. import scoring, spectrogram
from ..errors import SettingsError
from ..models.weights import Network

# The paper's masks as (bands, frames), None being the whole axis; the stride is the mask's own size.
PAPER_MASKS: dict[str, tuple[int | None, int | None]] = {
    "24 bands × 24 frames": (24, 24),
    "2 bands": (2, None),
    "4 bands": (4, None),
    "6 bands": (6, None),
    "8 bands": (8, None),
    "13 frames": (None, 13),
}
HEAD_BATCH = 32_768  # segments through time dependency and pooling at once
MAX_MASKS = 20_000  # the paper's on about 20 minutes of sound


class Box(NamedTuple):
    """A mask's position: bands [band, band + bands) and frames [frame, frame + frames)."""

    band: int
    bands: int
    frame: int
    frames: int


@dataclass(frozen=True)
class Occlusion:
    """`scores` (masks, outputs) under each of `boxes`, against `score` (outputs,) of the sound as it is."""

    outputs: tuple[str, ...]
    score: np.ndarray
    boxes: list[Box]
    scores: np.ndarray
    segments_run: int
    segments_whole: int

    def change_map(self, shape: tuple[int, int], output: str = "mos") -> Float[np.ndarray, "mels frames"]:
        """Change of the score at each place of a spectrogram (mels, frames), averaged where masks overlap; NaN where none lay."""
        column = self.outputs.index(output)
        return change_map(shape, self.boxes, self.scores[:, column] - self.score[column])


def change_map(shape: tuple[int, int], boxes: list[Box], change: np.ndarray) -> Float[np.ndarray, "mels frames"]:
    """Values (masks,) of boxes at their places on a spectrogram (mels, frames), averaged where boxes overlap; NaN where none lies.

    Parameters
    ----------
    shape : Of the spectrogram: (mels, frames).
    boxes : One per mask.
    change : (masks,) a value for each box.

    Returns
    -------
    (mels, frames), in the unit of `change`.

    Examples
    --------
    >>> change_map((1, 4), [Box(0, 1, 0, 2), Box(0, 1, 1, 2)], np.array([1.0, 3.0]))
    array([[ 1.,  2.,  3., nan]])
    """
    total, count = np.zeros(shape), np.zeros(shape)
    for box, value in zip(boxes, change, strict=True):
        where = np.s_[box.band : box.band + box.bands, box.frame : box.frame + box.frames]
        total[where] += value
        count[where] += 1
    return np.divide(total, count, out=np.full(shape, np.nan), where=count > 0)


def require_few(masks: int) -> None:
    """Raise SettingsError if there are more masks than `MAX_MASKS`: hours of work."""
    if masks > MAX_MASKS:
        raise SettingsError(f"{masks} masks are more than {MAX_MASKS}; choose an excerpt with start and seconds.")


def mask_boxes(shape: tuple[int, int], mask: tuple[int | None, int | None], stride: tuple[int, int] | None = None) -> list[Box]:
    """Every position of a mask of (bands, frames) on a spectrogram (mels, frames); None is the whole axis.

    stride : the mask's own size where not given. The last row or column is narrower where the mask does not divide the axis.

    Returns
    -------
    Boxes from low to high bands, and from early to late frames in each.

    Raises
    ------
    SettingsError
        The mask is larger than the spectrogram, or a size or stride is below 1.

    Examples
    --------
    >>> len(mask_boxes((48, 100), (24, 25)))
    8
    >>> mask_boxes((48, 100), (None, 40))[-1]
    Box(band=0, bands=48, frame=80, frames=20)
    """
    height, width = (m or n for m, n in zip(mask, shape, strict=True))
    if min(height, width) < 1 or height > shape[0] or width > shape[1]:
        raise SettingsError(f"A mask of {height} bands by {width} frames does not fit a spectrogram of {shape[0]} by {shape[1]}.")
    step = stride or (height, width)
    if min(step) < 1:
        raise SettingsError(f"A stride is at least 1 in both directions, not {step}.")
    return [
        Box(band, min(height, shape[0] - band), frame, min(width, shape[1] - frame))
        for band in range(0, shape[0], step[0])
        for frame in range(0, shape[1], step[1])
    ]


def paper_boxes(shape: tuple[int, int]) -> dict[str, list[Box]]:
    """Every position of each of the paper's masks that fits a spectrogram (mels, frames), by the mask's name."""
    return {name: mask_boxes(shape, mask) for name, mask in PAPER_MASKS.items() if (mask[1] or 0) <= shape[1]}


def flat(boxes: dict[str, list[Box]]) -> list[Box]:
    """All boxes of all masks, in order."""
    return [box for group in boxes.values() for box in group]


def split_by_mask(found: "Occlusion", boxes: dict[str, list[Box]]) -> dict[str, "Occlusion"]:
    """Split the occlusion by several masks into one for each mask.

    Parameters
    ----------
    found : the occlusion by all boxes, in the order of `flat`.
    boxes : the boxes of each mask, as `paper_boxes` gives them.

    Returns
    -------
    By the mask's name, its boxes and their scores. `segments_run` and `segments_whole` remain those of all masks together.
    """
    out, start = {}, 0
    for name, group in boxes.items():
        out[name] = replace(found, boxes=group, scores=found.scores[start : start + len(group)])
        start += len(group)
    return out


@torch.inference_mode()
def occlude(
    network: Network, mel: Float[Tensor, "frames mels"], boxes: list[Box], value: float | Literal["floor", "mean"] = "floor"
) -> Occlusion:
    """Scores with each box of the spectrogram set to `value` dB: "floor" is the file's own minimum, "mean" its mean.

    The same scores as one pass of the whole network a mask. Only segments that a mask changes go through the CNN again; time
    dependency and pooling see each masked file whole.

    Parameters
    ----------
    mel : The file's spectrogram in dB.
    boxes : What each mask hides.
    value : What hidden cells are set to: a number in dB, "floor" or "mean".

    Returns
    -------
    The scores of the whole sound and under each mask.

    Raises
    ------
    SettingsError
        An unknown fill.
    """
    fast = scoring.folded(network)
    s = network.settings
    fill = {"floor": float(mel.min()), "mean": float(mel.mean())}.get(value) if isinstance(value, str) else float(value)
    if fill is None:
        raise SettingsError(f'A mask is filled with "floor", "mean" or a number of dB, not {value!r}.')
    views = spectrogram.segments(mel, s.segment_length, s.segment_hop)
    whole = scoring.run_cnn(fast, [views], len(views))
    base = fast.model.head(whole[None], torch.tensor([len(whole)], device=mel.device))[0]
    touched = [_touched(mel, box, fill, len(views), s.segment_length, s.segment_hop) for box in boxes]
    counts = [len(t) for t in touched]
    copies = (_masked(views, box, t, fill, s.segment_hop) for box, t in zip(boxes, touched, strict=True))
    changed = scoring.run_cnn(fast, copies, sum(counts)).split(counts)
    scores = base.repeat(len(boxes), 1)
    work = [i for i, count in enumerate(counts) if count]
    per_batch = max(1, HEAD_BATCH // len(whole))
    for start in range(0, len(work), per_batch):
        batch = work[start : start + per_batch]
        features = whole.repeat(len(batch), 1, 1)
        for row, i in enumerate(batch):
            features[row, touched[i]] = changed[i]
        scores[batch] = fast.model.head(features, torch.full((len(batch),), len(whole), device=mel.device))
    return Occlusion(s.outputs, base.cpu().numpy(), boxes, scores.cpu().numpy(), sum(counts), len(boxes) * len(views))


def _touched(mel: Tensor, box: Box, fill: float, count: int, length: int, hop: int) -> Tensor:
    """Indices of the segments that a mask changes: those that hold a masked frame which is not at `fill` already."""
    region = mel[box.frame : box.frame + box.frames, box.band : box.band + box.bands]
    frames = (region != fill).any(dim=1).nonzero().flatten() + box.frame
    if not len(frames):
        return frames
    starts = torch.arange(count, device=mel.device) * hop
    # A segment is touched if the number of changed frames before its end exceeds that before its start.
    before = torch.searchsorted(frames, torch.stack([starts, starts + length]))
    return (before[1] > before[0]).nonzero().flatten()


def _masked(views: Tensor, box: Box, touched: Tensor, fill: float, hop: int) -> Tensor:
    """Copies of the touched segments with the box filled."""
    out = views[touched].clone()
    frame = touched[:, None] * hop + torch.arange(out.shape[2], device=out.device)
    inside = (frame >= box.frame) & (frame < box.frame + box.frames)
    bands = out[:, box.band : box.band + box.bands]
    bands.masked_fill_(inside[:, None, :], fill)
    return out
