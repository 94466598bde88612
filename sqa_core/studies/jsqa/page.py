"""What the page on JSQA takes from its records: its first screen, values for its prose, and sounds."""

from collections.abc import Callable
from functools import lru_cache
from typing import Any

import numpy as np
import pandas as pd
import torch

from ... import audio, degrade, environment
from ...corpora import jnd_pairs, polyglot
from ...corpora.jnd_pairs import RATE
from ...figures import verdicts
from ...figures.verdicts import PRINTED_WORDS, Bar
from ...learning import jnd
from ...learning.jsqa import PretrainSettings
from ...metrics import Interval
from ...models.jsqa import CDPAM_FILE, CDPAM_RATE, Encoder, load_cdpam, untrained
from ...results import frame, published
from ...results.claims import Finding, on_claims, tally
from ..shared import listed, published_run
from . import claims, selection, tables
from .plan import DEMO_TRAIN, ENCODER, PRETRAINING, SLUG, TUNING, VALID
from .trials import HeadTrial

MISSING = "not available"
QUESTION = "Does an encoder that has learnt which noisy sounds listeners cannot tell apart make a better start for predicting quality?"


def card() -> dict[str, Any]:
    """What the start page says of the chapter."""
    run = tables.Run(published_run(SLUG))
    screen = first_screen(run, claims.findings(run))
    return {
        "title": "Does pretraining on just-noticeable differences teach quality?",
        "paper": "JSQA: Speech Quality Assessment with Perceptually-Inspired Contrastive Pretraining Based on JND Audio Pairs, 2025 (quoted from a summary)",
        "reply": screen["reply"],
        "verdicts": screen["verdicts"],
    }


def first_screen(run: tables.Run, judged: list[Finding]) -> dict[str, Any]:
    """What `figures.answer` shows."""
    of_claims = on_claims(judged, published.read(SLUG, "quotations"))
    printed = [f for f in of_claims if f.basis == "the paper's printed numbers"]
    return {
        "question": QUESTION,
        "reply": reply(run, judged),
        "faithful": {
            "pairs": "Asterisk prompts and recorded noises instead of LibriSpeech and CHiME-3",
            "judgements": f"{_judgements(run.found)} of listeners, DPAM",
            "labels": "PESQ in training, listeners (P.835) in tests",
            "network": f"built with 26.1 million parameters, trained at width {ENCODER.width}",
        },
        "verdicts": [
            Bar("Claims", tally([f for f in of_claims if f not in printed])),
            Bar("True of the printed numbers", tally(printed), PRINTED_WORDS),
        ],
        "found": three_numbers(run),
        "links": verdicts.links(SLUG, "All tables", "https://arxiv.org/abs/2507.11636"),
    }


def reply(run: tables.Run, judged: list[Finding]) -> str:
    """The answer in two sentences."""
    inside = run.inside
    rows = inside.set_index("answers") if len(inside) else inside
    if tables.LISTENERS not in rows.index:
        return "The published run is not complete."
    row = rows.loc[tables.LISTENERS]
    pairs = (
        f"An SVM on listeners' judgements of noises calls {row['2 to 6 dB']:.0f} % [{row['2 to 6 dB, low']:.0f}, "
        f"{row['2 to 6 dB, high']:.0f}] of pairs with gaps of 2 to 6 dB the same; the paper prints {tables.stated_share():g} %"
    )
    gain = next(f for f in judged if f.id == "C3")
    if gain.interval is None:
        return f"{pairs}. Whether such pairs teach quality is open: {so_far(run.found)}."
    change = f"{gain.interval.text('+.2f')} against training from scratch, in networks of {_parameters(run.found)} parameters"
    if gain.verdict not in ("holds", "fails"):
        return f"{pairs}. Whether pretraining on such pairs raises PCC with P.835's listeners stays open: {change}."
    said = "raises" if gain.verdict == "holds" else "does not raise"
    return f"{pairs}. Pretraining on such pairs {said} PCC with P.835's listeners: {change}."


def _parameters(found: pd.DataFrame) -> str:
    scratch = selection.arms(found, "scratch")
    return f"{scratch[0].metrics['parameters'] / 1e6:.2f} million" if scratch else MISSING


def so_far(found: pd.DataFrame) -> str:
    """PCC with listeners by start, where there are too few seeds for a verdict."""
    of = {start: [r.metrics[f"pcc_{claims.TEST}"] for r in selection.arms(found, start)] for start in tables.STARTS}
    seeds = min(map(len, of.values()))
    if not seeds:
        return "the networks are built, their trainings are still to come"
    words = {
        "scratch": "from scratch",
        "2 to 6 dB": "after pretraining without a projection head",
        "with head": "after pretraining with one",
    }
    values = listed([f"{np.mean(pcc):.2f} {words[start]}" for start, pcc in of.items()])
    if seeds >= claims.MIN_SEEDS:
        return f"Over {seeds} seeds of each start, the mean PCC with P.835's listeners is {values}"
    return f"{seeds} of the {claims.MIN_SEEDS} seeds that a verdict needs are trained, with a mean PCC with P.835's listeners of {values}"


def _judgements(found: pd.DataFrame) -> str:
    """How many judgements were used."""
    count = sum(len(r.items()) for r in frame.records(found, "judgements"))
    return f"{count:,}" if count else MISSING


def three_numbers(run: tables.Run) -> list[tuple[str, str]]:
    """Numbers with what they are."""
    out = []
    thresholds = run.thresholds
    if len(thresholds):
        low, high = thresholds.iloc[0], thresholds.iloc[-1]
        text = f"{low['threshold, dB']:.1f} to {high['threshold, dB']:.1f} dB"
        out.append(
            (text, f'gap from which half of the answers are "different", {low["kind"]} to {high["kind"]}; the paper says about 3 dB')
        )
    judgements = run.judgements
    if len(judgements):
        text = f"{judgements['AUC'].min():.2f} to {judgements['AUC'].max():.2f}"
        out.append((text, "area under the ROC curve on a kind of sound that the SVM was not trained on"))
    heads = list(selection.of_common_seeds({start: selection.heads(run.found, start) for start in ("cdpam", "cdpam untrained")}).values())
    distances = {name: _at_6_db(run, name) for name in tables.ENCODERS}
    if all(heads):
        text = " and ".join(f"{selection.mean_of(of, f'pcc_{claims.TEST}'):.2f}" for of in heads)
        out.append(
            (
                text,
                f"PCC with P.835's listeners of a head on frozen encoders: CDPAM, trained on judgements, and the same network untrained; {_seeds(len(heads[0]))}",
            )
        )
    elif all(len(part) for part in distances.values()):
        text = " and ".join(f"{part['distance'].mean():.3f}" for part in distances.values())
        out.append((text, "cosine distance at a gap of 6 dB, mean over SNRs: CDPAM, and the same network with random weights"))
    return out


def _at_6_db(run: tables.Run, encoder: str) -> pd.DataFrame:
    """Rows of `Run.distances` of one encoder at the paper's widest gap."""
    distances = run.distances
    return distances[(distances["encoder"] == tables.ENCODERS[encoder]) & (distances["gap, dB"] == 6.0)] if len(distances) else distances


def _best_alternative(found: pd.DataFrame) -> str:
    """Which of the others agrees best with the listeners, in a sentence."""
    others, metric = tables.others(found), f"pcc_{claims.TEST}"
    if not others:
        return MISSING
    name, of = max(others, key=lambda pair: selection.mean_of(pair[1], metric))
    files = int((of[0].items()["test"] == claims.TEST).sum())
    best, ours = (
        selection.mean_of(of, metric),
        [selection.mean_of(a, metric) for start in tables.STARTS if (a := selection.arms(found, start))],
    )
    offered = (
        " None of the networks trained here comes near it, so the command sqa score does not offer them."
        if ours and max(ours) < best - 0.1
        else ""
    )
    return f"Of these, {name} agrees best with P.835's listeners: PCC {best:.2f} over {files} files.{offered}"


def glue_values(run: tables.Run) -> dict[str, str]:
    """Values for the page's `{glue}` roles, by key."""
    demo = [part.count for part in DEMO_TRAIN]
    out = {"arms": str(len(frame.records(run.found, "arms"))), "dropped": MISSING, "demo_calls": str(sum(demo))}
    out |= {"judgements": _judgements(run.found), "stated": f"{tables.stated_share():g} %"}
    scratch, pretrained = selection.arms(run.found, "scratch"), selection.arms(run.found, claims.WITHOUT)
    out["so_far"] = so_far(run.found)
    out["alternatives"] = _best_alternative(run.found)
    out["widths"] = _widths(run)
    out["controls"] = _controls(run.found)
    out["embedding"] = _embedding(run.found)
    out["curves"] = _curves(run.found)
    out["heads"] = _heads(run.found)
    out["on_listeners"] = _on_listeners(run.found)
    out["parameters"] = _parameters(run.found)
    out["valid_sounds"], out["crop_s"] = str(sum(part.count for part in VALID)), f"{TUNING.seconds:g}"
    out["stretches"] = str(HeadTrial.model_fields["stretches"].default)
    out["train_sounds"] = str(scratch[0].metrics["train_sounds"]) if scratch else MISSING
    out["pretraining_hours"] = f"{pretrained[0].metrics['pretraining_hours']:.1f}" if pretrained else MISSING
    judged = frame.records(run.found, "judgements")
    if judged:
        out["dropped"] = str(judged[0].metrics["dropped"])
    kinds = run.judgements
    out["auc"] = f"{kinds['AUC'].min():.2f} to {kinds['AUC'].max():.2f}" if len(kinds) else MISSING
    out["hardest_kind"] = str(kinds.loc[kinds["AUC"].idxmin(), "kind"]) if len(kinds) else MISSING
    inside = run.inside
    rows = inside.set_index("answers")["2 to 6 dB"] if len(inside) else {}
    out["inside_listeners"] = f"{rows[tables.LISTENERS]:.1f} %" if tables.LISTENERS in rows else MISSING
    for midpoint in (3, 6, 8):
        name = f"stated function, midpoint {midpoint} dB"
        out[f"inside_{midpoint}"] = f"{rows[name]:.0f} %" if name in rows else MISSING
    order = tables.order_table(run.found)
    for encoder, title in tables.ENCODERS.items():
        values = [f"{r['distance']:.3f} at {r['SNR, dB']:.0f} dB" for _, r in _at_6_db(run, encoder).iterrows()]
        out[f"distance_{encoder}"] = ", ".join(values) or MISSING
        ranks = order.loc[order["encoder"] == title, "SRCC of distance and gap"] if len(order) else []
        out[f"order_{encoder}"] = " to ".join(dict.fromkeys(f"{f(ranks):.2f}" for f in (min, max))) if len(ranks) else MISSING
    out["order_pairs"] = str(order["pairs"].max()) if len(order) else MISSING
    return out


def _widths(run: tables.Run) -> str:
    """Whether a wider or a narrower gap is better, in two sentences."""
    of = selection.of_common_seeds({law: selection.arms(run.found, law) for law in claims.LAWS_BY_WIDTH})
    seeds = len(next(iter(of.values())))  # those of the correlation
    finding = claims.wider_gaps(run)
    if finding.interval is None:
        return MISSING
    means = {law: selection.mean_of(found, f"pcc_{claims.TEST}") for law, found in of.items() if found}
    lowest, highest = (pick(means, key=lambda law: means[law]) for pick in (min, max))
    rho = finding.interval
    verdict = "so no width is shown to be better" if rho.low <= 0 <= rho.high else "so the width matters"
    return (
        f"With the paper's gaps, narrower and wider ones, mean PCC on P.835's listeners is between {means[lowest]:.2f} ({lowest}) and "
        f"{means[highest]:.2f} ({highest}). RMSE and the share of pairs inside the just-noticeable difference have a rank correlation of "
        f"{rho.text('+.2f')} over {_seeds(seeds)}, {verdict}."
    )


def _seeds(count: int) -> str:
    return "1 seed" if count == 1 else f"{count} seeds"


NO_JND = {
    "10 to 20 dB": "gaps of 10 to 20 dB, most of which listeners hear",
    "equal SNR": "pairs at one SNR in other noise",
    "crops": "two crops of one mixture",
    "shuffled": "pairs of unrelated mixtures",
}


def _apart(found: pd.DataFrame) -> str:
    """Which controls differ from the paper's gaps, seed by seed, in a sentence; nothing while a pair of seeds is all there is."""
    table, title = tables.controls_table(found), "minus the paper's gaps"
    if title not in table:
        return ""
    rows = table[table["pretrained on"].isin([tables.pairs_in_words(name) for name in NO_JND])].dropna(subset=[title])
    if rows.empty:
        return ""
    each = {row["pretrained on"]: Interval.of(row, title) for _, row in rows.iterrows()}
    differing = [f"{name} {gap.text('+.2f')}" for name, gap in each.items() if gap.low > 0 or gap.high < 0]
    seeds = " or ".join(map(str, sorted(set(rows["seeds"]))))
    if differing:
        return f"Paired by seed ({seeds} seeds), these differ from the paper's gaps: {listed(differing)}."
    name, widest = max(each.items(), key=lambda pair: pair[1].high - pair[1].low)
    return (
        f"Paired by seed ({seeds} seeds), no interval of a difference from the paper's gaps excludes 0, but these are wide: up to "
        f"{widest.text('+.2f')} ({name})."
    )


def _controls(found: pd.DataFrame) -> str:
    """Whether pairs without a just-noticeable difference do as well, in sentences."""
    metric, reference = f"pcc_{claims.TEST}", selection.arms(found, claims.WITHOUT)
    of = {name: arms for name in NO_JND if (arms := selection.arms(found, name))}
    if not of or not reference:
        return MISSING
    means = [f"{NO_JND[name]}, {selection.mean_of(arms, metric):.2f}" for name, arms in of.items()]
    fewest = min(map(len, of.values()))
    seeds = f"{_seeds(fewest)} each or more"
    single = [r.metrics[metric] for r in reference]
    return (
        f"Does the just-noticeable difference itself matter? Mean PCC on P.835's listeners with other pairs ({seeds}): {'; '.join(means)}. With the "
        f"paper's gaps it is {np.mean(single):.2f}, and from {min(single):.2f} to {max(single):.2f} over {len(single)} seeds. {_apart(found)}"
    )


def _curves(found: pd.DataFrame) -> str:
    """What more pretraining and more labels give, in sentences; gains are paired over seeds."""
    table, column = tables.curves_table(found), f"PCC, {tables.TESTS[claims.TEST]}"
    if table.empty:
        return MISSING
    said = []
    by_hours, by_calls = (table[table["curve"] == name] for name in tables.CURVES.values())
    if len(by_hours):
        first, last = by_hours.iloc[0], by_hours.iloc[-1]
        said.append(
            f"Mean PCC on P.835's listeners is {first[column]:.2f} without pretraining and {last[column]:.2f} after {last['amount']:.1f} hours "
            f"of pairs ({_seeds(last['seeds'])})."
        )
    if len(by_calls):
        least, most = by_calls["amount"].min(), by_calls["amount"].max()
        ends = by_calls.set_index(["start", "amount"])[column]
        named = {tables.STARTS["scratch"]: "in networks trained from scratch", tables.STARTS["2 to 6 dB"]: "in pretrained ones"}
        words = [f"from {ends[start, least]:.2f} to {ends[start, most]:.2f} {named[start]}" for start in by_calls["start"].unique()]
        seeds = int(by_calls["seeds"].min())
        said.append(f"Between {least:.0f} and {most:.0f} labelled calls, mean PCC changes {listed(words)} ({_seeds(seeds)}).")
    gains = by_calls.dropna(subset=["gain over scratch"]) if "gain over scratch" in by_calls else by_calls[:0]
    if len(gains):
        words = [f"{Interval.of(row, 'gain over scratch').text('+.2f')} with {row['amount']:.0f}" for _, row in gains.iterrows()]
        said.append(
            f"By the number of calls that a network is tuned on, pretraining changes PCC by {listed(words)} ({gains['seeds'].min()} seeds)."
        )
    return " ".join(said)


def _on_listeners(found: pd.DataFrame) -> str:
    """What pretraining gives where the labels are listeners' own, in sentences."""
    table = tables.listeners_table(found)
    rows = table[table["test"] == tables.TESTS[claims.TEST]].set_index("start") if len(table) else table
    scratch, pretrained = (tables.STARTS[start] for start in (claims.SCRATCH, claims.WITHOUT))
    if not {scratch, pretrained} <= set(rows.index):
        return MISSING
    of = selection.on_listeners(found, claims.SCRATCH)[0]
    items, quarters = of.items(), sorted(set(of.metrics["train_sounds"]))
    said = (
        f"P.835 has {len(items)} rated files of {items['talker'].nunique()} talkers in {items['condition'].nunique()} conditions. Each quarter "
        f"of them is tested by a network that was tuned on the quarter with other talkers and other conditions, "
        f"{' or '.join(map(str, quarters))} files. Mean PCC on the full band is {rows.loc[scratch, 'PCC']:.2f} from scratch and "
        f"{rows.loc[pretrained, 'PCC']:.2f} after pretraining without a head."
    )
    if "gain over scratch" in rows and np.isfinite(rows.loc[pretrained, "gain over scratch"]):
        row = rows.loc[pretrained]
        said += f" The gain is {Interval.of(row, 'gain over scratch').text('+.2f')} over {row['pairs of seeds']:.0f} seeds, which all have the same talkers."
    return said


def _heads(found: pd.DataFrame) -> str:
    """What the head gets from frozen encoders, in a sentence."""
    metric = f"pcc_{claims.TEST}"
    of = {start: heads for start in tables.HEADS if (heads := selection.heads(found, start))}
    if not of:
        return MISSING
    most = max(map(len, of.values()))
    words = [
        f"{selection.mean_of(heads, metric):.2f} with {tables.HEADS[start]}" + f" ({_seeds(len(heads))})" * (len(heads) < most)
        for start, heads in of.items()
    ]
    return f"Mean PCC on P.835's listeners over {_seeds(most)} is {'; '.join(words)}."


def _embedding(found: pd.DataFrame) -> str:
    """What pretraining does to distances at the paper's widest gap, in sentences."""
    table = tables.embedding_table(found)
    starts = table.set_index("pretrained on")["distance at 6 dB, % of 20 dB"] if len(table) else {}
    before, after = (starts.get(tables.PAIRS[name]) for name in ("scratch", "2 to 6 dB"))
    if before is None or after is None:
        return MISSING
    counts = table.set_index("pretrained on").loc[[tables.PAIRS["scratch"], tables.PAIRS["2 to 6 dB"]], "seeds"].tolist()
    seeds = _seeds(counts[0]) if counts[0] == counts[1] else " and ".join(map(_seeds, counts))
    curve = tables.embedding_curve(found).set_index(["pretrained on", "gap, dB"])["MOS difference, %"]
    return (
        f"At a gap of 6 dB, PESQ has changed by {curve[tables.PAIRS['scratch'], 6.0]:.0f} % of what it changes at 20 dB. The distance of the "
        f"embeddings is {before:.0f} % of that at 20 dB without training, and {after:.0f} % after pretraining on the paper's gaps ({seeds}). "
        f"{_follows_pesq(table)}"
    )


def _follows_pesq(table: pd.DataFrame) -> str:
    """How well distances follow the difference in PESQ before and after pretraining, inside and outside the gaps that count as alike."""
    of, said = table.set_index("pretrained on"), []
    for title, where in zip(tables.FOLLOWS.values(), ("for gaps to 6 dB", "for wider ones"), strict=True):
        before, after = (Interval.of(of.loc[tables.PAIRS[name]], title).text(".2f") for name in ("scratch", "2 to 6 dB"))
        said.append(f"{before} untrained and {after} pretrained {where}")
    return f"Between pairs with the same SNR and gap, the rank correlation of distance and difference in PESQ is {'; '.join(said)} (intervals over seeds)."


GAPS_HEARD_DB = (2.0, 4.0, 6.0, 10.0, 20.0)


def abx_pairs() -> list[tuple[audio.Sound, audio.Sound, float]]:
    """Pairs for the listening test: a synthetic voice in pink noise at two SNRs, four of each gap; both sounds of a pair have one level."""
    texts = polyglot.sentences("en")
    voices = ("m2", "f4")
    spoken = polyglot.synthesise([polyglot.job("en", voice, texts[i]) for i, voice in ((1, voices[0]), (4, voices[1]))])
    out = []
    for k, sound in enumerate(spoken):
        speech = degrade.set_level(audio.resample(sound.waveform, sound.sample_rate, RATE)[0][: 2 * RATE], RATE)
        for j, gap in enumerate(GAPS_HEARD_DB):
            for repeat in range(2):
                rng = np.random.default_rng([k, j, repeat])
                noise = degrade.coloured_noise(speech.shape, RATE, "pink", rng)
                snr = 18.0 - gap / 2
                both = [degrade.add_noise(speech, RATE, noise, level) for level in (snr, snr + gap)]
                noisier, cleaner = (audio.Sound(_levelled(x)[None], RATE) for x in both)
                out.append((noisier, cleaner, gap))
    return out


def _levelled(waveform: np.ndarray) -> np.ndarray:
    """At -26 dBov RMS: of two SNRs the noisier would be the louder, and told by that."""
    return (waveform * 10 ** (-26 / 20) / np.sqrt(np.mean(waveform**2))).astype(np.float32)


NEAR_DB = 1.0  # judged pairs whose gap is that near to one of `GAPS_HEARD_DB` stand for it


def expected_right(found: pd.DataFrame) -> dict[str, dict[float, float]]:
    """Share of right answers by gap if a gap is noticed with some probability and X is guessed where it is not. For the probability stand the
    stated function, and the SVM's probability of "different", which false alarms raise, for judged pairs of pink noise by itself."""
    noticed = {"expected if a gap is noticed as the function with its midpoint at 3 dB says": jnd.told_apart(np.array(GAPS_HEARD_DB))}
    if record := frame.only(found, "judgements", held_out="pink_noise"):
        items = record.items()
        near = [items["probability"][(items["gap_db"].abs() - gap).abs() < NEAR_DB] for gap in GAPS_HEARD_DB]
        if all(map(len, near)):
            noticed["expected if a gap is noticed as often as the SVM calls judged pairs in pink noise different"] = np.array(
                [p.mean() for p in near]
            )
    return {name: dict(zip(GAPS_HEARD_DB, ((1 + p) / 2).tolist(), strict=True)) for name, p in noticed.items()}


def pair_of(one_db: float, other_db: float) -> tuple[audio.Sound, audio.Sound]:
    """A synthetic voice in one pink noise at two SNRs, both at one level."""
    one, other = (audio.Sound(_levelled(_in_noise(snr))[None], RATE) for snr in (one_db, other_db))
    return one, other


def _in_noise(snr_db: float) -> np.ndarray:
    return degrade.add_noise(*_voice_and_noise(), snr_db)


@lru_cache
def _voice_and_noise() -> tuple[np.ndarray, int, np.ndarray]:
    """A synthetic voice, its rate, and pink noise as long."""
    (sound,) = polyglot.synthesise([polyglot.job("en", "f4", polyglot.sentences("en")[9])])
    speech = degrade.set_level(audio.resample(sound.waveform, sound.sample_rate, RATE)[0], RATE)
    return speech, RATE, degrade.coloured_noise(speech.shape, RATE, "pink", np.random.default_rng(0))


def about_pair(found: pd.DataFrame) -> Callable[[float, float, audio.Sound, audio.Sound], str]:
    """For `figures.live_pair`: what the SVM on the stated function says of two SNRs, by its recorded boundary, and the cosine distance of the
    two embeddings by CDPAM, or by an untrained encoder where CDPAM's weights are not on this machine. The SVM looks at the first SNR and the gap."""
    surface = frame.only(found, "surface", midpoint_db=jnd.MIDPOINT_DB, seed=0, data_status="synthetic")
    boundary = tables.thresholds_of(surface).dropna() if surface else None
    has_cdpam = environment.find("weights", CDPAM_FILE) is not None
    name = "CDPAM" if has_cdpam else "an untrained encoder"
    encoder = load_cdpam() if has_cdpam else untrained(ENCODER, torch.from_numpy(pair_of(10.0, 20.0)[0].waveform), 0)

    def said(one_db: float, other_db: float, one: audio.Sound, other: audio.Sound) -> str:
        rate = CDPAM_RATE if has_cdpam else ENCODER.rate
        sounds = torch.from_numpy(np.concatenate([audio.resample(s.waveform, s.sample_rate, rate) for s in (one, other)]))
        with torch.no_grad():
            distance = 1 - float(torch.nn.functional.cosine_similarity(*encoder(sounds).split(1)))
        words = f"cosine distance by {name} {distance:.4f}"
        if boundary is None or boundary.empty:
            return words
        least = float(np.interp(one_db, boundary["first_db"], boundary["threshold_db"]))
        verdict = "different" if abs(one_db - other_db) >= least else "the same"
        return f"gap {abs(one_db - other_db):g} dB; the SVM on the stated function: {verdict} (different from {least:.1f} dB on); {words}"

    return said


def pairs_to_hear() -> dict[str, list[tuple[audio.Sound, str]]]:
    """Pairs below, at and above the threshold of 3 dB: both members, at speech of one level."""
    groups = {"below, 1 dB": 1.0, "at the threshold, 3 dB": 3.0, "the paper's widest, 6 dB": 6.0, "far above, 15 dB": 15.0}
    return {
        name: [(audio.Sound(_in_noise(snr)[None], RATE), f"SNR {snr:g} dB") for snr in (15.0, 15.0 - gap)] for name, gap in groups.items()
    }


def laws_table() -> pd.DataFrame:
    """The distributions that pairs can be drawn from."""
    rows = []
    for name, law in jnd_pairs.LAWS.items():
        kind = "one stretch of speech and noise at two SNRs"
        kind = "two stretches of one mixture" if law.crops else kind
        kind = "other speech, other noise, an SNR of its own" if law.shuffled else kind
        kind = "one stretch of speech, two of one noise, at one SNR" if law.new_noise else kind
        rows.append(
            {
                "name": name,
                "SNR, dB": f"{law.snr_db[0]:g} to {law.snr_db[1]:g}",
                "gap, dB": f"{law.gap_db[0]:g} to {law.gap_db[1]:g}",
                "pair": kind,
            }
        )
    return pd.DataFrame(rows)


def _size() -> float:
    """Millions of parameters of the published run's encoder."""
    return sum(p.numel() for p in Encoder(ENCODER).parameters()) / 1e6


def _in_words(of: PretrainSettings) -> str:
    return (
        f"temperature {of.temperature:g}, Adam, rate {of.learning_rate:g}, {of.pairs} pairs a batch, {of.epochs} epochs of {of.steps} steps"
    )


def deviations_table() -> pd.DataFrame:
    """How this rerun differs from the paper."""
    rows = [
        ("clean speech", "LibriSpeech", "Asterisk prompts, five languages, four real voices", "not measured"),
        ("noise", "CHiME-3", "recorded noises of two collections", "not measured"),
        ("judgements behind the SVM", "a set that is not identified", "DPAM's judgements by level; a stated function of SNR beside", "in the shares of pairs on the second page"),
        ("channel plan", "16 layers, 512 numbers, 26 million parameters", "CDPAM's, the first half of 1,024", "in the table of channel configurations on the second page"),
        ("size of the network", "26 million parameters (base width 64)", f"base width {ENCODER.width}, {_size():.2f} million", "not measured"),
        ("amount of pretraining", "33 GB of clean speech, about 286 hours", f"{PRETRAINING.hours:.1f} hours of pairs in crops of {PRETRAINING.law.seconds:g} s", "in the learning curve over hours, where computed"),
        ("pretraining", "temperature, batch, rate and epochs not stated", _in_words(PRETRAINING), "not measured"),
        ("tuning", "batch, rate and epochs not stated", f"Adam, rate {TUNING.learning_rate:g}, batches of {TUNING.batch_size} crops of {TUNING.seconds:g} s, {TUNING.epochs} epochs", "not measured"),
        ("tuning and test", "the NISQA corpus, splits not stated", "PESQ of calls; P.835's listeners", "cannot be measured"),
    ]  # fmt: skip
    return pd.DataFrame(rows, columns=["what", "the paper", "here", "effect"])
