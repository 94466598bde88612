"""What speaks against a score: how a sound differs from those that a network was trained on."""

from typing import Any, Literal

import numpy as np

from .. import audio
from ..models.weights import Network

MAX_DC_PERCENT = 1.0  # of full scale
BAND_SHARE = 0.9  # of the band that a network uses: speech ends a little below it


def advice(network: Network, report: dict[str, Any], channel: int | Literal["mean"] = "mean", opened: audio.Opened | None = None) -> str:
    """Whether a sound is like those the network was trained on: "fits", or what speaks against it, one phrase each.

    Parameters
    ----------
    network : What it was trained on decides.
    report : As `levels.report` gives it.
    channel : The one that is scored.
    opened : The sound as it was read; it knows whether its codec is lossy.

    Returns
    -------
    "fits", or the phrases, separated by semicolons.
    """
    shortest, longest = network.best_seconds
    bandwidth_hz = min(network.settings.mel.fmax, (network.settings.mel.sample_rate or 1e9) / 2)
    used = "mixed to one" if channel == "mean" else f"channel {channel} is scored"
    checks = [
        (report["level_dbov"] == -np.inf, "digital silence"),
        (not shortest <= report["seconds"] <= longest, f"{report['seconds']:.1f} s long, trained on {shortest:g} to {longest:g} s"),
        (
            _band_limited(report, bandwidth_hz),
            f"nothing above {_bandwidth(report) / 1000:.3g} kHz, the network uses up to {bandwidth_hz / 1000:g}",
        ),
        (abs(report["active_level_dbov"] + 26) > 10, f"active level {report['active_level_dbov']:.0f} dBov, usual is -26"),
        (report["clipped_percent"] > 0.1, f"{report['clipped_percent']:.1f} % of samples clipped"),
        (report["dc_percent"] > MAX_DC_PERCENT, f"DC of {report['dc_percent']:.1f} % of full scale"),
        (report["silence_inside_s"] > 0, f"{report['silence_inside_s']:.2f} s of digital silence inside"),
        (report["channels"] > 1, f"{report['channels']} channels, {used}"),
        (bool(report["silent_channels"]), f"silent channels: {report['silent_channels']}"),
        (
            report["mixing_loss_db"] > 10 * np.log10(report["channels"]) + 3,
            f"the channels cancel when they are mixed, by {report['mixing_loss_db']:.0f} dB",
        ),
        (opened is not None and opened.lossy, f"coded by {opened.codec if opened else ''}"),
    ]
    return "; ".join(text for failed, text in checks if failed) or "fits"


def _bandwidth(report: dict[str, Any]) -> float:
    """Hz up to which there is something; half the rate where that is not known."""
    measured = report["bandwidth_hz"]
    return min(report["rate_hz"] / 2, measured) if measured > 0 else report["rate_hz"] / 2


def _band_limited(report: dict[str, Any], used_hz: float) -> bool:
    return report["rate_hz"] / 2 < used_hz or _bandwidth(report) < BAND_SHARE * used_hz
