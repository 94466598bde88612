"""Kinds of failure. Each carries one sentence: what is wrong, where, and what to do."""


class SqaError(Exception):
    """Base of every failure that is the input's or the set-up's, not the program's."""


class AudioError(SqaError):
    """A sound that cannot be used as it is."""


class CorpusError(SqaError):
    """A corpus, manifest, archive or download that is missing or not what it should be."""


class WeightsError(SqaError):
    """Network weights that are missing, damaged or of another network."""


class SettingsError(SqaError):
    """A parameter, a name or a path that means nothing here."""


class BuildError(SqaError):
    """A notebook or the book did not come out whole."""


class TrialError(SqaError):
    """Trials that failed while the others went on."""
