"""Builds the network of a resolved spec."""

from __future__ import annotations

from darts_core.configs import EvaluationConfig, SearchConfig
from darts_core.genotypes import NasBench201Genotype
from darts_core.methods.method import SearchMethod
from darts_core.methods.registry import method_of
from darts_core.models.alpha_network import AlphaNetwork
from darts_core.models.evaluation_network import EvaluationNetwork
from darts_core.models.layout import Stem
from darts_core.models.nasbench201_network import NasBench201Network
from darts_core.models.nasbench201_supernet import NasBench201SearchNetwork
from darts_core.models.retrained import RetrainedNetwork
from darts_core.models.supernet import SearchNetwork
from darts_core.spaces.nasbench201 import NAME as NASBENCH201


def build_supernet(
    config: SearchConfig,
    *,
    classes: int,
    image_channels: int,
    stem: Stem,
    fused: bool,
    method: SearchMethod | None = None,
) -> AlphaNetwork:
    """The supernet with new weights and alphas, drawn by torch's global generator.

    fused: with fused cells, where the space has them. method: by default a new one of the spec, in its first stage.
    """
    method = method or method_of(config)
    assert config.primitives is not None  # a resolved spec names them
    if config.space == NASBENCH201:
        return NasBench201SearchNetwork(
            config.primitives,
            channels=config.channels,
            layers=config.layers,
            classes=classes,
            image_channels=image_channels,
            method=method,
        )
    return SearchNetwork(
        config.primitives,
        channels=config.channels,
        layers=method.stage.layers,
        reductions=config.reductions,
        nodes=config.nodes,
        classes=classes,
        image_channels=image_channels,
        stem=stem,
        fused=fused,
        method=method,
        edge_skips=config.edge_skips,
        outputs=config.outputs,
    )


def build_evaluation_network(
    config: EvaluationConfig, *, classes: int, image_channels: int, stem: Stem
) -> RetrainedNetwork:
    """The network of the spec's genotype with new weights, drawn by torch's global generator."""
    cell = config.cell()
    if isinstance(cell, NasBench201Genotype):
        return NasBench201Network(
            cell, channels=config.channels, layers=config.layers, classes=classes, image_channels=image_channels
        )
    return EvaluationNetwork(
        cell,
        channels=config.channels,
        layers=config.layers,
        reductions=config.reductions,
        classes=classes,
        auxiliary=config.auxiliary,
        image_channels=image_channels,
        stem=stem,
        edge_skips=config.edge_skips,
    )
