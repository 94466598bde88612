"""The plan of the page on scoring one's own recordings: the effect of the sample rate on a score, shown on real files."""

from ...results.trials import Trial
from ..listeners import listeners_trials
from ..shared import ChapterSettings

SLUG = "score"


CORPORA = {"demo": (), "paper": ("p835",)}


OTHER_RATE = 48_000


class Settings(ChapterSettings):
    """The notebook's parameters; `recording` is a sound file of the reader's own."""

    recording: str = ""


def trials(settings: Settings) -> list[Trial]:
    """The wide-band files at their own 16 kHz and brought to 48 kHz; nothing to store in the demo."""
    if settings.profile == "demo":
        return []
    return [*listeners_trials(SLUG, ("wideband",)), *listeners_trials(SLUG, ("wideband",), resample=OTHER_RATE)]
