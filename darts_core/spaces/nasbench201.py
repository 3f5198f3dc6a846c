"""The space of NAS-Bench-201 (arXiv:2001.00326), section 2: 15,625 cells, each of them trained. Imports no torch."""

from __future__ import annotations

from typing import Final, Literal

from darts_core.primitives import NASBENCH201_PRIMITIVES
from darts_core.spaces.space import Space

NAME: Final[Literal["nasbench201"]] = "nasbench201"
# The only kind of cell: the field of a genotype's JSON, and the name of the table of alphas.
CELL: Final[Literal["cell"]] = "cell"
NODES: Final = 3
# The stages of the network, each with twice the channels of the one before.
STAGES: Final = 3

SPACES: Final = (
    Space(
        NAME,
        "NAS-Bench-201",
        "arXiv:2001.00326",
        "One cell of three nodes, each reading all before it, in a network of three stages with a residual block "
        "between them.",
        NASBENCH201_PRIMITIVES,
        cells=(CELL,),
        nodes=NODES,
        inputs=1,
        fields={"channels": 16, "layers": 15},
    ),
)
