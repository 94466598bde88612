"""Whether the packets that FFmpeg hands out are all there: what they add up to, against what container and codec say."""

from typing import Any

from ..errors import AudioError
from . import kinds

MAX_DAMAGED = 0.02  # of a stream's packets: beyond it, the sound is refused
MANY_PACKETS = 50  # of so many, one may be damaged
TIMED = ("matroska", "asf", "avi", "flv", "rm")  # FFmpeg's names of containers whose headers state how long they last
CLOCKED = ("mpegts", "mpeg", "mov", "matroska", "flv")  # of those whose packets have times
TOLERANCE_S = 0.15  # by which those times may be longer than the sound: headers are rounded, and encoders fill their last packet
AMR_BYTES = {  # of a frame after its first byte, by its type; 3GPP TS 26.101 and 26.201. 0: no data
    "NB": (12, 13, 15, 17, 19, 20, 26, 31, 5, 6, 5, 5, 0, 0, 0, 0),
    "WB": (17, 23, 32, 36, 40, 46, 50, 58, 60, 5, 0, 0, 0, 0, 0, 0),
}


class Account:
    """Of one stream. `packet` takes each packet before it is decoded, `decoded` and `failed` say how that went, `closed` gives the notes.

    container, stream : PyAV's, just opened. promised : frames of an MP3 that its header counts.
    """

    def __init__(self, container: Any, stream: Any, kind: kinds.Kind, promised: int | None, time_base: int) -> None:
        self.kind, self.stream, self.codec, self.promised = kind, stream, stream.codec_context.name, promised
        self.packets = self.damaged = 0
        self.seconds = 0.0
        self.last_failed = False
        # Packets that MP4's index lists; of PCM it counts samples.
        self.indexed = stream.frames if kind is kinds.MP4 and not self.codec.startswith("pcm_") else 0
        self.stated = self.clocked = 0.0  # seconds by the header, and by the packets' times
        self.began: int | None = None
        if kind.demuxer in TIMED and container.duration and len(container.streams) == 1:
            self.stated = container.duration / time_base - float((stream.start_time or 0) * stream.time_base)
        self.frames = self.bad_frames = 0  # of AMR
        # Bytes of an MP3: of a packet, of its frame (0 for none), what is taken of it, what usually is, and what was left out.
        self.size = self.length = self.taken = self.usual = self.skipped = 0

    def packet(self, packet: Any) -> None:
        """Counts a packet; the last one is empty."""
        self.packets += packet.size > 0
        if self.kind.demuxer in CLOCKED and packet.pts is not None:
            self.began = packet.pts if self.began is None else self.began
            self.clocked = float((packet.pts + (packet.duration or 0) - self.began) * self.stream.time_base)
        if self.codec.startswith("amr") and packet.size:
            self._amr(bytes(packet))
        if self.kind is kinds.MP3 and packet.size:
            self.size, self.length = packet.size, kinds.mpeg_length(bytes(packet)[:4])
            self.taken = self.length or min(self.size, self.usual)  # a frame may follow what is none
            self.usual = self.length or self.usual
            self.skipped += self.size - self.taken

    def _amr(self, data: bytes) -> None:
        """Counts the frames of a packet, and those that did not arrive whole by the bit for that; RFC 4867."""
        at, sizes = 0, AMR_BYTES["WB" if "wb" in self.codec else "NB"]
        while at < len(data):
            self.frames, self.bad_frames = self.frames + 1, self.bad_frames + (not data[at] & 4)
            at += 1 + sizes[data[at] >> 3 & 15]

    def decoded(self, packet: Any) -> None:
        """The packet was decoded."""
        self.last_failed = self.last_failed and not packet.size

    def failed(self) -> None:
        """It could not be decoded."""
        if self.kind is kinds.MP3 and not self.length:  # no frame at all
            self.packets, self.skipped = self.packets - 1, self.skipped + self.taken
        else:
            self.damaged += 1
        self.last_failed = True

    def closed(self, name: str) -> list[str]:
        """What is to be said of the stream; AudioError if too much of it is missing. name : of the sound, for messages."""
        notes = self._mp3_end() if self.kind is kinds.MP3 else []
        if self.packets < self.indexed:
            raise AudioError(f"{name}: cut short, its index lists {self.indexed} packets and {self.packets} are there; fetch it again.")
        if self.damaged > max(self.packets >= MANY_PACKETS, MAX_DAMAGED * self.packets):
            raise AudioError(f"{name}: cut short or damaged, {self.damaged} of its {self.packets} packets cannot be decoded.")
        if self.kind is kinds.MP3 and self.promised and abs(self.packets - self.promised) > 1:
            notes.append(f"its header counts {self.promised} frames, {self.packets} are there")
        if self.skipped > 0:
            notes.append(f"about {self.skipped} bytes between its frames were left out")
        if self.seconds < self.stated - TOLERANCE_S:
            notes.append(f"its header says {self.stated:.2f} s, {self.seconds:.2f} s are there")
        elif self.seconds < self.clocked - TOLERANCE_S:
            notes.append(f"its packets' times run over {self.clocked:.2f} s, {self.seconds:.2f} s are there")
        if self.bad_frames:
            notes.append(f"{self.bad_frames} of {self.frames} frames are marked as damaged")
        if self.damaged:
            notes.append(f"{self.damaged} of {self.packets} packets are damaged and were left out")
        return notes

    def _mp3_end(self) -> list[str]:
        """What stands at the end of an MP3 and is no whole frame is neither damage nor lies between frames."""
        if not (self.last_failed or self.size < self.length):
            return []
        if self.last_failed and self.length:
            self.damaged -= 1
        elif self.last_failed:
            self.skipped -= self.size
        return ["ends inside a frame, which was left out" if self.size < self.length else "what follows its last frame was left out"]
