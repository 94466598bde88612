"""Calls and the networks that are trained on them: how fast they are made, labelled, learnt from and scored."""

import json
import shutil
import subprocess
import sys
import time
from functools import partial
from itertools import pairwise
from pathlib import Path

import numpy as np
import torch

from sqa_core import audio, environment, intrusive
from sqa_core.corpora import calls, impairments
from sqa_core.learning import nisqa, quality, quality_material
from sqa_core.learning.loop import MixedPrecision
from sqa_core.models import weights
from sqa_core.models.nisqa import Nisqa, NisqaSettings
from sqa_core.models.quality_transformer import SIZES, QualityTransformer

from .common import HERE, WORK, Report, peak, timed
from .scores import MFLOP, peers, run_peer, wav_folder

COUNT = 192  # calls: twenty minutes of sound
BATCH = 20
AST_GFLOP = 2 * (12 * (12 * 768**2) * 1430 + 12 * 2 * 1430**2 * 768 + 256 * 768 * 1428) / 1e9  # of one sound of 12 s


def bench_calls(report: Report, repeat: int) -> None:
    """Calls of one language, with and without labels, on all cores."""
    cores = environment.cores()
    start = time.perf_counter()
    made = calls.synthetic(COUNT, 1, "en", ("m2", "f4"), made=calls.Made(labelled=False))
    bare = time.perf_counter() - start
    seconds = sum(len(call.waveform) for call in made) / impairments.RATE
    report.say(f"{COUNT} calls, {seconds:.0f} s of sound, without labels: {bare:.1f} s on {cores} cores")
    report.check("calls without labels, times real time", seconds / bare, 30, form=".0f")
    pairs = [(audio.resample(x[None], impairments.RATE, intrusive.RATE)[0] for x in (call.clean, call.waveform)) for call in made[:40]]
    arrays = {f"{name}{i}": x for i, pair in enumerate(pairs) for name, x in zip(("clean", "heard"), pair, strict=True)}
    path = WORK / "labels.npz"
    path.parent.mkdir(parents=True, exist_ok=True)
    np.savez(path, **arrays)
    done = subprocess.run([sys.executable, "-m", "benchmarks.labels_spread", str(path), "12"], check=True, capture_output=True, text=True)
    taken = json.loads(done.stdout.splitlines()[-1])
    report.say(
        f"PESQ of {12 * len(pairs)} calls (forty, each twelve times): {taken['one']:.1f} s in one process, {taken['spread']:.1f} s spread, with "
        "the start of the processes"
    )
    report.check("labels spread, times the bare measure divided by the cores", taken["spread"] / (taken["one"] / cores), at_most=1.2)


def bench_quality(report: Report, repeat: int) -> None:
    """A training step of NISQA against the original's, AST at full size against a plain product, AST on sounds as long as they are against
    sounds that are padded."""
    folder, seconds = wav_folder(1)
    files = sorted(folder.glob("*.wav"))
    mels = [quality_material.mel_of(quality_material.FRONT_ENDS["nisqa"], audio.load(path)) for path in files]
    items = list(zip(mels, torch.rand(len(mels), 5) * 4 + 1, strict=True))
    ours, mixed = _epoch_of_nisqa(items, "no"), _epoch_of_nisqa(items, "bf16")
    checkpoint = environment.find("weights", weights.OFFICIAL["nisqa"].file)
    theirs, _ = run_peer(str(peers()), str(HERE / "peer_nisqa_training.py"), str(folder), str(checkpoint), str(BATCH))
    report.say(
        f"an epoch of NISQA on {len(files)} files ({seconds:.0f} s): {ours:.1f} s here, {mixed:.1f} s in bfloat16, {theirs['seconds']:.1f} s by "
        "the original, which makes its spectrograms in each epoch and computes in float32"
    )
    report.check("training in float32, times faster than the original", theirs["seconds"] / ours, 3)
    report.check("training in bfloat16, times faster than the original", theirs["seconds"] / mixed, 3)
    mflop, per_second = MFLOP["nisqa"]
    share = 3 * mflop * per_second * seconds * 1e6 / ours / peak()  # backward takes twice as much as forward
    report.say(f"  training, share of the matrix product's speed: {share:.2f}")
    ast = QualityTransformer(SIZES["ast"]).eval()
    x, lengths = torch.randn(4, 1200, 128), torch.full((4,), 1200)
    with torch.inference_mode():
        ast(x, lengths)
        _, taken = timed(partial(ast, x, lengths), 3)
    report.check("AST at full size, share of the matrix product's speed", 4 * AST_GFLOP * 1e9 / taken / peak(), 0.75)
    small = QualityTransformer(SIZES["ast-small"]).eval()
    sounds = [quality_material.mel_of(quality_material.FRONT_ENDS["ast"], audio.load(path)) for path in files[:32]]
    quality.predict(small, sounds)
    together, ours = timed(lambda: quality.predict(small, sounds))
    padded, one_by_one = timed(lambda: [_padded(small, mel) for mel in sounds])
    assert np.allclose(together, np.concatenate(padded), atol=1e-4)
    report.check("AST on 32 recordings, times faster than one by one padded to 12 s", one_by_one / ours, 3)


def _epoch_of_nisqa(items: list[nisqa.Item], precision: MixedPrecision) -> float:
    """Seconds of the best of five epochs, as of the peer; the first prepares kernels and memory."""
    settings = nisqa.TrainingSettings(epochs=5, batch_size=BATCH, mixed_precision=precision)
    marks = [time.perf_counter()]
    nisqa.train(Nisqa(NisqaSettings()), items, items[:1], settings, _fresh("nisqa"), lambda _: marks.append(time.perf_counter()))
    return min(b - a for a, b in pairwise(marks))


@torch.inference_mode()
def _padded(network: QualityTransformer, mel: torch.Tensor) -> torch.Tensor:
    return network(torch.nn.functional.pad(mel, (0, 0, 0, 1200 - len(mel)))[None], torch.tensor([len(mel)]))


def _fresh(name: str) -> Path:
    shutil.rmtree(WORK / name, ignore_errors=True)
    return WORK / name
