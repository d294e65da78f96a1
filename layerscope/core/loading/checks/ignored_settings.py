"""Refuses settings of config.json that the model would be measured without.

transformers ignores a setting that the class of the model does not know. If the setting changes the forward
pass of the model that was trained, the numbers would be those of another model.
"""

from typing import Any

from layerscope.core.families import Family
from layerscope.errors import ModelError

# Settings that change the forward pass of some models, with the values that change nothing. A family whose
# `settings` contain the name uses it; for all others only these values are accepted.
NEUTRAL: dict[str, tuple[Any, ...]] = {
    # which tokens a token attends to
    "is_causal": (True,),
    "use_bidirectional_attention": (False, None),
    "is_encoder_decoder": (False, None),
    "add_cross_attention": (False, None),
    "attention_chunk_size": (None,),
    "alibi": (False, None),
    # factors
    "embedding_multiplier": (1, None),
    "attention_multiplier": (None,),
    "residual_multiplier": (1, None),
    "logits_scaling": (1, None),
    "logit_scale": (1, None),
    "scale_emb": (1, None),
    "scale_depth": (None,),
    "dim_model_base": (None,),
    "query_pre_attn_scalar": (None,),
    "final_logit_softcapping": (None,),
    "attn_logit_softcapping": (None,),
    "clip_qkv": (None,),
    # positions
    "partial_rotary_factor": (1, None),
    "rotary_pct": (1, None),
    "rope_interleaved": (False, None),
    "no_rope_layers": (None,),
    "no_rope_layer_interval": (None,),
    # other layers
    "use_qk_norm": (False, None),
    "qk_layernorm": (False, None),
    "parallel_attn": (False, None),
    "use_parallel_residual": (False, None),
    "num_experts": (0, 1, None),
    "num_local_experts": (0, 1, None),
    "n_routed_experts": (0, None),
    "per_layer_config": ({}, None),
    "chunk_size_feed_forward": (0, None),
    # which files are read, and how
    "transformers_weights": (None,),
    "compression_config": ({}, None),
}


def refuse_ignored_settings(source: str, family: Family, settings: dict[str, Any]) -> None:
    """Args: `settings`: the content of config.json. Raises: ModelError, naming the first such setting."""
    if settings.get("quantization_config") is not None:
        raise ModelError(f"{source} is quantised: set `source` in models.toml to the unquantised model.")
    for name, neutral in NEUTRAL.items():
        if name in settings and name not in family.settings and settings[name] not in neutral:
            raise _ignored(source, family, name, settings[name])
    if "sliding_window" not in family.settings and _has_window(settings):
        raise _ignored(source, family, "sliding_window", settings["sliding_window"])
    if "layer_types" not in family.settings and not _all_alike(settings):
        raise _ignored(source, family, "layer_types", settings["layer_types"])


def _has_window(settings: dict[str, Any]) -> bool:
    """Whether there is a window that is shorter than the context."""
    window, context = settings.get("sliding_window"), settings.get("max_position_embeddings")
    if window is None or settings.get("use_sliding_window") is False:
        return False
    return not (isinstance(window, int) and isinstance(context, int) and window >= context)


def _all_alike(settings: dict[str, Any]) -> bool:
    """Whether `layer_types` says of all layers what a family without per-layer windows does with them."""
    kind = "sliding_attention" if settings.get("sliding_window") else "full_attention"
    return set(settings.get("layer_types") or [kind]) == {kind}


def _ignored(source: str, family: Family, name: str, value: Any) -> ModelError:
    return ModelError(
        f"config.json of {source} sets {name} to {value!r}, which transformers ignores for {family.name} "
        "models, so the numbers would be those of another model: correct model_type, or remove the setting "
        "if the model was trained without it."
    )
