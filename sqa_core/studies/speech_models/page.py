"""What the page on speech models takes from its records: values for its prose, by key, and sentences to listen to."""

from typing import Any

from ... import audio
from ...corpora import cards, polyglot, registry
from ...files import short_hash
from ...models import spectrogram_transformer
from ...results.claims import Finding
from ..shared import published_run
from . import claims, claims_printed, findings, open_questions, tables, variability
from .open_questions import ASSIGNED
from .plan import ASTS, PAPERS_CORPORA, PAPERS_ENCODERS, SLUG, USUAL
from .selection import Run, f1_draws, run_of, title_of

MISSING = "not available"
FEW_SPEAKERS = ("aesdd", "emodb", "emovo")  # the paper's corpora whose speakers the page looks at one by one
DEMO_LANGUAGES = {"it": "Italian", "de": "German", "el": "Greek", "fr": "French"}


def card() -> dict[str, Any]:
    """What the start page says of the chapter."""
    run = run_of(published_run(SLUG))
    screen = findings.first_screen(run, claims.findings(run), claims_printed.findings())
    return {
        "title": "Which speech encoder gives the best features for emotion recognition?",
        "paper": "D'Asaro, Márquez Villacís, Rizzo, Bottino: Using Large Speech Models for Feature Extraction in Cross-Lingual Speech "
        "Emotion Recognition, CLiC-it 2024",
        "reply": screen["reply"],
        "verdicts": screen["verdicts"],
    }


def glue_values(run: Run, ours: list[Finding]) -> dict[str, str]:
    """Values for the page's `{glue}` roles, by key. ours : verdicts by our run."""
    parts = (_counts, _first_numbers, _speakers, _assignments, _layer_weights, _ast, _splits, _table2)
    by_claim = {f.id: f.verdict for f in ours}
    return {key: value for part in parts for key, value in part(run).items()} | {"verdict_C2": by_claim.get("C2", MISSING)}


def _counts(run: Run) -> dict[str, str]:
    missing_models = [e for e in PAPERS_ENCODERS if e not in run.models]
    return {
        "n_not_here": f"{len(missing_models)} of the paper's {len(PAPERS_ENCODERS)} models",
        "corpora_not_here": f"{len(PAPERS_CORPORA) - len(run.papers_corpora)} of its {len(PAPERS_CORPORA)} corpora",
    }


def _first_numbers(run: Run) -> dict[str, str]:
    out = {}
    for corpus in FEW_SPEAKERS:
        records = run.cell(corpus, ASSIGNED)
        out[f"paper_{corpus}"] = f"{tables.printed_twin(corpus, ASSIGNED):.2f}"
        out[f"f1_{corpus}"] = f"{f1_draws(records).value:.1f}" if records else MISSING
    return out


def _speakers(run: Run) -> dict[str, str]:
    out = {}
    by_speaker = {c: variability.f1_by_speaker(run.cell(c, ASSIGNED, protocol="loso")) for c in FEW_SPEAKERS}
    tested = {c: sorted(cell[0].items()["speaker"].unique()) if (cell := run.cell(c, ASSIGNED)) else [] for c in FEW_SPEAKERS}
    for corpus, f1 in by_speaker.items():
        out[f"speakers_{corpus}"] = f"{f1.iloc[0]:.1f} to {f1.iloc[-1]:.1f}" if len(f1) else MISSING
        out[f"tested_{corpus}"] = ", ".join(tested[corpus]) or MISSING
        out[f"tested_{corpus}_loso"] = ", ".join(f"{f1[s]:.1f}" for s in tested[corpus] if s in f1) or MISSING
    emovo = by_speaker["emovo"]
    out["rank_emovo"] = MISSING
    if tested["emovo"] and len(emovo):
        out["rank_emovo"] = _rank(len(emovo) - int(emovo.index.get_loc(tested["emovo"][0])), len(emovo))
    worst = {e: variability.f1_by_speaker(run.cell("aesdd", e, protocol="loso")) for e in claims.WHISPERS}
    sentences = [f"{title_of(e)}: speaker {f1.index[0]} with {f1.iloc[0]:.1f}" for e, f1 in worst.items() if len(f1)]
    return out | {"aesdd_worst": "; ".join(sentences) or MISSING}


def _rank(place: int, count: int) -> str:
    ordinal = {1: "the", 2: "the 2nd", 3: "the 3rd"}.get(place, f"the {place}th")
    return f"{ordinal} easiest of {count}"


def _assignments(run: Run) -> dict[str, str]:
    """How many assignments of speakers score no more than the paper prints, and their range; for AESDD also with five of its six."""
    table = open_questions.speaker_assignments(run, ASSIGNED)
    out = {}
    for corpus in FEW_SPEAKERS:
        part = table[(table["corpus"] == corpus) & (table["absent"] == "")]
        below = part[part["f1"] <= tables.printed_twin(corpus, ASSIGNED)]
        text = f"{len(below)} of the {len(part)} possible assignments (range {part['f1'].min():.1f}–{part['f1'].max():.1f})"
        out[f"assignments_{corpus}"] = text if len(part) else MISSING
        out[f"assignments_{corpus}_tested"] = ", ".join(sorted(below["tested"].unique())) if len(below) else MISSING
    five = table[(table["corpus"] == "aesdd") & (table["absent"] != "")]
    at_most = (five["f1"] <= tables.printed_twin("aesdd", ASSIGNED)).groupby(five["absent"]).agg(["sum", "size"])
    each = ", ".join(
        f"{row.sum} of {row.size} without speaker {absent}" for absent, row in zip(at_most.index, at_most.itertuples(), strict=True)
    )
    return out | {"assignments_five": each if len(at_most) else MISSING}


def _layer_weights(run: Run) -> dict[str, str]:
    moved = open_questions.weights_moved(run)
    still = str(int((~moved).sum())) if len(moved) else MISSING
    factor = open_questions.largest_step(USUAL) / USUAL.learning_rate
    return {"weights_cells": str(len(moved)), "weights_still": still, "adam_factor": f"{factor:.1f}"}


def _ast(run: Run) -> dict[str, str]:
    counts = {n: spectrogram_transformer.count_parameters(spectrogram_transformer.LAYOUTS[n]) / 1e6 for n in ASTS}
    return {"ast_parameters": f"{counts['ast-small']:.3g}", "ast_papers": f"{counts['ast']:.3g}"}


def _splits(run: Run) -> dict[str, str]:
    """How accurate predicting each speaker's majority emotion is on URDU."""
    records = next((cell for e in run.models if (cell := run.cell("urdu", e, protocol="loso"))), [])
    if not records:
        return {"urdu_majority_of_speakers": MISSING}
    items = records[0].items()
    return {"urdu_majority_of_speakers": f"{100 * cards.group_majority_accuracy(items['emotion'], items['speaker']):.0f} %"}


def _table2(run: Run) -> dict[str, str]:
    return {"n_subsets": str(tables.count_subsets()), "subsets_that_fit_all": str(tables.subsets_that_fit_all())}


def synthetic_examples(voice: str = "f1") -> dict[str, list[tuple[audio.Sound, str, str]]]:
    """One sentence in several languages, in the manner of each emotion: (sound, label, emotion) by language, in an order without a pattern."""
    out = {}
    for language, name in DEMO_LANGUAGES.items():
        text = polyglot.sentences(language)[0]
        order = sorted(polyglot.MANNERS, key=lambda e: short_hash(f"{language} {e}", 64))
        sounds = polyglot.synthesise([polyglot.acted_job(language, voice, text, e) for e in order])
        out[name] = [(sound, f"{name}, {i}", emotion) for i, (sound, emotion) in enumerate(zip(sounds, order, strict=True), start=1)]
    return out


def real_examples(sentence: str = "a01", speaker: str = "08") -> dict[str, list[tuple[audio.Sound, str, str]]]:
    """One sentence of EmoDB by one actor in several emotions, if the corpus is on this machine."""
    if registry.find("emodb") is None:
        return {}
    found = registry.load("emodb").where(sentence=sentence, speaker=speaker)
    chosen = found.table.drop_duplicates("emotion").sort_values("sha256")
    sounds = [
        (audio.load(found.root / row.file), f"EmoDB, speaker {speaker}, {i}", str(row.emotion))
        for i, row in enumerate(chosen.itertuples(), start=1)
    ]
    return {"German, EmoDB": sounds}
