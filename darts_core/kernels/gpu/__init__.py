"""Kernels for GPUs in Triton, which compiles them when they are first needed; without it torch's own operations."""

from __future__ import annotations

import logging
import os
from functools import cache

from darts_core.kernels.building import SWITCH

logger = logging.getLogger(__name__)


@cache
def available() -> bool:
    """Whether Triton is there. Says once in the log if not."""
    if os.environ.get(SWITCH) == "off":
        return False
    try:
        import triton  # noqa: F401
    except ImportError as error:
        logger.warning("no GPU kernels, going on in torch's own operations: %s", error)
        return False
    return True
