"""Which files of a folder are sound. Nothing is left out without being counted."""

from collections import Counter
from collections.abc import Iterable
from functools import partial
from pathlib import Path

from ..errors import SettingsError
from ..files import below
from . import kinds
from .layout import read_at
from .reading import shown


def sound_files(paths: Iterable[Path]) -> tuple[list[Path], Counter[str]]:
    """Files as they are, and folders as the sound files in them and below, sorted by name.

    A file in a folder counts as sound if its first bytes say so, or if its name ends like one (what is wrong with it is said when it
    is read). Links to folders are followed, each folder once.

    Returns
    -------
    The files; and how many were left out of folders, by what they are.

    Raises
    ------
    SettingsError
        A folder holds no sound files.
    """
    found: list[Path] = []
    left_out: Counter[str] = Counter()
    for path in paths:
        if not _is_folder(path):
            found.append(path)
            continue
        sounds, others = _below(path)
        if not sounds:
            counted = f" ({describe(others)})" if others else ""
            raise SettingsError(f"{shown(path)}: no sound files in this folder{counted}.")
        found += sounds
        left_out += others
    return found, left_out


def _is_folder(path: Path) -> bool:
    """Whether a path is a folder; one that cannot be asked about, such as a name that is too long, is a file with an error of its own."""
    try:
        return path.is_dir()
    except OSError:
        return False


def describe(left_out: Counter[str]) -> str:
    """What was left out of folders, as one phrase.

    Parameters
    ----------
    left_out : How many files of each kind.

    Returns
    -------
    The count and each kind, the most frequent first.

    Examples
    --------
    >>> describe(Counter({"text": 2, "a picture": 1}))
    '3 files left out: 2 text, 1 a picture'
    """
    total = left_out.total()
    return f"{total} file{'s' * (total != 1)} left out: " + ", ".join(f"{n} {what}" for what, n in left_out.most_common())


def _below(folder: Path) -> tuple[list[Path], Counter[str]]:
    sounds: list[Path] = []
    others: Counter[str] = Counter()

    def refused(_: OSError) -> None:
        others["a folder that cannot be read"] += 1

    for path in below(folder, refused):
        what = _not_sound(path)
        if what is None:
            sounds.append(path)
        else:
            others[what] += 1
    return sorted(sounds), others


def _not_sound(path: Path) -> str | None:
    """What this file is, if it is not to be scored."""
    meant = path.suffix.lower() in kinds.ENDINGS
    try:
        if not path.exists():
            return "a link to nothing"
        if not path.is_file():
            return "a pipe or device"
        with path.open("rb") as file:
            head = read_at(file, 0, kinds.HEAD)
            kind = kinds.kind_of(head, partial(read_at, file)) if head else "an empty file"
    except OSError:
        return None if meant else "a file that cannot be read"
    if isinstance(kind, kinds.Kind):
        return None
    return None if meant and "resource fork" not in kind else kind
