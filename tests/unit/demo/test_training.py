"""Training, on a corpus of one pattern: it learns, and an interruption changes nothing."""

import random
from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from transformers import LlamaConfig

from demo import training
from demo.measure import entropy, measure
from demo.tokens import Stream, stream, train_tokenizer
from demo.training import Recipe, train

ANIMALS = ("cat", "dog", "hen", "cow", "owl", "fox", "ant", "bee")
TEXTS = ["".join(f"the {one} sat on the {other}\n" for one in ANIMALS for other in ANIMALS)]
RECIPE = Recipe({"a": 1.0}, steps=30, rows=8, length=16, warm_up=5, peak=1e-2)


class Interrupted(Stream):
    """Ends the program when the sequences of four steps have been drawn."""

    def row(self, rng: random.Random, length: int) -> list[int]:
        left.pop()
        return super().row(rng, length)


left: list[int] = []


@pytest.fixture(scope="module")
def tokenizer() -> Any:
    return train_tokenizer(TEXTS, 280)


@pytest.fixture(scope="module")
def config() -> LlamaConfig:
    return LlamaConfig(
        vocab_size=280,
        hidden_size=32,
        intermediate_size=64,
        num_hidden_layers=2,
        num_attention_heads=4,
        num_key_value_heads=2,
        tie_word_embeddings=True,
    )


def test_it_learns(tokenizer: Any, config: LlamaConfig, tmp_path: Path) -> None:
    streams = {"a": stream(tokenizer, TEXTS)}
    untrained, _ = train(config, streams, replace(RECIPE, steps=0), tmp_path / "none.pt")
    trained, seconds = train(config, streams, RECIPE, tmp_path / "checkpoint.pt")
    before, after = (measure(model, tokenizer, TEXTS) for model in (untrained, trained))
    assert before["loss"] == pytest.approx(before["uniform"], rel=0.05)
    assert after["loss"] < 0.8 * after["unigram"] < before["loss"]
    assert seconds > 0
    assert not list(tmp_path.iterdir())


def test_interrupted_it_goes_on_as_if_it_had_not_been(
    tokenizer: Any, config: LlamaConfig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(training, "SAVE_SECONDS", 0)
    whole, checkpoint = stream(tokenizer, TEXTS), tmp_path / "some" / "checkpoint.pt"
    at_once, _ = train(config, {"a": whole}, RECIPE, tmp_path / "other.pt")
    left[:] = range(4 * RECIPE.rows)
    with pytest.raises(IndexError):
        train(config, {"a": Interrupted(whole.ids, whole.starts)}, RECIPE, checkpoint)
    assert torch.load(checkpoint, weights_only=True)["step"] == 4
    resumed, _ = train(config, {"a": whole}, RECIPE, checkpoint)
    assert not checkpoint.exists()
    for one, other in zip(at_once.parameters(), resumed.parameters(), strict=True):
        torch.testing.assert_close(one, other, rtol=1e-4, atol=1e-5)


def test_a_checkpoint_of_another_recipe_is_not_gone_on_with(
    tokenizer: Any, config: LlamaConfig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(training, "SAVE_SECONDS", 0)
    whole, checkpoint = stream(tokenizer, TEXTS), tmp_path / "checkpoint.pt"
    left[:] = range(4 * RECIPE.rows)
    with pytest.raises(IndexError):
        train(config, {"a": Interrupted(whole.ids, whole.starts)}, RECIPE, checkpoint)
    other = replace(RECIPE, seed=1, steps=2)
    begun, _ = train(config, {"a": whole}, other, checkpoint)
    anew, _ = train(config, {"a": whole}, other, tmp_path / "none.pt")
    for one, same in zip(begun.parameters(), anew.parameters(), strict=True):
        torch.testing.assert_close(one, same, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(("step", "shape"), [(0, (16, 257)), (7, (16, 257)), (15, (2, 2_049))])
def test_every_sixteenth_step_has_rows_as_long_as_the_model_reads(
    tokenizer: Any, step: int, shape: tuple[int, int]
) -> None:
    streams = {"a": stream(tokenizer, 16 * TEXTS)}
    recipe = Recipe({"a": 1.0}, steps=16)
    assert training.rows_of(streams, recipe, step).shape == shape
    assert training.shape(280).max_position_embeddings == 2_048


def test_entropy_is_shannon_s() -> None:
    assert entropy(Counter({1: 5, 2: 5, 3: 5, 4: 5})) == pytest.approx(torch.tensor(4.0).log().item())
    assert entropy(Counter({1: 9})) == 0
