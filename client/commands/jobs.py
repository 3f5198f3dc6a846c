"""`dartboard jobs`, `show`, `workers`, `logs`, and the actions on a job."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Annotated

import typer

from client.options import DEFAULT_URL, Json, Key, Url, Wide

JobId = Annotated[str, typer.Argument(metavar="ID", help="Id of a job, or its first digits.")]


def list_jobs(
    status: Annotated[str | None, typer.Option(help="List jobs of this status only.")] = None,
    kind: Annotated[str | None, typer.Option(help="search, evaluation, score, ensemble or study.")] = None,
    label: Annotated[str | None, typer.Option(help="Label: KEY=VALUE or KEY.")] = None,
    owner: Annotated[str | None, typer.Option(help="List this owner's jobs only.")] = None,
    search: Annotated[str | None, typer.Option(help="Words in name, id, data set, labels and more.")] = None,
    sort: Annotated[
        str, typer.Option(help="created_at, name, parameters, multiply_adds or a metric; - is descending.")
    ] = "-created_at",
    limit: Annotated[int, typer.Option(min=1, help="Number of jobs.")] = 20,
    json: Json = False,
    wide: Wide = False,
    url: Url = DEFAULT_URL,
    key: Key = None,
) -> None:
    """List jobs, by default newest first."""
    from itertools import islice

    from client.job_stage import finished_epochs
    from client.output import print_json, print_listing
    from client.sdk import Dartboard
    from client.tables import Column, Listing

    with Dartboard(url, key) as dartboard:
        filters = {"status": status, "kind": kind, "label": label, "owner": owner, "q": search}
        jobs = list(islice(dartboard.jobs(**filters, sort=sort), limit))
    if json:
        print_json(list(jobs))
        return
    figures = [Column("epochs", 2, number=True), Column("validation", 1, number=True)]
    listing = Listing("id", Column("kind", 3), "name", Column("data set", 4), "status", *figures)
    for job in jobs:
        shown = finished_epochs(job), _validation(job.metrics or {})
        listing.add(str(job.id), job.kind, job.name or "", job.spec["dataset"], job.status, *shown)
    print_listing(listing, wide=wide)


def _validation(metrics: Mapping[str, float]) -> str:
    """Accuracy in percent, or a language model's perplexity."""
    if (accuracy := metrics.get("validation_accuracy")) is not None:
        return f"{accuracy:.2f} %"
    perplexity = metrics.get("validation_perplexity")
    return "" if perplexity is None else f"{perplexity:.2f} ppl"


def show_job(job_id: JobId, json: Json = False, url: Url = DEFAULT_URL, key: Key = None) -> None:
    """Show a job's status, metrics and spec."""
    from client.job_text import lines
    from client.output import console, print_json
    from client.sdk import Dartboard

    with Dartboard(url, key) as dartboard:
        job = dartboard.job(job_id)
    if json:
        print_json(job)
        return
    for line in lines(job):
        console.print(line)


def rename(
    job_id: JobId,
    name: Annotated[str, typer.Argument(help="New name.")],
    json: Json = False,
    url: Url = DEFAULT_URL,
    key: Key = None,
) -> None:
    """Rename a job."""
    from client.output import console, print_json
    from client.sdk import Dartboard

    with Dartboard(url, key) as dartboard:
        job = dartboard.update(job_id, name=name)
    print_json(job) if json else console.print(f"{job.kind} {job.id} {job.name}")


def delete(
    job_ids: Annotated[list[str], typer.Argument(metavar="ID...", help="Ids of jobs, or their first digits.")],
    json: Json = False,
    url: Url = DEFAULT_URL,
    key: Key = None,
) -> None:
    """Delete ended jobs with their epochs, logs and checkpoints."""
    from client.output import console, print_json
    from client.sdk import Dartboard

    with Dartboard(url, key) as dartboard:
        # Look up all ids before the first deletion.
        jobs = [dartboard.job(job_id) for job_id in job_ids]
        for job in jobs:
            dartboard.delete(job.id)
            if not json:
                console.print(f"deleted {job.kind} {job.id}")
    if json:
        print_json({"deleted": [str(job.id) for job in jobs]})


def list_workers(json: Json = False, wide: Wide = False, url: Url = DEFAULT_URL, key: Key = None) -> None:
    """List workers and their current jobs."""
    from client.output import print_json, print_listing
    from client.sdk import Dartboard
    from client.tables import Column, Listing

    with Dartboard(url, key) as dartboard:
        workers = dartboard.workers()
    if json:
        print_json(list(workers))
        return
    place = [Column("pools", 5), Column("device", 3), Column("memory", 4), Column("busy", 2)]
    listing = Listing("name", *place, "alive", "runs", Column("last seen", 1))
    for worker in workers:
        runs = str(worker.job_id) if worker.job_id else "-"
        alive = "yes" if worker.alive else "no"
        memory = ", ".join(f"{each.memory_used / 1e9:.1f} of {each.memory_total / 1e9:.1f} GB" for each in worker.load)
        busy = ", ".join("-" if (part := each.utilisation) is None else f"{part:.0f} %" for each in worker.load)
        pools, seen = ", ".join(worker.pools), f"{worker.last_seen:%F %T}"
        listing.add(worker.name, pools, worker.device, memory or "-", busy or "-", alive, runs, seen)
    print_listing(listing, wide=wide)


def show_logs(
    job_id: JobId,
    tail: Annotated[int, typer.Option(min=1, max=10_000, help="Number of lines.")] = 200,
    json: Json = False,
    url: Url = DEFAULT_URL,
    key: Key = None,
) -> None:
    """Print the log lines of a job's workers."""
    from client.output import print_json, print_text
    from client.sdk import Dartboard

    with Dartboard(url, key) as dartboard:
        lines = dartboard.logs(job_id, tail)
    if json:
        print_json(list(lines))
        return
    for line in lines:
        print_text(f"{line.time:%F %T} {line.level:7} {line.message}")


def _verb(name: str, help_text: str) -> Callable[..., None]:
    def act(job_id: JobId, json: Json = False, url: Url = DEFAULT_URL, key: Key = None) -> None:
        from client.output import console, print_json
        from client.sdk import Dartboard

        with Dartboard(url, key) as dartboard:
            job = getattr(dartboard, name)(job_id)
        print_json(job) if json else console.print(f"{job.kind} {job.id} {job.status}")

    act.__doc__ = help_text
    return act


cancel = _verb("cancel", "End a job now.")
pause = _verb("pause", "Stop a job after the epoch in work.")
resume = _verb("resume", "Let a paused job go on.")
retry = _verb("retry", "Let a failed or cancelled job go on from its last epoch.")


def extend(
    job_id: JobId,
    epochs: Annotated[int, typer.Option(min=1, help="Epochs in all, more than now.")],
    json: Json = False,
    url: Url = DEFAULT_URL,
    key: Key = None,
) -> None:
    """Give an ended or paused search or evaluation more epochs; it goes on from its last one."""
    from client.output import console, print_json
    from client.sdk import Dartboard

    with Dartboard(url, key) as dartboard:
        job = dartboard.extend(job_id, epochs)
    print_json(job) if json else console.print(f"{job.kind} {job.id} {job.status}")
