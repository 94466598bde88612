"""Training: feature banks and heads against the backbone in every epoch, seeds at once, planning, the demo."""

import os
import shutil
import subprocess
import sys
import time

import numpy as np

from sqa_core import audio, environment
from sqa_core.corpora import registry, splits
from sqa_core.learning import feature_bank, probes, probes_vmap
from sqa_core.learning.feature_bank import FeatureSettings
from sqa_core.learning.folds import Fold
from sqa_core.learning.probes import ProbeSettings
from sqa_core.models import encoders
from sqa_core.models.heads import HEADS
from sqa_core.results import trials
from sqa_core.spectrogram import SPEECH_RATE
from sqa_core.studies.emotion import fold_of
from sqa_core.studies.speech_models.trials import ProbeTrial

from .common import WORK, Report


def bench_probes(report: Report, repeat: int) -> None:
    """One cell (EMOVO, Whisper base, three heads, five seeds, 30 epochs) against the usual way: the backbone in every epoch."""
    corpus, name = registry.load("emovo"), "whisper-base"
    shutil.rmtree(WORK / "features", ignore_errors=True)
    os.environ["SQA_CACHE"] = str((WORK / "features").resolve())
    encoder = encoders.load(name)
    waveforms = [audio.load_mono(p, SPEECH_RATE, "left") for p in corpus.paths()]
    start = time.perf_counter()
    bank = feature_bank.bank(corpus, name, FeatureSettings(channel="left"), device="cpu")
    filled = time.perf_counter() - start
    lengths = np.array([len(w) for w in waveforms])
    batches = list(feature_bank.batches(np.argsort(-lengths, kind="stable").tolist(), lengths))
    start = time.perf_counter()
    for batch in batches:
        encoder.hidden_states([waveforms[i] for i in batch])
    forward = time.perf_counter() - start
    seconds = corpus.table["seconds"].sum()
    report.say(
        f"features of EMOVO ({seconds:.0f} s) by {name}: {filled:.1f} s with reading, loading and keeping; passes alone {forward:.1f} s"
    )
    report.check("features, times the bare forward passes", filled / forward, at_most=1.5)
    fold = _fold()
    one_seed, one_epoch = {}, {}
    for head in HEADS:
        for epochs, into in ((30, one_seed), (1, one_epoch)):
            start = time.perf_counter()
            probes.learn(bank, fold, ProbeSettings(head, epochs=epochs), 0)
            into[head] = time.perf_counter() - start
    share = (len(fold.train) + len(fold.valid)) / len(fold.labels)
    ours = filled + 5 * sum(one_seed.values())
    usual = 5 * 30 * sum(forward * share + taken for taken in one_epoch.values())
    report.say(
        f"one cell, 3 heads × 5 seeds × 30 epochs: {ours:.0f} s (features once; one seed of each head measured, times five:"
        f" {', '.join(f'{h} {s:.1f} s' for h, s in one_seed.items())}); with the backbone in every epoch {usual:.0f} s (one epoch, times all)"
    )
    report.check("one cell, times faster than the backbone in every epoch", usual / ours, 15)


def _fold() -> Fold:
    corpus = registry.load("emovo")
    return fold_of(corpus, splits.make(corpus, "speaker"), 0)[0]


def bench_together(report: Report, repeat: int) -> None:
    """The five seeds of a head at once on batched parameters, against one after another on the same features; two epochs of EMOVO by
    Whisper base. The target is a GPU's: two cores are at their peak either way."""
    bank, fold = feature_bank.bank(registry.load("emovo"), "whisper-base", FeatureSettings(channel="left")), _fold()
    one_by_one = together = 0.0
    for head in HEADS:
        settings = ProbeSettings(head, epochs=2)
        probes.learn(bank, fold, settings, 0)  # reads the bank into memory
        start = time.perf_counter()
        for seed in range(5):
            probes.learn(bank, fold, settings, seed)
        one_by_one += time.perf_counter() - start
        start = time.perf_counter()
        probes_vmap.learn(bank, fold, settings, range(5))
        together += time.perf_counter() - start
    report.say(f"three heads, five seeds at once on {environment.device()}: {one_by_one / together:.2f} times one after another")
    if environment.device() == "cuda":
        report.check("five seeds at once, times faster", one_by_one / together, 3)


def bench_lookup(report: Report, repeat: int) -> None:
    """10,000 stored trials: planned, and looked up in their store."""
    fields = {"study": "speech_models", "data_status": "synthetic", "corpus": "x", "corpus_hash": "x", "encoder": "x", "weights_hash": "x"}
    fields |= {"protocol": "speaker", "split_hash": "x", "settings": ProbeSettings("linear")}
    store = WORK / "lookup"
    shutil.rmtree(store, ignore_errors=True)
    (store / "speech_models").mkdir(parents=True)
    for seed in range(10_000):
        (store / "speech_models" / f"{ProbeTrial(**fields, seed=seed).key}.json").write_text("{}")
    start = time.perf_counter()
    planned = [ProbeTrial(**fields, seed=seed) for seed in range(10_000)]
    assert trials.missing(planned, store) == []
    report.check("10,000 stored trials planned and looked up, s", time.perf_counter() - start, at_most=2)


def bench_demo(report: Report, repeat: int) -> None:
    """The demo of the chapter on speech models with its synthetic speech, in a process of its own and an empty cache."""
    shutil.rmtree(WORK / "demo", ignore_errors=True)
    code = (
        f"from sqa_core.studies.speech_models import plan as p; s = p.Settings(profile='demo', store={str(WORK / 'demo' / 'store')!r}); "
        "print(len(s.run(p.trials(s))))"
    )
    start = time.perf_counter()
    subprocess.run([sys.executable, "-c", code], check=True, env=os.environ | {"SQA_CACHE": str((WORK / "demo").resolve())})
    report.check("the demo of speech_models, s", time.perf_counter() - start, at_most=90)
