"""Widens the operations of a supernet whose K falls: Net2Wider (arXiv:1511.05641), as in DrNAS (arXiv:2006.10355).

A wider operation has the channels of the narrow one, and behind them copies of channels that are chosen uniformly at
random. As in the authors' code, each convolution chooses its inputs for itself and nothing is divided by the number of
copies, so that the wider network computes another function.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

import torch
from torch import Tensor, nn

from darts_core.models.alpha_network import AlphaNetwork
from darts_core.models.operations import FactorizedReduce


class Sources(NamedTuple):
    """For the first two dimensions of a tensor the indices that it is copied from; None: unchanged."""

    outputs: Tensor | None
    inputs: Tensor | None = None

    def widened(self, narrow: Tensor) -> Tensor:
        """The wide tensor."""
        wide = narrow if self.outputs is None else narrow.index_select(0, self.outputs.to(narrow.device))
        return wide if self.inputs is None else wide.index_select(1, self.inputs.to(narrow.device))


def widening_of(narrow: AlphaNetwork, wide: AlphaNetwork, generator: torch.Generator) -> dict[str, Sources]:
    """The sources of the wide network's parameters and buffers that differ in size from the narrow one's, by name.

    narrow, wide: with the same cells; the edges of `wide` have all or some of the operations of `narrow`.
    """
    before = dict(narrow.named_modules())
    found: dict[str, Sources] = {}
    halves: dict[str, list[Tensor]] = {}
    last: Tensor | None = None
    for name, module in wide.named_modules():
        if isinstance(module, nn.Conv2d):
            old = before[name]
            assert isinstance(old, nn.Conv2d)
            outputs = _indices(old.weight.shape[0], module.weight.shape[0], generator)
            inputs = _indices(old.weight.shape[1], module.weight.shape[1], generator)
            last = outputs
            found[f"{name}.weight"] = Sources(outputs, inputs)
            parent = name.rpartition(".")[0]
            if outputs is not None and isinstance(before.get(parent), FactorizedReduce):
                halves.setdefault(parent, []).append(outputs)
        elif isinstance(module, nn.BatchNorm2d):
            old = before[name]
            assert isinstance(old, nn.BatchNorm2d)
            parent = name.rpartition(".")[0]
            if old.num_features == module.num_features:
                continue
            if parent in halves:
                first, second = halves[parent]
                outputs = torch.cat([first, second + old.num_features // 2])
            elif last is not None and len(last) == module.num_features and _follows_convolution(before, name):
                outputs = last
            else:
                outputs = _indices(old.num_features, module.num_features, generator)
            found |= {f"{name}.{buffer}": Sources(outputs) for buffer in ("running_mean", "running_var")}
    return {name: sources for name, sources in found.items() if sources != Sources(None)}


def widened(narrow: Mapping[str, Tensor], names: list[str], sources: Mapping[str, Sources]) -> dict[str, Tensor]:
    """The tensors of these names of the wide network, from those of the narrow one."""
    return {name: sources[name].widened(narrow[name]) if name in sources else narrow[name] for name in names}


def _follows_convolution(modules: Mapping[str, nn.Module], name: str) -> bool:
    """Whether the module before this BatchNorm, in the same sequence, is a convolution."""
    parent, _, number = name.rpartition(".")
    return number.isdigit() and int(number) > 0 and isinstance(modules.get(f"{parent}.{int(number) - 1}"), nn.Conv2d)


def _indices(narrow: int, wide: int, generator: torch.Generator) -> Tensor | None:
    """All channels, then copies of channels drawn uniformly; None for the same number."""
    if narrow == wide:
        return None
    return torch.cat([torch.arange(narrow), torch.randint(narrow, (wide - narrow,), generator=generator)])
