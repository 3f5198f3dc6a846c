"""The ledger: its stored runs and its intervals."""

from __future__ import annotations

import itertools
import math
import statistics
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from benchmarks import random_cells
from benchmarks.collapse.protocol import CPU as COLLAPSE
from benchmarks.language_models.protocol import CPU as LANGUAGE_MODELS
from benchmarks.ledger.compare import compare, found_cell
from benchmarks.ledger.controls import cell_parameters, random_cell_of_size
from benchmarks.ledger.intervals import Interval, interval, paired_difference
from benchmarks.ledger.protocol import PROTOCOLS, Protocol, ProtocolError, load_protocol
from benchmarks.ledger.provenance import commit
from benchmarks.ledger.ranking import rank_cells
from benchmarks.ledger.regret import curve, listing
from benchmarks.ledger.report import Row, Worth, markdown, rows
from benchmarks.ledger.rerun import rerun, title
from benchmarks.ledger.runs import run_missing
from benchmarks.ledger.sources import RunsOf, stored
from benchmarks.ledger.store import Run, Store, StoreError, key_of, spec_of
from benchmarks.oracle.data import checksum
from benchmarks.oracle.table import OracleTable, load_table
from darts_core.configs import SearchConfig
from darts_core.genotypes import KNOWN, Genotype, NasBench201Genotype, drawn_cell, parse, random_nasbench201
from darts_core.spaces import CnnSpace
from darts_core.training.defaults import DATA_ROOT
from darts_core.training.search import run_search
from darts_core.training.weight_sharing import random_cells as cells_of_seed

IMAGES = "0" * 64
DIGITS = checksum("digits", DATA_ROOT)
SPEC = {"method": "darts", "seed": 1, "epochs": 5}


def _run(seed: int) -> Run:
    spec = {**SPEC, "seed": seed}
    return Run(
        key=key_of(spec, IMAGES),
        spec=spec,
        images=IMAGES,
        genotype={"space": "nasbench201", "index": "333133"},
        metrics={"validation_accuracy": 31.5},
        seconds=119.5,
        commit="0" * 40,
        date="2026-01-01",
        processor="x86_64",
        torch="2.14.1",
    )


def test_a_stored_run_is_found_by_its_spec_whatever_the_order_of_fields(tmp_path: Path) -> None:
    Store(tmp_path / "runs.jsonl").add(_run(1))
    store = Store(tmp_path / "runs.jsonl")
    assert store.get(key_of(dict(reversed(SPEC.items())), IMAGES)) == _run(1)
    assert store.get(key_of(SPEC, "1" * 64)) is None


def test_a_line_that_a_crash_cut_off_is_dropped(tmp_path: Path) -> None:
    path = tmp_path / "runs.jsonl"
    Store(path).add(_run(1))
    whole = path.read_text()
    path.write_text(whole + whole[:40])
    store = Store(path)
    assert store.get(key_of(SPEC, IMAGES)) == _run(1)
    store.add(_run(2))
    assert Store(path).get(_run(2).key) == _run(2)


def test_a_line_of_another_kind_is_refused_by_its_number(tmp_path: Path) -> None:
    path = tmp_path / "runs.jsonl"
    path.write_text('{"key": "x"}\n')
    with pytest.raises(StoreError, match=r"runs\.jsonl, line 1, is no run"):
        Store(path)


def test_an_interval_holds_the_quantiles_of_all_resamples() -> None:
    values = [1.0, 2.0, 4.0, 8.0]
    means = sorted(statistics.fmean(drawn) for drawn in itertools.product(values, repeat=4))
    found = interval(values)
    assert found.mean == 3.75
    assert abs(sum(mean < found.low for mean in means) / len(means) - 0.025) < 0.02
    assert abs(sum(mean > found.high for mean in means) / len(means) - 0.025) < 0.02
    assert interval(values) == found


def test_a_difference_is_taken_pair_by_pair() -> None:
    values, others = [50.0, 60.0, 70.0, 80.0], [49.0, 59.5, 68.0, 79.0]
    found = paired_difference(values, others)
    assert found.mean == 1.125
    assert 0.5 <= found.low < found.high <= 2
    assert found.excludes_zero
    assert not paired_difference([1.0, 5.0, 2.0], [2.0, 1.0, 4.0]).excludes_zero


def _protocol(**fields: Any) -> Protocol:
    given: dict[str, Any] = {
        "budget_seconds": 1,
        "seeds": 2,
        "methods": ["random", "gdas"],
        "dataset": "digits",
        "spec": {"channels": 4, "layers": 3, "batch_size": 256, "threads": 1},
        "epochs": {"gdas": 1},
        "deviations": ["One epoch."],
    }
    return Protocol(**{**given, **fields})


def _runs_of(store: Store, said: list[str]) -> RunsOf:
    options: dict[str, Any] = {"images": DIGITS, "data_root": DATA_ROOT, "device": "cpu", "processes": 2}
    return partial(run_missing, store=store, **options, say=said.append)


def _compared(protocol: Protocol, store: Store) -> tuple[list[Row], list[str]]:
    said: list[str] = []
    return compare(protocol, "digits", _runs_of(store, said)), said


RETRAINING = {"preset": "digits", "epochs": 1, "channels": 4, "layers": 1, "auxiliary": False, "batch_size": 256}


def test_found_cells_are_retrained_once_and_compared_with_the_random_ones_of_their_seeds(tmp_path: Path) -> None:
    protocol = _protocol(space="darts", retraining=RETRAINING)
    found, said = _compared(protocol, Store(tmp_path / "runs.jsonl"))
    assert said[0] == "0 of 4 runs are stored"
    again, said = _compared(protocol, Store(tmp_path / "runs.jsonl"))
    assert said == ["4 of 4 runs are stored"] * 2
    assert again == found
    store = Store(tmp_path / "runs.jsonl")
    assert compare(protocol, *stored(protocol, store)) == found
    longer = _protocol(space="darts", retraining=RETRAINING, seeds=3)
    with pytest.raises(ProtocolError, match="lacks 2 of the protocol's 6 runs: give its images with --dataset"):
        compare(longer, *stored(longer, store))
    with pytest.raises(ProtocolError, match=r"runs\.jsonl has no run of the protocol"):
        stored(_protocol(), store)
    by_method = {row.method: row for row in found}
    assert by_method["random"].against_random is None
    assert by_method["random"].against_size is None  # the protocol has no controls
    difference = by_method["gdas"].against_random
    assert difference is not None
    pairs = zip(by_method["gdas"].accuracies, by_method["random"].accuracies, strict=True)
    assert difference.mean == pytest.approx(statistics.fmean(mine - theirs for mine, theirs in pairs))
    for method in protocol.methods:
        for seed in range(2):
            search = store.get(key_of(spec_of(protocol.search(method, seed, "digits")), DIGITS))
            assert search is not None
            retrained = store.get(key_of(spec_of(protocol.evaluation(found_cell(search), seed, "digits")), DIGITS))
            assert retrained is not None
            assert by_method[method].accuracies[seed] == retrained.metrics["test_accuracy"]
    lines = markdown(found, protocol).splitlines()
    assert len({line.count("|") for line in lines[:4]}) == 1
    assert lines[-1] == "- One epoch."


def test_each_found_cell_has_controls_of_its_size_retrained_from_its_seed(tmp_path: Path) -> None:
    protocol = _protocol(space="darts", retraining=RETRAINING, controls=2)
    store = Store(tmp_path / "runs.jsonl")
    found = {row.method: row for row in _compared(protocol, store)[0]}
    differences = []
    for seed in range(2):
        search = store.get(key_of(spec_of(protocol.search("gdas", seed, "digits")), DIGITS))
        assert search is not None
        cell = found_cell(search)
        accuracies = []
        for number in range(2):
            control = random_cell_of_size(cell, protocol, 2 * seed + number)
            assert abs(cell_parameters(control, protocol) / cell_parameters(cell, protocol) - 1) <= 0.05
            run = store.get(key_of(spec_of(protocol.evaluation(control, seed, "digits")), DIGITS))
            assert run is not None
            accuracies.append(run.metrics["test_accuracy"])
        differences.append(found["gdas"].accuracies[seed] - statistics.fmean(accuracies))
    assert found["gdas"].against_size == interval(differences)


@pytest.mark.parametrize("space", ["darts", "s2"])
@pytest.mark.parametrize("name", ["DARTS_V2", "PC_DARTS"])
def test_a_control_is_another_cell_of_the_space_and_nearly_the_size(space: CnnSpace, name: str) -> None:
    protocol = _protocol(space=space, retraining=RETRAINING)
    cell = KNOWN[name] if space == "darts" else drawn_cell("cnn", 5, space=space)
    assert isinstance(cell, Genotype)
    controls = [random_cell_of_size(cell, protocol, seed) for seed in range(5)]
    assert len({cell, *controls}) == 6
    assert controls[3] == random_cell_of_size(cell, protocol, 3)
    for control in controls:
        assert abs(cell_parameters(control, protocol) / cell_parameters(cell, protocol) - 1) <= 0.05
        spec = SearchConfig(dataset="digits", space=space).resolved()
        assert {edge.op for edge in control.normal} <= set(spec.primitives or ())


def test_a_size_that_no_cell_of_the_space_has_is_refused() -> None:
    protocol = _protocol(space="s2", retraining=RETRAINING)  # of 3x3 convolutions and skip-connections
    large = [("sep_conv_5x5", source) for source in (0, 1, 0, 1, 0, 1, 0, 1)]
    with pytest.raises(ProtocolError, match="no random cell of space s2 has"):
        random_cell_of_size(Genotype.of(large, (2, 3, 4, 5), large, (2, 3, 4, 5)), protocol, 0)


def test_a_searched_cell_is_compared_with_random_ones_seed_by_seed(tmp_path: Path) -> None:
    protocol = _protocol(space="darts", retraining=RETRAINING)
    said: list[str] = []
    found = random_cells.compare(protocol, "gdas", 3, "digits", _runs_of(Store(tmp_path / "runs.jsonl"), said))
    assert len({*found.found.parameters}) == 1
    assert found.difference == paired_difference(found.found.accuracies, found.random.accuracies)
    lines = [*random_cells.listing(found).markdown()]
    assert len({line.count("|") for line in lines}) == 1
    with pytest.raises(ProtocolError, match="no method 'drnas'; it has random, gdas"):
        random_cells.compare(protocol, "drnas", 3, "digits", _runs_of(Store(tmp_path / "runs.jsonl"), said))


def test_a_curve_of_regret_has_a_search_for_each_budget_and_seed(tmp_path: Path) -> None:
    table, said = load_table(), list[str]()
    protocol = _protocol(seconds_per_epoch={"gdas": 1.0})
    runs_of = _runs_of(Store(tmp_path / "runs.jsonl"), said)
    short, long = curve(protocol, ["gdas"], [1, 2.5], table, "digits", runs_of)
    assert (short.epochs, long.epochs) == (1, 2)
    assert said[0] == "0 of 4 runs are stored"
    store = Store(tmp_path / "runs.jsonl")
    for point in (short, long):
        for seed, regret in enumerate(point.regrets):
            search = protocol.search("gdas", seed, "digits", point.epochs)
            run = store.get(key_of(spec_of(search), DIGITS))
            assert run is not None
            cell = parse(run.genotype or {})
            assert isinstance(cell, NasBench201Genotype)
            assert regret == table.truth(cell).regret
        assert point.regret == interval(point.regrets)
    last = [*listing([short, long], table).markdown()][-1]
    assert last == f"| best of 20 random |  |  | {table.best - table.best_of_random(20):.2f} |"
    with pytest.raises(ProtocolError, match="the best cell of space darts is unknown"):
        curve(_protocol(space="darts", retraining=RETRAINING), ["gdas"], [1], table, "digits", runs_of)


def test_runs_done_again_are_compared_to_the_last_bit(tmp_path: Path) -> None:
    protocol, store = _protocol(seeds=1, methods=["random", "gdas", "rsps"]), Store(tmp_path / "runs.jsonl")
    options: dict[str, Any] = {"processes": 1, "say": lambda line: None}
    with pytest.raises(ProtocolError, match=r"runs\.jsonl lacks the run"):
        list(rerun(protocol, ["gdas"], store, "digits", **options))
    configs = [protocol.search(method, 0, "digits") for method in ("random", "gdas")]
    [drawn, searched] = _runs_of(store, [])(configs)
    found = list(rerun(protocol, ["gdas"], store, "digits", **options))
    assert {title(run): same for run, same in found} == {"random, seed 0": True, "gdas, seed 0": True}
    other = Store(tmp_path / "other.jsonl")
    other.add(drawn)
    loss = math.nextafter(searched.metrics["validation_loss"], 0)
    other.add(searched.model_copy(update={"metrics": {**searched.metrics, "validation_loss": loss}}))
    found = list(rerun(protocol, ["gdas"], other, "digits", **options))
    assert {title(run): same for run, same in found} == {"random, seed 0": True, "gdas, seed 0": False}


def test_a_run_on_a_text_is_none_of_the_protocol_s(tmp_path: Path) -> None:
    store = Store(tmp_path / "runs.jsonl")
    store.add(_run(0).model_copy(update={"spec": {"dataset": "python-docs", "network": "lstm"}}))
    with pytest.raises(ProtocolError, match="has no run of the protocol"):
        stored(_protocol(), store)


def test_a_stored_run_names_its_code_images_and_cell(tmp_path: Path) -> None:
    protocol = _protocol(seeds=1, methods=["random", "gdas"])
    configs = [protocol.search(method, 0, "digits") for method in protocol.methods]
    options: dict[str, Any] = {"images": IMAGES, "data_root": DATA_ROOT, "device": "cpu", "processes": 1}
    drawn, searched = run_missing(configs, store=Store(tmp_path / "runs.jsonl"), **options, say=lambda line: None)
    assert parse(drawn.genotype or {}) == random_nasbench201(0)
    assert searched.spec == spec_of(configs[1])
    assert searched.key == key_of(searched.spec, IMAGES)
    assert searched.commit == commit()
    assert searched.seconds > 0


def test_a_row_has_the_epochs_of_a_spec_that_leaves_the_default_out() -> None:
    spec = spec_of(_protocol(epochs={"gdas": 50}).search("gdas", 0, "digits"))
    assert "epochs" not in spec
    run = _run(0).model_copy(update={"spec": spec})
    worth = Worth(accuracy=90.0, skip_share=0.0)
    [row, _] = rows({"gdas": [run], "random": [_run(0)]}, {"gdas": [worth], "random": [worth]})
    assert (row.method, row.epochs) == ("gdas", 50)


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"space": "darts"}, "retraining belongs"),
        ({"retraining": {"preset": "digits"}}, "retraining belongs"),
        ({"controls": 2}, "controls are retrained"),
    ],
)
def test_a_protocol_says_how_a_cell_s_accuracy_is_known(fields: dict[str, Any], message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        _protocol(**fields)


@pytest.mark.parametrize("path", sorted({*PROTOCOLS.glob("*.json")} - {COLLAPSE, LANGUAGE_MODELS}), ids=str)
def test_a_committed_protocol_has_epochs_for_its_methods(path: Path) -> None:
    protocol = load_protocol(path)
    for method in protocol.methods:
        protocol.search(method, 0, "digits")


@pytest.mark.filterwarnings("ignore::scipy.stats.DegenerateDataWarning")
def test_a_supernet_s_ranking_is_kendall_s_tau_of_measured_and_true_accuracies() -> None:
    protocol = _protocol(epochs={"rsps": 1})
    config = SearchConfig(**{**protocol.search("rsps", 0, "digits").model_dump(), "sampled_cells": 10, "finalists": 1})
    for report in run_search(config, data_root=DATA_ROOT):
        measured = report.checkpoint["resume"]["accuracies"][:10]
    indices = [cell.index for cell in cells_of_seed(config.resolved(), 10) if isinstance(cell, NasBench201Genotype)]
    # Accuracies that agree with the measured ones in every pair that is no tie.
    rows = {index: {"val_acc": [place], "model_size": [0.1]} for index, place in zip(indices, measured, strict=True)}
    options: dict[str, Any] = {"dataset": "digits", "data_root": DATA_ROOT, "cells": 10, "seed": 0}
    assert rank_cells(protocol, OracleTable(rows), **options).tau.mean == pytest.approx(1)
    opposite = {index: {**row, "val_acc": [-row["val_acc"][0]]} for index, row in rows.items()}
    found = rank_cells(protocol, OracleTable(opposite), **options)
    assert found.tau.mean == pytest.approx(-1)
    assert found.cells == 10


def test_equal_values_have_an_interval_without_width() -> None:
    assert interval([3.0, 3.0]) == Interval(3.0, 3.0, 3.0)
    with pytest.raises(ValueError, match="two values or more, not 1"):
        interval([3.0])
    with pytest.raises(ValueError, match="shorter"):
        paired_difference([1.0, 2.0], [1.0])
