"""Away from the repository: the Colab cell in an empty environment, and every notebook alone from the installed wheel."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import jupytext
import pytest

from sqa_core import __version__
from sqa_core.corpora import registry
from sqa_core.pipeline import build, chapters
from tests.conftest import ROOT

# After the tests of the book, in one process: the chapters' demos are computed once and read from the same store.
pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("book")]


def run(*command, **more):
    done = subprocess.run([str(c) for c in command], capture_output=True, text=True, **more)
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    return done.stdout


@pytest.fixture(scope="module")
def remote(tmp_path_factory):
    """A clone of this checkout with the release's tag, standing in for the repository on GitHub."""
    folder = tmp_path_factory.mktemp("remote") / "sqa-book"
    run("git", "clone", "-q", "--no-hardlinks", ROOT, folder)
    run("git", "-C", folder, "tag", "-f", f"v{__version__}")
    return folder


@pytest.fixture(scope="module")
def colab(tmp_path_factory, remote):
    """An empty environment with torch in it, as on Colab, after the Colab cell has run there; its Python.

    The other packages are borrowed from this environment, so that only the project itself is installed anew.
    """
    import torch

    folder = tmp_path_factory.mktemp("colab")
    run(sys.executable, "-m", "venv", folder / "env")
    python = folder / "env" / "bin" / "python"
    site = Path(run(python, "-c", "import site; print(site.getsitepackages()[0])").strip())
    (site / "borrowed.py").write_text(
        f"import sys\nsys.path.append({str(Path(torch.__file__).parents[1])!r})\n"
    )  # appended as a plain path: no .pth below it is read, so the editable checkout stays out
    (site / "borrowed.pth").write_text("import borrowed\n")
    before = run(python, "-c", "import torch; print(torch.__version__, torch.__file__)")
    cell = next(c.source for c in jupytext.read(ROOT / "notebooks" / "score.py").cells if "colab" in c.metadata.get("tags", []))
    (command,) = [line.strip() for line in cell.splitlines() if "%pip install" in line]
    requirement = command.split('"')[1]
    env = {
        **os.environ,
        "GIT_CONFIG_COUNT": "1",
        "GIT_CONFIG_KEY_0": f"url.{remote}.insteadOf",
        "GIT_CONFIG_VALUE_0": "https://github.com/sqa-book/sqa-book",
    }
    run(python, "-m", "pip", "install", "-q", "--no-build-isolation", requirement, env=env, cwd=folder)
    assert run(python, "-c", "import torch; print(torch.__version__, torch.__file__)") == before
    return python


def test_the_cell_installs_the_release_and_its_data(colab, tmp_path):
    code = """
from sqa_core import __version__, environment
from sqa_core.results import published
from sqa_core.models import weights
assert environment.project_root() is None
print(__version__, len(published.claims("nisqa_explained")), weights.load("polyglot-pesq").name, environment.PACKAGE)
"""
    env = {**os.environ, "SQA_CACHE": str(tmp_path), "SQA_DATA": "", "SQA_WEIGHTS": ""}
    said = run(colab, "-c", code, cwd=tmp_path, env=env)
    assert said.split()[:3] == [__version__, "17", "polyglot-pesq"]
    assert str(ROOT) not in said.split()[3]


def test_the_wheel_holds_every_file_of_the_library(colab, tmp_path):
    """With it the notebooks below show that pages are made away from the repository; their trials may have been run in it."""
    tracked = run("git", "-C", ROOT, "ls-files", "sqa_core", "networks", "book/results", "book/published", "book/splits").split("\n")
    package = Path(run(colab, "-c", "from sqa_core.environment import PACKAGE; print(PACKAGE)", cwd=tmp_path).strip())
    moved = {name: package.parent / name if name.startswith("sqa_core/") else package / "data" / name for name in tracked if name}
    assert len(moved) > 200
    assert [name for name, path in moved.items() if not path.is_file()] == []


@pytest.fixture(scope="module")
def cache(tmp_path_factory):
    """One for all notebooks, as a reader who opens one after another has it: a second page finds what the first has run. Trials of the
    demos that this checkout has run with the same code are found too, and the speech they were run on."""
    folder = tmp_path_factory.mktemp("cache")
    (folder / "data").mkdir()
    for name, corpus in registry.CORPORA.items():
        if corpus.generated and (made := registry.find(name)):
            (folder / "data" / name).symlink_to(made, target_is_directory=True)
    store = folder / "results" / f"v{__version__}"
    store.mkdir(parents=True)
    for slug in chapters.CHAPTERS:
        settings = chapters.settings(slug, {"profile": "demo"})
        planned = chapters.plan(slug).trials(settings)
        for study in {t.study for t in planned}:
            ran = Path(settings.store_of(planned)) / study
            if ran.is_dir() and not (store / study).exists():
                shutil.copytree(ran, store / study)
    return folder


@pytest.mark.parametrize("slug", build.in_toc(ROOT))
def test_each_notebook_runs_alone_from_the_wheel(colab, slug, tmp_path, cache):
    notebook = tmp_path / f"{slug}.ipynb"
    notebook.write_bytes((ROOT / "notebooks" / f"{slug}.ipynb").read_bytes())
    run(colab, "-m", "ipykernel", "install", "--prefix", colab.parents[1], "--name", "python3")
    env = {**os.environ, "SQA_CACHE": str(cache), "SQA_DATA": "", "SQA_WEIGHTS": "", "JUPYTER_PREFER_ENV_PATH": "1"}
    run(colab, "-m", "papermill", "-k", "python3", notebook, tmp_path / "out.ipynb", "--no-progress-bar", cwd=tmp_path, env=env)
    text = (tmp_path / "out.ipynb").read_text()
    assert '"output_type": "error"' not in text
    assert "run card" in text.lower()
