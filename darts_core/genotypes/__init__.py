"""Genotypes: the model, the published ones, their formats, and the rule that derives one from alphas."""

from darts_core.genotypes.derive import derive, softmax
from darts_core.genotypes.dot import to_dot
from darts_core.genotypes.formats import FORMATS, parse, to_json
from darts_core.genotypes.known import KNOWN
from darts_core.genotypes.mmrazor import to_mmrazor
from darts_core.genotypes.model import Edge, Genotype
from darts_core.genotypes.python_text import to_python

__all__ = [
    "FORMATS",
    "KNOWN",
    "Edge",
    "Genotype",
    "derive",
    "parse",
    "softmax",
    "to_dot",
    "to_json",
    "to_mmrazor",
    "to_python",
]
