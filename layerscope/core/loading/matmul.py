"""The matrix product, which takes most of the time: PyTorch's own, or oneDNN's with reordered weights.

On a CPU, PyTorch multiplies float32 matrices with MKL, which does not use all of the arithmetic of some
processors. oneDNN, which is part of PyTorch, is faster there. PyTorch multiplies bfloat16 matrices with
oneDNN in any case, but faster if the weights are in oneDNN's own order. No public function does either
without copying the activations (docs/adr/0007). Therefore this module, and no other, calls the two private
operations that torch.compile itself generates, after a check that they exist and give correct numbers on this
machine. A test fails if they disappear.
"""

import torch
from torch import Tensor, nn

from layerscope.names import MatrixProduct

PROBE_TOKENS = 512  # the result of a probe holds from 64 to 2,048 tokens
# Relative to the largest element. float32 products of two libraries differ by 10⁻⁶; bfloat16 is rounded to
# 2⁻⁹.
_TOLERANCE = {torch.float32: 1e-5, torch.bfloat16: 2**-8}


class OneDnnLinear(nn.Linear):
    """A Linear whose weight is in oneDNN's own order; `weight.to_dense()` returns it in the usual order."""

    def forward(self, input: Tensor) -> Tensor:
        return onednn_product(input, self.weight, self.bias)


def choose_product(module: nn.Module, wanted: str = "auto") -> str:
    """Gives the Linear layers of a model their matrix product. Depends only on the machine and the model.

    Args:
        module: with oneDNN its Linear layers are changed in place; the numbers change only by rounding.
        wanted: "auto", "onednn" or "default"; see `load_model`.
    Returns: "onednn" or "default", the product that is used.
    """
    if wanted == MatrixProduct.DEFAULT or not has_onednn(module):
        return MatrixProduct.DEFAULT.value
    for part in linear_layers(module):
        use_onednn(part)  # one after the other, so that only one weight is in memory twice
    _release_file(module)
    return MatrixProduct.ONEDNN.value


def has_onednn(module: nn.Module) -> bool:
    """Whether oneDNN's product exists here for all Linear layers of the model and gives correct numbers."""
    linears = linear_layers(module)
    supported = all(part.weight.dtype in _TOLERANCE and part.weight.device.type == "cpu" for part in linears)
    return bool(linears) and supported and all(is_correct(*shape) for shape in {*map(shape_of, linears)})


def linear_layers(module: nn.Module) -> list[nn.Linear]:
    """The Linear layers that use PyTorch's own product."""
    return [part for part in module.modules() if type(part) is nn.Linear]


def shape_of(linear: nn.Linear) -> tuple[int, int, torch.dtype]:
    """Output units, input units and dtype."""
    return linear.out_features, linear.in_features, linear.weight.dtype


def use_onednn(linear: nn.Linear) -> None:
    """Changes a Linear in place to oneDNN's product; only after `has_onednn`."""
    linear.__class__ = OneDnnLinear
    linear.weight = nn.Parameter(reordered(linear.weight.detach()), requires_grad=False)


def _release_file(module: nn.Module) -> None:
    """The file of weights is mapped into memory as a whole as long as one of its tensors is in use."""
    for parameter in module.parameters():
        if parameter.layout is torch.strided:
            parameter.data = parameter.data.clone()


def onednn_product(x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
    """x · weightᵀ + bias, with a `reordered` weight."""
    product: Tensor = torch.ops.mkldnn._linear_pointwise(x, weight, bias, "none", [], "")
    return product


def reordered(weight: Tensor) -> Tensor:
    """A copy of a weight in the order that oneDNN prefers."""
    copy: Tensor = torch.ops.mkldnn._reorder_linear_weight(weight, PROBE_TOKENS)
    return copy


def is_correct(out: int, units: int, dtype: torch.dtype) -> bool:
    """Whether oneDNN's product exists for this shape and agrees with a float64 product."""
    try:
        with torch.inference_mode():
            x, weight = probe(out, units, dtype)
            exact = x.double() @ weight.double().T
            error = (onednn_product(x, reordered(weight), None) - exact).abs().max() / exact.abs().max()
    except Exception:  # in another PyTorch a private operation may be missing or take other arguments
        return False
    return bool(error < _TOLERANCE[dtype])


def probe(out: int, units: int, dtype: torch.dtype) -> tuple[Tensor, Tensor]:
    """Random activations (PROBE_TOKENS, units) and a random weight (out, units)."""
    generator = torch.Generator().manual_seed(0)
    x, weight = (torch.randn(n, units, generator=generator) for n in (PROBE_TOKENS, out))
    return x.to(dtype), weight.to(dtype)
