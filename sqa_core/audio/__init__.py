"""Sound in: any file, array or tensor becomes a float32 waveform (channels × samples) in [-1, 1].

Nothing else in the library opens sound files. The sample rate is never guessed: a file carries its own, an array needs one.
`reading` is the way in; `kinds` says what a file is, `containers` what it promises, `decoding` gives its samples.
"""

from .decoding import MAX_SECONDS
from .folders import describe, sound_files
from .reading import AudioWarning, Opened, load, load_mono, name_of, opened, several, shown
from .resampling import import_torchaudio, resample, resample_blocks
from .sound import MAX_RATE, Channel, ChannelName, Mixer, Sound, mixed
from .writing import wav_bytes, write_wav

__all__ = [
    "MAX_RATE",
    "MAX_SECONDS",
    "AudioWarning",
    "Channel",
    "ChannelName",
    "Mixer",
    "Opened",
    "Sound",
    "describe",
    "import_torchaudio",
    "load",
    "load_mono",
    "mixed",
    "name_of",
    "opened",
    "resample",
    "resample_blocks",
    "several",
    "shown",
    "sound_files",
    "wav_bytes",
    "write_wav",
]
