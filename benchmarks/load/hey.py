"""Requests at a constant rate by the load generator hey (https://github.com/rakyll/hey), a Debian package.

The clients of one process would all send at the same time. Therefore each client is a process, and they start
one after the other.
"""

import csv
import io
import math
import shutil
import subprocess
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

CLIENTS = 4
COMPLETE = 0.98  # a client starts and ends between two requests


class HeyNotInstalled(Exception):
    """The message says how to install it."""


@dataclass(frozen=True)
class Responses:
    """`seconds`: the response times, in ascending order. `statuses`: how often each status was returned.

    `wanted`: rate × duration. hey does not list a request without a response, and it sends fewer requests if
    the responses take longer than the pause between two of a client.
    """

    seconds: tuple[float, ...]
    statuses: Counter[int]
    wanted: int

    def milliseconds(self, quantile: float) -> float:
        """The smallest time that at least this share of the responses did not exceed."""
        return 1000 * self.seconds[max(0, math.ceil(quantile * len(self.seconds)) - 1)]

    def summary(self) -> str:
        """The median, the 99th percentile and the maximum in ms; other statuses; missing responses."""
        parts = [", ".join(f"{self.milliseconds(share):.1f}" for share in (0.5, 0.99, 1))]
        if others := {status: count for status, count in self.statuses.items() if status != 200}:
            parts.append(str(others))
        if len(self.seconds) < COMPLETE * self.wanted:
            parts.append(f"({len(self.seconds):,} of {self.wanted:,} responses)")
        return " ".join(parts)


def polls(url: str, rate: int = 100, seconds: int = 10) -> Responses:
    """GET requests for `seconds`, `rate` per second in all. Raises: HeyNotInstalled."""
    program = shutil.which("hey")
    if program is None:
        raise HeyNotInstalled("The load generator is not installed: apt-get install hey")
    command = (program, "-z", f"{seconds}s", "-c", "1", "-q", str(rate // CLIENTS), "-o", "csv", url)
    clients = []
    for _ in range(CLIENTS):
        clients.append(subprocess.Popen(command, stdout=subprocess.PIPE, text=True))
        time.sleep(1 / rate)
    return _merged([client.communicate()[0] for client in clients], rate * seconds)


def _merged(outputs: Sequence[str], wanted: int) -> Responses:
    rows = [row for output in outputs for row in csv.DictReader(io.StringIO(output))]
    return Responses(
        tuple(sorted(float(row["response-time"]) for row in rows)),
        Counter(int(row["status-code"]) for row in rows),
        wanted,
    )
