"""Corpora of one's own: folders of sounds with a manifest, each known by a name, as the built-in ones are."""

import re
from collections.abc import Callable
from pathlib import Path

from .. import environment
from ..errors import CorpusError, SettingsError
from ..files import atomic
from . import manifest as manifests
from .manifest import Manifest

NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,39}")
PLACE = "folder.txt"  # beside the manifest of a corpus that was added: the folder its sounds are in
STATUS = "real"
MEASURED = ("sha256", "sample_rate", "seconds")  # of a file; a manifest may leave them out when it is added


def names() -> list[str]:
    """Names of the folders below SQA_DATA and the cache that hold a manifest with this book's columns, sorted. Those of known corpora
    are among them."""
    places = [*environment.search_path("SQA_DATA"), environment.cache_folder() / "data"]
    folders = [folder for place in places for folder in _in(place)]
    return sorted({folder.name for folder in folders if NAME.fullmatch(folder.name) and manifests.is_in(folder)})


def _in(place: Path) -> list[Path]:
    """What is in a folder; nothing if it cannot be read."""
    try:
        return list(place.iterdir())
    except OSError:
        return []


def read(folder: Path, name: str) -> Manifest:
    """The corpus of a folder: its manifest, with the sounds beside it, or where they were when the corpus was added.

    Returns
    -------
    A manifest; its data status is "real".

    Raises
    ------
    CorpusError
        The manifest is not right (`manifest.read`), or the sounds' folder is gone.
    """
    found = manifests.read(folder / "manifest.csv", name, STATUS, manifests.LABELS)
    place = folder / PLACE
    if folder.parent != environment.cache_folder() / "data" or not place.is_file():  # a folder of unknown origin may not point elsewhere
        return found
    root = Path(place.read_text())
    if not root.is_dir():
        raise CorpusError(f"{name}: its folder {root} is gone; add the corpus again with `sqa data add {name} FOLDER`.")
    return Manifest(name, found.table, root, STATUS)


def add(name: str, folder: Path, language: str = "", licence: str = "", on_file: Callable[[str], None] = lambda _: None) -> Manifest:
    """Make a folder with a `manifest.csv` known as a corpus. Its sounds stay where they are.

    What the manifest leaves out of `MEASURED` is measured; what it has is compared with the files.

    Parameters
    ----------
    name : of the corpus from now on.
    folder : with the manifest; its files' paths start there.
    language, licence : of all files, where the manifest has no such column.
    on_file : called with each file that was measured.

    Returns
    -------
    The manifest.

    Raises
    ------
    SettingsError
        A name that cannot be used.
    CorpusError
        No folder, no manifest, a manifest that is not right, or files that are missing, cannot be read or differ from it.
    """
    if not NAME.fullmatch(name):
        raise SettingsError(
            f"{name!r} cannot name a corpus; use up to 40 letters without accents, digits, '_', '.' and '-', a letter or digit first."
        )
    path = folder / "manifest.csv"
    if not path.is_file():
        raise CorpusError(
            f"{path}: there is no such file. A corpus needs a CSV table with one row per file and the columns file and speaker, "
            "and emotion for the chapters on emotion."
        )
    table = manifests.read_table(path, manifests.LABELS)
    for column, value in (("language", language), ("licence", licence)):
        if value and column in table:
            raise CorpusError(f"{path}: it has a column {column}; leave out --{column}.")
        if value:
            table[column] = value
    if absent := [c for c in ("language", "licence") if c not in table]:
        raise CorpusError(f"{path}: it has no column {absent[0]}; give one value for all files with --{absent[0]}.")
    manifests.check(table, str(path), without=MEASURED)
    measured = Manifest(name, table, folder.resolve(), STATUS)
    if gone := [i for i, p in zip(table.index, measured.paths(), strict=True) if not p.is_file()]:
        count = f"{len(gone)} of its {len(table)} files {'is' if len(gone) == 1 else 'are'} not in {folder}"
        raise CorpusError(f"{path}, row {gone[0] + 2}: {table['file'][gone[0]]!r} is missing; {count}.")
    found = manifests.describe(measured.root, list(table["file"]), on_file).set_axis(table.index)
    for column in MEASURED:
        if column in table:
            same = abs(found[column] - table[column]) < 0.001 if column == "seconds" else found[column] == table[column]
            if not same.all():
                row = table.index[~same][0]
                text = f"{path}, row {row + 2}: `{column}` is {table[column][row]}, of the file it is {found[column][row]}"
                raise CorpusError(f"{text}; mend the manifest or the file.")
    table = table.assign(**{c: found[c] for c in MEASURED})
    manifests.check(table, str(path))
    table = table.reset_index(drop=True)
    kept = environment.cache_folder() / "data" / name
    kept.mkdir(parents=True, exist_ok=True)
    with atomic(kept / PLACE) as partial:
        partial.write_text(str(measured.root))
    manifests.write(Manifest(name, table, measured.root, STATUS), kept / "manifest.csv")
    return read(kept, name)
