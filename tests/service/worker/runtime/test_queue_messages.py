"""A forged message in Redis can do nothing but run `drain`."""

import os
import pickle
import socket
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from redis import Redis
from rq import Callback, Queue, Repeat, Retry, Webhook
from rq.serializers import DefaultSerializer
from sqlalchemy.orm import Session, sessionmaker

from app.jobs.notifications import DRAIN, queue_of
from layerscope.core import Model, load_model
from tests.support.jobs.contexts import context_of
from tests.support.jobs.jobs_by_hand import MODEL
from tests.support.models.tiny import causal_model, save
from worker import tasks
from worker.runtime.rq_worker import NotifiedWorker


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Model:
    return load_model(save(causal_model(), tmp_path_factory.mktemp("model")))


@pytest.fixture
def queue(
    model: Model, sessions: sessionmaker[Session], redis: Redis, monkeypatch: pytest.MonkeyPatch
) -> Queue:
    monkeypatch.setattr(tasks, "_context", context_of(model, sessions, redis))
    return queue_of(redis, MODEL)


@pytest.fixture
def listener() -> Iterator[socket.socket]:
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.settimeout(0.2)
        yield server


def work(queue: Queue) -> None:
    NotifiedWorker(queue, threading.Event()).work(burst=True, logging_level="CRITICAL")


@pytest.mark.parametrize("arguments", [(MODEL,), ("another-model",)], ids=["succeeds", "fails"])
def test_callbacks_webhooks_results_and_retries_are_ignored(
    queue: Queue,
    redis: Redis,
    listener: socket.socket,
    capsys: pytest.CaptureFixture[str],
    arguments: tuple[str, ...],
) -> None:
    url = f"http://127.0.0.1:{listener.getsockname()[1]}/"
    callback = Callback("builtins.print")
    message = queue.enqueue(
        DRAIN,
        *arguments,
        on_success=callback,
        on_failure=callback,
        on_stopped=callback,
        webhooks=[Webhook(url, status) for status in ("finished", "failed")],
        result_ttl=500,
        failure_ttl=5000,
        job_timeout=1000,
        retry=Retry(max=5),
        repeat=Repeat(times=5),
        meta={"a": 1},
    )
    work(queue)
    with pytest.raises(TimeoutError):
        listener.accept()
    assert capsys.readouterr().out == ""
    assert queue.is_empty()
    assert len(queue.finished_job_registry) == len(queue.scheduled_job_registry) == 0
    if arguments == (MODEL,):
        assert redis.keys("rq:job:*") + redis.keys("rq:results:*") == []
    else:
        assert 0 < redis.ttl(f"rq:job:{message.id}") <= 60


def test_a_timeout_of_a_message_does_not_interrupt_drain(
    queue: Queue, monkeypatch: pytest.MonkeyPatch
) -> None:
    ran = []

    def drain(*_: object, **__: object) -> None:
        time.sleep(2.5)
        ran.append("whole")

    monkeypatch.setattr(tasks, "_drain", drain)
    queue.enqueue(DRAIN, MODEL, job_timeout=1)
    work(queue)
    assert ran == ["whole"]


class MakesFolder:
    """Reading its pickle makes a folder."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def __reduce__(self) -> tuple[Callable[[str], None], tuple[str]]:
        return os.mkdir, (str(self._path),)


def test_a_pickle_is_not_read(queue: Queue, redis: Redis, tmp_path: Path) -> None:
    attack = MakesFolder(tmp_path / "made")
    Queue(queue.name, connection=redis, serializer=DefaultSerializer).enqueue(DRAIN, attack)
    work(queue)
    assert queue.is_empty()
    assert list(tmp_path.iterdir()) == []
    pickle.loads(pickle.dumps(attack))
    assert (tmp_path / "made").is_dir()


@pytest.mark.parametrize("function", ["os.mkdir", "worker.tasks.set_context", "builtins.exec"])
def test_another_function_is_not_run(queue: Queue, tmp_path: Path, function: str) -> None:
    queue.enqueue(function, str(tmp_path / "made"))
    work(queue)
    assert list(tmp_path.iterdir()) == []
    assert tasks._context is not None
