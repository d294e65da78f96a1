"""Ray: a cluster on this machine for the time of a run, or one that is running already.

Ray is imported only here and within functions, because it is an extra. Its settings are environment variables
that it reads when it is imported.
"""

import logging
import os
import secrets
import tempfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import psutil

from app.errors import ConfigurationError, ModelUnavailable, ShardFailed
from app.local.commands import openmp_waiting
from app.local.stop_signals import stop_on_signals
from layerscope.core.loading.process_setup import usable_processors
from layerscope.errors import ModelError
from worker.corpus.manifest import Manifest
from worker.corpus.measuring import PartMeasurer, PartOutcome, load_and_describe
from worker.corpus.storage import Storage

QUIET = {
    "RAY_USAGE_STATS_ENABLED": "0",  # it would report to its makers
    "RAY_DATA_DISABLE_PROGRESS_BARS": "1",
    "RAY_enable_metrics_collection": "0",
    "RAY_BACKEND_LOG_LEVEL": "fatal",
}
# In spite of its name it makes every process of a cluster on this machine listen on 127.0.0.1 only: with the
# default, which is 1 on Linux, they listen on all interfaces.
LOOPBACK = {"RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER": "0"}
OBJECT_STORE_BYTES = 100 * 2**20  # only the numbers of parts and their outcomes are in it
END_SECONDS = 10
FOLDER = "/tmp"  # the paths of Ray's sockets must be short


@dataclass(frozen=True)
class Actors:
    """How many there are, and what each of them has."""

    count: int
    cpus: int  # also its threads
    gpus: int

    @property
    def options(self) -> dict[str, Any]:
        return {"num_cpus": self.cpus, "num_gpus": self.gpus}


class MeasuringActor:
    """The class of the actors: each has a model for the whole run.

    One thread loads the model and measures, because Ray Data creates an actor in another thread than it calls
    it in. If both threads computed, OpenMP would have more threads than there are processors, and would let
    all of them sleep between operations. At d = 64 this took twice as long.
    """

    def __init__(self, address: str, manifest: Manifest, model: dict[str, Any], threads: int) -> None:
        self._thread = ThreadPoolExecutor(1)
        loading = self._thread.submit(PartMeasurer, Storage(address), manifest, model, threads)
        self._measurer = loading.result()

    def __call__(self, batch: dict[str, Any]) -> dict[str, list[Any]]:
        outcomes = [asdict(self._outcome(int(part))) for part in batch["part"]]
        return {name: [outcome[name] for outcome in outcomes] for name in outcomes[0]}

    def _outcome(self, part: int) -> PartOutcome:
        """Errors are in it: Ray's exception would contain them only as one line of a long text."""
        try:
            return self._thread.submit(self._measurer.measure, part).result()
        except Exception as error:
            return PartOutcome(part, error=str(error) or type(error).__name__)


@contextmanager
def running_ray(cluster: str | None, actors: int | None, device: str) -> Iterator[Actors]:
    """Connects to a cluster, or starts one on this machine and stops all its processes at the end.

    Processes of other users of this machine cannot use the latter: they do not know its token.

    Raises: ConfigurationError if the cluster cannot be reached.
    """
    if cluster is None:
        token = {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": secrets.token_hex(32)}
        os.environ.update(openmp_waiting(actors or 1) | LOOPBACK | token)
    os.environ.update(QUIET)
    import ray

    logging.getLogger("ray").setLevel(logging.ERROR)
    with tempfile.TemporaryDirectory(
        prefix="layerscope-", dir=FOLDER if Path(FOLDER).is_dir() else None, ignore_cleanup_errors=True
    ) as folder:
        try:
            if cluster is None:
                _start(ray, folder)
            else:
                _connect(ray, cluster)
            with stop_on_signals():  # Ray has replaced the handlers
                machines = [node["Resources"] for node in ray.nodes() if node["Alive"]]  # type: ignore[no-untyped-call]
                yield plan_actors(machines, actors, device)
        finally:
            started = psutil.Process().children(recursive=True)
            ray.shutdown()
            _wait_for_end(started)


def _start(ray: Any, folder: str) -> None:
    ray.init(
        address="local",
        num_cpus=usable_processors(),
        include_dashboard=False,
        object_store_memory=OBJECT_STORE_BYTES,
        log_to_driver=False,
        logging_level=logging.ERROR,
        _temp_dir=folder,
    )


def _wait_for_end(processes: list[Any]) -> None:
    """Ray does not wait for its processes. Those that do not end are killed."""
    _, running = psutil.wait_procs(processes, timeout=END_SECONDS)
    for process in running:
        with suppress(psutil.NoSuchProcess):
            process.kill()
    psutil.wait_procs(running, timeout=END_SECONDS)


def _connect(ray: Any, cluster: str) -> None:
    try:
        ray.init(address=cluster, log_to_driver=False, logging_level=logging.ERROR)
    except (ConnectionError, ValueError, RuntimeError) as error:
        cause = str(error).partition("\n")[0]
        raise ConfigurationError(f"The Ray cluster {cluster} cannot be reached: {cause}") from error


def plan_actors(machines: Sequence[Mapping[str, float]], wanted: int | None, device: str) -> Actors:
    """`machines`: the resources of each. Raises: ConfigurationError if there are too few for the actors."""
    cpus = [int(machine.get("CPU", 0)) for machine in machines]
    gpus = 0 if device == "cpu" else int(sum(machine.get("GPU", 0) for machine in machines))
    count = wanted or gpus or 1
    has, what = (gpus, "GPUs") if gpus else (sum(cpus), "processors")
    if count > has:
        raise ConfigurationError(f"{count} actors need {count} {what}; there are {has}: use --actors {has}.")
    return Actors(count, 1, 1) if gpus else Actors(count, _equal_share(cpus, count), 0)


def _equal_share(cpus: Sequence[int], count: int) -> int:
    """The largest number of processors that `count` actors can have, each on one machine."""
    return max(share for share in range(1, max(cpus) + 1) if sum(each // share for each in cpus) >= count)


def describe_model(model: dict[str, Any], actors: Actors) -> dict[str, Any]:
    """The facts of the model, as the first process loads it that has what an actor has.

    Raises: ModelUnavailable if it cannot be loaded.
    """
    import ray

    described = ray.remote(**actors.options, max_calls=1)(_described)
    try:
        found: dict[str, Any] | str = ray.get(described.remote(model, actors.cpus))
    except ray.exceptions.RayError as error:  # for example, the process has not enough memory
        raise ModelUnavailable(f"The model could not be loaded: {_cause(error)}.") from error
    if isinstance(found, str):
        raise ModelUnavailable(found)
    return found


def _described(model: dict[str, Any], threads: int) -> dict[str, Any] | str:
    """The facts, or why the model cannot be loaded: Ray would add a traceback to the exception."""
    try:
        return load_and_describe(model, threads)[1]
    except ModelError as error:
        return str(error)


def measure_parts(
    storage: Storage, manifest: Manifest, model: dict[str, Any], parts: Iterable[int], actors: Actors
) -> Iterator[PartOutcome]:
    """The outcome of each part, in the order in which they are complete.

    Ray starts an actor again whose process died, and repeats its part. Raises: ShardFailed.
    """
    import ray
    import ray.data

    logging.getLogger("ray.data").setLevel(logging.CRITICAL)  # its errors are also raised
    context = ray.data.DataContext.get_current()
    context.enable_progress_bars = False
    context.print_on_execution_start = False
    rows = [{"part": part} for part in parts]
    measured = ray.data.from_items(rows, override_num_blocks=len(rows)).map_batches(
        MeasuringActor,
        batch_size=1,
        compute=ray.data.ActorPoolStrategy(size=actors.count),
        fn_constructor_args=(storage.address, manifest, model, actors.cpus),
        **actors.options,
    )
    try:
        for row in measured.iter_rows():
            outcome = PartOutcome(**row)
            if outcome.error is not None:
                raise ShardFailed(f"The corpus could not be measured: {outcome.error.rstrip('.')}.")
            yield outcome
    except ray.exceptions.RayError as error:
        raise ShardFailed(f"The corpus could not be measured: {_cause(error)}.") from error


def _cause(error: BaseException) -> str:
    """The last line of the traceback in an actor, which Ray has in its message."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return (lines[-1] if lines else type(error).__name__).rstrip(".")
