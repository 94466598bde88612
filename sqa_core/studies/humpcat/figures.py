"""Figures of the chapter on HuMP-CAT."""

import numpy as np
import pandas as pd

from ...figures.charts import intervals
from ...figures.maps import spectrogram_image
from ...figures.style import COLOURS, MARKERS, closed, narrow, width_in
from .tables import SHARE_COLUMN


def targets(table: pd.DataFrame):
    """Accuracy of each target: source + target, target only, source only, and what the paper prints."""
    import matplotlib.pyplot as plt

    figure, axis = plt.subplots(figsize=(width_in(), 1.6 + 0.75 * len(table)))
    names = [n for n in ("accuracy", "target only", "source only") if f"{n}, %" in table]
    words = {
        "accuracy": "source + target: a quarter of its files",
        "target only": "target only: the same quarter",
        "source only": "source only: the same test files",
    }
    for i, name in enumerate(names):
        part = pd.DataFrame(
            {
                "y": range(len(table)),
                "value": table[f"{name}, %"],
                "low": table[f"{name}, %, low"],
                "high": table[f"{name}, %, high"],
            }
        )
        intervals(part.replace([np.inf, -np.inf], np.nan).bfill(axis=1), axis, words[name], 0.16 * (1 - i), i)
    axis.scatter(table["paper, %"], range(len(table)), marker="*", s=90, color="black", zorder=3, label="the paper prints")
    axis.scatter(table["most frequent class, %"], range(len(table)), marker="|", s=160, color="0.4", zorder=3, label="most frequent class")
    axis.set_yticks(range(len(table)), [f"{r['target']} ({r['language']})" for _, r in table.iterrows()])
    axis.set(xlabel="accuracy, %", xlim=(0, 100), ylim=(len(table) - 0.5, -0.5))
    axis.grid(axis="x", alpha=0.3)
    figure.legend(loc="outside lower center", ncols=1 if narrow() else 3)
    return closed(figure)


def shares(table: pd.DataFrame):
    """Accuracy by share, one panel per target: source + target and target only."""
    import matplotlib.pyplot as plt

    targets = list(dict.fromkeys(table["target"]))
    columns = 1 if narrow() else 2
    rows = -(-len(targets) // columns)
    figure, axes = plt.subplots(rows, columns, figsize=(width_in(), 2.5 * rows), sharex=True, sharey=True, squeeze=False)
    for axis in axes.flat[len(targets) :]:
        axis.axis("off")
    for axis, target in zip(axes.flat, targets, strict=False):
        part = table[table["target"] == target].sort_values(SHARE_COLUMN)
        places = np.arange(len(part))
        for i, name in enumerate(("source + target", "target only")):
            if f"{name}, %" not in part:
                continue
            axis.plot(places, part[f"{name}, %"], f"{MARKERS[i]}-", color=COLOURS[i], markersize=4, label=name)
            low, high = (part[f"{name}, %, {end}"].clip(0, 100) for end in ("low", "high"))
            axis.fill_between(places, low, high, color=COLOURS[i], alpha=0.15, linewidth=0)
        axis.set_xticks(places, [f"{s:g}" if s < 100 else "all" for s in part[SHARE_COLUMN]])
        axis.set(title=target, ylim=(0, 100))
    for axis in axes[-1]:
        axis.set_xlabel(SHARE_COLUMN)
    for axis in axes[:, 0]:
        axis.set_ylabel("accuracy, %")
    handles, labels = axes.flat[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=2)
    return closed(figure)


def variants(table: pd.DataFrame):
    """Forest plot: what each change of the network costs or gives, a marker for each start."""
    import matplotlib.pyplot as plt

    order = table.groupby("variant")["change, points"].mean().sort_values().index
    place = {name: i for i, name in enumerate(order)}
    figure, axis = plt.subplots(figsize=(width_in(), 1.2 + 0.28 * len(order)))
    for i, (start, part) in enumerate(table.groupby("start")):
        drawn = pd.DataFrame({"y": part["variant"].map(place), "value": part["change, points"]})
        drawn = drawn.assign(low=part["change, points, low"], high=part["change, points, high"])
        intervals(drawn, axis, str(start), 0.15 * (1 - 2 * i) * (table["start"].nunique() > 1), i)
    axis.axvline(0, color="0.4", linewidth=0.8)
    axis.set_yticks(range(len(order)), order)
    axis.set_xlabel("accuracy, variant − reference network, points")
    axis.grid(axis="x", alpha=0.3)
    figure.legend(loc="outside lower center", ncols=1 if narrow() else 2)
    return closed(figure)


def layers(table: pd.DataFrame):
    """Accuracy with each pair of layers: a square for a pair, with the lower layer on the horizontal axis; the diagonal for single layers."""
    import matplotlib.pyplot as plt

    grid = table.pivot(index="upper layer", columns="lower layer", values="accuracy, %")
    figure, axis = plt.subplots(figsize=(min(width_in(), 6.8), 3.4))
    image = axis.imshow(grid, cmap="cividis", origin="lower", aspect="auto")
    middle = (image.norm.vmin + image.norm.vmax) / 2  # type: ignore[operator]
    for (row, column), value in np.ndenumerate(grid.to_numpy(float)):
        if np.isfinite(value):
            axis.text(column, row, f"{value:.0f}", ha="center", va="center", color="white" if value < middle else "black", fontsize=9)
    axis.set_xticks(range(grid.shape[1]), grid.columns)
    axis.set_yticks(range(grid.shape[0]), grid.index)
    axis.set(xlabel="lower layer", ylabel="upper layer")
    figure.colorbar(image, ax=axis, label="accuracy, %")
    return closed(figure)


def epochs(table: pd.DataFrame):
    """Entropy of each direction of attention, and loss, over the epochs of training on the source and of tuning."""
    import matplotlib.pyplot as plt

    stages = [stage for stage in ("source", "tuning") if stage in set(table["stage"])]
    figure, axes = plt.subplots(2, len(stages), figsize=(min(width_in(), 6.8), 4.8), squeeze=False, sharey="row", sharex="col")
    for column, stage in zip(axes.T, stages, strict=True):
        for axis, measure in zip(column, ("entropy", "loss"), strict=True):
            of = table[(table["stage"] == stage) & (table["measure"] == measure)]
            for i, (line, part) in enumerate(of.groupby("line", sort=False)):
                colour = COLOURS[(i + 3 * (measure == "loss")) % len(COLOURS)]
                axis.plot(part["epoch"], part["value"], f"{MARKERS[i % len(MARKERS)]}-", color=colour, markersize=2.5, label=line)
            axis.set_ylabel(f"normalised {measure}" if measure == "entropy" else "loss")
            axis.label_outer()
        column[0].set_title("training on the source" if stage == "source" else "tuning on the target")
        column[1].set_xlabel("epoch (0: before)")
    lowest = table.loc[table["measure"] == "entropy", "value"].min()
    axes[0, 0].set_ylim(min(0.95, lowest - 0.005), 1.002)
    axes[0, -1].legend(fontsize=6, loc="lower left")
    for axis in axes[1]:
        axis.legend(fontsize=6, loc="upper right")
    return closed(figure)


def attention(mel: np.ndarray, directions: list[str], weights: np.ndarray, contours: np.ndarray, title: str):
    """Spectrogram with F0, and below it the attention that each moment receives, one line per direction; 1 is even.

    mel : (frames, bands). weights : (directions, steps). contours : (frames, 3) as `prosody.contours` gives them.
    """
    import matplotlib.pyplot as plt

    seconds = len(mel) / 100
    figure, axes = plt.subplots(2, 1, figsize=(min(width_in(), 6.8), 4.2), sharex=True)
    spectrogram_image(axes[0], mel.T, (0, seconds, 0, mel.shape[1]))
    axes[0].set(ylabel="mel band", title=title)
    pitch = np.where(contours[:, 2] > 0, 100 * 2 ** contours[:, 0], np.nan)
    twin = axes[0].twinx()
    twin.plot(np.arange(len(pitch)) / 100, pitch, color="white", linewidth=1.5)
    twin.set(ylabel="F0, Hz", ylim=(0, 400))
    for i, (name, row) in enumerate(zip(directions, weights, strict=True)):
        step, middle = (0.08, 0.1) if name.endswith("on encoder") else (seconds / len(row), seconds / len(row) / 2)
        axes[1].plot(np.arange(len(row)) * step + middle, row, color=COLOURS[i], label=name)
    axes[1].axhline(1, color="0.6", linewidth=0.8)
    axes[1].set(xlabel="time, s", ylabel="attention, 1 is even")
    figure.legend(loc="outside lower center", ncols=1 if narrow() else 2)
    return closed(figure)
