"""The tables of models: what workers know about each model of the list."""

from datetime import datetime
from typing import Any

from sqlalchemy.orm import Mapped, mapped_column

from app.coordination import CLOCK
from app.tables.base import Base


class LoadedModel(Base):
    """A configured model, as it was described by the last worker that loaded it."""

    __tablename__ = "model"

    name: Mapped[str] = mapped_column(primary_key=True)
    measured_with: Mapped[dict[str, Any]]
    loaded_at: Mapped[datetime] = mapped_column(server_default=CLOCK)


class ModelFailure(Base):
    """A model that no worker can load at the moment."""

    __tablename__ = "model_failure"

    name: Mapped[str] = mapped_column(primary_key=True)
    reason: Mapped[str]
    since: Mapped[datetime] = mapped_column(server_default=CLOCK)
    last_at: Mapped[datetime] = mapped_column(server_default=CLOCK)
