"""The list of corpora: where each is looked for, how it is fetched, under which licence it may be used."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache, partial
from pathlib import Path

from .. import environment
from ..errors import CorpusError, SettingsError
from . import asterisk, manifest, own, p835, polyglot
from .emotion import catalogue, reader
from .manifest import Manifest


@dataclass(frozen=True, kw_only=True)
class Corpus:
    """One row of the registry.

    status : "real" or "synthetic". read : turns the folder into a manifest. generated : made by this library when it is needed. verify : one
    line for each difference from a complete copy. complete : whether a folder holds the corpus. fetch : fills the folder; a corpus that has
    none says in by_hand how to get it.
    """

    title: str
    status: str
    licence: str
    megabytes: int
    read: Callable[[Path], Manifest]
    generated: bool = False
    verify: Callable[[Manifest], list[str]] = manifest.verify
    complete: Callable[[Path], bool] = lambda folder: (folder / "manifest.csv").is_file()
    fetch: Callable[..., object] | None = None
    by_hand: str = ""


def _emotional(name: str) -> Corpus:
    corpus = catalogue.CORPORA[name]
    return Corpus(
        title=corpus.title,
        status=reader.STATUS,
        licence=corpus.licence,
        megabytes=corpus.megabytes,
        read=partial(reader.manifest, name=name),
        verify=lambda found: reader.problems(found.root, name),
        complete=partial(reader.holds, name=name),
        by_hand=f"get it from {corpus.obtain} and put its folder below SQA_DATA as {name}",
    )


CORPORA = {
    "p835": Corpus(
        title="P.835 reference conditions with listeners' scores, English",
        status="real",
        licence="CC BY 4.0",
        megabytes=55,
        read=p835.manifest,
        fetch=p835.fetch,
        verify=p835.verify,
        complete=lambda folder: (folder / p835.SPREADSHEET).is_file(),
    ),
    "asterisk": Corpus(
        title="Asterisk prompts, five languages",
        status="real",
        licence="CC BY-SA 3.0 / CC BY 3.0",
        megabytes=58,
        read=asterisk.manifest,
        fetch=asterisk.fetch,
    ),
    "clean_voices": Corpus(
        title="clean read speech of 42 talkers in six languages",
        status="real",
        licence="CC0, Magic Data 1.0 and others; see its manifest",
        megabytes=60,
        read=lambda folder: manifest.read(folder / "manifest.csv", "clean_voices", "real"),
        by_hand="put its folder with its manifest.csv below SQA_DATA as clean_voices",
    ),
    "polyglot": Corpus(
        title="built-in synthetic speech, eleven languages",
        status="synthetic",
        licence=polyglot.LICENCE,
        megabytes=200,
        read=polyglot.manifest,
        fetch=polyglot.generate,
        generated=True,
    ),
    "polyglot-acted": Corpus(
        title="built-in synthetic speech in the manner of seven emotions, seven languages of the chapters on emotion and English",
        status="synthetic",
        licence=polyglot.LICENCE,
        megabytes=90,
        read=polyglot.acted,
        fetch=polyglot.generate_acted,
        generated=True,
    ),
    **{name: _emotional(name) for name in catalogue.CORPORA},
}


def everything() -> dict[str, Corpus]:
    """All corpora by name: those of this list, and the user's own."""
    return CORPORA | {name: _own(name) for name in own.names() if name not in CORPORA}


def known(name: str) -> Corpus:
    """A corpus of this list, or one of the user's own.

    Returns
    -------
    Its row of the registry, whether or not the corpus is on this machine.

    Raises
    ------
    SettingsError
        There is no corpus of this name.
    """
    if name in CORPORA:
        return CORPORA[name]
    if name in own.names():
        return _own(name)
    raise SettingsError(f"There is no corpus {name!r}; known are {', '.join(everything())}. `sqa data add NAME FOLDER` adds one.")


def _own(name: str) -> Corpus:
    return Corpus(
        title="a corpus of your own",
        status=own.STATUS,
        licence="as in its manifest",
        megabytes=0,
        read=partial(own.read, name=name),
        by_hand=f"run `sqa data add {name} FOLDER`",
    )


def how_to_get(name: str) -> str:
    """What to do about a corpus that is not on this machine.

    Returns
    -------
    The end of a sentence, such as "run `sqa data fetch p835`, or set SQA_DATA".

    Raises
    ------
    SettingsError
        There is no corpus of this name.
    """
    return known(name).by_hand or f"run `sqa data fetch {name}`, or set SQA_DATA"


def find(name: str) -> Path | None:
    """The corpus's folder on this machine: below SQA_DATA, else in the cache.

    Returns
    -------
    The first folder that holds the complete corpus, or None.

    Raises
    ------
    SettingsError
        There is no corpus of this name.
    """
    complete = known(name).complete
    return environment.find("data", name, lambda folder: folder.exists() and complete(folder))


def add(name: str, folder: Path, language: str = "", licence: str = "", on_file: Callable[[str], None] = lambda _: None) -> Manifest:
    """Make a folder of the user's known under a name.

    Parameters
    ----------
    name, folder, language, licence, on_file : as in `own.add`.

    Returns
    -------
    The manifest.

    Raises
    ------
    SettingsError
        The name cannot be used, is that of a corpus of this list, or is that of another folder that is found first.
    CorpusError
        As in `own.add`.
    """
    if name in CORPORA:
        raise SettingsError(f"{name} is a corpus that is known already; give yours another name.")
    found = own.add(name, folder, language, licence, on_file)
    load.cache_clear()
    if (used := find(name)) != environment.cache_folder() / "data" / name:
        raise SettingsError(f"{used} is a corpus called {name}, and is found first; give yours another name.")
    return found


@lru_cache(maxsize=32)
def load(name: str) -> Manifest:
    """The corpus's manifest; a built-in corpus is generated if it is not there yet.

    Returns
    -------
    The same object for the same name, until a corpus is added or fetched.

    Raises
    ------
    CorpusError
        Not on this machine, with the command that gets it.
    SettingsError
        There is no corpus of this name.
    """
    corpus = known(name)
    folder = find(name)
    if folder is None and not corpus.generated:
        raise CorpusError(f"The corpus {name} is not on this machine; {how_to_get(name)}.")
    return corpus.read(folder or environment.cache_folder() / "data" / name)


def fetch(name: str, on_file: Callable[[str], None] = lambda _: None) -> Path:
    """Fetch or generate a corpus into the cache.

    Intact files of p835 that are already there are kept; asterisk and the built-in corpora are made anew.

    Parameters
    ----------
    on_file : called with the name of each file (p835), package (asterisk) or language (polyglot) when it is done.

    Returns
    -------
    The corpus's folder.

    Raises
    ------
    SettingsError
        There is no corpus of this name.
    CorpusError
        The corpus must be obtained by hand, or its download failed; the message says what to do.
    """
    corpus = known(name)
    if corpus.fetch is None:
        raise CorpusError(f"{name} ({corpus.licence}) is not fetched by this command; {how_to_get(name)}.")
    folder = environment.cache_folder() / "data" / name
    corpus.fetch(folder, on_file=on_file)
    load.cache_clear()
    return folder
