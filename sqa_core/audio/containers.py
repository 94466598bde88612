"""What a container promises, and whether the file keeps it: sizes in headers, marks at the end.

Samples are believed rather than headers. A file that ends before its promise was cut, and is refused. A header that is wrong about
samples which are there (a recorder that was killed, sizes beyond 32 bits, a stream) is repaired, and a note says how.
"""

import struct

from ..errors import AudioError
from . import flac, headers, kinds, packets
from .layout import UNREADABLE, Cut, File, Layout, Unusable, read_at


def inspect(file: File, size: int, kind: kinds.Kind, name: str) -> Layout:
    """What an open file of this kind promises, checked against its size in bytes.

    Parameters
    ----------
    file, size : The open file, and its size in bytes.
    kind : As `kinds.kind_of` gives it.
    name : Of the sound, for messages.

    Returns
    -------
    Where the sound lies, and what the header promises.

    Raises
    ------
    AudioError
        The file was cut, or its header promises what cannot be.
    """
    look = {
        kinds.WAV: headers.wav,
        kinds.W64: headers.w64,
        kinds.AIFF: headers.aiff,
        kinds.AU: headers.au,
        kinds.CAF: headers.caf,
        kinds.NIST: headers.nist,
        kinds.AVI: headers.avi,
        kinds.SVX: headers.svx,
        kinds.VOC: headers.voc,
        kinds.FLAC: flac.inspect,
        kinds.TTA: headers.tta,
        kinds.OGG: packets.ogg,
        kinds.MP3: packets.mp3,
        kinds.AAC: packets.aac,
        kinds.LATM: packets.latm,
        kinds.AC3: packets.ac3,
        kinds.FLV: packets.flv,
        kinds.MPEG_PS: packets.programme_stream,
        kinds.MPEG_TS: packets.transport_stream,
        kinds.MP4: packets.mp4,
        kinds.MATROSKA: packets.matroska,
        kinds.ASF: packets.asf,
        kinds.WAVPACK: packets.wavpack,
    }.get(kind)
    try:
        layout = look(file, size) if look else Layout()
        if layout.end is not None and layout.end < size and kinds.is_start(read_at(file, layout.end, kinds.HEAD)):
            raise Unusable("holds several sounds one after another (a second file begins inside it); split it first")
        return layout
    except Cut as e:
        raise AudioError(f"{name}: cut short, {e}; fetch it again.") from e
    except Unusable as e:
        raise AudioError(f"{name}: {e}.") from e
    except struct.error as e:
        raise AudioError(f"{name}: cut short inside its header; fetch it again.") from e
    except (ValueError, OverflowError) as e:
        raise AudioError(f"{name}: its {kind.name} header cannot be read ({' '.join(str(e.args[-1]).split())}).") from e
    except UNREADABLE as e:
        raise AudioError(f"{name}: cannot be read ({e}).") from e
