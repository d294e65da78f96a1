"""Inserts jobs directly into the tables: far more than a benchmark could measure."""

from collections.abc import Sequence
from typing import Any, LiteralString
from uuid import UUID

import numpy as np
import psycopg
from psycopg.types.json import Jsonb

from layerscope.names import COMPONENTS, METRICS, SCOPES
from layerscope.values import encode

MODEL = "demo"
SHARD_TEXTS = 328  # the texts of 200 characters in a shard of the default size
MEASURED_WITH = {"source": "demo", "revision": "r1", "layers": 28, "hidden_size": 3072, "dtype": "float32"}
OPTIONS = {"max_tokens": None, "overflow": "truncate", "components": list(COMPONENTS)}
CONFIGURED = {"source": "demo", "revision": None, "max_tokens": None}
FIRST_VALUE = 0x3FB9_9999_9999_0001  # a float64 near 0.1 that needs 17 decimal digits, as do its successors

INSERT_JOBS: LiteralString = """
    insert into job (model, options, scopes, texts, request_sha256, configured, started_at, measured_with,
                     outcome, finished_at)
    select %(model)s, %(options)s, %(scopes)s, %(texts)s, '', %(configured)s, now(), %(measured_with)s,
           case when %(finished)s then 'succeeded' end, case when %(finished)s then now() end
    from generate_series(1, %(jobs)s) returning id"""
INSERT_PARTS: tuple[LiteralString, ...] = (
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
INSERT_PROFILES: LiteralString = """
    insert into text_profile (job_id, ordinal, tokens, truncated, error, values)
    select id, ordinal, 50, false, case when %(values)s::bytea is null then 'not measured' end, %(values)s
    from unnest(%(ids)s::uuid[]) id, generate_series(0, %(texts)s - 1) ordinal
    where ordinal < %(done)s * %(shard)s::integer"""
FINISH: LiteralString = "update job set outcome = 'succeeded', finished_at = now() where id = any(%(ids)s)"

Connection = psycopg.Connection[Any]


def stored_values(layers: int) -> bytes:
    """The stored values of a text in a model with `layers` layers. Every number needs 17 decimal digits."""
    shape = len(COMPONENTS), len(SCOPES), layers, len(METRICS)
    bits = np.arange(np.prod(shape), dtype=np.int64) + FIRST_VALUE
    return encode(bits.view(np.float64).reshape(shape))


def insert_jobs(
    connection: Connection,
    jobs: int,
    texts: int,
    values: bytes | None = None,
    *,
    characters: int = 20,
    shard_texts: int = SHARD_TEXTS,
    finished: bool = True,
    done: int | None = None,
) -> list[UUID]:
    """Inserts `jobs` jobs with `texts` texts each.

    Args:
        values: of every text; None: every text has failed.
        characters: per text.
        done: how many shards of an unfinished job are done; None: half of them.
    """
    shards = -(-texts // shard_texts)
    unfinished = shards // 2 if done is None else done
    parameters = {
        **{"model": MODEL, "jobs": jobs, "texts": texts, "shard": shard_texts, "characters": characters},
        **{"finished": finished, "done": shards if finished else unfinished, "values": values},
        **{
            "scopes": list(SCOPES),
            "options": Jsonb(OPTIONS),
            "configured": Jsonb(CONFIGURED),
            "measured_with": Jsonb(MEASURED_WITH),
        },
    }
    ids = [id for (id,) in connection.execute(INSERT_JOBS, parameters)]
    for statement in (*INSERT_PARTS, INSERT_PROFILES):
        _without_foreign_keys(connection, statement, {**parameters, "ids": ids})
    return ids


def finish_job(connection: Connection, job_id: UUID, texts: int, values: bytes) -> None:
    """Stores the same values for every text of a submitted job, and finishes it."""
    parameters = {"ids": [job_id], "texts": texts, "shard": 1, "done": texts, "values": values}
    _without_foreign_keys(connection, INSERT_PROFILES, parameters)
    connection.execute(FINISH, parameters)


def _without_foreign_keys(
    connection: Connection, statement: LiteralString, parameters: dict[str, Any]
) -> None:
    """Executes without checking foreign keys; the checks take several times longer than the insertion."""
    with connection.transaction():
        connection.execute("set local session_replication_role = replica")
        connection.execute(statement, parameters)


def vacuum(connection: Connection) -> None:
    """Updates the planner statistics and the visibility map, as autovacuum does."""
    connection.execute("vacuum analyze")


def bytes_on_disk(connection: Connection, tables: Sequence[str]) -> dict[str, int]:
    """The size of each table with its indexes and its out-of-line storage (TOAST)."""
    rows = connection.execute(
        "select name, pg_total_relation_size(name::regclass) from unnest(%s::text[]) name", (list(tables),)
    )
    return dict(rows.fetchall())
