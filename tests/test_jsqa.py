"""JSQA: its networks at the published size, the contrastive loss, pairs at their SNR, and both stages of training."""

import io
import math
import os
import pickle
import re
from dataclasses import replace
from itertools import product
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
import soundfile
import torch

from sqa_core import audio, environment, losses
from sqa_core.corpora import dpam_jnd, jnd_pairs
from sqa_core.corpora.jnd_pairs import LAWS, RATE, Bank, PairLaw
from sqa_core.errors import CorpusError, SettingsError, WeightsError
from sqa_core.figures import widgets
from sqa_core.files import short_hash
from sqa_core.learning import jnd
from sqa_core.learning import jsqa as learning
from sqa_core.learning.jsqa import Sounds
from sqa_core.models import encoders, jsqa, predictors
from sqa_core.models.jsqa import Encoder, EncoderSettings, Jsqa
from sqa_core.results import frame
from sqa_core.results.records import Record
from sqa_core.results.trials import canonical
from sqa_core.studies.jsqa import claims, page, plan, selection, tables, trials, trials_embedding, trials_listeners
from sqa_core.studies.jsqa.trials import Material
from sqa_core.studies.shared import published_run
from tests.conftest import GOLDEN, stored


def count(module) -> int:
    return sum(p.numel() for p in module.parameters())


# The networks


@pytest.mark.parametrize(
    ("settings", "parameters", "size"),
    [
        (EncoderSettings(), 26_065_920, 512),
        (EncoderSettings(embedding="all"), 26_065_920, 1024),
        (EncoderSettings(plan="plain", embedding="all"), 26_065_536, 512),
        (EncoderSettings(width=32), 6_520_320, 256),
        (EncoderSettings(width=8), 408_960, 64),
    ],
)
def test_encoders_have_the_counts_of_the_reference(settings, parameters, size):
    assert count(Encoder(settings)) == parameters
    assert settings.size == size


def test_heads_have_the_counts_of_the_reference():
    assert count(jsqa.projection_head()) == 395_008
    assert count(jsqa.QualityHead()) == 148_833
    assert jsqa.projection_head()(torch.randn(3, 512)).shape == (3, 256)


def test_layers_agree_with_the_reference_one_by_one():
    import pandas as pd

    from sqa_core.results import published

    wanted = published.read("jsqa", "encoder_layers")
    wanted = wanted[pd.to_numeric(wanted["layer"], errors="coerce").notna()]
    encoder = Encoder()
    found = [count(c) + count(b) for c, b in zip(encoder.encoder, encoder.ebatch, strict=True)]
    assert found == wanted["parameters"].astype(int).tolist()


@pytest.mark.parametrize("samples", [16, 999, 1000, 4801])
def test_computing_only_what_is_kept_changes_nothing_in_evaluation(samples):
    torch.manual_seed(0)
    settings = EncoderSettings(width=4)
    kept, all_ = Encoder(settings).eval(), Encoder(replace(settings, kept_only=False)).eval()
    with torch.no_grad():
        for norm in kept.ebatch:  # statistics that are not the identity
            norm.running_mean.normal_(0, 0.1)
            norm.running_var.uniform_(0.5, 2)
    all_.load_state_dict(kept.state_dict())
    x = torch.randn(2, samples)
    with torch.no_grad():
        assert torch.allclose(kept(x), all_(x), atol=1e-5)
        assert not torch.allclose(kept.train()(x), all_.train()(x), atol=1e-3), "in training, batch norm sees other samples"


def test_recomputing_gives_the_same_gradients():
    torch.manual_seed(0)
    plain = Encoder(EncoderSettings(width=4))
    saving = Encoder(EncoderSettings(width=4, recompute=True))
    saving.load_state_dict(plain.state_dict())
    x = torch.randn(3, 800)
    for encoder in (plain, saving):
        encoder(x).square().sum().backward()
    for a, b in zip(plain.parameters(), saving.parameters(), strict=True):
        assert torch.allclose(a.grad, b.grad, atol=1e-6)
    for a, b in zip(plain.buffers(), saving.buffers(), strict=True):
        torch.testing.assert_close(a, b, msg="batch statistics count a batch once")


def test_the_output_is_a_mos():
    network = Jsqa(Encoder(EncoderSettings(width=4))).eval()
    with torch.no_grad():
        mos = network(100 * torch.randn(5, 400))
    assert mos.shape == (5,)
    assert 1 <= mos.min() <= mos.max() <= 5


def test_a_frozen_encoder_stays_as_it_is():
    network = Jsqa(Encoder(EncoderSettings(width=4)), frozen=True).train()
    before = {k: v.clone() for k, v in network.encoder.state_dict().items()}
    network(torch.randn(4, 400)).sum().backward()
    assert all(p.grad is None for p in network.encoder.parameters())
    assert all(p.grad is not None for p in network.head.parameters())
    assert all(torch.equal(v, before[k]) for k, v in network.encoder.state_dict().items()), "nor do its batch statistics move"


def test_a_step_that_does_not_fit_is_refused_with_a_width_that_does():
    needed = jsqa.memory_bytes(EncoderSettings(width=16), 32, 3 * RATE)
    jsqa.check_memory(EncoderSettings(width=16), 32, 3 * RATE, needed)
    with pytest.raises(SettingsError, match="width 16 fits"):
        jsqa.check_memory(EncoderSettings(), 32, 3 * RATE, needed)
    with pytest.raises(SettingsError, match="smaller batch"):
        jsqa.check_memory(EncoderSettings(), 32, 3 * RATE, 1000)
    jsqa.check_memory(EncoderSettings(width=16), 32, 3 * RATE, needed // 2 + needed // 10, 2)
    assert jsqa.memory_bytes(EncoderSettings(recompute=True), 8, RATE) < jsqa.memory_bytes(EncoderSettings(), 8, RATE)


def test_cdpams_weights_load_strictly():
    from sqa_core import environment

    if environment.find("weights", jsqa.CDPAM_FILE) is None:
        pytest.skip("CDPAM's weights are not here (SQA_WEIGHTS)")
    encoder = jsqa.load_cdpam()
    assert count(encoder) == 26_065_920
    assert encoder.settings.rate == 22_050
    t = torch.arange(22_050) / 22_050
    tone = 0.1 * torch.sin(2 * torch.pi * 220 * t)
    noise = 0.1 * torch.randn(22_050, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        embedded = torch.nn.functional.normalize(encoder(torch.stack([tone, tone, noise, torch.zeros(22_050)])), dim=1)
    assert float(embedded[0] @ embedded[1]) == pytest.approx(1, abs=1e-5)
    assert float(embedded[0] @ embedded[2]) < 0.99, "at its own scale, it tells a tone from noise"
    assert float(embedded[0] @ embedded[3]) < 0.9, "and from silence"


def test_an_untrained_encoder_has_statistics_of_its_own():
    """With batch norm as it starts, every sound would have the same embedding."""
    sounds = torch.randn(6, 2000) * torch.linspace(0.01, 0.5, 6)[:, None]
    fresh = Encoder(EncoderSettings(width=4)).eval()
    ready = jsqa.untrained(EncoderSettings(width=4), sounds, 0)
    with torch.no_grad():
        distances = [1 - torch.nn.functional.cosine_similarity(e(sounds[:1]), e(sounds[5:])).item() for e in (fresh, ready)]
    assert distances[0] < 1e-3 < distances[1]
    again = jsqa.untrained(EncoderSettings(width=4), sounds, 0)
    assert all(torch.equal(a, b) for a, b in zip(ready.state_dict().values(), again.state_dict().values(), strict=True))


def test_other_files_are_not_cdpam(tmp_path):
    (tmp_path / "other.pth").write_bytes(b"no weights")
    with pytest.raises(WeightsError, match="not CDPAM's published weights"):
        jsqa.load_cdpam(tmp_path / "other.pth")
    evil = io.BytesIO(pickle.dumps(print))
    with pytest.raises(pickle.UnpicklingError, match=r"builtins\.print"):
        jsqa._load(evil)


@pytest.mark.parametrize("width", [2, 64])
def test_computing_only_kept_samples_is_a_fifth_less_work_by_count(width):
    from torch.utils.flop_counter import FlopCounterMode

    x, counts = torch.zeros(1, 4000), []
    for kept_only in (True, False):
        encoder = Encoder(EncoderSettings(width=width, kept_only=kept_only)).eval()
        with FlopCounterMode(display=False) as counted, torch.no_grad():
            encoder(x)
        counts.append(counted.get_total_flops())
    assert counts[1] / counts[0] == pytest.approx(1.25, abs=0.01)


# The loss


def nt_xent_by_loops(a, b, temperature):
    rows = [x / x.norm() for x in [*a, *b]]
    n, total = len(rows), 0.0
    for i in range(n):
        similar = [math.exp(float(rows[i] @ rows[j]) / temperature) for j in range(n)]
        total -= math.log(similar[(i + n // 2) % n] / (sum(similar) - similar[i]))
    return total / n


@pytest.mark.parametrize(("pairs", "temperature"), [(1, 0.5), (2, 0.1), (8, 0.5), (8, 1.0)])
def test_nt_xent_is_the_plain_double_loop(pairs, temperature):
    torch.manual_seed(pairs)
    a, b = torch.randn(pairs, 6), torch.randn(pairs, 6)
    assert float(losses.nt_xent(a, b, temperature)) == pytest.approx(nt_xent_by_loops(a, b, temperature), abs=1e-5)


def test_nt_xent_is_that_of_pytorch_metric_learning():
    golden = np.load(GOLDEN / "nt_xent_pytorch_metric_learning.npz")
    for i in range(4):
        a, b = (torch.from_numpy(golden[f"{side}{i}"]) for side in "ab")
        assert float(losses.nt_xent(a, b, float(golden[f"temperature{i}"]))) == pytest.approx(float(golden[f"loss{i}"]), abs=1e-5)


def gathered_gradients(rank: int, folder: Path) -> None:
    """One of two processes, each with half of the pairs: writes the loss and the gradient of its own rows."""
    torch.distributed.init_process_group("gloo", init_method=f"file://{folder}/meet", rank=rank, world_size=2)
    a, b = (x.chunk(2)[rank].clone().requires_grad_() for x in embedded_pairs())
    loss = losses.nt_xent(a, b, 0.5)
    loss.backward()
    torch.save([loss.detach(), a.grad, b.grad], folder / f"{rank}.pt")
    torch.distributed.barrier()
    os._exit(0)  # Gloo's threads can abort a process that is left through Python's own end.


def embedded_pairs() -> tuple[torch.Tensor, torch.Tensor]:
    torch.manual_seed(0)
    return torch.randn(6, 5), torch.randn(6, 5)


def test_two_devices_have_the_loss_of_all_pairs(tmp_path):
    torch.multiprocessing.spawn(gathered_gradients, (tmp_path,), nprocs=2)
    a, b = (x.requires_grad_() for x in embedded_pairs())
    whole = losses.nt_xent(a, b, 0.5)
    whole.backward()
    for rank in (0, 1):
        loss, *gradients = torch.load(tmp_path / f"{rank}.pt")
        torch.testing.assert_close(loss, whole.detach())
        for own, all_ in zip(gradients, (a.grad, b.grad), strict=True):
            # Each process has the gradient of the sum over both of the same loss, which averaging over processes halves.
            torch.testing.assert_close(own / 2, all_.chunk(2)[rank], atol=1e-6, rtol=1e-4)


def test_each_of_16_rows_has_one_positive_and_14_negatives():
    """Claim C14: the gradient of the similarity of a row's partner alone is negative, and no row is compared with itself."""
    torch.manual_seed(0)
    rows = torch.nn.functional.normalize(torch.randn(16, 4), dim=1)
    similarity = (rows @ rows.T / 0.5).requires_grad_()
    masked = similarity.masked_fill(torch.eye(16, dtype=torch.bool), -torch.inf)
    torch.nn.functional.cross_entropy(masked, torch.arange(16).roll(8)).backward()
    gradient = similarity.grad
    loss = torch.nn.functional.cross_entropy(masked.detach(), torch.arange(16).roll(8))
    assert float(losses.nt_xent(rows[:8], rows[8:], 0.5)) == pytest.approx(float(loss), abs=1e-6)
    for i in range(16):
        assert (gradient[i] < 0).nonzero().flatten().tolist() == [(i + 8) % 16]
        assert int((gradient[i] > 0).sum()) == 14
        assert gradient[i, i] == 0


# Pairs


@pytest.fixture(scope="module")
def sounds() -> learning.Sounds:
    rng = np.random.default_rng(0)
    t = np.arange(4 * RATE) / RATE
    voices = [np.sin(2 * np.pi * f * t) * (np.sin(2 * np.pi * 3 * t) > -0.3) * 0.2 for f in (150, 210, 330)]
    clean = Bank(("a.wav", "b.wav", "c.wav"), tuple(v.astype(np.float32) for v in voices))
    noise = Bank(("n.wav", "short.wav"), tuple(rng.standard_normal(n).astype(np.float32) * 0.1 for n in (5 * RATE, 7 * RATE // 10)))
    return learning.Sounds(clean, noise)


@pytest.mark.parametrize("name", LAWS)
def test_pairs_reach_their_snr_and_follow_the_law(sounds, name):
    law = replace(LAWS[name], seconds=1.0)
    for index in range(12):
        drawn = jnd_pairs.draw(*sounds, law, 3, index)
        assert drawn.speech.shape == ((2 if law.crops or law.shuffled else 1), RATE)
        assert drawn.noise.shape == ((2 if law.crops or law.shuffled or law.new_noise else 1), RATE)
        assert law.snr_db[0] <= drawn.snr_db[0] <= law.snr_db[1]
        gap = abs(drawn.snr_db[1] - drawn.snr_db[0])
        assert law.shuffled or law.gap_db[0] - 1e-9 <= gap <= law.gap_db[1] + 1e-9
        if not law.crops:
            assert jnd_pairs.reached_snr_db(drawn) == pytest.approx(drawn.snr_db, abs=0.2)  # what P.56 interpolates between its thresholds
        for of in (drawn.speech, drawn.noise):
            assert len(of) == 1 or not np.array_equal(*of), "two rows are two stretches"
        assert not np.array_equal(*jnd_pairs.batch([drawn])[0]), "no pair is one sound twice"


def test_shuffled_pairs_share_nothing(sounds):
    """The control for what is learnt from pairs: not even the SNRs go together."""
    snrs = np.array([jnd_pairs.draw(*sounds, replace(LAWS["shuffled"], seconds=0.1), 0, k).snr_db for k in range(300)])
    assert abs(np.corrcoef(snrs.T)[0, 1]) < 0.15
    together = np.array([jnd_pairs.draw(*sounds, replace(LAWS["2 to 6 dB"], seconds=0.1), 0, k).snr_db for k in range(300)])
    assert np.corrcoef(together.T)[0, 1] > 0.8


def test_a_pair_follows_from_seed_and_index_alone(sounds):
    a, b = (jnd_pairs.draw(*sounds, PairLaw(seconds=0.5), 1, 7) for _ in range(2))
    assert np.array_equal(a.speech, b.speech)
    assert np.array_equal(a.noise, b.noise)
    assert np.array_equal(a.snr_db, b.snr_db)
    signs = [np.sign(np.diff(jnd_pairs.draw(*sounds, PairLaw(seconds=0.1), 1, i).snr_db))[0] for i in range(60)]
    assert 15 < signs.count(1) < 45, "the sign is random"


def test_silent_and_missing_sounds_are_one_sentence(tmp_path):
    soundfile.write(tmp_path / "speech.wav", 0.1 * np.random.default_rng(0).standard_normal(RATE), RATE)
    soundfile.write(tmp_path / "silent.wav", np.zeros(RATE), RATE)
    (name,) = jnd_pairs.bank([tmp_path / "speech.wav"], "noise").names
    assert name.endswith(f"{tmp_path.name}/speech.wav"), "files of one name in two folders are two"
    with pytest.raises(CorpusError, match=r"1 of 2 files of noise are silent, .*silent.wav first"):
        jnd_pairs.bank([tmp_path / "speech.wav", tmp_path / "silent.wav"], "noise")
    with pytest.raises(CorpusError, match="at least one"):
        jnd_pairs.bank([], "clean speech")
    half = np.concatenate([np.zeros(100 * RATE), np.ones(1)])  # silent but for one sample: no stretch of speech is found
    with pytest.raises(CorpusError, match="all were silent"):
        jnd_pairs._stretch(half, RATE, np.random.default_rng(0), "half.wav", lambda x: jnd_pairs.levels.level(x[None]))


def test_pairs_can_be_written(sounds, tmp_path):
    table = jnd_pairs.write(*sounds, PairLaw(seconds=0.5, snr_db=(-5, -5)), 0, 3, tmp_path)
    assert len(table) == 3
    for row in table.itertuples():
        a, b = (soundfile.read(tmp_path / f, dtype="float32")[0] for f in (row.a, row.b))
        assert a.shape == b.shape == (RATE // 2,)
    drawn = jnd_pairs.draw(*sounds, PairLaw(seconds=0.5, snr_db=(-5, -5)), 0, 2)
    assert np.array_equal(a, jnd_pairs.batch([drawn])[0, 0].numpy()), "what is written is what is trained on"
    assert table["snr_a_db"].to_numpy() == pytest.approx(-5, abs=0.2)


# Judgements


def test_judgements_are_counted():
    from sqa_core import environment

    if environment.find("data", dpam_jnd.FILE) is None:
        pytest.skip("the judgements are not here (SQA_DATA)")
    found = dpam_jnd.load()
    assert len(found.table) + found.dropped == 9438
    assert found.dropped == 61
    assert found.table["kind"].nunique() == 8
    noise = found.table[found.table["kind"] == "pink_noise"]
    near, far = noise[noise["gap_db"].between(0.01, 3)], noise[noise["gap_db"].between(6, 10)]
    assert near["different"].mean() < 0.2 < 0.7 < far["different"].mean()


def test_a_damaged_table_of_judgements_is_named(tmp_path, monkeypatch):
    (tmp_path / "dpam_jnd").mkdir()
    good = "0.2_f4_script1_produced_clipped_80.0.wav"
    (tmp_path / dpam_jnd.FILE).write_text(f"{good}\t{good}\t0\tsiren\n{good}\tnothing\t1\tsiren\n")
    monkeypatch.setenv("SQA_DATA", str(tmp_path))
    with pytest.raises(CorpusError, match="line 2"):
        dpam_jnd.load()


# Training

SMALL = learning.PretrainSettings(EncoderSettings(width=2), PairLaw(seconds=0.25), pairs=4, steps=3, epochs=3, learning_rate=1e-3)


def apart(sounds: learning.Sounds) -> learning.Sounds:
    return learning.Sounds(*(Bank(tuple(f"valid {n}" for n in b.names), b.waveforms) for b in sounds))


@pytest.mark.parametrize("head", [False, True])
def test_a_killed_pretraining_ends_with_the_same_weights(sounds, tmp_path, head):
    settings = replace(SMALL, head=head)
    whole, epochs = learning.pretrain(sounds, apart(sounds), settings, 5, tmp_path / "whole")
    assert len(epochs) == 3

    def killed(epoch):
        if epoch.number == 1:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        learning.pretrain(sounds, apart(sounds), settings, 5, tmp_path / "killed", killed)
    resumed, _ = learning.pretrain(sounds, apart(sounds), settings, 5, tmp_path / "killed")
    for (name, a), (_, b) in zip(whole.state_dict().items(), resumed.state_dict().items(), strict=True):
        assert torch.equal(a, b), name


def test_training_and_validation_share_no_file(sounds, tmp_path):
    with pytest.raises(SettingsError, match=r"share 5 files, a\.wav first"):
        learning.pretrain(sounds, sounds, SMALL, 0, tmp_path)


def test_tuning_learns_what_can_be_learnt(sounds, tmp_path):
    """MOS that follows the level of noise is learnt from few sounds; a frozen random encoder learns less."""
    rng = np.random.default_rng(1)
    level = rng.uniform(0, 1, 48)
    waveforms = [(0.3 * v * rng.standard_normal(RATE // 4)).astype(np.float32) for v in level]
    train, valid = (learning.Rated(waveforms[s], 1 + 4 * level[s]) for s in (slice(0, 36), slice(36, 48)))
    settings = learning.TuneSettings(seconds=0.2, batch_size=6, epochs=15, learning_rate=3e-3)
    torch.manual_seed(0)
    network, epochs = learning.tune(Encoder(EncoderSettings(width=4)), train, valid, settings, 0, tmp_path / "tuned")
    best = max(epochs, key=lambda e: e.score)
    assert best.score > 0.8
    predicted = learning.predict(network, valid.waveforms)
    assert float(np.corrcoef(predicted, valid.mos)[0, 1]) == pytest.approx(best.score, abs=1e-5), "the best epoch is kept"


def test_windows_cover_a_sound():
    x = np.arange(10)
    assert learning.windows(x, 4).tolist() == [[0, 1, 2, 3], [4, 5, 6, 7], [6, 7, 8, 9]]
    assert learning.windows(x, 5).tolist() == [[0, 1, 2, 3, 4], [5, 6, 7, 8, 9]]
    assert learning.windows(x[:3], 4).tolist() == [[0, 1, 2, 0]]
    assert len(learning.crop(x, 4, np.random.default_rng(0))) == 4


# Machines on judgements


def made_judgements(threshold: float, kinds=("siren", "pink_noise", "crickets"), each: int = 120) -> pd.DataFrame:
    """Answers that turn from same to different at a gap."""
    rng = np.random.default_rng(0)
    parts = []
    for kind in kinds:
        gap = rng.uniform(0, 20, each)
        right = 1 / (1 + np.exp(-2 * (gap - threshold)))
        table = {
            "kind": kind,
            "talker": rng.choice(list("abcdef"), each),
            "script": "s",
            "level_db": rng.uniform(-40, 0, each),
            "gap_db": gap,
        }
        parts.append(pd.DataFrame(table | {"different": (rng.random(each) < right).astype(int)}))
    return pd.concat(parts, ignore_index=True)


def test_a_machine_finds_the_threshold_of_answers_on_a_kind_that_it_has_not_heard():
    table = made_judgements(6.0)
    answer = jnd.held_out(table, "siren")
    assert table["kind"].iloc[answer.pairs].unique().tolist() == ["siren"]
    facts = jnd.auc_and_error(answer.value, answer.probability, table["different"].to_numpy()[answer.pairs])
    assert facts["auc"] > 0.95
    assert facts["calibration_error"] < 0.15
    machine = jnd.fitted(table[list(jnd.FEATURES)].to_numpy(), table["different"].to_numpy(), table["kind"].to_numpy())
    gaps = np.arange(0, 20, 0.1)
    values = jnd.surface(machine, (-30.0, -10.0), gaps)
    assert jnd.threshold_db(values, gaps) == pytest.approx(6, abs=1)
    inside = {name: jnd.share_inside(machine, LAWS[name], np.array([-30.0, -10.0])) for name in ("2 to 6 dB", "10 to 20 dB")}
    assert inside["2 to 6 dB"] > 0.85
    assert inside["10 to 20 dB"] < 0.02
    assert values.shape == (2, len(gaps))
    assert (values[:, 0] < 0).all()
    assert (values[:, -1] > 0).all()


def test_answers_at_random_have_no_threshold_and_no_auc():
    """The control: what cannot be learnt is not found."""
    table = made_judgements(6.0)
    table["different"] = np.random.default_rng(1).permutation(table["different"])
    answer = jnd.held_out(table, "siren")
    assert abs(jnd.auc_and_error(answer.value, answer.probability, table["different"].to_numpy()[answer.pairs])["auc"] - 0.5) < 0.15


def test_the_stated_function_has_its_midpoint():
    assert jnd.told_apart(np.array([3.0, -3.0])) == pytest.approx([0.5, 0.5])
    assert jnd.told_apart(np.array([8.0]), 8.0) == pytest.approx(0.5)
    table = jnd.simulated(4000, 0)
    near = table[table["gap_db"].between(2.5, 3.5)]
    assert near["different"].mean() == pytest.approx(0.5, abs=0.07)


# Claims


def arm(folder, start: str, seed: int, pcc: float, rmse: float, loss: float = 1.0, noise: float = 0.3) -> Record:
    rng = np.random.default_rng(seed)
    mos = rng.uniform(1, 4.6, 60)
    kinds = np.where(np.arange(60) % 2, "noise", "codec")
    items = pd.DataFrame({"test": "calls_real", "kinds": kinds, "mos": mos, "predicted": mos + noise * rng.normal(size=60)})
    items = pd.concat([items, items.assign(test="fullband", predicted=mos + 1.0)], ignore_index=True)  # an offset alone
    found = {f"{m}_fullband": v for m, v in {"rmse": rmse, "mae": rmse, "pcc": pcc, "srcc": pcc}.items()}
    found |= {"validation_pcc": [pcc - 0.1, pcc], "contrastive_validation_loss": [loss + 1, loss]}
    trial = {"kind": "arms", "study": "jsqa", "start": start, "seed": seed}
    trial |= {"tuning": canonical(plan.TUNING), "encoder": canonical(plan.ENCODER), "pretraining": canonical(plan.PRETRAININGS.get(start))}
    key = short_hash(f"{start} {seed}", 16)
    return stored(Record(key, trial, found, "real", "other", 0.0, "cpu", {}, "none"), folder, items)


def arms(folder, without: float, head: float, scratch: float, seeds: int = 5) -> pd.DataFrame:
    made = []
    for seed in range(seeds):
        wobble = 0.002 * seed
        for start, pcc, loss in (("2 to 6 dB", without, 2.0), ("with head", head, 1.0), ("scratch", scratch, 0.0)):
            made.append(arm(folder, start, seed, pcc + wobble, 1.2 - pcc - wobble, loss + wobble, noise=2 * (1 - pcc)))
    return frame.of(made)


def test_claims_hold_and_fail_where_they_are_made_to(tmp_path):
    paper = {f.id: f.verdict for f in claims.findings(tables.Run(arms(tmp_path / "a", 0.82, 0.71, 0.71)))}
    assert [paper[c] for c in ("C1", "C2", "C3", "C4", "C5", "C6", "C7", "C8", "C16")] == ["holds"] * 9
    turned = {f.id: f.verdict for f in claims.findings(tables.Run(arms(tmp_path / "b", 0.60, 0.75, 0.68)))}
    assert [turned[c] for c in ("C1", "C2", "C3", "C4", "C5", "C6", "C7", "C8")] == ["fails"] * 8


def test_gains_are_shares_of_scratch_where_that_is_not_near_0(tmp_path):
    table = tables.gains_table(arms(tmp_path / "a", 0.82, 0.71, 0.5)).set_index("start")
    row = table.loc[tables.STARTS["2 to 6 dB"]]
    assert row["PCC, %"] == pytest.approx(100 * 0.32 / 0.504)
    assert row["paper's PCC, %"] == "+15 %"
    assert table.loc[tables.STARTS["with head"], "paper's PCC, %"] == ""
    near = tables.gains_table(arms(tmp_path / "b", 0.82, 0.71, 0.05))
    assert near["PCC, %"].isna().all()
    assert near["RMSE, %"].notna().all(), "that is far from 0"


def test_the_gain_on_noise_is_that_of_the_claim(tmp_path):
    found = arms(tmp_path, 0.82, 0.71, 0.71)
    table = tables.impairments_table(found).set_index("impairment")
    assert table["calls"].to_dict() == {"noise alone": 30, "codec": 30, "all but noise, talkers and none": 30}
    evidence = next(f for f in claims.findings(tables.Run(found)) if f.id == "C16").evidence
    gain, on_noise = (table.loc[name, "gain in PCC"] for name in ("all but noise, talkers and none", "noise alone"))
    assert f"{gain:+.3f}" in evidence
    assert f"minus the gain on noise, {gain - on_noise:+.3f}" in evidence


def test_controls_are_compared_seed_by_seed_or_not_at_all(tmp_path):
    def made(start, seed, pcc):
        record = arm(tmp_path, start, seed, pcc, 1.0)
        record.metrics["pcc_calls_real"] = pcc
        return record

    usual = [made("2 to 6 dB", seed, 0.5 + 0.002 * seed) for seed in range(5)]
    one, several = ([made("shuffled", seed, 0.1 + 0.002 * seed) for seed in range(n)] for n in (1, 3))
    assert page._apart(frame.of([*usual, *one])) == ""
    said = page._apart(frame.of([*usual, *several]))
    assert said == "Paired by seed (3 seeds), these differ from the paper's gaps: shuffled -0.40 [-0.40, -0.40]."
    near = [made("crops", seed, 0.5 + 0.1 * (seed - 1)) for seed in range(3)]
    assert "excludes 0, but these are wide: up to" in page._apart(frame.of([*usual, *near]))


def test_claims_without_their_arms_are_not_tested(tmp_path):
    for found in (frame.of([]), arms(tmp_path, 0.82, 0.71, 0.71, seeds=3)):
        judged = {f.id: f for f in claims.findings(tables.Run(found))}
        assert list(judged) == [f"C{i}" for i in range(1, 17)]
        assert {judged[c].verdict for c in ("C1", "C5", "C6", "C7", "C8", "C10", "C11", "C12", "C13", "C16")} == {"not tested"}
        assert {judged[c].verdict for c in ("C9", "C14", "C15")} == {"holds"}
        assert "27.4%" in judged["C10"].evidence


def test_an_undefined_pcc_is_named_and_one_bad_epoch_refutes_every_epoch(tmp_path):
    found = frame.records(arms(tmp_path, 0.82, 0.71, 0.71), "arms")
    constant = next(r for r in found if r.trial["start"] == "scratch")
    constant.metrics["pcc_fullband"] = float("nan")
    found[0].metrics["validation_pcc"][0] = 0.1
    judged = {f.id: f for f in claims.findings(tables.Run(frame.of(found)))}
    assert judged["C3"].verdict == "inconclusive"
    assert "undefined for 1 of 5 seeds" in judged["C3"].evidence
    assert judged["C6"].verdict == "fails"
    assert "9 of 10 epochs" in judged["C6"].evidence


def test_a_baseline_below_zero_does_not_turn_the_sign(tmp_path):
    found = {f.id: f for f in claims.findings(tables.Run(arms(tmp_path, 0.3, 0.1, -0.2)))}
    assert found["C3"].verdict == "holds"
    assert "%" not in found["C3"].evidence, "a share of a negative PCC means nothing"


def test_the_tables_of_arms_are_paired_by_seed(tmp_path):
    found = arms(tmp_path, 0.82, 0.71, 0.70)
    assert selection.paired(found, "2 to 6 dB", "scratch", "pcc_fullband") == pytest.approx([0.12] * 5)
    table = tables.table1(found).set_index("start")
    assert table.loc["pretrained, without projection head", "PCC"] == pytest.approx(0.824)
    assert table.loc["pretrained, without projection head", "paper's PCC (NISQA corpus)"] == "0.821"
    assert set(table["seeds"]) == {5}
    missing = frame.of([r for r in frame.records(found, "arms") if (r.trial["start"], r.trial["seed"]) != ("scratch", 1)])
    pairs = selection.pairs_by_seed(missing, "2 to 6 dB", "scratch")
    assert [(a.trial["seed"], b.trial["seed"]) for a, b in pairs] == [(s, s) for s in (0, 2, 3, 4)], "a missing seed shifts no other"
    wide = [Record(**{**r.__dict__, "trial": r.trial | {"encoder": {}}}) for r in frame.records(found, "arms")]
    assert tables.table1(frame.of(wide)).empty, "of another width"
    assert tables.table1(frame.of([])).empty


def test_a_mapping_takes_out_an_offset(tmp_path):
    table = tables.table1(arms(tmp_path, 0.82, 0.71, 0.71, seeds=2))
    assert table["RMSE mapped"].to_numpy() == pytest.approx(0, abs=1e-6)


FIXED = ("valid_sounds", "crop_s", "stretches")  # of the plan, whatever has run


def test_nothing_is_shown_where_the_published_run_is_not():
    empty = frame.of([])
    assert page.reply(tables.Run(empty), claims.findings(tables.Run(empty))) == "The published run is not complete."
    values = page.glue_values(tables.Run(empty))
    assert values["so_far"] == "the networks are built, their trainings are still to come"
    assert {text for name, text in values.items() if name not in ("stated", "demo_calls", "so_far", *FIXED)} <= {page.MISSING, "0"}


def test_the_pairs_of_the_listening_test_have_one_level_and_their_gap():
    pytest.importorskip("espeakng_loader")
    pairs = page.abx_pairs()
    assert len(pairs) >= widgets.TRIALS
    for a, b, _ in pairs:
        assert np.sqrt(np.mean(a.waveform**2)) == pytest.approx(np.sqrt(np.mean(b.waveform**2)), rel=1e-3)
    curves = page.expected_right(published_run(plan.SLUG))
    assert len(curves) == 2, "the stated function and the SVM"
    for curve in curves.values():
        assert list(curve) == sorted({gap for *_, gap in pairs})
        assert all(0.5 <= share <= 1 for share in curve.values())
    assert len(page.expected_right(frame.of([]))) == 1
    with pytest.raises(SettingsError, match="at least 20"):
        widgets.abx(pairs[:3], curves, "abx", "synthetic")


def test_sliders_say_what_the_svm_and_the_embedding_make_of_a_pair():
    pytest.importorskip("espeakng_loader")
    pytest.importorskip("ipywidgets")
    box = widgets.live_pair(page.pair_of, page.about_pair(published_run(plan.SLUG)), (0.0, 30.0), (15.0, 14.5))
    one, other, *_, readout = box.children
    assert "gap 0.5 dB; the SVM on the stated function: the same" in readout.value
    near = float(readout.value.split()[-1])
    other.value = 5.0
    assert "gap 10 dB; the SVM on the stated function: different" in readout.value
    assert float(readout.value.split()[-1]) > near
    one.value = 5.0
    assert float(readout.value.split()[-1]) == pytest.approx(0, abs=1e-5), "one sound twice"


def test_arms_share_no_voice_and_no_use():
    trials.assert_apart(plan.TRAIN, plan.VALID, plan.TESTS)
    trials.assert_apart(plan.DEMO_TRAIN, plan.DEMO_VALID, plan.DEMO_TESTS)
    with pytest.raises(SettingsError, match="same use"):
        trials.assert_apart(plan.TRAIN, plan.TRAIN)
    with pytest.raises(SettingsError, match="share voices"):
        trials.assert_apart(plan.TRAIN[:1], (replace(plan.TRAIN[0], use="test"),))
    with pytest.raises(SettingsError, match="Tests take all files of asterisk"):
        trials.assert_apart(plan.TRAIN, (replace(plan.TRAIN[1], use="test"),))
    trials.assert_apart(plan.TRAIN[1:], plan.VALID[1:])


def test_the_cost_of_a_step_is_known_before_the_first_and_changes_nothing():
    settings = learning.PretrainSettings(EncoderSettings(width=2), replace(PairLaw(), seconds=0.5), pairs=4, steps=100, epochs=2)
    torch.manual_seed(3)
    before = torch.get_rng_state()
    cost = learning.step_cost(settings, "cpu")
    assert torch.equal(torch.get_rng_state(), before)
    assert cost.parameters == sum(p.numel() for p in Encoder(settings.encoder).parameters())
    assert 0 < cost.seconds < 60
    assert re.search(
        r"a step of 4 pairs of 0\.5 s takes about \d+\.\d\d s and 0\.\d GB here, 2 epochs of 100 steps about", cost.text(settings)
    )
    with pytest.raises(SettingsError, match="width"):
        learning.step_cost(replace(settings, encoder=EncoderSettings(), pairs=100_000), "cpu")


@pytest.mark.parametrize("name", predictors.PREDICTORS)
def test_predictors_of_others_tell_clean_from_noisy(p835, name):
    if not predictors.PREDICTORS[name].version:
        pytest.skip(f"the package of {name} is not installed")
    best = p835.table[p835.table["set"] == "fullband"].sort_values("mos_ovrl")["file"].iloc[-1]
    clean = audio.load_mono(p835.root / best, predictors.RATE)
    noise = np.random.default_rng(0).normal(0, clean.std(), len(clean)).astype(np.float32)
    high, low = predictors.PREDICTORS[name].score([clean, 0.5 * (clean + noise)])
    assert 0.9 < low < high - 0.5 < 5


def test_the_head_learns_on_a_speech_model_that_stays_as_it_is(tmp_path):
    speech_model = jsqa.SpeechModel(encoders.load("random-mini"))
    before = {k: v.clone() for k, v in speech_model.state_dict().items()}
    rng = np.random.default_rng(0)
    sounds = [rng.normal(0, 0.1 + 0.1 * (i % 2), 8000).astype(np.float32) for i in range(12)]
    rated = learning.Rated(sounds, np.array([1.5 + 2 * (i % 2) for i in range(12)]))
    settings = learning.TuneSettings(seconds=0.5, batch_size=4, epochs=2, frozen=True, learning_rate=1e-2)
    network, epochs = learning.tune(speech_model, rated, rated, settings, 0, tmp_path)
    assert all(torch.equal(v, before[k]) for k, v in speech_model.state_dict().items())
    assert len(epochs) == 2
    assert network(torch.zeros(3, 8000) + 0.1).shape == (3,)


def test_calls_come_at_the_encoders_rate(tmp_path, monkeypatch):
    monkeypatch.setenv("SQA_CACHE", str(tmp_path))
    part = (replace(plan.DEMO_VALID[0], count=2),)
    (at_16, _), (at_22, _) = trials.rated(part, 16_000), trials.rated(part, 22_050)
    lengths = [len(b) / len(a) for a, b in zip(at_16.waveforms, at_22.waveforms, strict=True)]
    assert lengths == pytest.approx([22_050 / 16_000] * len(lengths), rel=1e-3)


def _paired_items(distance, mos_difference):
    """Items of an embedding's record from functions of SNR, gap and pair."""
    rows = []
    for snr, gap, pair in product((5.0, 25.0), (0.0, 2.0, 6.0, 9.0, 20.0), range(4)):
        about = {"snr_db": snr, "gap_db": gap, "pair": pair, "noise": f"/x/n{pair % 2}.wav"}
        rows.append(about | {"distance": distance(snr, gap, pair), "mos_difference": mos_difference(snr, gap, pair)})
    return pd.DataFrame(rows)


def test_distances_are_compared_at_one_snr_and_one_gap():
    """Both grow with the gap; what counts is which pair's distance is greater where the gap is the same."""
    along = _paired_items(lambda snr, gap, pair: snr * gap * (1 + pair), lambda snr, gap, pair: gap * (1 + pair) / snr)
    against = _paired_items(lambda snr, gap, pair: snr * gap * (9 - pair), lambda snr, gap, pair: gap * (1 + pair) / snr)
    assert tables.follows_pesq(along) == {"inside": pytest.approx(1), "beyond": pytest.approx(1)}
    assert tables.follows_pesq(against) == {"inside": pytest.approx(-1), "beyond": pytest.approx(-1)}
    shares = tables._share_by_gap(along)
    assert shares.loc[6.0, "distance"] == pytest.approx(30)
    assert shares.loc[20.0].tolist() == [100, 100]


def test_shares_by_noise_are_means_over_seeds(tmp_path, monkeypatch):
    """A seed with large distances does not count for more. One noise's distances jump after 6 dB in the second seed."""
    one = _paired_items(lambda snr, gap, pair: gap, lambda snr, gap, pair: gap)
    other = _paired_items(lambda snr, gap, pair: 100 * gap * (3 if gap > 6 and pair % 2 else 1), lambda snr, gap, pair: gap)
    monkeypatch.setattr(
        tables, "embeddings", lambda found: {tables.PAIRS["scratch"]: [SimpleNamespace(items=lambda i=i: i) for i in (one, other)]}
    )
    found = tables.embedding_by_noise(None).set_index("noise")
    assert found.loc["n0", "distance, %"] == pytest.approx(30)
    assert found.loc["n1", "distance, %"] == pytest.approx((30 + 10) / 2)
    assert found["PESQ, %"].tolist() == pytest.approx([30, 30])
    assert found.loc["n1", "distance / PESQ"] == pytest.approx(20 / 30)


def test_pesq_of_the_same_mixtures_is_computed_once(tmp_path, monkeypatch):
    monkeypatch.setenv("SQA_CACHE", str(tmp_path))
    calls = []
    monkeypatch.setattr(trials_embedding.intrusive, "pesq_mos", lambda clean, one: calls.append(1) or float(one[0]))
    drawn = SimpleNamespace(speech=np.zeros((1, 4)))
    stacks = [({}, drawn, torch.tensor([[1.0, 0, 0], [2.0, 0, 0]])), ({}, drawn, torch.tensor([[3.0, 0, 0]]))]
    assert trials_embedding._pesq(stacks) == [[1, 2], [3]]
    assert trials_embedding._pesq(stacks) == [[1, 2], [3]]
    assert len(calls) == 3
    other = [({}, drawn, stacks[0][2]), ({}, drawn, torch.tensor([[4.0, 0, 0]]))]
    assert trials_embedding._pesq(other) == [[1, 2], [4]]
    assert len(calls) == 6
    monkeypatch.setattr(trials_embedding, "PESQ_FORM", 0)
    trials_embedding._pesq(stacks)
    assert len(calls) == 9, "another form is computed anew"


class ByMember(torch.nn.Module):
    """Embeddings that are known: one member of all pairs at `first`, the other at `second`, one row per pair."""

    def __init__(self, first, second):
        super().__init__()
        self.both = iter((torch.tensor(first), torch.tensor(second)))

    def forward(self, x):
        return next(self.both)


RIGHT, UP, LEFT = [2.0, 0.0], [0.0, 3.0], [-1.0, 0.0]


@pytest.mark.parametrize(
    ("first", "second", "alignment", "uniformity"),
    [
        ([RIGHT] * 4, [RIGHT] * 4, 0.0, 0.0),  # all sounds at one point: alike, and the worst uniformity
        ([RIGHT] * 4, [UP] * 4, 2.0, 0.0),  # a right angle
        ([RIGHT, LEFT, RIGHT, LEFT], [LEFT, RIGHT, LEFT, RIGHT], 4.0, np.log((2 + 4 * np.exp(-8)) / 6)),  # pairs of opposites
    ],
)
def test_alignment_and_uniformity_of_known_directions(first, second, alignment, uniformity):
    rng = np.random.default_rng(0)
    sounds = Sounds(*(Bank(("a", "b"), tuple(rng.standard_normal(16_000).astype(np.float32) for _ in range(2))) for _ in range(2)))
    trial = trials_embedding.EmbeddingTrial(
        study="jsqa", data_status="synthetic", start="untrained", encoder=EncoderSettings(width=2), sounds=Material((), "test", "x"),
        tested=2, seconds=0.3,
    )  # fmt: skip
    found = trial._geometry(ByMember(first, second), sounds)
    assert found["alignment"] == pytest.approx(alignment, abs=1e-6)
    assert found["uniformity"] == pytest.approx(uniformity, abs=1e-6)


# Frozen encoders and learning curves


def test_stretches_are_averaged_and_lie_evenly():
    encoder = Encoder(EncoderSettings(width=2)).eval()
    rng = np.random.default_rng(0)
    long, short = (rng.normal(0, 0.1, n).astype(np.float32) for n in (RATE, RATE // 8))
    found = learning.embeddings(encoder, [long, short], 0.25, 2)
    parts = [encoder(torch.from_numpy(long[start : start + RATE // 4][None])) for start in (RATE // 4, RATE // 2)]
    assert found[0] == pytest.approx(torch.stack(parts).mean(dim=0)[0].detach().numpy(), abs=1e-6)
    repeated = encoder(torch.from_numpy(np.resize(short, RATE // 4)[None]))[0].detach().numpy()
    assert found[1] == pytest.approx(repeated, abs=1e-6)
    middle = learning.embeddings(encoder, [long], 0.25, 1)[0]
    assert middle == pytest.approx(encoder(torch.from_numpy(long[None, 6000:10000]))[0].detach().numpy(), abs=1e-6)


@pytest.mark.skipif(not environment.find("weights", jsqa.CDPAM_FILE), reason="CDPAM's weights are not here")
def test_half_precision_keeps_cdpams_embeddings():
    """Of two sounds that it tells apart, bfloat16 moves each by little beside the distance between them."""
    encoder = jsqa.load_cdpam()
    rng = np.random.default_rng(0)
    tone = np.sin(np.arange(5000) / 10).astype(np.float32) * 0.1
    sounds = [tone, (tone + rng.normal(0, 0.03, 5000)).astype(np.float32)]
    exact, half = (learning.embeddings(encoder, sounds, 0.2, 1, precision) for precision in ("no", "bf16"))
    moved = np.linalg.norm(half - exact, axis=1)
    assert moved.max() < 0.1 * np.linalg.norm(exact[0] - exact[1])


def _arm_on_few_calls(kind: type[trials.ArmTrial], **fields) -> trials.ArmTrial:
    train, valid, tests = (tuple(replace(p, count=6) for p in parts) for parts in (plan.DEMO_TRAIN, plan.DEMO_VALID, plan.DEMO_TESTS))
    common = plan._about("synthetic") | plan._arm("scratch", plan.DEMO_ENCODER, plan.DEMO_TUNING, train, valid, tests)
    return kind(**common | fields)


def test_fewer_labelled_calls_are_repeated_and_nested():
    rated = learning.Rated([np.full(4, i, np.float32) for i in range(10)], np.arange(10.0))
    kept = {}
    for labelled in (3, 5):
        some, used = _arm_on_few_calls(trials.ArmTrial, labelled=labelled)._labelled(rated)
        assert used == labelled
        assert len(some.mos) == len(some.waveforms) == 10, "as many steps"
        assert [float(w[0]) for w in some.waveforms] == some.mos.tolist()
        kept[labelled] = set(some.mos.tolist())
        assert len(kept[labelled]) == labelled
    assert kept[3] < kept[5]
    assert _arm_on_few_calls(trials.ArmTrial)._labelled(rated)[0] is rated
    with pytest.raises(SettingsError, match="11 labelled calls were asked for, and there are 10"):
        _arm_on_few_calls(trials.ArmTrial, labelled=11)._labelled(rated)
    assert "labelled" not in _arm_on_few_calls(trials.ArmTrial).canonical, "records that are older keep their key"


def test_a_head_is_trained_on_embeddings_that_are_computed_once(tmp_path, monkeypatch):
    pytest.importorskip("espeakng_loader")
    monkeypatch.setenv("SQA_CACHE", str(tmp_path))
    trial = _arm_on_few_calls(trials.HeadTrial, tuning=replace(plan.DEMO_TUNING, epochs=3), precision="no")
    first = trial.run()
    assert first.metrics["parameters"] == count(Jsqa(Encoder(plan.DEMO_ENCODER)))
    assert len(first.metrics["validation_pcc"]) == 3
    assert np.isfinite(first.items["predicted"]).all()
    assert first.items["predicted"].nunique() == len(first.items), "an untrained encoder tells sounds apart"
    monkeypatch.setattr(learning, "embeddings", lambda *_: pytest.fail("computed again"))
    assert trial.run().items.equals(first.items)


def _curve(folder, start: str, seed: int, gain: float = 0.0, labelled: int | None = None, epochs: int | None = None) -> Record:
    """An arm of a learning curve."""
    one = arm(folder / f"{labelled} {epochs}", start, seed, 0.5 + gain + 0.01 * seed, 0.5)
    if labelled:
        one.trial["labelled"] = labelled
    if epochs:
        one.trial["pretraining"] = canonical(replace(plan.PRETRAININGS[start], epochs=epochs))
    one.metrics.update({"train_sounds": labelled or 400, "pcc_calls_real": 0.5})
    if start != "scratch":
        one.metrics["pretraining_hours"] = 0.5 * (epochs or 4)
    return one


def test_learning_curves_take_the_seeds_that_all_points_have(tmp_path):
    made = [
        _curve(tmp_path, start, seed, gain=0.1 * (start != "scratch") * (labelled is not None), labelled=labelled)
        for seed in range(3)
        for start in ("scratch", "2 to 6 dB")
        for labelled in (None, *plan.LABELLED)
        if (seed, labelled) != (2, plan.LABELLED[0])
    ]
    table = tables.curves_table(frame.of(made))
    assert set(table["curve"]) == {"labelled calls"}, "no pretraining of another length, so no curve over hours"
    assert table["amount"].tolist() == [50, 100, 200, 400] * 2
    assert set(table["seeds"]) == {2}, "the third seed lacks a point"
    gains = table.set_index(["start", "amount"])["gain over scratch"]
    assert gains[tables.STARTS["2 to 6 dB"]].tolist() == pytest.approx([0.1, 0.1, 0.1, 0.0])
    assert gains[tables.STARTS["scratch"]].isna().all()
    assert "+0.10 [+0.10, +0.10] with 100, +0.10" in page._curves(frame.of(made))


def test_a_curve_over_hours_starts_without_pretraining(tmp_path):
    longer = [_curve(tmp_path, "2 to 6 dB", seed, gain=0.2, epochs=e) for seed in range(2) for e in plan.PRETRAINING_EPOCHS]
    usual = [_curve(tmp_path, start, seed) for seed in range(3) for start in ("scratch", "2 to 6 dB")]
    table = tables.curves_table(frame.of([*longer, *usual]))
    assert table["curve"].unique().tolist() == ["hours of pairs"]
    assert table["amount"].tolist() == [0.0, 0.5, 1.0, 2.0, 4.0]
    assert set(table["seeds"]) == {2}
    assert len(selection.arms(frame.of([*longer, *usual]), "2 to 6 dB")) == 3, "other lengths of pretraining are not the arms of Table 1"
    without = frame.of([r for r in [*longer, *usual] if r.trial["start"] != "scratch"])
    assert tables.curves_table(without).empty


def test_tables_of_heads_and_of_listeners_leave_others_out(tmp_path):
    heads, on_listeners = [], []
    for seed in range(3):
        for start, pcc in (("scratch", 0.3), ("2 to 6 dB", 0.4), ("cdpam", 0.6)):
            big = start == "cdpam"
            fields = {"tuning": canonical(plan.HEAD_TUNING), "stretches": 2, "precision": "bf16"}
            one = arm(tmp_path / "heads", start, seed, pcc + 0.01 * seed, 0.5)
            one.trial.update(fields | {"kind": "heads", "encoder": canonical(plan.CDPAM if big else plan.ENCODER)})
            one.metrics.update({"parameters": 9, "pcc_calls_real": 0.5})
            other = arm(tmp_path / "other", start, seed, 0.9, 0.5)
            other.trial.update(one.trial | {"stretches": 5})
            other.metrics.update(one.metrics | {"pcc_fullband": 0.9})
            heads += [one, other]
        for start, pcc in (("scratch", 0.3), ("2 to 6 dB", 0.35)):
            one = arm(tmp_path / "listeners", start, seed, pcc + 0.01 * seed, 0.5)
            one.trial.update({"kind": "listeners_arms", "tuning": canonical(plan.LISTENERS_TUNING)})
            one.metrics.update(
                {"pcc_wideband": 0.2, "pooled_pcc_fullband": 0.1, "pooled_pcc_wideband": 0.1, "train_sounds": [36, 42, 42, 36]}
            )
            other = arm(tmp_path / "other listeners", start, seed, 0.9, 0.5)
            other.trial.update(one.trial | {"tuning": canonical(plan.TUNING)})
            other.metrics.update(one.metrics | {"pcc_fullband": 0.9})
            on_listeners += [one, other]
    table = tables.heads_table(frame.of(heads)).set_index("frozen encoder")
    column = f"PCC, {tables.TESTS['fullband']}"
    assert table[column].tolist() == pytest.approx([0.31, 0.41, 0.61])
    assert set(table["seeds"]) == {3}
    assert "0.61 with CDPAM's encoder" in page._heads(frame.of(heads))
    rows = tables.listeners_table(frame.of(on_listeners)).set_index(["test", "start"])
    row = rows.loc[(tables.TESTS["fullband"], tables.STARTS["2 to 6 dB"])]
    assert (row["PCC"], row["gain over scratch"]) == pytest.approx((0.36, 0.05))
    assert row["pairs of seeds"] == 3


def test_windows_are_compared_with_whole_sounds(tmp_path):
    found = arms(tmp_path, 0.82, 0.71, 0.71, seeds=2)
    assert tables.lengths_table(found).empty, "records without windows"
    made = []
    for r in frame.records(found, "arms"):
        items = r.items()
        made.append(stored(r, tmp_path / "windows", items.assign(predicted_windows=items["predicted"] * 2 + 1)))
    table = tables.lengths_table(frame.of(made))
    assert table["windows − whole"].abs().max() < 1e-9, "PCC does not change with scale and offset"
    assert set(table["seeds"]) == {2}


def test_embeddings_in_the_cache_are_those_of_their_encoder(tmp_path, monkeypatch):
    """Two settings of one encoder with the same weights have other embeddings, and so have sounds that are cut elsewhere."""
    monkeypatch.setenv("SQA_CACHE", str(tmp_path))
    trial = _arm_on_few_calls(trials.HeadTrial, precision="no")
    torch.manual_seed(0)
    half, whole = (Encoder(EncoderSettings(width=2, embedding=e)).eval() for e in ("half", "all"))
    whole.load_state_dict(half.state_dict())
    sounds = learning.Rated([np.zeros(3000, np.float32), np.zeros(5000, np.float32)], np.array([1.0, 2.0]))
    assert len(trial._heard(half, sounds).waveforms[0]) == 16
    assert len(trial._heard(whole, sounds).waveforms[0]) == 32
    moved = learning.Rated([np.zeros(4000, np.float32)] * 2, sounds.mos)
    trial._heard(half, moved)
    assert len(list(tmp_path.rglob("embeddings-*"))) == 3


# Listeners' scores as labels


def test_quarters_share_no_talker_and_no_condition():
    about = pd.DataFrame([{"talker": t, "condition": c, "set": s} for t in "abcdef" for c in range(13) for s in ("full", "wide")])
    for seed in range(3):
        quarters = trials_listeners.opposite_quarters(about, seed)
        assert sorted(np.concatenate([test for _, test in quarters]).tolist()) == list(range(len(about))), "each file is tested once"
        for train, test in quarters:
            assert len(train) in (36, 42)
            for column in ("talker", "condition"):
                assert not set(about.loc[train, column]) & set(about.loc[test, column])
    with pytest.raises(SettingsError, match="a single talker cannot be halved"):
        trials_listeners.opposite_quarters(about[about["talker"] == "a"], 0)


def test_agreement_is_within_quarters():
    """Predictions that follow within each quarter, from networks with offsets of their own; and the mean of what was trained on, which over
    all files has a negative correlation."""
    about = pd.DataFrame([{"talker": t, "condition": c, "test": "fullband"} for t in "abcdef" for c in range(13)])
    rng = np.random.default_rng(0)
    mos = 1.5 + 0.2 * about["condition"].to_numpy() + rng.normal(0, 0.2, len(about))
    own, means = np.empty(len(about)), np.empty(len(about))
    quarter = np.empty(len(about), int)
    for i, (train, test) in enumerate(trials_listeners.opposite_quarters(about, 0)):
        quarter[test], means[test] = i, mos[train].mean()
        own[test] = 0.3 * (mos[test] - mos[test].mean()) + mos[train].mean()
    table = about.assign(mos=mos, quarter=quarter)
    assert trials.agreement_by_test(table.assign(predicted=means))["pcc_fullband"] < -0.2
    assert trials.agreement_by_test(table.assign(predicted=own))["pcc_fullband"] < 0.8
    assert trials_listeners.within_quarters(table.assign(predicted=own))["pcc_fullband"] == pytest.approx(1)


def test_a_network_learns_from_listeners_and_is_tested_on_others(tmp_path, monkeypatch):
    """Scores that follow the level of a noise, in the place of P.835: what is learnt on a quarter holds on the opposite one."""
    monkeypatch.setenv("SQA_CACHE", str(tmp_path))
    rng = np.random.default_rng(0)
    about = pd.DataFrame([{"talker": t, "condition": c, "test": "fullband"} for t in range(6) for c in range(16)])
    level = rng.uniform(0, 1, len(about))
    sounds = learning.Rated([(0.3 * v * rng.normal(size=RATE // 8)).astype(np.float32) for v in level], 1 + 4 * level)
    monkeypatch.setattr(trials_listeners, "p835", lambda *_: (sounds, about))
    fields = {"start": "scratch", "encoder": EncoderSettings(width=4), "listeners": "made"}
    tuning = learning.TuneSettings(seconds=0.1, batch_size=4, epochs=8, learning_rate=5e-3, keep="last")
    found = trials_listeners.ListenersTrial(**plan._about("synthetic"), tuning=tuning, **fields).run()
    assert found.metrics["pcc_fullband"] > 0.7
    assert found.items["predicted"].notna().all()
    assert set(found.items["quarter"]) == {0, 1, 2, 3}
    with pytest.raises(SettingsError, match='set keep to "last"'):
        trials_listeners.ListenersTrial(**plan._about("synthetic"), tuning=replace(tuning, keep="best"), **fields).run()
