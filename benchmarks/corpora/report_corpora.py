"""The rate of a corpus against one process, and its memory by the number of texts."""

import tempfile
from collections.abc import Sequence
from pathlib import Path

from benchmarks.contestants.contestant_process import ContestantProcess, Entry
from benchmarks.corpora.corpus_process import CorpusRun, run_corpus, write_texts
from benchmarks.inputs.texts import of_length, tokens_of
from benchmarks.report import Report, mib

TOKENS_PER_TEXT = 6  # the memory by number is measured with very short texts
ROLES = ("driver", "actor", "Ray")


def report_rate(report: Report, entry: Entry, model: Path, texts: Sequence[str]) -> None:
    """The same texts with the core alone in one process, with one actor, and with two."""
    tokens = tokens_of(texts)
    with ContestantProcess(entry, texts) as process:
        alone = process.run()[0].wall
    rows = [("the core in one process", f"{tokens / alone:,.0f}", f"{alone:.0f}")]
    for actors in (1, 2):
        run = _run(texts, model, actors)
        rate = "unknown" if run.steady is None else f"{run.steady * tokens / len(texts):,.0f}"
        rows.append((f"layerscope corpus --actors {actors}", rate, f"{run.seconds:.0f}"))
    report.say(f"{len(texts):,} texts, {tokens:,} tokens. The rate is that after the first part.")
    report.table(("", "tokens/s", "seconds of the whole command"), rows)


def report_memory(report: Report, model: Path, counts: Sequence[int]) -> None:
    rows = []
    for count in counts:
        run = _run(of_length(count, TOKENS_PER_TEXT), model, 1)
        rows.append((f"{count:,}", *(mib(run.memory.get(role)) for role in ROLES), f"{run.seconds:.0f}"))
    report.say(
        f"Texts of {TOKENS_PER_TEXT} tokens in two domains, one actor. Highest resident memory in MiB of the "
        "process that reads the inputs and computes the statistics (driver), of the actor, and of all other "
        "processes of Ray:"
    )
    report.table(("texts", "driver", "actor", "Ray", "seconds of the whole command"), rows)


def _run(texts: Sequence[str], model: Path, actors: int) -> CorpusRun:
    with tempfile.TemporaryDirectory(prefix="layerscope-") as folder:
        source = write_texts(Path(folder) / "texts.jsonl", texts)
        return run_corpus(source, Path(folder) / "out", model, actors)
