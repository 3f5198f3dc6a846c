"""`dartboard ensemble`: measure trained networks together."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from client.commands.submit import BatchSize, Detach, Name, Priority
from client.options import DEFAULT_URL, Json, Key, Set, Url, fields

if TYPE_CHECKING:
    from api.schemas.jobs import JobOut
    from client.sdk import Dartboard
    from client.tables import Listing


def ensemble(
    members: Annotated[
        list[str],
        typer.Argument(metavar="MEMBER...", help="Two or more ids of evaluations, scores or checkpoints, or files."),
    ],
    combine: Annotated[
        Literal["sum", "mean", "fitted"] | None,
        typer.Option(help="sum of logits, mean of probabilities, or that with fitted weights."),
    ] = None,
    best: Annotated[int | None, typer.Option(help="Choose so many members at most, on validation data.")] = None,
    curve: Annotated[bool, typer.Option("--curve", help="Also epoch by epoch, where all kept checkpoints.")] = False,
    epoch: Annotated[str | None, typer.Option(help="Of all evaluations: best, last or a number.")] = None,
    dataset: Annotated[str | None, typer.Option(help="Its test part is measured; the members' own.")] = None,
    batch_size: BatchSize = None,
    name: Name = None,
    priority: Priority = None,
    set_: Set = None,
    detach: Detach = False,
    json: Json = False,
    url: Url = DEFAULT_URL,
    key: Key = None,
) -> None:
    """Measure trained networks together: each of them, and what they say as one."""
    from client.sdk import Dartboard
    from client.submitting import submit_and_watch

    given = fields(set_, combine=combine, dataset=dataset, batch_size=batch_size, name=name, priority=priority)
    if best is not None:
        given["select"] = {"best": best}
    if curve:
        given["curve"] = True
    with Dartboard(url, key) as dartboard:
        body = {"members": [_member(dartboard, m, epoch) for m in members], **given}
        submit_and_watch(dartboard, "ensemble", body, _show, detach=detach, json=json)


def _show(dartboard: Dartboard, job: JobOut) -> None:
    from client.output import console, print_listing

    print_listing(_table(job))
    console.print(f"curl -OJ {dartboard.url}{job.links['checkpoint']}")


def _member(dartboard: Dartboard, source: str, epoch: str | None) -> dict[str, str]:
    """The field that names a member; a file is uploaded for it."""
    from pathlib import Path

    from client.errors import ProblemError
    from client.genotypes import id_of

    if id_of(source) is None:
        return {"checkpoint_id": str(dartboard.upload_checkpoint(Path(source)).id)}
    try:
        kind = dartboard.job(source).kind
    except ProblemError as error:
        if error.status != 404:
            raise
        return {"checkpoint_id": source}
    if kind not in ("evaluation", "score"):
        raise typer.BadParameter(f"{source} is a {kind}: members are evaluations, scores and checkpoints")
    chosen = {"epoch": epoch} if kind == "evaluation" and epoch is not None else {}
    return {f"{kind}_id": source, **chosen}


def _table(job: JobOut) -> Listing:
    """Members, then the committee, then all of them without choice or weights."""
    from client.tables import Column, Listing

    result: dict[str, Any] = job.result or {}
    test, validation = result["test"], result["validation"]
    what = "words" if result["vocabulary"] else "images"
    main = "perplexity" if result["vocabulary"] else "accuracy"
    columns = [Column(""), *(Column(name, number=True) for name in ("weight", _measured(main, test, what), "loss"))]
    if validation is not None:
        columns.append(Column(_measured(main, validation, what), 1, number=True))
    table = Listing(*columns)

    def add(title: str, weight: str, figures: dict[str, Any]) -> None:
        row = [title, weight, f"{figures['test'][main]:.2f}", f"{figures['test']['loss']:.4f}"]
        table.add(*row, *([f"{figures['validation'][main]:.2f}"] if validation is not None else []))

    for place, (about, member) in enumerate(zip(job.spec["members"], result["members"], strict=True)):
        title = about["name"] or about["job_id"] or about["id"]
        add(f"{place} {title}", f"{member['weight']:.3f}" if member["chosen"] else "-", member)
    add("committee", "", result["committee"])
    add("all, plainly", "", result["plain"])
    return table


def _measured(measure: str, part: dict[str, Any], what: str) -> str:
    return f"{measure}, {part['count']:,} {what} of {part['part']}"
