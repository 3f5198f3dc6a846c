"""The oracle: its table, what it says of a cell, its protocol, and a search whose cell is looked up."""

from __future__ import annotations

import itertools
import json
import pickle
import random
from dataclasses import replace
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path
from typing import Any

import pytest

from benchmarks.ledger.protocol import CPU, Protocol, ProtocolError, load_protocol, searched, selectable
from benchmarks.oracle.searches import calibrate, searches
from benchmarks.oracle.sizes import check_sizes
from benchmarks.oracle.summary import markdown, rows
from benchmarks.oracle.table import PACKAGE, OracleTable, TableError, _PlainUnpickler, load_table
from darts_core.genotypes import NasBench201Genotype, random_nasbench201
from darts_core.training.defaults import DATA_ROOT
from tests.support.nasbench201 import SEARCHED

ALL = ["".join(map(str, digits)) for digits in itertools.product(range(5), repeat=6)]
SMALL = {"channels": 8, "layers": 3, "batch_size": 256, "threads": 1}


def _installed() -> bool:
    try:
        return distribution(PACKAGE) is not None
    except PackageNotFoundError:
        return False


needs_table = pytest.mark.skipif(not _installed(), reason=f"{PACKAGE} is not installed")


@pytest.fixture(scope="module")
def made_up() -> OracleTable:
    """Accuracies 0 to 15,624 by index, each in two entries around it."""
    return OracleTable(
        {index: {"val_acc": [place - 1.0, place + 1.0], "model_size": [0.1]} for place, index in enumerate(ALL)}
    )


def test_a_cell_has_the_mean_of_its_entries_a_rank_and_a_regret(made_up: OracleTable) -> None:
    best, worst = (made_up.truth(NasBench201Genotype.of_index(index)) for index in ("444444", "000000"))
    assert (best.accuracy, best.rank, best.regret) == (15_624, 1, 0)
    assert (worst.accuracy, worst.rank, worst.regret) == (0, 15_625, 15_624)


def test_cells_of_the_same_accuracy_share_the_better_rank() -> None:
    table = OracleTable({index: {"val_acc": [50.0], "model_size": [0.1]} for index in ALL})
    assert table.truth(NasBench201Genotype.of_index("012340")).rank == 1


def test_random_cells_of_a_cell_s_size_have_its_parameters_within_a_twentieth() -> None:
    sizes = [[1.0], [1.05], [0.95], [1.06], [0.94], [2.0, 1.01]]  # of two entries the first may be wrong
    rows = {index: {"val_acc": [10.0 * 2**i], "model_size": sizes[i]} for i, index in enumerate(ALL[: len(sizes)])}
    assert OracleTable(rows).of_its_size(NasBench201Genotype.of_index(ALL[0])) == pytest.approx(
        (10 + 20 + 40 + 320) / 4
    )


def test_the_best_of_random_cells_is_the_exact_expectation() -> None:
    table = OracleTable({ALL[i]: {"val_acc": [float(i)], "model_size": [0.1]} for i in range(4)})
    for count in (1, 2, 3):
        every = [max(drawn) for drawn in itertools.product(range(4), repeat=count)]
        assert table.best_of_random(count) == pytest.approx(sum(every) / len(every))


def test_an_unpickler_that_resolves_nothing_reads_numbers_alone(tmp_path: Path) -> None:
    file = tmp_path / "table.pkl"
    file.write_bytes(pickle.dumps({"000000": [1.0]}))
    with file.open("rb") as content:
        assert _PlainUnpickler(content).load() == {"000000": [1.0]}
    file.write_bytes(pickle.dumps({"000000": Path("x")}))
    with file.open("rb") as content, pytest.raises(TableError, match="holds more than numbers"):
        _PlainUnpickler(content).load()


@needs_table
def test_published_cells_have_their_places() -> None:
    table = load_table()
    truth = {index: table.truth(NasBench201Genotype.of_index(index)) for index in ("333132", "333133", "111111")}
    assert (truth["333132"].rank, round(truth["333132"].accuracy, 2)) == (1, 91.61)
    assert round(truth["333133"].accuracy, 2) == 91.55
    assert (truth["111111"].rank, round(truth["111111"].accuracy, 2)) == (15_226, 39.77)
    assert round(table.best_of_random(1), 2) == 83.69


@needs_table
def test_the_sizes_of_networks_are_those_of_the_table() -> None:
    table = load_table()
    sample = [*random.Random(0).sample(ALL, 298), "122124", "133300"]
    for index in sample:
        cell = NasBench201Genotype.of_index(index)
        expected = 73_306 + 28_000 * index.count("2") + 243_040 * index.count("3")
        assert expected in table.sizes(cell)
    # The first entry of 150 cells is off by one convolution, of these two by a small and by a large one.
    assert table.sizes(NasBench201Genotype.of_index("122124")) == (129_306, 157_306, 157_306)
    assert table.sizes(NasBench201Genotype.of_index("133300")) == (559_386, 802_426, 802_426)


@needs_table
@pytest.mark.slow
def test_all_sizes_agree_with_an_entry() -> None:
    checked = check_sizes(load_table())
    assert (checked.cells, checked.agreeing, checked.first_off) == (15_625, 15_625, 150)


def test_the_protocol_names_the_methods_of_the_space() -> None:
    assert searched() == SEARCHED
    protocol = load_protocol(CPU)
    for method in SEARCHED:
        spec = protocol.search(method, 1, "digits", 2)
        assert (spec.space, spec.method, spec.seed, spec.epochs) == (
            "nasbench201",
            method,
            1,
            1 if method == "random" else 2,
        )


def test_searches_with_alphas_and_without_stages_can_be_followed_by_a_selection() -> None:
    assert set(searched()) - set(selectable()) == {"drnas-progressive", "rsps", "random"}


def test_a_method_without_epochs_is_refused_before_the_first_search(made_up: OracleTable) -> None:
    protocol = Protocol(budget_seconds=10, seeds=1, spec=SMALL, epochs={"darts": 1})
    options: dict[str, Any] = {"dataset": "digits", "data_root": DATA_ROOT, "say": pytest.fail}
    with pytest.raises(ProtocolError, match="no epochs for drnas-progressive"):
        next(searches(protocol, made_up, ["darts", "drnas-progressive"], range(1), **options))


def test_a_selection_is_a_row_with_the_cost_of_its_search(made_up: OracleTable) -> None:
    protocol = Protocol(budget_seconds=10, seeds=1, spec=SMALL, epochs={"darts": 1}, selection_interval=1)
    options: dict[str, Any] = {"dataset": "digits", "data_root": DATA_ROOT, "say": lambda line: None}
    search, selection = searches(protocol, made_up, ["darts"], range(1), select=True, **options)
    assert (search.method, selection.method) == ("darts", "darts + perturbation")
    assert (search.epochs, selection.epochs) == (1, 1 + 6)
    assert selection.processor_seconds > search.processor_seconds
    truth = made_up.truth(NasBench201Genotype.of_index(selection.index))
    assert (selection.accuracy, selection.rank) == (truth.accuracy, truth.rank)
    again = [replace(one, seed=1) for one in (search, selection)]
    assert [(row.method, row.cells) for row in rows([search, selection, *again])] == [
        ("darts", (search.index,) * 2),
        ("darts + perturbation", (selection.index,) * 2),
    ]


def test_calibrated_epochs_fill_the_budget(tmp_path: Path) -> None:
    protocol = Protocol(budget_seconds=10, seeds=2, most_epochs=20, spec=SMALL)
    with pytest.raises(ProtocolError, match="no epochs for darts"):
        protocol.search("darts", 0, "digits")
    made = protocol.calibrated({"darts": 3.0, "gdas": 0.1, "sdarts-adv": 11.0}, "a machine")
    assert made.epochs == {"darts": 3, "gdas": 20, "sdarts-adv": 1}
    made.save(tmp_path / "protocol.json")
    assert load_protocol(tmp_path / "protocol.json") == made
    (tmp_path / "protocol.json").write_text("{}")
    with pytest.raises(ProtocolError, match="is not a protocol"):
        load_protocol(tmp_path / "protocol.json")


def test_found_cells_are_looked_up_and_summed_up(made_up: OracleTable) -> None:
    options: dict[str, Any] = {"dataset": "digits", "data_root": DATA_ROOT, "say": lambda line: None}
    protocol = Protocol(budget_seconds=10, seeds=2, spec=SMALL, epochs={"gdas": 1})
    found = list(searches(protocol, made_up, ["random", "gdas"], range(2), **options))
    assert [(one.method, one.seed) for one in found] == [("random", 0), ("random", 1), ("gdas", 0), ("gdas", 1)]
    assert found[0].cell == str(random_nasbench201(0))
    for one in found:
        truth = made_up.truth(NasBench201Genotype.of_index(one.index))
        assert (one.accuracy, one.rank, one.regret) == (truth.accuracy, truth.rank, truth.regret)
        assert one.skip_share == one.index.count("1") / 6
    first, second = rows(found)
    assert first.accuracy == (found[0].accuracy + found[1].accuracy) / 2
    assert (second.method, second.epochs, second.cells) == ("gdas", 1, (found[2].index, found[3].index))
    lines = markdown([first, second], made_up).splitlines()
    assert len({line.count("|") for line in lines}) == 1
    assert lines[2].startswith("| random | 1 |")
    seconds = calibrate(protocol, ["random", "gdas"], **options)
    assert list(seconds) == ["gdas"]
    assert seconds["gdas"] > 0
    json.dumps(made_up.best_of_random(5))
