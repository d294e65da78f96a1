"""Finds the principal of a request by its key, with one look at the database a second for each key."""

import math
from time import monotonic

from sqlalchemy.orm import Session, sessionmaker

from app.access import keys
from app.access.principal import LOCAL, Principal
from app.errors import Unauthorized

REMEMBERED_SECONDS = 1.0  # how long a key works after it was revoked

HOW = (
    "Send the header `Authorization: Bearer ls_…`; the command `layerscope` and the Python client send the "
    "key in LAYERSCOPE_API_KEY or in ~/.config/layerscope/key. The operator creates keys with "
    "`layerscope keys create`."
)


class Authentication:
    def __init__(self, sessions: sessionmaker[Session]) -> None:
        self._sessions = sessions
        # By the hash of the key; None: a request without a key, while no key exists.
        self._remembered: dict[bytes | None, tuple[Principal, float]] = {}

    def remembered(self, key: str | None) -> Principal | None:
        """The principal that was found less than REMEMBERED_SECONDS ago, if there is one."""
        principal, since = self._remembered.get(_name_of(key), (None, -math.inf))
        return principal if _is_recent(since) else None

    def find(self, key: str | None) -> Principal:
        """The principal of the key. As long as no key exists, it is LOCAL.

        Raises: Unauthorized.
        """
        since = monotonic()
        with self._sessions.begin() as session:
            principal = None if key is None else keys.find(session, key)
            if principal is not None:
                self._remember(_name_of(key), principal, since)
                return principal
            if not keys.exist(session):
                self._remember(None, LOCAL, since)
                return LOCAL
        raise _refusal(key)

    def _remember(self, name: bytes | None, principal: Principal, since: float) -> None:
        recent = {one: found for one, found in self._remembered.items() if _is_recent(found[1])}
        self._remembered = recent | {name: (principal, since)}


def _name_of(key: str | None) -> bytes | None:
    return None if key is None else keys.hash_of(key)


def _is_recent(since: float) -> bool:
    return monotonic() - since < REMEMBERED_SECONDS


def _refusal(key: str | None) -> Unauthorized:
    if key is None:
        return Unauthorized(f"This request needs a key. {HOW}", headers={"WWW-Authenticate": "Bearer"})
    return Unauthorized(
        f"The key is unknown, expired or revoked. {HOW}",
        headers={"WWW-Authenticate": 'Bearer error="invalid_token"'},
    )
