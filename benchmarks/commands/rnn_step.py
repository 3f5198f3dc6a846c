"""`dartboard bench rnn-step`: the training step of recurrent cells, fast against plain."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated

import typer

from benchmarks.commands.options import Fused, Pairs, Plain, StepDevice
from benchmarks.commands.steps import show_steps
from client.options import Json


class RnnNetwork(StrEnum):
    """Networks of `rnn-step`."""

    SEARCH = "search"
    RETRAIN = "retrain"


def rnn_step(
    network: Annotated[RnnNetwork, typer.Option(help="A search's network, or a retrained cell's.")] = (
        RnnNetwork.SEARCH
    ),
    batch: Annotated[
        int | None, typer.Option(min=2, help="Columns; by default 256 for a search, 64 for a retraining.")
    ] = None,
    size: Annotated[int | None, typer.Option(min=1, help="Size of the state; 300 or 850 by default.")] = None,
    bptt: Annotated[int, typer.Option(min=1, help="Words in a column's window.")] = 35,
    words: Annotated[int, typer.Option(min=2, help="Words in the vocabulary.")] = 10_000,
    order: Annotated[int, typer.Option(min=0, max=2, help="Order of a search's alpha gradient; 0: weights alone.")] = 1,
    genotype: Annotated[str, typer.Option(help="Known cell to retrain.")] = "DARTS_V2",
    device: StepDevice = "cpu",
    pairs: Pairs = 5,
    plain: Plain = False,
    fused: Fused = False,
    json: Json = False,
) -> None:
    """Compare the fast training step of recurrent cells with the plain loop. Needs no service."""
    from benchmarks.rnn_step import Shape, measure
    from darts_core.genotypes import KNOWN_RECURRENT

    if genotype not in KNOWN_RECURRENT:
        raise typer.BadParameter(f"{genotype!r} is not a known recurrent cell: {', '.join(KNOWN_RECURRENT)}")
    searching = network is RnnNetwork.SEARCH
    shape = Shape(
        network=network.value,
        batch=batch or (256 if searching else 64),
        size=size or (300 if searching else 850),
        bptt=bptt,
        words=words,
        order=order if searching else 0,  # type: ignore[arg-type]
        genotype=genotype,
        device=device,
    )
    show_steps(
        measure, shape, pairs=pairs, plain=plain, fused=fused, json=json, device=device, graphed=device == "cuda"
    )
