"""Training a found recurrent cell from scratch as a language model. DARTS (arXiv:1806.09055), sections 3.2 and A.2.2.

The recipe is AWD-LSTM's (arXiv:1708.02182): random sequence lengths, SGD until validation stops improving, then
averaged SGD, and the averaged weights are what is validated, tested and kept.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any, Final

import torch
from torch import Tensor

from darts_core.bilevel.recurrent import Penalties, penalised
from darts_core.configs import RnnEvaluationConfig
from darts_core.data.text.windows import evaluation_spans, window
from darts_core.distributed.group import ALONE
from darts_core.files.checkpoints import Checkpoint, check_resumable, on_cpu
from darts_core.models.recurrent.language_model import LanguageModel, RecurrentNetwork
from darts_core.training.averaging import OptimizerName, averaged, optimizer_of, should_average, validated_weights
from darts_core.training.control import Control
from darts_core.training.determinism import seeded
from darts_core.training.epochs import reports
from darts_core.training.reports import EpochReport
from darts_core.training.rnn_run import (
    DeviceText,
    TextTally,
    masks_of,
    measure_text,
    perplexity,
    text_frame,
    with_checksum,
)
from darts_core.training.run import DATA_ROOT, UNCONTROLLED, PartialEpoch, Steps, check_finite, default_device

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
    device = device or default_device()
    data = DeviceText.read(config, data_root, device)
    config = with_checksum(config, data)
    if resume_from is not None:
        check_resumable(resume_from, "evaluation", config)
    run = _Evaluation(config, data, control, build)
    if resume_from is not None:
        run.restore(resume_from)
    return reports(config, device, run.epoch, after=resume_from["epoch"] if resume_from else 0)


class _Evaluation:
    def __init__(self, config: RnnEvaluationConfig, data: DeviceText, control: Control, build: BuildNetwork) -> None:
        self.config, self.data, self.control = config, data, control
        self.training_text = data.columns("train", config.batch_size)
        self.validation_text = data.columns("valid", config.validation_batch_size)
        self.test_text = data.columns("test", config.test_batch_size)
        with seeded(config.seed, "network"):
            # Drawn on the CPU, then moved: the same start on every device.
            self.network = build(config, len(data.source.vocabulary))
        self.network.to(data.device)
        self._use_optimizer("sgd")
        self.penalties = Penalties(config.activation_penalty, config.slowness_penalty)
        self.history: list[float] = []
        """Validation losses before averaging took over."""
        self.best: dict[str, Any] = {}
        """The state after the best validated epoch, with its number and loss; empty before there is one."""
        self.rollbacks = 0
        """How many epochs in a row were taken back."""
        self.steps_done = 0
        self.interrupted: PartialEpoch | None = None

    def restore(self, checkpoint: Checkpoint) -> None:
        # Copied: the run must not write into the report.
        state = on_cpu(checkpoint["resume"])
        self._put_back(state["training"])
        self.best, self.rollbacks, self.steps_done = state["best"], state["rollbacks"], state["step"]
        self.interrupted = PartialEpoch.of(checkpoint)
        if self.interrupted is not None:
            self.hidden = [hidden.to(self.data.device) for hidden in state["hidden"]]

    def epoch(self, epoch: int) -> EpochReport:
        steps, train_loss = self._train(epoch)
        validation_loss = self._measure(self.validation_text)
        metrics = {
            "train_loss": train_loss,
            "train_perplexity": perplexity(train_loss),
            "validation_loss": validation_loss,
            "averaged": float(self.optimizer_name == "asgd"),
        }
        if math.isfinite(train_loss) and math.isfinite(validation_loss):
            self._finish(epoch, validation_loss)
        else:
            metrics = self._roll_back(epoch, metrics)
        metrics |= {"validation_perplexity": perplexity(metrics["validation_loss"]), "weight_lr": self.config.weight_lr}
        if epoch == self.config.epochs:
            test_loss = self._measure(self.test_text)
            metrics |= {"test_loss": test_loss, "test_perplexity": perplexity(test_loss)}
            metrics |= self._test_of_best(epoch, test_loss)
        check_finite(epoch, metrics)
        return EpochReport(epoch, metrics, steps.seconds, None, None, self._checkpoint(epoch, metrics))

    def _test_of_best(self, epoch: int, last: float) -> dict[str, float]:
        """The test metrics of the best validated epoch's model. last: the test loss of this, the last epoch."""
        if not self.best:
            return {}
        number, state = self.best["epoch"], self.best["state"]
        loss = last
        if number != epoch:
            kept = on_cpu(self.network.state_dict())
            self.network.load_state_dict(validated_weights(state["weights"], state["optimizer"]))
            loss = measure_text(self.network, self.test_text, self.config.bptt, control=self.control)
            self.network.load_state_dict(kept)
        return {"best_epoch": float(number), "best_test_loss": loss, "best_test_perplexity": perplexity(loss)}

    def _checkpoint(self, epoch: int, metrics: dict[str, float]) -> Checkpoint:
        """epoch: the last finished one. metrics: empty in the middle of an epoch."""
        best = on_cpu(self.best)
        # The same tensors where they are equal: the file then holds them once.
        state = best["state"] if metrics and best.get("epoch") == epoch else self._state()
        checkpoint = text_frame("evaluation", epoch, self.config, self.data, metrics)
        checkpoint["weights"] = validated_weights(state["weights"], state["optimizer"])
        checkpoint["genotype"] = dict(self.config.genotype)
        checkpoint["resume"] = {
            "training": state,
            "best": best,
            "rollbacks": self.rollbacks,
            "step": self.steps_done,
        }
        return checkpoint

    def _finish(self, epoch: int, validation_loss: float) -> None:
        """Note the epoch's result, and let averaging take over if it is time."""
        self.rollbacks = 0
        if self.optimizer_name == "sgd":
            if should_average(self.history, validation_loss, self.config.averaging_patience):
                self._use_optimizer("asgd")
            self.history.append(validation_loss)
        if validation_loss < self.best.get("validation_loss", math.inf):
            self.best = {"epoch": epoch, "validation_loss": validation_loss, "state": self._state()}

    def _roll_back(self, epoch: int, metrics: dict[str, float]) -> dict[str, float]:
        """Put the best epoch's state back, and give the metrics that say so."""
        self.rollbacks += 1
        if not self.best or self.rollbacks > MOST_ROLLBACKS:
            check_finite(epoch, metrics)
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

    def _measure(self, text: Tensor) -> float:
        """The loss on columns of text, with the averaged weights once there are any."""
        with averaged(self.network, self.optimizer):
            return measure_text(self.network, text, self.config.bptt, control=self.control)

    def _train(self, epoch: int) -> tuple[Steps, float]:
        """The epoch's steps, done, and their mean loss. Hidden states start at zero in each epoch."""
        config, network = self.config, self.network
        network.train()
        if self.interrupted is None:
            self.hidden = [network.start(config.part_size) for _ in range(config.batch_size // config.part_size)]
        group = self.optimizer.param_groups[0]
        spans = evaluation_spans(len(self.training_text), config.bptt, config.seed, epoch)
        tally = TextTally(self.data.device)
        steps = Steps(
            self.control,
            epoch=epoch,
            epochs=config.epochs,
            steps=len(spans),
            tally=tally,
            group=ALONE,
            resumed=self.interrupted,
            save_seconds=config.checkpoint_seconds,
            checkpoint=partial(self._in_the_middle, epoch),
        )
        self.interrupted = None
        for step in steps:
            batch = window(self.training_text, *spans[step])
            # A short window's gradient is a mean over fewer words: its step is shorter, too.
            group["lr"] = config.weight_lr * spans[step].length / config.bptt
            self.optimizer.zero_grad()
            parts = zip(*(torch.split(rows, config.part_size, dim=1) for rows in batch), strict=True)
            for part, (tokens, targets) in enumerate(parts):
                masks = masks_of(config, network, config.part_size, epoch, step, part)
                passed = network(tokens, self.hidden[part], masks)
                self.hidden[part] = passed.hidden.detach()
                loss = passed.cross_entropy(targets)
                share = config.part_size / config.batch_size
                (share * penalised(loss, passed, self.penalties)).backward()  # type: ignore[no-untyped-call]
                tally.add(loss, targets.numel())
            torch.nn.utils.clip_grad_norm_(network.parameters(), config.grad_clip)
            self.optimizer.step()
            self.steps_done += 1
        group["lr"] = config.weight_lr
        return steps, tally.mean()

    def _in_the_middle(self, epoch: int, opened: PartialEpoch) -> Checkpoint:
        checkpoint = self._checkpoint(epoch - 1, {})
        checkpoint["resume"]["hidden"] = on_cpu(self.hidden)
        return opened.into(checkpoint)
