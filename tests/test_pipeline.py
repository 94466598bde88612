"""The pipeline, and the traps that books of this kind fall into: none passes silently here."""

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time

import nbformat
import pytest
import typer
import yaml

from sqa_core.errors import BuildError, CorpusError, SettingsError
from sqa_core.pipeline import build, chapters, execute, pairs, staleness
from sqa_core.results import code
from sqa_core.studies.speech_models import plan as speech_models
from tests.conftest import ROOT

TOC = "format: jb-book\nroot: book/index\nchapters:\n  - file: notebooks/score\n"
PAGE = """# %% tags=["parameters", "remove-cell"]
profile = "demo"
engine = "local"
store = ""
recording = ""

# %% [markdown]
# # A page

# %%
from sqa_core import metrics

print("value", metrics.VALUE)
"""


@pytest.fixture
def small(checkout):
    """A book of one short chapter, in the place of `score`."""
    (checkout / "_toc.yml").write_text(TOC)
    (checkout / "book" / "index.md").write_text("# A book\n")
    (checkout / "book" / "references.bib").write_text("@book{x, title = {X}, author = {Y, Z}, year = {2020}}\n")
    for path in (checkout / "notebooks").iterdir():
        path.unlink()
    write_page(checkout, PAGE)
    with (checkout / "sqa_core" / "metrics" / "__init__.py").open("a") as f:
        f.write("\nVALUE = 1\n")
    return checkout


def write_page(checkout, text):
    script = checkout / "notebooks" / "score.py"
    script.write_text(text)
    script.with_suffix(".ipynb").write_text(pairs.paired(script))


def run(**parameters):
    (outcome,) = execute.run(["score"], {"profile": "demo", "engine": "local"} | parameters)
    return outcome


def test_trap_1_an_old_value_after_a_change_of_the_library(small):
    assert run().state == "executed"
    assert run().state == "fresh"
    path = small / "sqa_core" / "metrics" / "__init__.py"
    path.write_text(path.read_text().replace("VALUE = 1", "VALUE = 2"))
    with pytest.raises(BuildError, match=r"(?s)stale.*score: library \(to update it: sqa run score\)"):
        build.build()
    assert run().state == "executed"
    html = build.build().index.parent / "notebooks" / "score.html"
    assert "value 2" in html.read_text()


def test_trap_1_a_record_of_older_code_is_not_read_again(small):
    """A page's numbers come from trials: after a change of the library they are made anew."""
    from sqa_core.studies.shared import ChapterSettings

    def place():
        code.library_version.cache_clear()
        return ChapterSettings().store_of(speech_models._demo_trials())

    before = place()
    for file, change, moved in (
        ("degrade/basic.py", "\n# a comment\n", False),
        ("studies/score/tables.py", "\nX = 1\n", False),  # which these trials do not reach
        ("learning/loop.py", "\nX = 1\n", True),
    ):
        path = small / "sqa_core" / file
        path.write_text(path.read_text() + change)
        assert (place() != before) is moved, file
    code.library_version.cache_clear()
    assert ChapterSettings(store="book/results").store_of([]) == "book/results"


@pytest.mark.parametrize("what", ["notebook", "lock", "records", "library in a function"])
def test_whatever_changes_a_page_makes_it_stale(small, what):
    run()
    if what == "notebook":
        write_page(small, PAGE + "\n# %%\n1 + 1\n")
    elif what == "lock":
        (small / "requirements.lock").write_text("numpy==1.0\n")
    elif what == "records":
        (small / "book" / "results" / "score").mkdir(parents=True, exist_ok=True)
        (small / "book" / "results" / "score" / "x.json").write_text("{}")
    else:
        path = small / "sqa_core" / "errors.py"  # metrics imports it
        path.write_text(path.read_text() + "\n# changed\n")
    expected = "library" if what.startswith("library") else what
    assert staleness.stale("score", execute.executed("score")) == [expected]
    assert build.build(allow_stale=True).index.is_file()


def test_a_damaged_copy_is_executed_anew(small):
    run()
    copy = execute.executed("score")
    for damaged in (copy.read_bytes()[:100], b"\xff\xfe", b"[]", b"3"):
        copy.write_bytes(damaged)
        assert staleness.stale("score", copy) == ["damaged copy"]
        with pytest.raises(BuildError, match="score: damaged copy"):
            build.build(allow_stale=True)
    run()
    assert staleness.stale("score", copy) == []


def test_what_a_bar_says_reaches_whoever_waits(small):
    bar = "\nimport sys\n\nprint('\\r  5%|# | 1/20 [00:01<00:20]', file=sys.stderr)\n"
    write_page(small, PAGE + bar)
    heard = []
    execute.run(["score"], {"profile": "demo", "engine": "local"}, on_progress=lambda *told: heard.append(told))
    assert heard == [("score", "5%|# | 1/20 [00:01<00:20]")]


def test_a_mistake_does_not_wait_for_another_run(small):
    from concurrent.futures import ThreadPoolExecutor

    with ThreadPoolExecutor(1) as other, chapters.one_at_a_time():
        refused = other.submit(execute.run, ["nothing"], {"profile": "demo"})
        assert isinstance(refused.exception(timeout=30), SettingsError)


def test_a_new_encoder_or_corpus_makes_a_full_run_stale(monkeypatch):
    """What is found decides what is run: without this, the command that gets a model would be followed by "fresh"."""
    planned = speech_models._demo_trials()
    monkeypatch.setattr(speech_models, "trials", lambda settings: planned)
    before = [staleness.fingerprint("speech_models", {"profile": profile})["data"] for profile in ("paper", "demo")]
    planned.pop()
    after = [staleness.fingerprint("speech_models", {"profile": profile})["data"] for profile in ("paper", "demo")]
    assert [a != b for a, b in zip(before, after, strict=True)] == [True, False]


def test_a_module_that_the_page_does_not_reach_changes_nothing(small):
    run()
    path = small / "sqa_core" / "prosody.py"
    path.write_text("# a new module\n")
    assert staleness.stale("score", execute.executed("score")) == []


def test_the_modules_that_a_page_reaches():
    text = "from sqa_core.studies.nisqa_explained import plan\n"
    reached = {str(p.relative_to(ROOT)) for p in code.reached_files(staleness.imported_modules(text), ROOT)}
    wanted = ("explain/occlusion.py", "degrade/basic.py", "corpora/espeak.py", "models/nisqa.py", "metrics/__init__.py")
    assert {f"sqa_core/{name}" for name in wanted} <= reached
    assert not any(name.startswith("sqa_core/cli") for name in reached)
    assert "sqa_core/corpora/polyglot_sentences.csv" in reached


def test_trap_2_no_script_is_executed_by_accident(small):
    run()
    (small / "book" / "helper.py").write_text("raise SystemExit('executed')\n")
    (small / "notebooks" / "other.py").write_text("raise SystemExit('executed')\n")
    assert build.build().index.is_file()
    config = yaml.safe_load((ROOT / "_config.yml").read_text())
    assert config["execute"]["execute_notebooks"] == "off"
    assert config["only_build_toc_files"] is True


def test_trap_3_and_8_colab_buttons_name_notebooks_that_are_committed():
    config = yaml.safe_load((ROOT / "_config.yml").read_text())
    tracked = subprocess.run(["git", "ls-files", "notebooks"], cwd=ROOT, capture_output=True, text=True).stdout.split()
    for slug in build.in_toc(ROOT):
        assert f"notebooks/{slug}.ipynb" in tracked
    assert config["launch_buttons"]["colab_url"]
    assert config["repository"]["path_to_book"] == ""


def test_trap_4_a_warning_fails_the_second_build_too(small):
    run()
    (small / "book" / "index.md").write_text("# A book\n\n[nowhere](no/such/page.md)\n")
    for _ in range(2):
        with pytest.raises(BuildError, match="no/such/page"):
            build.build()


def test_trap_5_a_traceback_is_not_published(small):
    run()
    path = execute.executed("score")
    notebook = nbformat.read(path, as_version=4)
    notebook.cells[-1].outputs = [nbformat.v4.new_output("error", ename="ValueError", evalue="x", traceback=["x"])]
    nbformat.write(notebook, path)
    with pytest.raises(BuildError, match=r"cell 4: holds a traceback \(ValueError\)"):
        build.build()


def test_trap_6_an_unknown_parameter_is_refused_before_a_kernel_starts(small):
    with pytest.raises(SettingsError, match="no parameter 'profle'"):
        run(profle="demo")
    with pytest.raises(SettingsError, match="profile cannot be 'dmeo'"):
        run(profile="dmeo")
    with pytest.raises(SettingsError, match="no chapter 'scores'"):
        execute.run(["scores"], {})
    write_page(small, PAGE.replace('recording = ""\n', ""))
    with pytest.raises(BuildError, match="has no parameter 'recording'"):
        run(recording="x.wav")
    assert not execute.executed("score").exists()


def test_a_missing_corpus_is_one_sentence(small, monkeypatch, tmp_path):
    monkeypatch.setenv("SQA_DATA", "")
    monkeypatch.setenv("SQA_CACHE", str(tmp_path / "cache"))
    with pytest.raises(CorpusError, match="sqa data fetch p835"):
        run(profile="paper")


def test_trap_7_two_runs_and_two_builds_are_the_same_bytes(small):
    def everything():
        run_again = execute.run(["score"], {"profile": "demo", "engine": "local"}, force=True)
        assert run_again[0].state == "executed"
        shutil.rmtree(small / "_build" / "html", ignore_errors=True)
        index = build.build().index
        files = {p.relative_to(index.parent): p.read_bytes() for p in sorted(index.parent.rglob("*")) if p.is_file()}
        return execute.executed("score").read_bytes(), files

    first, second = everything(), everything()
    assert first[0] == second[0]
    assert first[1].keys() == second[1].keys()
    assert [str(n) for n in first[1] if first[1][n] != second[1][n]] == []


def test_executed_notebooks_carry_no_times_ids_or_folders(small):
    run()
    text = execute.executed("score").read_text()
    assert str(small) not in text
    assert not re.search(r"20\d\d-\d\d-\d\dT", text)
    assert [c["id"] for c in json.loads(text)["cells"]] == [f"cell-{i}" for i in range(len(json.loads(text)["cells"]))]


def test_trap_9_a_build_without_a_book_does_not_pass(small, monkeypatch):
    run()
    import jupyter_book

    monkeypatch.setattr(jupyter_book, "__version__", "2.1.7")
    with pytest.raises(BuildError, match=re.escape("needs 1.0.4.post1")):
        build.build()
    monkeypatch.undo()
    done = subprocess.CompletedProcess([], 0, "No site configuration found", "")
    monkeypatch.setattr(subprocess, "run", lambda *args, **kwargs: done)
    with pytest.raises(BuildError, match="without a book"):
        build.run_jupyter_book(small, small / "_build" / "book")


FAILING = PAGE + '\n# %%\nopen("marker", "w").close()\nraise ValueError("it broke here")\n\n# %%\nprint("never")\n'


def test_a_notebook_that_fails_in_the_middle(small):
    run()
    before = execute.executed("score").read_bytes()
    write_page(small, FAILING)
    outcome = run()
    assert outcome.state == "failed"
    assert outcome.problem == "notebooks/score.ipynb, cell 5: ValueError: it broke here"
    assert execute.executed("score").read_bytes() == before
    assert [p.name for p in execute.folder().iterdir() if p.name.startswith("part-")] == []


def test_the_others_go_on_and_the_outcome_tells(small):
    shutil.copy(ROOT / "notebooks" / "labels.ipynb", small / "notebooks")
    write_page(small, FAILING)
    script = small / "notebooks" / "labels.py"
    script.write_text(PAGE.replace('recording = ""\n', ""))
    script.with_suffix(".ipynb").write_text(pairs.paired(script))
    outcomes = execute.run(["score", "labels"], {"profile": "demo", "engine": "local"})
    assert [o.state for o in outcomes] == ["failed", "executed"]


def test_a_second_page_waits_for_its_first(small):
    write_page(small, FAILING)
    second = small / "notebooks" / "score_details.py"
    second.write_text(PAGE)
    second.with_suffix(".ipynb").write_text(pairs.paired(second))
    outcomes = execute.run(["score"], {"profile": "demo", "engine": "local"})
    assert [o.state for o in outcomes] == ["failed", "failed"]
    assert outcomes[1].problem == "not executed, since score failed"
    assert not execute.executed("score_details").exists()


def test_a_cell_that_takes_too_long(small):
    write_page(small, PAGE + "\n# %%\nimport time\n\ntime.sleep(60)\n")
    (outcome,) = execute.run(["score"], {"profile": "demo", "engine": "local"}, timeout_s=3)
    assert outcome.state == "failed"
    assert "took more than 3 s" in outcome.problem
    assert "cell 5" in outcome.problem


def test_a_kernel_that_dies(small):
    write_page(small, PAGE + "\n# %%\nimport os\n\nos._exit(1)\n")
    outcome = run()
    assert outcome.state == "failed"
    assert "notebooks/score.ipynb, cell 5" in outcome.problem


def test_cells_are_reported(small):
    seen = []
    execute.run(["score"], {"profile": "demo", "engine": "local"}, on_cell=lambda slug, cell, count: seen.append((slug, cell, count)))
    assert seen[-1] == ("score", 4, 4)


def test_a_book_is_built_again_only_after_a_change(small):
    lock = (small / "requirements.lock").read_text()
    run()
    first = build.build()
    again = build.build()
    assert (first.fresh, again.fresh) == (False, True)
    (small / "book" / "index.md").write_text("# Another book\n")
    changed = build.build()
    assert not changed.fresh
    assert "Another book" in (changed.index.parent / "book" / "index.html").read_text()
    changed.index.unlink()
    assert not build.build().fresh
    (small / "requirements.lock").write_text("numpy==1.0\n")
    assert not build.build(allow_stale=True).fresh
    (small / "requirements.lock").write_text(lock)
    assert not build.build().fresh, "what was built from stale pages is not taken for up to date"


def test_a_build_killed_in_the_middle_leaves_the_last_book(small):
    run()
    index = build.build().index
    before = index.read_bytes()
    (small / "_build" / "html.sha256").unlink()  # as where something has changed
    script = f"""
from pathlib import Path
from sqa_core import environment
environment.project_root = lambda: Path({str(small)!r})
from sqa_core.pipeline import build
print("start", flush=True)
build.build()
"""
    command = [sys.executable, "-c", script]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=ROOT, start_new_session=True) as process:
        assert process.stdout.readline().strip() == "start"
        while not (small / "_build" / "book").exists():  # Jupyter Book is at work
            assert process.poll() is None
            time.sleep(0.02)
        os.killpg(process.pid, signal.SIGKILL)
    assert index.read_bytes() == before
    assert build.build().index.read_bytes() == before


def test_a_build_killed_between_its_two_renames_is_mended(tmp_path):
    (tmp_path / "html-old").mkdir()
    (tmp_path / "html-old" / "index.html").write_text("last")
    (tmp_path / "new").mkdir()
    (tmp_path / "new" / "index.html").write_text("new")
    build.swap_in(tmp_path / "new", tmp_path / "html")
    assert (tmp_path / "html" / "index.html").read_text() == "new"
    assert [p.name for p in tmp_path.iterdir()] == ["html"]


def test_pairs_are_made_the_same_each_time(small):
    script = small / "notebooks" / "score.py"
    assert pairs.paired(script) == pairs.paired(script)
    assert nbformat.reads(pairs.paired(script), as_version=4).cells[-1].source.endswith('print("value", metrics.VALUE)')


def test_the_exit_ramp_plain_sphinx_reads_the_same_book(small, tmp_path_factory):
    """Away from Jupyter Book: its configuration as conf.py, its own extensions taken out, the same `_toc.yml`."""
    run()
    stage = build.stage_tree(small, ["score"], tmp_path_factory.mktemp("ramp") / "stage")
    command = [sys.executable, "-c", "from jupyter_book.cli.main import main; main()", "config", "sphinx", str(stage)]
    subprocess.run(command, check=True, capture_output=True)
    conf = (stage / "conf.py").read_text()
    for extension in ("jupyter_book", "sphinx_jupyterbook_latex", "sphinx_thebe"):
        conf = conf.replace(f"'{extension}', ", "").replace(f", '{extension}'", "")
    (stage / "conf.py").write_text(re.sub(r"^use_jupyterbook_latex.*$", "", conf, flags=re.M))
    out = stage.parent / "html"
    done = subprocess.run([sys.executable, "-m", "sphinx", "-q", "-b", "html", str(stage), str(out)], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert "value 1" in (out / "notebooks" / "score.html").read_text()


def test_every_chapter_has_its_parts():
    for slug in chapters.CHAPTERS:
        study = chapters.plan(slug)
        assert slug == study.SLUG
        assert (ROOT / "notebooks" / f"{slug}.py").is_file()
        assert {"demo", "paper"} <= study.CORPORA.keys()
        import papermill

        assert set(papermill.inspect_notebook(str(ROOT / "notebooks" / f"{slug}.ipynb"))) == set(study.Settings.model_fields)


def test_sounds_and_data_leave_the_page(tmp_path):
    import base64

    def inside(name, data):
        return f'<a download="{name}" href="data:text/csv;base64,{base64.b64encode(data).decode()}">x</a>'

    page = tmp_path / "chapter.html"
    sound = base64.b64encode(b"RIFF").decode()
    page.write_text(
        inside("one.csv", b"a,b")
        + f'<audio controls src="data:audio/wav;base64,{sound}"></audio><img src="data:image/png;base64,AAAA">'
        + '<script type="application/json">{"images":{"first":"data:image/png;base64,AAAA","second":"data:image/png;base64,BBBB"}}</script>'
    )
    build.lighten(page)
    text = page.read_text()
    assert 'href="chapter_files/one.csv"' in text
    assert (tmp_path / "chapter_files" / "one.csv").read_bytes() == b"a,b"
    (wav,) = (tmp_path / "chapter_files").glob("*.wav")
    assert f'src="chapter_files/{wav.name}"' in text
    assert wav.read_bytes() == b"RIFF"
    assert "data:" not in text
    pictures = {p.name: p.read_bytes() for p in (tmp_path / "chapter_files").glob("*.png")}
    assert sorted(pictures.values()) == [base64.b64decode("AAAA"), base64.b64decode("BBBB")]
    assert all(text.count(f'"chapter_files/{name}"') == (2 if data == base64.b64decode("AAAA") else 1) for name, data in pictures.items())
    page.write_text(inside("one.csv", b"a,b") + inside("one.csv", b"c,d"))
    with pytest.raises(BuildError, match="two figures or tables are named one"):
        build.lighten(page)


BARS = [
    "\r 50%|█████     | 1/2 [00:01<00:01]",
    " 12 %|## | 1/8 trials, about 3 min left\n",
    "Working ━━━━╺━━ 40% 0:00:03\n",
    "3it/s\n",
]


@pytest.mark.parametrize("bar", BARS)
def test_no_bar_reaches_a_page(bar, tmp_path):
    stream = nbformat.v4.new_output("stream", name="stdout", text=f"found 3 files\n{bar}")
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell("1", outputs=[stream])])
    nbformat.write(notebook, tmp_path / "x.ipynb")
    with pytest.raises(BuildError, match="cell 1: holds a progress bar"):
        build.refuse_errors(tmp_path / "x.ipynb")
    clean = execute.normalised(notebook)
    assert clean.cells[0].outputs[0].text == "found 3 files\n"
    nbformat.write(clean, tmp_path / "x.ipynb")
    build.refuse_errors(tmp_path / "x.ipynb")


def test_the_kernel_is_this_interpreter_and_litter_of_killed_runs_is_swept(small, tmp_path, monkeypatch):
    """Another kernel of the same name would compute the page with another library."""
    other = tmp_path / "jupyter" / "kernels" / "python3"
    other.mkdir(parents=True)
    (other / "kernel.json").write_text(json.dumps({"argv": ["/bin/false"], "display_name": "other", "language": "python"}))
    monkeypatch.setenv("JUPYTER_PATH", str(tmp_path / "jupyter"))
    execute.folder().mkdir(parents=True, exist_ok=True)
    litter = execute.folder() / "part-1-score.ipynb"
    litter.write_text("{")
    write_page(small, PAGE + "\nimport sys\n\nprint('interpreter', sys.executable)\n")
    (outcome,) = execute.run(["score"], {"profile": "demo", "engine": "local"})
    assert outcome.state == "executed", outcome.problem
    assert not litter.exists()
    assert "interpreter" in execute.executed("score").read_text()


def test_paths_are_looked_for_where_the_user_stands(tmp_path, monkeypatch):
    from sqa_core.cli import book

    monkeypatch.chdir(tmp_path)
    given = {}
    monkeypatch.setattr(book, "_execute", lambda slugs, parameters, *more: given.update(parameters) or [])
    with pytest.raises(typer.Exit):
        book.run(["score"], store="records", param=["recording=x.wav", "seeds=0"])
    assert given["recording"] == str(tmp_path / "x.wav")
    assert given["store"] == str(tmp_path / "records")
    assert given["seeds"] == "0"
    assert book._from_here("s3://bucket/x") == "s3://bucket/x"


def test_what_only_looks_like_a_bar_stays(tmp_path):
    text = "see 3/4 [note]\n┏━━━━┳━━━━┓\n\x1b[33mWarning: 5 % of files\x1b[0m\n100%|██████| 2/2 [00:01<00:00]\rfound 3 files\n"
    stream = nbformat.v4.new_output("stream", name="stdout", text=text)
    widget = nbformat.v4.new_output("display_data", {"text/plain": "  0%|          | 0/5 [00:00<?, ?it/s]"})
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell("1", outputs=[stream, widget])])
    nbformat.write(notebook, tmp_path / "x.ipynb")
    with pytest.raises(BuildError, match="holds a progress bar"):
        build.refuse_errors(tmp_path / "x.ipynb")
    (left,) = execute.normalised(notebook).cells[0].outputs
    assert left.text == "see 3/4 [note]\n┏━━━━┳━━━━┓\nWarning: 5 % of files\nfound 3 files\n"
