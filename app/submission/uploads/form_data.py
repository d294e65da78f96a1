"""Reads a body of type multipart/form-data: fields, and files that are kept on disk while they are used."""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any, cast

from python_multipart import FormParser
from python_multipart.exceptions import FormParserError
from python_multipart.multipart import parse_options_header

from app.disk_space import storing
from app.errors import InvalidRequest

READ_BYTES = 2**16
MOST_PARTS = 10_000  # a folder may have many files
LONGEST_FIELD = 2**20  # bytes
IN_MEMORY_BYTES = 2**20  # of each file


@dataclass
class FormData:
    """The fields in their order, and the files with the names that their sender gave them."""

    fields: list[tuple[str, str]] = field(default_factory=list)
    files: list[tuple[str, IO[bytes]]] = field(default_factory=list)


@contextmanager
def form_data(body: IO[bytes], content_type: str, folder: Path) -> Iterator[FormData]:
    """The form in a body. Large files are in `folder` until the end.

    Raises: InvalidRequest, DiskFull.
    """
    _, options = parse_options_header(content_type)
    boundary = options.get(b"boundary")
    if not boundary:
        raise InvalidRequest("The Content-Type of the form has no boundary.")
    form = FormData()
    config = {
        "UPLOAD_DIR": str(folder),
        "MAX_FIELDS": MOST_PARTS,
        "MAX_FIELD_SIZE": LONGEST_FIELD,
        "MAX_MEMORY_FILE_SIZE": IN_MEMORY_BYTES,
    }
    with ExitStack() as stack:

        def add_field(found: Any) -> None:
            form.fields.append((_name(found.field_name), (found.value or b"").decode("utf-8", "replace")))
            _check_parts(form)

        def add_file(found: Any) -> None:
            stack.callback(found.close)
            form.files.append((_name(found.file_name), cast(IO[bytes], found.file_object)))
            _check_parts(form)

        try:
            parser = FormParser("multipart/form-data", add_field, add_file, boundary=boundary, config=config)
            with storing():
                while piece := body.read(READ_BYTES):
                    parser.write(piece)
                parser.finalize()
        except FormParserError as error:
            raise InvalidRequest(f"The body is not a form that can be read: {error}.") from error
        for _, file in form.files:
            file.seek(0)
        yield form


def _name(given: bytes | None) -> str:
    return (given or b"").decode("utf-8", "replace")


def _check_parts(form: FormData) -> None:
    if len(form.fields) + len(form.files) > MOST_PARTS:
        raise InvalidRequest(f"The form has more than {MOST_PARTS:,} fields and files.")
