"""The sample texts that a script writes."""

from pathlib import Path

import pytest

from samples import make_numbers


def test_the_numbers_are_what_their_script_writes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    kept = make_numbers.TARGET.read_bytes()
    monkeypatch.setattr(make_numbers, "TARGET", tmp_path / "numbers.json")
    make_numbers.main()
    assert make_numbers.TARGET.read_bytes() == kept
