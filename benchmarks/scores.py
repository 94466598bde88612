"""Scoring: against the machine's limit, the original implementation and torchmetrics; memory on a long file."""

import json
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import soundfile
import torch

from sqa_core import environment, scoring
from sqa_core.corpora import registry
from sqa_core.models import weights

from .common import HERE, WORK, Report, peak, peak_memory

# From shapes: multiply-adds of one segment, counted twice, and segments per second of sound.
MFLOP = {"nisqa": (10.52, 25), "nisqa-mos": (10.45, 25), "nisqa-tts": (9.09, 100)}
# Of a matrix product's speed. Profiled on an AMD EPYC with 2 cores, where the product reaches 175 GFLOP/s: the six convolutions by
# themselves, in oneDNN with channels last, reach 0.70 of it (0.22 in the first, which has one input channel, 0.6 to 1.1 in the others); the
# whole CNN with its pools 0.63; the rest of 0.47 is decoding and mel spectrograms, which share the cores. 0.4 leaves room for other load.
SHARE_OF_PEAK = 0.4


def wav_folder(repeat: int) -> tuple[Path, float]:
    """The 78 full-band files as WAV, the only format that the original reads, repeated by links; and their seconds."""
    corpus = registry.load("p835").where(set="fullband")
    folder = WORK / f"wav-{repeat}"
    folder.mkdir(parents=True, exist_ok=True)
    for path in corpus.paths():
        first = folder / f"{path.stem}-0.wav"
        if not first.exists():
            samples, rate = soundfile.read(path, dtype="int16")
            soundfile.write(first, samples, rate)
        for i in range(1, repeat):
            link = folder / f"{path.stem}-{i}.wav"
            if not link.exists():
                os.link(first, link)
    return folder, float(corpus.table["seconds"].sum()) * repeat


def peers() -> Path:
    """The Python of the peers' environment: this one's torch, and the peers with --no-deps on top."""
    python = WORK / "peers" / "bin" / "python"
    if not (WORK / "peers" / ".ready").exists():
        subprocess.run([sys.executable, "-m", "venv", str(WORK / "peers")], check=True)
        site = next((WORK / "peers" / "lib").glob("python*")) / "site-packages"
        (site / "ours.pth").write_text(str(Path(torch.__file__).parents[1].resolve()))
        pip = [str(python), "-m", "pip", "install", "-q"]
        subprocess.run([*pip, "librosa", "seaborn", "lightning-utilities"], check=True)
        subprocess.run([*pip, "--no-deps", "nisqa==2.0.post2", "torchmetrics==1.9.0"], check=True)
        (WORK / "peers" / ".ready").touch()
    return python


def run_peer(*command: str) -> tuple[dict, float]:
    """A peer's printed result, and the seconds of its whole process."""
    start = time.perf_counter()
    as_it_comes = {name: value for name, value in os.environ.items() if name != environment.LARGE_PAGES}
    done = subprocess.run(command, capture_output=True, text=True, check=True, env=as_it_comes)
    return json.loads(done.stdout.splitlines()[-1]), time.perf_counter() - start


def bench_score(report: Report, repeat: int) -> None:
    folder, seconds = wav_folder(repeat)
    files = [str(p) for p in sorted(folder.glob("*.wav"))]
    limit, ours = peak(), {}
    for name, (mflop, per_second) in MFLOP.items():
        network = weights.load(name)
        scoring.score(files[:8], network)
        start = time.perf_counter()
        table = scoring.score(files, network)
        ours[name] = time.perf_counter() - start
        assert np.isfinite(table["mos"]).all()
        report.say(f"{name}: {seconds:.0f} s of sound in {ours[name]:.2f} s in process, {seconds / ours[name]:.0f} times real time")
        report.check(f"{name}, share of the matrix product's speed", mflop * 1e6 * per_second * seconds / ours[name] / limit, SHARE_OF_PEAK)
    start = time.perf_counter()
    sqa = [str(Path(sys.executable).with_name("sqa")), "score", str(folder), "--model", "nisqa", "--csv", str(WORK / "out.csv")]
    subprocess.run(sqa, check=True, capture_output=True, env={**os.environ, "OMP_NUM_THREADS": "2"})
    whole = time.perf_counter() - start
    python = str(peers())
    checkpoint = environment.find("weights", weights.OFFICIAL["nisqa"].file)
    theirs, their_whole = run_peer(python, str(HERE / "peer_nisqa.py"), str(folder), str(checkpoint))
    report.say(f"original: {theirs['seconds']:.1f} s in process, {their_whole:.1f} s whole process; ours: {whole:.1f} s whole process")
    report.check("times faster than the original, in process", theirs["seconds"] / ours["nisqa"], 6)
    report.check("times faster than the original, whole process", their_whole / whole, 4)
    home = Path.home() / ".torchmetrics" / "NISQA"
    home.mkdir(parents=True, exist_ok=True)
    if not (home / "nisqa.tar").exists():
        shutil.copy2(checkpoint, home / "nisqa.tar")
    small, small_seconds = wav_folder(1)
    metric, _ = run_peer(python, str(HERE / "peer_torchmetrics.py"), str(small))
    report.say(f"torchmetrics: {metric['seconds']:.1f} s for {small_seconds:.0f} s of sound")
    report.check("times faster than torchmetrics per second of sound", metric["seconds"] / small_seconds / (ours["nisqa"] / seconds), 6)


def bench_memory(report: Report, repeat: int) -> None:
    """Files of 33 minutes in stereo and of three hours, at 48 kHz, through `sqa score`, with the most memory their process held."""
    for name, minutes, channels, more in (("33 minutes, stereo", 33, 2, []), ("3 hours, with a report", 180, 1, ["--report"])):
        path = WORK / f"long-{minutes}.wav"
        WORK.mkdir(parents=True, exist_ok=True)
        if not path.exists():
            rng = np.random.default_rng(0)
            with soundfile.SoundFile(path, "w", 48_000, channels, "PCM_16", format="RF64") as f:
                for _ in range(minutes):
                    f.write(rng.normal(0, 0.05, (60 * 48_000, channels)))
        start = time.perf_counter()
        command = [
            str(Path(sys.executable).with_name("sqa")),
            "score",
            str(path),
            "--model",
            "nisqa",
            "--csv",
            str(WORK / "long.csv"),
            *more,
        ]
        held = peak_memory(command)
        report.say(f"{name}, 48 kHz: {time.perf_counter() - start:.1f} s")
        report.check(f"GB held by the process that scored {name}, at most", held, at_most=1.0)
        path.unlink()


def bench_small_files(report: Report, repeat: int) -> None:
    """10,000 files of a quarter of a second through `sqa score` into a table on disk, from a folder that is searched."""
    folder = WORK / "small"
    folder.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(0)
    for i in range(10_000):
        path = folder / f"{i:05}.wav"
        if not path.exists():
            soundfile.write(path, rng.normal(0, 0.05, 4000), 16_000, "PCM_16")
    start = time.perf_counter()
    command = [str(Path(sys.executable).with_name("sqa")), "score", str(folder), "--model", "nisqa", "--csv", str(WORK / "small.csv")]
    subprocess.run(command, check=True, capture_output=True)
    report.check("s for 10,000 files of 0.25 s, at most", time.perf_counter() - start, at_most=15)
