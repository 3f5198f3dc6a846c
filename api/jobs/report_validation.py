"""Validates that an epoch's report fits its job."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pydantic import ValidationError

from api.db.models import Job
from api.http.problems import invalid, invalid_fields
from api.jobs.early_stopping import last_epoch
from api.kinds import kind_of
from api.schemas.alphas import family_of_tables
from api.schemas.worker import EpochReport
from darts_core.families import family_in
from darts_core.genotypes.derive import EDGES

Tables = Mapping[str, list[list[float]]]


def check_fits(job: Job, report: EpochReport) -> None:
    """Raise ProblemError 422 for an epoch past the job's last, for a search's epoch without a cell and alphas of its
    family, and for strengths that differ from the alphas in their tables' names or shapes.
    """
    check_epoch(job, report.epoch)
    if report.strengths is not None:
        _check_strengths(report.strengths, report.alphas or {})
    if not kind_of(job).finds_cells:
        return
    family = family_in(job.spec).name
    for field, value, found in (
        ("genotype", report.genotype, report.genotype and family_in(report.genotype).name),
        ("alphas", report.alphas, report.alphas and family_of_tables(report.alphas)),
    ):
        if value is None:
            raise invalid(field, f"is required for an epoch of a {job.kind}")
        if found != family:
            raise invalid(field, f"is of the family {found!r}, the {job.kind} of {family!r}")
        if lacking := [cell for cell in family_in(job.spec).cells_of(job.spec) if cell not in value]:
            raise invalid(field, f"lacks {', '.join(lacking)}: the {job.kind} is in space {job.spec.get('space')!r}")


def _check_strengths(strengths: Tables, alphas: Tables) -> None:
    expected = {name: _shape(table) for name, table in alphas.items() if not name.endswith(EDGES)}
    for name in sorted(expected.keys() | strengths.keys()):
        if name not in strengths:
            raise invalid("strengths", f"{name} is missing, which the alphas have")
        if name not in expected:
            raise invalid("strengths", f"{name} is a table that the alphas of the cells lack")
        if (shape := _shape(strengths[name])) != expected[name]:
            raise invalid("strengths", f"{name} has {shape}, its alphas {expected[name]}")


def _shape(table: list[list[float]]) -> str:
    return f"{len(table)} x {len(table[0])} numbers"


def check_epoch(job: Job, epoch: int) -> None:
    """Raise ProblemError 422 for an epoch past the job's last."""
    if epoch > (last := last_epoch(job)):
        raise invalid("epoch", f"{epoch} is past the job's last epoch, {last}")


def result_of(job: Job, result: dict[str, Any]) -> dict[str, Any]:
    """A report's result as stored. Raises ProblemError 422 if the job's kind has another result or none."""
    kind = kind_of(job)
    if kind.result is None:
        raise invalid("result", f"is not allowed for an epoch of a {job.kind}")
    try:
        read = kind.results.validate_python(result)
    except ValidationError as error:
        raise invalid_fields(error, kind.result, lambda loc: ("result", *loc)) from error
    stored: dict[str, Any] = kind.results.dump_python(read, mode="json")
    return stored
