"""Figures of the page on scoring."""

import pandas as pd

from ...figures.style import COLOURS, closed, width_in


def rates_scatter(files: pd.DataFrame):
    """Scores at 48 kHz against scores at the file's own rate, one panel per network."""
    import seaborn as sns

    grid = sns.relplot(files, x="mos", y="mos_48k", col="network", height=2.9, s=22, alpha=0.8, linewidth=0)
    for axis in grid.axes.flat:
        axis.plot([1, 5], [1, 5], color="0.6", linewidth=1, zorder=0)
    grid.set_titles("{col_name}").set_axis_labels("predicted MOS, own rate", "at 48 kHz")
    return closed(grid.figure)


def windows_over_time(frame: pd.DataFrame):
    """Predicted MOS of windows, each drawn over the time it covers."""
    import matplotlib.pyplot as plt

    figure, axis = plt.subplots(figsize=(width_in(), 2.6))
    axis.hlines(frame["mos"], frame["start_s"], frame["end_s"], linewidth=3, alpha=0.6)
    axis.plot((frame["start_s"] + frame["end_s"]) / 2, frame["mos"], "o", color=COLOURS[1])
    axis.set(xlabel="time, s", ylabel="predicted MOS", ylim=(0.8, 5.2))
    return closed(figure)
