"""Selects an ensemble's members, fits their weights and computes its metrics."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from darts_core.configs.ensemble import Combining
from darts_core.ensembles.figures import Figures
from darts_core.ensembles.fitting import fitted_weights
from darts_core.ensembles.mixing import check_finite, even_weights
from darts_core.ensembles.parts import Part
from darts_core.ensembles.selection import forward_selection
from darts_core.ensembles.subjects import Answers, Subject


@dataclass(frozen=True)
class Step:
    """One selection step: the added member and the validation metric of the equally weighted ensemble."""

    member: int
    validation: Figures


@dataclass(frozen=True)
class Decision:
    """The selected members (ascending indices) and their weights (one per member, 0 when not selected)."""

    chosen: list[int]
    weights: list[float]
    selection: list[Step] | None


@dataclass(frozen=True)
class Measured:
    """All results on one part. plain: all members combined without selection or fitted weights."""

    part: Part
    members: list[Figures]
    committee: Figures
    plain: Figures
    gain: float


def decided(subject: Subject, config: Combining, validation: Answers | None) -> Decision:
    """validation: required when the config asks for selection or fitting. Raises DataError."""
    members = len(config.members)
    chosen, selection = list(range(members)), None
    if validation is None:
        return Decision(chosen, even_weights(members, chosen, config.combine), None)
    check_finite(validation.outputs)
    if config.select is not None:
        selection = _selection(subject, config, validation)
        chosen = sorted(step.member for step in selection)
    if config.combine != "fitted":
        return Decision(chosen, even_weights(members, chosen, config.combine), selection)
    truths = torch.stack([subject.truths(validation.outputs[place], validation.labels) for place in chosen])
    weights = dict(zip(chosen, fitted_weights(truths).tolist(), strict=True))
    return Decision(chosen, [weights.get(place, 0.0) for place in range(members)], selection)


def _selection(subject: Subject, config: Combining, validation: Answers) -> list[Step]:
    assert config.select is not None

    def figures(places: Sequence[int]) -> Figures:
        weights = even_weights(len(config.members), places, config.combine)
        return subject.figures(subject.combined(validation.outputs, weights, config.combine), validation.labels)

    path = forward_selection(len(config.members), config.select.best, lambda places: subject.quality(figures(places)))
    order = [addition.member for addition in path]
    return [Step(member, figures(sorted(order[: end + 1]))) for end, member in enumerate(order)]


def measured(subject: Subject, config: Combining, decision: Decision, answers: Answers) -> tuple[Measured, Tensor]:
    """Compute all metrics on one part, and the ensemble's outputs, float64. Raises DataError."""
    check_finite(answers.outputs)
    committee = subject.combined(answers.outputs, decision.weights, config.combine)
    everybody = range(len(config.members))
    plain = subject.combined(answers.outputs, even_weights(len(everybody), everybody, subject.plain), subject.plain)
    members = [subject.figures(output, answers.labels) for output in answers.outputs]
    figures = subject.figures(committee, answers.labels)
    found = Measured(
        part=answers.part,
        members=members,
        committee=figures,
        plain=subject.figures(plain, answers.labels),
        gain=subject.gain(figures, members),
    )
    return found, committee
