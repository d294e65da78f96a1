"""What a report counts of the texts of each domain."""

from layerscope.inputs.records import TextRecord
from layerscope.inputs.report import InputReport


def test_the_size_of_texts_is_that_of_utf_8() -> None:
    report = InputReport()
    for value in ("數字", "a", [1, 2]):
        report.add_text(TextRecord("x", "text" if isinstance(value, str) else "token_ids", value))
    tally = report.domains["x"]
    assert (tally.texts, tally.characters, tally.text_bytes) == (3, 3, 7)
