"""The torch-free edge: genotypes, their formats and rule, and specs."""

from __future__ import annotations

import subprocess
import sys
from typing import Any

import pytest

from darts_core.configs import EvaluationConfig, SearchConfig
from darts_core.errors import ConfigError, GenotypeError
from darts_core.genotypes import FORMATS, KNOWN, Edge, Genotype, derive, parse, to_json, to_python

LEGAL = [["skip_connect", 0], ["sep_conv_3x3", 1]]


@pytest.mark.parametrize(
    "module",
    [
        "darts_core",
        "darts_core.genotypes",
        "darts_core.profile",
        "darts_core.configs",
        "darts_core.presets",
        "darts_core.data",
    ],
)
def test_edge_imports_without_torch(module: str) -> None:
    code = f"import sys, {module}; assert not {{'torch', 'numpy', 'sklearn'}} & sys.modules.keys()"
    subprocess.run([sys.executable, "-c", code], check=True)


@pytest.mark.parametrize("name", KNOWN)
def test_known_genotype_survives_every_format(name: str) -> None:
    genotype = KNOWN[name]
    assert parse(name) == genotype
    assert parse(to_python(genotype)) == genotype
    assert parse(to_json(genotype)) == genotype


def test_nested_pairs_and_ranges_are_read() -> None:
    text = """DARTS = Genotype(
        normal=[[('skip_connect', 0), ('sep_conv_3x3', 1)], [('none_such_is_here', 0), ('skip_connect', 2)]],
        normal_concat=range(2, 4), reduce=[('skip_connect', 0), ('skip_connect', 1)], reduce_concat=[2])"""
    genotype = parse(text.replace("none_such_is_here", "max_pool_3x3"))
    assert genotype.normal[2:] == (Edge("max_pool_3x3", 0), Edge("skip_connect", 2))
    assert genotype.normal_concat == (2, 3)


@pytest.mark.parametrize(
    ("normal", "concat", "message"),
    [
        ([["skip_connect", 0], ["skip_connect", 2]], [2], r"normal\[1\]: node 2 can only read states 0 to 1, not 2"),
        ([["skip_connect", -1], ["skip_connect", 1]], [2], r"normal\[0\]: node 2"),
        ([["sep_conv_9x9", 0], ["skip_connect", 1]], [2], r"normal\[0\]: unknown operation 'sep_conv_9x9'"),
        ([["none", 0], ["skip_connect", 1]], [2], r"normal\[0\]: unknown operation 'none'"),
        ([["skip_connect", 0]], [2], "expected two entries for each of 1 to 12 nodes"),
        ([], [2], "expected two entries for each of 1 to 12 nodes"),
        ([["skip_connect", True], ["skip_connect", 1]], [2], r"normal\[0\]: expected \[operation, node\]"),
        ([["skip_connect"], ["skip_connect", 1]], [2], r"normal\[0\]: expected"),
        (LEGAL, [3], "normal_concat: expected different nodes from 2 to 2"),
        (LEGAL, [2, 2], "normal_concat"),
        (LEGAL, [], "normal_concat"),
        ("skip_connect", [2], "normal: expected a list"),
    ],
)
def test_illegal_genotype_is_refused_at_the_bad_entry(normal: Any, concat: list[int], message: str) -> None:
    with pytest.raises(GenotypeError, match=message):
        Genotype.of(normal, concat, LEGAL, [2])


@pytest.mark.parametrize(
    "text",
    [
        "Genotype(normal=__import__('os').system('true'))",
        "Genotype(normal=[], normal_concat=range(10**9), reduce=[], reduce_concat=[])",
        "Genotype(" + "[" * 5000,
        "Genotype(normal=[('skip_connect', 0)], colour=3)",
        '{"normal": []}',
        "{not json",
        "NO_SUCH_NAME",
    ],
)
def test_text_that_is_no_genotype_is_refused(text: str) -> None:
    with pytest.raises(GenotypeError):
        parse(text)


def test_derive_keeps_the_two_strongest_edges_strongest_first_and_never_none() -> None:
    primitives = ["none", "skip_connect", "sep_conv_3x3"]
    rows = [[9.0, 0.0, 1.0], [0.0, 2.0, 0.0], [0.0, 0.0, 3.0], [0.0, 1.0, 0.0], [0.0, 0.0, 2.0]]
    cell = derive(rows, rows, primitives).normal
    # Edge 0 is all but closed by `none`, yet node 2 has no other two.
    assert cell == (
        Edge("skip_connect", 1),
        Edge("sep_conv_3x3", 0),
        Edge("sep_conv_3x3", 0),
        Edge("sep_conv_3x3", 2),
    )


def test_derive_gives_ties_to_the_lowest_index() -> None:
    rows = [[0.0, 0.0, 0.0]] * 5
    cell = derive(rows, rows, ["none", "skip_connect", "sep_conv_3x3"]).reduce
    assert cell == tuple(Edge("skip_connect", source) for source in (0, 1, 0, 1))


@pytest.mark.parametrize("rows", [[[0.0, 0.0]] * 3, [[0.0, 0.0], [float("nan"), 0.0]], [[0.0]] * 2])
def test_derive_refuses_tables_that_are_no_cells(rows: list[list[float]]) -> None:
    with pytest.raises(GenotypeError):
        derive(rows, rows, ["none", "skip_connect"])


def test_resolved_search_spec_is_filled_from_its_preset_and_stays() -> None:
    resolved = SearchConfig(dataset="digits", epochs=3).resolved()
    assert (resolved.preset, resolved.epochs, resolved.order, resolved.unrolled) == ("digits", 3, 1, False)
    assert resolved.primitives is not None
    assert len(resolved.primitives) == 8
    assert resolved.resolved() == resolved


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"dataset": "mnist"}, "dataset"),
        ({"dataset": "folder:../x"}, "dataset"),
        ({"preset": "none_such"}, "preset"),
        ({"batch_size": 800}, "batch_size"),
        ({"primitives": ["none"]}, "primitives"),
        ({"primitives": ["skip_connect", "skip_connect"]}, "primitives"),
        ({"space": "space2", "primitives": ["none", "skip_connect"]}, "primitives"),
        ({"order": 1, "unrolled": True}, "unrolled"),
    ],
)
def test_search_spec_that_cannot_run_is_refused_by_its_field(changes: dict[str, Any], field: str) -> None:
    with pytest.raises(ConfigError) as refused:
        SearchConfig(**{"dataset": "digits", **changes}).resolved()
    assert {problem.loc for problem in refused.value.problems} == {(field,)}


@pytest.mark.parametrize("form", ["python", "json", "mmrazor"])
def test_evaluation_spec_takes_a_genotype_in_every_format(form: str) -> None:
    spec = EvaluationConfig(dataset="cifar10", genotype=FORMATS[form](KNOWN["PC_DARTS"]))
    assert spec.cell() == KNOWN["PC_DARTS"]


@pytest.mark.parametrize(
    ("changes", "field"), [({"auxiliary": True}, "auxiliary"), ({"batch_size": 1400}, "batch_size")]
)
def test_evaluation_spec_that_cannot_run_is_refused_by_its_field(changes: dict[str, Any], field: str) -> None:
    with pytest.raises(ConfigError) as refused:
        EvaluationConfig(**{"dataset": "digits", "genotype": "DARTS", **changes}).resolved()
    assert {problem.loc for problem in refused.value.problems} == {(field,)}


@pytest.mark.parametrize(
    "changes",
    [{"epochs": 0}, {"nodes": 7}, {"channels": 3}, {"colour": 1}, {"weight_lr": float("inf")}, {"order": 3}],
)
def test_field_out_of_range_or_unknown_is_refused(changes: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=next(iter(changes))):
        SearchConfig(**{"dataset": "digits", **changes})
