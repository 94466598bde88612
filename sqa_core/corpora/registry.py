"""The corpora there are: where each is looked for, how it is fetched, what it may be used for. A dict, written out."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache, partial
from pathlib import Path

from .. import environment
from ..errors import CorpusError, SettingsError
from . import asterisk, emotion_files, emotions, manifest, p835, polyglot
from .manifest import Manifest


@dataclass(frozen=True)
class Corpus:
    """One row of the registry. `read` turns the folder into a manifest, `fetch` fills the folder, `whole` tells one that is filled."""

    title: str
    status: str
    licence: str
    megabytes: int
    read: Callable[[Path], Manifest]
    fetch: Callable[..., object]
    generated: bool = False
    verify: Callable[[Manifest], list[str]] = manifest.verify
    whole: Callable[[Path], bool] = lambda folder: (folder / "manifest.csv").is_file()


def _emotional(name: str) -> Corpus:
    corpus = emotions.CORPORA[name]
    return Corpus(
        corpus.title,
        corpus.status,
        corpus.licence,
        corpus.megabytes,
        partial(emotion_files.manifest, name=name),
        partial(emotion_files.fetch, name=name),
        verify=lambda found: emotion_files.problems(found.root, name),
        whole=partial(emotion_files.holds, name=name),
    )


CORPORA = {
    "p835": Corpus(
        "P.835 reference conditions with listeners' scores, English",
        "real",
        "CC BY 4.0",
        55,
        p835.manifest,
        p835.fetch,
        verify=p835.verify,
        whole=lambda folder: (folder / p835.SPREADSHEET).is_file(),
    ),
    "asterisk": Corpus("Asterisk prompts, five languages", "real", "CC BY-SA 3.0 / CC BY 3.0", 58, asterisk.manifest, asterisk.fetch),
    "polyglot": Corpus(
        "built-in synthetic speech, eleven languages",
        "synthetic",
        polyglot.LICENCE,
        200,
        polyglot.manifest,
        polyglot.generate,
        True,
    ),
    "polyglot-acted": Corpus(
        "built-in synthetic speech in the manner of seven emotions, seven languages of the chapters on emotion and English",
        "synthetic",
        polyglot.LICENCE,
        90,
        polyglot.acted,
        polyglot.generate_acted,
        True,
    ),
    **{name: _emotional(name) for name in emotions.CORPORA},
}


def known(name: str) -> Corpus:
    if name not in CORPORA:
        raise SettingsError(f"There is no corpus {name!r}; known are {', '.join(CORPORA)}.")
    return CORPORA[name]


def find(name: str) -> Path | None:
    """The corpus's folder on this machine, or None; one that is half fetched counts as not there."""
    folder = environment.find("data", name)
    return folder if folder and CORPORA[name].whole(folder) else None


@lru_cache(maxsize=32)
def load(name: str) -> Manifest:
    """The corpus's manifest; the built-in one is generated where it is not there yet.

    Raises
    ------
    CorpusError : not on this machine, with the command that gets it.
    """
    corpus = known(name)
    folder = find(name)
    if folder is None and not corpus.generated:
        raise CorpusError(f"The corpus {name} is not on this machine; run `sqa data fetch {name}`, or set SQA_DATA.")
    return corpus.read(folder or environment.cache_folder() / "data" / name)


def fetch(name: str, on_file: Callable[[str], None] = lambda _: None) -> Path:
    """Fetch or generate a corpus into the cache; what is there already stays."""
    corpus = known(name)
    folder = environment.cache_folder() / "data" / name
    corpus.fetch(folder, on_file=on_file)
    load.cache_clear()
    return folder
