"""Jobs with epochs and alphas to export, and a folder of packages that the project does not install."""

from __future__ import annotations

import random
import subprocess
import sys
from pathlib import Path
from typing import Any, Final

from api.schemas.jobs import JobOut
from tests.support.service import Bench, SimulatedAttempt

ROOT: Final = Path(__file__).parents[2]
EPOCHS: Final = 3


def report(training: SimulatedAttempt, epoch: int) -> None:
    """An epoch with figures that 32 bits round, and alphas of a cell with two nodes."""
    draw = random.Random(epoch)
    alphas = {cell: [[draw.gauss(0, 1) for _ in range(8)] for _ in range(5)] for cell in ("normal", "reduce")}
    training.report(epoch, alphas=alphas, train_loss=draw.random(), validation_accuracy=100 * draw.random())


def searched(bench: Bench, **fields: Any) -> JobOut:
    """A search of three epochs that has succeeded."""
    search = bench.submit(epochs=EPOCHS, nodes=2, **fields)
    training = bench.claim()
    for epoch in range(1, EPOCHS + 1):
        report(training, epoch)
    training.finish()
    return bench.dartboard.job(search.id)


def install(folder: Path, *packages: str) -> None:
    """Packages in the versions of the constraints, with their dependencies, for a PYTHONPATH."""
    pip = [sys.executable, "-m", "pip", "install", "--quiet", "-c", str(ROOT / "constraints.txt")]
    subprocess.run([*pip, "--target", str(folder), *packages], check=True)
