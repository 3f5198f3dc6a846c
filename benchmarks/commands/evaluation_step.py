"""`dartboard bench evaluation-step`: the retraining step, fast against plain."""

from __future__ import annotations

from typing import Annotated

import typer

from benchmarks.commands.options import BatchSize, Channels, Fused, Image, Layers, Pairs, Plain, StepDevice
from benchmarks.commands.steps import show_steps
from client.options import Json


def evaluation_step(
    batch: BatchSize = 64,
    channels: Channels = 16,
    layers: Layers = 8,
    image: Image = 32,
    genotype: Annotated[str, typer.Option(help="Name of a known cell.")] = "DARTS_V2",
    auxiliary: Annotated[bool, typer.Option(help="With the auxiliary head.")] = True,
    compile_cells: Annotated[bool, typer.Option("--compile-cells", help="In the fast step.")] = False,
    device: StepDevice = "cpu",
    pairs: Pairs = 5,
    plain: Plain = False,
    fused: Fused = False,
    json: Json = False,
) -> None:
    """Compare the fast retraining step with the plain loop. Needs no service."""
    from benchmarks.evaluation_step import Shape, measure
    from darts_core.models.layout import least_auxiliary_image

    if auxiliary and image < least_auxiliary_image("cifar"):
        raise typer.BadParameter(f"{image} pixels are too few for the auxiliary head: give more, or --no-auxiliary")
    shape = Shape(batch, channels, layers, image, genotype, auxiliary, device, compile_cells)
    show_steps(
        measure, shape, pairs=pairs, plain=plain, fused=fused, json=json, device=device, graphed=device == "cuda"
    )
