"""The `sqa` command. Thin: each command calls the library; heavy imports wait until a command needs them."""

import json
import shutil
import sys
import time
from pathlib import Path
from typing import Annotated, Any, Literal

import typer

from . import __version__, environment
from .errors import SettingsError, SqaError

app = typer.Typer(
    name="sqa",
    help="The SQA Book: score and explain recordings, run chapters, build the book.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
)
data_app = typer.Typer(help="Corpora and weights: list, fetch, check.", no_args_is_help=True)
app.add_typer(data_app, name="data")

Model = Annotated[
    str | None,
    typer.Option("--model", help="nisqa, nisqa-mos, nisqa-tts, one of ours (sqa status), or a path; default: the best found."),
]


def main() -> None:
    """Entry point: a user's mistake is one sentence and exit status 2, never a traceback."""
    try:
        app()
    except SqaError as e:
        print(f"sqa: {e}", file=sys.stderr)
        sys.exit(2)
    except BrokenPipeError:
        sys.exit(0)


@app.callback(invoke_without_command=True)
def _version(version: Annotated[bool, typer.Option("--version", help="Print the version.")] = False) -> None:
    if version:
        print(f"sqa-core {__version__}")
        raise typer.Exit


def _progress(total: int | None, what: str):
    """A bar on a terminal; elsewhere nothing for single items."""
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    console = Console(stderr=True)
    bar = Progress(
        TextColumn(what),
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
        console=console,
        disable=not console.is_terminal,
    )
    bar.add_task(what, total=total)
    return bar


@app.command()
def status(as_json: Annotated[bool, typer.Option("--json", help="For programs.")] = False) -> None:
    """Devices, corpora and weights found, and what each chapter would run."""
    from .corpora import registry
    from .models import encoders, weights
    from .pipeline import chapters

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
        "encoders": {name: str(encoders.find(name) or "not here") for name in encoders.PAPER | encoders.OTHERS},
        "chapters": {},
    }
    for name, corpus in registry.CORPORA.items():
        place = registry.find(name)
        how = "generated when needed" if corpus.generated else f"not here: sqa data fetch {name}"
        found["corpora"][name] = str(place) if place else how
    for slug in chapters.CHAPTERS:
        found["chapters"][slug] = {p: chapters.would_run(slug, p) for p in ("demo", "paper")}
    missing_networks = [name for name in weights.OFFICIAL if name not in found["networks"]]
    found["networks"] |= dict.fromkeys(missing_networks, "not here: sqa data fetch nisqa-weights")
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


@data_app.command("list")
def data_list() -> None:
    """What there is, of what status and licence, and where it lies or whence it comes."""
    from .corpora import emotions, registry
    from .models import encoders, weights

    for name, corpus in registry.CORPORA.items():
        place = registry.find(name)
        asked = f"not here; get it from {emotions.CORPORA[name].get}" if name in emotions.CORPORA else "not here"
        print(f"{name:15} {corpus.status:10} {corpus.megabytes:4} MB  {corpus.licence:28} {place or asked}\n{'':15} {corpus.title}")
    for name, hub in (encoders.PAPER | encoders.OTHERS).items():
        print(f"{name:20} encoder, {hub or 'on no hub'}: {encoders.find(name) or 'not here'}")
    here = ", ".join(n for n in weights.OFFICIAL if n in weights.found_networks())
    print(f"{'nisqa-weights':15} {'weights':10} {4:4} MB  {'CC BY-NC-SA 4.0':28} {here or 'not here'}\n{'':15} NISQA's published networks")


@data_app.command("fetch")
def data_fetch(
    names: Annotated[list[str], typer.Argument(help="Corpora, encoders by name or hub name, or nisqa-weights.")],
    yes: Annotated[bool, typer.Option("--yes", help="Accept the licence without being asked.")] = False,
) -> None:
    """Fetch into the cache, by hash; what has arrived stays, so a broken fetch can be repeated."""
    from .corpora import registry
    from .models import encoders, weights

    for name in names:
        if name in encoders.PAPER | encoders.OTHERS or "/" in name:
            print(f"{name}: {encoders.fetch(name)}")
            continue
        if name == "nisqa-weights":
            print(weights.LICENCE_NOTICE)
            if not yes and not typer.confirm("Fetch under this licence?"):
                raise SettingsError("Nothing was fetched.")
            print(f"{name}: {weights.fetch_official()}")
            continue
        corpus = registry.known(name)
        print(f"{name}: {corpus.title}, {corpus.licence}, {corpus.megabytes} MB")
        with _progress(None, name) as bar:
            place = registry.fetch(name, lambda _: bar.advance(bar.task_ids[0]))
        print(f"{name}: {place}")


@data_app.command("check")
def data_check(names: Annotated[list[str] | None, typer.Argument(help="All that are here, if none is named.")] = None) -> None:
    """Compare what lies on disk with what a whole copy has: files, names, rates, copies; exit status 1 if something differs."""
    from .corpora import registry

    wrong = 0
    for name in names or [n for n in registry.CORPORA if registry.find(n)]:
        verify = registry.known(name).verify
        corpus = registry.load(name)
        problems = verify(corpus)
        wrong += len(problems)
        print("\n".join([f"{name}: {len(corpus.table)} files, {len(problems)} differences", *problems]))
    raise typer.Exit(int(wrong > 0))


@data_app.command("card")
def data_card(names: Annotated[list[str], typer.Argument(help="Corpora.")]) -> None:
    """What a corpus holds and what is wrong with it, found in its files."""
    from .corpora import cards, emotions, registry

    for name in names:
        known = registry.known(name)
        print(f"{name}: {known.title}, {known.licence}")
        if name in emotions.CORPORA:
            about = emotions.CORPORA[name]
            print(f"  {about.citation}\n  from {about.get}; names after {about.source}")
            print("\n".join(f"  note: {note}" for note in (*about.notes, *([] if about.seen else ["not seen on a real copy"]))))
        corpus = registry.load(name)
        for fact, value in cards.facts(corpus, cards.shared_audio(corpus)).items():
            print(f"  {fact:40} {value}")


@data_app.command("split")
def data_split(
    name: Annotated[str, typer.Argument(help="A corpus with emotions.")],
    protocol: Annotated[
        Literal["speaker", "loso", "stratified"], typer.Option(help="Whole speakers, each speaker once, or plain.")
    ] = "speaker",
    seed: Annotated[int, typer.Option(help="Which of the splits that are as good, or of those drawn.")] = 0,
    out: Annotated[Path | None, typer.Option(help="Write it here as CSV.")] = None,
) -> None:
    """A split of a corpus, with what it reached; the same for the same seed."""
    from .corpora import registry, splits

    corpus = registry.load(name)
    if "emotion" not in corpus.table:
        raise SettingsError(f"{name}: its files carry no emotions to be split by.")
    if out and not out.absolute().parent.is_dir():
        raise SettingsError(f"{out}: the folder to write to does not exist.")
    split = splits.make(corpus, protocol, seed)
    print(f"{split.name}, hash {split.hash}")
    print(splits.facts(split, corpus).round(3).to_string(index=False))
    if out:
        splits.write(split, out)
        print(out)


@app.command()
def score(
    paths: Annotated[list[Path], typer.Argument(help="Sound files, or folders of them.")],
    model: Model = None,
    csv: Annotated[Path | None, typer.Option(help="Write the table here.")] = None,
    channel: Annotated[int | None, typer.Option(help="One channel, from 0; default: the mean of all.")] = None,
    resample: Annotated[int | None, typer.Option(help="Bring files to this rate in Hz first; default: their own.")] = None,
    windows: Annotated[bool, typer.Option("--windows", help="Score windows over time.")] = False,
    window_s: Annotated[float, typer.Option(help="Length of a window, seconds.")] = 10.0,
    hop_s: Annotated[float, typer.Option(help="From window to window, seconds.")] = 5.0,
    report: Annotated[
        bool,
        typer.Option("--report", help="Add rate, level, length, channels, clipping, and whether the file suits the network."),
    ] = False,
) -> None:
    """Predicted quality of recordings: mos, noi, dis, col, loud, from 1 (bad) to 5 (excellent)."""
    import pandas as pd

    from . import scoring
    from .models import weights

    if csv and not csv.absolute().parent.is_dir():
        raise SettingsError(f"{csv}: the folder to write to does not exist.")
    files = scoring.sound_files(paths)
    network = weights.load(model, environment.device())
    if model is None:
        print(f"sqa: scored by {network.name} ({network.trained_for})", file=sys.stderr)
    if network.name == weights.SYNTHETIC_ONLY:
        print(f"sqa: {network.name}: {weights.SYNTHETIC_CAVEAT}", file=sys.stderr)
    with _progress(None if windows else len(files), "scoring") as bar:
        rows = []
        for row in scoring.score_stream(
            [str(f) for f in files],
            network,
            resample=resample,
            channel="mean" if channel is None else channel,
            windows=(window_s, hop_s) if windows else None,
            report=report,
        ):
            rows.append(row)
            bar.advance(bar.task_ids[0])
    table = pd.DataFrame(rows)
    if csv:
        partial = csv.with_name(csv.name + ".part")
        table.to_csv(partial, index=False, float_format="%.6g")
        partial.replace(csv)
        print(f"{csv}: {len(table)} rows, {table['error'].notna().sum()} failed", file=sys.stderr)
    else:
        print(table.to_csv(index=False, float_format="%.4g"), end="")
    for problem in table["error"].dropna().head(10):
        print(f"sqa: {problem}", file=sys.stderr)
    raise typer.Exit(int(table["error"].notna().any()))


@app.command()
def explain(
    file: Annotated[Path, typer.Argument(help="A sound file.")],
    method: Annotated[Literal["occlusion", "ig", "deeplift", "conductance"], typer.Option(help="How.")] = "occlusion",
    out: Annotated[Path, typer.Option(help="Folder for figures and arrays.")] = Path("explanation"),
    model: Model = None,
    output: Annotated[str, typer.Option(help="Which score, by occlusion or ig: mos, noi, dis, col or loud.")] = "mos",
    fill: Annotated[
        Literal["floor", "mean"], typer.Option(help="What an occlusion's mask puts in: the file's floor or its mean.")
    ] = "floor",
    baseline: Annotated[
        Literal["zero", "floor", "min", "noise"],
        typer.Option(help="What the other methods compare with: 0 dB, -80 dB, the file's minimum, noise."),
    ] = "floor",
    start: Annotated[float, typer.Option(help="Second at which the part begins that is explained.")] = 0.0,
    seconds: Annotated[float | None, typer.Option(help="How long that part is; to the end where it is not given.")] = None,
) -> None:
    """Why this score? Hide parts of the spectrogram, or follow gradients through the network, and see what moves it."""
    from . import figures_explained

    for path in figures_explained.explain_file(file, out, method, model, output, fill, baseline, start, seconds):
        print(path)


@app.command()
def run(
    chapter: Annotated[list[str] | None, typer.Argument(help="Chapters; all, if none is named.")] = None,
    profile: Annotated[str, typer.Option(help="demo: built in, minutes. paper: the paper's settings on what is found.")] = "demo",
    engine: Annotated[str, typer.Option(help="Where trials run: local, or dask.")] = "local",
    scheduler: Annotated[str, typer.Option(help="For dask: an address (tcp://...), slurm, or nothing for workers on this machine.")] = "",
    store: Annotated[
        str | None, typer.Option(help="Where records go, a folder or an fsspec address; book/results makes the published run.")
    ] = None,
    param: Annotated[list[str] | None, typer.Option("-p", "--param", help="NAME=VALUE, a parameter of the notebook.")] = None,
    force: Annotated[bool, typer.Option("--force", help="Execute also what is fresh.")] = False,
    missing: Annotated[bool, typer.Option("--missing", help="Leave alone what is fresh, whatever parameters it was made with.")] = False,
    timeout_s: Annotated[int, typer.Option(help="Seconds a cell may take; a run that was cut goes on where it stopped.")] = 86_400,
) -> None:
    """Execute notebooks with papermill; fresh ones are left alone."""
    from .pipeline import chapters, execute, staleness

    slugs = chapter or list(chapters.CHAPTERS)
    if missing:
        slugs = [slug for slug in slugs if staleness.stale(slug, execute.executed(slug))]
    parameters: dict[str, Any] = {"profile": profile, "engine": engine} | {
        name: value for name, value in (("scheduler", scheduler), ("store", store)) if value
    }
    for item in param or []:
        name, equals, value = item.partition("=")
        if not equals:
            raise SettingsError(f"-p takes NAME=VALUE, not {item!r}.")
        parameters[name] = value
    outcomes = execute.run(slugs, parameters, force, timeout_s, _say_cell, _say_outcome, _Progress())
    raise typer.Exit(int(any(o.state == "failed" for o in outcomes)))


OVER = "\r\x1b[K"  # to the start of a terminal's line, and what stood there away


def _say_cell(slug: str, cell: int, count: int) -> None:
    if sys.stderr.isatty():
        print(f"{OVER}{slug}: cell {cell} of {count} ", end="", file=sys.stderr, flush=True)


class _Progress:
    """What a notebook's bar says: on a terminal in one line that is written over, elsewhere a line a minute."""

    def __init__(self) -> None:
        self.said = time.monotonic()

    def __call__(self, slug: str, text: str) -> None:
        if sys.stderr.isatty():
            print(OVER + f"{slug}: {text}"[: shutil.get_terminal_size().columns - 1], end="", file=sys.stderr, flush=True)
        elif time.monotonic() - self.said > SECONDS_A_LINE:
            self.said = time.monotonic()
            print(f"{slug}: {text}", file=sys.stderr, flush=True)


SECONDS_A_LINE = 60


def _say_outcome(outcome) -> None:
    start = OVER if sys.stderr.isatty() else ""
    took = f" in {outcome.seconds:.1f} s" if outcome.seconds else ""
    print(f"{start}{outcome.slug}: {outcome.state}{took}{': ' + outcome.problem if outcome.problem else ''}", file=sys.stderr)


@app.command()
def book(
    allow_stale: Annotated[bool, typer.Option("--allow-stale", help="Build also from pages whose inputs changed.")] = False,
    run_first: Annotated[bool, typer.Option("--run", help="Execute stale notebooks first.")] = False,
    profile: Annotated[str, typer.Option(help="For --run.")] = "demo",
) -> None:
    """Build the HTML book from executed notebooks."""
    from .pipeline import build, chapters, execute

    if run_first:
        parameters = {"profile": profile, "engine": "local"}
        outcomes = execute.run(list(chapters.CHAPTERS), parameters, on_cell=_say_cell, on_outcome=_say_outcome, on_progress=_Progress())
        if any(o.state == "failed" for o in outcomes):
            raise SettingsError("The book is not built, since a notebook failed.")
    built = build.build(allow_stale)
    for part, seconds in built.times.items():
        print(f"{part:20} {seconds:7.1f} s")
    print(f"The book is at {built.index}")


@app.command()
def records(
    chapter: Annotated[str | None, typer.Argument(help="One chapter; all, if none is named.")] = None,
    store: Annotated[Path | None, typer.Option(help="Default: the published run.")] = None,
    csv: Annotated[bool, typer.Option("--csv", help="As CSV.")] = False,
) -> None:
    """What was measured: one row a record."""
    from . import records as stored
    from .pipeline import chapters

    folder = store or environment.resource("book", "results")
    if chapter:
        chapters.study(chapter)
    found = [r for slug in ([chapter] if chapter else chapters.CHAPTERS) for r in stored.read_all(folder / slug)]
    table = stored.table(found)
    if table.empty:
        raise SettingsError(f"There are no records of {chapter or 'any chapter'} in {folder}.")
    print(table.to_csv(index=False) if csv else table[["study", "kind", "key", "data_status", "wall_s", "commit"]].to_string(index=False))


@app.command()
def train(
    network: Annotated[str, typer.Argument(help="Which of our networks; see `sqa status`.")],
    out: Annotated[Path, typer.Option(help="Folder for checkpoints and the result; a broken run goes on from there.")] = Path(
        "_build/training"
    ),
) -> None:
    """Train one of the book's own networks anew (half an hour on two cores)."""
    from .studies import own_networks

    with _progress(None, "utterances made") as bar:
        path = own_networks.train_own(
            network,
            out,
            on_epoch=lambda e: print(f"epoch {e.number}: loss {e.loss:.4f}, validation RMSE {e.rmse:.4f}", file=sys.stderr),
            on_item=lambda: bar.advance(bar.task_ids[0]),
        )
    print(path)


if __name__ == "__main__":
    main()
