from pathlib import Path

import pytest

from tools.structure.retired_terms import TERMS
from tools.structure.terms import Term, check_terms

BELL = Term("bells?", "notification")


def messages(root: Path, *terms: Term, allowed: dict[str, dict[str, str]] | None = None) -> list[str]:
    check = check_terms(root, ["app", "README.md"], terms, allowed or {})
    return [str(violation) for violation in check.violations]


def write(root: Path, name: str, text: str) -> None:
    (root / name).parent.mkdir(parents=True, exist_ok=True)
    (root / name).write_text(text)


def test_a_term_is_found_in_code_and_prose(tmp_path: Path) -> None:
    write(tmp_path, "app/jobs.py", "x = 1\ndef ring_bell(): ...\n")
    write(tmp_path, "README.md", "The Bell.\n")
    write(tmp_path, "docs/other.md", "A bell in a folder that is not searched.\n")
    assert messages(tmp_path, BELL) == [
        "README.md:1: “Bell” is a retired term; use: notification",
        "app/jobs.py:2: “bell” is a retired term; use: notification",
    ]


def test_a_part_of_another_word_is_not_the_term(tmp_path: Path) -> None:
    write(tmp_path, "app/jobs.py", "label = campbells\n")
    assert messages(tmp_path, BELL) == []


def test_a_term_may_depend_on_the_case(tmp_path: Path) -> None:
    write(tmp_path, "app/jobs.py", "pool = ThreadPoolExecutor()\n")
    assert messages(tmp_path, Term("Pool", "accumulator", ignores_case=False)) == []
    write(tmp_path, "app/jobs.py", "class Pool: ...\n")
    assert len(messages(tmp_path, Term("Pool", "accumulator", ignores_case=False))) == 1


def test_an_exception_applies_to_one_file_or_folder(tmp_path: Path) -> None:
    write(tmp_path, "app/jobs/a.py", "bell")
    write(tmp_path, "app/files.py", "bell")
    allowed = {"app/jobs/": {"bells?": "a reason"}}
    assert messages(tmp_path, BELL, allowed=allowed) == [
        "app/files.py:1: “bell” is a retired term; use: notification"
    ]


def test_an_excluded_path_is_not_searched(tmp_path: Path) -> None:
    write(tmp_path, "app/jobs/a.py", "bell")
    write(tmp_path, "app/files.py", "bell")
    check = check_terms(tmp_path, ["app"], [BELL], {}, excluded=["app/jobs/"])
    assert [violation.place for violation in check.violations] == ["app/files.py:1"]


def test_an_exception_that_nothing_needs(tmp_path: Path) -> None:
    write(tmp_path, "app/files.py", "x = 1")
    assert messages(tmp_path, BELL, allowed={"app/files.py": {"bells?": "a reason"}}) == [
        "app/files.py: the exception for the term “bells?” is not needed"
    ]


def test_pictures_and_other_binary_files_are_not_read(tmp_path: Path) -> None:
    write(tmp_path, "app/plot.png", "bell")
    assert messages(tmp_path, BELL) == []


@pytest.mark.parametrize(
    "text",
    [
        *("class Station:", "patience.py", "worker.stay()", "doom(job)", "put_down", "put the shard down"),
        *("closes a job", "ending.py", "closings", "tidy_up", "an eraser", "ring the bell", "rang"),
        *("Pool()", "peaks.py", "lanes", "from benchmarks import asked", "quiet.py", "class Fault:"),
        *('Fault("/texts")', "House", "a stranger", "nobody hears it"),
        *("a picture of", "in the middle of a row", "asked_for", "impatiently", "the deed"),
    ],
)
def test_the_retired_terms_of_the_project_are_found(text: str) -> None:
    assert any(term.compiled().search(text) for term in TERMS)


@pytest.mark.parametrize(
    "text",
    [
        *(
            "closing(file)",
            "ThreadPoolExecutor(4) as pool",
            "they stay unchanged",
            "fault injection",
            "during",
        ),
        *("bring", "string", "spring", "the disclosing job", "peak memory", "an asked question", "--quiet"),
        *("indeed", "patient", "asked to stop", "docs/pictures/relative.png"),
    ],
)
def test_ordinary_words_are_not_retired(text: str) -> None:
    assert not any(term.compiled().search(text) for term in TERMS)
