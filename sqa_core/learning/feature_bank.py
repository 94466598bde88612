"""A feature bank: each corpus through each encoder once, kept on disk, read as if it were in memory.

One folder a corpus, encoder and setting. `frames.npy` (layers, frames, width) holds every frame of every file one after the other,
`means.npy` (files, layers, width) each file's mean. A run that was killed goes on where it stopped.
"""

import json
import os
import shutil
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Literal

import numpy as np
import torch
from filelock import FileLock
from jaxtyping import Float

from .. import audio, environment
from ..audio import ChannelName
from ..corpora.manifest import Manifest
from ..errors import CorpusError, SettingsError
from ..files import atomic, short_hash
from ..models import encoder_catalogue, encoders
from ..models.encoders import Encoder

FORMAT = 2  # raise it with every change to the input or the stored features, so that older banks are not reused
BATCH_S = {"cpu": 12.0, "cuda": 240.0}  # seconds of audio in a batch: more leaves a CPU's caches
STRETCH = 1.25  # the longest sound of a batch over the shortest: what is padded is computed for nothing


@dataclass(frozen=True)
class FeatureSettings:
    """What decides the features beside corpus and weights."""

    whole_window: bool = False  # Whisper with each sound padded to 30 s
    channel: ChannelName = "mean"
    precision: Literal["fp32", "fp16", "bf16"] = "fp32"  # of the encoder; features are kept in 16 bits


@dataclass(frozen=True)
class Bank:
    """Features of a corpus by one encoder; files in the manifest's order."""

    folder: Path
    ends: np.ndarray  # (files + 1,): file i holds frames ends[i] to ends[i + 1]
    layers: int
    width: int

    @property
    def frames(self) -> Float[np.ndarray, "layers frames width"]:
        """Every frame, 16 bits, read from disk as it is asked for."""
        return np.load(self.folder / "frames.npy", mmap_mode="c")  # what is written to it is never written back

    @property
    def means(self) -> Float[np.ndarray, "files layers width"]:
        """Each file's mean over its frames, from the frames in 32 bits."""
        return np.load(self.folder / "means.npy", mmap_mode="r")


def key(corpus: Manifest, encoder: str, settings: FeatureSettings) -> str:
    """Hash of all that decides a bank: files (not their labels), weights, settings."""
    files = corpus.table[["file", "sha256"]].to_csv(index=False)
    text = json.dumps([FORMAT, corpus.name, files, encoder, encoder_catalogue.weights_hash(encoder), asdict(settings)], sort_keys=True)
    return short_hash(text, 16)


def size_bytes(encoder: Encoder, counts: Sequence[int]) -> int:
    """What a bank takes on disk."""
    return encoder.layers * encoder.width * (2 * sum(counts) + 4 * len(counts))


def bank(
    corpus: Manifest,
    encoder: str,
    settings: FeatureSettings = FeatureSettings(),
    device: str | None = None,
    on_start: Callable[[int], None] = lambda _: None,
    on_audio: Callable[[float], None] = lambda _: None,
) -> Bank:
    """The feature bank of a corpus by an encoder; what is missing is computed. on_start(bytes); on_audio(seconds) after each batch.

    Raises
    ------
    SettingsError : the disk has no room for it, with what it needs and what there is.
    """
    folder = environment.cache_folder() / "features" / key(corpus, encoder, settings)
    if not (folder / "whole.json").is_file():
        folder.mkdir(parents=True, exist_ok=True)
        with FileLock(folder.with_suffix(".lock")):  # of several workers that want one bank, one fills it and the others wait
            if not (folder / "whole.json").is_file():
                _fill(folder, corpus, encoders.load(encoder, device or environment.device()), settings, on_start, on_audio)
    stored = json.loads((folder / "whole.json").read_text())
    return Bank(folder, np.concatenate([[0], np.cumsum(stored["counts"])]), stored["layers"], stored["width"])


def _fill(
    folder: Path,
    corpus: Manifest,
    encoder: Encoder,
    settings: FeatureSettings,
    on_start: Callable[[int], None],
    on_audio: Callable[[float], None],
) -> None:
    # A sound longer than Whisper's positions is cut there.
    lengths = np.minimum(_lengths(corpus), int(min(encoder.max_seconds, 1e6) * encoders.RATE))
    counts = [encoder.count_frames(n, settings.whole_window) for n in lengths.tolist()]
    on_start(size_bytes(encoder, counts))
    frames, means, done = _open(folder, counts, encoder)
    ends = np.concatenate([[0], np.cumsum(counts)])
    order = [i for i in np.argsort(-lengths, kind="stable").tolist() if not done[i]]
    paths = corpus.paths()

    def read(batch: list[int]) -> list[np.ndarray]:
        return [audio.load_mono(paths[i], encoders.RATE, settings.channel)[: lengths[i]] for i in batch]

    planned = list(batches(order, lengths, encoder.device))
    with ThreadPoolExecutor(1) as reader:  # one batch is read while another is encoded
        waiting = [reader.submit(read, batch) for batch in planned[:1]]
        for number, batch in enumerate(planned):
            waveforms = waiting.pop().result()
            waiting += [reader.submit(read, later) for later in planned[number + 1 : number + 2]]
            states = encoder.hidden_states(waveforms, settings.whole_window, settings.precision)
            for i, found in zip(batch, states, strict=True):
                if found.shape[1] != counts[i]:
                    raise CorpusError(f"{paths[i]}: gave {found.shape[1]} frames where its length promised {counts[i]}; check the corpus.")
                frames[:, ends[i] : ends[i + 1]] = _sixteen_bits(found, encoder.name).numpy()
                means[i] = found.float().mean(dim=1).cpu().numpy()
            for held in (frames, means):
                held.flush()
            done[batch] = True
            done.flush()
            on_audio(float(lengths[batch].sum()) / encoders.RATE)
    stored = {"corpus": corpus.name, "encoder": encoder.name, "counts": counts, "layers": encoder.layers, "width": encoder.width}
    with atomic(folder / "whole.json") as partial:
        partial.write_text(json.dumps(stored | asdict(settings)))


def _lengths(corpus: Manifest) -> np.ndarray:
    """Samples of each file at the encoders' rate."""
    rates = corpus.table["sample_rate"].to_numpy(np.int64)
    samples = np.round(corpus.table["seconds"].to_numpy(float) * rates).astype(np.int64)
    return -(-samples * encoders.RATE // rates)


def _open(folder: Path, counts: list[int], encoder: Encoder) -> tuple[np.memmap, np.memmap, np.memmap]:
    """The three files, made where they are not there: frames, means, and which files of the corpus are in them."""
    shapes = {
        "frames": (np.float16, (encoder.layers, sum(counts), encoder.width)),
        "means": (np.float32, (len(counts), encoder.layers, encoder.width)),
        "done": (np.bool_, (len(counts),)),
    }
    if all((folder / f"{name}.npy").is_file() for name in shapes):
        held = [np.lib.format.open_memmap(folder / f"{name}.npy", "r+") for name in shapes]
        return held[0], held[1], held[2]
    needed, free = size_bytes(encoder, counts), shutil.disk_usage(folder).free
    if needed > free:
        raise SettingsError(
            f"{folder}: the features need {needed / 1e9:.1f} GB and {free / 1e9:.1f} GB are free; set SQA_CACHE to a larger disk."
        )
    held = []
    for name, (kind, shape) in shapes.items():
        made = np.lib.format.open_memmap(folder / f"{name}.npy", "w+", dtype=kind, shape=shape)
        _claim(folder / f"{name}.npy")
        held.append(made)
    return held[0], held[1], held[2]


def _claim(path: Path) -> None:
    """Take the room on the disk now: a write to a mapped file that finds none would end the process without a word."""
    if hasattr(os, "posix_fallocate"):
        try:
            with path.open("r+b") as f:
                os.posix_fallocate(f.fileno(), 0, path.stat().st_size)
        except OSError as e:
            path.unlink()
            raise SettingsError(f"{path}: the disk has no room for it ({e.strerror}); set SQA_CACHE to a larger one.") from e


def _sixteen_bits(found: torch.Tensor, name: str) -> torch.Tensor:
    halves = found.half().cpu()
    if not torch.isfinite(halves).all():
        raise SettingsError(f"{name}: its outputs pass what 16 bits hold ({found.abs().max():.0f}); this bank cannot keep them.")
    return halves


def batches(order: list[int], lengths: np.ndarray, device: str = "cpu") -> Iterator[list[int]]:
    """Files in falling order of length (samples at the encoders' rate), together while they are alike and not too many."""
    seconds = BATCH_S.get(device.split(":")[0], BATCH_S["cuda"])
    batch: list[int] = []
    for i in order:
        longest = lengths[batch[0]] if batch else lengths[i]
        if batch and (longest > STRETCH * lengths[i] or (len(batch) + 1) * longest > seconds * encoders.RATE):
            yield batch
            batch = []
        batch.append(i)
    if batch:
        yield batch
