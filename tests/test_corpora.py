"""Manifests, the P.835 parser and its traps, the built-in corpus, the prompts."""

import hashlib
import shutil
import subprocess
import tempfile

import numpy as np
import pandas as pd
import pytest
import soundfile

from sqa_core import audio, intrusive, levels
from sqa_core.corpora import asterisk, manifest, pesq_material, polyglot, registry
from sqa_core.corpora import p835 as p835_module
from sqa_core.errors import CorpusError, SettingsError

ROW = {"file": "a/b.wav", "sha256": "0" * 64, "sample_rate": 16_000, "seconds": 1.5, "speaker": "s1", "language": "en", "licence": "MIT"}

MANIFEST_FAULTS = {
    "a column is missing": (lambda t: t.drop(columns="speaker"), "lacks the column speaker"),
    "no rows": (lambda t: t.iloc[:0], "no rows"),
    "a name that climbs out": (lambda t: t.assign(file="../../etc/passwd"), "must stay below"),
    "a climbing name in Windows' way": (lambda t: t.assign(file="..\\secret.wav"), "must stay below"),
    "an absolute name": (lambda t: t.assign(file="/etc/passwd"), "must stay below"),
    "a drive": (lambda t: t.assign(file="C:\\x.wav"), "must stay below"),
    "a name twice": (lambda t: pd.concat([t, t]), "twice"),
    "no hash": (lambda t: t.assign(sha256="abc"), "64 hexadecimal"),
    "a rate of zero": (lambda t: t.assign(sample_rate=0), "sample_rate"),
    "a rate of text": (lambda t: t.assign(sample_rate="fast"), "sample_rate"),
    "a length below zero": (lambda t: t.assign(seconds=-1.0), "seconds"),
    "a length that is no number": (lambda t: t.assign(seconds=np.nan), "seconds"),
    "an infinite length": (lambda t: t.assign(seconds=np.inf), "seconds"),
    "no speaker": (lambda t: t.assign(speaker=""), "speaker"),
    "no licence": (lambda t: t.assign(licence=None), "licence"),
}


@pytest.mark.parametrize("name", MANIFEST_FAULTS)
def test_a_wrong_manifest_says_what(tmp_path, name):
    damage, words = MANIFEST_FAULTS[name]
    damage(pd.DataFrame([ROW])).to_csv(tmp_path / "manifest.csv", index=False)
    with pytest.raises(CorpusError, match=words):
        manifest.read(tmp_path / "manifest.csv", "x", "real")


def test_a_manifest_that_is_no_table(tmp_path):
    (tmp_path / "m.csv").write_bytes(b"\xff\xfe\x00\x01" * 50)
    (tmp_path / "e.csv").write_bytes(b"")
    for name in ("m.csv", "e.csv", "absent.csv"):
        with pytest.raises(CorpusError, match=name):
            manifest.read(tmp_path / name, "x", "real")


def test_a_manifest_goes_out_and_comes_in(tmp_path, tone):
    (tmp_path / "a").mkdir()
    audio.write_wav(tmp_path / "a" / "b.wav", *tone)
    described = manifest.describe(tmp_path, ["a/b.wav"]).assign(speaker="1", language="en", licence="MIT", label=0.5)
    written = manifest.Manifest("x", described, tmp_path, "real")
    manifest.write(written, tmp_path / "manifest.csv")
    found = manifest.read(tmp_path / "manifest.csv", "x", "real")
    assert found.hash == written.hash
    assert found.table["speaker"][0] == "1"
    assert manifest.verify(found) == []
    (tmp_path / "a" / "b.wav").write_bytes(b"other")
    assert "hash differs" in manifest.verify(found)[0]
    (tmp_path / "a" / "b.wav").unlink()
    assert "missing" in manifest.verify(found)[0]


def test_windows_names_are_read(tmp_path):
    pd.DataFrame([ROW | {"file": "a\\b.wav"}]).to_csv(tmp_path / "m.csv", index=False)
    assert manifest.read(tmp_path / "m.csv", "x", "real").table["file"][0] == "a/b.wav"


def test_a_corpus_that_is_not_here_says_how_to_get_it(monkeypatch, tmp_path):
    monkeypatch.setenv("SQA_DATA", "")
    monkeypatch.setenv("SQA_CACHE", str(tmp_path))
    registry.load.cache_clear()
    with pytest.raises(CorpusError, match="sqa data fetch p835"):
        registry.load("p835")
    with pytest.raises(SettingsError, match="no corpus 'p999'"):
        registry.load("p999")
    registry.load.cache_clear()


# P.835


def test_p835_is_complete(p835):
    table = p835.table
    assert table.groupby("set").size().to_dict() == {"fullband": 78, "wideband": 78}
    assert table["condition"].nunique() == 13
    assert sorted(table["talker"].unique()) == ["f1", "f2", "f3", "m1", "m2", "m3"]
    assert table["n_votes"].between(5, 15).all()
    c6 = table[table["condition"] == "c6"]
    assert (c6["snr_db"] == 0).all()
    assert (c6["mnru_q_db"] == 40).all()
    assert table[table["condition"] == "c0"]["snr_db"].isna().all()


def test_p835_trap_wide_band_references_are_the_full_band_ones(p835):
    references = p835.table[p835.table["condition"] == "c0"]
    for _, pair in references.groupby("talker"):
        assert pair["sha256"].nunique() == 1
        assert (pair["sample_rate"] == 48_000).all()
    others = p835.table[(p835.table["set"] == "wideband") & (p835.table["condition"] != "c0")]
    assert (others["sample_rate"] == 16_000).all()


def test_p835_trap_degraded_files_are_late_and_quieter(p835):
    wide = p835.where(set="wideband", condition="c5")
    file, reference = wide.paths()[0], wide.root / wide.table["reference"][0]
    clean, degraded = audio.load(reference), audio.load(file)
    x, y = p835_aligned = intrusive.aligned(clean, degraded, 16_000)
    assert len(x) == len(y)
    raw = audio.resample(clean.waveform, 48_000, 16_000)[0]
    late = degraded.waveform[0]
    n = min(len(raw), len(late))
    before, after = np.corrcoef(raw[:n], late[:n])[0, 1], np.corrcoef(*p835_aligned)[0, 1]
    assert after > 0.8 > 0.5 > abs(before)
    assert len(raw) - len(x) == pytest.approx(275, abs=40) or len(late) - len(y) == pytest.approx(275, abs=40)
    gain = np.dot(x, y) / np.dot(x, x)
    assert 0.4 < gain < 0.85


def test_p835_official_layout_is_read_too(p835, tmp_path):
    import soundfile

    root = registry.find("p835")
    shutil.copy2(root / p835_module.SPREADSHEET, tmp_path)
    for official, short in [("degraded_fullband_48KHz", "fullband"), ("degraded_WB_16KHz", "wideband")]:
        (tmp_path / official).mkdir()
        for path in sorted((root / short).iterdir()):
            samples, rate = soundfile.read(path, dtype="int16")
            soundfile.write(tmp_path / official / f"{path.stem}.wav", samples, rate, subtype="PCM_16")
    official = p835_module.manifest(tmp_path)
    known = pd.read_csv(p835_module.FILES).set_index("file")["sha256"]
    assert len(official.table) == 156
    # The fetcher's hashes are those of the files as distributed, and lossless copies turn back into them.
    assert official.table.set_index("file")["sha256"].to_dict() == known.drop(p835_module.SPREADSHEET).to_dict()
    assert hashlib.sha256((tmp_path / p835_module.SPREADSHEET).read_bytes()).hexdigest() == known[p835_module.SPREADSHEET]
    labels = ["condition", "talker", "n_votes", "mos_ovrl", "mos_sig", "mos_bak", "std_ovrl"]
    assert official.table[labels].equals(p835.table[labels])
    next((tmp_path / "degraded_WB_16KHz").glob("c3_*")).unlink()
    with pytest.raises(CorpusError, match="1 rated files are missing"):
        p835_module.manifest(tmp_path)


def test_p835_check_finds_an_altered_file(p835, tmp_path):
    import soundfile

    root = registry.find("p835")
    shutil.copy2(root / p835_module.SPREADSHEET, tmp_path)
    for short in ("fullband", "wideband"):
        shutil.copytree(root / short, tmp_path / short, copy_function=shutil.copyfile)
    path = tmp_path / "wideband" / "c3_f1.flac"
    samples, rate = soundfile.read(path, dtype="int16")
    samples[1000] += 1
    soundfile.write(path, samples, rate)
    assert p835_module.verify(p835) == []
    (problem,) = p835_module.verify(p835_module.manifest(tmp_path))
    assert "c3_f1" in problem


def test_p835_without_its_spreadsheet(tmp_path):
    with pytest.raises(CorpusError, match="spreadsheet"):
        p835_module.manifest(tmp_path)


# polyglot


def test_polyglot_is_the_same_each_time_and_in_any_order():
    jobs = [polyglot.job(lang, voice, polyglot.sentences(lang)[1]) for lang in ("en", "zh") for voice in polyglot.VOICES]
    first = polyglot.synthesise(jobs)
    second = polyglot.synthesise(jobs[::-1])[::-1]
    assert all(np.array_equal(a.waveform, b.waveform) for a, b in zip(first, second, strict=True))
    assert {s.sample_rate for s in first} == {22_050}


def test_polyglot_has_eleven_languages_ten_voices_and_the_same_sentences():
    assert len(polyglot.LANGUAGES.keys() - {"fr-be"}) == 11
    assert len(polyglot.VOICES) >= 10
    for language in polyglot.LANGUAGES:
        assert len(polyglot.sentences(language)) == 12
        assert all(s.strip() for s in polyglot.sentences(language))
    french, belgian = polyglot.synthesise([polyglot.job(lang, "m1", polyglot.sentences(lang)[10]) for lang in ("fr", "fr-be")])
    assert french.waveform.shape != belgian.waveform.shape  # quatre-vingt-douze, nonante-deux


@pytest.mark.parametrize("name", ["en-gb", "fr-fr", "xx"])
def test_polyglot_trap_a_voice_that_espeak_has_not_is_an_error(name):
    job = polyglot.job("en", "m1", "Hello.") | {"voice": name}
    with pytest.raises(CorpusError, match=name):
        polyglot.synthesise([polyglot.job("de", "m1", "Hallo."), job])


def test_polyglot_trap_one_process_does_not_repeat_itself():
    """Why each utterance has a fork of its own: said again in one process, a sentence differs."""
    import subprocess
    import sys

    code = """
from sqa_core.corpora import espeak, polyglot
library, rate = espeak.start()
job = polyglot.job("en", "f1", polyglot.sentences("en")[0])
print(len({espeak.speak(library, job) for _ in range(4)}))
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert int(done.stdout) > 1, done.stderr


def test_polyglot_is_generated_whole_and_cached(tmp_path):
    made = polyglot.generate(tmp_path, languages=("en",))
    assert len(made.table) == 12 * len(polyglot.VOICES)
    assert made.status == "synthetic"
    assert manifest.verify(made) == []
    assert polyglot.manifest(tmp_path).hash == made.hash
    assert min(levels.level(audio.load(p).waveform) for p in made.paths()[::12]) > -35
    assert max(np.abs(audio.load(p).waveform).max() for p in made.paths()[::12]) < 1


def test_acted_speech_follows_its_rules():
    emotions_ = ("neutral", "anger", "sadness")
    text = polyglot.sentences("it")[0]
    heard = dict(zip(emotions_, polyglot.synthesise([polyglot.acted_job("it", "m1", text, e) for e in emotions_]), strict=True))
    seconds = {e: s.waveform.shape[1] / s.sample_rate for e, s in heard.items()}
    assert seconds["anger"] < seconds["neutral"] < seconds["sadness"]
    level_of = {e: levels.level(s.waveform) for e, s in heard.items()}
    assert level_of["sadness"] < level_of["neutral"] < level_of["anger"]
    assert max(np.abs(s.waveform).max() for s in heard.values()) < 1

    def high_share(sound):
        power = np.abs(np.fft.rfft(sound.waveform[0])) ** 2
        return power[np.fft.rfftfreq(sound.waveform.shape[1], 1 / sound.sample_rate) > 2 * polyglot.BRIGHT_HZ].sum() / power.sum()

    assert high_share(heard["sadness"]) < high_share(heard["neutral"]) < high_share(heard["anger"])


def test_a_brighter_voice_keeps_its_level(tone):
    brighter = polyglot.brightened(tone, 9.0)
    assert levels.level(brighter.waveform) == pytest.approx(levels.level(tone.waveform), abs=0.01)
    np.testing.assert_allclose(polyglot.brightened(tone, 0.0).waveform, tone.waveform, atol=1e-6)


# impaired


def test_impaired_material_is_the_same_each_time_and_labelled():
    once, again = (pesq_material.make(3, 5, ("en",), ("m1", "f1")) for _ in range(2))
    for a, b in zip(once, again, strict=True):
        assert np.array_equal(a.waveform, b.waveform)
        assert (a.recipe, a.pesq) == (b.recipe, b.pesq)
        assert 1 <= a.pesq <= 4.65
        assert a.recipe[-1]["kind"] == "level"


def test_pesq_of_a_sound_and_itself_is_its_top_and_of_silence_unknown(tone):
    x = np.concatenate([tone.waveform[0]] * 3)
    assert intrusive.pesq_mos(x, x) == pytest.approx(4.64, abs=0.01)
    assert np.isnan(intrusive.pesq_mos(np.zeros_like(x), x))


def test_a_recipe_with_an_unknown_step(tone):
    with pytest.raises(CorpusError, match="'echo'"):
        pesq_material.apply_recipe(tone.waveform[0], 16_000, [{"kind": "echo"}], np.random.default_rng(0), tone.waveform[0])


# asterisk


def _apt_has(package: str) -> bool:
    """Whether apt can fetch a package, asked without downloading it."""
    with tempfile.TemporaryDirectory() as place:
        asked = subprocess.run(["apt-get", "download", "--print-uris", package], cwd=place, capture_output=True, text=True)
        return asked.returncode == 0 and package in asked.stdout


@pytest.mark.slow
def test_asterisk_prompts_come_through_apt(tmp_path):
    if not (shutil.which("apt-get") and shutil.which("dpkg-deb")):
        pytest.skip("this system has no apt")
    if not _apt_has("asterisk-core-sounds-ru-g722"):
        pytest.skip("apt reaches no package server here")
    asterisk.fetch(tmp_path, languages=("ru",))
    found = asterisk.manifest(tmp_path)
    table = found.table
    assert len(table) > 400
    assert (table["sample_rate"] == 16_000).all()
    assert set(table["licence"]) == {"CC BY 3.0"}
    every = len(list((tmp_path / "ru").rglob("*.g722")))
    assert 5 <= every - len(table) <= 20  # the silent ones
    assert not table["file"].str.contains("silence/").any()
    assert [p.name for p in tmp_path.iterdir() if p.name.startswith(".")] == []


def test_asterisk_without_apt_says_so(tmp_path, monkeypatch):
    monkeypatch.setattr(shutil, "which", lambda name: None)
    with pytest.raises(CorpusError, match="apt"):
        asterisk.fetch(tmp_path / "a")


AS_OTHER_TOOLS_WRITE_THEM = {
    "quoted": lambda rows: "\n".join(",".join(f'"{c}"' for c in row) for row in rows),
    "semicolons": lambda rows: "\n".join(";".join(row) for row in rows),
    "semicolons and decimal commas": lambda rows: "\n".join(";".join(c.replace("1.5", "1,5") for c in row) for row in rows),
    "tabs": lambda rows: "\n".join("\t".join(row) for row in rows),
    "a byte-order mark and Windows's line ends": lambda rows: "\ufeff" + "\r\n".join(",".join(row) for row in rows),
}


def manifest_rows(emotion="anger", speaker="00", language="el", licence="CC0"):
    header = ["file", "sha256", "sample_rate", "seconds", "speaker", "language", "licence", "emotion"]
    return [header, *([f"x/{i}.wav", str(i) * 64, "16000", "1.5", speaker, language, licence, emotion] for i in range(3))]


@pytest.mark.parametrize("name", AS_OTHER_TOOLS_WRITE_THEM)
def test_manifests_as_other_tools_write_them(tmp_path, name):
    path = tmp_path / "manifest.csv"
    path.write_text(AS_OTHER_TOOLS_WRITE_THEM[name](manifest_rows()) + "\n", encoding="utf-8", newline="")
    table = manifest.read(path, "mine", "real", ("emotion",)).table
    assert table["seconds"].tolist() == [1.5] * 3
    assert table["speaker"].tolist() == ["00"] * 3
    assert table["emotion"].tolist() == ["anger"] * 3


@pytest.mark.parametrize("word", ["NA", "nan", "None", "null", "N/A"])
def test_words_for_nothing_are_names_where_a_name_is_expected(tmp_path, word):
    path = tmp_path / "manifest.csv"
    path.write_text("\n".join(",".join(row) for row in manifest_rows(emotion=word, speaker=word, language=word, licence=word)))
    table = manifest.read(path, "mine", "real", ("emotion",)).table
    assert set(table[["emotion", "speaker", "language", "licence"]].to_numpy().ravel()) == {word}


def test_a_missing_emotion_is_named_with_its_row(tmp_path):
    rows = manifest_rows()
    rows[2][-1] = ""
    (tmp_path / "manifest.csv").write_text("\n".join(",".join(row) for row in rows))
    with pytest.raises(CorpusError, match="row 3: `emotion` is empty"):
        manifest.read(tmp_path / "manifest.csv", "mine", "real", ("emotion",))


# Corpora of one's own


@pytest.fixture
def mine(tmp_path, tone, monkeypatch):
    """A folder with three sounds and a manifest that measures nothing, on a machine that has nothing else."""
    monkeypatch.setenv("SQA_DATA", str(tmp_path / "data"))
    monkeypatch.setenv("SQA_CACHE", str(tmp_path / "cache"))
    registry.load.cache_clear()
    folder = tmp_path / "recordings"
    (folder / "a").mkdir(parents=True)
    for i in range(3):
        soundfile.write(folder / "a" / f"{i}.wav", tone.waveform[0] * (i + 1) / 4, tone.sample_rate)
    rows = [{"file": f"a\\{i}.wav", "speaker": f"0{i}", "emotion": "None"} for i in range(3)]
    pd.DataFrame(rows).to_csv(folder / "manifest.csv", index=False, sep=";")
    yield folder
    registry.load.cache_clear()


def test_a_folder_with_a_manifest_becomes_a_corpus_of_its_own(mine, tone):
    with pytest.raises(CorpusError, match="no column language; give one value for all files with --language"):
        registry.add("mine", mine)
    seen = []
    added = registry.add("mine", mine, "de", "CC0", seen.append)
    assert seen == ["a/0.wav", "a/1.wav", "a/2.wav"]
    found = registry.load("mine")
    assert (found.name, found.status, found.root, found.hash) == ("mine", "real", mine.resolve(), added.hash)
    assert found.table["speaker"].tolist() == ["00", "01", "02"]
    assert found.classes() == ["None"]
    assert set(found.table["sample_rate"]) == {tone.sample_rate}
    assert "mine" in registry.everything()
    assert registry.known("mine").verify(found) == []
    assert {p.name for p in mine.iterdir()} == {"a", "manifest.csv"}  # nothing is written there
    (mine / "a" / "1.wav").write_bytes((mine / "a" / "0.wav").read_bytes())
    assert [p for p in registry.known("mine").verify(found) if "1.wav" in p and "hash differs" in p]


def test_a_corpus_below_sqa_data_needs_no_adding(mine, tmp_path):
    registry.add("mine", mine, "de", "CC0")
    table = registry.load("mine").table
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "also_mine").symlink_to(mine, target_is_directory=True)  # a link is followed
    table.to_csv(mine / "manifest.csv", index=False)
    assert registry.load("also_mine").table["file"].tolist() == table["file"].tolist()


def test_only_an_added_corpus_may_have_its_sounds_elsewhere(mine, tmp_path):
    registry.add("mine", mine, "de", "CC0")
    copied = tmp_path / "data" / "copied"
    copied.mkdir(parents=True)
    for name in ("manifest.csv", "folder.txt"):
        (copied / name).write_bytes((tmp_path / "cache" / "data" / "mine" / name).read_bytes())
    assert registry.load("copied").root.resolve() == copied.resolve()
    shutil.rmtree(mine)
    registry.load.cache_clear()
    with pytest.raises(CorpusError, match="is gone; add the corpus again"):
        registry.load("mine")


def test_what_cannot_be_added_is_refused_in_one_sentence(mine):
    with pytest.raises(SettingsError, match="known already"):
        registry.add("emodb", mine, "de", "CC0")
    for name in ("", "../up", "mein Korpus", "a" * 41, ".hidden"):
        with pytest.raises(SettingsError, match="cannot name a corpus"):
            registry.add(name, mine, "de", "CC0")
    with pytest.raises(CorpusError, match="there is no such file"):
        registry.add("mine", mine / "a", "de", "CC0")
    (mine / "a" / "2.wav").write_bytes(b"no sound")
    with pytest.raises(CorpusError, match=r"2\.wav"):
        registry.add("mine", mine, "de", "CC0")
    (mine / "a" / "2.wav").unlink()
    with pytest.raises(CorpusError, match="1 of its 3 files is not in"):
        registry.add("mine", mine, "de", "CC0")
    assert "mine" not in registry.everything()


def test_a_linked_corpus_is_found_and_its_linked_folders_are_entered_once(tmp_path, tone, monkeypatch):
    real = tmp_path / "elsewhere"
    (real / "wav").mkdir(parents=True)
    soundfile.write(real / "wav" / "03a01Fa.wav", tone.waveform[0], tone.sample_rate)
    (tmp_path / "data" / "emodb").mkdir(parents=True)
    (tmp_path / "data" / "emodb" / "wav").symlink_to(real / "wav", target_is_directory=True)
    (real / "wav" / "loop").symlink_to(real, target_is_directory=True)
    monkeypatch.setenv("SQA_DATA", str(tmp_path / "data"))
    monkeypatch.setenv("SQA_CACHE", str(tmp_path / "cache"))
    registry.load.cache_clear()
    assert registry.load("emodb").table["file"].tolist() == ["wav/03a01Fa.wav"]
    (tmp_path / "data" / "emodb" / "wav").unlink()
    (tmp_path / "data" / "emodb").rmdir()
    (tmp_path / "data" / "emodb").symlink_to(real, target_is_directory=True)
    registry.load.cache_clear()
    assert registry.load("emodb").table["file"].tolist() == ["wav/03a01Fa.wav"]
    registry.load.cache_clear()


def test_what_a_manifest_says_of_its_files_is_compared_with_them(mine):
    registry.add("mine", mine, "de", "CC0")
    right = registry.load("mine").table
    right.to_csv(mine / "manifest.csv", index=False)
    with pytest.raises(CorpusError, match="has a column language; leave out --language"):
        registry.add("mine", mine, "fr")
    for column, wrong in (("sha256", "0" * 64), ("seconds", 9.0), ("sample_rate", 8000)):
        right.assign(**{column: wrong})[["file", "speaker", "emotion", "language", "licence", column]].to_csv(
            mine / "manifest.csv", index=False
        )
        with pytest.raises(CorpusError, match=f"row 2: `{column}` is {wrong}, of the file it is"):
            registry.add("mine", mine)
    assert registry.load("mine").hash == registry.load("mine").hash


def test_a_name_that_sqa_data_has_is_refused_and_a_folder_without_the_corpus_is_passed_over(mine, tmp_path):
    (tmp_path / "data" / "mine").mkdir(parents=True)
    added = registry.add("mine", mine, "de", "CC0")
    assert registry.load("mine").hash == added.hash
    added.table.to_csv(tmp_path / "data" / "mine" / "manifest.csv", index=False)
    with pytest.raises(SettingsError, match="is a corpus called mine, and is found first"):
        registry.add("mine", mine, "de", "CC0")


def test_columns_of_spreadsheets(tmp_path):
    header, *rows = manifest_rows()
    path = tmp_path / "manifest.csv"
    path.write_text("\n".join(";".join([*row, "", ""]) for row in (header, *rows)))
    assert list(manifest.read(path, "mine", "real").table) == header
    path.write_text("\n".join([",".join(header), *(",".join([*row, ""]) for row in rows)]))
    assert manifest.read(path, "mine", "real").table["file"].tolist() == [row[0] for row in rows]
    path.write_text("\n".join([",".join(header), ",".join(rows[0]), ",".join([*rows[1], "a comma in a name"])]))
    with pytest.raises(CorpusError, match=rf"row 3: there are {len(header) + 1} cells and {len(header)} columns"):
        manifest.read(path, "mine", "real")
    path.write_text("\n".join(",".join([*row, row[4]]) for row in (header, *rows)))
    with pytest.raises(CorpusError, match="the column 'speaker' is there 2 times"):
        manifest.read(path, "mine", "real")


def test_a_strange_folder_below_sqa_data_is_no_corpus(mine, tmp_path):
    for name, text in {"huge": "x" * 300_000, "binary": "\x00\xff" * 100, "empty": ""}.items():
        (tmp_path / "data" / name).mkdir(parents=True)
        (tmp_path / "data" / name / "manifest.csv").write_text(text)
    assert not {"huge", "binary", "empty"} & registry.everything().keys()


@pytest.mark.parametrize(
    ("name", "how"),
    [("p835", "run `sqa data fetch p835`"), ("emodb", "get it from http"), ("clean_voices", "put its folder with its manifest.csv")],
)
def test_what_is_not_here_says_how_to_get_it(name, how, monkeypatch):
    """Only what `sqa data fetch` fetches is recommended to be fetched."""
    monkeypatch.setattr(registry.environment, "find", lambda *_: None)
    registry.load.cache_clear()
    with pytest.raises(CorpusError, match=f"not on this machine; {how}"):
        registry.load(name)
    for each in registry.CORPORA:
        if "data fetch" not in registry.how_to_get(each):
            with pytest.raises(CorpusError, match="is not fetched by this command"):
                registry.fetch(each)


MANIFESTS = {  # as other tools write them, and the names of speakers and emotions that they mean; or what is said instead
    "blanks around": ("file, speaker, emotion\na/0.wav, s0 , joy\na/1.wav,s0,joy \na/2.wav,s1,anger\n", ({"s0", "s1"}, {"joy", "anger"})),
    "an emotion of blanks": ("file,speaker,emotion\na/0.wav,s0,joy\n\n\na/1.wav,s0,  \na/2.wav,s1,joy\n", "row 5: `emotion` is empty"),
    "blank lines": ("file,speaker,emotion\n\na/0.wav,s0,joy\n\na/1.wav,s0,joy\na/2.wav,s1,joy\n\n", ({"s0", "s1"}, {"joy"})),
    "a file named twice": ("file,speaker,emotion\na/0.wav,s0,joy\n\na/0.wav,s0,joy\n", "rows 2 and 4: a/0.wav is named twice"),
    "a file that is not there": ("file,speaker,emotion\na/0.wav,s0,joy\n\na/9.wav,s0,joy\n", "row 4: 'a/9.wav' is missing"),
    "Latin-1": ("file,speaker,emotion\na/0.wav,André,joy\n".encode("latin-1"), "save it as UTF-8"),
    "other names": ("File,Speaker,Emotion\na/0.wav,s0,joy\n", "it has File, Speaker, Emotion"),
    "a no-break space": ("file,speaker,emotion\na/0.wav,s0\xa0b,joy\n", ({"s0\xa0b"}, {"joy"})),
    "an absent rate": ("file,speaker,emotion,sample_rate\na/0.wav,s0,joy,NA\n", "row 2: `sample_rate` is empty"),
}


@pytest.mark.parametrize("name", MANIFESTS)
def test_what_manifests_mean_and_which_row_is_wrong(mine, name):
    text, wanted = MANIFESTS[name]
    (mine / "manifest.csv").write_bytes(text if isinstance(text, bytes) else text.encode())
    if isinstance(wanted, str):
        with pytest.raises(CorpusError) as e:
            registry.add("mine", mine, "de", "CC0")
        assert wanted in str(e.value)
        return
    registry.add("mine", mine, "de", "CC0")
    table = registry.load("mine").table
    assert (set(table["speaker"]), set(table["emotion"])) == wanted
    assert list(table.index) == list(range(len(table)))
