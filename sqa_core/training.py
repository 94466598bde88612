"""One training loop: a NISQA network on mel spectrograms with labels. Stops early, resumes where it was killed, to the same weights."""

import json
import math
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Literal

import numpy as np
import torch
from torch import Tensor, nn

from . import spectrogram
from .errors import SettingsError, WeightsError
from .losses import summed_mse
from .models.nisqa import Nisqa
from .models.weights import save

Item = tuple[Tensor, Tensor]  # mel (frames, mels) in dB, labels (outputs,) with NaN where missing


@dataclass(frozen=True)
class TrainingSettings:
    """Hyper-parameters; the plateau schedule and its numbers are those of NISQA's code."""

    epochs: int = 30
    batch_size: int = 40
    learning_rate: float = 1e-3
    schedule: Literal["plateau", "cosine"] = "plateau"
    patience: int = 20  # epochs without a lower validation RMSE before stopping
    seed: int = 0
    mixed_precision: Literal["no", "fp16", "bf16"] = "no"


@dataclass(frozen=True)
class Epoch:
    """What one epoch gave; `rmse` is over the validation set's first output."""

    number: int
    loss: float
    rmse: float
    learning_rate: float


def collate(items: list[Item], length: int, hop: int) -> tuple[Tensor, Tensor, Tensor]:
    """Padded segments (batch, time, mels, length), counts of true segments (batch,), labels (batch, outputs)."""
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
    """Train in place, leave the best epoch's weights in `model` and `folder/best.safetensors`, and return every epoch.

    `folder/last.pt` is written after each epoch; where it is there already, training goes on from it. All randomness of an epoch
    comes from (seed, epoch), so a run that was killed ends with the weights of one that was not.

    Raises
    ------
    SettingsError : `folder` holds a run with other settings, another network or other counts of items.
    WeightsError : its checkpoint is damaged, or the loss is no longer a number.
    """
    from accelerate import Accelerator

    accelerator = Accelerator(mixed_precision=settings.mixed_precision)
    run = {"training": asdict(settings), "network": asdict(model.settings), "items": [len(train_items), len(valid_items)]}
    shuffle = torch.Generator()
    model.cnn.to(memory_format=torch.channels_last)  # type: ignore[call-overload]  # convolutions run a third faster so on a CPU
    optimizer = torch.optim.Adam(model.parameters(), lr=settings.learning_rate)
    schedule = _schedule(optimizer, settings)
    loaders = (_loader(model, train_items, settings, shuffle), _loader(model, valid_items, settings))
    model, optimizer, train_loader, valid_loader = accelerator.prepare(model, optimizer, *loaders)
    plain: Nisqa = accelerator.unwrap_model(model)
    folder.mkdir(parents=True, exist_ok=True)
    epochs = _resume(folder, run, plain, optimizer, schedule)
    best = min(epochs, key=lambda e: e.rmse, default=None)

    for number in range(len(epochs), settings.epochs):
        if best is not None and number - best.number > settings.patience:
            break
        seed = int(np.random.SeedSequence([settings.seed, number]).generate_state(1)[0])
        torch.manual_seed(seed)
        shuffle.manual_seed(seed)
        loss = _learn(model, train_loader, optimizer, accelerator)
        if not math.isfinite(loss):
            raise WeightsError(f"Training diverged in epoch {number}: the loss is {loss}; lower the learning rate.")
        epoch = Epoch(number, loss, _rmse(model, valid_loader, accelerator), optimizer.param_groups[0]["lr"])
        schedule.step(*([loss] if settings.schedule == "plateau" else []))
        epochs.append(epoch)
        if accelerator.is_main_process:
            if best is None or epoch.rmse < best.rmse:
                save(plain, folder / "best.safetensors", {})
            _save(folder, run, plain, optimizer, schedule, epochs)
        best = min(epochs, key=lambda e: e.rmse)
        on_epoch(epoch)

    accelerator.wait_for_everyone()
    from safetensors.torch import load_file

    plain.load_state_dict(load_file(folder / "best.safetensors"))
    plain.eval().to("cpu")
    return epochs


def _loader(model: Nisqa, items: list[Item], settings: TrainingSettings, shuffle: torch.Generator | None = None):
    def batch(chosen: list[Item]) -> tuple[Tensor, Tensor, Tensor]:
        return collate(chosen, model.settings.segment_length, model.settings.segment_hop)

    return torch.utils.data.DataLoader(items, settings.batch_size, collate_fn=batch, shuffle=shuffle is not None, generator=shuffle)  # type: ignore[arg-type]


def _learn(model: nn.Module, loader, optimizer, accelerator) -> float:
    """One pass over the training items; the mean loss."""
    model.train()
    losses = []
    for segments, lengths, labels in loader:
        loss = summed_mse(model(segments, lengths), labels)
        optimizer.zero_grad()
        accelerator.backward(loss)
        optimizer.step()
        losses.append(loss.detach())
    return float(torch.stack(losses).mean())


@torch.inference_mode()
def _rmse(model: nn.Module, loader, accelerator) -> float:
    """Over the validation items' first output."""
    model.eval()
    pairs = [accelerator.gather_for_metrics((model(s, n)[:, 0], y[:, 0])) for s, n, y in loader]
    predicted, target = (torch.cat(column).float() for column in zip(*pairs, strict=True))
    return float((predicted - target).square().nanmean().sqrt())


def _schedule(optimizer, settings: TrainingSettings):
    if settings.schedule == "plateau":
        return torch.optim.lr_scheduler.ReduceLROnPlateau(optimizer, patience=15, threshold=0.003, factor=0.1)
    return torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, settings.epochs)


def _save(folder: Path, run: dict, model, optimizer, schedule, epochs: list[Epoch]) -> None:
    state = {
        "run": json.dumps(run),
        "model": model.state_dict(),
        "optimizer": optimizer.state_dict(),
        "schedule": schedule.state_dict(),
        "epochs": [asdict(e) for e in epochs],
    }
    partial = folder / "last.pt.part"
    torch.save(state, partial)
    partial.replace(folder / "last.pt")


def _resume(folder: Path, run: dict, model, optimizer, schedule) -> list[Epoch]:
    path = folder / "last.pt"
    if not path.is_file():
        return []
    try:
        state = torch.load(path, map_location="cpu", weights_only=True)
        same = json.loads(state["run"]) == json.loads(json.dumps(run))
    except Exception as e:  # whatever a damaged or foreign file raises, the answer is one
        raise WeightsError(f"{path}: the checkpoint cannot be read ({type(e).__name__}); delete it to train anew.") from e
    if not same:
        raise SettingsError(
            f"{folder}: holds a run with other settings, another network or other material; choose another folder or delete it."
        )
    model.load_state_dict(state["model"])
    optimizer.load_state_dict(state["optimizer"])
    schedule.load_state_dict(state["schedule"])
    return [Epoch(**e) for e in state["epochs"]]
