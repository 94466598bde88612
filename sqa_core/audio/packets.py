"""Containers of coded packets: Ogg, MP3, AAC, AC-3, MP4, Matroska, ASF and others. Whether they are whole, and what they hold.

Each function checks what the container promises against the size of the file in bytes, and returns the layout; a file that was cut
raises `Cut`.
"""

import zlib
from functools import partial

from . import kinds
from .layout import PIECE, Cut, File, Layout, Part, Unusable, read_at

UNKNOWN_TOTAL = 0xFFFFFFFF  # samples: what WavPack writes where it does not know
SHORT_TAG = 256  # bytes by which an MP3 may be shorter than its header says: a tag was taken off later, no frame
MAX_BAD_PAGES = 0.05  # of an Ogg file's pages: beyond it, the sound is refused


def ogg(file: File, size: int) -> Layout:
    """Pages from beginning to end. A new stream after the end of another is a new part (a chained file); RFC 3533 and, of Opus, 7845."""
    position, begin, begun, end = 0, 0, False, 0
    sound: int | None = None  # the first Vorbis or Opus stream of a part, which is the one that is decoded
    before: int | None = None
    last_position = 0
    parts: list[Part] = []
    unended: set[int] = set()
    notes: list[str] = []
    expected: dict[int, int] = {}
    pages = bad = skipped = repeated = 0
    while position < size:
        head = read_at(file, position, 27 + 255)
        if len(head) < 27 or head[:4] != b"OggS":
            if len(head) < 27 and b"OggS".startswith(head[:4]):
                raise Cut("it ends inside a page")
            following = _next_page(file, position, size)
            if following is None:
                notes.append(f"{size - position} bytes after its last page were left out")
                break
            skipped += following - position
            position = following
            continue
        table = head[27 : 27 + head[26]]
        length = 27 + head[26] + sum(table)
        serial, flags = int.from_bytes(head[14:18], "little"), head[5]
        if position + length > size:
            raise Cut("it ends inside a page")
        pages += 1
        number = int.from_bytes(head[18:22], "little")
        repeated += number < expected.get(serial, 0) and not flags & 2
        page = read_at(file, position, length)
        whole = _checksum(page) == int.from_bytes(head[22:26], "little")
        bad += (not whole) + max(0, number - expected.get(serial, number) if not flags & 2 else 0)
        expected[serial] = number + 1
        if flags & 2:  # a stream begins
            if begun:
                parts.append(Part(begin, position, before, last_position - (before or 0)))
                begin, begun, sound, before, last_position = position, False, None, None, 0
                if unended:  # a recorder was killed and began again
                    notes.append(f"stream {len(parts)} is not marked as ended, and may have been cut there")
                    unended.clear()
            unended.add(serial)
        else:
            begun = True
        if flags & 4:
            unended.discard(serial)
        if flags & 2 and sound is None:
            content = page[27 + head[26] :]
            if content.startswith((b"\x01vorbis", b"OpusHead")):
                sound, before = serial, int.from_bytes(content[10:12], "little") if content.startswith(b"OpusHead") else None
        granule = int.from_bytes(head[6:14], "little", signed=True)
        if serial == sound and granule >= 0:  # -1: no packet ends on this page
            last_position = granule
        position += length
        end = position
    if unended:
        raise Cut("its last page is not marked as the end")
    if bad > MAX_BAD_PAGES * (pages + bad):
        raise Unusable(f"damaged, {bad} of its {pages + bad} pages are missing or changed; fetch it again")
    if bad:
        notes.append(f"{bad} of {pages + bad} pages are missing or damaged, and their sound is lost")
    if repeated:
        notes.append(f"pages are repeated or out of order ({repeated})")
    if skipped:
        notes.append(f"{skipped} bytes between its pages were left out")
    parts.append(Part(begin, end, before, last_position - (before or 0)))
    if len(parts) > 1:
        notes.insert(0, f"{len(parts)} streams one after another, read as one")
    return Layout(notes, parts=parts)


def _next_page(file: File, position: int, size: int) -> int | None:
    """Where the next page begins; None if there is none."""
    while position < size:
        at = read_at(file, position, PIECE + 3).find(b"OggS", 0 if position else 1)
        if at >= 0:
            return position + at
        position += PIECE
    return None


_MIRRORED = bytes(int(f"{byte:08b}"[::-1], 2) for byte in range(256))


def _checksum(page: bytes) -> int:
    """Ogg's CRC-32 of a page, by zlib's: the same polynomial with all bits mirrored, without its first and last inversion."""
    data = (page[:22] + bytes(4) + page[26:]).translate(_MIRRORED)
    mirrored = zlib.crc32(data, 0xFFFFFFFF) ^ 0xFFFFFFFF
    return int(f"{mirrored:032b}"[::-1], 2)


def mp3(file: File, size: int) -> Layout:
    start = tags = kinds.id3_end(read_at(file, 0, 10), partial(read_at, file))
    first = kinds.frames_start(read_at(file, start, kinds.MPEG_SEARCHED), kinds.MPEG)
    if first is None:
        return Layout()
    start += first
    frame = read_at(file, start, 4 + 32 + 160)
    mpeg1, mono = frame[1] >> 3 & 3 == 3, frame[3] >> 6 == 3
    side = (17 if mono else 32) if mpeg1 else (9 if mono else 17)
    at = 4 + side
    promised, frames = 0, None
    if frame[at : at + 4] in (b"Xing", b"Info"):
        flags = int.from_bytes(frame[at + 4 : at + 8], "big")
        frames = int.from_bytes(frame[at + 8 : at + 12], "big") if flags & 1 else None
        if flags & 2:
            where = at + 8 + (4 if flags & 1 else 0)
            promised = int.from_bytes(frame[where : where + 4], "big")
    elif frame[36:40] == b"VBRI":
        promised, frames = int.from_bytes(frame[46:50], "big"), int.from_bytes(frame[50:54], "big") or None
    if promised > size - start + SHORT_TAG:
        raise Cut(f"its header promises {promised} bytes of frames and {size - start} are there")
    begins_inside = first and not tags
    return Layout([f"begins inside a frame: {first} bytes were left out"] if begins_inside else [], frames=frames)


def aac(file: File, size: int) -> Layout:
    start = kinds.id3_end(read_at(file, 0, 10), partial(read_at, file))
    return _framed(file, size, start, kinds.ADTS)


def latm(file: File, size: int) -> Layout:
    return _framed(file, size, 0, kinds.LOAS)


def ac3(file: File, size: int) -> Layout:
    return _framed(file, size, 0, kinds.SYNCFRAME)


def _framed(file: File, size: int, start: int, framing: kinds.Framing) -> Layout:
    """Frames from beginning to end, each with its length in its header, and what lies between them."""
    first = kinds.frames_start(read_at(file, start, kinds.MPEG_SEARCHED), framing) or 0
    notes = [f"begins inside a frame: {first} bytes were left out"] if first else []
    position, end, between = start + first, start + first, 0
    while position < size:
        length = framing.length(read_at(file, position, 9))
        if length:
            between += position - end
            position = end = position + length
        else:  # something else, or damage: the next frame is looked for
            window = read_at(file, position + 1, kinds.MPEG_SEARCHED)
            found = kinds.frames_start(window, framing)
            position += 1 + (len(window) if found is None else found)
    if between:
        notes.append(f"{between} bytes between its frames were left out")
    if size - end > SHORT_TAG:
        notes.append(f"{size - end} bytes after its last frame were left out")
    if end > size:
        notes.append("ends inside a frame, which was left out")
    return Layout(notes, parts=[Part(start + first, min(end, size))])


def transport_stream(file: File, size: int) -> Layout:
    """Packets of one size, each with its mark."""
    packet = kinds.ts_packet(read_at(file, 0, kinds.HEAD))
    notes, lost, position = [], 0, 0
    while packet and position + packet <= size:
        piece = read_at(file, position, PIECE // packet * packet)
        piece = piece[: len(piece) // packet * packet]
        marks = piece[packet - 188 :: packet]
        lost += len(marks) - marks.count(0x47)
        position += len(piece)
    if lost:
        notes.append(f"{lost} of its {size // packet} packets are damaged, and their sound is lost")
    if packet and size % packet:
        notes.append("ends inside a packet, which was left out")
    return Layout(notes)


_BOXES = set(b"ftyp moov mdat free skip wide udta meta moof mfra sidx ssix styp uuid pnot emsg prft pdin".split())


def mp4(file: File, size: int) -> Layout:
    """Boxes of the first level, and the numbers of its fragments."""
    position, notes = 0, []
    seen: set[bytes] = set()
    fragment: int | None = None
    jumps = 0
    while position + 8 <= size:
        head = read_at(file, position, 24)
        length, name = int.from_bytes(head[:4], "big"), head[4:8]
        if length == 1:
            length = int.from_bytes(head[8:16], "big")
        elif length == 0 and name in _BOXES:  # to the end of the file
            length = size - position
        whole = {b"moov", b"mdat"} <= seen
        if length < 8 or (whole and name in (b"ftyp", b"moov")):  # padding, or a second file, after the last box
            break
        if position + length > size:
            if whole and name not in _BOXES:  # a tag, which only looks like a box
                break
            raise Cut(f"its box {name.decode('latin-1')!r} promises {length} bytes and {size - position} are there")
        seen.add(name)
        if name == b"moof" and head[12:16] == b"mfhd":
            number = int.from_bytes(read_at(file, position + 20, 4), "big")
            jumps += fragment is not None and number not in (fragment, fragment + 1)
            fragment = number
        position += length
    if b"moov" not in seen:
        raise Cut("its index (moov) is missing: the recording was not finished, or not all of it was fetched")
    if jumps:
        notes.append(f"its fragments' numbers jump ({jumps}×): some are missing or out of order")
    if size - position > SHORT_TAG:
        notes.append(f"{size - position} bytes after its last box were left out")
    return Layout(notes, end=position)


def matroska(file: File, size: int) -> Layout:
    """The elements of the first two levels; a recording of unknown length promises nothing but its clusters."""
    position, end, inside = 0, size, False
    while position < end:  # of the segment: what follows it is none of its sound
        element, length, header = _ebml(read_at(file, position, 12))
        if not header or (inside and element == 0x1A45DFA3):  # nothing, or a second file
            break
        if element == 0x18538067:  # Segment: look inside
            if length is not None and position + header + length > size:
                raise Cut(f"its header promises {position + header + length} bytes and {size} are there")
            position, inside = position + header, True
            end = position + length if length is not None else size
            continue
        if length is None:  # a live cluster; its blocks are read by the decoder
            position += header
            continue
        if position + header + length > end:
            if end < size or length > size:
                break
            raise Cut(f"it ends inside an element ({position + header + length - size} bytes are missing)")
        position += header + length
    return Layout(_lost(end - position), end=position)


def _lost(rest: int) -> list[str]:
    """What is said of so many bytes at the end that belong to no element; nothing of a short tag or padding."""
    return [f"damaged {rest} bytes before its end: what follows may be lost"] if rest > SHORT_TAG else []


def flv(file: File, size: int) -> Layout:
    """Tags from beginning to end, each with its length before and after it."""
    position = int.from_bytes(read_at(file, 5, 4), "big") + 4
    while position + 11 <= size:
        head = read_at(file, position, 11)
        if head[0] not in (8, 9, 18):  # neither sound, picture nor data
            return Layout(_lost(size - position), end=position)
        position += 11 + int.from_bytes(head[1:4], "big") + 4
    if position - 4 > size:  # the last length behind a tag says nothing new
        raise Cut(f"it ends inside a tag ({position - size} bytes are missing)")
    return Layout(["ends inside a tag, which was left out"] if position < size else [])


def programme_stream(file: File, size: int) -> Layout:
    """Packs and packets of an MPEG programme stream, each with its length; ISO/IEC 13818-1."""
    position = 0
    while position + 14 <= size:
        head = read_at(file, position, 14)
        if head[:3] != b"\0\0\1" or head[3] < 0xB9:
            return Layout(_lost(size - position) if read_at(file, position, PIECE).strip(b"\0") else [])
        if head[3] == 0xB9:  # the end
            return Layout()
        if head[3] == 0xBA:
            position += 14 + (head[13] & 7) if head[4] >> 6 == 1 else 12
        else:
            position += 6 + int.from_bytes(head[4:6], "big")
    return Layout(["ends inside a packet, which was left out"] if position > size else [])


def _ebml(head: bytes) -> tuple[int, int | None, int]:
    """(identifier, size or None for unknown, bytes of both) of an EBML element; zero bytes where there is none."""
    if len(head) < 2 or not head[0]:
        return 0, None, 0
    n = 9 - head[0].bit_length()
    if n > 4 or len(head) <= n or not head[n]:
        return 0, None, 0
    identifier = int.from_bytes(head[:n], "big")
    m = 9 - head[n].bit_length()
    if len(head) < n + m:
        return 0, None, 0
    value = int.from_bytes(head[n : n + m], "big") & ((1 << 7 * m) - 1)
    return identifier, None if value == (1 << 7 * m) - 1 else value, n + m


def wavpack(file: File, size: int) -> Layout:
    """Blocks to the last one; tags, which stand at the end of a WavPack file, are none of its sound."""
    position, promised = 0, 0
    while (head := read_at(file, position, 16))[:4] == b"wvpk":
        length = 8 + int.from_bytes(head[4:8], "little")
        promised = promised or int.from_bytes(head[12:16], "little")
        if position + length > size:
            raise Cut(f"its last block promises {length} bytes and {size - position} are there")
        position += length
    tag = read_at(file, position, 32)
    end = position + (32 + int.from_bytes(tag[12:16], "little") if tag.startswith(b"APETAGEX") else 0)
    return Layout(parts=[Part(0, position)], frames=promised if promised < UNKNOWN_TOTAL else None, end=end)


def asf(file: File, size: int) -> Layout:
    position = 0
    while position + 24 <= size:
        length = int.from_bytes(read_at(file, position + 16, 8), "little")
        if length < 24 or (position and kinds.is_start(read_at(file, position, kinds.HEAD))):
            break
        if position + length > size:
            raise Cut(f"its header promises {position + length} bytes and {size} are there")
        position += length
    return Layout(end=position)
