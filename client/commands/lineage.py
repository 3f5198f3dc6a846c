"""`dartboard lineage`: what a result was made of, and what was made of it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from client.options import DEFAULT_URL, Json, Key, Url

if TYPE_CHECKING:
    from api.schemas.lineage import LineageNode


def lineage(
    start: Annotated[
        str, typer.Argument(metavar="ID", help="Id of a job, a checkpoint or a data set; or a data set's name.")
    ],
    json: Json = False,
    url: Url = DEFAULT_URL,
    key: Key = None,
) -> None:
    """Show data set, search, cell, retraining, checkpoint and score of a result as one graph, with checksums."""
    from client.output import print_json, print_text, warn
    from client.sdk import Dartboard

    with Dartboard(url, key) as dartboard:
        found = dartboard.lineage(start)
    if json:
        print_json(found)
        return
    nodes = {node.id: node for node in found.nodes}
    results: dict[str, list[str]] = {}
    for edge in found.edges:
        results.setdefault(edge.origin, []).append(edge.result)
    made = {edge.result for edge in found.edges}
    shown: set[str] = set()

    def show(node_id: str, depth: int) -> None:
        again = node_id in shown and bool(results.get(node_id))
        print_text("  " * depth + _line(nodes[node_id]) + (" (above)" if again else ""))
        shown.add(node_id)
        for result in () if again else results.get(node_id, ()):
            show(result, depth + 1)

    for node_id in nodes:
        if node_id not in made:
            show(node_id, 0)
    if found.truncated:
        warn("there are more jobs than are shown")


def _line(node: LineageNode) -> str:
    """One line: what it is, its id if a command takes it, name and checksum."""
    what = node.kind or node.type
    parts = [what if node.type in ("dataset", "cell") else f"{what} {node.id}"]
    if node.epoch is not None:
        parts.append(f"of epoch {node.epoch}")
    elif node.name:
        parts.append(node.name)
    if node.status not in (None, "succeeded"):
        parts.append(f"({node.status})")
    if not node.exists:
        parts.append("(deleted)")
    if node.checksum is not None:
        parts.append(f"sha256 {node.checksum}")
    return " ".join(parts)
