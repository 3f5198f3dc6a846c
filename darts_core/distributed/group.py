"""The processes of one run, and what they exchange.

Every process (a *rank*, counted from 0) holds the whole network and its share of each batch. What autograd gives on a
share is averaged over the ranks before anything is done with it, so all ranks take the same step. The means are taken
here rather than by DistributedDataParallel's hooks: these fire on `backward` alone, never on `torch.autograd.grad`,
which the architect needs, and they lay out their buckets anew after the first step, so that a resumed run would add in
another order. One flat buffer has one order.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Final

import torch
import torch.distributed as dist
from torch import Tensor

# A backstop: the parent ends all ranks as soon as one of them dies. Long enough for rank 0 to download a data set.
TIMEOUT: Final = timedelta(minutes=30)


@dataclass(frozen=True)
class Group:
    """`rank` of `size` processes. A process that runs alone is a group of one and exchanges nothing."""

    rank: int = 0
    size: int = 1
    # Of the CPU, also beside NCCL: asking whether to stop must not wait for the GPU.
    _talk: dist.ProcessGroup | None = None

    @property
    def leads(self) -> bool:
        """Whether this is the rank that decides and reports."""
        return self.rank == 0

    def mean(self, tensors: Sequence[Tensor]) -> list[Tensor]:
        """The means over all ranks, equal bit for bit on all of them, in new tensors laid out like the given ones."""
        if self.size == 1:
            return list(tensors)
        result = [torch.empty_like(tensor) for tensor in tensors]
        for dtype in sorted({tensor.dtype for tensor in tensors}, key=str):
            mine = [(tensor, out) for tensor, out in zip(tensors, result, strict=True) if tensor.dtype == dtype]
            flat = torch.cat([tensor.detach().reshape(-1) for tensor, _ in mine])
            dist.all_reduce(flat)
            flat /= self.size
            parts = torch.split(flat, [tensor.numel() for tensor, _ in mine])
            for (_, out), part in zip(mine, parts, strict=True):
                out.copy_(part.view(out.shape))
        return result

    def average_gradients(self, parameters: Sequence[Tensor]) -> None:
        """Put the mean of every `.grad` over all ranks in its place; all ranks must have the same ones."""
        if self.size == 1:
            return
        having = [parameter for parameter in parameters if parameter.grad is not None]
        for parameter, mean in zip(having, self.mean([p.grad for p in having if p.grad is not None]), strict=True):
            parameter.grad = mean

    def sum(self, tensor: Tensor) -> Tensor:
        """The sum over all ranks."""
        if self.size == 1:
            return tensor
        total = tensor.clone()
        dist.all_reduce(total)
        return total

    def share(self, batch: Tensor) -> Tensor:
        """This rank's part of a batch: neighbours along the first axis, as many on each rank; a remainder is left out.

        Equal parts make the mean of the ranks' means the mean over the batch.
        """
        each = len(batch) // self.size
        return batch[self.rank * each : (self.rank + 1) * each]

    def agree(self, answer: bool) -> bool:
        """What rank 0 answers, on every rank."""
        if self.size == 1:
            return answer
        flag = torch.tensor([answer], dtype=torch.uint8)
        dist.broadcast(flag, src=0, group=self._talk)
        return bool(flag)

    def wait(self) -> None:
        """Until every rank has come here."""
        if self.size > 1:
            dist.barrier(group=self._talk)


ALONE: Final = Group()


def join(rank: int, size: int, store: Path, device: torch.device) -> Group:
    """Meet the other ranks by the file `store`, which must not exist before; blocks until all are there.

    NCCL between GPUs, gloo on CPUs; both over this machine's loopback alone. Once a process.
    """
    for library in ("GLOO", "NCCL"):
        os.environ.setdefault(f"{library}_SOCKET_IFNAME", "lo")
    if device.type == "cuda":
        torch.cuda.set_device(device)
    dist.init_process_group(
        "nccl" if device.type == "cuda" else "gloo",
        init_method=f"file://{store.absolute()}",
        rank=rank,
        world_size=size,
        timeout=TIMEOUT,
    )
    talk = dist.new_group(backend="gloo", timeout=TIMEOUT)
    assert isinstance(talk, dist.ProcessGroup)  # the number would say that this process is no member
    return Group(rank, size, talk)


def leave() -> None:
    """Say goodbye to the other ranks."""
    dist.destroy_process_group()
