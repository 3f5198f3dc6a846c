"""A third family, as a file of darts_core/families would have it: a cell of one edge, and a search for it."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Final, Literal

import torch

from api.schemas.jobs import JobFrame
from darts_core.configs.common import RunConfig, check_single
from darts_core.data.catalogue import preset_of
from darts_core.families import CNN, NetworkFamily, Objective
from darts_core.spaces import Space
from darts_core.training.control import Control


class LineSearchConfig(RunConfig):
    family: Literal["line"] = "line"
    dataset: str
    epochs: int = 2
    primitives: tuple[str, ...] = ("identity", "double")

    def resolved(self, info: Any = None) -> LineSearchConfig:
        return self

    def check_gpus(self, gpus: int) -> None:
        check_single(gpus)


class LineSearchCreate(JobFrame, LineSearchConfig):
    """The request, which the kind of job takes."""


@dataclass(frozen=True)
class LineReport:
    epoch: int
    metrics: dict[str, float]
    genotype: str
    alphas: dict[str, torch.Tensor]
    strengths: ClassVar[dict[str, list[list[float]]]] = {"line": [[0.0, 1.0]]}
    seconds: float = 0.5
    stopped_early: str | None = None
    warnings: tuple[str, ...] = ()
    content: ClassVar[bytes] = b"a line"

    def save(self, path: Path) -> str:
        path.write_bytes(self.content)
        return hashlib.sha256(self.content).hexdigest()


def run_line_search(
    config: LineSearchConfig, *, data_root: Path, device: Any, resume_from: Any, control: Control
) -> Iterator[LineReport]:
    """The error falls, then rises: the first epoch is the best."""
    for epoch in range(1, config.epochs + 1):
        alphas = {"line": torch.tensor([[0.25, float(epoch)]])}
        yield LineReport(epoch, {"validation_error": float(epoch)}, config.primitives[-1], alphas)


def _stored(genotype: Any) -> dict[str, Any]:
    return {"family": "line", "line": genotype["line"]}


LINE: Final = NetworkFamily(
    name="line",
    data="images",
    data_fields=("dataset_checksum",),
    example="digits",
    selection=Objective("validation_error", "min"),
    reporting=Objective("test_error", "min"),
    unit="",
    outputs="classes",
    checkpoint_fields=frozenset(),
    cells=("line",),
    spaces={"line": Space("line", "Line", "tests", "One edge.", ("identity", "double"), cells=("line",))},
    default_space="line",
    known={},
    search=LineSearchConfig,
    retraining=LineSearchConfig,
    evaluation=CNN.evaluation,
    scoring=CNN.scoring,
    measured={},
    search_presets={},
    evaluation_presets={},
    preset_of=preset_of,
    uploaded_checksum=lambda spec: None,
    has_validation=lambda spec, info: True,
    stored=_stored,
    to_json=lambda genotype: {"family": "line", "line": genotype},
    runners={"search": "tests.support.line_family:run_line_search"},
)
