"""Which fields of a record are the text and the domain, and the forms of a text."""

import json
from typing import Any

import pytest

from layerscope.inputs import FieldNames, InputReader, find_sources
from tests.support.reading import Write, lines_of, parquet_of, read, reasons, refused


@pytest.mark.parametrize(
    ("record", "text", "domain"),
    [
        ({"prompt": "a", "content": "b", "text": "c"}, "text", None),
        ({"prompt": "a", "content": "b", "other": "c"}, "content", None),
        ({"prompt": "a", "language": "en", "source": "s"}, "prompt", "source"),
        ({"text": "a", "label": 3, "category": "c"}, "text", "label"),
        ({"text": "a", "domain": True}, "text", "domain"),
        ({"text": "a", "domain": ["no", "label"], "language": "en"}, "text", "language"),
        ({"input_ids": [1, 2], "title": "t"}, "input_ids", None),
        ({"messages": [{"role": "user", "content": "a"}]}, "messages", None),
    ],
)
def test_fields_are_guessed(write: Write, record: dict[str, Any], text: str, domain: str | None) -> None:
    found, report = read(write("x.jsonl", lines_of([record])))
    assert report.unusable_count == 0
    ((kind, _),) = report.files.items()
    assert (kind.fields.text, kind.fields.domain) == (text, domain)
    label = "x" if domain is None else record[domain]
    assert found == [(label if isinstance(label, str) else json.dumps(label), record[text])]


def test_a_field_with_many_values_is_not_taken_for_the_domain(write: Write) -> None:
    records = [{"text": "a", "source": f"https://example.org/{i}", "language": "en"} for i in range(17)]
    _, report = read(write("x.jsonl", lines_of(records)))
    assert list(report.domains) == ["en"]


def test_a_field_that_most_rows_lack_is_not_taken_for_the_domain(write: Write) -> None:
    records = [{"text": "a", "label": "cpp"}, {"text": "b"}, {"text": "c"}]
    assert read(write("x.jsonl", lines_of(records)))[0] == [("x", "a"), ("x", "b"), ("x", "c")]


def test_fields_can_be_named(write: Write) -> None:
    record = {"text": "no", "code": "yes", "domain": "no", "lang": "yes", "pair": "no", "id": 7}
    path = write("x.jsonl", lines_of([record]))
    reader = InputReader(find_sources([path]), FieldNames("code", "lang", "id"))
    assert [dict(line.to_line()) for line in reader] == [{"domain": "yes", "text": "yes", "pair": "7"}]
    reader = InputReader(find_sources([path]), FieldNames(domain="", pair=""))
    assert [dict(line.to_line()) for line in reader] == [{"domain": "x", "text": "no"}]


@pytest.mark.parametrize("name", ["x.jsonl", "x.csv", "x.parquet"])
def test_a_field_that_does_not_exist_is_an_error_that_lists_the_fields(write: Write, name: str) -> None:
    content = {"x.jsonl": '{"body": "a"}', "x.csv": "body\na\n", "x.parquet": parquet_of([{"body": "a"}])}[
        name
    ]
    path = write(name, content)
    assert refused(path, text="tex") == f"{path} has no field 'tex'. Its fields are body."
    assert refused(path, text="body", domain="d") == f"{path} has no field 'd'. Its fields are body."
    assert refused(path).startswith(f"No field of {path} is named text, content, prompt, messages,")
    assert read(path, text="body")[0] == [("x", "a")]


def test_lines_of_the_service_may_have_different_forms(write: Write) -> None:
    lines = [
        {"text": "a"},
        {"text": "b"},
        {"token_ids": [1]},
        {"messages": [{"role": "user", "content": "c"}]},
    ]
    reader = InputReader(find_sources([write("x.jsonl", lines_of(lines))]))
    assert [record.form for record in reader] == ["text", "text", "token_ids", "messages"]


def test_token_ids_and_messages_in_a_csv_file_are_json(write: Write) -> None:
    found, report = read(write("x.csv", 'input_ids\n"[1, 2]"\nno\n'))
    assert found == [("x", [1, 2])]
    assert reasons(report)[0][1].startswith("input_ids is not JSON: ")


def test_messages_in_a_parquet_file(write: Write) -> None:
    messages = [{"role": "user", "content": "a"}]
    path = write("x.parquet", parquet_of([{"messages": messages, "embedding": [0.5] * 100}]))
    assert read(path)[0] == [("x", messages)]
