"""Scores a checkpoint on a data set's test images.

As a program, in a separate process: `python -m darts_core.scoring FILE [--data-root DIR]` prints one line of JSON,
`{"accuracy": percent, "loss": nats, "images": count, "dataset": name}`, for the data set it was trained on.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import torch
import torch.nn.functional as F
from torch import Tensor

from darts_core.configs import ScoreConfig
from darts_core.configs.decoder import check_decoder
from darts_core.configs.score import ScoredCheckpoint
from darts_core.data import load as load_data
from darts_core.data.batches import Normaliser
from darts_core.data.files import Images, in_parts
from darts_core.data.images import ImageData
from darts_core.errors import CheckpointError, DataError, Stopped
from darts_core.files.imports import read_authors
from darts_core.files.loading import load_network
from darts_core.files.safetensors import write
from darts_core.files.state_dict_specs import numbered
from darts_core.files.trained_network import TrainedNetwork, trained
from darts_core.genotypes import parse
from darts_core.training.control import UNCONTROLLED, Control, Progress
from darts_core.training.defaults import DATA_ROOT, default_device
from darts_core.training.determinism import deterministic_kernels, is_deterministic
from darts_core.training.matmul_precision import tf32
from darts_core.training.metrics import Measured, measure

# With more classes the confusion matrix is omitted; it can be computed from the logits.
MOST_CONFUSED: Final = 100
_TOP: Final = 5


@dataclass(frozen=True)
class ScoreReport:
    """A finished score. metrics: test_loss in nats, test_accuracy and (with more than 5 classes) test_top5 in percent.

    logits: float32 (N, classes), labels: int64 (N,), in the data set's order. per_class: accuracy in percent, None for
    a class without test images. confusion: rows are true classes, columns predicted ones; None with more than 100
    classes.
    """

    metrics: dict[str, float]
    seconds: float
    classes: tuple[str, ...]
    per_class: list[float | None]
    confusion: list[list[int]] | None
    logits: Tensor
    labels: Tensor

    @property
    def epoch(self) -> int:
        return 1

    def save(self, path: Path) -> str:
        """Save logits and labels as safetensors and return the file's SHA-256. Raises OSError."""
        return write(
            path,
            {
                "logits": ("F32", tuple(self.logits.shape), self.logits.numpy().tobytes()),
                "labels": ("I64", tuple(self.labels.shape), self.labels.numpy().tobytes()),
            },
        )


def run_score(
    config: ScoreConfig,
    file: Path,
    *,
    data_root: Path = DATA_ROOT,
    device: torch.device | None = None,
    control: Control = UNCONTROLLED,
) -> Iterator[ScoreReport]:
    """Score the file; yields one report. Raises CheckpointError, ConfigError, DataError, Stopped (between two
    batches).
    """
    started = time.perf_counter()
    device = device or default_device()
    check_decoder(config.decoder, device.type)
    network = scored_network(config.checkpoint, file).ready_on(device)
    data = load_data(config.dataset, data_root, config.dataset_checksum, config.decoder)
    check_fit(network, data, config.dataset)
    # In full float32, whatever the training used: a score must not depend on the kind of GPU.
    with deterministic_kernels(is_deterministic(config.deterministic, device), device), tf32(wanted=False):
        logits = logits_of(network, data.test_images, device, config.batch_size, control)
    # An imported network may only know its number of classes: the data set names them.
    yield summarised(logits, data.test_labels, tuple(data.classes), time.perf_counter() - started)


def summarised(logits: Tensor, labels: Tensor, classes: tuple[str, ...], seconds: float) -> ScoreReport:
    """Compute all metrics from logits (N, classes), float32, and labels (N,); both on the CPU."""
    count = len(classes)
    said = logits.argmax(dim=1)
    # Encode each (label, prediction) pair as one index; its histogram is the confusion matrix.
    confusion = torch.bincount(labels * count + said, minlength=count * count).view(count, count)
    members, right = confusion.sum(dim=1).tolist(), confusion.diagonal().tolist()
    loss = F.cross_entropy(logits.double(), labels).item()
    metrics = {"test_loss": loss, "test_accuracy": 100 * sum(right) / len(labels)}
    if count > _TOP:
        top = (logits.topk(_TOP, dim=1).indices == labels[:, None]).any(dim=1)
        metrics["test_top5"] = 100 * int(top.sum()) / len(labels)
    return ScoreReport(
        metrics=metrics,
        seconds=seconds,
        classes=classes,
        per_class=[100 * r / m if m else None for r, m in zip(right, members, strict=True)],
        confusion=confusion.tolist() if count <= MOST_CONFUSED else None,
        logits=logits,
        labels=labels,
    )


def scored_network(checkpoint: ScoredCheckpoint, file: Path) -> TrainedNetwork:
    """Load the network of a file in either format. Raises CheckpointError."""
    if checkpoint.format == "dartboard":
        return load_network(file)
    assert checkpoint.genotype is not None  # the API requires it for such a file
    imported = read_authors(file, parse(checkpoint.genotype), checkpoint.trained_on)
    if checkpoint.trained_on is None or checkpoint.trained_on.dataset is None:
        # Guessed class names would exclude other data sets with as many classes.
        imported["classes"] = numbered(len(imported["classes"]))
    return trained(imported, file)


def check_fit(network: TrainedNetwork, data: ImageData, dataset: str) -> None:
    """Check that the network can classify these images; imported networks may only know their number of classes.

    Raises DataError.
    """
    ours, theirs = network.classes, tuple(data.classes)
    named = ours != tuple(numbered(len(ours)))
    if len(ours) != len(theirs) or (named and ours != theirs):
        raise DataError(
            f"the checkpoint has {_listed(ours)}, {dataset} has {_listed(theirs)}: score it on a data "
            "set with its own classes"
        )
    if network.image["channels"] != data.channels:
        raise DataError(
            f"the checkpoint takes images of {network.image['channels']} channels, {dataset} has {data.channels}"
        )


def _listed(classes: tuple[str, ...]) -> str:
    shown = ", ".join(classes[:10])
    return f"{len(classes)} classes ({shown}{', ...' if len(classes) > 10 else ''})"


@torch.no_grad()
def logits_of(
    network: TrainedNetwork, images: Images, device: torch.device, batch_size: int, control: Control
) -> Tensor:
    """float32 (N, classes) on the CPU, for uint8 images (N, ...). Raises DataError, Stopped (between two batches)."""
    batches = [slice(first, first + batch_size) for first in range(0, len(images), batch_size)]
    found, images = [], images.to(device)
    normalise = Normaliser(network.normalisation["mean"], network.normalisation["std"], device)
    for step, chosen in enumerate(in_parts(images, batches)):
        if control.should_stop():
            raise Stopped("stopped while scoring")
        found.append(network(normalise(chosen)).float().cpu())
        control.progress(Progress(1, 1, step + 1, len(batches)))
    return torch.cat(found)


def score(path: str | Path, data_root: Path = DATA_ROOT, device: torch.device | None = None) -> Measured:
    """Loss in nats and accuracy in percent on its own data set's test split. Raises CheckpointError, ConfigError
    and DataError.
    """
    device = device or default_device()
    network = load_network(path, device)
    spec = network.checkpoint["spec"]
    decoder = spec.get("decoder", "pillow")
    check_decoder(decoder, device.type)
    data = load_data(spec["dataset"], data_root, spec.get("dataset_checksum"), decoder)
    if data.classes != network.classes:
        raise CheckpointError(
            f"{path} was trained on the classes {', '.join(network.classes)}; the data set now has "
            f"{', '.join(data.classes)}"
        )
    # Normalised as in training: the data set may have grown since.
    normalise = Normaliser(network.normalisation["mean"], network.normalisation["std"], device)
    return measure(network, data.test_images.to(device), data.test_labels.to(device), normalise, control=UNCONTROLLED)
