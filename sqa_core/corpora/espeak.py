"""eSpeak NG in a process of its own: JSON lines in, 16-bit samples out. Run as `python -m sqa_core.corpora.espeak`.

eSpeak is not deterministic within one process (noise and voice state go on from utterance to utterance), so each utterance is
spoken in a fresh fork, which is. Where there is no fork (Windows), the caller starts one process an utterance.
"""

import ctypes
import json
import os
import struct
import sys

SYNCHRONOUS, DONT_EXIT, UTF8 = 2, 0x8000, 1
RATE, VOLUME, PITCH, RANGE = 1, 2, 3, 4  # eSpeak's parameter numbers: words a minute, per cent, 0-99, 0-99
REFUSED = 2**32 - 1


def start() -> tuple[ctypes.CDLL, int]:
    """The library and its sample rate in Hz."""
    import espeakng_loader

    library = ctypes.CDLL(espeakng_loader.get_library_path())
    rate = library.espeak_Initialize(SYNCHRONOUS, 0, str(espeakng_loader.get_data_path()).encode(), DONT_EXIT)
    if rate <= 0:
        raise RuntimeError(f"eSpeak NG did not start (error {rate}).")
    return library, rate


def speak(library: ctypes.CDLL, job: dict) -> bytes | None:
    """16-bit samples of one utterance, or None where eSpeak refuses the voice: it would go on with the previous one."""
    if library.espeak_SetVoiceByName(job["voice"].encode()) != 0:
        return None
    for parameter, value in [(RATE, job["rate"]), (PITCH, job["pitch"]), (RANGE, job["range"]), (VOLUME, job.get("volume", 100))]:
        library.espeak_SetParameter(parameter, int(value), 0)
    pieces: list[bytes] = []
    kind = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.POINTER(ctypes.c_short), ctypes.c_int, ctypes.c_void_p)

    def receive(samples, count, _events):
        if count > 0:
            pieces.append(ctypes.string_at(samples, 2 * count))
        return 0

    keep = kind(receive)
    library.espeak_SetSynthCallback(keep)
    text = job["text"].encode() + b"\0"
    library.espeak_Synth(text, len(text), 0, 0, 0, UTF8, None, None)
    library.espeak_Synchronize()
    return b"".join(pieces)


def _in_a_fork(library: ctypes.CDLL, job: dict) -> bytes | None:
    read_end, write_end = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            os.close(read_end)
            with os.fdopen(write_end, "wb") as pipe:
                _send(pipe, speak(library, job))
        finally:
            os._exit(0)
    os.close(write_end)
    with os.fdopen(read_end, "rb") as pipe:
        answer = receive_one(pipe)
    os.waitpid(child, 0)
    return answer


def _send(pipe, samples: bytes | None) -> None:
    pipe.write(struct.pack("<I", REFUSED if samples is None else len(samples)))
    pipe.write(samples or b"")


def receive_one(pipe) -> bytes | None:
    """The samples of one utterance as `main` writes them; None where the voice was refused."""
    head = pipe.read(4)
    if len(head) < 4:
        raise RuntimeError("eSpeak NG stopped in the middle of an utterance.")
    (size,) = struct.unpack("<I", head)
    if size == REFUSED:
        return None
    samples = pipe.read(size)
    if len(samples) < size:
        raise RuntimeError("eSpeak NG stopped in the middle of an utterance.")
    return samples


def main() -> None:
    library, rate = start()
    out = sys.stdout.buffer
    out.write(struct.pack("<I", rate))
    speak_one = _in_a_fork if hasattr(os, "fork") else speak
    for line in sys.stdin:
        _send(out, speak_one(library, json.loads(line)))
        out.flush()


if __name__ == "__main__":
    main()
