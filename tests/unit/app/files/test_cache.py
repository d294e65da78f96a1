"""Files are written whole or not at all."""

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
