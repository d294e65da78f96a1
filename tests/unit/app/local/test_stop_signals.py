"""A stop signal ends a command even where Python drops the exception."""

import signal

import pytest

from app.local.stop_signals import Stop, pause, stop_on_signals


class StoppedInItsDestructor:
    def __del__(self) -> None:
        signal.raise_signal(signal.SIGTERM)


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_a_stop_that_python_dropped_is_raised_by_the_next_pause() -> None:
    with stop_on_signals():
        StoppedInItsDestructor()  # nothing is raised here
        with pytest.raises(Stop) as stopped:
            pause(0)
    assert stopped.value.exit_code == 128 + signal.SIGTERM
    pause(0)
