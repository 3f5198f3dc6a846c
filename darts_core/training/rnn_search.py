"""Searches a recurrent cell. DARTS (arXiv:1806.09055), section A.1.2."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import Tensor

from darts_core.bilevel.graphed_recurrent import GraphedRecurrentStep
from darts_core.bilevel.recurrent import (
    DrawMasks,
    PassName,
    Penalties,
    RecurrentArchitect,
    SearchStepResult,
    TextSegment,
    recurrent_search_step,
)
from darts_core.configs import RnnSearchConfig
from darts_core.configs.init_from import InitFrom
from darts_core.data.text.windows import search_spans, window
from darts_core.files.checkpoints import Checkpoint, on_cpu
from darts_core.kernels.gpu import recurrent
from darts_core.kernels.gpu.recurrent.start import enable_recurrent_kernels, wants_recurrent_kernels
from darts_core.methods.registry import method_of
from darts_core.models.recurrent.dropout import Masks
from darts_core.models.recurrent.language_model import RecurrentSearchNetwork
from darts_core.training.control import UNCONTROLLED, Control
from darts_core.training.defaults import DATA_ROOT, default_device
from darts_core.training.determinism import seeded
from darts_core.training.init_from import Source, check_vocabulary
from darts_core.training.kernel_guard import KernelGuard
from darts_core.training.kernel_use import KernelUse
from darts_core.training.reports import EpochReport
from darts_core.training.search_loop import SearchLoop
from darts_core.training.step_graphs import StepGraphs
from darts_core.training.text_memory import check_text
from darts_core.training.texts import (
    DeviceText,
    RunningLoss,
    graphed_windows,
    masks_of,
    measure_text,
    perplexity,
    with_checksum,
)

logger = logging.getLogger(__name__)

Step = Callable[[TextSegment, TextSegment, DrawMasks], SearchStepResult]


def run_rnn_search(
    config: RnnSearchConfig,
    *,
    data_root: Path = DATA_ROOT,
    device: torch.device | None = None,
    resume_from: Checkpoint | None = None,
    control: Control = UNCONTROLLED,
    source: Source | None = None,
) -> Iterator[EpochReport]:
    """Search a recurrent cell, and report after every epoch. The arguments and errors are those of `run_search`.

    The training text trains the weights, the validation text the alphas. Metrics: train_loss, train_perplexity (of the
    weight steps, in training mode, penalties aside), validation_loss, validation_perplexity (at the epoch's end,
    without dropout), weight_lr, and what `darts_core.genotypes.cell_diagnostics` tells of the cell and the alphas. On a
    GPU gpu_kernels, as of `run_search`.
    """
    config = config.resolved()
    data = DeviceText.read(config, data_root, device or default_device())
    if resume_from is None:
        check_text(config, data)
    enable_recurrent_kernels(config, data.device)
    return RnnSearch(with_checksum(config, data), data, control, resume_from).run(source)


class _Hidden(NamedTuple):
    """The states (B, size) that the last windows of both texts ended with."""

    training: Tensor
    validation: Tensor


class RnnSearch(SearchLoop):
    """The loop around the bilevel step on text."""

    config: RnnSearchConfig
    data: DeviceText
    network: RecurrentSearchNetwork
    architect: RecurrentArchitect
    sums: RunningLoss

    def __init__(
        self, config: RnnSearchConfig, data: DeviceText, control: Control, resume_from: Checkpoint | None = None
    ) -> None:
        super().__init__(config, data, control, resume_from)
        self.weight_text = data.columns("train", config.batch_size)
        self.alpha_text = data.columns("valid", config.batch_size)
        self.validation_text = data.columns("valid", config.validation_batch_size)
        assert config.primitives is not None  # a resolved spec names them
        with seeded(config.seed, "network"):
            # Drawn on the CPU, then moved: the same start on every device.
            self.network = RecurrentSearchNetwork(
                config.primitives,
                words=len(data.source.vocabulary),
                size=config.hidden_size,
                nodes=config.nodes,
                method=method_of(config),
            )
        self.network.to(data.device)
        self.weight_optimizer = torch.optim.SGD(
            self.network.weights(), lr=config.weight_lr, weight_decay=config.weight_decay, foreach=True
        )
        self.architect = RecurrentArchitect(
            self.network,
            self.weight_optimizer,
            order=config.order,
            lr=config.alpha_lr,
            weight_decay=config.alpha_weight_decay,
            grad_clip=config.grad_clip,
            virtual_embedding=config.virtual_embedding,
        )
        self.kernel_use = KernelUse(wanted=wants_recurrent_kernels(config, data.device), kernels=recurrent)
        self.kernel_guard = KernelGuard(
            self.network, self.weight_optimizer, self.architect.optimizer, kernels=recurrent
        )
        self.move = self._step()
        self.measuring_graphs = self._of_measuring()

    def _step(self) -> Step:
        """What moves alphas and weights on a training and a validation window; on a GPU also a line of the log."""
        config = self.config
        parts = self.network, self.architect, self.weight_optimizer
        penalties = Penalties(config.activation_penalty, config.slowness_penalty)
        if self.data.device.type == "cuda":
            how = "in CUDA graphs" if config.cuda_graph else "without a CUDA graph: the spec has cuda_graph: false"
            logger.info("searches %s", how)
            if config.cuda_graph:
                return GraphedRecurrentStep(*parts, grad_clip=config.grad_clip, penalties=penalties)
        return partial(recurrent_search_step, *parts, grad_clip=config.grad_clip, penalties=penalties)

    def _of_measuring(self) -> StepGraphs | None:
        """Graphs of the measuring, unless the method draws in each window."""
        draws = self.network.method.draws_in("measuring")
        on_gpu = self.data.device.type == "cuda"
        if not on_gpu or not self.config.cuda_graph or draws:
            return None
        return graphed_windows(self.network, held=recurrent.available)

    def take(self, source: Source, start: InitFrom) -> str:
        if start.what != "alphas":
            check_vocabulary(source, self.data.source.vocabulary)
        return super().take(source, start)

    def restore(self, checkpoint: Checkpoint, state: dict[str, Any]) -> None:
        super().restore(checkpoint, state)
        if self.partial is not None:
            self.hidden = _Hidden(*(h.to(self.data.device) for h in state["hidden"]))

    def fill(self, checkpoint: Checkpoint) -> None:
        super().fill(checkpoint)
        if "open" in checkpoint["resume"]:
            checkpoint["resume"]["hidden"] = on_cpu(self.hidden)

    def begin_epoch(self) -> int:
        """Hidden states start at zero in each epoch."""
        self.network.method.begin_epoch(self.epoch)
        if self.partial is None:
            zeros = self.network.start(self.config.batch_size)
            self.hidden = _Hidden(zeros, zeros)
        self.spans = search_spans(len(self.weight_text), self.config.bptt, self.config.seed, self.epoch)
        self.sums = RunningLoss(self.data.device)
        return len(self.spans)

    def step(self, number: int) -> None:
        config, (start, length) = self.config, self.spans[number]
        self.network.method.begin_step(self.steps_done)
        batch = window(self.weight_text, start, length)
        # The alphas' text is shorter: it is read round and round.
        other = window(self.alpha_text, start % (len(self.alpha_text) - 1), config.bptt)
        # A short window's gradient is a mean over fewer words: its step is shorter, the virtual one's as well.
        self.weight_optimizer.param_groups[0]["lr"] = config.weight_lr * length / config.bptt
        training, validation = map(TextSegment, (batch, other), self.hidden)
        stepped = self.kernel_guard.run(
            "the search step",
            lambda: self.move(training, validation, partial(self._masks, number)),
            batch.tokens.shape,
            other.tokens.shape,
        )
        self.hidden = _Hidden(stepped.training, stepped.validation)
        self.sums.add(stepped.loss, batch.targets.numel())

    def measure(self) -> dict[str, float]:
        config, train_loss = self.config, self.sums.mean()
        self.weight_optimizer.param_groups[0]["lr"] = config.weight_lr
        validation_loss = self.kernel_guard.run("the measuring", self._validation_loss)
        return {
            "train_loss": train_loss,
            "train_perplexity": perplexity(train_loss),
            "validation_loss": validation_loss,
            "validation_perplexity": perplexity(validation_loss),
            "weight_lr": config.weight_lr,
        }

    def _validation_loss(self) -> float:
        method = self.network.method
        method.begin_step(self.steps_done - 1)  # which a run that resumes behind it has not done
        method.begin_pass("measuring")
        return measure_text(
            self.network, self.validation_text, self.config.bptt, control=self.control, graphs=self.measuring_graphs
        )

    def report(self, metrics: dict[str, float]) -> EpochReport:
        report = super().report(metrics | self.kernel_use.metrics())
        return replace(report, warnings=(*self.kernel_use.warnings(), *report.warnings))

    def _masks(self, step: int, name: PassName) -> Masks:
        return masks_of(self.config, self.network, self.config.batch_size, self.epoch, step, name)
