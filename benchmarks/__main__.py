"""`python -m benchmarks`: measures, prints, and appends an entry to benchmarks/LOG.md."""

import argparse
import datetime
import os
import signal
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch

from benchmarks.contestants.contestant_process import Entry
from benchmarks.contestants.peers_environment import PINS, NotInstalled, ensure_peers
from benchmarks.engine import memory_growth as growth
from benchmarks.engine.comparison import OURS, PEERS, race
from benchmarks.engine.operations import where
from benchmarks.engine.overhead import limit
from benchmarks.inputs.shapes import SHAPES, Shape, ensure_model
from benchmarks.inputs.texts import real, synthetic, tokens_of
from benchmarks.measuring import hardware
from benchmarks.measuring.interference import RepeatBudget
from benchmarks.paths import BUILT, LOG
from benchmarks.report import Report
from benchmarks.service import throughput as service
from layerscope.core import load_model

OF_A_SHAPE = ("engine", "peers", "limit", "memory", "service", "profile")
OF_THE_TABLES = ("intake", "size")
SECTIONS = (*OF_A_SHAPE, *OF_THE_TABLES)
ENGINE = "Layerscope, all components"


@dataclass(frozen=True)
class Size:
    """How much is measured of one shape; texts are drawn with 20 to 800 tokens."""

    race_texts: int
    race_rounds: int
    limit_texts: int
    limit_rounds: int
    counts: tuple[int, ...]
    lengths: tuple[int, ...]
    service_texts: int
    service_rounds: int


QUICK = {
    "d64": Size(64, 3, 32, 7, (100, 1_000, 4_000), (128, 1_024, 8_192), 300, 3),
    "": Size(12, 3, 12, 5, (100, 200), (128, 512, 2_048), 32, 1),
}
FULL = {
    "d64": Size(128, 9, 64, 25, (100, 1_000, 10_000, 100_000), (128, 512, 2_048, 8_192), 2_000, 5),
    "smollm2-135m": Size(24, 7, 24, 15, (100, 400, 1_600), (128, 512, 2_048, 8_192), 2_000, 1),
    "": Size(24, 5, 24, 7, (100, 200), (128, 512, 2_048), 200, 1),
}
ON_CUDA = Size(512, 5, 2_048, 7, (100, 1_000, 10_000), (128, 512, 2_048, 8_192), 2_000, 3)


@dataclass(frozen=True)
class Case:
    """One shape in one dtype."""

    shape: Shape
    folder: Path
    dtype: str
    device: str
    size: Size

    def entry(self, name: str, dtype: str | None = None, python: str = sys.executable) -> Entry:
        return Entry(name, self.folder, dtype or self.dtype, self.device, python)


def main() -> None:
    arguments = _arguments()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    stamp = datetime.datetime.now(datetime.UTC).strftime("%Y-%m-%d %H:%M UTC")
    report = Report(f"{stamp}, commit {hardware.commit()}")
    command = " ".join(["python -m benchmarks", *sys.argv[1:]])
    report.say(
        f"`{command}`\n\n- processor: {hardware.processor()}\n- GPU: {hardware.accelerators()}\n"
        f"- {hardware.versions()}\n- before: {hardware.load()}"
    )
    try:
        for shape in arguments.shape if set(OF_A_SHAPE) & set(arguments.only) else ():
            for dtype in arguments.dtype:
                _measure(report, arguments, SHAPES[shape], dtype)
        if set(OF_THE_TABLES) & set(arguments.only):
            _tables(report, arguments)
    finally:  # what was measured before something broke stays measured
        report.say(f"After: {hardware.load()}.")
        if not arguments.no_log:
            report.append_to(arguments.log)


def _arguments() -> argparse.Namespace:
    cuda = torch.cuda.is_available()
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="a few minutes; rough figures")
    parser.add_argument("--only", type=_words(SECTIONS), default=SECTIONS, help=", ".join(SECTIONS))
    parser.add_argument("--shape", type=_words(tuple(SHAPES)), help=", ".join(SHAPES))
    parser.add_argument("--dtype", type=_words(("float32", "bfloat16", "float16")))
    parser.add_argument("--device", default="cuda:0" if cuda else "cpu")
    parser.add_argument("--rounds", type=int, help="of the comparisons; default: by shape")
    parser.add_argument("--texts", type=Path, help="a folder of JSON lists of texts; default: synthetic ones")
    parser.add_argument("--log", type=Path, default=LOG)
    parser.add_argument(
        "--budget",
        type=lambda value: RepeatBudget(float(value)),
        default=RepeatBudget(0),
        metavar="SECONDS",
        help="to lose, in all, to waiting for a quiet machine and to repeating disturbed runs",
    )
    parser.add_argument("--no-log", action="store_true", help="append nothing")
    arguments = parser.parse_args()
    small = ("d64",) if arguments.quick else ("d64", "smollm2-135m")
    arguments.shape = arguments.shape or (("llama-3.2-3b",) if cuda else small)
    both = ("float32",) if arguments.quick else ("float32", "bfloat16")
    arguments.dtype = arguments.dtype or (("bfloat16",) if cuda else both)
    return arguments


def _words(allowed: Sequence[str]) -> Callable[[str], tuple[str, ...]]:
    def read(value: str) -> tuple[str, ...]:
        words = tuple(value.split(","))
        if unknown := set(words) - set(allowed):
            raise argparse.ArgumentTypeError(f"{', '.join(unknown)}: not one of {', '.join(allowed)}")
        return words

    return read


def _measure(report: Report, arguments: argparse.Namespace, shape: Shape, dtype: str) -> None:
    sizes = QUICK if arguments.quick else FULL
    size = ON_CUDA if arguments.device != "cpu" and not arguments.quick else sizes.get(shape.name, sizes[""])
    case = Case(shape, ensure_model(shape, BUILT / "models"), dtype, arguments.device, size)
    if {"engine", "peers"} & set(arguments.only):
        _race(report, arguments, case)
    if {"limit", "profile"} & set(arguments.only):
        _limit(report, arguments, case)
    if "memory" in arguments.only:
        report.heading(f"{shape.name}, {dtype}: memory and time, by number and by length of texts")
        growth.against_number(report, case.entry(ENGINE), size.counts, arguments.budget)
        growth.against_length(report, case.entry(ENGINE), size.lengths, "study loop", arguments.budget)
    if "service" in arguments.only:
        _service(report, arguments, case)


def _texts(arguments: argparse.Namespace, count: int) -> list[str]:
    return real(arguments.texts, count) if arguments.texts else synthetic(count)


def _race(report: Report, arguments: argparse.Namespace, case: Case) -> None:
    texts = _texts(arguments, case.size.race_texts)
    rounds = arguments.rounds or case.size.race_rounds
    report.heading(f"{case.shape.name}, {case.dtype}: against everybody else")
    entries = [case.entry(name) for name in OURS]
    if case.dtype != "float32" and case.device == "cpu":
        entries.insert(0, case.entry(OURS[0], dtype="float32"))
    if "peers" in arguments.only:
        try:
            python = ensure_peers()
            entries += [case.entry(name, python=python) for name in PEERS]
        except NotInstalled as problem:
            report.say(f"TransformerLens and nnsight could not be installed here: {problem}")
    race(report, entries, texts, rounds, arguments.budget)
    report.say(
        f"{len(texts)} texts, {tokens_of(texts):,} tokens, {rounds} rounds. "
        f"Peers, where they ran: {', '.join(PINS)}. "
        "`differs by`: the largest difference from the first line, relative to the mean of |δ|."
    )


def _limit(report: Report, arguments: argparse.Namespace, case: Case) -> None:
    texts = _texts(arguments, case.size.limit_texts)
    model = load_model(case.folder, dtype=case.dtype, device=case.device)
    report.heading(f"{case.shape.name}, {case.dtype}: the cost over the bare forward pass")
    report.say(
        f"The engine chose the {model.matmul} matrix product, the {model.attention} attention and the "
        f"{model.reduction} reduction."
    )
    if "limit" in arguments.only:
        rounds = arguments.rounds or case.size.limit_rounds
        limit(report, case.shape, model, texts, rounds, arguments.budget)
    if "profile" in arguments.only:
        where(report, model, texts)


def _service(report: Report, arguments: argparse.Namespace, case: Case) -> None:
    report.heading(f"{case.shape.name}, {case.dtype}: the whole service against the core alone")
    if absent := service.missing():
        report.say(f"Left out: {', '.join(absent)} are not installed here.")
        return
    texts = _texts(arguments, case.size.service_texts)
    rounds = arguments.rounds or case.size.service_rounds
    service.service(report, case.entry(ENGINE), texts, rounds, arguments.budget)


def _tables(report: Report, arguments: argparse.Namespace) -> None:
    try:
        from benchmarks import intake, size
    except ModuleNotFoundError as absent:
        report.say(f"Left out intake and size: {absent.name} is not installed here.")
        return
    if "intake" in arguments.only:
        intake.intake(report, *((50_000, 1_000) if arguments.quick else (1_000_000, 20_000)))
    if "size" in arguments.only:
        size.size(report, *((200, 1_000, 1_000) if arguments.quick else (1_000, 10_000, 20_000)))


if __name__ == "__main__":
    os.environ.setdefault("HF_HUB_OFFLINE", "1")
    main()
