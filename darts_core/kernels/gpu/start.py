"""Enables the GPU kernels at the start of a run."""

from __future__ import annotations

import logging
import os
from functools import cache

import torch

from darts_core.kernels import gpu
from darts_core.kernels.library import SWITCH
from darts_core.training.stages import KERNELS, stage

logger = logging.getLogger(__name__)


@cache
def enable_kernels(device: torch.device) -> None:
    """Enable the kernels if they compute correctly on this GPU, else log why not; on a CPU do nothing.

    Call it before a fused supernet runs on a GPU. The first call in a process compiles the kernels.
    """
    if device.type != "cuda" or os.environ.get(SWITCH) == "off":
        return
    try:
        from darts_core.kernels.gpu.self_test import check_kernels  # requires Triton

        with stage(KERNELS):
            check_kernels(device)
    except Exception as error:  # Triton and its compilers raise many types
        logger.warning(
            "no GPU kernels, going on in torch's own operations: %s", f"{type(error).__name__}: {error}"[:300]
        )
    else:
        gpu.enable()
