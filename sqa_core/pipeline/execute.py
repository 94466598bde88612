"""Notebooks through papermill: checked before, reported on while they run, normalised after, whole or not there at all."""

import copy
import json
import os
import re
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import nbformat
from jupyter_client.kernelspec import KernelSpec
from jupyter_client.manager import AsyncKernelManager
from nbclient.exceptions import CellTimeoutError, DeadKernelError
from papermill.engines import NBClientEngine, papermill_engines
from papermill.exceptions import PapermillExecutionError

from .. import environment
from ..errors import BuildError, SqaError
from ..files import PARTIAL, atomic
from . import chapters, staleness

CELL_TIMEOUT_S = 24 * 3600
OnCell = Callable[[str, int, int], None]  # slug, cell from 1, count
OnProgress = Callable[[str, str], None]  # slug, what its bar says


@dataclass(frozen=True)
class Outcome:
    """What became of one notebook: executed, fresh already, or failed with one sentence."""

    slug: str
    state: str
    seconds: float = 0.0
    problem: str = ""


def folder() -> Path:
    """The folder of executed copies."""
    return chapters.root() / "_build" / "executed"


def executed(slug: str) -> Path:
    return folder() / f"{slug}.ipynb"


class OwnKernel(AsyncKernelManager):
    """A kernel of this interpreter, whatever kernels are called python3 on this machine: another one would have another library."""

    @property
    def kernel_spec(self) -> KernelSpec:
        argv = [sys.executable, "-m", "ipykernel_launcher", "-f", "{connection_file}"]
        return KernelSpec(argv=argv, display_name="Python 3", language="python")


class ReportingEngine(NBClientEngine):
    """papermill's own engine with a kernel of this interpreter, saying which cell it is at."""

    @classmethod
    def execute_managed_notebook(cls, nb_man, kernel_name, on_cell=None, **kwargs):
        start = nb_man.cell_start

        def cell_start(cell, cell_index=None, **more):
            if on_cell:
                on_cell((cell_index or 0) + 1, len(nb_man.nb.cells))
            return start(cell, cell_index, **more)

        nb_man.cell_start = cell_start
        # The kernel's own log holds nothing for readers but a warning of its local connection.
        own = {"extra_arguments": ["--Application.log_level=40"], "kernel_manager_class": OwnKernel}
        return super().execute_managed_notebook(nb_man, kernel_name, **own, **kwargs)


papermill_engines.register("sqa", ReportingEngine)


def run(
    slugs: list[str],
    parameters: dict[str, Any],
    force: bool = False,
    timeout_s: int = CELL_TIMEOUT_S,
    on_cell: OnCell = lambda slug, cell, count: None,
    on_outcome: Callable[[Outcome], None] = lambda outcome: None,
    on_progress: OnProgress = lambda slug, text: None,
) -> list[Outcome]:
    """Execute the chapters that are stale (all with `force`), each with its second page. One that fails stops its second page, not the others.

    All parameters are checked first, so that a mistake costs no computing.

    Parameters
    ----------
    slugs : chapters or single pages.
    parameters : values of the notebooks' parameters by name. A page that was executed with other values is stale.
    timeout_s : seconds that one cell may take.
    on_cell : called before each cell with the page, the cell's number from 1, and the number of cells.
    on_outcome : called after each page.
    on_progress : called with the page and the last line of what its kernel writes to the error stream, such as a progress bar.

    Returns
    -------
    One outcome per page, in order; a page that fails has the state "failed" and a sentence in `problem`.

    Raises
    ------
    SettingsError
        There is no such chapter or parameter, a value is wrong, or the library does not run from a checkout.
    CorpusError
        A corpus that the profile needs is not on this machine.
    BuildError
        A notebook does not declare one of the parameters.
    """
    slugs = chapters.pages(slugs)
    for slug in slugs:  # before the lock: a mistake does not wait for another run's end
        chapters.settings(slug, parameters)
        _check_names(slug, parameters)
        chapters.check_corpora(slug, parameters.get("profile", "demo"))
    outcomes: list[Outcome] = []
    for slug in slugs:
        first = chapters.chapter_of(slug)
        if any(o.slug == first and o.state == "failed" for o in outcomes):
            outcomes.append(Outcome(slug, "failed", problem=f"not executed, since {first} failed"))
            on_outcome(outcomes[-1])
            continue
        with chapters.one_at_a_time():
            for left in folder().glob(f"{PARTIAL}*"):  # by a run that was killed: no other is at work under this lock
                left.unlink(missing_ok=True)
            outcomes.append(_run_one(slug, parameters, force, timeout_s, on_cell, on_progress))
        on_outcome(outcomes[-1])
    return outcomes


def _check_names(slug: str, parameters: dict[str, Any]) -> None:
    """papermill only warns of a parameter that the notebook does not have; here it stops the run."""
    import papermill

    known = papermill.inspect_notebook(str(chapters.notebook(slug)))
    if unknown := sorted(parameters.keys() - known.keys()):
        raise BuildError(f"notebooks/{slug}.ipynb has no parameter {unknown[0]!r}; its cell tagged `parameters` has {', '.join(known)}.")


class _Bars:
    """A file for what the kernel writes to its error stream: the last line of it is handed on."""

    def __init__(self, on_text: Callable[[str], None]):
        self.on_text = on_text

    def write(self, text: str) -> None:
        if lines := [line.strip() for line in re.split(r"[\r\n]|\x1b\[A", text) if line.strip()]:
            self.on_text(lines[-1])

    def flush(self) -> None:
        """Nothing is held back."""


def _run_one(slug: str, parameters: dict[str, Any], force: bool, timeout_s: int, on_cell: OnCell, on_progress: OnProgress) -> Outcome:
    import papermill

    target = executed(slug)
    target.parent.mkdir(parents=True, exist_ok=True)
    same = staleness.stored(target).get("parameters") == parameters
    if same and not force and not staleness.stale(slug, target):
        return Outcome(slug, "fresh")
    partial = target.with_name(f"{PARTIAL}{os.getpid()}-{slug}.ipynb")
    start = time.perf_counter()
    fingerprint = staleness.fingerprint(slug, parameters)
    try:
        papermill.execute_notebook(
            str(chapters.notebook(slug)),
            str(partial),
            parameters=parameters,
            engine_name="sqa",
            kernel_name="python3",
            cwd=str(chapters.root()),
            progress_bar=False,
            execution_timeout=timeout_s,
            on_cell=lambda cell, count: on_cell(slug, cell, count),
            stderr_file=_Bars(lambda text: on_progress(slug, text)),
        )
        notebook = normalised(nbformat.read(partial, as_version=4))
        notebook.metadata["sqa"] = {"fingerprint": fingerprint, "parameters": parameters}
        nbformat.write(notebook, partial)
        partial.replace(target)
    except PapermillExecutionError as e:
        return Outcome(
            slug,
            "failed",
            time.perf_counter() - start,
            f"notebooks/{slug}.ipynb, cell {e.cell_index + 1}: {e.ename}: {_first_line(e.evalue)}",
        )
    except CellTimeoutError:
        return Outcome(
            slug,
            "failed",
            time.perf_counter() - start,
            f"notebooks/{slug}.ipynb, cell {_last_cell(partial)}: took more than {timeout_s} s; what is stored is kept, and the same command with a larger --timeout-s goes on",
        )
    except (DeadKernelError, SqaError, RuntimeError) as e:  # RuntimeError: the kernel did not start
        return Outcome(
            slug,
            "failed",
            time.perf_counter() - start,
            f"notebooks/{slug}.ipynb, cell {_last_cell(partial)}: {_first_line(str(e))}",
        )
    finally:
        partial.unlink(missing_ok=True)
    seconds = time.perf_counter() - start
    _note_time(slug, seconds)
    return Outcome(slug, "executed", seconds)


def _first_line(text: str) -> str:
    return text.strip().splitlines()[0][:300] if text.strip() else ""


def _last_cell(path: Path) -> int:
    """The cell that papermill had started last, from 1."""
    if not path.is_file():
        return 0
    cells = nbformat.read(path, as_version=4).cells
    started = [i for i, c in enumerate(cells, start=1) if c.metadata.get("papermill", {}).get("status") not in (None, "pending")]
    return started[-1] if started else 0


def _note_time(slug: str, seconds: float) -> None:
    path = folder() / "times.json"
    times = json.loads(path.read_text()) if path.is_file() else {}
    with atomic(path) as partial:
        partial.write_text(json.dumps(times | {slug: round(seconds, 1)}))


def normalised(notebook: nbformat.NotebookNode) -> nbformat.NotebookNode:
    """Without what differs from run to run: cell ids, papermill's times and paths, this machine's folders."""
    notebook.metadata.pop("papermill", None)
    notebook.metadata.pop("widgets", None)  # live in a kernel alone; their state would make the page load scripts from elsewhere
    for number, cell in enumerate(notebook.cells):
        cell["id"] = f"cell-{number}"
        for key in ("papermill", "execution", "ExecuteTime"):
            cell.metadata.pop(key, None)
        if "injected-parameters" in cell.metadata.get("tags", []):
            cell.metadata["tags"] = ["injected-parameters", "remove-cell"]
        if "outputs" in cell:
            cell["outputs"] = [o for o in map(without_bars, cell.outputs) if o.output_type != "stream" or o.text.strip()]
        for output in cell.get("outputs", []):
            if "text" in output:
                output["text"] = _without_folders(output["text"])
            for kind in ("text/plain", "text/html"):
                if kind in output.get("data", {}):
                    output["data"][kind] = _without_folders(output["data"][kind])
    return notebook


CONTROL = re.compile(r"\x1b(\[[0-9;?]*[ -/]*[@-~]|[@-Z\\-_])|[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]")  # a terminal's commands, but for line ends
# How tqdm, rich and their kin draw a bar: a share before or after it, or a count and times.
BAR = re.compile(r"\d ?%\|.*\||[━╸╺]{3,}.*\d ?%|\d ?%.*[━╸╺]{3,}|\d+/(\d+|\?) \[[\d:?]+<|\d(\.\d+)? ?(it/s|s/it)\b")


def without_bars(output: nbformat.NotebookNode) -> nbformat.NotebookNode:
    """A stream without control sequences and without the lines that are a progress bar or its remains; a widget that is a bar becomes an
    empty stream; other outputs as they are."""
    if output.output_type == "stream":
        lines = re.split(r"(?<=\n)|\r", CONTROL.sub("", "".join(output.text)))
        output["text"] = "".join(line for line in lines if not BAR.search(line))
    elif output.output_type == "display_data" and BAR.search("".join(output.data.get("text/plain", ""))):
        return nbformat.v4.new_output("stream", name="stderr", text="")
    return output


def holds_bar(output: nbformat.NotebookNode) -> bool:
    """Whether an output shows a progress bar, or a stream commands a terminal."""
    return without_bars(copy.deepcopy(output)) != output


def _without_folders(text: str) -> str:
    """Short names for this machine's folders, where they are whole parts of a path."""
    here = {str(chapters.root()): ".", str(environment.cache_folder()): "~/.cache/sqa", str(Path.home()): "~"}
    for folder, name in here.items():
        if len(folder) > 1:
            text = re.sub(rf"(?<![\w./-]){re.escape(folder)}(?![\w.-])", name, text)
    return text
