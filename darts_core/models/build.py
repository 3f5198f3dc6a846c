"""Builds the supernet of a resolved search spec."""

from __future__ import annotations

from darts_core.configs import SearchConfig
from darts_core.methods.method import SearchMethod
from darts_core.methods.registry import method_of
from darts_core.models.layout import Stem
from darts_core.models.supernet import SearchNetwork


def build_supernet(
    config: SearchConfig,
    *,
    classes: int,
    image_channels: int,
    stem: Stem,
    fused: bool,
    method: SearchMethod | None = None,
) -> SearchNetwork:
    """The supernet with new weights and alphas, drawn by torch's global generator.

    method: by default a new one of the spec, in its first stage.
    """
    method = method or method_of(config)
    assert config.primitives is not None  # a resolved spec names them
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
    )
