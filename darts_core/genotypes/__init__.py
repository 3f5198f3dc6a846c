"""Genotypes: the model, the published ones, their formats, and the rule that derives one from alphas."""

from darts_core.genotypes.derive import derive, softmax
from darts_core.genotypes.formats import parse, to_json, to_python
from darts_core.genotypes.known import KNOWN
from darts_core.genotypes.model import Edge, Genotype

__all__ = ["KNOWN", "Edge", "Genotype", "derive", "parse", "softmax", "to_json", "to_python"]
