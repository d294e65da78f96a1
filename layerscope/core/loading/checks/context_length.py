"""The context of a model, and refusals of rotary positions and windows that cannot be computed."""

from typing import Any

from transformers.modeling_rope_utils import ROPE_INIT_FUNCTIONS

from layerscope.core.families import Family
from layerscope.errors import ModelError

_ROPE_TYPES = ("default", *ROPE_INIT_FUNCTIONS)
_LAYER_TYPES = ("full_attention", "sliding_attention")


def context_length(config: Any) -> int:
    """The largest number of tokens of a text.

    `max_position_embeddings`, times the factor where rope scaling extends it: "In most scaling types, a
    `factor` of x will enable the model to handle sequences of length x * original maximum pre-trained
    length" (transformers, RopeParameters). For yarn the original length is part of the parameters. For
    longrope and llama3 `max_position_embeddings` includes the factor, and so it does for Gemma 3, which has
    parameters for each type of layer.
    """
    length: int = config.max_position_embeddings
    rope = config.rope_parameters
    kind, factor = rope.get("rope_type"), rope.get("factor")
    if kind in ("linear", "dynamic"):
        return int(length * max(1, factor))
    if kind == "yarn" and factor is not None:
        return max(length, int(rope["original_max_position_embeddings"] * factor))
    return length


def refuse_unknown_rope(source: str, family: Family, config: Any) -> None:
    """Raises: ModelError for a rope type or a base that cannot be used, or that this family ignores."""
    per_layer = any(isinstance(each, dict) for each in config.rope_parameters.values())
    if per_layer and not family.rope_per_layer_type:
        raise ModelError(
            f"config.json of {source} has rope parameters for each type of layer, which transformers ignores "
            f"for {family.name} models: correct model_type, or give one set of parameters."
        )
    if per_layer and not all(isinstance(each, dict) for each in config.rope_parameters.values()):
        raise ModelError(
            f"config.json of {source} has one set of rope_parameters, which transformers ignores for "
            f"{family.name} models: put it into full_attention inside rope_parameters, and the parameters "
            "of the layers with windows into sliding_attention."
        )
    for rope in config.rope_parameters.values() if per_layer else [config.rope_parameters]:
        kind = rope.get("rope_type", "default")
        if kind not in _ROPE_TYPES:
            raise ModelError(
                f"config.json of {source} has the rope type {kind!r}, which transformers does not have: "
                f"correct rope_parameters or rope_scaling (the types are {', '.join(_ROPE_TYPES)})."
            )
        theta = rope.get("rope_theta")
        if isinstance(theta, int | float) and not theta > 0:
            raise ModelError(f"config.json of {source} sets rope_theta to {theta}: set it above 0.")
        if (
            rope.get("partial_rotary_factor") not in (None, 1)
            and "partial_rotary_factor" not in family.settings
        ):
            raise ModelError(
                f"config.json of {source} sets partial_rotary_factor to {rope['partial_rotary_factor']}, "
                f"which transformers ignores for {family.name} models: correct model_type, or remove it."
            )
        _refuse_missing_factors(source, config, rope)


def _refuse_missing_factors(source: str, config: Any, rope: dict[str, Any]) -> None:
    """Longrope has a factor for each pair of rotated units; transformers would use a single one for all."""
    pairs = rotated_units(config, rope) // 2
    for name in ("short_factor", "long_factor"):
        if isinstance(rope.get(name), list) and len(rope[name]) != pairs:
            raise ModelError(
                f"{name} in the rope parameters of {source} has {len(rope[name])} values, but a head rotates "
                f"{pairs} pairs of units: correct config.json."
            )


def rotated_units(config: Any, rope: dict[str, Any]) -> int:
    """How many units of a head are rotated."""
    head = getattr(config, "head_dim", None) or config.hidden_size // config.num_attention_heads
    return int(head * (rope.get("partial_rotary_factor") or 1))


def refuse_unclear_windows(source: str, config: Any) -> None:
    """Raises: ModelError if the types of the layers and the window contradict each other."""
    window, types = getattr(config, "sliding_window", None), getattr(config, "layer_types", None) or []
    if unknown := [kind for kind in types if kind not in _LAYER_TYPES]:
        raise ModelError(
            f"config.json of {source} has layers of type {unknown[0]!r} in layer_types; "
            f"Layerscope supports {' and '.join(_LAYER_TYPES)}."
        )
    if window is not None and window < 1:
        raise ModelError(
            f"config.json of {source} sets sliding_window to {window}: set it to null or above 0."
        )
    disabled = getattr(config, "use_sliding_window", True) is False
    if "sliding_attention" in types and (window is None or disabled):
        raise ModelError(
            f"config.json of {source} has layers of type 'sliding_attention' but no window in use: "
            "set sliding_window and use_sliding_window, or set all layer_types to 'full_attention'."
        )
