"""Scores of sounds: many files at once, failed files kept as rows with an error, long files in bounded memory."""

from .advice import advice
from .network import cnn_features, folded, fused_convolutions, mel_of, run_cnn, score_mels
from .rows import COLUMNS, as_table, columns, score, score_stream
from .sounds import Options, check

__all__ = [
    "COLUMNS",
    "Options",
    "advice",
    "as_table",
    "check",
    "cnn_features",
    "columns",
    "folded",
    "fused_convolutions",
    "mel_of",
    "run_cnn",
    "score",
    "score_mels",
    "score_stream",
]
