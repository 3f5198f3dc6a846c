"""`dartboard bench search-step`: the search step of convolutional cells, fused against plain."""

from __future__ import annotations

from typing import Annotated

import typer

from benchmarks.commands.options import BatchSize, Channels, Image, Layers, Pairs, Plain, StepDevice
from benchmarks.commands.steps import show_steps
from client.options import Json


def search_step(
    batch: BatchSize = 64,
    channels: Channels = 16,
    layers: Layers = 8,
    order: Annotated[int, typer.Option(min=1, max=2, help="Order of the alpha gradient.")] = 1,
    image: Image = 32,
    pairs: Pairs = 3,
    plain: Plain = False,
    fused: Annotated[bool, typer.Option("--fused", help="Measure only the fused version.")] = False,
    tuned: Annotated[
        bool, typer.Option("--tuned", help="Plain version with channels last and dilated convolutions in phases.")
    ] = False,
    device: StepDevice = "cpu",
    precision: Annotated[str, typer.Option(help="float32, tf32 (products on a GPU) or bf16.")] = "float32",
    method: Annotated[str, typer.Option(help="Search method, in both versions.")] = "darts",
    json: Json = False,
) -> None:
    """Compare the fused search step of convolutional cells with the plain one. Needs no service."""
    from benchmarks.search_step import Shape, measure
    from darts_core.configs.methods import METHODS

    if precision not in ("float32", "tf32", "bf16"):
        raise typer.BadParameter(f"{precision!r} is none of float32, tf32, bf16")
    known = [name for name, found in METHODS.items() if found.trains]
    if method not in known:
        raise typer.BadParameter(f"{method!r} is none of {', '.join(known)}")
    shape = Shape(batch, channels, layers, order, image, tuned, device, precision, method)  # type: ignore[arg-type]
    show_steps(
        measure, shape, pairs=pairs, plain=plain, fused=fused, json=json, device=device, graphed=device == "cuda"
    )
