"""The engine: the same records on workers as here; nothing lost and nothing doubled when a worker or the client is killed."""

import errno
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import ClassVar

import fsspec
import numpy as np
import pytest

from sqa_core.errors import SettingsError, TrialError
from sqa_core.results import durations, records, trials
from sqa_core.results.trials import Result, Trial
from sqa_core.studies.shared import ChapterSettings
from tests.conftest import ROOT


class Die(Trial):
    """Leaves a line each time it is run; may take its time, raise, or kill its worker the first time."""

    kind: ClassVar[str] = "die"
    log: str
    seconds: float = 0.0
    sides: int = 6
    kills: bool = False

    def run(self) -> Result:
        with Path(self.log).open("a") as f:
            f.write(f"{self.seed}\n")
        if self.kills and Path(self.log).read_text().splitlines().count(str(self.seed)) == 1:
            os.kill(os.getpid(), signal.SIGKILL)
        time.sleep(self.seconds)
        return Result({"value": 6 // self.sides * self.seed, "pid": os.getpid()})


def dice(tmp_path, count, **fields):
    return [Die(study="dice", data_status="synthetic", log=str(tmp_path / "log"), seed=s, **fields) for s in range(count)]


def ran(tmp_path) -> list[int]:
    return sorted(map(int, (tmp_path / "log").read_text().split()))


class Pair(Trial):
    """Seeds of one size can be run at once, but for size 0."""

    kind: ClassVar[str] = "pair"
    size: int

    @property
    def cell(self) -> str:
        return str(self.size)

    @classmethod
    def run_together(cls, trials) -> list[Result]:
        return [Result({"value": 6 // t.size + t.seed, "at once": len(trials)}) for t in trials]

    def run(self) -> Result:
        return self.run_together([self])[0]


def test_trials_of_one_cell_run_at_once_on_a_gpu(tmp_path, monkeypatch, capsys):
    planned = [Pair(study="dice", data_status="synthetic", size=size, seed=seed) for seed in range(3) for size in (1, 2)]
    assert {r.metrics["at once"] for r in trials.run(planned, tmp_path / "cpu")} == {1}
    monkeypatch.setattr(trials.environment, "device", lambda: "cuda")
    monkeypatch.setattr(trials.environment, "device_name", lambda device: device)
    found = trials.run(planned, tmp_path / "gpu")
    assert {r.metrics["at once"] for r in found} == {3}
    assert [r.metrics["value"] for r in found] == [6 // t.size + t.seed for t in planned]
    monkeypatch.setattr(Pair, "run_together", classmethod(lambda cls, trials: [Result({"value": 1})] if len(trials) == 1 else 1 / 0))
    again = trials.run(planned, tmp_path / "no room")
    assert len(again) == len(planned)
    assert "3 trials cannot run at once (ZeroDivisionError" in capsys.readouterr().err
    monkeypatch.undo()
    fails = [Pair(study="dice", data_status="synthetic", size=0, seed=seed) for seed in range(2)]
    with pytest.raises(TrialError, match=r"2 of 2 trials failed.*ZeroDivisionError"):
        trials.run(fails, tmp_path / "gpu")


@pytest.mark.xdist_group("dask")
def test_two_workers_give_the_records_of_one_process(tmp_path, monkeypatch):
    monkeypatch.setattr(trials.environment, "cores", lambda: 2)
    planned = dice(tmp_path, 6, seconds=0.2)
    found = trials.run(planned, tmp_path / "a", engine="dask")
    assert [r.metrics["value"] for r in found] == [r.metrics["value"] for r in trials.run(planned, tmp_path / "b")]
    assert len({r.metrics["pid"] for r in found}) == 2
    assert os.getpid() not in {r.metrics["pid"] for r in found}
    assert {p.name for p in (tmp_path / "a/dice").iterdir()} == {p.name for p in (tmp_path / "b/dice").iterdir()}
    trials.run(planned, tmp_path / "a", engine="dask")
    assert ran(tmp_path) == sorted([*range(6), *range(6)]), "what is stored is not run again"


@pytest.mark.xdist_group("dask")
def test_a_killed_worker_loses_and_doubles_nothing(tmp_path, monkeypatch):
    monkeypatch.setattr(trials.environment, "cores", lambda: 2)
    planned = [
        *dice(tmp_path, 5, seconds=0.3),
        *(Die(study="dice", data_status="synthetic", log=str(tmp_path / "log"), seed=9, kills=True),),
    ]
    found = trials.run(planned, tmp_path, engine="dask")
    assert [r.metrics["value"] for r in found] == [0, 1, 2, 3, 4, 9]
    counts = {seed: ran(tmp_path).count(seed) for seed in range(5)}
    stored = len(list((tmp_path / "dice").glob("*.json")))
    assert stored == 6
    assert ran(tmp_path).count(9) == 2, "killed once, then run"
    assert all(n <= 2 for n in counts.values()), "only what was under way on the killed worker is run again"
    assert not list((tmp_path / "dice").glob("part-*"))


@pytest.mark.xdist_group("dask")
def test_a_killed_client_goes_on(tmp_path):
    code = (
        "import sys; from tests.test_trials import dice; from sqa_core.results import trials; from pathlib import Path\n"
        "if __name__ == '__main__':\n"
        "    p = Path(sys.argv[1]); trials.run(dice(p, 8, seconds=0.4), p, engine='dask')\n"
    )
    script = tmp_path / "client.py"
    script.write_text(code)
    env = os.environ | {"PYTHONPATH": str(ROOT)}
    client = subprocess.Popen([sys.executable, str(script), str(tmp_path)], env=env, start_new_session=True)
    deadline = time.monotonic() + 60
    while len(list(tmp_path.glob("dice/*.json"))) < 2:
        assert time.monotonic() < deadline
        assert client.poll() is None
        time.sleep(0.1)
    os.killpg(client.pid, signal.SIGKILL)
    client.wait()
    before = {p.name: p.stat().st_mtime_ns for p in tmp_path.glob("dice/*.json")}
    assert 2 <= len(before) < 8
    found = trials.run(dice(tmp_path, 8, seconds=0.4), tmp_path)
    assert [r.metrics["value"] for r in found] == list(range(8))
    assert {p.name: p.stat().st_mtime_ns for p in tmp_path.glob("dice/*.json") if p.name in before} == before


@pytest.mark.xdist_group("dask")
def test_a_trial_that_raises_is_told_with_its_settings(tmp_path, monkeypatch):
    monkeypatch.setattr(trials.environment, "cores", lambda: 2)
    planned = [*dice(tmp_path, 3), *dice(tmp_path, 1, sides=0)]
    with pytest.raises(TrialError, match=r"1 of 4 trials failed, the rest are stored.*ZeroDivisionError.*test_trials\.py.*'sides': 0"):
        trials.run(planned, tmp_path, engine="dask")
    assert len(records.keys(tmp_path / "dice")) == 3


def test_a_scheduler_that_is_not_there_is_told(tmp_path, monkeypatch):
    with pytest.raises(SettingsError, match="A scheduler is an address such as tcp"):
        trials.run(dice(tmp_path, 1), tmp_path, engine="dask", scheduler="somewhere")
    import distributed

    def refused(*_args, **_more):
        raise OSError("Timed out trying to connect")

    monkeypatch.setattr(distributed, "Client", refused)
    with pytest.raises(SettingsError, match="no dask scheduler answers there"):
        trials.run(dice(tmp_path, 1), tmp_path, engine="dask", scheduler="tcp://127.0.0.1:1")


def test_any_address_can_be_a_store(tmp_path):
    planned, address = dice(tmp_path, 3), f"file://{tmp_path}/book"
    trials.run(planned, address)
    assert [r.metrics["value"] for r in trials.run(planned, address)] == [0, 1, 2]
    assert ran(tmp_path) == [0, 1, 2]
    assert records.read_all(f"{address}/dice")[0].trial["study"] == "dice"


@pytest.mark.parametrize("address", ["nowhere://book", "memory://book", "://", "s3://", "://book"])
def test_what_keeps_no_records_is_refused_before_anything_runs(tmp_path, address):
    with pytest.raises(SettingsError, match="not a store that keeps records"):
        trials.run(dice(tmp_path, 1), address)
    assert not (tmp_path / "log").exists()
    with pytest.raises(SettingsError, match="not a store that keeps records"):
        ChapterSettings(store=address)


def test_a_worker_with_other_code_refuses(tmp_path, monkeypatch):
    (trial,) = dice(tmp_path, 1)
    assert trials.make(trial, str(tmp_path), trials._code_of(trial)) == ""
    (other,) = dice(tmp_path, 1, seconds=0.01)
    with pytest.raises(SettingsError, match=r"has other code of this library \(\w+\) than this client \(abc\)"):
        trials.make(other, str(tmp_path), "abc")
    assert ran(tmp_path) == [0]


@pytest.mark.xdist_group("dask")
def test_a_scheduler_without_workers_or_that_goes_is_told(tmp_path, monkeypatch):
    from distributed import LocalCluster

    monkeypatch.setattr(trials, "WORKERS_S", 2.0)
    monkeypatch.setattr(trials, "POLL_S", 0.5)
    nobody = pytest.raises(SettingsError, match=r"no worker for 2 s; start workers; what is stored is kept")
    with LocalCluster(n_workers=0, dashboard_address=None) as cluster, nobody:
        trials.run(dice(tmp_path, 2), tmp_path, engine="dask", scheduler=cluster.scheduler_address)
    port = 18_786
    scheduler = subprocess.Popen([sys.executable, "-m", "distributed.cli.dask_scheduler", "--port", str(port), "--no-dashboard"])
    threading.Timer(8.0, scheduler.kill).start()
    monkeypatch.setattr(trials, "WORKERS_S", 60.0)
    with pytest.raises(SettingsError, match="scheduler was lost while 2 trials were under way"):
        trials.run(dice(tmp_path, 2), tmp_path, engine="dask", scheduler=f"tcp://127.0.0.1:{port}")
    scheduler.wait()


@pytest.mark.parametrize(
    ("number", "said"),
    [(errno.ENOSPC, "the disk is full"), (errno.ECONNREFUSED, "the store cannot be reached"), (errno.EACCES, "cannot be reached")],
)
def test_a_store_that_fails_is_one_sentence_and_loses_nothing(tmp_path, monkeypatch, number, said):
    planned = dice(tmp_path, 4)
    trials.run(planned[:2], tmp_path)
    real = Path.write_bytes

    def failing(self, data):
        if self.name.startswith("part-"):
            real(self, data[: len(data) // 2])
            raise OSError(number, os.strerror(number))
        return real(self, data)

    monkeypatch.setattr(Path, "write_bytes", failing)
    with pytest.raises(SettingsError, match=said):
        trials.run(planned, tmp_path)
    monkeypatch.undo()
    assert len(records.keys(tmp_path / "dice")) == 2
    assert not list((tmp_path / "dice").glob("part-*")), "nothing half-written stays"
    assert [r.metrics["value"] for r in trials.run(planned, tmp_path)] == [0, 1, 2, 3]


def test_a_store_is_listed_once_and_not_asked_for_each(tmp_path, monkeypatch):
    planned = dice(tmp_path, 20)
    trials.run(planned, tmp_path)
    calls = []
    real = fsspec.core.url_to_fs
    monkeypatch.setattr(fsspec.core, "url_to_fs", lambda url: calls.append(url) or real(url))
    assert trials.missing(planned, tmp_path) == []
    assert len(calls) <= 2, "listed, and its packed files looked for"


def test_quick_kinds_of_trials_run_first_and_the_time_is_told(tmp_path, monkeypatch, capsys):
    """By records of earlier trials: of the same kind and settings, else of the same kind, else a minute."""

    def record(trial, seconds):
        about = {"data_status": "synthetic", "model_status": "none", "device": "", "versions": {}, "commit": ""}
        return records.Record(key=trial.key, trial=trial.canonical, metrics={}, wall_s=seconds, **about)

    pairs = [Pair(study="dice", data_status="synthetic", size=size, seed=9) for size in (1, 2)]
    past = [record(pairs[0], 30.0), record(pairs[1], 10.0)]
    wanted = [*pairs, *dice(tmp_path, 1)]
    assert durations.expected_s(wanted, past).tolist() == [20.0, 20.0, durations.UNKNOWN_S]
    monkeypatch.setattr(durations, "expected_s", lambda trials: np.array([9.0 if isinstance(t, Die) else t.size for t in trials]))
    order = []
    monkeypatch.setitem(
        trials.ENGINES, "local", lambda planned, store, scheduler: [(order.append(t), (t, trials.make(t, store)))[1] for t in planned]
    )
    trials.run([*dice(tmp_path, 1), pairs[1], pairs[0]], str(tmp_path / "store"))
    assert order == [pairs[0], pairs[1], *dice(tmp_path, 1)]
    assert "on the machine of the published run" in capsys.readouterr().err
