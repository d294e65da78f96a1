"""Jobs written straight into the tables, as many as no machine could measure for a benchmark."""

from collections.abc import Sequence
from typing import Any, LiteralString
from uuid import UUID

import psycopg
from psycopg.types.json import Jsonb

from layerscope.names import COMPONENTS, METRICS, SCOPES

MODEL = "demo"
SHARD_TEXTS = 328  # of 200 characters, by the default size of a shard
MEASURED_WITH = {"source": "demo", "revision": "r1", "layers": 28, "hidden_size": 3072, "dtype": "float32"}
OPTIONS = {"max_tokens": None, "overflow": "truncate", "components": list(COMPONENTS)}
CONFIGURED = {"source": "demo", "revision": None, "max_tokens": None}

JOBS: LiteralString = """
    insert into job (model, options, texts, request_sha256, configured, started_at, measured_with,
                     outcome, finished_at)
    select %(model)s, %(options)s, %(texts)s, '', %(configured)s, now(), %(measured_with)s,
           case when %(finished)s then 'succeeded' end, case when %(finished)s then now() end
    from generate_series(1, %(jobs)s) returning id"""
OF_JOBS: tuple[LiteralString, ...] = (
    """insert into text (job_id, ordinal, domain, text)
    select id, ordinal, 'cpp', rpad(ordinal::text, %(characters)s, ' int x;')
    from unnest(%(ids)s::uuid[]) id, generate_series(0, %(texts)s - 1) ordinal""",
    """insert into shard (job_id, number, first_ordinal, end_ordinal, done_at)
    select id, number, number * %(shard)s::integer, least((number + 1) * %(shard)s::integer, %(texts)s),
           case when number < %(done)s then now() end
    from unnest(%(ids)s::uuid[]) id, generate_series(0, (%(texts)s - 1) / %(shard)s::integer) number""",
    """insert into shard_domain (job_id, number, domain, first_ordinal, texts, done, tokens)
    select job_id, number, 'cpp', first_ordinal, n, case when done_at is null then 0 else n end, 50 * n
    from shard, lateral (select end_ordinal - first_ordinal) size (n) where job_id = any(%(ids)s)""",
)
PROFILES: LiteralString = """
    insert into text_profile (job_id, ordinal, tokens, truncated, error, values)
    select id, ordinal, 50, false, case when %(values)s::bytea is null then 'left out' end, %(values)s
    from unnest(%(ids)s::uuid[]) id, generate_series(0, %(texts)s - 1) ordinal
    where ordinal < %(done)s * %(shard)s::integer"""
FINISHED: LiteralString = "update job set outcome = 'succeeded', finished_at = now() where id = any(%(ids)s)"

Connection = psycopg.Connection[Any]


def values_of(layers: int) -> bytes:
    """A text's values in a model of so many layers: numbers that take a double's 17 digits."""
    count = len(COMPONENTS) * len(SCOPES) * layers * len(METRICS)
    return b"".join((0x3FB9_9999_9999_0001 + i).to_bytes(8, "little") for i in range(count))


def fill(
    connection: Connection,
    jobs: int,
    texts: int,
    values: bytes | None = None,
    *,
    characters: int = 20,
    shard_texts: int = SHARD_TEXTS,
    finished: bool = True,
) -> list[UUID]:
    """Jobs with so many texts each; of those that are not finished half the shards are done.

    Without `values` every text has failed.
    """
    shards = -(-texts // shard_texts)
    parameters = {
        **{"model": MODEL, "jobs": jobs, "texts": texts, "shard": shard_texts, "characters": characters},
        **{"finished": finished, "done": shards if finished else shards // 2, "values": values},
        **{"options": Jsonb(OPTIONS), "configured": Jsonb(CONFIGURED), "measured_with": Jsonb(MEASURED_WITH)},
    }
    ids = [id for (id,) in connection.execute(JOBS, parameters)]
    for statement in (*OF_JOBS, PROFILES):
        _unchecked(connection, statement, {**parameters, "ids": ids})
    return ids


def profile(connection: Connection, job_id: UUID, texts: int, values: bytes) -> None:
    """Finish a job that was submitted, every text with the same values."""
    parameters = {"ids": [job_id], "texts": texts, "shard": 1, "done": texts, "values": values}
    _unchecked(connection, PROFILES, parameters)
    connection.execute(FINISHED, parameters)


def _unchecked(connection: Connection, statement: LiteralString, parameters: dict[str, Any]) -> None:
    """Without a look at the foreign keys, which takes several times longer than the insert."""
    with connection.transaction():
        connection.execute("set local session_replication_role = replica")
        connection.execute(statement, parameters)


def settle(connection: Connection) -> None:
    """As autovacuum leaves the tables: statistics taken, pages known to be visible."""
    connection.execute("vacuum analyze")


def bytes_on_disk(connection: Connection, tables: Sequence[str]) -> dict[str, int]:
    """With indexes and what is kept out of line."""
    rows = connection.execute(
        "select name, pg_total_relation_size(name::regclass) from unnest(%s::text[]) name", (list(tables),)
    )
    return dict(rows.fetchall())
