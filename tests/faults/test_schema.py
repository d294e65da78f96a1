"""Fault 17: the schema of a filled database is downgraded and upgraded again."""

from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import create_engine, func, make_url, select

from app.db import alembic_config, make_engine, make_sessions, migrate
from app.tables import Base, Job, StoredProfile, Text
from tests.faults.support.checks import TextRows
from tests.faults.support.disturbed_job import report
from tests.support.jobs.finished_job import finished_job


def test_17_upgrade_downgrade_upgrade_on_a_filled_database(empty_database_url: str) -> None:
    migrate(empty_database_url)
    fill(empty_database_url)
    rows = measured_texts(empty_database_url)
    downgrade(empty_database_url)
    migrate(empty_database_url)
    assert measured_texts(empty_database_url) == rows > 0
    assert differences(empty_database_url) == []
    migrate(empty_database_url, "base")
    migrate(empty_database_url)
    assert differences(empty_database_url) == []
    fill(empty_database_url)
    report(17, "upgrade, downgrade, upgrade on a filled database", 1, TextRows())


def fill(url: str) -> None:
    engine = make_engine(url)
    sessions = make_sessions(engine)
    finished_job(sessions, (("cpp", "a", "p"), ("cpp", "b"), ("python", "c", "p")))
    with sessions() as session:
        assert session.scalar(select(func.count()).select_from(Job))
    engine.dispose()


def measured_texts(url: str) -> int:
    engine = make_engine(url)
    with make_sessions(engine)() as session:
        rows = session.scalar(select(func.count()).select_from(Text).join(StoredProfile))
    engine.dispose()
    return rows or 0


def downgrade(url: str) -> None:
    config = alembic_config()
    config.attributes["database_url"] = url
    command.downgrade(config, "0001")


def differences(url: str) -> list[object]:
    engine = create_engine(make_url(url).set(drivername="postgresql+psycopg"))
    with engine.connect() as connection:
        found = compare_metadata(MigrationContext.configure(connection), Base.metadata)
    engine.dispose()
    return list(found)
