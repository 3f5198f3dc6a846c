"""`dartboard download`, `export` and `import`: what a job made, in the format that is wanted."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

from client.options import DEFAULT_URL, Json, Key, Url


def download(
    job_id: Annotated[
        str,
        typer.Argument(
            metavar="ID", help="Of an evaluation or an ensemble, or its first digits; of a score, for its logits."
        ),
    ],
    to: Annotated[Path, typer.Option("-o", "--output", help="A folder, or a file's name.")] = Path(),
    epoch: Annotated[str, typer.Option(help="best, last or a number.")] = "best",
    format_: Annotated[
        Literal["torch", "safetensors"], typer.Option("--format", help="safetensors: the weights alone.")
    ] = "torch",
    json: Json = False,
    url: Url = DEFAULT_URL,
    key: Key = None,
) -> None:
    """Download a trained checkpoint, an ensemble, or a score's logits; a broken download is continued."""
    from client.output import print_json, print_text
    from client.sdk import Dartboard

    with Dartboard(url, key) as dartboard:
        if dartboard.job(job_id).kind == "score":
            path = dartboard.download_logits(job_id, to)
        else:
            path = dartboard.download_checkpoint(job_id, to, epoch, format_)
    print_json({"file": str(path)}) if json else print_text(str(path))


def export(
    file: Annotated[Path, typer.Argument(help="A checkpoint.")],
    to: Annotated[Path, typer.Option("-o", "--output", help="x.onnx or x.safetensors: the ending says the format.")],
    json: Json = False,
) -> None:
    """Write a checkpoint's network as ONNX, or its weights as safetensors. Needs no service."""
    from client.output import print_json, print_text
    from darts_core.errors import CheckpointError
    from darts_core.export import export as write

    try:
        write(file, to)
    except CheckpointError as error:
        raise typer.BadParameter(str(error)) from error
    print_json({"file": str(to)}) if json else print_text(str(to))


def import_(
    file: Annotated[Path, typer.Argument(help="A state_dict of the DARTS authors.")],
    genotype: Annotated[str, typer.Option(help="Its cell: a known name, a text, or a file that holds one.")],
    to: Annotated[Path, typer.Option("-o", "--output", help="The checkpoint to write.")],
    dataset: Annotated[
        str | None, typer.Option(help="What it was trained on; of images by its classes unless given.")
    ] = None,
    family: Annotated[
        Literal["cnn", "rnn"], typer.Option(help="rnn: a language model, of the vocabulary of dataset.")
    ] = "cnn",
    data_root: Annotated[Path, typer.Option(help="Where texts lie.")] = Path(".dartboard/datasets"),
    json: Json = False,
) -> None:
    """Turn a state_dict of the DARTS authors into a checkpoint. Needs no service."""
    from client.genotypes import read_genotype
    from client.output import print_json, print_text
    from darts_core import checkpoints
    from darts_core.errors import CheckpointError, DataError
    from darts_core.imports import read_authors
    from darts_core.language_imports import read_authors_recurrent

    if family == "rnn" and dataset is None:
        raise typer.BadParameter("is needed: a state_dict does not say its words", param_hint="--dataset")
    try:
        if dataset is not None and family == "rnn":
            cell = read_genotype(genotype, "rnn")
            checkpoint = read_authors_recurrent(file, cell, dataset=dataset, data_root=data_root)
        else:
            checkpoint = read_authors(file, read_genotype(genotype, "cnn"), dataset=dataset)
        checkpoints.save(checkpoint, to)
    except (CheckpointError, DataError) as error:
        raise typer.BadParameter(str(error)) from error
    print_json({"file": str(to)}) if json else print_text(str(to))
