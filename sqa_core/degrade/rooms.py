"""What rooms, lines and other people add: reverberation, echo, a competing talker. Each result says what strength was reached."""

from typing import NamedTuple

import numpy as np
from jaxtyping import Float
from scipy import signal

from ..errors import SettingsError
from ..levels import active_level

DIRECT_S = 0.0025  # after a response's peak: what counts as direct sound, as usual for the direct-to-reverberant ratio
SOUND_M_S = 343.0
HIGH_PASS_HZ = 100.0  # Allen and Berkley's filter: image sources alone add up to a rise towards 0 Hz that no room has


class Reached(NamedTuple):
    """An impaired waveform (samples,) and the strength that was reached, in dB."""

    waveform: Float[np.ndarray, " samples"]
    reached_db: float


def image_sources(
    room_m: tuple[float, float, float],
    source_m: tuple[float, float, float],
    microphone_m: tuple[float, float, float],
    rt60_s: float,
    sample_rate: int,
) -> Float[np.ndarray, " response"]:
    """Impulse response of a shoebox room by image sources (Allen and Berkley, JASA 65, 1979), as long as the reverberation time.

    The walls' reflection follows from `rt60_s` by Eyring's formula, the same on all six. Delays are rounded to samples; the paper's
    high pass at 100 Hz is applied.

    Parameters
    ----------
    room_m : Length, width and height.
    source_m, microphone_m : Coordinates from one corner.
    rt60_s : Reverberation time.
    sample_rate : Hz

    Returns
    -------
    (response,), scaled to a peak of 1.

    Raises
    ------
    SettingsError
        Source or microphone is outside the room, or the reverberation time ends before the direct sound arrives.
    """
    room, source, microphone = (np.asarray(v, float) for v in (room_m, source_m, microphone_m))
    if not (np.all((source > 0) & (source < room)) and np.all((microphone > 0) & (microphone < room))):
        raise SettingsError("Source and microphone must be inside the room.")
    if np.linalg.norm(source - microphone) / SOUND_M_S >= rt60_s:
        raise SettingsError(f"A reverberation time of {rt60_s} s ends before the direct sound arrives.")
    volume, surface = room.prod(), 2 * (room[0] * room[1] + room[1] * room[2] + room[0] * room[2])
    reflection = np.sqrt(np.exp(-0.161 * volume / (surface * rt60_s)))
    n = round(rt60_s * sample_rate)
    orders = [np.arange(-np.ceil(rt60_s * SOUND_M_S / (2 * side)), np.ceil(rt60_s * SOUND_M_S / (2 * side)) + 1) for side in room]
    response = np.zeros(n + 1)
    grid = np.stack(np.meshgrid(*orders, indexing="ij"), -1).reshape(-1, 3)
    for flip in np.ndindex(2, 2, 2):
        mirrored = np.asarray(flip)
        position = (1 - 2 * mirrored) * source + 2 * grid * room
        distance = np.linalg.norm(position - microphone, axis=1)
        bounces = (np.abs(grid - mirrored) + np.abs(grid)).sum(axis=1)
        at = np.round(distance / SOUND_M_S * sample_rate).astype(int)
        inside = at <= n
        np.add.at(response, at[inside], reflection ** bounces[inside] / (4 * np.pi * distance[inside]))
    response = _high_passed(response, sample_rate)
    return (response / np.abs(response).max()).astype(np.float32)


def _high_passed(response: np.ndarray, sample_rate: int) -> np.ndarray:
    """Allen and Berkley's filter: two poles at `HIGH_PASS_HZ`, a zero at 0 Hz (their appendix B)."""
    angle = 2 * np.pi * HIGH_PASS_HZ / sample_rate
    r = np.exp(-angle)
    return signal.lfilter([1, -(1 + r), r], [1, -2 * r * np.cos(angle), r * r], response)


def reverberate(waveform: Float[np.ndarray, " samples"], sample_rate: int, response: Float[np.ndarray, " response"]) -> Reached:
    """A waveform in a room: convolved with its impulse response, the direct sound's delay removed, at the original active level.

    Returns
    -------
    As many samples, and the direct-to-reverberant ratio of the response: energy up to 2.5 ms after its peak over the rest.

    Raises
    ------
    SettingsError
        The response is silent.
    """
    energy = np.square(response, dtype=np.float64)
    if not energy.any():
        raise SettingsError("The room's response is silent.")
    peak = int(np.abs(response).argmax())
    direct = peak + round(DIRECT_S * sample_rate)
    rest = energy[direct + 1 :].sum()
    ratio = 10 * np.log10(energy[: direct + 1].sum() / rest) if rest else np.inf
    wet = signal.oaconvolve(waveform, response)[peak : peak + len(waveform)]
    before, after = active_level(waveform, sample_rate)[0], active_level(wet, sample_rate)[0]
    gain = 10 ** ((before - after) / 20) if np.isfinite(before) and np.isfinite(after) else 1.0
    return Reached((wet * gain).astype(np.float32), float(ratio))


def echo(waveform: Float[np.ndarray, " samples"], sample_rate: int, delay_s: float, loss_db: float) -> Reached:
    """The sound's own echo, `delay_s` later and `loss_db` weaker: as a listener hears a talker whose line reflects (listener echo).

    Returns
    -------
    The sum, and the difference of the active levels (P.56) that was measured on the two parts.

    Raises
    ------
    SettingsError
        The delay is no positive time within the sound.
    """
    shift = round(delay_s * sample_rate)
    if not 0 < shift < len(waveform):
        raise SettingsError(f"An echo after {delay_s} s does not lie within the sound.")
    late = np.concatenate([np.zeros(shift, waveform.dtype), waveform[:-shift]]) * np.float32(10 ** (-loss_db / 20))
    weaker = active_level(waveform, sample_rate)[0] - active_level(late, sample_rate)[0]
    return Reached((waveform + late).astype(np.float32), float(weaker))


def competing(
    waveform: Float[np.ndarray, " samples"], sample_rate: int, other: Float[np.ndarray, " samples_of_other"], ratio_db: float
) -> Reached:
    """A second talker, or the far end's talker echo: added so that the two active levels (P.56) differ by `ratio_db`.

    other : repeated or cut to the length of `waveform`.

    Returns
    -------
    The sum, and the ratio of active levels that was measured on the two parts.

    Raises
    ------
    SettingsError
        One of the two is silent.
    """
    second = np.resize(other, len(waveform)).astype(np.float32)
    own, theirs = active_level(waveform, sample_rate)[0], active_level(second, sample_rate)[0]
    if not np.isfinite(own) or not np.isfinite(theirs):
        raise SettingsError("One of the two talkers is silent, so their ratio has no meaning.")
    second = second * np.float32(10 ** ((own - ratio_db - theirs) / 20))
    return Reached((waveform + second).astype(np.float32), own - active_level(second, sample_rate)[0])
