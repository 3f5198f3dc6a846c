"""Trains a found cell from scratch. DARTS (arXiv:1806.09055), sections 3.2 and A.2."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, ClassVar

import torch
from torch import Tensor

from darts_core.configs import EvaluationConfig
from darts_core.configs.evaluation import auxiliary_problems
from darts_core.configs.init_from import InitFrom
from darts_core.data.batches import Batch
from darts_core.data.order import generator
from darts_core.data.splits import part_indices
from darts_core.distributed.batch_norm import synchronise
from darts_core.distributed.group import ALONE, Group
from darts_core.errors import ConfigError
from darts_core.files.checkpoints import Checkpoint, Kind, on_cpu
from darts_core.models.build import build_evaluation_network
from darts_core.models.inheritance import supernet_names
from darts_core.models.retrained import RetrainedNetwork
from darts_core.training.compiled_step import compiling
from darts_core.training.control import UNCONTROLLED, Control
from darts_core.training.defaults import DATA_ROOT
from darts_core.training.determinism import captured, restored, seeded
from darts_core.training.evaluation_step import evaluation_step, restore_optimizer, weight_optimizer
from darts_core.training.fused_sgd import FusedSGD
from darts_core.training.graphed_evaluation import GraphedEvaluation
from darts_core.training.images import DeviceData, room_for_graph, run_on_images, stem_of
from darts_core.training.init_from import Source, start_evaluation
from darts_core.training.loop import TrainingLoop
from darts_core.training.metrics import RunningMetrics, graphed_batches
from darts_core.training.precision import type_of
from darts_core.training.reports import EpochReport
from darts_core.training.schedules import linear, weight_lr
from darts_core.training.step_graphs import StepGraphs, memory_pool

logger = logging.getLogger(__name__)


def run_evaluation(
    config: EvaluationConfig,
    *,
    data_root: Path = DATA_ROOT,
    device: torch.device | None = None,
    resume_from: Checkpoint | None = None,
    control: Control = UNCONTROLLED,
    gpus: int = 1,
    group: Group = ALONE,
    source: Source | None = None,
) -> Iterator[EpochReport]:
    """Train one genotype from scratch, and report after every epoch. The arguments are those of `run_search`.

    Metrics: train_loss (what is minimised: with label smoothing and the auxiliary head's share), train_accuracy,
    weight_lr, drop_path; with train_portion < 1 also validation_loss and validation_accuracy on the training images
    held out, or on the validation images that the data set brings: by these epochs and cells are to be chosen.
    test_loss and test_accuracy come with the last epoch alone and choose nothing.

    Raises at once ConfigError, DataError, CheckpointError; while running Stopped and Diverged.
    """
    return run_on_images(
        ImageEvaluation,
        "evaluation",
        config.resolved(),
        data_root=data_root,
        device=device,
        resume_from=resume_from,
        control=control,
        gpus=gpus,
        group=group,
        source=source,
    )


class ImageEvaluation(TrainingLoop):
    """The loop around the training step on images."""

    kind: ClassVar[Kind] = "evaluation"
    config: EvaluationConfig
    data: DeviceData
    network: RetrainedNetwork
    sums: RunningMetrics

    def __init__(
        self, config: EvaluationConfig, data: DeviceData, control: Control, resume_from: Checkpoint | None = None
    ) -> None:
        super().__init__(config, data, control, resume_from)
        _check_auxiliary(config, data)
        sizes = config.split_sizes(len(data.train_images))
        training_part, held_out = part_indices(len(data.train_images), sizes, config.seed)
        self.feed = data.feed(training_part, "training", config, config.batch_size)
        self.held_out = held_out.to(data.device)
        with seeded(config.seed, "network"):
            # Drawn on the CPU, then moved: the same start on every device.
            self.network = build_evaluation_network(
                config,
                classes=len(data.source.classes),
                image_channels=data.source.channels,
                stem=stem_of(config, data),
            )
        # Depthwise convolutions run up to three times faster in this layout, on CPUs and GPUs alike.
        self.network.to(data.device, type_of(config), memory_format=torch.channels_last)  # type: ignore[call-overload]
        synchronise(self.network, self.group)
        self.optimizer = weight_optimizer(self.network.parameters(), config, data.device)
        self.drop_path_source = generator(config.seed, "drop-path", device=data.device)
        self.measuring_graphs: StepGraphs | None = None
        self.move = compiling(self.network, config, self._step()) if config.compile_cells else self._step()
        self.best: dict[str, Any] = {}

    def _step(self) -> Callable[[Batch], tuple[Tensor, Tensor]]:
        """What moves the weights on a batch; on a GPU also the graphs of the measuring, and a line of the log."""
        config, data, network, optimizer = self.config, self.data, self.network, self.optimizer
        if data.device.type == "cuda" and isinstance(optimizer, FusedSGD):
            reason = no_graph(config, noise=network.has_noise, room=room_for_graph(config, data))
            if self.group.leads:
                logger.info("trains %s", "in CUDA graphs" if reason is None else f"without a CUDA graph: {reason}")
            if reason is None:
                pool = memory_pool(data.device)
                self.measuring_graphs = graphed_batches(network, pool)
                return GraphedEvaluation(network, optimizer, config, self.group, pool=pool)
        return lambda batch: evaluation_step(network, optimizer, batch, config, self.group)

    def take(self, source: Source, start: InitFrom) -> str:
        own = self.network.state_dict()
        if source["kind"] == "evaluation":
            return start_evaluation(own, {name: name for name in own}, source["weights"])
        # Running statistics are those of the mixed operations: they begin anew.
        parameters = {name: own[name] for name, _ in self.network.named_parameters()}
        names = supernet_names(parameters, self.config, source["spec"], source["weights"].keys())
        return start_evaluation(parameters, names, source["weights"])

    def restore(self, checkpoint: Checkpoint, state: dict[str, Any]) -> None:
        self.network.load_state_dict(checkpoint["weights"])
        restore_optimizer(self.optimizer, state["weight_optimizer"])
        restored(self.drop_path_source, state["drop_path"])
        self.best = state["best"]

    def fill(self, checkpoint: Checkpoint) -> None:
        checkpoint["weights"] = on_cpu(self.network.state_dict())
        checkpoint["genotype"] = dict(self.config.genotype)
        checkpoint["resume"] |= {
            "weight_optimizer": on_cpu(self.optimizer.state_dict()),
            "drop_path": captured(self.drop_path_source),
            "best": dict(self.best),
        }

    def begin_epoch(self) -> int:
        config, epochs = self.config, self.config.epochs_in(self.epoch)
        self.lr = weight_lr(config, self.epoch, epochs)
        self.optimizer.param_groups[0]["lr"] = self.lr
        self.drop_path = linear(self.epoch, epochs, config.drop_path)
        self.network.set_drop_path(self.drop_path, self.drop_path_source, self.group)
        self.sums = RunningMetrics(self.data.device)
        return self.feed.steps

    def step(self, number: int) -> None:
        batch = self.feed.batch(self.steps_done)
        self._key_noise("training", self.steps_done)
        loss, logits = self.move(batch)
        self.sums.add(loss, logits, batch.labels)

    def _key_noise(self, *purpose: str | int) -> None:
        if self.network.has_noise:
            self.network.set_noise(generator(self.config.seed, "noise", *purpose, device=self.data.device))

    def measure(self) -> dict[str, float]:
        self._key_noise("measuring", self.epoch)
        data, trained = self.data, self.sums.result(self.group)
        metrics = {"train_loss": trained.loss, "train_accuracy": trained.accuracy}
        images, labels = data.validation(self.held_out)
        if len(images):
            validated = data.measure(self.network, images, labels, self.control, self.measuring_graphs)
            metrics |= {"validation_loss": validated.loss, "validation_accuracy": validated.accuracy}
            if validated.accuracy > self.best.get("validation_accuracy", -1.0):
                self.best = {"epoch": self.epoch, "validation_accuracy": validated.accuracy}
        if self.epoch == self.config.epochs_in(self.epoch):
            images, labels = data.source.test_images.to(data.device), data.source.test_labels.to(data.device)
            tested = data.measure(self.network, images, labels, self.control, self.measuring_graphs)
            metrics |= {"test_loss": tested.loss, "test_accuracy": tested.accuracy}
        return metrics | {"weight_lr": self.lr, "drop_path": self.drop_path}


def no_graph(config: EvaluationConfig, *, noise: bool, room: bool) -> str | None:
    """Why a GPU launches the step kernel by kernel; None if a CUDA graph does. room: see `room_for_graph`."""
    if not config.cuda_graph:
        return "the spec has cuda_graph: false"
    if noise:
        return "noise is drawn in each step"
    if config.precision == "float64":
        return "a recorded SGD would round the learning rate to float32"
    return None if room else "the memory is too small for a recorded step beside called ones"


def _check_auxiliary(config: EvaluationConfig, data: DeviceData) -> None:
    """What a spec cannot know before its folder of images is opened."""
    values = config.model_dump(include={"layers", "reductions"})
    if config.auxiliary and (
        problems := auxiliary_problems(values, stem_of(config, data), config.dataset, data.source.size)
    ):
        raise ConfigError(problems)
