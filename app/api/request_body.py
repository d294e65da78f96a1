"""The body of a submission: a JSON document that is read as a whole, or an NDJSON stream."""

from collections.abc import AsyncIterator, Iterable, Iterator
from dataclasses import dataclass

from anyio import from_thread
from fastapi import Request

from app.api.service import Service, ServiceDep
from app.errors import UnsupportedMediaType
from app.jobs.store import Draft, StoredText
from app.submission.gzip_stream import gunzip
from app.submission.input_errors import InputErrors
from app.submission.json_document import read_submission
from app.submission.ndjson_stream import read_texts
from app.submission.rules import KnownModels, over_limit
from app.submission.stream_parameters import read_parameters

JSON, NDJSON = "application/json", "application/x-ndjson"
STREAMS = (NDJSON, "application/jsonl", "application/jsonlines")  # names of the same format
UNCOMPRESSED, GZIP = ("", "identity"), ("gzip", "x-gzip")


@dataclass(frozen=True)
class Body:
    """`document` if the body is JSON; otherwise `stream`, which a thread of the pool must read."""

    document: bytes | None
    stream: Iterable[bytes]
    query: list[tuple[str, str]]

    def read(
        self, key: str | None, models: KnownModels, service: Service
    ) -> tuple[Draft, Iterable[StoredText]]:
        """The draft and its texts. The texts of a stream are checked while they are read.

        Raises: InvalidRequest, LimitExceeded.
        """
        if self.document is not None:
            return read_submission(self.document, key, models, service.settings)
        request = read_parameters(self.query, key, models)
        return request.draft, read_texts(self.stream, service.settings, request)


async def submitted_body(request: Request, service: ServiceDep) -> Body:
    """Raises: InvalidRequest, UnsupportedMediaType, LimitExceeded."""
    media_type = request.headers.get("content-type", "").split(";")[0].strip().lower()
    encoding = request.headers.get("content-encoding", "").strip().lower()
    if media_type in STREAMS:
        return Body(None, _stream(request, encoding, service), request.query_params.multi_items())
    if media_type != JSON:
        raise UnsupportedMediaType(
            f"The body must be JSON or NDJSON, but {_given(media_type)}. "
            f"Send the header 'Content-Type: {JSON}' (curl: -H 'Content-Type: {JSON}').",
            headers={"Accept-Post": ", ".join((JSON, *STREAMS))},
        )
    errors = InputErrors("?")
    for name in request.query_params:
        errors.add("must be a member of the body, since the body is JSON", name)
    errors.check()
    if encoding not in UNCOMPRESSED:
        raise UnsupportedMediaType(
            "A JSON body must not have a Content-Encoding. Only NDJSON can be compressed."
        )
    return Body(await _document(request, service.settings.body_limit_bytes), (), [])


def _given(media_type: str) -> str:
    return f"its Content-Type is {media_type}" if media_type else "it has no Content-Type"


async def _document(request: Request, limit: int) -> bytes:
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
    if encoding not in (*UNCOMPRESSED, *GZIP):
        raise UnsupportedMediaType(f"The Content-Encoding of NDJSON can be gzip, but not {encoding}.")
    chunks = _chunks(request.stream())
    return gunzip(chunks, service.settings) if encoding in GZIP else chunks


def _chunks(stream: AsyncIterator[bytes]) -> Iterator[bytes]:
    """An asynchronous stream for synchronous code in a thread of the pool."""

    async def following() -> bytes | None:
        return await anext(stream, None)

    while (chunk := from_thread.run(following)) is not None:
        yield chunk
