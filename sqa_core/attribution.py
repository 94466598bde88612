"""Attributions: how much each point of a segment's spectrogram, or each point of a layer's maps, moves an output.

Three methods against a baseline: integrated gradients (Sundararajan et al. 2017, arXiv:1703.01365), DeepLIFT with the rescale rule
(Shrikumar et al. 2017, arXiv:1704.02685) and layer conductance (Dhamdhere et al. 2018, arXiv:1805.12233). All of them promise
completeness: the parts of a map sum to the output's difference from that of the baseline. `completeness` says how far each is off.

The CNN is explained alone, as in the paper, segment by segment; `through_time` goes through the whole network.
"""

import threading
import warnings
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from typing import Any, Literal

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor, nn

from . import scoring, spectrogram
from .errors import SettingsError
from .models.weights import Network

BASELINES = ("zero", "floor", "min", "noise")
Baseline = Literal["zero", "floor", "min", "noise"]
# How DeepLIFT sees the network: ReLUs called as functions, which captum does not know of; ReLUs as modules; and modules with a
# copy of the tensor between a ReLU and the pool that follows it.
Variant = Literal["functions", "modules", "complete"]
MOST_STEPS = 200  # of a quadrature, however far it misses
AHEAD = 4  # parts that are computed before the first is taken
ROWS = 64  # through the CNN at once; the maps of more leave the cache
SEGMENTS_AT_ONCE = 4  # of a conductance, times its steps
FLOOR_DB = -spectrogram.RANGE_DB


def baseline_of(mel: Float[Tensor, "frames mels"], kind: str, seed: int = 0) -> Float[Tensor, "frames mels"]:
    """The spectrogram that stands for "nothing there".

    "zero" is 0 dB in every band, which is full scale and not silence; "floor" is -80 dB; "min" the file's own minimum; "noise" is
    drawn from a normal distribution with the file's mean and standard deviation.
    """
    if kind == "noise":
        generator = torch.Generator().manual_seed(seed)
        return (torch.randn(mel.shape, generator=generator) * mel.std().cpu() + mel.mean().cpu()).to(mel.device)
    values = {"zero": 0.0, "floor": FLOOR_DB, "min": float(mel.min())}
    if kind not in values:
        raise SettingsError(f"A baseline is one of {', '.join(BASELINES)}, not {kind!r}.")
    return torch.full_like(mel, values[kind])


def segments_of(network: Network, mel: Float[Tensor, "frames mels"], hop: int = 1) -> Float[Tensor, "segments mels length"]:
    """Segments of a spectrogram; at a hop of 1 there is one for each frame, as in the paper."""
    return spectrogram.segments(mel, network.settings.segment_length, hop)


def segments_against(
    network: Network, mel: Float[Tensor, "frames mels"], kind: str, hop: int = 1
) -> tuple[Float[Tensor, "segments mels length"], Float[Tensor, "segments mels length"]]:
    """Segments of a spectrogram, and those of its baseline (`baseline_of`)."""
    return segments_of(network, mel, hop), segments_of(network, baseline_of(mel, kind), hop)


def overlap_mean(maps: Float[Tensor, "segments mels length"], n_frames: int, hop: int = 1) -> Float[np.ndarray, "mels frames"]:
    """One map of the whole file: each frame is the mean over the segments that hold it (up to 15); NaN where none does."""
    count, mels, length = maps.shape
    total, times = torch.zeros(n_frames, mels), torch.zeros(n_frames, 1)
    for offset in range(length):
        where = torch.arange(count) * hop + offset
        total[where] += maps[:, :, offset].cpu()
        times[where] += 1
    return (total / times).T.numpy()


def completeness(
    maps: Float[Tensor, "*rows mels length"], outputs: Float[Tensor, "*rows"], of_baseline: Float[Tensor, "*rows"]
) -> Float[Tensor, "*rows"]:
    """Sum of each map minus the difference that it should explain."""
    return maps.double().sum(dim=(-2, -1)) - (outputs.double() - of_baseline.double())


def relative_error(errors: Float[Tensor, "segments *features"], differences: Float[Tensor, "segments *features"]) -> Tensor:
    """Largest error over the segments, relative to the mean size of the difference explained; one number a feature."""
    return errors.abs().amax(dim=0) / differences.double().abs().mean(dim=0).clamp(min=1e-12)


class _Columns(nn.Module):
    """Windows of an adaptive pool laid side by side, each as wide as the widest: a column that stands twice changes no maximum."""

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
    """The same function as nn.ReLU in a module that captum has no rule for: what a call of F.relu is to it."""

    def forward(self, x: Tensor) -> Tensor:
        return torch.relu(x)


def explained_cnn(network: Network, variant: str = "complete") -> nn.Sequential:
    """The CNN as a plain chain with the same outputs, in the form that DeepLIFT's rules need.

    captum replaces the gradient of each nonlinear module by a hook on its input. Where a max pool takes a ReLU's output as it is,
    both hook one tensor: the ReLU then reads a gradient that the pool has not yet replaced. A copy between them parts the two.
    Batch norms are folded into the convolutions; both are linear, so no rule is touched.
    """
    if variant not in ("functions", "modules", "complete"):
        raise SettingsError(f'DeepLIFT sees the network as "functions", "modules" or "complete", not {variant!r}.')
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
    """A max pool that captum has a rule for. An adaptive one overlaps, and captum's rule holds for windows apart only."""
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
    """The CNN's outputs, in chunks."""
    cnn = explained_cnn(network)
    return torch.cat([cnn(part.unsqueeze(1)) for part in segments.split(ROWS)])


def missed(
    network: Network,
    maps: Float[Tensor, "segments features mels length"],
    segments: Float[Tensor, "segments mels length"],
    baselines: Float[Tensor, "segments mels length"],
    features: Sequence[int],
) -> list[float]:
    """`relative_error` of each feature's maps."""
    ends, starts = (features_of(network, x)[:, list(features)] for x in (segments, baselines))
    return relative_error(completeness(maps, ends, starts), ends - starts).tolist()


def integrated_gradients(
    network: Network,
    segments: Float[Tensor, "segments mels length"],
    baselines: Float[Tensor, "segments mels length"],
    features: Sequence[int],
    steps: int = 50,
) -> Float[Tensor, "segments features mels length"]:
    """Gradients of the CNN's outputs along the straight way from the baselines, by Gauss-Legendre quadrature as in captum.

    Each forward pass serves all features: captum, called once a feature, would make it anew for each. Memory holds `ROWS` rows.
    """
    cnn = network.model.cnn
    nodes, weights = (torch.tensor(v, dtype=segments.dtype, device=segments.device) for v in _quadrature(steps))

    def of_rows(rows: Tensor) -> tuple[Tensor, Tensor]:
        which, step = rows[:, 0], rows[:, 1]
        way = (segments - baselines)[which]
        x = (baselines[which] + nodes[step, None, None] * way).unsqueeze(1).requires_grad_()
        with torch.enable_grad():
            outputs = cnn(x)
        gradients = [
            torch.autograd.grad(outputs[:, feature].sum(), x, retain_graph=column + 1 < len(features))[0]
            for column, feature in enumerate(features)
        ]
        return which, torch.cat(gradients, dim=1) * (weights[step, None, None] * way).unsqueeze(1)

    maps = segments.new_zeros(len(segments), len(features), *segments.shape[1:])
    for which, part in _in_threads(of_rows, _pairs(len(segments), steps, segments.device), network.device):
        maps.index_add_(0, which, part)
    return maps


def _pairs(rows: int, columns: int, device: torch.device) -> Tensor:
    return torch.cartesian_prod(torch.arange(rows, device=device), torch.arange(columns, device=device))


def _in_threads(function: Callable[[Tensor], Any], rows: Tensor, device: str, at_once: int = ROWS) -> Iterator[Any]:
    """`function` of some rows at a time, in order; on a CPU by threads that compute alone, a few parts ahead and no more."""
    parts = rows.split(at_once)
    if len(parts) == 1 or device != "cpu":
        yield from map(function, parts)
        return
    with scoring.each_alone() as pool:
        waiting = deque(pool.submit(function, part) for part in parts[:AHEAD])
        for part in (*parts[AHEAD:], *[None] * min(AHEAD, len(parts))):
            yield waiting.popleft().result()
            if part is not None:
                waiting.append(pool.submit(function, part))


def _quadrature(steps: int) -> tuple[np.ndarray, np.ndarray]:
    """Nodes and weights of Gauss and Legendre on [0, 1]."""
    nodes, weights = np.polynomial.legendre.leggauss(steps)
    return (nodes + 1) / 2, weights / 2


def integrated_gradients_within(
    network: Network,
    segments: Float[Tensor, "segments mels length"],
    baselines: Float[Tensor, "segments mels length"],
    features: Sequence[int],
    tolerance: float = 0.01,
    steps: int = 50,
    cap: int = MOST_STEPS,
) -> tuple[Tensor, Float[Tensor, "segments features"], Tensor]:
    """`integrated_gradients` with twice the steps, up to `cap`, wherever completeness is off by more than `tolerance`.

    The tolerance is relative to the mean difference that a feature's maps explain. Returns maps, errors, and the steps taken for
    each segment.
    """
    ends, starts = features_of(network, segments)[:, features], features_of(network, baselines)[:, features]
    allowed = tolerance * (ends - starts).abs().mean(dim=0).double()
    maps = integrated_gradients(network, segments, baselines, features, steps)
    errors = completeness(maps, ends, starts)
    taken = torch.full((len(segments),), steps, device=segments.device)
    while steps < cap:
        worse = (errors.abs() > allowed).any(dim=1).nonzero().flatten()
        if not len(worse):
            break
        steps *= 2
        maps[worse] = integrated_gradients(network, segments[worse], baselines[worse], features, steps)
        errors[worse] = completeness(maps[worse], ends[worse], starts[worse])
        taken[worse] = steps
    return maps, errors, taken


def deeplift(
    network: Network,
    segments: Float[Tensor, "segments mels length"],
    baselines: Float[Tensor, "segments mels length"],
    features: Sequence[int],
    variant: str = "complete",
) -> Float[Tensor, "segments features mels length"]:
    """captum's DeepLIFT on the CNN in the form of `variant`; segments and features go together, `ROWS` at a time."""
    from captum.attr import DeepLift

    chains = threading.local()  # captum leaves what its hooks saw in the modules, so each thread has a chain of its own
    targets = torch.tensor(features, device=segments.device)

    def of_rows(rows: Tensor) -> tuple[Tensor, Tensor]:
        if not hasattr(chains, "method"):
            chains.method = DeepLift(explained_cnn(network, variant))
        which, column = rows[:, 0], rows[:, 1]
        with torch.enable_grad():
            found = chains.method.attribute(segments[which].unsqueeze(1), baselines[which].unsqueeze(1), target=targets[column])
        return rows, found.detach()[:, 0]

    maps = torch.empty(len(segments), len(features), *segments.shape[1:], device=segments.device)
    everything = _pairs(len(segments), len(features), segments.device)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # captum announces its hooks at each call
        for rows, part in _in_threads(of_rows, everything, network.device):
            maps[rows[:, 0], rows[:, 1]] = part
    return maps


def conductance(
    network: Network,
    segments: Float[Tensor, "segments mels length"],
    baselines: Float[Tensor, "segments mels length"],
    feature: int,
    layer: int,
    steps: int = 50,
) -> Float[Tensor, "segments channels height width"]:
    """captum's layer conductance of one CNN output through the maps of convolution `layer` (1 to 6)."""
    from captum.attr import LayerConductance

    if not 1 <= layer <= 6:
        raise SettingsError(f"The convolutions are numbered 1 to 6; there is no {layer}.")
    chains = threading.local()

    def of_rows(rows: Tensor) -> Tensor:
        if not hasattr(chains, "method"):
            cnn = explained_cnn(network, "functions")
            chains.method = LayerConductance(cnn, cnn.get_submodule(f"conv{layer}"))
        with torch.enable_grad():
            return chains.method.attribute(
                segments[rows].unsqueeze(1), baselines[rows].unsqueeze(1), target=feature, n_steps=steps
            ).detach()

    # Few segments at once, each with all its steps: captum's own cutting into parts takes longer than it saves.
    return torch.cat(list(_in_threads(of_rows, torch.arange(len(segments), device=segments.device), network.device, SEGMENTS_AT_ONCE)))


def conductance_within(
    network: Network,
    segment: Float[Tensor, "mels length"],
    baseline: Float[Tensor, "mels length"],
    feature: int,
    layer: int,
    tolerance: float = 0.01,
    cap: int = MOST_STEPS,
) -> tuple[Float[Tensor, "channels height width"], float, int]:
    """`conductance` of one segment with 50 steps, and twice as many up to `cap` until completeness is within `tolerance`.

    Returns the maps, their error relative to the difference explained, and the steps taken.
    """
    start, end = features_of(network, torch.stack([baseline, segment]))[:, feature].double()

    def attempt(steps: int) -> tuple[Tensor, float]:
        maps = conductance(network, segment[None], baseline[None], feature, layer, steps)[0]
        return maps, float((maps.double().sum() - (end - start)).abs() / (end - start).abs().clamp(min=1e-12))

    return _within(attempt, tolerance, cap)


def _within(attempt: Callable[[int], tuple[Tensor, float]], tolerance: float, cap: int) -> tuple[Tensor, float, int]:
    """`attempt` with 50 steps, and twice as many up to `cap` until its error is within `tolerance`; with error and steps."""
    steps = 50
    while True:
        maps, error = attempt(steps)
        if error <= tolerance or 2 * steps > cap:
            return maps, error, steps
        steps *= 2


def through_time(
    network: Network,
    mel: Float[Tensor, "frames mels"],
    baseline: Float[Tensor, "frames mels"],
    outputs: Sequence[str],
    steps: int = 50,
) -> tuple[Float[Tensor, "outputs frames mels"], Float[Tensor, " outputs"]]:
    """Integrated gradients of whole scores, through the CNN, time dependency and pooling; and the completeness errors.

    One step at a time, so memory holds one pass of the file.
    """
    fast = scoring.folded(network)
    model, s = fast.model.requires_grad_(False), network.settings
    columns = [s.outputs.index(name) for name in outputs]
    maps = mel.new_zeros(len(columns), *mel.shape)

    def scores(x: Tensor) -> Tensor:
        cut = spectrogram.segments(x, s.segment_length, s.segment_hop)
        features = torch.cat([model.cnn(part.unsqueeze(1)) for part in cut.split(ROWS)])
        return model.head(features[None], torch.tensor([len(features)], device=x.device))[0, columns]

    for node, weight in zip(*_quadrature(steps), strict=True):
        x = (baseline + float(node) * (mel - baseline)).requires_grad_()
        with torch.enable_grad():
            found = scores(x)
        for i in range(len(columns)):
            (gradient,) = torch.autograd.grad(found[i], x, retain_graph=i + 1 < len(columns))
            maps[i] += float(weight) * gradient
    maps *= mel - baseline
    with torch.no_grad():
        ends, starts = scores(mel), scores(baseline)
    return maps, completeness(maps, ends, starts)


def through_time_within(
    network: Network,
    mel: Float[Tensor, "frames mels"],
    baseline: Float[Tensor, "frames mels"],
    output: str,
    tolerance: float = 0.01,
    cap: int = MOST_STEPS,
) -> tuple[Float[Tensor, "frames mels"], float, int]:
    """`through_time` for one output with 50 steps, and twice as many up to `cap` until completeness is within `tolerance`.

    Returns the map, its error relative to the difference explained, and the steps taken.
    """

    def attempt(steps: int) -> tuple[Tensor, float]:
        maps, errors = through_time(network, mel, baseline, [output], steps)
        difference = maps[0].double().sum() - errors[0]
        return maps[0], float(errors[0].abs() / difference.abs().clamp(min=1e-12))

    return _within(attempt, tolerance, cap)
