"""Finds the faster matrix product for a model on this machine, and prints the line for models.toml.

`load_model` does not do this itself: on a busy machine the times of two products of equal speed vary, so two
workers could choose differently, and their numbers would differ in the last digits.
"""

import argparse
import sys
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn.functional import linear

from layerscope.core.loading.checkpoint import read_model
from layerscope.core.loading.matmul import (
    PROBE_TOKENS,
    has_onednn,
    linear_layers,
    onednn_product,
    probe,
    reordered,
    shape_of,
)
from layerscope.core.loading.process_setup import keep_caches_small, settle_threads
from layerscope.errors import ModelError
from layerscope.names import DType, MatrixProduct

_GAIN = 1.03  # differences below 3 % are within the noise of the measurement


@dataclass(frozen=True)
class Effort:
    """How long each shape is measured: at least `rounds`, and until `seconds` have passed."""

    rounds: int = 20
    seconds: float = 2.0


def main(arguments: Sequence[str] | None = None) -> int:
    """Returns the exit code: 0, or 1 if the model cannot be loaded."""
    options = _options(arguments)
    settle_threads(options.workers)
    keep_caches_small()
    try:
        module = read_model(options.source, options.revision, options.dtype, "cpu").module
    except ModelError as error:
        print(error, file=sys.stderr)
        return 1
    print(f'matmul = "{faster_product(module)}"')
    return 0


def _options(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m layerscope.core.loading.compare_products", description=__doc__
    )
    parser.add_argument("source", help="the folder or hub id of the model")
    parser.add_argument("--revision", help="branch, tag or commit on the hub")
    parser.add_argument("--dtype", default="auto", choices=("auto", *DType), help="default: auto")
    parser.add_argument(
        "--workers", type=int, default=1, help="worker processes that share this machine (default: 1)"
    )
    return parser.parse_args(arguments)


def faster_product(module: nn.Module, effort: Effort = Effort()) -> str:
    """Measures both products on the shapes of the model; reports the times on standard error.

    Returns: "onednn" or "default"; "default" also if oneDNN is less than 3 % faster or is not available.
    """
    if not has_onednn(module):
        print("oneDNN's product is not available for this model on this machine.", file=sys.stderr)
        return MatrixProduct.DEFAULT.value
    default = onednn = 0.0
    for shape, count in Counter(map(shape_of, linear_layers(module))).items():
        seconds = measure_shape(*shape, effort)
        default, onednn = default + count * seconds[0], onednn + count * seconds[1]
    print(
        f"All matrix products of {PROBE_TOKENS} tokens with {torch.get_num_threads()} threads: "
        f"PyTorch's own {1e3 * default:.1f} ms, oneDNN's {1e3 * onednn:.1f} ms.",
        file=sys.stderr,
    )
    return (MatrixProduct.ONEDNN if default > _GAIN * onednn else MatrixProduct.DEFAULT).value


@torch.inference_mode()
def measure_shape(out: int, units: int, dtype: torch.dtype, effort: Effort) -> tuple[float, float]:
    """Seconds of one product by PyTorch and by oneDNN."""
    x, weight = probe(out, units, dtype)
    ordered = reordered(weight)
    return fastest_of_each(lambda: linear(x, weight), lambda: onednn_product(x, ordered, None), effort)


def fastest_of_each(
    default: Callable[[], Tensor], onednn: Callable[[], Tensor], effort: Effort
) -> tuple[float, float]:
    """The shortest time of each function. They alternate, and other processes can only make a time longer."""
    times: tuple[list[float], list[float]] = [], []
    begun = time.perf_counter()
    while len(times[0]) < effort.rounds or time.perf_counter() - begun < effort.seconds:
        for run, taken in zip((default, onednn), times, strict=True):
            start = time.perf_counter()
            run()
            taken.append(time.perf_counter() - start)
    return min(times[0]), min(times[1])


if __name__ == "__main__":
    sys.exit(main())
