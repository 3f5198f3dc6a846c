"""`dartboard export`: a checkpoint in another format, or jobs to an experiment tracker."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from client.options import DEFAULT_URL, Json, Key, Url

if TYPE_CHECKING:
    from client.sdk import Dartboard
    from client.tracking.tracker import Tracker

_TRACKERS = "tensorboard, mlflow, wandb"


def export(
    sources: Annotated[
        list[str],
        typer.Argument(metavar="FILE|ID...", help="A checkpoint's file; for a tracker ids of jobs."),
    ],
    to: Annotated[
        Literal["onnx", "safetensors", "pytorch", "tensorboard", "mlflow", "wandb"] | None,
        typer.Option(
            "--to",
            help="The format or tracker. pytorch: a module that needs only torch, and its weights beside it.",
        ),
    ] = None,
    output: Annotated[
        Path | None,
        typer.Option(
            "-o",
            "--output",
            help="Of a checkpoint x.onnx, x.safetensors or x.py (PyTorch): the suffix selects the format. Of "
            "TensorBoard and W&B the folder; `runs` by default.",
        ),
    ] = None,
    raw_images: Annotated[
        bool,
        typer.Option(
            "--raw-images", help="ONNX: normalise uint8 images in the graph; by default it expects normalised ones."
        ),
    ] = False,
    follow: Annotated[
        bool, typer.Option("--follow", help="Trackers: go on until the jobs have ended, epoch by epoch.")
    ] = False,
    server: Annotated[str | None, typer.Option(envvar="MLFLOW_TRACKING_URI", help="URL of the MLflow server.")] = None,
    project: Annotated[str, typer.Option(help="MLflow's experiment or W&B's project.")] = "dartboard",
    json: Json = False,
    url: Url = DEFAULT_URL,
    key: Key = None,
) -> None:
    """Export a checkpoint as ONNX, plain PyTorch or safetensors, or jobs to TensorBoard, MLflow or W&B.

    A checkpoint's file needs no service. A study or a committee goes with its children. Exporting a job again doubles
    nothing.
    """
    from client.output import print_json, print_text

    if to != "tensorboard" and to != "mlflow" and to != "wandb":
        written = _export_file(_only(sources, follow=follow), output, to, raw_images=raw_images)
        print_json(dict(zip(("file", "weights"), written, strict=False))) if json else print_text("\n".join(written))
        return
    if raw_images:
        raise typer.BadParameter("is for a checkpoint", param_hint="--raw-images")

    from client.sdk import Dartboard
    from client.tracking.export import export as track

    with Dartboard(url, key) as dartboard:
        tracker = _tracker(dartboard, to, output or Path("runs"), server, project)
        jobs = track(dartboard, sources, tracker, follow=follow)
    if json:
        print_json({"exported": [str(job.id) for job in jobs], "to": to})
    else:
        for job in jobs:
            print_text(f"{job.kind} {job.id} {job.status}")


def _only(sources: list[str], *, follow: bool) -> Path:
    if follow:
        raise typer.BadParameter(f"is for --to {_TRACKERS}", param_hint="--follow")
    if len(sources) > 1:
        raise typer.BadParameter(f"several sources are for --to {_TRACKERS}", param_hint="FILE")
    return Path(sources[0])


def _export_file(
    file: Path, output: Path | None, to: Literal["onnx", "safetensors", "pytorch"] | None, *, raw_images: bool
) -> list[str]:
    from darts_core.errors import CheckpointError
    from darts_core.files.exports import export as write

    if output is None:
        raise typer.BadParameter("a checkpoint is exported to a file: x.onnx, x.safetensors or x.py", param_hint="-o")
    try:
        return [str(path) for path in write(file, output, to, raw_images=raw_images)]
    except CheckpointError as error:
        raise typer.BadParameter(str(error)) from error


def _tracker(dartboard: Dartboard, to: str, folder: Path, server: str | None, project: str) -> Tracker:
    """Imports the tracker's library. Raises ModuleNotFoundError, of which the command's message names the extra."""
    if to == "tensorboard":
        from client.tracking.tensorboard import TensorBoard

        return TensorBoard(folder)
    if to == "wandb":
        from client.tracking.wandb import Wandb

        return Wandb(folder, project)
    if not (server or "").startswith(("http://", "https://")):
        raise typer.BadParameter(
            f"{server!r} is not an http(s) URL: name a running MLflow server", param_hint="--server"
        )
    from client.tracking.mlflow import Mlflow

    assert server is not None
    return Mlflow(dartboard, server, project)
