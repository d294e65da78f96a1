from pathlib import PurePosixPath

from tools.structure import sizes
from tools.structure.sources import Check, Source


def source(path: str, text: str = "x = 1\n") -> Source:
    return Source(PurePosixPath(path), text)


def function(lines: int, name: str = "f") -> str:
    return f"def {name}():\n" + "    pass\n" * (lines - 1)


def places(check: Check) -> list[str]:
    return [violation.place for violation in check.violations]


def package_of(modules: int) -> list[Source]:
    return [source("app/__init__.py"), *(source(f"app/m{number}.py") for number in range(modules))]


def test_a_package_has_at_most_twelve_modules_besides_init() -> None:
    assert places(sizes.check_modules_per_package(package_of(12))) == []
    check = sizes.check_modules_per_package([*package_of(13), source("app/api/a.py")])
    assert places(check) == ["app/"]
    assert check.found == "13 (app/)"


def test_a_file_has_at_most_300_lines() -> None:
    assert places(sizes.check_lines_per_file([source("a.py", "x = 1\n" * 300)])) == []
    check = sizes.check_lines_per_file([source("a.py", "x = 1\n" * 301), source("b.py")])
    assert places(check) == ["a.py"]
    assert check.found == "301 (a.py)"


def test_the_median_file_length_ignores_empty_files() -> None:
    files = [source("a.py", "x = 1\n" * 3), source("b.py", "x = 1\n" * 5), source("c.py", "")]
    assert sizes.check_median_lines_per_file(files).found == "4"


def test_a_function_has_at_most_50_lines() -> None:
    assert places(sizes.check_lines_per_function([source("a.py", function(50))])) == []
    check = sizes.check_lines_per_function([source("a.py", function(2) + function(51, "g"))])
    assert places(check) == ["a.py:3"]
    assert "g has 51 lines" in check.violations[0].message


def test_methods_nested_and_async_functions_count_too() -> None:
    inner = "".join(f"        {line}\n" for line in function(51, "inner").splitlines())
    nested = "class C:\n    async def outer(self):\n" + inner
    assert places(sizes.check_lines_per_function([source("a.py", nested)])) == ["a.py:2", "a.py:3"]


def test_the_median_function_has_at_most_12_lines() -> None:
    short, long = function(2, "a"), function(13, "b") + function(13, "c")
    assert places(sizes.check_median_lines_per_function([source("a.py", short + function(22, "b"))])) == []
    check = sizes.check_median_lines_per_function([source("a.py", short + long)])
    assert (check.found, len(check.violations)) == ("13", 1)


def test_no_files_at_all() -> None:
    assert [check.violations for check in sizes.checks([])] == [()] * 5
