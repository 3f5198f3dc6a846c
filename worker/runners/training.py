"""Runs searches and evaluations of any family."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from darts_core.configs.init_from import ALPHAS, SOURCE
from darts_core.families import family_in
from darts_core.files import checkpoints
from darts_core.training.control import Control
from darts_core.training.init_from import Source
from darts_core.training.run_config import run_config
from worker.runners.runner import Report


def train(
    kind: str,
    spec: dict[str, Any],
    *,
    data_root: Path,
    resume_from: Path | None,
    inputs: Mapping[str, Path],
    control: Control,
    gpus: int = 1,
) -> Iterator[Report]:
    """The epochs that are still to do. inputs: the state that the job starts from, if it does; no resume needs it."""
    family = family_in(spec)
    saved = None if resume_from is None else checkpoints.read(resume_from)
    config = family.config(kind, spec)(**spec)
    source = _source(inputs) if saved is None else None
    for report in run_config(config, data_root=data_root, resume_from=saved, control=control, gpus=gpus, source=source):
        yield Report(
            report.epoch,
            report.metrics,
            report.seconds,
            files={f"epoch-{report.epoch}.pt": report.save},
            fields={
                "stopped_early": report.stopped_early,
                "warnings": list(report.warnings),
                "genotype": None if report.genotype is None else family.to_json(report.genotype),
                "alphas": None if report.alphas is None else {k: a.tolist() for k, a in report.alphas.items()},
                "strengths": report.strengths,
            },
            ends=report.stopped_early is not None,
        )


def _source(inputs: Mapping[str, Path]) -> Source | None:
    if ALPHAS in inputs:
        return {"alphas": checkpoints.read_alphas(inputs[ALPHAS])}
    return checkpoints.read(inputs[SOURCE]) if SOURCE in inputs else None
