"""Injects faults into every Python process that has this folder on its PYTHONPATH.

Python imports this module at its start. The module wraps functions of the worker when they are imported. At a
named point the process writes a line to the file `events`. If it finds a token file for that point in
FAULTS_FOLDER, such as `kill.committing.1` or `disconnect.before.2`, it deletes the file and performs the
action: it kills or stops itself, closes its connection, or takes long. The first process that finds a token
uses it.
"""

import importlib.abc
import importlib.machinery
import json
import os
import signal
import sys
import time
from collections.abc import Callable, Iterable
from datetime import timedelta
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

FOLDER = Path(os.environ["FAULTS_FOLDER"])
KILLS_PROCESS = "this text kills the process"
OUT_OF_MEMORY, LOSES_DEVICE = "\x07", "\x06"  # characters in texts that cause these faults
OFFSET = float((FOLDER / "clock").read_text())
SIGNALS = {"kill": signal.SIGKILL, "stop": signal.SIGSTOP}


def note(point: str, **facts: Any) -> None:
    line = json.dumps({"at": time.monotonic(), "pid": os.getpid(), "point": point, **facts})
    with (FOLDER / "events").open("a") as events:
        events.write(line + "\n")


def note_claim(point: str, claim: Any) -> None:
    note(point, job=str(claim.job_id), shard=claim.number, epoch=claim.epoch, attempt=claim.attempt)


def take_token(action: str, point: str) -> bool:
    """Whether there was a token. It is deleted now."""
    for token in FOLDER.glob(f"{action}.{point}.*"):
        try:
            token.unlink()
        except FileNotFoundError:  # another process was faster
            continue
        note(action, where=point)
        return True
    return False


def reach(point: str) -> None:
    for action, number in SIGNALS.items():
        if take_token(action, point):
            os.kill(os.getpid(), number)


def wrap_shards(shards: ModuleType) -> None:
    original = shards.commit

    def commit(session: Any, claim: Any, measured: Any) -> None:
        try:
            original(session, claim, measured)
        except shards.Fenced:
            note_claim("fenced", claim)
            raise
        reach("committing")
        lose_connection(session)

    shards.commit = commit  # type: ignore[attr-defined]


def lose_connection(session: Any) -> None:
    """Lose the connection before the server gets the commit, or after the commit and before its answer."""
    import sqlalchemy

    def lose(_: Any) -> None:
        raise sqlalchemy.exc.OperationalError("commit", None, ConnectionError("injected"))

    if take_token("disconnect", "before"):
        session.execute(sqlalchemy.text("select pg_terminate_backend(pg_backend_pid())"))
    if take_token("disconnect", "after"):
        sqlalchemy.event.listen(session, "after_commit", lose, once=True)


def wrap_tasks(tasks: ModuleType) -> None:
    claim_one, measure, commit, notify = (
        tasks._claim,
        tasks.measure,
        tasks._commit,
        tasks.notifications.notify,
    )

    def claim(context: Any) -> Any:
        claimed = claim_one(context)
        if claimed is not None:
            note_claim("claimed", claimed)
            reach("claimed")
        return claimed

    def measured(context: Any, claim: Any, texts: Any, lease: Any, work: Any) -> Any:
        rows = measure(context, claim, texts, lease, work)
        note_claim("measuring", claim)
        time.sleep(float((FOLDER / "slow").read_text()))
        note_claim("measured", claim)
        reach("measured")
        return rows

    def committed(context: Any, claim: Any, rows: Any) -> None:
        commit(context, claim, rows)
        note_claim("committed", claim)
        reach("committed")

    def notified(redis: Any, model: str) -> bool:
        reach("notifying")
        return bool(notify(redis, model))

    for name, wrapper in {"_claim": claim, "measure": measured, "_commit": committed}.items():
        setattr(tasks, name, wrapper)
    others = vars(tasks.notifications)
    tasks.notifications = SimpleNamespace(**{**others, "notify": notified})  # type: ignore[attr-defined]


def delay(point: str) -> None:
    if take_token("delay", point):
        time.sleep(1.5 * float(os.environ["LAYERSCOPE_LEASE_SECONDS"]))


def wrap_finalization(finalization: ModuleType) -> None:
    original = finalization.finalize

    def finalize(session: Any, job: Any) -> None:
        delay("computing")
        original(session, job)
        delay("finalizing")
        note("finalized", job=str(job.id))
        reach("finalizing")

    finalization.finalize = finalize  # type: ignore[attr-defined]


def wrap_measuring(measuring: ModuleType) -> None:
    original = measuring.profile_texts

    def profile_texts(model: Any, texts: Iterable[str], **options: Any) -> Any:
        texts = list(texts)
        if any(KILLS_PROCESS in text for text in texts):
            note("text kills process")
            os.kill(os.getpid(), signal.SIGKILL)
        return original(model, texts, **options)

    measuring.profile_texts = profile_texts  # type: ignore[attr-defined]


def wrap_profile(profile: ModuleType) -> None:
    original = profile.forward

    def forward(model: Any, batch: Any) -> None:
        special = model.tokenizer(OUT_OF_MEMORY + LOSES_DEVICE, add_special_tokens=False)
        out_of_memory, loses_device = special["input_ids"]
        if any(out_of_memory in text.ids for text in batch):
            note("out of memory", texts=len(batch))
            raise profile.torch.OutOfMemoryError("injected")
        if any(loses_device in text.ids for text in batch):
            note("device lost")
            raise profile.torch.AcceleratorError("injected")
        original(model, batch)

    profile.forward = forward  # type: ignore[attr-defined]


def wrap_rq_worker(rq_worker: ModuleType) -> None:
    original = rq_worker.NotifiedWorker.check_for_suspension

    def check(worker: Any, burst: bool) -> None:
        """Called first when the worker has its signal handlers, then before each message."""
        if not getattr(worker, "is_ready", False):
            worker.is_ready = True
            note("ready")
        original(worker, burst)

    rq_worker.NotifiedWorker.check_for_suspension = check


def wrap_loading(loading: ModuleType) -> None:
    original = loading.load_model

    def load_model(*args: Any, **options: Any) -> Any:
        note("loading")
        return original(*args, **options)

    loading.load_model = load_model  # type: ignore[attr-defined]


def wrap_rq_utils(utils: ModuleType) -> None:
    """RQ reads this clock for heartbeats and messages. The project's own code reads no wall clock."""
    original = utils.now
    utils.now = lambda: original() + timedelta(seconds=OFFSET)  # type: ignore[attr-defined]


WRAPPERS: dict[str, Callable[[ModuleType], None]] = {
    "app.jobs.shards": wrap_shards,
    "worker.tasks": wrap_tasks,
    "worker.finalization.finalize": wrap_finalization,
    "worker.measurement.shard": wrap_measuring,
    "layerscope.core.profile": wrap_profile,
    "worker.runtime.model_loading": wrap_loading,
    "worker.runtime.rq_worker": wrap_rq_worker,
    "rq.utils": wrap_rq_utils,
}


class WrappingFinder(importlib.abc.MetaPathFinder):
    """Finds the modules of WRAPPERS like Python does, and wraps them after they were executed."""

    def find_spec(self, name: str, path: Any, target: ModuleType | None = None) -> Any:
        if name not in WRAPPERS:
            return None
        spec = importlib.machinery.PathFinder.find_spec(name, path)
        assert spec is not None
        assert spec.loader is not None
        execute = spec.loader.exec_module

        def execute_and_wrap(module: ModuleType) -> None:
            execute(module)
            WRAPPERS[name](module)

        spec.loader.exec_module = execute_and_wrap  # type: ignore[method-assign]
        return spec


sys.meta_path.insert(0, WrappingFinder())
if OFFSET:
    true_time = time.time
    time.time = lambda: true_time() + OFFSET
    note("clock", offset=OFFSET)
