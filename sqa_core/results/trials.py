"""Trials: everything that decides a number, frozen. Each is run once; its record is read ever after."""

import json
import math
import platform
import sys
import time
import traceback
from abc import abstractmethod
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, fields, is_dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, ClassVar, Literal

import numpy as np
import pandas as pd
from pydantic import BaseModel, ConfigDict
from tqdm.auto import tqdm

from .. import environment
from ..errors import SettingsError, SqaError, TrialError
from ..files import short_hash
from . import durations, records
from .code import library_version
from .records import Record
from .store import Store, check, require_space

ModelStatus = Literal["paper", "other", "random", "none"]


@dataclass(frozen=True)
class Result:
    """What `Trial.run` returns: numbers, and if they are needed a table of single items and arrays."""

    metrics: dict[str, Any]
    items: pd.DataFrame | None = None
    arrays: dict[str, np.ndarray] | None = None


ADDED = "absent_means"


def added_later(old: Any) -> dict[str, Any]:
    """Metadata of a field that a recorded class gained after its first records.

    The field is left out of a trial's key while it has the value `old`, so the older records are still found. For a dataclass write
    `field(default=…, metadata=added_later(old))`, for a trial `Field(…, json_schema_extra=added_later(old))`.

    Parameters
    ----------
    old : the value with which the class behaves as it did without the field.

    Returns
    -------
    The metadata, which `canonical` reads.
    """
    return {ADDED: old}


def canonical(value: Any) -> Any:
    """A trial, or settings within it, as plain data for JSON; fields that were added later are left out at their old value.

    Parameters
    ----------
    value : a pydantic model, a dataclass, a list or tuple of these, or plain data.

    Returns
    -------
    For a model or dataclass, a dictionary by field name, without the kind of a trial; for a list or tuple, a list; other values as they
    are.
    """
    if isinstance(value, BaseModel):
        named = type(value).model_fields
        extras = {n: f.json_schema_extra if isinstance(f.json_schema_extra, dict) else {} for n, f in named.items()}
        return {n: canonical(getattr(value, n)) for n in named if not _at_old_value(getattr(value, n), extras[n])}
    if is_dataclass(value):
        kept = [f.name for f in fields(value) if not _at_old_value(getattr(value, f.name), f.metadata)]
        return {name: canonical(getattr(value, name)) for name in kept}
    if isinstance(value, tuple | list):
        return [canonical(v) for v in value]
    return value


def _at_old_value(value: Any, metadata: Any) -> bool:
    return ADDED in metadata and value == metadata[ADDED]


class Trial(BaseModel):
    """Base of all trials. Subclasses add fields, set `kind`, and say in `run` how the number is made."""

    model_config = ConfigDict(frozen=True, extra="forbid")
    kind: ClassVar[str]

    study: str
    seed: int = 0
    data_status: Literal["paper", "real", "synthetic"]
    model_status: ModelStatus = "none"

    @abstractmethod
    def run(self) -> Result: ...

    @property
    def cell(self) -> str | None:
        """Trials of one cell can run at once, on a GPU; None if each runs alone."""
        return None

    @classmethod
    def run_together(cls, trials: Sequence[Any]) -> list[Result]:
        """Results of trials of one cell."""
        raise NotImplementedError

    @property
    def canonical(self) -> dict[str, Any]:
        """The trial as plain data, its kind included."""
        return {"kind": self.kind, **canonical(self)}

    @cached_property
    def key(self) -> str:
        """Hash of the canonical JSON."""
        text = json.dumps(self.canonical, sort_keys=True, separators=(",", ":"), allow_nan=False)
        return short_hash(text, 16)


def folder_of(trial: Trial, store: Store) -> str:
    """The folder of a trial's record: the study's, in the store."""
    return f"{str(store).rstrip('/')}/{trial.study}"


def missing(trials: Sequence[Trial], store: Store) -> list[Trial]:
    """The trials without a record in the store, each once. The folder of each study is listed once.

    Parameters
    ----------
    store : a folder or an fsspec address that holds a folder for each study.

    Returns
    -------
    Trials in the order in which they first appear.

    Raises
    ------
    SettingsError
        The store cannot be reached, a packed file is damaged, or the records of packed tables or arrays are missing.
    """
    stored = {folder: records.keys(folder) for folder in {folder_of(t, store) for t in trials}}
    return list({t.key: t for t in trials if t.key not in stored[folder_of(t, store)]}.values())


def run(trials: Sequence[Trial], store: Store, engine: str = "local", scheduler: str = "") -> list[Record]:
    """Records of the trials; those without a record in `store/STUDY` are run, the quickest first.

    A trial that raises does not stop the rest. What is stored is never computed again, so a killed run continues where it stopped.
    A progress bar shows the time that is left, as expected from the records of the published run.

    Parameters
    ----------
    engine : "local" runs one after another in this process, with all its cores and its GPU; "dask" on workers.
    scheduler : for dask, an address (tcp://…), "slurm" (dask-jobqueue, by its own configuration), or "" for workers on this machine.

    Returns
    -------
    One record per trial, in the order of `trials`.

    Raises
    ------
    SettingsError
        The engine, the scheduler or the store cannot be used, or a stored record is damaged.
    TrialError
        Some trials failed; raised after all others are done, with the settings of the first.
    """
    if engine not in ENGINES:
        raise SettingsError(f"The engines are {', '.join(ENGINES)}; {engine!r} is not one.")
    check(store)
    wanted = missing(trials, store)
    if wanted:  # complete records can be read from a place where nothing can be written
        require_space(store)
    expected = dict(zip((t.key for t in wanted), durations.expected_s(wanted).tolist(), strict=True)) if wanted else {}
    wanted.sort(key=lambda t: expected[t.key])  # those that take equally long stay in the plan's order
    failed: dict[str, str] = {}
    start, total = time.perf_counter(), sum(expected.values())
    left = total
    with bar(total=len(wanted), unit="trial", disable=len(wanted) < 2, bar_format=TRIALS_BAR) as done:
        done.set_postfix_str(f"about {durations.in_words(left)} on the machine of the published run")
        for trial, problem in ENGINES[engine](wanted, store, scheduler):
            left -= expected[trial.key]
            pace = (time.perf_counter() - start) / (total - left) if total > left else 1.0  # seconds here for one that was expected
            done.set_postfix_str(f"about {durations.in_words(left * pace)} left", refresh=False)
            done.update()
            if problem:
                failed[trial.key] = problem
                done.write(f"{trial.kind} {trial.key} failed: {problem}", file=sys.stderr)
    if failed:
        first = next(t for t in wanted if t.key in failed)
        raise TrialError(
            f"{len(failed)} of {len(wanted)} trials failed, the rest are stored. The first: {failed[first.key]} Its settings: {first.canonical}"
        )
    stored = {folder: records.read_all(folder, {t.key for t in trials}) for folder in {folder_of(t, store) for t in trials}}
    by_key = {r.key: r for found in stored.values() for r in found}
    return [by_key[t.key] for t in trials]


def bar(**options: Any) -> Any:
    """A tqdm bar on the error stream, cleared when done so that no page shows it; off a terminal, one line every BAR_EVERY_S."""
    return tqdm(leave=False, mininterval=0.1 if sys.stderr.isatty() else BAR_EVERY_S, **options)


BAR_EVERY_S = 10.0
TRIALS_BAR = "{percentage:3.0f} %|{bar}| {n_fmt}/{total_fmt} trials, {postfix}"
Outcomes = Iterator[tuple[Trial, str]]  # a trial that is done, and what went wrong (empty if nothing)


def _run_here(trials: list[Trial], store: Store, scheduler: str) -> Outcomes:
    for together in _cells(trials):
        if len(together) > 1 and _make_together(together, str(store)):
            yield from ((trial, "") for trial in together)
        else:
            yield from ((trial, make(trial, str(store))) for trial in together)


def _cells(trials: list[Trial]) -> list[list[Trial]]:
    """On a GPU, trials of one cell together; on a CPU, where that is no faster, each alone."""
    if environment.device() == "cpu":
        return [[trial] for trial in trials]
    cells: dict[str, list[Trial]] = {}
    for trial in trials:
        cells.setdefault(trial.cell or trial.key, []).append(trial)
    return list(cells.values())


def _make_together(trials: list[Trial], store: str) -> bool:
    """Run and store trials of one cell; False if that is not possible, after a line that says why."""
    start = time.perf_counter()
    try:
        results = trials[0].run_together(trials)
    except Exception as e:
        text = f"{trials[0].kind}: {len(trials)} trials cannot run at once ({type(e).__name__}: {e}); each runs alone."
        tqdm.write(text, file=sys.stderr)
        return False
    seconds = (time.perf_counter() - start) / len(trials)
    for trial, result in zip(trials, results, strict=True):
        _keep(trial, result, seconds, folder_of(trial, store))
    return True


def _run_on_dask(trials: list[Trial], store: Store, scheduler: str) -> Outcomes:
    """Workers write the records and return a sentence or nothing, so that neither results nor futures pile up here."""
    if not trials:
        return
    try:
        import distributed  # noqa: F401
    except ImportError as e:
        raise SettingsError('The engine dask needs dask.distributed: pip install "sqa-core[cluster]".') from e

    where = str(store) if "://" in str(store) else str(Path(store).resolve())
    with _client(scheduler) as client:
        futures = {client.submit(make, t, where, _code_of(t), key=f"{t.kind}-{t.key}", pure=False): t for t in trials}
        for future in _finished(client, list(futures), math.inf if scheduler == "slurm" else WORKERS_S):
            trial = futures.pop(future)
            if future.status != "finished" and isinstance(future.exception(), SettingsError):
                raise future.exception()  # the store's fault and not the trial's
            problem = future.result() if future.status == "finished" else f"its worker died ({future.exception()})."
            future.release()
            yield trial, problem


def _finished(client: Any, futures: Sequence[Any], patience_s: float) -> Iterator[Any]:
    """Futures as they finish.

    Raises
    ------
    SettingsError
        There has been no worker for `patience_s` seconds, or the scheduler has gone; what is stored is kept.
    """
    from concurrent.futures import CancelledError

    import distributed

    seen, pending = time.monotonic(), list(futures)
    gone = "The dask scheduler was lost while {} trials were under way; what is stored is kept, and the same command goes on."
    while pending:
        try:  # on the oldest only: each future that is waited on costs the client a task
            distributed.wait(pending[:WAITED_ON], timeout=POLL_S, return_when="FIRST_COMPLETED")
        except (TimeoutError, distributed.TimeoutError):
            pass
        except CancelledError:
            raise SettingsError(gone.format(len(pending))) from None
        done = [f for f in pending if f.done()]
        if client.status != "running" or any(f.status in ("cancelled", "lost") for f in done):
            raise SettingsError(gone.format(len(pending)))
        if done or client.scheduler_info(n_workers=-1)["workers"]:
            seen = time.monotonic()
        elif time.monotonic() - seen > patience_s:
            raise SettingsError(
                f"The dask scheduler has had no worker for {patience_s:.0f} s; start workers; what is stored is kept, and the same command goes on."
            )
        finished = set(done)
        pending = [f for f in pending if f not in finished]
        yield from done


def _code_of(trial: Trial) -> str:
    """What names the code that computes a trial."""
    return library_version(frozenset({type(trial).__module__}))


@contextmanager
def _client(scheduler: str) -> Iterator[Any]:
    from distributed import Client, LocalCluster

    if "://" in scheduler:
        try:
            client = Client(scheduler, timeout=20)
        except OSError as e:
            raise SettingsError(f"{scheduler}: no dask scheduler answers there.") from e
        with client:
            yield client
        return
    if scheduler == "slurm":
        try:
            from dask_jobqueue import SLURMCluster

            cluster: Any = SLURMCluster()
        except ImportError as e:
            raise SettingsError('Slurm needs dask-jobqueue: pip install "sqa-core[cluster]".') from e
        except ValueError as e:  # cores or memory are not set
            raise SettingsError(f"dask-jobqueue's own configuration (jobqueue.slurm in ~/.config/dask) is incomplete: {e}") from e
        cluster.adapt(minimum_jobs=0, maximum_jobs=MAX_JOBS)
    elif not scheduler:
        cores = environment.cores()
        # One thread a worker: on small networks two processes are faster than two threads.
        cluster = LocalCluster(n_workers=cores, threads_per_worker=1, dashboard_address=None, env={"OMP_NUM_THREADS": "1"})
    else:
        raise SettingsError(f'A scheduler is an address such as tcp://host:8786, or "slurm", not {scheduler!r}.')
    with cluster, Client(cluster) as client:
        yield client


ENGINES: dict[str, Callable[[list[Trial], Store, str], Outcomes]] = {"local": _run_here, "dask": _run_on_dask}
MAX_JOBS = 32  # in Slurm at once
POLL_S = 2.0  # between looks at whether a scheduler and workers are still there
WAITED_ON = 100  # futures at once
WORKERS_S = 60.0  # without a worker, after which a run gives up


def make(trial: Trial, store: str, code: str = "") -> str:
    """Run one trial and store its record, unless the store has it by now; returns what went wrong in one sentence, or "".

    code : what names the code that is to compute it; a worker that has other code refuses. That, and a store that fails, is not the trial's
    fault: SettingsError is raised.
    """
    if code and code != (own := _code_of(trial)):
        raise SettingsError(
            f"The dask worker on {platform.node()} has other code of this library ({own}) than this client ({code}); install the same there."
        )
    folder = folder_of(trial, store)
    if records.exists(folder, trial.key):
        return ""
    start = time.perf_counter()
    try:
        result = trial.run()
    except Exception as e:  # reported with its settings by `run`; the other trials go on
        return str(e) if isinstance(e, SqaError) else f"{type(e).__name__}: {e} ({_where(e)})."
    _keep(trial, result, time.perf_counter() - start, folder)
    return ""


def _keep(trial: Trial, result: Result, seconds: float, folder: str) -> None:
    record = Record(
        key=trial.key,
        trial=trial.canonical,
        metrics=result.metrics,
        data_status=trial.data_status,
        model_status=trial.model_status,
        wall_s=round(seconds, 3),
        device=environment.device_name(environment.device()),
        versions=environment.versions(),
        commit=environment.commit(),
    )
    records.write(record, folder, result.items, result.arrays)


def _where(error: BaseException) -> str:
    frame = traceback.extract_tb(error.__traceback__)[-1]
    return f"{Path(frame.filename).name}, line {frame.lineno}"
