"""Decides, and logs, how a search computes its cells: fused or operation by operation, in a CUDA graph or not."""

from __future__ import annotations

import logging
from dataclasses import dataclass

import torch

from darts_core.configs import SearchConfig
from darts_core.configs.stages import stages_of
from darts_core.distributed.group import Group
from darts_core.kernels import gpu
from darts_core.methods.registry import IMPLEMENTATIONS
from darts_core.models.fused.columns import Columns
from darts_core.spaces.nasbench201 import NAME as NASBENCH201
from darts_core.training.precision import precision_of

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Arrangement:
    """How a search computes its cells.

    fused: whether the network has fused cells; one whose operations they lack computes its operations one by one all
    the same. not_fused: why operations are computed one by one, None if they are not. no_graph: why a GPU launches the
    step kernel by kernel, None if a CUDA graph does.
    """

    fused: bool
    not_fused: str | None
    no_graph: str | None

    def log(self, device: torch.device) -> None:
        """Write it to the job's log."""
        graph = ""
        if device.type == "cuda":
            graph = ", in a CUDA graph" if self.no_graph is None else f", without a CUDA graph: {self.no_graph}"
        if self.not_fused is None:
            logger.info("computes cells fused%s", graph)
        else:
            logger.info("computes operations one by one: %s", self.not_fused)


def arrangement_of(config: SearchConfig, device: torch.device, group: Group) -> Arrangement:
    """The arrangement of a resolved spec's search on this device."""
    plain = _not_fused(config, device, group)
    return Arrangement(plain is None, plain or _lacking(config), _no_graph(config))


def fuses_skips(config: SearchConfig) -> bool:
    """Whether fused cells compute the skip-connections that the spec's edges have besides their operations, if any."""
    has_skip = all("skip_connect" in names for rows in config.lists.values() for names in rows)
    return not config.edge_skips or (has_skip and all(stage.partial == 1 for stage in stages_of(dict(config))))


def _not_fused(config: SearchConfig, device: torch.device, group: Group) -> str | None:
    on_gpu = device.type == "cuda"
    if not config.fused:
        return "the spec has fused: false"
    if config.space == NASBENCH201 and not on_gpu:
        return f"cells of space {NASBENCH201!r} have no fused arrangement"
    method = IMPLEMENTATIONS[config.method]
    if method.samples_one and (method.draws_on_host or not on_gpu):
        return f"{config.method} samples one operation an edge, and computes no other"
    if any(stage.skip_dropout for stage in stages_of(dict(config))):
        return "skip-connections have dropout"
    if not fuses_skips(config):
        return "the fused cell lacks skip-connections besides partial channels or edges without skip_connect"
    # In bf16, statistics out of products of maps want kernels that sum up in more than that. Ranks decide alike, since
    # they exchange the sums of the same maps.
    if precision_of(config, device) == "bf16" and not (on_gpu and group.all_agree(gpu.available())):
        return "fused cells need GPU kernels for bf16"
    return None


def _lacking(config: SearchConfig) -> str | None:
    lacking = [name for name in config.primitives or () if Columns.of([name]) is None]
    return f"the fused cell lacks {', '.join(lacking)}" if lacking else None


def _no_graph(config: SearchConfig) -> str | None:
    if not config.cuda_graph:
        return "the spec has cuda_graph: false"
    if IMPLEMENTATIONS[config.method].draws:
        return f"{config.method} draws random numbers in each step"
    if "noise" in (config.primitives or ()):
        return "noise is drawn in each step"
    return None
