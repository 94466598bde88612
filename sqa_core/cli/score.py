"""`sqa score` and `sqa explain`: predicted quality of recordings, and what moves it."""

import json
import os
import sys
import tempfile
import zipfile
from collections import defaultdict
from contextlib import nullcontext
from itertools import chain, count
from pathlib import Path
from typing import Annotated, Literal

import typer

from .. import environment
from ..errors import SettingsError
from ..files import atomic, require_writable
from . import progress
from .table import Printed, Written, resumed

SHOWN_PROBLEMS = 10

Model = Annotated[
    str | None,
    typer.Option("--model", help="nisqa, nisqa-mos, nisqa-tts, one of ours (sqa status), or a path; default: the best that is installed."),
]


def path_of(text: str) -> Path:
    """A path. An empty name, as from an unset shell variable, would mean the current folder."""
    if not text:
        raise typer.BadParameter("an empty name is the name of no file.")
    return Path(text)


def score(
    paths: Annotated[list[Path], typer.Argument(help="Sound files, or folders of them.", parser=path_of, metavar="PATHS")],
    model: Model = None,
    csv: Annotated[Path | None, typer.Option(help="Write the table to this file, row by row as it is computed.")] = None,
    resume: Annotated[
        bool, typer.Option("--resume", help="Go on with the file of --csv: its rows without an error are kept, the rest is scored.")
    ] = False,
    channel: Annotated[int | None, typer.Option(help="One channel, from 0; default: the mean of all.")] = None,
    resample: Annotated[int | None, typer.Option(help="Resample to this rate in Hz first; default: each file's own rate.")] = None,
    windows: Annotated[bool, typer.Option("--windows", help="Score windows over time.")] = False,
    window_s: Annotated[float, typer.Option(help="Length of a window, seconds.")] = 10.0,
    hop_s: Annotated[float, typer.Option(help="From window to window, seconds.")] = 5.0,
    report: Annotated[
        bool,
        typer.Option(
            "--report",
            help="Add rate, level, length, channels, clipping, DC, gaps, bandwidth, codec, and whether the file is like the training data.",
        ),
    ] = False,
) -> None:
    """Predict the quality of recordings: mos, noi, dis, col, loud, from about 1 (bad) to 5 (excellent); networks can pass the ends a little."""
    from .. import audio, scoring
    from ..models import weights

    if resume and csv is None:
        raise SettingsError("--resume goes on with a table, so --csv must name it.")
    options = scoring.Options(
        resample=resample,
        channel="mean" if channel is None else channel,
        windows=(window_s, hop_s) if windows else None,
        report=report,
    )
    columns = scoring.columns(options)
    files, left_out = audio.sound_files(paths)
    if left_out:
        print(f"sqa: {audio.describe(left_out)}", file=sys.stderr)
    with Written(csv, columns) if csv else nullcontext(Printed(columns)) as table:  # the place is checked before anything is computed
        network = weights.load(model, environment.device())
        scoring.check(network, options)
        if model is None:
            print(f"sqa: scored by {network.name} ({network.trained_for})", file=sys.stderr)
        if model is None and (caveat := weights.caveat(network.name)):
            print(f"sqa: {network.name}: {caveat}", file=sys.stderr)
        if network.name == weights.SYNTHETIC_ONLY:
            print(f"sqa: {network.name}: {weights.SYNTHETIC_CAVEAT}", file=sys.stderr)
        if isinstance(table, Written) and table.replaces and not resume:
            print(f"sqa: {csv}: the table that is there is replaced; --resume would go on with it", file=sys.stderr)
        fixed = {"model": network.name, "weights_hash": network.weights_hash}
        kept = resumed(csv, columns, fixed, last_may_be_broken_off=windows) if csv and resume else []
        _check_resumed(csv, kept, files, network, options)
        table.add(*kept)
        done = {row["file"] for row in kept}
        problems = _score_into(table, [f for f in files if audio.shown(f) not in done], network, options)
    if csv:
        print(f"{csv}: {table.count} rows{f', {len(kept)} of them from before' * bool(kept)}, {len(problems)} failed", file=sys.stderr)
    for problem in problems[:SHOWN_PROBLEMS]:
        print(f"sqa: {problem}", file=sys.stderr)
    if len(problems) > SHOWN_PROBLEMS:
        print(f"sqa: and {len(problems) - SHOWN_PROBLEMS} more; the column `error` has them all", file=sys.stderr)
    raise typer.Exit(int(bool(problems)))


CHECKED = 6  # files of a table that is gone on with, scored again


def _check_resumed(csv: Path | None, kept: list[dict[str, str]], files: list[Path], network, options) -> None:
    """A table that is gone on with was made with the same options, and its files are still the same: some of them are scored again, and
    all their rows are compared: those that were touched after the table, one with each note, since options do not change every file, and
    others from all of the table."""
    from .. import audio, scoring

    if csv is None or not kept:
        return
    paths = {audio.shown(file): file for file in files}
    names = [name for name in dict.fromkeys(row["file"] for row in kept) if name in paths]
    written = csv.stat().st_mtime
    later = [name for name in names if _changed(paths[name]) > written]  # than the last row: it may be another file by now
    if len(later) > CHECKED:
        print(f"sqa: {len(later)} files were touched after the table, and are scored again to compare them", file=sys.stderr)
    noted = list({row["note"]: row["file"] for row in reversed(kept) if row["file"] in paths}.values())
    spread = [names[i * (len(names) - 1) // (CHECKED - 1)] for i in range(CHECKED)] if names else []
    columns = [*network.settings.outputs, *(["start_s", "end_s"] if options.windows else [])]
    chosen = dict.fromkeys([*later, *noted[:CHECKED], *spread])
    scored, stored_rows = defaultdict(list), defaultdict(list)
    for row in scoring.score_stream([paths[name] for name in chosen], network, **vars(options)):
        scored[row["file"]].append(row)
    for row in kept:
        stored_rows[row["file"]].append(row)
    for name in chosen:
        again = scored[name]
        stored = stored_rows[name][: len(again) or None]  # once, where a file was named twice
        if len(stored) != len(again) or not all(_same(a[c], b[c]) for a, b in zip(stored, again, strict=True) for c in columns):
            raise SettingsError(
                f"{csv}: {name} has other scores now, so the table was made with other options or the file has changed; "
                "choose another file, or leave out --resume."
            )


def _changed(path: Path) -> float:
    """When this file was last written, renamed or copied to its place; 0 if it is gone, which its own row will say."""
    try:
        return path.stat().st_ctime
    except OSError:
        return 0.0


def _same(stored: str, now: float | None) -> bool:
    """Whether a number in a table is this one, as far as its digits and other threads tell."""
    import math

    try:
        return now is not None and math.isclose(float(stored), now, rel_tol=1e-3, abs_tol=1e-3)
    except ValueError:  # not a number: the table was changed by hand
        return False


def _score_into(table: Written | Printed, files: list[Path], network, options) -> list[str]:
    """Adds one row per file or window as it is computed; gives back the errors."""
    from .. import scoring

    problems = []
    try:
        with progress.bar(None if options.windows else len(files), "scoring") as bar:
            for row in scoring.score_stream(files, network, **vars(options)):
                table.add(row)
                bar.advance(bar.task_ids[0])
                if row["error"]:
                    problems.append(row["error"])
    except KeyboardInterrupt:
        how = ", --resume goes on after them" if isinstance(table, Written) and table.count else ""
        print(f"\nsqa: stopped; {table.count} rows are in {table.where}{how}", file=sys.stderr)
        raise typer.Exit(130) from None
    return problems


ASKED_S = 60.0  # of work, above which the user is asked


def explain(
    file: Annotated[Path, typer.Argument(help="A sound file.", parser=path_of, metavar="FILE")],
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
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask before work of more than a minute.")] = False,
) -> None:
    """Explain a score: hide parts of the spectrogram, or follow gradients through the network, and see what moves it.

    Writes a figure (.png), arrays (.npz) and, by occlusion, a table (.csv). The arrays are mel (bands, frames) in dB, time_s of the frames in
    the file, band_hz, the score, made_from, and a map for each mask, output or feature; of conductance (channels, bands, frames) with its
    segment and segment_start_s; of features, follows says what each of them follows. The table has one row per mask: its bands and frames, low_hz, high_hz, start_s, end_s, and each score under it.
    Ctrl-C ends an occlusion with the masks that were tried.
    """
    from .. import audio
    from ..explain import files
    from ..models import weights
    from ..results import durations

    require_writable(out)
    network = weights.load(model, environment.device())

    bar = progress.bar(100, f"{method} of {audio.shown(file.name)}, %")

    def expected(needed_s: float) -> None:
        if needed_s > ASKED_S:
            text = f"{method} of this sound takes about {durations.in_words(needed_s)} here"
            if yes:
                print(f"sqa: {text}", file=sys.stderr)
            elif not (sys.stdin.isatty() and typer.confirm(f"{text}. Start?", err=True)):
                raise SettingsError(f"{text}; add --yes, or choose an excerpt with --start and --seconds.")
        bar.start()

    try:
        found = files.explain(
            file,
            network,
            method,
            output,
            fill,
            baseline,
            start,
            seconds,
            expected,
            lambda share: bar.update(bar.task_ids[0], completed=100 * share),
        )
    finally:
        bar.stop()
    if found.stopped:
        print(f"\nsqa: stopped; {found.stopped} masks were not tried, the rest is written", file=sys.stderr)
    made_from = json.dumps([str(file.resolve()), method, network.weights_hash, output, fill, baseline, start, seconds, found.stopped])
    short = os.fsencode(file.stem)[:150].decode("utf-8", "replace")
    stem = f"{short}{'' if start == 0 and seconds is None else f'-from-{start:g}s'}-{method}"
    try:
        written = _write_explanation(found, out, stem, made_from)
    except OSError as e:  # a disk that filled up meanwhile: minutes of work are kept elsewhere
        rescued = Path(tempfile.mkdtemp(prefix="sqa-explanation-"))
        _write_explanation(found, rescued, stem, made_from)
        raise SettingsError(f"{out}: {e.strerror or e}; what was computed is in {rescued}.") from e
    print("\n".join(audio.shown(path) for path in written))
    if found.stopped:
        raise typer.Exit(130)


def _write_explanation(found, out: Path, stem: str, made_from: str) -> list[Path]:
    """Writes the figure, the arrays, and the table if there is one; each whole or not at all."""
    import numpy as np

    from ..figures import maps, style

    style()
    out.mkdir(parents=True, exist_ok=True)
    name = _free_name(out, stem, made_from)
    written = [out / f"{name}.png", out / f"{name}.npz"]
    with atomic(written[0]) as partial:
        maps.explanation(found).savefig(partial)
    with atomic(written[1]) as partial:
        np.savez_compressed(partial, made_from=made_from, **found.arrays())
    if found.scores is not None:
        written.append(out / f"{name}.csv")
        with atomic(written[2]) as partial:
            found.scores.to_csv(partial, index=False, float_format="%.6g")
    return written


def _free_name(out: Path, name: str, made_from: str) -> str:
    """A name whose files are not there, or were made from the same sound in the same way: one explanation never overwrites another."""
    names = chain([name], (f"{name}-{number}" for number in count(2)))
    return next(chosen for chosen in names if _is_free(out / f"{chosen}.npz", made_from))


def _is_free(path: Path, made_from: str) -> bool:
    import numpy as np

    if not path.exists():
        return True
    try:
        with np.load(path) as stored:
            return "made_from" in stored.files and str(stored["made_from"]) == made_from
    except (OSError, ValueError, zipfile.BadZipFile):  # not ours, or broken off
        return False
