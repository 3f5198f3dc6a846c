"""Parses genotypes of normal and reduction cells."""

from __future__ import annotations

from typing import Any

from darts_core.genotypes import Genotype, parse


def parsed(value: str | dict[str, Any]) -> Genotype:
    """The genotype in any format, which has normal and reduction cells."""
    found = parse(value)
    assert isinstance(found, Genotype)
    return found
