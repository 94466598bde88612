"""The way in for checkpoints of unknown origin: no more than tensors and plain values, of a size that can be, and of the right network."""

import os
import pickle
import warnings
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

from ..errors import WeightsError


def require_file(path: Path, largest_bytes: int) -> None:
    """Raise WeightsError unless this is a file that takes at most `largest_bytes`, on disk and unpacked."""
    if not os.path.isfile(path):  # noqa: PTH113 (Path.is_file raises for names that no file can have)
        raise WeightsError(f"{path}: there is no such file.")
    size = path.stat().st_size
    try:
        if zipfile.is_zipfile(path):
            with zipfile.ZipFile(path) as archive:
                size = max(size, sum(entry.file_size for entry in archive.infolist()))
    except (zipfile.BadZipFile, OSError, ValueError) as e:
        raise WeightsError(f"{path}: a damaged checkpoint ({type(e).__name__}).") from e
    if not 0 < size <= largest_bytes:
        raise WeightsError(f"{path}: {size} bytes is not the size of such a network; at most {largest_bytes} are read.")


def torch_checkpoint(path: Path, largest_bytes: int) -> Any:
    """What `torch.save` wrote: tensors, numbers, text, and lists and dictionaries of them.

    Parameters
    ----------
    path : Of the file.
    largest_bytes : Larger files are refused before they are read.

    Returns
    -------
    The object that was saved, tensors on the CPU.

    Raises
    ------
    WeightsError
        It is missing, too large, damaged, or holds anything else, which could run code.
    """
    require_file(path, largest_bytes)
    if _is_program(path):
        raise WeightsError(f"{path}: a TorchScript program and not a checkpoint; refused.")
    try:
        with warnings.catch_warnings(record=True) as warned:
            warnings.simplefilter("always")
            return torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as e:
        if any("pickle protocol" in str(w.message) for w in warned):
            raise WeightsError(f"{path}: saved with another pickle protocol than 2; save it again with `torch.save`'s own.") from e
        raise WeightsError(
            f"{path}: not a checkpoint, or one that holds more than tensors and plain settings and could run code; refused."
        ) from e
    except Exception as e:  # the reader of old checkpoints raises whatever its bytes lead it to: IndexError, struct.error…
        raise WeightsError(f"{path}: not a checkpoint, or a damaged one ({type(e).__name__}).") from e


def _is_program(path: Path) -> bool:
    """Whether this is what `torch.jit.save` wrote: code, which `torch.load` would hand over to another loader."""
    if not zipfile.is_zipfile(path):
        return False
    with zipfile.ZipFile(path) as archive:
        return any("/code/" in name or name.endswith("/constants.pkl") for name in archive.namelist())


def safetensors(path: Path, largest_bytes: int) -> tuple[dict[str, torch.Tensor], dict[str, str]]:
    """Tensors and metadata of a safetensors file; WeightsError if it is missing, too large or damaged."""
    from safetensors import SafetensorError, safe_open

    require_file(path, largest_bytes)
    try:
        with safe_open(path, framework="pt") as file:
            return {key: file.get_tensor(key) for key in file.keys()}, file.metadata() or {}  # noqa: SIM118 (not a dict)
    except (SafetensorError, OSError) as e:
        raise WeightsError(f"{path}: not a safetensors file, or a damaged one.") from e


def require_state(state: Any, expected: Mapping[str, torch.Tensor], path: Path) -> None:
    """Raise WeightsError unless `state` holds the tensors of a network, whose own state (on the device `meta`) is `expected`: the same names,
    shapes and kinds, all of them finite, and plausible batch-norm statistics."""
    if not isinstance(state, Mapping):
        raise WeightsError(f"{path}: its tensors are in a {type(state).__name__}, not in a dictionary by name.")
    if strange := [key for key in state if not isinstance(key, str)]:
        raise WeightsError(f"{path}: {strange[0]!r:.40} is not the name of a tensor.")
    missing, unknown = sorted(expected.keys() - state.keys()), sorted(state.keys() - expected.keys())
    if missing or unknown:
        what = f"lacks {missing[0]}" if missing else f"has {unknown[0]!r:.60}, which the network does not"
        raise WeightsError(f"{path}: {what} ({len(missing)} keys missing, {len(unknown)} unknown); it is of another network.")
    for key, value in state.items():
        if not isinstance(value, torch.Tensor):
            raise WeightsError(f"{path}: {key} is not a tensor.")
        if not _is_plain(value) or value.dtype not in (_FLOATS if expected[key].is_floating_point() else _INTEGERS):
            raise WeightsError(f"{path}: {key} is a tensor of another kind ({_kind(value)}) than the network's.")
        if value.shape != expected[key].shape:
            raise WeightsError(f"{path}: {key} has shape {tuple(value.shape)}, not {tuple(expected[key].shape)}.")
        if not torch.isfinite(value.to(expected[key].dtype)).all():  # 1e300 is a number, but not in 32 bits
            raise WeightsError(f"{path}: {key} holds values that are not numbers (NaN or infinite); it is damaged.")
        if key.endswith("running_var") and (value < 0).any():
            raise WeightsError(f"{path}: {key} holds a negative variance; it is damaged.")
        if key.endswith(("running_var", "running_mean")) and value.abs().max() > LARGEST_STATISTIC:
            raise WeightsError(f"{path}: {key} holds {value.abs().max():.0e}, which no activation reaches; it is damaged.")


LARGEST_STATISTIC = 1e8  # of a batch norm; those of the networks here stay below 1e5
_FLOATS = (torch.float16, torch.bfloat16, torch.float32, torch.float64)
_INTEGERS = (torch.uint8, torch.int8, torch.int16, torch.int32, torch.int64, torch.bool)


def _is_plain(value: torch.Tensor) -> bool:
    """Dense numbers in memory."""
    return not value.is_nested and value.layout == torch.strided and not value.is_quantized and value.device.type == "cpu"


def _kind(value: torch.Tensor) -> str:
    layout = "nested" if value.is_nested else str(value.layout).removeprefix("torch.")
    return ", ".join([str(value.dtype).removeprefix("torch."), layout, value.device.type])
