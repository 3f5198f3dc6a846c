"""The space NAS-Bench-201 without its networks: genotypes, specs, costs, pictures."""

from __future__ import annotations

import itertools
import json
import math
import random
from typing import Any

import pytest

from darts_core.configs import EvaluationConfig, SearchConfig
from darts_core.drawing import cells_of, scene_of, to_svg
from darts_core.drawing.layout import layout_of
from darts_core.errors import ConfigError, GenotypeError
from darts_core.genotypes import (
    NasBench201Genotype,
    cell_diagnostics,
    derive_nasbench201,
    drawn_cell,
    parse,
    random_nasbench201,
    ranked,
    to_dot,
    to_json,
    to_mmrazor,
    to_python,
)
from darts_core.primitives import NASBENCH201_PRIMITIVES
from darts_core.profile import profile, shape_of
from tests.support.nasbench201 import SEARCHED

pytestmark = pytest.mark.light

BEST = "|nor_conv_3x3~0|+|nor_conv_3x3~0|nor_conv_3x3~1|+|skip_connect~0|nor_conv_3x3~1|nor_conv_1x1~2|"
ALL = ["".join(map(str, digits)) for digits in itertools.product(range(5), repeat=6)]
SAMPLE = [*random.Random(0).sample(ALL, 296), "333333", "000000", "122124", "133300"]


def _table(seed: int) -> list[list[float]]:
    source = random.Random(seed)
    return [[source.random() for _ in range(5)] for _ in range(6)]


def test_all_cells_have_a_string_and_an_index_that_read_back() -> None:
    for index in ALL:
        cell = NasBench201Genotype.of_index(index)
        assert cell.index == index
        assert NasBench201Genotype.of_string(str(cell)) == cell


def test_the_best_cell_of_cifar10_is_written_as_the_benchmark_does() -> None:
    assert str(parse("333132")) == BEST


@pytest.mark.parametrize("index", SAMPLE[:20])
def test_every_format_that_carries_a_cell_reads_back(index: str) -> None:
    cell = NasBench201Genotype.of_index(index)
    forms: list[str | dict[str, Any]] = [index, to_python(cell), to_json(cell), json.dumps(to_json(cell))]
    for form in (*forms, f"epoch 3: {cell} (of the search)"):
        assert parse(form) == cell


def test_formats_that_cannot_carry_it_refuse_by_name() -> None:
    with pytest.raises(GenotypeError, match="mmrazor's subnets"):
        to_mmrazor(parse(BEST))
    with pytest.raises(GenotypeError, match="cells of NAS-Bench-201 are of convolutional cells"):
        parse(BEST, "rnn")


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"cell": [["none", 0]] * 5}, "expected 6 edges, got 5"),
        ({"cell": [["sep_conv_3x3", 0]] * 6}, r"cell\[0\]: unknown operation 'sep_conv_3x3'"),
        ({"cell": [["none", 0]] * 6}, r"cell\[2\]: edge 2 reads node 1, not 0"),
        ({"cell": "none"}, "expected a list"),
        (BEST.replace("~2", "~1"), r"cell\[5\]: edge 5 reads node 2, not 1"),
        ("|none~0|+|none~0|none~1|", "is written"),
        (f"{BEST} or {BEST.replace('skip_connect', 'none')}", "2 different cells"),
    ],
)
def test_a_bad_cell_is_refused_by_its_edge(given: Any, message: str) -> None:
    with pytest.raises(GenotypeError, match=message):
        parse(given)


def test_discretisation_keeps_the_strongest_operation_of_each_edge() -> None:
    rows = [
        [0.0, 0.0, 0.0, 1.0, 0.0],
        [2.0, 0.0, 0.0, 1.0, 0.0],  # `none` may win
        [0.0, 1.0, 1.0, 1.0, 0.0],  # a tie goes to the lowest index
        [0.0] * 5,
        [0.0, 0.0, 0.0, 0.0, 1e-9],
        [-1.0, -2.0, -0.5, -2.0, -0.75],
    ]
    assert derive_nasbench201(rows, NASBENCH201_PRIMITIVES).index == "301042"
    # The third operation is lacking: its alpha of 0 is none of the largest.
    lists = [[name for name in NASBENCH201_PRIMITIVES if name != "nor_conv_1x1"]] * 6
    assert derive_nasbench201([[-1.0, -2.0, 0.0, -0.5, -3.0]] * 6, NASBENCH201_PRIMITIVES, lists).index == "333333"
    with pytest.raises(GenotypeError, match="finite"):
        derive_nasbench201([[math.nan] * 5, *rows[1:]], NASBENCH201_PRIMITIVES)
    with pytest.raises(GenotypeError, match="6 edges, not 5"):
        derive_nasbench201(rows[1:], NASBENCH201_PRIMITIVES)


@pytest.mark.parametrize("limit", [None, 0, 1])
def test_ranks_are_those_of_all_cells_in_order(limit: int | None) -> None:
    table = _table(1)

    def strength(index: str) -> float:
        return math.fsum(math.log(row[int(digit)]) for row, digit in zip(table, index, strict=True))

    allowed = [index for index in ALL if limit is None or index.count("1") <= limit]
    expected = sorted(allowed, key=strength, reverse=True)[:30]
    found = [
        ranked({"cell": table}, NASBENCH201_PRIMITIVES, rank=rank, max_skip_connects=limit) for rank in range(1, 31)
    ]
    assert [cell.index for cell in found if isinstance(cell, NasBench201Genotype)] == expected


def test_the_methods_cell_has_rank_1_and_no_other() -> None:
    table, own = _table(2), parse("000000")
    first = ranked({"cell": table}, NASBENCH201_PRIMITIVES, derived=own)
    others = [ranked({"cell": table}, NASBENCH201_PRIMITIVES, rank=rank, derived=own) for rank in (2, 3)]
    assert first == own
    assert others == [ranked({"cell": table}, NASBENCH201_PRIMITIVES, rank=rank) for rank in (1, 2)]


def test_random_cells_draw_every_operation_on_every_edge() -> None:
    drawn = [random_nasbench201(seed).index for seed in range(2000)]
    for edge in range(6):
        counts = [sum(index[edge] == str(op) for index in drawn) for op in range(5)]
        assert all(abs(count - 400) < 100 for count in counts)
    assert drawn_cell("cnn", 3, space="nasbench201") == random_nasbench201(3)
    with pytest.raises(GenotypeError, match="has 3 nodes, not 4"):
        drawn_cell("cnn", 3, space="nasbench201", nodes=4)


def test_diagnostics_are_those_of_a_single_cell() -> None:
    found = cell_diagnostics(parse("110423"), {"cell": [[0.2] * 5] * 6})
    assert found == {"skip_connects": 2.0, "parameter_free": 3.0, "alpha_entropy": pytest.approx(math.log(5))}


@pytest.mark.parametrize("index", SAMPLE)
def test_a_network_has_the_published_number_of_parameters(index: str) -> None:
    found = profile(parse(index), shape_of("nasbench201"))
    assert found.parameters == 73_306 + 28_000 * index.count("2") + 243_040 * index.count("3")
    assert found.parameters_with_auxiliary == found.parameters


def test_published_sizes() -> None:
    sizes = {index: profile(parse(index), shape_of("nasbench201")).parameters for index in ("333333", "000000")}
    assert sizes == {"333333": 1_531_546, "000000": 73_306}


@pytest.mark.parametrize("index", SAMPLE[:10])
def test_a_picture_has_every_edge(index: str) -> None:
    [cell] = cells_of(parse(index), {"cell": _table(3)}, NASBENCH201_PRIMITIVES)
    lines = layout_of(cell).curves
    assert {key for key in lines if key[0] == "read"} == {("read", node, i) for node in (1, 2, 3) for i in range(node)}
    drawn = to_svg(scene_of([cell], "title"))
    assert "Node 3 is" in drawn
    for op, _ in NasBench201Genotype.of_index(index).cell:
        assert f">{op}<" in drawn


def test_dot_has_six_edges_in_one_cluster() -> None:
    dot = to_dot(parse("033333"))
    assert dot.count(" -> ") == 6
    assert 'cell_0 -> cell_1 [label="none", style=dotted];' in dot
    assert to_dot(parse("033333"), "cell").startswith("digraph cell {")
    with pytest.raises(KeyError):
        to_dot(parse("033333"), "normal")


@pytest.mark.parametrize("method", SEARCHED)
def test_a_spec_brings_the_sizes_of_the_space(method: Any) -> None:
    spec = SearchConfig(dataset="cifar10", space="nasbench201", method=method).resolved()
    assert (spec.channels, spec.layers, spec.nodes, spec.stem) == (16, 15, 3, "cifar")
    assert tuple(spec.primitives or ()) == NASBENCH201_PRIMITIVES
    assert spec.resolved() == spec
    assert SearchConfig(**json.loads(spec.model_dump_json())).resolved() == spec


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"layers": 4}, "layers: .* give a multiple of 3, not 4"),
        ({"reductions": [1]}, "reductions: .* has none"),
        ({"stem": "half"}, "stem: .* has the stem 'cifar'"),
        ({"nodes": 4}, "nodes: a cell of space 'nasbench201' has 3"),
        ({"primitives": ["none", "skip_connect"]}, "primitives: differ"),
        ({"edges": {"normal": [["none"]] * 2}}, "edges: are not of space 'nasbench201'"),
        ({"method": "p-darts"}, "method: p-darts adds cells from stage to stage; .* has a fixed depth"),
    ],
)
def test_fields_that_do_not_apply_to_a_search_are_refused(given: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        SearchConfig(dataset="digits", space="nasbench201", **given).resolved()


def test_its_convolutions_are_of_no_other_space() -> None:
    with pytest.raises(ConfigError, match="primitives: nor_conv_3x3: only of space 'nasbench201'"):
        SearchConfig(dataset="digits", primitives=["skip_connect", "nor_conv_3x3"]).resolved()


def test_retraining_follows_the_benchmark() -> None:
    spec = EvaluationConfig(dataset="cifar10", genotype="333132").resolved()
    assert (spec.preset, spec.epochs, spec.batch_size, spec.channels, spec.layers) == (
        "cifar10@nasbench201", 200, 256, 16, 15,
    )  # fmt: skip
    assert (spec.weight_lr, spec.weight_lr_min, spec.momentum, spec.nesterov, spec.weight_decay) == (
        0.1, 0.0, 0.9, True, 5e-4,
    )  # fmt: skip
    assert (spec.auxiliary, spec.drop_path, spec.cutout, spec.flip, spec.crop_padding) == (False, 0.0, 0, True, 4)
    assert spec.resolved() == spec
    assert spec.cell() == parse("333132")


@pytest.mark.parametrize("preset", ["cifar10", "cifar10-short", "digits", "imagenet"])
def test_another_preset_keeps_the_network(preset: str) -> None:
    spec = EvaluationConfig(dataset="cifar10", genotype="333132", preset=preset).resolved()
    assert (spec.preset, spec.channels, spec.layers, spec.stem) == (preset, 16, 15, "cifar")
    assert (spec.auxiliary, spec.drop_path, spec.nesterov) == (False, 0.0, False)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"layers": 4}, "layers: .* give a multiple of 3, not 4"),
        ({"reductions": [1]}, "reductions: .* has none"),
        ({"stem": "imagenet"}, "stem: .* has the stem 'cifar'"),
        ({"auxiliary": True}, "auxiliary: .* has none"),
        ({"drop_path": 0.2}, "drop_path: .* has none"),
    ],
)
def test_fields_that_do_not_apply_to_retraining_are_refused(given: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        EvaluationConfig(dataset="digits", genotype="333132", **given).resolved()
