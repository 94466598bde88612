"""JSQA: mixing pairs against writing and reading them, layers computed only where samples are kept, NT-Xent against its matrix product, and
a training step against the bare passes; on an accelerator the paper's network."""

import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import soundfile
import torch
from torch.utils.flop_counter import FlopCounterMode

from sqa_core import environment, losses
from sqa_core.corpora import jnd_pairs
from sqa_core.corpora.jnd_pairs import RATE, Bank, PairLaw
from sqa_core.models.jsqa import Encoder, EncoderSettings

from .common import WORK, Report, timed

PAIRS = 64
ROWS = 4096


def bench_jsqa(report: Report, repeat: int) -> None:
    _mixing(report)
    _kept_only(report)
    _nt_xent(report)
    _step(report)
    if torch.accelerator.is_available():
        _on_accelerator(report)


def _sounds() -> tuple[Bank, Bank]:
    rng = np.random.default_rng(0)
    speech = [(rng.standard_normal(8 * RATE) * (np.sin(np.arange(8 * RATE) / 4000) > 0)).astype(np.float32) * 0.1 for _ in range(8)]
    noise = [rng.standard_normal(8 * RATE).astype(np.float32) * 0.1 for _ in range(8)]
    return Bank(tuple(f"s{i}" for i in range(8)), tuple(speech)), Bank(tuple(f"n{i}" for i in range(8)), tuple(noise))


def _mixing(report: Report) -> None:
    sounds, law, folder = _sounds(), PairLaw(), WORK / "pairs"

    def mixed() -> torch.Tensor:
        return jnd_pairs.batch([jnd_pairs.draw(*sounds, law, 0, k) for k in range(PAIRS)])

    def bare_files() -> torch.Tensor:
        """Mixed one by one into files, and read again: nothing but that."""
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        files = [(folder / f"{k}a.wav", folder / f"{k}b.wav") for k in range(PAIRS)]
        for k, paths in enumerate(files):
            for path, mixture in zip(paths, jnd_pairs.batch([jnd_pairs.draw(*sounds, law, 0, k)])[0].numpy(), strict=True):
                soundfile.write(path, mixture, RATE, subtype="FLOAT")
        return read(files)

    def written_and_read() -> torch.Tensor:
        """The same by the library's writer, which measures the SNRs that were reached."""
        shutil.rmtree(folder, ignore_errors=True)
        table = jnd_pairs.write(*sounds, law, 0, PAIRS, folder)
        return read([(folder / a, folder / b) for a, b in zip(table["a"], table["b"], strict=True)])

    def read(files: list[tuple[Path, Path]]) -> torch.Tensor:
        return torch.from_numpy(np.array([[soundfile.read(path, dtype="float32")[0] for path in paths] for paths in files]))

    (here, fast), (there, slow), (_, bare) = timed(mixed), timed(written_and_read), timed(bare_files)
    torch.testing.assert_close(here, there)
    report.say(f"{PAIRS} pairs of {law.seconds:g} s: mixed in {fast:.2f} s, written and read in {slow:.2f} s")
    report.say(f"  as bare files, without measuring the SNRs: {bare:.2f} s, {bare / fast:.2f} times")
    report.check("mixing, times the throughput of the library's writer and a reader", slow / fast, 3)


def _kept_only(report: Report) -> None:
    settings, x = EncoderSettings(width=16), torch.randn(4, 3 * RATE)
    torch.manual_seed(0)
    kept, whole = Encoder(settings).eval(), Encoder(replace(settings, kept_only=False)).eval()
    whole.load_state_dict(kept.state_dict())
    with torch.no_grad():
        (a, fast), (b, slow) = timed(lambda: kept(x), 3), timed(lambda: whole(x), 3)
    assert torch.allclose(a, b, atol=1e-5)
    report.check("layers computed only where samples are kept, times as fast in evaluation, width 16", slow / fast, 1.25)


def _nt_xent(report: Report) -> None:
    a, b = torch.randn(ROWS // 2, 512), torch.randn(ROWS // 2, 512)
    rows = torch.cat([a, b])
    _, product = timed(lambda: rows @ rows.T, 5)
    _, loss = timed(lambda: losses.nt_xent(a, b, 0.5), 5)
    report.check(f"NT-Xent of {ROWS} rows, times its matrix product", loss / product, at_most=1.8)


def _step(report: Report) -> None:
    """With the mixing of its pairs, against forward and backward on a batch that is there."""
    sounds, law = _sounds(), PairLaw(seconds=1.0)
    encoder = Encoder(EncoderSettings(width=8)).train()
    optimizer = torch.optim.Adam(encoder.parameters())

    def passes(pairs: torch.Tensor) -> None:
        embedded = encoder(pairs.flatten(0, 1)).unflatten(0, (-1, 2))
        losses.nt_xent(embedded[:, 0], embedded[:, 1], 0.5).backward()

    def step() -> None:
        optimizer.zero_grad()
        passes(jnd_pairs.batch([jnd_pairs.draw(*sounds, law, 0, k) for k in range(16)]))
        optimizer.step()

    ready = jnd_pairs.batch([jnd_pairs.draw(*sounds, law, 0, k) for k in range(16)])
    _, bare = timed(lambda: passes(ready), 3)
    _, whole = timed(step, 3)
    report.check("a pretraining step of 16 pairs at width 8, times its bare passes", whole / bare, at_most=1.1)


def _on_accelerator(report: Report, settings: EncoderSettings = EncoderSettings(), pairs: int = 64, seconds: float = 3.0) -> None:
    """The paper's network in bfloat16: pairs a second, with mixing, and the share of what the device reaches in a product of matrices."""
    device = environment.device()
    encoder, (clean, noise) = Encoder(settings).to(device).train(), _sounds()
    law = PairLaw(seconds=seconds)

    def passes(batch: torch.Tensor) -> None:
        with torch.autocast(device, torch.bfloat16):
            embedded = encoder(batch.flatten(0, 1)).float().unflatten(0, (-1, 2))
        losses.nt_xent(embedded[:, 0], embedded[:, 1], 0.5).backward()

    def drawn() -> torch.Tensor:
        return jnd_pairs.batch([jnd_pairs.draw(clean, noise, law, 0, k) for k in range(pairs)], device)

    def waited(work: Callable[[], object]) -> Callable[[], None]:
        def run() -> None:
            work()
            if device != "cpu":
                torch.accelerator.synchronize()

        return run

    ready, square = drawn(), torch.randn(4096, 4096, device=device, dtype=torch.bfloat16)
    with FlopCounterMode(display=False) as counted:
        passes(ready)
    for work in (lambda: passes(ready), lambda: square @ square):
        waited(work)()  # what is compiled or chosen at the first call
    _, bare = timed(waited(lambda: passes(ready)), 5)
    _, whole = timed(waited(lambda: passes(drawn())), 5)
    _, product = timed(waited(lambda: square @ square), 20)
    share = counted.get_total_flops() / bare / (2 * 4096**3 / product)
    report.say(f"{device}: {pairs / whole:.0f} pairs of {seconds:g} s a second, {share:.0%} of what a product of matrices reaches")
    report.check("a pretraining step with mixing, times its bare passes", whole / bare, at_most=1.1)
