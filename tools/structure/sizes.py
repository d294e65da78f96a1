"""The sizes of packages, files and functions."""

import ast
from collections import Counter
from collections.abc import Sequence
from statistics import median

from tools.structure.sources import Check, Source, Violation, place_of

MODULES_PER_PACKAGE = 12
LINES_PER_FILE = 300
LINES_PER_FUNCTION = 50
MEDIAN_LINES_PER_FUNCTION = 12

Function = ast.FunctionDef | ast.AsyncFunctionDef


def checks(sources: Sequence[Source]) -> list[Check]:
    return [
        check_modules_per_package(sources),
        check_lines_per_file(sources),
        check_median_lines_per_file(sources),
        check_lines_per_function(sources),
        check_median_lines_per_function(sources),
    ]


def check_modules_per_package(sources: Sequence[Source]) -> Check:
    """`__init__.py` does not count as a module."""
    counts = Counter(str(source.path.parent) for source in sources if not source.is_package)
    violations = tuple(
        Violation(f"{package}/", f"the package has {count} modules, the limit is {MODULES_PER_PACKAGE}")
        for package, count in sorted(counts.items())
        if count > MODULES_PER_PACKAGE
    )
    found = _largest({f"{package}/": count for package, count in counts.items()})
    return Check("modules per package", f"<= {MODULES_PER_PACKAGE}", found, violations)


def check_lines_per_file(sources: Sequence[Source]) -> Check:
    lengths = {str(source.path): len(source.lines) for source in sources}
    violations = tuple(
        Violation(path, f"the file has {length} lines, the limit is {LINES_PER_FILE}")
        for path, length in lengths.items()
        if length > LINES_PER_FILE
    )
    return Check("lines per file", f"<= {LINES_PER_FILE}", _largest(lengths), violations)


def check_median_lines_per_file(sources: Sequence[Source]) -> Check:
    """Files without code, such as an empty `__init__.py`, do not count."""
    lengths = [len(source.lines) for source in sources if source.tree.body]
    return Check("lines per file, median", "about 100", f"{median(lengths or [0]):g}")


def check_lines_per_function(sources: Sequence[Source]) -> Check:
    """From `def` to the last line: the docstring counts, decorators do not."""
    lengths = {place: length for place, _, length in _functions(sources)}
    violations = tuple(
        Violation(place, f"the function {name} has {length} lines, the limit is {LINES_PER_FUNCTION}")
        for place, name, length in _functions(sources)
        if length > LINES_PER_FUNCTION
    )
    return Check("lines per function", f"<= {LINES_PER_FUNCTION}", _largest(lengths), violations)


def check_median_lines_per_function(sources: Sequence[Source]) -> Check:
    found = median([length for _, _, length in _functions(sources)] or [0])
    violations = (
        (Violation("all files", f"the median of the function lengths is {found:g} lines"),)
        if found > MEDIAN_LINES_PER_FUNCTION
        else ()
    )
    return Check("lines per function, median", f"<= {MEDIAN_LINES_PER_FUNCTION}", f"{found:g}", violations)


def _functions(sources: Sequence[Source]) -> list[tuple[str, str, int]]:
    """Place, name and number of lines of each function and method, nested ones too."""
    return [
        (place_of(source, node.lineno), node.name, (node.end_lineno or node.lineno) - node.lineno + 1)
        for source in sources
        for node in ast.walk(source.tree)
        if isinstance(node, Function)
    ]


def _largest(sizes: dict[str, int]) -> str:
    if not sizes:
        return "0"
    place = max(sizes, key=lambda key: sizes[key])
    return f"{sizes[place]} ({place})"
