"""Runs a training epoch by epoch: resumes, stops, saves in the middle of an epoch, and reports."""

from __future__ import annotations

import logging
import math
import time
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from typing import Any, ClassVar, Protocol

import torch
from torch import nn

from darts_core.configs import AnyConfig
from darts_core.configs.init_from import InitFrom
from darts_core.distributed.control import shared
from darts_core.distributed.group import Group
from darts_core.errors import CheckpointError, Diverged, Stopped
from darts_core.files.checkpoints import FORMAT, VERSION, Checkpoint, Kind, check_resumable, on_cpu
from darts_core.training.control import Control, Progress
from darts_core.training.determinism import repeatable
from darts_core.training.environment import environment_of
from darts_core.training.init_from import Source, check_source
from darts_core.training.memory import explained
from darts_core.training.metrics import RunningSums
from darts_core.training.precision import computing
from darts_core.training.reports import EpochReport

logger = logging.getLogger(__name__)


class RunData(Protocol):
    """The data set of a run, on its device."""

    @property
    def device(self) -> torch.device: ...

    @property
    def group(self) -> Group: ...

    @property
    def checksum(self) -> str | None:
        """SHA-256 of what is trained on; None of files that are read one by one."""

    def describe_in(self, checkpoint: Checkpoint) -> None:
        """Add the properties of the data that the network's users need."""


@dataclass(frozen=True)
class PartialEpoch:
    """An interrupted epoch: `steps` done in `seconds`, and their running sums."""

    steps: int
    tally: dict[str, Any]
    seconds: float


class TrainingLoop(ABC):
    """The epochs of one run. A subclass builds the network and defines the step and the metrics of an epoch.

    A resumed run gives the bits of an undisturbed one: `fill` and `restore` carry all that `step` and `measure` depend
    on besides the spec, the epoch and the number of the step.
    """

    kind: ClassVar[Kind]
    config: AnyConfig
    data: RunData
    network: nn.Module
    sums: RunningSums

    def __init__(
        self, config: AnyConfig, data: RunData, control: Control, resume_from: Checkpoint | None = None
    ) -> None:
        """config: resolved. Raises CheckpointError when `resume_from` is of another spec or number of ranks."""
        self.config, self.data, self.group = config, data, data.group
        self.control = shared(control, self.group)
        if resume_from is not None:
            check_resumable(resume_from, self.kind, config)
            _check_ranks(resume_from, self.group.size)
        self._resume_from = resume_from
        self.epoch = 0
        """The epoch in training, counted from 1; between two epochs the finished one."""
        self.steps_done = 0
        """In all epochs."""
        self.partial: PartialEpoch | None = None
        """Set until the interrupted epoch goes on."""
        self._began = self._earlier = 0.0

    @abstractmethod
    def begin_epoch(self) -> int:
        """Set learning rate, schedules and fresh `sums` for `self.epoch`; gives its number of steps."""

    @abstractmethod
    def step(self, number: int) -> None:
        """Train on the batch of this number, counted from 0 in each epoch, and add its loss to `sums`."""

    def more_steps(self) -> int:
        """Steps that the last one adds to the epoch's number; asked for after each step."""
        return 0

    @abstractmethod
    def measure(self) -> dict[str, float]:
        """The metrics of the trained epoch."""

    @abstractmethod
    def fill(self, checkpoint: Checkpoint) -> None:
        """Add weights, genotype and, to `resume`, the state. In the middle of an epoch `resume` holds "open"."""

    @abstractmethod
    def restore(self, checkpoint: Checkpoint, state: dict[str, Any]) -> None:
        """Load what `fill` saved. state: a copy of `resume`, which the loop may keep and change."""

    @abstractmethod
    def take(self, source: Source, start: InitFrom) -> str:
        """Load what `start` names of another job's state, before the first epoch. Returns what it was, for the log.

        Raises CheckpointError if it does not fit.
        """

    def later_steps(self) -> int | None:
        """The number of steps of all later epochs; None where each epoch has the same number."""
        return None

    @property
    def stopped_early(self) -> str | None:
        """Why the last epoch is the run's last, although the spec has more."""
        return None

    def run(self, source: Source | None = None) -> Iterator[EpochReport]:
        """Resume at once, or start from `source`, which a resumed run does not need; then train each epoch when its
        report is asked for.
        """
        if self._resume_from is not None:
            # Copied: optimisers keep the tensors they load, and the run must not write into the caller's checkpoint.
            state = on_cpu(self._resume_from["resume"])
            self.epoch, self.steps_done = self._resume_from["epoch"], state["step"]
            self.partial = PartialEpoch(**state["open"]) if "open" in state else None
            self.restore(self._resume_from, state)
            self._resume_from = None
        else:
            self.start_from(source)
        return self._reports()

    def start_from(self, source: Source | None) -> None:
        """Begin with the state that the spec's `init_from` names. Raises CheckpointError for another one, or none."""
        start = self.config.init_from
        check_source(start, source)
        if start is None or source is None:
            return
        taken = self.take(source, start)
        if self.group.leads:
            logger.info("starts with %s of epoch %s of job %s; all else begins anew", taken, start.epoch, start.job)

    def train(self) -> None:
        """Do the steps that are left of the epoch. Raises Stopped between two steps when the control asks for it.

        Hands the control a checkpoint whenever `checkpoint_seconds` have passed, and before it stops.
        """
        self.network.train()
        steps = self.begin_epoch()
        first, self._earlier = 0, 0.0
        if self.partial is not None:
            first, self._earlier = self.partial.steps, self.partial.seconds
            self.sums.restore(self.partial.tally, self.group)
            self.partial = None
        later = self.later_steps()
        saved, self._began = first, time.perf_counter()
        saved_at = self._began
        step = first
        while step < steps:
            if self.control.should_stop():
                if step > saved:
                    self._save(step)
                raise Stopped(f"stopped in epoch {self.epoch}")
            try:
                self.step(step)
            except Stopped:  # a step that measures looks at the control, too
                if step > saved:
                    self._save(step)
                raise
            self.steps_done += 1
            steps += self.more_steps()
            left = None if later is None else later + steps - step - 1
            self.control.progress(Progress(self.epoch, self.config.epochs, step + 1, steps, left))
            if self.group.agree(time.perf_counter() - saved_at >= self.config.checkpoint_seconds):
                self._save(step + 1)
                saved, saved_at = step + 1, time.perf_counter()
            step += 1

    def report(self, metrics: dict[str, float]) -> EpochReport:
        """The report of the finished epoch."""
        return EpochReport(self._checkpoint(self.epoch, metrics), self._seconds, self.stopped_early)

    def _reports(self) -> Iterator[EpochReport]:
        config, device = self.config, self.data.device
        while self.epoch < config.epochs and self.stopped_early is None:
            # Closed before the yield: the consumer of the report must not run under the spec's settings.
            with repeatable(config, device), computing(config, device), explained(config):
                self.epoch += 1
                self.train()
                metrics = self.measure()
                check_finite(self.epoch, metrics)
                report = self.report(metrics)
            yield report

    @property
    def _seconds(self) -> float:
        return self._earlier + time.perf_counter() - self._began

    def _save(self, steps: int) -> None:
        partial = PartialEpoch(steps, on_cpu(self.sums.state(self.group)), self._seconds)
        if self.group.leads:
            self.control.keep(self._checkpoint(self.epoch - 1, {}, partial))

    def _checkpoint(self, epoch: int, metrics: dict[str, float], partial: PartialEpoch | None = None) -> Checkpoint:
        checkpoint: Checkpoint = {
            "format": FORMAT,
            "version": VERSION,
            "kind": self.kind,
            "epoch": epoch,
            "weights": {},
            "genotype": {},
            "spec": self.config.model_dump(mode="json"),
            "metrics": dict(metrics),
            "environment": environment_of(self.config, self.data.device, self.group.size, self.data.checksum),
            "resume": {"step": self.steps_done} | ({} if partial is None else {"open": asdict(partial)}),
        }
        self.data.describe_in(checkpoint)
        self.fill(checkpoint)
        return checkpoint


def check_finite(epoch: int, metrics: Mapping[str, float]) -> None:
    """Raises Diverged when a metric is not finite."""
    for name, value in metrics.items():
        if not math.isfinite(value):
            raise Diverged(
                f"epoch {epoch}: {name} is {value}: the training has diverged; lower weight_lr or grad_clip, or start "
                "with another seed"
            )


def _check_ranks(checkpoint: Checkpoint, ranks: int) -> None:
    """Raises CheckpointError when a deterministic run would resume with another number of ranks.

    The sums over a batch's shares would differ, and on CPUs the shares that BatchNorm normalises.
    """
    environment = checkpoint["environment"]
    before = environment.get("ranks", 1)  # older files lack it
    if environment["deterministic"] and before != ranks:
        raise CheckpointError(
            f"this checkpoint is of a deterministic run with gpus={before}, not {ranks}: its numbers would not be the "
            "same; resume with as many, or start anew"
        )
