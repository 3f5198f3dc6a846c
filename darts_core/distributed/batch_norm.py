"""BatchNorm over several ranks: the statistics of the whole batch on GPUs, averaged running statistics on CPUs."""

from __future__ import annotations

import torch
from torch import nn

from darts_core.distributed.group import Group


def synchronise(network: nn.Module, group: Group, device: torch.device) -> None:
    """On GPUs make every BatchNorm see the whole batch; changes no key of the `state_dict`. Elsewhere torch cannot."""
    if group.size > 1 and device.type == "cuda":
        nn.SyncBatchNorm.convert_sync_batchnorm(network)  # type: ignore[no-untyped-call]


@torch.no_grad()
def average_statistics(network: nn.Module, group: Group) -> None:
    """Let the running statistics of each rank's own images become the mean of all ranks'.

    Called after every step, so that the ranks' networks are equal between steps.
    """
    if group.size == 1:
        return
    statistics = [
        buffer
        for module in network.modules()
        if isinstance(module, nn.BatchNorm2d)  # SyncBatchNorm is none: its statistics are equal already
        for buffer in module.buffers(recurse=False)
        if buffer.is_floating_point()
    ]
    for buffer, mean in zip(statistics, group.mean(statistics), strict=True):
        buffer.copy_(mean)
