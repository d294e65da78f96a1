"""What is known about the models while jobs wait for them: their facts, and why some cannot be loaded."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from app.coordination import CLOCK
from app.models import ModelConfig
from app.tables import LoadedModel, ModelFailure

Known = Mapping[str, dict[str, Any]]

# One statement, because every poll of an unfinished job needs it.
_STATEMENT = select(
    CLOCK,
    select(func.jsonb_object_agg(LoadedModel.name, LoadedModel.measured_with)).scalar_subquery(),
    select(
        func.jsonb_object_agg(
            ModelFailure.name, func.jsonb_build_array(ModelFailure.since, ModelFailure.reason)
        )
    ).scalar_subquery(),
)


@dataclass(frozen=True)
class Failure:
    """Why no worker can load a model."""

    since: datetime
    reason: str


@dataclass(frozen=True)
class ModelStates:
    """`known`: the facts of each configured model. `at`: the time of the database."""

    known: Known
    failures: Mapping[str, Failure]
    at: datetime | None


NOTHING_NEEDED = ModelStates({}, {}, None)


def read_model_states(session: Session, models: Mapping[str, ModelConfig]) -> ModelStates:
    """Facts are those of the last worker that loaded the model, or else those of the model list."""
    at, loaded, failures = session.execute(_STATEMENT).one()
    known = {name: _facts((loaded or {}).get(name), config) for name, config in models.items()}
    reasons = {
        name: Failure(datetime.fromisoformat(since), reason)
        for name, (since, reason) in (failures or {}).items()
    }
    return ModelStates(known, reasons, at)


def known_models(session: Session, models: Mapping[str, ModelConfig]) -> Known:
    return read_model_states(session, models).known


def configured(config: ModelConfig) -> dict[str, Any]:
    return {"source": config.source, "revision": config.revision, "max_tokens": config.max_tokens}


def _facts(loaded: dict[str, Any] | None, config: ModelConfig) -> dict[str, Any]:
    if loaded is not None and loaded["source"] == config.source:
        return loaded
    return configured(config)
