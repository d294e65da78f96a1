"""Errors of the library."""


class ModelError(Exception):
    """A model cannot be loaded. The message is one sentence: what is wrong, and the setting that fixes it."""


class ModelNotFound(ModelError):
    """`source` names no model: the folder, its config.json or the repository of the hub is missing.

    The cause may be temporary, for example a network drive that is not mounted.
    """


class HubUnavailable(ModelNotFound):
    """The model is not in the cache, and the hub does not answer."""
