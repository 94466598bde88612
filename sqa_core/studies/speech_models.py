"""The paper "Using Large Speech Models for Feature Extraction in Cross-Lingual Speech Emotion Recognition" (CLiC-it 2024):
trials, tables, claims."""

from dataclasses import asdict
from functools import cache
from typing import Any

import numpy as np
import pandas as pd
from scipy import stats

from .. import published
from ..claims import Finding, Verdict, judge
from ..corpora import emotions, registry, splits
from ..features import FeatureSettings
from ..metrics import Interval
from ..models import encoders
from ..models.probes import HEADS
from ..probing import ProbeSettings
from ..records import Record
from ..trials import Trial
from .common import ChapterSettings
from .speech_models_trials import AcrossTrial, LayersTrial, ProbeTrial

SLUG = "speech_models"
CORPORA: dict[str, tuple[str, ...]] = {"demo": ("polyglot-acted",), "paper": ()}  # the page says which of the paper's are not here
Settings = ChapterSettings
SEEDS = range(5)
# In the order in which they are worth waiting for.
ENCODERS = (*encoders.PAPER, "whisper-small-int8", "whisper-base", "whisper-tiny", "whisper-base.en", "whisper-tiny.en")
CONTROLS = ("mel", "random-whisper-base")
# As the paper's tables name them, and which twin stands in where the paper's own is not here.
TITLES = {
    "wav2vec2-base": "Wav2Vec 2.0 Base",
    "wav2vec2-large": "Wav2Vec 2.0 Large",
    "wav2vec2-xls-r-300m": "XLS-R",
    "whisper-small.en": "Whisper Small (EN)",
    "whisper-small": "Whisper Small",
    "whisper-medium": "Whisper Medium",
}
OURS = {
    "whisper-small-int8": "Whisper Small, weights rounded to 8 bits",
    "whisper-base": "Whisper Base",
    "whisper-tiny": "Whisper Tiny",
    "whisper-base.en": "Whisper Base (EN)",
    "whisper-tiny.en": "Whisper Tiny (EN)",
    "random-whisper-base": "control: Whisper Base, random weights",
    "random-mini": "control: a small Whisper, random weights",
    "mel": "control: log-mel bands",
}
CORPUS_TITLES = {
    "aesdd": "AESDD",
    "cafe": "CaFE",
    "demos": "DEMoS",
    "emodb": "EmoDB",
    "emomatch": "EmoMatch",
    "emovo": "EMOVO",
    "eyase": "EYASE",
    "oreau": "Oréau",
    "shemo": "ShEMO",
    "urdu": "URDU",
}
DEMO_LANGUAGES = ("it", "de")
DEMO_EPOCHS = 10
CONSTANT_MARGIN = 1.0  # points of F1 within which a score is no better than a constant answer


def trials(settings: Settings) -> list[Trial]:
    """What the profile runs with what is on this machine."""
    return _paper_trials() if settings.profile == "paper" else _demo_trials()


def _demo_trials() -> list[Trial]:
    """Three heads on two encoders that need no weights, synthetic speech: does the machinery learn what was put in?"""
    common = {"languages": DEMO_LANGUAGES, "protocol": "speaker", "split_hash": _split_hash("polyglot-acted", "speaker", DEMO_LANGUAGES)}
    return [
        ProbeTrial(**_fields("polyglot-acted", encoder, settings=ProbeSettings(head, epochs=DEMO_EPOCHS), seed=seed, **common))  # type: ignore[arg-type]
        for encoder in (encoders.MINI, encoders.MEL)
        for head in HEADS
        for seed in range(2)
    ]


def found_encoders() -> list[str]:
    return [name for name in (*ENCODERS, *CONTROLS) if encoders.available(name)]


def found_corpora() -> list[str]:
    return [name for name in emotions.CORPORA if registry.find(name) is not None]


@cache
def _corpus_hash(corpus: str) -> str:
    return registry.load(corpus).hash


@cache
def _split_hash(corpus: str, protocol: splits.Protocol, languages: tuple[str, ...] = ()) -> str:
    found = registry.load(corpus)
    return splits.make(found.where(language=languages) if languages else found, protocol).hash


def _heard(corpus: str) -> FeatureSettings:
    # EMOVO's two channels are two microphones; their mean is comb-filtered.
    return FeatureSettings(channel="left") if corpus == "emovo" else FeatureSettings()


def _fields(corpus: str, encoder: str, **more: Any) -> dict[str, Any]:
    return {
        "study": SLUG,
        "data_status": registry.known(corpus).status,
        "model_status": "paper" if encoder in encoders.PAPER else "random" if encoder.startswith(encoders.RANDOM) else "other",
        "corpus": corpus,
        "corpus_hash": _corpus_hash(corpus),
        "encoder": encoder,
        "weights_hash": encoders.weights_hash(encoder),
        "features": _heard(corpus),
        **more,
    }


def _probe(corpus: str, encoder: str, settings: ProbeSettings, seed: int, protocol: splits.Protocol = "speaker") -> ProbeTrial:
    return ProbeTrial(**_fields(corpus, encoder, settings=settings, seed=seed, protocol=protocol, split_hash=_split_hash(corpus, protocol)))


def _paper_trials() -> list[Trial]:
    planned: list[Trial] = []
    for encoder in found_encoders():
        for head in HEADS:
            planned += [_probe(c, encoder, ProbeSettings(head), seed) for c in found_corpora() for seed in SEEDS]  # type: ignore[arg-type]
    for encoder in found_encoders():
        for corpus in found_corpora():
            planned += beyond(corpus, encoder)
    return planned


def beyond(corpus: str, encoder: str) -> list[Trial]:
    """What the paper leaves open, with the Linear head: other splits, other settings, each layer, other corpora."""
    out: list[Trial] = []
    for seed in SEEDS:
        out += [_probe(corpus, encoder, ProbeSettings("linear"), seed, protocol) for protocol in ("loso", "stratified")]
        out += [_probe(corpus, encoder, settings, seed) for settings in OTHER_SETTINGS]
        out.append(LayersTrial(**_fields(corpus, encoder, seed=seed, protocol="speaker", split_hash=_split_hash(corpus, "speaker"))))
        others = [other for other in found_corpora() if other != corpus]
        out += [
            AcrossTrial(**_fields(corpus, encoder, seed=seed, target=o, target_hash=_corpus_hash(o), target_features=_heard(o)))
            for o in others
        ]
    return out


OTHER_SETTINGS = (
    ProbeSettings("weighted-linear"),
    ProbeSettings("weighted-linear", normalise_layers=True),
    ProbeSettings("linear", standardise=True),
    ProbeSettings("linear", epochs=100),
    ProbeSettings("linear", class_weights=False),
    ProbeSettings("linear", schedule="none"),
    ProbeSettings("linear", keep="last"),
)


def _probes(found: list[Record], **wanted: Any) -> list[Record]:
    """Probe records with the chapter's own choices but for those named: fields of the trial, or of its settings."""
    usual = asdict(ProbeSettings("linear")) | {"protocol": "speaker"} | wanted

    def fits(record: Record) -> bool:
        held = record.trial | record.trial["settings"]
        held["betas"] = tuple(held["betas"])
        return all(held[k] == v for k, v in usual.items() if k != "head" or "head" in wanted)

    return [r for r in found if r.trial["kind"] == ProbeTrial.kind and fits(r)]


def cell(found: list[Record], corpus: str, encoder: str, **wanted: Any) -> list[Record]:
    """The seeds of one cell, in order."""
    return sorted(_probes(found, corpus=corpus, encoder=encoder, **wanted), key=lambda r: r.trial["seed"])


def _answers(records: list[Record]) -> tuple[np.ndarray, np.ndarray, list[str]]:
    """True classes (files,), predicted ones (seeds, files), their names; files in one order."""
    tables = [r.items().sort_values(["fold", "file"], ignore_index=True) for r in records]
    names = sorted(set(tables[0]["emotion"]) | {c for t in tables for c in t["predicted"]})
    number = {name: i for i, name in enumerate(names)}
    predicted = np.array([t["predicted"].map(number).to_numpy() for t in tables])
    return tables[0]["emotion"].map(number).to_numpy(), predicted, names


def f1_draws(records: list[Record], draws: int = 1000, seed: int = 0) -> np.ndarray:
    """Mean over seeds of the macro F1, of the tested files as they are and of draws of them with replacement (1 + draws,).

    Records of one split and the same seed of drawing are drawn alike, so that differences between them are paired.
    """
    true, predicted, names = _answers(records)
    rng = np.random.default_rng(seed)
    weights = np.vstack([np.ones(len(true)), rng.multinomial(len(true), np.full(len(true), 1 / len(true)), size=draws)])
    return np.mean([_weighted_f1(true, p, weights, len(names)) for p in predicted], axis=0)


def _weighted_f1(true: np.ndarray, predicted: np.ndarray, weights: np.ndarray, classes: int) -> np.ndarray:
    """Macro F1 in percent for each row of weights, over the classes that occur in that row."""
    answers, truths = np.eye(classes)[predicted], np.eye(classes)[true]
    hits, named, there = (weights @ x for x in (answers * truths, answers, truths))
    occurs = named + there > 0
    f1 = np.where(occurs, 2 * hits / np.maximum(named + there, 1), 0.0)
    return 100 * f1.sum(axis=1) / occurs.sum(axis=1)


def _interval(draws: np.ndarray) -> Interval:
    return Interval(float(draws[0]), *np.quantile(draws[1:], [0.025, 0.975]).tolist())


def difference(found: list[Record], one: dict[str, Any], other: dict[str, Any]) -> Interval | None:
    """Mean over corpora of the difference of two cells' F1, paired over test files; None where no corpus has both."""
    both = []
    for corpus in measured_corpora(found):
        pair = [cell(found, corpus, **wanted) for wanted in (one, other)]
        if all(pair):
            both.append(f1_draws(pair[0]) - f1_draws(pair[1]))
    return _interval(np.mean(both, axis=0)) if both else None


def measured_corpora(found: list[Record]) -> list[str]:
    there = {r.trial["corpus"] for r in found}
    return [c for c in (*CORPUS_TITLES, "polyglot-acted") if c in there]


def measured_encoders(found: list[Record]) -> list[str]:
    there = {r.trial["encoder"] for r in found}
    return [e for e in (*TITLES, *OURS) if e in there]


def title_of(encoder: str) -> str:
    return (TITLES | OURS).get(encoder, encoder)


def _mean_sd(values: list[float]) -> str:
    return f"{np.mean(values):.1f} ± {np.std(values, ddof=1):.1f}" if len(values) > 1 else f"{values[0]:.1f}"


def table1() -> pd.DataFrame:
    """The paper's corpora: as printed, as their owners describe them, and as found here."""
    printed = published.read(SLUG, "table1").set_index("dataset")
    rows = []
    for name, title in CORPUS_TITLES.items():
        known = emotions.CORPORA[name]
        row: dict[str, Any] = {"corpus": title, "language": known.language}
        row["files printed"] = int(printed.loc[title, "samples"]) if title in printed.index else "not in the paper"
        row["classes printed"] = int(printed.loc[title, "n_emotions"]) if title in printed.index else ""
        row |= {
            "files its owners give": known.files,
            "speakers": known.speakers,
            "classes": len(known.expected) or "",
            "licence": known.licence,
        }
        if registry.find(name):
            table = registry.load(name).table
            row["here"] = f"{len(table)} files, {table['speaker'].nunique()} speakers, {table['emotion'].nunique()} classes"
        else:
            row["here"] = "not here"
        row["parser met a real copy"] = "yes" if known.seen else "no"
        rows.append(row)
    return pd.DataFrame(rows)


def table2(found: list[Record]) -> pd.DataFrame:
    """Backbones × heads: the paper's means over nine corpora; ours over the corpora measured, mean ± deviation over seeds."""
    printed = published.read(SLUG, "table2")
    rows = []
    for encoder in dict.fromkeys((*TITLES, *measured_encoders(found))):
        for head, name in HEADS.items():
            row = {"backbone": title_of(encoder), "head": name}
            paper = printed[(printed["backbone"] == TITLES.get(encoder)) & (printed["head"] == name)]
            row["paper, 9 corpora"] = f"{paper['mean'].iloc[0]:.2f} ± {paper['std'].iloc[0]:.2f}" if len(paper) else "–"
            cells = {c: cell(found, c, encoder, head=head) for c in measured_corpora(found)}
            cells = {c: records for c, records in cells.items() if records}
            if cells:
                seeds = min(len(records) for records in cells.values())
                by_seed = [float(np.mean([records[i].metrics["f1"] for records in cells.values()])) for i in range(seeds)]
                row["ours"] = _mean_sd(by_seed)
                row["95 % interval"] = "{1:.1f} to {2:.1f}".format(*_interval(np.mean([f1_draws(r) for r in cells.values()], axis=0)))
                row["constant answer"] = f"{np.mean([r[0].metrics['constant_f1'] for r in cells.values()]):.1f}"
                row["corpora"] = ", ".join(CORPUS_TITLES.get(c, c) for c in cells)
            else:
                row |= {"ours": "not available", "95 % interval": "", "constant answer": "", "corpora": encoders.how_to_get(encoder)}
            rows.append(row)
    return pd.DataFrame(rows)


def table3(found: list[Record]) -> pd.DataFrame:
    """Corpora × backbones with the head that the paper takes for each, and Linear for all: paper, ours, interval, test files."""
    printed = published.read(SLUG, "table3")
    rows = []
    for corpus in measured_corpora(found):
        for encoder in measured_encoders(found):
            for head, name in HEADS.items():
                records = cell(found, corpus, encoder, head=head)
                if not records:
                    continue
                twin = "whisper-small" if encoder == "whisper-small-int8" else encoder
                paper = printed[
                    (printed["dataset"] == CORPUS_TITLES.get(corpus))
                    & (printed["backbone"] == TITLES.get(twin))
                    & (printed["head"] == name)
                ]
                found_f1 = _interval(f1_draws(records))
                rows.append(
                    {
                        "corpus": CORPUS_TITLES.get(corpus, corpus),
                        "backbone": title_of(encoder),
                        "head": name,
                        "paper": f"{paper['mean'].iloc[0]:.2f} ± {paper['std'].iloc[0]:.2f}" if len(paper) else "–",
                        "ours": _mean_sd([r.metrics["f1"] for r in records]),
                        "95 % interval": f"{found_f1.low:.1f} to {found_f1.high:.1f}",
                        "constant answer": f"{records[0].metrics['constant_f1']:.1f}",
                        "test files": records[0].metrics["tested"],
                        "data": records[0].data_status,
                        "model": records[0].model_status,
                    }
                )
    return pd.DataFrame(rows)


def splits_table(found: list[Record], head: str = "linear") -> pd.DataFrame:
    """The same head by three ways to split: whole speakers, each speaker once, and plainly, with what each mixes."""
    rows = []
    for corpus in measured_corpora(found):
        for encoder in measured_encoders(found):
            row = {"corpus": CORPUS_TITLES.get(corpus, corpus), "backbone": title_of(encoder)}
            for protocol, name in (("speaker", "one split by speaker"), ("loso", "each speaker once"), ("stratified", "plain split")):
                records = cell(found, corpus, encoder, head=head, protocol=protocol)
                row[name] = _mean_sd([r.metrics["f1"] for r in records]) if records else "–"
            if set(row.values()) - {row["corpus"], row["backbone"], "–"}:
                rows.append(row)
    return pd.DataFrame(rows)


def printed_findings() -> list[Finding]:
    """What the paper's own printed numbers say of its claims."""
    two, three = published.read(SLUG, "table2"), published.read(SLUG, "table3")
    by_head = two.pivot(index="backbone", columns="head", values="mean")
    cells = three.pivot(index="dataset", columns="backbone", values="mean")
    waves, whispers = (["Wav2Vec 2.0 Base", "Wav2Vec 2.0 Large", "XLS-R"], ["Whisper Small (EN)", "Whisper Small", "Whisper Medium"])
    out = []

    def add(claim: str, holds: bool, evidence: str) -> None:
        out.append(Finding(claim, "holds" if holds else "fails", evidence, "the paper's printed numbers"))

    best = by_head.idxmax(axis=1)
    add("C1", bool((best[waves] == "Multi-Layer").all()), ", ".join(f"{b} {by_head.loc[b].max():.2f}" for b in waves))
    add("C2", bool((best[whispers] == "Linear").all()), ", ".join(f"{b} {by_head.loc[b].max():.2f}" for b in whispers))
    apart = (by_head["Linear"] - by_head["Non-Linear"]).abs()[waves[1:]]
    add("C3", bool((apart < 1).all()), ", ".join(f"{b} differs by {d:.2f}" for b, d in apart.items()))
    falls = (by_head["Linear"] > by_head["Non-Linear"]) & (by_head["Non-Linear"] > by_head["Multi-Layer"])
    add("C4", bool(falls[whispers].all()), f"{int(falls[whispers].sum())} of 3 models fall at both steps")
    lead = cells.drop(columns="AST").sub(cells["AST"], axis=0)
    below = [f"{b} on {d} ({lead.loc[d, b]:+.2f})" for d in lead.index for b in lead.columns if lead.loc[d, b] <= 0]
    add("C7", not below, f"{len(below)} of {lead.size} cells lie below AST: {', '.join(below)}")
    exceptions = {b: [d for d in cells.index if cells.loc[d, b] <= cells.loc[d, "XLS-R"]] for b in waves[:2]}
    add(
        "C8",
        all(e in ([], ["ShEMO"]) for e in exceptions.values()),
        "; ".join(f"{b} loses on {', '.join(e)}" for b, e in exceptions.items()),
    )
    loses = [d for d in cells.index if cells.loc[d, "Whisper Small"] <= cells.loc[d, "Whisper Small (EN)"]]
    p = stats.binomtest(len(cells) - len(loses), len(cells)).pvalue
    add("C9", set(loses) == {"AESDD", "ShEMO"}, f"it loses on {', '.join(loses)}; sign test over {len(cells)} sets p = {p:.2f}")
    winner = cells.idxmax(axis=1)
    for claim, sets, allowed in (
        ("C10", ["EMOVO", "DEMoS", "Oréau", "CaFE", "EmoMatch", "EmoDB"], whispers[1:]),
        ("C11", ["AESDD", "EYASE"], waves[1:2]),
    ):
        add(claim, bool(winner[sets].isin(allowed).all()), ", ".join(f"{d}: {winner[d]} {cells.loc[d].max():.2f}" for d in sets))
    gaps = published.read(SLUG, "table2_vs_table3")
    gaps = gaps[gaps["difference"].notna()]
    add("C12", bool((gaps["difference"].abs() <= 0.01).all()), ", ".join(f"{r.backbone} {r.difference:+.2f}" for r in gaps.itertuples()))
    constant = published.read(SLUG, "emobox_counts").iloc[:, 5].astype(float)
    low = by_head.loc["XLS-R", ["Linear", "Non-Linear"]].max()
    add(
        "C14",
        bool(low <= constant.max()),
        f"at most {low:.2f}; a constant answer gives {constant.min():.1f} to {constant.max():.1f} by set",
    )
    return out


def findings(found: list[Record]) -> list[Finding]:
    """Verdicts by our run; what asks for weights that are not here is untestable here."""
    out: list[Finding] = []
    whispers = [e for e in ("whisper-small-int8", "whisper-base", "whisper-tiny") if any(r.trial["encoder"] == e for r in found)]
    pairs = {
        "Linear over Non-Linear": ({"head": "linear"}, {"head": "non-linear"}),
        "Non-Linear over Multi-Layer": ({"head": "non-linear"}, {"head": "multi-layer"}),
        "Linear over Multi-Layer": ({"head": "linear"}, {"head": "multi-layer"}),
    }
    leads = {(e, n): difference(found, one | {"encoder": e}, other | {"encoder": e}) for e in whispers for n, (one, other) in pairs.items()}
    known = {key: lead for key, lead in leads.items() if lead is not None}
    status = found[0].data_status if found else ""
    for claim, names in (
        ("C2", ("Linear over Non-Linear", "Linear over Multi-Layer")),
        ("C4", ("Linear over Non-Linear", "Non-Linear over Multi-Layer")),
    ):
        asked = {k: v for k, v in known.items() if k[1] in names}
        if asked:
            verdicts = [judge(v, low=0.0) for v in asked.values()]
            evidence = "; ".join(f"{e}: {n} {_points(v)}" for (e, n), v in asked.items())
            out.append(Finding(claim, _together(verdicts), f"Whisper models that are here: {evidence}", "our run", None, status))
    centres = {e: _centre_of_weights(found, e) for e in whispers}
    told = {e: c for e, c in centres.items() if c is not None}
    if told:
        verdict = _together([judge(c, low=0.6) for c in told.values()])
        evidence = "; ".join(f"{e} {c.value:.2f} [{c.low:.2f}, {c.high:.2f}]" for e, c in told.items())
        out.append(
            Finding(
                "C6", verdict, f"Whisper's half of the claim; centre of the layer weights over l/L: {evidence}", "our run", None, status
            )
        )
    twins = [(m, f"{m}.en") for m in ("whisper-base", "whisper-tiny")]
    leads_of_twins = {m: difference(found, {"encoder": m, "head": "linear"}, {"encoder": en, "head": "linear"}) for m, en in twins}
    asked_twins = {m: lead for m, lead in leads_of_twins.items() if lead is not None}
    if asked_twins:
        evidence = "; ".join(f"{m} over its English twin {_points(v)}" for m, v in asked_twins.items())
        out.append(
            Finding(
                "C9",
                _together([judge(v, low=0.0) for v in asked_twins.values()]),
                f"stand-ins, mean over corpora: {evidence}",
                "our run",
                None,
                status,
            )
        )
    out += _splits_finding(found)
    needs = {
        "C1": "wav2vec2-base",
        "C3": "wav2vec2-large",
        "C5": "wav2vec2-base",
        "C7": "a GPU for AST from scratch",
        "C8": "wav2vec2-xls-r-300m",
        "C10": "whisper-medium",
        "C11": "wav2vec2-large",
        "C14": "wav2vec2-xls-r-300m",
    }
    out += [
        Finding(claim, "untestable here", "", "nothing yet", needs=encoders.how_to_get(what) if what in encoders.PAPER else what)
        for claim, what in needs.items()
    ]
    return sorted(out, key=lambda f: int(f.id[1:]))


def _points(interval: Interval) -> str:
    return f"{interval.value:+.1f} points [{interval.low:+.1f}, {interval.high:+.1f}]"


def _together(verdicts: list[Verdict]) -> Verdict:
    return "fails" if "fails" in verdicts else "undecided" if "undecided" in verdicts else "holds"


def layer_weights(found: list[Record], head: str = "multi-layer", **wanted: Any) -> pd.DataFrame:
    """Learnt weights: a row a corpus, encoder, seed and layer."""
    rows = [
        {"corpus": r.trial["corpus"], "encoder": r.trial["encoder"], "seed": r.trial["seed"], "layer": i, "weight": w}
        for r in _probes(found, head=head, **wanted)
        for i, w in enumerate(r.metrics["layer_weights"], start=1)
    ]
    return pd.DataFrame(rows)


def _centre_of_weights(found: list[Record], encoder: str) -> Interval | None:
    """Centre of mass of the layer weights over l/L, mean over corpora and seeds, with an interval over corpora (t)."""
    table = layer_weights(found, encoder=encoder)
    if table.empty:
        return None
    table["share"] = table["layer"] / table["layer"].max() * table["weight"]
    by_corpus = table.groupby(["corpus", "seed"])["share"].sum().groupby("corpus").mean()
    if len(by_corpus) < 2:
        return None
    half = stats.t.ppf(0.975, len(by_corpus) - 1) * by_corpus.std(ddof=1) / np.sqrt(len(by_corpus))
    return Interval(float(by_corpus.mean()), float(by_corpus.mean() - half), float(by_corpus.mean() + half))


def split_facts() -> pd.DataFrame:
    """What our splits by speaker reached, for the corpora that are here."""
    parts = []
    for name in found_corpora():
        corpus = registry.load(name)
        parts.append(splits.facts(splits.make(corpus, "speaker"), corpus).drop(columns="fold").assign(corpus=CORPUS_TITLES.get(name, name)))
    return pd.concat(parts, ignore_index=True) if parts else pd.DataFrame()


def _splits_finding(found: list[Record]) -> list[Finding]:
    """C13 on the predictions themselves: which share of a corpus the tested speakers are."""
    shares = {}
    for corpus in measured_corpora(found):
        records = cell(found, corpus, measured_encoders(found)[0], head="linear")
        whole = cell(found, corpus, measured_encoders(found)[0], head="linear", protocol="loso")
        if records and whole:
            shares[CORPUS_TITLES.get(corpus, corpus)] = records[0].metrics["tested"] / whole[0].metrics["tested"]
    if not shares:
        return []
    missed = {c: s for c, s in shares.items() if abs(s - 0.1) > 0.02}
    evidence = "share that is tested when whole speakers are kept apart: " + ", ".join(f"{c} {100 * s:.0f} %" for c, s in shares.items())
    return [Finding("C13", "fails" if missed else "holds", evidence, "our run", None, found[0].data_status)]
