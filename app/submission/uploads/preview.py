"""What would be measured of the files in a form: nothing is stored."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from app.errors import InvalidRequest
from app.settings import Settings
from app.submission.uploads.form_data import FormData
from app.submission.uploads.repeated_texts import repeats_texts
from app.submission.uploads.uploaded_files import file_options, reader_of, unreadable
from layerscope.inputs import InputReport, UnreadableInputError

EXAMPLES = 3
EXAMPLE_CHARACTERS = 200
MOST_UNUSABLE = 10_000  # a preview of more is not useful


@dataclass(frozen=True)
class FilesPreview:
    """`examples`: the first texts of each domain. `readings`: how the files are read, in words."""

    report: InputReport
    examples: Mapping[str, Sequence[str]]
    readings: Sequence[str]

    @property
    def text_bytes(self) -> int:
        """Of the texts that are strings, in UTF-8."""
        return sum(domain.text_bytes for domain in self.report.domains.values())


def preview_of(form: FormData, settings: Settings) -> FilesPreview:
    """Raises: InvalidRequest if a file cannot be read."""
    if repeats_texts(form):
        raise InvalidRequest("The texts of an earlier job have no preview: the page of that job lists them.")
    files = reader_of(form, file_options(form), settings, MOST_UNUSABLE)
    examples: dict[str, list[str]] = {}
    try:
        for record in files:
            of_domain = examples.setdefault(record.domain, [])
            if len(of_domain) < EXAMPLES:
                of_domain.append(_beginning(str(record.value)))
    except UnreadableInputError as error:
        raise unreadable(error) from error
    return FilesPreview(files.report, examples, list(_readings(files.report)))


def _beginning(text: str) -> str:
    cut = text[:EXAMPLE_CHARACTERS]
    return cut + ("…" if len(text) > len(cut) else "")


def _readings(report: InputReport) -> Iterator[str]:
    for kind, tally in report.files.items():
        names = tally.name if tally.files == 1 else f"{tally.name} and {tally.files - 1} more"
        how = f"{kind.format}{f' in {kind.encoding}' if kind.encoding else ''}"
        fields = kind.fields
        found = [
            f"{what} from the field {name}"
            for what, name in (("text", fields.text), ("domain", fields.domain), ("pair", fields.pair))
            if name
        ]
        yield f"{names}: {', '.join([how, *found])}."
