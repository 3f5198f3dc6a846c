"""Computes the cost of a genotype's evaluation network. Imports no torch."""

from __future__ import annotations

from darts_core.genotypes import ConvolutionalGenotype, NasBench201Genotype
from darts_core.profile.nasbench201 import profile_nasbench201
from darts_core.profile.network import Profile, profile_cells
from darts_core.profile.shapes import Shape


def profile(genotype: ConvolutionalGenotype, shape: Shape) -> Profile:
    """Profile the evaluation network of a genotype. Takes milliseconds at any size.

    Raises ConfigError for a shape that a network of NAS-Bench-201 cannot have.
    """
    if isinstance(genotype, NasBench201Genotype):
        return profile_nasbench201(genotype, shape)
    return profile_cells(genotype, shape)
