"""BatchNorm over several ranks: whole-batch statistics on GPUs, averaged running statistics on CPUs."""

from __future__ import annotations

import torch
from torch import nn

from darts_core.distributed.group import Group


def synchronise(network: nn.Module, group: Group, device: torch.device) -> None:
    """On GPUs, convert every BatchNorm to SyncBatchNorm; keys of the `state_dict` stay the same. CPUs have no
    counterpart.
    """
    if group.size > 1 and device.type == "cuda":
        nn.SyncBatchNorm.convert_sync_batchnorm(network)  # type: ignore[no-untyped-call]


@torch.no_grad()
def average_statistics(network: nn.Module, group: Group) -> None:
    """Average the running statistics over all ranks.

    Called after every step, so that the ranks' networks are equal between steps.
    """
    if group.size == 1:
        return
    statistics = [
        buffer
        for module in network.modules()
        if isinstance(module, nn.BatchNorm2d)  # not SyncBatchNorm, whose statistics are equal already
        for buffer in module.buffers(recurse=False)
        if buffer.is_floating_point()
    ]
    for buffer, mean in zip(statistics, group.mean(statistics), strict=True):
        buffer.copy_(mean)
