"""A job on a terminal, drawn onto one that is only remembered."""

from __future__ import annotations

import io
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import pytest
from rich.console import Console

from api.schemas.jobs import JobKind, JobOut, Status
from client.cell_text import choices
from client.screen import Screen, sparkline

pytestmark = pytest.mark.light

# Two nodes, three candidates: by its strength, which is not the softmax of the alphas, the second on every edge.
PRIMITIVES = ["none", "sep_conv_3x3", "skip_connect"]
TABLE = [[0.0, float(row), 0.0] for row in range(1, 6)]
STRENGTHS = [[0.25 - row / 32, 0.5 + row / 16, 0.25 - row / 32] for row in range(1, 6)]
CNN = {"family": "cnn", "primitives": PRIMITIVES, "epochs": 4}
GENOTYPE = {"normal": [["sep_conv_3x3", 1], ["sep_conv_3x3", 0], ["sep_conv_3x3", 2], ["sep_conv_3x3", 1]]}


def job(spec: dict[str, Any]) -> JobOut:
    fields: dict[str, Any] = {name: None for name, field in JobOut.model_fields.items() if field.is_required()}
    fields |= {"id": UUID(int=7), "kind": JobKind.SEARCH, "status": Status.RUNNING, "spec": spec}
    fields |= {
        "labels": {},
        "priority": 5,
        "pool": "default",
        "gpus": 1,
        "max_attempts": 3,
        "attempt": 1,
    }
    fields |= {"created_at": datetime.now(UTC), "last_sequence": 1, "links": {}, "actions": []}
    return JobOut(**fields)


def drawn(*events: tuple[str, dict[str, Any]]) -> str:
    console = Console(file=io.StringIO(), force_terminal=True, width=100, color_system=None)
    with Screen(job(CNN), console) as screen:
        for kind, data in events:
            getattr(screen, kind)(data)
    return last(console)


def last(console: Console) -> str:
    assert isinstance(console.file, io.StringIO)
    # What was drawn before is wiped by cursor moves: the last drawing is what stays.
    return console.file.getvalue().rpartition("search 0000")[2]


def epoch(number: int, **metrics: float) -> tuple[str, dict[str, Any]]:
    tables = {"alphas": {"normal": TABLE}, "strengths": {"normal": STRENGTHS}}
    return "epoch", {"epoch": number, "metrics": metrics, "genotype": GENOTYPE, **tables}


def test_the_bars_stand_where_the_events_left_them() -> None:
    step = {"epoch": 3, "epochs": 4, "step": 5, "steps": 20, "eta_seconds": 3725.0}
    shown = drawn(epoch(1), epoch(2), ("step", step))
    assert "2/4" in shown
    assert "epoch 3" in shown
    assert "5/20" in shown
    assert "1:02:05 left" in shown


def test_a_warning_stays_above_the_bars() -> None:
    console = Console(file=io.StringIO(), force_terminal=True, width=100, color_system=None)
    with Screen(job(CNN), console) as screen:
        screen.epoch(epoch(1)[1])
        screen.warning("collapse looms: 3 [skip] connections")
        screen.epoch(epoch(2)[1])
    assert "warning: collapse looms: 3 [skip] connections\n" in console.file.getvalue()  # type: ignore[attr-defined]
    assert "2/4" in last(console)


def test_each_metric_has_its_curve_and_its_latest_value() -> None:
    shown = drawn(epoch(1, validation_accuracy=50.0), epoch(2, validation_accuracy=91.5))
    assert "validation accuracy  ▁█  91.50" in shown


def test_the_cell_is_drawn_node_by_node_with_the_weights_of_its_choices() -> None:
    lines = [line.split() for line in drawn(epoch(1)).splitlines() if "sep_conv_3x3" in line]
    assert [line[:3] for line in lines if line[0] in "23"] == [
        ["2", "sep_conv_3x3", "c(k-1)"],
        ["3", "sep_conv_3x3", "node"],
    ]
    assert [float(line[-2]) for line in lines] == [0.62, 0.56, 0.81, 0.75]


def test_an_epoch_of_an_older_service_is_drawn_by_the_softmax_of_its_alphas() -> None:
    kind, data = epoch(1)
    del data["strengths"]
    lines = [line.split() for line in drawn((kind, data)).splitlines() if "sep_conv_3x3" in line]
    # The second edge into the first node: exp(2) among exp(2) and two exp(0).
    assert lines[0][-2] == f"{7.389 / (7.389 + 2):.2f}"


def test_a_weight_is_the_operation_s_strength_on_its_edge() -> None:
    [first, *_] = choices(GENOTYPE, {"normal": STRENGTHS}, CNN)["normal"]
    assert first.weight == 0.625


def test_a_recurrent_node_has_one_operation() -> None:
    spec = {"family": "rnn", "primitives": ["none", "tanh"]}
    found = choices({"recurrent": [["tanh", 0], ["tanh", 1]]}, {"recurrent": [[0, 1], [0, 0], [0, 2]]}, spec)
    assert [(c.node, c.source) for c in found["recurrent"]] == [("1", "h(0)"), ("2", "node 1")]


def test_a_curve_goes_from_the_lowest_block_to_the_highest() -> None:
    assert sparkline([4, 1, 2]) == "█▁▃"


def test_a_curve_without_a_change_is_flat_and_a_long_one_is_its_end() -> None:
    assert sparkline([2.0, 2.0]) == "▄▄"
    assert sparkline([*range(100)], width=3) == "▁▅█"
