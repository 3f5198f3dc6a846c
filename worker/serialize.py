"""Converts the reports of darts_core to the API's schemas."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from api.schemas.ensembles import EnsembleResult, MemberResult, PartOut, PointResult, StepResult, TogetherResult
from api.schemas.scores import ScoreResult, TextScoreResult
from darts_core.ensembles.report import EnsembleReport
from darts_core.genotypes import to_json
from darts_core.scoring.images import ScoreReport
from darts_core.scoring.text import TextScoreReport
from darts_core.training.reports import EpochReport
from worker.saver import Write

Report = EpochReport | ScoreReport | TextScoreReport | EnsembleReport


def file_name(report: Report) -> str:
    """The file name of the report in the store."""
    if isinstance(report, EnsembleReport):
        return "ensemble.pt"
    return "logits.safetensors" if isinstance(report, ScoreReport | TextScoreReport) else f"epoch-{report.epoch}.pt"


def further_files(report: Report) -> dict[str, Write]:
    """Further files of the report, by name."""
    return {"logits.safetensors": report.save_answers} if isinstance(report, EnsembleReport) else {}


def fields_of(report: Report) -> dict[str, Any]:
    """The fields of the API's EpochReport that the report has."""
    common = {"epoch": report.epoch, "metrics": report.metrics, "seconds": report.seconds}
    if isinstance(report, ScoreReport):
        result = ScoreResult(
            images=len(report.labels),
            classes=list(report.classes),
            per_class_accuracy=report.per_class,
            confusion=report.confusion,
        )
        return {**common, "result": result}
    if isinstance(report, TextScoreReport):
        text = TextScoreResult(
            words=len(report.targets), vocabulary=report.words, unknown=report.unknown, columns=report.columns
        )
        return {**common, "result": text}
    if isinstance(report, EnsembleReport):
        return {**common, "result": _ensemble(report)}
    genotype = None if report.genotype is None else to_json(report.genotype)
    alphas = None if report.alphas is None else {k: a.tolist() for k, a in report.alphas.items()}
    said = {"stopped_early": report.stopped_early, "warnings": list(report.warnings)}
    return {**common, **said, "genotype": genotype, "alphas": alphas}


def is_last(report: Report, spec: dict[str, Any]) -> bool:
    """Whether this report is the job's last."""
    stopped = isinstance(report, EpochReport) and report.stopped_early is not None
    return stopped or report.epoch >= int(spec["epochs"])


def _ensemble(report: EnsembleReport) -> EnsembleResult:
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
