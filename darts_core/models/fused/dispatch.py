"""Decides whether a search cell is computed fused, and by which backend."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from darts_core.distributed.batch_norm import group_of
from darts_core.distributed.group import ALONE, Group
from darts_core.kernels import gpu, loader
from darts_core.kernels.cpu_backend import CpuBackend
from darts_core.models.fused.backend import CellBackend
from darts_core.models.fused.branches import Setting
from darts_core.models.fused.cell import Plan, compute
from darts_core.models.fused.channels_last_backend import ChannelsLastBackend
from darts_core.models.fused.columns import Columns
from darts_core.models.fused.parameters import SourceModules, share_storage, sources_of
from darts_core.models.fused.torch_backend import TorchBackend

if TYPE_CHECKING:
    from darts_core.models.supernet import SearchCell


class FusedCell:
    """Computes one search cell fused. Its tensors stay in the cell's modules."""

    def __init__(self, primitives: Sequence[str], lists: Sequence[Collection[str]] | None = None) -> None:
        """lists: the operations of each edge, if edges lack some."""
        # Of all edges, or of each edge.
        self._columns = Columns.of(primitives)
        self._lists = None if lists is None else [Columns.of(primitives, names) for names in lists]
        columns = [self._columns] if self._lists is None else self._lists
        # An edge that has noise alone has nothing that is computed together with others.
        self._suits = all(of_edge is not None and of_edge.used for of_edge in columns)
        self._has_noise = "noise" in primitives
        # By whether the inputs are one source.
        self._sources: dict[bool, list[SourceModules]] = {}
        self._orders: dict[bool, Tensor] = {}

    def suits(self, cell: SearchCell, x: Tensor) -> bool:
        """Whether the fused computation supports the cell and its input; otherwise the plain one applies.

        Not supported: an edge whose only operation is noise; noise besides partial channels; dropout of
        skip-connections; bf16 without kernels that accumulate in float32, since the statistics are derived from sums of
        products; exports, which run on other runtimes.
        """
        if not self._suits or torch.compiler.is_exporting() or (self._has_noise and cell.partial > 1):
            return False
        if cell.dropout and cell.training:
            return False
        if torch.is_autocast_enabled(x.device.type) != (x.dtype == torch.bfloat16):
            return False
        if x.dtype == torch.bfloat16 and not gpu.serves(x):
            return False
        return x.dtype in (torch.float32, torch.float64, torch.bfloat16)

    def __call__(
        self,
        cell: SearchCell,
        older: Tensor,
        newer: Tensor,
        weights: Tensor,
        edge_weights: Tensor | None = None,
        beside: Sequence[Tensor] | None = None,
        path_factors: Tensor | None = None,
    ) -> Tensor:
        """Compute `SearchCell.forward` from the two preprocessed inputs. beside: added to each node."""
        norms = self._norms(cell)
        track = bool(norms) and norms[0].training and norms[0].track_running_stats
        group = group_of(norms[0]) if norms else ALONE
        plan = self.plan(cell, older, _backend_for(older, group), path_factors)
        return compute(plan, older, newer, weights, edge_weights, beside, track=track)

    def plan(self, cell: SearchCell, older: Tensor, backend: CellBackend, path_factors: Tensor | None = None) -> Plan:
        """Plan a pass. older: a preprocessed input, for its device. path_factors: see `Plan`."""
        norms = self._norms(cell)
        # All BatchNorms of a cell are in the same mode.
        batch, eps = (norms[0].training, norms[0].eps) if norms else (cell.training, 0.0)
        group = group_of(norms[0]) if norms else ALONE
        join_inputs = backend.joins_inputs and path_factors is None
        sources = self._modules(cell, join_inputs)
        settings = [Setting(source, source.columns, backend, batch, eps, group) for source in sources]
        order, keep = self._order_on(cell, older.device, join_inputs), torch.is_grad_enabled()
        return Plan(cell.nodes, order, settings, [], keep, cell.partial, path_factors)

    def parameters(self, cell: SearchCell) -> Iterator[Tensor]:
        """Yield the weights of the cell's edges, group by group."""
        if self._suits:
            for source in self._usual_modules(cell):
                for group in source.groups():
                    yield from (convolution.weight for convolution in group)

    def share_statistics_storage(self, cell: SearchCell) -> None:
        """Give the running statistics a common storage, to be updated as one tensor."""
        if self._suits:
            sources = self._usual_modules(cell)
            norms = [norm for source in sources for group in source.norm_groups() for norm in group]
            if norms:
                share_storage(norms)

    def _usual_modules(self, cell: SearchCell) -> list[SourceModules]:
        """The modules as most passes on this device group them."""
        return self._modules(cell, any(gpu.serves(weight) for weight in cell._ops.parameters()))

    def _modules(self, cell: SearchCell, join_inputs: bool) -> list[SourceModules]:
        if join_inputs not in self._sources:
            edges = list(cell._ops)
            columns = [self._columns] * len(edges) if self._lists is None else self._lists
            known = [of_edge for of_edge in columns if of_edge is not None]
            self._sources[join_inputs] = sources_of(
                edges, cell.nodes, known, reduction=cell.reduction, join_inputs=join_inputs
            )
        return self._sources[join_inputs]

    def _order_on(self, cell: SearchCell, device: torch.device, join_inputs: bool) -> Tensor:
        # Cached, since a transfer in every step would make the CPU wait for the GPU.
        order = self._orders.get(join_inputs)
        if order is None or order.device != device:
            places = [
                edges[state] * source.columns.count + column
                for source in self._modules(cell, join_inputs)
                for kinds in source.kinds()
                for edges in source.edges
                for state, column in kinds
            ]
            order = self._orders[join_inputs] = torch.tensor(places, device=device)
        return order

    def _norms(self, cell: SearchCell) -> list[nn.BatchNorm2d]:
        return next((group for source in self._modules(cell, False) for group in source.norm_groups()), [])


def _backend_for(x: Tensor, group: Group) -> CellBackend:
    # Tensor cores, on which Triton multiplies small matrices, have no fast float64.
    if gpu.serves(x) and x.dtype in (torch.float32, torch.bfloat16):
        from darts_core.kernels.gpu.backend import TritonBackend

        return TritonBackend(in_parts=group.size == 1)
    if x.device.type == "cpu":
        return CpuBackend() if loader.available(x.dtype) else ChannelsLastBackend()
    return TorchBackend()
