"""`dartboard profile`: what a genotype's network costs. Needs no service."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Literal

import typer

from client.options import Json

if TYPE_CHECKING:
    from darts_core.profile import Profile, Shape


def profile(
    source: Annotated[str, typer.Argument(metavar="NAME|FILE", help="A known name, or a file in any format.")],
    family: Annotated[Literal["cnn"], typer.Option(help="What kind of network.")] = "cnn",
    preset: Annotated[Literal["cifar10", "imagenet"], typer.Option(help="The evaluation network's sizes.")] = "cifar10",
    channels: Annotated[int | None, typer.Option(help="Of the first cells.")] = None,
    layers: Annotated[int | None, typer.Option(help="Number of cells.")] = None,
    classes: Annotated[int | None, typer.Option(help="To tell apart.")] = None,
    image: Annotated[int | None, typer.Option(help="Height and width in pixels.")] = None,
    stem: Annotated[
        Literal["cifar", "half", "imagenet"] | None, typer.Option(help="Chosen by the image's size unless given.")
    ] = None,
    json: Json = False,
) -> None:
    """Print parameters, multiply-adds and activation memory of a cell's evaluation network."""
    from client.genotypes import read_genotype
    from client.output import print_json
    from darts_core import profile as profiling
    from darts_core.errors import ConfigError

    genotype = read_genotype(source)
    try:
        shape = profiling.shape_of(preset, channels=channels, layers=layers, classes=classes, image=image, stem=stem)
    except ConfigError as error:
        raise typer.BadParameter(str(error)) from error
    found = profiling.profile(genotype, shape)
    print_json(found.totals()) if json else _show(found, shape)


def _show(found: Profile, shape: Shape) -> None:
    from rich.table import Table

    from client.output import console

    table = Table("", "kind", "output", "parameters", "mult-adds", "activations", box=None)
    for column in table.columns[2:]:
        column.justify = "right"

    def row(name: str, kind: str, output: str, parameters: int, multiply_adds: int, activations: int) -> None:
        table.add_row(
            name, kind, output, f"{parameters:,}", f"{multiply_adds / 1e6:.3f} M", f"{activations / 2**20:.2f} MiB"
        )

    row("stem", "", "", found.stem.parameters, found.stem.multiply_adds, found.stem.activation_bytes)
    for cell in found.cells:
        output = f"{cell.channels}x{cell.height}x{cell.width}"
        row(str(cell.index), cell.kind, output, cell.parameters, cell.multiply_adds, cell.activation_bytes)
    last = found.classifier
    row("classifier", "", str(shape.classes), last.parameters, last.multiply_adds, last.activation_bytes)
    row("total", "", "", found.parameters, found.multiply_adds, found.activation_bytes)
    console.print(table)
    console.print(f"with the auxiliary head {found.parameters_with_auxiliary:,} parameters")
    console.print(
        f"{shape.channels} channels, {shape.layers} cells, {shape.classes} classes, "
        f"{shape.image}x{shape.image} images, {shape.stem} stem; one image, float32",
        style="dim",
    )
