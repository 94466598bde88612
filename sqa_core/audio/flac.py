"""FLAC: whether its header counts the samples that are there. RFC 9639.

FFmpeg reads a FLAC file to its end, whatever its header counts, and libsndfile reads it twice as fast, but only as far as the header
says. So the last frame is looked at: where it ends as the header says, libsndfile may read.
"""

from .layout import PIECE, File, Layout, read_at

TAIL = 1 << 17  # bytes at the end in which the last frame begins: the largest frames of stereo at 24 bits are shorter
MARK = b"fLaC"


def inspect(file: File, size: int) -> Layout:
    """The samples that the header promises, or, where it does not count them, those up to the last frame's end by its number; `trusted` if
    the last frame ends where the header says, and no second stream follows."""
    total = int.from_bytes(read_at(file, 21, 5), "big") & ((1 << 36) - 1)
    largest = int.from_bytes(read_at(file, 10, 2), "big")
    last = _last_sample(file, size, largest)
    if total:
        return Layout(frames=total, trusted=last == total and not _second(file, size))
    begins_at_zero = _samples(read_at(file, _first_frame(file, size), 16), largest)[:1] == (0,)  # and was not cut out of a longer one
    return Layout(frames=last if begins_at_zero and not _second(file, size) else None)


def _first_frame(file: File, size: int) -> int:
    """Where the frames begin, behind the blocks of metadata."""
    position, last = len(MARK), False
    while not last and position < size:
        head = read_at(file, position, 4)
        last = len(head) < 4 or bool(head[0] & 0x80)
        position += 4 + int.from_bytes(head[1:], "big")
    return position


def _second(file: File, size: int) -> bool:
    """Whether another FLAC stream may begin inside the file. The mark can occur by chance, and FFmpeg then reads what libsndfile could."""
    return any(MARK in read_at(file, start, PIECE + 3) for start in range(4, size, PIECE))


def _last_sample(file: File, size: int, block_size: int) -> int | None:
    """Samples up to the end of the last frame, by its number; None if none is found."""
    tail = read_at(file, max(0, size - TAIL), TAIL)
    at = len(tail)
    while (at := tail.rfind(b"\xff", 0, at)) >= 0:
        samples = _samples(tail[at : at + 16], block_size)
        if samples:
            return samples[1]
    return None


def _samples(header: bytes, block_size: int) -> tuple[int, ...]:
    """The first sample of a frame with this header, and the one after it; empty if it is no header by its form and its checksum."""
    if len(header) < 6 or header[0] != 0xFF or header[1] not in (0xF8, 0xF9) or header[3] & 1:
        return ()
    size_code, rate_code = header[2] >> 4, header[2] & 15
    ones = 8 - (~header[4] & 0xFF).bit_length()
    length = max(1, ones)
    if size_code == 0 or rate_code == 15 or ones in (1, 8) or len(header) < 4 + length + 5:
        return ()
    number = header[4] & (0x7F >> ones)
    for byte in header[5 : 4 + length]:
        number = number << 6 | byte & 0x3F
    at = 4 + length
    extra = {6: 1, 7: 2}.get(size_code, 0)
    if extra:
        samples = int.from_bytes(header[at : at + extra], "big") + 1
    else:
        samples = 192 if size_code == 1 else 576 << size_code - 2 if size_code < 6 else 256 << size_code - 8
    at += extra + {12: 1, 13: 2, 14: 2}.get(rate_code, 0)
    if at >= len(header) or _crc8(header[:at]) != header[at]:
        return ()
    first = number if header[1] & 1 else number * block_size
    return first, first + samples


def _crc8(data: bytes) -> int:
    crc = 0
    for byte in data:
        crc ^= byte
        for _ in range(8):
            crc = (crc << 1 & 0xFF) ^ (0x07 if crc & 0x80 else 0)
    return crc
