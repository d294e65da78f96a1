"""Measures what each layer of a Llama writes into the residual stream.

Needs torch, transformers, numpy and scipy, and no part of the service.
"""

from layerscope.core.analysis.analyse import Activations, TextAnalysis, analyse_texts
from layerscope.core.loading.checkpoint import Model
from layerscope.core.loading.load import load_head, load_model
from layerscope.core.profile import TextProfile, profile_texts

__all__ = [
    "Activations",
    "Model",
    "TextAnalysis",
    "TextProfile",
    "analyse_texts",
    "load_head",
    "load_model",
    "profile_texts",
]
