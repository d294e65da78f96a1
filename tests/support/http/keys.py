"""Keys for tests, and requests with them."""

from datetime import timedelta

import httpx
from sqlalchemy.orm import Session, sessionmaker

from app.access import keys
from app.tables import KeyScope


def new_key(
    sessions: sessionmaker[Session], owner: str, scope: str = "write", lifetime: timedelta | None = None
) -> str:
    with sessions.begin() as session:
        return keys.create(session, owner, KeyScope(scope), lifetime)[1]


def bearer(key: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {key}"}


def client_with(url: str, key: str) -> httpx.Client:
    return httpx.Client(base_url=url, headers=bearer(key), timeout=30)
