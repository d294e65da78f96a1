"""The readers of submissions, with arbitrary bytes: a value, or an error that is the fault of the client."""

import gzip
import io
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.errors import ProblemError
from app.jobs.store import StoredText
from app.settings import Settings
from app.submission.gzip_stream import gunzip
from app.submission.json_document import read_submission
from app.submission.ndjson_stream import read_texts
from app.submission.rules import KnownModel
from app.submission.stream_parameters import PARAMETERS, read_parameters
from app.submission.uploads.form_data import form_data
from app.submission.uploads.uploaded_files import read_files, texts_of
from tests.support.byte_strategies import DOCUMENTS, TEXTS, VALUES, as_json, damaged, in_pieces, soup
from tests.support.http.multipart import FORM_TOKENS, FORM_TYPE, FORM_TYPES, PARTS, Part, as_form

SETTINGS = Settings(
    text_limit_bytes=200, texts_per_job_limit=5, domains_per_job_limit=3, json_values_limit=500
)
MODELS = {"demo": KnownModel(max_tokens=256, chat_template=True)}
LONGEST_SECONDS = 1.0  # of CPU time, for at most a few thousand bytes

JSON = st.binary(max_size=300) | soup() | DOCUMENTS.map(as_json) | damaged(DOCUMENTS.map(as_json))
LINES = st.lists(TEXTS.map(as_json), max_size=6).map(b"\n".join)
NDJSON = st.binary(max_size=300) | soup() | LINES | damaged(LINES)
GZIP = st.binary(max_size=300).map(gzip.compress)


@contextmanager
def refusing_only_as_the_fault_of_the_client() -> Iterator[None]:
    started = time.thread_time()
    try:
        yield
    except ProblemError as error:
        if not 400 <= error.problem.status < 500:
            raise
    assert time.thread_time() - started < LONGEST_SECONDS


def assert_can_be_stored(texts: Iterable[StoredText]) -> None:
    for text in texts:
        assert "\0" not in text.text
        assert len(text.text.encode()) <= SETTINGS.text_limit_bytes
        assert text.text.strip() or text.error


@given(JSON)
def test_json_is_read_or_refused(body: bytes) -> None:
    with refusing_only_as_the_fault_of_the_client():
        draft, texts = read_submission(body, None, MODELS, SETTINGS)
        assert draft.model == "demo"
        assert_can_be_stored(texts)


@given(in_pieces(NDJSON), st.sampled_from([[], [("on_invalid", "fail")], [("text", "a"), ("pair", "b")]]))
def test_ndjson_is_read_or_refused(pieces: Sequence[bytes], query: list[tuple[str, str]]) -> None:
    with refusing_only_as_the_fault_of_the_client():
        assert_can_be_stored(read_texts(pieces, SETTINGS, read_parameters(query, None, MODELS)))


@given(in_pieces(NDJSON))
def test_the_pieces_of_a_stream_make_no_difference(pieces: Sequence[bytes]) -> None:
    whole = outcome(read_texts, [b"".join(pieces)], SETTINGS, read_parameters([], None, MODELS))
    assert outcome(read_texts, pieces, SETTINGS, read_parameters([], None, MODELS)) == whole


@given(
    st.lists(
        st.tuples(
            st.sampled_from(PARAMETERS) | st.text(max_size=5),
            st.text(max_size=20) | VALUES.map(str) | st.just("demo"),
        ),
        max_size=5,
    )
)
def test_parameters_of_a_stream_are_read_or_refused(query: list[tuple[str, str]]) -> None:
    with refusing_only_as_the_fault_of_the_client():
        assert read_parameters(query, None, MODELS).draft.model == "demo"


@given(in_pieces(st.binary(max_size=300) | GZIP | damaged(GZIP) | st.tuples(GZIP, GZIP).map(b"".join)))
def test_gzip_is_read_or_refused(pieces: Sequence[bytes]) -> None:
    with refusing_only_as_the_fault_of_the_client():
        contents = b"".join(gunzip(pieces, SETTINGS))
        assert contents == gzip.decompress(b"".join(pieces))


@given(in_pieces(st.tuples(GZIP, GZIP).map(b"".join)))
def test_valid_gzip_is_read(pieces: Sequence[bytes]) -> None:
    assert b"".join(gunzip(pieces, SETTINGS)) == gzip.decompress(b"".join(pieces))


@given(in_pieces(damaged(LINES.map(gzip.compress)) | LINES.map(gzip.compress)))
def test_compressed_ndjson_is_read_or_refused(pieces: Sequence[bytes]) -> None:
    with refusing_only_as_the_fault_of_the_client():
        stream = gunzip(pieces, SETTINGS)
        assert_can_be_stored(read_texts(stream, SETTINGS, read_parameters([], None, MODELS)))


@pytest.fixture(scope="session")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("forms")


FORMS = PARTS.map(as_form)


@given(st.binary(max_size=300) | soup(FORM_TOKENS) | FORMS | damaged(FORMS), FORM_TYPES)
def test_a_form_is_read_or_refused(folder: Path, body: bytes, content_type: str) -> None:
    with (
        refusing_only_as_the_fault_of_the_client(),
        form_data(io.BytesIO(body), content_type, folder) as form,
    ):
        files = read_files(form, None, MODELS, SETTINGS)
        assert_can_be_stored(texts_of(files, SETTINGS))


@given(PARTS)
def test_the_parts_of_a_form_keep_their_names_order_and_contents(folder: Path, parts: list[Part]) -> None:
    with form_data(io.BytesIO(as_form(parts)), FORM_TYPE, folder) as form:
        assert form.fields == [
            (part.name, part.content.decode("utf-8", "replace")) for part in parts if part.file is None
        ]
        found = [(name, file.read()) for name, file in form.files]
    assert found == [(part.file, part.content) for part in parts if part.file is not None]


def outcome(read: Callable[..., Iterable[StoredText]], *arguments: Any) -> object:
    try:
        return list(read(*arguments))
    except ProblemError as error:
        return error.problem
