"""From spectrograms to scores: the network's parts run as fast as they go, with the same result in any batch.

The segments of many files go through the CNN in chunks of one size, and time dependency and pooling take each file at its own length,
so a file has the same score in any batch.
"""

import copy
import tempfile
from collections.abc import Iterable, Iterator
from dataclasses import replace

import numpy as np
import torch
from torch import Tensor
from torch.nn.utils.fusion import fuse_conv_bn_eval

from .. import audio, spectrogram
from ..errors import AudioError
from ..models import nisqa_long
from ..models.nisqa import Nisqa, SixConvolutions
from ..models.weights import Network

CHUNK = 64  # segments through the CNN at once; the maps of more leave the cache
GROUP = 16_384  # segments of whole files gathered before time dependency and pooling
SPOOLED = 1 << 26  # bytes of a long sound's spectrogram held in memory, 58 min at 48 bands; more goes to a temporary file


def folded(network: Network) -> Network:
    """A copy that scores faster: batch norms folded into the convolutions, maps kept with channels last."""
    if isinstance(network.model.cnn.get_submodule("bn1"), torch.nn.Identity):
        return network
    model: Nisqa = copy.deepcopy(network.model).eval()
    model.cnn = cnn = fused_convolutions(network)
    for i in range(1, 7):
        setattr(cnn, f"bn{i}", torch.nn.Identity())
        setattr(cnn, f"relu{i}", torch.nn.ReLU(inplace=True))
    for i, pool in ((1, "pool1"), (2, "pool2"), (4, "pool3")):  # ReLU and max commute, and after the pool there is less to do
        relu = getattr(cnn, f"relu{i}")
        setattr(cnn, f"relu{i}", torch.nn.Identity())
        setattr(cnn, pool, torch.nn.Sequential(getattr(cnn, pool), relu))
    cnn.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    return replace(network, model=model)


def fused_convolutions(network: Network) -> SixConvolutions:
    """A copy of the CNN with batch norms folded into its convolutions; its norm modules are still there, and must not be applied."""
    cnn = copy.deepcopy(network.model.cnn).eval()
    for i in range(1, 7):
        setattr(cnn, f"conv{i}", fuse_conv_bn_eval(getattr(cnn, f"conv{i}"), getattr(cnn, f"bn{i}")))
    return cnn


def mel_of(network: Network, sound: audio.Sound, resample: int | None = None, name: str = "The sound") -> Tensor:
    """Mel spectrogram (frames, mels) of a sound, the mean of its channels, by the network's own front end.

    Parameters
    ----------
    sound : At its own rate.
    resample : Rate in Hz to convert to first; None keeps the sound's own rate unless the network needs a fixed one.
    name : Of the sound, for messages.

    Returns
    -------
    (frames, mels) in dB.

    Raises
    ------
    AudioError
        The sound is shorter than one segment.
    """
    waveform, rate = audio.mixed(sound, "mean")
    wanted = network.settings.mel.sample_rate or resample
    if wanted:
        waveform, rate = audio.resample(waveform, rate, int(wanted)), int(wanted)
    mel = network.settings.mel
    least = (network.settings.segment_length - 1) * mel.hop(rate)
    if waveform.shape[1] < least:
        raise AudioError(f"{name}: {waveform.shape[1] / rate:.3f} s is too short; the network needs at least {least / rate:.2f} s.")
    return spectrogram.mel_db(waveform[0], rate, mel, network.device)


@torch.inference_mode()
def cnn_features(network: Network, mels: list[Tensor]) -> list[Tensor]:
    """The CNN's outputs (segments, features) of each mel spectrogram."""
    s = network.settings
    views = [spectrogram.segments(m, s.segment_length, s.segment_hop) for m in mels]
    return list(run_cnn(network, views, sum(map(len, views))).split([len(v) for v in views]))


@torch.inference_mode()
def run_cnn(network: Network, views: Iterable[Tensor], total: int) -> Tensor:
    """CNN outputs (total, features) of segments that come as several (n, mels, length) views, in chunks of one size.

    One size, because convolution kernels are made anew for each new shape.

    Parameters
    ----------
    views : Segments in their order.
    total : Their number over all views.

    Returns
    -------
    (total, features), on the network's device.
    """
    s = network.settings
    size = min(CHUNK, -(-total // 16) * 16)
    chunk = torch.zeros(size, 1, s.mel.n_mels, s.segment_length, device=network.device)
    out, filled = [], 0
    for view in views:
        while len(view):
            part, view = view[: size - filled], view[size - filled :]
            chunk[filled : filled + len(part), 0] = part
            filled += len(part)
            if filled == size:
                out.append(network.model.cnn(chunk))
                filled = 0
    if filled:
        out.append(network.model.cnn(chunk)[:filled])
    return torch.cat(out) if out else chunk.new_empty(0, network.model.cnn.n_features)


@torch.inference_mode()
def score_mels(network: Network, mels: list[Tensor]) -> np.ndarray:
    """(files, outputs) of mel spectrograms (frames, mels)."""
    features = cnn_features(network, mels)
    scores = np.empty((len(mels), len(network.settings.outputs)), np.float32)
    # Neighbours in length share a batch, so that little of it is padding.
    order = sorted(range(len(mels)), key=lambda i: len(features[i]))
    while order:
        longest = len(features[order[-1]])
        batch, order = order[-max(1, GROUP // longest) :], order[: -max(1, GROUP // longest)]
        lengths = torch.tensor([len(features[i]) for i in batch], device=network.device)
        padded = torch.nn.utils.rnn.pad_sequence([features[i] for i in batch], batch_first=True)
        scores[batch] = network.model.head(padded, lengths).float().cpu().numpy()
    return scores


@torch.inference_mode()
def score_blocks(network: Network, blocks: Iterable[np.ndarray], rate: int) -> list[float]:
    """Scores of a mono sound that comes in blocks.

    The spectrogram is limited to 80 dB below its own maximum, which is known at the end: until then its frames wait, in a temporary
    file where there are many.

    Parameters
    ----------
    blocks : Samples (n,) each, full scale 1.
    rate : Hz.

    Returns
    -------
    A score for each of `network.settings.outputs`, in their order.
    """
    s = network.settings
    highest, frames = -np.inf, 0
    with tempfile.SpooledTemporaryFile(SPOOLED) as waiting:
        for mel in spectrogram.mel_db_blocks(blocks, rate, s.mel, network.device):
            highest = max(highest, float(mel.max()))
            frames += len(mel)
            waiting.write(mel.cpu().numpy().tobytes())
        waiting.seek(0)
        total = spectrogram.count_segments(frames, s.segment_length, s.segment_hop)

        def features() -> Iterator[Tensor]:
            held = torch.empty(0, s.mel.n_mels)
            size = CHUNK * s.segment_hop * s.mel.n_mels * 4
            left = total
            while left:
                read = np.frombuffer(waiting.read(size), np.float32).reshape(-1, s.mel.n_mels).copy()
                held = torch.cat([held, torch.from_numpy(read).clamp_(min=highest - spectrogram.RANGE_DB)])
                views = held.unfold(0, s.segment_length, s.segment_hop)[:left]
                left -= len(views)
                held = held[len(views) * s.segment_hop :]
                yield run_cnn(network, [views.to(network.device)], len(views))

        return nisqa_long.head_of_blocks(network.model, features())[0].float().cpu().tolist()
