"""What a page is made of beside figures: numbers in its prose, tables with their data, provenance, the run card."""

import base64
import gzip
import html
import io
import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from .. import environment
from ..errors import SettingsError
from ..results.records import Record
from .style import NARROW_IN, drawn_at

STATUS_WORDS = {"paper": "the paper's own data", "real": "real recordings", "synthetic": "synthetic speech"}
MISSING = "–"  # how an empty cell of a table is shown
NO_BREAK = "\u00a0"
INTERACTIVE_ROWS = 15  # shorter tables need no search, sorting or paging
PAGE_ROWS = 20
MANY_COLUMNS = 7  # from here on a table is set in small type, so that no column is hidden at 1440 px
MAX_PLAIN_ROWS = 2000  # a CSV is kept inside the page; a longer one is rounded and compressed


def glue(name: str, value: Any) -> None:
    """Make a value of the run available to the page's prose; without myst_nb (in Colab) this does nothing."""
    try:
        from myst_nb import glue as myst_glue
    except ImportError:
        return
    myst_glue(name, str(value), display=False)


def html_output(text: str) -> Any:
    from IPython.display import HTML

    return HTML(text)


def absent(text: str = "The published run has no such records: sqa run --profile paper --store book/results") -> Any:
    """What is missing on this page, and how to get it."""
    return html_output(f'<p class="sqa-absent">{html.escape(text)}</p>')


def shown(
    found: Any,
    draw: Callable[[Any], Any],
    data: Callable[[Any], pd.DataFrame | None] = lambda _: None,
    name: str = "",
    otherwise: str = "",
    *,
    alt: str = "",
    caption: str = "",
) -> Any:
    """A figure with its source and data folded below it, or a sentence if its records are missing.

    found : a record, several, or None. draw, data : the figure and its table from `found`; a matplotlib figure is drawn twice, for a desktop
    and for a phone. name : of the figure and of its data file. alt, caption : what it shows, for those who do not see it and for those
    who do.
    """
    records = [found] if isinstance(found, Record) else list(found or [])
    if not records:
        return absent(otherwise) if otherwise else absent()
    drawn = figure(lambda: draw(found), name, alt, caption)
    return html_output(drawn.data + folded("Data and source", source_of(records) + _link(data(found), name)))


def figure(draw: Callable[[], Any], name: str, alt: str = "", caption: str = "") -> Any:
    """A matplotlib figure as SVG at two widths, of which a browser loads the one that fits; what is HTML already stays as it is."""
    wide = draw()
    if hasattr(wide, "data"):
        return wide
    with drawn_at(NARROW_IN):
        small = draw()
    sources = [f"data:image/svg+xml;base64,{base64.b64encode(_svg(f)).decode()}" for f in (small, wide)]
    width, height = (round(96 * inches) for inches in wide.get_size_inches())
    text = html.escape(alt or caption)
    return html_output(
        f'<figure class="sqa-figure" id="fig-{html.escape(name)}"><picture><source media="(max-width: 600px)" srcset="{sources[0]}">'
        f'<img loading="lazy" width="{width}" height="{height}" alt="{text}" src="{sources[1]}"></picture>'
        f"<figcaption>{html.escape(caption)}</figcaption></figure>"
    )


def _svg(figure: Any) -> bytes:
    buffer = io.BytesIO()
    figure.savefig(buffer, format="svg", metadata={"Date": None})
    return buffer.getvalue()


def folded(summary: str, body: str) -> str:
    """HTML that opens on request."""
    return f'<details class="sqa-folded"><summary>{html.escape(summary)}</summary>{body}</details>' if body else ""


def _link(frame: pd.DataFrame | None, name: str) -> str:
    return data_link(frame, name) if frame is not None else ""


MANY_ROWS = 3  # from which a column with one value moves to the caption


def table(
    frame: pd.DataFrame,
    name: str,
    caption: str,
    decimals: int | Mapping[str, int | str] = 1,
    fold: str = "",
) -> Any:
    """A table with a link to its values as CSV; a long one can be sorted by value and searched. Nothing is loaded from elsewhere.

    decimals : of floats, for all columns or by column; "+1" shows the sign. fold : a summary under which the table opens on request.

    Columns that belong to a value are shown with it: "X, SD…" after ±, "X, low" and "X, high" in brackets. A column with one value in
    three rows or more moves to the caption; the CSV keeps it.
    """
    if frame.empty:
        return absent(f"{caption}: not available here.")
    frame = frame.rename(columns=str)
    if frame.columns.duplicated().any():
        raise SettingsError(f"The table {name} has two columns of one name: {', '.join(frame.columns[frame.columns.duplicated()])}.")
    spread = {c: sd for c in frame for sd in frame if sd.startswith(f"{c}, SD over ")}
    ends = {c: (f"{c}, low", f"{c}, high") for c in frame if f"{c}, low" in frame and f"{c}, high" in frame}
    merged = {*spread.values(), *(e for pair in ends.values() for e in pair)}
    visible = [c for c in frame if c not in merged]
    text = pd.DataFrame({c: _cells(frame, c, decimals, ends.get(c), spread.get(c)) for c in visible})
    same = [c for c in visible[1:] if len(frame) >= MANY_ROWS and text[c].nunique() == 1]
    visible = [c for c in visible if c not in same]
    caption += "".join(f"; {c}: {'not available' if text[c].iloc[0] == MISSING else text[c].iloc[0]}" for c in same)
    heads = "".join(f'<th scope="col">{html.escape(_heading(c, c in ends, spread.get(c)))}</th>' for c in visible)
    rows = [_row(frame, text, visible, i) for i in range(len(frame))]
    body = (
        f'<table id="{name}" class="sqa-table{" sqa-many" if len(visible) >= MANY_COLUMNS else ""} display compact"><caption>{html.escape(caption)}</caption>'
        f"<thead><tr>{heads}</tr></thead><tbody>{''.join(rows)}</tbody></table>"
    )
    if len(frame) >= INTERACTIVE_ROWS:
        body = f'<a class="sqa-skip" href="#after-{name}">Skip this table</a>{body}<span id="after-{name}"></span>'
        body += f'<script type="application/json" class="sqa-interactive" data-table="{name}">{{"pageLength": {PAGE_ROWS}}}</script>'
    whole = f'<div class="sqa-scroll" tabindex="0" role="region" aria-label="{html.escape(caption)}">{body}</div>{data_link(frame, name)}'
    return html_output(folded(fold, whole) if fold else whole)


def _heading(column: str, interval: bool, sd: str | None) -> str:
    return column + (f" ± {sd.removeprefix(f'{column}, ')}" if sd else "") + (" [95 % interval]" if interval else "")


_BREAKS = re.compile(r"([/_])(?=\w)")  # paths, addresses and names of files may break after these


def _row(frame: pd.DataFrame, text: pd.DataFrame, visible: Sequence[str], i: int) -> str:
    """One row. Numbers carry their value for sorting, and where a table is wide their interval goes below them, in one piece."""
    cells = []
    for c in visible:
        value = frame[c].iloc[i]
        number = isinstance(value, int | float | np.number) and not isinstance(value, bool | np.bool_)
        order = f' data-order="{-1e99 if np.isnan(value) else np.clip(float(value), -1e98, 1e98)}"' if number else ""
        kind = ' class="num"' if number else ""
        shown = text[c].iloc[i].replace(" ", NO_BREAK).replace(f"{NO_BREAK}[", " [") if number else text[c].iloc[i]
        cell = _BREAKS.sub(r"\1<wbr>", html.escape(shown))
        cells.append(f"<td{kind}{order}>{cell}</td>")
    return f"<tr>{''.join(cells)}</tr>"


def _cells(
    frame: pd.DataFrame, column: str, decimals: int | Mapping[str, int | str], ends: tuple[str, str] | None, sd: str | None
) -> list[str]:
    form = decimals if isinstance(decimals, int) else decimals.get(column, 1)
    out = []
    for i, value in enumerate(frame[column]):
        text = shown_value(value, form)
        if sd is not None and text != MISSING and pd.notna(frame[sd].iloc[i]):
            text += f" ± {shown_value(frame[sd].iloc[i], form)}"
        if ends is not None and text != MISSING and pd.notna(frame[ends[0]].iloc[i]):
            low, high = (shown_value(frame[e].iloc[i], form) for e in ends)
            text += f" [{low}, {high}]"
        out.append(text)
    return out


def shown_value(value: Any, form: int | str = 1) -> str:
    """A value as text: floats with `form` decimals ("+1" with a sign), what is missing as a dash, booleans as yes and no."""
    if isinstance(value, bool | np.bool_):
        return "yes" if value else "no"
    if (
        value is None
        or value is pd.NA
        or (isinstance(value, str) and not value)
        or (isinstance(value, float | np.floating) and np.isnan(value))
    ):
        return MISSING
    if isinstance(value, float | np.floating):
        if np.isinf(value):
            return "∞" if value > 0 else "−∞"
        sign, digits = ("+", int(form[1:])) if isinstance(form, str) else ("", form)
        if float(value).is_integer() and not sign and digits == 0:
            return f"{int(value)}"
        if value and abs(value) < 0.5 * 10**-digits:
            return f"{value:{sign}.1g}".replace("-", "−")
        return f"{value:{sign}.{digits}f}".replace("-", "−")
    return str(value)


def data_link(frame: pd.DataFrame, name: str) -> str:
    """A link that saves the values of a figure or table as CSV, compressed with gzip if it is long."""
    if len(frame) <= MAX_PLAIN_ROWS:
        data, kind, ending = frame.to_csv(index=False).encode(), "text/csv", "csv"
    else:
        data, kind, ending = gzip.compress(frame.to_csv(index=False, float_format="%.3g").encode(), mtime=0), "application/gzip", "csv.gz"
    text = base64.b64encode(data).decode()
    packed = ", gzip" if ending == "csv.gz" else ""
    return f'<p class="sqa-data"><a download="{name}.{ending}" href="data:{kind};base64,{text}">data of {name} (CSV{packed})</a></p>'


def with_data(frame: pd.DataFrame, name: str) -> Any:
    """The data of a figure without a record, as a link."""
    return html_output(data_link(frame, name))


def provenance(found: Sequence[Record], name: str, frame: pd.DataFrame | None = None) -> Any:
    """Data, networks, seeds, records and commit behind a table or figure, with its data; opens on request."""
    if not found:
        return html_output('<p class="sqa-absent">No record: not available here.</p>')
    return html_output(folded("Data and source", source_of(found) + _link(frame, name)))


def source_of(found: Sequence[Record]) -> str:
    """Where numbers come from, as HTML."""

    def distinct(values, limit: int = 6) -> str:
        named = sorted({str(v) for v in values})
        return ", ".join(named[:limit]) + (f" and {len(named) - limit} more" if len(named) > limit else "")

    def network(trial: dict[str, Any]) -> str | None:
        name = trial.get("encoder") if isinstance(trial.get("encoder"), str) else trial.get("network") or trial.get("encoder")
        if isinstance(name, str) and name:
            return f"{name} {trial['weights_hash']}" if "weights_hash" in trial else name
        return f"trained anew after {trial['recipe']}" if "recipe" in trial else "trained anew" if name or trial.get("training") else None

    def data(record: Record) -> str:
        if "recipe" in record.trial and "steps" not in record.trial:  # the training material of our own networks
            return "polyglot (synthetic speech), asterisk (real recordings)"
        return f"{_corpora(record.trial)} ({STATUS_WORDS[record.data_status]})"

    parts = [
        f"data: {distinct(map(data, found))}",
        f"networks: {distinct(n for r in found if (n := network(r.trial))) or 'none'}",
        f"seed: {distinct(r.trial['seed'] for r in found)}",
        f"records: {distinct(r.key[:8] for r in found)}",
        f"commit: {distinct(r.commit for r in found)}",
    ]
    return f'<p class="sqa-provenance">{html.escape(" · ".join(parts))}</p>'


def _corpora(trial: dict[str, Any]) -> str:
    """The corpora that a trial was tested on, by the fields that chapters name them with."""
    if trial.get("corpus"):
        return str(trial["corpus"])
    if trial.get("source"):  # learnt from, and tested on where that is another
        return ", ".join(str(trial[name]) for name in ("source", "target") if name in trial)
    parts = trial.get("tests") or trial.get("parts") or [trial[name] for name in ("part",) if name in trial]
    names = [part["source"] for part in parts] + [clean for clean, _ in trial.get("sounds", {}).get("clean", ())]
    names += ["p835"] * ("set" in trial or bool(trial.get("listeners"))) + ["dpam_jnd"] * ("judgements" in trial)
    return ", ".join(dict.fromkeys(names)) or ("a stated function" if "midpoint_db" in trial else "polyglot")


def _network_name(trial: dict[str, Any]) -> str:
    name = trial.get("network") or trial.get("encoder", "none")
    return name if isinstance(name, str) else "trained anew"


def run_card(published: Sequence[Record], this_run: Sequence[Record], settings: Any) -> Any:
    """The card at the end of a page: what the published run and this run were made of. Times are of the published run alone."""

    def cell(found: Sequence[Record], what) -> str:
        return html.escape(", ".join(sorted({str(what(r)) for r in found})) or MISSING)

    rows = {
        "trials": lambda found: str(len(found)),
        "data": lambda found: cell(found, lambda r: STATUS_WORDS[r.data_status]),
        "networks": lambda found: cell(found, lambda r: _network_name(r.trial)),
        "device": lambda found: cell(found, lambda r: r.device),
        "commit": lambda found: cell(found, lambda r: r.commit),
        "torch": lambda found: cell(found, lambda r: r.versions.get("torch", "?")),
    }
    lines = [f"<tr><th scope='row'>{name}</th><td>{make(published)}</td><td>{make(this_run)}</td></tr>" for name, make in rows.items()]
    took = f"{sum(r.wall_s for r in published):.0f} s" if published else MISSING
    lines.append(f"<tr><th scope='row'>time</th><td>{took}</td><td>in the build's log</td></tr>")
    lines.append(
        f"<tr><th scope='row'>parameters</th><td>{MISSING}</td><td>{html.escape(settings.model_dump_json(exclude={'store'}))}</td></tr>"
    )
    version = environment.versions()["sqa-core"]
    return html_output(
        f'<table class="sqa-card"><caption>Run card, sqa-core {version}</caption>'
        f"<thead><tr><td></td><th>published run</th><th>this run</th></tr></thead><tbody>{''.join(lines)}</tbody></table>"
    )
