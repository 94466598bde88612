"""Figures of the chapter on explaining NISQA, and the data behind them."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd

from ... import audio
from ...explain import occlusion
from ...explain.occlusion import Box
from ...figures.charts import heat_map, intervals
from ...figures.maps import (
    colour_limit,
    completeness_text,
    conductance_maps,
    maps_frame,
    maps_over_time,
    occlusion_maps,
    signed_map,
    spectrogram_image,
)
from ...figures.page import absent
from ...figures.style import COLOURS, closed, narrow, width_in
from ...figures.verdicts import MARKS
from ...figures.widgets import map_chooser, mask_stepper
from ...results.claims import WORDS, Verdict
from ...results.records import Record
from ..listeners import SAME_PREDICTOR


def features_frame(arrays: dict[str, np.ndarray]) -> pd.DataFrame:
    """The data of `chooser_of`: the averaged map of every feature."""
    return maps_frame(arrays["mel"], {f"feature {i}": m for i, m in enumerate(arrays["deeplift_complete"])})


def segments_by_feature(record: Record, features: Sequence[int] = range(5), columns: int = 10):
    """The paper's Figure 1: segments in the top row, below each its map for each feature."""
    import matplotlib.pyplot as plt

    segments, maps, chosen = _chosen_segments(record, columns)
    figure, axes = plt.subplots(len(features) + 1, columns, figsize=(width_in(), 1.25 * (len(features) + 1)), sharex=True, sharey=True)
    for column, index in enumerate(chosen):
        spectrogram_image(axes[0, column], segments[index])
        for row, feature in enumerate(features, start=1):
            signed_map(axes[row, column], maps[index, feature], colour_limit(maps[:, feature]))
    for row, name in enumerate(["segment", *(f"feature {f}" for f in features)]):
        axes[row, 0].set_ylabel(name, fontsize=8)
    for axis in axes.flat:
        axis.set(xticks=[], yticks=[])
    figure.suptitle(completeness_text(max(record.metrics["errors"]["deeplift_complete"])), fontsize=8)
    return closed(figure)


def _chosen_segments(record: Record, columns: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    arrays = record.arrays()
    segments, maps = (arrays[k].astype(np.float32) for k in ("segments", "segment_maps"))
    return segments, maps, np.linspace(0, len(segments) - 1, columns).round().astype(int)


def segments_frame(record: Record, features: Sequence[int] = range(5), columns: int = 10) -> pd.DataFrame:
    """The data of `segments_by_feature`: one row per point of a segment."""
    segments, maps, chosen = _chosen_segments(record, columns)
    parts = [maps_frame(segments[i], {f"feature {f}": maps[i, f] for f in features}).assign(segment=i) for i in chosen]
    return pd.concat(parts, ignore_index=True)


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
    figure, axes = plt.subplots(1, len(maps) + 1, figsize=(width_in(), 2.4), sharey=True)
    spectrogram_image(axes[0], mel)
    axes[0].set_title("the sound", fontsize=8)
    for axis, (name, values), centre in zip(axes[1:], maps.items(), centres, strict=True):
        signed_map(axis, values)
        axis.axhline(centre, color="black", linewidth=1, linestyle=":")
        axis.set_title(name, fontsize=8)
    for axis in axes:
        axis.set(xticks=[], yticks=[0, 24, 47])
    axes[0].set_ylabel("mel band")
    figure.suptitle(completeness_text(max(record.metrics["errors"]["deeplift_complete"])), fontsize=8)
    return closed(figure)


def roles_maps(record: Record, roles: dict[str, int]) -> dict[str, np.ndarray]:
    """The averaged maps of the features that follow cuts, pauses, voice, noise, by their titles."""
    arrays, errors = record.arrays(), record.metrics["errors"]["deeplift_complete"]
    words = {"cut": "cuts", "pause": "pauses", "voice": "voice", "noise": "noise"}
    by_feature: dict[int, list[str]] = {}
    for role, feature in roles.items():  # one feature can have two roles; its map is shown once
        by_feature.setdefault(feature, []).append(words.get(role, role))
    return {
        f"follows {' and '.join(followed)} (feature {i}), {completeness_text(errors[i])}": arrays["deeplift_complete"][i]
        for i, followed in by_feature.items()
    }


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
    title = completeness_text(max(errors[name] for name in maps), m[f"conductance_{layer}_steps"])
    return conductance_maps(arrays["conductance_segment"].astype(np.float32), maps, title)


def conductance_frame(record: Record, layer: int, features: int) -> pd.DataFrame:
    """The data of `conductance_figure`: one row per point of a channel."""
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
        said = completeness_text(m["errors"][key][row], m["ig_steps"] if key == "ig" else None)
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
    return {
        f"baseline {text}, {completeness_text(errors[f'baseline_{name}'][0])}": arrays[f"baseline_{name}"][0]
        for name, text in names.items()
    }


def baselines_figure(record: Record):
    """The spectrogram above `baselines_maps`."""
    return _of_one_feature(record, baselines_maps(record))


MAX_ERROR = 0.1  # relative completeness error of a map that is shown


def whole_maps(record: Record, masked: Record) -> dict[str, np.ndarray]:
    """MOS through the whole network, all features of the CNN together, and occlusion by squares, by their titles."""
    arrays, m = record.arrays(), record.metrics
    error = m["errors"]["whole"][0]
    # A map that does not add up to what it explains is not shown as a result.
    complete = {f"integrated gradients of MOS, {completeness_text(error, m['whole_steps'])}": arrays["whole"]} if error < MAX_ERROR else {}
    return complete | {
        "all features of the CNN, sizes added": np.abs(arrays["deeplift_complete"].astype(np.float32)).sum(axis=0),
        "occlusion by squares of 24": next(iter(_change_maps(masked.arrays()).values())),
    }


def whole_figure(record: Record, masked: Record):
    """The spectrogram above `whole_maps`."""
    return maps_over_time(record.arrays()["mel"], whole_maps(record, masked), "attribution, change of MOS")


def feature_activity(rates: dict[str, pd.Series]):
    """Share of segments in which each feature is active, a panel of bars a network; dotted: 10 and 90 %."""
    import matplotlib.pyplot as plt
    import seaborn as sns

    figure, axes = plt.subplots(len(rates), 1, figsize=(width_in(), 1.1 + 1.3 * len(rates)), sharex=True, sharey=True, squeeze=False)
    for axis, (name, rate) in zip(axes[:, 0], rates.items(), strict=True):
        sns.barplot(x=rate.index, y=rate.to_numpy(), native_scale=True, color=COLOURS[0], ax=axis)
        for share in (0.1, 0.9):
            axis.axhline(share, color="0.4", linewidth=1, linestyle=":")
        axis.set_title(name, loc="left")
        axis.set(ylim=(0, 1.05), xlabel="", ylabel="")
    figure.supylabel("share of segments")
    axes[-1, 0].set(xlabel="feature", xticks=range(max(len(r) for r in rates.values())))
    return closed(figure)


def dead_units(frame: pd.DataFrame):
    """Dead outputs against optimiser steps, one line per seed, one colour per share of the training material."""
    import matplotlib.pyplot as plt
    import seaborn as sns

    figure, axis = plt.subplots(figsize=(width_in(), 3.2))
    sns.lineplot(
        frame, x="steps", y="dead", hue="material", style="material", units="seed", estimator=None, markers=True, dashes=False,
        palette=COLOURS[: frame["material"].nunique()], ax=axis,
    )  # fmt: skip
    axis.set_xscale("symlog", linthresh=50)
    axis.set(xlabel="optimiser steps", ylabel="dead outputs of 20", ylim=(0, 20), yticks=range(0, 21, 5))
    return closed(figure)


def chooser_of(arrays: dict[str, np.ndarray], sound: audio.Sound | None, name: str, status: str) -> Any:
    """`map_chooser` over every feature of a record's arrays."""
    maps = arrays["deeplift_complete"].astype(np.float32)
    values = arrays["features"].astype(np.float32)
    texts = {
        f"feature {i}": f"Feature {i}: activation {values[:, i].min():.2f}–{values[:, i].max():.2f} (mean {values[:, i].mean():.2f}); "
        f"max |attribution| {np.nanmax(np.abs(maps[i])):.3f}."
        for i in range(len(maps))
    }
    return map_chooser(arrays["mel"].astype(np.float32), dict(zip(texts, maps, strict=True)), texts, sound, name, status)


def stepper_of(arrays: dict[str, np.ndarray], sound: audio.Sound | None, name: str, status: str) -> Any:
    """`mask_stepper` of an occlusion record's arrays."""
    mel = arrays["mel"].astype(np.float32)
    return mask_stepper(mel, occlusion.paper_boxes(mel.shape), arrays["scores"][:, 0], float(arrays["score"][0]), sound, name, status)


def occlusion_figure(arrays: dict[str, np.ndarray]):
    """`occlusion_maps` of an occlusion record's arrays, for MOS."""
    return occlusion_maps(arrays["mel"], _change_maps(arrays), float(arrays["score"][0]))


def occlusion_frame(arrays: dict[str, np.ndarray]) -> pd.DataFrame:
    """The data of an occlusion figure: one row per mask, with MOS under it and MOS of the whole sound."""
    boxes = occlusion.flat(occlusion.paper_boxes(arrays["mel"].shape))
    return pd.DataFrame(boxes, columns=Box._fields).assign(mos=arrays["scores"][:, 0], mos_unmasked=float(arrays["score"][0]))


def _change_maps(arrays: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """The changes of MOS that an occlusion record holds, as one map for each of the paper's masks."""
    shape = arrays["mel"].shape
    boxes = occlusion.paper_boxes(shape)
    whole = occlusion.Occlusion(("mos",), arrays["score"][:1], occlusion.flat(boxes), arrays["scores"][:, :1], 0, 0)
    return {name: part.change_map(shape) for name, part in occlusion.split_by_mask(whole, boxes).items()}


def verdict_grid(table: pd.DataFrame):
    """Verdicts by claim and network, with trained and shuffled weights."""
    import matplotlib.pyplot as plt
    import seaborn as sns
    from matplotlib.colors import ListedColormap

    order: list[Verdict] = ["fails", "inconclusive", "partly", "holds"]
    table = table[~table["network"].isin(SAME_PREDICTOR)]
    columns = table["network"] + ("\n" if not narrow() else " ") + table["weights"]
    grid = table.assign(column=columns, value=table["verdict"].map(order.index)).pivot(index="claim", columns="column", values="value")
    grid = grid.loc[sorted(grid.index, key=lambda c: int(c[1:])), list(dict.fromkeys(columns))]
    figure, axis = plt.subplots(figsize=(width_in(), 1.5 + 0.28 * len(grid)))
    marks = grid.map(lambda v: "" if np.isnan(v) else MARKS[order[int(v)]])
    colours = ListedColormap(["#e9a3a0", "#dcdcf5", "#f2e2a8", "#a8dcc4"])
    sns.heatmap(grid, annot=marks, fmt="", cmap=colours, vmin=-0.5, vmax=3.5, cbar=False, linewidths=0.5, ax=axis)
    axis.set(xlabel="", ylabel="")
    axis.tick_params(axis="y", rotation=0)
    axis.tick_params(axis="x", labelsize=7, rotation=90)
    figure.legend(handles=[plt.Rectangle((0, 0), 1, 1, color=colours(i)) for i in range(4)],
                  labels=[f"{MARKS[v]} {WORDS[v]}" for v in order], loc="outside upper center", ncols=2 if narrow() else 4)  # fmt: skip
    return closed(figure)


def localisation(table: pd.DataFrame, network: str = "nisqa-tts"):
    """AUC inside known cuts: one row per method, one panel per baseline; filled with trained, open with shuffled weights."""
    import matplotlib.pyplot as plt

    part = table[table["network"].str.startswith(network)]
    baselines, methods = list(dict.fromkeys(part["baseline"])), list(dict.fromkeys(part["method"]))
    rows = len(baselines) if narrow() else 1
    figure, axes = plt.subplots(
        rows, len(baselines) // rows, figsize=(width_in(), (1.2 + 0.42 * len(methods)) * rows), sharey=True, squeeze=False
    )
    for axis, baseline in zip(axes.flat, baselines, strict=True):
        for i, (name, of_weights) in enumerate(part[part["baseline"] == baseline].groupby("network")):
            y = np.array([methods.index(m) for m in of_weights["method"]]) + 0.2 * i
            named = {"inside a cut": "value", "inside a cut, low": "low", "inside a cut, high": "high"}
            intervals(of_weights.rename(columns=named).assign(y=y), axis, str(name), index=i)
        axis.axvline(0.5, color="0.5", linestyle=":")
        axis.set(
            title=f"baseline {baseline}",
            xlim=(0, 1),
            xlabel="AUC inside a cut",
            xticks=(0, 0.25, 0.5, 0.75, 1),
            xticklabels=("0", "", "0.5", "", "1"),
        )
        axis.set_yticks(range(len(methods)), [m.replace(", ", ",\n") if narrow() else m for m in methods])
    axes[0, 0].invert_yaxis()
    figure.legend(*axes[0, 0].get_legend_handles_labels(), loc="outside upper center", ncols=1 if narrow() else 2)
    return closed(figure)


def dimension_grid(table: pd.DataFrame):
    """Mean change of each score, one row per thing that is hidden."""
    scores = [c for c in table if c not in ("hidden", "masks") and ", " not in c]
    grid = table.set_index("hidden")[scores]
    largest = float(grid.abs().to_numpy().max())
    figure = heat_map(grid, "mean change", "+.2f", "PuOr_r", -largest, largest)
    figure.axes[0].set(xlabel="", ylabel="")
    return figure
