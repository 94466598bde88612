"""Downloads: pooch, with hashes. A file arrives whole and verified or not at all; a second call takes up where the first broke off."""

from collections.abc import Callable
from pathlib import Path

import pooch
import requests

from .errors import CorpusError

TRIES = 4


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
    downloader = pooch.HTTPDownloader(timeout=timeout_s)
    paths = []
    for done, name in enumerate(hashes):
        try:
            paths.append(Path(store.fetch(name, downloader=downloader)))
        except ValueError as e:
            raise CorpusError(f"{base_url}{name}: what arrived is not the file expected (its hash differs), {_kept(done)}") from e
        except (requests.RequestException, OSError) as e:
            raise CorpusError(f"{base_url}{name}: could not be fetched ({type(e).__name__}), {_kept(done)}") from e
        on_file(name)
    return paths


def _kept(done: int) -> str:
    return f"{done} files are here and kept; call again to go on."
