"""The body of a submission: a JSON document that is read as a whole, or an NDJSON stream."""

from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass

from fastapi import Request

from app.api.limits.received_body import pieces, received_bytes, spooled
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
    """`document` if the body is JSON; otherwise `stream`, the pieces of an NDJSON body."""

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


async def submitted_body(request: Request, service: ServiceDep) -> AsyncIterator[Body]:
    """The body, after the whole of it has arrived.

    Raises: InvalidRequest, UnsupportedMediaType, LimitExceeded, BodyTimeout, TooBusy, DiskFull.
    """
    media_type = request.headers.get("content-type", "").split(";")[0].strip().lower()
    encoding = request.headers.get("content-encoding", "").strip().lower()
    if media_type in STREAMS:
        _check_encoding_of_stream(encoding)
    else:
        _check_document(request, media_type, encoding)
    arriving = _stream(request, encoding, service) if media_type in STREAMS else _document(request, service)
    with service.uploads.take():
        async with arriving as body:
            yield body


def _check_encoding_of_stream(encoding: str) -> None:
    if encoding not in (*UNCOMPRESSED, *GZIP):
        raise UnsupportedMediaType(f"The Content-Encoding of NDJSON can be gzip, but not {encoding}.")


def _check_document(request: Request, media_type: str, encoding: str) -> None:
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


def _given(media_type: str) -> str:
    return f"its Content-Type is {media_type}" if media_type else "it has no Content-Type"


@asynccontextmanager
async def _document(request: Request, service: Service) -> AsyncIterator[Body]:
    limit = service.settings.body_limit_bytes
    too_large = over_limit("The body", f"{limit} bytes", "body_limit_bytes")
    length = request.headers.get("content-length", "")
    size = int(length) if length.isdecimal() else limit
    if size > limit:
        raise too_large
    with service.documents.take(size):
        yield Body(await received_bytes(request, service.settings, too_large, limit), (), [])


@asynccontextmanager
async def _stream(request: Request, encoding: str, service: Service) -> AsyncIterator[Body]:
    settings = service.settings
    limit = settings.ndjson_limit_bytes
    too_large = over_limit("The body", f"{limit} bytes", "ndjson_limit_bytes")
    async with spooled(request, settings, too_large, limit, service.spooling) as file:
        stream = gunzip(pieces(file), settings) if encoding in GZIP else pieces(file)
        yield Body(None, stream, request.query_params.multi_items())
