"""Sound that is held in memory: arrays, tensors, lists of numbers, (rate, array) pairs. What cannot be scaled for certain is refused."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from ..errors import AudioError

MAX_CHANNELS = 8  # an array with more rows is taken for a batch of sounds
LARGEST_RATE = 1 << 40  # Hz; what lies beyond it may be no float
QUIET_24_BITS = 1 << 23  # a peak in int32 below this could be that of 24 bits that were never shifted


def is_number(x: Any) -> bool:
    """Whether this is one real number: of Python, of NumPy, or a tensor without axes."""
    if isinstance(x, np.generic | np.ndarray):
        return x.ndim == 0 and x.dtype.kind in "iuf"
    return (isinstance(x, int | float) and not isinstance(x, bool)) or (hasattr(x, "item") and getattr(x, "ndim", 1) == 0)


def is_array(x: Any) -> bool:
    """Whether this holds samples: an array or tensor of numbers, or a non-empty list of numbers."""
    if isinstance(x, list | tuple):
        return len(x) > 0 and all(is_number(item) for item in x)
    if isinstance(x, str | bytes | bytearray | memoryview) or not (hasattr(x, "__array__") or hasattr(x, "__array_interface__")):
        return type(x).__module__ == "array"
    kind = getattr(getattr(x, "dtype", None), "kind", "f")
    return kind not in "OUSTM"


def with_rate(source: Any, sample_rate: Any) -> tuple[Any, Any]:
    """(samples, rate) from a pair in either order or from a mapping with "array" and "sampling_rate"; else as given.

    Parameters
    ----------
    source : Samples, a pair or a mapping.
    sample_rate : Hz; None if the source says it.

    Returns
    -------
    The samples, and their rate or None.

    Raises
    ------
    AudioError
        A second rate is given.
    """
    found = None
    if isinstance(source, Mapping) and "array" in source:
        found = source["array"], source.get("sampling_rate", source.get("sample_rate"))
    elif isinstance(source, tuple) and len(source) == 2:
        if is_number(source[0]) and is_array(source[1]):
            found = source[1], source[0]
        elif is_number(source[1]) and is_array(source[0]):
            found = source[0], source[1]
    if found is None:
        return source, sample_rate
    if found[1] is None:
        return found[0], sample_rate
    if sample_rate is not None and whole_rate(sample_rate) != whole_rate(found[1]):
        raise AudioError(f"The sound brings its own rate of {found[1]} Hz; leave out sample_rate={sample_rate}.")
    return found


def whole_rate(sample_rate: Any) -> int:
    """A rate in Hz as an integer, from any number that is whole.

    Parameters
    ----------
    sample_rate : Any number.

    Returns
    -------
    The rate as an int, in Hz.

    Raises
    ------
    AudioError
        There is none, or it is no whole number above 0.
    """
    if sample_rate is None:
        raise AudioError("An array of samples has no rate of its own; pass sample_rate in Hz.")
    if is_number(sample_rate) and 0 < sample_rate < LARGEST_RATE and float(sample_rate) == int(float(sample_rate)):
        return int(float(sample_rate))
    raise AudioError(f"The sample rate must be a whole number of Hz above 0, not {str(sample_rate)[:50]}.")


def samples_of(source: Any) -> tuple[np.ndarray, list[str]]:
    """Samples as float32 (channels, samples) with 1.0 as full scale, and notes on what was assumed.

    Parameters
    ----------
    source : An array, a tensor, a list, a Series or a DataFrame.

    Returns
    -------
    The samples, and the notes.

    Raises
    ------
    AudioError
        The type, the shape or the scale leaves open what the samples mean.
    """
    array = _as_numpy(source)
    if array.dtype.kind not in "iuf":
        raise AudioError(f"Samples must be real numbers, not {array.dtype}.")
    if array.ndim not in (1, 2) or (array.ndim == 2 and not len(array)):
        raise AudioError(f"Samples must have shape (samples,) or (channels, samples), not {array.shape}.")
    array = np.atleast_2d(array)
    if array.shape[0] > array.shape[1] > 0:
        raise AudioError(f"Shape {array.shape} has more channels than samples; pass (channels, samples).")
    if array.shape[0] > MAX_CHANNELS:
        raise AudioError(f"{array.shape[0]} rows are no channels of one sound; pass a list of sounds, list(array).")
    return _scaled(array)


def _as_numpy(source: Any) -> np.ndarray:
    if hasattr(source, "detach"):
        try:
            tensor = source.detach().cpu().resolve_conj().resolve_neg()
            narrow = tensor.is_floating_point() and tensor.element_size() < 4  # some of these types are unknown to NumPy
            return (tensor.float() if narrow else tensor).numpy()
        except (TypeError, RuntimeError, ValueError) as e:  # sparse, quantised, nested, or without values
            raise AudioError(f"This tensor ({source.dtype}, {source.layout}) holds no plain samples; pass a dense tensor of floats.") from e
    if isinstance(source, np.ma.MaskedArray) and np.ma.is_masked(source):
        raise AudioError("Some samples are masked, and a gap has no value; fill them first.")
    return np.asarray(source)


def _scaled(array: np.ndarray) -> tuple[np.ndarray, list[str]]:
    kind, size = array.dtype.kind, array.dtype.itemsize
    if kind == "f":
        return array.astype(np.float32), []
    if size == 8:
        raise AudioError(f"{array.dtype} has no full scale; convert the samples to int16, or to floats in [-1, 1].")
    if kind == "u":
        middle = (int(np.iinfo(array.dtype).max) + 1) // 2
        notes = [] if size == 1 else [f"{array.dtype} was read with its middle as zero"]
        return ((array.astype(np.float64) - middle) / middle).astype(np.float32), notes
    notes = []
    if size == 4 and array.size:
        peak = max(int(array.max()), -int(array.min()))
        if 0 < peak <= 1 << 15:
            raise AudioError(f"int32 with a peak of {peak} looks like 16-bit samples; convert them to int16, or to floats in [-1, 1].")
        if 0 < peak <= QUIET_24_BITS:
            notes.append(f"int32 with a peak of {peak}, scaled by 2**31; 24-bit samples would have to be shifted by 8 bits first")
    return (array / -float(np.iinfo(array.dtype).min)).astype(np.float32), notes
