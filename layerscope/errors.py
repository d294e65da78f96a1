"""Errors of the library."""


class ModelError(Exception):
    """A model cannot be loaded. The message is one sentence: what is wrong, and the setting that fixes it."""
