"""`make demo-model`: collects the text, trains the tokenizer and the model, and measures the model.

This takes about twenty minutes on two cores. An interrupted training continues from a checkpoint that is at
most a minute old.
"""

import json
from collections.abc import Sequence
from pathlib import Path

import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

from demo.corpus import Document, documents
from demo.measure import Figures, measure
from demo.tokens import stream, train_tokenizer
from demo.training import Recipe, shape, train

ROOT = Path(__file__).parents[1]
MODEL = ROOT / "demo" / "model"
FIGURES = ROOT / "demo" / "training.json"
CHECKPOINT = ROOT / "var" / "demo" / "checkpoint.pt"
VOCABULARY = 3_072
SHARES = {
    "python": 0.22,
    "cpp": 0.22,
    "prose": 0.28,
    "numbers": 0.12,
    "finance": 0.125,
    "samples/python": 0.01,
    "samples/cpp": 0.01,
    "samples/finance": 0.005,
    "samples/numbers": 0.01,
}
RECIPE = Recipe(SHARES, steps=1_600)
MEASURED = 30  # documents per domain


def main() -> None:
    found = documents()
    tokenizer = train_tokenizer((doc.text for doc in found if not doc.held_out), VOCABULARY)
    streams = {domain: stream(tokenizer, texts(found, domain, held_out=False)) for domain in SHARES}
    for domain, tokens in streams.items():
        print(f"{domain}: {len(tokens.ids):,} tokens", flush=True)
    model, seconds = train(shape(len(tokenizer)), streams, RECIPE, CHECKPOINT)
    model.to(torch.bfloat16).save_pretrained(MODEL)
    (MODEL / "model.safetensors").chmod(0o644)  # save_pretrained makes it readable by its owner only
    tokenizer.save_pretrained(MODEL)
    figures = {"steps": RECIPE.steps, "processor_seconds": round(seconds), "nats": nats(found)}
    FIGURES.write_text(json.dumps(figures, indent=2) + "\n", encoding="utf-8")


def nats(found: Sequence[Document]) -> dict[str, dict[str, Figures]]:
    """Measures the saved model in float32, as it is loaded for profiling on a CPU."""
    model = AutoModelForCausalLM.from_pretrained(MODEL, dtype=torch.float32)
    tokenizer = AutoTokenizer.from_pretrained(MODEL)
    return {
        part: {name: measure(model, tokenizer, texts(found, name, held_out)[:MEASURED]) for name in SHARES}
        for part, held_out in (("trained", False), ("held_out", True))
    }


def texts(found: Sequence[Document], domain: str, held_out: bool) -> list[str]:
    return [doc.text for doc in found if doc.domain == domain and doc.held_out == held_out]


if __name__ == "__main__":
    main()
