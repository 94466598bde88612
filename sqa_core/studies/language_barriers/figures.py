"""Figures of the chapter on language barriers."""

from typing import Any

import numpy as np
import pandas as pd

from ...figures.charts import intervals
from ...figures.style import COLOURS, MARKERS, closed, narrow, width_in
from ...metrics import bias_corrected, fit_mapping
from . import selection
from .selection import DIMENSION_TITLES, LANGUAGES, NISQA, OURS, PAPERS, TITLES, Grid
from .tables import PARTS


def _networks(of: Grid | pd.DataFrame) -> list[str]:
    """The networks of a grid or table in the order of `TITLES`, which also gives each its colour."""
    here = set(of["network"]) if isinstance(of, pd.DataFrame) else {network for network, _, _ in of}
    return [title for title in TITLES.values() if title in here]


def profiles(of: Grid):
    """PCC over the paper's languages, one panel per dimension, one line per network, with 95 % intervals over items."""
    import matplotlib.pyplot as plt

    networks = _networks(of)
    columns = 2 if narrow() else 3
    rows = -(-len(DIMENSION_TITLES) // columns)
    figure, axes = plt.subplots(rows, columns, figsize=(width_in(), 2.5 * rows + 0.7), sharey=True, squeeze=False)
    for axis, (dimension, title) in zip(axes.flat, DIMENSION_TITLES.items(), strict=False):
        for i, network in enumerate(networks):
            languages = [x for x in PAPERS if (network, x, dimension) in of]
            found = [bias_corrected(of[network, x, dimension]) for x in languages]
            if found:
                x = np.array([PAPERS.index(language) for language in languages]) + 0.08 * (i - (len(networks) - 1) / 2)
                low, high = ([abs(getattr(f, end) - f.value) for f in found] for end in ("low", "high"))
                axis.errorbar(
                    x, [f.value for f in found], [low, high], fmt=f"{MARKERS[i]}-", color=COLOURS[i], capsize=2, markersize=4, label=network
                )
        axis.set(title=title)
        axis.set_xticks(range(len(PAPERS)), PAPERS)
        axis.grid(axis="y", alpha=0.3)
    for axis in axes.flat[len(DIMENSION_TITLES) :]:
        axis.axis("off")
    for row in axes:
        row[0].set_ylabel("PCC")
    handles, labels = axes[0, 0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=1 if narrow() else 2)
    return closed(figure)


def spread(table: pd.DataFrame):
    """Range of PCC over languages against its mean, one marker per network and dimension: steadier, or only lower?"""
    import matplotlib.pyplot as plt

    figure, axis = plt.subplots(figsize=(min(width_in(), 6.2), 4.2))
    for i, network in enumerate(_networks(table)):
        part = table[table["network"] == network]
        errors = np.abs(part[["range of PCC, low", "range of PCC, high"]].to_numpy().T - part["range of PCC"].to_numpy())
        axis.errorbar(part["mean of PCC"], part["range of PCC"], errors, fmt=MARKERS[i], color=COLOURS[i], capsize=2, label=network)
        for row in part.itertuples():
            axis.annotate(str(row.dimension), (row[3], row[6]), textcoords="offset points", xytext=(5, 4), fontsize=7, color=COLOURS[i])
    axis.axhline(0.2, color="0.6", linestyle=":", linewidth=1)
    axis.set(xlabel="mean PCC over the test languages", ylabel="range of PCC over the test languages", ylim=(0, None))
    axis.grid(alpha=0.3)
    figure.legend(loc="outside lower center", ncols=1 if narrow() else 2)
    return closed(figure)


def one_scatter(axis: Any, part: pd.DataFrame, dimension: str, colour: str) -> None:
    """Labels against predictions with the monotone mapping of third order."""
    known = part.dropna(subset=[dimension])
    x, y = known[f"predicted {dimension}"].to_numpy(float), known[dimension].to_numpy(float)
    axis.plot([1, 5], [1, 5], color="0.75", linewidth=1, zorder=0)
    axis.scatter(x, y, s=7, alpha=0.6, color=colour, linewidths=0)
    if len(x) > 4:
        line = np.linspace(x.min(), x.max(), 100)
        axis.plot(line, fit_mapping(x, y)(line), color="black", linewidth=1.2)
    axis.set(xlim=(0.8, 5), ylim=(0.8, 5))


def scatters(table: pd.DataFrame, status: str) -> dict[str, Any]:
    """Scatter figures of both networks for every language and dimension, by the name in a list."""
    import matplotlib.pyplot as plt

    rows = table[(table["status"] == status) & (table["seed"] == 0) & table["network"].isin(OURS)]
    out = {}
    for language in (x for x in LANGUAGES if x in set(rows["language"])):
        for dimension, title in DIMENSION_TITLES.items():
            figure, axes = plt.subplots(1, 2, figsize=(6.4, 3.3), sharey=True)
            for axis, network, colour in zip(axes, OURS, COLOURS, strict=False):
                part = rows[(rows["network"] == network) & (rows["language"] == language)]
                one_scatter(axis, part, dimension, colour)
                axis.set(title=network, xlabel=f"predicted {title}")
            axes[0].set_ylabel("label (PESQ)" if dimension != "loud" else "label (level)")
            out[f"{LANGUAGES[language]}: {title}"] = closed(figure)
    return out


def real_profile(of: Grid):
    """PCC of MOS on real voices, one row per language, with 95 % intervals over items."""
    import matplotlib.pyplot as plt

    networks = _networks(of)
    languages = [x for x in LANGUAGES if any((n, x, "mos") in of for n in networks)]
    figure, axis = plt.subplots(figsize=(min(width_in(), 6.8), 1.2 + 0.5 * len(languages)))
    for i, network in enumerate(networks):
        found = {x: bias_corrected(of[network, x, "mos"]) for x in languages if (network, x, "mos") in of}
        frame = pd.DataFrame([f._asdict() for f in found.values()]).assign(y=[languages.index(x) for x in found])
        intervals(frame, axis, network, 0.16 * (i - (len(networks) - 1) / 2), i)
    axis.set_yticks(range(len(languages)), [LANGUAGES[x] for x in languages])
    axis.set(xlabel="PCC of MOS with PESQ", xlim=(None, 1))
    axis.invert_yaxis()
    axis.grid(axis="x", alpha=0.3)
    figure.legend(loc="outside lower center", ncols=1 if narrow() else 2)
    return closed(figure)


def gaps(table: pd.DataFrame):
    """Mean fall of discontinuity over the length of one gap, one panel per network, one line per language."""
    import matplotlib.pyplot as plt

    networks = _networks(table)
    across = 2
    down = -(-len(networks) // across)
    figure, axes = plt.subplots(down, across, figsize=(width_in(), 2.6 * down + 0.6), sharex=True, sharey=False, squeeze=False)
    for axis in axes.flat[len(networks) :]:
        axis.axis("off")
    for axis, network in zip(axes.flat, networks, strict=False):
        part = table[table["network"] == network]
        for i, language in enumerate(LANGUAGES[x] for x in PAPERS):
            rows = part[part["language"] == language]
            if len(rows):
                marker, low_high = MARKERS[i], (rows["change, low"], rows["change, high"])
                axis.plot(rows["gap, ms"], rows["change"], f"{marker}-", color=COLOURS[i], markersize=4, label=language)
                axis.fill_between(rows["gap, ms"], *low_high, color=COLOURS[i], alpha=0.12, linewidth=0)
        axis.axhline(0, color="0.6", linewidth=0.8)
        axis.set(xscale="log", title=f"{network} ({part['output'].iloc[0]})")
        axis.title.set_fontsize(9)
        axis.set_xticks([10, 40, 160, 400], ["10", "40", "160", "400"])
        axis.minorticks_off()
    for axis in axes[-1]:
        axis.set_xlabel("length of the gap, ms")
    figure.supylabel("change of the score", fontsize=9)
    handles, labels = axes[0, 0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=3 if narrow() else 6)
    return closed(figure)


AXES = {"level": ("active level, dBov", False), "band": ("upper band limit, Hz", True), "rate": ("sample rate, Hz", True)}


def sensitivity(table: pd.DataFrame):
    """Mean MOS of clean calls over level, bandwidth and rate, one line per network; real voices solid, synthetic ones dashed."""
    import matplotlib.pyplot as plt

    across = 1 if narrow() else len(AXES)
    figure, axes = plt.subplots(
        -(-len(AXES) // across), across, figsize=(width_in(), 2.9 * (len(AXES) // across) + 0.7), sharey=True, squeeze=False
    )
    networks = _networks(table)
    for axis, (name, (label, log)) in zip(axes.flat, AXES.items(), strict=True):
        for i, network in enumerate(networks):
            for voices, line in (("real", "-"), ("synthetic", "--")):
                part = table[(table["axis"] == name) & (table["network"] == network) & (table["voices"] == voices)]
                axis.plot(
                    part["value"],
                    part["mos"],
                    f"{MARKERS[i]}{line}",
                    color=COLOURS[i],
                    markersize=3.5,
                    label=network if voices == "real" else None,
                )
        axis.set(xlabel=label)
        if log:
            axis.set_xscale("log")
            axis.set_xticks([1000, 3000, 10_000, 30_000], ["1 k", "3 k", "10 k", "30 k"])
            axis.minorticks_off()
        axis.grid(axis="y", alpha=0.3)
    for row in axes:
        row[0].set_ylabel("mean predicted MOS")
    handles, labels = axes[0, 0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=1 if narrow() else 2)
    return closed(figure)


def variance(table: pd.DataFrame):
    """Shares of the variance of errors, one bar per network."""
    import matplotlib.pyplot as plt

    figure, axis = plt.subplots(figsize=(width_in(), 0.9 + 0.5 * len(table)))
    left = np.zeros(len(table))
    for name, colour in zip(PARTS, COLOURS, strict=False):
        axis.barh(table["network"], table[name], left=left, color=colour, label=name)
        left += table[name].to_numpy()
    axis.set(xlabel="share of the variance of errors, %", xlim=(0, 100))
    axis.invert_yaxis()
    figure.legend(loc="outside upper center", ncols=2 if narrow() else 4)
    return closed(figure)


def learning_curves(records: list):
    """Training loss and validation RMSE by epoch, one line per network and seed."""
    import matplotlib.pyplot as plt

    figure, axes = plt.subplots(1, 2, figsize=(width_in(), 2.7))
    for r in (r for r in records if not selection.variant_of(r)):
        i = 0 if selection.title_of(r) == NISQA else 1
        for axis, key in zip(axes, ("training_loss", "validation_rmse"), strict=True):
            axis.plot(
                range(1, 1 + len(r.metrics[key])),
                r.metrics[key],
                color=COLOURS[i],
                alpha=0.8,
                label=f"{selection.title_of(r)}, seed {r.trial['seed']}",
            )
    axes[0].set(xlabel="epoch", ylabel="training loss", yscale="log")
    axes[1].set(xlabel="epoch", ylabel="validation RMSE of MOS")
    axes[1].legend(fontsize=7)
    return closed(figure)
