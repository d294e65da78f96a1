"""`python -m worker --model NAME`: a worker process, which leaves at the first signal from its start on."""

import os
import signal
import sys
from types import FrameType


def leave(signum: int, frame: FrameType | None) -> None:
    """While the process starts and its model loads, nothing is in hand that had to be given back.

    At most an attempt to close a job whose model can't be loaded stays counted.
    """
    os._exit(0)


if __name__ == "__main__":
    signal.signal(signal.SIGINT, leave)
    signal.signal(signal.SIGTERM, leave)
    from worker.process import main  # torch takes seconds: a signal may come before it is there

    sys.exit(main())
