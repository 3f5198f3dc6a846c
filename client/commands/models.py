"""`dartboard models`: name checkpoints as versions of models."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from client.options import DEFAULT_URL, Json, Key, Url, Wide

if TYPE_CHECKING:
    from api.schemas.models import ModelVersionOut

app = typer.Typer(help="Models: list (the default), add, show, stage, predict, remove.", invoke_without_command=True)
Name = Annotated[str, typer.Argument(help="Name of a model: `dartboard models` lists them.")]
Version = Annotated[str, typer.Argument(metavar="VERSION", help="A version's number or stage, or latest.")]


@app.callback()
def _default(
    context: typer.Context, json: Json = False, wide: Wide = False, url: Url = DEFAULT_URL, key: Key = None
) -> None:
    if context.invoked_subcommand is None:
        list_models(json=json, wide=wide, url=url, key=key)


@app.command("list")
def list_models(json: Json = False, wide: Wide = False, url: Url = DEFAULT_URL, key: Key = None) -> None:
    """List models by name."""
    from client.output import print_json, print_listing
    from client.sdk import Dartboard
    from client.tables import Column, Listing

    with Dartboard(url, key) as dartboard:
        models = dartboard.models()
    if json:
        print_json(list(models))
        return
    listing = Listing("name", "family", Column("owner", 1), Column("versions", 2, number=True), "latest", "stages")
    for model in models:
        stages = ", ".join(f"{stage}: {number}" for stage, number in model.stages.items())
        latest = "" if model.latest is None else str(model.latest)
        listing.add(model.name, model.family, model.owner or "", str(model.versions), latest, stages)
    print_listing(listing, wide=wide)


@app.command("add")
def add_model(
    name: Annotated[str, typer.Argument(help="Name of the model; a new one is created.")],
    any_id: Annotated[
        str, typer.Argument(metavar="ID", help="Id of an evaluation, a search or a checkpoint, or its first digits.")
    ],
    epoch: Annotated[
        str | None, typer.Option(help="best, last or a number; by default an evaluation's best, a search's last.")
    ] = None,
    stage: Annotated[str | None, typer.Option(help="A label such as staging, which one version has.")] = None,
    note: Annotated[str | None, typer.Option(help="A line about this version.")] = None,
    json: Json = False,
    url: Url = DEFAULT_URL,
    key: Key = None,
) -> None:
    """Make a checkpoint the next version of a model, which keeps it from deletion."""
    from client.output import print_json, print_text
    from client.sdk import Dartboard

    with Dartboard(url, key) as dartboard:
        version = dartboard.add_model(name, any_id, epoch=epoch, stage=stage, note=note)
    print_json(version) if json else print_text(_line(version))


@app.command("show")
def show_model(name: Name, json: Json = False, wide: Wide = False, url: Url = DEFAULT_URL, key: Key = None) -> None:
    """Show a model's versions, newest first."""
    from client.output import print_json, print_listing
    from client.sdk import Dartboard
    from client.tables import Column, Listing

    with Dartboard(url, key) as dartboard:
        model = dartboard.model(name)
    if json:
        print_json(model)
        return
    listing = Listing("version", "stage", "checkpoint", Column("job", 1), Column("sha256", 3), Column("note", 2))
    for each in model.items:
        job = "" if each.job_id is None else str(each.job_id)
        listing.add(str(each.version), each.stage or "", str(each.checkpoint_id), job, each.sha256, each.note or "")
    print_listing(listing, wide=wide)


@app.command("stage")
def label_model(
    name: Name,
    version: Version,
    stage: Annotated[
        str | None, typer.Argument(metavar="[STAGE]", help="The label; without one it is removed.")
    ] = None,
    json: Json = False,
    url: Url = DEFAULT_URL,
    key: Key = None,
) -> None:
    """Label a version with a stage, such as production, which leaves the version that had it."""
    from client.output import print_json, print_text
    from client.sdk import Dartboard

    with Dartboard(url, key) as dartboard:
        changed = dartboard.update_model(name, version, stage=stage)
    print_json(changed) if json else print_text(_line(changed))


@app.command("predict")
def predict(
    name: Name,
    given: Annotated[str, typer.Argument(metavar="IMAGE|TEXT", help="An image file, or a text to go on with.")],
    version: Annotated[str, typer.Option(help="A version's number or stage; by default the latest.")] = "latest",
    top: Annotated[int, typer.Option(min=1, max=100, help="How many classes or next words to print.")] = 5,
    words: Annotated[int, typer.Option(min=1, max=500, help="Of a text: how far to go on.")] = 20,
    pool: Annotated[str, typer.Option(help="Pool of the worker.")] = "default",
    json: Json = False,
    url: Url = DEFAULT_URL,
    key: Key = None,
) -> None:
    """Try a model in a worker: classify an image, or continue a text."""
    from pathlib import Path

    from client.output import print_json
    from client.sdk import Dartboard
    from client.submit import end, watch_to_end

    with Dartboard(url, key) as dartboard:
        is_text = dartboard.model(name).family == "rnn"
        if not is_text and not Path(given).is_file():
            raise typer.BadParameter(f"there is no file {given}; {name} is a model of images", param_hint="IMAGE|TEXT")
        source = {"text": given} if is_text else {"image": given}
        job = dartboard.predict(name, **source, version=version, top=top, words=words, pool=pool)
        job = watch_to_end(dartboard, job)
        if json:
            print_json(job)
        raise typer.Exit(end(dartboard, job, show=not json))


@app.command("remove")
def remove_model(
    name: Name,
    version: Annotated[
        str | None, typer.Argument(metavar="[VERSION]", help="Its number or stage; without one, all with the model.")
    ] = None,
    json: Json = False,
    url: Url = DEFAULT_URL,
    key: Key = None,
) -> None:
    """Delete a version, or a model with all versions; their checkpoints stay, and may be deleted then."""
    from client.output import print_json, print_text
    from client.sdk import Dartboard

    with Dartboard(url, key) as dartboard:
        dartboard.remove_model(name, version)
    removed = name if version is None else f"{name}/{version}"
    print_json({"removed": removed}) if json else print_text(f"removed {removed}")


def _line(version: ModelVersionOut) -> str:
    stage = "" if version.stage is None else f" {version.stage}"
    return f"{version.model}/{version.version}{stage} sha256 {version.sha256}"
