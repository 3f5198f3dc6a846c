"""Genotypes: their models, published cells, text formats, and derivation from alphas."""

from darts_core.genotypes.calls import cell_in, cell_named
from darts_core.genotypes.derive import (
    Strengths,
    derive,
    derive_nasbench201,
    derive_recurrent,
    softmax,
    softmaxed,
    strengths_of,
)
from darts_core.genotypes.diagnostics import cell_diagnostics, collapse_signs, is_collapsed
from darts_core.genotypes.dot import to_dot
from darts_core.genotypes.edges import BuiltCell, Edge, PlacedEdge
from darts_core.genotypes.formats import (
    FORMATS,
    AnyGenotype,
    ConvolutionalGenotype,
    family_of,
    known_genotypes,
    parse,
    parse_any,
    to_json,
    to_mmrazor,
    to_python,
)
from darts_core.genotypes.known import KNOWN, KNOWN_RECURRENT
from darts_core.genotypes.model import Genotype
from darts_core.genotypes.nasbench201 import NasBench201Genotype, random_nasbench201
from darts_core.genotypes.random_cells import drawn_cell, random_genotype, random_recurrent_genotype
from darts_core.genotypes.ranked import ranked
from darts_core.genotypes.recurrent import RecurrentGenotype
from darts_core.genotypes.threshold import strongest_above

__all__ = [
    "FORMATS",
    "KNOWN",
    "KNOWN_RECURRENT",
    "AnyGenotype",
    "BuiltCell",
    "ConvolutionalGenotype",
    "Edge",
    "Genotype",
    "NasBench201Genotype",
    "PlacedEdge",
    "RecurrentGenotype",
    "Strengths",
    "cell_diagnostics",
    "cell_in",
    "cell_named",
    "collapse_signs",
    "derive",
    "derive_nasbench201",
    "derive_recurrent",
    "drawn_cell",
    "family_of",
    "is_collapsed",
    "known_genotypes",
    "parse",
    "parse_any",
    "random_genotype",
    "random_nasbench201",
    "random_recurrent_genotype",
    "ranked",
    "softmax",
    "softmaxed",
    "strengths_of",
    "strongest_above",
    "to_dot",
    "to_json",
    "to_mmrazor",
    "to_python",
]
