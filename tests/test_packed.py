"""Packing: records joined into one file a kind come back as they were written."""

import numpy as np
import pandas as pd
import pytest

from sqa_core.errors import SettingsError
from sqa_core.results import packed, records
from sqa_core.results.records import Record

TABLES = {
    "plain": pd.DataFrame({"a": [1, 2], "name": ["x", None]}),
    "the same": pd.DataFrame({"a": [3], "name": ["y"]}),
    "a column less": pd.DataFrame({"name": ["z"]}),
    "a column more": pd.DataFrame({"a": [4], "name": ["z"], "extra": [True]}),
    "columns in another order": pd.DataFrame({"name": ["z"], "a": [5]}),
    "no rows": pd.DataFrame({"a": pd.Series([], dtype="int64")}),
    "narrower numbers": pd.DataFrame({"a": np.array([6], np.int8), "x": np.array([1.5], np.float32)}),
    "wider numbers": pd.DataFrame({"x": [1.5]}),
    "categories": pd.DataFrame({"c": pd.Categorical(["u", "v"])}),
    "text where others have numbers": pd.DataFrame({"a": ["text"]}),
    "numbers that a float cannot hold": pd.DataFrame({"x": [2**60 + 1]}),
    "a column called key": pd.DataFrame({"key": [1]}),
    "lists": pd.DataFrame({"l": [[1, 2], [3]]}),
    "missing integers": pd.DataFrame({"i": pd.array([1, None], "Int64")}),
}
SINGLE = {"text where others have numbers", "a column called key", "numbers that a float cannot hold"}


def record(key: str) -> Record:
    trial = {"kind": "sort"}
    return Record(key=key, trial=trial, metrics={}, data_status="real", model_status="none", wall_s=1, device="", versions={}, commit="")


def key_of(number: int) -> str:
    return f"{number:016x}"


@pytest.fixture
def folder(tmp_path):
    for number, table in enumerate(TABLES.values()):
        records.write(record(key_of(number)), tmp_path, table, {"file": np.full(2, number)} if number % 2 else {})
    records.write(record(key_of(99)), tmp_path)
    return tmp_path


def test_every_table_and_array_comes_back_as_it_was(folder):
    before = {r.key: (r.items(), r.arrays()) for r in records.read_all(folder) if r.key != key_of(99)}
    joined, left = records.pack(folder)
    assert joined + left == len(TABLES) + 1
    single = {int(p.stem, 16) for p in folder.glob("*.json")}
    assert {list(TABLES)[n] for n in single} >= SINGLE
    assert {"plain", "a column less", "no rows", "narrower numbers"}.isdisjoint(list(TABLES)[n] for n in single)
    for name, (key, (items, arrays)) in zip(TABLES, before.items(), strict=True):
        after = records.read(folder, key)
        assert after.items().astype(object).equals(items.astype(object)), name
        if name != "categories":
            assert after.items().dtypes.equals(items.dtypes), name
        assert {n: a.tolist() for n, a in after.arrays().items()} == {n: a.tolist() for n, a in arrays.items()}
    nothing = records.read(folder, key_of(99))
    assert nothing.arrays() == {}
    with pytest.raises(SettingsError, match="no table"):
        nothing.items()


def test_packing_again_changes_nothing(folder):
    records.pack(folder)
    before = {p.name: p.read_bytes() for p in folder.iterdir()}
    assert records.pack(folder)[0] == 0
    assert {p.name: p.read_bytes() for p in folder.iterdir()} == before


def test_what_is_packed_is_not_lost_to_a_table_that_does_not_fit(tmp_path):
    records.write(record(key_of(5)), tmp_path, pd.DataFrame({"a": [2**60 + 1]}))
    records.pack(tmp_path)
    records.write(record(key_of(1)), tmp_path, pd.DataFrame({"a": [0.5]}))  # sorts before it
    assert records.pack(tmp_path) == (0, 1)
    assert records.read(tmp_path, key_of(5)).items()["a"].tolist() == [2**60 + 1]
    assert records.read(tmp_path, key_of(1)).items()["a"].tolist() == [0.5]


def test_a_single_record_counts_before_a_packed_one(tmp_path):
    for value in (1, 2):
        records.write(record(key_of(1)), tmp_path, pd.DataFrame({"a": [value]}))
        assert records.read(tmp_path, key_of(1)).items()["a"].tolist() == [value]
        records.pack(tmp_path)
        assert records.read(tmp_path, key_of(1)).items()["a"].tolist() == [value]


def test_a_record_that_is_packed_while_it_is_read_is_found(tmp_path):
    records.write(record(key_of(1)), tmp_path, pd.DataFrame({"a": [1]}), {"x": np.ones(1)})
    (held,) = records.read_all(tmp_path)
    records.pack(tmp_path)
    assert held.items()["a"].tolist() == [1]
    assert held.arrays()["x"].tolist() == [1.0]


def test_what_a_killed_run_left_is_removed(tmp_path):
    records.write(record(key_of(1)), tmp_path, pd.DataFrame({"a": [1]}))
    orphan = (tmp_path / f"{key_of(1)}.parquet").read_bytes()
    records.pack(tmp_path)
    (tmp_path / f"{key_of(1)}.parquet").write_bytes(orphan)  # as if killed before it was deleted
    unfinished = tmp_path / f"{key_of(2)}.parquet"
    unfinished.write_bytes(orphan)  # a trial that is being written
    records.pack(tmp_path)
    assert [p.name for p in tmp_path.glob("0*")] == [unfinished.name]


def test_arrays_may_have_any_name():
    data = packed.npz({"file": np.arange(3), "a/b": np.ones((2, 2))})
    assert packed.npz({"file": np.arange(3), "a/b": np.ones((2, 2))}) == data
