"""Speech through real codecs, packet by packet: encoded by FFmpeg's encoders, lost packets left out, decoded, the delay removed."""

import io
from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Bool, Float

from .. import audio
from ..errors import SettingsError
from ..intrusive import correlation_by_lag

MAX_DELAY_S = 0.25  # of a codec: what is searched for
PROBE_S = 2.0  # of the sound that delays are measured with


@dataclass(frozen=True)
class Codec:
    """One codec: FFmpeg's names, its rate in Hz, and the bit rates in bit/s that are used here, the lowest first.

    raw : FFmpeg's demuxer where a decoder can only be set up through one.
    """

    standard: str
    encoder: str
    decoder: str
    rate: int
    bit_rates: tuple[int, ...]
    raw: str | None = None


CODECS = {
    "opus": Codec("RFC 6716", "libopus", "opus", 48_000, (6000, 9000, 12_000, 16_000, 24_000, 48_000)),
    "aac": Codec("ISO/IEC 14496-3, LC", "aac", "aac", 48_000, (16_000, 24_000, 32_000, 64_000)),
    "mp3": Codec("ISO/IEC 11172-3, layer 3", "libmp3lame", "mp3float", 48_000, (32_000, 48_000, 64_000)),
    "amr-nb": Codec("3GPP TS 26.090", "libopencore_amrnb", "amrnb", 8000, (4750, 5900, 7400, 12_200)),
    "g722": Codec("ITU-T G.722", "g722", "g722", 16_000, (64_000,)),
    "g726": Codec("ITU-T G.726", "g726", "g726", 8000, (16_000, 24_000, 32_000, 40_000), raw="g726"),
    "g723.1": Codec("ITU-T G.723.1", "g723_1", "g723_1", 8000, (6300,)),
    "g711-a": Codec("ITU-T G.711, A law", "pcm_alaw", "pcm_alaw", 8000, (64_000,)),
    "g711-mu": Codec("ITU-T G.711, µ law", "pcm_mulaw", "pcm_mulaw", 8000, (64_000,)),
    "sbc": Codec("Bluetooth A2DP, SBC", "sbc", "sbc", 16_000, (64_000, 128_000)),
}


class Coded(NamedTuple):
    """Speech after a codec, with what really happened to it.

    waveform : (samples,) as many as went in, at their rate, float32. bit_rate : bit/s of the packets. delay_s : what was removed.
    lost_share : of the packets. lost : (samples,) of bool, where a lost packet would have been heard, after the delay was removed.
    """

    waveform: Float[np.ndarray, " samples"]
    bit_rate: float
    delay_s: float
    lost_share: float
    lost: Bool[np.ndarray, " samples"]


def gilbert_elliott(packets: int, loss: float, burst: float, rng: np.random.Generator) -> Bool[np.ndarray, " packets"]:
    """Which packets are lost: Gilbert's two-state chain (Bell Syst. Tech. J. 39, 1960), in which the bad state loses every packet.

    Parameters
    ----------
    packets : How many.
    loss : Mean share of lost packets.
    burst : Mean length of a burst, in packets; 1 / (1 - loss) would be independent losses.
    rng : Draws the chain.

    Returns
    -------
    (packets,), True where one is lost.

    Raises
    ------
    SettingsError
        No chain has such a share and such bursts.

    Examples
    --------
    >>> lost = gilbert_elliott(100_000, 0.1, 3, np.random.default_rng(0))
    >>> round(float(lost.mean()), 2)
    0.1
    """
    if not 0 <= loss < 1 or burst < 1 or (loss and loss / (burst * (1 - loss)) > 1):
        raise SettingsError(f"No chain loses {loss} of its packets in bursts of {burst} on average.")
    out = np.zeros(packets, bool)
    if loss == 0:
        return out
    good_to_bad, bad_to_good = loss / (burst * (1 - loss)), 1 / burst
    bad = bool(rng.random() < loss)  # drawn first, so that a longer call begins with the same losses
    draws = rng.random(packets)
    for i in range(packets):
        out[i] = bad
        bad = draws[i] >= bad_to_good if bad else draws[i] < good_to_bad
    return out


def coded(
    waveform: Float[np.ndarray, " samples"],
    sample_rate: int,
    codec: str,
    bit_rate: int | None = None,
    *,
    loss: float = 0.0,
    burst: float = 1.0,
    conceal: bool = False,
    rng: np.random.Generator | None = None,
) -> Coded:
    """Speech through a codec, with lost packets if `loss` is not 0.

    A lost packet never reaches the decoder, whose state suffers as it does in a call. Its time is filled with zeros or, with `conceal`,
    with the last decoded packet, 6 dB weaker for each further loss (the simplest form of ITU-T G.711 Appendix I). FFmpeg gives no access
    to the concealment that Opus and AMR have of their own.

    Parameters
    ----------
    waveform : (samples,)
    sample_rate : int, Hz
    codec : one of `CODECS`
    bit_rate : bit/s; the codec's highest here if not given
    loss, burst : as in `gilbert_elliott`
    rng : needed for losses

    Returns
    -------
    The speech, of the length it came with, and what happened to it.

    Raises
    ------
    SettingsError
        An unknown codec, or one that this build of FFmpeg lacks.
    """
    if codec not in CODECS:
        raise SettingsError(f"There is no codec {codec!r} here; there are {', '.join(CODECS)}.")
    of = CODECS[codec]
    bit_rate = bit_rate or of.bit_rates[-1]
    original = audio.resample(np.asarray(waveform, np.float32)[None], sample_rate, of.rate)[0]
    delay = codec_delay(codec, bit_rate)
    flushed = np.concatenate([original, np.zeros(max(delay, 0) + of.rate // 10, np.float32)])  # or the end would stay in the codec
    packets, context, frame = _encoded(flushed, codec, bit_rate)
    heard = min(len(packets), -(-(len(original) + max(delay, 0)) // frame))  # of the packets, those that hold the sound
    lost = np.zeros(len(packets), bool)
    if loss:
        lost[:heard] = gilbert_elliott(heard, loss, burst, rng or np.random.default_rng(0))
        lost[:1] = False  # a call whose first packet is lost begins with the next
    decoded, gaps = _decoded(packets, lost, context, frame, conceal)
    decoded, gaps = (_shifted(x, delay, len(original)) for x in (decoded, gaps))
    out = audio.resample(decoded[None], of.rate, sample_rate)[0][: len(waveform)]
    out = np.pad(out, (0, len(waveform) - len(out)))
    at = np.minimum(np.arange(len(waveform)) * of.rate // sample_rate, len(gaps) - 1)
    bits = 8 * sum(len(p) for p in packets) / (len(flushed) / of.rate)
    lost_share = float(lost[:heard].mean()) if heard else 0.0
    return Coded(out.astype(np.float32), bits, delay / of.rate, lost_share, gaps[at].astype(bool))


@lru_cache(maxsize=64)
def codec_delay(codec: str, bit_rate: int) -> int:
    """Samples at the codec's rate by which its output is late: the lag of the largest correlation of a voice-like sound and its output.

    It belongs to the codec and not to the sound, so it is measured once: harmonics of a gliding pitch under a moving envelope, which codecs
    that model a voice reproduce too.

    Parameters
    ----------
    codec : One of `CODECS`.
    bit_rate : bit/s

    Returns
    -------
    Samples.
    """
    of = CODECS[codec]
    t = np.arange(int(PROBE_S * of.rate)) / of.rate
    phase = 2 * np.pi * np.cumsum(90 * 3 ** (0.5 - 0.5 * np.cos(2 * np.pi * 1.3 * t))) / of.rate
    harmonics = sum(np.sin(k * phase + k * k) / k for k in range(3, 13))  # codecs shift the phase of the lowest
    breath = np.random.default_rng(0).standard_normal(len(t))
    envelope = 0.1 + np.sin(2 * np.pi * 1.7 * t + 5 * t**2) ** 2  # syllables of many lengths
    probe = (0.1 * envelope * (harmonics + 0.1 * breath)).astype(np.float32)
    packets, context, frame = _encoded(probe, codec, bit_rate)
    decoded, _ = _decoded(packets, np.zeros(len(packets), bool), context, frame, conceal=False)
    n = min(len(probe), len(decoded))
    lags, correlation = correlation_by_lag(probe[:n].astype(np.float64), decoded[:n].astype(np.float64), int(MAX_DELAY_S * of.rate))
    return int(lags[correlation.argmax()])


def _encoded(x: np.ndarray, codec: str, bit_rate: int) -> tuple[list[bytes], Any, int]:
    """Packets, a decoder for them, and the samples that one packet stands for."""
    import av

    of = CODECS[codec]
    try:
        encoder: Any = av.CodecContext.create(of.encoder, "w")
    except (av.FFmpegError, ValueError) as e:
        raise SettingsError(f"This build of FFmpeg cannot encode {codec} ({of.encoder}).") from e
    encoder.sample_rate, encoder.layout, encoder.time_base = of.rate, "mono", Fraction(1, of.rate)
    encoder.format = encoder.codec.audio_formats[0].name
    if of.raw:
        encoder.options = {"code_size": str(bit_rate // of.rate)}
    elif not of.encoder.startswith("pcm_"):
        encoder.bit_rate = bit_rate
    encoder.open()
    frame = encoder.frame_size or of.rate // 50
    source = av.AudioFrame.from_ndarray(np.clip(x, -1, 1)[None].astype(np.float32), format="fltp", layout="mono")
    source.sample_rate, source.time_base, source.pts = of.rate, Fraction(1, of.rate), 0
    cutter = av.AudioResampler(format=encoder.format.name, layout="mono", rate=of.rate, frame_size=frame)
    packets = [bytes(p) for part in [*cutter.resample(source), *cutter.resample(None), None] for p in encoder.encode(part) if p.size]
    if of.raw:
        container = av.open(io.BytesIO(b"".join(packets)), format=of.raw, options={"code_size": str(bit_rate // of.rate)})
        return packets, container.streams.audio[0].codec_context, frame
    decoder: Any = av.CodecContext.create(of.decoder, "r")
    decoder.sample_rate, decoder.layout = of.rate, "mono"
    if encoder.extradata:
        decoder.extradata = bytes(encoder.extradata)
    return packets, decoder, frame


def _decoded(packets: list[bytes], lost: np.ndarray, decoder: Any, frame: int, conceal: bool) -> tuple[np.ndarray, np.ndarray]:
    """Samples, and which of them a lost packet would have given."""
    import av

    to_float = av.AudioResampler(format="fltp")
    parts: list[np.ndarray] = []
    gaps: list[np.ndarray] = []
    last, missing = np.zeros(frame, np.float32), 0

    def frames(packet: bytes) -> Iterator[np.ndarray]:
        for decoded in decoder.decode(av.Packet(packet)):
            for planar in to_float.resample(decoded):
                yield planar.to_ndarray()[0]

    for packet, gone in zip(packets, lost, strict=True):
        if gone:
            fill = np.resize(last, frame) * 0.5**missing if conceal else np.zeros(frame, np.float32)
            missing += 1
        else:
            fill = np.concatenate([*frames(packet), np.zeros(0, np.float32)])
            last, missing = (fill, 0) if len(fill) else (last, 0)
        parts.append(fill.astype(np.float32))
        gaps.append(np.full(len(fill), gone))
    return np.concatenate([*parts, np.zeros(0, np.float32)]), np.concatenate([*gaps, np.zeros(0, bool)])


def _shifted(x: np.ndarray, delay: int, length: int) -> np.ndarray:
    """Without the first `delay` samples (or with as many zeros before), cut or filled to `length`."""
    x = x[delay:] if delay >= 0 else np.concatenate([np.zeros(-delay, x.dtype), x])
    return np.concatenate([x, np.zeros(max(0, length - len(x)), x.dtype)])[:length]
