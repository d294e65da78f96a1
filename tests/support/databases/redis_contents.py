"""Everything that Redis contains, as it was before it was compressed."""

import zlib
from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import Any

from redis import Redis


def contents(redis: Redis) -> list[bytes]:
    """The names and the values of all keys."""
    return [_decompressed(part) for part in _parts(redis)]


def _parts(redis: Redis) -> Iterator[bytes]:
    for name in redis.scan_iter():
        yield name
        for value in _values(redis, name):
            yield from value if isinstance(value, tuple) else (value,)


def _values(redis: Redis, name: bytes) -> Any:
    read: dict[Any, Callable[[], Any]] = {
        b"string": lambda: [redis.get(name)],
        b"hash": lambda: redis.hgetall(name).items(),
        b"list": lambda: redis.lrange(name, 0, -1),
        b"set": lambda: redis.smembers(name),
        b"zset": lambda: redis.zrange(name, 0, -1),
    }
    return read[redis.type(name)]()


def _decompressed(value: bytes) -> bytes:
    """RQ compresses its messages."""
    with suppress(zlib.error):
        return zlib.decompress(value)
    return value
