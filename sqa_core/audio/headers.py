"""Headers of samples that are not coded in packets: WAV and RF64, W64, AIFF, AU, CAF, NIST SPHERE.

Each function checks what the header promises against the size of the file in bytes, and returns the layout; a file that was cut raises
`Cut`.
"""

import struct
from collections.abc import Iterator
from typing import NamedTuple

from . import kinds
from .layout import PIECE, Cut, File, Layout, Part, Raw, Unusable, read_at

# 32-bit sizes that mean "unknown": writers to a pipe put 2**31, 2**32 or a little less, with or without the header's 36 to 68 bytes.
STREAMED = ((0x7FFFF000 - 68, 0x80000000 + 68), (0xFFFFF000 - 68, 0xFFFFFFFF))
MOST_32_BITS = 0x7FFFFFFF  # larger files are read raw: libsndfile takes some of their sizes for negative
LAST_CHUNK = 1 << 16  # bytes at the end in which a last chunk is looked for, where the samples' size is unknown
SLACK = 1 << 20  # bytes of other chunks that may follow samples whose size passed 2**32


# Names that prove a chunk after an odd one without padding: "ata" and the first byte of a size can look like a name.
USUAL_CHUNKS = (b"data", b"fmt ", b"fact", b"LIST", b"bext", b"id3 ", b"JUNK", b"cue ", b"smpl", b"PEAK", b"iXML", b"COMM", b"SSND")


class Format(NamedTuple):
    """Of uncompressed samples: libsndfile's name for them, None where it cannot read them raw; bytes of one sample of all channels; and
    whether they have fewer bits than their bytes hold, which libsndfile may take for samples of fewer bytes."""

    subtype: str | None
    endian: str
    sample_rate: int
    channels: int
    frame: int
    padded: bool = False


def _chunks(file: File, start: int, end: int, endian: str) -> Iterator[tuple[bytes, int, int]]:
    """(name, offset of the content, its size) of RIFF's and IFF's chunks; ends where no chunk begins."""
    position = start
    while position + 8 <= end:
        head = read_at(file, position, 8)
        name, size = head[:4], int.from_bytes(head[4:8], "little" if endian == "<" else "big")
        if not _is_name(name):
            return
        yield name, position + 8, size
        following = position + 8 + size + (size & 1)
        if size & 1:
            unpadded, padded = read_at(file, following - 1, 4), read_at(file, following, 4)
            if unpadded in USUAL_CHUNKS or (_is_name(unpadded) and not _is_name(padded)):
                following -= 1  # a writer that leaves out the padding byte
        position = following


def _is_name(name: bytes) -> bool:
    return len(name) == 4 and all(32 <= byte < 127 for byte in name) and name != b"    "


def wav(file: File, size: int) -> Layout:
    head = read_at(file, 0, 8)
    endian = ">" if head[:4] == b"RIFX" else "<"
    riff = int.from_bytes(head[4:], "little" if endian == "<" else "big")
    form: Format | None = None
    extensible, empty, real, samples = False, False, None, None
    for name, offset, length in _chunks(file, 12, size, endian):
        if name == b"ds64":
            real = struct.unpack("<QQ", read_at(file, offset, 16))[1]
        elif name == b"fmt ":
            if length < 16:
                raise Unusable(f"its header is damaged: the description of its samples has {length} bytes instead of 16 or more")
            content = read_at(file, offset, min(length, 40))
            extensible, found = 0xFFFE in (content[0] | content[1] << 8, content[1] | content[0] << 8), _wav_format(content, endian)
            if form is not None and found != form:
                raise Unusable("describes its samples twice, and differently")
            form = found
        elif name == b"fact" and length >= 4:
            samples = int.from_bytes(read_at(file, offset, 4), "little" if endian == "<" else "big")
        elif name == b"data" and not length and read_at(file, offset, 4) == b"data":
            empty = True
            continue  # with the chunk that has the samples
        elif name == b"data" and form is not None:
            wide = real is not None and length == 0xFFFFFFFF
            promised = real if real is not None and wide else length
            layout = _against_size(file, size, offset, promised, form, wide=wide, endian=endian)
            empty = _refuse_second(file, size, offset + promised + (promised & 1), endian) or empty
            if samples and form.subtype is None and form.channels == 1:  # coded in blocks, of which the last may be filled up. Of several
                layout.parts = [Part(0, size, 0, samples)]  # channels, writers disagree on what is counted
            if form.padded and not extensible:  # whose standard says which bits they are
                layout.notes.append(f"its samples have fewer bits than their {form.frame // form.channels} bytes; the upper bits were read")
            if offset % 2 or empty:  # a chunk without its padding byte, or a second one without samples: libsndfile loses its place
                layout.raw = layout.raw or layout.fallback
            if not layout.notes and riff + 8 > size + 1 and not _is_streamed(riff):
                missing = riff + 8 - size
                layout.notes.append(f"its RIFF header counts {missing} bytes more than there are, though no sample is missing")
            return layout
    return _whole(size, riff)


def avi(file: File, size: int) -> Layout:
    """A recorder that was killed leaves sizes of zero; the chunks of sound then say whether the last of them is whole."""
    promised = int.from_bytes(read_at(file, 4, 4), "little")
    _whole(size, promised)
    for name, offset, length in _chunks(file, 12, size, "<"):
        if name == b"LIST" and read_at(file, offset, 4) == b"movi":
            end = offset + length if length else size
            for _, at, count in _chunks(file, offset + 4, min(end, size), "<"):
                if at + count > size:
                    raise Cut(f"it ends inside a chunk ({at + count - size} bytes are missing)")
            break
    return Layout(end=8 + promised + (promised & 1) if promised else None)


def svx(file: File, size: int) -> Layout:
    promised = int.from_bytes(read_at(file, 4, 4), "big")
    _whole(size, promised)
    return Layout(end=8 + promised + (promised & 1))


def _whole(size: int, promised: int) -> Layout:
    """Nothing to be said of a file that has the bytes after its first eight that these promise."""
    if size < promised + 8 and not _is_streamed(promised):
        raise Cut(f"its header promises {promised + 8} bytes and {size} are there")
    return Layout()


def voc(file: File, size: int) -> Layout:
    position = int.from_bytes(read_at(file, 20, 2), "little")
    while position < size:
        block = read_at(file, position, 4)
        if not block or not block[0]:  # the terminator
            return Layout(end=position + 1)
        position += 4 + int.from_bytes(block[1:4], "little")
        if position > size:
            raise Cut(f"{position - size} bytes of a block are missing")
    return Layout()


def tta(file: File, size: int) -> Layout:
    return Layout(frames=int.from_bytes(read_at(file, 14, 4), "little") or None)


def _is_streamed(size: int) -> bool:
    return any(low <= size <= high for low, high in STREAMED)


def _refuse_second(file: File, size: int, start: int, endian: str) -> bool:
    """Two sounds in one file: which of them was meant is not for us to say. Tells whether an empty chunk of samples follows."""
    empty = False
    for name, _, length in _chunks(file, start, size, endian):
        if length and name in (b"data", b"RIFF", b"RIFX", b"RF64"):
            raise Unusable("holds several sounds one after another (a second header or data chunk); split it first")
        empty = empty or name == b"data"
    return empty


def _wav_format(content: bytes, endian: str) -> Format:
    code, channels, rate, per_second, frame, bits = struct.unpack(f"{endian}HHIIHH", content[:16])
    extensible = code == 0xFFFE and len(content) >= 26
    if extensible:
        code = struct.unpack(f"{endian}H", content[24:26])[0]
    if code == 1 and channels and frame != channels * -(-bits // 8) == per_second / max(rate, 1):
        frame = channels * -(-bits // 8)  # two of three say so
    width = frame // channels if channels else 0  # bytes of a sample, whose upper part holds its bits
    padded = code == 1 and 0 < bits <= 8 * (width - 1) and width <= 4
    bits = 8 * width if padded or (code == 1 and bits % 8 and width == -(-bits // 8)) else bits
    subtype = {
        (1, 8): "PCM_U8",
        (1, 16): "PCM_16",
        (1, 24): "PCM_24",
        (1, 32): "PCM_32",
        (3, 32): "FLOAT",
        (3, 64): "DOUBLE",
        (6, 8): "ALAW",
        (7, 8): "ULAW",
    }.get((code, bits))
    return Format(subtype, "BIG" if endian == ">" else "LITTLE", rate, channels, frame, padded)


def _against_size(
    file: File, size: int, offset: int, promised: int, form: Format, *, wide: bool = False, endian: str = "<", chunked: bool = True
) -> Layout:
    """Samples that begin at `offset` and, by the header, have `promised` bytes. wide : a size of 64 bits. chunked : more may follow."""
    there = size - offset
    if form.sample_rate <= 0:
        raise Unusable(f"its header gives a rate of {form.sample_rate} Hz")
    readable = form.subtype is not None and min(form.frame, form.sample_rate, form.channels) > 0

    def raw(length: int) -> Raw | None:
        whole = length // form.frame * form.frame if readable else 0
        return Raw(offset, whole, str(form.subtype), form.endian, form.sample_rate, form.channels) if readable else None

    right = Layout(fallback=raw(min(promised, there)))
    if there < 0:
        raise Cut("it ends before its samples begin")
    if size > MOST_32_BITS or form.padded:
        right.raw = right.fallback

    def shown(length: int) -> str:
        return f"{length / (form.frame * form.sample_rate):.2f} s" if readable else f"{length} bytes"

    def repaired(length: int, note: str, *, streamed: bool = False) -> Layout:
        if not readable and streamed:
            return Layout([note])  # FFmpeg reads blocks of coded samples as far as the file goes
        if not readable:
            raise Unusable(f"{note.split(';')[0]}, and samples that are coded cannot be read without it; convert the file first")
        return Layout([note], raw(length))

    if promised == there:
        return right
    if promised > there:
        if _is_streamed(promised) and not wide:
            end = _last_chunk(file, offset, size, endian) if chunked else size
            return repaired(end - offset, "its header gives no length (a stream); read to the end of the file", streamed=True)
        if promised in (size, size - 8, there + 8, there + 12, there + 36, there + 44):
            return repaired(there, f"its header counts itself as sound ({promised - there} bytes more than there are)")
        if promised - there >= max(form.frame, 1):
            raise Cut(f"its header promises {shown(promised)} of sound and {shown(there)} are there")
        return Layout(["ends inside its last sample"], right.fallback)
    rest = there - promised
    if rest == 1 and not (readable and promised % form.frame):  # a padding byte
        return right
    if not wide and there >= 1 << 32 and rest % (1 << 32) <= SLACK:
        whole = there - rest % (1 << 32)
        return repaired(whole, f"its header says {shown(promised)}, since sizes end at 4 GiB; all {shown(whole)} were read")
    tail = read_at(file, offset + promised, kinds.HEAD)
    if promised and kinds.is_start(tail):
        return Layout(end=offset + promised)  # a second file, which is refused where all ends are looked at
    if chunked and _is_chunks(file, offset + promised + (promised & 1), size, endian):
        return right
    if chunked and promised & 1 and _is_chunks(file, offset + promised, size, endian):
        return right
    if rest < form.frame:  # the last sample, or a part of one
        return (
            repaired(there, "its header ends inside a sample that is there; all of it was read")
            if readable and promised % form.frame
            else right
        )
    if tail[:3] in (b"ID3", b"TAG") or tail[:8] in (b"APETAGEX", b"LYRICSBE"):
        return Layout(raw=right.fallback, fallback=right.fallback)
    what = kinds.kind_of(tail) if promised else kinds.UNKNOWN
    if promised and _is_padding(file, offset + promised, size):
        return Layout([f"{rest} bytes of padding after the sound were left out"], right.fallback, right.fallback)
    if promised and isinstance(what, str) and kinds.is_known(what):
        return Layout([f"{rest} bytes after the sound were left out ({what})"], right.fallback, right.fallback)
    end = _last_chunk(file, offset, size, endian) if chunked and not promised else size
    return repaired(end - offset, f"its header says {shown(promised)}, {shown(end - offset)} are there; all of it was read")


def _is_padding(file: File, start: int, size: int) -> bool:
    """Whether from `start` one byte is repeated to the end: zeros of a file system, or what erased memory holds."""
    first = read_at(file, start, 1)
    if first not in (b"\0", b"\xff"):
        return False
    return not any(read_at(file, at, PIECE).strip(first) for at in range(start, size, PIECE))


def _last_chunk(file: File, offset: int, size: int, endian: str) -> int:
    """Where the samples end if a LIST or id3 chunk follows them and reaches to the end of the file; else the file's size."""
    start = max(offset, size - LAST_CHUNK)
    tail = read_at(file, start, size - start)
    for name in (b"LIST", b"id3 ", b"bext"):
        at = tail.find(name)
        while at >= 0:
            length = int.from_bytes(tail[at + 4 : at + 8], "little" if endian == "<" else "big")
            if start + at + 8 + length in (size, size - 1):
                return start + at
            at = tail.find(name, at + 1)
    return size


def _is_chunks(file: File, start: int, size: int, endian: str) -> bool:
    """Whether from `start` there are chunks as far as the file goes; a last one that was cut is one, since it holds no sound."""
    end = start
    for name, offset, length in _chunks(file, start, size, endian):
        if offset + length > size + 1 and not name.strip().isalpha():
            return False
        end = offset + length
    return end > start and size - end < 8


def w64(file: File, size: int) -> Layout:
    position = 40
    form: Format | None = None
    while position + 24 <= size:
        head = read_at(file, position, 24)
        length = int.from_bytes(head[16:24], "little")
        if head[:4] == b"fmt ":
            form = _wav_format(read_at(file, position + 24, 40), "<")
        following = position + length + (-length) % 8
        if head[:4] == b"data" and form and length >= 1 << 62:  # a stream
            return _against_size(file, size, position + 24, 0xFFFFFFFF, form, chunked=False)
        if head[:4] == b"data" and form:
            more = int.from_bytes(read_at(file, following + 16, 8), "little")
            if kinds.is_start(read_at(file, following, kinds.HEAD)):
                return Layout(end=following)
            if length > 24 and 24 <= more <= size - following:  # another chunk follows
                return Layout()
            return _against_size(file, size, position + 24, max(0, length - 24), form, wide=True, chunked=False)
        if length < 24:
            break
        position = following
    return Layout()


def aiff(file: File, size: int) -> Layout:
    compressed = read_at(file, 8, 4) == b"AIFC"
    form: Format | None = None
    frames, coding = 0, b""
    data: tuple[int, int] | None = None
    for name, offset, length in _chunks(file, 12, size, ">"):
        if name == b"COMM":
            content = read_at(file, offset, min(length, 22))
            channels, frames, bits = struct.unpack(">hIh", content[:8])
            coding = content[18:22] if compressed else b"NONE"
            form = _aiff_format(coding, channels, bits, _extended(content[8:18]))
        elif name == b"SSND" and data is not None:
            raise Unusable("holds several sounds one after another (a second chunk of samples); split it first")
        elif name == b"SSND":
            shift = int.from_bytes(read_at(file, offset, 4), "big")
            data = offset + 8 + shift, length - 8 - shift
            if offset + length > size:
                break
    if form is None or data is None:
        return _whole(size, int.from_bytes(read_at(file, 4, 4), "big"))
    by_frames = bool(form.subtype) and frames * form.frame > max(0, data[1]) and not _is_streamed(frames)
    layout = _against_size(file, size, data[0], frames * form.frame if by_frames else max(0, data[1]), form, endian=">")
    if by_frames or coding in _AIFF_WIDTHS:  # libsndfile goes by the chunk's own size, too small here, and by bits instead of the coding
        layout.raw = layout.raw or layout.fallback
    layout.end = 8 + int.from_bytes(read_at(file, 4, 4), "big")
    return layout


_AIFF_WIDTHS = {b"in24": 3, b"42ni": 3, b"in32": 4, b"23ni": 4}  # bytes of a sample, by its coding


def _aiff_format(coding: bytes, channels: int, bits: int, rate: int) -> Format:
    endian = "LITTLE" if coding in (b"sowt", b"42ni", b"23ni") else "BIG"
    width = -(-bits // 8)
    subtype = {
        b"fl32": "FLOAT",
        b"FL32": "FLOAT",
        b"fl64": "DOUBLE",
        b"FL64": "DOUBLE",
        b"ulaw": "ULAW",
        b"ULAW": "ULAW",
        b"alaw": "ALAW",
        b"ALAW": "ALAW",
    }.get(coding)
    width = _AIFF_WIDTHS.get(coding, width)
    if coding in (b"NONE", b"twos", b"sowt", b"in24", b"in32", b"42ni", b"23ni"):
        subtype = {1: "PCM_S8", 2: "PCM_16", 3: "PCM_24", 4: "PCM_32"}.get(width)
    width = {"FLOAT": 4, "DOUBLE": 8, "ULAW": 1, "ALAW": 1}.get(subtype or "", width)
    return Format(subtype, endian, rate, channels, width * channels if subtype else 1)


def _extended(ten: bytes) -> int:
    """An 80-bit float, as AIFF writes its rate."""
    exponent, mantissa = struct.unpack(">HQ", ten)
    return round(mantissa * 2.0 ** ((exponent & 0x7FFF) - 16383 - 63))


def au(file: File, size: int) -> Layout:
    little = read_at(file, 0, 4) == b"dns."
    offset, promised, coding, rate, channels = struct.unpack(f"{'<' if little else '>'}5I", read_at(file, 4, 20))
    subtype, width = {
        1: ("ULAW", 1),
        2: ("PCM_S8", 1),
        3: ("PCM_16", 2),
        4: ("PCM_24", 3),
        5: ("PCM_32", 4),
        6: ("FLOAT", 4),
        7: ("DOUBLE", 8),
        27: ("ALAW", 1),
    }.get(coding, (None, 0))
    form = Format(subtype, "LITTLE" if little else "BIG", rate, channels, width * channels)
    return Layout() if promised == 0xFFFFFFFF else _against_size(file, size, offset, promised, form, chunked=False)


def caf(file: File, size: int) -> Layout:
    position, parts = 8, []
    form: Format | None = None
    while position + 12 <= size:
        name, length = struct.unpack(">4sq", read_at(file, position, 12))
        if name == b"desc":
            form = _caf_format(read_at(file, position + 12, 32))
        if name == b"pakt":  # packets, samples of the sound, and samples before and after it
            _, valid, before, _ = struct.unpack(">qqii", read_at(file, position + 12, 24))
            parts = [Part(0, size, max(0, before), valid)] if valid > 0 else []
        if name == b"data" and form and form.subtype:
            start, following = position + 16, position + 12 + length  # four bytes count the edits
            after = read_at(file, following, 12) if 0 <= following < size else b""
            whole = following == size or (len(after) == 12 and after[:4].isalpha() and int.from_bytes(after[4:], "big") <= size - following)
            if whole and form.sample_rate > 0 and not form.padded:
                return Layout(end=following)
            promised = size - start if length < 0 else max(0, length - 4)  # below 0: as far as the file goes
            return _against_size(file, size, start, promised, form, wide=True, chunked=False)
        if length < 0 or name == bytes(4):
            break  # the last chunk, to the end of the file; or padding
        if position + 12 + length > size:
            if not all(32 <= byte < 127 for byte in read_at(file, position, 4)):
                raise Unusable("has no chunk where its header says that one begins; convert the file first")
            raise Cut(f"{position + 12 + length - size} bytes are missing that its header promises")
        position += 12 + length
    return Layout(parts=parts)


def _caf_format(content: bytes) -> Format:
    rate, coding, flags, frame, _, channels, bits = struct.unpack(">d4s5I", content)
    width = frame // channels if channels else 0
    subtype = {1: "PCM_S8", 2: "PCM_16", 3: "PCM_24", 4: "PCM_32"}.get(width)
    if flags & 1:
        subtype = {4: "FLOAT", 8: "DOUBLE"}.get(width)
    subtype = {b"lpcm": subtype, b"ulaw": "ULAW", b"alaw": "ALAW"}.get(coding)
    padded = coding == b"lpcm" and not flags & 1 and bits <= 8 * (width - 1)
    return Format(subtype, "LITTLE" if flags & 2 else "BIG", int(rate), channels, frame, padded)


def nist(file: File, size: int) -> Layout:
    header = read_at(file, 0, 1024).decode("latin-1").split("\n")
    fields = {words[0]: words[2] for line in header if len(words := line.split(maxsplit=2)) == 3}
    start = int(header[1]) if len(header) > 1 and header[1].strip().isdigit() else 1024
    if "sample_count" in fields and fields.get("sample_coding", "pcm") in ("pcm", "ulaw", "alaw"):
        frame = int(fields.get("channel_count", "1")) * int(fields.get("sample_n_bytes", "2"))
        promised, there = int(fields["sample_count"]) * frame, size - start
        if promised > there:
            raise Cut(f"its header promises {promised} bytes of samples and {there} are there")
        return Layout(end=start + promised)
    return Layout()
