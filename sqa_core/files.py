"""Files: written whole or not at all, and known by their hashes; and JSON of unknown origin."""

import errno
import hashlib
import json
import os
import secrets
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from .errors import SettingsError

DISK_ERRORS = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO)  # of a disk, or of what a user may write
PARTIAL = "part-"  # how the name of an unfinished file starts


@contextmanager
def atomic(path: Path) -> Iterator[Path]:
    """A temporary path beside `path`, which takes its place when the block ends; after an exception `path` is as it was.

    The temporary name is unique, so several processes may write the same file at once: the last one wins, and each reader sees a
    whole file. Its ending is that of `path`, since some writers choose the format by it.

    Examples
    --------
    >>> import tempfile
    >>> target = Path(tempfile.mkdtemp()) / "a.txt"
    >>> with atomic(target) as partial:
    ...     _ = partial.write_text("whole")
    >>> target.read_text(), len(list(target.parent.iterdir()))
    ('whole', 1)
    """
    partial = path.with_name(f"{PARTIAL}{os.getpid()}-{secrets.token_hex(4)}-{path.name[-40:]}")  # a name of 255 bytes has no room for more
    try:
        yield partial
        partial.replace(path)
    except OSError as e:
        if e.filename == str(partial) or (e.filename is None and e.errno in DISK_ERRORS):  # of a write, which names no file
            e.filename = str(path)  # the name that the user knows
        raise
    finally:
        with suppress(OSError):  # which would hide the first error
            partial.unlink(missing_ok=True)


def require_writable(folder: Path) -> None:
    """Raise SettingsError if nothing can be written in a folder, or where it would be made: to be known before minutes of work."""
    try:
        place = next(p for p in (folder.absolute(), *folder.absolute().parents) if p.exists())
        with tempfile.TemporaryFile(dir=place):
            pass
    except OSError as e:
        raise SettingsError(f"{folder}: nothing can be written there ({e.strerror or type(e).__name__}).") from e


def from_json(text: str | bytes) -> Any:
    """What a JSON text holds. Raises ValueError for anything wrong with it, including brackets nested too deeply."""
    try:
        return json.loads(text)
    except RecursionError as e:
        raise ValueError("nested too deep") from e


def below(folder: Path, on_refused: Callable[[OSError], None] = lambda error: None) -> Iterator[Path]:
    """Every file below a folder, at any depth. Links to folders are followed, and each folder is entered once.

    Parameters
    ----------
    on_refused : called with the error for each folder that cannot be read, `folder` included; by default such folders are ignored.

    Returns
    -------
    Paths that start with `folder`, in no fixed order, found while they are iterated over.
    """
    seen: set[tuple[int, int]] = set()
    for place, folders, files in os.walk(folder, followlinks=True, onerror=on_refused):
        here = Path(place).stat()
        if (here.st_dev, here.st_ino) in seen:  # a link back to where the walk has been
            folders.clear()
            continue
        seen.add((here.st_dev, here.st_ino))
        yield from (Path(place, name) for name in files)


def sha256(path: Path) -> str:
    """SHA-256 of a file's bytes, 64 hexadecimal digits."""
    with path.open("rb") as f:
        return hashlib.file_digest(f, "sha256").hexdigest()


def short_hash(content: str | bytes, digits: int = 12) -> str:
    """The first hexadecimal digits of the SHA-256 of a text or of bytes, for names of things that are computed again on a change.

    Examples
    --------
    >>> short_hash("abc")
    'ba7816bf8f01'
    """
    return hashlib.sha256(content.encode() if isinstance(content, str) else content).hexdigest()[:digits]
