"""Which code a number depends on: the modules that a module reaches, and a hash of what they do."""

import ast
from collections.abc import Iterable
from functools import cache
from pathlib import Path

from .. import environment
from ..files import short_hash

PACKAGE = "sqa_core"


def reached_files(modules: Iterable[str], root: Path) -> list[Path]:
    """Files that the given modules depend on within the library, and all of the library's CSV tables.

    Parameters
    ----------
    modules : dotted names; those outside the library are ignored.
    root : the checkout.

    Returns
    -------
    Source files of the modules, of every module that they import directly or indirectly (inside functions too), and of the packages that
    contain these, ordered by module name; then the CSV files, ordered by path.
    """
    graph = _graph()
    found: set[str] = set()
    for module in modules:
        if module in graph.modules:
            found |= {module} | graph.find_upstream_modules(module)
    parents = {m.rsplit(".", n)[0] for m in found for n in range(1, m.count(".") + 1)}
    files = [f for m in sorted(found | parents) if (f := _file(m, root))]
    return files + sorted((root / PACKAGE).rglob("*.csv"))


@cache
def _graph():
    import grimp

    return grimp.build_graph(PACKAGE, cache_dir=None)


def _file(module: str, root: Path) -> Path | None:
    path = root.joinpath(*module.split("."))
    return next((p for p in (path.with_suffix(".py"), path / "__init__.py") if p.is_file()), None)


def code_hash(files: Iterable[Path]) -> str:
    """12 hexadecimal digits of what files do: comments, layout and docstrings of Python files do not count."""
    return short_hash("\0".join(_meaning(f, f.stat().st_mtime_ns) for f in files))


@cache  # chapters share most of their code
def _meaning(file: Path, _mtime_ns: int) -> str:
    text = file.read_text(encoding="utf-8")
    if file.suffix != ".py":
        return text
    tree = ast.parse(text)
    for node in ast.walk(tree):
        if (
            isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef)
            and ast.get_docstring(node, clean=False) is not None
        ):
            node.body = node.body[1:] or [ast.Pass()]
    return ast.dump(tree)


@cache
def library_version(modules: frozenset[str]) -> str:
    """The version of the code in these modules, by which local records are kept apart.

    Parameters
    ----------
    modules : dotted names.

    Returns
    -------
    In a checkout, 12 hexadecimal digits: the `code_hash` of the files that the modules reach, computed once per process. In an installed
    wheel, "v" and the version of the package.
    """
    root = environment.project_root()
    if root is None:
        from .. import __version__

        return f"v{__version__}"
    return code_hash(reached_files(sorted(modules), root))
