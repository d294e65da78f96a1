"""How PostgreSQL answers the statements of a function: each is explained right before it is run."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Engine, event

EXPLAIN = "explain (analyze, buffers, format json) "


@dataclass(frozen=True)
class Plan:
    statement: str
    nodes: tuple[str, ...]  # those that read a table, and how
    read_whole: frozenset[str]  # the tables that were read from end to end
    milliseconds: float  # planning and running, by the server's clock
    pages: int


@contextmanager
def explained(engine: Engine) -> Iterator[list[Plan]]:
    """The plans of the statements that are run inside, but for inserts of many rows, which choose nothing.

    Each is run for its plan first, in a savepoint that is rolled back.
    """
    plans: list[Plan] = []

    def explain(connection: Any, _: Any, statement: str, parameters: Any, __: Any, many: bool) -> None:
        if many or statement.startswith("INSERT"):
            return
        with connection.connection.driver_connection.cursor() as own:
            own.execute("savepoint plan")
            own.execute(EXPLAIN + statement, parameters, prepare=False)
            ((answer,),) = own.fetchone()
            own.execute("rollback to savepoint plan")
        plans.append(_read(statement, answer))

    event.listen(engine, "before_cursor_execute", explain)
    try:
        yield plans
    finally:
        event.remove(engine, "before_cursor_execute", explain)


def _read(statement: str, answer: dict[str, Any]) -> Plan:
    root = answer["Plan"]
    reading = [node for node in _nodes(root) if "Relation Name" in node and "Scan" in node["Node Type"]]
    return Plan(
        statement=" ".join(statement.split()),
        nodes=tuple(_title(node) for node in _nodes(root) if "Scan" in node["Node Type"]),
        read_whole=frozenset(node["Relation Name"] for node in reading if node["Node Type"] == "Seq Scan"),
        milliseconds=answer["Planning Time"] + answer["Execution Time"],
        pages=root["Shared Hit Blocks"] + root["Shared Read Blocks"],
    )


def _nodes(node: dict[str, Any]) -> Iterator[dict[str, Any]]:
    yield node
    for child in node.get("Plans", ()):
        yield from _nodes(child)


def _title(node: dict[str, Any]) -> str:
    place = node.get("Index Name") or node.get("Relation Name") or node.get("Subplan Name", "")
    return f"{node['Node Type']} {place}".strip()
