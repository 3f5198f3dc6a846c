"""Shows a running job: a live screen on a terminal, a line per epoch elsewhere."""

from __future__ import annotations

from contextlib import nullcontext
from typing import Any

from api.schemas.jobs import JobKind, JobOut
from client.cell_text import edges, inputs_of
from client.clock import Clock
from client.events import Event
from client.job_stage import stage_of, steps_of
from client.output import is_interactive, print_json, remarks, warn
from client.screen import Screen
from client.sdk import Dartboard
from darts_core.genotypes import strengths_of

Strongest = list[tuple[float, str]]


def watch(dartboard: Dartboard, job: JobOut, *, json: bool = False) -> JobOut:
    """Follow a job and return it when it has ended. json: print one event per line."""
    if json:
        return _watch_as_json(dartboard, job)
    if job.is_composite:
        return _watch_tree(dartboard, job)
    if remarks.is_terminal:
        with Screen(job, remarks) as screen:
            for event in dartboard.follow(job):
                if stage := stage_of(event):
                    screen.stage(stage)
                match event.kind:
                    case "status":
                        screen.status(event.data)
                    case "preempted":
                        screen.status({"status": "running", "reason": event.data["reason"]})
                    case "step":
                        screen.step(event.data)
                    case "epoch":
                        screen.epoch(event.data)
                    case "log" if event.data["level"] == "warning":
                        screen.warning(event.data["message"])
        return dartboard.job(job.id)
    with Clock(remarks, f"{job.kind} {job.status}") as clock:
        for event in dartboard.follow(job):
            _print_event(job, event)
            if stage := stage_of(event):
                clock.stage(f"{job.kind} {stage}", steps_of(event.data) if event.kind == "step" else "")
    return dartboard.job(job.id)


def _watch_as_json(dartboard: Dartboard, job: JobOut) -> JobOut:
    """Print each event as a line of JSON; show a clock when only standard error is a terminal."""
    shown = remarks.is_terminal and not is_interactive()
    with Clock(remarks, f"{job.kind} {job.status}") if shown else nullcontext() as clock:
        for event in dartboard.follow(job):
            print_json({"id": event.sequence, "event": event.kind, "data": event.data})
            if clock is not None and (stage := stage_of(event)):
                clock.stage(f"{job.kind} {stage}", steps_of(event.data) if event.kind == "step" else "")
    return dartboard.job(job.id)


def _print_event(job: JobOut, event: Event) -> None:
    match event.kind:
        case "status":
            reason = f" ({event.data['reason']})" if event.data["reason"] else ""
            remarks.print(f"{job.kind} {event.data['status']}{reason}")
        case "preempted":
            remarks.print(f"{job.kind} {event.data['reason']}")
        case "log" if event.data["level"] == "warning":
            warn(event.data["message"])
        case "epoch":
            remarks.print(epoch_line(event.data, int(job.spec["epochs"]), _strongest(job, event.data)))


def _watch_tree(dartboard: Dartboard, job: JobOut) -> JobOut:
    """Print a line for each status change of the job or one of its children."""
    with Clock(remarks, f"{job.kind} {job.status}") as clock:
        for event in dartboard.follow(job):
            if event.kind in ("status", "child"):
                who = f"{event.data['stage']} ({event.data['id']})" if event.kind == "child" else str(job.kind)
                reason = f" ({event.data['reason']})" if event.data["reason"] else ""
                remarks.print(f"{who} {event.data['status']}{reason}")
                clock.stage(f"{who} {event.data['status']}")
    return dartboard.job(job.id)


def epoch_line(data: dict[str, Any], epochs: int, strongest: Strongest) -> str:
    """Format one epoch as a line."""
    metrics = data["metrics"]
    shown = [
        f"{label} {metrics[name]:{form}}"
        for name, label, form in (
            ("train_loss", "train loss", ".3f"),
            ("train_accuracy", "train", ".2f"),
            ("train_perplexity", "train perplexity", ".2f"),
            ("validation_accuracy", "validation", ".2f"),
            ("validation_perplexity", "validation", ".2f"),
            ("skip_connects", "skips", ".0f"),
            ("rolled_back_to", "rolled back to epoch", ".0f"),
            ("test_accuracy", "test", ".2f"),
            ("test_perplexity", "test", ".2f"),
            ("test_top5", "test top-5", ".2f"),
        )
        if name in metrics
    ]
    line = f"epoch {data['epoch']:>{len(str(epochs))}}/{epochs}  {data['seconds']:5.1f} s  " + "  ".join(shown)
    if strongest:
        line += "  strongest: " + ", ".join(f"{what} {weight:.3f}" for weight, what in strongest)
    return line


def _strongest(job: JobOut, data: dict[str, Any]) -> Strongest:
    """The strongest operation of each cell kind: its edge and its strength among the edge's candidates."""
    strengths = strengths_of(data.get("alphas"), data.get("strengths"))
    if job.kind is not JobKind.SEARCH or strengths is None:
        return []
    return [
        max(
            (weight, f"{cell} {source}->{node} {op}")
            for (node, source), row in zip(edges(len(table), inputs_of(cell)), table, strict=True)
            for op, weight in zip(job.spec["primitives"], row, strict=True)
            if op != "none"
        )
        for cell, table in strengths.items()
    ]
