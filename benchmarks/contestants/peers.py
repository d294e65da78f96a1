"""TransformerLens and nnsight, each used as its own documentation describes.

They run in an environment of their own. Therefore this module imports nothing from Layerscope, and it imports
the two libraries only in the functions that use them.
"""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import torch
from transformers import AutoModel, AutoTokenizer

from benchmarks.contestants.transition_statistics import Contestant, Statistics, transition_statistics


def transformer_lens(folder: Path, dtype: str, device: str) -> Contestant:
    """`run_with_cache` of a `TransformerBridge` (TransformerLens 4 has no `HookedTransformer`).

    `names_filter` limits the cache "to cache only a subset (saves memory)". No logits are requested, and
    gradients are disabled.
    """
    from transformer_lens.model_bridge import TransformerBridge

    torch.set_grad_enabled(False)
    bridge: Any = TransformerBridge.boot_transformers(str(folder), device=device, dtype=getattr(torch, dtype))
    tokenizer: Any = AutoTokenizer.from_pretrained(folder)
    names = [f"blocks.{layer}.hook_out" for layer in range(bridge.cfg.n_layers)]  # alias: hook_resid_post

    def run(texts: Sequence[str]) -> Iterator[Statistics]:
        for text in texts:
            tokens = tokenizer(text, return_tensors="pt").input_ids.to(device)
            _, cache = bridge.run_with_cache(tokens, names_filter=names, return_type=None)
            yield transition_statistics([cache[name] for name in names])

    return run


def nnsight_causal(folder: Path, dtype: str, device: str) -> Contestant:
    """One trace per text saves the outputs of all layers ("Loop inside one trace"). Uses the causal model."""
    from nnsight import TransformersModel

    model: Any = TransformersModel(
        str(folder),
        task="text-generation",
        device_map=device,
        dispatch=True,
        dtype=getattr(torch, dtype),
    )
    return _traced(model, model.model.layers, AutoTokenizer.from_pretrained(folder), device)


def nnsight_base(folder: Path, dtype: str, device: str) -> Contestant:
    """The same on the base model. It has no LM head, so this is the fairest comparison."""
    from nnsight import NNsight

    module: Any = AutoModel.from_pretrained(folder, dtype=getattr(torch, dtype)).to(device).eval()
    model: Any = NNsight(module)
    return _traced(model, model.layers, AutoTokenizer.from_pretrained(folder), device)


def _traced(model: Any, layers: Any, tokenizer: Any, device: str) -> Contestant:
    import nnsight

    def run(texts: Sequence[str]) -> Iterator[Statistics]:
        for text in texts:
            tokens = tokenizer(text, return_tensors="pt").input_ids.to(device)
            with torch.no_grad(), model.trace(tokens):
                outputs = nnsight.save([layer.output for layer in layers])
            yield transition_statistics(outputs)

    return run
