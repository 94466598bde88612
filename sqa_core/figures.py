"""Drawing and sound for pages: one style, players, a figure to step through, tables, provenance. Everything works on a static page.

Figures stand on opaque white, so that they can be read on a dark page too; colours are Okabe and Ito's, maps are perceptually even.
"""

import base64
import html
import io
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pandas as pd

from . import audio, environment, occlusion, scoring
from .errors import SettingsError
from .models import weights
from .occlusion import Box
from .records import Record

COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")
STATUS_WORDS = {"paper": "the paper's own data", "real": "real recordings", "synthetic": "synthetic speech"}


def style() -> None:
    """The book's look, for every figure after this call."""
    import matplotlib as mpl
    from cycler import cycler

    mpl.rcParams.update(
        {
            "figure.facecolor": "white",
            "savefig.facecolor": "white",
            "figure.dpi": 130,
            "figure.constrained_layout.use": True,
            "axes.spines.top": False,
            "axes.spines.right": False,
            "axes.prop_cycle": cycler(color=COLOURS),
            "font.size": 10,
            "legend.frameon": False,
            "svg.hashsalt": "sqa",
        }
    )


def glue(name: str, value: Any) -> None:
    """Make a number of the run available to the page's prose; without myst_nb (in Colab) it is only printed there."""
    try:
        from myst_nb import glue as myst_glue
    except ImportError:
        return
    myst_glue(name, str(value), display=False)


def _closed(figure):
    """The figure, drawn once: as the cell's value, not by pyplot as well."""
    import matplotlib.pyplot as plt

    plt.close(figure)
    return figure


def _html(text: str) -> Any:
    from IPython.display import HTML

    return HTML(text)


def player(sound: audio.Sound, label: str, status: str) -> Any:
    """A player with a caption that says what is heard and whether it is synthetic."""
    data = base64.b64encode(audio.wav_bytes(*sound)).decode()
    text = html.escape(f"{label} ({STATUS_WORDS[status]})")
    return _html(
        f'<figure class="sqa-player"><figcaption>{text}</figcaption>'
        f'<audio controls preload="metadata" aria-label="{text}" src="data:audio/wav;base64,{data}"></audio></figure>'
    )


def players(heard: Sequence[tuple[audio.Sound, str]], status: str) -> Any:
    """Several players, one below the other."""
    return _html("".join(player(sound, label, status).data for sound, label in heard))


def listeners_scatter(found: Sequence[Record], columns: int = 2):
    """Predicted against listeners' overall score, one panel a network, a colour for each kind of condition."""
    import matplotlib.pyplot as plt

    rows = -(-len(found) // columns)
    figure, axes = plt.subplots(rows, columns, figsize=(8.5, 3.9 * rows), sharex=True, sharey=True, squeeze=False)
    for axis in axes.flat[len(found) :]:
        axis.axis("off")
    for axis, record in zip(axes.flat, found, strict=False):
        items = record.items()
        noise, mnru = items["snr_db"] < 40, items["mnru_q_db"] < 40
        kinds = {
            "unimpaired": items["condition"] == "c0",
            "MNRU": ~noise & mnru,
            "noise": noise & ~mnru,
            "both": noise & mnru,
            "mild": ~noise & ~mnru & (items["condition"] != "c0"),
        }
        for (name, which), marker in zip(kinds.items(), "osD^v", strict=True):
            axis.scatter(items.loc[which, "mos_ovrl"], items.loc[which, "mos"], s=22, marker=marker, label=name, alpha=0.85, linewidths=0)
        axis.plot([1, 5], [1, 5], color="0.6", linewidth=1, zorder=0)
        axis.set(title=f"{record.trial['network']}: r = {record.metrics['mos_pcc_file'][0]:.3f}", xlim=(0.8, 5.1), ylim=(0.5, 5.2))
    figure.supxlabel("listeners' overall score (MOS)")
    figure.supylabel("predicted MOS")
    axes.flat[0].legend(loc="upper left", fontsize=8)
    return _closed(figure)


def agreement_intervals(frame: pd.DataFrame):
    """Correlations with their intervals, a row each, by file and by condition side by side, with the ceilings as lines."""
    import matplotlib.pyplot as plt

    names = list(frame[frame["by"] == "file"].sort_values("value")["name"])
    figure, axes = plt.subplots(1, 2, figsize=(8.5, 1 + 0.42 * len(names)), sharey=True)
    for axis, by in zip(axes, ("file", "condition"), strict=True):
        part = frame[frame["by"] == by].set_index("name").loc[names]
        errors = np.abs(part[["low", "high"]].to_numpy().T - part["value"].to_numpy())
        axis.errorbar(part["value"], names, xerr=errors, fmt="o", capsize=3)
        axis.axvline(part["ceiling"].iloc[0], color=COLOURS[1], linestyle="--", label="listeners' ceiling")
        axis.set(xlabel=f"PCC by {by}", xlim=(0, 1.02))
        axis.grid(axis="x", alpha=0.3)
    figure.legend(*axes[0].get_legend_handles_labels(), loc="outside upper right", fontsize=8)
    return _closed(figure)


def rates_scatter(files: pd.DataFrame):
    """Scores at 48 kHz against scores at the file's own rate, one panel a network."""
    import matplotlib.pyplot as plt

    networks = list(dict.fromkeys(files["network"]))
    figure, axes = plt.subplots(1, len(networks), figsize=(2.9 * len(networks), 3.1), sharex=True, sharey=True, squeeze=False)
    for axis, network in zip(axes.flat, networks, strict=True):
        part = files[files["network"] == network]
        axis.scatter(part["mos"], part["mos_48k"], s=18, alpha=0.8, linewidths=0)
        axis.plot([1, 5], [1, 5], color="0.6", linewidth=1, zorder=0)
        axis.set(title=network)
    figure.supxlabel("predicted MOS at the file's own rate")
    figure.supylabel("at 48 kHz")
    return _closed(figure)


def windows_over_time(frame: pd.DataFrame):
    """Predicted MOS of windows, each drawn over the time it covers."""
    import matplotlib.pyplot as plt

    figure, axis = plt.subplots(figsize=(8.5, 2.6))
    axis.hlines(frame["mos"], frame["start_s"], frame["end_s"], linewidth=3, alpha=0.6)
    axis.plot((frame["start_s"] + frame["end_s"]) / 2, frame["mos"], "o", color=COLOURS[1])
    axis.set(xlabel="time, s", ylabel="predicted MOS", ylim=(0.8, 5.2))
    return _closed(figure)


def pesq_scatter(items: pd.DataFrame):
    """Predicted MOS against PESQ."""
    import matplotlib.pyplot as plt

    figure, axis = plt.subplots(figsize=(4.6, 4.2))
    axis.scatter(items["pesq"], items["mos"], s=24, alpha=0.85, linewidths=0)
    axis.plot([1, 5], [1, 5], color="0.6", linewidth=1, zorder=0)
    axis.set(xlabel="PESQ wide band (MOS-LQO)", ylabel="predicted MOS")
    return _closed(figure)


def occlusion_maps(mel: np.ndarray, maps: dict[str, np.ndarray], score: float, hop_s: float = 0.01):
    """The spectrogram above the maps of change, one row each; blue where hiding lowers the score, orange where it raises it."""
    import matplotlib.pyplot as plt

    figure, axes = plt.subplots(len(maps) + 1, 1, figsize=(8.5, 1.5 + 1.25 * len(maps)), sharex=True)
    extent = (0, mel.shape[1] * hop_s, 0, mel.shape[0])
    shown = axes[0].imshow(mel, origin="lower", aspect="auto", extent=extent, cmap="magma")
    axes[0].set(ylabel="mel band", title=f"the sound, predicted MOS {score:.2f}")
    figure.colorbar(shown, ax=axes[0], label="dB", pad=0.01)
    limit = max(float(np.nanmax(np.abs(m))) for m in maps.values()) or 1.0
    for axis, (name, values) in zip(axes[1:], maps.items(), strict=True):
        drawn = axis.imshow(values, origin="lower", aspect="auto", extent=extent, cmap="PuOr_r", vmin=-limit, vmax=limit)
        axis.set_title(name, fontsize=9, loc="left")
        axis.set_yticks([0, 24, 48])
    figure.colorbar(drawn, ax=list(axes[1:]), label="change of MOS", pad=0.01)
    axes[-1].set_xlabel("time, s")
    return _closed(figure)


def mask_stepper(
    mel: np.ndarray,
    boxes: dict[str, list[Box]],
    scores: np.ndarray,
    score: float,
    sound: audio.Sound | None,
    name: str,
    status: str,
) -> Any:
    """A figure to step through: choose a mask, move it, read the score under it. Plain HTML and script, keyboard and screen reader.

    mel : (mels, frames) dB; boxes : as `occlusion.paper_boxes` gives them; scores : (masks,) under each of them, in order;
    sound : played with a cursor where it is given.
    """
    height, width = mel.shape
    values = iter(scores)
    groups = {label: [[*map(int, box), round(float(next(values)), 3)] for box in group] for label, group in boxes.items()}
    data = {"groups": groups, "score": round(float(score), 3), "bands": height, "frames": width, "hop": 0.01}
    audio_html = player(sound, "The sound that is explained", status).data if sound is not None else ""
    body = {
        "id": html.escape(name),
        "image": _png(mel),
        "options": "".join(f'<option value="{html.escape(k)}">{html.escape(k)}</option>' for k in groups),
        "data": json.dumps(data, separators=(",", ":")).replace("</", "<\\/"),
        "audio": audio_html,
    }
    return _html(_STEPPER.format(**body))


def stepper_of(arrays: dict[str, np.ndarray] | None, sound: audio.Sound | None, name: str, status: str, otherwise: str) -> Any:
    """`mask_stepper` of an occlusion record's arrays; without a record, the sentence `otherwise`."""
    if arrays is None:
        return absent(otherwise)
    mel = arrays["mel"].astype(np.float32)
    return mask_stepper(mel, occlusion.paper_boxes(mel.shape), arrays["scores"][:, 0], float(arrays["score"][0]), sound, name, status)


def occlusion_figure(arrays: dict[str, np.ndarray]):
    """`occlusion_maps` of an occlusion record's arrays, for MOS."""
    mel = arrays["mel"].astype(np.float32)
    boxes = occlusion.paper_boxes(mel.shape)
    whole = occlusion.Occlusion(("mos",), arrays["score"][:1], occlusion.flat(boxes), arrays["scores"][:, :1], 0, 0)
    maps = {name: part.change_map(mel.shape) for name, part in occlusion.split_by_mask(whole, boxes).items()}
    return occlusion_maps(mel, maps, float(arrays["score"][0]))


_STEPPER = """<div class="sqa-stepper" id="{id}">
<div class="sqa-view"><img alt="Mel spectrogram of the sound; the mask is drawn over it" src="data:image/png;base64,{image}">
<div class="sqa-mask"></div><div class="sqa-cursor"></div></div>
<div class="sqa-controls"><label>mask <select>{options}</select></label>
<label>position <input type="range" min="0" value="0" step="1"></label></div>
<p class="sqa-readout" aria-live="polite"></p>{audio}
<script type="application/json">{data}</script></div>"""


def _png(mel: np.ndarray) -> str:
    """The spectrogram as a PNG, one pixel a frame and three a band, low bands below."""
    import matplotlib as mpl
    from PIL import Image

    scaled = (mel[::-1] - mel.min()) / max(float(np.ptp(mel)), 1e-9)
    pixels = (mpl.colormaps["magma"](scaled.astype(np.float32))[..., :3] * 255).astype(np.uint8)
    buffer = io.BytesIO()
    Image.fromarray(pixels).resize((mel.shape[1] * 2, mel.shape[0] * 4), Image.Resampling.NEAREST).save(buffer, "PNG", optimize=True)
    return base64.b64encode(buffer.getvalue()).decode()


def absent(text: str) -> Any:
    """What is not here, and how to get it."""
    return _html(f'<p class="sqa-absent">{html.escape(text)}</p>')


def table(frame: pd.DataFrame, name: str, caption: str) -> Any:
    """A sortable, searchable table, with its CSV; nothing is loaded from elsewhere."""
    import itables

    if frame.empty:
        return absent(f"{caption}: not available here.")
    body = itables.to_html_datatable(
        frame,
        table_id=name,
        caption=caption,
        connected=False,
        paging=len(frame) > 20,
        showIndex=False,
        classes="display compact",
    )
    return _html(body + data_link(frame, name))


def table_setup() -> Any:
    """The script and style of the tables, once a page, kept inside the page."""
    import itables
    from itables.javascript import generate_init_offline_itables_html

    itables.options.warn_on_undocumented_option = False
    return _html(generate_init_offline_itables_html(itables.options.dt_bundle))


def data_link(frame: pd.DataFrame, name: str) -> str:
    """A link that saves the data of a figure or table as CSV."""
    data = base64.b64encode(frame.to_csv(index=False).encode()).decode()
    return f'<p class="sqa-data"><a download="{name}.csv" href="data:text/csv;base64,{data}">data of {name} (CSV)</a></p>'


def with_data(frame: pd.DataFrame, name: str) -> Any:
    """The data of a figure that has no record, as a link."""
    return _html(data_link(frame, name))


def provenance(found: Sequence[Record], name: str, frame: pd.DataFrame | None = None) -> Any:
    """The line under a figure: on which data, by which networks, from which records and commit; with the figure's data."""
    if not found:
        return _html('<p class="sqa-provenance">No record: not available here.</p>')

    def distinct(values) -> str:
        return ", ".join(sorted({str(v) for v in values}))

    corpora = [r.trial.get("corpus") or ("p835" if "set" in r.trial else "polyglot") for r in found]
    parts = [
        f"data: {distinct(f'{c} ({STATUS_WORDS[r.data_status]})' for c, r in zip(corpora, found, strict=True))}",
        f"networks: {distinct(r.trial['network'] + ' ' + r.trial['weights_hash'] for r in found if 'network' in r.trial) or 'none'}",
        f"seed: {distinct(r.trial['seed'] for r in found)}",
        f"records: {distinct(r.key[:8] for r in found)}",
        f"commit: {distinct(r.commit for r in found)}",
    ]
    link = data_link(frame, name) if frame is not None else ""
    return _html(f'<p class="sqa-provenance">{html.escape(" · ".join(parts))}</p>{link}')


def run_card(published: Sequence[Record], this_run: Sequence[Record], settings: Any) -> Any:
    """The card at the end of a page: what the published run and this run were made of. Times stand for the published run alone."""

    def cell(found: Sequence[Record], what) -> str:
        return html.escape(", ".join(sorted({str(what(r)) for r in found})) or "–")

    rows = {
        "trials": lambda found: str(len(found)),
        "data": lambda found: cell(found, lambda r: STATUS_WORDS[r.data_status]),
        "networks": lambda found: cell(found, lambda r: r.trial.get("network", "none")),
        "device": lambda found: cell(found, lambda r: r.device),
        "commit": lambda found: cell(found, lambda r: r.commit),
        "torch": lambda found: cell(found, lambda r: r.versions.get("torch", "?")),
    }
    lines = [f"<tr><th scope='row'>{name}</th><td>{make(published)}</td><td>{make(this_run)}</td></tr>" for name, make in rows.items()]
    took = f"{sum(r.wall_s for r in published):.0f} s" if published else "–"
    lines.append(f"<tr><th scope='row'>time</th><td>{took}</td><td>in the build's log</td></tr>")
    lines.append(f"<tr><th scope='row'>parameters</th><td>–</td><td>{html.escape(settings.model_dump_json(exclude={'store'}))}</td></tr>")
    version = environment.versions()["sqa-core"]
    return _html(
        f'<table class="sqa-card"><caption>Run card, sqa-core {version}</caption>'
        f"<thead><tr><th></th><th>published run</th><th>this run</th></tr></thead><tbody>{''.join(lines)}</tbody></table>"
    )


def explain_file(file: Path, out: Path, model: str | None, output: str, fill: Literal["floor", "mean"]) -> list[Path]:
    """Occlusion of one sound file into `out`: figures as PNG, arrays as NPZ, scores under each mask as CSV; returns the paths."""
    network = weights.load(model, environment.device())
    if output not in network.settings.outputs:
        raise SettingsError(f"{network.name} has no output {output!r}; it has {', '.join(network.settings.outputs)}.")
    mel = scoring.mel_of(network, audio.load(file))
    shape = (mel.shape[1], mel.shape[0])
    boxes = occlusion.paper_boxes(shape)
    found = occlusion.occlude(network, mel, occlusion.flat(boxes), fill)
    column = network.settings.outputs.index(output)
    maps = {name: part.change_map(shape, output) for name, part in occlusion.split_by_mask(found, boxes).items()}
    out.mkdir(parents=True, exist_ok=True)
    style()
    paths = [out / f"{file.stem}-occlusion.{kind}" for kind in ("png", "npz", "csv")]
    image = mel.T.cpu().numpy()
    occlusion_maps(image, maps, float(found.score[column])).savefig(paths[0])
    np.savez_compressed(paths[1], mel=image, score=found.score, **{n.replace(" ", "_"): m for n, m in maps.items()})  # type: ignore[arg-type]
    table = pd.DataFrame(found.boxes, columns=Box._fields).assign(**dict(zip(found.outputs, found.scores.T, strict=True)))
    table.to_csv(paths[2], index=False, float_format="%.6g")
    return paths
