"""Options that several benchmarks share."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

Data = Annotated[Path | None, typer.Option(help="The service's data; a temporary folder by default.")]
BatchSize = Annotated[int, typer.Option(min=2, help="Images in a step.")]
Channels = Annotated[int, typer.Option(min=2, help="Channels of the first cells.")]
Layers = Annotated[int, typer.Option(min=3, help="Cells.")]
Image = Annotated[int, typer.Option(min=4, help="Side of the images, in pixels.")]
StepDevice = Annotated[
    Literal["cpu", "cuda"], typer.Option(help="Where the steps run; on cuda the fast one is also timed as a graph.")
]
Pairs = Annotated[int, typer.Option(min=1, help="Alternating pairs of steps.")]
Plain = Annotated[bool, typer.Option("--plain", help="Measure only the plain version.")]
Fused = Annotated[bool, typer.Option("--fused", help="Measure only the fast version.")]
Results = Annotated[
    Path | None, typer.Option(metavar="FILE.jsonl", help="Stored runs; by default benchmarks/results/runs.jsonl.")
]
Processes = Annotated[int, typer.Option(min=1, help="Searches at a time.")]
Calibrate = Annotated[bool, typer.Option("--calibrate", help="Measure epochs, and write the protocol's.")]
Markdown = Annotated[bool, typer.Option("--markdown", help="Print a table for docs/results.md.")]
ProtocolFile = Annotated[
    Path, typer.Argument(metavar="PROTOCOL.json", exists=True, dir_okay=False, help="Methods, seeds, budget and spec.")
]
ProtocolImages = Annotated[
    str, typer.Option(metavar="NAME|FOLDER|FILE.tar", help="Images to search on, those of the protocol.")
]
LedgerImages = Annotated[
    str | None,
    typer.Option(
        metavar="NAME|FOLDER|FILE.tar", help="Images to search on, those of the protocol; by default no search runs."
    ),
]
