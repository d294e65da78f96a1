"""The entry point of Alembic. The caller sets the URL of the database, `app.tables` defines the schema."""

from alembic import context
from sqlalchemy import create_engine, make_url
from sqlalchemy.pool import NullPool

from app.coordination import AdvisoryLock
from app.tables import Base

# A statement that waits for the lock of a table blocks every later query of that table. Therefore it waits
# only briefly, and the caller tries the whole migration again. PostgreSQL cancels an autovacuum that is in
# the way after `deadlock_timeout`, 1 s by default, so the time is longer.
LOCK_MILLISECONDS = 1_500


def run() -> None:
    url = make_url(context.config.attributes["database_url"]).set(drivername="postgresql+psycopg")
    engine = create_engine(url, poolclass=NullPool)
    with engine.connect() as connection:
        context.configure(connection=connection, target_metadata=Base.metadata)
        with context.begin_transaction():
            # One migration at a time: the API, workers and `layerscope migrate` may start together.
            connection.exec_driver_sql(f"select pg_advisory_xact_lock({AdvisoryLock.MIGRATION:d})")
            connection.exec_driver_sql(f"set local lock_timeout = {LOCK_MILLISECONDS}")
            context.run_migrations()


run()
