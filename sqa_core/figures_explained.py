"""Figures of explanations: maps beside the sound they explain, things to step through, and what `sqa explain` writes."""

import base64
import html
import io
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pandas as pd
import torch

from . import attribution, audio, environment, occlusion, scoring
from .errors import SettingsError
from .figures import COLOURS, absent, closed, html_output, player, style
from .models import weights
from .models.weights import Network
from .occlusion import Box
from .records import Record

HOP_S = 0.01
COLOURS_TOLD = 60  # steps from white to the strongest colour
SIGNED = "PuOr_r"  # orange raises, violet lowers, white does nothing


def _signed(axis, values: np.ndarray, limit: float | None = None, extent=None):
    """A map of signed values, white at nothing; each to its own scale unless one is given."""
    values = values.astype(np.float32)
    limit = limit or _reach(values)
    return axis.imshow(values, origin="lower", aspect="auto", cmap=SIGNED, vmin=-limit, vmax=limit, extent=extent, interpolation="nearest")


def _reach(values: np.ndarray) -> float:
    """Where the colours end: what half a percent of the points pass, so that a few do not make the rest pale."""
    sizes = np.abs(values[np.isfinite(values)]).astype(np.float64)
    return float(np.quantile(sizes, 0.995)) or float(sizes.max()) or 1.0


def _spectrogram(axis, mel: np.ndarray, extent=None):
    return axis.imshow(mel.astype(np.float32), origin="lower", aspect="auto", cmap="magma", extent=extent, interpolation="nearest")


def maps_over_time(mel: np.ndarray, maps: dict[str, np.ndarray], label: str, title: str = "the sound"):
    """The spectrogram above one map a row, on one time axis; each map to its own scale."""
    import matplotlib.pyplot as plt

    figure, axes = plt.subplots(len(maps) + 1, 1, figsize=(8.5, 1.5 + 1.3 * len(maps)), sharex=True)
    extent = (0, mel.shape[1] * HOP_S, 0, mel.shape[0])
    figure.colorbar(_spectrogram(axes[0], mel, extent), ax=axes[0], label="dB", pad=0.01)
    axes[0].set_title(title, fontsize=9, loc="left")
    for axis, (name, values) in zip(axes[1:], maps.items(), strict=True):
        figure.colorbar(_signed(axis, values, extent=extent), ax=axis, pad=0.01, extend="both").set_label(label, fontsize=7)
        axis.set_title(name, fontsize=9, loc="left")
    for axis in axes:
        axis.set_yticks([0, 24, 48])
    figure.supylabel("mel band", fontsize=9)
    axes[-1].set_xlabel("time, s")
    return closed(figure)


def maps_frame(mel: np.ndarray, maps: dict[str, np.ndarray]) -> pd.DataFrame:
    """The data of maps (mels, frames) beside their spectrogram: a row a point, rounded to less than the colours can tell."""
    band, frame = np.indices(mel.shape)
    points: dict[str, Any] = {"band": band, "time_s": (frame * HOP_S).round(2), "mel_db": mel.astype(np.float64).round(1)}
    points |= {name: _rounded(values.astype(np.float64)) for name, values in maps.items()}
    return pd.DataFrame({name: np.ravel(values) for name, values in points.items()})


def _rounded(values: np.ndarray) -> np.ndarray:
    step = _reach(values) / COLOURS_TOLD
    return np.round(values / step) * step + 0.0  # no minus zero


def features_frame(arrays: dict[str, np.ndarray]) -> pd.DataFrame:
    """The data of `chooser_of`: the averaged map of every feature."""
    return maps_frame(arrays["mel"], {f"feature {i}": m for i, m in enumerate(arrays["deeplift_complete"])})


def segments_by_feature(record: Record, features: Sequence[int] = range(5), columns: int = 10):
    """The paper's Figure 1: segments in the top row, below each its map for each feature."""
    import matplotlib.pyplot as plt

    segments, maps, chosen = _chosen_segments(record, columns)
    figure, axes = plt.subplots(len(features) + 1, columns, figsize=(8.5, 1.25 * (len(features) + 1)), sharex=True, sharey=True)
    for column, index in enumerate(chosen):
        _spectrogram(axes[0, column], segments[index])
        for row, feature in enumerate(features, start=1):
            _signed(axes[row, column], maps[index, feature], _reach(maps[:, feature]))
    for row, name in enumerate(["segment", *(f"feature {f}" for f in features)]):
        axes[row, 0].set_ylabel(name, fontsize=8)
    for axis in axes.flat:
        axis.set(xticks=[], yticks=[])
    figure.suptitle(_said(max(record.metrics["errors"]["deeplift_complete"])), fontsize=8)
    return closed(figure)


def _chosen_segments(record: Record, columns: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    arrays = record.arrays()
    segments, maps = (arrays[k].astype(np.float32) for k in ("segments", "segment_maps"))
    return segments, maps, np.linspace(0, len(segments) - 1, columns).round().astype(int)


def segments_frame(record: Record, features: Sequence[int] = range(5), columns: int = 10) -> pd.DataFrame:
    """The data of `segments_by_feature`: a row a point of a segment."""
    segments, maps, chosen = _chosen_segments(record, columns)
    parts = [maps_frame(segments[i], {f"feature {f}": maps[i, f] for f in features}).assign(segment=i) for i in chosen]
    return pd.concat(parts, ignore_index=True)


def _said(error: float, steps: int | None = None) -> str:
    """What stands beside a map of its completeness."""
    care = ": take it with care" if error > 0.01 else ""
    size = f"{100 * error:.1f} %" if error > 0.001 else f"{error:.0e}"
    return f"completeness error {size}" + (f" after {steps} steps{care}" if steps else care)


def vertical_maps(record: Record, count: int = 7, width: int = 90) -> tuple[np.ndarray, dict[str, np.ndarray], list[float]]:
    """Cutouts from the middle of the spectrogram and of the averaged maps of some features, from the highest centre of mass over mel
    bands to the lowest; with those centres."""
    arrays = record.arrays()
    mel, maps = (arrays[k].astype(np.float32) for k in ("mel", "deeplift_complete"))
    sizes = np.nan_to_num(np.abs(maps))
    total = sizes.sum(axis=(1, 2))
    centre = (sizes.sum(axis=2) * np.arange(maps.shape[1])).sum(axis=1) / np.maximum(total, 1e-12)
    order = [i for i in np.argsort(-centre) if total[i] > 0]
    chosen = [order[i] for i in np.linspace(0, len(order) - 1, min(count, len(order))).round().astype(int)]
    cut = slice(start := max(0, mel.shape[1] // 2 - width // 2), start + width)
    return mel[:, cut], {f"feature {i}": maps[i][:, cut] for i in chosen}, [float(centre[i]) for i in chosen]


def vertical_focus(record: Record, count: int = 7, width: int = 90):
    """The paper's Figure 4: cutouts of averaged maps, features in the order of their centre of mass over mel bands."""
    import matplotlib.pyplot as plt

    mel, maps, centres = vertical_maps(record, count, width)
    figure, axes = plt.subplots(1, len(maps) + 1, figsize=(8.5, 2.4), sharey=True)
    _spectrogram(axes[0], mel)
    axes[0].set_title("the sound", fontsize=8)
    for axis, (name, values), centre in zip(axes[1:], maps.items(), centres, strict=True):
        _signed(axis, values)
        axis.axhline(centre, color="black", linewidth=1, linestyle=":")
        axis.set_title(name, fontsize=8)
    for axis in axes:
        axis.set(xticks=[], yticks=[0, 24, 47])
    axes[0].set_ylabel("mel band")
    figure.suptitle(_said(max(record.metrics["errors"]["deeplift_complete"])), fontsize=8)
    return closed(figure)


def conductance_maps(segment: np.ndarray, maps: dict[str, np.ndarray], title: str, channels: int = 16):
    """A segment, and the conductance of single channels, a row a feature, to one scale a row."""
    import matplotlib.pyplot as plt

    def chosen(values: np.ndarray) -> np.ndarray:
        """Channels with the most to show, the same in all rows of one layer."""
        alike = [m for m in maps.values() if len(m) == len(values)]
        size = sum(np.abs(m).max(axis=(1, 2)) / max(float(np.abs(m).max()), 1e-12) for m in alike)
        return np.sort(np.argsort(-np.asarray(size))[:channels])

    count = max(len(chosen(m)) for m in maps.values())
    across = 8
    lines = -(-count // across)
    figure, axes = plt.subplots(lines * len(maps), across + 1, figsize=(8.5, 1.6 * lines * len(maps)), squeeze=False)
    for axis in axes.flat:
        axis.axis("off")
    for row, (name, values) in enumerate(maps.items()):
        first = axes[row * lines, 0]
        _spectrogram(first, segment)
        first.set_title(name, fontsize=8)
        limit = _reach(values)
        for i, channel in enumerate(chosen(values)):
            axis = axes[row * lines + i // across, 1 + i % across]
            _signed(axis, values[channel], limit)
            axis.set_title(str(channel), fontsize=7)
    figure.suptitle(title, fontsize=8)
    return closed(figure)


def roles_maps(record: Record, roles: dict[str, int]) -> dict[str, np.ndarray]:
    """The averaged maps of the features that follow cuts, pauses, voice, noise, by their titles."""
    arrays, errors = record.arrays(), record.metrics["errors"]["deeplift_complete"]
    words = {"cut": "cuts", "pause": "pauses", "voice": "voice", "noise": "noise"}
    return {f"follows {words[role]} (feature {i}), {_said(errors[i])}": arrays["deeplift_complete"][i] for role, i in roles.items()}


def roles_figure(record: Record, roles: dict[str, int]):
    """The paper's Figures 2 and 3: the spectrogram above `roles_maps`."""
    return maps_over_time(record.arrays()["mel"], roles_maps(record, roles), "attribution")


def conductance_chosen(record: Record, layer: int, features: int) -> dict[str, np.ndarray]:
    """Conductance of one layer by channel, for one of the features shown, or for the two that oppose each other most."""
    arrays = record.arrays()
    maps, show = arrays[f"conductance_{layer}"].astype(np.float32), arrays["show"]
    alive = [i for i in range(len(maps)) if np.abs(maps[i]).max() > 0]
    chosen = alive[:1]
    if features == 2 and len(alive) > 1:
        together = np.corrcoef(maps[alive].reshape(len(alive), -1))
        chosen = [alive[int(i)] for i in np.unravel_index(np.argmin(together), together.shape)]
    return {f"feature {show[i]}": maps[i] for i in chosen}


def conductance_figure(record: Record, layer: int, features: int):
    """The paper's Figures 5 and 6: `conductance_chosen` beside its segment."""
    arrays, m = record.arrays(), record.metrics
    maps = conductance_chosen(record, layer, features)
    if not maps:
        return absent("None of the features shown has a conductance other than zero here.")
    errors = dict(zip((f"feature {i}" for i in arrays["show"]), m["errors"][f"conductance_{layer}"], strict=True))
    title = _said(max(errors[name] for name in maps), m[f"conductance_{layer}_steps"])
    return conductance_maps(arrays["conductance_segment"].astype(np.float32), maps, title)


def conductance_frame(record: Record, layer: int, features: int) -> pd.DataFrame:
    """The data of `conductance_figure`: a row a point of a channel."""
    parts = [
        pd.DataFrame({"feature": name, "channel": c, "row": row, "column": column, "conductance": maps[c, row, column].astype(np.float64)})
        for name, maps in conductance_chosen(record, layer, features).items()
        for c, row, column in [np.indices(maps.shape).reshape(3, -1)]
    ]
    return pd.concat(parts, ignore_index=True) if parts else pd.DataFrame()


def variants_maps(record: Record) -> dict[str, np.ndarray]:
    """One feature by DeepLIFT in three variants and by integrated gradients, by their titles."""
    arrays, m = record.arrays(), record.metrics
    feature = int(arrays["show"][0])
    names = {
        "deeplift_functions": "DeepLIFT, ReLUs as functions",
        "deeplift_modules": "DeepLIFT, ReLUs as modules (captum as it is)",
        "deeplift_complete": "DeepLIFT, complete",
        "ig": "integrated gradients",
    }
    maps = {}
    for key, name in names.items():
        row = feature if key == "deeplift_complete" else 0
        said = _said(m["errors"][key][row], m["ig_steps"] if key == "ig" else None)
        maps[f"{name}, {said}"] = arrays[key][row]
    return maps


def variants_figure(record: Record):
    """The spectrogram above `variants_maps`."""
    return _of_one_feature(record, variants_maps(record))


def _of_one_feature(record: Record, maps: dict[str, np.ndarray]):
    arrays = record.arrays()
    return maps_over_time(arrays["mel"], maps, "attribution", f"the sound; below, maps of feature {arrays['show'][0]}")


def baselines_maps(record: Record) -> dict[str, np.ndarray]:
    """One feature against each baseline, by their titles."""
    arrays, errors = record.arrays(), record.metrics["errors"]
    names = {"zero": "0 dB (full scale)", "floor": "−80 dB", "min": "the file's minimum", "noise": "noise"}
    return {f"baseline {text}, {_said(errors[f'baseline_{name}'][0])}": arrays[f"baseline_{name}"][0] for name, text in names.items()}


def baselines_figure(record: Record):
    """The spectrogram above `baselines_maps`."""
    return _of_one_feature(record, baselines_maps(record))


def whole_maps(record: Record, masked: Record) -> dict[str, np.ndarray]:
    """MOS through the whole network, all features of the CNN together, and occlusion by squares, by their titles."""
    arrays, m = record.arrays(), record.metrics
    return {
        f"integrated gradients of MOS, {_said(m['errors']['whole'][0], m['whole_steps'])}": arrays["whole"],
        "all features of the CNN, sizes added": np.abs(arrays["deeplift_complete"].astype(np.float32)).sum(axis=0),
        "occlusion by squares of 24": next(iter(_change_maps(masked.arrays()).values())),
    }


def whole_figure(record: Record, masked: Record):
    """The spectrogram above `whole_maps`."""
    return maps_over_time(record.arrays()["mel"], whole_maps(record, masked), "attribution, change of MOS")


def live_occlusion(sound: audio.Sound, model: str) -> Any:
    """Sliders for a mask, in a running kernel: hide a part, and read the score. Without ipywidgets, a sentence."""
    try:
        import ipywidgets as widgets
    except ImportError:
        return absent("Sliders need ipywidgets: pip install ipywidgets")
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
    # A label and no Output widget: what that one captures goes through the notebook's client, which can wait for ever on a busy machine.
    readout = widgets.Label()
    for control in controls:
        control.observe(hide, "value")
    hide()
    return widgets.VBox([*controls, readout])


def feature_activity(rates: dict[str, pd.Series]):
    """Share of segments in which each feature is active, one group of bars a network."""
    import matplotlib.pyplot as plt

    figure, axes = plt.subplots(len(rates), 1, figsize=(8.5, 1.1 + 1.3 * len(rates)), sharex=True, sharey=True, squeeze=False)
    for axis, (name, rate) in zip(axes[:, 0], rates.items(), strict=True):
        axis.bar(rate.index, rate.to_numpy())
        for share in (0.1, 0.9):
            axis.axhline(share, color="0.4", linewidth=1, linestyle=":")
        axis.set_title(name, fontsize=9, loc="left")
        axis.set(ylim=(0, 1.05))
    figure.supylabel("share of segments", fontsize=9)
    axes[-1, 0].set(xlabel="feature", xticks=range(max(len(r) for r in rates.values())))
    return closed(figure)


def dead_units(frame: pd.DataFrame):
    """Dead outputs against optimiser steps, a line a run, a colour a share of the material."""
    import matplotlib.pyplot as plt

    figure, axis = plt.subplots(figsize=(8.5, 3.2))
    for i, (name, part) in enumerate(frame.groupby("material", sort=False)):
        for j, (_, run) in enumerate(part.groupby("seed")):
            axis.plot(run["steps"], run["dead"], "osD^"[i] + "-", color=COLOURS[i], markersize=4, label=name if j == 0 else None)
    axis.set_xscale("symlog", linthresh=50)
    axis.set(xlabel="optimiser steps", ylabel="dead outputs of 20", ylim=(0, 20), yticks=range(0, 21, 5))
    axis.legend(fontsize=8, title="material", title_fontsize=8)
    return closed(figure)


def correlation_matrices(matrices: dict[str, np.ndarray]):
    """Correlation of the features with each other, a panel a network."""
    import matplotlib.pyplot as plt

    figure, axes = plt.subplots(1, len(matrices), figsize=(8.5, 8.5 / len(matrices) + 0.2), squeeze=False)
    for axis, (name, matrix) in zip(axes[0], matrices.items(), strict=True):
        drawn = axis.imshow(matrix, cmap=SIGNED, vmin=-1, vmax=1)
        axis.set_title(name, fontsize=9)
        axis.set_xticks(range(0, len(matrix), 5))
        axis.set_yticks(range(0, len(matrix), 5))
    figure.colorbar(drawn, ax=list(axes[0]), label="correlation", shrink=0.8)
    figure.supxlabel("feature", fontsize=9)
    return closed(figure)


def map_chooser(
    mel: np.ndarray, maps: dict[str, np.ndarray], texts: dict[str, str], sound: audio.Sound | None, name: str, status: str
) -> Any:
    """Choose a map, see it below the spectrogram, hear the sound with a cursor over both. Plain HTML and script.

    maps, texts : (mels, frames) and one sentence, by the name that stands in the list.
    """
    images = {label: [_png(_coloured(values)), texts[label]] for label, values in maps.items()}
    first = next(iter(images))
    body = {
        "id": html.escape(name),
        "sound": _png(_magma(mel)),
        "image": images[first][0],
        "options": "".join(f'<option value="{html.escape(k)}">{html.escape(k)}</option>' for k in images),
        "data": json.dumps({"images": images, "seconds": mel.shape[1] * HOP_S}, separators=(",", ":")).replace("</", "<\\/"),
        "audio": player(sound, "The sound that is explained", status).data if sound is not None else "",
    }
    return html_output(_CHOOSER.format(**body))


def chooser_of(arrays: dict[str, np.ndarray] | None, sound: audio.Sound | None, name: str, status: str, otherwise: str) -> Any:
    """`map_chooser` over every feature of a record's arrays; without a record, the sentence `otherwise`."""
    if arrays is None:
        return absent(otherwise)
    maps = arrays["deeplift_complete"].astype(np.float32)
    values = arrays["features"].astype(np.float32)
    texts = {
        f"feature {i}": f"Feature {i}: from {values[:, i].min():.2f} to {values[:, i].max():.2f}, mean {values[:, i].mean():.2f}; "
        f"the largest part of a point is {np.nanmax(np.abs(maps[i])):.3f}."
        for i in range(len(maps))
    }
    return map_chooser(arrays["mel"].astype(np.float32), dict(zip(texts, maps, strict=True)), texts, sound, name, status)


_CHOOSER = """<div class="sqa-chooser" id="{id}">
<div class="sqa-view"><img alt="Mel spectrogram of the sound" src="data:image/png;base64,{sound}"><div class="sqa-cursor"></div></div>
<div class="sqa-view"><img class="sqa-map" alt="Map of the chosen feature: orange raises it, violet lowers it"
 src="data:image/png;base64,{image}"><div class="sqa-cursor"></div></div>
<div class="sqa-controls"><label>map <select>{options}</select></label></div>
<p class="sqa-readout" aria-live="polite"></p>{audio}
<script type="application/json">{data}</script></div>"""


def occlusion_maps(mel: np.ndarray, maps: dict[str, np.ndarray], score: float):
    """The spectrogram above the maps of change, one row each; violet where hiding lowers the score, orange where it raises it."""
    import matplotlib.pyplot as plt

    figure, axes = plt.subplots(len(maps) + 1, 1, figsize=(8.5, 1.5 + 1.25 * len(maps)), sharex=True)
    extent = (0, mel.shape[1] * HOP_S, 0, mel.shape[0])
    shown = _spectrogram(axes[0], mel, extent)
    axes[0].set(ylabel="mel band", title=f"the sound, predicted MOS {score:.2f}")
    figure.colorbar(shown, ax=axes[0], label="dB", pad=0.01)
    limit = max(float(np.nanmax(np.abs(m))) for m in maps.values()) or 1.0
    for axis, (name, values) in zip(axes[1:], maps.items(), strict=True):
        drawn = _signed(axis, values, limit, extent)
        axis.set_title(name, fontsize=9, loc="left")
        axis.set_yticks([0, 24, 48])
    figure.colorbar(drawn, ax=list(axes[1:]), label="change of MOS", pad=0.01)
    axes[-1].set_xlabel("time, s")
    return closed(figure)


def mask_stepper(
    mel: np.ndarray,
    boxes: dict[str, list[Box]],
    scores: np.ndarray,
    score: float,
    sound: audio.Sound | None,
    name: str,
    status: str,
) -> Any:
    """A figure to step through: choose a mask, move it, read the score under it. Plain HTML and script, keyboard and screen reader.

    mel : (mels, frames) dB; boxes : as `occlusion.paper_boxes` gives them; scores : (masks,) under each of them, in order;
    sound : played with a cursor where it is given.
    """
    height, width = mel.shape
    values = iter(scores)
    groups = {label: [[*map(int, box), round(float(next(values)), 3)] for box in group] for label, group in boxes.items()}
    data = {"groups": groups, "score": round(float(score), 3), "bands": height, "frames": width, "hop": HOP_S}
    audio_html = player(sound, "The sound that is explained", status).data if sound is not None else ""
    body = {
        "id": html.escape(name),
        "image": _png(_magma(mel)),
        "options": "".join(f'<option value="{html.escape(k)}">{html.escape(k)}</option>' for k in groups),
        "data": json.dumps(data, separators=(",", ":")).replace("</", "<\\/"),
        "audio": audio_html,
    }
    return html_output(_STEPPER.format(**body))


def stepper_of(arrays: dict[str, np.ndarray] | None, sound: audio.Sound | None, name: str, status: str, otherwise: str) -> Any:
    """`mask_stepper` of an occlusion record's arrays; without a record, the sentence `otherwise`."""
    if arrays is None:
        return absent(otherwise)
    mel = arrays["mel"].astype(np.float32)
    return mask_stepper(mel, occlusion.paper_boxes(mel.shape), arrays["scores"][:, 0], float(arrays["score"][0]), sound, name, status)


def occlusion_figure(arrays: dict[str, np.ndarray]):
    """`occlusion_maps` of an occlusion record's arrays, for MOS."""
    return occlusion_maps(arrays["mel"], _change_maps(arrays), float(arrays["score"][0]))


def occlusion_frame(arrays: dict[str, np.ndarray]) -> pd.DataFrame:
    """The data of an occlusion figure: a row a mask, with MOS under it and MOS of the whole sound."""
    boxes = occlusion.flat(occlusion.paper_boxes(arrays["mel"].shape))
    return pd.DataFrame(boxes, columns=Box._fields).assign(mos=arrays["scores"][:, 0], mos_unmasked=float(arrays["score"][0]))


def _change_maps(arrays: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """The changes of MOS that an occlusion record holds, as one map for each of the paper's masks."""
    shape = arrays["mel"].shape
    boxes = occlusion.paper_boxes(shape)
    whole = occlusion.Occlusion(("mos",), arrays["score"][:1], occlusion.flat(boxes), arrays["scores"][:, :1], 0, 0)
    return {name: part.change_map(shape) for name, part in occlusion.split_by_mask(whole, boxes).items()}


_STEPPER = """<div class="sqa-stepper" id="{id}">
<div class="sqa-view"><img alt="Mel spectrogram of the sound; the mask is drawn over it" src="data:image/png;base64,{image}">
<div class="sqa-mask"></div><div class="sqa-cursor"></div></div>
<div class="sqa-controls"><label>mask <select>{options}</select></label>
<label>position <input type="range" min="0" value="0" step="1"></label></div>
<p class="sqa-readout" aria-live="polite"></p>{audio}
<script type="application/json">{data}</script></div>"""


def _magma(mel: np.ndarray) -> np.ndarray:
    import matplotlib as mpl

    return mpl.colormaps["magma"](((mel - mel.min()) / max(float(np.ptp(mel)), 1e-9)).astype(np.float32))


def _coloured(values: np.ndarray) -> np.ndarray:
    import matplotlib as mpl

    values = np.nan_to_num(values.astype(np.float32))
    return mpl.colormaps[SIGNED](0.5 + 0.5 * values / _reach(values))


def _png(colours: np.ndarray) -> str:
    """(bands, frames, RGBA) as a PNG, one pixel a point, low bands below; the page scales it."""
    from PIL import Image

    pixels = (colours[::-1, :, :3] * 255).astype(np.uint8)
    buffer = io.BytesIO()
    Image.fromarray(pixels).quantize(128).save(buffer, "PNG", optimize=True)
    return base64.b64encode(buffer.getvalue()).decode()


Method = Literal["occlusion", "ig", "deeplift", "conductance"]
MOST_FEATURES = 8  # of a network with hundreds, those that vary most over the file
LONGEST_S = 60.0  # by gradients: minutes of work, and about a gigabyte


def explain_file(
    file: Path,
    out: Path,
    method: Method,
    model: str | None,
    output: str,
    fill: Literal["floor", "mean"],
    baseline: str,
    start_s: float = 0.0,
    seconds: float | None = None,
) -> list[Path]:
    """One sound file, or a part of it, explained into `out`: a figure as PNG, arrays as NPZ, for occlusion the scores as CSV.

    Returns the paths.

    ig : the chosen score through the whole network, and the CNN's features; deeplift : the features, by the complete variant;
    conductance : the first two convolutions at the loudest segment, for the two features that vary most.
    """
    network = weights.load(model, environment.device())
    if output not in network.settings.outputs:
        raise SettingsError(f"{network.name} has no output {output!r}; it has {', '.join(network.settings.outputs)}.")
    mel = scoring.mel_of(network, _part_of(file, audio.load(file), start_s, seconds))
    if method != "occlusion" and (len(mel) - 1) * HOP_S > LONGEST_S:
        raise SettingsError(
            f"{file}: {(len(mel) - 1) * HOP_S:.1f} s are more than {LONGEST_S:.0f} s; name a part with --start and --seconds."
        )
    style()
    if method == "occlusion":
        figure, arrays, table = _explain_by_occlusion(network, mel, output, fill)
    else:
        figure, arrays = _EXPLAIN[method](network, mel, attribution.baseline_of(mel, baseline), output)
        table = None
    out.mkdir(parents=True, exist_ok=True)
    part = "" if start_s == 0 and seconds is None else f"-from-{start_s:g}s"
    paths = [out / f"{file.stem}{part}-{method}.{kind}" for kind in ("png", "npz")]
    figure.savefig(paths[0])
    np.savez_compressed(paths[1], mel=mel.T.cpu().numpy(), start_s=np.array(start_s), **arrays)  # type: ignore[arg-type]
    if table is not None:
        paths.append(out / f"{file.stem}{part}-{method}.csv")
        table.to_csv(paths[2], index=False, float_format="%.6g")
    return paths


def _part_of(file: Path, sound: audio.Sound, start_s: float, seconds: float | None) -> audio.Sound:
    waveform, rate = sound
    first = round(start_s * rate)
    last = waveform.shape[1] if seconds is None else first + round(seconds * rate)
    if not 0 <= first < min(last, waveform.shape[1]):
        raise SettingsError(f"{file}: lasts {waveform.shape[1] / rate:.2f} s; there is no part of {seconds or 'any'} s from {start_s} s.")
    return audio.Sound(waveform[:, first:last], rate)


def _explain_by_occlusion(network: Network, mel: torch.Tensor, output: str, fill: Literal["floor", "mean"]):
    shape = (mel.shape[1], mel.shape[0])
    boxes = occlusion.paper_boxes(shape)
    found = occlusion.occlude(network, mel, occlusion.flat(boxes), fill)
    maps = {name: part.change_map(shape, output) for name, part in occlusion.split_by_mask(found, boxes).items()}
    figure = occlusion_maps(mel.T.cpu().numpy(), maps, float(found.score[network.settings.outputs.index(output)]))
    table = pd.DataFrame(found.boxes, columns=Box._fields).assign(**dict(zip(found.outputs, found.scores.T, strict=True)))
    return figure, {"score": found.score, **{n.replace(" ", "_"): m for n, m in maps.items()}}, table


def _most_varied(network: Network, segments: torch.Tensor) -> list[int]:
    spread = attribution.features_of(network, segments).std(dim=0)
    return spread.argsort(descending=True)[:MOST_FEATURES].tolist()


def _explain_features(network: Network, mel: torch.Tensor, base: torch.Tensor, by_gradients: bool):
    """Averaged maps of the features that vary most; their names carry the completeness errors."""
    segments, baselines = (attribution.segments_of(network, m, network.settings.segment_hop) for m in (mel, base))
    features = _most_varied(network, segments)
    steps = None
    if by_gradients:
        maps, _, taken = attribution.integrated_gradients_within(network, segments, baselines, features)
        steps = int(taken.max())
    else:
        maps = attribution.deeplift(network, segments, baselines, features)
    missed = attribution.missed(network, maps, segments, baselines, features)
    out = {}
    for i, feature in enumerate(features):
        title = f"feature {feature}, {_said(missed[i], steps)}"
        out[title] = attribution.overlap_mean(maps[:, i], len(mel), network.settings.segment_hop)
    return out, {"features": np.array(features), "feature_maps": np.stack(list(out.values()))}


def _explain_by_deeplift(network: Network, mel: torch.Tensor, base: torch.Tensor, output: str):
    maps, arrays = _explain_features(network, mel, base, by_gradients=False)
    return maps_over_time(mel.T.cpu().numpy(), maps, "attribution", f"{network.name}: DeepLIFT of CNN outputs"), arrays


def _explain_by_gradients(network: Network, mel: torch.Tensor, base: torch.Tensor, output: str):
    whole, error, steps = attribution.through_time_within(network, mel, base, output)
    title = f"{output}, whole network, {_said(error, steps)}"
    maps, arrays = _explain_features(network, mel, base, by_gradients=True)
    whole_map = whole.T.cpu().numpy()
    figure = maps_over_time(mel.T.cpu().numpy(), {title: whole_map} | maps, "attribution", f"{network.name}: integrated gradients")
    return figure, arrays | {output: whole_map}


def _explain_by_conductance(network: Network, mel: torch.Tensor, base: torch.Tensor, output: str):
    segments, baselines = (attribution.segments_of(network, m) for m in (mel, base))
    loudest = int(segments.mean(dim=(1, 2)).argmax())
    layers, said = {}, []
    for layer in (1, 2):
        for feature in _most_varied(network, segments)[:2]:
            maps, error, steps = attribution.conductance_within(network, segments[loudest], baselines[loudest], feature, layer)
            layers[f"conv{layer}, feature {feature}"] = maps.cpu().numpy()
            said.append((error, steps))
    figure = conductance_maps(segments[loudest].cpu().numpy(), layers, f"{network.name}: conductance, {_said(*max(said))}")
    return figure, {"segment": np.array(loudest), **{n.replace(", ", "_").replace(" ", ""): m for n, m in layers.items()}}


_EXPLAIN = {"ig": _explain_by_gradients, "deeplift": _explain_by_deeplift, "conductance": _explain_by_conductance}
