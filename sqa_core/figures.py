"""Drawing and sound for pages: one style, players, a figure to step through, tables, provenance. Everything works on a static page.

Figures stand on opaque white, so that they can be read on a dark page too; colours are Okabe and Ito's, maps are perceptually even.
"""

import base64
import gzip
import html
from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd

from . import audio, environment
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


def closed(figure):
    """The figure, drawn once: as the cell's value, not by pyplot as well."""
    import matplotlib.pyplot as plt

    plt.close(figure)
    return figure


def html_output(text: str) -> Any:
    from IPython.display import HTML

    return HTML(text)


def player(sound: audio.Sound, label: str, status: str) -> Any:
    """A player with a caption that says what is heard and whether it is synthetic."""
    data = base64.b64encode(audio.wav_bytes(*sound)).decode()
    text = html.escape(f"{label} ({STATUS_WORDS[status]})")
    return html_output(
        f'<figure class="sqa-player"><figcaption>{text}</figcaption>'
        f'<audio controls preload="metadata" aria-label="{text}" src="data:audio/wav;base64,{data}"></audio></figure>'
    )


def players(heard: Sequence[tuple[audio.Sound, str]], status: str) -> Any:
    """Several players, one below the other."""
    return html_output("".join(player(sound, label, status).data for sound, label in heard))


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
    return closed(figure)


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
    return closed(figure)


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
    return closed(figure)


def windows_over_time(frame: pd.DataFrame):
    """Predicted MOS of windows, each drawn over the time it covers."""
    import matplotlib.pyplot as plt

    figure, axis = plt.subplots(figsize=(8.5, 2.6))
    axis.hlines(frame["mos"], frame["start_s"], frame["end_s"], linewidth=3, alpha=0.6)
    axis.plot((frame["start_s"] + frame["end_s"]) / 2, frame["mos"], "o", color=COLOURS[1])
    axis.set(xlabel="time, s", ylabel="predicted MOS", ylim=(0.8, 5.2))
    return closed(figure)


def pesq_scatter(items: pd.DataFrame):
    """Predicted MOS against PESQ."""
    import matplotlib.pyplot as plt

    figure, axis = plt.subplots(figsize=(4.6, 4.2))
    axis.scatter(items["pesq"], items["mos"], s=24, alpha=0.85, linewidths=0)
    axis.plot([1, 5], [1, 5], color="0.6", linewidth=1, zorder=0)
    axis.set(xlabel="PESQ wide band (MOS-LQO)", ylabel="predicted MOS")
    return closed(figure)


def absent(text: str) -> Any:
    """What is not here, and how to get it."""
    return html_output(f'<p class="sqa-absent">{html.escape(text)}</p>')


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
    return html_output(body + data_link(frame, name))


def table_setup() -> Any:
    """The script and style of the tables, once a page, kept inside the page."""
    import itables
    from itables.javascript import generate_init_offline_itables_html

    itables.options.warn_on_undocumented_option = False
    return html_output(generate_init_offline_itables_html(itables.options.dt_bundle))


MOST_PLAIN_ROWS = 2000  # a CSV lies in the page itself; a longer one is rounded and packed


def data_link(frame: pd.DataFrame, name: str) -> str:
    """A link that saves the data of a figure or table as CSV, packed by gzip where it is long."""
    if len(frame) <= MOST_PLAIN_ROWS:
        data, kind, ending = frame.to_csv(index=False).encode(), "text/csv", "csv"
    else:
        data, kind, ending = gzip.compress(frame.to_csv(index=False, float_format="%.3g").encode(), mtime=0), "application/gzip", "csv.gz"
    text = base64.b64encode(data).decode()
    packed = ", gzip" if ending == "csv.gz" else ""
    return f'<p class="sqa-data"><a download="{name}.{ending}" href="data:{kind};base64,{text}">data of {name} (CSV{packed})</a></p>'


def with_data(frame: pd.DataFrame, name: str) -> Any:
    """The data of a figure that has no record, as a link."""
    return html_output(data_link(frame, name))


def provenance(found: Sequence[Record], name: str, frame: pd.DataFrame | None = None) -> Any:
    """The line under a figure: on which data, by which networks, from which records and commit; with the figure's data."""
    if not found:
        return html_output('<p class="sqa-provenance">No record: not available here.</p>')

    def distinct(values, most: int = 12) -> str:
        named = sorted({str(v) for v in values})
        return ", ".join(named[:most]) + (f" and {len(named) - most} more" if len(named) > most else "")

    def network(trial: dict[str, Any]) -> str | None:
        name = trial.get("network") or trial.get("encoder")
        return f"{name} {trial['weights_hash']}" if name else f"trained anew after {trial['recipe']}" if "recipe" in trial else None

    def data(record: Record) -> str:
        if "recipe" in record.trial:  # what our own networks learn from
            return "polyglot (synthetic speech), asterisk (real recordings)"
        corpus = record.trial.get("corpus") or ("p835" if "set" in record.trial else "polyglot")
        return f"{corpus} ({STATUS_WORDS[record.data_status]})"

    parts = [
        f"data: {distinct(map(data, found))}",
        f"networks: {distinct(n for r in found if (n := network(r.trial))) or 'none'}",
        f"seed: {distinct(r.trial['seed'] for r in found)}",
        f"records: {distinct(r.key[:8] for r in found)}",
        f"commit: {distinct(r.commit for r in found)}",
    ]
    link = data_link(frame, name) if frame is not None else ""
    return html_output(f'<p class="sqa-provenance">{html.escape(" · ".join(parts))}</p>{link}')


def run_card(published: Sequence[Record], this_run: Sequence[Record], settings: Any) -> Any:
    """The card at the end of a page: what the published run and this run were made of. Times stand for the published run alone."""

    def cell(found: Sequence[Record], what) -> str:
        return html.escape(", ".join(sorted({str(what(r)) for r in found})) or "–")

    rows = {
        "trials": lambda found: str(len(found)),
        "data": lambda found: cell(found, lambda r: STATUS_WORDS[r.data_status]),
        "networks": lambda found: cell(found, lambda r: r.trial.get("network") or r.trial.get("encoder", "none")),
        "device": lambda found: cell(found, lambda r: r.device),
        "commit": lambda found: cell(found, lambda r: r.commit),
        "torch": lambda found: cell(found, lambda r: r.versions.get("torch", "?")),
    }
    lines = [f"<tr><th scope='row'>{name}</th><td>{make(published)}</td><td>{make(this_run)}</td></tr>" for name, make in rows.items()]
    took = f"{sum(r.wall_s for r in published):.0f} s" if published else "–"
    lines.append(f"<tr><th scope='row'>time</th><td>{took}</td><td>in the build's log</td></tr>")
    lines.append(f"<tr><th scope='row'>parameters</th><td>–</td><td>{html.escape(settings.model_dump_json(exclude={'store'}))}</td></tr>")
    version = environment.versions()["sqa-core"]
    return html_output(
        f'<table class="sqa-card"><caption>Run card, sqa-core {version}</caption>'
        f"<thead><tr><th></th><th>published run</th><th>this run</th></tr></thead><tbody>{''.join(lines)}</tbody></table>"
    )
