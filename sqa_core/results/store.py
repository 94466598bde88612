"""Where records are kept: a folder, or an fsspec address (s3://…, sftp://…). Every failure there is one sentence."""

import errno
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import fsspec

from ..errors import SettingsError
from ..files import PARTIAL, atomic, require_writable

Store = str | Path
FLEETING = ("memory", "dir", "reference", "data", "http", "https", "github", "git")  # protocols that keep nothing, or cannot be written


def check(folder: Store) -> None:
    """Refuse an address that is none, or whose contents end with the process, before anything is computed for it.

    Raises
    ------
    SettingsError
        The place keeps nothing, or is no folder.
    """
    links = [link.partition("://") for link in str(folder).split("::")] if "://" in str(folder) else []
    bad = any(p in FLEETING or p not in fsspec.available_protocols() or (mark and not rest) for p, mark, rest in links)
    if bad or str(folder).startswith(":") or str(folder).endswith(":"):
        raise SettingsError(f"{folder}: not a store that keeps records; name a folder, or an address such as s3://bucket/folder.")
    here = _on_this_machine(folder)
    if here and here.exists() and not here.is_dir():
        raise SettingsError(f"{folder}: not a folder, so no records can be kept there.")


def require_space(folder: Store) -> None:
    """Raise SettingsError if records cannot be written to a folder of this machine; what is at an address shows when it is written."""
    if here := _on_this_machine(folder):
        require_writable(here)


def _on_this_machine(folder: Store) -> Path | None:
    """The folder, if it is one of this machine's and not an address."""
    text = str(folder).removeprefix("file://")
    return Path(text) if text and "://" not in text else None


@contextmanager
def reaching(folder: Store) -> Iterator[tuple[Any, str]]:
    """The file system of a store and the path in it, as a context: what fails inside is one sentence.

    Returns
    -------
    fsspec's file system, and the path.

    Raises
    ------
    SettingsError
        It cannot be reached, its disk is full, or the address is not one. FileNotFoundError passes through.
    """
    try:
        yield fsspec.core.url_to_fs(str(folder))
    except OSError as e:
        if e.errno in (errno.ENOSPC, errno.EDQUOT):
            raise SettingsError(f"{folder}: the disk is full; make room and run again, what is stored is kept.") from e
        if isinstance(e, FileNotFoundError):
            raise
        raise SettingsError(f"{folder}: the store cannot be reached ({e.strerror or e}); what is stored is kept.") from e
    except (ImportError, ValueError, NotImplementedError) as e:
        raise SettingsError(f"{folder}: not a store that can be opened ({e}).") from e


def read_bytes(folder: Store, name: str) -> bytes:
    with reaching(folder) as (files, root):
        if "file" in files.protocol and Path(f"{root}/{name}").is_fifo():  # which would wait for a writer
            raise SettingsError(f"{folder}/{name}: not a file but a pipe; delete it.")
        return files.cat_file(f"{root}/{name}")


def write_bytes(folder: Store, name: str, data: bytes) -> None:
    """In a folder the file is written under a temporary name and then renamed; object stores take each file whole."""
    with reaching(folder) as (files, root):
        files.makedirs(root, exist_ok=True)
        if "file" not in files.protocol:
            files.pipe_file(f"{root}/{name}", data)
            return
        with atomic(Path(f"{root}/{name}")) as partial:
            partial.write_bytes(data)


def names(folder: Store) -> list[str]:
    """Of the files in a folder, without unfinished ones; none if there is no such folder."""
    with reaching(folder) as (files, root):
        try:
            found = [path.rsplit("/", 1)[-1] for path in files.ls(root, detail=False, refresh=True)]
        except FileNotFoundError:
            return []
    return [n for n in found if not n.startswith(PARTIAL)]


def exists(folder: Store, name: str) -> bool:
    with reaching(folder) as (files, root):
        return files.exists(f"{root}/{name}")


def version(folder: Store, name: str) -> str:
    """Something that changes when a file does: its time and size."""
    with reaching(folder) as (files, root):
        info = files.info(f"{root}/{name}")
    return f"{info.get('mtime') or info.get('LastModified')} {info.get('size')}"
