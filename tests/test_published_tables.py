"""The published tables and verdicts are those of the snapshot, and survive changes of settings classes and defaults."""

import inspect
from dataclasses import field, fields, make_dataclass

import numpy as np
import pandas as pd
import pytest

from sqa_core.corpora import registry, splits
from sqa_core.learning.ast_from_scratch import BaselineSettings
from sqa_core.learning.probes import ProbeSettings
from sqa_core.results import frame, records
from sqa_core.results.records import Record
from sqa_core.results.trials import added_later, canonical
from sqa_core.studies.shared import published_run
from sqa_core.studies.speech_models import plan, selection, tables
from sqa_core.studies.speech_models.trials import ProbeTrial
from tests import published_tables
from tests.conftest import ROOT


@pytest.mark.parametrize("slug", published_tables.CHAPTERS)
def test_published_tables_are_those_of_the_snapshot(slug, tmp_path):
    with published_tables.on_a_bare_machine():
        named = dict(published_tables.CHAPTERS[slug](published_run(slug)))
    assert {f"{slug}-{name}.csv" for name in named} == {p.name for p in published_tables.FOLDER.glob(f"{slug}-*.csv")}
    for name, table in named.items():
        assert len(table), name
        table.to_csv(tmp_path / "now.csv", index=False)
        now, kept = pd.read_csv(tmp_path / "now.csv"), pd.read_csv(published_tables.FOLDER / f"{slug}-{name}.csv")
        pd.testing.assert_frame_equal(now, kept, check_exact=False, rtol=1e-5, atol=1e-7, obj=f"{slug}, {name}")


@pytest.fixture(scope="module")
def probes() -> list[Record]:
    return frame.records(published_run("speech_models"), "probe", corpus="emodb", encoder="whisper-base", protocol="speaker")


def test_a_record_of_an_older_schema_is_still_selected(probes):
    usual = selection.run_of(probes).cell("emodb", "whisper-base")
    assert len(usual) == len(plan.SEEDS)
    older = []
    for r in usual:  # as if written before these fields existed
        settings = {k: v for k, v in r.trial["settings"].items() if k not in ("standardise", "normalise_layers")}
        older.append(Record(**{**r.__dict__, "trial": r.trial | {"settings": settings}}))
    assert [r.key for r in usual] == [r.key for r in selection.run_of(older).cell("emodb", "whisper-base")]


def test_a_changed_default_empties_no_table(probes, monkeypatch):
    """The chapter's own choices are in its plan, so a library default can change."""
    before = selection.run_of(probes).cell("emodb", "whisper-base")
    start = inspect.unwrap(ProbeSettings.__init__)
    monkeypatch.setattr(start, "__defaults__", tuple(999 if d == 30 else d for d in start.__defaults__))
    assert ProbeSettings("linear").epochs == 999
    assert selection.run_of(probes).cell("emodb", "whisper-base") == before


@pytest.mark.parametrize(("usual", "kind"), [("USUAL", ProbeSettings), ("USUAL_AST", BaselineSettings)])
def test_a_chapters_choices_are_written_out(usual, kind):
    """Each field by name in the source of the plan, so no default of the library decides."""
    source = (ROOT / "sqa_core" / "studies" / "speech_models" / "plan.py").read_text()
    call = source.split(f"\n{usual} = ")[1].split("\n)\n")[0]
    first = 0 if f"{fields(kind)[0].name}=" in call else 1  # the first may be given by position
    assert [f.name for f in fields(kind)[first:] if f"{f.name}=" not in call] == []


def test_a_field_that_is_added_later_changes_no_key():
    extended = make_dataclass(
        "ProbeSettings", [("label_smoothing", float, field(default=0.0, metadata=added_later(0.0)))], bases=(ProbeSettings,), frozen=True
    )
    assert canonical(extended("linear")) == canonical(ProbeSettings("linear"))
    assert canonical(extended("linear", label_smoothing=0.1)) == canonical(ProbeSettings("linear")) | {"label_smoothing": 0.1}
    common = {"study": "x", "data_status": "real", "corpus": "x", "corpus_hash": "x", "encoder": "x", "weights_hash": "x"}
    common |= {"protocol": "speaker", "split_hash": "x"}
    keys = {ProbeTrial(**common, settings=s("linear")).key for s in (ProbeSettings,)}
    assert keys == {
        ProbeTrial.model_construct(**ProbeTrial(**common, settings=ProbeSettings("linear")).__dict__ | {"settings": extended("linear")}).key
    }


def test_stored_splits_are_those_that_the_rules_give():
    tried = 0
    for path in sorted((ROOT / "book" / "splits").glob("*.csv")):
        corpus, protocol, seed = path.stem.rsplit("-", 2)
        if registry.find(corpus):
            tried += 1
            assert splits.make(registry.load(corpus), protocol, int(seed)).hash == splits.read(path).hash, path.stem
    if not tried:
        pytest.skip("no corpus of emotions is here (SQA_DATA)")


def test_unknown_corpora_and_encoders_are_in_the_tables(probes):
    own = [Record(**{**r.__dict__, "trial": r.trial | {"corpus": "my-corpus", "encoder": "someone/my-encoder"}}) for r in probes]
    table = tables.table3(selection.run_of(own))
    assert set(table["corpus"]) == {"my-corpus"}
    assert set(table["model"]) == {"someone/my-encoder"}
    assert np.isfinite(table["F1"]).all()


def test_records_of_the_published_runs_are_packed():
    for folder in (ROOT / "book" / "results").iterdir():
        if folder.is_dir():
            assert not list(folder.glob("*.json")), "join single records: sqa records pack"
            for kind in folder.glob("*.jsonl"):
                lines = kind.read_text().splitlines()
                assert lines == sorted(lines), f"{kind.name}: by key"
            assert len(records.keys(folder)) == len(records.read_all(folder))
