"""Prints the result of a successful job: a cell, a table, predictions, or the command that downloads its file."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from api.schemas.jobs import JobKind, JobOut
from api.schemas.predictions import PredictionResult
from client.distribution import COMMAND
from client.output import console, print_listing, print_text, remarks, warn
from client.sdk import Dartboard
from client.tables import Listing


def show_result(dartboard: Dartboard, job: JobOut) -> None:
    """Print to standard output."""
    match job.kind:
        case JobKind.SEARCH:
            print_text(dartboard.genotype(job.id).text)
            remarks.print(f"draw it: {COMMAND} draw {job.id} -o cell.svg", style="dim")
            remarks.print(
                f"retrain it: {COMMAND} evaluate {job.id} (--epochs N for less than its preset's)", style="dim"
            )
        case JobKind.EVALUATION:
            for line in _epochs(job):
                console.print(line)
            console.print(_way_to(job, "checkpoint") + _epoch_of_file(job))
        case JobKind.SCORE:
            if job.metrics:
                console.print(figures(job.metrics))
            console.print(_way_to(job, "logits"))
        case JobKind.ENSEMBLE:
            from client.ensemble_text import table

            print_listing(table(job))
            console.print(_way_to(job, "checkpoint"))
        case JobKind.STUDY | JobKind.COMMITTEE:
            from client.study_text import tables

            for shown in tables(job):
                print_listing(shown) if isinstance(shown, Listing) else console.print(shown)
        case JobKind.PREDICTION:
            result = PredictionResult.model_validate(job.result)
            print_text(", ".join(f"{each.label} {100 * each.probability:.2f} %" for each in result.candidates))
            if result.continuation is not None:
                print_text(result.continuation)
            if result.unknown:
                warn(f"not in the vocabulary: {', '.join(result.unknown)}")


def figures(metrics: Mapping[str, float]) -> str:
    """Validation and test metrics, as in `validation accuracy 97.22 %, test accuracy 98.06 %`."""
    units = {"accuracy": " %", "top5": " %", "perplexity": ""}
    return ", ".join(
        f"{part} {measure.replace('top5', 'top-5 accuracy')} {metrics[name]:.2f}{unit}"
        for part in ("validation", "test")
        for measure, unit in units.items()
        if (name := f"{part}_{measure}") in metrics
    )


def _epochs(job: JobOut) -> Iterator[str]:
    """The last epoch, which the test metrics belong to, and the best validation epoch, which the file holds."""
    best, last = job.best or {}, job.metrics or {}
    final, chosen = _last_and_best(job)
    if chosen != final:
        yield f"last epoch, {final}: {figures(last)}"
        yield f"best epoch, {chosen}: {figures(best)}"
    else:
        yield f"best epoch, {final}, the last: {figures(last)}"


def _last_and_best(job: JobOut) -> tuple[int, int]:
    final = int(job.spec["epochs"])
    return final, int((job.best or {}).get("epoch", final))


def _epoch_of_file(job: JobOut) -> str:
    """A shell comment behind the download's command: the epoch that it brings, and how to get the last one."""
    final, chosen = _last_and_best(job)
    return "" if chosen == final else f"  # epoch {chosen}, the best; --epoch last brings epoch {final}"


def _way_to(job: JobOut, what: str) -> str:
    return f"{what}: {COMMAND} download {job.id}"
