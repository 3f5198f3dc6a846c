"""The count of collapsed searches: pairs of one seed, what is counted, and the committed protocol."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from scipy.stats import norm

from benchmarks.collapse.count import Row, count_collapses
from benchmarks.collapse.protocol import CPU, GUARDS, CollapseProtocol
from benchmarks.collapse.report import markdown, remarks_on
from benchmarks.ledger.protocol import ProtocolError, read
from benchmarks.ledger.sources import running
from benchmarks.ledger.sources import stored as stored_runs
from benchmarks.ledger.store import Run, Store, key_of, spec_of
from benchmarks.oracle.data import checksum
from benchmarks.oracle.table import OracleTable
from darts_core.configs.guard import Guard
from darts_core.genotypes import NasBench201Genotype, to_json
from darts_core.spaces import CnnSpace
from darts_core.training.defaults import DATA_ROOT

DIGITS = checksum("digits", DATA_ROOT)
SKIPS, CONVOLUTIONS = "111133", "333333"


def protocol(**fields: Any) -> CollapseProtocol:
    given: dict[str, Any] = {
        "budget_seconds": 1,
        "seeds": 2,
        "spaces": ["s2"],
        "dataset": "digits",
        "spec": {"preset": "digits", "channels": 2, "layers": 3, "batch_size": 256, "threads": 1},
        "epochs": {"s2": 1, "nasbench201": 3},
        "deviations": ["One epoch."],
    }
    return CollapseProtocol(**{**given, **fields})


def counted(chosen: CollapseProtocol, store: Store) -> tuple[dict[Guard, Row], list[str]]:
    said: list[str] = []
    with running(chosen, store, "digits", processes=2, say=said.append) as source:
        return {row.guard: row for row in count_collapses(chosen, *source)}, said


def stored(store: Store, chosen: CollapseProtocol, guard: Guard, seed: int, index: str, **metrics: float) -> None:
    """Put a run of the space nasbench201 that found this cell into the store."""
    space: CnnSpace = "nasbench201"
    spec = spec_of(chosen.search(space, guard, seed, "digits"))
    store.add(
        Run(
            key=key_of(spec, DIGITS),
            spec=spec,
            images=DIGITS,
            genotype=to_json(NasBench201Genotype.of_index(index)),
            metrics=metrics,
            seconds=10.0 + seed,
            commit="0" * 40,
            date="2026-01-01",
            processor="x86_64",
            torch="2.14.1",
        )
    )


@pytest.fixture
def table(monkeypatch: pytest.MonkeyPatch) -> None:
    """90 % for convolutions, 40 % for skip-connections."""
    rows = {CONVOLUTIONS: 90.0, SKIPS: 40.0}
    found = OracleTable({index: {"val_acc": [value], "model_size": [0.1]} for index, value in rows.items()})
    monkeypatch.setattr("benchmarks.collapse.count.load_table", lambda name: found)


@pytest.mark.usefixtures("table")
def test_collapsed_cells_actions_and_true_accuracies_are_counted_pair_by_pair(tmp_path: Path) -> None:
    chosen, store = protocol(spaces=["nasbench201"], seeds=4), Store(tmp_path / "runs.jsonl")
    for seed in range(4):
        stored(store, chosen, "off", seed, SKIPS if seed < 3 else CONVOLUTIONS)
    stored(store, chosen, "auto", 0, CONVOLUTIONS, guard_penalty=1.5)
    stored(store, chosen, "auto", 1, CONVOLUTIONS, guard_penalty=0.0, rolled_back_to=2.0)
    stored(store, chosen, "auto", 2, SKIPS, guard_penalty=0.0)
    stored(store, chosen, "auto", 3, CONVOLUTIONS, guard_penalty=0.0)
    found, said = counted(chosen, store)
    assert said == ["8 of 8 runs are stored"]
    plain, guarded = found["off"], found["auto"]
    assert (plain.collapsed, guarded.collapsed) == (3, 1)
    assert (plain.acted, guarded.acted) == (0, 2)
    assert plain.idle_share == pytest.approx(3 / 4 * 4 / 6)
    assert guarded.idle_share == pytest.approx(1 / 4 * 4 / 6)
    assert plain.accuracies == (40, 40, 40, 90)
    assert plain.against_plain is None
    assert guarded.against_plain is not None
    assert guarded.against_plain.mean == (50 + 50) / 4
    assert (plain.epochs, plain.seconds) == (3, 11.5)
    # Wilson's interval, written out.
    z = norm.ppf(0.975)
    middle, half = 0.75 + z**2 / 8, z * (0.75 * 0.25 / 4 + z**2 / 64) ** 0.5
    assert plain.share.low == pytest.approx((middle - half) / (1 + z**2 / 4))
    assert plain.share.high == pytest.approx((middle + half) / (1 + z**2 / 4))
    assert list(remarks_on(list(found.values()))) == []


def test_searches_are_run_once_and_what_they_found_is_counted(tmp_path: Path) -> None:
    chosen = protocol()
    found, said = counted(chosen, Store(tmp_path / "runs.jsonl"))
    assert said[0] == "0 of 4 runs are stored"
    again, said = counted(chosen, Store(tmp_path / "runs.jsonl"))
    assert said == ["4 of 4 runs are stored"]
    assert again == found
    store = Store(tmp_path / "runs.jsonl")
    for guard in GUARDS:
        runs = [store.get(key_of(spec_of(chosen.search("s2", guard, s, "digits")), DIGITS)) for s in range(2)]
        skips = [run.metrics["skip_connects"] for run in runs if run is not None]
        assert found[guard].collapsed == sum(count > 4 for count in skips)
        assert found[guard].idle_share == pytest.approx(sum(skips) / 16)
        assert ["certainty" in run.metrics for run in runs if run is not None] == [guard == "auto"] * 2
        assert found[guard].accuracies is None
    lines = markdown(list(found.values()), chosen).splitlines()
    assert len({line.count("|") for line in lines[:4]}) == 1
    assert lines[-1] == "- One epoch."


@pytest.mark.usefixtures("table")
def test_a_space_in_which_darts_does_not_collapse_is_named(tmp_path: Path) -> None:
    chosen, store = protocol(spaces=["nasbench201"], seeds=1), Store(tmp_path / "runs.jsonl")
    for guard in GUARDS:
        stored(store, chosen, guard, 0, CONVOLUTIONS)
    found, _ = counted(chosen, store)
    assert ["In nasbench201 DARTS does not collapse" in text for text in remarks_on(list(found.values()))] == [True]


def test_epochs_are_those_that_fit_the_budget() -> None:
    chosen = protocol(budget_seconds=60, most_epochs=20, epochs={}, spaces=["s2", "s3"])
    with pytest.raises(ProtocolError, match="no epochs for s2"):
        chosen.search("s2", "off", 0, "digits")
    calibrated = chosen.calibrated({"s2": 7.0, "s3": 0.1}, "a processor")
    assert calibrated.epochs == {"s2": 8, "s3": 20}
    more = chosen.model_copy(update={"fewest_epochs": 9}).calibrated({"s2": 7.0, "s3": 0.1}, "a processor")
    assert more.epochs == {"s2": 9, "s3": 20}
    assert calibrated.search("s3", "auto", 0, "digits").guard == "auto"


def test_the_committed_protocol_has_epochs_for_its_spaces_and_costs_less_than_four_core_hours() -> None:
    chosen = read(CollapseProtocol, CPU)
    cost = 0.0
    for space in chosen.spaces:
        for guard in GUARDS:
            assert chosen.search(space, guard, 0, "digits").epochs >= 5
            cost += chosen.seeds * chosen.epochs[space] * chosen.seconds_per_epoch[space]
    assert cost < 4 * 3600


@pytest.mark.usefixtures("table")
def test_stored_runs_need_no_images_and_a_missing_one_is_told(tmp_path: Path) -> None:
    chosen, store = protocol(spaces=["nasbench201"], seeds=1), Store(tmp_path / "runs.jsonl")
    with pytest.raises(ProtocolError, match="has no run of the protocol"):
        stored_runs(chosen, store)
    stored(store, chosen, "off", 0, SKIPS)
    with pytest.raises(ProtocolError, match="lacks 1 of the protocol's 2 runs"):
        count_collapses(chosen, *stored_runs(chosen, store))
    stored(store, chosen, "auto", 0, CONVOLUTIONS)
    assert [row.collapsed for row in count_collapses(chosen, *stored_runs(chosen, store))] == [1, 0]
