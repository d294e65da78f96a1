"""Who sends a request, and what the key of the request allows."""

from dataclasses import dataclass
from uuid import UUID

from app.tables.job_tables import LOCAL_OWNER
from app.tables.key_tables import KEY_SCOPES, KeyScope


@dataclass(frozen=True)
class Principal:
    """The sender of a request. `key_id`: the key, also in a session of the page; None without keys."""

    owner: str
    scope: KeyScope
    key_id: UUID | None = None

    def may(self, scope: KeyScope) -> bool:
        return KEY_SCOPES.index(self.scope) >= KEY_SCOPES.index(scope)

    @property
    def sees_all_jobs(self) -> bool:
        return self.scope is KeyScope.ADMIN


LOCAL = Principal(LOCAL_OWNER, KeyScope.ADMIN)
