from pathlib import PurePosixPath

from tools.structure.duplicates import check_duplicates
from tools.structure.sources import Check, Source


def source(path: str, text: str) -> Source:
    return Source(PurePosixPath(path), text)


def block(lines: int, indent: str = "") -> str:
    return "".join(f"{indent}x{number} = f({number})\n" for number in range(lines))


def messages(check: Check) -> list[str]:
    return [str(violation) for violation in check.violations]


def test_eight_equal_lines_are_allowed() -> None:
    assert messages(check_duplicates([source("a.py", block(8)), source("b.py", block(8))])) == []


def test_nine_equal_lines_are_a_duplicate() -> None:
    check = check_duplicates([source("a.py", "y = 1\n" + block(9)), source("b.py", block(9))])
    assert messages(check) == ["b.py:1: 9 lines of code are the same as at a.py:2"]
    assert check.found == "9 lines"


def test_a_long_block_is_reported_once() -> None:
    check = check_duplicates([source("a.py", block(20)), source("b.py", block(20))])
    assert messages(check) == ["b.py:1: 20 lines of code are the same as at a.py:1"]


def test_a_block_that_occurs_twice_in_one_file() -> None:
    check = check_duplicates([source("a.py", block(9) + "y = 1\n" + block(9))])
    assert messages(check) == ["a.py:11: 9 lines of code are the same as at a.py:1"]


def test_indentation_blank_lines_comments_and_spaces_do_not_matter() -> None:
    rewritten = "def f():\n" + block(9, "    ").replace("x4", "\n    # a comment\n    x4").replace(" = ", "=")
    assert len(messages(check_duplicates([source("a.py", block(9)), source("b.py", rewritten)]))) == 1


def test_imports_do_not_count() -> None:
    imports = "from module import (\n" + "".join(f"    name{number},\n" for number in range(20)) + ")\n"
    assert messages(check_duplicates([source("a.py", imports), source("b.py", imports)])) == []


def test_a_difference_in_the_middle_ends_a_block() -> None:
    other = block(9).replace("f(4)", "f(5)")
    assert messages(check_duplicates([source("a.py", block(9)), source("b.py", other)])) == []


def test_repeated_lines_within_a_block_are_no_duplicate_of_it() -> None:
    assert messages(check_duplicates([source("a.py", "call()\n" * 12)])) == []
