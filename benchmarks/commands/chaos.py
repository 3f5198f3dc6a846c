"""`dartboard bench chaos`: searches under faults."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from benchmarks.commands.output import print_fields
from client.options import Json


def chaos(
    minutes: Annotated[float, typer.Option(min=0, help="Repeat for this long; at least once.")] = 0.0,
    searches: Annotated[int, typer.Option(min=1, help="Number of concurrent searches.")] = 12,
    epochs: Annotated[int, typer.Option(min=1, help="Epochs of each search.")] = 6,
    workers: Annotated[int, typer.Option(min=1, help="Workers of the service.")] = 2,
    shortest: Annotated[float, typer.Option(min=0, help="Minimum seconds between two faults.")] = 2.0,
    longest: Annotated[float, typer.Option(min=0, help="Maximum seconds between two faults.")] = 6.0,
    seed: Annotated[int | None, typer.Option(min=0, help="Seed of the faults; by default drawn and printed.")] = None,
    data: Annotated[
        Path | None, typer.Option(help="The service's data, kept with its logs; a temporary folder by default.")
    ] = None,
    json: Json = False,
) -> None:
    """Kill, suspend, preempt, fill disks, step clocks and damage files during searches. Exit code 1 after any loss.

    Starts its own service. Full disks need root, clock steps the library faketime; unsupported faults are left out and
    listed.
    """
    import secrets

    from benchmarks.chaos import end_as_ctrl_c_does, run
    from client.output import remarks

    end_as_ctrl_c_does()
    if shortest > longest:
        raise typer.BadParameter(f"--shortest {shortest:g} is longer than --longest {longest:g}")
    outcome = run(
        seed=secrets.randbelow(1_000_000) if seed is None else seed,
        searches=searches,
        epochs=epochs,
        workers=workers,
        minutes=minutes,
        shortest=shortest,
        longest=longest,
        data=data,
        say=remarks.print,
    )
    print_fields(outcome.as_json(), json=json)
    if not outcome.nothing_lost:
        raise typer.Exit(1)
