"""Names the values of a job as trackers show them: parameters, and scalars by epoch."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

from api.schemas.jobs import EpochOut, JobOut
from client.cell_text import edges, inputs_of
from darts_core.genotypes.derive import EDGES

Parameter = str | int | float | bool


def parameters(spec: Mapping[str, Any]) -> dict[str, Parameter]:
    """The spec's fields, nested ones by dots, as in `guard.limit`. Lists and null are JSON text."""
    found: dict[str, Parameter] = {}
    for name, value in spec.items():
        if isinstance(value, Mapping):
            found |= {f"{name}.{inner}": each for inner, each in parameters(value).items()}
        else:
            found[name] = value if isinstance(value, Parameter) else json.dumps(value)
    return found


def scalars(job: JobOut, epoch: EpochOut) -> dict[str, float]:
    """The epoch's metrics, its `seconds`, and a search's alphas as `alphas/CELL/SOURCE-NODE/OPERATION`."""
    return {**epoch.metrics, "seconds": epoch.seconds, **dict(_alphas(job, epoch))}


def _alphas(job: JobOut, epoch: EpochOut) -> Iterator[tuple[str, float]]:
    """A table of edge weights has one number for each edge, which goes without an operation."""
    for table, rows in (epoch.alphas or {}).items():
        places = edges(len(rows), inputs_of(table.removesuffix(EDGES)))
        operations = [""] if table.endswith(EDGES) else [f"/{name}" for name in job.spec.get("primitives", ())]
        for (node, source), row in zip(places, rows, strict=False):
            for operation, alpha in zip(operations, row, strict=False):
                yield f"alphas/{table}/{source}-{node}{operation}", alpha


def genotype(job: JobOut, latest: EpochOut | None) -> Mapping[str, Any] | None:
    """The cell of a search's latest epoch, or the one that an evaluation trains."""
    return latest.genotype if latest is not None and latest.genotype is not None else job.spec.get("genotype")


def run_name(job: JobOut) -> str:
    """The job's name, or its kind and the end of its id, which differs between jobs of one minute."""
    return job.name or f"{job.kind}-{str(job.id)[-6:]}"
