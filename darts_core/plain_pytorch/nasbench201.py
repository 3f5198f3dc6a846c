"""Writes NAS-Bench-201's network of a cell as a plain module. Imports no torch.

Mirrors darts_core/models/nasbench201_network.py.
"""

from __future__ import annotations

import itertools
from typing import Final

from darts_core.genotypes import NasBench201Genotype
from darts_core.plain_pytorch.operations import operation


def network_source(genotype: NasBench201Genotype) -> str:
    """The classes of the cell, the block between stages and the network.

    They read the constants IMAGE_SHAPE, CLASSES, CHANNELS, STAGES and CELLS.
    """
    places = itertools.count()
    *nodes, output = (
        " + ".join(f"self.layers[{next(places)}](s{edge.source})" for edge in entering) for entering in genotype.nodes()
    )
    sums = "\n".join(f"        s{node} = {terms}" for node, terms in enumerate(nodes, 1))
    built = "".join(f"                {operation(edge.op, 1)},\n" for edge in genotype.cell)
    return _SOURCE.format(operations=built, nodes=sums, output=output)


_SOURCE: Final = '''
class Cell(nn.Module):
    """A cell of the states s0, its input, to s3, its output."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.layers = nn.ModuleList(
            [
{operations}            ]
        )

    def forward(self, s0: Tensor) -> Tensor:
{nodes}
        return {output}


class ResidualBlock(nn.Module):
    """Halves height and width and doubles the channels."""

    def __init__(self, inputs: int) -> None:
        super().__init__()
        self.conv_a = ReLUConvBN(inputs, 2 * inputs, 3, stride=2)
        self.conv_b = ReLUConvBN(2 * inputs, 2 * inputs, 3)
        self.downsample = nn.Sequential(
            nn.AvgPool2d(2, stride=2, ceil_mode=True),
            nn.Conv2d(inputs, 2 * inputs, 1, bias=False),
        )

    def forward(self, x: Tensor) -> Tensor:
        return self.downsample(x) + self.conv_b(self.conv_a(x))


class Network(nn.Module):
    """Stages of cells between stem and classifier, with a residual block between two."""

    def __init__(self) -> None:
        super().__init__()
        channels = CHANNELS
        self.stem = nn.Sequential(
            nn.Conv2d(IMAGE_SHAPE[0], channels, 3, padding=1, bias=False),
            nn.BatchNorm2d(channels),
        )
        self.cells = nn.ModuleList()
        for stage in range(STAGES):
            if stage:
                self.cells.append(ResidualBlock(channels))
                channels *= 2
            self.cells.extend(Cell(channels) for _ in range(CELLS))
        self.lastact = nn.Sequential(nn.BatchNorm2d(channels), nn.ReLU())
        self.classifier = nn.Linear(channels, len(CLASSES))

    def forward(self, images: Tensor) -> Tensor:
        """Map normalised images (N, channels, height, width) to logits (N, classes)."""
        x = self.stem(images)
        for cell in self.cells:
            x = cell(x)
        return self.classifier(self.lastact(x).mean((2, 3)))
'''.strip("\n")
