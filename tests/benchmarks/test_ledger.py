"""The ledger: its stored runs and its intervals."""

from __future__ import annotations

import itertools
import statistics
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from benchmarks.collapse.protocol import CPU as COLLAPSE
from benchmarks.ledger.compare import compare, compare_stored
from benchmarks.ledger.intervals import Interval, interval, paired_difference
from benchmarks.ledger.protocol import PROTOCOLS, Protocol, ProtocolError, load_protocol
from benchmarks.ledger.provenance import commit
from benchmarks.ledger.ranking import rank_cells
from benchmarks.ledger.report import Row, Worth, markdown, rows
from benchmarks.ledger.runs import run_missing
from benchmarks.ledger.store import Run, Store, StoreError, key_of, spec_of
from benchmarks.oracle.data import checksum
from benchmarks.oracle.table import OracleTable
from darts_core.configs import SearchConfig
from darts_core.genotypes import NasBench201Genotype, parse, random_nasbench201
from darts_core.training.defaults import DATA_ROOT
from darts_core.training.search import run_search
from darts_core.training.weight_sharing import random_cells

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


def _compared(protocol: Protocol, store: Store) -> tuple[list[Row], list[str]]:
    said: list[str] = []
    options: dict[str, Any] = {"images": DIGITS, "data_root": DATA_ROOT, "device": "cpu", "processes": 2}
    return compare(protocol, "digits", partial(run_missing, store=store, **options, say=said.append)), said


def test_found_cells_are_retrained_once_and_compared_with_the_random_ones_of_their_seeds(tmp_path: Path) -> None:
    retraining = {"preset": "digits", "epochs": 1, "channels": 4, "layers": 1, "auxiliary": False, "batch_size": 256}
    protocol = _protocol(space="darts", retraining=retraining)
    found, said = _compared(protocol, Store(tmp_path / "runs.jsonl"))
    assert said[0] == "0 of 4 runs are stored"
    again, said = _compared(protocol, Store(tmp_path / "runs.jsonl"))
    assert said == ["4 of 4 runs are stored"] * 2
    assert again == found
    assert compare_stored(protocol, Store(tmp_path / "runs.jsonl")) == found
    with pytest.raises(ProtocolError, match="lacks 2 of the protocol's 6 runs: give its images with --dataset"):
        compare_stored(_protocol(space="darts", retraining=retraining, seeds=3), Store(tmp_path / "runs.jsonl"))
    with pytest.raises(ProtocolError, match=r"runs\.jsonl has no run of the protocol"):
        compare_stored(_protocol(), Store(tmp_path / "runs.jsonl"))
    by_method = {row.method: row for row in found}
    assert by_method["random"].against_random is None
    assert by_method["random"].against_size is None  # only the table knows all cells of a size
    difference = by_method["gdas"].against_random
    assert difference is not None
    pairs = zip(by_method["gdas"].accuracies, by_method["random"].accuracies, strict=True)
    assert difference.mean == pytest.approx(statistics.fmean(mine - theirs for mine, theirs in pairs))
    store = Store(tmp_path / "runs.jsonl")
    for method in protocol.methods:
        for seed in range(2):
            search = store.get(key_of(spec_of(protocol.search(method, seed, "digits")), DIGITS))
            assert search is not None
            evaluation = protocol.evaluation(search.genotype or {}, seed, "digits")
            retrained = store.get(key_of(spec_of(evaluation), DIGITS))
            assert retrained is not None
            assert by_method[method].accuracies[seed] == retrained.metrics["test_accuracy"]
    lines = markdown(found, protocol).splitlines()
    assert len({line.count("|") for line in lines[:4]}) == 1
    assert lines[-1] == "- One epoch."


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
    ],
)
def test_a_protocol_says_how_a_cell_s_accuracy_is_known(fields: dict[str, Any], message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        _protocol(**fields)


@pytest.mark.parametrize("path", sorted({*PROTOCOLS.glob("*.json")} - {COLLAPSE}), ids=str)
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
    indices = [cell.index for cell in random_cells(config.resolved(), 10) if isinstance(cell, NasBench201Genotype)]
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
