"""Kernels for GPUs in Triton, which compiles them when they are first needed; without it torch's own operations."""

from __future__ import annotations

import logging
import os
from functools import cache

import torch

from darts_core.kernels.build import SWITCH
from darts_core.training.stages import KERNELS, stage

logger = logging.getLogger(__name__)


@cache
def available() -> bool:
    """Whether Triton is there, and its kernels are right on this process's GPU. Says once in the log if not."""
    if os.environ.get(SWITCH) == "off":
        return False
    try:
        import triton  # noqa: F401

        if torch.cuda.is_available():
            from darts_core.kernels.gpu.trial import try_kernels

            with stage(KERNELS):
                try_kernels(torch.device("cuda", torch.cuda.current_device()))
    except Exception as error:  # whatever Triton and its compilers raise
        logger.warning(
            "no GPU kernels, going on in torch's own operations: %s", f"{type(error).__name__}: {error}"[:300]
        )
        return False
    return True
