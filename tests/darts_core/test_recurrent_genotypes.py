"""Recurrent genotypes without torch: the rule, the published ones, the formats, the cost."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from darts_core.errors import ConfigError, GenotypeError
from darts_core.genotypes import (
    FORMATS,
    KNOWN,
    KNOWN_RECURRENT,
    Edge,
    RecurrentGenotype,
    derive_recurrent,
    parse,
    to_dot,
    to_json,
    to_mmrazor,
    to_python,
)
from darts_core.primitives import RNN_PRIMITIVES, RNN_SPACES, recurrent_edges_of
from darts_core.profile import language_shape_of, profile_language_model

OPERATIONS = st.sampled_from(RNN_PRIMITIVES[1:])


@st.composite
def genotypes(draw: st.DrawFn) -> RecurrentGenotype:
    nodes = draw(st.integers(1, 12))
    edges = [(draw(OPERATIONS), draw(st.integers(0, node))) for node in range(nodes)]
    concat = draw(st.lists(st.integers(1, nodes), min_size=1, unique=True))
    return RecurrentGenotype.of(edges, concat)


@given(genotypes())
def test_any_recurrent_genotype_survives_python_text_and_json(genotype: RecurrentGenotype) -> None:
    assert parse(to_python(genotype), "rnn") == genotype
    assert parse(to_json(genotype), "rnn") == genotype
    assert parse(FORMATS["json"](genotype), "rnn") == genotype


@pytest.mark.parametrize("concat", ["range(1, 9)", "[1, 2, 3, 4, 5, 6, 7, 8]", "list(range(1, 9))"])
def test_authors_text_is_read(concat: str) -> None:
    text = (
        "DARTS_V2 = Genotype(recurrent=[('sigmoid', 0), ('relu', 1), ('relu', 1), ('identity', 1), ('tanh', 2), "
        f"('sigmoid', 5), ('tanh', 3), ('relu', 5)], concat={concat})"
    )
    assert parse(text, "rnn") == KNOWN_RECURRENT["DARTS_V2"]


def test_the_family_decides_which_cell_a_name_stands_for() -> None:
    assert parse("DARTS_V1") == KNOWN["DARTS_V1"]
    assert parse("DARTS_V1", "rnn") == KNOWN_RECURRENT["DARTS_V1"]
    assert KNOWN_RECURRENT["DARTS"] == KNOWN_RECURRENT["DARTS_V2"]
    assert len(KNOWN_RECURRENT["ENAS"].recurrent) == 11


@pytest.mark.parametrize("name", ["python", "json"])
def test_a_genotype_of_the_other_family_is_refused_by_its_family(name: str) -> None:
    with pytest.raises(GenotypeError, match="of family 'rnn', expected one of family 'cnn'"):
        parse(FORMATS[name](KNOWN_RECURRENT["ENAS"]))
    with pytest.raises(GenotypeError, match="of family 'cnn', expected one of family 'rnn'"):
        parse(FORMATS[name](KNOWN["DARTS"]), "rnn")


def test_mmrazor_refuses_recurrent_cells_both_ways() -> None:
    with pytest.raises(GenotypeError, match="mmrazor's subnets are of convolutional cells"):
        to_mmrazor(KNOWN_RECURRENT["DARTS"])
    with pytest.raises(GenotypeError, match="mmrazor's subnets are of convolutional cells"):
        parse(to_mmrazor(KNOWN["DARTS"]), "rnn")


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ({"recurrent": [["gelu", 0]], "concat": [1]}, r"recurrent\[0\]: unknown operation 'gelu'"),
        ({"recurrent": [["none", 0]], "concat": [1]}, r"recurrent\[0\]: unknown operation 'none'"),
        ({"recurrent": [["tanh", 1]], "concat": [1]}, r"node 1 can only read states 0 to 0, not 1"),
        ({"recurrent": [["tanh", -1]], "concat": [1]}, r"not -1"),
        ({"recurrent": [["tanh", 0]], "concat": [0]}, r"concat: expected different nodes from 1 to 1"),
        ({"recurrent": [["tanh", 0]], "concat": []}, r"concat: expected"),
        ({"recurrent": [["tanh", 0]] * 13, "concat": [1]}, r"1 to 12 nodes, got 13"),
        ({"recurrent": [], "concat": [1]}, r"1 to 12 nodes, got 0"),
        ({"recurrent": "tanh", "concat": [1]}, r"recurrent: expected a list"),
        ({"recurrent": [["tanh", 0]]}, r"missing: concat"),
        ("Genotype(recurrent=__import__('os'), concat=[1])", r"recurrent: only lists"),
        ("Genotype(recurrent=[('tanh', 0)], concat=range(0, 10**9))", r"concat"),
        ("DARTS_V3", r"known name \(DARTS_V1, DARTS_V2, DARTS, ENAS\)"),
    ],
)
def test_bad_recurrent_genotype_is_refused_by_its_entry(value: Any, message: str) -> None:
    with pytest.raises(GenotypeError, match=message):
        parse(value, "rnn")


def test_dot_names_every_edge_and_averages_the_concat() -> None:
    genotype = KNOWN_RECURRENT["ENAS"]
    text = to_dot(genotype)
    edges = re.findall(r"recurrent_(\d+) -> recurrent_(\d+) \[label=\"(\w+)\"\]", text)
    assert edges == [(str(e.source), str(i + 1), e.op) for i, e in enumerate(genotype.recurrent)]
    assert re.findall(r"recurrent_(\d+) -> recurrent_out", text) == [str(n) for n in genotype.concat]
    assert to_dot(genotype, "recurrent") == text


def table_of(nodes: int, **best: tuple[int, float]) -> list[list[float]]:
    """All alphas 0, but for edge `eN`: (column, value)."""
    table = [[0.0] * len(RNN_PRIMITIVES) for _ in range(recurrent_edges_of(nodes))]
    for edge, (column, value) in best.items():
        table[int(edge[1:])][column] = value
    return table


def test_each_node_keeps_its_strongest_edge_and_operation() -> None:
    # Edges of node 3 are 3, 4, 5, of node 2 are 1, 2.
    table = table_of(3, e0=(3, 1.0), e1=(1, 0.5), e2=(4, 0.7), e4=(2, 0.1))
    assert derive_recurrent(table, RNN_PRIMITIVES) == RecurrentGenotype(
        (Edge("sigmoid", 0), Edge("identity", 1), Edge("relu", 1)), (1, 2, 3)
    )


def test_none_never_wins_but_takes_weight_from_its_edge() -> None:
    table = table_of(2, e1=(0, 3.0), e2=(2, 0.01))
    assert derive_recurrent(table, RNN_PRIMITIVES).recurrent[1] == Edge("relu", 1)
    table = table_of(2, e2=(0, 3.0))
    assert derive_recurrent(table, RNN_PRIMITIVES).recurrent[1] == Edge("tanh", 0)


def test_ties_go_to_the_lowest_index() -> None:
    assert derive_recurrent(table_of(8), RNN_PRIMITIVES).recurrent == (Edge("tanh", 0),) * 8
    assert derive_recurrent([[0.0] * 4] * 3, RNN_SPACES["rnn_space1"]).recurrent == (Edge("relu", 0),) * 2


@pytest.mark.parametrize("nodes", range(1, 13))
def test_every_count_of_nodes_is_told_from_the_tables_length(nodes: int) -> None:
    assert len(derive_recurrent(table_of(nodes), RNN_PRIMITIVES).recurrent) == nodes


@pytest.mark.parametrize("table", [[[0.0] * 5] * 2, [], [[float("nan")] * 5], [[0.0] * 4]])
def test_tables_that_fit_no_cell_are_refused(table: list[list[float]]) -> None:
    with pytest.raises(GenotypeError):
        derive_recurrent(table, RNN_PRIMITIVES)


@pytest.mark.parametrize(("preset", "parameters"), [("ptb", 22_960_000), ("wt2", 33_127_878)])
def test_published_parameters_of_the_language_models(preset: str, parameters: int) -> None:
    found = profile_language_model(KNOWN_RECURRENT["DARTS_V2"], language_shape_of(preset))
    assert found.parameters == parameters
    assert found.embedding + found.initial_state + found.nodes + found.decoder_bias == parameters


def test_sizes_out_of_range_and_unknown_presets_are_refused_by_name() -> None:
    with pytest.raises(ConfigError, match="unknown preset 'cifar10'; known: ptb, wt2"):
        language_shape_of("cifar10")
    with pytest.raises(ConfigError, match="words: must be from 2"):
        language_shape_of(words=1)


def test_json_form_has_the_contracts_keys() -> None:
    assert json.loads(FORMATS["json"](KNOWN_RECURRENT["DARTS_V1"])).keys() == {"family", "recurrent", "concat", "text"}
