"""Enables the GPU kernels at the start of a run, if they compute its cells correctly."""

from __future__ import annotations

import logging
import os
from dataclasses import replace
from itertools import chain
from typing import TYPE_CHECKING

import torch

from darts_core.configs import SearchConfig
from darts_core.configs.stages import Stage, stages_of
from darts_core.kernels import gpu
from darts_core.kernels.library import SWITCH
from darts_core.models.layout import HALVINGS, Stem, reduction_layers
from darts_core.spaces.nasbench201 import NAME as NASBENCH201
from darts_core.training.precision import precision_of, uses_tf32
from darts_core.training.stages import KERNELS, stage

if TYPE_CHECKING:
    from darts_core.kernels.gpu.self_test import CellShape, Precision

logger = logging.getLogger(__name__)

# What a process found right stays right. What failed is tried again by the next run: the cause may be gone.
_passed: set[object] = set()


def enable_kernels(config: SearchConfig, device: torch.device, *, stem: Stem, size: tuple[int, int]) -> None:
    """Enable the kernels if they compute the cells of a resolved spec's search correctly on this GPU, else log why not.

    size: height and width of the images. The first run of its shapes compiles the kernels.
    """
    gpu.disable()
    if not wants_kernels(config, device):
        return
    try:
        from darts_core.kernels.gpu.self_test import check_kernels  # requires Triton

        cells, precisions = cells_of(config, stem=stem, size=size), precisions_of(config, device)
        key = device, cells, precisions
        if key not in _passed:
            with stage(KERNELS):
                check_kernels(device, cells, precisions)
            _passed.add(key)
    except Exception as error:  # Triton and its compilers raise many types
        gpu.disable(f"the GPU kernels failed their self-test: {gpu.cause(error)}")
        logger.warning("%s; torch's own operations compute", gpu.failure())
    else:
        gpu.enable()


def wants_kernels(config: SearchConfig, device: torch.device) -> bool:
    """Whether a search has fused cells that the kernels can compute on this device, and they are not switched off."""
    if device.type != "cuda" or os.environ.get(SWITCH) == "off":
        return False
    return config.fused and config.space != NASBENCH201 and config.precision != "float64"


def cells_of(config: SearchConfig, *, stem: Stem, size: tuple[int, int]) -> tuple[CellShape, ...]:
    """The different cells of the networks of all stages of a search."""
    of_stages = (_of_stage(config, each, stem, size) for each in stages_of(dict(config)))
    return tuple(dict.fromkeys(chain.from_iterable(of_stages)))


def _of_stage(config: SearchConfig, of: Stage, stem: Stem, size: tuple[int, int]) -> list[CellShape]:
    from darts_core.kernels.gpu.self_test import CellShape

    height, width = (_halved(side, HALVINGS[stem]) for side in size)
    reductions = reduction_layers(of.layers, config.reductions)
    primitives = tuple(config.primitives or ())
    shape = CellShape(primitives, config.nodes, config.channels, height, width, reduction=False, partial=of.partial)
    found = []
    for layer in range(of.layers):
        reduction = layer in reductions
        lists = config.lists.get("reduce" if reduction else "normal")
        channels = shape.channels * (2 if reduction else 1)
        shape = replace(
            shape,
            channels=channels,
            reduction=reduction,
            lists=None if lists is None else tuple(tuple(names) for names in lists),
        )
        found.append(shape)
        if reduction:
            shape = replace(shape, height=_halved(shape.height, 1), width=_halved(shape.width, 1))
    return found


def precisions_of(config: SearchConfig, device: torch.device) -> tuple[Precision, ...]:
    """The precisions in which the steps of a search compute; the second order has float32 alone for the alphas."""
    from darts_core.kernels.gpu.self_test import FLOAT32, Precision

    dtype = torch.bfloat16 if precision_of(config, device) == "bf16" else torch.float32
    own = Precision(dtype, uses_tf32(config, device))
    return tuple(dict.fromkeys([own, FLOAT32] if config.order == 2 else [own]))


def _halved(side: int, times: int) -> int:
    for _ in range(times):
        side = -(-side // 2)
    return side
