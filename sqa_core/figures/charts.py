"""Charts that several pages draw: agreement with listeners, intervals, confusion matrices, numbers in a grid."""

from collections.abc import Sequence

import numpy as np
import pandas as pd

from ..results.records import Record
from .style import COLOURS, MARKERS, closed, narrow, width_in


def listeners_scatter(found: Sequence[Record], columns: int = 2):
    """Predicted against listeners' overall score, one panel per network, one colour and marker for each kind of condition.

    Parameters
    ----------
    found : one record per network, at least one. Their tables have `mos` (predicted), `mos_ovrl` (listeners), `condition`, `snr_db` and
        `mnru_q_db`; their metrics have `mos_pcc_file`.
    columns : panels side by side.

    Returns
    -------
    A matplotlib figure.

    Raises
    ------
    SettingsError
        A record has no table.
    """
    import matplotlib.pyplot as plt
    import seaborn as sns

    rows = -(-len(found) // columns)
    figure, axes = plt.subplots(rows, columns, figsize=(width_in(), 3.9 * rows), sharex=True, sharey=True, squeeze=False)
    for axis in axes.flat[len(found) :]:
        axis.axis("off")
    for axis, record in zip(axes.flat, found, strict=False):
        items = record.items().assign(condition_kind=_condition_kinds)
        first = axis is axes.flat[0]
        sns.scatterplot(
            items, x="mos_ovrl", y="mos", hue="condition_kind", style="condition_kind", hue_order=KINDS, style_order=KINDS,
            palette=COLOURS[: len(KINDS)], markers=list("osD^v"), s=28, alpha=0.85, linewidth=0, legend=first, ax=axis,
        )  # fmt: skip
        axis.plot([1, 5], [1, 5], color="0.6", linewidth=1, zorder=0)
        axis.set(title=f"{record.trial['network']}: r = {record.metrics['mos_pcc_file'][0]:.3f}", xlim=(0.8, 5.1), ylim=(0.5, 5.2))
        axis.set(xlabel="", ylabel="")
    sns.move_legend(axes.flat[0], "upper left", title=None)
    figure.supxlabel("listeners' overall score (MOS)")
    figure.supylabel("predicted MOS")
    return closed(figure)


KINDS = ("unimpaired", "MNRU", "noise", "both", "mild")


def _condition_kinds(items: pd.DataFrame) -> np.ndarray:
    noise, mnru = items["snr_db"] < 40, items["mnru_q_db"] < 40
    kinds = [items["condition"] == "c0", ~noise & mnru, noise & ~mnru, noise & mnru]
    return np.select(kinds, KINDS[:4], default=KINDS[4])


def intervals(frame: pd.DataFrame, axis, label: str | None = None, offset: float = 0.0, index: int = 0):
    """Draw values with their 95 % intervals on an axis, one row each.

    Parameters
    ----------
    frame : columns y (place of the row), value, low, high.
    axis : a matplotlib axis.
    label : of the series, in the legend.
    offset : added to y, so that several series do not overlap.
    index : of marker and colour (`style.COLOURS`), from 0.
    """
    errors = np.abs(frame[["low", "high"]].to_numpy().T - frame["value"].to_numpy())
    axis.errorbar(frame["value"], frame["y"] + offset, xerr=errors, fmt=MARKERS[index], color=COLOURS[index], capsize=3, label=label)


def agreement_intervals(frame: pd.DataFrame):
    """Correlations with their intervals, a row each, by file and by condition side by side, with the listeners' ceilings as lines."""
    import matplotlib.pyplot as plt

    names = list(frame[frame["by"] == "file"].sort_values("value")["name"])
    figure, axes = plt.subplots(1, 2, figsize=(width_in(), 1 + 0.42 * len(names)), sharey=True)
    for axis, by in zip(axes, ("file", "condition"), strict=True):
        part = frame[frame["by"] == by].set_index("name").loc[names].assign(y=range(len(names)))
        intervals(part, axis)
        axis.axvline(part["ceiling"].iloc[0], color=COLOURS[1], linestyle="--", label="listeners' ceiling")
        axis.set(xlabel=f"PCC by {by}", xlim=(0, 1.02))
        axis.grid(axis="x", alpha=0.3)
    axes[0].set_yticks(range(len(names)), names)
    figure.legend(*axes[0].get_legend_handles_labels(), loc="outside upper right")
    return closed(figure)


def confusion(true: Sequence[str], predicted: Sequence[str], title: str):
    """Confusion matrix in percent of each true class; values below 0.5 % are coloured but not printed.

    Parameters
    ----------
    true, predicted : (items,) names of classes.

    Returns
    -------
    A matplotlib figure.

    Raises
    ------
    ValueError
        The two differ in length.
    """
    import matplotlib.pyplot as plt
    from sklearn.metrics import ConfusionMatrixDisplay

    figure, axis = plt.subplots(figsize=(5.6, 4.8))
    shown = ConfusionMatrixDisplay.from_predictions(
        true, predicted, normalize="true", values_format=".0%", cmap="Blues", xticks_rotation=45, im_kw={"vmin": 0, "vmax": 1}, ax=axis,
        text_kw={"fontsize": 8},
    )  # fmt: skip
    for text, value in zip(shown.text_.flat, shown.confusion_matrix.flat, strict=True):
        text.set_visible(value >= 0.005)
    axis.set(xlabel="predicted", ylabel="true", title=title)
    return closed(figure)


SHORT_LABEL = 3  # characters below a cell of a figure for a phone


def heat_map(frame: pd.DataFrame, label: str, form: str = ".2f", cmap: str = "Greys", low: float | None = 0.0, high: float | None = None):
    """Numbers in a grid, coloured by their value; missing ones stay white.

    Parameters
    ----------
    frame : the numbers; row and column names are the tick labels.
    label : of the colour bar.
    form : format of the printed numbers.
    cmap : name of a matplotlib colour map.
    low, high : ends of the colour scale; None takes the smallest or largest number.

    Returns
    -------
    A matplotlib figure.
    """
    import matplotlib.pyplot as plt
    import seaborn as sns

    figure, axis = plt.subplots(figsize=(width_in(), 1.1 + 0.5 * len(frame)))
    sns.heatmap(
        frame, annot=True, fmt=form, cmap=cmap, vmin=low, vmax=high, linewidths=0.5, ax=axis, annot_kws={"size": 8},
        cbar_kws={"label": label, "pad": 0.01},
    )  # fmt: skip
    axis.tick_params(axis="y", rotation=0)
    if narrow() and max(map(len, map(str, frame.columns))) > SHORT_LABEL:
        axis.tick_params(axis="x", rotation=30)
    return closed(figure)
