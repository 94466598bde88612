"""Figures of the chapter on JSQA."""

import numpy as np
import pandas as pd

from ...corpora.jnd_pairs import LAWS
from ...figures.style import COLOURS, MARKERS, closed, narrow, width_in
from .tables import CURVES, ENCODERS, LISTENERS, STARTS, TESTS
from .trials import NOISES


def answers(table: pd.DataFrame):
    """Share of "different" by gap, one line per kind of noise, and the paper's 2 to 6 dB shaded."""
    import matplotlib.pyplot as plt

    figure, axis = plt.subplots(figsize=(min(width_in(), 6.8), 3.6))
    kinds = [c for c in table if c.replace(" ", "_") in NOISES]
    for i, kind in enumerate(kinds):
        axis.plot(
            table["gap, dB"], 100 * table[kind], f"{MARKERS[i % len(MARKERS)]}-", color=COLOURS[i % len(COLOURS)], markersize=4, label=kind
        )
    inside = [i for i, name in enumerate(table["gap, dB"]) if name in ("2 to 3", "3 to 4", "4 to 6")]
    if inside:
        axis.axvspan(inside[0] - 0.5, inside[-1] + 0.5, color="0.9", zorder=0)
    axis.axhline(50, color="0.6", linewidth=0.8)
    axis.set(xlabel="gap between the two levels, dB", ylabel='"different", %', ylim=(0, 100))
    axis.tick_params(axis="x", labelsize=8, rotation=30)
    figure.legend(loc="outside lower center", ncols=3 if narrow() else 4)
    return closed(figure)


def boundaries(table: pd.DataFrame):
    """The least gap that an SVM calls different: by level for listeners' answers, by SNR for the stated function, one line per midpoint."""
    import matplotlib.pyplot as plt

    figure, axes = plt.subplots(1, 2, figsize=(width_in(), 3.0), sharey=True)
    for axis, listeners in zip(axes, (True, False), strict=True):
        part = table[(table["answers"] == LISTENERS) == listeners]
        for i, (name, one) in enumerate(part.groupby("answers", sort=False)):
            label = str(name).removeprefix("stated function, ")
            axis.plot(one["level or SNR, dB"], one["gap, dB"], f"{MARKERS[i]}-", color=COLOURS[i], markersize=4, label=label)
            axis.fill_between(one["level or SNR, dB"], one["least"], one["largest"], color=COLOURS[i], alpha=0.15, linewidth=0)
        axis.axhspan(2, 6, color="0.9", zorder=0)
        axis.set(xlabel="level of the pair, dB" if listeners else "SNR, dB", title="listeners' answers" if listeners else "stated function")
        if not listeners:
            axis.legend(fontsize=7)
    axes[0].set_ylabel("least gap called different, dB")
    axes[0].set_ylim(bottom=0)
    return closed(figure)


def surfaces(table: pd.DataFrame):
    """The decision functions over level or SNR and gap: listeners' answers, and the stated function with its midpoint at 3 dB."""
    import matplotlib.pyplot as plt

    shown = {LISTENERS: "level of the pair, dB", "stated function, midpoint 3 dB": "SNR, dB"}
    shown = {name: label for name, label in shown.items() if name in set(table["answers"])}
    figure, axes = plt.subplots(1, len(shown), figsize=(width_in(), 3.2), sharey=True, squeeze=False)
    for axis, (name, label) in zip(axes[0], shown.items(), strict=True):
        grid = table[table["answers"] == name].pivot(index="gap_db", columns="first_db", values="value")
        limit = float(grid.abs().to_numpy().max())
        mesh = axis.pcolormesh(grid.columns, grid.index, grid, cmap="PuOr_r", vmin=-limit, vmax=limit, shading="nearest", rasterized=True)
        axis.contour(grid.columns, grid.index, grid, levels=[0.0], colors="black")
        for gap in (2, 6):
            axis.axhline(gap, color="black", linewidth=0.8, linestyle="--")
        axis.set(xlabel=label, title=name)
        figure.colorbar(mesh, ax=axis, label="decision function")
    axes[0, 0].set_ylabel("gap, dB")
    return closed(figure)


def calibration(table: pd.DataFrame):
    """Share called different over the SVM's probability of it."""
    import matplotlib.pyplot as plt

    figure, axis = plt.subplots(figsize=(0.6 * width_in(), 3.2))
    share = table["share called different"]
    ends = [share - table["share called different, low"], table["share called different, high"] - share]
    axis.plot([0, 1], [0, 1], color="0.6", linewidth=1, label="perfect")
    axis.errorbar(table["probability of different"], share, yerr=ends, fmt="o-", color=COLOURS[0], markersize=4, label="SVM")
    axis.set(xlabel='probability of "different" by the SVM', ylabel='share of answers "different"', xlim=(0, 1), ylim=(0, 1))
    axis.legend()
    return closed(figure)


def distances(table: pd.DataFrame):
    """Cosine distance over the gap, one panel per encoder, one line per SNR."""
    import matplotlib.pyplot as plt

    encoders = [name for name in ENCODERS.values() if name in set(table["encoder"])]
    figure, axes = plt.subplots(1, len(encoders), figsize=(width_in(), 3.0), squeeze=False)
    for axis, encoder in zip(axes[0], encoders, strict=True):
        for i, (snr, part) in enumerate(table[table["encoder"] == encoder].groupby("SNR, dB")):
            axis.plot(part["gap, dB"], part["distance"], f"{MARKERS[i]}-", color=COLOURS[i], markersize=4, label=f"from {snr:g} dB SNR")
            axis.fill_between(part["gap, dB"], part["distance, low"], part["distance, high"], color=COLOURS[i], alpha=0.15, linewidth=0)
        axis.axvspan(2, 6, color="0.9", zorder=0)
        axis.set(title=encoder, xlabel="gap, dB")
        axis.title.set_fontsize(9)
    axes[0, 0].set_ylabel("cosine distance")
    handles, labels = axes[0, 0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=3)
    return closed(figure)


def embedding(table: pd.DataFrame):
    """Distance over the gap, in percent of the distance at the widest gap: a line for each start, dashed the difference in MOS."""
    import matplotlib.pyplot as plt

    figure, axis = plt.subplots(figsize=(width_in(), 3.6))
    for i, (name, part) in enumerate(table.groupby("pretrained on", sort=False)):
        axis.plot(
            part["gap, dB"], part["distance, %"], f"{MARKERS[i % len(MARKERS)]}-", color=COLOURS[i % len(COLOURS)], markersize=4, label=name
        )
    first = table[table["pretrained on"] == table["pretrained on"].iloc[0]]
    axis.plot(first["gap, dB"], first["MOS difference, %"], "--", color="0.3", label="difference in MOS (PESQ)")
    axis.axvspan(2, 6, color="0.9", zorder=0)
    axis.set(xlabel="gap, dB", ylabel="% of the value at 20 dB")
    figure.legend(loc="outside lower center", ncols=1 if narrow() else 2)
    return closed(figure)


def epochs(table: pd.DataFrame):
    """Validation by epoch, one panel per stage: a thin line a seed, a thick one the mean of a start."""
    import matplotlib.pyplot as plt

    stages = [stage for stage in ("pretraining", "tuning") if stage in set(table["stage"])]
    figure, axes = plt.subplots(1, len(stages), figsize=(width_in(), 3.0), squeeze=False)
    for axis, stage in zip(axes[0], stages, strict=True):
        of_stage = table[table["stage"] == stage]
        for i, start in enumerate(STARTS.values()):
            part = of_stage[of_stage["start"] == start]
            for _, one in part.groupby("seed"):
                axis.plot(one["epoch"], one["value"], color=COLOURS[i], linewidth=0.7, alpha=0.5)
            if len(part):
                mean = part.groupby("epoch")["value"].mean()
                axis.plot(mean.index, mean, f"{MARKERS[i]}-", color=COLOURS[i], markersize=4, label=start)
        measure = of_stage["measure"].iloc[0]
        axis.set(title=stage, xlabel="epoch", ylabel="contrastive loss" if measure == "loss" else measure)
        axis.xaxis.get_major_locator().set_params(integer=True)
    handles, labels = axes[0, -1].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=1 if narrow() else 3)
    return closed(figure)


def curves(table: pd.DataFrame):
    """PCC with listeners over hours of pairs, and over labelled calls: a line for each start, its interval shaded."""
    import matplotlib.pyplot as plt

    present = [name for name in CURVES.values() if name in set(table["curve"])]
    figure, axes = plt.subplots(1, len(present), figsize=(width_in(), 3.0), squeeze=False, sharey=True)
    colours = {start: COLOURS[i] for i, start in enumerate(STARTS.values())}
    column = f"PCC, {TESTS['fullband']}"
    for axis, curve in zip(axes[0], present, strict=True):
        for start, part in table[table["curve"] == curve].groupby("start", sort=False):
            colour = colours[str(start)]
            axis.plot(part["amount"], part[column], f"{MARKERS[list(colours).index(str(start))]}-", color=colour, markersize=4, label=start)
            if part["seeds"].min() > 1:  # one seed has no interval
                axis.fill_between(part["amount"], part[f"{column}, low"], part[f"{column}, high"], color=colour, alpha=0.15, linewidth=0)
        axis.set(xlabel=curve)
    axes[0, 0].set_ylabel("PCC, P.835 full band")
    handles, labels = axes[0, -1].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=1 if narrow() else 2)
    return closed(figure)


def law():
    """Densities of the SNRs of both members and of their gap, as they are drawn here."""
    import matplotlib.pyplot as plt

    rng, chosen = np.random.default_rng(0), LAWS["2 to 6 dB"]
    first = rng.uniform(*chosen.snr_db, 20_000)
    gap = rng.uniform(*chosen.gap_db, 20_000) * rng.choice([-1, 1], 20_000)
    figure, axes = plt.subplots(1, 2, figsize=(width_in(), 2.6))
    for values, colour, label in ((first, COLOURS[0], "first"), (first + gap, COLOURS[1], "second")):
        axes[0].hist(values, bins=42, range=(-12, 37), histtype="step", density=True, color=colour, label=label)
    axes[1].hist(gap, bins=40, range=(-8, 8), histtype="step", density=True, color=COLOURS[2])
    axes[0].set(xlabel="SNR, dB", ylabel="density")
    axes[0].legend()
    axes[1].set(xlabel="second − first, dB")
    return closed(figure)
