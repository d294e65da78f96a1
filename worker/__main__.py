"""`python -m worker --model NAME`: starts a worker process. A stop signal also ends it during start-up."""

import os
import signal
import sys
from types import FrameType


def exit_at_once(signum: int, frame: FrameType | None) -> None:
    """While the process starts and its model loads, it holds no shard that it would have to release.

    If it is finalizing jobs of a model that cannot be loaded, one finalization attempt stays counted.
    """
    os._exit(0)


if __name__ == "__main__":
    signal.signal(signal.SIGINT, exit_at_once)
    signal.signal(signal.SIGTERM, exit_at_once)
    from worker.process import main  # importing torch takes seconds, and a signal may arrive meanwhile

    sys.exit(main())
