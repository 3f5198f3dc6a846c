"""Builds an ensemble's report from its members' outputs, for both families."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from torch import Tensor

from darts_core.configs.ensemble import Combining, file_of
from darts_core.ensembles import file
from darts_core.ensembles.conclusion import decided, measured
from darts_core.ensembles.figures import disagreement
from darts_core.ensembles.report import CurvePoint, EnsembleReport, answers_of, metrics_of
from darts_core.ensembles.subjects import Answers, Subject
from darts_core.errors import CheckpointError
from darts_core.files.checkpoints import Checkpoint
from darts_core.training.control import Control, Progress


@dataclass(frozen=True)
class Names:
    """Names of outputs and labels in files; classes or vocabulary of the ensemble."""

    output: str
    label: str
    named: dict[str, list[str]]


class PassControl:
    """Wraps a control for one of several passes and reports progress over all of them."""

    def __init__(self, control: Control, before: int, passes: int) -> None:
        self._control, self._before, self._passes = control, before, passes

    def should_stop(self) -> bool:
        return self._control.should_stop()

    def progress(self, progress: Progress) -> None:
        """Report progress as if all passes had as many steps as this one."""
        step, steps = self._before * progress.steps + progress.step, self._passes * progress.steps
        self._control.progress(Progress(1, 1, step, steps))

    def keep(self, checkpoint: Checkpoint) -> None:
        """Does nothing: a pass saves no intermediate checkpoint."""


def report_of(
    subject: Subject,
    config: Combining,
    names: Names,
    *,
    started: float,
    test: Answers,
    validation: Answers | None,
    curve: Mapping[int, list[Tensor]] | None,
    epochs: Sequence[int],
    checkpoint: Callable[[int], Checkpoint],
) -> EnsembleReport:
    """Choose members and weights on the validation outputs; measure on the test outputs.

    curve: by epoch, test outputs of every member's checkpoint of that epoch. epochs: of the members. checkpoint: reads
    a member's when the ensemble's file is written. Raises DataError.
    """
    decision = decided(subject, config, validation)
    on_test, committee = measured(subject, config, decision, test)
    stored = answers_of(test, committee, prefix="", output=names.output, label=names.label)
    on_validation = None
    if validation is not None:
        on_validation, said = measured(subject, config, decision, validation)
        stored |= answers_of(validation, said, prefix="validation.", output=names.output, label=names.label)
    metrics = metrics_of(on_test, on_validation)

    def write(path: Path) -> str:
        members = [checkpoint(place) for place in decision.chosen]
        weights = [decision.weights[place] for place in decision.chosen]
        return file.save(path, members, weights, config.model_dump(mode="json"), names.named, metrics)

    points = None
    if curve is not None:
        points = [
            CurvePoint(
                epoch,
                [subject.figures(output, test.labels) for output in outputs],
                subject.figures(subject.combined(outputs, decision.weights, config.combine), test.labels),
            )
            for epoch, outputs in curve.items()
        ]
    vocabulary = names.named.get("vocabulary")
    return EnsembleReport(
        metrics=metrics,
        seconds=time.perf_counter() - started,
        decision=decision,
        test=on_test,
        validation=on_validation,
        epochs=list(epochs),
        disagreement=disagreement(test.outputs) if vocabulary is None else None,
        curve=points,
        classes=tuple(names.named["classes"]) if vocabulary is None else None,
        vocabulary=None if vocabulary is None else len(vocabulary),
        answers=stored,
        write=write,
    )


def member_file(inputs: Mapping[str, Path], place: int) -> Path:
    """Path of a member's checkpoint. Raises CheckpointError when the job has no such input."""
    path = inputs.get(file_of(place))
    if path is None:
        raise CheckpointError(f"the checkpoint of member {place} is gone: queue a new ensemble")
    return path
