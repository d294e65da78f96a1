"""The training of a small Llama: AdamW, warm-up and cosine, in steps that can be interrupted."""

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
SHORT = 512  # tokens: up to here plain attention is faster than the fused one, on a CPU


@dataclass(frozen=True)
class Recipe:
    shares: dict[str, float]  # of the rows that a domain gives
    steps: int
    rows: int = 16
    length: int = 256  # tokens of a row
    long_every: int = 16  # steps; then as many tokens in rows eight times as long
    peak: float = 3e-3  # learning rate
    warm_up: int = 100  # steps
    decay: float = 0.1  # of the matrices' weights
    clip: float = 1.0  # norm of the gradient
    seed: int = 20_261_124


def shape(vocabulary: int) -> LlamaConfig:
    """Every part of a Llama, and at most 8 MB in bfloat16."""
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
    """The trained `LlamaForCausalLM` in float32, and the processor seconds it took, all cores added up.

    Goes on from `checkpoint` if that is of the same recipe, and removes it at the end.
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
    """Drawn from seed and step alone, so that an interrupted training goes on as if it had not been."""
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
    """Up in a line, then down to nothing along half a cosine: of the peak, 0 to 1."""
    if step < recipe.warm_up:
        return (step + 1) / recipe.warm_up
    part = (step - recipe.warm_up) / max(1, recipe.steps - recipe.warm_up)
    return (1 + math.cos(math.pi * part)) / 2


def _multiplies_bfloat16() -> bool:
    """Without the instructions, bfloat16 is slower than float32."""
    able = torch.cpu.get_capabilities()
    return any(able.get(name, False) for name in ("avx512_bf16", "amx_bf16"))


def _optimizer(model: LlamaForCausalLM, recipe: Recipe) -> torch.optim.AdamW:
    weights = list(model.parameters())
    groups = [
        {"params": [weight for weight in weights if weight.ndim > 1], "weight_decay": recipe.decay},
        {"params": [weight for weight in weights if weight.ndim == 1], "weight_decay": 0.0},  # the norms'
    ]
    return torch.optim.AdamW(groups, lr=recipe.peak, betas=(0.9, 0.95))


def _save(path: Path, model: Any, optimizer: Any, recipe: Recipe, step: int, seconds: float) -> None:
    state = {"model": model.state_dict(), "optimizer": optimizer.state_dict()}
    path.parent.mkdir(parents=True, exist_ok=True)
    beside = path.with_suffix(".new")
    torch.save({**state, "recipe": asdict(recipe), "step": step, "seconds": seconds}, beside)
    os.replace(beside, path)


def _resume(path: Path, model: Any, optimizer: Any, recipe: Recipe) -> tuple[int, float]:
    """The step to go on with, and the processor seconds that the ones before took."""
    if not path.is_file():
        return 0, 0.0
    state = torch.load(path, weights_only=True)
    if state["recipe"] != asdict(recipe):
        return 0, 0.0
    model.load_state_dict(state["model"])
    optimizer.load_state_dict(state["optimizer"])
    return state["step"], state["seconds"]
