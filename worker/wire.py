"""From what darts_core reports to what goes over the wire."""

from __future__ import annotations

from typing import Any

from api.schemas.scores import ScoreResult, TextScoreResult
from darts_core.genotypes import to_json
from darts_core.scoring import ScoreReport
from darts_core.text_scoring import TextScoreReport
from darts_core.training.reports import EpochReport

Report = EpochReport | ScoreReport | TextScoreReport


def file_name(report: Report) -> str:
    """What the report's file is called in the store."""
    return "logits.safetensors" if isinstance(report, ScoreReport | TextScoreReport) else f"epoch-{report.epoch}.pt"


def fields_of(report: Report) -> dict[str, Any]:
    """The fields of the wire's EpochReport that are the report's own."""
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
    genotype = None if report.genotype is None else to_json(report.genotype)
    alphas = None if report.alphas is None else {k: a.tolist() for k, a in report.alphas.items()}
    said = {"stopped_early": report.stopped_early, "warnings": list(report.warnings)}
    return {**common, **said, "genotype": genotype, "alphas": alphas}


def is_last(report: Report, spec: dict[str, Any]) -> bool:
    """Whether the job is done with this report."""
    stopped = isinstance(report, EpochReport) and report.stopped_early is not None
    return stopped or report.epoch >= int(spec["epochs"])
