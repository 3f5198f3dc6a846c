"""Searching a recurrent cell: the loop around the bilevel step. DARTS (arXiv:1806.09055), section A.1.2."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import NamedTuple

import torch
from torch import Tensor

from darts_core.bilevel.recurrent import PassName, Penalties, RecurrentArchitect, Stretch, recurrent_search_step
from darts_core.configs import RnnSearchConfig
from darts_core.data.text.windows import search_spans, window
from darts_core.distributed.group import ALONE
from darts_core.files.checkpoints import Checkpoint, check_resumable, on_cpu
from darts_core.genotypes import RecurrentGenotype, cell_diagnostics, to_json
from darts_core.models.recurrent.dropout import Masks
from darts_core.models.recurrent.language_model import RecurrentSearchNetwork
from darts_core.training.control import Control
from darts_core.training.determinism import seeded
from darts_core.training.epoch_history import EarlyStopping
from darts_core.training.epochs import derived, reports, tables
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


def run_rnn_search(
    config: RnnSearchConfig,
    *,
    data_root: Path = DATA_ROOT,
    device: torch.device | None = None,
    resume_from: Checkpoint | None = None,
    control: Control = UNCONTROLLED,
) -> Iterator[EpochReport]:
    """Search a recurrent cell, and report after every epoch. The arguments and errors are those of `run_search`.

    The training text trains the weights, the validation text the alphas. Metrics: train_loss, train_perplexity (of the
    weight steps, in training mode, penalties aside), validation_loss, validation_perplexity (at the epoch's end,
    without dropout), weight_lr, and what `darts_core.genotypes.cell_diagnostics` tells of the cell and the alphas.
    """
    config = config.resolved()
    device = device or default_device()
    data = DeviceText.read(config, data_root, device)
    config = with_checksum(config, data)
    if resume_from is not None:
        check_resumable(resume_from, "search", config)
    run = _Search(config, data, control)
    if resume_from is not None:
        run.restore(resume_from)
    return reports(config, device, run.epoch, after=run.done)


class _Hidden(NamedTuple):
    """The states (B, size) that the last windows of both texts ended with."""

    training: Tensor
    validation: Tensor


class _Search:
    done = 0  # epochs that need not be run any more

    def __init__(self, config: RnnSearchConfig, data: DeviceText, control: Control) -> None:
        self.config, self.data, self.control = config, data, control
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
        self.steps_done = 0
        self.early_stopping = EarlyStopping(config.stop_when, config.stop_from)
        self.interrupted: PartialEpoch | None = None

    def restore(self, checkpoint: Checkpoint) -> None:
        self.network.load_state_dict(checkpoint["weights"])
        self.network.load_alphas(checkpoint["alphas"])
        # load_state_dict of an optimiser keeps tensors that it need not move: the run must not write into the report.
        state = on_cpu(checkpoint["resume"])
        self.weight_optimizer.load_state_dict(state["weight_optimizer"])
        self.architect.optimizer.load_state_dict(state["alpha_optimizer"])
        self.steps_done = state["step"]
        self.early_stopping.restore(state.get("watch"))
        self.done = self.config.epochs if self.early_stopping.stopped else checkpoint["epoch"]
        self.interrupted = PartialEpoch.of(checkpoint)
        if self.interrupted is not None:
            self.hidden = _Hidden(*(h.to(self.data.device) for h in state["hidden"]))

    def epoch(self, epoch: int) -> EpochReport:
        config = self.config
        steps, train_loss = self._train(epoch)
        validation_loss = measure_text(self.network, self.validation_text, config.bptt, control=self.control)
        metrics = {
            "train_loss": train_loss,
            "train_perplexity": perplexity(train_loss),
            "validation_loss": validation_loss,
            "validation_perplexity": perplexity(validation_loss),
            "weight_lr": config.weight_lr,
        }
        check_finite(epoch, metrics)
        genotype, alphas = derived(epoch, self.network.genotype), on_cpu(self.network.alphas)
        metrics |= cell_diagnostics(genotype, tables(alphas))
        warnings = self.early_stopping.update(metrics, alphas)
        checkpoint = self._checkpoint(epoch, genotype, metrics)
        return EpochReport(
            epoch,
            metrics,
            steps.seconds,
            genotype,
            alphas,
            checkpoint,
            stopped_early=self.early_stopping.stopped,
            warnings=tuple(warnings),
        )

    def _checkpoint(self, epoch: int, genotype: RecurrentGenotype, metrics: dict[str, float]) -> Checkpoint:
        """epoch: the last finished one."""
        checkpoint = text_frame("search", epoch, self.config, self.data, metrics)
        checkpoint["weights"] = on_cpu(self.network.state_dict())
        checkpoint["alphas"] = on_cpu(self.network.alphas)
        checkpoint["genotype"] = to_json(genotype)
        checkpoint["resume"] = {
            "weight_optimizer": on_cpu(self.weight_optimizer.state_dict()),
            "alpha_optimizer": on_cpu(self.architect.optimizer.state_dict()),
            "step": self.steps_done,
            "watch": self.early_stopping.state(),
        }
        return checkpoint

    def _train(self, epoch: int) -> tuple[Steps, float]:
        """The epoch's steps, done, and their mean loss. Hidden states start at zero in each epoch."""
        config, network = self.config, self.network
        network.train()
        if self.interrupted is None:
            zeros = network.start(config.batch_size)
            self.hidden = _Hidden(zeros, zeros)
        penalties = Penalties(config.activation_penalty, config.slowness_penalty)
        group = self.weight_optimizer.param_groups[0]
        spans = search_spans(len(self.weight_text), config.bptt, config.seed, epoch)
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
            start, length = spans[step]
            batch = window(self.weight_text, start, length)
            # The alphas' text is shorter: it is read round and round.
            other = window(self.alpha_text, start % (len(self.alpha_text) - 1), config.bptt)
            # A short window's gradient is a mean over fewer words: its step is shorter, the virtual one's as well.
            group["lr"] = config.weight_lr * length / config.bptt
            stepped = recurrent_search_step(
                network,
                self.architect,
                self.weight_optimizer,
                Stretch(batch, self.hidden.training),
                Stretch(other, self.hidden.validation),
                partial(self._masks, epoch, step),
                grad_clip=config.grad_clip,
                penalties=penalties,
            )
            self.hidden = _Hidden(stepped.training, stepped.validation)
            self.steps_done += 1
            tally.add(stepped.loss, batch.targets.numel())
        group["lr"] = config.weight_lr
        return steps, tally.mean()

    def _in_the_middle(self, epoch: int, opened: PartialEpoch) -> Checkpoint:
        checkpoint = self._checkpoint(epoch - 1, derived(epoch, self.network.genotype), {})
        checkpoint["resume"]["hidden"] = on_cpu(self.hidden)
        return opened.into(checkpoint)

    def _masks(self, epoch: int, step: int, name: PassName) -> Masks:
        return masks_of(self.config, self.network, self.config.batch_size, epoch, step, name)
