"""What the page on HuMP-CAT takes from its records: its first screen, values for its prose, sounds, and the reader's chooser."""

from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from ... import audio, spectrogram
from ...corpora import polyglot, registry
from ...corpora.emotion import catalogue
from ...figures import verdicts
from ...figures.page import absent
from ...figures.verdicts import Bar
from ...figures.widgets import map_chooser
from ...files import short_hash
from ...learning import humpcat
from ...learning.streams import Streams, of_sound
from ...models import encoder_catalogue, encoders
from ...models.humpcat import Humpcat
from ...results import published
from ...results.claims import Finding, on_claims, tally
from ...spectrogram import SPEECH_RATE
from ..shared import listed, published_run
from . import claims, selection, tables, tables_controls
from .plan import (
    ENCODERS,
    EPOCHS,
    PAPERS_ENCODER,
    PAPERS_SOURCE,
    PAPERS_TARGETS,
    SHARE,
    SHARES,
    SLUG,
    SOURCE_EPOCHS,
    USUAL,
    WIDTH,
    Settings,
    trials,
)
from .tables import STREAMS
from .trials import CLASSES, DRAWN, TargetTrial

MISSING = "not available"
QUESTION = "Can a network that fuses three kinds of features and has been trained on emotion in English be moved to other languages with a quarter of their files?"
STEP_FRAMES, HALF_WINDOW = 8, 10  # of 10 ms: a step of the convolution, and half of what it sees
REDISTRIBUTABLE = ("emodb",)  # of the targets, by licence
SPOKEN = {"en": "English", "de": "German", "it": "Italian", "es": "Spanish", "zh": "Chinese", "el": "Greek"}
AUDIO = (".wav", ".flac")


def percent(share: float) -> str:
    return f"{100 * share:g} %"


def card() -> dict[str, Any]:
    """What the start page says of the chapter."""
    found = published_run(SLUG)
    screen = first_screen(found, claims.findings(found))
    return {
        "title": "Does emotion recognition trained on English travel?",
        "paper": "Leveraging Cross-Attention Transformer and Multi-Feature Fusion for Cross-Linguistic Speech Emotion Recognition (HuMP-CAT), 2025 (quoted from a summary)",
        "reply": screen["reply"],
        "verdicts": screen["verdicts"],
    }


def first_screen(found: pd.DataFrame, judged: list[Finding]) -> dict[str, Any]:
    """What `figures.answer` shows."""
    return {
        "question": QUESTION,
        "reply": reply(found, judged),
        "faithful": made_of(found),
        "verdicts": [Bar("Claims", tally(on_claims(judged, published.read(SLUG, "quotations"))))],
        "found": three_numbers(found),
        "links": verdicts.links(SLUG, "", "https://arxiv.org/abs/2501.10408"),
    }


def made_of(found: pd.DataFrame) -> dict[str, str]:
    """How near the run is to the paper, from its records."""
    table = selection.transfers(found)
    out = {"network": f"all of its parts, at width {WIDTH} for 252; {SOURCE_EPOCHS} and {EPOCHS} epochs for 50"}
    if not len(table):
        return out
    trial = selection.chosen(table)["record"].iloc[0].trial
    targets = tables.in_order(table["target"])
    groups: dict[str, list[str]] = {
        "of those that the paper names": [],
        "in its languages": [],
        "in languages that its targets do not have": [],
    }
    languages, (named, among, others) = tables.papers_languages(), groups.values()
    for target in targets:
        group = named if target in PAPERS_TARGETS else among if tables.language(target) in languages else others
        group.append(tables.title(target))
    words = [f"{listed(of)} {what}" for what, of in groups.items() if of]
    source, encoder, layers = trial["source"], trial["encoder"], " and ".join(map(str, trial["layers"]))
    stands_for = ("" if source == PAPERS_SOURCE else " for IEMOCAP", "" if encoder == PAPERS_ENCODER else " for HuBERT base")
    return {
        "source": f"{tables.title(source)}{stands_for[0]}",
        "targets": "; ".join(words),
        "encoder": f"{encoder_catalogue.title(encoder)}{stands_for[1]}, layers {layers} of {ENCODERS[encoder]}",
    } | out


def reply(found: pd.DataFrame, judged: list[Finding]) -> str:
    """The answer in two sentences."""
    accuracy = tables.accuracy_table(found)
    if accuracy.empty or "target only, %" not in accuracy:
        return "The published run is not complete."
    low, high = accuracy.loc[accuracy["accuracy, %"].idxmin()], accuracy.loc[accuracy["accuracy, %"].idxmax()]
    first = (
        f"With {percent(SHARE)} of the target's files, accuracy on other speakers is {low['accuracy, %']:.0f} % on {low['target']} to "
        f"{high['accuracy, %']:.0f} % on {high['target']}"
    )
    gain = next(f for f in judged if f.id == "C9")
    if gain.interval is None:
        return f"{first}. Whether the English source helps is not decided yet."
    said = {"holds": "helps", "fails": "hurts"}.get(gain.verdict, "is not shown to help")
    wider = selection.over_targets(selection.gain(selection.transfers(found)))
    also = f"; with targets as the unit [{wider.low:+.1f}, {wider.high:+.1f}]" if wider else ""
    return (
        f"{first}. On these targets, training on English first {said}: {gain.interval.text('+.1f')} points against the target only "
        f"(over folds{also})."
    )


def three_numbers(found: pd.DataFrame) -> list[tuple[str, str]]:
    """Numbers with what they are."""
    out = []
    table = selection.transfers(found)
    usual, start = selection.chosen(table), claims.start_of(table, ["concatenation"]) or "random"
    found_gaps = (
        (selection.chosen(table, start=start), selection.chosen(table, "concatenation", start),
         f"cross-attention minus concatenation with as many parameters, {selection.BEGUN[start]}; interval over folds (targets and draws)"),
        (selection.chosen(table, by="file"), usual,
         "what mixing speakers between tuning and test would add to accuracy; interval over folds"),
    )  # fmt: skip
    for one, other, name in found_gaps:
        gap = selection.over_folds(selection.difference(one, other))
        if gap:
            out.append((f"{gap.text('+.1f')} points", name))
    shuffled = tables_controls.gain(tables_controls.labels_table(found), tables_controls.SHUFFLED)
    if shuffled:
        what = "gain from a source with shuffled labels, on the speakers who are never tuned on; interval over folds"
        return [*out, (f"{shuffled.text('+.1f')} points", what)]
    even = tables.attention_table(found)
    if len(even):
        mine = even[(even["network"] == USUAL) & (even["direction"] == "mfcc on prosody")]
        if len(mine) and "source + target" in mine:
            value = mine["source + target"].iloc[0]
            said = "normalised entropy of MFCCs' attention to prosody; 1 is uniform, and with one vector per file it is always 1"
            out.append((f"{value:.3f}", said))
    return out


def glue_values(found: pd.DataFrame) -> dict[str, str]:
    """Values for the page's `{glue}` roles, by key."""
    table = selection.transfers(found)
    out = {"share": percent(SHARE), "draws": str(table["seed"].nunique())}
    usual, alone = selection.chosen(table), selection.chosen(table, start="random")
    pairs = {"source": (usual, alone), "mixed": (selection.chosen(table, by="file"), usual)}
    pairs["contours"] = (selection.chosen(table, "prosody over time", "random"), alone)
    changed = ["concatenation", "one stage", *STREAMS]
    start = claims.start_of(table, changed) or "random"
    out["begun"] = "on the source, then on the target" if start == "source" else "on the target only"
    for name in changed:
        pairs[name.replace(" ", "_")] = (selection.chosen(table, start=start), selection.chosen(table, name, start))
    for name, (one, other) in pairs.items():
        gap = selection.over_folds(selection.difference(one, other)) if len(one) and len(other) else None
        out[f"gap_{name}"] = f"{gap.text('+.1f')} points" if gap else MISSING
    fixed = selection.over_folds(selection.difference(usual, alone, "fixed_accuracy"))
    out["gap_source_fixed"] = f"{fixed.text('+.1f')} points" if fixed else MISSING
    sources = [r.metrics["accuracy"] for r in selection.of_run(found, "source")]
    out["source_said"] = MISSING
    if len(usual):
        source = usual["record"].iloc[0].trial["source"]
        speakers = catalogue.CORPORA[source].speakers
        some = f"{len(sources) or 'none'} of the {speakers} speakers of {tables.title(source)} so far"
        count = some if len(sources) < speakers else f"all {speakers} speakers of {tables.title(source)}"
        out["source_said"] = count + (f", with a mean accuracy of {np.mean(sources):.1f} %" if sources else "")
        if (change := tables.mixing_speakers(tables.source_table(found))) is not None:
            out["source_said"] += (
                f"; holding out as many files at random instead of by speaker changes it by {change.text('+.1f')} points, interval over speakers"
            )
    out["turning"] = _turning(found)
    out["labels"], out["size_matched"] = _labels(found), _size_matched(found)
    out["absent"] = _absent(found)
    out["grid"] = _grid(found)
    even = tables.attention_table(found)
    for name, network, direction in (
        ("even_prosody", USUAL, "mfcc on prosody"),
        ("even_contours", "prosody over time", "mfcc on prosody"),
    ):
        row = even[(even["network"] == network) & (even["direction"] == direction)] if len(even) else even
        column = "target only"  # which both networks have been trained on
        out[name] = f"{row[column].iloc[0]:.4f}" if len(row) and column in row else MISSING
    return out


def _turning(found: pd.DataFrame) -> str:
    """At which share the source stops helping, target by target, in a sentence or two."""
    table = tables.turning_points(tables.shares_table(found))
    if table.empty:
        return MISSING
    column, shown = "no mean gain from, %", "shown to hurt at, %"
    ends = [f"{r['target']} {_share_in_words(r[column])}" for _, r in table.iterrows() if np.isfinite(r[column])]
    hurt = [f"{r['target']}, first at {_share_in_words(r[shown])}" for _, r in table.iterrows() if np.isfinite(r[shown])]
    kept = [r["target"] for _, r in table.iterrows() if not np.isfinite(r[column])]
    said = f"On these test files the mean gain is zero or negative from the following shares upwards: {', '.join(ends) or 'none'}"
    said += f"; on {listed(kept)} it stays above 0 to the largest share. " if kept else ". "
    return said + f"The interval of the gain is wholly below 0 for {'; '.join(hurt) or 'no target at any share'}."


def _labels(found: pd.DataFrame) -> str:
    """What the source is worth with other labels."""
    table = tables_controls.labels_table(found)
    said = []
    for labels, what in (
        (tables_controls.permuted(len(CLASSES)), "With the target's labels permuted"),
        (tables_controls.SHUFFLED, "With the source's labels shuffled over its files"),
    ):
        gain, cost = tables_controls.gain(table, labels), tables_controls.labels_cost(found, labels)
        folds, means = selection.over_folds(cost), selection.over_targets(cost)
        if gain and folds:
            over = f" (over the targets' means {means.text('.1f')})" if means else ""
            said.append(
                f"{what}, the source adds {gain.text('+.1f')} points after tuning, {folds.text('.1f')} fewer than with the labels as they "
                f"are{over}."
            )
    return f"{' '.join(said)} Intervals are over folds, that is targets and draws." if said else f"That control is {MISSING} here."


def _size_matched(found: pd.DataFrame) -> str:
    """How far the targets lie apart, whole and size-matched."""
    spread = tables_controls.spread(found)
    if spread is None:
        return f"That control is {MISSING} here."
    whole, cut, change = spread
    return (
        f"Across targets, accuracy spans {whole:.1f} points on all files and {cut:.1f} on size-matched subsets, a change of "
        f"{change.text('+.1f')} (interval over draws)."
    )


def _share_in_words(of_files: float) -> str:
    """of_files : in percent of a target's files."""
    return "all tuning speakers" if of_files == 100 else f"{of_files:g} %"


def _absent(found: pd.DataFrame) -> str:
    """What of the paper's own encoder and source the published run lacks."""
    usual = selection.chosen(selection.transfers(found))
    if usual.empty:
        return "The published run is not available here."
    trial = usual["record"].iloc[0].trial
    lacking = [
        name
        for name, field, papers in (("HuBERT", "encoder", PAPERS_ENCODER), ("IEMOCAP", "source", PAPERS_SOURCE))
        if trial[field] != papers
    ]
    if not lacking:
        return "The published run has the paper's encoder and source."
    return f"{listed(lacking)} {'were' if len(lacking) > 1 else 'was'} not available for the published run; a run uses what it finds."


def _grid(found: pd.DataFrame) -> str:
    """How many trials the published run has, and their time."""
    of = list(selection.transfers(found)["record"])
    of += [
        r for kind in ("attention", "source", "mixed_source", "permuted", "shuffled", "size_matched") for r in selection.of_run(found, kind)
    ]
    of += selection.of_voices(found, "permuted")
    return f"{len(of)} trials, {sum(r.wall_s for r in of) / 3600:.1f} hours in total" if of else MISSING


def stages(by_epoch: pd.DataFrame) -> str:
    """What `tables.epochs_table` has, in words."""
    words = {
        "source": "training on the source (each training leaves out one speaker; the curve is the mean over them)",
        "tuning": "tuning (means over draws, of entropy over targets as well)",
    }
    return listed([text for stage, text in words.items() if stage in set(by_epoch["stage"])]) or "nothing"


def chooser(found: pd.DataFrame) -> tuple[dict[str, dict[str, float]], dict[str, dict[str, float]], dict[str, pd.DataFrame]]:
    """For `figures.bars`: recall of each class and accuracy by target, training, share and streams; the share of the most frequent class,
    beside accuracy; and the confusion matrix, in percent of each true class. All are on the files that are tested at every share, means over
    those draws of speakers that a cell has; a class that a draw lacks takes no part in its mean."""
    groups: dict[str, dict[str, float]] = {}
    lines: dict[str, dict[str, float]] = {}
    crossed: dict[str, pd.DataFrame] = {}
    usual_first = sorted(SHARES, key=lambda share: share != SHARE)
    cells: list[tuple[dict[str, Any], str]]
    cells = [({"share": share, "start": start}, "all streams") for start in ("source", "random") for share in usual_first]
    cells += [({"share": SHARE, "start": start, "variant": name}, name) for start in ("source", "random") for name in STREAMS]
    transfers = selection.transfers(found)
    by_target = [(cell, streams, tables.answers(transfers, **cell)) for cell, streams in cells]
    for target in tables.in_order(target for *_, of in by_target for target in of):
        for cell, streams, of in by_target:
            if target not in of:
                continue
            begun = selection.BEGUN[cell["start"]] if cell["share"] or cell["start"] == "random" else "source only"
            draws = f"{len(of[target])} draw{'s' * (len(of[target]) > 1)}"
            share = "all files of the tuning speakers" if cell["share"] == 1 else f"{percent(cell['share'])} of the files"
            name = f"{tables.title(target)}, {share}, {begun}, {streams} ({draws})"
            each = [pd.crosstab(one["emotion"], one["predicted"], normalize="index") * 100 for one in of[target]]
            present = [c for c in CLASSES if any(c in matrix.index for matrix in each)]
            each = [m.reindex(columns=list(CLASSES), fill_value=0.0).reindex(index=present) for m in each]
            matrix = pd.DataFrame(np.nanmean(each, axis=0), present, CLASSES)
            groups[name] = {"accuracy": float(np.mean([100 * (one["predicted"] == one["emotion"]).mean() for one in of[target]]))}
            groups[name] |= {f"recall, {c}": float(matrix.loc[c, c]) for c in present}
            lines[name] = {"accuracy": float(np.mean([100 * one["emotion"].value_counts(normalize=True).max() for one in of[target]]))}
            crossed[name] = matrix.round().astype(int).rename_axis(index="true", columns="answered, %")
    return groups, lines, crossed


def synthetic_examples(voice: str = "f4") -> dict[str, list[tuple[audio.Sound, str, str]]]:
    """One sentence in each language, acted in the four emotions, in an order that does not reveal them: (sound, label, emotion) by language."""
    out = {}
    for code, name in SPOKEN.items():
        text = polyglot.sentences(code)[1]
        order = sorted(CLASSES, key=lambda e: short_hash(f"{code} {e} {voice}", 64))
        sounds = polyglot.synthesise([polyglot.acted_job(code, voice, text, e) for e in order])
        out[name] = [(sound, f"{name}, {i}", emotion) for i, (sound, emotion) in enumerate(zip(sounds, order, strict=True), start=1)]
    return out


def deviations_table(found: pd.DataFrame) -> pd.DataFrame:
    """How this rerun differs from the paper."""
    made = made_of(found)
    rows = [
        ("source", "IEMOCAP, ten speakers, 10 folds", made.get("source", MISSING), "not measured"),
        ("targets", "seven, two of them named", made.get("targets", MISSING), "cannot be measured"),
        ("encoder", "HuBERT base, layers 1 and 9", made.get("encoder", MISSING), "not measured"),
        ("width", "252 (from a convolution in a third party's code)", f"{WIDTH}", "in the forest plot, where computed"),
        ("epochs", "50", f"{SOURCE_EPOCHS} on the source, {EPOCHS} on the target", "not measured"),
        ("share tuned on", "10 to 33 % of the files, drawn in a way that is not stated", "25 % by speaker; other shares beside", "in the figure"),
        ("AM-Softmax", "scale and margin not stated", "30 and 0.35; other margins beside", "in the forest plot"),
        ("scaling of inputs", "not stated", "mean 0, variance 1 over the source, or over the share where there is no source", "not measured"),
        ("DisVoice", "as it is", "as it is, but a frame of zeros counts as −100 dB instead of −1e30; numbers without a definition become the mean of the training files", "in the forest plot, where computed"),
        ("RAPT's dither", "not stated", "as in one process of DisVoice that reads a corpus in its order: a file's pitch depends a little on those before; in the variants from concatenation to prosody over time, on what its worker process had read", "in the forest plot, where computed"),
        ("files to test on", "the rest of the target", "speakers of whom no file was tuned on", "in the table of mixed speakers"),
    ]  # fmt: skip
    return pd.DataFrame(rows, columns=["what", "the paper", "here", "effect"])


CHANGES = {"pitch, steps of eSpeak": (-30.0, 0.0, 45.0), "rate, factor": (0.6, 1.0, 1.6), "level, dB": (-20.0, 0.0, 6.0)}
NOT_IN_DEMO = 5  # number of a sentence that the demo's corpus lacks


def changed_voice(changes: Mapping[str, float]) -> audio.Sound:
    """The built-in voice with another pitch, rate and level: values by the names of `CHANGES`."""
    pitch, rate, level = (changes[name] for name in CHANGES)
    job = polyglot.acted_job("de", "f4", polyglot.sentences("de")[NOT_IN_DEMO], "neutral")
    job["pitch"], job["rate"] = int(np.clip(job["pitch"] + round(pitch), 0, 99)), round(job["rate"] * rate)
    (sound,) = polyglot.synthesise([job])
    return audio.Sound((sound.waveform * 10 ** (level / 20)).astype(np.float32), sound.sample_rate)


class Demo(NamedTuple):
    """The demo's network for German, its trial, and its encoder."""

    network: Humpcat
    trial: TargetTrial
    encoder: encoders.Encoder

    def streams(self, sound: audio.Sound) -> Streams:
        x = audio.resample(sound.waveform, sound.sample_rate, SPEECH_RATE)[0]
        return of_sound(x, self.encoder, self.trial.layers, False, self.trial.prosody)


@lru_cache(maxsize=1)
def demo() -> Demo:
    """The demo's network, trained as its trial says."""
    trial = next(t for t in trials(Settings()) if isinstance(t, TargetTrial) and t.start == "source")
    corpus, found, part = trial.of_target()
    return Demo(trial.tuned(corpus, found, part).network, trial, encoders.load(trial.encoder))


def answer(sound: audio.Sound) -> dict[str, float]:
    """The cosine of a sound with each emotion, from -1 to 1, by the demo's network; the greatest is its answer."""
    cosines = humpcat.predict(demo().network, demo().streams(sound), np.array([0]))[0]
    return dict(zip(CLASSES, cosines.tolist(), strict=True))


def looked_at(emotion: str = "anger", voice: str = "f4") -> dict[str, Any]:
    """One emotion by the built-in voice in each language, and where the demo's network looks: a `map_chooser` by language."""
    out = {}
    for code, name in SPOKEN.items():
        (sound,) = polyglot.synthesise([polyglot.acted_job(code, voice, polyglot.sentences(code)[NOT_IN_DEMO], emotion)])
        x = audio.resample(sound.waveform, sound.sample_rate, SPEECH_RATE)[0]
        mel = spectrogram.mel_db(x, SPEECH_RATE, DRAWN).numpy()
        predicted, weights = humpcat.attention(demo().network, demo().streams(sound), 0)
        element = f"looked-{code}"
        out[name] = _attention_maps(mel, weights, predicted=CLASSES[predicted], sound=sound, name=element, status="synthetic")
    return out


def attended(found: pd.DataFrame) -> dict[str, dict[str, Any]]:
    """What `figures.attention` takes, by target."""
    records = {r.trial["target"]: r for r in selection.of_run(found, "attention")}
    out = {}
    for target in tables.in_order(records):
        r, arrays = records[target], records[target].arrays()
        said = f"{tables.title(target)}, {r.trial['emotion']}, answered {r.metrics['predicted']}"
        out[tables.title(target)] = {
            "mel": arrays["mel"].astype(np.float32), "directions": r.metrics["directions"], "weights": arrays["weights"],
            "contours": arrays["contours"], "title": said,
        }  # fmt: skip
    return out


def _step_of(frame: np.ndarray, frames: int, steps: int, convolved: bool) -> np.ndarray:
    """Which step stands for a frame of 10 ms. Steps of the encoder are windows of 200 ms every 80 ms, drawn around their middles; those of
    MFCCs and prosody divide the sound evenly."""
    if convolved:
        return np.clip((frame - HALF_WINDOW + STEP_FRAMES // 2) // STEP_FRAMES, 0, steps - 1)
    return np.minimum(frame * steps // frames, steps - 1)


def _attention_maps(
    mel: np.ndarray, weights: Mapping[str, np.ndarray], predicted: str, sound: audio.Sound | None, name: str, status: str
) -> Any:
    """Maps of attention over time, one per direction, below a spectrogram (frames, bands)."""
    maps, texts = {}, {}
    for direction, row in weights.items():
        over_time = row[_step_of(np.arange(len(mel)), len(mel), len(row), direction.endswith("on encoder"))] - 1.0
        maps[direction] = np.repeat(over_time[None], mel.shape[1], axis=0)
        texts[direction] = f"{direction}: from {row.min():.2f} to {row.max():.2f} times the even share; answered {predicted}"
    return map_chooser(mel.T, maps, texts, sound, name, status, "orange receives more than uniform attention, violet less")


def attention_chooser(found: pd.DataFrame) -> Any:
    """Maps of attention over time for a file of the first target; with the sound where it may be passed on and is on this machine."""
    shown = {r.trial["target"]: r for r in selection.of_run(found, "attention")}
    target = next((t for t in tables.in_order(shown)), None)
    if target is None:
        return absent()
    record = shown[target]
    arrays = record.arrays()
    weights = dict(zip(record.metrics["directions"], arrays["weights"], strict=True))
    sound = _heard(target, record.metrics["file"]) if target in REDISTRIBUTABLE else None
    return _attention_maps(arrays["mel"].astype(np.float32), weights, record.metrics["predicted"], sound, "attention-map", "real")


def _heard(target: str, file: str) -> audio.Sound | None:
    """A file of a target, or None where this machine lacks it; copies of a corpus differ in the folder and format of their files."""
    folder = registry.find(target)
    path = next((p for p in sorted(folder.rglob(f"{Path(file).stem}.*")) if p.suffix.lower() in AUDIO), None) if folder else None
    return audio.load(path) if path else None
