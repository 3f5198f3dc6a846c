"""`dartboard draw`: draws a known cell, a file's or a job's, and animates a search."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from client.options import DEFAULT_URL, Json, Key, Url

if TYPE_CHECKING:
    from api.schemas.jobs import JobOut
    from client.sdk import Dartboard
    from darts_core.drawing import Frame
    from darts_core.primitives import Family

_LIKE_A_NAME = re.compile(r"[\w-][\w.-]{0,99}")
_SUFFIXES = (".svg", ".png", ".gif")


def draw(
    source: Annotated[
        str,
        typer.Argument(
            metavar="NAME|ID|FILE[:NAME]",
            help="A known genotype, the id of a search or an evaluation, or a file with a genotype in any format.",
        ),
    ],
    output: Annotated[
        Path | None,
        typer.Option(
            "--output",
            "-o",
            metavar="FILE.svg|png|gif",
            help="Picture to write; by default an SVG in this folder, named after the cell or the job's id.",
        ),
    ] = None,
    family: Annotated[
        Literal["cnn", "rnn"] | None,
        typer.Option(help="Family of a name shared by both; cnn by default."),
    ] = None,
    epoch: Annotated[int | None, typer.Option(help="Epoch of a search; the latest by default.")] = None,
    dark: Annotated[bool, typer.Option("--dark", help="Dark background of PNG and GIF; SVG follows its page.")] = False,
    json: Json = False,
    url: Url = DEFAULT_URL,
    key: Key = None,
) -> None:
    """Draw a cell: normal and reduction cell, or the recurrent one, with full operation names.

    A GIF of a search shows its epochs in turn.
    """
    from client.output import print_json, print_text

    output = output or _default_output(source)
    if output.suffix.lower() not in _SUFFIXES:
        raise typer.BadParameter(f"{output.name} does not end in {', '.join(_SUFFIXES)}", param_hint="--output")
    if output.suffix.lower() == ".gif" and epoch is not None:
        raise typer.BadParameter("a GIF shows all epochs", param_hint="--epoch")
    frames = list(_frames(source, family, epoch, url, key, every=output.suffix.lower() == ".gif"))
    picture = _drawn(frames, output.suffix.lower(), dark=dark)
    output.write_bytes(picture)
    if json:
        print_json({"file": str(output), "bytes": len(picture), "frames": len(frames)})
    else:
        print_text(str(output))


def _default_output(source: str) -> Path:
    """`NAME.svg` for an id, a known name, FILE or FILE:NAME; `cell.svg` for a genotype's text."""
    from client.genotypes import id_of

    name = source if id_of(source) else Path(source.rpartition(":")[2]).stem
    return Path(f"{name if _LIKE_A_NAME.fullmatch(name) else 'cell'}.svg")


def _drawn(frames: list[Frame], suffix: str, *, dark: bool) -> bytes:
    from client.errors import DartboardError
    from darts_core.drawing import ThemeName, scene_of, to_svg
    from darts_core.drawing.animation import to_gif
    from darts_core.drawing.raster import to_png
    from darts_core.errors import DrawingError

    theme: ThemeName = "dark" if dark else "light"
    try:
        if suffix == ".gif":
            return to_gif(frames, theme)
        scene = scene_of(frames[-1].cells, frames[-1].title)
        return to_svg(scene).encode() if suffix == ".svg" else to_png(scene, theme)
    except DrawingError as error:
        raise DartboardError(str(error)) from error


def _frames(
    source: str, family: Family | None, epoch: int | None, url: str, key: str | None, *, every: bool
) -> Iterator[Frame]:
    from client.genotypes import cell_of, find_genotype, id_of
    from client.sdk import Dartboard
    from darts_core.drawing import Frame, cells_of

    job_id = id_of(source)
    if job_id is not None:
        with Dartboard(url, key) as dartboard:
            yield from _frames_of_job(dartboard, job_id, epoch, every=every)
        return
    genotype = cell_of(find_genotype(source, None if epoch is None else str(epoch), family, url, key))
    # A genotype's full text is too long for a title.
    title = Path(source).stem if len(source) <= 100 and "(" not in source and "{" not in source else ""
    yield Frame(title, cells_of(genotype))


def _frames_of_job(dartboard: Dartboard, job_id: str, epoch: int | None, *, every: bool) -> Iterator[Frame]:
    from darts_core.drawing import Frame, cells_of, epoch_title
    from darts_core.genotypes import family_of, parse, strengths_of

    job = dartboard.job(job_id)
    if job.kind != "search":
        if "genotype" not in job.spec:
            raise typer.BadParameter(f"a {job.kind} has no cell of its own: draw its checkpoint's search or evaluation")
        yield Frame(_title(job), cells_of(parse(job.spec["genotype"], family_of(job.spec))))
        return
    epochs = dartboard.epochs(job.id)
    chosen = [e for e in epochs if every or e.epoch == (epoch or epochs[-1].epoch)]
    if not chosen:
        ended = f"its epochs so far: {epochs[-1].epoch}" if epochs else "none has ended yet"
        raise typer.BadParameter(f"there is no such epoch of this search; {ended}", param_hint="ID")
    for found in chosen:
        assert found.genotype is not None
        strengths = strengths_of(found.alphas, found.strengths)
        cells = cells_of(parse(found.genotype, family_of(job.spec)), strengths, job.spec["primitives"])
        yield Frame(f"{_title(job)}. {epoch_title(found.epoch, job.spec['epochs'], found.metrics)}", cells)


def _title(job: JobOut) -> str:
    return f"{job.name or job.kind.capitalize()} on {job.spec['dataset']}"
