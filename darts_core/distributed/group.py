"""Process groups and their collectives.

Every process (a *rank*, counted from 0) holds the whole network and its share of each batch. Gradients of the shares
are averaged over the ranks before use, so all ranks take the same step. DistributedDataParallel's hooks do not fit:
they fire on `backward`, never on `torch.autograd.grad`, which the architect needs, and they rebuild their buckets after
the first step, so that a resumed run would add in another order. One flat buffer has one order.
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

# A fallback: the parent ends all ranks when one dies. Long enough for rank 0 to download a data set.
TIMEOUT: Final = timedelta(minutes=30)


@dataclass(frozen=True)
class Group:
    """`rank` of `size` processes. A single process is a group of one and exchanges nothing."""

    rank: int = 0
    size: int = 1
    # On the CPU, even beside NCCL: asking whether to stop must not wait for the GPU.
    _talk: dist.ProcessGroup | None = None

    @property
    def leads(self) -> bool:
        """Whether this rank decides and reports."""
        return self.rank == 0

    def mean(self, tensors: Sequence[Tensor]) -> list[Tensor]:
        """Means over all ranks, bit-identical on each, as views of one new buffer with the layout of the given tensors.

        All ranks give tensors of the same shapes, types and layouts. Several types take a buffer each.
        """
        if self.size == 1:
            return list(tensors)
        means = list(tensors)
        for dtype in sorted({tensor.dtype for tensor in tensors}, key=str):
            places = [place for place, tensor in enumerate(tensors) if tensor.dtype == dtype]
            runs = [_run(tensors[place]) for place in places]
            parts = torch.split(self.total(torch.cat(runs)).div_(self.size), [len(run) for run in runs])
            for place, part in zip(places, parts, strict=True):
                means[place] = _laid_out(part, tensors[place])
        return means

    def average_gradients(self, parameters: Sequence[Tensor]) -> None:
        """Replace every `.grad` by its mean over all ranks; all ranks must have the same ones."""
        if self.size == 1:
            return
        having = [parameter for parameter in parameters if parameter.grad is not None]
        for parameter, mean in zip(having, self.mean([p.grad for p in having if p.grad is not None]), strict=True):
            parameter.grad = mean

    def sum(self, tensor: Tensor) -> Tensor:
        """The sum over all ranks, as a new tensor; alone the tensor itself."""
        return tensor if self.size == 1 else self.total(tensor.clone())

    def total(self, tensor: Tensor) -> Tensor:
        """Overwrite a contiguous tensor by its sum over all ranks, bit-identical on each, and return it."""
        if self.size > 1:
            dist.all_reduce(tensor)
        return tensor

    def share(self, batch: Tensor) -> Tensor:
        """This rank's consecutive part of a batch along the first axis, equally large on each rank; a remainder is
        dropped.

        With equal parts the mean of the ranks' means is the mean over the batch.
        """
        each = len(batch) // self.size
        return batch[self.rank * each : (self.rank + 1) * each]

    def agree(self, answer: bool) -> bool:
        """Broadcast rank 0's answer."""
        if self.size == 1:
            return answer
        flag = torch.tensor([answer], dtype=torch.uint8)
        dist.broadcast(flag, src=0, group=self._talk)
        return bool(flag)

    def all_agree(self, answer: bool) -> bool:
        """Whether the answer is yes on every rank; a collective call."""
        if self.size == 1:
            return answer
        flag = torch.tensor([answer], dtype=torch.uint8)
        dist.all_reduce(flag, dist.ReduceOp.MIN, group=self._talk)
        return bool(flag)

    def wait(self) -> None:
        """Block until every rank has called this."""
        if self.size > 1:
            dist.barrier(group=self._talk)


ALONE: Final = Group()


def join(rank: int, size: int, store: Path, device: torch.device) -> Group:
    """Rendezvous through the file `store`, which must not exist before; blocks until all ranks have joined.

    NCCL between GPUs, gloo on CPUs; both over loopback only. Once per process.
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
    assert isinstance(talk, dist.ProcessGroup)  # torch takes this number for a process outside the group
    return Group(rank, size, talk)


def leave() -> None:
    dist.destroy_process_group()


def _run(tensor: Tensor) -> Tensor:
    """The numbers of a tensor, (numel,), in the order of its memory if it is dense; then a view."""
    tensor = tensor.detach()
    if not tensor.is_contiguous() and _dense(tensor):
        tensor = tensor.permute(0, 2, 3, 1)
    return tensor.reshape(-1)


def _laid_out(run: Tensor, like: Tensor) -> Tensor:
    """View a run of `_run` in shape and layout of the tensor that it came from."""
    if _dense(like):
        return run.as_strided(like.shape, like.stride(), run.storage_offset())
    return run.view(like.shape)


def _dense(tensor: Tensor) -> bool:
    if tensor.is_contiguous():
        return True
    return tensor.dim() == 4 and tensor.is_contiguous(memory_format=torch.channels_last)
