"""Runs the loop around the bilevel step on images: DARTS (arXiv:1806.09055), algorithm 1."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor

from darts_core.bilevel.architect import Architect
from darts_core.bilevel.flat import FlatSGD, FlatWeights
from darts_core.bilevel.graphed import GraphedStep
from darts_core.bilevel.step import search_step
from darts_core.configs import SearchConfig
from darts_core.configs.methods import METHODS
from darts_core.configs.stages import Stage
from darts_core.data.batches import Batch
from darts_core.data.order import generator
from darts_core.data.splits import part_indices
from darts_core.distributed.batch_norm import synchronise
from darts_core.files.checkpoints import Checkpoint, on_cpu
from darts_core.genotypes import collapse_signs, is_collapsed
from darts_core.kernels import gpu
from darts_core.kernels.gpu.start import wants_kernels
from darts_core.methods.method import SearchMethod
from darts_core.methods.registry import method_of
from darts_core.models.alpha_network import AlphaNetwork
from darts_core.models.build import build_supernet
from darts_core.training.adaptive_decay import AdaptiveDecay, State, growth_rule
from darts_core.training.arrangement import arrangement_of
from darts_core.training.carry_over import carry_over
from darts_core.training.collapse_guard import CollapseGuard
from darts_core.training.control import Control
from darts_core.training.curvature import HESSIAN_IMAGES, dominant_eigenvalue
from darts_core.training.determinism import seeded
from darts_core.training.images import DeviceData, stem_of
from darts_core.training.kernel_guard import KernelGuard
from darts_core.training.kernel_use import KernelUse
from darts_core.training.loop import check_finite
from darts_core.training.metrics import Measured, RunningMetrics, graphed_batches
from darts_core.training.precision import type_of
from darts_core.training.reports import EpochReport
from darts_core.training.schedules import weight_lr
from darts_core.training.search_loop import SearchLoop
from darts_core.training.search_target import expected_costs, target_of, target_state
from darts_core.training.step_graphs import StepGraphs, memory_pool

logger = logging.getLogger(__name__)

Step = Callable[[Batch, Batch], tuple[Tensor, Tensor]]


class ImageSearch(SearchLoop):
    """The loop around the bilevel step on images."""

    config: SearchConfig
    data: DeviceData
    network: AlphaNetwork
    architect: Architect
    sums: RunningMetrics

    def __init__(
        self, config: SearchConfig, data: DeviceData, control: Control, resume_from: Checkpoint | None = None
    ) -> None:
        super().__init__(config, data, control, resume_from)
        sizes = config.split_sizes(len(data.train_images))
        weight_part, alpha_part = part_indices(len(data.train_images), sizes, config.seed)
        self.weight_feed = data.feed(weight_part, "weight-training", config, config.batch_size)
        self.alpha_feed = data.feed(alpha_part, "alpha-training", config, config.batch_size)
        self.alpha_part = alpha_part.to(data.device)
        self.method = METHODS[config.method]
        self.arrangement = arrangement_of(config, data.device, self.group)
        self.kernel_use = KernelUse(wanted=wants_kernels(config, data.device), group=self.group)
        held = None if resume_from is None else resume_from["resume"].get("target")
        self.target = target_of(config, data.source, data.device, held)
        method = method_of(config)
        if resume_from is not None:
            method.load_state(resume_from.get("method", {}))
        self._build(method)
        self.adaptive = AdaptiveDecay.of(config)
        self.passes = 1
        """Passes over the training images that the epoch in training still takes, or the next one; with `adaptive` it
        begins with the epochs that are trained again.
        """
        self._added_steps = 0
        self.guard = CollapseGuard(config.epochs_in) if config.guard == "auto" else None
        if self.method.trains and self.group.leads:
            self.arrangement.log(data.device)
            rule, every = growth_rule(config), config.hessian_every
            if rule is not None and every is not None and rule.last <= (soonest := rule.soonest(every)):
                logger.info("the eigenvalue is compared from epoch %d on, and the last is %d", soonest, rule.last)

    @property
    def stopped_early(self) -> str | None:
        return self.guard.stopped if self.guard else super().stopped_early

    def _build(self, method: SearchMethod) -> None:
        """Build the network of the method's stage, with new weights and alphas, and its optimisers."""
        config, data, stage = self.config, self.data, method.stage.number
        with seeded(config.seed, "network", *([stage] if stage else [])):
            # Drawn on the CPU, then moved: the same start on every device.
            self.network = build_supernet(
                config,
                classes=len(data.source.classes),
                image_channels=data.source.channels,
                stem=stem_of(config, data),
                fused=self.arrangement.fused,
                method=method,
            )
        self.network.to(data.device, type_of(config))
        self.network.target = self.target
        synchronise(self.network, self.group)
        self.weight_optimizer = self._weight_optimizer()
        self.architect = Architect(
            self.network,
            self.weight_optimizer,
            order=config.order,
            lr=config.alpha_lr,
            weight_decay=config.alpha_weight_decay,
            group=self.group,
            accumulate=config.accumulate,
            grad_clip=config.alpha_grad_clip,
        )
        self.kernel_guard = KernelGuard(self.network, self.weight_optimizer, self.architect.optimizer, group=self.group)
        self.move = self._step()
        self.measuring_graphs = self._of_measuring()

    def _of_measuring(self) -> StepGraphs | None:
        """Graphs of the measuring, where there are some of the steps."""
        optimizer = self.weight_optimizer
        if not self._has_graphs or not isinstance(optimizer, FlatSGD):
            return None
        network, weights = self.network, optimizer.weights
        return graphed_batches(
            network,
            memory_pool(self.data.device),
            held=lambda: (network.method.schedule, weights.values.data_ptr(), gpu.available()),
        )

    @property
    def _has_graphs(self) -> bool:
        return self.data.device.type == "cuda" and self.arrangement.fused and self.arrangement.no_graph is None

    def _step(self) -> Step:
        """What moves alphas and weights on a training and a validation batch."""
        config, optimizer = self.config, self.weight_optimizer
        if self._has_graphs and isinstance(optimizer, FlatSGD):
            return GraphedStep(
                self.network,
                self.architect,
                optimizer,
                config.grad_clip,
                group=self.group,
                accumulate=config.accumulate,
            )
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
        if self.arrangement.fused:
            self.network.share_statistics_storage()
            return FlatSGD(FlatWeights(self.network), **options)
        # Depthwise convolutions run up to three times faster in this layout, on CPUs and GPUs alike.
        self.network.to(memory_format=torch.channels_last)
        return torch.optim.SGD(self.network.weights(), **options, foreach=True)

    def begin_epoch(self) -> int:
        self._begin_pass()
        steps = self.weight_feed.steps
        if not self.method.trains:
            return 0
        if self.adaptive is None:
            return steps
        done = 0 if self.partial is None else self.partial.steps
        return done - done % steps + self.passes * steps

    def _begin_pass(self) -> None:
        epoch = self._pass_epoch
        method = self.network.method
        stage = next(stage for stage in method.stages if epoch <= stage.last)
        if stage != method.stage:
            self._begin_stage(stage)
        if method.carries_over or len(method.stages) == 1:
            self.lr = weight_lr(self.config, epoch, self.config.epochs_in(epoch))
        else:
            self.lr = weight_lr(self.config, epoch - stage.first + 1, stage.epochs)
        self.weight_optimizer.param_groups[0]["lr"] = self.lr
        method.begin_epoch(epoch)
        self.weight_feed.cutout_probability = self.alpha_feed.cutout_probability = method.cutout_probability
        self.sums = RunningMetrics(self.data.device)

    def _begin_stage(self, stage: Stage) -> None:
        method, before = self.network.method, (self.network, self.weight_optimizer, self.architect)
        logger.info("stage %d of %d begins", stage.number + 1, len(method.stages))
        method.begin_stage(stage, self.network.alphas)
        self._build(method)
        if method.carries_over:
            source = generator(self.config.seed, "widening", stage.number)
            carry_over(before, (self.network, self.weight_optimizer, self.architect), source)

    @property
    def _pass_epoch(self) -> int:
        """The epoch whose schedules the present pass follows."""
        return self.epoch - max(self.passes, 1) + 1

    def step(self, number: int) -> None:
        self.train_step(self.steps_done)

    @property
    def last_step(self) -> int:
        """The number of the epoch's last training step, once it is done."""
        return self.steps_done - 1

    def train_step(self, number: int) -> None:
        """Train on the batches of this number, counted from 0 over all epochs."""
        self.network.method.begin_step(number)
        training = self.weight_feed.batch(number)
        validation = training if self.method.levels == "one" else self.alpha_feed.batch(number)
        loss, logits = self.kernel_guard.run(
            "the search step", lambda: self.move(training, validation), training.images.shape, validation.images.shape
        )
        self.sums.add(loss, logits, training.labels)
        if self.adaptive is not None and (number + 1) % self.weight_feed.steps == 0:
            self._end_pass()

    def more_steps(self) -> int:
        added, self._added_steps = self._added_steps, 0
        return added

    def _end_pass(self) -> None:
        epoch = self._pass_epoch
        self.passes -= 1
        if self.passes == 0:
            return  # measured and reported with the epoch
        trained = self.sums.result(self.group)
        metrics = {"train_loss": trained.loss, "train_accuracy": trained.accuracy}
        check_finite(epoch, metrics)
        self.network.method.begin_pass("measuring")
        found, target = self._curvature(epoch)
        metrics |= found
        logger.info(
            "epoch %d again: %s", epoch, ", ".join(f"{k.replace('_', ' ')} {v:.4g}" for k, v in metrics.items())
        )
        if target is not None:
            self._go_back(target)
            passes = self.epoch - target
            self._added_steps = (passes - self.passes) * self.weight_feed.steps
            self.passes = passes
        self._begin_pass()

    def measure(self) -> dict[str, float]:
        if not self.method.trains:
            return {}
        trained = self.sums.result(self.group)
        validated = self.kernel_guard.run("the measuring", self._validated)
        metrics = {
            "train_loss": trained.loss,
            "train_accuracy": trained.accuracy,
            "validation_loss": validated.loss,
            "validation_accuracy": validated.accuracy,
            "weight_lr": self.lr,
        }
        metrics |= expected_costs(self.network)
        self.passes = 1
        found, target = self._curvature(self.epoch)
        metrics |= found
        if target is not None:
            self._go_back(target)
            self.passes = self.epoch + 1 - target
            metrics["rolled_back_to"] = float(target)
        return metrics

    def _validated(self) -> Measured:
        data, method = self.data, self.network.method
        images, labels = data.train_images[self.alpha_part], data.train_labels[self.alpha_part]
        method.begin_step(self.last_step)  # which a run that resumes behind it has not done
        method.begin_pass("measuring")
        return data.measure(self.network, images, labels, self.control, self.measuring_graphs)

    def report(self, metrics: dict[str, float]) -> EpochReport:
        report = super().report(metrics | self.kernel_use.metrics())
        return replace(report, warnings=(*self.kernel_use.warnings(), *report.warnings))

    def _curvature(self, epoch: int) -> tuple[dict[str, float], int | None]:
        """Metrics of the eigenvalue where it is measured, and the epoch to go back to."""
        every, adaptive = self.config.hessian_every, self.adaptive
        decay = float(self.weight_optimizer.param_groups[0]["weight_decay"])
        metrics = {} if adaptive is None else {"weight_decay": decay}
        if every is None or epoch % every != 0:
            return metrics, None
        metrics["hessian_eigenvalue"] = eigenvalue = self._eigenvalue()
        if adaptive is None:
            return metrics, None
        growth, target = adaptive.measured(epoch, eigenvalue, decay, self._state)
        return metrics | ({} if growth is None else {"eigenvalue_growth": growth}), target

    def _state(self) -> State:
        return {
            "weights": self.network.state_dict(),
            "alphas": self.network.alphas,
            "weight_optimizer": self.weight_optimizer.state_dict(),
            "alpha_optimizer": self.architect.optimizer.state_dict(),
        }

    def _go_back(self, epoch: int) -> None:
        """Load the state of an earlier epoch, and raise the weight decay."""
        assert self.adaptive is not None
        [group] = self.weight_optimizer.param_groups
        before, raised = group["weight_decay"], self.adaptive.raised(group["weight_decay"])
        self._load(self.adaptive.go_back(epoch))
        self.weight_optimizer.param_groups[0]["weight_decay"] = raised
        logger.info(
            "the eigenvalue grew: goes back to the end of epoch %d, weight decay %g instead of %g",
            epoch,
            raised,
            before,
        )

    def _load(self, state: State) -> None:
        """Take on what `_state` gave; the optimisers keep its tensors, and change them."""
        self.network.load_state_dict(state["weights"])
        self.network.load_alphas(state["alphas"])
        self.weight_optimizer.load_state_dict(state["weight_optimizer"])
        self.architect.optimizer.load_state_dict(state["alpha_optimizer"])

    def intervene(self, metrics: dict[str, float]) -> list[str]:
        """Let the guard, if there is one, watch the epoch and act."""
        guard, network = self.guard, self.network
        if guard is None:
            return []
        metrics |= {**self._signs(), "guard_penalty": network.guard_penalty}
        action = guard.update(
            self.epoch, metrics, collapsed=is_collapsed(network.genotype()), state=lambda: on_cpu(self._state())
        )
        network.penalised = guard.penalises
        if action is None:
            return []
        if action.back_to is not None:
            self._load(on_cpu(guard.kept))
            self.early_stopping.forget(action.back_to)
            metrics |= {**self._diagnostics(), **self._signs(), "rolled_back_to": float(action.back_to)}
        return [action.text]

    def _signs(self) -> dict[str, float]:
        return collapse_signs(self.network.genotype(), self.network.strengths(), self.network.primitives)

    def fill(self, checkpoint: Checkpoint) -> None:
        super().fill(checkpoint)
        if self.network.target is not None:
            checkpoint["resume"]["target"] = target_state(self.network.target)
        if self.adaptive is not None:
            checkpoint["resume"] |= {"adaptive": self.adaptive.state(), "passes": self.passes}
        if self.guard is not None:
            checkpoint["resume"]["guard"] = self.guard.state()

    def restore(self, checkpoint: Checkpoint, state: dict[str, Any]) -> None:
        super().restore(checkpoint, state)
        if self.adaptive is not None:
            self.adaptive.restore(state["adaptive"])
            self.passes = state["passes"]
        if self.guard is not None:
            self.guard.restore(state["guard"])
            self.network.penalised = self.guard.penalises

    def _eigenvalue(self) -> float:
        images = self.alpha_part[:HESSIAN_IMAGES]
        return dominant_eigenvalue(
            self.network,
            self.data.normalise(self.data.train_images[images]),
            self.data.train_labels[images],
            generator(self.config.seed, "hessian", self.epoch),
        )
