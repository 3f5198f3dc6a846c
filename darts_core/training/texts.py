"""Trains on text: reads it onto the device, draws the dropout masks, and measures the loss."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

import torch
from torch import Tensor

from darts_core.configs.text import TextTrainingConfig
from darts_core.data.order import generator
from darts_core.data.text.corpus import TextData, load_text
from darts_core.data.text.windows import columns, window
from darts_core.distributed.group import ALONE, Group
from darts_core.errors import Stopped
from darts_core.files.checkpoints import Checkpoint
from darts_core.models.recurrent.dropout import DropoutRates, Masks, draw_masks
from darts_core.models.recurrent.language_model import LanguageModel
from darts_core.training.control import Control
from darts_core.training.stages import MEASURING, stage
from darts_core.training.step_graphs import StepGraphs, Tensors, memory_pool

Config = TypeVar("Config", bound=TextTrainingConfig)


@dataclass(frozen=True)
class DeviceText:
    """A text, and the device that computes on its columns."""

    source: TextData
    device: torch.device
    group: Group = ALONE

    @classmethod
    def read(cls, config: TextTrainingConfig, data_root: Path, device: torch.device) -> DeviceText:
        """The text of a spec. Raises DataError."""
        return cls(load_text(config.dataset, data_root, config.text_checksum), device)

    @property
    def checksum(self) -> str:
        """Of the text."""
        return self.source.checksum

    def describe_in(self, checkpoint: Checkpoint) -> None:
        """Add the vocabulary."""
        checkpoint["vocabulary"] = list(self.source.vocabulary)

    def columns(self, part: str, batch: int) -> Tensor:
        """A part on the device, cut into columns (rows, batch). Raises DataError when it is too short."""
        return columns(self.source.parts[part], batch, part).to(self.device)


def with_checksum(config: Config, data: DeviceText) -> Config:
    """The spec with the checksum of the text that was found: a run can only go on with the same one."""
    found = {"text_checksum": data.source.checksum, "text_version": data.source.version}
    return config.model_copy(update=found)


def masks_of(config: TextTrainingConfig, network: LanguageModel, batch: int, *purpose: str | int) -> Masks:
    """The dropout masks of one pass: a pure function of the seed and of what they are for."""
    weight = network.encoder.weight
    return draw_masks(
        DropoutRates(
            word=config.dropout_word,
            input=config.dropout_input,
            cell_input=config.dropout_cell_input,
            hidden=config.dropout_hidden,
            output=config.dropout_output,
        ),
        words=network.words,
        size=network.size,
        batch=batch,
        source=generator(config.seed, "dropout", *purpose, device=weight.device),
        dtype=weight.dtype,
    )


class RunningLoss:
    """Running sums on the device: adding a window does not wait for the GPU."""

    def __init__(self, device: torch.device) -> None:
        self._loss = torch.zeros((), dtype=torch.float64, device=device)
        self._words = 0

    def add(self, loss: Tensor, words: int) -> None:
        """loss: mean over that many words."""
        self._loss += loss.detach().double() * words
        self._words += words

    def state(self, group: Group = ALONE) -> dict[str, Any]:
        """The sums so far, for a checkpoint. Language models train on one device."""
        return {"loss": self._loss, "words": self._words}

    def restore(self, state: dict[str, Any], group: Group = ALONE) -> None:
        """Restore the sums of `state`."""
        self._loss.copy_(state["loss"])
        self._words = state["words"]

    def mean(self) -> float:
        """In nats; waits for the device. At least one window must have been added."""
        return float(self._loss) / self._words


def window_loss(network: LanguageModel, inputs: Sequence[Tensor]) -> Tensors:
    """The mean cross-entropy of a window in nats, and the hidden state behind it. inputs: tokens, targets, hidden."""
    tokens, targets, hidden = inputs
    passed = network(tokens, hidden)
    return passed.cross_entropy(targets), passed.hidden


def graphed_windows(network: LanguageModel, **options: Any) -> StepGraphs:
    """`window_loss` as CUDA graphs. options: of `StepGraphs`."""
    pool = memory_pool(network.encoder.weight.device)
    return StepGraphs("the measuring", partial(window_loss, network), pool, **options)


@stage(MEASURING)
@torch.no_grad()
def measure_text(
    network: LanguageModel, text: Tensor, bptt: int, *, control: Control, graphs: StepGraphs | None = None
) -> float:
    """Mean cross-entropy in nats of each word behind the first of columns (rows, batch), without dropout.

    The hidden state is carried through the whole text. Puts the network's mode back. Raises Stopped between two
    windows when the control asks for it. graphs: of `graphed_windows`, to the same bits.
    """
    run = partial(window_loss, network) if graphs is None else graphs.run
    training = network.training
    network.eval()
    total = RunningLoss(text.device)
    try:
        hidden = network.start(text.shape[1])
        for start in range(0, len(text) - 1, bptt):
            if control.should_stop():
                raise Stopped("stopped while measuring")
            batch = window(text, start, bptt)
            loss, hidden = run([*batch, hidden])
            total.add(loss, batch.targets.numel())
    finally:
        network.train(training)
    return total.mean()


def perplexity(loss: float) -> float:
    """exp of a loss in nats; kept finite, for JSON knows no infinity."""
    return math.exp(min(loss, 700.0))
