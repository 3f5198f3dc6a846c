"""`dartboard bench second-order-error`: the finite difference against the exact derivative."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from benchmarks.commands.options import BatchSize, Layers
from client.options import Json


def second_order_error(
    seeds: Annotated[int, typer.Option(min=1, help="Number of searches.")] = 3,
    steps: Annotated[int, typer.Option(min=0, help="Search steps before the second measurement.")] = 20,
    channels: Annotated[int, typer.Option(min=2, help="Channels of the first cells.")] = 8,
    layers: Layers = 5,
    image: Annotated[int, typer.Option(min=8, help="Side in pixels; a multiple of 8.")] = 16,
    batch_size: BatchSize = 16,
    json: Json = False,
) -> None:
    """Compare the second-order alpha gradient's finite difference with the exact derivative. Needs no service."""
    from benchmarks.second_order_error import measure
    from client.output import console, print_json, remarks

    sizes = {"channels": channels, "layers": layers, "image": image, "batch_size": batch_size}
    result = measure(seeds=seeds, steps=steps, **sizes, data_root=Path(".dartboard/datasets"), say=remarks.print)
    if json:
        print_json(result)
        return
    for row in result["mean"]:
        console.print(
            f"after {row['steps']} steps, {'kinks' if row['kinks'] else 'smooth'}, {row['precision']}, "
            f"{row['numerator']:.0e}/||v||: product {row['implicit']:.1e}, alpha gradient {row['gradient']:.1e}, "
            f"cosine {row['cosine']:.4f}",
        )
