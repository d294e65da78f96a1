"""Transactions in which only the jobs of one owner exist.

Every ORM statement gets the condition on the owner, so that no query can forget it: a job of another owner is
absent, and cannot be read, counted, changed or deleted.
"""

from collections.abc import Iterator
from contextlib import contextmanager

from sqlalchemy import Engine, event
from sqlalchemy.orm import ORMExecuteState, Session, with_loader_criteria

from app.access.principal import Principal
from app.db import make_sessions
from app.tables import Job

OWNER = "owner"  # in Session.info; None: the jobs of all owners


class OwnJobs:
    def __init__(self, engine: Engine) -> None:
        self._sessions = make_sessions(engine)
        event.listen(self._sessions, "do_orm_execute", _add_condition)

    @contextmanager
    def begin(self, principal: Principal) -> Iterator[Session]:
        """A transaction that is committed at the end."""
        owner = None if principal.sees_all_jobs else principal.owner
        with self._sessions(info={OWNER: owner}) as session, session.begin():
            yield session


def _add_condition(state: ORMExecuteState) -> None:
    owner = state.session.info[OWNER]
    if owner is not None and (state.is_select or state.is_update or state.is_delete):
        state.statement = state.statement.options(with_loader_criteria(Job, Job.owner == owner))
