"""The choices of `load_model` are recorded in the model and change numbers only by rounding."""

import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from layerscope.core import Model, load_model, profile_texts
from layerscope.core.loading import load
from layerscope.core.sums import recorder
from tests.support.models.tiny import causal_model, save

TEXTS = ["a text", "another one, somewhat longer than the first", "x", "the last of them"]
WITHOUT_COMPILER = """
from pathlib import Path
import sys
from layerscope.core import load_model, profile_texts
model = load_model(Path(sys.argv[1]), reduction="compiled")
print(model.reduction, sum(text.error is None for text in profile_texts(model, ["one", "two"])))
"""


def test_the_reduction_of_small_models_is_not_compiled(model: Model, folder: Path) -> None:
    assert (model.reduction, model.attention) == ("eager", "loop")
    assert load_model(folder, reduction="eager").reduction == "eager"


@pytest.mark.parametrize("argument", ["matmul", "reduction"])
def test_an_unknown_choice_is_refused(folder: Path, argument: str) -> None:
    unknown: dict[str, Any] = {argument: "mkl"}
    with pytest.raises(ValueError, match=f"{argument} must be one of auto, .*, not 'mkl'"):
        load_model(folder, **unknown)


def test_the_reduction_of_large_models_is_compiled(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(load, "_WORTH_COMPILING", 1)
    monkeypatch.setattr(load, "compile_sums", lambda *_: True)
    assert load_model(folder).reduction == "compiled"
    monkeypatch.setattr(load, "compile_sums", lambda *_: False)
    assert load_model(folder).reduction == "eager"


@pytest.mark.slow
@pytest.mark.timeout(300)
@pytest.mark.parametrize("dtype", [pytest.param("float32", marks=pytest.mark.slow), "bfloat16"])
def test_compiled_profiles_agree_with_eager_ones_and_nothing_is_compiled_later(
    folder: Path, dtype: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = load_model(folder, dtype=dtype, reduction="compiled")
    if model.reduction == "eager":
        pytest.skip("this machine has no compiler")
    eager = list(profile_texts(replace(model, reduction="eager"), TEXTS))
    strict = torch.compiler.set_stance("fail_on_recompile")
    monkeypatch.setattr(recorder, "_no_compilation", lambda _: strict)
    for found, expected in zip(profile_texts(model, TEXTS, token_budget=50), eager, strict=True):
        np.testing.assert_allclose(found.values, expected.values, rtol=2e-5, atol=2e-6)


@pytest.mark.timeout(300)
def test_a_batch_of_one_token_is_reduced_without_compiling(tmp_path: Path) -> None:
    """The compiler would generate separate code for this length only."""
    model = load_model(save(causal_model(), tmp_path, bos=False), reduction="compiled")
    (found,) = profile_texts(model, ["x"])
    (eager,) = profile_texts(replace(model, reduction="eager"), ["x"])
    np.testing.assert_allclose(found.values, eager.values, rtol=2e-5, atol=2e-6)


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_without_a_working_compiler_the_sums_are_eager(folder: Path, tmp_path: Path) -> None:
    environment = {
        **os.environ,
        "CXX": str(tmp_path / "no-such-compiler"),
        "TORCHINDUCTOR_CACHE_DIR": str(tmp_path / "cache"),
    }
    done = subprocess.run(
        [sys.executable, "-c", WITHOUT_COMPILER, str(folder)],
        cwd=Path(load.__file__).parents[3],
        env=environment,
        capture_output=True,
        text=True,
        timeout=250,
    )
    assert done.stdout == "eager 2\n", done.stderr
