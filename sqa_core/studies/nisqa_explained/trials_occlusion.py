"""The chapter's trials of occlusion: what masks on a spectrogram change in the scores."""

from typing import ClassVar, Literal

import numpy as np
import pandas as pd
import torch

from ... import audio, scoring
from ...explain import occlusion
from ...models.weights import Network
from ...results.trials import Result
from .inputs import TrialInput, one_sound, sounds
from .trials import NetworkTrial


class OcclusionTrial(NetworkTrial):
    """All of the paper's masks on one sound: scores under each mask."""

    kind: ClassVar[str] = "occlusion"
    file: str
    fill: Literal["floor", "mean"] = "floor"

    def run(self) -> Result:
        network = self.load()
        mel, boxes, found = _occluded(network, one_sound(self.corpus, self.file), self.fill)
        arrays = {"mel": mel.T.cpu().numpy().astype(np.float16), "scores": found.scores, "score": found.score}
        run_share = found.segments_run / found.segments_whole
        return Result({"mos": float(found.score[0]), "masks": len(boxes), "share_run": run_share}, arrays=arrays)


def _occluded(network: Network, sound: audio.Sound, fill: Literal["floor", "mean"]):
    """The mel spectrogram (frames, mels), every box of the paper's masks on it, and the scores under them."""
    mel = scoring.mel_of(network, sound)
    boxes = occlusion.flat(occlusion.paper_boxes((mel.shape[1], len(mel))))
    return mel, boxes, occlusion.occlude(network, mel, boxes, fill)


class PaddedOcclusionTrial(NetworkTrial):
    """The paper's 1300 frames and 260 masks: the sound followed by its floor. What do masks that hide padding alone change?"""

    kind: ClassVar[str] = "occlusion_padded"
    file: str
    frames: int = 1300

    def run(self) -> Result:
        network = self.load()
        mel, _, plain = _occluded(network, one_sound(self.corpus, self.file), "floor")
        padding = torch.full((self.frames - len(mel), mel.shape[1]), float(mel.min()), device=mel.device)
        boxes = occlusion.flat(occlusion.paper_boxes((mel.shape[1], self.frames)))
        found = occlusion.occlude(network, torch.cat([mel, padding]), boxes, "floor")
        change = np.abs(found.scores - found.score)[:, 0]
        on_padding = np.array([b.frame >= len(mel) for b in boxes])
        return Result(
            {
                "masks": len(boxes),
                "mos": float(found.score[0]),
                "mos_unpadded": float(plain.score[0]),
                "masks_on_padding": int(on_padding.sum()),
                "largest_change_on_padding": float(change[on_padding].max()),
                "largest_change_on_sound": float(change[~on_padding].max()),
            }
        )


class OcclusionSurveyTrial(NetworkTrial):
    """Occlusion of every file: for each mask, the change of each score, and how much of what it hides is what."""

    kind: ClassVar[str] = "occlusion_survey"
    fill: Literal["floor", "mean"] = "floor"

    def run(self) -> Result:
        network = self.load()
        tables = []
        for item in sounds(network, self.corpus):
            shape = (item.mel.shape[1], len(item.mel))
            boxes = occlusion.flat(occlusion.paper_boxes(shape))
            if item.truth is not None:  # what is known there is known over time
                boxes = [b for b in boxes if b.bands == shape[0]]
            found = occlusion.occlude(network, item.mel, boxes, self.fill)
            masks = {"silent": item.empty} | self._known(item)
            table = {"mask": [f"{b.bands}x{b.frames}" for b in boxes], "column": [b.bands == shape[0] for b in boxes]}
            shares = {n: [float(w[b.frame : b.frame + b.frames].mean()) for b in boxes] for n, w in masks.items()}
            changes = {f"change_{o}": c for o, c in zip(found.outputs, (found.scores - found.score).T, strict=True)}
            tables.append(pd.DataFrame({**table, **shares, **changes}).assign(**item.facts, mos=float(found.score[0])))
        items = pd.concat(tables, ignore_index=True)
        for text in ("file", "condition", "talker", "mask", "kind"):
            if text in items:
                items[text] = items[text].astype("category")
        return Result({"files": len(tables), "masks": len(items), "mean_change": float(items["change_mos"].mean())}, items)

    @staticmethod
    def _known(item: TrialInput) -> dict[str, np.ndarray]:
        if item.truth is None:
            return {}
        cut, noise, voice, pause = (item.frames(x) for x in (item.truth.cut, item.truth.noise, item.truth.voice, item.truth.pause))
        return {"cut": cut, "noise": noise, "noise_alone": noise & pause, "voice": voice}
