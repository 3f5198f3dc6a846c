"""Computes the keys and shapes of an evaluation network's `state_dict`. Imports no torch.

Mirrors darts_core/models/evaluation_network.py; tests check keys, shapes and order.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from darts_core.errors import GenotypeError
from darts_core.files.state_dicts import Sizes
from darts_core.genotypes import BuiltCell, Genotype
from darts_core.models.layout import AUXILIARY_CHANNELS, STEM_MULTIPLIER, Stem, auxiliary_layer, reduction_layers
from darts_core.operation_plugins import added_operations

Shapes = dict[str, tuple[int, ...]]
_Entries = Iterator[tuple[str, tuple[int, ...]]]

COUNTER: Final = "num_batches_tracked"


def evaluation_shapes(genotype: Genotype, sizes: Sizes) -> Shapes:
    """Every key of the genotype's network of these sizes, with its shape.

    Raises GenotypeError for an operation that an installed package adds: only its module knows its keys.
    """
    if added := {edge.op for edge in (*genotype.normal, *genotype.reduce)} & {*added_operations()}:
        raise GenotypeError(f"the parameters of {', '.join(sorted(added))} are known to its package alone")
    return dict(_network(genotype, sizes))


def _network(genotype: Genotype, sizes: Sizes) -> _Entries:
    yield from _stem(sizes)
    imagenet = sizes.stem == "imagenet"
    channels = sizes.channels
    older = newer = channels if imagenet else STEM_MULTIPLIER * channels
    after_reduction, auxiliary_inputs = imagenet, None
    reductions = reduction_layers(sizes.layers, sizes.reductions)
    for layer in range(sizes.layers):
        reduction = layer in reductions
        if reduction:
            channels *= 2
        cell = genotype.built("reduce" if reduction else "normal")
        inputs = _factorized(older, channels) if after_reduction else _pointwise_norm(older, channels)
        yield from _under(f"cells.{layer}.preprocess0", inputs)
        yield from _under(f"cells.{layer}.preprocess1", _pointwise_norm(newer, channels))
        yield from _under(f"cells.{layer}._ops", _operations(cell, channels, reduction))
        older, newer, after_reduction = newer, len(cell.concat) * channels, reduction
        if layer == auxiliary_layer(sizes.layers, sizes.reductions):
            auxiliary_inputs = newer
    if sizes.auxiliary and auxiliary_inputs is not None:
        yield from _under("auxiliary_head", _auxiliary(auxiliary_inputs, sizes.classes, sizes.stem))
    yield from _under("classifier", _linear(newer, sizes.classes))


def _under(prefix: str, entries: _Entries) -> _Entries:
    for name, shape in entries:
        yield f"{prefix}.{name}", shape


def _stem(sizes: Sizes) -> _Entries:
    images, channels = sizes.image_channels, sizes.channels
    if sizes.stem != "imagenet":
        yield "stem.0.weight", (STEM_MULTIPLIER * channels, images, 3, 3)
        yield from _under("stem.1", _norm(STEM_MULTIPLIER * channels))
        return
    half = channels // 2
    yield "stem0.0.weight", (half, images, 3, 3)
    yield from _under("stem0.1", _norm(half))
    yield "stem0.3.weight", (channels, half, 3, 3)
    yield from _under("stem0.4", _norm(channels))
    yield "stem1.1.weight", (channels, channels, 3, 3)
    yield from _under("stem1.2", _norm(channels))


def _operations(cell: BuiltCell, channels: int, reduction: bool) -> _Entries:
    for place, (name, source) in enumerate(edge for node in cell.nodes for edge in node):
        stride = 2 if reduction and source < 2 else 1
        yield from _under(str(place), _operation(name, channels, stride))


def _operation(name: str, channels: int, stride: int) -> _Entries:
    kind, _, size = name.rpartition("_")
    if kind == "skip" and stride == 2:
        yield from _factorized(channels, channels)
    elif name == "conv_7x1_1x7":
        yield "1.weight", (channels, channels, 1, 7)
        yield "2.weight", (channels, channels, 7, 1)
        yield from _under("3", _norm(channels))
    elif kind in ("sep_conv", "dil_conv"):
        kernel = int(size[0])
        for first in (1, 5) if kind == "sep_conv" else (1,):
            # The second depthwise of a separable convolution follows its ReLU, module 4.
            yield f"op.{first}.weight", (channels, 1, kernel, kernel)
            yield f"op.{first + 1}.weight", (channels, channels, 1, 1)
            yield from _under(f"op.{first + 2}", _norm(channels))


def _pointwise_norm(inputs: int, outputs: int) -> _Entries:
    yield "op.1.weight", (outputs, inputs, 1, 1)
    yield from _under("op.2", _norm(outputs))


def _factorized(inputs: int, outputs: int) -> _Entries:
    yield "conv_1.weight", (outputs // 2, inputs, 1, 1)
    yield "conv_2.weight", (outputs // 2, inputs, 1, 1)
    yield from _under("bn", _norm(outputs))


def _auxiliary(inputs: int, classes: int, stem: Stem) -> _Entries:
    narrow, wide = AUXILIARY_CHANNELS
    yield "features.2.weight", (narrow, inputs, 1, 1)
    yield from _under("features.3", _norm(narrow))
    yield "features.5.weight", (wide, narrow, 2, 2)
    if stem != "imagenet":
        yield from _under("features.6", _norm(wide))
    yield from _under("classifier", _linear(wide, classes))


def _norm(channels: int) -> _Entries:
    for name in ("weight", "bias", "running_mean", "running_var"):
        yield name, (channels,)
    yield COUNTER, ()


def _linear(inputs: int, outputs: int) -> _Entries:
    yield "weight", (outputs, inputs)
    yield "bias", (outputs,)
