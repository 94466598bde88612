"""Attribution: how much each point of a segment's spectrogram, or of a layer's maps, contributes to an output.

Three methods compare with a baseline: integrated gradients (Sundararajan et al. 2017, arXiv:1703.01365), DeepLIFT with the rescale
rule (Shrikumar et al. 2017, arXiv:1704.02685) and layer conductance (Dhamdhere et al. 2018, arXiv:1805.12233). All of them satisfy
completeness in theory: the values of a map sum to the output's difference from that of the baseline. Every function returns an
`Attribution`, which says how far it is off.

The CNN is explained alone, segment by segment, as in the paper; `through_time` goes through the whole network.
"""

import threading
import warnings
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from .. import scoring, spectrogram
from ..errors import SettingsError
from ..models.weights import Network
from ..threads import in_threads
from .chain import ROWS, explained_cnn, features_of

BASELINES = ("zero", "floor", "min", "noise")
Baseline = Literal["zero", "floor", "min", "noise"]
STEPS = 50  # of a quadrature; captum's default
MAX_STEPS = 200  # where a completeness limit needs more
AHEAD = 4  # chunks in flight before the first is used
SEGMENTS_AT_ONCE = 4  # of a conductance, times its steps
FLOOR_DB = -spectrogram.RANGE_DB


@dataclass(frozen=True)
class Attribution:
    """Maps with their own check.

    maps : (rows, features, ...) for segments, (outputs, frames, mels) for whole files.
    completeness : (rows, features) or (outputs,), the sum of each map minus the difference that it should explain; 0 in theory.
    explained : the same shape, that difference.
    steps : quadrature steps for each row, or None for DeepLIFT, which takes none.
    """

    maps: Tensor
    completeness: Tensor
    explained: Tensor
    steps: Tensor | None = None

    def relative_error(self) -> Tensor:
        """One number a feature: the largest completeness error over the rows, relative to the mean size of the difference explained."""
        errors, sizes = (x.double().abs().reshape(-1, x.shape[-1]) for x in (self.completeness, self.explained))
        return errors.amax(dim=0) / sizes.mean(dim=0).clamp(min=1e-12)

    @property
    def max_steps(self) -> int | None:
        return None if self.steps is None else int(self.steps.max())


def _checked(maps: Tensor, outputs: Tensor, of_baseline: Tensor, steps: Tensor | None = None) -> Attribution:
    """Maps with their completeness, in double precision."""
    explained = outputs.double() - of_baseline.double()
    return Attribution(maps, maps.double().flatten(explained.dim()).sum(dim=-1) - explained, explained, steps)


def baseline_of(mel: Float[Tensor, "frames mels"], kind: str, seed: int = 0) -> Float[Tensor, "frames mels"]:
    """The spectrogram that a method compares with.

    Parameters
    ----------
    mel : The file's spectrogram in dB.
    kind : "zero" is 0 dB in every band, which is full scale and not silence; "floor" is -80 dB; "min" the file's own minimum; "noise" is
        drawn from a normal distribution with the file's mean and standard deviation.
    seed : Of the noise.

    Returns
    -------
    (frames, mels) in dB, on the device of `mel`.

    Raises
    ------
    SettingsError
        Another kind.

    Examples
    --------
    >>> baseline_of(torch.tensor([[-10.0, -60.0]]), "min")
    tensor([[-60., -60.]])
    """
    if kind == "noise":
        generator = torch.Generator().manual_seed(seed)
        return (torch.randn(mel.shape, generator=generator) * mel.std().cpu() + mel.mean().cpu()).to(mel.device)
    values = {"zero": 0.0, "floor": FLOOR_DB, "min": float(mel.min())}
    if kind not in values:
        raise SettingsError(f"A baseline is one of {', '.join(BASELINES)}, not {kind!r}.")
    return torch.full_like(mel, values[kind])


def segments_of(network: Network, mel: Float[Tensor, "frames mels"], hop: int = 1) -> Float[Tensor, "segments mels length"]:
    """Segments of a spectrogram, of the length that the network takes.

    Parameters
    ----------
    mel : the file's spectrogram in dB.
    hop : frames from segment to segment; at 1 there is one for each frame that a whole segment can start at, as in the paper.

    Returns
    -------
    (segments, mels, length) in dB, a view of `mel`.

    Raises
    ------
    RuntimeError
        The spectrogram has fewer frames than a segment.
    """
    return spectrogram.segments(mel, network.settings.segment_length, hop)


def segments_against(
    network: Network, mel: Float[Tensor, "frames mels"], kind: str, hop: int = 1
) -> tuple[Float[Tensor, "segments mels length"], Float[Tensor, "segments mels length"]]:
    """Segments of a spectrogram, and those of its baseline.

    Parameters
    ----------
    mel : the file's spectrogram in dB.
    kind : of the baseline, as in `baseline_of`.
    hop : frames from segment to segment.

    Returns
    -------
    Segments of the spectrogram and of the baseline, each (segments, mels, length) in dB.

    Raises
    ------
    SettingsError
        There is no such baseline.
    RuntimeError
        The spectrogram has fewer frames than a segment.
    """
    return segments_of(network, mel, hop), segments_of(network, baseline_of(mel, kind), hop)


def overlap_mean(maps: Float[Tensor, "segments mels length"], n_frames: int, hop: int = 1) -> Float[np.ndarray, "mels frames"]:
    """One map of the whole file from maps of its segments: each frame is the mean over the segments that hold it (up to 15); NaN where
    none does.

    Parameters
    ----------
    maps : One map per segment, `hop` frames apart.
    n_frames : Frames of the whole file.

    Returns
    -------
    (mels, n_frames), in the unit of `maps`.

    Examples
    --------
    >>> overlap_mean(torch.tensor([[[1.0, 2.0]], [[4.0, 6.0]]]), n_frames=3)
    array([[1., 3., 6.]], dtype=float32)
    """
    count, mels, length = maps.shape

    def fold(x: Tensor) -> Tensor:
        # Overlap-add of columns: fold takes (batch, channels × kernel, blocks).
        covered = (count - 1) * hop + length
        flat = x.permute(1, 2, 0).reshape(1, -1, count)
        return torch.nn.functional.fold(flat, (1, covered), (1, length), stride=(1, hop))[0, :, 0]

    x = maps.cpu().float()
    mean = fold(x) / fold(torch.ones(count, 1, length))
    out = np.full((mels, n_frames), np.nan, np.float32)
    out[:, : mean.shape[1]] = mean[:, :n_frames].numpy()
    return out


def _outputs_at_ends(network: Network, segments: Tensor, baselines: Tensor, features: list[int]) -> tuple[Tensor, Tensor]:
    """(segments, features) each: the explained outputs of the segments and of their baselines, whose difference a complete map sums to."""
    return features_of(network, segments)[:, features], features_of(network, baselines)[:, features]


def integrated_gradients(
    network: Network,
    segments: Float[Tensor, "segments mels length"],
    baselines: Float[Tensor, "segments mels length"],
    features: Sequence[int],
    steps: int = STEPS,
    tolerance: float | None = None,
    max_steps: int = MAX_STEPS,
) -> Attribution:
    """Gradients of the CNN's outputs along the straight line from the baselines, by Gauss-Legendre quadrature as in captum.

    One forward pass serves all features; captum, called once a feature, repeats it for each. Memory holds `ROWS` rows.

    Parameters
    ----------
    features : the CNN outputs to explain.
    tolerance : if given, segments whose completeness error is larger take twice the steps, up to `max_steps`. It is relative to the mean
        difference that a feature's maps explain.

    Returns
    -------
    Attribution with maps (segments, features, mels, length).
    """
    chosen = list(features)
    ends, starts = _outputs_at_ends(network, segments, baselines, chosen)
    maps = _gradients_on_line(network, segments, baselines, chosen, steps)
    taken = torch.full((len(segments),), steps, device=segments.device)
    found = _checked(maps, ends, starts, taken)
    while tolerance is not None and 2 * steps <= max_steps:
        allowed = tolerance * found.explained.abs().mean(dim=0)
        worse = (found.completeness.abs() > allowed).any(dim=1).nonzero().flatten()
        if not len(worse):
            break
        steps *= 2
        maps[worse] = _gradients_on_line(network, segments[worse], baselines[worse], chosen, steps)
        taken[worse] = steps
        found = _checked(maps, ends, starts, taken)
    return found


def _gradients_on_line(network: Network, segments: Tensor, baselines: Tensor, features: list[int], steps: int) -> Tensor:
    cnn = network.model.cnn
    nodes, weights = (torch.tensor(v, dtype=segments.dtype, device=segments.device) for v in _quadrature(steps))

    def of_rows(rows: Tensor) -> tuple[Tensor, Tensor]:
        which, step = rows[:, 0], rows[:, 1]
        line = (segments - baselines)[which]
        x = (baselines[which] + nodes[step, None, None] * line).unsqueeze(1).requires_grad_()
        with torch.enable_grad():
            outputs = cnn(x)
        gradients = [
            torch.autograd.grad(outputs[:, feature].sum(), x, retain_graph=column + 1 < len(features))[0]
            for column, feature in enumerate(features)
        ]
        return which, torch.cat(gradients, dim=1) * (weights[step, None, None] * line).unsqueeze(1)

    maps = segments.new_zeros(len(segments), len(features), *segments.shape[1:])
    for which, part in _in_threads(of_rows, _pairs(len(segments), steps, segments.device), network.device):
        maps.index_add_(0, which, part)
    return maps


def _pairs(rows: int, columns: int, device: torch.device) -> Tensor:
    return torch.cartesian_prod(torch.arange(rows, device=device), torch.arange(columns, device=device))


def _in_threads(function: Callable[[Tensor], Any], rows: Tensor, device: str, at_once: int = ROWS) -> Iterator[Any]:
    """`function` of some rows at a time, in order; on a CPU in threads that compute alone, at most AHEAD parts in flight."""
    parts = rows.split(at_once)
    if len(parts) == 1 or device != "cpu":
        yield from map(function, parts)
        return
    yield from in_threads(function, parts, AHEAD)


def _quadrature(steps: int) -> tuple[np.ndarray, np.ndarray]:
    """Nodes and weights of Gauss and Legendre on [0, 1]."""
    nodes, weights = np.polynomial.legendre.leggauss(steps)
    return (nodes + 1) / 2, weights / 2


def deeplift(
    network: Network,
    segments: Float[Tensor, "segments mels length"],
    baselines: Float[Tensor, "segments mels length"],
    features: Sequence[int],
    variant: str = "complete",
) -> Attribution:
    """captum's DeepLIFT on the CNN in the form of `variant` (`explained_cnn`), `ROWS` pairs of segment and feature at a time.

    Returns
    -------
    Attribution with maps (segments, features, mels, length).
    """
    from captum.attr import DeepLift

    chains = threading.local()  # captum keeps what its hooks saw in the modules, so each thread needs a chain of its own
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
    ends, starts = _outputs_at_ends(network, segments, baselines, list(features))
    return _checked(maps, ends, starts)


def conductance(
    network: Network,
    segments: Float[Tensor, "segments mels length"],
    baselines: Float[Tensor, "segments mels length"],
    features: Sequence[int],
    layer: int,
    steps: int = STEPS,
    tolerance: float | None = None,
    max_steps: int = MAX_STEPS,
) -> Attribution:
    """captum's layer conductance of CNN outputs through the maps of convolution `layer` (1 to 6).

    Returns
    -------
    Attribution with maps (segments, features, channels, height, width).

    Raises
    ------
    SettingsError
        There is no such layer.
    """
    if not 1 <= layer <= 6:
        raise SettingsError(f"The convolutions are numbered 1 to 6; there is no {layer}.")
    chosen = list(features)
    ends, starts = _outputs_at_ends(network, segments, baselines, chosen)

    def attempt(n: int) -> Attribution:
        maps = torch.stack([_conductance_of(network, segments, baselines, f, layer, n) for f in chosen], dim=1)
        return _checked(maps, ends, starts, torch.full((len(segments),), n, device=segments.device))

    return _refined(attempt, steps, tolerance, max_steps)


def _conductance_of(network: Network, segments: Tensor, baselines: Tensor, feature: int, layer: int, steps: int) -> Tensor:
    """(segments, channels, height, width) of one CNN output."""
    from captum.attr import LayerConductance

    chains = threading.local()

    def of_rows(rows: Tensor) -> Tensor:
        if not hasattr(chains, "method"):
            cnn = explained_cnn(network, "functions")
            chains.method = LayerConductance(cnn, cnn.get_submodule(f"conv{layer}"))
        x, x0 = segments[rows].unsqueeze(1), baselines[rows].unsqueeze(1)
        with torch.enable_grad():
            return chains.method.attribute(x, x0, target=feature, n_steps=steps).detach()

    # Few segments at once, each with all its steps: captum's own splitting of steps costs more than it saves.
    rows = torch.arange(len(segments), device=segments.device)
    return torch.cat(list(_in_threads(of_rows, rows, network.device, SEGMENTS_AT_ONCE)))


def _refined(attempt: Callable[[int], Attribution], steps: int, tolerance: float | None, max_steps: int) -> Attribution:
    """An attempt with twice the steps, up to `max_steps`, until every completeness error is within `tolerance` of its difference."""
    while True:
        found = attempt(steps)
        if tolerance is None or float(found.relative_error().max()) <= tolerance or 2 * steps > max_steps:
            return found
        steps *= 2


def through_time(
    network: Network,
    mel: Float[Tensor, "frames mels"],
    baseline: Float[Tensor, "frames mels"],
    outputs: Sequence[str],
    steps: int = STEPS,
    tolerance: float | None = None,
    max_steps: int = MAX_STEPS,
) -> Attribution:
    """Integrated gradients of whole scores, through the CNN, time dependency and pooling. Memory holds one pass of the file.

    Returns
    -------
    Attribution with maps (outputs, frames, mels).
    """
    fast = scoring.folded(network)
    model, s = fast.model.requires_grad_(False), network.settings
    columns = [s.outputs.index(name) for name in outputs]

    def scores(x: Tensor) -> Tensor:
        cut = spectrogram.segments(x, s.segment_length, s.segment_hop)
        features = torch.cat([model.cnn(part.unsqueeze(1)) for part in cut.split(ROWS)])
        return model.head(features[None], torch.tensor([len(features)], device=x.device))[0, columns]

    return along_line(scores, mel, baseline, steps, tolerance, max_steps)


def along_line(
    scores: Callable[[Tensor], Tensor],
    x: Float[Tensor, "frames mels"],
    baseline: Float[Tensor, "frames mels"],
    steps: int = STEPS,
    tolerance: float | None = None,
    max_steps: int = MAX_STEPS,
) -> Attribution:
    """Integrated gradients of any function of one array to (outputs,), by Gauss-Legendre quadrature.

    Returns
    -------
    Attribution with maps (outputs, ...) of the array's shape.
    """
    with torch.no_grad():
        ends, starts = scores(x), scores(baseline)

    def attempt(n: int) -> Attribution:
        maps = x.new_zeros(len(ends), *x.shape)
        for node, weight in zip(*_quadrature(n), strict=True):
            point = (baseline + float(node) * (x - baseline)).requires_grad_()
            with torch.enable_grad():
                found = scores(point)
            for i in range(len(ends)):
                (gradient,) = torch.autograd.grad(found[i], point, retain_graph=i + 1 < len(ends))
                maps[i] += float(weight) * gradient
        return _checked(maps * (x - baseline), ends, starts, torch.tensor([n]))

    return _refined(attempt, steps, tolerance, max_steps)
