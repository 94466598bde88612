"""The `sqa` command as a user types it."""

import contextlib
import io
import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import typer

from sqa_core import audio
from sqa_core.cli import app
from sqa_core.pipeline import chapters
from tests.conftest import ROOT

SQA = [sys.executable, "-c", "from sqa_core.cli.app import main; main()"]


def sqa(*arguments, **more) -> subprocess.CompletedProcess:
    """What the command says and returns: in this process, since Python and its libraries take seconds to start; in one of its own where it
    needs surroundings of its own, such as env or input."""
    command = list(map(str, arguments))
    if more:
        return subprocess.run([*SQA, *command], capture_output=True, text=True, errors="replace", **({"cwd": ROOT} | more))
    streams = [io.TextIOWrapper(io.BytesIO(), encoding="utf-8", write_through=True) for _ in range(2)]
    with pytest.MonkeyPatch.context() as patch, contextlib.redirect_stdout(streams[0]), contextlib.redirect_stderr(streams[1]):
        patch.chdir(ROOT)
        patch.setattr(sys, "argv", ["sqa", *command])
        patch.setattr(sys, "stdin", io.StringIO())
        try:
            app.main()
            status = 0
        except SystemExit as e:
            status = e.code if isinstance(e.code, int) else int(e.code is not None)
    return subprocess.CompletedProcess(command, status, *(s.buffer.getvalue().decode("utf-8", "replace") for s in streams))


def test_the_command_starts_in_a_process_of_its_own():
    done = sqa("--version", env=dict(os.environ))
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith("sqa-core ")


@pytest.fixture
def recordings(tmp_path, tone) -> Path:
    folder = tmp_path / "recordings"
    folder.mkdir()
    audio.write_wav(folder / "a good one.wav", *tone)
    audio.write_wav(folder / "b.wav", np.concatenate([tone.waveform, tone.waveform * 0.1], axis=1), tone.sample_rate)
    return folder


def test_a_folder_is_scored_into_a_table(recordings, tmp_path):
    done = sqa("score", recordings, "--model", "polyglot-pesq", "--csv", tmp_path / "out.csv")
    assert done.returncode == 0, done.stderr
    table = pd.read_csv(tmp_path / "out.csv")
    assert list(table.columns) == ["file", "mos", "noi", "dis", "col", "loud", "model", "weights_hash", "note", "error"]
    assert [Path(f).name for f in table["file"]] == ["a good one.wav", "b.wav"]
    assert table["mos"].notna().all()
    assert table[["noi", "dis", "col", "loud", "error"]].isna().all(axis=None)
    assert (table["model"] == "polyglot-pesq").all()


def test_a_broken_file_stays_in_the_table_and_sets_the_status(recordings, tmp_path):
    (recordings / "aa broken.wav").write_bytes(b"RIFFxxxx")
    done = sqa("score", recordings, "--model", "polyglot-pesq", "--csv", tmp_path / "out.csv")
    assert done.returncode == 1
    table = pd.read_csv(tmp_path / "out.csv")
    assert table["error"].notna().tolist() == [False, True, False]
    assert table["mos"].notna().tolist() == [True, False, True]
    assert "aa broken.wav" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_table_that_is_replaced_is_named(recordings, tmp_path):
    out = tmp_path / "out.csv"
    said = [sqa("score", recordings / "b.wav", "--model", "polyglot-pesq", "--csv", out, *more).stderr for more in ((), (), ("--resume",))]
    assert ["is replaced" in text for text in said] == [False, True, False]


def test_without_a_file_to_write_the_table_is_printed(recordings):
    done = sqa("score", recordings / "b.wav", "--model", "polyglot-pesq", "--report")
    assert done.returncode == 0
    header, row, *_ = done.stdout.splitlines()
    assert header.split(",")[:2] == ["file", "mos"]
    assert {"rate_hz", "level_dbov", "seconds", "channels", "clipped_percent", "advice"} <= set(header.split(","))
    assert "16000" in row


def test_windows_have_their_times(recordings):
    done = sqa("score", recordings / "b.wav", "--model", "polyglot-pesq", "--windows", "--window-s", 1, "--hop-s", 0.5)
    lines = done.stdout.splitlines()
    assert "start_s,end_s" in lines[0]
    assert len(lines) == 1 + 3


def test_a_network_by_its_path(recordings):
    done = sqa("score", recordings / "b.wav", "--model", ROOT / "networks" / "polyglot-pesq" / "model.safetensors")
    assert done.returncode == 0, done.stderr


def test_without_official_weights_it_says_which_network_scored(recordings, tmp_path):
    env = {**os.environ, "SQA_WEIGHTS": "", "SQA_CACHE": str(tmp_path)}
    done = sqa("score", recordings / "b.wav", env=env)
    assert "scored by calls-nisqa" in done.stderr
    assert "listeners" in done.stderr, "how far from the official network it is"
    assert done.stdout.startswith("file,mos,noi,dis,col,loud,")


MISTAKES = {
    "an unknown model": ["score", "FILE", "--model", "nisqa-9"],
    "a folder to write to that is not there": ["score", "FILE", "--csv", "no/such/folder/out.csv"],
    "a folder without sounds": ["score", "notebooks"],
    "an impossible rate": ["score", "FILE", "--model", "polyglot-pesq", "--resample", "10"],
    "a window that is no number": ["score", "FILE", "--windows", "--window-s", "nan"],
    "a hop that is no number": ["score", "FILE", "--windows", "--hop-s", "nan"],
    "a file that is no network": ["score", "FILE", "--model", "/etc/passwd"],
    "a sound that is no network": ["score", "FILE", "--model", "FILE"],
    "a window without end": ["score", "FILE", "--windows", "--window-s", "inf"],
    "a window of nothing": ["score", "FILE", "--windows", "--window-s", "0"],
    "an unknown chapter": ["run", "nothing"],
    "an unknown profile": ["run", "score", "--profile", "fast"],
    "an unknown parameter": ["run", "score", "-p", "colour=red"],
    "a parameter without a value": ["run", "score", "-p", "colour"],
    "an unknown engine": ["run", "score", "--engine", "cloud"],
    "a scheduler for no cluster": ["run", "score", "--scheduler", "tcp://host:8786"],
    "an unknown corpus": ["data", "fetch", "timit"],
    "an unknown corpus to check": ["data", "check", "timit"],
    "records of an unknown chapter": ["records", "nothing"],
    "records that are not there": ["records", "score", "--store", "notebooks"],
    "an output that the network has not": ["explain", "FILE", "--model", "polyglot-pesq", "--output", "noi"],
    "a file to explain that is not there": ["explain", "absent.wav"],
    "a network without a recipe": ["train", "gpt"],
}


def test_what_only_the_book_needs_is_named_where_it_is_missing(monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, "nbformat", None)
    for name in [n for n in sys.modules if n.startswith("sqa_core.pipeline")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setattr(sys, "argv", ["sqa", "run", "score"])
    with pytest.raises(SystemExit) as stopped:
        app.main()
    assert stopped.value.code == 2
    assert capsys.readouterr().err == 'sqa: this command needs nbformat: in a checkout, pip install ".[book]".\n'


@pytest.mark.parametrize("name", MISTAKES)
def test_a_mistake_is_one_sentence(recordings, name):
    done = sqa(*[recordings / "b.wav" if a == "FILE" else a for a in MISTAKES[name]])
    assert done.returncode == 2
    assert "Traceback" not in done.stderr
    assert done.stderr.startswith("sqa: ")
    assert len([line for line in done.stderr.splitlines() if not line.startswith(("sqa: scored", "sqa: polyglot-pesq: "))]) == 1


def test_status_for_people_and_programs(tmp_path):
    found = json.loads(sqa("status", "--json").stdout)
    assert {"device", "corpora", "networks", "chapters", "default_network"} <= found.keys()
    assert found["corpora"]["polyglot"]
    assert tuple(found["chapters"]) == chapters.CHAPTERS
    assert found["chapters"]["labels"]["demo"].endswith("to run")
    text = sqa("status").stdout
    assert "polyglot-pesq" in text
    assert "device:" in text


def test_data_list_and_check(p835):
    assert "CC BY-NC-SA 4.0" in sqa("data", "list").stdout
    done = sqa("data", "check", "p835")
    assert done.returncode == 0
    assert "156 files, 0 differences" in done.stdout


def test_weights_show_their_licence_before_they_are_fetched():
    done = sqa("data", "fetch", "nisqa-weights", input="n\n")
    assert "CC BY-NC-SA 4.0" in done.stdout
    assert "Nothing was fetched" in done.stderr


def test_explain_writes_figures_and_arrays(recordings, tmp_path):
    done = sqa("explain", recordings / "b.wav", "--model", "polyglot-pesq", "--out", tmp_path / "why", "--start", "0.25")
    assert done.returncode == 0, done.stderr
    assert sorted(p.suffix for p in (tmp_path / "why").iterdir()) == [".csv", ".npz", ".png"]
    stored = np.load(tmp_path / "why" / "b-from-0.25s-occlusion.npz")
    assert stored["13_frames"].shape == stored["mel"].shape == (len(stored["band_hz"]), len(stored["time_s"]))
    assert stored["time_s"][:2] == pytest.approx([0.25, 0.26]), "the file's own time"
    table = pd.read_csv(tmp_path / "why" / "b-from-0.25s-occlusion.csv")
    assert list(table.columns) == ["band", "bands", "frame", "frames", "low_hz", "high_hz", "start_s", "end_s", "mos"]
    assert table["start_s"].min() == 0.25
    in_time = table[table["bands"] == len(stored["band_hz"])]
    assert in_time["high_hz"].unique() == pytest.approx(stored["band_hz"][-1], abs=0.1)


@pytest.mark.parametrize(("at", "groups"), [(2, ["24_bands_x_24_frames"]), (4, ["24_bands_x_24_frames", "2_bands"])])
def test_occlusion_that_is_stopped_keeps_the_masks_that_were_tried(recordings, tmp_path, own, monkeypatch, capsys, at, groups):
    """Also where it is stopped within the first group of masks."""
    from sqa_core.explain import files, occlusion

    whole, calls = occlusion.occlude, []

    def stops(*arguments):
        calls.append(arguments)
        if len(calls) == at:
            raise KeyboardInterrupt
        return whole(*arguments)

    monkeypatch.setattr(files, "MASKS_AT_ONCE", 10)
    monkeypatch.setattr(occlusion, "occlude", stops)
    with pytest.raises(typer.Exit) as stopped:
        explained(recordings / "b.wav", tmp_path, own)
    assert stopped.value.exit_code == 130
    assert "masks were not tried, the rest is written" in capsys.readouterr().err
    stored = np.load(tmp_path / "b-occlusion.npz")
    assert [name for name in stored.files if "bands" in name or "frames" in name] == groups
    table = pd.read_csv(tmp_path / "b-occlusion.csv")
    assert len(table) == 10 * (at - 1) or at == 4
    assert np.isfinite(stored[groups[-1]]).sum() > 0
    monkeypatch.setattr(occlusion, "occlude", whole)
    explained(recordings / "b.wav", tmp_path, own)
    assert "13_frames" in np.load(tmp_path / "b-occlusion-2.npz").files, "the whole one does not take the broken one's place"


def test_a_name_as_long_as_names_can_be_is_explained(recordings, tmp_path, own):
    long = recordings / f"{'x' * 240}.wav"
    (recordings / "b.wav").rename(long)
    out = tmp_path / "out"
    out.mkdir()
    (out / f"{'x' * 150}-occlusion.npz").write_bytes(b"PK\x03\x04 cut")  # not ours, or broken off: it stays
    explained(long, out, own)
    assert {p.suffix for p in out.iterdir()} == {".npz", ".png", ".csv"}
    assert len(list(out.iterdir())) == 4


@pytest.mark.parametrize("more", [{"start": float("nan")}, {"seconds": float("inf")}])
def test_an_excerpt_has_numbers_of_seconds(recordings, tmp_path, own, more):
    from sqa_core.errors import SettingsError

    with pytest.raises(SettingsError, match="an excerpt starts and ends at numbers of seconds"):
        explained(recordings / "b.wav", tmp_path, own, **more)


@pytest.mark.parametrize("name", ["a{b}.wav", "x[/].wav", "[red].wav"])
def test_a_bar_shows_names_as_they_are(name, capsys):
    from sqa_core.cli import progress

    with progress.bar(3, name) as bar:
        bar.console.print(bar.make_tasks_table(bar.tasks))
    assert name in capsys.readouterr().err


def explained(file, out, network, **more):
    from sqa_core.cli import score

    plain = {
        "method": "occlusion",
        "model": network.name,
        "output": "mos",
        "fill": "floor",
        "baseline": "floor",
        "start": 0.0,
        "seconds": None,
    }
    score.explain(file=file, out=out, yes=True, **plain | more)


def test_more_masks_than_hours_allow_are_refused(recordings, tmp_path, own, monkeypatch):
    from sqa_core.errors import SettingsError
    from sqa_core.explain import occlusion

    monkeypatch.setattr(occlusion, "MAX_MASKS", 50)
    with pytest.raises(SettingsError, match="masks are more than 50; choose an excerpt"):
        explained(recordings / "b.wav", tmp_path / "out", own)
    assert not (tmp_path / "out").exists()


def test_an_explanation_survives_a_disk_that_fills_up(recordings, tmp_path, own, monkeypatch):
    import errno

    from sqa_core.cli import score
    from sqa_core.errors import SettingsError

    def full(path, **arrays):
        raise OSError(errno.ENOSPC, "No space left on device")

    saves, out = np.savez_compressed, tmp_path / "out"
    monkeypatch.setattr(score.tempfile, "mkdtemp", lambda prefix: str(rescued_in))
    rescued_in = tmp_path / "elsewhere"
    monkeypatch.setattr(np, "savez_compressed", lambda path, **a: full(path) if out in Path(path).parents else saves(path, **a))
    with pytest.raises(SettingsError, match=r"No space left on device; what was computed is in .*elsewhere"):
        explained(recordings / "b.wav", out, own)
    assert sorted(p.name for p in rescued_in.iterdir()) == ["b-occlusion.csv", "b-occlusion.npz", "b-occlusion.png"]
    assert [p.name for p in out.iterdir() if p.name.startswith("part-")] == []


@pytest.mark.skipif(not Path("/proc/self").exists(), reason="needs a place where nobody can write")
@pytest.mark.parametrize("command", [["explain", "FILE", "--out"], ["data", "split", "NAME", "--out"], ["score", "FILE", "--csv"]])
def test_a_place_where_nothing_can_be_written_is_one_sentence(recordings, command):
    if command[0] == "data":
        from sqa_core.corpora import registry

        if registry.find("polyglot-acted") is None:
            pytest.skip("no corpus to split")
        command = ["data", "split", "polyglot-acted", "--out"]
    done = sqa(*[str(recordings / "b.wav") if word == "FILE" else word for word in command], "/proc/self/out")
    assert done.returncode == 2
    assert done.stderr.startswith("sqa: /proc/self")
    assert len(done.stderr.strip().splitlines()) == 1


@pytest.mark.parametrize(("method", "array"), [("ig", "mos"), ("deeplift", "feature_"), ("conductance", "segment_start_s")])
def test_explain_by_other_methods(recordings, tmp_path, method, array):
    done = sqa("explain", recordings / "b.wav", "--method", method, "--model", "prompts-pesq-20", "--out", tmp_path)
    assert done.returncode == 0, done.stderr
    assert done.stdout.split() == [str(tmp_path / f"b-{method}.{kind}") for kind in ("png", "npz")]
    stored = np.load(tmp_path / f"b-{method}.npz")
    maps = [n for n in stored.files if array in n]
    assert maps
    assert all(np.isfinite(stored[n]).any() for n in maps)
    assert (tmp_path / f"b-{method}.png").stat().st_size > 10_000


def test_one_explanation_never_overwrites_another(recordings, tmp_path):
    """Two recordings of one name, another output, another network; the same again is the same file."""
    other = tmp_path / "other"
    other.mkdir()
    audio.write_wav(other / "b.wav", np.random.default_rng(0).normal(0, 0.05, 16_000), 16_000)
    out = tmp_path / "why"
    commands = [
        [recordings / "b.wav", "--model", "polyglot-pesq"],
        [other / "b.wav", "--model", "polyglot-pesq"],
        [other / "b.wav", "--model", "prompts-pesq"],
        [recordings / "b.wav", "--model", "polyglot-pesq"],
    ]
    for command in commands:
        done = sqa("explain", *command, "--out", out)
        assert done.returncode == 0, done.stderr
    assert sorted(p.name for p in out.glob("*.npz")) == ["b-occlusion-2.npz", "b-occlusion-3.npz", "b-occlusion.npz"]


def test_surroundings_that_are_not_there_are_one_sentence(recordings, tmp_path):
    clean = {k: v for k, v in os.environ.items() if k not in ("HOME", "SQA_CACHE", "XDG_CACHE_HOME")}
    done = sqa("score", recordings / "b.wav", *MODEL, env={**os.environ, "SQA_DEVICE": "tpu"})
    assert (done.returncode, done.stderr) == (2, "sqa: SQA_DEVICE is 'tpu'; it can be cpu, cuda, mps.\n")
    nobody = "import os; os.path.expanduser = lambda p: p; " + SQA[2]
    done = subprocess.run([sys.executable, "-c", nobody, "status"], capture_output=True, text=True, cwd=ROOT, env=clean)
    assert done.returncode == 2
    assert "set SQA_CACHE" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_checkout_inside_another_repository_has_no_commit_of_its_own(tmp_path):
    import shutil

    subprocess.run(["git", "init", "-q", tmp_path], check=True)
    for part in ("sqa_core", "notebooks"):
        shutil.copytree(ROOT / part, tmp_path / "book" / part, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "_toc.yml", tmp_path / "book")
    code = "from sqa_core import environment; print(environment.commit())"
    done = subprocess.run([sys.executable, "-c", code], cwd=tmp_path / "book", capture_output=True, text=True)
    assert done.stdout.strip() == "unknown", done.stderr


def test_records_as_csv():
    done = sqa("records", "--csv")
    assert done.returncode == 0, done.stderr
    assert "data_status" in done.stdout.splitlines()[0]


def test_help_names_every_command_and_completion():
    text = sqa("--help").stdout
    for word in ("status", "data", "run", "book", "records", "score", "explain", "train", "--install-completion"):
        assert word in text
    assert "sqa-core 0.2.0" in sqa("--version").stdout


def test_import_and_help_load_nothing_heavy():
    """What makes a start slow is torch and its like; the clock is for `benchmarks/`."""
    code = "import sys; {}; print([m for m in ('torch', 'pandas', 'scipy', 'matplotlib', 'numpy') if m in sys.modules])"
    for statement in ("import sqa_core", "import sqa_core.cli.app"):
        done = subprocess.run([sys.executable, "-c", code.format(statement)], capture_output=True, text=True, cwd=ROOT)
        assert done.stdout.strip() == "[]", statement


def test_readme_commands_exist():
    """Every `sqa` command line of the README names a command and options that there are."""
    import re

    for line in re.findall(r"^sqa [^\n]*$", (ROOT / "README.md").read_text(), flags=re.M):
        words = [w for w in line.split("#")[0].split()[1:] if not w.startswith(("my_", "*"))]
        command = words[:2] if words[0] == "data" else words[:1]
        text = sqa(*command, "--help").stdout
        for option in [w for w in words if w.startswith("--")]:
            assert option in text, line


# Names, places and interruptions


@pytest.fixture
def many(tmp_path) -> Path:
    """Forty sounds of half a second."""
    folder = tmp_path / "many"
    folder.mkdir()
    for i in range(40):
        audio.write_wav(folder / f"{i:02}.wav", np.random.default_rng(i).normal(0, 0.05, 8000), 16_000)
    return folder


MODEL = ("--model", "polyglot-pesq")


def test_names_in_any_bytes_and_output_in_any_encoding(tmp_path, tone):
    names = [b"Col\xe8re.wav", "😀 ü.wav".encode(), b"a\nb.wav", b"a\rb.wav", b"a,b.wav"]
    for name in names:
        (tmp_path / os.fsdecode(name)).write_bytes(audio.wav_bytes(*tone))
    for encoding in ("cp1252", "ascii"):
        done = sqa("score", tmp_path, *MODEL, env={**os.environ, "PYTHONIOENCODING": encoding})
        assert done.returncode == 0, done.stderr
        assert r"Col\xe8re.wav" in done.stdout
    done = sqa("score", tmp_path, *MODEL, "--csv", tmp_path / "o.csv")
    assert done.returncode == 0, done.stderr
    table = pd.read_csv(tmp_path / "o.csv")
    assert sorted(Path(f).name for f in table["file"]) == sorted([r"Col\xe8re.wav", "😀 ü.wav", r"a\x0ab.wav", r"a\x0db.wav", "a,b.wav"])
    assert sqa("data", "list", cwd=tmp_path).returncode == 0


def test_one_file_that_is_no_sound_does_not_lose_the_others(recordings, tmp_path):
    (tmp_path / "b.raw").write_bytes(bytes(1000))
    done = sqa("score", recordings / "b.wav", tmp_path / "b.raw", tmp_path / "nowhere.wav", *MODEL)
    assert done.returncode == 1
    assert "Traceback" not in done.stderr
    rows = done.stdout.splitlines()[1:]
    assert [("no such file" in row, "array with their rate" in row) for row in rows] == [(False, False), (False, True), (True, False)]


def test_what_is_left_out_of_a_folder_is_counted(recordings):
    (recordings / "._b.wav").write_bytes(bytes.fromhex("0005160700020000") + bytes(100))
    (recordings / "notes.txt").write_text("no sound")
    done = sqa("score", recordings, *MODEL)
    assert len(done.stdout.splitlines()) == 3
    assert "2 files left out: " in done.stderr
    assert "1 text" in done.stderr


@pytest.mark.parametrize("target", ["folder", "no/such/folder/x.csv", "/dev/full"])
def test_a_place_that_cannot_be_written_is_one_sentence_before_or_after(many, tmp_path, target):
    (tmp_path / "folder").mkdir()
    done = sqa("score", many, *MODEL, "--csv", tmp_path / target)
    assert done.returncode == 2
    assert "Traceback" not in done.stderr
    assert done.stderr.splitlines()[-1].startswith(f"sqa: {tmp_path / target}: ")


def test_standard_output_on_a_full_disk(recordings):
    with Path("/dev/full").open("w") as full:
        done = subprocess.run([*SQA, "score", str(recordings), *MODEL], stdout=full, stderr=subprocess.PIPE, text=True, cwd=ROOT)
    assert done.returncode == 2
    assert "standard output: no space left" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_table_grows_row_by_row_and_goes_on(many, tmp_path):
    """Killed in the middle: the rows are there; --resume scores the rest, and the file is as if nothing had happened."""
    import signal
    import time

    whole, broken = tmp_path / "whole.csv", tmp_path / "broken.csv"
    assert sqa("score", many, *MODEL, "--csv", whole).returncode == 0
    running = subprocess.Popen(
        [
            sys.executable,
            "-c",
            "from sqa_core.scoring import rows; rows.BURST_S = 0; rows.FILES = rows.SHORT_FILES = 1; " + SQA[2],
            "score",
            many,
            *MODEL,
            "--csv",
            broken,
        ],
        stderr=subprocess.PIPE,
        text=True,
        cwd=ROOT,
    )
    until = time.monotonic() + 60
    while time.monotonic() < until and not (broken.exists() and broken.read_bytes().count(b"\n") > 3):
        time.sleep(0.02)
    running.send_signal(signal.SIGINT)
    errors = running.communicate(timeout=60)[1]
    if running.returncode != 0:  # it may have been faster
        assert running.returncode == 130
        assert "sqa: stopped; " in errors
        assert "Traceback" not in errors
    lines = broken.read_bytes().splitlines(keepends=True)
    assert len(lines) > 3
    kept = min(len(lines), 12) - 2
    broken.write_bytes(b"".join(lines[: kept + 2])[:-10])  # the last line half written, as a kill could leave it
    done = sqa("score", many, *MODEL, "--csv", broken, "--resume")
    assert done.returncode == 0, done.stderr
    assert f"40 rows, {kept} of them from before" in done.stderr
    a, b = (pd.read_csv(path).sort_values("file", ignore_index=True) for path in (whole, broken))
    pd.testing.assert_frame_equal(a, b, atol=1e-5)


def test_rows_with_an_error_are_tried_again(many, tmp_path):
    (many / "03.wav").rename(tmp_path / "03.kept")
    (many / "03.wav").write_bytes(b"")
    out = tmp_path / "o.csv"
    assert sqa("score", many, *MODEL, "--csv", out).returncode == 1
    (tmp_path / "03.kept").rename(many / "03.wav")
    done = sqa("score", many, *MODEL, "--csv", out, "--resume")
    assert done.returncode == 0, done.stderr
    assert pd.read_csv(out)["error"].isna().all()
    for more, word in ((("--report",), "other options"), (("--windows",), "other options")):
        again = sqa("score", many, *MODEL, "--csv", out, "--resume", *more)
        assert again.returncode == 2
        assert word in again.stderr
    again = sqa("score", many, "--model", "prompts-pesq", "--csv", out, "--resume")
    assert "made with model polyglot-pesq" in again.stderr
    audio.write_wav(many / "00.wav", np.random.default_rng(9).normal(0, 0.2, 8000), 16_000)
    again = sqa("score", many, *MODEL, "--csv", out, "--resume")
    assert again.returncode == 2
    assert "other options or the file has changed" in again.stderr
    assert len(pd.read_csv(out)) == 40


def test_options_that_change_only_some_files_are_not_mixed(many, tmp_path):
    """The first file is mono and has no other channel; a later one is not. A file that was named twice is no change."""
    both = np.random.default_rng(1).normal(0, 0.1, (2, 16_000)).astype(np.float32)
    for name in ("05.wav", "06.wav"):
        audio.write_wav(many / name, both, 16_000)
    out = tmp_path / "o.csv"
    assert sqa("score", many, *MODEL, "--csv", out, "--channel", "0").returncode == 0
    first = "".join(out.read_text().splitlines(keepends=True)[:20])
    out.write_text(first)
    again = sqa("score", many, *MODEL, "--csv", out, "--resume")
    assert again.returncode == 2
    assert "other options" in again.stderr
    assert out.read_text() == first
    assert sqa("score", many, *MODEL, "--csv", out, "--resume", "--channel", "0").returncode == 0
    assert len(pd.read_csv(out)) == 40
    twice = tmp_path / "twice.csv"
    assert sqa("score", many / "00.wav", many / "00.wav", *MODEL, "--csv", twice).returncode == 0
    assert sqa("score", many / "00.wav", many / "00.wav", *MODEL, "--csv", twice, "--resume").returncode == 0


def test_a_file_that_was_replaced_after_the_table_is_looked_at_again(many, tmp_path):
    """It is none of those that are looked at whatever happens."""
    out = tmp_path / "r.csv"
    assert sqa("score", many, *MODEL, "--csv", out).returncode == 0
    assert sqa("score", many, *MODEL, "--csv", out, "--resume").returncode == 0, "the control: nothing was replaced"
    audio.write_wav(many / "03.wav", np.random.default_rng(99).normal(0, 0.3, 9000), 16_000)
    again = sqa("score", many, *MODEL, "--csv", out, "--resume")
    assert again.returncode == 2
    assert "03.wav has other scores now" in again.stderr


def test_a_name_that_is_too_long_is_a_row_with_an_error(many, tmp_path):
    out = tmp_path / "o.csv"
    done = sqa("score", many / ("a" * 300 + ".wav"), many / "00.wav", *MODEL, "--csv", out)
    assert done.returncode == 1
    assert pd.read_csv(out)["error"].notna().tolist() == [True, False]


def test_a_table_of_windows_is_gone_on_with_as_it_was_made(many, tmp_path):
    """Another hop changes the second window and not the first; a number that was changed by hand is no crash."""
    long = np.random.default_rng(5).normal(0, 0.1, 6 * 16_000).astype(np.float32)
    for name in ("00.wav", "01.wav"):
        audio.write_wav(many / name, long, 16_000)
    out, windows = tmp_path / "w.csv", ("--windows", "--window-s", "2")
    assert sqa("score", many, *MODEL, "--csv", out, *windows, "--hop-s", "1").returncode == 0
    first = out.read_text()
    again = sqa("score", many, *MODEL, "--csv", out, "--resume", *windows, "--hop-s", "2")
    assert again.returncode == 2
    assert "other options or the file has changed" in again.stderr
    assert out.read_text() == first
    lines = first.splitlines(keepends=True)
    lines[1] = lines[1].replace(lines[1].split(",")[1], "four", 1)
    out.write_text("".join(lines))
    again = sqa("score", many, *MODEL, "--csv", out, "--resume", *windows, "--hop-s", "1")
    assert again.returncode == 2
    assert "Traceback" not in again.stderr


def test_a_recording_is_never_overwritten_by_a_table(many):
    """`sqa score --csv *.wav` makes the first recording the table."""
    before = (many / "00.wav").read_bytes()
    done = sqa("score", "--csv", many / "00.wav", many / "01.wav", *MODEL)
    assert done.returncode == 2
    assert "is no table of scores" in done.stderr
    assert (many / "00.wav").read_bytes() == before


def test_a_table_into_a_pipe(many):
    done = sqa("score", many / "00.wav", *MODEL, "--csv", "/dev/stdout", cwd=ROOT)
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[0].startswith("file,mos")


def test_a_table_is_replaced_by_the_first_row_and_not_before(many, tmp_path):
    out = tmp_path / "o.csv"
    out.write_text("file,mos\nprecious.wav,3\n")
    assert sqa("score", many, "--model", "nisqa-9", "--csv", out).returncode == 2
    assert "precious" in out.read_text()
    assert sqa("score", many, *MODEL, "--csv", out).returncode == 0
    assert len(pd.read_csv(out)) == 40
    assert [p.name for p in tmp_path.iterdir() if p.name.startswith("part-")] == []
    assert sqa("score", many, *MODEL, "--resume").returncode == 2


def test_what_takes_long_is_not_started_unasked(tmp_path, own, monkeypatch):
    from sqa_core.cli import score
    from sqa_core.errors import SettingsError

    path = tmp_path / "a.wav"
    audio.write_wav(path, np.random.default_rng(0).normal(0, 0.1, (1, 8000)).astype(np.float32), 16_000)
    monkeypatch.setattr(score, "ASKED_S", 0.0)
    arguments = {"file": path, "method": "occlusion", "out": tmp_path / "out", "model": own.name, "output": "mos", "fill": "floor"}
    arguments |= {"baseline": "floor", "start": 0.0, "seconds": None}
    with pytest.raises(SettingsError, match="occlusion of this sound takes about 1 min here; add --yes"):
        score.explain(**arguments, yes=False)
    assert not (tmp_path / "out").exists()
    score.explain(**arguments, yes=True)
    assert (tmp_path / "out" / "a-occlusion.npz").is_file()


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["run", "labels", "--store", ""], "names no place"),
        (["run", "labels", "--store", "~nouser/x"], "no such user"),
        (["run", "labels", "--store", "/dev/null"], "not a folder"),
        (["run", "speech_models", "-p", "heads="], "takes NAME=VALUE"),
    ],
)
def test_what_cannot_be_a_parameter_is_refused_before_work(arguments, said):
    result = sqa(*arguments)
    assert result.returncode == 2
    assert said in result.stderr
    assert len(result.stderr.splitlines()) == 1
