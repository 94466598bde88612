"""Asterisk's core prompts: four real voices in five languages, 16 kHz G.722, from the system's package manager.

CC BY-SA 3.0 (Italian and Russian CC BY 3.0). Fetched with apt where there is one (Debian, Ubuntu, Colab), without root: apt gets a
folder of lists of its own.
"""

import shutil
import subprocess
import tempfile
from pathlib import Path

import numpy as np
import pandas as pd

from .. import audio, levels
from ..errors import CorpusError
from ..files import sha256
from . import manifest as manifests
from .manifest import Manifest

LICENCES = {"en": "CC BY-SA 3.0", "es": "CC BY-SA 3.0", "fr": "CC BY-SA 3.0", "it": "CC BY 3.0", "ru": "CC BY 3.0"}
SILENT_DBOV = -60.0  # prompts of silence are digital or near it; the quietest spoken one is 25 dB above


def fetch(folder: Path, languages: tuple[str, ...] = tuple(LICENCES), on_file=lambda _: None) -> None:
    """Download and unpack the packages of `languages` into `folder`, and write its manifest.

    Raises
    ------
    CorpusError
        This system has no apt, or apt cannot fetch or unpack a package.
    """
    if not (shutil.which("apt-get") and shutil.which("dpkg-deb")):
        raise CorpusError("The asterisk prompts come through apt, which this system has not; use Debian, Ubuntu or Colab.")
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder, prefix=".fetch-") as work:
        lists = Path(work, "lists")
        (lists / "partial").mkdir(parents=True)
        own_lists = ["-o", f"Dir::State::Lists={lists}", "-o", "APT::Sandbox::User=root"]
        _run(["apt-get", "update", "-q", *own_lists], work)
        for language in languages:
            package = f"asterisk-core-sounds-{language}-g722"
            _run(["apt-get", "download", "-q", *own_lists, package], work)
            unpacked = Path(work, language)
            _run(["dpkg-deb", "-x", str(next(Path(work).glob(f"{package}_*.deb"))), str(unpacked)], work)
            shutil.rmtree(folder / language, ignore_errors=True)
            (unpacked / "usr/share/asterisk/sounds").rename(folder / language)
            on_file(package)
    manifests.write(_describe(folder, languages), folder / "manifest.csv")


def _run(command: list[str], cwd: str) -> None:
    done = subprocess.run(command, cwd=cwd, capture_output=True, text=True)
    if done.returncode:
        said = (done.stderr.strip().splitlines() or ["no reason given"])[-1]
        raise CorpusError(f"`{' '.join(command[:2])}` failed: {said}")


def _describe(folder: Path, languages: tuple[str, ...]) -> Manifest:
    rows = []
    for language in languages:
        for path in sorted(p for p in (folder / language).rglob("*.g722") if p.stat().st_size):
            waveform, rate = audio.load(path)
            if levels.level(waveform) > SILENT_DBOV:
                rows.append((path, language, rate, waveform.shape[1] / rate))
    table = pd.DataFrame(
        {
            "file": [p.relative_to(folder).as_posix() for p, *_ in rows],
            "sha256": [sha256(p) for p, *_ in rows],
            "sample_rate": [r for _, _, r, _ in rows],
            "seconds": np.round([s for *_, s in rows], 4),
            # The folder ends in the talker's name; Allison speaks English and Spanish.
            "speaker": [p.relative_to(folder).parts[1].rsplit("_", 1)[-1] for p, *_ in rows],
            "language": [language for _, language, *_ in rows],
            "licence": [LICENCES[language] for _, language, *_ in rows],
        }
    )
    return Manifest("asterisk", table, folder, "real")


def manifest(folder: Path) -> Manifest:
    return manifests.read(folder / "manifest.csv", "asterisk", "real")
