"""Interactive figures that need no kernel: plain HTML and script, for keyboard and screen reader. Sliders need one, and say so."""

import base64
import html
import io
import json
from collections.abc import Callable, Mapping, Sequence
from functools import wraps
from typing import Any

import numpy as np
import pandas as pd

from .. import audio, scoring
from ..errors import SettingsError
from ..explain import occlusion
from ..explain.occlusion import Box
from ..models import weights
from .maps import HOP_S, magma_pixels, png_of_pixels, signed_pixels
from .page import STATUS_WORDS, absent, html_output
from .players import mp3_bytes, opened, player


def _embedded(data: Any) -> str:
    """Data as JSON for a script element, which no text in it can close."""
    return json.dumps(data, separators=(",", ":")).replace("</", "<\\/")


def _with_sliders(make: Callable[..., Any]) -> Callable[..., Any]:
    """`make`, or a sentence where ipywidgets is not installed."""

    @wraps(make)
    def made(*args: Any, **options: Any) -> Any:
        try:
            import ipywidgets  # noqa: F401
        except ImportError:
            return absent("Sliders need ipywidgets: pip install ipywidgets")
        return make(*args, **options)

    return made


def gallery(shown: dict[str, Any], name: str, label: str, alt: str) -> Any:
    """Several figures of which one is shown, chosen from a list."""
    images = {text: f"data:image/png;base64,{base64.b64encode(png_of_figure(figure)).decode()}" for text, figure in shown.items()}
    if not images:
        return html_output('<p class="sqa-absent">Not available here.</p>')
    first = next(iter(images))
    options = "".join(f'<option value="{html.escape(k)}">{html.escape(k)}</option>' for k in images)
    data = _embedded({"images": images, "alt": alt})
    return html_output(
        f'<div class="sqa-gallery" id="{html.escape(name)}"><div class="sqa-controls"><label>{html.escape(label)} '
        f'<select>{options}</select></label> <button type="button">previous</button> <button type="button">next</button></div>'
        f'<img loading="lazy" alt="{html.escape(alt)}: {html.escape(first)}" src="{images[first]}">'
        f'<script type="application/json">{data}</script></div>'
    )


def png_of_figure(figure: Any) -> bytes:
    buffer = io.BytesIO()
    figure.savefig(buffer, dpi=100)
    return buffer.getvalue()


def map_chooser(
    mel: np.ndarray,
    maps: dict[str, np.ndarray],
    texts: dict[str, str],
    sound: audio.Sound | None,
    name: str,
    status: str,
    meaning: str = "orange raises it, violet lowers it",
) -> Any:
    """A list of maps of which one is shown below the spectrogram, and a player whose cursor runs over both.

    Parameters
    ----------
    mel : (mels, frames) in dB, with a hop of 10 ms.
    maps : by the name in the list, each (mels, frames); at least one. Each map has its own colour scale.
    texts : a sentence for each map, by the same names.
    sound : what is played; None leaves the player out.
    name : id of the element on the page.
    status : of the sound: "paper", "real" or "synthetic".
    meaning : of the colours, for screen readers.

    Returns
    -------
    HTML output for a notebook cell.

    Raises
    ------
    KeyError
        A map has no text, or a sound has an unknown status.
    """
    images = {label: [png_of_pixels(signed_pixels(values)), texts[label]] for label, values in maps.items()}
    first = next(iter(images))
    body = {
        "id": html.escape(name),
        "meaning": html.escape(meaning),
        "sound": png_of_pixels(magma_pixels(mel)),
        "image": images[first][0],
        "options": "".join(f'<option value="{html.escape(k)}">{html.escape(k)}</option>' for k in images),
        "data": _embedded({"images": images, "seconds": mel.shape[1] * HOP_S, "meaning": meaning}),
        "audio": player(sound, "The sound that is explained", status).data if sound is not None else "",
    }
    return html_output(_CHOOSER.format(**body))


_CHOOSER = """<div class="sqa-chooser" id="{id}">
<div class="sqa-view"><img alt="Mel spectrogram of the sound" src="data:image/png;base64,{sound}"><div class="sqa-cursor"></div></div>
<div class="sqa-view"><img class="sqa-map" alt="The chosen map: {meaning}"
 src="data:image/png;base64,{image}"><div class="sqa-cursor"></div></div>
<div class="sqa-controls"><label>map <select>{options}</select></label></div>
<p class="sqa-readout" aria-live="polite"></p>{audio}
<script type="application/json">{data}</script></div>"""


def mask_stepper(
    mel: np.ndarray,
    boxes: dict[str, list[Box]],
    scores: np.ndarray,
    score: float,
    sound: audio.Sound | None,
    name: str,
    status: str,
) -> Any:
    """Choose a mask, move it over the spectrogram, and read the score under it.

    Parameters
    ----------
    mel : as in `map_chooser`.
    boxes : positions of each mask by its name, as `occlusion.paper_boxes` gives them.
    scores : (masks,) the score under each box, in the order of `occlusion.flat`.
    score : of the whole sound.
    sound, name, status : as in `map_chooser`; the sound is played with a cursor.

    Returns
    -------
    HTML output for a notebook cell.

    Raises
    ------
    KeyError
        A sound has an unknown status.
    """
    height, width = mel.shape
    values = iter(scores)
    groups = {label: [[*map(int, box), round(float(next(values)), 3)] for box in group] for label, group in boxes.items()}
    data = {"groups": groups, "score": round(float(score), 3), "bands": height, "frames": width, "hop": HOP_S}
    audio_html = player(sound, "The sound that is explained", status).data if sound is not None else ""
    body = {
        "id": html.escape(name),
        "image": png_of_pixels(magma_pixels(mel)),
        "options": "".join(f'<option value="{html.escape(k)}">{html.escape(k)}</option>' for k in groups),
        "data": _embedded(data),
        "audio": audio_html,
    }
    return html_output(_STEPPER.format(**body))


_STEPPER = """<div class="sqa-stepper" id="{id}">
<div class="sqa-view"><img alt="Mel spectrogram of the sound; the mask is drawn over it" src="data:image/png;base64,{image}">
<div class="sqa-mask"></div><div class="sqa-cursor"></div></div>
<div class="sqa-controls"><label>mask <select>{options}</select></label>
<label>position <input type="range" min="0" value="0" step="1"></label></div>
<p class="sqa-readout" aria-live="polite"></p>{audio}
<script type="application/json">{data}</script></div>"""


def bars(
    groups: dict[str, dict[str, float]],
    lines: dict[str, dict[str, float]],
    name: str,
    label: str,
    unit: str,
    line: str = "in the paper",
    crossed: dict[str, pd.DataFrame] | None = None,
) -> Any:
    """Bars of one group of several, chosen from a list or with "previous" and "next".

    groups : by the name in the list, values from 0 to 100 by the name of their bar. lines : a value to compare with, by group and bar; `line`
    says what it is. unit : of the values, for the caption. crossed : a small table by group, shown below its bars, with its two axes named.
    """
    first = next(iter(groups))
    options = "".join(f'<option value="{html.escape(k)}">{html.escape(k)}</option>' for k in groups)
    known = {k: {n: round(v, 2) for n, v in group.items() if np.isfinite(v)} for k, group in lines.items()}
    values = {k: {n: round(v, 1) for n, v in group.items()} for k, group in groups.items()}
    tables = {
        k: {
            "axes": [table.index.name, table.columns.name],
            "columns": list(table.columns),
            "rows": list(table.index),
            "values": table.to_numpy().tolist(),
        }
        for k, table in (crossed or {}).items()
    }
    data = _embedded({"groups": values, "lines": known, "unit": unit, "line": line, "tables": tables})
    plain = "; ".join(f"{n} {v:.1f}" for n, v in groups[first].items())
    return html_output(
        f'<div class="sqa-bars" id="{html.escape(name)}"><div class="sqa-controls"><button type="button">previous</button>'
        f'<label>{html.escape(label)} <select>{options}</select></label><button type="button">next</button></div>'
        f'<div class="sqa-rows" role="group" aria-live="polite">{html.escape(plain)}</div>{_CROSS * bool(crossed)}'
        f'<script type="application/json">{data}</script></div>'
    )


# Not in the live region, which would read out every cell at each step.
_CROSS = '<div class="sqa-cross" role="region" tabindex="0" aria-label="The same in numbers, by true and answered class"></div>'


def folded(shown: dict[str, Any]) -> Any:
    """Several HTML outputs, each to be opened by its title."""
    return html_output(opened({title: output.data for title, output in shown.items()}, 0))


def cards(facts: dict[str, dict[str, str]]) -> Any:
    """One card each, to be opened: title, and names with their texts."""
    parts = []
    for title, lines in facts.items():
        rows = "".join(f"<dt>{html.escape(name)}</dt><dd>{html.escape(text)}</dd>" for name, text in lines.items())
        parts.append(f"<details><summary>{html.escape(title)}</summary><dl>{rows}</dl></details>")
    return html_output(f'<div class="sqa-cards">{"".join(parts)}</div>')


def abx(
    pairs: Sequence[tuple[audio.Sound, audio.Sound, float]], curves: Mapping[str, Mapping[float, float]], name: str, status: str
) -> Any:
    """A listening test on the static page: is X the sound A or the sound B? In the end the reader's share of right answers by gap is drawn
    and said. Order and X are random; answers stay in the browser.

    pairs : two sounds and the gap between them in dB, `TRIALS` or more. curves : up to two to compare with, by what they are: share of right
    answers by gap.
    """
    if len(pairs) < TRIALS:
        raise SettingsError(f"A listening test needs at least {TRIALS} pairs, not {len(pairs)}.")
    if len(curves) > 2:
        raise SettingsError(f"A listening test is compared with at most two curves, not {len(curves)}.")
    sounds = [[base64.b64encode(mp3_bytes(sound)).decode() for sound in (a, b)] for a, b, _ in pairs]
    compared = [[what, [[gap, round(share, 3)] for gap, share in curve.items()]] for what, curve in curves.items()]
    data = {"sounds": sounds, "gaps": [gap for *_, gap in pairs], "curves": compared}
    body = {"id": html.escape(name), "status": STATUS_WORDS[status], "count": len(pairs)}
    return html_output(_ABX.format(**body, data=_embedded(data)))


TRIALS = 20
_ABX = """<div class="sqa-abx" id="{id}"><p>Listening test of {count} pairs ({status}). Play A, B and X, then say which of the two X is.
Order and X are random, both sounds of a pair have the same RMS level, and your answers stay in your browser.</p>
<p class="sqa-progress" role="status"></p>
<div class="sqa-controls"><button type="button" data-play="a">play A</button><button type="button" data-play="b">play B</button>
<button type="button" data-play="x">play X</button></div>
<div class="sqa-controls"><button type="button" data-answer="0">X is A</button><button type="button" data-answer="1">X is B</button>
<button type="button" class="sqa-again">start again</button></div>
<div class="sqa-result" role="group" aria-live="polite"></div><audio></audio>
<script type="application/json">{data}</script></div>"""


@_with_sliders
def live_strength(
    impaired: Callable[[str, float], tuple[audio.Sound, str]],
    strengths: Mapping[str, tuple[float, float, float]],
    scores: Mapping[str, Callable[[audio.Sound], float]],
) -> Any:
    """A list of impairments and a slider for the strength, in a running kernel: listen, and read what was reached and the scores.

    impaired : the sound by impairment and strength, and in words what was reached. strengths : least, usual and greatest strength by
    impairment. scores : by the network's name. Without ipywidgets, a sentence.
    """
    import ipywidgets as widgets

    kind = widgets.Dropdown(options=list(strengths), description="impairment")
    strength = widgets.FloatSlider(description="strength", continuous_update=False)
    player_, readout = widgets.Audio(format="mp3", autoplay=False), widgets.Label()

    def hear(_change: object = None) -> None:
        sound, reached = impaired(kind.value, strength.value)
        player_.value = mp3_bytes(sound)
        readout.value = "; ".join([reached, *(f"{name} {score(sound):.2f}" for name, score in scores.items())])

    def choose(_change: object = None) -> None:
        least, usual, greatest = strengths[kind.value]
        strength.unobserve(hear, "value")
        strength.min, strength.max = min(least, strength.min), max(greatest, strength.max)  # never empty in between
        strength.value = usual
        strength.min, strength.max, strength.step = least, greatest, (greatest - least) / 50
        strength.observe(hear, "value")
        hear()

    kind.observe(choose, "value")
    choose()
    return widgets.VBox([kind, strength, player_, readout])


WHOLE_NAME = {"description_width": "initial"}  # of a slider; else a long one is cut off


@_with_sliders
def live_changes(
    changed: Callable[[Mapping[str, float]], audio.Sound],
    limits: Mapping[str, tuple[float, float, float]],
    answers: Callable[[audio.Sound], Mapping[str, float]],
    ends: tuple[float, float] = (0.0, 1.0),
) -> Any:
    """A slider for each property of a sound, in a running kernel: change several of them, listen, and see a network's answer follow.

    changed : the sound by the values of the sliders. limits : least, usual and greatest value by the slider's name. answers : values by the
    name of their bar. ends : least and greatest value of a bar. Without ipywidgets, a sentence.
    """
    import ipywidgets as widgets

    sliders = {
        name: widgets.FloatSlider(
            usual, min=least, max=greatest, step=(greatest - least) / 50, description=name, continuous_update=False, style=WHOLE_NAME
        )
        for name, (least, usual, greatest) in limits.items()
    }
    player_, shown = widgets.Audio(format="mp3", autoplay=False), widgets.VBox([])

    def hear(_change: object = None) -> None:
        sound = changed({name: slider.value for name, slider in sliders.items()})
        player_.value = mp3_bytes(sound)
        found = answers(sound)
        if not shown.children:
            shown.children = [widgets.HBox([widgets.FloatProgress(min=ends[0], max=ends[1]), widgets.Label()]) for _ in found]
        for row, (name, value) in zip(shown.children, found.items(), strict=True):
            bar, text = row.children
            bar.value, text.value = value, f"{name} {value:.2f}"

    for slider in sliders.values():
        slider.observe(hear, "value")
    hear()
    return widgets.VBox([*sliders.values(), player_, shown])


@_with_sliders
def live_pair(
    pair: Callable[[float, float], tuple[audio.Sound, audio.Sound]],
    said: Callable[[float, float, audio.Sound, audio.Sound], str],
    limits: tuple[float, float],
    usual: tuple[float, float],
) -> Any:
    """Sliders for the SNRs of two mixtures, in a running kernel: hear both, and read what is said of them.

    pair : the two sounds by their SNRs in dB. said : a sentence, from SNRs and sounds. limits : of the sliders. usual : where they begin.
    Without ipywidgets, a sentence.
    """
    import ipywidgets as widgets

    snrs = [
        widgets.FloatSlider(value, min=limits[0], max=limits[1], step=0.5, description=f"SNR of {name}, dB", continuous_update=False)
        for name, value in zip("AB", usual, strict=True)
    ]
    players, readout = [widgets.Audio(format="mp3", autoplay=False) for _ in snrs], widgets.Label()

    def hear(_change: object = None) -> None:
        one_db, other_db = (slider.value for slider in snrs)
        one, other = pair(one_db, other_db)
        for player_, sound in zip(players, (one, other), strict=True):
            player_.value = mp3_bytes(sound)
        readout.value = said(one_db, other_db, one, other)

    for slider in snrs:
        slider.observe(hear, "value")
    hear()
    return widgets.VBox([*snrs, *players, readout])


@_with_sliders
def live_occlusion(sound: audio.Sound, model: str) -> Any:
    """Sliders for a mask, in a running kernel: hide a part of the sound and read the score. Without ipywidgets, a sentence."""
    import ipywidgets as widgets

    network = weights.load(model)
    mel = scoring.mel_of(network, sound)
    frames, bands = mel.shape

    def hide(_change: object = None) -> None:
        first_band, height, first_frame, width = (control.value for control in controls)
        box = Box(first_band, min(height, bands - first_band), first_frame, min(width, frames - first_frame))
        found = occlusion.occlude(network, mel, [box])
        readout.value = f"predicted MOS {found.scores[0, 0]:.2f} with this hidden, {found.score[0]:.2f} without"

    def slider(name: str, value: int, low: int, high: int):
        return widgets.IntSlider(value, low, high, description=name, continuous_update=False)

    controls = [slider("first band", 0, 0, bands - 1), slider("bands", 24, 1, bands)]
    controls += [slider("first frame", 0, 0, frames - 1), slider("frames", 24, 1, frames)]
    # A label and no Output widget, whose messages pass through the notebook's client and can block for ever on a busy machine.
    readout = widgets.Label()
    for control in controls:
        control.observe(hide, "value")
    hide()
    return widgets.VBox([*controls, readout])
