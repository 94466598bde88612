"""Figures of the chapter on large speech models."""

import numpy as np
import pandas as pd

from ...figures.charts import heat_map, intervals
from ...figures.style import COLOURS, WIDTH_IN, closed


def heads_diagram():
    """The paper's Figure 1: what is frozen (grey) and what is trained, one column a head."""
    import matplotlib.pyplot as plt
    from matplotlib.patches import FancyBboxPatch

    columns = {
        "Linear": ["linear to 256", "mean over frames", "linear to classes"],
        "Non-Linear": ["linear, ReLU, dropout", "linear, ReLU, dropout", "linear", "mean over frames", "linear, ReLU", "linear to classes"],
        "Multi-Layer": ["weighted sum of all layers", "linear, ReLU, dropout", "linear, ReLU, dropout", "linear", "mean over frames",
                        "linear, ReLU", "linear to classes"],
    }  # fmt: skip
    figure, axis = plt.subplots(figsize=(WIDTH_IN, 4.6))
    for x, ((name, steps), colour) in enumerate(zip(columns.items(), COLOURS, strict=False)):
        source = "all layers, frame by frame" if name == "Multi-Layer" else "last layer, frame by frame"
        boxes = [("frozen encoder", "0.85"), (source, "0.93"), *((s, "white" if s == "mean over frames" else colour) for s in steps)]
        for y, (text, face) in enumerate(boxes):
            box = FancyBboxPatch((x * 3, y), 2.6, 0.62, boxstyle="round,pad=0.02", facecolor=face, edgecolor="0.4", alpha=1.0)
            axis.add_patch(box)
            dark = face in COLOURS
            axis.text(x * 3 + 1.3, y + 0.31, text, ha="center", va="center", fontsize=8, color="white" if dark else "black")
            if y:
                axis.annotate("", (x * 3 + 1.3, y - 0.02), (x * 3 + 1.3, y - 0.36), arrowprops={"arrowstyle": "->", "color": "0.4"})
        axis.text(x * 3 + 1.3, len(boxes) + 0.1, name, ha="center", fontweight="bold")
    axis.set(xlim=(-0.2, 8.8), ylim=(-0.2, 9.8))
    axis.axis("off")
    return closed(figure)


def glance(frame: pd.DataFrame):
    """Corpora by rows, heads by colour: ours with intervals, the paper's numbers as crosses, the majority-class baseline dotted."""
    import matplotlib.pyplot as plt

    corpora = list(dict.fromkeys(frame["corpus"]))
    figure, axis = plt.subplots(figsize=(WIDTH_IN, 1.2 + 0.75 * len(corpora)))
    for i, (head, part) in enumerate(frame.groupby("head", sort=False)):
        part = part.assign(y=[corpora.index(c) + 0.22 * (i - 1) for c in part["corpus"]])
        intervals(part, axis, label=f"ours, {head}", index=i)
        label = f"paper, {head}" if part["paper"].notna().any() else None
        axis.plot(part["paper"], part["y"], "x", color=COLOURS[i], markersize=9, markeredgewidth=2, label=label)
    for row in frame.drop_duplicates("corpus").itertuples():
        y = corpora.index(row.corpus)
        axis.vlines(row.majority_f1, y - 0.4, y + 0.4, color="0.4", linestyle=":")
    axis.set_yticks(range(len(corpora)), corpora)
    axis.set(xlabel="macro F1, %", xlim=(0, 100))
    axis.invert_yaxis()
    axis.grid(axis="x", alpha=0.3)
    figure.legend(loc="outside upper right", ncols=3)
    return closed(figure)


def speaker_assignments(frame: pd.DataFrame, papers: dict[str, float], titles: dict[str, str]):
    """A panel a corpus, a row a test speaker: each assignment of speakers to test and validation is a dot; dashed: the paper's number."""
    import matplotlib.pyplot as plt
    import seaborn as sns

    corpora = list(dict.fromkeys(frame["corpus"]))
    rows = [frame.loc[frame["corpus"] == c, "tested"].nunique() for c in corpora]
    figure, axes = plt.subplots(len(corpora), 1, figsize=(WIDTH_IN, 1.2 + 0.32 * sum(rows)), sharex=True, squeeze=False, height_ratios=rows)
    version = np.where(frame["absent"] == "", "all speakers", "one speaker left out")
    frame = frame.assign(version=version)
    for axis, corpus in zip(axes[:, 0], corpora, strict=True):
        part = frame[frame["corpus"] == corpus]
        order = part.groupby("tested")["f1"].median().sort_values().index.tolist()
        sns.stripplot(
            part, x="f1", y="tested", hue="version", order=order, hue_order=["all speakers", "one speaker left out"], dodge=True,
            palette=[COLOURS[0], COLOURS[4]], size=4.5, alpha=0.75, jitter=False, legend=False, ax=axis,
        )  # fmt: skip
        if np.isfinite(papers[corpus]):
            axis.axvline(papers[corpus], color=COLOURS[1], linestyle="--")
        axis.set(title=titles.get(corpus, corpus), ylabel="test speaker", xlabel="", xlim=(0, 100))
        axis.grid(axis="x", alpha=0.3)
    axes[-1, 0].set_xlabel("macro F1, %")
    kinds = [
        ("all speakers", COLOURS[0], "none", "o"),
        ("one speaker left out", COLOURS[4], "none", "o"),
        ("the paper", COLOURS[1], "dashed", ""),
    ]
    handles = [plt.Line2D([], [], color=colour, linestyle=line, marker=mark) for _, colour, line, mark in kinds]  # type: ignore[arg-type]
    figure.legend(handles, [name for name, *_ in kinds], loc="outside upper right", ncols=3)
    return closed(figure)


def layer_map(weights: pd.DataFrame, titles: dict[str, str]):
    """The paper's Figure 2: a row an encoder, a column a layer, dark where its weight is large; means over corpora and seeds."""
    rows = weights.groupby(["encoder", "layer"], sort=False)["weight"].mean().unstack("layer")
    rows.index = pd.Index([titles.get(e, e) for e in rows.index])
    figure = heat_map(rows, "weight", high=float(rows.max().max()))
    figure.axes[0].set(xlabel="transformer layer", ylabel="")
    return figure


def layers_beside_probes(weights: pd.DataFrame, probes: pd.DataFrame, title: str):
    """For one corpus and encoder: the trained weight of each layer (bars) and the F1 of a Linear head on it alone (line, SD over seeds)."""
    import matplotlib.pyplot as plt
    import seaborn as sns

    figure, axis = plt.subplots(figsize=(WIDTH_IN, 3.0))
    layers = sorted(set(weights["layer"]) | set(probes["layer"]))
    if len(weights):
        sns.barplot(
            weights, x="layer", y="weight", native_scale=True, errorbar=None, color=COLOURS[5], label="weight trained by Multi-Layer",
            legend=False, ax=axis,
        )  # fmt: skip
    axis.set(xlabel="transformer layer", ylabel="weight", title=title, xticks=layers)
    if len(probes):
        other = axis.twinx()
        sns.pointplot(
            probes, x="layer", y="f1", native_scale=True, errorbar="sd", color=COLOURS[1], label="F1 of Linear", legend=False, ax=other,
            linewidth=1.5, markersize=5, capsize=0.15,
        )  # fmt: skip
        other.set(ylabel="macro F1, %", ylim=(0, 100))
        other.spines["right"].set_visible(True)
    colours = [plt.Line2D([], [], color=COLOURS[5], linewidth=6), plt.Line2D([], [], color=COLOURS[1], marker="o")]
    figure.legend(colours, ["weight trained by Multi-Layer", "F1 of Linear"], loc="outside upper right", ncols=2)
    return closed(figure)
