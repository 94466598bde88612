"""Figures of the chapter on large speech models."""

import numpy as np
import pandas as pd

from ...figures.charts import heat_map, intervals
from ...figures.style import COLOURS, closed, narrow, width_in


def heads_diagram():
    """The paper's Figure 1: what is frozen (grey) and what is trained, one column per head."""
    import matplotlib.pyplot as plt
    from matplotlib.patches import FancyBboxPatch

    columns = {
        "Linear": ["linear to 256", "mean over frames", "linear to classes"],
        "Non-Linear": ["linear, ReLU, dropout", "linear, ReLU, dropout", "linear", "mean over frames", "linear, ReLU", "linear to classes"],
        "Multi-Layer": ["weighted sum of all layers", "linear, ReLU, dropout", "linear, ReLU, dropout", "linear", "mean over frames",
                        "linear, ReLU", "linear to classes"],
    }  # fmt: skip
    figure, axis = plt.subplots(figsize=(width_in(), 4.6))
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


def overview(table: pd.DataFrame):
    """One row per corpus: leave-one-speaker-out with its interval and the range over speakers, stratified splits, and the paper's number."""
    import matplotlib.pyplot as plt

    figure, axis = plt.subplots(figsize=(width_in(), 1.3 + 0.8 * len(table)))
    y = np.arange(len(table))
    axis.hlines(y, table["lowest speaker"], table["highest speaker"], color="0.8", linewidth=9, label="range over held-out speakers")
    intervals(table.rename(columns={"LOSO": "value", "LOSO, low": "low", "LOSO, high": "high"}).assign(y=y), axis, "leave-one-speaker-out")
    sd = table["stratified, SD over splits"]
    axis.errorbar(table["stratified"], y + 0.22, xerr=sd, fmt="s", color=COLOURS[2], capsize=3, label="20 stratified splits, ± SD")
    axis.plot(table["paper"], y - 0.22, "x", color=COLOURS[1], markersize=9, markeredgewidth=2, label="paper, one split")
    axis.vlines(table["majority"], y - 0.4, y + 0.4, color="0.4", linestyle=":", label="majority class")
    axis.set_yticks(y, table["corpus"])
    axis.set(xlabel="macro F1, %", xlim=(0, 100))
    axis.invert_yaxis()
    axis.grid(axis="x", alpha=0.3)
    figure.legend(loc="outside upper center", ncols=1 if narrow() else 3)
    return closed(figure)


def split_slopes(table: pd.DataFrame):
    """One panel per corpus: each model from leave-one-speaker-out to stratified splits; controls are dashed."""
    import matplotlib.pyplot as plt

    corpora, models = list(dict.fromkeys(table["corpus"])), list(dict.fromkeys(table["model"]))
    columns = 2 if narrow() else len(corpora)
    rows = -(-len(corpora) // columns)
    figure, axes = plt.subplots(rows, columns, figsize=(width_in(), 3.4 * rows + 0.6), sharey=True, squeeze=False)
    palette = plt.get_cmap("tab10")  # more models than the book has colours
    for axis, corpus in zip(axes.flat, corpora, strict=False):
        for row in table[table["corpus"] == corpus].itertuples():
            control = "control" in row.model
            ends = [row[table.columns.get_loc(c) + 1] for c in ("leave-one-speaker-out", "stratified")]
            colour = palette(models.index(row.model) % 10)
            axis.plot([0, 1], ends, "o--" if control else "o-", color=colour, label=row.model, markersize=4)
        axis.set(title=corpus, xlim=(-0.3, 1.3), ylim=(0, 100))
        axis.set_xticks([0, 1], ["LOSO", "stratified"])
        axis.grid(axis="y", alpha=0.3)
    for axis in axes.flat[len(corpora) :]:
        axis.axis("off")
    axes[0, 0].set_ylabel("macro F1, %")
    handles = {label: h for axis in axes.flat for h, label in zip(*axis.get_legend_handles_labels(), strict=True)}
    figure.legend(handles.values(), handles.keys(), loc="outside lower center", ncols=1 if narrow() else 4)
    return closed(figure)


def table_gaps(table: pd.DataFrame):
    """Table 2's means against the means of Table 3's columns, one row per model."""
    import matplotlib.pyplot as plt

    figure, axis = plt.subplots(figsize=(width_in(), 3.2))
    y = np.arange(len(table))
    axis.hlines(y, table["Table 2"], table["mean of Table 3"], color="0.6", linewidth=2)
    axis.plot(table["mean of Table 3"], y, "o", color=COLOURS[0], label="mean of Table 3")
    axis.plot(table["Table 2"], y, "D", color=COLOURS[1], label="Table 2")
    for place, gap, right in zip(y, table["difference"], table[["Table 2", "mean of Table 3"]].max(axis=1), strict=True):
        axis.annotate(f"{gap:+.2f}".replace("-", "−"), (right, place), xytext=(8, 0), textcoords="offset points", va="center")
    axis.set_yticks(y, table["backbone"])
    axis.set(xlabel="macro F1, %", xlim=(table["Table 2"].min() - 5, table["mean of Table 3"].max() + 8))
    axis.invert_yaxis()
    figure.legend(loc="outside upper center", ncols=2)
    return closed(figure)


def heads(table: pd.DataFrame):
    """Leave-one-speaker-out by head: a group a model, with intervals over speakers and files."""
    import matplotlib.pyplot as plt

    models = list(dict.fromkeys(table["model"]))
    figure, axis = plt.subplots(figsize=(width_in(), 1.3 + 0.9 * len(models)))
    for i, (head, part) in enumerate(table.groupby("head", sort=False)):
        y = np.array([models.index(m) for m in part["model"]]) + 0.22 * (i - 1)
        drawn = part.rename(columns={"F1": "value", "F1, low": "low", "F1, high": "high"}).assign(y=y)
        intervals(drawn, axis, str(head), index=i)
    axis.set_yticks(range(len(models)), models)
    axis.set(xlabel="macro F1, %", xlim=(0, 100))
    axis.invert_yaxis()
    axis.grid(axis="x", alpha=0.3)
    figure.legend(loc="outside upper center", ncols=3)
    return closed(figure)


def epochs(table: pd.DataFrame):
    """The spread of a score when the best or the last epoch is kept, by corpus and protocol."""
    import matplotlib.pyplot as plt

    figure, axis = plt.subplots(figsize=(width_in(), 0.9 + 0.42 * len(table)))
    y = np.arange(len(table))
    for i, kept in enumerate(("best epoch", "last epoch")):
        axis.barh(y + 0.38 * i, table[f"{kept}, SD over draws"], height=0.36, color=COLOURS[i], label=kept)
    axis.set_yticks(y + 0.19, table["corpus"] + (",\n" if narrow() else ", ") + table["protocol"])
    axis.set(xlabel="standard deviation of macro F1, points")
    axis.invert_yaxis()
    figure.legend(loc="outside upper center", ncols=2)
    return closed(figure)


def models_by_corpus(table: pd.DataFrame):
    """Models by corpora, macro F1 in the cells."""
    figure = heat_map(table, "macro F1, %", ".0f", "viridis", 0, 100)
    figure.axes[0].set(xlabel="", ylabel="")
    return figure


def across(table: pd.DataFrame):
    """One model trained on the corpus of a row and tested on that of a column; number of classes below."""
    import matplotlib.pyplot as plt
    import seaborn as sns

    grid = table.pivot(index="trained on", columns="tested on", values="F1 over majority")
    text = table.assign(text=[f"{f:+.0f}\n{c} classes" for f, c in zip(table["F1 over majority"], table["classes"], strict=True)])
    labels = text.pivot(index="trained on", columns="tested on", values="text").fillna("")
    figure, axis = plt.subplots(figsize=(width_in(), 3.6))
    sns.heatmap(
        grid, annot=labels, fmt="", cmap="PuOr_r", center=0, ax=axis, annot_kws={"size": 8}, cbar_kws={"label": "points above majority"}
    )
    axis.tick_params(axis="y", rotation=0)
    return closed(figure)


def glance(frame: pd.DataFrame):
    """Corpora by rows, heads by colour: ours with intervals, the paper's numbers as crosses, the majority-class baseline dotted."""
    import matplotlib.pyplot as plt

    corpora = list(dict.fromkeys(frame["corpus"]))
    figure, axis = plt.subplots(figsize=(width_in(), 1.2 + 0.75 * len(corpora)))
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
    """One panel per corpus, one row per test speaker: each assignment of speakers to test and validation is a dot; dashed: the paper's number."""
    import matplotlib.pyplot as plt
    import seaborn as sns

    corpora = list(dict.fromkeys(frame["corpus"]))
    rows = [frame.loc[frame["corpus"] == c, "tested"].nunique() for c in corpora]
    figure, axes = plt.subplots(
        len(corpora), 1, figsize=(width_in(), 1.2 + 0.32 * sum(rows)), sharex=True, squeeze=False, height_ratios=rows
    )
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
    """The paper's Figure 2: one row per encoder, one column per layer; weight times number of layers, so that 1 is equal, mean over corpora and seeds."""
    rows = weights.groupby(["encoder", "layer"], sort=False)["weight"].mean().unstack("layer")
    rows = rows.mul(rows.notna().sum(axis=1), axis=0)
    rows.index = pd.Index([titles.get(e, e) for e in rows.index])
    figure = heat_map(rows, "weight × layers", low=0.5, high=1.5, cmap="PuOr_r")
    figure.axes[0].set(xlabel="transformer layer", ylabel="")
    return figure


def layers_beside_probes(weights: pd.DataFrame, probes: pd.DataFrame, title: str):
    """For one corpus and encoder: the trained weight of each layer (bars) and the F1 of a Linear head on it alone (line, SD over seeds)."""
    import matplotlib.pyplot as plt
    import seaborn as sns

    figure, axis = plt.subplots(figsize=(width_in(), 3.0))
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
