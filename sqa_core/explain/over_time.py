"""Which moments of a sound move a score: occlusion, integrated gradients and attention over time, the same for every network of spectrograms.

A network comes as a function `score` of spectrograms of one length, (batch, frames, bands) in dB to (batch,), which gradients pass.
"""

from collections.abc import Callable

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from ..models.quality_transformer import PATCH, Block, QualityTransformer
from .attribution import along_line, baseline_of

Score = Callable[[Float[Tensor, "batch frames bands"]], Float[Tensor, " batch"]]
Mel = Float[Tensor, "frames bands"]
OverTime = Float[np.ndarray, " frames"]
BATCH = 16


@torch.inference_mode()
def occlusion(score: Score, mel: Mel, frames: int) -> OverTime:
    """Change of the score where `frames` frames at a time are replaced by the sound's mean spectrum.

    The mean and not the floor: a gap is at the floor already, and covering it with silence would change nothing.

    Parameters
    ----------
    score : Gives the score of spectrograms (n, frames, mels).
    mel : The sound's spectrogram in dB.
    frames : Length of a mask.

    Returns
    -------
    (frames,), the score with the frame hidden minus the score of the whole sound.
    """
    starts = range(0, len(mel), frames)
    copies = mel.repeat(len(starts), 1, 1)
    for copy, start in zip(copies, starts, strict=True):
        copy[start : start + frames] = mel.mean(dim=0)
    whole = score(mel[None])
    change = torch.cat([score(part) for part in copies.split(BATCH)]) - whole
    return change.repeat_interleave(frames)[: len(mel)].cpu().numpy()


def gradients(score: Score, mel: Mel, steps: int) -> OverTime:
    """Integrated gradients from full scale (0 dB everywhere) to the sound, summed over bands.

    From silence, the paper's other choice, a gap would get nothing, since it does not differ from its baseline.

    Parameters
    ----------
    score : Gives the score of spectrograms (n, frames, mels).
    mel : The sound's spectrogram in dB.
    steps : Of the integral's approximation.

    Returns
    -------
    A value for each frame, in points of the score.
    """
    maps = along_line(lambda x: score(x[None]), mel, baseline_of(mel, "zero"), steps).maps
    return maps[0].sum(dim=-1).cpu().numpy()


@torch.inference_mode()
def attention_rollout(network: QualityTransformer, mel: Mel) -> OverTime:
    """How much the two tokens that a score is read from attend to each frame through all blocks (Abnar and Zuidema, ACL 2020).

    Attention is averaged over heads, half of it replaced by the identity for the residual path, and multiplied from block to block. A
    frame has the mean of the patches that hold it. Frames after `max_frames` have 0. It does not depend on the output.

    Returns
    -------
    (frames,), a weight for each frame; they are relative and do not sum to 1.
    """
    x, valid = network.embedded(mel[None], torch.tensor([len(mel)], device=mel.device))
    flow = torch.eye(x.shape[1], device=mel.device)
    for block in network.blocks:
        assert isinstance(block, Block)
        attention = block.attention(x, valid)[0].mean(dim=0)
        flow = (attention + torch.eye(len(attention), device=mel.device)) / 2 @ flow
        x = block(x, valid)
    patches = flow[:2, 2:].mean(dim=0).unflatten(0, (network.rows, -1)).sum(dim=0)
    total, count = torch.zeros(len(mel)), torch.zeros(len(mel))
    for column, weight in enumerate(patches.cpu()):
        start = column * network.settings.stride
        total[start : start + PATCH] += weight
        count[start : start + PATCH] += 1
    return (total / count.clamp(min=1)).numpy()
