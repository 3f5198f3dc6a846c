"""Prepares the retraining step of a recurrent cell, as a language model, to be timed."""

from __future__ import annotations

import torch

from darts_core.bilevel.recurrent import Penalties
from darts_core.configs import RnnEvaluationConfig
from darts_core.data.text.catalogue import PYTHON_DOCS
from darts_core.genotypes import RecurrentGenotype, to_json
from darts_core.models.recurrent.language_model import RecurrentNetwork
from darts_core.profile.language_model import LanguageShape, profile_language_model
from darts_core.profile.step_time import TrainingStep
from darts_core.training.averaging import optimizer_of
from darts_core.training.graphed_rnn import GraphedRnnStep
from darts_core.training.rnn_step import TextPart, rnn_step
from darts_core.training.texts import masks_of


def text_config(
    genotype: RecurrentGenotype, preset: str, shape: LanguageShape, *, batch_size: int | None = None
) -> RnnEvaluationConfig:
    """The spec of a retraining of this shape, otherwise with the preset's values. Raises ConfigError."""
    given = {} if batch_size is None else {"batch_size": batch_size}
    return RnnEvaluationConfig(
        dataset=PYTHON_DOCS, preset=preset, genotype=to_json(genotype), hidden_size=shape.hidden_size, **given
    ).resolved()


def text_step(config: RnnEvaluationConfig, shape: LanguageShape, device: torch.device) -> TrainingStep:
    """The step of a resolved spec on a window of `bptt` random words, with plain SGD."""
    cell = config.cell()
    network = RecurrentNetwork(cell, words=shape.words, size=config.hidden_size).to(device).train()
    optimizer = optimizer_of("sgd", list(network.parameters()), lr=config.weight_lr, weight_decay=config.weight_decay)
    shares = torch.randint(shape.words, (config.batch_size // config.part_size, 2, config.bptt, config.part_size))
    parts = [
        TextPart(
            tokens,
            targets,
            network.start(config.part_size),
            masks_of(config, network, config.part_size, part),
        )
        for part, (tokens, targets) in enumerate(shares.to(device))
    ]
    penalties = Penalties(config.activation_penalty, config.slowness_penalty)
    words = config.bptt * config.batch_size
    kept = shape.words + config.hidden_size * (1 + len(cell.recurrent))  # logits, and the states of all nodes
    costs = profile_language_model(cell, shape).multiply_adds * words, 4 * kept * words
    if device.type == "cuda" and config.cuda_graph:
        graphed = GraphedRnnStep(network, optimizer, grad_clip=config.grad_clip, penalties=penalties)
        return TrainingStep(lambda: graphed(parts), lambda: graphed.recorded, *costs)
    return TrainingStep(
        lambda: rnn_step(network, optimizer, parts, grad_clip=config.grad_clip, penalties=penalties),
        lambda: False,
        *costs,
    )
