"""P.835 reference conditions (Naderi and Cutler, Interspeech 2021, arXiv:2010.13200).

13 conditions (speech-to-noise ratio × MNRU) of 6 English talkers, full band (48 kHz) and wide band (16 kHz), with crowdsourced
listeners' scores of signal, background and overall quality. From the P.808 toolkit on GitHub.
"""

from pathlib import Path

import pandas as pd

from .. import audio
from .. import download as downloads
from ..errors import AudioError, CorpusError
from ..files import short_hash
from .manifest import Manifest, describe

URL = "https://raw.githubusercontent.com/microsoft/P.808/master/p835_reference_conditions/"
SPREADSHEET = "CSP835_Ref_Conditions.xlsx"
FILES = Path(__file__).with_name("p835_files.csv")
# Each set: its sheet of votes, the folder of the official tree, the folder of copies whose names are short.
SETS = {
    "fullband": ("Fullband-results per file", "degraded_fullband_48KHz", "fullband"),
    "wideband": ("16KHzWB-results per file", "degraded_WB_16KHz", "wideband"),
}
SCALES = {"ovrl": "OVRL", "sig": "SIG", "bak": "BAK"}


def fetch(folder: Path, base_url: str = URL, on_file=lambda _: None) -> None:
    """The official tree's 156 degraded files and the spreadsheet of votes, by hash."""
    hashes = published_hashes()
    # The spreadsheet last: where it is, the corpus is complete.
    downloads.fetch(base_url, {k: hashes[k] for k in sorted(hashes, key=lambda name: name == SPREADSHEET)}, folder, on_file)


def published_hashes() -> dict[str, str]:
    """SHA-256 of each file of the official tree."""
    known = pd.read_csv(FILES)
    return dict(zip(known["file"], known["sha256"], strict=True))


def verify(corpus: Manifest) -> list[str]:
    """One line for each file that is not the published one; a lossless copy is held against the WAV file that it was made from."""
    published = {(Path(f).parent.name, Path(f).stem): digest for f, digest in published_hashes().items()}
    official = {name: folder for name, (_, folder, _) in SETS.items()}
    problems = []
    for path, which in zip(corpus.paths(), corpus.table["set"], strict=True):
        try:
            digest = short_hash(audio.wav_bytes(*audio.load(path, channel="all")), 64)
        except AudioError as e:
            problems.append(str(e))
            continue
        if digest != published[official[which], path.stem]:
            problems.append(f"{path}: not the published file (its samples differ)")
    return problems


def manifest(folder: Path) -> Manifest:
    """The corpus below `folder`, in the official layout or with folders `fullband` and `wideband`; any lossless ending.

    Returns
    -------
    A manifest with the labels set, condition, snr_db, mnru_q_db, talker, reference (the file of the same talker without impairment, which is
    the full-band c0), n_votes, and the mean and the standard deviation of the votes for ovrl, sig and bak.

    Raises
    ------
    CorpusError
        The votes or the sounds are missing below the folder.
    """
    spreadsheet = folder / SPREADSHEET
    if not spreadsheet.is_file():
        raise CorpusError(f"{spreadsheet}: the spreadsheet of votes is missing; run `sqa data fetch p835`.")
    plan = _read_sheet(spreadsheet, "testplan").set_index("Condition Name")
    tables = []
    for name, (sheet, official, short) in SETS.items():
        votes = _read_sheet(spreadsheet, sheet)
        below = next((d for d in (official, short) if (folder / d).is_dir()), None)
        if below is None:
            raise CorpusError(f"{folder}: neither {official} nor {short} is there; run `sqa data fetch p835`.")
        tables.append(_one_set(folder, name, below, votes, plan))
    table = pd.concat(tables, ignore_index=True)
    reference = table[(table["set"] == "fullband") & (table["condition"] == "c0")].set_index("talker")["file"]
    table["reference"] = table["talker"].map(reference)
    return Manifest("p835", table, folder, "real")


def _read_sheet(path: Path, sheet: str) -> pd.DataFrame:
    try:
        return pd.read_excel(path, sheet_name=sheet)
    except ValueError as e:
        raise CorpusError(f"{path}: there is no sheet {sheet!r}; this is not the spreadsheet of votes.") from e


def _one_set(folder: Path, name: str, below: str, votes: pd.DataFrame, plan: pd.DataFrame) -> pd.DataFrame:
    present = {p.stem: p for p in sorted((folder / below).iterdir()) if p.is_file()}
    stems = [Path(f).stem for f in votes["short_file_name"]]
    if lost := [s for s in stems if s not in present]:
        raise CorpusError(f"{folder / below}: {len(lost)} rated files are missing, {lost[0]} first; run `sqa data fetch p835`.")
    table = describe(folder, [present[s].relative_to(folder).as_posix() for s in stems])
    table["condition"] = [s.split("_")[0] for s in stems]
    table["speaker"] = table["talker"] = [s.split("_")[1] for s in stems]
    table["language"], table["licence"], table["set"] = "en", "CC BY 4.0", name
    for column, header in [("snr_db", "SNR (dB)"), ("mnru_q_db", "MNRU (QdB)")]:
        table[column] = pd.to_numeric(table["condition"].map(plan[header]), errors="coerce")
    table["n_votes"] = votes["n votes"].to_numpy()
    for short, header in SCALES.items():
        table[f"mos_{short}"] = votes[f"MOS_{header}"].to_numpy()
        table[f"std_{short}"] = votes[f"std_{header.lower()}"].to_numpy()
    return table
