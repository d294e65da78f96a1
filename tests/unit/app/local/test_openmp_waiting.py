"""How the threads of OpenMP wait."""

import pytest

from app.local.commands import SLEEP_AT_ONCE, SPIN_BRIEFLY, openmp_waiting


@pytest.fixture(autouse=True)
def _no_choice(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in (*SPIN_BRIEFLY, *SLEEP_AT_ONCE):
        monkeypatch.delenv(name, raising=False)


def test_processes_that_share_the_machine_sleep() -> None:
    assert openmp_waiting(1) == SPIN_BRIEFLY
    assert openmp_waiting(2) == SLEEP_AT_ONCE


@pytest.mark.parametrize("name", [*SPIN_BRIEFLY, *SLEEP_AT_ONCE])
def test_a_choice_of_the_user_is_kept(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(name, "ACTIVE")
    assert openmp_waiting(1) == openmp_waiting(2) == {}
