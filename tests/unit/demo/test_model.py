"""The demo model in the repository: as small as promised, and as good as its card says."""

import json
import math
import re
from collections import Counter
from typing import Any

import pytest
import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

from app.resources import ROOT
from demo.__main__ import FIGURES, MEASURED, MODEL, SHARES
from demo.corpus import in_order, samples
from demo.measure import Figures, measure
from demo.tokens import encode
from layerscope.core import load_model, profile_texts

TRAINING: dict[str, Any] = json.loads(FIGURES.read_text(encoding="utf-8"))
NATS: dict[str, dict[str, Figures]] = TRAINING["nats"]
CARD = (ROOT / "demo" / "README.md").read_text(encoding="utf-8")
SAMPLES = [domain for domain in SHARES if domain.startswith("samples/")]


@pytest.fixture(scope="module")
def trained() -> tuple[Any, Any]:
    model = AutoModelForCausalLM.from_pretrained(MODEL, dtype=torch.float32)
    return model, AutoTokenizer.from_pretrained(MODEL)


def test_its_weights_have_at_most_8_megabytes() -> None:
    weights = [path for path in MODEL.iterdir() if path.suffix not in (".json", ".jinja")]
    assert [path.name for path in weights] == ["model.safetensors"]
    assert weights[0].stat().st_size <= 8_000_000


def test_it_is_a_llama_with_a_bos_that_can_be_profiled() -> None:
    model = load_model(MODEL)
    assert (model.layers, model.hidden_size, model.max_tokens) == (10, 192, 2_048)
    assert model.tokenizer("for i in")["input_ids"][0] == model.tokenizer.bos_token_id
    assert model.tokenizer.decode(model.tokenizer("größer 數")["input_ids"][1:]) == "größer 數"
    (text,) = profile_texts(model, ["for i in range(3): pass"])
    assert text.error is None


@pytest.mark.parametrize("domain", SAMPLES)
def test_sample_texts_that_it_never_saw_are_predicted_as_well_as_was_measured(
    domain: str, trained: tuple[Any, Any]
) -> None:
    held_out = [doc.text for doc in in_order(samples()) if doc.domain == domain and doc.held_out]
    found = measure(*trained, held_out[:MEASURED])
    assert found == pytest.approx(NATS["held_out"][domain], rel=1e-3)


@pytest.mark.parametrize("domain", NATS["held_out"])
def test_it_predicts_better_than_any_unigram(domain: str) -> None:
    held_out = NATS["held_out"][domain]
    assert held_out["loss"] < held_out["unigram"]


def test_its_card_tells_what_was_measured() -> None:
    for domain in NATS["held_out"]:
        parts = [NATS[part][domain] for part in ("trained", "held_out")]
        figures = [f"{part[name]:.2f}" for part in parts for name in ("loss", "unigram")]
        assert f"| {domain} | {' | '.join(figures)} |" in CARD
    assert f"{TRAINING['steps']:,} steps" in CARD
    minutes = round(TRAINING["processor_seconds"] / 60)
    assert re.search(rf"\b{minutes} minutes\s+of\s+processor time", CARD)


@pytest.mark.parametrize("domain", SAMPLES)
def test_its_card_tells_what_a_unigram_learns(domain: str) -> None:
    tokenizer = AutoTokenizer.from_pretrained(MODEL)
    known, new = (
        Counter(
            token
            for doc in in_order(samples())
            if doc.domain == domain and doc.held_out == held_out
            for token in encode(tokenizer, doc.text)[1:]
        )
        for held_out in (False, True)
    )
    size = known.total() + len(tokenizer)
    nats = -sum(count * math.log((known[token] + 1) / size) for token, count in new.items()) / new.total()
    assert re.search(rf"{nats:.2f} (on the held-out texts\s)?of\s{domain.removeprefix('samples/')}", CARD)
