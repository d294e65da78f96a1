"""How PostgreSQL executes the statements of a function: each statement is explained before it is executed."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Engine, event

EXPLAIN = "explain (analyze, buffers, format json) "


@dataclass(frozen=True)
class Plan:
    statement: str
    nodes: tuple[str, ...]  # the scans, with the index or table
    sequential_scans: frozenset[str]  # the tables that were read completely
    milliseconds: float  # planning and execution, measured by the server
    pages: int


@contextmanager
def explained(engine: Engine) -> Iterator[list[Plan]]:
    """Collects the plans of all statements that are executed inside, except inserts, which need no search.

    Each statement is first executed for its plan in a savepoint that is rolled back.
    """
    plans: list[Plan] = []

    def explain(connection: Any, _: Any, statement: str, parameters: Any, __: Any, many: bool) -> None:
        if many or statement.startswith("INSERT"):
            return
        with connection.connection.driver_connection.cursor() as cursor:
            cursor.execute("savepoint plan")
            cursor.execute(EXPLAIN + statement, parameters, prepare=False)
            ((answer,),) = cursor.fetchone()
            cursor.execute("rollback to savepoint plan")
        plans.append(_parse(statement, answer))

    event.listen(engine, "before_cursor_execute", explain)
    try:
        yield plans
    finally:
        event.remove(engine, "before_cursor_execute", explain)


def _parse(statement: str, answer: dict[str, Any]) -> Plan:
    root = answer["Plan"]
    scans = [node for node in _nodes(root) if "Scan" in node["Node Type"]]
    sequential = [node for node in scans if node["Node Type"] == "Seq Scan" and "Relation Name" in node]
    return Plan(
        statement=" ".join(statement.split()),
        nodes=tuple(_title(node) for node in scans),
        sequential_scans=frozenset(node["Relation Name"] for node in sequential),
        milliseconds=answer["Planning Time"] + answer["Execution Time"],
        pages=root["Shared Hit Blocks"] + root["Shared Read Blocks"],
    )


def _nodes(node: dict[str, Any]) -> Iterator[dict[str, Any]]:
    yield node
    for child in node.get("Plans", ()):
        yield from _nodes(child)


def _title(node: dict[str, Any]) -> str:
    target = node.get("Index Name") or node.get("Relation Name") or node.get("Subplan Name", "")
    return f"{node['Node Type']} {target}".strip()
