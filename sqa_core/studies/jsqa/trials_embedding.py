"""The trials on JSQA's embedding: how far two mixtures of one sentence and one noise lie apart, before and after training."""

import json
from collections.abc import Iterator, Sequence
from importlib.metadata import version
from typing import Any, ClassVar, Literal

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from ... import audio, environment, intrusive
from ...corpora import jnd_pairs
from ...corpora.jnd_pairs import Drawn, PairLaw
from ...files import atomic, short_hash
from ...learning import jsqa
from ...learning.jsqa import PretrainSettings, Sounds
from ...models.jsqa import CDPAM_RATE, RATE, Encoder, EncoderSettings, load_cdpam, untrained
from ...results.trials import Result, Trial
from .trials import Material, pretrained, sounds_of

STATISTICS, STATISTICS_SEED = 8, 1_000_003  # mixtures that an untrained network's batch norms see, and the seed of their draw
WIDEST_ALIKE_DB = 6.0  # the paper's widest gap: up to it, two mixtures count as alike


Stacks = list[tuple[dict[str, Any], Drawn, Tensor]]  # what each is, what it was drawn from, and its mixtures


class DistanceTrial(Trial):
    """How far the embeddings of a pair lie apart, by the gap between its SNRs. encoder : "cdpam", trained on listeners' judgements, or
    "random", the same network with random weights and the batch statistics of `STATISTICS` other mixtures. Mixtures are made at 16 kHz and
    converted to CDPAM's rate for both."""

    kind: ClassVar[str] = "distances"
    encoder: Literal["cdpam", "random"]
    sounds: Material
    pairs: int = 6
    seconds: float = 0.75
    snrs_db: tuple[float, ...] = (10.0, 25.0)
    gaps_db: tuple[float, ...] = (0.0, 1.0, 2.0, 4.0, 6.0, 9.0, 12.0, 20.0)

    def run(self) -> Result:
        sounds = sounds_of(self.sounds)
        settings = EncoderSettings(rate=CDPAM_RATE)
        encoder = load_cdpam() if self.encoder == "cdpam" else _untrained(settings, sounds, self.seconds, self.seed)
        rows = []
        for about, _, mixed in _mixtures(sounds, self.seed, self.pairs, self.seconds, self.snrs_db, self.gaps_db):
            rows += _rows(about, self.gaps_db, encoder, mixed)
        return Result({"parameters": sum(p.numel() for p in encoder.parameters())}, pd.DataFrame(rows))


class EmbeddingTrial(Trial):
    """An encoder before and after pretraining, on sounds that it never saw: distances by the gap between two SNRs and the difference in PESQ
    between the two mixtures; alignment and uniformity (Wang and Isola, ICML 2020).

    start : "untrained", "with head", or the name of a law. pretraining, pairs, valid_pairs : as in `ArmTrial`; None where there is none.
    """

    kind: ClassVar[str] = "embedding"
    start: str
    encoder: EncoderSettings
    sounds: Material
    pretraining: PretrainSettings | None = None
    pairs: Material | None = None
    valid_pairs: Material | None = None
    tested: int = 32
    seconds: float = 3.0
    snrs_db: tuple[float, ...] = (5.0, 15.0, 25.0)
    gaps_db: tuple[float, ...] = (0.0, 1.0, 2.0, 3.0, 4.0, 6.0, 9.0, 12.0, 20.0)

    def run(self) -> Result:
        sounds = sounds_of(self.sounds)
        if self.pretraining is None:
            encoder = _untrained(self.encoder, sounds, self.seconds, self.seed)
        else:
            assert self.pairs
            assert self.valid_pairs
            encoder, _ = pretrained(self.pretraining, self.pairs, self.valid_pairs, self.seed)
        stacks = list(_mixtures(sounds, 0, self.tested, self.seconds, self.snrs_db, self.gaps_db))
        rows = []
        for (about, _, mixed), mos in zip(stacks, _pesq(stacks), strict=True):
            differences = [{"mos_difference": abs(m - mos[0])} for m in mos[1:]]
            found = _rows(about, self.gaps_db, encoder, mixed)
            rows += [row | difference for row, difference in zip(found, differences, strict=True)]
        return Result(self._geometry(encoder, sounds), pd.DataFrame(rows))

    def _geometry(self, encoder: Encoder, sounds: Sounds) -> dict[str, float]:
        """Of pairs by the paper's law: alignment is the mean square distance within a pair on the unit sphere, 0 to 4; uniformity the
        logarithm of the mean Gaussian potential between different pairs, the lower the more evenly embeddings are spread."""
        law = PairLaw(seconds=self.seconds)
        pairs = jnd_pairs.batch([jnd_pairs.draw(*sounds, law, STATISTICS_SEED, STATISTICS + k) for k in range(2 * self.tested)])
        with torch.no_grad():
            unit = torch.nn.functional.normalize(torch.stack([encoder(pairs[:, i]) for i in (0, 1)]), dim=-1)
        alignment = (unit[0] - unit[1]).square().sum(dim=-1).mean()
        uniformity = torch.pdist(unit[0]).square().mul(-2).exp().mean().log()
        return {"alignment": float(alignment), "uniformity": float(uniformity)}


PESQ_FORM = 1  # raise it with every change to what `_pesq` computes


def _pesq(stacks: Stacks) -> list[list[float]]:
    """The MOS of PESQ of each mixture; kept in the cache, since every encoder is tried on the same mixtures, and PESQ takes longest."""
    sounds = [(drawn.speech[0].astype(np.float32), mixed.numpy()) for _, drawn, mixed in stacks]
    parts = [part for sound in sounds for part in sound]
    of = [PESQ_FORM, version("pesq"), jsqa.hash_of(parts), [part.shape for part in parts]]
    path = environment.cache_folder() / "material" / f"pesq-{short_hash(json.dumps(of), 16)}.json"
    if not path.is_file():
        found = [[float(intrusive.pesq_mos(clean, one)) for one in mixed] for clean, mixed in sounds]
        path.parent.mkdir(parents=True, exist_ok=True)
        with atomic(path) as partial:
            partial.write_text(json.dumps(found))
    mos: list[list[float]] = json.loads(path.read_text())
    return mos


def _untrained(settings: EncoderSettings, sounds: Sounds, seconds: float, seed: int) -> Encoder:
    """Random weights, with the batch statistics of other mixtures."""
    drawn = [jnd_pairs.draw(*sounds, PairLaw(seconds=seconds), STATISTICS_SEED, k) for k in range(STATISTICS)]
    return untrained(settings, _at(jnd_pairs.batch(drawn)[:, 0], settings.rate), seed)


def _mixtures(
    sounds: Sounds, seed: int, pairs: int, seconds: float, snrs_db: Sequence[float], gaps_db: Sequence[float]
) -> Iterator[tuple[dict[str, Any], Drawn, Tensor]]:
    """For each pair and SNR what it is, and the mixtures (1 + gaps, samples) at that SNR and at those lower by each gap."""
    law = PairLaw(snr_db=(0.0, 0.0), gap_db=(0.0, 0.0), seconds=seconds)
    for index in range(pairs):
        drawn = jnd_pairs.draw(*sounds, law, seed, index)
        speech, noise = (torch.from_numpy(x[0].astype(np.float32)) for x in (drawn.speech, drawn.noise))
        for snr in snrs_db:
            levels = torch.tensor([snr, *(snr - gap for gap in gaps_db)])
            mixed = jnd_pairs.mix(speech.expand(len(levels), -1), noise.expand(len(levels), -1), levels)
            yield {"pair": index, "noise": drawn.noise_name, "snr_db": snr}, drawn, mixed


def _rows(about: dict[str, Any], gaps_db: Sequence[float], encoder: Encoder, mixed: Tensor) -> list[dict[str, Any]]:
    """One row per gap, with the cosine distance from the mixture without it."""
    with torch.no_grad():
        embedded = encoder(_at(mixed, encoder.settings.rate))
    cosine = 1 - torch.nn.functional.cosine_similarity(embedded[:1], embedded[1:]).numpy()
    return [about | {"gap_db": gap, "distance": float(d)} for gap, d in zip(gaps_db, cosine, strict=True)]


def _at(mixed: Tensor, rate: int) -> Tensor:
    """Mixtures, which are made at 16 kHz, at an encoder's rate."""
    return mixed if rate == RATE else torch.from_numpy(audio.resample(mixed.numpy(), RATE, rate))
