"""The code that runs only on a GPU: the same numbers as the independent float64 reference, and no waiting."""

import warnings
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from layerscope.core import load_model, profile_texts
from layerscope.core.contribution import token_sums
from layerscope.core.pipeline import encode_all
from layerscope.core.profile import _batch_numbers
from layerscope.names import COMPONENTS
from tests.parity.test_core_parity import BFLOAT16, FLOAT32, TEXTS, errors, reference
from tests.support.models.tiny import add_massive_activation, byte_tokenizer, causal_model, save

pytestmark = pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU")

HEADS: dict[str, Any] = {
    "hidden_size": 256,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "intermediate_size": 512,
}
TOLERANCE = {"float32": FLOAT32, "bfloat16": BFLOAT16}


@pytest.mark.parametrize("dtype", TOLERANCE)
@pytest.mark.parametrize("components", [COMPONENTS, ("block",), ("attention",), ("mlp",), ("block", "mlp")])
def test_every_value(tmp_path: Path, dtype: str, components: tuple[str, ...]) -> None:
    causal = causal_model(dtype=getattr(torch, dtype), initializer_range=0.1, **HEADS)
    model = load_model(save(causal, tmp_path), dtype=dtype, device="cuda:0")
    assert (model.reduction, model.modules, model.rotary) == ("fused", "compiled", "triton")
    chosen = [COMPONENTS.index(name) for name in components]
    for text in profile_texts(model, TEXTS, components=components):
        ids = byte_tokenizer()(TEXTS[text.ordinal])["input_ids"][: text.tokens]
        worst = errors(text.values, reference(causal, ids)[chosen]).max()
        print(dtype, components, f"{worst:.1e}")
        assert worst < TOLERANCE[dtype]


def test_every_value_with_a_massive_activation(tmp_path: Path) -> None:
    causal = causal_model()
    add_massive_activation(causal)
    model = load_model(save(causal, tmp_path), device="cuda:0", dtype="float32")
    for text in profile_texts(model, TEXTS):
        ids = byte_tokenizer()(TEXTS[text.ordinal])["input_ids"][: text.tokens]
        assert errors(text.values, reference(causal, ids)).max() < FLOAT32


@pytest.mark.parametrize("units", [64, 3_000, 8_192])
def test_the_kernel_of_the_sums(units: int) -> None:
    from layerscope.core.sums.triton_kernel import triton_sums

    generator = torch.Generator().manual_seed(1)
    h, a, m = (torch.randn(50, units, generator=generator).cuda() for _ in range(3))
    h[0], a[1], h[2, 5], m[3, 7] = 0, 0, 300, torch.inf
    for parts, after in (((a,), False), ((m,), False), ((a, m), False), ((h + a,), True)):
        found, expected = (sums(h, *parts, after=after) for sums in (triton_sums, token_sums))
        assert torch.equal(found.isfinite(), expected.isfinite())
        torch.testing.assert_close(found, expected, rtol=2e-6, atol=1e-6 * units, equal_nan=True)


def test_nothing_in_a_batch_waits_for_the_gpu(tmp_path: Path) -> None:
    model = load_model(save(causal_model(), tmp_path), device="cuda:0")
    batch = [text for text in encode_all(model, TEXTS) if text.error is None]
    with torch.inference_mode():
        _batch_numbers(model, COMPONENTS, batch)  # the first call may allocate and load code
        with warnings.catch_warnings(action="ignore"):  # PyTorch calls the mode a prototype
            torch.cuda.set_sync_debug_mode("error")
        try:
            _batch_numbers(model, COMPONENTS, batch)
        finally:
            torch.cuda.set_sync_debug_mode("default")


@pytest.fixture
def little_memory() -> Iterator[None]:
    """About 300 MB of the GPU for this process."""
    total = torch.cuda.get_device_properties(0).total_memory
    torch.cuda.empty_cache()
    torch.cuda.set_per_process_memory_fraction(300e6 / total)
    yield
    torch.cuda.set_per_process_memory_fraction(1.0)


@pytest.mark.usefixtures("little_memory")
def test_a_batch_that_does_not_fit_in_the_memory_is_halved(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    wide = {**HEADS, "intermediate_size": 16_384, "max_position_embeddings": 4_096, "num_hidden_layers": 2}
    model = load_model(save(causal_model(**wide), tmp_path), device="cuda:0", dtype="float32")
    texts = [letter * 500 for letter in "abcdefgh"]
    found = list(profile_texts(model, texts, token_budget=100_000))
    assert "halved" in caplog.text
    alone = [next(profile_texts(model, [text])) for text in texts]
    for text, expected in zip(found, alone, strict=True):
        assert text.error is None
        np.testing.assert_allclose(text.values, expected.values, rtol=1e-4, atol=1e-5)


@pytest.mark.usefixtures("little_memory")
def test_a_text_that_does_not_fit_in_the_memory_fails_alone(tmp_path: Path) -> None:
    wide = {**HEADS, "intermediate_size": 16_384, "max_position_embeddings": 4_096, "num_hidden_layers": 2}
    model = load_model(save(causal_model(**wide), tmp_path), device="cuda:0", dtype="float32")
    short, long = profile_texts(model, ["short", "x" * 4_000])
    assert short.error is None
    assert long.error is not None
    assert "do not fit in the memory of cuda:0" in long.error


@pytest.mark.parametrize("dtype", TOLERANCE)
def test_compiled_modules_and_kernels_change_numbers_only_by_rounding(tmp_path: Path, dtype: str) -> None:
    folder = save(causal_model(initializer_range=0.1, **HEADS), tmp_path)
    model = load_model(folder, dtype=dtype, device="cuda:0")
    plain = replace(load_model(folder, dtype=dtype, device="cuda:0", reduction="eager"), attention="loop")
    for found, expected in zip(profile_texts(model, TEXTS), profile_texts(plain, TEXTS), strict=True):
        assert errors(found.values, expected.values).max() < TOLERANCE[dtype]
