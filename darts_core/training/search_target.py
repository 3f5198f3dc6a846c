"""Builds a search's `target` for the network that its data set's evaluation preset trains."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

import torch

from darts_core.configs import SearchConfig
from darts_core.configs.nasbench201 import STEM
from darts_core.configs.target import CostName
from darts_core.data.catalogue import preset_of
from darts_core.data.images import ImageData
from darts_core.methods.target import Target
from darts_core.models.alpha_network import AlphaNetwork
from darts_core.models.layout import stem_for
from darts_core.presets.cnn import EVALUATION_PRESETS, preset_values
from darts_core.profile.latency import latency_costs
from darts_core.profile.operation_costs import OperationCosts, counted_costs
from darts_core.profile.shapes import Shape
from darts_core.spaces import SPACES
from darts_core.spaces.nasbench201 import NAME as NASBENCH201


def target_of(
    config: SearchConfig, source: ImageData, device: torch.device, held: Mapping[str, Any] | None = None
) -> Target | None:
    """The target of a resolved spec; None without one. held: `target_state` of the run that this one resumes, whose
    measured costs it keeps.
    """
    if config.target is None:
        return None
    assert config.primitives is not None
    primitives = tuple(config.primitives)
    costs: dict[CostName, OperationCosts] = {}
    for name in config.target:
        if held is not None:
            costs[name] = OperationCosts(**held[name])
        elif name == "latency_ms":
            costs[name] = latency_costs(primitives, config.nodes, _shape(config, source), device, config.space)
        else:
            costs[name] = counted_costs(name, primitives, config.nodes, _shape(config, source), config.space)
    return Target(config.target, costs, primitives)


def target_state(target: Target) -> dict[str, Any]:
    """The costs by name, as a checkpoint keeps them."""
    return {name: asdict(cost) for name, cost in target.costs.items()}


@torch.no_grad()
def expected_costs(network: AlphaNetwork) -> dict[str, float]:
    """Metrics of an epoch: the expected cost of the discrete network by each cost of the supernet's target."""
    if network.target is None:
        return {}
    weights = network.method.expected_weights(network.alphas)
    return {f"expected_{name}": float(network.target.expected(name, weights)) for name in network.target.costs}


def _shape(config: SearchConfig, source: ImageData) -> Shape:
    values = preset_values(EVALUATION_PRESETS, preset_of(config.dataset, EVALUATION_PRESETS))
    height, width = source.size
    stem = stem_for(min(height, width))
    if config.space == NASBENCH201:
        values, stem = {**values, **SPACES[NASBENCH201].fields}, STEM
    return Shape(
        values["channels"],
        values["layers"],
        len(source.classes),
        height,
        source.channels,
        stem=stem,
        width=width,
        edge_skips=config.edge_skips,
    )
