"""`dartboard profile`: computes the cost of a genotype's network. Needs no service."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated, Any, Final, Literal

import typer

from client.options import Json

if TYPE_CHECKING:
    from darts_core.genotypes import ConvolutionalGenotype, RecurrentGenotype
    from darts_core.profile import CellProfile, Cost, LanguageProfile, LanguageShape, Profile, Shape
    from darts_core.profile.step_time import StepTime
    from darts_core.training.precision import Precision

# Operations or kernels of a timed step listed one by one.
_LISTED: Final = 15


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
    device: Annotated[
        Literal["cpu", "cuda"] | None, typer.Option(help="Also time a training step there, operation by operation.")
    ] = None,
    batch: Annotated[
        int | None, typer.Option(help="Images or columns of text in the timed step; by default the preset's.")
    ] = None,
    precision: Annotated[
        Literal["float32", "bf16", "float64"] | None, typer.Option(help="Of the timed step; by default a run's.")
    ] = None,
    compile_cells: Annotated[bool, typer.Option("--compile-cells", help="In the timed step of images.")] = False,
    json: Json = False,
) -> None:
    """Print the cost of a cell's evaluation network: parameters, multiply-adds, and for images activation memory.

    With --device also where the time of its training step goes.
    """
    from client.genotypes import read_genotype
    from client.output import print_json
    from darts_core import genotypes
    from darts_core import profile as profiling
    from darts_core.errors import ConfigError

    of_images = {
        "channels": channels,
        "layers": layers,
        "classes": classes,
        "image": image,
        "stem": stem,
        "reductions": reductions,
        "precision": precision,
        "compile_cells": compile_cells or None,
    }
    of_text = {"hidden_size": hidden_size, "words": words}
    genotype = read_genotype(source, family)
    timed = None
    try:
        if isinstance(genotype, genotypes.RecurrentGenotype):
            _refuse_of_other_family(of_images, "rnn")
            if device is None:
                _refuse_without_device(batch=batch)
            text_preset = preset or "ptb"
            language_shape = profiling.language_shape_of(text_preset, hidden_size=hidden_size, words=words)
            language = profiling.profile_language_model(genotype, language_shape)
            if device is not None:
                timed = _time_text(genotype, text_preset, language_shape, device, batch)
            if json:
                print_json({**language.totals(), **_figures(timed)})
                return
            _show_language_model(language, language_shape)
            _show_step(timed)
            return
        _refuse_of_other_family(of_text, "cnn")
        if device is None:
            _refuse_without_device(batch=batch, precision=precision, compile_cells=compile_cells or None)
        preset_name = profiling.preset_of_cell(genotype, preset)
        shape = profiling.shape_of(
            preset_name,
            channels=channels,
            layers=layers,
            classes=classes,
            image=image,
            stem=stem,
            reductions=None if reductions is None else _cells(reductions),
        )
        found = profiling.profile(genotype, shape)
        if device is not None:
            timed = _time_images(genotype, preset_name, shape, device, batch, precision, compile_cells)
    except ConfigError as error:
        raise typer.BadParameter(str(error)) from error
    if json:
        print_json({**found.totals(), **_figures(timed)})
        return
    _show(found, shape)
    _show_step(timed)


def _time_images(
    genotype: ConvolutionalGenotype,
    preset: str,
    shape: Shape,
    device: str,
    batch: int | None,
    precision: Precision | None,
    compile_cells: bool,
) -> StepTime:
    import torch

    from darts_core.profile.image_step import image_config, image_step
    from darts_core.profile.step_time import step_time

    config = image_config(genotype, preset, shape, batch_size=batch, precision=precision, compile_cells=compile_cells)
    there = torch.device(device)
    return step_time(config, lambda: image_step(config, shape, there), there)


def _time_text(
    genotype: RecurrentGenotype, preset: str, shape: LanguageShape, device: str, batch: int | None
) -> StepTime:
    import torch

    from darts_core.profile.step_time import step_time
    from darts_core.profile.text_step import text_config, text_step

    config, there = text_config(genotype, preset, shape, batch_size=batch), torch.device(device)
    return step_time(config, lambda: text_step(config, shape, there), there)


def _figures(timed: StepTime | None) -> dict[str, Any]:
    return {} if timed is None else {"step": timed.figures()}


def _cells(text: str) -> list[int]:
    try:
        return [int(cell) for cell in text.split(",") if cell.strip()]
    except ValueError as error:
        raise typer.BadParameter(f"{text!r}: expected numbers such as 2,5", param_hint="--reductions") from error


def _refuse_of_other_family(options: Mapping[str, object], family: str) -> None:
    for name, value in options.items():
        if value is not None:
            raise typer.BadParameter(f"--{name.replace('_', '-')} is not of the family {family}")


def _refuse_without_device(**options: object) -> None:
    for name, value in options.items():
        if value is not None:
            raise typer.BadParameter(f"--{name.replace('_', '-')} is of the timed step: give --device, too")


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


def _show_step(found: StepTime | None) -> None:
    if found is None:
        return
    from client.output import console, print_listing
    from client.tables import Column, Listing

    of = "operation" if found.device == "cpu" else "kernel"
    listing = Listing(of, *(Column(name, number=True) for name in ("calls", "ms", "share")))

    def row(name: str, calls: str, milliseconds: float) -> None:
        listing.add(name, calls, f"{milliseconds:.3f}", f"{100 * milliseconds / found.recorded:.1f} %")

    for operation in found.operations[:_LISTED]:
        row(operation.name, f"{operation.calls:,}", operation.milliseconds)
    rest = found.operations[_LISTED:]
    if rest:
        row(
            f"{len(rest)} others",
            f"{sum(operation.calls for operation in rest):,}",
            sum(operation.milliseconds for operation in rest),
        )
    row("gaps", "", found.gaps)
    row("all", f"{found.calls:,}", found.recorded)
    console.print()
    print_listing(listing)
    graph = ", in a CUDA graph" if found.graph else ""
    console.print(
        f"a training step on {found.device}{graph}: {found.step:.1f} ms, with the profiler {found.recorded:.1f} ms; "
        f"batch {found.batch}, {found.precision}",
    )
    console.print(
        f"bound by {found.bound_by}: {found.bound:.1f} ms, {100 * found.bound_share:.0f} % of the step",
        style="dim",
    )
