"""`dartboard bench random-cells`: a searched cell against random ones."""

from __future__ import annotations

from typing import Annotated

import typer

from client.options import DEFAULT_URL, Json, Key, Url


def random_cells(
    dataset: Annotated[str, typer.Argument(help="Data set.")],
    search: Annotated[str, typer.Option(help="The search's other fields as JSON.")] = "{}",
    evaluation: Annotated[str, typer.Option(help="The retrainings' other fields as JSON.")] = "{}",
    seeds: Annotated[
        int, typer.Option(min=2, help="Number of retrainings of the found cell, and of random cells.")
    ] = 3,
    json: Json = False,
    url: Url = DEFAULT_URL,
    key: Key = None,
) -> None:
    """Compare a searched cell with random ones, retrained alike, through a running service."""
    from benchmarks.random_cells import compare
    from client.json_input import parse_object
    from client.output import console, print_json, remarks
    from client.sdk import Dartboard

    texts = {"--search": search, "--evaluation": evaluation}
    specs = [{"dataset": dataset, **parse_object(text, hint)} for hint, text in texts.items()]
    with Dartboard(url, key) as dartboard:
        result = compare(dartboard, specs[0], specs[1], seeds=range(seeds), say=remarks.print)
    if json:
        print_json(result)
        return
    for name in ("found", "random"):
        console.print(f"{name}: {result[name]['mean']:.2f} +- {result[name]['deviation']:.2f} %")
