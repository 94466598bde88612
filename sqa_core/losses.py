"""Losses: tensors in, one number out."""

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int


def summed_mse(predicted: Float[torch.Tensor, "batch outputs"], target: Float[torch.Tensor, "batch outputs"]) -> Float[torch.Tensor, ""]:
    """Mean squared error of each output, summed over outputs; missing labels (NaN) take no part, as in NISQA's code."""
    known = torch.isfinite(target)
    squared = torch.where(known, predicted - torch.where(known, target, 0.0), 0.0).square()
    return (squared.sum(dim=0) / known.sum(dim=0).clamp(min=1)).sum()


def nt_xent(
    a: Float[torch.Tensor, "pairs size"], b: Float[torch.Tensor, "pairs size"], temperature: float, gather: bool = True
) -> Float[torch.Tensor, ""]:
    """Normalised temperature-scaled cross-entropy (NT-Xent, Chen et al., ICML 2020): each of the 2N rows has one positive, its partner, and
    2N - 2 negatives, by cosine similarity.

    Parameters
    ----------
    a, b : Embeddings of the two sides of each pair; their norm does not matter.
    temperature : Divides the similarities.
    gather : Where torch.distributed runs, rows of all devices are negatives, and gradients flow to each device's own.

    Returns
    -------
    The mean over the 2N rows.

    Examples
    --------
    >>> same = torch.eye(4)
    >>> round(float(nt_xent(same, same, 0.5)), 4), round(float(nt_xent(same, same.roll(1, 0), 0.5)), 4)
    (0.5944, 2.5944)
    """
    normal = [F.normalize(x, dim=1) for x in (a, b)]
    rows = torch.cat([_gathered(x) for x in normal] if gather else normal)
    similarity = rows @ rows.T / temperature
    similarity.fill_diagonal_(-torch.inf)
    partner = torch.arange(len(rows), device=rows.device).roll(len(rows) // 2)
    return F.cross_entropy(similarity, partner)


def am_softmax(
    cosines: Float[torch.Tensor, "files classes"], target: Int[torch.Tensor, " files"], scale: float = 30.0, margin: float = 0.35
) -> Float[torch.Tensor, ""]:
    """Additive-margin softmax (Wang et al., IEEE SPL 2018): cross-entropy of scaled cosines, after a margin is taken from the true class's.

    Parameters
    ----------
    cosines : Between each file's embedding and each class's weight, from -1 to 1.
    target : Class numbers from 0.
    scale : Multiplies the cosines.
    margin : Taken from the true class's cosine.

    Returns
    -------
    The mean over files.

    Examples
    --------
    >>> cosines, target = torch.tensor([[0.9, 0.2], [0.1, 0.3]]), torch.tensor([0, 1])
    >>> round(float(am_softmax(cosines, target, 10.0, 0.35)), 4), round(float(am_softmax(cosines, target, 10.0, 0.0)), 4)
    (0.8656, 0.0639)
    """
    shifted = cosines - margin * F.one_hot(target, cosines.shape[1])
    return F.cross_entropy(scale * shifted, target)


def _gathered(rows: torch.Tensor) -> torch.Tensor:
    if not (torch.distributed.is_available() and torch.distributed.is_initialized() and torch.distributed.get_world_size() > 1):
        return rows
    from torch.distributed.nn.functional import all_gather

    return torch.cat(all_gather(rows))
