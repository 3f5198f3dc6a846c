"""`dartboard ensemble`: measures trained networks together."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Literal

import typer

from client.commands.submit import BatchSize, Detach, Name, Preemptible, Priority
from client.options import DEFAULT_URL, Json, Key, Set, Url, fields
from client.submit import submit_and_watch

if TYPE_CHECKING:
    from client.sdk import Dartboard


def ensemble(
    members: Annotated[
        list[str],
        typer.Argument(metavar="MEMBER...", help="Two or more ids of evaluations, scores or checkpoints, or files."),
    ],
    combine: Annotated[
        Literal["sum", "mean", "fitted"] | None,
        typer.Option(help="sum of logits, mean of probabilities, or mean with fitted weights."),
    ] = None,
    best: Annotated[int | None, typer.Option(help="Select at most this many members, on validation data.")] = None,
    curve: Annotated[
        bool, typer.Option("--curve", help="Also measure epoch by epoch, if all members kept their checkpoints.")
    ] = False,
    epoch: Annotated[str | None, typer.Option(help="Epoch of all evaluations: best, last or a number.")] = None,
    dataset: Annotated[
        str | None, typer.Option(help="Data set whose test part is measured; by default the members' own.")
    ] = None,
    batch_size: BatchSize = None,
    name: Name = None,
    priority: Priority = None,
    preemptible: Preemptible = None,
    set_: Set = None,
    detach: Detach = False,
    json: Json = False,
    url: Url = DEFAULT_URL,
    key: Key = None,
) -> None:
    """Measure trained networks one by one and as an ensemble."""
    from client.sdk import Dartboard

    frame = {"name": name, "priority": priority, "preemptible": preemptible}
    given = fields(set_, combine=combine, dataset=dataset, batch_size=batch_size, **frame)
    if best is not None:
        given["select"] = {"best": best}
    if curve:
        given["curve"] = True
    with Dartboard(url, key) as dartboard:
        body = {"members": [_member(dartboard, m, epoch) for m in members], **given}
    submit_and_watch("ensemble", body, url, key, detach=detach, json=json)


def _member(dartboard: Dartboard, source: str, epoch: str | None) -> dict[str, str]:
    """The member's field; a file is uploaded first."""
    from uuid import UUID

    from client.genotypes import id_of, uploaded

    if id_of(source) is None:
        return {"checkpoint_id": uploaded(dartboard, source)}
    job = dartboard.job_or_checkpoint(source)
    if isinstance(job, UUID):
        return {"checkpoint_id": str(job)}
    if job.kind not in ("evaluation", "score"):
        raise typer.BadParameter(f"{source} is a {job.kind}: members are evaluations, scores and checkpoints")
    chosen = {"epoch": epoch} if job.kind == "evaluation" and epoch is not None else {}
    return {f"{job.kind}_id": str(job.id), **chosen}
