"""Random cells."""

from collections import Counter

import pytest
from pydantic import ValidationError

from darts_core.configs import EvaluationConfig
from darts_core.errors import GenotypeError
from darts_core.genotypes import Edge, Genotype, NasBench201Genotype, PlacedEdge, drawn_cell, random_genotype
from darts_core.primitives import RNN_SPACES, Family
from darts_core.spaces import SPACES

pytestmark = pytest.mark.light


def test_a_seed_names_one_cell() -> None:
    assert random_genotype(3) == random_genotype(3)
    assert random_genotype(3) != random_genotype(4)


def test_every_primitive_but_none_is_as_likely_as_any_other() -> None:
    drawn = Counter(edge.op for seed in range(300) for edge in random_genotype(seed).normal)
    assert "none" not in drawn
    expected = 300 * 8 / 7
    assert len(drawn) == 7
    assert all(0.75 * expected < count < 1.25 * expected for count in drawn.values())


def test_a_spec_keeps_the_drawn_cell_and_is_read_again_as_it_is() -> None:
    spec = EvaluationConfig(dataset="digits", genotype="random", seed=4).resolved()
    assert spec.cell() == random_genotype(4)
    assert EvaluationConfig(**spec.model_dump()) == spec
    with pytest.raises(ValidationError, match="seed"):
        EvaluationConfig(dataset="digits", genotype="random", seed=-1)


@pytest.mark.parametrize(("family", "nodes", "space"), [("cnn", 3, "space2"), ("rnn", 5, "rnn_space1")])
def test_a_cell_is_drawn_from_the_named_space(family: Family, nodes: int, space: str) -> None:
    cells = [drawn_cell(family, seed, nodes=nodes, space=space) for seed in range(200)]
    edges: list[Edge | PlacedEdge] = []
    for cell in cells:
        assert not isinstance(cell, NasBench201Genotype)
        edges += cell.normal if isinstance(cell, Genotype) else cell.recurrent
    assert len(edges) == 200 * (2 * nodes if family == "cnn" else nodes)
    expected = SPACES["space2"].primitives if family == "cnn" else RNN_SPACES["rnn_space1"]
    assert {edge.op for edge in edges} == set(expected) - {"none"}
    with pytest.raises(GenotypeError, match="unknown space 'space9'"):
        drawn_cell(family, 0, space="space9")
