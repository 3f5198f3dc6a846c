"""The strengths of a search's epochs, from the report to what a worker sends and what is drawn."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from darts_core import run_evaluation, run_search
from darts_core.configs import EvaluationConfig, SearchConfig
from darts_core.drawing import cells_of
from darts_core.genotypes import softmaxed
from darts_core.primitives import edges_of
from darts_core.training.control import UNCONTROLLED
from worker.runners.training import train


def test_an_epoch_reports_the_strengths_of_its_method(
    search_config: Callable[..., SearchConfig], data_root: Path
) -> None:
    config = search_config(method="drnas", epochs=1)
    [report] = run_search(config, data_root=data_root)
    assert report.alphas is not None
    assert report.strengths is not None
    assert report.genotype is not None
    alphas = {kind: table.tolist() for kind, table in report.alphas.items()}
    # The mean of Dirichlet(elu(alpha) + 1).
    [row, *_] = alphas["normal"]
    assert max(map(abs, row)) < 0.1
    concentrations = [1 + alpha if alpha > 0 else 2.718281828459045**alpha for alpha in row]
    assert report.strengths["normal"][0] == pytest.approx([c / sum(concentrations) for c in concentrations])
    assert report.strengths != softmaxed(alphas)
    [cell, _] = cells_of(report.genotype, report.strengths, config.primitives)
    assert config.primitives is not None
    for node, operations in enumerate(cell.nodes):
        for operation in operations:
            expected = report.strengths["normal"][edges_of(node) + operation.source]
            assert operation.weight == expected[list[str](config.primitives).index(operation.name)]


def test_a_worker_sends_the_strengths(search_config: Callable[..., SearchConfig], data_root: Path) -> None:
    spec = search_config(method="drnas", epochs=1).model_dump(mode="json")
    [sent] = train("search", spec, data_root=data_root, resume_from=None, inputs={}, control=UNCONTROLLED)
    [report] = run_search(SearchConfig(**spec), data_root=data_root)
    assert sent.fields["strengths"] == report.strengths


def test_an_evaluation_has_none(evaluation_config: Callable[..., EvaluationConfig], data_root: Path) -> None:
    report = next(iter(run_evaluation(evaluation_config(epochs=1), data_root=data_root)))
    assert report.strengths is None
