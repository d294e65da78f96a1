import pytest
import torch

from layerscope.core.contribution import Sums, text_metrics, token_sums
from layerscope.core.sums import compiled as module
from layerscope.core.sums.compiled import compile_sums, compiled_sums, fused_sums

CASES = {
    "plain": (1.0, 1.0, 0.0),
    "small steps": (1.0, 1e-3, 0.0),
    "massive activation": (1.0, 1.0, 300.0),
}


@pytest.fixture(scope="module")
def compiled() -> Sums:
    if not compile_sums(96, torch.float32, "cpu"):
        pytest.skip("this machine has no compiler")
    return compiled_sums()


@pytest.mark.timeout(300)
@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("tokens", [2, 5, 64, 300])
def test_compiled_sums_agree_with_the_eager_ones(compiled: Sums, case: str, tokens: int) -> None:
    size, step, massive = CASES[case]
    torch.manual_seed(0)
    with torch.inference_mode(), torch.compiler.set_stance("fail_on_recompile"):
        h, delta = torch.randn(tokens, 96) * size, torch.randn(tokens, 96) * step
        h[:, 5] += massive
        delta[::2, 5] -= massive * 0.7
        found = compiled(h, delta)
    exact = token_sums(h, delta)
    scale = torch.stack([delta.abs().sum(-1), *[exact[i] for i in (1, 2, 3)], (h * delta).abs().sum(-1)])
    scale = torch.cat([scale, exact[5:]])
    worst = ((found - exact).abs() / scale).amax(-1)
    print(case, [f"{error:.1e}" for error in worst])
    assert worst.max() < 2e-6
    torch.testing.assert_close(
        text_metrics(found[None, None], 96), text_metrics(exact[None, None], 96), rtol=2e-6, atol=1e-6
    )


@pytest.mark.parametrize("value", [torch.nan, torch.inf, 1e30])
def test_compiled_sums_keep_values_that_are_not_finite(compiled: Sums, value: float) -> None:
    with torch.inference_mode():
        h, delta = torch.ones(3, 96), torch.ones(3, 96)
        delta[1, 2] = value
        sums = compiled(h, delta)
    assert torch.isfinite(sums).all(0).tolist() == [True, False, True]


def test_a_missing_compiler_is_not_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken() -> Sums:
        raise RuntimeError("No working C++ compiler found")

    monkeypatch.setattr(module, "compiled_sums", broken)
    assert not compile_sums(8, torch.float32, "cpu")


def test_a_compiler_with_wrong_results_is_not_used(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        module, "compiled_sums", lambda: lambda *parts, after: token_sums(*parts, after=after) * 1.01
    )
    assert not compile_sums(8, torch.float32, "cpu")
    monkeypatch.setattr(module, "compiled_sums", lambda: token_sums)
    assert compile_sums(8, torch.bfloat16, "cpu")


def test_the_function_to_be_compiled_agrees_with_the_eager_one() -> None:
    torch.manual_seed(0)
    h, delta = torch.randn(2, 40, 96).unbind()
    torch.testing.assert_close(fused_sums(h, delta), token_sums(h, delta), rtol=2e-6, atol=2e-5)


def test_pytorch_still_has_the_function_that_marks_a_dimension_as_dynamic() -> None:
    """It has no public alias. Without it nothing would be compiled, and the tests above would be skipped."""
    assert callable(torch._dynamo.mark_dynamic)
    torch._dynamo.mark_dynamic(torch.zeros(3, 2), 0)
