"""Runs ensembles."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from api.schemas.ensembles import EnsembleResult, MemberResult, PartOut, PointResult, StepResult, TogetherResult
from darts_core.ensembles.report import EnsembleReport
from darts_core.families import family_in
from darts_core.training.control import Control
from worker.runners.runner import Report


def run(
    spec: dict[str, Any],
    *,
    data_root: Path,
    resume_from: Path | None,
    inputs: Mapping[str, Path],
    control: Control,
    gpus: int = 1,
) -> Iterator[Report]:
    """One report, made on one device."""
    family = family_in(spec)
    config = family.measured["ensemble"](**spec)
    for report in family.run("ensemble", config, inputs, data_root=data_root, control=control):
        files = {"ensemble.pt": report.save, "logits.safetensors": report.save_answers}
        yield Report(report.epoch, report.metrics, report.seconds, files, {"result": _result(report)})


def _result(report: EnsembleReport) -> EnsembleResult:
    test, validation, decision = report.test, report.validation, report.decision
    fitted = None if validation is None else validation.members
    return EnsembleResult(
        test=PartOut(**asdict(test.part)),
        validation=None if validation is None else PartOut(**asdict(validation.part)),
        members=[
            MemberResult(
                epoch=epoch,
                chosen=place in decision.chosen,
                weight=decision.weights[place],
                test=test.members[place],
                validation=fitted and fitted[place],
            )
            for place, epoch in enumerate(report.epochs)
        ],
        committee=TogetherResult(test=test.committee, validation=validation and validation.committee),
        plain=TogetherResult(test=test.plain, validation=validation and validation.plain),
        gain=test.gain,
        disagreement=report.disagreement,
        selection=decision.selection and [StepResult(**asdict(step)) for step in decision.selection],
        curve=report.curve and [PointResult(**asdict(point)) for point in report.curve],
        classes=None if report.classes is None else list(report.classes),
        vocabulary=report.vocabulary,
    )
