"""Sub-spaces of DARTS-Bench-Suite (arXiv:2507.16533): DARTS' operations in networks of unusual shapes.

The suite has each shape with three sets of operations: `regular` is DARTS', `no_skip` lacks `skip_connect`, and
`all_skip` adds a skip-connection to every edge, in the search and in the network that is trained afterwards. Spaces of
the last are not offered. Imports no torch.
"""

from __future__ import annotations

from typing import Final

from darts_core.primitives import CNN_PRIMITIVES
from darts_core.spaces.darts import without
from darts_core.spaces.space import Space

_SOURCE: Final = "arXiv:2507.16533"

SPACES: Final = (
    Space(
        "bench-wide",
        "DARTS-Bench-Suite, wide",
        _SOURCE,
        "The space of DARTS in a network of 4 cells with 18 channels.",
        CNN_PRIMITIVES,
        fields={"channels": 18, "layers": 4},
    ),
    Space(
        "bench-wide-no-skip",
        "DARTS-Bench-Suite, wide without skip-connections",
        _SOURCE,
        "The space of DARTS without skip-connections, in a network of 4 cells with 18 channels.",
        without("skip_connect"),
        fields={"channels": 18, "layers": 4},
    ),
)
