"""What searches and evaluations share: data on the device, the frame of a loop that reports, stops and resumes."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final, TypeVar

import torch
from torch import Tensor

from darts_core.configs import EvaluationConfig, SearchConfig
from darts_core.configs.common import RunConfig, TrainingConfig
from darts_core.data import load
from darts_core.data.augmentation import Augmentation
from darts_core.data.batches import Feed, Normaliser
from darts_core.data.files import Images
from darts_core.data.images import ImageData
from darts_core.distributed.group import ALONE, Group
from darts_core.errors import CheckpointError, Diverged, Stopped
from darts_core.files.checkpoints import FORMAT, VERSION, Checkpoint, Environment, Kind, on_cpu
from darts_core.models.layout import Stem, stem_for
from darts_core.training.control import Control, Progress, Uncontrolled
from darts_core.training.determinism import is_deterministic
from darts_core.training.memory import check_fits
from darts_core.training.metrics import RunningSums
from darts_core.training.precision import precision_of, type_of, uses_tf32

DATA_ROOT: Final = Path("data")
UNCONTROLLED: Final = Uncontrolled()

Config = TypeVar("Config", bound=TrainingConfig)


def default_device() -> torch.device:
    """The GPU where there is one, else the CPU."""
    return torch.device("cuda" if torch.cuda.is_available() else "cpu")


@dataclass(frozen=True)
class DeviceData:
    """A data set on the device, as bytes, and what maps them to the network's numbers."""

    source: ImageData
    train_images: Images
    train_labels: Tensor
    normalise: Normaliser
    device: torch.device
    group: Group

    @classmethod
    def read(cls, config: TrainingConfig, data_root: Path, device: torch.device, group: Group = ALONE) -> DeviceData:
        """The data set of a spec. Raises DataError."""
        if not group.leads:
            group.wait()  # rank 0 downloads what is not there yet
        source = load(config.dataset, data_root, config.dataset_checksum)
        if group.leads:
            group.wait()
        return cls(
            source,
            source.train_images.to(device),
            source.train_labels.to(device),
            Normaliser(source.mean, source.std, device, type_of(config)),
            device,
            group,
        )

    def validation(self, held_out: Tensor) -> tuple[Images, Tensor]:
        """Images and labels to choose epochs by: the set's own, or the training images of these indices."""
        images, labels = self.source.valid_images, self.source.valid_labels
        if images is None or labels is None:
            return self.train_images[held_out], self.train_labels[held_out]
        return images.to(self.device), labels.to(self.device)

    def feed(self, part: Tensor, name: str, config: TrainingConfig, batch_size: int) -> Feed:
        """Augmented batches of a part of the training images. Raises DataError when it holds less than one."""
        return Feed(
            self.train_images,
            self.train_labels,
            part,
            name=name,
            batch_size=batch_size,
            augmentation=Augmentation(
                config.crop_padding, config.flip, config.cutout, config.resized_crop, config.colour_jitter
            ),
            normalise=self.normalise,
            seed=config.seed,
            group=self.group,
        )


def stem_of(config: TrainingConfig, data: DeviceData) -> Stem:
    """The spec's stem, or the one for the images' size where it leaves that open."""
    return config.stem or stem_for(min(data.source.size))


def with_stem(config: Config, data: DeviceData) -> Config:
    """The spec with its stem filled in."""
    return config.model_copy(update={"stem": stem_of(config, data)})


@dataclass(frozen=True)
class PartialEpoch:
    """What an interrupted run had done of the epoch it was in: `steps` of it, in `seconds`, with these sums."""

    steps: int
    tally: dict[str, Any]
    seconds: float

    @classmethod
    def of(cls, checkpoint: Checkpoint) -> PartialEpoch | None:
        """The epoch that the checkpoint was made in the middle of; None for one made at an epoch's end."""
        saved = checkpoint["resume"].get("open")
        return None if saved is None else cls(**saved)

    def into(self, checkpoint: Checkpoint) -> Checkpoint:
        """The same checkpoint, marked as made at this point."""
        checkpoint["resume"]["open"] = asdict(self)
        return checkpoint


class Steps:
    """The steps of one epoch: asks before each whether to go on, tells after each how far it has come.

    In an epoch that takes longer than `save_seconds` it hands a checkpoint to the control between two steps, and does
    so again whenever that time has passed, and when it is stopped.
    """

    def __init__(
        self,
        control: Control,
        *,
        epoch: int,
        epochs: int,
        steps: int,
        tally: RunningSums,
        group: Group,
        resumed: PartialEpoch | None,
        save_seconds: float,
        checkpoint: Callable[[PartialEpoch], Checkpoint],
    ) -> None:
        """tally: the epoch's running sums; those of `resumed` are put back. checkpoint: makes one of this moment."""
        self._control, self._epoch, self._epochs, self._steps = control, epoch, epochs, steps
        self._group = group
        self._tally, self._save_seconds, self._checkpoint = tally, save_seconds, checkpoint
        self._first, self._earlier = 0, 0.0
        if resumed is not None:
            self._first, self._earlier = resumed.steps, resumed.seconds
            tally.restore(resumed.tally, group)
        self._kept, self._began = self._first, time.perf_counter()
        self._saved = self._began

    @property
    def seconds(self) -> float:
        """Spent on this epoch, by interrupted runs as well."""
        return self._earlier + time.perf_counter() - self._began

    def __iter__(self) -> Iterator[int]:
        """The steps (from 0) still to do. Raises Stopped when the control asks for it."""
        for step in range(self._first, self._steps):
            if self._control.should_stop():
                if step > self._kept:
                    self._keep(step)
                raise Stopped(f"stopped in epoch {self._epoch}")
            yield step
            self._control.progress(Progress(self._epoch, self._epochs, step + 1, self._steps))
            if self._group.agree(time.perf_counter() - self._saved >= self._save_seconds):
                self._keep(step + 1)

    def _keep(self, steps: int) -> None:
        opened = PartialEpoch(steps, on_cpu(self._tally.state(self._group)), self.seconds)
        if self._group.leads:
            self._control.keep(self._checkpoint(opened))
        self._kept, self._saved = steps, time.perf_counter()


def environment(config: RunConfig, device: torch.device, ranks: int) -> Environment:
    """What the bits of a result depend on besides the spec."""
    name = torch.cuda.get_device_name(device) if device.type == "cuda" else device.type
    return {
        "torch": str(torch.__version__),  # a class of its own, which weights_only refuses
        "device": name,
        "threads": torch.get_num_threads(),
        "deterministic": is_deterministic(config.deterministic, device),
        "precision": precision_of(config, device),
        "tf32": uses_tf32(config, device),
        "ranks": ranks,
    }


def common_frame(
    kind: Kind, epoch: int, config: RunConfig, metrics: dict[str, float], device: torch.device, ranks: int
) -> Checkpoint:
    """A checkpoint with what all families have; weights, genotype, alphas and resume are still empty."""
    return {
        "format": FORMAT,
        "version": VERSION,
        "kind": kind,
        "epoch": epoch,
        "weights": {},
        "genotype": {},
        "spec": config.model_dump(mode="json"),
        "metrics": dict(metrics),
        "environment": environment(config, device, ranks),
        "resume": {},
    }


def frame(kind: Kind, epoch: int, config: TrainingConfig, data: DeviceData, metrics: dict[str, float]) -> Checkpoint:
    """The same with what goes with images."""
    source, checkpoint = data.source, common_frame(kind, epoch, config, metrics, data.device, data.group.size)
    checkpoint["classes"] = list(source.classes)
    checkpoint["normalisation"] = {"mean": list(source.mean), "std": list(source.std)}
    checkpoint["image"] = {"channels": source.channels, "size": list(source.size)}
    return checkpoint


def check_ranks(checkpoint: Checkpoint, ranks: int) -> None:
    """Raises CheckpointError when a run that is to be repeatable would go on with another number of ranks.

    The sums over a batch's shares would come out otherwise, and on CPUs BatchNorm would see other shares.
    """
    environment = checkpoint["environment"]
    before = environment.get("ranks", 1)  # files from before there were several
    if environment["deterministic"] and before != ranks:
        raise CheckpointError(
            f"this checkpoint is of a deterministic run with gpus={before}, not {ranks}: its numbers would not be the "
            "same; resume with as many, or start anew"
        )


def check_memory(config: SearchConfig | EvaluationConfig, data: DeviceData) -> None:
    """Raises OutOfMemory when training on this data would not fit into what is free now."""
    check_fits(
        config,
        data.device,
        size=data.source.size,
        image_channels=data.source.channels,
        classes=len(data.source.classes),
        stem=stem_of(config, data),
        ranks=data.group.size,
    )


def check_finite(epoch: int, metrics: Mapping[str, float]) -> None:
    """Raises Diverged when a metric is not a number any more: what follows could only be rubbish."""
    for name, value in metrics.items():
        if not math.isfinite(value):
            raise Diverged(
                f"epoch {epoch}: {name} is {value}: the training has diverged; lower weight_lr or grad_clip, or start "
                "with another seed"
            )
