"""Measures an ensemble of language models on a test text."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Literal

import torch
from torch import Tensor

from darts_core.configs import RnnEnsembleConfig
from darts_core.configs.ensemble import file_of, logits_of
from darts_core.data.text.corpus import encode, load_lines
from darts_core.data.text.lines import words_of
from darts_core.data.text.windows import columns
from darts_core.ensembles.measuring import Names, PassControl, member_file, report_of
from darts_core.ensembles.parts import Part
from darts_core.ensembles.report import EnsembleReport
from darts_core.ensembles.subjects import Answers, Words
from darts_core.errors import DataError
from darts_core.files.language_models import TrainedLanguageModel
from darts_core.files.tensors import read_tensors
from darts_core.scoring.text import log_probabilities_of, scored_model, tested_columns
from darts_core.training.control import UNCONTROLLED, Control
from darts_core.training.defaults import DATA_ROOT, default_device
from darts_core.training.determinism import deterministic_kernels, is_deterministic
from darts_core.training.matmul_precision import tf32


def run_text_ensemble(
    config: RnnEnsembleConfig,
    inputs: Mapping[str, Path],
    *,
    data_root: Path = DATA_ROOT,
    device: torch.device | None = None,
    control: Control = UNCONTROLLED,
) -> Iterator[EnsembleReport]:
    """Measure the members and the mixture of their probabilities; yields one report. inputs: as in `run_ensemble`.

    Members and weights are chosen on the validation text. All members must share one vocabulary.

    Raises CheckpointError, DataError, Stopped (between two windows).
    """
    started = time.perf_counter()
    device = device or default_device()
    run = _Run(config, inputs, data_root, device, control)
    with deterministic_kernels(is_deterministic(config.deterministic, device), device), tf32(wanted=False):
        yield run.report(started)


class _Run:
    def __init__(
        self,
        config: RnnEnsembleConfig,
        inputs: Mapping[str, Path],
        data_root: Path,
        device: torch.device,
        control: Control,
    ) -> None:
        self.config, self.inputs, self.data_root, self.device = config, inputs, data_root, device
        self.control = control
        self.lines = load_lines(config.dataset, data_root, config.text_checksum).lines
        members = range(len(config.members))
        first = self.model(0, member_file(inputs, 0))
        self.vocabulary = first.vocabulary
        self.batch = config.batch_size or tested_columns(first)
        self.test = self.text("test")
        self.valid = self.text("valid") if config.validated else None
        computed = [place for place in members if logits_of(place) not in inputs]
        curves = [(e, p) for e in config.curve or [] for p in members if file_of(p, e) in inputs]
        self.passes = len(computed) + len(curves) + (len(members) if self.valid is not None else 0)
        self.passed = 0

    def report(self, started: float) -> EnsembleReport:
        on_test, on_valid, epochs = [], [], []
        for place in range(len(self.config.members)):
            model = self.checked(place, member_file(self.inputs, place))
            epochs.append(model.checkpoint["epoch"])
            on_test.append(self.of_test(place, model))
            if self.valid is not None:
                on_valid.append(self.outputs_of(model, self.valid))
        curve = None if self.config.curve is None else {e: self.at_epoch(e, on_test) for e in self.config.curve}
        return report_of(
            Words(),
            self.config,
            Names("log_probabilities", "targets", {"vocabulary": list(self.vocabulary)}),
            started=started,
            test=self.answers("test", self.test, on_test),
            validation=None if self.valid is None else self.answers("valid", self.valid, on_valid),
            curve=curve,
            epochs=epochs,
            checkpoint=lambda place: self.model(place, member_file(self.inputs, place)).checkpoint,
        )

    def answers(self, part: Literal["test", "valid"], text: Tensor, outputs: list[Tensor]) -> Answers:
        targets = _targets(text)
        rows, batch = text.shape
        # The first word of each column has no context, and the remainder behind the last column is in none.
        places = torch.arange(rows * batch).view(batch, rows)[:, 1:].flatten()
        whole = sum(1 for _ in words_of(self.lines[part]))
        return Answers(Part(part, len(targets), whole), outputs, targets, places)

    def text(self, part: str) -> Tensor:
        numbers = encode(words_of(self.lines[part]), self.vocabulary)
        return columns(numbers, self.batch, part).to(self.device)

    def model(self, place: int, path: Path) -> TrainedLanguageModel:
        config = self.config
        model = scored_model(
            config.members[place],
            path,
            dataset=config.dataset,
            data_root=self.data_root,
            checksum=config.text_checksum,
        )
        return model.to(self.device).eval()

    def checked(self, place: int, path: Path) -> TrainedLanguageModel:
        model = self.model(place, path)
        if model.vocabulary != self.vocabulary:
            raise DataError(
                f"member {place} has another vocabulary than member 0, or another order of its words "
                f"({len(model.vocabulary):,} and {len(self.vocabulary):,} in all): members need the same vocabulary"
            )
        return model

    def of_test(self, place: int, model: TrainedLanguageModel) -> Tensor:
        """The log-probabilities stored by a score if the member names one, else computed."""
        kept = self.inputs.get(logits_of(place))
        if kept is None:
            return self.outputs_of(model, self.test)
        found = read_tensors(kept)
        if not torch.equal(found["targets"], _targets(self.test)):
            raise DataError(
                f"member {place}: the score {self.config.members[place].score_id} predicted other words than "
                f"{self.config.dataset} has here in {self.batch} columns; name the score's checkpoint instead"
            )
        return found["log_probabilities"]

    def at_epoch(self, epoch: int, own: list[Tensor]) -> list[Tensor]:
        """Outputs of every member's checkpoint of this epoch; the member itself if it is of this epoch."""
        paths = [self.inputs.get(file_of(place, epoch)) for place in range(len(own))]
        return [
            output if path is None else self.outputs_of(self.checked(place, path), self.test)
            for place, (path, output) in enumerate(zip(paths, own, strict=True))
        ]

    def outputs_of(self, model: TrainedLanguageModel, text: Tensor) -> Tensor:
        control = PassControl(self.control, self.passed, self.passes)
        self.passed += 1
        return log_probabilities_of(model, text, control)


def _targets(text: Tensor) -> Tensor:
    """The target words, in text order."""
    return text[1:].t().flatten().cpu()
