"""A copy of a corpus of emotional speech on this machine: found by its files' names, read into a manifest, compared with what is expected."""

import re
import unicodedata
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pandas as pd

from ... import audio, environment
from ...errors import AudioError, CorpusError
from ...files import below, sha256, short_hash
from .. import manifest as manifests
from ..manifest import Manifest
from . import catalogue
from .catalogue import CORPORA, STEREO_SAMPLE, EmotionCorpus, Labels

STATUS = "real"  # whether a corpus is a paper's own is for the chapter on that paper to say
ENDINGS = {".wav", ".flac", ".aif", ".aiff", ".mp3", ".ogg"}


def holds(folder: Path, name: str) -> bool:
    """Whether a folder holds the corpus: its files by name, or a manifest of this book."""
    return manifests.is_in(folder) or any(match for _, match in _tried(folder, name))


def _tried(folder: Path, name: str) -> Iterator[tuple[Path, re.Match[str] | None]]:
    """Each sound below a folder, and how the corpus's rule reads its path."""
    rule = re.compile(rf"(?:.*/)?{CORPORA[name].pattern}")
    for path in below(folder):
        if path.suffix.lower() in ENDINGS and path.is_file():
            relative = path.relative_to(folder)
            yield relative, rule.fullmatch(unicodedata.normalize("NFC", relative.with_suffix("").as_posix()))


def _matched(folder: Path, name: str) -> tuple[dict[str, Labels], list[str]]:
    """Labels of the sounds below a folder whose paths follow the corpus's rule, and the paths of those that do not, or have no emotion."""
    tried = sorted(_tried(folder, name), key=lambda pair: pair[0])
    corpus = CORPORA[name]
    named = {path.as_posix(): corpus.parse(match) for path, match in tried if match}
    strange = [path.as_posix() for path, match in tried if not match]
    if corpus.labels_beside:
        emotions = corpus.labels_beside(folder)
        strange += sorted(file for file in named if Path(file).stem not in emotions)
        named = {file: labels | {"emotion": emotions[Path(file).stem]} for file, labels in named.items() if Path(file).stem in emotions}
    return named, strange


def manifest(folder: Path, name: str) -> Manifest:
    """The corpus below `folder` as a manifest; files that cannot be read, and duplicate copies, are left out and listed in `problems`.

    The table is kept in the cache, since every file is read for it.

    Returns
    -------
    A manifest with the columns of `manifest.REQUIRED` and the labels emotion, gender, sentence and take, as far as the corpus names them.

    Raises
    ------
    CorpusError
        The folder holds no file of the corpus, or its own manifest is not one of emotional speech.
    """
    if manifests.is_in(folder):
        found = manifests.read(folder / "manifest.csv", name, STATUS, manifests.LABELS)
        if "emotion" not in found.table:
            raise CorpusError(f"{folder / 'manifest.csv'}: the column `emotion` is missing.")
        return found
    table = _all_that_can_be_read(folder, name)
    return Manifest(name, table[~_strays(table)].reset_index(drop=True), folder, STATUS)


def _strays(table: pd.DataFrame) -> pd.Series:
    """Files that are there once more by the same labels, as in copies that hold the whole tree twice; the one nearest to the top stays."""
    labels = [c for c in table if c not in (*manifests.REQUIRED, "channels") or c == "speaker"]
    order = table["file"].str.count("/").sort_values(kind="stable").index
    return table.loc[order].duplicated(labels).reindex(table.index)


def _all_that_can_be_read(folder: Path, name: str) -> pd.DataFrame:
    """Every file that is named as the corpus names them, with its labels, also where it is there twice."""
    corpus = CORPORA[name]
    named, _ = _matched(folder, name)
    if not named:
        raise CorpusError(f"{name}: no file below {folder} is named as the corpus names them; see `sqa data list`.")
    kept = environment.cache_folder() / "manifests" / f"{name}-{_state(folder, list(named), list(named.values()))}.csv"
    if not kept.is_file():
        kept.parent.mkdir(parents=True, exist_ok=True)
        manifests.write(Manifest(name, _describe(folder, named, corpus), folder, STATUS), kept)
    return manifests.read(kept, name, STATUS, manifests.LABELS).table


def _state(folder: Path, files: list[str], labels: list[Labels]) -> str:
    """Hash of the files' names, sizes, times and labels, and of the rules that read them."""
    stats = [(f, (folder / f).stat().st_size, (folder / f).stat().st_mtime_ns) for f in files]
    return short_hash(repr((str(folder), stats, sha256(Path(catalogue.__file__)), labels)), 16)


def _describe(folder: Path, named: dict[str, Labels], corpus: EmotionCorpus) -> pd.DataFrame:
    rows = []
    for file, labels in named.items():
        try:
            sound = audio.load(folder / file, channel="all")
        except AudioError:
            continue
        rows.append(
            {
                "file": file,
                "sha256": sha256(folder / file),
                "sample_rate": sound.sample_rate,
                "seconds": sound.waveform.shape[1] / sound.sample_rate,
                "language": corpus.language,
                "licence": corpus.licence,
                "channels": len(sound.waveform),
                "samples_sha256": short_hash(sound.waveform.tobytes(), 64),
                **labels,
            }
        )
    if not rows:
        raise CorpusError(f"{folder}: none of its {len(named)} files can be read.")
    return pd.DataFrame(rows)


def stereo_sample() -> Manifest:
    """The files of EMOVO that are here with both channels, in one folder as `emovo_stereo_sample`; one-channel files are left out.

    Returns
    -------
    A manifest like that of EMOVO.

    Raises
    ------
    CorpusError
        None is on this machine.
    """
    folder = environment.find("data", STEREO_SAMPLE)
    if folder is None:
        raise CorpusError(
            f"{STEREO_SAMPLE} is not on this machine; put files of EMOVO as distributed in a folder of that name below SQA_DATA."
        )
    rule = re.compile(CORPORA["emovo"].pattern.split("/", 1)[1])
    named = {
        p.name: CORPORA["emovo"].parse(m) for p in sorted(folder.iterdir()) if p.suffix.lower() in ENDINGS and (m := rule.fullmatch(p.stem))
    }
    table = _describe(folder, named, CORPORA["emovo"])
    return Manifest(STEREO_SAMPLE, table[table["channels"] == 2].reset_index(drop=True), folder, STATUS)


def problems(folder: Path, name: str) -> list[str]:
    """What of a copy differs from what is expected: missing, misnamed, broken, of another rate, twice there. One line each.

    A folder with a manifest of its own is compared with that.
    """
    corpus = CORPORA[name]
    if manifests.is_in(folder):
        return manifests.verify(manifest(folder, name))
    named, strange = _matched(folder, name)
    everything = _all_that_can_be_read(folder, name)
    table = everything[~_strays(everything)]
    readable = set(everything["file"])
    unknown = "not named as the corpus names its files" + (", or without an emotion in its texts" if corpus.labels_beside else "")
    out = [f"{file}: {unknown}; it is left out" for file in strange]
    for file in sorted(set(named) - readable):
        try:
            audio.load(folder / file)
        except AudioError as e:
            out.append(f"{e} It is left out.")
    counts = Counter(table["emotion"])
    if len(table) != corpus.files:
        out.append(f"{len(table)} files that can be read, {corpus.files} are expected")
    for emotion, wanted in corpus.expected.items():
        if counts[emotion] != wanted:
            out.append(f"{emotion}: {counts[emotion]} files that can be read, {wanted} are expected")
    if not corpus.total:
        out += [
            f"{emotion}: {n} files of an emotion that is not expected" for emotion, n in counts.items() if emotion not in corpus.expected
        ]
    out += _absent(table) if corpus.fully_crossed else []
    if (speakers := table["speaker"].nunique()) != corpus.speakers:
        out.append(f"{speakers} speakers, {corpus.speakers} are expected")
    for rate, part in table.groupby("sample_rate"):
        if rate != corpus.sample_rate:
            out.append(f"{len(part)} files at {rate} Hz, {corpus.sample_rate} Hz is expected (such as {part['file'].iloc[0]})")
    for count, part in table.groupby("channels"):
        if count != corpus.channels:
            alike = f", {_equal_channels(folder, part['file'])} of them with equal ones" if count > 1 else ""
            out.append(f"{len(part)} files with {count} channels{alike}, {corpus.channels} are expected (such as {part['file'].iloc[0]})")
    for _, part in everything[everything["samples_sha256"].duplicated(keep=False)].groupby("samples_sha256"):
        labels = sorted(set(part["emotion"]))
        out.append(f"{' = '.join(part['file'])}: the same samples{', labelled ' + ' and '.join(labels) if len(labels) > 1 else ''}")
    return out


def _equal_channels(folder: Path, files: pd.Series) -> int:
    waveforms = (audio.load(folder / file, channel="all").waveform for file in files)
    return sum(bool((x == x[0]).all()) for x in waveforms)


def _absent(table: pd.DataFrame) -> list[str]:
    """What is missing from a fully crossed corpus, in which each speaker says each sentence in each manner equally often; inferred from the files present."""
    columns = [c for c in ("emotion", "strength", "sentence", "take") if c in table]
    wanted = pd.MultiIndex.from_frame(table[columns].drop_duplicates())
    out = []
    for speaker, part in table.groupby("speaker"):
        absent = wanted.difference(pd.MultiIndex.from_frame(part[columns]))
        out += [f"speaker {speaker}: {', '.join(f'{c} {v}' for c, v in zip(columns, row, strict=True))} is missing" for row in absent]
    return out
