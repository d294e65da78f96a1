"""The sample run: profiles the texts of `samples/` through a service over HTTP and downloads the results."""

import csv
import json
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table

from app.errors import ProfilingFailed
from app.plots import PLOTS
from app.resources import SAMPLES
from layerscope.names import POOLED_DOMAIN, Scope

TABLES = (
    "results.csv",
    "transitions.csv",
    "texts.csv",
    "comparison.csv",
    "first_token.csv",
    "massive_tokens.csv",
)
WAIT_SECONDS = 1
ANSWER_SECONDS = 120.0  # a plot waits for the plots that are drawn before it
PROGRESS_LINES = 4  # without a terminal
TOP_LAYERS = 3  # shown for each domain
LOOPBACK = ("127.0.0.1", "localhost", "::1")

State = dict[str, Any]


@dataclass(frozen=True)
class SampleRun:
    """What is requested of the service, and the tables that are downloaded besides the plots.

    One of the plots needs the analysis `ablation`.
    """

    model: str
    options: Mapping[str, Any]
    tables: tuple[str, ...] = TABLES


DEMO = SampleRun("demo", {"analyses": ["ablation"], "analysis_texts": 16})  # enough for every plot, and fast


def profile(
    base_url: str, out: Path, samples: Path = SAMPLES, run: SampleRun = DEMO, key: str | None = None
) -> None:
    """Profile the sample texts. Writes tables and plots to `out` and a summary to stdout.

    Raises: ProfilingFailed; httpx.HTTPError if the service does not answer.
    """
    console, started = Console(highlight=False), time.monotonic()
    use_proxy = httpx.URL(base_url).host not in LOOPBACK
    headers = {} if key is None else {"Authorization": f"Bearer {key}"}
    with httpx.Client(
        base_url=base_url, headers=headers, timeout=ANSWER_SECONDS, trust_env=use_proxy
    ) as client:
        state = _submit(client, run, read_samples(samples))
        with _cancelled_on_error(client, state):
            follow = _show_bar if console.is_terminal else _print_lines
            state = follow(console, _states(client, state))
        _check_outcome(state)
        _download(client, state, run.tables, out)
    console.print(_summary(out / "results.csv"))
    _print(console, f"{_count(state)} in {time.monotonic() - started:.0f} s.")
    _print(console, f"{', '.join(run.tables)} and {len(PLOTS)} plots are in {out}/.")


def read_samples(samples: Path = SAMPLES) -> dict[str, list[str]]:
    """The texts of each domain, in the order of the job. Raises: ProfilingFailed if there are none."""
    texts = {file.stem: json.loads(file.read_text("utf-8")) for file in sorted(samples.glob("*.json"))}
    if not texts:
        raise ProfilingFailed(f"There are no sample texts in {samples}.")
    return texts


def _print(console: Console, text: str) -> None:
    console.print(text, markup=False, soft_wrap=True)


# Submitting the job and waiting for it


def _checked(answer: httpx.Response) -> httpx.Response:
    """Raises: ProfilingFailed with the detail of the problem."""
    if answer.is_success:
        return answer
    answer.read()
    with suppress(ValueError, KeyError, TypeError):
        raise ProfilingFailed(f"The service rejected the request: {answer.json()['detail']}")
    raise ProfilingFailed(f"{answer.url} answered {answer.status_code}: it is not a Layerscope service.")


def _submit(client: httpx.Client, run: SampleRun, texts: dict[str, list[str]]) -> State:
    request = {"model": run.model, "name": "samples", "texts": texts, "options": run.options}
    state: State = _checked(client.post("/v1/jobs", json=request)).json()
    return state


def _states(client: httpx.Client, state: State) -> Iterator[State]:
    """The state of the job, once a second and when the job is finished. The last one is final."""
    while True:
        yield state
        if state["finished_at"] is not None:
            return
        state = _checked(client.get(state["links"]["self"], params={"wait": WAIT_SECONDS})).json()


@contextmanager
def _cancelled_on_error(client: httpx.Client, state: State) -> Iterator[None]:
    try:
        yield
    except BaseException:
        with suppress(httpx.HTTPError):
            client.post(f"{state['links']['self']}/cancel")
        raise


def _check_outcome(state: State) -> None:
    if state["error"] is not None:
        raise ProfilingFailed(f"{state['error']['title']}: {state['error']['detail']}")
    if state["status"] != "succeeded":
        raise ProfilingFailed(f"The job was {state['status']}.")


# Progress


def _count(state: State) -> str:
    progress = state["progress"]
    failed = f", {progress['failed']} failed" if progress["failed"] else ""
    return f"{progress['done']} of {progress['texts']} texts measured{failed}"


def _show_bar(console: Console, states: Iterator[State]) -> State:
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=console) as bar:
        task = bar.add_task("")
        for state in states:
            progress = state["progress"]
            finished = progress["done"] + progress["failed"]
            bar.update(task, description=state["status"], total=progress["texts"], completed=finished)
    return state


def _print_lines(console: Console, states: Iterator[State]) -> State:
    printed = -1
    for state in states:
        progress = state["progress"]
        part = PROGRESS_LINES * (progress["done"] + progress["failed"]) // progress["texts"]
        if part > printed or state["finished_at"] is not None:
            printed = part
            _print(console, f"{state['status']}: {_count(state)}")
    return state


# Results


def _download(client: httpx.Client, state: State, tables: Sequence[str], out: Path) -> None:
    addresses = {name: name for name in tables} | {f"{name}.png": f"plots/{name}.png" for name in PLOTS}
    try:
        out.mkdir(parents=True, exist_ok=True)
        for name, address in addresses.items():
            with client.stream("GET", f"{state['links']['self']}/{address}") as answer:
                _write(out / name, _checked(answer).iter_bytes)
    except OSError as error:
        raise ProfilingFailed(
            f"The folder {out} is not writable ({error.strerror}): choose another folder with --out."
        ) from error


def _write(path: Path, pieces: Callable[[], Iterator[bytes]]) -> None:
    """Write the whole file or nothing. An older file stays until the new one is complete."""
    unfinished = path.with_name(f".{path.name}.part")
    try:
        with unfinished.open("wb") as file:
            file.writelines(pieces())
        unfinished.replace(path)
    finally:
        unfinished.unlink(missing_ok=True)


def _summary(results: Path) -> Table:
    """The layers that contribute most in each domain, in absolute terms and relative to the residual."""
    table = Table(title="Layers that contribute most (scope typical, component block)", title_justify="left")
    table.add_column("domain")
    for metric in ("delta_abs_mean", "relative_norm"):
        table.add_column("layer", justify="right")
        table.add_column(metric, justify="right")
    with results.open(encoding="utf-8", newline="") as file:
        rows = [row for row in csv.DictReader(file) if _is_shown(row)]
    for domain in dict.fromkeys(row["domain"] for row in rows):
        of_domain = [row for row in rows if row["domain"] == domain]
        absolute, relative = _top(of_domain, "delta_abs_mean"), _top(of_domain, "relative_norm")
        for place, (one, other) in enumerate(zip(absolute, relative, strict=True)):
            table.add_row("" if place else domain, *one, *other)
        table.add_section()
    return table


def _is_shown(row: dict[str, str]) -> bool:
    in_scope = row["scope"] == Scope.TYPICAL and row["component"] == "block"
    return in_scope and row["domain"] != POOLED_DOMAIN and row["delta_abs_mean"] != ""


def _top(rows: list[dict[str, str]], metric: str) -> list[tuple[str, str]]:
    highest = sorted(rows, key=lambda row: -float(row[metric]))[:TOP_LAYERS]
    return [(row["layer"], f"{float(row[metric]):.3g}") for row in highest]
