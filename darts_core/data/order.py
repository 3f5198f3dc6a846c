"""Stateless randomness: each draw is a pure function of the seed and its purpose.

Neither loader threads nor interruptions of a run can change the order of the data.
"""

from __future__ import annotations

import hashlib
import random

import torch
from torch import Tensor


def generator(seed: int, *purpose: str | int, device: torch.device | None = None) -> torch.Generator:
    """A generator, on the CPU by default, whose stream depends only on the seed and the purpose."""
    return torch.Generator(device or "cpu").manual_seed(_mixed(seed, *purpose))


def numbers(seed: int, *purpose: str | int) -> random.Random:
    """numpy's counterpart for a few numbers per image: creating it is a hundred times cheaper."""
    return random.Random(_mixed(seed, *purpose))  # noqa: S311 - no secret is made of it


def _mixed(seed: int, *purpose: str | int) -> int:
    text = "/".join(map(str, (seed, *purpose)))
    # Hashed: torch's streams for neighbouring seeds are not independent.
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big") >> 1


def permutation(count: int, seed: int, *purpose: str | int) -> Tensor:
    """A random permutation of 0..count-1, int64 (count,)."""
    return torch.randperm(count, generator=generator(seed, "order", *purpose))
