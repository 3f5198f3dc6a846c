"""A small evaluation network with the key names and the module structure of the DARTS authors' code.

Written from its description, apart from darts_core, as a reference to hold ours against.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from darts_core.genotypes import KNOWN

Edges = list[tuple[str, int]]


class ReLUConvBN(nn.Module):
    def __init__(self, c_in: int, c_out: int) -> None:
        super().__init__()
        self.op = nn.Sequential(nn.ReLU(), nn.Conv2d(c_in, c_out, 1, bias=False), nn.BatchNorm2d(c_out))

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.op(x)
        return y


class Reduce(nn.Module):
    def __init__(self, c_in: int, c_out: int) -> None:
        super().__init__()
        self.conv_1 = nn.Conv2d(c_in, c_out // 2, 1, stride=2, bias=False)
        self.conv_2 = nn.Conv2d(c_in, c_out // 2, 1, stride=2, bias=False)
        self.bn = nn.BatchNorm2d(c_out)

    def forward(self, x: Tensor) -> Tensor:
        x = x.relu()
        y: Tensor = self.bn(torch.cat([self.conv_1(x), self.conv_2(x[:, :, 1:, 1:])], 1))
        return y


def depthwise(c: int, kernel: int, stride: int, dilation: int = 1) -> nn.Conv2d:
    padding = dilation * (kernel - 1) // 2
    return nn.Conv2d(c, c, kernel, stride, padding, dilation=dilation, groups=c, bias=False)


def pointwise(c: int) -> nn.Conv2d:
    return nn.Conv2d(c, c, 1, bias=False)


class Layers(nn.Module):
    def __init__(self, *layers: nn.Module) -> None:
        super().__init__()
        self.op = nn.Sequential(*layers)

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.op(x)
        return y


def operation(name: str, c: int, stride: int) -> nn.Module:
    if name == "skip_connect":
        return nn.Identity() if stride == 1 else Reduce(c, c)
    if name == "max_pool_3x3":
        return nn.MaxPool2d(3, stride, 1)
    if name == "avg_pool_3x3":
        return nn.AvgPool2d(3, stride, 1, count_include_pad=False)
    if name == "conv_7x1_1x7":
        return nn.Sequential(
            nn.ReLU(),
            nn.Conv2d(c, c, (1, 7), (1, stride), (0, 3), bias=False),
            nn.Conv2d(c, c, (7, 1), (stride, 1), (3, 0), bias=False),
            nn.BatchNorm2d(c),
        )
    kind, _, size = name.rpartition("_")
    kernel = int(size[0])
    if kind == "dil_conv":
        return Layers(nn.ReLU(), depthwise(c, kernel, stride, 2), pointwise(c), nn.BatchNorm2d(c))
    first = (nn.ReLU(), depthwise(c, kernel, stride), pointwise(c), nn.BatchNorm2d(c))
    return Layers(*first, nn.ReLU(), depthwise(c, kernel, 1), pointwise(c), nn.BatchNorm2d(c))


class Cell(nn.Module):
    def __init__(
        self, edges: Edges, concat: list[int], c_pp: int, c_p: int, c: int, reduction: bool, after: bool
    ) -> None:
        super().__init__()
        self.preprocess0 = Reduce(c_pp, c) if after else ReLUConvBN(c_pp, c)
        self.preprocess1 = ReLUConvBN(c_p, c)
        self.edges, self.concat = edges, concat
        self._ops = nn.ModuleList(operation(op, c, 2 if reduction and j < 2 else 1) for op, j in edges)

    def forward(self, s0: Tensor, s1: Tensor) -> Tensor:
        states = [self.preprocess0(s0), self.preprocess1(s1)]
        for k in range(0, len(self.edges), 2):
            (_, a), (_, b) = self.edges[k : k + 2]
            states.append(self._ops[k](states[a]) + self._ops[k + 1](states[b]))
        return torch.cat([states[i] for i in self.concat], 1)


class Auxiliary(nn.Module):
    def __init__(self, c: int, classes: int, imagenet: bool) -> None:
        super().__init__()
        self.features = nn.Sequential(
            nn.ReLU(),
            nn.AvgPool2d(5, stride=2 if imagenet else 3, padding=0, count_include_pad=False),
            nn.Conv2d(c, 128, 1, bias=False),
            nn.BatchNorm2d(128),
            nn.ReLU(),
            nn.Conv2d(128, 768, 2, bias=False),
            *([] if imagenet else [nn.BatchNorm2d(768)]),
            nn.ReLU(),
        )
        self.classifier = nn.Linear(768, classes)

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.classifier(self.features(x).flatten(1))
        return y


class AuthorsNetwork(nn.Module):
    """In training mode (logits, auxiliary logits), else logits."""

    def __init__(
        self,
        normal: Edges,
        normal_concat: list[int],
        reduce: Edges,
        reduce_concat: list[int],
        *,
        c: int,
        layers: int,
        classes: int,
        imagenet: bool = False,
        auxiliary: bool = True,
    ) -> None:
        super().__init__()
        self.imagenet, self.at = imagenet, 2 * layers // 3
        if imagenet:
            self.stem0 = nn.Sequential(
                nn.Conv2d(3, c // 2, 3, 2, 1, bias=False),
                nn.BatchNorm2d(c // 2),
                nn.ReLU(),
                nn.Conv2d(c // 2, c, 3, 2, 1, bias=False),
                nn.BatchNorm2d(c),
            )
            self.stem1 = nn.Sequential(nn.ReLU(), nn.Conv2d(c, c, 3, 2, 1, bias=False), nn.BatchNorm2d(c))
            c_pp = c_p = c
        else:
            self.stem = nn.Sequential(nn.Conv2d(3, 3 * c, 3, padding=1, bias=False), nn.BatchNorm2d(3 * c))
            c_pp = c_p = 3 * c
        self.cells = nn.ModuleList()
        after = imagenet
        for i in range(layers):
            reduction = i in (layers // 3, 2 * layers // 3)
            c = 2 * c if reduction else c
            edges, concat = (reduce, reduce_concat) if reduction else (normal, normal_concat)
            self.cells.append(Cell(edges, concat, c_pp, c_p, c, reduction, after))
            c_pp, c_p, after = c_p, len(concat) * c, reduction
            if i == self.at and auxiliary:
                self.auxiliary_head = Auxiliary(c_p, classes, imagenet)
        self.classifier = nn.Linear(c_p, classes)

    def forward(self, x: Tensor) -> Tensor | tuple[Tensor, Tensor]:
        if self.imagenet:
            s0 = self.stem0(x)
            s1 = self.stem1(s0)
        else:
            s0 = s1 = self.stem(x)
        aside = None
        for i, cell in enumerate(self.cells):
            s0, s1 = s1, cell(s0, s1)
            if i == self.at and self.training:
                aside = self.auxiliary_head(s1)
        logits = self.classifier(s1.mean((2, 3)))
        return logits if aside is None else (logits, aside)


def authors_state(name: str = "DARTS_V2") -> dict[str, Tensor]:
    """The weights of a small network of theirs, with ten classes."""
    genotype = KNOWN[name]
    network = AuthorsNetwork(
        [(edge.op, edge.source) for edge in genotype.normal],
        list(genotype.normal_concat),
        [(edge.op, edge.source) for edge in genotype.reduce],
        list(genotype.reduce_concat),
        c=2,
        layers=3,
        classes=10,
    )
    return network.state_dict()
