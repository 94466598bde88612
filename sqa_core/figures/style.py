"""The look of the book: one seaborn theme and one set of colours for every figure."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

# Okabe and Ito's colours, which are distinguishable with every kind of colour vision.
MARKERS = "osD^v<P"  # one for each of the colours, for those who do not see these
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")
SIGNED = "PuOr_r"  # maps of signed values: orange raises, violet lowers, white is zero
WIDE_IN, NARROW_IN = 8.5, 4.3  # of a figure across the page of a desktop, and across a phone's
_widths = [WIDE_IN]


def width_in() -> float:
    """The width of a figure across the page, in inches: each is drawn for a desktop and again for a phone."""
    return _widths[-1]


def narrow() -> bool:
    """Whether the figure is being drawn for a phone."""
    return width_in() < WIDE_IN


@contextmanager
def drawn_at(width: float) -> Iterator[None]:
    """A context in which figures are drawn at another width."""
    _widths.append(width)
    try:
        yield
    finally:
        _widths.pop()


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
            "svg.hashsalt": "sqa",  # the same file for the same figure
        },
    )


def closed(figure: Any) -> Any:
    """The figure as the cell's value; pyplot would draw it a second time."""
    import matplotlib.pyplot as plt

    plt.close(figure)
    return figure
