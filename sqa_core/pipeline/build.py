"""The book from executed notebooks: refuses what is stale or broken, stages, builds clean with Jupyter Book 1, swaps in whole."""

import base64
import importlib
import importlib.metadata
import json
import re
import shutil
import subprocess
import sys
import time
from dataclasses import dataclass
from importlib import resources
from pathlib import Path

import nbformat
import yaml

from ..errors import BuildError
from ..figures import verdicts
from ..files import sha256, short_hash
from . import chapters, execute, staleness

JUPYTER_BOOK = "1.0.4.post1"
TOOLS = ("jupyter-book", "sphinx", "sphinx-book-theme", "pydata-sphinx-theme", "myst-nb", "itables")  # that shape the HTML
NOT_STAGED = ("results", "published", "splits")  # folders of data in book/, which pages are made from


@dataclass(frozen=True)
class Built:
    """Where the book is and how long its parts took, in seconds. fresh : nothing had changed since it was built, so it was left as it was."""

    index: Path
    times: dict[str, float]
    fresh: bool = False


def build(allow_stale: bool = False) -> Built:
    """Build `_build/html` from `_build/executed`, unless nothing that it depends on has changed.

    Raises
    ------
    BuildError : stale pages, each with the command that updates it; error outputs; Sphinx warnings; no index at the end.
    """
    with chapters.one_at_a_time():
        return _build(chapters.root(), allow_stale)


def _build(root: Path, allow_stale: bool) -> Built:
    start = time.perf_counter()
    slugs = in_toc(root)
    stale = _refuse_stale(slugs, allow_stale)
    final, stamp, made_of = root / "_build" / "html", root / "_build" / "html.sha256", _made_of(root, slugs)
    noted = execute.folder() / "times.json"
    times = json.loads(noted.read_text()) if noted.is_file() else {}
    times = {s: times.get(s, 0.0) for s in slugs}
    if not stale and (final / "index.html").is_file() and stamp.is_file() and stamp.read_text() == made_of:
        return Built(final / "index.html", {**times, "book": time.perf_counter() - start}, fresh=True)
    for slug in slugs:
        refuse_errors(execute.executed(slug))
    stage = stage_tree(root, slugs, root / "_build" / "stage")
    html = run_jupyter_book(stage, root / "_build" / "book")
    for slug in slugs:
        lighten(html / "notebooks" / f"{slug}.html")
        shutil.copy2(chapters.notebook(slug), html / "_sources" / "notebooks" / f"{slug}.ipynb")  # to download: without outputs
    for page in html.rglob("*.html"):
        page.write_text(_ICON_SCRIPT.sub("", page.read_text()))
    stamp.unlink(missing_ok=True)  # a kill between this and the end leaves a book that is built anew
    swap_in(html, final)
    if not stale:  # else the cards of the start page come from other records or code than the executed pages name
        stamp.write_text(made_of)
    return Built(final / "index.html", {**times, "book": time.perf_counter() - start})


def _made_of(root: Path, slugs: list[str]) -> str:
    """Hash of all that the HTML depends on: text, settings, notebooks, the code of this room and the versions of its tools. The cards of the
    start page depend on records and the library, whose fingerprints are in the executed notebooks."""
    files = [root / "_config.yml", root / "_toc.yml", root / "requirements.lock", *Path(__file__).parent.glob("*.py")]
    files += [path for slug in slugs for path in (execute.executed(slug), chapters.notebook(slug))]
    for folder in (root / "book").iterdir():
        if folder.name not in NOT_STAGED:
            files += [p for p in [folder, *folder.rglob("*")] if p.is_file()]
    tools = [f"{name} {importlib.metadata.version(name)}\n" for name in TOOLS]
    return short_hash("".join(tools + sorted(f"{p} {sha256(p)}\n" for p in files)), 64)


def in_toc(root: Path) -> list[str]:
    """Slugs of the notebooks in `_toc.yml`, in order; every one is a chapter and has its notebook."""
    text = (root / "_toc.yml").read_text()
    files = [entry.split("/", 1)[1] for entry in _files(yaml.safe_load(text)) if entry.startswith("notebooks/")]
    for slug in files:
        if not (root / "notebooks" / f"{slug}.ipynb").is_file():
            raise BuildError(f"_toc.yml names notebooks/{slug}, which is not there.")
    return files


def _files(node) -> list[str]:
    if isinstance(node, dict):
        own = [node["file"]] if "file" in node else [node["root"]] if "root" in node else []
        return own + [f for value in node.values() for f in _files(value)]
    return [f for item in node for f in _files(item)] if isinstance(node, list) else []


def _refuse_stale(slugs: list[str], allow_stale: bool) -> list[str]:
    """The pages that are stale.

    Raises
    ------
    BuildError
        There are some and they may not be, or a page has no executed copy that can be read.
    """
    problems = {slug: why for slug in slugs if (why := staleness.stale(slug, execute.executed(slug)))}
    absent = [slug for slug, why in problems.items() if why in staleness.UNUSABLE]
    if problems and (absent or not allow_stale):
        lines = [f"  {slug}: {', '.join(why)} (to update it: sqa run {slug})" for slug, why in problems.items()]
        raise BuildError("These pages are stale, changed since they were executed:\n" + "\n".join(lines))
    return list(problems)


def refuse_errors(path: Path) -> None:
    """Stop the build at a traceback or a progress bar in an executed notebook, which would otherwise be published."""
    notebook = nbformat.read(path, as_version=4)
    if notebook.metadata.get("papermill", {}).get("exception"):
        raise BuildError(f"{path.name}: the run broke off; run `sqa run {path.stem} --force`.")
    for number, cell in enumerate(notebook.cells, start=1):
        for output in cell.get("outputs", []):
            if output.output_type == "error":
                raise BuildError(f"{path.name}, cell {number}: holds a traceback ({output.ename}); run `sqa run {path.stem} --force`.")
            if execute.holds_bar(output):
                raise BuildError(f"{path.name}, cell {number}: holds a progress bar; run `sqa run {path.stem} --force`.")


def stage_tree(root: Path, slugs: list[str], stage: Path) -> Path:
    """A build tree: the book's text and settings as they are, executed notebooks at the paths of their sources."""
    shutil.rmtree(stage, ignore_errors=True)
    shutil.copytree(root / "book", stage / "book", ignore=shutil.ignore_patterns(*NOT_STAGED))
    write_datatables(stage / "book" / "_static")
    write_home(stage / "book" / "index.md")
    (stage / "notebooks").mkdir()
    for name in ("_config.yml", "_toc.yml"):
        shutil.copy2(root / name, stage / name)
    for slug in slugs:
        notebook = nbformat.read(execute.executed(slug), as_version=4)
        nbformat.write(notebook, stage / "notebooks" / f"{slug}.ipynb")
    return stage


def write_home(page: Path) -> None:
    """The start page's cards, `<!-- card: SLUG -->`, from the published runs, and its `<!-- legend -->`."""

    def card(match: re.Match[str]) -> str:
        made = importlib.import_module(f"sqa_core.studies.{match[1]}.page").card()
        return verdicts.card(link=f"../notebooks/{match[1]}.html", **made)

    text = re.sub(r"<!-- card: (\w+) -->", card, page.read_text())
    page.write_text(text.replace("<!-- legend -->", verdicts.legend()))


def write_datatables(static: Path) -> None:
    """DataTables from the installed itables, once for all pages: as a plain script with one global, since browsers load no modules from
    file:// addresses."""
    source = resources.files("itables") / "html"
    script = (source / "dt_bundle.js").read_text(encoding="utf-8")
    exported = re.search(r"export\s*\{[^}]*?(\w+) as default[^}]*\};?", script)
    if exported is None:
        raise BuildError("The installed itables exports DataTables in an unknown way; install the version that requirements.lock names.")
    body = script[: exported.start()] + script[exported.end() :]
    (static / "datatables.js").write_text(f"(() => {{\n{body}\nwindow.DataTable = {exported[1]};\n}})();\n", encoding="utf-8")
    (static / "datatables.css").write_bytes((source / "dt_bundle.css").read_bytes())


def run_jupyter_book(stage: Path, out: Path) -> Path:
    """A clean build with -W -n --keep-going: Sphinx forgets warnings of pages that it does not build again."""
    import jupyter_book

    if jupyter_book.__version__ != JUPYTER_BOOK:
        raise BuildError(
            f"Jupyter Book {jupyter_book.__version__} is installed; this book needs {JUPYTER_BOOK} (2.x builds nothing from it)."
        )
    shutil.rmtree(out, ignore_errors=True)
    command = [
        sys.executable,
        "-c",
        "from jupyter_book.cli.main import main; main()",
        "build",
        str(stage),
        "--path-output",
        str(out),
        "--all",
        "-W",
        "-n",
        "--keep-going",
    ]
    done = subprocess.run(command, capture_output=True, text=True)
    said = done.stdout + done.stderr
    if done.returncode:
        telling = [line for line in said.splitlines() if "WARNING" in line or "ERROR" in line or "Error" in line]
        raise BuildError("Jupyter Book did not build:\n" + "\n".join(telling[:30] or said.splitlines()[-15:]))
    html = out / "_build" / "html"
    if not (html / "index.html").is_file():
        raise BuildError("Jupyter Book ended without an error and without a book; is another version installed?")
    return html


# The theme draws its icons twice: with a web font, and with a script of 1.5 MB that replaces the letters by SVG.
_ICON_SCRIPT = re.compile(r'<script defer src="[^"]*/fontawesome\.js[^"]*"></script>')

# What a notebook carries inside itself so that it works anywhere: data to save, sounds to play, figures to choose from.
_INSIDE = re.compile(
    r'(?P<before>(?:download="(?P<name>[\w.-]+)" href|src|srcset)=|:)"data:'
    r'(?P<kind>text/csv|application/gzip|audio/wav|audio/mpeg|image/png|image/svg\+xml);base64,(?P<data>[^"]+)"'
)
_ENDINGS = {"audio/wav": "wav", "audio/mpeg": "mp3", "image/png": "png", "image/svg+xml": "svg"}


def lighten(page: Path) -> None:
    """Move sounds, data and figures from a page to files beside it, so that a browser fetches only what the reader asks for."""
    folder = page.with_name(f"{page.stem}_files")

    def moved(match: re.Match[str]) -> str:
        data = base64.b64decode(match["data"])
        name = match["name"] or f"{short_hash(data)}.{_ENDINGS[match['kind']]}"
        folder.mkdir(exist_ok=True)
        if (folder / name).is_file() and (folder / name).read_bytes() != data:
            raise BuildError(f"{page.stem}: two figures or tables are named {name.split('.')[0]}; name one of them otherwise.")
        (folder / name).write_bytes(data)
        link = f"{folder.name}/{name}"
        return f'{match["before"]}"{link}"'

    page.write_text(_INSIDE.sub(moved, page.read_text()))


def swap_in(new: Path, final: Path) -> None:
    """Put a finished build in place of the last one, which stays until the new one is whole."""
    old = final.with_name("html-old")
    if old.exists() and not final.exists():
        old.rename(final)  # a build was killed between the two renames below
    shutil.rmtree(old, ignore_errors=True)
    if final.exists():
        final.rename(old)
    new.rename(final)
    shutil.rmtree(old, ignore_errors=True)
