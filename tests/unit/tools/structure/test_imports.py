from pathlib import PurePosixPath

import pytest

from tools.structure.imports import (
    check_circular_imports,
    check_layer_order,
    check_packages,
    import_graph,
)
from tools.structure.sources import Check, Source


def tree(texts: dict[str, str]) -> list[Source]:
    """Files by path."""
    return [Source(PurePosixPath(path), text) for path, text in texts.items()]


def messages(check: Check) -> list[str]:
    return [str(violation) for violation in check.violations]


@pytest.mark.parametrize(
    "statement",
    [
        "import p.b",
        "from p import b",
        "from p.b import name",
        "from . import b",
        "from .b import name",
        "try:\n    import p.b\nexcept ImportError:\n    pass",
        "class C:\n    from p import b",
    ],
)
def test_imports_that_python_executes_are_found(statement: str) -> None:
    sources = tree({"p/a.py": statement, "p/b.py": "", "p/__init__.py": ""})
    assert set(import_graph(sources, at_import_only=True)["p.a"]) == {"p.b"}


@pytest.mark.parametrize(
    "statement", ["def f():\n    import p.b", "if TYPE_CHECKING:\n    from p import b", "x = lambda: 0"]
)
def test_imports_that_python_does_not_execute_are_left_out(statement: str) -> None:
    sources = tree({"p/a.py": statement, "p/b.py": ""})
    assert set(import_graph(sources, at_import_only=True)["p.a"]) == set()


def test_a_circular_import() -> None:
    sources = tree(
        {
            "p/a.py": "import p.b",
            "p/b.py": "\nimport p.c",
            "p/c.py": "from p import a",
            "p/d.py": "import p.a",
        }
    )
    assert messages(check_circular_imports(sources)) == [
        "p/a.py:1: circular import: p.a -> p.b -> p.c -> p.a"
    ]


def test_a_circular_import_through_the_package() -> None:
    sources = tree({"p/__init__.py": "from p.a import x", "p/a.py": "from p import y"})
    assert messages(check_circular_imports(sources)) == ["p/__init__.py:1: circular import: p -> p.a -> p"]


def test_two_circular_imports_are_both_reported() -> None:
    sources = tree(
        {"p/a.py": "import p.b", "p/b.py": "import p.a", "p/c.py": "import p.d", "p/d.py": "import p.c"}
    )
    assert len(messages(check_circular_imports(sources))) == 2


def test_no_circular_import_by_way_of_a_function() -> None:
    sources = tree({"p/a.py": "import p.b", "p/b.py": "def f():\n    import p.a"})
    assert messages(check_circular_imports(sources)) == []


LAYERS = {"p": [["top"], ["left", "right"], ["bottom"]]}
PARTS = {"p/top.py": "", "p/left.py": "", "p/right.py": "", "p/bottom.py": ""}


@pytest.mark.parametrize(
    ("part", "statement", "message"),
    [
        ("p/bottom.py", "import p.top", "p/bottom.py:1: p.bottom must not import p.top (layer order)"),
        ("p/left.py", "from p import right", "p/left.py:1: p.left must not import p.right (layer order)"),
        (
            "p/left.py",
            "\ndef f():\n    import p.top",
            "p/left.py:3: p.left must not import p.top (layer order)",
        ),
        ("p/other.py", "", "p/other.py: p.other is missing in the layer order"),
    ],
)
def test_an_import_against_the_layer_order(part: str, statement: str, message: str) -> None:
    sources = tree({**PARTS, part: statement})
    assert messages(check_layer_order(sources, LAYERS)) == [message]


def test_the_root_of_a_package_is_its_top_layer() -> None:
    sources = tree({**PARTS, "p/__init__.py": "from p import top", "p/left.py": "from p import name"})
    assert messages(check_layer_order(sources, LAYERS)) == [
        "p/left.py:1: p.left must not import p (layer order)"
    ]


def test_imports_in_the_layer_order() -> None:
    downwards = {**PARTS, "p/top.py": "import p.left, p.right, p.bottom", "p/left.py": "import p.bottom"}
    assert messages(check_layer_order(tree(downwards), LAYERS)) == []


def test_modules_of_one_subpackage_may_import_each_other() -> None:
    sources = tree({**PARTS, "p/left/a.py": "import p.left.b", "p/left/b.py": ""})
    assert messages(check_layer_order(sources, LAYERS)) == []


def test_an_import_of_a_package_that_is_not_allowed() -> None:
    sources = tree(
        {"lib/a.py": "import app.a", "app/a.py": "import lib.a", "tests/a.py": "import lib.a, app.a"}
    )
    allowed = {"lib": [], "app": ["lib"]}
    assert messages(check_packages(sources, allowed)) == ["lib/a.py:1: lib must not import app.a"]
