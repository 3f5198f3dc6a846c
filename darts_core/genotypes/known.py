"""Published genotypes by name. Imports no torch.

Sources: the DARTS paper and its authors' code (DARTS_V1, DARTS_V2, NASNet, AmoebaNet, ENAS), mmrazor, PC-DARTS,
PaddleSlim.
"""

from __future__ import annotations

from collections.abc import Sequence

from darts_core.genotypes.edges import Edge
from darts_core.genotypes.model import Genotype
from darts_core.genotypes.recurrent import RecurrentGenotype


def _edges(text: str) -> tuple[Edge, ...]:
    return tuple(Edge(op, int(source)) for op, source in (entry.split() for entry in text.split(", ")))


def _genotype(
    normal: str,
    reduce: str,
    normal_concat: Sequence[int] = (2, 3, 4, 5),
    reduce_concat: Sequence[int] = (2, 3, 4, 5),
) -> Genotype:
    return Genotype(_edges(normal), tuple(normal_concat), _edges(reduce), tuple(reduce_concat))


_DARTS_V2 = _genotype(
    "sep_conv_3x3 0, sep_conv_3x3 1, sep_conv_3x3 0, sep_conv_3x3 1, "
    "sep_conv_3x3 1, skip_connect 0, skip_connect 0, dil_conv_3x3 2",
    "max_pool_3x3 0, max_pool_3x3 1, skip_connect 2, max_pool_3x3 1, "
    "max_pool_3x3 0, skip_connect 2, skip_connect 2, max_pool_3x3 1",
)

KNOWN: dict[str, Genotype] = {
    "DARTS_V1": _genotype(
        "sep_conv_3x3 1, sep_conv_3x3 0, skip_connect 0, sep_conv_3x3 1, "
        "skip_connect 0, sep_conv_3x3 1, sep_conv_3x3 0, skip_connect 2",
        "max_pool_3x3 0, max_pool_3x3 1, skip_connect 2, max_pool_3x3 0, "
        "max_pool_3x3 0, skip_connect 2, skip_connect 2, avg_pool_3x3 0",
    ),
    "DARTS_V2": _DARTS_V2,
    "DARTS": _DARTS_V2,
    "MMRAZOR_97_32": _genotype(
        "sep_conv_3x3 0, sep_conv_3x3 1, skip_connect 0, sep_conv_5x5 1, "
        "sep_conv_3x3 0, skip_connect 1, skip_connect 0, skip_connect 1",
        "max_pool_3x3 0, sep_conv_3x3 1, max_pool_3x3 0, dil_conv_5x5 2, "
        "max_pool_3x3 0, skip_connect 2, max_pool_3x3 0, skip_connect 2",
    ),
    "PC_DARTS": _genotype(
        "sep_conv_3x3 1, skip_connect 0, sep_conv_3x3 0, dil_conv_3x3 1, "
        "sep_conv_5x5 0, sep_conv_3x3 1, avg_pool_3x3 0, dil_conv_3x3 1",
        "sep_conv_5x5 1, max_pool_3x3 0, sep_conv_5x5 1, sep_conv_5x5 2, "
        "sep_conv_3x3 0, sep_conv_3x3 3, sep_conv_3x3 1, sep_conv_3x3 2",
    ),
    "PADDLESLIM_PC_DARTS": _genotype(
        "sep_conv_3x3 1, skip_connect 0, sep_conv_5x5 0, dil_conv_5x5 2, "
        "sep_conv_5x5 0, sep_conv_3x3 2, sep_conv_3x3 0, dil_conv_3x3 1",
        "avg_pool_3x3 0, sep_conv_3x3 1, skip_connect 2, avg_pool_3x3 0, "
        "dil_conv_5x5 3, skip_connect 2, skip_connect 2, avg_pool_3x3 0",
    ),
    "NASNet": _genotype(
        "sep_conv_5x5 1, sep_conv_3x3 0, sep_conv_5x5 0, sep_conv_3x3 0, avg_pool_3x3 1, "
        "skip_connect 0, avg_pool_3x3 0, avg_pool_3x3 0, sep_conv_3x3 1, skip_connect 1",
        "sep_conv_5x5 1, sep_conv_7x7 0, max_pool_3x3 1, sep_conv_7x7 0, avg_pool_3x3 1, "
        "sep_conv_5x5 0, skip_connect 3, avg_pool_3x3 2, sep_conv_3x3 2, max_pool_3x3 1",
        normal_concat=(2, 3, 4, 5, 6),
        reduce_concat=(4, 5, 6),
    ),
    "AmoebaNet": _genotype(
        "avg_pool_3x3 0, max_pool_3x3 1, sep_conv_3x3 0, sep_conv_5x5 2, sep_conv_3x3 0, "
        "avg_pool_3x3 3, sep_conv_3x3 1, skip_connect 1, skip_connect 0, avg_pool_3x3 1",
        "avg_pool_3x3 0, sep_conv_3x3 1, max_pool_3x3 0, sep_conv_7x7 2, sep_conv_7x7 0, "
        "avg_pool_3x3 1, max_pool_3x3 0, max_pool_3x3 1, conv_7x1_1x7 0, sep_conv_3x3 5",
        normal_concat=(4, 5, 6),
        reduce_concat=(3, 4, 6),
    ),
}

_RECURRENT_DARTS_V2 = RecurrentGenotype(
    _edges("sigmoid 0, relu 1, relu 1, identity 1, tanh 2, sigmoid 5, tanh 3, relu 5"), tuple(range(1, 9))
)

# Some names denote a cell in each family.
KNOWN_RECURRENT: dict[str, RecurrentGenotype] = {
    "DARTS_V1": RecurrentGenotype(
        _edges("relu 0, relu 1, tanh 2, relu 3, relu 4, identity 1, relu 5, relu 1"), tuple(range(1, 9))
    ),
    "DARTS_V2": _RECURRENT_DARTS_V2,
    "DARTS": _RECURRENT_DARTS_V2,
    "ENAS": RecurrentGenotype(
        _edges("tanh 0, tanh 1, relu 1, tanh 3, tanh 3, relu 3, relu 4, relu 7, relu 8, relu 8, relu 8"),
        (2, 5, 6, 9, 10, 11),
    ),
}
