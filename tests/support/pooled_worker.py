"""Starts a worker with a pool of its own, `first`, `second` or `changed`, by its number in the stack.

Workers have as many threads as their number. The third one runs the code of the folder in CHANGED_CODE.
"""

from __future__ import annotations

import os
import sys
from typing import Final

POOLS: Final = ("first", "second", "changed")


def main() -> None:
    number = int(os.environ["DARTBOARD_WORKER_NAME"].rpartition("-")[2])
    environment = {**os.environ, "DARTBOARD_POOLS": POOLS[number - 1], "OMP_NUM_THREADS": str(min(number, 2))}
    if POOLS[number - 1] == "changed":
        os.chdir(os.environ["CHANGED_CODE"])  # before all else on the path of `-m`
    os.execve(sys.executable, [sys.executable, "-m", "worker"], environment)


if __name__ == "__main__":
    main()
