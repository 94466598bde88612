"""HuMP-CAT: the network's parts and counts, masks, attention to one vector, shares by speaker, transfers, claims, IEMOCAP's tree."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import soundfile
import torch
from torch.nn import functional as F

from sqa_core import losses
from sqa_core.corpora import splits
from sqa_core.corpora.emotion import reader
from sqa_core.corpora.manifest import Manifest
from sqa_core.errors import CorpusError, SettingsError
from sqa_core.learning import humpcat as learning
from sqa_core.learning import streams
from sqa_core.learning.humpcat import TrainSettings
from sqa_core.learning.streams import Streams
from sqa_core.models import encoder_catalogue, encoders, humpcat
from sqa_core.models.humpcat import Humpcat, HumpcatSettings, averaged, count_steps
from sqa_core.results import frame
from sqa_core.results.records import Record
from sqa_core.studies.humpcat import claims, page, plan, selection, tables, tables_controls, trials, trials_controls
from sqa_core.studies.humpcat import figures as draw
from tests.conftest import stored

SMALL = HumpcatSettings(encoder_width=48, width=16)


def made_streams(lengths, settings=SMALL, seed=0) -> Streams:
    """Random streams of files with so many frames of the encoder."""
    rng = torch.Generator().manual_seed(seed)
    encoder = [torch.randn(settings.encoder_layers, n, settings.encoder_width, generator=rng).half() for n in lengths]
    mfcc = [averaged(torch.randn(n + 1, 39, generator=rng), count_steps(n)) for n in lengths]
    if settings.contours:
        return Streams(
            [humpcat.in_blocks(x) for x in encoder],
            lengths,
            mfcc,
            [averaged(torch.randn(2 * n, 3, generator=rng), count_steps(n)) for n in lengths],
        )
    return Streams([humpcat.in_blocks(x) for x in encoder], lengths, mfcc, [torch.randn(103, generator=rng) for _ in lengths])


# The network


def test_parts_have_the_counts_of_the_specification():
    parts = Humpcat().parts()
    assert parts == {
        "encoder: convolution": 301,
        "MFCCs: LSTM": 168_336,
        "prosody: two layers": 89_964,
        "fusion 1": 2 * 765_324 + 127_260,
        "fusion 2": 2 * 765_324 + 127_260,
        "classes": 2_016,
    }
    assert sum(parts.values()) == sum(p.numel() for p in Humpcat().parameters()) == 3_576_433


@pytest.mark.parametrize("fusion", ["concatenation", "gate", "mean"])
@pytest.mark.parametrize("width", [64, 252])
def test_other_fusions_have_as_many_parameters(fusion, width):
    usual, other = (sum(Humpcat(HumpcatSettings(width=width, fusion=f)).parts().values()) for f in ("cross-attention", fusion))
    assert other == pytest.approx(usual, rel=0.002)


@pytest.mark.parametrize("width", [768, 512, 64, 50])
def test_the_product_of_matrices_is_the_convolution(width):
    stream = humpcat.EncoderStream(HumpcatSettings(encoder_width=width))
    layers = torch.randn(2, 203, width)
    found, expected = stream.convolved(humpcat.in_blocks(layers)), stream.convolution(layers[None])[0, 0]
    torch.testing.assert_close(found[: len(expected)], expected, atol=1e-5, rtol=1e-4)
    assert expected.shape == ((203 - 10) // 4 + 1, (width - 15) // 3 + 1)


def test_moments_are_over_frames_and_not_over_padding():
    frames = [5 + torch.randn(2, n, 50).half() for n in (13, 10)]
    found = Streams([humpcat.in_blocks(x) for x in frames], [13, 10], [torch.randn(1, 39)] * 2, [torch.randn(103)] * 2)
    network = Humpcat(replace(SMALL, encoder_width=50))
    network.scale_inputs(**found.moments(np.arange(2)))
    both = torch.cat(frames, dim=1).double()
    for name, expected in (("shift", both.mean(dim=1)), ("scale", both.std(dim=1, correction=0))):
        of = network.get_buffer(f"encoder_{name}")[:, 0]
        torch.testing.assert_close(of[:, :48], expected[:, :48].float(), atol=1e-5, rtol=1e-5)
        assert (of[:, 48:] == (0 if name == "shift" else 1)).all(), "a kernel of 15 columns never reaches the last two"


def test_a_sound_has_the_same_streams_whatever_was_read_before():
    pytest.importorskip("pysptk")
    encoder = encoders.load(encoder_catalogue.MINI)
    t = np.arange(16_000) / 16_000
    x = sum(np.sin(2 * np.pi * k * (120 * t + 10 * t**2)) / k for k in range(1, 9)).astype(np.float32) / 8
    of = [streams.of_sound(x, encoder, (1, 2), False, plan.PROSODY).prosody[0].nan_to_num() for x in (x, x[:-1], x)]
    torch.testing.assert_close(of[0], of[2], rtol=0, atol=0)


VARIED = [{}, {"stages": 1}, {"fusion": "gate"}, {"streams": ("encoder", "mfcc")}, {"streams": ("prosody",)}, {"depth": 2}, {"contours": True},
          {"cosine": False}, {"heads": 1}]  # fmt: skip


@pytest.mark.parametrize("changes", VARIED, ids=str)
def test_a_file_has_the_same_output_alone_and_in_a_batch(changes):
    torch.manual_seed(0)
    settings = replace(SMALL, **changes)
    network, found = Humpcat(settings), made_streams([150, 10, 61, 98], settings)
    network.scale_inputs(**found.moments(np.arange(4)))
    together = learning.predict(network, found, np.arange(4))
    for i in range(4):
        np.testing.assert_allclose(learning.predict(network, found, np.array([i]))[0], together[i], atol=2e-6)


def test_identical_keys_make_attention_uniform_and_identical_queries_one_pooling():
    torch.manual_seed(0)
    attention = humpcat.CrossAttention(16, 4).eval()
    one, many = torch.randn(3, 1, 16).expand(-1, 9, -1), torch.randn(3, 9, 16)
    outside = torch.zeros(3, 9, dtype=torch.bool)
    outside[1, 6:] = True
    _, to_one = attention(many, one, outside)
    for i, steps in enumerate((9, 6, 9)):
        torch.testing.assert_close(to_one[i, :, :steps], torch.full((9, steps), 1 / steps))
    result, from_one = attention(one, many, outside)
    assert (from_one - from_one[:, :1]).abs().max() < 1e-6, "every query has the same weights"
    assert (result - result[:, :1]).abs().max() < 1e-5, "so every step has the same result"
    _, free = attention(many, torch.randn(3, 9, 16), outside)
    assert (free - free[:, :1]).abs().max() > 1e-3, "the control: with keys that differ, weights do too"


def test_with_contours_stage_1_can_attend():
    torch.manual_seed(0)
    for contours in (False, True):
        settings = replace(SMALL, contours=contours)
        network, found = Humpcat(settings).eval(), made_streams([90], settings)
        with torch.no_grad():
            weights = network.looked_at(found.batch(np.arange(1)))[1]["mfcc on prosody"]
        uneven = float((weights * weights.shape[2] - 1).abs().max())
        assert uneven > 1e-4 if contours else uneven < 1e-5


def test_entropy_is_1_for_uniform_weights_and_0_for_one_key():
    steps = torch.tensor([4, 3])
    uniform = torch.zeros(2, 4, 4)
    uniform[0], uniform[1, :, :3] = 1 / 4, 1 / 3
    torch.testing.assert_close(humpcat.entropy(uniform, steps), torch.ones(2))
    torch.testing.assert_close(humpcat.entropy(torch.eye(4).expand(2, 4, 4), steps), torch.zeros(2))


def test_mean_and_variance_are_over_true_steps():
    x = torch.randn(2, 5, 3)
    inside = torch.tensor([[True] * 5, [True] * 2 + [False] * 3])
    found = humpcat.mean_and_variance(x, inside)
    torch.testing.assert_close(found[1], torch.cat([x[1, :2].mean(0), x[1, :2].var(0, correction=0)]))


def test_wrong_streams_are_refused():
    with pytest.raises(SettingsError, match="Streams are encoder, mfcc, prosody"):
        Humpcat(replace(SMALL, streams=("encoder", "encoder")))
    with pytest.raises(SettingsError, match="One stage is defined for cross-attention"):
        Humpcat(replace(SMALL, stages=1, fusion="mean"))


# The loss


def test_am_softmax_follows_its_formula():
    torch.manual_seed(0)
    cosines, target = torch.rand(6, 4) * 2 - 1, torch.tensor([0, 1, 2, 3, 0, 1])
    expected = 0.0
    for row, y in zip(cosines, target, strict=True):
        top = torch.exp(30 * (row[y] - 0.35))
        others = sum(torch.exp(30 * row[j]) for j in range(4) if j != y)
        expected -= float(torch.log(top / (top + others))) / 6
    assert float(losses.am_softmax(cosines, target, 30.0, 0.35)) == pytest.approx(expected, rel=1e-5)
    torch.testing.assert_close(losses.am_softmax(cosines, target, 7.0, 0.0), F.cross_entropy(7 * cosines, target))


def test_the_last_layer_gives_cosines():
    head, x = humpcat.CosineHead(6, 4), torch.randn(5, 6)
    torch.testing.assert_close(head(x), F.cosine_similarity(x[:, None], head.weight[None], dim=2))


# Training


def learnable(count=32):
    """Streams whose class stands in the prosody, and their labels."""
    found, labels = made_streams([40 + i for i in range(count)]), np.arange(count) % 4
    for i, y in enumerate(labels):
        found.prosody[i][y::4] += 3.0
    return found, labels


def test_training_learns_what_is_there_and_depends_on_the_seed_alone():
    found, labels = learnable()
    files, test = np.arange(24), np.arange(24, 32)
    one, same, other = (learning.learn(found, labels, files, SMALL, TrainSettings(epochs=20), s, watched=test) for s in (0, 0, 1))
    predicted = [learning.predict(x.network, found, test) for x in (one, same, other)]
    np.testing.assert_array_equal(predicted[0], predicted[1])
    assert not np.array_equal(predicted[0], predicted[2])
    assert (predicted[0].argmax(1) == labels[test]).mean() >= 0.75
    assert len(one.entropies["mfcc on prosody"]) == 21, "before training, and after each epoch"
    noise = np.random.default_rng(0).permutation(labels)
    control = learning.learn(found, noise, files, SMALL, TrainSettings(epochs=20), 0)
    assert (learning.predict(control.network, found, test).argmax(1) == noise[test]).mean() <= 0.6, "the control: nothing to learn"


def test_a_tuned_network_starts_from_its_source_with_its_scales():
    found, labels = learnable()
    source = learning.learn(found, labels, np.arange(16), SMALL, TrainSettings(epochs=2), 0).network.state_dict()
    start = {k: v.clone() for k, v in source.items()}
    none = learning.learn(found, labels, np.arange(0), SMALL, TrainSettings(epochs=0), 5, start)
    for name, value in none.network.state_dict().items():
        torch.testing.assert_close(value, start[name])
    tuned = learning.learn(found, labels, np.arange(16, 24), SMALL, TrainSettings(epochs=1), 5, start).network.state_dict()
    torch.testing.assert_close(tuned["prosody_shift"], start["prosody_shift"])
    assert not torch.equal(tuned["classify.weight"], start["classify.weight"])


def test_numbers_without_a_definition_become_the_mean_of_training_files():
    found, _ = learnable()
    found.prosody[3][50] = torch.nan
    network = Humpcat(SMALL)
    network.scale_inputs(**found.moments(np.arange(24)))
    with_nan = learning.predict(network, found, np.array([3]))
    assert np.isfinite(with_nan).all()
    found.prosody[3][50] = network.get_buffer("prosody_shift")[50]
    np.testing.assert_allclose(learning.predict(network, found, np.array([3])), with_nan, atol=1e-6)


# Shares


def corpus_of(speakers=6, each=20, name="made"):
    rows = [(f"{s}/{i}.wav", s, trials.CLASSES[i % 4]) for s in map(str, range(speakers)) for i in range(each)]
    table = pd.DataFrame(rows, columns=["file", "speaker", "emotion"])
    return Manifest(name, table, None, "real")


@pytest.mark.parametrize("share", [0.0, 0.01, 0.1, 0.25, 0.5, 1.0])
def test_shares_by_speaker_keep_speakers_apart(share):
    corpus = corpus_of()
    speaker = corpus.table["speaker"].to_numpy()
    part = splits.share_of(corpus, share, 3)
    assert len(part.tune) == min(round(share * 120), 80) or (share == 0.01 and len(part.tune) == 1)
    assert not set(speaker[part.tune]) & set(speaker[part.rest])
    assert set(part.fixed) <= set(part.rest)
    assert len(set(speaker[part.fixed])) == 2
    np.testing.assert_array_equal(part.fixed, splits.share_of(corpus, 0.25, 3).fixed, err_msg="the same at every share")
    assert set(splits.share_of(corpus, 0.1, 3).tune) <= set(splits.share_of(corpus, 0.5, 3).tune), "a larger share holds the smaller one"


def test_shares_by_file_mix_speakers():
    corpus = corpus_of()
    part = splits.share_of(corpus, 0.25, 0, "file")
    speaker = corpus.table["speaker"].to_numpy()
    assert len(part.tune) == 30
    assert len(part.rest) == 90
    assert set(speaker[part.tune]) & set(speaker[part.rest])


def test_shares_that_cannot_be():
    with pytest.raises(SettingsError, match=r"between 0 and 1, not 1\.5"):
        splits.share_of(corpus_of(), 1.5, 0)
    with pytest.raises(CorpusError, match="one speaker cannot be both"):
        splits.share_of(corpus_of(speakers=1), 0.5, 0)


def test_aliases_of_one_person_stay_together():
    corpus = corpus_of(name="urdu")
    corpus.table["speaker"] = corpus.table["speaker"].replace({"0": "SF1", "1": "SF4"})
    speaker = corpus.table["speaker"].to_numpy()
    for seed in range(12):
        part = splits.share_of(corpus, 0.5, seed)
        sides = ["tune" if s in set(speaker[part.tune]) else "rest" for s in ("SF1", "SF4")]
        in_rest = set(speaker[part.rest])
        assert not ("tune" in sides and in_rest & {"SF1", "SF4"})


def test_four_classes_and_what_is_merged():
    corpus = corpus_of()
    corpus.table.loc[:4, "emotion"] = "excitement"
    corpus.table.loc[5:9, "emotion"] = "fear"
    assert len(trials.four(corpus).table) == 115
    assert len(trials.four(corpus, merge_excitement=False).table) == 110
    corpus.table["emotion"] = "fear"
    with pytest.raises(CorpusError, match="no file is angry, happy, neutral or sad"):
        trials.four(corpus)


# The plan and its records


def test_layers_stand_at_the_same_relative_depth():
    assert [plan.layers_of(count, (1, 9, 12)) for count in (12, 6, 4)] == [(1, 9, 12), (1, 4, 6), (1, 3, 4)]


def test_the_paper_is_named_only_where_all_is_its_own():
    assert plan.data_status(["iemocap", "emodb"]) == "paper"
    assert plan.data_status(["ravdess", "emodb"]) == "real"
    assert plan.data_status(["polyglot-acted"]) == "synthetic"


def test_widths_that_heads_cannot_divide_are_refused():
    with pytest.raises(SettingsError, match="multiple of 4"):
        plan.trials(plan.Settings(profile="paper", width=66))


ENCODER = "whisper-small-int8"


def made_run(tmp_path, lead=6.0, seeds=(0, 1, 2), variants=("reference network", "concatenation")):
    """Records of made transfers: the source is ahead of random weights by `lead` points, the usual network ahead of concatenation by 4."""
    rng, out = np.random.default_rng(0), []
    for target in ("emodb", "emovo"):
        for seed in seeds:
            common = rng.normal(0, 3)
            for variant in variants:
                for start in ("source", "random"):
                    for share in (0.25, 1.0):
                        fields = selection._fields(variant, 12, 768)
                        accuracy = 60 + common + lead * (start == "source") - 4 * (variant == "concatenation") + rng.normal(0, 0.3)
                        trial = {
                            "kind": "transfer",
                            "study": "humpcat",
                            "target": target,
                            "source": "ravdess",
                            "seed": seed,
                            "start": start,
                        }
                        trial |= {"share": share, "by": "speaker", "encoder": ENCODER, "weights_hash": "x"} | fields
                        trial |= {"source_hash": "s", "target_hash": "t", "merge_excitement": True}
                        facts = {
                            "accuracy": accuracy,
                            "fixed_accuracy": accuracy + 2 * (share == 1),
                            "uar": accuracy,
                            "f1": accuracy,
                            "tuned": 80,
                        }
                        facts |= {"neutral_of_wrong": 20.0, "parameters": 1, "missing": [], "entropies": {"mfcc on prosody": [1.0, 1.0]}}
                        items = pd.DataFrame(
                            {"file": list("abc"), "emotion": ["anger", "neutral", "neutral"], "predicted": ["anger"] * 2 + ["neutral"]}
                        )
                        items["fixed"] = [True, True, False]
                        key = f"{len(out):016x}"
                        record = Record(key, trial, facts, "real", "other", 1.0, "CPU", {}, "commit")
                        out.append(stored(record, tmp_path, items))
    return frame.of(out)


def test_claims_follow_planted_differences(tmp_path):
    found = made_run(tmp_path)
    verdicts = {f.id: f for f in claims.findings(found)}
    assert list(verdicts) == [f"C{i}" for i in range(1, 14)]
    assert verdicts["C5"].verdict == "holds"
    assert verdicts["C5"].interval.value == pytest.approx(4, abs=0.5)
    assert verdicts["C9"].verdict == "holds"
    assert verdicts["C10"].verdict == "holds"
    assert verdicts["C3"].verdict == "fails"
    assert verdicts["C6"].verdict == "not tested"
    against = {f.id: f.verdict for f in claims.findings(made_run(tmp_path / "other", lead=-6.0))}
    assert against["C9"] == "fails"


def test_too_few_draws_decide_nothing(tmp_path):
    verdicts = {f.id: f.verdict for f in claims.findings(made_run(tmp_path, seeds=(0, 1)))}
    assert set(verdicts.values()) == {"not tested"}


def test_records_of_other_sizes_are_left_out(tmp_path):
    found = made_run(tmp_path)
    count = len(selection.transfers(found))
    longer = [replace(r, trial=r.trial | {"tuning": r.trial["tuning"] | {"epochs": 50}}) for r in found["record"][:4]]
    wider = [replace(r, trial=r.trial | {"network": r.trial["network"] | {"width": 32}}) for r in found["record"][4:6]]
    known = [replace(r, trial=r.trial | {"network": r.trial["network"] | {"width": 252}}) for r in found["record"][8:10]]
    kept = selection.transfers(frame.of([*longer, *wider, *known, *found["record"][6:8], *found["record"][10:]]))
    assert count - len(kept) == 6
    assert (kept["variant"] == "width 252").sum() == 2


def test_records_of_another_encoder_do_not_enter_the_same_cells(tmp_path):
    found = made_run(tmp_path)
    other = [replace(r, trial=r.trial | {"weights_hash": "y"}) for r in found["record"][:8]]
    both = frame.of([*found["record"], *other])
    pd.testing.assert_frame_equal(selection.transfers(both).drop(columns="record"), selection.transfers(found).drop(columns="record"))
    usual = [selection.chosen(selection.transfers(x), start=s) for x in (found, both) for s in ("source", "random")]
    assert selection.over_folds(selection.difference(*usual[:2])) == selection.over_folds(selection.difference(*usual[2:]))


def test_the_map_of_layers_has_one_draw_of_all_targets(tmp_path):
    pairs = list(plan.LAYER_PAIRS)
    assert len(pairs) == 14
    assert [sum(plan._differs(pair, encoder) for pair in pairs) for encoder in ("whisper-small-int8", "whisper-base")] == [14, 9]
    found = made_run(tmp_path, variants=("reference network", "layer 1", "last layer", *pairs))
    table = tables.layers_table(found)
    assert len(table) == 17
    assert ((table["lower layer"] == 1) & (table["upper layer"] == 9)).sum() == 1, "the paper's pair is the reference network"
    assert (table["lower layer"] == table["upper layer"]).sum() == 2
    usual = selection.chosen(selection.transfers(found), start="random")
    row = table[(table["lower layer"] == 1) & (table["upper layer"] == 9)].iloc[0]
    assert row["accuracy, %"] == pytest.approx(usual.loc[usual["seed"] == 0, "accuracy"].mean())
    first = found["record"].iloc[0].trial["target"]
    partly = frame.of([r for r in found["record"] if selection.variant_of(r.trial) != pairs[0] or r.trial["target"] == first])
    assert len(tables.layers_table(partly)) == 16, "a pair without all targets is left out"
    assert tables.layers_table(made_run(tmp_path / "few")).empty
    assert draw.layers(table).axes[0].get_xlabel() == "lower layer"


def test_an_empty_run_makes_a_page(tmp_path):
    empty = frame.of([])
    assert page.reply(empty, claims.findings(empty)) == "The published run is not complete."
    assert page.three_numbers(empty) == []
    assert set(page.glue_values(empty)) == set(page.glue_values(made_run(tmp_path)))
    for make in (tables.accuracy_table, tables.shares_table, tables.variants_table, tables.speakers_table, tables.attention_table,
                 tables.neutral_table, tables.languages_table, tables.source_table, tables.layers_table, claims.broken):  # fmt: skip
        assert make(empty).empty
    assert tables.turning_points(empty).empty
    assert page.chooser(empty) == ({}, {}, {})


def test_a_variant_that_lacks_a_target_decides_nothing(tmp_path):
    found = made_run(tmp_path)
    without = frame.of([r for r in found["record"] if (selection.variant_of(r.trial), r.trial["target"]) != ("concatenation", "emovo")])
    assert {f.id: f.verdict for f in claims.findings(without)}["C5"] == "not tested"


def test_variants_are_compared_on_draws_that_all_targets_have(tmp_path):
    found = made_run(tmp_path)
    gone = ("concatenation", "emovo", 2)
    partly = frame.of([r for r in found["record"] if (selection.variant_of(r.trial), r.trial["target"], r.trial["seed"]) != gone])
    folds = [tables.variants_table(of)["folds"].tolist() for of in (found, partly)]
    assert folds == [[6, 6], [4, 4]]


def test_the_chooser_compares_on_the_files_of_every_share(tmp_path):
    groups, lines, crossed = page.chooser(made_run(tmp_path))
    name = "EmoDB, 25 % of the files, source + target, all streams (3 draws)"
    assert groups[name] == {"accuracy": 50.0, "recall, anger": 100.0, "recall, neutral": 0.0}, "the third file is not tested at every share"
    assert lines[name] == {"accuracy": 50.0}
    assert crossed[name].loc["neutral", "anger"] == 100
    assert (crossed[name].sum(axis=1) == 100).all()
    assert "EmoDB, 25 % of the files, target only, all streams (3 draws)" in groups


def test_turning_points_are_where_the_gain_ends():
    gain = {"gain, points": [5.0, -1.0, 2.0, -1.0, -6.0], "gain, points, low": 0.0, "gain, points, high": [9.0, 3.0, 4.0, 2.0, -2.0]}
    part = pd.DataFrame({"target": "A", tables.SHARE_COLUMN: [1.0, 5.0, 10.0, 25.0, 50.0]} | gain)
    always = part.assign(target="B", **{"gain, points": 3.0, "gain, points, high": 6.0})
    found = tables.turning_points(pd.concat([part, always])).set_index("target")
    assert found.loc["A"].tolist() == [25.0, 50.0]
    assert found.loc["B"].isna().all()


def test_other_kinds_of_records_are_of_the_run_of_the_transfers(tmp_path):
    found = made_run(tmp_path)
    first = found["record"].iloc[0]
    source = replace(
        first, key="f" * 16, trial=first.trial | {"kind": "source", "held_out": "1"}, metrics={"accuracy": 1.0, "uar": 1.0, "tested": 2}
    )
    wide = replace(source, key="e" * 16, trial=source.trial | {"network": source.trial["network"] | {"width": 252}})
    assert [r.key for r in selection.of_run(frame.of([*found["record"], source, wide]), "source")] == ["f" * 16]


def test_mixed_folds_test_each_file_once_and_are_as_large_as_the_speakers():
    person = np.repeat(["a", "b", "c"], [5, 2, 9])
    tested = []
    for kind in (trials.SourceTrial, trials.MixedSourceTrial):
        tested.append(np.array([kind.model_construct(seed=3, held_out=one).tested_files(person) for one in "abc"]))
    apart, mixed = tested
    assert (apart.sum(axis=0) == 1).all()
    assert (mixed.sum(axis=0) == 1).all()
    assert apart.sum(axis=1).tolist() == mixed.sum(axis=1).tolist() == [5, 2, 9]
    assert all(set(person[~one]) == set("abc") for one in mixed), "every speaker is trained on"
    assert [set(person[one]) for one in apart] == [{"a"}, {"b"}, {"c"}]


def test_mixing_the_speakers_of_the_source_is_paired_over_speakers(tmp_path):
    found = made_run(tmp_path)
    transfer, records = found["record"].iloc[0], []
    answers = pd.DataFrame({"speaker": ["a", "a", "b", "b"], "emotion": "anger", "predicted": ["anger", "anger", "anger", "neutral"]})
    for i, (kind, person, accuracy) in enumerate(
        [("source", "a", 50.0), ("source", "b", 50.0), ("mixed_source", "a", 0.0), ("mixed_source", "b", 0.0)]
    ):
        record = replace(
            transfer, key=f"{i:x}" * 16, trial=transfer.trial | {"kind": kind, "held_out": person},
            metrics={"accuracy": accuracy, "uar": accuracy, "tested": 2},
        )  # fmt: skip
        # A mixed fold has files of both speakers.
        records.append(stored(record, tmp_path / "source", answers.iloc[i % 2 :: 2]))
    whole = frame.of([*found["record"], *records])
    assert tables.source_table(whole)[tables.MIXED_SPEAKERS].tolist() == [100.0, 50.0]
    evidence = {f.id: f.evidence for f in claims.findings(whole)}["C12"]
    assert "changes accuracy by +25.0" in evidence
    assert tables.MIXED_SPEAKERS not in tables.source_table(frame.of([*found["record"], *records[:3]])), "half of the files were tested"


def _of_target(kind, monkeypatch, table, **fields):
    """What a control makes of a target with this table."""
    monkeypatch.setattr(trials.HumpcatTrial, "loaded", lambda self, *_: (Manifest("made", table, Path(), "synthetic"), None))
    about = {"target": "made", "target_hash": "", "target_features": None, "target_languages": ()}
    return kind.model_construct(share=0.5, seed=1, by="speaker", **about | fields).of_target()


MADE_TABLE = pd.DataFrame(
    {"file": [f"{i}.wav" for i in range(48)], "speaker": [str(i // 8) for i in range(48)], "emotion": list(trials.CLASSES) * 12}
)


@pytest.mark.parametrize(
    ("permuted", "called"),
    [
        (0, ["anger", "happiness", "neutral", "sadness"]),
        (2, ["happiness", "anger", "neutral", "sadness"]),
        (4, ["happiness", "neutral", "sadness", "anger"]),
    ],
)
def test_labels_are_permuted_in_a_cycle(monkeypatch, permuted, called):
    corpus, _, _ = _of_target(trials_controls.PermutedTrial, monkeypatch, MADE_TABLE, permuted=permuted)
    assert corpus.table["emotion"].iloc[:4].tolist() == called
    assert (corpus.table["emotion"] == MADE_TABLE["emotion"]).mean() == 1 - permuted / 4


def test_shuffled_labels_are_as_many_of_each_and_say_nothing_of_the_files():
    corpus = Manifest("made", MADE_TABLE, Path(), "synthetic")
    usual, shuffled = (kind.model_construct(seed=0).source_labels(corpus) for kind in (trials.TransferTrial, trials_controls.ShuffledTrial))
    assert sorted(usual) == sorted(shuffled)
    assert (usual == shuffled).mean() < 0.5


def test_size_matched_targets_have_as_many_files_of_each_common_class(monkeypatch):
    corpus, _, part = _of_target(trials_controls.SizeMatchedTrial, monkeypatch, MADE_TABLE, each=9)
    files = np.concatenate([part.tune, part.rest])
    assert corpus.table.iloc[files]["emotion"].isin(trials_controls.COMMON).all()
    assert len(set(files)) == len(files)
    speakers = corpus.table["speaker"].to_numpy()
    assert not set(speakers[part.tune]) & set(speakers[part.rest])
    assert set(part.fixed) <= set(part.rest)
    assert len(part.tune) == round(0.5 * 27)
    with pytest.raises(CorpusError, match="12 files of anger, 13 are wanted"):
        _of_target(trials_controls.SizeMatchedTrial, monkeypatch, MADE_TABLE, each=13)


def _copies(of, kind, first, changes):
    """Records of another kind with other accuracies: changes are fields of the trial and what is added to each accuracy."""
    out = []
    for r in of:
        for fields, more in changes:
            facts = r.metrics | {name: r.metrics[name] + more for name in ("accuracy", "fixed_accuracy")}
            out.append(replace(r, key=f"{first}{len(out):015x}", trial=r.trial | {"kind": kind} | fields, metrics=facts))
    return out


def _usual(found, start="source"):
    return [
        r for r in found["record"] if r.trial == r.trial | {"start": start, "share": 0.25} and selection.variant_of(r.trial) == plan.USUAL
    ]


def test_other_labels_are_compared_on_the_folds_that_all_have(tmp_path):
    found = made_run(tmp_path)
    source = _usual(found)
    zero = _copies(source, "transfer", "a", [({"share": 0.0}, -10.0)])
    permuted = _copies(source, "permuted", "b", [({"permuted": 4}, -5.0), ({"permuted": 4, "share": 0.0}, -50.0)])
    # Of one draw the source with shuffled labels has not been tried: no cell may use it.
    shuffled = _copies([r for r in source if r.trial["seed"]], "shuffled", "c", [({}, -7.0), ({"share": 0.0}, -40.0)])
    whole = frame.of([*found["record"], *zero, *permuted, *shuffled])
    table = tables_controls.labels_table(whole).set_index(tables_controls.CONTROL)
    assert table["folds"].tolist() == [4, 4, 4]
    assert (table["gain, points"] - table["gain, points"].iloc[0]).tolist() == pytest.approx([0, -5, -7])
    assert (table["source only, %"] - table["source + target, %"]).tolist() == pytest.approx([-10, -45, -33])
    assert table["target only, %"].nunique() == 1
    cost = tables_controls.labels_cost(whole, tables_controls.SHUFFLED)
    assert cost["difference"].tolist() == pytest.approx([7.0] * 4)
    said = page.glue_values(whole)["labels"]
    assert said.startswith("With the target's labels permuted")
    assert "5.0 [5.0, 5.0] fewer" in said
    assert "7.0 [7.0, 7.0] fewer" in said
    other = _copies(source, "permuted", "d", [({"permuted": 4, "tuning": source[0].trial["tuning"] | {"epochs": 5}}, 20.0)])
    again = tables_controls.labels_table(frame.of([*whole["record"], *other])).set_index(tables_controls.CONTROL)
    assert again.equals(table), "another length of training is another run"
    assert tables_controls.labels_table(found).empty
    assert "not available" in page.glue_values(found)["labels"]


def test_the_voices_control_has_rows_of_its_own(tmp_path):
    found = made_run(tmp_path)
    usual = _usual(found)
    voices = {"target": "polyglot-acted", "target_languages": ["de"], "source": "polyglot-acted", "encoder": "mini"}
    cells = [({"permuted": n, "share": x} | voices, 5.0 - n) for n in plan.PERMUTED for x in (0.25, 0.0)]
    made = _copies([r for r in usual if r.trial["target"] == "emodb"], "permuted", "a", cells)
    made += _copies(
        [r for r in _usual(found, "random") if r.trial["target"] == "emodb"], "permuted", "b", [({"permuted": 0} | voices, 0.0)]
    )
    made = [replace(r, data_status="synthetic") for r in made]
    old = [replace(r, key=f"c{i:015x}", trial=r.trial | {"target_hash": "older"}) for i, r in enumerate(made[:5])]
    table = tables_controls.labels_table(frame.of([*found["record"], *made, *old]))
    of = table[table["voices"] == "synthetic"]
    assert of[tables_controls.CONTROL].tolist() == [tables_controls.permuted(n) for n in plan.PERMUTED]
    assert (of["gain, points"] - of["gain, points"].iloc[0]).tolist() == pytest.approx([0, -2, -3, -4])
    assert (of["folds"] == 3).all()


def test_size_matched_targets_stand_beside_the_whole_ones(tmp_path):
    found = made_run(tmp_path)
    made = []
    for target, more in (("emodb", 3.0), ("emovo", -2.0)):
        of = [r for start in ("source", "random") for r in _usual(found, start) if r.trial["target"] == target]
        made += _copies(of, "size_matched", "d", [({"each": plan.EACH}, more)])
    made = [replace(r, key=f"d{i:015x}") for i, r in enumerate(made)]
    whole = frame.of([*found["record"], *made])
    table = tables_controls.size_table(whole)
    assert (table["size-matched, %"] - table["all files, %"]).tolist() == pytest.approx([3.0, -2.0])
    assert (table["gain, size-matched, points"] - table["gain, all files, points"]).abs().max() < 1e-9
    each = tables_controls.matched(whole)
    by_draw = each.pivot(index="seed", columns="target", values="all files, %")
    _, _, change = tables_controls.spread(whole)
    gap = by_draw["emodb"] - by_draw["emovo"]
    assert change.value == pytest.approx(float(((gap + 5).abs() - gap.abs()).mean()))
    few = frame.of([*found["record"], *(r for r in made if r.trial["target"] == "emodb")])
    assert tables_controls.spread(few) is None, "a range over fewer targets is another number"
    assert tables_controls.size_table(found).empty


def test_the_plan_has_the_controls_of_what_is_here(monkeypatch):
    """Targets that are too small are not cut."""
    counts = {"big": 60, "small": 59}
    made = {
        name: Manifest(name, pd.DataFrame({"emotion": [e for e in trials_controls.COMMON for _ in range(n)]}), Path(), "real")
        for name, n in counts.items()
    }
    monkeypatch.setattr(plan.registry, "load", lambda name: made[name])
    plan._has_common_classes.cache_clear()
    assert [plan._has_common_classes(name) for name in counts] == [True, False]
    plan._has_common_classes.cache_clear()


def test_a_permuted_control_runs_on_the_voices():
    """End to end on built-in voices: the plan's smallest sizes."""
    settings = plan.Settings(profile="paper", width=4, epochs=1)
    made = plan._permuted_voices(settings)
    assert len(made) == len({t.key for t in made}) == 54
    one = next(t for t in made if t.permuted == 4 and t.share == 0)
    assert one.run().metrics["missing"] == list(trials.CLASSES), "nothing was tuned on"


def test_the_voice_changes_with_every_slider_at_once():
    usual = {name: middle for name, (_, middle, _) in page.CHANGES.items()}
    plain, louder, slower = (page.changed_voice(usual | change) for change in ({}, {"level, dB": 6.0}, {"rate, factor": 0.6}))
    np.testing.assert_allclose(louder.waveform, plain.waveform * 10 ** (6 / 20), rtol=1e-5)
    assert slower.waveform.shape[1] > 1.3 * plain.waveform.shape[1]
    both = page.changed_voice(usual | {"level, dB": 6.0, "rate, factor": 0.6})
    assert both.waveform.shape == slower.waveform.shape
    assert np.abs(both.waveform).max() > 1.5 * np.abs(slower.waveform).max()


def test_bars_follow_the_sliders():
    pytest.importorskip("ipywidgets")
    from sqa_core import figures

    def answers(sound):
        return {"level": float(np.abs(sound.waveform).max()), "length": sound.waveform.shape[1] / 1e6}

    *sliders, player, shown = figures.live_changes(page.changed_voice, page.CHANGES, answers).children
    before, heard = [row.children[0].value for row in shown.children], player.value
    sliders[1].value, sliders[2].value = 0.6, -20.0
    after = [row.children[0].value for row in shown.children]
    assert after[0] < 0.2 * before[0], "both sliders count"
    assert after[1] > before[1]
    assert shown.children[0].children[1].value == f"level {after[0]:.2f}"
    assert player.value != heard


def test_the_papers_own_sizes_are_named_so(monkeypatch):
    monkeypatch.setattr(plan.encoder_catalogue, "shape", lambda _: (12, 768))
    monkeypatch.setattr(plan.encoder_catalogue, "weights_hash", lambda _: "x")
    status = {
        (encoder, width, name): plan.Plan("ravdess", encoder, plan.Settings(profile="paper", width=width, epochs=50))._model_status(variant)
        for encoder in ("hubert-base-ls960", "whisper-small")
        for width in (64, 252)
        for name, variant in plan.VARIANTS.items()
    }
    assert [k for k, v in status.items() if v == "paper"] == [("hubert-base-ls960", 252, plan.USUAL)]


# IEMOCAP


def test_iemocaps_official_tree_is_read(tmp_path, monkeypatch):
    monkeypatch.setenv("SQA_CACHE", str(tmp_path / "cache"))
    root = tmp_path / "iemocap" / "IEMOCAP_full_release"
    said = {
        "Ses01F_impro01_F000": "neu", "Ses01F_impro01_M000": "exc", "Ses02M_script01_1b_F003": "ang", "Ses05F_script03_2_M041": "xxx",
    }  # fmt: skip
    for i, (name, _) in enumerate([*said.items(), ("Ses03F_impro02_F001", "")]):
        session, dialogue = name[4], name.rsplit("_", 1)[0]
        folder = root / f"Session{session}/sentences/wav/{dialogue}"
        folder.mkdir(parents=True, exist_ok=True)
        soundfile.write(folder / f"{name}.wav", np.random.default_rng(i).normal(0, 0.1, 3200), 16_000)
    for name, emotion in said.items():
        session, dialogue = name[4], name.rsplit("_", 1)[0]
        texts = root / f"Session{session}/dialog/EmoEvaluation"
        texts.mkdir(parents=True, exist_ok=True)
        with (texts / f"{dialogue}.txt").open("a") as f:
            f.write("% [START_TIME - END_TIME] TURN_NAME EMOTION [V, A, D]\n\n")
            f.write(f"[6.2901 - 8.2357]\t{name}\t{emotion}\t[2.5000, 2.5000, 2.5000]\nC-E2:\tNeutral;\t()\n")
        (texts / f"._{dialogue}.txt").write_bytes(b"\x00\x05\x16\x07")
    table = reader.manifest(tmp_path / "iemocap", "iemocap").table.set_index("take")
    assert table["emotion"].to_dict() == {
        "Ses01F_impro01_F000": "neutral", "Ses01F_impro01_M000": "excitement", "Ses02M_script01_1b_F003": "anger",
        "Ses05F_script03_2_M041": "no agreement",
    }  # fmt: skip
    assert table["speaker"].to_dict()["Ses02M_script01_1b_F003"] == "02F", "who speaks, not who wears the sensors"
    assert len(trials.four(reader.manifest(tmp_path / "iemocap", "iemocap")).table) == 3
    told = "\n".join(reader.problems(tmp_path / "iemocap", "iemocap"))
    assert "Ses03F_impro02_F001.wav: not named as the corpus names its files, or without an emotion in its texts" in told
