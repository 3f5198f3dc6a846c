"""Options that several benchmarks share."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

Data = Annotated[Path | None, typer.Option(help="The service's data; a temporary folder by default.")]
BatchSize = Annotated[int, typer.Option(min=2, help="Images in a step.")]
Channels = Annotated[int, typer.Option(min=2, help="Channels of the first cells.")]
Layers = Annotated[int, typer.Option(min=3, help="Cells.")]
Image = Annotated[int, typer.Option(min=4, help="Side of the images, in pixels.")]
Pairs = Annotated[int, typer.Option(min=1, help="Alternating pairs of steps.")]
Plain = Annotated[bool, typer.Option("--plain", help="Measure only the plain version.")]
Fused = Annotated[bool, typer.Option("--fused", help="Measure only the fast version.")]
ProtocolFile = Annotated[
    Path, typer.Argument(metavar="PROTOCOL.json", exists=True, dir_okay=False, help="Methods, seeds, budget and spec.")
]
ProtocolImages = Annotated[
    str, typer.Option(metavar="NAME|FOLDER|FILE.tar", help="Images to search on, those of the protocol.")
]
