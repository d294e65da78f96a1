"""What would be measured of the files in a form: nothing is stored."""

from collections.abc import Sequence
from dataclasses import dataclass, field

from app.settings import Settings
from app.submission.uploads.form_data import FormData
from app.submission.uploads.uploaded_files import file_options, reader_of, unreadable
from layerscope.inputs import InputReport, TextRecord, UnreadableInputError, UnusableRow

EXAMPLES = 3
EXAMPLE_CHARACTERS = 200
MOST_UNUSABLE = 10_000  # a preview of more is not useful


@dataclass
class DomainPreview:
    """`characters`: of the texts that are strings."""

    texts: int = 0
    characters: int = 0
    examples: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class FilesPreview:
    """`readings`: how the files are read, in words. `unusable`: the first of `unusable_count` rows."""

    domains: dict[str, DomainPreview]
    readings: Sequence[str]
    renamed: dict[str, str]
    unusable: Sequence[UnusableRow]
    unusable_count: int

    @property
    def texts(self) -> int:
        return sum(domain.texts for domain in self.domains.values())

    @property
    def characters(self) -> int:
        return sum(domain.characters for domain in self.domains.values())


def preview_of(form: FormData, settings: Settings) -> FilesPreview:
    """Raises: InvalidRequest if a file cannot be read."""
    files = reader_of(form, file_options(form), settings, most_unusable=MOST_UNUSABLE)
    domains: dict[str, DomainPreview] = {}
    try:
        for record in files:
            _add(domains.setdefault(record.domain, DomainPreview()), record)
    except UnreadableInputError as error:
        raise unreadable(error) from error
    report = files.report
    return FilesPreview(
        domains, list(_readings(report)), dict(report.renamed), report.unusable, report.unusable_count
    )


def _add(domain: DomainPreview, record: TextRecord) -> None:
    domain.texts += 1
    text = record.value if isinstance(record.value, str) else str(record.value)
    if isinstance(record.value, str):
        domain.characters += len(text)
    if len(domain.examples) < EXAMPLES:
        cut = text[:EXAMPLE_CHARACTERS]
        domain.examples.append(cut + ("…" if len(text) > len(cut) else ""))


def _readings(report: InputReport) -> list[str]:
    sentences = []
    for kind, tally in report.files.items():
        names = tally.name if tally.files == 1 else f"{tally.name} and {tally.files - 1} more"
        how = f"{kind.format}{f' in {kind.encoding}' if kind.encoding else ''}"
        fields = kind.fields
        found = [
            f"{what} from the field {name}"
            for what, name in (("text", fields.text), ("domain", fields.domain), ("pair", fields.pair))
            if name
        ]
        sentences.append(f"{names}: {', '.join([how, *found])}.")
    return sentences
