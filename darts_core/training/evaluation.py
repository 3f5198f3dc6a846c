"""Training a found cell from scratch. DARTS (arXiv:1806.09055), sections 3.2 and A.2."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch

from darts_core.configs import EvaluationConfig
from darts_core.configs.common import check_shares
from darts_core.configs.evaluation import auxiliary_problems
from darts_core.data.order import generator
from darts_core.data.splits import part_indices
from darts_core.distributed.batch_norm import synchronise
from darts_core.distributed.control import shared
from darts_core.distributed.group import ALONE, Group
from darts_core.errors import ConfigError
from darts_core.files.checkpoints import Checkpoint, check_resumable, on_cpu
from darts_core.models.evaluation_network import EvaluationNetwork
from darts_core.training.control import Control
from darts_core.training.determinism import captured, restored, seeded
from darts_core.training.epochs import reports
from darts_core.training.evaluation_step import evaluation_step, restore_optimizer, weight_optimizer
from darts_core.training.metrics import Measured, RunningMetrics, measure
from darts_core.training.precision import type_of
from darts_core.training.reports import EpochReport
from darts_core.training.run import (
    DATA_ROOT,
    UNCONTROLLED,
    DeviceData,
    PartialEpoch,
    Steps,
    check_finite,
    check_memory,
    check_ranks,
    default_device,
    frame,
    stem_of,
    with_stem,
)
from darts_core.training.schedules import linear, weight_lr


def run_evaluation(
    config: EvaluationConfig,
    *,
    data_root: Path = DATA_ROOT,
    device: torch.device | None = None,
    resume_from: Checkpoint | None = None,
    control: Control = UNCONTROLLED,
    gpus: int = 1,
    group: Group = ALONE,
) -> Iterator[EpochReport]:
    """Train one genotype from scratch, and report after every epoch. The arguments are those of `run_search`.

    Metrics: train_loss (what is minimised: with label smoothing and the auxiliary head's share), train_accuracy,
    weight_lr, drop_path; with train_portion < 1 also validation_loss and validation_accuracy on the training images
    held out, or on the validation images that the data set brings: by these epochs and cells are to be chosen.
    test_loss and test_accuracy come with the last epoch alone and choose nothing.

    Raises at once ConfigError, DataError, CheckpointError; while running Stopped and Diverged.
    """
    config = config.resolved()
    device = device or default_device()
    check_shares(config.batch_size, max(gpus, group.size))
    if gpus > 1:
        from darts_core.distributed.launch import launch  # which starts programs that import this file

        return launch(
            "evaluation", config, gpus, data_root=data_root, device=device, resume_from=resume_from, control=control
        )
    data = DeviceData.read(config, data_root, device, group)
    config = with_stem(config, data)
    if resume_from is not None:
        check_resumable(resume_from, "evaluation", config)
        check_ranks(resume_from, group.size)
    else:
        # Not of a run that goes on: it fitted before, and what its dead worker held may not be free again yet.
        check_memory(config, data)
    run = _Evaluation(config, data, control)
    if resume_from is not None:
        run.restore(resume_from)
    return reports(config, device, run.epoch, after=resume_from["epoch"] if resume_from else 0)


class _Evaluation:
    def __init__(self, config: EvaluationConfig, data: DeviceData, control: Control) -> None:
        self.config, self.data, self.group = config, data, data.group
        self.control = shared(control, self.group)
        _check_auxiliary(config, data)
        sizes = config.split_sizes(len(data.train_images))
        training_part, held_out = part_indices(len(data.train_images), sizes, config.seed)
        self.feed = data.feed(training_part, "training", config, config.batch_size)
        self.held_out = held_out.to(data.device)
        with seeded(config.seed, "network"):
            # Drawn on the CPU, then moved: the same start on every device.
            self.network = EvaluationNetwork(
                config.cell(),
                channels=config.channels,
                layers=config.layers,
                reductions=config.reductions,
                classes=len(data.source.classes),
                auxiliary=config.auxiliary,
                image_channels=data.source.channels,
                stem=stem_of(config, data),
            )
        # Depthwise convolutions run up to three times faster in this layout, on CPUs and GPUs alike.
        self.network.to(data.device, type_of(config), memory_format=torch.channels_last)  # type: ignore[call-overload]
        synchronise(self.network, self.group, data.device)
        self.optimizer = weight_optimizer(self.network.parameters(), config, data.device)
        self.drop_path_source = generator(config.seed, "drop-path", device=data.device)
        self.best: dict[str, Any] = {}
        self.interrupted: PartialEpoch | None = None

    def restore(self, checkpoint: Checkpoint) -> None:
        self.network.load_state_dict(checkpoint["weights"])
        # load_state_dict of an optimiser keeps tensors that it need not move: the run must not write into the report.
        state = on_cpu(checkpoint["resume"])
        restore_optimizer(self.optimizer, state["weight_optimizer"])
        restored(self.drop_path_source, state["drop_path"])
        self.best = state["best"]
        self.interrupted = PartialEpoch.of(checkpoint)

    def epoch(self, epoch: int) -> EpochReport:
        config = self.config
        lr = weight_lr(config, epoch, config.epochs)
        self.optimizer.param_groups[0]["lr"] = lr
        drop_path = linear(epoch, config.epochs, config.drop_path)
        self.network.set_drop_path(drop_path, self.drop_path_source, self.group)
        steps, tally = self._train(epoch)
        trained = tally.result(self.group)
        metrics = {"train_loss": trained.loss, "train_accuracy": trained.accuracy}
        images, labels = self.data.validation(self.held_out)
        if len(images):
            validated = measure(
                self.network, images, labels, self.data.normalise, control=self.control, group=self.group
            )
            metrics |= {"validation_loss": validated.loss, "validation_accuracy": validated.accuracy}
            if validated.accuracy > self.best.get("validation_accuracy", -1.0):
                self.best = {"epoch": epoch, "validation_accuracy": validated.accuracy}
        if epoch == config.epochs:
            tested = self._test()
            metrics |= {"test_loss": tested.loss, "test_accuracy": tested.accuracy}
        metrics |= {"weight_lr": lr, "drop_path": drop_path}
        check_finite(epoch, metrics)
        checkpoint = self._checkpoint(epoch, epoch * self.feed.steps, metrics)
        return EpochReport(epoch, metrics, steps.seconds, None, None, checkpoint)

    def _checkpoint(self, epoch: int, step: int, metrics: dict[str, float]) -> Checkpoint:
        """epoch: the last finished one. step: steps done in all epochs."""
        checkpoint = frame("evaluation", epoch, self.config, self.data, metrics)
        checkpoint["weights"] = on_cpu(self.network.state_dict())
        checkpoint["genotype"] = dict(self.config.genotype)
        checkpoint["resume"] = {
            "weight_optimizer": on_cpu(self.optimizer.state_dict()),
            "drop_path": captured(self.drop_path_source),
            "step": step,
            "best": dict(self.best),
        }
        return checkpoint

    def _train(self, epoch: int) -> tuple[Steps, RunningMetrics]:
        self.network.train()
        tally = RunningMetrics(self.data.device)

        def in_the_middle(opened: PartialEpoch) -> Checkpoint:
            return opened.into(self._checkpoint(epoch - 1, (epoch - 1) * self.feed.steps + opened.steps, {}))

        steps = Steps(
            self.control,
            epoch=epoch,
            epochs=self.config.epochs,
            steps=self.feed.steps,
            tally=tally,
            group=self.group,
            resumed=self.interrupted,
            save_seconds=self.config.checkpoint_seconds,
            checkpoint=in_the_middle,
        )
        self.interrupted = None
        for step in steps:
            batch = self.feed.batch((epoch - 1) * self.feed.steps + step)
            loss, logits = evaluation_step(self.network, self.optimizer, batch, self.config, self.group)
            tally.add(loss, logits, batch.labels)
        return steps, tally

    def _test(self) -> Measured:
        source, device = self.data.source, self.data.device
        return measure(
            self.network,
            source.test_images.to(device),
            source.test_labels.to(device),
            self.data.normalise,
            control=self.control,
            group=self.group,
        )


def _check_auxiliary(config: EvaluationConfig, data: DeviceData) -> None:
    """What a spec cannot know before its folder of images is opened."""
    values = config.model_dump(include={"layers", "reductions"})
    if config.auxiliary and (
        problems := auxiliary_problems(values, stem_of(config, data), config.dataset, data.source.size)
    ):
        raise ConfigError(problems)
