"""Is an executed page still what its inputs would give? A page is its notebook, parameters, library, lock, data and records."""

import ast
import hashlib
import json
from functools import lru_cache
from pathlib import Path
from typing import Any

import nbformat

from .. import environment
from ..corpora import registry
from ..errors import BuildError, SqaError
from ..models import weights
from . import chapters

PACKAGE = "sqa_core"


def fingerprint(slug: str, parameters: dict[str, Any]) -> dict[str, str]:
    """One hash for each thing that can make a page stale."""
    root, profile = chapters.root(), str(parameters.get("profile", "demo"))
    sources = notebook_sources(chapters.notebook(slug))
    needed = chapters.study(slug).CORPORA.get(profile, ())
    fetched = [name for name, corpus in registry.CORPORA.items() if not corpus.generated]  # what is generated, the library decides
    data: dict[str, object] = {name: bool(registry.find(name)) for name in fetched}  # a page plays what is there, in the demo too
    data |= {name: registry.load(name).hash for name in fetched if name in needed and registry.find(name)}
    if profile == "paper":  # what this machine has decides what is run
        data["networks"] = sorted(weights.found_networks())
        data["trials"] = sorted(t.key for t in chapters.study(slug).trials(chapters.settings(slug, parameters)))
    if recording := parameters.get("recording"):
        data["recording"] = environment.sha256(Path(recording)) if Path(recording).is_file() else "absent"
    return {
        "notebook": _hash(*sources),
        "parameters": _hash(json.dumps(parameters, sort_keys=True)),
        "library": _hash(
            *(p.read_text() for p in [*reached_files(_code(chapters.notebook(slug)), root), root / PACKAGE / "pipeline" / "execute.py"])
        ),
        "lock": _hash((root / "requirements.lock").read_text()),
        "data": _hash(json.dumps(data, sort_keys=True)),
        "records": _hash(
            *_folder(root / "book" / "results" / slug), *_folder(root / "book" / "published" / slug), *_folder(root / "networks")
        ),
    }


def stale(slug: str, executed: Path) -> list[str]:
    """What changed since `executed` was made, by name; ["never executed"] where it is not there."""
    if not executed.is_file():
        return ["never executed"]
    try:
        stored = nbformat.read(executed, as_version=4).metadata.get("sqa", {})
    except (nbformat.reader.NotJSONError, nbformat.ValidationError) as e:
        raise BuildError(f"{executed}: not a notebook; delete it and run `sqa run {slug}`.") from e
    try:
        now = fingerprint(slug, stored.get("parameters", {}))
    except SqaError:  # it was made with a parameter, or of data, that are no longer there
        return ["parameters or data"]
    return [name for name, digest in now.items() if stored.get("fingerprint", {}).get(name) != digest]


def notebook_sources(path: Path) -> list[str]:
    """Type and text of every cell."""
    return [f"{cell.cell_type}\n{cell.source}" for cell in nbformat.read(path, as_version=4).cells]


def _code(path: Path) -> str:
    return "\n".join(cell.source for cell in nbformat.read(path, as_version=4).cells if cell.cell_type == "code")


def reached_files(code: str, root: Path) -> list[Path]:
    """Modules of the library that `code` imports, and those they import, in functions too; and the library's data files."""
    plain = "\n".join(line for line in code.splitlines() if not line.lstrip().startswith(("%", "!")))
    waiting = _targets(ast.parse(plain), PACKAGE, root)
    reached: set[str] = set()
    while waiting:
        module = waiting.pop()
        if module in reached or _file(module, root) is None:
            continue
        reached.add(module)
        waiting.extend(_imports(module, root))
        if "." in module:
            waiting.append(module.rpartition(".")[0])
    files = [f for m in sorted(reached) if (f := _file(m, root))]
    return files + sorted((root / PACKAGE).rglob("*.csv"))


@lru_cache(maxsize=256)
def _imports(module: str, root: Path) -> list[str]:
    file = _file(module, root)
    assert file is not None
    package = module if file.name == "__init__.py" else module.rpartition(".")[0]
    return _targets(ast.parse(file.read_text()), package, root)


def _targets(tree: ast.AST, package: str, root: Path) -> list[str]:
    found = []
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            found += [a.name for a in node.names if a.name.split(".")[0] == PACKAGE]
        elif isinstance(node, ast.ImportFrom):
            parts = package.split(".")
            base = ".".join(parts[: len(parts) - node.level + 1]) if node.level else ""
            module = ".".join(filter(None, [base, node.module]))
            if module.split(".")[0] == PACKAGE:
                found += [module, *(f"{module}.{a.name}" for a in node.names if _file(f"{module}.{a.name}", root))]
    return found


def _file(module: str, root: Path) -> Path | None:
    path = root.joinpath(*module.split("."))
    return next((p for p in (path.with_suffix(".py"), path / "__init__.py") if p.is_file()), None)


def _folder(folder: Path) -> list[str]:
    return [f"{p.relative_to(folder)} {environment.sha256(p)}" for p in sorted(folder.rglob("*")) if p.is_file()]


def _hash(*texts: str) -> str:
    digest = hashlib.sha256()
    for text in texts:
        digest.update(text.encode() + b"\0")
    return digest.hexdigest()[:16]
