"""Refuses rotary positions that config.json states in two ways, or of which transformers ignores a part.

Since release 5, transformers saves `rope_parameters`, which contains `rope_theta`. Older releases saved
`rope_scaling`, with `rope_theta` next to it; model cards still recommend to add `rope_scaling`. If a file has
both, one of them is ignored without an error.
"""

import math
from collections.abc import Iterator, Mapping
from typing import Any

from layerscope.errors import ModelError

_ALWAYS = {"rope_type", "type", "rope_theta", "partial_rotary_factor", "original_max_position_embeddings"}
_YARN = {"attention_factor", "beta_fast", "beta_slow", "mscale", "mscale_all_dim", "truncate"}
# The parameters that the functions of transformers read, besides _ALWAYS.
PARAMETERS: dict[str, set[str]] = {
    "default": set(),
    "linear": {"factor"},
    "dynamic": {"factor"},
    "yarn": {"factor", *_YARN},
    "longrope": {"factor", "attention_factor", "short_factor", "long_factor"},
    "llama3": {"factor", "low_freq_factor", "high_freq_factor"},
    "proportional": {"factor"},
}
# A note without effect, and the share of each axis of an image: all axes of a text have the same position.
_WITHOUT_EFFECT = {"finetuned", "mrope_section", "mrope_interleaved"}
_NEUTRAL: dict[str, tuple[Any, ...]] = {"factor": (1,), "attention_factor": (1,), "attn_factor": (1,)}
# Settings that may stand next to the parameters, and the setting of Gemma 3 for its layers with windows.
_BESIDE = ("rope_theta", "partial_rotary_factor", "original_max_position_embeddings")
_LOCAL_THETA = "rope_local_base_freq"


def refuse_contradicting_rope(source: str, settings: dict[str, Any]) -> None:
    """Args: `settings`: the content of config.json. Raises: ModelError, naming the first contradiction."""
    scaling, parameters = settings.get("rope_scaling"), settings.get("rope_parameters")
    if scaling and parameters and scaling != parameters:
        raise ModelError(
            f"config.json of {source} has rope_scaling and rope_parameters, and they differ. transformers "
            "would ignore rope_parameters and its rope_theta: merge them into rope_parameters, and remove "
            "rope_scaling."
        )
    for layers, rope in _sets(scaling or parameters):
        _refuse_old_name(source, settings, rope)
        _refuse_two_values(source, settings, layers, rope)
        _refuse_two_types(source, rope)
        _refuse_ignored(source, settings, rope)


def _sets(rope: object) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """The sets of parameters, each with the type of its layers. Other shapes are refused elsewhere."""
    if not isinstance(rope, dict):
        return
    by_type = {layers: each for layers, each in rope.items() if isinstance(each, dict)}
    yield from by_type.items() if by_type else [("full_attention", rope)]


def _refuse_two_values(source: str, settings: dict[str, Any], layers: str, rope: Mapping[str, Any]) -> None:
    for name in _BESIDE:
        setting = name
        if name == "rope_theta" and layers == "sliding_attention":
            setting = _LOCAL_THETA
        first, second = settings.get(setting), rope.get(name)
        if first is not None and second is not None and first != second:
            raise ModelError(
                f"config.json of {source} sets {setting} to {first!r}, but its rope parameters set {name} to "
                f"{second!r}, and transformers ignores one of them: correct or remove one."
            )


def _refuse_two_types(source: str, rope: Mapping[str, Any]) -> None:
    first, second = rope.get("rope_type"), rope.get("type")
    if first is not None and second is not None and first != second and (first, second) != ("longrope", "su"):
        raise ModelError(
            f"The rope parameters in config.json of {source} set rope_type to {first!r} and type to "
            f"{second!r}, and transformers ignores type: remove the wrong one."
        )


def _refuse_old_name(source: str, settings: dict[str, Any], rope: Mapping[str, Any]) -> None:
    """transformers knows the old name of longrope, but does not then find the length next to it."""
    name = "rope_type" if "rope_type" in rope else "type"
    inside = "original_max_position_embeddings" in rope
    if settings.get("model_type") == "phi3" and rope.get(name) == "su" and not inside:
        raise ModelError(
            f"The rope parameters in config.json of {source} set {name} to 'su', the old name of longrope, "
            f"for which transformers finds no original_max_position_embeddings: set {name} to 'longrope'."
        )


def _refuse_ignored(source: str, settings: dict[str, Any], rope: Mapping[str, Any]) -> None:
    kind = rope.get("rope_type", rope.get("type", "default"))
    if not isinstance(kind, str) or kind not in PARAMETERS:
        return  # refused as unknown elsewhere
    for name, value in rope.items():
        if name in PARAMETERS[kind] | _WITHOUT_EFFECT or value in _NEUTRAL.get(name, ()) or value is None:
            continue
        if name not in _ALWAYS or _shortens(kind, name, value, settings):
            raise ModelError(
                f"The rope parameters in config.json of {source} set {name} to {value!r}, which transformers "
                f"ignores for the rope type {kind!r}: {_remedy(kind, name, rope)}."
            )
    factor = rope.get("factor")
    if isinstance(factor, int | float) and factor <= 0:
        raise ModelError(
            f"The rope parameters in config.json of {source} set factor to {factor}: it must be above 0."
        )


def _remedy(kind: str, name: str, rope: Mapping[str, Any]) -> str:
    """`attn_factor` of yarn multiplies 0.1·ln(factor) + 1 (vLLM); `attention_factor` replaces the product."""
    factor, value = rope.get("factor"), rope.get(name)
    general = f"correct rope_type, or remove {name}"
    if kind != "yarn" or name != "attn_factor" or rope.get("attention_factor") is not None:
        return general
    if not isinstance(factor, int | float) or not isinstance(value, int | float) or factor < 1:
        return general
    return f"set attention_factor to {round((0.1 * math.log(factor) + 1) * value, 9)} instead of {name}"


def _shortens(kind: str, name: str, value: object, settings: dict[str, Any]) -> bool:
    """Whether a dynamic rope should start at another length than `max_position_embeddings`."""
    context = settings.get("max_position_embeddings")
    return kind == "dynamic" and name == "original_max_position_embeddings" and value != context
