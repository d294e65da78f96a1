"""Keys: created, found, expired, revoked, and their sessions."""

from datetime import timedelta
from hashlib import sha256
from uuid import UUID, uuid4

import pytest
from sqlalchemy import func, select, text, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session, sessionmaker

from app.access import keys
from app.access.principal import Principal
from app.coordination import CLOCK
from app.errors import KeyNotFound
from app.tables import ApiKey, KeyScope

Sessions = sessionmaker[Session]
ALICE = "alice"


def created(sessions: Sessions, lifetime: timedelta | None = None) -> tuple[UUID, str]:
    with sessions.begin() as session:
        return keys.create(session, ALICE, KeyScope.WRITE, lifetime)


def found(sessions: Sessions, key: str) -> Principal | None:
    with sessions.begin() as session:
        return keys.find(session, key)


def opened(sessions: Sessions, key: str) -> str:
    with sessions.begin() as session:
        page = keys.open_session(session, key)
    assert page is not None
    return page


def expire(sessions: Sessions, key: str) -> None:
    of_key = ApiKey.sha256 == keys.hash_of(key)
    with sessions.begin() as session:
        session.execute(update(ApiKey).where(of_key).values(expires_at=CLOCK))


def test_a_key_is_found_and_only_its_hash_is_stored(sessions: Sessions) -> None:
    key_id, key = created(sessions)
    assert found(sessions, key) == Principal(ALICE, KeyScope.WRITE, key_id)
    assert key.startswith("ls_")
    assert len(key) == len("ls_") + 43  # 32 bytes
    with sessions() as session:
        row = session.scalars(select(ApiKey)).one()
        assert row.sha256 == sha256(key.encode()).digest()
        assert key[3:] not in session.execute(text("select api_key::text from api_key")).scalar_one()


@pytest.mark.parametrize("key", ["", "ls_", "ls_" + "A" * 43, "ÿ"])
def test_an_unknown_key_is_not_found(sessions: Sessions, key: str) -> None:
    created(sessions)
    assert found(sessions, key) is None


def test_keys_exist_even_after_the_last_one_was_revoked(sessions: Sessions) -> None:
    with sessions.begin() as session:
        assert not keys.exist(session)
    key_id, key = created(sessions)
    with sessions.begin() as session:
        keys.revoke(session, key_id)
        assert keys.exist(session)
    assert found(sessions, key) is None


def test_a_key_expires_by_the_clock_of_the_database(sessions: Sessions) -> None:
    _, key = created(sessions, timedelta(days=1))
    assert found(sessions, key) is not None
    expire(sessions, key)
    assert found(sessions, key) is None


def test_a_session_has_the_rights_of_its_key(sessions: Sessions) -> None:
    key_id, key = created(sessions)
    assert found(sessions, opened(sessions, key)) == Principal(ALICE, KeyScope.WRITE, key_id)


def test_only_a_valid_key_opens_a_session(sessions: Sessions) -> None:
    _, key = created(sessions)
    page = opened(sessions, key)
    expire(sessions, key)
    for refused in ("ls_unknown", page, key):
        with sessions.begin() as session:
            assert keys.open_session(session, refused) is None


def test_a_session_cannot_open_another_one(sessions: Sessions) -> None:
    page = opened(sessions, created(sessions)[1])
    assert found(sessions, page) is not None
    with sessions.begin() as session:
        assert keys.open_session(session, page) is None


def test_a_session_ends_with_its_key(sessions: Sessions) -> None:
    key_id, key = created(sessions)
    page = opened(sessions, key)
    with sessions.begin() as session:
        keys.revoke(session, key_id)
    assert found(sessions, page) is None


def test_a_session_ends_when_its_key_expires(sessions: Sessions) -> None:
    _, key = created(sessions, timedelta(hours=1))
    page = opened(sessions, key)
    expire(sessions, key)
    assert found(sessions, page) is None


def test_a_session_ends_after_12_hours_and_disappears_at_the_next_one(sessions: Sessions) -> None:
    _, key = created(sessions)
    page = opened(sessions, key)
    with sessions() as session:
        row = session.scalars(select(ApiKey).where(ApiKey.parent_id.is_not(None))).one()
    assert row.expires_at is not None
    assert abs(row.expires_at - row.created_at - timedelta(hours=12)) < timedelta(seconds=1)
    expire(sessions, page)
    assert found(sessions, page) is None
    opened(sessions, key)
    with sessions() as session:
        assert session.scalar(select(func.count()).select_from(ApiKey)) == 2


def test_a_closed_session_is_not_found_and_its_key_is(sessions: Sessions) -> None:
    _, key = created(sessions)
    page = opened(sessions, key)
    for closed in (page, key):  # only a session can be closed
        with sessions.begin() as session:
            keys.close_session(session, closed)
    assert found(sessions, page) is None
    assert found(sessions, key) is not None


def test_the_list_has_keys_and_no_sessions(sessions: Sessions) -> None:
    ids = [created(sessions) for _ in range(2)]
    opened(sessions, ids[0][1])
    with sessions.begin() as session:
        keys.revoke(session, ids[0][0])
        listed = keys.listed(session)
        assert [key.id for key in listed] == [key_id for key_id, _ in ids]
        assert [key.revoked_at is None for key in listed] == [False, True]


def test_only_existing_keys_can_be_revoked(sessions: Sessions) -> None:
    _, key = created(sessions)
    opened(sessions, key)
    with sessions.begin() as session:
        (page,) = session.scalars(select(ApiKey.id).where(ApiKey.parent_id.is_not(None))).all()
        for absent in (uuid4(), page):
            with pytest.raises(KeyNotFound, match=str(absent)):
                keys.revoke(session, absent)


def test_the_time_of_a_revocation_stays(sessions: Sessions) -> None:
    key_id, _ = created(sessions)
    times = []
    for _ in range(2):
        with sessions.begin() as session:
            keys.revoke(session, key_id)
        with sessions.begin() as session:
            times.append(session.get_one(ApiKey, key_id).revoked_at)
    assert times[0] == times[1] is not None


def test_the_database_refuses_an_unknown_scope(sessions: Sessions) -> None:
    unknown = "root"
    with pytest.raises(IntegrityError, match="api_key_scope_check"), sessions.begin() as session:
        session.add(ApiKey(owner=ALICE, scope=unknown, sha256=b""))


@pytest.mark.parametrize(
    ("scope", "allowed"),
    [("read", {"read"}), ("write", {"read", "write"}), ("admin", {"read", "write", "admin"})],
)
def test_each_scope_includes_those_before_it(scope: str, allowed: set[str]) -> None:
    assert {one for one in KeyScope if Principal(ALICE, KeyScope(scope)).may(one)} == allowed
