"""Downloads: pooch, with hashes. A file arrives whole and verified or not at all; a second call takes up where the first broke off."""

import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pooch
import requests
import urllib3

from .errors import CorpusError

TRIES = 4
MAX_BYTES = 4 * 2**30  # of one file
MAX_SECONDS = 3600.0  # for one file: a server that sends a byte now and then never times out
CHUNK = 2**16


def fetch(
    base_url: str, hashes: dict[str, str], folder: Path, on_file: Callable[[str], None] = lambda _: None, timeout_s: float = 60
) -> list[Path]:
    """Files below `base_url` into `folder`, each checked against its SHA-256; those already there are kept.

    hashes : path below base_url and folder, to hexadecimal SHA-256.

    Raises
    ------
    CorpusError : which file, what went wrong, that the files that arrived are kept and the call can be repeated.
    """
    pooch.get_logger().setLevel("ERROR")
    if escaping := [n for n in hashes if not (folder / n).resolve().is_relative_to(folder.resolve())]:
        raise CorpusError(f"{escaping[0]!r} leads out of {folder}.")
    store = pooch.create(
        path=folder,
        base_url=base_url if base_url.endswith("/") else base_url + "/",
        registry={name: f"sha256:{digest}" for name, digest in hashes.items()},
        retry_if_failed=TRIES - 1,
    )

    paths = []
    for done, name in enumerate(hashes):
        start = time.monotonic()  # of all tries

        def downloader(url: str, target: str, _: object, start: float = start) -> None:
            _stream(url, Path(target), timeout_s, start)

        try:
            paths.append(Path(store.fetch(name, downloader=downloader)))
        except (requests.RequestException, OSError, _Endless) as e:  # before ValueError, which an address that is none raises too
            raise CorpusError(f"{base_url}{name}: could not be fetched ({_reason(e)}), {_kept(done)}") from e
        except ValueError as e:
            raise CorpusError(f"{base_url}{name}: what arrived is not the file expected (its hash differs), {_kept(done)}") from e
        on_file(name)
    return paths


def _stream(url: str, target: Path, timeout_s: float, start: float) -> None:
    """One file, as long as it comes within MAX_BYTES and, from `start` on (time.monotonic), MAX_SECONDS.

    Raises
    ------
    _Endless
        It does not. requests.RequestException: it did not arrive whole.
    """
    size = 0
    with requests.get(url, stream=True, timeout=timeout_s) as answer, target.open("wb") as file:
        answer.raise_for_status()
        length = answer.headers.get("Content-Length", "")
        promised = int(length) if length.isdigit() else -1
        for chunk in _chunks(answer):
            size += len(chunk)
            if size > MAX_BYTES:
                raise _Endless(f"it is larger than {MAX_BYTES / 2**30:g} GiB")
            if time.monotonic() - start > MAX_SECONDS:
                raise _Endless(f"it took longer than {MAX_SECONDS / 60:g} min, in which {size / 1e6:.1f} MB arrived")
            file.write(chunk)
    if not size:
        raise requests.ConnectionError("nothing arrived")
    if promised > size and "Content-Encoding" not in answer.headers:
        raise requests.ConnectionError(f"{size} of {promised} bytes arrived")


def _chunks(answer: requests.Response) -> Iterator[bytes]:
    """What arrives, as it arrives, and not only when a chunk is full."""
    while True:
        try:
            chunk = answer.raw.read1(CHUNK, decode_content=True)
        except urllib3.exceptions.ReadTimeoutError as e:
            raise requests.ConnectionError("nothing more arrived in time") from e
        except (urllib3.exceptions.HTTPError, OSError) as e:
            raise requests.ConnectionError("less than was promised arrived") from e
        if not chunk:
            return
        yield chunk


class _Endless(Exception):
    """A download that was given up, and is not tried again."""


def _reason(error: Exception) -> str:
    """What failed: in the words above, or by the kind of error."""
    own = isinstance(error, _Endless) or "arrived" in str(error)
    status = error.response.status_code if isinstance(error, requests.HTTPError) and error.response is not None else None
    return str(error) if own else f"the server answered {status}" if status else type(error).__name__


def _kept(done: int) -> str:
    return f"{done} files are here and kept; call again to go on."
