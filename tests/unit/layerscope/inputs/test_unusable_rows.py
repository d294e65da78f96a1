"""Rows that cannot be used, with their place and the reason."""

from tests.support.reading import Write, read, reasons


def test_rows_that_cannot_be_used_are_listed_with_their_place(write: Write) -> None:
    rows = [
        '{"text": "good", "domain": "a"}',
        '{"text": "", "domain": "a"}',
        "not JSON",
        "",
        '{"domain": "a"}',
        '{"text": "x\\u0000", "domain": "a"}',
        '{"text": 3, "domain": "a"}',
        '{"text": "good"}',
        f'{{"text": "good", "domain": "{"d" * 65}"}}',
        '{"text": "good", "domain": " "}',
        '{"text": "good", "domain": ["a"]}',
        '{"text": "\\ud800", "domain": "a"}',
        '{"text": [1, -2], "domain": "a"}',
        '{"text": "good", "domain": "a", "pair": ""}',
        '{"text": "good", "text": "twice", "domain": "a"}',
        "null",
        '{"text": "also good", "domain": "a"}',
    ]
    path = write("x.jsonl", "\n".join(rows))
    found, report = read(path)
    assert found == [("a", "good"), ("a", "also good")]
    listed = dict(reasons(report))
    assert report.unusable_count == len(listed) == 14
    assert listed["line 3"].startswith("is not JSON: ")
    del listed["line 3"]
    assert listed == {
        "line 2": "the text is empty or contains only white space",
        "line 5": "has no text",
        "line 6": "the text contains a NUL character, which cannot be stored",
        "line 7": "the text is a number, not a string, token ids or messages",
        "line 8": "has no domain",
        "line 9": "the domain has 65 characters, more than 64",
        "line 10": "the domain is blank",
        "line 11": "the domain is neither a string nor a number",
        "line 12": "the text contains half of a surrogate pair, which is not a character",
        "line 13": f"token_ids/1 is not a token id: use a whole number from 0 to {2**31 - 1}",
        "line 14": "the pair is empty or contains only white space",
        "line 15": "is not JSON: the field 'text' occurs more than once",
        "line 16": "the text is a null, not a string, token ids or messages",
    }
    assert str(report.unusable[0]) == f"{path}, line 2: the text is empty or contains only white space"


def test_a_row_of_a_csv_file_has_as_many_cells_as_the_header(write: Write) -> None:
    found, report = read(write("x.csv", 'text,label\n"a\nb",x\n\nint f(a, b),x\nc\n"d",x\n'))
    assert found == [("x", "a\nb"), ("x", "d")]
    assert reasons(report) == [
        ("line 5", "must have 2 cells like the header, but has 3"),
        ("line 6", "must have 2 cells like the header, but has 1"),
    ]


def test_only_the_first_rows_are_listed_but_all_are_counted(write: Write) -> None:
    _, report = read(write("x.jsonl", '{"text": "a"}\n' + '{"text": ""}\n' * 500))
    assert (report.unusable_count, len(report.unusable)) == (500, 100)
