"""The report of a finished ensemble: metrics, outputs, and the file that holds it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from torch import Tensor

from darts_core.ensembles.conclusion import Decision, Measured
from darts_core.ensembles.figures import Figures
from darts_core.ensembles.stored import write_tensors
from darts_core.ensembles.subjects import Answers

LOGITS = "logits.safetensors"


@dataclass(frozen=True)
class CurvePoint:
    """Metrics of epoch `epoch` of every member, combined with the report's members and weights, on its test data."""

    epoch: int
    members: list[Figures]
    committee: Figures


@dataclass(frozen=True)
class EnsembleReport:
    """metrics: the ensemble's, by flat name. disagreement: percent, for members with logits.

    answers: by the names under which they are stored; see docs/api.md.
    """

    metrics: dict[str, float]
    seconds: float
    decision: Decision
    test: Measured
    validation: Measured | None
    epochs: list[int]
    disagreement: list[list[float]] | None
    curve: list[CurvePoint] | None
    classes: tuple[str, ...] | None
    vocabulary: int | None
    answers: Mapping[str, Tensor]
    write: Callable[[Path], str]

    @property
    def epoch(self) -> int:
        return 1

    def save(self, path: Path) -> str:
        """Save the ensemble as one file and return its SHA-256. Raises OSError, CheckpointError."""
        return self.write(path)

    def save_answers(self, path: Path) -> str:
        """Save all outputs as safetensors and return the file's SHA-256. Raises OSError."""
        return write_tensors(path, self.answers)


def metrics_of(test: Measured, validation: Measured | None) -> dict[str, float]:
    """The ensemble's metrics and their baselines, by the names used in lists and curves."""
    found = {f"test_{name}": value for name, value in test.committee.items()}
    found["gain"] = test.gain
    for name, best in (("accuracy", max), ("perplexity", min)):
        if name in test.committee:
            found[f"best_member_{name}"] = best(member[name] for member in test.members)
            found[f"plain_{name}"] = test.plain[name]
    if validation is not None:
        found |= {f"validation_{name}": value for name, value in validation.committee.items()}
    return found


def answers_of(answers: Answers, committee: Tensor, *, prefix: str, output: str, label: str) -> dict[str, Tensor]:
    """The outputs on one part, by the names under which they are stored. output, label: the subject's names."""
    return {
        f"{prefix}{output}": committee,
        f"{prefix}{label}": answers.labels,
        f"{prefix}places": answers.places,
        **{f"{prefix}member.{place}": said for place, said in enumerate(answers.outputs)},
    }
