"""The matrix product, where nearly all the time goes: PyTorch's own, or oneDNN's on weights in its own order.

PyTorch multiplies float32 matrices on a CPU through MKL, which leaves part of some processors' arithmetic
unused. oneDNN, which PyTorch brings along, is faster there; and bfloat16 matrices, which it multiplies in any
case, it multiplies faster once the weights lie as it likes them. No public call does either without copying
activations to and fro. So the two private operations that torch.compile itself emits are used, here and
nowhere else, and only after they have shown on this machine that they exist, that their numbers are right and
that they are faster.
"""

import time
from collections import Counter
from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.nn.functional import linear

DEFAULT, ONEDNN = "default", "onednn"

_TOKENS = 512  # of the probe; what is chosen here holds from 64 to 2,048
_ROUNDS, _SECONDS = (5, 40), 0.5  # of the race, a shape: at least, at most, and until so much time has passed
_GAIN = 1.03  # a smaller one is noise, and not worth a private operation
# Of the largest element. float32 products differ by 10⁻⁶ between libraries; bfloat16 ones are rounded to 2⁻⁹.
_TOLERANCE = {torch.float32: 1e-5, torch.bfloat16: 2**-8}


class OneDnnLinear(nn.Linear):
    """A Linear whose weight lies in the order oneDNN likes best; `weight.to_dense()` gives it back."""

    def forward(self, input: Tensor) -> Tensor:
        return _product(input, self.weight, self.bias)


def choose_product(module: nn.Module, wanted: str = "auto") -> str:
    """Measures both products on the shapes of the model and leaves it with the faster one.

    Args:
        module: its Linear layers are changed in place where oneDNN wins; numbers change by rounding alone.
        wanted: "auto"; DEFAULT or ONEDNN to do without measuring (ONEDNN still has to be there and be right).
    Returns: DEFAULT or ONEDNN, what was chosen.
    """
    linears = [part for part in module.modules() if type(part) is nn.Linear]
    counts = Counter((*part.weight.shape, part.weight.dtype) for part in linears)
    plain = all(part.weight.dtype in _TOLERANCE and part.weight.device.type == "cpu" for part in linears)
    if wanted == DEFAULT or not (linears and plain and all(_right(*kind) for kind in counts)):
        return DEFAULT
    if wanted == "auto" and sum(counts[kind] * _saved(*kind) for kind in counts) <= 0:
        return DEFAULT
    for part in linears:
        use_onednn(part)  # one at a time: no more than one weight is in memory twice
    _let_go_of_file(module)
    return ONEDNN


def use_onednn(linear: nn.Linear) -> None:
    """Changes a Linear in place to a product that `choose_product` has proved on this machine."""
    linear.__class__ = OneDnnLinear
    linear.weight = nn.Parameter(_ordered(linear.weight.detach()), requires_grad=False)


def _let_go_of_file(module: nn.Module) -> None:
    """The weights lie in their file, mapped into memory: whole for as long as one of them is in use."""
    for parameter in module.parameters():
        if parameter.layout is torch.strided:
            parameter.data = parameter.data.clone()


def _product(x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
    product: Tensor = torch.ops.mkldnn._linear_pointwise(x, weight, bias, "none", [], "")
    return product


def _ordered(weight: Tensor) -> Tensor:
    ordered: Tensor = torch.ops.mkldnn._reorder_linear_weight(weight, _TOKENS)
    return ordered


def _right(out: int, units: int, dtype: torch.dtype) -> bool:
    """Whether oneDNN's product is there, and is the product."""
    try:
        with torch.inference_mode():
            x, weight = _operands(out, units, dtype)
            exact = x.double() @ weight.double().T
            error = (_product(x, _ordered(weight), None) - exact).abs().max() / exact.abs().max()
    except Exception:  # a private operation may be missing, or take other arguments, in any other torch
        return False
    return bool(error < _TOLERANCE[dtype])


@torch.inference_mode()
def _saved(out: int, units: int, dtype: torch.dtype) -> float:
    """Seconds that oneDNN saves over the default for one product, less the gain that is asked of it."""
    x, weight = _operands(out, units, dtype)
    ordered = _ordered(weight)
    default, onednn = _least_seconds(lambda: linear(x, weight), lambda: _product(x, ordered, None))
    return default - _GAIN * onednn


def _operands(out: int, units: int, dtype: torch.dtype) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(0)
    x, weight = (torch.randn(n, units, generator=generator) for n in (_TOKENS, out))
    return x.to(dtype), weight.to(dtype)


def _least_seconds(*runs: Callable[[], Tensor]) -> list[float]:
    """The best of some rounds each, taken in turns: other processes can only make a round slower."""
    taken: list[list[float]] = [[] for _ in runs]
    least, most = _ROUNDS
    begun = time.perf_counter()
    while len(taken[0]) < least or (len(taken[0]) < most and time.perf_counter() - begun < _SECONDS):
        for run, times in zip(runs, taken, strict=True):
            start = time.perf_counter()
            run()
            times.append(time.perf_counter() - start)
    return [min(times) for times in taken]
