"""The plan of the page on labels: do full-reference measures agree with listeners, and how well does a network trained on them generalise?"""

from ...corpora import registry
from ...results.trials import Trial
from ..listeners import LabelTrial, listeners_trials, synthetic_trial
from ..shared import ChapterSettings

SLUG = "labels"


CORPORA = {"demo": (), "paper": ("p835",)}


MEASURES = {"pesq": "PESQ wide band", "visqol": "ViSQOL speech mode"}


Settings = ChapterSettings


def trials(settings: Settings) -> list[Trial]:
    """Both measures on both sets of P.835, and every network found; in the demo our network against PESQ on synthetic speech."""
    if settings.profile == "demo":
        return [synthetic_trial()]
    corpus_hash = registry.load("p835").hash
    planned: list[Trial] = [
        LabelTrial(study=SLUG, data_status="real", measure=measure, set=which, corpus_hash=corpus_hash)
        for measure in MEASURES
        for which in ("fullband", "wideband")
    ]
    return planned + list(listeners_trials(SLUG, ("fullband", "wideband")))
