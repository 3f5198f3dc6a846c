from __future__ import annotations

from typing import Any

import pytest

from api.kinds import KINDS
from api.kinds.kind import ACTIONS
from api.schemas.jobs import JobKind

CNN, RNN = {"family": "cnn"}, {"family": "rnn"}


@pytest.mark.parametrize(
    ("name", "spec", "metric", "direction"),
    [
        ("search", CNN, "validation_accuracy", "max"),
        ("search", RNN, "validation_perplexity", "min"),
        ("evaluation", {}, "validation_accuracy", "max"),
        ("score", CNN, "test_accuracy", "max"),
        ("ensemble", RNN, "test_perplexity", "min"),
    ],
)
def test_the_objective_follows_from_kind_and_family(
    name: str, spec: dict[str, Any], metric: str, direction: str
) -> None:
    objective = KINDS[name].objective(spec)
    assert objective is not None
    assert (objective.metric, objective.direction) == (metric, direction)


@pytest.mark.parametrize("name", ["study", "committee"])
def test_composite_kinds_have_no_objective(name: str) -> None:
    assert KINDS[name].protocol is not None
    assert KINDS[name].objective(CNN) is None


@pytest.mark.parametrize(
    ("spec", "metrics", "best", "better"),
    [
        (CNN, {"validation_accuracy": 2.0}, {"epoch": 1, "validation_accuracy": 1.0}, True),
        (CNN, {"validation_accuracy": 1.0}, {"epoch": 1, "validation_accuracy": 1.0}, False),
        (RNN, {"validation_perplexity": 2.0}, {"epoch": 1, "validation_perplexity": 1.0}, False),
        (CNN, {"test_accuracy": 1.0}, {"epoch": 1, "test_accuracy": 2.0}, True),  # no validation data: the latest
        (CNN, {"validation_accuracy": 1.0}, None, True),
    ],
)
def test_an_epoch_is_best_by_validation_data_alone(
    spec: dict[str, Any], metrics: dict[str, float], best: dict[str, Any] | None, better: bool
) -> None:
    assert KINDS["evaluation"].is_better(spec, metrics, best) is better


@pytest.mark.parametrize(
    ("name", "every", "kept"),
    [
        ("search", None, {6}),
        ("search", 2, {2, 4, 6}),
        ("evaluation", None, {3, 6}),
        ("evaluation", 4, {3, 4, 6}),
        ("score", None, {1, 2, 3, 4, 5, 6}),
    ],
)
def test_retention_keeps_what_the_kind_needs(name: str, every: int | None, kept: set[int]) -> None:
    assert KINDS[name].retained([1, 2, 3, 4, 5, 6], {"epoch": 3}, every) == kept


def test_every_declared_name_has_a_kind() -> None:
    assert list(KINDS) == JobKind.all()
    assert all({*ACTIONS} <= {*kind.actions} for kind in KINDS.values())
    assert [name for name, kind in KINDS.items() if "extend" in kind.actions] == ["search", "evaluation"]


def test_collections_are_the_plurals() -> None:
    collections = {kind.collection for kind in JobKind.all()}
    assert collections == {"searches", "evaluations", "scores", "ensembles", "studies", "committees", "predictions"}


def test_an_unknown_name_is_refused_with_those_there_are() -> None:
    with pytest.raises(ValueError, match="'nonsense' is not a kind of job: search, evaluation"):
        JobKind("nonsense")
