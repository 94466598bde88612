"""Figures of the page on labels."""

import pandas as pd

from ...figures.style import closed


def pesq_scatter(items: pd.DataFrame):
    """Predicted MOS against PESQ."""
    import matplotlib.pyplot as plt
    import seaborn as sns

    figure, axis = plt.subplots(figsize=(4.6, 4.2))
    sns.scatterplot(items, x="pesq", y="mos", s=28, alpha=0.85, linewidth=0, ax=axis)
    axis.plot([1, 5], [1, 5], color="0.6", linewidth=1, zorder=0)
    axis.set(xlabel="PESQ wide band (MOS-LQO)", ylabel="predicted MOS")
    return closed(figure)
