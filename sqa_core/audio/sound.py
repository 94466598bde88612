"""A sound in memory, and the mixing of its channels, whole or block by block."""

from dataclasses import dataclass
from typing import Literal, NamedTuple

import numpy as np
from jaxtyping import Float

from ..errors import AudioError

MIN_RATE = 1000  # Hz
MAX_RATE = 768_000  # Hz
MAX_PEAK = 8.0  # float files may pass full scale a little; integers that were never scaled pass it by thousands
HIGH_PEAK = 1.25  # what a lossy codec makes of full scale; beyond it, a note
QUIET_PEAK = 1e-4  # 80 dB below full scale
PIECE_S = 0.5  # in which channels are compared
AUDIBLE_POWER = 1e-6  # of a piece in which they may cancel
CANCELLED_DB = 20.0  # the mean of n channels is up to 10 lg n dB below them; so much more, and nothing of the sound is left
PARTLY_CANCELLED_DB = 3.0

Channel = int | Literal["mean", "all"]
ChannelName = Literal["mean", "left", "right"]


class Sound(NamedTuple):
    """A waveform (channels × samples, float32, 1.0 = full scale) and its rate in Hz."""

    waveform: Float[np.ndarray, "channels samples"]
    sample_rate: int


@dataclass
class Mixer:
    """Mixes and checks blocks of one sound. `finish` says after the last one what should be known about the whole.

    name : of the sound, for messages.
    """

    channel: Channel
    sample_rate: int
    name: str
    samples: int = 0
    channels: int = 0
    power_before: float = 0.0
    power_after: float = 0.0
    cancelled: int = 0  # samples
    low: float = np.inf
    high: float = -np.inf

    def __post_init__(self) -> None:
        if not MIN_RATE <= self.sample_rate <= MAX_RATE:
            raise AudioError(f"{self.name}: a rate of {self.sample_rate} Hz is not one of sound ({MIN_RATE} to {MAX_RATE} are read).")

    def __call__(self, block: Float[np.ndarray, "channels samples"]) -> Float[np.ndarray, "mixed samples"]:
        """The block's one channel, the mean of all or all of them.

        Raises
        ------
        AudioError
            There is no such channel, or samples are not numbers or not scaled.
        """
        mixed = mix(block, self.channel, self.name)
        self.samples += mixed.shape[1]
        self.channels = len(block)
        if mixed.size:
            low, high = float(mixed.min()), float(mixed.max())
            peak = max(high, -low)
            if not np.isfinite(peak):
                raise AudioError(f"{self.name}: holds samples that are not numbers (NaN or infinite).")
            if peak > MAX_PEAK:
                raise AudioError(f"{self.name}: has samples up to {peak:g}; scale floats to [-1, 1] (a compressed file is damaged).")
            self.low, self.high = min(self.low, low), max(self.high, high)
        if self.channel == "mean" and len(block) > 1:
            self._compare(block, mixed)
        return mixed

    def _compare(self, block: Float[np.ndarray, "channels samples"], mixed: Float[np.ndarray, "1 samples"]) -> None:
        """Adds up the power of the channels and of their mean, in pieces without their constant part, and counts where they cancel."""
        n = int(PIECE_S * self.sample_rate)
        for start in range(0, block.shape[1], n):
            before, after = (float(x[:, start : start + n].var(axis=1, dtype=np.float64).mean()) for x in (block, mixed))
            samples = min(n, block.shape[1] - start)
            self.power_before += before * samples
            self.power_after += after * samples
            if samples >= n // 2 and before > AUDIBLE_POWER and _loss_db(before, after, len(block)) > CANCELLED_DB:
                self.cancelled += samples

    def finish(self) -> list[str]:
        """Notes on the whole sound.

        Returns
        -------
        Phrases, such as that channels were mixed.

        Raises
        ------
        AudioError
            There were no samples, or the channels cancel.
        """
        if not self.samples:
            raise AudioError(f"{self.name}: there are no samples.")
        notes = []
        if self.channel == "mean" and self.channels > 1:
            notes.append(f"{self.channels} channels mixed to one")
            if self.power_before > 0:
                loss = _loss_db(self.power_before, self.power_after, self.channels)
                if loss > CANCELLED_DB:
                    raise AudioError(f"{self.name}: its channels cancel when they are mixed; choose one of them (from 0).")
                if self.cancelled:
                    notes.append(f"the channels cancel for {self.cancelled / self.sample_rate:.1f} s")
                elif loss > PARTLY_CANCELLED_DB:
                    notes.append("the channels partly cancel")
        elif isinstance(self.channel, int) and self.channels > 1:
            notes.append(f"channel {self.channel} of {self.channels}")
        peak = max(self.high, -self.low)
        if not peak:
            notes.append("digital silence")
        elif self.low == self.high and self.samples > 1:
            notes.append("one constant value and no sound")
        elif peak < QUIET_PEAK:
            notes.append(f"nearly silent: its peak is {-20 * np.log10(peak):.0f} dB below full scale")
        if peak > HIGH_PEAK:
            notes.append(f"its peak is {peak:.2f} times full scale")
        return notes


def _loss_db(before: float, after: float, channels: int) -> float:
    """How far the power of a mean lies below that of its channels, beyond what uncorrelated channels lose."""
    return 10 * float(np.log10(before / max(after, 1e-30)) - np.log10(channels))


def mix(waveform: np.ndarray, channel: Channel, name: str) -> np.ndarray:
    """One channel (1, samples), the mean of all, or all.

    Parameters
    ----------
    waveform : (channels, samples)
    channel : "all", "mean", or a number from 0.
    name : Of the sound, for messages.

    Returns
    -------
    (1, samples), or all channels as they are.

    Raises
    ------
    AudioError
        There is no such channel.
    """
    if channel == "all" or (channel == "mean" and len(waveform) == 1):
        return waveform
    if channel == "mean":
        return waveform.mean(axis=0, keepdims=True, dtype=np.float32)
    if not isinstance(channel, int | np.integer) or isinstance(channel, bool):
        raise AudioError(f'{name}: a channel is a number from 0, "mean" or "all", not {channel!r}.')
    if not 0 <= int(channel) < len(waveform):
        raise AudioError(f"{name}: there is no channel {channel}; the sound has {len(waveform)}, counted from 0.")
    return waveform[[int(channel)]]


def mixed(sound: Sound, channel: Channel, name: str = "The sound") -> Sound:
    """One channel, or the mean of all, of a sound that was loaded with all its channels.

    Parameters
    ----------
    sound : With all its channels.
    channel : "all", "mean", or a number from 0.
    name : Of the sound, for messages.

    Returns
    -------
    The sound with one channel, or as it is.

    Raises
    ------
    AudioError
        There is no such channel, or the channels cancel when they are mixed.
    """
    mixer = Mixer(channel, sound.sample_rate, name)
    waveform = mixer(sound.waveform)
    mixer.finish()
    return Sound(waveform, sound.sample_rate)
