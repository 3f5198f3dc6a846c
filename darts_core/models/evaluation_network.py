"""Builds the evaluation network, a stack of one genotype's cells: DARTS (arXiv:1806.09055), section 3.2."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Collection
from functools import reduce

import torch
from torch import Tensor, nn

from darts_core.distributed.group import ALONE, Group
from darts_core.genotypes import BuiltCell, Genotype
from darts_core.models.compiled_cells import CompiledCells
from darts_core.models.device_scalar import DeviceScalar
from darts_core.models.drop_path import Paths, draw_paths
from darts_core.models.layout import AUXILIARY_CHANNELS, Stem, auxiliary_layer, auxiliary_stride, reduction_layers
from darts_core.models.operations import Identity, drawing_in, operation
from darts_core.models.retrained import RetrainedNetwork
from darts_core.models.skeleton import StemNetwork, newer_input, older_input


class Cell(nn.Module):
    """One cell of a genotype: each node sums its edges; the output concatenates the nodes of `concat`.

    Empty nodes of a sparse cell, and edges that read them, are not built.
    """

    def __init__(
        self,
        cell: BuiltCell,
        older: int,
        newer: int,
        channels: int,
        *,
        reduction: bool,
        after_reduction: bool,
        edge_skips: bool = False,
    ) -> None:
        """edge_skips: with a skip-connection besides the operation of each edge."""
        super().__init__()
        self.sources = tuple(tuple(source for _, source in node) for node in cell.nodes)
        self.concat = cell.concat
        self.preprocess0 = older_input(older, channels, after_reduction=after_reduction, affine=True)
        self.preprocess1 = newer_input(newer, channels, affine=True)
        self._ops = nn.ModuleList(
            operation(op, channels, 2 if reduction and source < 2 else 1, search=False)
            for node in cell.nodes
            for op, source in node
        )
        skips = (
            operation("skip_connect", channels, 2 if reduction and source < 2 else 1, search=False)
            for node in cell.nodes
            for _, source in node
        )
        self._skips = nn.ModuleList(skips) if edge_skips else None
        self.paths = len(self._ops) - (0 if edge_skips else sum(isinstance(op, Identity) for op in self._ops))
        """Edges that drop-path can drop: not identities alone, so that a path remains for every sample."""

    def forward(self, older: Tensor, newer: Tensor, paths: Paths | None = None) -> Tensor:
        """Map the outputs of the two preceding cells to (N, len(concat) * channels, H', W').

        paths: those of this pass, of which the cell takes the next ones; None drops none.
        """
        states = {0: self.preprocess0(older), 1: self.preprocess1(newer)}
        edges = itertools.count()
        for node, sources in enumerate(self.sources, 2):
            if sources:
                found = [self._edge(next(edges), states[source], paths) for source in sources]
                states[node] = reduce(torch.add, found)
        return torch.cat([states[node] for node in self.concat], dim=1)

    def _edge(self, edge: int, x: Tensor, paths: Paths | None) -> Tensor:
        op = self._ops[edge]
        out: Tensor = op(x)
        if self._skips is not None:
            out = out + self._skips[edge](x)
        elif isinstance(op, Identity):
            return out
        return out if paths is None else paths.drop(out)


CellPass = Callable[[nn.Module, Tensor, Tensor], Tensor]
"""Runs a cell on the outputs of the two preceding ones."""


def _called(cell: nn.Module, older: Tensor, newer: Tensor, paths: Paths | None = None) -> Tensor:
    return cell(older, newer, paths)  # type: ignore[no-any-return]


def _dropping(cell: nn.Module, older: Tensor, newer: Tensor, drawn: Tensor | None, keep: Tensor) -> Tensor:
    """drawn: the numbers of the cell's own paths."""
    return _called(cell, older, newer, None if drawn is None else Paths(drawn, keep))


class AuxiliaryHead(nn.Module):
    """An auxiliary classifier on an inner cell's output, used in training only.

    The map has at least 8x8 pixels, 7x7 with the ImageNet stem. These sizes leave one position before the classifier;
    larger maps are averaged. As in the DARTS authors' code, the ImageNet variant pools with stride 2 and has no
    BatchNorm after the second convolution.
    """

    def __init__(self, inputs: int, classes: int, *, stem: Stem = "cifar") -> None:
        super().__init__()
        narrow, wide = AUXILIARY_CHANNELS
        last_norm = [] if stem == "imagenet" else [nn.BatchNorm2d(wide)]
        self.features = nn.Sequential(
            nn.ReLU(),
            nn.AvgPool2d(5, stride=auxiliary_stride(stem), padding=0, count_include_pad=False),
            nn.Conv2d(inputs, narrow, 1, bias=False),
            nn.BatchNorm2d(narrow),
            nn.ReLU(),
            nn.Conv2d(narrow, wide, 2, bias=False),
            *last_norm,
            nn.ReLU(),
        )
        self.classifier = nn.Linear(wide, classes)

    def forward(self, x: Tensor) -> Tensor:
        """Map (N, inputs, H, W) to logits (N, classes)."""
        return self.classifier(self.features(x).mean((2, 3)))  # type: ignore[no-any-return]


class EvaluationNetwork(RetrainedNetwork, StemNetwork):
    """A stack of one genotype's cells between stem and classifier.

    Every stem accepts images of any size; `darts_core.models.layout.stem_for` chooses one. Attribute names follow the
    DARTS authors' code, so that `state_dict` keys agree.
    """

    auxiliary_head: AuxiliaryHead | None

    def __init__(
        self,
        genotype: Genotype,
        *,
        channels: int,
        layers: int,
        classes: int,
        auxiliary: bool = False,
        image_channels: int = 3,
        stem: Stem = "cifar",
        reductions: Collection[int] | None = None,
        edge_skips: bool = False,
    ) -> None:
        """reductions: reduction cells, counted from 0; by default at one and two thirds of the layers; may be empty.

        edge_skips: as in a `Cell`.
        """
        super().__init__(stem, image_channels, channels)
        self.auxiliary_layer = auxiliary_layer(layers, reductions)
        reductions = reduction_layers(layers, reductions)
        self.auxiliary_head = None
        older = newer = self.stem_channels
        after_reduction = self.starts_after_reduction
        self.cells = nn.ModuleList()
        for layer in range(layers):
            reduction = layer in reductions
            if reduction:
                channels *= 2
            cell = genotype.built("reduce" if reduction else "normal")
            self.cells.append(
                Cell(
                    cell,
                    older,
                    newer,
                    channels,
                    reduction=reduction,
                    after_reduction=after_reduction,
                    edge_skips=edge_skips,
                )
            )
            older, newer, after_reduction = newer, len(cell.concat) * channels, reduction
            if auxiliary and layer == self.auxiliary_layer:
                self.auxiliary_head = AuxiliaryHead(newer, classes, stem=stem)
        self.global_pooling = nn.AdaptiveAvgPool2d(1)
        self.classifier = nn.Linear(newer, classes)
        self._noises = drawing_in(self)
        self._paths = sum(cell.paths for cell in self.cells)  # type: ignore[misc]
        self._keep = DeviceScalar()
        self._compiled: CompiledCells | None = None
        self.set_drop_path(0.0)

    def forward(self, x: Tensor) -> Tensor:
        """Map images (N, channels, H, W) to logits (N, classes)."""
        return self.with_auxiliary(x)[0]

    def with_auxiliary(self, x: Tensor, drawn: Tensor | None = None) -> tuple[Tensor, Tensor | None]:
        """Return the logits and the auxiliary head's logits; None without a head or in evaluation mode.

        drawn: (paths, N), of `draw_paths`, which training mode calls if they are not given.
        """
        auxiliary: Tensor | None = None
        run: CellPass = _called
        if self.training:
            run = self._training_pass(len(x), self.draw_paths(len(x)) if drawn is None else drawn)
        older, newer = self.first_inputs(x)
        for layer, cell in enumerate(self.cells):
            older, newer = newer, run(cell, older, newer)
            if layer == self.auxiliary_layer and self.auxiliary_head is not None and self.training:
                auxiliary = self.auxiliary_head(newer)
        return self.classifier(self.global_pooling(newer).flatten(1)), auxiliary

    def _training_pass(self, images: int, drawn: Tensor | None) -> CellPass:
        """What runs one cell after the other, which drops the drawn paths; None drops none."""
        keep, compiled = self._kept(self.classifier.weight.device), self._compiled
        if compiled is None or images != compiled.images:
            paths = None if drawn is None else Paths(drawn, keep)
            return lambda cell, older, newer: _called(cell, older, newer, paths)
        counts: list[int] = [cell.paths for cell in self.cells]  # type: ignore[misc]
        shares = itertools.repeat(None) if drawn is None else iter(torch.split(drawn, counts))
        return lambda cell, older, newer: compiled(cell, older, newer, next(shares), keep)

    def compile_cells(self, images: int) -> None:
        self._compiled = CompiledCells(images, _dropping)

    def set_drop_path(self, probability: float, generator: torch.Generator | None = None, group: Group = ALONE) -> None:
        """Drop each path with this probability, in training mode; 0 draws nothing."""
        self._drop_path = (probability, generator, group)

    @property
    def drops_paths(self) -> bool:
        return self._drop_path[0] > 0

    def draw_paths(self, images: int) -> Tensor | None:
        """Draw the numbers (paths, images) by which a pass of so many drops paths; None where it drops none."""
        probability, generator, group = self._drop_path
        device = self.classifier.weight.device
        self._kept(device)  # in its place before a recorded pass reads it
        return draw_paths(self._paths, images, device, generator, group) if probability else None

    def _kept(self, device: torch.device) -> Tensor:
        return self._keep.holding(1.0 - self._drop_path[0], device, torch.float64)

    def set_noise(self, source: torch.Generator) -> None:
        """Set the generator of every `noise` operation. source: on the network's device."""
        for noise in self._noises:
            noise.generator = source

    @property
    def has_noise(self) -> bool:
        """Whether a cell has the operation `noise`."""
        return bool(self._noises)
