"""Trains on images: reads the data set onto the device, and starts a loop on one device or several."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, TypeVar

import torch
from torch import Tensor, nn

from darts_core.configs import EvaluationConfig, SearchConfig
from darts_core.configs.common import TrainingConfig, check_shares
from darts_core.configs.decoder import check_decoder
from darts_core.configs.selection import PerturbationConfig
from darts_core.data import load
from darts_core.data.augmentation import Augmentation
from darts_core.data.batches import Feed, Normaliser
from darts_core.data.files import Images
from darts_core.data.images import ImageData
from darts_core.distributed.group import ALONE, Group
from darts_core.distributed.launch import launch
from darts_core.files.checkpoints import Checkpoint, Kind
from darts_core.kernels.gpu.start import enable_kernels
from darts_core.models.layout import Stem, stem_for
from darts_core.training.control import Control
from darts_core.training.defaults import default_device
from darts_core.training.init_from import Source
from darts_core.training.loop import TrainingLoop
from darts_core.training.memory import check_fits, holds_graph
from darts_core.training.metrics import Measured, measure
from darts_core.training.precision import type_of
from darts_core.training.reports import EpochReport
from darts_core.training.step_graphs import StepGraphs

Config = TypeVar("Config", SearchConfig, PerturbationConfig, EvaluationConfig)


@dataclass(frozen=True)
class DeviceData:
    """A data set on the device, as bytes, and the normalisation that makes the network's input of them.

    uploaded: the checksum of an uploaded set.
    """

    source: ImageData
    train_images: Images
    train_labels: Tensor
    normalise: Normaliser
    device: torch.device
    group: Group
    uploaded: str | None = None

    @classmethod
    def read(cls, config: TrainingConfig, data_root: Path, device: torch.device, group: Group = ALONE) -> DeviceData:
        """The data set of a spec. Raises DataError."""
        if not group.leads:
            group.wait()  # rank 0 downloads what is not there yet
        source = load(config.dataset, data_root, config.dataset_checksum, config.decoder)
        if group.leads:
            group.wait()
        return cls(
            source,
            source.train_images.to(device),
            source.train_labels.to(device),
            Normaliser(source.mean, source.std, device, type_of(config)),
            device,
            group,
            config.dataset_checksum,
        )

    @cached_property
    def checksum(self) -> str | None:
        """Of the uploaded set, or of all images and labels in memory."""
        return self.uploaded or self.source.checksum()

    def describe_in(self, checkpoint: Checkpoint) -> None:
        """Add classes, normalisation and the images' shape."""
        source = self.source
        checkpoint["classes"] = list(source.classes)
        checkpoint["normalisation"] = {"mean": list(source.mean), "std": list(source.std)}
        checkpoint["image"] = {"channels": source.channels, "size": list(source.size)}

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

    def measure(
        self,
        network: nn.Module,
        images: Images,
        labels: Tensor,
        control: Control,
        graphs: StepGraphs | None = None,
    ) -> Measured:
        """Loss and accuracy of the network on these images, shared out over the ranks. graphs: see `measure`."""
        return measure(network, images, labels, self.normalise, control=control, group=self.group, graphs=graphs)


def run_on_images(
    loop: Callable[[Config, DeviceData, Control, Checkpoint | None], TrainingLoop],
    kind: Kind,
    config: Config,
    *,
    data_root: Path,
    device: torch.device | None,
    resume_from: Checkpoint | None,
    control: Control,
    gpus: int,
    group: Group = ALONE,
    source: Source | None = None,
) -> Iterator[EpochReport]:
    """Run the loop for a resolved spec. The arguments and errors are those of `run_search`."""
    device = device or default_device()
    check_shares(config.batch_size, max(gpus, group.size))
    check_decoder(config.decoder, device.type)
    if gpus > 1:
        return launch(
            kind,
            config,
            gpus,
            data_root=data_root,
            device=device,
            resume_from=resume_from,
            control=control,
            source=source,
        )
    data = DeviceData.read(config, data_root, device, group)
    config = config.model_copy(update={"stem": stem_of(config, data)})
    if isinstance(config, SearchConfig):
        enable_kernels(config, device, stem=stem_of(config, data), size=data.source.size)
    if resume_from is None:
        # A resumed run fitted before, and the memory of its dead worker may not be free yet.
        check_memory(config, data)
    return loop(config, data, control, resume_from).run(source)


def stem_of(config: TrainingConfig, data: DeviceData) -> Stem:
    """The spec's stem, or the one for the images' size where the spec leaves it open."""
    return config.stem or stem_for(min(data.source.size))


def check_memory(config: SearchConfig | EvaluationConfig, data: DeviceData) -> None:
    """Raises OutOfMemory when training on this data would not fit into the free memory."""
    check_fits(config, data.device, **_sizes(config, data), images=len(data.train_images), group=data.group)


def room_for_graph(config: SearchConfig | EvaluationConfig, data: DeviceData) -> bool:
    """Whether a recorded training step fits into the free memory beside a called one."""
    return holds_graph(config, data.device, **_sizes(config, data), ranks=data.group.size)


def _sizes(config: SearchConfig | EvaluationConfig, data: DeviceData) -> dict[str, Any]:
    """What the memory depends on besides spec and device."""
    return {
        "size": data.source.size,
        "image_channels": data.source.channels,
        "classes": len(data.source.classes),
        "stem": stem_of(config, data),
    }
