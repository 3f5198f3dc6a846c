"""`dartboard profile`: computes the cost of a genotype's network. Needs no service."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from client.options import Json

if TYPE_CHECKING:
    from darts_core.profile import CellProfile, Cost, LanguageProfile, LanguageShape, Profile, Shape


def profile(
    source: Annotated[str, typer.Argument(metavar="NAME|FILE[:NAME]", help="A known name, or a file in any format.")],
    family: Annotated[
        Literal["cnn", "rnn"] | None, typer.Option(help="Family of a name shared by both; cnn by default.")
    ] = None,
    preset: Annotated[
        Literal["cifar10", "imagenet", "ptb", "wt2"] | None,
        typer.Option(help="Sizes of the evaluation network; by default cifar10, for recurrent cells ptb."),
    ] = None,
    channels: Annotated[int | None, typer.Option(help="Channels of the first cells.")] = None,
    layers: Annotated[int | None, typer.Option(help="Number of cells.")] = None,
    reductions: Annotated[
        str | None,
        typer.Option(metavar="CELL,CELL", help="Indices of the reduction cells; by default at a third and two thirds."),
    ] = None,
    classes: Annotated[int | None, typer.Option(help="Number of classes.")] = None,
    image: Annotated[int | None, typer.Option(help="Height and width in pixels.")] = None,
    stem: Annotated[
        Literal["cifar", "half", "imagenet"] | None, typer.Option(help="Stem; by default chosen by the image's size.")
    ] = None,
    hidden_size: Annotated[int | None, typer.Option(help="Size of a recurrent cell's state.")] = None,
    words: Annotated[int | None, typer.Option(help="Words in a language model's vocabulary.")] = None,
    json: Json = False,
) -> None:
    """Print the cost of a cell's evaluation network: parameters, multiply-adds, and for images activation memory."""
    from client.genotypes import read_genotype
    from client.output import print_json
    from darts_core import profile as profiling
    from darts_core.errors import ConfigError
    from darts_core.genotypes import RecurrentGenotype

    of_images = {
        "channels": channels,
        "layers": layers,
        "classes": classes,
        "image": image,
        "stem": stem,
        "reductions": reductions,
    }
    of_text = {"hidden_size": hidden_size, "words": words}
    genotype = read_genotype(source, family)
    try:
        if isinstance(genotype, RecurrentGenotype):
            _refuse_of_other_family(of_images, "rnn")
            language_shape = profiling.language_shape_of(preset or "ptb", hidden_size=hidden_size, words=words)
            language = profiling.profile_language_model(genotype, language_shape)
            print_json(language.totals()) if json else _show_language_model(language, language_shape)
            return
        _refuse_of_other_family(of_text, "cnn")
        shape = profiling.shape_of(
            profiling.preset_of_cell(genotype, preset),
            channels=channels,
            layers=layers,
            classes=classes,
            image=image,
            stem=stem,
            reductions=None if reductions is None else _cells(reductions),
        )
        found = profiling.profile(genotype, shape)
    except ConfigError as error:
        raise typer.BadParameter(str(error)) from error
    print_json(found.totals()) if json else _show(found, shape)


def _cells(text: str) -> list[int]:
    try:
        return [int(cell) for cell in text.split(",") if cell.strip()]
    except ValueError as error:
        raise typer.BadParameter(f"{text!r}: expected numbers such as 2,5", param_hint="--reductions") from error


def _refuse_of_other_family(options: Mapping[str, object], family: str) -> None:
    for name, value in options.items():
        if value is not None:
            raise typer.BadParameter(f"--{name.replace('_', '-')} is not of the family {family}")


def _show_language_model(found: LanguageProfile, shape: LanguageShape) -> None:
    from client.output import console, print_listing
    from client.tables import Column, Listing

    listing = Listing("", Column("parameters", number=True))
    for name, count in (
        ("embedding, tied to the decoder", found.embedding),
        ("initial state", found.initial_state),
        ("nodes", found.nodes),
        ("decoder bias", found.decoder_bias),
        ("total", found.parameters),
    ):
        listing.add(name, f"{count:,}")
    print_listing(listing)
    console.print(
        f"{found.multiply_adds / 1e6:.3f} M mult-adds a word; hidden size {shape.hidden_size}, {shape.words:,} words",
        style="dim",
    )


def _show(found: Profile, shape: Shape) -> None:
    from client.output import console, print_listing
    from client.tables import Column, Listing

    ranks = {"output": 2, "parameters": 0, "mult-adds": 0, "activations": 3, "kept in training": 1}
    listing = Listing("", "kind", *(Column(name, rank, number=True) for name, rank in ranks.items()))

    def row(name: str, kind: str, output: str, part: Cost | CellProfile | Profile) -> None:
        memory = (f"{size / 2**20:.2f} MiB" for size in (part.activation_bytes, part.training_bytes))
        listing.add(name, kind, output, f"{part.parameters:,}", f"{part.multiply_adds / 1e6:.3f} M", *memory)

    row("stem", "", "", found.stem)
    for cell in found.cells:
        row(str(cell.index), cell.kind, f"{cell.channels}x{cell.height}x{cell.width}", cell)
    row("classifier", "", str(shape.classes), found.classifier)
    row("total", "", "", found)
    print_listing(listing)
    console.print(f"with the auxiliary head {found.parameters_with_auxiliary:,} parameters")
    console.print(
        f"{shape.channels} channels, {shape.layers} cells, {shape.classes} classes, "
        f"{shape.image}x{shape.image} images, {shape.stem} stem; one image, float32",
        style="dim",
    )
