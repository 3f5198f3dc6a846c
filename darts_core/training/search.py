"""Searching a cell: the loop around the bilevel step. DARTS (arXiv:1806.09055), algorithm 1 and section A.1."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from darts_core.bilevel.architect import Architect
from darts_core.bilevel.flat import FlatSGD, FlatWeights
from darts_core.bilevel.graphed import GraphedStep
from darts_core.bilevel.step import search_step
from darts_core.configs import SearchConfig
from darts_core.configs.common import check_shares
from darts_core.configs.early import check_hessian
from darts_core.data.batches import Batch
from darts_core.data.order import generator
from darts_core.data.splits import part_indices
from darts_core.distributed.batch_norm import synchronise
from darts_core.distributed.control import shared
from darts_core.distributed.group import ALONE, Group
from darts_core.files.checkpoints import Checkpoint, check_resumable, on_cpu
from darts_core.genotypes import Genotype, cell_diagnostics, to_json
from darts_core.kernels import gpu
from darts_core.models.supernet import SearchNetwork
from darts_core.training.control import Control
from darts_core.training.curvature import HESSIAN_IMAGES, dominant_eigenvalue
from darts_core.training.determinism import seeded
from darts_core.training.epoch_history import EarlyStopping
from darts_core.training.epochs import derived, reports, tables
from darts_core.training.metrics import RunningMetrics, measure
from darts_core.training.precision import precision_of, type_of
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
from darts_core.training.schedules import weight_lr


def run_search(
    config: SearchConfig,
    *,
    data_root: Path = DATA_ROOT,
    device: torch.device | None = None,
    resume_from: Checkpoint | None = None,
    control: Control = UNCONTROLLED,
    gpus: int = 1,
    group: Group = ALONE,
) -> Iterator[EpochReport]:
    """Search, and report after every epoch. The next epoch starts when the next report is asked for.

    data_root: where data sets lie. device: a GPU if there is one, unless told. resume_from: go on behind that epoch, or
    in the middle of the next, to the same bits as an undisturbed run (same hardware and threads, `deterministic`);
    nothing is reported behind the last epoch. gpus: compute on that many, a process each, which share every batch; on
    a CPU that many processes. group: the processes that this one already computes with.

    The training images are cut in two by the seed: one part trains the weights, the other the alphas; validation
    images that the data set brings are left alone, so that cells can be chosen by them. Metrics:
    train_loss, train_accuracy (of the weight steps, in training mode), validation_loss, validation_accuracy (of the
    alphas' part at the epoch's end, without augmentation), weight_lr, and what
    `darts_core.genotypes.cell_diagnostics` tells of cell and alphas; with `hessian_every` hessian_eigenvalue, and
    eigenvalue_growth. A search that stops because the eigenvalue has grown returns the alphas and the cell of the epoch
    rolled_back_to; what it measured is of its last epoch all the same.

    Raises at once ConfigError, DataError, CheckpointError (resume_from is of another spec); while running Stopped
    (when the control asks, between two steps) and Diverged.
    """
    config = config.resolved()
    device = device or default_device()
    check_shares(config.batch_size, max(gpus, group.size))
    check_hessian(config.hessian_every, max(gpus, group.size))
    if gpus > 1:
        from darts_core.distributed.launch import launch  # which starts programs that import this file

        return launch(
            "search", config, gpus, data_root=data_root, device=device, resume_from=resume_from, control=control
        )
    data = DeviceData.read(config, data_root, device, group)
    config = with_stem(config, data)
    if resume_from is not None:
        check_resumable(resume_from, "search", config)
        check_ranks(resume_from, group.size)
    else:
        # Not of a run that goes on: it fitted before, and what its dead worker held may not be free again yet.
        check_memory(config, data)
    run = _Search(config, data, control)
    if resume_from is not None:
        run.restore(resume_from)
    return reports(config, device, run.epoch, after=run.done)


class _Search:
    done = 0  # epochs that need not be run any more

    def __init__(self, config: SearchConfig, data: DeviceData, control: Control) -> None:
        self.config, self.data, self.group = config, data, data.group
        self.control = shared(control, self.group)
        sizes = config.split_sizes(len(data.train_images))
        weight_part, alpha_part = part_indices(len(data.train_images), sizes, config.seed)
        self.weight_feed = data.feed(weight_part, "weight-training", config, config.batch_size)
        self.alpha_feed = data.feed(alpha_part, "alpha-training", config, config.batch_size)
        self.alpha_part = alpha_part.to(data.device)
        assert config.primitives is not None  # a resolved spec names them
        # Statistics out of products of maps want all of a batch, and in bf16 kernels that sum up in more than that.
        on_gpu = data.device.type == "cuda"
        self.fused = (
            config.fused
            and (precision_of(config, data.device) != "bf16" or (on_gpu and gpu.available()))
            and not (self.group.size > 1 and on_gpu)
        )
        with seeded(config.seed, "network"):
            # Drawn on the CPU, then moved: the same start on every device.
            self.network = SearchNetwork(
                config.primitives,
                channels=config.channels,
                layers=config.layers,
                reductions=config.reductions,
                nodes=config.nodes,
                classes=len(data.source.classes),
                image_channels=data.source.channels,
                stem=stem_of(config, data),
                fused=self.fused,
            )
        self.network.to(data.device, type_of(config))
        synchronise(self.network, self.group, data.device)
        self.weight_optimizer = self._weight_optimizer()
        self.architect = Architect(
            self.network,
            self.weight_optimizer,
            order=config.order,
            lr=config.alpha_lr,
            weight_decay=config.alpha_weight_decay,
            group=self.group,
            accumulate=config.accumulate,
        )
        self.step = self._step()
        self.early_stopping = EarlyStopping(config.stop_when, config.stop_from)
        self.interrupted: PartialEpoch | None = None

    def _step(self) -> Callable[[Batch, Batch], tuple[Tensor, Tensor]]:
        """What moves alphas and weights on a training and a validation batch."""
        config, optimizer = self.config, self.weight_optimizer
        if config.cuda_graph and isinstance(optimizer, FlatSGD) and self.data.device.type == "cuda":
            return GraphedStep(self.network, self.architect, optimizer, config.grad_clip, accumulate=config.accumulate)
        return lambda training, validation: search_step(
            self.network,
            self.architect,
            optimizer,
            training,
            validation,
            config.grad_clip,
            self.group,
            config.accumulate,
        )

    def _weight_optimizer(self) -> torch.optim.SGD:
        config = self.config
        options: dict[str, Any] = {
            "lr": config.weight_lr,
            "momentum": config.momentum,
            "weight_decay": config.weight_decay,
        }
        if self.fused:
            self.network.lay_statistics_together()
            return FlatSGD(FlatWeights(self.network), **options)
        # Depthwise convolutions run up to three times faster in this layout, on CPUs and GPUs alike.
        self.network.to(memory_format=torch.channels_last)
        return torch.optim.SGD(self.network.weights(), **options, foreach=True)

    def restore(self, checkpoint: Checkpoint) -> None:
        self.network.load_state_dict(checkpoint["weights"])
        self.network.load_alphas(checkpoint["alphas"])
        # load_state_dict of an optimiser keeps tensors that it need not move: the run must not write into the report.
        state = on_cpu(checkpoint["resume"])
        self.weight_optimizer.load_state_dict(state["weight_optimizer"])
        self.architect.optimizer.load_state_dict(state["alpha_optimizer"])
        self.early_stopping.restore(state.get("watch"))
        self.done = self.config.epochs if self.early_stopping.stopped else checkpoint["epoch"]
        self.interrupted = PartialEpoch.of(checkpoint)

    def epoch(self, epoch: int) -> EpochReport:
        config = self.config
        lr = weight_lr(config, epoch, config.epochs)
        self.weight_optimizer.param_groups[0]["lr"] = lr
        steps, tally = self._train(epoch)
        trained = tally.result(self.group)
        images, labels = self.data.train_images[self.alpha_part], self.data.train_labels[self.alpha_part]
        validated = measure(self.network, images, labels, self.data.normalise, control=self.control, group=self.group)
        metrics = {
            "train_loss": trained.loss,
            "train_accuracy": trained.accuracy,
            "validation_loss": validated.loss,
            "validation_accuracy": validated.accuracy,
            "weight_lr": lr,
        }
        if config.hessian_every is not None and epoch % config.hessian_every == 0:
            metrics["hessian_eigenvalue"] = self._eigenvalue(epoch)
        check_finite(epoch, metrics)
        genotype, alphas = derived(epoch, self.network.genotype), on_cpu(self.network.alphas)
        metrics |= cell_diagnostics(genotype, tables(alphas))
        warnings = self.early_stopping.update(metrics, alphas)
        if back := self.early_stopping.back:
            self.network.load_alphas(back.alphas)
            genotype, alphas = self.network.genotype(), on_cpu(back.alphas)
            metrics |= {**cell_diagnostics(genotype, tables(alphas)), "rolled_back_to": float(back.epoch)}
        checkpoint = self._checkpoint(epoch, epoch * self.weight_feed.steps, genotype, metrics)
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

    def _eigenvalue(self, epoch: int) -> float:
        images = self.alpha_part[:HESSIAN_IMAGES]
        return dominant_eigenvalue(
            self.network,
            self.data.normalise(self.data.train_images[images]),
            self.data.train_labels[images],
            generator(self.config.seed, "hessian", epoch),
        )

    def _checkpoint(self, epoch: int, step: int, genotype: Genotype, metrics: dict[str, float]) -> Checkpoint:
        """epoch: the last finished one. step: steps done in all epochs."""
        checkpoint = frame("search", epoch, self.config, self.data, metrics)
        checkpoint["weights"] = on_cpu(self.network.state_dict())
        checkpoint["alphas"] = on_cpu(self.network.alphas)
        checkpoint["genotype"] = to_json(genotype)
        checkpoint["resume"] = {
            "weight_optimizer": on_cpu(self.weight_optimizer.state_dict()),
            "alpha_optimizer": on_cpu(self.architect.optimizer.state_dict()),
            "step": step,
            "watch": self.early_stopping.state(),
        }
        return checkpoint

    def _train(self, epoch: int) -> tuple[Steps, RunningMetrics]:
        self.network.train()
        count = self.weight_feed.steps
        tally = RunningMetrics(self.data.device)

        def in_the_middle(opened: PartialEpoch) -> Checkpoint:
            return opened.into(
                self._checkpoint(
                    epoch - 1, (epoch - 1) * count + opened.steps, derived(epoch, self.network.genotype), {}
                )
            )

        steps = Steps(
            self.control,
            epoch=epoch,
            epochs=self.config.epochs,
            steps=count,
            tally=tally,
            group=self.group,
            resumed=self.interrupted,
            save_seconds=self.config.checkpoint_seconds,
            checkpoint=in_the_middle,
        )
        self.interrupted = None
        for step in steps:
            number = (epoch - 1) * count + step
            training, validation = self.weight_feed.batch(number), self.alpha_feed.batch(number)
            loss, logits = self.step(training, validation)
            tally.add(loss, logits, training.labels)
        return steps, tally
