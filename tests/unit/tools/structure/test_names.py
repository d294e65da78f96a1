from pathlib import PurePosixPath

from tools.structure.names import check_names
from tools.structure.sources import Check, Source


def source(path: str, text: str = "") -> Source:
    return Source(PurePosixPath(path), text)


def messages(check: Check) -> list[str]:
    return [str(violation) for violation in check.violations]


def test_a_class_that_is_defined_twice() -> None:
    check = check_names([source("a.py", "class Pair: ...\n"), source("b.py", "\nclass Pair: ...\n")], {})
    assert messages(check) == ["b.py:2: Pair is also defined at a.py:1"]


def test_a_class_and_an_alias_of_one_name() -> None:
    check = check_names([source("a.py", "class Pair: ...\n"), source("b.py", "Pair = tuple[int, int]\n")], {})
    assert messages(check) == ["b.py:1: Pair is also defined at a.py:1"]


def test_an_alias_with_another_meaning() -> None:
    one, other = "Array = NDArray[np.float64]\n", "Array = NDArray[np.float32]\n"
    assert messages(check_names([source("a.py", one), source("b.py", one)], {})) == []
    assert len(messages(check_names([source("a.py", one), source("b.py", other)], {}))) == 1


def test_constants_functions_and_variables_may_share_a_name() -> None:
    text = "LIMIT = {}\n_private = 1\ndef f(): ...\nx: int = 2\n"
    assert messages(check_names([source("a.py", text.format(1)), source("b.py", text.format(2))], {})) == []


def test_a_module_name_that_is_used_twice() -> None:
    check = check_names([source("app/process.py"), source("worker/process.py")], {})
    assert messages(check) == ["worker/process.py: process.py is also defined at app/process.py"]
    special = [source(f"{package}/{name}.py") for package in "ab" for name in ("__init__", "__main__")]
    assert messages(check_names(special, {})) == []


def test_an_allowed_name() -> None:
    sources = [source("app/errors.py"), source("worker/errors.py")]
    check = check_names(sources, {"errors.py": "each package has its own exceptions"})
    assert (messages(check), check.found) == ([], "1, 1 of them allowed")


def test_an_exception_that_nothing_needs() -> None:
    check = check_names([source("app/errors.py")], {"errors.py": "each package has its own exceptions"})
    assert messages(check) == [
        "tools/structure/rules.py: errors.py is allowed twice but is not defined twice"
    ]
