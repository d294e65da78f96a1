"""The state of a job has as many warnings and links as there is room for."""

from datetime import UTC, datetime
from uuid import UUID

import pytest

from app.jobs.state.size import LARGEST_STATE, SHORTEST_WARNING, cut, with_optional_parts
from app.schemas import DomainOut, JobOptions, JobOut, Links, ModelOut, Progress
from layerscope.names import Status

WARNINGS = ["a" * 100, "\U0001f300" * 20, "\x01" * 40]
ADDRESSES = {name: f"/v1/jobs/{'0' * 36}/{name}" for name in ("cancel", "plots", "comparison_csv")}


def state(name_bytes: int) -> JobOut:
    counts = {"texts": 1, "done": 0, "failed": 0, "measured": 0}
    progress = Progress(
        **counts,
        **{"tokens": 0, "share": 0},
        **dict.fromkeys(("phase", "texts_per_second", "tokens_per_second", "eta_seconds")),
    )
    links = dict.fromkeys(("self", "events", "results_csv", "results_json", "texts_csv", "page"), "/")
    return JobOut(
        id=UUID(int=0),
        name="n" * name_bytes,
        status=Status.QUEUED,
        model=ModelOut(name="m", source=None, revision=None, layers=None, hidden_size=None, dtype=None),
        options=JobOptions(),
        created_at=datetime(2026, 1, 1, tzinfo=UTC),
        started_at=None,
        finished_at=None,
        progress=progress,
        domains={"cpp": DomainOut(**counts)},
        warnings=[],
        error=None,
        links=Links(**links),
    )


def size(job: JobOut) -> int:
    return len(job.model_dump_json().encode())


@pytest.mark.parametrize("room", range(0, 1200, 7))
def test_it_is_never_larger_and_no_warning_is_a_mere_fragment(room: int) -> None:
    job = state(LARGEST_STATE - size(state(0)) - room)
    found = with_optional_parts(job, WARNINGS, ADDRESSES)
    assert size(job) == LARGEST_STATE - room
    assert size(found) <= LARGEST_STATE
    assert [warning.rstrip("…") for warning in found.warnings] == [
        whole[: len(shown.rstrip("…"))] for whole, shown in zip(WARNINGS, found.warnings, strict=False)
    ]
    assert all(len(warning.encode()) * 6 >= SHORTEST_WARNING for warning in found.warnings)
    fitting = found.links.model_dump(exclude_none=True).keys() & ADDRESSES
    assert fitting == set(list(ADDRESSES)[: len(fitting)])


def test_everything_is_there_if_there_is_room() -> None:
    found = with_optional_parts(state(10), WARNINGS, ADDRESSES)
    assert found.warnings == WARNINGS
    assert ADDRESSES.items() <= found.links.model_dump().items()


def test_a_text_is_cut_by_its_bytes_of_json() -> None:
    assert cut("abc", 3) == "abc"
    assert cut("abcd", 3) == "abc…"
    assert cut("\x01a", 6) == "\x01…"
    assert cut(None, 3) is None
