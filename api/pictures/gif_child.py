"""Draws the GIF of a search, as the child process of `api.pictures.drawer`.

Its frames exceed the API's memory limit, and Pillow holds the GIL while drawing.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any, Final

from api.sandbox import serve
from darts_core.drawing import Frame, cells_of
from darts_core.errors import DrawingError
from darts_core.genotypes import parse

_MOST_MEMORY: Final = 2**30


def answer(order: dict[str, Any]) -> dict[str, Any]:
    """Write a GIF to the file `to`; returns its size as `bytes`, or an `error`.

    order: `to`, `epochs` (title, genotype, strengths), `family`, `primitives` and `theme`.
    """
    from darts_core.drawing.animation import to_gif

    try:
        frames = [
            Frame(e["title"], cells_of(parse(e["genotype"], order["family"]), e["strengths"], order["primitives"]))
            for e in order["epochs"]
        ]
        picture = to_gif(frames, order["theme"])
    except DrawingError as error:
        return {"error": str(error)}
    return {"bytes": Path(order["to"]).write_bytes(picture)}


if __name__ == "__main__":
    sys.exit(serve(answer, _MOST_MEMORY))
