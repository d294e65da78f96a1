"""The two usual methods without Layerscope: the loop of the original study, and `output_hidden_states`.

Both pass one text at a time through the whole causal model, including the LM head, as `model(**inputs)` does.
"""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor
from transformers import AutoModelForCausalLM, AutoTokenizer

from benchmarks.contestants.transition_statistics import Contestant, Statistics, transition_statistics


def study_loop(folder: Path, dtype: str, device: str) -> Contestant:
    """Hooks copy the output of each layer to the CPU, and the differences are computed there."""
    model, tokenizer = _load(folder, dtype, device)

    def run(texts: Sequence[str]) -> Iterator[Statistics]:
        outputs: list[Tensor] = []

        def keep(_module: Any, _args: Any, output: Any) -> None:
            outputs.append((output[0] if isinstance(output, tuple) else output).detach().cpu())

        hooks = [layer.register_forward_hook(keep) for layer in model.model.layers]
        for text in texts:
            outputs.clear()
            inputs = tokenizer(text, return_tensors="pt").to(device)
            with torch.no_grad():
                model(**inputs)
            yield transition_statistics(outputs)
        for hook in hooks:
            hook.remove()

    return run


def hidden_states(folder: Path, dtype: str, device: str) -> Contestant:
    """`output_hidden_states=True`.

    Its last state is the state after the final norm, so the last transition is nan.
    """
    model, tokenizer = _load(folder, dtype, device)

    def run(texts: Sequence[str]) -> Iterator[Statistics]:
        for text in texts:
            inputs = tokenizer(text, return_tensors="pt").to(device)
            with torch.no_grad():
                states = model(**inputs, output_hidden_states=True).hidden_states
            found = transition_statistics(states[1:])
            found[-1] = np.nan
            yield found

    return run


def _load(folder: Path, dtype: str, device: str) -> tuple[Any, Any]:
    model: Any = AutoModelForCausalLM.from_pretrained(folder, dtype=getattr(torch, dtype))
    return model.to(device).eval(), AutoTokenizer.from_pretrained(folder)
