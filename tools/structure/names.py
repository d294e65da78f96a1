"""Names of classes, aliases and modules that are defined more than once."""

import ast
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence

from tools.structure.sources import Check, Source, Violation, place_of

Definition = tuple[str, str]  # place and text


def check_names(sources: Sequence[Source], allowed: Mapping[str, str]) -> Check:
    """`allowed` maps a name that may be defined more than once to the reason.

    An alias may be repeated with the same text: it then has the same meaning.
    """
    definitions: dict[str, list[Definition]] = defaultdict(list)
    for source in sources:
        for name, definition in _definitions(source):
            definitions[name].append(definition)
    ambiguous = {name: found for name, found in definitions.items() if len({text for _, text in found}) > 1}
    violations = [
        Violation(found[-1][0], f"{name} is also defined at {', '.join(place for place, _ in found[:-1])}")
        for name, found in sorted(ambiguous.items())
        if name not in allowed
    ]
    violations += [
        Violation("tools/structure/rules.py", f"{name} is allowed twice but is not defined twice")
        for name in sorted(allowed.keys() - ambiguous.keys())
    ]
    found = f"{len(ambiguous)}, {len(ambiguous.keys() & allowed.keys())} of them allowed"
    return Check("names defined twice", "allowed ones only", found, tuple(violations))


def _definitions(source: Source) -> Iterator[tuple[str, Definition]]:
    """The module (as `name.py`), its classes and its aliases, each with its place and a text."""
    if not source.path.name.startswith("__"):
        yield source.path.name, (str(source.path), str(source.path))
    for node in ast.walk(source.tree):
        if isinstance(node, ast.ClassDef):
            place = place_of(source, node.lineno)
            yield node.name, (place, place)
    for statement in source.tree.body:
        name = _alias(statement)
        if name is not None:
            yield name, (place_of(source, statement.lineno), ast.unparse(statement))


def _alias(statement: ast.stmt) -> str | None:
    """The name of a module-level type alias such as `Array = NDArray[np.float64]`."""
    target: ast.expr | None = None
    match statement:
        case ast.Assign(targets=[ast.Name() as target]):
            pass
        case ast.AnnAssign(target=ast.Name() as target):
            pass
        case _:
            return None
    name = target.id
    return name if name[0].isupper() and not name.isupper() and "_" not in name else None
