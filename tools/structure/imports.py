"""Which module imports which, circular imports, and the layer order."""

import ast
from collections.abc import Iterator, Mapping, Sequence

from tools.structure.sources import Check, Source, Violation, place_of

Graph = Mapping[str, Mapping[str, int]]  # importing module -> imported module -> line


def import_graph(sources: Sequence[Source], *, at_import_only: bool) -> Graph:
    """The imports between the given modules.

    `at_import_only` leaves out imports inside functions and under `if TYPE_CHECKING`: Python does not execute
    them when it imports the module, so they cannot cause a circular import.
    """
    known = {source.module for source in sources}
    graph: dict[str, dict[str, int]] = {}
    for source in sources:
        found = graph.setdefault(source.module, {})
        for node in _import_statements(source.tree, at_import_only=at_import_only):
            for name in _imported_modules(node, source, known):
                found.setdefault(name, node.lineno)
    return graph


def _import_statements(node: ast.AST, *, at_import_only: bool) -> Iterator[ast.Import | ast.ImportFrom]:
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.Import | ast.ImportFrom):
            yield child
        elif not (at_import_only and _is_skipped_at_import(child)):
            yield from _import_statements(child, at_import_only=at_import_only)


def _is_skipped_at_import(node: ast.AST) -> bool:
    is_function = isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda)
    return is_function or (isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test))


def _imported_modules(node: ast.Import | ast.ImportFrom, source: Source, known: set[str]) -> list[str]:
    """`from package import name` imports the module `package.name` if it exists, and else `package`."""
    if isinstance(node, ast.Import):
        names = [alias.name for alias in node.names]
    else:
        base = _base_of(node, source)
        names = [f"{base}.{alias.name}" if f"{base}.{alias.name}" in known else base for alias in node.names]
    return [name for name in names if name in known and name != source.module]


def _base_of(node: ast.ImportFrom, source: Source) -> str:
    if node.level == 0:
        return node.module or ""
    package = source.module.split(".")
    kept = package[: len(package) - node.level + source.is_package]
    return ".".join([*kept, *([node.module] if node.module else [])])


def check_circular_imports(sources: Sequence[Source]) -> Check:
    graph = import_graph(sources, at_import_only=True)
    path_of = {source.module: source for source in sources}
    violations = []
    for cycle in cycles(graph):
        first, second = cycle[0], cycle[1]
        place = place_of(path_of[first], graph[first][second])
        violations.append(Violation(place, f"circular import: {' -> '.join(cycle)}"))
    return Check("circular imports", "none", str(len(violations)), tuple(violations))


def cycles(graph: Graph) -> list[list[str]]:
    """One shortest cycle for each group of modules that import each other."""
    found: list[list[str]] = []
    seen: set[str] = set()
    for module in sorted(graph):
        if module not in seen and (cycle := _shortest_cycle(graph, module)):
            found.append(cycle)
            seen |= _reachable(graph, module) & {
                other for other in graph if module in _reachable(graph, other)
            }
    return found


def _reachable(graph: Graph, start: str) -> set[str]:
    reached: set[str] = set()
    waiting = [start]
    while waiting:
        new = graph.get(waiting.pop(), {}).keys() - reached
        reached |= new
        waiting += new
    return reached


def _shortest_cycle(graph: Graph, start: str) -> list[str] | None:
    """A breadth-first search for the way from a module back to itself."""
    paths = [[start]]
    reached: set[str] = set()
    for path in paths:  # grows during the loop
        for name in sorted(graph.get(path[-1], {})):
            if name == start:
                return [*path, start]
            if name not in reached:
                reached.add(name)
                paths.append([*path, name])
    return None


def check_layer_order(sources: Sequence[Source], layers: Mapping[str, Sequence[Sequence[str]]]) -> Check:
    """`layers` lists, for each package, groups of its parts from top to bottom.

    A part is a module or a subpackage. A part may import parts of lower groups and itself, and no part of its
    own group. Imports inside functions count, too.
    """
    graph = import_graph(sources, at_import_only=False)
    path_of = {source.module: source for source in sources}
    violations = []
    for package, groups in layers.items():
        rank = {f"{package}.{part}": number for number, group in enumerate(groups) for part in group}
        for module in graph:
            if not module.startswith(f"{package}."):
                continue
            part = _part_of(module, package)
            if part not in rank:
                violations.append(
                    Violation(str(path_of[module].path), f"{part} is missing in the layer order")
                )
                continue
            for name, line in graph[module].items():
                other = _part_of(name, package)
                is_inside = name == package or name.startswith(f"{package}.")
                if is_inside and other != part and rank.get(other, -1) <= rank[part]:
                    place = place_of(path_of[module], line)
                    violations.append(Violation(place, f"{part} must not import {other} (layer order)"))
    return Check("imports against the layer order", "none", str(len(violations)), tuple(violations))


def _part_of(module: str, package: str) -> str:
    depth = package.count(".") + 2
    return ".".join(module.split(".")[:depth])


def check_packages(sources: Sequence[Source], allowed: Mapping[str, Sequence[str]]) -> Check:
    """`allowed` lists, for each top-level package, the top-level packages that it may import."""
    graph = import_graph(sources, at_import_only=False)
    path_of = {source.module: source for source in sources}
    violations = tuple(
        Violation(place_of(path_of[module], line), f"{package} must not import {name}")
        for module, names in graph.items()
        for name, line in names.items()
        if (package := module.split(".")[0]) in allowed
        and name.split(".")[0] not in (package, *allowed[package])
    )
    return Check("imports between packages", "none", str(len(violations)), violations)
