"""The RQ worker that stays: one process, one queue, the model in memory, one function it will run."""

import logging
import signal
import threading
from contextlib import suppress
from types import FrameType
from typing import Any

from redis import RedisError
from rq import SimpleWorker, worker_registration
from rq.exceptions import StopRequested
from rq.job import Job
from rq.queue import Queue
from rq.worker import WorkerStatus

from app.jobs.notifications import DRAIN

BEAT_SECONDS = 5
TTL_SECONDS = BEAT_SECONDS + 15  # between two heartbeats RQ waits 15 seconds less for a message
ALIVE_SECONDS = 3 * BEAT_SECONDS  # without a heartbeat for so long a worker counts as gone
PAUSE_SECONDS = 1.0

log = logging.getLogger(__name__)


def run_worker(queue: Queue, stopping: threading.Event) -> None:
    """Work a queue until a signal. Where Redis goes away the process waits for it, and keeps its model."""
    with suppress(StopRequested):
        while not stopping.is_set():
            try:
                NotifiedWorker(queue, stopping).work(logging_level="WARNING")
            except RedisError as error:
                log.warning("Redis is away: %s", error)
            stopping.wait(PAUSE_SECONDS)


class DrainJob(Job):
    """A message of which nothing is obeyed but the bell: whoever writes to Redis can name any function."""

    def perform(self) -> Any:
        if self.func_name != DRAIN:
            raise PermissionError(f"a message named {self.func_name!r}, only {DRAIN} is run")
        return super().perform()


class NotifiedWorker(SimpleWorker):
    """Runs messages in its own process, beats while they run, and stops warm at the first signal."""

    job_class = DrainJob
    max_connection_wait_time = PAUSE_SECONDS

    def __init__(self, queue: Queue, stopping: threading.Event, **kwargs: Any) -> None:
        super().__init__(
            [queue],
            connection=queue.connection,
            serializer=queue.serializer,
            worker_ttl=TTL_SECONDS,
            maintenance_interval=BEAT_SECONDS * 2,
            log_job_description=False,
            **kwargs,
        )
        self._stopping = stopping

    def heartbeat(self, timeout: int | None = None, pipeline: Any = None) -> None:
        """With the registration again: Redis may have been emptied since the birth."""
        super().heartbeat(ALIVE_SECONDS, pipeline)
        connection = self.connection if pipeline is None else pipeline
        connection.hset(self.key, mapping=self.serialize())
        worker_registration.register(self, pipeline)

    def subscribe(self) -> None:
        """Commands over Redis are not listened to: whoever writes to it could end the worker."""

    def execute_job(self, job: Job, queue: Queue) -> None:
        done = threading.Event()
        beat = threading.Thread(target=self._beat, args=(done,), name="heartbeat", daemon=True)
        beat.start()
        try:
            super().execute_job(job, queue)
        finally:
            done.set()
            beat.join()

    def _beat(self, done: threading.Event) -> None:
        while not done.wait(BEAT_SECONDS):
            try:
                self.heartbeat()
            except RedisError as error:
                log.warning("no heartbeat: %s", error)

    def _install_signal_handlers(self) -> None:
        signal.signal(signal.SIGTERM, self.request_stop)
        signal.signal(signal.SIGINT, self.request_stop)

    def request_stop(self, signum: int, frame: FrameType | None) -> None:
        """Busy: let the message come to its end; idle: leave the wait. A second signal adds nothing."""
        if self._stop_requested:
            return
        self._stopping.set()
        self._stop_requested = True
        if self.get_state() != WorkerStatus.BUSY:
            raise StopRequested
