"""Draws a running job on a terminal: progress bars, metric curves, and the current cell."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from typing import Any, Final

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.progress import BarColumn, Progress, TaskID, TextColumn
from rich.table import Table
from rich.text import Text

from api.schemas.jobs import JobOut, Status
from client.cell_text import Choice, choices
from client.clock import duration
from darts_core.genotypes import strengths_of

_BLOCKS: Final = "▁▂▃▄▅▆▇█"
_CURVE_WIDTH: Final = 40
_BAR_WIDTH: Final = 10
# Metrics drawn as curves, in this order.
_CURVES: Final = (
    ("train_loss", ".3f"),
    ("validation_loss", ".3f"),
    ("train_accuracy", ".2f"),
    ("validation_accuracy", ".2f"),
    ("train_perplexity", ".2f"),
    ("validation_perplexity", ".2f"),
)


class Screen:
    """A live display, redrawn in place; its last state remains."""

    def __init__(self, job: JobOut, console: Console) -> None:
        self._job, self._console = job, console
        self._metrics: list[dict[str, float]] = []
        self._cells: dict[str, list[Choice]] = {}
        self._status = Text(f"{job.kind} {job.id}")
        self._stage, self._since = str(job.status), time.monotonic()
        self._bars = Progress(
            TextColumn("{task.description}", markup=False),
            BarColumn(bar_width=_CURVE_WIDTH),
            TextColumn("{task.completed}/{task.total}", markup=False),
            TextColumn("{task.fields[left]}", style="dim", markup=False),
        )
        self._epochs = self._bars.add_task("epochs", total=int(job.spec["epochs"]), left="")
        self._steps: TaskID | None = None
        self._ended = False
        self._live = Live(console=console, get_renderable=self._drawn, refresh_per_second=4)

    def __enter__(self) -> Screen:
        self._live.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._live.stop()

    def warning(self, message: str) -> None:
        """Show a worker's warning above the bars."""
        self._console.print(Text.assemble(("warning: ", "yellow"), message))

    def status(self, data: dict[str, Any]) -> None:
        """Show a status event."""
        reason = f" ({data['reason']})" if data["reason"] else ""
        self._ended = Status(data["status"]).ended
        if data["status"] == "succeeded" and self._metrics:
            # An early stop ends before the spec's last epoch.
            self._bars.update(self._epochs, total=len(self._metrics), left="")
        self._status = Text.assemble(f"{self._job.kind} {self._job.id} ", (data["status"], "bold"), (reason, "dim"))

    def stage(self, name: str) -> None:
        """Show a stage; the clock restarts when the name changes."""
        if name != self._stage:
            self._stage, self._since = name, time.monotonic()

    def step(self, data: dict[str, Any]) -> None:
        """Show a step event."""
        if not data["steps"]:
            return
        if self._steps is None:
            self._steps = self._bars.add_task("steps", total=data["steps"], left="")
        self._bars.update(
            self._steps, total=data["steps"], completed=data["step"], description=f"epoch {data['epoch']}"
        )
        if (left := data.get("eta_seconds")) is not None:
            self._bars.update(self._epochs, left=f"{_duration(left)} left")

    def epoch(self, data: dict[str, Any]) -> None:
        """Show an epoch event."""
        self._metrics.append(data["metrics"])
        self._bars.update(self._epochs, completed=data["epoch"])
        if self._steps is not None:
            # No step event reports the last steps; the epoch's end implies them.
            self._bars.update(self._steps, completed=self._bars.tasks[self._steps].total)
        strengths = strengths_of(data.get("alphas"), data.get("strengths"))
        if data.get("genotype") and strengths:
            self._cells = choices(data["genotype"], strengths, self._job.spec)

    def _drawn(self) -> RenderableType:
        clock = Text(f"{self._stage} ... {duration(time.monotonic() - self._since)}", style="dim")
        return Group(self._status, *([] if self._ended else [clock]), self._bars, *self._curves(), *self._drawn_cells())

    def _curves(self) -> Iterator[Table]:
        if not self._metrics:
            return
        table = Table.grid(padding=(0, 2))
        for name, form in _CURVES:
            values = [metrics[name] for metrics in self._metrics if name in metrics]
            if values:
                table.add_row(name.replace("_", " "), Text(sparkline(values), style="cyan"), f"{values[-1]:{form}}")
        yield table

    def _drawn_cells(self) -> Iterator[Table]:
        for cell, found in self._cells.items():
            heading = cell if cell == "cell" else f"{cell} cell"
            table = Table(
                "node",
                "operation",
                "of",
                "weight",
                title=heading,
                title_justify="left",
                box=None,
            )
            before = None
            for choice in found:
                bar = "━" * max(1, round(choice.weight * _BAR_WIDTH))
                node = "" if choice.node == before else choice.node
                table.add_row(node, choice.operation, choice.source, f"{choice.weight:.2f} {bar}")
                before = choice.node
            yield table


def sparkline(values: Sequence[float], width: int = _CURVE_WIDTH) -> str:
    """The last `width` values as block characters, scaled from their minimum to their maximum."""
    shown = values[-width:]
    low, high = min(shown), max(shown)
    steps = len(_BLOCKS) - 1
    if high == low:
        return _BLOCKS[steps // 2] * len(shown)
    return "".join(_BLOCKS[round((value - low) / (high - low) * steps)] for value in shown)


def _duration(seconds: float) -> str:
    minutes, seconds = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{seconds:02}" if hours else f"{minutes}:{seconds:02}"
