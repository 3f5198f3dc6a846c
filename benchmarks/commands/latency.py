"""`dartboard bench latency`: a network's latency against the sum of its operations'."""

from __future__ import annotations

from typing import Annotated, Literal

import typer

from client.options import Json


def latency(
    channels: Annotated[int, typer.Option(min=2, help="Channels of the first cells.")] = 16,
    layers: Annotated[int, typer.Option(min=1, help="Number of cells.")] = 8,
    image: Annotated[int, typer.Option(min=1, help="Height and width of the image in pixels.")] = 32,
    cells: Annotated[int, typer.Option(min=5, help="Random cells to fit on, and as many to predict.")] = 20,
    device: Annotated[Literal["cpu", "cuda"], typer.Option(help="Device to measure on.")] = "cpu",
    json: Json = False,
) -> None:
    """Predict the latency of random cells' networks by `target`'s table, and measure the error."""
    import torch

    from benchmarks.latency import compare
    from client.output import console, print_json
    from darts_core.profile.shapes import Shape

    shape = Shape(channels, layers, 10, image)
    result = compare(shape, torch.device(device), cells=cells)
    if json:
        print_json(result)
        return
    least, median, most = result["measured_ms"]
    console.print(f"{cells} networks take {least:.1f} to {most:.1f} ms, median {median:.1f}")
    for name in ("summed", "fitted"):
        error = result[f"{name}_error"]
        interval = f"95 % interval {error['low']:.1f} to {error['high']:.1f}"
        console.print(f"median error {name}: {error['median']:.1f} % ({interval})")
    console.print(f"rank correlation (Kendall): {result['rank_correlation']:.2f}")
