"""`dartboard checkpoints`: list, add and remove uploaded checkpoints."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from client.commands.importing import Numbers, numbers
from client.options import DEFAULT_URL, Json, Key, Url, Wide

app = typer.Typer(help="Uploaded checkpoints: list (the default), add, remove.", invoke_without_command=True)


@app.callback()
def _default(
    context: typer.Context, json: Json = False, wide: Wide = False, url: Url = DEFAULT_URL, key: Key = None
) -> None:
    if context.invoked_subcommand is None:
        list_checkpoints(json=json, wide=wide, url=url, key=key)


@app.command("list")
def list_checkpoints(json: Json = False, wide: Wide = False, url: Url = DEFAULT_URL, key: Key = None) -> None:
    """List uploaded checkpoints, newest first; checkpoints of jobs are not included."""
    from client.output import print_json, print_listing
    from client.sdk import Dartboard
    from client.tables import Column, Listing

    with Dartboard(url, key) as dartboard:
        uploads = list(dartboard.uploaded_checkpoints())
    if json:
        print_json(uploads)
        return
    size = Column("bytes", 1, number=True)
    listing = Listing("id", "name", Column("format", 3), Column("data set", 2), size)
    for upload in uploads:
        listing.add(str(upload.id), upload.name, upload.format, upload.dataset or "", f"{upload.size:,}")
    print_listing(listing, wide=wide)


@app.command("add")
def add_checkpoint(
    file: Annotated[Path, typer.Argument(help="One of Dartboard's checkpoints, or a state_dict of the DARTS authors.")],
    genotype: Annotated[str | None, typer.Option(help="Cell of a state_dict: a known name, a text, or a file.")] = None,
    dataset: Annotated[
        str | None, typer.Option(help="Training data of a state_dict; for a language model the text.")
    ] = None,
    mean: Numbers = None,
    std: Numbers = None,
    json: Json = False,
    url: Url = DEFAULT_URL,
    key: Key = None,
) -> None:
    """Upload a checkpoint to score. Repeating a file and genotype returns the first upload."""
    from client.genotypes import genotype_text
    from client.output import console, print_json, warn
    from client.sdk import Dartboard

    cell = genotype and genotype_text(genotype)
    with Dartboard(url, key) as dartboard:
        upload = dartboard.upload_checkpoint(file, cell, dataset, mean=numbers(mean), std=numbers(std))
    for remark in upload.remarks:
        warn(remark)
    print_json(upload) if json else console.print(f"{upload.id} {upload.name}")


@app.command("remove")
def remove_checkpoint(
    checkpoint_id: Annotated[
        str, typer.Argument(metavar="ID", help="Id of an uploaded checkpoint, or its first digits.")
    ],
    json: Json = False,
    url: Url = DEFAULT_URL,
    key: Key = None,
) -> None:
    """Delete an uploaded checkpoint; its scores are kept."""
    from client.output import console, print_json
    from client.sdk import Dartboard

    with Dartboard(url, key) as dartboard:
        found = dartboard.full_id(checkpoint_id, "checkpoints")
        dartboard.delete_checkpoint(found)
    print_json({"removed": str(found)}) if json else console.print(f"removed {found}")
