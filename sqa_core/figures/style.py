"""The look of the book: one seaborn theme and one set of colours for every figure."""

from typing import Any

# Okabe and Ito's colours, which are distinguishable with every kind of colour vision.
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")
SIGNED = "PuOr_r"  # maps of signed values: orange raises, violet lowers, white is zero
WIDTH_IN = 8.5  # of a figure across the page


def style() -> None:
    """Set the theme for every figure after this call. Figures have an opaque white background, so they are readable on a dark page too."""
    import seaborn as sns

    sns.set_theme(
        context="notebook",
        style="ticks",
        palette=COLOURS,
        rc={
            "figure.facecolor": "white",
            "savefig.facecolor": "white",
            "figure.dpi": 130,
            "figure.constrained_layout.use": True,
            "axes.spines.top": False,
            "axes.spines.right": False,
            "font.size": 10,
            "axes.labelsize": 10,
            "axes.titlesize": 10,
            "xtick.labelsize": 9,
            "ytick.labelsize": 9,
            "legend.fontsize": 9,
            "legend.frameon": False,
            "svg.hashsalt": "sqa",
        },
    )


def closed(figure: Any) -> Any:
    """The figure as the cell's value; pyplot would draw it a second time."""
    import matplotlib.pyplot as plt

    plt.close(figure)
    return figure
