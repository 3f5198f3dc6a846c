"""mmrazor's YAML is read in bounded time: levels and values are counted while it is read."""

from __future__ import annotations

import sys
from types import FrameType

import pytest

from darts_core.errors import GenotypeError
from darts_core.genotypes import Genotype, parse

pytestmark = pytest.mark.light


@pytest.mark.parametrize(
    "text",
    [
        "normal_n2: " + "{a: " * 4_900,
        "normal_n2: " + "[" * 19_000,
        "normal_n2: " + "[a, " * 4_900,
        "normal_n2: [" + "a," * 9_800 + "]",
        "normal_n2:\n" + "- " * 9_900,
        "normal_n2: {" + "a: {b: 1}," * 1_900 + "}",
        "".join(" " * i + "normal_n2:\n" for i in range(170)),
    ],
    ids=["maps", "lists", "spaced", "wide", "dashes", "wide-maps", "indented"],
)
def test_a_subnet_of_too_many_levels_or_values_is_refused_while_it_is_read(text: str) -> None:
    calls = 0

    def count(frame: FrameType, event: str, argument: object) -> None:
        nonlocal calls
        calls += event in ("call", "c_call")

    before = sys.getprofile()
    sys.setprofile(count)
    try:
        with pytest.raises(GenotypeError, match=r"levels deep at most|keys and values"):
            parse(text)
    finally:
        sys.setprofile(before)
    assert calls < 250_000  # the largest subnet, in a text half as long, takes 161,430


def test_the_largest_subnet_is_read() -> None:
    edges = {(cell, node): range(node) for cell in ("normal", "reduce") for node in range(2, 14)}
    text = "".join(
        f"{cell}_n{node}:\n  chosen:\n  - {cell}_n{node}_p0\n  - {cell}_n{node}_p1\n"
        + "".join(f"{cell}_n{node}_p{source}:\n  chosen:\n  - skip_connect\n" for source in sources)
        for (cell, node), sources in edges.items()
    )
    found = parse(text)
    assert isinstance(found, Genotype)
    assert len(found.normal) == 24
