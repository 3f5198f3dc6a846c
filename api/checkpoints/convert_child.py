"""The weights of a stored checkpoint as safetensors, in a process of its own that `api.checkpoints.converter` runs.

Nothing is unpickled: `darts_core.files.torch_files` follows instructions that build plain values and refuses others.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any, Final

from api.sandbox import serve
from darts_core.errors import CheckpointError
from darts_core.files.safetensors import convert

_MOST_MEMORY: Final = 2**30
_LONGEST_MESSAGE: Final = 1000


def answer(order: dict[str, Any]) -> dict[str, Any]:
    """order: `checkpoint` and `to`, both paths, and the `name` for messages.

    Empty, or the `error` that makes it impossible, or the `errno` and `strerror` of the disk.
    """
    try:
        with Path(order["to"]).open("wb") as file:
            convert(Path(order["checkpoint"]), file)
    except CheckpointError as error:
        # Text out of a pickle may be long, and hold halves of characters, which no answer can.
        said = str(error).replace(Path(order["checkpoint"]).name, order["name"])
        return {"error": said[:_LONGEST_MESSAGE].encode(errors="backslashreplace").decode()}
    except MemoryError:
        return {"error": "it needs too much memory: no checkpoint does"}
    except OSError as error:
        return {"errno": error.errno, "strerror": error.strerror}
    return {}


if __name__ == "__main__":
    sys.exit(serve(answer, _MOST_MEMORY))
