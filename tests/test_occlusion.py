"""Occlusion: equal to one pass of the whole network a mask, and to the original."""

import numpy as np
import pytest

from sqa_core import audio, scoring
from sqa_core.errors import SettingsError
from sqa_core.explain import occlusion
from sqa_core.explain.occlusion import Box
from tests.conftest import GOLDEN
from tests.whole_passes import by_whole_passes


@pytest.fixture
def mel(own):
    rng = np.random.default_rng(0)
    x = (rng.standard_normal(24_000) * 0.05 * np.repeat([1, 0, 1], 8000)).astype(np.float32)
    return scoring.mel_of(own, audio.Sound(x[None], 16_000))


@pytest.mark.parametrize("fill", ["floor", "mean", 0.0])
def test_equals_whole_passes(own, mel, fill):
    boxes = occlusion.flat(occlusion.paper_boxes((48, len(mel))))
    found = occlusion.occlude(own, mel, boxes, fill)
    value = {"floor": float(mel.min()), "mean": float(mel.mean())}.get(fill, fill)
    assert np.abs(found.scores - by_whole_passes(own, mel, boxes, value)).max() < 1e-4
    assert found.segments_run < found.segments_whole


@pytest.mark.parametrize("name", ["nisqa", "nisqa-mos", "nisqa-tts"])
def test_equals_whole_passes_of_the_official_networks(official, name):
    network = official(name)
    x = (np.random.default_rng(0).standard_normal(48_000) * 0.05).astype(np.float32)
    mel = scoring.mel_of(network, audio.Sound(x[None], 48_000))
    boxes = occlusion.mask_boxes((48, len(mel)), (24, 24)) + occlusion.mask_boxes((48, len(mel)), (8, None))
    found = occlusion.occlude(network, mel, boxes)
    assert np.abs(found.scores - by_whole_passes(network, mel, boxes, float(mel.min()))).max() < 1e-4


@pytest.mark.parametrize(("key", "mask"), [("24x24", (24, 24)), ("8x479", (8, None)), ("48x13", (None, 13))])
@pytest.mark.parametrize("fill", ["zero", "min"])
def test_equals_the_original(p835, official, key, mask, fill):
    golden = np.load(GOLDEN / "nisqa_tts_extract.npz")[f"occlusion_{key}_{fill}"]
    network = official("nisqa-tts")
    mel = scoring.mel_of(network, audio.load(next(p for p in p835.where(set="fullband").paths() if p.stem == "c6_m1")))
    boxes = occlusion.mask_boxes((48, len(mel)), mask)
    found = occlusion.occlude(network, mel, boxes, 0.0 if fill == "zero" else "floor")
    assert np.abs(found.scores[:, 0].reshape(golden.shape) - golden).max() < 1e-4


def test_the_paper_has_127_masks_at_479_frames_and_260_at_1300():
    assert len(occlusion.flat(occlusion.paper_boxes((48, 479)))) == 127
    assert len(occlusion.flat(occlusion.paper_boxes((48, 1300)))) == 260


def test_hiding_what_is_silent_already_changes_nothing(own, mel):
    silent = Box(0, 48, 60, 30)
    assert (mel[60:90] == mel.min()).all()
    found = occlusion.occlude(own, mel, [silent])
    assert found.segments_run == 0
    assert np.array_equal(found.scores[0], found.score)


def test_maps_cover_and_average():
    boxes = occlusion.mask_boxes((48, 100), (24, 30), (24, 15))
    rng = np.random.default_rng(0)
    found = occlusion.Occlusion(("mos",), np.array([3.0]), boxes, rng.normal(3, 1, (len(boxes), 1)), 0, 0)
    shown = found.change_map((48, 100))
    assert not np.isnan(shown).any()
    covering = [i for i, b in enumerate(boxes) if b.band <= 10 < b.band + b.bands and b.frame <= 50 < b.frame + b.frames]
    assert len(covering) > 1
    assert shown[10, 50] == pytest.approx((found.scores[covering, 0] - 3).mean())


def test_every_place_is_under_one_mask():
    for mask in occlusion.PAPER_MASKS.values():
        cover = np.zeros((48, 479), int)
        for b in occlusion.mask_boxes((48, 479), mask):
            cover[b.band : b.band + b.bands, b.frame : b.frame + b.frames] += 1
        assert (cover == 1).all()


def test_masks_that_do_not_fit_are_refused(own, mel):
    for mask, stride in [((49, 10), None), ((10, 10_000), None), ((4, 4), (0, 4))]:
        with pytest.raises(SettingsError):
            occlusion.mask_boxes((48, 100), mask, stride)


@pytest.mark.parametrize(("fmax", "expected"), [(20_000.0, ["0.25", "1", "4", "16"]), (8000.0, ["0.25", "1", "4"])])
def test_the_axis_in_khz_ends_where_the_bands_do(fmax, expected):
    import matplotlib.pyplot as plt

    from sqa_core import spectrogram
    from sqa_core.figures import maps

    figure, axis = plt.subplots()
    hz = spectrogram.band_hz(48, fmax)
    assert maps._bands([axis], hz) == "frequency, kHz"
    assert [label.get_text() for label in axis.get_yticklabels()] == expected
    for place, label in zip(axis.get_yticks(), expected, strict=True):
        assert hz[int(place)] == pytest.approx(1000 * float(label), rel=0.15)
    plt.close(figure)
