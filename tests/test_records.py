"""Trials, records, claims, published numbers."""

import json
import os
from typing import ClassVar, get_args, get_type_hints

import numpy as np
import pandas as pd
import pytest
from pydantic import ValidationError

from sqa_core.corpora import registry
from sqa_core.errors import SettingsError, TrialError
from sqa_core.figures import verdicts
from sqa_core.files import sha256, short_hash
from sqa_core.learning import calls_networks, own_networks
from sqa_core.metrics import Interval
from sqa_core.models import weights
from sqa_core.results import claims, frame, published, records, store, trials
from sqa_core.results.claims import Finding
from sqa_core.results.trials import Result, Trial


class Coin(Trial):
    kind: ClassVar[str] = "coin"
    sides: int = 2
    runs: ClassVar[list[int]] = []

    def run(self) -> Result:
        self.runs.append(self.seed)
        if self.sides == 0:
            raise ZeroDivisionError
        rng = np.random.default_rng(np.random.SeedSequence(self.seed))
        values = rng.integers(self.sides, size=5)
        return Result({"mean": float(values.mean()), "undefined": float("nan")}, pd.DataFrame({"value": values}), {"values": values})


def coin(**fields) -> Coin:
    return Coin(study="coins", data_status="synthetic", **fields)


def test_a_trial_is_run_once_and_read_after(tmp_path):
    Coin.runs.clear()
    first = trials.run([coin(seed=1), coin(seed=2)], tmp_path)
    again = trials.run([coin(seed=2), coin(seed=1)], tmp_path)
    assert Coin.runs == [1, 2]
    assert [r.metrics for r in again] == [r.metrics for r in first[::-1]]
    assert first[0].metrics["undefined"] is None
    assert first[0].items()["value"].tolist() == first[0].arrays()["values"].tolist()
    assert first[0].data_status == "synthetic"
    assert {"python", "torch", "numpy"} <= first[0].versions.keys()


def test_the_key_is_everything_that_decides():
    assert coin().key == coin().key
    assert len({coin(seed=s, sides=n).key for s in range(3) for n in (2, 6)}) == 6
    assert coin().key == coin(seed=0, sides=2).key


def test_a_trial_is_frozen_and_refuses_unknown_fields():
    with pytest.raises(ValidationError):
        coin(colour="red")
    with pytest.raises(ValidationError):
        coin().seed = 3
    with pytest.raises(ValidationError):
        Coin(study="coins", data_status="invented")


def test_a_failing_trial_leaves_nothing_and_does_not_stop_the_rest(tmp_path):
    with pytest.raises(TrialError, match=r"1 of 3 trials failed, the rest are stored.*ZeroDivisionError.*'sides': 0"):
        trials.run([coin(seed=1), coin(sides=0), coin(seed=2)], tmp_path)
    assert {p.suffix for p in tmp_path.rglob("*") if p.is_file()} == {".json", ".parquet", ".npz"}
    assert records.keys(tmp_path / "coins") == {coin(seed=1).key, coin(seed=2).key}


def test_a_record_that_cannot_be_written_leaves_nothing(tmp_path):
    (good,) = trials.run([coin()], tmp_path)
    broken = records.Record(**{**good.__dict__, "key": "broken", "metrics": {"x": object()}})
    with pytest.raises(TypeError):
        records.write(broken, tmp_path / "other")
    assert not (tmp_path / "other").exists()


def test_a_damaged_record_says_so(tmp_path):
    (tmp_path / "x.json").write_text("{")
    (tmp_path / "y.json").write_text('{"key": 1}')
    for name in ("x", "y"):
        with pytest.raises(SettingsError, match=f"{name}.json: not a record"):
            records.read(tmp_path, name)


def test_an_unknown_engine_is_refused(tmp_path):
    with pytest.raises(SettingsError, match="engine"):
        trials.run([], tmp_path, engine="clouds")


def test_records_are_one_table(tmp_path):
    trials.run([coin(seed=s) for s in range(3)], tmp_path)
    table = frame.export(records.read_all(tmp_path / "coins"))
    assert len(table) == 3
    assert {"key", "kind", "seed", "metrics.mean", "data_status", "commit"} <= set(table.columns)
    assert records.read_all(tmp_path / "nothing") == []


@pytest.mark.parametrize(
    ("interval", "verdict"),
    [
        ((0.5, 0.4, 0.6), "holds"),
        ((0.5, -0.1, 0.9), "inconclusive"),
        ((-0.5, -0.6, -0.4), "fails"),
        ((1.5, 1.2, 1.8), "fails"),
        ((0.9, 0.8, 1.1), "inconclusive"),
    ],
)
def test_verdicts_follow_the_interval(interval, verdict):
    assert claims.judge(Interval(*interval), low=0.0, high=1.0) == verdict


def test_every_claim_of_the_paper_is_in_the_table():
    wanted = published.claims("nisqa_explained")
    assert list(wanted["id"]) == [f"C{i}" for i in range(1, 18)]
    table = claims.table(wanted, [Finding("C2", "holds", "seen", "our run", Interval(-0.5, -0.7, -0.2), "real")])
    assert len(table) == 17
    assert table.loc[1, ["verdict", "value", "value, low", "value, high"]].tolist() == ["holds", -0.5, -0.7, -0.2]
    assert set(table["verdict"].drop(1)) == {"not tested"}
    assert table["source"].str.contains("2112.06219").all()


PAPERS = ("nisqa_explained", "language_barriers", "jsqa", "speech_models", "humpcat")


@pytest.mark.parametrize("slug", PAPERS)
def test_every_claim_has_a_quotation_of_a_known_kind(slug):
    ledger, quoted = published.claims(slug), published.read(slug, "quotations")
    assert ledger["id"].tolist() == quoted["id"].tolist()
    assert set(quoted["kind"]) <= set(get_args(get_type_hints(claims.Judged)["kind"])) >= {"claim"}


def test_checks_and_open_questions_are_shown_apart_and_not_counted():
    ids = ["C1", "C2", "C3"]
    ledger = pd.DataFrame({"id": ids, "claim": "said", "test": "tried", "source": "paper"})
    quoted = pd.DataFrame({"id": ids, "kind": ["question", "claim", "check"], "quotation": ["why?", "so", ""]})
    found = [Finding(name, "holds", "seen", "our run") for name in ids]
    assert [f.id for f in claims.on_claims(found, quoted)] == ["C2"]
    page = verdicts.forest(claims.judged(ledger, quoted, our_run=found)).data
    places = [page.index(text) for text in (">C2<", "Consistency checks", ">C3<", "Questions", ">C1<")]
    assert places == sorted(places)
    with pytest.raises(KeyError):
        verdicts.forest(claims.judged(ledger, quoted.assign(kind="guess"), our_run=found))


def test_published_tables_name_their_place():
    for table in ("claims", "settings", "features", "contradictions"):
        assert published.read("nisqa_explained", table)["source"].notna().all()
    with pytest.raises(SettingsError, match="no published table"):
        published.read("nisqa_explained", "wishes")


def test_the_published_run_is_whole():
    """Every record in the repository reads, carries its statuses, and its key is the hash of its trial."""
    from sqa_core import environment

    folder = environment.resource("book", "results")
    by_slug = {sub.name: records.read_all(sub) for sub in sorted(folder.iterdir()) if sub.is_dir()}
    found = [r for of_slug in by_slug.values() for r in of_slug]
    assert found
    assert all(r.trial["study"] == slug for slug, of_slug in by_slug.items() for r in of_slug)
    ours = {p.parent.name: sha256(p)[:12] for p in environment.resource("networks").glob("*/model.safetensors")}
    official = {name: known.sha256[:12] for name, known in weights.KNOWN.items()}
    for r in found:
        if r.trial.get("network") and isinstance(r.trial["network"], str):  # "" or settings where a trial trains its own
            assert r.trial["weights_hash"] == (ours | official)[r.trial["network"]], "of weights that are no longer here"
        text = json.dumps(r.trial, sort_keys=True, separators=(",", ":"))
        assert r.key == short_hash(text, 16)
        # Where languages can be equal on synthetic voices alone, where a stated function answers in the place of listeners, and a control.
        controlled = r.trial["study"] in ("language_barriers", "jsqa") or r.trial["kind"] == "permuted"
        assert r.data_status in ("real", "paper", *(["synthetic"] * controlled))


@pytest.mark.parametrize("name", own_networks.RECIPES)
def test_the_model_card_says_what_the_records_say(name):
    """Made from the training's facts and the published run; `own_networks.card` writes it anew."""
    from sqa_core import environment

    found = records.read_all(environment.resource("book", "results", "labels"))
    assert environment.resource("networks", name, "README.md").read_text() == own_networks.card(name, found)


@pytest.mark.parametrize("name", calls_networks.RECIPES)
def test_the_card_of_a_network_of_calls_says_what_the_records_say(name):
    from sqa_core import environment
    from sqa_core.studies.language_barriers import page
    from sqa_core.studies.shared import published_run

    folder = environment.resource("networks", name)
    if not folder.is_dir():
        pytest.skip(f"{name} is not in the repository; `sqa train {name}` makes it")
    run = page.Run(published_run("language_barriers"))
    assert (folder / "README.md").read_text() == calls_networks.card(name, page.card_rows(run, name)), "`page.write_card` writes it anew"
    facts = json.loads((folder / "training.json").read_text())
    assert facts.get("listeners_pcc") == (page.listeners_pcc(run) if name == weights.DEFAULT else None)
    if "listeners" in facts and registry.find("p835"):
        for kept, now in zip(facts["listeners"], page.rated_anew(run, name), strict=True):
            assert {k: kept[k] for k in ("set", "output", "network")} == {k: now[k] for k in ("set", "output", "network")}
            assert [float(kept[k]) for k in ("by_condition", "rmse")] == pytest.approx(
                [float(now[k]) for k in ("by_condition", "rmse")], abs=0.02
            )


DAMAGE = {
    "another trial's record under this key": lambda body: body | {"key": "f" * 16},
    "a field is missing": lambda body: {k: v for k, v in body.items() if k != "wall_s"},
    "a field too many": lambda body: body | {"extra": 1},
    "a time of text": lambda body: body | {"wall_s": "fast"},
    "metrics that are a list": lambda body: body | {"metrics": []},
    "a trial without a kind": lambda body: body | {"trial": {}},
    "a list": lambda body: [body],
    "a number": lambda body: 3,
    "null": lambda body: None,
}


@pytest.mark.parametrize("name", DAMAGE)
def test_a_damaged_record_is_one_sentence_that_names_it(tmp_path, name):
    (record,) = trials.run([coin(seed=1)], tmp_path)
    path = tmp_path / "coins" / f"{record.key}.json"
    path.write_text(json.dumps(DAMAGE[name](json.loads(path.read_text()))))
    with pytest.raises(SettingsError, match=rf"{record.key}\.json: .*; delete it to have"):
        records.read_all(tmp_path / "coins")


@pytest.mark.parametrize("ending", ["parquet", "npz"])
def test_a_damaged_table_or_array_is_one_sentence_that_names_it(tmp_path, ending):
    (record,) = trials.run([coin(seed=1)], tmp_path)
    path = tmp_path / "coins" / f"{record.key}.{ending}"
    for damaged in (b"", path.read_bytes()[: path.stat().st_size // 2], b"no such thing"):
        path.write_bytes(damaged)
        with pytest.raises(SettingsError, match=rf"{record.key}\.{ending}: cannot be read"):
            record.items() if ending == "parquet" else record.arrays()


def test_damaged_packed_files_are_one_sentence_that_names_them(tmp_path):
    trials.run([coin(seed=s) for s in range(3)], tmp_path)
    folder = tmp_path / "coins"
    records.pack(folder)
    for ending in ("parquet", "npz"):
        path = folder / f"coin.{ending}"
        path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
        record = records.read_all(folder)[0]
        with pytest.raises(SettingsError, match=rf"coin\.{ending}: cannot be read .*; restore the file"):
            record.items() if ending == "parquet" else record.arrays()
    path = folder / "coin.jsonl"
    path.write_bytes(path.read_bytes()[:-20])
    with pytest.raises(SettingsError, match=r"coin\.jsonl, line 3: cut short"):
        records.read_all(folder)


def test_a_record_nested_too_deep_and_a_pipe_are_one_sentence(tmp_path):
    (record,) = trials.run([coin(seed=1)], tmp_path)
    path = tmp_path / "coins" / f"{record.key}.json"
    path.write_text("[" * 100_000)
    with pytest.raises(SettingsError, match="not a record"):
        records.read_all(tmp_path / "coins")
    path.unlink()
    os.mkfifo(path)
    with pytest.raises(SettingsError, match="not a file but a pipe"):
        records.read_all(tmp_path / "coins")


@pytest.mark.parametrize("place", ["/dev/null", "a file"])
def test_a_store_that_is_no_folder_is_refused_before_work(tmp_path, place):
    if place == "a file":
        place = tmp_path / "a"
        place.touch()
    with pytest.raises(SettingsError, match="not a folder"):
        store.check(str(place))
    store.check(str(tmp_path / "not there yet"))
    store.check("")


def test_what_cannot_be_written_is_refused_where_something_is_to_be_computed(tmp_path, monkeypatch):
    """Complete records can be read there, and an address is no folder of this machine."""
    trials.run([coin(seed=1)], tmp_path)
    monkeypatch.setattr(store, "require_writable", refused)
    (record,) = trials.run([coin(seed=1)], tmp_path)
    assert record.items() is not None
    with pytest.raises(SettingsError, match="nothing can be written"):
        trials.run([coin(seed=2)], tmp_path)
    store.require_space("s3://bucket/folder")


def refused(folder):
    raise SettingsError(f"{folder}: nothing can be written there.")
