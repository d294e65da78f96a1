"""Measures what each layer of a language model adds to the residual stream.

Needs torch, transformers, numpy and scipy, and no part of the service.
"""

from layerscope.core.analysis.analyse import Activations, TextAnalysis, TokenProfiles, analyse_texts
from layerscope.core.loading.head import load_head
from layerscope.core.loading.load import load_model
from layerscope.core.model import Model
from layerscope.core.profile import TextProfile, profile_texts

__all__ = [
    "Activations",
    "Model",
    "TextAnalysis",
    "TextProfile",
    "TokenProfiles",
    "analyse_texts",
    "load_head",
    "load_model",
    "profile_texts",
]
