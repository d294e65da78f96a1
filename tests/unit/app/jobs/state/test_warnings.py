"""Warnings about domains with few texts."""

import pytest

from app.jobs.counts import DomainProgress
from app.jobs.state.warnings import warnings_about


@pytest.mark.parametrize(
    ("domain", "is_finished", "shown"),
    [
        (DomainProgress("cpp", texts=1_000, done=3, failed=0, tokens=9), True, "cpp has 3"),
        (DomainProgress("cpp", texts=1_000, done=3, failed=0, tokens=9), False, None),
        (DomainProgress("cpp", texts=10, done=0, failed=4, tokens=0), False, "cpp has 6"),
        (DomainProgress("cpp", texts=20, done=0, failed=20, tokens=0), True, None),
        (DomainProgress("cpp", texts=20, done=8, failed=12, tokens=80), True, None),
    ],
)
def test_the_texts_that_have_numbers_count(
    domain: DomainProgress, is_finished: bool, shown: str | None
) -> None:
    found = warnings_about([domain], is_finished)
    assert [f"Fewer than 8 texts: {shown}. Their intervals assume normal values."] * bool(shown) == found
