"""The claims' tests on records in which the answer was planted, and the trials on the built-in sounds."""

import numpy as np
import pandas as pd
import pytest

from sqa_core import records
from sqa_core.records import Record
from sqa_core.studies import nisqa_explained as study
from sqa_core.studies import nisqa_explained_trials as measured

TALKERS = ("en", "es", "fr", "it")
NOISES = [("noise", float(snr)) for snr in (0, 5, 10, 15, 20, 30)]
KINDS = [*[("cut", np.nan, ms) for ms in (20, 40, 80, 160)], ("clean", np.nan, 0), *[(*noise, 0) for noise in NOISES]]


def record(tmp_path, kind, items, metrics=None, arrays=None, **trial) -> Record:
    key = f"{len(list(tmp_path.iterdir())):016x}"
    trial = {"kind": kind, "network": study.PAPERS_LAYOUT, "corpus": "prompts", "randomised": False, **trial}
    return records.write(Record(key, trial, metrics or {}, "real", "other", 0.0, "cpu", {}, "none"), tmp_path, items, arrays)


@pytest.fixture
def features(tmp_path):
    """Feature 0 tells cuts, 1 pauses, 2 is its opposite, 3 follows the ratio of speech to noise, 4 does nothing."""
    rng = np.random.default_rng(0)
    rows = []
    for talker in TALKERS:
        for kind, snr, ms in KINDS:
            common = {
                "file": f"{talker} {kind} {snr} {ms}",
                "condition": f"{kind} {snr} {ms}",
                "talker": talker,
                "kind": kind,
                "snr_db": snr,
            }
            common["mos"] = 1.2 if kind == "cut" else 4.0 + rng.normal(0, 0.05)
            means = [5.0 if kind == "cut" else 0.0, 0.3, -0.3, 0.0 if np.isnan(snr) else snr, 0.0]
            for feature, mean in enumerate(means):
                cut = {0: 0.97}.get(feature, 0.5) if kind == "cut" else np.nan
                pause = {1: 0.96, 2: 0.08}.get(feature, 0.5)
                noise = rng.normal(0, 0.01)
                rows.append(common | {"feature": feature, "mean": mean + noise, "auc_cut": cut, "auc_pause": pause + noise / 10})
    correlation = np.eye(5)
    correlation[1, 2] = correlation[2, 1] = -0.9
    metrics = {"participation": [1.8, 1.5, 2.1], "pairs_above_0.9": 1, "features": 5}
    return record(tmp_path, "features", pd.DataFrame(rows), metrics, {"correlation": correlation})


def attribution(tmp_path, rates, **columns):
    columns = {f"r_ig_{v}": np.full(len(rates), 0.5) for v in study.VARIANTS} | {"centroid_complete": np.arange(len(rates)) + 0.5} | columns
    rows = [
        {"file": f"{t}{c}", "condition": c, "talker": t, "feature": f, **{f"active_{m}": rate for m in (*study.VARIANTS, "ig")}}
        | {name: values[f] for name, values in columns.items()}
        for t in TALKERS
        for c in ("a", "b")
        for f, rate in enumerate(rates)
    ]
    return record(tmp_path, "attribution", pd.DataFrame(rows), corpus="p835", steps=50)


def verdict(found, claim):
    return next(f for f in found if f.id == claim)


def test_features_are_found_by_what_they_do(features):
    assert study.roles(features) == {"cut": 0, "pause": 1, "voice": 2, "noise": 3}


def test_planted_features_make_their_claims_hold(features, tmp_path):
    real = record(tmp_path, "features", features.items(), corpus="p835")
    maps = attribution(tmp_path, [0.05, 1.0, 1.0, 1.0, 0.0])
    found = study.findings([features, real, maps])
    for claim in ("C5", "C7", "C8", "C9", "C10", "C17"):
        assert next((f.verdict for f in found if f.id == claim), None) == "holds", claim
    assert "chosen on other talkers" in verdict(found, "C7").evidence


def test_a_feature_that_is_always_on_does_not_mark_interruptions(features, tmp_path):
    real = record(tmp_path, "features", features.items(), corpus="p835")
    found = study.findings([features, real, attribution(tmp_path, [0.95, 1.0, 1.0, 1.0, 0.0])])
    assert verdict(found, "C7").verdict == "fails"


def test_agreement_of_methods_is_judged_for_each_variant(tmp_path):
    high, low = np.full(3, 0.9), np.full(3, 0.4)
    of = {f"r_ig_{v}": high for v in study.VARIANTS}
    assert study._agreement(attribution(tmp_path, [1, 1, 1], **of)).verdict == "holds"
    assert study._agreement(attribution(tmp_path, [1, 1, 1], **(of | {"r_ig_complete": low}))).verdict == "undecided"
    assert study._agreement(attribution(tmp_path, [1, 1, 1], **dict.fromkeys(of, low))).verdict == "fails"


def masks(tmp_path, silent_change, noise_change, cut_change):
    rows = []
    for talker in TALKERS:
        for condition, kind, mos in (
            ("clean", "clean", 4.2),
            ("silence-0.5", "silence", 4.0),
            ("noise-pink-0", "noise", 2.0),
            ("cut-80-4", "cut", 2.5),
        ):
            for i in range(12):
                silent, voice = float(i < 4 and kind in ("clean", "silence")), float(i >= 4)
                row = {
                    "silent": silent,
                    "voice": voice,
                    "noise_alone": float(kind == "noise" and i < 4),
                    "cut": float(kind == "cut" and i == 7),
                }
                change = silent_change if silent else noise_change if row["noise_alone"] else cut_change if row["cut"] else -0.3 - 0.01 * i
                rows.append(
                    row
                    | {
                        "file": f"{talker} {condition}",
                        "condition": condition,
                        "talker": talker,
                        "kind": kind,
                        "mos": mos,
                        "change_mos": change,
                    }
                )
    return record(tmp_path, "occlusion_survey", pd.DataFrame(rows))


def test_claims_on_masks(tmp_path):
    found = study.findings([masks(tmp_path, silent_change=0.001, noise_change=0.05, cut_change=-0.1)])
    assert {f.id: f.verdict for f in found} == {"C1": "holds", "C3": "holds", "C4": "holds"}


def test_claims_on_masks_fail_where_they_should(tmp_path):
    found = study.findings([masks(tmp_path, silent_change=-0.5, noise_change=-0.05, cut_change=0.2)])
    assert {f.id: f.verdict for f in found} == {"C1": "fails", "C3": "fails", "C4": "fails"}


def test_stripes_vanish_with_one_baseline(tmp_path):
    def quiet(baseline, empty):
        rows = [
            {"file": t, "condition": "clean", "talker": t, "feature": f, **{f"empty_{m}": empty for m in ("ig", *study.VARIANTS)}}
            | {f"sounding_{m}": 1.0 for m in ("ig", *study.VARIANTS)}
            for t in TALKERS
            for f in range(3)
        ]
        return record(tmp_path, "attribution", pd.DataFrame(rows), baseline=baseline, steps=50)

    stripes = [quiet("zero", 0.8), quiet("floor", 0.1), quiet("min", 0.0), quiet("noise", 0.5)]
    (found,) = study.findings(stripes)
    assert (found.id, found.verdict) == ("C15", "holds")
    assert verdict(study.findings([quiet(b, 0.2) for b in ("zero", "floor", "min", "noise")]), "C15").verdict == "fails"


def test_conductance_facts_of_known_maps():
    apart, rng = np.zeros((2, 2, 10, 10)), np.random.default_rng(0)
    apart[0, 0, 0], apart[0, 1, 9] = 1, 1
    apart[1] = -apart[0]
    facts = measured._conductance_facts(apart, rng)
    assert facts["overlap"] == 0
    assert facts["least_correlation"] == pytest.approx(-1)
    assert facts["smooth"] > facts["smooth_shuffled"]
    assert np.isnan(measured._conductance_facts(np.zeros((2, 2, 4, 4)), rng)["overlap"])


def test_trials_on_built_in_sounds():
    """The smallest of each, run."""
    fields = study._fields(study.DEMO_NETWORK, "polyglot")
    few = {"conditions": ("clean", "cut-320-4"), "talkers": ("en-m6",)}
    features = measured.FeaturesTrial(**fields, conditions=few["conditions"]).run()
    assert features.metrics["features"] == 20
    assert features.items["auc_cut"].notna().sum() == 4 * 20
    stability = measured.StabilityTrial(**fields, conditions=("clean",), talkers=few["talkers"]).run()
    assert stability.items["rho"].between(-1, 1).all()
    located = measured.LocalisationTrial(**fields, conditions=("cut-320-4",), talkers=few["talkers"], randomised=True).run()
    assert located.items["auc"].between(0, 1).all()
    assert located.items["r_trained"].notna().all()
    conductance = measured.ConductanceTrial(**fields, talkers=few["talkers"], segments=1, conditions=("clean",)).run()
    assert set(conductance.items["layer"]) == set(range(1, 7))
