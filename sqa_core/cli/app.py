"""The `sqa` command. Thin: each command calls the library; heavy imports wait until a command needs them."""

import json
import sys
from typing import Annotated, Any
from urllib.error import URLError

import typer

from .. import __version__, environment
from ..errors import SqaError
from ..files import DISK_ERRORS
from . import book, data, score, table

app = typer.Typer(
    name="sqa",
    help="The SQA Book: score and explain recordings, run chapters, build the book.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
)
app.add_typer(data.app, name="data")
for command in (score.score, score.explain, book.run, book.book, book.records, book.train):
    app.command()(command)


BOOK_EXTRA = ("nbformat", "papermill", "jupytext", "nbclient", "filelock", "sphinx")  # what executes notebooks and builds pages


def main() -> None:
    """Entry point: a user's mistake is one sentence and exit status 2, never a traceback."""
    table.write_anywhere()
    environment.large_pages()  # for what the command runs, too: notebooks, and workers on this machine
    try:
        app()
    except SqaError as e:
        print(f"sqa: {e}", file=sys.stderr)
        sys.exit(2)
    except ModuleNotFoundError as e:
        if e.name in BOOK_EXTRA:
            print(f'sqa: this command needs {e.name}: in a checkout, pip install ".[book]".', file=sys.stderr)
            sys.exit(2)
        raise
    except BrokenPipeError:
        sys.exit(0)
    except OSError as e:
        if isinstance(e, URLError) or (e.filename is None and e.errno not in DISK_ERRORS):  # of a connection, not of a file
            raise
        print(f"sqa: {e.filename or 'standard output'}: {(e.strerror or type(e).__name__).lower()}.", file=sys.stderr)
        sys.exit(2)


@app.callback(invoke_without_command=True)
def _version(version: Annotated[bool, typer.Option("--version", help="Print the version.")] = False) -> None:
    if version:
        print(f"sqa-core {__version__}")
        raise typer.Exit


@app.command()
def status(as_json: Annotated[bool, typer.Option("--json", help="For programs.")] = False) -> None:
    """Show devices, corpora and weights that are found, and what each chapter would run."""
    from ..corpora import registry
    from ..models import encoder_catalogue, weights
    from ..pipeline import chapters

    device = environment.device()
    found: dict[str, Any] = {
        "version": __version__,
        "commit": environment.commit(),
        "device": environment.device_name(device),
        "SQA_DATA": [str(p) for p in environment.search_path("SQA_DATA")],
        "SQA_WEIGHTS": [str(p) for p in environment.search_path("SQA_WEIGHTS")],
        "cache": str(environment.cache_folder()),
        "corpora": {},
        "networks": {name: str(path) for name, path in weights.found_networks().items()},
        "default_network": weights.default_network(),
        "encoders": {name: str(encoder_catalogue.find(name) or "not installed") for name in encoder_catalogue.ENCODERS},
        "chapters": {},
    }
    for name, corpus in registry.everything().items():
        place = registry.find(name)
        how = "generated when needed" if corpus.generated else f"not installed; {registry.how_to_get(name)}"
        found["corpora"][name] = str(place) if place else how
    for slug in chapters.CHAPTERS:
        found["chapters"][slug] = {p: chapters.would_run(slug, p) for p in ("demo", "paper")}
    missing_networks = [name for name in weights.OFFICIAL if name not in found["networks"]]
    found["networks"] |= dict.fromkeys(missing_networks, "not installed: sqa data fetch nisqa-weights")
    if as_json:
        print(json.dumps(found, indent=2))
        return
    for key, value in found.items():
        if isinstance(value, dict):
            print(f"{key}:")
            for name, what in value.items():
                print(f"  {name:16} {'; '.join(f'{p}: {w}' for p, w in what.items()) if isinstance(what, dict) else what}")
        else:
            print(f"{key + ':':18} {', '.join(value) or '(not set)' if isinstance(value, list) else value}")


if __name__ == "__main__":
    main()
