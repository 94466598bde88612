"""Figures of the chapters on emotion: the three heads, layer weights, confusions, and sentences to guess."""

import base64
import html
import io
import json
from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd

from . import audio
from .figures import COLOURS, closed, html_output, player


def heads_diagram():
    """The paper's Figure 1: what is frozen (grey) and what learns, one column a head."""
    import matplotlib.pyplot as plt
    from matplotlib.patches import FancyBboxPatch

    columns = {
        "Linear": ["linear to 256", "mean over frames", "linear to classes"],
        "Non-Linear": ["linear, ReLU, dropout", "linear, ReLU, dropout", "linear", "mean over frames", "linear, ReLU", "linear to classes"],
        "Multi-Layer": ["weighted sum of all layers", "linear, ReLU, dropout", "linear, ReLU, dropout", "linear", "mean over frames",
                        "linear, ReLU", "linear to classes"],
    }  # fmt: skip
    figure, axis = plt.subplots(figsize=(8.5, 4.6))
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
    """Corpora by rows, heads by colour: ours with intervals, the paper's numbers as crosses, a constant answer dotted."""
    import matplotlib.pyplot as plt

    corpora = list(dict.fromkeys(frame["corpus"]))
    figure, axis = plt.subplots(figsize=(8.5, 1.2 + 0.75 * len(corpora)))
    for i, (head, part) in enumerate(frame.groupby("head", sort=False)):
        y = np.array([corpora.index(c) for c in part["corpus"]]) + 0.22 * (i - 1)
        errors = np.array([part["value"] - part["low"], part["high"] - part["value"]])
        axis.errorbar(part["value"], y, xerr=errors, fmt="osD"[i], color=COLOURS[i], capsize=3, label=f"ours, {head}")
        axis.plot(
            part["paper"],
            y,
            "x",
            color=COLOURS[i],
            markersize=9,
            markeredgewidth=2,
            label=f"paper, {head}" if part["paper"].notna().any() else None,
        )
    for row in frame.drop_duplicates("corpus").itertuples():
        axis.vlines(row.constant, corpora.index(row.corpus) - 0.4, corpora.index(row.corpus) + 0.4, color="0.4", linestyle=":")
    axis.set_yticks(range(len(corpora)), corpora)
    axis.set(xlabel="macro F1, %", xlim=(0, 100))
    axis.invert_yaxis()
    axis.grid(axis="x", alpha=0.3)
    figure.legend(loc="outside upper right", fontsize=8, ncols=4)
    return closed(figure)


def ways(frame: pd.DataFrame, papers: dict[str, float], titles: dict[str, str]):
    """A panel a corpus, a row a tested speaker: each way to keep the speakers apart is a dot; dashed: the paper's number."""
    import matplotlib.pyplot as plt

    corpora = list(dict.fromkeys(frame["corpus"]))
    rows = [frame.loc[frame["corpus"] == c, "tested"].nunique() for c in corpora]
    figure, axes = plt.subplots(len(corpora), 1, figsize=(8.5, 1.2 + 0.32 * sum(rows)), sharex=True, squeeze=False, height_ratios=rows)
    for axis, corpus in zip(axes[:, 0], corpora, strict=True):
        part = frame[frame["corpus"] == corpus]
        order = part.groupby("tested")["f1"].median().sort_values(ascending=False).index.tolist()
        for whole, colour, label in ((False, COLOURS[4], "one speaker left out"), (True, COLOURS[0], "all speakers")):
            dots = part[(part["absent"] == "") == whole]
            height = np.array([order.index(s) for s in dots["tested"]]) + (0.15 if whole else -0.15)
            axis.plot(dots["f1"], height, "o", color=colour, markersize=4, alpha=0.7, label=label if len(dots) else None)
        if np.isfinite(papers[corpus]):
            axis.axvline(papers[corpus], color=COLOURS[1], linestyle="--", label="the paper")
        axis.set_yticks(range(len(order)), order, fontsize=8)
        axis.set(title=titles.get(corpus, corpus), ylabel="speaker tested", xlim=(0, 100))
        axis.grid(axis="x", alpha=0.3)
    axes[-1, 0].set_xlabel("macro F1, %")
    entries = {label: handle for axis in axes[:, 0] for handle, label in zip(*axis.get_legend_handles_labels(), strict=True)}
    figure.legend(entries.values(), entries.keys(), loc="outside upper right", fontsize=8, ncols=3)
    return closed(figure)


def layer_map(weights: pd.DataFrame, titles: dict[str, str]):
    """The paper's Figure 2: a row an encoder, a column a layer, dark where its weight is large; means over corpora and seeds."""
    import matplotlib.pyplot as plt

    rows = weights.groupby(["encoder", "layer"], sort=False)["weight"].mean().unstack("layer")
    figure, axis = plt.subplots(figsize=(8.5, 1.1 + 0.5 * len(rows)))
    limit = float(rows.max().max())
    drawn = axis.imshow(rows.to_numpy(), cmap="Greys", vmin=0, vmax=limit, aspect="auto")
    axis.set_yticks(range(len(rows)), [titles.get(e, e) for e in rows.index], fontsize=8)
    axis.set_xticks(range(rows.shape[1]), rows.columns)
    axis.set_xlabel("transformer layer")
    for (i, j), value in np.ndenumerate(rows.to_numpy()):
        if np.isfinite(value):
            axis.text(j, i, f"{value:.2f}", ha="center", va="center", fontsize=7, color="white" if value > limit / 2 else "black")
    figure.colorbar(drawn, ax=axis, label="weight", pad=0.01)
    return closed(figure)


def layers_beside_probes(weights: pd.DataFrame, probes: pd.DataFrame, title: str):
    """For one corpus and encoder: the learnt weight of each layer (bars) and what a Linear head gets from it alone (line)."""
    import matplotlib.pyplot as plt

    figure, axis = plt.subplots(figsize=(8.5, 3.0))
    layers = sorted(set(weights["layer"]) | set(probes["layer"]))
    if len(weights):
        mean = weights.groupby("layer")["weight"].mean()
        axis.bar(mean.index, mean, color=COLOURS[5], label="weight learnt by Multi-Layer")
    axis.set(xlabel="transformer layer", ylabel="weight", title=title, xticks=layers)
    if len(probes):
        other = axis.twinx()
        grouped = probes.groupby("layer")["f1"]
        other.errorbar(
            grouped.mean().index, grouped.mean(), yerr=grouped.std(), color=COLOURS[1], marker="o", capsize=3, label="F1 of Linear"
        )
        other.set(ylabel="macro F1, %", ylim=(0, 100))
        other.spines["right"].set_visible(True)
    figure.legend(loc="outside upper right", fontsize=8, ncols=2)
    return closed(figure)


def confusion(true: Sequence[str], predicted: Sequence[str], title: str):
    """Rows are what was acted, columns what was heard, in percent of the row."""
    import matplotlib.pyplot as plt

    table = pd.crosstab(pd.Series(true, name="acted"), pd.Series(predicted, name="heard"), normalize="index") * 100
    names = sorted(set(true) | set(predicted))
    table = table.reindex(index=names, columns=names, fill_value=0.0)
    figure, axis = plt.subplots(figsize=(5.6, 4.8))
    drawn = axis.imshow(table.to_numpy(), cmap="Blues", vmin=0, vmax=100)
    axis.set_xticks(range(len(names)), names, rotation=45, ha="right", fontsize=8)
    axis.set_yticks(range(len(names)), names, fontsize=8)
    for (i, j), value in np.ndenumerate(table.to_numpy()):
        if value >= 0.5:
            axis.text(j, i, f"{value:.0f}", ha="center", va="center", fontsize=8, color="white" if value > 55 else "black")
    axis.set(xlabel="heard", ylabel="acted", title=title)
    figure.colorbar(drawn, ax=axis, label="% of those acted", shrink=0.8)
    return closed(figure)


def cards(facts: dict[str, dict[str, str]]) -> Any:
    """A card each, to be opened: names and what is known of each."""
    parts = []
    for title, lines in facts.items():
        rows = "".join(f"<dt>{html.escape(name)}</dt><dd>{html.escape(text)}</dd>" for name, text in lines.items())
        parts.append(f"<details><summary>{html.escape(title)}</summary><dl>{rows}</dl></details>")
    return html_output(f'<div class="sqa-cards">{"".join(parts)}</div>')


def gallery(shown: dict[str, Any], name: str, label: str, alt: str) -> Any:
    """Figures of which one is seen: chosen from a list, without a kernel. Plain HTML and script."""
    images = {text: f"data:image/png;base64,{base64.b64encode(_png(figure)).decode()}" for text, figure in shown.items()}
    if not images:
        return html_output('<p class="sqa-absent">Not available here.</p>')
    first = next(iter(images))
    options = "".join(f'<option value="{html.escape(k)}">{html.escape(k)}</option>' for k in images)
    data = json.dumps({"images": images, "alt": alt}, separators=(",", ":")).replace("</", "<\\/")
    return html_output(
        f'<div class="sqa-gallery" id="{html.escape(name)}"><div class="sqa-controls"><label>{html.escape(label)} '
        f'<select>{options}</select></label> <button type="button">next</button></div>'
        f'<img alt="{html.escape(alt)}: {html.escape(first)}" src="{images[first]}">'
        f'<script type="application/json">{data}</script></div>'
    )


def _png(figure: Any) -> bytes:
    buffer = io.BytesIO()
    figure.savefig(buffer, dpi=100)
    return buffer.getvalue()


def guess(groups: dict[str, Sequence[tuple[audio.Sound, str, str]]], status: str) -> Any:
    """Sentences with their emotion hidden, by language, the first of them open: listen, guess, and open the answer.
    (sound, what is told, the emotion)."""
    return html_output("".join(_guesses(name, heard, status, not i) for i, (name, heard) in enumerate(groups.items())))


def _guesses(name: str, heard: Sequence[tuple[audio.Sound, str, str]], status: str, shown: bool) -> str:
    parts = [
        f'<div class="sqa-guess">{player(sound, told, status).data}'
        f"<details><summary>Which emotion?</summary><p>{html.escape(emotion)}</p></details></div>"
        for sound, told, emotion in heard
    ]
    return (
        f'<details class="sqa-language"{" open" if shown else ""}><summary>{html.escape(name)}</summary>'
        f'<div class="sqa-guesses">{"".join(parts)}</div></details>'
    )
