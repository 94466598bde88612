"""Networks that predict five dimensions of quality, NISQA and AST, trained on calls and tested on others; the chapter on language barriers."""

import json
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Literal

import numpy as np
import pandas as pd
import torch
from torch import Tensor
from torch.nn.functional import binary_cross_entropy_with_logits

from .. import spectrogram
from ..corpora import impairments
from ..errors import SettingsError
from ..files import short_hash
from ..losses import summed_mse
from ..models.nisqa import Nisqa, NisqaSettings
from ..models.quality_transformer import SIZES, QualityTransformer
from ..results.trials import added_later, canonical
from ..threads import in_threads
from . import nisqa
from .loop import RUN_FORM, Checkpoint, Epoch, Keep, MixedPrecision, Validation, accelerator_of, fit, share_of
from .quality_material import FRONT_ENDS, Material

NetworkName = Literal["nisqa", "ast-small", "ast"]
QualityNetwork = Nisqa | QualityTransformer
TEST_BATCH = 16


@dataclass(frozen=True)
class QualitySettings:
    """How a network is trained.

    outputs : one for a single-dimension network, else all five. stand_in : share of the training calls whose dimensions all have the label
    of MOS, as where an algorithm that rates the whole stands in for listeners that rated each. every : of NISQA alone, see
    `nisqa.TrainingSettings`. start : of AST alone; "kinds" begins with weights that have learnt, on the same calls and for half as many
    epochs, to name the kinds of impairment in a call, in the place of weights from images and AudioSet. front : of NISQA alone; "ast" for
    the spectrogram that AST takes, whose 128 bands and 25 ms the paper states for both. mixed_precision : "bf16" is faster on GPUs and on
    processors that have it.
    """

    network: NetworkName = "nisqa"
    outputs: tuple[str, ...] = impairments.DIMENSIONS
    epochs: int = 14
    batch_size: int = 20
    learning_rate: float = 1e-3
    patience: int = 20  # epochs without a lower RMSE of the first output, MOS, which NISQA's code goes by too
    stand_in: float = field(default=0.0, metadata=added_later(0.0))
    every: int = field(default=1, metadata=added_later(1))
    start: Literal["random", "kinds"] = field(default="random", metadata=added_later("random"))
    front: Literal["own", "ast"] = field(default="own", metadata=added_later("own"))
    mixed_precision: MixedPrecision = field(default="no", metadata=added_later("no"))


def front_end(settings: QualitySettings) -> str:
    """Which of `quality_material.FRONT_ENDS` a training takes; both sizes of AST share one."""
    return "nisqa" if settings.network == "nisqa" and settings.front == "own" else "ast"


def front_end_of(network: QualityNetwork) -> str:
    """Which of `quality_material.FRONT_ENDS` a network takes.

    Returns
    -------
    "nisqa" or "ast".
    """
    return "nisqa" if network.settings.mel.n_mels == 48 else "ast"


def settings_hash(settings: QualitySettings, seed: int) -> str:
    """Names a training's state in the cache.

    Parameters
    ----------
    settings : How the network is trained.
    seed : Of the training.

    Returns
    -------
    12 hexadecimal digits.
    """
    return short_hash(json.dumps([canonical(settings), seed, RUN_FORM], sort_keys=True))


def learn(
    train: Material,
    valid: Material,
    settings: QualitySettings,
    seed: int,
    folder: Path,
    on_epoch: Callable[[Epoch], None] = lambda _: None,
) -> tuple[QualityNetwork, list[Epoch]]:
    """Train a quality network.

    Parameters
    ----------
    train, valid : spectrograms and labels of calls.
    settings : network and hyper-parameters.
    seed : of all randomness.
    folder : keeps the state after each epoch; a run that was killed goes on from there to the same weights.
    on_epoch : called when an epoch is done and saved.

    Returns
    -------
    The network with the weights of the epoch that had the lowest validation RMSE of its first output, and all epochs.

    Raises
    ------
    SettingsError
        An output has no labels, `stand_in` is no share, or the folder holds another run.
    WeightsError
        The training loss is no longer finite, or the checkpoint is damaged.
    """
    if unknown := set(settings.outputs) - set(impairments.DIMENSIONS):
        raise SettingsError(f"Calls have labels for {', '.join(impairments.DIMENSIONS)}, not for {', '.join(sorted(unknown))}.")
    columns = [impairments.DIMENSIONS.index(output) for output in settings.outputs]
    kind = front_end(settings)
    labels = with_stand_ins(train.labels, settings.stand_in, seed)
    items = list(zip(train.mels[kind], labels[:, columns], strict=True))
    checks = list(zip(valid.mels[kind], valid.labels[:, columns], strict=True))
    torch.manual_seed(seed)
    if settings.network == "nisqa":
        model = Nisqa(NisqaSettings(outputs=settings.outputs, mel=FRONT_ENDS[kind]))
        training = nisqa.TrainingSettings(
            settings.epochs,
            settings.batch_size,
            settings.learning_rate,
            "cosine",
            settings.patience,
            seed,
            settings.mixed_precision,
            settings.every,
        )
        return model, nisqa.train(model, items, checks, training, folder, on_epoch)
    network = QualityTransformer(replace(SIZES[settings.network], outputs=settings.outputs))
    if settings.start == "kinds":
        network.load_state_dict(_kinds_learnt(train, valid, settings, seed, folder / "start"), strict=False)
    return network, _learn_transformer(network, items, checks, settings, seed, folder, on_epoch)


def _kinds_learnt(train: Material, valid: Material, settings: QualitySettings, seed: int, folder: Path) -> dict[str, Tensor]:
    """Weights of a transformer that names the kinds of impairment in a call, but for those of its heads."""
    named = QualityTransformer(replace(SIZES[settings.network], outputs=tuple(impairments.KINDS)))
    items, checks = ([(mel, kinds) for mel, kinds in zip(one.mels["ast"], _kinds_of(one.table), strict=True)] for one in (train, valid))
    shorter = replace(settings, outputs=tuple(impairments.KINDS), epochs=max(1, settings.epochs // 2))
    _learn_transformer(named, items, checks, shorter, seed, folder, lambda _: None, binary_cross_entropy_with_logits, "last")
    return {key: value for key, value in named.state_dict().items() if not key.startswith("heads.")}


def _kinds_of(table: pd.DataFrame) -> Tensor:
    """(calls, kinds) of 0 and 1: which impairments a call has."""
    has = [{step["kind"] for step in json.loads(recipe)} for recipe in table["recipe"]]
    return torch.tensor([[float(kind in steps) for kind in impairments.KINDS] for steps in has])


def with_stand_ins(labels: Tensor, share: float, seed: int) -> Tensor:
    """Labels (calls, 5) of which a share, drawn by `seed`, have MOS in the place of every dimension but loudness, which no algorithm for
    the whole is asked for."""
    if not 0 <= share <= 1:
        raise SettingsError(f"stand_in is a share from 0 to 1, not {share}.")
    out, mos = labels.clone(), impairments.DIMENSIONS.index("mos")
    chosen = np.random.default_rng([seed, 7]).permutation(len(labels))[: round(share * len(labels))]
    for dimension in ("noi", "dis", "col"):
        out[chosen, impairments.DIMENSIONS.index(dimension)] = labels[chosen, mos]
    return out


def _learn_transformer(
    network: QualityTransformer,
    items: list[nisqa.Item],
    checks: list[nisqa.Item],
    settings: QualitySettings,
    seed: int,
    folder: Path,
    on_epoch: Callable[[Epoch], None],
    loss: Callable[[Tensor, Tensor], Tensor] = summed_mse,
    keep: Keep = "best",
) -> list[Epoch]:
    """AST by Adam, as in the paper; the rate rises over the first epoch, since a transformer started at random needs it, and falls along a
    cosine to almost nothing over the others. The network is trained in place."""
    accelerator = accelerator_of(settings.mixed_precision)
    device = str(accelerator.device)
    network.mean, network.std = _moments([mel for mel, _ in items])
    means = torch.stack([y for _, y in items]).nanmean(dim=0)
    with torch.no_grad():  # heads start at the mean label, so that the first epochs are not spent on finding it
        for head, mean in zip(network.heads, means, strict=True):
            assert isinstance(head, torch.nn.Linear)
            head.bias.fill_(float(mean))
    model, optimizer = accelerator.prepare(network, torch.optim.Adam(network.parameters(), lr=settings.learning_rate))

    def batches(epoch: int) -> list[list[nisqa.Item]]:
        order = np.random.default_rng([seed, epoch]).permutation(len(items))
        torch.manual_seed(int(np.random.SeedSequence([seed, epoch]).generate_state(1)[0]))
        # Neighbours in length share a batch, so that little of it is padding; which batch comes when is random.
        pools = [
            sorted(pool, key=lambda i: len(items[i][0])) for pool in np.array_split(order, max(1, len(order) // (8 * settings.batch_size)))
        ]
        groups = [pool[i : i + settings.batch_size] for pool in pools for i in range(0, len(pool), settings.batch_size)]
        drawn = np.random.default_rng([seed, epoch, 1]).permutation(len(groups))
        return [[items[i] for i in groups[g]] for g in share_of(drawn, accelerator)]

    steps = settings.epochs * len(batches(0)) + 1
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimizer, settings.learning_rate, total_steps=steps, pct_start=1.0 / settings.epochs, cycle_momentum=False
    )

    def loss_of(batch: list[nisqa.Item]) -> Tensor:
        mels, lengths = _padded([mel for mel, _ in batch], device)
        return loss(model(mels, lengths), torch.stack([y for _, y in batch]).to(device))

    def step() -> None:
        optimizer.step()
        schedule.step()

    def validate() -> Validation:
        predicted = predict(network, [mel for mel, _ in checks])[:, 0]
        rmse = float(np.sqrt(np.nanmean((predicted - torch.stack([y for _, y in checks])[:, 0].numpy()) ** 2)))
        return Validation(-rmse, rmse)

    run = {"training": canonical(settings), "seed": seed, "items": [nisqa.content_hash(items), nisqa.content_hash(checks)]}
    if accelerator.num_processes > 1:  # fewer, larger steps: another number of processes cannot go on from here
        run |= {"processes": accelerator.num_processes}
    epochs = fit(
        model,
        optimizer,
        batches,
        loss_of,
        validate,
        settings.epochs,
        on_epoch=on_epoch,
        schedule=schedule,
        step=step,
        clip_norm=1.0,
        keep=keep,
        patience=settings.patience,
        checkpoint=Checkpoint(folder, run),
        accelerator=accelerator,
    )
    network.eval().cpu()
    return epochs


def _moments(mels: list[Tensor]) -> tuple[Tensor, Tensor]:
    """Mean and standard deviation over all frames and bands, one sound at a time."""
    count = sum(m.numel() for m in mels)
    mean = sum(float(m.double().sum()) for m in mels) / count
    square = sum(float((m.double() - mean).square().sum()) for m in mels) / count
    return torch.tensor(mean), torch.tensor(square**0.5)


def _padded(mels: list[Tensor], device: str) -> tuple[Tensor, Tensor]:
    lengths = torch.tensor([len(m) for m in mels])
    return torch.nn.utils.rnn.pad_sequence(mels, batch_first=True).to(device), lengths.to(device)


@torch.no_grad()
def predict(network: QualityNetwork, mels: list[Tensor]) -> np.ndarray:
    """Scores of sounds by a network, computed on the network's device.

    Parameters
    ----------
    network : Trained. It is put into evaluation mode.
    mels : (frames, bands) each
        Spectrograms in dB by the network's front end (`quality_material.mel_of`). NISQA needs at least `segment_length` frames; AST takes
        the first `max_frames`.

    Returns
    -------
    (sounds, outputs), in the order of `mels`.
    """
    network.eval()
    settings = network.settings
    device = str(next(network.parameters()).device)
    out = np.empty((len(mels), len(settings.outputs)), np.float32)  # type: ignore[arg-type, union-attr]
    if isinstance(network, QualityTransformer) and device == "cpu":  # padding and its mask cost more than a batch gains there
        for i, scores in enumerate(in_threads(partial(_alone, network), mels, TEST_BATCH)):
            out[i] = scores
        return out
    order = np.argsort([len(m) for m in mels])
    for start in range(0, len(order), TEST_BATCH):
        chosen = order[start : start + TEST_BATCH]
        if isinstance(network, Nisqa):
            nothing = torch.empty(0)
            batch = nisqa.collate([(mels[i], nothing) for i in chosen], network.settings.segment_length, network.settings.segment_hop)
            scores = network(batch[0].to(device), batch[1].to(device))
        else:
            scores = network(*_padded([mels[i] for i in chosen], device))
        out[chosen] = scores.cpu().numpy()
    return out


@torch.no_grad()  # which belongs to a thread, so the caller's does not reach this one
def _alone(network: QualityTransformer, mel: Tensor) -> np.ndarray:
    return network(mel[None], torch.tensor([len(mel)]))[0].numpy()


def score_of(network: QualityNetwork, output: str) -> Callable[[Tensor], Tensor]:
    """One output as a function of spectrograms, which gradients pass.

    Parameters
    ----------
    network : Trained. It is put into evaluation mode.
    output : One of `network.settings.outputs`.

    Returns
    -------
    Function of spectrograms of one length on the network's device, (batch, frames, bands) in dB to (batch,).

    Raises
    ------
    ValueError
        The network has no such output.
    """
    network.eval()
    column = network.settings.outputs.index(output)

    def score(mels: Tensor) -> Tensor:
        if isinstance(network, Nisqa):
            cut = torch.stack([spectrogram.segments(mel, network.settings.segment_length, network.settings.segment_hop) for mel in mels])
            return network(cut, torch.full((len(cut),), cut.shape[1], device=mels.device))[:, column]
        return network(mels, torch.full((len(mels),), mels.shape[1], device=mels.device))[:, column]

    return score
