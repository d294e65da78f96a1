"""Refuses settings of config.json that the model would be measured without.

transformers ignores a setting that the class of the model does not know. If the setting changes the forward
pass of the model that was trained, the numbers would be those of another model.
"""

import math
from dataclasses import fields
from importlib import import_module
from typing import Any

from layerscope.core.families import Family
from layerscope.core.loading.checks.context_length import rotated_units
from layerscope.errors import ModelError

# Settings that change the forward pass of some models, with the values that change nothing. A family whose
# `settings` contain the name uses it; for all others only these values are accepted.
NEUTRAL: dict[str, tuple[Any, ...]] = {
    # which tokens a token attends to
    "is_causal": (True,),  # transformers takes null for false
    "use_bidirectional_attention": (False, None),
    "is_encoder_decoder": (False, None),
    "add_cross_attention": (False, None),
    "attention_chunk_size": (None,),
    "alibi": (False, None),
    "causal": (True, None),
    "bidirectional": (False, None),
    "use_causal_mask": (True, None),
    "prefix_lm": (False, None),
    "attention_types": (None,),
    "local_attention": (False, None),
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
    "attn_logit_softcap": (None,),
    "logits_soft_cap": (None,),
    "output_logit_soft_cap": (None,),
    "clip_qkv": (None,),
    "attention_scale": (1, None),
    "attention_value_scale": (1, None),
    "attention_in_multiplier": (1, None),
    "attention_out_multiplier": (1, None),
    "key_multiplier": (1, None),
    "mlp_multipliers": (None, [1, 1]),
    "lm_head_multiplier": (1, None),
    "mup_enabled": (False, None),
    "mup_width_multiplier": (1, None),
    "scale_embedding": (False, None),
    "rescale_embeddings": (False, None),
    "embedding_scale": (1, None),
    "scale_attn_weights": (True, None),
    "scale_attn_by_inverse_layer_idx": (False, None),
    "attn_temperature_tuning": (False, None),
    "use_logn_attn": (False, None),
    "swiglu_limit": (None,),
    "activation_sparsity_pattern": (None,),
    # positions
    "partial_rotary_factor": (1, None),
    "rotary_pct": (1, None),
    "rotary_emb_fraction": (1, None),
    "rope_interleaved": (False, None),
    "rope_interleave": (False, None),
    "rotary_emb_interleaved": (False, None),
    "rope_ratio": (1, None),
    "rope_local_base_freq": (None,),
    "layer_rope_theta": (None,),
    "use_rope": (True, None),
    "use_dynamic_ntk": (False, None),
    "position_embedding_type": ("rope", "rotary", None),
    "no_rope_layers": (None,),
    "no_rope_layer_interval": (None,),
    "nope_layer_interval": (None,),
    # other layers
    "parallel_attn": (False, None),
    "use_parallel_residual": (False, None),
    "apply_residual_connection_post_layernorm": (False, None),
    "num_kv_shared_layers": (0, None),
    "attention_k_eq_v": (False, None),
    "num_experts": (0, 1, None),
    "num_local_experts": (0, 1, None),
    "n_routed_experts": (0, None),
    "per_layer_config": ({}, None),
    "chunk_size_feed_forward": (0, None),
    # which files are read, and how
    "transformers_weights": (None,),
    "compression_config": ({}, None),
}

# Other models' names of settings that all families have. transformers ignores a value under such a name.
OTHER_NAMES = {
    "layer_norm_eps": "rms_norm_eps",
    "layer_norm_epsilon": "rms_norm_eps",
    "norm_eps": "rms_norm_eps",
    "norm_epsilon": "rms_norm_eps",
    "hidden_act": "hidden_act",
    "hidden_activation": "hidden_act",
    "activation_function": "hidden_act",
    "mlp_hidden_act": "hidden_act",
    "rope_base": "rope_theta",
    "rotary_base": "rope_theta",
    "rotary_emb_base": "rope_theta",
    "rotary_dim": "rotary_dim",
    "window_size": "sliding_window",
    "attention_window": "sliding_window",
    "attention_window_size": "sliding_window",
    "sliding_window_size": "sliding_window",
    "use_qk_norm": "qk_norms",
    "qk_layernorm": "qk_norms",
}
_NO_WINDOW = -1
_SYNONYMS = {"swish": "silu"}


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


def refuse_other_names(source: str, family: Family, settings: dict[str, Any], config: Any) -> None:
    """Raises: ModelError for a setting under a name of other models whose value is not the one in use.

    Args: `settings`: the content of config.json; `config`: what transformers made of it.
    """
    rope = config.rope_parameters.get("full_attention", config.rope_parameters)
    window = getattr(config, "sliding_window", None)
    in_use: dict[str, tuple[Any, ...]] = {
        "rms_norm_eps": (config.rms_norm_eps,),
        "hidden_act": (getattr(config, _field_of_activation(config)),),
        "rope_theta": (rope["rope_theta"],),
        "rotary_dim": (rotated_units(config, rope),),
        # use_sliding_window can switch off the window that config.json sets
        "sliding_window": (_NO_WINDOW if window is None else window, settings.get("sliding_window")),
        "qk_norms": (family.qk_norms,),
    }
    for name, meaning in OTHER_NAMES.items():
        value = settings.get(name)
        if value is not None and not any(_same(value, used) for used in in_use[meaning]):
            raise _ignored(source, family, name, value)


def refuse_unknown_classes(source: str, family: Family, settings: dict[str, Any], config: Any) -> None:
    """Raises: ModelError for a class with its own code that transformers does not have for this family.

    Such a class can do anything with the same weights: for example, it lets tokens attend to later ones. A
    class without code in `auto_map` cannot: transformers loads the layers of `model_type`, and the name is
    that of a wrapper or of another head.
    """
    if not _brings_code(settings):
        return
    known = import_module(type(config).__module__.replace(".configuration_", ".modeling_")).__all__
    found = settings.get("architectures")
    for name in found if isinstance(found, list) else []:
        if str(name).lower() not in map(str.lower, known):  # the first Llama models spell it LLaMA
            raise ModelError(
                f"config.json of {source} names the class {name} in architectures, which transformers does "
                f"not have for {family.name} models, and auto_map names code, so its layers may compute "
                "something else: if they are those of transformers, set architectures to null in a copy of "
                "its folder."
            )


def _brings_code(settings: dict[str, Any]) -> bool:
    """Whether `auto_map` names code of a model; code of a configuration or a tokenizer has no layers."""
    code = settings.get("auto_map")
    return isinstance(code, dict) and any(name.startswith("AutoModel") and code[name] for name in code)


def _same(first: Any, second: Any) -> bool:
    """Whether two values in config.json mean the same: 1e-5, "1e-05" and 9.9999997e-06 (float32)."""
    try:
        return math.isclose(float(first), float(second), rel_tol=1e-6)
    except (TypeError, ValueError, OverflowError):  # a name or a list
        return bool(_SYNONYMS.get(str(first), first) == _SYNONYMS.get(str(second), second))


def _field_of_activation(config: Any) -> str:
    names = {field.name for field in fields(config)}
    return "hidden_activation" if "hidden_activation" in names else "hidden_act"


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
