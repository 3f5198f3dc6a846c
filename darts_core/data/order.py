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
    return torch.Generator(device or "cpu").manual_seed(seed_of(seed, *purpose))


def seed_of(seed: int, *purpose: str | int) -> int:
    """The seed of a stream that depends only on the run's seed and the purpose.

    For the few numbers that an image needs, `numbers` is a hundred times cheaper to create than a generator.
    """
    text = "/".join(map(str, (seed, *purpose)))
    # Hashed: torch's streams for neighbouring seeds are not independent.
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big") >> 1


def numbers(seed: int, *purpose: str | int) -> random.Random:
    """Python's counterpart of `generator`, for a few numbers."""
    return random.Random(seed_of(seed, *purpose))  # noqa: S311 - no secret is made of it


def permutation(count: int, seed: int, *purpose: str | int) -> Tensor:
    """A random permutation of 0..count-1, int64 (count,)."""
    return torch.randperm(count, generator=generator(seed, "order", *purpose))
