"""Prepares the retraining step of a cell of images to be timed."""

from __future__ import annotations

from math import ceil

import torch

from darts_core.configs import EvaluationConfig
from darts_core.configs.evaluation import auxiliary_problems
from darts_core.data.batches import Batch
from darts_core.data.order import generator
from darts_core.genotypes import ConvolutionalGenotype, to_json
from darts_core.models.build import build_evaluation_network
from darts_core.profile.evaluation import profile
from darts_core.profile.shapes import Shape
from darts_core.profile.step_time import TrainingStep
from darts_core.training.evaluation_step import evaluation_step, weight_optimizer
from darts_core.training.fused_sgd import FusedSGD
from darts_core.training.graphed_evaluation import GraphedEvaluation
from darts_core.training.precision import Precision, type_of
from darts_core.training.step_graphs import memory_pool


def image_config(
    genotype: ConvolutionalGenotype,
    preset: str,
    shape: Shape,
    *,
    batch_size: int | None = None,
    precision: Precision | None = None,
    compile_cells: bool = False,
) -> EvaluationConfig:
    """The spec of a retraining of this shape, otherwise with the preset's values. Raises ConfigError."""
    given = {"batch_size": batch_size, "precision": precision, "reductions": shape.reductions}
    return EvaluationConfig(
        dataset="folder:random",
        preset=preset,
        genotype=to_json(genotype),
        channels=shape.channels,
        layers=shape.layers,
        stem=shape.stem,
        edge_skips=shape.edge_skips,
        compile_cells=compile_cells,
        **{name: value for name, value in given.items() if value is not None},
    ).resolved()


def image_step(config: EvaluationConfig, shape: Shape, device: torch.device) -> TrainingStep:
    """The step of a resolved spec on random images of this shape, in the middle of its schedules."""
    size = (shape.image, shape.width or shape.image)
    values = config.model_dump(include={"layers", "reductions"})
    if config.auxiliary and auxiliary_problems(values, shape.stem, config.dataset, size):
        config = config.model_copy(update={"auxiliary": False})
    network = build_evaluation_network(
        config, classes=shape.classes, image_channels=shape.image_channels, stem=shape.stem
    )
    network.to(device, type_of(config), memory_format=torch.channels_last)  # type: ignore[call-overload]
    network.train().set_drop_path(config.drop_path / 2, generator(config.seed, "drop-path", device=device))
    if config.compile_cells:
        network.compile_cells(ceil(config.batch_size / config.accumulate))
    optimizer = weight_optimizer(network.parameters(), config, device)
    images = torch.randn(config.batch_size, shape.image_channels, *size, dtype=type_of(config)).to(device)
    batch = Batch(images, torch.randint(shape.classes, (config.batch_size,)).to(device))
    found = profile(config.cell(), shape)
    costs = found.multiply_adds * config.batch_size, found.training_bytes * config.batch_size
    if device.type == "cuda" and config.cuda_graph and not network.has_noise and isinstance(optimizer, FusedSGD):
        graphed = GraphedEvaluation(network, optimizer, config, pool=memory_pool(device))
        return TrainingStep(lambda: graphed(batch), lambda: graphed.recorded, *costs)
    if network.has_noise:
        network.set_noise(generator(config.seed, "noise", device=device))
    return TrainingStep(lambda: evaluation_step(network, optimizer, batch, config), lambda: False, *costs)
