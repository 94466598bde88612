"""`sqa score` and `sqa explain`: predicted quality of recordings, and what moves it."""

import sys
from pathlib import Path
from typing import Annotated, Literal

import typer

from .. import environment
from ..errors import SettingsError
from ..files import atomic
from . import progress

Model = Annotated[
    str | None,
    typer.Option("--model", help="nisqa, nisqa-mos, nisqa-tts, one of ours (sqa status), or a path; default: the best that is installed."),
]


def score(
    paths: Annotated[list[Path], typer.Argument(help="Sound files, or folders of them.")],
    model: Model = None,
    csv: Annotated[Path | None, typer.Option(help="Write the table to this file.")] = None,
    channel: Annotated[int | None, typer.Option(help="One channel, from 0; default: the mean of all.")] = None,
    resample: Annotated[int | None, typer.Option(help="Resample to this rate in Hz first; default: each file's own rate.")] = None,
    windows: Annotated[bool, typer.Option("--windows", help="Score windows over time.")] = False,
    window_s: Annotated[float, typer.Option(help="Length of a window, seconds.")] = 10.0,
    hop_s: Annotated[float, typer.Option(help="From window to window, seconds.")] = 5.0,
    report: Annotated[
        bool,
        typer.Option("--report", help="Add rate, level, length, channels, clipping, and whether the file is like the training data."),
    ] = False,
) -> None:
    """Predict the quality of recordings: mos, noi, dis, col, loud, from 1 (bad) to 5 (excellent)."""
    from .. import scoring
    from ..models import weights

    if csv and not csv.absolute().parent.is_dir():
        raise SettingsError(f"{csv}: the folder to write to does not exist.")
    files = scoring.sound_files(paths)
    network = weights.load(model, environment.device())
    if model is None:
        print(f"sqa: scored by {network.name} ({network.trained_for})", file=sys.stderr)
    if network.name == weights.SYNTHETIC_ONLY:
        print(f"sqa: {network.name}: {weights.SYNTHETIC_CAVEAT}", file=sys.stderr)
    options = scoring.Options(
        resample=resample,
        channel="mean" if channel is None else channel,
        windows=(window_s, hop_s) if windows else None,
        report=report,
    )
    with progress.bar(None if windows else len(files), "scoring") as bar:

        def rows():
            for row in scoring.score_stream(files, network, **vars(options)):
                bar.advance(bar.task_ids[0])
                yield row

        table = scoring.as_table(rows())
    if csv:
        with atomic(csv) as partial:
            table.to_csv(partial, index=False, float_format="%.6g")
        print(f"{csv}: {len(table)} rows, {table['error'].notna().sum()} failed", file=sys.stderr)
    else:
        print(table.to_csv(index=False, float_format="%.4g"), end="")
    for problem in table["error"].dropna().head(10):
        print(f"sqa: {problem}", file=sys.stderr)
    raise typer.Exit(int(table["error"].notna().any()))


def explain(
    file: Annotated[Path, typer.Argument(help="A sound file.")],
    method: Annotated[Literal["occlusion", "ig", "deeplift", "conductance"], typer.Option(help="The method.")] = "occlusion",
    out: Annotated[Path, typer.Option(help="Folder for figures and arrays.")] = Path("explanation"),
    model: Model = None,
    output: Annotated[str, typer.Option(help="The score to explain, by occlusion or ig: mos, noi, dis, col or loud.")] = "mos",
    fill: Annotated[
        Literal["floor", "mean"], typer.Option(help="What occlusion's masks are filled with: the file's minimum or mean.")
    ] = "floor",
    baseline: Annotated[
        Literal["zero", "floor", "min", "noise"],
        typer.Option(help="What the other methods compare with: 0 dB, -80 dB, the file's minimum, noise."),
    ] = "floor",
    start: Annotated[float, typer.Option(help="Start of the excerpt, in seconds.")] = 0.0,
    seconds: Annotated[float | None, typer.Option(help="Length of the excerpt; default: to the end.")] = None,
) -> None:
    """Explain a score: hide parts of the spectrogram, or follow gradients through the network, and see what moves it."""
    import numpy as np

    from ..explain import files
    from ..figures import maps, style
    from ..models import weights

    network = weights.load(model, environment.device())
    found = files.explain(file, network, method, output, fill, baseline, start, seconds)
    style()
    out.mkdir(parents=True, exist_ok=True)
    name = f"{file.stem}{'' if start == 0 and seconds is None else f'-from-{start:g}s'}-{method}"
    maps.explanation(found).savefig(out / f"{name}.png")
    np.savez_compressed(out / f"{name}.npz", **found.arrays())  # type: ignore[arg-type]
    written = [out / f"{name}.png", out / f"{name}.npz"]
    if found.scores is not None:
        found.scores.to_csv(out / f"{name}.csv", index=False, float_format="%.6g")
        written.append(out / f"{name}.csv")
    print("\n".join(map(str, written)))
