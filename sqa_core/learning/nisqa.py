"""How a NISQA network is trained: NISQA's batches, loss and schedule on the book's loop. Resumes where it was killed, to the same weights."""

from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Literal

import numpy as np
import torch
from torch import Tensor

from .. import spectrogram
from ..files import short_hash
from ..losses import summed_mse
from ..models.nisqa import Nisqa
from ..results.trials import added_later, canonical
from .loop import Checkpoint, Epoch, MixedPrecision, Validation, accelerator_of, fit

Item = tuple[Tensor, Tensor]  # mel (frames, mels) in dB, labels (outputs,) with NaN where missing


@dataclass(frozen=True)
class TrainingSettings:
    """Hyper-parameters; the plateau schedule and its numbers are those of NISQA's code.

    every : only each so many of a sound's segments are trained on, from a start that is drawn anew in each epoch. NISQA takes all (1);
    neighbours share most of their frames, and half of them take half the time. Validation and tests always take all.
    """

    epochs: int = 30
    batch_size: int = 40
    learning_rate: float = 1e-3
    schedule: Literal["plateau", "cosine"] = "plateau"
    patience: int = 20  # epochs without a lower validation RMSE before stopping
    seed: int = 0
    mixed_precision: MixedPrecision = "no"
    every: int = field(default=1, metadata=added_later(1))


def collate(items: list[Item], length: int, hop: int) -> tuple[Tensor, Tensor, Tensor]:
    """A batch: padded segments (batch, time, mels, length), numbers of true segments (batch,), labels (batch, outputs)."""
    cut = [spectrogram.segments(mel, length, hop) for mel, _ in items]
    padded = torch.nn.utils.rnn.pad_sequence(cut, batch_first=True)
    return padded, torch.tensor([len(c) for c in cut]), torch.stack([labels for _, labels in items])


def train(
    model: Nisqa,
    train_items: list[Item],
    valid_items: list[Item],
    settings: TrainingSettings,
    folder: Path,
    on_epoch: Callable[[Epoch], None] = lambda _: None,
) -> list[Epoch]:
    """Train in place, and leave the best epoch's weights in `model`, in evaluation mode on the CPU.

    All randomness of an epoch comes from (seed, epoch), so a run that was killed ends with the same weights as one that was not.

    Parameters
    ----------
    model : The network to train.
    train_items, valid_items : (mel, labels) of each sound
        Mel spectrograms (frames, mels) in dB by the model's front end, with at least `segment_length` frames, and labels (outputs,), NaN
        where missing.
    settings : Hyper-parameters.
    folder : Keeps the state after each epoch (`loop.Checkpoint`).
    on_epoch : Called when an epoch is done and saved.

    Returns
    -------
    Every epoch, those of a resumed run included. `validation_loss` is the RMSE of the first output, and `score` its negative.

    Raises
    ------
    SettingsError
        The folder holds a run with other settings, another layout or other items.
    WeightsError
        The training loss is no longer finite, or the checkpoint is damaged.
    """
    accelerator = accelerator_of(settings.mixed_precision)
    run = {
        "training": canonical(settings),
        "network": asdict(model.settings),
        "items": [content_hash(train_items), content_hash(valid_items)],
    }
    shuffle = torch.Generator()
    model.cnn.to(memory_format=torch.channels_last)  # type: ignore[call-overload]  # convolutions run a third faster so on a CPU
    optimizer = torch.optim.Adam(model.parameters(), lr=settings.learning_rate)
    schedule = _schedule(optimizer, settings)
    loaders = (_loader(model, train_items, settings, shuffle), _loader(model, valid_items, settings))
    network, optimizer, train_loader, valid_loader = accelerator.prepare(model, optimizer, *loaders)

    def batches(epoch: int):
        seed = int(np.random.SeedSequence([settings.seed, epoch]).generate_state(1)[0])
        torch.manual_seed(seed)
        shuffle.manual_seed(seed)
        return train_loader

    def validate() -> Validation:
        network.eval()
        pairs = [accelerator.gather_for_metrics((network(s, n)[:, 0], y[:, 0])) for s, n, y in valid_loader]
        predicted, target = (torch.cat(column).float() for column in zip(*pairs, strict=True))
        rmse = float((predicted - target).square().nanmean().sqrt())
        return Validation(score=-rmse, loss=rmse)

    epochs = fit(
        network,
        optimizer,
        batches,
        lambda batch: summed_mse(network(batch[0], batch[1]), batch[2]),
        validate,
        settings.epochs,
        step_schedule=lambda epoch: schedule.step(*([epoch.loss] if settings.schedule == "plateau" else [])),
        on_epoch=on_epoch,
        schedule=schedule,
        patience=settings.patience,
        checkpoint=Checkpoint(folder, run),
        accelerator=accelerator,
    )
    accelerator.unwrap_model(network).eval().to("cpu")
    return epochs


def content_hash(items: list[Item]) -> str:
    """Hash of the lengths and labels of items, so that a checkpoint is not continued with other material."""
    return short_hash(b"".join(np.int64(len(mel)).tobytes() + label.numpy().tobytes() for mel, label in items))


def _loader(model: Nisqa, items: list[Item], settings: TrainingSettings, shuffle: torch.Generator | None = None):
    length, hop = model.settings.segment_length, model.settings.segment_hop

    def batch(chosen: list[Item]) -> tuple[Tensor, Tensor, Tensor]:
        if shuffle is None or settings.every == 1:
            return collate(chosen, length, hop)
        starts = torch.randint(0, hop * settings.every, (len(chosen),)).tolist()
        later = [(mel[start:] if len(mel) > start + length else mel, y) for start, (mel, y) in zip(starts, chosen, strict=True)]
        return collate(later, length, hop * settings.every)

    return torch.utils.data.DataLoader(items, settings.batch_size, collate_fn=batch, shuffle=shuffle is not None, generator=shuffle)  # type: ignore[arg-type]


def _schedule(optimizer, settings: TrainingSettings):
    if settings.schedule == "plateau":
        return torch.optim.lr_scheduler.ReduceLROnPlateau(optimizer, patience=15, threshold=0.003, factor=0.1)
    return torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, settings.epochs)
