"""Measures what each layer of a Llama writes into the residual stream.

Needs torch, transformers, numpy and scipy, and nothing of the service.
"""

from worker.core.demo import ensure_demo_model
from worker.core.engine import load_model
from worker.core.model import Model
from worker.core.process import settle_threads
from worker.core.profile import TextProfile, profile_texts
from worker.core.statistics import Moments, Summary
from worker.core.vocabulary import COMPONENTS, METRICS, SCOPES, ModelError

__all__ = [
    "COMPONENTS",
    "METRICS",
    "SCOPES",
    "Model",
    "ModelError",
    "Moments",
    "Summary",
    "TextProfile",
    "ensure_demo_model",
    "load_model",
    "profile_texts",
    "settle_threads",
]
