"""Corpora of emotional speech: where each comes from, how its files are named, what is expected of a whole copy.

Each is read in the layout in which its owners give it away, whatever the files' ending; a folder with a `manifest.csv` in this book's
schema is taken as it is. `emotion` holds the same words for all corpora, `speaker` the owners' names.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Literal

STEREO_SAMPLE = "emovo_stereo_sample"
Named = dict[str, str]


@dataclass(frozen=True)
class EmotionCorpus:
    """One corpus as its owners describe it. `name` turns a matched path into labels; `expected` counts files by emotion."""

    title: str
    language: str
    licence: str
    citation: str
    get: str  # where it is, or whom to ask
    pattern: str  # of a path below the corpus's folder, without its ending
    name: Callable[[re.Match[str]], Named]
    speakers: int
    expected: dict[str, int]
    sample_rate: int
    megabytes: int
    source: str  # of the naming rule
    status: str = "paper"
    seen: bool = False  # whether the parser has met a real copy
    channels: int = 1
    channel: Literal["mean", "left", "right"] = "mean"  # that is heard of several
    total: int = 0  # of files, where counts by emotion are not known
    notes: tuple[str, ...] = field(default=())
    same_talker: dict[str, str] = field(default_factory=dict)  # a speaker's name, and another's who is the same person
    crossed: bool = False  # every speaker says every sentence in every emotion, as many times as any

    @property
    def files(self) -> int:
        return self.total or sum(self.expected.values())


def _all(count: int, *emotions: str) -> dict[str, int]:
    return dict.fromkeys(emotions, count)


def _aesdd(m: re.Match[str]) -> Named:
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


def _emodb(m: re.Match[str]) -> Named:
    gender = "male" if m["speaker"] in EMODB_MEN else "female"
    return {"speaker": m["speaker"], "gender": gender, "emotion": EMODB[m["letter"].upper()], "sentence": m["sentence"], "take": m["take"]}


def _emovo(m: re.Match[str]) -> Named:
    return {"speaker": m["speaker"], "gender": _GENDERS[m["speaker"][0]], "emotion": EMOVO[m["emotion"]], "sentence": m["sentence"]}


def _urdu(m: re.Match[str]) -> Named:
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


def _cafe(m: re.Match[str]) -> Named:
    strength = {"1": "weak", "2": "strong"}[m["strength"]]
    labels = {"speaker": m["speaker"], "gender": _odd_is_male(m["speaker"]), "emotion": CAFE[m["letter"]], "sentence": m["sentence"]}
    return labels | {"strength": strength}


def _demos(m: re.Match[str]) -> Named:
    return {"speaker": m["speaker"], "gender": _GENDERS[m["gender"]], "emotion": DEMOS[m["emotion"]], "take": m["take"]}


def _emomatch(m: re.Match[str]) -> Named:
    return {"speaker": m["speaker"], "emotion": EMOMATCH[m["emotion"].lower()], "sentence": m["sentence"]}


def _eyase(m: re.Match[str]) -> Named:
    return {
        "speaker": m["folder"].lower(),
        "gender": m["folder"][:-2].lower(),
        "emotion": EYASE[m["emotion"].lower()],
        "take": m["take"],
    }


def _oreau(m: re.Match[str]) -> Named:
    gender = _GENDERS[m["gender"]]
    return {"speaker": m["speaker"], "gender": gender, "emotion": CAFE[m["letter"]], "sentence": m["sentence"], "take": m["take"]}


def _shemo(m: re.Match[str]) -> Named:
    speaker = m["gender"] + m["number"]
    return {"speaker": speaker, "gender": _GENDERS[m["gender"].lower()], "emotion": SHEMO[m["letter"]], "take": m["take"]}


def _ravdess(m: re.Match[str]) -> Named:
    labels = {"speaker": m["actor"], "gender": _odd_is_male(m["actor"]), "emotion": RAVDESS[int(m["emotion"]) - 1]}
    return labels | {"sentence": m["sentence"], "take": m["take"], "strength": {"01": "normal", "02": "strong"}[m["strength"]]}


def _savee(m: re.Match[str]) -> Named:
    emotion = SAVEE[m["emotion"]]
    # Numbers run anew for each emotion and only the first three sentences are common to all.
    common = int(m["sentence"]) <= 3
    return {
        "speaker": m["speaker"],
        "gender": "male",
        "emotion": emotion,
        "sentence": m["sentence"] if common else f"{emotion} {m['sentence']}",
    }


CORPORA = {
    "aesdd": EmotionCorpus(
        "AESDD, acted, Greek",
        "el",
        "none stated",
        "N. Vryzas, R. Kotsakis, A. Liatsou, C. Dimoulas, G. Kalliris: Speech emotion recognition for performance interaction, JAES 66 (2018)",
        "http://m3c.web.auth.gr/research/aesdd-speech-emotion-recognition/",
        r"(?:anger|disgust|fear|happiness|sadness)/(?P<letter>[adfhs])(?P<sentence>\d\d) \((?P<speaker>\d{1,2})\)(?P<take>[a-z]?)",
        _aesdd,
        6,
        {"anger": 121, "disgust": 122, "fear": 120, "happiness": 119, "sadness": 122},
        44_100,
        390,
        "names of a real copy",
        seen=True,
        notes=("s05 (3).wav is an empty file as distributed", "three speakers are taken for men by their pitch"),
    ),
    "emodb": EmotionCorpus(
        "EmoDB, acted, German",
        "de",
        "CC BY 4.0 (second hand)",
        "F. Burkhardt, A. Paeschke, M. Rolfes, W. Sendlmeier, B. Weiss: A database of German emotional speech, Interspeech 2005",
        "http://emodb.bilderbar.info/download/download.zip",
        r"wav/(?P<speaker>\d\d)(?P<sentence>[ab]\d\d)(?P<letter>[WLEAFTN])(?P<take>[a-z])",
        _emodb,
        10,
        {"anger": 127, "boredom": 81, "disgust": 46, "fear": 69, "happiness": 71, "neutral": 79, "sadness": 62},
        16_000,
        48,
        "the corpus's own page, and a real copy",
        seen=True,
    ),
    "emovo": EmotionCorpus(
        "EMOVO, acted, Italian",
        "it",
        "CC BY-NC-SA 4.0 (second hand), on request",
        "G. Costantini, I. Iaderola, A. Paoloni, M. Todisco: EMOVO corpus: an Italian emotional speech database, LREC 2014",
        "its authors, Fondazione Ugo Bordoni and University of Rome Tor Vergata",
        r"(?P<folder>[fm][123])/(?P<emotion>dis|gio|pau|rab|sor|tri|neu)-(?P<speaker>[fm][123])-(?P<sentence>\w\d)",
        _emovo,
        6,
        _all(84, "anger", "disgust", "fear", "happiness", "neutral", "sadness", "surprise"),
        48_000,
        355,
        "the paper at LREC, and a real copy",
        seen=True,
        channels=2,
        channel="left",
        crossed=True,
        notes=("two microphones, one a channel: their mean is comb-filtered, so the left one is heard unless another is asked for",),
    ),
    "urdu": EmotionCorpus(
        "URDU, from television talk shows, Urdu",
        "ur",
        "research only",
        "S. Latif, A. Qayyum, M. Usman, J. Qadir: Cross lingual speech emotion recognition: Urdu vs. Western languages, FIT 2018",
        "https://github.com/siddiquelatif/URDU-Dataset",
        r"(?:Angry|Happy|Neutral|Sad)/(?P<speaker>S[MF]\d+)_F(?P<file>\d+)_(?P<letter>[AHNS])(?P<take>\d+)",
        _urdu,
        29,
        _all(100, "anger", "happiness", "neutral", "sadness"),
        44_100,
        90,
        "the repository's README, and a real copy",
        status="real",
        seen=True,
        notes=(
            "26 of 29 speakers appear in one emotion only",
            "its paper speaks of 38 speakers",
            "SF1 and SF4 share audio: one person, who stays on one side of every split by speaker",
            "58 files clip as distributed, which a resampled copy hides",
        ),
        same_talker={"SF4": "SF1"},
    ),
    "cafe": EmotionCorpus(
        "CaFE, acted, Canadian French",
        "fr-ca",
        "CC BY-NC-SA 4.0",
        "P. Gournay, O. Lahaie, R. Lefebvre: A Canadian French emotional speech dataset, ACM MMSys 2018, doi:10.1145/3204949.3208121",
        "https://zenodo.org/records/1478765 (CaFE_48k.zip)",
        r"(?P<speaker>0[1-9]|1[0-2])-(?P<letter>[CDJNPST])-(?P<strength>[12])-(?P<sentence>[1-6])",
        _cafe,
        12,
        _all(144, "anger", "disgust", "fear", "happiness", "sadness", "surprise") | {"neutral": 72},
        48_000,
        500,
        "the corpus's readme; folders are not read, since their accents are spelt in several ways",
        crossed=True,
        notes=("every emotion but neutral in two strengths",),
    ),
    "demos": EmotionCorpus(
        "DEMoS, elicited, Italian",
        "it",
        "research only, by agreement",
        "E. Parada-Cabaleiro, G. Costantini, A. Batliner, M. Schmitt, B. Schuller: DEMoS: an Italian emotional speech corpus, LRE 54 (2020), doi:10.1007/s10579-019-09450-y",
        "https://zenodo.org/records/2544829, on request with a signed agreement",
        r"(?:(?:NP|PR)_)?(?P<gender>[fm])_(?P<speaker>\d\d)_(?P<emotion>rab|tri|gio|pau|dis|col|sor|neu)(?P<take>\d\d[a-z])",
        _demos,
        68,
        # Counts by emotion are not published where we could read them: only the sums are.
        {"neutral": 332},
        48_000,
        2500,
        "the corpus's legend",
        total=9697,
        notes=("guilt is a class of the corpus that the paper leaves out of its list and not out of its count",),
    ),
    "emomatch": EmotionCorpus(
        "EmoMatchSpanishDB, acted by non-actors, Spanish",
        "es",
        "on request",
        "E. Garcia-Cuesta, A. Barba Salvador, D. Gachet Páez: EmoMatchSpanishDB, Multimedia Tools and Applications 83 (2024), doi:10.1007/s11042-023-15959-w",
        "its authors (Universidad Politécnica de Madrid)",
        r"(?P<speaker>\d\d)_(?P<emotion>Neutro|Alegria|Tristeza|Ira|Miedo|Asco|Sorpresa)_(?P<sentence>\d+)",
        _emomatch,
        50,
        {},
        48_000,
        600,
        "one program that reads it, of one of its authors' group",
        total=2005,
        notes=("counts by emotion are not published where we could read them", "gender does not stand in the names"),
    ),
    "eyase": EmotionCorpus(
        "EYASE, from a television series, Egyptian Arabic",
        "ar-eg",
        "research only, not to be passed on",
        "L. Abdel-Hamid: Egyptian Arabic speech emotion recognition using prosodic, spectral and wavelet features, Speech Communication 122 (2020), doi:10.1016/j.specom.2020.04.005",
        "https://www.researchgate.net/publication/341001383_EYASE_Database",
        r"(?P<folder>(?:Fem|M)ale\d\d)/(?:fm|ml)\d\d_(?P<emotion>ang|hap|neu|sad) ?\((?P<take>\d+)\)",
        _eyase,
        6,
        {"anger": 150, "happiness": 132, "neutral": 150, "sadness": 147},
        44_100,
        150,
        "a public listing of all its files",
        notes=("the files of Female02 are named fm01, so the folder tells the speaker",),
    ),
    "oreau": EmotionCorpus(
        "Oréau, acted by non-actors, French",
        "fr",
        "CC BY 4.0 (second hand)",
        "L. Kerkeni, C. Cleder, Y. Serrestou, K. Raoof: French emotional speech database Oréau, Zenodo 2020, doi:10.5281/zenodo.4405783",
        "https://zenodo.org/records/4405783",
        r"(?P<gender>[fm])/sess[cdjnpst]/(?P<speaker>\d\d)(?P<sentence>a\d\d)(?P<letter>[CDJNPST])(?P<take>[a-z]?)",
        _oreau,
        32,
        {"anger": 67, "disgust": 67, "fear": 51, "happiness": 62, "neutral": 70, "sadness": 55, "surprise": 62},
        44_100,
        264,
        "EmoBox's reader and a public listing",
        notes=("the counts are those of its second version; the paper's 502 files are the first",),
    ),
    "shemo": EmotionCorpus(
        "ShEMO, from radio plays, Persian",
        "fa",
        "academic use",
        "O. Mohamad Nezami, P. Jamshid Lou, M. Karami: ShEMO, LRE 53 (2019), doi:10.1007/s10579-018-9427-x",
        "https://github.com/pariajm/sharif-emotional-speech-dataset",
        r"(?P<gender>[MF])(?P<number>\d\d)(?P<letter>[AFHNSW])(?P<take>\d\d)",
        _shemo,
        87,
        {},
        44_100,
        1000,
        "the repository's readme",
        total=3000,
        notes=("some files are at 22.05 kHz", "the paper's row with 400 files in four classes is URDU's"),
    ),
    "ravdess": EmotionCorpus(
        "RAVDESS, acted, English (speech)",
        "en",
        "CC BY-NC-SA 4.0",
        "S. Livingstone, F. Russo: The Ryerson audio-visual database of emotional speech and song, PLoS ONE 13 (2018), doi:10.1371/journal.pone.0196391",
        "https://zenodo.org/records/1188976 (Audio_Speech_Actors_01-24.zip)",
        r"Actor_(?P<folder>\d\d)/03-01-(?P<emotion>0[1-8])-(?P<strength>0[12])-(?P<sentence>0[12])-(?P<take>0[12])-(?P<actor>\d\d)",
        _ravdess,
        24,
        _all(192, "anger", "calm", "disgust", "fear", "happiness", "sadness", "surprise") | {"neutral": 96},
        48_000,
        208,
        "the owners' description",
        status="real",
        crossed=True,
        notes=("some copies hold the whole tree twice", "a few files are stereo with equal channels"),
    ),
    "savee": EmotionCorpus(
        "SAVEE, acted, English",
        "en",
        "research only, by registration",
        "S. Haq, P. Jackson: Multimodal emotion recognition, Machine Audition, IGI Global 2010, doi:10.4018/978-1-61520-919-4.ch017",
        "http://kahlan.eps.surrey.ac.uk/savee, by registration",
        r"(?P<speaker>DC|JE|JK|KL)[/_](?P<emotion>a|d|f|h|n|sa|su)(?P<sentence>\d\d)",
        _savee,
        4,
        _all(60, "anger", "disgust", "fear", "happiness", "sadness", "surprise") | {"neutral": 120},
        44_100,
        110,
        "the corpus's Info.txt",
        status="real",
        notes=("four men and no woman",),
    ),
}
