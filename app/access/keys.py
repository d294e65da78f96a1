"""Creates, finds, lists and revokes keys. Each function takes a Session and never commits.

Only the SHA-256 of a key is stored. A key has 256 random bits, so no salt and no slow hash are needed, and
the time of a lookup by its hash tells nothing about another key.
"""

import secrets
from collections.abc import Sequence
from datetime import timedelta
from hashlib import sha256
from uuid import UUID

from sqlalchemy import ColumnElement, and_, delete, exists, func, insert, or_, select, update
from sqlalchemy.orm import Session, aliased

from app.access.principal import Principal
from app.coordination import CLOCK
from app.errors import KeyNotFound
from app.tables import ApiKey, KeyScope

PREFIX = "ls_"
RANDOM_BYTES = 32
SESSION_LIFETIME = timedelta(hours=12)

IS_KEY = ApiKey.parent_id.is_(None)  # not a session of the page


def create(session: Session, owner: str, scope: KeyScope, lifetime: timedelta | None) -> tuple[UUID, str]:
    """A new key: its id, and the key itself, which cannot be read later."""
    return _insert(session, owner, scope, lifetime, None)


def open_session(session: Session, key: str) -> str | None:
    """A key for a session of the page, which ends with its parent `key`. Expired sessions of it are deleted.

    None if the key is not valid, or if it is that of a session: a session cannot be prolonged.
    """
    parent = find(session, key)
    if parent is None or session.scalar(select(IS_KEY).where(ApiKey.sha256 == hash_of(key))) is False:
        return None
    session.execute(delete(ApiKey).where(ApiKey.parent_id == parent.key_id, ApiKey.expires_at < CLOCK))
    return _insert(session, parent.owner, parent.scope, SESSION_LIFETIME, parent.key_id)[1]


def _insert(
    session: Session, owner: str, scope: KeyScope, lifetime: timedelta | None, parent: UUID | None
) -> tuple[UUID, str]:
    key = PREFIX + secrets.token_urlsafe(RANDOM_BYTES)
    values = {
        "owner": owner,
        "scope": scope,
        "sha256": hash_of(key),
        "expires_at": None if lifetime is None else CLOCK + lifetime,
        "parent_id": parent,
    }
    return session.execute(insert(ApiKey).values(values).returning(ApiKey.id)).scalar_one(), key


def hash_of(key: str) -> bytes:
    return sha256(key.encode()).digest()


def exist(session: Session) -> bool:
    """Whether there is a key, also one that is no longer valid: revoking the last one opens nothing."""
    return bool(session.scalar(select(exists(select(ApiKey.id)))))


def find(session: Session, key: str) -> Principal | None:
    """None if the key, or the key that opened this session of the page, is absent, expired or revoked."""
    parent = aliased(ApiKey)
    statement = (
        select(ApiKey.owner, ApiKey.scope, func.coalesce(ApiKey.parent_id, ApiKey.id))
        .join(parent, ApiKey.parent_id == parent.id, isouter=True)
        .where(ApiKey.sha256 == hash_of(key), _is_valid(ApiKey), or_(IS_KEY, _is_valid(parent)))
    )
    row = session.execute(statement).one_or_none()
    if row is None:
        return None
    owner, scope, key_id = row
    return Principal(owner, KeyScope(scope), key_id)


def _is_valid(key: type[ApiKey]) -> ColumnElement[bool]:
    return and_(key.revoked_at.is_(None), or_(key.expires_at.is_(None), key.expires_at > CLOCK))


def listed(session: Session) -> Sequence[ApiKey]:
    """All keys, also those that are no longer valid, oldest first."""
    return session.scalars(select(ApiKey).where(IS_KEY).order_by(ApiKey.id)).all()


def revoke(session: Session, key_id: UUID) -> str | None:
    """End a key and its sessions. Its owner; None if the key was revoked before.

    Raises: KeyNotFound.
    """
    of_key = ApiKey.id == key_id, IS_KEY
    valid = update(ApiKey).where(*of_key, ApiKey.revoked_at.is_(None)).values(revoked_at=CLOCK)
    owner = session.scalar(valid.returning(ApiKey.owner))
    if owner is None and session.scalar(select(ApiKey.id).where(*of_key)) is None:
        raise KeyNotFound(f"There is no key {key_id}. `layerscope keys list` shows all keys.")
    return owner


def close_session(session: Session, key: str) -> bool:
    """End a session of the page. Whether there was one."""
    statement = delete(ApiKey).where(ApiKey.sha256 == hash_of(key), ~IS_KEY)
    return session.scalar(statement.returning(ApiKey.id)) is not None
