"""The sample texts that a script generates."""

from pathlib import Path

import pytest

from samples import make_numbers


def test_numbers_json_is_the_output_of_its_script(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    kept = make_numbers.TARGET.read_bytes()
    monkeypatch.setattr(make_numbers, "TARGET", tmp_path / "numbers.json")
    make_numbers.main()
    assert make_numbers.TARGET.read_bytes() == kept
