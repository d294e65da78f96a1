"""The manifest of a corpus: what was requested, what it is measured with, and how many parts it has.

It is written when the plan is complete. A later run with the same folder must have the same request and the
same model, since all parts are measured alike.
"""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any
from uuid import UUID

from app.commands.corpus_task import CorpusTask
from app.errors import ConfigurationError
from app.jobs.completion import differences
from app.tables import Job
from layerscope.names import SCOPES
from worker.corpus.plan import PLAN
from worker.corpus.storage import Storage
from worker.finalization.statistics import estimators_of

MANIFEST = "corpus.json"
FORMAT = 1
# The members of a task that say where the corpus is measured, which may change from run to run.
PLACES = ("inputs", "out", "actors", "cluster", "model")


@dataclass(frozen=True)
class Manifest:
    """`request`: the task without its places; `inputs`: the checksums of the files in their order;
    `measured_with`: the facts of the model; `domains`: the number of texts of each domain."""

    format: int
    request: dict[str, Any]
    inputs: list[dict[str, Any]]
    measured_with: dict[str, Any]
    request_sha256: str
    texts: int
    parts: int
    domains: dict[str, int]

    def job(self) -> Job:
        """The corpus as a job that is in no database. Its id is the start of the checksum of its request."""
        checksum = bytes.fromhex(self.request_sha256)
        job = Job(
            id=UUID(bytes=checksum[:16]),
            name=self.request["name"],
            model=self.request["model_name"],
            options=self.request["options"],
            scopes=list(SCOPES),
            texts=self.texts,
            request_sha256=checksum,
            measured_with=self.measured_with,
        )
        job.estimators = estimators_of(job)
        return job


def request_of(task: CorpusTask) -> dict[str, Any]:
    request = {name: value for name, value in asdict(task).items() if name not in PLACES}
    return request | {"max_tokens_of_model": task.model.get("max_tokens")}


def write(storage: Storage, manifest: Manifest) -> None:
    storage.write(MANIFEST, [json.dumps(asdict(manifest), indent=1, ensure_ascii=False) + "\n"])


def read(storage: Storage) -> Manifest | None:
    """None if the folder is empty, or if its plan was not completed.

    Raises: ConfigurationError if the folder contains anything else.
    """
    try:
        content = storage.read(MANIFEST)
    except FileNotFoundError:
        if others := sorted(storage.names() - {PLAN}):
            raise ConfigurationError(
                f"{storage.address} contains {others[0]}, but no {MANIFEST}: choose an empty folder."
            ) from None
        return None
    found = json.loads(content)
    if found.get("format") != FORMAT:
        raise ConfigurationError(
            f"{storage.address}/{MANIFEST} is of another version of layerscope: choose another folder."
        )
    return Manifest(**found)


def check_same(
    storage: Storage, manifest: Manifest, request: Mapping[str, Any], facts: Mapping[str, Any]
) -> None:
    """Raises: ConfigurationError if the folder was begun with another request or model."""
    changed = _changes(manifest.request, request) or differences(manifest.measured_with, facts).replace(
        "but the workers have", "and now"
    )
    if changed:
        raise _refusal(storage, changed)


def check_inputs(storage: Storage, manifest: Manifest, inputs: list[dict[str, Any]]) -> None:
    """Raises: ConfigurationError if the content of a file has changed, or if there are other files."""
    if [file["sha256"] for file in manifest.inputs] == [file["sha256"] for file in inputs]:
        return
    before, now = ({file["name"]: file["sha256"] for file in files} for files in (manifest.inputs, inputs))
    names = [name for name in {**before, **now} if before.get(name) != now.get(name)]
    raise _refusal(storage, f"the input {names[0] if names else 'files in another order'} is not the same")


def _changes(before: Mapping[str, Any], now: Mapping[str, Any]) -> str:
    """The options in their own words, the rest of the request by its names."""
    rest = [{**request, "options": None} for request in (before, now)]
    pairs = [*_pairs(before["options"], now["options"]), *_pairs(*rest)]
    return "; ".join(f"{name} {json.dumps(old)}, and now {json.dumps(new)}" for name, old, new in pairs)


def _pairs(before: Mapping[str, Any], now: Mapping[str, Any]) -> list[tuple[str, Any, Any]]:
    names = {**before, **now}
    return [(name, before.get(name), now.get(name)) for name in names if before.get(name) != now.get(name)]


def _refusal(storage: Storage, changed: str) -> ConfigurationError:
    return ConfigurationError(
        f"{storage.address} was begun with {changed}. Its parts would not be measured alike: repeat the "
        "command as it was, or choose another folder."
    )
