"""`dartboard datasets`: list, add, show and remove data sets."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from client.options import DEFAULT_URL, Json, Key, Url, Wide

if TYPE_CHECKING:
    from api.schemas.datasets import CheckReport, DatasetDetail, DatasetOut

app = typer.Typer(help="Data sets: list (the default), add, show, remove.", invoke_without_command=True)
Name = Annotated[str, typer.Argument(help="Name of a data set.")]
_FILES_SHOWN = 10
_CLASSES_SHOWN = 12


@app.callback()
def _default(
    context: typer.Context, json: Json = False, wide: Wide = False, url: Url = DEFAULT_URL, key: Key = None
) -> None:
    if context.invoked_subcommand is None:
        list_datasets(json=json, wide=wide, url=url, key=key)


@app.command("list")
def list_datasets(json: Json = False, wide: Wide = False, url: Url = DEFAULT_URL, key: Key = None) -> None:
    """List built-in and uploaded data sets."""
    from client.output import print_json, print_listing
    from client.sdk import Dartboard
    from client.tables import Column, Listing

    with Dartboard(url, key) as dartboard:
        datasets = dartboard.datasets()
    if json:
        print_json(list(datasets))
        return
    parts = [Column(part, rank, number=True) for part, rank in (("train", 1), ("valid", 3), ("test", 2))]
    about = [Column("classes", 4, number=True), Column("image", 5), Column("words", 6, number=True)]
    listing = Listing("name", Column("kind", 8), Column("source", 7), "state", *about, *parts)
    for d in datasets:
        counts = [str(n) for n in (d.sizes.train, d.sizes.valid, d.sizes.test)] if d.sizes else ["", "", ""]
        listing.add(d.name, d.kind, d.source, _state(d), str(d.classes or ""), _image(d), str(d.words or ""), *counts)
    print_listing(listing, wide=wide)


@app.command("add")
def add_dataset(
    path: Annotated[
        Path,
        typer.Argument(help="An archive (tar, zip) or a folder with class folders, arrays or a text; or an .npz file."),
    ],
    name: Annotated[
        str | None, typer.Option("--name", help="Name of the data set; by default that of the file or folder.")
    ] = None,
    size: Annotated[int | None, typer.Option(help="Scale every image to this side length in pixels.")] = None,
    json: Json = False,
    url: Url = DEFAULT_URL,
    key: Key = None,
) -> None:
    """Upload a data set and wait for its check. Exit code 1 when the set is unusable."""
    from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TransferSpeedColumn

    from client.output import print_json, remarks
    from client.sdk import Dartboard

    name = name or path.resolve().name.split(".")[0]
    total = path.stat().st_size if path.is_file() else None
    columns = (TextColumn("{task.description}", markup=False), BarColumn(), DownloadColumn(), TransferSpeedColumn())
    bar = Progress(*columns, console=remarks, transient=True, disable=not remarks.is_terminal)
    with Dartboard(url, key) as dartboard, bar:
        task = bar.add_task("uploading", total=total)
        dartboard.add_dataset(name, path, size=size, progress=lambda sent: bar.update(task, completed=sent))
        bar.update(task, description="checking", total=None)
        dataset = dartboard.wait_for_dataset(name)
    print_json(dataset) if json else _print(dataset)
    if dataset.state != "ready":
        raise typer.Exit(1)


@app.command("show")
def show_dataset(name: Name, json: Json = False, url: Url = DEFAULT_URL, key: Key = None) -> None:
    """Show a data set and the files that its check skipped."""
    from client.output import print_json
    from client.sdk import Dartboard

    with Dartboard(url, key) as dartboard:
        dataset = dartboard.dataset(name)
    print_json(dataset) if json else _print(dataset)


@app.command("remove")
def remove_dataset(name: Name, json: Json = False, url: Url = DEFAULT_URL, key: Key = None) -> None:
    """Delete an uploaded data set."""
    from client.output import console, print_json
    from client.sdk import Dartboard

    with Dartboard(url, key) as dartboard:
        dartboard.remove_dataset(name)
    print_json({"removed": name}) if json else console.print(f"removed {name}")


def _print(dataset: DatasetDetail) -> None:
    from client.output import console

    console.print(f"{dataset.name}: {_state(dataset)}" + (f", {dataset.error}" if dataset.error else ""))
    if dataset.files and dataset.availability != "ready":
        console.print(f"  files under the data root of every worker: {', '.join(dataset.files)}")
        console.print(f"  workers that have them: {', '.join(dataset.held_by or []) or 'none'}")
    if dataset.sizes and dataset.image:
        sizes = dataset.sizes
        console.print(
            f"  {dataset.classes} classes, {_image(dataset)} pixels, {dataset.image.channels} channels; "
            f"{sizes.train:,} training, {sizes.valid:,} validation, {sizes.test:,} test images",
        )
    if dataset.class_names:
        console.print(f"  classes: {_shortened(dataset.class_names)}")
    if dataset.held_out:
        console.print(f"  held out of the training images by the service: {' and '.join(map(_part, dataset.held_out))}")
    if dataset.sizes and dataset.words:
        sizes = dataset.sizes
        console.print(
            f"  {dataset.words:,} words in the vocabulary; {sizes.train:,} words for training, {sizes.valid:,} for "
            f"validation, {sizes.test:,} for testing",
        )
    if dataset.checksum:
        console.print(f"  checksum {dataset.checksum}")
    if dataset.report:
        for line in _report_lines(dataset.report):
            console.print(line)


def _shortened(names: list[str]) -> str:
    shown = ", ".join(names[:_CLASSES_SHOWN])
    return shown if len(names) <= _CLASSES_SHOWN else f"{shown} and {len(names) - _CLASSES_SHOWN:,} more"


def _part(name: str) -> str:
    return "validation" if name == "valid" else name


def _report_lines(report: CheckReport) -> Iterator[str]:
    """Each cause with its count and first files, then changes and warnings."""
    if report.skipped:
        yield f"  {'1 file was' if report.skipped == 1 else f'{report.skipped:,} files were'} skipped:"
        yield from (f"    {count:,}: {cause}" for cause, count in report.causes.items())
        shown = report.files[:_FILES_SHOWN]
        yield from (f"      {file.file} {file.reason}" for file in shown)
        if report.skipped > len(shown):
            yield f"      and {report.skipped - len(shown):,} more"
    yield from (f"  {_images(count)} taken {change}" for change, count in report.changes.items())
    yield from (f"  warning: {warning}" for warning in report.warnings)


def _images(count: int) -> str:
    return "1 image was" if count == 1 else f"{count:,} images were"


def _state(dataset: DatasetOut) -> str:
    """The state of an upload, or whether a published set's files are present."""
    return dataset.availability or dataset.state


def _image(dataset: DatasetOut) -> str:
    return f"{dataset.image.width}x{dataset.image.height}" if dataset.image else ""
