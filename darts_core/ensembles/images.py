"""Measures an ensemble of convolutional networks on a data set's test images."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from pathlib import Path

import torch
from torch import Tensor

from darts_core.configs import EnsembleConfig
from darts_core.configs.decoder import check_decoder
from darts_core.configs.ensemble import file_of, logits_of
from darts_core.data import load as load_data
from darts_core.data.files import Images
from darts_core.data.images import ImageData
from darts_core.ensembles.measuring import Names, PassControl, member_file, report_of
from darts_core.ensembles.parts import Part, halves
from darts_core.ensembles.report import EnsembleReport
from darts_core.ensembles.subjects import Answers
from darts_core.ensembles.subjects import Images as ImageSubject
from darts_core.errors import DataError
from darts_core.files.checkpoints import Checkpoint
from darts_core.files.tensors import read_tensors
from darts_core.files.trained_network import TrainedNetwork
from darts_core.scoring.images import check_fit, scored_network
from darts_core.scoring.images import logits_of as compute
from darts_core.training.control import UNCONTROLLED, Control
from darts_core.training.defaults import DATA_ROOT, default_device
from darts_core.training.determinism import deterministic_kernels, is_deterministic
from darts_core.training.matmul_precision import tf32


def run_ensemble(
    config: EnsembleConfig,
    inputs: Mapping[str, Path],
    *,
    data_root: Path = DATA_ROOT,
    device: torch.device | None = None,
    control: Control = UNCONTROLLED,
) -> Iterator[EnsembleReport]:
    """Measure the members and their combination; yields one report.

    inputs: the members' files, named as in darts_core.configs.ensemble. Members and weights are chosen on the data
    set's own validation images; without those, on one half of the test images, and all metrics are then of the other
    half. Other images are unsuitable: evaluations train on them.

    Raises CheckpointError, ConfigError, DataError, Stopped (between two batches).
    """
    started = time.perf_counter()
    device = device or default_device()
    check_decoder(config.decoder, device.type)
    data = load_data(config.dataset, data_root, config.dataset_checksum, config.decoder)
    run = _Run(config, inputs, data, device, control)
    with deterministic_kernels(is_deterministic(config.deterministic, device), device), tf32(wanted=False):
        yield run.report(started)


class _Run:
    def __init__(
        self,
        config: EnsembleConfig,
        inputs: Mapping[str, Path],
        data: ImageData,
        device: torch.device,
        control: Control,
    ) -> None:
        self.config, self.inputs, self.data, self.device, self.control = config, inputs, data, device, control
        self.valid_images = data.valid_images if config.validated else None
        members = range(len(config.members))
        computed = [place for place in members if logits_of(place) not in inputs]
        curves = [(e, p) for e in config.curve or [] for p in members if file_of(p, e) in inputs]
        self.passes = len(computed) + len(curves) + (len(members) if self.valid_images is not None else 0)
        self.passed = 0
        self.epochs: list[int] = []

    def report(self, started: float) -> EnsembleReport:
        whole, valid = [], []
        for place in range(len(self.config.members)):
            network = self.network(place, member_file(self.inputs, place))
            self.epochs.append(network.checkpoint["epoch"])
            whole.append(self.on_test(place, network))
            if self.valid_images is not None:
                valid.append(self.outputs_of(network, self.valid_images))
        rows, validation = self.divided(whole, valid)
        labels = self.data.test_labels
        test = Answers(Part("test", len(rows), len(labels)), [o[rows] for o in whole], labels[rows], rows)
        curve = None if self.config.curve is None else {e: self.at_epoch(e, whole, rows) for e in self.config.curve}
        return report_of(
            ImageSubject(),
            self.config,
            Names("logits", "labels", {"classes": list(self.data.classes)}),
            started=started,
            test=test,
            validation=validation,
            curve=curve,
            epochs=self.epochs,
            checkpoint=self.checkpoint,
        )

    def divided(self, whole: list[Tensor], valid: list[Tensor]) -> tuple[Tensor, Answers | None]:
        """Test indices that the metrics cover, and the outputs that members and weights are chosen by."""
        labels = self.data.test_labels
        everything = torch.arange(len(labels))
        if not self.config.validated:
            return everything, None
        if self.data.valid_labels is not None:
            count = len(self.data.valid_labels)
            return everything, Answers(Part("valid", count, count), valid, self.data.valid_labels, torch.arange(count))
        first, second = halves(labels)
        if not len(first):
            raise DataError(
                f"{self.config.dataset} has {len(labels)} test images and no validation images: too few to choose by; "
                "combine by sum or mean, without select"
            )
        validation = Answers(Part("test", len(first), len(labels)), [o[first] for o in whole], labels[first], first)
        return second, validation

    def network(self, place: int, path: Path) -> TrainedNetwork:
        network = scored_network(self.config.members[place], path).ready_on(self.device)
        try:
            check_fit(network, self.data, self.config.dataset)
        except DataError as error:
            raise DataError(f"member {place}: {error}") from error
        return network

    def checkpoint(self, place: int) -> Checkpoint:
        return scored_network(self.config.members[place], member_file(self.inputs, place)).checkpoint

    def on_test(self, place: int, network: TrainedNetwork) -> Tensor:
        """The logits stored by a score if the member names one, else computed."""
        kept = self.inputs.get(logits_of(place))
        if kept is None:
            return self.outputs_of(network, self.data.test_images)
        found = read_tensors(kept)
        if not torch.equal(found["labels"], self.data.test_labels):
            raise DataError(
                f"member {place}: the logits of score {self.config.members[place].score_id} are of other images than "
                f"{self.config.dataset} has here; name the score's checkpoint instead"
            )
        return found["logits"]

    def at_epoch(self, epoch: int, whole: list[Tensor], rows: Tensor) -> list[Tensor]:
        """Outputs of every member's checkpoint of this epoch; the member itself if it is of this epoch."""
        outputs = []
        for place, own in enumerate(whole):
            path = self.inputs.get(file_of(place, epoch))
            output = own if path is None else self.outputs_of(self.network(place, path), self.data.test_images)
            outputs.append(output[rows])
        return outputs

    def outputs_of(self, network: TrainedNetwork, images: Images) -> Tensor:
        control = PassControl(self.control, self.passed, self.passes)
        self.passed += 1
        return compute(network, images, self.device, self.config.batch_size, control)
