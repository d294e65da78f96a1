"""Finds the principal of a request by its key, with one look at the database a second for each key.

Keys cannot be guessed. The number of invalid keys that a client may send is limited nevertheless, because
each costs a look at the database. The limit does not apply to keys that were valid at the last look: their
users may have the same address as the client that exceeds it.
"""

import math
from threading import Lock
from time import monotonic

from sqlalchemy.orm import Session, sessionmaker

from app.access import keys
from app.access.principal import LOCAL, Principal
from app.access.request_rate import RequestRate
from app.errors import Unauthorized

REMEMBERED_SECONDS = 1.0  # how long a key works after it was revoked
REMEMBERED_KEYS = 10_000

HOW = (
    "Send the header `Authorization: Bearer ls_…`; the command `layerscope` and the Python client send the "
    "key in LAYERSCOPE_API_KEY or in ~/.config/layerscope/key. The operator creates keys with "
    "`layerscope keys create`."
)


class Authentication:
    def __init__(self, sessions: sessionmaker[Session], invalid_keys: RequestRate) -> None:
        self._sessions, self._invalid_keys = sessions, invalid_keys
        # By the hash of the key, oldest first. None: a request without a key, and no principal if keys exist.
        self._remembered: dict[bytes | None, tuple[Principal | None, float]] = {}
        self._changing = Lock()

    def remembered(self, key: str | None) -> Principal | None:
        """The principal that was found less than REMEMBERED_SECONDS ago, if there is one.

        Raises: Unauthorized if there is no key, but keys existed at that time.
        """
        principal, since = self._remembered.get(_name_of(key), (None, -math.inf))
        if monotonic() - since >= REMEMBERED_SECONDS:
            return None
        if principal is None:
            raise _refusal(key)
        return principal

    def find(self, key: str | None, client: str) -> Principal:
        """The principal of the key. As long as no key exists, it is LOCAL. `client`: who sent the key.

        Raises: Unauthorized; TooManyRequests.
        """
        since, name = monotonic(), _name_of(key)
        if key is not None and name not in self._remembered:
            self._invalid_keys.check(client)
        with self._sessions.begin() as session:
            principal = None if key is None else keys.find(session, key)
            if principal is None and not keys.exist(session):
                name, principal = None, LOCAL
        if principal is not None:
            self._remember(name, principal, since)
            return principal
        if key is None:
            self._remember(name, None, since)
        else:
            self.forget(key)
            self._invalid_keys.count(client)
        raise _refusal(key)

    def forget(self, key: str) -> None:
        """The next request with the key looks it up."""
        with self._changing:
            self._remembered.pop(_name_of(key), None)

    def _remember(self, name: bytes | None, principal: Principal | None, since: float) -> None:
        with self._changing:
            self._remembered.pop(name, None)  # so that it stands at the end
            self._remembered[name] = principal, since
            if len(self._remembered) > REMEMBERED_KEYS:
                del self._remembered[next(iter(self._remembered))]


def _name_of(key: str | None) -> bytes | None:
    return None if key is None else keys.hash_of(key)


def _refusal(key: str | None) -> Unauthorized:
    if key is None:
        return Unauthorized(f"This request needs a key. {HOW}", headers={"WWW-Authenticate": "Bearer"})
    return Unauthorized(
        f"The key is unknown, expired or revoked. {HOW}",
        headers={"WWW-Authenticate": 'Bearer error="invalid_token"'},
    )
