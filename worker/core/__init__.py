"""Measures what each layer of a Llama writes into the residual stream.

Needs torch, transformers, numpy and scipy, and nothing of the service.
"""

from worker.core.analysis import Activations, TextAnalysis, analyse_texts
from worker.core.engine import load_head, load_model
from worker.core.first_token import FirstTokenShare, FirstTokenShares, first_token_share
from worker.core.model import Model
from worker.core.process import settle_threads
from worker.core.profile import TextProfile, profile_texts
from worker.core.sampling import sample
from worker.core.statistics import Moments, Summary
from worker.core.vocabulary import ANALYSES, ANALYSIS_METRICS, COMPONENTS, METRICS, SCOPES, ModelError

__all__ = [
    "ANALYSES",
    "ANALYSIS_METRICS",
    "COMPONENTS",
    "METRICS",
    "SCOPES",
    "Activations",
    "FirstTokenShare",
    "FirstTokenShares",
    "Model",
    "ModelError",
    "Moments",
    "Summary",
    "TextAnalysis",
    "TextProfile",
    "analyse_texts",
    "first_token_share",
    "load_head",
    "load_model",
    "profile_texts",
    "sample",
    "settle_threads",
]
