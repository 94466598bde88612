"""The examples in docstrings give the values that they show."""

import ast
import doctest
import importlib
import re
from pathlib import Path

import pytest

import sqa_core

ROOT = Path(sqa_core.__file__).parent
NAMES = [
    ".".join(("sqa_core", *path.relative_to(ROOT).with_suffix("").parts))
    for path in sorted(ROOT.rglob("*.py"))
    if ">>>" in path.read_text(encoding="utf-8")
]


@pytest.mark.parametrize("name", NAMES)
def test_examples(name):
    found = doctest.testmod(importlib.import_module(name), optionflags=doctest.NORMALIZE_WHITESPACE | doctest.ELLIPSIS)
    assert found.attempted
    assert not found.failed


def test_there_are_examples_for_what_users_call():
    assert {
        "sqa_core.audio.reading",
        "sqa_core.scoring.rows",
        "sqa_core.levels",
        "sqa_core.metrics.agreement",
        "sqa_core.metrics.intervals",
    } <= set(NAMES)
    assert any(n.startswith("sqa_core.explain.") for n in NAMES)


# What users call: each docstring with sections says there what comes back.
ROOMS = ("audio", "corpora", "degrade", "explain", "learning", "metrics", "models", "results", "scoring")
ROOMS += ("intrusive", "levels", "losses", "prosody", "spectrogram")


@pytest.mark.parametrize("room", ROOMS)
def test_docstrings_say_what_is_returned(room):
    files = [ROOT / f"{room}.py"] if (ROOT / f"{room}.py").is_file() else sorted((ROOT / room).rglob("*.py"))
    functions = [(f.name, n) for f in files for n in ast.walk(ast.parse(f.read_text(encoding="utf-8"))) if isinstance(n, ast.FunctionDef)]
    returning = [(f, n) for f, n in functions if n.returns and ast.unparse(n.returns) != "None" and not n.name.startswith("_")]
    texts = {f"{file}: {n.name}": ast.get_docstring(n) or "" for file, n in returning}
    assert sum("Returns\n---" in text for text in texts.values()) > 1
    assert [name for name, text in texts.items() if "\n---" in text and "Returns\n---" not in text] == []
    sections = {name: re.findall(r"(\w+)\n---", text) for name, text in texts.items()}
    assert [name for name, found in sections.items() if len(found) > len(set(found))] == [], "each section once"
