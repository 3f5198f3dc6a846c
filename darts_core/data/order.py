"""Randomness without state: each draw is a pure function of the seed and of what it is for.

So neither a loader's workers nor a run's interruptions can change the order of the data.
"""

from __future__ import annotations

import hashlib
import random

import torch
from torch import Tensor


def generator(seed: int, *purpose: str | int, device: torch.device | None = None) -> torch.Generator:
    """A generator (on the CPU unless told) whose stream depends on the seed and the purpose, and on nothing else."""
    return torch.Generator(device or "cpu").manual_seed(_mixed(seed, *purpose))


def numbers(seed: int, *purpose: str | int) -> random.Random:
    """The same for a few numbers of one image: hundred times cheaper to make than torch's."""
    return random.Random(_mixed(seed, *purpose))  # noqa: S311 - no secret is made of it


def _mixed(seed: int, *purpose: str | int) -> int:
    text = "/".join(map(str, (seed, *purpose)))
    # Hashed, because neighbouring seeds of torch's generator are no independent streams by themselves.
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big") >> 1


def permutation(count: int, seed: int, *purpose: str | int) -> Tensor:
    """A random order of 0..count-1, int64 (count,)."""
    return torch.randperm(count, generator=generator(seed, "order", *purpose))
