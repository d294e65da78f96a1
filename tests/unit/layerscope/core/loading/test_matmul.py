import shutil
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from layerscope.core import Model, load_model
from layerscope.core.loading import matmul
from layerscope.core.loading.matmul import OneDnnLinear, choose_product, is_correct

DEFAULT, ONEDNN = "default", "onednn"
HAS_ONEDNN = is_correct(8, 8, torch.float32)
needs_onednn = pytest.mark.skipif(not HAS_ONEDNN, reason="this PyTorch has no oneDNN product")


@pytest.mark.skipif(
    not torch.backends.mkldnn.is_available(),  # type: ignore[no-untyped-call]
    reason="this PyTorch was built without oneDNN",
)
def test_pytorch_still_has_the_private_operations_of_onednn() -> None:
    """If they change, `load_model` silently uses PyTorch's own product, and the tests below are skipped."""
    x, weight = matmul.probe(8, 8, torch.float32)
    found = torch.ops.mkldnn._linear_pointwise(
        x, torch.ops.mkldnn._reorder_linear_weight(weight, len(x)), None, "none", [], ""
    )
    torch.testing.assert_close(found, x @ weight.T, rtol=1e-5, atol=1e-5)
    assert HAS_ONEDNN


def two_layers(bias: bool = True) -> nn.Sequential:
    torch.manual_seed(0)
    layers = nn.Linear(48, 96, bias=bias), nn.SiLU(), nn.Linear(96, 48, bias=bias)
    return nn.Sequential(*layers).requires_grad_(False)


@needs_onednn
@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("tokens", [1, 3, 512, 700])
def test_both_products_are_equal_within_rounding(bias: bool, tokens: int) -> None:
    module, x = two_layers(bias), torch.randn(1, tokens, 48)
    exact = module.double()(x.double())
    module.float()
    default = module(x)
    assert choose_product(module, ONEDNN) == ONEDNN
    assert all(isinstance(part, OneDnnLinear) for part in (module[0], module[2]))
    onednn = module(x)
    for found in (default, onednn):
        error = ((found - exact).norm() / exact.norm()).item()
        print(f"{tokens} tokens: {error:.1e}")
        assert error < 5e-7


@needs_onednn
def test_reordered_weights_can_be_read_back() -> None:
    module = two_layers()
    (layer, *_) = module.parameters()
    before = layer.clone()
    choose_product(module, ONEDNN)
    (layer, *_) = module.parameters()
    assert torch.equal(layer.to_dense(), before)


@needs_onednn
@pytest.mark.parametrize("clock", ["perf_counter", "monotonic", "time"])
def test_the_choice_depends_on_no_timing(monkeypatch: pytest.MonkeyPatch, clock: str) -> None:
    reads: list[int] = []
    read: Callable[[], float] = getattr(time, clock)

    def observed() -> float:
        reads.append(threading.get_ident())  # the servers of other tests read clocks in their own threads
        return read()

    monkeypatch.setattr(time, clock, observed)
    assert choose_product(two_layers()) == ONEDNN
    assert choose_product(two_layers(), DEFAULT) == DEFAULT
    assert threading.get_ident() not in reads


def missing(*_: object) -> Tensor:
    raise AttributeError("no such operation")


def wrong(x: Tensor, weight: Tensor, _bias: Tensor | None) -> Tensor:
    return x @ weight.to_dense().T * 1.001 if weight.is_mkldnn else x @ weight.T * 1.001


@pytest.mark.parametrize(
    ("name", "product"), [("onednn_product", missing), ("onednn_product", wrong), ("reordered", missing)]
)
def test_a_product_that_is_missing_or_wrong_is_not_used(
    monkeypatch: pytest.MonkeyPatch, name: str, product: Callable[..., Tensor]
) -> None:
    monkeypatch.setattr(matmul, name, product)
    module = two_layers()
    assert choose_product(module, ONEDNN) == DEFAULT
    assert choose_product(module) == DEFAULT
    assert type(module[0]) is nn.Linear


@pytest.mark.skipif(
    not is_correct(8, 8, torch.bfloat16), reason="this PyTorch has no oneDNN product in bfloat16"
)
@pytest.mark.parametrize("tokens", [1, 3, 512, 700])
def test_both_products_are_equal_within_rounding_in_bfloat16(tokens: int) -> None:
    module, x = two_layers().bfloat16(), torch.randn(1, tokens, 48).bfloat16()
    exact = module.double()(x.double())
    module.bfloat16()
    assert choose_product(module, ONEDNN) == ONEDNN
    error = ((module(x) - exact).norm() / exact.norm()).item()
    print(f"{tokens} tokens: {error:.1e}")
    assert error < 5e-3


def test_float16_keeps_the_default() -> None:
    assert choose_product(two_layers().half(), ONEDNN) == DEFAULT


def test_a_module_without_products_keeps_the_default() -> None:
    assert choose_product(nn.Sequential(nn.SiLU()), ONEDNN) == DEFAULT


def test_a_model_records_its_product(folder: Path, model: Model) -> None:
    assert model.matmul == (ONEDNN if HAS_ONEDNN else DEFAULT)
    assert load_model(folder, matmul=DEFAULT).matmul == DEFAULT
    assert load_model(folder, matmul=ONEDNN).matmul == (ONEDNN if HAS_ONEDNN else DEFAULT)


@needs_onednn
@pytest.mark.skipif(not Path("/proc/self/maps").exists(), reason="no list of mapped files")
def test_the_file_of_reordered_weights_does_not_stay_in_memory(folder: Path, tmp_path: Path) -> None:
    own = shutil.copytree(folder, tmp_path / "model")
    model = load_model(own, dtype="float32", device="cpu", matmul=ONEDNN)
    assert model.matmul == ONEDNN
    assert str(own) not in Path("/proc/self/maps").read_text()
