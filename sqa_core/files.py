"""Files: written whole or not at all, and known by their hashes."""

import hashlib
import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

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
    partial = path.with_name(f"{PARTIAL}{os.getpid()}-{secrets.token_hex(4)}-{path.name}")
    try:
        yield partial
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)


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
