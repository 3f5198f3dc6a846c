"""`dartboard bench asha`: asynchronous successive halving beside Optuna's Hyperband pruner."""

from __future__ import annotations

from typing import Annotated

import typer

from benchmarks.commands.options import Markdown
from client.options import Json


def asha(
    seeds: Annotated[int, typer.Option(min=2, help="Runs of each.")] = 100,
    hours: Annotated[list[float] | None, typer.Option(min=0.1, help="Simulated hours; may be repeated.")] = None,
    workers: Annotated[int, typer.Option(min=1, help="Simulated workers.")] = 4,
    eta: Annotated[int, typer.Option(min=2, help="The best 1/eta of each rung go on.")] = 3,
    markdown: Markdown = False,
    json: Json = False,
) -> None:
    """Search NAS-Bench-201's table for the best cell on ImageNet16-120, with CIFAR-10 and CIFAR-100 as cheaper rungs.

    The table says what each training costs and gives. Exit code 1 if the interval of the regret's difference ends above
    0 for any number of hours.
    """
    from dataclasses import asdict

    from benchmarks.asha import compare
    from benchmarks.ledger.intervals import signed
    from client.output import print_json, print_listing, print_text, remarks
    from client.tables import Column, Listing

    rows = compare(seeds=seeds, hours=hours or [25, 50, 100, 200], workers=workers, eta=eta, say=remarks.print)
    regrets_of = ("regret of ASHA", "regret of Hyperband", "difference")
    counts_of = ("cells of ASHA", "cells of Hyperband", "to the end by ASHA", "to the end by Hyperband")
    listing = Listing(*(Column(head, number=True) for head in ("hours", *regrets_of, *counts_of)))
    for row in rows:
        counts = (row.asha_trials, row.hyperband_trials, row.asha_finished, row.hyperband_finished)
        regrets = (f"{row.asha.mean:.2f}", f"{row.hyperband.mean:.2f}", signed(row.difference))
        listing.add(f"{row.hours:g}", *regrets, *(f"{number:.0f}" for number in counts))
    if json:
        print_json([asdict(row) for row in rows])
    elif markdown:
        print_text("\n".join(listing.markdown()))
    else:
        print_listing(listing)
    if any(row.difference.high > 0 for row in rows):
        raise typer.Exit(1)
