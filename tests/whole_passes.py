"""The definition of occlusion, which the fast implementation must equal and is timed against."""

import numpy as np
import torch

from sqa_core import spectrogram


@torch.inference_mode()
def by_whole_passes(network, mel, boxes, fill) -> np.ndarray:
    """(masks, outputs): one pass of the whole network a mask."""
    s = network.settings
    scores = []
    for box in boxes:
        masked = mel.clone()
        masked[box.frame : box.frame + box.frames, box.band : box.band + box.bands] = fill
        cut = spectrogram.segments(masked, s.segment_length, s.segment_hop)
        scores.append(network.model(cut[None], torch.tensor([len(cut)]))[0].numpy())
    return np.array(scores)
