"""The command line of `python -m benchmarks`."""

import argparse
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch

from benchmarks.inputs.shapes import SHAPES
from benchmarks.measuring.interference import RepeatBudget
from benchmarks.paths import LOG
from layerscope.names import DType

MODEL_SECTIONS = (
    "engine",
    "peers",
    "limit",
    "memory",
    "service",
    "corpus",
    "attacks",
    "load",
    "profile",
)  # once per shape and dtype
DATABASE_SECTIONS = ("intake", "size", "finalization", "plots")  # without a model
SECTIONS = (*MODEL_SECTIONS, *DATABASE_SECTIONS)
DTYPES = tuple(dtype.value for dtype in DType)


@dataclass(frozen=True)
class Options:
    quick: bool
    only: tuple[str, ...]
    shape: tuple[str, ...]
    dtype: tuple[str, ...]
    device: str
    rounds: int | None
    texts: Path | None
    log: Path
    budget: RepeatBudget
    no_log: bool

    def selects(self, *sections: str) -> bool:
        """Whether at least one of the sections is selected."""
        return bool(set(sections) & set(self.only))


def parse_options(arguments: Sequence[str] | None = None) -> Options:
    cuda = torch.cuda.is_available()
    parsed = _parser("cuda:0" if cuda else "cpu").parse_args(arguments)
    if parsed.shape is None:
        on_cpu = ("d64",) if parsed.quick else ("d64", "smollm2-135m")
        parsed.shape = ("llama-3.2-3b",) if cuda else on_cpu
    if parsed.dtype is None:
        on_cpu = ("float32",) if parsed.quick else ("float32", "bfloat16")
        parsed.dtype = ("bfloat16",) if cuda else on_cpu
    return Options(**vars(parsed))


def _parser(device: str) -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks",
        description="Runs the benchmarks, prints the results, and appends an entry to benchmarks/LOG.md.",
    )
    parser.add_argument("--quick", action="store_true", help="rough results within a few minutes")
    parser.add_argument("--only", type=_words(SECTIONS), default=SECTIONS, help=_list("sections", SECTIONS))
    parser.add_argument("--shape", type=_words(tuple(SHAPES)), help=_list("shapes", tuple(SHAPES)))
    parser.add_argument("--dtype", type=_words(DTYPES), help=_list("dtypes", DTYPES))
    parser.add_argument("--device", default=device, help="cpu or cuda:N; default: %(default)s")
    parser.add_argument("--rounds", type=int, help="rounds of each comparison; default: depends on the shape")
    parser.add_argument("--texts", type=Path, help="a folder of JSON lists of texts; default: random letters")
    parser.add_argument("--log", type=Path, default=LOG, help="default: benchmarks/LOG.md")
    parser.add_argument(
        "--budget",
        type=lambda value: RepeatBudget(float(value)),
        default=RepeatBudget(0),
        metavar="SECONDS",
        help="total time for waiting until the machine is idle and for repeating disturbed runs; default: 0",
    )
    parser.add_argument("--no-log", action="store_true", help="do not write to the log")
    return parser


def _list(what: str, names: Sequence[str]) -> str:
    return f"a comma-separated list of {what}: {', '.join(names)}"


def _words(allowed: Sequence[str]) -> Callable[[str], tuple[str, ...]]:
    def read(value: str) -> tuple[str, ...]:
        words = tuple(value.split(","))
        if unknown := sorted(set(words) - set(allowed)):
            raise argparse.ArgumentTypeError(f"{', '.join(unknown)}: must be one of {', '.join(allowed)}")
        return words

    return read
