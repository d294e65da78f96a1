"""The page of the configured models and their workers."""

from dataclasses import dataclass
from enum import StrEnum

from fastapi import APIRouter, Response
from sqlalchemy.orm import Session

from app.access.principal import Principal
from app.api.access import VisitorDep
from app.api.endpoints.models import list_models
from app.api.html import render
from app.api.pages.page_session import sign_in_page
from app.api.service import Service, ServiceDep
from app.jobs import counts
from app.jobs.counts import Backlog, ModelPace
from app.jobs.state.model_states import Failure, read_model_states
from app.schemas import ConfiguredModel

router = APIRouter(include_in_schema=False)


class Availability(StrEnum):
    """Whether jobs of a model are measured at the moment."""

    READY = "ready"
    LOADING = "loading"
    UNLOADABLE = "cannot be loaded"
    WITHOUT_WORKER = "no worker"
    UNKNOWN = "unknown"  # while Redis is unavailable


@dataclass(frozen=True)
class ShownModel:
    model: ConfiguredModel
    failure: Failure | None
    backlog: Backlog
    pace: ModelPace | None
    is_loading: bool

    @property
    def state(self) -> Availability:
        if self.model.workers_alive:
            return Availability.READY
        if self.is_loading:
            return Availability.LOADING
        if self.failure is not None:
            return Availability.UNLOADABLE
        return Availability.UNKNOWN if self.model.workers_alive is None else Availability.WITHOUT_WORKER


@router.get("/models")
def read_models_page(principal: VisitorDep, service: ServiceDep) -> Response:
    if principal is None:
        return sign_in_page()
    with service.session_of(principal) as session:
        models = _shown(principal, service, session)
    return render("models.html", principal=principal, models=models)


def _shown(principal: Principal, service: Service, session: Session) -> list[ShownModel]:
    failures = read_model_states(session, service.models).failures
    backlog = counts.backlog_by_model(session)
    loading = service.reports.read((), service.models).loading
    return [
        ShownModel(
            model,
            failures.get(model.name),
            backlog.get(model.name, Backlog()),
            counts.pace_of_model(session, model.name),
            model.name in loading,
        )
        for model in list_models(principal, service).data
    ]
