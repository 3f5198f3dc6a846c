"""Enables the kernels of recurrent cells at the start of a search, if they compute its cell correctly."""

from __future__ import annotations

import logging
import os
from typing import TYPE_CHECKING

import torch

from darts_core.configs import RnnSearchConfig
from darts_core.kernels import gpu
from darts_core.kernels.gpu import recurrent
from darts_core.kernels.library import SWITCH
from darts_core.training.stages import KERNELS, stage

if TYPE_CHECKING:
    from darts_core.kernels.gpu.recurrent.self_test import CellShape

logger = logging.getLogger(__name__)

# What a process found right stays right. What failed is tried again by the next run: the cause may be gone.
_passed: set[object] = set()


def enable_recurrent_kernels(config: RnnSearchConfig, device: torch.device) -> None:
    """Enable the kernels if they compute the cell of a resolved spec's search correctly on this GPU, else log why not.

    The first run of a shape compiles the kernels.
    """
    recurrent.disable()
    if not wants_recurrent_kernels(config, device):
        return
    try:
        from darts_core.kernels.gpu.recurrent.self_test import check_recurrent_kernels  # requires Triton

        shape = cell_of(config)
        if (device, shape) not in _passed:
            with stage(KERNELS):
                check_recurrent_kernels(device, shape)
            _passed.add((device, shape))
    except Exception as error:  # Triton and its compilers raise many types
        recurrent.disable(f"the GPU kernels failed their self-test: {gpu.cause(error)}")
        logger.warning("%s; torch's own operations compute", recurrent.failure())
    else:
        recurrent.enable(shape.batches, shape.size)


def wants_recurrent_kernels(config: RnnSearchConfig, device: torch.device) -> bool:
    """Whether the kernels can compute the steps of a search on this device, and they are not switched off."""
    if device.type != "cuda" or os.environ.get(SWITCH) == "off":
        return False
    return config.batch_size <= recurrent.MOST_COLUMNS


def cell_of(config: RnnSearchConfig) -> CellShape:
    """The cell of a search, and the columns that it computes at once."""
    from darts_core.kernels.gpu.recurrent.self_test import CellShape

    batches = dict.fromkeys((config.batch_size, config.validation_batch_size))
    return CellShape(tuple(config.primitives or ()), config.hidden_size, config.nodes, tuple(batches))
