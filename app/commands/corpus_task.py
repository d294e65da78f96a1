"""What `layerscope corpus` asks of the process that measures: `python -m worker.corpus FILE` reads it."""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any


@dataclass(frozen=True)
class CorpusTask:
    """`inputs` and `out` are absolute paths or addresses of fsspec.

    `model` has the keys of `app.models.ModelTable`; its source is absolute if it is a folder. `cluster`: the
    address of a running Ray cluster; None: one is started on this machine. `actors`: None: one for each GPU
    of the cluster, or one if there is none.
    """

    inputs: tuple[str, ...]
    text: str | None
    domain: str | None
    lines: bool
    name: str | None
    model_name: str
    model: Mapping[str, Any]
    options: Mapping[str, Any]
    out: str
    actors: int | None
    cluster: str | None
    shard_characters: int
    shard_texts: int
    text_limit_bytes: int
    domains_limit: int

    def write(self, file: Path) -> None:
        file.write_text(json.dumps(asdict(self)), encoding="utf-8")

    @classmethod
    def read(cls, file: Path) -> "CorpusTask":
        given = json.loads(file.read_text(encoding="utf-8"))
        return cls(**{**given, "inputs": tuple(given["inputs"])})
