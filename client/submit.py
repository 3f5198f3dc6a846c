"""Queues a job for a command, watches it by default, and prints its result."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import typer

from client.failures import ExitCode

if TYPE_CHECKING:
    from api.schemas.jobs import JobOut
    from client.sdk import Dartboard


def submit_and_watch(kind: str, body: dict[str, Any], url: str, key: str | None, *, detach: bool, json: bool) -> None:
    """Exits with the job's exit code. json: print the job as one document, once queued or ended."""
    from client.output import console, print_json, remarks
    from client.sdk import Dartboard

    with Dartboard(url, key) as dartboard:
        job = dartboard.submit(kind, body)
        if not detach:
            remarks.print(f"{kind} {job.id}")
        if sizes := sizes_of(job):
            remarks.print(sizes, style="dim")
        if detach:
            print_json(job) if json else console.print(str(job.id))
            return
        job = watch_to_end(dartboard, job)
        if json:
            print_json(job)
        raise typer.Exit(end(dartboard, job, show=not json))


def sizes_of(job: JobOut) -> str:
    """A training's preset and sizes with the options that change them; empty for another kind of job."""
    spec = job.spec
    if job.kind not in ("search", "evaluation"):
        return ""
    if "select" in spec:
        epochs = _count(spec["epochs"], "epoch")
        return f"selection by {spec['select']}: {epochs} (--set selection_interval=N changes them)"
    sizes = {
        "--epochs": _count(spec.get("epochs"), "epoch"),
        "--layers": _count(spec.get("layers"), "layer"),
        "--channels": _count(spec.get("channels"), "channel"),
        "--batch-size": f"batches of {spec['batch_size']}" if "batch_size" in spec else "",
        "--set hidden_size=N": f"hidden size {spec['hidden_size']}" if "hidden_size" in spec else "",
    }
    shown = {option: size for option, size in sizes.items() if size}
    return f"preset {spec['preset']}: {', '.join(shown.values())} ({', '.join(shown)} change them)"


def _count(number: int | None, noun: str) -> str:
    return "" if number is None else f"{number:,} {noun}{'' if number == 1 else 's'}"


def watch_to_end(dartboard: Dartboard, job: JobOut, *, json: bool = False) -> JobOut:
    """Watch a job and return it when it has ended. json: print events as lines.

    Ctrl-C ends the watching, not the job; a remark names the command that resumes it.
    """
    from client.output import remarks
    from client.watch import watch

    try:
        return watch(dartboard, job, json=json)
    except KeyboardInterrupt:
        remarks.print(
            f"{job.kind} {job.id} goes on: `dartboard watch {job.id}` shows it again, "
            f"`dartboard cancel {job.id}` ends it"
        )
        raise typer.Exit(ExitCode.INTERRUPTED) from None


def end(dartboard: Dartboard, job: JobOut, *, show: bool) -> ExitCode:
    """Print how the job ended. show: also its result."""
    from client.output import print_error
    from client.results import show_result

    if job.status == "succeeded":
        if show:
            show_result(dartboard, job)
        return ExitCode.OK
    reason = f"{job.error.type}: {job.error.message}" if job.error is not None else job.status_reason or ""
    print_error(f"{job.kind} {job.id} {job.status}" + (f": {reason}" if reason else ""))
    return ExitCode.FAILED
