"""`dartboard bench worst-bodies`: the worst request bodies of every route."""

from __future__ import annotations

from typing import Annotated

import typer

from benchmarks.commands.options import Data
from client.options import Json


def worst_bodies(
    routes: Annotated[str, typer.Option(help="Only routes whose paths contain this.")] = "",
    data: Data = None,
    json: Json = False,
) -> None:
    """Send the worst bodies that the API's schemas allow to every route; print answer, time, memory and the longest
    answer of `/readyz` meanwhile (target: at most 0.25 s). Starts its own service.
    """
    from benchmarks.worst_bodies import measure, worst_of_each_route
    from client.output import console, print_json, remarks

    costs = measure(data=data, routes=routes, say=remarks.print)
    if json:
        print_json(costs)
        return
    console.print("route | bytes | answer | seconds | memory, MiB | /readyz, s | body")
    for cost in worst_of_each_route(costs):
        console.print(
            f"{cost['route']} | {cost['sent']:,} | {cost['status']}, {cost['answer']:,} bytes | "
            f"{cost['seconds']:.3f} | {cost['memory'] / 2**20:.0f} | {cost['readyz']:.3f} | {cost['what']}"
        )
