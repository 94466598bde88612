"""Players: sounds on a page, each with a caption that says what it is and whether it is synthetic."""

import base64
import html
from collections.abc import Sequence
from typing import Any

from .. import audio
from .page import STATUS_WORDS, html_output


def player(sound: audio.Sound, label: str, status: str) -> Any:
    """A player with a caption that says what the sound is and whether it is synthetic."""
    data = base64.b64encode(audio.wav_bytes(*sound)).decode()
    text = html.escape(f"{label} ({STATUS_WORDS[status]})")
    return html_output(
        f'<figure class="sqa-player"><figcaption>{text}</figcaption>'
        f'<audio controls preload="metadata" aria-label="{text}" src="data:audio/wav;base64,{data}"></audio></figure>'
    )


def players(sounds: Sequence[tuple[audio.Sound, str]], status: str) -> Any:
    """Several players, one below the other."""
    return html_output("".join(player(sound, label, status).data for sound, label in sounds))


def guess(groups: dict[str, Sequence[tuple[audio.Sound, str, str]]], status: str) -> Any:
    """Sentences with their emotion hidden, by language: listen, guess, and open the answer. Each is (sound, label, emotion)."""
    return html_output("".join(_guesses(name, sounds, status, not i) for i, (name, sounds) in enumerate(groups.items())))


def _guesses(name: str, sounds: Sequence[tuple[audio.Sound, str, str]], status: str, is_open: bool) -> str:
    parts = [
        f'<div class="sqa-guess">{player(sound, label, status).data}'
        f"<details><summary>Which emotion?</summary><p>{html.escape(emotion)}</p></details></div>"
        for sound, label, emotion in sounds
    ]
    return (
        f'<details class="sqa-language"{" open" if is_open else ""}><summary>{html.escape(name)}</summary>'
        f'<div class="sqa-guesses">{"".join(parts)}</div></details>'
    )
