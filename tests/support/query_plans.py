"""The rows that the database reads for a statement, and the tables that it reads whole."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy import event
from sqlalchemy.ext.asyncio import AsyncEngine

_EXPLAIN: Final = "explain (analyze, buffers, timing off, format json) "


@dataclass(frozen=True)
class Plan:
    """One executed statement. rows: read from tables and indexes, those included that a filter then drops."""

    statement: str
    rows: int
    buffers: int
    whole_tables: frozenset[str]


@contextmanager
def explained(engine: AsyncEngine) -> Iterator[list[Plan]]:
    """The plans of what this engine executes meanwhile: each statement is explained and undone, then executed."""
    plans: list[Plan] = []

    def explain(connection: Any, cursor: Any, statement: str, parameters: Any, *_: Any) -> None:
        if statement.lstrip().split()[0].upper() not in ("SELECT", "INSERT", "UPDATE", "DELETE", "WITH"):
            return
        alone = connection.connection.dbapi_connection.autocommit
        cursor.execute("begin" if alone else "savepoint explained")
        cursor.execute(_EXPLAIN + statement, parameters)
        [[[answer]]] = cursor.fetchall()
        cursor.execute("rollback" if alone else "rollback to savepoint explained")
        nodes = list(_nodes(answer["Plan"]))
        plans.append(
            Plan(
                statement,
                sum(map(_read, nodes)),
                answer["Plan"]["Shared Hit Blocks"] + answer["Plan"]["Shared Read Blocks"],
                frozenset(node["Relation Name"] for node in nodes if node["Node Type"] == "Seq Scan"),
            )
        )

    event.listen(engine.sync_engine, "before_cursor_execute", explain)
    try:
        yield plans
    finally:
        event.remove(engine.sync_engine, "before_cursor_execute", explain)


def _nodes(plan: dict[str, Any]) -> Iterator[dict[str, Any]]:
    yield plan
    for part in plan.get("Plans", ()):
        yield from _nodes(part)


def _read(node: dict[str, Any]) -> int:
    if not {"Relation Name", "Index Name"} & node.keys():  # a scan of what other nodes have read
        return 0
    dropped = node.get("Rows Removed by Filter", 0) + node.get("Rows Removed by Index Recheck", 0)
    return int((node["Actual Rows"] + dropped) * node["Actual Loops"])
