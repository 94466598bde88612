"""Fixtures. Shapes in signatures are checked in every test. What needs real recordings or weights skips, and says so, without them."""

import os
import shutil
from pathlib import Path

if "PYTEST_XDIST_WORKER" in os.environ:  # several workers with all threads each would wait for one another
    os.environ.setdefault("OMP_NUM_THREADS", "1")

import jaxtyping

import tests.typecheck  # noqa: F401 (the hook below looks it up by name)

CHECKED = [
    "audio",
    "levels",
    "spectrogram",
    "prosody",
    "degrade",
    "losses",
    "metrics",
    "corpora.cards",
    "corpora.jnd_pairs",
    "models.nisqa",
    "models.heads",
    "models.humpcat",
    "models.encoders",
    "models.spectrogram_transformer",
    "learning",
    "scoring",
    "explain",
]
jaxtyping.install_import_hook([f"sqa_core.{m}" for m in CHECKED], "tests.typecheck.checked")

import hypothesis  # noqa: E402
import numpy as np  # noqa: E402
import pytest  # noqa: E402

from sqa_core import audio, environment  # noqa: E402

# The same examples each time; no deadline, since the first call of a library is slow.
hypothesis.settings.register_profile("sqa", deadline=None, database=None, derandomize=True, max_examples=40)
hypothesis.settings.load_profile("sqa")

GOLDEN = Path(__file__).parent / "golden"
ROOT = Path(__file__).parent.parent


def stored(record, folder, items=None, arrays=None):
    """A record written to a folder and read back, with its table and arrays."""
    from sqa_core.results import records

    records.write(record, folder, items, arrays)
    return records.read(folder, record.key)


@pytest.fixture(scope="session")
def p835():
    """The P.835 manifest."""
    from sqa_core.corpora import registry

    if registry.find("p835") is None:
        pytest.skip("the P.835 recordings are not here (SQA_DATA)")
    return registry.load("p835")


@pytest.fixture(scope="session")
def official():
    """Loads an official NISQA network by name."""
    from sqa_core.models import weights

    if "nisqa" not in weights.found_networks():
        pytest.skip("NISQA's weights are not here (SQA_WEIGHTS)")
    return weights.load


@pytest.fixture(scope="session")
def own():
    """Our own small network, which is in the repository."""
    from sqa_core.models import weights

    return weights.load(weights.OWN)


@pytest.fixture
def tone() -> audio.Sound:
    """A second of speech-like sound: a modulated tone in faint noise, 16 kHz."""
    rng = np.random.default_rng(0)
    t = np.arange(16_000) / 16_000
    x = 0.3 * np.sin(2 * np.pi * 220 * t) * (0.5 + 0.5 * np.sin(2 * np.pi * 3 * t)) + 0.001 * rng.standard_normal(len(t))
    return audio.Sound(x.astype(np.float32)[None], 16_000)


@pytest.fixture
def checkout(tmp_path, monkeypatch) -> Path:
    """A small copy of the project that tests may break: text, notebooks, library; the real one stays untouched."""
    for name in ["_config.yml", "_toc.yml", "requirements.lock", "README.md"]:
        shutil.copy2(ROOT / name, tmp_path / name)
    for name in ["book", "notebooks", "networks", "sqa_core"]:
        shutil.copytree(ROOT / name, tmp_path / name, ignore=shutil.ignore_patterns("__pycache__"))
    monkeypatch.setattr(environment, "project_root", lambda: tmp_path)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    return tmp_path
