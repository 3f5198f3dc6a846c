"""`dartboard import`: converts a state_dict of the DARTS authors to a checkpoint."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from client.options import Json

if TYPE_CHECKING:
    from darts_core.files.checkpoints import Checkpoint

Numbers = Annotated[
    str | None,
    typer.Option(
        metavar="X,X,X", help="Per channel, of images scaled to 0..1; by default the data set's own, or the authors'."
    ),
]


def import_(
    file: Annotated[Path, typer.Argument(help="A state_dict of the DARTS authors, from torch.save or as safetensors.")],
    genotype: Annotated[str, typer.Option(help="Its cell: a known name, a text, FILE or FILE:NAME.")],
    to: Annotated[Path, typer.Option("-o", "--output", help="Checkpoint to write.")],
    dataset: Annotated[
        str | None, typer.Option(help="Training data; for images guessed from the number of classes by default.")
    ] = None,
    mean: Numbers = None,
    std: Numbers = None,
    family: Annotated[
        Literal["cnn", "rnn"] | None,
        typer.Option(help="Family; by default the one in the file. rnn takes the vocabulary of the data set."),
    ] = None,
    data_root: Annotated[Path, typer.Option(help="Folder of the data sets.")] = Path(".dartboard/datasets"),
    json: Json = False,
) -> None:
    """Convert a state_dict of the DARTS authors to a checkpoint. Needs no service."""
    from client.output import print_json, print_text
    from darts_core.errors import CheckpointError, DataError
    from darts_core.files import checkpoints
    from darts_core.files.imports import is_language_model

    try:
        if family == "rnn" or (family is None and is_language_model(file)):
            checkpoint = _language_model(file, genotype, dataset, data_root)
        else:
            checkpoint = _network(file, genotype, dataset, (mean, std), data_root)
        checkpoints.save(checkpoint, to)
    except (CheckpointError, DataError) as error:
        raise typer.BadParameter(str(error)) from error
    print_json({"file": str(to)}) if json else print_text(str(to))


def _language_model(file: Path, genotype: str, dataset: str | None, data_root: Path) -> Checkpoint:
    from client.genotypes import read_genotype
    from darts_core.files.language_imports import read_authors_recurrent

    if dataset is None:
        raise typer.BadParameter("is needed: a state_dict does not say its words", param_hint="--dataset")
    return read_authors_recurrent(file, read_genotype(genotype, "rnn"), dataset=dataset, data_root=data_root)


def _network(
    file: Path, genotype: str, dataset: str | None, normalisation: tuple[str | None, str | None], data_root: Path
) -> Checkpoint:
    from pydantic import ValidationError

    from client.failures import fields
    from client.genotypes import read_genotype
    from client.output import warn
    from darts_core.configs.score import TrainedOn
    from darts_core.files.imports import read_described, trained_on

    told = trained_on(dataset, data_root).model_dump()
    told |= {name: numbers(text) for name, text in zip(("mean", "std"), normalisation, strict=True) if text is not None}
    try:
        data = TrainedOn(**told)
    except ValidationError as error:
        raise typer.BadParameter(fields(error, TrainedOn), param_hint="--mean and --std") from None
    checkpoint, about = read_described(file, read_genotype(genotype, "cnn"), data)
    for remark in about.remarks:
        warn(remark)
    return checkpoint


def numbers(text: str | None) -> list[float] | None:
    """Parse comma-separated numbers. Raises typer.BadParameter."""
    if text is None:
        return None
    try:
        return [float(number) for number in text.split(",")]
    except ValueError as error:
        raise typer.BadParameter(f"{text!r}: expected one number a channel, such as 0.49,0.48,0.45") from error
