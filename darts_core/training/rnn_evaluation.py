"""Trains a found recurrent cell from scratch as a language model. DARTS (arXiv:1806.09055), sections 3.2 and A.2.2.

The recipe is AWD-LSTM's (arXiv:1708.02182): random sequence lengths, SGD until validation stops improving, then
averaged SGD; the averaged weights are validated, tested and kept.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, ClassVar, Final

import torch
from torch import Tensor

from darts_core.bilevel.recurrent import Penalties
from darts_core.configs import RnnEvaluationConfig
from darts_core.configs.init_from import InitFrom
from darts_core.data.text.windows import evaluation_spans, window
from darts_core.files.checkpoints import Checkpoint, Kind, on_cpu
from darts_core.models.recurrent.language_model import LanguageModel, RecurrentNetwork
from darts_core.training.averaging import OptimizerName, averaged, optimizer_of, should_average, validated_weights
from darts_core.training.control import UNCONTROLLED, Control
from darts_core.training.defaults import DATA_ROOT, default_device
from darts_core.training.determinism import seeded
from darts_core.training.graphed_rnn import GraphedRnnStep
from darts_core.training.init_from import Source, check_vocabulary, start_evaluation
from darts_core.training.loop import TrainingLoop, check_finite
from darts_core.training.reports import EpochReport
from darts_core.training.rnn_step import PartResult, TextPart, rnn_step
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

BuildNetwork = Callable[[RnnEvaluationConfig, int], LanguageModel]
"""The network that a spec trains, over a vocabulary of that many words."""

# After so many in a row the best epoch itself leads to no finite numbers.
MOST_ROLLBACKS: Final = 3


def genotype_network(config: RnnEvaluationConfig, words: int) -> LanguageModel:
    """The language model of the spec's genotype."""
    return RecurrentNetwork(config.cell(), words=words, size=config.hidden_size)


def run_rnn_evaluation(
    config: RnnEvaluationConfig,
    *,
    data_root: Path = DATA_ROOT,
    device: torch.device | None = None,
    resume_from: Checkpoint | None = None,
    control: Control = UNCONTROLLED,
    source: Source | None = None,
    build: BuildNetwork = genotype_network,
) -> Iterator[EpochReport]:
    """Train one recurrent genotype from scratch, and report after every epoch. Arguments and errors as of `run_search`.

    build: what is trained instead of the genotype's network, to compare the two. Such checkpoints resume with the same
    `build` only, and `load` cannot read them.

    Metrics: train_loss, train_perplexity (penalties aside), validation_loss, validation_perplexity, averaged (1 once
    averaged SGD has taken over: then validation and test are of the averaged weights), weight_lr. test_loss and
    test_perplexity come with the last epoch alone and choose nothing; best_epoch, best_test_loss and
    best_test_perplexity come with it, of the best validated epoch's model.

    An epoch that ends in numbers that are not finite is taken back: the best epoch's state is put in its place,
    the metrics have rolled_back_to, its number, and no train_loss, and training goes on with the next epoch's draws.
    Diverged is raised when there is no such epoch yet, or after three in a row.

    The checkpoint's `weights` are those that were validated, `resume` has those that training goes on with.
    """
    config = config.resolved()
    data = DeviceText.read(config, data_root, device or default_device())
    if resume_from is None and build is genotype_network:
        check_text(config, data)
    return RnnEvaluation(with_checksum(config, data), data, control, resume_from, build).run(source)


class RnnEvaluation(TrainingLoop):
    """The loop around the training step on text."""

    kind: ClassVar[Kind] = "evaluation"
    config: RnnEvaluationConfig
    data: DeviceText
    network: LanguageModel
    sums: RunningLoss

    def __init__(
        self,
        config: RnnEvaluationConfig,
        data: DeviceText,
        control: Control,
        resume_from: Checkpoint | None = None,
        build: BuildNetwork = genotype_network,
    ) -> None:
        super().__init__(config, data, control, resume_from)
        self.training_text = data.columns("train", config.batch_size)
        self.validation_text = data.columns("valid", config.validation_batch_size)
        self.test_text = data.columns("test", config.test_batch_size)
        with seeded(config.seed, "network"):
            # Drawn on the CPU, then moved: the same start on every device.
            self.network = build(config, len(data.source.vocabulary))
        self.network.to(data.device)
        self.penalties = Penalties(config.activation_penalty, config.slowness_penalty)
        self._has_graphs = data.device.type == "cuda" and config.cuda_graph
        self.measuring_graphs = graphed_windows(self.network) if self._has_graphs else None
        self._use_optimizer("sgd")
        self.history: list[float] = []
        """Validation losses before averaging took over."""
        self.best: dict[str, Any] = {}
        """The state after the best validated epoch, with its number and loss; empty before there is one."""
        self.rollbacks = 0
        """How many epochs in a row were taken back."""

    def take(self, source: Source, start: InitFrom) -> str:
        check_vocabulary(source, self.data.source.vocabulary)
        own = self.network.state_dict()
        return start_evaluation(own, {name: name for name in own}, source["weights"])

    def restore(self, checkpoint: Checkpoint, state: dict[str, Any]) -> None:
        self._put_back(state["training"])
        self.best, self.rollbacks = state["best"], state["rollbacks"]
        if self.partial is not None:
            self.hidden = [hidden.to(self.data.device) for hidden in state["hidden"]]

    def fill(self, checkpoint: Checkpoint) -> None:
        best, mid_epoch = on_cpu(self.best), "open" in checkpoint["resume"]
        # The same tensors where they are equal: the file then holds them once.
        state = best["state"] if not mid_epoch and best.get("epoch") == self.epoch else self._state()
        checkpoint["weights"] = validated_weights(state["weights"], state["optimizer"])
        checkpoint["genotype"] = dict(self.config.genotype)
        checkpoint["resume"] |= {"training": state, "best": best, "rollbacks": self.rollbacks}
        if mid_epoch:
            checkpoint["resume"]["hidden"] = on_cpu(self.hidden)

    def begin_epoch(self) -> int:
        """Hidden states start at zero in each epoch."""
        config = self.config
        if self.partial is None:
            parts = config.batch_size // config.part_size
            self.hidden = [self.network.start(config.part_size) for _ in range(parts)]
        self.spans = evaluation_spans(len(self.training_text), config.bptt, config.seed, self.epoch)
        self.sums = RunningLoss(self.data.device)
        return len(self.spans)

    def step(self, number: int) -> None:
        config, network, span = self.config, self.network, self.spans[number]
        batch = window(self.training_text, *span)
        # A short window's gradient is a mean over fewer words: its step is shorter, too.
        self.optimizer.param_groups[0]["lr"] = config.weight_lr * span.length / config.bptt
        columns = zip(*(torch.split(rows, config.part_size, dim=1) for rows in batch), strict=True)
        parts = [
            TextPart(
                tokens,
                targets,
                self.hidden[part],
                masks_of(config, network, config.part_size, self.epoch, number, part),
            )
            for part, (tokens, targets) in enumerate(columns)
        ]
        results = self.move(parts)
        self.hidden = [result.hidden for result in results]
        for part, result in zip(parts, results, strict=True):
            self.sums.add(result.loss, part.targets.numel())

    def measure(self) -> dict[str, float]:
        train_loss = self.sums.mean()
        self.optimizer.param_groups[0]["lr"] = self.config.weight_lr
        validation_loss = self._measure(self.validation_text)
        metrics = {
            "train_loss": train_loss,
            "train_perplexity": perplexity(train_loss),
            "validation_loss": validation_loss,
            "averaged": float(self.optimizer_name == "asgd"),
        }
        if math.isfinite(train_loss) and math.isfinite(validation_loss):
            self._finish(validation_loss)
        else:
            metrics = self._roll_back(metrics)
        metrics |= {"validation_perplexity": perplexity(metrics["validation_loss"]), "weight_lr": self.config.weight_lr}
        if self.epoch == self.config.epochs_in(self.epoch):
            test_loss = self._measure(self.test_text)
            metrics |= {"test_loss": test_loss, "test_perplexity": perplexity(test_loss)}
            metrics |= self._test_of_best(test_loss)
        return metrics

    def _test_of_best(self, last: float) -> dict[str, float]:
        """The test metrics of the best validated epoch's model. last: the test loss of this, the last epoch."""
        if not self.best:
            return {}
        number, state = self.best["epoch"], self.best["state"]
        loss = last
        if number != self.epoch:
            kept = on_cpu(self.network.state_dict())
            self.network.load_state_dict(validated_weights(state["weights"], state["optimizer"]))
            loss = measure_text(
                self.network, self.test_text, self.config.bptt, control=self.control, graphs=self.measuring_graphs
            )
            self.network.load_state_dict(kept)
        return {"best_epoch": float(number), "best_test_loss": loss, "best_test_perplexity": perplexity(loss)}

    def _finish(self, validation_loss: float) -> None:
        """Note the epoch's result, and let averaging take over if it is time."""
        self.rollbacks = 0
        if self.optimizer_name == "sgd":
            if should_average(self.history, validation_loss, self.config.averaging_patience):
                self._use_optimizer("asgd")
            self.history.append(validation_loss)
        if validation_loss < self.best.get("validation_loss", math.inf):
            self.best = {"epoch": self.epoch, "validation_loss": validation_loss, "state": self._state()}

    def _roll_back(self, metrics: dict[str, float]) -> dict[str, float]:
        """Put the best epoch's state back, and give the metrics that say so."""
        self.rollbacks += 1
        if not self.best or self.rollbacks > MOST_ROLLBACKS:
            check_finite(self.epoch, metrics)
        self._put_back(on_cpu(self.best["state"]))
        return {
            "validation_loss": self._measure(self.validation_text),
            "averaged": float(self.optimizer_name == "asgd"),
            "rolled_back_to": float(self.best["epoch"]),
        }

    def _state(self) -> dict[str, Any]:
        """All that training goes on with."""
        return {
            "weights": on_cpu(self.network.state_dict()),
            "optimizer_name": self.optimizer_name,
            "optimizer": on_cpu(self.optimizer.state_dict()),
            "history": list(self.history),
        }

    def _put_back(self, state: dict[str, Any]) -> None:
        self.network.load_state_dict(state["weights"])
        self._use_optimizer(state["optimizer_name"])
        self.optimizer.load_state_dict(state["optimizer"])
        self.history = list(state["history"])

    def _use_optimizer(self, name: OptimizerName) -> None:
        self.optimizer_name: OptimizerName = name
        self.optimizer = optimizer_of(
            name, list(self.network.parameters()), lr=self.config.weight_lr, weight_decay=self.config.weight_decay
        )
        self.move = self._step()

    def _step(self) -> Callable[[Sequence[TextPart]], list[PartResult]]:
        """What moves the weights on a window."""
        network, optimizer = self.network, self.optimizer
        options: dict[str, Any] = {"grad_clip": self.config.grad_clip, "penalties": self.penalties}
        if self._has_graphs:
            return GraphedRnnStep(network, optimizer, **options)
        return lambda parts: rnn_step(network, optimizer, parts, **options)

    def _measure(self, text: Tensor) -> float:
        """The loss on columns of text, with the averaged weights once there are any."""
        with averaged(self.network, self.optimizer):
            return measure_text(
                self.network, text, self.config.bptt, control=self.control, graphs=self.measuring_graphs
            )
