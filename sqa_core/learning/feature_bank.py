"""A feature bank: each corpus through each encoder once, kept on disk, read as if it were in memory.

One folder a corpus, encoder and setting. `frames.npy` (layers, frames, width) holds every frame of every file one after the other,
`means.npy` (files, layers, width) each file's mean, `sums.npy` (files,) a checksum of both, -1 until they are there. A run that was killed
goes on where it stopped; a bank that is damaged is noticed by its sizes and checksums, and made again.
"""

import json
import os
import shutil
import sys
import zlib
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Literal

import numpy as np
import torch
from filelock import FileLock
from jaxtyping import Float, Int

from .. import audio, environment
from ..audio import ChannelName
from ..corpora.manifest import Manifest
from ..errors import CorpusError, SettingsError
from ..files import atomic, sha256, short_hash
from ..models import encoder_catalogue, encoders
from ..models.encoders import Encoder

FORMAT = 3  # raise it with every change to the input or the stored features, so that older banks are not reused
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
    """The feature bank of a corpus by an encoder; what is missing is computed and kept.

    Parameters
    ----------
    corpus : whose files are encoded.
    encoder : its name.
    settings : how files are encoded.
    device : where the encoder runs; `environment.device()` if not given.
    on_start : called with the bytes that the bank will take.
    on_audio : called after each batch with its seconds of sound.

    Returns
    -------
    The bank, open for reading.

    Raises
    ------
    SettingsError
        The disk has no room for it, with what it needs and what there is.
    """
    folder = environment.cache_folder() / "features" / key(corpus, encoder, settings)
    if _verified.get(folder) != _state(folder):
        folder.mkdir(parents=True, exist_ok=True)
        with FileLock(folder.with_suffix(".lock")):  # of several workers that want one bank, one fills it and the others wait
            if (folder / "whole.json").is_file() and (damage := _damage(folder)):
                print(f"{folder}: {damage}; the features of {corpus.name} are computed again.", file=sys.stderr)
                (folder / "whole.json").unlink()
            if not (folder / "whole.json").is_file():
                _fill(folder, corpus, encoders.load(encoder, device or environment.device()), settings, on_start, on_audio)
            _verified[folder] = _state(folder)
    stored = json.loads((folder / "whole.json").read_text())
    return Bank(folder, _ends(stored["counts"]), stored["layers"], stored["width"])


_verified: dict[Path, tuple] = {}  # the state in which this process has compared a bank with its checksums


def _state(folder: Path) -> tuple:
    """Sizes and times of a bank's files; None for one that is missing."""
    paths = [folder / name for name in ("whole.json", "frames.npy", "means.npy", "sums.npy")]
    return tuple((s.st_size, s.st_mtime_ns) if (s := _stat(path)) else None for path in paths)


def _stat(path: Path) -> os.stat_result | None:
    try:
        return path.stat()
    except FileNotFoundError:
        return None


def _damage(folder: Path) -> str:
    """What is wrong with a whole bank; nothing if it is as it was written."""
    try:
        stored = json.loads((folder / "whole.json").read_text())
        counts, layers, width = [int(n) for n in stored["counts"]], int(stored["layers"]), int(stored["width"])
    except (ValueError, TypeError, KeyError):
        return "whole.json is damaged"
    shapes = _shapes(counts, layers, width)
    if wrong := [name for name, (kind, shape) in shapes.items() if not _intact(folder / f"{name}.npy", kind, shape)]:
        return f"{wrong[0]}.npy is missing or damaged"
    frames, means, sums = (np.load(folder / f"{name}.npy", mmap_mode="r") for name in shapes)
    ends = _ends(counts)
    changed = [i for i in range(len(counts)) if sums[i] != _sum(frames[:, ends[i] : ends[i + 1]], means[i])]
    return f"{len(changed)} files' features differ from their checksums" if changed else ""


def _ends(counts: Sequence[int]) -> np.ndarray:
    """(files + 1,): file i holds frames ends[i] to ends[i + 1]."""
    return np.concatenate([[0], np.cumsum(counts)])


def _shapes(counts: Sequence[int], layers: int, width: int) -> dict[str, tuple[type, tuple[int, ...]]]:
    """Type and shape of a bank's arrays, by their files' names."""
    return {
        "frames": (np.float16, (layers, sum(counts), width)),
        "means": (np.float32, (len(counts), layers, width)),
        "sums": (np.int64, (len(counts),)),
    }


def _intact(path: Path, kind: type, shape: tuple[int, ...]) -> bool:
    """Whether an array's file has this type, shape and size; a file that was cut would be filled up with zeros by mapping it for writing."""
    try:
        with path.open("rb") as f:
            version = np.lib.format.read_magic(f)
            read = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
            found = read(f)
            whole = f.tell() + int(np.prod(shape)) * np.dtype(kind).itemsize
        return found == (shape, False, np.dtype(kind)) and path.stat().st_size == whole
    except Exception:  # a damaged header is parsed as Python and can raise anything
        return False


def _sum(frames: np.ndarray, means: np.ndarray) -> int:
    """Checksum of a file's frames (layers, frames, width) and means (layers, width)."""
    found = 0
    for part in (*frames, means):
        found = zlib.crc32(part.tobytes(), found)
    return found


def _fill(
    folder: Path,
    corpus: Manifest,
    encoder: Encoder,
    settings: FeatureSettings,
    on_start: Callable[[int], None],
    on_audio: Callable[[float], None],
) -> None:
    # A sound longer than Whisper's positions is cut there.
    lengths = np.minimum(samples_at(corpus, encoders.RATE), int(min(encoder.max_seconds, 1e6) * encoders.RATE))
    counts = [encoder.count_frames(n, settings.whole_window) for n in lengths.tolist()]
    on_start(size_bytes(encoder, counts))
    frames, means, sums = _open(folder, counts, encoder)
    ends = _ends(counts)
    order = np.argsort(-lengths, kind="stable").tolist()
    order = [i for i in order if sums[i] != _sum(frames[:, ends[i] : ends[i + 1]], means[i])]  # not there yet, or damaged since
    paths, hashes = corpus.paths(), corpus.table["sha256"].tolist()

    def read(batch: list[int]) -> list[np.ndarray]:
        for i in batch:
            if not paths[i].is_file() or sha256(paths[i]) != hashes[i]:
                raise CorpusError(
                    f"{paths[i]}: missing, or not the file of the manifest (its hash differs); run `sqa data check {corpus.name}`."
                )
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
            sums[batch] = [_sum(frames[:, ends[i] : ends[i + 1]], means[i]) for i in batch]
            sums.flush()
            on_audio(float(lengths[batch].sum()) / encoders.RATE)
    stored = {"corpus": corpus.name, "encoder": encoder.name, "counts": counts, "layers": encoder.layers, "width": encoder.width}
    with atomic(folder / "whole.json") as partial:
        partial.write_text(json.dumps(stored | asdict(settings)))


def samples_at(corpus: Manifest, rate: int) -> Int[np.ndarray, " files"]:
    """Samples of each file at another rate, in Hz; (files,)."""
    rates = corpus.table["sample_rate"].to_numpy(np.int64)
    samples = np.round(corpus.table["seconds"].to_numpy(float) * rates).astype(np.int64)
    return -(-samples * rate // rates)


def _open(folder: Path, counts: list[int], encoder: Encoder) -> tuple[np.memmap, np.memmap, np.memmap]:
    """The three files, made anew where one of them is missing or damaged: frames, means, and checksums of the files that are in them."""
    shapes = _shapes(counts, encoder.layers, encoder.width)
    if all(_intact(folder / f"{name}.npy", kind, shape) for name, (kind, shape) in shapes.items()):
        held = [np.lib.format.open_memmap(folder / f"{name}.npy", "r+") for name in shapes]
        return held[0], held[1], held[2]
    for name in shapes:
        (folder / f"{name}.npy").unlink(missing_ok=True)
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
    held[2][:] = -1
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
