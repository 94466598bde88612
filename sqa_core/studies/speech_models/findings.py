"""Tables behind the chapter's main findings, and what its first screen says."""

from collections import Counter
from typing import Any

import numpy as np
import pandas as pd

from ...corpora.emotion import catalogue
from ...figures import verdicts
from ...figures.verdicts import CHANCE_WORDS, PRINTED_WORDS, Bar
from ...metrics import Draws, bias_corrected
from ...models.heads import HEADS
from ...results import published
from ...results.claims import Finding, on_claims, tally
from . import claims, claims_printed, open_questions, tables
from .open_questions import ASSIGNED
from .plan import ASTS, CONTROLS, HEADS_BY_SPEAKER, PAPERS_CORPORA, PAPERS_ENCODERS, PAPERS_RUNS, SEEDS, SLUG
from .selection import Run, difference, difference_on, f1_draws, majority, mean_and_sd, points, title_of
from .variability import best_and_last, detectable_table, epochs_table, f1_by_speaker, over_splits, splits_table

MISSING = "not available"
QUESTION = "Which speech encoder, with which classifier head, gives the best features for recognising emotions in eight languages?"


def overview(run: Run, model: str = ASSIGNED) -> pd.DataFrame:
    """One model with the Linear head: one row per corpus. Leave-one-speaker-out with its interval over speakers and files and its range over
    speakers, stratified splits with their SD, the one speaker-independent split, the paper's number for the twin, the baseline."""
    rows = []
    for corpus in run.corpora:
        loso = run.cell(corpus, model, protocol="loso")
        if not loso:
            continue
        by_speaker, drawn, one = f1_by_speaker(loso), over_splits(run, corpus, model), run.cell(corpus, model)
        row: dict[str, Any] = {"corpus": catalogue.title(corpus), **bias_corrected(f1_draws(loso)).columns("LOSO")}
        row |= {"lowest speaker": by_speaker.iloc[0], "highest speaker": by_speaker.iloc[-1], "speakers": len(by_speaker)}
        row |= {
            "stratified": drawn.mean() if len(drawn) else np.nan,
            "stratified, SD over splits": drawn.std(ddof=1) if len(drawn) else np.nan,
        }
        row |= {
            "one split": mean_and_sd(one)["F1"] if one else np.nan,
            "paper": tables.printed_twin(corpus, model),
            "majority": majority(loso),
        }
        rows.append(row)
    return pd.DataFrame(rows)


def by_model(run: Run) -> pd.DataFrame:
    """Table 3's counterpart: leave-one-speaker-out with the Linear head, one row per model, one column per corpus."""
    rows = {}
    for model in run.models:
        cells = {catalogue.title(c): mean_and_sd(r)["F1"] for c in run.corpora if (r := run.cell(c, model, protocol="loso"))}
        if cells:
            rows[title_of(model)] = cells
    return pd.DataFrame.from_dict(rows, orient="index").rename_axis("model")


def heads_table(run: Run) -> pd.DataFrame:
    """Table 2's counterpart: leave-one-speaker-out by model and head, mean over the paper's corpora that are here, with an interval over
    speakers and files; one row per model and head."""
    rows = []
    for model in HEADS_BY_SPEAKER:
        for head, title in HEADS.items():
            cells = {c: run.cell(c, model, head, "loso") for c in run.papers_corpora}
            if cells and all(cells.values()):
                interval = bias_corrected(Draws.mean([f1_draws(r) for r in cells.values()]))
                row = {"model": title_of(model), "head": title, **interval.columns("F1")}
                row |= {"paper, nine corpora": tables.printed("table2", backbone=tables.twin(model), head=title)["paper"]}
                rows.append(row | {"seeds": min(len(r) for r in cells.values()), "corpora": ", ".join(map(catalogue.title, cells))})
    return pd.DataFrame(rows)


def deviations_table(run: Run) -> pd.DataFrame:
    """How this rerun differs from the paper, with the measured effect of each difference where there is one."""
    padded = difference(run, {"model": "whisper-tiny", "head": "linear", "whole_window": True}, {"model": "whisper-tiny", "head": "linear"})
    last = difference(run, {"model": ASSIGNED, "head": "linear", "keep": "last"}, {"model": ASSIGNED, "head": "linear"})
    corpora = [c for c in run.papers_corpora if run.cell(c, ASSIGNED, protocol="loso") and run.cell(c, ASSIGNED)]
    here = [e for e in PAPERS_ENCODERS if e in run.models]
    ways = open_questions.speaker_assignments(run)
    aesdd = ways[ways["corpus"] == "aesdd"]
    without = aesdd[aesdd["absent"] != ""].groupby("absent")["f1"].mean()
    rows = [
        (
            "checkpoints",
            "six",
            f"{len(here)} of the six; Whisper Small with weights rounded to 8 bits is nearest",
            "not measured",
        ),
        ("corpora", "nine", f"{len(run.papers_corpora)} of the nine, and URDU", "not measured"),
        ("test speakers", "one split, not published", "each speaker held out in turn (LOSO)", _loso_effect(run, corpora)),
        (
            "padding to 30 s",
            "not stated; Whisper's own front end pads",
            "no padding: the encoder receives the utterance alone",
            f"{points(padded[0])} with padding (Whisper Tiny, {', '.join(map(catalogue.title, padded[1]))})" if padded else MISSING,
        ),
        (
            "epoch",
            "not stated",
            "the best on the validation files",
            f"{points(last[0])} with the last epoch, one split" if last else MISSING,
        ),
        (
            "AESDD",
            "500 files, 5 actors",
            "604 files, 6 actors: the public release",
            f"without one actor, mean over assignments {without.min():.1f} to {without.max():.1f}; with all "
            f"{aesdd[aesdd['absent'] == '']['f1'].mean():.1f}"
            if len(without)
            else MISSING,
        ),
        ("AST from scratch", "about 86 million parameters", "a small one, on one split", "not measured"),
        ("runs", f"{PAPERS_RUNS}", f"{len(SEEDS)} seeds", _seed_spread(run, corpora)),
    ]
    return pd.DataFrame(rows, columns=["what", "the paper", "here", "measured effect, points of macro F1"])


def _loso_effect(run: Run, corpora: list[str]) -> str:
    """Leave-one-speaker-out less the one split; the two test other files, so there is no paired interval."""
    gaps = {c: f1_draws(run.cell(c, ASSIGNED, protocol="loso")).value - f1_draws(run.cell(c, ASSIGNED)).value for c in corpora}
    said = ", ".join(f"{catalogue.title(c)} {g:+.1f}" for c, g in gaps.items()).replace("-", "−")
    return f"{said} against our one speaker-independent split" if gaps else MISSING


def _seed_spread(run: Run, corpora: list[str]) -> str:
    spreads = [mean_and_sd(run.cell(c, ASSIGNED, protocol="loso"))["F1, SD over seeds"] for c in corpora]
    return f"SD over seeds {min(spreads):.1f} to {max(spreads):.1f}" if spreads else MISSING


def first_screen(run: Run, ours: list[Finding], printed: list[Finding]) -> dict[str, Any]:
    """Arguments of `figures.answer`."""
    seen, gaps, quotations = overview(run), tables.table2_against_table3(), published.read(SLUG, "quotations")
    of_printed, splits = on_claims(printed, quotations), splits_table(run)
    papers = seen[seen["paper"].notna()]
    checkpoints = sum(e in run.models for e in PAPERS_ENCODERS)
    encoders = [m for m in run.models if m not in (*CONTROLS, *ASTS)]
    found = []
    if len(papers):
        spread = papers["highest speaker"] - papers["lowest speaker"]
        text = "points of macro F1 lie between the hardest and the easiest held-out speaker of one corpus, with the same model and head."
        found.append((f"{spread.min():.0f} to {spread.max():.0f}", text))
    largest = gaps.loc[gaps["difference"].abs().idxmax()]
    text = f"points separate Table 2 from the mean of Table 3 for {largest['backbone']}; no subset of five or more corpora reproduces all six means."
    found.append((f"{abs(largest['difference']):.2f}", text))
    ahead = _speaker_network_ahead(splits, "stratified")
    apart = _speaker_network_ahead(splits, "leave-one-speaker-out")
    text = f"corpora: a speaker-verification network, never trained on emotion labels, ranks first if the split mixes speakers; {apart} if they are held out."
    found.append((ahead, text))
    return {
        "question": QUESTION,
        "reply": (
            "We cannot say which encoder is best: none of the paper's six checkpoints could be run, and 6 to 10 speakers reliably show only "
            f"differences of {_detectable(run)} points of accuracy or more.{_head_lead(run)}"
        ),
        "faithful": {
            "checkpoints": f"{checkpoints} of {len(PAPERS_ENCODERS)}; {len(encoders)} others",
            "corpora": f"{len(run.papers_corpora)} of {len(PAPERS_CORPORA)}, and {len(run.corpora) - len(run.papers_corpora)} more",
            "seeds": f"{len(SEEDS)} (paper {PAPERS_RUNS})",
            "protocol": "leave-one-speaker-out (paper: one split)",
        },
        "verdicts": [
            Bar("True of the printed numbers", tally(of_printed), PRINTED_WORDS),
            Bar("Beyond chance in the printed tables", Counter(f.chance for f in of_printed if f.chance), CHANCE_WORDS),
            Bar("Our run", tally(on_claims(ours, quotations))),
        ],
        "found": found,
        "links": verdicts.links(SLUG, details="All tables", cite="https://ceur-ws.org/Vol-3878/"),
    }


def _head_lead(run: Run) -> str:
    """By how much the Linear head leads on Whisper, the subject of claim C2."""
    leads = claims.linear_leads(run)
    if not leads:
        return ""
    ahead, open_ = sum(lead.value > 0 for lead in leads), sum(lead.low <= 0 <= lead.high for lead in leads)
    values = [lead.value for lead in leads]
    return (
        f" On Whisper, the Linear head leads in {ahead} of {len(leads)} comparisons, by {min(values):.1f} to {max(values):.1f} points of F1 "
        f"({open_} of the intervals over {len(run.papers_corpora)} corpora {'includes' if open_ == 1 else 'include'} 0)."
    )


def _detectable(run: Run) -> str:
    """The range over the paper's corpora of the smallest difference that their speakers can show."""
    table = detectable_table(run)
    own = table[table["corpus"].isin([catalogue.title(c) for c in run.papers_corpora])] if len(table) else table
    if not len(own):
        return MISSING
    column = own["detectable with its speakers"]
    return f"{column.min():.1f} to {column.max():.1f}"


def _epochs(run: Run) -> dict[str, str]:
    table = epochs_table(run)
    if not len(table):
        return {"last_steadier": MISSING, "epoch_flips": MISSING}
    steadier = (table["last epoch, SD over draws"].round(1) < table["best epoch, SD over draws"].round(1)).sum()  # as the table shows them
    flips = f"{table['pairs that change order'].sum()} of {table['pairs'].sum()}"
    return {"last_steadier": f"{steadier} of the {len(table)}", "epoch_flips": flips}


def _speaker_network_ahead(table: pd.DataFrame, protocol: str) -> str:
    """On how many corpora the speaker-verification network is ahead of every speech encoder."""
    network = title_of("ecapa-voxceleb")
    if not len(table) or network not in set(table["model"]):
        return MISSING
    grid = table.pivot(index="corpus", columns="model", values=protocol)
    encoders = grid.drop(columns=[c for c in grid if c.startswith("control")])
    ahead = grid[network] > encoders.max(axis=1)
    return f"{int(ahead.sum())} of {len(grid)}"


def values(run: Run) -> dict[str, str]:
    """Values for the prose of the findings, by key."""
    seen, table = overview(run).set_index("corpus"), splits_table(run)
    out = {}
    for corpus in ("AESDD", "EmoDB", "EMOVO", "URDU"):
        if corpus in seen.index:
            row = seen.loc[corpus]
            out[f"loso_{corpus}"] = f"{row['LOSO']:.1f} [{row['LOSO, low']:.1f}, {row['LOSO, high']:.1f}]"
            out[f"speakers_{corpus}"] = f"{row['lowest speaker']:.1f} to {row['highest speaker']:.1f}"
            out[f"stratified_{corpus}"] = f"{row['stratified']:.1f} ± {row['stratified, SD over splits']:.1f}"
    for model in ("mel", "ecapa-voxceleb", "random-whisper-base", ASSIGNED):
        for corpus in ("AESDD", "EmoDB", "EMOVO", "URDU"):
            row = table[(table["model"] == title_of(model)) & (table["corpus"] == corpus)] if len(table) else table
            key, held_out = f"{model.split('-')[0]}_{corpus}", run.cell(corpus.lower(), model, protocol="loso")
            out[f"{key}_loso"] = f"{mean_and_sd(held_out)['F1']:.1f}" if held_out else MISSING
            out[f"{key}_stratified"] = f"{row['stratified'].iloc[0]:.1f}" if len(row) else MISSING
    for protocol in ("leave-one-speaker-out", "stratified"):
        out[f"speaker_network_ahead_{protocol.split('-')[0]}"] = _speaker_network_ahead(table, protocol)
    heads = heads_table(run)
    heads = heads[heads["model"] == title_of(ASSIGNED)].set_index("head") if len(heads) else heads
    for head in HEADS.values():
        known = head in heads.index
        out[f"{head}_loso"] = (
            f"{heads.loc[head, 'F1']:.1f} [{heads.loc[head, 'F1, low']:.1f}, {heads.loc[head, 'F1, high']:.1f}]" if known else MISSING
        )
        out[f"{head}_paper"] = f"{tables.printed('table2', backbone='Whisper Small', head=head)['paper']:.2f}"
        out[f"{head}_seeds"] = str(heads.loc[head, "seeds"]) if known else MISSING
    lead = difference_on(run.cell("urdu", ASSIGNED, protocol="loso"), run.cell("urdu", "mel", protocol="loso"))
    out["urdu_over_mel"] = points(lead) if lead else MISSING
    out |= _epochs(run)
    pair = best_and_last(run, "emovo", "speaker").get("whisper-base")
    for keep, scores in zip(("best", "last"), pair or (None, None), strict=True):
        out[f"emovo_{keep}_epoch"] = MISSING if scores is None else f"{scores.mean():.1f} ± {scores.std(ddof=1):.1f}"
    models = by_model(run)
    for corpus in ("AESDD", "EmoDB", "EMOVO"):
        encoders = models.drop(index=[i for i in models.index if i.startswith("control")])[corpus].dropna() if corpus in models else []
        out[f"models_{corpus}"] = f"{max(encoders) - min(encoders):.1f}" if len(encoders) > 1 else MISSING
    leads = open_questions.leads_table(run)
    out["winner_loses"] = f"{int((leads['lead on test'] < 0).sum())} of {len(leads)}" if len(leads) else MISSING
    papers = [c for c in run.papers_corpora if run.cell(c, ASSIGNED, protocol="loso")]
    mean = bias_corrected(Draws.mean([f1_draws(run.cell(c, ASSIGNED, protocol="loso")) for c in papers])) if papers else None
    out["loso_mean"] = mean.text(".1f") if mean else MISSING
    gaps = claims_printed.published.read(claims_printed.SLUG, "table2_vs_table3")["difference"].dropna()
    return out | {"largest_gap": f"{gaps.abs().max():.2f}"}
