"""Describes one job of a comparison and computes its figures, without side effects."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from api.schemas.compare import CellFigures, ComparedJob
from api.schemas.jobs import JobKind, Status
from darts_core.genotypes import AnyGenotype, Genotype, NasBench201Genotype, RecurrentGenotype, to_python
from darts_core.genotypes.diagnostics import PARAMETER_FREE, count
from darts_core.genotypes.edges import Edges
from darts_core.profile import LanguageShape, Shape, profile, profile_language_model
from darts_core.spaces.nasbench201 import CELL

# Operations of either family that return their input unchanged.
SKIPS = frozenset({"skip_connect", "identity"})


@dataclass(frozen=True)
class Run:
    """The duration of an attempt in seconds and its worker's device, if known."""

    seconds: float
    device: str | None


@dataclass(frozen=True)
class Side:
    """One job of a comparison. shape: of the network whose cost is given; None if unknown."""

    id: UUID
    kind: JobKind
    name: str | None
    status: Status
    status_reason: str | None
    spec: Mapping[str, Any]
    gpus: int
    planned_epochs: int | None
    last: dict[str, float] | None
    best: dict[str, float] | None
    epochs: Mapping[int, Mapping[str, float]]
    genotype: AnyGenotype | None
    shape: Shape | LanguageShape | None
    runs: tuple[Run, ...]


def cells_of(genotype: AnyGenotype) -> dict[str, Edges]:
    """The kept edges by cell."""
    if isinstance(genotype, RecurrentGenotype):
        return {"recurrent": genotype.recurrent}
    if isinstance(genotype, NasBench201Genotype):
        return {CELL: genotype.cell}
    return {"normal": genotype.normal, "reduce": genotype.reduce}


def figures(side: Side) -> ComparedJob:
    """The job's column of the comparison."""
    parameters, multiply_adds = _costs(side)
    on_gpus = [run for run in side.runs if run.device is not None and not run.device.startswith("cpu")]
    return ComparedJob(
        id=side.id,
        kind=side.kind,
        name=side.name,
        status=side.status,
        status_reason=side.status_reason,
        family=side.spec.get("family"),
        dataset=side.spec.get("dataset"),
        seed=side.spec.get("seed"),
        epochs=len(side.epochs),
        planned_epochs=side.planned_epochs,
        genotype=None if side.genotype is None else to_python(side.genotype),
        cells={} if side.genotype is None else {k: _cell(edges) for k, edges in cells_of(side.genotype).items()},
        parameters=parameters,
        multiply_adds=multiply_adds,
        attempts=len(side.runs),
        gpus=side.gpus,
        devices=sorted({run.device for run in side.runs if run.device is not None}),
        compute_seconds=side.gpus * sum(run.seconds for run in side.runs),
        gpu_seconds=side.gpus * sum(run.seconds for run in on_gpus),
        last=side.last,
        best=side.best,
    )


def _cell(edges: Edges) -> CellFigures:
    skips = count(edges, SKIPS)
    return CellFigures(
        edges=len(edges),
        skip_connects=skips,
        skip_share=skips / len(edges),
        parameter_free=count(edges, PARAMETER_FREE | SKIPS),
    )


def _costs(side: Side) -> tuple[int | None, int | None]:
    match side.genotype, side.shape:
        case Genotype() | NasBench201Genotype() as cell, Shape() as shape:
            found = profile(cell, shape)
            return found.parameters, found.multiply_adds
        case RecurrentGenotype() as recurrent, LanguageShape() as shape:
            model = profile_language_model(recurrent, shape)
            return model.parameters, model.multiply_adds
    return None, None
