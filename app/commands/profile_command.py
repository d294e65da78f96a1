"""`layerscope profile`. Slow imports are in the functions that need them, to keep `--help` fast."""

import sys
import tempfile
from collections.abc import Callable, Mapping
from contextlib import redirect_stdout
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from layerscope.addresses import SERVER_VARIABLE
from layerscope.cli import job_options

if TYPE_CHECKING:
    from app.settings import Settings
    from layerscope.cli.profiling.prepare import TextFiles

SAMPLE_MODEL = "demo"
SAMPLE_OPTIONS = {"analyses": ["ablation"], "analysis_texts": 16}  # enough for every plot, and fast
LOG = "profile.log"
LATER = "`layerscope up` shows the job at http://127.0.0.1:8000/jobs/{job}"

PathsArgument = Annotated[
    list[str] | None,
    typer.Argument(
        metavar="[PATH...]",
        help="Folders (each subfolder or file is a domain); .txt, .json, .jsonl, .ndjson, .csv or .parquet "
        "files, also with .gz; or - for standard input. Without a path: the sample texts.",
        show_default=False,
    ),
]
TextOption = Annotated[str | None, typer.Option(metavar="FIELD", help="The field that contains the text.")]
DomainOption = Annotated[
    str | None, typer.Option(metavar="FIELD", help="The field that contains the domain; '' for none.")
]
PairOption = Annotated[
    str | None, typer.Option(metavar="FIELD", help="The field that contains the pair; '' for none.")
]
LinesOption = Annotated[bool, typer.Option("--lines", help="Each line of a .txt file is a text.")]
ModelOption = Annotated[
    str | None,
    typer.Option(
        metavar="NAME|FOLDER|HUB_ID",
        help="A model of the model list, a folder, or a hub id; of a running service only a name. "
        "Default: the first model of the list.",
    ),
]
NameOption = Annotated[str | None, typer.Option(help="The name of the job.")]
OutOption = Annotated[Path, typer.Option(help="Folder for the tables and plots.")]
ProfileServerOption = Annotated[
    str | None,
    typer.Option(envvar=SERVER_VARIABLE, metavar="URL", help="A running service. Default: start one."),
]
ProfileWorkersOption = Annotated[
    int, typer.Option(help="Worker processes of the service that is started.", min=1)
]
DryRunOption = Annotated[
    bool, typer.Option("--dry-run", help="Only count texts and tokens, and estimate the time.")
]


@dataclass(frozen=True)
class ProfileRequest:
    """What is measured, and where the results are written."""

    texts: "TextFiles"
    model: str | None
    name: str | None
    options: Mapping[str, Any]
    out: Path


def profile(
    context: typer.Context,
    paths: PathsArgument = None,
    text: TextOption = None,
    domain: DomainOption = None,
    pair: PairOption = None,
    lines: LinesOption = False,
    model: ModelOption = None,
    name: NameOption = None,
    out: OutOption = Path("profile"),
    server: ProfileServerOption = None,
    workers: ProfileWorkersOption = 1,
    dry_run: DryRunOption = False,
    max_tokens: job_options.MaxTokensOption = None,
    overflow: job_options.OverflowOption = None,
    components: job_options.ComponentsOption = None,
    window: job_options.WindowOption = None,
    paired: job_options.PairedOption = False,
    analyses: job_options.AnalysesOption = None,
    analysis_texts: job_options.AnalysisTextsOption = None,
    special_tokens: job_options.SpecialTokensOption = None,
) -> None:
    """Measure texts, write tables and plots, and print what they say.

    The fields and encodings of the files are guessed and reported. A service is started for the time of the
    command, unless --server names a running one.
    """
    from layerscope.cli.profiling.prepare import TextFiles
    from layerscope.inputs import FieldNames

    arguments = locals()
    options = job_options.given_options({key: arguments[key] for key in job_options.NAMES})
    files, fields = tuple(paths or _samples()), FieldNames(text, domain, pair)
    request = ProfileRequest(TextFiles(files, fields, lines), model, name, options, out)
    if not paths:
        request = _of_samples(request)
    if dry_run:
        _estimate(context.obj, request, server)
    elif server:
        _profile_at(server, request)
    else:
        raise typer.Exit(_profile_here(context.obj(), request, workers))


def _samples() -> list[str]:
    from app.resources import SAMPLES

    return [str(file) for file in sorted(SAMPLES.glob("*.json"))]


def _of_samples(given: ProfileRequest) -> ProfileRequest:
    model, name = given.model or SAMPLE_MODEL, given.name or "samples"
    return ProfileRequest(given.texts, model, name, given.options or SAMPLE_OPTIONS, given.out)


def make_folder(out: Path) -> None:
    from app.errors import ConfigurationError

    try:
        out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ConfigurationError(
            f"The folder {out} cannot be created ({error.strerror}): choose another folder with --out."
        ) from error


def _profile_at(server: str, request: ProfileRequest) -> None:
    from app.commands.measuring_process import MeasuringTask, run
    from layerscope.cli.profiling.prepare import prepared

    make_folder(request.out)
    with prepared(request.texts) as texts:
        of_job = (request.model, request.name, request.options, str(request.out))
        run(MeasuringTask(server, texts.file.name, texts.is_compressed, *of_job))


def _profile_here(settings: "Settings", request: ProfileRequest, workers: int) -> int:
    """Measures in a process of its own, while this one watches the service. Returns its exit code."""
    from app.commands.measuring_process import MeasuringTask
    from app.commands.run_models import models_of_run
    from app.local.commands import module
    from app.local.stack import running_stack
    from app.local.supervisor import Command, run_to_end
    from layerscope.cli.profiling.prepare import prepared

    make_folder(request.out)
    with (
        models_of_run(settings, [request.model] if request.model else []) as (complete, names),
        prepared(request.texts) as texts,
        tempfile.NamedTemporaryFile(suffix=".json") as file,
        running_stack(complete, "127.0.0.1", 0, workers, names, log=complete.home / "logs" / LOG) as stack,
    ):
        stack.wait_until_ready()
        of_job = (names[0], request.name, request.options, str(request.out), LATER)
        task = MeasuringTask(stack.base_url, texts.file.name, texts.is_compressed, *of_job)
        task.write(Path(file.name))
        arguments = (*module("app.commands.measuring_process"), file.name)
        with redirect_stdout(sys.stderr):  # messages about restarts
            return run_to_end(Command("profile", arguments, stop_seconds=5), meanwhile=stack.supervisor.check)


def _estimate(read_settings: Callable[[], "Settings"], request: ProfileRequest, server: str | None) -> None:
    from layerscope.cli.profiling.estimate import known_to, print_estimate

    if server is None:
        from app.commands.dry_run import known_here

        known = known_here(read_settings(), request.model, request.options)
    else:
        known = known_to(server, request.model, request.options)
    print_estimate(request.texts, known, request.options)
