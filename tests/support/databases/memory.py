"""Data that a test writes to both servers, to check later that it was kept."""

import psycopg
from redis import Redis

from app.local.servers import Servers


def remember(running: Servers, word: str) -> None:
    with psycopg.connect(running.database_url) as connection:
        connection.execute("create table if not exists word (word text)")
        connection.execute("insert into word values (%s)", (word,))
    with Redis.from_url(running.redis_url) as client:
        client.rpush("word", word)


def remembered(running: Servers) -> tuple[list[str], list[str]]:
    with psycopg.connect(running.database_url) as connection:
        rows = connection.execute("select word from word order by word").fetchall()
    with Redis.from_url(running.redis_url) as client:
        return [row[0] for row in rows], [word.decode() for word in client.lrange("word", 0, -1)]
