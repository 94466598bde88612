"""Maps: spectrograms, attributions and occlusion over time and mel bands, as figures, as pixels and as data."""

import base64
import io
from typing import Any

import numpy as np
import pandas as pd

from ..explain.files import Explanation
from .style import SIGNED, closed, width_in

HOP_S = 0.01  # of NISQA's front end
COLOUR_STEPS = 60  # from white to the strongest colour


def signed_map(axis, values: np.ndarray, limit: float | None = None, extent=None):
    """Draw a map of signed values, white at zero; on its own scale unless a limit is given."""
    values = values.astype(np.float32)
    limit = limit or colour_limit(values)
    return axis.imshow(values, origin="lower", aspect="auto", cmap=SIGNED, vmin=-limit, vmax=limit, extent=extent, interpolation="nearest")


def colour_limit(values: np.ndarray) -> float:
    """Where the colours end: at the 99.5th percentile of the absolute values, so that a few points do not make the rest pale."""
    sizes = np.abs(values[np.isfinite(values)]).astype(np.float64)
    return float(np.quantile(sizes, 0.995)) or float(sizes.max()) or 1.0


def spectrogram_image(axis, mel: np.ndarray, extent=None):
    return axis.imshow(mel.astype(np.float32), origin="lower", aspect="auto", cmap="magma", extent=extent, interpolation="nearest")


def maps_over_time(mel: np.ndarray, maps: dict[str, np.ndarray], label: str, title: str = "the sound"):
    """The spectrogram above one map a row, on one time axis; each map to its own scale."""
    import matplotlib.pyplot as plt

    figure, axes = plt.subplots(len(maps) + 1, 1, figsize=(width_in(), 1.5 + 1.3 * len(maps)), sharex=True)
    extent = (0, mel.shape[1] * HOP_S, 0, mel.shape[0])
    figure.colorbar(spectrogram_image(axes[0], mel, extent), ax=axes[0], label="dB", pad=0.01)
    axes[0].set_title(title, fontsize=9, loc="left")
    for axis, (name, values) in zip(axes[1:], maps.items(), strict=True):
        figure.colorbar(signed_map(axis, values, extent=extent), ax=axis, pad=0.01, extend="both").set_label(label, fontsize=7)
        axis.set_title(name, fontsize=9, loc="left")
    for axis in axes:
        axis.set_yticks([0, 24, 48])
    figure.supylabel("mel band", fontsize=9)
    axes[-1].set_xlabel("time, s")
    return closed(figure)


def maps_frame(mel: np.ndarray, maps: dict[str, np.ndarray]) -> pd.DataFrame:
    """The data of maps (mels, frames) beside their spectrogram: a row a point, rounded to less than the colours resolve."""
    band, frame = np.indices(mel.shape)
    points: dict[str, Any] = {"band": band, "time_s": (frame * HOP_S).round(2), "mel_db": mel.astype(np.float64).round(1)}
    points |= {name: _rounded(values.astype(np.float64)) for name, values in maps.items()}
    return pd.DataFrame({name: np.ravel(values) for name, values in points.items()})


def _rounded(values: np.ndarray) -> np.ndarray:
    step = colour_limit(values) / COLOUR_STEPS
    return np.round(values / step) * step + 0.0  # no minus zero


def occlusion_maps(mel: np.ndarray, maps: dict[str, np.ndarray], score: float):
    """The spectrogram above the maps of change, one row each; violet where hiding lowers the score, orange where it raises it."""
    import matplotlib.pyplot as plt

    figure, axes = plt.subplots(len(maps) + 1, 1, figsize=(width_in(), 1.5 + 1.25 * len(maps)), sharex=True)
    extent = (0, mel.shape[1] * HOP_S, 0, mel.shape[0])
    shown = spectrogram_image(axes[0], mel, extent)
    axes[0].set(ylabel="mel band", title=f"the sound, predicted MOS {score:.2f}")
    figure.colorbar(shown, ax=axes[0], label="dB", pad=0.01)
    limit = max(float(np.nanmax(np.abs(m))) for m in maps.values()) or 1.0
    for axis, (name, values) in zip(axes[1:], maps.items(), strict=True):
        drawn = signed_map(axis, values, limit, extent)
        axis.set_title(name, fontsize=9, loc="left")
        axis.set_yticks([0, 24, 48])
    figure.colorbar(drawn, ax=list(axes[1:]), label="change of MOS", pad=0.01)
    axes[-1].set_xlabel("time, s")
    return closed(figure)


def conductance_maps(segment: np.ndarray, maps: dict[str, np.ndarray], title: str, channels: int = 16):
    """A segment, and the conductance of single channels, a row a feature, each row on one scale."""
    import matplotlib.pyplot as plt

    def chosen(values: np.ndarray) -> np.ndarray:
        """The channels of the largest conductance, the same in all rows of one layer."""
        alike = [m for m in maps.values() if len(m) == len(values)]
        size = sum(np.abs(m).max(axis=(1, 2)) / max(float(np.abs(m).max()), 1e-12) for m in alike)
        return np.sort(np.argsort(-np.asarray(size))[:channels])

    count = max(len(chosen(m)) for m in maps.values())
    across = 8
    lines = -(-count // across)
    figure, axes = plt.subplots(lines * len(maps), across + 1, figsize=(width_in(), 1.6 * lines * len(maps)), squeeze=False)
    for axis in axes.flat:
        axis.axis("off")
    for row, (name, values) in enumerate(maps.items()):
        first = axes[row * lines, 0]
        spectrogram_image(first, segment)
        first.set_title(name, fontsize=8)
        limit = colour_limit(values)
        for i, channel in enumerate(chosen(values)):
            axis = axes[row * lines + i // across, 1 + i % across]
            signed_map(axis, values[channel], limit)
            axis.set_title(str(channel), fontsize=7)
    figure.suptitle(title, fontsize=8)
    return closed(figure)


def correlation_matrices(matrices: dict[str, np.ndarray]):
    """Correlation of the features with each other, a panel a network."""
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


def completeness_text(error: float, steps: int | None = None) -> str:
    """The completeness error that labels a map."""
    size = f"{100 * error:.1f} %" if error > 0.001 else f"{error:.0e}"
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
    """The figure of one explanation, as `sqa explain` writes it."""
    titles = {name: name if m.error is None else f"{name}, {completeness_text(m.error, m.steps)}" for name, m in found.maps.items()}
    maps = {titles[name]: m.values for name, m in found.maps.items()}
    if found.method == "occlusion":
        return occlusion_maps(found.mel, maps, found.score)
    if found.method == "conductance":
        assert found.segment is not None
        error, steps = max((m.error or 0.0, m.steps) for m in found.maps.values())
        plain = {name: m.values for name, m in found.maps.items()}
        return conductance_maps(found.segment, plain, f"{found.network}: conductance, {completeness_text(error, steps)}")
    method = {"ig": "integrated gradients", "deeplift": "DeepLIFT of CNN outputs"}[found.method]
    return maps_over_time(found.mel, maps, "attribution", f"{found.network}: {method}")
