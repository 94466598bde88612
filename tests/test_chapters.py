"""Every chapter has the same parts, and the page "Adding a chapter" is followed word by word in a copy of the checkout."""

import importlib
import os
import re
import subprocess
import sys

import pytest
import yaml

from sqa_core.pipeline import build, chapters
from sqa_core.results.trials import Trial
from tests.conftest import ROOT

PARTS = ("plan", "tables", "page", "figures")
OF_PAPERS = ("trials", "claims")  # besides, where a chapter reruns a paper
BLOCK = re.compile(r"^```\{code-block\} \w+\n:caption: (?P<path>\S+)\n(?P<text>.*?)^```$", re.MULTILINE | re.DOTALL)


@pytest.mark.parametrize("slug", chapters.CHAPTERS)
def test_a_chapter_has_its_parts(slug):
    of_paper = (ROOT / "book" / "published" / slug).is_dir()
    for part in (*PARTS, *(OF_PAPERS if of_paper else ())):
        module = importlib.import_module(f"sqa_core.studies.{slug}.{part}")
        assert module.__doc__, f"{slug}.{part} says what it holds"
    plan = chapters.plan(slug)
    assert slug == plan.SLUG
    assert set(plan.CORPORA) == {"demo", "paper"}
    assert set(plan.Settings.model_fields) >= {"profile", "engine", "scheduler", "store"}
    assert all(isinstance(t, Trial) for t in plan.trials(plan.Settings()))
    assert (ROOT / "notebooks" / f"{slug}.py").is_file()
    assert slug in build.in_toc(ROOT)
    assert any((ROOT / "book" / "results" / slug).glob("*.jsonl"))


def test_studies_are_the_listed_chapters():
    packages = {p.parent.name for p in (ROOT / "sqa_core" / "studies").glob("*/__init__.py")}
    assert packages == set(chapters.CHAPTERS)


@pytest.mark.slow
def test_the_page_on_adding_a_chapter_works(checkout):
    for block in BLOCK.finditer((ROOT / "book" / "adding_a_chapter.md").read_text()):
        path = checkout / block["path"]
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(block["text"])
    (checkout / "sqa_core" / "studies" / "tiny" / "__init__.py").touch()
    listed = checkout / "sqa_core" / "pipeline" / "chapters.py"
    listed.write_text(listed.read_text().replace('"humpcat")', '"humpcat", "tiny")'))
    # The other chapters are left out of this build, and so is the start page, which links to them.
    toc = yaml.safe_load((checkout / "_toc.yml").read_text())
    toc = {"format": toc["format"], "root": toc["root"], "chapters": [{"file": "notebooks/tiny"}]}
    (checkout / "_toc.yml").write_text(yaml.safe_dump(toc, sort_keys=False))
    (checkout / "book" / "index.md").write_text("# A book\n")
    env = os.environ | {"PYTHONPATH": str(checkout)}

    def command(*words):
        done = subprocess.run([sys.executable, *words], cwd=checkout, env=env, capture_output=True, text=True)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout + done.stderr

    command("-m", "sqa_core.pipeline.pairs")
    assert "tiny: executed" in command("-m", "sqa_core.cli.app", "run", "tiny")
    command("-m", "sqa_core.cli.app", "book")
    html = (checkout / "_build" / "html" / "notebooks" / "tiny.html").read_text()
    assert "The claim: <strong>" in html
    assert "holds" in html
    assert 'id="fig-tiny"' in html
    assert "−21.07" in html, "the level of a sine of amplitude 1/8, in dBov"


def test_a_chapter_that_lacks_everything_says_so(monkeypatch):
    monkeypatch.setattr(chapters.plan("speech_models"), "trials", lambda settings: [])
    assert chapters.would_run("speech_models", "paper").startswith("nothing to run")
