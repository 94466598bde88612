"""Players: sounds on a page, each with a caption that says what it is and whether it is synthetic."""

import base64
import html
import io
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from .. import audio
from .page import STATUS_WORDS, html_output

MP3_RATES = (8_000, 11_025, 12_000, 16_000, 22_050, 24_000, 32_000, 44_100, 48_000)  # Hz


def player(sound: audio.Sound, label: str, status: str, preload: str = "metadata") -> Any:
    """A player with a caption that says what the sound is and whether it is synthetic. preload : "none" fetches the sound when it is played."""
    data = base64.b64encode(mp3_bytes(sound)).decode()
    text = html.escape(f"{label} ({STATUS_WORDS[status]})")
    return html_output(
        f'<figure class="sqa-player"><figcaption>{text}</figcaption>'
        f'<audio controls preload="{preload}" aria-label="{text}" src="data:audio/mpeg;base64,{data}"></audio></figure>'
    )


def mp3_bytes(sound: audio.Sound) -> bytes:
    """A sound as MP3, which every browser plays, at a rate that MP3 has: a tenth of the size of WAV."""
    import soundfile

    rate = next((r for r in MP3_RATES if r >= sound.sample_rate), MP3_RATES[-1])
    samples = audio.resample(sound.waveform, sound.sample_rate, rate)
    out = io.BytesIO()
    soundfile.write(out, np.clip(samples.T, -1, 1), rate, format="MP3")
    return out.getvalue()


def players(sounds: Sequence[tuple[audio.Sound, str]], status: str) -> Any:
    """Several players, one below the other."""
    return html_output("".join(player(sound, label, status).data for sound, label in sounds))


def grid(groups: Mapping[str, Sequence[tuple[audio.Sound, str]]], status: str) -> Any:
    """Players by group, each group to be opened, the first one open. Each is (sound, label)."""
    return html_output(_opened(groups, lambda one, preload: player(one[0], one[1], status, preload).data))


def guess(groups: Mapping[str, Sequence[tuple[audio.Sound, str, str]]], status: str) -> Any:
    """Sentences with their emotion hidden, by language: listen, guess, and open the answer. Each is (sound, label, emotion)."""
    return html_output(_opened(groups, lambda one, preload: _guess(one[0], one[1], one[2], status, preload)))


def _opened(groups: Mapping[str, Sequence[tuple]], shown: Callable[[tuple, str], str]) -> str:
    """HTML by group, each to be opened, the first one open; the sounds of the others are fetched when they are played."""
    parts = {
        name: f'<div class="sqa-guesses">{"".join(shown(one, "none" if i else "metadata") for one in of)}</div>'
        for i, (name, of) in enumerate(groups.items())
    }
    return opened(parts)


def opened(parts: Mapping[str, str], open_: int = 1) -> str:
    """HTML parts by their titles, each to be opened; the first `open_` are open."""
    return "".join(
        f'<details class="sqa-language"{" open" if i < open_ else ""}><summary>{html.escape(title)}</summary>{part}</details>'
        for i, (title, part) in enumerate(parts.items())
    )


def _guess(sound: audio.Sound, label: str, emotion: str, status: str, preload: str) -> str:
    return (
        f'<div class="sqa-guess">{player(sound, label, status, preload).data}'
        f"<details><summary>Which emotion?</summary><p>{html.escape(emotion)}</p></details></div>"
    )
