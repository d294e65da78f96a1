"""`layerscope show` and `layerscope watch`"""

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING

from layerscope.cli.connection import DEFAULT_SERVER, JobArgument, JsonOption, ServerOption, connect
from layerscope.cli.output import print_json, print_line, print_table

if TYPE_CHECKING:
    from layerscope.client import Job


def show(job: JobArgument, server: ServerOption = DEFAULT_SERVER, as_json: JsonOption = False) -> None:
    """Show a job: its progress, options, domains, warnings and error."""
    with connect(server) as client:
        _print(client.get(job), as_json)


def watch(job: JobArgument, server: ServerOption = DEFAULT_SERVER, as_json: JsonOption = False) -> None:
    """Wait until a job is finished, and show it. The exit code is 1 if the job failed or was cancelled."""
    from layerscope.cli.watching import watch_job

    with connect(server) as client:
        handle = client.get(job)
        try:
            watch_job(client, handle)
        finally:
            if handle.is_finished:
                _print(handle, as_json)


def _print(job: "Job", as_json: bool) -> None:
    if as_json:
        print_json(job.state.model_dump(mode="json"))
        return
    for name, value in _facts(job):
        print_line(f"{name:9} {value}")
    print_line("")
    domains = job.domains.items()
    print_table(
        ("domain", "texts", "done", "failed"), [(name, d.texts, d.done, d.failed) for name, d in domains]
    )


def _facts(job: "Job") -> Iterator[tuple[str, str]]:
    from layerscope.client.progress_display import in_words

    state = job.state
    yield "job", state.id + (f" ({state.name})" if state.name else "")
    yield "status", in_words(state)
    yield "model", _model(job)
    yield "options", _options(state.options)
    yield "created", f"{state.created_at:%Y-%m-%d %H:%M:%S} UTC"
    if state.started_at and state.finished_at:
        seconds = (state.finished_at - state.started_at).total_seconds()
        yield "took", f"{seconds:.1f} s, {state.progress.tokens:,} tokens"
    for warning in state.warnings:
        yield "warning", warning
    if state.error:
        yield "error", f"{state.error.title}: {state.error.detail}"
    yield "page", job.url


def _model(job: "Job") -> str:
    model = job.state.model
    facts = [model.source, model.revision, model.dtype, f"{model.layers} layers" if model.layers else None]
    return ", ".join([model.name, *filter(None, facts)])


def _options(options: Mapping[str, object]) -> str:
    return ", ".join(
        f"{name}={_value(value)}" for name, value in options.items() if value not in (None, False, [])
    )


def _value(value: object) -> str:
    return "+".join(map(str, value)) if isinstance(value, list) else str(value)
