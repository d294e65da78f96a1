"""What people do without Layerscope, with transformers alone: the original study's loop, and
`output_hidden_states`.

Each takes one text at a time through the whole causal model, LM head included, as `model(**inputs)` does.
"""

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from transformers import AutoModelForCausalLM, AutoTokenizer

# A text's two statistics by transition: (layers − 1, 2), the mean and the absolute mean of δ.
Statistics = NDArray[np.float64]
Contestant = Callable[[Sequence[str]], Iterator[Statistics]]


def study_loop(folder: Path, dtype: str, device: str) -> Contestant:
    """Hooks that copy each layer's output to the CPU; the differences are taken there."""
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
            yield statistics(outputs)
        for hook in hooks:
            hook.remove()

    return run


def hidden_states(folder: Path, dtype: str, device: str) -> Contestant:
    """`output_hidden_states=True`. Its last state is after the final norm, so the last transition is lost."""
    model, tokenizer = _load(folder, dtype, device)

    def run(texts: Sequence[str]) -> Iterator[Statistics]:
        for text in texts:
            inputs = tokenizer(text, return_tensors="pt").to(device)
            with torch.no_grad():
                states = model(**inputs, output_hidden_states=True).hidden_states
            found = statistics(states[1:])
            found[-1] = np.nan
            yield found

    return run


def statistics(outputs: Sequence[Tensor]) -> Statistics:
    """`.mean()` and `.abs().mean()` of the consecutive differences of the layers' outputs, (1, T, D) each."""
    found = np.empty((len(outputs) - 1, 2))
    for i in range(len(outputs) - 1):
        delta = outputs[i + 1] - outputs[i]
        found[i] = delta.mean().item(), delta.abs().mean().item()
    return found


def _load(folder: Path, dtype: str, device: str) -> tuple[Any, Any]:
    model: Any = AutoModelForCausalLM.from_pretrained(folder, dtype=getattr(torch, dtype))
    return model.to(device).eval(), AutoTokenizer.from_pretrained(folder)
