"""The rows on which the service's advice rests are those of the stored runs."""

from __future__ import annotations

from pathlib import Path

from benchmarks.ledger.advice import LEDGER, as_json, ledger
from benchmarks.ledger.protocol import PROTOCOLS
from benchmarks.ledger.store import RUNS, Store


def test_the_service_s_rows_are_what_the_stored_runs_give() -> None:
    left_out: list[str] = []
    found = ledger(Store(RUNS), left_out.append)
    assert LEDGER.read_text() == as_json(found), "run `dartboard bench advice`"
    complete = {row.protocol for row in found.rows}
    assert {"oracle-cpu", "nasbench201-digits-cpu"} <= complete
    assert len(complete) + len(left_out) == len([*PROTOCOLS.glob("*.json")])
    assert {reason.partition(":")[0] for reason in left_out} >= {
        "guard-cpu",
        "recurrent-cpu",
        "darts-cifar10-subset-cpu",
    }


def test_a_protocol_without_runs_has_no_rows(tmp_path: Path) -> None:
    assert ledger(Store(tmp_path / "runs.jsonl")).rows == []
