"""The pipeline from texts to results, observed through `profile_texts`."""

from collections.abc import Iterator
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch

from layerscope.core import Model, pipeline, profile_texts
from layerscope.core.batching import BUFFER_BATCHES, BUFFER_TEXTS
from layerscope.core.loading.process_setup import HEAP_BLOCK

TEXTS = ["one", "a longer text, of some forty characters", "", "x" * 300, "№ 5", "one"]


@pytest.mark.parametrize(
    ("device", "intermediate", "layer", "budget"),
    [
        ("cpu", 1_536, 0, 2_048),
        ("cpu", 8_192, 0, HEAP_BLOCK // (4 * 8_192)),
        ("cpu", 100_000, 0, 512),
        ("cuda:0", 1_536, 3_000_000, 65_536),
        ("cuda:0", 8_192, 100_000_000, 32_768),
    ],
)
def test_token_budget(
    model: Model, monkeypatch: pytest.MonkeyPatch, device: str, intermediate: int, layer: int, budget: int
) -> None:
    weights = torch.nn.Linear(max(1, layer), 1, bias=False, device="meta")
    monkeypatch.setattr(pipeline, "blocks", lambda _: [SimpleNamespace(layer=weights)])
    monkeypatch.setattr(model.module.config, "intermediate_size", intermediate)
    assert pipeline.default_budget(replace(model, device=device)) == budget


def test_positions_start_at_zero_in_every_text(model: Model) -> None:
    """Checks the model's inputs, because a shift changes only the last digits of rotary attention."""
    seen: list[list[int]] = []
    hook = model.module.register_forward_pre_hook(
        lambda _module, _args, named: seen.append(named["position_ids"][0].tolist()), with_kwargs=True
    )
    with hook:
        list(profile_texts(model, ["abc", "a", "ab"]))
    assert seen == [[0, 1, 2, 3, 0, 1, 2, 0, 1]]


def test_texts_are_read_lazily(model: Model) -> None:
    read = 0

    def endless() -> Iterator[str]:
        nonlocal read
        while True:
            read += 1
            yield "a text of some length"

    found = profile_texts(model, endless(), token_budget=100)
    assert read == 0
    assert next(found).ordinal == 0
    assert 0 < read <= BUFFER_BATCHES * 100 / 22 + 1
    for _ in range(200):
        last = next(found)
    assert last.ordinal == 200
    assert read < 200 + BUFFER_TEXTS


def test_only_a_text_that_does_not_fit_in_memory_alone_fails(
    model: Model, monkeypatch: pytest.MonkeyPatch
) -> None:
    launch_batch = pipeline.launch_batch

    def small_memory(batch: Any, measure: pipeline.Measure) -> pipeline.Launch:
        if sum(text.tokens for text in batch) > 30:
            raise torch.OutOfMemoryError
        return launch_batch(batch, measure)

    monkeypatch.setattr(pipeline, "launch_batch", small_memory)
    found = list(profile_texts(model, TEXTS))
    errors = [text.error for text in found]
    assert errors[1] == (
        "the 40 tokens of the text do not fit in the memory of cpu; set a smaller max_tokens"
    )
    assert [errors[0], errors[4], errors[5]] == [None, None, None]


def test_a_batch_too_large_for_memory_is_halved_with_a_warning(
    model: Model, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    launch_batch, tried = pipeline.launch_batch, []

    def small_memory(batch: Any, measure: pipeline.Measure) -> pipeline.Launch:
        tried.append([text.ordinal for text in batch])
        if len(batch) > 1 and sum(text.tokens for text in batch) > 30:
            raise torch.OutOfMemoryError
        return launch_batch(batch, measure)

    texts = ["twenty-five letters......"] + ["five."] * 3
    monkeypatch.setattr(pipeline, "launch_batch", small_memory)
    found = list(profile_texts(model, texts))
    assert tried == [[0, 1, 2, 3], [0, 1], [0], [1], [2, 3]]
    assert [text.error for text in found] == [None] * 4
    assert caplog.messages == [
        f"a batch of {tokens} tokens does not fit in the memory of cpu: halved" for tokens in (44, 32)
    ]


@pytest.mark.parametrize("count", [0, 1, 3, 100])
def test_batches_are_launched_ahead_and_keep_their_order(count: int) -> None:
    made: list[int] = []

    def launches() -> Iterator[Any]:
        for batch in range(5):
            made.append(batch)
            yield batch

    found: Iterator[Any] = pipeline.launch_ahead(launches(), count)
    assert made == []
    assert next(found) == 0
    assert made == list(range(min(count + 1, 5)))
    assert list(found) == [1, 2, 3, 4]


def test_launching_ahead_does_not_change_numbers(model: Model, monkeypatch: pytest.MonkeyPatch) -> None:
    one_by_one = list(profile_texts(model, TEXTS, token_budget=20))
    launch_ahead = pipeline.launch_ahead
    monkeypatch.setattr(pipeline, "launch_ahead", lambda launches, _: launch_ahead(launches, 2))
    for found, expected in zip(profile_texts(model, TEXTS, token_budget=20), one_by_one, strict=True):
        assert (found.ordinal, found.error) == (expected.ordinal, expected.error)
        np.testing.assert_array_equal(found.values, expected.values)
