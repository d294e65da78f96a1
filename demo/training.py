"""Trains a small Llama model with AdamW, warm-up and a cosine schedule. The training can be interrupted."""

import math
import os
import random
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional
from transformers import LlamaConfig, LlamaForCausalLM

from demo.tokens import BOS_ID, EOS_ID, Stream, batch

SAVE_SECONDS = 60
SHORT = 512  # tokens; up to this length, eager attention is faster on a CPU than the fused kernel


@dataclass(frozen=True)
class Recipe:
    shares: dict[str, float]  # probability of each domain
    steps: int
    rows: int = 16
    length: int = 256  # tokens per row
    long_every: int = 16  # every 16th step has the same number of tokens in rows eight times as long
    peak: float = 3e-3  # highest learning rate
    warm_up: int = 100  # steps
    decay: float = 0.1  # weight decay of the matrices
    clip: float = 1.0  # largest norm of the gradient
    seed: int = 20_261_124


def shape(vocabulary: int) -> LlamaConfig:
    """A model with all parts of a Llama model and at most 8 MB of weights in bfloat16."""
    return LlamaConfig(
        vocab_size=vocabulary,
        hidden_size=192,
        intermediate_size=384,
        num_hidden_layers=10,
        num_attention_heads=6,
        num_key_value_heads=2,
        max_position_embeddings=2_048,
        initializer_range=0.04,
        bos_token_id=BOS_ID,
        eos_token_id=EOS_ID,
        tie_word_embeddings=True,
        dtype="float32",
    )


def train(
    config: LlamaConfig, streams: dict[str, Stream], recipe: Recipe, checkpoint: Path
) -> tuple[Any, float]:
    """The trained `LlamaForCausalLM` in float32, and the processor seconds of the training on all cores.

    Continues from `checkpoint` if it was saved with the same recipe. Deletes it at the end.
    """
    torch.manual_seed(recipe.seed)
    model = LlamaForCausalLM(config).train()
    optimizer = _optimizer(model, recipe)
    first, spent = _resume(checkpoint, model, optimizer, recipe)
    began, saved = time.process_time() - spent, time.monotonic()
    for step in range(first, recipe.steps):
        loss = _step(model, optimizer, rows_of(streams, recipe, step), recipe, step)
        spent = time.process_time() - began
        if step % 50 == 0 or step + 1 == recipe.steps:
            print(f"step {step + 1} of {recipe.steps}: loss {loss:.3f}, {spent:.0f} s", flush=True)
        if time.monotonic() - saved > SAVE_SECONDS:
            saved = time.monotonic()
            _save(checkpoint, model, optimizer, recipe, step + 1, spent)
    checkpoint.unlink(missing_ok=True)
    return model.eval(), spent


def rows_of(streams: dict[str, Stream], recipe: Recipe, step: int) -> Tensor:
    """The batch of a step. It depends only on seed and step, so interruptions do not change the training."""
    rng = random.Random(f"{recipe.seed}:{step}")
    times = 8 if step % recipe.long_every == recipe.long_every - 1 else 1
    return batch(streams, recipe.shares, rng, recipe.rows // times, recipe.length * times)


def _step(model: Any, optimizer: Any, rows: Tensor, recipe: Recipe, step: int) -> float:
    for group in optimizer.param_groups:
        group["lr"] = recipe.peak * _pace(step, recipe)
    model.set_attn_implementation("eager" if rows.shape[1] <= SHORT else "sdpa")
    with torch.autocast("cpu", torch.bfloat16, enabled=_multiplies_bfloat16()):
        logits = model(input_ids=rows[:, :-1], use_cache=False).logits  # (rows, length, vocabulary)
    loss: Any = functional.cross_entropy(logits.float().flatten(0, 1), rows[:, 1:].flatten())
    loss.backward()
    torch.nn.utils.clip_grad_norm_(model.parameters(), recipe.clip)
    optimizer.step()
    optimizer.zero_grad()
    return float(loss.item())


def _pace(step: int, recipe: Recipe) -> float:
    """The learning rate as a fraction of the peak: a linear warm-up, then half a cosine down to 0."""
    if step < recipe.warm_up:
        return (step + 1) / recipe.warm_up
    part = (step - recipe.warm_up) / max(1, recipe.steps - recipe.warm_up)
    return (1 + math.cos(math.pi * part)) / 2


def _multiplies_bfloat16() -> bool:
    """Whether the processor has instructions for bfloat16. Without them, bfloat16 is slower than float32."""
    able = torch.cpu.get_capabilities()
    return any(able.get(name, False) for name in ("avx512_bf16", "amx_bf16"))


def _optimizer(model: LlamaForCausalLM, recipe: Recipe) -> torch.optim.AdamW:
    weights = list(model.parameters())
    groups = [
        {"params": [weight for weight in weights if weight.ndim > 1], "weight_decay": recipe.decay},
        {"params": [weight for weight in weights if weight.ndim == 1], "weight_decay": 0.0},  # the norms
    ]
    return torch.optim.AdamW(groups, lr=recipe.peak, betas=(0.9, 0.95))


def _save(path: Path, model: Any, optimizer: Any, recipe: Recipe, step: int, seconds: float) -> None:
    state = {"model": model.state_dict(), "optimizer": optimizer.state_dict()}
    path.parent.mkdir(parents=True, exist_ok=True)
    beside = path.with_suffix(".new")
    torch.save({**state, "recipe": asdict(recipe), "step": step, "seconds": seconds}, beside)
    os.replace(beside, path)


def _resume(path: Path, model: Any, optimizer: Any, recipe: Recipe) -> tuple[int, float]:
    """The next step, and the processor seconds of the steps before it."""
    if not path.is_file():
        return 0, 0.0
    state = torch.load(path, weights_only=True)
    if state["recipe"] != asdict(recipe):
        return 0, 0.0
    model.load_state_dict(state["model"])
    optimizer.load_state_dict(state["optimizer"])
    return state["step"], state["seconds"]
