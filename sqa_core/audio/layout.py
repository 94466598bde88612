"""Where the samples of a file lie, as far as its header can be believed, and the ways in which it cannot."""

import zlib
from dataclasses import dataclass, field
from typing import NamedTuple, Protocol, runtime_checkable


@runtime_checkable
class File(Protocol):
    """What is asked of an open file: bytes, from anywhere."""

    def read(self, size: int = -1, /) -> bytes:
        """The next bytes."""

    def seek(self, offset: int, whence: int = 0, /) -> int:
        """Goes to a place; returns it."""


class Raw(NamedTuple):
    """Samples without a usable header: where they lie, and how libsndfile reads them."""

    offset: int
    length: int
    subtype: str
    endian: str
    sample_rate: int
    channels: int


@dataclass
class Layout:
    """What `inspect` found: notes for the reader, samples to be read raw, the streams of a file that holds several in a row.

    fallback : the samples as a right header gives them, for a header that libsndfile cannot make out. frames : samples of a channel, or
    packets of MP3, that the header promises and only decoding can count. trusted : of FLAC, that count was found to be right. end : where the
    container ends, by its own account; None where it does not say.
    """

    notes: list[str] = field(default_factory=list)
    raw: Raw | None = None
    fallback: Raw | None = None
    parts: list["Part"] = field(default_factory=list)
    frames: int | None = None
    trusted: bool = False
    end: int | None = None


class Part(NamedTuple):
    """One stream of a file: where it lies, how many samples stand before its sound (of Vorbis it is one block, None), and how many the sound
    has, None where nothing says so. Ogg says both of Vorbis and Opus, the latter by the position of the last page; CAF has a table."""

    begin: int
    end: int
    before: int | None = None
    length: int | None = None


class Cut(Exception):
    """The file ends before what it promises; the text says how much is missing."""


class Unusable(Exception):
    """A header that is wrong in a way that cannot be repaired; the text says how."""


UNREADABLE = (OSError, EOFError, zlib.error)  # what the read of a file object raises where its source fails
PIECE = 1 << 20  # bytes read at once when a file is searched


def read_at(file: File, offset: int, count: int) -> bytes:
    """Bytes of an open file, as many as there are; a file object may hand them out in pieces."""
    file.seek(offset)
    data = file.read(count)
    while 0 < len(data) < count and (more := file.read(count - len(data))):
        data += more
    return data
