"""The first screen of a chapter, and its claims as a forest plot: plain HTML that opens by keyboard and prints whole."""

import html
import math
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from .. import __version__
from ..metrics import Interval
from ..results.claims import WORDS, Criterion, Finding, Judged, Verdict
from .page import html_output

CLASSES: dict[Verdict, str] = {"holds": "yes", "partly": "partly", "fails": "no", "inconclusive": "open", "not tested": "none"}
MARKS: dict[Verdict, str] = {"holds": "✓", "partly": "◐", "fails": "✗", "inconclusive": "?", "not tested": "–"}  # not by colour alone
PRINTED_WORDS: dict[Verdict, str] = {
    "holds": "true",
    "partly": "partly true",
    "fails": "not true",
    "inconclusive": "unclear",
    "not tested": "not printed",
}
MEANINGS: dict[Verdict, str] = {
    "holds": "the criterion is met: by the whole 95 % interval, or by the count",
    "partly": "some parts of the claim hold and others fail",
    "fails": "the criterion is not met by any part of the interval, or by the count",
    "inconclusive": "the interval crosses the criterion's edge, or only a part of what the claim is about could be tested",
    "not tested": "the model or the data could not be had, or the paper does not print the number",
}
CHANCE_WORDS: dict[Verdict, str] = {
    "holds": "yes",
    "partly": "partly",
    "fails": "no",
    "inconclusive": "unclear",
    "not tested": "not testable",
}
AXIS = 300, 34  # of an interval's drawing, px
HEADINGS = {
    "claim": "",
    "check": "<h4>Consistency checks, which are ours</h4>",
    "question": "<h4>Questions that the paper leaves open</h4>",
}
COLAB = "https://colab.research.google.com/github/sqa-book/sqa-book/blob"


class Bar(NamedTuple):
    """How many claims have each verdict: what was tested, the counts, and the words for them, which are of a rerun unless others are given."""

    name: str
    counts: Mapping[Verdict, int]
    words: Mapping[Verdict, str] = WORDS


def links(slug: str, details: str, cite: str) -> dict[str, str]:
    """The buttons of a chapter's first screen.

    Parameters
    ----------
    details : text of the link to the chapter's second page; "" if it has none.
    cite : address of the paper.

    Returns
    -------
    Addresses by the text of their button, in order: Colab, the second page, the claims, the paper.
    """
    second = {details: f"{slug}_details.html"} if details else {}
    return {"Open in Colab": f"{COLAB}/v{__version__}/notebooks/{slug}.ipynb"} | second | {"Claims": "#claims", "Cite": cite}


def badge(verdict: Verdict, before: str = "", words: Mapping[Verdict, str] = WORDS) -> str:
    """A verdict as a coloured label with a mark, as HTML."""
    label = f"{html.escape(before)}: " if before else ""
    return f'<span class="sqa-badge sqa-{CLASSES[verdict]}">{label}<b aria-hidden="true">{MARKS[verdict]}</b> {words[verdict]}</span>'


def answer(
    question: str,
    reply: str,
    faithful: Mapping[str, str],
    verdicts: Sequence[Bar],
    found: Sequence[tuple[str, str]],
    links: Mapping[str, str],
) -> Any:
    """The first screen of a chapter.

    question : of the paper, one sentence. reply : our answer, one sentence. faithful : how close the rerun is to the paper, such as
    {"checkpoints": "0 of 6"}. verdicts : a bar for each thing that was tested. found : three numbers with what they say.
    links : texts and addresses.
    """
    strip = "".join(f"<div><dt>{html.escape(k)}</dt><dd>{html.escape(v)}</dd></div>" for k, v in faithful.items())
    bars = "".join(map(_bar, verdicts))
    numbers = "".join(f"<li><strong>{html.escape(n)}</strong> {html.escape(text)}</li>" for n, text in found)
    buttons = "".join(f'<a class="sqa-button" href="{html.escape(to)}">{html.escape(text)}</a>' for text, to in links.items())
    return html_output(
        f'<section class="sqa-answer" aria-label="In short"><p class="sqa-question">{html.escape(question)}</p>'
        f'<p class="sqa-reply">{html.escape(reply)}</p><dl class="sqa-faithful">{strip}</dl>{bars}'
        f'<ul class="sqa-found">{numbers}</ul><p class="sqa-buttons">{buttons}</p></section>'
    )


def _bar(bar: Bar) -> str:
    badges = "".join(
        f'<span class="sqa-badge sqa-{CLASSES[v]}"><b aria-hidden="true">{MARKS[v]}</b> {bar.counts[v]} {word}</span>'
        for v, word in bar.words.items()
        if bar.counts.get(v)
    )
    return f'<p class="sqa-bar"><span>{html.escape(bar.name)}:</span> {badges}</p>'


def card(title: str, link: str, paper: str, reply: str, verdicts: Sequence[Bar]) -> str:
    """A chapter on the start page: its title, its paper, our answer, and how many claims have each verdict.

    Parameters
    ----------
    title : of the chapter, as text of its link.
    link : address of the chapter.
    paper : the line about its paper.
    reply : our answer, one sentence.
    verdicts : a bar for each thing that was tested.

    Returns
    -------
    HTML.
    """
    bars = "".join(map(_bar, verdicts))
    return (
        f'<section class="sqa-answer"><p class="sqa-reply"><a href="{html.escape(link)}">{html.escape(title)}</a></p>'
        f'<p class="sqa-question">{html.escape(paper)}</p><p>{html.escape(reply)}</p>{bars}</section>'
    )


def legend() -> str:
    """What each verdict means, as HTML."""
    rows = "".join(f"<div><dt>{badge(verdict)}</dt><dd>{html.escape(text)}</dd></div>" for verdict, text in MEANINGS.items())
    for words, text in (
        (PRINTED_WORDS, "whether the claim is true of the numbers that the paper prints"),
        (CHANCE_WORDS, "whether those numbers show more than chance"),
    ):
        labels = " ".join(badge(verdict, words=words) for verdict in words)
        rows += f"<div><dt>{labels}</dt><dd>{html.escape(text)}</dd></div>"
    return f'<dl class="sqa-legend">{rows}</dl>'


def forest(claims: Sequence[Judged], name: str = "claims", slug: str = "") -> Any:
    """One row per claim: the paper's words, the verdicts, and the number that decides with its 95 % interval against the criterion (shaded).
    Evidence, test and the command that computes it open on request.

    slug : of the chapter; "" leaves the command out.
    """
    rows: dict[str, list[str]] = {kind: [] for kind in HEADINGS}
    for claim in claims:
        rows[claim.kind].append(_row(claim, f"sqa run {slug} --profile paper --store book/results" if slug else ""))
    body = "".join(HEADINGS[kind] * bool(of) + "".join(of) for kind, of in rows.items())
    return html_output(f'<div class="sqa-forest" id="{html.escape(name)}">{body}</div>')


def _row(claim: Judged, command: str) -> str:
    badges, details = [], []
    for name, f in claim.verdicts.items():
        if f.basis == "the paper's printed numbers":
            badges.append(badge(f.verdict, name, PRINTED_WORDS))
            if f.chance:
                badges.append(badge(f.chance, "beyond chance", CHANCE_WORDS))
        else:
            badges.append(badge(f.verdict, name))
        if f.strict and f.strict != f.verdict:
            badges.append(badge(f.strict, f"{name}, read strictly", PRINTED_WORDS if f.basis == "the paper's printed numbers" else WORDS))
        number = f"{f.criterion.what}: {f.interval.text('.2f')}; " if f.interval and f.criterion else ""
        said = number + f.evidence if f.evidence else f"needs {f.needs}"
        details.append(f"<dt>{html.escape(name)}</dt><dd>{html.escape(said)}{_statuses(f)}</dd>")
    # What we computed is drawn rather than what is printed, and the first network rather than its controls.
    with_number = [(name, f) for name, f in claim.verdicts.items() if f.interval and f.criterion]
    name, drawn = next(((n, f) for n, f in with_number if f.basis == "our run"), with_number[0] if with_number else ("", None))
    words = f"<q>{html.escape(claim.quotation)}</q>" if claim.quotation else html.escape(claim.claim)
    again = f"<dt>command</dt><dd><code>{html.escape(command)}</code></dd>" if command else ""
    picture = interval_svg(drawn.interval, drawn.criterion, name) if drawn and drawn.interval and drawn.criterion else ""
    return (
        f'<details class="sqa-claim"><summary><span class="sqa-id">{html.escape(claim.id)}</span><span class="sqa-words">{words}</span>'
        f'<span class="sqa-badges">{"".join(badges)}</span>{picture}</summary>'
        f"<dl>{''.join(details)}<dt>test</dt><dd>{html.escape(claim.test)}</dd><dt>source</dt><dd>{html.escape(claim.source)}</dd>{again}</dl></details>"
    )


def _statuses(f: Finding) -> str:
    said = [f"{status} {what}" for status, what in ((f.data_status, "data"), (f.model_status, "models")) if status]
    return f" <small>({html.escape(', '.join(said))})</small>" if said else ""


def interval_svg(interval: Interval, criterion: Criterion, name: str = "") -> str:
    """An interval as a dot with a line, over the range of values that the criterion allows, shaded; with a text for screen readers."""
    width, height = AXIS
    low, high = _range(interval, criterion)

    def x(value: float) -> float:
        return round(min(max((value - low) / (high - low), 0.0), 1.0) * (width - 16) + 8, 1)

    band = x(criterion.low) if math.isfinite(criterion.low) else 0, x(criterion.high) if math.isfinite(criterion.high) else width
    demanded = " and ".join(
        [f"at least {criterion.low:.3g}"] * math.isfinite(criterion.low) + [f"at most {criterion.high:.3g}"] * math.isfinite(criterion.high)
    )
    text = f"{name}, {criterion.what}: {interval.text('.2f')}; criterion: {demanded}"
    return (
        f'<span class="sqa-interval"><svg viewBox="0 0 {width} {height}" role="img" aria-label="{html.escape(text)}">'
        f'<rect class="sqa-band" x="{band[0]}" y="2" width="{band[1] - band[0]:.1f}" height="{height - 4}"/>'
        f'<line x1="{x(interval.low)}" x2="{x(interval.high)}" y1="{height / 2}" y2="{height / 2}"/>'
        f'<circle cx="{x(interval.value)}" cy="{height / 2}" r="5"/></svg><span class="sqa-number">{html.escape(text)}</span></span>'
    )


def _range(interval: Interval, criterion: Criterion) -> tuple[float, float]:
    """The ends of the axis: everything that is drawn, with a margin."""
    values = [v for v in (*interval, criterion.low, criterion.high, 0.0) if math.isfinite(v)]
    margin = 0.08 * (max(values) - min(values) or 1.0)
    return min(values) - margin, max(values) + margin
