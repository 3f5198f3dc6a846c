"""Computes the cost of the network that a resolved spec of a search or an evaluation trains. Imports no torch."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from darts_core.configs.search import SearchConfig
from darts_core.data.catalogue import DatasetInfo
from darts_core.genotypes import ConvolutionalGenotype, parse
from darts_core.models.layout import stem_for
from darts_core.profile.evaluation import profile
from darts_core.profile.nasbench201 import nasbench201_search_cost
from darts_core.profile.search import search_cost
from darts_core.profile.shapes import Shape
from darts_core.spaces import space_of
from darts_core.spaces.nasbench201 import NAME as NASBENCH201


def shape_of_spec(spec: Mapping[str, Any], info: DatasetInfo) -> Shape:
    """The shape of the network. info: of the spec's data set."""
    space, reductions = space_of(spec.get("space")), spec.get("reductions")
    return Shape(
        spec["channels"],
        spec["layers"],
        info.classes,
        info.side,
        info.channels,
        stem=spec.get("stem") or stem_for(info.side),
        reductions=None if reductions is None else tuple(reductions),
        edge_skips=spec.get("edge_skips", space is not None and space.edge_skips),
    )


def search_multiply_adds(spec: Mapping[str, Any], info: DatasetInfo) -> int:
    """Multiply-adds of a forward pass of one image through a search's whole supernet, in its first stage."""
    config, shape = SearchConfig.model_validate(spec), shape_of_spec(spec, info)
    primitives, partial = config.primitives or (), config.partial_channels or 1
    if config.space == NASBENCH201:
        return nasbench201_search_cost(primitives, shape, partial=partial).multiply_adds
    lists, outputs = config.lists, config.outputs
    cost = search_cost(primitives, config.nodes, shape, partial=partial, lists=lists, outputs=outputs)
    return cost.multiply_adds


def evaluation_multiply_adds(spec: Mapping[str, Any], info: DatasetInfo) -> int:
    """Multiply-adds of a forward pass of one image through an evaluation's network, without the auxiliary head."""
    cell: ConvolutionalGenotype = parse(spec["genotype"], "cnn")
    return profile(cell, shape_of_spec(spec, info)).multiply_adds
