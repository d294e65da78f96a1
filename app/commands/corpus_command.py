"""`layerscope corpus`. Slow imports are in the functions that need them, to keep `--help` fast."""

import tempfile
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from app.commands.profile_command import DomainOption, LinesOption, ModelOption, NameOption, TextOption
from layerscope.cli import job_options

if TYPE_CHECKING:
    from app.commands.corpus_task import CorpusTask
    from app.settings import Settings

STOP_SECONDS = 30  # Ray ends its processes within seconds
OPTIONS = ("max_tokens", "overflow", "components", "window", "analyses", "analysis_texts", "special_tokens")

InputsArgument = Annotated[
    list[str],
    typer.Argument(
        metavar="IN... OUT",
        help="Files and folders as for `layerscope profile`, or addresses such as s3://bucket/folder; then "
        "the folder or address of the results.",
        show_default=False,
    ),
]
ActorsOption = Annotated[
    int | None,
    typer.Option(min=1, help="Processes with a model each. Default: one for each GPU, or one without GPUs."),
]
ClusterOption = Annotated[
    str | None, typer.Option(metavar="ADDRESS", help="A running Ray cluster. Default: start one here.")
]


def corpus(
    context: typer.Context,
    paths: InputsArgument,
    text: TextOption = None,
    domain: DomainOption = None,
    lines: LinesOption = False,
    model: ModelOption = None,
    name: NameOption = None,
    actors: ActorsOption = None,
    cluster: ClusterOption = None,
    max_tokens: job_options.MaxTokensOption = None,
    overflow: job_options.OverflowOption = None,
    components: job_options.ComponentsOption = None,
    window: job_options.WindowOption = None,
    analyses: job_options.AnalysesOption = None,
    analysis_texts: job_options.AnalysisTextsOption = None,
    special_tokens: job_options.SpecialTokensOption = None,
) -> None:
    """Measure a corpus on Ray, on one machine or on many, without the service.

    The results are those of a job with the same texts. Repeat the command to continue after an interruption:
    parts that are complete are not measured again.
    """
    from app.errors import ConfigurationError

    arguments = locals()
    options = job_options.given_options({key: arguments[key] for key in OPTIONS})
    if len(paths) < 2:
        raise ConfigurationError("Name the inputs, and then the folder of the results.")
    if find_spec("ray") is None:
        raise ConfigurationError("`layerscope corpus` needs Ray: run `pip install 'layerscope[ray]'`.")
    settings: Settings = context.obj()
    model_name, keys = _model(settings, model)
    task = {
        "inputs": [_absolute(path) for path in paths[:-1]],
        "text": text,
        "domain": domain,
        "lines": lines,
        "name": name,
        "model_name": model_name,
        "model": keys,
        "options": _checked(options),
        "out": _absolute(paths[-1]),
        "actors": actors,
        "cluster": cluster,
    }
    raise typer.Exit(_run(_complete(task, settings)))


def _absolute(path: str) -> str:
    """The actors may run in another folder."""
    return path if "://" in path or path == "-" else str(Path(path).resolve())


def _model(settings: "Settings", wanted: str | None) -> tuple[str, dict[str, Any]]:
    """The name of the model, and the keys of its table. Raises: ConfigurationError."""
    from app.commands.run_models import models_of_run
    from app.models import read_models
    from app.resources import model_list_files

    with models_of_run(settings, [wanted] if wanted else []) as (complete, (name, *_)):
        config = read_models(*model_list_files(complete.models))[name]
    folder = config.folder / config.source
    keys = config.model_dump(exclude={"folder"})
    return name, keys | {"source": str(folder.resolve()) if folder.is_dir() else config.source}


def _checked(options: dict[str, Any]) -> dict[str, Any]:
    """All options, as a job has them. Raises: ConfigurationError."""
    from pydantic import ValidationError

    from app.errors import ConfigurationError
    from app.schemas import Options
    from layerscope.names import Analysis, Component

    try:
        checked = Options.model_validate(options)
    except ValidationError as invalid:
        first = invalid.errors()[0]
        option = str(first["loc"][0]).replace("_", "-")
        raise ConfigurationError(f"--{option}: {first['msg'].removeprefix('Value error, ')}.") from invalid
    if checked.analyses and Component.BLOCK not in checked.components:
        raise ConfigurationError("--analyses requires the component `block`.")
    if Analysis.TOKENS in checked.analyses:
        raise ConfigurationError(
            "--analyses: a corpus has no numbers of tokens. Measure a sample of it with `layerscope profile`."
        )
    return checked.model_dump(mode="json")


def _complete(task: dict[str, Any], settings: "Settings") -> "CorpusTask":
    """The task with the limits of the service, by which its texts are cut into shards."""
    from app.commands.corpus_task import CorpusTask

    return CorpusTask(
        **task,
        shard_characters=settings.shard_characters,
        shard_texts=settings.shard_texts,
        text_limit_bytes=settings.text_limit_bytes,
        domains_limit=settings.domains_per_job_limit,
    )


def _run(task: "CorpusTask") -> int:
    """Measures in a process of its own, which has torch. Returns its exit code."""
    import signal

    from app.local.commands import module
    from app.local.supervisor import Command, run_to_end

    with tempfile.NamedTemporaryFile(suffix=".json") as file:
        task.write(Path(file.name))
        arguments = (*module("worker.corpus"), file.name)
        return run_to_end(
            Command("corpus", arguments, stop_seconds=STOP_SECONDS, parent_death_signal=signal.SIGTERM)
        )
