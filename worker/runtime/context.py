"""What a worker process works with: one model, its connections, its time limits."""

from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from redis import Redis
from sqlalchemy.orm import Session, sessionmaker
from torch import nn

from layerscope.core import Model, load_head
from worker.observation.observation import Observation
from worker.runtime.postponed import PostponedJobs
from worker.runtime.shutdown import ShutdownDeadline


@dataclass(frozen=True)
class WorkerContext:
    """`measured_with` is the provenance that is stored with every job."""

    name: str
    model: Model
    measured_with: dict[str, Any]
    max_tokens: int
    sessions: sessionmaker[Session]
    redis: Redis
    deadline: ShutdownDeadline
    lease_seconds: float
    drain_seconds: float
    model_wait_seconds: float
    observation: Observation
    postponed: PostponedJobs = field(default_factory=PostponedJobs)

    @cached_property
    def head(self) -> nn.Linear:
        """The language model head, loaded for the first job that needs it. Raises: ModelError."""
        return load_head(self.model)
