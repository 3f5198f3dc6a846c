"""Files to upload as checkpoints."""

from __future__ import annotations

import io
from typing import Any

import torch

from darts_core.genotypes import KNOWN, to_json


def saved(value: Any, *, old: bool = False) -> bytes:
    buffer = io.BytesIO()
    torch.save(value, buffer, _use_new_zipfile_serialization=not old)
    return buffer.getvalue()


def ours(**changes: Any) -> bytes:
    """A checkpoint as far as the service looks at it; different in each test, since equal files are one."""
    checkpoint = {
        "format": "dartboard",
        "version": 1,
        "kind": "evaluation",
        "epoch": 1,
        "weights": {"stem.weight": torch.randn(3, 2), "count": torch.tensor(7)},
        "genotype": to_json(KNOWN["DARTS_V2"]),
        "spec": {"dataset": "digits"},
        "classes": [str(i) for i in range(10)],
        **changes,
    }
    return saved(checkpoint)
