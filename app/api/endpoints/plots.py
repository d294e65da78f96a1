"""The plots of finished jobs. Each is drawn once, and then always the same bytes are served."""

import re
from collections.abc import Callable, Generator, Iterable, Iterator
from functools import partial
from itertools import chain
from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Path, Request, Response
from fastapi.responses import FileResponse
from sqlalchemy.orm import Session

from app import plots
from app.api.access import PrincipalDep
from app.api.job_files import JobFile, description_of_file, send_file
from app.api.openapi import problems
from app.api.service import Service, ServiceDep
from app.errors import FileNotFound
from app.files.comparison import comparison_rows
from app.files.first_token import first_token_rows
from app.files.massive_tokens import massive_tokens_rows
from app.files.results import layer_rows
from app.jobs import store
from app.plots import Format, JobContents, Plot, PlotRow
from app.plots.effect import EFFECT
from app.schemas import JobOptions, JobOut, ModelOut, PlotList, PlotOut
from app.tables import Job

PlotName = Annotated[str, Path(json_schema_extra={"enum": list(plots.PLOTS)})]

HUB_ID = re.compile(r"(?:[\w.-]+/)?[\w-][\w.-]*")
FOLDER_REVISION = "sha256:"  # of a model that was loaded from a folder

MEDIA_TYPES: dict[Format, str] = {"png": "image/png", "svg": "image/svg+xml"}


def list_plots(job_id: UUID, principal: PrincipalDep, service: ServiceDep) -> PlotList:
    """The plots of a finished job. `unavailable` is the reason why the job does not have a plot."""
    with service.session_of(principal) as session:
        state = service.present(session, store.get_finished(session, job_id))
    contents, path = measured(state), f"{state.links.self}/plots"
    return PlotList(
        data=[
            PlotOut(
                name=name,
                title=plot.title,
                unavailable=plot.unavailable_reason(contents),
                png=f"{path}/{name}.png",
                svg=f"{path}/{name}.svg",
            )
            for name, plot in plots.PLOTS.items()
        ]
    )


def _endpoint(file_format: Format) -> Callable[..., Any]:
    async def read_plot(
        job_id: UUID, name: PlotName, principal: PrincipalDep, service: ServiceDep, request: Request
    ) -> Response:
        return await send_file(
            plot_file(name, file_format), job_id, principal, service, request, service.drawing
        )

    return read_plot


def plot_file(name: str, file_format: Format) -> JobFile:
    """Raises: FileNotFound."""
    plots.find(name)
    return JobFile(f"{name}.{file_format}", MEDIA_TYPES[file_format], partial(_draw, name, file_format))


def plots_of(state: JobOut) -> dict[str, Plot]:
    """The plots that a finished job has, by name."""
    contents = measured(state)
    return {name: plot for name, plot in plots.PLOTS.items() if plot.unavailable_reason(contents) is None}


def _draw(name: str, file_format: Format, service: Service, job_id: UUID) -> Generator[bytes, None, None]:
    with service.sessions.begin() as session:
        job = store.get_finished(session, job_id)
        state = service.present(session, job)
        plot = plots.find(name).in_scope_of(job.scopes)
        reason = plot.unavailable_reason(measured(state))
        if reason is not None:
            raise FileNotFound(f"The job has no plot {name!r}. {reason}")
        rows = in_order_of(state.domains, _rows(session, job, plot))
    if not rows:
        old = f"The job was finished by a version without the plot {name!r}, so its rows do not exist."
        raise FileNotFound(state.error.detail if state.error else old)
    yield service.drawing_process.draw(plot, rows, _caption(state), file_format)


def _rows(session: Session, job: Job, plot: Plot) -> Iterator[PlotRow]:
    match plot.table:
        case "results":
            return chain.from_iterable(
                layer_rows(session, job, scope=scope, component=component) for scope, component in plot.places
            )
        case "comparison":
            return comparison_rows(session, job, metric=EFFECT.metric, scope=plot.scope, component="block")
        case "first_token":
            return first_token_rows(session, job)
        case "massive_tokens":
            return massive_tokens_rows(session, job)


def in_order_of(domains: Iterable[str], rows: Iterable[PlotRow]) -> list[PlotRow]:
    """Rows by domain, or by pair of domains, in the order in which the domains were submitted."""
    order = {domain: place for place, domain in enumerate(domains)}

    def place(row: PlotRow) -> list[int]:
        names = [row["domain"]] if "domain" in row else [row["domain_a"], row["domain_b"]]
        return sorted(order.get(name, len(order)) for name in names)

    return sorted(rows, key=place)


def measured(job: JobOut) -> JobContents:
    return JobContents(
        components=job.options.components,
        domains=sum(domain.done > 0 for domain in job.domains.values()),
        analyses=job.options.analyses,
    )


def _caption(job: JobOut) -> str:
    model = job.model
    source = f": {model.source}" if _is_hub_id(model) else ""
    revision = f" at revision {model.revision}" if model.revision else ""
    return f"Model {model.name}{source}{revision}, {model.dtype}; job {job.id}{_design(job.options)}"


def _is_hub_id(model: ModelOut) -> bool:
    """Otherwise the source is a folder: its path says nothing about the model, and much about a machine."""
    is_folder = (model.revision or "").startswith(FOLDER_REVISION)
    return not is_folder and HUB_ID.fullmatch(model.source or "") is not None


def _design(options: JobOptions) -> str:
    """The options that change the meaning of the numbers."""
    counted = f"only the first {options.window}" if options.window else f"at most {options.max_tokens}"
    tokens = f"; {counted} tokens of each text count" if options.window or options.max_tokens else ""
    return tokens + ("; texts compared in pairs" if options.paired else "")


def _router() -> APIRouter:
    router = APIRouter(tags=["files"])
    router.add_api_route("/v1/jobs/{job_id}/plots", list_plots, responses=problems(404, 409))
    for file_format, media_type in MEDIA_TYPES.items():
        router.add_api_route(
            f"/v1/jobs/{{job_id}}/plots/{{name}}.{file_format}",
            _endpoint(file_format),
            name=f"plot.{file_format}",
            summary=f"A plot: {', '.join(plots.PLOTS)}",
            response_class=FileResponse,
            **description_of_file(media_type),
        )
    return router


router = _router()
