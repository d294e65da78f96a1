"""Reads config.json and refuses architectures whose layers do not write to the residual as measured here."""

import json
from pathlib import Path
from typing import Any

from transformers import AutoConfig

from layerscope.core.families import FAMILIES, Family, family_names
from layerscope.core.loading.checks.context_length import refuse_unclear_windows, refuse_unknown_rope
from layerscope.core.loading.checks.ignored_settings import (
    refuse_ignored_settings,
    refuse_other_names,
    refuse_unknown_classes,
)
from layerscope.core.loading.checks.rope_settings import refuse_contradicting_rope
from layerscope.errors import ModelError, ModelNotFound

_EXPERTS = ("num_experts", "num_local_experts", "n_routed_experts", "moe_intermediate_size")
_OTHER_INPUTS = ("vision_config", "audio_config", "text_config")
_ENCODERS = ("bert", "electra", "deberta", "t5", "bart", "albert", "xlnet", "xlm")  # parts of the names
_PARALLEL = ("gptj", "gpt_neox", "codegen", "phi", "falcon", "cohere", "cohere2")


def read_config(source: str, folder: Path) -> tuple[Any, Family]:
    """The configuration of a supported model, and its family.

    Raises: ModelError if config.json is missing or damaged, if it describes an architecture that is not
        supported, or if it has settings that the model would be measured without.
    """
    settings = _settings(source, folder)
    kind = settings.get("model_type")
    if kind not in FAMILIES:
        raise ModelError(_unsupported(source, kind, settings))
    family = FAMILIES[kind]
    refuse_ignored_settings(source, family, settings)
    refuse_contradicting_rope(source, settings)
    try:
        config: Any = AutoConfig.from_pretrained(folder, trust_remote_code=False, local_files_only=True)
    except Exception as error:  # a wrong type or a missing value can raise any exception
        raise ModelError(unusable_config(source, error)) from error
    for name in ("num_hidden_layers", "max_position_embeddings", "rms_norm_eps"):
        if not getattr(config, name) > 0:
            raise ModelError(f"config.json of {source} sets {name} to {getattr(config, name)}: correct it.")
    refuse_unknown_rope(source, family, config)
    refuse_unclear_windows(source, config)
    refuse_other_names(source, family, settings, config)
    refuse_unknown_classes(source, family, settings, config)
    # These change which attention runs and what is kept in memory, not the residuals.
    config._attn_implementation = None
    config.output_attentions = config.output_hidden_states = False
    return config, family


def unusable_config(source: str, error: Exception) -> str:
    """The message for an error that transformers raises for a value in config.json."""
    cause = " ".join(f"{type(error).__name__}: {error}".split())
    return f"The configuration of {source} cannot be used ({cause[:300]}): correct the value in config.json."


def _settings(source: str, folder: Path) -> dict[str, Any]:
    path = folder / "config.json"
    if not path.is_file():
        raise ModelNotFound(
            f"{source} has no config.json: set `source` in models.toml to a folder that contains a model."
        )
    try:
        settings = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise ModelError(
            f"The configuration of {source} cannot be read ({error}): download config.json again."
        ) from error
    if not isinstance(settings, dict):
        raise ModelError(f"config.json of {source} is not a JSON object: download it again.")
    return settings


def _unsupported(source: str, kind: object, settings: dict[str, Any]) -> str:
    supported = f"Layerscope supports {family_names()} models."
    if not isinstance(kind, str):
        return f"config.json of {source} has no model_type, so its architecture is unknown. {supported}"
    if "moe" in kind or kind == "mixtral" or any(settings.get(name) for name in _EXPERTS):
        return f"{source} is a {kind} model, a mixture of experts. {supported}"
    if any(name in settings for name in _OTHER_INPUTS):
        return (
            f"{source} is a {kind} model, which is multimodal. {supported} "
            "Save its language model alone, with its own config.json."
        )
    if settings.get("is_encoder_decoder") or any(name in kind for name in _ENCODERS):
        return f"{source} is a {kind} model, which has an encoder. {supported}"
    if kind in _PARALLEL:
        return f"{source} is a {kind} model, whose attention and MLP read the same residual. {supported}"
    return f"{source} is a {kind} model. {supported}"
