"""What a file is, by its first bytes. The ending of its name decides nothing, but for formats that have no signature."""

from collections.abc import Callable
from typing import NamedTuple

HEAD = 4096  # bytes that are looked at
WORDS = 16  # bytes after which a signature without a zero or a control character beside it is a word of a text
MPEG_SEARCHED = 65_536  # a stream that was cut out of another begins inside a frame
MIN_PRINTABLE = 0.8  # of text in one of the encodings with a byte a character
IN_A_ROW = 3  # headers in a row that fit each other; two meet by chance in random bytes of some megabytes


class Kind(NamedTuple):
    """A container of sound. `demuxer` is FFmpeg's name for it; `soundfile` says whether libsndfile is asked first."""

    name: str
    demuxer: str
    soundfile: bool = False


WAV, AIFF, AU = Kind("WAV", "wav", True), Kind("AIFF", "aiff", True), Kind("AU", "au", True)
W64, CAF, FLAC = Kind("W64", "w64", True), Kind("CAF", "caf", True), Kind("FLAC", "flac")
WAVPACK = Kind("WavPack", "wv")
AVI, VOC, TTA = Kind("AVI", "avi"), Kind("VOC", "voc"), Kind("TTA", "tta")
NIST = Kind("NIST SPHERE", "nistsphere", True)
OGG, MP3, AAC, MP4 = Kind("Ogg", "ogg"), Kind("MP3", "mp3"), Kind("AAC", "aac"), Kind("MP4", "mov")
MATROSKA, ASF, AMR, GSM = Kind("Matroska", "matroska"), Kind("ASF", "asf"), Kind("AMR", "amr"), Kind("GSM 06.10", "gsm")
AC3, LATM, MPEG_TS = Kind("AC-3", "ac3"), Kind("LATM", "loas"), Kind("MPEG transport stream", "mpegts")
FLV, MPEG_PS = Kind("FLV", "flv"), Kind("MPEG programme stream", "mpeg")
G722, SVX = Kind("G.722", "g722"), Kind("8SVX", "iff", True)

W64_GUID = bytes.fromhex("726966662e91cf11a5d628db04c10000")
ASF_GUID = bytes.fromhex("3026b2758e66cf11a6d900aa0062ce6c")

_SIGNATURES: list[tuple[int, bytes, Kind]] = [
    (8, b"WAVE", WAV),
    (8, b"AIFF", AIFF),
    (8, b"AIFC", AIFF),
    (0, W64_GUID, W64),
    (0, b".snd", AU),
    (0, b"dns.", AU),
    (0, b"caff", CAF),
    (0, b"fLaC", FLAC),
    (0, b"OggS", OGG),
    (0, b"NIST_1A", NIST),
    (0, b"#!AMR", AMR),
    (0, ASF_GUID, ASF),
    (0, b"\x1aE\xdf\xa3", MATROSKA),
    *((4, box, MP4) for box in (b"ftyp", b"moov", b"mdat", b"wide", b"skip", b"free", b"moof", b"styp", b"pnot", b"uuid")),
    (8, b"8SVX", SVX),
    (8, b"16SV", SVX),
    (8, b"AVI ", AVI),
    (0, b"Creative Voice File\x1a", VOC),
    (0, b"wvpk", WAVPACK),
    (0, b"MAC ", Kind("Monkey's Audio", "ape")),
    (0, b"TTA1", TTA),
    (0, b"MPCK", Kind("Musepack", "mpc8")),
    (0, b"MP+", Kind("Musepack", "mpc")),
    (0, b"FLV\x01", FLV),
    (0, b"\x00\x00\x01\xba", MPEG_PS),
    (0, b"\x0bw", AC3),
    (0, b"\x7f\xfe\x80\x01", Kind("DTS", "dts")),
    (0, b".RMF", Kind("RealMedia", "rm")),
    (0, b".ra\xfd", Kind("RealAudio", "rm")),
    (8, b"QLCM", Kind("QCP", "qcp")),
    (0, b"\x02dss", Kind("DSS", "dss")),
    (0, b"tBaK", Kind("TAK", "tak")),
    (0, b"ajkg", Kind("Shorten", "shn")),
    (0, b"\x64\xa3", Kind("IRCAM", "ircam", True)),
    (1, b"\xa3\x64", Kind("IRCAM", "ircam", True)),
]
_CHUNKED = (b"RIFF", b"RIFX", b"RF64", b"BW64", b"FORM")  # what is followed by a size and a type

_OTHER: list[tuple[int, bytes, str]] = [
    (0, b"\x00\x05\x16\x07", "a Mac's resource fork (AppleDouble)"),
    (0, b"\x00\x05\x16\x00", "a Mac's resource fork (AppleSingle)"),
    (0, b"#EXTM3U", "a list of other files"),
    (0, b"ffconcat", "a list of other files"),
    (0, b"[playlist]", "a list of other files"),
    (0, b"version https://git-lfs", "a Git LFS pointer, not the file itself"),
    (0, b"PK\x03\x04", "a ZIP archive"),
    (0, b"\x1f\x8b", "a gzip archive"),
    (0, b"7z\xbc\xaf", "a 7z archive"),
    (0, b"\xfd7zXZ", "an xz archive"),
    (0, b"%PDF", "a PDF"),
    (0, b"\x89PNG", "a picture"),
    (0, b"\xff\xd8\xff", "a picture"),
    (0, b"GIF8", "a picture"),
    (8, b"WEBP", "a picture"),
    (0, b"\x7fELF", "a program"),
    (0, b"MZ", "a program"),
    (0, b"MThd", "a MIDI file: notes, no sound"),
    (0, b"#!SILK_V3", "a SILK recording, for which there is no decoder here"),
    (0, b"\x02#!SILK_V3", "a SILK recording, for which there is no decoder here"),
]

# Sound without a signature: the ending is all there is to go by, and the result says so.
HEADERLESS = {".g722": G722, ".722": G722}

UNKNOWN = "no sound file of a known kind (its first bytes are no signature)"

# Files with these endings are meant to be sound: where they are not, that is worth an error.
ENDINGS = frozenset(
    f".{e}"
    for e in [
        "wav",
        "wave",
        "flac",
        "mp3",
        "ogg",
        "oga",
        "opus",
        "m4a",
        "aac",
        "aif",
        "aiff",
        "aifc",
        "g722",
        "722",
        "webm",
        "mp4",
        "wma",
        "au",
        "snd",
        "caf",
        "3gp",
        "amr",
        "gsm",
        "sph",
        "w64",
        "rf64",
        "mka",
    ]
)


def kind_of(head: bytes, following: Callable[[int, int], bytes] | None = None) -> Kind | str:
    """The container by its first bytes, or in words what else the file is.

    Parameters
    ----------
    head : The first `HEAD` bytes.
    following : Reads (offset, count) bytes further on; needed for MP3 alone, which may begin anywhere.

    Returns
    -------
    The kind, or a noun phrase for a message.

    Examples
    --------
    >>> kind_of(b"fLaC" + bytes(100)).name, kind_of(b"<!DOCTYPE html><title>404</title>")
    ('FLAC', 'an HTML page')
    """
    read = following or (lambda offset, count: head[offset : offset + count])
    start = id3_end(head, read)
    if start:  # a tag may stand before MP3, AAC, FLAC and others
        head = read(start, HEAD)
    text = text_kind(head)
    for offset, signature, kind in _SIGNATURES:
        if text and kind is not NIST and len(head) > WORDS:  # "caffeine" is no CAF: where all is text, so is what looks like a signature
            continue
        if head[offset : offset + len(signature)] == signature:
            if offset == 8 and head[:4] not in _CHUNKED:
                continue
            return kind
    for offset, signature, words in _OTHER:
        if head[offset : offset + len(signature)] == signature:
            return words
    if head[:4] in _CHUNKED[:4]:
        return WAV  # with a damaged header
    if ts_packet(head):
        return MPEG_TS
    if _frames(head, 0, ADTS):
        return AAC
    if _frames(head, 0, LOAS):
        return LATM
    if _gsm(head):
        return GSM
    if not text:
        window = read(start, MPEG_SEARCHED)
        if frames_start(window, MPEG) is not None:
            return MP3
        if frames_start(window, ADTS) is not None:
            return AAC
    return text or UNKNOWN


def is_start(head: bytes) -> bool:
    """Whether these bytes begin with a signature of four bytes or more, as a second file does that follows a first. Short ones occur by
    chance."""
    found = [
        (offset, signature)
        for offset, signature, _ in _SIGNATURES
        if len(signature) >= 4 and head[offset : offset + len(signature)] == signature
    ]
    # Of MP4's boxes only those that begin a file: others follow one as padding.
    return any(s in (b"ftyp", b"moov", b"styp") if o == 4 else o != 8 or head[:4] in _CHUNKED for o, s in found)


def is_known(words: str) -> bool:
    """Whether `kind_of` knew what this is instead of sound."""
    return words != UNKNOWN


_PRINTABLE = bytes([*range(9, 14), *range(32, 127)])
_CONTROL = bytes([*range(9), *range(14, 32)])  # bytes that no text holds


def text_kind(head: bytes) -> str | None:
    """In words what kind of text this is; None for bytes that are no text."""
    sample = head[:1024]
    beginning = sample.lstrip(b"\xef\xbb\xbf \t\r\n").lower()
    if beginning.startswith((b"<!doctype html", b"<html", b"<head", b"<!--")) or b"<html" in beginning[:500]:
        return "an HTML page"
    if beginning.startswith(b"<?xml"):
        return "an XML document"
    printable = len(sample) - len(sample.translate(None, _PRINTABLE))
    varied = len(set(sample)) >= 8 or len(sample) < 64  # and not one byte over and over, as a codec writes silence
    if not sample or not varied or len(sample.translate(None, _CONTROL)) < len(sample):
        return None
    try:
        sample[:1000].decode("utf-8")
        return "text"
    except UnicodeDecodeError:  # the last character may have been cut, or the text is Latin-1
        return "text" if printable > MIN_PRINTABLE * len(sample) else None


def id3_length(head: bytes) -> int:
    """Bytes of the ID3v2 tag at the start; 0 where there is none."""
    if head[:3] != b"ID3" or len(head) < 10 or any(b & 0x80 for b in head[6:10]):
        return 0
    size = head[6] << 21 | head[7] << 14 | head[8] << 7 | head[9]
    return 10 + size + (10 if head[5] & 0x10 else 0)


def id3_end(head: bytes, read: Callable[[int, int], bytes]) -> int:
    """Where the ID3v2 tags at the start of a file, and the zeros after them, end; 0 where there are none, and then nothing is read.

    head : the first 10 bytes or more. read : gives (offset, count) bytes.
    """
    end = length = id3_length(head)
    while length:
        length = id3_length(read(end, 10))
        end += length
    while end and (piece := read(end, MPEG_SEARCHED)):
        zeros = len(piece) - len(piece.lstrip(b"\0"))
        end += zeros
        if zeros < len(piece):
            break
    return end


_BIT_RATES = {  # kbit/s, by (MPEG-1 or not, layer); ISO/IEC 11172-3 table and 13818-3
    (True, 1): [0, 32, 64, 96, 128, 160, 192, 224, 256, 288, 320, 352, 384, 416, 448],
    (True, 2): [0, 32, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320, 384],
    (True, 3): [0, 32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320],
    (False, 1): [0, 32, 48, 56, 64, 80, 96, 112, 128, 144, 160, 176, 192, 224, 256],
    (False, 2): [0, 8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160],
    (False, 3): [0, 8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160],
}


def mpeg_length(header: bytes) -> int:
    """Bytes of the MPEG audio frame with this four-byte header; 0 if it is none."""
    if len(header) < 4 or header[0] != 0xFF or header[1] & 0xE0 != 0xE0:
        return 0
    version, layer = header[1] >> 3 & 3, 4 - (header[1] >> 1 & 3)
    bit_rate, rate = header[2] >> 4, header[2] >> 2 & 3
    if version == 1 or layer == 4 or bit_rate in (0, 15) or rate == 3:
        return 0
    first = version == 3
    hz = (44_100, 48_000, 32_000)[rate] // {3: 1, 2: 2, 0: 4}[version]
    bits = 1000 * _BIT_RATES[first, layer][bit_rate]
    padding = header[2] >> 1 & 1
    if layer == 1:
        return 4 * (12 * bits // hz + padding)
    return (72 if layer == 3 and not first else 144) * bits // hz + padding


def adts_length(header: bytes) -> int:
    """Bytes of the AAC frame with this ADTS header (7 bytes at least); 0 if it is none."""
    if len(header) < 7 or header[0] != 0xFF or header[1] & 0xF6 != 0xF0 or header[2] >> 2 & 15 > 12:
        return 0
    length = (header[3] & 3) << 11 | header[4] << 3 | header[5] >> 5
    return length if length > 7 else 0


def latm_length(header: bytes) -> int:
    """Bytes of the AAC frame with this LATM header (ISO/IEC 14496-3, 3 bytes at least); 0 if it is none."""
    if len(header) < 3 or header[0] != 0x56 or header[1] & 0xE0 != 0xE0:
        return 0
    return 3 + ((header[1] & 0x1F) << 8 | header[2])


_AC3_KBITS = (32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320, 384, 448, 512, 576, 640)  # ATSC A/52, table 5.18


def ac3_length(header: bytes) -> int:
    """Bytes of the AC-3 or E-AC-3 frame with this header (6 bytes at least); 0 if it is none."""
    if len(header) < 6 or header[:2] != b"\x0bw":
        return 0
    if header[5] >> 3 > 10:  # E-AC-3
        return 2 * (((header[2] & 7) << 8 | header[3]) + 1)
    rate, size = header[4] >> 6, header[4] & 0x3F
    if rate == 3 or size >= 2 * len(_AC3_KBITS):
        return 0
    words = 96_000 * _AC3_KBITS[size // 2] // (48_000, 44_100, 32_000)[rate]
    return 2 * (words + (size & 1 if rate == 1 else 0))


def ts_packet(head: bytes) -> int:
    """Bytes of a packet of the MPEG transport stream that begins like this: 188, or 192 with a time before each (M2TS); 0 for none."""
    for packet, sync in ((188, 0), (192, 4)):
        if len(head) > 2 * packet + sync and head[sync] == head[sync + packet] == head[sync + 2 * packet] == 0x47:
            return packet
    return 0


class Framing(NamedTuple):
    """How the frames of a kind are found: they begin with `sync`, their header gives their length in bytes, and these bits of its second and
    third byte are the same in all of them."""

    sync: bytes
    length: Callable[[bytes], int]
    same: tuple[int, int]


MPEG = Framing(b"\xff", mpeg_length, (0xFF, 0x0C))  # version and layer, sampling rate
ADTS = Framing(b"\xff", adts_length, (0xFF, 0x0C))
LOAS = Framing(b"\x56", latm_length, (0xE0, 0))
SYNCFRAME = Framing(b"\x0bw", ac3_length, (0xFF, 0))


def _frames(data: bytes, start: int, framing: Framing) -> bool:
    """Whether frames of one kind follow one another from `start`, as many as `IN_A_ROW`, or two to the end of what is there."""
    position, first = start, data[start : start + 4]
    for found in range(IN_A_ROW):
        header = data[position : position + 9]
        if found > 1 and len(header) < 9:
            return True
        length = framing.length(header)
        if not length or any((a ^ b) & mask for a, b, mask in zip(header[1:3], first[1:3], framing.same, strict=True)):
            return False
        position += length
    return True


def frames_start(window: bytes, framing: Framing) -> int | None:
    """Where in these bytes the first of several frames begins; None if there is none."""
    position = window.find(framing.sync)
    while position >= 0:
        if _frames(window, position, framing):
            return position
        position = window.find(framing.sync, position + 1)
    return None


def _gsm(head: bytes) -> bool:
    """GSM 06.10 frames have 33 bytes, of which the first begins with the digit 0xD."""
    frames = head[::33]
    return len(frames) >= 10 and all(byte >> 4 == 0xD for byte in frames)
