"""What the page on language barriers takes from its records: its first screen, values for its prose, and sounds."""

import json
from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
import pandas as pd

from ... import audio, environment
from ...corpora import calls, impairments, registry
from ...figures import verdicts
from ...figures.verdicts import Bar
from ...learning import calls_networks, quality
from ...learning.calls_networks import SETTINGS, TRAIN
from ...metrics import Interval, bias_corrected
from ...models import weights
from ...results import frame, published
from ...results.claims import on_claims, tally
from ..shared import published_run
from . import claims, selection, tables
from .plan import LISTEN, LISTEN_SENTENCE, LISTEN_VOICE, SLUG
from .selection import AST, LANGUAGES, NISQA, OURS, TITLES, Grid
from .trials import METHODS, clean_sentence, scores_of

MISSING = "not available"
STATUSES: tuple[selection.Status, ...] = ("synthetic", "real")
QUESTION = (
    "Do networks trained to predict the quality of English speech generalise to other languages, and does a transformer do so better "
    "than a CNN?"
)
OFFICIAL = TITLES["nisqa"]


class Run:
    """The published run: all scores, PCC with draws on synthetic and on real voices, and the verdicts on both."""

    def __init__(self, found: pd.DataFrame):
        self.found = found
        self.scores = selection.scores(found)
        self.synthetic: Grid = selection.grid(self.scores, "synthetic")
        self.real: Grid = selection.grid(self.scores, "real")
        self.varied = selection.variants(found)
        self.verdicts_synthetic, self.verdicts_real = (
            claims.findings(self.scores, of, status, selection.grid(self.varied, status))
            for of, status in ((self.synthetic, STATUSES[0]), (self.real, STATUSES[1]))
        )
        self.records = frame.records(found, "quality")


def card() -> dict[str, Any]:
    """What the start page says of the chapter."""
    screen = first_screen(Run(published_run(SLUG)))
    return {
        "title": "Do speech quality networks cross language barriers?",
        "paper": "Language Barriers: Evaluating Cross-Lingual Performance of CNN and Transformer Architectures for Speech Quality Estimation, 2025 (quoted from a summary)",
        "reply": screen["reply"],
        "verdicts": screen["verdicts"],
    }


def first_screen(run: Run) -> dict[str, Any]:
    """What `figures.answer` shows."""
    quotations = published.read(SLUG, "quotations")
    bars = [
        Bar("Claims on synthetic voices, equal but for the language", tally(on_claims(run.verdicts_synthetic, quotations))),
        Bar("Claims on real voices", tally(on_claims(run.verdicts_real, quotations))),
    ]
    return {
        "question": QUESTION,
        "reply": _reply(run),
        "faithful": {
            "the paper's files": "0 of 120,000",
            "its cells that are known": "4 of 120",
            "labels": "PESQ; no listening test",
            "AST": "1.0 of 86.4 million parameters",
        },
        "verdicts": [bar for bar in bars if sum(bar.counts.values())],
        "found": _three_numbers(run),
        "links": verdicts.links(SLUG, "All tables", "https://arxiv.org/abs/2502.13004"),
    }


def _reply(run: Run) -> str:
    if not run.verdicts_synthetic:
        return "The published run is not complete."
    tested = tables.tested_languages(run.synthetic)
    ranges = {n: bias_corrected(selection.over_languages(run.synthetic, n, "mos", tested, "range")) for n in OURS}
    means = {n: selection.over_languages(run.synthetic, n, "mos", tested, "mean").value for n in OURS}
    steadier = next(f for f in run.verdicts_synthetic if f.id == "C1")
    said = {
        "holds": "The small transformer is more stable across languages",
        "fails": "The small transformer is not more stable across languages",
    }.get(steadier.verdict, "Which of the two is more stable across languages stays open")
    shares = tables.variance_table(run.scores).set_index("network")[tables.PARTS[0]]
    return (
        f"Where voices, sentences and impairments are the same, mean offsets between languages make up {_percent(shares[NISQA])} of the variance "
        f"of NISQA's errors and {_percent(shares[AST])} of AST's. {said}: PCC of MOS ranges by {ranges[NISQA].value:.2f} and "
        f"{ranges[AST].value:.2f} over five other languages, around {means[NISQA]:.2f} and {means[AST]:.2f}."
    )


def _percent(share: float) -> str:
    return f"{share:.1f} %" if share < 10 else f"{share:.0f} %"


def _three_numbers(run: Run) -> list[tuple[str, str]]:
    out = []
    if run.synthetic:
        english = [run.synthetic[n, "en", "mos"].value for n in OURS if (n, "en", "mos") in run.synthetic]
        tested = tables.tested_languages(run.synthetic)
        others = [selection.over_languages(run.synthetic, n, "mos", tested, "mean").value for n in OURS] if tested else []
        if english and others:
            text = " and ".join(f"{e:.2f} → {o:.2f}" for e, o in zip(english, others, strict=True))
            out.append((text, "PCC of MOS in English and on average in the other languages, NISQA and AST, synthetic voices"))
    listeners = tables.listeners_table(run.scores)
    if len(listeners):
        row = listeners[(listeners["set"] == "fullband") & (listeners["output"] == "MOS")].set_index("network")["mean over seeds"]
        text = ", ".join(f"{row[n]:.2f}" for n in (*OURS, OFFICIAL) if n in row)
        out.append(
            (
                text,
                "PCC with P.835's listeners by file, full band, mean over seeds: NISQA and AST trained here on PESQ, and the official "
                "NISQA trained on listeners",
            )
        )
    if run.real and all((n, "zh", "mos") in run.real for n in OURS):
        text = " and ".join(f"{run.real[n, 'zh', 'mos'].value:.2f}" for n in OURS)
        out.append((text, "PCC of MOS on a real Mandarin voice, NISQA and AST"))
    return out


def glue_values(run: Run) -> dict[str, str]:
    """Values for the page's `{glue}` roles, by key."""
    out: dict[str, str] = {}
    tested = tables.tested_languages(run.synthetic)
    for name, network in (("nisqa", NISQA), ("ast", AST)):
        for statistic in ("mean", "range"):
            has = tested and all((network, x, "mos") in run.synthetic for x in tested)
            drawn = selection.over_languages(run.synthetic, network, "mos", tested, statistic) if has else None  # type: ignore[arg-type]
            out[f"{statistic}_{name}"] = bias_corrected(drawn).text(".2f") if drawn else MISSING
    shares = tables.variance_table(run.scores)
    for name, network in (("nisqa", NISQA), ("ast", AST)):
        row = shares[shares["network"] == network] if len(shares) else shares
        for key, part in zip(("language", "voice", "item", "rest"), tables.PARTS, strict=True):
            out[f"share_{key}_{name}"] = _percent(row[part].iloc[0]) if len(row) else MISSING
    looks = tables.looks_table(run.found)
    for name, network in (("nisqa", NISQA), ("ast", AST)):
        for method in METHODS:
            row = looks[(looks["network"] == network) & (looks["method"] == method)] if len(looks) else looks
            found = f"{row['AUC'].iloc[0]:.2f} ({row['AUC, uncut'].iloc[0]:.2f} uncut)" if len(row) else MISSING
            out[f"auc_{method.split()[0]}_{name}"] = found
    mandarin = tables.mandarin_gaps_table(run.found)
    for name, network in (("nisqa", NISQA), ("ast", AST)):
        row = mandarin[mandarin["network"] == network] if len(mandarin) else mandarin
        interval = ("", ", low", ", high")
        values = [100 * row[f"Mandarin more, share{end}"].iloc[0] for end in interval] if len(row) else []
        out[f"mandarin_{name}"] = "{:+.0f} % [{:+.0f}, {:+.0f}]".format(*values) if values else MISSING
    out["mandarin_items"] = str(mandarin["items"].max()) if len(mandarin) else MISSING
    mapping = tables.mapping_table(run.scores, "synthetic")
    out |= _mapping_values(mapping)
    teachers = tables.teachers_table(run.found)
    out["teachers"] = f"{teachers['PCC'].min():.2f} to {teachers['PCC'].max():.2f}" if len(teachers) else MISSING
    out["teachers_sets"] = f"{len(teachers)} sets of {teachers['files'].max()} calls" if len(teachers) else MISSING
    for kind in ("gaps", "codec"):
        pair = [teachers[f"{label}, {kind} alone"].mean() for label in ("PESQ", "ViSQOL")] if len(teachers) else [np.nan]
        out[f"teachers_{kind}"] = "{:.1f} (PESQ) and {:.1f} (ViSQOL)".format(*pair) if np.isfinite(pair).all() else MISSING
    out["seeds"] = str(run.scores.loc[run.scores["network"].isin(OURS), "seed"].nunique()) if len(run.scores) else MISSING
    out |= _training_values(run) | _band_values(run) | _spread_of_errors(run) | _alone_values(run)
    out |= {f"official_{status}": spread_of(OFFICIAL, of) for status, of in (("synthetic", run.synthetic), ("real", run.real))}
    out |= {"nisqa_real": spread_of(NISQA, run.real), "score_real": spread_of(TITLES[weights.DEFAULT], run.real)}
    return out | {f"talkers_{x}": _talkers(run, x) for x in ("de", "en", "fr", "zh")}


def _talkers(run: Run, language: str) -> str:
    """Number of real talkers of a language in the tests."""
    table = tables.data_table(run.scores)
    return str(table[(table["data"] == "real") & (table["language"] == LANGUAGES[language])]["voices"].sum()) if len(table) else MISSING


def _title_of(name: str) -> str:
    """How the pages call one of the networks of `calls_networks.RECIPES`."""
    return AST if name == "calls-ast-small" else TITLES[name]


def card_rows(run: Run, name: str) -> list[dict[str, str]]:
    """Agreement of one of the networks of `calls_networks.RECIPES` with P.835's listeners, the official network beside it, for its card. A
    training ends with slightly other weights on another machine, so of a network that is not in the records `write_card` has rated the
    file itself, and its rows stand in `training.json`."""
    own = json.loads(environment.resource("networks", name, "training.json").read_text()).get("listeners", [])
    titles = {TITLES["nisqa"]: "nisqa"} if own else {_title_of(name): name, TITLES["nisqa"]: "nisqa"}
    first = run.scores[(run.scores["seed"] == 0) & run.scores["network"].isin(titles)]  # a card is of one set of weights
    return own + _rows_of_card(first, titles)


def _rows_of_card(scores: pd.DataFrame, names: dict[str, str]) -> list[dict[str, str]]:
    """names : what the card calls a network, by its title in `scores`."""
    found = tables.listeners_table(scores)
    return [
        {
            "set": {"fullband": "full band", "wideband": "wide band"}[row["set"]],
            "output": row["output"],
            "network": names[row["network"]],
            "pcc": Interval.of(row, "PCC by file").text(".2f"),
            "by_condition": f"{row['by condition']:.2f}",
            "rmse": f"{row['RMSE']:.2f}",
        }
        for row in found.to_dict("records")
    ]


def rated_anew(run: Run, name: str) -> list[dict[str, str]]:
    """Rows of a card, of the network in the repository: P.835's files in the run's scores, with that network's predictions."""
    corpus = registry.load("p835")
    scores = run.scores
    scores = scores[(scores["status"] == "listeners") & (scores["seed"] == 0) & (scores["network"] == _title_of(name))]
    model = calls_networks.load_transformer(name)
    table = corpus.table.assign(voice=corpus.table["talker"])
    table[[f"predicted {o}" for o in impairments.DIMENSIONS]] = scores_of(model, [audio.load(path) for path in corpus.paths()])
    keys = ["set", "condition", "voice"]
    merged = scores.drop(columns=_predicted(scores)).merge(table[[*keys, *_predicted(table)]], on=keys)
    return _rows_of_card(merged, {_title_of(name): name})


def _predicted(table: pd.DataFrame) -> list[str]:
    return [c for c in table if c.startswith("predicted ")]


def listeners_pcc(run: Run) -> dict[str, dict[str, float]]:
    """PCC of MOS with P.835's listeners by file, by set and network; what `weights.caveat` tells users of the default network."""
    names = {TITLES[name]: name for name in (weights.DEFAULT, "nisqa")}
    found = tables.listeners_table(run.scores)
    mos = found[found["network"].isin(names) & (found["output"] == "MOS")]
    return {
        str(which): {names[n]: round(float(v), 3) for n, v in zip(part["network"], part["PCC by file"], strict=True)}
        for which, part in mos.groupby("set")
    }


def write_card(name: str) -> None:
    """The README of one of the networks of `calls_networks.RECIPES` in its folder, and its agreement with listeners in its `training.json`.
    That of the default network is the published run's; others rate P.835 here."""
    run, folder = Run(published_run(SLUG)), environment.resource("networks", name)
    more = {"listeners_pcc": listeners_pcc(run)} if name == weights.DEFAULT else {"listeners": rated_anew(run, name)}
    facts = json.loads((folder / "training.json").read_text()) | more
    (folder / "training.json").write_text(json.dumps(facts, indent=2) + "\n")
    (folder / "README.md").write_text(calls_networks.card(name, card_rows(run, name)))


def _alone_values(run: Run) -> dict[str, str]:
    """PCC of discontinuity with five heads and with a network of its own, and what an own network changes for every dimension; on synthetic and
    on real voices."""
    out = {}
    for status in STATUSES:
        found = tables.variants_table(run.varied, status)
        single = found[found["training"] == tables.VARIANTS["single"]] if len(found) else found
        changes = [f"{row['dimension']} {row['difference']:+.2f}" for _, row in single.iterrows()]
        out[f"alone_{status}"] = ", ".join(changes) or MISSING
        row = single[single["dimension"] == "discontinuity"] if len(single) else single
        for key, column in (("five", "PCC as usual"), ("alone", "PCC otherwise")):
            out[f"dis_{key}_{status}"] = f"{row[column].iloc[0]:.2f}" if len(row) else MISSING
        out[f"dis_gain_{status}"] = Interval.of(row.iloc[0], "difference").text("+.2f") if len(row) else MISSING
    return out


def _spread_of_errors(run: Run) -> dict[str, str]:
    """Standard deviations of mean errors on real voices, in MOS."""
    found = tables.talkers_table(run.scores)
    out = {}
    for name, network in (("nisqa", NISQA), ("official", OFFICIAL)):
        row = found[found["network"] == network] if len(found) else found
        for key, column in (("talker", "SD between talkers of a corpus"), ("corpus", "SD between corpora")):
            out[f"sd_{key}_{name}"] = Interval.of(row.iloc[0], column).text(".2f") if len(row) else MISSING
    return out


def _band_values(run: Run) -> dict[str, str]:
    """Mean MOS of real clean voices over their whole band, and cut at 7 kHz."""
    curves = tables.sensitivity_table(run.found)
    out = {}
    for name, network in (("nisqa", NISQA), ("ast", AST), ("official", OFFICIAL)):
        part = curves[(curves["network"] == network) & (curves["axis"] == "band") & (curves["voices"] == "real")] if len(curves) else curves
        mos = part.set_index("value")["mos"] if len(part) else {}
        out[f"band_{name}"] = f"{mos[20_000.0]:.2f} and {mos[7000.0]:.2f}" if len(mos) else MISSING
    return out


def _training_values(run: Run) -> dict[str, str]:
    """How much was trained on, and how far the best epoch is from the validation labels; mean over seeds."""
    out = {"train_calls": MISSING, "valid_nisqa": MISSING, "valid_ast": MISSING}
    for name, network in (("nisqa", NISQA), ("ast", AST)):
        mine = [r.metrics for r in run.records if selection.title_of(r) == network and not selection.variant_of(r)]
        if mine:
            out |= {"train_calls": f"{mine[0]['train_calls']:,}"}
            out[f"valid_{name}"] = f"{sum(m['valid_rmse'] for m in mine) / len(mine):.2f}"
    return out


def _mapping_values(mapping: pd.DataFrame) -> dict[str, str]:
    out = {}
    for name, network in (("nisqa", NISQA), ("ast", AST)):
        part = mapping[mapping["network"] == network] if len(mapping) else mapping
        for key, column in (("none", "RMSE, no mapping"), ("third", "RMSE, third order"), ("crossed", "RMSE, third order, cross-fitted")):
            out[f"rmse_{key}_{name}"] = f"{part[column].mean():.2f}" if len(part) else MISSING
    return out


def spread_of(network: str, of: Grid) -> str:
    """PCC of a network's MOS with PESQ: the least and the greatest language."""
    found = {x: of[network, x, "mos"].value for x in LANGUAGES if (network, x, "mos") in of}
    if not found:
        return MISSING
    low, high = min(found, key=found.__getitem__), max(found, key=found.__getitem__)
    return f"{found[low]:.2f} ({LANGUAGES[low]}) to {found[high]:.2f} ({LANGUAGES[high]})"


def listening_grid(found: pd.DataFrame) -> dict[str, list[tuple[audio.Sound, str]]]:
    """The grid to listen to: by language, sounds with the true strength, the label and both networks' scores."""
    scores = {selection.title_of(r): r.items().set_index(["language", "name"])["predicted mos"] for r in frame.records(found, "listening")}
    out: dict[str, list[tuple[audio.Sound, str]]] = {}
    for language in calls.LANGUAGES:
        said = clean_sentence(language, LISTEN_VOICE, LISTEN_SENTENCE)
        for name, step in LISTEN.items():
            degraded, reached, labels = impairments.impaired_once(said, step)
            parts = [name, strength(reached), f"PESQ {labels['mos']:.2f}"]
            parts += [f"{n.split(',')[0]} {scores[n][language, name]:.2f}" for n in OURS if n in scores]
            sound = audio.Sound(degraded[None], impairments.RATE)
            out.setdefault(LANGUAGES[language], []).append((sound, "; ".join(p for p in parts if p)))
    return out


# Of the sliders: least, usual and greatest strength, and the step that it makes.
STRENGTHS: dict[str, tuple[float, float, float]] = {
    "pink noise, SNR in dB": (0.0, 20.0, 50.0),
    "gaps of 40 ms, share lost": (0.0, 0.05, 0.4),
    "lost Opus packets, share": (0.01, 0.1, 0.4),
    "upper band limit, Hz": (1000.0, 3400.0, 16_000.0),
}


def impaired(kind: str, value: float, language: str = "en") -> tuple[audio.Sound, str]:
    """A sentence through one impairment of `STRENGTHS`, and in words what was reached."""
    step = {
        "pink noise, SNR in dB": {"kind": "noise", "colour": "pink", "snr_db": value},
        "gaps of 40 ms, share lost": {"kind": "gaps", "loss": value, "gap_s": 0.04, "conceal": False},
        "lost Opus packets, share": {"kind": "loss", "codec": "opus", "loss": value, "burst": 2.0, "conceal": True},
        "upper band limit, Hz": {"kind": "band", "low_hz": 0.0, "high_hz": value},
    }[kind]
    degraded, reached, labels = impairments.impaired_once(clean_sentence(language, LISTEN_VOICE, LISTEN_SENTENCE), step)
    said = [strength(reached) or f"{value:g}", f"PESQ {labels['mos']:.2f}"]
    return audio.Sound(degraded[None], impairments.RATE), "; ".join(said)


def scorers() -> dict[str, Callable[[audio.Sound], float]]:
    """MOS by each of our networks that the repository has."""
    found: dict[str, Callable[[audio.Sound], float]] = {}
    for name in calls_networks.RECIPES:
        if (environment.resource("networks", name) / "training.json").is_file():
            model = weights.load(name).model if name == weights.DEFAULT else calls_networks.load_transformer(name)
            found[_title_of(name)] = partial(_mos, model)
    return found


def _mos(model: quality.QualityNetwork, sound: audio.Sound) -> float:
    return float(scores_of(model, [sound])[0, 0])


def strength(step: dict) -> str:
    """The strength that a step reached, in words."""
    words = {
        "reached_snr_db": "SNR {:.1f} dB",
        "reached_lost_share": "{:.1%} lost",
        "reached_bit_rate": "{:,.0f} bit/s",
        "reached_drr_db": "direct-to-reverberant ratio {:.1f} dB",
    }
    return ", ".join(form.format(step[key]) for key, form in words.items() if step.get(key))


def deviations_table() -> pd.DataFrame:
    """How this rerun differs from the paper, with its effect where that was measured."""
    counts = [sum(part.count for part in TRAIN if (part.source == "polyglot") == synthetic) for synthetic in (True, False)]
    epochs = " and ".join(f"{settings.epochs} ({name})" for name, settings in zip(("NISQA", "AST"), SETTINGS.values(), strict=True))
    rows = [
        ("data", "120,000 files of the closed P.SAMD pool", "calls made here: synthetic voices equal in six languages, real voices, P.835", "cannot be measured"),
        ("labels", "listeners, or POLQA where there are none", "PESQ of the chain and of each kind of impairment alone", "see the agreement with listeners and with ViSQOL"),
        ("training", "49,062 English files", f"{sum(counts):,} English calls: {counts[0]:,} of six synthetic voices, {counts[1]:,} of one real one", "cannot be measured"),
        ("bandwidth of training voices", "not said", f"8 or 11 kHz as recorded; {calls.EXTENDED_SHARE:.0%} of the calls get a synthesised high band, and {1 - impairments.RATE_SHARES[-1]:.0%} are then kept at a lower sample rate", "see the curves over bandwidth"),
        ("AST", "86.4 million parameters, AudioSet weights, rate 1e-6", "1.0 million, random weights, rate 3e-4", "full size in code; claim C9 asks for a pretrained start"),
        ("NISQA's front end", "128 bands in the summary, 48 in NISQA's code", "its own 48 bands", "see *Trained otherwise*"),
        ("epochs, batch, schedule", "early stopping after 20 epochs; batch and schedule not said", f"{epochs}, batches of 20, falling rates; no early stop; NISQA learns from every second segment, anew in each epoch", "see the learning curves"),
        ("which PCC", "before or after the mapping is not said", "before it; after it beside", "in the table"),
    ]  # fmt: skip
    return pd.DataFrame(rows, columns=["what", "the paper", "here", "effect"])
