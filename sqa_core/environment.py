"""Folders on this machine. The one place that reads environment variables."""

import importlib.metadata
import os
import platform
import subprocess
from collections.abc import Callable
from functools import cache
from pathlib import Path

from .errors import SettingsError

PACKAGE = Path(__file__).parent
LARGE_PAGES = "THP_MEM_ALLOC_ENABLE"  # a variable of torch, on Linux


def large_pages() -> None:
    """Ask torch to take memory in large pages, before it is imported: activations are touched once, so most of what a small page costs is
    its first touch, and training on a CPU is a quarter faster. A value that the user has set is kept."""
    os.environ.setdefault(LARGE_PAGES, "1")


def search_path(variable: str) -> list[Path]:
    """Folders named in `variable`, separated as in PATH; folders that do not exist are left out."""
    named = [Path(p).expanduser() for p in os.environ.get(variable, "").split(os.pathsep) if p]
    return [p.resolve() for p in named if p.is_dir()]


def cache_folder() -> Path:
    """The folder for everything that can be computed or fetched again: SQA_CACHE, else the user's cache folder of this system.

    Raises
    ------
    SettingsError
        This user has no home folder, and SQA_CACHE is not set.
    """
    import platformdirs

    named = os.environ.get("SQA_CACHE")
    try:
        found = Path(named).expanduser() if named else platformdirs.user_cache_path("sqa", appauthor=False)
        if not named and not found.is_absolute():  # "~" stays as it is where nobody knows whose it is
            raise RuntimeError(f"{found} is below no home folder")
    except (RuntimeError, KeyError) as e:
        raise SettingsError("This user has no home folder (HOME is not set); set SQA_CACHE to a folder for computed files.") from e
    return found


def find(kind: str, name: str, holds: Callable[[Path], bool] = Path.exists) -> Path | None:
    """The first file or folder with this name under SQA_DATA or SQA_WEIGHTS, then under the cache. Links in these folders are followed.

    Parameters
    ----------
    kind : "data" or "weights".
    name : path relative to the folders.
    holds : whether a path is what is wanted; by default, whether it exists.

    Returns
    -------
    The path, or None if there is none.

    Raises
    ------
    SettingsError
        `name` is absolute or contains "..", or there is neither SQA_CACHE nor a home folder.
    """
    if Path(name).is_absolute() or ".." in Path(name).parts:
        raise SettingsError(f"The name {name!r} leads out of the folders in SQA_{kind.upper()}; give a name below them.")
    for folder in [*search_path(f"SQA_{kind.upper()}"), cache_folder() / kind]:
        path = folder / name
        if holds(path):
            return path
    return None


@cache
def project_root() -> Path | None:
    """The checkout this package runs from, or None for an installed wheel."""
    root = PACKAGE.parent
    return root if (root / "_toc.yml").is_file() and (root / "notebooks").is_dir() else None


def resource(*parts: str) -> Path:
    """A file or folder of the project: in the checkout, else as the wheel carries it.

    The wheel keeps `book/published`, `book/results`, `book/splits` and `networks` under `sqa_core/data`.
    """
    root = project_root()
    return root.joinpath(*parts) if root else PACKAGE.joinpath("data", *parts)


def results_store(version: str) -> Path:
    """Where runs on this machine keep their records: SQA_STORE, else `_build/results` of the checkout, else the cache.

    version : names the state of the code that computes them; each has a folder of its own, so that changed code never meets numbers of
        older code.
    """
    if named := os.environ.get("SQA_STORE"):
        return Path(named).expanduser()
    root = project_root()
    return (root / "_build" if root else cache_folder()) / "results" / version


def device() -> str:
    """The best torch device of this machine: "cuda", "mps" or "cpu"; SQA_DEVICE overrides."""
    import torch

    if named := os.environ.get("SQA_DEVICE"):
        _check_device(named)
        return named
    if torch.cuda.is_available():
        return "cuda"
    return "mps" if torch.backends.mps.is_available() else "cpu"


def _check_device(name: str) -> None:
    import torch

    available = {"cpu": True, "cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available()}
    kind = name.split(":")[0]
    if kind not in available:
        raise SettingsError(f"SQA_DEVICE is {name!r}; it can be {', '.join(available)}.")
    if not available[kind]:
        raise SettingsError(f"SQA_DEVICE is {name!r}, and this machine has no such device that torch can use; unset it.")


def device_name(name: str) -> str:
    """What a record says of the device: the GPU's name, or the CPU's architecture and count of cores."""
    import torch

    if name.startswith("cuda"):
        return torch.cuda.get_device_name(name)
    return f"{name}, {platform.machine()}, {cores()} cores"


def free_memory_bytes(device: str = "cpu") -> int:
    """Bytes that are free on a device; on "mps" and "cpu" those of the machine."""
    import psutil
    import torch

    return torch.cuda.mem_get_info(device)[0] if device.startswith("cuda") else psutil.virtual_memory().available


def cores() -> int:
    """Cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


@cache
def versions() -> dict[str, str]:
    """Versions that can move a number: Python, this package, torch and its relatives."""
    names = [
        "sqa-core",
        "torch",
        "torchaudio",
        "numpy",
        "scipy",
        "captum",
        "transformers",
        "scikit-learn",
        "espeakng-loader",
        "pesq",
        "visqol-python",
    ]
    found = {"python": platform.python_version()}
    for name in names:
        try:
            found[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            continue
    return found


@cache
def commit() -> str:
    """Short hash of the checkout's commit, with `+` where files differ from it; the version for a wheel."""
    root = project_root()
    if root is None:
        from . import __version__

        return f"v{__version__}"
    try:
        git = ["git", "-C", str(root)]
        top = subprocess.run([*git, "rev-parse", "--show-toplevel"], capture_output=True, text=True, check=True).stdout.strip()
        if Path(top).resolve() != root.resolve():  # an unpacked archive inside somebody's repository
            return "unknown"
        head = subprocess.run([*git, "rev-parse", "--short=12", "HEAD"], capture_output=True, text=True, check=True).stdout.strip()
        changed = subprocess.run([*git, "status", "--porcelain", "--", "sqa_core"], capture_output=True, text=True, check=True).stdout
        return head + ("+" if changed.strip() else "")
    except (OSError, subprocess.CalledProcessError):
        return "unknown"


def spawn_context():
    """Worker processes that share no state with this one: a fork beside torch's threads can lock up."""
    import multiprocessing

    return multiprocessing.get_context("spawn")
