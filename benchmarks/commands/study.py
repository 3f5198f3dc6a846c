"""`dartboard bench study`: a study with killed processes against an undisturbed one."""

from __future__ import annotations

from typing import Annotated

import typer

from client.options import Json


def study(
    seeds: Annotated[int, typer.Option(min=1, help="Searches of the study.")] = 4,
    search_epochs: Annotated[int, typer.Option(min=1, help="Epochs of each search.")] = 2,
    short_epochs: Annotated[int, typer.Option(min=1, help="Epochs of each short retraining.")] = 3,
    final_epochs: Annotated[int, typer.Option(min=1, help="Epochs of each final run.")] = 6,
    workers: Annotated[int, typer.Option(min=1, help="Workers of the service.")] = 2,
    json: Json = False,
) -> None:
    """Run a study twice, the second time with API, worker and broker killed, and compare. Exit code 1 on a difference.

    Starts its own service.
    """
    from benchmarks.killed_study import run
    from client.output import console, print_json, remarks

    outcome = run(
        seeds=seeds,
        search_epochs=search_epochs,
        short_epochs=short_epochs,
        final_epochs=final_epochs,
        workers=workers,
        say=remarks.print,
    )
    if json:
        print_json(outcome.as_json())
    else:
        for row in outcome.numbers["candidates"]:
            console.print(f"seed {row['seed']}: validation accuracy {row['validation_accuracy']:.2f} %")
        console.print(outcome.numbers["chosen"]["why"])
        final = outcome.numbers["final"]
        console.print(f"test accuracy {final['mean']:.2f} %, deviation {final['std']:.2f} over {final['n']} runs")
        seconds = f"undisturbed {outcome.undisturbed_seconds} s, killed {outcome.killed_seconds} s"
        console.print(f"{seconds}; the same numbers: {outcome.same}")
    if not outcome.same:
        raise typer.Exit(1)
