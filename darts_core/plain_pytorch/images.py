"""Writes the evaluation network of a convolutional genotype as a plain module. Imports no torch.

Mirrors darts_core/models/evaluation_network.py without drop-path and the auxiliary head.
"""

from __future__ import annotations

import itertools
from typing import Final

from darts_core.genotypes import BuiltCell, Genotype
from darts_core.genotypes.model import CnnCell
from darts_core.models.layout import Stem, reduction_layers
from darts_core.plain_pytorch.operations import operation

_CLASS_NAMES: Final[dict[CnnCell, str]] = {"normal": "NormalCell", "reduce": "ReductionCell"}


def network_source(genotype: Genotype, layers: int, reductions: list[int] | None, stem: Stem, edge_skips: bool) -> str:
    """The classes of the cells and of the network. Raises CheckpointError for an operation without source.

    They read the constants IMAGE_SHAPE, CLASSES, CHANNELS, LAYERS and REDUCTIONS.
    """
    reducing = reduction_layers(layers, reductions)
    used: set[CnnCell] = {"reduce" if layer in reducing else "normal" for layer in range(layers)}
    kinds = [kind for kind in _CLASS_NAMES if kind in used]
    cells = [_cell(genotype.built(kind), kind, edge_skips) for kind in kinds]
    chosen = " if reduction else ".join(_CLASS_NAMES[kind] for kind in reversed(kinds))
    init, first_inputs = _STEMS[stem]
    after_reduction = stem == "imagenet"
    network = _NETWORK.format(
        stem=init, first_inputs=first_inputs, after_reduction=after_reduction, cell=chosen, widths=_WIDTHS[stem]
    )
    return "\n\n".join((*cells, network))


def _cell(cell: BuiltCell, kind: CnnCell, edge_skips: bool) -> str:
    edges = [edge for node in cell.nodes for edge in node]
    strides = [2 if kind == "reduce" and edge.source < 2 else 1 for edge in edges]
    built = [operation(edge.op, stride) for edge, stride in zip(edges, strides, strict=True)]
    lists = [_module_list("_ops", built)]
    if edge_skips:
        lists.append(_module_list("_skips", [operation("skip_connect", stride) for stride in strides]))
    term = "self.edge({}, s{})" if edge_skips else "self._ops[{}](s{})"
    places = itertools.count()
    sums = [
        f"        s{node} = {' + '.join(term.format(next(places), edge.source) for edge in entering)}"
        for node, entering in enumerate(cell.nodes, 2)
        if entering
    ]
    return _CELL.format(
        name=_CLASS_NAMES[kind],
        summary=_SUMMARIES[kind],
        concatenated=len(cell.concat),
        operations="\n".join(lists),
        nodes="\n".join(sums),
        output=", ".join(f"s{node}" for node in cell.concat),
        edge=_EDGE if edge_skips else "",
    )


def _module_list(name: str, built: list[str]) -> str:
    entries = "".join(f"                {each},\n" for each in built)
    return f"        self.{name} = nn.ModuleList(\n            [\n{entries}            ]\n        )"


_SUMMARIES: Final[dict[CnnCell, str]] = {
    "normal": "A cell that keeps its inputs' size.",
    "reduce": "A cell that halves height and width.",
}

_CELL: Final = '''
class {name}(nn.Module):
    """{summary} States s0 and s1 are its inputs."""

    concatenated = {concatenated}

    def __init__(
        self, older: int, newer: int, channels: int, after_reduction: bool
    ) -> None:
        super().__init__()
        first = FactorizedReduce if after_reduction else ReLUConvBN
        self.preprocess0 = first(older, channels)
        self.preprocess1 = ReLUConvBN(newer, channels)
{operations}

    def forward(self, older: Tensor, newer: Tensor) -> Tensor:
        s0 = self.preprocess0(older)
        s1 = self.preprocess1(newer)
{nodes}
        return torch.cat([{output}], dim=1)
{edge}'''.lstrip("\n")

_EDGE: Final = '''
    def edge(self, place: int, x: Tensor) -> Tensor:
        """The operation of an edge and the skip-connection beside it."""
        return self._ops[place](x) + self._skips[place](x)
'''

_SINGLE_STEM: Final = """
        self.stem = nn.Sequential(
            nn.Conv2d(IMAGE_SHAPE[0], 3 * CHANNELS, 3, stride={stride}, padding=1, bias=False),
            nn.BatchNorm2d(3 * CHANNELS),
        )"""
_IMAGENET_STEMS: Final = """
        self.stem0 = nn.Sequential(
            nn.Conv2d(IMAGE_SHAPE[0], CHANNELS // 2, 3, 2, padding=1, bias=False),
            nn.BatchNorm2d(CHANNELS // 2),
            nn.ReLU(),
            nn.Conv2d(CHANNELS // 2, CHANNELS, 3, 2, padding=1, bias=False),
            nn.BatchNorm2d(CHANNELS),
        )
        self.stem1 = nn.Sequential(
            nn.ReLU(),
            nn.Conv2d(CHANNELS, CHANNELS, 3, 2, padding=1, bias=False),
            nn.BatchNorm2d(CHANNELS),
        )"""
# Source of the layers, and of the first cell's inputs.
_STEMS: Final[dict[Stem, tuple[str, str]]] = {
    "cifar": (_SINGLE_STEM.format(stride=1), "older = newer = self.stem(images)"),
    "half": (_SINGLE_STEM.format(stride=2), "older = newer = self.stem(images)"),
    "imagenet": (_IMAGENET_STEMS, "older = self.stem0(images)\n        newer = self.stem1(older)"),
}
_WIDTHS: Final[dict[Stem, str]] = {"cifar": "3 * CHANNELS", "half": "3 * CHANNELS", "imagenet": "CHANNELS"}

_NETWORK: Final = '''
class Network(nn.Module):
    """Cells between stem and classifier. Each reads the outputs of the two before it."""

    def __init__(self) -> None:
        super().__init__(){stem}
        self.cells = nn.ModuleList()
        channels, after_reduction = CHANNELS, {after_reduction}
        older = newer = {widths}
        for layer in range(LAYERS):
            reduction = layer in REDUCTIONS
            if reduction:
                channels *= 2
            kind = {cell}
            cell = kind(older, newer, channels, after_reduction)
            self.cells.append(cell)
            older, newer = newer, cell.concatenated * channels
            after_reduction = reduction
        self.classifier = nn.Linear(newer, len(CLASSES))

    def forward(self, images: Tensor) -> Tensor:
        """Map normalised images (N, channels, height, width) to logits (N, classes)."""
        {first_inputs}
        for cell in self.cells:
            older, newer = newer, cell(older, newer)
        return self.classifier(newer.mean((2, 3)))
'''.strip("\n")
