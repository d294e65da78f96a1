"""The body of a submission: a JSON document that is read as a whole, an NDJSON stream, or files in a form."""

from collections.abc import AsyncIterator, Iterable
from contextlib import ExitStack, asynccontextmanager
from dataclasses import dataclass, field
from typing import IO

from fastapi import Request

from app.access.principal import Principal
from app.api.limits.received_body import pieces, received_bytes, spooled, uploads_folder
from app.api.service import Service, ServiceDep
from app.errors import UnsupportedMediaType
from app.jobs.store import Draft, StoredText
from app.settings import MIB
from app.submission.gzip_stream import gunzip
from app.submission.input_errors import InputErrors
from app.submission.json_document import read_submission
from app.submission.ndjson_stream import read_texts
from app.submission.rules import KnownModels, over_limit
from app.submission.stream_parameters import read_parameters
from app.submission.uploads.form_data import FormData, form_data
from app.submission.uploads.repeated_texts import read_again, repeats_texts
from app.submission.uploads.uploaded_files import read_files, texts_of

JSON, NDJSON, FORM = "application/json", "application/x-ndjson", "multipart/form-data"
STREAMS = (NDJSON, "application/jsonl", "application/jsonlines")  # names of the same format
CURL_DEFAULT = "application/x-www-form-urlencoded"  # what curl --data sends
_AS_FILE = "Send {} as a file in a form: curl -F file=@{}."
REMEDIES = {
    CURL_DEFAULT: f"For JSON, send the header 'Content-Type: {JSON}': curl -H 'Content-Type: {JSON}'.",
    "text/csv": _AS_FILE.format("CSV", "texts.csv"),
    "text/plain": _AS_FILE.format("a text file", "texts.txt"),
    "application/vnd.apache.parquet": _AS_FILE.format("Parquet", "texts.parquet"),
    "application/gzip": _AS_FILE.format("a compressed file", "texts.csv.gz"),
}
LARGE_DOCUMENT = MIB
UNCOMPRESSED, GZIP = ("", "identity"), ("gzip", "x-gzip")


@dataclass(frozen=True)
class Body:
    """`document` if the body is JSON, `form` if it is a form, otherwise `stream`: the pieces of NDJSON."""

    document: bytes | None
    stream: Iterable[bytes]
    query: list[tuple[str, str]]
    form: "FormBody | None" = None

    @property
    def is_large_document(self) -> bool:
        return self.document is not None and len(self.document) > LARGE_DOCUMENT

    def read(
        self, key: str | None, models: KnownModels, service: Service, principal: Principal
    ) -> tuple[Draft, Iterable[StoredText]]:
        """The draft and its texts. The texts of a stream are checked while they are read.

        Raises: InvalidRequest, LimitExceeded.
        """
        if self.document is not None:
            return read_submission(self.document, key, models, service.settings)
        if self.form is not None:
            form = self.form.open(service)
            if repeats_texts(form):
                session = self.form.resources.enter_context(service.session_of(principal))
                return read_again(form, key, models, service.settings, session)
            files = read_files(form, key, models, service.settings)
            return files.stream.draft, texts_of(files, service.settings)
        request = read_parameters(self.query, key, models)
        return request.draft, read_texts(self.stream, service.settings, request)


@dataclass(frozen=True)
class FormBody:
    """A form that has arrived. What it opens is closed by `resources`."""

    body: IO[bytes]
    content_type: str
    resources: ExitStack = field(default_factory=ExitStack)

    def open(self, service: Service) -> FormData:
        """Takes time, and therefore a thread. Raises: InvalidRequest."""
        form = form_data(self.body, self.content_type, uploads_folder(service.settings))
        return self.resources.enter_context(form)


async def submitted_body(request: Request, service: ServiceDep) -> AsyncIterator[Body]:
    """The body, after the whole of it has arrived.

    Raises: InvalidRequest, UnsupportedMediaType, LimitExceeded, BodyTimeout, TooBusy, DiskFull.
    """
    media_type = media_type_of(request)
    encoding = request.headers.get("content-encoding", "").strip().lower()
    if media_type in STREAMS:
        _check_encoding_of_stream(encoding)
        arriving = _stream(request, encoding, service)
    elif media_type == FORM:
        _check_whole(request, encoding)
        arriving = _form(request, service)
    else:
        _check_document(request, media_type)
        _check_whole(request, encoding)
        arriving = _document(request, service)
    with service.uploads.take():
        async with arriving as body:
            yield body


def media_type_of(request: Request) -> str:
    """Without its parameters; empty if the request states none."""
    return request.headers.get("content-type", "").split(";")[0].strip().lower()


def _check_encoding_of_stream(encoding: str) -> None:
    if encoding not in (*UNCOMPRESSED, *GZIP):
        raise UnsupportedMediaType(f"The Content-Encoding of NDJSON can be gzip, but not {encoding}.")


def _check_document(request: Request, media_type: str) -> None:
    if media_type != JSON:
        remedy = REMEDIES.get(media_type, f"{REMEDIES[CURL_DEFAULT]} {REMEDIES['text/csv']}")
        raise UnsupportedMediaType(
            f"The body must be JSON, NDJSON or a form with files, but {_given(media_type)}. {remedy}",
            headers={"Accept-Post": ", ".join((JSON, *STREAMS, FORM))},
        )


def _check_whole(request: Request, encoding: str) -> None:
    errors = InputErrors("?")
    for name in request.query_params:
        errors.add("must be a member of the body; only a stream has query parameters", name)
    errors.check()
    if encoding not in UNCOMPRESSED:
        raise UnsupportedMediaType("This body must not have a Content-Encoding: only NDJSON can have one.")


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


@asynccontextmanager
async def arriving_form(request: Request, service: Service) -> AsyncIterator[FormBody]:
    """A form, after the whole of it has arrived. Raises: LimitExceeded, BodyTimeout, DiskFull."""
    limit = service.settings.body_limit_bytes
    too_large = over_limit("The form", f"{limit} bytes", "body_limit_bytes")
    async with spooled(request, service.settings, too_large, limit, service.spooling) as file:
        form = FormBody(file, request.headers.get("content-type", ""))
        with form.resources:
            yield form


@asynccontextmanager
async def _form(request: Request, service: Service) -> AsyncIterator[Body]:
    async with arriving_form(request, service) as form:
        yield Body(None, (), [], form)
