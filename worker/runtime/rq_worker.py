"""The RQ worker: one process, one queue, the model in memory, one function that it runs."""

import logging
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

from app.jobs.notifications import DRAIN, FAILURE_TTL, NO_RESULT, NO_TIMEOUT

HEARTBEAT_SECONDS = 5
TTL_SECONDS = HEARTBEAT_SECONDS + 15  # RQ waits at most TTL - 15 seconds for a message
ALIVE_SECONDS = 3 * HEARTBEAT_SECONDS  # a worker without a heartbeat for longer counts as dead
PAUSE_SECONDS = 1.0
MEMBERS = (b"created_at", b"data", b"description", b"enqueued_at", b"origin", b"status")  # of a message

log = logging.getLogger(__name__)


def run_worker(queue: Queue, stopping: threading.Event) -> None:
    """Work a queue until a signal. While Redis is unavailable the process waits, with its model in memory."""
    with suppress(StopRequested):
        while not stopping.is_set():
            try:
                NotifiedWorker(queue, stopping).work(logging_level="WARNING")
            except RedisError as error:
                log.warning("Redis is unavailable: %s", error)
            stopping.wait(PAUSE_SECONDS)


class DrainJob(Job):
    """A message that can only run `drain`: anyone who can write to Redis can write any message.

    All other members of a message are ignored: callbacks, webhooks, timeouts, results, retries, repetitions.
    """

    def restore(self, raw_data: Any) -> None:
        """Called with the hash of a message in Redis."""
        super().restore({name: value for name, value in raw_data.items() if name in MEMBERS})
        self.timeout, self.result_ttl, self.failure_ttl = NO_TIMEOUT, NO_RESULT, FAILURE_TTL

    def perform(self) -> Any:
        try:
            if self.func_name != DRAIN:
                raise PermissionError(f"a message names {self.func_name!r}; only {DRAIN} is allowed")
            return super().perform()
        except Exception:
            log.exception("the message failed")  # RQ writes the traceback into its message, which is cut
            raise


class NotifiedWorker(SimpleWorker):
    """Runs messages in its own process, sends heartbeats meanwhile, stops gracefully at the first signal."""

    job_class = DrainJob
    max_connection_wait_time = PAUSE_SECONDS

    def __init__(self, queue: Queue, stopping: threading.Event, **kwargs: Any) -> None:
        super().__init__(
            [queue],
            connection=queue.connection,
            serializer=queue.serializer,
            worker_ttl=TTL_SECONDS,
            maintenance_interval=HEARTBEAT_SECONDS * 2,
            log_job_description=False,
            **kwargs,
        )
        self._stopping = stopping

    def heartbeat(self, timeout: int | None = None, pipeline: Any = None) -> None:
        """Registers the worker again each time, because Redis may have been emptied since the start."""
        super().heartbeat(ALIVE_SECONDS, pipeline)
        connection = self.connection if pipeline is None else pipeline
        connection.hset(self.key, mapping=self.serialize())
        worker_registration.register(self, pipeline)

    def subscribe(self) -> None:
        """Ignores commands over Redis: anyone who can write to it could stop the worker."""

    def execute_job(self, job: Job, queue: Queue) -> None:
        done = threading.Event()
        heartbeats = threading.Thread(
            target=self._send_heartbeats, args=(done,), name="heartbeat", daemon=True
        )
        heartbeats.start()
        try:
            super().execute_job(job, queue)
        finally:
            done.set()
            heartbeats.join()

    def _send_heartbeats(self, done: threading.Event) -> None:
        while not done.wait(HEARTBEAT_SECONDS):
            try:
                self.heartbeat()
            except RedisError as error:
                log.warning("a heartbeat could not be sent: %s", error)

    def check_for_suspension(self, burst: bool) -> None:
        """Called before each message. Raises: StopRequested."""
        if self._stopping.is_set():
            raise StopRequested
        super().check_for_suspension(burst)

    def request_stop(self, signum: int, frame: FrameType | None) -> None:
        """RQ's handler of SIGINT and SIGTERM. Busy: finish the message. Idle: stop waiting.

        A second signal changes nothing.
        """
        if self._stopping.is_set():
            return
        self._stopping.set()
        if self.get_state() != WorkerStatus.BUSY:
            raise StopRequested
