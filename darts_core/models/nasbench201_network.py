"""Builds the network of one cell of NAS-Bench-201 (arXiv:2001.00326), section 2.1."""

from __future__ import annotations

from torch import Tensor, nn

from darts_core.genotypes import NasBench201Genotype
from darts_core.models.compiled_cells import CompiledCells
from darts_core.models.nasbench201_skeleton import NasBench201Skeleton, nasbench201_operation
from darts_core.models.retrained import RetrainedNetwork
from darts_core.models.supernet import sum_of
from darts_core.spaces.nasbench201 import NODES


class NasBench201Cell(nn.Module):
    """One cell: each node sums its edges; the output is the last node."""

    def __init__(self, genotype: NasBench201Genotype, channels: int) -> None:
        super().__init__()
        self.layers = nn.ModuleList(nasbench201_operation(op, channels, search=False) for op, _ in genotype.cell)

    def forward(self, x: Tensor) -> Tensor:
        """Map (N, C, H, W) to the same shape."""
        states, first = [x], 0
        for node in range(1, NODES + 1):
            states.append(sum_of([self.layers[first + source](states[source]) for source in range(node)]))
            first += node
        return states[-1]


class NasBench201Network(RetrainedNetwork, NasBench201Skeleton):
    """The network that the benchmark trains for a cell: as many cells in each of three stages."""

    def __init__(
        self, genotype: NasBench201Genotype, *, channels: int, layers: int, classes: int, image_channels: int = 3
    ) -> None:
        """channels: of the first stage. layers: number of cells, a multiple of 3."""
        super().__init__()
        self._compiled: CompiledCells | None = None
        self.build(
            lambda width: NasBench201Cell(genotype, width),
            channels=channels,
            layers=layers,
            classes=classes,
            image_channels=image_channels,
        )

    def forward(self, x: Tensor) -> Tensor:
        """Map images (N, channels, H, W) to logits (N, classes)."""
        compiled = self._compiled if self.training else None
        return self.logits(x, _called if compiled is None or compiled.images != len(x) else compiled)

    def compile_cells(self, images: int) -> None:
        self._compiled = CompiledCells(images, _called)


def _called(cell: nn.Module, x: Tensor) -> Tensor:
    return cell(x)  # type: ignore[no-any-return]
