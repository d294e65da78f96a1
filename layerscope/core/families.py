"""The supported model families: what each of them adds to the residual, and which settings it has.

The forward pass is that of transformers. This table says where to observe it. `self_check` compares both at
load time. docs/models.md describes each family.
"""

from dataclasses import dataclass


@dataclass(frozen=True)
class Family:
    """How the models of a family write to the residual.

    `attention`, `middle` and `mlp` are modules of a decoder layer. Attention adds what `attention` returns,
    and the MLP adds what `mlp` returns, both times `factor`. In families with a norm after attention and MLP
    these modules are the norms, because what is added is their output. The argument of `middle` is h + a, bit
    for bit.

    `factor`, `logit_divisor` and `logit_cap` name the fields of the configuration with these numbers.
    `settings` are the fields that change the forward pass of this family and not that of every other one;
    transformers applies them.
    """

    name: str
    attention: str = "self_attn"
    middle: str = "post_attention_layernorm"
    mlp: str = "mlp"
    factor: str | None = None  # of what attention and MLP add
    logit_divisor: str | None = None  # the logits are divided by it
    logit_cap: str | None = None  # the logits are cap · tanh(logits / cap)
    rope_per_layer_type: bool = False  # rotary positions depend on the type of the layer
    qk_norms: bool = False  # every layer has norms of queries and keys
    settings: frozenset[str] = frozenset()

    @property
    def adds_directly(self) -> bool:
        """Whether the layers add what attention and MLP return: no norm or factor is applied to it."""
        return self.attention == "self_attn" and self.factor is None


_WINDOWS = {"sliding_window", "layer_types"}  # a window in some of the layers
_GRANITE = {"embedding_multiplier", "attention_multiplier", "residual_multiplier", "logits_scaling"}
_GEMMA = {*_WINDOWS, "query_pre_attn_scalar", "final_logit_softcapping"}

# By the `model_type` of the configuration.
FAMILIES = {
    "llama": Family("Llama"),
    "mistral": Family("Mistral", settings=frozenset({"sliding_window"})),
    "qwen2": Family("Qwen2", settings=frozenset(_WINDOWS)),
    "qwen3": Family("Qwen3", qk_norms=True, settings=frozenset(_WINDOWS)),
    "smollm3": Family("SmolLM3", settings=frozenset({*_WINDOWS, "no_rope_layers", "no_rope_layer_interval"})),
    "phi3": Family("Phi-3", settings=frozenset({"sliding_window", "partial_rotary_factor"})),
    "granite": Family(
        "Granite",
        factor="residual_multiplier",
        logit_divisor="logits_scaling",
        settings=frozenset(_GRANITE),
    ),
    "olmo2": Family(
        "OLMo 2",
        attention="post_attention_layernorm",
        middle="mlp",
        mlp="post_feedforward_layernorm",
        qk_norms=True,
    ),
    "gemma2": Family(
        "Gemma 2",
        attention="post_attention_layernorm",
        middle="pre_feedforward_layernorm",
        mlp="post_feedforward_layernorm",
        logit_cap="final_logit_softcapping",
        settings=frozenset({*_GEMMA, "attn_logit_softcapping"}),
    ),
    "gemma3_text": Family(
        "Gemma 3 (text)",
        attention="post_attention_layernorm",
        middle="pre_feedforward_layernorm",
        mlp="post_feedforward_layernorm",
        logit_cap="final_logit_softcapping",
        rope_per_layer_type=True,
        qk_norms=True,
        settings=frozenset({*_GEMMA, "rope_local_base_freq"}),
    ),
}


def family_names() -> str:
    """The names of all supported families, for messages."""
    *names, last = (family.name for family in FAMILIES.values())
    return f"{', '.join(names)} and {last}"
