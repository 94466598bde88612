"""The list of chapters, and what each needs. Parameters are checked here, before a kernel starts."""

import importlib
from collections.abc import Sequence
from pathlib import Path
from types import ModuleType
from typing import Any

from pydantic import BaseModel, ValidationError

from .. import environment
from ..corpora import registry
from ..errors import CorpusError, SettingsError
from ..results import trials

# A chapter's slug names its notebook, its package in `studies` and its folders in `book`. A new chapter is added here.
CHAPTERS = ("score", "labels", "nisqa_explained", "language_barriers", "jsqa", "speech_models", "humpcat")
DETAILS = "_details"  # ending of the notebook with a chapter's second page, if it has one


def chapter_of(page: str) -> str:
    """The chapter that a notebook belongs to."""
    return page.removesuffix(DETAILS)


def pages(slugs: Sequence[str] = CHAPTERS) -> list[str]:
    """The notebooks of chapters: each chapter's own, and its second page if there is one. A page's own name stays as it is."""
    found = [page for slug in slugs for page in (slug, f"{slug}{DETAILS}") if page == slug or notebook(page).is_file()]
    return list(dict.fromkeys(found))


def plan(slug: str) -> ModuleType:
    """The module that plans a chapter, by its slug or a page of it: its SLUG, Settings, CORPORA and `trials`."""
    slug = chapter_of(slug)
    if slug not in CHAPTERS:
        raise SettingsError(f"There is no chapter {slug!r}; there are {', '.join(CHAPTERS)}.")
    return importlib.import_module(f"sqa_core.studies.{slug}.plan")


def root() -> Path:
    """The checkout; an installed wheel has no book to build."""
    found = environment.project_root()
    if found is None:
        raise SettingsError("The book is built from a checkout: git clone https://github.com/sqa-book/sqa-book, then `make book` there.")
    return found


def one_at_a_time():
    """A lock on the build tree: of two commands in one checkout, the second waits."""
    from filelock import FileLock

    (root() / "_build").mkdir(exist_ok=True)
    return FileLock(root() / "_build" / ".lock")


def notebook(slug: str) -> Path:
    return root() / "notebooks" / f"{slug}.ipynb"


def settings(slug: str, parameters: dict[str, Any]) -> BaseModel:
    """Parameters as the study's settings; one sentence for an unknown name or a wrong value."""
    model: type[BaseModel] = plan(slug).Settings
    try:
        return model(**parameters)
    except ValidationError as e:
        first = e.errors()[0]
        name = ".".join(map(str, first["loc"]))
        if first["type"] == "extra_forbidden":
            raise SettingsError(f"{slug} has no parameter {name!r}; its parameters are {', '.join(model.model_fields)}.") from e
        raise SettingsError(f"{slug}: the parameter {name} cannot be {first['input']!r} ({first['msg'].lower()}).") from e


def would_run(slug: str, profile: str) -> str:
    """What a run of a chapter would do on this machine. No trial is run.

    Parameters
    ----------
    profile : "demo" or "paper".

    Returns
    -------
    Text such as "12 trials, 3 to run"; "needs" and the names of corpora that are not on this machine; "nothing to run" and why; or that the
    trials are counted only once the synthetic speech is made.

    Raises
    ------
    SettingsError
        There is no such chapter or profile, or the store of records cannot be read.
    """
    if missing := missing_corpora(slug, profile):
        return f"needs {', '.join(missing)}"
    if any(registry.find(name) is None for name in plan(slug).CORPORA.get(profile, ())):
        return "makes its synthetic speech first, then counts its trials"
    chosen = settings(slug, {"profile": profile})
    planned = plan(slug).trials(chosen)
    if not planned and profile == "paper":
        return "nothing to run: no corpus or network that it needs is on this machine"
    new = len(trials.missing(planned, chosen.store_of(planned)))  # type: ignore[attr-defined]
    return f"{len(planned)} trials, {new} to run"


def missing_corpora(slug: str, profile: str) -> list[str]:
    """Corpora that the chapter's profile needs and that are not on this machine."""
    needed = plan(slug).CORPORA.get(profile, ())
    return [name for name in needed if not registry.CORPORA[name].generated and registry.find(name) is None]


def check_corpora(slug: str, profile: str) -> None:
    if missing := missing_corpora(slug, profile):
        raise CorpusError(
            f"{slug} with profile {profile} needs {missing[0]}, which is not on this machine; {registry.how_to_get(missing[0])}."
        )
