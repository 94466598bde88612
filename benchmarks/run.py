"""Speeds as ratios, in one run: `run.py [PART…] [--repeat N]`; the parts stand at the end. See README.md beside it."""

import argparse
import json
import os
import platform
import resource
import shutil
import subprocess
import sys
import time
import warnings
from pathlib import Path

import numpy as np
import soundfile
import torch

from sqa_core import audio, environment, scoring, spectrogram
from sqa_core.corpora import registry, splits
from sqa_core.explain import attribution, occlusion
from sqa_core.learning import feature_bank, probes, probes_vmap
from sqa_core.models import encoders, weights
from sqa_core.models.heads import HEADS
from sqa_core.results import trials
from sqa_core.studies.nisqa_explained import trials as measured
from sqa_core.studies.speech_models import trials as measured_speech

WORK = Path("_build/bench")
HERE = Path(__file__).parent
# From reference: multiply-adds of one segment, counted twice, and segments a second of sound.
MFLOP = {"nisqa": (10.52, 25), "nisqa-mos": (10.45, 25), "nisqa-tts": (9.09, 100)}


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument(
        "parts", nargs="*", default=["score", "occlusion", "attribution", "survey", "memory", "probes", "together", "lookup", "demo"]
    )
    parser.add_argument("--repeat", type=int, default=10, help="times the 78 files; 10 is an hour")
    options = parser.parse_args()
    torch.set_num_threads(2)
    model = next((line.split(":")[1].strip() for line in Path("/proc/cpuinfo").read_text().splitlines() if "model name" in line), "?")
    print(f"machine: {platform.machine()}, {model}, {os.cpu_count()} cores; {environment.versions()}; load {os.getloadavg()[0]:.1f}")
    print(f"plain matrix product: {peak() / 1e9:.0f} GFLOP/s fp32")
    for part in options.parts:
        PARTS[part](options)


def peak(size: int = 2048, seconds: float = 3.0) -> float:
    """FLOP/s that a plain matrix product holds for some seconds on the same cores, as scoring must."""
    a, b = torch.randn(size, size), torch.randn(size, size)
    out = a @ b
    count, start = 0, time.perf_counter()
    while time.perf_counter() - start < seconds:
        torch.mm(a, b, out=out)
        count += 1
    return count * 2 * size**3 / (time.perf_counter() - start)


def judged(value: float, target: float) -> str:
    """The target, and whether it is met."""
    return f"(target {target:g}: {'met' if value >= target else 'MISSED'})"


def wav_folder(repeat: int) -> tuple[Path, float]:
    """The 78 full-band files as WAV (the original reads no other), `repeat` times over by links; and their seconds."""
    corpus = registry.load("p835").where(set="fullband")
    folder = WORK / f"wav-{repeat}"
    folder.mkdir(parents=True, exist_ok=True)
    for path in corpus.paths():
        first = folder / f"{path.stem}-0.wav"
        if not first.exists():
            samples, rate = soundfile.read(path, dtype="int16")
            soundfile.write(first, samples, rate)
        for i in range(1, repeat):
            link = folder / f"{path.stem}-{i}.wav"
            if not link.exists():
                os.link(first, link)
    return folder, float(corpus.table["seconds"].sum()) * repeat


def peers() -> Path:
    """The Python of the peers' environment: this one's torch, and the peers with --no-deps on top."""
    python = WORK / "peers" / "bin" / "python"
    if not (WORK / "peers" / ".ready").exists():
        subprocess.run([sys.executable, "-m", "venv", str(WORK / "peers")], check=True)
        site = next((WORK / "peers" / "lib").glob("python*")) / "site-packages"
        (site / "ours.pth").write_text(str(Path(torch.__file__).parents[1].resolve()))
        pip = [str(python), "-m", "pip", "install", "-q"]
        subprocess.run([*pip, "librosa", "seaborn", "lightning-utilities"], check=True)
        subprocess.run([*pip, "--no-deps", "nisqa==2.0.post2", "torchmetrics==1.9.0"], check=True)
        (WORK / "peers" / ".ready").touch()
    return python


def run_peer(*command: str) -> tuple[dict, float]:
    """What a peer printed, and the seconds of its whole process."""
    start = time.perf_counter()
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    return json.loads(done.stdout.splitlines()[-1]), time.perf_counter() - start


def bench_score(options) -> None:
    folder, seconds = wav_folder(options.repeat)
    files = [str(p) for p in sorted(folder.glob("*.wav"))]
    limit = peak()
    ours = {}
    for name, (mflop, per_second) in MFLOP.items():
        network = weights.load(name)
        scoring.score(files[:8], network)
        start = time.perf_counter()
        table = scoring.score(files, network)
        ours[name] = time.perf_counter() - start
        share = mflop * 1e6 * per_second * seconds / ours[name] / limit
        print(
            f"{name}: {seconds:.0f} s of sound in {ours[name]:.2f} s in process, {seconds / ours[name]:.0f} times real time; {share:.2f} of the peak {judged(share, 0.7)}"
        )
    mean = float(table["mos"].mean())
    assert np.isfinite(mean)
    start = time.perf_counter()
    sqa = [str(Path(sys.executable).with_name("sqa")), "score", str(folder), "--model", "nisqa", "--csv", str(WORK / "out.csv")]
    subprocess.run(sqa, check=True, capture_output=True, env={**os.environ, "OMP_NUM_THREADS": "2"})
    whole = time.perf_counter() - start
    python = str(peers())
    known = weights.OFFICIAL["nisqa"]
    checkpoint = environment.find("weights", known.file)
    theirs, their_whole = run_peer(python, str(HERE / "peer_nisqa.py"), str(folder), str(checkpoint))
    print(f"original: {theirs['seconds']:.1f} s in process, {their_whole:.1f} s whole process")
    print(
        f"  in process {theirs['seconds'] / ours['nisqa']:.1f} times faster {judged(theirs['seconds'] / ours['nisqa'], 6)},"
        f" whole process {their_whole / whole:.1f} times {judged(their_whole / whole, 4)} ({whole:.1f} s)"
    )
    home = Path.home() / ".torchmetrics" / "NISQA"
    home.mkdir(parents=True, exist_ok=True)
    if not (home / "nisqa.tar").exists():
        shutil.copy2(checkpoint, home / "nisqa.tar")
    small, small_seconds = wav_folder(1)
    metric, _ = run_peer(python, str(HERE / "peer_torchmetrics.py"), str(small))
    ratio = metric["seconds"] / small_seconds / (ours["nisqa"] / seconds)
    print(
        f"torchmetrics: {metric['seconds']:.1f} s for {small_seconds:.0f} s of sound; in process {ratio:.1f} times faster per second of sound {judged(ratio, 10)}"
    )


def bench_occlusion(options) -> None:
    sound = measured.one_sound("p835", measured.FILE)
    longer = audio.Sound(np.tile(sound.waveform, 3)[:, : int(12.99 * sound.sample_rate)], sound.sample_rate)
    for name in ("nisqa", "nisqa-tts"):
        network = weights.load(name)
        for heard in (sound, longer):
            mel = scoring.mel_of(network, heard)
            boxes = occlusion.flat(occlusion.paper_boxes((mel.shape[1], len(mel))))
            occlusion.occlude(network, mel, boxes[:5])
            start = time.perf_counter()
            found = occlusion.occlude(network, mel, boxes)
            ours = time.perf_counter() - start
            start = time.perf_counter()
            plain = whole_passes(network, mel, boxes)
            theirs = time.perf_counter() - start
            difference = np.abs(found.scores - plain).max()
            bound = found.segments_whole / found.segments_run
            print(
                f"occlusion, {name}, {len(boxes)} masks at {len(mel)} frames: {ours:.2f} s, "
                f"{theirs / ours:.1f} times faster than whole passes ({theirs:.2f} s) {judged(theirs / ours, 2.5 if len(mel) < 600 else 5)}; segments that masks touch would allow {bound:.1f}; largest difference {difference:.1e}"
            )


@torch.inference_mode()
def whole_passes(network, mel, boxes) -> np.ndarray:
    """As one would at first: one pass of the whole network a mask."""
    s = network.settings
    floor = float(mel.min())
    out = []
    for box in boxes:
        masked = mel.clone()
        masked[box.frame : box.frame + box.frames, box.band : box.band + box.bands] = floor
        cut = spectrogram.segments(masked, s.segment_length, s.segment_hop)
        out.append(network.model(cut[None], torch.tensor([len(cut)]))[0].numpy())
    return np.array(out)


def bench_attribution(options) -> None:
    """30 segments × 20 features, and all segments of one feature, against captum called once a segment and feature."""
    from captum.attr import DeepLift, IntegratedGradients, LayerConductance

    warnings.simplefilter("ignore", UserWarning)
    network = weights.load("nisqa-tts")
    mel = scoring.mel_of(network, measured.one_sound("p835", measured.FILE))
    every, base = attribution.segments_against(network, mel, "floor")
    thirty = measured.chosen_segments(len(every))
    chain = attribution.explained_cnn(network)
    cases = {"30 segments × 20 features": (thirty, range(20)), "all segments × 1 feature": (torch.arange(len(every)), [17])}
    methods = {
        "integrated gradients": (attribution.integrated_gradients, IntegratedGradients(network.model.cnn), {"n_steps": 50}, 1.4),
        "DeepLIFT": (attribution.deeplift, DeepLift(chain), {}, 5),
    }
    for method, (ours, theirs, more, target) in methods.items():
        for case, (index, chosen) in cases.items():
            x, x0 = every[index], base[index]
            ours(network, x[:2], x0[:2], [0])
            mine, seconds = timed(lambda ours=ours, x=x, x0=x0, chosen=chosen: ours(network, x, x0, chosen))
            naive, naive_seconds = timed(
                lambda theirs=theirs, x=x, x0=x0, chosen=chosen, more=more: torch.stack(
                    [
                        torch.stack([theirs.attribute(s[None, None], b[None, None], target=f, **more)[0, 0].detach() for f in chosen])
                        for s, b in zip(x, x0, strict=True)
                    ]
                )
            )
            print(
                f"{method}, {case}: {seconds:.2f} s, {naive_seconds / seconds:.1f} times faster than captum one by one "
                f"({naive_seconds:.2f} s) {judged(naive_seconds / seconds, target)}; {equal(mine, naive)}"
            )
    print(f"most memory that this process has held: {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6:.2f} GB")
    for layer in (1, 2):
        method = LayerConductance(chain, chain.get_submodule(f"conv{layer}"))
        x, x0 = every[thirty], base[thirty]
        mine, seconds = timed(lambda x=x, x0=x0, layer=layer: attribution.conductance(network, x, x0, 17, layer))
        naive, naive_seconds = timed(
            lambda x=x, x0=x0, method=method: torch.cat(
                [method.attribute(s[None, None], b[None, None], target=17, n_steps=50).detach() for s, b in zip(x, x0, strict=True)]
            )
        )
        print(
            f"conductance, convolution {layer}, 30 segments × 1 feature: {seconds:.2f} s, {naive_seconds / seconds:.1f} times faster "
            f"than one by one; {equal(mine, naive)}"
        )


def equal(mine: torch.Tensor, theirs: torch.Tensor) -> str:
    difference = float((mine - theirs).abs().max())
    return f"largest difference {difference:.1e} {judged(1e-5 / max(difference, 1e-12), 1)}"


def timed(function):
    """What a function gives, and its seconds: the better of two, since other processes disturb."""
    best = float("inf")
    for _ in range(2):
        start = time.perf_counter()
        out = function()
        best = min(best, time.perf_counter() - start)
    return out, best


def bench_survey(options) -> None:
    """The paper's run: integrated gradients and DeepLIFT in three variants, 78 files × 30 segments × 20 features, in one process."""
    code = (
        "from sqa_core.studies import nisqa_explained as s; "
        "t = next(t for t in s.trials(s.Settings(profile='paper')) if t.kind == 'attribution' and t.network == 'nisqa-tts' and t.corpus == 'p835'); "
        "print(t.run().metrics['files'])"
    )
    start = time.perf_counter()
    process = subprocess.Popen([sys.executable, "-c", code])
    _, status, used = os.wait4(process.pid, 0)
    assert status == 0
    print(
        f"attributions of 78 files × 30 segments × 20 features by four methods: {time.perf_counter() - start:.0f} s, at most {used.ru_maxrss / 1e6:.2f} GB"
    )


def bench_memory(options) -> None:
    """A 33-minute stereo file at 48 kHz through `sqa score`, with the most memory its process held."""
    path = WORK / "long.wav"
    WORK.mkdir(parents=True, exist_ok=True)
    if not path.exists():
        rng = np.random.default_rng(0)
        with soundfile.SoundFile(path, "w", 48_000, 2, "PCM_16") as f:
            for _ in range(33 * 60):
                f.write(rng.normal(0, 0.05, (48_000, 2)))
    start = time.perf_counter()
    command = [str(Path(sys.executable).with_name("sqa")), "score", str(path), "--model", "nisqa", "--csv", str(WORK / "long.csv")]
    process = subprocess.Popen(command, stderr=subprocess.DEVNULL)
    _, status, used = os.wait4(process.pid, 0)
    assert status == 0
    held = used.ru_maxrss / 1e6
    print(f"33 minutes, 48 kHz, stereo: {time.perf_counter() - start:.1f} s, at most {held:.2f} GB {judged(1.5 / held, 1)}")


def bench_probes(options) -> None:
    """One cell (EMOVO, Whisper base, three heads, five seeds, 30 epochs) against the usual way: the backbone in every epoch."""
    corpus, name, settings = registry.load("emovo"), "whisper-base", feature_bank.FeatureSettings(channel="left")
    shutil.rmtree(WORK / "features", ignore_errors=True)
    os.environ["SQA_CACHE"] = str((WORK / "features").resolve())
    encoder = encoders.load(name)
    waveforms = [audio.load_mono(p, encoders.RATE, "left") for p in corpus.paths()]
    start = time.perf_counter()
    bank = feature_bank.bank(corpus, name, settings, device="cpu")
    filled = time.perf_counter() - start
    batches = list(
        feature_bank.batches(np.argsort([-len(w) for w in waveforms], kind="stable").tolist(), np.array([len(w) for w in waveforms]))
    )
    start = time.perf_counter()
    for batch in batches:
        encoder.hidden_states([waveforms[i] for i in batch])
    forward = time.perf_counter() - start
    print(
        f"features of EMOVO ({corpus.table['seconds'].sum():.0f} s) by {name}: {filled:.1f} s with reading, loading and keeping; "
        f"{filled / forward:.2f} times the bare forward passes of the same batches ({forward:.1f} s) {judged(1.3 / (filled / forward), 1)}"
    )
    classes = measured_speech.classes_of(corpus)
    labels = measured_speech.labels_of(corpus, classes)
    parts = splits.make(corpus, "speaker").parts(0, corpus.table["file"].tolist())
    one_seed, one_epoch = {}, {}
    for head in HEADS:
        for epochs, into in ((30, one_seed), (1, one_epoch)):
            start = time.perf_counter()
            probes.learn(bank, labels, len(classes), parts["train"], parts["valid"], probes.ProbeSettings(head, epochs=epochs), 0)
            into[head] = time.perf_counter() - start
    heard = (len(parts["train"]) + len(parts["valid"])) / len(labels)
    ours = filled + 5 * sum(one_seed.values())
    usual = 5 * 30 * sum(forward * heard + seconds for seconds in one_epoch.values())
    print(
        f"one cell, 3 heads × 5 seeds × 30 epochs: {ours:.0f} s (features once, one seed of each head measured and taken five times: "
        f"{', '.join(f'{h} {s:.1f} s' for h, s in one_seed.items())}); {usual / ours:.0f} times faster than the backbone in every epoch "
        f"({usual:.0f} s: one epoch measured and multiplied) {judged(usual / ours, 25)}"
    )


def bench_together(options) -> None:
    """The five seeds of a head at once on batched parameters, against one after another on the same features; two epochs of EMOVO by
    Whisper base. The target is a GPU's: two cores are at their peak either way."""
    corpus = registry.load("emovo")
    bank = feature_bank.bank(corpus, "whisper-base", feature_bank.FeatureSettings(channel="left"))
    classes = measured_speech.classes_of(corpus)
    parts = splits.make(corpus, "speaker").parts(0, corpus.table["file"].tolist())
    known = (bank, measured_speech.labels_of(corpus, classes), len(classes), parts["train"], parts["valid"])
    one_by_one = together = 0.0
    for head in HEADS:
        settings = probes.ProbeSettings(head, epochs=2)
        probes.learn(*known, settings, 0)  # reads the bank into memory
        start = time.perf_counter()
        for seed in range(5):
            probes.learn(*known, settings, seed)
        one_by_one += time.perf_counter() - start
        start = time.perf_counter()
        probes_vmap.learn(*known, settings, range(5))
        together += time.perf_counter() - start
    told = judged(one_by_one / together, 3) if environment.device() == "cuda" else "(no GPU: no target)"
    print(f"three heads, five seeds at once on {environment.device()}: {one_by_one / together:.2f} times one after another {told}")


def bench_lookup(options) -> None:
    """10,000 stored trials: planned, and looked up in their store."""
    fields = {"study": "speech_models", "data_status": "synthetic", "corpus": "x", "corpus_hash": "x", "encoder": "x", "weights_hash": "x"}
    fields |= {"protocol": "speaker", "split_hash": "x", "settings": probes.ProbeSettings("linear")}
    store = WORK / "lookup"
    shutil.rmtree(store, ignore_errors=True)
    (store / "speech_models").mkdir(parents=True)
    for seed in range(10_000):
        (store / "speech_models" / f"{measured_speech.ProbeTrial(**fields, seed=seed).key}.json").write_text("{}")
    start = time.perf_counter()
    planned = [measured_speech.ProbeTrial(**fields, seed=seed) for seed in range(10_000)]
    assert trials.missing(planned, store) == []
    took = time.perf_counter() - start
    print(f"10,000 stored trials planned and looked up: {took:.2f} s {judged(2 / took, 1)}")


def bench_demo(options) -> None:
    """The demo of the chapter on speech models, built-in speech generated and all, in a process of its own and an empty cache."""
    shutil.rmtree(WORK / "demo", ignore_errors=True)
    code = (
        "from sqa_core.studies import speech_models as s; t = s.Settings(profile='demo', store='" + str(WORK / "demo" / "store") + "'); "
        "print(len(t.run(s.trials(t))))"
    )
    start = time.perf_counter()
    subprocess.run([sys.executable, "-c", code], check=True, env=os.environ | {"SQA_CACHE": str((WORK / "demo").resolve())})
    took = time.perf_counter() - start
    print(f"the demo of speech_models: {took:.0f} s {judged(90 / took, 1)}")


PARTS = {
    "probes": bench_probes,
    "together": bench_together,
    "lookup": bench_lookup,
    "demo": bench_demo,
    "score": bench_score,
    "occlusion": bench_occlusion,
    "attribution": bench_attribution,
    "memory": bench_memory,
    "survey": bench_survey,
}

if __name__ == "__main__":
    main()
