"""Corpora: their tasks, and runs of them in this process without Ray."""

import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from app.commands.corpus_task import CorpusTask
from app.schemas import Options
from worker.corpus import manifest as manifests
from worker.corpus.inputs import find_inputs
from worker.corpus.manifest import Manifest
from worker.corpus.measuring import PartMeasurer, load_and_describe
from worker.corpus.parts import MeasuredParts
from worker.corpus.run import plan_corpus
from worker.corpus.statistics_files import write_results
from worker.corpus.storage import Storage

WORDS = (
    "the",
    "of",
    "return",
    "int",
    "float",
    "def",
    "class",
    "value",
    "index",
    "tree",
    "graph",
    "node",
    "list",
)
BAD_LINES = ('{"text": 7, "domain": "cpp"}', '{"text": "  ", "domain": "python"}', "not JSON")


def lines_of(texts: int, longest: int = 30) -> list[dict[str, Any]]:
    """Texts of different lengths in three domains."""
    return [
        {
            "domain": ("cpp", "python", "c")[i * 7 % 3],
            "text": " ".join(WORDS[(i * 31 + j * 17) % len(WORDS)] for j in range(1 + i * 13 % longest)),
        }
        for i in range(texts)
    ]


def write_lines(path: Path, lines: Iterable[Mapping[str, Any]], bad: Iterable[str] = ()) -> Path:
    path.write_text("".join(f"{line}\n" for line in [*map(json.dumps, lines), *bad]))
    return path


def task_of(source: Path, out: Path, model: Path, *, texts_per_shard: int = 8, **options: Any) -> CorpusTask:
    return CorpusTask(
        inputs=(str(source),),
        text=None,
        domain=None,
        lines=False,
        name=None,
        model_name="demo",
        model={"source": str(model), "dtype": "float32", "device": "cpu"},
        options=Options.model_validate(options).model_dump(mode="json"),
        out=str(out),
        actors=1,
        cluster=None,
        shard_characters=10**9,
        shard_texts=texts_per_shard,
        text_limit_bytes=2**20,
        domains_limit=16,
    )


def planned(task: CorpusTask) -> tuple[Storage, Manifest]:
    storage = Storage(task.out)
    assert manifests.read(storage) is None
    facts = load_and_describe(dict(task.model), 1)[1]
    return storage, plan_corpus(task, storage, facts, find_inputs(task))


def measure_corpus(task: CorpusTask) -> Storage:
    """Plans and measures a corpus, and writes the files of its statistics."""
    storage, manifest = planned(task)
    measurer = PartMeasurer(storage, manifest, dict(task.model), 1)
    for part in range(manifest.parts):
        measurer.measure(part)
    write_results(storage, MeasuredParts(storage, manifest.job(), manifest.parts))
    return storage
