import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.submission import json_size
from app.submission.json_size import measure

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(st.sampled_from('a"\\[]{},:é\n')),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(st.sampled_from('k"\\,[')), inner),
)


def counted(value: Any) -> tuple[int, int]:
    if not isinstance(value, list | dict):
        return 0, 0
    members = list(value.values()) if isinstance(value, dict) else value
    inner = [counted(member) for member in members]
    separators = max(0, len(members) - 1) + sum(found for _, found in inner)
    return 1 + sum(found for found, _ in inner), separators


@given(VALUES, st.booleans(), st.sampled_from([1, 2, 3, 7, 2**20]))
def test_containers_and_separators_outside_of_strings_are_counted(
    value: Any, escaped: bool, size: int
) -> None:
    body = json.dumps(value, ensure_ascii=escaped).encode()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(json_size, "PIECE_BYTES", size)
        assert measure(body) == counted(value)


@given(st.binary())
def test_any_bytes_can_be_measured(body: bytes) -> None:
    found = measure(body)
    assert found.containers + found.separators <= len(body)
