"""Files are written whole or not at all."""

import os
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from app.files import cache


def test_an_interrupted_file_does_not_exist(tmp_path: Path) -> None:
    def breaking() -> Iterator[str]:
        yield "a"
        raise RuntimeError

    path = tmp_path / "job" / "results.csv"
    with pytest.raises(RuntimeError):
        cache.write(path, breaking())
    assert list(path.parent.iterdir()) == []
    cache.write(path, ["a\r\n", "é"])
    assert path.read_bytes() == "a\r\né".encode()
    assert list(path.parent.iterdir()) == [path]


def filled(home: Path, ages: dict[str, int], size: int = 100) -> None:
    """Files with the given seconds since their last use."""
    for name, seconds in ages.items():
        path = home / "files" / "job" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"x" * size)
        os.utime(path, times=(time.time() - seconds,) * 2)


def names(home: Path) -> set[str]:
    return {path.name for path in (home / "files" / "job").iterdir()}


@pytest.mark.parametrize(
    ("limit", "kept"),
    [(400, {"a", "b", "c", "d"}), (399, {"a", "b", "c"}), (200, {"a", "b"}), (99, set())],
)
def test_the_files_that_were_not_used_for_the_longest_time_are_deleted(
    tmp_path: Path, limit: int, kept: set[str]
) -> None:
    filled(tmp_path, {"a": 1, "c": 300, "d": 4000, "b": 20})
    cache.shrink(tmp_path, limit)
    assert names(tmp_path) == kept


def test_a_file_that_is_used_is_kept_longer(tmp_path: Path) -> None:
    filled(tmp_path, {"a": 1, "b": 20})
    cache.used(tmp_path / "files" / "job" / "b")
    cache.used(tmp_path / "files" / "job" / "absent")
    cache.shrink(tmp_path, 100)
    assert names(tmp_path) == {"b"}


def test_unfinished_files_of_killed_processes_are_deleted(tmp_path: Path) -> None:
    filled(tmp_path, {".killed": 4000, ".writing": 10, "5-results.csv": 4000})
    cache.shrink(tmp_path, 10**6)
    assert names(tmp_path) == {".writing", "5-results.csv"}
    cache.shrink(tmp_path / "absent", 0)
