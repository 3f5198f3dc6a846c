"""Genotypes, their formats and derivation, and specs, without torch."""

from __future__ import annotations

import hashlib
import json
import subprocess
import sys
from random import Random
from typing import Any

import pytest

from darts_core.configs import EvaluationConfig, SearchConfig
from darts_core.errors import ConfigError, GenotypeError
from darts_core.genotypes import FORMATS, KNOWN, Edge, Genotype, derive, derive_recurrent, parse, to_json, to_python
from darts_core.presets.cnn import EVALUATION_PRESETS, SEARCH_PRESETS

LEGAL = [["skip_connect", 0], ["sep_conv_3x3", 1]]


@pytest.mark.parametrize(
    "module",
    [
        "darts_core",
        "darts_core.genotypes",
        "darts_core.profile",
        "darts_core.configs",
        "darts_core.presets.cnn",
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
    assert isinstance(genotype, Genotype)
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


def test_rows_that_are_permutations_of_each_other_tie_exactly() -> None:
    primitives = ["none", "skip_connect", "max_pool_3x3", "sep_conv_3x3", "sep_conv_5x5", "dil_conv_3x3"]
    random = Random(0)
    broken = 0
    for _ in range(500):
        row = [random.gauss(0, 1) for _ in primitives]
        row[0] = min(row) - 1  # `none` stays where it is: the best operation is the same in each row
        rows = [[row[0], *random.sample(row[1:], len(row) - 1)] for _ in range(5)]
        broken += [edge.source for edge in derive(rows, rows, primitives).normal] != [0, 1, 0, 1]
    assert broken == 0


def test_recurrent_rows_that_are_permutations_of_each_other_tie_exactly() -> None:
    primitives = ["none", "tanh", "relu", "sigmoid", "identity"]
    random = Random(0)
    row = [random.gauss(0, 1) for _ in primitives]
    row[0] = min(row) - 1
    tables = [[[row[0], *random.sample(row[1:], 4)] for _ in range(36)] for _ in range(100)]
    assert {edge.source for table in tables for edge in derive_recurrent(table, primitives).recurrent} == {0}


@pytest.mark.parametrize("rows", [[[0.0, 0.0]] * 3, [[0.0, 0.0], [float("nan"), 0.0]], [[0.0]] * 2])
def test_derive_refuses_tables_that_are_no_cells(rows: list[list[float]]) -> None:
    with pytest.raises(GenotypeError):
        derive(rows, rows, ["none", "skip_connect"])


def test_resolved_search_spec_is_filled_from_its_preset_and_stays() -> None:
    resolved = SearchConfig(dataset="digits", epochs=3).resolved()
    assert (resolved.preset, resolved.epochs, resolved.order) == ("digits", 3, 1)
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
    ],
)
def test_search_spec_that_cannot_run_is_refused_by_its_field(changes: dict[str, Any], field: str) -> None:
    with pytest.raises(ConfigError) as refused:
        SearchConfig(**{"dataset": "digits", **changes}).resolved()
    assert {problem.loc for problem in refused.value.problems} == {(field,)}


def test_resolved_spec_shows_the_stem_that_its_images_ask_for() -> None:
    assert SearchConfig(dataset="digits").resolved().stem == "cifar"
    assert EvaluationConfig(dataset="cifar10", genotype="DARTS", stem="half").resolved().stem == "half"
    assert SearchConfig(dataset="folder:x").resolved().stem is None  # the worker will see the images


def test_a_presets_auxiliary_head_is_left_out_where_it_does_not_fit() -> None:
    small = EvaluationConfig(dataset="digits", preset="cifar10", genotype="DARTS").resolved()
    assert not small.auxiliary
    assert EvaluationConfig(dataset="cifar10", genotype="DARTS").resolved().auxiliary


def test_resolved_spec_names_its_presets_version() -> None:
    resolved = EvaluationConfig(dataset="cifar10", genotype="DARTS", preset="cifar10-short").resolved()
    assert (resolved.preset, resolved.preset_version, resolved.epochs) == ("cifar10-short", 1, 100)
    assert resolved.resolved() == resolved


def test_an_unknown_version_of_a_preset_is_refused_with_the_known_ones() -> None:
    with pytest.raises(ConfigError, match="preset_version: preset 'cifar10' has no version 7; known: 1"):
        SearchConfig(dataset="cifar10", preset_version=7).resolved()


# SHA-256 of each published preset's values: one that changes would make old results unrepeatable under their name.
PUBLISHED = {
    ("search", "cifar10", 1): "b24a511abc21e87c",
    ("search", "digits", 1): "82ba71f8786368cc",
    ("search", "cifar10@pc-darts", 1): "ead10ed286e8517a",
    ("search", "cifar10@fair-darts", 1): "c5ba30ad2d8c823b",
    ("search", "cifar10@drnas-progressive", 1): "aa41631d218ac990",
    ("search", "cifar10@p-darts", 1): "35cb8a39be1491e1",
    ("search", "cifar10@gdas", 1): "cbdd8bcad72cf707",
    ("search", "cifar10@rsps", 1): "a5e619942bbc327a",
    ("search", "cifar10@snas", 1): "8576dd65dd90ade9",
    ("search", "cifar10@r-darts-dp", 1): "04aaee02fe794ace",
    ("search", "cifar10@nasbench201", 1): "357a067be25f41e2",
    ("search", "cifar10@gdas@nasbench201", 1): "b908cd51cb19ecc5",
    ("search", "cifar10@rsps@nasbench201", 1): "191c225d9e97d761",
    ("search", "cifar10@beta-darts@nasbench201", 1): "3b94a7cb85792a2e",
    ("search", "cifar10@drnas@nasbench201", 1): "865dbcf43e7b7ece",
    ("search", "cifar10@drnas-progressive@nasbench201", 1): "a4a9573e17bc459f",
    ("search", "cifar10@snas@nasbench201", 1): "e320717554ca7775",
    ("evaluation", "cifar10", 1): "54f5be43e4182693",
    ("evaluation", "cifar10@nasbench201", 1): "bb67df4cc95c533e",
    ("evaluation", "cifar10-short", 1): "707254bffc0aa88e",
    ("evaluation", "imagenet", 1): "e75b7df673e59b8a",
    ("evaluation", "imagenet-short", 1): "5d1f0c5357ee1506",
    ("evaluation", "digits", 1): "33a71fab7767341a",
}


def test_published_presets_never_change() -> None:
    presets = {"search": SEARCH_PRESETS, "evaluation": EVALUATION_PRESETS}
    found = {
        (kind, name, version): hashlib.sha256(json.dumps(values, sort_keys=True).encode()).hexdigest()[:16]
        for kind, named in presets.items()
        for name, versions in named.items()
        for version, values in versions.items()
    }
    assert found == PUBLISHED


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
    [{"epochs": 0}, {"nodes": 9}, {"channels": 1}, {"colour": 1}, {"weight_lr": float("inf")}, {"order": 3}],
)
def test_field_out_of_range_or_unknown_is_refused(changes: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=next(iter(changes))):
        SearchConfig(**{"dataset": "digits", **changes})
