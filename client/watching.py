"""Showing a job while it runs: live bars on a terminal, plain lines elsewhere."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeRemainingColumn

from api.schemas.jobs import JobKind, JobOut
from api.schemas.searches import alphas_out
from client.output import print_json, remarks
from client.sdk import Dartboard

Strongest = list[tuple[float, str]]


def watch(dartboard: Dartboard, job: JobOut, *, json: bool = False) -> JobOut:
    """Follow a job to its end and return it as it is then. With `json`: one event a line."""
    if json:
        for event in dartboard.follow(job):
            print_json({"id": event.sequence, "event": event.kind, "data": event.data})
        return dartboard.job(job.id)
    with _Screen(job) as screen:
        for event in dartboard.follow(job):
            match event.kind:
                case "status":
                    screen.status(event.data)
                case "step":
                    screen.step(event.data)
                case "epoch":
                    screen.epoch(event.data, _strongest(job, event.data))
    return dartboard.job(job.id)


class _Screen:
    """Bars for epochs and steps where the output is a terminal, and a line for each epoch everywhere."""

    def __init__(self, job: JobOut) -> None:
        self._epochs = int(job.spec["epochs"])
        self._kind = job.kind
        self._bars = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            TextColumn("{task.completed}/{task.total}"),
            TimeRemainingColumn(),
            console=remarks,
            disable=not remarks.is_terminal,
            transient=True,
        )
        self._epoch_bar = self._bars.add_task("epochs", total=self._epochs)
        self._step_bar: TaskID | None = None

    def __enter__(self) -> _Screen:
        self._bars.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._bars.stop()

    def status(self, data: dict[str, Any]) -> None:
        reason = f" ({data['reason']})" if data["reason"] else ""
        self._bars.console.print(f"{self._kind} {data['status']}{reason}", style="dim", soft_wrap=True)

    def step(self, data: dict[str, Any]) -> None:
        if self._step_bar is None:
            self._step_bar = self._bars.add_task("steps", total=data["steps"])
        self._bars.update(
            self._step_bar, total=data["steps"], completed=data["step"], description=f"epoch {data['epoch']}"
        )

    def epoch(self, data: dict[str, Any], strongest: Strongest) -> None:
        self._bars.update(self._epoch_bar, completed=data["epoch"])
        self._bars.console.print(epoch_line(data, self._epochs, strongest), soft_wrap=True)


def epoch_line(data: dict[str, Any], epochs: int, strongest: Strongest) -> str:
    """One epoch in one line."""
    metrics = data["metrics"]
    shown = [
        f"{label} {metrics[name]:{form}}"
        for name, label, form in (
            ("train_loss", "train loss", ".3f"),
            ("train_accuracy", "train", ".2f"),
            ("train_perplexity", "train perplexity", ".2f"),
            ("validation_accuracy", "validation", ".2f"),
            ("validation_perplexity", "validation", ".2f"),
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
    """The heaviest operation of each kind of cell: where it stands and its weight among its edge's candidates."""
    if job.kind is not JobKind.SEARCH:
        return []
    alphas = alphas_out(data["epoch"], job.spec["primitives"], data["alphas"])
    inputs = 1 if job.spec["family"] == "rnn" else 2
    return [
        max(
            (weight, f"{cell} {source}->{node} {op}")
            for (node, source), row in zip(_edges(len(table), inputs), table, strict=True)
            for op, weight in zip(alphas.primitives, row, strict=True)
            if op != "none"
        )
        for cell, table in alphas.weights.items()
    ]


def _edges(count: int, inputs: int) -> list[tuple[int, int]]:
    """Node and source of each row of an alpha table. inputs: states before the first node."""
    rows: list[tuple[int, int]] = []
    node = inputs
    while len(rows) < count:
        rows += [(node, source) for source in range(node)]
        node += 1
    return rows


def finish(job: JobOut, say: Callable[[str], None]) -> int:
    """Say how the job ended; the command's exit code."""
    if job.error is not None:
        say(f"{job.error.type}: {job.error.message}")
    return 0 if job.status == "succeeded" else 1
