"""Is an executed page up to date? It depends on its notebook, parameters, the library's code, the lock, data and records."""

import ast
import hashlib
import json
from pathlib import Path
from typing import Any

import nbformat

from ..corpora import registry
from ..errors import SqaError
from ..files import sha256
from ..models import weights
from ..results.code import PACKAGE, reached_files
from . import chapters

UNUSABLE = (["never executed"], ["damaged copy"])  # what `stale` says of a page that has no executed copy to build from


def fingerprint(slug: str, parameters: dict[str, Any]) -> dict[str, str]:
    """One hash for each thing that a page depends on."""
    root, profile = chapters.root(), str(parameters.get("profile", "demo"))
    sources = notebook_sources(chapters.notebook(slug))
    needed = chapters.plan(slug).CORPORA.get(profile, ())
    fetched = [name for name, corpus in registry.CORPORA.items() if not corpus.generated]  # what is generated depends on the library alone
    data: dict[str, object] = {name: bool(registry.find(name)) for name in fetched}  # the demo's pages play recordings that are found, too
    data |= {name: registry.load(name).hash for name in fetched if name in needed and registry.find(name)}
    if profile == "paper":  # which trials there are depends on what is found on this machine
        data["networks"] = sorted(weights.found_networks())
        data["trials"] = sorted(t.key for t in chapters.plan(slug).trials(chapters.settings(slug, parameters)))
    if recording := parameters.get("recording"):
        data["recording"] = sha256(Path(recording)) if Path(recording).is_file() else "absent"
    return {
        "notebook": _hash(*sources),
        "parameters": _hash(json.dumps(parameters, sort_keys=True)),
        "library": _hash(
            *(p.read_text() for p in reached_files(imported_modules(_code(chapters.notebook(slug))), root)),
            (root / PACKAGE / "pipeline" / "execute.py").read_text(),
        ),
        "lock": _hash((root / "requirements.lock").read_text()),
        "data": _hash(json.dumps(data, sort_keys=True)),
        "records": _hash(
            *_folder(root / "book" / "results" / chapters.chapter_of(slug)),
            *_folder(root / "book" / "published" / chapters.chapter_of(slug)),
            *_folder(root / "networks"),
        ),
    }


def stored(executed: Path) -> dict[str, Any]:
    """What an executed notebook says of its run: `parameters` and `fingerprint`; empty if there is no such file or it is damaged."""
    try:
        return dict(nbformat.read(executed, as_version=4).metadata.get("sqa", {}))
    except (FileNotFoundError, ValueError, AttributeError, nbformat.ValidationError):  # no JSON, no UTF-8, no notebook
        return {}


def stale(slug: str, executed: Path) -> list[str]:
    """What changed since a page was executed, as names of the parts of its `fingerprint`.

    Parameters
    ----------
    executed : the executed notebook.

    Returns
    -------
    Names of the parts that changed, none if the page is up to date; ["never executed"] if there is no such file; ["damaged copy"] if it
    is damaged; ["parameters or data"] if the page can no longer be executed with its parameters.
    """
    if not executed.is_file():
        return ["never executed"]
    if not (run := stored(executed)):
        return ["damaged copy"]
    try:
        now = fingerprint(slug, run.get("parameters", {}))
    except SqaError:  # a parameter or data that it was made with no longer exist
        return ["parameters or data"]
    return [name for name, digest in now.items() if run.get("fingerprint", {}).get(name) != digest]


def notebook_sources(path: Path) -> list[str]:
    """Type and text of every cell."""
    return [f"{cell.cell_type}\n{cell.source}" for cell in nbformat.read(path, as_version=4).cells]


def _code(path: Path) -> str:
    return "\n".join(cell.source for cell in nbformat.read(path, as_version=4).cells if cell.cell_type == "code")


def imported_modules(code: str) -> set[str]:
    """Modules of the library that a notebook's code imports."""
    plain = "\n".join(line for line in code.splitlines() if not line.lstrip().startswith(("%", "!")))
    found: set[str] = set()
    for node in ast.walk(ast.parse(plain)):
        if isinstance(node, ast.Import):
            found |= {a.name for a in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            found |= {node.module, *(f"{node.module}.{a.name}" for a in node.names)}  # names that are no modules are left out later
    return {m for m in found if m.split(".")[0] == PACKAGE}


def _folder(folder: Path) -> list[str]:
    return [f"{p.relative_to(folder)} {sha256(p)}" for p in sorted(folder.rglob("*")) if p.is_file()]


def _hash(*texts: str) -> str:
    digest = hashlib.sha256()
    for text in texts:
        digest.update(text.encode() + b"\0")
    return digest.hexdigest()[:16]
