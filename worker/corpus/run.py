"""A run of `layerscope corpus`: plan, measure the missing parts, compute the statistics."""

import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from app.commands.corpus_task import CorpusTask
from app.errors import InvalidRequest, NoTextSucceeded
from app.jobs.shard_plan import ShardPlan, ShardSize
from layerscope.cli.output import print_line
from layerscope.cli.profiling.prepare import check_report, print_report
from layerscope.cli.profiling.top_layers import print_top_layers
from layerscope.conclusions import conclusions
from layerscope.inputs import FoundSources
from worker.corpus import manifest as manifests
from worker.corpus.attempts import forget_attempts
from worker.corpus.cluster import Actors, describe_model, measure_parts, running_ray
from worker.corpus.inputs import checksums, find_inputs, plan_texts
from worker.corpus.manifest import Manifest, request_of
from worker.corpus.measuring import PartOutcome
from worker.corpus.parts import MeasuredParts, complete_parts
from worker.corpus.plan import Planner, part_name
from worker.corpus.statistics_files import Counts, Tables, write_results
from worker.corpus.storage import Storage


@dataclass
class RunProgress:
    """What this run has measured."""

    parts: int
    measured: int = 0
    tokens: int = 0

    def add(self, outcome: PartOutcome, seconds: float) -> None:
        self.measured += 1
        self.tokens += outcome.tokens
        if sys.stderr.isatty():
            rate = self.tokens / seconds
            sys.stderr.write(f"\r\x1b[2K{self.measured:,} of {self.parts:,} parts, {rate:,.0f} tokens/s")
            sys.stderr.flush()


def run(task: CorpusTask) -> None:
    """Raises: ConfigurationError, UnreadableInputError: the user can correct it; JobFailure."""
    storage = Storage(task.out)
    manifest, found = manifests.read(storage), find_inputs(task)
    with running_ray(task.cluster, task.actors, task.model["device"]) as actors:
        facts = describe_model(dict(task.model), actors)
        _check_limits(task, facts)
        if manifest is None:
            manifest = plan_corpus(task, storage, facts, found)
        else:
            manifests.check_same(storage, manifest, request_of(task), facts)
            manifests.check_inputs(storage, manifest, checksums(found))
        progress, seconds = _measure(storage, manifest, task, actors)
    counts, tables = write_results(storage, MeasuredParts(storage, manifest.job(), manifest.parts))
    if not counts.done:
        raise NoTextSucceeded(
            f"None of the {counts.texts:,} texts could be measured: {storage.address}/texts says why."
        )
    _print(storage, manifest.parts, progress, seconds, counts, tables)


def _check_limits(task: CorpusTask, facts: dict[str, Any]) -> None:
    """Raises: InvalidRequest if the options exceed what the model can read."""
    readable = facts["max_tokens"]
    limit = task.options["max_tokens"] or readable
    if limit > readable:
        raise InvalidRequest(f"--max-tokens must be at most {readable}, which the model can read.")
    if (task.options["window"] or 0) > limit:
        raise InvalidRequest(f"--window must be at most {limit}, the largest number of tokens of a text.")


def plan_corpus(task: CorpusTask, storage: Storage, facts: dict[str, Any], found: FoundSources) -> Manifest:
    """Reads all inputs once. Raises: ConfigurationError, UnreadableInputError."""
    size = ShardSize(task.shard_characters, task.shard_texts)
    shards = ShardPlan([task.model_name, task.name, task.options], size)
    planner = Planner(storage, shards, task.domains_limit)
    reader, files = plan_texts(task, found, planner)
    print_report(reader.report)
    check_report(reader.report)
    manifest = Manifest(
        format=manifests.FORMAT,
        request=request_of(task),
        inputs=files,
        measured_with=facts,
        request_sha256=shards.request_sha256.hex(),
        texts=shards.texts,
        parts=planner.parts,
        domains=dict(planner.domains),
    )
    manifests.write(storage, manifest)
    return manifest


def _measure(
    storage: Storage, manifest: Manifest, task: CorpusTask, actors: Actors
) -> tuple[RunProgress, float]:
    """Measures the parts that are not complete. Returns what was measured, and the seconds."""
    complete = complete_parts(storage)
    missing = [part for part in range(manifest.parts) if part_name(part) not in complete]
    forget_attempts(storage)
    progress, started = RunProgress(len(missing)), time.monotonic()
    for outcome in _outcomes(storage, manifest, task, missing, actors):
        progress.add(outcome, time.monotonic() - started)
    if sys.stderr.isatty():
        sys.stderr.write("\n")
    return progress, time.monotonic() - started


def _outcomes(
    storage: Storage, manifest: Manifest, task: CorpusTask, missing: list[int], actors: Actors
) -> Iterator[PartOutcome]:
    if missing:
        yield from measure_parts(storage, manifest, dict(task.model), missing, actors)


def _print(
    storage: Storage, parts: int, progress: RunProgress, seconds: float, counts: Counts, tables: Tables
) -> None:
    failed = counts.texts - counts.done
    reasons = f", {failed:,} failed (the files in texts/ give the reasons)" if failed else ""
    print_line(f"{counts.done:,} of {counts.texts:,} texts measured{reasons}.")
    rate = f" in {seconds:.0f} s, {progress.tokens / seconds:,.0f} tokens/s" if progress.measured else ""
    print_line(
        f"{progress.measured:,} of {parts:,} parts measured{rate}; "
        f"{parts - progress.measured:,} were complete."
    )
    print_top_layers(tables.results)
    rows = tables.results, tables.comparison, tables.first_token, tables.massive_tokens
    for found in conclusions(*rows):
        print_line(found.text)
    print_line(f"The files are in {storage.address}.")
