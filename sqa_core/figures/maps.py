"""Maps: spectrograms, attributions and occlusion over time and mel bands, as figures, as pixels and as data."""

import base64
import io
import textwrap
from typing import Any

import numpy as np
import pandas as pd

from ..explain.files import Explanation
from .style import SIGNED, closed, narrow, width_in

HOP_S = 0.01  # of NISQA's front end
COLOUR_STEPS = 60  # from white to the strongest colour


def signed_map(axis, values: np.ndarray, limit: float | None = None, extent=None):
    """Draw a map of signed values, white at zero.

    Parameters
    ----------
    axis : a matplotlib axis.
    values : (rows, columns), the first row at the bottom.
    limit : absolute value at which the colours end; that of `colour_limit` if not given or 0.
    extent : left, right, bottom and top of the map in units of the axes; indices of columns and rows if not given.

    Returns
    -------
    The image, from which a colour bar can be made.
    """
    values = values.astype(np.float32)
    limit = limit or colour_limit(values)
    return axis.imshow(values, origin="lower", aspect="auto", cmap=SIGNED, vmin=-limit, vmax=limit, extent=extent, interpolation="nearest")


def colour_limit(values: np.ndarray) -> float:
    """Where the colours end: at the 99.5th percentile of the absolute values, so that a few points do not make the rest pale."""
    sizes = np.abs(values[np.isfinite(values)]).astype(np.float64)
    return float(np.quantile(sizes, 0.995)) or float(sizes.max()) or 1.0


def spectrogram_image(axis, mel: np.ndarray, extent=None):
    """Draw a spectrogram, low bands at the bottom.

    Parameters
    ----------
    axis : a matplotlib axis.
    mel : (mels, frames) in dB.
    extent : left, right, bottom and top in units of the axes; indices of frames and bands if not given.

    Returns
    -------
    The image, from which a colour bar can be made.
    """
    return axis.imshow(mel.astype(np.float32), origin="lower", aspect="auto", cmap="magma", extent=extent, interpolation="nearest")


TICKS_HZ = (250, 1000, 4000, 16_000)


def _extent(mel: np.ndarray, start_s: float, hop_s: float) -> tuple[float, float, float, float]:
    return (start_s, start_s + mel.shape[1] * hop_s, 0, mel.shape[0])


def _bands(axes, band_hz: np.ndarray | None) -> str:
    """Ticks of the axes' bands, in kHz where the bands' frequencies are given; the axis's name."""
    import matplotlib.ticker

    if band_hz is None:
        ticks, labels, name = [0.0, 24.0, 48.0], ["0", "24", "48"], "mel band"
    else:
        there = [hz for hz in TICKS_HZ if band_hz[0] <= hz <= band_hz[-1]]
        ticks = [float(np.interp(hz, band_hz, np.arange(len(band_hz)))) + 0.5 for hz in there]  # the middle of a band
        labels, name = [f"{hz / 1000:g}" for hz in there], "frequency, kHz"
    for axis in axes:
        axis.yaxis.set_major_locator(matplotlib.ticker.FixedLocator(ticks))
        axis.yaxis.set_major_formatter(matplotlib.ticker.FixedFormatter(labels))
    return name


def _below_the_spectrogram(mel: np.ndarray, rows: int, row_in: float, start_s: float, hop_s: float):
    """A figure with the spectrogram drawn at its top, its axes with `rows` empty ones below on the same time axis, and their extent."""
    import matplotlib.pyplot as plt

    figure, axes = plt.subplots(rows + 1, 1, figsize=(width_in(), 1.5 + row_in * rows), sharex=True)
    extent = _extent(mel, start_s, hop_s)
    figure.colorbar(spectrogram_image(axes[0], mel, extent), ax=axes[0], label="dB", pad=0.01)
    return figure, axes, extent


NARROW_TITLE = 44  # characters that fit above a map on a phone


def maps_over_time(
    mel: np.ndarray,
    maps: dict[str, np.ndarray],
    label: str,
    title: str = "the sound",
    start_s: float = 0.0,
    hop_s: float = HOP_S,
    band_hz: np.ndarray | None = None,
):
    """The spectrogram above one map a row, on one time axis; each map has its own colour scale.

    Parameters
    ----------
    mel : (mels, frames) in dB.
    maps : by name, each (mels, frames); at least one.
    label : of the maps' colour bars.
    title : above the spectrogram.
    start_s : where the spectrogram starts in its file, seconds.
    hop_s : from frame to frame, seconds.
    band_hz : (mels,) frequencies of the bands in Hz, for an axis in kHz; without them the axis shows band numbers.

    Returns
    -------
    A matplotlib figure.
    """
    figure, axes, extent = _below_the_spectrogram(mel, len(maps), 1.3, start_s, hop_s)
    axes[0].set_title(title, fontsize=9, loc="left")
    for axis, (name, values) in zip(axes[1:], maps.items(), strict=True):
        figure.colorbar(signed_map(axis, values, extent=extent), ax=axis, pad=0.01, extend="both").set_label(label, fontsize=7)
        axis.set_title("\n".join(textwrap.wrap(name, NARROW_TITLE)) if narrow() else name, fontsize=9, loc="left")
    figure.supylabel(_bands(axes, band_hz), fontsize=9)
    axes[-1].set_xlabel("time, s")
    return closed(figure)


def maps_frame(mel: np.ndarray, maps: dict[str, np.ndarray]) -> pd.DataFrame:
    """The data of maps beside their spectrogram; maps are rounded to less than the colours resolve.

    Parameters
    ----------
    mel : (mels, frames) in dB, with a hop of 10 ms.
    maps : by column name, each (mels, frames).

    Returns
    -------
    One row per point, band by band: `band` from 0, `time_s` from 0, `mel_db`, and a column for each map.

    Raises
    ------
    ValueError
        A map has another number of points than the spectrogram.
    """
    band, frame = np.indices(mel.shape)
    points: dict[str, Any] = {"band": band, "time_s": (frame * HOP_S).round(2), "mel_db": mel.astype(np.float64).round(1)}
    points |= {name: _rounded(values.astype(np.float64)) for name, values in maps.items()}
    return pd.DataFrame({name: np.ravel(values) for name, values in points.items()})


def _rounded(values: np.ndarray) -> np.ndarray:
    step = colour_limit(values) / COLOUR_STEPS
    return np.round(values / step) * step + 0.0  # no minus zero


def occlusion_maps(
    mel: np.ndarray,
    maps: dict[str, np.ndarray],
    score: float,
    output: str = "MOS",
    start_s: float = 0.0,
    hop_s: float = HOP_S,
    band_hz: np.ndarray | None = None,
):
    """The spectrogram above maps of the score's change, one row each; violet where hiding lowers the score, orange where it raises it.

    Parameters
    ----------
    mel : (mels, frames) in dB.
    maps : by the mask's name, each (mels, frames), NaN where no mask lay; at least one. All share one colour scale.
    score : of the whole sound.
    output : name of the score.
    start_s, hop_s, band_hz : as in `maps_over_time`.

    Returns
    -------
    A matplotlib figure.
    """
    figure, axes, extent = _below_the_spectrogram(mel, len(maps), 1.25, start_s, hop_s)
    axes[0].set(title=f"the sound, predicted {output} {score:.2f}")
    limit = max(float(np.nanmax(np.abs(m))) for m in maps.values()) or 1.0
    for axis, (name, values) in zip(axes[1:], maps.items(), strict=True):
        drawn = signed_map(axis, values, limit, extent)
        axis.set_title(name, fontsize=9, loc="left")
    axes[0].set_ylabel(_bands(axes, band_hz))
    figure.colorbar(drawn, ax=list(axes[1:]), label=f"change of {output}", pad=0.01)
    axes[-1].set_xlabel("time, s")
    return closed(figure)


def conductance_maps(
    segment: np.ndarray,
    maps: dict[str, np.ndarray],
    title: str,
    channels: int = 16,
    start_s: float | None = None,
    hop_s: float = HOP_S,
    band_hz=None,
):
    """A segment and the conductance of single channels, a block of rows for each map; a block has one colour scale.

    Parameters
    ----------
    segment : (mels, length) in dB.
    maps : by name, each (channels, height, width); at least one.
    channels : number of channels shown per map, those with the largest conductance. Maps with equally many channels show the same ones.
    start_s : where the segment starts in its file, seconds; without it there is no time axis.
    hop_s : from frame to frame, seconds; used with `start_s`.
    band_hz : (mels,) frequencies of the bands in Hz; without them there is no frequency axis.

    Returns
    -------
    A matplotlib figure.
    """
    import matplotlib.pyplot as plt

    def chosen(values: np.ndarray) -> np.ndarray:
        """The channels of the largest conductance, the same in all rows of one layer."""
        alike = [m for m in maps.values() if len(m) == len(values)]
        size = sum(np.abs(m).max(axis=(1, 2)) / max(float(np.abs(m).max()), 1e-12) for m in alike)
        return np.sort(np.argsort(-np.asarray(size))[:channels])

    count = max(len(chosen(m)) for m in maps.values())
    across = 8
    lines = -(-count // across)
    figure, axes = plt.subplots(lines * len(maps), across + 1, figsize=(width_in(), 1.7 * lines * len(maps)), squeeze=False)
    for axis in axes.flat:
        axis.set(xticks=[], yticks=[])
        axis.set_visible(False)
    for row, (name, values) in enumerate(maps.items()):
        first = axes[row * lines, 0]
        spectrogram_image(first, segment, None if start_s is None else _extent(segment, start_s, hop_s))
        first.set_title("the segment", fontsize=7)
        if start_s is not None:
            first.set_xticks([start_s, start_s + segment.shape[1] * hop_s])
            first.tick_params(labelsize=6)
            first.set_xlabel("time, s", fontsize=6)
        if band_hz is not None:
            first.set_ylabel(_bands([first], band_hz), fontsize=6)
        first.set_visible(True)
        limit = colour_limit(values)
        shown = [axes[row * lines + i // across, 1 + i % across] for i in range(len(chosen(values)))]
        for axis, channel in zip(shown, chosen(values), strict=True):
            drawn = signed_map(axis, values[channel], limit)
            axis.set_title(f"channel {channel}" if channel == chosen(values)[0] else str(channel), fontsize=7)
            axis.set_visible(True)
        bar = figure.colorbar(drawn, ax=list(axes[row * lines : (row + 1) * lines].flat), pad=0.01, aspect=30, extend="both")
        bar.set_label(f"{name}\nconductance", fontsize=6)
        bar.ax.tick_params(labelsize=6)
    figure.suptitle(title, fontsize=8)
    return closed(figure)


def correlation_matrices(matrices: dict[str, np.ndarray]):
    """Correlation of the features with each other, one panel per network."""
    import matplotlib.pyplot as plt
    import seaborn as sns

    figure, axes = plt.subplots(1, len(matrices), figsize=(width_in(), width_in() / len(matrices) + 0.2), squeeze=False)
    for axis, (name, matrix) in zip(axes[0], matrices.items(), strict=True):
        last = axis is axes[0, -1]
        ticks = {"xticklabels": 5, "yticklabels": 5}
        sns.heatmap(
            matrix, cmap=SIGNED, vmin=-1, vmax=1, square=True, cbar=last, cbar_kws={"label": "correlation", "shrink": 0.6}, ax=axis, **ticks
        )
        axis.set_title(name)
    figure.supxlabel("feature")
    return closed(figure)


def powers(value: float) -> str:
    """A small number as text.

    Examples
    --------
    >>> powers(6.2e-7)
    '6 × 10⁻⁷'
    """
    digits, exponent = f"{value:.0e}".split("e")
    return f"{digits} × 10{str(int(exponent)).translate(str.maketrans('-0123456789', '⁻⁰¹²³⁴⁵⁶⁷⁸⁹'))}"


def completeness_text(error: float, steps: int | None = None) -> str:
    """The completeness error that labels a map.

    Parameters
    ----------
    error : as `Attribution.relative_error` gives it; 0.01 is 1 %.
    steps : of the quadrature; left out if there are none.

    Returns
    -------
    Text such as "completeness error 3.0 % (50 steps; above our 1 % limit)".
    """
    size = f"{100 * error:.1f} %" if error > 0.001 else powers(error)
    about = [f"{steps} steps"] if steps else []
    about += ["above our 1 % limit"] if error > 0.01 else []
    return f"completeness error {size}" + (f" ({'; '.join(about)})" if about else "")


def magma_pixels(mel: np.ndarray) -> np.ndarray:
    import matplotlib as mpl

    return mpl.colormaps["magma"](((mel - mel.min()) / max(float(np.ptp(mel)), 1e-9)).astype(np.float32))


def signed_pixels(values: np.ndarray) -> np.ndarray:
    import matplotlib as mpl

    values = np.nan_to_num(values.astype(np.float32))
    return mpl.colormaps[SIGNED](0.5 + 0.5 * values / colour_limit(values))


def png_of_pixels(colours: np.ndarray) -> str:
    """Colours (bands, frames, RGBA) as a PNG in base64, one pixel a point, low bands at the bottom; the page scales it."""
    from PIL import Image

    pixels = (colours[::-1, :, :3] * 255).astype(np.uint8)
    buffer = io.BytesIO()
    Image.fromarray(pixels).quantize(128).save(buffer, "PNG", optimize=True)
    return base64.b64encode(buffer.getvalue()).decode()


def explanation(found: Explanation):
    """The figure of one explanation, as `sqa explain` writes it: in kHz and the file's own time."""
    about = {
        n: [m.follows] * bool(m.follows) + ([] if m.error is None else [completeness_text(m.error, m.steps)]) for n, m in found.maps.items()
    }
    maps = {"\n".join([", ".join([name, *about[name][:1]]), *about[name][1:]]): m.values for name, m in found.maps.items()}
    where: dict[str, Any] = {"hop_s": found.hop_s, "band_hz": found.band_hz}
    if found.method == "occlusion":
        output = found.output.upper() if found.output == "mos" else found.output
        return occlusion_maps(found.mel, maps, found.score, output, found.start_s, **where)
    if found.method == "conductance":
        assert found.segment is not None
        assert found.segment_start_s is not None
        error, steps = max((m.error or 0.0, m.steps) for m in found.maps.values())
        end_s = found.segment_start_s + found.segment.shape[1] * found.hop_s
        title = f"{found.network}: conductance at {found.segment_start_s:.2f} to {end_s:.2f} s, {completeness_text(error, steps)}"
        plain = {f"{name}\n{m.follows}": m.values for name, m in found.maps.items()}
        return conductance_maps(found.segment, plain, title, start_s=found.segment_start_s, **where)
    method = {"ig": "integrated gradients", "deeplift": "DeepLIFT of CNN outputs"}[found.method]
    return maps_over_time(found.mel, maps, "attribution", f"{found.network}: {method}", found.start_s, **where)
