"""The examples in docstrings give the values that they show."""

import doctest
import importlib
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
