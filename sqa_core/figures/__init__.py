"""What pages are drawn with: the book's style, tables, provenance, players, maps, charts and interactive figures."""

from .page import absent, figure, glue, provenance, run_card, shown, table, with_data
from .players import grid, guess, player, players
from .style import closed, style
from .verdicts import answer, badge, forest
from .widgets import abx, bars, cards, folded, gallery, live_changes, live_occlusion, live_pair, live_strength

__all__ = [
    "absent",
    "abx",
    "answer",
    "badge",
    "bars",
    "cards",
    "closed",
    "figure",
    "folded",
    "forest",
    "gallery",
    "glue",
    "grid",
    "guess",
    "live_changes",
    "live_occlusion",
    "live_pair",
    "live_strength",
    "player",
    "players",
    "provenance",
    "run_card",
    "shown",
    "style",
    "table",
    "with_data",
]
