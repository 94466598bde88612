"""All tables and verdicts of both papers' chapters from their published records: as they are, and ten times as many."""

import time
from dataclasses import replace

from sqa_core.results import frame
from sqa_core.studies.shared import published_run
from sqa_core.studies.speech_models import selection
from tests.published_tables import of_nisqa_explained, of_speech_models

from .common import Report

MANY = 30_000  # records


def bench_tables(report: Report, repeat: int) -> None:
    start = time.perf_counter()
    both = published_run("speech_models"), published_run("nisqa_explained")
    read = time.perf_counter() - start
    count = len(list(of_speech_models(both[0]))) + len(list(of_nisqa_explained(both[1])))
    report.say(f"{count} tables; reading the records took {read:.1f} s of the time")
    report.check(f"all tables from {sum(map(len, both))} records, s", time.perf_counter() - start, at_most=5)


def bench_many(report: Report, repeat: int) -> None:
    """The tables of speech_models from ten times the records, made by repeating them under other seeds."""
    original = published_run("speech_models")["record"].tolist()
    copies = range(-(-MANY // len(original)))
    many = [replace(r, trial=r.trial | {"seed": r.trial.get("seed", 0) + 1000 * i}) for i in copies for r in original]
    selection._draws_of.cache_clear()
    start = time.perf_counter()
    list(of_speech_models(frame.of(many)))
    report.check(f"all tables of speech_models from {len(many)} records, s", time.perf_counter() - start, at_most=20)
