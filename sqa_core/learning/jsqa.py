"""JSQA's two stages (paper 001): an encoder is pretrained on pairs by NT-Xent, then tuned with a head to predict MOS.

Batch, optimiser, rate, epochs and temperature are not stated in what is known of the paper; the defaults are the choices of this book.
"""

import hashlib
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from jaxtyping import Float, Shaped
from torch import Tensor

from .. import environment, metrics
from ..corpora import jnd_pairs
from ..corpora.jnd_pairs import Bank, PairLaw
from ..errors import SettingsError
from ..files import short_hash
from ..losses import nt_xent
from ..models.jsqa import RATE, Embedded, Encoder, EncoderSettings, Jsqa, SpeechModel, check_memory, memory_bytes, projection_head
from ..results.durations import in_words
from ..results.trials import canonical
from .loop import Checkpoint, Epoch, Keep, MixedPrecision, Validation, accelerator_of, fit, share_of

DTYPES = {"no": torch.float32, "fp16": torch.float16, "bf16": torch.bfloat16}


@dataclass(frozen=True)
class PretrainSettings:
    """How an encoder is pretrained. head : put a projection head between embedding and loss. pairs : in a batch. steps : in an epoch."""

    encoder: EncoderSettings = field(default_factory=EncoderSettings)
    law: PairLaw = field(default_factory=PairLaw)
    head: bool = False
    temperature: float = 0.5
    pairs: int = 64
    steps: int = 500
    epochs: int = 20
    learning_rate: float = 1e-4
    mixed_precision: MixedPrecision = "no"

    @property
    def hours(self) -> float:
        """Of sound in all pairs together."""
        return 2 * self.pairs * self.steps * self.epochs * self.law.seconds / 3600


@dataclass(frozen=True)
class TuneSettings:
    """How a network is tuned for MOS. seconds : of the crops that are trained on. frozen : train the head alone."""

    seconds: float = 3.0
    batch_size: int = 16
    epochs: int = 30
    learning_rate: float = 1e-4
    frozen: bool = False
    keep: Keep = "best"
    mixed_precision: MixedPrecision = "no"


class Sounds(NamedTuple):
    """Clean speech and noise that pairs are made of."""

    clean: Bank
    noise: Bank


class StepCost(NamedTuple):
    """What one step of pretraining takes: seconds as measured here, and bytes by arithmetic."""

    parameters: int
    seconds: float
    memory_bytes: int

    def text(self, settings: PretrainSettings) -> str:
        """In a sentence, with what all steps take."""
        whole = in_words(self.seconds * settings.steps * settings.epochs)
        return (
            f"Pretraining {self.parameters / 1e6:.2f} million parameters: a step of {settings.pairs} pairs of {settings.law.seconds:g} s takes"
            f" about {self.seconds:.2f} s and {self.memory_bytes / 1e9:.1f} GB here, {settings.epochs} epochs of {settings.steps} steps"
            f" about {whole}."
        )


def _check_memory(settings: EncoderSettings, batch: int, samples: int, mixed_precision: MixedPrecision, device: str) -> None:
    """`check_memory` against what is free on a device."""
    check_memory(settings, batch, samples, environment.free_memory_bytes(device), DTYPES[mixed_precision].itemsize)


def _autocast(device: str, mixed_precision: MixedPrecision) -> torch.autocast:
    return torch.autocast(torch.device(device).type, DTYPES[mixed_precision], enabled=mixed_precision != "no")


def step_cost(settings: PretrainSettings, device: str) -> StepCost:
    """The cost of a step, from one forward and backward pass of a throwaway network; the second of two, since the first prepares.

    Returns
    -------
    Parameters of the network, seconds and bytes of a step.

    Raises
    ------
    SettingsError
        A step does not fit into memory; the message names a width that does.
    """
    samples = int(settings.law.seconds * RATE)
    _check_memory(settings.encoder, 2 * settings.pairs, samples, settings.mixed_precision, device)
    with torch.random.fork_rng(devices=[] if device == "cpu" else None):
        network = Encoder(settings.encoder).to(device)
        for _ in range(2):
            start = time.perf_counter()
            with _autocast(device, settings.mixed_precision):
                embedded = network(torch.randn(2 * settings.pairs, samples, device=device)).float()
            nt_xent(embedded[::2], embedded[1::2], settings.temperature).backward()
            if device != "cpu":
                torch.accelerator.synchronize()
            seconds = time.perf_counter() - start
    parameters = sum(p.numel() for p in network.parameters())
    return StepCost(
        parameters, seconds, memory_bytes(settings.encoder, 2 * settings.pairs, samples, DTYPES[settings.mixed_precision].itemsize)
    )


VALID_BATCHES = 8  # of as many pairs as in training, since the loss depends on the size of a batch
VALID_SEED = 1_000_000  # pairs that are validated on are none of those that are trained on


def pretrain(
    train: Sounds,
    valid: Sounds,
    settings: PretrainSettings,
    seed: int,
    folder: Path,
    on_epoch: Callable[[Epoch], None] = lambda _: None,
    on_start: Callable[[StepCost], None] | None = None,
) -> tuple[Encoder, list[Epoch]]:
    """Pretrain an encoder on pairs by NT-Xent.

    Parameters
    ----------
    train, valid : clean sounds and noises; the two share no file. An epoch is a number of steps, since pairs never repeat.
    settings : layout, law of pairs, hyper-parameters.
    seed : of all randomness.
    folder : keeps the state, so that a killed run goes on and ends with the same weights.
    on_epoch : called when an epoch is done and saved.
    on_start : called with the cost of a step before training, unless the folder exists already.

    Returns
    -------
    The encoder after the last epoch, in evaluation mode, and all epochs with their contrastive losses.

    Raises
    ------
    SettingsError
        Training and validation share a file, a step does not fit into memory, or the folder holds another run.
    WeightsError
        The training loss is no longer finite, or the checkpoint is damaged.
    """
    shared = set(train.clean.names) & set(valid.clean.names) | set(train.noise.names) & set(valid.noise.names)
    if shared:
        raise SettingsError(f"Training and validation share {len(shared)} files, {min(shared)} first; give each its own.")
    accelerator = accelerator_of(settings.mixed_precision)
    device = str(accelerator.device)
    _check_memory(settings.encoder, 2 * settings.pairs, int(settings.law.seconds * RATE), settings.mixed_precision, device)
    if on_start and not folder.is_dir():  # not where the first step was taken before: arms share a pretraining
        on_start(step_cost(settings, device))
    torch.manual_seed(seed)
    encoder = Encoder(settings.encoder)
    model = torch.nn.Sequential(encoder, projection_head(settings.encoder.size)) if settings.head else torch.nn.Sequential(encoder)
    network, optimizer = accelerator.prepare(model, torch.optim.Adam(model.parameters(), lr=settings.learning_rate))
    drawn = [jnd_pairs.draw(*valid, settings.law, VALID_SEED + seed, k) for k in range(VALID_BATCHES * settings.pairs)]
    checks = jnd_pairs.batch(drawn).split(settings.pairs)

    def batches(epoch: int) -> Iterator[Tensor]:
        torch.manual_seed(int(np.random.SeedSequence([seed, epoch]).generate_state(1)[0]))  # of the head's dropout
        shard, shards = accelerator.process_index, accelerator.num_processes
        for step in range(settings.steps):
            first = ((epoch * settings.steps + step) * shards + shard) * settings.pairs
            drawn = [jnd_pairs.draw(*train, settings.law, seed, first + k) for k in range(settings.pairs)]
            yield jnd_pairs.batch(drawn, str(accelerator.device))

    def loss_of(pairs: Tensor, gather: bool = True) -> Tensor:
        embedded = network(pairs.flatten(0, 1)).float().unflatten(0, (-1, 2))
        return nt_xent(embedded[:, 0], embedded[:, 1], settings.temperature, gather)

    def validate() -> Validation:
        network.eval()
        loss = float(np.mean([float(loss_of(one.to(accelerator.device), gather=False)) for one in checks]))  # the same in every process
        return Validation(-loss, loss)

    sounds = [x for one in (train, valid) for bank in one for x in bank.waveforms]
    run = {"pretraining": canonical(settings), "seed": seed, "sounds": hash_of(sounds)}
    epochs = fit(
        network,
        optimizer,
        batches,
        loss_of,
        validate,
        settings.epochs,
        on_epoch=on_epoch,
        keep="last",
        checkpoint=Checkpoint(folder, run),
        accelerator=accelerator,
    )
    return encoder.eval().cpu(), epochs


def hash_of(waveforms: Sequence[np.ndarray]) -> str:
    """Tells sounds from others of the same names or number, so that a training is not continued on them."""
    digest = hashlib.sha256()
    for waveform in waveforms:
        digest.update(np.ascontiguousarray(waveform).tobytes())
    return digest.hexdigest()[:16]


class Rated(NamedTuple):
    """Sounds at an encoder's rate, (samples,) each, and their MOS (sounds,)."""

    waveforms: Sequence[np.ndarray]
    mos: np.ndarray


def tune(
    encoder: Encoder | SpeechModel | Embedded,
    train: Rated,
    valid: Rated,
    settings: TuneSettings,
    seed: int,
    folder: Path,
    on_epoch: Callable[[Epoch], None] = lambda _: None,
) -> tuple[Jsqa, list[Epoch]]:
    """The encoder with a head, trained by MSE on random crops; epochs are chosen by PCC on whole validation sounds.

    Parameters
    ----------
    encoder : Pretrained or not. It is trained in place unless `settings.frozen`; freeze a `SpeechModel`, whose features carry no gradients.
    train, valid : Sounds at `encoder.settings.rate` Hz and their MOS; at least two to validate on.
    settings : Hyper-parameters. Sounds shorter than a crop are repeated; `settings.keep` decides between the best and the last epoch.
    seed : Of the head's initial weights, the order of sounds, and the crops.
    folder : Keeps the state after each epoch, so that a killed run goes on.
    on_epoch : Called when an epoch is done and saved.

    Returns
    -------
    The network in evaluation mode on the CPU, and every epoch, those of a resumed run included. Their `score` is the PCC, their
    `validation_loss` the RMSE.

    Raises
    ------
    SettingsError
        The folder holds another run, a step does not fit into memory, there are fewer than two validation sounds, or a MOS or prediction among
        them is not finite.
    WeightsError
        The training loss is no longer finite, or the checkpoint is damaged.
    """
    accelerator = accelerator_of(settings.mixed_precision)
    torch.manual_seed(seed)
    model = Jsqa(encoder, settings.frozen)
    trained = [p for p in model.parameters() if p.requires_grad]
    network, optimizer = accelerator.prepare(model, torch.optim.Adam(trained, lr=settings.learning_rate))
    samples = int(settings.seconds * encoder.settings.rate)
    if isinstance(encoder, Encoder) and not settings.frozen:
        _check_memory(encoder.settings, settings.batch_size, samples, settings.mixed_precision, str(accelerator.device))
    labels = torch.from_numpy(np.asarray(train.mos, np.float32))

    def batches(epoch: int) -> Iterator[tuple[Tensor, Tensor]]:
        rng = np.random.default_rng([seed, epoch])
        order = share_of(rng.permutation(len(labels)), accelerator)
        # A last batch of one sound would have poor statistics for batch norm; it joins the one before.
        cuts = np.arange(settings.batch_size, max(len(order) - 1, 1), settings.batch_size)
        for chosen in np.split(order, cuts):
            crops = np.stack([crop(train.waveforms[i], samples, rng) for i in chosen])
            yield torch.from_numpy(crops).to(accelerator.device), labels[chosen].to(accelerator.device)

    def validate() -> Validation:
        predicted = predict(accelerator.unwrap_model(network), valid.waveforms)
        return Validation(metrics.pcc(predicted, valid.mos), metrics.rmse(predicted, valid.mos))

    start = short_hash(b"".join(v.detach().cpu().numpy().tobytes() for v in encoder.state_dict().values()))
    run = {
        "tuning": canonical(settings),
        "seed": seed,
        "start": start,
        "labels": [short_hash(np.asarray(one.mos).tobytes()) for one in (train, valid)],
    }
    run |= {"sounds": hash_of([*train.waveforms, *valid.waveforms])}
    epochs = fit(
        network,
        optimizer,
        batches,
        lambda batch: (network(batch[0]) - batch[1]).square().mean(),
        validate,
        settings.epochs,
        on_epoch=on_epoch,
        keep=settings.keep,
        checkpoint=Checkpoint(folder, run),
        accelerator=accelerator,
    )
    return model.eval().cpu(), epochs


def crop(waveform: np.ndarray, samples: int, rng: np.random.Generator) -> np.ndarray:
    """A random stretch, repeated where the sound is shorter."""
    start = int(rng.integers(max(1, len(waveform) - samples + 1)))
    return np.resize(waveform[start : start + samples], samples).astype(np.float32)


@torch.no_grad()
def predict(network: Jsqa, waveforms: Sequence[np.ndarray], window_s: float | None = None) -> Float[np.ndarray, " sounds"]:
    """MOS of sounds.

    Parameters
    ----------
    network : Trained. It is put into evaluation mode.
    waveforms : (samples,) each
        At `network.encoder.settings.rate` Hz, full scale 1.
    window_s : Length in seconds of windows whose MOS is averaged. They cover the sound, and the last one ends where the sound does; a
        shorter sound is repeated. None takes each sound whole.

    Returns
    -------
    (sounds,), from 1 to 5.
    """
    network.eval()
    device = next(network.parameters()).device
    scores = []
    for waveform in waveforms:
        views = windows(waveform, int(window_s * network.encoder.settings.rate)) if window_s else waveform[None]
        scores.append(float(network(torch.from_numpy(np.asarray(views, np.float32)).to(device)).mean()))
    return np.array(scores)


@torch.no_grad()
def embeddings(
    encoder: Encoder, waveforms: Sequence[np.ndarray], seconds: float, stretches: int, mixed_precision: MixedPrecision = "no"
) -> Float[np.ndarray, "sounds size"]:
    """Mean embeddings of stretches of sounds: for an encoder that is too slow to hear sounds whole, or in each epoch.

    Parameters
    ----------
    encoder : In evaluation mode.
    waveforms : (samples,) each
        At `encoder.settings.rate` Hz, full scale 1.
    seconds : Of a stretch; a shorter sound is repeated.
    stretches : How many of each sound, evenly spaced between its ends; a single one is taken from the middle.
    mixed_precision : "bf16" halves the time on processors that have it.

    Returns
    -------
    (sounds, size), float32.
    """
    samples, out = int(seconds * encoder.settings.rate), []
    device = next(encoder.parameters()).device
    for waveform in waveforms:
        starts = np.linspace(0, max(len(waveform) - samples, 0), stretches + 2)[1:-1].astype(int)
        cut = np.stack([np.resize(waveform[start : start + samples], samples) for start in starts]).astype(np.float32)
        with _autocast(str(device), mixed_precision):
            out.append(encoder(torch.from_numpy(cut).to(device)).float().mean(dim=0).cpu().numpy())
    return np.stack(out)


def windows(waveform: np.ndarray, samples: int) -> Shaped[np.ndarray, "windows samples"]:
    """A sound in windows of one length that cover it; a shorter sound is repeated."""
    if len(waveform) <= samples:
        return np.resize(waveform, samples)[None]
    starts = [*range(0, len(waveform) - samples, samples), len(waveform) - samples]
    return np.stack([waveform[s : s + samples] for s in starts])
