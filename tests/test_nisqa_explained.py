"""The claims' tests on records in which the answer was planted, and the trials on the built-in sounds."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import soundfile
import torch

from sqa_core import audio
from sqa_core.errors import SettingsError
from sqa_core.explain import files
from sqa_core.figures import widgets
from sqa_core.learning import own_networks
from sqa_core.models import weights
from sqa_core.models.nisqa import Nisqa
from sqa_core.results import frame
from sqa_core.results.claims import Finding
from sqa_core.results.records import Record
from sqa_core.studies.nisqa_explained import claims, page, plan, roles, tables, trials, trials_known_truth, trials_occlusion
from tests.conftest import stored

TALKERS = ("en", "es", "fr", "it")
NOISES = [("noise", float(snr)) for snr in (0, 5, 10, 15, 20, 30)]
KINDS = [*[("cut", np.nan, ms) for ms in (20, 40, 80, 160)], ("clean", np.nan, 0), *[(*noise, 0) for noise in NOISES]]


def record(tmp_path, kind, items, metrics=None, arrays=None, **trial) -> Record:
    key = f"{len(list(tmp_path.iterdir())):016x}"
    trial = {"kind": kind, "network": plan.PAPERS_LAYOUT, "corpus": "prompts", "randomised": False, **trial}
    return stored(Record(key, trial, metrics or {}, "real", "other", 0.0, "cpu", {}, "none"), tmp_path, items, arrays)


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
    correlation[1, 2] = correlation[2, 1] = -0.95
    moments = np.pad(correlation, (0, 1)) * 100
    moments[-1, -1] = 100
    items = pd.DataFrame(rows)
    return record(
        tmp_path,
        "features",
        items,
        {"varying": 5, "features": 5, "always_zero": 0},
        {"moments": np.stack([moments] * items["file"].nunique())},
    )


def attribution(tmp_path, rates, corpus="p835", conditions=(), **columns):
    columns = {"sounding_complete": np.ones(len(rates))} | columns
    columns = (
        {f"r_ig_{v}": np.full(len(rates), 0.5) for v in trials.VARIANTS} | {"centroid_complete": np.arange(len(rates)) + 0.5} | columns
    )
    rows = [
        {"file": f"{t}{c}", "condition": c, "talker": t, "feature": f, **{f"active_{m}": rate for m in (*trials.VARIANTS, "ig")}}
        | {name: values[f] for name, values in columns.items()}
        for t in TALKERS
        for c in ("a", "b")
        for f, rate in enumerate(rates)
    ]
    return record(tmp_path, "attribution", pd.DataFrame(rows), corpus=corpus, steps=50, conditions=conditions, baseline="floor")


def judged(found: list[Record], **chosen) -> list[Finding]:
    return claims.findings(frame.of(found), **chosen)


def verdict(found, claim):
    return next(f for f in found if f.id == claim)


def test_features_are_found_by_what_they_do(features):
    assert roles.roles(features) == {"cut": 0, "pause": 1, "voice": 2, "noise": 3}


def test_planted_features_make_their_claims_hold(features, tmp_path):
    rates = [0.05, 1.0, 1.0, 1.0, 0.0]
    maps = attribution(tmp_path, rates, corpus="p835")
    cuts = attribution(tmp_path, rates, corpus="prompts", conditions=list(plan.CUTS))
    found = judged([features, maps, cuts])
    for claim in ("C5", "C7", "C8", "C9", "C17"):
        assert verdict(found, claim).verdict == "holds", claim
    assert "chosen on other talkers" in verdict(found, "C7").evidence
    assert verdict(found, "C10").verdict == "fails", "four of five features in effect"


def test_planted_faults_make_them_fail(features, tmp_path):
    always = [0.95, 1.0, 1.0, 1.0, 1.0]
    cuts = attribution(tmp_path, always, corpus="prompts", conditions=list(plan.CUTS))
    found = judged([features, cuts, attribution(tmp_path, always, corpus="p835")])
    assert verdict(found, "C5").verdict == "partly", "always present is one part of three"
    assert verdict(found, "C7").verdict == "fails", "it is always on"
    items = features.items()
    noisy = (items["feature"] == 1) & (items["snr_db"] <= 5)
    items.loc[noisy, "auc_pause"] = 0.7
    items.loc[items["feature"] == 2, "auc_pause"] = 0.5
    items.loc[items["feature"] == 3, "mean"] = 0.0
    worse = record(tmp_path, "features", items, features.metrics, features.arrays())
    found = judged([worse])
    assert verdict(found, "C8").verdict == "fails", "it minds the noise"
    assert verdict(found, "C17").verdict != "holds"


def test_the_control_is_judged_apart(features, tmp_path):
    assert judged([features], randomised=True) == []
    assert {f.id for f in judged([features])} == {"C8", "C9", "C10", "C17"}


def test_agreement_is_judged_by_the_complete_variant(tmp_path):
    high, low = np.full(3, 0.9), np.full(3, 0.4)
    of = {f"r_ig_{v}": high for v in trials.VARIANTS}
    assert claims._agreement(attribution(tmp_path, [1, 1, 1], **of)).verdict == "holds"
    found = claims._agreement(attribution(tmp_path, [1, 1, 1], **(of | {"r_ig_complete": low})))
    assert found.verdict == "fails"
    assert "modules 0.90" in found.evidence


def test_completeness_is_judged_for_each_method(tmp_path):
    good = {f"within_{m}": np.full(3, 1.0) for m in (*trials.VARIANTS, "ig")}
    every = attribution(tmp_path, [1, 1, 1], **good)
    assert claims._completeness(every, every).verdict == "holds"
    one = attribution(tmp_path, [1, 1, 1], **(good | {"within_modules": np.full(3, 0.1)}))
    assert claims._completeness(one, every).verdict == "partly", "each method stands for itself"
    none = attribution(tmp_path, [1, 1, 1], **dict.fromkeys(good, np.full(3, 0.1)))
    assert claims._completeness(none, none).verdict == "fails"


def masks(tmp_path, silent_change, noise_change, strong_change, noisy_mos=2.0):
    kinds = [("clean", "clean", 4.2, np.nan), ("clip-0.01", "clip", 4.0, np.nan), ("noise-pink-0", "noise", noisy_mos, 0.0)]
    kinds += [("stretch-pink-0-0.8", "stretch", 2.5, 0.0), ("stretch-white-10-0.8", "stretch", 2.5, 10.0)]
    rows = []
    for talker in TALKERS:
        for condition, kind, mos, snr in kinds:
            common = {"file": f"{talker} {condition}", "condition": condition, "talker": talker, "kind": kind, "snr_db": snr, "mos": mos}
            for i in range(12):
                pause = i < 4
                row = {"silent": float(pause and kind in ("clean", "clip")), "voice": float(not pause)}
                row |= {"noise_alone": float(kind == "noise" and pause), "noise": float(kind == "noise" or (kind == "stretch" and i > 7))}
                change = -0.3 - 0.01 * i
                change = silent_change if row["silent"] else noise_change if row["noise_alone"] else change
                if kind == "stretch" and row["noise"]:
                    change = strong_change if i > 8 else 0.2
                rows.append(common | row | {"change_mos": change})
    return record(tmp_path, "occlusion_survey", pd.DataFrame(rows), fill="floor")


def test_claims_on_masks(tmp_path):
    found = judged([masks(tmp_path, silent_change=0.001, noise_change=0.05, strong_change=-0.1)])
    assert {f.id: f.verdict for f in found} == {"C1": "holds", "C3": "holds", "C4": "holds"}


def test_claims_on_masks_fail_where_they_should(tmp_path):
    found = judged([masks(tmp_path, silent_change=-0.5, noise_change=-0.05, strong_change=0.2)])
    assert {f.id: f.verdict for f in found} == {"C1": "fails", "C3": "fails", "C4": "fails"}


def test_hidden_noise_must_bring_less_than_no_noise(tmp_path):
    found = judged([masks(tmp_path, silent_change=0.001, noise_change=0.9, strong_change=-0.1, noisy_mos=4.0)])
    assert verdict(found, "C3").verdict == "fails"


@pytest.mark.parametrize(
    ("high", "low", "wanted"), [(-0.5, 0.3, "holds"), (0.5, 0.9, "partly"), (0.5, -0.3, "fails"), (-0.5, None, "inconclusive")]
)
def test_high_falls_and_low_rises(tmp_path, high, low, wanted):
    rows = []
    for talker in TALKERS:
        for i, mos in enumerate([4.5, 4.2, 3.0, 1.5, 1.2]):
            if low is None and mos < 2:
                continue
            change = high + (4.5 - mos) / 3.3 * ((high + 0.8 if low is None else low) - high)
            rows.append({"file": f"{talker}{i}", "condition": str(i), "talker": talker, "mos": mos + 0.01 * i, "change_mos": change})
    found = judged([record(tmp_path, "occlusion_survey", pd.DataFrame(rows), corpus="p835", fill="floor")])
    assert verdict(found, "C2").verdict == wanted


def conductance(tmp_path, opposite, deep, overlap):
    rows, maps = [], []
    for talker in TALKERS:
        for condition in "ab":
            for layer in range(1, 7):
                smooth = 0.5 if layer < 3 else deep
                row = {"file": f"{talker}{condition}", "condition": condition, "talker": talker, "layer": layer}
                rows.append(row | {"overlap": overlap, "overlap_shuffled": 0.1, "smooth": smooth, "smooth_shuffled": 0.0})
                together = np.eye(3)
                together[0, 2] = together[2, 0] = opposite
                maps.append(together)
    return record(tmp_path, "conductance", pd.DataFrame(rows), arrays={"correlation": np.stack(maps)})


def test_claims_on_conductance(tmp_path):
    found = judged([conductance(tmp_path, opposite=-0.9, deep=-0.01, overlap=0.05)])
    assert {f.id: f.verdict for f in found} == {"C12": "holds", "C13": "holds", "C14": "holds"}
    assert "features 0 and 2" in verdict(found, "C13").evidence
    found = judged([conductance(tmp_path, opposite=-0.9, deep=0.02, overlap=0.12)])
    assert {f.id: f.verdict for f in found} == {"C12": "holds", "C13": "holds", "C14": "holds"}, "effects too small to see"
    found = judged([conductance(tmp_path, opposite=-0.3, deep=0.2, overlap=0.3)])
    assert {f.id: f.verdict for f in found} == {"C12": "fails", "C13": "fails", "C14": "fails"}


def test_stripes_vanish_with_one_baseline(tmp_path):
    def quiet(baseline, empty):
        rows = [
            {"file": t, "condition": "clean", "talker": t, "feature": f, **{f"empty_{m}": empty for m in ("ig", *trials.VARIANTS)}}
            | {f"sounding_{m}": 1.0 for m in ("ig", *trials.VARIANTS)}
            for t in TALKERS
            for f in range(3)
        ]
        return record(tmp_path, "attribution", pd.DataFrame(rows), baseline=baseline, steps=50, conditions=list(plan.QUIET))

    (found,) = judged([quiet("zero", 0.8), quiet("floor", 0.05), quiet("min", 0.0), quiet("noise", 0.5)])
    assert (found.id, found.verdict) == ("C15", "holds")
    (found,) = judged([quiet("zero", 0.8), quiet("floor", 0.4), quiet("min", 0.0), quiet("noise", 0.5)])
    assert found.verdict == "partly", "it depends on the baseline, and only one that is made of the empty segments removes it"
    assert "by construction" in found.evidence
    assert verdict(judged([quiet(b, 0.2) for b in ("zero", "floor", "min", "noise")]), "C15").verdict == "fails"


def test_conductance_facts_of_known_maps():
    apart, rng = np.zeros((2, 2, 10, 10)), np.random.default_rng(0)
    apart[0, 0, 0], apart[0, 1, 9] = 1, 1
    apart[1] = -apart[0]
    facts = trials._conductance_facts(apart, rng)
    assert facts["overlap"] == 0
    assert facts["smooth"] > facts["smooth_shuffled"]
    assert np.isnan(trials._conductance_facts(np.zeros((2, 2, 4, 4)), rng)["overlap"])


def test_trials_on_built_in_sounds():
    """The smallest of each, run."""
    fields = plan._fields(plan.DEMO_NETWORK, "polyglot")
    few = {"conditions": ("clean", "cut-320-4"), "talkers": ("en-m6",)}
    features = trials.FeaturesTrial(**fields, conditions=few["conditions"]).run()
    assert features.metrics["features"] == 20
    assert features.items["auc_cut"].notna().sum() == 4 * 20
    stability = trials.StabilityTrial(**fields, conditions=("clean",), talkers=few["talkers"]).run()
    rho = stability.items.drop_duplicates("other").set_index("other")["rho"]
    assert rho["IG floor 100"] > 0.99, "more steps give the same map"
    assert rho["IG zero 50"] < 0.5 < rho["occlusion 12x24"], "another baseline does not, a mask of half the size does roughly"
    located = trials_known_truth.LocalisationTrial(**fields, conditions=("cut-320-4",), talkers=few["talkers"], randomised=True).run()
    by_method = located.items.set_index("method")
    assert by_method["auc_shuffled"].between(0.3, 0.7).all(), "of frames in random order"
    assert by_method.loc["DeepLIFT complete, CNN", "auc"] < 0.2, "silence is the baseline: its map is dark inside a cut"
    assert (by_method["r_trained"].abs() < 0.99).all(), "shuffled weights give another map"
    conductance = trials.ConductanceTrial(**fields, talkers=few["talkers"], segments=1, conditions=("clean",)).run()
    assert set(conductance.items["layer"]) == set(range(1, 7))
    assert conductance.arrays["correlation"].shape == (6, 20, 20)


def test_attentive_networks_are_explained_by_a_fixed_draw():
    network = weights.load(weights.OWN)
    some = trials.some_features(network)
    assert len(some) == 20
    assert some == trials.some_features(network)
    assert max(some) < network.model.cnn.n_features
    assert trials.some_features(weights.load(plan.DEMO_NETWORK)) == list(range(20))


def test_whole_scores_are_explained_on_known_files(tmp_path):
    fields = plan._fields(weights.OWN, "polyglot")
    known = ("clean", "cut-320-4", "stretch-white-0-0.8", plan.BAND_LIMIT)
    result = trials_known_truth.DimensionsTrial(**fields, conditions=known, limit=plan.BAND_LIMIT, baseline="zero").run()
    items = result.items.set_index("condition")
    assert items.loc["stretch-white-0-0.8", "auc_noise"].notna().all()
    assert items.loc["cut-320-4", "auc_cut"].notna().all()
    assert items.loc["clean", ["auc_cut", "auc_noise", "noise_sum"]].isna().all(axis=None)
    emptied = items.groupby(level=0)["emptied"].mean()
    assert emptied[plan.BAND_LIMIT] > emptied["stretch-white-0-0.8"] + 0.01, "a band limit empties bands, noise does not"
    found = record(tmp_path, "dimensions", result.items, baseline="zero", limit=plan.BAND_LIMIT)
    assert len(tables.dimension_maps_table(frame.of([found]))) == 7


def test_dead_outputs_are_those_that_never_fire():
    torch.manual_seed(0)
    model = Nisqa(replace(own_networks.LSTM, features_relu=True)).eval()
    items = [(torch.randn(40, 48) * 10 - 40, torch.zeros(1))]
    with torch.no_grad():
        model.cnn.fc_out.weight[:3] = 0
        model.cnn.fc_out.bias[:3] = -1.0
        model.cnn.fc_out.bias[3:] = 100.0
    assert trials.dead_outputs(model, items) == 3


def test_growth_is_described_by_share_and_seed(tmp_path):
    def grown(share, seed, dead):
        items = pd.DataFrame({"epoch": [0, 1], "steps": [10, 20], "dead": [2, dead], "rmse": [2.0, 1.0]})
        return record(tmp_path, "dead_units", items, {"utterances": int(100 * share)}, share=share, seed=seed, epochs=2)

    said = page.dead_units_in_words(frame.of([grown(0.5, 1, 5), grown(0.5, 2, 7), grown(1.0, 1, 4)]))
    assert "With 50 utterances and 2 epochs, 2 of the 20 outputs are dead after the first epoch and 5 to 7 after the last" in said
    assert "with 100 utterances and 2 epochs, 2 of the 20 outputs are dead after the first epoch and 4 after the last" in said


def test_names_are_judged_beside_no_network_and_by_both_baselines(tmp_path):
    rng = np.random.default_rng(0)

    def dimensions(baseline, own):
        rows = [
            {
                "condition": c,
                "talker": t,
                "output": o,
                "auc_noise": np.nan,
                "auc_near": 0.5 + rng.normal(0, 0.01),
                "emptied": 0.2,
                "error": 0.01,
            }
            | {"auc_cut": (own if o == "dis" else 0.6) + rng.normal(0, 0.01) if c.startswith("cut") else np.nan, "noise_sum": np.nan}
            for c in ("cut-10-1", "cut-80-4", "clean", plan.BAND_LIMIT)
            for t in TALKERS
            for o in ("mos", "noi", "dis", "col", "loud")
        ]
        return record(tmp_path, "dimensions", pd.DataFrame(rows), baseline=baseline, limit=plan.BAND_LIMIT)

    def alone(baseline, area):
        rows = [
            {"condition": c, "talker": t, "auc_noise": np.nan, "auc_near": 0.5, "auc_cut": area}
            for c in ("cut-10-1", "cut-80-4")
            for t in TALKERS
        ]
        return record(tmp_path, "sound_alone", pd.DataFrame(rows), baseline=baseline)

    found = frame.of([dimensions("zero", 0.9), dimensions("floor", 0.5), alone("zero", 0.95), alone("floor", 0.3)])
    table = tables.names_table(found).set_index(["localised", "baseline"])
    inside = table.loc["the inside of a cut"]
    assert inside.loc["zero", "Δ vs runner-up"] == pytest.approx(0.3, abs=0.02), "it leads the others"
    assert inside.loc["zero", "Δ vs control"] == pytest.approx(-0.05, abs=0.02), "and not the sound itself"
    assert inside.loc["floor", "runner-up"] != "dis"
    assert page.dimensions_in_words(found).startswith("In 1 of")
    assert tables.cuts_by_length(found)["cuts"].tolist() == ["1 of 10 ms", "4 of 80 ms"]
    assert (tables.dimension_maps_table(found)["where"] == "completeness error in points of the score, median over files").sum() == 2


def test_the_sound_alone_needs_no_network_to_find_a_long_cut():
    fields = {"study": plan.SLUG, "data_status": "synthetic", "corpus": "polyglot", "corpus_hash": "x", "front_end": weights.OWN}
    areas = {
        b: trials_known_truth.SoundAloneTrial(**fields, conditions=("cut-320-4",), baseline=b).run().items["auc_cut"].mean()
        for b in ("zero", "floor")
    }
    assert areas["zero"] > 0.8
    assert areas["floor"] < 0.2


def test_a_long_sound_is_explained_in_part(tmp_path):
    path, network = tmp_path / "long.wav", weights.load(plan.DEMO_NETWORK)
    soundfile.write(path, np.random.default_rng(0).normal(0, 0.05, 16_000 * 70), 16_000)
    with pytest.raises(SettingsError, match="choose an excerpt with start and seconds"):
        files.explain(path, network, "deeplift")
    with pytest.raises(SettingsError, match="there is no excerpt"):
        files.explain(path, network, "deeplift", start_s=80.0, seconds=1.0)
    found = files.explain(path, network, "deeplift", start_s=3.0, seconds=0.5)
    assert found.arrays()["mel"].shape[1] == 51
    assert found.arrays()["time_s"][[0, -1]].tolist() == pytest.approx([3.0, 3.5])
    soundfile.write(path, np.random.default_rng(0).normal(0, 0.05, 16_000 * 60), 16_000)
    assert files._excerpt(path, audio.load(path), 0.0, 60.0).waveform.shape[1] == 960_000


def test_padding_to_the_papers_length_takes_its_260_masks():
    result = trials_occlusion.PaddedOcclusionTrial(**plan._fields(plan.DEMO_NETWORK, "polyglot", file="demo")).run()
    assert result.metrics["masks"] == 260
    assert 0 < result.metrics["masks_on_padding"] < 260


def test_live_sliders_read_the_score_out():
    sound = audio.Sound(np.random.default_rng(0).normal(0, 0.1, (1, 24_000)).astype(np.float32), 16_000)
    *sliders, readout = widgets.live_occlusion(sound, "prompts-pesq").children
    before = readout.value
    assert before.startswith("predicted MOS ")
    sliders[1].value = 40
    assert readout.value != before
    assert readout.value.split(", ")[1] == before.split(", ")[1], "without a mask the score stays"
