"""Losses: tensors in, one number out."""

import torch
from jaxtyping import Float


def summed_mse(predicted: Float[torch.Tensor, "batch outputs"], target: Float[torch.Tensor, "batch outputs"]) -> Float[torch.Tensor, ""]:
    """Mean squared error of each output, summed over outputs; missing labels (NaN) take no part, as in NISQA's code."""
    known = torch.isfinite(target)
    squared = torch.where(known, predicted - torch.where(known, target, 0.0), 0.0).square()
    return (squared.sum(dim=0) / known.sum(dim=0).clamp(min=1)).sum()
