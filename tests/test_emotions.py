"""Corpora of emotional speech: naming rules, one a corpus, on trees like the owners'; traps that real copies hold; splits."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import soundfile

from sqa_core import audio, environment
from sqa_core.corpora import cards, manifest, polyglot, registry, shared_audio, splits
from sqa_core.corpora.emotion import catalogue, reader
from sqa_core.corpora.manifest import Manifest
from sqa_core.errors import CorpusError
from sqa_core.spectrogram import SPEECH_RATE


def put(folder, *names, rate=16_000, channels=1, seed=0, seconds=0.1):
    rng = np.random.default_rng(seed)
    for name in names:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        soundfile.write(path, rng.normal(0, 0.1, (int(seconds * rate), channels)), rate)


# Paths as the owners write them, and what they mean. Those of corpora that no copy was seen of are quoted from readers of them.
NAMES = {
    "aesdd": [
        ("anger/a01 (1).wav", "1", "anger", "01"),
        ("anger/a07 (01).wav", "1", "anger", "07"),
        ("sadness/s01 (5)a.wav", "5", "sadness", "01"),
    ],
    "emodb": [("wav/03a01Fa.wav", "03", "happiness", "a01"), ("wav/16b10Wb.wav", "16", "anger", "b10")],
    "emovo": [("EMOVO/f1/dis-f1-b1.wav", "f1", "disgust", "b1"), ("m3/rab-m3-d2.wav", "m3", "anger", "d2")],
    "urdu": [("Angry/SM1_F10_A010.wav", "SM1", "anger", None), ("Sad/SF4_F1_S01.wav", "SF4", "sadness", None)],
    "cafe": [("CaFE_48k/Peur/Fort/12-P-2-5.wav", "12", "fear", "5"), ("CaFE_48k/Neutre/01-N-1-6.wav", "01", "neutral", "6")],
    "demos": [("DEMOS/NP_f_61_gio02c.wav", "61", "happiness", None), ("NEU/m_69_neu02b.wav", "69", "neutral", None)],
    "emomatch": [("raw/03_Alegria_02.WAV", "03", "happiness", "02")],
    "eyase": [("Female03/fm03_ang (1).wav", "female03", "anger", None), ("Female02/fm01_hap (5).wav", "female02", "happiness", None)],
    "oreau": [("Ore\u0301auFR_02/f/sessj/10a02Ja.wav", "10", "happiness", "a02"), ("m/sessc/07a02Ca.wav", "07", "anger", "a02")],
    "shemo": [("male/M36S02.wav", "M36", "sadness", None), ("female/F21F01.wav", "F21", "fear", None)],
    "ravdess": [("Actor_12/03-01-06-01-02-01-12.wav", "12", "fear", "02")],
    "savee": [("AudioData/DC/d03.wav", "DC", "disgust", "03"), ("KL_su15.wav", "KL", "surprise", "surprise 15")],
}


def test_every_corpus_has_its_names_tried():
    without_emotion = {name for name, corpus in catalogue.CORPORA.items() if corpus.labels_beside}  # tried in test_humpcat
    assert set(NAMES) == set(catalogue.CORPORA) - without_emotion
    assert without_emotion == {"iemocap"}


@pytest.mark.parametrize("name", NAMES)
def test_official_names_are_read(name, tmp_path, monkeypatch):
    monkeypatch.setenv("SQA_CACHE", str(tmp_path / "cache"))
    folder = tmp_path / name
    for i, (file, *_) in enumerate(NAMES[name]):
        put(folder, file, seed=i)
    put(folder, "somewhere/else.wav")
    table = reader.manifest(folder, name).table
    assert len(table) == len(NAMES[name]), "a foreign file is left out"
    for file, speaker, emotion, sentence in NAMES[name]:
        row = table.set_index("file").loc[file]
        assert (row["speaker"], row["emotion"]) == (speaker, emotion)
        if sentence is not None:
            assert row["sentence"] == sentence
    told = reader.problems(folder, name)
    assert any("somewhere/else.wav: not named as" in line for line in told)
    assert any("are expected" in line for line in told)
    assert all(table["language"] == catalogue.CORPORA[name].language)


def test_facts_of_the_registry_are_whole():
    for name, corpus in catalogue.CORPORA.items():
        assert corpus.files > 0, name
        assert corpus.citation, name
        assert corpus.source, name
        assert registry.known(name).title == corpus.title
    with pytest.raises(CorpusError, match=r"demos .* is not fetched by this command; get it from https://zenodo"):
        registry.fetch("demos")


def test_traps_of_real_copies_are_told(tmp_path, monkeypatch):
    monkeypatch.setenv("SQA_CACHE", str(tmp_path / "cache"))
    aesdd = tmp_path / "aesdd"
    put(aesdd, "anger/a01 (1).wav", rate=44_100)
    (aesdd / "sadness").mkdir()
    (aesdd / "sadness/s05 (3).wav").write_bytes(b"RIFF\x1c\x00\x00\x00WAVEfmt \x10\x00\x00\x00" + bytes(16))
    told = "\n".join(reader.problems(aesdd, "aesdd"))
    assert "s05 (3).wav" in told
    assert "It is left out." in told
    ravdess = tmp_path / "ravdess"
    put(ravdess, "Actor_01/03-01-05-01-01-01-01.wav", "Actor_01/03-01-05-01-01-02-01.wav", rate=48_000, channels=2)
    sound, rate = soundfile.read(ravdess / "Actor_01/03-01-05-01-01-01-01.wav")
    (ravdess / "Actor_02").mkdir()
    soundfile.write(ravdess / "Actor_02/03-01-04-01-01-01-02.wav", sound, rate)
    (ravdess / "audio_speech_actors_01-24/Actor_01").mkdir(parents=True)
    soundfile.write(ravdess / "audio_speech_actors_01-24/Actor_01/03-01-05-01-01-01-01.wav", sound, rate)
    told = "\n".join(reader.problems(ravdess, "ravdess"))
    assert "the same samples, labelled anger and sadness" in told
    assert "audio_speech_actors_01-24/Actor_01/03-01-05-01-01-01-01.wav" in told
    assert "3 files with 2 channels, 0 of them with equal ones" in told
    kept = reader.manifest(ravdess, "ravdess").table["file"]
    assert len(kept) == 3, "what is there twice by the same labels is used once; the same sounds by other labels are both told"
    assert not kept.str.contains("audio_speech").any()
    mono = np.tile(np.random.default_rng(9).normal(0, 0.1, (4800, 1)), 2)
    soundfile.write(ravdess / "Actor_02/03-01-02-01-01-01-02.wav", mono, 48_000)
    assert any("4 files with 2 channels, 1 of them" in line for line in reader.problems(ravdess, "ravdess"))
    emovo = tmp_path / "emovo"
    put(emovo, "m1/rab-m1-b1.wav", rate=48_000)
    assert any("with 1 channels, 2 are expected" in line for line in reader.problems(emovo, "emovo"))


def test_another_rate_and_missing_names_are_told(tmp_path, monkeypatch):
    monkeypatch.setenv("SQA_CACHE", str(tmp_path / "cache"))
    names = [f"{who}/{emotion}-{who}-{sentence}.wav" for who in ("f1", "m1") for emotion in ("gio", "rab") for sentence in ("b1", "b2")]
    for i, name in enumerate(names[:-1]):
        put(tmp_path / "emovo", name, rate=48_000, channels=2, seed=i)
    put(tmp_path / "emovo", "f1/neu-f1-b1.wav", rate=44_100, channels=2, seed=99)
    told = reader.problems(tmp_path / "emovo", "emovo")
    assert "1 files at 44100 Hz, 48000 Hz is expected (such as f1/neu-f1-b1.wav)" in told
    assert "speaker m1: emotion anger, sentence b2 is missing" in told
    assert "speaker m1: emotion neutral, sentence b1 is missing" in told
    assert not any("speaker f1" in line for line in told)


def test_an_own_manifest_is_taken_as_it_is(tmp_path):
    put(tmp_path, "x/1.wav", "x/2.wav")
    table = manifest.describe(tmp_path, ["x/1.wav", "x/2.wav"]).assign(speaker="01", language="el", licence="none", emotion="anger")
    manifest.write(Manifest("aesdd", table, tmp_path, "real"), tmp_path / "manifest.csv")
    assert reader.holds(tmp_path, "aesdd")
    assert reader.manifest(tmp_path, "aesdd").table["speaker"].tolist() == ["01", "01"]
    assert reader.problems(tmp_path, "aesdd") == []
    text = (tmp_path / "manifest.csv").read_text()
    (tmp_path / "manifest.csv").write_text(text, encoding="utf-8-sig")
    assert len(reader.manifest(tmp_path, "aesdd").table) == 2, "as a spreadsheet saves it"
    put(tmp_path, "x/1.wav", seed=5)
    (tmp_path / "x/2.wav").unlink()
    told = "\n".join(reader.problems(tmp_path, "aesdd"))
    assert "its hash differs" in told
    assert "x/2.wav: missing" in told
    (tmp_path / "manifest.csv").write_text(text.replace(",emotion", ",mood"))
    with pytest.raises(CorpusError, match="the column `emotion` is missing"):
        reader.manifest(tmp_path, "aesdd")
    (tmp_path / "manifest.csv").write_bytes(text.replace("none", "dès").encode("latin-1"))
    assert reader.holds(tmp_path, "aesdd")
    with pytest.raises(CorpusError, match="not in UTF-8"):
        reader.manifest(tmp_path, "aesdd")


@pytest.mark.parametrize(("name", "files", "speakers"), [("aesdd", 604, 6), ("emodb", 535, 10), ("emovo", 588, 6), ("urdu", 400, 29)])
def test_real_copies_are_read_whole(name, files, speakers):
    if registry.find(name) is None:
        pytest.skip(f"{name} is not here (SQA_DATA)")
    table = registry.load(name).table
    assert (len(table), table["speaker"].nunique()) == (files, speakers)
    assert table["emotion"].value_counts().to_dict() == catalogue.CORPORA[name].expected


def corpus(speakers=6, emotions_=("anger", "sadness"), each=5) -> Manifest:
    rows = [
        {"file": f"{s}-{e}-{i}.wav", "speaker": str(s), "emotion": e, "sentence": str(i)}
        for s in range(speakers)
        for e in emotions_
        for i in range(each)
    ]
    return Manifest("made", pd.DataFrame(rows), Path(), "real")


@pytest.mark.parametrize("speakers", [3, 6, 10, 29])
def test_speakers_stay_apart_and_shares_are_near(speakers):
    made = corpus(speakers)
    split = splits.make(made, "speaker")
    facts = splits.facts(split, made).set_index("part")
    assert (facts["speakers in train too"] == 0).all()
    assert facts["speakers"].sum() == speakers
    assert (facts["files"] > 0).all()
    best = max(1, round(speakers / 10)) / speakers
    assert abs(facts.loc["test", "share"] - best) < 0.05
    assert facts.loc["test", "share with a sentence of train"] == 1


def test_every_speaker_tests_once():
    made = corpus(5)
    split = splits.make(made, "loso")
    assert split.folds == list(range(5))
    tested = split.table[split.table["part"] == "test"]
    assert sorted(tested["file"]) == sorted(made.table["file"])
    splits.assert_speaker_independent(split, made.table)


def test_those_who_choose_know_every_class():
    """As in URDU: most speakers have one emotion, by which no epoch can be chosen."""
    rows = [{"file": f"{s}-{i}.wav", "speaker": f"{s:02d}", "emotion": ("anger", "sadness")[s % 2]} for s in range(24) for i in range(5)]
    made = Manifest("single", pd.DataFrame(rows), Path(), "real")
    split = splits.make(made, "loso")
    joined = split.table.merge(made.table, on="file")
    classes = joined[joined["part"] == "valid"].groupby("fold")["emotion"].nunique()
    assert (classes == 2).all()


@pytest.mark.parametrize("protocol", ["speaker", "loso"])
def test_two_names_of_one_person_stay_together(protocol):
    made = corpus(8)
    table = made.table.assign(speaker=made.table["speaker"].map(lambda s: {"0": "SF1", "7": "SF4"}.get(s, s)))
    split = splits.make(Manifest("urdu", table, Path(), "real"), protocol)
    parts = split.table.merge(table, on="file").query("speaker in ('SF1', 'SF4')").groupby("fold")["part"].nunique()
    assert (parts == 1).all()
    assert protocol == "speaker" or len(split.folds) == 7


def test_a_plain_split_mixes_speakers_and_keeps_shares():
    made = corpus(4, each=10)
    split = splits.make(made, "stratified")
    facts = splits.facts(split, made).set_index("part")
    assert facts.loc["test", "speakers in train too"] > 0
    assert facts.loc["test", "least class"] == facts.loc["test", "largest class"] == 4
    assert splits.make(made, "stratified").hash == split.hash
    assert splits.make(made, "stratified", seed=1).hash != split.hash
    with pytest.raises(CorpusError, match="is in several parts"):
        splits.assert_speaker_independent(split, made.table)


def test_aliases_of_a_speaker_count_as_leakage():
    made = corpus(4, each=10)
    table = made.table.assign(speaker=made.table["speaker"].map({"0": "SF1", "1": "SF4", "2": "SM1", "3": "SM2"}))
    part = table["speaker"].map({"SF1": "train", "SF4": "test", "SM1": "train", "SM2": "valid"})
    split = splits.Split("of one's own", table.assign(fold=0, part=part)[["fold", "file", "part"]])
    found = splits.facts(split, Manifest("urdu", table, Path(), "real")).set_index("part")
    assert found["speakers in train too"].to_dict() == {"train": 0, "valid": 0, "test": 1}
    assert splits.facts(split, Manifest("other", table, Path(), "real"))["speakers in train too"].tolist() == [0, 0, 0]


def test_blank_cells_do_not_count_as_labels():
    made = corpus(4, each=10)
    half = np.arange(len(made.table)) % 2 == 0
    table = made.table.assign(
        sentence=made.table["sentence"].where(half, " "), gender=made.table["speaker"].map({"0": "female"}).fillna("")
    )
    part = made.table["sentence"].map(lambda s: "train" if int(s) < 6 else "valid" if int(s) < 8 else "test")
    split = splits.Split("of one's own", table.assign(fold=0, part=part)[["fold", "file", "part"]])
    mixed = Manifest("made", table, Path(), "real")
    assert splits.facts(split, mixed).set_index("part").loc["test", "share with a sentence of train"] == 0
    assert mixed.given("gender").notna().sum() == 20
    assert mixed.given("take").isna().all()
    unnamed = Manifest("made", table.assign(sentence=""), Path(), "real")
    assert "share with a sentence of train" not in splits.facts(split, unnamed)


def test_splits_are_written_and_read(tmp_path):
    made = corpus()
    split = splits.make(made, "loso")
    splits.write(split, tmp_path / "made-loso-0.csv")
    again = splits.read(tmp_path / "made-loso-0.csv")
    assert again.hash == split.hash
    parts = again.parts(0, made.table["file"].tolist())
    assert sorted(np.concatenate(list(parts.values())).tolist()) == list(range(len(made.table)))
    with pytest.raises(CorpusError, match="lists other files"):
        again.parts(0, ["elsewhere.wav"])
    (tmp_path / "bad.csv").write_text("fold,file,part\n0,a.wav,train\n0,a.wav,test\n")
    with pytest.raises(CorpusError, match="each file once in a fold"):
        splits.read(tmp_path / "bad.csv")


def test_too_few_speakers_are_refused():
    with pytest.raises(CorpusError, match="2 speakers"):
        splits.make(corpus(2), "speaker")
    with pytest.raises(CorpusError, match="too few"):
        splits.make(corpus(2), "loso")
    with pytest.raises(CorpusError, match="anger has 6 files; a stratified split needs 10"):
        splits.make(corpus(3, each=2), "stratified")


def made(tmp_path, sounds: dict[str, np.ndarray], speakers: list[str], rate: int = 16_000) -> Manifest:
    for name, sound in sounds.items():
        soundfile.write(tmp_path / name, sound, rate)
    emotions = [("joy", "rage")[i % 2] for i in range(len(sounds))]
    table = manifest.describe(tmp_path, list(sounds)).assign(speaker=speakers, language="el", licence="none", emotion=emotions)
    return Manifest("made", table, tmp_path, "real")


def test_cards_find_shared_audio_and_not_shared_hum(tmp_path):
    rng = np.random.default_rng(0)
    hum = 0.2 * np.sin(2 * np.pi * 50 * np.arange(32_000) / 16_000)
    sounds = {f"{i}.wav": rng.normal(0, 0.05, 32_000) + hum for i in range(6)}
    sounds["5.wav"][:16_000] = sounds["2.wav"][16_000:]
    found = made(tmp_path, sounds, ["a", "a", "b", "b", "c", "c"])
    shared = shared_audio.search(found)
    pairs = shared.pairs
    assert pairs[["file", "other", "speaker", "other speaker"]].to_numpy().tolist() == [["2.wav", "5.wav", "b", "c"]]
    assert pairs["seconds"][0] == pytest.approx(1, abs=0.01)
    found.table["gender"] = ["", "", "female", "female", "male", "male"]
    found.table["sentence"] = ["x", "x", "x", "", " ", ""]
    facts = cards.facts(found, shared)
    assert facts["women and men"] == "1 and 1, 1 unknown"
    assert facts["sentences"] == "1, 1 of them by several speakers; 3 without one"
    assert facts["accuracy of the sentence-majority baseline, %"] == 66.7
    assert facts["pairs of files that share audio"] == 1
    assert facts["speakers who share audio"] == "b and c"
    split = splits.Split("made", pd.DataFrame({"fold": 0, "file": list(sounds), "part": ["train"] * 4 + ["valid", "test"]}))
    leaked = splits.facts(split, found, pairs).set_index("part")["files that share audio with train"]
    assert leaked[["valid", "test"]].tolist() == [0, 1]


def speech(count: int) -> list[np.ndarray]:
    """Built-in voices, 16 kHz, each another sentence."""
    texts = [t for language in ("en", "de", "it") for t in polyglot.sentences(language)][:count]
    jobs = [polyglot.acted_job("en", "f1", text, "neutral") for text in texts]
    return [audio.resample(s.waveform, s.sample_rate, 16_000)[0] for s in polyglot.synthesise(jobs)]


def test_shared_speech_is_found_in_whatever_form(tmp_path):
    """Two cuts of one recording, one of them weaker, noisy and through a telephone's rate; all files with silence at their edges."""
    rng = np.random.default_rng(1)
    *plain, whole = speech(6)
    narrow = audio.resample(audio.resample(whole[None], 16_000, 8_000), 8_000, 16_000)[0]
    a, b = int(0.4 * len(whole)), int(0.6 * len(whole))
    edge = [np.zeros(4_000), 1e-6 * rng.normal(size=4_000)]
    sounds = {f"{i}.wav": np.concatenate([edge[0], x, edge[1]]) for i, x in enumerate(plain)}
    sounds["first.wav"] = np.concatenate([edge[0], whole[:b]])
    sounds["second.wav"] = np.concatenate([0.2 * narrow[a:] + 1e-4 * rng.normal(size=len(narrow) - a), edge[0]])
    found = shared_audio.search(made(tmp_path, sounds, list("aabbccd")))
    assert found.pairs[["file", "other"]].to_numpy().tolist() == [["first.wav", "second.wav"]]
    assert found.pairs["seconds"][0] == pytest.approx((b - a) / 16_000, abs=0.01)
    assert found.control < found.threshold < found.pairs["correlation"][0] <= 1


def test_a_correlation_is_at_most_one():
    """Rounding noise of a transform is not divided by the energy of a silent edge."""
    rng = np.random.default_rng(2)
    loud, edge = rng.normal(size=3_000), 1e-12 * rng.normal(size=3_000)
    assert shared_audio.overlap(np.r_[edge, loud], np.r_[loud[::-1], edge], 1_000)[0] < 0.2
    assert shared_audio.overlap(np.zeros(2_000), np.zeros(2_000), 1_000)[0] == 0.0


def test_cards_count_digital_silence_at_an_end(tmp_path):
    put(tmp_path, "x.wav", "y.wav", seconds=1)
    sound, rate = soundfile.read(tmp_path / "y.wav")
    sound[-800:] = 0
    soundfile.write(tmp_path / "y.wav", sound, rate)
    table = manifest.describe(tmp_path, ["x.wav", "y.wav"]).assign(speaker="1", language="en", licence="none")
    assert cards.facts(Manifest("made", table, tmp_path, "real"))["files with digital silence at an end"] == 1


def test_what_is_wrong_with_urdu_is_found():
    if registry.find("urdu") is None:
        pytest.skip("urdu is not here (SQA_DATA)")
    urdu = registry.load("urdu")
    shared = shared_audio.search(urdu)
    across = shared.pairs[shared.pairs["speaker"] != shared.pairs["other speaker"]]
    assert {frozenset(pair) for pair in zip(across["speaker"], across["other speaker"], strict=True)} == {frozenset(("SF1", "SF4"))}
    assert len(shared.pairs) == 11
    assert shared.control < 0.6 < 0.9 < shared.pairs["correlation"].min(), "a wide gap between chance and copies"
    facts = cards.facts(urdu, shared)
    assert facts["speakers with one emotion only"] == "26 of 29"
    assert facts["shortest and longest, s"].startswith("0.99 to 3.0")
    talkers = splits.speakers_merged(urdu)
    assert talkers.nunique() == 28
    assert len(splits.make(urdu, "loso").folds) == 28


def test_what_aesdd_lacks_as_distributed():
    if registry.find("aesdd") is None:
        pytest.skip("aesdd is not here (SQA_DATA)")
    names = registry.load("aesdd").table["file"].str.extract(r"/(.*)\.\w+$")[0].tolist()
    assert not {"d18 (5)", "f02 (4)", "h11 (3)", "s05 (3)"} & set(names)
    assert {"d03 (01)", "d01 (5)b"} <= set(names)


def test_the_stereo_sample_of_emovo_has_two_channels_that_differ():
    if environment.find("data", catalogue.STEREO_SAMPLE) is None:
        pytest.skip("the stereo sample is not here (SQA_DATA)")
    sample = reader.stereo_sample()
    assert len(sample.table) == 13, "rab-f1-b1 has one channel as distributed"
    assert "rab-f1-b1.flac" not in set(sample.table["file"])
    left, right, mean = (audio.load_mono(sample.paths()[0], SPEECH_RATE, c) for c in ("left", "right", "mean"))
    assert np.abs(left - right).max() > 0.01
    power = [np.abs(np.fft.rfft(x)) ** 2 for x in (left, right, mean)]
    hertz = np.fft.rfftfreq(len(left), 1 / 16_000)
    notch = (hertz > 1100) & (hertz < 1300)
    assert power[2][notch].sum() < 0.5 * np.mean([power[0][notch].sum(), power[1][notch].sum()]), "the mean is comb-filtered"


@pytest.mark.slow
@pytest.mark.parametrize(("name", "speakers"), [("emovo", ("f2", "f3")), ("ravdess", ("01", "02")), ("emodb", ("03", "08"))])
def test_no_speakers_of_other_corpora_share_audio(name, speakers):
    """Actors who speak the same sentences are not one person."""
    if registry.find(name) is None:
        pytest.skip(f"{name} is not here (SQA_DATA)")
    found = shared_audio.search(registry.load(name).where(speaker=speakers)).pairs
    assert (found["speaker"] == found["other speaker"]).all()
    assert len(found) == (1 if name == "emovo" else 0), "one sentence of f3 is in EMOVO twice"
