"""All tables and verdicts of the published runs by name: what the snapshot test compares and the benchmark times.

`python -m tests.published_tables` writes the snapshot anew, after a change that is meant; the diff then shows what it changes.
"""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from unittest import mock

import pandas as pd

from sqa_core.models import encoder_catalogue
from sqa_core.results import frame
from sqa_core.results.claims import Finding
from sqa_core.studies.humpcat import claims as humpcat_claims
from sqa_core.studies.humpcat import page as humpcat_page
from sqa_core.studies.humpcat import tables as humpcat
from sqa_core.studies.humpcat import tables_controls as humpcat_controls
from sqa_core.studies.jsqa import claims as jsqa_claims
from sqa_core.studies.jsqa import page as jsqa_page
from sqa_core.studies.jsqa import tables as jsqa
from sqa_core.studies.labels import page as labels_page
from sqa_core.studies.labels import tables as labels
from sqa_core.studies.language_barriers import page as barriers_page
from sqa_core.studies.language_barriers import tables as barriers
from sqa_core.studies.nisqa_explained import claims as explained_claims
from sqa_core.studies.nisqa_explained import page as explained_page
from sqa_core.studies.nisqa_explained import plan as explained_plan
from sqa_core.studies.nisqa_explained import tables as explained
from sqa_core.studies.score import tables as score
from sqa_core.studies.shared import published_run
from sqa_core.studies.speech_models import claims, claims_printed, open_questions, page, selection, tables, variability
from sqa_core.studies.speech_models import findings as chapter_findings

FOLDER = Path(__file__).parent / "golden" / "published_tables"
Named = Iterator[tuple[str, pd.DataFrame]]


def of_speech_models(found: Any) -> Named:
    """found : the run's records, or their table."""
    run = selection.run_of(found)
    judged = claims.findings(run)
    of_run: dict[str, Callable[[selection.Run], Any]] = {
        "cards": tables.cards_table,
        "class_f1": tables.class_table,
        "glance": tables.glance,
        "layer_weights": tables.layer_weights,
        "splits_reached": tables.split_facts,
        "across": open_questions.across_table,
        "channels": open_questions.channels_table,
        "layers_table": open_questions.layers_table,
        "leads": open_questions.leads_table,
        "other_choices": open_questions.choices_table,
        "splits": variability.splits_table,
        "epochs": variability.epochs_table,
        "epochs_by_model": variability.epochs_by_model,
        "detectable": variability.detectable_table,
        "speakers": variability.speakers_table,
        "overview": chapter_findings.overview,
        "heads_loso": chapter_findings.heads_table,
        "deviations": chapter_findings.deviations_table,
        "table1": tables.table1,
        "table2": tables.table2,
        "table3": tables.table3,
        "two_by_two": open_questions.two_by_two,
        "ways": open_questions.speaker_assignments_table,
    }
    for name, make in of_run.items():
        yield name, make(run)
    yield "models", chapter_findings.by_model(run).reset_index()
    yield "table2_vs_table3", tables.table2_against_table3()
    yield "reach", open_questions.reach_of_weights()
    yield "claims_printed", _verdicts(claims_printed.findings())
    yield "claims", _verdicts(judged)
    yield "glue", _values(page.glue_values(run, judged) | chapter_findings.values(run))


def of_nisqa_explained(found: pd.DataFrame) -> Named:
    quiet = frame.records(found, "attribution", network=explained_plan.PAPERS_LAYOUT, conditions=explained_plan.QUIET, randomised=False)
    by_network = explained_claims.of_networks(found)
    of_run: dict[str, Callable[[pd.DataFrame], pd.DataFrame]] = {
        "agreement": explained.agreement_table,
        "deviations": explained_page.deviations_table,
        "controls": explained.controls_table,
        "cuts_by_length": explained.cuts_by_length,
        "dimension_maps": explained.dimension_maps_table,
        "dimensions": explained.dimensions_table,
        "localisation": explained.localisation_table,
        "names": explained.names_table,
        "stability": explained.stability_table,
        "thresholds": explained.thresholds_table,
        "variants": explained.variants_table,
    }
    for name, make in of_run.items():
        yield name, make(found)
    yield "stripes", explained.stripes_table(quiet)
    yield "dead_units", explained.dead_units(frame.records(found, "dead_units"))
    yield "claims_by_network", explained_claims.claims_by_network(found, by_network)
    yield "claims", _verdicts(by_network["our_run"])
    yield "glue", _values(explained_page.glue_values(found, by_network))


def of_labels(found: pd.DataFrame) -> Named:
    yield "table", labels.table(found)
    yield "glue", _values(labels_page.glue_values(found))


def of_score(found: pd.DataFrame) -> Named:
    yield "rates", score.rates(found)[1]


def of_language_barriers(found: pd.DataFrame) -> Named:
    run = barriers_page.Run(found)
    yield "grid_synthetic", barriers.grid_table(run.scores, run.synthetic, "synthetic")
    yield "grid_real", barriers.grid_table(run.scores, run.real, "real")
    yield "spread", barriers.spread_table(run.synthetic, barriers.tested_languages(run.synthetic))
    yield "teachers", barriers.teachers_table(found)
    yield "variants", barriers.variants_table(run.varied, "synthetic")
    of_scores: dict[str, Callable[[pd.DataFrame], pd.DataFrame]] = {
        "listeners": barriers.listeners_table,
        "variance": barriers.variance_table,
        "voices": barriers.voices_table,
        "data": barriers.data_table,
        "talkers": barriers.talkers_table,
    }
    for name, make in of_scores.items():
        yield name, make(run.scores)
    # Without the ranks after a cubic of scores that hardly correlate: its coefficients are rounding, and differ from machine to machine.
    yield "mapping", barriers.mapping_table(run.scores, "synthetic").drop(columns="SRCC, third order")
    yield "steadier", barriers.steadier_table(run.scores, "synthetic", barriers.tested_languages(run.synthetic))
    yield "kinds", barriers.kinds_table(run.scores, "real")
    of_records: dict[str, Callable[[pd.DataFrame], pd.DataFrame]] = {
        "gaps": barriers.gaps_table,
        "mandarin_gaps": barriers.mandarin_gaps_table,
        "looks": barriers.looks_table,
        "sensitivity": barriers.sensitivity_table,
    }
    for name, make in of_records.items():
        yield name, make(found)
    yield "claims_synthetic", _verdicts(run.verdicts_synthetic)
    yield "claims_real", _verdicts(run.verdicts_real)
    yield "glue", _values(barriers_page.glue_values(run))


def of_jsqa(found: pd.DataFrame) -> Named:
    made: dict[str, Callable[[pd.DataFrame], pd.DataFrame]] = {
        "judgements": jsqa.judgements_table,
        "answers": jsqa.answers_table,
        "thresholds": jsqa.thresholds_table,
        "inside": jsqa.inside_table,
        "boundary": jsqa.boundary_table,
        "distances": jsqa.distances_table,
        "embedding": jsqa.embedding_table,
        "embedding_curve": jsqa.embedding_curve,
        "embedding_by_noise": jsqa.embedding_by_noise,
        "order": jsqa.order_table,
        "alternatives": jsqa.alternatives_table,
        "table1": jsqa.table1,
        "gains": jsqa.gains_table,
        "impairments": jsqa.impairments_table,
        "calibration": jsqa.calibration_table,
        "controls": jsqa.controls_table,
        "epochs": jsqa.epochs_table,
        "lengths": jsqa.lengths_table,
        "heads": jsqa.heads_table,
        "on_listeners": jsqa.listeners_table,
        "curves": jsqa.curves_table,
    }
    for name, make in made.items():
        yield name, make(found)
    run = jsqa.Run(found)
    yield "claims", _verdicts(jsqa_claims.findings(run))
    yield "glue", _values(jsqa_page.glue_values(run))


def of_humpcat(found: pd.DataFrame) -> Named:
    made: dict[str, Callable[[pd.DataFrame], pd.DataFrame]] = {
        "accuracy": humpcat.accuracy_table,
        "shares": humpcat.shares_table,
        "variants": humpcat.variants_table,
        "speakers": humpcat.speakers_table,
        "attention": humpcat.attention_table,
        "neutral": humpcat.neutral_table,
        "languages": humpcat.languages_table,
        "broken": humpcat_claims.broken,
        "layers": humpcat.layers_table,
        "source": humpcat.source_table,
        "labels": humpcat_controls.labels_table,
        "size_matched": humpcat_controls.size_table,
        "turning": lambda found: humpcat.turning_points(humpcat.shares_table(found)),
    }
    for name, make in made.items():
        yield name, make(found)
    yield "claims", _verdicts(humpcat_claims.findings(found))
    yield "glue", _values(humpcat_page.glue_values(found))


CHAPTERS: dict[str, Callable[[Any], Named]] = {
    "score": of_score,
    "labels": of_labels,
    "nisqa_explained": of_nisqa_explained,
    "language_barriers": of_language_barriers,
    "jsqa": of_jsqa,
    "speech_models": of_speech_models,
    "humpcat": of_humpcat,
}


def _verdicts(findings: list[Finding]) -> pd.DataFrame:
    rows = [{"id": f.id, "verdict": f.verdict, "strict": f.strict, "chance": f.chance, "evidence": f.evidence} | _ends(f) for f in findings]
    return pd.DataFrame(rows)


def _ends(finding: Finding) -> dict[str, float]:
    return finding.interval._asdict() | {"criterion": finding.criterion.what if finding.criterion else ""} if finding.interval else {}


def _values(values: dict[str, str]) -> pd.DataFrame:
    return pd.DataFrame(values.items(), columns=["key", "value"])


def on_a_bare_machine() -> Any:
    """A context in which no encoder is found, so that tables do not depend on what is installed."""
    return mock.patch.object(encoder_catalogue, "available", return_value=False)


def main() -> None:
    FOLDER.mkdir(exist_ok=True)
    with on_a_bare_machine():
        for slug, of_chapter in CHAPTERS.items():
            for name, table in of_chapter(published_run(slug)):
                table.to_csv(FOLDER / f"{slug}-{name}.csv", index=False)


if __name__ == "__main__":
    main()
