"""The body of a submission: JSON as a whole, NDJSON as a stream."""

from collections.abc import AsyncIterator, Iterable, Iterator
from dataclasses import dataclass

from anyio import from_thread
from fastapi import Request

from app.api.service import Service, ServiceDep
from app.errors import InputError, InvalidRequest, UnsupportedMediaType
from app.jobs.store import Draft, PostedText
from app.submission.json_document import over_limit, read_head, read_submission
from app.submission.ndjson_stream import gunzip, read_texts

JSON, NDJSON = "application/json", "application/x-ndjson"
UNPACKED = ("", "identity")


@dataclass(frozen=True)
class Body:
    """`whole` if the body is JSON, else `stream`, to be read by a thread of the pool."""

    whole: bytes | None
    stream: Iterable[bytes]
    query: dict[str, str]

    def read(
        self, key: str | None, models: dict[str, int | None], service: Service
    ) -> tuple[Draft, Iterable[PostedText]]:
        """The draft and its texts; those of a stream are checked as they are taken.

        Raises: InvalidRequest, LimitExceeded.
        """
        if self.whole is not None:
            return read_submission(self.whole, key, models, service.settings)
        return read_head(self.query, key, models), read_texts(self.stream, service.settings)


async def submitted_body(request: Request, service: ServiceDep) -> Body:
    """Raises: UnsupportedMediaType, LimitExceeded."""
    media_type = request.headers.get("content-type", "").split(";")[0].strip().lower()
    encoding = request.headers.get("content-encoding", "").strip().lower()
    if media_type == NDJSON:
        return Body(None, _stream(request, encoding, service), dict(request.query_params))
    if media_type != JSON:
        raise UnsupportedMediaType(
            f"The body must be JSON or NDJSON, not {media_type or 'of an unnamed type'}: "
            f"send the header 'Content-Type: {JSON}' (curl: -H 'Content-Type: {JSON}').",
            headers={"Accept-Post": f"{JSON}, {NDJSON}"},
        )
    if request.query_params:
        errors = [
            InputError(f"?{name}", "stands in the body, where the body is JSON")
            for name in request.query_params
        ]
        raise InvalidRequest("A JSON submission takes no query parameters.", errors)
    if encoding not in UNPACKED:
        raise UnsupportedMediaType("A JSON body must come without a Content-Encoding.")
    return Body(await _whole(request, service.settings.body_limit_bytes), (), {})


async def _whole(request: Request, limit: int) -> bytes:
    too_large = over_limit("The body", f"{limit} bytes", "body_limit_bytes")
    length = request.headers.get("content-length", "")
    if length.isdecimal() and int(length) > limit:
        raise too_large
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > limit:
            raise too_large
    return bytes(body)


def _stream(request: Request, encoding: str, service: Service) -> Iterator[bytes]:
    if encoding not in (*UNPACKED, "gzip"):
        raise UnsupportedMediaType(f"The Content-Encoding of NDJSON may be gzip, not {encoding}.")
    chunks = _chunks(request.stream())
    return gunzip(chunks, service.settings.gzip_expansion_limit) if encoding == "gzip" else chunks


def _chunks(stream: AsyncIterator[bytes]) -> Iterator[bytes]:
    """An asynchronous stream in a thread of the pool: the house is synchronous, the wire is not."""

    async def following() -> bytes | None:
        return await anext(stream, None)

    while (chunk := from_thread.run(following)) is not None:
        yield chunk
