"""Corpora of emotional speech: where each comes from, how its files are named, what a complete copy holds.

Each is read in the layout in which its owners distribute it, whatever the files' ending; a folder with a `manifest.csv` in this book's
schema is read by that. `emotion` has the same words for all corpora, `speaker` the owners' names.
"""

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path

from ...audio import ChannelName

STEREO_SAMPLE = "emovo_stereo_sample"
Labels = dict[str, str]


@dataclass(frozen=True, kw_only=True)
class EmotionCorpus:
    """One corpus as its owners describe it.

    obtain : where to get it, or whom to ask. pattern : of a file's path below the corpus's folder, without its ending. parse : turns a matched
    path into labels. expected : files by emotion. source : of the naming rule. parser_verified : whether the parser was tried on a real
    copy. channel : the one used of several. total : of files, where counts by emotion are not known. same_talker : a speaker's name to
    that of the same person under another name. fully_crossed : every speaker says every sentence in every emotion, equally often.
    labels_beside : of a corpus whose file names do not say the emotion, its emotions by the files' names without ending, from the texts beside
    them; a file without one is left out.
    """

    name: str
    title: str
    language: str
    licence: str
    citation: str
    obtain: str
    pattern: str
    parse: Callable[[re.Match[str]], Labels]
    speakers: int
    expected: dict[str, int]
    sample_rate: int
    megabytes: int
    source: str
    parser_verified: bool = False
    channels: int = 1
    channel: ChannelName = "mean"
    total: int = 0
    notes: tuple[str, ...] = ()
    same_talker: dict[str, str] = field(default_factory=dict)
    fully_crossed: bool = False
    labels_beside: Callable[[Path], dict[str, str]] | None = None

    @property
    def files(self) -> int:
        return self.total or sum(self.expected.values())


def _all(count: int, *emotions: str) -> dict[str, int]:
    return dict.fromkeys(emotions, count)


def _aesdd(m: re.Match[str]) -> Labels:
    speaker = str(int(m["speaker"]))
    gender = "male" if speaker in ("3", "4", "6") else "female"
    return {"speaker": speaker, "gender": gender, "emotion": AESDD[m["letter"].lower()], "sentence": m["sentence"], "take": m["take"] or ""}


AESDD = {"a": "anger", "d": "disgust", "f": "fear", "h": "happiness", "s": "sadness"}
EMODB = {"W": "anger", "L": "boredom", "E": "disgust", "A": "fear", "F": "happiness", "T": "sadness", "N": "neutral"}
EMODB_MEN = {"03", "10", "11", "12", "15"}
EMOVO = {
    "dis": "disgust",
    "gio": "happiness",
    "pau": "fear",
    "rab": "anger",
    "sor": "surprise",
    "tri": "sadness",
    "neu": "neutral",
}
URDU = {"A": "anger", "H": "happiness", "N": "neutral", "S": "sadness"}
_GENDERS = {"m": "male", "f": "female"}


def _emodb(m: re.Match[str]) -> Labels:
    gender = "male" if m["speaker"] in EMODB_MEN else "female"
    return {"speaker": m["speaker"], "gender": gender, "emotion": EMODB[m["letter"].upper()], "sentence": m["sentence"], "take": m["take"]}


def _emovo(m: re.Match[str]) -> Labels:
    return {"speaker": m["speaker"], "gender": _GENDERS[m["speaker"][0]], "emotion": EMOVO[m["emotion"]], "sentence": m["sentence"]}


def _urdu(m: re.Match[str]) -> Labels:
    return {"speaker": m["speaker"], "gender": _GENDERS[m["speaker"][1].lower()], "emotion": URDU[m["letter"].upper()], "take": m["take"]}


CAFE = {"C": "anger", "D": "disgust", "J": "happiness", "N": "neutral", "P": "fear", "S": "surprise", "T": "sadness"}
DEMOS = {
    "rab": "anger",
    "tri": "sadness",
    "gio": "happiness",
    "pau": "fear",
    "dis": "disgust",
    "col": "guilt",
    "sor": "surprise",
    "neu": "neutral",
}
EMOMATCH = {
    "neutro": "neutral",
    "alegria": "happiness",
    "tristeza": "sadness",
    "ira": "anger",
    "miedo": "fear",
    "asco": "disgust",
    "sorpresa": "surprise",
}
EYASE = {"ang": "anger", "hap": "happiness", "neu": "neutral", "sad": "sadness"}
SHEMO = {"A": "anger", "F": "fear", "H": "happiness", "N": "neutral", "S": "sadness", "W": "surprise"}
RAVDESS = ("neutral", "calm", "happiness", "sadness", "anger", "fear", "disgust", "surprise")
SAVEE = {"a": "anger", "d": "disgust", "f": "fear", "h": "happiness", "n": "neutral", "sa": "sadness", "su": "surprise"}


def _odd_is_male(number: str) -> str:
    return "male" if int(number) % 2 else "female"


def _cafe(m: re.Match[str]) -> Labels:
    strength = {"1": "weak", "2": "strong"}[m["strength"]]
    labels = {"speaker": m["speaker"], "gender": _odd_is_male(m["speaker"]), "emotion": CAFE[m["letter"]], "sentence": m["sentence"]}
    return labels | {"strength": strength}


def _demos(m: re.Match[str]) -> Labels:
    return {"speaker": m["speaker"], "gender": _GENDERS[m["gender"]], "emotion": DEMOS[m["emotion"]], "take": m["take"]}


def _emomatch(m: re.Match[str]) -> Labels:
    return {"speaker": m["speaker"], "emotion": EMOMATCH[m["emotion"].lower()], "sentence": m["sentence"]}


def _eyase(m: re.Match[str]) -> Labels:
    return {
        "speaker": m["folder"].lower(),
        "gender": m["folder"][:-2].lower(),
        "emotion": EYASE[m["emotion"].lower()],
        "take": m["take"],
    }


def _oreau(m: re.Match[str]) -> Labels:
    gender = _GENDERS[m["gender"]]
    return {"speaker": m["speaker"], "gender": gender, "emotion": CAFE[m["letter"]], "sentence": m["sentence"], "take": m["take"]}


def _shemo(m: re.Match[str]) -> Labels:
    speaker = m["gender"] + m["number"]
    return {"speaker": speaker, "gender": _GENDERS[m["gender"].lower()], "emotion": SHEMO[m["letter"]], "take": m["take"]}


def _ravdess(m: re.Match[str]) -> Labels:
    labels = {"speaker": m["actor"], "gender": _odd_is_male(m["actor"]), "emotion": RAVDESS[int(m["emotion"]) - 1]}
    return labels | {"sentence": m["sentence"], "take": m["take"], "strength": {"01": "normal", "02": "strong"}[m["strength"]]}


def _savee(m: re.Match[str]) -> Labels:
    emotion = SAVEE[m["emotion"]]
    # Numbers run anew for each emotion and only the first three sentences are common to all.
    common = int(m["sentence"]) <= 3
    return {
        "speaker": m["speaker"],
        "gender": "male",
        "emotion": emotion,
        "sentence": m["sentence"] if common else f"{emotion} {m['sentence']}",
    }


IEMOCAP = {
    "ang": "anger",
    "hap": "happiness",
    "exc": "excitement",
    "neu": "neutral",
    "sad": "sadness",
    "fru": "frustration",
    "fea": "fear",
    "sur": "surprise",
    "dis": "disgust",
    "oth": "other",
    "xxx": "no agreement",
}


def _iemocap(m: re.Match[str]) -> Labels:
    # The last letter says who speaks, the one after the session who wears the sensors.
    speaker = f"{m['session']}{m['who']}"
    return {"speaker": speaker, "gender": _GENDERS[m["who"].lower()], "take": m["utterance"]}


def _iemocap_emotions(folder: Path) -> dict[str, str]:
    """Emotions by utterance, from the lines `[start - end] utterance emotion [valence, activation, dominance]` of its evaluations."""
    line = re.compile(r"\[[\d. ]+-[\d. ]+\]\t(Ses0\d[FM]_\w+)\t(\w{3})\t")
    out: dict[str, str] = {}
    for path in sorted(folder.rglob("dialog/EmoEvaluation/Ses*.txt")):
        for utterance, emotion in line.findall(path.read_text(encoding="utf-8", errors="replace")):
            if emotion in IEMOCAP:
                out[utterance] = IEMOCAP[emotion]
    return out


CORPORA = {
    "aesdd": EmotionCorpus(
        name="AESDD",
        title="AESDD, acted, Greek",
        language="el",
        licence="none stated",
        citation="N. Vryzas, R. Kotsakis, A. Liatsou, C. Dimoulas, G. Kalliris: Speech emotion recognition for performance interaction, JAES 66 (2018)",
        obtain="http://m3c.web.auth.gr/research/aesdd-speech-emotion-recognition/",
        pattern=r"(?:anger|disgust|fear|happiness|sadness)/(?P<letter>[adfhs])(?P<sentence>\d\d) \((?P<speaker>\d{1,2})\)(?P<take>[a-z]?)",
        parse=_aesdd,
        speakers=6,
        expected={"anger": 121, "disgust": 122, "fear": 120, "happiness": 119, "sadness": 122},
        sample_rate=44_100,
        megabytes=390,
        source="names of a real copy",
        parser_verified=True,
        notes=("s05 (3).wav is an empty file as distributed", "three speakers are taken for men by their pitch"),
    ),
    "emodb": EmotionCorpus(
        name="EmoDB",
        title="EmoDB, acted, German",
        language="de",
        licence="CC BY 4.0 (second hand)",
        citation="F. Burkhardt, A. Paeschke, M. Rolfes, W. Sendlmeier, B. Weiss: A database of German emotional speech, Interspeech 2005",
        obtain="http://emodb.bilderbar.info/download/download.zip",
        pattern=r"wav/(?P<speaker>\d\d)(?P<sentence>[ab]\d\d)(?P<letter>[WLEAFTN])(?P<take>[a-z])",
        parse=_emodb,
        speakers=10,
        expected={"anger": 127, "boredom": 81, "disgust": 46, "fear": 69, "happiness": 71, "neutral": 79, "sadness": 62},
        sample_rate=16_000,
        megabytes=48,
        source="the corpus's own page, and a real copy",
        parser_verified=True,
    ),
    "emovo": EmotionCorpus(
        name="EMOVO",
        title="EMOVO, acted, Italian",
        language="it",
        licence="CC BY-NC-SA 4.0 (second hand), on request",
        citation="G. Costantini, I. Iaderola, A. Paoloni, M. Todisco: EMOVO corpus: an Italian emotional speech database, LREC 2014",
        obtain="its authors, Fondazione Ugo Bordoni and University of Rome Tor Vergata",
        pattern=r"(?P<folder>[fm][123])/(?P<emotion>dis|gio|pau|rab|sor|tri|neu)-(?P<speaker>[fm][123])-(?P<sentence>\w\d)",
        parse=_emovo,
        speakers=6,
        expected=_all(84, "anger", "disgust", "fear", "happiness", "neutral", "sadness", "surprise"),
        sample_rate=48_000,
        megabytes=355,
        source="the paper at LREC, and a real copy",
        parser_verified=True,
        channels=2,
        channel="left",
        fully_crossed=True,
        notes=("two microphones, one per channel: their mean is comb-filtered, so the left channel is used unless another is named",),
    ),
    "urdu": EmotionCorpus(
        name="URDU",
        title="URDU, from television talk shows, Urdu",
        language="ur",
        licence="research only",
        citation="S. Latif, A. Qayyum, M. Usman, J. Qadir: Cross lingual speech emotion recognition: Urdu vs. Western languages, FIT 2018",
        obtain="https://github.com/siddiquelatif/URDU-Dataset",
        pattern=r"(?:Angry|Happy|Neutral|Sad)/(?P<speaker>S[MF]\d+)_F(?P<file>\d+)_(?P<letter>[AHNS])(?P<take>\d+)",
        parse=_urdu,
        speakers=29,
        expected=_all(100, "anger", "happiness", "neutral", "sadness"),
        sample_rate=44_100,
        megabytes=90,
        source="the repository's README, and a real copy",
        parser_verified=True,
        notes=(
            "26 of 29 speakers appear in one emotion only",
            "its paper speaks of 38 speakers",
            "SF1 and SF4 share audio: one person, who stays on one side of every split by speaker",
            "58 files clip as distributed, which a resampled copy hides",
        ),
        same_talker={"SF4": "SF1"},
    ),
    "cafe": EmotionCorpus(
        name="CaFE",
        title="CaFE, acted, Canadian French",
        language="fr-ca",
        licence="CC BY-NC-SA 4.0",
        citation="P. Gournay, O. Lahaie, R. Lefebvre: A Canadian French emotional speech dataset, ACM MMSys 2018, doi:10.1145/3204949.3208121",
        obtain="https://zenodo.org/records/1478765 (CaFE_48k.zip)",
        pattern=r"(?P<speaker>0[1-9]|1[0-2])-(?P<letter>[CDJNPST])-(?P<strength>[12])-(?P<sentence>[1-6])",
        parse=_cafe,
        speakers=12,
        expected=_all(144, "anger", "disgust", "fear", "happiness", "sadness", "surprise") | {"neutral": 72},
        sample_rate=48_000,
        megabytes=500,
        source="the corpus's readme; folders are not read, since their accents are spelt in several ways",
        fully_crossed=True,
        notes=("every emotion but neutral in two strengths",),
    ),
    "demos": EmotionCorpus(
        name="DEMoS",
        title="DEMoS, elicited, Italian",
        language="it",
        licence="research only, by agreement",
        citation="E. Parada-Cabaleiro, G. Costantini, A. Batliner, M. Schmitt, B. Schuller: DEMoS: an Italian emotional speech corpus, LRE 54 (2020), doi:10.1007/s10579-019-09450-y",
        obtain="https://zenodo.org/records/2544829, on request with a signed agreement",
        pattern=r"(?:(?:NP|PR)_)?(?P<gender>[fm])_(?P<speaker>\d\d)_(?P<emotion>rab|tri|gio|pau|dis|col|sor|neu)(?P<take>\d\d[a-z])",
        parse=_demos,
        speakers=68,
        # Counts by emotion are not published where we could read them: only the sums are.
        expected={"neutral": 332},
        sample_rate=48_000,
        megabytes=2500,
        source="the corpus's legend",
        total=9697,
        notes=("guilt is a class of the corpus that the paper leaves out of its list and not out of its count",),
    ),
    "emomatch": EmotionCorpus(
        name="EmoMatch",
        title="EmoMatchSpanishDB, acted by non-actors, Spanish",
        language="es",
        licence="on request",
        citation="E. Garcia-Cuesta, A. Barba Salvador, D. Gachet Páez: EmoMatchSpanishDB, Multimedia Tools and Applications 83 (2024), doi:10.1007/s11042-023-15959-w",
        obtain="its authors (Universidad Politécnica de Madrid)",
        pattern=r"(?P<speaker>\d\d)_(?P<emotion>Neutro|Alegria|Tristeza|Ira|Miedo|Asco|Sorpresa)_(?P<sentence>\d+)",
        parse=_emomatch,
        speakers=50,
        expected={},
        sample_rate=48_000,
        megabytes=600,
        source="one program that reads it, of one of its authors' group",
        total=2005,
        notes=("counts by emotion are not published where we could read them", "file names do not give the gender"),
    ),
    "eyase": EmotionCorpus(
        name="EYASE",
        title="EYASE, from a television series, Egyptian Arabic",
        language="ar-eg",
        licence="research only, not to be passed on",
        citation="L. Abdel-Hamid: Egyptian Arabic speech emotion recognition using prosodic, spectral and wavelet features, Speech Communication 122 (2020), doi:10.1016/j.specom.2020.04.005",
        obtain="https://www.researchgate.net/publication/341001383_EYASE_Database",
        pattern=r"(?P<folder>(?:Fem|M)ale\d\d)/(?:fm|ml)\d\d_(?P<emotion>ang|hap|neu|sad) ?\((?P<take>\d+)\)",
        parse=_eyase,
        speakers=6,
        expected={"anger": 150, "happiness": 132, "neutral": 150, "sadness": 147},
        sample_rate=44_100,
        megabytes=150,
        source="a public listing of all its files",
        notes=("the files of Female02 are named fm01, so the folder gives the speaker",),
    ),
    "oreau": EmotionCorpus(
        name="Oréau",
        title="Oréau, acted by non-actors, French",
        language="fr",
        licence="CC BY 4.0 (second hand)",
        citation="L. Kerkeni, C. Cleder, Y. Serrestou, K. Raoof: French emotional speech database Oréau, Zenodo 2020, doi:10.5281/zenodo.4405783",
        obtain="https://zenodo.org/records/4405783",
        pattern=r"(?P<gender>[fm])/sess[cdjnpst]/(?P<speaker>\d\d)(?P<sentence>a\d\d)(?P<letter>[CDJNPST])(?P<take>[a-z]?)",
        parse=_oreau,
        speakers=32,
        expected={"anger": 67, "disgust": 67, "fear": 51, "happiness": 62, "neutral": 70, "sadness": 55, "surprise": 62},
        sample_rate=44_100,
        megabytes=264,
        source="EmoBox's reader and a public listing",
        notes=("the counts are those of its second version; the paper's 502 files are the first",),
    ),
    "shemo": EmotionCorpus(
        name="ShEMO",
        title="ShEMO, from radio plays, Persian",
        language="fa",
        licence="academic use",
        citation="O. Mohamad Nezami, P. Jamshid Lou, M. Karami: ShEMO, LRE 53 (2019), doi:10.1007/s10579-018-9427-x",
        obtain="https://github.com/pariajm/sharif-emotional-speech-dataset",
        pattern=r"(?P<gender>[MF])(?P<number>\d\d)(?P<letter>[AFHNSW])(?P<take>\d\d)",
        parse=_shemo,
        speakers=87,
        expected={},
        sample_rate=44_100,
        megabytes=1000,
        source="the repository's readme",
        total=3000,
        notes=("some files are at 22.05 kHz", "the paper's row with 400 files in four classes matches URDU"),
    ),
    "ravdess": EmotionCorpus(
        name="RAVDESS",
        title="RAVDESS, acted, English (speech)",
        language="en",
        licence="CC BY-NC-SA 4.0",
        citation="S. Livingstone, F. Russo: The Ryerson audio-visual database of emotional speech and song, PLoS ONE 13 (2018), doi:10.1371/journal.pone.0196391",
        obtain="https://zenodo.org/records/1188976 (Audio_Speech_Actors_01-24.zip)",
        pattern=r"Actor_(?P<folder>\d\d)/03-01-(?P<emotion>0[1-8])-(?P<strength>0[12])-(?P<sentence>0[12])-(?P<take>0[12])-(?P<actor>\d\d)",
        parse=_ravdess,
        speakers=24,
        expected=_all(192, "anger", "calm", "disgust", "fear", "happiness", "sadness", "surprise") | {"neutral": 96},
        sample_rate=48_000,
        megabytes=208,
        source="the owners' description",
        parser_verified=True,
        fully_crossed=True,
        notes=("some copies hold the whole tree twice", "a few files are stereo with equal channels"),
    ),
    "iemocap": EmotionCorpus(
        name="IEMOCAP",
        title="IEMOCAP, acted and improvised, English",
        language="en",
        licence="research only, by agreement",
        citation="C. Busso et al.: IEMOCAP: interactive emotional dyadic motion capture database, LRE 42 (2008), doi:10.1007/s10579-008-9076-6",
        obtain="https://sail.usc.edu/iemocap, by agreement",
        pattern=r"Session[1-5]/sentences/wav/Ses\d\d[FM]_\w+/(?P<utterance>Ses(?P<session>0[1-5])[FM]_(?:impro|script)\w+_(?P<who>[FM])\w*\d)",
        parse=_iemocap,
        speakers=10,
        expected={
            "anger": 1103,
            "disgust": 2,
            "excitement": 1041,
            "fear": 40,
            "frustration": 1849,
            "happiness": 595,
            "neutral": 1708,
            "no agreement": 2507,
            "other": 3,
            "sadness": 1084,
            "surprise": 107,
        },
        sample_rate=16_000,
        megabytes=1500,
        source="the corpus's documentation, and programs that read it",
        notes=("emotions are in dialog/EmoEvaluation, one file a dialogue", "excitement is usually counted as happiness"),
        labels_beside=_iemocap_emotions,
    ),
    "savee": EmotionCorpus(
        name="SAVEE",
        title="SAVEE, acted, English",
        language="en",
        licence="research only, by registration",
        citation="S. Haq, P. Jackson: Multimodal emotion recognition, Machine Audition, IGI Global 2010, doi:10.4018/978-1-61520-919-4.ch017",
        obtain="http://kahlan.eps.surrey.ac.uk/savee, by registration",
        pattern=r"(?P<speaker>DC|JE|JK|KL)[/_](?P<emotion>a|d|f|h|n|sa|su)(?P<sentence>\d\d)",
        parse=_savee,
        speakers=4,
        expected=_all(60, "anger", "disgust", "fear", "happiness", "sadness", "surprise") | {"neutral": 120},
        sample_rate=44_100,
        megabytes=110,
        source="the corpus's Info.txt",
        notes=("four men and no woman",),
    ),
}


def title(name: str) -> str:
    """How a corpus is called in tables, such as "EmoDB".

    Returns
    -------
    Its name in this catalogue; `name` itself if the corpus is not in it.
    """
    return CORPORA[name].name if name in CORPORA else name


def in_order(names: Iterable[str]) -> list[str]:
    """Corpora in the order of this catalogue, then all others in alphabetical order.

    Returns
    -------
    Each name once.
    """
    present = set(names)
    return [n for n in CORPORA if n in present] + sorted(present - CORPORA.keys())
