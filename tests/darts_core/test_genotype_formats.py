"""Every format that a genotype is read from and written in."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from darts_core.errors import GenotypeError
from darts_core.genotypes import FORMATS, KNOWN, Edge, Genotype, parse, to_dot, to_json, to_mmrazor, to_python
from darts_core.genotypes.model import CNN_CELLS
from darts_core.primitives import CNN_GENOTYPE_OPERATIONS
from tests.support.sparse_cells import sparse_cells

pytestmark = pytest.mark.light

OPERATIONS = st.sampled_from(sorted(CNN_GENOTYPE_OPERATIONS))


@st.composite
def cells(draw: st.DrawFn, *, subnet: bool) -> tuple[list[list[Any]], list[int]]:
    """A legal cell; with `subnet` one that mmrazor's format can say."""
    nodes = draw(st.integers(1, 6))
    edges = []
    for node in range(2, 2 + nodes):
        sources = draw(st.lists(st.integers(0, node - 1), min_size=2, max_size=2, unique=subnet))
        edges += [[draw(OPERATIONS), source] for source in sources]
    everything = list(range(2, 2 + nodes))
    return edges, everything if subnet else draw(st.lists(st.sampled_from(everything), min_size=1, unique=True))


def genotypes(*, subnet: bool = False) -> st.SearchStrategy[Genotype]:
    return st.builds(lambda n, r: Genotype.of(*n, *r), cells(subnet=subnet), cells(subnet=subnet))


def any_genotypes() -> st.SearchStrategy[Genotype]:
    cell = cells(subnet=False) | sparse_cells()
    return st.builds(lambda n, r: Genotype.of(*n, *r), cell, cell)


@given(any_genotypes())
def test_any_genotype_survives_python_text_and_json(genotype: Genotype) -> None:
    assert parse(to_python(genotype)) == genotype
    assert parse(to_json(genotype)) == genotype
    assert parse(FORMATS["json"](genotype)) == genotype


@given(genotypes(subnet=True))
def test_any_subnet_survives_mmrazor_yaml(genotype: Genotype) -> None:
    text = to_mmrazor(genotype)
    assert parse(text) == genotype
    assert parse(yaml.safe_load(text)) == genotype


@given(genotypes(subnet=True), st.data())
def test_edges_that_no_node_chose_change_nothing(genotype: Genotype, data: st.DataObject) -> None:
    subnet = yaml.safe_load(to_mmrazor(genotype))
    for cell in CNN_CELLS:
        for node in range(2, 2 + len(genotype.nodes(cell))):
            for source in range(node):
                subnet.setdefault(f"{cell}_n{node}_p{source}", {"chosen": [data.draw(OPERATIONS)]})
    assert parse(yaml.safe_dump(subnet)) == genotype


@given(genotypes(subnet=True), st.data())
def test_an_unknown_operation_is_refused_by_name_in_every_format(genotype: Genotype, data: st.DataObject) -> None:
    known = data.draw(st.sampled_from([edge.op for edge in genotype.normal]))
    for name in ("python", "json", "mmrazor"):
        text = FORMATS[name](genotype).replace(known, "sep_conv_9x9")
        with pytest.raises(GenotypeError, match=r"(normal|reduce).*sep_conv_9x9"):
            parse(json.loads(text) | {"text": ""} if name == "json" else text)


@given(st.text(max_size=200) | st.text("normal_n2p0:chosen[]-{}&*\n ", max_size=200).map("normal_n2:\n".__add__))
def test_any_text_is_read_or_refused_in_words(text: str) -> None:
    try:
        parse(text)
    except GenotypeError as error:
        assert str(error)  # noqa: PT017 - that nothing else is raised is the claim


def test_the_published_alias_of_darts_v2_is_read_with_its_spare_edges() -> None:
    # The order of a node's two edges is the file's own, so the cells agree node by node, as sets.
    chosen = {
        "normal_n2": "p1 p0", "normal_n3": "p0 p1", "normal_n4": "p0 p1", "normal_n5": "p2 p0",
        "reduce_n2": "p0 p1", "reduce_n3": "p1 p2", "reduce_n4": "p2 p0", "reduce_n5": "p1 p2",
    }  # fmt: skip
    operations = {
        "normal_n2": "sep_conv_3x3 sep_conv_3x3",
        "normal_n3": "sep_conv_3x3 sep_conv_3x3 sep_conv_3x3",
        "normal_n4": "skip_connect sep_conv_3x3 skip_connect sep_conv_3x3",
        "normal_n5": "skip_connect skip_connect dil_conv_3x3 skip_connect skip_connect",
        "reduce_n2": "max_pool_3x3 max_pool_3x3",
        "reduce_n3": "max_pool_3x3 max_pool_3x3 skip_connect",
        "reduce_n4": "max_pool_3x3 max_pool_3x3 skip_connect skip_connect",
        "reduce_n5": "max_pool_3x3 max_pool_3x3 skip_connect skip_connect skip_connect",
    }
    subnet = {node: {"chosen": [f"{node}_{source}" for source in sources.split()]} for node, sources in chosen.items()}
    for node, ops in operations.items():
        subnet |= {f"{node}_p{source}": {"chosen": [op]} for source, op in enumerate(ops.split())}
    read, paper = parse(yaml.safe_dump(subnet)), KNOWN["DARTS_V2"]
    assert isinstance(read, Genotype)
    for cell in CNN_CELLS:
        assert list(map(set, read.nodes(cell))) == list(map(set, paper.nodes(cell)))
    assert read.normal[:2] == (Edge("sep_conv_3x3", 1), Edge("sep_conv_3x3", 0))


SUBNET = to_mmrazor(KNOWN["MMRAZOR_97_32"])


def test_a_single_choice_may_stand_without_its_list() -> None:
    text = SUBNET.replace("  chosen:\n  - sep_conv_3x3\n", "  chosen: sep_conv_3x3\n")
    assert text != SUBNET
    assert parse(text) == KNOWN["MMRAZOR_97_32"]


@pytest.mark.parametrize(
    ("before", "after", "message"),
    [
        ("  - normal_n3_p1\n", "", "normal_n3: expected two different edges, got ['normal_n3_p0']"),
        ("  - normal_n3_p1\n", "  - normal_n3_p0\n", "normal_n3: expected two different edges"),
        ("  - normal_n3_p1\n", "  - normal_n3_p3\n", "normal_n3: node 3 can only choose"),
        ("  - normal_n3_p1\n", "  - normal_n4_p1\n", "normal_n3: node 3 can only choose"),
        ("normal_n3_p1:\n  chosen:\n  - sep_conv_5x5\n", "", "normal_n3_p1: missing"),
        ("normal_n3:\n", "normal_n9:\n", "normal_n3: missing"),
        ("normal_n3:\n", "normal_n1:\n", "normal_n1: a cell's nodes are numbered from 2"),
        ("normal_n3:\n", "normal_n77:\n", "normal_n77: a cell's nodes are numbered from 2"),
        ("normal_n3:\n", "colour:\n", "'colour': a subnet has keys like normal_n2 and normal_n2_p0 only"),
        ("normal_n3:\n", "normal_n2:\n", "normal_n2 occurs twice"),
        ("  - sep_conv_5x5\n", "  - none\n", "normal_n3_p1: expected one operation"),
        ("  - sep_conv_5x5\n", "  - sep_conv_3x3\n  - none\n", "normal_n3_p1: expected one operation"),
        ("  - sep_conv_5x5\n", "  - 5\n", "normal_n3_p1: expected one operation"),
        ("  chosen:\n  - sep_conv_5x5\n", "  picked: x\n", "normal_n3_p1: expected chosen"),
        ("  - sep_conv_5x5\n", "  - [sep_conv_5x5]\n", "normal_n3_p1: expected chosen: [name, ...]"),
        ("  - sep_conv_5x5\n", "  - !!timestamp x\n", "normal_n3_p1: expected one operation"),
        ("  - sep_conv_5x5\n", "  - &a sep_conv_5x5\nmore: *a\n", "no anchors and aliases"),
        ("  - sep_conv_5x5\n", "  - !!python/name:os.system x\n", "normal_n3_p1: expected one operation"),
        ("  - sep_conv_5x5\n", "  - " + "[" * 5000, "not the YAML of a subnet"),
    ],
)
def test_a_bad_subnet_is_refused_at_the_bad_entry(before: str, after: str, message: str) -> None:
    assert before in SUBNET
    with pytest.raises(GenotypeError, match=re.escape(message)):
        parse(SUBNET.replace(before, after, 1))


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("NASNet", "normal[3]: node 3 reads state 0 twice"),
        ("AmoebaNet", "normal_concat: mmrazor's subnets concatenate all nodes, [2, 3, 4, 5, 6], not [4, 5, 6]"),
    ],
)
def test_a_genotype_outside_mmrazors_format_is_not_written(name: str, message: str) -> None:
    with pytest.raises(GenotypeError, match=re.escape(message)):
        to_mmrazor(KNOWN[name])


@given(genotypes())
def test_dot_has_an_arrow_for_every_edge_with_the_full_name_of_its_operation(genotype: Genotype) -> None:
    text = to_dot(genotype)
    for cell, edges, concat in (
        ("normal", genotype.normal, genotype.normal_concat),
        ("reduce", genotype.reduce, genotype.reduce_concat),
    ):
        arrows = re.findall(rf'{cell}_(\d+) -> {cell}_(\d+) \[label="(\w+)"\]', text)
        assert [(op, int(source)) for source, _, op in arrows] == list(edges)
        assert [int(node) for _, node, _ in arrows] == [2 + i // 2 for i in range(len(edges))]
        assert [int(node) for node in re.findall(rf"{cell}_(\d+) -> {cell}_out", text)] == list(concat)


def test_dot_of_one_cell_leaves_the_other_out() -> None:
    text = to_dot(KNOWN["DARTS_V2"], "reduce")
    assert text.startswith("digraph reduce {")
    assert "normal" not in text
