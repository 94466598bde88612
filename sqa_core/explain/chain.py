"""The CNN in the form in which captum explains it: a plain chain of modules, each with a rule."""

from typing import Literal, get_args

import torch
from jaxtyping import Float
from torch import Tensor, nn

from .. import scoring
from ..errors import SettingsError
from ..models.weights import Network

# The form of the network that DeepLIFT is given: ReLUs called as functions, which captum does not see; ReLUs as modules; and modules
# with a copy of the tensor between a ReLU and the pool that follows it, which restores completeness.
Variant = Literal["functions", "modules", "complete"]
ROWS = 64  # through the CNN at once; the maps of more leave the cache


class _Columns(nn.Module):
    """Windows of an adaptive pool side by side, each as wide as the widest: a repeated column changes no maximum."""

    index: Tensor

    def __init__(self, index: list[int]):
        super().__init__()
        self.register_buffer("index", torch.tensor(index))

    def forward(self, x: Tensor) -> Tensor:
        return x[:, :, :, self.index]


class _Copy(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return x.clone()


class _Relu(nn.Module):
    """The function of nn.ReLU in a module that captum has no rule for, as a call of F.relu is."""

    def forward(self, x: Tensor) -> Tensor:
        return torch.relu(x)


def explained_cnn(network: Network, variant: str = "complete") -> nn.Sequential:
    """The CNN as a plain chain with the same outputs, in the form that DeepLIFT's rules need.

    captum replaces the gradient of each nonlinear module by a hook on its input. Where a max pool takes a ReLU's output as it is,
    both hook one tensor: the ReLU then reads a gradient that the pool has not yet replaced. A copy between them separates the two.
    Batch norms are folded into the convolutions; both are linear, so no rule is affected.

    Parameters
    ----------
    network : Its CNN is copied, not changed.
    variant : "functions" has ReLUs as functions, which captum does not see; "modules" has them as modules; "complete" also has the copies.

    Returns
    -------
    A chain from segments (n, 1, mels, length) to features (n, features).

    Raises
    ------
    SettingsError
        An unknown variant.
    """
    if variant not in get_args(Variant):
        raise SettingsError(f'A variant of DeepLIFT is "functions", "modules" or "complete", not {variant!r}.')
    cnn = scoring.fused_convolutions(network)
    pools = {1: cnn.pool1, 2: cnn.pool2, 4: cnn.pool3}
    chain: dict[str, nn.Module] = {}
    width = network.settings.segment_length
    for i in range(1, 7):
        chain[f"conv{i}"] = cnn.get_submodule(f"conv{i}")
        chain[f"relu{i}"] = _Relu() if variant == "functions" else nn.ReLU()
        if i in pools:
            if variant == "complete":
                chain[f"copy{i}"] = _Copy()
            for name, module in _plain_pool(pools[i], width).items():
                chain[f"{name}{i}"] = module
            width = _width_after(pools[i], width)
    chain["flatten"] = nn.Flatten()
    for name in ("fc_out", "relu_out"):
        if hasattr(cnn, name) and not isinstance(getattr(cnn, name), nn.Identity):
            chain[name] = getattr(cnn, name)
    if variant == "functions" and "relu_out" in chain:
        chain["relu_out"] = _Relu()
    model = nn.Sequential()
    for name, module in chain.items():
        model.add_module(name, module)
    return model.eval().requires_grad_(False).to(memory_format=torch.channels_last)  # type: ignore[call-overload]


def _plain_pool(pool: nn.Module, width: int) -> dict[str, nn.Module]:
    """A max pool that captum has a rule for. An adaptive one overlaps, and captum's rule holds for disjoint windows only."""
    if isinstance(pool, nn.MaxPool2d):
        return {"pool": nn.MaxPool2d(pool.kernel_size, pool.stride, pool.padding)}
    windows = _windows(pool, width)
    widest = max(map(len, windows))
    index = [w[min(k, len(w) - 1)] for w in windows for k in range(widest)]
    return {"columns": _Columns(index), "pool": nn.MaxPool2d((2, widest))}


def _windows(pool: nn.Module, width: int) -> list[range]:
    n = pool.output_size[1]  # type: ignore[index]
    return [range(i * width // n, -(-(i + 1) * width // n)) for i in range(n)]


def _width_after(pool: nn.Module, width: int) -> int:
    if isinstance(pool, nn.MaxPool2d):
        padding = pool.padding[1] if isinstance(pool.padding, tuple) else pool.padding
        return (width + 2 * padding) // 2
    return len(_windows(pool, width))


@torch.no_grad()
def features_of(network: Network, segments: Float[Tensor, "segments mels length"]) -> Float[Tensor, "segments features"]:
    """Outputs of the network's CNN, computed for `ROWS` segments at a time.

    Parameters
    ----------
    segments : in dB, on the device of the network.

    Returns
    -------
    (segments, features), without gradients.
    """
    cnn = explained_cnn(network)
    return torch.cat([cnn(part.unsqueeze(1)) for part in segments.split(ROWS)])
