"""Random cells."""

from collections import Counter

from darts_core.genotypes import random_genotype


def test_a_seed_names_one_cell() -> None:
    assert random_genotype(3) == random_genotype(3)
    assert random_genotype(3) != random_genotype(4)


def test_every_primitive_but_none_is_as_likely_as_any_other() -> None:
    drawn = Counter(op for seed in range(300) for op, _ in random_genotype(seed).normal)
    assert "none" not in drawn
    expected = 300 * 8 / 7
    assert len(drawn) == 7
    assert all(0.75 * expected < count < 1.25 * expected for count in drawn.values())
