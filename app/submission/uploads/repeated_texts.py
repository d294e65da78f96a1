"""Reads a submission that measures the texts of an earlier job again."""

import json
from collections.abc import Iterator
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.orm import Session

from app.errors import InvalidRequest, JobNotFound
from app.jobs import store
from app.jobs.store import Draft, StoredText
from app.settings import Settings
from app.submission.input_errors import InputErrors
from app.submission.ndjson_stream import read_texts
from app.submission.rules import KnownModels
from app.submission.stream_parameters import read_parameters
from app.submission.uploads.form_data import FormData
from app.submission.uploads.uploaded_files import PASTED, other_fields
from app.tables import Text
from layerscope.names import OnInvalid, TextForm

TEXTS_OF = "texts_of"  # the field of the form
TEXTS_AT_A_TIME = 256


def repeats_texts(form: FormData) -> bool:
    return bool(dict(form.fields).get(TEXTS_OF))


def read_again(
    form: FormData, key: str | None, models: KnownModels, settings: Settings, session: Session
) -> tuple[Draft, Iterator[StoredText]]:
    """The texts are checked like the lines of a stream. Those that were invalid then fail again.

    Raises: InvalidRequest.
    """
    others = [(name, value) for name, value in other_fields(form) if name not in (TEXTS_OF, "on_invalid")]
    request = read_parameters([*others, ("on_invalid", OnInvalid.FAIL)], key, models)
    job_id = _job_of(form, session)
    return request.draft, read_texts(_lines(session, job_id), settings, request)


def _job_of(form: FormData, session: Session) -> UUID:
    if any(name for name, _ in form.files) or dict(form.fields).get(PASTED, "").strip():
        raise InvalidRequest(
            f"The form has new texts, and asks for those of an earlier job ({TEXTS_OF}). Choose one of them."
        )
    try:
        return store.get(session, UUID(dict(form.fields)[TEXTS_OF])).id
    except (ValueError, JobNotFound):
        errors = InputErrors("?")
        errors.add("is not the id of a job", TEXTS_OF)
        raise errors.to_exception() from None


def _lines(session: Session, job_id: UUID) -> Iterator[bytes]:
    texts = select(Text.domain, Text.text, Text.pair, Text.form).where(Text.job_id == job_id)
    found = session.execute(texts.order_by(Text.ordinal).execution_options(yield_per=TEXTS_AT_A_TIME))
    for text in found:
        form, value = (text.form, json.loads(text.text)) if text.form else (TextForm.TEXT, text.text)
        pair = {} if text.pair is None else {"pair": text.pair}
        yield json.dumps({"domain": text.domain, form: value, **pair}).encode() + b"\n"
