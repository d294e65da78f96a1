"""Polls the state of a job while faults are injected, and checks every answer."""

import threading
from types import TracebackType
from typing import Any

import httpx

from tests.faults.support.checks import counter_errors, decreases
from tests.faults.support.service import RunningService
from tests.support.programs.processes import wait_for

POLL_SECONDS = 0.05


class JobMonitor:
    """A context manager that polls a job in a thread, and fails at its end if an answer was wrong."""

    def __init__(
        self, service: RunningService, job_id: str, *, allows_503: bool = False, api_dies: bool = False
    ) -> None:
        """`allows_503`: the API may answer the documented 503. `api_dies`: connections may break."""
        self._service, self._job_id = service, job_id
        self._allows_503, self._api_dies = allows_503, api_dies
        self._errors: list[str] = []
        self._last: dict[str, Any] | None = None
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="monitor")
        self.polls = 0

    def __enter__(self) -> "JobMonitor":
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stopping.set()
        self._thread.join()
        if error is None:
            assert self._errors == []
            assert self.polls > 0

    def wait_for_end(self, seconds: float) -> None:
        """Wait until the job is finished, and fail if that takes longer."""
        wait_for(lambda: (self._last is not None and self._last["finished_at"]) or self._errors, seconds)
        assert self._errors == []

    def _run(self) -> None:
        with httpx.Client(base_url=self._service.base_url, timeout=30, trust_env=False) as client:
            while not self._stopping.wait(POLL_SECONDS):
                try:
                    self.check(client.get(f"/v1/jobs/{self._job_id}"))
                except httpx.TransportError as error:
                    if not self._api_dies:
                        self._errors.append(f"no answer: {error!r}")

    def check(self, answer: httpx.Response) -> None:
        if answer.status_code == 503 and self._allows_503:
            if answer.headers.get("retry-after") is None or "problem" not in answer.headers["content-type"]:
                self._errors.append(f"not the documented 503: {answer.headers}")
            return
        if answer.status_code != 200:
            self._errors.append(f"{answer.status_code}: {answer.text}")
            return
        self.polls += 1
        state = answer.json()
        self._errors += [*counter_errors(state), *(decreases(self._last, state) if self._last else [])]
        self._last = state
