"""HuMP-CAT: prosody against DisVoice, an epoch on cached features against one that extracts them, the cost of trials, and the network's
parts against torch's own."""

import importlib.util
import tempfile
import time
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

from sqa_core import audio, prosody, spectrogram
from sqa_core.corpora import registry
from sqa_core.corpora.manifest import Manifest
from sqa_core.corpora.workers import in_processes
from sqa_core.learning import feature_bank, humpcat
from sqa_core.learning.humpcat import TrainSettings
from sqa_core.learning.streams import acoustics, streams
from sqa_core.models import encoder_catalogue, encoders
from sqa_core.models.humpcat import EncoderStream, HumpcatSettings, MfccStream, in_blocks
from sqa_core.prosody import DISVOICE
from sqa_core.results import trials
from sqa_core.spectrogram import SPEECH_RATE
from sqa_core.studies.humpcat import plan

from .common import Report, timed

FILES = 96
GRID = 6


def bench_humpcat(report: Report, repeat: int) -> None:
    _prosody(report)
    _cached(report)
    _grid(report)
    _parts(report)


def _corpus() -> Manifest:
    found = registry.load("polyglot-acted")
    return Manifest(found.name, found.table.iloc[:: len(found.table) // FILES][:FILES].reset_index(drop=True), found.root, found.status)


def _disvoice() -> Any:
    """DisVoice's functions, without its package, which imports more than they need; None where it is not installed."""
    spec = importlib.util.find_spec("disvoice")
    if spec is None or not spec.submodule_search_locations:
        return None
    path = Path(next(iter(spec.submodule_search_locations))) / "prosody" / "prosody_functions.py"
    spec = importlib.util.spec_from_file_location("prosody_functions", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def _theirs(peer: Any, x: np.ndarray) -> np.ndarray:
    """DisVoice's static prosody of one sound, by its own functions in the order of its `prosody_static`."""
    from pysptk.sptk import rapt

    x = x.astype(float) - np.mean(x, dtype=float)
    x = x / np.abs(x).max()
    step, frame, pause = 0.01 * SPEECH_RATE, 0.02 * SPEECH_RATE, 0.14 * SPEECH_RATE
    f0 = rapt((x * 2**15).astype(np.float32), SPEECH_RATE, int(step), min=60, max=350, voice_bias=-0.2, otype="f0")
    voiced, rest = (peer.V_UV(f0, x, type_seg=kind, size_stepS=step) for kind in ("Voiced", "Unvoiced"))
    pauses, unvoiced = [s for s in rest if len(s) > pause], [s for s in rest if len(s) <= pause]
    energies = [peer.energy_feat(s, SPEECH_RATE, frame, step) for s in (voiced, unvoiced)]
    return np.hstack((peer.F0feat(f0), *energies, peer.duration_feat(voiced, unvoiced, pauses, x, SPEECH_RATE)))


def _ours(x: np.ndarray) -> np.ndarray:
    return prosody.prosody(x, SPEECH_RATE, DISVOICE).values


def _prosody(report: Report) -> None:
    sounds = [audio.load_mono(path, SPEECH_RATE) for path in _corpus().paths()]
    sounds = [x[: len(x) // 2 * 2] for x in sounds]  # an even number of samples, so that RAPT's dither is the same for both
    torch.set_num_threads(1)
    mine, fast = timed(lambda: [_ours(x) for x in sounds], 3)
    _, together = timed(lambda: in_processes(_ours, sounds * 4, 16, lambda: None), 2)
    torch.set_num_threads(2)
    report.say(f"prosody of {FILES} sounds: {1000 * fast / FILES:.1f} ms a file on one core")
    report.say(f"  by all cores, with starting them: {1000 * together / FILES / 4:.1f} ms a file")
    peer = _disvoice()
    if peer is None:
        report.say("DisVoice is not installed (pip install --no-deps disvoice==0.1.10); not compared")
        return
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        theirs, slow = timed(lambda: [_theirs(peer, x) for x in sounds], 3)
    equal = [bool(np.isclose(a, b, rtol=1e-4, atol=1e-7, equal_nan=True).all()) for a, b in zip(mine, theirs, strict=True)]
    report.say(f"  all 103 numbers equal DisVoice's within 1e-4 in {sum(equal)} of {FILES} sounds")
    report.check("prosody, times DisVoice's throughput on one core", slow / fast, 2.5)


def _cached(report: Report) -> None:
    name = "whisper-base" if encoder_catalogue.available("whisper-base") else encoder_catalogue.MINI
    corpus = _corpus()
    encoder = encoders.load(name)
    bank = feature_bank.bank(corpus, name)
    found = streams(bank, acoustics(corpus), corpus.table["file"].tolist(), (1, bank.layers))
    settings = HumpcatSettings(encoder_width=bank.width, width=64, classes=len(corpus.classes()))
    labels, files = corpus.labels(corpus.classes()), np.arange(FILES)

    def epoch() -> None:
        humpcat.learn(found, labels, files, settings, TrainSettings(epochs=1), 0)

    def extract() -> None:
        for path in corpus.paths():
            x = audio.load_mono(path, SPEECH_RATE)
            encoder.hidden_states([x])
            spectrogram.mfcc(x)
            prosody.prosody(x, SPEECH_RATE)

    (_, fast), (_, extra) = timed(epoch, 3), timed(extract, 1)
    report.say(f"an epoch of {FILES} files with {name}: {fast:.2f} s on cached features, {fast + extra:.2f} s if they are extracted in it")
    report.check("epoch on cached features, times one that extracts", (fast + extra) / fast, 5)


def _grid(report: Report) -> None:
    """Time of a grid of trials, and of one twice as long."""
    (first, *_), seconds = plan.trials(plan.Settings()), []
    trial = first.model_copy(update={"start": "random", "tuning": TrainSettings(epochs=10)})
    with tempfile.TemporaryDirectory() as store:
        trials.run([trial.model_copy(update={"seed": 10_000})], store)  # what is loaded once
        for part, count in enumerate((GRID, 2 * GRID)):
            start = time.perf_counter()
            trials.run([trial.model_copy(update={"seed": 100 * part + k}) for k in range(count)], store)
            seconds.append(time.perf_counter() - start)
    report.say(f"{GRID} trials on cached features: {seconds[0]:.1f} s, {2 * GRID}: {seconds[1]:.1f} s")
    report.check("cost of a trial in a grid twice as long, away from 1", abs(seconds[1] / seconds[0] / 2 - 1), at_most=0.05, form=".3f")


def _parts(report: Report) -> None:
    """The convolution and the LSTM, forward and backward, against torch's own for the same."""

    def passes(function: Any, x: torch.Tensor) -> torch.Tensor:
        out = function(x)
        out.sum().backward()
        return out.detach()

    stream, layers = EncoderStream(HumpcatSettings()), torch.randn(2, 4000, 768)
    blocks = in_blocks(layers)
    a, fast = timed(lambda: passes(stream.convolved, blocks), 4)
    b, slow = timed(lambda: passes(lambda x: stream.convolution(x[None])[0, 0], layers), 4)
    torch.testing.assert_close(a[: len(b)], b, atol=1e-4, rtol=1e-4)
    report.check("convolution as a product, times conv2d", slow / fast, 3)

    lstm, theirs = MfccStream(64), nn.LSTM(39, 32, bidirectional=True, batch_first=True)
    theirs.load_state_dict(lstm.forwards.state_dict() | {f"{name}_reverse": x for name, x in lstm.backwards.state_dict().items()})
    mfcc, steps = torch.randn(32, 80, 39), torch.arange(80, 16, -2)

    def packed(x: torch.Tensor) -> torch.Tensor:
        found = theirs(pack_padded_sequence(x, steps, batch_first=True))[0]
        return pad_packed_sequence(found, batch_first=True, total_length=80)[0]

    a, fast = timed(lambda: passes(lambda x: lstm(x, steps), mfcc), 8)
    b, slow = timed(lambda: passes(packed, mfcc), 8)
    inside = (torch.arange(80) < steps[:, None])[:, :, None]
    torch.testing.assert_close(a * inside, b, atol=1e-5, rtol=1e-4)
    report.check("LSTM on files turned round, times torch's on packed sequences", slow / fast, 3)
