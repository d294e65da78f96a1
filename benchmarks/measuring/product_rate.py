"""The fastest matrix product of this machine: an upper limit for every benchmark."""

import time

import torch

_CPU_SIDE, _CUDA_SIDE = 2_048, 8_192
_REPEATS = 8


def product_rate(device: str, dtype: str) -> float:
    """FLOP/s of the fastest of a few square products with `torch.mm` in this dtype."""
    cuda = device.startswith("cuda")
    side = _CUDA_SIDE if cuda else _CPU_SIDE
    left = torch.randn(side, side, device=device, dtype=getattr(torch, dtype))
    right = torch.randn(side, side, device=device, dtype=getattr(torch, dtype))
    seconds = []
    for _ in range(_REPEATS):
        start = time.perf_counter()
        torch.mm(left, right)
        if cuda:
            torch.cuda.synchronize()
        seconds.append(time.perf_counter() - start)
    return 2 * side**3 / min(seconds)
