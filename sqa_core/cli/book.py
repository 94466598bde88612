"""`sqa run`, `book`, `records` and `train`: chapters, the book, what was measured, and the book's own networks."""

import sys
from pathlib import Path
from typing import Annotated, Any

import typer

from .. import environment
from ..errors import SettingsError
from . import progress


def run(
    chapter: Annotated[list[str] | None, typer.Argument(help="Chapters; all if none is named.")] = None,
    profile: Annotated[str, typer.Option(help="demo: built in, minutes. paper: the paper's settings on what is installed.")] = "demo",
    engine: Annotated[str, typer.Option(help="Where trials run: local, or dask.")] = "local",
    scheduler: Annotated[str, typer.Option(help="For dask: an address (tcp://...), slurm, or nothing for workers on this machine.")] = "",
    store: Annotated[
        str | None, typer.Option(help="Where records go, a folder or an fsspec address; book/results makes the published run.")
    ] = None,
    param: Annotated[list[str] | None, typer.Option("-p", "--param", help="NAME=VALUE, a parameter of the notebook.")] = None,
    force: Annotated[bool, typer.Option("--force", help="Execute also notebooks that are up to date.")] = False,
    missing: Annotated[
        bool, typer.Option("--missing", help="Skip notebooks that are up to date, whatever parameters they were run with.")
    ] = False,
    timeout_s: Annotated[
        int, typer.Option(help="Time limit of a cell in seconds; a run that was stopped continues where it was.")
    ] = 86_400,
) -> None:
    """Execute notebooks with papermill; those that are up to date are skipped."""
    from ..pipeline import chapters, execute, staleness
    from ..results.store import check

    if scheduler and engine != "dask":
        raise SettingsError("--scheduler is for --engine dask.")
    if store == "":
        raise SettingsError("--store names no place; leave it out for the local one.")
    place = _from_here(store or "")
    check(place)
    slugs = chapter or list(chapters.CHAPTERS)
    if missing:
        slugs = [slug for slug in slugs if staleness.stale(slug, execute.executed(slug))]
    parameters: dict[str, Any] = {"profile": profile, "engine": engine} | {
        name: value for name, value in (("scheduler", scheduler), ("store", place)) if value
    }
    for item in param or []:
        name, equals, value = item.partition("=")
        if not equals or not value:
            raise SettingsError(f"-p takes NAME=VALUE, not {item!r}; leave a parameter out for its default.")
        parameters[name] = _from_here(value) if name in PATHS else value
    raise typer.Exit(int(any(o.state == "failed" for o in _execute(slugs, parameters, force, timeout_s))))


PATHS = ("recording", "split", "store")  # parameters that are paths


def _from_here(path: str) -> str:
    """A path that the user gave, from the folder where the user stands: notebooks run in another one. Addresses stay as they are."""
    try:
        return str(Path(path).expanduser().absolute()) if path and "://" not in path else path
    except RuntimeError as e:  # of ~name
        raise SettingsError(f"{path}: there is no such user.") from e


def _execute(slugs: list[str], parameters: dict[str, Any], force: bool = False, timeout_s: int | None = None) -> list:
    from ..pipeline import execute

    with progress.RunStatus() as status:
        more = {} if timeout_s is None else {"timeout_s": timeout_s}
        return execute.run(
            slugs,
            parameters,
            force,
            on_cell=status.cell,
            on_outcome=status.outcome,
            on_progress=status.progress,
            **more,  # type: ignore[arg-type]
        )


def book(
    allow_stale: Annotated[bool, typer.Option("--allow-stale", help="Build also from pages whose inputs changed.")] = False,
    run_first: Annotated[bool, typer.Option("--run", help="Execute notebooks that are out of date first.")] = False,
    profile: Annotated[str, typer.Option(help="For --run.")] = "demo",
) -> None:
    """Build the HTML book from executed notebooks."""
    from ..pipeline import build, chapters

    if run_first:
        outcomes = _execute(list(chapters.CHAPTERS), {"profile": profile, "engine": "local"})
        if any(o.state == "failed" for o in outcomes):
            raise SettingsError("The book was not built, because a notebook failed.")
    built = build.build(allow_stale)
    for part, seconds in built.times.items():
        print(f"{part:20} {seconds:7.1f} s")
    print(f"The book is at {built.index}" + ("; it is up to date" if built.fresh else ""))


def records(
    chapter: Annotated[
        str | None, typer.Argument(help="A chapter; default: all. Or `pack`: join single records into packed files.")
    ] = None,
    store: Annotated[Path | None, typer.Option(help="Default: the published run.")] = None,
    csv: Annotated[bool, typer.Option("--csv", help="As CSV, every field a column.")] = False,
) -> None:
    """List the records of a chapter, or count those of all; or pack a store: one JSON Lines and one Parquet file a kind of trial."""
    from ..pipeline import chapters
    from ..results import frame
    from ..results import records as stored

    folder = store or environment.resource("book", "results")
    if chapter == "pack":
        if not folder.is_dir():
            raise SettingsError(f"{folder}: there is no such folder.")
        parts = sorted(p for p in folder.iterdir() if p.is_dir() and stored.keys(p))
        for part in parts:
            joined, left = stored.pack(part)
            print(f"{part}: {joined} records packed" + (f", {left} left as they are: their tables fit no others" if left else ""))
        if not parts:
            print(f"{folder}: there are no records to pack")
        return
    if chapter:
        chapters.plan(chapter)
    found = [r for slug in ([chapter] if chapter else chapters.CHAPTERS) for r in stored.read_all(folder / slug)]
    if not found:
        raise SettingsError(f"There are no records of {chapter or 'any chapter'} in {folder}.")
    table = frame.export(found)
    columns = ["study", "kind", "key", "data_status", "wall_s", "commit"]
    if csv:
        print(table.to_csv(index=False), end="")
    elif chapter:
        print(table[columns].to_string(index=False))
    else:
        print(table.groupby(["study", "kind", "data_status"]).size().rename("records").reset_index().to_string(index=False))
        print("Name a chapter to list its records, or --csv for all of them with every field.")


def train(
    network: Annotated[str, typer.Argument(help="Which of our networks, such as prompts-pesq or calls-nisqa; a wrong name lists all.")],
    out: Annotated[Path, typer.Option(help="Folder for checkpoints and the result; a run that was stopped continues from there.")] = Path(
        "_build/training"
    ),
) -> None:
    """Train one of the book's own networks again (half an hour to an hour on two cores). `sqa score --model PATH` scores with it."""
    from ..learning import calls_networks, own_networks

    trained = calls_networks.train if network in calls_networks.RECIPES else own_networks.train_own
    with progress.bar(None, "utterances made") as bar:
        path = trained(
            network,
            out,
            on_epoch=lambda e: print(f"epoch {e.number}: loss {e.loss:.4f}, validation RMSE {e.validation_loss:.4f}", file=sys.stderr),
            on_item=lambda: bar.advance(bar.task_ids[0]),
        )
    print(path)
