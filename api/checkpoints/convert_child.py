"""Converts a stored checkpoint, as the child process of `api.checkpoints.converter`.

Nothing is unpickled: `darts_core.files.torch_files` only follows instructions that build plain values.
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
    """Convert one file. order: the paths `checkpoint` and `to`, the `format`, and the `name` for messages.

    Returns an empty object, the `error` that prevents the conversion, or the disk's `errno` and `strerror`.
    """
    try:
        checkpoint, to = Path(order["checkpoint"]), Path(order["to"])
        if order["format"] == "pytorch":
            from darts_core.plain_pytorch.source import pytorch_source  # with the specs, which weights do without

            to.write_text(pytorch_source(checkpoint), encoding="utf-8")
            return {}
        with to.open("wb") as file:
            convert(checkpoint, file)
    except CheckpointError as error:
        # Text from a pickle may be long and contain lone surrogates, which a response cannot carry.
        message = str(error).replace(Path(order["checkpoint"]).name, order["name"])
        return {"error": message[:_LONGEST_MESSAGE].encode(errors="backslashreplace").decode()}
    except MemoryError:
        return {"error": "reading it takes more memory than any checkpoint needs"}
    except OSError as error:
        return {"errno": error.errno, "strerror": error.strerror}
    return {}


if __name__ == "__main__":
    sys.exit(serve(answer, _MOST_MEMORY))
