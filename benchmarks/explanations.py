"""Explanations: occlusion against whole passes, attributions against captum called once per segment and feature."""

import sys
import time
import warnings

import numpy as np
import torch

from sqa_core import audio, scoring
from sqa_core.explain import attribution, chain, occlusion
from sqa_core.models import weights
from sqa_core.studies.nisqa_explained import inputs
from tests.whole_passes import by_whole_passes

from .common import Report, peak_memory, timed


def bench_occlusion(report: Report, repeat: int) -> None:
    sound = inputs.one_sound("p835", inputs.FILE)
    longer = audio.Sound(np.tile(sound.waveform, 3)[:, : int(12.99 * sound.sample_rate)], sound.sample_rate)
    for name in ("nisqa", "nisqa-tts"):
        network = weights.load(name)
        for one in (sound, longer):
            mel = scoring.mel_of(network, one)
            boxes = occlusion.flat(occlusion.paper_boxes((mel.shape[1], len(mel))))
            occlusion.occlude(network, mel, boxes[:5])
            start = time.perf_counter()
            found = occlusion.occlude(network, mel, boxes)
            ours = time.perf_counter() - start
            start = time.perf_counter()
            plain = by_whole_passes(network, mel, boxes, float(mel.min()))
            theirs = time.perf_counter() - start
            report.say(
                f"occlusion, {name}, {len(boxes)} masks at {len(mel)} frames: {ours:.2f} s, whole passes {theirs:.2f} s; the share of segments"
                f" that masks touch would allow {found.segments_whole / found.segments_run:.1f} times;"
                f" largest difference {np.abs(found.scores - plain).max():.1e}"
            )
            report.check(f"occlusion, {name}, {len(mel)} frames, times faster", theirs / ours, 2.5 if len(mel) < 600 else 5)


def bench_attribution(report: Report, repeat: int) -> None:
    """30 segments × 20 features, and all segments of one feature, against captum called once per segment and feature."""
    from captum.attr import DeepLift, IntegratedGradients, LayerConductance

    warnings.simplefilter("ignore", UserWarning)
    network = weights.load("nisqa-tts")
    mel = scoring.mel_of(network, inputs.one_sound("p835", inputs.FILE))
    every, base = attribution.segments_against(network, mel, "floor")
    thirty = inputs.chosen_segments(len(every))
    cnn = chain.explained_cnn(network)
    cases = {"30 segments × 20 features": (thirty, range(20)), "all segments × 1 feature": (torch.arange(len(every)), [17])}
    methods = {
        "integrated gradients": (attribution.integrated_gradients, IntegratedGradients(network.model.cnn), {"n_steps": 50}, 1.4),
        "DeepLIFT": (attribution.deeplift, DeepLift(cnn), {}, 5),
    }
    for method, (function, captums, more, target) in methods.items():
        for case, (index, chosen) in cases.items():
            x, x0 = every[index], base[index]
            function(network, x[:2], x0[:2], [0])
            found, seconds = timed(lambda function=function, x=x, x0=x0, chosen=chosen: function(network, x, x0, chosen))

            def one_by_one(captums=captums, x=x, x0=x0, chosen=chosen, more=more) -> torch.Tensor:
                each = [
                    [captums.attribute(s[None, None], b[None, None], target=f, **more)[0, 0] for f in chosen]
                    for s, b in zip(x, x0, strict=True)
                ]
                return torch.stack([torch.stack(row) for row in each]).detach()

            theirs, their_seconds = timed(one_by_one)
            name = f"{method}, {case}"
            report.say(f"{name}: {seconds:.2f} s, captum {their_seconds:.2f} s")
            report.check(f"{name}, times faster than captum", their_seconds / seconds, target)
            report.check(f"{name}, relative difference", difference(found.maps, theirs), at_most=1e-3, form=".1e")
    for layer in (1, 2):
        method = LayerConductance(cnn, cnn.get_submodule(f"conv{layer}"))
        x, x0 = every[thirty], base[thirty]
        found, seconds = timed(lambda x=x, x0=x0, layer=layer: attribution.conductance(network, x, x0, [17], layer))
        theirs, their_seconds = timed(
            lambda x=x, x0=x0, method=method: torch.cat(
                [method.attribute(s[None, None], b[None, None], target=17, n_steps=50).detach() for s, b in zip(x, x0, strict=True)]
            )
        )
        name = f"conductance, convolution {layer}, 30 segments × 1 feature"
        report.say(f"{name}: {seconds:.2f} s, captum one by one {their_seconds:.2f} s, {their_seconds / seconds:.1f} times faster")
        report.check(f"{name}, relative difference", difference(found.maps[:, 0], theirs), at_most=1e-3, form=".1e")


def difference(ours: torch.Tensor, theirs: torch.Tensor) -> float:
    """Norm of the difference over the norm; single points differ where rounding decides the branch of a ReLU."""
    return float((ours - theirs).norm() / theirs.norm())


def bench_survey(report: Report, repeat: int) -> None:
    """The paper's run: integrated gradients and DeepLIFT in three variants, 78 files × 30 segments × 20 features, in one process."""
    code = (
        "from sqa_core.studies.nisqa_explained import plan as p; "
        "t = next(t for t in p.trials(p.Settings(profile='paper')) if (t.kind, getattr(t, 'network', '')) == ('attribution', 'nisqa-tts')"
        " and t.corpus == 'p835'); "
        "print(t.run().metrics['files'])"
    )
    start = time.perf_counter()
    held = peak_memory([sys.executable, "-c", code])
    report.say(f"attributions of 78 files × 30 segments × 20 features by four methods: {time.perf_counter() - start:.0f} s")
    report.check("GB held by that process at most", held, at_most=2)
