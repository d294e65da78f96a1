"""Measures how much each layer of a language model changes the residual stream, per text.

The measurement and the client are imported when they are first used: `import layerscope` alone loads neither
torch nor transformers, and the client needs neither of them.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from layerscope.errors import ModelError

if TYPE_CHECKING:
    from layerscope.client import Client, Job
    from layerscope.core import (
        Model,
        TextAnalysis,
        TextProfile,
        analyse_texts,
        load_model,
        profile_texts,
    )

CLIENT = ("Client", "Job")

__all__ = [
    "Client",
    "Job",
    "Model",
    "ModelError",
    "TextAnalysis",
    "TextProfile",
    "analyse_texts",
    "load_model",
    "profile_texts",
]


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    try:
        return getattr(import_module("layerscope.client" if name in CLIENT else "layerscope.core"), name)
    except ModuleNotFoundError as error:
        raise ModuleNotFoundError(
            f"layerscope.{name} needs the package {error.name}: run `pip install 'layerscope[all]'`",
            name=error.name,
        ) from error


def __dir__() -> list[str]:
    return sorted(__all__)
