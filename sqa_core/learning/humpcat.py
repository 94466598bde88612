"""Training HuMP-CAT on the files of a corpus, from random weights or from a network of another corpus."""

from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor
from torch.nn import functional as F

from .. import environment
from ..losses import am_softmax
from ..models.humpcat import Humpcat, HumpcatSettings, Inputs, entropy
from .folds import seed_torch
from .loop import Checkpoint, Epoch, Validation, fit
from .streams import Streams

PREDICTED_AT_ONCE = 32


@dataclass(frozen=True)
class TrainSettings:
    """Hyper-parameters. Stated in the summary of the paper: epochs, batch_size, learning_rate, Adam and AM-Softmax.

    scale, margin : of AM-Softmax. loss : "softmax" is plain cross-entropy, on cosines without a scale or on the logits of a linear layer.
    standardise : inputs to mean 0 and variance 1 over the training files; a tuned network keeps the scales of its source.
    """

    epochs: int = 50
    batch_size: int = 32
    learning_rate: float = 1e-3
    loss: Literal["am-softmax", "softmax"] = "am-softmax"
    scale: float = 30.0
    margin: float = 0.35
    standardise: bool = True


@dataclass(frozen=True)
class Trained:
    """A trained network in evaluation mode, its epochs, and how even its attention was before them and after each, by direction: the mean
    over the watched files of `models.humpcat.entropy`."""

    network: Humpcat
    epochs: list[Epoch]
    entropies: dict[str, list[float]]


def learn(
    streams: Streams,
    labels: Int[np.ndarray, " files"],
    files: Int[np.ndarray, " chosen"],
    network: HumpcatSettings,
    settings: TrainSettings,
    seed: int,
    start: dict[str, Tensor] | None = None,
    watched: Int[np.ndarray, " few"] | None = None,
    checkpoint: Checkpoint | None = None,
) -> Trained:
    """Train on `files` and keep the last epoch: nothing chooses an epoch, so that no file is needed for it.

    Parameters
    ----------
    streams : Inputs of all files.
    labels : (files,)
        Class of each file, from 0.
    files : (n,)
        Indices of the files to train on.
    network : Layout of the network.
    settings : Hyper-parameters.
    seed : Of all randomness. A run that goes on from a checkpoint has the same order of files.
    start : Weights to begin with, else random ones by the seed. All of them are trained; the scales of the inputs stay as they are.
    watched : (few,)
        Files whose attention is measured before training and after each epoch that this call trains.
    checkpoint : Saves the state after each epoch, and continues from it.

    Returns
    -------
    The network in evaluation mode on `environment.device()`, every epoch, and the entropies of the watched files' attention.

    Raises
    ------
    SettingsError
        The layout has streams that cannot be used, or one stage without cross-attention; or the checkpoint belongs to another run.
    WeightsError
        The training loss is no longer finite, or the checkpoint is damaged.
    RuntimeError
        `start` has other tensors than the network.
    """
    seed_torch(seed)
    device = environment.device()
    model = Humpcat(network)
    if start is not None:
        model.load_state_dict(start)
    elif settings.standardise:
        model.scale_inputs(**streams.moments(files))
    model.to(device)
    optimizer = torch.optim.Adam(model.parameters(), lr=settings.learning_rate)
    entropies: dict[str, list[float]] = {}

    def batches(epoch: int) -> list[np.ndarray]:
        shuffled = np.random.default_rng([seed, epoch]).permutation(files)
        return np.array_split(shuffled, max(1, -(-len(files) // settings.batch_size)))

    def loss_of(batch: np.ndarray) -> Tensor:
        scores, target = model(_on(device, streams.batch(batch))), torch.from_numpy(labels[batch]).to(device)
        if settings.loss == "softmax":
            return F.cross_entropy(scores, target)
        return am_softmax(scores, target, settings.scale, settings.margin)

    def watch() -> Validation:
        if watched is not None:
            for name, value in attention_entropy(model, streams, watched).items():
                entropies.setdefault(name, []).append(value)
        return Validation(float("nan"), float("nan"))

    watch()
    epochs = fit(model, optimizer, batches, loss_of, watch, settings.epochs, keep="last", checkpoint=checkpoint)
    return Trained(model.eval(), epochs, entropies)


def _on(device: str, inputs: Inputs) -> Inputs:
    return Inputs(*(x.to(device) for x in inputs))


@torch.no_grad()
def predict(network: Humpcat, streams: Streams, files: Int[np.ndarray, " chosen"]) -> Float[np.ndarray, "chosen classes"]:
    """Cosines of files with each class, or logits where the network's last layer is linear.

    Parameters
    ----------
    network : Trained. It is put into evaluation mode.
    streams : Inputs of all files.
    files : (n,)
        Indices of the files to predict, at least one.

    Returns
    -------
    (n, classes), in the order of `files`.
    """
    device = next(network.parameters()).device.type
    network.eval()
    parts = [files[i : i + PREDICTED_AT_ONCE] for i in range(0, len(files), PREDICTED_AT_ONCE)]
    return torch.cat([network(_on(device, streams.batch(part))) for part in parts]).cpu().numpy()


@torch.no_grad()
def attention_entropy(network: Humpcat, streams: Streams, files: Int[np.ndarray, " few"]) -> dict[str, float]:
    """Mean entropy of each direction of attention over files, as a share of the largest possible."""
    network.eval()
    inputs = _on(next(network.parameters()).device.type, streams.batch(files))
    _, weights = network.looked_at(inputs)
    return {name: float(entropy(w, inputs.steps).nanmean()) for name, w in weights.items()}


@torch.no_grad()
def attention(network: Humpcat, streams: Streams, file: int) -> tuple[int, dict[str, Float[np.ndarray, " steps"]]]:
    """The class that a file is given, and the attention that each of its steps receives, by direction.

    Parameters
    ----------
    network : Trained. It is put into evaluation mode.
    streams : Inputs of all files.
    file : Index of the file.

    Returns
    -------
    The class, from 0, and for each direction, such as "prosody on mfcc" (queries first), (steps,) of its first layer: the mean over heads
    and over the steps that look, times the number of steps that are looked at, so that 1 is uniform. With three streams in one stage each
    looks at both others, one after the other: (2 * steps,). There are no directions where the network has no cross-attention.
    """
    network.eval()
    inputs = _on(next(network.parameters()).device.type, streams.batch(np.array([file])))
    scores, weights = network.looked_at(inputs)
    return int(scores.argmax()), {name: (w[0].mean(dim=0) * w.shape[2]).cpu().numpy() for name, w in weights.items()}
